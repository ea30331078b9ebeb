"""What the book itself says, in both languages. The lessons bring their own words."""

import csv
from pathlib import Path

LANGUAGES = ("zh", "en")

SPHINX_LANGUAGE = {"zh": "zh_CN", "en": "en"}

WORDS = {
    "zh": {
        "title": "MiniLLM：亲手写一个大语言模型",
        "contents": "本页目录",
        "sidebar": "全书目录",
        "search": "搜索：自注意力、softmax……",
        "switch": "English",
        "switch-hint": "Read this section in English",
        "more": "更多",
        "code": "看代码",
        "minutes": "{} 分钟",
        "needs": "先学",
        "nothing": "不需要先学别的课",
        "notebook": "笔记本",
        "colab": "在 Colab 中打开",
        "exercises": "练习",
        "where": "打开笔记本 `{}` 来做。每题最后一格的 `check(…)` 会看你写的代码，错了会说错在哪里。",
        "hint": "提示",
        "setup": "准备：这一格装好本课要用的东西",
        "glossary": "术语表",
        "glossary-intro": "全书的中文和英文用同一张表，一个概念只用一个词。",
        "chinese": "中文",
        "english": "英文",
        "note": "说明",
        "not": "不说：",
        "comma": "、",
        "teaching": "给老师",
    },
    "en": {
        "title": "MiniLLM: build a large language model by hand",
        "contents": "On this page",
        "sidebar": "All pages",
        "search": "Search: attention, softmax …",
        "switch": "中文",
        "switch-hint": "用中文读这一节",
        "more": "More",
        "code": "See the code",
        "minutes": "{} minutes",
        "needs": "after",
        "nothing": "no lesson needed before",
        "notebook": "Notebook",
        "colab": "Open in Colab",
        "exercises": "Exercises",
        "where": "Work in the notebook `{}`. The last cell of each exercise, `check(…)`, looks at your code and, if it "
        "is wrong, says what went wrong.",
        "hint": "Hint",
        "setup": "Set-up: this cell gets what the lesson needs",
        "glossary": "Glossary",
        "glossary-intro": "One table for both languages: one concept, one word.",
        "chinese": "Chinese",
        "english": "English",
        "note": "Note",
        "not": "not: ",
        "comma": ", ",
        "teaching": "For teachers",
    },
}

RUNS = {
    "NP": {"zh": "只用 NumPy", "en": "NumPy only"},
    "PT": {"zh": "用 PyTorch", "en": "PyTorch"},
    "GPU": {"zh": "有 GPU 更好", "en": "better with a GPU"},
}

with (Path(__file__).resolve().parent.parent / "parts.csv").open(encoding="utf-8", newline="") as file:
    PARTS = {row["first"]: row for row in csv.DictReader(file)}  # by the first lesson of each part


def part_of(lesson: str) -> str:
    """The key in PARTS of the part that a lesson belongs to."""
    return max(first for first in PARTS if first <= lesson)
