"""A picture that the reader plays with: sliders, choices, words to type.

    play(draw, temperature=Slider(0.2, 3, 0.1, 1, "温度 temperature"), alt="...")

draw(temperature=...) returns axes. With a kernel the controls are ipywidgets and the picture is drawn anew at each
move. The same output also holds a flip-book (minillm/flipbook.py) of the first slider or choice for pages without a
kernel, the still picture, and its description in words: whoever shows the output takes the best that it can.
"""

import unicodedata
import warnings
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape
from typing import Any

from minillm.canvas import figure_of, png, title_of
from minillm.display import publish
from minillm.errors import UserError
from minillm.flipbook import flipbook, still

VIEW = "application/vnd.jupyter.widget-view+json"  # the live widget among a cell's outputs; only a kernel can show it
FRAMES = 9  # pictures in a flip-book, at most
WIDTH = 640  # of a picture in a flip-book, in pixels
FRAME_DPI = WIDTH / 7  # so that a picture of the usual width of 7 inches fills it
PALETTE = 96  # its colours, at most
UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
PICTURE = {"max_width": "min(100%, 720px)", "align_self": "flex-start"}  # its own size: a box would stretch it
NO_GLYPH = "字体里没有其中一个字。 The font lacks one of the characters."


@dataclass(frozen=True)
class Slider:
    """A number from start to stop, by steps. Whole numbers stay whole."""

    start: float
    stop: float
    step: float
    value: float
    label: str = ""

    def __post_init__(self) -> None:
        check_value(self)

    @property
    def decimals(self) -> int:
        return max(-int(Decimal(str(x)).as_tuple().exponent) for x in (self.start, self.step, 0))

    def options(self) -> list[float]:
        count = round((self.stop - self.start) / self.step)
        return [self.clean(self.start + i * self.step) for i in range(count + 1)]

    def clean(self, value: float) -> float:
        whole = all(isinstance(x, int) for x in (self.start, self.step))
        return round(value) if whole else round(value, self.decimals)

    def text(self, value: float) -> str:
        return f"{value:.{self.decimals}f}"

    def widget(self, **style: Any) -> Any:
        import ipywidgets

        whole = all(isinstance(x, int) for x in (self.start, self.step))
        kind, form = (ipywidgets.IntSlider, "d") if whole else (ipywidgets.FloatSlider, f".{self.decimals}f")
        return kind(value=self.value, min=self.start, max=self.stop, step=self.step, readout_format=form, **style)


@dataclass(frozen=True)
class Choice:
    """One of several values; a mapping gives them names to show."""

    choices: Sequence[Any] | Mapping[str, Any]
    value: Any
    label: str = ""

    def __post_init__(self) -> None:
        check_value(self)

    def named(self) -> list[tuple[str, Any]]:
        pairs = self.choices.items() if isinstance(self.choices, Mapping) else ((str(c), c) for c in self.choices)
        return list(pairs)

    def options(self) -> list[Any]:
        return [value for _, value in self.named()]

    def clean(self, value: Any) -> Any:
        return value

    def text(self, value: Any) -> str:
        return next(name for name, option in self.named() if option == value)

    def widget(self, **style: Any) -> Any:
        import ipywidgets

        return ipywidgets.Dropdown(options=self.named(), value=self.value, **style)


@dataclass(frozen=True)
class Words:
    """A short text to type, at most `longest` characters; `known` are those that draw can take (None: all)."""

    value: str
    label: str = ""
    longest: int = 16
    known: Collection[str] | None = field(default=None, repr=False)

    def clean(self, value: str) -> str:
        """What draw gets. UserError in a friendly tone if that cannot be."""
        text = "".join(c for c in unicodedata.normalize("NFC", value).strip() if c.isprintable())
        if not text:
            raise UserError("写几个字试试，再按回车。 Type a few characters, then press Enter.")
        if len(text) > self.longest:
            raise UserError(
                f"最多 {self.longest} 个字，这里有 {len(text)} 个。 At most {self.longest} characters here."
            )
        strange = "".join(dict.fromkeys(c for c in text if self.known is not None and c not in self.known))
        if strange:
            raise UserError(f"模型没见过：{strange}。换几个字试试。 The model has never seen these; try others.")
        return text

    def widget(self, **style: Any) -> Any:
        import ipywidgets

        return ipywidgets.Text(value=self.value, continuous_update=False, placeholder="写几个字，按回车", **style)


