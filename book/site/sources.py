"""The sources that Sphinx reads, a folder a language: from notebooks, exercises, glossary and front pages."""

import csv
import shutil
from html import escape
from pathlib import Path
from typing import Any

from book.site.course import Course
from book.site.markdown import change_links, mark_headings
from book.site.page import lesson_page
from book.site.pages import run_pages
from book.site.words import LANGUAGES, PARTS, RUNS, WORDS, part_of

HERE = Path(__file__).resolve().parent


def assemble(root: Path, target: Path, pdf: bool) -> None:
    """Write target/zh and target/en anew, from the course in root. pdf: whether the front pages offer the PDFs."""
    course = Course.read(root)
    executed = run_pages(course)
    for language in LANGUAGES:
        folder = target / language
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(HERE / "locale", folder / "locale")
        pages = {f"{lesson['slug']}.ipynb": lesson_page(course, lesson, language) for lesson in course.lessons}
        glossary, teaching = root / "book" / "glossary.csv", root / "book" / "teaching" / f"teaching.{language}.md"
        if glossary.is_file():
            pages["glossary.md"] = glossary_page(glossary, language)
        if teaching.is_file():
            text = teaching.read_text(encoding="utf-8")
            pages["teaching.md"] = teaching_page(course, text, language)
        pages |= executed[language]
        lessons = {lesson["slug"] for lesson in course.lessons}
        more = [Path(name).stem for name in pages if Path(name).stem not in lessons]
        pages["index.md"] = front_page(course, language, more, pdf)
        for name, text in pages.items():
            (folder / name).write_text(text, encoding="utf-8")


def teaching_page(course: Course, text: str, language: str) -> str:
    """What teachers need, from book/teaching."""
    text = change_links(text, lambda target: course.link(target, language, "book/teaching"))
    return mark_headings(text, "teaching")


def front_page(course: Course, language: str, more: list[str], pdf: bool) -> str:
    """The front page: front.zh.md with the map of lessons in its place, and the table of contents for the sidebar."""
    text = (HERE / f"front.{language}.md").read_text(encoding="utf-8")
    if not pdf:
        text = "\n".join(line for line in text.split("\n") if ".pdf" not in line)
    text = text.replace("{address}", course.address).replace("{map}", lesson_map(course, language))
    trees = []
    for first, part in PARTS.items():
        slugs = [lesson["slug"] for lesson in course.lessons if part_of(lesson["id"]) == first]
        trees.append((part[language], slugs))
    trees.append((WORDS[language]["more"], more))
    for caption, names in trees:
        if names:
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(names) + "\n```\n"
    return text


def lesson_map(course: Course, language: str) -> str:
    """All lessons as HTML, by parts: number, title, question, minutes, what they need."""
    words, lines, part = WORDS[language], [], ""
    for lesson in course.lessons:
        if part_of(lesson["id"]) != part:
            part = part_of(lesson["id"])
            lines.append(f'<p class="part">{escape(PARTS[part][language])}</p>')
        lines.append(_map_entry(lesson, language, words))
    return '<div class="lesson-map">\n' + "\n".join(lines) + "\n</div>"


def _map_entry(lesson: dict[str, Any], language: str, words: dict[str, str]) -> str:
    needs = f"{words['needs']} {words['comma'].join(lesson['needs'])}" if lesson["needs"] else ""
    facts = [words["minutes"].format(lesson["minutes"]), needs, RUNS[lesson["runs"]][language]]
    return (
        f'<a href="{lesson["slug"]}.html"><span class="number">{lesson["id"]}</span>'
        f'<span class="name">{escape(lesson["title"][language])}</span>'
        f'<span class="asks">{escape(lesson["question"][language])}</span>'
        f'<span class="facts">{" · ".join(fact for fact in facts if fact)}</span></a>'
    )


def glossary_page(path: Path, language: str) -> str:
    """One table in the alphabet of the page's language. For Chinese that is GB 18030: common characters by pinyin."""
    words, other = WORDS[language], "en" if language == "zh" else "zh"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: shown(row[language]).casefold().encode("gb18030" if language == "zh" else "utf-8"))
    heads = {"zh": words["chinese"], "en": words["english"]}
    lines = [f"| {heads[language]} | {heads[other]} | {words['note']} |", "|---|---|---|"]
    for row in rows:
        note, wrong = row[f"note_{language}"], row[f"not_{language}"].replace("|", words["comma"])
        wrong = f"*{words['not']}{wrong}*" if wrong else ""
        lines.append(f"| **{shown(row[language])}** | {shown(row[other])} | {note} {wrong} |")
    title = f"% key glossary\n\n# {words['glossary']}\n\n{words['glossary-intro']}"
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def shown(forms: str) -> str:
    """Of the ways to write a term, as book/glossary.py tells them apart, the one for readers: the first whole word."""
    options = forms.split("|")
    whole = [option for option in options if not option.endswith("*")]
    return (whole or options)[0].strip("~*")
