"""Pictures to play with: with a kernel, without one, without scripts."""

import io
import json
import re
import sys
from base64 import b64decode

import pytest

from book.site.chromium import ARGUMENTS, find_chromium
from minillm import viz, widgets
from minillm.errors import UserError
from minillm.flipbook import flipbook
from minillm.widgets import Choice, Player, Slider, Toggle, Words, frames_of, play

pytest.importorskip("matplotlib")
ipywidgets = pytest.importorskip("ipywidgets")

VIEW = "application/vnd.jupyter.widget-view+json"
TEMPERATURE = Slider(0.2, 3.0, 0.1, 1.0, label="温度 temperature")


def bars(temperature=1.0, colour="蓝"):
    return viz.plot_distribution("京安", [0.7 / temperature, 0.3], limit=4, title=f"{colour} {temperature}")


def written(sentence):
    if "坏" in sentence:
        raise RuntimeError("first line\nsecond line")
    return viz.plot_bars(sentence, [1] * len(sentence))


@pytest.fixture(scope="module")
def player():
    return Player(bars, "两根柱子 two bars", {"temperature": TEMPERATURE})


@pytest.fixture(scope="module")
def bundle(player):
    return player.bundle()


def stored(html):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])


def test_one_output_holds_all_formats(player, bundle):
    assert set(bundle) == {VIEW, "text/html", "image/png", "text/plain"}
    assert bundle[VIEW]["model_id"] == player.box.model_id
    assert bundle["text/plain"] == "两根柱子 two bars"
    still = re.search(r'<img [^>]*src="data:image/png;base64,([^"]*)"', bundle["text/html"])[1]
    assert still == bundle["image/png"], "the still picture is the first thing that the page shows"


def test_flipbook_needs_nothing_from_outside(bundle):
    html = bundle["text/html"]
    assert "http" not in html and "//" not in re.sub(r"base64,[^\"]*|(?m:;\s+//.*$)", "", html)
    assert html.count("<script") == html.count("</script>") == 2
    assert 'alt="两根柱子 two bars"' in html
    assert html.index("<img") < html.index("<script"), "without scripts the picture is there and no dead slider"
    assert "<input" not in html.split("<script")[0]


def test_flipbook_has_few_small_frames(bundle):
    from PIL import Image

    book = stored(bundle["text/html"])
    assert len(book["frames"]) == len(book["values"]) == widgets.FRAMES
    assert book["values"][0] == "0.2" and book["values"][-1] == "3.0" and book["values"][book["start"]] == "1.0"
    assert book["frames"][book["start"]] is None, "the still picture is not stored twice"
    files = [b64decode(uri.split(",")[1]) for uri in book["frames"] if uri]
    assert len(set(files)) == 8
    for file in files:
        assert len(file) < 12_000
        image = Image.open(io.BytesIO(file))
        assert image.mode == "P" and image.width <= widgets.WIDTH and not image.info.get("Software")


def test_the_same_input_gives_the_same_bytes():
    first, second = (Player(bars, "", {"temperature": Slider(1, 2, 1, 1)}).bundle() for _ in range(2))
    assert first.pop(VIEW) != second.pop(VIEW)
    assert first == second


@pytest.mark.parametrize(
    ("options", "value", "frames", "at"),
    [
        (list(range(5)), 4, [0, 1, 2, 3, 4], 4),
        (list(range(17)), 8, list(range(0, 17, 2)), 4),
        (list(range(17)), 9, [0, 2, 4, 6, 9, 10, 12, 14, 16], 4),
        (["only"], "only", ["only"], 0),
    ],
)
def test_frames_reach_from_end_to_end_and_hold_the_start(options, value, frames, at):
    assert frames_of(options, value) == (frames, at)


def test_nothing_in_a_label_ends_the_script():
    html = flipbook([viz.png(bars())] * 2, ["</script><b>", "b"], 1, "</script>", '"<i>')
    assert html.count("</script>") == 2
    assert stored(html)["label"] == "</script>"
    assert 'alt="&quot;&lt;i&gt;"' in html


def test_moving_the_slider_draws_anew(player):
    before = player.picture.value
    player.widgets["temperature"].value = 2.0
    assert player.picture.value == viz.png(bars(2.0), colours=None) != before
    player.widgets["temperature"].value = 1.0
    assert player.picture.value == before


def test_slider_values_are_clean():
    assert TEMPERATURE.options()[1:3] == [0.3, 0.4]
    assert TEMPERATURE.clean(0.1 + 0.2) == 0.3
    whole = Slider(1, 5, 2, 3)
    assert whole.options() == [1, 3, 5] and all(isinstance(v, int) for v in whole.options())
    assert isinstance(whole.widget(), ipywidgets.IntSlider)
    assert isinstance(TEMPERATURE.widget(), ipywidgets.FloatSlider)
    with pytest.raises(ValueError, match=r"0\.25 is not one of"):
        Slider(0.2, 3.0, 0.1, 0.25)
    with pytest.raises(ValueError, match="is not one of"):
        Choice(["a", "b"], "c")


