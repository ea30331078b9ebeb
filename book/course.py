"""The course as a whole: every lesson in order, the address of the repository, the map of lessons."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from book.findings import Finding
from book.source import Lesson, read
from minillm.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


@dataclass
class Course:
    """`lessons` are those that can be built; `faults` say why the others cannot."""

    root: Path
    address: str
    lessons: list[Lesson]
    faults: list[Finding]

    def numbers(self) -> set[str]:
        """Of all lessons, those with faults too."""
        return {lesson.id for lesson in self.lessons} | {Path(fault.place).stem[:2] for fault in self.faults}

    def chosen(self, numbers: list[str]) -> list[Lesson]:
        """The lessons of these numbers, all without any. Raises UserError for one that is not there."""
        known = self.numbers()
        numbers = [Path(number).stem[:2] for number in numbers]
        for number in numbers:
            if number not in known:
                raise UserError(f"there is no lesson {number}: there are {', '.join(sorted(known)) or 'none'}")
        return [lesson for lesson in self.lessons if not numbers or lesson.id in numbers]


def address_of(root: Path) -> str:
    """The repository's address, which stands in pyproject.toml and nowhere else."""
    data = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    address = data.get("project", {}).get("urls", {}).get("Repository", "")
    if not ADDRESS.fullmatch(address):
        raise UserError('pyproject.toml: [project.urls] needs  Repository = "https://github.com/owner/name"')
    return str(address)


def load(root: Path = ROOT) -> Course:
    lessons: list[Lesson] = []
    faults: list[Finding] = []
    for path in sorted((root / "book" / "lessons").glob("*.py")):
        if path.name.startswith("_"):
            continue
        lesson, found = read(path, root)
        faults += found
        if lesson and any(lesson.id == other.id for other in lessons):
            faults.append(Finding(lesson.place, f"there are two lessons {lesson.id}: give one another number"))
        elif lesson:
            lessons.append(lesson)
    return Course(root, address_of(root), lessons, faults)


def course_map(course: Course) -> str:
    """notebooks/course.json: what the start page, the book and the progress table show of every lesson."""
    lessons = []
    for lesson in course.lessons:
        exercises = [
            {
                "name": exercise.name,
                "title": exercise.title,
                "kind": exercise.answer.kind,
                "difficulty": exercise.answer.difficulty,
                "minutes": exercise.answer.minutes,
                "points": exercise.answer.points,
            }
            for exercise in lesson.exercises()
        ]
        entry = {
            "id": lesson.id,
            "slug": lesson.slug,
            "title": lesson.title,
            "question": lesson.question,
            "minutes": lesson.minutes,
            "seconds": lesson.seconds,
            "needs": lesson.needs,
            "runs": lesson.runs,
            "exercises": exercises,
        }
        lessons.append(entry)
    return json.dumps({"address": course.address, "lessons": lessons}, ensure_ascii=False, indent=1) + "\n"
