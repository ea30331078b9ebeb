"""Words with their vectors: neighbours, analogies, and a text file that other programs read too.

The similarity of two words is the cosine of the angle between their vectors. "a is to b as c is to ...?" is
answered by the words whose directions are closest to b - a + c (Mikolov et al. 2013, arXiv 1301.3781).

The file is word2vec's text format: a line "V D", then a line a word, its D numbers after it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from minillm.errors import UserError
from minillm.text.files import read_text, write_text

Array = np.ndarray


class Embeddings:
    """Words and a matrix with one row each.  words V, matrix (V, D)"""

    def __init__(self, words: Sequence[str], matrix: Array) -> None:
        if matrix.ndim != 2 or len(words) != len(matrix):
            raise ValueError(f"{len(words)} words need a matrix of as many rows, not of shape {matrix.shape}")
        self.words, self.matrix = list(words), matrix
        self._ids = {word: i for i, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            raise ValueError("words are distinct")
        norms = np.sqrt(np.einsum("vd,vd->v", matrix, matrix, dtype=np.float64))[:, None]
        unit = matrix / np.where(norms, norms, 1)  # a vector of zeros is like no other
        self._unit = unit.astype(np.result_type(matrix, np.float32))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def __getitem__(self, word: str) -> Array:
        """The vector of a word.  -> (D,)  UserError: it is not known."""
        return self.matrix[self.id(word)]

    def id(self, word: str) -> int:
        """The row of a word. UserError: it is not known; the message names known words that are written like it."""
        if word in self._ids:
            return self._ids[word]
        related = [known for known in self.words if set(known) & set(word)]
        like = difflib.get_close_matches(word, related, n=5, cutoff=0.0)
        hint = f"the known words most like it are {', '.join(like)}" if like else "none is written like it"
        raise UserError(f"{word!r} is not one of the {len(self)} known words; {hint}")

    def similarities(self, words: Iterable[str], others: Iterable[str]) -> Array:
        """The cosine between each word and each other: 1 the same direction, 0 unrelated, -1 opposite.
        m words, n others -> (m, n)  UserError: an unknown word."""
        left, right = ([self.id(word) for word in group] for group in (words, others))
        return self._unit[left] @ self._unit[right].T

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The n words most similar to a word, each with its cosine, most similar first. UserError: an unknown word."""
        i = self.id(word)
        return self._closest(self._unit[i], [i], n)

    def analogy(self, a: str, b: str, c: str, n: int = 5) -> list[tuple[str, float]]:
        """a is to b as c is to: the n words closest to b - a + c, without a, b, c themselves. UserError: as above."""
        asked = [self.id(word) for word in (a, b, c)]
        minus, plus, start = self._unit[asked]
        target = plus - minus + start
        return self._closest(target / (np.linalg.norm(target) or 1), asked, n)

    def _closest(self, unit: Array, without: list[int], n: int) -> list[tuple[str, float]]:
        cosines = self._unit @ unit  # (V,)
        order = np.argsort(-cosines, kind="stable")
        order = order[~np.isin(order, without)][: max(n, 0)]
        return [(self.words[i], float(cosines[i])) for i in order]

    def save(self, path: str | Path) -> None:
        """Write the file, its numbers as float32. UserError: it cannot be written, or a word cannot stand in it."""
        for word in self.words:
            if word.encode(errors="ignore").decode().split() != [word] or "\0" in word:
                raise UserError(f"{word!r} cannot stand in a file with spaces between words; train without such words")
        rows = zip(self.words, self.matrix.astype(np.float32), strict=True)
        lines = (f"{word} {' '.join(f'{x:.9g}' for x in row)}\n" for word, row in rows)  # 9 digits: exact
        write_text(path, f"{len(self)} {self.matrix.shape[1]}\n{''.join(lines)}")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file, as float32. UserError: no such file, or it is not one of word vectors."""
        first, *lines = read_text(path).rstrip("\n").split("\n")
        try:
            size, dim = map(int, first.split())
        except ValueError:
            size = dim = 0
        if size < 1 or dim < 1:
            raise UserError(f'{path} does not begin with "V D", as a file of word vectors does; name another')
        if len(lines) != size:
            raise UserError(
                f"{path} says {size} words but holds {len(lines)}: it was cut off or changed; save it again"
            )
        rows = {}
        for number, line in enumerate(lines, start=2):
            word, *values = line.split()[: dim + 2] or [""]
            try:
                with np.errstate(over="ignore"):
                    rows[word] = np.array([float(value) for value in values], np.float32)
            except ValueError:
                rows[word] = np.zeros(0, np.float32)
            if len(rows[word]) != dim or not np.isfinite(rows[word]).all() or len(rows) != number - 1:
                raise UserError(f"{path}, line {number}: not a new word and {dim} numbers; save it again")
        return cls(list(rows), np.array(list(rows.values()), np.float32).reshape(size, dim))


def number_words(documents: Iterable[Sequence[str]], min_count: int) -> tuple[list[str], Array, Array]:
    """Words by falling count; the documents as one row of their numbers; and the document that each is in.

    Words seen less than min_count times are taken out first, so that windows reach over them, as in the programs of
    both papers. The words of a string are its characters. -> words V, ids (N,), documents (N,)
    UserError: nothing is left.
    """
    texts = list(documents)
    counts = Counter(word for text in texts for word in text)
    words = [word for word, count in counts.most_common() if count >= min_count]
    if not words:
        raise UserError(f"no word occurs {min_count} times; give more text or a smaller min_count")
    number = {word: i for i, word in enumerate(words)}
    pairs = [(number[word], n) for n, text in enumerate(texts) for word in text if word in number]
    ids, documents_of = np.array(pairs, np.int64).T
    return words, ids.copy(), documents_of.copy()
