# ---
# minillm:
#   title: {zh: "整个 GPT", en: "The whole GPT"}
#   question:
#     zh: "零件拼成了整个模型：训练之前，怎样知道它对不对、有多大、要算多少、占多少内存？"
#     en: "The parts make a whole model: before training it, how do you know that it is right, and what it will cost?"
#   minutes: 100
#   seconds: 50
#   needs: ["09"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("10")

# %% key="imports" both=true
import math
from collections import Counter

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.config import ModelConfig
from minillm.np import functional as F
from minillm.np.block import Block, make_head, make_norm
from minillm.np.embeddings import Embeddings
from minillm.np.gpt import GPT
from minillm.np.gradcheck import check_module
from minillm.np.param import Array, Cache, Module

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 零件都齐了：嵌入、注意力、多头、位置、前馈网络、归一化、残差、交叉熵。拼起来就是 GPT。可是怎样知道拼对了？
#
# 下面有两个 GPT，一样大，从同样的权重起步，学同样的八段开头，每段十六个字，取自课程自带的《槐树胡同读本》。其中一个，有一行写错了。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# All parts are here: embedding, attention, heads, positions, feed-forward network, normalisation, residual paths, cross-entropy. Put together they are a GPT. But how do you know that you have put them together right?
#
# Below are two GPTs of the same size, with the same weights to start from. Both learn the same eight beginnings of sixteen characters, from the reader that comes with the course. In one of them one line is wrong.

# %% key="problem-data" tags=["nbval-check-output"]
from minillm.data.corpora import load_corpus
from minillm.np.optim import AdamW
from minillm.text import train_tokenizer

corpus = load_corpus("reader")
tokenizer = train_tokenizer("char", corpus.train)
V = tokenizer.vocab_size
beginnings = [text[:16] for text in corpus.train if len(text) >= 16][:8]
ids = np.array([[tokenizer.eos_id, *tokenizer.encode(text)] for text in beginnings])
x, y = ids[:, :-1], ids[:, 1:]  # 输入，答案：下一个字 inputs, and answers: the next character

print("词表 vocabulary", V, "  输入 inputs", x.shape, "  答案 answers", y.shape)
print("第一段 the first:", beginnings[0].replace("\n", "｜"))


# %% key="problem-run"
def new_gpt(seed=0, **changes):
    shape = {"context": 16, "n_layer": 2, "n_head": 4, "d_model": 32} | changes
    return GPT(ModelConfig(V, **shape), rng=np.random.default_rng(seed))


def learn(model, batches, lr=6e-3):
    """One step of AdamW (lesson 11) for each batch. -> the losses"""
    optimiser = AdamW([{"params": list(model.named_parameters())}], lr=lr)
    losses = []
    for x, y in batches:
        logits, cache = model(x)
        loss, loss_cache = F.cross_entropy(logits, y)
        model.zero_grad()
        model.backward(F.cross_entropy_backward(1.0, loss_cache), cache)
        optimiser.step()
        losses.append(float(loss))
    return losses


first, second = new_gpt(), new_gpt()
for block in second.blocks:
    block.attn.causal = False  # 写错的那一行 the line that is wrong
losses_first, losses_second = (learn(model, [(x, y)] * 200) for model in (first, second))
print(f"甲 the first   {losses_first[-1]:.2f}")
print(f"乙 the second  {losses_second[-1]:.2f}")

# %% [markdown] key="problem-write" lang="zh"
# 甲的损失停在 0.14 上下，乙还要低十几倍，几乎是零。哪个更好？各给三个字，让它们接着写；再一个字一个字地问，问哪个字，就只给它前面的字：
# %% [markdown] key="problem-write" lang="en"
# The first stops at a loss of about 0.14. The second is more than ten times lower, nearly zero. Which is better? Give each the first three characters, and let it go on; then ask for the characters one by one, each with only those before it in sight:


# %% key="problem-write-run"
def recite(model, start, count):
    """Go on from the <eos> and `start`, always with the likeliest character."""
    written = [tokenizer.eos_id, *tokenizer.encode(start)]
    for _ in range(count):
        written.append(int(np.argmax(model.next_logits(np.array([written]))[0])))
    return tokenizer.decode(written[1:])


def asked_singly(model):
    """Mean loss when each character is asked for with only those before it in sight."""
    each = [model(x[:, : t + 1])[0][:, -1] for t in range(16)]
    return float(F.cross_entropy(np.stack(each, axis=1), y)[0])


for text in beginnings[1:3]:
    for name, model in {"原文 text  ": None, "甲 first  ": first, "乙 second ": second}.items():
        shown = recite(model, text[:3], 12) if model else text[:15]
        print(name, shown.replace("\n", "｜"))
    print()
single = asked_singly(first), asked_singly(second)
print("一个一个问，损失 asked one by one, the loss:  甲 first {:.2f}   乙 second {:.2f}".format(*single))

# %% [markdown] key="problem-after" lang="zh"
# 甲一字不差，乙写着写着就串到别的文章里去了；一个一个问，它的损失是甲的两倍多，刚才的 0.01 是抄来的。乙没有因果掩码：训练的时候，下一个字就摆在输入里，抄过来就行，损失当然低；到了自己写的时候，后面没有字可抄。没有一处报错，曲线还更漂亮。
#
# 所以损失低不等于模型对。这一课把模型拼起来，给它做四项体检，然后数清楚三笔账：多少参数，多少次运算，多少内存。三笔账都用公式算一遍，再量一遍。
# %% [markdown] key="problem-after" lang="en"
# The first has every character right; the second strays into other texts, and asked one by one its loss is more than twice that of the first: the 0.01 had been copied. It has no causal mask: in training the next character stands in the input and need only be copied, so of course the loss is low; when it writes by itself there is nothing to copy. There was no error anywhere, and its curve was the better-looking one.
#
# A low loss does not make a model right. In this lesson we put the model together, give it four examinations, and then do three accounts: how many parameters, how many operations, how much memory. Each is done by formula, and then measured.

# %% [markdown] key="formula" lang="zh"
# ## 一页纸的 GPT
#
# $$X_0 = E[\text{ids}] + P[0 \ldots T-1]$$
#
# $$X' = X_{l} + \mathrm{Attention}\big(\mathrm{LN}(X_{l})\big) \qquad X_{l+1} = X' + \mathrm{FFN}\big(\mathrm{LN}(X')\big) \qquad l = 0 \ldots L-1$$
#
# $$Z = \mathrm{LN}(X_L)\, E^\top \qquad \text{loss} = \text{mean}\big(-\ln \mathrm{softmax}(Z)_y\big)$$
#
# 三行：读进来，改 $L$ 遍，打分。
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | ids，$y$ | (B, T) | 编号 | 输入的字；答案，也就是每个字的下一个字 |
# | $E$ | (V, D) | 无 | 词元的嵌入，每种字一行；打分时再用一次 |
# | $P$ | (C, D) | 无 | 位置的嵌入，每个位置一行；C 是最长的长度，T 不超过它 |
# | $X_l$ | (B, T, D) | 无 | 残差流，过了 l 层 |
# | $Z$ | (B, T, V) | 无 | 每个位置给每种字的分数，logit |
#
# 开头用 $E$ 查表，末尾用同一个 $E$ 打分，叫**共享**的输出层。道理：末尾的向量和哪个字的嵌入方向相近，哪个字的分数就高。
#
# 先拿一个没有层的 GPT 用手算：三种字，两维，一个位置。
# %% [markdown] key="formula" lang="en"
# ## GPT on one page
#
# $$X_0 = E[\text{ids}] + P[0 \ldots T-1]$$
#
# $$X' = X_{l} + \mathrm{Attention}\big(\mathrm{LN}(X_{l})\big) \qquad X_{l+1} = X' + \mathrm{FFN}\big(\mathrm{LN}(X')\big) \qquad l = 0 \ldots L-1$$
#
# $$Z = \mathrm{LN}(X_L)\, E^\top \qquad \text{loss} = \text{mean}\big(-\ln \mathrm{softmax}(Z)_y\big)$$
#
# Three lines: read, revise $L$ times, score.
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | ids, $y$ | (B, T) | ids | the characters of the input; the answers, each character's successor |
# | $E$ | (V, D) | none | token embeddings, a row for each kind of character; used once more for scoring |
# | $P$ | (C, D) | none | position embeddings, a row for each place; C is the greatest length, T may not exceed it |
# | $X_l$ | (B, T, D) | none | the residual stream after l layers |
# | $Z$ | (B, T, V) | none | each position's score for each kind of character, the logits |
#
# $E$ is the table to look up at the start and the same $E$ scores at the end: the output layer is **tied** to it. The idea: if the last vector points the way of some character's embedding, that character gets a high score.
#
# First a GPT without layers, by hand: three kinds of character, two dimensions, one position.

# %% key="by-hand-run" tags=["nbval-check-output"]
E = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])  # 三种字 three kinds of character: 0, 1, 2
P = np.array([[2.0, 1.0]])

x0 = E[0] + P[0]  # 读进字 0 character 0 is read
normed = (x0 - x0.mean()) / x0.std()
z = normed @ E.T
p = np.exp(z) / np.exp(z).sum()
print("流 stream     ", x0)
print("归一化 normed ", normed)
print("分数 logits   ", z)
print("概率 p        ", p.round(3), "  答案是 2 answer 2: loss", round(-math.log(p[2]), 3))

# %% [markdown] key="trace" lang="zh"
# ## 跟着“我爱北京天安门”走一遍
#
# 两层，两个头，宽 8。每走一步，看看形状：
# %% [markdown] key="trace" lang="en"
# ## Follow 我爱北京天安门 all the way
#
# The sentence is “I love Tiananmen in Beijing”. Two layers, two heads, 8 wide. Look at the shape after each step:

# %% key="trace-run" tags=["nbval-check-output"]
sentence = "我爱北京天安门"
tiny = new_gpt(context=16, n_layer=2, n_head=2, d_model=8)


def report(name, array):
    print(f"{name:38} {array.shape}")


ids7 = np.array([tokenizer.encode(sentence)])
report("ids", ids7)
stream = tiny.emb.tok.weight.data[ids7] + tiny.emb.pos.weight.data[:7]
report("E[ids] + P[:7]", stream)
for i, block in enumerate(tiny.blocks):
    normed, _ = block.norm1(stream)
    if i == 0:
        qkv, _ = block.attn.in_proj(normed)
        report("block 0  q, k, v together", qkv)
        q, k, v = block.attn.split(qkv, 2, 2, 2)
        report("         q of each head", q)
        report("         scores q kᵀ", q @ k.swapaxes(-1, -2))
    stream = stream + block.attn(normed)[0]
    report(f"block {i}  stream + attention", stream)
    normed, _ = block.norm2(stream)
    if i == 0:
        report("         FFN, widened", block.ffn.linear1(normed)[0])
    stream = stream + block.ffn(normed)[0]
    report(f"block {i}  stream + FFN", stream)
logits = tiny.norm(stream)[0] @ tiny.emb.tok.weight.data.T
report("LN(stream) Eᵀ = logits", logits)
assert np.allclose(logits, tiny(ids7)[0], atol=1e-6)

