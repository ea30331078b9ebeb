# ---
# minillm:
#   title: {zh: "训练", en: "Training"}
#   question:
#     zh: "同一个模型，同样的数据：怎样走，才走得快、走得稳，又知道什么时候该停？"
#     en: "The same model, the same data: how to step so that it learns fast, stays steady, and stops in time?"
#   minutes: 110
#   seconds: 120
#   needs: ["10"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("11")

# %% key="imports" both=true
import math

import numpy as np

from minillm.np.param import Array

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 模型写好了（第 10 课），能把一批数据背下来了，现在该正经训练了。文字用课程自带的小世界：鼓楼旁边的一座小城，一部文法在里面编故事，要多少有多少。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# The model is written (lesson 10) and can learn one batch by heart; now it is to be trained in earnest. The text comes from the course's little world, a town beside the Drum Tower in which a grammar makes up as many stories as we like.

# %% key="problem-world" tags=["nbval-check-output"]
import textwrap

from minillm.data.corpora import token_stream
from minillm.data.world import corpus, entropy
from minillm.text import train_tokenizer

world = corpus(200_000)
tokenizer = train_tokenizer("char", world.train)
train_ids, valid_ids = (token_stream(stories, tokenizer) for stories in (world.train, world.valid))

print(textwrap.fill(world.train[0], 36))
print(f"训练 training {len(train_ids):,}  验证 validation {len(valid_ids):,}  词表 vocabulary {tokenizer.vocab_size}")

# %% [markdown] key="problem-model" lang="zh"
# 模型很小：两层，宽 48，一次看 64 个字，九万个参数。起步的权重用标准差 0.06：GPT-2 的 0.02 是给宽得多的模型的，窄的模型要大一些才动得快。
#
# 先照第 06 课的办法走：SGD，学习率 0.05，动量 0.9，每步抽四段文字。我们试过从 0.02 到 1 的几种学习率，几个种子平均起来，这是里面最好的；大到 1 就学坏了。再换一套走法，就是这一课要讲的：AdamW、预热、余弦、裁剪。同样的模型，同样的起点，同样的批次，同样 200 步。
# %% [markdown] key="problem-model" lang="en"
# The model is small: two layers, 48 wide, 64 characters at a look, ninety thousand parameters. Its weights start with standard deviation 0.06; GPT-2's 0.02 was meant for much wider models, and a narrow one needs more to get moving.
#
# Walk first as in lesson 06: SGD with learning rate 0.05 and momentum 0.9, four pieces of text in a batch. Of the few learning rates that we tried, from 0.02 to 1, it was the best over several seeds; at 1 learning breaks down. Then walk in another way, the one that this lesson is about: AdamW, warm-up, cosine, clipping. The same model, the same start, the same batches, the same 200 steps.

# %% key="problem-tools"
from minillm import viz
from minillm.config import ModelConfig, TrainConfig
from minillm.data.batches import random_batch
from minillm.evaluate import total_nll
from minillm.np import functional as F
from minillm.np.gpt import GPT
from minillm.np.optim import SGD, AdamW, clip_grad_norm, decay_groups
from minillm.np.train import Trainer

CONTEXT = 64
MODERN = {"norm": "rmsnorm", "position": "rotary", "activation": "swiglu", "bias": False}
RECIPE = {"steps": 200, "batch_size": 4, "lr": 1e-2, "warmup": 20}


def new_model(seed, d_model=48, dropout=0.0):
    shape = {"context": CONTEXT, "n_layer": 2, "n_head": 2, "d_model": d_model, "dropout": dropout}
    model = GPT(ModelConfig(tokenizer.vocab_size, **shape, **MODERN), rng=np.random.default_rng(seed))
    for p in model.parameters():
        if p.data.ndim == 2:
            p.data *= 3  # 标准差 standard deviation 0.02 → 0.06
    return model


def valid_loss(model, count=2000):
    """Mean loss on the first `count` tokens of the validation text, in nats a token."""
    return total_nll(model, valid_ids[: count + 1], CONTEXT) / count


def learn(model, x, y, scale=1.0):
    """Forward and backward: gradients are left in the parameters.  -> loss"""
    model.zero_grad()
    logits, cache = model(x)
    loss, loss_cache = F.cross_entropy(logits, y)
    model.backward(F.cross_entropy_backward(scale, loss_cache), cache)
    return float(loss)


# %% [markdown] key="problem-tools-after" lang="zh"
# `learn` 只求梯度，怎么走由优化器决定。完整的那套走法，minillm 的 `Trainer` 已经包好；我们只管给它批次，每 50 步看一眼验证文字。
# %% [markdown] key="problem-tools-after" lang="en"
# `learn` only finds gradients; how to step is up to the optimiser. The full way of walking is wrapped up in minillm's `Trainer`: we hand it batches and look at the validation text every 50 steps.


# %% key="problem-run"
def train(seed=0, text=train_ids, look=50, d_model=48, dropout=0.0, **changes):
    """Train a model by the recipe with some changes.  -> model, log"""
    model = new_model(seed, d_model, dropout)
    config = TrainConfig(**RECIPE | {"seed": seed} | changes)
    trainer, log = Trainer(model, config, copies=1), []
    for step in range(config.steps):
        x, y = random_batch(text, CONTEXT, config.batch_size, seed, step)
        log.append({"step": step + 1, **trainer.step(x, y, step)._asdict()})
        if (step + 1) % look == 0:
            log[-1]["valid_loss"] = valid_loss(model)
    return model, log


def train_sgd(lr, seed=0, steps=200):
    """SGD with momentum on the same batches.  -> log"""
    model, log = new_model(seed), []
    optimiser = SGD(decay_groups(model, 0.0), lr=lr, momentum=0.9)
    for step in range(steps):
        loss = learn(model, *random_batch(train_ids, CONTEXT, 4, seed, step))
        optimiser.step()
        log.append({"step": step + 1, "loss": loss})
    log[-1]["valid_loss"] = valid_loss(model)
    return log


plain = train_sgd(0.05)
model, recipe = train()
print(f"SGD     {plain[-1]['valid_loss']:.1f}")
print(f"这一课 this lesson  {recipe[-1]['valid_loss']:.1f}")

# %% key="problem-picture"
chance = math.log(tokenizer.vocab_size)
town = entropy("valid", known_split=False)
FLOOR = town.nats / (town.characters + 1)

ax = viz.new_axes(7, 3.6)
for log, colour, name in ((plain, "#D55E00", "SGD"), (recipe, "#0072B2", "这一课 this lesson")):
    ax.plot([r["step"] for r in log], viz.smooth([r["loss"] for r in log]), color=colour, label=name)
ax.axhline(chance, color="0.5", linestyle=":", label="均匀瞎猜 uniform guess, ln V")
ax.axhline(FLOOR, color="0.35", linestyle="--", label=f"下限 floor {FLOOR:.3f}")
ax.set_xlabel("训练步数 step")
ax.set_ylabel("训练损失（奈特/词元）\ntraining loss (nats per token)")
ax.set_ylim(0)
ax.legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 0.1))
viz.show(ax, alt="SGD 高出许多，这一课的走法降到三以下 SGD ends much higher, this lesson's way falls below three")

# %% [markdown] key="floor" lang="zh"
# 只换了走法，别的什么也没变，200 步以后的损失就低了八成奈特左右：正确的字得到的概率，平均是原来的两倍多。而且稳：换十个种子，这一课的走法落在 2.80 到 2.96 之间，SGD 有八个落在 3.5 到 3.9，另外两个停在 5.3 附近，只学会了哪些字常见。
#
# ## 下限从哪里来
#
# 图上最下面那条虚线，是**任何模型都低不过的**。平常的语料没有这条线：谁也不知道中文的熵是多少。这座小城是文法编出来的，每一步怎么选、概率多大，全都写在里面，所以熵可以精确地算（推导在 `minillm/data/world/README.md`）：训练文字每个字符 0.4854 比特，测试文字 0.4692 比特；不知道哪些组合被留给测试的人，在测试文字上至少要付 0.4879 比特。
#
# 图上的损失却是**奈特每词元**，要换算。一比特是 $\ln 2$ 奈特，所以
#
# $$\text{奈特每字符} = \text{比特每字符} \times \ln 2$$
#
# 我们的词元就是字符，但每篇故事前面还多一个 `<eos>`，它也要猜，也算一个词元。设一篇平均有 $n$ 个字符，总的奈特不变，分给 $n + 1$ 个词元：
#
# $$\text{奈特每词元} = \text{比特每字符} \times \ln 2 \times \frac{n}{n + 1}$$
# %% [markdown] key="floor" lang="en"
# Only the way of walking was changed, nothing else, and after 200 steps the loss is lower by about 0.8 nats: on average, the right character gets more than twice the probability. And it is steady: over ten seeds this lesson's way ended between 2.80 and 2.96, while of SGD's runs eight ended between 3.5 and 3.9 and two stayed near 5.3, having learnt only which characters are common.
#
# ## Where the floor comes from
#
# The dashed line at the bottom is what **no model can get below**. Ordinary text has no such line: nobody knows the entropy of Chinese. But this town was made by a grammar in which every choice and its probability is written down, so the entropy can be computed exactly (derived in `minillm/data/world/README.md`): 0.4854 bits a character for the training text, 0.4692 for the test text; and one who does not know which combinations were kept for the test must pay at least 0.4879 bits on it.
#
# The loss in the picture is in **nats a token**, though, so convert. One bit is $\ln 2$ nats, and therefore
#
# $$\text{nats a character} = \text{bits a character} \times \ln 2$$
#
# Our tokens are characters, but each story is preceded by one `<eos>`, which has to be guessed as well and counts as a token. With $n$ characters in an average story, the same nats are shared by $n + 1$ tokens:
#
# $$\text{nats a token} = \text{bits a character} \times \ln 2 \times \frac{n}{n + 1}$$

# %% key="floor-run" tags=["nbval-check-output"]
print("            比特/字符     奈特/字符      奈特/词元")
print("            bits/char   nats/char   nats/token")
for split, known in (("train", True), ("valid", False), ("test", True), ("test", False)):
    found = entropy(split, known_split=known)
    bits, n = found.bits_per_character, found.characters
    floor = bits * math.log(2) * n / (n + 1)
    assert math.isclose(floor, found.nats / (n + 1))
    print(f"{split:6s}{'' if known else '*':4s} {bits:10.4f} {bits * math.log(2):11.4f} {floor:11.4f}")
print("* 不知道怎样划分 split unknown")

