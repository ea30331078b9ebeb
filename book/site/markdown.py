"""Changes that the Markdown of a notebook needs before it is a page of the book."""

import posixpath
import re
from collections.abc import Callable

FENCE = re.compile(r"^\s*(```+|~~~+)")
HEADING = re.compile(r"^(#{1,6}) +(.*)$")
LINK = re.compile(r"(`+).+?\1(?!`)|\$[^$]+\$|(?<!!)\[(?P<words>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
OUTSIDE_IMAGE = re.compile(r"\[?!\[[^\]]*\]\(https?://[^)]*\)(\]\([^)]*\))?")


def map_prose(text: str, change: Callable[[str], str]) -> str:
    """Apply change to every line that is not inside a fenced code block."""
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark.group(1)
        elif mark and mark.group(1).startswith(fence):
            fence = ""
        elif not fence:
            line = change(line)
        lines.append(line)
    return "\n".join(lines)


def mark_headings(text: str, key: str) -> str:
    """Put a comment with a key before each heading: KEY, then KEY-2, KEY-3. extension.py makes section ids of them.

    The keys are the same in both languages, as the names of headings are not.
    """
    count = 0

    def change(line: str) -> str:
        nonlocal count
        if not HEADING.match(line):
            return line
        count += 1
        return f"\n% key {key if count == 1 else f'{key}-{count}'}\n\n{line}"

    return map_prose(text, change)


def change_links(text: str, change: Callable[[str], str | None]) -> str:
    """Give each link the target that change returns; with None only its words stay. Not in code or formulas."""

    def link(match: re.Match[str]) -> str:
        words, target = match["words"], match["target"]
        if target is None:  # code or a formula
            return match.group()
        target = change(target)
        return words if target is None else f"[{words}]({target})"

    return map_prose(text, lambda line: LINK.sub(link, line))


def drop_outside_images(text: str) -> str:
    """Without pictures from other servers, so that a page asks nobody but the book's own files."""
    return map_prose(text, lambda line: OUTSIDE_IMAGE.sub("", line))


def resolve(folder: str, target: str) -> tuple[str, str]:
    """A relative link in a file of that folder: (path from the repository's root, "#section" or "")."""
    path, mark, section = target.partition("#")
    return posixpath.normpath(posixpath.join(folder, path)), mark + section
