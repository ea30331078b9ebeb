"""Diagrams: boxes with arrows between them, as a picture that shows wherever pictures show."""

from collections.abc import Sequence

from minillm.canvas import COLOURS, Axes, new_axes


def flow(
    boxes: Sequence[str],
    ax: Axes | None = None,
    *,
    notes: Sequence[str] = (),
    arrows: Sequence[str] = (),
    highlight: int | None = None,
    title: str = "",
) -> Axes:
    """Boxes from left to right with arrows between them. Lines of a box are parted by newlines.

    notes  small text under each box     arrows  small text over each arrow     highlight  index of a box to colour
    """
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    n, gap = len(boxes), 0.45 if not any(arrows) else 0.8  # a box is one unit wide
    lines = max(box.count("\n") + 1 for box in boxes)
    below = max((note.count("\n") + 1 for note in notes), default=0)
    tall = 0.2 + 0.2 * lines
    width = n + gap * (n - 1)
    ax = ax or new_axes(1.25 * width + 0.2, 1.25 * (tall + 0.17 * below) + (0.55 if title else 0.2))
    for i, box in enumerate(boxes):
        x = i * (1 + gap)
        face, edge = ("#FBE3D6", COLOURS[1]) if i == highlight else ("#E3F0F8", COLOURS[0])
        ax.add_patch(
            FancyBboxPatch(
                (x + 0.06, 0.06), 0.88, tall - 0.12, "round,pad=0.06", facecolor=face, edgecolor=edge, lw=1.5
            )
        )
        ax.text(x + 0.5, tall / 2, box, ha="center", va="center", fontsize=12, linespacing=1.35)
        if i < len(notes):
            ax.text(x + 0.5, -0.08, notes[i], ha="center", va="top", fontsize=9, color="0.3", linespacing=1.3)
        if i:
            start, stop = (x - gap + 0.03, tall / 2), (x - 0.03, tall / 2)
            ax.add_patch(FancyArrowPatch(start, stop, arrowstyle="-|>", mutation_scale=14, color="0.3", lw=1.4))
            if i <= len(arrows):
                ax.text(x - gap / 2, tall / 2 + 0.08, arrows[i - 1], ha="center", va="bottom", fontsize=9, color="0.3")
    ax.set_xlim(-0.05, width + 0.05)
    ax.set_ylim(-0.1 - 0.17 * below, tall + 0.05)
    ax.set_aspect("equal")
    ax.set_title(title)
    ax.axis("off")
    return ax
