"""A new lesson from the template; a new address for the repository."""

import re
from pathlib import Path

from book.course import ADDRESS
from minillm.errors import UserError

TEMPLATE = "book/lessons/_template.py"


def new_lesson(root: Path, number: str, name: str) -> str:
    """Write book/lessons/NN_name.py. Gives a line on what to do next."""
    example = "such as  make new-lesson N=08 NAME=heads_positions"
    if not re.fullmatch(r"\d\d", number):
        raise UserError(f'"{number}" is no lesson number: two digits, {example}')
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f'"{name}" is no lesson name: small letters, digits and _, {example}')
    folder = root / "book" / "lessons"
    there = sorted(folder.glob(f"{number}_*.py"))
    if there:
        raise UserError(f"lesson {number} is there already: {there[0].relative_to(root).as_posix()}")
    path = folder / f"{number}_{name}.py"
    text = (root / TEMPLATE).read_text(encoding="utf-8")
    path.write_text(text.replace("NN", number), encoding="utf-8")
    place = path.relative_to(root).as_posix()
    checks = f"exercises/checks/lesson{number}.py"
    return f"{place}: write it, and its checkers in {checks}, then run: make lessons LESSON={number}"


def set_address(root: Path, url: str) -> None:
    """Write the repository's address into pyproject.toml, from where the build takes it."""
    url = url.strip().removesuffix("/").removesuffix(".git")
    if not ADDRESS.fullmatch(url):
        raise UserError(f'"{url}" is no address of a repository: make address URL=https://github.com/owner/name')
    path = root / "pyproject.toml"
    text, count = re.subn(
        r'^Repository = ".*"$', f'Repository = "{url}"', path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE
    )
    if not count:
        raise UserError('pyproject.toml: [project.urls] needs a line  Repository = "https://github.com/owner/name"')
    path.write_text(text, encoding="utf-8")
