# ---
# minillm:
#   title: {zh: "n 元模型与隐马尔可夫模型", en: "n-grams and hidden Markov models"}
#   question:
#     zh: "不用神经网络，只靠数数，能猜中下一个字吗？能把一句话切成词吗？"
#     en: "Without any neural network, by mere counting: can we guess the next character, and cut a sentence into words?"
#   minutes: 90
#   seconds: 45
#   needs: ["02"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("03")

# %% key="imports" both=true
import math
from collections import Counter, defaultdict
from itertools import pairwise, product

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.data.corpora import load_corpus, token_stream
from minillm.evaluate import scores
from minillm.text import train_tokenizer
from minillm.text.word import cut_words

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 猜下一个字，最老实的办法是翻书：以前这个字后面跟过什么，各几次？把读本的训练部分翻一遍，记下每个字后面跟的字。然后看“我爱北京”。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# The most straightforward way to guess the next character is to look it up: what has followed this one before, and how often? Go through the training part of the reader and note for each character what comes after it. Then look at 我爱北京 (“I love Beijing”).

# %% key="problem-run" tags=["nbval-check-output"]
corpus = load_corpus("reader")
after = defaultdict(Counter)
for text in corpus.train:
    for a, b in pairwise(text):
        after[a][b] += 1

for a, b in pairwise("我爱北京"):
    n, total = after[a][b], after[a].total()
    print(f"{a} 后面的 {total:3} 次里 of {total:3} times after {a}: {b} {n:3} 次 times   {n / total:.3f}")

total = after["京"].total()
print("京 →", "   ".join(f"{b} {n / total:.3f}" for b, n in after["京"].most_common(6)))

# %% [markdown] key="problem-more" lang="zh"
# 读到“北”，有七成五的把握下一个是“京”。“京”的后面，最可能是“的”，其次是“天”，也就是天安门的“天”。十行代码，一个参数也没有训练，已经是一个**语言模型**了。
#
# 一句话的概率，就把一个个字的概率乘起来。再算困惑度：每个字平均像是在几个字里瞎猜。拿两句话试试，第二句只换了一个人。
# %% [markdown] key="problem-more" lang="en"
# Having read 北, it is three quarters sure that 京 comes next. After 京 the likeliest is 的, and second comes 天, the first character of 天安门 (Tiananmen). Ten lines of code, not one trained parameter, and it is a **language model** already.
#
# The probability of a sentence is the product of those of its characters. From it comes the perplexity: among how many characters the model is guessing, on average. Try two sentences; in the second it is 小雨 (Xiaoyu) who loves Tiananmen in Beijing.

# %% key="problem-zero" tags=["nbval-check-output"]
for sentence in ("我爱北京天安门", "小雨爱北京天安门"):
    p = [after[a][b] / after[a].total() for a, b in pairwise(sentence)]
    whole = math.prod(p)
    perplexity = whole ** (-1 / len(p)) if whole else math.inf
    print(sentence, " ".join(f"{x:.3f}" for x in p))
    print(f"    概率 probability {whole:.3g}   困惑度 perplexity {perplexity:.4g}")

new = [pair for text in corpus.test for pair in pairwise(text)]
unseen = sum(after[a][b] == 0 for a, b in new) / len(new)
print(f"测试部分里没见过的字对 pairs of the test part never seen: {unseen:.1%}")

# %% [markdown] key="problem-why" lang="zh"
# 再平常不过的一句话，概率是零，困惑度无穷大。原因只有一个：“雨”后面跟“爱”，训练部分里碰巧一次也没有。乘了一个零，别的字猜得再好也没用。
#
# 这不是倒霉，是常态：测试部分的字对，每一百个里有二十几个从没见过。没见过，不等于不可能。这一课的前半就回答一个问题：**给没见过的留多少，从谁那里省出来？** 后半把同样的数数用到看不见的东西上：句子里的词，到哪里断开。
# %% [markdown] key="problem-why" lang="en"
# A perfectly ordinary sentence has probability zero and infinite perplexity. There is a single reason: 爱 happens never to follow 雨 in the training part. With one zero in the product, all other good guesses are worth nothing.
#
# This is no bad luck but the normal state of things: of a hundred pairs in the test part, more than twenty were never seen. Never seen does not mean impossible. The first half of this lesson answers one question: **how much do we leave for the unseen, and from whom do we take it?** The second half counts what cannot be seen: where, in a sentence, one word ends and the next begins.

# %% [markdown] key="formula" lang="zh"
# ## 一条公式，一个省略
#
# 一段文字 $w_1 \dots w_T$ 的概率，总可以一个字一个字地拆开，这是概率论的乘法公式，一点也没有近似：
#
# $$p(w_1 \dots w_T) = \prod_{t=1}^{T} p(w_t \mid w_1 \dots w_{t-1})$$
#
# 麻烦在于，前面的字越长，越没有两次是一样的，数不出来。于是省略：只看最近的 $n - 1$ 个字，更早的当作不知道。这就是 **n 元模型**。
#
# $$p(w_t \mid w_1 \dots w_{t-1}) \approx p(w_t \mid w_{t-n+1} \dots w_{t-1})$$
#
# $n = 1$ 什么也不看，$n = 2$ 看一个字，就是上面那样。看的那几个字叫**上文**，记作 $h$。俄国数学家马尔可夫 1913 年拿普希金的诗体小说数过元音和辅音，这种省略就以他命名。
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $n$ | 一个整数 | 字 | 阶：上文加上要猜的字，一共几个 |
# | $h$ | $n - 1$ 个字 | | 上文 |
# | $c(h w)$ | 一个整数 | 次 | $h$ 后面紧跟 $w$，训练文字里有几次 |
# | $c(h)$ | 一个整数 | 次 | $c(h w)$ 对所有 $w$ 求和 |
# | $V$ | 一个整数 | 种 | 词表大小 |
# | $p(w \mid h)$ | 一个数 | 概率 | 上文是 $h$ 时，下一个是 $w$ |
#
# 拿三行小文章在纸上做。每行开头和结尾放一个记号 `$`，模型才知道哪里开始、哪里停。
# %% [markdown] key="formula" lang="en"
# ## One formula, one omission
#
# The probability of a text $w_1 \dots w_T$ can always be taken apart character by character. It is the product rule of probability, with nothing approximate about it:
#
# $$p(w_1 \dots w_T) = \prod_{t=1}^{T} p(w_t \mid w_1 \dots w_{t-1})$$
#
# The trouble is that the longer the past, the less often it comes twice, and there is nothing to count. So we leave something out: look at the last $n - 1$ characters only and pretend to know no more. This is the **n-gram** model.
#
# $$p(w_t \mid w_1 \dots w_{t-1}) \approx p(w_t \mid w_{t-n+1} \dots w_{t-1})$$
#
# With $n = 1$ it looks at nothing; with $n = 2$ at one character, as above. What it looks at is called the **context**, $h$. The omission bears the name of the Russian mathematician Markov, who in 1913 counted vowels and consonants in Pushkin's novel in verse.
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $n$ | an integer | characters | the order: the context and the one to be guessed, together |
# | $h$ | $n - 1$ characters | | the context |
# | $c(h w)$ | an integer | times | how often $w$ comes right after $h$ in the training text |
# | $c(h)$ | an integer | times | $c(h w)$ summed over all $w$ |
# | $V$ | an integer | kinds | size of the vocabulary |
# | $p(w \mid h)$ | a number | probability | that $w$ comes next when the context is $h$ |
#
# Do it on paper with a little text of three lines: “I love Beijing”, “Beijing loves me”, “I love Tiananmen”. A sign `$` stands at the beginning and end of each, so that the model can learn where to start and when to stop.

# %% key="toy-run" tags=["nbval-check-output"]
toy = "$我爱北京$北京爱我$我爱天安门$"
follow = defaultdict(Counter)
for a, b in pairwise(toy):
    follow[a][b] += 1

for a, counts in follow.items():
    total = counts.total()
    row = "   ".join(f"{b} {n}/{total} = {n / total:.3f}" for b, n in counts.items())
    print(f"{a} → {row}")

line = "$我爱北京$"
p = [follow[a][b] / follow[a].total() for a, b in pairwise(line)]
print(line, " × ".join(f"{x:.3f}" for x in p), "=", f"{math.prod(p):.4f}")

# %% [markdown] key="likelihood" lang="zh"
# ## 为什么偏偏是次数的比
#
# $c(h w) / c(h)$ 看上去天经地义，可是它好在哪里？换一种分法行不行？
#
# 定一个标准：**哪一种概率，让我们手里的这段文字最可能出现？** 这叫最大似然。取对数，乘积变成和，同一个 $h w$ 出现几次就加几遍：
#
# $$\ln p(\text{text}) = \sum_{h, w} c(h w) \ln p(w \mid h)$$
#
# 每个上文自成一份，互不相干，所以一个一个地求。固定一个 $h$，把 $p(w \mid h)$ 简写成 $p_w$，$c(h w)$ 简写成 $c_w$。要在 $\sum_w p_w = 1$ 的条件下，让 $\sum_w c_w \ln p_w$ 最大。带条件求最大值，用拉格朗日的办法：给条件配一个乘子 $\mu$，合成一个函数，
#
# $$\Lambda = \sum_w c_w \ln p_w + \mu \Big(1 - \sum_w p_w\Big)$$
#
# 对每个 $p_w$ 求导，令它为零：
#
# $$\frac{\partial \Lambda}{\partial p_w} = \frac{c_w}{p_w} - \mu = 0 \qquad\Longrightarrow\qquad p_w = \frac{c_w}{\mu}$$
#
# 每个概率都和次数成正比。再用条件定出比例：$1 = \sum_w p_w = \sum_w c_w / \mu$，所以 $\mu = \sum_w c_w = c(h)$，于是
#
# $$p(w \mid h) = \frac{c(h w)}{c(h)}$$
#
# 对数是向下弯的，弯着的山只有一个顶，所以这里是最大，不是最小。下面不靠公式再看一遍：左边是“我”的两种接法，“爱”两次，结尾一次，把分法从 0 挪到 1；右边给读本里的“京”随机抽一万种分法，看有没有哪一种胜过次数。
# %% [markdown] key="likelihood" lang="en"
# ## Why just the ratio of counts?
#
# $c(h w) / c(h)$ looks like the only thing one could do, but what is good about it? Might another way of sharing be better?
#
# Set a standard: **which probabilities make the text that we hold most probable?** That is maximum likelihood. With logarithms the product becomes a sum, in which each $h w$ appears as often as it occurs:
#
# $$\ln p(\text{text}) = \sum_{h, w} c(h w) \ln p(w \mid h)$$
#
# Each context has a share of its own and does not touch the others, so take them one at a time. Fix an $h$, and write $p_w$ for $p(w \mid h)$ and $c_w$ for $c(h w)$. We want $\sum_w c_w \ln p_w$ to be largest under the condition $\sum_w p_w = 1$. For a maximum with a condition there is Lagrange's method: give the condition a multiplier $\mu$ and put both into one function,
#
# $$\Lambda = \sum_w c_w \ln p_w + \mu \Big(1 - \sum_w p_w\Big)$$
#
# Take the derivative by each $p_w$ and set it to zero:
#
# $$\frac{\partial \Lambda}{\partial p_w} = \frac{c_w}{p_w} - \mu = 0 \qquad\Longrightarrow\qquad p_w = \frac{c_w}{\mu}$$
#
# Every probability is proportional to its count. The condition fixes the proportion: $1 = \sum_w p_w = \sum_w c_w / \mu$, hence $\mu = \sum_w c_w = c(h)$, and
#
# $$p(w \mid h) = \frac{c(h w)}{c(h)}$$
#
# The logarithm bends downwards, and a hill that bends downwards everywhere has one top: this is a maximum, not a minimum. Now see it without formulas. On the left are the two ways in which 我 goes on, 爱 twice and the end once, with the share moved from 0 to 1; on the right ten thousand random ways of sharing among what follows 京 in the reader: does any of them beat the counts?

