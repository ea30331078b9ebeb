# ---
# minillm:
#   title: {zh: "注意力", en: "Attention"}
#   question:
#     zh: "要读懂一个字，该看句子里的哪些字，各看多少？"
#     en: "To understand one character, which others should be looked at, and how much at each?"
#   minutes: 75
#   seconds: 40
#   needs: ["05"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("07")

# %% key="imports" both=true
import math
import re
from time import perf_counter

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.np import functional as F
from minillm.np.gradcheck import gradcheck
from minillm.np.param import Array, Cache

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# “奶奶带小川去北海。孩子困了，”后面该说“他”还是“她”？小川是男孩，所以是“他”。把“孩子”换成“大人”，就该是“她”。前半句一个字也没变，该看的字却变了：问孩子，看“川”；问大人，看“奶”。
#
# 不看谁，只求平均，行不行？下面把一句话里的字全都摊平，每个字占一样的份额，再让模型按份额打分，用第 05 课的梯度来学。一共只有四句话。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# 奶奶带小川去北海。孩子困了， says: “Grandma takes Xiaochuan to Beihai Park. The child is tired,” and what follows, 他 (he) or 她 (she)? Xiaochuan is a boy, so 他. Write 大人 (the grown-up) for 孩子 (the child) and it must be 她. Not a character of the first half has changed, and yet others matter now: asked about the child we look at 川, asked about the grown-up at 奶.
#
# Could we look at nobody in particular and take the average? Here every character of a sentence gets the same share, and a model that sees only these shares learns to score 他 and 她, with the gradient of lesson 05. There are just four sentences.

# %% key="problem-run" tags=["nbval-check-output"]
four = {"奶奶带小川，大人": "她", "奶奶带小川，孩子": "他", "爷爷带小雨，大人": "他", "爷爷带小雨，孩子": "她"}
characters = sorted(set("".join(four)))
shares = np.array([[text.count(char) / len(text) for char in characters] for text in four])
answers = np.array(["他她".index(answer) for answer in four.values()])

w = np.random.default_rng(0).normal(size=(2, len(characters)))
for step in range(3001):
    loss, cache = F.cross_entropy(shares @ w.T, answers)
    if step % 1000 == 0:
        print(f"{step:5d}  loss {loss:.4f}")
    w -= 5.0 * F.cross_entropy_backward(1.0, cache).T @ shares

for (text, answer), p in zip(four.items(), F.softmax(shares @ w.T)[0], strict=True):
    print(f"{text} {answer}   他 {p[0]:.3f}  她 {p[1]:.3f}")

# %% [markdown] key="problem-why" lang="zh"
# 损失停在 $\ln 2 = 0.6931$，四句全是对半猜。再学多久也没用，道理只要两行。设 $g(\cdot)$ 是一个字往“她”那边推多少，四句话要求
#
# $$g(\text{奶奶}) + g(\text{川}) + g(\text{大人}) > 0 \qquad g(\text{爷爷}) + g(\text{雨}) + g(\text{孩子}) > 0$$
#
# $$g(\text{奶奶}) + g(\text{川}) + g(\text{孩子}) < 0 \qquad g(\text{爷爷}) + g(\text{雨}) + g(\text{大人}) < 0$$
#
# 第一行两式相加，第二行两式相加，左边是同样的六项，一个要大于零，一个要小于零。（四句话里都有的字，两边都加同一个数，不影响结论。）
#
# 只看最近的几个字也不行：名字离“孩子”可能三个字，也可能三十个字。我们要的仍然是一个平均，不过各占多少份额，要由**正在问的那个字**来定。
# %% [markdown] key="problem-why" lang="en"
# The loss stops at $\ln 2 = 0.6931$: a coin toss for each of the four. More steps would not help, and two lines say why. Let $g(\cdot)$ be how far a character pushes towards 她. The four sentences demand
#
# $$g(\text{奶奶}) + g(\text{川}) + g(\text{大人}) > 0 \qquad g(\text{爷爷}) + g(\text{雨}) + g(\text{孩子}) > 0$$
#
# $$g(\text{奶奶}) + g(\text{川}) + g(\text{孩子}) < 0 \qquad g(\text{爷爷}) + g(\text{雨}) + g(\text{大人}) < 0$$
#
# Add the two of the first line, and the two of the second: the same six terms stand on the left, and they would have to be above zero and below zero. (Characters that stand in all four sentences add the same number everywhere and change nothing.)
#
# Looking only at the last few characters does not help either: the name may be three characters before 孩子, or thirty. An average is still what we want, but the shares must be set by **the character that is asking**.

# %% [markdown] key="lookup" lang="zh"
# ## 让问的字来定份额
#
# 想象每个字手里有两样东西。一块牌子，写着“我是哪一类”，叫**键**；一句话，写着“我能告诉你什么”，叫**值**。问的字拿着一张纸条，写着“我要找哪一类”，叫**查询**。纸条和每块牌子比对，对得上的多听，对不上的少听。
#
# 比对用点积：两个向量逐项相乘，再相加。牌子有两格，依次是“大人”和“孩子”；值也有两格，依次是“他”和“她”。这些数都是手填的，没有训练。
# %% [markdown] key="lookup" lang="en"
# ## Let the asking character set the shares
#
# Imagine that each character holds two things. A badge, “what kind I am”: its **key**. A message, “what I have to tell”: its **value**. The character that asks holds a slip, “what kind I am looking for”: its **query**. The slip is compared with every badge, and whoever matches is listened to more.
#
# The comparison is a dot product: multiply two vectors entry by entry and add up. A badge has two fields, grown-up and child; a message has two fields as well, 他 and 她. All these numbers are filled in by hand; nothing is trained.

# %% key="lookup-run" tags=["nbval-check-output"]
names = ["奶", "带", "川"]
keys = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])  # 大人，孩子 grown-up, child
values = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])  # 他，她

for asking, query in {"大人": np.array([4.0, 0.0]), "孩子": np.array([0.0, 4.0])}.items():
    scores = keys @ query
    weights = F.softmax(scores)[0]
    print(f"{asking}  查询 query {query}")
    for name, score, weight, value in zip(names, scores, weights, values, strict=True):
        print(f"  {name}  分数 score {score:.0f}  权重 weight {weight:.3f}  值 value {value}")
    print(f"  加权平均 weighted mean: 他 {weights @ values[:, 0]:.3f}, 她 {weights @ values[:, 1]:.3f}")

# %% [markdown] key="lookup-after" lang="zh"
# 这像在词典里查词，只是软的。Python 的字典要键完全相等，只取出一个值；这里每个键都对上几分，取出来的是所有值按份额的平均。份额由 softmax 给出，都是正的，合起来是一，而且能求导，所以牌子、纸条和值都可以学。
#
# ## 公式
#
# 学什么呢？每个字已经有一个向量，一行一个字，摞成 $X$。查询、键、值都从它算出，各乘一个矩阵：
#
# $$Q = X W_Q^\top \qquad K = X W_K^\top \qquad V = X W_V^\top$$
#
# 这门课的约定是：**一行是一个字**，矩阵的形状是（输出，输入），所以写成 $X W^\top$，和 PyTorch 一样。有的书用一列表示一个字，写成 $W X$；两种都对，混在一起就不对了。
#
# 然后三步：比对，变成份额，求平均。
#
# $$Z = \frac{Q K^\top}{\sqrt{d_k}} \qquad P = \mathrm{softmax}(Z) \qquad Y = P V$$
#
# softmax 按行做，每个问的字得到自己的一份分布。合成一行，就是 Vaswani 等人 2017 年那篇论文里的式子：
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\Big(\frac{Q K^\top}{\sqrt{d_k}}\Big) V$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $T$，$S$ | 整数 | 个 | 问的位置数，被看的位置数；一句话看自己时两者相等 |
# | $X$ | (T, D) | 无 | 每行是一个字的向量 |
# | $W_Q$，$W_K$，$W_V$ | (d_k, D) | 无 | 参数，要学的 |
# | $Q$ | (T, d_k) | 无 | 查询，每行是“我要找什么” |
# | $K$ | (S, d_k) | 无 | 键，每行是“我是什么” |
# | $V$ | (S, d_k) | 无 | 值，每行是“我能告诉你什么” |
# | $Z$ | (T, S) | 无 | 分数，第 i 行第 j 列是 i 与 j 对得上几分 |
# | $P$ | (T, S) | 概率 | 注意力权重，每行合起来是 1 |
# | $Y$ | (T, d_k) | 无 | 每个位置看到的结果 |
#
# 根号下的 $d_k$ 是一个查询有几个数，它为什么在那里，过一会儿再说。
#
# 先拿三个字算一遍，都是小整数，能用笔跟着算。
# %% [markdown] key="lookup-after" lang="en"
# It is like looking something up in a dictionary, only softly. A Python dictionary wants a key that is exactly equal and hands out one value; here every key matches to some degree, and what comes out is the mean of all values by their shares. Softmax gives the shares: all are positive, they sum to one, and they have derivatives, so that badges, slips and messages can all be learnt.
#
# ## The formula
#
# What is there to learn? Each character already has a vector; one row a character, they are stacked into $X$. Queries, keys and values all come from it, each by a matrix of its own:
#
# $$Q = X W_Q^\top \qquad K = X W_K^\top \qquad V = X W_V^\top$$
#
# The convention of this course: **a row is a character**, a matrix has the shape (out, in), and so we write $X W^\top$, as PyTorch does. Some books let a column be a character and write $W X$. Both are right; a mixture is not.
#
# Then three steps: compare, turn into shares, average.
#
# $$Z = \frac{Q K^\top}{\sqrt{d_k}} \qquad P = \mathrm{softmax}(Z) \qquad Y = P V$$
#
# Softmax works along rows, so that each asking character gets a distribution of its own. In one line this is the formula of the 2017 paper by Vaswani and others:
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\Big(\frac{Q K^\top}{\sqrt{d_k}}\Big) V$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $T$, $S$ | integers | positions | how many ask, and how many are looked at; equal when a sentence looks at itself |
# | $X$ | (T, D) | none | each row a character's vector |
# | $W_Q$, $W_K$, $W_V$ | (d_k, D) | none | parameters, to be learnt |
# | $Q$ | (T, d_k) | none | queries, each row “what I am looking for” |
# | $K$ | (S, d_k) | none | keys, each row “what I am” |
# | $V$ | (S, d_k) | none | values, each row “what I have to tell” |
# | $Z$ | (T, S) | none | scores; row i, column j says how well i and j match |
# | $P$ | (T, S) | probability | attention weights, each row sums to 1 |
# | $Y$ | (T, d_k) | none | what each position gets to see |
#
# The $d_k$ under the root is how many numbers a query has. Why the root is there we shall see in a while.
#
# First three characters by hand, all small integers, so that a pencil can follow.

