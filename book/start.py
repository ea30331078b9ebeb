"""The start page, notebooks/start.ipynb: the map of lessons, how far the learner is, where to go on.

Made anew at each `make lab` from notebooks/course.json and the learner's progress. All of it but the last cell is
markdown, which JupyterLab shows without running anything. A style stands at each element because JupyterLab lets no
style sheet through, and names no colour of text or page, so that it is read in light and in dark.
"""

import csv
import json
import platform
from html import escape
from pathlib import Path
from typing import Any

from book.render import METADATA
from minillm.errors import UserError
from minillm.progress import Store
from minillm.text.files import write_text

PLACE = Path("notebooks") / "start.ipynb"
PARTS = Path(__file__).resolve().parent / "parts.csv"  # part 0, I, II ...: the first lesson of each

GREEN = "rgb(46, 160, 67)"
TINT = "rgba(46, 160, 67, 0.1)"
LINE = "1px solid rgba(128, 134, 142, 0.3)"
COLUMNS = (  # head and share of the width
    ("课", 6),
    ("", 19),
    ("Lesson", 25),
    ("先学 first", 8),
    ("分钟 min", 8),
    ("", 5),
    ("练习 exercises", 29),
)

WELCOME = """\
# MiniLLM：亲手写一个大语言模型

从一个字怎样变成数，到模型自己写出句子，每一步都自己动手。不用着急，一课回答一个问题，按自己的节奏来。

**A large language model, by hand.** From how a character becomes a number to a model that writes sentences: every step
is yours. Take your time. Each lesson answers one question."""

HOW = """\
## 怎样学 How it works

- **运行 Run.** 点一个格子，按 <kbd>Shift</kbd> <kbd>Enter</kbd>，从上到下。\
 Click a cell and press <kbd>Shift</kbd> <kbd>Enter</kbd>, from top to bottom.
- **练习 Exercises.** 在练习本里写你的代码，再运行它下面的 `check`：对了是绿框，错了会说哪里像是错了，还可以展开提示。\
 Write your code in the exercise notebook and run the `check` below it: a green box when it is right; when it is not,\
 what went wrong, and a hint if you unfold it.
- **答案 Solutions.** 练习本开头有答案本的链接，先自己想。 The exercise notebook links to its solutions; think first.
- **毕业设计 The capstone.** 学完第 12 课，合上书，\
[从一个空文件夹写出整个 GPT](../exercises/capstone/README.md)，十六步，步步有检查。 After lesson 12, close the book and\
 [write the whole GPT from an empty folder](../exercises/capstone/README.en.md): sixteen steps, each of them checked.
- **弄乱了？ A mess?** 菜单 Kernel → Restart Kernel and Run All Cells，从头再跑。 That menu starts afresh.
- **不只是看 Not only reading.** 课里的模型就是这些文件：[functional.py](../minillm/np/functional.py)、\
[attention.py](../minillm/np/attention.py)、[gpt.py](../minillm/np/gpt.py)……`make test` 检查每个公式和梯度。\
 The models of the lessons are these very files, and `make test` checks every formula and gradient of them.
- **提问 Questions.** [{address}/issues]({address}/issues)

**NP** 只用 NumPy is enough　·　**PT** 要 PyTorch needed　·　**GPU** 有显卡更好 better with one

---
这一页每次启动都会重写。运行下面的格子，看此刻的进度。 This page is rewritten at each start. Run the cell below to see
your progress as it is now."""

REFRESH = """\
from minillm.progress import show

show()  # in English: show("en")"""