# %% key="likelihood-run" tags=["nbval-check-output"]
counts = np.array(list(after["京"].values()))
rng = np.random.default_rng(0)
guesses = rng.dirichlet(8 * counts + 1.0, size=10_000)  # 在次数附近抽 drawn near the counts
heights = np.log(guesses) @ counts
at_counts = np.log(counts / counts.sum()) @ counts
assert heights.max() < at_counts
print(f"按次数 by the counts {at_counts:.1f}   一万种里最好的 best of ten thousand {heights.max():.1f}")

# %% key="likelihood-picture"
left, right = viz.new_axes(8, 3.2, columns=2)
q = np.linspace(0.01, 0.99, 197)
left.plot(q, 2 * np.log(q) + np.log(1 - q), color="#0072B2")
left.axvline(2 / 3, color="#D55E00", linestyle="--", label="次数的比 the counts: 2/3")
left.set(
    xlabel="p(爱 | 我)", ylabel="对数似然（奈特） log-likelihood (nats)", title="2 ln p + ln(1 − p)", ylim=(-10, -1)
)
left.legend()
right.hist(heights, bins=50, color="#56B4E9")
right.axvline(at_counts, color="#D55E00", linestyle="--", label="次数的比 the counts")
right.set(xlabel="对数似然（奈特） log-likelihood (nats)", ylabel="抽到的次数 draws", title="京 → ?")
right.legend(loc="upper left")
viz.show(left, alt="次数的比让对数似然最大 the ratio of counts gives the largest log-likelihood")

# %% [markdown] key="gradient" lang="zh"
# ### 换一条路：用梯度学出来
#
# 神经网络不会数数，它从乱猜开始，一步步改。走那条路，会到同一个地方吗？
#
# 给每一对字一个分数 $z_{hw}$，排成 $V$ 行 $V$ 列的表。一行的分数用 softmax 变成概率，$p(w \mid h) = e^{z_{hw}} / \sum_v e^{z_{hv}}$，第 05 课会细讲。损失是负的对数似然，按字平均；文字里一共有 $N$ 对：
#
# $$L = -\frac{1}{N} \sum_{h, w} c(h w) \ln p(w \mid h) = \frac{1}{N} \sum_{h} \Big( c(h) \ln \sum_v e^{z_{hv}} - \sum_w c(h w)\, z_{hw} \Big)$$
#
# 对 $z_{hw}$ 求导。第一项是对数套着和，导数是里面的倒数乘里面的导数，$e^{z_{hw}} / \sum_v e^{z_{hv}} = p(w \mid h)$；第二项是 $c(h w)$：
#
# $$\frac{\partial L}{\partial z_{hw}} = \frac{c(h)\, p(w \mid h) - c(h w)}{N}$$
#
# 括号里是**模型以为该有的次数，减去真有的次数**。梯度为零，正好就是 $p(w \mid h) = c(h w) / c(h)$。两条路通到一个山顶。先查梯度，再走走看，仍用那三行小文章。
# %% [markdown] key="gradient" lang="en"
# ### Another way: learn it by gradient
#
# A neural network cannot count. It starts with wild guesses and changes them step by step. Does that way lead to the same place?
#
# Give each pair of characters a score $z_{hw}$, in a table of $V$ rows and $V$ columns. Softmax turns the scores of a row into probabilities, $p(w \mid h) = e^{z_{hw}} / \sum_v e^{z_{hv}}$; lesson 05 explains it in full. The loss is minus the log-likelihood, averaged over the $N$ pairs of the text:
#
# $$L = -\frac{1}{N} \sum_{h, w} c(h w) \ln p(w \mid h) = \frac{1}{N} \sum_{h} \Big( c(h) \ln \sum_v e^{z_{hv}} - \sum_w c(h w)\, z_{hw} \Big)$$
#
# Take the derivative by $z_{hw}$. The first term is a logarithm of a sum: one over the inside, times the derivative of the inside, is $e^{z_{hw}} / \sum_v e^{z_{hv}} = p(w \mid h)$. The second gives $c(h w)$:
#
# $$\frac{\partial L}{\partial z_{hw}} = \frac{c(h)\, p(w \mid h) - c(h w)}{N}$$
#
# Above the line stands **the count that the model expects, minus the count that there is**. The gradient is zero exactly where $p(w \mid h) = c(h w) / c(h)$: two ways up to one summit. Check the gradient first, then walk, still on the text of three lines.

# %% key="gradient-run" tags=["nbval-check-output"]
from minillm.np.functional import softmax
from minillm.np.gradcheck import gradcheck

letters = sorted(set(toy))
table = np.array([[float(follow[a][b]) for b in letters] for a in letters])  # c(h w), (V, V)
per_row = table.sum(axis=1, keepdims=True)  # c(h), (V, 1)


def loss_of(z):
    return float(-(table * np.log(softmax(z)[0])).sum() / table.sum())


def gradient_of(z):
    return (per_row * softmax(z)[0] - table) / table.sum()


z = np.random.default_rng(0).normal(size=table.shape)
worst = gradcheck(lambda: loss_of(z), {"z": z}, {"z": gradient_of(z)})
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对 gradients are right")

# %% key="descent-run" tags=["nbval-check-output"]
z = np.zeros_like(table)
me, love = letters.index("我"), letters.index("爱")
by_count = table / per_row
least = -(table[table > 0] * np.log(by_count[table > 0])).sum() / table.sum()
for step in range(10_001):
    if step in (0, 10, 100, 1000, 10_000):
        p = softmax(z)[0]
        apart = np.abs(p - by_count).max()
        print(f"{step:6} 步 steps  损失 loss {loss_of(z):.4g}  p(爱|我) {p[me, love]:.4f}  差 apart {apart:.4f}")
    z = z - 8.0 * gradient_of(z)  # 步长 8 step size 8
print(f"数出来的 by counting: 损失 loss {least:.4f}  p(爱|我) {by_count[me, love]:.4f}")

# %% [markdown] key="gradient-after" lang="zh"
# 走一万步，和数一遍，得到同样的东西。差的那一点点是零造成的：要让一个概率恰好等于零，分数得是负无穷，走多少步也到不了。数数一步到位，所以对这么简单的模型，没有人用梯度。可是梯度这条路，换成任何模型都能走，以后的课走的全是它；PyTorch 的孪生也从那里开始，这一课数数就够，用不着它。
#
# 山顶找到了，问题还在：山顶上，没见过的字对，概率恰恰是零。**对训练文字最好，不等于对新文字最好。**
#
# ## 最简单的平滑：人人加一点
#
# 给每个次数都加上 $k$，没见过的也有 $k$ 次，除数跟着加上 $k V$，合起来还是 1：
#
# $$p(w \mid h) = \frac{c(h w) + k}{c(h) + k V}$$
#
# 先用循环，再用整张表，再和 minillm 的 `AddK` 对上。文字换成编号，一篇和一篇之间隔着 `<eos>`，没见过的字写成 `<unk>`，和第 02 课一样。
# %% [markdown] key="gradient-after" lang="en"
# Ten thousand steps, or counting once: the same result. The little that is left comes from the zeros, for a probability of exactly zero needs a score of minus infinity, and no number of steps gets there. Counting arrives at once, so nobody uses gradients for so simple a model. But the way of the gradient is open to any model at all, and the lessons to come take no other. The PyTorch twins begin there as well; this lesson counts and needs none.
#
# We stand on the summit, and the problem stands too: up there a pair never seen has probability zero. **Best for the training text is not best for a new text.**
#
# ## The simplest smoothing: a little for everyone
#
# Add $k$ to every count. What was never seen gets $k$ as well, and the divisor grows by $k V$, so that all of it sums to 1 again:
#
# $$p(w \mid h) = \frac{c(h w) + k}{c(h) + k V}$$
#
# First with loops, then with the table as a whole, then equal to minillm's `AddK`. The text is in ids now, with `<eos>` between one piece and the next, and `<unk>` for a character that was not seen, as in lesson 02.

# %% key="addk-run" tags=["nbval-check-output"]
from minillm.baselines.smoothing import AddK

tokenizer = train_tokenizer("char", corpus.train)
V = tokenizer.vocab_size
streams = {part: token_stream(corpus.split(part), tokenizer) for part in ("train", "valid", "test")}
train, valid, test = streams.values()


def add_k_loops(k):
    """Surprise at the test part, in nats"""
    pairs, contexts = Counter(pairwise(train.tolist())), Counter(train[:-1].tolist())
    total = 0.0
    for h, w in pairwise(test.tolist()):
        total -= math.log((pairs[h, w] + k) / (contexts[h] + k * V))
    return total


def add_k_table(k):
    counts = np.zeros((V, V))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    p = (counts + k) / (counts.sum(axis=1, keepdims=True) + k * V)
    return -np.log(p[test[:-1], test[1:]]).sum()


assert np.isclose(add_k_loops(1.0), add_k_table(1.0), rtol=1e-12)
assert np.isclose(add_k_table(1.0), AddK(train, V, 2, k=1.0).total_nll(test), rtol=1e-12)
print(f"V = {V},  {len(train)} 个词元 tokens.  循环、整表、minillm 相等 loops, table and minillm agree")

# %% [markdown] key="ruler" lang="zh"
# 用什么尺子？第 02 课说好了，比较模型一律用**每字比特**：整段文字的惊讶，除以 $\ln 2$，除以字符数 $N$。困惑度是它的孪生兄弟，$T$ 是词元数：
#
# $$\text{bits per character} = \frac{-\ln p(\text{text})}{N \ln 2} \qquad\qquad \text{perplexity} = p(\text{text})^{-1/T} = e^{-\frac{1}{T} \ln p(\text{text})}$$
#
# minillm 的 `scores` 两样都算，`<unk>` 藏起来的字也按第 02 课的办法补上比特。那么 $k$ 取多大？
# %% [markdown] key="ruler" lang="en"
# Measured by what? Lesson 02 settled it: models are compared in **bits per character**, the surprise of the whole text over $\ln 2$ and over its number of characters $N$. Perplexity is the twin of that, with the number of tokens $T$:
#
# $$\text{bits per character} = \frac{-\ln p(\text{text})}{N \ln 2} \qquad\qquad \text{perplexity} = p(\text{text})^{-1/T} = e^{-\frac{1}{T} \ln p(\text{text})}$$
#
# minillm's `scores` gives both, and charges the bits of a character hidden by `<unk>`, as lesson 02 explained. Now, how large should $k$ be?


# %% key="k-run" tags=["nbval-check-output"]
def measure(model, part, documents=corpus, tokenizer=tokenizer, streams=streams):
    return scores(model.total_nll(streams[part]), streams[part], documents.split(part), tokenizer)


north, capital = tokenizer.encode("北京")
print("      k   p(京|北)   验证 validation: 比特/字符 bits, 困惑度 perplexity")
for k in (4, 1, 0.25, 0.03125, 0.001, 0.00001):
    model = AddK(train, V, 2, k=k)
    found = measure(model, "valid")
    p = model.next_probabilities([north])[capital]
    print(f"{k:7g}   {p:7.3f}   {found.bits_per_char:24.3f} {found.perplexity:16.1f}")

best_add = AddK(train, V, 2, valid=valid)
print("验证部分选中 chosen on the validation part: k =", best_add.k)