# %% [markdown] key="trace-after" lang="zh"
# 流从头到尾都是 (1, 7, 8)：一句话，七个位置，每个位置八个数。分支里怎么变宽、怎么分头，出来总是这个形状，不然加不上去。最后一步才变成 1,385 个分数，七个位置一起：**一句七个字的话，就是七道题**。
#
# ## 拼起来
#
# `Embeddings`、`Block`、`make_norm` 都是前几课写过、查过的。剩下的只有接线：
# %% [markdown] key="trace-after" lang="en"
# The stream is (1, 7, 8) from end to end: one sentence, seven positions, eight numbers each. However a branch widens or splits into heads, it comes back in this shape, or it could not be added. Only the last step makes 1,385 scores of it, at all seven positions: **a sentence of seven characters is seven questions**.
#
# ## Put together
#
# `Embeddings`, `Block` and `make_norm` were written and checked in earlier lessons. What is left is wiring:


# %% key="ours"
class OurGPT(Module):
    """ids (B, T) -> logits (B, T, V)"""

    def __init__(self, config, rng, dtype=np.float32):
        self.emb = Embeddings(config, rng=rng, dtype=dtype)
        self.blocks = [Block(config, causal=True, rng=rng, dtype=dtype) for _ in range(config.n_layer)]
        self.norm = make_norm(config, dtype)

    def forward(self, ids):
        x, emb_cache = self.emb(ids)
        block_caches = []
        for block in self.blocks:
            x, cache = block(x)
            block_caches.append(cache)
        x, norm_cache = self.norm(x)
        logits, head_cache = F.linear(x, self.emb.tok.weight.data)
        return logits, (emb_cache, block_caches, norm_cache, head_cache)

    def backward(self, dlogits, cache):
        emb_cache, block_caches, norm_cache, head_cache = cache
        dx, dtable, _ = F.linear_backward(dlogits, head_cache)
        self.emb.tok.weight.accumulate(dtable)  # 共享的表，第一份梯度 the tied table's first gradient
        dx = self.norm.backward(dx, norm_cache)
        for block, cache in zip(self.blocks[::-1], block_caches[::-1], strict=True):
            dx = block.backward(dx, cache)
        self.emb.backward(dx, emb_cache)  # 第二份，加上去 the second is added


# %% [markdown] key="loops" lang="zh"
# 为什么七道题可以一起做？笨办法是一道一道来：只给“我”，看它猜什么；再给“我爱”；再给“我爱北”。因果掩码保证后面的字不影响前面，所以一次算完应当和一道一道算**一样**。这就是循环的写法和向量化的写法，再和 minillm 的 `GPT` 比：
# %% [markdown] key="loops" lang="en"
# Why can seven questions be answered together? The slow way is one by one: give it 我 alone and see what it guesses; then 我爱; then 我爱北. The causal mask sees to it that later characters do not touch earlier ones, so all at once should give **the same** as one by one. Here are the way with a loop, the vectorised way, and minillm's `GPT`:

# %% key="loops-run" tags=["nbval-check-output"]
narrow = ModelConfig(V, context=16, n_layer=2, n_head=2, d_model=8)
ours = OurGPT(narrow, np.random.default_rng(0), dtype=float)
theirs = GPT(narrow, rng=np.random.default_rng(0), dtype=float)

one_by_one = [ours(ids7[:, :end])[0][0, -1] for end in range(1, 8)]
at_once = ours(ids7)[0][0]
assert np.allclose(one_by_one, at_once, rtol=1e-10, atol=1e-12)
assert np.allclose(at_once, theirs(ids7)[0][0], rtol=1e-10, atol=1e-12)
print("一道一道、一次算完、minillm，三者相等 one by one, all at once and minillm agree")

# %% [markdown] key="listing" lang="zh"
# minillm 的 `GPT` 比我们的多三样：dropout（第 11 课），生成时的缓存（第 12 课），以及可选的、不共享的输出层（`make_head`）。
# %% [markdown] key="listing" lang="en"
# minillm's `GPT` has three things that ours has not: dropout (lesson 11), a cache for generation (lesson 12), and, if wanted, an output layer of its own (`make_head`).

# %% key="listing-gpt"
from typing import Any

from minillm.np.attention import KVCache
from minillm.np.layers import Dropout, Linear
from minillm.np.lm import LanguageModel


from minillm.np.gpt import GPT  # paste

# %% [markdown] key="first-loss" lang="zh"
# ## 体检一：第一次的损失
#
# 还没训练的模型，对 $V$ 种字应当一视同仁，损失大约是 $\ln V$（第 05 课）。差多少算正常？算一算。
#
# 末端归一化以后，每个位置的 D 个数均方为 1。设输出那张表的每一项独立，平均为 0，标准差为 $\sigma$，那么一个分数是 D 项之和：
#
# $$z_i = \sum_{d=1}^{D} \hat x_d\, E_{id} \qquad \mathrm{Var}(z_i) = \sigma^2 \sum_d \hat x_d^2 = \sigma^2 D$$
#
# 记 $s^2 = \sigma^2 D$。权重取自正态分布，分数就也是正态的，$e^{z}$ 的平均可以配方求出来，因为 $z - \frac{z^2}{2s^2} = \frac{s^2}{2} - \frac{(z - s^2)^2}{2s^2}$：
#
# $$\frac{1}{s\sqrt{2\pi}} \int e^{z}\, e^{-z^2/(2s^2)}\, dz = e^{s^2/2}\, \frac{1}{s\sqrt{2\pi}} \int e^{-(z - s^2)^2/(2s^2)}\, dz = e^{s^2/2}$$
#
# $V$ 项加起来大约是 $V e^{s^2/2}$。答案是哪个字与分数无关，它的分数平均是零。于是
#
# $$\text{loss} = \ln \sum_i e^{z_i} - z_y \approx \ln V + \frac{\sigma^2 D}{2}$$
#
# $\sigma = 0.02$ 时多出来的可以不计。起步太大呢？把所有矩阵放大，量一量。输出层共享的和不共享的都量，答案是随机的字：
# %% [markdown] key="first-loss" lang="en"
# ## Examination one: the first loss
#
# An untrained model should treat all $V$ kinds of character alike, and its loss should be about $\ln V$ (lesson 05). How far off is still normal? Work it out.
#
# After the last normalisation the D numbers of a position have a mean square of 1. Let the entries of the output table be independent, with mean 0 and standard deviation $\sigma$; a score is then a sum of D terms:
#
# $$z_i = \sum_{d=1}^{D} \hat x_d\, E_{id} \qquad \mathrm{Var}(z_i) = \sigma^2 \sum_d \hat x_d^2 = \sigma^2 D$$
#
# Write $s^2 = \sigma^2 D$. Weights are drawn from a normal distribution, so the scores are normal too, and the mean of $e^{z}$ is found by completing the square, for $z - \frac{z^2}{2s^2} = \frac{s^2}{2} - \frac{(z - s^2)^2}{2s^2}$:
#
# $$\frac{1}{s\sqrt{2\pi}} \int e^{z}\, e^{-z^2/(2s^2)}\, dz = e^{s^2/2}\, \frac{1}{s\sqrt{2\pi}} \int e^{-(z - s^2)^2/(2s^2)}\, dz = e^{s^2/2}$$
#
# $V$ of them add up to about $V e^{s^2/2}$. Which character is the answer has nothing to do with the scores, so its score is zero on average. Hence
#
# $$\text{loss} = \ln \sum_i e^{z_i} - z_y \approx \ln V + \frac{\sigma^2 D}{2}$$
#
# With $\sigma = 0.02$ the surplus is nothing to speak of. And with a larger start? Enlarge all matrices and measure, with the tied output layer and with one of its own; the answers are random characters:


# %% key="first-loss-run" tags=["nbval-check-output"]
def first_loss(std, tied=True, seed=0):
    """-> first loss; how often the likeliest character is the one just read"""
    model, rng = new_gpt(seed, tied=tied), np.random.default_rng(seed)
    for p in model.parameters():
        if p.data.ndim == 2:
            p.data *= std / 0.02
    inputs, answers = rng.integers(V, size=(2, 64, 16))
    logits = model(inputs)[0]
    return float(F.cross_entropy(logits, answers)[0]), float((logits.argmax(axis=-1) == inputs).mean())


stds = [0.02, 0.1, 0.2, 0.3, 0.5, 1.0]
first_losses = {tied: [first_loss(std, tied) for std in stds] for tied in (False, True)}
print(f"ln V = {math.log(V):.3f}   （括号里：首选是刚读的字 in brackets: it would repeat）")
for std, (own, own_again), (tied, tied_again) in zip(stds, *first_losses.values(), strict=True):
    predicted = math.log(V) + std**2 * 32 / 2
    print(f"σ = {std:.2f}  公式 formula {predicted:6.3f}", end="  ")
    print(f"不共享 own {own:6.3f} ({own_again:.0%})  共享 tied {tied:6.3f} ({tied_again:.0%})")

# %% [markdown] key="first-loss-after" lang="zh"
# 不共享的那一列跟着公式走，直到 $\sigma = 0.5$；再大，分数里最大的一个就独占了总和，公式不再适用。共享的那一列，损失差不多，括号里的数却不同：起步小，各层改动也小，流里留着的主要是输入那个字自己的嵌入，它和自己的点积最大，所以没训练的模型偏爱把刚读的字**再说一遍**。那时分数的差别很小，这点偏心不要紧；记着它，下面有用。
#
# 规矩：第一次的损失应当和 $\ln V$ 差不了百分之几。高出许多，起步太大。低出许多，答案漏进了输入，或者答案就是输入。
#
# ## 体检二：反向和梯度检查
#
# 反向就是把前向倒过来走：打分、末端的归一化、从最后一层到第一层、嵌入。每一站怎么走，前几课都推过了。新的只有一处：$E$ 用了**两次**。
#
# 用 $E^{\text{out}}$ 和 $E^{\text{in}}$ 表示两处用法，设 $\hat X$ 是归一化以后的流，$[\text{ids} = i]$ 表示这个位置读的是不是字 $i$。把 $E$ 动一点，损失从两条路变，链式法则说：各条路相加。
#
# $$dE_i = dE_i^{\text{out}} + dE_i^{\text{in}} = \sum_{b,t} dZ_{bti}\, \hat X_{bt} + \sum_{b,t} [\text{ids}_{bt} = i]\, dX_{0,bt}$$
#
# 第一项每个字都有份：不是答案的字也要被压低。第二项只有读到过的字才有。位置 $P$ 只有一条路，对批次里的句子求和：$dP_t = \sum_b dX_{0,bt}$。
# %% [markdown] key="first-loss-after" lang="en"
# The column of the output layer of its own follows the formula up to $\sigma = 0.5$; beyond that the largest score has the sum to itself, and the formula no longer applies. The losses of the tied one are much the same, but the numbers in brackets are not: after a small start the layers change little, and what the stream holds is mostly the embedding of the very character that was read, whose dot product with itself is the largest. So the untrained model prefers to say what it has just read **once more**. Scores hardly differ at that point, and the bias does no harm; keep it in mind for what follows.
#
# The rule: the first loss should be within a few percent of $\ln V$. Much above, and the start is too large. Much below, and the answers have leaked into the input, or the answers are the input.
#
# ## Examination two: backward and the gradient check
#
# Backward walks the forward in reverse: the scores, the last normalisation, the layers from last to first, the embedding. Each station was derived in earlier lessons. There is one new thing: $E$ is used **twice**.
#
# Let $E^{\text{out}}$ and $E^{\text{in}}$ stand for its two uses, $\hat X$ for the normalised stream, and $[\text{ids} = i]$ for whether character $i$ was read at a position. Move $E$ a little, and the loss changes by two ways; the chain rule says that ways add.
#
# $$dE_i = dE_i^{\text{out}} + dE_i^{\text{in}} = \sum_{b,t} dZ_{bti}\, \hat X_{bt} + \sum_{b,t} [\text{ids}_{bt} = i]\, dX_{0,bt}$$
#
# Every character has a part in the first term: those that were not the answer are to be pressed down. Only characters that were read are in the second. The positions $P$ have one way only, summed over the sentences of the batch: $dP_t = \sum_b dX_{0,bt}$.

