"""Do the Chinese and the English of a pair agree? Formulas, links, code, headings, terms, and which side changed last.

A formula inside a sentence may stand oftener on one side, where the other says "it"; all else must agree in number.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from book import glossary, lock
from book.course import Course
from book.findings import Finding
from book.source import NAMES, Lesson, Pair

FENCE = re.compile(r"^(?P<mark>```+|~~~+)[^\n]*\n(?P<body>.*?)^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)(?P<mark>`+)(?!`)(?P<body>.+?)(?<!`)(?P=mark)(?!`)", re.DOTALL)
DISPLAY = re.compile(r"\$\$(?P<body>.+?)\$\$", re.DOTALL)
ENVIRONMENT = re.compile(r"\\begin\{(?P<mark>\w+\*?)\}(?P<body>.+?)\\end\{(?P=mark)\}", re.DOTALL)
INLINE = re.compile(r"(?<![\\$])\$(?![\s$])(?P<body>[^$\n]+?)(?<![\s\\])\$(?!\d)")
IMAGE = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<body>[^)\s]+)[^)]*\)")
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]*)\]\((?P<body>[^)\s]+)[^)]*\)")
BARE = re.compile(r"<?(?P<body>https?://[^\s<>()\"'，。；：、）」]+)>?")
REFERENCE = re.compile(r"^.*\((19|20)\d\d\w?\).*$", re.MULTILINE)  # titles of papers stay in their language
HEADING = re.compile(r"^(?P<body>#{1,6}) ", re.MULTILINE)


@dataclass
class Parts:
    """What must be the same in both languages, and the words that are left."""

    parts: dict[str, Counter[str]] = field(default_factory=dict)
    headings: list[int] = field(default_factory=list)
    words: str = ""


def take_apart(text: str) -> Parts:
    """Code first, so that a $ or a # in it means nothing; then formulas; then links."""
    parts = Parts()

    def take(name: str, pattern: re.Pattern[str], text: str) -> str:
        found = parts.parts.setdefault(name, Counter())

        def replace(match: re.Match[str]) -> str:
            body = match["body"] if name in ("link", "image") else match[0]
            found[_same(name, body)] += 1
            kept: str = match.groupdict().get("words") or ""
            return f" {kept} "

        return pattern.sub(replace, text)

    text = take("code block", FENCE, text)
    text = take("code span", SPAN, text)
    for pattern in (DISPLAY, ENVIRONMENT):
        text = take("formula", pattern, text)
    text = take("inline formula", INLINE, text)
    parts.parts["inline formula"] = Counter(set(parts.parts["inline formula"]))
    text = take("image", IMAGE, text)
    for pattern in (LINK, BARE):
        text = take("link", pattern, text)
    parts.headings = [len(match["body"]) for match in HEADING.finditer(text)]
    text = REFERENCE.sub("", text)
    parts.words = re.sub(r"<[^<>]*>", " ", text)  # HTML tags
    return parts


def _same(name: str, body: str) -> str:
    """White space in a formula, words in its \\text{}, and the language in a link within the course may differ."""
    if name.endswith("formula"):
        body = re.sub(r"\\text(bf|it|rm)?\{[^{}]*\}", r"\\text{}", body)
        return re.sub(r"\s+", "", body)
    if name == "link":
        return re.sub(r"\.(zh|en)\.md\b", ".md", re.sub(r"(^|/)(zh|en)/", r"\1*/", body))
    return body.strip()


def differences(pair: Pair) -> list[str]:
    """Where the two sides differ in what has no language."""
    zh, en = take_apart(pair.text["zh"]), take_apart(pair.text["en"])
    texts = []
    for name, counts in zh.parts.items():
        for body in sorted({*counts, *en.parts[name]}):
            in_zh, in_en = counts[body], en.parts[name][body]
            if in_zh != in_en:
                shown = " ".join(body.split())
                shown = shown if len(shown) <= 60 else shown[:57] + "..."
                times = f"{_times(in_zh)} in Chinese, {_times(in_en)} in English"
                texts.append(f"the {name} {shown} stands {times}: make them agree")
    if zh.headings != en.headings:
        texts.append(f"headings of levels {zh.headings} in Chinese, {en.headings} in English: make them agree")
    return texts


def faults(terms: list[glossary.Term], pair: Pair) -> list[str]:
    """Where the two sides differ in what has no language, and where their terms do."""
    words = {language: take_apart(text).words for language, text in pair.text.items()}
    return [*differences(pair), *glossary.faults(terms, words)]


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")


def review_state(lesson: Lesson, pair: Pair, known: lock.Lock) -> str:
    """Whether one side changed alone since both were reviewed; "" when not."""
    sides = lock.changed(known, lesson, pair)
    if not sides:
        return ""
    if len(sides) == 2 and lesson.id not in known:
        return ""  # never built: that is one finding, not one a pair
    if len(sides) == 2:
        return f"the pair is not recorded in {lock.PLACE} yet: run: make lessons LESSON={lesson.id}"
    changed, other = NAMES[sides[0]], NAMES["en" if sides[0] == "zh" else "zh"]
    return (
        f"the {changed} changed since the last review and the {other} did not: read the {other}, "
        f"then run: make reviewed LESSON={lesson.id} KEY={pair.key}"
    )


def findings(lesson: Lesson, course: Course, known: lock.Lock) -> list[Finding]:
    """Everything about the pairs of a lesson, the header's title and question among them."""
    terms = glossary.load(course.root)
    found = []
    for pair in lesson.pairs:
        texts = [*faults(terms, pair), review_state(lesson, pair, known)]
        found += [Finding(lesson.place, text, pair.key, pair.line) for text in texts if text]
    gone = set(known.get(lesson.id, {})) - {pair.key for pair in lesson.pairs}
    for key in sorted(gone):
        text = f'{lock.PLACE} still has the cell "{key}", which is gone: run: make lessons LESSON={lesson.id}'
        found.append(Finding(lesson.place, text))
    return found
