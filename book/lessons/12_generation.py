# ---
# minillm:
#   title: {zh: "生成", en: "Generation"}
#   question:
#     zh: "模型给出了下一个字的概率：怎样从概率写出文字，既不原地打转，也不胡言乱语，还写得快？"
#     en: "A model gives probabilities for the next character: how does text come of them that neither goes in circles nor raves, and quickly?"
#   minutes: 90
#   seconds: 60
#   needs: ["10"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("12")

# %% key="imports" both=true
import math
from collections import Counter
from itertools import pairwise, product
from time import perf_counter

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.np import functional as F

# %% [markdown] key="model" lang="zh"
# ## 先要有一个会写字的模型
#
# 这一课的每一格都用同一个模型，所以先把它训练好：demo 那样的 GPT，两层，每个字 128 个数，一次看 64 个字，在《槐树胡同读本》上走 400 步，每步 12 段。一个慢的核大约二三十秒。训练本身是第 11 课的事，这里不再细讲。
# %% [markdown] key="model" lang="en"
# ## First, a model that can write
#
# Every cell of this lesson uses one and the same model, so train it first: a GPT like that of the demo, with two layers, 128 numbers a character and 64 characters in sight, for 400 steps on the course's reader, 12 pieces a step. It takes some twenty or thirty seconds of one slow core. Training itself was the business of lesson 11.

# %% key="model-run"
from minillm.config import preset
from minillm.data.batches import random_batch
from minillm.data.corpora import load_corpus, token_stream
from minillm.evaluate import total_nll
from minillm.np.gpt import GPT
from minillm.np.train import Trainer
from minillm.text import train_tokenizer

SEED = 0
corpus = load_corpus("reader")
tokenizer = train_tokenizer("char", corpus.train)
tokens, unseen = (token_stream(texts, tokenizer) for texts in (corpus.train, corpus.valid))
changes = {"dropout": 0.0, "steps": 400, "batch_size": 12, "lr": 2e-3, "seed": SEED}
config, recipe = preset("demo", tokenizer.vocab_size, **changes)
model = GPT(config, rng=np.random.default_rng(SEED))
trainer = Trainer(model, recipe, copies=1)
for step in range(recipe.steps):
    result = trainer.step(*random_batch(tokens, config.context, recipe.batch_size, SEED, step), step)
    if step % 100 == 99:
        print(f"{step + 1:4d}  loss {result.loss:.3f}")
unseen_loss = total_nll(model, unseen, config.context) / (len(unseen) - 1)
print(f"没见过的文字 unseen text: {unseen_loss:.3f} 奈特每字 nats a character")

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 模型每次只做一件事：看前面的字，给每个可能的下一个字打分。最自然的写法是每次都挑分数最高的，接在后面，再问一次。这叫**贪心**。从“我爱北京”写起，写 60 个字（↵ 是换行）。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# A model does one thing at a time: it looks at what is there and scores every possible next character. The natural way to write is to take the highest score each time, append it, and ask again. That is called **greedy**. Start from 我爱北京 (“I love Beijing”) and write 60 characters (↵ is a line break).

# %% key="problem-run"
from minillm.train import never_written

never = [*never_written(tokenizer), tokenizer.eos_id]  # 这些词元不写 tokens that are not to be written


def write_greedily(prompt, count):
    ids = tokenizer.encode(prompt)
    for _ in range(count):
        logits = model.next_logits(np.array([ids]))[0]
        logits[never] = -np.inf
        ids.append(int(np.argmax(logits)))
    return tokenizer.decode(ids)


def show_text(text, width=36):
    flat = text.replace("\n", "↵")
    print(*(flat[i : i + width] for i in range(0, len(flat), width)), sep="\n", end="\n\n")


for prompt in ("我爱北京", "今天下雨了"):
    show_text(write_greedily(prompt, 60))

# %% [markdown] key="problem-after" lang="zh"
# 没写几个字，就一句话来回地说。换台机器，转的可能是另一句，转总是要转的。
#
# 不是我们的模型太小才这样。网上有一篇讲大语言模型的文章，后面附着一长串问答，问到后来每一条都是同一句话，只换了一个名词，一直换到底。Holtzman 等人 2020 年给这种病起了名字：**文本退化**，并且说明它多半是解码的病，不是模型的病：同一个模型，换一种挑字的办法就好了。这一课先把病量出来，弄明白它从哪里来，再把它治好。
# %% [markdown] key="problem-after" lang="en"
# After a few characters it says one thing over and over. On another machine it may be another sentence; a circle it will be.
#
# This is not because our model is small. There is an article about large language models on the web that ends in a long list of questions and answers, and further down every entry is the same sentence with one noun swapped, on and on. In 2020 Holtzman and others gave the disease its name, **text degeneration**, and showed that it is mostly one of decoding and not of the model: the same model is well again once characters are chosen in another way. This lesson measures the disease first, finds out where it comes from, and cures it.

# %% [markdown] key="measure" lang="zh"
# ## 量一量：重复了多少
#
# 把文字切成所有相邻的 $n$ 个字，叫 n 元组。长 $T$ 的文字有 $T - n + 1$ 个。数一数其中有几种：
#
# $$\text{distinct-}n = \frac{\text{不同的 n 元组}}{T - n + 1} \qquad \text{rep-}n = 1 - \text{distinct-}n$$
#
# distinct-n 出自 Li 等人 2016 年的对话论文，rep-n 出自 Welleck 等人 2020 年的论文。rep-4 是 0，没有哪四个字说过两遍；是 0.9，十处里有九处是在重复前面。先拿八个字用手数：“看看，看看，看看”有 7 个二元组，只有 3 种。
# %% [markdown] key="measure" lang="en"
# ## Measure: how much is repeated
#
# Cut a text into all its runs of $n$ neighbouring characters, its n-grams. A text of length $T$ has $T - n + 1$ of them. Count how many kinds there are:
#
# $$\text{distinct-}n = \frac{\text{different n-grams}}{T - n + 1} \qquad \text{rep-}n = 1 - \text{distinct-}n$$
#
# distinct-n comes from the paper on dialogue by Li and others of 2016, rep-n from that of Welleck and others of 2020. With a rep-4 of 0 no four characters are said twice; with 0.9, nine places of ten repeat what came before. First eight characters by hand: 看看，看看，看看 has 7 bigrams of only 3 kinds.


# %% key="measure-run" tags=["nbval-check-output"]
def n_grams(text, n):
    return [text[i : i + n] for i in range(len(text) - n + 1)]


def distinct(text, n):
    grams = n_grams(text, n)
    return len(set(grams)) / len(grams)


def rep(text, n):
    return 1 - distinct(text, n)


circle = "看看，看看，看看"
print(n_grams(circle, 2))
print(f"distinct-2 {distinct(circle, 2):.3f}   rep-2 {rep(circle, 2):.3f}")
assert np.isclose(rep(circle, 2), 4 / 7)

# %% [markdown] key="measure-real" lang="zh"
# 60 个字太短。minillm 的 `generate` 可以一直写下去，写满 64 个字以后怎么办，后面再说。六个开头各写 120 个字，跟没见过的真文字比一比。数 rep-n 必须用一样长的文字：文字越长，自然的重复也越多。
# %% [markdown] key="measure-real" lang="en"
# Sixty characters are too few. minillm's `generate` can go on for as long as one likes; what it does after 64 characters we shall see later. Six beginnings, 120 characters each, against real text that the model has never seen. A rep-n must be taken over texts of one length: the longer a text, the more it repeats quite naturally.

# %% key="measure-real-run"
from minillm.generate import generate

PROMPTS = ("我爱北京", "奶奶说", "小川和小雨", "今天下雨了", "从前有一个", "早上")
LENGTH = 120


def write(prompt, count=LENGTH, seed=0, **settings):
    """What comes after the prompt."""
    rng = np.random.default_rng([SEED, seed])
    return tokenizer.decode(list(generate(model, tokenizer.encode(prompt), count, banned=never, rng=rng, **settings)))


greedy = [write(prompt, temperature=0) for prompt in PROMPTS]
held_out = "".join(corpus.valid)
real = [held_out[i : i + LENGTH] for i in range(0, len(held_out) - LENGTH, 4 * LENGTH)]

for name, texts in {"贪心 greedy": greedy, "真文字 real text": real}.items():
    row = "   ".join(f"rep-{n} {np.mean([rep(text, n) for text in texts]):.3f}" for n in (1, 2, 4))
    print(f"{row}   {name}, {len(texts)}")
show_text(PROMPTS[0] + greedy[0])

# %% [markdown] key="circle" lang="zh"
# ## 为什么会转圈
#
# 贪心没有骰子：看见同样的字，就写同样的字。先看最小的例子，只看前一个字的计数模型（第 03 课的二元模型）。每个字后面跟得最勤的是谁，查一张表就有。表里有 $V$ 个字，走 $V$ 步，一定会踩到走过的字；踩到以后，后面的路和上次一模一样。**所以它一定转圈，而且最多 $V$ 步就开始。**
# %% [markdown] key="circle" lang="en"
# ## Why it goes in circles
#
# Greedy has no dice: where it sees the same, it writes the same. Begin with the smallest example, a counting model that looks at one character only (the bigram model of lesson 03). Which character most often follows which is a look-up in a table. The table has $V$ characters, so within $V$ steps it must tread on one where it has been before, and from there on the way is the same as last time. **So it must go in circles, and begins within $V$ steps.**

# %% key="circle-run" tags=["nbval-check-output"]
followers = {}
for a, b in pairwise("\n".join(corpus.train)):
    followers.setdefault(a, Counter())[b] += 1
favourite = {a: max(counts, key=lambda b: (counts[b], b)) for a, counts in followers.items()}

for start in "我雨门饺":
    path = [start]
    while path[-1] not in path[:-1]:
        path.append(favourite[path[-1]])
    first = path.index(path[-1])
    print("".join(path).replace("\n", "↵"), f"  圈长 length of the circle: {len(path) - 1 - first}")

# %% [markdown] key="circle-model" lang="zh"
# 四个起点，最后走进了同一个圈：“我们一个人，我们一个人，……”。
#
# GPT 看的不是一个字，是最近的 64 个。同样的道理仍然成立：窗口里的字只有有限种，早晚要重样。不过“有限”是 $V^{64}$，这个道理说不出为什么几十步就转起来。
#
# 要看的是每一步的概率。下面是贪心自己写的字，模型给它们的概率，每 20 步取一次平均。
# %% [markdown] key="circle-model" lang="en"
# Four starting points, and all of them end in one and the same circle: 我们一个人，我们一个人， … (“we one person, we one person, …”).
#
# A GPT looks not at one character but at the latest 64. The argument still holds: there are finitely many windows, and sooner or later one comes back. But “finitely many” is $V^{64}$, and the argument does not say why the circle begins after a few dozen steps.
#
# Look at the probability of each step. Here is what the model gave to the characters that greedy wrote, averaged over every 20 steps.


# %% key="circle-model-run"
def log_softmax(logits, banned=()):
    z = logits.astype(np.float64)
    z[..., list(banned)] = -np.inf
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def step_log_p(prompt, text):
    """ln p of each character of the text, as greedy saw it.  -> (T,)"""
    ids, out = tokenizer.encode(prompt), []
    for token in tokenizer.encode(text):
        logits = model.next_logits(np.array([ids[-config.context :]]))[0]
        out.append(log_softmax(logits, never)[token])
        ids.append(token)
    return np.array(out)


