"""The built book in a browser, opened from its folder as a reader without a server would."""

import json
import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from browser import chromium, watch  # noqa: F401
from processes import python

from book.site.exercises import read_hints
from conftest import ROOT

bs4 = pytest.importorskip("bs4", reason="the book's packages are not installed")
for package in ("myst_nb", "sphinx_book_theme", "sphinx_copybutton", "brotli"):
    pytest.importorskip(package, reason="the book's packages are not installed")

LANGUAGES = ("zh", "en")
PHONE = {"width": 390, "height": 844}
COURSE = json.loads((ROOT / "notebooks" / "course.json").read_text(encoding="utf-8"))
SLUGS = [lesson["slug"] for lesson in COURSE["lessons"]]
PAGES = ["index", "glossary", "search", "pictures", *SLUGS]


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Both languages, built from the committed notebooks; the PDFs too where a browser is there to print them."""
    out = tmp_path_factory.mktemp("book")
    done = python("-m", "book.site", "--out", out, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def page(chromium, site):  # noqa: F811
    """A page in which nothing may go wrong."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN")
    page = context.new_page()
    troubles = watch(page, site.as_uri())
    yield page
    context.close()
    assert not troubles


def article(site: Path, language: str, name: str):
    """The parsed article of a built page."""
    return bs4.BeautifulSoup((site / language / f"{name}.html").read_text(encoding="utf-8"), "html.parser").article


def said(page) -> str:
    """What an article says, in small letters, without the line of facts, which names other lessons."""
    for facts in page.select(".facts"):
        facts.decompose()
    return page.get_text().lower()


def url(site: Path, language: str, name: str, rest: str = "") -> str:
    return (site / language / f"{name}.html").as_uri() + rest


def press_switch(page) -> None:
    """With the mouse alone: playwright's own click scrolls the page to bring the sticky bar "into view"."""
    box = page.locator("a.language-switch").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_page_opens_without_trouble(site, page, language, name):
    page.set_viewport_size(PHONE)
    page.goto(url(site, language, name))
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], "scrolls sideways on a phone"
    assert page.get_attribute("html", "lang") == ("zh-CN" if language == "zh" else "en")
    assert page.locator("a.language-switch").is_visible()
    if page.locator(".math").count():
        page.evaluate("async () => { await MathJax.startup.promise; }")
        assert page.locator("mjx-container").count() == page.locator(".math").count()
        assert page.locator("[data-mml-node='merror']").count() == 0, "a formula that MathJax does not understand"
    alts = page.locator("article img").evaluate_all("pictures => pictures.map(picture => picture.alt)")
    assert not [alt for alt in alts if not alt or alt.endswith(".png")], "a picture without words for it"
    text = page.evaluate("""() => {
        const copy = document.querySelector("main").cloneNode(true);
        copy.querySelectorAll("pre, code, script, style, .math").forEach((element) => element.remove());
        return copy.textContent;
    }""")
    assert not re.search(r"\*\*|\$\$|\]\(", text), "Markdown that did not become what it meant"


@pytest.mark.parametrize("slug", SLUGS)
def test_sections_have_the_same_ids_in_both_languages(site, slug):
    ids = [[section["id"] for section in article(site, language, slug).select("section")] for language in LANGUAGES]
    assert ids[0] == ids[1]
    assert len(ids[0]) > 5
    assert not [name for name in ids[0] if re.fullmatch(r"id\d+", name)], "a section without a key"


