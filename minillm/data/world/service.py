"""Customers: what they ask a shop, a restaurant, a sight or the lost property office, and what they write afterwards.

The facts are those of a story, so that every figure that the service gives is right, and the labels of a review
(its sentiment, and +1, 0 or -1 for each aspect) are known.
"""

from typing import NamedTuple

import numpy as np

from minillm.data.world.grammar import Facts
from minillm.data.world.pairs import chinese_words
from minillm.data.world.stories import story


class Dialogue(NamedTuple):
    """Turns of customer (顾客) and service (客服), the customer first, and the facts that they speak of."""

    turns: tuple[tuple[str, str], ...]  # speaker, words
    facts: Facts

    @property
    def text(self) -> str:
        return "\n".join(f"{speaker}：{words}" for speaker, words in self.turns)


class Review(NamedTuple):
    """A customer's words; sentiment positive, neutral or negative; aspects 味道, 价格, 等待: +1, 0 or -1."""

    text: str
    sentiment: str
    aspects: dict[str, int]


GREETINGS = ("您好", "你好", "请问", "麻烦问一下", "您好，打扰了")
THANKS = ("好的，谢谢。", "知道了，谢谢您。", "明白了，麻烦您了。", "太好了，谢谢！", "谢谢，再见。")
GOODBYES = ("不客气，再见。", "不用谢，欢迎再来。", "应该的，有事再找我们。", "不客气，祝您愉快。")
EXCHANGES = {  # kind: exchanges, one of which opens the dialogue and another follows it
    "buying": (
        (
            "{place}的{thing}怎么卖？",
            ("一{measure}{price}。", "{thing}今天一{measure}{price}。", "{price}一{measure}，您要多少？"),
        ),
        (
            "我姓名留的是{who}，{thing}要{count}{measure}，一共多少钱？",
            ("{count}{measure}，每{measure}{price}，一共{total}。", "{who}您好，{count}{measure}{thing}是{total}。"),
        ),
        ("东西是给{third}的，能送去吗？", ("可以，{weekday}就送给{third}。", "能送，{hour}以后送到{third}手里。")),
    ),
    "outing": (
        ("去{place}怎么走方便？", ("建议您{ride}，大约{minutes}分钟。", "{ride}最方便，{minutes}分钟就到。")),
        ("{month}去{place}，有什么可看的？", ("{month}的{seen}很好看。", "很多人去看{seen}。")),
        (
            "我叫{who}，想{weekday}{hour}进去，要约吗？",
            ("给您约好了，{who}，{weekday}{hour}。", "约上了，{weekday}{hour}，请别迟到。"),
        ),
    ),
    "losing": (
        (
            "我是{who}，在{place}丢了一{measure}{thing}，有人捡到吗？",
            ("有，是{third}在{spot}捡到的。", "{third}刚送来一{measure}，在{spot}找到的。"),
        ),
        ("我的{thing}是{colour}的，对吗？", ("对，正是{colour}的。", "没错，{colour}的，是您的。")),
        ("{friend}能替{who}来取吗？", ("可以，请{friend}{weekday}{hour}来。", "行，{weekday}{hour}有人在。")),
    ),
    "dining": (
        (
            "我是{who}，想在{place}订{weekday}{hour}的位子，{people}个人。",
            ("好的，{weekday}{hour}，{people}位。", "给您留好了，{people}个人，{weekday}{hour}。"),
        ),
        ("{dish}一份多少钱？", ("一份{price}。", "{dish}{price}一份。")),
        ("{people}份{dish}一共多少钱？", ("每份{price}，一共{total}。", "{people}份是{total}。")),
        ("点了菜要等多久？", ("大约{minutes}分钟。", "{minutes}分钟左右。")),
    ),
}
OPINIONS = {
    ("味道", 1): ("{dish}做得真香", "味道没得说", "{dish}又热又好吃", "一口就爱上了这里的{dish}"),
    ("味道", 0): ("{dish}味道一般", "味道不好不坏", "{dish}跟别处差不多"),
    ("味道", -1): ("{dish}太咸", "{dish}端上来是凉的", "味道让人失望", "{dish}油得吃不下去"),
    ("价格", 1): ("才{price}一份，很便宜", "一份{price}，划算", "价格公道，{price}就能吃饱"),
    ("价格", 0): ("一份{price}，不贵也不便宜", "价格中等，一份{price}"),
    ("价格", -1): ("一份要{price}，太贵了", "{price}一份，不值这个价", "价格偏高，一份{price}"),
    ("等待", 1): ("只等了{minutes}分钟", "上菜很快，{minutes}分钟就齐了"),
    ("等待", 0): ("等了{minutes}分钟，还可以", "{minutes}分钟上菜，不快不慢"),
    ("等待", -1): ("足足等了{minutes}分钟", "上菜太慢，要{minutes}分钟", "{minutes}分钟才上菜，孩子都饿哭了"),
}
OPENINGS = ("{weekday}去了{place}", "{who}带我们{people}个人去{place}", "{month}去过一次{place}", "第二次来{place}了")
VERDICTS = {
    "positive": ("下次还来", "推荐给大家", "全家都满意"),
    "neutral": ("总的来说还行", "有空可以试试", "说不上好坏"),
    "negative": ("不会再去了", "不推荐", "希望改进"),
}


def dialogue(rng: np.random.Generator, split: str | None = None) -> Dialogue:
    """A customer asks two things; the service answers from the facts."""
    told = story(rng, split, tuple(EXCHANGES))
    words = chinese_words(told)
    turns = []
    order = rng.permutation(len(EXCHANGES[told.kind]))[:2]
    for i, (asked, answers) in enumerate(EXCHANGES[told.kind][k] for k in sorted(order)):
        turns.append(("顾客", (f"{pick(GREETINGS, rng)}，" if i == 0 else "") + asked.format_map(words)))
        turns.append(("客服", pick(answers, rng).format_map(words)))
    turns += [("顾客", pick(THANKS, rng)), ("客服", pick(GOODBYES, rng))]
    return Dialogue(tuple(turns), told.facts)


def review(rng: np.random.Generator, split: str | None = None) -> Review:
    """What a guest writes about a restaurant. The taste counts twice in the sentiment."""
    told = story(rng, split, ("dining",))
    facts, words = told.facts, chinese_words(told)
    aspects = {
        "味道": {"good": 1, "plain": 0, "bad": -1}[facts["taste"]],
        "价格": (facts["price"] <= 200) - (facts["price"] >= 320),
        "等待": (facts["minutes"] <= 10) - (facts["minutes"] >= 30),
    }
    balance = sum(aspects.values()) + aspects["味道"]
    sentiment = "positive" if balance > 0 else "negative" if balance < 0 else "neutral"
    names = [list(aspects)[i] for i in rng.permutation(len(aspects))]
    clauses = [pick(OPENINGS, rng), *(pick(OPINIONS[name, aspects[name]], rng) for name in names)]
    if rng.random() < 0.5:
        clauses.append(pick(VERDICTS[sentiment], rng))
    return Review("，".join(clauses).format_map(words) + "。", sentiment, aspects)


def pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    """One of some wordings."""
    return options[rng.integers(len(options))]