for prompt, text in zip(PROMPTS[:4], greedy, strict=False):
    p = np.exp(step_log_p(prompt, text[:60])).reshape(3, 20).mean(axis=1)
    print(prompt, f" 概率 probability {p.round(2)}")

# %% [markdown] key="circle-after" lang="zh"
# 意外的是，转圈的每一步并不很有把握，只有一成到四成。够了：贪心不问有多大把握，只问谁排第一。第二名差一点点，也永远轮不到。
#
# 这也说出了治法。一圈六个字，每步概率 0.1，按概率抽签的话，原样再走一圈的机会是 $0.1^6$，百万分之一。**圈之所以是圈，只因为没有人掷骰子。**
#
# 大模型还多一层病：一句话说过一遍，下一遍的概率就更高，自己给自己鼓劲（Holtzman 等人 2020；Xu 等人 2022）。我们的小模型有没有？取没见过的短句，连说七遍，看每一遍的平均概率。
# %% [markdown] key="circle-after" lang="en"
# The surprise is that the steps of the circle are not at all sure; they have one to four tenths. That is enough: greedy does not ask how sure, only who is first. Whoever is second, by however little, never has a turn.
#
# This tells the cure as well. Take a circle of six characters with a probability of 0.1 each: if lots were drawn, the chance of going round once more unchanged would be $0.1^6$, one in a million. **The circle is a circle only because nobody throws dice.**
#
# Large models have a second trouble on top: whatever has been said once is likelier the next time, and so they egg themselves on (Holtzman and others 2020; Xu and others 2022). Does our small one? Take short sentences that it has never seen, say each of them seven times, and watch the mean probability each time.

# %% key="echo-run"
sentences = []
for piece in held_out.replace("。", "。\n").split("\n"):
    if 6 <= len(piece) <= 8 and piece.endswith("。") and tokenizer.unk_id not in tokenizer.encode(piece, unknown="unk"):
        sentences.append(piece)

echo = np.zeros(7)
for sentence in sentences[:60]:
    ids = tokenizer.encode("\n" + 7 * sentence)
    log_p = log_softmax(model(np.array([ids[:-1]]))[0][0])
    echo += log_p[np.arange(len(ids) - 1), ids[1:]].reshape(7, -1).mean(axis=1)
echo /= len(sentences[:60])
print("第几遍 time", *(f"{i:6d}" for i in range(1, 8)))
print("ln p      ", *(f"{value:6.2f}" for value in echo))
print(f"最后一遍与第一遍的概率之比 probability, last over first: {math.exp(echo[-1] - echo[0]):.2f}")

# %% [markdown] key="formula" lang="zh"
# 看不出来：七遍差不多，最后一遍比第一遍还略低一点；我们用另外三颗种子训练，也都是这样（0.83 到 0.91）。这么小的模型还不会照抄自己（照抄靠的是第 27 课要找的一种注意力头），它的圈是贪心走出来的；大模型两样都有。
#
# ## 掷骰子：几个公式
#
# 模型的分数叫 $z$，第 05 课的 softmax 把它变成概率。按概率抽签就叫**采样**。抽签之前可以先把分布修一修，三种修法，一个温度，两种裁剪：
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $V$ | 整数 | 个 | 词表里有多少种字 |
# | $z$ | (V,) | 无 | 分数，logit |
# | $\tau$ | 一个数 | 与 $z$ 相同 | 温度，0 就是贪心 |
# | $p$ | (V,) | 概率 | $p_i = e^{z_i/\tau} / \sum_j e^{z_j/\tau}$ |
# | $k$ | 整数 | 个 | top-k：只留概率最大的 $k$ 个字 |
# | $\theta$ | 一个数 | 概率 | top-p：从大到小留，留到合起来够 $\theta$ 为止 |
# | $S$ | 集合 | 无 | 留下的字；$p_i$ 改成 $p_i / \sum_{j \in S} p_j$，其余是 0 |
# | $H$ | 一个数 | 奈特 | 分布的熵 |
#
# ### 温度改变什么
#
# 第 05 课看过它的样子，这里推一推。两个字的概率之比是 $p_i/p_j = e^{(z_i - z_j)/\tau}$，温度只是给差距换一把尺子：$\tau \to 0$，差距无穷大，全给第一名；$\tau \to \infty$，差距没有了，人人相等。中间呢？熵是不是一路往上走？
#
# 记 $\beta = 1/\tau$，$\ln p_i = \beta z_i - \ln A$，其中 $A = \sum_j e^{\beta z_j}$。$\ln A$ 对 $\beta$ 的导数是 $\sum_j p_j z_j$，就是分数的平均 $E[z]$。于是
#
# $$H = -\sum_i p_i \ln p_i = \ln A - \beta E[z]$$
#
# $$\frac{dH}{d\beta} = E[z] - E[z] - \beta \frac{dE[z]}{d\beta} = -\beta\,\mathrm{Var}(z)$$
#
# 最后一步用了 $dp_i/d\beta = p_i (z_i - E[z])$，所以 $dE[z]/d\beta = \sum_i p_i (z_i - E[z]) z_i = \mathrm{Var}(z)$。再乘上 $d\beta/d\tau = -1/\tau^2$：
#
# $$\frac{dH}{d\tau} = \frac{\mathrm{Var}(z)}{\tau^3} \ge 0$$
#
# 方差不会是负的，所以温度越高，熵越大，没有例外。先拿四个字用手算。
# %% [markdown] key="formula" lang="en"
# Nothing of the kind: the seven are about alike, and the last is even a little less likely than the first; with three other seeds that we trained it was the same (0.83 to 0.91). A model this small does not copy itself yet (copying takes a kind of attention head that lesson 27 looks for); its circles come of being greedy. A large model has both.
#
# ## Throwing dice: a few formulas
#
# The model's scores are called $z$, and the softmax of lesson 05 turns them into probabilities. Drawing lots by them is called **sampling**. Before the draw the distribution may be trimmed, in three ways: a temperature and two cuts.
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $V$ | an integer | characters | size of the vocabulary |
# | $z$ | (V,) | none | scores, the logits |
# | $\tau$ | a number | that of $z$ | temperature; 0 is greedy |
# | $p$ | (V,) | probability | $p_i = e^{z_i/\tau} / \sum_j e^{z_j/\tau}$ |
# | $k$ | an integer | characters | top-k: only the $k$ likeliest characters stay |
# | $\theta$ | a number | probability | top-p: the likeliest stay, until together they have $\theta$ |
# | $S$ | a set | none | what stays; $p_i$ becomes $p_i / \sum_{j \in S} p_j$, and all else 0 |
# | $H$ | a number | nat | entropy of the distribution |
#
# ### What temperature does
#
# Lesson 05 showed what it looks like; here is the derivation. Two characters have the ratio $p_i/p_j = e^{(z_i - z_j)/\tau}$: temperature is a ruler for differences. With $\tau \to 0$ they are infinite and the first takes all; with $\tau \to \infty$ they vanish and all are equal. And in between, does entropy always go up?
#
# Write $\beta = 1/\tau$ and $\ln p_i = \beta z_i - \ln A$ with $A = \sum_j e^{\beta z_j}$. The derivative of $\ln A$ by $\beta$ is $\sum_j p_j z_j$, the mean score $E[z]$. Hence
#
# $$H = -\sum_i p_i \ln p_i = \ln A - \beta E[z]$$
#
# $$\frac{dH}{d\beta} = E[z] - E[z] - \beta \frac{dE[z]}{d\beta} = -\beta\,\mathrm{Var}(z)$$
#
# The last step takes $dp_i/d\beta = p_i (z_i - E[z])$, whence $dE[z]/d\beta = \sum_i p_i (z_i - E[z]) z_i = \mathrm{Var}(z)$. Times $d\beta/d\tau = -1/\tau^2$ this gives
#
# $$\frac{dH}{d\tau} = \frac{\mathrm{Var}(z)}{\tau^3} \ge 0$$
#
# A variance is never negative: the higher the temperature, the larger the entropy, without exception. Four characters by hand first.

# %% key="temperature-run" tags=["nbval-check-output"]
toy = np.log(np.array([0.5, 0.3, 0.15, 0.05]))


def entropy(z, tau):
    p = F.softmax(z / tau)[0]
    return -(p * np.log(p)).sum()


for tau in (0.25, 0.5, 1.0, 2.0, 4.0):
    p = F.softmax(toy / tau)[0]
    formula = (p * (toy - p @ toy) ** 2).sum() / tau**3
    slope = (entropy(toy, tau + 1e-5) - entropy(toy, tau - 1e-5)) / 2e-5
    assert np.isclose(formula, slope, rtol=1e-6)
    print(f"τ {tau:4.2f}   p {p.round(3)}   H {entropy(toy, tau):.3f}   Var/τ³ {formula:.4f}   dH/dτ {slope:.4f}")

# %% [markdown] key="tail" lang="zh"
# ### 为什么还要裁剪
#
# 温度不够。一千多个字，每个不该出现的字只有万分之几的概率，合起来却不少。设每一步有 $\varepsilon$ 的概率落进这条尾巴，写 $T$ 个字一次也没落进去的机会是
#
# $$(1 - \varepsilon)^T$$
#
# $\varepsilon$ 只要一成，写 20 个字就只有 12% 的机会干净。一个不该有的字一旦写下，后面的字就跟着它跑了。降低温度能压住尾巴，可也压住了第二名、第三名，又往转圈那边靠。所以直接剪掉尾巴：top-k 只留前 $k$ 名，top-p 只留合起来够 $\theta$ 的前几名，剪完重新归一。
#
# 先写成循环，一个字一个字地数。
# %% [markdown] key="tail" lang="en"
# ### Why cut at all
#
# Temperature is not enough. There are more than a thousand characters, and each that does not belong has only a few ten-thousandths, but together they have a good deal. Let a step fall into this tail with probability $\varepsilon$; then $T$ characters stay clear of it with the chance
#
# $$(1 - \varepsilon)^T$$
#
# With an $\varepsilon$ of a tenth, 20 characters come out clean only 12% of the time. And once a character is written that does not belong, the rest follows it. A lower temperature keeps the tail down, but the second and the third as well, and so leans towards circles again. So cut the tail off: top-k keeps the first $k$, top-p the first few that together have $\theta$, and what is left is made to sum to one again.
#
# With loops first, counting character by character.


# %% key="cut-loops" tags=["nbval-check-output"]
def top_k_loops(p, k):
    order = sorted(range(len(p)), key=lambda i: -p[i])
    kept = {i: p[i] for i in order[:k]}
    return [kept.get(i, 0.0) / sum(kept.values()) for i in range(len(p))]


def top_p_loops(p, theta):
    kept = {}
    for i in sorted(range(len(p)), key=lambda i: -p[i]):
        kept[i] = p[i]
        if sum(kept.values()) >= theta:  # 刚好够，就停 enough: stop
            break
    return [kept.get(i, 0.0) / sum(kept.values()) for i in range(len(p))]


p = [0.05, 0.5, 0.15, 0.3]
print("top-k 2:   ", np.round(top_k_loops(p, 2), 4))
print("top-p 0.75:", np.round(top_p_loops(p, 0.75), 4))
print("top-p 0.85:", np.round(top_p_loops(p, 0.85), 4))
print("top-p 0.4: ", np.round(top_p_loops(p, 0.4), 4))
print("20 步不落进尾巴 20 steps clear of the tail:", round(0.9**20, 3))

