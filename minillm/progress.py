"""The learner's progress over all lessons, kept in one small JSON file of their own.

~/.minillm/progress.json, or the file that the environment variable MINILLM_PROGRESS names; set but empty, it
keeps nothing. The file holds, for each exercise tried, when it was first tried and first passed, and how often tried:

    {"version": 1, "exercises": {"05": {"softmax": {"tried": "2030-01-02T09:00:00", "passed": null, "tries": 3}}}}

Two notebooks may write at the same time: each change is made to what the file holds just then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import unicodedata
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from minillm.display import publish
from minillm.errors import UserError
from minillm.text.files import write_text

VARIABLE = "MINILLM_PROGRESS"
Store = dict[str, dict[str, dict[str, Any]]]  # lesson id -> exercise name -> record

_lock = threading.Lock()
_said: set[str] = set()


# ---------------------------------------------------------------------- the file


def path() -> Path | None:
    """Where progress is kept; None if the learner wants none kept. UserError: there is no home folder."""
    named = os.environ.get(VARIABLE, "~/.minillm/progress.json")
    try:
        return Path(named).expanduser() if named else None
    except RuntimeError:
        raise UserError(f"there is no home folder for {named}; name a file with {VARIABLE}") from None


def read(language: str = "zh") -> Store:
    """What the file holds. A damaged one becomes FILE.damaged, and a line says so. UserError: unreadable."""
    file = path()
    if file is None:
        return {}
    try:
        return _valid(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; name another file with {VARIABLE}") from None
    except (ValueError, RecursionError):  # not JSON, not UTF-8, not ours
        aside = file.with_name(file.name + ".damaged")
        try:
            os.replace(file, aside)
        except OSError as error:
            raise UserError(f"{file} is damaged: {error.strerror}; name another file with {VARIABLE}") from None
        _say(
            f"进度文件已损坏，保留为 {aside}，从头记录。",
            f"The progress file was damaged: kept as {aside}, starting afresh.",
            language,
        )
        return {}


def _valid(data: Any) -> Store:
    """The records of a file, or ValueError if it is not a progress file."""
    if not isinstance(data, dict) or data.get("version") != 1 or not isinstance(data.get("exercises"), dict):
        raise ValueError("not a progress file")
    for records in data["exercises"].values():
        for record in records.values() if isinstance(records, dict) else [None]:
            if not isinstance(record, dict) or not isinstance(record.get("tries"), int):
                raise ValueError("not a record of progress")
    return data["exercises"]


def record(lesson: str, name: str, passed: bool, language: str = "zh") -> None:
    """Count one try at an exercise. Where the file cannot be written, say so once and go on."""
    now = datetime.now().isoformat(timespec="seconds")
    try:
        file = path()
        if file is None:
            return
        with _lock:
            store = read(language)
            entry = store.setdefault(lesson, {}).setdefault(name, {"tried": now, "passed": None, "tries": 0})
            entry["tries"] += 1
            if passed and not entry.get("passed"):
                entry["passed"] = now
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"{file.parent}: {error.strerror}; name another file with {VARIABLE}") from None
            write_text(file, json.dumps({"version": 1, "exercises": store}, ensure_ascii=False, indent=1) + "\n")
    except UserError as error:
        _say(f"进度没有记下来：{error}", f"Progress was not kept: {error}", language, once="write")


def reset() -> Path | None:
    """Start afresh. The old file is kept beside as FILE.old, and returned; None if there was none."""
    file = path()
    if file is None or not file.exists():
        return None
    old = file.with_name(file.name + ".old")
    os.replace(file, old)
    return old


def _say(zh: str, en: str, language: str, once: str = "") -> None:
    if once and once in _said:
        return
    _said.add(once)
    print(zh if language == "zh" else en, file=sys.stderr)


# ---------------------------------------------------------------------- with the map of lessons


def course_map() -> list[dict[str, Any]]:
    """The lessons of notebooks/course.json, beside the package or above the current directory; [] if not found."""
    for folder in (Path(__file__).resolve().parent.parent, Path.cwd(), *Path.cwd().parents):
        try:
            return json.loads((folder / "notebooks" / "course.json").read_text(encoding="utf-8"))["lessons"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return []


def summary(language: str = "zh") -> dict[str, Any]:
    """Figures for machines and for the tables: {"lessons": [...], "done", "total", "next", "file"}.

    A lesson: id, title, done, total, exercises (name, title, passed, tries). Without a map of lessons it is what
    the file holds. next: the first exercise of the course not passed yet, or None.
    """
    store, lessons = read(language), []
    course = course_map() or [
        {"id": key, "title": {}, "exercises": [{"name": name} for name in store[key]]} for key in sorted(store)
    ]
    for lesson in course:
        records, exercises = store.get(lesson["id"], {}), []
        for item in lesson.get("exercises", []):
            entry = records.get(item["name"], {})
            title = item.get("title", {}).get(language, item["name"])
            passed, tries = entry.get("passed"), entry.get("tries", 0)
            exercises.append({"name": item["name"], "title": title, "passed": passed, "tries": tries})
        lessons.append(
            {
                "id": lesson["id"],
                "title": lesson.get("title", {}).get(language, ""),
                "notebook": f"exercises/{language}/{lesson['slug']}.ipynb" if "slug" in lesson else None,
                "done": sum(bool(item["passed"]) for item in exercises),
                "total": len(exercises),
                "exercises": exercises,
            }
        )
    following = next(
        (
            {"lesson": lesson["id"], "notebook": lesson["notebook"], "name": item["name"], "title": item["title"]}
            for lesson in lessons
            for item in lesson["exercises"]
            if not item["passed"]
        ),
        None,
    )
    done, total = sum(lesson["done"] for lesson in lessons), sum(lesson["total"] for lesson in lessons)
    return {"lessons": lessons, "done": done, "total": total, "next": following, "file": str(path() or "")}


# ---------------------------------------------------------------------- shown


def table(language: str = "zh") -> str:
    """Progress as text: a line for each lesson, then what comes next."""
    found = summary(language)
    if not found["lessons"]:
        return _pick(language, "还没有做过练习。", "No exercise tried yet.")
    names = [f"{lesson['id']} {lesson['title']}".rstrip() for lesson in found["lessons"]]
    column = max(map(width, names))
    lines = []
    for name, lesson in zip(names, found["lessons"], strict=True):
        filled = 10 * lesson["done"] // lesson["total"] if lesson["total"] else 0
        count = f"{lesson['done']}/{lesson['total']}" if lesson["total"] else "–"
        lines.append(f"{name}{' ' * (column - width(name))}  {'█' * filled}{'░' * (10 - filled)}  {count}")
    return "\n".join([*lines, "", _total(found, language), _next(found, language)])


def show(language: str = "zh") -> None:
    """Show progress in a notebook as a table with bars; anywhere else as text."""
    try:
        publish({"text/html": html(language), "text/plain": table(language)})
    except UserError as error:
        print(error)


def html(language: str = "zh") -> str:
    """Progress as an HTML table that carries its own style and leaves the text in the page's colour."""
    found = summary(language)
    head = _pick(language, ("课", "进度", "练习"), ("Lesson", "Progress", "Exercises"))
    cells = "".join(f'<th style="text-align: left; padding: 2px 14px 2px 0">{cell}</th>' for cell in head)
    rows = "".join(map(_row, found["lessons"]))
    below = f"{escape(_total(found, language))}<br>{escape(_next(found, language))}"
    return (
        f'<div lang="{_pick(language, "zh-CN", "en")}"><table style="border-collapse: collapse; color: inherit">'
        f"<tr>{cells}</tr>{rows}</table><p>{below}</p></div>"
    )


