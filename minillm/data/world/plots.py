"""The five kinds of story: which facts each has, how likely they are, and how the gaps word them.

All have who, friend (another person), where, when and the weather of the season. The pair (who, place) is what
the splits hold out; all other facts are drawn alike in every split.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from minillm.data.world import frames, town
from minillm.data.world.grammar import Plot, Slot, Variable, Wording
from minillm.data.world.splits import places_of

KINDS = ("buying", "outing", "losing", "dining", "playing")  # equally likely


def even(values: Iterable[Any]) -> dict[Any, float]:
    """Equally likely values."""
    return dict.fromkeys(values, 1.0)


def fixed(values: Iterable[Any]) -> Callable[..., dict[Any, float]]:
    """The same equally likely values whatever the parents are."""
    weights = even(values)
    return lambda *_: weights


def others(*people: str) -> dict[str, float]:
    """Anybody else."""
    return even(person for person in town.PEOPLE if person not in people)


def falling(low: int, high: int) -> dict[int, float]:
    """Whole numbers, small ones more often: n has weight 1 / n."""
    return {n: 1 / n for n in range(low, high + 1)}


def things_of(place: str, month: int) -> dict[str, float]:
    """What is sold, seen or served at a place in a month, the first one twice as often."""
    places = {name: entry for kind in town.PLACES.values() for name, entry in kind.items()}
    things = [thing for thing in places[place].things if month in town.SEASONAL.get(thing, (month,))]
    return {thing: 2.0 if i == 0 else 1.0 for i, thing in enumerate(things)}


def weather_of(month: int, hour: str) -> dict[str, float]:
    """The weather of the season; in the evening nobody speaks of the sun."""
    evening = hour[:2] in ("傍晚", "晚上")
    return even(weather for weather in town.WEATHER[town.season(month)] if not (evening and weather in town.SUNNY))


PARTS_OF_DAY = {"outing": ("早上", "上午", "中午", "下午"), "dining": ("早上", "中午", "傍晚", "晚上")}


def common(kind: str, split: str | None) -> list[Variable]:
    """The facts of every story."""
    places = town.PLACES[kind]
    hours = [hour for hour in town.HOURS if hour[:2] in PARTS_OF_DAY.get(kind, (hour[:2],))]
    return [
        Variable("who", (), fixed(town.PEOPLE)),
        Variable("friend", ("who",), others),
        Variable("place", ("who",), lambda who: even(places_of(who, places, split))),
        Variable("month", (), fixed(range(1, 13))),
        Variable("weekday", (), lambda: {day: 2.0 if day in "六天" else 1.0 for day in town.WEEKDAYS}),
        Variable("hour", (), fixed(hours)),
        Variable("weather", ("month", "hour"), weather_of),
    ]


COMMON = {
    "he": Wording(("who",), lambda who: town.PEOPLE[who].he),
    "month": Wording(("month",), lambda month: f"{town.number(month)}月"),
    "weekday": Wording(("weekday",), lambda day: f"星期{day}"),
}
PEOPLE_HERE = Wording(("people",), town.count)
MINUTES = Wording(("minutes",), town.number)
PRICE = Wording(("price",), town.money)

VARIABLES = {
    "buying": (
        Variable("thing", ("place", "month"), things_of),
        Variable("count", (), lambda: falling(2, 12)),
        Variable("price", ("thing",), lambda thing: even(town.GOODS[thing].prices)),
        Variable("third", ("who", "friend"), others),
    ),
    "outing": (
        Variable("ride", (), fixed(town.RIDES)),
        Variable("minutes", (), fixed(range(10, 95, 5))),
        Variable("seen", ("place", "month"), things_of),
        Variable("photos", (), lambda: falling(3, 30)),
    ),
    "losing": (
        Variable("thing", (), fixed(town.BELONGINGS)),
        Variable("colour", (), fixed(town.COLOURS)),
        Variable("minutes", (), fixed(range(10, 95, 5))),
        Variable("third", ("who", "friend"), others),
        Variable("spot", (), fixed(town.SPOTS)),
    ),
    "dining": (
        Variable("people", (), lambda: falling(3, 12)),
        Variable("dish", ("place", "month"), things_of),
        Variable("minutes", (), fixed(range(5, 45, 5))),
        Variable("taste", (), lambda: {"good": 2.0, "plain": 1.0, "bad": 1.0}),
        Variable("price", (), fixed(range(120, 420, 20))),
    ),
    "playing": (
        Variable("game", (), fixed(town.GAMES)),
        Variable("people", (), lambda: falling(2, 12)),
        Variable("games", (), fixed((3, 5, 7, 9))),
        Variable("minutes", ("games",), lambda games: even(range(10 * games, 20 * games + 5, 5))),
        Variable("wins", ("games",), lambda games: even(range(1, games))),
    ),
}

WORDINGS = {
    "buying": {
        "count": Wording(("count",), town.count),
        "measure": Wording(("thing",), lambda thing: town.GOODS[thing].measure),
        "price": PRICE,
        "total": Wording(("count", "price"), lambda count, price: town.money(count * price)),
    },
    "outing": {"minutes": MINUTES, "photos": Wording(("photos",), town.count)},
    "losing": {
        "measure": Wording(("thing",), lambda thing: town.BELONGINGS[thing][0]),
        "colour": Wording(("colour",), lambda colour: f"{colour}色"),
        "minutes": MINUTES,
    },
    "dining": {
        "people": PEOPLE_HERE,
        "minutes": MINUTES,
        "price": PRICE,
        "total": Wording(("people", "price"), lambda people, price: town.money(people * price)),
    },
    "playing": {
        "people": PEOPLE_HERE,
        "minutes": MINUTES,
        "games": Wording(("games",), town.count),
        "wins": Wording(("wins",), town.count),
        "losses": Wording(("games", "wins"), lambda games, wins: town.count(games - wins)),
        "winner": Wording(("who", "friend", "games", "wins"), lambda a, b, games, wins: a if 2 * wins > games else b),
        "loser": Wording(("who", "friend", "games", "wins"), lambda a, b, games, wins: b if 2 * wins > games else a),
    },
}


@lru_cache
def plot(kind: str, split: str | None = None) -> Plot:
    """A kind of story, in the whole world (None) or in a split."""
    slots = [Slot(slot, "taste") if isinstance(slot, Mapping) else Slot(slot) for slot in frames.SLOTS[kind]]
    return Plot([*common(kind, split), *VARIABLES[kind]], COMMON | WORDINGS[kind], slots)