# %% [markdown] key="cut-rows" lang="zh"
# 注意最后一行：第一名一个人就有 0.5，已经够 0.4 了，所以只留它。top-p 至少留一个字，不会把分布剪空。
#
# 向量化只要排一次序，再累加一次。`searchsorted` 找到累加第一次够 $\theta$ 的地方。
# %% [markdown] key="cut-rows" lang="en"
# Mind the last line: the first has 0.5 by itself, which is 0.4 already, and so it alone stays. Top-p keeps one character at least; it never cuts a distribution to nothing.
#
# The vectorised form sorts once and sums up once. `searchsorted` finds the place where the running sum first reaches $\theta$.


# %% key="cut-rows-run" tags=["nbval-check-output"]
from minillm.generate import distribution as minillm_distribution


def cut(z, temperature=1.0, top_k=0, top_p=1.0):
    """logits (V,) -> probabilities (V,)"""
    p = F.softmax(z.astype(np.float64) / temperature)[0]
    order = np.argsort(-p, kind="stable")
    if top_k:
        p[order[top_k:]] = 0
        p = p / p.sum()
    if top_p < 1:
        last = np.searchsorted(np.cumsum(p[order]), top_p)
        p[order[last + 1 :]] = 0
        p = p / p.sum()
    return p


rng = np.random.default_rng(0)
for _ in range(200):
    z, tau, k, theta = 3 * rng.normal(size=30), rng.uniform(0.3, 2), int(rng.integers(1, 30)), rng.uniform(0.05, 0.99)
    assert np.allclose(cut(z, tau), minillm_distribution(z, tau), atol=1e-15)
    assert np.allclose(cut(z, tau, k), minillm_distribution(z, tau, k), atol=1e-15)
    assert np.allclose(cut(z, tau, k, theta), minillm_distribution(z, tau, k, theta), atol=1e-15)
    assert np.allclose(cut(z, top_k=k), top_k_loops(minillm_distribution(z), k), atol=1e-15)
    assert np.allclose(cut(z, top_p=theta), top_p_loops(minillm_distribution(z), theta), atol=1e-15)
print("循环、向量化、minillm，三者相等 loops, vectorised and minillm agree")

# %% [markdown] key="cut-listing" lang="zh"
# 下面是 minillm 的源码。比我们的多三样：先查设置说不说得通；温度是 0 就直接给第一名；先减去最大的分数再除以温度，温度再小也不溢出。先 top-k 再 top-p 的时候，$\theta$ 是剪过之后那个分布里的份额，和我们一样。
# %% [markdown] key="cut-listing" lang="en"
# This is minillm's source. It has three things more: it asks first whether the settings make sense; a temperature of 0 gives all to the first; and the largest score is subtracted before dividing, so that no temperature however small overflows. Where top-k comes before top-p, $\theta$ is a share of the distribution that top-k has left, as in ours.

# %% key="cut-listing-code"
from minillm.generate import check_sampling


from minillm.generate import distribution  # paste

# %% [markdown] key="context" lang="zh"
# ## 为什么要 top-p
#
# 留几个字合适？看上文。“我爱北”后面几乎只能是“京”；“今天”后面，几百个字都说得过去。同样留 10 个，前一处留得太多，后一处剪得太狠。
# %% [markdown] key="context" lang="en"
# ## Why top-p
#
# How many characters should stay? It depends on the context. After 我爱北 there is hardly anything but 京; after 今天 (“today”) hundreds of characters make sense. Ten are too many for the one and far too few for the other.


# %% key="context-run"
def next_p(text):
    return np.exp(log_softmax(model.next_logits(np.array([tokenizer.encode(text)]))[0], never))


contexts = ("我爱北", "今天")
for ax, text in zip(axes := viz.new_axes(8.2, 3.4, columns=2, sharey=True), contexts, strict=True):
    p = next_p(text)
    order = np.argsort(-p)
    mass, needed = p[order[:10]].sum(), int(np.searchsorted(np.cumsum(p[order]), 0.9)) + 1
    viz.plot_distribution([tokenizer.decode([i]) for i in order[:14]], p[order[:14]], ax, form="")
    ax.axvline(9.5, color="#D55E00", linestyle="--")
    ax.set_title(f"{text}＿   前 10 个 first 10: {mass:.2f}\n凑够 0.9 要 0.9 takes {needed}", fontsize=11)
axes[1].set_ylabel("")
viz.show(
    axes,
    alt="一个尖的分布和一个平的分布，前十个字各占多少 a peaked and a flat distribution, and what the first ten hold",
)

# %% [markdown] key="context-all" lang="zh"
# 两处是我们挑的。再看没见过的文字里两千多个位置：top-k 10 留下多少概率，top-p 0.9 留下几个字。
# %% [markdown] key="context-all" lang="en"
# Those two were picked by us. Now some two thousand places of unseen text: how much probability top-k with 10 keeps, and how many characters top-p with 0.9 keeps.

# %% key="context-all-run"
windows = unseen[: 40 * config.context].reshape(40, config.context)
p = np.concatenate([np.exp(log_softmax(model(window[None])[0][0], never)) for window in windows])
ranked = -np.sort(-p, axis=1)
kept_mass = ranked[:, :10].sum(axis=1)
kept_count = (ranked.cumsum(axis=1) < 0.9).sum(axis=1) + 1
low, high = np.quantile(kept_mass, [0.1, 0.9])
print("第 10 到第 90 百分位 10th to 90th percentile")
print(f"top-k 10 留下的概率 probability kept: {low:.2f} … {high:.2f}")
print(
    "top-p 0.9 留下的字数 characters kept, 10, 50, 90%:", *np.quantile(kept_count, [0.1, 0.5, 0.9]).round().astype(int)
)

left, right = axes = viz.new_axes(8.2, 3.2, columns=2)
left.hist(kept_mass, bins=20, color="#0072B2")
left.set_xlabel("top-k 10 留下的概率 probability kept")
left.set_ylabel("位置数 places")
right.hist(kept_count, bins=np.geomspace(1, 1400, 22), color="#009E73")
right.set_xscale("log")
right.set_xlabel("top-p 0.9 留下几个字 characters kept")
viz.show(
    axes, alt="top-k 留下的概率随上文变，top-p 留下的字数随上文变 what top-k and top-p keep varies with the context"
)

# %% [markdown] key="cure" lang="zh"
# top-k 定死个数，概率忽多忽少；top-p 定死概率，个数自己伸缩。这就是 top-p 的道理。不过尾巴里的字是模型真心觉得有可能的，剪掉就不再是模型的分布：写得稳了，也写得窄了。
#
# ## 治好它
#
# 还有一类办法不掷骰子，直接罚重复。**重复惩罚**（Keskar 等人 2019）把已经写过的字的分数压低：正的分数除以 $\rho$，负的乘以 $\rho$，$\rho > 1$。为什么要分正负？负数除以 1.3 反而变大，罚成了奖。**n 元组不重**（Paulus 等人 2018）更干脆：凡是会凑成旧 n 元组的字，一律不许。minillm 把两样写在一个函数里：
# %% [markdown] key="cure" lang="en"
# Top-k fixes the number, and the probability comes out now large, now small; top-p fixes the probability, and the number stretches as it must. That is the point of top-p. Still, what is in the tail the model does hold possible, and with the tail cut off it is no longer the model's distribution: writing becomes steadier, and narrower.
#
# ## Cured
#
# Another kind of remedy throws no dice but fines repetition. The **repetition penalty** (Keskar and others 2019) lowers the scores of characters that have been written: positive ones are divided by $\rho$, negative ones multiplied by it, with $\rho > 1$. Why two cases? A negative number divided by 1.3 grows, and the fine would be a reward. **No n-gram twice** (Paulus and others 2018) is blunter: whatever would complete an n-gram that is there already is forbidden. minillm has both in one function:

# %% key="cure-listing" tags=["nbval-check-output"]
from collections.abc import Sequence


from minillm.generate import control_repetition  # paste

z = np.array([2.0, 1.0, -1.0, 0.5])
print("惩罚 penalty 2，写过 0 和 2 written 0 and 2: ", control_repetition(z, [0, 2], penalty=2.0))
print("二元组不重 no bigram twice，写过 written 1 3 1:", control_repetition(z, [1, 3, 1], no_repeat_ngram=2))

# %% [markdown] key="cure-table" lang="zh"
# 现在把各种办法放在一起比。不转圈还不够，乱写一气也不转圈。所以每种办法量两个数：rep-4，说了多少遍重话；**生造**，相邻两个字从没在训练的文字里挨着出现过的比例，胡言乱语就高。真文字也有生造，没见过的好句子里总有新的搭配，那就是该靠近的地方。六个开头，掷骰子的办法各用两颗种子。
# %% [markdown] key="cure-table" lang="en"
# Now compare them all. Not going in circles is not enough: raving does not go in circles either. So measure two things for each: rep-4, how much is said again; and **made up**, the share of neighbouring characters that never stood side by side in the training text, which is high for raving. Real text makes up things too, since good new sentences have new neighbours, and that is the place to come close to. Six beginnings, and two seeds for whatever throws dice.

# %% key="cure-run"
neighbours = set(pairwise("\n".join(corpus.train)))


def made_up(text):
    pairs = list(pairwise(text))
    return sum(pair not in neighbours for pair in pairs) / len(pairs)


WAYS = {
    "贪心 greedy": {"temperature": 0},
    "贪心 greedy, ρ 1.3": {"temperature": 0, "repetition_penalty": 1.3},
    "贪心 greedy, 3 字不重 no 3-gram twice": {"temperature": 0, "no_repeat_ngram": 3},
    "τ 0.4": {"temperature": 0.4},
    "τ 0.7": {"temperature": 0.7},
    "τ 1": {},
    "τ 1.5": {"temperature": 1.5},
    "top-k 20": {"top_k": 20},
    "top-p 0.9": {"top_p": 0.9},
    "τ 0.8, top-p 0.9": {"temperature": 0.8, "top_p": 0.9},
}
measured, examples = {}, {}
print("rep-4  distinct-2  生造 made up")
for name, settings in WAYS.items():
    seeds = (0,) if settings.get("temperature") == 0 else (0, 1)
    texts = [write(prompt, seed=10 * n + seed, **settings) for n, prompt in enumerate(PROMPTS) for seed in seeds]
    row = [np.mean([f(text) for text in texts]) for f in (lambda t: rep(t, 4), lambda t: distinct(t, 2), made_up)]
    measured[name], examples[name] = row, texts[0]
    print("{:.3f}    {:.3f}      {:.3f}   ".format(*row), name)
real_row = [np.mean([f(text) for text in real]) for f in (lambda t: rep(t, 4), lambda t: distinct(t, 2), made_up)]
print("{:.3f}    {:.3f}      {:.3f}   ".format(*real_row), "真文字 real text")

# %% key="cure-picture"
left, right = axes = viz.new_axes(8.4, 4.2, columns=2, sharey=True)
names = list(measured)[::-1]
for ax, column, label in ((left, 0, "rep-4：重复 repeated"), (right, 2, "生造 made up")):
    values = [measured[name][column] for name in names]
    colours = ["#D55E00" if WAYS[name].get("temperature") == 0 else "#0072B2" for name in names]
    ax.barh(range(len(names)), values, color=colours)
    ax.axvline(real_row[column], color="#009E73", linestyle="--", label="真文字 real text")
    ax.set_xlabel(label)
