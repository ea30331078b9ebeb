"""Sentence pairs, Chinese and English, told of the same facts: for the translator.

A quarter say who loves which sight, 我爱北京天安门 among them; (我, 天安门) is kept for the test split.
"""

from typing import NamedTuple

import numpy as np

from minillm.data.world import town
from minillm.data.world.plots import plot
from minillm.data.world.splits import places_of
from minillm.data.world.stories import Story, story


class Pair(NamedTuple):
    """A sentence and its translation."""

    chinese: str
    english: str


SUBJECTS = {  # Chinese: English and whether its verb takes an s
    "我": ("I", False),
    "你": ("You", False),
    "我们": ("We", False),
    "他们": ("They", False),
    "孩子们": ("The children", False),
    "大家": ("Everybody", True),
    **{name: (person.english, True) for name, person in town.PEOPLE.items()},
}
VERBS = {
    "爱": ("love", "loves"),
    "喜欢": ("like", "likes"),
    "想念": ("miss", "misses"),
    "向往": ("long for", "longs for"),
}

PATTERNS = {
    "buying": (
        (
            "{month}的一个{weekday}，{who}在{place}买了{count}{measure}{thing}。",
            "One {Weekday} in {Month}, {Who} bought {Amount} {At}.",
        ),
        (
            "{who}给{third}买了{count}{measure}{thing}，一共{total}。",
            "{Who} bought {Amount} for {Third}, {Total} in all.",
        ),
        ("{who}和{friend}{hour}去了{place}。", "{Who} and {Friend} went to {Place} at {Hour}."),
    ),
    "outing": (
        (
            "{who}和{friend}{ride}去{place}，用了{minutes}分钟。",
            "{Who} and {Friend} went to {Place} {Ride}; it took {Minutes} minutes.",
        ),
        ("{who}在{place}照了{photos}张相。", "{Who} took {Photos} photos {At}."),
        ("{month}的一个{weekday}，{who}去了{place}。", "One {Weekday} in {Month}, {Who} went to {Place}."),
    ),
    "losing": (
        ("{who}在{place}丢了一{measure}{colour}{thing}。", "{Who} lost a {Colour} {Thing} {At}."),
        ("{third}在{spot}找到了{who}的{thing}。", "{Third} found {Who}’s {Thing} {Spot}."),
        ("{friend}帮{who}找了{minutes}分钟。", "{Friend} helped {Who} search for {Minutes} minutes."),
    ),
    "dining": (
        ("{month}的一个{weekday}，{who}在{place}请客。", "One {Weekday} in {Month}, {Who} gave a dinner {At}."),
        ("来了{people}个人，{who}一共付了{total}。", "{People} people came, and {Who} paid {Total} in all."),
        ("{who}和{friend}等了{minutes}分钟。", "{Who} and {Friend} waited for {Minutes} minutes."),
    ),
    "playing": (
        ("{who}和{friend}在{place}下了{games}盘{game}。", "{Who} and {Friend} played {Games} games of {Game} {At}."),
        ("{who}赢了{wins}盘，{friend}赢了{losses}盘。", "{Who} won {Wins}, {Friend} won {Losses}."),
        ("{people}个人看{who}和{friend}下棋。", "{People} people watched {Who} and {Friend} play."),
    ),
}


def pair(rng: np.random.Generator, split: str | None = None) -> Pair:
    """A sentence of a split and its translation."""
    if rng.random() < 0.25:
        return love(rng, split)
    told = story(rng, split)
    patterns = PATTERNS[told.kind]
    chinese, english = patterns[rng.integers(len(patterns))]
    text = english.format_map(english_words(told))
    return Pair(chinese.format_map(chinese_words(told)), text[0].upper() + text[1:])


def love(rng: np.random.Generator, split: str | None = None) -> Pair:
    """Who loves which sight."""
    subjects, verbs = list(SUBJECTS), list(VERBS)
    subject, verb = subjects[rng.integers(len(subjects))], verbs[rng.integers(len(verbs))]
    places = places_of(subject, town.SIGHTS, split)
    place = places[rng.integers(len(places))]
    english, third_person = SUBJECTS[subject]
    verb_english = VERBS[verb][third_person]
    return Pair(f"{subject}{verb}北京{place}。", f"{english} {verb_english} {town.SIGHTS[place].english} in Beijing.")


def chinese_words(told: Story) -> dict[str, str]:
    """What every gap of a story says."""
    return {name: wording(told.facts) for name, wording in plot(told.kind).wordings.items()}


def english_words(told: Story) -> dict[str, str]:
    """English words of a story's facts, their names capitalised."""
    facts = told.facts
    words = {
        "Weekday": town.WEEKDAYS[facts["weekday"]],
        "Month": town.MONTHS[facts["month"] - 1],
        "Hour": town.HOURS[facts["hour"]],
        "Place": town.english_place(facts["place"]),
        "At": town.english_at(facts["place"]),
    }
    for name in ("who", "friend", "third"):
        if name in facts:
            words[name.capitalize()] = town.PEOPLE[facts[name]].english
    for name in ("people", "minutes", "photos", "games", "wins"):
        if name in facts:
            words[name.capitalize()] = town.english_number(facts[name])
    if told.kind == "buying":
        goods = town.GOODS[facts["thing"]]
        words["Amount"] = " ".join(filter(None, (town.english_number(facts["count"]), goods.container, goods.english)))
        words["Total"] = town.english_money(facts["count"] * facts["price"])
    if told.kind == "outing":
        words["Ride"] = town.RIDES[facts["ride"]]
    if told.kind == "losing":
        thing, colour = town.BELONGINGS[facts["thing"]][1], town.COLOURS[facts["colour"]]
        words |= {"Thing": thing, "Colour": colour, "Spot": town.SPOTS[facts["spot"]]}
    if told.kind == "dining":
        words["Total"] = town.english_money(facts["people"] * facts["price"])
    if told.kind == "playing":
        words["Game"] = town.GAMES[facts["game"]]
        words["Losses"] = town.english_number(facts["games"] - facts["wins"])
    return words
