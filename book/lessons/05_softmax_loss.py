# ---
# minillm:
#   title: {zh: "softmax 与交叉熵", en: "Softmax and cross-entropy"}
#   question:
#     zh: "模型给每个字打了分：怎样把分数变成概率，又怎样说出它错得多远？"
#     en: "A model gives every character a score: how do scores become probabilities, and how wrong are they?"
#   minutes: 60
#   seconds: 20
#   needs: ["00"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("05")

# %% key="imports" both=true
import math

import numpy as np

from minillm.np.param import Array, Cache

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 读到“我爱北”，下一个字是什么？语言模型的最后一层会给词表里每个字打一个分。分数可正可负，多大都行，加起来也不等于什么特别的数。我们要的却是概率：都不小于零，合起来正好是一。
#
# 最容易想到的办法：先取指数，变成正数；再除以总和，变成份额。下面是五个候选字，分数是随手编的。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# After 我爱北 (“I love Bei…”), which character comes next? The last layer of a language model gives every character of its vocabulary a score. Scores may be negative, of any size, and their sum means nothing. What we want are probabilities: none below zero, and one in total.
#
# The first idea that comes to mind: exponentiate, so that everything is positive; then divide by the sum, so that everything is a share. Here are five candidates with scores that we made up.

# %% key="naive" tags=["nbval-check-output"]
candidates = ["京", "边", "海", "方", "。"]
scores = np.array([5.0, 2.0, 1.5, 1.0, 0.5], dtype=np.float32)


def naive_softmax(z):
    e = np.exp(z)
    return e / e.sum()


for char, score, p in zip(candidates, scores, naive_softmax(scores), strict=True):
    print(f"{char}  {score:4.1f}  {p:.3f}")

# %% [markdown] key="overflow" lang="zh"
# 很好。再把所有分数都加上 100。谁比谁高多少，一点没变，概率也应该一点不变：
# %% [markdown] key="overflow" lang="en"
# Good. Now add 100 to every score. Who leads whom, and by how much, stays as it was, so the probabilities should stay too:

# %% key="overflow-run" tags=["nbval-check-output"]
with np.errstate(all="ignore"):
    print(naive_softmax(scores + 100))

# %% [markdown] key="overflow-why" lang="zh"
# 全是 `nan`，也就是“不是一个数”。float32 能装下的最大的数大约是 $3.4 \times 10^{38}$，而 $e^{89}$ 已经超过了它，变成无穷大；无穷大除以无穷大，没有答案。训练里只要出一次 `nan`，它就顺着梯度流进每一个权重，模型再也回不来了。
#
# 这一课把这两行代码写对，然后回答第二个问题：概率有了，怎样用一个数说出模型错得多远，又怎样让它错得少一点？
# %% [markdown] key="overflow-why" lang="en"
# All `nan`: not a number. The largest number that float32 can hold is about $3.4 \times 10^{38}$, and $e^{89}$ is beyond it and becomes infinity; infinity divided by infinity has no answer. One single `nan` in training flows along the gradients into every weight, and the model never comes back.
#
# This lesson puts these two lines right. Then it takes up the second question: with probabilities in hand, which single number says how wrong a model is, and how does it get less wrong?

# %% [markdown] key="formula" lang="zh"
# ## 两个公式
#
# 分数叫 **logit**，写作 $z$。softmax 把它变成概率：
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# 正确的那个字记作 $y$。模型给它的概率越小，我们越惊讶。把惊讶写成数，就是**交叉熵**损失：
#
# $$L = -\ln p_y$$
#
# 猜得有十足把握而且对，$L = 0$；给了正确答案一半的概率，$L = 0.693$；认定它不可能，$L$ 就是无穷大。
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $V$ | 一个整数 | 个 | 词表里有多少种字 |
# | $z$ | (V,) | 无 | 分数，logit |
# | $p$ | (V,) | 概率 | 都不小于 0，合起来等于 1 |
# | $y$ | 一个整数 | 无 | 正确答案在词表里的编号 |
# | $L$ | 一个数 | 奈特 | 损失。用自然对数，单位就叫奈特；除以 $\ln 2$ 就是比特 |
#
# 为什么偏偏用指数？因为它把分数的**差**变成概率的**倍数**：$p_i / p_j = e^{z_i - z_j}$。多一分，可能性就是 2.718 倍，不管别的字得了几分。
# %% [markdown] key="formula" lang="en"
# ## Two formulas
#
# The scores are called **logits**, written $z$. Softmax turns them into probabilities:
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# Call the right character $y$. The smaller the probability that the model gave it, the more we are surprised. Surprise written as a number is the **cross-entropy** loss:
#
# $$L = -\ln p_y$$
#
# Certain and right: $L = 0$. Half of the probability for the right answer: $L = 0.693$. Held to be impossible: $L$ is infinite.
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $V$ | an integer | characters | size of the vocabulary |
# | $z$ | (V,) | none | scores, the logits |
# | $p$ | (V,) | probability | none below 0, 1 in total |
# | $y$ | an integer | none | index of the right answer in the vocabulary |
# | $L$ | a number | nat | loss. Natural logarithms count in nats; divide by $\ln 2$ for bits |
#
# Why the exponential, of all functions? It turns a **difference** of scores into a **ratio** of probabilities: $p_i / p_j = e^{z_i - z_j}$. One point more makes a character 2.718 times as likely, whatever the others have scored.