def test_a_choice_shows_its_names():
    seen = []

    def draw(**values):
        seen.append(values)
        return bars()

    choice = Choice({"有 with": True, "没有 without": False}, False, label="掩码 mask")
    player = Player(draw, "", {"words": Words("北京"), "mask": choice, "grid": Toggle(True)})
    book = stored(player.bundle()["text/html"])
    assert (book["label"], book["values"], book["start"]) == ("掩码 mask", ["有 with", "没有 without"], 1)
    player.widgets["mask"].value = True
    player.widgets["grid"].value = False
    assert seen[-1] == {"words": "北京", "mask": True, "grid": False}
    assert player.alt == "蓝 1.0", "for want of a description, the title"


def test_words_alone_have_a_still_picture():
    bundle = Player(written, "句子 sentence", {"sentence": Words("北京")}).bundle()
    assert "<script" not in bundle["text/html"] and "<img" in bundle["text/html"]


def message(player):
    return re.sub("<[^>]*>", "", player.message.value).removesuffix(player.alt)


def test_what_goes_wrong_is_told_in_one_line_and_forgotten():
    player = Player(written, "句子", {"sentence": Words("北京", longest=4, known="北京天安门坏𠮷🦄")})
    box, before = player.widgets["sentence"], player.picture.value
    for text, said in [
        ("坏", "画不出来 cannot draw: RuntimeError: first line"),
        ("   ", "写几个字"),
        ("北京天安门", "最多 4 个字"),
        ("京<b>", "没见过：&lt;b&gt;"),
    ]:
        box.value = text
        assert said in message(player)
        assert "second" not in message(player)
        assert player.picture.value == before, "the last picture stays"
    box.value = "天安门"
    assert message(player) == "" and player.picture.value != before
    box.value = "🦄"
    assert "字体" in message(player)


def test_words_are_cleaned():
    assert Words("", known=None).clean(" 北\u200b京\n ") == "北京"
    with pytest.raises(UserError):
        Words("").clean("\n")


def test_a_drawing_that_fails_from_the_start_fails_loudly():
    with pytest.raises(RuntimeError):
        Player(written, "", {"sentence": Words("坏")})


def test_without_ipywidgets_the_flipbook_is_left(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    plain = Player(bars, "", {"temperature": Slider(1, 2, 1, 1)}).bundle()
    assert VIEW not in plain and len(stored(plain["text/html"])["frames"]) == 2


def test_outside_a_notebook_the_description_is_printed(capsys):
    play(bars, alt="两根柱子 two bars", colour=Choice(["蓝", "红"], "蓝"))
    assert capsys.readouterr().out == "两根柱子 two bars\n"


def test_in_a_kernel_there_is_one_output_and_no_noise():
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    code = [
        "from minillm import viz\nfrom minillm.widgets import Slider, play\n"
        "def draw(n):\n    return viz.plot_bars('京安', [n, 2])\n"
        "play(draw, n=Slider(1, 3, 1, 2), alt='柱子')",
        "viz.show(viz.plot_bars('一二', [1, 2]), alt='方框')",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in code])
    client(book, timeout=120, kernel_name="python3").execute()
    (playing,), (shown,) = (cell.outputs for cell in book.cells)
    assert set(playing.data) == {VIEW, "text/html", "image/png", "text/plain"}
    assert shown.data["text/plain"] == "方框" and set(shown.data) == {"image/png", "text/plain"}


def test_flipbook_turns_in_a_browser(tmp_path, bundle):
    chromium = find_chromium()
    sync = pytest.importorskip("playwright.sync_api")
    if not chromium:
        pytest.skip("no Chromium")
    page_file = tmp_path / "page.html"
    html = f"<!doctype html><meta charset=utf-8><body>{bundle['text/html']}{bundle['text/html']}"
    page_file.write_text(html, encoding="utf-8")
    with sync.sync_playwright() as start:
        browser = start.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(page_file.as_uri())
        bars, images = page.locator("input[type=range]"), page.locator("img")
        assert bars.count() == 2, "one slider each"
        before = images.nth(0).get_attribute("src")
        bars.nth(1).focus()
        page.keyboard.press("ArrowRight")
        assert images.nth(0).get_attribute("src") == before != images.nth(1).get_attribute("src")
        assert bars.nth(1).get_attribute("aria-valuetext") == "1.2"
        assert images.nth(1).get_attribute("alt") == "两根柱子 two bars (温度 temperature 1.2)"
        page.keyboard.press("ArrowLeft")
        assert images.nth(1).get_attribute("src") == before
        page.emulate_media(media="print")
        assert not page.locator("label").nth(0).is_visible() and images.nth(0).is_visible()
        assert not errors
        browser.close()
