"""The command line of the lesson machine: python -m book.build lessons | check | reviewed | new | address | nbgrader"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import nbformat
from nbformat import NotebookNode

from book import check, lock, scaffold, twins
from book.course import ROOT, Course, course_map, load
from book.execute import Failed, execute, normal, outputs_of, put
from book.findings import Finding, Refused
from book.render import Built, dumps, render
from book.source import Lesson
from minillm.errors import UserError

WORKERS = 2


def write(path: Path, text: str) -> None:
    """Whole or not at all; a file that says the same already keeps its date."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def current_outputs(built: Built, root: Path) -> dict[str, list[NotebookNode]] | None:
    """Those of the notebook on disk, if they belong to this code."""
    path = root / built.place
    if not path.exists():
        return None
    try:
        old = nbformat.read(path, as_version=4)
    except Exception:  # whatever nbformat finds wrong with a damaged file, it is built anew
        return None
    if old.metadata.get("minillm", {}).get("code") != built.code_hash:
        return None
    return {key: normal(outputs) for key, outputs in outputs_of(old).items()}


def build(lesson: Lesson, course: Course, force: bool = False, run: bool = True) -> str:
    """All notebooks of a lesson, or none of them. Gives a line on what was done."""
    notebooks = render(lesson, course)
    done: dict[tuple[str, str], dict[str, list[NotebookNode]]] = {}
    times = []
    for built in notebooks:
        if not built.executed:
            continue
        if built.kind == "lesson" and built.language == "en":  # the same code: executed once, in Chinese
            put(built.notebook, done["lesson", "zh"])
            continue
        outputs = None if force else current_outputs(built, course.root)
        if outputs is None and not run:
            raise UserError(f"{built.place} was executed with other code: run first: make lessons LESSON={lesson.id}")
        if outputs is None:
            begin = perf_counter()
            try:
                outputs = execute(built.notebook, (course.root / built.place).parent)
            except Failed as error:
                line = next((cell.line for cell in lesson.cells if cell.key == error.key), 0)
                text = f"the {built.kind} notebook in {built.language} stops here with {error}; nothing was written"
                raise Refused([Finding(lesson.place, text, error.key, line)]) from error
            times.append(f"{built.kind} {built.language} {perf_counter() - begin:.0f} s")
        done[built.kind, built.language] = outputs
        put(built.notebook, outputs)
    for built in notebooks:
        write(course.root / built.place, dumps(built.notebook))
    ran = f"executed: {', '.join(times)}" if times else "outputs kept, the code is the same"
    return f"{lesson.place}: {len(notebooks)} notebooks; {ran} (the header promises at most {lesson.seconds} s)"


def lessons(course: Course, numbers: list[str], force: bool = False, run: bool = True) -> int:
    """Build lessons, two at a time; then the map of lessons and the lock. 1 if one could not be built."""
    chosen = course.chosen(numbers)
    wanted = {Path(number).stem[:2] for number in numbers}
    faults = [fault for fault in course.faults if not numbers or Path(fault.place).stem[:2] in wanted]
    for fault in faults:
        print(fault, file=sys.stderr)
    failed = bool(faults)

    def one(lesson: Lesson) -> str | Exception:
        try:
            return build(lesson, course, force, run)
        except (Refused, UserError) as error:
            return error

    done = []
    with ThreadPoolExecutor(WORKERS) as workers:
        for lesson, result in zip(chosen, workers.map(one, chosen), strict=True):
            if isinstance(result, Exception):
                failed = True
                print(result, file=sys.stderr)
                continue
            print(result)
            done.append(lesson)
    reviewed = lock.load(course.root)  # only now: another build may have written it meanwhile
    for lesson in done:
        lock.update(reviewed, lesson)
        for finding in twins.findings(lesson, course, reviewed):
            print(f"make check will say: {finding}")
    if not numbers:
        for number in set(reviewed) - course.numbers():
            del reviewed[number]
    write(course.root / lock.PLACE, lock.dumps(reviewed))
    write(course.root / "notebooks" / "course.json", course_map(load(course.root)))
    return int(failed)


def reviewed(course: Course, number: str, keys: list[str]) -> int:
    """Say that both sides of pairs were read."""
    chosen = course.chosen([number])
    if not chosen:
        raise UserError(f"lesson {number} cannot be read: run make check, which says why")
    lesson = chosen[0]
    known = lock.load(course.root)
    done = lock.review(known, lesson, keys)
    write(course.root / lock.PLACE, lock.dumps(known))
    print(f"{lesson.place}: reviewed {', '.join(done)}")
    return 0


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.build", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("lessons", help="build and execute the notebooks")
    command.add_argument("numbers", nargs="*", help="lessons, such as 05; all without any")
    command.add_argument("--force", action="store_true", help="execute even where the code did not change")
    commands.add_parser("check", help="everything that drifted, one line each")
    command = commands.add_parser("reviewed", help="both sides of a pair were read")
    command.add_argument("number")
    command.add_argument("keys", nargs="*")
    command = commands.add_parser("new", help="begin a lesson from the template")
    command.add_argument("number")
    command.add_argument("name", help="small letters and _, such as heads_positions")
    command = commands.add_parser("address", help="change the repository's address everywhere")
    command.add_argument("url", help="https://github.com/owner/name")
    command = commands.add_parser("nbgrader", help="write an nbgrader course of these lessons' exercises")
    command.add_argument("folder", type=Path)
    command.add_argument("numbers", nargs="*", help="lessons, such as 05; all without any")
    command.add_argument("--language", choices=("zh", "en"), default="zh")
    words = parser.parse_args(argv)
    try:
        if words.command == "new":
            print(scaffold.new_lesson(root, words.number, words.name))
            return 0
        if words.command == "address":
            scaffold.set_address(root, words.url)
            return lessons(load(root), [], run=False)
        course = load(root)
        if words.command == "lessons":
            return lessons(course, words.numbers, words.force)
        if words.command == "check":
            return check.main(course)
        if words.command == "reviewed":
            return reviewed(course, words.number, words.keys)
        from book.classroom import write_course

        return write_course(course, words.folder, words.numbers, words.language)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
