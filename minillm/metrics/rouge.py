"""ROUGE: how much of a reference a summary or title has caught (Lin 2004).

ROUGE-N counts n-grams in common, each at most as often as it stands on either side; ROUGE-L the tokens of the longest
common subsequence, in order but with gaps. Either is a precision (over what was written), a recall (over what was to
be written) and their F1. Lin's paper speaks of recall; what is quoted today is mostly F1.

Tokens come in: the package rouge-score cuts texts at all but a-z and 0-9, and so finds nothing in Chinese.
"""

from collections.abc import Hashable, Sequence

from minillm.metrics.bleu import n_grams
from minillm.metrics.classification import Scores, scores_of_counts

Tokens = Sequence[Hashable]


def rouge_n(reference: Tokens, summary: Tokens, n: int = 1) -> Scores:
    """Precision, recall and F1 of n-grams; all 0 where a side has none. ValueError: n below 1."""
    if n < 1:
        raise ValueError(f"n-grams have 1 token or more, not {n}")
    theirs, ours = n_grams(reference, n), n_grams(summary, n)
    return scores_of_counts((theirs & ours).total(), ours.total(), theirs.total())


def rouge_l(reference: Tokens, summary: Tokens) -> Scores:
    """Precision, recall and F1 of the longest common subsequence; all 0 where a side is empty."""
    return scores_of_counts(lcs_length(reference, summary), len(summary), len(reference))


def lcs_length(a: Tokens, b: Tokens) -> int:
    """How many tokens the longest common subsequence has. Time len(a) · len(b), one row of memory."""
    row = [0] * (len(b) + 1)  # row[j]: of the tokens of a so far and the first j of b
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]