# %% [markdown] key="by-hand" lang="zh"
# 三个候选字，分数是 2、1、0，正确答案是第一个。拿一张纸跟着算，每一步都该和下面一样。
# %% [markdown] key="by-hand" lang="en"
# Three candidates with scores 2, 1 and 0, and the first is right. Take a sheet of paper and follow: every step should agree with what is printed.

# %% key="by-hand-run" tags=["nbval-check-output"]
z = np.array([2.0, 1.0, 0.0])
y = 0

e = np.exp(z)
total = e.sum()
p = e / total
loss = -np.log(p[y])

print("e^z    ", e.round(3))
print("sum    ", total.round(3))
print("p      ", p.round(4), " sum", p.sum().round(4))
print("loss   ", loss.round(4), "nats =", (loss / np.log(2)).round(4), "bits")

# %% [markdown] key="stable" lang="zh"
# ## 先减去最大的
#
# 刚才说，所有分数加同一个数，概率不变。设每个分数都减去 $c$：
#
# $$\frac{e^{z_i - c}}{\sum_j e^{z_j - c}} = \frac{e^{-c}\, e^{z_i}}{e^{-c} \sum_j e^{z_j}} = p_i$$
#
# 分子分母里的 $e^{-c}$ 正好约掉。$c$ 可以随便选，那就选最大的分数：这样每个指数都不大于零，$e$ 的几次方都不大于一，再也不会溢出；而且最大的那一项恰好是 $e^0 = 1$，分母至少是一，不会除以零。
#
# 损失也有同样的毛病，要用同样的办法。如果先算出 $p_y$ 再取对数，$p_y$ 太小时会变成 0，对数就成了负无穷。把对数放进公式里，就用不着先算出 $p_y$：
#
# $$L = -\ln \frac{e^{z_y}}{\sum_j e^{z_j}} = \ln \sum_j e^{z_j} - z_y = c + \ln \sum_j e^{z_j - c} - z_y$$
# %% [markdown] key="stable" lang="en"
# ## Subtract the largest first
#
# We said that adding the same number to all scores changes no probability. Subtract $c$ from each:
#
# $$\frac{e^{z_i - c}}{\sum_j e^{z_j - c}} = \frac{e^{-c}\, e^{z_i}}{e^{-c} \sum_j e^{z_j}} = p_i$$
#
# The $e^{-c}$ above and below the line cancel. We are free to choose $c$, so choose the largest score: then no exponent is above zero, no power of $e$ is above one, and nothing overflows any more. And since the largest term is exactly $e^0 = 1$, the sum below the line is at least one: no division by zero either.
#
# The loss has the same weakness and takes the same cure. If $p_y$ is computed first and its logarithm second, a very small $p_y$ becomes 0 and its logarithm minus infinity. Take the logarithm on paper instead, and $p_y$ need not be computed at all:
#
# $$L = -\ln \frac{e^{z_y}}{\sum_j e^{z_j}} = \ln \sum_j e^{z_j} - z_y = c + \ln \sum_j e^{z_j - c} - z_y$$

# %% key="stable-run" tags=["nbval-check-output"]
z = np.array([0.0, 1000.0])  # 正确答案是第 0 个，模型却一心认定第 1 个 the right answer is 0, the model swears by 1
y = 0

with np.errstate(all="ignore"):
    print("先算概率 probability first:", -np.log(naive_softmax(z)[y]))

c = z.max()
print("一步到位 from the logits:  ", c + np.log(np.exp(z - c).sum()) - z[y])

# %% [markdown] key="loops" lang="zh"
# ## 写成代码
#
# 训练时一次来一批：每一行是一个位置，有 $V$ 个分数。先用循环写，一行一行，一个一个数，慢，但每一步都看得见。
# %% [markdown] key="loops" lang="en"
# ## In code
#
# In training a whole batch comes at once: each row is one position with its $V$ scores. First with loops, row by row and number by number: slow, and every step in plain sight.


# %% key="loops-run" tags=["nbval-check-output"]
def softmax_loops(rows):
    """rows (B, V) -> (B, V)"""
    out = np.zeros_like(rows)
    for b, row in enumerate(rows):
        top = max(row)
        total = 0.0
        for score in row:
            total += math.exp(score - top)
        for i, score in enumerate(row):
            out[b, i] = math.exp(score - top) / total
    return out


def cross_entropy_loops(rows, targets):
    """rows (B, V), targets (B,) -> mean loss in nats"""
    total = 0.0
    for row, target in zip(rows, targets, strict=True):
        top = max(row)
        total += top + math.log(sum(math.exp(score - top) for score in row)) - row[target]
    return total / len(rows)


rng = np.random.default_rng(0)
logits = 3 * rng.normal(size=(4, 6))
targets = rng.integers(6, size=4)

print(softmax_loops(logits).round(3))
print("loss", round(cross_entropy_loops(logits, targets), 4))

# %% [markdown] key="vectorised" lang="zh"
# 再让 NumPy 一次算完所有的行。两处 `keepdims=True` 让每一行减去自己的最大值、除以自己的总和；漏了它，形状就对不上，或者更糟，对上了别的行。
# %% [markdown] key="vectorised" lang="en"
# Now let NumPy do all rows at once. Each `keepdims=True` makes a row lose its own maximum and be divided by its own sum; without it the shapes do not fit or, worse, they fit the wrong rows.