# %% [markdown] key="floor-after" lang="zh"
# 验证文字的下限用带星号的那一行，0.336。它是给读得到整篇故事的人的：我们的模型一次只看 64 个字，故事有一百六十字，开头说过的名字常常看不见，所以它够不到这条线，只能靠近。
#
# ## 批次：用一小把估计全体
#
# 真正想要的是全部文字上的平均损失，它的梯度记作 $g$。算一次要读完十六万个字，只走一步，太贵。于是随机抽 $B$ 段，用它们的平均梯度顶替。每段的梯度是 $g_i = g + \xi_i$，$\xi_i$ 是这一段自己的偏差，平均为零，大小记作 $\sigma$（$\sigma^2 = \mathbb{E}\lvert\xi_i\rvert^2$）。随机抽出来的各段互不相干，交叉项平均为零，于是
#
# $$\mathbb{E}\,\Big\lvert \frac{1}{B}\sum_i g_i - g \Big\rvert^2 = \frac{1}{B^2}\sum_i \mathbb{E}\lvert\xi_i\rvert^2 = \frac{\sigma^2}{B}$$
#
# 开方：**噪声随 $1/\sqrt{B}$ 减小**。批次大到四倍，噪声才减半。来量一量：同样大小的两个批次各算一次梯度，差的平方平均是 $2\sigma^2/B$，除以 2 再开方就是噪声。
# %% [markdown] key="floor-after" lang="en"
# For the validation text the floor is the starred line, 0.336. It is meant for one who reads the whole story. Our model sees only 64 characters at a time of stories of a hundred and sixty, so that names said at the beginning are often out of sight; it cannot reach the line, only come closer.
#
# ## Batches: a handful to estimate the whole
#
# What we want is the mean loss over all the text; call its gradient $g$. To compute it once means to read a hundred and sixty thousand characters for a single step: too dear. So draw $B$ pieces at random and take the mean of their gradients instead. The gradient of a piece is $g_i = g + \xi_i$, where $\xi_i$ is this piece's own deviation, zero on average and of size $\sigma$ ($\sigma^2 = \mathbb{E}\lvert\xi_i\rvert^2$). Pieces drawn at random have nothing to do with each other, so the cross terms are zero on average, and
#
# $$\mathbb{E}\,\Big\lvert \frac{1}{B}\sum_i g_i - g \Big\rvert^2 = \frac{1}{B^2}\sum_i \mathbb{E}\lvert\xi_i\rvert^2 = \frac{\sigma^2}{B}$$
#
# Take the root: **noise falls as $1/\sqrt{B}$**. It takes a batch four times as large to halve it. Measure it: compute the gradients of two batches of one size; the square of their difference is $2\sigma^2/B$ on average; halve it and take the root.


# %% key="noise-run"
def gradient(model, x, y):
    learn(model, x, y)
    return np.concatenate([p.grad.ravel() for p in model.parameters()])


def noise(model, size, pairs=8):
    """Size of a batch gradient's deviation from the mean, from pairs of independent batches."""
    squares = []
    for i in range(pairs):
        a, b = (gradient(model, *random_batch(train_ids, CONTEXT, size, 100 + half, i)) for half in range(2))
        squares.append(((a - b) ** 2).sum() / 2)
    return math.sqrt(np.mean(squares))


sizes = np.array([1, 2, 4, 8, 16, 32])
noises = np.array([noise(model, size) for size in sizes])
signal = np.linalg.norm(gradient(model, *random_batch(train_ids, CONTEXT, 256, 99, 0)))
slope = np.polyfit(np.log(sizes), np.log(noises), 1)[0]
for size, value in zip(sizes, noises, strict=True):
    print(f"B = {size:2d}   噪声 noise {value:.1f}   × √B = {value * math.sqrt(size):.1f}")
print(f"全体的梯度大约 the whole gradient, about {signal:.1f}")

# %% key="noise-picture"
ax = viz.new_axes(7, 3.2)
ax.loglog(sizes, noises, "o", color="#0072B2", label="量到的 measured")
ax.loglog(sizes, noises[0] / np.sqrt(sizes), "--", color="0.4", label="σ / √B")
ax.axhline(signal, color="#D55E00", linestyle=":", label="全体的梯度 the whole gradient (B = 256)")
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.set_yticks([0.25, 0.5, 1, 2], ["0.25", "0.5", "1", "2"])
ax.minorticks_off()
ax.set_xlabel("批次大小 B batch size B")
ax.set_ylabel("梯度的大小 size of gradient")
ax.legend(fontsize=9)
viz.show(ax, alt="梯度噪声按批次大小的平方根减小 gradient noise falls as the root of the batch size")

# %% [markdown] key="noise-after" lang="zh"
# 两件事值得记住。第一，一个批次的梯度里，噪声比信号还大：$B = 4$ 的时候，大出好几倍。训练能成，全靠许多步平均下来，噪声相消，信号相加。第二，$B$ 再大，信号也不会变大；噪声降到信号以下以后，再加大批次就不合算了，不如多走几步。
#
# 为什么要**随机**的位置？上面的推导用到了“互不相干”。一本书里相邻的两段讲同一件事，用同样的词，偏差的方向也一样，平均了也消不掉；按顺序读，模型还会一阵子只见一种文章，学了后面忘前面。小城的故事本来就一篇一篇独立，按顺序取也差不多；真的书不是这样。随机的位置还有一个好处：同一个字，有时在窗口开头，有时在末尾，模型见得到各种长度的前文。
#
# ## 从 SGD 走到 AdamW
#
# 第 06 课的峡谷，这次更窄：$L = \frac{1}{2}(100\,w_1^2 + w_2^2)$，从 $(1, 1)$ 出发。陡的方向不许学习率超过 $2/100$，平的方向嫌它太慢。语言模型里，这样的差别到处都是：常见字的嵌入每一步都有不小的梯度，少见字的要等几百步才轮到一回。
#
# 一步一步加东西，每一步只治一个毛病。$g$ 是梯度，$\eta$ 是学习率。
#
# **SGD**：$w \leftarrow w - \eta\, g$。
#
# **动量**，治来回撞：$m \leftarrow \beta m + g$，$w \leftarrow w - \eta\, m$。第 06 课讲过。
#
# **RMSProp**，治陡平不均：给每个参数记一个梯度平方的滑动平均 $v$，开方就是它最近梯度的典型大小，拿来当除数。
#
# $$v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \qquad w \leftarrow w - \eta\, \frac{g}{\sqrt{v} + \epsilon}$$
#
# 梯度大一百倍，$\sqrt v$ 也大一百倍，相除以后一样大：**每个参数都走大约 $\eta$ 那么远**，不管它的梯度是大是小。
#
# **Adam**，两样都要：分子也换成滑动平均 $m \leftarrow \beta_1 m + (1 - \beta_1)\, g$。但还差一件事。
# %% [markdown] key="noise-after" lang="en"
# Two things are worth keeping. First, in the gradient of a batch there is more noise than signal: several times as much with $B = 4$. Training works only because over many steps noise cancels and signal adds up. Second, the signal does not grow with $B$; once the noise is below it, a larger batch no longer pays, and more steps do.
#
# Why places at **random**? The derivation used that pieces have nothing to do with each other. Two neighbouring pieces of a book tell of the same thing in the same words, deviate in the same direction, and averaging does not cancel it; and read in order, a model sees one kind of writing for a while and forgets the former over the latter. The stories of the town are independent one by one, so that taking them in order would do about as well; real books are not like that. And random places have another merit: the same character stands now at the head of a window, now at its end, so that the model meets contexts of all lengths.
#
# ## From SGD to AdamW
#
# The ravine of lesson 06, and narrower: $L = \frac{1}{2}(100\,w_1^2 + w_2^2)$, starting from $(1, 1)$. The steep direction forbids learning rates above $2/100$, for which the flat one is too slow. Language models are full of such differences: the embedding of a common character has a sizeable gradient at every step, that of a rare one once in hundreds.
#
# Add one thing at a time, each against one ill. $g$ is the gradient and $\eta$ the learning rate.
#
# **SGD**: $w \leftarrow w - \eta\, g$.
#
# **Momentum**, against bouncing: $m \leftarrow \beta m + g$, $w \leftarrow w - \eta\, m$. That was lesson 06.
#
# **RMSProp**, against steep and flat: keep for each parameter a running mean $v$ of its squared gradients; its root is the typical size of the parameter's recent gradients; divide by that.
#
# $$v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \qquad w \leftarrow w - \eta\, \frac{g}{\sqrt{v} + \epsilon}$$
#
# With gradients a hundred times as large, $\sqrt v$ is a hundred times as large, and the quotient is the same: **every parameter moves by about $\eta$**, whether its gradients are large or small.
#
# **Adam** wants both: above the line, too, stands a running mean, $m \leftarrow \beta_1 m + (1 - \beta_1)\, g$. But one thing is still missing.

# %% [markdown] key="bias" lang="zh"
# ### 起步时的偏差
#
# $m$ 和 $v$ 从零开始，头几步离真值还远。差多少，算得出来。把递推一层层代进去：
#
# $$m_t = (1 - \beta_1)\sum_{i=1}^{t} \beta_1^{\,t-i}\, g_i$$
#
# 设每步梯度的平均都是 $\bar g$。右边是等比数列，$\sum_{i=1}^{t} \beta_1^{\,t-i} = (1 - \beta_1^t)/(1 - \beta_1)$，所以
#
# $$\mathbb{E}\, m_t = (1 - \beta_1^t)\, \bar g$$
#
# 偏小的倍数正好是 $1 - \beta_1^t$，除回去就是了；$v$ 也一样：
#
# $$\hat m_t = \frac{m_t}{1 - \beta_1^t} \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t} \qquad w \leftarrow w - \eta\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}$$
#
# 先用两万条随机的梯度确认平均值，再看不改会怎样：$m$ 偏小，$\sqrt v$ 偏得更小，一除，步子反而太大。
# %% [markdown] key="bias" lang="en"
# ### The bias of the beginning
#
# $m$ and $v$ start at zero, and in the first steps they are far from what they should be. How far can be worked out. Insert the recursion into itself:
#
# $$m_t = (1 - \beta_1)\sum_{i=1}^{t} \beta_1^{\,t-i}\, g_i$$
#
# Let the gradients have the same mean $\bar g$ at each step. On the right stands a geometric series, $\sum_{i=1}^{t} \beta_1^{\,t-i} = (1 - \beta_1^t)/(1 - \beta_1)$, so
#
# $$\mathbb{E}\, m_t = (1 - \beta_1^t)\, \bar g$$
#
# It is too small by exactly the factor $1 - \beta_1^t$; divide by it, and do the same for $v$:
#
# $$\hat m_t = \frac{m_t}{1 - \beta_1^t} \qquad \hat v_t = \frac{v_t}{1 - \beta_2^t} \qquad w \leftarrow w - \eta\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}$$
#
# First confirm the mean with twenty thousand random gradients, then see what happens without the correction: $m$ is too small, $\sqrt v$ smaller still, and their quotient makes steps that are too large.