left.set_yticks(range(len(names)), names, fontsize=9)
left.legend(loc="lower right")
viz.show(axes, alt="各种办法的重复与生造 repetition and made-up pairs of each way of choosing")

# %% key="cure-texts"
for name in ("贪心 greedy", "τ 1.5", "τ 0.8, top-p 0.9"):
    print(f"[{name}]")
    show_text("我爱北京" + examples[name][:68])

# %% [markdown] key="beam" lang="zh"
# 转圈治好了：除了贪心、罚得不够的贪心和很低的温度，重复都降到真文字那么少，甚至更少。可是温度一高，生造就超过真文字，成了胡话。离绿线最近的是 $\tau = 1$ 和 top-p 0.9。top-k 20 和低温更稳，也更窄：新的搭配比真文字少得多。禁令和惩罚是治标，重复少了，还是贪心，几乎一个新搭配也不敢写。
#
# 没有哪个设置对什么都好：写故事可以热一些，回答事实要冷一些。这两把尺子也只量重复和新旧，量不出通不通。这么小的模型，退化治好了，话还是说不通；那是训练的事，解码只能不添乱。
#
# ## 束搜索：分数更高，读着更差
#
# 也许贪心的毛病是目光短浅？一段文字的概率，是每一步的概率相乘；取对数，就是相加：
#
# $$\ln p(x_1, \dots, x_T) = \sum_{t=1}^{T} \ln p(x_t \mid x_1, \dots, x_{t-1})$$
#
# 每一步都取最大，和不一定最大。手算一个：第一步甲 0.5，乙 0.4；甲后面三个字不相上下，最多 0.4；乙后面有一个字占 0.9。贪心走甲，得 $0.5 \times 0.4 = 0.2$；走乙却有 $0.4 \times 0.9 = 0.36$。
#
# **束搜索**同时留着 $w$ 条路，每一步把每条路往后接上每个字，再留总分最高的 $w$ 条。$w = 1$ 就是贪心。
# %% [markdown] key="beam" lang="en"
# The circles are cured: but for greedy, greedy with too small a fine and a very low temperature, repetition is down to that of real text or below. With a high temperature, though, more is made up than in real text, and that is raving. Nearest to the green lines are $\tau = 1$ and top-p with 0.9. Top-k with 20 and low temperatures are steadier, and narrower: far fewer new pairs than in real text. Bans and fines treat the symptom: there is less repetition, but they are greedy still and dare hardly a single new pair.
#
# No setting is good for everything: a story may be warmer, a fact should be cooler. And the two rulers measure only what is repeated and what is new, not what makes sense. A model as small as this makes little sense even when its degeneration is cured; that is for training, and decoding can only do no harm.
#
# ## Beam search: higher scores, worse reading
#
# Perhaps greedy is merely short-sighted? The probability of a text is the product of its steps; with logarithms, a sum:
#
# $$\ln p(x_1, \dots, x_T) = \sum_{t=1}^{T} \ln p(x_t \mid x_1, \dots, x_{t-1})$$
#
# The largest at every step does not make the largest sum. By hand: the first step gives 0.5 to A and 0.4 to B; after A three characters are level, 0.4 at most; after B one has 0.9. Greedy takes A and gets $0.5 \times 0.4 = 0.2$; B would have had $0.4 \times 0.9 = 0.36$.
#
# **Beam search** keeps $w$ paths at a time. At each step it extends every path by every character and keeps the $w$ with the highest total. With $w = 1$ this is greedy.


# %% key="beam-toy" tags=["nbval-check-output"]
def beam(next_log_p, count, width):
    """The `width` best of what it finds, as (ln p, ids). next_log_p(ids) -> (V,)"""
    paths = [(0.0, [])]
    for _ in range(count):
        longer = []
        for total, ids in paths:
            for token, log_p in enumerate(next_log_p(ids)):
                longer.append((total + log_p, [*ids, token]))
        paths = sorted(longer, key=lambda path: -path[0])[:width]
    return paths


table = {(): [0.5, 0.4, 0.1], (0,): [0.4, 0.3, 0.3], (1,): [0.05, 0.9, 0.05], (2,): [0.3, 0.3, 0.4]}
for width in (1, 2):
    total, ids = beam(lambda ids: np.log(table[tuple(ids)]), 2, width)[0]
    print(f"w = {width}: {''.join('甲乙丙'[i] for i in ids)}  p = {math.exp(total):.2f}")

# %% [markdown] key="beam-exhaustive" lang="zh"
# 怎样知道束搜索写对了？词表极小的时候可以**穷举**：5 种字，写 4 个，$5^4 = 625$ 段文字，一段一段算，找出真正最好的。束宽到 $5^3 = 125$ 时一条路也没丢过，必须和穷举一样。模型是一个没训练过的小 GPT，权重放大 6 倍，好让它的偏好分明。
# %% [markdown] key="beam-exhaustive" lang="en"
# How do we know that our beam search is right? With a tiny vocabulary everything can be **enumerated**: 5 characters, 4 steps, $5^4 = 625$ texts, each worked out, and the truly best one found. With a width of $5^3 = 125$ no path is ever lost, so the search must agree. The model is a small untrained GPT, its weights made 6 times as large so that it has clear preferences.

# %% key="beam-exhaustive-run" tags=["nbval-check-output"]
from minillm.config import ModelConfig
from minillm.generate import beam_search

tiny = GPT(ModelConfig(5, context=8, n_layer=1, n_head=2, d_model=16), rng=np.random.default_rng(38), dtype=np.float64)
tiny.load_state_dict({name: 6 * array for name, array in tiny.state_dict().items()})


def tiny_log_p(ids):
    return log_softmax(tiny.next_logits(np.array([[0, *ids]]))[0])


def total_log_p(ids):
    return sum(tiny_log_p(list(ids[:t]))[ids[t]] for t in range(len(ids)))


best = max(product(range(5), repeat=4), key=total_log_p)
print(f"穷举 enumerated   {list(best)}  ln p = {total_log_p(best):.4f}")
for width in (1, 2, 4, 125):
    total, ids = beam(tiny_log_p, 4, width)[0]
    theirs, same_ids = beam_search(tiny, [0], 4, width=width)[0]
    assert same_ids == ids and np.isclose(theirs, total, rtol=1e-12)
    print(f"束宽 width {width:3d}    {ids}  ln p = {total:.4f}")
assert tuple(ids) == best

# %% [markdown] key="beam-model" lang="zh"
# 我们的写法、minillm 的 `beam_search`、穷举，三者一致。束窄的时候错过了最好的，宽到底就不会。顺便看看最好的那一段是什么：同一个字写四遍。
#
# 现在用在我们的模型上。每个开头写 56 个字，量每字的 $\ln p$ 和 rep-4；再给没见过的真文字也打一样的分，还有 $\tau = 1$ 采样的文字。
# %% [markdown] key="beam-model" lang="en"
# Our search, minillm's `beam_search` and the enumeration agree. The narrow beams missed the best text; with full width that cannot happen. And look what the best one is: the same character four times.
#
# Now to our model. Write 56 characters from every beginning and measure $\ln p$ a character and rep-4; and score in the same way real text that it has never seen, and text sampled with $\tau = 1$.


# %% key="beam-run"
def mean_log_p(prompt, text):
    """Mean ln p of a text's characters after the prompt, both within the context."""
    ids = tokenizer.encode(prompt + text, unknown="unk")
    log_p = log_softmax(model(np.array([ids[:-1]]))[0][0])
    known = [t for t in range(len(prompt), len(ids)) if ids[t] != tokenizer.unk_id]
    return np.mean([log_p[t - 1, ids[t]] for t in known])


SHORT = 56
found = {}
for width in (1, 2, 4, 8):
    found[f"束宽 width {width}"] = [
        (prompt, tokenizer.decode(beam_search(model, tokenizer.encode(prompt), SHORT, width=width, banned=never)[0][1]))
        for prompt in PROMPTS
    ]
found["采样 sampled, τ 1"] = [(prompt, write(prompt, SHORT, seed=5)) for prompt in PROMPTS]
found["真文字 real text"] = [(text[:4], text[4 : 4 + SHORT]) for text in real]

scores = {}
print("ln p / 字 character   rep-4")
for name, pairs in found.items():
    scores[name] = np.mean([mean_log_p(*pair) for pair in pairs]), np.mean([rep(text, 4) for _, text in pairs])
    print(f"      {scores[name][0]:6.3f}          {scores[name][1]:.3f}   {name}")

# %% key="beam-texts"
for width in (1, 4):
    for prompt, text in found[f"束宽 width {width}"][:3]:
        print(f"[w = {width}]")
        show_text(prompt + text)

# %% [markdown] key="beam-picture" lang="zh"
# 束宽从 1 到 4，分数高了一大截，再宽就差不多了。重复却没有治好：rep-4 还有一半上下，真文字几乎是零。看 $w = 4$ 写的：同一句话，换个名字、换个标点，再说一遍，正是开头那篇文章的病。真文字的分数比它们都**低**得多，倒和 $\tau = 1$ 抽签写的差不远。画出每一步的 $\ln p$，看得更清楚：束搜索那条线贴着上面走，句句都在意料之中；人写的字忽高忽低，隔几个字就有一个出人意料的。
# %% [markdown] key="beam-picture" lang="en"
# From a width of 1 to 4 the score rises a good deal, and little from there on. But repetition is not cured: rep-4 is still about a half, and in real text next to nothing. Look at $w = 4$: the same sentence once more with a name or a comma swapped, the very disease of the article at the beginning. Real text scores far **lower** than any of them, and not far from what dice write at $\tau = 1$. Drawn step by step, $\ln p$ shows it better: the line of beam search runs along the top, everything as expected; what people write goes up and down, and every few characters there is a surprise.


# %% key="beam-picture-run"
def log_p_line(prompt, text):
    ids = tokenizer.encode(prompt + text, unknown="unk")
    return log_softmax(model(np.array([ids[:-1]]))[0][0])[np.arange(len(prompt) - 1, len(ids) - 1), ids[len(prompt) :]]


ax = viz.new_axes(8, 3.4)
lines = {"束宽 width 4": ("#D55E00", 0), "真文字 real text": ("#009E73", 1)}
for name, (colour, which) in lines.items():
    ax.plot(range(1, SHORT + 1), log_p_line(*found[name][which]), color=colour, label=name)
    ax.axhline(scores[name][0], color=colour, linestyle=":")
ax.set_xlabel("第几个字 character")
ax.set_ylabel("ln p（奈特 nats）")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
viz.show(ax, alt="束搜索每一步的概率都高，真文字忽高忽低 each step of the beam is likely, real text goes up and down")