# %% key="vectorised-run" tags=["nbval-check-output"]
from minillm.np import functional as F


def softmax_rows(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy_rows(z, targets):
    z = z - z.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(z).sum(axis=-1))
    return (log_total - z[np.arange(len(z)), targets]).mean()


assert np.allclose(softmax_rows(logits), softmax_loops(logits), rtol=1e-12)
assert np.allclose(cross_entropy_rows(logits, targets), cross_entropy_loops(logits, targets), rtol=1e-12)
assert np.allclose(softmax_rows(logits), F.softmax(logits)[0], rtol=1e-12)
assert np.allclose(cross_entropy_rows(logits, targets), F.cross_entropy(logits, targets)[0], rtol=1e-12)
print("循环、向量化、minillm，三者相等 loops, vectorised and minillm agree")

# %% [markdown] key="listing" lang="zh"
# 下面就是 minillm 里的 softmax，课程以后一直用它。比我们的多两样东西：一行全被遮住时（每个分数都是负无穷，第 07 课会遇到）它给出零，而不是 `nan`；返回值的第二项是**缓存**，留给反向用。
# %% [markdown] key="listing" lang="en"
# This is minillm's softmax, which the course uses from here on. It has two things more than ours: a row that is masked altogether (every score minus infinity, as will happen in lesson 07) gives zeros instead of `nan`; and the second value that it returns is the **cache**, kept for the backward pass.

# %% key="listing-softmax"
from minillm.np.chunks import row_sum
from minillm.np.functional import LOWEST


from minillm.np.functional import softmax  # paste

# %% [markdown] key="backward" lang="zh"
# ## 反向：概率减答案
#
# 要让损失变小，先得知道每个分数动一点，损失怎么变，也就是 $\partial L / \partial z_i$。从不含 $p$ 的那个式子开始：
#
# $$L = \ln \sum_j e^{z_j} - z_y$$
#
# **第一项**是对数套着和。对数的导数是里面的倒数，里面只有 $e^{z_i}$ 与 $z_i$ 有关，它的导数还是它自己：
#
# $$\frac{\partial}{\partial z_i} \ln \sum_j e^{z_j} = \frac{1}{\sum_j e^{z_j}} \cdot e^{z_i} = p_i$$
#
# **第二项**只在 $i = y$ 的时候与 $z_i$ 有关，导数是 1。写 $[i = y]$ 表示“是就取 1，不是就取 0”，合起来：
#
# $$\frac{\partial L}{\partial z_i} = p_i - [i = y]$$
#
# 这大概是整门课里最好看的公式：**模型给的概率，减去它该给的概率**。正确的字少给了 $1 - p_y$，就往上推这么多；别的字多给了 $p_i$，就往下压这么多。一推一压，总和为零。
#
# 拿刚才的三个字验算。右边一列不用公式，只把分数挪动一点点，看损失变多少。
# %% [markdown] key="backward" lang="en"
# ## Backward: probability minus answer
#
# To make the loss smaller we must know how it moves when one score moves a little: $\partial L / \partial z_i$. Start from the form that has no $p$ in it:
#
# $$L = \ln \sum_j e^{z_j} - z_y$$
#
# **The first term** is a logarithm of a sum. The derivative of a logarithm is one over what stands inside; of what stands inside only $e^{z_i}$ depends on $z_i$, and it is its own derivative:
#
# $$\frac{\partial}{\partial z_i} \ln \sum_j e^{z_j} = \frac{1}{\sum_j e^{z_j}} \cdot e^{z_i} = p_i$$
#
# **The second term** depends on $z_i$ only when $i = y$, and then its derivative is 1. Write $[i = y]$ for “1 if so, 0 if not”, and together:
#
# $$\frac{\partial L}{\partial z_i} = p_i - [i = y]$$
#
# It may be the prettiest formula of the course: **the probability that the model gave, minus the one that it should have given**. The right character got too little by $1 - p_y$ and is pushed up by that much; every other one got too much by $p_i$ and is pressed down by that much. Pushes and presses sum to zero.
#
# Check it on the three characters from above. The right-hand column uses no formula: it moves a score by a hair and watches the loss.

# %% key="backward-toy" tags=["nbval-check-output"]
z, y, h = np.array([2.0, 1.0, 0.0]), 0, 1e-5


def toy_loss(z):
    return np.log(np.exp(z).sum()) - z[y]


p = softmax_rows(z)
print("      p - [i = y]    slope")
for i in range(3):
    step = h * np.eye(3)[i]
    slope = (toy_loss(z + step) - toy_loss(z - step)) / (2 * h)
    print(f"z_{i}   {p[i] - (i == y):8.4f}   {slope:8.4f}")

# %% [markdown] key="backward-batch" lang="zh"
# 一批有 $B$ 行，损失是各行的平均，所以梯度还要除以 $B$。忘了这个 $B$，训练不会报错，只是学习率悄悄变成了 $B$ 倍。下面用随机数据查 minillm 的 `cross_entropy_backward`：`gradcheck` 把每个数都挪一挪，报告差得最多的一个。
# %% [markdown] key="backward-batch" lang="en"
# A batch has $B$ rows and its loss is their mean, so the gradient is divided by $B$ as well. Forget that $B$ and training raises no error: its learning rate has silently become $B$ times as large. Here minillm's `cross_entropy_backward` is checked on random data: `gradcheck` moves every number in turn and reports the worst.