# %% [markdown] key="k-after" lang="zh"
# 教科书上的“加一”，在这里是个坏主意：“北”只出现过一百六十多次，却要给一千三百多个字各加一，“京”的概率就从 0.753 掉到 0.08。$k$ 太小，没见过的又惊讶得离谱。最好的大约是三十分之一，而且要拿**验证部分**去选。用训练部分选，$k$ 会一直小到零；用测试部分选，就是先看了考卷再考试。
#
# 加 $k$ 还有一个更深的毛病：它给所有没见过的字**一样多**。“雨”后面没见过“爱”，也没见过“婆”，就说它俩一样可能。可是“爱”到处都去，“婆”只跟在“外”的后面。谁更可能，该问一问短一点的上文。
#
# ## 问短一点的上文：回退
#
# 没见过 $hw$，就把上文去掉最远的一个字，成为 $h'$，再问一次。这叫**回退**。见过的让出一小份，没见过的按 $p(w \mid h')$ 分这一份：
#
# $$p(w \mid h) = \begin{cases} \dfrac{c(h w) - D}{c(h)} & c(h w) > 0 \\[2ex] \alpha(h)\, p(w \mid h') & c(h w) = 0 \end{cases}$$
#
# $D$ 是每个次数让出的一小份，$\alpha(h)$ 由“合起来等于一”定出来。让多少合适？不必猜，可以量。把训练部分的文章分成单双两半：在一半里恰好见过 $r$ 次的字对，在另一半里平均有几次？
# %% [markdown] key="k-after" lang="en"
# The “add one” of textbooks is a bad idea here: 北 occurs just over 160 times, yet more than 1300 characters get one each, and the probability of 京 falls from 0.753 to 0.08. With too small a $k$ the unseen is absurdly surprising. The best is about a thirtieth, and it is the **validation part** that must choose. Chosen on the training part, $k$ would shrink all the way to zero; chosen on the test part, it would have seen the exam before sitting it.
#
# Adding $k$ has a deeper fault: it gives **the same** to everything unseen. 爱 (“love”) was never seen after 雨, nor was 婆 (the second half of 外婆, “grandmother”), so it calls both equally probable. But 爱 goes everywhere, and 婆 follows 外 alone. Which is likelier is a question for a shorter context.
#
# ## Ask a shorter context: backing off
#
# If $hw$ was not seen, drop the farthest character of the context, which leaves $h'$, and ask again. That is **backing off**. What was seen gives up a small part, and the unseen share that part in proportion to $p(w \mid h')$:
#
# $$p(w \mid h) = \begin{cases} \dfrac{c(h w) - D}{c(h)} & c(h w) > 0 \\[2ex] \alpha(h)\, p(w \mid h') & c(h w) = 0 \end{cases}$$
#
# $D$ is the part that each count gives up, and $\alpha(h)$ follows from the sum being one. How much should be given up? No need to guess, we can measure it. Divide the pieces of the training part into odd and even: a pair seen exactly $r$ times in one half, how often does it occur in the other, on average?

# %% key="discount-run" tags=["nbval-check-output"]
one, other = (
    Counter(pair for text in half for pair in pairwise(text)) for half in (corpus.train[::2], corpus.train[1::2])
)
size = one.total() / other.total()
given_up = []
for r in range(1, 7):
    same = [pair for pair in one if one[pair] == r]
    there = size * sum(other[pair] for pair in same) / len(same)
    given_up.append(r - there)
    print(f"这边 here {r} 次，那边平均 there on average {there:.2f} 次 times,  差 less by {r - there:.2f}")

seen_times = Counter(Counter(pairwise(train.tolist())).values())
D = seen_times[1] / (seen_times[1] + 2 * seen_times[2])
print(f"D = n₁ / (n₁ + 2 n₂) = {seen_times[1]} / ({seen_times[1]} + 2 × {seen_times[2]}) = {D:.3f}")

# %% [markdown] key="discount-after" lang="zh"
# 看过一次的，换个地方平均不到半次；看过四次、五次的，也只少一次上下。次数越大，少掉的那一点越不要紧。从每个次数里减去**同一个数**，虽然粗，却八九不离十，这叫绝对折扣。最后一行是 Ney 等人给的估计：只看出现一次和两次的各有几种，$n_1$ 和 $n_2$，就算出 $D$，不用留出一半文字。
#
# 减去的合起来有多少？每个见过的 $w$ 让出 $D$，一共 $D \cdot N(h\,\bullet)$，其中 $N(h\,\bullet)$ 是 $h$ 后面见过几**种**字。
#
# 这一份在没见过的 $w$ 里按 $p(w \mid h')$ 分，除以它们的总和，就是 $\alpha(h)$：
#
# $$\alpha(h) = \frac{D \, N(h\,\bullet) / c(h)}{\sum_{w:\, c(h w) = 0} p(w \mid h')}$$
#
# 照着写二元的，和 minillm 的 `Backoff` 对上，再回头看“雨”的后面。
# %% [markdown] key="discount-after" lang="en"
# What was seen once comes less than half a time elsewhere; what was seen four or five times is short by only about one. The larger the count, the less the difference matters. To take **the same number** from each count is rough, and not far off; it is called absolute discounting. The last line is the estimate of Ney and others: it needs only how many kinds of pair occur once and twice, $n_1$ and $n_2$, and no half of the text has to be set aside.
#
# How much is collected? Each $w$ that was seen gives up $D$, together $D \cdot N(h\,\bullet)$, where $N(h\,\bullet)$ is how many **kinds** of character were seen after $h$.
#
# The unseen $w$ share it in proportion to $p(w \mid h')$; divided by their sum, it is $\alpha(h)$:
#
# $$\alpha(h) = \frac{D \, N(h\,\bullet) / c(h)}{\sum_{w:\, c(h w) = 0} p(w \mid h')}$$
#
# Write it so for pairs, make it agree with minillm's `Backoff`, and look again at what follows 雨.


# %% key="backoff-run" tags=["nbval-check-output"]
from minillm.baselines.smoothing import Backoff, KneserNey


def backoff_row(row, discount, lower):
    """p(w | h) of all w from row, the c(h w), and lower, the p(w | h'); both (V,)"""
    seen = row > 0
    alpha = discount * seen.sum() / row.sum() / lower[~seen].sum()
    return np.where(seen, (row - discount) / row.sum(), alpha * lower)


def discount_of(counts):
    n1, n2 = (counts == 1).sum(), (counts == 2).sum()
    return n1 / (n1 + 2 * n2)


singles, pairs = np.bincount(train, minlength=V), np.zeros((V, V))
np.add.at(pairs, (train[:-1], train[1:]), 1)
alone = backoff_row(singles, discount_of(singles), np.full(V, 1 / V))
rain, love, nana = tokenizer.encode("雨爱婆")
after_rain = backoff_row(pairs[rain], discount_of(pairs), alone)
model = Backoff(train, V, 2)
assert np.allclose(after_rain, model.next_probabilities([rain]), rtol=1e-10)

plain = best_add.next_probabilities([rain])
for char, token in (("爱", love), ("婆", nana)):
    print(f"雨 → {char}: {pairs[rain, token]:.0f} 次 times   加 k add-k {plain[token]:.6f}", end="   ")
    print(f"回退 back-off {after_rain[token]:.6f}   {char}: {singles[token]} 次 times")

# %% [markdown] key="kn-question" lang="zh"
# 无穷大没有了，两个字也分出了高下，可是分反了：“婆”在“雨”后面居然比“爱”更可能，只因为它单个出现得多一点。
#
# ## Kneser-Ney：问对问题
#
# 回退到底，是问单个的字：“上文帮不上忙了，哪个字最可能？”按出现的次数答，好像没有错，刚才却错了。再看几个字。
# %% [markdown] key="kn-question" lang="en"
# Nothing is infinite any more, and the two are told apart, but the wrong way round: after 雨, 婆 is said to be likelier than 爱, just because by itself it occurs a little more often.
#
# ## Kneser-Ney: ask the right question
#
# At the bottom of backing off stand single characters: “the context is no help, which character is likeliest?” To answer by frequency seems right, and was wrong just now. Look at some more characters.

# %% key="continuation-run" tags=["nbval-check-output"]
times, before = Counter(train.tolist()), defaultdict(set)
for a, b in pairwise(train.tolist()):
    before[b].add(a)
kinds = sum(map(len, before.values()))

print("字    次数 times   前面几种 kinds before    按次数 by times    按种类 by kinds")
for char in "川地候上":
    token = tokenizer.encode(char)[0]
    n, different = times[token], len(before[token])
    print(f"{char} {n:10} {different:16} {n / len(train):24.5f} {different / kinds:18.5f}")
print("川的前面 before 川:", [tokenizer.decode([a]) for a in before[tokenizer.encode("川")[0]]])

# %% key="continuation-picture"
tokens = [token for token in times if times[token] >= 3 and token > 5]
ax = viz.new_axes(7, 4.2)
ax.loglog([times[t] for t in tokens], [len(before[t]) for t in tokens], "o", markersize=3, color="#56B4E9")
for char in "川候婆么京们雨地的，北爱":
    token = tokenizer.encode(char)[0]
    place = times[token], len(before[token])
    ax.annotate(char, place, (5, 4), textcoords="offset points", fontsize=13)
    ax.plot(*place, "o", markersize=5, color="#D55E00")
ax.set(xlabel="出现次数 occurrences", ylabel="前面有几种字 kinds of character before it", ylim=(0.7, 900))
ax.grid(alpha=0.3)
viz.show(ax, alt="出现的次数和前面的种类，川很靠下 occurrences and kinds before: 川 lies far below")

# %% [markdown] key="kn" lang="zh"
# “川”在读本里有 180 次，和“地”一样常见。可是它前面永远是“小”，因为它只在小川的名字里出现。现在上文是一个没见过“川”的字，你会猜“川”吗？不会：要是前面有“小”，轮不到短上文来答；问到短上文，说明前面**不是**“小”。
#
# 所以在低的阶上，该问的不是“出现过几次”，而是“**在几种字的后面出现过**”：
#
# $$p(w) = \frac{N(\bullet\, w)}{N(\bullet\,\bullet)}$$
#
# $N(\bullet\, w)$ 是 $w$ 前面见过几种字，$N(\bullet\,\bullet)$ 是一共见过几种字对。“川”只得一份，“地”得八十九份。这就是 Kneser 和 Ney 1995 年的想法。图上越靠下的字，越恋旧主。
#
# 再改一处：不管见没见过，都加上短上文的那一份，叫**插值**。
#
# $$p(w \mid h) = \frac{\max(c(h w) - D,\, 0)}{c(h)} + \lambda(h)\, p(w \mid h') \qquad\qquad \lambda(h) = \frac{D \, N(h\,\bullet)}{c(h)}$$
#
# $\lambda(h)$ 不是调出来的：减去的合起来恰好是 $D\, N(h\,\bullet)$，分出去的就是这么多，所以总和还是 1。最高的阶用真的次数，低的阶里 $c(h w)$ 一律换成 $N(\bullet\, h w)$，阶阶如此，每一阶有自己的 $D$；最底下是 $1 / V$，连 `<unk>` 也有一点。照着公式写成递归：
# %% [markdown] key="kn" lang="en"
# 川 occurs 180 times in the reader, as often as 地 (“ground”, and the ending of adverbs). But 小 always stands before it, for it comes only in the name 小川 (Xiaochuan). Suppose the context is a character after which 川 was never seen. Would you guess 川? No: if 小 stood there, the shorter context would not be asked; that it is asked means that what stands there is **not** 小.
#
# So in the lower orders the question is not how often a character occurs, but **after how many kinds of character**:
#
# $$p(w) = \frac{N(\bullet\, w)}{N(\bullet\,\bullet)}$$
#
# $N(\bullet\, w)$ is how many kinds of character were seen before $w$, and $N(\bullet\,\bullet)$ how many kinds of pair were seen in all. 川 gets one share and 地 eighty-nine. This is the idea that Kneser and Ney had in 1995. In the picture, the lower a character lies, the more faithful it is to one master.
#
# One more change: the share of the shorter context is added whether the pair was seen or not, which is called **interpolation**.
#
# $$p(w \mid h) = \frac{\max(c(h w) - D,\, 0)}{c(h)} + \lambda(h)\, p(w \mid h') \qquad\qquad \lambda(h) = \frac{D \, N(h\,\bullet)}{c(h)}$$
#
# $\lambda(h)$ is not tuned: what was collected is exactly $D\, N(h\,\bullet)$, and that is what is given out, so the sum is still 1. The highest order uses real counts; in all lower ones $c(h w)$ becomes $N(\bullet\, h w)$, order by order, each with a $D$ of its own; at the very bottom is $1 / V$, which leaves a little even for `<unk>`. Written as a recursion, just as the formula says:


# %% key="kn-run" tags=["nbval-check-output"]
def kn_tables(tokens, order):
    """For each order m: context -> Counter of what follows, and the discount"""
    grams = [Counter(zip(*(tokens[i:] for i in range(m)), strict=False)) for m in range(order + 1)]
    tables = [None]
    for m in range(1, order + 1):
        counts = grams[m] if m == order else Counter(gram[1:] for gram in grams[m + 1])
        after_context = defaultdict(Counter)
        for gram, n in counts.items():
            after_context[gram[:-1]][gram[-1]] = n
        sizes = Counter(counts.values())
        tables.append((after_context, sizes[1] / (sizes[1] + 2 * sizes[2])))
    return tables


def kn_probability(tables, context, w):
    shorter = kn_probability(tables, context[1:], w) if context else 1 / V
    after_context, discount = tables[len(context) + 1]
    if context not in after_context:
        return shorter
    seen = after_context[context]
    total = seen.total()
    return max(seen[w] - discount, 0) / total + discount * len(seen) / total * shorter


tables, model = kn_tables(train.tolist(), 3), KneserNey(train, V, 3)
for i in range(3, 400):
    ours = kn_probability(tables, tuple(test[i - 2 : i].tolist()), int(test[i]))
    assert np.isclose(ours, model.next_probabilities(test[:i])[test[i]], rtol=1e-10)
print("每一阶的折扣 discounts:", [round(discount, 3) for _, discount in tables[1:]])
print("和 minillm 的 KneserNey 相等 equal to minillm's KneserNey")

answer = KneserNey(train, V, 2).next_probabilities([rain])
print(f"雨 → 爱 {answer[love]:.6f},  雨 → 婆 {answer[nana]:.6f}")

# %% [markdown] key="kn-listing" lang="zh"
# minillm 的写法不用递归，也不用字典：所有的 n 元组排成有序的数组，一阶一阶往上合。`_combine` 那一行就是上面的公式。
# %% [markdown] key="kn-listing" lang="en"
# minillm does it without recursion and without dictionaries: all n-grams lie in sorted arrays, and the orders are combined from the bottom up. The line in `_combine` is the formula above.

# %% key="kn-listing-code"
from minillm.baselines.counts import UNSEEN, with_unseen
from minillm.baselines.smoothing import Array, Discounts, NgramModel, _discounts


from minillm.baselines.smoothing import KneserNey  # paste

# %% [markdown] key="orders" lang="zh"
# 雨后面的“爱”和“婆”，这回排对了，“爱”是“婆”的十几倍。
#
# ## 看得远一点，会更好吗？
#
# 一个字不够，就看两个、三个、四个。三种平滑，阶从 1 到 5，训练、验证、测试各考一遍。
# %% [markdown] key="orders" lang="en"
# 爱 and 婆 after 雨 are in the right order now, with 爱 more than ten times as likely.
#
# ## Does it help to look further back?
#
# If one character is not enough, look at two, three, four. Three kinds of smoothing, orders from 1 to 5, an exam on each of the training, validation and test parts.

# %% key="orders-run" tags=["nbval-check-output"]
ORDERS = range(1, 6)
bits = {}
for n in ORDERS:
    models = {
        "add-k": AddK(train, V, n, valid=valid),
        "back-off": Backoff(train, V, n),
        "Kneser-Ney": KneserNey(train, V, n),
    }
    for name, model in models.items():
        bits[name, n] = [measure(model, part).bits_per_char for part in streams]
        if name == "Kneser-Ney":
            size, never = len(model.grams.keys[n]), (model.grams.find(test)[n][n - 1 :] == UNSEEN).mean()
            print(f"n = {n}: {size:6} 种 kinds, 测试里没见过 unseen in the test part {never:.1%}")

names = ("add-k", "back-off", "Kneser-Ney")
print("\n比特/字符：训练 验证 测试  bits per character: train, valid, test")
print("     ", "  ".join(f"{name:19}" for name in names))
for n in ORDERS:
    print(f"n = {n}", "   ".join(" ".join(f"{x:5.2f}" for x in bits[name, n]) for name in names))

# %% key="orders-picture"
panels = viz.new_axes(8.4, 3.5, columns=2, sharey=True)
for ax, name in zip(panels, ("add-k", "Kneser-Ney"), strict=True):
    curves = np.array([bits[name, n] for n in ORDERS]).T
    looks = zip(("训练 train", "验证 valid", "测试 test"), ("#0072B2", "#E69F00", "#D55E00"), "os^", strict=True)
    for curve, (part, colour, mark) in zip(curves, looks, strict=True):
        ax.plot(ORDERS, curve, mark + "-", color=colour, label=part)
    ax.set(title=name, xlabel="阶 order n", xticks=list(ORDERS), ylim=(0, 11.5))
    ax.grid(alpha=0.3)
panels[0].set_ylabel("比特/字符 bits per character")
panels[1].legend()
viz.show(panels, alt="阶越高训练越好，新文字不再变好 higher orders: better on training text, not on new text")

# %% [markdown] key="orders-after" lang="zh"
# 两张图的训练曲线一路往下：阶越高，见过的文字记得越牢。新文字却是另一回事。加 $k$ 到了三元就掉头向上，这就是**过拟合**：三元组有四万多种，测试部分的三元组里六成没见过，它只好瞎猜。回退和 Kneser-Ney 没有这样掉头，它们会问短一点的上文；可是三阶以后，连 Kneser-Ney 也几乎不再变好，五阶里九成五没见过，多看的那两个字帮不上什么忙。
#
# 最好的一个是 6.27 比特一个字，困惑度约 70：每个字像是在七十个字里猜。第 02 课的二元模型是 6.66。
#
# ## 让它写
#
# 一个字一个字地按概率抽，就写成了文章。先不平滑，只按次数，看每一阶写些什么；再数一数，写出来的八个字连着看，有多少在训练文字里原样出现过。
# %% [markdown] key="orders-after" lang="en"
# In both pictures the training curve falls and falls: the higher the order, the better it remembers what it has read. A new text is another matter. Add-$k$ turns upwards at order 3. That is **overfitting**: there are more than forty thousand kinds of trigram, six in ten of those in the test part were never seen, and all it can do then is guess. Back-off and Kneser-Ney do not turn like that, for they ask a shorter context; but beyond order 3 even Kneser-Ney hardly improves. At order 5, ninety-five per cent are unseen, and the two further characters are of little help.
#
# The best is 6.27 bits a character, a perplexity of about 70: as if each character were guessed among seventy. The bigram model of lesson 02 had 6.66.
#
# ## Let it write
#
# Draw character after character by their probabilities, and you have a text. First without smoothing, by the counts alone, to see what each order writes; and count how many stretches of eight characters stand word for word in the training text.


# %% key="write-run" tags=["nbval-check-output"]
book = "\n\n".join(corpus.train)
known = {book[i : i + 8] for i in range(len(book) - 7)}


def write(order, length=400):
    """Continue 我爱北京 by raw counts"""
    follows = defaultdict(Counter)
    for i in range(len(book) - order + 1):
        follows[book[i : i + order - 1]][book[i + order - 1]] += 1
    rng, out = np.random.default_rng(0), "我爱北京"
    while len(out) < length:
        choices = follows[out[len(out) - order + 1 :]]
        out += rng.choice(list(choices), p=np.array(list(choices.values())) / choices.total())
    return out


copied = {}
for n in ORDERS:
    written = write(n)
    pieces = [written[i : i + 8] for i in range(len(written) - 7)]
    copied[n] = sum(piece in known for piece in pieces) / len(pieces)
    print(f"{n}: {written[:30]!r}  照抄 copied {copied[n]:.0%}")

# %% [markdown] key="write-after" lang="zh"
# 一元是一袋散字。二元有了词的影子，三元有了短语，四元读着像样。五元最通顺，可是近九成是从书里抄来的：这么长的上文，后面多半只见过一种字，它没有选择。**通顺不等于会写，也许只是背得熟。** 以后看大模型写的东西，也别忘了这一问。
#
# 平滑以后的模型不会照抄，也不会卡住，代价是每隔几个字就回退一次，思路断了：
# %% [markdown] key="write-after" lang="en"
# Order 1 is a bag of loose characters. Order 2 has shadows of words, order 3 has phrases, order 4 reads like something. Order 5 is the most fluent, but nearly nine tenths of it are copied from the book: after so long a context mostly one character was ever seen, and it has no choice. **Fluent need not mean able; it may just have learnt by heart.** Remember the question when you read what large models write.
#
# With smoothing a model neither copies nor gets stuck, at a price: every few characters it backs off, and the thread is lost:

# %% key="write-smooth" tags=["nbval-check-output"]
for n in ORDERS:
    model = KneserNey(train, V, n)
    ids = model.generate(np.random.default_rng(3), tokenizer.encode("我爱北京"), 32)
    print(f"{n}: {tokenizer.decode(ids)!r}")

# %% [markdown] key="play" lang="zh"
# ## 动手玩：下一个字
#
# 写一段上文，拖动阶数，看下一个字的概率怎样变。静止的图里也能拖阶数；在 JupyterLab 里还可以改上文。试试“天安”“小雨和”“我爱北京天”，再试一个奇怪的上文，比如“京京京”：阶数高了也没用，它只好回退。
# %% [markdown] key="play" lang="en"
# ## Play: the next character
#
# Type a context, drag the order, and watch the probabilities of the next character move. The order can be dragged even in the still page; in JupyterLab you can change the context too. Try 天安, 小雨和 (“Xiaoyu and”), 我爱北京天, and then something strange, such as 京京京: a high order is no use there, for it has to back off.

# %% key="play-run"
from minillm.widgets import Slider, Words, play

by_order = {n: KneserNey(train, V, n) for n in ORDERS}


def draw(order, context):
    p = by_order[order].next_probabilities(tokenizer.encode(context))
    best = np.argsort(-p, kind="stable")[:12]
    names = [{"<eos>": "完", "<unk>": "?"}.get(tokenizer.token_text(i), tokenizer.token_text(i)) for i in best]
    ax = viz.plot_distribution(names, p[best])
    entropy = -(p * np.log2(p)).sum()
    used = context[len(context) - min(order - 1, len(context)) :]
    ax.set_title(f"n = {order}   看到 it sees “{used}”   熵 entropy {entropy:.2f} bits")
    ax.set_ylim(0, max(0.45, 1.15 * p.max()))
    return ax


play(
    draw,
    order=Slider(1, 5, 1, value=2, label="阶 order"),
    context=Words("我爱北京", label="上文 context", known=set(tokenizer.tokens)),
    alt="阶越高，“我爱北京”的下一个字越有把握 the higher the order, the surer the character after 我爱北京",
)

