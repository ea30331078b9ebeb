"""Pictures: drawn, Chinese in them, small files, the same bytes each time."""

import io
import struct
import warnings
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("zhplot")

from minillm import canvas, viz

SENTENCE = "我爱北京天安门"
WEIGHTS = np.tril(np.full((7, 7), 0.25))


def pixels(ax, **options):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(viz.png(ax, **options))).convert("RGB")).astype(int)


def chunks(file):
    """The kinds of chunk in a PNG file."""
    at, kinds = 8, []
    while at < len(file):
        size, kind = struct.unpack(">I4s", file[at : at + 8])
        kinds.append(kind.decode())
        at += 12 + size
    return kinds


def word(text, family=None):
    ax = viz.new_axes(1, 1)
    ax.axis("off")
    ax.text(0.5, 0.5, text, fontsize=30, ha="center", va="center", fontfamily=family)
    return ax


FIVE = {
    "notes": [
        "读本里的一段\nfrom the reader",
        "“北”的后面\nwhat follows 北",
        "损失\nloss",
        "一次一个字\none at a time",
        "输入法\na keyboard",
    ],
    "page": ["他在黑板上写：", "“我爱北京天安”，", "问：“下一个字", "是什么？”全班", "一起喊：“门！”"],
    "chances": [("京", 0.8), ("海", 0.1), ("边", 0.05), ("方", 0.04), ("。", 0.001)],
    "curve": ([0, 1, 2], [7.2, 5.0, 4.5], "{:.1f}"),
    "story": ["我爱北", "我爱北京", "我爱北京天", "我爱北京天安", "我爱北京天安门"],
    "typed": "我爱北京",
    "offers": ["天", "的", "城"],
}
PICTURES = {
    "bars": lambda: viz.plot_bars(["一", "\n"], [1, 2], label="次 times", highlight=1),
    "distribution": lambda: viz.plot_distribution(
        list("京天安"), [0.5, 0.3, 0.2], compare=("原来 before", [0.4, 0.3, 0.3])
    ),
    "heatmap": lambda: viz.heatmap(WEIGHTS, SENTENCE, SENTENCE),
    "zipf": lambda: viz.plot_zipf(Counter("的的的了了我"), viz.plot_zipf([9, 4, 2, 1], label="词"), label="字"),
    "growth": lambda: viz.plot_growth([1, 10, 100], [1, 8, 40], law=(1.2, 0.8), label="字"),
    "pipeline": lambda: viz.pipeline(**FIVE),
    "loss": lambda: viz.plot_loss([{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "valid_loss": 2.5}]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_draw_all_their_characters(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")  # "Glyph 26159 missing from font(s) DejaVu Sans"
        image = pixels(PICTURES[name]())
    assert image.min() < 100, "something dark is there"
    assert (image[0, 0] == 255).all(), "on white"


def test_chinese_is_not_boxes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boxes = [pixels(word(text, "DejaVu Sans")) for text in ("京", "安")]
    assert (boxes[0] == boxes[1]).all(), "a font without Chinese draws the same box for both"
    drawn = [pixels(word(text)) for text in ("京", "安")]
    assert (drawn[0] != drawn[1]).any()
    assert (drawn[0] != boxes[0]).any()


def test_font_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    assert viz.use_chinese_font() is False


def test_png_is_small_and_always_the_same():
    first, second = (viz.png(PICTURES["heatmap"]()) for _ in range(2))
    assert first == second
    assert set(chunks(first)) <= {"IHDR", "PLTE", "IDAT", "IEND"}, "no date, no name of a program"
    full = viz.png(PICTURES["heatmap"](), colours=None)
    assert "tEXt" not in chunks(full)
    assert len(first) < len(full)
    assert np.abs(pixels(PICTURES["heatmap"]()) - pixels(PICTURES["heatmap"](), colours=None)).mean() < 3


def test_new_axes_makes_grids():
    axes = viz.new_axes(8, 3, 1, 2, sharey=True)
    assert axes.shape == (2,)
    assert axes[0].figure is axes[1].figure is canvas.figure_of(axes)
    assert canvas.figure_of([axes[0]]) is canvas.figure_of(axes[0].figure) is axes[0].figure
    axes[0].set_title("左 left")
    assert canvas.title_of(axes) == "左 left"


def test_show_prints_its_description_outside_a_notebook(capsys):
    viz.show(PICTURES["bars"](), alt="两个方框 two boxes")
    assert capsys.readouterr().out == "两个方框 two boxes\n"


def test_bars_stand_for_their_values():
    ax = viz.plot_distribution(list("京天安"), [0.5, 0.3, 0.2], limit=1)
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.3, 0.2]
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.30", "0.20"]
    assert ax.get_ylim() == (0, 1)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["京", "天", "安"]
    assert viz.plot_bars([" "], [1]).get_xticklabels()[0].get_text() == "␣", "a space is seen"
    with pytest.raises(ValueError, match="3 labels"):
        viz.plot_bars("一二三", [1, 2])


def test_heatmap_names_and_values():
    ax = viz.heatmap(WEIGHTS, SENTENCE, SENTENCE, label="权重 weight", limits=(0, 1))
    assert [label.get_text() for label in ax.get_xticklabels()] == list(SENTENCE)
    assert len(ax.texts) == 49
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.figure.axes[1].get_ylabel() == "权重 weight"
    masked = viz.heatmap(np.where(WEIGHTS > 0, WEIGHTS - 1, -np.inf), SENTENCE, SENTENCE)
    assert len(masked.texts) == 28, "masked cells stay empty"
    assert masked.images[0].get_clim() == (-0.75, 0.75), "white is zero"
    assert not viz.heatmap(np.eye(20), "一" * 20, "一" * 20).texts, "too many cells to write in"
    with pytest.raises(ValueError, match="shape"):
        viz.heatmap(WEIGHTS, SENTENCE, SENTENCE[1:])


def test_zipf_sorts_and_names():
    ax = viz.plot_zipf(Counter("的了了的的我"), named=2)
    assert list(ax.lines[0].get_ydata()) == [3, 2, 1]
    assert [text.get_text() for text in ax.texts] == ["的", "了"]
    viz.plot_zipf([1, 5], ax)
    assert ax.lines[0].get_color() != ax.lines[2].get_color(), "a second text has its own colour"


def test_growth_draws_the_law():
    ax = viz.plot_growth([1, 4], [1, 3], law=(2.0, 0.5))
    assert list(ax.lines[1].get_ydata()) == [2, 4]


def test_pipeline_keeps_words_in_their_cards():
    ax = viz.pipeline(**FIVE)
    ax.figure.canvas.draw()
    cards = [patch for patch in ax.patches if type(patch).__name__ == "FancyBboxPatch"]
    assert len(cards) == len(ax.child_axes) == 5
    for card, place in zip(cards, ax.child_axes, strict=True):
        outside = card.get_window_extent()
        for text in place.texts:
            inside = text.get_window_extent()
            assert outside.x0 < inside.x0 and inside.x1 < outside.x1, text.get_text()
            assert outside.y0 < inside.y0 and inside.y1 < outside.y1, text.get_text()