# %% key="backward-batch-run" tags=["nbval-check-output"]
from minillm.np.gradcheck import gradcheck

loss, cache = F.cross_entropy(logits, targets)
dlogits = F.cross_entropy_backward(1.0, cache)

by_formula = (softmax_rows(logits) - np.eye(6)[targets]) / len(logits)
assert np.allclose(dlogits, by_formula, atol=1e-15)

worst = gradcheck(lambda: float(F.cross_entropy(logits, targets)[0]), {"logits": logits}, {"logits": dlogits})
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对 gradients are right")

# %% [markdown] key="jacobian" lang="zh"
# ### 只有 softmax 的时候
#
# 交叉熵不是唯一站在 softmax 后面的东西：第 07 课的注意力里，后面跟着的是加权平均。所以还要一个单独的反向：已知损失对 $p$ 的导数（代码里写作 `dp`），求对 $z$ 的导数。
#
# 先求每个 $p_i$ 对每个 $z_j$ 的导数。先取对数再求导，省去商的求导法则：$\ln p_i = z_i - \ln \sum_k e^{z_k}$，所以
#
# $$\frac{1}{p_i}\frac{\partial p_i}{\partial z_j} = [i = j] - p_j \qquad\Longrightarrow\qquad \frac{\partial p_i}{\partial z_j} = p_i\,([i = j] - p_j)$$
#
# 一个分数变了，**所有**概率都跟着变，因为它们共用一个分母。用链式法则把每条路加起来：
#
# $$\frac{\partial L}{\partial z_j} = \sum_i \frac{\partial L}{\partial p_i}\, p_i\,([i = j] - p_j) = p_j \Big(\frac{\partial L}{\partial p_j} - \sum_i \frac{\partial L}{\partial p_i}\, p_i\Big)$$
#
# 读作：每个位置的导数，减去按概率平均的导数，再乘上自己的概率。下面先把整张导数表摆出来看一眼，再确认两条路通到同一个地方：把 $L = -\ln p_y$ 代进这个公式，又得到 $p_i - [i = y]$。
# %% [markdown] key="jacobian" lang="en"
# ### Softmax by itself
#
# Cross-entropy is not the only thing that follows a softmax: inside the attention of lesson 07 it is a weighted mean. So we need a backward of its own: given the derivative of the loss by $p$ (in code, `dp`), find the one by $z$.
#
# First, how each $p_i$ depends on each $z_j$. Taking logarithms before the derivative spares us the quotient rule: $\ln p_i = z_i - \ln \sum_k e^{z_k}$, and therefore
#
# $$\frac{1}{p_i}\frac{\partial p_i}{\partial z_j} = [i = j] - p_j \qquad\Longrightarrow\qquad \frac{\partial p_i}{\partial z_j} = p_i\,([i = j] - p_j)$$
#
# When one score changes, **all** probabilities change, for they share one denominator. The chain rule adds up all the ways:
#
# $$\frac{\partial L}{\partial z_j} = \sum_i \frac{\partial L}{\partial p_i}\, p_i\,([i = j] - p_j) = p_j \Big(\frac{\partial L}{\partial p_j} - \sum_i \frac{\partial L}{\partial p_i}\, p_i\Big)$$
#
# In words: the derivative at each place, less their mean weighted by probability, times the place's own probability. Look at the whole table of derivatives once, then see that both roads lead to the same spot: put $L = -\ln p_y$ into this formula, and $p_i - [i = y]$ comes out again.

# %% key="jacobian-run" tags=["nbval-check-output"]
p = softmax_rows(np.array([2.0, 1.0, 0.0]))
table = np.diag(p) - np.outer(p, p)  # 第 i 行第 j 列 row i, column j: dp_i / dz_j
print(table.round(4))

dp = np.array([-1 / p[0], 0.0, 0.0])  # L = -ln p_0
dz = p * (dp - (dp * p).sum())
assert np.allclose(dz, dp @ table)
assert np.allclose(dz, p - [1, 0, 0])
assert np.allclose(dz, F.softmax_backward(dp, (p,)))
print("dz", dz.round(4))

# %% [markdown] key="twin" lang="zh"
# ## PyTorch 的孪生
#
# 同样的三步，换成 PyTorch：前向，损失，反向。反向我们一行也没写，自动求导替我们做完；两边的差别只剩浮点误差。
# %% [markdown] key="twin" lang="en"
# ## The PyTorch twin
#
# The same three steps in PyTorch: forward, loss, backward. We write no line of the backward, autograd does it for us; what remains between the two is rounding.

# %% key="twin-run" tags=["nbval-check-output"]
try:
    import torch
    import torch.nn.functional as TF
except ImportError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    z_pt = torch.tensor(logits, requires_grad=True)
    loss_pt = TF.cross_entropy(z_pt, torch.tensor(targets))
    loss_pt.backward()

    print("loss  NumPy", round(float(loss), 4), "  PyTorch", round(loss_pt.item(), 4))
    difference = np.abs(z_pt.grad.numpy() - dlogits).max()
    print("梯度相差不到 gradients differ by less than 1e-15:", bool(difference < 1e-15))