# %% key="bias-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
m, v = np.zeros(20_000), np.zeros(20_000)
for t in range(1, 11):
    g = 2 + rng.normal(size=20_000)  # 平均 mean 2, 平方的平均 mean square 5
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    if t in (1, 2, 5, 10):
        m_hat, v_hat = m.mean() / (1 - 0.9**t), v.mean() / (1 - 0.999**t)
        assert abs(m_hat - 2) < 0.05 and abs(v_hat - 5) < 0.15
        print(f"t = {t:2d}   m {m.mean():.2f}  v {v.mean():.3f}   改正后 corrected  m {m_hat:.1f}  v {v_hat:.1f}")

# %% key="bias-picture"
t = np.arange(1, 3001)
ax = viz.new_axes(7, 3.0)
for beta2, colour in ((0.999, "#D55E00"), (0.95, "#0072B2")):
    ax.semilogx(t, (1 - 0.9**t) / np.sqrt(1 - beta2**t), color=colour, label=f"β₁ = 0.9, β₂ = {beta2}")
ax.axhline(1, color="0.5", linestyle=":")
ax.set_xlabel("步数 step t")
ax.set_ylabel("不改正时步子的倍数\nstep without correction (times)")
ax.legend()
viz.show(ax, alt="不改正，头几百步的步子最多大到六倍半 without correction the first steps are up to 6.6 times too long")

# %% [markdown] key="toy" lang="zh"
# ### 拿笔算三步
#
# 五种走法写成五个小函数。`s` 是记着的状态，`t` 从 1 数起。
# %% [markdown] key="toy" lang="en"
# ### Three steps by hand
#
# Five ways of walking as five little functions. `s` is the state that is kept, `t` counts from 1.


# %% key="toy-rules"
def sgd(w, g, s, t, lr=0.015):
    return w - lr * g


def momentum(w, g, s, t, lr=0.015, beta=0.9):
    s["m"] = beta * s["m"] + g
    return w - lr * s["m"]


def rmsprop(w, g, s, t, lr=0.1, beta2=0.9, eps=1e-8):
    s["v"] = beta2 * s["v"] + (1 - beta2) * g**2
    return w - lr * g / (np.sqrt(s["v"]) + eps)


