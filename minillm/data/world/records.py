"""What can be drawn out of a story: a title, and triples (head, relation, tail) for a knowledge graph."""

from typing import NamedTuple

import numpy as np

from minillm.data.world.pairs import chinese_words
from minillm.data.world.service import pick
from minillm.data.world.stories import Story, story


class Article(NamedTuple):
    """A text and its title."""

    text: str
    title: str


class Record(NamedTuple):
    """A text and all triples of the town's relations that it states."""

    text: str
    triples: tuple[tuple[str, str, str], ...]


TITLES = {
    "buying": ("{who}买{thing}", "{place}的{thing}", "给{third}买的{thing}"),
    "outing": ("{who}游{place}", "{month}的{place}", "{place}看{seen}"),
    "losing": ("{who}的{thing}丢了", "{spot}的{thing}", "{third}捡到{colour}{thing}"),
    "dining": ("{who}请客", "{place}的{dish}", "{people}个人吃{dish}"),
    "playing": ("{who}下{game}", "{winner}赢了棋", "{place}的{games}盘棋"),
}
RELATIONS = {  # kind: head, relation, tail
    "buying": (
        ("{who}", "去", "{place}"),
        ("{who}", "同伴", "{friend}"),
        ("{who}", "购买", "{thing}"),
        ("{place}", "出售", "{thing}"),
        ("{thing}", "单价", "{price}"),
        ("{thing}", "送给", "{third}"),
    ),
    "outing": (
        ("{who}", "去", "{place}"),
        ("{who}", "同伴", "{friend}"),
        ("{who}", "交通", "{ride}"),
        ("{place}", "景物", "{seen}"),
    ),
    "losing": (
        ("{who}", "去", "{place}"),
        ("{who}", "同伴", "{friend}"),
        ("{who}", "丢失", "{thing}"),
        ("{thing}", "颜色", "{colour}"),
        ("{thing}", "找到者", "{third}"),
        ("{thing}", "位置", "{spot}"),
    ),
    "dining": (
        ("{who}", "去", "{place}"),
        ("{who}", "同伴", "{friend}"),
        ("{place}", "出售", "{dish}"),
        ("{dish}", "单价", "{price}"),
    ),
    "playing": (
        ("{who}", "去", "{place}"),
        ("{who}", "对手", "{friend}"),
        ("{who}", "下", "{game}"),
        ("{winner}", "战胜", "{loser}"),
    ),
}


def article(rng: np.random.Generator, split: str | None = None) -> Article:
    """A story and a title for it."""
    told = story(rng, split)
    return Article(told.text, pick(TITLES[told.kind], rng).format_map(chinese_words(told)))


def record(rng: np.random.Generator, split: str | None = None) -> Record:
    """A story and what it states."""
    told = story(rng, split)
    return Record(told.text, triples(told))


def triples(told: Story) -> tuple[tuple[str, str, str], ...]:
    """What a story states."""
    words = chinese_words(told)
    rows = RELATIONS[told.kind]
    return tuple((h.format_map(words), relation, t.format_map(words)) for h, relation, t in rows)