# %% [markdown] key="reader" lang="zh"
# ## 在中文上：从零学会“北”后面是什么
#
# 课程自带的《槐树胡同读本》里，“北”后面都跟过哪些字？数一数：
# %% [markdown] key="reader" lang="en"
# ## On Chinese text: learn from nothing what follows 北
#
# In the reader that comes with the course, which characters follow 北 (“north”, and the first half of Beijing)? Count them:

# %% key="reader-count" tags=["nbval-check-output"]
from collections import Counter
from itertools import pairwise

from minillm.data.corpora import load_corpus

corpus = load_corpus("reader")
text = "\n".join(corpus.train)
followers = Counter(b for a, b in pairwise(text) if a == "北" and b != "\n")
characters = [char for char, _ in followers.most_common()]
q = np.array([followers[char] for char in characters]) / followers.total()

print(f"“北”出现 {followers.total()} 次，后面有 {len(q)} 种字")
print(f"北 is followed {followers.total()} times, by {len(q)} kinds of character")
print("  ".join(f"{char} {share:.1%}" for char, share in zip(characters[:6], q, strict=False)))

# %% [markdown] key="reader-learn" lang="zh"
# 现在假装没数过。给每个候选字一个分数，一开始全是零，也就是人人机会相等；然后只用刚推出的梯度，一步一步地改。所有出现的地方平均起来，正确答案不再是一个字，而是份额 $q$，于是损失和梯度是
#
# $$L = -\sum_i q_i \ln p_i \qquad \frac{\partial L}{\partial z_i} = p_i - q_i$$
#
# 损失能降到哪里？降到 $p = q$ 为止，那时它等于 $q$ 的**熵**。这是文字自身的不确定：知道前一个字是“北”，后一个字还是说不准，再好的模型也消不掉。
# %% [markdown] key="reader-learn" lang="en"
# Now pretend that we never counted. Give each candidate a score, all zero at first, so that each has the same chance; then change them step by step with nothing but the gradient just derived. Averaged over all places, the right answer is no longer one character but a share $q$, and loss and gradient are
#
# $$L = -\sum_i q_i \ln p_i \qquad \frac{\partial L}{\partial z_i} = p_i - q_i$$
#
# How far can the loss fall? Until $p = q$, where it equals the **entropy** of $q$. That is the text's own uncertainty: even if we know that 北 has just been read, what comes next is not settled, and no model however good can remove that.

# %% key="reader-learn-run"
from minillm import viz

learnt = np.zeros(len(q))
losses = []
for _ in range(1000):
    p = softmax_rows(learnt)
    losses.append(-(q * np.log(p)).sum())
    learnt -= 0.5 * (p - q)

entropy = -(q * np.log(q)).sum()

ax = viz.new_axes(7, 3.4)
ax.plot(range(1, len(losses) + 1), losses, color="tab:blue", label="损失 loss")
ax.axhline(np.log(len(q)), color="0.5", linestyle=":", label="人人机会相等 equal chances, ln(number of kinds)")
ax.axhline(entropy, color="tab:red", linestyle="--", label="文字自身的熵 the text's own entropy")
ax.set_xscale("log")
ax.set_xlim(1)
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特） loss (nats)")
ax.legend()
viz.show(ax)

# %% [markdown] key="sanity" lang="zh"
# 这就是一次完整的训练，整个 GPT 的训练也不过如此：打分，变成概率，和答案相减，改一点，再来。不同的只是分数从哪里来。
#
# ### 训练之前的第一次体检
#
# 上图的起点也有学问。什么都没学过的模型应当把 $V$ 个字看得差不多，每个的概率大约是 $1/V$，损失大约是 $\ln V$。一个刚造好、还没训练的 GPT 是不是这样？
# %% [markdown] key="sanity" lang="en"
# That was a complete training, and the training of a whole GPT is no more than this: score, turn into probabilities, subtract the answer, change a little, again. The only thing that differs is where the scores come from.
#
# ### The first health check, before any training
#
# There is something to learn from where the curve starts, too. A model that has learnt nothing should find all $V$ characters about equally likely, each with probability about $1/V$, so its loss should be about $\ln V$. Does a GPT that is built but not yet trained agree?

# %% key="sanity-run" tags=["nbval-check-output"]
from minillm.config import preset
from minillm.data.batches import random_batch
from minillm.data.corpora import token_stream
from minillm.np.gpt import GPT
from minillm.text import train_tokenizer

tokenizer = train_tokenizer("char", corpus.train)
tokens = token_stream(corpus.train, tokenizer)
config, _ = preset("tiny", tokenizer.vocab_size)
gpt = GPT(config, rng=np.random.default_rng(0))

inputs, answers = random_batch(tokens, config.context, batch_size=16, seed=0, step=0)
untrained = F.cross_entropy(gpt(inputs)[0], answers)[0]
print(f"V = {tokenizer.vocab_size},  ln V = {math.log(tokenizer.vocab_size):.3f}")
print(f"没有训练的 GPT untrained GPT: {untrained:.3f}")