# %% [markdown] key="cache" lang="zh"
# 为什么最可能的文字不是好文字？想一枚不公平的硬币，正面 0.6，掷一百次。最可能的一串是一百个正面；可你真掷一百次，永远看不到它，看到的总是六十来个正面。典型的一串，平均每步的惊讶大约等于熵，0.67 奈特；最可能的一串，每步只有 $-\ln 0.6 = 0.51$。人说话是为了告诉别人新东西，更不会句句都在意料之中。
#
# 束搜索有它的用处：翻译、识别语音，答案几乎只有一个，找最可能的很合理。写文章不是。即使翻译，找得太彻底也会坏：Stahlberg 和 Byrne 2019 年让模型找出真正概率最高的译文，一半以上竟是空的。
#
# ## 写得快：键值缓存
#
# 现在看时间。`write_greedily` 每写一个字，都把前面所有的字从头算一遍。写第 60 个字要算 63 个位置，其中 62 个上一步刚算过。白算的能不能留着？
#
# 先看一层、一个头。位置 $t$ 的输出是
#
# $$y_t = \sum_{j \le t} w_{tj}\, v_j \qquad w_{tj} = \frac{e^{q_t \cdot k_j / \sqrt{d_k}}}{\sum_{m \le t} e^{q_t \cdot k_m / \sqrt{d_k}}}$$
#
# 写下一个字，只要 $y_t$ 这一行。它用到 $q_t$ 一个查询，和 $t$ 以前**所有**的键和值。键 $k_j = W_K x_j$ 只由 $x_j$ 决定。问题是：多了一个字，旧的 $x_j$ 变不变？
#
# 一层一层往上推。第一层的 $x_j$ 是第 $j$ 个字的嵌入（和位置），后面来了什么字与它无关。假设某一层的 $x_1, \dots, x_j$ 都不受后来的字影响；因果掩码下 $y_j$ 只看 $x_1, \dots, x_j$，前馈和归一化又是每个位置各算各的，所以再往上一层的 $x_j$ 也不受影响。于是每一层都不变，**旧的键和值可以存起来**，这就是键值缓存。查询不用存，旧的位置不会再问了。
#
# 关键是因果掩码。拿掉它，每个旧位置都看得见新字，就全变了。验一验：前 20 个字的键，后面再来 20 个字，动不动？
# %% [markdown] key="cache" lang="en"
# Why is the likeliest text not a good text? Take an unfair coin, 0.6 for heads, and throw it a hundred times. The likeliest sequence is a hundred heads; but throw it a hundred times and you will never see that, always sixty heads or so. A typical sequence surprises by about the entropy, 0.67 nats a step on average; the likeliest one by no more than $-\ln 0.6 = 0.51$. And people speak in order to tell something new; still less will every word of theirs be as expected.
#
# There are uses for beam search: in translation or speech recognition there is nearly one answer, and to look for the likeliest makes sense. For writing it does not. Even translation goes bad when searched too well: in 2019 Stahlberg and Byrne found the translation with truly the highest probability, and for more than half of their sentences it was empty.
#
# ## Quickly: the key-value cache
#
# Now for time. For each character `write_greedily` computes all earlier ones again from the start. The 60th takes 63 positions, of which 62 were computed a moment before. Can that be kept?
#
# First one layer and one head. The output at position $t$ is
#
# $$y_t = \sum_{j \le t} w_{tj}\, v_j \qquad w_{tj} = \frac{e^{q_t \cdot k_j / \sqrt{d_k}}}{\sum_{m \le t} e^{q_t \cdot k_m / \sqrt{d_k}}}$$
#
# The next character needs this one row $y_t$. It uses the one query $q_t$, and **all** keys and values up to $t$. A key $k_j = W_K x_j$ depends on $x_j$ alone. The question is: does a new character change the old $x_j$?
#
# Go up layer by layer. In the first, $x_j$ is the embedding of character $j$ (and its position), whatever comes later. Suppose that in some layer $x_1, \dots, x_j$ do not depend on later characters. Under a causal mask $y_j$ sees $x_1, \dots, x_j$ only, and the feed-forward network and the normalisation work on each position by itself; so the $x_j$ of the next layer does not depend on them either. Nothing changes in any layer, and **old keys and values can be kept**: that is the KV cache. Queries need not be kept, for old positions never ask again.
#
# It hangs on the causal mask. Take it away, and every old position sees the new character and changes. Try it: do the keys of the first 20 characters move when 20 more come?

# %% key="cache-frozen"
from copy import deepcopy

passage = tokens[1000 : 1000 + config.context]
for causal in (True, False):
    other = deepcopy(model)
    for block in other.blocks:
        block.attn.causal = causal
    short, long = other.new_cache(), other.new_cache()
    other.next_logits(passage[None, :20], short)
    other.next_logits(passage[None, :40], long)
    moved = [np.abs(a.k[:, :, :20] - b.k[:, :, :20]).max() for a, b in zip(short, long, strict=True)]
    print(f"causal={causal!s:5}  各层的旧键动了多少 old keys moved, by layer: {moved[0]:.1g}, {moved[1]:.1g}")

# %% [markdown] key="cache-build" lang="zh"
# 有掩码，只动了浮点的零头；没有，第一层还是不动（那里只有嵌入），第二层全变了。
#
# 现在自己写一遍，整个模型，一次一个字。用的是模型自己的各层，只有注意力那几行是新的：把新的键和值接在旧的后面，一个查询去看它们。
# %% [markdown] key="cache-build" lang="en"
# With the mask, only rounding moves; without it the first layer still stands (there are only embeddings there), and the second is all changed.
#
# Now write it ourselves, the whole model, one character at a time. The layers are the model's own; only the lines about attention are new: append the new key and value to the old ones, and let one query look at them.

# %% key="cache-build-run"
from minillm.np.position import rotary