def load_course(root: Path) -> dict[str, Any]:
    """notebooks/course.json. UserError: it is not there, or is none."""
    file = root / "notebooks" / "course.json"
    try:
        course = json.loads(file.read_text(encoding="utf-8"))
        return {"address": str(course["address"]), "lessons": list(course["lessons"])}
    except FileNotFoundError:
        raise UserError(
            "notebooks/course.json is not there: run  make lessons  (python -m book.build lessons)"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError("notebooks/course.json is damaged: run  make lessons  (python -m book.build lessons)") from None


def write(root: Path, store: Store) -> Path:
    """Write the start page of the course in `root` for a learner of this progress. UserError: it cannot be written."""
    place = root / PLACE
    write_text(place, json.dumps(page(load_course(root), store), ensure_ascii=False, indent=1) + "\n")
    return place


def page(course: dict[str, Any], store: Store) -> dict[str, Any]:
    """The start page as a notebook."""
    lessons = course["lessons"]
    texts = {
        "welcome": WELCOME,
        "next": next_step(lessons, store),
        "map": lesson_map(lessons, store),
        "how": HOW.format(address=course["address"]),
    }
    cells = [{"cell_type": "markdown", "id": name, "metadata": {}, "source": text} for name, text in texts.items()]
    refresh = {"cell_type": "code", "id": "progress", "metadata": {}, "source": REFRESH}
    # with the version, as the kernel will say it: otherwise the page counts as changed as soon as it is opened
    language = {**METADATA["language_info"], "version": platform.python_version()}
    return {
        "cells": [*cells, {**refresh, "execution_count": None, "outputs": []}],
        "metadata": {**METADATA, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


# ---------------------------------------------------------------------- where the learner is


def passed(lesson: dict[str, Any], store: Store) -> list[bool]:
    """For each exercise of the lesson, whether it was passed."""
    records = store.get(lesson["id"], {})
    return [bool(records.get(exercise["name"], {}).get("passed")) for exercise in lesson["exercises"]]


def recommended(lessons: list[dict[str, Any]], store: Store) -> dict[str, Any] | None:
    """The first lesson with an exercise left whose prerequisites have none left. None: all are done."""
    left = {lesson["id"]: lesson for lesson in lessons if not all(passed(lesson, store))}
    ready = (lesson for lesson in left.values() if not any(need in left for need in lesson["needs"]))
    return next(ready, next(iter(left.values()), None))


def next_step(lessons: list[dict[str, Any]], store: Store) -> str:
    """A box that names the lesson to open now."""
    lesson = recommended(lessons, store)
    if lesson is None:
        return _box("全部练习都做完了，祝贺你！", "All exercises done. Congratulations!", [])
    begun = any(map(any, (passed(lesson, store) for lesson in lessons)))
    zh, en = ("接着学", "Go on with") if begun else ("从这里开始", "Start here")
    links = [
        f"{_link(lesson, language)}　<span>{escape(lesson['question'][language])}</span>" for language in ("zh", "en")
    ]
    return _box(f"→ {zh}", en, links)


def _box(zh: str, en: str, lines: list[str]) -> str:
    style = f"border-left: 4px solid {GREEN}; background: {TINT}; padding: 10px 16px; max-width: 1048px"
    return f'<div style="{style}"><strong>{"<br>".join([f"{zh} {en}</strong>", *lines])}</div>'


# ---------------------------------------------------------------------- the map


def lesson_map(lessons: list[dict[str, Any]], store: Store) -> str:
    """All lessons as one HTML table, under the names of their parts."""
    parts = {part["first"]: part for part in read_parts()}
    now, current, rows = recommended(lessons, store), "", []
    for lesson in lessons:
        first = max(first for first in parts if first <= lesson["id"])
        if first != current:
            rows.append(_part(list(parts).index(first), parts[first]))
            current = first
        rows.append(_row(lesson, store, lesson is now))
    head = _tr("".join(_cell(f"<small>{name}</small>", f"; width: {share}%") for name, share in COLUMNS))
    style = "border-collapse: collapse; margin: 0; width: 100%; max-width: 1080px"
    body = "\n".join([head, *rows])
    return f'## 课程地图 The map\n\n<table style="{style}"><tbody>\n{body}\n</tbody></table>'


def read_parts() -> list[dict[str, str]]:
    """The parts of the course: first (the number of its first lesson), zh, en."""
    with PARTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _part(number: int, part: dict[str, str]) -> str:
    roman = ("0", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[number]
    title = f"<strong>{roman}　{escape(part['zh'])}</strong> {escape(part['en'])}"
    style = f"text-align: left; padding: 16px 8px 4px 8px; border-bottom: {LINE}"
    return _tr(f'<td colspan="{len(COLUMNS)}" style="{style}">{title}</td>')


def _row(lesson: dict[str, Any], store: Store, here: bool) -> str:
    done = passed(lesson, store)
    finished = bool(done) and all(done)
    mark = "→" if here else "✓" if finished else ""
    number = f'<span style="color: {GREEN}; font-weight: bold">{mark}</span> {lesson["id"]}'
    cells = [
        number,
        _link(lesson, "zh", numbered=False),
        _link(lesson, "en", numbered=False),
        " ".join(lesson["needs"]),
        str(lesson["minutes"]),
        escape(lesson["runs"]),
        _exercises(lesson, done),
    ]
    return _tr("".join(map(_cell, cells)), TINT if here else "transparent")


def _tr(cells: str, background: str = "transparent") -> str:
    return f'<tr style="background: {background}">{cells}</tr>'


def _cell(text: str, style: str = "") -> str:
    return f'<td style="text-align: left; padding: 6px 8px{style}">{text}</td>'


def _link(lesson: dict[str, Any], language: str, numbered: bool = True) -> str:
    title = f"{lesson['id']} {lesson['title'][language]}" if numbered else lesson["title"][language]
    question = escape(lesson["question"][language])
    return f'<a href="{language}/{lesson["slug"]}.ipynb" title="{question}">{escape(title)}</a>'


def _exercises(lesson: dict[str, Any], done: list[bool]) -> str:
    """How many are done, as dots and as figures, and the way to them."""
    if not done:
        return ""
    dots = f'<span style="color: {GREEN}">{"●" * sum(done)}</span>{"○" * (len(done) - sum(done))}'
    links = [
        f'<a href="../exercises/{language}/{lesson["slug"]}.ipynb">{name}</a>'
        for language, name in (("zh", "中文"), ("en", "English"))
    ]
    return f"{dots} {sum(done)}/{len(done)}&ensp;{' · '.join(links)}"
