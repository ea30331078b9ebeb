"""Questions on a story, with the true answer and the sentence that gives it; and pairs of a better and a worse answer.

One question in eight is about somebody who is not in the story: the true answer is that it does not say.
"""

from typing import NamedTuple

import numpy as np

from minillm.data.world import town
from minillm.data.world.grammar import draw
from minillm.data.world.pairs import chinese_words
from minillm.data.world.plots import plot
from minillm.data.world.stories import Story, story

UNKNOWN = "不知道，文中没有说。"


class Question(NamedTuple):
    """A question on a story. `source` is the story's sentence that holds the answer, "" if none does."""

    text: str
    question: str
    answer: str
    source: str
    fact: str  # what is asked for, "" if the story does not say


class Preference(NamedTuple):
    """A prompt with a better and a worse answer: the worse one says another value of the same fact, in the same words,
    so that neither length nor wording gives it away."""

    prompt: str
    chosen: str
    rejected: str


COMMON = (
    ("month", "那是几月？", "{month}"),
    ("weekday", "那天是星期几？", "{weekday}"),
    ("hour", "那时几点？", "{hour}"),
    ("friend", "跟{who}在一起的是谁？", "{friend}"),
)
QUESTIONS = {  # kind: (fact, question, answer)
    "buying": (
        ("place", "{who}去哪儿买东西？", "{place}"),
        ("count", "{who}买了多少{thing}？", "{count}{measure}"),
        ("price", "{thing}一{measure}多少钱？", "{price}"),
        ("total", "{who}一共付了多少钱？", "{total}"),
        ("third", "东西是给谁买的？", "{third}"),
        *COMMON,
    ),
    "outing": (
        ("place", "{who}去哪儿玩？", "{place}"),
        ("ride", "他们怎么去的？", "{ride}"),
        ("minutes", "路上用了多少分钟？", "{minutes}分钟"),
        ("photos", "{friend}照了几张相？", "{photos}张"),
        *COMMON,
    ),
    "losing": (
        ("place", "{who}在哪儿丢了东西？", "{place}"),
        ("thing", "{who}丢了什么？", "{thing}"),
        ("colour", "丢的{thing}是什么颜色？", "{colour}"),
        ("spot", "{thing}是在哪儿找到的？", "{spot}"),
        ("third", "{thing}是谁找到的？", "{third}"),
        *COMMON,
    ),
    "dining": (
        ("place", "{who}在哪儿请客？", "{place}"),
        ("people", "来了几个人？", "{people}个人"),
        ("dish", "他们吃了什么？", "{dish}"),
        ("price", "一份{dish}多少钱？", "{price}"),
        ("total", "{who}一共付了多少钱？", "{total}"),
        *COMMON,
    ),
    "playing": (
        ("place", "{who}在哪儿下棋？", "{place}"),
        ("game", "他们下什么棋？", "{game}"),
        ("games", "一共下了几盘？", "{games}盘"),
        ("wins", "{who}赢了几盘？", "{wins}盘"),
        ("winner", "最后谁赢了？", "{winner}"),
        *COMMON,
    ),
}


def question(rng: np.random.Generator, split: str | None = None, *, answerable: bool | None = None) -> Question:
    """A question on a story of a split; one that the story answers, or does not, if `answerable` says so."""
    told = story(rng, split)
    fact, asked, answer = QUESTIONS[told.kind][rng.integers(len(QUESTIONS[told.kind]))]
    words = chinese_words(told)
    if answerable if answerable is not None else rng.random() >= 1 / 8:
        return Question(told.text, asked.format_map(words), answer.format_map(words), source_of(told, fact), fact)
    strangers = [person for person in town.PEOPLE if person not in told.text]
    personal = [asked for _, asked, _ in QUESTIONS[told.kind] if "{who}" in asked]
    words["who"] = strangers[rng.integers(len(strangers))]
    return Question(told.text, personal[rng.integers(len(personal))].format_map(words), UNKNOWN, "", "")


def source_of(told: Story, gap: str) -> str:
    """The first sentence of a story that words a gap."""
    parts = plot(told.kind).parts
    said = zip(told.choices, told.sentences, strict=True)
    return next(sentence for choice, sentence in said if gap in parts[choice.frame].gaps)


def preference(rng: np.random.Generator, split: str | None = None) -> Preference:
    """A question with its true answer and a false one."""
    while True:
        told = story(rng, split)
        # Not the place: a false one might make a pair that is kept for another split.
        choices = [q for q in QUESTIONS[told.kind] if q[0] in told.facts and q[0] != "place"]
        fact, asked, answer = choices[rng.integers(len(choices))]
        grammar, words = plot(told.kind), chinese_words(told)
        distribution = grammar.variables[fact].distribution(told.facts)
        other = draw(distribution, rng)
        if other != told.facts[fact]:
            false = words | {fact: grammar.wordings[fact](told.facts | {fact: other})}
            prompt = f"{told.text}\n{asked.format_map(words)}"
            return Preference(prompt, f"{answer.format_map(words)}。", f"{answer.format_map(false)}。")
