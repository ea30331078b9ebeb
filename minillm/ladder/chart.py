"""The ladder as a picture, from its results alone: a panel for each corpus, a bar for each rung, the floor a line."""

from typing import Any

from minillm.canvas import COLOURS, Axes, new_axes
from minillm.ladder.results import CORPORA, NAMES, Result, above_floor

COLOUR = {"guess": "0.68", "counted": COLOURS[0], "learnt": COLOURS[1], "floor": "0.1"}
FLOOR_LINE: dict[str, Any] = {"color": COLOUR["floor"], "linestyle": "--", "linewidth": 1.4}
QUIET = "0.45"  # of what is small and beside the point


def plot_ladder(result: Result) -> Axes:
    """Bits per character of every rung, the first on top. An array of axes, one for each corpus."""
    corpora = result["corpora"]
    rungs = [rung for rung in NAMES if any(rung in entry["rungs"] for entry in corpora.values())]
    height = 2.2 + 0.36 * len(rungs)
    axes = new_axes(2.0 + 3.3 * len(corpora), height, 1, len(corpora), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (name, entry) in zip(axes, corpora.items(), strict=True):
        plot_corpus(ax, name, entry, rungs)
    labels = [f"{chinese}  {english}" for chinese, english in (NAMES[rung] for rung in rungs)]
    axes[0].set_yticks(range(len(rungs) + 1), [*labels, "真实的熵  true entropy"], fontsize=10)
    axes[0].set_ylim(len(rungs) + 0.5, -0.6)  # the first rung on top
    bits = [row["bits_per_char"] for entry in corpora.values() for row in entry["rungs"].values()]
    axes[0].xaxis.get_major_locator().set_params(integer=True, nbins=8)
    axes[0].set_xlim(0, 1.2 * max(bits))  # one scale for all: a bit is a bit
    figure = axes[0].figure
    figure.supxlabel("每字比特数，越少越好    bits per character, fewer is better", fontsize=11)
    figure.legend(handles=legend(result), loc="outside upper center", ncols=len(corpora), frameon=False, fontsize=10)
    return axes


def plot_corpus(ax: Axes, name: str, entry: Result, rungs: list[str]) -> None:
    """The bars of one corpus, on the rows of `rungs`; a rung that it lacks leaves its row empty."""
    for i, rung in enumerate(rungs):
        if rung not in entry["rungs"]:
            continue
        row = entry["rungs"][rung]
        bits, above = row["bits_per_char"], above_floor(row["bits_per_char"], entry)
        ax.barh(i, bits, height=0.7, color=COLOUR["guess" if rung == "uniform" else row["kind"]])
        near = above is not None and above < 1
        write(ax, bits, i, f"{bits:.3f}  ({above:+.1%})" if near else f"{bits:.2f}", "0.1")
    if entry["floor"]:
        true = entry["floor"]["entropy"]
        ax.axvline(true, **FLOOR_LINE)
        write(ax, true, len(rungs), f"{true:.3f}", COLOUR["floor"])
    else:
        write(ax, 0, len(rungs), "没有人知道 nobody knows", QUIET)
    lines = [f"{short(entry['characters']['train'])} 字 characters，{short(entry['vocab_size'])} 种 kinds"]
    if learnt := [row["numbers"] for row in entry["rungs"].values() if row["kind"] == "learnt"]:
        lines.append(f"{short(max(learnt))} 参数 parameters")
    ax.set_title(f"{CORPORA.get(name, '')} {name}".strip(), fontsize=13, pad=34)
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center"}
    ax.annotate("\n".join(lines), (0.5, 1), (0, 7), fontsize=8.5, color=QUIET, **place)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right"]].set_visible(False)


def short(number: int) -> str:
    """Three digits are enough: 739, 61.0k, 3.49M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def write(ax: Axes, x: float, row: int, words: str, colour: str) -> None:
    """Words behind the end of a bar."""
    ax.annotate(words, (x, row), (4, 0), textcoords="offset points", va="center", fontsize=10, color=colour)


def legend(result: Result) -> list[Any]:
    """What the colours mean, where there is anything of that colour."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries = result["corpora"].values()
    kinds = {row["kind"] for entry in entries for row in entry["rungs"].values()}
    minutes = "/".join(f"{m:g}" for m in sorted({entry["settings"]["minutes"] for entry in entries}))
    handles: list[Any] = []
    if "counted" in kinds:
        handles.append(Patch(color=COLOUR["counted"], label="数出来的 counted"))
    if "learnt" in kinds:
        label = f"学出来的，参数同样多，CPU 各 {minutes} 分钟\nlearnt: equal parameters, {minutes} min of CPU each"
        handles.append(Patch(color=COLOUR["learnt"], label=label))
    if any(entry["floor"] for entry in entries):
        label = "真实的熵；括号里：高出多少\ntrue entropy; in brackets: how far above it"
        handles.append(Line2D([], [], **FLOOR_LINE, label=label))
    return handles
