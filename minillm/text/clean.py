"""Cleaning of dirty Chinese web text, each step a function of its own: str in, str out, never an error.

`clean` runs them in the one order that works:
1. strip_html, before the entities: `&lt;b&gt;` is how a page writes the text <b>, and must stay text.
2. unescape_entities, before all that look at characters: `&#8203;` is a zero-width space in disguise.
3. strip_control, before normalisation: a zero-width space keeps a letter and its accent from composing.
4. to_halfwidth, before normalisation too: NFC composes an accent with A, but not with the full-width Ａ.
5. normalize (Unicode): what looks the same becomes the same.
6. remove_stop_words, if asked. It helps a classifier little and ruins a generator, so the default is off.
7. collapse_spaces, last, since every step before leaves gaps.

Each step is idempotent: a second time changes nothing. So are steps 3, 4, 5 and 7 together. With step 2 in,
`clean` is not, and should not be: the text <b> that step 2 brought out would be a tag to another step 1.
"""

from __future__ import annotations

import html as html_lib
import re
import unicodedata
from collections.abc import Callable, Collection
from html.parser import HTMLParser
from typing import Literal

Form = Literal["NFC", "NFKC"]

_HIDDEN = {"script", "style"}
_HIDE = "\ue000"  # of the private use area
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|br|caption|d[dlt]|div|fieldset|figcaption|figure|footer|form|h[1-6]|"
    "head|header|hr|html|li|main|nav|ol|option|p|pre|section|table|tbody|td|th|title|tr|ul"
)
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f"  # C0 and C1 controls; newline and tab stay
    "\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, direction, BOM, annotation
    "\ud800-\udfff\U000e0000-\U000e007f]"  # lone surrogates, tag characters
)
_HUGE_CODE = re.compile("&#[0-9]{9,};?")  # html.unescape fails on 5000 digits; Unicode ends at 1114111
_REPEATED_AMP = re.compile("&(?:(?:amp|#0*38|#[xX]0*26);)+")
_WIDE = "".join(chr(code) for code in range(0xFF01, 0xFF5F))  # the full-width twins of "!" to "~"
_NARROW = {ord(wide): ord(wide) - 0xFEE0 for wide in _WIDE}
_NARROW_ALNUM = {wide: narrow for wide, narrow in _NARROW.items() if chr(narrow).isalnum()}


def clean(
    text: str,
    *,
    html: bool = True,
    entities: bool = True,
    control: bool = True,
    width: bool = True,
    unicode: Form | None = "NFC",
    stop_words: Collection[str] | None = None,
    spaces: bool = True,
) -> str:
    """Run the steps that are switched on, in the order that the module's docstring gives reasons for.

    html=False is right for text that never was a web page: there, "x<y and y>z" is no tag.
    """
    if html:
        text = strip_html(text)
    if entities:
        text = unescape_entities(text)
    if control:
        text = strip_control(text)
    if width:
        text = to_halfwidth(text)
    if unicode is not None:
        text = normalize(text, unicode)
    if stop_words:
        text = remove_stop_words(text, stop_words)
    return collapse_spaces(text) if spaces else text


def strip_html(text: str) -> str:
    """Drop tags, comments, and scripts and styles with their content. A block tag leaves a newline."""
    return _until_stable(_strip_tags, text)  # "<<b>i>" without <b> is another tag


def unescape_entities(text: str) -> str:
    """`&nbsp;`, `&#20320;` and the like become their characters, also if a page escaped them twice."""
    return _until_stable(_unescape, text)


def strip_control(text: str) -> str:
    r"""Drop control, zero-width and direction characters, BOMs and lone surrogates; line ends become \n.

    Newline and tab stay. A joined emoji (family, flag of England) falls apart into its parts.
    """
    return _CONTROL.sub("", _NEWLINES.sub("\n", text))


def to_halfwidth(text: str, *, punctuation: bool = False) -> str:
    """Full-width ASCII letters and digits (Ａ, １) become half-width.

    Punctuation stays: ，！？：； are full-width forms as well, and right in Chinese. punctuation=True narrows
    these too (but not 。、《》, which have no ASCII twin).
    """
    return text.translate(_NARROW if punctuation else _NARROW_ALNUM)


def normalize(text: str, form: Form = "NFC") -> str:
    """Unicode normalisation. NFC composes e + accent. NFKC also turns ① into 1 and ，！？ into ASCII ,!?"""
    return unicodedata.normalize(form, text)


def remove_stop_words(text: str, stop_words: Collection[str]) -> str:
    """Drop the words of a list such as 的 了 是, as jieba cuts the text: 的 goes, 目的 stays."""
    from minillm.text.word import cut_words

    stop = frozenset(stop_words)
    return _until_stable(lambda text: "".join(word for word in cut_words(text) if word not in stop), text)


def collapse_spaces(text: str) -> str:
    r"""Runs of spaces (tab, no-break and ideographic space too) become one space, two or more blank lines
    one; no space at the ends of lines, no newline at the ends of the text."""
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(" ?\n ?", "\n", text)
    return re.sub("\n{3,}", "\n\n", text).strip()


def _until_stable(step: Callable[[str], str], text: str) -> str:
    """Repeat a step that only ever shortens until it changes nothing: that is what makes it idempotent."""
    while (shorter := step(text)) != text:
        text = shorter
    return text


def _unescape(text: str) -> str:
    return html_lib.unescape(_HUGE_CODE.sub("\ufffd", _REPEATED_AMP.sub("&", text)))


def _strip_tags(text: str) -> str:
    # The parser must not touch the entities: hide "&", and what hides it, too.
    parser = _Stripper()
    parser.feed(text.replace(_HIDE, f"{_HIDE}0").replace("&", f"{_HIDE}1"))
    parser.close()
    return "".join(parser.parts).replace(f"{_HIDE}1", "&").replace(f"{_HIDE}0", _HIDE)


class _Stripper(HTMLParser):
    """Collects the text between the tags in `parts`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self.inside: str | None = None  # the hidden element that we are in: they do not nest

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.inside = tag
        elif _BLOCK.fullmatch(tag):
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if _BLOCK.fullmatch(tag):  # <br/>
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = None
        elif _BLOCK.fullmatch(tag):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self.inside is None:
            self.parts.append(data)

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        return self.parse_bogus_comment(i)  # the inherited one raises AssertionError on <![x]>