# %% key="by-hand-run" tags=["nbval-check-output"]
x = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 1.0, 0.0]])  # 我 爱 你
w_q = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
w_k = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
w_v = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

q, k, v = x @ w_q.T, x @ w_k.T, x @ w_v.T
raw = q @ k.T
scores = raw / math.sqrt(2)
p = F.softmax(scores)[0]
y = p @ v
for name, matrix in {"Q": q, "K": k, "V": v, "Q Kᵀ": raw, "Z": scores, "P": p, "Y": y}.items():
    print(name, *matrix.round(3).tolist(), sep="\n  ")

# %% [markdown] key="loops" lang="zh"
# 拿第一行核对一次。“我”的查询是 (2, 0)，“爱”的键是 (2, 0)，点积是 4，除以 $\sqrt 2$ 得 2.828；另外两个分数是 0 和 1.414。取指数，除以总和，就是 $P$ 的第一行。
#
# ## 写成代码
#
# 先用循环。每个问的位置 `i` 走一遍所有被看的位置 `j`：打分，变成份额，把值按份额加起来。
# %% [markdown] key="loops" lang="en"
# Check the first row. The query of 我 is (2, 0), the key of 爱 is (2, 0), their dot product 4, and divided by $\sqrt 2$ that is 2.828; the other two scores are 0 and 1.414. Exponentiate, divide by the sum, and there is the first row of $P$.
#
# ## In code
#
# Loops first. Each asking position `i` walks over all positions `j`: score them, turn scores into shares, add up the values by their shares.


# %% key="loops-run" tags=["nbval-check-output"]
def attention_loops(q, k, v):
    """q (T, d_k), k and v (S, d_k) -> (T, d_k)"""
    out = np.zeros_like(q)
    for i in range(len(q)):
        scores = []
        for j in range(len(k)):
            dot = sum(a * b for a, b in zip(q[i], k[j], strict=True))
            scores.append(dot / math.sqrt(q.shape[1]))
        top = max(scores)
        exponentials = [math.exp(score - top) for score in scores]
        for j, e in enumerate(exponentials):
            out[i] += e / sum(exponentials) * v[j]
    return out


print(attention_loops(q, k, v).round(3))
assert np.allclose(attention_loops(q, k, v), y)

# %% [markdown] key="vectorised" lang="zh"
# 三层循环其实是两次矩阵乘法：所有的点积一次算完是 $Q K^\top$，所有的加权平均一次算完是 $P V$。
#
# minillm 的 `scaled_dot_product_attention` 一次处理一批句子、好几个头，所以形状是 (B, H, T, K)，K 就是 $d_k$。多个头是第 08 课的事，这里只有一批、一个头：用 `q[None, None]` 在前面补两个轴。
# %% [markdown] key="vectorised" lang="en"
# Three nested loops are really two matrix products: all dot products at once are $Q K^\top$, all weighted means at once are $P V$.
#
# minillm's `scaled_dot_product_attention` takes a batch of sentences and several heads at a time, so its shapes are (B, H, T, K), where K is $d_k$. Several heads belong to lesson 08; here there is one sentence and one head, and `q[None, None]` puts the two axes in front.


# %% key="vectorised-run" tags=["nbval-check-output"]
from minillm.np.attention import scaled_dot_product_attention as attention


def attention_rows(q, k, v):
    """q (T, d_k), k and v (S, d_k) -> (T, d_k)"""
    weights, _ = F.softmax(q @ k.T / math.sqrt(q.shape[1]))  # (T, S)
    return weights @ v


rng = np.random.default_rng(0)
q, k, v = rng.normal(size=(5, 8)), rng.normal(size=(7, 8)), rng.normal(size=(7, 8))
ours = attention_rows(q, k, v)
theirs, _ = attention(q[None, None], k[None, None], v[None, None])

assert np.allclose(ours, attention_loops(q, k, v), rtol=1e-12)
assert np.allclose(ours, theirs[0, 0], rtol=1e-12)
print("循环、向量化、minillm，三者相等 loops, vectorised and minillm agree")

# %% [markdown] key="listing" lang="zh"
# 下面是 minillm 的源码。中间三行是我们的三步：`scores`、`softmax`、`matmul`。多出来的是：根号先除在查询上，因为查询比分数少；查询分成 64 个一块，这样被遮住的未来根本不用算；两种掩码，马上就讲；dropout，第 11 课讲。
# %% [markdown] key="listing" lang="en"
# This is minillm's source. Our three steps are in the middle: `scores`, `softmax`, `matmul`. What it has besides: the root divides the queries, because there are fewer of them than scores; queries go in blocks of 64, so that a masked future need not be computed at all; two kinds of mask, which come next but one; and dropout, which is for lesson 11.

# %% key="listing-attention"
from minillm.np.attention import causal_bias, query_blocks
from minillm.np.attention import scaled_dot_product_attention  # paste

# %% [markdown] key="root" lang="zh"
# ## 没有根号会怎样
#
# 设查询和键的每个数都是随机的，互相独立，平均是 0，方差是 1。点积是 $d_k$ 个乘积的和。每个乘积的平均是 $E[q_i k_i] = E[q_i]\,E[k_i] = 0$，方差是 $E[q_i^2 k_i^2] = E[q_i^2]\,E[k_i^2] = 1$。独立的数相加，方差也相加：
#
# $$\mathrm{Var}(q \cdot k) = \sum_{i=1}^{d_k} \mathrm{Var}(q_i k_i) = d_k$$
#
# 所以点积的典型大小是 $\sqrt{d_k}$，向量越长，分数越大。除以 $\sqrt{d_k}$，方差就回到 1，不管向量多长。
#
# 分数大有什么不好？softmax 看的是分数的差。差有十几，最大的那个就几乎拿走全部，这叫**饱和**。这时再挪动分数，份额几乎不变，梯度也就几乎是零：第 05 课的导数表 $p_i([i=j]-p_j)$，在 $p$ 是一个 1、其余全 0 的时候，每一格都是 0。
#
# 量一量：500 个随机查询，每个看 16 个随机的键。梯度量的是 softmax 的反向：给份额一个随机的上游梯度，看传到分数上还剩多长。
# %% [markdown] key="root" lang="en"
# ## What happens without the root
#
# Let all numbers of a query and a key be random and independent, with mean 0 and variance 1. A dot product is a sum of $d_k$ products. The mean of each is $E[q_i k_i] = E[q_i]\,E[k_i] = 0$, its variance $E[q_i^2 k_i^2] = E[q_i^2]\,E[k_i^2] = 1$. Where independent numbers add, their variances add too:
#
# $$\mathrm{Var}(q \cdot k) = \sum_{i=1}^{d_k} \mathrm{Var}(q_i k_i) = d_k$$
#
# So a dot product is typically of size $\sqrt{d_k}$: the longer the vectors, the larger the scores. Divide by $\sqrt{d_k}$, and the variance is 1 again, however long they are.
#
# What is wrong with large scores? Softmax sees differences. Where they are ten or more, the largest takes nearly everything: softmax is **saturated**. Move a score now, and the shares hardly change, so the gradient is nearly zero: in lesson 05's table of derivatives, $p_i([i=j]-p_j)$, every entry is 0 when $p$ is a single 1 among zeros.
#
# Measure it: 500 random queries, each looking at 16 random keys. The gradient is that of the softmax backward: give the shares a random upstream gradient and see how long it still is when it arrives at the scores.

# %% key="root-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
sizes = [1, 4, 16, 64, 256, 1024]
variance, largest, slope = [], {"raw": [], "scaled": []}, {"raw": [], "scaled": []}
mean_slope = {"raw": [], "scaled": []}

for d_k in sizes:
    queries, many_keys = rng.normal(size=(500, 1, d_k)), rng.normal(size=(500, 16, d_k))
    dots = (queries @ many_keys.swapaxes(1, 2))[:, 0]
    upstream = rng.normal(size=dots.shape)
    variance.append(dots.var())
    for name, scores in (("raw", dots), ("scaled", dots / math.sqrt(d_k))):
        p, p_cache = F.softmax(scores)
        largest[name].append(p.max(axis=1).mean())
        lengths = np.linalg.norm(F.softmax_backward(upstream, p_cache), axis=1)
        slope[name].append(np.median(lengths))
        mean_slope[name].append(lengths.mean())