# %% [markdown] key="sanity-after" lang="zh"
# 以后每写完一个模型，先看这个数。比 $\ln V$ 大出许多，说明初始的权重太大，模型还没学就已经固执己见；比它小许多，说明答案从哪里漏进了输入。
#
# ### 三把尺子，量的是同一件事
#
# 损失 $L$ 用奈特。除以 $\ln 2$ 就是**比特**。取指数 $e^L$ 就是**困惑度**：模型平均像是在几个字里瞎猜。下面按读本里的字对计数（二元模型，第 03 课细讲），看“我爱北京天安门”的每个字有多让人惊讶。
# %% [markdown] key="sanity-after" lang="en"
# Look at this number first whenever you have written a model. Much above $\ln V$: the weights start too large, and the model holds strong opinions before it has learnt any. Much below: the answers have leaked into the input somewhere.
#
# ### Three rulers for one thing
#
# The loss $L$ is in nats. Divided by $\ln 2$ it is in **bits**. Its exponential $e^L$ is the **perplexity**: among how many characters the model is guessing, on average. Here are pairs counted in the reader (the bigram model, explained in lesson 03), and how much each character of 我爱北京天安门 (“I love Tiananmen in Beijing”) surprises them.

# %% key="surprise" tags=["nbval-check-output"]
from minillm.baselines.ngram import Bigram

bigram = Bigram(tokens, tokenizer.vocab_size, token_stream(corpus.valid, tokenizer))
sentence = "我爱北京天安门"
ids = np.array([tokenizer.eos_id, *tokenizer.encode(sentence)])
nats = np.array([bigram.total_nll(ids[i : i + 2]) for i in range(len(sentence))])

for char, value in zip(sentence, nats, strict=True):
    print(f"{char}  {value:5.2f} nats   {value / math.log(2):5.2f} bits   1/p {math.exp(value):7.1f}")
print(f"每字平均 mean: {nats.mean():.2f} nats, {nats.mean() / math.log(2):.2f} bits")
print(f"困惑度 perplexity: {math.exp(nats.mean()):.1f}")

# %% key="surprise-picture"
ax = viz.new_axes(7, 3.2)
bars = ax.bar(range(len(sentence)), nats / math.log(2), color="tab:blue")
ax.bar_label(bars, fmt="%.1f")
ax.axhline(math.log2(tokenizer.vocab_size), color="0.5", linestyle=":", label="均匀瞎猜 uniform guess, log₂ V")
ax.set_xticks(range(len(sentence)), sentence, fontsize=14)
ax.set_ylabel("惊讶（比特） surprise (bits)")
ax.set_ylim(0, 12.5)
ax.legend(loc="upper right")
viz.show(ax)

# %% [markdown] key="play" lang="zh"
# ## 动手玩：温度
#
# 生成文字的时候，常把分数先除以一个**温度** $\tau$，再做 softmax：
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_j e^{z_j / \tau}}$$
#
# 温度低，分差放大，高的更高；温度高，分差缩小，趋于人人相等；$\tau = 1$ 就是原样。拖动滑块，看刚才学到的分布怎样变化，留意上方的熵。
# %% [markdown] key="play" lang="en"
# ## Play: temperature
#
# When a model writes, its scores are often divided by a **temperature** $\tau$ before the softmax:
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_j e^{z_j / \tau}}$$
#
# A low temperature stretches the differences, and the tall grow taller; a high one shrinks them towards equal chances; $\tau = 1$ leaves all as it was. Drag the slider and watch the distribution that we have just learnt, and the entropy above it.

# %% key="play-run"
from minillm.widgets import Slider, play


def draw(temperature):
    p = softmax_rows(learnt / temperature)
    ax = viz.plot_distribution(characters[:12], p[:12])
    bits = -(p * np.log2(np.maximum(p, 1e-300))).sum()
    ax.set_title(f"“北”的下一个字 what follows 北    τ = {temperature:.1f}    熵 entropy {bits:.2f} bits")
    ax.set_ylim(0, 1.05)
    return ax


play(draw, temperature=Slider(0.2, 4.0, 0.1, value=1.0, label="温度 temperature"))

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 下面的数由机器核对。如果哪一行报错，从第一格重新运行；还不对，多半是改动了上面的代码。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks these figures. If a line complains, run the lesson again from its first cell; if that does not help, the code above has probably been changed.

# %% key="bands-run" tags=["nbval-check-output"]
from minillm.bands import band

band("三个字的损失 loss of the three characters", cross_entropy_rows(np.array([[2.0, 1.0, 0.0]]), [0]), 0.4075, 0.4077)
band("学到的损失除以熵 learnt loss over entropy", losses[-1] / entropy, 0.999, 1.01)
band("未训练的损失除以 ln V untrained loss over ln V", float(untrained) / math.log(tokenizer.vocab_size), 0.99, 1.02)
band("“京”的惊讶 surprise of 京 (bits)", nats[3] / math.log(2), 0.7, 1.1)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **把整数标签交给要独热向量的交叉熵。** 有一种常见的文章代码，标签是“第几类”的整数，损失却选了“分类交叉熵”。那个函数算的是 $-\sum_i t_i \ln p_i$，它要的 $t$ 是一个 1、其余全 0 的向量。把整数硬塞进去，会怎样？
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **Integer labels handed to a cross-entropy that wants one-hot vectors.** A common piece of article code has labels that are integers, “class number so-and-so”, and picks “categorical cross-entropy” for its loss. That function computes $-\sum_i t_i \ln p_i$, and the $t$ that it wants is a vector with a single 1. What if integers are forced into it?

# %% key="mistakes-run" tags=["nbval-check-output"]
p = np.array([0.7, 0.2, 0.1])
for label in range(3):
    one_hot = np.eye(3)[label]
    right = (one_hot * -np.log(p)).sum()
    forced = (label * -np.log(p)).sum()  # 整数被广播到每一项 the integer is broadcast to every entry
    print(f"标签 label {label}   独热 one-hot {right:.3f}   整数 integer {forced:.3f}")

