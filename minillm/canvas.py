"""What pictures are drawn on: axes without a window, Chinese in their labels, PNG files, showing them in notebooks.

A lesson draws with a function of minillm/viz.py and shows what it returns: `show(plot_loss(log))`.
"""

import io
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minillm.display import publish
from minillm.errors import UserError

Axes = Any  # matplotlib is imported when something is drawn, not before
DPI = 110  # dots per inch of a picture in a notebook: 770 across with the usual width
FONT = "Noto Sans SC"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: for everyone's eyes


def new_axes(width: float = 7.0, height: float = 4.0, rows: int = 1, columns: int = 1, **options: Any) -> Axes:
    """Fresh axes, in inches, without a window or a global figure: they can be drawn on a server.

    With more than one row or column, an array of axes as matplotlib's `subplots` gives; options go there too
    (sharey=True, width_ratios=[2, 1] ...).
    """
    from matplotlib.figure import Figure

    use_chinese_font()
    return Figure(figsize=(width, height), layout="constrained").subplots(rows, columns, **options)


def use_chinese_font() -> bool:
    """Let matplotlib write Chinese, with the Noto Sans SC that the package zhplot ships, behind its own font.

    Returns False, and changes nothing, if zhplot is not installed.
    """
    import matplotlib
    from matplotlib import font_manager

    spec = find_spec("zhplot")
    fonts = sorted(Path(spec.origin).parent.rglob("*.[ot]tf")) if spec and spec.origin else []
    if not fonts:
        return False
    if not any(entry.fname == str(fonts[0]) for entry in font_manager.fontManager.ttflist):
        font_manager.fontManager.addfont(fonts[0])
    name = font_manager.FontProperties(fname=str(fonts[0])).get_name()
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", name]
    matplotlib.rcParams["axes.unicode_minus"] = False
    return True


def figure_of(ax: Axes) -> Any:
    """The figure of axes, of an array or list of axes, or the figure itself."""
    if hasattr(ax, "savefig"):
        return ax
    while hasattr(ax, "__getitem__"):
        ax = ax[0]
    return ax.figure


def png(ax: Axes, dpi: float = DPI, colours: int | None = 256) -> bytes:
    """The picture as a PNG file, the same bytes for the same picture.

    A palette of at most `colours` makes it small; None keeps all colours and is the quickest.
    """
    raw = io.BytesIO()
    quick = {"compress_level": 1}
    figure_of(ax).savefig(raw, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs=quick)
    if colours is None:
        return raw.getvalue()
    from PIL import Image

    image = Image.open(raw).convert("RGB")
    small = image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    file = io.BytesIO()
    small.save(file, format="PNG", optimize=True)
    return file.getvalue()


def show(ax: Axes, alt: str = "") -> None:
    """Show a picture in a notebook, once. `alt` says in words what it shows, for those who cannot see it."""
    alt = alt or title_of(ax)
    publish({"image/png": b64encode(png(ax)).decode(), "text/plain": alt}, {"image/png": {"alt": alt}})


def title_of(ax: Axes) -> str:
    """The titles in a figure, for want of a better description of it."""
    figure = figure_of(ax)
    titles = [figure.get_suptitle(), *(each.get_title() for each in figure.axes)]
    return "；".join(t.replace("\n", " ") for t in titles if t) or "图 picture"


def save_figure(ax: Axes, path: Any) -> None:
    """Save the figure that the axes belong to. UserError if the place cannot be written."""
    try:
        figure_of(ax).savefig(path, dpi=144)
    except OSError as error:
        raise UserError(f"cannot write the picture {path}: {error.strerror}; choose another place") from error