print("d_k    方差 variance   最大权重 largest weight   梯度（中位数） gradient (median)")
for d_k, var, *row in zip(sizes, variance, *largest.values(), *slope.values(), strict=True):
    print(f"{d_k:4d}   {var:8.4g}        {row[0]:.3f} → {row[1]:.3f}             {row[2]:.2g} → {row[3]:.2g}")
print(f"d_k = 256 的平均 mean gradient: {mean_slope['raw'][4]:.2g} → {mean_slope['scaled'][4]:.2g}")

# %% key="root-picture"
left, right = viz.new_axes(8.2, 3.4, columns=2)
for ax, measured, label in (
    (left, largest, "最大的权重，平均 largest weight, mean"),
    (right, slope, "分数的梯度，中位数 gradient of scores, median"),
):
    ax.plot(sizes, measured["raw"], "o-", color="#D55E00", label="不除 not divided")
    ax.plot(sizes, measured["scaled"], "s-", color="#0072B2", label="除以 √d_k divided by √d_k")
    ax.set_xscale("log", base=2)
    ax.set_xlabel("查询的长度 d_k length of a query")
    ax.set_title(label, fontsize=11)
    ax.grid(alpha=0.25)
left.axhline(1 / 16, color="0.5", linestyle=":", label="人人相等 equal shares, 1/16")
left.set_ylim(0, 1.05)
left.legend(fontsize=9)
right.set_yscale("log")
viz.show([left, right], alt="最大权重与梯度随 d_k 的变化 largest weight and gradient against d_k")

# %% [markdown] key="root-after" lang="zh"
# 箭头左边不除根号，右边除了。方差果然就是 $d_k$。不除的时候，$d_k = 256$ 的查询还没学过什么，就把九成以上的份额给了碰巧最大的一个；梯度的中位数只有除过的百分之一左右。$d_k = 1024$ 时只剩百万分之几。多数查询看错了，也几乎改不动。
#
# 为什么看中位数？表下面那一行是平均数，差得没有那么远：少数查询碰巧有两个键不相上下，梯度仍然不小，平均被它们抬高了。中位数说的是一个普通的查询。
#
# 论文的作者写的是“我们怀疑”点积太大会让 softmax 进入梯度极小的区域。上面的表说明，对随机的向量，确实如此。练好的模型里查询和键不再随机，分数也可以学得很大；根号只保证**起步时**不偏心。
# %% [markdown] key="root-after" lang="en"
# Left of the arrow the root is missing, right of it it is there. The variance is $d_k$ indeed. Without the root, a query with $d_k = 256$ that has learnt nothing yet gives more than nine tenths of its share to whichever key happens to be largest; the median gradient is about a hundredth of what it is with the root. At $d_k = 1024$ a few millionths are left. Most queries look at the wrong thing and can hardly change.
#
# Why the median? The line below the table has the mean, where the gap is much smaller: in a few queries two keys happen to be level, their gradient is not small at all, and they lift the mean. The median speaks of an ordinary query.
#
# The authors of the paper wrote “we suspect” that large dot products push softmax into regions of extremely small gradients. For random vectors the table shows that they do. In a trained model queries and keys are no longer random, and scores may well become large; the root only makes sure that nothing is favoured **at the start**.

# %% [markdown] key="masks" lang="zh"
# ## 掩码：不许看的位置
#
# ### 因果掩码
#
# 语言模型在每个位置猜下一个字。训练时整句话都摆在面前，要是位置 3 能看见位置 4，答案就摆在输入里，抄就行了。所以第 `i` 行只许看第 0 到第 `i` 列，看自己和前面，这叫**因果掩码**。
#
# 漏没漏，有一个不会骗人的查法：改掉最后一个字，看前面的输出动不动。
# %% [markdown] key="masks" lang="en"
# ## Masks: where not to look
#
# ### The causal mask
#
# A language model guesses the next character at every position. In training the whole sentence lies before it, and if position 3 can see position 4, the answer is part of the input and needs only be copied. So row `i` may look at columns 0 to `i`, at itself and what came before: the **causal mask**.
#
# There is a test for leaks that cannot be fooled: change the last character and see whether earlier outputs move.

# %% key="masks-leak" tags=["nbval-check-output"]
rng = np.random.default_rng(1)
x = rng.normal(size=(1, 1, 6, 8))
changed = x.copy()
changed[0, 0, -1] = rng.normal(size=8)  # 只改最后一个字 only the last character

for causal in (False, True):
    before, after = attention(x, x, x, causal=causal)[0], attention(changed, changed, changed, causal=causal)[0]
    moved = np.abs(after - before).max(axis=-1)[0, 0]
    print(f"causal={causal!s:5}  各位置动了多少 each position moved by {moved.round(2)}")

# %% [markdown] key="masks-inf" lang="zh"
# ### 在 softmax 之前遮，不是之后
#
# 怎样遮？把不许看的分数换成负无穷，再做 softmax：$e^{-\infty} = 0$，它一点份额也拿不到，别人的份额合起来还是一。
#
# 常见的错法是先做完 softmax，再把不许看的权重清零。看看差在哪里。第三个位置不许看，它的分数先是 3，后是 6：
# %% [markdown] key="masks-inf" lang="en"
# ### Mask before the softmax, not after
#
# How is a position masked? Replace its score by minus infinity, then do the softmax: $e^{-\infty} = 0$, it gets no share at all, and the shares of the others still sum to one.
#
# A common mistake is to do the softmax first and to set the forbidden weights to zero afterwards. See what that does. The third position must not be seen; its score is 3 first and 6 later:

# %% key="masks-inf-run" tags=["nbval-check-output"]
visible = np.array([True, True, False])
for hidden_score in (3.0, 6.0):
    scores = np.array([1.0, 2.0, hidden_score])
    before = F.softmax(np.where(visible, scores, -np.inf))[0]
    after = F.softmax(scores)[0] * visible
    print(f"隐藏的分数 hidden score {hidden_score:.0f}")
    print(f"  之前遮 before {before.round(3)}  合计 sum {before.sum():.3f}")
    print(f"  之后遮 after  {after.round(3)}  合计 sum {after.sum():.3f}")

# %% [markdown] key="masks-empty" lang="zh"
# 之后才遮，一行合起来不到一；更糟的是，那个“看不见”的分数从 3 变成 6，看得见的权重也跟着变了，因为它还站在分母里。未来就从分母漏了进来。
#
# ### 一个都不许看
#
# 有时一整行都被遮住，比如补齐用的空位。每个分数都是负无穷，减去最大值就是“负无穷减负无穷”。三种写法，三种结果：
# %% [markdown] key="masks-empty" lang="en"
# Masked afterwards, a row sums to less than one; and what is worse, when the “unseen” score goes from 3 to 6, the weights that are seen change with it, because it still stands below the fraction line. The future leaks in through the denominator.
#
# ### Nothing to look at
#
# Sometimes a whole row is masked, that of a filler position for instance. Every score is minus infinity, and subtracting the maximum gives minus infinity minus minus infinity. Three ways to write it, three results:

# %% key="masks-empty-run" tags=["nbval-check-output"]
scores, nothing = np.array([1.0, 2.0, 3.0]), np.array([False, False, False])


def plain_softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


with np.errstate(all="ignore"):
    print("-inf，照公式 by the formula:", plain_softmax(np.where(nothing, scores, -np.inf)))
print("-1e9 代替 -inf instead of:  ", plain_softmax(np.where(nothing, scores, -1e9)).round(3))
print("-inf，minillm:              ", F.softmax(np.where(nothing, scores, -np.inf))[0])

# %% [markdown] key="masks-padding" lang="zh"
# 第一种是 `nan`，会顺着梯度毁掉整个模型。第二种不报错，却把份额平分给了不该看的位置。minillm 给零：什么都没看，就什么都没看到。
#
# ### 补齐掩码
#
# 一批句子长短不一，要排成整齐的数组，短的后面补空位 `<pad>`。空位不是字，谁都不该看它。对不对也容易查：一句话混在一批里算，和单独算，结果应当一样。
# %% [markdown] key="masks-padding" lang="en"
# The first is `nan`, which would go with the gradients and ruin the whole model. The second raises no error and spreads its shares evenly over positions that must not be seen. minillm gives zeros: who looks at nothing sees nothing.
#
# ### The padding mask
#
# Sentences of a batch differ in length; to make them an even array, the short ones are filled up with `<pad>`. Filler is no character, and nobody should look at it. Whether that works is easy to test: a sentence in a batch must give the same result as by itself.

# %% key="masks-padding-run" tags=["nbval-check-output"]
length = np.array([6, 4])  # 第二句只有四个字 the second sentence has four characters
x = rng.normal(size=(2, 1, 6, 8))
real = np.arange(6) < length[:, None]  # (B, S)

alone = attention(x[1:, :, :4], x[1:, :, :4], x[1:, :, :4])[0]
with_mask = attention(x, x, x, mask=real[:, None, None])[0][1:, :, :4]
without = attention(x, x, x)[0][1:, :, :4]
print("遮住空位，差 masked, difference:", np.abs(with_mask - alone).max().round(3))
print("没有遮，差 unmasked, difference:", np.abs(without - alone).max().round(3))

