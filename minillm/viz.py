"""Pictures. Each function draws on matplotlib axes, its own if none are given, and returns them.

Labels are in both languages, and the colours can be told apart by everyone. In a notebook: `show(heatmap(...))`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minillm.canvas import COLOURS, Axes, new_axes, png, save_figure, show, use_chinese_font
from minillm.diagram import pipeline

__all__ = [
    "draw_loss",
    "heatmap",
    "new_axes",
    "pipeline",
    "plot_bars",
    "plot_distribution",
    "plot_growth",
    "plot_loss",
    "plot_zipf",
    "png",
    "save_figure",
    "show",
    "use_chinese_font",
]

NAMES = {" ": "␣", "\n": "↵", "\t": "⇥", "\u3000": "□"}  # what would be blank on an axis


def draw_loss(log: list[dict[str, Any]], folder: Path, baselines: dict[str, float] | None = None) -> Path | None:
    """Save loss.png beside a run; None if matplotlib is not there or nothing was learnt yet."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return None
    if not log:
        return None
    path = folder / "loss.png"
    save_figure(plot_loss(log, baselines=baselines, title="训练损失 training loss"), path)
    return path


def plot_loss(
    log: list[dict[str, Any]], ax: Axes | None = None, baselines: dict[str, float] | None = None, title: str = ""
) -> Axes:
    """Training and validation loss over the steps, from the records of a training log; baselines as dashed lines.

    All losses are in nats a token.
    """
    ax = ax or new_axes()
    steps, losses = [r["step"] for r in log], [r["loss"] for r in log]
    ax.plot(steps, losses, color="0.75", linewidth=0.8, label="训练，每步 training, each step")
    ax.plot(steps, smooth(losses), color="tab:blue", label="训练，平滑 training, smoothed")
    valid = [(r["step"], r["valid_loss"]) for r in log if "valid_loss" in r]
    if valid:
        ax.plot(*zip(*valid, strict=True), "o-", color="tab:red", markersize=4, label="验证 validation")
    for (name, loss), color in zip((baselines or {}).items(), ("0.35", "tab:green", "tab:purple"), strict=False):
        ax.axhline(loss, color=color, linestyle="--", linewidth=1, label=name)
    ax.set_xlabel("训练步数 step")
    ax.set_ylabel("损失（奈特/词元） loss (nats per token)")
    ax.set_title(title)
    ax.grid(alpha=0.25)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)  # below: nothing is covered
    return ax


def smooth(values: list[float], weight: float = 0.9) -> list[float]:
    """Exponential moving average, corrected for its start at zero as Adam's are."""
    mean, out = 0.0, []
    for n, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        out.append(mean / (1 - weight**n))
    return out


def plot_bars(
    labels: Sequence[str],
    values: Any,
    ax: Axes | None = None,
    *,
    label: str = "",
    title: str = "",
    limit: float | None = None,
    highlight: int | None = None,
    compare: tuple[str, Any] | None = None,
    form: str = "{:.2f}",
) -> Axes:
    """One bar a label, its value written over it.

    label   what the values are, with the unit      limit    upper end of the axis, so that pictures can be compared
    highlight  index of a bar in a second colour    compare  (name, values): a second row of values, as outlines
    form    how values are written; "" for not at all
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (len(labels),):
        raise ValueError(f"{len(labels)} labels, but values of shape {values.shape}")
    ax = ax or new_axes(max(4.0, min(9.0, 1.5 + 0.55 * len(labels))), 3.4)
    place = np.arange(len(labels))
    bars = ax.bar(place, values, width=0.7, color=COLOURS[0])
    if highlight is not None:
        bars[highlight].set_color(COLOURS[1])
    if compare is not None:
        ax.bar(place, compare[1], width=0.84, fill=False, edgecolor="0.25", linestyle="--", label=compare[0])
        ax.legend(edgecolor="none")
    if form:
        for text in ax.bar_label(bars, fmt=form.format, padding=2, fontsize=9):
            text.set_bbox({"facecolor": "w", "edgecolor": "none", "alpha": 0.8, "pad": 0.6})
    ax.set_xticks(place, [NAMES.get(name, name) for name in labels], fontsize=12)
    ax.margins(y=0.12)
    if limit is not None:
        ax.set_ylim(min(0, ax.get_ylim()[0]), limit)
    ax.set_ylabel(label)
    ax.set_title(title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_distribution(labels: Sequence[str], p: Any, ax: Axes | None = None, **options: Any) -> Axes:
    """Probabilities, such as those of the next character; options as in plot_bars."""
    return plot_bars(labels, p, ax, **{"label": "概率 probability", **options})


def heatmap(
    matrix: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    label: str = "权重 weight",
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    limits: tuple[float, float] | None = None,
    form: str | None = None,
) -> Axes:
    """A matrix as colours: light to dark, or blue over white to red if it has negative entries.

    rows, columns  names, such as the characters of a sentence     label   what the colours mean, with the unit
    limits         values of the two ends of the colours           form    how values are written in the cells
    (by default two decimals if there are few enough cells; "" for not at all). NaN and -inf are shown as empty cells.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(rows), len(columns)):
        raise ValueError(f"{len(rows)} rows and {len(columns)} columns named, but a matrix of shape {matrix.shape}")
    cell = min(0.62, 6.2 / len(columns))
    ax = ax or new_axes(cell * len(columns) + 1.9, cell * len(rows) + 0.9)
    seen = matrix[np.isfinite(matrix)]
    far = float(np.abs(seen).max(initial=1e-9))
    signed = bool((seen < 0).any())
    low, high = limits or ((-far, far) if signed else (0.0, far))
    ax.set_facecolor("0.92")
    image = ax.imshow(
        np.ma.masked_invalid(matrix), cmap="RdBu_r" if signed else "Blues", vmin=low, vmax=high, aspect="equal"
    )
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.9)
    ax.set_xticks(range(len(columns)), [NAMES.get(name, name) for name in columns], fontsize=12)
    ax.set_yticks(range(len(rows)), [NAMES.get(name, name) for name in rows], fontsize=12)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title)
    if form is None:
        form = "{:.2f}" if len(columns) <= 10 else ""
    for (i, j), value in np.ndenumerate(matrix):
        if form and np.isfinite(value):
            dark = abs(value) > 0.6 * max(abs(low), abs(high))
            ax.text(j, i, form.format(value), ha="center", va="center", fontsize=9, color="w" if dark else "0.15")
    return ax