# %% key="tied-run" tags=["nbval-check-output"]
model = OurGPT(narrow, np.random.default_rng(0), dtype=float)
logits, cache = model(x)
loss, loss_cache = F.cross_entropy(logits, y)
dlogits = F.cross_entropy_backward(1.0, loss_cache)
model.backward(dlogits, cache)

table_grad, place_grad = (layer.weight.grad.copy() for layer in (model.emb.tok, model.emb.pos))

emb_cache, block_caches, norm_cache, (hidden, table, _) = cache  # 照公式再走一遍 walk again, by the formulas
d_out = dlogits.reshape(-1, V).T @ hidden.reshape(-1, 8)
dx = model.norm.backward(dlogits @ table, norm_cache)
for block, block_cache in zip(model.blocks[::-1], block_caches[::-1], strict=True):
    dx = block.backward(dx, block_cache)
d_in = np.zeros_like(d_out)
np.add.at(d_in, x, dx)
assert np.allclose(d_out + d_in, table_grad, rtol=1e-10, atol=1e-15)
assert np.allclose(dx.sum(axis=0), place_grad, rtol=1e-10, atol=1e-15)

rows = {name: (np.abs(d).max(axis=1) > 1e-15).sum() for name, d in (("out", d_out), ("in", d_in))}
print(f"打分那份 scoring:  {rows['out']} 行非零 rows not zero, of {V}")
print(f"查表那份 look-up:  {rows['in']} 行非零 rows not zero;   读到的字 characters read: {len(np.unique(x))}")
print("两份加起来就是 E 的梯度 the two add up to the gradient of E")

# %% [markdown] key="gradcheck" lang="zh"
# 再查全部梯度。`check_module` 给模型随机的权重、随机的上游梯度，把每个参数挪一挪，比较斜率。模型要小，用 float64：
# %% [markdown] key="gradcheck" lang="en"
# Now check all gradients. `check_module` gives the model random weights and a random upstream gradient, moves every parameter in turn, and compares slopes. The model is small, in float64:

# %% key="gradcheck-run" tags=["nbval-check-output"]
small = ModelConfig(7, context=5, n_layer=2, n_head=2, d_model=8)
some_ids = np.array([[1, 5, 2, 5, 6], [0, 3, 3, 1, 2]])  # 有重复的字 some characters occur twice
worst = check_module(OurGPT(small, np.random.default_rng(0), float), some_ids, rng=np.random.default_rng(1))
assert worst.error < 1e-6, worst
print(f"{worst.entries} 个梯度都对 gradients are right")

# %% [markdown] key="future" lang="zh"
# ## 体检三：改动未来
#
# 梯度检查查不出没有掩码：那是一个错误函数的**正确**梯度。要查有没有偷看，就直接问：把最后一个字换掉，前面各处的分数变不变？
# %% [markdown] key="future" lang="en"
# ## Examination three: change the future
#
# A gradient check cannot find a missing mask: that is the **right** gradient of a wrong function. To find out about peeping, ask directly: when the last character is replaced, do the scores before it change?


# %% key="future-run" tags=["nbval-check-output"]
def peeps(model, ids):
    """Do logits depend on what comes after them?"""
    before = model(ids)[0]
    for t in range(1, ids.shape[1]):
        changed = ids.copy()
        changed[:, t] = (changed[:, t] + 1) % V
        if np.abs(model(changed)[0][:, :t] - before[:, :t]).max() > 1e-5:
            return True
    return False


print("甲偷看 the first peeps:", peeps(first, x))
print("乙偷看 the second peeps:", peeps(second, x))

# %% [markdown] key="overfit" lang="zh"
# ## 体检四：背下一批
#
# 训练之前最值得做的一项：拿**一批**数据，反复学，看它背不背得下来。一批只有 128 个字，模型有七万个参数，背不下来就一定有毛病。几秒钟就有结果；真的训练要几个小时才露馅。
#
# 常听说“损失要降到零”。对语言模型，这话不对。八段都从 `<eos>` 起头，而只看 `<eos>`，谁也说不出是哪一段：第一个字最好也只能各给八分之一，损失 $\ln 8$。不偷看的模型有一个**底**，数一数就知道：位置 $t$ 的答案只能由前面的字决定，前面相同而答案不同，就只好按次数分（第 05 课：$p$ 等于份额 $q$ 的时候损失最小，那时它就是 $q$ 的熵）。设 $n(s)$ 是前文 $s$ 出现的次数，$n(s, a)$ 是其中答案为 $a$ 的次数：
#
# $$\text{floor} = -\frac{1}{BT} \sum_{s,a} n(s,a) \ln \frac{n(s,a)}{n(s)}$$
# %% [markdown] key="overfit" lang="en"
# ## Examination four: learn one batch by heart
#
# The most rewarding thing to do before training: take **one** batch, learn it again and again, and see whether the model gets it by heart. The batch has 128 characters and the model seventy thousand parameters; if it cannot, something is wrong. It takes seconds, where real training takes hours to show the fault.
#
# One often hears that the loss should go to zero. For a language model that is not so. All eight begin with `<eos>`, and from `<eos>` alone nobody can tell which of them it will be: the best that can be done for the first character is an eighth for each, a loss of $\ln 8$. A model that does not peep has a **floor**, and counting finds it: at position $t$ only the characters before can decide the answer, and where these are equal and the answers differ, it has to share by frequency (lesson 05: the loss is least when $p$ equals the shares $q$, and is then the entropy of $q$). Let $n(s)$ be how often a past $s$ occurs, and $n(s, a)$ how often with the answer $a$:
#
# $$\text{floor} = -\frac{1}{BT} \sum_{s,a} n(s,a) \ln \frac{n(s,a)}{n(s)}$$


# %% key="floor-run" tags=["nbval-check-output"]
def honest_floor(x, y):
    """The lowest mean loss on this batch without looking ahead, in nats."""
    pasts, pairs = Counter(), Counter()
    for row, answers in zip(x.tolist(), y.tolist(), strict=True):
        for t, answer in enumerate(answers):
            past = tuple(row[: t + 1])
            pasts[past] += 1
            pairs[past, answer] += 1
    return -sum(n * math.log(n / pasts[past]) for (past, _), n in pairs.items()) / x.size


floor = honest_floor(x, y)
print(f"底 floor {floor:.4f}   ln 8 / 16 = {math.log(8) / 16:.4f}")

# %% [markdown] key="bugs" lang="zh"
# 开头的甲停在 0.14，正是踩着这个底；乙穿了底，那是偷看的铁证。于是这项体检有三种结果：**踩底**，合格；**停在上面**，学不动；**穿底**，答案漏了。
#
# 现在故意放进七种常见的错，每种都做四项体检，看哪一项抓得住哪一种。
# %% [markdown] key="bugs" lang="en"
# The first model stopped at 0.14, right on this floor; the second went through it, and that proves that it peeped. So the examination has three outcomes: **on the floor**, passed; **stuck above**, it cannot learn; **through the floor**, the answers leak.
#
# Now put in seven common mistakes on purpose, give each the four examinations, and see which one catches what.


# %% key="bugs-defined"
class LostBranch(Block):
    """The feed-forward branch hands no gradient back to the stream."""

    def backward(self, dx, cache):
        n1_cache, a_cache, _, _, n2_cache, f_cache, _ = cache
        self.norm2.backward(self.ffn.backward(dx, f_cache), n2_cache)  # 忘了加 not added
        return dx + self.norm1.backward(self.attn.backward(dx, a_cache), n1_cache)


class LostRoad(Block):
    """The residual path hands no gradient back."""

    def backward(self, dx, cache):
        n1_cache, a_cache, _, _, n2_cache, f_cache, _ = cache
        dx = self.norm2.backward(self.ffn.backward(dx, f_cache), n2_cache)  # 没有 dx + without dx +
        return self.norm1.backward(self.attn.backward(dx, a_cache), n1_cache)


class Hoarder(GPT):
    def zero_grad(self):
        """Gradients of all steps pile up."""


class NoAttention(Block):
    """Attention's result is never added: every position thinks alone."""

    def forward(self, x, **options):
        f, cache = self.ffn(self.norm2(x)[0])
        return x + f, (self.norm2(x)[1], cache)

    def backward(self, dx, cache):
        return dx + self.norm2.backward(self.ffn.backward(dx, cache[1]), cache[0])


BUGS = {
    "没有错 nothing wrong": {},
    "没有掩码 no causal mask": {"causal": False},
    "答案没有挪 answers not shifted": {"answers": x},
    "丢了一支的梯度 a branch's gradient lost": {"block": LostBranch},
    "丢了残差的梯度 residual gradient lost": {"block": LostRoad},
    "没接上注意力 attention not added": {"block": NoAttention},
    "梯度不清零 gradients not zeroed": {"model": Hoarder},
    "起步太大 start too large, σ = 1": {"std": 1.0},
}


# %% key="bugs-run"
def build(bug, config, seed=0, dtype=np.float32):
    model = bug.get("model", GPT)(config, rng=np.random.default_rng(seed), dtype=dtype)
    for block in model.blocks:
        block.__class__ = bug.get("block", Block)
        block.attn.causal = bug.get("causal", True)
    for p in model.parameters():
        if p.data.ndim == 2:
            p.data *= bug.get("std", 0.02) / 0.02
    return model


def examine(bug, seed=0):
    """-> passed or not, four times; the losses of the last examination"""
    model = build(bug, ModelConfig(V, context=16, n_layer=2, n_head=4, d_model=32), seed)
    quiet = not peeps(model, x)
    toy = build(bug, small, seed, dtype=float)
    slopes = check_module(toy, some_ids, rng=np.random.default_rng(seed), samples=6).error < 1e-5
    losses = learn(model, [(x, bug.get("answers", y))] * 200)
    near = abs(losses[0] / math.log(V) - 1) < 0.05
    return (near, slopes, quiet, 0.95 < losses[-1] / floor < 1.25), losses


found = {name: examine(bug) for name, bug in BUGS.items()}
print("第一损失  梯度  未来  背一批   first loss, gradients, future, one batch")
for name, (passed, losses) in found.items():
    marks = "      ".join("✓" if good else "✗" for good in passed)
    print(f"   {marks}     {losses[-1]:6.3f}  {name}")