# %% [markdown] key="backward" lang="zh"
# ## 反向，一步一步
#
# 前向是三步，反向倒着走这三步。上游来的是 $\partial L / \partial Y$，写作 $dY$，形状和 $Y$ 一样。要的是 $dQ$、$dK$、$dV$。
#
# **加权平均** $Y = PV$。写出一个数：$Y_{ic} = \sum_j P_{ij} V_{jc}$。值 $V_{jc}$ 出现在每一个看过 $j$ 的位置 $i$ 里，份额是 $P_{ij}$，所以把各处传回来的按同样的份额加起来；权重 $P_{ij}$ 乘着 $V_j$ 的每一格，所以是一个点积：
#
# $$dV_{jc} = \sum_i P_{ij}\, dY_{ic} \quad\Longrightarrow\quad dV = P^\top dY$$
#
# $$dP_{ij} = \sum_c dY_{ic}\, V_{jc} \quad\Longrightarrow\quad dP = dY\, V^\top$$
#
# **softmax** 每行各做各的，第 05 课推过：
#
# $$dZ_{ij} = P_{ij}\Big(dP_{ij} - \sum_m P_{im}\, dP_{im}\Big)$$
#
# **比对** $Z = Q K^\top / \sqrt{d_k}$。同样写出一个数，$Z_{ij} = \sum_c Q_{ic} K_{jc} / \sqrt{d_k}$，于是
#
# $$dQ = \frac{dZ\, K}{\sqrt{d_k}} \qquad dK = \frac{dZ^\top Q}{\sqrt{d_k}}$$
#
# 根号在前向除过一次，反向也要除一次，两处都要。掩码在反向里不用再写：遮住的地方 $P_{ij} = 0$，$dZ_{ij}$ 自然是 0。
#
# 下面五行就是这五个式子。`gradcheck` 把每个数逐一挪动，核对它们。
# %% [markdown] key="backward" lang="en"
# ## Backward, step by step
#
# Forward took three steps; backward takes them in reverse. From upstream comes $\partial L / \partial Y$, written $dY$, of the same shape as $Y$. Wanted are $dQ$, $dK$ and $dV$.
#
# **The weighted mean** $Y = PV$. Write out one number: $Y_{ic} = \sum_j P_{ij} V_{jc}$. The value $V_{jc}$ occurs at each position $i$ that looked at $j$, with the share $P_{ij}$, so what comes back from them is added up by the same shares; the weight $P_{ij}$ multiplies each entry of $V_j$, so it gets a dot product:
#
# $$dV_{jc} = \sum_i P_{ij}\, dY_{ic} \quad\Longrightarrow\quad dV = P^\top dY$$
#
# $$dP_{ij} = \sum_c dY_{ic}\, V_{jc} \quad\Longrightarrow\quad dP = dY\, V^\top$$
#
# **The softmax**, each row by itself, as derived in lesson 05:
#
# $$dZ_{ij} = P_{ij}\Big(dP_{ij} - \sum_m P_{im}\, dP_{im}\Big)$$
#
# **The comparison** $Z = Q K^\top / \sqrt{d_k}$. Again one number, $Z_{ij} = \sum_c Q_{ic} K_{jc} / \sqrt{d_k}$, and so
#
# $$dQ = \frac{dZ\, K}{\sqrt{d_k}} \qquad dK = \frac{dZ^\top Q}{\sqrt{d_k}}$$
#
# The root divided once on the way forward; it divides on the way back as well, in both places. A mask need not be written again: where it stood $P_{ij} = 0$, and $dZ_{ij}$ is 0 by itself.
#
# The five lines below are these five formulas. `gradcheck` moves every one of the numbers in turn and compares.

# %% key="backward-run" tags=["nbval-check-output"]
rng = np.random.default_rng(2)
q, k, v = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
dy = rng.normal(size=(3, 4))  # 随机的上游梯度 a random upstream gradient

p = F.softmax(q @ k.T / math.sqrt(4))[0]
dv = p.T @ dy
dp = dy @ v.T
dz = p * (dp - (p * dp).sum(axis=1, keepdims=True))
dq = dz @ k / math.sqrt(4)
dk = dz.T @ q / math.sqrt(4)

worst = gradcheck(
    lambda: float((attention_rows(q, k, v) * dy).sum()), {"q": q, "k": k, "v": v}, {"q": dq, "k": dk, "v": dv}
)
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对 gradients are right")

# %% [markdown] key="backward-minillm" lang="zh"
# 再和 minillm 的 `scaled_dot_product_attention_backward` 比一次，这回带上因果掩码，一批两句，三个头。我们的五行一个字也不用改，只把转置换成 `swapaxes(-1, -2)`。
# %% [markdown] key="backward-minillm" lang="en"
# Now against minillm's `scaled_dot_product_attention_backward`, this time with the causal mask, two sentences and three heads. Our five lines stay as they are, but for transposes, which become `swapaxes(-1, -2)`.

# %% key="backward-minillm-run" tags=["nbval-check-output"]
from minillm.np.attention import scaled_dot_product_attention_backward as attention_backward

q, k, v, dy = (rng.normal(size=(2, 3, 5, 4)) for _ in range(4))
y, cache = attention(q, k, v, causal=True)
dq, dk, dv = attention_backward(dy, cache)

past = np.tri(5, dtype=bool)  # True: 第 i 行看得见第 j 列 row i may see column j
p = F.softmax(np.where(past, q @ k.swapaxes(-1, -2) / math.sqrt(4), -np.inf))[0]
dp = dy @ v.swapaxes(-1, -2)
dz = p * (dp - (p * dp).sum(axis=-1, keepdims=True))

assert np.allclose(y, p @ v, atol=1e-14)
assert np.allclose(dv, p.swapaxes(-1, -2) @ dy, atol=1e-14)
assert np.allclose(dq, dz @ k / math.sqrt(4), atol=1e-14)
assert np.allclose(dk, dz.swapaxes(-1, -2) @ q / math.sqrt(4), atol=1e-14)
print("与 minillm 的反向相等 equal to minillm's backward")

# %% [markdown] key="twin" lang="zh"
# ## PyTorch 的孪生
#
# PyTorch 的同名函数叫 `scaled_dot_product_attention`，`is_causal=True` 就是因果掩码。反向交给自动求导。
# %% [markdown] key="twin" lang="en"
# ## The PyTorch twin
#
# PyTorch's function has the same name, `scaled_dot_product_attention`, and its `is_causal=True` is the causal mask. Backward is left to autograd.

# %% key="twin-run" tags=["nbval-check-output"]
try:
    import torch
    import torch.nn.functional as TF
except ImportError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    q_pt, k_pt, v_pt = (torch.tensor(array, requires_grad=True) for array in (q, k, v))
    y_pt = TF.scaled_dot_product_attention(q_pt, k_pt, v_pt, is_causal=True)
    y_pt.backward(torch.tensor(dy))

    pairs = [(y_pt.detach(), y), (q_pt.grad, dq), (k_pt.grad, dk), (v_pt.grad, dv)]
    difference = max(np.abs(theirs.numpy() - ours).max() for theirs, ours in pairs)
    print("输出和三个梯度相差不到 output and three gradients differ by less than 1e-14:", bool(difference < 1e-14))

# %% [markdown] key="model" lang="zh"
# ## 最小的模型
#
# 有了前向和反向，就能训练。模型只有一个头：查嵌入表得到 $X$，三个矩阵得到 $Q$、$K$、$V$，做注意力，最后一个矩阵把结果变成每个答案的分数。反向把同样的几步倒着走一遍；$X$ 用了三次，三路梯度要加起来。
# %% [markdown] key="model" lang="en"
# ## The smallest model
#
# With forward and backward in hand we can train. The model has one head: look up embeddings for $X$, three matrices for $Q$, $K$ and $V$, attention, and one last matrix that turns the result into a score for every answer. Backward walks the same steps in reverse; $X$ was used three times, so three gradients add up.


# %% key="model-run"
from minillm.np.param import normal

MAPS = ("query", "key", "value")


def new_model(vocab, answers, rng, size=16):
    shapes = {"table": (vocab, size), **{name: (size, size) for name in MAPS}, "answer": (answers, size)}
    return {
        name: normal(rng, shape, std=0.2 if name == "table" else 1 / math.sqrt(size)) for name, shape in shapes.items()
    }


def forward(w, ids, visible=None, causal=False):
    """ids (B, T) -> scores of the answers (B, T, answers)"""
    x, x_cache = F.embedding(ids, w["table"].data)
    qkv, map_caches = zip(*(F.linear(x, w[name].data) for name in MAPS), strict=True)
    y, y_cache = attention(*(each[:, None] for each in qkv), mask=visible, causal=causal)
    logits, out_cache = F.linear(y[:, 0], w["answer"].data)
    return logits, (x_cache, map_caches, y_cache, out_cache)


def backward(w, dlogits, cache):
    """Fill in the gradient of every weight."""
    x_cache, map_caches, y_cache, out_cache = cache
    dy, w["answer"].grad, _ = F.linear_backward(dlogits, out_cache)
    dx = 0
    for name, dmap, map_cache in zip(MAPS, attention_backward(dy[:, None], y_cache), map_caches, strict=True):
        dx_part, w[name].grad, _ = F.linear_backward(dmap[:, 0], map_cache)
        dx = dx + dx_part
    w["table"].grad = F.embedding_backward(dx, x_cache)


# %% [markdown] key="dice" lang="zh"
# 训练就是第 05 课的循环：打分，交叉熵，反向，走一步。走一步用 Adam，它按每个参数自己的梯度大小调整步子，第 11 课细讲。
#
# 先做一件不可能的事：预测骰子。每句话是 6 个完全随机的数，各有 20 种可能。下一个数谁也猜不到，损失不可能低于 $\ln 20 = 2.996$。如果低了，就是看见了答案。
# %% [markdown] key="dice" lang="en"
# Training is the loop of lesson 05: scores, cross-entropy, backward, one step. The step is Adam's, which fits its length to the gradients of each parameter; lesson 11 explains it.
#
# Begin with something impossible: predict dice. Each sentence is 6 numbers, thrown with a die of 20 sides. Nobody can guess the next one, so no loss can be below $\ln 20 = 2.996$. Whoever gets below has seen the answer.


