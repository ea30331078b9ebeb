"""A small generated world whose entropy and whose answers are known: a town beside the Drum Tower.

One seeded grammar draws facts (who, where, when, how many) and tells them: as stories (stories.py), and as
sentence pairs, questions, dialogues, reviews, titles, triples and preferences (tasks). README.md explains it.
"""

from minillm.data.world.splits import SPLITS
from minillm.data.world.stories import Entropy, Story, corpus, derivations, entropy, log_probability, stories, story

__all__ = ["SPLITS", "Entropy", "Story", "corpus", "derivations", "entropy", "log_probability", "stories", "story"]
