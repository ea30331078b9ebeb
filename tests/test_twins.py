"""The twins of a pair: what has to agree, which terms they use, which side changed since somebody read both."""

from pathlib import Path

import pytest
from lesson_tree import SOURCE, plant

from book import glossary, lock, source, twins
from book.course import ROOT
from book.source import Pair


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path / "course")


def pair(zh: str, en: str) -> Pair:
    return Pair("x", {"zh": zh, "en": en}, {"zh": 1, "en": 2})


SAME = [
    ("$x$ 和 $x$", "$x$ twice"),
    (r"$$a = \text{和}$$", r"$$ a=\text{and} $$"),
    ("[中](../zh/05_a.ipynb)", "[en](../en/05_a.ipynb)"),
    ("花 5 元，`$x` 和 `$y`", "for $5 or $6, `$x` and `$y`"),
    ("```python\nx = '$'  # `\n```", "```python\nx = '$'  # `\n```"),
    ("## 一\n### 二", "## One\n### Two"),
    ("`a`、`b`", "`b` and `a`"),
]
DIFFERENT = [
    ("$x$", "$y$", "inline formula $x$"),
    ("$$x$$", "$$x$$ $$x$$", "formula $$x$$ stands once in Chinese, twice"),
    (r"\begin{align}a\end{align}", r"\begin{align}b\end{align}", r"formula \begin{align}a\end{align}"),
    ("`a` `a`", "`a`", "code span `a` stands twice in Chinese, once"),
    ("```\na\n```", "```\nb\n```", "code block ``` a ```"),
    ("![图](a.png)", "![picture](b.png)", "image a.png"),
    ("见 https://a.org/x。", "see https://a.org/y.", "link https://a.org/x"),
    ("## 一", "# One", "headings of levels [2] in Chinese, [1] in English"),
]


@pytest.mark.parametrize(("zh", "en"), SAME)
def test_twins_that_agree(zh: str, en: str):
    assert twins.differences(pair(zh, en)) == []


@pytest.mark.parametrize(("zh", "en", "says"), DIFFERENT)
def test_twins_that_differ(zh: str, en: str, says: str):
    assert any(says in text for text in twins.differences(pair(zh, en)))


def spoken(zh: str, en: str) -> list[str]:
    """What the course's own glossary says of two sentences."""
    return glossary.faults(glossary.load(ROOT), {"zh": twins.take_apart(zh).words, "en": twins.take_apart(en).words})


RIGHT = [
    ("两个概率", "two Probabilities"),
    ("交叉熵", "the cross\nentropy"),
    ("开头的一层", "the first layer"),  # 头 is no attention head here
    ("词向量", "an embedding"),
    ("分词器", "tokenizers"),
    ("把它向量化", "vectorised"),
    ("这里", "`entropy`, $entropy$, [here](entropy.html), <b class='entropy'>here</b>"),
    ("这里", "gradients_of and superentropy"),
    ("- 作者 (2017).", "- Vaswani (2017). Attention is all you need."),
]
WRONG = [
    ("困惑度", "confusion", 'the Chinese says "困惑度" and the English has none of: perplexity'),
    ("损失", "the perplexity", 'the English says "perplexity" and the Chinese has none of: 困惑度'),
    ("一个令牌", "a token", 'the Chinese says "令牌" for token: write 词元'),
    ("熵", "the cross-entropy", 'the English says "cross-entropy"'),
]


@pytest.mark.parametrize(("zh", "en"), RIGHT)
def test_terms_rendered_rightly(zh: str, en: str):
    assert spoken(zh, en) == []


@pytest.mark.parametrize(("zh", "en", "says"), WRONG)
def test_terms_rendered_wrongly(zh: str, en: str, says: str):
    assert any(text.startswith(says) for text in spoken(zh, en)), spoken(zh, en)


def test_the_glossary_is_whole():
    terms = glossary.load(ROOT)
    assert len(terms) >= 60
    assert glossary.glossary_faults(terms) == []


def test_the_lock_records_new_pairs_and_pairs_changed_on_both_sides(tree: Path):
    lesson, _ = source.read(tree / SOURCE, tree)
    assert lesson
    known: lock.Lock = {}
    lock.update(known, lesson)
    assert set(known["05"]) == {"title", "problem", "ex-triple", "ex-half", "ex-double", "end"}
    end = lesson.pairs[-1]
    end.text["zh"] += "又一句。"
    assert lock.changed(known, lesson, end) == ["zh"]
    lock.update(known, lesson)
    assert lock.changed(known, lesson, end) == ["zh"]
    end.text["en"] += " One more."
    lock.update(known, lesson)
    assert lock.changed(known, lesson, end) == []