# %% key="dice-run"
from minillm.np.optim import Adam


def train(w, next_batch, steps, lr, causal=False, learn=("table", *MAPS, "answer")):
    """next_batch() -> ids, targets (-100: no question here), visible"""
    optimiser = Adam([{"params": [(name, w[name]) for name in learn]}], lr=lr)
    losses = []
    for _ in range(steps):
        ids, targets, visible = next_batch()
        logits, cache = forward(w, ids, visible, causal)
        loss, loss_cache = F.cross_entropy(logits, targets)
        backward(w, F.cross_entropy_backward(1.0, loss_cache), cache)
        optimiser.step()
        losses.append(float(loss))
    return losses


def dice(rng, sides=20, length=6, rows=64):
    ids = rng.integers(sides, size=(rows, length))
    next_ids = np.full_like(ids, -100)
    next_ids[:, :-1] = ids[:, 1:]
    return ids, next_ids, None


dice_losses = {}
for causal in (False, True):
    rng = np.random.default_rng(0)
    dice_losses[causal] = train(new_model(20, 20, rng), lambda rng=rng: dice(rng), steps=300, lr=0.02, causal=causal)

ax = viz.new_axes(7, 3.2)
ax.plot(dice_losses[False], color="#D55E00", label="没有掩码 no mask")
ax.plot(dice_losses[True], color="#0072B2", label="因果掩码 causal mask")
ax.axhline(math.log(20), color="0.3", linestyle=":", label="ln 20：骰子的熵 the entropy of the die")
ax.set_ylim(1.5, 3.3)
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特） loss (nats)")
ax.legend(loc="center right", bbox_to_anchor=(1, 0.62))
viz.show(ax, alt="没有掩码时骰子也能预测 without a mask even dice can be predicted")

# %% [markdown] key="dice-after" lang="zh"
# 没有掩码，损失跌到 2 上下：模型大致学会了“答案就在这几个数里，又多半不是我自己”：二十种可能，一下子只剩五六种。有因果掩码，损失贴着 $\ln 20$，一点便宜也占不到。真的文字里漏了未来，曲线也会这样漂亮，生成的时候却一塌糊涂，因为那时未来还不存在。
#
# ## 在中文上：他还是她
#
# 回到开头的问题，这次用真的句子。从《槐树胡同读本》里找出恰好提到一个大人的句子，和恰好提到一个孩子的句子，把名字挖掉。读本里小雨和圆圆是女孩，小川和大明是男孩。
# %% [markdown] key="dice-after" lang="en"
# Without a mask the loss drops to about 2: the model has learnt, more or less, that the answer is among these few numbers and most likely not myself: of twenty possibilities only five or six are left. With the causal mask the loss stays at $\ln 20$, nothing to be gained. On real text a leaking future makes just as fine a curve; then, when the model writes, everything falls apart, because the future is not there yet.
#
# ## On Chinese text: he or she
#
# Back to the first question, now with real sentences. From the reader that comes with the course, take those that mention exactly one grown-up, and those that mention exactly one child, and cut the names out. In the reader 小雨 and 圆圆 are girls, 小川 and 大明 are boys.

# %% key="reader-run" tags=["nbval-check-output"]
from minillm.data.corpora import load_corpus
from minillm.text import train_tokenizer

ADULTS = {"爷爷": "他", "奶奶": "她", "爸爸": "他", "妈妈": "她"}
CHILDREN = {"小川": "他", "小雨": "她", "大明": "他", "圆圆": "她"}
PRONOUN = ADULTS | CHILDREN
someone = re.compile("|".join(PRONOUN))
anyone_else = re.compile(
    "[他她张方]|大人|孩子|老师|叔叔|阿姨|外婆|老赵|小吴|哥|姐|弟|妹|医生|儿子|女|小河|安娜|公公|外公"
)


def scenes(texts, people):
    """Sentences that name one of `people` and nobody else, with ＿ for the name."""
    found = []
    for sentence in re.findall("[^。！？\n]+[。！？]", re.sub("[“”]", "", "\n".join(texts))):
        named = someone.findall(sentence)
        if len(sentence) <= 24 and len(named) == 1 and named[0] in people and not anyone_else.search(sentence):
            found.append(sentence.replace(named[0], "＿"))
    return list(dict.fromkeys(found))  # 每句只留一次 each once


corpus = load_corpus("reader")
learning = [scenes(corpus.train, people) for people in (ADULTS, CHILDREN)]
held_out = [scenes([*corpus.valid, *corpus.test], people) for people in (ADULTS, CHILDREN)]
held_out = [[s for s in unseen if s not in seen] for unseen, seen in zip(held_out, learning, strict=True)]
print("大人 grown-ups:", len(learning[0]), "+", len(held_out[0]), *learning[0][:3])
print("孩子 children: ", len(learning[1]), "+", len(held_out[1]), *learning[1][:3])

# %% [markdown] key="reader-batch" lang="zh"
# 一道题是这样出的：取一句大人的、一句孩子的，填上随机的名字，前后次序随机，末尾问“大人”或“孩子”。名字是换过的，别的字帮不上忙，只有名字知道答案。另有一半的题只给一句话，于是有时问的人根本没出现，该答“？”。要是没有这一条，模型可以一律默认答“她”，只去找“他”的证据，热图就难懂了。
#
# 模型只在最后一个字（“人”或“子”）的位置上作答，前面的位置都记作 -100，不算损失。
# %% [markdown] key="reader-batch" lang="en"
# A question is made like this: one sentence of a grown-up and one of a child, random names put in, in random order, and at the end 大人 (the grown-up) or 孩子 (the child). Since names are swapped, the other characters are of no help: only the names know the answer. Half of the questions have just one sentence, so that sometimes the person asked about has not appeared at all, and the answer is “？”. Without this, a model could say 她 by default and look for signs of 他 only, and its heat map would be hard to read.
#
# The model answers at the last character only, 人 or 子; all positions before it are marked -100 and do not count in the loss.

# %% key="reader-batch-run" tags=["nbval-check-output"]
tokenizer = train_tokenizer("char", corpus.train)
ANSWERS = "他她？"


def pick(items, rng):
    return items[rng.integers(len(items))]


def question(scenes, rng, kinds=(0.5, 0.25, 0.25)):
    """-> text, the name asked about ("" if it is not there), the other name. kinds: both there, only it, only the other"""
    people = [pick(list(ADULTS), rng), pick(list(CHILDREN), rng)]
    story = [pick(group, rng).replace("＿", name) for group, name in zip(scenes, people, strict=True)]
    asked, first = rng.integers(2, size=2)
    kind = rng.choice(3, p=kinds)
    told = (story[first] + story[1 - first], story[asked], story[1 - asked])[kind]
    return told + ("大人", "孩子")[asked], people[asked] if kind < 2 else "", people[1 - asked]


def batch(questions):
    """-> ids (B, T), targets (B, T), visible (B, 1, 1, T)"""
    ids = np.full((len(questions), max(len(text) for text, *_ in questions)), tokenizer.pad_id)
    targets = np.full(ids.shape, -100)
    for row, (text, name, _) in enumerate(questions):
        ids[row, : len(text)] = tokenizer.encode(text, unknown="unk")
        targets[row, len(text) - 1] = ANSWERS.index(PRONOUN.get(name, "？"))
    return ids, targets, (ids != tokenizer.pad_id)[:, None, None]


rng = np.random.default_rng(1)
for _ in range(5):
    text, name, _ = question(learning, rng)
    print(f"{text} → {PRONOUN.get(name, '？')}")

# %% [markdown] key="reader-train" lang="zh"
# 训练两个模型，只差一处。一个是注意力。另一个把查询固定为零：所有分数都是零，softmax 给人人相等的份额，那就是开头的平均，拿来当基线。
# %% [markdown] key="reader-train" lang="en"
# Train two models with a single difference. One is attention. In the other the queries are fixed at zero: all scores are zero, softmax gives equal shares, and that is the plain average of the beginning, our baseline.


# %% key="reader-train-run"
def learn_pronouns(seed, with_attention=True):
    rng = np.random.default_rng(seed)
    w = new_model(tokenizer.vocab_size, len(ANSWERS), rng)
    learn = ("table", *MAPS, "answer")
    if not with_attention:
        w["query"].data[:] = 0
        learn = ("table", "value", "answer")
    return w, train(w, lambda: batch([question(learning, rng) for _ in range(32)]), steps=600, lr=0.01, learn=learn)


model, losses = learn_pronouns(seed=0)
average, average_losses = learn_pronouns(seed=0, with_attention=False)

ax = viz.new_axes(7, 3.2)
ax.plot(average_losses, color="#D55E00", linewidth=0.9, label="平均 plain average")
ax.plot(losses, color="#0072B2", linewidth=0.9, label="注意力 attention")
ax.axhline(math.log(3), color="0.5", linestyle=":", label="瞎猜 guessing, ln 3")
ax.set_ylim(-0.03, 1.65)
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特） loss (nats)")
ax.legend(loc="upper right", ncols=3, fontsize=9)
viz.show(ax, alt="注意力学会了，平均没有 attention learns it, the average does not")