def adam(w, g, s, t, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
    s["m"] = beta1 * s["m"] + (1 - beta1) * g
    s["v"] = beta2 * s["v"] + (1 - beta2) * g**2
    s["m_hat"], s["v_hat"] = s["m"] / (1 - beta1**t), s["v"] / (1 - beta2**t)
    return w - lr * s["m_hat"] / (np.sqrt(s["v_hat"]) + eps)


def adamw(w, g, s, t, lr=0.1, decay=0.1, **options):
    return adam(w * (1 - lr * decay), g, s, t, lr, **options)


# %% key="toy-adam" tags=["nbval-check-output"]
STEEP = np.array([100.0, 1.0])
w, s = np.array([1.0, 1.0]), {"m": 0.0, "v": 0.0}
for t in (1, 2, 3):
    g = STEEP * w
    w = adam(w, g, s, t)
    print(f"t = {t}           w1            w2")
    for name, pair in {"g": g, **s, "w": w}.items():
        print(f"  {name:6s} {pair[0]:12.4g}  {pair[1]:12.4g}")

# %% [markdown] key="toy-after" lang="zh"
# 看第一步：两个梯度差一百倍，两个参数却都正好走了 $\eta = 0.1$。改正之后 $\hat m_1 = g$，$\hat v_1 = g^2$，相除只剩下正负号。Adam 的第一步不看梯度多大，只看朝哪边。这是它的长处，也是它的毛病：第一个批次若全是噪声，它照样迈开大步。记住这一点，等会儿讲预热。
#
# 五种走法走同样的路。前两种的学习率受陡的方向限制，后三种没有这回事。
# %% [markdown] key="toy-after" lang="en"
# Look at the first step: the two gradients differ by a factor of a hundred, yet both parameters have moved by exactly $\eta = 0.1$. After correction $\hat m_1 = g$ and $\hat v_1 = g^2$, and their quotient is nothing but a sign. Adam's first step does not care how large a gradient is, only which way it points. That is its strength and its weakness: if the first batch is all noise, it takes a full stride just the same. Keep that in mind for the warm-up.
#
# Now the five walk the same way. The learning rate of the first two is limited by the steep direction; the other three know no such thing.

# %% key="toy-walk" tags=["nbval-check-output"]


def walk(rule, steps, start=(1.0, 1.0), curves=STEEP, **options):
    """The path of a rule in a ravine.  -> (steps + 1, 2)"""
    w, s = np.array(start), {"m": 0.0, "v": 0.0}
    path = [w]
    for t in range(1, steps + 1):
        w = rule(w, curves * w, s, t, **options)
        path.append(w)
    return np.array(path)


print("             1 步 step       3             20")
for rule in (sgd, momentum, rmsprop, adam, adamw):
    path = walk(rule, 20)
    print(f"{rule.__name__:9s}", "  ".join(f"({path[k][0]:5.2f},{path[k][1]:5.2f})" for k in (1, 3, 20)))

# %% [markdown] key="toy-walked" lang="zh"
# 二十步以后，SGD 在平的方向才走了四分之一；动量快得多，冲过了头正在往回晃。后三种里，两个坐标从头到尾一样大：除以各自的 $\sqrt{v}$ 以后，峡谷成了圆碗。RMSProp 没有惯性，稳稳停住；Adam 和 AdamW 带着惯性，还要晃几下。AdamW 比 Adam 每步多缩一点，下面就说这一点。
#
# 别把这个例子看得太美：峡谷正好顺着坐标轴，Adam 才除得这么干净。斜着的峡谷，一个参数除一个数是拉不圆的。
# %% [markdown] key="toy-walked" lang="en"
# After twenty steps SGD has come only a quarter of the way in the flat direction; momentum is much faster, has overshot, and is swinging back. In the other three both coordinates are the same all along: divided by its own $\sqrt{v}$ each, the ravine has become a round bowl. RMSProp has no inertia and comes to rest; Adam and AdamW have it and swing a little longer. At each step AdamW shrinks a little more than Adam, and that is what comes next.
#
# Do not take the example for too pretty a truth: it works so cleanly because the ravine runs along the axes. One that lies aslant cannot be made round by dividing each parameter by a number of its own.

# %% [markdown] key="decay" lang="zh"
# ### 权重衰减：从哪里减
#
# 没有用处的权重应当慢慢缩回零，免得模型拿它们去记噪声。老办法叫 **L2**：损失里加一项 $\frac{\lambda}{2}\lvert w\rvert^2$，梯度就多了 $\lambda w$。SGD 里这样做，每步正好是 $w \leftarrow (1 - \eta\lambda)\, w - \eta\, g$。
#
# 放进 Adam 就变味了：$\lambda w$ 混进 $g$，也要除以 $\sqrt{v}$。于是往回拉的速度成了
#
# $$\eta\, \frac{\lambda w}{\sqrt{\hat v} + \epsilon}$$
#
# 梯度大的参数，$\sqrt{\hat v}$ 大，几乎不衰减；梯度小的，衰减得飞快。谁该缩多少，变成由梯度的大小说了算。**AdamW** 把衰减拿到外面，每个参数都乘同一个数（最后那个 W 就是 weight decay）：
#
# $$w \leftarrow (1 - \eta\lambda)\, w - \eta\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}$$
#
# 两个参数都从 1 出发，梯度一正一负地来回，没有方向可学；只是一个的梯度是 $\pm 10$，另一个是 $\pm 0.1$。衰减一千步以后，该剩下 $(1 - \eta\lambda)^{1000} = 0.368$。
# %% [markdown] key="decay" lang="en"
# ### Weight decay: taken from where?
#
# Weights that serve no purpose should shrink back to zero, lest the model use them to memorise noise. The old way is called **L2**: add $\frac{\lambda}{2}\lvert w\rvert^2$ to the loss, and $\lambda w$ to the gradient. In SGD that is exactly $w \leftarrow (1 - \eta\lambda)\, w - \eta\, g$.
#
# Put into Adam it turns into something else: $\lambda w$ is mixed into $g$, and divided by $\sqrt{v}$ with it. The pull towards zero becomes
#
# $$\eta\, \frac{\lambda w}{\sqrt{\hat v} + \epsilon}$$
#
# A parameter with large gradients has a large $\sqrt{\hat v}$ and hardly decays; one with small gradients decays in no time. Who shrinks by how much is decided by the size of gradients. **AdamW** takes the decay outside, where all parameters are multiplied by the same number (the final W is for weight decay):
#
# $$w \leftarrow (1 - \eta\lambda)\, w - \eta\, \frac{\hat m_t}{\sqrt{\hat v_t} + \epsilon}$$
#
# Let two parameters start at 1 with gradients that go to and fro, so that there is nothing to learn; only, those of the one are $\pm 10$ and those of the other $\pm 0.1$. After a thousand steps of decay there should be left $(1 - \eta\lambda)^{1000} = 0.368$.

# %% key="decay-run" tags=["nbval-check-output"]


def shrink(kind, steps=1000, lr=0.01, decay=0.1):
    """Two weights with gradients ±10 and ±0.1.  -> (steps + 1, 2)"""
    w, s = np.ones(2), {"m": 0.0, "v": 0.0}
    path = [w]
    for t in range(1, steps + 1):
        g = np.array([10.0, 0.1]) * (-1) ** t
        w = adam(w, g + decay * w, s, t, lr) if kind == "L2" else adamw(w, g, s, t, lr, decay)
        path.append(w)
    return np.array(path)


shrunk = {kind: shrink(kind) for kind in ("L2", "AdamW")}
for kind, path in shrunk.items():
    print(f"{kind:6s} 梯度 gradient ±10: {path[-1, 0]:5.2f}    ±0.1: {abs(path[-1, 1]):5.2f}")

# %% key="decay-picture"
panels = viz.new_axes(8, 3.0, 1, 2, sharey=True)
for ax, (kind, path) in zip(panels, shrunk.items(), strict=True):
    ax.plot(path[:, 0], color="#0072B2", label="梯度 gradient ±10")
    ax.plot(path[:, 1], color="#D55E00", linestyle="--", label="梯度 gradient ±0.1")
    ax.plot((1 - 0.001) ** np.arange(1001), color="0.6", linestyle=":", label="(1 - ηλ)ᵗ")
    ax.set_title("L2 混进梯度 L2 in the gradient" if kind == "L2" else "AdamW")
    ax.set_xlabel("步数 step")
panels[0].set_ylabel("权重 weight")
panels[1].legend(fontsize=8)
viz.show(
    panels,
    alt="L2 让梯度小的权重先归零，AdamW 一视同仁 with L2 the weight with small gradients vanishes first, AdamW treats both alike",
)

# %% [markdown] key="equal" lang="zh"
# 下面是 minillm 的 `Adam`，`AdamW` 就是把其中的 `decoupled = True` 打开的它。和我们的是同一个公式，只是每一步都就地改写，省下来回搬内存的时间。接着核对三方：我们的、minillm 的、PyTorch 的。
# %% [markdown] key="equal" lang="en"
# Here is minillm's `Adam`, of which `AdamW` is the version with `decoupled = True`. It is our formula, only that each operation writes in place and spares the memory some traffic. Then compare three of them: ours, minillm's and PyTorch's.

# %% key="equal-listing"
from typing import Any

from minillm.np.optim import Group, Optimizer
from minillm.np.param import Param


from minillm.np.optim import Adam  # paste

# %% key="equal-run" tags=["nbval-check-output"]
path = walk(adamw, 20)

w = Param(np.array([1.0, 1.0]))
optimiser = AdamW([{"params": [("w", w)]}], lr=0.1, betas=(0.9, 0.999), weight_decay=0.1)
for _ in range(20):
    w.grad = STEEP * w.data
    optimiser.step()
assert np.allclose(w.data, path[-1], rtol=1e-12)
print("minillm 的 AdamW 走同一条路 minillm's AdamW walks the same path")

try:
    import torch
except ImportError:
    print("没有 PyTorch，这一步跳过 no PyTorch here, so this step is skipped")
else:
    w_pt = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.AdamW([w_pt], lr=0.1, weight_decay=0.1)
    for _ in range(20):
        w_pt.grad = torch.tensor(STEEP) * w_pt.detach()
        optimiser.step()
    difference = np.abs(w_pt.detach().numpy() - path[-1]).max()
    print("与 PyTorch 的终点相差不到 ends differ from PyTorch's by less than 1e-12:", bool(difference < 1e-12))

# %% [markdown] key="groups" lang="zh"
# 哪些参数要衰减？矩阵要，向量不要。归一化的缩放从 1 起步，缩向零等于把信号关小；偏置只有一个数一行，记不住什么噪声。`decay_groups` 就照这条规矩把参数分成两组。
# %% [markdown] key="groups" lang="en"
# Which parameters should decay? Matrices should, vectors should not. The scales of a normalisation start at 1, and to shrink them is to turn the signal down; biases are one number a row and cannot memorise much noise. `decay_groups` sorts the parameters into two groups by this rule.

# %% key="groups-run" tags=["nbval-check-output"]
for group in decay_groups(model, weight_decay=0.1):
    members = group["params"]
    count = sum(p.data.size for _, p in members)
    print(f"λ = {group['weight_decay']}: {len(members)} 个数组 arrays, {count:,} 个数 numbers, {members[0][0]} …")

# %% [markdown] key="schedule" lang="zh"
# ## 学习率，从小到大再到小
#
# **为什么最后要小。** 取最简单的山谷 $\frac{1}{2} w^2$，梯度带噪声：$g = w + \sigma\xi$。每步 $w \leftarrow (1 - \eta)\, w - \eta\sigma\,\xi$。走久了，$w$ 的方差不再变，两边取方差：
#
# $$s^2 = (1 - \eta)^2 s^2 + \eta^2\sigma^2 \qquad\Longrightarrow\qquad s^2 = \frac{\eta\,\sigma^2}{2 - \eta}$$
#
# 学习率不变，就永远在谷底附近晃，停不下来；方差大致与 $\eta$ 成正比，$\eta$ 减半，晃动的方差也减半。又因为 $\sigma^2$ 与 $1/B$ 成正比，批次加倍和学习率减半，在这里是一回事。让四千个点一起走，看看公式对不对：
# %% [markdown] key="schedule" lang="en"
# ## The learning rate: up, then down
#
# **Why small at the end.** Take the simplest valley, $\frac{1}{2} w^2$, with noise in the gradient: $g = w + \sigma\xi$. Each step is $w \leftarrow (1 - \eta)\, w - \eta\sigma\,\xi$. After a long walk the variance of $w$ no longer changes; take the variance of both sides:
#
# $$s^2 = (1 - \eta)^2 s^2 + \eta^2\sigma^2 \qquad\Longrightarrow\qquad s^2 = \frac{\eta\,\sigma^2}{2 - \eta}$$
#
# With a constant learning rate the walk sways about the bottom for ever. The variance is nearly proportional to $\eta$: halve it, and you halve the variance. And as $\sigma^2$ is proportional to $1/B$, doubling the batch is here the same as halving the learning rate. Let four thousand points walk together and see whether the formula holds:

# %% key="schedule-noise" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
for eta in (0.4, 0.2, 0.1, 0.05):
    w = np.zeros(4000)
    for _ in range(300):
        w -= eta * (w + rng.normal(size=4000))
    print(f"η = {eta:4.2f}   方差 variance {w.var():.2f}   公式 formula {eta / (2 - eta):.2f}")
    assert abs(w.var() / (eta / (2 - eta)) - 1) < 0.1

# %% [markdown] key="schedule-shape" lang="zh"
# **为什么开头也要小。** 刚才看到，Adam 的第一步不管梯度多小多吵，每个参数都走满 $\eta$；头几步的 $v$ 也只见过几个批次，靠不住。而这时权重是随机的，损失对它们最敏感。所以先用几十步把学习率从零升上去，叫**预热**。
#
# 中间用半个余弦连起来。设 $t$ 从 $0$ 数起，预热 $W$ 步，一共 $S$ 步，进度 $u = (t - W)/(S - 1 - W)$ 从 0 走到 1，最低的学习率是最高的 $r$ 倍：
#
# $$\eta_t = \eta \Big(r + (1 - r)\,\frac{1 + \cos \pi u}{2}\Big)$$
#
# $u = 0$ 时余弦是 1，得 $\eta$；$u = 1$ 时余弦是 $-1$，得 $r\eta$；两头都平，中间最陡。它没有什么深奥的道理，只是好用：大步走得够久，小步也收得够久。
# %% [markdown] key="schedule-shape" lang="en"
# **Why small at the beginning, too.** We saw that Adam's first step moves every parameter by the full $\eta$, however small and noisy its gradient; and in the first steps $v$ has seen but a few batches and is not to be trusted. It is then, with random weights, that the loss is most easily upset. So let the learning rate climb from zero over some dozens of steps: the **warm-up**.
#
# Half a cosine joins the two ends. Count $t$ from $0$, let there be $W$ steps of warm-up among $S$ in all; the progress $u = (t - W)/(S - 1 - W)$ goes from 0 to 1, and the lowest learning rate is $r$ times the highest:
#
# $$\eta_t = \eta \Big(r + (1 - r)\,\frac{1 + \cos \pi u}{2}\Big)$$
#
# At $u = 0$ the cosine is 1 and gives $\eta$; at $u = 1$ it is $-1$ and gives $r\eta$; flat at both ends, steepest in the middle. There is no deep reason for it. It works: large steps for long enough, and small ones for long enough.

# %% key="schedule-listing"
from minillm.schedule import learning_rate  # paste

# %% key="schedule-picture"
ax = viz.new_axes(7, 3.2)
steps = np.arange(200)
for kind, colour in (("cosine", "#0072B2"), ("linear", "#009E73"), ("constant", "#D55E00")):
    rates = [learning_rate(t, lr=1e-2, steps=200, warmup=20, min_lr=0.1, schedule=kind) for t in steps]
    ax.plot(
        steps, rates, color=colour, label={"cosine": "余弦", "linear": "直线", "constant": "不变"}[kind] + " " + kind
    )
assert np.allclose(
    [r["lr"] for r in recipe],
    [learning_rate(t, **{k: RECIPE[k] for k in ("lr", "steps", "warmup")}, min_lr=0.1) for t in steps],
)
ax.set_xlabel("步数 step")
ax.set_ylabel("学习率 learning rate")
ax.set_ylim(0)
ax.legend()
viz.show(
    ax,
    alt="预热二十步，然后按余弦、直线下降，或者不变 twenty steps of warm-up, then down by a cosine or a line, or constant",
)

# %% [markdown] key="clip" lang="zh"
# ## 裁剪：步子太大就缩短，不转弯
#
# 偶尔有一个批次，梯度大得出奇：一段坏文字，一处除错了数。把**所有**参数的梯度接成一个长向量，长度是 $\lvert g\rvert$，给它定个上限 $c$。要找长度不超过 $c$、离 $g$ 最近的向量 $h$：
#
# $$\lvert g - h\rvert^2 = \lvert g\rvert^2 - 2\, g \cdot h + \lvert h\rvert^2 \;\ge\; \lvert g\rvert^2 - 2\,\lvert g\rvert\lvert h\rvert + \lvert h\rvert^2 = (\lvert g\rvert - \lvert h\rvert)^2$$
#
# 不等号来自点积不大于长度之积，只有 $h$ 与 $g$ **同向**时才取等号；右边在 $\lvert h\rvert = c$ 时最小。所以
#
# $$h = g \cdot \min\Big(1, \frac{c}{\lvert g\rvert}\Big)$$
#
# 方向一点不变，只是缩短。要是一个数一个数地截，或者一个数组一个数组地缩，方向就歪了：
# %% [markdown] key="clip" lang="en"
# ## Clipping: shorten the step, do not turn it
#
# Once in a while a batch has an outrageous gradient: a damaged piece of text, a division by the wrong number. Join the gradients of **all** parameters into one long vector of length $\lvert g\rvert$ and set it a limit $c$. We look for the vector $h$ no longer than $c$ that is nearest to $g$:
#
# $$\lvert g - h\rvert^2 = \lvert g\rvert^2 - 2\, g \cdot h + \lvert h\rvert^2 \;\ge\; \lvert g\rvert^2 - 2\,\lvert g\rvert\lvert h\rvert + \lvert h\rvert^2 = (\lvert g\rvert - \lvert h\rvert)^2$$
#
# The inequality holds because a dot product is at most the product of the lengths, with equality only where $h$ points **the same way** as $g$; and the right-hand side is least at $\lvert h\rvert = c$. Therefore
#
# $$h = g \cdot \min\Big(1, \frac{c}{\lvert g\rvert}\Big)$$
#
# The direction stays, only the length changes. Cut number by number, or scale array by array, and the direction turns:

# %% key="clip-run" tags=["nbval-check-output"]
parts = [np.array([3.0, 4.0]), np.array([12.0])]  # |g| = √(9 + 16 + 144) = 13
whole = np.concatenate(parts)
params = [Param(np.zeros_like(part)) for part in parts]
for p, part in zip(params, parts, strict=True):
    p.grad = part.copy()
norm = clip_grad_norm(params, max_norm=1.0)

ways = {
    "整体 the whole": np.concatenate([p.grad for p in params]),
    "逐个数组 by array": np.concatenate([part / np.linalg.norm(part) for part in parts]),
    "逐个数 by entry": np.clip(whole, -1, 1),
}
print("|g| =", norm)
for name, h in ways.items():
    cosine = h @ whole / np.linalg.norm(h) / norm
    print(f"{h.round(3)}   |h| {np.linalg.norm(h):.2f}   cos {cosine:.2f}   {name}")

# %% [markdown] key="spike" lang="zh"
# 造一次事故：第 61 步，有人忘了除以词元的个数，损失是和而不是平均，梯度一下子大了 256 倍。四次训练：SGD 和 AdamW，各有裁剪和没有裁剪。
# %% [markdown] key="spike" lang="en"
# Stage an accident: at step 61 somebody forgets to divide by the number of tokens, the loss is a sum instead of a mean, and its gradient 256 times as large. Four trainings: SGD and AdamW, each with clipping and without.


# %% key="spike-run"
def accident(kind, clip, seed=0, steps=120):
    """Losses of a training whose step 61 has a gradient 256 times too large."""
    model, losses = new_model(seed), []
    if kind == "SGD":
        optimiser, lr = SGD(decay_groups(model, 0.0), lr=0.05, momentum=0.9), 0.05
    else:
        optimiser, lr = AdamW(decay_groups(model, 0.1), betas=(0.9, 0.95)), 1e-2
    for step in range(steps):
        optimiser.set_lr(lr * min(1, (step + 1) / 20))
        scale = 256.0 if step == 60 else 1.0
        losses.append(learn(model, *random_batch(train_ids, CONTEXT, 4, seed, step), scale))
        clip_grad_norm(model.parameters(), clip)
        optimiser.step()
    return np.array(losses)


with np.errstate(all="ignore"):  # 没有裁剪的 SGD 会溢出 SGD without clipping may overflow
    accidents = {(kind, clip): accident(kind, clip) for kind in ("SGD", "AdamW") for clip in (1.0, np.inf)}
for (kind, clip), losses in accidents.items():
    name = "裁剪 clipped    " if clip == 1 else "不裁剪 unclipped"
    peak = losses[61:].max()
    print(
        f"{kind:5s} {name}  前 before {losses[50:60].mean():.1f}   最高 peak {'> 7' if not peak < 7 else f'{peak:.1f}'}"
    )

# %% key="spike-picture"
ax = viz.new_axes(7, 3.6)
for (kind, clip), losses in accidents.items():
    colour = "#D55E00" if kind == "SGD" else "#0072B2"
    name = f"{kind}，{'裁剪 clipped' if clip == 1 else '不裁剪 unclipped'}"
    ax.plot(np.minimum(losses, 8.5), color=colour, linestyle="-" if clip == 1 else ":", label=name)
ax.axvline(60, color="0.6", linewidth=0.8)
ax.axhline(FLOOR, color="0.35", linestyle="--", label="下限 floor")
ax.set_ylim(0, 8)
ax.set_xlabel("步数 step")
ax.set_ylabel("训练损失（奈特/词元）\ntraining loss (nats per token)")
ax.legend(fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 0.1))
viz.show(
    ax,
    alt="一次大梯度以后，没有裁剪的 SGD 飞走，没有裁剪的 AdamW 落后，有裁剪的没有感觉 after one large gradient SGD without clipping flies off, AdamW without it falls behind, clipped ones do not notice",
)