# %% [markdown] key="mistakes-more" lang="zh"
# 标签是 0 时损失永远为零，模型什么也不用学；标签是 2 时损失是 1 的两倍，好像第二类比第一类重要一倍。没有报错，曲线照样往下走，这才是危险的地方。整数标签要用“稀疏”的那个版本，PyTorch 的 `cross_entropy` 和 minillm 的都是。
#
# **对概率再做一次 softmax。** PyTorch 的 `cross_entropy` 要的是 logit，里面自己会做 softmax。先做一遍再交给它，损失就怎么也降不下去：做了两遍 softmax，最有把握的概率也到不了一。
#
# **求错了轴。** 一批数据里应当按最后一轴归一，每一行自成一个分布。按第一轴归一，形状一样，数却是另一回事。
#
# ## 记住三句话
#
# 1. softmax 只看分数的差；先减去最大的，什么都不会溢出。
# 2. 损失是 $-\ln p_y$，它对分数的梯度是概率减答案。
# 3. 没训练的模型，损失应当大约是 $\ln V$；再好的模型，损失也低不过文字自身的熵。
#
# ## 出处
#
# - C. E. Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27, 379–423, 623–656. 熵。
# - F. Jelinek, R. L. Mercer, L. R. Bahl, J. K. Baker (1977). Perplexity: a measure of the difficulty of speech recognition tasks. Journal of the Acoustical Society of America 62 (S1), S63. 困惑度。
# - J. S. Bridle (1990). Probabilistic Interpretation of Feedforward Classification Network Outputs, with Relationships to Statistical Pattern Recognition. Neurocomputing, Springer, 227–236. softmax 这个名字。
# - G. Hinton, O. Vinyals, J. Dean (2015). Distilling the Knowledge in a Neural Network. [arXiv 1503.02531](https://arxiv.org/abs/1503.02531). 温度。
# %% [markdown] key="mistakes-more" lang="en"
# With label 0 the loss is always zero, and there is nothing to learn; with label 2 it is twice that of label 1, as if the second class mattered twice as much as the first. There is no error, and the curve goes down all the same: that is the danger. Integer labels need the “sparse” version, which PyTorch's `cross_entropy` is, and minillm's too.
#
# **A softmax on top of probabilities.** PyTorch's `cross_entropy` wants logits and does the softmax itself. Do one beforehand and the loss will not come down: after two softmaxes even the surest probability cannot reach one.
#
# **The wrong axis.** In a batch it is the last axis that has to sum to one, each row a distribution of its own. Along the first axis the shape is the same and the numbers are something else.
#
# ## Three sentences to keep
#
# 1. Softmax sees only differences of scores; subtract the largest first, and nothing overflows.
# 2. The loss is $-\ln p_y$, and its gradient by the scores is probability minus answer.
# 3. An untrained model should have a loss of about $\ln V$; no model, however good, has one below the text's own entropy.
#
# ## Sources
#
# - C. E. Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27, 379–423, 623–656. Entropy.
# - F. Jelinek, R. L. Mercer, L. R. Bahl, J. K. Baker (1977). Perplexity: a measure of the difficulty of speech recognition tasks. Journal of the Acoustical Society of America 62 (S1), S63. Perplexity.
# - J. S. Bridle (1990). Probabilistic Interpretation of Feedforward Classification Network Outputs, with Relationships to Statistical Pattern Recognition. Neurocomputing, Springer, 227–236. The name softmax.
# - G. Hinton, O. Vinyals, J. Dean (2015). Distilling the Knowledge in a Neural Network. [arXiv 1503.02531](https://arxiv.org/abs/1503.02531). Temperature.

# %% [markdown] key="ex-first-loss" lang="zh" exercise="first_loss"
# ### 练习 1　训练之前就知道的数
#
# 词表里有 `vocab_size` 种字。模型还没训练，把每种字看得一样可能。不运行任何模型，写出它的损失，单位是奈特。写完之前先在心里猜一猜：词表是 8,000 时，这个数比 9 大还是小？
# %% [markdown] key="ex-first-loss" lang="en" exercise="first_loss"
# ### Exercise 1: A number known before training
#
# The vocabulary has `vocab_size` kinds of character. The model is untrained and finds all of them equally likely. Without running any model, write down its loss in nats. Guess before you write: with a vocabulary of 8,000, is the number above or below 9?


# %% key="ex-first-loss-code" exercise="first_loss" kind="predict" difficulty=1 minutes=5 points=1
def first_loss(vocab_size: int) -> float:
    """Loss in nats of a model that gives each of `vocab_size` characters the same probability."""
    ### BEGIN SOLUTION
    return math.log(vocab_size)  # -ln(1 / V)
    ### END SOLUTION


# %% key="ex-first-loss-check" exercise="first_loss"
check(first_loss)

# %% [markdown] key="ex-stable-softmax" lang="zh" exercise="stable_softmax"
# ### 练习 2　修好这个 softmax
#
# 下面的函数能跑，一行的时候结果也对。可是给它一批数据，每一行加起来不等于 1；分数大了还会给出 `nan`。两处毛病，都修好。
# %% [markdown] key="ex-stable-softmax" lang="en" exercise="stable_softmax"
# ### Exercise 2: Mend this softmax
#
# The function below runs, and for a single row its result is right. But give it a batch, and the rows do not sum to 1; give it large scores, and it answers `nan`. Two faults: mend both.


