"""The map of lessons, notebooks/course.json, and links between lessons, other files of the course and the book."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from book.site.markdown import resolve
from book.site.words import RUNS, WORDS
from book.start import load_course


@dataclass(frozen=True)
class Course:
    """The lessons that exist, in order, and the repository's address."""

    root: Path
    address: str
    lessons: list[dict[str, Any]]

    @classmethod
    def read(cls, root: Path) -> "Course":
        data = load_course(root)
        return cls(root, data["address"].rstrip("/"), data["lessons"])

    def colab(self, path: str) -> str:
        """Where Colab opens a notebook of the repository."""
        address = self.address.replace("https://github.com", "https://colab.research.google.com/github")
        return f"{address}/blob/main/{path}"

    def link(self, target: str, language: str, folder: str) -> str:
        """The book's link for one that stands in a file of this folder, notebooks/zh say.

        Lessons and their exercises lead to pages of the book, other files of the course to the repository.
        """
        if "://" in target or target.startswith(("#", "mailto:")):
            return target
        path, section = resolve(folder, target)
        for lesson in self.lessons:
            slug = lesson["slug"]
            if path == f"notebooks/{language}/{slug}.ipynb":
                return f"{slug}.ipynb{section}"
            if path == f"exercises/{language}/{slug}.ipynb":
                return f"{slug}.ipynb{section or '#exercises'}"
        kind = "tree" if (self.root / path).is_dir() else "blob"
        return f"{self.address}/{kind}/main/{path}{section}"

    def facts(self, lesson: dict[str, Any], language: str) -> list[str]:
        """Minutes, lessons needed before, what it runs on: Markdown."""
        words = WORDS[language]
        known = {other["id"]: other for other in self.lessons}
        needs = []
        for need in lesson["needs"]:
            if need in known:
                needs.append(f"[{need} {known[need]['title'][language]}]({known[need]['slug']}.ipynb)")
            else:
                needs.append(need)
        before = f"{words['needs']} {words['comma'].join(needs)}" if needs else words["nothing"]
        return [words["minutes"].format(lesson["minutes"]), before, RUNS[lesson["runs"]][language]]