# %% [markdown] key="spike-after" lang="zh"
# 有裁剪的两条线像是没事发生。没有裁剪的 SGD 飞出了图，学到的全丢了。没有裁剪的 AdamW 有意思：它不会飞，因为那一步的大梯度也进了 $\sqrt v$，自己除自己；可是 $v$ 从此大得离谱，往后几十步都把步子压得很小，$m$ 里还留着那个坏方向。它没有炸，只是白白丢了几十步。
#
# ## dropout：训练时随手关掉一些
#
# 训练时，每个数以概率 $p$ 变成零，模型就不敢把宝押在某一个数上。可这样一来总量变小了：$\mathbb{E}[\text{留下的}] = (1 - p)\,x$。补救的办法是把留下的放大到 $1/(1 - p)$ 倍：
#
# $$y = \frac{k\,x}{1 - p},\quad k = \begin{cases}1 & \text{概率 } 1 - p\\ 0 & \text{概率 } p\end{cases} \qquad \mathbb{E}\, y = \frac{(1 - p)\, x}{1 - p} = x$$
#
# 期望不变，所以评估的时候直接把它关掉，什么也不用改。方差却多了：$\mathbb{E}\,y^2 - x^2 = \frac{x^2}{1 - p} - x^2 = \frac{p}{1 - p}\, x^2$，这就是它掺进来的噪声。
# %% [markdown] key="spike-after" lang="en"
# The two clipped lines look as if nothing had happened. SGD without clipping flies out of the picture and loses all that it had learnt. AdamW without it is the interesting one: it does not fly, for the large gradient of that step has gone into $\sqrt v$ as well and divides itself; but from then on $v$ is absurdly large and keeps the steps tiny for dozens more, while $m$ still holds the bad direction. It did not blow up. It only threw dozens of steps away.
#
# ## Dropout: in training, switch some off
#
# In training each number becomes zero with probability $p$, so that the model dare not stake everything on one of them. But then the total shrinks: $\mathbb{E}[\text{what is kept}] = (1 - p)\,x$. The remedy is to scale what is kept by $1/(1 - p)$:
#
# $$y = \frac{k\,x}{1 - p},\quad k = \begin{cases}1 & \text{probability } 1 - p\\ 0 & \text{probability } p\end{cases} \qquad \mathbb{E}\, y = \frac{(1 - p)\, x}{1 - p} = x$$
#
# The expectation stays, so for evaluation it is simply turned off, with nothing else to change. The variance does not stay: $\mathbb{E}\,y^2 - x^2 = \frac{x^2}{1 - p} - x^2 = \frac{p}{1 - p}\, x^2$, and that is the noise it brings in.

# %% key="dropout-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
x, p = np.full(200_000, 3.0), 0.2
y, cache = F.dropout(x, p, rng)
print("前几个 the first few  ", y[:8])
print(f"平均 mean {y.mean():.2f}   方差 variance {y.var():.2f}   公式 formula {p / (1 - p) * 9:.2f}")
off, _ = F.dropout(x, p, None)
assert off is x and abs(y.mean() - 3) < 0.02 and abs(y.var() - 2.25) < 0.05
assert np.array_equal(F.dropout_backward(np.ones_like(x), cache) == 0, y == 0)
print("没有随机数发生器就是关着；反向用同一张掩码 no generator, no dropout; backward uses the same mask")

# %% [markdown] key="board" lang="zh"
# ## 一块仪表盘：一样一样地关掉
#
# 有了这么多零件，每一样到底值多少？唯一诚实的办法是：从完整的配方出发，每次只改一样，别的都不动，再看验证损失。
#
# 一次训练有运气。换一个随机种子，起点和批次都变，结果也变一点。所以每样跑三个种子；比较的时候**同一个种子配成对**，起点和批次都相同，相减的差里运气就消掉了大半。
#
# 配方里没有 dropout，因为 200 步里每段文字难得见到第二次，没有东西可背；所以这一样是反过来，打开它。批次大小的比较要公平，读的字数相同：$B = 16$ 走 50 步，$B = 2$ 走 400 步，都是五万一千个词元。最后两样把学习率放大到三倍，看配方的余地有多大，预热又在什么时候要紧。
# %% [markdown] key="board" lang="en"
# ## One dashboard: switched off one by one
#
# So many parts: what is each of them worth? The only honest way is to start from the full recipe, change one thing at a time and nothing else, and look at the validation loss.
#
# A training has its luck. With another random seed the start and the batches change, and the result changes a little. So run three seeds of each; and in comparing **pair what has the same seed**, hence the same start and the same batches, so that most of the luck cancels in the difference.
#
# The recipe has no dropout, for in 200 steps few pieces of text are met twice and there is nothing to memorise; so this switch goes the other way, from off to on. To be fair to batch sizes, let them read the same number of characters: 50 steps with $B = 16$ and 400 steps with $B = 2$ are fifty-one thousand tokens either way. The last two have three times the learning rate, to see how much room the recipe has and when the warm-up matters.

# %% key="board-run"
SWITCHES = {
    "余弦 → 不变\ncosine → constant": {"schedule": "constant"},
    "没有预热\nno warm-up": {"warmup": 0},
    "没有裁剪\nno clipping": {"clip": 0.0},
    "没有权重衰减\nno weight decay": {"weight_decay": 0.0},
    "打开 dropout\ndropout on, 0.1": {"dropout": 0.1},
    "B = 16, 50 步\nB = 16, 50 steps": {"batch_size": 16, "steps": 50, "warmup": 5, "look": 10},
    "B = 2, 400 步\nB = 2, 400 steps": {"batch_size": 2, "steps": 400, "warmup": 40, "look": 100},
    "学习率 × 3\nlearning rate × 3": {"lr": 3e-2},
    "学习率 × 3，没有预热\nlearning rate × 3, no warm-up": {"lr": 3e-2, "warmup": 0},
}
SEEDS = (0, 1, 2)


def curve(log, batch_size=4):
    """Validation losses against thousands of tokens read."""
    found = [(r["step"] * batch_size * CONTEXT / 1000, r["valid_loss"]) for r in log if "valid_loss" in r]
    return np.array(found)


base = [curve(recipe if seed == 0 else train(seed)[1]) for seed in SEEDS]
board = {
    name: [curve(train(seed, **changes)[1], changes.get("batch_size", 4)) for seed in SEEDS]
    for name, changes in SWITCHES.items()
}
last = np.array([line[-1, 1] for line in base])
effect = {name: np.array([line[-1, 1] for line in lines]) - last for name, lines in board.items()}

print(f"配方 recipe: {last.mean():.2f}，种子的起落 spread of seeds {np.ptp(last):.2f}")
for name, values in effect.items():
    print("  ".join(f"{value:+5.2f}" for value in values), "  ", name.replace("\n", "  "))

# %% key="board-picture"
panels = viz.new_axes(9, 7.5, 3, 3, sharex=True, sharey=True)
for ax, (name, lines) in zip(panels.flat, board.items(), strict=True):
    for ours, theirs in zip(base, lines, strict=True):
        ax.plot(*ours.T, color="0.55", linewidth=1)
        ax.plot(*theirs.T, color="#D55E00", linewidth=1)
    ax.axhline(FLOOR, color="0.35", linestyle="--", linewidth=1)
    ax.set_title(name, fontsize=9)
    ax.set_ylim(0, 7)
    ax.grid(alpha=0.25)