# %% key="ex-stable-softmax-code" exercise="stable_softmax" kind="repair" difficulty=2 minutes=8 points=1
def stable_softmax(z):
    """Probabilities along the last axis.  z (B, V) -> (B, V)"""
    ### BEGIN SOLUTION
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION
    ### BEGIN STUB
    # e = np.exp(z)
    # return e / e.sum()
    ### END STUB


# %% key="ex-stable-softmax-check" exercise="stable_softmax"
check(stable_softmax)

# %% [markdown] key="ex-mean-loss" lang="zh" exercise="mean_loss"
# ### 练习 3　交叉熵，只用分数
#
# 写出一批数据的平均交叉熵，单位是奈特。分数可能有几百几千，所以不要先算出概率再取对数。
# %% [markdown] key="ex-mean-loss" lang="en" exercise="mean_loss"
# ### Exercise 3: Cross-entropy, from the scores alone
#
# Write the mean cross-entropy of a batch, in nats. Scores may run to hundreds or thousands, so do not compute probabilities first and logarithms second.


# %% key="ex-mean-loss-code" exercise="mean_loss" kind="implement" difficulty=3 minutes=12 points=2
def mean_loss(logits, targets):
    """Mean of -ln p[target] over the rows.  logits (B, V), targets (B,) int -> float"""
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=-1))
    return float((log_total - shifted[np.arange(len(logits)), targets]).mean())
    ### END SOLUTION


# %% key="ex-mean-loss-check" exercise="mean_loss"
check(mean_loss)

# %% [markdown] key="ex-logit-gradient" lang="zh" exercise="logit_gradient"
# ### 练习 4　概率减答案
#
# 写出练习 3 的平均损失对每个分数的梯度。可以用上面修好的 `stable_softmax`，也可以自己再写一遍。
# %% [markdown] key="ex-logit-gradient" lang="en" exercise="logit_gradient"
# ### Exercise 4: Probability minus answer
#
# Write the gradient of exercise 3's mean loss by every score. You may use the `stable_softmax` that you have mended, or write it out again.


# %% key="ex-logit-gradient-code" exercise="logit_gradient" kind="implement" difficulty=3 minutes=12 points=2
def logit_gradient(logits, targets):
    """dLoss/dlogits of the mean cross-entropy.  logits (B, V), targets (B,) int -> (B, V)"""
    ### BEGIN SOLUTION
    gradient = stable_softmax(logits)
    gradient[np.arange(len(logits)), targets] -= 1
    return gradient / len(logits)
    ### END SOLUTION


# %% key="ex-logit-gradient-check" exercise="logit_gradient"
check(logit_gradient)

# %% [markdown] key="ex-softmax-backward" lang="zh" exercise="softmax_backward"
# ### 练习 5　只有 softmax 的反向
#
# 这就是 minillm 里的函数，签名和文档字符串原样留着，函数体要你来写。`cache` 里只有一样东西：前向算出的概率 `p`。`row_dot(a, b)` 是每一行对应相乘再相加，留着那一轴，可用可不用。第 07 课的注意力反向就要靠它。
# %% [markdown] key="ex-softmax-backward" lang="en" exercise="softmax_backward"
# ### Exercise 5: The backward of softmax by itself
#
# This is minillm's own function with its signature and docstring; the body is for you to write. There is one thing in `cache`: the probabilities `p` of the forward pass. `row_dot(a, b)` multiplies row by row and adds up, keeping the axis; use it or not. The backward of attention in lesson 07 will rest on this.

# %% key="ex-softmax-backward-code" exercise="softmax_backward" kind="implement" difficulty=4 minutes=15 points=2
from minillm.np.chunks import row_dot


from minillm.np.functional import softmax_backward  # stub

# %% key="ex-softmax-backward-check" exercise="softmax_backward"
check(softmax_backward)

# %% [markdown] key="ex-with-temperature" lang="zh" exercise="with_temperature"
# ### 练习 6　温度，一直到零
#
# 写出带温度的 softmax。温度可以是 0：那时约定把全部概率给分数最高的字（有并列就给最前面的一个），也就是“贪心”。温度再小也不许溢出。
# %% [markdown] key="ex-with-temperature" lang="en" exercise="with_temperature"
# ### Exercise 6: Temperature, all the way down to zero
#
# Write softmax with a temperature. The temperature may be 0: by agreement all probability then goes to the highest score (to the first one, if several are equal), which is called greedy. However small the temperature, nothing may overflow.


# %% key="ex-with-temperature-code" exercise="with_temperature" kind="extend" difficulty=3 minutes=12 points=2
def with_temperature(logits, temperature):
    """Probabilities of softmax(logits / temperature); at 0 the highest score gets all.  logits (V,) -> (V,)"""
    ### BEGIN SOLUTION
    if temperature == 0:
        greedy = np.zeros_like(logits)
        greedy[np.argmax(logits)] = 1
        return greedy
    e = np.exp((logits - logits.max()) / temperature)  # subtract first: a tiny temperature must not overflow
    return e / e.sum()
    ### END SOLUTION


# %% key="ex-with-temperature-check" exercise="with_temperature"
check(with_temperature)
