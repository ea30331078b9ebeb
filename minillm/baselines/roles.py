"""Do words of one role become neighbours? A task with known answers for vectors learnt from the bundled reader.

Each word of a short list has a class: a person, a place, a time. The score is how often the most similar other word
of the list is of the same class. Chance is how often a random other word would be.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from minillm.baselines.vectors import Embeddings

_LISTS = """
person: 小雨 大明 小川 圆圆 奶奶 爷爷 爸爸 妈妈 外婆 姐姐 哥哥 叔叔 阿姨 老赵 陈医生 安娜 师傅 老师
place: 北京 天安门 鼓楼 长城 故宫 景山 什刹海 前门 北海 颐和园 苏州 北京站 香山 广场 胡同
side: 上面 下面 前面 后面 左边 右边 旁边 里面 外面 中间 东边 西边 底下 边上 对面
time: 早上 晚上 下午 中午 昨天 今天 明天 春天 夏天 秋天 冬天 夜里 星期天 星期六 白天
motion: 走 跑 跳 飞 爬 站 坐 躺 骑 转 回来 出来 过来 起来 进去 下来 上来
colour: 红 白 黄 黑 绿 蓝 灰
"""
ROLES = {name: words.split() for name, words in (line.split(": ") for line in _LISTS.strip().split("\n"))}


class Accuracy(NamedTuple):
    """Shares of 1, and how many of the words are known: the others do not count."""

    score: float
    chance: float
    words: int


def neighbour_accuracy(embeddings: Embeddings, classes: Mapping[str, Sequence[str]] = ROLES) -> Accuracy:
    """How often a listed word's most similar other listed word is of its class. ValueError: under two are known."""
    known = [(word, name) for name, words in classes.items() for word in words if word in embeddings]
    if len(known) < 2:
        raise ValueError("neighbours need two known words")
    words, names = (np.array(part) for part in zip(*known, strict=True))
    cosines = embeddings.similarities(words, words)
    np.fill_diagonal(cosines, -np.inf)
    same = names[:, None] == names
    others = same.sum(axis=1) - 1
    right = same[np.arange(len(words)), cosines.argmax(axis=1)]
    return Accuracy(float(right.mean()), float((others / (len(words) - 1)).mean()), len(words))
