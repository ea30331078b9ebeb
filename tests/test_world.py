"""The generated world: one derivation a text, exact entropy, compositional splits, tasks whose answers are true."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.data.corpora import load_corpus
from minillm.data.world import SPLITS, corpus, derivations, entropy, log_probability, stories, story, town
from minillm.data.world.ambiguity import check_openings, check_plot, common_text, spelt_twice
from minillm.data.world.exact import cross_entropy, expected_length
from minillm.data.world.grammar import Choice, Derivation, Plot, Slot, Variable, Wording, take_apart
from minillm.data.world.pairs import SUBJECTS, VERBS, pair
from minillm.data.world.plots import KINDS, plot
from minillm.data.world.questions import UNKNOWN, preference, question
from minillm.data.world.records import article, record
from minillm.data.world.service import dialogue, review
from minillm.data.world.splits import places_of
from minillm.data.world.tasks import TASKS, examples
from minillm.errors import UserError

LOVE = "我爱北京天安门"


def generator(seed):
    return np.random.default_rng(seed)


def first(task, count, split, seed=0):
    return list(itertools.islice(examples(task, generator(seed), split), count))


# ---------------------------------------------------------------------- a grammar small enough to count


def small_plot(skew=1.0, lines=None):
    """Two dependent facts, a number they agree on, a slot that depends on a fact, silence, brackets."""
    variables = [
        Variable("who", (), lambda: {"小雨": 1.0, "张奶奶": 2.0}),
        Variable("what", ("who",), lambda who: {"梨": skew, "苹果": 1.0} if who == "小雨" else {"西瓜": 1.0}),
        Variable("n", ("what",), lambda what: dict.fromkeys(range(1, 1 + len(what)), 1.0)),
        Variable("mood", ("n",), lambda n: {"good": 3.0, "bad": float(n)}),
    ]
    wordings = {
        "n": Wording(("n",), town.count),
        "total": Wording(("n", "what"), lambda n, what: town.money(n * len(what) * 7)),
    }
    lines = lines or ("{who}(要|买)了{n}个{what}。", "{n}个{what}(|都)给{who}。")
    moods = {"good": ("“(好|好极了)！”{who}笑着说。", "一共{total}。"), "bad": ("{who}没说话。",)}
    return Plot(variables, wordings, [Slot(lines), Slot(moods, "mood"), Slot(("", "(天黑|下雨)了。", "晴天。"))])


def all_derivations(plot):
    """Every derivation with its probability, by brute force: products of the odds, nothing else."""
    states = [({}, 1.0)]
    for variable in plot.variables.values():
        weighed = [(facts, p, variable.weights(*(facts[name] for name in variable.parents))) for facts, p in states]
        states = [(f | {variable.name: v}, p * w / sum(ws.values())) for f, p, ws in weighed for v, w in ws.items()]
    for facts, p in states:
        told = []
        for slot in plot.slots:
            frames = slot.frames if slot.given is None else slot.frames[facts[slot.given]]
            told.append(
                [
                    (Choice(frame, words), 1 / len(frames) / math.prod(map(len, take_apart(frame).brackets)))
                    for frame in frames
                    for words in itertools.product(*take_apart(frame).brackets)
                ]
            )
        for choices in itertools.product(*told):
            yield Derivation(facts, tuple(c for c, _ in choices)), p * math.prod(q for _, q in choices)


def test_a_small_grammar_counted_out():
    """Sums over all texts: probabilities add up to one; entropy and length are what the chain rule says."""
    plot, skewed = small_plot(), small_plot(skew=5.0)
    check_plot(plot)
    found = list(all_derivations(plot))
    texts = [plot.text(derivation) for derivation, _ in found]
    assert len(set(texts)) == len(texts) == 320
    assert sum(p for _, p in found) == pytest.approx(1)
    for (derivation, p), text in zip(found, texts, strict=True):
        assert list(plot.parse(text)) == [derivation]
        assert plot.log_probability(derivation) == pytest.approx(math.log(p))
    assert cross_entropy(plot) == pytest.approx(-sum(p * math.log(p) for _, p in found))
    assert expected_length(plot) == pytest.approx(sum(p * len(text) for (_, p), text in zip(found, texts, strict=True)))
    under_skewed = -sum(p * skewed.log_probability(derivation) for derivation, p in found)
    assert cross_entropy(plot, skewed) == pytest.approx(under_skewed)
    assert under_skewed > cross_entropy(plot) + 0.01


def test_samples_follow_the_probabilities():
    """Chi-squared over all texts of the small grammar; 5 standard deviations of its distribution are allowed."""
    plot, rng, n = small_plot(), generator(3), 40_000
    expected = {plot.text(derivation): n * p for derivation, p in all_derivations(plot)}
    counts = dict.fromkeys(expected, 0)
    for _ in range(n):
        counts[plot.text(plot.sample(rng))] += 1
    squared = sum((counts[text] - e) ** 2 / e for text, e in expected.items())
    freedom = len(expected) - 1
    assert abs(squared - freedom) < 5 * math.sqrt(2 * freedom + sum(1 / e for e in expected.values()))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("{who}要了{n}个{what}。", "{who}(要|买)了{n}个{what}。"), "can both say"),
        (("{who}(要|要了)(了|){n}个{what}。",), "in two ways"),
        (("{who}{n}个{what}。", "{who}要了{what}。"), "no slot tells this fact in each of its frames: n"),
        (("{who}来了。要了{n}个{what}。",), "one sentence with one 。 at its end"),
        (("{who}要了{n}个{what}",), "one sentence with one 。 at its end"),
        (("{who}{n}个{what}，(天黑|下雨)了。", "{who}(要|)(买|){n}个{what}，天黑了。"), "can both say"),
        (("{who}{n}个{what}。", "{who}{n}个{what}。"), "a frame twice"),
    ],
)
def test_an_ambiguous_grammar_is_refused(lines, message):
    with pytest.raises(ValueError, match=message):
        check_plot(small_plot(lines=lines))
    with pytest.raises(ValueError, match="does not match"):
        take_apart("{who}(要|买了。")


def test_a_gap_is_no_sentence():
    plot = small_plot()
    plot.wordings["n"] = Wording(("n",), lambda n: f"{n}。")
    with pytest.raises(ValueError, match="a gap says 1。"):
        check_plot(plot)


WORDS = st.lists(st.lists(st.text("ab", max_size=2), min_size=1, max_size=3, unique=True), max_size=3)


@given(WORDS, WORDS)
def test_common_text_is_that_of_brute_force(a, b):
    spelt = [["".join(words) for words in itertools.product(*lists)] for lists in (a, b)]
    common = set(spelt[0]) & set(spelt[1])
    found = common_text(a, b)
    assert found in common if common else found is None
    assert (spelt_twice(a) is None) == (len(set(spelt[0])) == len(spelt[0]))


# ---------------------------------------------------------------------- the town's grammar


@pytest.mark.parametrize("kind", KINDS)
def test_no_story_has_two_derivations(kind):
    check_plot(plot(kind))


def test_no_story_belongs_to_two_plots():
    check_openings([plot(kind) for kind in KINDS])
    with pytest.raises(ValueError, match="open two plots"):
        check_openings([plot("buying"), plot("buying")])


@settings(max_examples=40)
@given(st.integers(0, 2**40), st.sampled_from([None, *SPLITS]))
def test_a_story_is_read_back(seed, split):
    told = story(generator(seed), split)
    assert derivations(told.text, split) == [told]
    assert told.text == "".join(told.sentences)
    assert not re.search(r"[a-zA-Z0-9{}()|]", told.text)
    assert story(generator(seed), split) == told
    assert -200 < log_probability(told.text, split) < 0


def test_what_is_no_story_has_no_probability():
    told = story(generator(1), "train")
    other = next(name for name in town.PEOPLE if name not in told.text)
    wrong = told.text[::-1].replace(told.facts["who"][::-1], other[::-1], 1)[::-1]  # one mention does not agree
    for text in ("", LOVE, told.text[:-1], told.text + told.text, told.text.replace("。", "", 1), wrong):
        assert log_probability(text) == -math.inf
    held_out = story(generator(1), "test").text
    assert log_probability(held_out, "train") == log_probability(held_out, "valid") == -math.inf
    assert -math.inf < log_probability(held_out) < log_probability(held_out, "test")


def test_a_wrong_sum_has_no_probability():
    told = next(s for s in stories(generator(1)) if s.kind == "buying" and s.facts["count"] == 3)
    right, wrong = (town.money(n * told.facts["price"]) for n in (3, 4))
    assert told.text.count(right) == 1 and derivations(told.text)
    assert derivations(told.text.replace(right, wrong)) == []


def test_the_entropy_is_that_of_a_million_characters():
    """Mean -log p of sampled texts, read back by the parser, against the exact sums: within 3 standard errors.

    Bits per character is a ratio of two means; its standard error is that of -log p - r length (delta method).
    """
    nats, lengths, rng = [], [], generator(11)
    while sum(lengths) < 1_000_000:
        text = story(rng, "train").text
        nats.append(-log_probability(text, "train"))
        lengths.append(len(text))
    x, n, exact = np.array(nats), np.array(lengths), entropy("train")
    root = math.sqrt(len(n))
    assert abs(x.mean() - exact.nats) < 3 * x.std() / root
    assert abs(n.mean() - exact.characters) < 3 * n.std() / root
    ratio = exact.nats / exact.characters
    assert abs(x.sum() / n.sum() - ratio) < 3 * (x - ratio * n).std() / root / n.mean()
    assert exact.bits_per_character == pytest.approx(ratio / math.log(2))
    assert exact.bits_per_token == pytest.approx(exact.nats / (exact.characters + 1) / math.log(2))


@pytest.mark.parametrize("split", SPLITS)
def test_the_cost_of_a_split_to_one_who_knows_the_town(split):
    rng = generator(12)
    nats = [-log_probability(story(rng, split).text) for _ in range(800)]
    exact = entropy(split, known_split=False)
    assert abs(np.mean(nats) - exact.nats) < 3 * np.std(nats) / math.sqrt(len(nats))
    # Only the place is surer: one of 1 (test, valid) or of 6 (train) places instead of one of 8.
    assert exact.nats - entropy(split).nats == pytest.approx(math.log(8 / (6 if split == "train" else 1)))


# ---------------------------------------------------------------------- splits


def test_splits_are_compositional():
    for places in (*town.PLACES.values(),):
        for people in (town.PEOPLE, SUBJECTS):
            table = {
                split: {(who, place) for who in people for place in places_of(who, places, split)} for split in SPLITS
            }
            assert sum(map(len, table.values())) == len(set().union(*table.values())) == len(people) * len(places)
            assert {who for who, _ in table["train"]} == set(people) == {who for who, _ in table["test"]}
            assert {place for _, place in table["train"]} == set(places)
    assert places_of("我", town.SIGHTS, "test") == ["天安门"]
    with pytest.raises(ValueError, match="not 'dev'"):
        places_of("我", town.SIGHTS, "dev")


def test_the_corpus():
    world = corpus(60_000, seed=5)
    assert world == corpus(60_000, seed=5) and world.train != corpus(60_000, seed=6).train
    assert world.name == "world"
    for split, percent in zip(SPLITS, (80, 10, 10), strict=True):
        texts = world.split(split)
        assert 0 <= sum(map(len, texts)) - 60_000 * percent / 100 < 300  # at most one story too many
        assert all(log_probability(text, split) > -math.inf for text in texts[:20])
    usual = corpus()  # every character of the town is in its training part, the rare ones, too
    assert set("".join(usual.test + usual.valid)) <= set("".join(usual.train))


def test_the_large_corpus_is_judged_by_the_texts_of_the_usual_one(monkeypatch):
    monkeypatch.setattr("minillm.data.world.corpus", lambda characters=20_000: corpus(min(characters, 50_000)))
    usual, large = load_corpus("world"), load_corpus("world-large")
    assert large.name == "world-large" and (large.valid, large.test) == (usual.valid, usual.test)
    assert len(large.train) > len(usual.train) and large.train[: len(usual.train)] == usual.train


def test_i_love_tiananmen_is_for_the_test():
    rng = generator(0)
    test = {pair(rng, "test") for _ in range(4000)}
    assert (f"{LOVE}。", "I love Tiananmen in Beijing.") in test
    for task in TASKS:
        for split in ("train", "valid"):
            for example in first(task, 150, split):
                assert LOVE not in repr(example)
    subjects = re.compile(f"({'|'.join(SUBJECTS)})(?:{'|'.join(VERBS)})北京(.*)。")
    loved = [m.groups() for p in first("pairs", 3000, "train") if (m := subjects.fullmatch(p.chinese))]
    assert all(place in places_of(subject, town.SIGHTS, "train") for subject, place in loved)
    assert {place for _, place in loved} == set(town.SIGHTS) and {subject for subject, _ in loved} == set(SUBJECTS)


# ---------------------------------------------------------------------- facts and tasks


def value(chinese):
    """A number in Chinese characters, read by another rule than that by which it was written."""
    total, digit = 0, 0
    for char in chinese:
        if char in "十百千":
            total, digit = total + (digit or 1) * {"十": 10, "百": 100, "千": 1000}[char], 0
        else:
            digit = "零一二三四五六七八九".find("二" if char == "两" else char)
    return total + digit


def test_numbers_and_prices():
    assert [town.number(n) for n in (0, 2, 10, 15, 20, 105, 110, 312, 1005, 2010)] == [
        *("零", "二", "十", "十五", "二十", "一百零五", "一百一十", "三百一十二", "一千零五", "二千零一十"),
    ]
    assert all(value(town.number(n)) == n for n in range(10_000))
    assert [town.money(n) for n in (8, 20, 35, 105, 120)] == ["八毛", "两块", "三块五", "十块五", "十二块"]
    assert town.HOURS["下午两点半"] == "half past 2 in the afternoon"
    assert town.HOURS["中午十二点"] == "12 o’clock in the afternoon"


def test_the_sums_in_the_stories_are_right():
    for told in itertools.islice(stories(generator(2)), 300):
        numbers = {name: told.facts.get(name, 0) for name in ("count", "people", "price", "games", "wins")}
        if told.kind in ("buying", "dining"):
            total = town.money((numbers["count"] or numbers["people"]) * numbers["price"])
            assert total in told.text
        if told.kind == "playing":
            winner = told.facts["who" if 2 * numbers["wins"] > numbers["games"] else "friend"]
            assert re.search(f"{winner}(胜|赢|更厉害|占了上风)", told.text)
        assert told.facts["friend"] != told.facts["who"]
        pronouns = {"他": "她", "她": "他"}
        if told.kind == "buying":  # nobody else is called he or she there
            assert pronouns[town.PEOPLE[told.facts["who"]].he] not in told.text.replace("他们", "")


def test_pairs_say_the_same_in_both_languages():
    for chinese, english in first("pairs", 2000, None):
        for name, person in town.PEOPLE.items():
            if re.search(rf"(?<!张){name}", chinese):
                assert person.english in english
        for digits in re.findall(r"(?<!past )(?<!\.)\b\d+\b(?!\.\d| o’clock)", english):
            assert town.number(int(digits)) in chinese
        if love := re.search(r"(.*) (loves?|likes?|miss(?:es)?|longs? for) .* in Beijing\.", english):
            plural = love[1] in ("I", "You", "We", "They", "The children")
            assert plural == (love[2] in ("love", "like", "miss", "long for"))
        assert "{" not in chinese + english and english[0].isupper() and english.endswith(".")


def test_answers_stand_in_their_source():
    rng = generator(4)
    asked = [question(rng, "train") for _ in range(800)]
    for q in asked:
        if q.answer == UNKNOWN:
            assert not q.source and not q.fact
        else:
            assert q.answer in q.source and q.source in q.text
    unknown = sum(q.answer == UNKNOWN for q in asked)
    assert abs(unknown - 100) < 5 * math.sqrt(800 / 8 * 7 / 8)
    assert question(rng, answerable=False).answer == UNKNOWN != question(rng, answerable=True).answer


def test_preferences_differ_in_truth_alone():
    rng = generator(5)
    for _ in range(300):
        prompt, chosen, rejected = preference(rng, "train")
        assert chosen != rejected and chosen[:-1] in prompt


def test_reviews_and_dialogues_carry_their_labels():
    rng = generator(6)
    reviews = [review(rng, "train") for _ in range(600)]
    assert {r.sentiment for r in reviews} == {"positive", "neutral", "negative"}
    for r in reviews:
        balance = 2 * r.aspects["味道"] + r.aspects["价格"] + r.aspects["等待"]
        assert r.sentiment == ("positive" if balance > 0 else "negative" if balance < 0 else "neutral")
        assert ("太贵" in r.text) <= (r.aspects["价格"] == -1) and ("很便宜" in r.text) <= (r.aspects["价格"] == 1)
    for _ in range(300):
        spoken = dialogue(rng, "test")
        assert [speaker for speaker, _ in spoken.turns] == ["顾客", "客服"] * 3
        assert "{" not in spoken.text


def test_titles_and_triples_are_of_the_story():
    rng = generator(7)
    for _ in range(300):
        text, title = article(rng, "valid")
        assert derivations(text, "valid") and 4 <= len(title) <= 14 and "{" not in title
        text, triples = record(rng, "train")
        assert len(set(triples)) == len(triples) >= 4
        assert all(head in text and tail in text for head, _, tail in triples)


def test_tasks_by_name():
    assert first("titles", 2, "train", seed=1) == first("titles", 2, "train", seed=1)
    with pytest.raises(UserError, match=r"no task 'poems'; choose one of stories, pairs"):
        examples("poems", generator(0))


def test_the_readme_has_the_figures():
    text = Path(town.__file__).with_name("README.md").read_text(encoding="utf-8")
    for split in SPLITS:
        own, unknown = entropy(split), entropy(split, known_split=False)
        row = f"| {split} | {own.characters:.2f} | {own.nats:.3f} | {own.bits_per_character:.4f} | "
        assert text.count(f"{row}{unknown.bits_per_character:.4f} |\n") == 2  # in both languages