# %% [markdown] key="reader-test" lang="zh"
# 平均也学到一点：大人和孩子用同一个代词的时候，问谁都一样。剩下的它学不会，道理就是开头那两行不等式。
#
# 考试用没见过的句子，而且只考难的：大人和孩子都在，代词不同。除了答对几成，还看**权重落在谁身上**。写一个小函数 `look`，只算最后一个字的查询：它看了谁，每个字又给三个答案各加了多少分。因为只有一层，后面又只有一次线性变换，答案的分数恰好等于各字贡献之和，一点不剩：权重，乘以这个字的值换算成的分数。
# %% [markdown] key="reader-test" lang="en"
# The average learns something too: where grown-up and child take the same pronoun, it does not matter who is asked about. The rest it cannot learn, for the reason of those two lines of inequalities.
#
# The test has sentences never seen, and only hard ones: both people are there, and their pronouns differ. Besides how often the answer is right, see **on whom the weight falls**. A little function `look` computes the query of the last character alone: whom it looked at, and what each character adds to the score of each of the three answers. Since there is one layer only, with one linear map after it, an answer's score is exactly the sum of what the characters contribute, with nothing left over: the weight, times what this character's value is worth in points.


# %% key="reader-test-run"
def look(w, text, sharpness=1.0, hidden=()):
    """The last character's weights (T,), and what each character adds to the score of each answer (T, 3)."""
    x = w["table"].data[tokenizer.encode(text, unknown="unk")]
    q, k, v = x[-1] @ w["query"].data.T, x @ w["key"].data.T, x @ w["value"].data.T
    scores = sharpness * (k @ q) / math.sqrt(len(q))
    scores[list(hidden)] = -np.inf
    p = F.softmax(scores)[0]
    return p, p[:, None] * (v @ w["answer"].data.T)


def answer(points):
    return ANSWERS[points.sum(axis=0).argmax()]


def places(text, name):
    return [text.index(name), text.index(name) + 1]


rng = np.random.default_rng(7)
many = [question(held_out, rng, kinds=(1, 0, 0)) for _ in range(800)]
exam = [(text, name, other) for text, name, other in many if PRONOUN[name] != PRONOUN[other]]

results = {}
for label, w in {"平均 average": average, "注意力 attention": model}.items():
    looks = [look(w, text) for text, *_ in exam]
    right = np.mean([answer(points) == PRONOUN[name] for (_, points), (_, name, _) in zip(looks, exam, strict=True)])
    asked = np.mean([p[places(text, name)].sum() for (p, _), (text, name, _) in zip(looks, exam, strict=True)])
    not_asked = np.mean([p[places(text, other)].sum() for (p, _), (text, _, other) in zip(looks, exam, strict=True)])
    results[label] = right, asked, not_asked
    print(
        f"{label}: 答对 right {right:.3f}   权重 weight: 问的名字 name asked {asked:.3f}, 另一个 other {not_asked:.3f}"
    )

# look() 与整个模型一致 look() agrees with the whole model
logits = forward(model, *batch(exam[:1])[::2])[0][0, -1]
assert np.allclose(logits, look(model, exam[0][0])[1].sum(axis=0), rtol=1e-3, atol=1e-3)

# %% [markdown] key="map" lang="zh"
# ### 热图
#
# 读本里，小川在爸爸背上说过“我爱北京天安门”。把小川换成小雨，再分别问大人和孩子。上图是权重；下图是每个字把答案往“她”推（红）还是往“他”推（蓝）。
# %% [markdown] key="map" lang="en"
# ### The heat map
#
# In the reader 小川 says 我爱北京天安门 (“I love Tiananmen in Beijing”) riding on his dad's back. Put 小雨 in his place, and ask about the grown-up and about the child. Above are the weights; below is how far each character pushes the answer towards 她 (red) or towards 他 (blue).


# %% key="map-run"
def map_of(w, sentence, sharpness=1.0):
    """Two heat maps, one above the other: weights, and pushes towards 她."""
    asking, names = ("大人", "孩子"), [*sentence, "人/子"]
    found = [look(w, sentence + asked, sharpness) for asked in asking]
    pushes = [points[:, 1] - points[:, 0] for _, points in found]
    top, bottom = viz.new_axes(0.42 * len(names) + 2.2, 3.4, rows=2)
    # 问话的两个字并成一格 the two characters that ask share a cell
    for ax, lines, options in (
        (top, [p for p, _ in found], {"label": "权重 weight", "limits": (0, 1)}),
        (bottom, pushes, {"label": "推力 push\n他 −      + 她", "limits": (-8, 8)}),
    ):
        viz.heatmap([[*line[:-2], line[-2:].sum()] for line in lines], asking, names, ax, form="", **options)
    chances = [F.softmax(points.sum(axis=0))[0] for _, points in found]
    said = [f"{asked} → {ANSWERS[p.argmax()]} {p.max():.0%}" for asked, p in zip(asking, chances, strict=True)]
    top.set_title("     ".join(said))
    return top


sentence = "小雨在爸爸背上说：我爱北京天安门。"
viz.show(
    map_of(model, sentence),
    alt="问大人看“爸”，问孩子看“雨” asked about the grown-up it looks at 爸, about the child at 雨",
)

# %% [markdown] key="map-after" lang="zh"
# 没有人告诉过它哪些字是名字。问“大人”，它看两个“爸”；问“孩子”，它看“雨”，几乎不看“小”，因为小雨和小川都有“小”，“小”说不出他和她。“天安门”和“我爱”什么也不说，也就没有人看。
#
# 两个“爸”的权重一模一样。这不是巧合：同一个字，嵌入一样，键就一样，分数也就一样。
#
# 图好看，不等于可信。Jain 和 Wallace 在 2019 年提醒过：权重大，不一定是答案的原因；换一套很不一样的权重，有时也得到同样的答案。所以要动手验：把它看的字**遮住**，答案变不变？再遮两个别的字，作个对照。
# %% [markdown] key="map-after" lang="en"
# Nobody told it which characters are names. Asked about 大人 it looks at the two 爸; asked about 孩子 it looks at 雨, and hardly at 小, because 小雨 and 小川 both have 小, and 小 cannot tell her from him. 天安门 and 我爱 have nothing to say here, and nobody looks at them.
#
# The two 爸 have exactly the same weight. That is no accident: the same character has the same embedding, hence the same key, hence the same score.
#
# A fine picture is not yet a trustworthy one. Jain and Wallace warned in 2019 that a large weight need not be the cause of the answer; very different weights sometimes give the same answer. So put it to the test: **mask** the characters that it looks at, and see whether the answer changes. For comparison, mask two others.

# %% key="hide-run"
rng = np.random.default_rng(0)


def two_others(text, name, other):
    taken = {*places(text, name), *places(text, other), len(text) - 2, len(text) - 1}
    return rng.choice([i for i in range(len(text)) if i not in taken], size=2, replace=False)


ways = {
    "什么也不遮 nothing masked": lambda *_: (),
    "遮两个别的字 two others masked": two_others,
    "遮住问的名字 the name masked": lambda text, name, _: places(text, name),
}
for label, choose in ways.items():
    said = [answer(look(model, text, hidden=choose(text, name, other))[1]) for text, name, other in exam]
    right = np.mean([a == PRONOUN[name] for a, (_, name, _) in zip(said, exam, strict=True)])
    unknown = np.mean([a == "？" for a in said])
    print(f"{label}: 答对 right {right:.3f}, 说不知道 says ？ {unknown:.3f}")

# %% [markdown] key="order" lang="zh"
# 遮住名字，它几乎总说不知道；遮两个别的字，它不在乎。对这些考题，热图指的地方确实是答案的原因。对别的句子、更深的模型，都要重新验过；第 27 课会再查。
#
# ### 它还看不见什么
#
# “小雨把伞给了圆圆，因为她没带。”这个“她”是谁？看得懂的人知道是圆圆：没带伞的才要伞。把两个名字对调，“她”就成了小雨。我们的注意力分得清吗？
# %% [markdown] key="order" lang="en"
# With the name masked it nearly always says that it does not know; two other characters it does not mind. For these questions, what the heat map points at is indeed the cause of the answer. Other sentences and deeper models have to be tested anew; lesson 27 takes that up.
#
# ### What it still cannot see
#
# 小雨把伞给了圆圆，因为她没带。 (“Xiaoyu gave the umbrella to Yuanyuan, because she had not brought one.”) Who is 她? A reader knows that it is 圆圆, for an umbrella goes to whoever has none. Exchange the two names, and 她 is 小雨. Can our attention tell the two apart?

# %% key="order-run" tags=["nbval-check-output"]
given, swapped = "小雨把伞给了圆圆，因为她没带。", "圆圆把伞给了小雨，因为她没带。"
p, points = look(model, given + "孩子")
p_swapped, points_swapped = look(model, swapped + "孩子")
for char in "雨圆":
    same = np.isclose(p[given.index(char)], p_swapped[swapped.index(char)], rtol=1e-3)
    print(f"{char} 的权重两句相同 has the same weight in both: {same}")
print("分数两句相同 the scores are the same:", np.allclose(points.sum(axis=0), points_swapped.sum(axis=0), rtol=1e-4))

# %% [markdown] key="rain" lang="zh"
# 分不清。公式里没有一处提到位置：字的次序打乱，分数跟着字走，加权平均一点不变。“我爱你”和“你爱我”在它眼里也是同一句话。
#
# 还有一样。“今天刮风了。”“今天下雪了。”“今天下雨了。”“明天见。”这四句话里都没有孩子：
# %% [markdown] key="rain" lang="en"
# It cannot. Nothing in the formula mentions a position: shuffle the characters, the scores go along with them, and the weighted mean stays what it was. 我爱你 (I love you) and 你爱我 (you love me) are the same sentence to it.
#
# And one thing more. There is no child in any of these: 今天刮风了。 (“It is windy today.”), 今天下雪了。 (“It is snowing today.”), 今天下雨了。 (“It is raining today.”) and 明天见。 (“See you tomorrow.”)