# %% [markdown] key="world" lang="zh"
# ## 数数够不着的地板
#
# 6.27 比特算好算坏？读本的熵是多少，谁也不知道，所以谁也不知道离底还有多远。
#
# 课程里还有一座造出来的小城（`minillm.data.world`）：故事由一套语法随机写成，人物、地点、价钱前后照应。语法是我们写的，所以每个故事的概率算得出来，**熵是算出来的，不是估的**。没有哪个模型能长久地低于它。（考试用的人和地点是另外留出的；这里的地板，是熟悉小城、却不知道留了谁的人能做到的最好。）让 Kneser-Ney 在十六万字的故事上学，阶一直加到 9：
# %% [markdown] key="world" lang="en"
# ## The floor that counting cannot reach
#
# Is 6.27 bits good or bad? Nobody knows the entropy of the reader, so nobody knows how far it is to the bottom.
#
# The course also has a small town that is generated (`minillm.data.world`): a grammar writes its stories at random, with people, places and prices that agree throughout. We wrote the grammar, so the probability of every story can be computed, and **its entropy is computed, not estimated**. In the long run no model can be below it. (Some people and places are kept for the exam; the floor here is the best for one who knows the town, but not who was kept.) Let Kneser-Ney learn from 160,000 characters of stories, up to order 9:

# %% key="world-run" tags=["nbval-check-output"]
from minillm.data.world import corpus as world_corpus
from minillm.data.world import entropy

world = world_corpus()
print(*(world.train[0][at : at + 40] for at in range(0, len(world.train[0]), 40)), "", sep="\n")
spelling = train_tokenizer("char", world.train)
rows = {part: token_stream(world.split(part), spelling) for part in ("train", "valid", "test")}
floor = entropy("valid", known_split=False).bits_per_character
in_world = {}
for n in range(1, 10):
    model = KneserNey(rows["train"], spelling.vocab_size, n)
    in_world[n] = [measure(model, part, world, spelling, rows).bits_per_char for part in ("train", "valid")]
    print(f"n = {n}: 训练 train {in_world[n][0]:.3f}   验证 valid {in_world[n][1]:.3f}   地板 floor {floor:.3f}")

# %% key="world-picture"
ax = viz.new_axes(7, 3.6)
for i, (part, colour) in enumerate((("训练 train", "#0072B2"), ("验证 valid", "#D55E00"))):
    ax.plot(list(in_world), [pair[i] for pair in in_world.values()], "o-", color=colour, label=part)
ax.axhline(floor, color="0.3", linestyle="--", label="真正的熵 true entropy")
ax.set(xlabel="阶 order n", ylabel="比特/字符 bits per character", yscale="log", yticks=[0.5, 1, 2, 4, 8])
ax.set_yticklabels(["0.5", "1", "2", "4", "8"])
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
viz.show(ax, alt="验证停在 1.1 比特，是真正的熵的两倍多 validation stops at 1.1 bits, over twice the true entropy")

# %% [markdown] key="world-after" lang="zh"
# 到七阶，验证上停在 1.10，地板是 0.49，还差一倍多。差在哪里？看打印出来的那一篇：九盘棋，爷爷赢了七盘，所以后来写的是“小雨赢了两盘”。写到“两”的时候，“九”已经在十九个字以前，六个字的上文看不见它。再往上加阶，长的上文都只见过一次，也没用。训练那条线倒是一路往下，到九阶穿过了地板：它在背书。
#
# 要越过这道坎，模型得看得远，又不能把每一种上文当作互不相干。那正是神经网络做的事，第 04 课迈出第一步。
#
# ## 数看不见的东西：词在哪里断开
#
# 中文不用空格，一句话里词与词的边界是**看不见的**。给每个字贴一个标签，边界就有了：**B** 词的开头，**M** 中间，**E** 结尾，**S** 自己就是一个词。
# %% [markdown] key="world-after" lang="en"
# By order 7 it stops at 1.10 on the validation part. The floor is 0.49, less than half. Where is the difference? Look at the story that is printed: of nine games of chess (九盘) Grandpa won seven (七盘), and that is why it goes on to say that Xiaoyu won two (小雨赢了两盘). By the time of that 两, the 九 lies nineteen characters back, and a context of six characters cannot see it. Still higher orders do not help, for they have seen each long context only once. The training curve does fall and fall, and at order 9 it breaks through the floor: it knows the book by heart.
#
# To get past this barrier a model must look far back, and yet not treat every context as a stranger to all others. That is what neural networks do; lesson 04 takes the first step.
#
# ## Counting what cannot be seen: where words end
#
# Chinese uses no spaces, so that the borders between the words of a sentence are **hidden**. Give each character a tag, and the borders are there: **B** begins a word, **M** is in its middle, **E** ends it, and **S** is a word by itself.

# %% key="tags-run" tags=["nbval-check-output"]
from minillm.baselines.hmm import HMMSegmenter, tag_words

TAGS = "BMES"
for sentence in ("我爱北京天安门", "小雨天天下雨", "学生活得很好"):
    words = cut_words(sentence)
    print(sentence, "→", " / ".join(words), "→", "".join(TAGS[t] for t in tag_words(words)))

lines = {part: [line for text in corpus.split(part) for line in text.split("\n") if line] for part in streams}
taught = [cut_words(line) for line in lines["train"]]
print(f"教材 to learn from: {len(taught)} 行 lines, {sum(map(len, taught))} 个词 words")

# %% [markdown] key="hmm" lang="zh"
# 谁来贴标签？这里请 jieba 当**老师**：它有一部三十几万词的词典，我们把读本训练部分交给它切，照着它切的数。老师也会错：“学生活得很好”，它切成了“学／生活”。所以后面的分数只说“像不像老师”，不说“对不对”。
#
# 标签看不见，只看得见字，于是有了**隐马尔可夫模型**（HMM）：先按马尔可夫的办法走出一串标签，每个标签再“吐”出一个字。
#
# $$p(\text{tags}, \text{text}) = \pi(t_1)\, b(x_1 \mid t_1) \; \prod_{i=2}^{T} a(t_i \mid t_{i-1})\, b(x_i \mid t_i) \; \cdot\; \omega(t_T)$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $x_i$ | 一个字 | | 看得见：第 $i$ 个字 |
# | $t_i$ | B、M、E、S 之一 | | 看不见：它的标签 |
# | $\pi$ | (4,) | 概率 | 一句话以哪个标签开头 |
# | $a$ | (4, 4) | 概率 | 从一个标签走到下一个 |
# | $\omega$ | (4,) | 概率 | 走到这个标签，句子就停 |
# | $b$ | (4, 字数) | 概率 | 这个标签吐出哪个字 |
#
# 四张表都是次数的比，还是最大似然，还是加 $k$。只是有些路不许走：B 的后面只能是 M 或 E，不能是 S，也不能又是 B。不许走的，一点也不加。
#
# 先在纸上做。三行小文章：“我／爱／北京”“北京／人／爱／我”“北京人／爱／北京”，每个可能的次数加半个。然后切“北京人”这三个字。标签有 $4^3 = 64$ 种排法，能拼成词的只有四种，一种一种地乘：
# %% [markdown] key="hmm" lang="en"
# Who gives the tags? Here jieba plays the **teacher**: it has a dictionary of more than three hundred thousand words. We let it cut the training part of the reader, and count what it did. Teachers err too. The second sentence, “a light rain falls every day”, is right; the third is 学生／活得很好, “the students live well”, and jieba made it 学／生活, “learn life”. So the scores below say how much like the teacher we are, and not how right.
#
# The tags are hidden and only the characters are seen. Hence the **hidden Markov model** (HMM): a row of tags is walked in Markov's way, and each tag emits one character.
#
# $$p(\text{tags}, \text{text}) = \pi(t_1)\, b(x_1 \mid t_1) \; \prod_{i=2}^{T} a(t_i \mid t_{i-1})\, b(x_i \mid t_i) \; \cdot\; \omega(t_T)$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $x_i$ | a character | | seen: character number $i$ |
# | $t_i$ | one of B, M, E, S | | hidden: its tag |
# | $\pi$ | (4,) | probability | the tag with which a sentence starts |
# | $a$ | (4, 4) | probability | of the move from a tag to the next |
# | $\omega$ | (4,) | probability | that the sentence stops after this tag |
# | $b$ | (4, characters) | probability | that this tag emits this character |
#
# All four tables are ratios of counts, maximum likelihood again, and again with a $k$ added. But some moves are forbidden: after B come M or E, never S, and never another B. What is forbidden gets nothing at all.
#
# On paper first, with a little text of three lines: 我／爱／北京, 北京／人／爱／我 and 北京人／爱／北京, where 北京人 is “a Beijinger”. Every possible count gets an extra half. Then cut the three characters 北京人. There are $4^3 = 64$ rows of tags, and only four of them spell words; multiply each out:

# %% key="hmm-toy" tags=["nbval-check-output"]
small = HMMSegmenter([["我", "爱", "北京"], ["北京", "人", "爱", "我"], ["北京人", "爱", "北京"]], k=0.5)
start, move, stop, emit = small.hmm.start, small.hmm.transition, small.hmm.stop, small.hmm.emission
seen = small.encode("北京人")

print("     开头 start   到 to B      M      E      S   停 stop      北     京     人")
for t, tag in enumerate(TAGS):
    moves = " ".join(f"{x:6.3f}" for x in move[t])
    chars = " ".join(f"{x:6.3f}" for x in emit[t, seen])
    print(f"{tag}  {start[t]:10.3f}     {moves} {stop[t]:8.3f}   {chars}")

print()
for tags in ("SSS", "SBE", "BES", "BME"):
    a, b, c = (TAGS.index(tag) for tag in tags)
    factors = [start[a], emit[a, seen[0]], move[a, b], emit[b, seen[1]], move[b, c], emit[c, seen[2]], stop[c]]
    print(tags, " × ".join(f"{x:.3f}" for x in factors), f"= {math.prod(factors):.6f}")

# %% [markdown] key="viterbi" lang="zh"
# BME 最大，于是“北京人”是一个词：教材里刚见过。
#
# 三个字四种，七个字就是 $2^6 = 64$ 种，四十个字五千多亿种。每种都乘一遍，行不通。**Viterbi 算法**看出这里有大量重复：走到第 $i$ 个字、标签是 $j$ 的路很多，可是以后怎样走，只看 $j$，不看是怎么来的。所以每个格子只需留**最好的一条**：
#
# $$v_1(j) = \ln \pi(j) + \ln b(x_1 \mid j) \qquad\qquad v_i(j) = \max_{j'} \big[ v_{i-1}(j') + \ln a(j \mid j') \big] + \ln b(x_i \mid j)$$
#
# 记下每一步的最大值是从哪个 $j'$ 来的，最后从 $v_T(j) + \ln \omega(j)$ 最大的那个标签往回走，整条路就出来了。每步看 $4 \times 4$ 种走法，$T$ 个字一共 $16\,T$，不是 $4^T$。
#
# 全用对数，是因为概率乘多了会小到浮点数装不下。不许走的路概率是零，对数是负无穷，永远当不了最大，不必特别照顾。
# %% [markdown] key="viterbi" lang="en"
# BME is largest, and so 北京人 is one word: it was just seen in the text.
#
# Three characters have four ways, seven have $2^6 = 64$, and forty have more than 500 billion. Multiplying out each will not do. **Viterbi's algorithm** sees how much of it is repetition: many paths lead to character number $i$ with the tag $j$, but how they go on depends on $j$ alone and not on how they came. So each place has to keep only **the best one**:
#
# $$v_1(j) = \ln \pi(j) + \ln b(x_1 \mid j) \qquad\qquad v_i(j) = \max_{j'} \big[ v_{i-1}(j') + \ln a(j \mid j') \big] + \ln b(x_i \mid j)$$
#
# Note from which $j'$ each maximum came. In the end, start at the tag with the largest $v_T(j) + \ln \omega(j)$ and walk back: there is the whole path. Each step looks at $4 \times 4$ moves, so $T$ characters take $16\,T$ and not $4^T$.
#
# All of it is in logarithms, because a product of many probabilities becomes too small for a floating-point number. A forbidden move has probability zero and logarithm minus infinity, is never the maximum, and needs no special care.