def _row(lesson: dict[str, Any]) -> str:
    share = 100 * lesson["done"] // lesson["total"] if lesson["total"] else 0
    bar = (
        '<div style="width: 9em; height: 0.7em; border-radius: 0.35em; background: rgba(128, 134, 142, 0.3)">'
        f'<div style="width: {share}%; height: 100%; border-radius: 0.35em; background: rgb(46, 160, 67)"></div></div>'
    )
    marks = " ".join(
        f'<span title="{escape(item["title"])}">{"✓" if item["passed"] else "✗" if item["tries"] else "○"}</span>'
        for item in lesson["exercises"]
    )
    cell = '<td style="text-align: left; padding: 2px 14px 2px 0">'
    return (
        f"<tr>{cell}{escape(lesson['id'])} {escape(lesson['title'])}</td>{cell}{bar}</td>"
        f"{cell}{lesson['done']}/{lesson['total']}&ensp;{marks}</td></tr>"
    )


def _total(found: dict[str, Any], language: str) -> str:
    done, total = found["done"], found["total"]
    return _pick(language, f"完成 {done}/{total} 个练习。", f"{done} of {total} exercises done.")


def _next(found: dict[str, Any], language: str) -> str:
    item = found["next"]
    if item is None:
        return _pick(language, "全部完成！", "All done!")
    where = f" ({item['notebook']})" if item["notebook"] else ""
    zh = f"下一个：第 {item['lesson']} 课，{item['title']}{where}"
    return _pick(language, zh, f"Next: lesson {item['lesson']}, {item['title']}{where}")


def _pick(language: str, zh: Any, en: Any) -> Any:
    return zh if language == "zh" else en


def width(text: str) -> int:
    """Columns that a text takes in a terminal: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)
