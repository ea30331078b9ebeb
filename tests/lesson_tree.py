"""A course of one small lesson, planted in an empty folder: what the tests of the lesson machine build and break."""

from pathlib import Path

from book.build import main

LESSON = '''\
# ---
# minillm:
#   title: {zh: "翻倍与交叉熵", en: "Doubling and cross-entropy"}
#   question: {zh: "翻倍之后是多少？", en: "How much is it, doubled?"}
#   minutes: 10
#   seconds: 5
#   needs: []
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("05")

# %% key="imports" both=true
import math

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 交叉熵用 `math.log` 来算，见[说明](https://example.org/notes)：$L = -\\ln p_{\\text{对}}$。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# Cross-entropy is computed with `math.log`, see the [notes](https://example.org/notes): $L = -\\ln p_{\\text{right}}$.

# %% key="naive" tags=["nbval-check-output"]
print("对数 logarithm", round(math.log(2), 3))

# %% key="listing"
from minillm.ops import double  # paste

# %% key="listing-run" tags=["nbval-check-output"]
double(21)

# %% [markdown] key="ex-triple" lang="zh" exercise="triple"
# ### 练习 1　三倍
#
# 写出三倍。
# %% [markdown] key="ex-triple" lang="en" exercise="triple"
# ### Exercise 1: Three times
#
# Write three times.

# %% key="ex-triple-code" exercise="triple" kind="extend" difficulty=2 minutes=5 points=3
def triple(x):
    """Three times x."""
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION


# %% key="ex-triple-check" exercise="triple"
check(triple)

# %% [markdown] key="ex-half" lang="zh" exercise="half"
# ### 练习 2：改好它
# %% [markdown] key="ex-half" lang="en" exercise="half"
# ### Exercise 2: Mend it

# %% key="ex-half-code" exercise="half" kind="repair" difficulty=1 minutes=3 points=1
def half(x):
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION
    ### BEGIN STUB
    # if x:
    #     return x // 2
    ### END STUB


# %% key="ex-half-check" exercise="half"
check(half)

# %% [markdown] key="ex-double" lang="zh" exercise="double"
# ### 练习 3　翻倍
# %% [markdown] key="ex-double" lang="en" exercise="double"
# ### Exercise 3: Double

# %% key="ex-double-code" exercise="double" kind="implement" difficulty=5 minutes=9 points=2
from minillm.ops import double  # stub

# %% key="ex-double-check" exercise="double"
check(double)

# %% [markdown] key="end" lang="zh"
# ## 记住
#
# 一句话。
# %% [markdown] key="end" lang="en"
# ## To keep
#
# One sentence.
'''

OPS = '''\
"""Operations."""

FACTOR = 2


def double(x):
    """Twice x."""
    # a comment of the body
    return x * 2
'''

NOTEBOOK = '''\
"""Stands in for the real one: the check box is in the notebook's language."""


def setup(lesson, language="zh"):
    print("ready", lesson, language)
    return lambda fn: print("✓", {"zh": "检查", "en": "check"}[language], fn(4))
'''

GLOSSARY = """\
zh,en,not_zh,not_en,note_zh,note_en
交叉熵,cross-entropy|cross entropy,交叉商,crossed entropy,损失。,A loss.
熵,entropy,,,意外。,Surprise.
"""

FILES = {
    "pyproject.toml": '[project]\nname = "x"\n\n[project.urls]\nRepository = "https://github.com/someone/MiniLLM"\n',
    "minillm/__init__.py": "",
    "minillm/ops.py": OPS,
    "minillm/notebook.py": NOTEBOOK,
    "book/glossary.csv": GLOSSARY,
    "book/lessons/05_double.py": LESSON,
}
SOURCE = "book/lessons/05_double.py"


def plant(root: Path, build: bool = False) -> Path:
    """Write the course into a folder; with `build`, its notebooks too, executed."""
    for place, text in FILES.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if build:
        assert main(["lessons"], root) == 0
    return root


def edit(root: Path, place: str, before: str, after: str, count: int = 1) -> None:
    """Replace words in a file; they have to be there."""
    path = root / place
    text = path.read_text(encoding="utf-8")
    assert text.count(before) >= count, f"{place} does not hold {before!r}"
    path.write_text(text.replace(before, after, count), encoding="utf-8")
