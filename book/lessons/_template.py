# ---
# minillm:
#   title: {zh: "题目", en: "Title"}
#   question: {zh: "这一课回答哪一个问题？", en: "Which one question does this lesson answer?"}
#   minutes: 45 # 读完、跑完、想完 to read, run and think
#   seconds: 20 # 两个核从头跑到尾，最多 top to bottom on two cores, at most
#   needs: [] # 先学哪几课 lessons that come first: ["00", "05"]
#   runs: NP # NP NumPy，PT PyTorch，GPU
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("NN")

# %% key="imports" both=true
# both=true：练习里也要用的引入 imports that the exercises need as well
import numpy as np

from minillm.bands import band

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 一次失败，或者一个意外，让人想知道为什么。三五行代码，一段话。

# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# A failure or a surprise that makes one want to know why. A few lines of code, one paragraph.

# %% key="problem-run" tags=["nbval-check-output"]
# 输出固定的格子都加上这个标签；小数最多印四位有效数字
# Every cell with fixed output has this tag; floats are printed with at most 4 significant digits.
x = np.array([1.0, 2.0, 3.0])
print("平均 mean", x.mean())

# %% [markdown] key="formula" lang="zh"
# ## 公式
#
# $$m = \frac{1}{n} \sum_i x_i$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $x$ | (n,) | 无 | 几个数 |
# | $m$ | 一个数 | 无 | 平均 |
#
# 两边的公式、代码、链接要一样；术语照 `book/glossary.csv` 写。

# %% [markdown] key="formula" lang="en"
# ## The formula
#
# $$m = \frac{1}{n} \sum_i x_i$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $x$ | (n,) | none | some numbers |
# | $m$ | a number | none | their mean |
#
# Formulas, code and links are the same on both sides; terms are those of `book/glossary.csv`.

# %% [markdown] key="by-hand" lang="zh"
# ## 拿小例子手算
#
# 两三个数，每一步都印出来。

# %% [markdown] key="by-hand" lang="en"
# ## By hand on a toy
#
# Two or three numbers, every step printed.

# %% key="by-hand-run" tags=["nbval-check-output"]
print("sum ", x.sum())
print("mean", x.sum() / len(x))

# %% [markdown] key="code" lang="zh"
# ## 写成代码
#
# 先用循环，再向量化，再断言与 minillm 的相等。下面一行贴出包里现在的源码。

# %% [markdown] key="code" lang="en"
# ## In code
#
# Loops first, then vectorised, then asserted equal to minillm's. The line below pastes the package's present source.

# %% key="code-listing"
from minillm.np.param import Array, Cache
from minillm.np.functional import linear  # paste

# %% [markdown] key="backward" lang="zh"
# ## 反向
#
# 一步一步推导，再用中心差分核对（`minillm.np.gradcheck`）。

# %% [markdown] key="backward" lang="en"
# ## Backward
#
# The derivation step by step, then checked with central differences (`minillm.np.gradcheck`).

# %% [markdown] key="twin" lang="zh"
# ## PyTorch 的孪生
#
# 同样的几格，换成 PyTorch，印出两边的差。没装 PyTorch 也要能跑。

# %% [markdown] key="twin" lang="en"
# ## The PyTorch twin
#
# The same cells in PyTorch, and the difference printed. It has to run without PyTorch, too.

# %% [markdown] key="chinese" lang="zh"
# ## 在中文上
#
# 自带的读本，和贯穿全课的句子“我爱北京天安门”。

# %% [markdown] key="chinese" lang="en"
# ## On Chinese text
#
# The bundled reader, and the sentence that runs through the course: 我爱北京天安门 (“I love Tiananmen in Beijing”).

# %% [markdown] key="play" lang="zh"
# ## 动手玩
#
# 一个滑块，让这个想法动起来（`minillm.widgets`）。这种格子不加标签。

# %% [markdown] key="play" lang="en"
# ## Play
#
# One slider that makes the idea move (`minillm.widgets`). Such a cell has no tag.

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 每个数给一个范围，由机器核对。

# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# A range for each figure, checked by the machine.

# %% key="bands-run" tags=["nbval-check-output"]
band("平均 mean", float(x.mean()), 1.99, 2.01)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# 人们在这里常弄错什么；别处流传的哪句话，在这里可以验一验。
#
# ## 记住三句话
#
# 1. 一
# 2. 二
# 3. 三
#
# ## 出处
#
# - 作者 (2020). 论文题目. 期刊.

# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# What people get wrong here, and a common claim that can be put to the test.
#
# ## Three sentences to keep
#
# 1. One
# 2. Two
# 3. Three
#
# ## Sources
#
# - Author (2020). Title of the paper. Journal.

# %% [markdown] key="ex-mean" lang="zh" exercise="mean"
# ### 练习 1　求平均
#
# 三到六题：predict 预测，repair 改错，implement 实现，extend 拓展。改错题在答案下面另写 `### BEGIN STUB`；实现包里的函数，写一行 `from … import …  # stub`。检查程序在 `exercises/checks/lessonNN.py`。

# %% [markdown] key="ex-mean" lang="en" exercise="mean"
# ### Exercise 1: The mean
#
# Three to six of them: predict, repair, implement, extend. To repair: broken code in `### BEGIN STUB` below the answer; to implement a function of the package: one line `from … import …  # stub`. The checkers are in `exercises/checks/lessonNN.py`.


# %% key="ex-mean-code" exercise="mean" kind="implement" difficulty=1 minutes=5 points=1
def mean(x):
    """The mean of some numbers.  x (n,) -> float"""
    ### BEGIN SOLUTION
    return float(x.sum() / len(x))
    ### END SOLUTION


# %% key="ex-mean-check" exercise="mean"
check(mean)
