"""From a text to an answer, as one picture: five cards, each with real contents of a language model."""

from collections.abc import Sequence

from minillm.canvas import COLOURS, Axes, new_axes

NAMES = ("数据 data", "模型 model", "训练 training", "推理 inference", "应用 application")
ROWS = (0.86, 0.68, 0.5, 0.32, 0.14)  # where the five lines of a card stand
EDGE, FACE, GREY = "#9CC4DD", "#F3F8FC", "0.45"
BLUE, ORANGE = COLOURS[:2]


def pipeline(
    *,
    notes: Sequence[str],
    page: Sequence[str],
    chances: Sequence[tuple[str, float]],
    curve: tuple[Sequence[float], Sequence[float], str],
    story: Sequence[str],
    typed: str,
    offers: Sequence[str],
) -> Axes:
    """Data, model, training, inference and application of a model, left to right.

    notes    a line or two under each card                  page    five lines of the text learnt from
    chances  five next characters and their probabilities   curve   x, y and the form in which y's ends are written
    story    five stages of a text, a character longer each time
    typed    what the user of a keyboard has typed          offers  three characters it offers next
    """
    ax = new_axes(8.6, 2.88)
    ax.set(xlim=(0, 100), ylim=(-2, 31.5))
    ax.axis("off")
    data, model, training, inference, application = (
        _card(ax, i, name, note) for i, (name, note) in enumerate(zip(NAMES, notes, strict=True))
    )
    for y, line in zip(ROWS, page, strict=True):
        data.text(0.05, y, line, va="center", fontsize=8.5)
    for y, (char, share) in zip(ROWS, chances, strict=True):
        color = ORANGE if y == ROWS[0] else GREY
        model.text(0.13, y, char, ha="center", va="center", fontsize=11, color=color)
        model.barh(y, 0.5 * share, left=0.23, height=0.1, color=color)
        percent = f"{share:.0%}" if share > 0.005 else "<1%"
        model.text(0.26 + 0.5 * share, y, percent, va="center", fontsize=8.5, color=color)
    _draw_curve(training, *curve)
    for y, line in zip(ROWS, story, strict=True):
        for k, char in enumerate(line):
            color = ORANGE if k == len(line) - 1 else "k"
            inference.text(0.08 + 0.115 * k, y, char, va="center", fontsize=11, color=color)
    application.text(0.5, 0.68, f"{typed}▏", ha="center", va="center", fontsize=13)
    for x, offer in zip((0.2, 0.5, 0.8), offers, strict=True):
        button = {"boxstyle": "round", "fc": "w", "ec": EDGE}
        application.text(x, 0.32, offer, ha="center", va="center", fontsize=12, bbox=button)
    return ax


def _card(ax: Axes, i: int, name: str, note: str) -> Axes:
    """The i-th of five cards: its frame, its name, a note below; returns a place to draw on."""
    from matplotlib.patches import FancyBboxPatch

    x = 0.6 + 20.5 * i
    ax.add_patch(FancyBboxPatch((x, 6.6), 16, 20, "round,pad=0.3,rounding_size=1.2", fc=FACE, ec=EDGE))
    ax.text(x + 8, 29.6, name, ha="center", va="center", fontsize=11, color=BLUE)
    ax.text(x + 8, 5.2, note, ha="center", va="top", fontsize=8.5, color=GREY, linespacing=1.3)
    if i:
        ax.annotate("", (x - 0.5, 16.6), (x - 4.1, 16.6), arrowprops={"arrowstyle": "-|>", "color": "0.35", "lw": 1.6})
    place = ax.inset_axes([x, 6.6, 16, 20], transform=ax.transData)
    place.set(xlim=(0, 1), ylim=(0, 1))
    place.axis("off")
    return place


def _draw_curve(place: Axes, x: Sequence[float], y: Sequence[float], form: str) -> None:
    """A curve with its first and last value written beside it."""
    graph = place.inset_axes([0.14, 0.2, 0.72, 0.58])
    graph.plot(x, y, "o-", color=ORANGE, markersize=3)
    graph.axis("off")
    for k, up in ((0, -14 if y[0] < y[1] else 7), (-1, 7)):
        graph.annotate(form.format(y[k]), (x[k], y[k]), (0, up), textcoords="offset points", ha="center", fontsize=8.5)
