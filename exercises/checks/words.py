"""Text in both languages, and what a check ends with."""

from __future__ import annotations

from typing import NamedTuple


class T(NamedTuple):
    """One text in Chinese and in English. `backticks` mark code."""

    zh: str
    en: str

    def say(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    def then(self, other: T) -> T:
        """This text, then the other as its next sentence."""
        return T(self.zh + other.zh, f"{self.en} {other.en}".strip())


NOTHING = T("", "")


class Result(NamedTuple):
    """What a check found. slug: the mistake's name, "" when passed; the same seed draws the same hidden data."""

    passed: bool
    slug: str
    message: T
    seed: int


class Failure(Exception):
    """The learner's function does not do what it should, and this is how."""

    def __init__(self, slug: str, message: T) -> None:
        super().__init__(slug, message)
        self.slug, self.message = slug, message