@dataclass(frozen=True)
class Toggle:
    """Yes or no."""

    value: bool
    label: str = ""

    def clean(self, value: bool) -> bool:
        return value

    def widget(self, **style: Any) -> Any:
        import ipywidgets

        return ipywidgets.Checkbox(value=self.value, indent=False, **style)


def check_value(control: Slider | Choice) -> None:
    if control.value not in control.options():
        raise ValueError(f"the value {control.value!r} is not one of {control.options()}")


Control = Slider | Choice | Words | Toggle


class Player:
    """What play() shows: a drawing function with its controls. `box` holds the widgets, None without ipywidgets."""

    def __init__(self, draw: Callable[..., Any], alt: str, controls: Mapping[str, Control]) -> None:
        self.draw = draw
        self.controls: dict[str, Any] = dict(controls)
        self.start = {name: control.clean(control.value) for name, control in self.controls.items()}
        self.alt = alt or title_of(draw(**self.start))
        self.widgets: dict[str, Any] = {}
        try:
            import ipywidgets
        except ImportError:
            self.box = None
            return
        self.picture = ipywidgets.Image(value=self.render(self.start), format="png", layout=PICTURE)
        self.message = ipywidgets.HTML()
        self.say("")
        style = {"style": {"description_width": "initial"}, "layout": {"width": "auto", "max_width": "480px"}}
        for name, control in self.controls.items():
            self.widgets[name] = control.widget(description=control.label or name, **style)
            self.widgets[name].observe(self.redraw, names="value")
        self.box = ipywidgets.VBox([*self.widgets.values(), self.message, self.picture])

    def render(self, values: Mapping[str, Any]) -> bytes:
        """The picture for these values of the controls, quickly."""
        return png(self.draw(**values), colours=None)

    def redraw(self, change: Any = None) -> None:
        """Draw what the controls say now. What goes wrong is told in one line; the last picture stays."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                values = {name: self.controls[name].clean(widget.value) for name, widget in self.widgets.items()}
                self.picture.value = self.render(values)
                said = NO_GLYPH if any("Glyph" in str(w.message) for w in caught) else ""
            except UserError as error:
                said = str(error)
            except Exception as error:
                said = f"画不出来 cannot draw: {type(error).__name__}: {error}"
        self.say(said)

    def say(self, said: str) -> None:
        """One line over the picture; and what the picture shows, for a screen reader: the widget has no alt text."""
        line = f'<span role="status" style="color:#b3500a">{escape(said.splitlines()[0])}</span>' if said else ""
        self.message.value = f'{line}<span style="{UNSEEN}">{escape(self.alt)}</span>'

    def html(self) -> tuple[str, bytes]:
        """The flip-book of the first slider or choice, or the still picture; and the still as a file."""
        turned = next((n for n, control in self.controls.items() if isinstance(control, Slider | Choice)), None)
        if turned is None:
            picture = self.small(self.start)
            return still(picture, self.alt), picture
        control = self.controls[turned]
        values, at = frames_of(control.options(), self.start[turned])
        frames = [self.small({**self.start, turned: value}) for value in values]
        label = control.label or turned
        return flipbook(frames, [control.text(v) for v in values], at, label, self.alt), frames[at]

    def small(self, values: Mapping[str, Any]) -> bytes:
        figure = figure_of(self.draw(**values))
        return png(figure, dpi=min(FRAME_DPI, WIDTH / figure.get_size_inches()[0]), colours=PALETTE)

    def bundle(self) -> dict[str, Any]:
        """The output of the cell, in all its formats."""
        html, picture = self.html()
        bundle: dict[str, Any] = {"text/plain": self.alt, "image/png": b64encode(picture).decode(), "text/html": html}
        if self.box is not None:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
            bundle[VIEW] = view
        return bundle


def frames_of(options: Sequence[Any], value: Any) -> tuple[list[Any], int]:
    """At most FRAMES of the options, evenly spread from first to last and with value among them; and its place."""
    count = min(FRAMES, len(options))
    places = [round(i * (len(options) - 1) / max(1, count - 1)) for i in range(count)]
    nearest = min(range(count), key=lambda i: abs(places[i] - options.index(value)))
    places[nearest] = options.index(value)
    return [options[place] for place in places], nearest


def play(draw: Callable[..., Any], /, *, alt: str = "", **controls: Control) -> None:
    """Show a picture with controls: draw(**values) returns axes. `alt` says in words what it shows."""
    publish(Player(draw, alt, controls).bundle())
