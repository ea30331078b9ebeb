"""The whole book of one language as a PDF: its pages joined to one, and printed by Chromium."""

import re
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from book.site.chromium import ARGUMENTS

NOT_PRINTED = "#ways, .headerlink, script, style, input, details, .tag_hide-cell, nav, .toctree-wrapper, button"
WAIT = "async () => { await MathJax.startup.promise; await document.fonts.ready; }"


def print_book(site: Path, target: Path, chromium: str) -> None:
    """Write the PDF at target from a built site: front page, lessons, glossary, with bookmarks and working links."""
    from playwright.sync_api import sync_playwright

    page_file = site / "print.html"
    page_file.write_text(joined(site), encoding="utf-8")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page()
            page.goto(page_file.as_uri())
            page.evaluate(WAIT)
            page.pdf(path=target, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
            browser.close()
    finally:
        page_file.unlink()


def joined(site: Path) -> str:
    """All pages in the order of the book as one HTML page. Ids get the page's name in front and stay unique."""
    front = BeautifulSoup((site / "index.html").read_text(encoding="utf-8"), "html.parser")
    names = ["index"]
    for link in front.select(".bd-docs-nav .toctree-l1 > a"):
        name = str(link["href"]).partition("#")[0].removesuffix(".html")
        if name and name not in (*names, "teaching"):
            names.append(name)
    articles = [_article(site, name, names) for name in names]
    html, head = front.html, front.h1
    assert html is not None and head is not None
    title = head.get_text().rstrip("#")
    mathjax = _mathjax(site, names)
    return (
        f'<!DOCTYPE html>\n<html lang="{html["lang"]}" data-theme="light">\n<head>\n'
        f'<meta charset="utf-8"><title>{title}</title>\n'
        '<link rel="stylesheet" href="_static/pygments.css"><link rel="stylesheet" href="_static/print.css">\n'
        f"{mathjax}\n</head>\n<body>\n" + "\n".join(articles) + "\n</body>\n</html>\n"
    )


def _mathjax(site: Path, names: list[str]) -> str:
    """MathJax and its settings, as the first page with a formula loads them."""
    for name in names:
        page = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        scripts = [str(tag) for tag in page.find_all("script") if re.search("MathJax|tex-svg", str(tag))]
        if scripts:
            return "\n".join(scripts)
    return "<script>MathJax = {startup: {promise: Promise.resolve()}}</script>"


def _article(site: Path, name: str, names: list[str]) -> str:
    """The article of one page. Links into the book lead within the joined page; others stay if they lead to the web."""
    page = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    article = page.select_one("article.bd-article")
    assert isinstance(article, Tag)
    for tag in article.select(NOT_PRINTED):
        tag.decompose()
    for tag in article.select("pre span.n, pre span.p, pre span.w, pre span:not([class])"):
        tag.unwrap()  # without colour; each would be an entry of the PDF's structure, and double its size
    article.smooth()
    for tag in article.select("[id]"):
        tag["id"] = f"{name}--{tag['id']}"
    for link in article.select("a[href]"):
        path, _, section = str(link["href"]).partition("#")
        other = path.removesuffix(".html") or name
        if other in names:
            link["href"] = f"#{other}--{section or 'title'}"
        elif not re.match(r"https?:", path):
            link.unwrap()
    article["class"] = f"page-{'lesson' if name[:2].isdigit() else name}"
    return str(article)