for ax in panels[-1]:
    ax.set_xlabel("读过的词元（千） tokens read (thousands)", fontsize=8)
for ax in panels[:, 0]:
    ax.set_ylabel("验证损失（奈特/词元）\nvalidation loss (nats per token)", fontsize=8)
figure = panels[0, 0].figure
figure.suptitle("灰：配方　橙：改了一样　虚线：下限　　grey: recipe   orange: one change   dashed: floor", fontsize=10)
viz.show(
    panels,
    alt="九个小图，每个把一样改动与配方的验证损失相比，各三个种子 nine panels, each comparing one change with the recipe, three seeds",
)

# %% key="board-effect"
ax = viz.new_axes(8, 4.0)
for row, values in enumerate(reversed(effect.values())):
    ax.plot([values.min(), values.max()], [row, row], color="#D55E00", alpha=0.4, linewidth=4)
    ax.plot(values, [row] * len(values), "o", color="#D55E00", markersize=5)
ax.axvline(0, color="0.4")
ax.axvspan(-np.ptp(last), np.ptp(last), color="0.85", label="配方自己三个种子的起落 spread of the recipe's own seeds")
ax.set_yticks(range(len(effect)), [name.replace("\n", "　") for name in reversed(effect)], fontsize=8)
ax.set_xlabel("验证损失比配方高多少（奈特/词元）\nvalidation loss above the recipe's (nats per token)")
ax.grid(alpha=0.25, axis="x")
ax.legend(fontsize=8, loc="upper right")
viz.show(ax, alt="每样改动的代价，三个种子各一点 the cost of each change, a dot for each of three seeds")

# %% [markdown] key="board-after" lang="zh"
# 照实说，从上往下看。
#
# **余弦**值不到十分之一奈特，看曲线就知道差距是最后才拉开的：步子收小，晃动才停。**预热**也差不多值这么多。**裁剪**在没有事故的时候只值一点点，有的种子几乎看不出；它是保险，刚才那次事故里才显出用处。**权重衰减**在这里**毫无差别**，最多 0.01：走了才 200 步，总共只缩了百分之十上下，也还没有东西可背。它的用处要在长得多的训练里看，这里不假装看见。
#
# **dropout** 打开反而更坏，而且坏得清楚：没有过拟合可治，只添了噪声，又关掉了本来就小的模型的一部分。**批次**：读同样多的字，$B = 16$ 差得远，因为只走了 50 步；$B = 2$ 比配方还略好一点（学习率都没有重新调过，调了也许会变）。前面量过，噪声再大，多走几步都能平均掉；小批次费的是时间，因为机器一次算大的更划算，而不是字。
#
# **学习率乘三**，三个种子三个样，有的几乎不受影响，有的差出一大截；去掉预热，就个个都坏。预热给的不是更低的损失，是更大的余地。
# %% [markdown] key="board-after" lang="en"
# Read it honestly, from top to bottom.
#
# The **cosine** is worth a little less than a tenth of a nat, and the curves show that it comes at the very end: only when steps grow small does the swaying stop. The **warm-up** is worth about as much. **Clipping** is worth very little as long as there is no accident, with some seeds next to nothing; it is an insurance, and in the accident above it paid. **Weight decay** makes **no difference** here, 0.01 at most: in a mere 200 steps it has shrunk weights by about ten per cent in all, and there has been nothing to memorise. Its use shows in much longer trainings; we do not pretend to have seen it.
#
# **Dropout** makes it worse, and clearly so: there is no overfitting to cure, so it only adds noise and turns off a part of a model that was small to begin with. **Batches**: with the same number of characters read, $B = 16$ is far behind, having made only 50 steps; $B = 2$ is a little better than the recipe, if anything (the learning rate was not tuned anew for either, which might change that). Noise, we measured, averages out over more steps; what small batches cost is not characters but time, since machines do large ones more cheaply.
#
# With **three times the learning rate** each seed tells its own tale: some hardly suffer, some end far behind; without the warm-up all of them are bad. What a warm-up gives is not so much a lower loss as more room.

# %% [markdown] key="fit" lang="zh"
# ## 学过头，和学不够
#
# 让两种毛病都发生一次。**过拟合**：只给 12 篇故事，走 300 步，每个字都要见上几十遍。**欠拟合**：文字管够，模型却只有 4 维宽。
# %% [markdown] key="fit" lang="en"
# ## Too much, and too little
#
# Make both ills happen. **Overfitting**: give it only 12 stories and 300 steps, so that every character is seen dozens of times. **Underfitting**: all the text it wants, but a model only 4 wide.

# %% key="fit-run"
few_ids = token_stream(world.train[:12], tokenizer)
_, over = train(text=few_ids, steps=300, batch_size=8, lr=5e-3, look=25)
_, under = train(d_model=4, steps=200)

panels = viz.new_axes(9, 4.6, 1, 2, sharey=True)
for ax, log, title in (
    (panels[0], over, "12 篇故事：过拟合 12 stories: overfitting"),
    (panels[1], under, "4 维的模型：欠拟合 4 wide: underfitting"),
):
    viz.plot_loss(log, ax, baselines={"下限 floor": FLOOR, "瞎猜 chance, ln V": chance}, title=title)
    ax.set_ylim(0, 7)
panels[1].set_ylabel("")
viz.show(panels)

# %% [markdown] key="fit-after" lang="zh"
# 左边，训练损失一路降，**降到了下限以下**。下限是这部文法的熵，懂得文法的一切也低不过它；能在它下面，只有一种解释：模型不是懂了，是背下来了。验证损失先降后升，最后比瞎猜也好不了多少，因为它对没见过的故事也一口咬定，错得理直气壮。
#
# 右边，训练和验证贴在一起，一起停在高处。两条线之间没有缝，说明不是背；两条都高，说明装不下。看损失要看两条线：**都高是不够，分开是过头**。
#
# ## 早停
#
# 过拟合的那条红线有一个最低点。在那里把权重存下来，再等几次；要是一直没有更好的，就停下，拿存下的那一份。minillm 的 `EarlyStopping` 就做这件事，`patience` 是愿意等几次。
# %% [markdown] key="fit-after" lang="en"
# On the left the training loss goes down and down, **below the floor**. The floor is the entropy of the grammar, and one who knew all of the grammar could not get below it; there is only one way to be there: the model has not understood, it has learnt by heart. The validation loss falls and then rises until it is little better than chance, for the model is just as cocksure about stories that it has never seen.
#
# On the right training and validation stay together, and stay high. No gap between them, so nothing was memorised; both high, so there is no room. Always look at both lines: **both high is too little, apart is too much**.
#
# ## Early stopping
#
# The red line of the overfitting run has a lowest point. Save the weights there and wait a few looks more; if nothing better comes, stop, and take what was saved. minillm's `EarlyStopping` does this; `patience` is how many looks it will wait.

# %% key="stop-listing"
from minillm.schedule import EarlyStopping  # paste

# %% key="stop-run"
stopping, saved = EarlyStopping(patience=3), 0
for record in over:
    if "valid_loss" in record:
        if stopping.update(record["valid_loss"]):
            saved = record["step"]  # 真训练时，在这里存权重 in earnest, the weights are saved here
        if stopping.stop:
            break
end = next(r["valid_loss"] for r in reversed(over) if "valid_loss" in r)
print(f"第 {record['step']} 步停下，留着第 {saved} 步的 stopped at step {record['step']}, kept step {saved}")
print(f"留着的 kept {stopping.best:.1f}   走到头 at the end {end:.1f}   省下 steps saved {300 - record['step']}")

# %% [markdown] key="splits" lang="zh"
# ## 三份文字，为什么考卷只看一次
#
# 训练那份用来改权重。验证那份用来**挑**：学习率、步数、停在哪里、用哪个种子。测试那份留到最后。为什么挑过的那份不能拿来报成绩？
#
# 做个实验。一百个模型，真本事完全一样，每题都有一半机会答对，各做两百道验证题。挑出分数最高的一个，再让它做两百道测试题。重来两千遍，取平均：
# %% [markdown] key="splits" lang="en"
# ## Three parts, and why the test is looked at once
#
# The training part changes weights. The validation part is for **choosing**: the learning rate, the number of steps, where to stop, which seed. The test part is kept to the end. Why must a result not be reported on the part that was used to choose?
#
# An experiment. A hundred models are exactly as able as each other: each has an even chance with every question. All of them answer two hundred validation questions; take the one with the highest score and let it answer two hundred test questions. Repeat two thousand times and take the mean:

# %% key="splits-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
rounds, models, questions = 2000, 100, 200
valid_scores = rng.binomial(questions, 0.5, size=(rounds, models)) / questions
test_scores = rng.binomial(questions, 0.5, size=(rounds, models)) / questions
chosen = valid_scores.argmax(axis=1)
print(f"挑出来的，验证 chosen, validation {valid_scores.max(axis=1).mean():.2f}")
print(f"挑出来的，测试 chosen, test       {test_scores[np.arange(rounds), chosen].mean():.2f}")

# %% [markdown] key="splits-after" lang="zh"
# 验证分数凭空高出将近一成：挑的不是本事，是运气。测试那份没有参加挑选，所以照出了真相。可是如果看了测试分数再回头去改，它也就参加了挑选，成了第二份验证。所以只看一次，看完就收手。（这一课的仪表盘看了几十次验证，一次也没看测试。）
#
# ## 在中文上：走远一点，考一次
#
# 现在用学到的一切走得远一点：宽 64，批次 8，600 步，不到半分钟。然后打开测试那份，只此一次。
# %% [markdown] key="splits-after" lang="en"
# The validation score is higher by nearly a tenth out of nowhere: it is not ability that was chosen, it is luck. The test part took no part in the choosing, so it shows the truth. But look at the test score and go back to change something, and it has taken part, and is a second validation. So look once, and then leave it be. (This lesson's dashboard has looked at the validation text dozens of times, and never at the test.)
#
# ## On Chinese text: go further, and sit the test once
#
# Now go a little further with all that we have learnt: 64 wide, batches of 8, 600 steps, less than half a minute. Then open the test part, for this one time.

# %% key="long-run"
writer, long = train(d_model=64, batch_size=8, steps=600, look=100)
viz.show(viz.plot_loss(long, baselines={"下限 floor": FLOOR, "瞎猜 chance, ln V": chance}))

# %% key="long-test"
from minillm.evaluate import evaluate
from minillm.train import sample_text

score = evaluate(writer, world.test, tokenizer, CONTEXT)
least = entropy("test", known_split=False).bits_per_character
print(f"测试 test: {score.bits_per_char:.2f} 比特/字符 bits a character，下限 floor {least:.4f}")
print(textwrap.fill(sample_text(writer, tokenizer, "三月的一个", 70, seed=0), 36))