def plot_zipf(counts: Any, ax: Axes | None = None, *, label: str = "", title: str = "", named: int = 3) -> Axes:
    """How often the most frequent item occurs, the second, the third ...: both axes logarithmic.

    counts: a Counter, whose first `named` items are written beside their points, or plain numbers.
    Call it again on the same axes for a second text. The dotted line falls as 1/rank (Zipf 1949).
    """
    ax = ax or new_axes(6.4, 4.2)
    order = sorted(counts, key=lambda key: -counts[key]) if isinstance(counts, Mapping) else []
    sizes = np.array([counts[key] for key in order] if order else sorted(counts, reverse=True), dtype=float)
    ranks = np.arange(1, len(sizes) + 1)
    series = sum(1 for line in ax.lines if line.get_linestyle() != ":")
    colour = COLOURS[series % len(COLOURS)]
    ax.loglog(ranks, sizes, "o", color=colour, markersize=3, linestyle="none", label=label or None)
    ax.loglog(ranks, sizes[0] / ranks, ":", color=colour, linewidth=1.2, label=None if series else "∝ 1/名次 1/rank")
    for rank, key in enumerate(order[:named], start=1):
        ax.annotate(NAMES.get(key, key), (rank, sizes[rank - 1]), (4, 5), textcoords="offset points", fontsize=12)
    ax.set_xlabel("频率名次 frequency rank")
    ax.set_ylabel("出现次数 occurrences")
    ax.set_title(title)
    ax.grid(alpha=0.25)
    ax.legend(edgecolor="none")
    return ax


def plot_growth(
    read: Any,
    known: Any,
    ax: Axes | None = None,
    *,
    label: str = "",
    title: str = "",
    law: tuple[float, float] | None = None,
) -> Axes:
    """Size of the vocabulary (known) against the length of the text read so far, in the same units.

    Call it again on the same axes for a second text. law: (k, beta) of Heaps' law,
    known = k · read**beta, drawn dashed.
    """
    ax = ax or new_axes(6.4, 3.8)
    read, known = np.asarray(read, dtype=float), np.asarray(known, dtype=float)
    series = sum(1 for line in ax.lines if line.get_linestyle() != "--")
    colour = COLOURS[series % len(COLOURS)]
    ax.plot(read, known, color=colour, label=label or None)
    if law:
        k, beta = law
        ax.plot(read, k * read**beta, "--", color=colour, linewidth=1.2, label=f"{k:.3g} · n^{beta:.2f}")
    ax.set_xlabel("已读长度 n length read")
    ax.set_ylabel("词表大小 vocabulary size")
    ax.set_title(title)
    ax.grid(alpha=0.25)
    if label or law:
        ax.legend(edgecolor="none")
    return ax
