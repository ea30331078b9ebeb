"""Metrics by hand: how good are labels, probabilities, translations, summaries, and how sure is the answer?

NumPy and plain Python; each function names its paper, and tests/test_metrics.py holds it against the library that
people quote: scikit-learn, sacrebleu, rouge-score. Texts come in as tokens: cutting them is a choice, and it changes
every score, so it is made in plain sight.
"""

from minillm.metrics.bleu import Bleu, bleu, bleu_counts, bleu_of_counts, split_chinese, split_english
from minillm.metrics.classification import Scores, accuracy, averaged, confusion_matrix, per_class, scores_of_counts
from minillm.metrics.interval import Interval, Paired, bootstrap_interval, mean_of, paired_bootstrap, wilson_interval
from minillm.metrics.likelihood import bits_per_character, perplexity
from minillm.metrics.overlap import overlap, runs
from minillm.metrics.rouge import lcs_length, rouge_l, rouge_n

__all__ = [
    "Bleu",
    "Interval",
    "Paired",
    "Scores",
    "accuracy",
    "averaged",
    "bits_per_character",
    "bleu",
    "bleu_counts",
    "bleu_of_counts",
    "bootstrap_interval",
    "confusion_matrix",
    "lcs_length",
    "mean_of",
    "overlap",
    "paired_bootstrap",
    "per_class",
    "perplexity",
    "rouge_l",
    "rouge_n",
    "runs",
    "scores_of_counts",
    "split_chinese",
    "split_english",
    "wilson_interval",
]
