"""Pictures. The plot_ functions draw on matplotlib axes and return them. Chinese shows as Chinese."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minillm.errors import UserError

Axes = Any  # matplotlib is imported when something is drawn, not before


def new_axes(width: float = 7.0, height: float = 4.0) -> Axes:
    """Fresh axes, in inches, without a window or a global figure: they can be drawn on a server."""
    from matplotlib.figure import Figure

    use_chinese_font()
    return Figure(figsize=(width, height), layout="constrained").subplots()


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
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.94), edgecolor="none", framealpha=0.95)
    return ax


def smooth(values: list[float], weight: float = 0.9) -> list[float]:
    """Exponential moving average, corrected for its start at zero as Adam's are."""
    mean, out = 0.0, []
    for n, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        out.append(mean / (1 - weight**n))
    return out


def save_figure(ax: Axes, path: Any) -> None:
    """Save the figure that the axes belong to. UserError if the place cannot be written."""
    try:
        ax.figure.savefig(path, dpi=144)
    except OSError as error:
        raise UserError(f"cannot write the picture {path}: {error.strerror}; choose another place") from error
