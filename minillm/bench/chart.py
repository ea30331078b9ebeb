"""The benchmark as a picture, from its JSON alone: a panel for each thing that was measured."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minillm.bench.contenders import THEIRS
from minillm.canvas import COLOURS, Axes, figure_of, new_axes

Result = dict[str, Any]
QUIET = "0.45"
LOOK = {  # contender -> colour, marker
    "np": (COLOURS[0], "o"),
    "pt": (COLOURS[1], "s"),
    "pt compiled": (COLOURS[2], "D"),
    f"{THEIRS} compiled": ("0.5", "^"),
}
PAGE: dict[str, Any] = {"color": "0.3", "linestyle": "--", "linewidth": 1}


def plot_bench(result: Result) -> Axes | None:
    """All panels that the result has something for, two a row; None if there are none."""
    panels = [
        draw
        for part, draws in PANELS.items()
        if part in result and "left_out" not in result[part]["result"]
        for draw in draws
    ]
    if not panels:
        return None
    lines = -(-len(panels) // 2)
    grid = new_axes(11.5, 0.6 + 4.0 * lines, lines, 2, squeeze=False).flatten()
    for ax, (draw, part) in zip(grid, ((draw, PART[draw]) for draw in panels), strict=False):
        draw(ax, result[part]["result"])
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    facts = {f"{part['machine']}; {part['date']}" for part in result.values()}
    figure_of(grid).suptitle("\n".join(sorted(facts)), fontsize=8, color=QUIET)
    return grid


def against(ax: Axes, part: Result, title: str) -> None:
    """A line for each family and size, a mark for each contender; transformers is the dashed line."""
    rows = [(family, shape) for family, shapes in part["families"].items() for shape in shapes]
    marked = set()
    for y, (family, shape) in enumerate(rows):
        for name, r in part["families"][family][shape].items():
            if "ratio" in r and name in LOOK:
                colour, marker = LOOK[name]
                ax.plot(r["ratio"], y, marker, color=colour, markersize=8, label=None if name in marked else name)
                marked.add(name)
    ax.axvline(1, **PAGE)
    ax.set_yticks(range(len(rows)), [f"{family}\n{shape}" for family, shape in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(alpha=0.25)
    ax.set_xlabel("速度之比，transformers = 1    speed, transformers = 1")
    ax.set_title(title)
    ax.plot([], [], label=f"{THEIRS}（未编译 eager）", **PAGE)
    if marked:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False, fontsize=9)


def training(ax: Axes, part: Result) -> None:
    against(ax, part, "训练 training")


def generation(ax: Axes, part: Result) -> None:
    against(ax, part, "生成，逐字 generation, one text")


def growth(ax: Axes, laws: Result, words: str = "", style: str = "-") -> None:
    """Measured times on logarithmic axes, with the fitted law, its exponent and what arithmetic says of it."""
    for name, law in laws.items():
        colour, marker = LOOK[name]
        x = np.geomspace(law["points"][0], law["points"][-1], 60)
        label = f"{name}{words}: {law['exponent']:.2f} ± {law['error']:.2f}（算术 arithmetic {law['theory']:.2f}）"
        ax.loglog(law["points"], law["median"], marker, color=colour, markersize=6, linestyle="none")
        if "terms" in law:
            y = sum(c * x**p for p, c in enumerate(law["terms"]))
        else:
            middle = np.exp(np.mean(np.log(law["points"])))
            y = np.exp(np.mean(np.log(law["median"]))) * (x / middle) ** law["exponent"]
        ax.plot(x, y, style, color=colour, linewidth=1.3, label=label)


def finish(ax: Axes, laws: Result, title: str, xlabel: str, ylabel: str) -> None:
    """Axes of a law: the measured points as ticks, the exponents below."""
    points = next(iter(laws.values()))["points"]
    ax.set_xticks(points, [str(point) for point in points])
    ax.minorticks_off()
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.25)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False, fontsize=9, title="指数 exponent")


STEP = "一步的秒数 seconds a step"


def length(ax: Axes, part: Result) -> None:
    laws = part["length"]
    growth(ax, laws)
    right = 2 * max(law["points"][-1] for law in laws.values())
    for name, law in laws.items():
        if law["takes_over"] and law["takes_over"] < right:
            words = f"{name}: T² 超过 T，在 {law['takes_over']:.0f} 处 T² passes T at {law['takes_over']:.0f}"
            ax.axvline(law["takes_over"], color=LOOK[name][0], linestyle=":", linewidth=1.3, label=words)
    finish(ax, laws, "训练一步：长度 T training: length", "长度 T（词元） length T (tokens)", STEP)


def width(ax: Axes, part: Result) -> None:
    growth(ax, part["width"])
    finish(ax, part["width"], "训练一步：宽度 D training: width", "宽度 D width D", STEP)


def writing(ax: Axes, part: Result) -> None:
    growth(ax, part["cached"], "，有缓存 with cache")
    growth(ax, part["uncached"], "，无缓存 without", "--")
    title = "生成：有无 KV 缓存 generation: KV cache"
    finish(ax, part["cached"], title, "写下的词元 tokens written", "秒 seconds")


def processes(ax: Axes, part: Result) -> None:
    shapes = list(part)
    two = [part[shape]["two"] for shape in shapes if "two" in part[shape]]
    bars = ax.bar(range(len(two)), [r["ratio"] or 0 for r in two], width=0.55, color=COLOURS[1])
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.axhline(1, **PAGE)
    ax.set_xticks(range(len(two)), [shape for shape in shapes if "two" in part[shape]])
    ax.margins(y=0.15)
    ax.set_ylabel("速度之比，一个进程 = 1\nspeed, one process = 1")
    ax.set_title("两个进程对一个（DDP，线程总数相同）\ntwo processes, as many threads in all")


def gpu(ax: Axes, part: Result) -> None:
    rows, card = part["rows"], part["card"]
    names = list(rows)[::-1]
    ax.barh(
        range(len(names)), [100 * rows[n]["mfu"] for n in names], color=[LOOK.get(n, ("0.7", ""))[0] for n in names]
    )
    for y, name in enumerate(names):
        r = rows[name]
        memory = f"{r['memory_bytes'] / 1e9:.0f} GB" if r["memory_bytes"] else ""
        words = f" {r['mfu']:.0%}   {r['tokens_per_second']:,.0f} tok/s   {memory}"
        ax.text(100 * r["mfu"], y, words, va="center", fontsize=9)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlim(0, 100)
    peak = card["peak_flops"] / 1e12
    ax.set_xlabel(f"MFU，% of {peak:.0f} TFLOP/s（测得 measured）")
    ax.set_title(f"GPT-2 124M, {card['name']}")


def byte_pairs(ax: Axes, part: Result) -> None:
    texts = [text for text in part if "train_ratio" in part[text].get("bpe", {})]
    place = np.arange(len(texts))
    jobs = ((-0.2, "train_ratio", "学合并 training", COLOURS[0]), (0.2, "encode_ratio", "编码 encoding", COLOURS[4]))
    for shift, key, label, colour in jobs:
        bars = ax.bar(place + shift, [part[t]["bpe"][key] for t in texts], width=0.36, label=label, color=colour)
        ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.axhline(1, **PAGE)
    ax.set_xticks(place, texts)
    ax.set_xlim(-0.8, len(texts) - 0.2)
    ax.margins(y=0.15)
    ax.set_ylabel("速度之比，tokenizers（Rust）= 1\nspeed, tokenizers (Rust) = 1")
    ax.set_title("BPE，纯 Python BPE in pure Python")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False, fontsize=9)


PANELS: dict[str, list[Callable[[Axes, Result], None]]] = {
    "training": [training],
    "generation": [generation],
    "scaling": [length, width, writing],
    "processes": [processes],
    "gpu": [gpu],
    "bpe": [byte_pairs],
}
PART = {draw: part for part, draws in PANELS.items() for draw in draws}
