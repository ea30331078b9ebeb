"""Leakage: how much of a test text stands word for word in the training texts.

Of a text's runs of n characters, the share that some training text has too. GPT-3's test sets were searched in this
way, with runs of 8 to 13 words (Brown et al. 2020, appendix C). A copy with a few characters changed is still found:
all the runs between the changes are left.
"""

from collections.abc import Iterable, Set


def runs(texts: Iterable[str], n: int) -> set[str]:
    """All runs of n characters within a text, of all texts. White space does not count. ValueError: n below 1."""
    if n < 1:
        raise ValueError(f"a run has 1 character or more, not {n}")
    bare = ["".join(text.split()) for text in texts]
    return {text[i : i + n] for text in bare for i in range(len(text) - n + 1)}


def overlap(text: str, known: Set[str], n: int) -> float:
    """The share of a text's different runs that are known, from 0 to 1; 0 for a text shorter than n."""
    found = runs([text], n)
    return len(found & known) / len(found) if found else 0.0
