"""The code of a cell, as each notebook shows it: pasted from the package, with the answer or without it.

A line `from minillm.np.functional import softmax  # paste` becomes the current source of softmax. With `# stub`
solutions get that source, and exercises only its signature and docstring. What stands between `### BEGIN SOLUTION`
and `### END SOLUTION` goes into solutions; exercises get a placeholder, or the commented lines that stand directly
below between `### BEGIN STUB` and `### END STUB`.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

PLACEHOLDER = ("# 在这里写你的代码 your code here", "raise NotImplementedError")
DIRECTIVE = re.compile(r"^(?P<indent> *)from (?P<module>[\w.]+) import (?P<names>[\w, ]+?) *# *(?P<what>paste|stub) *$")
MARKER = re.compile(r"^ *### (BEGIN|END) (SOLUTION|STUB) *$", re.MULTILINE)
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_STUB, END_STUB = "### BEGIN STUB", "### END STUB"


class Lost(LookupError):
    """The package no longer has what a lesson pastes. The message says what to do."""


def package_source(root: Path, module: str, name: str) -> str:
    """The lines of a top-level function, class or constant of a module, decorators and all. Imports nothing."""
    path = root / (module.replace(".", "/") + ".py")
    if not path.is_file():
        path = root / module.replace(".", "/") / "__init__.py"
    if not path.is_file():
        raise Lost(f"there is no module {module}: name the one that holds {name} now")
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        first = node.lineno
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
            first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if any((alias.asname or alias.name) == name for alias in node.names):
                return package_source(root, node.module, name)
            continue
        else:
            continue
        if name in names:
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise Lost(f"{path.relative_to(root).as_posix()} has no {name} any more: write the name that it has now")


def _body_start(source: str) -> tuple[int, int]:
    """Where a function's body begins behind its docstring: the line's index, and its indent."""
    tree = ast.parse(source)
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef):
        raise Lost("# stub takes a function: for anything else write the stub out, with ### BEGIN SOLUTION markers")
    body = function.body
    has_docstring = ast.get_docstring(function) is not None
    last_kept = body[0].end_lineno if has_docstring else max(body[0].lineno - 1, 1)
    assert last_kept is not None
    return last_kept, body[0].col_offset


def with_markers(source: str) -> str:
    """A function of the package with its body between solution markers."""
    lines = source.splitlines()
    start, indent = _body_start(source)
    space = " " * indent
    return "\n".join([*lines[:start], space + BEGIN, *lines[start:], space + END])


def expand(code: str, root: Path) -> str:
    """Directives replaced by source; `# stub` leaves its body between solution markers. This is the teacher's form."""
    lines: list[str] = []
    for line in code.splitlines():
        found = DIRECTIVE.match(line)
        if not found:
            lines.append(line)
            continue
        names = [name.strip() for name in found["names"].split(",")]
        sources = [package_source(root, found["module"], name) for name in names]
        if found["what"] == "stub":
            sources = [with_markers(source) for source in sources]
        if lines and not found["indent"] and sources[0].startswith(("def ", "class ", "@")):
            while lines and not lines[-1].strip():
                lines.pop()
            lines += ["", ""] if lines else []
        pasted = "\n\n\n".join(sources).splitlines()
        lines += [found["indent"] + part if part else part for part in pasted]
    return "\n".join(lines)


def solution(code: str) -> str:
    """Expanded code with the answer, without markers and stubs."""
    return _walk(code, lambda answer, stub, space: answer)


def exercise(code: str) -> str:
    """Expanded code without the answer: the stub where there is one, else the placeholder."""

    def replace(answer: list[str], stub: list[str], space: str) -> list[str]:
        if not stub:
            return [space + line for line in PLACEHOLDER]
        return [re.sub(r"^( *)# ?", r"\1", line) for line in stub]

    return _walk(code, replace)


def _walk(code: str, region: Callable[[list[str], list[str], str], list[str]]) -> str:
    """Each solution region, with the stub below it, replaced by `region(answer, stub, indent)`."""
    lines, result = code.splitlines(), []
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if line.strip() != BEGIN:
            result.append(line)
            continue
        answer, index = _until(lines, index, END)
        stub: list[str] = []
        if index < len(lines) and lines[index].strip() == BEGIN_STUB:
            stub, index = _until(lines, index + 1, END_STUB)
        result += region(answer, stub, line[: len(line) - len(line.lstrip())])
    return "\n".join(result)


def _until(lines: list[str], index: int, end: str) -> tuple[list[str], int]:
    stop = next(number for number in range(index, len(lines)) if lines[number].strip() == end)
    return lines[index:stop], stop + 1


def marker_fault(code: str) -> str:
    """What is wrong with the markers of an answer cell; "" when nothing is."""
    stripped = [line.strip() for line in code.splitlines()]
    order = [line for line in stripped if line in (BEGIN, END, BEGIN_STUB, END_STUB)]
    stub = any((found := DIRECTIVE.match(line)) and found["what"] == "stub" for line in code.splitlines())
    if not order:
        return "" if stub else f"no answer to take out: put it between {BEGIN} and {END}, or paste it with  # stub"
    letters = {BEGIN: "B", END: "E", BEGIN_STUB: "S", END_STUB: "F"}
    if not re.fullmatch("(BE(SF)?)+", "".join(letters[line] for line in order)):
        return f"the markers do not match: {BEGIN} … {END}, then perhaps {BEGIN_STUB} … {END_STUB}"
    for number, line in enumerate(stripped):
        if line == BEGIN_STUB and stripped[number - 1] != END:
            return f"{BEGIN_STUB} stands directly below {END}"
    for begin in (number for number, line in enumerate(code.splitlines()) if line.rstrip() == BEGIN):
        end = stripped.index(END, begin)
        if end + 1 >= len(stripped) or stripped[end + 1] != BEGIN_STUB:
            return f"{BEGIN} stands outside of a function, where the exercise would stop: indent it, or give it a stub"
    inside = False
    for line in stripped:
        inside = (inside or line == BEGIN_STUB) and line != END_STUB
        if inside and line and line != BEGIN_STUB and not line.startswith("#"):
            return f"every line between {BEGIN_STUB} and {END_STUB} begins with #"
    return ""