# %% key="rain-run"
for nobody in ("今天刮风了。", "今天下雪了。", "今天下雨了。", "明天见。"):
    p, points = look(model, nobody + "孩子")
    most = (nobody + "孩子")[p.argmax()]
    print(f"{nobody}孩子 → {answer(points)}   看得最多的字 looked at most: {most} {p.max():.2f}")

# %% [markdown] key="play" lang="zh"
# 刮风，它谁也没找到，看的多半是问话的“孩子”两个字，说不知道。下雪，它也说不知道，却盯着一个毫不相干的“雪”；我们换过几颗种子，多半还是这样。答案对，热图不一定有道理。下雨，它以为看见了小雨；明天，它以为看见了大明。它没有别的办法：键只从这一个字算出来，名字里的“雨”和天上的“雨”是同一个嵌入。要分清，得让字先看过左右，再拿出牌子，也就是有次序，还要不止一层。下一课给字编上位置，第 10 课把一层层摞起来。
#
# ## 动手玩：从平均到注意力
#
# 把分数都乘上一个数再做 softmax，和第 05 课的温度是一回事，只是倒过来。拖到 0，人人份额相等，就是开头的平均，看看答案成了什么；慢慢往右拖，看权重怎样聚到名字上。有了内核，还可以把句子改成自己的：换个名字，加一个人，或者谁也不提。
# %% [markdown] key="play" lang="en"
# Wind: it finds nobody, looks mostly at the question's own 孩子 and says that it does not know. Snow: it says so too, but stares at a 雪 that has nothing to do with it; with most of the other seeds that we tried it does the same. A right answer does not make the heat map sensible. Rain, and it believes it has seen 小雨; tomorrow, 明天, and it believes it has seen 大明. It cannot help it: a key is computed from one character alone, and the 雨 of the name and the 雨 from the sky have the same embedding. To tell them apart, a character must look left and right before it shows its badge, which takes order, and more than one layer. The next lesson numbers the positions; lesson 10 puts layer upon layer.
#
# ## Play: from an average to attention
#
# Multiply all scores by a number before the softmax: that is lesson 05's temperature turned upside down. At 0 all shares are equal, the average of the beginning; see what becomes of the answer. Then go slowly to the right and watch the weights gather on the name. With a kernel you can also change the sentence: another name, one more person, or nobody at all.

# %% key="play-run"
from minillm.widgets import Slider, Words, play

play(
    lambda sharpness, sentence: map_of(model, sentence, sharpness),
    alt="分数越锐，权重越聚在名字上 the sharper the scores, the more weight on the name",
    sharpness=Slider(0.0, 2.0, 0.25, value=1.0, label="分数乘以 scores times"),
    sentence=Words(sentence, label="句子 sentence", longest=20),
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 前三个数只靠随机向量和骰子，换一颗种子也差不了多少。后三个来自训练，范围放得宽一些：我们换 20 颗种子试过（前 10 颗在挑选训练设置时也用过，后 10 颗没有），注意力答对的比例最低 0.987，权重在 0.73 到 0.98 之间，平均答对的比例在 0.39 到 0.55 之间。平均在难题上只能瞎猜，有时还误答“？”，不会比一半高出许多。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The first three figures rest on random vectors and dice, and another seed changes them little. The last three come from training, and their ranges are wider: over the 20 seeds that we tried (the first 10 also served to choose the training settings, the last 10 did not), attention was right at least 0.987 of the time, the weight lay between 0.73 and 0.98, and the average was right between 0.39 and 0.55 of the time. On hard questions the average can only guess, and sometimes says “？” wrongly; it will not be far above one half.

# %% key="bands-run"
band("方差除以 d_k variance over d_k, d_k = 256", variance[4] / 256, 0.9, 1.1)
band("梯度之比 gradient, scaled over raw, d_k = 256", slope["scaled"][4] / slope["raw"][4], 30, 300)
band(
    "骰子，因果掩码 dice, causal mask: loss / ln 20", float(np.mean(dice_losses[True][-50:])) / math.log(20), 0.99, 1.02
)
band("平均答对 average: right", results["平均 average"][0], 0.25, 0.65)
band("注意力答对 attention: right", results["注意力 attention"][0], 0.96, 1.0)
band("问的名字的权重 weight on the name asked", results["注意力 attention"][1], 0.6, 1.0)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **公式里多了一个 $X$。** 有的文章把注意力写成 $\mathrm{softmax}(X Q K^\top / \sqrt{d_k})\,V$。$Q$ 已经是从 $X$ 算出来的，不该再乘一次；而且乘都乘不上，看形状就知道：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **An extra $X$ in the formula.** Some articles write attention as $\mathrm{softmax}(X Q K^\top / \sqrt{d_k})\,V$. $Q$ has been computed from $X$ already and is not multiplied by it again; it could not be, as the shapes say:

# %% key="mistakes-shapes" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
x = rng.normal(size=(7, 12))  # 7 个字 characters, D = 12
w_q, w_k, w_v = rng.normal(size=(3, 4, 12))  # d_k = 4
q, k, v = x @ w_q.T, x @ w_k.T, x @ w_v.T

try:
    x @ q @ k.T
except ValueError:
    print(f"X Q Kᵀ: {x.shape} × {q.shape} 乘不上 do not multiply")
print(f"Q Kᵀ:   {q.shape} × {k.T.shape} → {(q @ k.T).shape}")

# %% [markdown] key="mistakes-cost" lang="zh"
# **“自注意力让参数变多，因为每个字都要和每个字比。”** 把两样东西混在一起了。参数只有几个矩阵，句子多长都是那么多。随长度涨的是分数，长度加倍，分数变成四倍，时间和内存也跟着涨。数一数，再量一量 minillm 存下来留给反向用的权重：
# %% [markdown] key="mistakes-cost" lang="en"
# **“Self-attention needs many parameters, because every character is compared with every other.”** Two things are mixed up. The parameters are a few matrices, the same for any length. What grows with the length is the scores: twice the length, four times the scores, and time and memory go along. Count, and then measure the weights that minillm keeps for the backward pass:

# %% key="mistakes-cost-count" tags=["nbval-check-output"]
parameters = 3 * 64 * 64  # D = d_k = 64
for length in (128, 256, 512, 1024):
    q = rng.normal(size=(1, 1, length, 64)).astype(np.float32)
    _, cache = attention(q, q, q)
    kept = sum(block[0].nbytes for block in cache[4])
    print(
        f"T = {length:4d}   参数 parameters {parameters}   分数 scores {length**2:7d}   权重 weights {kept / 2**20:.4g} MiB"
    )


# %% key="mistakes-cost-time" tags=["nbval-ignore-output"]
def seconds(length):
    q = np.ones((1, 1, length, 64), np.float32)
    times = []
    for _ in range(20):
        start = perf_counter()
        attention(q, q, q)
        times.append(perf_counter() - start)
    return min(times)


print(f"长度加倍，时间 twice the length, time: × {seconds(512) / seconds(256):.1f}")

# %% [markdown] key="sources" lang="zh"
# 分数占的内存可以省：FlashAttention 一块一块地算，从不把整张分数表存下来，结果一样，只差浮点的舍入。时间仍然按平方涨。
#
# **热图就是解释。** 热图只画了权重。一个字的贡献是权重乘以值：值接近零，权重再大也没有贡献。先像上面那样把它遮住，看答案变不变，再下结论。
#
# **先 softmax，后遮。** 一行加起来不到一，未来还从分母漏进来。遮在前面。
#
# ## 记住三句话
#
# 1. 注意力是加权平均，份额由查询和键的点积定，softmax 让份额合起来是一。
# 2. 除以 $\sqrt{d_k}$，起步时分数的方差才是一，softmax 才不饱和；掩码要加在 softmax 之前。
# 3. 参数与长度无关，分数按长度的平方涨；没有位置编码，次序它一点也看不见。
#
# ## 出处
#
# - D. Bahdanau, K. Cho, Y. Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate. ICLR. [arXiv 1409.0473](https://arxiv.org/abs/1409.0473). 翻译里的注意力，分数由一个小网络给出。
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). 本课的公式在 3.2.1 节，“我们怀疑”也在那里。
# - S. Jain, B. C. Wallace (2019). Attention is not Explanation. NAACL. [arXiv 1902.10186](https://arxiv.org/abs/1902.10186). 热图为什么不能当解释。
# - S. Wiegreffe, Y. Pinter (2019). Attention is not not Explanation. EMNLP. [arXiv 1908.04626](https://arxiv.org/abs/1908.04626). 对上一篇的回应。
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré (2022). FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness. NeurIPS. [arXiv 2205.14135](https://arxiv.org/abs/2205.14135). 不存分数表的注意力。
# %% [markdown] key="sources" lang="en"
# The memory of the scores can be saved: FlashAttention works block by block and never stores the whole table; the result is the same up to floating-point rounding. The time still grows with the square.
#
# **The heat map is the explanation.** A heat map shows weights alone. A character contributes its weight times its value: with a value near zero no weight contributes anything. First mask it, as above, and see whether the answer changes; then conclude.
#
# **Softmax first, mask second.** The rows sum to less than one, and the future leaks in through the denominator. Mask first.
#
# ## Three sentences to keep
#
# 1. Attention is a weighted mean; dot products of queries and keys set the shares, and softmax makes them sum to one.
# 2. Division by $\sqrt{d_k}$ gives the scores a variance of one at the start, so that softmax is not saturated; a mask goes in before the softmax.
# 3. The parameters do not depend on the length, the scores grow with its square; without positional encoding it cannot see order at all.
#
# ## Sources
#
# - D. Bahdanau, K. Cho, Y. Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate. ICLR. [arXiv 1409.0473](https://arxiv.org/abs/1409.0473). Attention in translation, with scores from a small network.
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). The formula of this lesson is in section 3.2.1, and so is “we suspect”.
# - S. Jain, B. C. Wallace (2019). Attention is not Explanation. NAACL. [arXiv 1902.10186](https://arxiv.org/abs/1902.10186). Why a heat map is no explanation.
# - S. Wiegreffe, Y. Pinter (2019). Attention is not not Explanation. EMNLP. [arXiv 1908.04626](https://arxiv.org/abs/1908.04626). A reply to it.
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré (2022). FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness. NeurIPS. [arXiv 2205.14135](https://arxiv.org/abs/2205.14135). Attention that stores no table of scores.

# %% [markdown] key="ex-attention-cost" lang="zh" exercise="attention_cost"
# ### 练习 1　先数一数
#
# 一句话有 `length` 个字，每个字的向量有 `d_model` 个数，只有一个头，查询有 `d_head` 个数。不运行任何模型，写出两个数：`W_Q`、`W_K`、`W_V` 三个矩阵一共有几个参数（没有偏置）；在因果掩码下，一共有几对“谁看谁”是允许的。先猜：长度加倍，第一个数变几倍？
# %% [markdown] key="ex-attention-cost" lang="en" exercise="attention_cost"
# ### Exercise 1: Count first
#
# A sentence has `length` characters, each character's vector has `d_model` numbers, and there is one head whose queries have `d_head` numbers. Without running any model, write down two numbers: how many parameters the three matrices `W_Q`, `W_K`, `W_V` have together (no biases); and how many pairs of “who looks at whom” a causal mask allows. Guess first: with twice the length, how many times the first number?


# %% key="ex-attention-cost-code" exercise="attention_cost" kind="predict" difficulty=1 minutes=6 points=1
def attention_cost(length: int, d_model: int, d_head: int) -> tuple[int, int]:
    """(parameters of W_Q, W_K and W_V, pairs that a causal mask allows)"""
    ### BEGIN SOLUTION
    parameters = 3 * d_model * d_head  # the length does not come in
    pairs = length * (length + 1) // 2  # row i sees i + 1 positions: 1 + 2 + ... + length
    return parameters, pairs
    ### END SOLUTION


# %% key="ex-attention-cost-check" exercise="attention_cost"
check(attention_cost)

# %% [markdown] key="ex-attention-weights" lang="zh" exercise="attention_weights"
# ### 练习 2　修好权重
#
# 下面的函数给出注意力权重，形状对，数也都在 0 和 1 之间。可是每个问的位置，份额加起来不等于 1；分数的大小也不合公式。两处毛病，都修好。
# %% [markdown] key="ex-attention-weights" lang="en" exercise="attention_weights"
# ### Exercise 2: Mend the weights
#
# The function below gives attention weights; their shape is right, and all lie between 0 and 1. But the shares of an asking position do not sum to 1, and the size of the scores is not the formula's. Two faults: mend both.


# %% key="ex-attention-weights-code" exercise="attention_weights" kind="repair" difficulty=2 minutes=8 points=1
def attention_weights(q, k):
    """Weights of scaled dot-product attention.  q (T, d_k), k (S, d_k) -> (T, S)"""
    ### BEGIN SOLUTION
    scores = q @ k.T / math.sqrt(q.shape[1])
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
    ### END SOLUTION
    ### BEGIN STUB
    # scores = q @ k.T / q.shape[1]
    # e = np.exp(scores - scores.max(axis=0))
    # return e / e.sum(axis=0)
    ### END STUB


# %% key="ex-attention-weights-check" exercise="attention_weights"
check(attention_weights)

# %% [markdown] key="ex-masked-weights" lang="zh" exercise="masked_weights"
# ### 练习 3　遮在前面
#
# 下面的函数先做 softmax，再把不许看的地方清零。改成在 softmax 之前遮。两个边角也要顾到：不许看的分数可能极大；有的行一个都不许看，那一行要全是零。
# %% [markdown] key="ex-masked-weights" lang="en" exercise="masked_weights"
# ### Exercise 3: Mask first
#
# The function below does the softmax and then sets to zero what must not be seen. Make it mask before the softmax. Mind two corners: a score that must not be seen may be enormous; and a row may have nothing to look at, in which case it is all zeros.


# %% key="ex-masked-weights-code" exercise="masked_weights" kind="repair" difficulty=3 minutes=10 points=2
def masked_weights(scores, visible):
    """Softmax over what may be seen.  scores (T, S), visible (T, S) bool -> (T, S); a row without any is zeros"""
    ### BEGIN SOLUTION
    scores = np.where(visible, scores, -np.inf)
    top = scores.max(axis=1, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(top), top, 0))  # -inf - -inf would be nan
    return e / np.maximum(e.sum(axis=1, keepdims=True), 1)  # the largest alone gives 1; less is a row without any
    ### END SOLUTION
    ### BEGIN STUB
    # e = np.exp(scores - scores.max(axis=1, keepdims=True))
    # p = e / e.sum(axis=1, keepdims=True)
    # return p * visible
    ### END STUB