# %% key="viterbi-run" tags=["nbval-check-output"]
def logs(hmm, symbols):
    """ln of start (4,), moves (4, 4), stop (4,), and emission of each character (T, 4)"""
    with np.errstate(divide="ignore"):  # 零的对数是负无穷 the logarithm of 0 is minus infinity
        return np.log(hmm.start), np.log(hmm.transition), np.log(hmm.stop), np.log(hmm.emission[:, symbols].T)


def viterbi_loops(hmm, symbols):
    """-> best tags, v (T, 4), and from which tag each came (T, 4)"""
    start, move, stop, emit = logs(hmm, symbols)
    v, came = np.full(emit.shape, -np.inf), np.zeros(emit.shape, int)
    v[0] = start + emit[0]
    for i in range(1, len(emit)):
        for j in range(4):
            for before in range(4):
                value = v[i - 1, before] + move[before, j] + emit[i, j]
                if value > v[i, j]:
                    v[i, j], came[i, j] = value, before
    path = [int(np.argmax(v[-1] + stop))]
    for i in range(len(emit) - 1, 0, -1):
        path.append(int(came[i, path[-1]]))
    return path[::-1], v, came


path, v, came = viterbi_loops(small.hmm, small.encode("北京人"))
for i, char in enumerate("北京人"):
    cells = [
        f"{tag} {v[i, j]:6.2f}" + (f" ←{TAGS[came[i, j]]}" if i and v[i, j] > -np.inf else "")
        for j, tag in enumerate(TAGS)
    ]
    print(char, "   ".join(cells))
print("最好的一条 the best path:", "".join(TAGS[j] for j in path))

# %% [markdown] key="brute" lang="zh"
# 再到读本上数出真的四张表，切“我爱北京天安门”。先用笨办法，$4^7 = 16384$ 种标签全试一遍；再用 Viterbi；两样应当一模一样。向量化也简单：一步里的 16 种走法就是一个 4 × 4 的矩阵。
# %% [markdown] key="brute" lang="en"
# Now count the four tables from the reader, and cut 我爱北京天安门. The stupid way first, all of the $4^7 = 16384$ rows of tags; then Viterbi's; both should agree exactly. To vectorise is easy: the 16 moves of a step are a matrix, 4 by 4.


# %% key="brute-run" tags=["nbval-check-output"]
segmenter = HMMSegmenter(taught)
thread = "我爱北京天安门"
symbols = segmenter.encode(thread)
start, move, stop, emit = logs(segmenter.hmm, symbols)


def log_joint(tags):
    moves = sum(move[a, b] for a, b in pairwise(tags))
    return start[tags[0]] + moves + sum(emit[i, t] for i, t in enumerate(tags)) + stop[tags[-1]]


everything = {tags: log_joint(tags) for tags in product(range(4), repeat=len(thread))}
possible = sorted((tags for tags, value in everything.items() if value > -np.inf), key=everything.get, reverse=True)
print(f"{len(everything)} 种 rows of tags, 能拼成词的 spell words: {len(possible)}")
for tags in possible[:4]:
    print("  ", "".join(TAGS[t] for t in tags), f"{everything[tags]:.2f}")


# %% key="matrix-run" tags=["nbval-check-output"]
def viterbi_matrix(hmm, symbols):
    start, move, stop, emit = logs(hmm, symbols)
    v, came = start + emit[0], []
    for row in emit[1:]:
        paths = v[:, None] + move  # (4, 4)
        came.append(paths.argmax(axis=0))
        v = paths.max(axis=0) + row
    path = [int((v + stop).argmax())]
    for back in came[::-1]:
        path.append(int(back[path[-1]]))
    return path[::-1], (v + stop).max()


path, best = viterbi_matrix(segmenter.hmm, segmenter.encode(thread))
assert tuple(path) == possible[0] and np.isclose(best, everything[possible[0]])
for line in lines["test"]:
    symbols = segmenter.encode(line)
    path, best = viterbi_matrix(segmenter.hmm, symbols)
    assert path == viterbi_loops(segmenter.hmm, symbols)[0] == list(segmenter.hmm.viterbi(symbols)[0])
print("穷举、循环、矩阵、minillm 相等 brute force, loops, matrices and minillm agree")

long = segmenter.encode("".join(lines["test"])[:400])
log_p = viterbi_matrix(segmenter.hmm, long)[1]
print(f"四百个字 400 characters: ln p = {log_p:.0f},  p = {math.exp(log_p)}")

# %% [markdown] key="trellis" lang="zh"
# 最后一行就是用对数的道理：四百个字，概率已经小得变成了零，对数却好好的。
#
# 把格子画出来，像一张篱笆：每一列是一个字，每一行是一个标签，灰线是许走的路，数是走到那里最好的一条的 $v$；橙色是赢的那一条。在 JupyterLab 里可以换成你自己的句子。
# %% [markdown] key="trellis" lang="en"
# The last line is the reason for logarithms: after four hundred characters the probability has become zero, while its logarithm is fine.
#
# Drawn, the places make a trellis. Each column is a character and each row a tag; grey lines are the moves allowed, the numbers are the $v$ of the best path so far, and the winning path is orange. In JupyterLab, type a sentence of your own.


