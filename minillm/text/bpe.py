"""Byte-level byte-pair encoding: frequent byte sequences become tokens, so that no text is ever unknown.

Sennrich, Haddow and Birch 2016 (https://arxiv.org/abs/1508.07909) brought byte-pair encoding to words;
GPT-2 (Radford et al. 2019) runs it on UTF-8 bytes. Ids: special tokens, then the 256 bytes, then one token
for each merge in the order learnt. Any Unicode string survives encode and decode exactly.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any, Self

from minillm.text.tokenizer import SPECIAL_TOKENS, Tokenizer, require_room, training_texts

Pair = tuple[int, int]

N_SPECIAL = len(SPECIAL_TOKENS)
FIRST_MERGE = N_SPECIAL + 256
DEFAULT_VOCAB_SIZE = 2048
_NONE = -1  # no token: a merged-away place, or the end of a chunk

# A text is cut into chunks first, and no token crosses a cut. Chunks are runs of Han characters (so that
# punctuation and line ends cut them), of other letters, of digits, of spaces, of anything else. One space
# before letters or digits belongs to them: "word" and " word" are what an English text is made of.
HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
CHUNK = re.compile(rf"[{HAN}]+| ?[^\W\d_{HAN}]+| ?\d+|\s+?(?= [^\W_{HAN}])|\s+|(?:[^\w\s]|_)+")

_CACHED_CHUNKS, _CACHED_LENGTH = 2**15, 32  # words come again; long chunks hardly do


class BPETokenizer(Tokenizer):
    """Byte-level BPE. Nothing is unknown; a token may be part of a character, hence StreamDecoder."""

    kind = "bpe"

    def __init__(self, merges: Iterable[Pair]) -> None:
        """merges: pairs of ids; the i-th makes token FIRST_MERGE + i. ValueError: a pair not yet made."""
        self.merges = [(left, right) for left, right in merges]
        pieces = [b""] * N_SPECIAL + [bytes([byte]) for byte in range(256)]
        self._merged: dict[Pair, int] = {}  # pair -> the token that it makes; the smaller, the earlier
        for left, right in self.merges:
            if not (N_SPECIAL <= left < len(pieces) and N_SPECIAL <= right < len(pieces)):
                raise ValueError(f"merge {len(self._merged)} uses a token that does not exist yet")
            self._merged[left, right] = len(pieces)
            pieces.append(pieces[left] + pieces[right])
        if len(self._merged) != len(self.merges):
            raise ValueError("a merge is there twice")
        super().__init__(pieces[N_SPECIAL:])
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int | None = None) -> Self:
        """Learn merges until there are vocab_size tokens (default 2048) or no pair occurs twice."""
        require_room(vocab_size, FIRST_MERGE)
        chunks: Counter[str] = Counter()
        for text in training_texts(texts):
            chunks.update(split(text))
        counts = {chunk.encode(): count for chunk, count in chunks.items()}
        return cls(learn_merges(counts, (vocab_size or DEFAULT_VOCAB_SIZE) - FIRST_MERGE))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for chunk in split(text):
            known = self._cache.get(chunk)
            if known is None:
                known = self._merge(chunk.encode())
                if len(chunk) <= _CACHED_LENGTH and len(self._cache) < _CACHED_CHUNKS:
                    self._cache[chunk] = known
            ids += known
        return ids

    def _merge(self, chunk: bytes) -> list[int]:
        """Ids of one chunk of n bytes in O(n log n): the earliest merge first, of equals the leftmost.

        A linked list over the places, and a heap of (merged token, place of its left half). A heap entry
        that later merges have overtaken is recognised when it comes up: its place no longer makes its token.
        """
        ids = [N_SPECIAL + byte for byte in chunk] + [_NONE]  # ids[-1], beyond either end, matches no pair
        after = list(range(1, len(ids) + 1))
        before = list(range(-1, len(ids) - 1))
        merged = self._merged
        heap = [(merged[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in merged]
        heapify(heap)
        while heap:
            token, i = heappop(heap)
            j = after[i]
            if ids[i] == _NONE or merged.get((ids[i], ids[j])) != token:
                continue
            k = after[j]
            ids[i], ids[j] = token, _NONE
            after[i], before[k] = k, i
            if right := merged.get((token, ids[k])):
                heappush(heap, (right, i))
            if left := merged.get((ids[before[i]], token)):
                heappush(heap, (left, before[i]))
        return [token for token in ids if token != _NONE]

    def _state(self) -> dict[str, Any]:
        # The third entry is for the reader's eyes, and tells a damaged file.
        return {"merges": [[*pair, self._shown(i)] for i, pair in enumerate(self.merges)]}

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        lengths = [0] * N_SPECIAL + [1] * 256
        for left, right, shown in state["merges"]:
            if not (0 <= left < len(lengths) and 0 <= right < len(lengths)):
                raise ValueError("a merge uses a token that does not exist yet")
            lengths.append(lengths[left] + lengths[right])
            if lengths[-1] > 4 * len(shown):  # before it is built: tokens that double 60 times fill any memory
                raise ValueError("a merge makes more than the text that stands beside it")
        tokenizer = cls((left, right) for left, right, _ in state["merges"])
        if tokenizer._state()["merges"] != state["merges"]:
            raise ValueError("a merge does not make the text that stands beside it")
        return tokenizer

    def _shown(self, merge: int) -> str:
        return self._pieces[FIRST_MERGE + merge].decode("utf-8", "backslashreplace")


def split(text: str) -> list[str]:
    """The chunks of a text, in order: joined, they are the text."""
    return CHUNK.findall(text)


def learn_merges(chunks: dict[bytes, int], n_merges: int) -> list[Pair]:
    """Byte-pair encoding on chunks with their counts: at most n_merges pairs, none that occurs only once.

    Each round merges the most frequent pair, of equals the one with the smallest ids; overlapping places
    ("aaa" has two of "aa") count each. All distinct chunks lie in one array, as a linked list, and for each
    pair we keep the places where it starts. That is fast because of two facts:
    - A pair that holds the newest token gets all its places in the round that makes this token, in
      ascending order. Afterwards it only loses places, each for good.
    - So a count in the heap is never too small. It is put right only when it comes up at the top; if it is
      still the largest then, no other pair can have more.
    """
    ids, weight = [_NONE], [0]  # the token at a place, and how often its chunk occurs
    for chunk, count in chunks.items():
        ids += [N_SPECIAL + byte for byte in chunk]
        ids.append(_NONE)
        weight += [count] * (len(chunk) + 1)
    after = array("q", range(1, len(ids) + 1))
    before = array("q", range(-1, len(ids) - 1))

    places: dict[Pair, list[int]] = {}
    heap: list[tuple[int, Pair]] = []

    def enter(found: dict[Pair, list[int]]) -> None:
        for pair, starts in found.items():
            if _NONE not in pair:
                places[pair] = starts
                heappush(heap, (-sum(weight[i] for i in starts), pair))

    enter(_all_places(ids))
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        bound, pair = heappop(heap)
        a, b = pair
        starts = [i for i in places.pop(pair) if ids[i] == a and ids[after[i]] == b]
        count = sum(weight[i] for i in starts)
        if count < -bound:
            enter({pair: starts})
        elif count < 2:
            break
        else:
            enter(_merge_places(starts, b, FIRST_MERGE + len(merges), ids, after, before))
            merges.append(pair)
    return merges


def _all_places(ids: list[int]) -> dict[Pair, list[int]]:
    places: defaultdict[Pair, list[int]] = defaultdict(list)
    for i, pair in enumerate(pairwise(ids)):
        places[pair].append(i)
    return places


def _merge_places(
    starts: list[int], b: int, new: int, ids: list[int], after: array[int], before: array[int]
) -> dict[Pair, list[int]]:
    """Replace the pairs at `starts` by the token new, in place; the places of each pair that arises so.

    Some of these places are lost again in the same round ("abab": new a, then new new).
    """
    lefts: defaultdict[int, list[int]] = defaultdict(list)  # token x -> places of (x, new)
    rights: defaultdict[int, list[int]] = defaultdict(list)  # token y -> places of (new, y)
    for i in starts:
        j = after[i]
        if ids[i] == _NONE or ids[j] != b:  # "aaa": the place before took our a
            continue
        h, k = before[i], after[j]
        ids[i], ids[j] = new, _NONE
        after[i], before[k] = k, i
        lefts[ids[h]].append(h)
        rights[ids[k]].append(i)
    return {(x, new): at for x, at in lefts.items()} | {(new, y): at for y, at in rights.items()}