@pytest.mark.parametrize(("slug", "width"), [(slug, (1280, 390)[i % 2]) for i, slug in enumerate(SLUGS)])
def test_switch_lands_on_the_same_section(site, page, slug, width):
    page.set_viewport_size({"width": width, "height": 850})
    sections = [section["id"] for section in article(site, "zh", slug).select("section section")]
    section = sections[len(sections) // 2]
    page.goto(url(site, "zh", slug, f"#{section}"))
    page.evaluate("async () => { await MathJax.startup.promise; }")
    page.wait_for_timeout(100)
    press_switch(page)
    page.wait_for_url(f"**/en/{slug}.html#{section}")
    page.evaluate("async () => { await MathJax.startup.promise; }")
    page.wait_for_timeout(100)
    assert 0 <= page.locator(f"[id='{section}']").bounding_box()["y"] < 425


def test_switch_takes_the_section_that_one_scrolled_to(site, page):
    page.goto(url(site, "en", SLUGS[-1], "#exercises"))
    page.evaluate("async () => { await MathJax.startup.promise; }")
    third = page.locator("article section section[id]").nth(2).get_attribute("id")
    page.evaluate(f"document.getElementById('{third}').scrollIntoView({{behavior: 'instant'}})")
    press_switch(page)
    page.wait_for_url(f"**/zh/{SLUGS[-1]}.html#{third}")


@pytest.mark.parametrize(
    ("language", "query"),
    [("zh", word) for word in ("自注意力", "交叉熵", "字节对编码", "熵", "attention", "softmax", "softmax 温度")]
    + [("en", word) for word in ("attention", "softmax", "cross-entropy", "北京")],
)
def test_search_finds_every_page_that_has_the_words(site, page, language, query):
    words = query.split()
    texts = {name: said(article(site, language, name)) for name in PAGES if name != "search"}
    # the map on the front page is no text of its own, so it need not be found
    expected = {name for name, text in texts.items() if name != "index" and all(word in text for word in words)}
    page.goto(url(site, language, "search", f"?q={quote(query)}"))
    page.wait_for_selector(".search-summary:not(:empty)")
    links = page.locator("ul.search p.page a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    found = {link.removesuffix(".html") for link in links}
    assert expected <= found
    if expected:
        marks = page.locator("ul.search > li").first.locator("mark").all_inner_texts()
        assert set(re.findall(r"\w+", query)) <= {mark.lower() for mark in marks}
    else:
        assert not found


def test_search_finds_words_by_their_stem_and_nothing_by_nonsense(site, page):
    for query, some in (("softmaxes", True), ("交叉 熵", True), ("熵叉交", False), ("qwxz", False), ("the", False)):
        page.goto(url(site, "zh", "search", f"?q={quote(query)}"))
        page.wait_for_selector(".search-summary:not(:empty)")
        assert bool(page.locator("ul.search > li").count()) == some, query


def test_a_result_leads_to_its_section_with_the_word_marked(site, page):
    page.goto(url(site, "zh", "search", f"?q={quote('交叉熵')}"))
    link = page.locator("ul.search p.section a").first
    target = link.get_attribute("href").partition("#")[2]
    link.click()
    page.wait_for_url(f"**#{target}*")
    assert "交叉熵" in page.locator(f"[id='{target}'] span.highlighted").all_inner_texts()


def test_browser_and_index_cut_words_alike(site, page):
    from book.site.search_language import SearchBook

    page.goto(url(site, "zh", "search"))
    cutter = SearchBook({})
    for query in ("自注意力", "softmax 温度", "字节对编码BPE", "熵", "p_i", "row_dot 与attention", "α2β", "Don't"):
        cut = page.evaluate("query => splitQuery(query)", query)
        assert cut and set(cut) <= set(cutter.split(query)), query


def test_flip_book_moves_by_keyboard(site, page):
    pages = [slug for slug in SLUGS if article(site, "zh", slug).select(".minillm-flip script")]
    assert pages, "no lesson has a widget that moves"
    for slug in pages:
        page.goto(url(site, "zh", slug))
        book = page.locator(".minillm-flip:has(input)").first
        book.locator("input").focus()
        seen = []
        for key in ("Home", "ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
            seen.append(book.locator("img").get_attribute("src"))
        assert seen[0] == seen[2] != seen[1]


def test_dark_and_light(site, page):
    page.emulate_media(color_scheme="light")
    page.goto(url(site, "zh", SLUGS[-1]))
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(shade)
    page.click(".theme-switch-button")
    page.click(".theme-change-button[data-mode=dark]")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.evaluate(shade) != light
    shades = "pictures => pictures.map(picture => getComputedStyle(picture).backgroundColor)"
    assert set(page.locator("div.cell_output img").evaluate_all(shades)) == {"rgb(255, 255, 255)"}


@pytest.mark.parametrize("slug", SLUGS)
def test_code_has_copy_buttons_and_exercises_fold_their_hints(site, page, slug):
    lesson = next(lesson for lesson in COURSE["lessons"] if lesson["slug"] == slug)
    page.goto(url(site, "en", slug))
    cells = page.locator("div.cell_input pre").count()
    assert cells and page.locator("div.cell_input button.copybtn").count() == cells
    exercises = page.locator("section#exercises > section")
    assert exercises.count() == len(lesson["exercises"])
    assert exercises.locator("p.facts").count() == exercises.count()
    assert exercises.locator("details.hint:not([open])").count() == len(read_hints(lesson["id"], "en"))
    assert "BEGIN SOLUTION" not in page.content()


def test_first_page_goes_to_the_readers_language(site, chromium):  # noqa: F811
    for locale, language in (("zh-TW", "zh"), ("fr-FR", "en")):
        context = chromium.new_context(locale=locale)
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        page.wait_for_url(f"**/{language}/index.html")
        context.close()
    links = [link["href"] for link in bs4.BeautifulSoup((site / "index.html").read_text("utf-8"), "html.parser")("a")]
    assert all((site / link).is_file() for link in links) and len(links) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_within_the_site_lead_somewhere(site, language):
    paths = (site / language).glob("*.html")
    pages = {path.name: bs4.BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in paths}
    ids = {name: {tag["id"] for tag in page.select("[id]")} for name, page in pages.items()}
    for name, page in pages.items():
        for link in page.select("main a[href]"):
            target, _, section = link["href"].partition("#")
            if re.match(r"https?:|mailto:", target):
                continue
            assert os.path.exists(site / language / (target or name)), f"{name}: {link['href']}"
            assert not section or section in ids[target or name], f"{name}: {link['href']}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_printed_book_is_whole(site, chromium, language):  # noqa: F811
    from book.site.pdf import joined

    pdf = (site / f"MiniLLM.{language}.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", pdf)) > len(SLUGS)
    whole = bs4.BeautifulSoup(joined(site / language), "html.parser")
    ids = [tag["id"] for tag in whole.select("[id]")]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in whole.select("a[href^='#']")} <= set(ids)
    heads = [head.get_text()[:2] for head in whole.select("h1")]
    assert heads[1:-2] == [slug[:2] for slug in SLUGS]  # then the glossary and the page of pictures
    assert not whole.select("details, button, input")


def test_font_has_every_chinese_character_of_the_book(site):
    from fontTools.ttLib import TTFont

    for language in LANGUAGES:
        have = set(TTFont(site / language / "_static" / "han.woff2").getBestCmap())
        for name in ("glossary", *SLUGS):
            text = article(site, language, name).get_text()
            assert {ord(c) for c in text if "\u4e00" <= c <= "\u9fff"} <= have