# %% [markdown] key="long-after" lang="zh"
# 离下限还有将近一比特，曲线也还在往下走。句子已经像样，故事还是东拉西扯：名字、次数、价钱前后对不上。剩下的差距有三块：训练还短，模型太小，窗口只有 64 个字。更大的模型、看得见整篇故事的窗口、几分钟的训练，能把这段距离缩短一大半，可还是到不了底；配方、量到的数、还差的是什么，都在 `minillm/data/world/README.md`。
#
# ## 动手玩：峡谷里的 AdamW
#
# 峡谷 $L = \frac{1}{2}(100\,w_1^2 + w_2^2)$，梯度带一点噪声，走 100 步。拖动学习率；把 $\beta_1$ 放到 0，看它抖得多厉害；把 $\beta_2$ 放小，看步子怎样忽长忽短；再打开预热和余弦，看终点。
# %% [markdown] key="long-after" lang="en"
# It is still almost a bit above the floor, and the curve is still falling. Its sentences are passable, its stories ramble: names, counts and prices do not agree from one end to the other. Three things make up the distance that is left: the training is short, the model is small, and the window holds only 64 characters. A larger model, a window that holds the whole story and some minutes of training take away more than half of it, and still do not reach the bottom; the recipe, the figures, and what is missing are in `minillm/data/world/README.md`.
#
# ## Play: AdamW in the ravine
#
# The ravine is $L = \frac{1}{2}(100\,w_1^2 + w_2^2)$, with a little noise in the gradient, for 100 steps. Drag the learning rate; set $\beta_1$ to 0 and see it tremble; make $\beta_2$ small and see strides now long, now short; then turn on warm-up and cosine, and look at where it ends.

# %% key="play-run"
from minillm.widgets import Slider, Toggle, play

noise_of_play = np.random.default_rng(0).normal(size=(100, 2)) * [10.0, 1.0]
flat, steep = np.meshgrid(np.linspace(-0.7, 1.3, 61), np.linspace(-1.6, 1.6, 81))


def draw(lr, beta1, beta2, schedule):
    w, s = np.array([1.0, 1.0]), {"m": 0.0, "v": 0.0}
    path = [w]
    for t in range(1, 101):
        now = learning_rate(t - 1, lr=lr, steps=100, warmup=10, min_lr=0.02) if schedule else lr
        w = adamw(w, STEEP * w + noise_of_play[t - 1], s, t, now, decay=0.0, beta1=beta1, beta2=beta2)
        path.append(w)
    path = np.array(path)
    ax = viz.new_axes(7, 3.6)
    ax.contour(flat, steep, 0.5 * (100 * steep**2 + flat**2), levels=[0.1, 1, 5, 20, 60, 120], colors="0.85")
    ax.plot(path[:, 1], path[:, 0], ".-", color="#0072B2", linewidth=1, markersize=4)
    ax.plot(path[-1, 1], path[-1, 0], "o", color="#D55E00")
    ax.plot(0, 0, "+", color="k", markersize=10)
    height = 0.5 * (STEEP * path[-10:] ** 2).sum(axis=1).mean()
    ax.set_title(f"η = {lr:.2f}   最后十步的损失 loss of the last ten steps {height:.2g}")
    ax.set_xlim(-0.7, 1.3)
    ax.set_ylim(-1.6, 1.6)
    ax.set_xlabel("w₂，平 flat")
    ax.set_ylabel("w₁，陡 steep")
    return ax


play(
    draw,
    lr=Slider(0.02, 0.3, 0.02, value=0.1, label="学习率 learning rate"),
    beta1=Slider(0.0, 0.95, 0.05, value=0.9, label="β₁"),
    beta2=Slider(0.5, 0.99, 0.01, value=0.95, label="β₂"),
    schedule=Toggle(False, label="预热和余弦 warm-up and cosine"),
    alt="AdamW 在峡谷里走一百步的路 the path of a hundred steps of AdamW in a ravine",
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 下面的数由机器核对。训练的结果随种子起落；种子的起落如下，十个种子各跑一遍：斜率在 -0.51 到 -0.49 之间；SGD 八个在 3.5 到 3.9，两个在 5.3；配方在 2.80 到 2.96；没有余弦的代价在 -0.01 到 0.13，没有权重衰减的在 -0.01 到 0.01，dropout 的在 0.17 到 0.27；背下来的训练损失在 0.15 到 0.19，低于 0.33 的下限；测试在 1.35 到 1.42。范围放宽了些，给别的处理器留点余地。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks these figures. Results of training vary with the seed; over ten seeds they spread as follows: the slope from -0.51 to -0.49; SGD from 3.5 to 3.9 in eight and 5.3 in two; the recipe from 2.80 to 2.96; the cost of no cosine from -0.01 to 0.13, of no weight decay from -0.01 to 0.01, of dropout from 0.17 to 0.27; the training loss learnt by heart from 0.15 to 0.19, below the floor of 0.33; the test from 1.35 to 1.42. The ranges are somewhat wider, to leave room for other processors.

# %% key="bands-run"
from minillm.bands import band

band("噪声对批次的斜率 slope of noise against batch", float(slope), -0.56, -0.44)
band("SGD 的验证损失 validation loss of SGD", plain[-1]["valid_loss"], 3.2, 5.6)
band("配方的验证损失 validation loss of the recipe", float(last.mean()), 2.65, 3.05)
band("没有余弦的代价 cost of no cosine", float(effect["余弦 → 不变\ncosine → constant"].mean()), -0.05, 0.25)
band("没有权重衰减的代价 cost of no weight decay", float(effect["没有权重衰减\nno weight decay"].mean()), -0.05, 0.05)
band("dropout 的代价 cost of dropout", float(effect["打开 dropout\ndropout on, 0.1"].mean()), 0.1, 0.4)
band("背下来的训练损失 training loss learnt by heart", viz.smooth([r["loss"] for r in over])[-1], 0.05, 0.33)
band("测试，比特每字符 test, bits a character", score.bits_per_char, 1.1, 1.6)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **相信不可能的日志。** 有篇文章印过这样的训练记录：训练集一共 3 条文本，准确率每一轮都正好是 0.5000，每轮 3 步，批次是默认的 32。三条文本的准确率能是多少？批次装得下 32 条，三条文本一轮又要走几步？
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **Believing an impossible log.** An article printed such a training record: 3 texts to train on, an accuracy of exactly 0.5000 in every epoch, 3 steps an epoch, at the default batch size of 32. Which accuracies can three texts have? And how many steps does an epoch of three texts take in batches of 32?

# %% key="mistakes-run" tags=["nbval-check-output"]
texts, batch_size = 3, 32
possible = [right / texts for right in range(texts + 1)]
print("可能的准确率 possible accuracies:", "  ".join(f"{value:.4f}" for value in possible))
print("每轮的步数 steps an epoch:", math.ceil(texts / batch_size))
assert 0.5 not in possible

# %% [markdown] key="mistakes-more" lang="zh"
# 三条里对几条，只能是 0、1/3、2/3、1；一轮只有一步。这样的日志没有一个程序印得出来。看别人的曲线，先问一句：这个数，这段代码算得出来吗？
#
# **评估的时候忘了关 dropout。** 损失会无缘无故地高一截，每次还不一样。minillm 里没有随机数发生器就是关着；PyTorch 要记得 `model.eval()`，训练前再 `model.train()`。
#
# **只看训练损失。** 过拟合的那张图里，训练损失一直很好看，好看到低于下限。
#
# **只跑一个种子就下结论。** 仪表盘上三个种子的配方只差 0.01，换十个种子就差到 0.16；十个里还有一个，去掉余弦反而好了一点点。
#
# **一次改两样。** 结果变好了，功劳算谁的？
#
# **用 Adam 又把 L2 加进损失。** PyTorch 的 `Adam` 有个 `weight_decay` 参数，那是 L2，不是这里的衰减；要用 `AdamW`。
#
# ## 记住三句话
#
# 1. 批次的梯度是信号加噪声，噪声随 $1/\sqrt{B}$ 减小；Adam 把每个参数的步子调成差不多大，AdamW 把衰减拿到外面。
# 2. 学习率先升后降，梯度太长就缩短：预热管开头，余弦管结尾，裁剪管意外。
# 3. 训练和验证两条线都要看；用验证来挑，测试只看一次；低于熵的训练损失是背出来的。
#
# ## 出处
#
# - H. Robbins, S. Monro (1951). A Stochastic Approximation Method. Annals of Mathematical Statistics 22 (3), 400–407. 随机梯度的起源。
# - T. Tieleman, G. Hinton (2012). Lecture 6.5: RMSProp. COURSERA: Neural Networks for Machine Learning. RMSProp。
# - D. P. Kingma, J. Ba (2015). Adam: A Method for Stochastic Optimization. ICLR. [arXiv 1412.6980](https://arxiv.org/abs/1412.6980). Adam。
# - I. Loshchilov, F. Hutter (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR. [arXiv 1608.03983](https://arxiv.org/abs/1608.03983). 余弦。
# - I. Loshchilov, F. Hutter (2019). Decoupled Weight Decay Regularization. ICLR. [arXiv 1711.05101](https://arxiv.org/abs/1711.05101). AdamW。
# - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training Recurrent Neural Networks. ICML. [arXiv 1211.5063](https://arxiv.org/abs/1211.5063). 按总长度裁剪。
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov (2014). Dropout: A Simple Way to Prevent Neural Networks from Overfitting. Journal of Machine Learning Research 15, 1929–1958. dropout。
# - P. Goyal et al. (2017). Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. [arXiv 1706.02677](https://arxiv.org/abs/1706.02677). 预热。
# - L. Prechelt (1998). Early Stopping – But When? Neural Networks: Tricks of the Trade, Springer, 55–69. 早停。
# %% [markdown] key="mistakes-more" lang="en"
# So many of three can only be 0, 1/3, 2/3 or 1; and an epoch is one step. No program can have printed that log. Before you believe a curve, ask: could this number come out of this code?
#
# **Forgetting to turn dropout off for evaluation.** The loss is higher for no good reason, and different each time. In minillm no generator means off; in PyTorch remember `model.eval()`, and `model.train()` before training goes on.
#
# **Looking at the training loss only.** In the picture of overfitting it looked better and better, until it was below the floor.
#
# **Concluding from one seed.** The recipe's three seeds on the dashboard differ by 0.01, ten of them by 0.16; and for one of the ten, going without the cosine was even a trifle better.
#
# **Changing two things at once.** If it got better, which of them gets the credit?
#
# **Adam with L2 in the loss.** PyTorch's `Adam` has an argument `weight_decay`, which is L2 and not the decay meant here; use `AdamW`.
#
# ## Three sentences to keep
#
# 1. A batch's gradient is signal plus noise, and the noise falls as $1/\sqrt{B}$; Adam makes the steps of all parameters about equally long, and AdamW takes the decay outside.
# 2. The learning rate goes up and then down, and a gradient that is too long is shortened: warm-up for the beginning, cosine for the end, clipping for accidents.
# 3. Watch both lines, training and validation; choose by validation and look at the test once; a training loss below the entropy has been learnt by heart.
#
# ## Sources
#
# - H. Robbins, S. Monro (1951). A Stochastic Approximation Method. Annals of Mathematical Statistics 22 (3), 400–407. Where stochastic gradients come from.
# - T. Tieleman, G. Hinton (2012). Lecture 6.5: RMSProp. COURSERA: Neural Networks for Machine Learning. RMSProp.
# - D. P. Kingma, J. Ba (2015). Adam: A Method for Stochastic Optimization. ICLR. [arXiv 1412.6980](https://arxiv.org/abs/1412.6980). Adam.
# - I. Loshchilov, F. Hutter (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR. [arXiv 1608.03983](https://arxiv.org/abs/1608.03983). The cosine.
# - I. Loshchilov, F. Hutter (2019). Decoupled Weight Decay Regularization. ICLR. [arXiv 1711.05101](https://arxiv.org/abs/1711.05101). AdamW.
# - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training Recurrent Neural Networks. ICML. [arXiv 1211.5063](https://arxiv.org/abs/1211.5063). Clipping by the global norm.
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov (2014). Dropout: A Simple Way to Prevent Neural Networks from Overfitting. Journal of Machine Learning Research 15, 1929–1958. Dropout.
# - P. Goyal et al. (2017). Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. [arXiv 1706.02677](https://arxiv.org/abs/1706.02677). Warm-up.
# - L. Prechelt (1998). Early Stopping – But When? Neural Networks: Tricks of the Trade, Springer, 55–69. Early stopping.

# %% [markdown] key="ex-first-stride" lang="zh" exercise="first_stride"
# ### 练习 1　Adam 的第一步
#
# 状态从零开始，带改正，$\epsilon$ 小到可以不管。给你每个参数的梯度和学习率，写出第一步之后每个参数**变了多少**。$\beta_1$、$\beta_2$ 没有给，因为用不着。先猜：梯度是 $(100, -0.01)$，学习率 $0.1$，各走多远？梯度是零的参数不动。
# %% [markdown] key="ex-first-stride" lang="en" exercise="first_stride"
# ### Exercise 1: Adam's first step
#
# The state starts at zero, the correction is made, and $\epsilon$ is too small to matter. Given the gradient of each parameter and the learning rate, write **by how much each parameter changes** in the first step. $\beta_1$ and $\beta_2$ are not given, for you do not need them. Guess first: with gradients $(100, -0.01)$ and learning rate $0.1$, how far does each go? A parameter whose gradient is zero does not move.


# %% key="ex-first-stride-code" exercise="first_stride" kind="predict" difficulty=1 minutes=6 points=1
def first_stride(gradient: Array, lr: float) -> Array:
    """Change of each parameter in Adam's first step.  gradient (n,) -> (n,)"""
    ### BEGIN SOLUTION
    return -lr * np.sign(gradient)  # m̂ = g, √v̂ = |g|
    ### END SOLUTION


# %% key="ex-first-stride-check" exercise="first_stride"
check(first_stride)

# %% [markdown] key="ex-floor-in-nats" lang="zh" exercise="floor_in_nats"
# ### 练习 2　下限换算成奈特每词元
#
# 一个字符级的模型读 `<eos> 故事 <eos> 故事 …`。已知熵是每个字符多少比特，一篇平均多少个字符。损失的下限是每个词元多少奈特？每篇的 `<eos>` 也是一个词元，它的比特已经算在里面。
# %% [markdown] key="ex-floor-in-nats" lang="en" exercise="floor_in_nats"
# ### Exercise 2: The floor in nats a token
#
# A character model reads `<eos> 故事 <eos> 故事 …` (故事 is “story”). Given the entropy in bits a character and the mean number of characters in a story, what is the floor of its loss in nats a token? The `<eos>` of each story is a token, too; its bits are already included.


# %% key="ex-floor-in-nats-code" exercise="floor_in_nats" kind="predict" difficulty=2 minutes=8 points=1
def floor_in_nats(bits_per_character: float, characters: float) -> float:
    """Least mean loss in nats a token, given the bits a character and the characters of a story."""
    ### BEGIN SOLUTION
    nats_per_story = bits_per_character * characters * math.log(2)
    return nats_per_story / (characters + 1)
    ### END SOLUTION


# %% key="ex-floor-in-nats-check" exercise="floor_in_nats"
check(floor_in_nats)

# %% [markdown] key="ex-clip-together" lang="zh" exercise="clip_together"
# ### 练习 3　修好这个裁剪
#
# 下面的函数把几个梯度数组裁到总长度不超过 `max_norm`。只有一个数组、而且太长的时候，它是对的。两处毛病：几个数组的时候方向歪了；本来就短的梯度，它反而放大。修好它，不要改动传进来的数组。梯度也可能全是零。
# %% [markdown] key="ex-clip-together" lang="en" exercise="clip_together"
# ### Exercise 3: Mend this clipping
#
# The function below clips several arrays of gradients to a joint length of at most `max_norm`. With a single array that is too long it is right. Two faults: with several arrays the direction turns; and gradients that are short to begin with are made longer. Mend it, and leave the arrays that come in unchanged. The gradients may also be all zero.


# %% key="ex-clip-together-code" exercise="clip_together" kind="repair" difficulty=2 minutes=10 points=1
def clip_together(gradients: list[Array], max_norm: float) -> list[Array]:
    """The gradients, scaled by one factor so that their joint Euclidean norm is at most max_norm."""
    ### BEGIN SOLUTION
    norm = math.sqrt(sum((g**2).sum() for g in gradients))
    factor = max_norm / norm if norm > max_norm else 1.0
    return [g * factor for g in gradients]
    ### END SOLUTION
    ### BEGIN STUB
    # clipped = []
    # for g in gradients:
    #     norm = math.sqrt((g**2).sum())
    #     clipped.append(g * max_norm / norm)
    # return clipped
    ### END STUB


# %% key="ex-clip-together-check" exercise="clip_together"
check(clip_together)

# %% [markdown] key="ex-warm-cosine" lang="zh" exercise="warm_cosine"
# ### 练习 4　预热和余弦
#
# 写出第 `step` 步的学习率，步数从 0 数到 `steps - 1`。预热的 `warmup` 步里走直线：第 0 步就是 `peak / (warmup + 1)`，不是零，否则第一个批次白读了。第 `warmup` 步正好是 `peak`。然后沿半个余弦下降，**最后一步正好是** `lowest`（这里给的是学习率本身，不是倍数）。
# %% [markdown] key="ex-warm-cosine" lang="en" exercise="warm_cosine"
# ### Exercise 4: Warm-up and cosine
#
# Write the learning rate at `step`, which counts from 0 to `steps - 1`. During the `warmup` steps it climbs in a straight line, beginning at step 0 with `peak / (warmup + 1)`, not with zero, or the first batch would be read for nothing. Step `warmup` has exactly `peak`. Then it falls along half a cosine, and **the last step has exactly** `lowest` (a learning rate here, not a fraction).


# %% key="ex-warm-cosine-code" exercise="warm_cosine" kind="implement" difficulty=3 minutes=12 points=2
def warm_cosine(step: int, steps: int, warmup: int, peak: float, lowest: float) -> float:
    """Learning rate at `step` of `steps`: a line up to peak, then half a cosine down to lowest."""
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    progress = (step - warmup) / (steps - 1 - warmup)
    return lowest + (peak - lowest) * 0.5 * (1 + math.cos(math.pi * progress))
    ### END SOLUTION


# %% key="ex-warm-cosine-check" exercise="warm_cosine"
check(warm_cosine)

# %% [markdown] key="ex-adamw-step" lang="zh" exercise="adamw_step"
# ### 练习 5　AdamW，一步
#
# 写出 AdamW 的一步，`t` 从 1 数起。先衰减权重，再更新两个滑动平均，改正，走一步。返回新的 `w`、`m`、`v`（`m` 和 `v` 是改正之前的，下一步还要用），不要改动传进来的数组。
# %% [markdown] key="ex-adamw-step" lang="en" exercise="adamw_step"
# ### Exercise 5: AdamW, one step
#
# Write one step of AdamW, `t` counting from 1. Decay the weights, update both running means, correct them, step. Return the new `w`, `m` and `v` (`m` and `v` as they are before correction, for the next step needs them), and leave the arrays that come in unchanged.


# %% key="ex-adamw-step-code" exercise="adamw_step" kind="implement" difficulty=4 minutes=18 points=3
def adamw_step(w, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, decay=0.1):
    """New (w, m, v) after step t of AdamW.  w, g, m, v (n,)"""
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w = (1 - lr * decay) * w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w, m, v
    ### END SOLUTION


# %% key="ex-adamw-step-check" exercise="adamw_step"
check(adamw_step)

# %% [markdown] key="ex-stop-early" lang="zh" exercise="stop_early"
# ### 练习 6　停在哪里，留下哪一份
#
# 给你一次训练全部的验证损失，照早停的规矩走一遍：一个一个看；比**迄今最好的**还低，就记为最好，重新等起；不然就多等一次；等满 `patience` 次就停，后面的不再看。返回两个序号（从 0 数）：留下的那一次，最后看的那一次。和最好的正好相等，不算更好。
# %% [markdown] key="ex-stop-early" lang="en" exercise="stop_early"
# ### Exercise 6: Where to stop, and what to keep
#
# Given all validation losses of a training, go through them as early stopping would: one by one; one that is below **the best so far** becomes the best, and the waiting starts anew; otherwise one more has been waited; stop when `patience` have been waited, and look no further. Return two indices (from 0): the one kept, and the last one looked at. One that just equals the best is no better.


# %% key="ex-stop-early-code" exercise="stop_early" kind="extend" difficulty=3 minutes=12 points=2
def stop_early(losses: list[float], patience: int) -> tuple[int, int]:
    """(index of the loss kept, index of the last loss looked at)"""
    ### BEGIN SOLUTION
    best, waited = 0, 0
    for i in range(1, len(losses)):
        if losses[i] < losses[best]:
            best, waited = i, 0
        else:
            waited += 1
        if waited == patience:
            return best, i
    return best, len(losses) - 1
    ### END SOLUTION


# %% key="ex-stop-early-check" exercise="stop_early"
check(stop_early)
