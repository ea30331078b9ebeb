"""book/reviewed.json: what both sides of each pair said when they last agreed.

A pair that is new, or of which both sides changed, counts as reviewed when it is built. A pair of which
one side changed does not, until the other one changes too or somebody says that it was read.
"""

import hashlib
import json
import unicodedata
from pathlib import Path

from book.source import LANGUAGES, Lesson, Pair
from minillm.errors import UserError

PLACE = "book/reviewed.json"
Lock = dict[str, dict[str, dict[str, str]]]  # lesson -> key -> language -> hash


def fingerprint(text: str) -> str:
    """The same for texts that differ in white space only."""
    words = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def fingerprints(pair: Pair) -> dict[str, str]:
    return {language: fingerprint(pair.text[language]) for language in LANGUAGES}


def load(root: Path) -> Lock:
    path = root / PLACE
    if not path.exists():
        return {}
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{PLACE} is no JSON ({error}): take the committed one back, git checkout {PLACE}") from error
    assert isinstance(lock, dict)
    return lock


def dumps(lock: Lock) -> str:
    return json.dumps(lock, indent=1, sort_keys=True) + "\n"


def changed(lock: Lock, lesson: Lesson, pair: Pair) -> list[str]:
    """The languages in which a pair differs from what was reviewed; both for one that never was."""
    known = lock.get(lesson.id, {}).get(pair.key, {})
    return [language for language, now in fingerprints(pair).items() if known.get(language) != now]


def update(lock: Lock, lesson: Lesson) -> None:
    """After a build: record pairs that are new or changed on both sides, forget those that are gone."""
    known = lock.get(lesson.id, {})
    one_sided = {pair.key for pair in lesson.pairs if len(changed(lock, lesson, pair)) == 1}
    lock[lesson.id] = {
        pair.key: known[pair.key] if pair.key in one_sided else fingerprints(pair) for pair in lesson.pairs
    }


def review(lock: Lock, lesson: Lesson, keys: list[str]) -> list[str]:
    """Somebody read both sides: record pairs as they are, all without keys. Gives the keys recorded."""
    pairs = {pair.key: pair for pair in lesson.pairs}
    for key in keys:
        if key not in pairs:
            raise UserError(f'{lesson.place} has no cell "{key}" with text: there are {", ".join(pairs)}')
    chosen = keys or list(pairs)
    lock.setdefault(lesson.id, {}).update({key: fingerprints(pairs[key]) for key in chosen})
    return chosen