# %% key="trellis-picture"
def trellis(sentence):
    symbols = segmenter.encode(sentence)
    path, v, _ = viterbi_loops(segmenter.hmm, symbols)
    move = logs(segmenter.hmm, symbols)[1]
    ax = viz.new_axes(8.4, 3.4)
    for i in range(len(sentence)):
        for j, tag in enumerate(TAGS):
            if v[i, j] == -np.inf:
                continue
            for k in range(4):
                if i and np.isfinite(v[i - 1, k] + move[k, j]):
                    win = path[i - 1] == k and path[i] == j
                    look = (
                        {"color": "#D55E00", "linewidth": 3, "zorder": 2}
                        if win
                        else {"color": "0.8", "linewidth": 1, "zorder": 1}
                    )
                    ax.plot([i - 1, i], [-k, -j], **look)
            colour = "#FBD9BF" if path[i] == j else "w"
            ax.text(
                i,
                -j,
                f"{tag}\n{v[i, j]:.1f}",
                ha="center",
                va="center",
                fontsize=9,
                zorder=3,
                bbox={"boxstyle": "round", "facecolor": colour, "edgecolor": "0.5"},
            )
    ax.set_xticks(range(len(sentence)), list(sentence), fontsize=15)
    ax.set(xlim=(-0.5, len(sentence) - 0.5), ylim=(-3.6, 0.6), yticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


play(
    trellis,
    sentence=Words(thread, label="句子 sentence", longest=10),
    alt="七个字的格子，赢的路是 SSBEBME the trellis of seven characters; SSBEBME wins",
)

# %% [markdown] key="posterior" lang="zh"
# ## 有多大把握：前向与后向
#
# Viterbi 只给一个答案，不说有多大把握。“天”是一个词的开头，概率多少？要把**所有**经过这一格的路加起来，再除以全部。
#
# 一条经过第 $i$ 格的路分成两段。前一段所有走法的概率之和记作 $\alpha_i(j)$，后一段的记作 $\beta_i(j)$。办法和 Viterbi 一样，只是取最大换成相加：
#
# $$\alpha_i(j) = \sum_{j'} \alpha_{i-1}(j')\, a(j \mid j')\; b(x_i \mid j) \qquad\qquad \beta_i(j) = \sum_{j'} a(j' \mid j)\, b(x_{i+1} \mid j')\, \beta_{i+1}(j')$$
#
# 开头 $\alpha_1(j) = \pi(j)\, b(x_1 \mid j)$，末尾 $\beta_T(j) = \omega(j)$。两段一乘，再归一：
#
# $$p(t_i = j \mid x) = \frac{\alpha_i(j)\, \beta_i(j)}{\sum_{j'} \alpha_i(j')\, \beta_i(j')}$$
#
# 分母不论 $i$ 是几都一样：所有路的概率之和，也就是这句话的概率 $p(x)$。和刚才的穷举对一对。
# %% [markdown] key="posterior" lang="en"
# ## How sure? Forward and backward
#
# Viterbi gives one answer and does not say how sure it is. How probable is it that 天 begins a word? Add up **all** paths through that place, and divide by all there are.
#
# A path through a place at character $i$ has two parts. Call the summed probability of all ways of the first part $\alpha_i(j)$, and that of the second $\beta_i(j)$. The method is Viterbi's, with a sum in place of the maximum:
#
# $$\alpha_i(j) = \sum_{j'} \alpha_{i-1}(j')\, a(j \mid j')\; b(x_i \mid j) \qquad\qquad \beta_i(j) = \sum_{j'} a(j' \mid j)\, b(x_{i+1} \mid j')\, \beta_{i+1}(j')$$
#
# It begins with $\alpha_1(j) = \pi(j)\, b(x_1 \mid j)$ and ends with $\beta_T(j) = \omega(j)$. Multiply the two parts, and normalise:
#
# $$p(t_i = j \mid x) = \frac{\alpha_i(j)\, \beta_i(j)}{\sum_{j'} \alpha_i(j')\, \beta_i(j')}$$
#
# The divisor is the same for every $i$: the sum over all paths, which is the probability $p(x)$ of the sentence. Compare with the brute force above.


# %% key="posterior-run" tags=["nbval-check-output"]
def forward_backward(hmm, symbols):
    emit = hmm.emission[:, symbols].T
    alpha, beta = np.zeros(emit.shape), np.zeros(emit.shape)
    alpha[0], beta[-1] = hmm.start * emit[0], hmm.stop
    for i in range(1, len(emit)):
        alpha[i] = alpha[i - 1] @ hmm.transition * emit[i]
        beta[-1 - i] = hmm.transition @ (emit[-i] * beta[-i])
    both = alpha * beta
    return both / both.sum(axis=1, keepdims=True), both.sum(axis=1)


symbols = segmenter.encode(thread)
posterior, sums = forward_backward(segmenter.hmm, symbols)
by_force = np.zeros((len(thread), 4))
for tags, value in everything.items():
    by_force[np.arange(len(tags)), tags] += np.exp(value)

assert np.allclose(sums, sums[0]) and np.isclose(np.log(sums[0]), segmenter.log_likelihood(thread))
assert np.allclose(posterior, by_force / by_force.sum(axis=1, keepdims=True))
assert np.allclose(posterior, segmenter.posterior(thread))
whole = np.exp(best := viterbi_matrix(segmenter.hmm, symbols)[1]) / sums[0]
print(f"ln p(x) = {np.log(sums[0]):.2f},  最好的一条 best path {best:.2f},  占 its share {whole:.1%}")

# %% key="posterior-picture"
ax = viz.heatmap(posterior.T, list(TAGS), list(thread), label="概率 probability", limits=(0, 1))
viz.show(ax, alt="每个字是哪个标签，各有多大概率 the probability of each tag at each character")

# %% [markdown] key="f1" lang="zh"
# 最好的一条占全部的七成多。最没把握的是“安”，八成是中间。minillm 的 `posterior` 每一步除以当时的和，长句子也不会小到零，结果是一样的。
#
# ## 切得有多好
#
# 分数怎么打？一个词的开头和结尾都对，才算找到。**精确率**是我们切出的词里，老师也有的占多少；**召回率**是老师的词里，我们找到了多少；**F1** 把两个合成一个，偏向小的那个：
#
# $$\text{precision} = \frac{\text{right}}{\text{found}} \qquad\qquad \text{recall} = \frac{\text{right}}{\text{reference}} \qquad\qquad F_1 = \frac{2 \cdot \text{precision} \cdot \text{recall}}{\text{precision} + \text{recall}}$$
#
# 老师切“我／爱／北京／天安门”，有人切成“我爱／北京／天安／门”：四个里只对了“北京”一个，老师也是四个，于是三个数都是 0.25。
#
# 一个数好不好，要看和谁比。三个不用动脑的对手：一字一词；两字一词；还有查词典的，从左往右，每次取词典里最长的词，词典就是老师在训练部分切出的词。
# %% [markdown] key="f1" lang="en"
# The best path holds more than seven tenths of the whole. The least certain is 安, in the middle of a word by eight to two. minillm's `posterior` divides each step by its sum, so that long sentences do not sink to zero, with the same result.
#
# ## How well does it cut?
#
# How to mark it? A word is found if both its ends are right. **Precision** is the share of the words we found that the teacher has as well; **recall** is the share of the teacher's words that we found; **F1** makes one number of the two, leaning to the smaller:
#
# $$\text{precision} = \frac{\text{right}}{\text{found}} \qquad\qquad \text{recall} = \frac{\text{right}}{\text{reference}} \qquad\qquad F_1 = \frac{2 \cdot \text{precision} \cdot \text{recall}}{\text{precision} + \text{recall}}$$
#
# The teacher says 我／爱／北京／天安门, and somebody cuts 我爱／北京／天安／门: of these four only 北京 is right, the teacher has four too, and all three figures are 0.25.
#
# Whether a figure is good depends on the company it keeps. Here are three rivals that do not think: a word for each character; a word for every two; and one with a dictionary, which from left to right takes the longest word that is in it. Its dictionary holds the words that the teacher found in the training part.

# %% key="f1-run" tags=["nbval-check-output"]
from minillm.baselines.segmentation import span_scores, word_spans

dictionary = {word for words in taught for word in words}


def longest_match(line):
    words = []
    while line:
        size = next((n for n in range(8, 1, -1) if line[:n] in dictionary), 1)
        words.append(line[:size])
        line = line[size:]
    return words


ways = {
    "一字一词 one each": list,
    "两字一词 two each": lambda line: [line[i : i + 2] for i in range(0, len(line), 2)],
    "查词典 dictionary": longest_match,
    "HMM": segmenter.segment,
}
teacher = [cut_words(line) for line in lines["test"]]
f1, recalls = {}, {}
print("P       R       F1      学过 known / 生词 new (recall)")
for name, cut in ways.items():
    ours = [cut(line) for line in lines["test"]]
    found = span_scores(teacher, ours)
    hits = {True: [], False: []}
    for words, mine in zip(teacher, ours, strict=True):
        spans, at = word_spans(mine), 0
        for word in words:
            hits[word in dictionary].append((at, at + len(word)) in spans)
            at += len(word)
    f1[name], recalls[name] = found.f1, [sum(hits[old]) / len(hits[old]) for old in (True, False)]
    figures = [*found, *recalls[name]]
    print("   ".join(f"{x:.3f}" for x in figures), f"  {name}")
print(f"测试部分的词 words of the test part: {len(hits[True])} + 生词 new {len(hits[False])}")

# %% key="f1-picture"
left, right = viz.new_axes(8.4, 2.9, columns=2, sharey=True)
bars = left.barh(list(f1), list(f1.values()), color="#0072B2")
left.bar_label(bars, fmt="%.2f", padding=3)
left.set(title="F1（全部的词） F1, all words", xlim=(0, 1.1))
bars = right.barh(list(recalls), [new for _, new in recalls.values()], color="#D55E00")
right.bar_label(bars, fmt="%.2f", padding=3)
right.set(title="召回率（只看生词） recall, new words only", xlim=(0, 1.1))
left.invert_yaxis()
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
viz.show(
    left, alt="HMM 和词典 F1 相近，生词上 HMM 远胜 HMM and dictionary are alike in F1; HMM is far better on new words"
)

# %% [markdown] key="f1-after" lang="zh"
# 总分上，HMM 和查词典几乎打平，0.860 对 0.857。看右边就不平了：四百多个没见过的词，词典只碰对了 4.5%，HMM 找到六成多。它不认得词，它认得**字的脾气**：“小”爱打头，“们”爱收尾，“的”总是独来独往。这就是 jieba 在词典以外还带着一个 HMM 的原因。反过来，学过的词它丢了一成多，因为吐字的表不管左右邻居，只看自己的标签。
#
# 看它错在哪里，有时错的是老师：
# %% [markdown] key="f1-after" lang="en"
# In total the HMM and the dictionary are nearly level, 0.860 and 0.857. On the right they are not: of more than four hundred words never seen, the dictionary hits 4.5 per cent by luck, and the HMM finds over six tenths. It knows no words; it knows **the habits of characters**: 小 (“little”) likes to begin, 们 (the plural) likes to end, 的 goes alone. That is why jieba, beside its dictionary, has an HMM as well. On the other hand it loses more than a tenth of the known words, for the emission table looks at a character's own tag and not at its neighbours.
#
# See where it goes wrong; sometimes it is the teacher who does:

# %% key="errors-run" tags=["nbval-check-output"]
for line in ("北京人爱北京", "学生活得很好", "白天鹅在湖里", "研究生命起源", "我爱北京天安门"):
    print(f"jieba {' / '.join(cut_words(line)):24} HMM {' / '.join(segmenter.segment(line))}")

# %% [markdown] key="errors-after" lang="zh"
# 前两句老师错了，学生对。第三句学生把“白天鹅”切成了“白天／鹅”，第四句更离谱：只看相邻的标签，看不见整个词。要顾全整句，就得看得更远，又是同一道坎。
# %% [markdown] key="errors-after" lang="en"
# In the first two, “Beijingers love Beijing” and “the students live well”, the teacher is wrong and the pupil right. In the third, “the white swan is on the lake”, the pupil cut 白天／鹅, “daytime, goose”; the fourth, “to study the origin of life”, is worse. It sees neighbouring tags and not the whole word. To do justice to a whole sentence one must look further: the same barrier again.

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 下面的数由机器核对。读本和小城都是固定的，数数没有随机，所以每字比特该和这里一样，只留一点给浮点；“照抄”一行是抽出来的，换十二个种子，在 0.80 到 0.89 之间；最后三个用到 jieba 的词典，换个版本会略有出入。如果哪一行报错，从第一格重新运行。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks these figures. The reader and the town are fixed, and counting has nothing random, so the bits per character should be those given here, but for a little rounding; what is copied was drawn at random, and twelve seeds gave 0.80 to 0.89; the last three rest on jieba's dictionary and differ a little with its version. If a line complains, run the lesson again from its first cell.

# %% key="bands-run" tags=["nbval-check-output"]
band("没见过的字对 pairs never seen", unseen, 0.226, 0.227)
band("梯度学到的和次数差 learnt and counted differ by", apart, 1e-5, 1e-3)
band("加 k 二元，测试 add-k, order 2, test (bits)", bits["add-k", 2][2], 6.82, 6.85)
band("Kneser-Ney 五元，测试 order 5, test (bits)", bits["Kneser-Ney", 5][2], 6.26, 6.29)
band("小城里离地板 above the floor in the town (bits)", in_world[7][1] - floor, 0.6, 0.63)
band("五元照抄 copied at order 5", copied[5], 0.7, 1.0)
band("HMM 的 F1 F1 of the HMM", f1["HMM"], 0.84, 0.88)
band("HMM 生词召回 recall of new words", recalls["HMM"][1], 0.55, 0.7)
band("词典生词召回 the same, dictionary", recalls["查词典 dictionary"][1], 0.0, 0.12)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **“从前的人工智能靠规则，大模型靠知识。”** 这是流行文章里常见的说法。看看这一课：没有一条语法规则，全是从文字里数出来的；而这些办法是 1913 年、1948 年、1967 年的。从数据里学，比大模型早得多。大模型也是数据驱动的，它知道什么，既不写在哪里，也没有人担保。
#
# **拿 $c(h)$ 当“$h$ 出现几次”。** 文字最后一个字后面没有字，它也算一次，概率加起来就不到一。$c(h)$ 是 $c(h w)$ 的和。看一看差在哪里：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **“AI used to be driven by rules, and large models are driven by knowledge.”** Popular articles like to say so. Look at this lesson: not a single rule of grammar, all of it counted from text, and the methods are from 1913, 1948 and 1967. Learning from data is far older than large models. They are driven by data too; what they know is written down nowhere, and nobody vouches for it.
#
# **Taking $c(h)$ for the number of times that $h$ occurs.** Nothing follows the last character of a text; if it counts all the same, the probabilities sum to less than one. $c(h)$ is the sum of $c(h w)$. See the difference:

# %% key="mistakes-run" tags=["nbval-check-output"]
text = "我爱北京我爱我"
pairs = Counter(pairwise(text))
for name, total in (
    ("出现的次数 occurrences", text.count("我")),
    ("后面有字的次数 followed", sum(n for (a, _), n in pairs.items() if a == "我")),
):
    shares = {b: round(n / total, 3) for (a, b), n in pairs.items() if a == "我"}
    print(f"{name}: {total},  p = {shares},  和 sum {sum(shares.values()):.3f}")

# %% [markdown] key="mistakes-more" lang="zh"
# **困惑度里混进 `<unk>`。** 把不认得的字都写成 `<unk>`，它就成了很好猜的一个，困惑度白白下降，词表越小降得越多。要么像 minillm 的 `scores` 那样补上比特，要么不比。
#
# **用测试部分挑 $k$、挑阶。** 挑一次，测试部分就成了验证部分。
#
# **以为 Viterbi 的路由每个字最可能的标签拼成。** 逐字取后验最大的，可能拼出 B 后面跟 S 这样不许走的路；整条路最可能和每一步最可能，是两个问题。
#
# ## 记住三句话
#
# 1. 次数的比就是最大似然；没见过的不等于不可能，所以要平滑，平滑多少由验证部分说了算。
# 2. 上文越长，记得越牢，见过得越少；Kneser-Ney 在短上文里问“跟过几种字”，不问“出现几次”。
# 3. Viterbi 每一格只留最好的一条路，把 $4^T$ 变成 $16\,T$；取最大换成相加，就得到每个标签的把握。
#
# ## 出处
#
# - A. A. Markov (1913). An Example of Statistical Investigation of the Text Eugene Onegin Concerning the Connection of Samples in Chains. 英译 Science in Context 19 (4), 2006, 591–600. 马尔可夫链的第一个例子是一首诗。
# - C. E. Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27, 379–423, 623–656. 一阶、二阶、三阶地写英文。
# - S. M. Katz (1987). Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech Recognizer. IEEE Transactions on Acoustics, Speech, and Signal Processing 35 (3), 400–401. 回退。
# - H. Ney, U. Essen, R. Kneser (1994). On Structuring Probabilistic Dependences in Stochastic Language Modelling. Computer Speech and Language 8 (1), 1–38. 绝对折扣，和 $D$ 的估计。
# - R. Kneser, H. Ney (1995). Improved Backing-off for M-gram Language Modeling. ICASSP 1995, 181–184. 接续的种类。
# - S. F. Chen, J. Goodman (1999). An Empirical Study of Smoothing Techniques for Language Modeling. Computer Speech and Language 13 (4), 359–394. 各种平滑放在一起比，插值的写法。
# - A. J. Viterbi (1967). Error Bounds for Convolutional Codes and an Asymptotically Optimum Decoding Algorithm. IEEE Transactions on Information Theory 13 (2), 260–269.
# - L. R. Rabiner (1989). A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition. Proceedings of the IEEE 77 (2), 257–286. 最好的入门。
# - N. Xue (2003). Chinese Word Segmentation as Character Tagging. Computational Linguistics and Chinese Language Processing 8 (1), 29–48. 给字贴标签来分词。
# %% [markdown] key="mistakes-more" lang="en"
# **A perplexity with `<unk>` in it.** Write every unknown character as `<unk>`, and it becomes one that is easy to guess: perplexity falls for nothing, and the smaller the vocabulary, the more. Charge the bits, as minillm's `scores` does, or do not compare.
#
# **Choosing $k$ or the order on the test part.** Choose once, and the test part has become a validation part.
#
# **Believing that Viterbi's path is made of each character's likeliest tag.** The largest posterior at each character may spell S after B, a move that is forbidden; the likeliest path and the likeliest at each step are two questions.
#
# ## Three sentences to keep
#
# 1. The ratio of counts is maximum likelihood; never seen does not mean impossible, hence smoothing, and how much of it is for the validation part to say.
# 2. The longer the context, the better it remembers and the less it has seen; in short contexts Kneser-Ney asks after how many kinds of character, and not how often.
# 3. Viterbi keeps one best path for each place and turns $4^T$ into $16\,T$; with sums in place of maxima it tells how sure each tag is.
#
# ## Sources
#
# - A. A. Markov (1913). An Example of Statistical Investigation of the Text Eugene Onegin Concerning the Connection of Samples in Chains. English in Science in Context 19 (4), 2006, 591–600. The first example of a Markov chain was a poem.
# - C. E. Shannon (1948). A Mathematical Theory of Communication. Bell System Technical Journal 27, 379–423, 623–656. English written at order one, two, three.
# - S. M. Katz (1987). Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech Recognizer. IEEE Transactions on Acoustics, Speech, and Signal Processing 35 (3), 400–401. Backing off.
# - H. Ney, U. Essen, R. Kneser (1994). On Structuring Probabilistic Dependences in Stochastic Language Modelling. Computer Speech and Language 8 (1), 1–38. Absolute discounting, and the estimate of $D$.
# - R. Kneser, H. Ney (1995). Improved Backing-off for M-gram Language Modeling. ICASSP 1995, 181–184. Kinds of continuation.
# - S. F. Chen, J. Goodman (1999). An Empirical Study of Smoothing Techniques for Language Modeling. Computer Speech and Language 13 (4), 359–394. Many kinds of smoothing compared, and the interpolated form.
# - A. J. Viterbi (1967). Error Bounds for Convolutional Codes and an Asymptotically Optimum Decoding Algorithm. IEEE Transactions on Information Theory 13 (2), 260–269.
# - L. R. Rabiner (1989). A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition. Proceedings of the IEEE 77 (2), 257–286. The best introduction.
# - N. Xue (2003). Chinese Word Segmentation as Character Tagging. Computational Linguistics and Chinese Language Processing 8 (1), 29–48. Segmentation by giving tags to characters.

# %% [markdown] key="ex-possible-taggings" lang="zh" exercise="possible_taggings"
# ### 练习 1　能拼成词的标签
#
# 一句话有 `length` 个字（至少一个），每个字贴 B、M、E、S 之一，一共 $4^T$ 种贴法。其中能拼成词的有几种？先想四个字的，写下来数一数，再找规律：每个空隙，断或不断。
# %% [markdown] key="ex-possible-taggings" lang="en" exercise="possible_taggings"
# ### Exercise 1: Tags that spell words
#
# A sentence has `length` characters (at least one), and each gets one of B, M, E, S: $4^T$ ways in all. How many of them spell words? Take four characters first, write them down and count; then find the rule: each gap is a cut or none.


# %% key="ex-possible-taggings-code" exercise="possible_taggings" kind="predict" difficulty=1 minutes=6 points=1
def possible_taggings(length: int) -> int:
    """How many rows of BMES tags for so many characters spell words."""
    ### BEGIN SOLUTION
    return 2 ** (length - 1)  # each gap between two characters is a border, or not
    ### END SOLUTION


# %% key="ex-possible-taggings-check" exercise="possible_taggings"
check(possible_taggings)

# %% [markdown] key="ex-add-k-bigram" lang="zh" exercise="add_k_bigram"
# ### 练习 2　加 k
#
# 写出加 k 平滑的二元概率 $p(b \mid a)$。`text` 是训练文字，`vocab_size` 是词表大小（可能比 `text` 里的字种多）。上文 `a` 可能一次也没出现过。
# %% [markdown] key="ex-add-k-bigram" lang="en" exercise="add_k_bigram"
# ### Exercise 2: Add k
#
# Write the bigram probability $p(b \mid a)$ with add-k smoothing. `text` is the training text and `vocab_size` the size of the vocabulary (which may hold more kinds than `text` does). The context `a` may never occur.


# %% key="ex-add-k-bigram-code" exercise="add_k_bigram" kind="implement" difficulty=2 minutes=10 points=1
def add_k_bigram(text: str, a: str, b: str, k: float, vocab_size: int) -> float:
    """p(b | a), with k added to the count of every pair."""
    ### BEGIN SOLUTION
    pairs = Counter(pairwise(text))
    context = sum(n for (first, _), n in pairs.items() if first == a)
    return (pairs[a, b] + k) / (context + k * vocab_size)
    ### END SOLUTION


# %% key="ex-add-k-bigram-check" exercise="add_k_bigram"
check(add_k_bigram)

# %% [markdown] key="ex-perplexity" lang="zh" exercise="perplexity"
# ### 练习 3　修好困惑度
#
# `probabilities` 是模型给一段文字里每个词元的概率。下面的函数算困惑度，有两处毛病：短文字的结果不对（若每个都是 1/4，该得 4）；文字一长又会出错。修好它。只要有一个概率是 0，困惑度就是 `math.inf`。
# %% [markdown] key="ex-perplexity" lang="en" exercise="perplexity"
# ### Exercise 3: Mend the perplexity
#
# `probabilities` holds what a model gave to each token of a text. The function below is to compute the perplexity, and has two faults: short texts come out wrong (if each probability is 1/4, it should say 4), and with a long one it breaks down. Mend it. If any probability is 0, the perplexity is `math.inf`.


# %% key="ex-perplexity-code" exercise="perplexity" kind="repair" difficulty=2 minutes=10 points=1
def perplexity(probabilities: list[float]) -> float:
    """Among how many equally likely tokens the model hesitates, on average."""
    ### BEGIN SOLUTION
    if min(probabilities) == 0:
        return math.inf
    nats = sum(-math.log(p) for p in probabilities)
    return math.exp(nats / len(probabilities))
    ### END SOLUTION
    ### BEGIN STUB
    # whole = math.prod(probabilities)
    # return 2 ** (-math.log(whole) / len(probabilities))
    ### END STUB


# %% key="ex-perplexity-check" exercise="perplexity"
check(perplexity)

# %% [markdown] key="ex-continuation-shares" lang="zh" exercise="continuation_shares"
# ### 练习 4　恋旧主的字
#
# 对 `text` 里每个前面有过字的字 $w$，算出 Kneser-Ney 的低阶概率 $N(\bullet\, w) / N(\bullet\,\bullet)$：它前面见过几种字，除以一共见过几种字对。返回字典。
# %% [markdown] key="ex-continuation-shares" lang="en" exercise="continuation_shares"
# ### Exercise 4: Faithful characters
#
# For each character $w$ of `text` that ever has one before it, compute the lower-order probability of Kneser-Ney, $N(\bullet\, w) / N(\bullet\,\bullet)$: how many kinds of character were seen before it, over how many kinds of pair were seen in all. Return a dict.


# %% key="ex-continuation-shares-code" exercise="continuation_shares" kind="implement" difficulty=2 minutes=10 points=2
def continuation_shares(text: str) -> dict[str, float]:
    """{character: kinds of character before it / kinds of pair}"""
    ### BEGIN SOLUTION
    kinds = set(pairwise(text))
    before = Counter(w for _, w in kinds)
    return {w: n / len(kinds) for w, n in before.items()}
    ### END SOLUTION


# %% key="ex-continuation-shares-check" exercise="continuation_shares"
check(continuation_shares)

# %% [markdown] key="ex-kneser-ney-bigram" lang="zh" exercise="kneser_ney_bigram"
# ### 练习 5　Kneser-Ney，二元
#
# 用折扣 `d` 写出插值的 Kneser-Ney 二元概率 $p(b \mid a)$，低阶就是练习 4 的 `continuation_shares`（没有的字算 0，不再往下分给 $1/V$）。要是 `a` 后面什么也没见过，全听低阶的。
# %% [markdown] key="ex-kneser-ney-bigram" lang="en" exercise="kneser_ney_bigram"
# ### Exercise 5: Kneser-Ney for pairs
#
# With the discount `d`, write the interpolated Kneser-Ney probability $p(b \mid a)$. The lower order is `continuation_shares` of exercise 4 (a character that is not in it counts 0, with no $1/V$ below). If nothing was ever seen after `a`, the lower order alone decides.


# %% key="ex-kneser-ney-bigram-code" exercise="kneser_ney_bigram" kind="implement" difficulty=4 minutes=15 points=2
def kneser_ney_bigram(text: str, a: str, b: str, d: float) -> float:
    """p(b | a): the discounted count, plus what was collected times the lower order."""
    ### BEGIN SOLUTION
    lower = continuation_shares(text).get(b, 0.0)
    after_a = Counter(w for h, w in pairwise(text) if h == a)
    total = after_a.total()
    if not total:
        return lower
    return max(after_a[b] - d, 0) / total + d * len(after_a) / total * lower
    ### END SOLUTION


# %% key="ex-kneser-ney-bigram-check" exercise="kneser_ney_bigram"
check(kneser_ney_bigram)

# %% [markdown] key="ex-sentence-log-likelihood" lang="zh" exercise="sentence_log_likelihood"
# ### 练习 6　所有的路，用对数
#
# 把 Viterbi 改成“所有的路相加”：返回 $\ln p(x)$，一句话的对数概率。四样输入都是对数：`start` (N,)，`move` (N, N) 从行到列，`stop` (N,)，`emit` (T, N)，里面可能有 `-inf`。句子可以有几千个字，所以不能先取指数再相加，要像第 05 课的 softmax 那样先减去最大的。一条路也走不通时返回 `-math.inf`，不要 `nan`，也不要警告。
# %% [markdown] key="ex-sentence-log-likelihood" lang="en" exercise="sentence_log_likelihood"
# ### Exercise 6: All paths, in logarithms
#
# Turn Viterbi into “all paths added up”: return $\ln p(x)$, the log-probability of a sentence. All four inputs are logarithms: `start` (N,), `move` (N, N) from row to column, `stop` (N,) and `emit` (T, N), with `-inf` here and there. A sentence may have thousands of characters, so do not exponentiate first and add afterwards; subtract the largest first, as the softmax of lesson 05 does. If no path is possible, return `-math.inf`, with no `nan` and no warning.


# %% key="ex-sentence-log-likelihood-code" exercise="sentence_log_likelihood" kind="extend" difficulty=4 minutes=20 points=3
def log_sum(values: np.ndarray) -> float:
    """ln of the sum of e**values; -inf if all are."""
    ### BEGIN SOLUTION
    top = values.max()
    if top == -math.inf:
        return -math.inf
    return float(top + np.log(np.exp(values - top).sum()))
    ### END SOLUTION


def sentence_log_likelihood(start: np.ndarray, move: np.ndarray, stop: np.ndarray, emit: np.ndarray) -> float:
    """ln of the summed probability of all paths.  start (N,), move (N, N), stop (N,), emit (T, N)"""
    ### BEGIN SOLUTION
    alpha = start + emit[0]
    for row in emit[1:]:
        alpha = np.array([log_sum(alpha + move[:, j]) for j in range(len(alpha))]) + row
    return log_sum(alpha + stop)
    ### END SOLUTION


# %% key="ex-sentence-log-likelihood-check" exercise="sentence_log_likelihood"
check(sentence_log_likelihood)