# %% key="bugs-picture"
ax = viz.new_axes(7.5, 4)
colours = ("0.1", "#D55E00", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#CC79A7", "0.65")
for (name, (_, losses)), colour in zip(found.items(), colours, strict=True):
    ax.semilogy(losses, color=colour, label=name, linewidth=2.2 if name == "没有错 nothing wrong" else 1.2)
ax.axhline(floor, color="0.3", linestyle="--", linewidth=1, label="底 floor")
ax.axhline(math.log(V), color="0.6", linestyle=":", linewidth=1, label="ln V")
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特） loss (nats)")
ax.grid(alpha=0.25)
ax.legend(fontsize=7.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
viz.show(ax, alt="背一批：踩底、停在上面、穿底 learning one batch: on the floor, stuck above, through the floor")

# %% [markdown] key="bugs-after" lang="zh"
# 一行一行读这张表。
#
# **没有因果掩码**：第一次的损失正常，梯度全对，只有“改动未来”和“穿底”抓住它。
#
# **答案没有挪**，让模型把输入原样再说一遍：损失一路降到零，看上去再好不过。它第一次的损失就低了百分之六（没训练的模型本来就爱重复），容易当成运气；铁证是穿底。要是没有算过底，只问“降没降到零”，这两种错的成绩比没有错的还好。
#
# **丢了一支的梯度**：背一批照样踩底。第一层收到的梯度是错的，优化器靠别的路补了回来，在这一批上一点也看不出；模型大了、题目难了会怎样，谁也不敢保证。只有梯度检查抓得住它。
#
# **丢了残差的梯度**：也是梯度检查抓住的，背一批也停在了上面，因为靠前的参数几乎没有方向可走。
#
# **没接上注意力**：每个位置只看自己的字和位置。损失低得像样，可停在底的上面，因为同一个位置上同一个字后面，各段的答案不同。这一项只有“背一批”发现。
#
# **梯度不清零**在训练循环里，模型本身没有错，前三项当然查不出来。**起步太大**，在这样小的一批上训练过一阵自己会好，只有第一次的损失看得出。
#
# 没有哪一项抓得住全部；四项合起来，一种也没漏。加起来不过几秒钟。
# %% [markdown] key="bugs-after" lang="en"
# Read the table line by line.
#
# **No causal mask**: the first loss is normal, all gradients are right; only “change the future” and “through the floor” catch it.
#
# **Answers not shifted**, so that the model repeats its input: the loss goes all the way to zero, and nothing could look better. The first loss is six percent low (an untrained model likes to repeat anyway), which one might put down to luck; the proof is that it goes through the floor. Had we not computed the floor and only asked whether the loss goes to zero, both of these would have had better marks than the model without a fault.
#
# **A branch's gradient lost**: it reaches the floor all the same. What arrives at the first layer is wrong, but the optimiser makes up for it by other ways, and on this batch nothing shows; what happens to a larger model on a harder task nobody can promise. Only the gradient check catches it.
#
# **Residual gradient lost**: the gradient check catches it too, and it is stuck above the floor as well, since the earlier parameters are hardly told where to go.
#
# **Attention not added**: each position sees its own character and place only. The loss looks respectable, but stays above the floor, because the same character at the same place has different successors in different texts. Only “one batch” finds this one.
#
# **Gradients not zeroed** is in the training loop and not in the model, so the first three cannot find it. **A start too large** mends itself on so small a batch after a while of training; only the first loss gives it away.
#
# No examination catches everything; the four together miss none. And all of them take seconds.

# %% [markdown] key="parameters" lang="zh"
# ## 第一笔账：参数
#
# | 在哪里 | 个数 |
# |---|---|
# | 词元的嵌入 $E$（打分共用，不另算） | $VD$ |
# | 位置的嵌入 $P$ | $CD$ |
# | 每层的注意力：查询、键、值、输出四个矩阵，各带偏置 | $4D^2 + 4D$ |
# | 每层的前馈网络：$D \to 4D \to D$ | $8D^2 + 5D$ |
# | 每层的两道归一化：$w$ 和 $b$ | $4D$ |
# | 末端的归一化 | $2D$ |
#
# 加起来：
#
# $$N = VD + CD + L\,(12 D^2 + 13 D) + 2D$$
#
# 头数 $H$ 不在里面：把 $D$ 分成几份，矩阵还是那么大。句子的长度 $T$ 也不在里面，只有位置表的 $C$。随便造十个模型，一个参数也不许差：
# %% [markdown] key="parameters" lang="en"
# ## The first account: parameters
#
# | where | how many |
# |---|---|
# | token embeddings $E$ (shared with the scoring, not counted again) | $VD$ |
# | position embeddings $P$ | $CD$ |
# | attention, a layer: four matrices, query, key, value, output, with biases | $4D^2 + 4D$ |
# | feed-forward network, a layer: $D \to 4D \to D$ | $8D^2 + 5D$ |
# | two normalisations, a layer: $w$ and $b$ | $4D$ |
# | the last normalisation | $2D$ |
#
# Together:
#
# $$N = VD + CD + L\,(12 D^2 + 13 D) + 2D$$
#
# The number of heads $H$ is not in it: into however many parts $D$ is cut, the matrices stay as large. Nor is the length $T$ of a sentence, only the $C$ of the position table. Build ten models of any shape; not one parameter may be missing:


# %% key="parameters-run" tags=["nbval-check-output"]
def parameter_parts(vocab, context, layers, width):
    return {
        "词元 tokens": vocab * width,
        "位置 positions": context * width,
        "注意力 attention": layers * (4 * width**2 + 4 * width),
        "前馈 FFN": layers * (8 * width**2 + 5 * width),
        "归一化 norms": layers * 4 * width + 2 * width,
    }


rng = np.random.default_rng(0)
for _ in range(10):
    vocab, context, layers, heads, size = (int(n) for n in rng.integers(1, 9, size=5) * (50, 16, 1, 1, 4))
    config = ModelConfig(vocab, context=context, n_layer=layers, n_head=heads, d_model=heads * size)
    built = GPT(config, rng=rng).num_parameters()
    assert built == sum(parameter_parts(vocab, context, layers, heads * size).values())
print("十个模型，一个参数不差 ten models, not a parameter amiss")
print(
    "开头的甲 the first model of this lesson:", first.num_parameters(), "=", sum(parameter_parts(V, 16, 2, 32).values())
)

# %% [markdown] key="published" lang="zh"
# 同一个公式算公开的模型。GPT-2 有四种大小，词表 50,257，长度 1,024；GPT-3 有八种，长度 2,048，层数和宽度抄自论文的表 2.1，右边是论文说的大小：
# %% [markdown] key="published" lang="en"
# The same formula for published models. GPT-2 comes in four sizes, with a vocabulary of 50,257 and a length of 1,024; GPT-3 in eight, of length 2,048. Layers and widths of GPT-3 are from table 2.1 of its paper, and so is the size on the right:

# %% key="published-run" tags=["nbval-check-output"]
PUBLISHED = {  # 名字: 层数，宽度，头数，长度，论文里的大小（百万） name: layers, width, heads, length, millions in the paper
    "GPT-2 small": (12, 768, 12, 1024, 117),
    "GPT-2 medium": (24, 1024, 16, 1024, 345),
    "GPT-2 large": (36, 1280, 20, 1024, 762),
    "GPT-2 XL": (48, 1600, 25, 1024, 1542),
    "GPT-3 Small": (12, 768, 12, 2048, 125),
    "GPT-3 Medium": (24, 1024, 16, 2048, 350),
    "GPT-3 Large": (24, 1536, 16, 2048, 760),
    "GPT-3 XL": (24, 2048, 24, 2048, 1300),
    "GPT-3 2.7B": (32, 2560, 32, 2048, 2700),
    "GPT-3 6.7B": (32, 4096, 32, 2048, 6700),
    "GPT-3 13B": (40, 5140, 40, 2048, 13000),
    "GPT-3 175B": (96, 12288, 96, 2048, 175000),
}
counted = {}
for name, (layers, width, _, length, claimed) in PUBLISHED.items():
    counted[name] = sum(parameter_parts(50257, length, layers, width).values())
    print(f"{name:12}  L {layers:2d}  D {width:5d}  {counted[name]:15,d}   论文 paper {claimed:7,d} M")

# %% [markdown] key="published-after" lang="zh"
# 124,439,808，这就是大家说的 GPT-2 124M；其余三个是 355M、774M、1558M。GPT-2 的论文印的却是 117M、345M、762M、1542M。公式和论文不一样，是谁错了？是论文。作者后来在代码的说明里更正：原先的数算错了。
#
# GPT-3 的八行都对得上，只有一处可疑。13B 那一行，表 2.1 写宽度 5,140，又写 40 个头、每个头宽 128；可是 $40 \times 128 = 5120$，而 5,140 分不成 40 个头。附录的表 D.1 说它有 12,850M 个参数，用 5,120 算算看：
# %% [markdown] key="published-after" lang="en"
# 124,439,808: that is the GPT-2 124M that everybody speaks of, and the other three are 355M, 774M and 1558M. The GPT-2 paper, however, prints 117M, 345M, 762M and 1542M. Formula and paper differ; which is wrong? The paper. Its authors said so later, in the notes that come with the code: the original counts were in error.
#
# The eight rows of GPT-3 fit, but one is suspicious. For 13B, table 2.1 says a width of 5,140, and also 40 heads of 128 each; but $40 \times 128 = 5120$, and 5,140 does not divide into 40 heads. Table D.1, in the appendix, says that it has 12,850M parameters. Try 5,120:

# %% key="misprint-run" tags=["nbval-check-output"]
for width in (5140, 5120):
    millions = sum(parameter_parts(50257, 2048, 40, width).values()) / 1e6
    print(f"D = {width}: {millions:,.0f} M")

# %% [markdown] key="where-parameters" lang="zh"
# 5,120 是对的，5,140 多半是笔误。会数参数，连论文里的笔误也看得出来。
#
# 参数都坐在哪里？有一种常见的说法：自注意力让参数变得很多。看看各部分的份额：
# %% [markdown] key="where-parameters" lang="en"
# 5,120 is right, and 5,140 probably a misprint. Who can count parameters can even spot a misprint in a paper.
#
# Where do the parameters sit? It is often said that self-attention makes them so many. Look at the shares:

# %% key="where-parameters-picture"
shapes = {"甲 the first": (V, 16, 2, 32)} | {
    name: (50257, PUBLISHED[name][3], *PUBLISHED[name][:2]) for name in ("GPT-2 small", "GPT-2 XL", "GPT-3 175B")
}
ax = viz.new_axes(8, 3)
left = np.zeros(len(shapes))
for part, colour in zip(parameter_parts(1, 1, 1, 1), viz.COLOURS, strict=False):
    share = np.array([100 * parameter_parts(*s)[part] / sum(parameter_parts(*s).values()) for s in shapes.values()])
    ax.barh(list(shapes), share, left=left, color=colour, label=part)
    for row, (start, width) in enumerate(zip(left, share, strict=True)):
        if width > 4:
            ax.text(start + width / 2, row, f"{width:.0f}%", ha="center", va="center", color="w", fontsize=9)
    left += share
ax.invert_yaxis()
ax.set_xlim(0, 100)
ax.set_xlabel("参数的份额（%） share of parameters (%)")
ax.legend(fontsize=8, ncols=5, loc="upper center", bbox_to_anchor=(0.45, -0.2), frameon=False)
viz.show(ax, alt="小模型的参数多在嵌入，大模型的三分之二在前馈网络 embedding in small models, FFN in large ones")

# %% [markdown] key="where-parameters-after" lang="zh"
# 小模型的参数多半在嵌入表里；大模型的三分之二在前馈网络里。注意力永远是前馈网络的一半，而且和句子多长毫无关系。把长度从 64 加到 2,048，数一数：
# %% [markdown] key="where-parameters-after" lang="en"
# A small model has most of its parameters in the embedding table, a large one two thirds of them in the feed-forward networks. Attention always has half as many as those, however long the sentence. Raise the length from 64 to 2,048, and count:

# %% key="attention-parameters" tags=["nbval-check-output"]
for context in (64, 2048):
    named = new_gpt(context=context).state_dict()
    in_attention = sum(array.size for name, array in named.items() if ".attn." in name)
    print(f"长度 length {context:4d}:  注意力 attention {in_attention}   位置 positions {named['emb.pos.weight'].size}")

# %% [markdown] key="attention-parameters-after" lang="zh"
# 注意力一个也没多，多的只有位置表。让注意力变贵的不是参数，是运算和内存。那是后面两笔账。
# %% [markdown] key="attention-parameters-after" lang="en"
# Not one more in attention; only the position table has grown. What makes attention dear is not parameters; it is operations and memory, the next two accounts.

# %% [markdown] key="flops" lang="zh"
# ## 第二笔账：运算
#
# 一次乘法加一次加法，算两次浮点运算（FLOP）。$(n, k)$ 乘 $(k, m)$ 的矩阵乘法有 $nkm$ 个乘加，所以是 $2nkm$ 次。
#
# **有权重的乘法。** 一个词元经过一个矩阵，矩阵里的每个数正好用一次：每个参数两次运算。每层的矩阵共 $12D^2$，打分的 $E$ 有 $VD$。开头查表不是乘法，不算。
#
# **没有权重的乘法。** 每个查询和 $T$ 个键作点积，各个头合起来是 $TD$ 个乘加；再用 $T$ 个权重给值求和，又是 $TD$。一层 $4TD$ 次运算。
#
# 每个词元的前向：
#
# $$f = 2\,(12 L D^2 + VD) + 4 L T D$$
#
# **反向**的每个乘法变成两个：$Y = XW^\top$ 的反向是 $dX = dY\,W$ 和 $dW = dY^\top X$，各和前向一样大；注意力的两个乘法也各变成两个。所以反向是前向的两倍，**训练一步是前向的三倍**。
#
# 归一化、GELU、softmax、加法也要算，但每个词元只有几十个 $D$，不像矩阵乘法有 $D^2$，通常不计。
#
# 量一量。下面的 `Counted` 是会数数的数组：NumPy 每做一次矩阵乘法，它就记下乘加的个数和用掉的时间。把权重换成它，从它算出来的也都是它。模型的代码一行不改。
# %% [markdown] key="flops" lang="en"
# ## The second account: operations
#
# A multiplication and an addition count as two floating-point operations (FLOPs). Multiplying matrices $(n, k)$ and $(k, m)$ takes $nkm$ multiply-adds, hence $2nkm$ FLOPs.
#
# **Products with weights.** When a token passes a matrix, each number of the matrix is used exactly once: two FLOPs a parameter. The matrices of a layer have $12D^2$, the scoring $E$ has $VD$. The look-up at the start is no multiplication and costs nothing.
#
# **Products without weights.** Each query takes dot products with $T$ keys, which over all heads is $TD$ multiply-adds; summing up the values with $T$ weights is another $TD$. That makes $4TD$ FLOPs a layer.
#
# Forward, for each token:
#
# $$f = 2\,(12 L D^2 + VD) + 4 L T D$$
#
# **Backward** each product becomes two: that of $Y = XW^\top$ is $dX = dY\,W$ and $dW = dY^\top X$, each as large as forward; and the two products of attention become two each. So backward is twice the forward, and **a training step is three times the forward**.
#
# Normalisation, GELU, softmax and sums are work too, but only some dozens of $D$ a token where products have $D^2$, and usually they are not counted.
#
# Now measure. `Counted` below is an array that keeps count: each time NumPy multiplies matrices, it notes the number of multiply-adds and the time taken. Make the weights such arrays, and whatever is computed from them is one too. Not a line of the model changes.


# %% key="flops-counter"
import time


class Counted(np.ndarray):
    """An array that counts the FLOPs and the seconds of all matrix products it takes part in."""

    flops, seconds = 0, 0.0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [a.view(np.ndarray) if isinstance(a, Counted) else a for a in inputs]
        if out is not None:
            options["out"] = tuple(a.view(np.ndarray) for a in out)
        begin = time.perf_counter()
        result = getattr(ufunc, method)(*plain, **options)
        if ufunc is np.matmul:
            Counted.seconds += time.perf_counter() - begin
            Counted.flops += 2 * result.size * plain[0].shape[-1]
        if out is not None:
            return out[0]
        return result.view(Counted) if isinstance(result, np.ndarray) else result


def forward_flops(vocab, layers, width, length):
    """Each token's, by formula."""
    return 2 * (12 * layers * width**2 + vocab * width) + 4 * layers * length * width


def counted_step(layers, width, heads, length, batch=4):
    """-> FLOPs of forward, of forward and backward; seconds in products, in all"""
    model = GPT(
        ModelConfig(V, context=length, n_layer=layers, n_head=heads, d_model=width), rng=np.random.default_rng(0)
    )
    for p in model.parameters():
        p.data = p.data.view(Counted)
    ids, answers = np.random.default_rng(1).integers(V, size=(2, batch, length))
    Counted.flops, Counted.seconds, begin = 0, 0.0, time.perf_counter()
    logits, cache = model(ids)
    forward = Counted.flops
    model.backward(F.cross_entropy_backward(1.0, F.cross_entropy(logits, answers)[1]), cache)
    return forward, Counted.flops, Counted.seconds, time.perf_counter() - begin


# %% key="flops-run" tags=["nbval-check-output"]
flops_ratio = {}
for layers, width, heads, length in ((2, 32, 4, 16), (3, 64, 4, 64), (2, 48, 6, 128), (2, 64, 4, 256)):
    forward, whole, _, _ = counted_step(layers, width, heads, length)
    by_formula = forward_flops(V, layers, width, length) * 4 * length
    flops_ratio[length] = forward / by_formula, whole / forward
    print(f"T {length:3d}  公式 formula {by_formula:11,d}  量得 measured {forward:11,d}", end="  ")
    print(f"({forward / by_formula:.3f})  训练 training × {whole / forward:.0f}")

# %% [markdown] key="flops-after" lang="zh"
# 长度在 64 以内，一次乘加也不差；训练正好三倍。更长的时候量得的少一些：掩码遮住的分数算了也白算，minillm 的注意力每 64 个查询分一块，每块只算到自己的末尾为止，省掉一部分。全省下来，$4LTD$ 要减半。
#
# 运算快慢看机器，所以下面的时间不设范围，只看比例：
# %% [markdown] key="flops-after" lang="en"
# Up to a length of 64 not one multiply-add is off, and training is exactly three times forward. Beyond that the measured count is lower: masked scores are computed for nothing, and minillm's attention takes 64 queries at a time and goes no further than the end of each block, which saves a part of them. Saving all would halve $4LTD$.
#
# How fast operations go depends on the machine, so there is no range for the times below; look at the proportions:

# %% key="speed-run" tags=["nbval-ignore-output"]
counted_step(4, 128, 4, 64, batch=8)  # 热身 warm up
_, flops, in_products, seconds = counted_step(4, 128, 4, 64, batch=8)
speed = flops / in_products
print(f"训练一步 a training step: {flops / 1e9:.2f} GFLOP")
print(f"矩阵乘法 matrix products: {in_products / seconds:.0%} 的时间 of the time, {speed / 1e9:.0f} GFLOP/s")
years = 6 * counted["GPT-3 175B"] * 300e9 / speed / 3.156e7
print(f"照这个速度训练 GPT-3 at this speed GPT-3 would take: {years:,.0f} 年 years")

# %% [markdown] key="six" lang="zh"
# 没有数进去的那些，归一化、GELU、softmax、加法，运算少，却占了不少时间：它们忙着搬数据。GPU 上也是这样，第 14 课再说。
#
# 最后一行用了一条常用的捷径：大模型里 $VD$ 和 $4LTD$ 都是小头，每个词元的训练约是 $6N$ 次运算，每个参数前向两次、反向四次。GPT-3 学了 3,000 亿个词元，$6 \times 1.746 \times 10^{11} \times 3 \times 10^{11} = 3.14 \times 10^{23}$，正是论文表 D.1 的数。捷径差多少，算一算：
# %% [markdown] key="six" lang="en"
# What we did not count, normalisation, GELU, softmax, sums, is little arithmetic and takes a good part of the time all the same: it is busy moving data. So it is on a GPU; more in lesson 14.
#
# The last line took a well-known short cut: in large models $VD$ and $4LTD$ are small change, and training takes about $6N$ FLOPs a token, two a parameter forward and four backward. GPT-3 learnt from 300 billion tokens, and $6 \times 1.746 \times 10^{11} \times 3 \times 10^{11} = 3.14 \times 10^{23}$, which is the number in table D.1 of its paper. How far off is the short cut?

# %% key="six-run" tags=["nbval-check-output"]
print(f"GPT-3: 6 N × 300e9 = {6 * counted['GPT-3 175B'] * 300e9:.3g} FLOP")
for name, (vocab, layers, width, length) in {
    "甲 the first": (V, 2, 32, 16),
    "GPT-2 small": (50257, 12, 768, 1024),
    "GPT-3 175B": (50257, 96, 12288, 2048),
}.items():
    n = sum(parameter_parts(vocab, length, layers, width).values())
    exact = 3 * forward_flops(vocab, layers, width, length)
    scores = 3 * 4 * layers * length * width
    print(f"6N / 公式 formula: {6 * n / exact:.3f}   其中注意力的分数 share of scores: {scores / exact:.1%}   {name}")

# %% [markdown] key="memory" lang="zh"
# ## 第三笔账：内存
#
# 训练时要装四样东西。前三样跟着参数走，float32 每个数 4 字节：权重 $4N$，梯度 $4N$，AdamW 的两份移动平均 $8N$，合计 $16N$ 字节。
#
# 第四样叫**激活**：前向算出来、留给反向用的数，也就是我们一路传的 `cache`。翻翻前几课的代码，每个词元、每一层留下：
#
# | 谁留的 | 几个数 |
# |---|---|
# | 两道归一化：$\hat x$ 和输出，各 D；$1/s$ 一个 | $4D + 2$ |
# | 查询、键、值；除过 $\sqrt{K}$ 的查询（K 是头宽） | $4D$ |
# | 注意力的权重，每个头 T 个 | $HT$ |
# | 各头拼起来，输出矩阵的输入 | $D$ |
# | 前馈网络：变宽的、它的 $\Phi$、弯过的，各 4D | $12D$ |
#
# 首尾再加上：末端的归一化 $2D + 1$；logit 和它的指数 $2V$；损失自己的三样账目，合 5 个数。$BT$ 个词元，每个数 4 字节：
#
# $$M = 4BT\,\big(L\,(21D + 2 + HT) + 2D + 1 + 2V + 5\big)$$
#
# 量法有两种。一是把 `cache` 里所有数组的字节加起来，同一块内存只算一次；二是请 Python 的 `tracemalloc` 看前向之后、反向之前，多占了多少内存。
# %% [markdown] key="memory" lang="en"
# ## The third account: memory
#
# Training has to hold four things. Three go with the parameters, in float32 with 4 bytes a number: weights $4N$, gradients $4N$, the two running means of AdamW $8N$; together $16N$ bytes.
#
# The fourth are the **activations**: what forward computes and keeps for backward, the `cache` that we have been passing along. Leaf through the code of earlier lessons; for each token, each layer keeps:
#
# | who keeps it | how many numbers |
# |---|---|
# | two normalisations: $\hat x$ and output, D each; one $1/s$ | $4D + 2$ |
# | query, key, value; the query divided by $\sqrt{K}$ (K is the width of a head) | $4D$ |
# | attention weights, T for each head | $HT$ |
# | the heads put together, input of the output matrix | $D$ |
# | feed-forward network: widened, its $\Phi$, and bent, 4D each | $12D$ |
#
# And at the ends: $2D + 1$ for the last normalisation; $2V$ for the logits and their exponentials; 5 for three little accounts that the loss keeps. With $BT$ tokens and 4 bytes a number:
#
# $$M = 4BT\,\big(L\,(21D + 2 + HT) + 2D + 1 + 2V + 5\big)$$
#
# There are two ways to measure. One adds up the bytes of all arrays in the `cache`, counting each piece of memory once; the other asks Python's `tracemalloc` how much more memory is in use after forward and before backward.


# %% key="memory-run"
import tracemalloc


def activation_bytes(vocab, layers, heads, width, batch, length):
    each = layers * (21 * width + 2 + heads * length) + 2 * width + 1 + 2 * vocab + 5
    return 4 * batch * length * each


def pieces(tree, found):
    """All pieces of memory in nested caches. -> {where: bytes}"""
    if isinstance(tree, np.ndarray):
        while isinstance(tree.base, np.ndarray):
            tree = tree.base
        found[id(tree)] = tree.nbytes
    elif isinstance(tree, tuple | list):
        for branch in tree:
            pieces(branch, found)
    return found


def measure_memory(layers, heads, width, batch, length):
    """-> bytes in the caches; bytes by tracemalloc"""
    config = ModelConfig(V, context=length, n_layer=layers, n_head=heads, d_model=width)
    model = GPT(config, rng=np.random.default_rng(0))
    ids = np.random.default_rng(0).integers(V, size=(batch, length))
    model(ids)  # 第一次会备好掩码 the first call prepares the masks
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    logits, cache = model(ids)
    _, loss_cache = F.cross_entropy(logits, ids)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    own = [id(ids), *(id(p.data) for p in model.parameters())]
    return sum(n for where, n in pieces((logits, cache, loss_cache), {}).items() if where not in own), after - before


memory_ratio = {}
for layers, heads, width, batch, length in ((2, 4, 32, 8, 16), (3, 4, 64, 4, 64), (2, 4, 64, 2, 256)):
    by_formula = activation_bytes(V, layers, heads, width, batch, length)
    memory_ratio[length] = [n / by_formula for n in measure_memory(layers, heads, width, batch, length)]
    print(f"L {layers}  D {width}  B {batch}  T {length:3d}:  公式 formula {by_formula / 1e6:6.3f} MB", end="   ")
    print("缓存 caches × {:.3f}   tracemalloc × {:.2f}".format(*memory_ratio[length]))

# %% [markdown] key="memory-after" lang="zh"
# 公式和缓存里的字节分毫不差（多出来的几百字节是位置编号），`tracemalloc` 差不到百分之几，那是 Python 自己的对象。长度 256 时少了，还是因为分块：遮住的权重根本没有存。
#
# 跟着参数走的三样，也数一数：
# %% [markdown] key="memory-after" lang="en"
# The formula agrees with the bytes in the caches to the last one (a few hundred bytes more are the numbers of the positions), and with `tracemalloc` within a few percent, which are Python's own objects. At a length of 256 there is less, again because of the blocks: masked weights are not stored at all.
#
# Count the three that go with the parameters as well:

# %% key="memory-weights" tags=["nbval-check-output"]
model = new_gpt()
optimiser = AdamW([{"params": list(model.named_parameters())}], lr=0.0)
logits, cache = model(x)
model.backward(F.cross_entropy_backward(1.0, F.cross_entropy(logits, y)[1]), cache)
stored = {
    "权重 weights": sum(p.data.nbytes for p in model.parameters()),
    "梯度 gradients": sum(p.grad.nbytes for p in model.parameters()),
    "AdamW": sum(a.nbytes for a in optimiser.state_arrays().values()),
}
for name, n in stored.items():
    print(f"{name}: {n:,d} = {n // model.num_parameters()} N")
gib = 16 * counted["GPT-3 175B"] / 2**30
print(f"GPT-3 175B: 16 N = {gib:,.0f} GiB")

# %% [markdown] key="length" lang="zh"
# ### 长句子
#
# “Transformer 处理长序列很高效。”真的吗？两个公式里，$T$ 都出现了两次：$BT$ 一次，里面的 $4LTD$ 和 $HT$ 又一次。长度加倍，这两项变成**四倍**。参数一个不多。
#
# 量一量：一句话，宽 64，四个头。左边是一层里前馈网络和注意力（不算它的四个矩阵）各用多少时间，右边是留下的内存。
# %% [markdown] key="length" lang="en"
# ### Long sentences
#
# “Transformers handle long sequences efficiently.” Do they? $T$ occurs twice in both formulas: once in $BT$, and again inside, in $4LTD$ and $HT$. Double the length, and these two terms become **four times** as large. There is not one parameter more.
#
# Measure it: one sentence, 64 wide, four heads. On the left the time that a layer's feed-forward network takes, and its attention (without its four matrices); on the right the memory that they keep.

# %% key="length-run" tags=["nbval-ignore-output"]
from minillm.np.attention import scaled_dot_product_attention
from minillm.np.block import FeedForward


def quickest(f, weights=(), times=3):
    """-> milliseconds of the quickest run, bytes of what it keeps beside the weights"""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        out = f()
        taken.append(time.perf_counter() - begin)
    own = [id(w) for w in weights]
    return 1000 * min(taken), sum(n for where, n in pieces(out, {}).items() if where not in own)


rng = np.random.default_rng(0)
ffn = FeedForward(ModelConfig(9, n_head=4, d_model=64), rng=rng)
ffn_weights = [p.data for p in ffn.parameters()]
lengths = [64, 128, 256, 512, 1024, 2048]
grown = {"前馈 FFN": [], "注意力 attention": []}
for length in lengths:
    stream = rng.normal(size=(1, length, 64)).astype(np.float32)
    q, k, v = rng.normal(size=(3, 1, 4, length, 16)).astype(np.float32)
    grown["前馈 FFN"].append(quickest(lambda stream=stream: ffn(stream), ffn_weights))
    grown["注意力 attention"].append(quickest(lambda q=q, k=k, v=v: scaled_dot_product_attention(q, k, v, causal=True)))

panels = viz.new_axes(9, 3.4, columns=2)
for name, colour in zip(grown, viz.COLOURS, strict=False):
    milliseconds, kept = zip(*grown[name], strict=True)
    panels[0].loglog(lengths, milliseconds, "o-", color=colour, label=name)
    panels[1].loglog(lengths, np.array(kept) / 2**20, "o-", color=colour, label=name)
panels[0].set_ylabel("时间（毫秒） time (ms)")
panels[1].set_ylabel("内存 memory (MiB)")
for ax in panels:
    ax.set_xticks(lengths, [str(n) for n in lengths])
    ax.minorticks_off()
    ax.set_xlabel("长度 length T")
    ax.grid(alpha=0.25)
panels[0].legend()
for name, measured in grown.items():
    print(f"{name}  1024 → 2048:  内存 memory × {measured[-1][1] / measured[-2][1]:.2f}")
viz.show(panels, alt="前馈网络随长度成正比，注意力随长度的平方增长 the FFN grows with T, attention with T squared")

# %% [markdown] key="length-after" lang="zh"
# 内存的账是数出来的：长度加倍，前馈网络两倍，注意力将近四倍。短的时候注意力便宜，长了它就占尽一切。什么时候轮到它当家？让 $4TD$ 等于一层里矩阵的 $24D^2$，得 $T = 6D$。GPT-2 small 是 4,608，GPT-3 是 73,728：在它们自己的长度里，分数只占运算的小头；想读一整本书，就是另一回事了。能把内存省下来的办法（FlashAttention，不存那张表）和少算一些的办法，第 25 课和第 26 课再讲。
#
# ## PyTorch 的孪生
#
# `minillm.pt` 里有同一个 `GPT`，名字、形状一样，权重直接抄过去。反向交给自动求导。
# %% [markdown] key="length-after" lang="en"
# The memory is counted: with twice the length the feed-forward network keeps twice as much, attention nearly four times. Short, attention is cheap; long, it takes everything. When does it take over? Set $4TD$ equal to the $24D^2$ of a layer's matrices, and $T = 6D$. That is 4,608 for GPT-2 small and 73,728 for GPT-3: within their own lengths the scores are a small part of the operations; to read a whole book is another matter. Ways to save the memory (FlashAttention, which does not store that table) and to compute less come in lessons 25 and 26.
#
# ## The PyTorch twin
#
# `minillm.pt` has the same `GPT`, with the same names and shapes, so the weights are simply copied. Backward is left to autograd.

# %% key="twin-run" tags=["nbval-check-output"]
try:
    import torch
    import torch.nn.functional as TF

    from minillm.pt.gpt import GPT as TorchGPT
except ImportError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    config = ModelConfig(V, context=16, n_layer=2, n_head=4, d_model=32)
    model = GPT(config, rng=np.random.default_rng(0), dtype=float)
    logits, cache = model(x)
    loss, loss_cache = F.cross_entropy(logits, y)
    model.backward(F.cross_entropy_backward(1.0, loss_cache), cache)

    twin = TorchGPT(config, rng=np.random.default_rng(1), dtype=torch.float64)
    twin.load_state_dict({name: torch.tensor(array) for name, array in model.state_dict().items()})
    logits_pt = twin(torch.tensor(x))
    loss_pt = TF.cross_entropy(logits_pt.flatten(0, 1), torch.tensor(y).flatten())
    loss_pt.backward()

    grads = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    apart = max(np.abs(p.grad - grads[name]).max() for name, p in model.named_parameters())
    print(f"参数 parameters  NumPy {model.num_parameters()}   PyTorch {sum(p.numel() for p in twin.parameters())}")
    print(f"loss  NumPy {loss:.4f}   PyTorch {loss_pt.item():.4f}")
    print("logit 相差不到 differ by less than 1e-12:", bool(np.abs(logits - logits_pt.detach().numpy()).max() < 1e-12))
    print("梯度相差不到 gradients differ by less than 1e-12:", bool(apart < 1e-12))

# %% [markdown] key="reader" lang="zh"
# ## 在中文上：第一次真的训练
#
# 体检合格，账也算清了，现在让它学整个《槐树胡同读本》：每一步换一批新的，随机取 16 段，每段 32 个字。怎样训练得好是下一课的事；这里用的还是 `learn`，几秒钟。
# %% [markdown] key="reader" lang="en"
# ## On Chinese text: the first real training
#
# The examinations are passed and the accounts are done; now let it learn the whole reader. Each step takes a new batch, 16 random pieces of 32 characters. How to train well is the next lesson; here `learn` has to do, for some seconds.

# %% key="reader-run"
from minillm.baselines.ngram import Bigram
from minillm.data.batches import random_batch
from minillm.data.corpora import token_stream

train_ids, valid_ids = (token_stream(texts, tokenizer) for texts in (corpus.train, corpus.valid))


def learn_reader(seed=0, steps=400):
    """-> the model, its losses, its loss on text that it has not seen"""
    model = new_gpt(seed, context=32, d_model=64)
    losses = learn(model, [random_batch(train_ids, 32, 16, seed, step) for step in range(steps)], lr=2e-3)
    unseen = random_batch(valid_ids, 32, 64, 0, 0)
    return model, losses, float(F.cross_entropy(model(unseen[0])[0], unseen[1])[0])


writer, losses, valid = learn_reader()
bigram = Bigram(train_ids, V, valid_ids).total_nll(valid_ids) / (len(valid_ids) - 1)

ax = viz.new_axes(7, 3.4)
ax.plot(losses, color="0.8", linewidth=0.8, label="训练，每步 training, each step")
ax.plot(viz.smooth(losses), color="#0072B2", label="训练，平滑 training, smoothed")
ax.axhline(math.log(V), color="0.6", linestyle=":", label="ln V")
ax.axhline(valid, color="#D55E00", label="没见过的，末了 unseen text, at the end")
ax.axhline(bigram, color="0.4", linestyle="--", label="没见过的，二元计数 unseen, bigram counts")
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特/字） loss (nats per character)")
ax.legend(fontsize=8)
viz.show(ax, alt="四百步的训练损失 the training loss of four hundred steps")

# %% key="reader-write"
from minillm.train import sample_text

for seed in range(3):
    print(sample_text(writer, tokenizer, "我爱北京", 40, seed, temperature=0.7).replace("\n", "｜"))

# %% [markdown] key="reader-after" lang="zh"
# 起点正是 $\ln V$，几秒钟就快追上了二元计数。写出来的有字有词有标点，句子还不成句。步数、学习率、模型大小、停在哪里，都还没有讲究过；那是第 11 课。
#
# ## 动手玩：给任何一个 GPT 算账
#
# 选一个公开的模型，或者选“自己定”，再用滑块定层数和宽度。长度和一批的句数对谁都有效，位置表也照这个长度。左边是参数坐在哪里；右边是训练要装的四样东西，按 float32、AdamW、我们的 `cache` 算。标题里是每个词元的运算。
# %% [markdown] key="reader-after" lang="en"
# It starts right at $\ln V$ and within seconds almost catches up with bigram counts. What it writes has characters, words and punctuation, and no proper sentences yet. The number of steps, the learning rate, the size, when to stop: we have given thought to none of these. That is lesson 11.
#
# ## Play: the accounts of any GPT
#
# Choose a published model, or “own” and set layers and width with the sliders. Length and sentences in a batch work for all, and the position table is as long as that. On the left is where the parameters sit; on the right the four things that training has to hold, in float32, with AdamW and our `cache`. The title gives the operations of a token.

# %% key="play-run"
from minillm.widgets import Choice, Slider, play


def in_units(values, base, units):
    """Numbers below the base, and their unit."""
    power = min(len(units) - 1, int(math.log(max(values), base)))
    return np.array(list(values)) / base**power, units[power]


def draw_account(model, length, batch, layers, width):
    heads, vocab = max(1, width // 64), 50257
    if model != "own":
        layers, width, heads, *_ = PUBLISHED[model]
    parts = parameter_parts(vocab, length, layers, width)
    n = sum(parts.values())
    held = {
        "权重\nweights": 4 * n,
        "梯度\ngradients": 4 * n,
        "AdamW": 8 * n,
        "激活\nactivations": activation_bytes(vocab, layers, heads, width, batch, length),
    }
    f = forward_flops(vocab, layers, width, length) / 1e9
    panels = viz.new_axes(9, 3.8, columns=2)
    bars = (
        (parts, 1000, ["", "千 thousands", "百万 millions", "十亿 billions"], "参数 parameters"),
        (held, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], "内存 memory"),
    )
    for ax, (values, base, units, label) in zip(panels, bars, strict=True):
        shown, unit = in_units(values.values(), base, units)
        names = [name.replace(" ", "\n") for name in values]
        viz.plot_bars(names, shown, ax, label=f"{label} ({unit})", form="{:.3g}")
        ax.tick_params(axis="x", labelsize=9)
    panels[0].set_title(f"L {layers}  D {width}  H {heads}\nN = {n:,d}", fontsize=10)
    panels[1].set_title(f"每个词元 a token (GFLOP)\n前向 forward {f:.4g}   训练 training {3 * f:.4g}", fontsize=10)
    return panels


choices = {name: name for name in PUBLISHED} | {"自己定 own": "own"}
play(
    draw_account,
    alt="各部分的参数，训练要装的内存 parameters by part, and what training has to hold in memory",
    model=Choice(choices, "GPT-2 small", "模型 model"),
    length=Choice([64, 256, 1024, 2048, 8192, 32768], 1024, "长度 length T"),
    batch=Slider(1, 64, 1, value=8, label="一批几句 batch B"),
    layers=Slider(1, 96, 1, value=12, label="自己定：层数 own: layers L"),
    width=Slider(64, 12288, 64, value=768, label="自己定：宽度 own: width D"),
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 参数、运算和缓存是数出来的，一个不差，或者只差那几百字节。`tracemalloc` 还看得见 Python 自己的对象，给百分之三。损失来自训练，换过十颗种子：背一批的比值都在 1.05 上下，偷看的是 0.04 上下；读本上 从 4.6 到 4.9，范围再放宽一些。时间没有范围。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# Parameters, operations and caches are counted, and agree to the last one or to those few hundred bytes. `tracemalloc` also sees Python's own objects, and is given three percent. Losses come from training; we tried ten seeds: the ratio to the floor was about 1.05, with peeping about 0.04; on the reader 4.6 to 4.9, and the range has some more room. Times have no range.

# %% key="bands-run"
band("GPT-2 small 的参数 parameters", counted["GPT-2 small"], 124_439_808, 124_439_808)
band("GPT-3 175B，比论文 over the paper's", counted["GPT-3 175B"] / 175e9, 0.99, 1.0)
band("第一次的损失比 ln V first loss over ln V", first_losses[True][0][0] / math.log(V), 0.99, 1.01)
band("背一批，比底 one batch, over the floor", losses_first[-1] / floor, 1.0, 1.15)
band("偷看的，比底 peeping, over the floor", losses_second[-1] / floor, 0.0, 0.2)
band("运算，量得比公式 FLOPs, measured over formula", flops_ratio[64][0], 1.0, 1.0)
band("激活，tracemalloc 比公式 activations over formula", memory_ratio[64][1], 0.99, 1.03)
band("读本，没见过的 reader, unseen (nats)", valid, 4.5, 5.0)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **损失越低越好。** 穿了底的损失不是成绩，是故障。先算底，再看曲线。
#
# **只看“跑得通”。** 这一课的七种错，没有一种报错。
#
# **说注意力让参数变多。** 它的参数与长度无关，是前馈网络的一半；随长度平方涨的是运算和内存。
#
# **把训练的内存当成模型文件的大小。** 文件是 $4N$ 字节（半精度 $2N$），训练要 $16N$，再加上激活；批次大、句子长的时候，激活可以比前三样加起来还多。
#
# **共享的表只记一份梯度。** 用了两次，就有两份。minillm 的 `accumulate` 是加，不是写：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **The lower the loss, the better.** A loss below the floor is not a success, it is a fault. Compute the floor first, then look at the curve.
#
# **Being content that it runs.** Of this lesson's seven mistakes not one raised an error.
#
# **Saying that attention makes parameters many.** Its parameters have nothing to do with length and are half of the feed-forward network's; what grows with the square of the length is operations and memory.
#
# **Taking the size of the model's file for the memory of training.** The file is $4N$ bytes ($2N$ in half precision), training needs $16N$ and the activations; with large batches and long sentences these can be more than the other three together.
#
# **One gradient for a tied table.** Used twice, it has two. In minillm `accumulate` adds, it does not overwrite:

# %% key="mistakes-run" tags=["nbval-check-output"]
for name, wrong in {"只有打分 scoring only": d_out, "只有查表 look-up only": d_in}.items():
    right = d_out + d_in
    print(f"{name}: 误差 error {np.linalg.norm(wrong - right) / np.linalg.norm(right):.0%}")

# %% [markdown] key="sources" lang="zh"
# ## 记住三句话
#
# 1. GPT 只有三行：查表加位置，改 $L$ 遍，用同一张表打分。
# 2. 训练之前四项体检：第一次的损失约 $\ln V$；梯度检查；改动未来，过去不变；背下一批，正好踩底。
# 3. 三笔账：$N \approx VD + 12LD^2$ 个参数；每个词元训练约 $6N$ 次运算，长句另加 $12LTD$；内存 $16N$ 字节，加上随 $T^2$ 涨的激活。
#
# ## 自己写一个
#
# 到这里，一个 GPT 的每一行你都见过了。合上课本，从一个空文件夹开始，自己写出整个 GPT，一步一步都有检查：见 [`exercises/capstone`](../../exercises/capstone/README.md)，用 `python -m exercises.capstone` 查。最后几步是训练和生成，可以学完第 11、12 课再做。
#
# ## 出处
#
# - A. Radford, K. Narasimhan, T. Salimans, I. Sutskever (2018). Improving Language Understanding by Generative Pre-Training. OpenAI. GPT。
# - A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever (2019). Language Models are Unsupervised Multitask Learners. OpenAI. GPT-2 的四种大小；参数个数的更正在 [github.com/openai/gpt-2](https://github.com/openai/gpt-2) 的说明里。
# - T. B. Brown et al. (2020). Language Models are Few-Shot Learners. NeurIPS. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). GPT-3，表 2.1 和表 D.1。
# - O. Press, L. Wolf (2017). Using the Output Embedding to Improve Language Models. EACL. [arXiv 1608.05859](https://arxiv.org/abs/1608.05859). 共享的输出层。
# - J. Kaplan, S. McCandlish, T. Henighan, T. B. Brown, B. Chess, R. Child, S. Gray, A. Radford, J. Wu, D. Amodei (2020). Scaling Laws for Neural Language Models. [arXiv 2001.08361](https://arxiv.org/abs/2001.08361). 2.1 节数参数和运算，$6N$ 由此而来。
# - V. Korthikanti, J. Casper, S. Lym, L. McAfee, M. Andersch, M. Shoeybi, B. Catanzaro (2023). Reducing Activation Recomputation in Large Transformer Models. MLSys. [arXiv 2205.05198](https://arxiv.org/abs/2205.05198). 半精度的激活也这样数。
# - A. Karpathy (2019). A Recipe for Training Neural Networks. [karpathy.github.io](https://karpathy.github.io/2019/04/25/recipe/). 第一次的损失，背下一批。
# %% [markdown] key="sources" lang="en"
# ## Three sentences to keep
#
# 1. A GPT is three lines: look up and add the position, revise $L$ times, score with the same table.
# 2. Four examinations before training: the first loss is about $\ln V$; the gradient check; change the future, and the past stays; one batch learnt by heart ends right on the floor.
# 3. Three accounts: $N \approx VD + 12LD^2$ parameters; training takes about $6N$ FLOPs a token, and $12LTD$ more for long sentences; memory is $16N$ bytes and the activations, which grow with $T^2$.
#
# ## Write one yourself
#
# You have now seen every line of a GPT. Close the book, start from an empty folder, and write the whole of it yourself, with a check at each step: see [`exercises/capstone`](../../exercises/capstone/README.en.md), and check with `python -m exercises.capstone`. The last steps are training and generation and may wait until after lessons 11 and 12.
#
# ## Sources
#
# - A. Radford, K. Narasimhan, T. Salimans, I. Sutskever (2018). Improving Language Understanding by Generative Pre-Training. OpenAI. GPT.
# - A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever (2019). Language Models are Unsupervised Multitask Learners. OpenAI. The four sizes of GPT-2; the parameter counts are corrected in the notes at [github.com/openai/gpt-2](https://github.com/openai/gpt-2).
# - T. B. Brown et al. (2020). Language Models are Few-Shot Learners. NeurIPS. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). GPT-3, tables 2.1 and D.1.
# - O. Press, L. Wolf (2017). Using the Output Embedding to Improve Language Models. EACL. [arXiv 1608.05859](https://arxiv.org/abs/1608.05859). The tied output layer.
# - J. Kaplan, S. McCandlish, T. Henighan, T. B. Brown, B. Chess, R. Child, S. Gray, A. Radford, J. Wu, D. Amodei (2020). Scaling Laws for Neural Language Models. [arXiv 2001.08361](https://arxiv.org/abs/2001.08361). Section 2.1 counts parameters and operations; hence the $6N$.
# - V. Korthikanti, J. Casper, S. Lym, L. McAfee, M. Andersch, M. Shoeybi, B. Catanzaro (2023). Reducing Activation Recomputation in Large Transformer Models. MLSys. [arXiv 2205.05198](https://arxiv.org/abs/2205.05198). Activations in half precision, counted the same way.
# - A. Karpathy (2019). A Recipe for Training Neural Networks. [karpathy.github.io](https://karpathy.github.io/2019/04/25/recipe/). The first loss, and one batch by heart.

# %% [markdown] key="ex-gpt-parameters" lang="zh" exercise="gpt_parameters"
# ### 练习 1　数一数参数
#
# 一个 GPT：有偏置，每层两道归一化，末尾还有一道，位置表可学，输出层共享，前馈网络宽 4 倍。不造模型，写出参数的个数。猜一猜：把 `n_layer` 从 12 加到 24，参数会加倍吗？
# %% [markdown] key="ex-gpt-parameters" lang="en" exercise="gpt_parameters"
# ### Exercise 1: Count the parameters
#
# A GPT with biases, two normalisations a layer and one at the end, a learned position table, a tied output layer, and feed-forward networks 4 times as wide. Without building a model, write down the number of its parameters. Guess: with `n_layer` up from 12 to 24, are there twice as many?


# %% key="ex-gpt-parameters-code" exercise="gpt_parameters" kind="predict" difficulty=1 minutes=8 points=1
def gpt_parameters(vocab_size: int, context: int, n_layer: int, d_model: int) -> int:
    """How many parameters, of all matrices, biases and norms."""
    ### BEGIN SOLUTION
    tables = (vocab_size + context) * d_model
    each_layer = 12 * d_model**2 + 13 * d_model  # attention 4 D² + 4 D, FFN 8 D² + 5 D, norms 4 D
    return tables + n_layer * each_layer + 2 * d_model
    ### END SOLUTION


# %% key="ex-gpt-parameters-check" exercise="gpt_parameters"
check(gpt_parameters)

# %% [markdown] key="ex-table-gradient" lang="zh" exercise="table_gradient"
# ### 练习 2　修好共享的表
#
# 嵌入表用了两次：开头按 `ids` 取行，末尾用 `hidden` 乘它打分。下面的函数想算它的梯度，却有两处毛病：重复读到的字只记了一次；两份梯度有一份被抹掉了。
# %% [markdown] key="ex-table-gradient" lang="en" exercise="table_gradient"
# ### Exercise 2: Mend the tied table
#
# The embedding table is used twice: rows of it are taken by `ids` at the start, and `hidden` is multiplied with it for the scores at the end. The function below wants its gradient and has two faults: a character that is read more than once counts only once, and one of the two gradients is wiped out.


# %% key="ex-table-gradient-code" exercise="table_gradient" kind="repair" difficulty=2 minutes=10 points=2
def table_gradient(ids, dx, hidden, dlogits):
    """Gradient of the tied embedding.

    ids (N,) int, dx (N, D) at the look-up's result, hidden (N, D), dlogits (N, V) -> (V, D)
    """
    ### BEGIN SOLUTION
    gradient = dlogits.T @ hidden
    np.add.at(gradient, ids, dx)
    return gradient
    ### END SOLUTION
    ### BEGIN STUB
    # gradient = dlogits.T @ hidden
    # gradient[ids] = dx
    # return gradient
    ### END STUB


# %% key="ex-table-gradient-check" exercise="table_gradient"
check(table_gradient)

# %% [markdown] key="ex-looks-ahead" lang="zh" exercise="looks_ahead"
# ### 练习 3　它偷看吗
#
# `logits_of` 是一个黑盒子模型：给它 (T,) 个编号，它还你 (T, V) 个分数。写一个函数，回答它有没有偷看后面的字。有的模型只偷看下一个，有的只在某一个位置偷看，都要抓住；老实的不许冤枉。编号在 0 到 `vocab_size` 减 1 之间。
# %% [markdown] key="ex-looks-ahead" lang="en" exercise="looks_ahead"
# ### Exercise 3: Does it peep?
#
# `logits_of` is a model in a black box: give it (T,) ids, and it returns (T, V) scores. Write a function that says whether it looks at later characters. Some models peep at the next one only, some at one position only; catch them all, and do not accuse an honest one. Ids go from 0 to `vocab_size` minus 1.


# %% key="ex-looks-ahead-code" exercise="looks_ahead" kind="implement" difficulty=3 minutes=12 points=2
def looks_ahead(logits_of, ids, vocab_size: int) -> bool:
    """Does any row of logits depend on a later id?  ids (T,) int; logits_of: (T,) -> (T, V)"""
    ### BEGIN SOLUTION
    before = logits_of(ids)
    for t in range(1, len(ids)):
        changed = ids.copy()
        changed[t] = (ids[t] + 1) % vocab_size  # surely another one
        if not np.allclose(logits_of(changed)[:t], before[:t]):
            return True
    return False
    ### END SOLUTION


# %% key="ex-looks-ahead-check" exercise="looks_ahead"
check(looks_ahead)

# %% [markdown] key="ex-batch-floor" lang="zh" exercise="batch_floor"
# ### 练习 4　没有位置的底
#
# 课文里的底是按整个前文数的。一个**只看当前这个字**的模型（没有注意力，也没有位置），底要高一些：同一个字后面有几种答案，它就只好按次数分。数出这个底，单位是奈特，对所有位置求平均。
# %% [markdown] key="ex-batch-floor" lang="en" exercise="batch_floor"
# ### Exercise 4: The floor without context
#
# The floor of the lesson counts whole pasts. A model that sees **the current character only** (no attention, no positions) has a higher one: where a character is followed by several answers, it has to share by frequency. Count that floor, in nats, as the mean over all positions.


# %% key="ex-batch-floor-code" exercise="batch_floor" kind="implement" difficulty=3 minutes=12 points=2
def batch_floor(x, y) -> float:
    """Lowest mean cross-entropy when y[b, t] is guessed from x[b, t] alone.  x, y (B, T) int -> nats"""
    ### BEGIN SOLUTION
    pairs = Counter(zip(x.ravel().tolist(), y.ravel().tolist(), strict=True))
    seen = Counter(x.ravel().tolist())
    return -sum(n * math.log(n / seen[char]) for (char, _), n in pairs.items()) / x.size
    ### END SOLUTION


# %% key="ex-batch-floor-check" exercise="batch_floor"
check(batch_floor)

# %% [markdown] key="ex-training-flops" lang="zh" exercise="training_flops"
# ### 练习 5　训练要算多少
#
# 学 `tokens` 个词元，每段长 `length`，一共多少次浮点运算？只算矩阵乘法，前向加反向，分数按整张 $T \times T$ 的表算。返回整数。
# %% [markdown] key="ex-training-flops" lang="en" exercise="training_flops"
# ### Exercise 5: The work of training
#
# How many FLOPs does it take to learn from `tokens` tokens in pieces of `length`? Matrix products only, forward and backward, scores as a whole table of $T \times T$. Return an integer.


# %% key="ex-training-flops-code" exercise="training_flops" kind="implement" difficulty=2 minutes=10 points=2
def training_flops(vocab_size: int, n_layer: int, d_model: int, length: int, tokens: int) -> int:
    """FLOPs of matrix products in training on so many tokens."""
    ### BEGIN SOLUTION
    weights = 12 * n_layer * d_model**2 + vocab_size * d_model  # the look-up is no product
    scores = 2 * n_layer * length * d_model  # queries with keys, and weights with values
    return 3 * 2 * (weights + scores) * tokens
    ### END SOLUTION


# %% key="ex-training-flops-check" exercise="training_flops"
check(training_flops)

# %% [markdown] key="ex-largest-width" lang="zh" exercise="largest_width"
# ### 练习 6　装得下多大的
#
# 你有 `memory` 字节。层数、头宽 64、词表、长度和批次都定了，宽度要取 64 的倍数，头数就是宽度除以 64。最宽能取多少，训练还装得下？要装的是 $16N$ 字节和激活 $M$，公式都照课文，位置表长 `length`。一个也装不下就返回 0。
# %% [markdown] key="ex-largest-width" lang="en" exercise="largest_width"
# ### Exercise 6: How large a model fits?
#
# You have `memory` bytes. Layers, a head width of 64, vocabulary, length and batch are given; the width must be a multiple of 64, and the number of heads is the width over 64. What is the greatest width whose training still fits? It has to hold $16N$ bytes and the activations $M$, both by the lesson's formulas; the position table is `length` long. If nothing fits, return 0.


# %% key="ex-largest-width-code" exercise="largest_width" kind="extend" difficulty=4 minutes=15 points=3
def largest_width(memory: int, vocab_size: int, n_layer: int, length: int, batch: int) -> int:
    """Greatest multiple of 64 that can be trained in so many bytes, in float32 with AdamW; 0 if none."""

    ### BEGIN SOLUTION
    def needed(d):
        n = (vocab_size + length) * d + n_layer * (12 * d**2 + 13 * d) + 2 * d
        each = n_layer * (21 * d + 2 + d // 64 * length) + 2 * d + 1 + 2 * vocab_size + 5
        return 16 * n + 4 * batch * length * each

    width = 0
    while needed(width + 64) <= memory:
        width += 64
    return width
    ### END SOLUTION


# %% key="ex-largest-width-check" exercise="largest_width"
check(largest_width)