def empty_cache(model):
    c = model.config
    return [np.zeros((2, c.n_head, 0, c.d_model // c.n_head), model.dtype) for _ in model.blocks]


def step(model, token, position, cache):
    """Scores (V,) after one more character. cache: of each layer the keys and values, (2, H, S, K), which grow."""
    table = model.emb.tok.weight.data
    x = table[[token]]  # (1, D)
    for layer, block in enumerate(model.blocks):
        qkv, _ = block.attn.in_proj(block.norm1(x)[0])
        q, k, v = qkv.reshape(3, model.config.n_head, 1, -1)  # (H, 1, K)
        q, k = rotary(q, position)[0], rotary(k, position)[0]
        cache[layer] = np.concatenate([cache[layer], np.stack([k, v])], axis=2)
        keys, values = cache[layer]
        weights, _ = F.softmax(q @ keys.swapaxes(1, 2) / math.sqrt(q.shape[-1]))  # (H, 1, S)
        x = x + block.attn.out_proj((weights @ values).reshape(1, -1))[0]
        x = x + block.ffn(block.norm2(x)[0])[0]
    return (model.norm(x)[0] @ table.T)[0]


cache = empty_cache(model)
for position, token in enumerate(tokenizer.encode("我爱北")):
    scores_next = step(model, token, position, cache)
print("下一个 next:", tokenizer.decode([int(scores_next.argmax())]), "  缓存 cache:", [layer.shape for layer in cache])

# %% [markdown] key="cache-equal" lang="zh"
# 没有掩码这一行：缓存里只有过去，未来还不存在。
#
# 和不用缓存的一样吗？64 个位置，逐个比分数。同样的权重，float32 和 float64 各来一遍；还有 minillm 自己的缓存。float 能给到哪一位，看最大的分数旁边，两个相邻的浮点数隔多远（`np.spacing`）。
# %% [markdown] key="cache-equal" lang="en"
# There is no line for a mask: the cache holds the past only, and the future is not there yet.
#
# Is it the same as without a cache? Compare the scores at 64 positions. The same weights, once in float32 and once in float64; and minillm's own cache. How finely float can tell numbers apart, `np.spacing` says: the distance of two neighbouring floating-point numbers where the largest score is.

# %% key="cache-equal-run"
difference = {}
for dtype in (np.float32, np.float64):
    other = GPT(config, rng=np.random.default_rng(0), dtype=dtype)
    other.load_state_dict({name: array.astype(dtype) for name, array in model.state_dict().items()})
    whole = other(passage[None])[0][0]
    cache, kv = empty_cache(other), other.new_cache()
    ours = np.array([step(other, token, position, cache) for position, token in enumerate(passage)])
    theirs = np.array([other.next_logits(passage[None, [position]], kv)[0] for position in range(len(passage))])
    unit = np.spacing(np.abs(whole).max())
    gaps = [np.abs(scored - whole).max() for scored in (ours, theirs)]
    difference[dtype.__name__] = max(gaps)
    print(f"{dtype.__name__}  最大的差 largest difference {max(gaps):.2g}   浮点间隔 spacing {unit:.2g}")
    assert np.array_equal(ours.argmax(axis=1), whole.argmax(axis=1))

# %% [markdown] key="cache-bits" lang="zh"
# 只差几个间隔。为什么不是零？道理上是同样的乘法和加法，可是一次乘 64 行和一次乘一行，矩阵乘法里相加的次序不同，浮点数相加换个次序，末位就可能变。换成 float64，差也跟着小了将近九位，说明这是舍入，不是写错。写错的差不会跟着精度走。
#
# 末位的差会不会改变文字？两个字的分数差到末位那么近，贪心就可能选另一个，从那里起全文都不同。很少见，但不是不可能，所以同一个种子在不同的机器上偶尔写得不一样。
#
# 这是 minillm 的缓存。它一次占够 `length` 个位置，省得每步都搬家；`reorder` 给束搜索用，一条路被丢掉，它的缓存就换成别人的。
# %% [markdown] key="cache-bits" lang="en"
# A few spacings, no more. Why not zero? These are in theory the same products and sums, but a matrix product of 64 rows and one of a single row add them up in a different order, and floating-point sums in another order may differ in the last digit. In float64 the difference shrinks by nearly nine digits: so it is rounding and not a mistake. A mistake does not follow the precision.
#
# Can a last digit change the text? If two scores are as close as that, greedy may choose the other one, and all is different from there on. It is rare and not impossible, and so the same seed now and then writes differently on different machines.
#
# This is minillm's cache. It takes the room of `length` positions at once instead of moving house at every step; `reorder` is for beam search: when a path is dropped, its cache becomes a copy of another's.

# %% key="cache-listing"
from typing import Any

from minillm.np.param import Array


from minillm.np.attention import KVCache  # paste

# %% [markdown] key="count" lang="zh"
# ### 省了多少：数一数
#
# 写 $T$ 个字，提示词有 $P$ 个字。不用缓存，第 $i$ 步（从 0 数）算 $P + i$ 个位置；用缓存，开头算 $P$ 个，以后每步一个：
#
# $$\sum_{i=0}^{T-1} (P + i) = TP + \frac{T(T-1)}{2} \qquad\text{与}\qquad P + T - 1$$
#
# 前一个是 $T$ 的平方，后一个是 $T$ 的一次方。给模型套一个只会数数的壳，看公式对不对。
# %% [markdown] key="count" lang="en"
# ### How much is saved: count
#
# Write $T$ characters after a prompt of $P$. Without a cache step $i$ (from 0) computes $P + i$ positions; with one, $P$ at first and one a step from then on:
#
# $$\sum_{i=0}^{T-1} (P + i) = TP + \frac{T(T-1)}{2} \qquad\text{and}\qquad P + T - 1$$
#
# One goes with the square of $T$, the other with $T$ itself. Put a shell around the model that does nothing but count, and see whether the formulas are right.


# %% key="count-run" tags=["nbval-check-output"]
class Counting:
    """A model that counts the positions it computes."""

    def __init__(self, model):
        self.model, self.config, self.new_cache, self.positions = model, model.config, model.new_cache, 0

    def next_logits(self, ids, kv=None):
        self.positions += ids.size
        return self.model.next_logits(ids, kv)


prompt_ids, counted, greedy_ids = tokenizer.encode("我爱北京"), {}, {}
P, T = len(prompt_ids), 60
for cached in (False, True):
    counting = Counting(model)
    stream = generate(
        counting, prompt_ids, T, temperature=0, banned=never, rng=np.random.default_rng(0), kv_cache=cached
    )
    greedy_ids[cached] = list(stream)
    counted[cached] = counting.positions
    print(f"kv_cache={cached!s:5}  位置 positions: {counted[cached]}")
assert counted[False] == T * P + T * (T - 1) // 2 and counted[True] == P + T - 1
print("两次写的字一样 the same text:", greedy_ids[False] == greedy_ids[True])

# %% [markdown] key="count-flops" lang="zh"
# 一个位置大约要做多少次乘法？每个权重矩阵里的数乘一次，共 $N$ 次；注意力在 $t$ 个位置上打分、求平均，每层各 $tD$ 次，共 $2LtD$。所以用缓存写到第 $t$ 个字，这一步是 $N + 2LtD$；不用缓存，是 $tN + LDt(t+1)$。
# %% [markdown] key="count-flops" lang="en"
# About how many multiplications does a position take? Each number in a weight matrix is used once, $N$ in all; attention scores $t$ positions and averages them, $tD$ each in every layer, $2LtD$ together. So with a cache the step of character $t$ takes $N + 2LtD$; without, $tN + LDt(t+1)$.

# %% key="count-flops-run" tags=["nbval-check-output"]
N = sum(array.size for array in model.state_dict().values() if array.ndim == 2)
L, D = config.n_layer, config.d_model
print(f"N = {N:,}")
for length in (64, 256, 1024):
    t = np.arange(1, length + 1)
    with_cache = (N + 2 * L * t * D).sum()
    without = (t * N + L * D * t * (t + 1)).sum()
    ratio = without / with_cache
    print(f"T = {length:4d}   {without / 1e9:7.2f} → {with_cache / 1e9:.3f} × 10⁹   ÷ {ratio:.1f}")

# %% [markdown] key="time" lang="zh"
# ### 量时间
#
# 再用钟量。为了看得远一些，造一个同样大小、一次能看 256 个字的模型；没训练过也不要紧，花的时间一样。（旋转位置没有位置表，第 08 课讲过，所以换个长度不必改权重。）
# %% [markdown] key="time" lang="en"
# ### Time it
#
# Now with a clock. To see farther, make a model of the same size that has 256 characters in sight; it takes the same time untrained. (Rotary positions have no table, as lesson 08 showed, so another length changes no weights.)


# %% key="time-run" tags=["nbval-ignore-output"]
from platform import machine


def step_seconds(kv_cache, length=256, times=2):
    """Seconds of each step, the quicker of two runs; the median of every 16 steps.  -> (T / 16,)"""
    timed = GPT(ModelConfig(**{**vars(config), "context": length}), rng=np.random.default_rng(0))
    runs = []
    for _ in range(times):
        stream = generate(timed, [10], length, temperature=0, rng=np.random.default_rng(0), kv_cache=kv_cache)
        clock = [perf_counter()]
        for _token in stream:
            clock.append(perf_counter())
        runs.append(np.diff(clock))
    return np.median(np.min(runs, axis=0).reshape(-1, 16), axis=1)


slow, quick = step_seconds(False), step_seconds(True)
place = np.arange(16, 257, 16)
ax = viz.new_axes(7.4, 3.4)
ax.plot(place, 1e3 * slow, "o-", color="#D55E00", label="不用缓存 no cache")
ax.plot(place, 1e3 * quick, "o-", color="#0072B2", label="键值缓存 KV cache")
ax.set_ylim(0)
ax.set_xlabel("第几个字 character")
ax.set_ylabel("每一步的毫秒 ms a step")
ax.set_title(
    f"256 个字 characters: × {slow.sum() / quick.sum():.1f}   ({machine()}, NumPy {np.__version__})", fontsize=11
)
ax.legend()
viz.show(ax, alt="不用缓存每步越来越慢，用缓存几乎不变 without a cache each step is slower, with one nearly the same")

# %% [markdown] key="memory" lang="zh"
# 倍数写在图上，那是画这张图的机器，当时还有别的活在跑；你的会不同，所以不设范围。它比乘法次数的比小，因为一次算许多位置比一次算一个划算，矩阵乘法喂得饱。反过来说，带缓存的一步只有一行，机器多半在等内存把权重搬来：写字的快慢，往往由搬运决定，不由乘法决定（第 29 课再谈）。
#
# ### 缓存占多少内存
#
# 每层每个位置存一个键一个值，都是 $D$ 个数，每个数 $b$ 字节：
#
# $$\text{字节} = 2 \cdot L \cdot C \cdot D \cdot b$$
#
# 这里 $C$ 是位置数。头数不进公式：$H$ 个头各存 $D/H$ 个数。同时写 $B$ 段，再乘 $B$。
# %% [markdown] key="memory" lang="en"
# The factor is written on the picture and belongs to the machine that drew it, which had other work besides; yours will differ, and there is no range for it. It is smaller than the ratio of multiplications, because many positions at once are cheaper than one by one: they keep a matrix product busy. Put the other way round, a step with a cache has a single row, and the machine mostly waits for the weights to come from memory: how fast text is written is often decided by moving numbers and not by multiplying them (more in lesson 29).
#
# ### What the cache takes in memory
#
# Every layer keeps a key and a value for every position, $D$ numbers each, of $b$ bytes a number:
#
# $$\text{bytes} = 2 \cdot L \cdot C \cdot D \cdot b$$
#
# Here $C$ is the number of positions. The heads do not come in: $H$ heads keep $D/H$ numbers each. With $B$ texts at a time, multiply by $B$.

# %% key="memory-run" tags=["nbval-check-output"]
measured_bytes = sum(layer.k.nbytes + layer.v.nbytes for layer in model.new_cache())
by_formula = 2 * config.n_layer * config.context * config.d_model * 4
assert measured_bytes == by_formula
print(f"我们的模型 ours, float32: {by_formula:,} 字节 bytes")
gpt3 = 2 * 96 * 2048 * 12288 * 2  # L 96, C 2048, D 12288 (Brown 等人 et al. 2020, 表 table 2.1), float16
print(f"GPT-3, float16: {gpt3 / 2**30:.1f} GiB 一段 a text, {gpt3 / 2048 / 2**20:.1f} MiB 一个词元 a token")

# %% [markdown] key="slide" lang="zh"
# ## 写过了头：窗口怎样滑
#
# 模型一次只看 64 个字，写到第 65 个怎么办？最想当然的是丢掉最老的一个。不用缓存，这样没问题：窗口右移一格，重新算。用缓存呢，把最老的键和值丢掉，剩下的接着用，行吗？
#
# 试试：40 个字，丢掉最老的 10 个的键和值，再写下一个字，和“只有后 30 个字，重新算”比。一层的模型和两层的模型各试一次。
# %% [markdown] key="slide" lang="en"
# ## Past the end: how the window moves
#
# The model has 64 characters in sight; what happens at the 65th? The first thought is to drop the oldest. Without a cache that is fine: move the window by one and compute it anew. And with a cache, may one drop the oldest keys and values and go on with the rest?
#
# Try: 40 characters, drop the keys and values of the oldest 10, take the next character, and compare with computing the last 30 by themselves. Once with a model of one layer, once with our two.

# %% key="slide-run"
one_layer = deepcopy(model)
one_layer.blocks = one_layer.blocks[:1]
for name, other in {"一层 one layer": one_layer, "两层 two layers": model}.items():
    cache = empty_cache(other)
    for position in range(40):
        step(other, passage[position], position, cache)
    cache = [layer[:, :, 10:] for layer in cache]  # 丢掉最老的 the oldest go
    dropped = step(other, passage[40], 40, cache)
    anew = other.next_logits(passage[None, 10:41])[0]
    print(f"{name}: 最大的差 largest difference {np.abs(dropped - anew).max():.1g}")

# %% [markdown] key="slide-after" lang="zh"
# 一层时只差舍入：那里的键和值只由自己的字决定，旋转位置又只看距离。两层就不是一回事了：第二层的 $x_j$ 是看过被丢的字之后才算出来的，丢了键和值，影响还留在后面的位置里。这不一定坏，但**不再等于**没有缓存的结果。位置要是查表的（GPT-2 那样），连一层都不行：每个字的位置编号都变了。
#
# minillm 要的是有没有缓存都写一样的字，所以定了一条规矩：窗口满了，留最近的一半，从头算这一半，缓存重来。平均每 32 步多算 32 个位置，仍然是一次方。写 200 个字，两种方式核对：
# %% [markdown] key="slide-after" lang="en"
# With one layer it is rounding: keys and values there depend on their own character only, and rotary positions see distances only. With two layers it is something else: the second layer's $x_j$ was computed after looking at what has been dropped, so the keys and values go and their influence stays behind in later positions. That need not be bad, but it **no longer equals** what comes without a cache. And where positions are looked up in a table (as in GPT-2) not even one layer would do: every character has another position number.
#
# minillm wants the same text with and without a cache, and so it has a rule: when the window is full, keep the latest half, compute that half from the start, and begin the cache anew. That is 32 positions more every 32 steps or so, still in proportion to the length. Check both ways over 200 characters:

# %% key="slide-rule"
texts, positions = {}, {}
for cached in (False, True):
    counting = Counting(model)
    stream = generate(counting, prompt_ids, 200, top_p=0.9, banned=never, rng=np.random.default_rng(1), kv_cache=cached)
    texts[cached] = list(stream)
    positions[cached] = counting.positions
print("一样 the same:", texts[False] == texts[True], "  位置 positions:", positions[False], positions[True])

# %% [markdown] key="twin" lang="zh"
# 还有一件小事：我们的词元是字，来一个显示一个就行。用字节对编码时，一个词元可能只是半个字，要攒齐了再显示，第 02 课的 `StreamDecoder` 就做这个。
#
# ## PyTorch 的孪生
#
# 把权重原样抄给 PyTorch 的孪生，贪心写 120 个字，应当一字不差。`generate` 是同一个函数，它不管里面是谁。
# %% [markdown] key="twin" lang="en"
# One small thing besides: our tokens are characters, and each can be shown as it comes. With byte pair encoding a token may be half a character, which has to wait for the rest; that is what the `StreamDecoder` of lesson 02 does.
#
# ## The PyTorch twin
#
# Copy the weights as they are to the PyTorch twin and write 120 characters greedily: not one should differ. `generate` is the same function; it does not care who is inside.

# %% key="twin-run" tags=["nbval-check-output"]
from minillm.backend import Backend
from minillm.errors import UserError

try:
    backend = Backend("pt", "cpu")
except UserError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    twin = backend.gpt(config)
    backend.load_weights(twin, model.state_dict())
    rng = np.random.default_rng(0)
    for prompt, ours in zip(PROMPTS[:3], greedy, strict=False):
        theirs = generate(twin, tokenizer.encode(prompt), LENGTH, temperature=0, banned=never, rng=rng)
        print(prompt, " 一字不差 the same to the letter:", tokenizer.decode(list(theirs)) == ours)
    gap = np.abs(twin.next_logits(passage[None]) - model.next_logits(passage[None])).max()
    print("分数相差不到 scores differ by less than 1e-4:", bool(gap < 1e-4))

# %% [markdown] key="play" lang="zh"
# ## 动手玩：一个字一个字地写
#
# 拖动第一个滑块，看它一步步写。实心的柱是裁剪以后抽签用的概率，虚线框是原来的概率；橙色的那根是抽中的字。有了内核，还可以换提示词、温度、top-k、top-p：温度调到 0，看它转圈；调到 2，看尾巴里的字怎样冒出来。
# %% [markdown] key="play" lang="en"
# ## Play: writing character by character
#
# Drag the first slider and watch it write. Solid bars are the probabilities after cutting, from which the lot is drawn; dashed outlines are those before. The orange bar is the one that was drawn. With a kernel you can also change the prompt, the temperature, top-k and top-p: at temperature 0 see it go in circles; at 2, how the tail comes up.

# %% key="play-run"
from minillm.widgets import Choice, Slider, Words, play


def draw(step, prompt, temperature, top_k, top_p):
    ids, rng = tokenizer.encode(prompt), np.random.default_rng(SEED)
    for _ in range(step):
        logits = model.next_logits(np.array([ids]))[0]
        logits[never] = -np.inf
        p = distribution(logits, temperature, top_k, top_p)
        ids.append(int(rng.choice(len(p), p=p)))
    chosen = ids[-1]
    shown = list(np.argsort(-logits, kind="stable")[:12])
    shown = shown if chosen in shown else [*shown[:11], chosen]
    before = np.exp(log_softmax(logits))[shown]
    ax = viz.plot_distribution(
        [tokenizer.decode([int(i)]) for i in shown],
        p[shown],
        viz.new_axes(7, 3.8),
        highlight=shown.index(chosen),
        compare=("裁剪之前 before cutting", before),
        limit=1.12,
        form="",
    )
    written = tokenizer.decode(ids).replace("\n", "↵")
    ax.set_title(f"{written[:-1]}【{written[-1]}】", loc="left", fontsize=11)
    return ax


play(
    draw,
    alt="每一步抽中的字在分布里的位置 where each character that was drawn stands in its distribution",
    step=Slider(1, 25, 1, value=4, label="第几步 step"),
    prompt=Words("我爱北京", label="提示词 prompt", longest=12, known=set("".join(corpus.train))),
    temperature=Slider(0.0, 2.0, 0.1, value=1.0, label="温度 temperature"),
    top_k=Choice({"全部 all": 0, "1": 1, "5": 5, "20": 20, "100": 100}, 0, label="top-k"),
    top_p=Slider(0.1, 1.0, 0.1, value=0.9, label="top-p"),
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 我们用种子 0 到 9 各训练了一次。没见过的文字，损失在 4.35 到 4.42 之间；rep-4，贪心在 0.63 到 0.88 之间，top-p 不到 0.005，束宽 4 在 0.47 到 0.72 之间；束搜索每字的 $\ln p$ 比真文字高 3.2 到 3.5。范围照着它们放宽了一些。时间不设范围。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# We trained once with each of the seeds 0 to 9. The loss on unseen text was between 4.35 and 4.42; rep-4 between 0.63 and 0.88 for greedy, below 0.005 for top-p, and between 0.47 and 0.72 for a beam of width 4; and the $\ln p$ of beam search was 3.2 to 3.5 a character above that of real text. The ranges leave some room around this. There is none for time.

# %% key="bands-run"
band("没见过的文字 unseen text, nats", unseen_loss, 4.25, 4.55)
band("贪心 greedy: rep-4", measured["贪心 greedy"][0], 0.4, 1.0)
band("top-p 0.9: rep-4", measured["top-p 0.9"][0], 0.0, 0.05)
higher = scores["束宽 width 4"][0] - scores["真文字 real text"][0]
band("束宽 4 比真文字高 width 4 above real text, ln p", higher, 2.5, 4.2)
band("束宽 4 width 4: rep-4", scores["束宽 width 4"][1], 0.3, 1.0)
band("float32 缓存的差 difference of the cache", float(difference["float32"]), 0.0, 1e-4)
band("float64 缓存的差 difference of the cache", float(difference["float64"]), 0.0, 2e-13)
band("算过的位置 positions computed", counted[False] - counted[True], 1947, 1947)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **“问答越写越像，是因为训练数据里就这样。”** 多半不是。同一句话只换一个名词，正是高概率解码的指纹。遇到这样的文章，先怀疑它是机器贪心写的。
#
# **把退化当成模型太小。** 换一个挑字的办法就好了大半的病，先不要怪模型。Welleck 等人认为训练的目标也有份；但只把模型做大，治不好贪心。
#
# **温度设成 0.0001 当贪心。** 先除后取指数就会溢出；先减最大再除才安全。要贪心就写 0。
#
# **忘了重新归一。** top-p 剪完合起来是 $\theta$，不是 1，抽签的程序要么报错，要么把差额悄悄塞给最后一个字。
#
# **拿束搜索的分数比两段长短不同的文字。** 每多一个字，$\ln p$ 就多减一次，短的总占便宜。要比就除以长度，或者除以长度的几次方（`length_penalty`）。
#
# **有缓存还把整段文字喂进去。** 旧的键又存了一遍，文字在模型眼里成了两份。有缓存时只喂新的字。
#
# ## 接下来：毕业设计
#
# 到这里，你已经推导、写出、核对、训练过一个 GPT，也让它写了字。合上书，从一个空文件夹把它整个写出来：[毕业设计](../../exercises/capstone/README.md)有十六步，一步一查，`python -m exercises.capstone` 会告诉你停在哪里、像是错在哪里。
#
# ## 记住三句话
#
# 1. 最可能的文字不是好文字：贪心和束搜索会转圈，掷骰子才像人写的。
# 2. 温度管分布的尖和平，top-k、top-p 管尾巴；top-p 按概率剪，留几个字随上文伸缩。
# 3. 因果掩码下旧的键和值不会变，存起来，每一步只算一个位置；结果只差舍入。
#
# ## 出处
#
# - A. Holtzman, J. Buys, L. Du, M. Forbes, Y. Choi (2020). The Curious Case of Neural Text Degeneration. ICLR. [arXiv 1904.09751](https://arxiv.org/abs/1904.09751). 退化，top-p，束搜索与人写的字每步的概率。
# - A. Fan, M. Lewis, Y. Dauphin (2018). Hierarchical Neural Story Generation. ACL. [arXiv 1805.04833](https://arxiv.org/abs/1805.04833). top-k。
# - D. H. Ackley, G. E. Hinton, T. J. Sejnowski (1985). A Learning Algorithm for Boltzmann Machines. Cognitive Science 9, 147–169. 按温度抽签。
# - J. Li, M. Galley, C. Brockett, J. Gao, B. Dolan (2016). A Diversity-Promoting Objective Function for Neural Conversation Models. NAACL. [arXiv 1510.03055](https://arxiv.org/abs/1510.03055). distinct-n。
# - S. Welleck, I. Kulikov, S. Roller, E. Dinan, K. Cho, J. Weston (2020). Neural Text Generation with Unlikelihood Training. ICLR. [arXiv 1908.04319](https://arxiv.org/abs/1908.04319). rep-n。
# - J. Xu, X. Liu, J. Yan, D. Cai, H. Li, J. Li (2022). Learning to Break the Loop: Analyzing and Mitigating Repetitions for Neural Text Generation. NeurIPS. [arXiv 2206.02369](https://arxiv.org/abs/2206.02369). 重复怎样自己给自己鼓劲。
# - N. S. Keskar, B. McCann, L. R. Varshney, C. Xiong, R. Socher (2019). CTRL: A Conditional Transformer Language Model for Controllable Generation. [arXiv 1909.05858](https://arxiv.org/abs/1909.05858). 重复惩罚。
# - R. Paulus, C. Xiong, R. Socher (2018). A Deep Reinforced Model for Abstractive Summarization. ICLR. [arXiv 1705.04304](https://arxiv.org/abs/1705.04304). n 元组不重。
# - F. Stahlberg, B. Byrne (2019). On NMT Search Errors and Model Errors: Cat Got Your Tongue? EMNLP-IJCNLP. [arXiv 1908.10090](https://arxiv.org/abs/1908.10090). 找得太彻底的翻译。
# - T. B. Brown 等 (2020). Language Models are Few-Shot Learners. NeurIPS. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). GPT-3 的大小。
# - M. N. Nguyen, A. Baker, C. Neo, A. Roush, A. Kirsch, R. Shwartz-Ziv (2025). Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs. ICLR. [arXiv 2407.01082](https://arxiv.org/abs/2407.01082). 练习 3。
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **“The answers grow alike because the training data are like that.”** Most likely not. One sentence with one noun swapped is the very fingerprint of high-probability decoding. Suspect an article like that of having been written by a greedy machine.
#
# **Taking degeneration for a small model.** Where choosing characters differently cures most of it, do not blame the model first. Welleck and others hold that the training objective has a share in it; but making the model larger, and nothing else, does not cure greedy.
#
# **A temperature of 0.0001 for greedy.** Divide first and exponentiate, and it overflows; subtract the largest first. Greedy is written 0.
#
# **Not making it sum to one again.** After top-p the rest has $\theta$ and not 1, and a program that draws either complains or quietly gives the difference to the last character.
#
# **Comparing the beam's scores of texts that differ in length.** Every further character subtracts from $\ln p$, and the shorter always gains. Divide by the length, or by a power of it (`length_penalty`).
#
# **Feeding the whole text although there is a cache.** The old keys are kept a second time, and to the model the text is there twice. With a cache, feed what is new.
#
# ## Next: the capstone
#
# By now you have derived a GPT, written it, checked it, trained it, and let it write. Close the book and write all of it from an empty folder: [the capstone](../../exercises/capstone/README.en.md) has sixteen steps, each of them checked, and `python -m exercises.capstone` tells you where you stopped and what the mistake looks like.
#
# ## Three sentences to keep
#
# 1. The likeliest text is not a good text: greedy and beam search go in circles, and dice write more like people.
# 2. Temperature makes a distribution peaked or flat, top-k and top-p see to its tail; top-p cuts by probability, and how many stay stretches with the context.
# 3. Under a causal mask old keys and values never change: keep them, compute one position a step, and only rounding differs.
#
# ## Sources
#
# - A. Holtzman, J. Buys, L. Du, M. Forbes, Y. Choi (2020). The Curious Case of Neural Text Degeneration. ICLR. [arXiv 1904.09751](https://arxiv.org/abs/1904.09751). Degeneration, top-p, and the probability of each step in beam search and in human text.
# - A. Fan, M. Lewis, Y. Dauphin (2018). Hierarchical Neural Story Generation. ACL. [arXiv 1805.04833](https://arxiv.org/abs/1805.04833). Top-k.
# - D. H. Ackley, G. E. Hinton, T. J. Sejnowski (1985). A Learning Algorithm for Boltzmann Machines. Cognitive Science 9, 147–169. Drawing by temperature.
# - J. Li, M. Galley, C. Brockett, J. Gao, B. Dolan (2016). A Diversity-Promoting Objective Function for Neural Conversation Models. NAACL. [arXiv 1510.03055](https://arxiv.org/abs/1510.03055). distinct-n.
# - S. Welleck, I. Kulikov, S. Roller, E. Dinan, K. Cho, J. Weston (2020). Neural Text Generation with Unlikelihood Training. ICLR. [arXiv 1908.04319](https://arxiv.org/abs/1908.04319). rep-n.
# - J. Xu, X. Liu, J. Yan, D. Cai, H. Li, J. Li (2022). Learning to Break the Loop: Analyzing and Mitigating Repetitions for Neural Text Generation. NeurIPS. [arXiv 2206.02369](https://arxiv.org/abs/2206.02369). How repetition eggs itself on.
# - N. S. Keskar, B. McCann, L. R. Varshney, C. Xiong, R. Socher (2019). CTRL: A Conditional Transformer Language Model for Controllable Generation. [arXiv 1909.05858](https://arxiv.org/abs/1909.05858). The repetition penalty.
# - R. Paulus, C. Xiong, R. Socher (2018). A Deep Reinforced Model for Abstractive Summarization. ICLR. [arXiv 1705.04304](https://arxiv.org/abs/1705.04304). No n-gram twice.
# - F. Stahlberg, B. Byrne (2019). On NMT Search Errors and Model Errors: Cat Got Your Tongue? EMNLP-IJCNLP. [arXiv 1908.10090](https://arxiv.org/abs/1908.10090). Translation searched too well.
# - T. B. Brown et al. (2020). Language Models are Few-Shot Learners. NeurIPS. [arXiv 2005.14165](https://arxiv.org/abs/2005.14165). The size of GPT-3.
# - M. N. Nguyen, A. Baker, C. Neo, A. Roush, A. Kirsch, R. Shwartz-Ziv (2025). Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs. ICLR. [arXiv 2407.01082](https://arxiv.org/abs/2407.01082). Exercise 3.

# %% [markdown] key="ex-positions-computed" lang="zh" exercise="positions_computed"
# ### 练习 1　省了多少，先算一算
#
# 提示词有 `prompt` 个词元，要写 `tokens` 个新的，全都装得进上下文。不运行任何模型，写出两个数：不用缓存，模型一共算几个位置；用缓存，一共算几个。最后写出的那个词元不必再喂给模型。先猜：`tokens` 加倍，两个数各变几倍？
# %% [markdown] key="ex-positions-computed" lang="en" exercise="positions_computed"
# ### Exercise 1: Work out what is saved
#
# A prompt has `prompt` tokens, `tokens` new ones are to be written, and all of it fits into the context. Without running any model, write down two numbers: how many positions the model computes in all without a cache, and how many with one. The last token written need not be fed to the model. Guess first: with twice the `tokens`, how many times each number?


# %% key="ex-positions-computed-code" exercise="positions_computed" kind="predict" difficulty=1 minutes=6 points=1
def positions_computed(prompt: int, tokens: int) -> tuple[int, int]:
    """(positions without a cache, positions with one)"""
    ### BEGIN SOLUTION
    without = sum(prompt + i for i in range(tokens))  # step i reads the prompt and the i tokens written so far
    return without, prompt + tokens - 1
    ### END SOLUTION


# %% key="ex-positions-computed-check" exercise="positions_computed"
check(positions_computed)

# %% [markdown] key="ex-nucleus" lang="zh" exercise="nucleus"
# ### 练习 2　修好 top-p
#
# 下面的 top-p 有两处毛病：它丢掉了刚好使总和够 `theta` 的那个词元，于是有时一个也不剩；剩下的概率合起来也不是 1。两处都修好。概率相等的，谁在前面谁先留。
# %% [markdown] key="ex-nucleus" lang="en" exercise="nucleus"
# ### Exercise 2: Mend top-p
#
# The top-p below has two faults: it drops the very token with which the sum reaches `theta`, and sometimes has none left; and what is left does not sum to 1. Mend both. Of equal probabilities the one that stands first is kept first.


# %% key="ex-nucleus-code" exercise="nucleus" kind="repair" difficulty=2 minutes=10 points=1
def nucleus(p, theta):
    """The smallest set of likeliest tokens with at least `theta` together, made to sum to 1.  p (V,) -> (V,)"""
    ### BEGIN SOLUTION
    order = np.argsort(-p, kind="stable")
    count = np.searchsorted(np.cumsum(p[order]), theta) + 1  # the one that reaches theta belongs to it
    kept = np.zeros_like(p)
    kept[order[:count]] = p[order[:count]]
    return kept / kept.sum()
    ### END SOLUTION
    ### BEGIN STUB
    # order = np.argsort(-p, kind="stable")
    # count = np.searchsorted(np.cumsum(p[order]), theta)
    # kept = np.zeros_like(p)
    # kept[order[:count]] = p[order[:count]]
    # return kept
    ### END STUB


# %% key="ex-nucleus-check" exercise="nucleus"
check(nucleus)

# %% [markdown] key="ex-min-p" lang="zh" exercise="min_p"
# ### 练习 3　另一种剪法：min-p
#
# top-p 看总和，min-p 看第一名：凡是概率不到第一名的 `fraction` 倍的，都剪掉，剩下的重新归一。第一名很有把握，门槛就高；大家都差不多，门槛就低。输入是分数，可能很大，不许溢出。
# %% [markdown] key="ex-min-p" lang="en" exercise="min_p"
# ### Exercise 3: Another cut, min-p
#
# Top-p looks at the sum; min-p looks at the first: whatever has less than `fraction` times the probability of the likeliest goes, and the rest is made to sum to one. Where the first is sure the bar is high, and where all are about equal it is low. The input are scores; they may be large, and nothing may overflow.


# %% key="ex-min-p-code" exercise="min_p" kind="implement" difficulty=2 minutes=10 points=2
def min_p(logits, fraction):
    """Probabilities of the tokens with at least `fraction` times the largest probability.  logits (V,) -> (V,)"""
    ### BEGIN SOLUTION
    ratio = np.exp(logits - logits.max())  # of each probability to the largest: no sum is needed to compare
    kept = np.where(ratio >= fraction, ratio, 0)
    return kept / kept.sum()
    ### END SOLUTION


# %% key="ex-min-p-check" exercise="min_p"
check(min_p)

# %% [markdown] key="ex-loop-length" lang="zh" exercise="loop_length"
# ### 练习 4　它在转圈吗
#
# rep-n 说重复了多少，不说是不是在转圈。写一个函数，看文字的末尾：如果最后是同一段话连着说了 `times` 遍，返回这一段的长度；有几种看法时，取最短的；没有转圈，返回 0。例如 `times` 是 2：“我去看看”是 1，“看书，看书，”是 3，“看书，看书”是 0，因为末尾的“书”前面不是“书”，“看书”前面也不是“看书”。
# %% [markdown] key="ex-loop-length" lang="en" exercise="loop_length"
# ### Exercise 4: Is it going in circles?
#
# rep-n says how much is repeated, not whether the text goes in circles. Write a function that looks at the end of a text: if it ends with one passage said `times` times in a row, return that passage's length, the shortest if there are several ways to see it; if it is not going in circles, return 0. With a `times` of 2, for example: 我去看看 gives 1, and 看书，看书， gives 3; but 看书，看书 gives 0, because 书 at its end does not follow 书, nor 看书 another 看书.


# %% key="ex-loop-length-code" exercise="loop_length" kind="implement" difficulty=3 minutes=12 points=2
def loop_length(text: str, times: int = 3) -> int:
    """The length of the shortest passage that the text ends with `times` times in a row; 0 if there is none."""
    ### BEGIN SOLUTION
    for length in range(1, len(text) // times + 1):
        if text.endswith(text[-length:] * times):
            return length
    return 0
    ### END SOLUTION


# %% key="ex-loop-length-check" exercise="loop_length"
check(loop_length)

# %% [markdown] key="ex-attend-next" lang="zh" exercise="attend_next"
# ### 练习 5　带缓存的一步注意力
#
# 一个头，新来一个位置：它的查询 `q`、键 `k`、值 `v` 各是一个向量，`keys` 和 `values` 是以前的，可能还是空的（0 行）。返回三样：这个位置的输出，接长了的键，接长了的值。新位置也看自己。不要改动传进来的数组。
# %% [markdown] key="ex-attend-next" lang="en" exercise="attend_next"
# ### Exercise 5: One step of attention with a cache
#
# One head, and one new position: its query `q`, key `k` and value `v` are a vector each, and `keys` and `values` are those of before, perhaps still empty (0 rows). Return three things: this position's output, the keys with the new one, the values with the new one. The new position sees itself too. Do not change the arrays that are passed in.


# %% key="ex-attend-next-code" exercise="attend_next" kind="implement" difficulty=3 minutes=15 points=2
def attend_next(q, k, v, keys, values):
    """q, k, v (d_k,), keys, values (S, d_k) -> output (d_k,), keys (S + 1, d_k), values (S + 1, d_k)"""
    ### BEGIN SOLUTION
    keys, values = np.vstack([keys, k]), np.vstack([values, v])
    weights, _ = F.softmax(keys @ q / math.sqrt(len(q)))
    return weights @ values, keys, values
    ### END SOLUTION


# %% key="ex-attend-next-check" exercise="attend_next"
check(attend_next)

# %% [markdown] key="ex-beam-until" lang="zh" exercise="beam_until"
# ### 练习 6　会停下来的束搜索
#
# 课文里的束搜索总写到固定的长度。真的文字会停：写出 `stop` 就完了。`next_log_p(ids)` 给出在 `ids` 之后每个词元的对数概率。每一步把每条没写完的路接上每个词元，取总分最高的 `width` 条；其中以 `stop` 结尾的收进成品，其余的继续；没有路了，或者写满 `longest` 个词元，就停。成品和还没写完的路放在一起，按**平均每个词元**的对数概率（`stop` 也算一个词元）选出最好的，返回它的词元列表。
# %% [markdown] key="ex-beam-until" lang="en" exercise="beam_until"
# ### Exercise 6: Beam search that ends
#
# The beam search of the lesson always writes to a fixed length. Real texts end: with `stop` they are complete. `next_log_p(ids)` gives the log-probability of each token after `ids`. At each step extend every path that is not complete by every token and take the `width` with the highest total; those of them that end in `stop` are complete and are put aside, the others go on; end when no path is left or `longest` tokens are written. Of the complete ones and the paths still open, choose the best by log-probability **per token** (`stop` counts as a token), and return its list of tokens.


# %% key="ex-beam-until-code" exercise="beam_until" kind="extend" difficulty=4 minutes=20 points=3
def beam_until(next_log_p, width: int, longest: int, stop: int) -> list[int]:
    """The best text that a beam of `width` finds, by mean log-probability; next_log_p(ids: list) -> (V,)"""
    ### BEGIN SOLUTION
    paths, complete = [(0.0, [])], []
    for _ in range(longest):
        longer = [(total + log_p, [*ids, token]) for total, ids in paths for token, log_p in enumerate(next_log_p(ids))]
        best = sorted(longer, key=lambda path: -path[0])[:width]
        complete += [path for path in best if path[1][-1] == stop]
        paths = [path for path in best if path[1][-1] != stop]
    return max(complete + paths, key=lambda path: path[0] / len(path[1]))[1]
    ### END SOLUTION


# %% key="ex-beam-until-check" exercise="beam_until"
check(beam_until)
