"""A learner's first hour: `make lab` in a real JupyterLab and a real browser."""

import pytest
from browser import chromium, watch  # noqa: F401
from lab_session import Lab, Notebook, copy_course, open_start_page

from book.lab import own_folder

pytest.importorskip("jupyterlab")
pytest.importorskip("ipywidgets")

BADGE = "colab-badge.svg"  # the one picture that a notebook takes from outside
OVERTAKEN = "Canceled future for debug_request"  # JupyterLab's debugger panel, when a page closes before its reply
ANSWERS = {  # what a learner types into the cell of exercise first_loss, and what the box says
    "def first_loss(vocab_size):\n    return math.log2(vocab_size)": ("✗ 还不对", "以 2 为底"),
    "def first_loss(vocab_size):\n    return math.log(vocab_size)": ("✓ 通过", "first_loss"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory, chromium):  # noqa: F811  no server where there is no browser
    folder = tmp_path_factory.mktemp("lab")
    with Lab(copy_course(folder / "course"), folder / "home") as running:
        yield running


@pytest.fixture
def page(lab, chromium):  # noqa: F811
    """A laptop's window in which nothing may go wrong."""
    context = chromium.new_context(viewport={"width": 1366, "height": 860}, locale="zh-CN")
    page = context.new_page()
    page.route(
        f"**/{BADGE}",
        lambda route: route.fulfill(content_type="image/svg+xml", body="<svg xmlns='http://www.w3.org/2000/svg'/>"),
    )
    troubles = watch(page, lab.info["url"])
    yield page
    context.close()
    assert [trouble for trouble in troubles if BADGE not in trouble and OVERTAKEN not in trouble] == []


def test_a_lesson_from_the_start_page_to_its_widget(lab, page):
    start = open_start_page(page, lab)
    table = start.panel.locator("table")
    assert "开始 Start" in table.inner_text() and "Softmax and cross-entropy" in table.inner_text()
    assert table.bounding_box()["width"] <= start.panel.bounding_box()["width"], "the map is wider than the window"
    assert not start.changed, "the page asks to be saved although nobody touched it"
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0

    table.get_by_role("link", name="softmax 与交叉熵").click()
    lesson = Notebook(page, "notebooks/zh/05_softmax_loss.ipynb")
    flipbook = lesson.cell("play-run").locator(".jp-OutputArea-output input[type=range]")
    if own_folder():
        flipbook.wait_for()  # trusted: it is there before anything was run

    lesson.restart_and_run_all()
    assert lesson.errors() == []
    count = len(lesson.code_cells())
    assert [cell["execution_count"] for cell in lesson.code_cells()] == list(range(1, count + 1))

    widget = lesson.cell("play-run")
    picture, handle = widget.locator("img").first, widget.get_by_role("slider")
    handle.wait_for()
    before, value = picture.get_attribute("src"), handle.get_attribute("aria-valuenow")
    handle.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("([image, old]) => image.src !== old", arg=[picture.element_handle(), before])
    assert float(handle.get_attribute("aria-valuenow")) < float(value)


def test_an_exercise_answers_back_and_the_start_page_knows(lab, page):
    start = open_start_page(page, lab)
    start.panel.locator("tr", has_text="Softmax").get_by_role("link", name="中文").click()
    exercise = Notebook(page, "exercises/zh/05_softmax_loss.ipynb")
    exercise.restart_and_run_all()
    assert exercise.errors() == []
    box = exercise.cell("ex-first-loss-check").locator(".jp-OutputArea-output")
    assert "○ 还没完成" in box.inner_text()
    for code, says in ANSWERS.items():
        box = exercise.write_and_run("ex-first-loss-code", code)
        assert all(word in box.inner_text() for word in says), box.inner_text()

    page.get_by_role("tab", name="start.ipynb").click()
    start = Notebook(page, "notebooks/start.ipynb")
    start.cell("progress").locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    start.wait_until_idle()
    assert "1/" in start.cell("progress").locator("tr", has_text="05 softmax").inner_text()
