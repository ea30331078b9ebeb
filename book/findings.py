"""What is wrong with a lesson, as one line that names the file, the cell and the remedy."""

from dataclasses import dataclass

from minillm.errors import UserError


@dataclass(frozen=True)
class Finding:
    """`place` is a path below the course's folder; `key` and `line` name a cell, where there is one."""

    place: str
    text: str
    key: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = self.place
        if self.key:
            where += f', cell "{self.key}"'
        if self.line:
            where += f" (line {self.line})" if self.key else f", line {self.line}"
        return f"{where}: {self.text}"


class Refused(UserError):
    """A lesson that cannot be built, with every reason."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings
