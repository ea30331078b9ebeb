# ---
# minillm:
#   title: {zh: "在 GPU 上训练", en: "Training on a GPU"}
#   question:
#     zh: "模型大了一百倍，怎样还能在几小时里训练完，半路断了也不怕，结果又和原来一样？"
#     en: "A model a hundred times larger: how is it trained in hours, safe against a break half-way, and with the same result?"
#   minutes: 150
#   seconds: 100
#   needs: ["11", "13"]
#   runs: GPU
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("14")

# %% key="imports" both=true
import math

import numpy as np

from minillm.np.param import Array

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 训练一个几千万参数的模型，在笔记本电脑上要几天，在一张显卡（GPU）上只要几十分钟。卡的说明书上还写着：数用 16 位来存，比 32 位快八倍，显存也省一半。听起来只要改一行：把模型整个换成 `float16`。
#
# 先不用显卡，这件事在 CPU 上就能试。第 11 课的小城，一个十五万参数的小模型，同样的起点，同样的 60 个批次，三种数。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# A model of some tens of millions of parameters takes days to train on a laptop and less than an hour on a graphics card (GPU). And the card's data sheet says more: with numbers of 16 bits it is eight times as fast as with 32, and needs half the memory. It sounds like a change of one line: turn the whole model into `float16`.
#
# That can be tried without a card, on the CPU. The town of lesson 11, a small model of a hundred and fifty thousand parameters, the same start, the same 60 batches, three kinds of number.

# %% key="problem-tools"
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from minillm import viz
from minillm.config import ModelConfig, TrainConfig
from minillm.data.batches import random_batch
from minillm.data.corpora import token_stream
from minillm.data.world import corpus
from minillm.pt import functional as F
from minillm.pt.gpt import GPT
from minillm.pt.optim import AdamW, decay_groups
from minillm.text import train_tokenizer

world = corpus(200_000)
tokenizer = train_tokenizer("char", world.train)
ids = token_stream(world.train, tokenizer)
SHAPE = {"context": 64, "n_layer": 2, "n_head": 2, "d_model": 64, "init_std": 0.06, "norm": "rmsnorm"}
SHAPE |= {"position": "rotary", "activation": "swiglu", "bias": False}


def new_model(dtype=torch.float32, **changes):
    """The same weights every time, in the numbers asked for."""
    config = ModelConfig(tokenizer.vocab_size, **SHAPE | changes)
    return GPT(config, rng=np.random.default_rng(0), dtype=dtype)


def batch(step, size=8):
    """x, y (size, 64)"""
    return [torch.as_tensor(a) for a in random_batch(ids, SHAPE["context"], size, 0, step)]


# %% key="problem-run"
def train(dtype, steps=60):
    """Train in numbers of one type throughout.  -> losses"""
    model, losses = new_model(dtype), []
    optimiser = AdamW(decay_groups(model, 0.1), lr=3e-3)
    for step in range(steps):
        x, y = batch(step)
        loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


plain = {dtype: train(dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16)}
print(f"参数 parameters {new_model().num_parameters():,}")
for dtype, losses in plain.items():
    bad = next((f"第 {i} 步坏了 breaks at step {i}" for i, loss in enumerate(losses, 1) if not math.isfinite(loss)), "")
    print(f"{str(dtype)[6:]:9s} 第 1 步 step 1: {losses[0]:.3f}   第 60 步 step 60: {losses[-1]:.3f}   {bad}")

# %% [markdown] key="problem-after" lang="zh"
# `float16` 没走几步就坏了：不是无穷大就是 `nan`，再也回不来。`bfloat16` 也是 16 位，没有坏，只是比 32 位的差一点，训练越久、步子越小，差得越多。
#
# 同样是 16 位，为什么一个坏了，一个没坏？不坏的那个，丢了什么？怎样又快又不丢？回答完这些，再看大模型训练的另外几件事：显存不够怎么办，两张卡怎样当一张用，断了怎么接上。每一件都先自己写几行，量一量，然后再看 minillm 的引擎做的是不是同一件事。
#
# 这一课在 CPU 上从头到尾都能跑。要显卡才能做的格子会说明它本来要做什么，然后在 CPU 上做同一件事的小号。
# %% [markdown] key="problem-after" lang="en"
# `float16` breaks within a few steps: infinity or `nan`, and there is no way back. `bfloat16` has 16 bits as well and does not break; it only ends a little behind the 32 bits, and the more so the longer the training and the smaller the steps.
#
# Both have 16 bits: why does one break and the other not? What does the one that survives lose? How can it be fast and lose nothing? When that is answered, there are the other matters of training large models: too little memory, two cards that work as one, going on after a break. Each of them is first written by hand in a few lines and measured; then we see whether minillm's engine does the same.
#
# All of this lesson runs on a CPU. Cells for which a card is needed say what they would do there, and do the same thing on a smaller scale.

# %% [markdown] key="launch" lang="zh"
# ## 时间花在哪里
#
# ### 卡在排队，钟先停了
#
# 先学会量时间。Python 对显卡说“乘一下”，卡把这件事排进队里，Python 不等结果就往下走。这叫**异步**：一边派活，一边干活，两不耽误。可是拿秒表的人要小心了。
#
# 没有卡，就用一个线程扮演它：`submit` 是派活，立刻返回；`result` 是等它做完。在有卡的机器上，下面的格子用真的卡。
# %% [markdown] key="launch" lang="en"
# ## Where the time goes
#
# ### The card queues, the watch has stopped
#
# First, how to take the time. Python tells the card to multiply; the card puts the job into its queue, and Python goes on without waiting for the result. This is called **asynchronous**: one hands out work, the other does it, and neither waits. Whoever holds the stop-watch should beware, though.
#
# Without a card, let a thread play one: `submit` hands out a job and returns at once, `result` waits until it is done. On a machine with a card the cell below uses the real one.

# %% key="launch-run" tags=["nbval-ignore-output"]
from concurrent.futures import ThreadPoolExecutor

CARD = torch.device("cuda" if torch.cuda.is_available() else "cpu")
print(
    "卡 card:", torch.cuda.get_device_name() if CARD.type == "cuda" else "没有，用一个线程代替 none, a thread instead"
)


def synchronize():
    """Wait until the card has done all that it was told."""
    if CARD.type == "cuda":
        torch.cuda.synchronize()


a = torch.randn(1024, 1024, device=CARD)
a @ a  # 第一次总要慢一些 the first time is always slower
synchronize()
with ThreadPoolExecutor(1) as thread:
    start = time.perf_counter()
    jobs = [a @ a if CARD.type == "cuda" else thread.submit(torch.mm, a, a) for _ in range(20)]
    handed_out = time.perf_counter() - start
    synchronize()
    _ = [job.result() for job in jobs if CARD.type == "cpu"]
    finished = time.perf_counter() - start
print(f"派完活 handed out: {1e3 * handed_out:.2f} ms")
print(f"做完 finished:     {1e3 * finished:.2f} ms，是它的 {finished / handed_out:.0f} 倍 times as long")

# %% [markdown] key="launch-after" lang="zh"
# 不等卡做完就读表，量到的只是派活的时间，于是有了“我的模型快一百倍”的帖子。规矩是：**读表之前先 `torch.cuda.synchronize()`**。`loss.item()` 也会让 Python 停下来等，因为它要把一个数从卡上拿回来；每一步都打印损失，就每一步都停一次。
#
# ### 算得多，还是搬得多
#
# 一个数要参加运算，先得从内存搬到运算单元。两个 $n \times n$ 的矩阵相乘，要做 $2n^3$ 次运算（乘和加各一半），搬 $3n^2$ 个数；两个矩阵相加，做 $n^2$ 次，也要搬 $3n^2$ 个数。每搬一个字节做几次运算，叫**计算强度**：float32 一个数 4 字节，乘法是 $2n^3 / 12n^2 = n/6$，加法永远是 $1/12$。
# %% [markdown] key="launch-after" lang="en"
# Read the watch without waiting for the card, and all that you have measured is handing out: this is where posts like “my model is a hundred times faster” come from. The rule: **call `torch.cuda.synchronize()` before you read the watch**. `loss.item()` makes Python stop and wait, too, for it has to fetch a number from the card; print the loss at every step, and every step has a stop.
#
# ### Much to compute, or much to carry
#
# Before a number can take part in a computation, it must be carried from memory to the arithmetic unit. The product of two $n \times n$ matrices takes $2n^3$ operations (half of them multiply, half add) and carries $3n^2$ numbers; their sum takes $n^2$ operations, and carries $3n^2$ numbers as well. Operations for each byte carried are called the **arithmetic intensity**: with 4 bytes for a float32, a product has $2n^3 / 12n^2 = n/6$, and a sum always $1/12$.


# %% key="roof-run" tags=["nbval-ignore-output"]
def seconds(job, at_least=0.02):
    """Median seconds of one call, the card waited for."""
    job()
    taken = []
    while sum(taken) < at_least or len(taken) < 3:
        synchronize()
        start = time.perf_counter()
        job()
        synchronize()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


sizes = [16, 32, 64, 128, 256, 512, 1024] + [2048, 4096] * (CARD.type == "cuda")
products, sums = [], []
for n in sizes:
    a, b = torch.randn(2, n, n, device=CARD)
    products.append((n / 6, 2 * n**3 / seconds(lambda a=a, b=b: a @ b) / 1e9))
    sums.append((1 / 12, n**2 / seconds(lambda a=a, b=b: a + b) / 1e9))
PEAK = max(rate for _, rate in products)
print(f"乘法最快 products at best: {PEAK:,.0f} GFLOP/s   加法最快 sums at best: {max(r for _, r in sums):.1f} GFLOP/s")

# %% key="roof-picture" tags=["nbval-ignore-output"]
ax = viz.new_axes(7, 3.4)
ax.loglog(*zip(*products, strict=True), "o-", color="#0072B2", label="矩阵相乘 product of matrices")
ax.loglog(*zip(*sums, strict=True), "s", color="#D55E00", label="矩阵相加 sum of matrices")
ax.axhline(PEAK, color="0.4", linestyle="--", label="量到的峰值 measured peak")
for n, (x, rate) in list(zip(sizes, products, strict=True))[::2]:
    ax.annotate(f"n = {n}", (x, rate), (6, -10), textcoords="offset points", fontsize=8)
ax.set_xlabel("计算强度（运算/字节） arithmetic intensity (operations per byte)")
ax.set_ylabel("速度 speed (GFLOP/s)")
ax.legend(fontsize=9)
viz.show(ax, alt="大矩阵相乘接近峰值，相加离峰值很远 large products come near the peak, sums stay far below")

# %% [markdown] key="roof-after" lang="zh"
# 小矩阵和加法都够不到峰值：运算单元在等数据，或者在等 Python。这解释了三件事。第一，批次和模型大一些，卡才喂得饱。第二，16 位的数搬起来少一半字节，就算不为算得快，也值得。第三，把几个逐项的运算并成一个（`torch.compile` 做的事），中间结果就不必来回搬。
#
# ## 16 位里装得下什么
#
# 一个浮点数是三段二进制：一位**符号** $s$，几位**指数** $e$，几位**尾数** $f$。它的值是
#
# $$x = (-1)^s \times 2^{\,e - b} \times \Big(1 + \frac{f}{2^m}\Big) \qquad b = 2^{k-1} - 1$$
#
# | 符号 | 意思 | fp32 | bf16 | fp16 |
# |---|---|---|---|---|
# | $k$ | 指数的位数，管范围 | 8 | 8 | 5 |
# | $m$ | 尾数的位数，管精细 | 23 | 7 | 10 |
# | $b$ | 指数的零点 | 127 | 127 | 15 |
#
# bf16 就是 fp32 砍掉尾巴：范围一样，只剩两三位有效数字。fp16 把位子匀给尾数：精细八倍，范围却小得多。指数全是 0 的时候没有那个 1，叫**次正规数**：$x = (-1)^s \times 2^{1-b} \times f/2^m$，一直细到零。
# %% [markdown] key="roof-after" lang="en"
# Small matrices and sums stay far from the peak: the arithmetic unit waits for data, or for Python. That explains three things. Batches and models have to be of some size to keep a card fed. Numbers of 16 bits are half as many bytes to carry, which pays even where computing itself is no faster. And fusing several entry-by-entry operations into one, as `torch.compile` does, saves carrying what lies between them back and forth.
#
# ## What fits into 16 bits
#
# A floating-point number is three groups of bits: one for the **sign** $s$, some for the **exponent** $e$, some for the **fraction** $f$. Its value is
#
# $$x = (-1)^s \times 2^{\,e - b} \times \Big(1 + \frac{f}{2^m}\Big) \qquad b = 2^{k-1} - 1$$
#
# | symbol | meaning | fp32 | bf16 | fp16 |
# |---|---|---|---|---|
# | $k$ | bits of the exponent: range | 8 | 8 | 5 |
# | $m$ | bits of the fraction: fineness | 23 | 7 | 10 |
# | $b$ | where the exponent counts from | 127 | 127 | 15 |
#
# bf16 is fp32 with its tail cut off: the same range, but two or three digits only. fp16 gives more room to the fraction: eight times as fine, over a far smaller range. Where the exponent is all zeros the 1 is missing, and the number is **subnormal**: $x = (-1)^s \times 2^{1-b} \times f/2^m$, ever finer down to zero.


# %% key="bits-run" tags=["nbval-check-output"]
FORMATS = {"fp32": (torch.float32, 8, 23), "bf16": (torch.bfloat16, 8, 7), "fp16": (torch.float16, 5, 10)}


def bits(value, name):
    """The number as the format keeps it, a string of 0 and 1."""
    dtype, k, m = FORMATS[name]
    whole = torch.tensor(value, dtype=dtype).view(torch.int32 if dtype == torch.float32 else torch.int16)
    return format(whole.item() % 2 ** (1 + k + m), f"0{1 + k + m}b")


def decode(text, k, m):
    """From the bits back to the number, by the formula."""
    s, e, f = int(text[0]), int(text[1 : 1 + k], 2), int(text[1 + k :], 2)
    b = 2 ** (k - 1) - 1
    return (-1) ** s * (2.0 ** (e - b) * (1 + f / 2**m) if e else 2.0 ** (1 - b) * f / 2**m)


for name, (dtype, k, m) in FORMATS.items():
    text = bits(0.1, name)
    print(f"{name}  {text[0]} {text[1 : 1 + k]} {text[1 + k :]}  = {decode(text, k, m):.10f}")
    for value in (0.1, -3.75, 1e-7, 6e4):
        assert decode(bits(value, name), k, m) == torch.tensor(value, dtype=dtype).item()

# %% key="bits-picture"
ax = viz.new_axes(7.4, 2.3)
ROLES = (("符号 sign", "#CC79A7"), ("指数 exponent", "#E69F00"), ("尾数 fraction", "#56B4E9"))
for row, name in enumerate(reversed(FORMATS)):
    k = FORMATS[name][1]
    for i, bit in enumerate(bits(0.1, name)):
        role = 0 if i == 0 else 1 if i <= k else 2
        ax.bar(
            i,
            0.8,
            1,
            bottom=row,
            color=ROLES[role][1],
            edgecolor="white",
            label=ROLES[role][0] if row == 2 and i in (0, 1, 9) else None,
        )
        ax.text(i, row + 0.4, bit, ha="center", va="center", fontsize=9)
    ax.text(-1, row + 0.4, name, ha="right", va="center")
ax.set(xlim=(-4, 32), ylim=(0, 3.6))
ax.axis("off")
ax.legend(ncols=3, loc="upper center", fontsize=9, frameon=False)
viz.show(ax, alt="0.1 在三种格式里的二进制位 the bits of 0.1 in three formats")

# %% [markdown] key="range" lang="zh"
# 先猜，再看：bf16 里 $1 + 2^{-9}$ 是多少？fp16 里 $60000 \times 2$ 呢？$10^{-8}$ 呢？
# %% [markdown] key="range" lang="en"
# Guess before you look: what is $1 + 2^{-9}$ in bf16? What is $60000 \times 2$ in fp16? And $10^{-8}$?

# %% key="range-run" tags=["nbval-check-output"]
print(f"{'':6s}{'最大 largest':>12s}{'最小正规 normal':>14s}{'最小 smallest':>15s}{'1 之后的间隔 gap at 1':>20s}")
for name, (dtype, _, m) in FORMATS.items():
    info = torch.finfo(dtype)
    print(f"{name:6s}{info.max:14.4g}{info.tiny:17.4g}{info.tiny / 2**m:17.4g}{info.eps:22.4g}")
print()
cases = {"1 + 2⁻⁹": lambda t: t(1) + t(2**-9), "256 + 1": lambda t: t(256) + t(1), "2048 + 1": lambda t: t(2048) + t(1)}
cases |= {"60000 × 2": lambda t: t(60000) * t(2), "1e-8": lambda t: t(1e-8), "1e-4 × 1e-4": lambda t: t(1e-4) * t(1e-4)}
print(f"{'':14s}" + "".join(f"{name:>14s}" for name in FORMATS))
for case, compute in cases.items():
    results = [compute(lambda v, d=dtype: torch.tensor(v, dtype=d)).item() for dtype, _, _ in FORMATS.values()]
    print(f"{case:14s}" + "".join(f"{value:14.8g}" if value > 1 else f"{value:14.4g}" for value in results))

# %% [markdown] key="range-after" lang="zh"
# bf16 在 1 旁边的间隔是 $2^{-7}$，加上 $2^{-9}$ 等于没加：它离 1 不到半格，**四舍五入回到了 1**。fp16 超过 65504 就是无穷大，小于 $6 \times 10^{-8}$ 的一半就是零。现在知道开头的 `float16` 是怎么坏的了：AdamW 要除以梯度平方的平均的根，平方小到成了 0，除数就只剩 $\epsilon = 10^{-8}$；它要是也存成 fp16，连它也是 0。一步，权重就飞了出去。
# %% [markdown] key="range-after" lang="en"
# In bf16 the gap beside 1 is $2^{-7}$, and adding $2^{-9}$ is adding nothing: the result is less than half a gap from 1 and is **rounded back to 1**. In fp16 everything above 65504 is infinity, and everything below half of $6 \times 10^{-8}$ is zero. Now it is clear how `float16` broke at the beginning: AdamW divides by the root of the mean of squared gradients; the squares became 0, and all that is left to divide by is $\epsilon = 10^{-8}$, which, if kept in fp16, is 0 as well. One step, and the weights are out of sight.

# %% [markdown] key="histogram" lang="zh"
# ### 梯度有多小
#
# 激活值大多在 1 上下，fp16 装得下。麻烦的是梯度。第 05 课算过，损失对每个分数的梯度是 $(p - [\text{对的字}]) / N$，$N$ 是这一批的词元数。一个不大可能的字，$p$ 只有万分之几；一批 64 段、每段 64 字，$N = 4096$。两个小数乘起来，就到了 $10^{-8}$。
#
# 让 32 位的模型走 60 步，再拿一个大批次，看看反向传播的第一站，也就是全部分数的梯度有多大。阴影是 fp16 的次正规数，再往左就是零。
# %% [markdown] key="histogram" lang="en"
# ### How small gradients are
#
# Activations are mostly around 1, and fp16 holds them well. The trouble is with gradients. By lesson 05 the gradient of the loss by a score is $(p - [\text{the right one}]) / N$, where $N$ is the number of tokens in the batch. For an unlikely character $p$ is a few ten-thousandths; and 64 pieces of 64 characters make $N = 4096$. Multiply two small numbers, and you are at $10^{-8}$.
#
# Let the 32-bit model take 60 steps, give it a large batch, and look at the first station on the way backward: the gradients of all scores. The shaded part is where fp16 has only subnormal numbers, and left of it is zero.


# %% key="histogram-run"
def trained(steps=60, **changes):
    """A float32 model after some steps."""
    model = new_model(**changes)
    optimiser = AdamW(decay_groups(model, 0.1), lr=3e-3)
    for step in range(steps):
        x, y = batch(step)
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model


model = trained()
x, y = batch(100, size=64)
logits = model(x)
logits.retain_grad()
F.cross_entropy(logits, y).backward()
sizes = logits.grad[logits.grad != 0].abs().log2().numpy()
lost, small = float((sizes < -25).mean()), float(((sizes >= -25) & (sizes < -14)).mean())
print(f"分数的梯度 gradients of scores: {len(sizes):,}")
print(f"fp16 里变成零 become zero in fp16: {lost:.0%}   落进次正规 subnormal: {small:.0%}")

# %% key="histogram-picture"
ax = viz.new_axes(7, 3.2)
ax.axvspan(-25, -14, color="#FBE3B5", zorder=0, label="fp16 次正规 subnormal in fp16")
ax.axvspan(-45, -25, color="0.85", zorder=0, label="fp16 里是零 zero in fp16")
ax.hist(sizes, bins=np.arange(-45, 0, 0.5), color="#0072B2", zorder=2)
ax.set_xticks(range(-45, 1, 5), [f"2$^{{{i}}}$" for i in range(-45, 1, 5)])
ax.set_xlim(-45, 0)
ax.set_xlabel("分数的梯度有多大 size of a score's gradient")
ax.set_ylabel("个数 count")
ax.legend(fontsize=9)
viz.show(ax, alt="梯度的直方图，多半落在 fp16 的次正规区 a histogram of gradients, most of them subnormal in fp16")

# %% [markdown] key="scaling" lang="zh"
# ### 先放大，再缩回
#
# 差不多全落在阴影里，右边直到 $2^{15}$ 却有一大片空着。梯度是线性的：损失乘 $S$，每个梯度也乘 $S$。那就把损失放大 $S$ 倍再反向，整座山往右挪；算完了在 32 位里除以 $S$ 挪回来。这叫**损失缩放**。
#
# $$\frac{\partial (S L)}{\partial w} = S\, \frac{\partial L}{\partial w}$$
#
# 下面让模型真的用 fp16 求梯度，看看各种 $S$ 下，权重的梯度和 32 位的差多远。
# %% [markdown] key="scaling" lang="en"
# ### Enlarge, then shrink back
#
# Nearly all of them lie in the shade, while on the right, up to $2^{15}$, much room is left. Gradients are linear: multiply the loss by $S$, and every gradient is multiplied by $S$. So make the loss $S$ times as large before going backward, and the whole mountain moves to the right; afterwards divide by $S$ in 32 bits and move it back. This is **loss scaling**.
#
# $$\frac{\partial (S L)}{\partial w} = S\, \frac{\partial L}{\partial w}$$
#
# Now let the model really find its gradients in fp16, and see for several $S$ how far the gradients of the weights are from those in 32 bits.


# %% key="scaling-run"
def gradients(model, x, y, scale=1.0):
    """All gradients in one row, float32, of `scale` times the loss.  -> (N,)"""
    model.zero_grad()
    (F.cross_entropy(model(x).float(), y) * scale).backward()
    return torch.cat([p.grad.float().flatten() for p in model.parameters()])


half = new_model(torch.float16)
half.load_state_dict({name: weight.half() for name, weight in model.state_dict().items()})
right, off_by = gradients(model, x, y), {}
for k in (0, 4, 8, 12, 16, 20, 24):
    got = gradients(half, x, y, scale=2.0**k) / 2.0**k
    off_by[k] = float((got - right).norm() / right.norm()) if got.isfinite().all() else math.inf
    print(f"S = 2^{k:<2d}   " + (f"误差 error {off_by[k]:.2%}" if off_by[k] < math.inf else "溢出 overflow"))

# %% [markdown] key="scaling-after" lang="zh"
# 不放大，误差有百分之三；放大 16 倍就只剩千分之一，那是 fp16 本来的粗细。$S$ 太大，又溢出成无穷。中间有一段很宽的好地方，可是训练当中梯度会变，这段地方也跟着移动。于是让程序自己找：**动态缩放**。规矩只有几行：
# %% [markdown] key="scaling-after" lang="en"
# Without scaling the error is three per cent; 16 times as large, and a tenth of a per cent remains, which is how coarse fp16 is anyway. If $S$ is too large, gradients overflow. Between lies a wide range that is good, but gradients change as training goes on and the range moves with them. So let the program look for it: **dynamic scaling**. Its rule takes a few lines:


# %% key="scaler-run" tags=["nbval-check-output"]
class Scaler:
    """Halve after an overflow, double after `wait` good steps in a row."""

    def __init__(self, scale, wait):
        self.scale, self.wait, self.good = scale, wait, 0

    def update(self, finite):
        """Tell how the gradients of a step were.  -> whether the step may be taken"""
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.good == self.wait:
            self.scale, self.good = self.scale * 2, 0
        return finite


weight = torch.nn.Parameter(torch.zeros(1))
optimiser = torch.optim.SGD([weight], lr=1.0)
theirs = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=8)
ours, scales = Scaler(2.0**16, wait=8), []
for step in range(60):
    scales.append(ours.scale)
    assert theirs.get_scale() == ours.scale
    room = 2.0**18 if step < 30 else 2.0**13  # 后半程梯度大了 gradients are larger in the second half
    before = weight.item()
    (weight.sum() * theirs.scale(torch.tensor(1.0))).backward()
    if ours.scale > room:
        weight.grad.fill_(math.inf)
    theirs.step(optimiser)
    theirs.update()
    taken = ours.update(bool(weight.grad.isfinite()))
    assert taken == (weight.item() != before)  # 溢出的一步，两边都不走 a step that overflowed is taken by neither
    optimiser.zero_grad()
print("十行的规矩与 torch.amp.GradScaler 走了 60 步，每步相同 ten lines and torch.amp.GradScaler agree for 60 steps")

# %% key="scaler-picture"
ax = viz.new_axes(7, 2.6)
ax.step(range(60), np.log2(scales), where="post", color="#0072B2", label="缩放 scale")
ax.step([0, 30, 60], [18, 13, 13], where="post", color="#D55E00", linestyle="--", label="超过就溢出 overflow above")
ax.set_xlabel("步 step")
ax.set_ylabel("log₂ S")
ax.legend(fontsize=9)
viz.show(ax, alt="缩放在溢出的边界下面来回 the scale moves below the border of overflow")

# %% [markdown] key="scaler-after" lang="zh"
# 每过一阵它就去碰一下边界，碰到了退一半，那一步不走。所以日志里偶尔有一步“跳过”是正常的；接连几十步都跳过，缩放降到 1 以下，才是真的出了事。
#
# ## 太小的步子会消失
#
# 梯度救回来了，更新也会丢。学习率 0.001、AdamW 每步走大约 0.001；权重在 1 附近，bf16 的间隔往下是 $2^{-8} = 0.0039$，不到半格的更新加上去等于没加。不是走得慢，是**一步也没走**，一千次还在原地。
# %% [markdown] key="scaler-after" lang="en"
# Once in a while it touches the border, goes back by half, and that step is not taken. So a “skipped” step here and there in a log is as it should be; dozens in a row, with a scale below 1, mean that something is really wrong.
#
# ## Steps that are too small vanish
#
# The gradients are saved, but updates can be lost as well. With learning rate 0.001 AdamW moves about 0.001 a step; for a weight near 1 the gap of bf16 below it is $2^{-8} = 0.0039$, and an update of less than half a gap is no update. It is not slow: it **does not move at all**, and after a thousand times is still where it was.

# %% key="master-run" tags=["nbval-check-output"]
update, paths = 0.001, {"fp32": [1.0], "bf16": [1.0], "fp32 → bf16": [1.0]}
low, master = torch.tensor(1.0, dtype=torch.bfloat16), torch.tensor(1.0)
exact = 1.0
for _ in range(1000):
    low = low - torch.tensor(update, dtype=torch.bfloat16)
    master = master - update  # 主权重 the master weight
    exact -= update
    for name, value in zip(paths, (exact, low.item(), master.bfloat16().item()), strict=True):
        paths[name].append(value)
print("走 1000 次 0.001 之后 after 1000 updates of 0.001")
for name, path in paths.items():
    print(f"{name:14s}{abs(path[-1]):.4f}")

# %% key="master-picture"
ax = viz.new_axes(7, 2.8)
ax.plot(paths["fp32"], color="0.6", linewidth=4, label="32 位 32 bits")
ax.plot(paths["fp32 → bf16"], color="#009E73", linewidth=1.2, label="32 位的主权重 master weight in 32 bits")
ax.plot(paths["bf16"], color="#D55E00", label="一直用 bf16 bf16 throughout")
ax.set_xlabel("更新次数 updates")
ax.set_ylabel("权重 weight")
ax.legend(fontsize=9)
viz.show(ax, alt="一直用 bf16 的权重停在 1 不动 the weight kept in bf16 stays at 1")

# %% [markdown] key="master-real" lang="zh"
# 真模型里会丢多少？拿上面训练过的模型，让 AdamW 照不同的学习率走一步，数一数有多少权重加完以后在 bf16 里还是原来的数。
# %% [markdown] key="master-real" lang="en"
# How many are lost in a real model? Take the trained model from above, let AdamW take a step at several learning rates, and count the weights that are the same number in bf16 as before.


# %% key="master-real-run"
def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


stuck = {}
for lr in (1e-2, 1e-3, 1e-4, 1e-5):
    moved = new_model()
    moved.load_state_dict(model.state_dict())
    optimiser, start = AdamW(decay_groups(moved, 0.0), lr=lr), flat(moved)
    gradients(moved, x, y)
    optimiser.step()
    update, low = (flat(moved) - start).bfloat16(), start.bfloat16()
    learns = right != 0  # 这一批里没出现的字本来就不动 characters that this batch lacks do not move anyway
    stuck[lr] = float((low + update == low)[learns].float().mean())
    print(f"学习率 learning rate {lr:.0e}   没动 not moved {stuck[lr]:.1%}")

# %% [markdown] key="autocast" lang="zh"
# 学习率十万分之一，是大模型训练末尾的常见值，这时几乎所有权重都冻住了。解法是**主权重**：权重、优化器的状态都留在 32 位，更新加在 32 位上；只有前向和反向的大矩阵用 16 位。这叫**混合精度**（Micikevicius 等 2018）。
#
# ### 谁用 16 位，谁用 32 位
#
# 矩阵乘法用 16 位：卡里有专门的电路，乘的是 16 位，累加用 32 位。求和、指数、损失这些容易出错又不费时间的，用 32 位。一处一处写太麻烦，PyTorch 的 `torch.autocast` 照一张单子替每个运算挑。
# %% [markdown] key="autocast" lang="en"
# A learning rate of a hundred-thousandth is usual at the end of training a large model, and then nearly all weights would be frozen. The cure is a **master weight**: weights and the optimiser's state stay in 32 bits, and updates are added there; only the large matrices of forward and backward are in 16 bits. This is **mixed precision** (Micikevicius et al. 2018).
#
# ### Who computes in 16 bits, and who in 32
#
# Products of matrices take 16 bits: the card has circuits of its own for them, which multiply in 16 bits and add up in 32. Sums, exponentials and the loss, which go wrong easily and cost little time, take 32. To write that out everywhere would be tedious; PyTorch's `torch.autocast` picks for each operation from a list.

# %% key="autocast-run"
v, matrix = torch.randn(2, 8, 8, device=CARD)
operations = {
    "x @ w": lambda h: v @ matrix,
    "softmax": lambda h: h.softmax(-1),
    "rms_norm": lambda h: F.rms_norm(h, torch.ones(8, device=CARD)),
    "cross_entropy": lambda h: F.cross_entropy(h, torch.arange(8, device=CARD)),
    "h + x": lambda h: h + v,
}
low = torch.bfloat16 if CARD.type == "cpu" or torch.cuda.get_device_capability() >= (8, 0) else torch.float16
print(f"这里的 16 位 the 16 bits here: {str(low)[6:]}")
with torch.autocast(CARD.type, dtype=low):
    h = v @ matrix
    for name, compute in operations.items():
        print(f"{name:14s}{str(compute(h).dtype)[6:]}")

# %% [markdown] key="mixed" lang="zh"
# 单子随处理器不同：CPU 上 `softmax` 跟着输入走，显卡上它一律用 32 位。
#
# 该用哪一种 16 位？**看卡。** A100、H100、RTX 30 系以后的卡原生支持 bf16，用它，不必缩放。Colab 免费给的 T4 是 2018 年的 Turing，没有 bf16 的电路，只好用 fp16 加缩放。CPU 上 32 位最省心。现在把开头的训练改对，三种各跑一遍。
# %% [markdown] key="mixed" lang="en"
# The list depends on the processor: on a CPU `softmax` follows its input, on a card it always takes 32 bits.
#
# Which of the two kinds of 16 bits? **Ask the card.** A100, H100 and RTX cards from the 30 series on have bf16 of their own: take it, and no scaling is needed. The T4 that Colab lends for nothing is of 2018 (Turing) and has no circuits for bf16: it has to be fp16 with scaling. On a CPU 32 bits are the least worry. Now put the training of the beginning right, and run all three.


# %% key="mixed-run"
def train_mixed(dtype, steps=60):
    """float32 weights; the forward pass in `dtype`, with a scaler for float16.  -> losses"""
    model, losses = new_model(), []
    optimiser = AdamW(decay_groups(model, 0.1), lr=3e-3)
    scaler = torch.amp.GradScaler("cpu", enabled=dtype == torch.float16)
    for step in range(steps):
        x, y = batch(step)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        losses.append(loss.item())
    return losses


mixed = {dtype: train_mixed(dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16)}
ends = {dtype: float(np.mean(losses[-10:])) for dtype, losses in mixed.items()}
for dtype, end in ends.items():
    print(f"{str(dtype)[6:]:9s} 最后十步 last ten steps: {end:.3f}   差 difference {end - ends[torch.float32]:+.4f}")

# %% key="mixed-picture"
axes = viz.new_axes(8, 3.2, 1, 2, sharey=True)
colours = {torch.float32: "0.6", torch.float16: "#D55E00", torch.bfloat16: "#0072B2"}
titles = ("全部 16 位 16 bits throughout", "混合精度 mixed precision")
for ax, runs, title in zip(axes, (plain, mixed), titles, strict=True):
    for dtype, losses in runs.items():
        width = 4 if dtype == torch.float32 else 1.4
        ax.plot(range(1, 61), losses, color=colours[dtype], linewidth=width, label=str(dtype)[6:])
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("步 step")
axes[0].set_ylim(3, 8)
axes[0].set_ylabel("损失（奈特/词元）\nloss (nats per token)")
axes[0].legend(fontsize=9)
viz.show(axes, alt="混合精度的三条曲线重合 with mixed precision the three curves lie on each other")

# %% [markdown] key="accumulate" lang="zh"
# 三条线重合了。精度的事到此为止，下面是内存。
#
# ## 一批装不下：分几口吃
#
# 显存只够一次放 8 段，而我们想要 32 段的批次。那就分四小批，每小批前向、反向，梯度**加在一起**，四次之后才走一步。PyTorch 的 `backward` 本来就是往 `grad` 上加，所以只要晚一点清零。
#
# 要小心的是平均。全批的损失是 $\frac{1}{N}\sum_i \ell_i$，$N$ 是**数进去的词元**。四个小批各自求平均再除以四，只有它们的词元一样多才对。第 $j$ 个小批有 $n_j$ 个词元，和是 $s_j$：
#
# $$L = \frac{\sum_j s_j}{\sum_j n_j} \qquad\ne\qquad \frac{1}{m} \sum_j \frac{s_j}{n_j}$$
#
# 补齐过的句子、对话里不算分的提问，都会让 $n_j$ 不一样。2024 年就有人发现，好几个流行的训练库在这里错了很久。先看一样多的情形，再看不一样多的，都用 64 位的数，好让真的差别露出来。
# %% [markdown] key="accumulate" lang="en"
# The three curves lie on each other. That is all about precision; next comes memory.
#
# ## Too large for one mouthful: take several
#
# Memory holds 8 pieces at a time, and we want batches of 32. So cut them into four micro-batches, go forward and backward with each, **add up** the gradients, and take one step after four. PyTorch's `backward` adds to `grad` anyway, so that all it takes is to clear it later.
#
# What needs care is the mean. The loss of the whole batch is $\frac{1}{N}\sum_i \ell_i$, and $N$ is the number of **tokens that count**. To take the mean in each of four micro-batches and divide by four is right only if all hold the same number of tokens. Let micro-batch $j$ have $n_j$ tokens and the sum $s_j$:
#
# $$L = \frac{\sum_j s_j}{\sum_j n_j} \qquad\ne\qquad \frac{1}{m} \sum_j \frac{s_j}{n_j}$$
#
# Padded sentences, and questions in a dialogue that are not scored, make the $n_j$ differ. In 2024 people found that several popular training libraries had had this wrong for a long time. First with equal numbers, then with unequal ones, all in 64 bits, so that real differences show.


# %% key="accumulate-run" tags=["nbval-check-output"]
def gradient_of(model, losses):
    """Backward through each of the losses in turn; the gradients add up.  -> (N,)"""
    model.zero_grad()
    for loss in losses:
        loss().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def token_sum(model, x, y):
    """The sum of the losses, not their mean; targets of -100 do not count."""
    return torch.nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum")


exact = new_model(torch.float64)
x, y = batch(0, size=32)
ragged = y.clone()
ragged[8:16, 20:] = -100  # 第二个小批每段只有 20 个字算数 20 characters of each piece count
ragged[16:24, 5:] = -100  # 第三个只有 5 个 and 5 here
parts = [slice(i, i + 8) for i in range(0, 32, 8)]
for name, targets in (("一样多 equal", y), ("不一样多 unequal", ragged)):
    count = int((targets >= 0).sum())
    whole = gradient_of(exact, [lambda t=targets: F.cross_entropy(exact(x), t)])
    by_tokens = gradient_of(exact, [lambda p=p, t=targets, n=count: token_sum(exact, x[p], t[p]) / n for p in parts])
    by_means = gradient_of(exact, [lambda p=p, t=targets: F.cross_entropy(exact(x[p]), t[p]) / 4 for p in parts])
    print(f"{name}：{[int((targets[p] >= 0).sum()) for p in parts]}")
    for how, got in (("和 ÷ 总数 sums over the total", by_tokens), ("平均的平均 mean of means", by_means)):
        off = float((got - whole).norm() / whole.norm())
        print(f"    {how:30s} {'相等 equal' if off < 1e-12 else f'差 off by {off:.1%}'}")
        if how.startswith("和"):
            assert off < 1e-12
mean_of_means = off

# %% [markdown] key="recompute" lang="zh"
# 一样多的时候谁都对，所以这个错能藏很久。
#
# ## 拿时间换内存：重算
#
# 训练的内存，很大一块是**激活**：前向的每一步都要留下输入，反向才能求导。层数越多，留得越多。有个办法只留每层的入口，中间的扔掉；反向走到这一层，再把它前向算一遍。多花一次前向，大约多三分之一的时间，换来内存少几倍。它叫**激活检查点**，或者**重算**（Chen 等 2016）。
#
# 自动求导（autograd）每存一个张量，都会经过一对可以换掉的钩子 `saved_tensors_hooks`，于是能数一数它存了多少字节。
# %% [markdown] key="recompute" lang="en"
# With equal numbers everybody is right, which is why this mistake can hide for so long.
#
# ## Time for memory: recompute
#
# A large part of the memory of training are **activations**: every step forward keeps its input, or backward could not differentiate it. The more layers, the more is kept. One can keep only what enters each layer and throw away what is between; when backward arrives there, the layer goes forward once more. It costs one more forward pass, a third more time or so, and takes a fraction of the memory. It is called **activation checkpointing**, or **recomputing** (Chen et al. 2016).
#
# Each tensor that autograd keeps passes through a pair of hooks that can be replaced, `saved_tensors_hooks`, so that we can count the bytes.


# %% key="recompute-run" tags=["nbval-ignore-output"]
from torch.utils.checkpoint import checkpoint


def logits_of(model, x, recompute):
    """The model's forward pass, block by block."""
    h = model.emb(x)
    for block in model.blocks:
        h = checkpoint(block, h, use_reentrant=False) if recompute else block(h)
    return F.linear(model.norm(h), model.emb.tok.weight)


def kept_bytes(model, x, y, recompute):
    """Bytes that a forward pass leaves for the backward one, each piece of memory counted once; weights do not count."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def pack(tensor):
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in weights:
            kept[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = F.cross_entropy(logits_of(model, x, recompute), y)
    return sum(kept.values()), loss


def step_with(model, x, y, recompute):
    model.zero_grad()
    F.cross_entropy(logits_of(model, x, recompute), y).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


deep, (x, y) = new_model(n_layer=8), batch(0)
memory, clock, grads = {}, {}, {}
for recompute in (False, True):
    memory[recompute], _ = kept_bytes(deep, x, y, recompute)
    grads[recompute] = step_with(deep, x, y, recompute)
    clock[recompute] = seconds(lambda r=recompute: step_with(deep, x, y, r), at_least=0.5)
assert torch.equal(grads[False], grads[True])
print(f"留下 kept: {memory[False] / 1e6:.1f} → {memory[True] / 1e6:.1f} MB  (÷ {memory[False] / memory[True]:.1f})")
print(f"时间 time: {1e3 * clock[False]:.0f} → {1e3 * clock[True]:.0f} ms  (× {clock[True] / clock[False]:.2f})")
print("梯度每一位都相等 the gradients are equal in every bit")

# %% key="recompute-picture" tags=["nbval-ignore-output"]
axes = viz.new_axes(7, 2.4, 1, 2)
names = ["照常 as usual", "重算 recompute"]
axes[0].barh(names[::-1], [memory[True] / 1e6, memory[False] / 1e6], color=["#009E73", "0.6"])
axes[0].set_xlabel("为反向留下 kept for backward (MB)")
axes[1].barh(names[::-1], [1e3 * clock[True], 1e3 * clock[False]], color=["#009E73", "0.6"])
axes[1].set_xlabel("一步的时间 time of a step (ms)")
axes[1].set_yticks([])
viz.show(axes, alt="重算省内存，费时间 recomputing saves memory and costs time")

# %% [markdown] key="parallel" lang="zh"
# 留下的大头变成了最后的分数：每个位置 739 个数。层数再多，差得更远。
#
# ## 两张卡当一张用
#
# 最简单的并行是**数据并行**：每张卡（每个进程叫一个 rank）有同样的模型，批次一人一份，各算各的梯度，求平均，然后各走同样的一步。平均是线性的，所以一人一半，再平均，就等于一个人算全部。下面用 64 位核对。
# %% [markdown] key="parallel" lang="en"
# Most of what is still kept are the scores at the end, 739 numbers at each position. With more layers the difference grows.
#
# ## Two cards as one
#
# The simplest way to work in parallel is **data parallelism**: each card (a process is called a rank) has the same model, takes its share of the batch, and finds its own gradient; the gradients are averaged, and all take the same step. Averaging is linear, so halves that are averaged equal one who does it all. Check it in 64 bits.

# %% key="parallel-run" tags=["nbval-check-output"]
x, y = batch(0, size=8)
whole = gradient_of(exact, [lambda: F.cross_entropy(exact(x), y)])
halves = [gradient_of(exact, [lambda p=p: F.cross_entropy(exact(x[p]), y[p])]) for p in (slice(0, 4), slice(4, 8))]
off = float((sum(halves) / 2 - whole).norm() / whole.norm())
print("两半的平均等于全部 the mean of two halves is the whole:", off < 1e-12)
assert off < 1e-12

# %% [markdown] key="ring" lang="zh"
# ### 转圈求和
#
# 求平均要互相传梯度。都传给一个人，他的网线就堵死了：$n$ 个人，他要收 $n - 1$ 份。**环形 all-reduce** 让每根线一样忙：大家围成一圈，每人把梯度切成 $n$ 块。前 $n - 1$ 步，每步把一块传给右边，右边加到自己那块上；走完，每人手里正好有一块是**总和**。后 $n - 1$ 步再把这些总和转一圈，人人都齐了。
#
# 每步传 $1/n$，一共 $2(n-1)$ 步，所以每人送出 $2\,(n-1)/n$ 份梯度：人再多，也不到两份。
# %% [markdown] key="ring" lang="en"
# ### Adding up in a ring
#
# To average, gradients have to travel. If all send theirs to one, his line is choked: of $n$ he receives $n - 1$ copies. **Ring all-reduce** keeps every line equally busy: all sit in a circle, and each cuts his gradient into $n$ chunks. In each of the first $n - 1$ steps everyone passes one chunk to the right, and the neighbour adds it to his own; after that everyone holds exactly one chunk of the **sum**. In $n - 1$ more steps these sums go round once, and all have everything.
#
# Each step sends $1/n$, and there are $2(n-1)$ of them: everyone sends $2\,(n-1)/n$ gradients, less than two, however many take part.


# %% key="ring-run" tags=["nbval-check-output"]
def ring_sum(gradients):
    """The sum of n arrays, as n ranks in a ring find it.  -> what each rank holds, numbers each has sent, pictures"""
    n = len(gradients)
    held = [np.array_split(g.copy(), n) for g in gradients]  # held[rank][chunk]
    parts = np.eye(n, dtype=int)[:, None, :].repeat(n, axis=1)  # parts[rank, chunk]：谁的份在里面 whose share is in it
    sent, pictures = [0] * n, [parts.sum(-1)]
    for step in range(2 * (n - 1)):
        adding = step < n - 1
        passed = [(r, (r - step) % n if adding else (r + n - step) % n) for r in range(n)]
        packets = [(held[r][c].copy(), parts[r, c].copy()) for r, c in passed]  # 同时送出 all send at once
        for (r, c), (numbers, whose) in zip(passed, packets, strict=True):
            right = (r + 1) % n
            held[right][c] = held[right][c] + numbers if adding else numbers
            parts[right, c] = parts[right, c] + whose if adding else whose
            sent[r] += len(numbers)
        pictures.append(parts.sum(-1))
    return [np.concatenate(chunks) for chunks in held], sent, pictures


rng = np.random.default_rng(0)
shares = [rng.normal(size=1000) for _ in range(4)]
results, sent, pictures = ring_sum(shares)
assert all(np.allclose(result, sum(shares), rtol=1e-12) for result in results)
print("每人都得到总和 all have the sum；每人送出 each has sent", sent, "= 2 (n - 1) / n × 1000 =", 2 * 3 / 4 * 1000)

# %% key="ring-picture"
axes = viz.new_axes(9, 2.0, 1, len(pictures))
for step, (ax, picture) in enumerate(zip(axes, pictures, strict=True)):
    ax.imshow(picture, cmap="Blues", vmin=0, vmax=5)
    for rank in range(4):
        for chunk in range(4):
            ax.text(
                chunk,
                rank,
                picture[rank, chunk],
                ha="center",
                va="center",
                color="w" if picture[rank, chunk] > 3 else "k",
            )
    ax.set_title("开始 start" if step == 0 else f"{step}", fontsize=10)
    ax.set_xticks([])
    ax.set_yticks(range(4) if step == 0 else [])
axes[0].set_ylabel("rank")
axes[3].set_xlabel("第几块 chunk；格子里是几个人的和 in a cell: of how many it is the sum")
viz.show(
    axes,
    alt="环形求和：三步以后每人有一块总和，六步以后全有了 after three steps each has one chunk of the sum, after six all",
)

# %% [markdown] key="torchrun" lang="zh"
# ### 真的开两个进程
#
# `torchrun` 把同一个程序开几份，用环境变量告诉每一份：你是几号、一共几个、到哪里碰头。碰头以后，`all_reduce` 就是上面那个转圈求和：卡与卡之间用 NCCL，CPU 上用 gloo。下面这二十行就是数据并行的全部：同样的起点，批次各取一半，梯度求平均。我们把它写进一个文件，开两个进程，走十步，再和一个进程比。
# %% [markdown] key="torchrun" lang="en"
# ### Two processes indeed
#
# `torchrun` starts the same program several times, and tells each copy through environment variables which number it has, how many there are, and where to meet. Once they have met, `all_reduce` is the ring from above: NCCL between cards, gloo on CPUs. The twenty lines below are all there is to data parallelism: the same start, half the batch each, the mean of the gradients. We write them into a file, start two processes for ten steps, and compare with one.

# %% key="torchrun-run" tags=["nbval-ignore-output"]
PROGRAM = """
import json, sys
import numpy as np, torch
import torch.distributed as dist
from minillm.config import ModelConfig
from minillm.data.batches import random_batch
from minillm.pt import functional as F
from minillm.pt.gpt import GPT

dist.init_process_group("gloo")
rank, ranks = dist.get_rank(), dist.get_world_size()
ids = np.load(sys.argv[1])
config = ModelConfig(**json.loads(sys.argv[2]))
model = GPT(config, rng=np.random.default_rng(0), dtype=torch.float64)
optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for step in range(10):
    x, y = (torch.as_tensor(a).chunk(ranks)[rank] for a in random_batch(ids, config.context, 8, 0, step))
    loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    for tensor in [loss.detach(), *(p.grad for p in model.parameters())]:
        dist.all_reduce(tensor)
        tensor /= ranks
    optimiser.step()
    losses.append(loss.item())
if rank == 0:
    print(json.dumps(losses))
dist.destroy_process_group()
"""


def launch(*arguments, processes=2, limit=120):
    """Run a Python program in several processes; what it printed. It cannot hang: after `limit` seconds it is ended."""
    paths = [str(Path(sys.modules["minillm"].__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([str(word) for word in run], stdout=out, stderr=err, env=environment)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise RuntimeError(f"超过 {limit} 秒 not finished in {limit} s") from None
        out.seek(0)
        err.seek(0)
        if code:
            raise RuntimeError(err.read()[-2000:])
        return out.read()


with tempfile.TemporaryDirectory() as folder:
    program, tokens = Path(folder) / "two.py", Path(folder) / "ids.npy"
    program.write_text(PROGRAM, encoding="utf-8")
    np.save(tokens, ids)
    shape = json.dumps(SHAPE | {"vocab_size": tokenizer.vocab_size})
    start = time.perf_counter()
    two = json.loads(launch(program, tokens, shape))
print(f"两个进程，连启动一共 two processes, starting included: {time.perf_counter() - start:.0f} s")

# %% key="torchrun-compare"
alone, one = new_model(torch.float64), []
optimiser = torch.optim.AdamW(alone.parameters(), lr=3e-3)
for step in range(10):
    x, y = batch(step)
    loss = F.cross_entropy(alone(x), y)
    alone.zero_grad()
    loss.backward()
    optimiser.step()
    one.append(loss.item())

apart = max(abs(a - b) for a, b in zip(one, two, strict=True))
assert apart < 1e-9
ax = viz.new_axes(6, 2.6)
ax.plot(range(1, 11), one, color="0.65", linewidth=5, label="一个进程 one process")
ax.plot(range(1, 11), two, "o-", color="#D55E00", markersize=4, label="两个进程 two processes")
ax.set_xlabel("步 step")
ax.set_ylabel("损失（奈特/词元）\nloss (nats per token)")
ax.set_title(f"最大的差 largest difference: {apart:.0e}", fontsize=10)
ax.legend(fontsize=9)
viz.show(ax, alt="一个进程和两个进程的曲线重合 the curves of one and of two processes lie on each other")

# %% [markdown] key="shards" lang="zh"
# 启动的几秒比训练还久，所以小模型并行没有好处；模型大了，一步要几百毫秒，传梯度的时间可以藏在反向里：后面几层的梯度一算好就先传，前面几层接着算。PyTorch 的 `DistributedDataParallel`（DDP）替你做这件事。
#
# ## 一张卡放不下：切开
#
# 数据并行省时间，不省内存：每张卡都有整个模型。AdamW 训练时，每个参数要占
#
# $$\underbrace{4}_{\text{权重}} + \underbrace{4}_{\text{梯度}} + \underbrace{4 + 4}_{\text{Adam 的 } m,\ v} = 16 \text{ 字节}$$
#
# 换成 16 位的权重和梯度，外加一份 32 位的主权重，是 $2 + 2 + 4 + 4 + 4$，还是 16。七十亿参数就是 112 GB，还没算激活。
#
# 可是优化器更新某个权重，只要有那一个权重的梯度和状态就够了。于是 $n$ 张卡各管 $1/n$（ZeRO；PyTorch 里叫 **FSDP**）：算到哪一层，临时把那一层的权重凑齐（all-gather），用完就扔；梯度求和以后只留自己那一块（reduce-scatter）。这两步，正是转圈求和的后一半和前一半。每张卡只要 $16/n$ 字节一个参数，多传大约一半的数据。
# %% [markdown] key="shards" lang="en"
# Starting took longer than training, so that a small model gains nothing from it. For a large one, with steps of some hundred milliseconds, sending gradients hides behind the backward pass: those of the last layers travel as soon as they are ready, while the layers before them are still computing. PyTorch's `DistributedDataParallel` (DDP) does that for you.
#
# ## Too large for one card: cut it up
#
# Data parallelism saves time and no memory, since every card holds the whole model. In training with AdamW a parameter takes
#
# $$\underbrace{4}_{\text{weight}} + \underbrace{4}_{\text{gradient}} + \underbrace{4 + 4}_{\text{Adam's } m,\ v} = 16 \text{ bytes}$$
#
# With weights and gradients of 16 bits and a master weight of 32 it is $2 + 2 + 4 + 4 + 4$, again 16. Seven billion parameters make 112 GB, without any activations.
#
# But to update a weight, the optimiser needs no more than the gradient and the state of that very weight. So each of $n$ cards looks after $1/n$ of them (ZeRO; **FSDP** in PyTorch): where a layer is about to compute, its weights are put together for the moment (all-gather) and dropped after use; of the summed gradients each keeps only its own part (reduce-scatter). These two are the second and the first half of our ring. A card needs $16/n$ bytes a parameter, and about half as much again is sent.

# %% key="shards-run" tags=["nbval-check-output"]
rng = np.random.default_rng(1)
weights, shares = rng.normal(size=12), [rng.normal(size=12) for _ in range(3)]  # 三张卡，各有自己的梯度 three cards


def adam_first_step(w, g, lr=0.1):
    m, v = 0.1 * g, 0.05 * g**2
    return w - lr * (m / 0.1) / (np.sqrt(v / 0.05) + 1e-8)


whole = adam_first_step(weights, sum(shares) / 3)  # 每张卡都存、都算全部 every card holds and computes all
mine = [slice(4 * rank, 4 * rank + 4) for rank in range(3)]
scattered = [sum(g[part] for g in shares) / 3 for part in mine]  # reduce-scatter
updated = [adam_first_step(weights[part], g) for part, g in zip(mine, scattered, strict=True)]  # m、v 各存三分之一
gathered = np.concatenate(updated)  # all-gather
print("三张卡各管三分之一，结果与整个的一样 three cards with a third each:", np.array_equal(gathered, whole))
assert np.array_equal(gathered, whole)

# %% [markdown] key="play-text" lang="zh"
# 玩一玩：选模型的大小、卡的数目、切不切，看一张卡要放下多少。虚线是几种卡的显存；激活另算，所以要给它留出空来。
# %% [markdown] key="play-text" lang="en"
# Play: choose the model's size, the number of cards, and whether to cut, and see what one card has to hold. Dashed lines are the memories of some cards; activations come on top, so leave room for them.

# %% key="play"
from minillm.widgets import Choice, play

MODELS = {"36M": 36e6, "124M": 124e6, "1.3B": 1.3e9, "7B": 7e9, "13B": 13e9, "70B": 70e9}
PARTS = (("权重 weights", "#0072B2"), ("梯度 gradients", "#E69F00"), ("Adam m", "#009E73"), ("Adam v", "#56B4E9"))


def memory_picture(model, cards, way):
    """Bars: bytes on one card for weights, gradients and Adam's two states."""
    ax, size = viz.new_axes(7, 2.8), 4 * MODELS[model] / (cards if way == "FSDP" else 1) / 1e9
    for i, (name, colour) in enumerate(PARTS):
        ax.barh(0, size, 0.6, left=i * size, color=colour, label=name)
    rooms = {"T4 16 GB": 16, "A100 80 GB": 80}
    ax.set(xlim=(0, 1.2 * max(4 * size, 16)), ylim=(-0.4, 0.75), yticks=[])
    for (card, room), height in zip(rooms.items(), (0.6, 0.42), strict=True):
        if room < ax.get_xlim()[1]:
            ax.axvline(room, color="0.3", linestyle="--", linewidth=1)
            ax.text(room, height, f" {card}", fontsize=9)
    fits = [card for card, room in rooms.items() if 4 * size < room]
    said = f"放得进 fits into {fits[0]}" if fits else "哪张都放不下 too much for either"
    ax.set_title(f"{model}，{cards} 张卡 cards，{way}：{4 * size:,.1f} GB，{said}", fontsize=10)
    ax.set_xlabel("每张卡（GB，十亿字节） on each card (GB, 10⁹ bytes)")
    ax.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.3), frameon=False)
    return ax


play(
    memory_picture,
    model=Choice(list(MODELS), "7B", "模型 model"),
    cards=Choice([1, 2, 4, 8, 64], 8, "卡 cards"),
    way=Choice(["DDP", "FSDP"], "FSDP", "办法 way"),
    alt="一张卡要放下的字节 bytes that one card has to hold",
)

# %% [markdown] key="compile" lang="zh"
# ## 编译：少搬几趟
#
# GELU 写成 PyTorch 是七八个逐项运算，每一个都把整个数组从内存搬来，再搬回去。`torch.compile` 看懂整段代码，生成一个循环：每个数读一次，算完，写一次。第一次调用要编译几秒到几分钟，之后才快；形状一变可能又要编译。它要用 C++ 编译器（CPU）或 Triton（显卡），没有就用不了，这时说一声，照旧运行。
# %% [markdown] key="compile" lang="en"
# ## Compile: carry less
#
# Written in PyTorch, GELU is seven or eight entry-by-entry operations, each of which carries the whole array from memory and back. `torch.compile` reads the code as a whole and makes one loop of it: every number is read once, computed with, and written once. The first call takes seconds to minutes for compiling, and only then it is fast; with another shape it may compile again. It needs a C++ compiler (CPU) or Triton (card); where there is none, say so and go on as before.


# %% key="compile-run" tags=["nbval-ignore-output"]
def gelu(x):
    return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


x = torch.randn(1 << 21, device=CARD)
fused, compile_seconds = torch.compile(gelu), time.perf_counter()
try:
    same = torch.allclose(fused(x), gelu(x), atol=1e-6)
    synchronize()
    compile_seconds = time.perf_counter() - compile_seconds
except Exception as error:  # 没有编译器 no compiler
    fused, same = gelu, True
    print(f"这里编译不了，照旧运行 cannot compile here, going on without: {type(error).__name__}")
eager, quick = seconds(lambda: gelu(x)), seconds(lambda: fused(x))
assert same
print(
    f"逐个运算 one by one {1e3 * eager:.1f} ms   编译以后 compiled {1e3 * quick:.1f} ms   {eager / quick:.1f} 倍 times as fast"
)

# %% [markdown] key="profile" lang="zh"
# ## 一步里的时间：分析器
#
# 猜哪里慢，十回有九回猜错。`torch.profiler` 记下每个运算用了多久。看一步训练，按运算加起来。
# %% [markdown] key="profile" lang="en"
# ## The time within a step: the profiler
#
# Whoever guesses where the time goes is wrong nine times out of ten. `torch.profiler` notes how long each operation took. Look at one step of training, added up by operation.

# %% key="profile-run" tags=["nbval-ignore-output"]
from torch.profiler import ProfilerActivity, profile

os.environ["KINETO_LOG_LEVEL"] = "6"  # 分析器不必多话 the profiler need not chat

wide = new_model(d_model=128).to(CARD)
optimiser = AdamW(decay_groups(wide, 0.1), lr=3e-3)
x, y = (tensor.to(CARD) for tensor in batch(0, size=16))


def one_step():
    loss = F.cross_entropy(wide(x), y)
    wide.zero_grad()
    loss.backward()
    optimiser.step()


one_step()
kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (CARD.type == "cuda")
with profile(activities=kinds) as seen:
    for _ in range(3):
        one_step()
    synchronize()
spent = {}
for event in seen.key_averages():
    micro = event.self_device_time_total if CARD.type == "cuda" else event.self_cpu_time_total
    if micro and not event.key.startswith(("Optimizer.", "ProfilerStep", "autograd::", "Profiler")):
        spent[event.key.removeprefix("aten::")[:40]] = micro / 3e3
total = sum(spent.values())
top = sorted(spent.items(), key=lambda item: item[1])[-9:]
for name, milli in reversed(top[-4:]):
    print(f"{name:40s}{milli:7.2f} ms  {milli / total:.0%}")

# %% key="profile-picture" tags=["nbval-ignore-output"]
ax = viz.new_axes(7, 3)
ax.barh([name for name, _ in top], [milli for _, milli in top], color="#0072B2")
ax.set_xlabel("每步的毫秒数 milliseconds a step")
viz.show(ax, alt="一步训练里各个运算的时间 time of the operations in a training step")

# %% [markdown] key="mfu" lang="zh"
# ### 卡有多忙：MFU
#
# 矩阵乘法应当占大头。别的都是开销。一个数说清楚：模型**非做不可**的运算，除以这段时间里机器**最多能做**的运算，叫 **MFU**（Chowdhery 等 2023）。每个词元，每个参与乘法的权重前向做 2 次运算，反向 4 次；注意力另有 $12 L T D$：
#
# $$\text{MFU} = \frac{(6N + 12 L T D) \times \text{每秒词元}}{\text{峰值}}$$
#
# $N$ 是参数个数，$L$ 层数，$T$ 上下文长度，$D$ 宽度。峰值用前面自己量到的，比说明书上的老实。
# %% [markdown] key="mfu" lang="en"
# ### How busy the card is: MFU
#
# Products of matrices should take the most; all else is overhead. One number tells: the operations that the model **cannot do without**, over those that the machine **could have done** in that time. It is called **MFU** (Chowdhery et al. 2023). For each token, each weight in a product takes 2 operations forward and 4 backward; attention has $12 L T D$ on top:
#
# $$\text{MFU} = \frac{(6N + 12 L T D) \times \text{tokens a second}}{\text{peak}}$$
#
# $N$ is the number of parameters, $L$ layers, $T$ context, $D$ width. For the peak take the one that we measured: it is more honest than the data sheet's.

# %% key="mfu-run" tags=["nbval-ignore-output"]
from minillm.flops import flops_per_token

c = wide.config
per_token = 6 * wide.num_parameters() + 12 * c.n_layer * c.context * c.d_model
tokens_per_second = x.numel() / seconds(one_step, at_least=0.5)
mfu = per_token * tokens_per_second / (PEAK * 1e9)
assert abs(flops_per_token(c) / per_token - 1) < 0.01  # minillm 的算法 minillm's count
print(f"每个词元 a token: {per_token / 1e6:.2f} MFLOP   每秒词元 tokens a second: {tokens_per_second:,.0f}")
print(f"MFU {mfu:.0%}")

# %% [markdown] key="tensorboard" lang="zh"
# ## 看着它练：TensorBoard
#
# 一次训练几个小时，总要有个地方看曲线。TensorBoard 读一种日志文件，画成网页；在 Colab 里用 `%load_ext tensorboard` 和 `%tensorboard --logdir runs`。写的人每步记几个数，如此而已。写进去，再读出来：
# %% [markdown] key="tensorboard" lang="en"
# ## Watching: TensorBoard
#
# A training of several hours needs a place to look at its curves. TensorBoard reads a kind of log file and draws a web page; in Colab, `%load_ext tensorboard` and `%tensorboard --logdir runs`. The writer notes a few numbers at each step, and that is all. Write them, and read them back:

# %% key="tensorboard-run"
try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter
except ImportError:
    print(
        "没有 tensorboard：pip install tensorboard。下面读不回来，先用手里的数。 no tensorboard here; taking the numbers at hand"
    )
    read_back = list(mixed[torch.float32])
else:
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for step, loss in enumerate(mixed[torch.float32], 1):
                writer.add_scalar("loss", loss, step)
        events = EventAccumulator(folder).Reload()
        read_back = [event.value for event in events.Scalars("loss")]
        print("文件 file:", next(Path(folder).iterdir()).name.split(".")[2], "   条目 entries:", len(read_back))
assert np.allclose(read_back, mixed[torch.float32], rtol=1e-6)

# %% [markdown] key="engine" lang="zh"
# ## minillm 的引擎
#
# 这些事，minillm 的训练全都会，开关合在一个 `Engine` 里，一行一个：
# %% [markdown] key="engine" lang="en"
# ## minillm's engine
#
# minillm's training knows all of these; the switches are in an `Engine`, one a line:

# %% key="engine-listing"
from dataclasses import dataclass
from typing import Any

from minillm.errors import UserError
from minillm.pt.engine import PARALLEL, PRECISIONS


from minillm.pt.engine import Engine  # paste

# %% [markdown] key="engine-after" lang="zh"
# 它许下一个诺言：**只改快慢和内存，不改结果**，除了舍入。来核对：同样的批次走二十步，每次换一个开关，和什么也不开的比。
# %% [markdown] key="engine-after" lang="en"
# It makes a promise: **it changes speed and memory, and not the result**, but for rounding. Check it: twenty steps on the same batches, with one switch at a time, against no switch at all.

# %% key="engine-run"
from minillm.pt.engine import Engine
from minillm.pt.train import Trainer

RECIPE = {"steps": 20, "batch_size": 8, "lr": 3e-3, "warmup": 5}


def engine_losses(**switches):
    trainer = Trainer(new_model(), TrainConfig(**RECIPE), Engine(device="cpu", **switches))
    return [trainer.step(*random_batch(ids, SHAPE["context"], 8, 0, step), step).loss for step in range(20)]


usual = engine_losses(precision="fp32")
switches = [{"accumulate": 4}, {"recompute": True}, {"precision": "bf16"}, {"precision": "fp16"}]
drift = {}
for switch in switches:
    name = " ".join(f"{key}={value}" for key, value in switch.items())
    drift[name] = max(abs(a - b) for a, b in zip(usual, engine_losses(**{"precision": "fp32"} | switch), strict=True))
    print(f"{name:18s} 最大的差 largest difference {drift[name]:.1e}")

# %% [markdown] key="engine-cli" lang="zh"
# 分成四小批、重算，差别在 32 位的舍入里；两种 16 位差得多一点，那是它们本来的粗细。命令行上是同样的开关：
#
# ```
# minillm train --backend pt --precision auto --compile --accumulate 4 --recompute --tensorboard
# torchrun --standalone --nproc-per-node 2 -m minillm train --backend pt --parallel fsdp
# ```
#
# ## 断了，接上
#
# Colab 会断线，电会停，别人会挤掉你的进程。训练要能从断的地方接着走，走得**和没断过一样**。存什么？权重；AdamW 的 $m$、$v$ 和步数；学习率走到哪里；缩放；数据读到哪里；随机数。minillm 里最后几样都由（种子，步数）算出来，所以记住步数就够了（第 11 课）。
#
# 怎么存也要紧：正在写的时候断电，文件就只有半个。先写到旁边，写完再改名，那么任何时候看到的都是完整的一份，旧的或者新的。
#
# 试一次真的：开一个进程训练，等它存过检查点，不打招呼就杀掉；再接着练，和从头到尾没断过的比。
# %% [markdown] key="engine-cli" lang="en"
# Micro-batches and recomputing differ by the rounding of 32 bits; the two kinds of 16 bits by a little more, which is how coarse they are. On the command line the same switches are:
#
# ```
# minillm train --backend pt --precision auto --compile --accumulate 4 --recompute --tensorboard
# torchrun --standalone --nproc-per-node 2 -m minillm train --backend pt --parallel fsdp
# ```
#
# ## Broken off, and going on
#
# Colab disconnects, the power fails, somebody else's job throws yours out. A training has to go on where it broke off, and **as if it never had**. What must be saved? The weights; AdamW's $m$, $v$ and count of steps; where the learning rate has got to; the scale; how far the data have been read; the random numbers. In minillm the last of these follow from (seed, step), so that it is enough to remember the step (lesson 11).
#
# How to save matters, too: if the power fails while a file is being written, there is half a file. Write beside it and rename when it is done, and whoever looks at any moment finds a whole one, the old or the new.
#
# Try it in earnest: start a process that trains, wait until it has saved a checkpoint, and kill it without a word; then go on, and compare with a training that was never broken off.

# %% key="resume-run" tags=["nbval-ignore-output"]
from minillm import checkpoint as files
from minillm.backend import Backend
from minillm.checkpoint import Run, load_run
from minillm.data.corpora import load_corpus
from minillm.train import train as train_run

OPTIONS = ["--data", "reader", "--preset", "tiny", "--steps", "150", "--eval-every", "15", "--seed", "3"]


def begin_and_kill(out, limit=120):
    """Start a training in a process of its own, and kill it once it has saved some checkpoints."""
    place = str(Path(sys.modules["minillm"].__file__).parent.parent)
    command = [
        sys.executable,
        "-m",
        "minillm",
        "train",
        "--backend",
        "pt",
        "--device",
        "cpu",
        *OPTIONS,
        "--out",
        str(out),
    ]
    hidden = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": place}, **hidden) as process:
        end = time.monotonic() + limit
        try:
            while process.poll() is None and time.monotonic() < end:
                if len(files.read_log(out)) >= 45:
                    break
                time.sleep(0.01)
        finally:
            process.kill()


with tempfile.TemporaryDirectory() as folder:
    broken = Path(folder) / "broken"
    begin_and_kill(broken)
    saved = len(files.read_log(broken))
    backend, text = Backend("pt", "cpu"), load_corpus("reader")
    print(f"杀掉的时候，检查点在第 {saved} 步 killed; its checkpoint is at step {saved}")
    resumed = train_run(text, load_run(broken), backend, broken, resume=True).log
    run = load_run(broken)
    unbroken = train_run(text, Run(run.model, run.train, run.tokenizer), backend, Path(folder) / "unbroken").log

same = [a["loss"] == b["loss"] for a, b in zip(resumed, unbroken, strict=True)]
print(f"{len(same)} 步里损失相同的 steps with the same loss: {sum(same)}")
apart_resume = max(abs(a["loss"] - b["loss"]) for a, b in zip(resumed, unbroken, strict=True))
assert apart_resume < 1e-4

# %% key="resume-picture" tags=["nbval-ignore-output"]
ax = viz.new_axes(7, 2.8)
ax.plot(
    [r["step"] for r in unbroken],
    [r["loss"] for r in unbroken],
    color="0.7",
    linewidth=4,
    label="没断过 never broken off",
)
before, after = [r for r in resumed if r["step"] <= saved], [r for r in resumed if r["step"] >= saved]
ax.plot(
    [r["step"] for r in before],
    [r["loss"] for r in before],
    color="#0072B2",
    linewidth=1.2,
    label="被杀以前 before it was killed",
)
ax.plot(
    [r["step"] for r in after],
    [r["loss"] for r in after],
    color="#D55E00",
    linewidth=1.2,
    label="接上以后 after going on",
)
ax.axvline(saved, color="0.3", linestyle=":")
ax.set_xlabel("步 step")
ax.set_ylabel("损失（奈特/词元）\nloss (nats per token)")
ax.legend(fontsize=9)
viz.show(
    ax, alt="断了再接上的曲线与没断过的重合 the curve that was broken off and went on lies on the one that never was"
)

# %% [markdown] key="engine-two" lang="zh"
# 同一个命令，换 `torchrun` 开两个进程，曲线也该是这一条：每一步的批次是两个人分的，合起来还是那一批。
# %% [markdown] key="engine-two" lang="en"
# Start the same command with `torchrun` in two processes, and the curve should be this one again: the batch of each step is shared by two, and together it is the same batch.

# %% key="engine-two-run"
with tempfile.TemporaryDirectory() as folder:
    out = Path(folder) / "two"
    launch("-m", "minillm", "train", "--backend", "pt", "--device", "cpu", *OPTIONS, "--out", out)
    both = files.read_log(out)
apart_two = max(abs(a["loss"] - b["loss"]) for a, b in zip(both, unbroken, strict=True))
print(f"{len(both)} 步，两个进程与一个最大的差 steps, largest difference of two processes and one: {apart_two:.0e}")

# %% [markdown] key="nonfinite" lang="zh"
# 还有一种断法，机器没事，损失成了 `nan`。再练下去，检查点也会被 `nan` 盖掉，几天的工夫就没了。所以引擎每步都看一眼，一旦不是数就停，说出是哪一步、试试什么，好的检查点不动。把学习率调到荒唐的大，看它怎么说：
# %% [markdown] key="nonfinite" lang="en"
# There is another way to break: the machine is well, and the loss becomes `nan`. Train on, and `nan` will be written over the checkpoint, too, and days of work are gone. So the engine looks at every step, stops as soon as the loss is no number, says at which step and what to try, and leaves the good checkpoint alone. Give it an absurd learning rate and see what it says:

# %% key="nonfinite-run"
mad = TrainConfig(steps=50, batch_size=8, lr=1e30, warmup=0, eval_every=10, clip=0.0)
with tempfile.TemporaryDirectory() as folder:
    out = Path(folder) / "mad"
    try:
        train_run(text, Run(run.model, mad, run.tokenizer), backend, out)
        stopped = ""
    except UserError as error:
        stopped = str(error).replace(str(out), "runs/mad")
    weights, _ = files.read_arrays(out / files.CHECKPOINT)
    healthy = all(np.isfinite(array).all() for array in weights.values())
print(stopped)
print("检查点里全是数 the checkpoint holds nothing but numbers:", healthy)
assert stopped and healthy

# %% [markdown] key="colab" lang="zh"
# ## 真的练一个大的
#
# 现在把全部零件装起来：三千六百万参数，十层，宽 512，一次看 256 个字，预设名叫 `large`。下面的格子平常只练一个小的，读内置的小城，半分钟，不用网络；把 `FULL` 改成 `True`，就练大的。
#
# `DATA` 选文字。`"tang"` 是《全唐诗》，三百五十万字，MIT 许可，第一次会自动下载。`"web"` 是公开的中文维基百科：Hugging Face 上的 `wikimedia/wikipedia`，配置 `20231101.zh`，正文用 CC BY-SA 和 GFDL 许可，发布由它训练出的东西之前，先读它的数据卡。想要真正杂乱的网页，把 `WEB` 换成 `hf:allenai/c4:zh`（ODC-BY）。它边下边读，取前一亿字，写成磁盘上的词元，训练时只读要用的几段，内存里装不下也不要紧。
#
# 在 Colab 上：菜单“代码执行程序 → 更改运行时类型”，选 T4 GPU；再用下面两行挂上云端硬盘，从第一格重新运行；断线以后，再运行一遍就从那里接着练。
#
# ```python
# from google.colab import drive
#
# drive.mount("/content/drive")
# ```
#
# ### 云端硬盘上的检查点
#
# Colab 的机器断线就没了，`/content` 里的文件也跟着没。云端硬盘留得住，可它是隔着网络的盘：写进去的字节先躺在缓存里，断线时可能只传了一半，改名也未必马上算数。所以训练写在本机的盘上，另派一个人每几分钟抄一份过去，轮流抄进 `a`、`b` 两处；每处最后写一张清单，记下每个文件的长度和 SHA-256。接着练的时候，只信与清单一字不差的那一份，两份都对就取新的。抄到一半断了，另一份还在。这就是 `minillm.drive` 做的事：
# %% [markdown] key="colab" lang="en"
# ## Train a large one in earnest
#
# Now put all the parts together: 36 million parameters in ten layers, 512 wide, with 256 characters at a look; the preset is called `large`. The cell below ordinarily trains a small one on the bundled town, half a minute without a network; set `FULL` to `True`, and it trains the large one.
#
# `DATA` chooses the text. `"tang"` are the Complete Tang Poems, three and a half million characters, licence MIT, fetched on first use. `"web"` is the public Chinese Wikipedia: `wikimedia/wikipedia` on Hugging Face, configuration `20231101.zh`, whose text is under CC BY-SA and the GFDL; read its data card before you publish what was trained on it. For real, untidy web pages set `WEB` to `hf:allenai/c4:zh` (ODC-BY). It is read while it comes in, the first hundred million characters, and written to disk as tokens, of which training reads only what it needs, so that it need not fit into memory.
#
# On Colab: in the menu “Runtime → Change runtime type” choose T4 GPU; then mount the drive with the two lines below, and run from the first cell; after a disconnect, running again goes on from there.
#
# ```python
# from google.colab import drive
#
# drive.mount("/content/drive")
# ```
#
# ### Checkpoints on the drive
#
# When Colab disconnects, the machine is gone, and so are the files in `/content`. The drive stays, but it is a disk behind a network: what is written lies in a cache first, of which half may have travelled when the line breaks, and a renaming need not count at once. So training writes to the machine's own disk, and someone else carries a copy over every few minutes, in turn to two places `a` and `b`; last, each gets a list with the length and SHA-256 of every file. To go on, only a copy that agrees with its list in every byte is trusted, and of two such the newer. If a copy breaks off half-way, the other is still there. That is what `minillm.drive` does:

# %% key="drive-run" tags=["nbval-check-output"]
from minillm.drive import restore_copy, save_copy

with tempfile.TemporaryDirectory() as folder:
    run_folder, drive, back = (Path(folder) / name for name in ("run", "drive", "back"))
    run_folder.mkdir()
    for step in (100, 200, 300):
        (run_folder / files.CHECKPOINT).write_bytes(b"weights at step %d" % step)
        place = save_copy(run_folder, drive)
        print(f"第 {step} 步抄到 step {step} copied to", place.name)
    (place / files.CHECKPOINT).write_bytes(b"weights at st")  # 断线，只传了一半 the line broke half-way
    print("接着练，取自 going on from", f"{restore_copy(drive, back).name}:", (back / files.CHECKPOINT).read_text())

# %% key="colab-run" tags=["nbval-ignore-output"]
FULL = False  # 改成 True 就练大的：要一张显卡 True trains the large one: it takes a card
DATA = "tang"  # "tang" 或 or "web"
MINUTES = 30  # 最多练多久 at most
DRIVE = Path(f"/content/drive/MyDrive/minillm-14-{DATA}")  # 挂上才用 used if it is mounted
WEB = "hf:wikimedia/wikipedia:20231101.zh"

from minillm.config import preset
from minillm.data.own import stream_texts
from minillm.data.sharded import is_sharded, load_sharded, write_corpus
from minillm.drive import Copies, restore_copy
from minillm.tensorboard import TensorBoard, Together


def web_corpus(folder, characters=10**8):
    """The beginning of a web corpus by name, as token shards in a folder: fetched once, then found there."""
    if not is_sharded(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "texts.jsonl", "w", encoding="utf-8") as file:
            for text in stream_texts(WEB):
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                characters -= len(text)
                if characters <= 0:
                    break
        write_corpus(str(folder / "texts.jsonl"), folder, "char", 8192)
    return load_sharded(folder)


if FULL:
    full_text = web_corpus(Path("runs/14-web")) if DATA == "web" else load_corpus(DATA)
    full_tokenizer = full_text.tokenizer if DATA == "web" else train_tokenizer("char", full_text.train)
    shape, recipe = preset("large", full_tokenizer.vocab_size)
    engine, out = Engine(compile=True), Path(f"runs/14-{DATA}-large")
else:
    print(
        "小号：FULL = False。 The small one: FULL = False."
        + (" 这里有显卡，可以改成 True。 There is a card here: try True." if CARD.type == "cuda" else "")
    )
    full_text, full_tokenizer, engine = load_corpus("world"), tokenizer, Engine()
    shape, recipe = preset("tiny", tokenizer.vocab_size, **SHAPE, steps=160, batch_size=16, lr=3e-3, eval_every=80)
    out = Path(tempfile.mkdtemp()) / "14-small"

backend = Backend("pt", "auto", engine)
print(f"{backend.gpt(shape).num_parameters():,} 个参数 parameters，{backend.describe()}")
kept = DRIVE.parent.exists()
resumable = FULL and ((out / files.CONFIG).exists() or (kept and restore_copy(DRIVE, out) is not None))
job = load_run(out) if resumable else Run(shape, recipe, full_tokenizer, {"source": full_text.name})
watching = [TensorBoard(out, backend.mfu(shape))] if FULL else []
watching += [Copies(out, DRIVE, minutes=5)] if FULL and kept else []
done = train_run(full_text, job, backend, out, resume=resumable, reporter=Together(*watching), seconds=60 * MINUTES)
print(
    f"第 {done.steps} 步 step {done.steps}，验证 validation {done.valid_loss:.2f}，每秒词元 tokens a second {done.tokens_per_second:,.0f}"
)

# %% [markdown] key="colab-after" lang="zh"
# 完整的一次，终端里也行，含义一样：
#
# ```
# minillm train --data tang --preset large --backend pt --compile --tensorboard --out runs/tang-large
# minillm train --resume --backend pt --compile --out runs/tang-large
# minillm data shards --data hf:wikimedia/wikipedia:20231101.zh --vocab-size 8192 --out runs/wiki
# minillm train --data runs/wiki --preset large --backend pt --steps 20000 --out runs/wiki-large
# ```
#
# ## 几分钟以后该是多少
#
# “练了五分钟，损失 4.8，正常吗？”下面的曲线是**量出来的**：两百万参数的小模型，在一个 CPU 核上读《全唐诗》，算的是 CPU 时间（`python -m minillm.bench.expected` 会在你的机器上重做一遍）。图的横轴有两种，分钟和读过的词元；电脑快慢不同，词元数到处一样。
#
# T4 的那几行**没有量过**：写这一课的人手边没有 T4。它们是算出来的：说明书上 fp16 的峰值 65 TFLOP/s，假定用上四分之一，除以每个词元的运算。如果大模型每读一个词元至少学得和小模型一样多（这也是假定），那么不到半分钟，它就该走到小模型五分钟的地方。跑完以后，把你的数写下来。
# %% [markdown] key="colab-after" lang="en"
# The whole of it in a terminal, with the same meaning:
#
# ```
# minillm train --data tang --preset large --backend pt --compile --tensorboard --out runs/tang-large
# minillm train --resume --backend pt --compile --out runs/tang-large
# minillm data shards --data hf:wikimedia/wikipedia:20231101.zh --vocab-size 8192 --out runs/wiki
# minillm train --data runs/wiki --preset large --backend pt --steps 20000 --out runs/wiki-large
# ```
#
# ## What to expect after some minutes
#
# “After five minutes the loss is 4.8: is that normal?” The curve below was **measured**: a small model of two million parameters on one core of a CPU, reading the Complete Tang Poems, by CPU time (`python -m minillm.bench.expected` does it again on your machine). It has two horizontal axes, minutes and tokens read; computers differ in speed, while tokens are the same everywhere.
#
# The lines on the T4 were **not measured**: those who wrote this lesson had none at hand. They are computed: the peak of 65 TFLOP/s for fp16 in its data sheet, of which we assume a quarter is used, over the operations for a token. If the large model learns at least as much from each token as the small one (which is assumed as well), it should be where the small one is after five minutes in less than half a minute. When you have run it, write down your own figures.

# %% key="expected-run" tags=["nbval-check-output"]
import minillm.bench

found = json.loads((Path(minillm.bench.__file__).parent / "results" / "expected.json").read_text(encoding="utf-8"))
curve, t4, large = found["cpu"]["curve"], found["t4"], found["large"]
assert large["parameters"] >= 30e6 and not t4["measured"]
print(f"量的 measured, {found['date']}: {found['cpu']['parameters'] / 1e6:.1f} M，一个 CPU 核 one CPU core")
for row in curve[1::2]:
    print(f"    {row['minutes']:3.0f} min   {row['tokens'] / 1e6:5.2f} M tokens   {row['valid_loss']:.2f}")
print(f"算的 computed: {large['parameters'] / 1e6:.0f} M，{large['flops_per_token'] / 1e6:.0f} MFLOP/token")
for minutes in (1, 5, 30):
    tokens = minutes * t4["tokens_per_minute"]
    print(
        f"    T4 {minutes:3d} min   {tokens / 1e6:6.1f} M tokens = 全唐诗 poems × {tokens / found['train_tokens']:.1f}"
    )
seconds_to_match = 60 * curve[-1]["tokens"] / t4["tokens_per_minute"]
print(f"    T4 读完小模型五分钟的量 what the small one reads in 5 min: {seconds_to_match:.0f} s")
print(
    f"    这个大模型在一个 CPU 核上 the large one on one core: {large['cpu_tokens_per_minute'] / 1e6:.3f} M tokens/min"
)

# %% key="expected-picture"
ax = viz.new_axes(7, 3.4)
ax.plot([row["minutes"] for row in curve], [row["valid_loss"] for row in curve], "o-", color="#0072B2")
rate = curve[-1]["tokens"] / curve[-1]["minutes"] / 1e6
top = ax.secondary_xaxis("top", functions=(lambda minute: minute * rate, lambda million: million / rate))
top.set_xlabel("读过的词元（百万） tokens read (millions)")
ax.set_xlabel("一个 CPU 核的分钟数 minutes of one CPU core")
ax.set_ylabel("验证损失（奈特/词元）\nvalidation loss (nats per token)")
ax.axhline(math.log(found["vocab_size"]), color="0.5", linestyle=":", label="均匀瞎猜 uniform guess")
ax.legend(fontsize=9)
viz.show(ax, alt="全唐诗上的验证损失随 CPU 分钟数下降 validation loss on the Tang poems against minutes of CPU")

# %% [markdown] key="bands" lang="zh"
# ## 应该得到什么
#
# 机器替你核对。与硬件无关的几个是算出来的，范围很窄：重算省下的内存由形状决定；fp16 丢掉的梯度随舍入略有出入。训练的结果放宽到别的处理器。速度一概不查，它取决于你的电脑。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks. Figures that do not depend on hardware have narrow ranges: what recomputing saves follows from the shapes; the gradients that fp16 loses vary a little with rounding. Results of training leave room for other processors. No speed is checked: it is your computer's.

# %% key="bands-run"
from minillm.bands import band

band("fp16 里变成零的分数梯度 gradients of scores that are zero in fp16", lost, 0.15, 0.35)
band("不缩放的误差 error without scaling", off_by[0], 0.01, 0.08)
band("缩放以后的误差 error with scaling", off_by[12], 0.0005, 0.003)
band("学习率 1e-4 时 bf16 里没动的权重 weights not moved in bf16 at 1e-4", stuck[1e-4], 0.4, 0.8)
band("fp16 混合精度的差 difference of fp16, mixed", abs(ends[torch.float16] - ends[torch.float32]), 0.0, 0.02)
band("bf16 混合精度的差 difference of bf16, mixed", abs(ends[torch.bfloat16] - ends[torch.float32]), 0.0, 0.02)
band("重算省下的倍数 memory of recomputing, times less", memory[False] / memory[True], 6.0, 13.0)
band("两个进程与一个的差，64 位 two processes against one, 64 bits", apart, 0.0, 1e-9)
band("引擎的两个进程与一个，32 位 the engine's two and one, 32 bits", apart_two, 0.0, 0.02)
if not FULL:
    band("小模型的验证损失 validation loss of the small one", done.valid_loss, 1.2, 4.5)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **不等卡做完就读表。** 量到的是派活的时间。先 `torch.cuda.synchronize()`。
#
# **`model.half()` 就开始训练。** 权重、状态、更新都成了 16 位，这一课开头的样子。用 `autocast`，权重留在 32 位。
#
# **在 T4 上用 bf16。** 有的版本不报错，用别的电路模仿，比 fp16 慢得多。minillm 的 `auto` 会替你选 fp16。
#
# **裁剪梯度之前忘了缩回来。** 有缩放的时候，`grad` 是放大了几万倍的；先 `scaler.unscale_(optimizer)`，再量长度。
#
# **平均的平均。** 小批里词元不一样多，就得按词元加权。
#
# **每张卡读同样的批次。** 两个进程都从头取数据，等于白开一个；损失曲线却看不出毛病。
#
# **只存权重。** 没有 AdamW 的 $m$、$v$，接上的头几十步损失会跳起来；没有步数，学习率又从预热开始。
#
# **把检查点直接写进云端硬盘。** 断线的时候正好在写，旧的没了，新的只有一半。
#
# **拿说明书的峰值骂自己的代码。** 65 TFLOP/s 是一块卡最顺手的矩阵、最凉快的时候。先量你自己的峰值。
#
# ## 记住三句话
#
# 1. 大矩阵用 16 位，权重和状态留在 32 位；bf16 有范围，缺精细，fp16 有精细，缺范围，要缩放。
# 2. 分小批、重算、多张卡、切开，改的是快慢和内存；损失和梯度除了舍入应当一模一样，所以都能核对。
# 3. 训练一定会断：写旁边再改名，存全状态，接上以后的曲线要和没断过的重合。
#
# ## 出处
#
# - P. Micikevicius, S. Narang, J. Alben, G. Diamos, E. Elsen et al. (2018). Mixed Precision Training. ICLR. [arXiv 1710.03740](https://arxiv.org/abs/1710.03740). 主权重和损失缩放。
# - D. Kalamkar et al. (2019). A Study of BFLOAT16 for Deep Learning Training. [arXiv 1905.12322](https://arxiv.org/abs/1905.12322). bf16。
# - T. Chen, B. Xu, C. Zhang, C. Guestrin (2016). Training Deep Nets with Sublinear Memory Cost. [arXiv 1604.06174](https://arxiv.org/abs/1604.06174). 重算。
# - P. Patarasuk, X. Yuan (2009). Bandwidth optimal all-reduce algorithms for clusters of workstations. Journal of Parallel and Distributed Computing 69 (2), 117–124. 转圈求和。
# - S. Li et al. (2020). PyTorch Distributed: Experiences on Accelerating Data Parallel Training. Proceedings of the VLDB Endowment 13 (12). [arXiv 2006.15704](https://arxiv.org/abs/2006.15704). DDP。
# - S. Rajbhandari, J. Rasley, O. Ruwase, Y. He (2020). ZeRO: Memory Optimizations Toward Training Trillion Parameter Models. SC20. [arXiv 1910.02054](https://arxiv.org/abs/1910.02054). 每个参数 16 字节，切开。
# - Y. Zhao et al. (2023). PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel. Proceedings of the VLDB Endowment 16 (12). [arXiv 2304.11277](https://arxiv.org/abs/2304.11277). FSDP。
# - A. Chowdhery et al. (2023). PaLM: Scaling Language Modeling with Pathways. Journal of Machine Learning Research 24 (240). [arXiv 2204.02311](https://arxiv.org/abs/2204.02311). MFU，附录 B。
# - S. Williams, A. Waterman, D. Patterson (2009). Roofline: An Insightful Visual Performance Model for Multicore Architectures. Communications of the ACM 52 (4), 65–76. 计算强度。
# - Hugging Face (2024). [Fixing Gradient Accumulation](https://huggingface.co/blog/gradient_accumulation). 平均的平均。
# - NVIDIA (2019). T4 Tensor Core GPU, datasheet. 65 TFLOP/s（fp16），16 GB。
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **Reading the watch before the card is done.** What you get is the time of handing out. First `torch.cuda.synchronize()`.
#
# **`model.half()`, and off to train.** Weights, state and updates are all in 16 bits, as at the beginning of this lesson. Use `autocast` and leave the weights in 32 bits.
#
# **bf16 on a T4.** Some versions do not complain and imitate it with other circuits, much slower than fp16. minillm's `auto` picks fp16 for you.
#
# **Clipping gradients before they are scaled back.** With a scaler, `grad` is tens of thousands of times too large; first `scaler.unscale_(optimizer)`, then take its length.
#
# **The mean of means.** If micro-batches hold different numbers of tokens, weight them by tokens.
#
# **The same batch on every card.** If both processes read the data from the start, the second is of no use; and the loss curve shows nothing wrong.
#
# **Saving the weights only.** Without AdamW's $m$ and $v$ the loss jumps for some dozens of steps after going on; without the count of steps the learning rate starts with its warm-up again.
#
# **Writing checkpoints straight to the drive.** If the line breaks while one is being written, the old one is gone and of the new one there is half.
#
# **Scolding your code with the peak of the data sheet.** 65 TFLOP/s is a card with its favourite matrices, and cool. Measure your own peak first.
#
# ## Three sentences to keep
#
# 1. Large matrices in 16 bits, weights and state in 32; bf16 has range and lacks fineness, fp16 has fineness, lacks range, and needs scaling.
# 2. Micro-batches, recomputing, several cards and cutting up change speed and memory; loss and gradients should be the same but for rounding, and so all of it can be checked.
# 3. A training will break off: write beside and rename, save the whole state, and the curve that goes on must lie on the one that never broke.
#
# ## Sources
#
# - P. Micikevicius, S. Narang, J. Alben, G. Diamos, E. Elsen et al. (2018). Mixed Precision Training. ICLR. [arXiv 1710.03740](https://arxiv.org/abs/1710.03740). Master weights and loss scaling.
# - D. Kalamkar et al. (2019). A Study of BFLOAT16 for Deep Learning Training. [arXiv 1905.12322](https://arxiv.org/abs/1905.12322). bf16.
# - T. Chen, B. Xu, C. Zhang, C. Guestrin (2016). Training Deep Nets with Sublinear Memory Cost. [arXiv 1604.06174](https://arxiv.org/abs/1604.06174). Recomputing.
# - P. Patarasuk, X. Yuan (2009). Bandwidth optimal all-reduce algorithms for clusters of workstations. Journal of Parallel and Distributed Computing 69 (2), 117–124. The ring.
# - S. Li et al. (2020). PyTorch Distributed: Experiences on Accelerating Data Parallel Training. Proceedings of the VLDB Endowment 13 (12). [arXiv 2006.15704](https://arxiv.org/abs/2006.15704). DDP.
# - S. Rajbhandari, J. Rasley, O. Ruwase, Y. He (2020). ZeRO: Memory Optimizations Toward Training Trillion Parameter Models. SC20. [arXiv 1910.02054](https://arxiv.org/abs/1910.02054). 16 bytes a parameter, cut up.
# - Y. Zhao et al. (2023). PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel. Proceedings of the VLDB Endowment 16 (12). [arXiv 2304.11277](https://arxiv.org/abs/2304.11277). FSDP.
# - A. Chowdhery et al. (2023). PaLM: Scaling Language Modeling with Pathways. Journal of Machine Learning Research 24 (240). [arXiv 2204.02311](https://arxiv.org/abs/2204.02311). MFU, appendix B.
# - S. Williams, A. Waterman, D. Patterson (2009). Roofline: An Insightful Visual Performance Model for Multicore Architectures. Communications of the ACM 52 (4), 65–76. Arithmetic intensity.
# - Hugging Face (2024). [Fixing Gradient Accumulation](https://huggingface.co/blog/gradient_accumulation). The mean of means.
# - NVIDIA (2019). T4 Tensor Core GPU, datasheet. 65 TFLOP/s (fp16), 16 GB.

# %% [markdown] key="ex-bytes-on-card" lang="zh" exercise="bytes_on_card"
# ### 练习 1　一张卡要放多少
#
# 用 AdamW 训练，权重、梯度、$m$、$v$ 都是 32 位。给你参数的个数、卡的数目、切不切（FSDP 切，DDP 不切），写出**每张卡**要放多少字节，激活不算。先猜：七十亿参数、八张卡，切和不切各是多少 GB？
# %% [markdown] key="ex-bytes-on-card" lang="en" exercise="bytes_on_card"
# ### Exercise 1: How much on one card
#
# Training with AdamW, with weights, gradients, $m$ and $v$ of 32 bits. Given the number of parameters, the number of cards, and whether they are cut up (FSDP) or not (DDP), write how many bytes **each card** holds, activations left out. Guess first: seven billion parameters on eight cards, how many GB with and without cutting?


# %% key="ex-bytes-on-card-code" exercise="bytes_on_card" kind="predict" difficulty=1 minutes=6 points=1
def bytes_on_card(parameters: int, cards: int, cut: bool) -> float:
    """Bytes of weights, gradients and Adam's state on each card."""
    ### BEGIN SOLUTION
    whole = parameters * (4 + 4 + 4 + 4)
    return whole / cards if cut else whole
    ### END SOLUTION


# %% key="ex-bytes-on-card-check" exercise="bytes_on_card"
check(bytes_on_card)

# %% [markdown] key="ex-batch-loss" lang="zh" exercise="batch_loss"
# ### 练习 2　修好这个平均
#
# 一个批次分成几小批算。`sums[j]` 是第 $j$ 小批里所有词元的损失之和，`counts[j]` 是它有几个算数的词元。下面的函数在各批一样多的时候是对的，不一样多就错；有一批全是补齐的、一个词元也不算，它就给出 `nan`。修好它。全部批次都是空的，就返回 0。
# %% [markdown] key="ex-batch-loss" lang="en" exercise="batch_loss"
# ### Exercise 2: Mend this mean
#
# A batch is computed in several micro-batches. `sums[j]` is the sum of the losses of all tokens in micro-batch $j$, `counts[j]` how many of its tokens count. The function below is right when all have the same number and wrong when they differ; and where a micro-batch is nothing but padding and not one token counts, it gives `nan`. Mend it. If all of them are empty, return 0.


# %% key="ex-batch-loss-code" exercise="batch_loss" kind="repair" difficulty=2 minutes=8 points=1
def batch_loss(sums: Array, counts: Array) -> float:
    """Mean loss a token over all micro-batches.  sums, counts (m,)"""
    ### BEGIN SOLUTION
    return float(sums.sum() / max(counts.sum(), 1))
    ### END SOLUTION
    ### BEGIN STUB
    # with np.errstate(all="ignore"):
    #     return float((sums / counts).mean())
    ### END STUB


# %% key="ex-batch-loss-check" exercise="batch_loss"
check(batch_loss)

# %% [markdown] key="ex-to-bf16" lang="zh" exercise="to_bf16"
# ### 练习 3　自己舍入成 bf16
#
# bf16 是 fp32 的前 16 位。不用 torch，只用 NumPy，把 float32 的数舍入成 bf16 能表示的最近的数，仍然存成 float32。恰好在正中间的，取末位是 0 的那个（偶数）。`x.view(np.uint32)` 给你看每个数的 32 位；输入都是有限的数，不要改动它。
# %% [markdown] key="ex-to-bf16" lang="en" exercise="to_bf16"
# ### Exercise 3: Round to bf16 yourself
#
# bf16 are the first 16 bits of fp32. With NumPy alone, without torch, round float32 numbers to the nearest that bf16 can hold, still kept as float32. One that is exactly in the middle goes to the neighbour whose last bit is 0 (the even one). `x.view(np.uint32)` shows the 32 bits of each number; all inputs are finite, and they shall not be changed.


# %% key="ex-to-bf16-code" exercise="to_bf16" kind="implement" difficulty=4 minutes=20 points=3
def to_bf16(x: Array) -> Array:
    """The nearest numbers with 7 bits of fraction, ties to even.  x (n,) float32 -> (n,) float32"""
    ### BEGIN SOLUTION
    bits = x.view(np.uint32)
    last = (bits >> 16) & 1  # 留下的末位 the last bit that stays
    nearest = (bits + 0x7FFF + last) & 0xFFFF0000
    return nearest.astype(np.uint32).view(np.float32)
    ### END SOLUTION


# %% key="ex-to-bf16-check" exercise="to_bf16"
check(to_bf16)

# %% [markdown] key="ex-next-scale" lang="zh" exercise="next_scale"
# ### 练习 4　缩放的下一步
#
# 写出动态缩放的规矩。给你现在的 `scale`、已经连着好了几步 `good`、这一步的梯度是不是有限 `finite`，和等几步 `wait`。溢出：减半，重新数。好的一步：多数一个；数满 `wait`，加倍，重新数。返回新的 `(scale, good)`。
# %% [markdown] key="ex-next-scale" lang="en" exercise="next_scale"
# ### Exercise 4: The scale's next move
#
# Write the rule of dynamic scaling. Given are the `scale`, the number of good steps in a row so far `good`, whether the gradients of this step are `finite`, and how many to `wait` for. After an overflow: halve, and count anew. After a good step: count one more; when there are `wait`, double, and count anew. Return the new `(scale, good)`.


# %% key="ex-next-scale-code" exercise="next_scale" kind="implement" difficulty=2 minutes=10 points=2
def next_scale(scale: float, good: int, finite: bool, wait: int) -> tuple[float, int]:
    """New scale and count of good steps in a row, after a step."""
    ### BEGIN SOLUTION
    if not finite:
        return scale / 2, 0
    if good + 1 == wait:
        return scale * 2, 0
    return scale, good + 1
    ### END SOLUTION


# %% key="ex-next-scale-check" exercise="next_scale"
check(next_scale)

# %% [markdown] key="ex-sharded-step" lang="zh" exercise="sharded_step"
# ### 练习 5　切开来走一步
#
# `weights` 是完整的权重，照 `np.array_split` 切给几张卡，第 $r$ 张管第 $r$ 块。`gradients[r]` 是第 $r$ 张卡用自己那份批次算出的**完整**梯度。做 reduce-scatter：每张卡只拿到自己那一块上、所有卡的**平均**梯度；再用 SGD 走一步。返回一个列表：每张卡更新以后的那一块。卡数不一定整除权重数，也不要改动传进来的数组。
# %% [markdown] key="ex-sharded-step" lang="en" exercise="sharded_step"
# ### Exercise 5: A step, cut up
#
# `weights` are the whole weights, cut among cards by `np.array_split`, and card $r$ looks after chunk $r$. `gradients[r]` is the **whole** gradient that card $r$ found with its share of the batch. Do the reduce-scatter: each card gets, for its own chunk only, the **mean** gradient of all cards; then take a step of SGD. Return a list: each card's chunk after the step. The number of weights need not divide by that of cards, and the arrays that come in shall not be changed.


# %% key="ex-sharded-step-code" exercise="sharded_step" kind="implement" difficulty=3 minutes=15 points=2
def sharded_step(weights: Array, gradients: list[Array], lr: float) -> list[Array]:
    """Each card's part of the weights after one step.  weights (N,), gradients[r] (N,) -> parts"""
    ### BEGIN SOLUTION
    cards = len(gradients)
    mine = np.array_split(weights, cards)
    mean = np.array_split(sum(gradients) / cards, cards)
    return [w - lr * g for w, g in zip(mine, mean, strict=True)]
    ### END SOLUTION


# %% key="ex-sharded-step-check" exercise="sharded_step"
check(sharded_step)

# %% [markdown] key="ex-round-by-chance" lang="zh" exercise="round_by_chance"
# ### 练习 6　掷骰子的舍入
#
# 没有主权重，bf16 也能练下去，只要换一种舍入：离上面那个数越近，就越有可能舍到上面。更新再小，也有机会走一格，平均起来一点不丢。这叫**随机舍入**。
#
# 正数 `x` 夹在两个 bf16 之间，砍掉后 16 位得到下面那个，再加一格是上面那个。后 16 位的数除以 $2^{16}$，就是它在这一格里走了多远，记作 $t$。均匀的随机数 `u` 小于 $t$ 就取上面的，不然取下面的。
# %% [markdown] key="ex-round-by-chance" lang="en" exercise="round_by_chance"
# ### Exercise 6: Rounding by dice
#
# Without master weights bf16 can go on learning, too, if it rounds in another way: the nearer a number is to the one above, the more likely it goes there. However small an update, it has a chance to move one gap, and nothing is lost on average. This is **stochastic rounding**.
#
# A positive `x` lies between two numbers of bf16: cut off the last 16 bits for the lower one, and one gap more is the upper one. The last 16 bits over $2^{16}$ say how far through the gap it is; call that $t$. If the uniform random number `u` is below $t$, take the upper one, else the lower.


# %% key="ex-round-by-chance-code" exercise="round_by_chance" kind="extend" difficulty=4 minutes=18 points=3
def round_by_chance(x: Array, u: Array) -> Array:
    """Numbers of bf16 below or above x.  x (n,) float32, positive; u (n,) in [0, 1) -> (n,) float32"""
    ### BEGIN SOLUTION
    bits = x.view(np.uint32)
    t = (bits & 0xFFFF) / 2**16
    lower = bits & 0xFFFF0000
    return (lower + 0x10000 * (u < t)).astype(np.uint32).view(np.float32)
    ### END SOLUTION


# %% key="ex-round-by-chance-check" exercise="round_by_chance"
check(round_by_chance)
