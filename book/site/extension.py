"""The book's Sphinx extension: keys as section ids, Chinese lines joined, the search's words and texts."""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from book.site.search_language import HAN, SearchBook

LOG = logging.getLogger(__name__)
TEXTS: dict[str, list[list[str]]] = {}  # by page; a process builds one site, from nothing
WIDE = HAN + "\u3000-\u303f\uff00-\uffef\u2014\u2018-\u201d\u2026"  # with Chinese punctuation
BROKEN_LINE = re.compile(rf"(?<=[{WIDE}])\n(?=[{WIDE}])")


def keys_to_ids(app: Sphinx, document: nodes.document) -> None:
    """A comment "key NAME" gives the next section its id: the same in both languages, as titles are not."""
    sections, seen = {}, set()
    for comment in list(document.findall(nodes.comment)):
        if not comment.astext().startswith("key "):
            continue
        key = comment.astext().removeprefix("key ").strip()
        section = next(comment.findall(nodes.section, include_self=False, siblings=True, ascend=True), None)
        comment.parent.remove(comment)
        if section is None:
            continue
        if key in seen:
            LOG.warning("the key %s stands twice", key, location=section)
        seen.add(key)
        section["ids"] = [key]
        document.ids[key] = section
        sections[key] = (section.line, key, section.next_node(nodes.title).astext())
    app.env.metadata[app.env.docname]["myst_slugs"] = sections  # so that a link may end in #NAME


def join_chinese_lines(app: Sphinx, document: nodes.document) -> None:
    """A line end between Chinese characters is no space."""
    for text in list(document.findall(nodes.Text)):
        if BROKEN_LINE.search(text) and not isinstance(text.parent, nodes.FixedTextElement | nodes.literal | nodes.raw):
            text.parent.replace(text, nodes.Text(BROKEN_LINE.sub("", text)))


def collect_texts(app: Sphinx, document: nodes.document, page: str) -> None:
    """Each section's id, title and text, for what search results show: [page's title, [id, title, text], ...]."""
    sections = [
        [section["ids"][0], section.next_node(nodes.title).astext(), " ".join(_text(section))]
        for section in document.findall(nodes.section)
    ]
    TEXTS[page] = sections


def _text(section: nodes.section) -> list[str]:
    """Words first, then code; without formulas on lines of their own, heads of tables, and lines of facts."""
    words, code = [], []
    for child in section.children:
        if isinstance(child, nodes.title | nodes.section) or "tag_hide-cell" in child["classes"]:
            continue
        for leaf in child.findall(nodes.TextElement):
            if isinstance(leaf, nodes.literal_block):
                code.append(leaf.astext())
            elif isinstance(leaf, nodes.math_block | nodes.raw | nodes.comment | nodes.Inline):
                continue
            elif "facts" not in leaf["classes"] and not isinstance(leaf.parent.parent.parent, nodes.thead):
                words.append("".join(map(_plain, leaf.children)))
    return [re.sub(r"\s+", " ", text) for text in words + code]


def _plain(node: nodes.Node) -> str:
    """A formula without its marks: "p_i = e^z_i" reads better in a line of results than LaTeX."""
    if isinstance(node, nodes.math):
        return re.sub(r"\\(?:[a-z]*(?:frac|rm|bf|text|mathbb))?|[{}]", " ", node.astext()).strip()
    return node.astext()


def write_texts(app: Sphinx, error: Exception | None) -> None:
    """A script, not JSON: pages opened from a folder may load scripts, and may not fetch files."""
    if error is None and app.builder.format == "html":
        data = json.dumps(TEXTS, ensure_ascii=False)
        Path(app.outdir, "_static", "search_texts.js").write_text(f"const SEARCH_TEXTS = {data};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_search_language(SearchBook)
    app.connect("doctree-read", keys_to_ids, priority=300)  # before Sphinx collects titles and ids
    app.connect("doctree-read", join_chinese_lines, priority=301)
    app.connect("doctree-resolved", collect_texts, priority=900)
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True}