# %% key="ex-masked-weights-check" exercise="masked_weights"
check(masked_weights)

# %% [markdown] key="ex-causal-attention" lang="zh" exercise="causal_attention"
# ### 练习 4　因果注意力
#
# 把整个公式写出来：每个位置只看自己和前面的位置。一句话，一个头，不用循环。`np.tri(n, dtype=bool)` 给出一个下三角的真假表，可用可不用。
# %% [markdown] key="ex-causal-attention" lang="en" exercise="causal_attention"
# ### Exercise 4: Causal attention
#
# Write out the whole formula, with each position looking at itself and what came before. One sentence, one head, no loops. `np.tri(n, dtype=bool)` gives a lower triangle of True; use it or not.


# %% key="ex-causal-attention-code" exercise="causal_attention" kind="implement" difficulty=3 minutes=12 points=2
def causal_attention(q, k, v):
    """Scaled dot-product attention under a causal mask.  q, k, v (T, d_k) -> (T, d_k)"""
    ### BEGIN SOLUTION
    scores = q @ k.T / math.sqrt(q.shape[1])
    past = np.tri(len(q), dtype=bool)
    weights, _ = F.softmax(np.where(past, scores, -np.inf))
    return weights @ v
    ### END SOLUTION


# %% key="ex-causal-attention-check" exercise="causal_attention"
check(causal_attention)

# %% [markdown] key="ex-causal-backward" lang="zh" exercise="causal_backward"
# ### 练习 5　反向，带着掩码
#
# 写出练习 4 的反向：给定输出的梯度 `dy`，求 `dq`、`dk`、`dv`。权重要自己重新算一遍，别忘了它是带掩码的。
# %% [markdown] key="ex-causal-backward" lang="en" exercise="causal_backward"
# ### Exercise 5: Backward, with the mask
#
# Write the backward of exercise 4: given the gradient `dy` of the output, find `dq`, `dk` and `dv`. Compute the weights once more yourself, and remember that they are masked.


# %% key="ex-causal-backward-code" exercise="causal_backward" kind="implement" difficulty=4 minutes=20 points=3
def causal_backward(dy, q, k, v):
    """Gradients of causal attention.  dy, q, k, v (T, d_k) -> dq, dk, dv, each (T, d_k)"""
    ### BEGIN SOLUTION
    root = math.sqrt(q.shape[1])
    p, _ = F.softmax(np.where(np.tri(len(q), dtype=bool), q @ k.T / root, -np.inf))
    dp = dy @ v.T
    dz = p * (dp - (p * dp).sum(axis=1, keepdims=True))  # 0 wherever p is 0: the mask needs no line of its own
    return dz @ k / root, dz.T @ q / root, p.T @ dy
    ### END SOLUTION


# %% key="ex-causal-backward-check" exercise="causal_backward"
check(causal_backward)

# %% [markdown] key="ex-window-attention" lang="zh" exercise="window_attention"
# ### 练习 6　只看最近几个
#
# 长文本里，分数按长度的平方涨。一个省法是开窗：每个位置只看最近的 `width` 个位置，自己也算一个，未来仍然不许看。`width = 1` 就只看自己；`width` 不小于长度，就和因果注意力一样。写出来（这里只求结果对，不求省）。
# %% [markdown] key="ex-window-attention" lang="en" exercise="window_attention"
# ### Exercise 6: Only the last few
#
# In a long text the scores grow with the square of the length. One way to save is a window: each position looks at the last `width` positions only, itself among them, and the future stays forbidden. With `width = 1` it sees nothing but itself; with a `width` of at least the length this is causal attention. Write it (only the result has to be right here; nothing need be saved).


# %% key="ex-window-attention-code" exercise="window_attention" kind="extend" difficulty=3 minutes=12 points=2
def window_attention(q, k, v, width):
    """Causal attention to the last `width` positions, one's own included.  q, k, v (T, d_k), width >= 1 -> (T, d_k)"""
    ### BEGIN SOLUTION
    place = np.arange(len(q))
    back = place[:, None] - place  # how far position j lies behind position i
    scores = np.where((back >= 0) & (back < width), q @ k.T / math.sqrt(q.shape[1]), -np.inf)
    return F.softmax(scores)[0] @ v
    ### END SOLUTION


# %% key="ex-window-attention-check" exercise="window_attention"
check(window_attention)
