"""Words found by a hidden Markov model: each character hides a tag, B begins a word, M is inside, E ends it, S is a
word by itself (Xue 2003, "Chinese word segmentation as character tagging"; Rabiner 1989 for the algorithms).

    p(tags, characters) = start(t₁) emit(x₁ | t₁) · Π transition(t_i | t_i-1) emit(x_i | t_i) · stop(t_T)

Where a sentence stops is part of the model, so that all sentences of all lengths together have probability 1. The
parameters are counts of segmented sentences. Words allow of only ten moves (after B come M or E, never S or
another B): all others have probability 0, and whatever tags Viterbi finds spell words.

Shapes: T characters of a sentence, N tags, X emitted symbols.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from minillm.errors import UserError

Array = np.ndarray
TAGS = "BMES"
B, M, E, S = range(4)
MAY_START = np.array([1, 0, 0, 1], bool)
MAY_FOLLOW = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], bool)  # [tag, next tag]
MAY_STOP = np.array([0, 0, 1, 1], bool)


class HMM:
    """A hidden Markov model with known parameters; observations are symbols 0 .. X - 1."""

    def __init__(self, start: Array, transition: Array, stop: Array, emission: Array) -> None:
        """Probabilities: start (N,), transition (N, N) from row to column, stop (N,), emission (N, X).

        ValueError: start, a row of [transition stop], or a row of emission that does not sum to 1.
        """
        for name, p in (("start", start), ("transition and stop", np.c_[transition, stop]), ("emission", emission)):
            if (p < 0).any() or not np.allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-9):
                raise ValueError(f"the probabilities of {name} do not sum to 1")
        self.start, self.transition, self.stop, self.emission = start, transition, stop, emission

    def viterbi(self, symbols: Array) -> tuple[Array, float]:
        """The likeliest states of a sentence and their log p(states, symbols), natural log.  (T,) -> (T,), float

        best[j] is the log-probability of the best path to the present symbol that ends in state j; `came` keeps
        from where it came (Viterbi 1967). Of equally good paths, the one of smaller states at the end.
        """
        if not len(symbols):
            return np.zeros(0, np.int64), -math.inf
        with np.errstate(divide="ignore"):  # a forbidden move is log 0 = -inf, and never the best
            start, transition, stop = np.log(self.start), np.log(self.transition), np.log(self.stop)
            emission = np.log(self.emission[:, symbols].T)  # (T, N)
        came = np.zeros((len(symbols), len(start)), np.int64)
        best = start + emission[0]
        for t in range(1, len(symbols)):
            paths = best[:, None] + transition  # (N, N)
            came[t] = paths.argmax(axis=0)
            best = paths.max(axis=0) + emission[t]
        best = best + stop
        states = np.empty(len(symbols), np.int64)
        states[-1] = best.argmax()
        for t in range(len(symbols) - 1, 0, -1):
            states[t - 1] = came[t, states[t]]
        return states, float(best.max())

    def log_likelihood(self, symbols: Array) -> float:
        """log p(symbols), natural log, summed over all paths of states. -inf if it is impossible, or empty."""
        return self._forward(symbols)[1]

    def posterior(self, symbols: Array) -> Array:
        """p(state at t | all symbols) by forward-backward.  (T,) -> (T, N).  ValueError: an impossible sentence."""
        forward, total = self._forward(symbols)
        if len(symbols) and total == -math.inf:
            raise ValueError("these symbols have probability 0 under the model")
        backward = np.empty_like(forward)  # ∝ p(symbols after t | state at t)
        after = self.stop
        for t in range(len(symbols) - 1, -1, -1):
            backward[t] = after / after.max()
            after = self.transition @ (self.emission[:, symbols[t]] * backward[t])
        product = forward * backward
        return product / product.sum(axis=1, keepdims=True)

    def _forward(self, symbols: Array) -> tuple[Array, float]:
        """p(state at t | symbols up to t), (T, N), and log p(symbols).

        Each step is divided by its sum, p(symbol at t | those before), lest the product underflow: the logarithms
        of these sums add up to log p.
        """
        forward = np.zeros((len(symbols), len(self.start)))
        if not len(symbols):
            return forward, -math.inf
        total, reached = 0.0, self.start
        for t, symbol in enumerate(symbols):
            joint = reached * self.emission[:, symbol]
            scale = joint.sum()
            if scale == 0:
                return forward, -math.inf
            forward[t] = joint / scale
            total += math.log(scale)
            reached = forward[t] @ self.transition
        stopped = float(forward[-1] @ self.stop)
        return forward, total + math.log(stopped) if stopped > 0 else -math.inf


class HMMSegmenter:
    """Segments text into words as it was shown. Sentences are lines.

    The symbols are the characters of the training sentences, and one more, UNKNOWN, for all others. What tags an
    unknown character may have is learnt from the characters seen once: they were new a moment ago.
    """

    def __init__(self, sentences: Iterable[Sequence[str]], k: float = 0.5) -> None:
        """Count sentences, each a list of words; k is added to every count that may be above 0. The k of 0.5 is the
        best of 0.01 to 8 on the reader's validation part.

        UserError: no sentence, an empty word, k not above 0.
        """
        if not 0 < k < math.inf:
            raise UserError(f"k is {k}; it must be above 0, or an unseen event has no probability")
        shown = [(tag_words(words), "".join(words)) for words in sentences if words]
        if not shown:
            raise UserError("there are no segmented sentences to learn from: give at least one")
        alphabet = sorted(set().union(*(text for _, text in shown)))
        self.symbols = {char: i for i, char in enumerate(alphabet)}
        self.unknown = len(alphabet)

        start, stop, moves = np.zeros(4), np.zeros(4), np.zeros((4, 4))
        emitted = np.zeros((4, len(alphabet) + 1))
        for tags, text in shown:
            start[tags[0]] += 1
            stop[tags[-1]] += 1
            np.add.at(moves, (tags[:-1], tags[1:]), 1)
            np.add.at(emitted, (tags, self.encode(text)), 1)
        once = emitted.sum(axis=0) == 1
        emitted[:, self.unknown] = emitted[:, once].sum(axis=1)

        start = np.where(MAY_START, start + k, 0)
        leave = np.where(np.c_[MAY_FOLLOW, MAY_STOP], np.c_[moves, stop] + k, 0)
        leave /= leave.sum(axis=1, keepdims=True)
        emission = (emitted + k) / (emitted + k).sum(axis=1, keepdims=True)
        self.hmm = HMM(start / start.sum(), leave[:, :4], leave[:, 4], emission)

    def encode(self, text: str) -> Array:
        """Characters to symbols.  -> (T,)"""
        return np.array([self.symbols.get(char, self.unknown) for char in text], np.int64)

    def tags(self, sentence: str) -> str:
        """The likeliest tags, one letter of BMES a character."""
        return "".join(TAGS[tag] for tag in self.hmm.viterbi(self.encode(sentence))[0])

    def posterior(self, sentence: str) -> Array:
        """Probabilities of the tags B, M, E, S at each character, given the whole sentence.  -> (T, 4)"""
        return self.hmm.posterior(self.encode(sentence))

    def log_likelihood(self, sentence: str) -> float:
        """log p(sentence), natural log, over all segmentations; an unknown character counts as "some unknown"."""
        return self.hmm.log_likelihood(self.encode(sentence))

    def segment(self, text: str) -> list[str]:
        r"""The words, in order: joined, they are the text. A line end is a word "\n" by itself."""
        words: list[str] = []
        for number, line in enumerate(text.split("\n")):
            words += ["\n"] * (number > 0)
            start = 0
            for end, tag in enumerate(self.tags(line), start=1):
                if tag in "ES":
                    words.append(line[start:end])
                    start = end
        return words


def tag_words(words: Iterable[str]) -> Array:
    """Words to tags: one of B M .. M E, or S, each.  -> (T,).  UserError: an empty word."""
    tags: list[int] = []
    for word in words:
        if not word:
            raise UserError("a segmented sentence holds an empty word: leave it out")
        tags += [S] if len(word) == 1 else [B, *[M] * (len(word) - 2), E]
    return np.array(tags, np.int64)
