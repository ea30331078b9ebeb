# ---
# minillm:
#   title: {zh: "前馈网络、归一化与残差", en: "Feed-forward, normalisation and residual paths"}
#   question:
#     zh: "层一层层摞上去，怎样让信号走得到头，让梯度回得了家？"
#     en: "How can layer be put on layer so that the signal gets to the end and the gradient gets back?"
#   minutes: 90
#   seconds: 50
#   needs: ["08"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("09")

# %% key="imports" both=true
import itertools
import math

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.np import functional as F
from minillm.np.gradcheck import gradcheck
from minillm.np.param import Array, Cache, Module, Param

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 学一句话：“我爱北京天安门。”见到“我”要答“爱”，见到“爱”要答“北”，一直到“门”后面的句号。七个字，各不相同，背下来就行。
#
# 用来背的是一个小网络：一次线性变换，把负数截成零，再一次线性变换。一个不够聪明，就摞十二个，一个的输出是下一个的输入。起步的权重照 GPT-2 的办法，取标准差为 0.02 的随机数；训练就是最朴素的梯度下降。（开关 `residual` 先关着，等会儿再打开。）
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# Learn one sentence, 我爱北京天安门。 (“I love Tiananmen in Beijing.”) Shown 我, answer 爱; shown 爱, answer 北; and so on up to the full stop after 门. Seven characters, all different: they need only be learnt by heart.
#
# What learns them is a little network: a linear map, cut negative numbers off to zero, another linear map. In case one is not clever enough, put twelve on top of each other, the output of one being the input of the next. The weights start as in GPT-2, random with standard deviation 0.02, and training is gradient descent at its plainest. (The switch `residual` is off for now; we shall turn it on later.)


# %% key="problem-nets"
def net(x, w1, w2):
    """Linear, cut off what is negative, linear.  x (N, D), w1 (F, D), w2 (D, F) -> (N, D)"""
    h, h_cache = F.linear(x, w1)
    a, a_cache = F.relu(h)
    y, y_cache = F.linear(a, w2)
    return y, (h_cache, a_cache, y_cache)


def net_backward(dy, cache):
    h_cache, a_cache, y_cache = cache
    da, dw2, _ = F.linear_backward(dy, y_cache)
    dx, dw1, _ = F.linear_backward(F.relu_backward(da, a_cache), h_cache)
    return dx, dw1, dw2


def new_nets(depth, rng, std=0.02, d=64):
    return [(std * rng.normal(size=(4 * d, d)), std * rng.normal(size=(d, 4 * d))) for _ in range(depth)]


def size(x):
    """Root of the mean square: how large a typical number is."""
    return float(np.sqrt(np.mean(np.square(x, dtype=float))))


# %% key="problem-run" tags=["nbval-check-output"]
wanted = np.arange(1, 8)  # 我爱北京天安门。 0 → 1, 1 → 2 ... 6 → 7


def learn_sentence(depth, residual=False, steps=300, lr=0.1, seed=0):
    """-> the last loss; sizes of signals and of gradients in the first step, layer by layer"""
    rng = np.random.default_rng(seed)
    x0, nets, head = rng.normal(size=(7, 64)), new_nets(depth, rng), rng.normal(size=(8, 64)) / 8
    for step in range(steps):
        x, caches, signals = x0, [], [size(x0)]
        for weights in nets:
            y, cache = net(x, *weights)
            x = x + y if residual else y
            caches.append(cache)
            signals.append(size(x))
        logits, head_cache = F.linear(x, head)
        loss, loss_cache = F.cross_entropy(logits, wanted)

        dx, dhead, _ = F.linear_backward(F.cross_entropy_backward(1.0, loss_cache), head_cache)
        head -= lr * dhead
        gradients = [size(dx)]
        for (w1, w2), cache in zip(reversed(nets), reversed(caches), strict=True):
            dnet, dw1, dw2 = net_backward(dx, cache)
            dx = dx + dnet if residual else dnet
            w1 -= lr * dw1
            w2 -= lr * dw2
            gradients.append(size(dx))
        if step == 0:
            first = signals, gradients[::-1]
    return float(loss), *first


plain = {depth: learn_sentence(depth) for depth in (1, 2, 3, 12)}
for depth, (loss, _, gradients) in plain.items():
    print(f"{depth:2d} 层 deep  loss {loss:.4f}   第一层的梯度 gradient at the first layer {gradients[0]:.1e}")

# %% [markdown] key="problem-why" lang="zh"
# 一层、两层都学得会。三层就几乎停在 $\ln 8 = 2.0794$，八个答案里瞎猜；十二层分毫不动。并不是模型太小：十二层的里面就装着一层的。是它动不了。
#
# 看看第一步里发生了什么。横轴是第几层；实线是信号，从左往右走；虚线是梯度，从右往左走。
# %% [markdown] key="problem-why" lang="en"
# One layer learns it, and so do two. Three hardly leave $\ln 8 = 2.0794$, a blind guess among eight answers, and twelve do not leave it at all. The model is not too small: twelve layers contain the one. It just cannot move.
#
# See what happens in the first step. The horizontal axis counts layers; solid is the signal, which travels from left to right, dashed the gradient, which travels from right to left.


# %% key="problem-picture"
_, signals, gradients = plain[12]
ax = viz.new_axes(7, 3.4)
ax.semilogy(signals, "o-", color="#0072B2", label="信号，向右走 signal, going right")
ax.semilogy(gradients, "s--", color="#D55E00", label="梯度，向左走 gradient, going left")
ax.set_xlabel("经过的层数 layers passed")
ax.set_ylabel("典型大小 typical size")
ax.grid(alpha=0.25)
ax.legend(fontsize=9, loc="center right")
viz.show(ax, alt="信号和梯度每过一层都缩小近三十倍 signal and gradient shrink nearly thirtyfold at each layer")

# %% [markdown] key="problem-after" lang="zh"
# 每过一层，信号缩到原来的三十分之一上下，梯度往回走也一样。到头的信号只剩 $10^{-17}$ 左右，回到起点的梯度只剩 $10^{-19}$ 左右。一个权重的梯度，是到它这里的信号和到它这里的梯度相乘，一个大另一个就小，所以十二层里没有一层动得了：权重自己有 0.02，加上这样一丁点，连浮点数的最后一位都不变。
#
# 这叫**梯度消失**。把起步的权重放大，它又会反过来**爆炸**。十二个“乘以某个数”连在一起，只要那个数不正好是一，结果就不是太小就是太大。这一课把能用的网络层补齐，再用三样东西把路修通：残差、归一化、讲究的初始化。
#
# ## 前馈网络
#
# 注意力让字与字之间互通消息，可它只会求平均。消息到手以后，每个字还要自己想一想。想的地方就是**前馈网络**（FFN）：对每个位置单独做，各位置用同一套权重。
#
# $$Y = f(X W_1^\top + b_1)\, W_2^\top + b_2$$
#
# 先变宽，弯一下，再变回来。
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $X$，$Y$ | (N, D) | 无 | 每行一个位置；N 是批次里的全部位置 |
# | $W_1$，$b_1$ | (F, D)，(F,) | 无 | 变宽的权重和偏置，F 通常是 4D |
# | $f$ | 逐个数 | 无 | 激活函数：ReLU、GELU…… |
# | $W_2$，$b_2$ | (D, F)，(D,) | 无 | 变回来的权重和偏置 |
#
# 拿一个字、D = 2、F = 3 算一遍：
# %% [markdown] key="problem-after" lang="en"
# At each layer the signal shrinks to about a thirtieth, and so does the gradient on its way back. Of the signal some $10^{-17}$ is left at the end, of the gradient some $10^{-19}$ at the start. The gradient of a weight is the signal that reaches it times the gradient that reaches it; where one is large the other is small, so not one of the twelve layers can move: add so little to a weight of 0.02, and not even the last digit of the floating-point number changes.
#
# This is the **vanishing gradient**. Start with larger weights, and it **explodes** instead. Twelve times “multiply by some number” in a row: unless that number is one, the outcome is too small or too large. In this lesson we complete the layers that a model needs, and then mend the road with three things: residual paths, normalisation, and a careful start.
#
# ## The feed-forward network
#
# Attention lets characters exchange messages, but all it can do is average. Once the messages have arrived, each character has to think for itself. The place for that is the **feed-forward network** (FFN): it works on each position alone, with the same weights for all positions.
#
# $$Y = f(X W_1^\top + b_1)\, W_2^\top + b_2$$
#
# Widen, bend, come back.
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $X$, $Y$ | (N, D) | none | each row a position; N is all positions of the batch |
# | $W_1$, $b_1$ | (F, D), (F,) | none | weights and bias that widen; F is usually 4D |
# | $f$ | number by number | none | the activation function: ReLU, GELU ... |
# | $W_2$, $b_2$ | (D, F), (D,) | none | weights and bias that come back |
#
# One character by hand, with D = 2 and F = 3:

# %% key="ffn-hand" tags=["nbval-check-output"]
x = np.array([[2.0, 1.0]])
w1, b1 = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]), np.array([0.0, -2.0, 0.0])
w2, b2 = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, -1.0]]), np.array([0.0, 1.0])

h = x @ w1.T + b1
a = np.maximum(h, 0)
y = a @ w2.T + b2
print("变宽 widened  h =", h[0])
print("截断 cut off  a =", a[0])
print("变回 back     y =", y[0])

# %% [markdown] key="ffn-loops" lang="zh"
# 中间一格是 1 减 2，得负一，被截成零。要是没有中间这一弯，宽也白宽：两次线性变换合起来还是一次，$W_2 W_1$ 是一个 (D, D) 的矩阵，把它一开始就写下来省事得多。
#
# 先用循环写，再向量化，再和 minillm 的 `FeedForward` 比。
# %% [markdown] key="ffn-loops" lang="en"
# The middle entry is 1 minus 2, minus one, cut off to zero. Without the bend in the middle the width would be for nothing: two linear maps are one linear map, $W_2 W_1$ is a (D, D) matrix, and it would be much simpler to write that down to begin with.
#
# Loops first, then vectorised, then against minillm's `FeedForward`.


# %% key="ffn-loops-run" tags=["nbval-check-output"]
from minillm.config import ModelConfig
from minillm.np.block import FeedForward


def ffn_loops(x, w1, b1, w2, b2):
    """x (N, D), w1 (F, D), w2 (D, F) -> (N, D)"""
    out = np.zeros_like(x)
    for n, row in enumerate(x):
        hidden = []
        for weights, bias in zip(w1, b1, strict=True):
            hidden.append(max(0.0, sum(w * v for w, v in zip(weights, row, strict=True)) + bias))
        for i, (weights, bias) in enumerate(zip(w2, b2, strict=True)):
            out[n, i] = sum(w * v for w, v in zip(weights, hidden, strict=True)) + bias
    return out


def ffn(x, w1, b1, w2, b2):
    """The same, all positions at once."""
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def new_ffn(activation, d, rng, **options):
    """minillm's FFN in float64, its weights and biases all moved so that no zero hides a mistake."""
    layer = FeedForward(ModelConfig(9, d_model=d, n_head=1, activation=activation, **options), rng=rng, dtype=float)
    for p in layer.parameters():
        p.data += rng.normal(size=p.data.shape) / 2
    return layer


rng = np.random.default_rng(0)
layer, x = new_ffn("relu", 6, rng), rng.normal(size=(5, 6))
weights = [p.data for p in (layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias)]
assert np.allclose(ffn_loops(x, *weights), ffn(x, *weights), rtol=1e-12)
assert np.allclose(layer(x)[0], ffn(x, *weights), rtol=1e-12)
assert np.allclose(x @ weights[0].T @ weights[2].T, x @ (weights[2] @ weights[0]).T)  # 没有弯 without the bend
print("循环、向量化、minillm，三者相等 loops, vectorised and minillm agree")

# %% [markdown] key="activations" lang="zh"
# ## 怎样弯：激活函数
#
# **ReLU** 最省事：$\mathrm{ReLU}(x) = \max(x, 0)$。斜率不是 0 就是 1。
#
# **GELU** 把这个硬拐角磨圆。设 $\Phi(x)$ 是一个标准正态随机数小于 $x$ 的概率，那么 $\mathrm{GELU}(x) = x\,\Phi(x)$：数越大，越可能被留下。乘积求导，记住 $\Phi' = \varphi$，也就是钟形曲线：
#
# $$\mathrm{GELU}'(x) = \Phi(x) + x\,\varphi(x) \qquad \varphi(x) = \frac{e^{-x^2/2}}{\sqrt{2\pi}}$$
#
# 算 $\Phi$ 要用误差函数，从前嫌慢，GPT-2 用的是一个近似：
#
# $$\Phi(x) \approx \tfrac12 \big(1 + \tanh u\big) \qquad u = \sqrt{2/\pi}\,\big(x + 0.044715\, x^3\big)$$
#
# **SiLU** 又换一个 S 形：$\mathrm{SiLU}(x) = x\,\sigma(x)$，$\sigma(x) = 1/(1+e^{-x})$。因为 $\sigma' = \sigma(1-\sigma)$，
#
# $$\mathrm{SiLU}'(x) = \sigma(x)\,\big(1 + x\,(1 - \sigma(x))\big)$$
# %% [markdown] key="activations" lang="en"
# ## How to bend: activation functions
#
# **ReLU** is the simplest: $\mathrm{ReLU}(x) = \max(x, 0)$. Its slope is either 0 or 1.
#
# **GELU** rounds off that hard corner. Let $\Phi(x)$ be the probability that a standard normal number is below $x$; then $\mathrm{GELU}(x) = x\,\Phi(x)$: the larger a number, the likelier it is kept. The product rule, with $\Phi' = \varphi$, the bell curve, gives
#
# $$\mathrm{GELU}'(x) = \Phi(x) + x\,\varphi(x) \qquad \varphi(x) = \frac{e^{-x^2/2}}{\sqrt{2\pi}}$$
#
# $\Phi$ needs the error function, once thought slow, and GPT-2 uses an approximation:
#
# $$\Phi(x) \approx \tfrac12 \big(1 + \tanh u\big) \qquad u = \sqrt{2/\pi}\,\big(x + 0.044715\, x^3\big)$$
#
# **SiLU** takes another S-shape: $\mathrm{SiLU}(x) = x\,\sigma(x)$ with $\sigma(x) = 1/(1+e^{-x})$. Since $\sigma' = \sigma(1-\sigma)$,
#
# $$\mathrm{SiLU}'(x) = \sigma(x)\,\big(1 + x\,(1 - \sigma(x))\big)$$


# %% key="activations-run" tags=["nbval-check-output"]
def relu_slope(x):
    return (x > 0).astype(float)


def gelu_slope(x):
    phi = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()]).reshape(x.shape)
    return phi + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def gelu_tanh_slope(x):
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return (1 + t) / 2 + x * (1 - t**2) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


def silu_slope(x):
    sigma = 1 / (1 + np.exp(-x))
    return sigma * (1 + x * (1 - sigma))


ACTIVATIONS = {
    "ReLU": (F.relu, F.relu_backward, relu_slope),
    "GELU": (F.gelu, F.gelu_backward, gelu_slope),
    "GELU tanh": (lambda x: F.gelu(x, "tanh"), F.gelu_backward, gelu_tanh_slope),
    "SiLU": (F.silu, F.silu_backward, silu_slope),
}
rng = np.random.default_rng(0)
x, dy = rng.normal(size=(2, 40))
for name, (act, act_backward, slope) in ACTIVATIONS.items():
    dx = dy * slope(x)
    assert np.allclose(dx, act_backward(dy, act(x)[1]), rtol=1e-10, atol=1e-12)
    worst = gradcheck(lambda act=act: float(act(x)[0] @ dy), {"x": x}, {"x": dx})
    assert worst.error < 1e-8, worst
    print(f"{name}: {worst.entries} 个导数都对 derivatives are right")

# %% key="activations-picture"
line = np.linspace(-4, 4, 401)
left, middle, right = viz.new_axes(9, 3, columns=3)
for (name, (act, _, slope)), colour in zip(ACTIVATIONS.items(), viz.COLOURS, strict=False):
    if name != "GELU tanh":
        left.plot(line, act(line)[0], color=colour, label=name)
        middle.plot(line, slope(line), color=colour, label=name)
gap = F.gelu(line, "tanh")[0] - F.gelu(line)[0]
right.plot(line, 1e4 * gap, color="0.3")
left.set_ylim(-0.5, 2)
left.set_xlim(-4, 2.5)
for ax, title in (
    (left, "函数 function"),
    (middle, "导数 derivative"),
    (right, "tanh 减精确 − exact (10⁻⁴)"),
):
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("x")
    ax.grid(alpha=0.25)
left.legend(fontsize=9)
viz.show(
    [left, middle, right], alt="激活函数、导数、两种 GELU 之差 activations, derivatives, the two GELUs' difference"
)

# %% [markdown] key="activations-after" lang="zh"
# 从左往右看，圆角的两个函数都先往下走一小段，导数是负的，再转上来。两种 GELU 最多差不到万分之五，出现在 2 和 3 之间以及它的对面；载入别人练好的权重时要用人家那一种，除此之外随便哪个都行。
#
# ### 死掉的 ReLU
#
# ReLU 有一个毛病。一个单元要是对**所有**的输入都给出负数，斜率就处处是零，梯度也是零，它再也不会动了。通常是某一步迈得太大，把偏置推到了很负的地方。
#
# 下面故意这样做：一层网络，偏置全从 −3 开始，再学那七个字。
# %% [markdown] key="activations-after" lang="en"
# From left to right, both rounded functions first go down a little, with a negative derivative, and then turn upwards. The two GELUs differ by less than 0.0005, at most between 2 and 3 and on the opposite side; when you load weights that somebody trained, use the one they used, otherwise take either.
#
# ### Dead ReLUs
#
# ReLU has a weakness. If a unit gives a negative number for **every** input, its slope is zero everywhere, so is its gradient, and it will never move again. What usually brings this about is one step too large, which pushes a bias far below zero.
#
# Here we do it on purpose: a single layer, all biases starting at −3, and the same seven characters to learn.


# %% key="dead-run" tags=["nbval-check-output"]
def learn_from_below(act, act_backward, seed=0, steps=1000, lr=1.0):
    """-> loss, share of units below zero for all seven characters, share of those without any gradient"""
    rng = np.random.default_rng(seed)
    x, b1 = rng.normal(size=(7, 16)), np.full(64, -3.0)
    w1, w2 = rng.normal(size=(64, 16)) / 4, rng.normal(size=(8, 64)) / 8
    for _ in range(steps):
        h, h_cache = F.linear(x, w1, b1)
        a, a_cache = act(h)
        logits, out_cache = F.linear(a, w2)
        loss, loss_cache = F.cross_entropy(logits, wanted)
        da, dw2, _ = F.linear_backward(F.cross_entropy_backward(1.0, loss_cache), out_cache)
        dh = act_backward(da, a_cache)
        _, dw1, db1 = F.linear_backward(dh, h_cache)
        w1, w2, b1 = w1 - lr * dw1, w2 - lr * dw2, b1 - lr * db1
    return float(loss), np.mean((h <= 0).all(axis=0)), np.mean((dh == 0).all(axis=0))


fallen = {name: learn_from_below(*ACTIVATIONS[name][:2]) for name in ("ReLU", "GELU", "SiLU")}
for name, (loss, below, still) in fallen.items():
    print(f"{name}: loss {loss:.3f}   全在零下 below zero {below:.2f}   没有梯度 no gradient {still:.2f}")

# %% [markdown] key="swiglu" lang="zh"
# ReLU 一个也没醒来，损失还是 $\ln 8$。GELU 和 SiLU 的单元也几乎全在零下，可那里有一点坡，就凭这一点坡，七个字学会了。
#
# ### 门：SwiGLU
#
# 近年的模型（例如 Llama）多用**门控**：变宽时做两份，一份当门，经过 SiLU，一份当内容，两份逐个相乘。
#
# $$Y = \big(\mathrm{SiLU}(X W_g^\top) \odot X W_u^\top\big)\, W_d^\top$$
#
# $\odot$ 是逐个相乘。多了一个矩阵，宽度就该收窄一些，参数才公平：两个 (F, D) 大小的矩阵变成三个，$3 D F' = 2 D \cdot 4D$，于是 $F' = \tfrac{8}{3} D$。数一数 minillm 的：
# %% [markdown] key="swiglu" lang="en"
# Of the ReLUs not one woke up; the loss is still $\ln 8$. The GELUs and SiLUs are nearly all below zero as well, but there is a little slope down there, and with that little slope the seven characters were learnt.
#
# ### A gate: SwiGLU
#
# Recent models, Llama for one, mostly use a **gate**: widen twice, take one copy as the gate, through SiLU, and one as the content, and multiply the two entry by entry.
#
# $$Y = \big(\mathrm{SiLU}(X W_g^\top) \odot X W_u^\top\big)\, W_d^\top$$
#
# $\odot$ multiplies entry by entry. With one matrix more, the width has to be less for a fair comparison of parameters: two matrices of the size (F, D) become three, $3 D F' = 2 D \cdot 4D$, hence $F' = \tfrac{8}{3} D$. Count minillm's:

# %% key="swiglu-count" tags=["nbval-check-output"]
for activation in ("gelu", "swiglu"):
    config = ModelConfig(9, d_model=96, n_head=1, activation=activation, bias=False)
    parameters = FeedForward(config, rng=np.random.default_rng(0)).num_parameters()
    print(f"{activation:6}  D = 96  F = {config.d_ff}  参数 parameters {parameters}")

# %% [markdown] key="ffn-backward" lang="zh"
# 注意力的四个 (D, D) 矩阵是 $4D^2$ 个参数，前馈网络是 $8D^2$：一层里三分之二的参数在这里。
#
# ### 前馈网络的反向
#
# 前向三步：$H = XW_1^\top + b_1$，$A = f(H)$，$Y = AW_2^\top + b_2$。倒着走。
#
# **第三步**写出一个数：$Y_{ni} = \sum_k A_{nk} (W_2)_{ik} + (b_2)_i$。$A_{nk}$ 出现在第 n 行的每一个 $Y_{ni}$ 里，$(W_2)_{ik}$ 出现在每一行里，$(b_2)_i$ 也是：
#
# $$dA = dY\, W_2 \qquad dW_2 = dY^\top A \qquad db_2 = \sum_n dY_n$$
#
# **第二步**逐个数，乘以斜率：$dH = dA \odot f'(H)$。
#
# **第一步**和第三步一样：$dX = dH\,W_1$，$dW_1 = dH^\top X$，$db_1 = \sum_n dH_n$。
#
# 门控的中间一步有两个输入。$A = \mathrm{SiLU}(G) \odot U$，每一个各把另一个当常数：
#
# $$dU = dA \odot \mathrm{SiLU}(G) \qquad dG = dA \odot U \odot \mathrm{SiLU}'(G)$$
#
# $X$ 用了两次，两路加起来：$dX = dG\,W_g + dU\,W_u$。
# %% [markdown] key="ffn-backward" lang="en"
# Attention's four (D, D) matrices are $4D^2$ parameters, the feed-forward network is $8D^2$: two thirds of a layer's parameters are here.
#
# ### The feed-forward network backward
#
# Forward took three steps: $H = XW_1^\top + b_1$, $A = f(H)$, $Y = AW_2^\top + b_2$. Walk them in reverse.
#
# **The third.** Write out one number: $Y_{ni} = \sum_k A_{nk} (W_2)_{ik} + (b_2)_i$. $A_{nk}$ occurs in each $Y_{ni}$ of row n; $(W_2)_{ik}$ occurs in every row, and so does $(b_2)_i$:
#
# $$dA = dY\, W_2 \qquad dW_2 = dY^\top A \qquad db_2 = \sum_n dY_n$$
#
# **The second** goes number by number, times the slope: $dH = dA \odot f'(H)$.
#
# **The first** is like the third: $dX = dH\,W_1$, $dW_1 = dH^\top X$, $db_1 = \sum_n dH_n$.
#
# With a gate the middle step has two inputs. In $A = \mathrm{SiLU}(G) \odot U$, each takes the other for a constant:
#
# $$dU = dA \odot \mathrm{SiLU}(G) \qquad dG = dA \odot U \odot \mathrm{SiLU}'(G)$$
#
# $X$ was used twice, so the two ways add up: $dX = dG\,W_g + dU\,W_u$.

# %% key="ffn-backward-run" tags=["nbval-check-output"]
rng = np.random.default_rng(1)
x, dy = rng.normal(size=(2, 5, 6))
for name, config_name in {"ReLU": "relu", "GELU": "gelu", "GELU tanh": "gelu_tanh"}.items():
    layer, (act, _, slope) = new_ffn(config_name, 6, rng), ACTIVATIONS[name]
    w1, b1, w2, b2 = (p.data for p in layer.parameters())

    h = x @ w1.T + b1
    a = act(h)[0]
    da, dw2, db2 = dy @ w2, dy.T @ a, dy.sum(axis=0)
    dh = da * slope(h)
    dx, dw1, db1 = dh @ w1, dh.T @ x, dh.sum(axis=0)

    assert np.allclose(dx, layer.backward(dy, layer(x)[1]), atol=1e-12)
    theirs = [p.grad for p in layer.parameters()]
    assert all(np.allclose(a, b, atol=1e-12) for a, b in zip((dw1, db1, dw2, db2), theirs, strict=True))
    arrays = {"x": x, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
    grads = {"x": dx, "w1": dw1, "b1": db1, "w2": dw2, "b2": db2}
    worst = gradcheck(lambda layer=layer: float((layer(x)[0] * dy).sum()), arrays, grads)
    assert worst.error < 1e-8, worst
    print(f"{name}: {worst.entries} 个梯度都对，与 minillm 相等 gradients right, equal to minillm's")

# %% key="swiglu-backward-run" tags=["nbval-check-output"]
layer = new_ffn("swiglu", 6, rng, bias=False)
w_g, w_d, w_u = (layer.linear1.weight.data, layer.linear2.weight.data, layer.linear3.weight.data)

gate, up = x @ w_g.T, x @ w_u.T
content = F.silu(gate)[0] * up
da, dw_d = dy @ w_d, dy.T @ content
dup, dgate = da * F.silu(gate)[0], da * up * silu_slope(gate)
dx = dgate @ w_g + dup @ w_u

assert np.allclose(layer(x)[0], content @ w_d.T, atol=1e-12)
assert np.allclose(dx, layer.backward(dy, layer(x)[1]), atol=1e-12)
arrays = {"x": x, "w_g": w_g, "w_u": w_u, "w_d": w_d}
grads = {"x": dx, "w_g": dgate.T @ x, "w_u": dup.T @ x, "w_d": dw_d}
worst = gradcheck(lambda: float((layer(x)[0] * dy).sum()), arrays, grads)
assert worst.error < 1e-8, worst
print(f"SwiGLU: {worst.entries} 个梯度都对，与 minillm 相等 gradients right, equal to minillm's")

# %% [markdown] key="residual" lang="zh"
# ## 残差：给信号留一条直路
#
# 回到十二层摞在一起的难题。办法只有一个加号：每一层不再**替换**它的输入，只在上面**添**一点。
#
# $$x_{l+1} = x_l + f_l(x_l)$$
#
# 这叫**残差**连接。打开开头那个开关：
# %% [markdown] key="residual" lang="en"
# ## Residual paths: a straight road for the signal
#
# Back to the twelve layers. The cure is a single plus sign: a layer no longer **replaces** its input, it **adds** a little to it.
#
# $$x_{l+1} = x_l + f_l(x_l)$$
#
# This is a **residual** connection. Turn on the switch of the beginning:

# %% key="residual-run" tags=["nbval-check-output"]
with_path = learn_sentence(12, residual=True)
print(f"没有残差 without  loss {plain[12][0]:.4f}   第一层的梯度 gradient at the first layer {plain[12][2][0]:.1e}")
print(f"有残差 with       loss {with_path[0]:.4f}   第一层的梯度 gradient at the first layer {with_path[2][0]:.1e}")

# %% [markdown] key="residual-why" lang="zh"
# 十二层，权重一个没换，三百步就把句子背下来了。
#
# 为什么？设 $J_l$ 是第 l 层 $f_l$ 的导数表（第 i 行第 j 列是第 i 个输出对第 j 个输入的导数）。加号的反向是把梯度原样送给两边，所以
#
# $$dx_l = dx_{l+1}\,(I + J_l)$$
#
# 没有残差的时候只有 $J_l$，一路连乘，每个都小，积就没了。现在把三层的积乘开：
#
# $$(I + J_3)(I + J_2)(I + J_1) = I + J_1 + J_2 + J_3 + J_3 J_2 + J_3 J_1 + J_2 J_1 + J_3 J_2 J_1$$
#
# 三层有八条路，每一层可走可绕。其中一条一层也不走，就是 $I$：不论多深，末端的梯度有一份原封不动地回到起点。用三层小网络验一验，八条路加起来是不是反向算出来的那个：
# %% [markdown] key="residual-why" lang="en"
# Twelve layers, not one starting weight changed, and three hundred steps learn the sentence by heart.
#
# Why? Let $J_l$ be the table of derivatives of layer l's $f_l$ (row i, column j: the derivative of output i by input j). A plus sign, backward, hands the gradient on unchanged to both sides, so
#
# $$dx_l = dx_{l+1}\,(I + J_l)$$
#
# Without residual paths there are only the $J_l$, multiplied one after the other; each is small, and the product is gone. Now multiply out three layers:
#
# $$(I + J_3)(I + J_2)(I + J_1) = I + J_1 + J_2 + J_3 + J_3 J_2 + J_3 J_1 + J_2 J_1 + J_3 J_2 J_1$$
#
# Three layers make eight roads, since each layer is either taken or passed by. One of the roads takes none: that is $I$. However deep the stack, one share of the gradient at its end comes back to the start untouched. Confirm it with three little nets: do the eight roads add up to what backward computes?

# %% key="residual-paths" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
nets, x, dy = new_nets(3, rng, std=0.4, d=4), rng.normal(size=(1, 4)), rng.normal(size=(1, 4))

stream, updates, caches, tables = [x], [], [], []
for w1, w2 in nets:
    update, cache = net(stream[-1], w1, w2)
    tables.append(w2 @ (relu_slope(stream[-1] @ w1.T).T * w1))  # J: W2 diag(f') W1
    updates.append(update)
    caches.append(cache)
    stream.append(stream[-1] + update)

dx = dy
for cache in reversed(caches):
    dx = dx + net_backward(dx, cache)[0]

roads = []
for taken in itertools.product((False, True), repeat=3):
    road = dy
    for table, goes_through in zip(reversed(tables), taken, strict=True):
        road = road @ table if goes_through else road
    roads.append(road)

assert np.allclose(sum(roads), dx, rtol=1e-12)
assert np.allclose(roads[0], dy)  # 一层也不走 the road that takes no layer
assert np.allclose(x + sum(updates), stream[-1], rtol=1e-12)
print(len(roads), "条路加起来就是反向的梯度 roads add up to the gradient of backward")

# %% [markdown] key="residual-stream" lang="zh"
# 最后一个断言说的是前向：$x_L = x_0 + \sum_l f_l(x_l)$。所以不妨把那条直路想成一条**残差流**，从嵌入流到输出，每一层从流里读，算出一份更新，再写回去。谁也不抹掉别人写的东西。
#
# ## 文章里的前馈网络：外面多一层 ReLU
#
# 知道了更新是**加**上去的，就能看出一篇流传很广的文章错在哪里。它把前馈网络写成
#
# $$\mathrm{ReLU}\big(W_2\,\mathrm{ReLU}(W_1 h + b_1)\big) + b_2$$
#
# 外面多了一层 ReLU，输出的偏置又留在了它的外面。正确的写法没有外面那一层：$W_2\,\mathrm{ReLU}(W_1 h + b_1) + b_2$。多截一刀，形状照样对，程序照样跑。它截掉了什么？量 48 层，每层都读同一条流：
# %% [markdown] key="residual-stream" lang="en"
# The last assertion is about forward: $x_L = x_0 + \sum_l f_l(x_l)$. So think of the straight road as a **residual stream** that flows from the embedding to the output. Each layer reads from it, computes an update, and writes that back. Nobody wipes out what others have written.
#
# ## The article's feed-forward network: a ReLU on the outside
#
# Knowing that updates are **added**, we can see what is wrong in a widely read article. It writes the feed-forward network as
#
# $$\mathrm{ReLU}\big(W_2\,\mathrm{ReLU}(W_1 h + b_1)\big) + b_2$$
#
# There is one ReLU more, on the outside, and the output's bias has been left outside of that. The right formula lacks it: $W_2\,\mathrm{ReLU}(W_1 h + b_1) + b_2$. With the extra cut all shapes still fit and the program still runs. What does it cut off? Measure 48 layers that read from one stream:


# %% key="outer-run" tags=["nbval-check-output"]
def flow(depth, outer=False, scale=1.0, seed=0, d=128, act=F.relu):
    """The stream's typical size and mean after each layer; the shares of updates that are below zero and zero."""
    rng = np.random.default_rng(seed)
    std = 0.02 * math.sqrt(768 / d)  # 宽度 768 时就是 GPT-2 的 0.02 at width 768 this is GPT-2's 0.02
    x = 0.03 * rng.normal(size=(64, d))
    sizes, means, negative, zero = [size(x)], [x.mean()], [], []
    for w1, w2 in new_nets(depth, rng, std, d):
        h, _ = F.layer_norm(x, np.ones(d))
        update = act(h @ w1.T)[0] @ w2.T * scale
        if outer:
            update = np.maximum(update, 0)
        x = x + update
        sizes.append(size(x))
        means.append(x.mean())
        negative.append((update < 0).mean())
        zero.append((update == 0).mean())
    return np.array(sizes), np.array(means), float(np.mean(negative)), float(np.mean(zero))


right_flow, outer_flow = flow(48), flow(48, outer=True)
for name, (sizes, means, negative, zero) in {"对的 right": right_flow, "文章的 article's": outer_flow}.items():
    print(f"{name}:  更新 updates < 0: {negative:.3f}   = 0: {zero:.3f}")
    print(f"    第 48 层后 after layer 48:  大小 size {sizes[-1]:.3g}   平均 mean {means[-1]:.3g}")

# %% [markdown] key="outer-task" lang="zh"
# 更新里本来一半是负数，外面的 ReLU 把这一半全变成了零：**一半的更新被杀掉**，剩下的只许往上加。流里的数就一齐往上漂，48 层以后几乎全是同一个公共的平均数，那里面什么消息也没有。（这里没有用偏置；每层读之前先做了归一化，下面就讲。）
#
# 付出的代价，要看题目。先给它一道躲不开的题：学另一个残差前馈网络，要加多少就加多少，要减多少就减多少。两个学生一样大，只差外面那层 ReLU；文章的偏置照原样放在外面。
# %% [markdown] key="outer-task" lang="en"
# Half of the updates used to be negative, and the outer ReLU turns all of that half into zero: **half of the updates are killed**, and what remains may only add upwards. So all numbers of the stream drift up together; after 48 layers nearly everything in it is one common mean, and that carries no message. (There are no biases here; each layer reads the stream through a normalisation, which comes next.)
#
# What that costs depends on the task. First one with no way around: learn another feed-forward network on a residual path, adding where it adds and subtracting where it subtracts. The two students are of the same size and differ in the outer ReLU alone; the article's bias stays outside, where it put it.


# %% key="outer-task-run"
from minillm.np.optim import Adam


def imitate(outer, seed=0, steps=400, lr=0.02, d=16):
    """Learn x + FFN(x) of a random teacher. -> the mean squared errors"""
    rng = np.random.default_rng(seed)
    t1, t2 = rng.normal(size=(4 * d, d)) / math.sqrt(d), rng.normal(size=(d, 4 * d)) / math.sqrt(2 * d)
    w1, b1 = Param(rng.normal(size=(4 * d, d)) / math.sqrt(d)), Param(np.zeros(4 * d))
    w2, b2 = Param(0.02 * rng.normal(size=(d, 4 * d))), Param(np.zeros(d))
    optimiser = Adam([{"params": [("w1", w1), ("b1", b1), ("w2", w2), ("b2", b2)]}], lr=lr)
    errors = []
    for step in range(steps):
        optimiser.set_lr(lr * (1 - step / steps))
        x = rng.normal(size=(128, d))
        h, h_cache = F.linear(x, w1.data, b1.data)
        a, a_cache = F.relu(h)
        y, y_cache = F.linear(a, w2.data)
        cut, cut_cache = F.relu(y)
        error = (cut if outer else y) + b2.data - np.maximum(x @ t1.T, 0) @ t2.T  # x 两边都有，消掉了 x cancels
        errors.append(float((error**2).mean()))

        dy = 2 * error / error.size
        b2.grad = dy.sum(axis=0)
        da, w2.grad, _ = F.linear_backward(F.relu_backward(dy, cut_cache) if outer else dy, y_cache)
        _, w1.grad, b1.grad = F.linear_backward(F.relu_backward(da, a_cache), h_cache)
        optimiser.step()
    return errors


imitation = {"对的 right": imitate(False), "文章的 the article's": imitate(True)}
ax = viz.new_axes(7, 3)
for (name, errors), colour in zip(imitation.items(), viz.COLOURS, strict=False):
    ax.semilogy(errors, color=colour, label=f"{name}  {np.mean(errors[-20:]):.3g}")
ax.set_xlabel("步数 step")
ax.set_ylabel("均方误差 mean squared error")
ax.legend(title="最后二十步 last twenty steps", fontsize=9, title_fontsize=9)
viz.show(ax, alt="外面多一层 ReLU，误差大十几倍 with a ReLU on the outside the error is over ten times larger")

# %% [markdown] key="layernorm" lang="zh"
# 误差大了十几倍。换别的老师，少则四倍，多则二十倍。在真的语言模型里要付多少，等下面在读本上量；答案会出人意料。
#
# ## 层归一化
#
# 残差把路修直了，可没有管住大小：每一层都往上添，流越来越大，起步的权重稍大一点，照样爆炸。**层归一化**（LayerNorm）让每一层读到的数都一样大：对一个位置的 D 个数，减去平均，除以标准差，再乘一个可学的 $w$，加一个可学的 $b$。
#
# $$\mu = \frac1D \sum_i x_i \qquad \sigma^2 = \frac1D \sum_i (x_i - \mu)^2 \qquad s = \sqrt{\sigma^2 + \varepsilon}$$
#
# $$\hat x_i = \frac{x_i - \mu}{s} \qquad y_i = w_i \hat x_i + b_i$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $x$，$\hat x$，$y$ | (..., D) | 无 | 一个位置的输入、归一化以后、输出 |
# | $\mu$，$\sigma^2$，$s$ | (..., 1) | 无 | 这个位置自己的平均、方差、标准差 |
# | $w$，$b$ | (D,) | 无 | 参数，起步是 1 和 0，所有位置共用 |
# | $\varepsilon$ | 一个数 | 无 | 很小，比如 $10^{-5}$，免得除以零 |
#
# 用四个数算一遍，再写成循环，再向量化。
# %% [markdown] key="layernorm" lang="en"
# The error is over ten times larger; with other teachers it is four to twenty times. What the price is in a real language model we shall measure below, on the reader; the answer will be a surprise.
#
# ## Layer normalisation
#
# The residual path made the road straight, but it does not keep sizes in check: every layer adds something, the stream grows and grows, and with slightly larger starting weights it explodes as before. **Layer normalisation** (LayerNorm) lets each layer read numbers of the same size: of the D numbers of a position, subtract the mean, divide by the standard deviation, then multiply by a $w$ and add a $b$, both learnt.
#
# $$\mu = \frac1D \sum_i x_i \qquad \sigma^2 = \frac1D \sum_i (x_i - \mu)^2 \qquad s = \sqrt{\sigma^2 + \varepsilon}$$
#
# $$\hat x_i = \frac{x_i - \mu}{s} \qquad y_i = w_i \hat x_i + b_i$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $x$, $\hat x$, $y$ | (..., D) | none | a position's input, the same normalised, its output |
# | $\mu$, $\sigma^2$, $s$ | (..., 1) | none | this position's own mean, variance, standard deviation |
# | $w$, $b$ | (D,) | none | parameters, 1 and 0 at the start, shared by all positions |
# | $\varepsilon$ | one number | none | small, $10^{-5}$ say, against division by zero |
#
# Four numbers by hand, then loops, then vectorised.


# %% key="layernorm-run" tags=["nbval-check-output"]
def layer_norm_loops(x, w, b, eps=1e-5):
    """x (N, D), w and b (D,) -> (N, D)"""
    out = np.zeros_like(x)
    for n, row in enumerate(x):
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        for i, v in enumerate(row):
            out[n, i] = w[i] * (v - mean) / math.sqrt(variance + eps) + b[i]
    return out


def layer_norm(x, w, b, eps=1e-5):
    centred = x - x.mean(axis=-1, keepdims=True)
    s = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return w * centred / s + b


x = np.array([[1.0, 2.0, 3.0, 6.0]])
print(f"平均 mean {x.mean():.0f}   方差 variance {x.var():.1f}   标准差 standard deviation {x.std():.3f}")
print("归一化 normalised", layer_norm(x, np.ones(4), np.zeros(4))[0].round(3))

rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(5, 8)), rng.normal(size=8), rng.normal(size=8)
assert np.allclose(layer_norm(x, w, b), layer_norm_loops(x, w, b), rtol=1e-12)
assert np.allclose(layer_norm(x, w, b), F.layer_norm(x, w, b)[0], rtol=1e-10, atol=1e-12)
print("循环、向量化、minillm，三者相等 loops, vectorised and minillm agree")

# %% [markdown] key="invariance" lang="zh"
# ### 什么动了它也不知道
#
# 给 D 个数都加上同一个数，平均也加上这个数，一减就没了。都乘以同一个正数，标准差也乘以它，一除就没了。所以
#
# $$\mathrm{LN}(a\,x + c) = \mathrm{LN}(x) \qquad a > 0$$
#
# 只有 $\varepsilon$ 会留下一点痕迹。验一验，顺便和不减平均的 RMSNorm 比，它的公式待会儿给：
# %% [markdown] key="invariance" lang="en"
# ### What it cannot notice
#
# Add the same number to all D numbers: their mean goes up by it, and the subtraction removes it. Multiply all by the same positive number: the standard deviation is multiplied too, and the division removes it. So
#
# $$\mathrm{LN}(a\,x + c) = \mathrm{LN}(x) \qquad a > 0$$
#
# Only $\varepsilon$ leaves a trace. Confirm it, beside RMSNorm, which subtracts no mean and whose formula comes in a moment:

# %% key="invariance-run" tags=["nbval-check-output"]
ones = np.ones(8)
for name, norm in {
    "LayerNorm": lambda x: F.layer_norm(x, ones, eps=1e-12)[0],
    "RMSNorm": lambda x: F.rms_norm(x, ones, eps=1e-12)[0],
}.items():
    shifted, scaled = np.abs(norm(x + 3) - norm(x)).max(), np.abs(norm(10 * x) - norm(x)).max()
    print(f"{name:9}   加 3 plus 3: 变了 changed {shifted > 1e-6}   乘 10 times 10: 变了 changed {scaled > 1e-6}")

# %% [markdown] key="layernorm-backward" lang="zh"
# ### 层归一化的反向，三条路
#
# 先走容易的：$dw_i = \sum_n dy_{ni}\,\hat x_{ni}$，$db_i = \sum_n dy_{ni}$，而传到 $\hat x$ 的是 $g_i = w_i\,dy_i$。
#
# 难的是从 $\hat x$ 到 $x$。动一个 $x_j$，会从三条路影响 D 个输出：它自己，平均，方差。
#
# **第一条，直接的。** $\hat x_j = (x_j - \mu)/s$，把 $\mu$ 和 $s$ 当常数：
#
# $$\frac{g_j}{s}$$
#
# **第二条，经过平均。** 每个 $\hat x_i$ 都减去了 $\mu$，$\partial \hat x_i / \partial \mu = -1/s$；$\mu$ 里有 $x_j$ 的 D 分之一。（平均变了，方差会不会变？$\partial \sigma^2 / \partial \mu = -\frac2D \sum_i (x_i - \mu) = 0$，不会。）于是
#
# $$\Big(\sum_i g_i \cdot \frac{-1}{s}\Big) \cdot \frac1D = -\frac1s\,\overline{g} \qquad \overline{g} = \frac1D \sum_i g_i$$
#
# **第三条，经过方差。** $s = \sqrt{\sigma^2 + \varepsilon}$，所以 $\partial \hat x_i / \partial \sigma^2 = -(x_i - \mu)/(2 s^3) = -\hat x_i/(2 s^2)$；又 $\partial \sigma^2 / \partial x_j = 2 (x_j - \mu)/D = 2 s\,\hat x_j / D$。于是
#
# $$\Big(\sum_i g_i \cdot \frac{-\hat x_i}{2 s^2}\Big) \cdot \frac{2 s\,\hat x_j}{D} = -\frac1s\,\hat x_j\,\overline{g \hat x} \qquad \overline{g \hat x} = \frac1D \sum_i g_i \hat x_i$$
#
# 三条路加起来：
#
# $$dx_j = \frac1s \Big(g_j - \overline{g} - \hat x_j\, \overline{g \hat x}\Big)$$
#
# 下面把三条路分开算，加起来，核对每一个数。少走一条会差多少，也打印出来。
# %% [markdown] key="layernorm-backward" lang="en"
# ### Layer normalisation backward, by three ways
#
# The easy part first: $dw_i = \sum_n dy_{ni}\,\hat x_{ni}$ and $db_i = \sum_n dy_{ni}$, and what arrives at $\hat x$ is $g_i = w_i\,dy_i$.
#
# The hard part is from $\hat x$ to $x$. Move one $x_j$, and it acts on the D outputs by three ways: by itself, through the mean, through the variance.
#
# **The first, directly.** $\hat x_j = (x_j - \mu)/s$, with $\mu$ and $s$ taken for constants:
#
# $$\frac{g_j}{s}$$
#
# **The second, through the mean.** $\mu$ is subtracted in every $\hat x_i$, so $\partial \hat x_i / \partial \mu = -1/s$; and one D-th of $x_j$ is in $\mu$. (Does a change of the mean change the variance? $\partial \sigma^2 / \partial \mu = -\frac2D \sum_i (x_i - \mu) = 0$: no.) Hence
#
# $$\Big(\sum_i g_i \cdot \frac{-1}{s}\Big) \cdot \frac1D = -\frac1s\,\overline{g} \qquad \overline{g} = \frac1D \sum_i g_i$$
#
# **The third, through the variance.** $s = \sqrt{\sigma^2 + \varepsilon}$, so $\partial \hat x_i / \partial \sigma^2 = -(x_i - \mu)/(2 s^3) = -\hat x_i/(2 s^2)$; and $\partial \sigma^2 / \partial x_j = 2 (x_j - \mu)/D = 2 s\,\hat x_j / D$. Hence
#
# $$\Big(\sum_i g_i \cdot \frac{-\hat x_i}{2 s^2}\Big) \cdot \frac{2 s\,\hat x_j}{D} = -\frac1s\,\hat x_j\,\overline{g \hat x} \qquad \overline{g \hat x} = \frac1D \sum_i g_i \hat x_i$$
#
# The three ways together:
#
# $$dx_j = \frac1s \Big(g_j - \overline{g} - \hat x_j\, \overline{g \hat x}\Big)$$
#
# Below the three are computed apart, added up, and every number is checked. How far off one is without one of the ways is printed too.

# %% key="layernorm-backward-run" tags=["nbval-check-output"]
rng = np.random.default_rng(3)
x, dy, w, b = rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.normal(size=6), rng.normal(size=6)
s = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
x_hat = (x - x.mean(axis=-1, keepdims=True)) / s
g = w * dy

ways = {
    "直接 directly": g / s,
    "平均 through the mean": -g.mean(axis=-1, keepdims=True) / s,
    "方差 through the variance": -x_hat * (g * x_hat).mean(axis=-1, keepdims=True) / s,
}
dx = sum(ways.values())
dw, db = (dy * x_hat).sum(axis=0), dy.sum(axis=0)

arrays, grads = {"x": x, "w": w, "b": b}, {"x": dx, "w": dw, "b": db}
worst = gradcheck(lambda: float((layer_norm(x, w, b) * dy).sum()), arrays, grads)
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对 gradients are right")
for name, way in ways.items():
    print(f"不走 leaving out “{name}”: 误差 error {np.abs(way).max() / np.abs(dx).max():.0%}")

y, cache = F.layer_norm(x, w, b)
for ours, theirs in zip((dx, dw, db), F.layer_norm_backward(dy, cache), strict=True):
    assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-13)
print("与 minillm 的 layer_norm_backward 相等 equal to minillm's layer_norm_backward")

# %% [markdown] key="layernorm-geometry" lang="zh"
# 两个不变性在反向里也看得见。加上同一个数，输出不动，所以梯度在这个方向上没有分量：$\sum_j dx_j = 0$。放大，输出不动，所以 $\sum_j dx_j\,\hat x_j = 0$（$\varepsilon$ 不计）。式子里减去的正是这两个分量。还有最前面的 $1/s$：输入大十倍，梯度就小十倍。归一化自己会踩刹车。
# %% [markdown] key="layernorm-geometry" lang="en"
# Both invariances can be seen in the backward too. Adding the same number moves no output, so the gradient has no part in that direction: $\sum_j dx_j = 0$. Scaling moves no output, so $\sum_j dx_j\,\hat x_j = 0$ (but for $\varepsilon$). Those two parts are just what the formula subtracts. And there is the $1/s$ in front: an input ten times larger gets a gradient ten times smaller. Normalisation brakes by itself.

# %% key="layernorm-geometry-run" tags=["nbval-check-output"]
along_ones, along_x = np.abs(dx.sum(axis=-1)).max(), np.abs((dx * x_hat).sum(axis=-1)).max()
print(f"沿着 1 along ones: {along_ones < 1e-12}   沿着 x̂ along x̂: {along_x < 1e-3}")
dx_large = F.layer_norm_backward(dy, F.layer_norm(10 * x, w, b)[1])[0]
print(f"输入大十倍，梯度之比 input ten times larger, gradients' ratio: {size(dx_large) / size(dx):.3f}")

# %% [markdown] key="listing" lang="zh"
# minillm 的源码是同一个式子，只是省了几份内存：
# %% [markdown] key="listing" lang="en"
# minillm's source is the same formula, a few copies in memory saved:

# %% key="listing-layernorm"
from minillm.np.chunks import row_dot, row_sum
from minillm.np.functional import layer_norm_backward  # paste

# %% [markdown] key="rmsnorm" lang="zh"
# ### RMSNorm：不减平均
#
# 起作用的主要是除以大小。RMSNorm 就只做这一步：
#
# $$r = \sqrt{\frac1D \sum_i x_i^2 + \varepsilon} \qquad \hat x_i = \frac{x_i}{r} \qquad y_i = w_i \hat x_i$$
#
# 反向少一条路。直接的是 $g_j / r$；经过 $r$ 的，$\partial \hat x_i / \partial r = -x_i / r^2 = -\hat x_i / r$，$\partial r / \partial x_j = x_j / (D r) = \hat x_j / D$，乘起来再对 i 求和。合计
#
# $$dx_j = \frac1r \Big(g_j - \hat x_j\, \overline{g \hat x}\Big)$$
# %% [markdown] key="rmsnorm" lang="en"
# ### RMSNorm: no mean subtracted
#
# What matters most is the division by the size. RMSNorm does just that:
#
# $$r = \sqrt{\frac1D \sum_i x_i^2 + \varepsilon} \qquad \hat x_i = \frac{x_i}{r} \qquad y_i = w_i \hat x_i$$
#
# Backward has one way less. The direct one is $g_j / r$; through $r$ there is $\partial \hat x_i / \partial r = -x_i / r^2 = -\hat x_i / r$ and $\partial r / \partial x_j = x_j / (D r) = \hat x_j / D$, to be multiplied and summed over i. Together
#
# $$dx_j = \frac1r \Big(g_j - \hat x_j\, \overline{g \hat x}\Big)$$

# %% key="rmsnorm-run" tags=["nbval-check-output"]
r = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
x_hat = x / r
dx = (g - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)) / r
dw = (dy * x_hat).sum(axis=0)

y, cache = F.rms_norm(x, w)
assert np.allclose(y, w * x_hat, rtol=1e-12)
for ours, theirs in zip((dx, dw), F.rms_norm_backward(dy, cache), strict=True):
    assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-13)
worst = gradcheck(lambda: float((F.rms_norm(x, w)[0] * dy).sum()), {"x": x, "w": w}, {"x": dx, "w": dw})
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对，与 minillm 相等 gradients right, equal to minillm's")

# %% [markdown] key="where" lang="zh"
# ## 归一化放在哪里
#
# 2017 年的 Transformer 把它放在加号**后面**，叫 post-norm；GPT-2 以来多半放在每层的**入口**，叫 pre-norm：
#
# $$\text{post: } x_{l+1} = \mathrm{LN}\big(x_l + f_l(x_l)\big) \qquad\qquad \text{pre: } x_{l+1} = x_l + f_l\big(\mathrm{LN}(x_l)\big)$$
#
# 差别在那条直路上。pre-norm 的直路从头到尾没有人拦，到末端再归一化一次就行。post-norm 的直路每层都要过一道归一化，$I$ 那一条路不再是原封不动的。
#
# 五种接法，24 层，信号往前走，随机的梯度往回走：什么也没有；只有归一化；只有残差；post；pre。先用小的起步权重，再用大的。
# %% [markdown] key="where" lang="en"
# ## Where to put the normalisation
#
# The Transformer of 2017 puts it **after** the plus sign: post-norm. Since GPT-2 it mostly stands at the **entrance** of each layer: pre-norm.
#
# $$\text{post: } x_{l+1} = \mathrm{LN}\big(x_l + f_l(x_l)\big) \qquad\qquad \text{pre: } x_{l+1} = x_l + f_l\big(\mathrm{LN}(x_l)\big)$$
#
# The difference lies on the straight road. Pre-norm leaves it open from end to end; one normalisation at the very end is enough. In post-norm the straight road passes a normalisation at every layer, and the road $I$ no longer arrives untouched.
#
# Five ways to wire 24 layers, the signal going forward and a random gradient going back: with nothing; with normalisation only; with residual paths only; post; pre. First with small starting weights, then with large ones.


# %% key="where-run" tags=["nbval-check-output"]
WIRINGS = {
    "都没有 neither": "plain",
    "归一化 norm only": "norm",
    "残差 residual only": "residual",
    "post-norm": "post",
    "pre-norm": "pre",
}


def walk(wiring, std, depth=24, seed=0, d=64):
    """-> sizes of signal and gradient at each depth; how alike (mean cosine) the outputs of different inputs are"""
    rng = np.random.default_rng(seed)
    nets, x, ones = new_nets(depth, rng, std, d), rng.normal(size=(32, d)), np.ones(d)
    signals, caches = [size(x)], []
    for weights in nets:
        h, before = F.layer_norm(x, ones) if wiring in ("pre", "norm") else (x, None)
        y, cache = net(h, *weights)
        x = y if wiring in ("plain", "norm") else x + y
        x, after = F.layer_norm(x, ones) if wiring == "post" else (x, None)
        signals.append(size(x))
        caches.append((before, cache, after))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    alike = (unit @ unit.T)[~np.eye(len(x), dtype=bool)].mean()

    dx = rng.normal(size=x.shape)
    gradients = [size(dx)]
    for before, cache, after in reversed(caches):
        dx = F.layer_norm_backward(dx, after)[0] if after else dx
        dnet = net_backward(dx, cache)[0]
        dnet = F.layer_norm_backward(dnet, before)[0] if before else dnet
        dx = dnet if wiring in ("plain", "norm") else dx + dnet
        gradients.append(size(dx))
    return signals, gradients[::-1], float(alike)


walks = {std: {name: walk(wiring, std) for name, wiring in WIRINGS.items()} for std in (0.02, 0.2)}
for std, found in walks.items():
    print(f"起步标准差 std {std}:   到头的信号 signal | 回家的梯度 gradient | 输入间的相似 alike")
    for name, (signals, gradients, alike) in found.items():
        print(f"  {signals[-1]:8.1e} | {gradients[0]:8.1e} | {alike:5.2f} | {name}")


# %% key="where-picture"
COLOURS = dict(zip(WIRINGS, ("0.6", "#E69F00", "#D55E00", "#009E73", "#0072B2"), strict=True))


def draw_wirings(ax, sizes, title):
    """sizes: name of a wiring -> sizes at each depth"""
    for name, line in sizes.items():
        ax.plot(line, "o-", color=COLOURS[name], markersize=2.5, linewidth=4 if "neither" in name else 1.3, label=name)
    ax.set_yscale("log")
    ax.set_ylim(1e-40, 1e20)
    ax.set_xlabel("经过的层数 layers passed")
    ax.set_title(title, fontsize=11)
    ax.grid(alpha=0.25)


panels = viz.new_axes(9, 3.5, columns=2, sharey=True)
for ax, (std, found) in zip(panels, walks.items(), strict=True):
    draw_wirings(ax, {name: gradients for name, (_, gradients, _) in found.items()}, f"起步标准差 std {std}")
panels[0].set_ylabel("梯度的典型大小 typical size of gradient")
panels[1].legend(fontsize=8, loc="lower right")
viz.show(panels, alt="五种接法的梯度：起步小和起步大 gradients of five wirings, with a small and a large start")

# %% [markdown] key="where-after" lang="zh"
# 什么也没有，小的消失，大的爆炸，差出四十多个数量级。只有残差，小的很好，大的一样爆炸。有残差又有归一化，两种起步都稳。
#
# 只有归一化的那一行值得多看一眼：大小也管住了，可是看最后一列，一开始互不相干的 32 个输入，过了 24 层**彼此很像**（夹角的余弦平均 0.98），分不清谁是谁了。有残差的三种，小的起步下还是 0.01：残差不单让梯度回家，也让每个输入一路上还是它自己。起步太大，更新盖过了原来的输入，它们也会变得相像，pre-norm 轻一些。
#
# pre 和 post 在这张表里都稳。差别在训练：Xiong 等人 2020 年算过，post-norm 起步时靠近输出的层梯度偏大，学习率要从很小慢慢升上去（**预热**，第 11 课）；pre-norm 不预热也能练。道理就在上面的表里：pre-norm 的流越来越大，末端那道归一化要除以它，梯度就自动变小了。
#
# ## 怎样起步：初始化
#
# 起步的权重该多大？先看一次线性变换 $y_i = \sum_{j=1}^{n} W_{ij} x_j$，$n$ 是输入的个数（fan-in）。设权重互相独立，平均为 0，方差为 $\sigma_w^2$，也与输入独立。每一项的平均是 0，方差是 $E[W_{ij}^2]\,E[x_j^2]$，独立的项方差相加：
#
# $$\mathrm{Var}(y_i) = \sum_{j=1}^{n} E[W_{ij}^2]\, E[x_j^2] = n\, \sigma_w^2\, E[x^2]$$
#
# 要大小不变，就取 $\sigma_w^2 = 1/n$。要是输入刚过 ReLU，对称分布的一半被截成零，$E[a^2] = \tfrac12 E[h^2]$，那就要 $\sigma_w^2 = 2/n$，这是 He 等人 2015 年的取法。量一量：
# %% [markdown] key="where-after" lang="en"
# With nothing, the small start vanishes and the large one explodes, more than forty orders of magnitude apart. With residual paths alone the small start is fine, and the large one explodes all the same. With residual paths and normalisation both starts are steady.
#
# The line with normalisation alone deserves a second look. Sizes are in check there too, but see the last column: 32 inputs that had nothing in common are, 24 layers later, **much alike** (mean cosine 0.98), and can hardly be told apart. The three with residual paths, started small, are still at 0.01: a residual path does more than bring the gradient home, it lets each input remain itself on the way. With too large a start the updates drown the inputs, and these become alike too, those of pre-norm the least.
#
# In this table pre and post are both steady. They differ in training: Xiong and others showed in 2020 that at the start of post-norm the layers near the output have large gradients, so that the learning rate has to rise slowly from very little (**warm-up**, lesson 11); pre-norm trains without it. The reason is in the table: the stream of pre-norm grows, the normalisation at its end divides by its size, and that makes the gradient smaller by itself.
#
# ## How to start: initialisation
#
# How large should the starting weights be? Take one linear map $y_i = \sum_{j=1}^{n} W_{ij} x_j$, where $n$ is the number of inputs (the fan-in). Let the weights be independent, of mean 0 and variance $\sigma_w^2$, and independent of the input. Each term has mean 0 and variance $E[W_{ij}^2]\,E[x_j^2]$, and variances of independent terms add:
#
# $$\mathrm{Var}(y_i) = \sum_{j=1}^{n} E[W_{ij}^2]\, E[x_j^2] = n\, \sigma_w^2\, E[x^2]$$
#
# To keep the size take $\sigma_w^2 = 1/n$. If the input has just passed a ReLU, half of a symmetric distribution has been cut to zero, $E[a^2] = \tfrac12 E[h^2]$, and it takes $\sigma_w^2 = 2/n$; that is the choice of He and others, 2015. Measure:

# %% key="init-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
growth = {}
for n in (64, 256, 1024):
    x = rng.normal(size=(200, n))
    linear = (x @ rng.normal(size=(512, n)).T / math.sqrt(n)).var()
    half = (np.maximum(x, 0) @ rng.normal(size=(512, n)).T / math.sqrt(n)).var()
    he = (np.maximum(x, 0) @ rng.normal(size=(512, n)).T * math.sqrt(2 / n)).var()
    growth[n] = linear, half, he
    print(f"n = {n:4d}   1/n: {linear:.3f}   ReLU, 1/n: {half:.3f}   ReLU, 2/n: {he:.3f}")

print(f"GPT-2: n = 768, σ = 0.02   n σ² = {768 * 0.02**2:.3f}   1/√n = {1 / math.sqrt(768):.3f}")
print(
    f"开头 at the beginning: n = 64 → 256 → 64, σ = 0.02   √(64 · 256 / 2) σ² = {math.sqrt(64 * 256 / 2) * 0.02**2:.3f}"
)

# %% [markdown] key="init-residual" lang="zh"
# 最后一行算的正是开头那三十分之一：两次线性、一次截断，每层乘以 0.036。GPT-2 的 0.02 是配着宽度 768 用的，每次线性变换方差乘 0.307，比 1 小一些；有归一化撑着，小一些没关系。
#
# 有了残差，还要算加法。每层的更新方差是 $v$，互相差不多独立，一条流上加 $N$ 次：
#
# $$\mathrm{Var}(x_N) \approx \mathrm{Var}(x_0) + N v$$
#
# 越深越大。GPT-2 的办法是把每个**写回流里的**矩阵（注意力的输出、前馈网络的 $W_2$）起步时再乘 $1/\sqrt{N}$。$L$ 层里每层写两次，$N = 2L$，所以标准差是 $0.02/\sqrt{2L}$。更新的方差变成 $v/N$，加 $N$ 次正好是 $v$，与深度无关。
# %% [markdown] key="init-residual" lang="en"
# The last line is the thirtieth part of the beginning: two linear maps and one cut, times 0.036 at each layer. GPT-2's 0.02 goes with a width of 768, where a linear map multiplies the variance by 0.307: rather less than 1, which does not matter where normalisation comes to help.
#
# With residual paths there is addition to think of too. If each update has the variance $v$, and they are more or less independent, then after $N$ additions to the stream
#
# $$\mathrm{Var}(x_N) \approx \mathrm{Var}(x_0) + N v$$
#
# The deeper, the larger. GPT-2 multiplies each matrix that **writes into the stream** (attention's output, the $W_2$ of the feed-forward network) by another $1/\sqrt{N}$ at the start. Each of $L$ layers writes twice, $N = 2L$, and the standard deviation is $0.02/\sqrt{2L}$. The variance of an update becomes $v/N$, and added $N$ times it is just $v$, whatever the depth.

# %% key="init-residual-run"
panels = viz.new_axes(9, 3.3, columns=2)
variance = {}
for ax, (name, scaled) in zip(panels, {"0.02": False, "0.02 / √N": True}.items(), strict=True):
    for depth, style, colour in ((12, "o-", "#D55E00"), (24, "s-", "#009E73"), (48, "-", "#0072B2")):
        sizes, *_ = flow(depth, scale=1 / math.sqrt(depth) if scaled else 1.0, act=F.gelu)
        variance[name, depth] = sizes**2
        ax.plot(sizes**2, style, color=colour, markersize=3, linewidth=1.2, label=f"N = {depth}")
    ax.set_title(f"写回的权重 weights that write: {name}", fontsize=11)
    ax.set_xlabel("写回的次数 updates written")
    ax.set_ylim(0)
    ax.grid(alpha=0.25)
v = variance["0.02", 48][1] - variance["0.02", 48][0]
panels[0].plot([0, 48], [0, 48 * v], ":", color="0.3", label="N v")
panels[1].axhline(v, linestyle=":", color="0.3", label="v")
panels[0].set_ylabel("流的均方 stream, mean square")
for ax in panels:
    ax.legend(fontsize=8)
viz.show(
    panels,
    alt="不缩放，流随深度直线长大；缩放以后与深度无关 the stream grows in a line; scaled, it does not depend on depth",
)

# %% [markdown] key="twin" lang="zh"
# 左边几乎是直线，和虚线的预言贴得很近，越深越高；右边不论 12 次还是 48 次，都停在同一个高度。两张图的纵轴差了几十倍。
#
# ## PyTorch 的孪生
#
# 同名函数都在 `torch.nn.functional` 里，反向交给自动求导。
# %% [markdown] key="twin" lang="en"
# On the left the lines are nearly straight, close to the dotted prediction, and the deeper the higher; on the right, with 12 updates or with 48, they end at the same height. The two vertical axes differ by a factor of dozens.
#
# ## The PyTorch twin
#
# Functions of the same names are in `torch.nn.functional`, and backward is left to autograd.

# %% key="twin-run" tags=["nbval-check-output"]
rng = np.random.default_rng(5)
x, up, dy = rng.normal(size=(3, 4, 6))
w, b = rng.normal(size=(2, 6))
OURS = {
    "layer_norm": ((x, w, b), F.layer_norm, F.layer_norm_backward),
    "rms_norm": ((x, w), F.rms_norm, F.rms_norm_backward),
    "gelu": ((x,), F.gelu, F.gelu_backward),
    "gelu tanh": ((x,), lambda x: F.gelu(x, "tanh"), F.gelu_backward),
    "swiglu": ((x, up), F.swiglu, F.swiglu_backward),
}
try:
    import torch
    import torch.nn.functional as TF
except ImportError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    theirs = {
        "layer_norm": lambda x, w, b: TF.layer_norm(x, (6,), w, b, eps=1e-5),
        "rms_norm": lambda x, w: TF.rms_norm(x, (6,), w, eps=1e-5),
        "gelu": TF.gelu,
        "gelu tanh": lambda x: TF.gelu(x, approximate="tanh"),
        "swiglu": lambda gate, up: TF.silu(gate) * up,
    }
    for name, (inputs, forward, backward) in OURS.items():
        y, cache = forward(*inputs)
        grads = backward(dy, cache)
        tensors = [torch.tensor(value, requires_grad=True) for value in inputs]
        y_pt = theirs[name](*tensors)
        y_pt.backward(torch.tensor(dy))
        pairs = [(y_pt.detach(), y)]
        pairs += zip([t.grad for t in tensors], grads if isinstance(grads, tuple) else (grads,), strict=True)
        difference = max(np.abs(a.numpy() - b).max() for a, b in pairs)
        print(
            f"{name:10} 输出和梯度相差不到 output and gradients differ by less than 1e-13: {bool(difference < 1e-13)}"
        )

# %% [markdown] key="reader" lang="zh"
# ## 在中文上：六层的小模型
#
# 现在把它们装进一个真的语言模型，学《槐树胡同读本》。六层，每层一个注意力（第 07、08 课）和一个前馈网络，宽 32。为了几秒钟练完，只留最常见的两百多个字，别的字记作 `<unk>`，不算损失。
#
# 模型的接法可以换：什么也没有，只有残差，post-norm，pre-norm，还有 pre-norm 加上文章里那层外面的 ReLU（偏置这回留在里面，考的只是那层 ReLU）。反向只是把前向倒着走一遍。
# %% [markdown] key="reader" lang="en"
# ## On Chinese text: a small model of six layers
#
# Put all this into a real language model that learns the reader that comes with the course. Six layers, in each an attention (lessons 07 and 08) and a feed-forward network, 32 wide. So that training takes seconds, only the two hundred and some most frequent characters are kept; the others become `<unk>` and do not count in the loss.
#
# The wiring can be changed: nothing, residual paths only, post-norm, pre-norm, and pre-norm with the article's ReLU on the outside (the bias stays inside this time: that ReLU alone is put to the test). Backward is forward, walked in reverse.


# %% key="reader-model"
from minillm.np.attention import MultiHeadAttention
from minillm.np.embeddings import Embeddings
from minillm.np.layers import LayerNorm


class Stack(Module):
    """A language model of attention and FFN branches. ids (B, T) -> logits (B, T, V)"""

    def __init__(self, config, wiring, rng):
        self.wiring = wiring.removesuffix(" outer")
        self.outer = wiring.endswith(" outer")
        out_std = 0.02 / math.sqrt(2 * config.n_layer)
        self.emb = Embeddings(config, rng=rng)
        self.branches = []
        for _ in range(config.n_layer):
            attention = MultiHeadAttention(config.d_model, config.n_head, causal=True, out_std=out_std, rng=rng)
            self.branches += [attention, FeedForward(config, out_std=out_std, rng=rng)]
        normed = self.wiring in ("post", "pre")
        self.norms = [LayerNorm(config.d_model) for _ in self.branches] if normed else []
        self.last = LayerNorm(config.d_model) if self.wiring == "pre" else None

    def forward(self, ids):
        x, emb_cache = self.emb(ids)
        caches, cut, norm, last = [], None, None, None
        for i, branch in enumerate(self.branches):
            h, norm = self.norms[i](x) if self.wiring == "pre" else (x, None)
            y, cache = branch(h)
            y, cut = F.relu(y) if self.outer and isinstance(branch, FeedForward) else (y, None)
            x = y if self.wiring == "plain" else x + y
            x, norm = self.norms[i](x) if self.wiring == "post" else (x, norm)
            caches.append((norm, cache, cut))
        x, last = self.last(x) if self.last else (x, None)
        logits, head = F.linear(x, self.emb.tok.weight.data)
        return logits, (emb_cache, caches, last, head)

    def backward(self, dlogits, cache):
        emb_cache, caches, last, head = cache
        dx, dw, _ = F.linear_backward(dlogits, head)
        self.emb.tok.weight.accumulate(dw)
        dx = self.last.backward(dx, last) if self.last else dx
        for i, (norm, cache, cut) in reversed(list(enumerate(caches))):
            dx = self.norms[i].backward(dx, norm) if self.wiring == "post" else dx
            dh = self.branches[i].backward(F.relu_backward(dx, cut) if cut else dx, cache)
            dh = self.norms[i].backward(dh, norm) if self.wiring == "pre" else dh
            dx = dh if self.wiring == "plain" else dx + dh
        self.emb.backward(dx, emb_cache)


# %% key="reader-train"
from minillm.data.corpora import load_corpus
from minillm.np.optim import clip_grad_norm
from minillm.text import train_tokenizer

corpus = load_corpus("reader")
tokenizer = train_tokenizer("char", corpus.train, vocab_size=256)
CONTEXT = 16


def stream_of(texts):
    return np.array([i for text in texts for i in (tokenizer.eos_id, *tokenizer.encode(text, unknown="unk"))])


def windows(ids, starts):
    chosen = ids[starts[:, None] + np.arange(CONTEXT + 1)]
    return chosen[:, :-1], np.where(chosen[:, 1:] == tokenizer.unk_id, -100, chosen[:, 1:])


train_ids, valid_ids = stream_of(corpus.train), stream_of(corpus.valid)
test_starts = np.arange(0, len(valid_ids) - CONTEXT - 1, CONTEXT)


def learn_reader(wiring, seed=0, steps=200, lr=3e-3):
    """-> training losses, validation loss, size of the first layer's gradient in the first step, the model"""
    rng = np.random.default_rng(seed)
    config = ModelConfig(tokenizer.vocab_size, context=CONTEXT, n_layer=6, n_head=2, d_model=32)
    model = Stack(config, wiring, rng)
    optimiser = Adam([{"params": list(model.named_parameters())}], lr=lr)
    losses = []
    for step in range(steps):
        ids, targets = windows(train_ids, rng.integers(len(train_ids) - CONTEXT - 1, size=16))
        logits, cache = model(ids)
        loss, loss_cache = F.cross_entropy(logits, targets)
        model.zero_grad()
        model.backward(F.cross_entropy_backward(1.0, loss_cache), cache)
        if step == 0:
            first = size(model.branches[0].in_proj.weight.grad)
        clip_grad_norm(model.parameters(), 1.0)
        optimiser.set_lr(lr * min(1, (step + 1) / 30))  # 预热 warm-up
        optimiser.step()
        losses.append(float(loss))
    ids, targets = windows(valid_ids, test_starts)
    return losses, float(F.cross_entropy(model(ids)[0], targets)[0]), first, model


known = train_ids[train_ids != tokenizer.unk_id]
share = np.bincount(known) / len(known)
unigram = float(-(share[share > 0] * np.log(share[share > 0])).sum())

# %% key="reader-run"
CHOICES = {
    "都没有 neither": "plain",
    "残差 residual only": "residual",
    "post-norm": "post",
    "pre-norm": "pre",
    "pre-norm，外层 ReLU outside": "pre outer",
}
reader = {name: learn_reader(wiring) for name, wiring in CHOICES.items()}
print("训练 training | 验证 validation | 第一层的梯度 first layer's gradient")
for name, (losses, valid, first, _) in reader.items():
    print(f"{np.mean(losses[-30:]):.2f} | {valid:.2f} | {first:.0e} | {name}")

# %% key="reader-picture"
ax = viz.new_axes(7, 3.6)
colours = ("0.45", "#D55E00", "#009E73", "#0072B2", "#CC79A7")
for (name, (losses, *_)), colour in zip(reader.items(), colours, strict=True):
    ax.plot(viz.smooth(losses), color=colour, label=name, linewidth=1.3)
ax.axhline(math.log(tokenizer.vocab_size), color="0.6", linestyle=":", label="ln V")
ax.axhline(unigram, color="0.6", linestyle="--", label="只看字频 character frequencies only")
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特） loss (nats)")
ax.legend(fontsize=8, ncols=2)
viz.show(ax, alt="没有残差，六层只学到字频 without residual paths six layers learn frequencies alone")

# %% [markdown] key="reader-after" lang="zh"
# 什么也没有的那条停在字的频率上：每个位置给的都是同一份分布，前面的字一个也没用上。它第一层的梯度只有 $10^{-33}$，能动的只有最后的偏置和输出那张表。只加残差，开始用上一点前文；再加归一化，损失才真的往下走。起步时第一层的梯度，pre 比 post 大几十倍，所以 post 在字的频率上停了一百来步才动身；后来它追了上来，十颗种子里有九颗最后还略好一点。
#
# 出人意料的是最后一条。文章里外面那层 ReLU 杀掉了前馈网络一半的更新，在这个小模型上却**几乎看不出代价**：我们换过十颗种子，七颗差一些，三颗反而好一些，验证损失平均只差 0.025 奈特。道理不难想：公共的漂移被下一道归一化减掉了；注意力的更新仍然有正有负；后面的矩阵可以学会看两个数的差。可是换到躲不开的题上，误差就是十几倍。损失好看，不等于公式写对了；这样的错，要量更新、对公式才抓得住。
#
# 练好的流里，更新有多大？把“我爱北京天安门”放进 pre-norm 的模型，每写回一次，量一量这份更新，再量一量流；最后核对：流就是嵌入加上所有的更新。
# %% [markdown] key="reader-after" lang="en"
# The one with nothing stops at the character frequencies: it gives the same distribution at every position and makes no use of what came before. The gradient of its first layer is $10^{-33}$, and nothing can move but the last bias and the output table. With residual paths alone a little of the context comes into use; only with normalisation does the loss really go down. At the start the first layer's gradient in pre is dozens of times that in post, and so post stays at the frequencies for a hundred steps before it sets off; then it catches up, and with nine of ten seeds it even ends slightly better.
#
# The last line is the surprise. The article's ReLU on the outside kills half of the feed-forward updates, and yet in this small model **hardly any price can be seen**: of the ten seeds that we tried seven were behind and three ahead, and the validation loss was 0.025 nats worse on average. The reason is not far: the common drift is subtracted by the next normalisation, the updates of attention still have both signs, and later matrices can learn to look at differences. But on a task with no way around, it cost over ten times the error. A good-looking loss does not make a formula right; a mistake like this is caught by measuring updates and by reading the formula.
#
# How large are the updates in a trained stream? Put 我爱北京天安门 (“I love Tiananmen in Beijing”) into the pre-norm model; each time something is written, measure the update, and measure the stream. At the end check that the stream is the embedding plus all updates.

# %% key="reader-stream"
model = reader["pre-norm"][3]
x, _ = model.emb(np.array([tokenizer.encode("我爱北京天安门", unknown="unk")]))
embedded, written, streams = x, [], [size(x)]
for norm, branch in zip(model.norms, model.branches, strict=True):
    written.append(branch(norm(x)[0])[0])
    x = x + written[-1]
    streams.append(size(x))
assert np.allclose(embedded + sum(written), x, rtol=1e-3, atol=1e-5)

ax = viz.new_axes(7, 3.2)
places, sizes = np.arange(1, 13), [size(update) for update in written]
ax.bar(places[::2], sizes[::2], color="#56B4E9", label="注意力的更新 attention's update")
ax.bar(places[1::2], sizes[1::2], color="#E69F00", label="前馈网络的更新 feed-forward update")
ax.plot(range(13), streams, "o-", color="0.25", markersize=4, label="流 stream")
ax.set_xlabel("写回的次数 updates written")
ax.set_ylabel("典型大小 typical size")
ax.legend(fontsize=9)
viz.show(ax, alt="练好的模型里每份更新和流的大小 sizes of updates and stream in the trained model")

# %% [markdown] key="reader-stream-after" lang="zh"
# 第一个前馈网络一下子写进去许多，比嵌入本身还大得多；后面的每一份，只有流的七分之一到三十分之一。后来的层读到的差不多是同一条流，只在上面小修小改。
# %% [markdown] key="reader-stream-after" lang="en"
# The first feed-forward network writes a great deal at once, much more than the embedding itself; each later update is a small part of the stream, between a seventh and a thirtieth. The later layers read almost the same stream and only touch it up.

# %% [markdown] key="play" lang="zh"
# ## 动手玩：起步多大，摞多深
#
# 拖动起步权重的标准差，看五种接法的信号和梯度。0.1 左右有一个窄窄的平衡点，什么也没有的那条在那里差不多是平的：线性变换和截断正好抵消。往两边挪一点，它就冲上去或掉下来；有残差又有归一化的两条几乎不动。有了内核，还可以改深度。
# %% [markdown] key="play" lang="en"
# ## Play: how large a start, how deep a stack
#
# Move the standard deviation of the starting weights, and watch signal and gradient of the five wirings. Near 0.1 there is a narrow point of balance, where even the one with nothing is almost level: the linear maps and the cut just cancel. A little to either side, and it shoots up or drops; the two that have both residual paths and normalisation hardly move. With a kernel you can change the depth as well.

# %% key="play-run"
from minillm.widgets import Slider, play


def plot_wirings(std, depth):
    """Signals on the left, gradients on the right, one line a wiring."""
    panels = viz.new_axes(9, 3.5, columns=2, sharey=True)
    found = {name: walk(wiring, std, depth) for name, wiring in WIRINGS.items()}
    draw_wirings(
        panels[0], {name: signals for name, (signals, *_) in found.items()}, "信号，向右走 signal, going right"
    )
    draw_wirings(panels[1], {name: each[1] for name, each in found.items()}, "梯度，向左走 gradient, going left")
    panels[0].set_ylabel("典型大小 typical size")
    panels[0].legend(fontsize=8, loc="lower left", title=f"起步标准差 std {std:g}", title_fontsize=8)
    return panels


play(
    plot_wirings,
    alt="五种接法的信号和梯度，随起步权重变化 signal and gradient of five wirings as the starting weights change",
    std=Slider(0.02, 0.18, 0.02, value=0.1, label="起步标准差 std"),
    depth=Slider(6, 48, 6, value=24, label="深度 depth"),
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 前面五个数来自随机的权重和很短的训练，范围是十颗种子的最小到最大，两边再放宽一些。第一个的理论值是 0.036；第三个是对称分布的一半。模仿的那一个放得宽，因为老师是随机的，有的好学，有的难学。最后两个来自训练，别的处理器上舍入不同，也给了余地。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The first five figures come from random weights and very short training; their ranges go from the least to the most of ten seeds, and somewhat beyond. In theory the first is 0.036, and the third is half, as of any symmetric distribution. The imitation has a wide range, because its teacher is random, and some teachers are easier to learn from. The last two come from training; other processors round differently, and there is room for that too.

# %% key="bands-run"
per_layer = (plain[12][2][0] / plain[12][2][-1]) ** (1 / 12)
band("没有残差，每层的梯度乘以 without residual, gradient times, a layer", per_layer, 0.03, 0.045)
band("有残差，十二层的损失 with residual, loss at twelve layers", with_path[0], 0.0, 0.01)
band("外层 ReLU 杀掉的更新 updates killed by the outer ReLU", outer_flow[3], 0.45, 0.55)
imitated = [float(np.mean(errors[-20:])) for errors in imitation.values()]
band("模仿的误差之比 imitation, errors' ratio", imitated[1] / imitated[0], 3, 60)
grown = variance["0.02", 48][-1] / (variance["0.02", 48][0] + 48 * v)
band("流的均方除以预言 stream's mean square over prediction", float(grown), 0.85, 1.25)
band("都没有，比字频 neither, above frequencies (nats)", reader["都没有 neither"][1] - unigram, -0.1, 0.1)
band("pre-norm，比字频 above frequencies (nats)", reader["pre-norm"][1] - unigram, -0.95, -0.45)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **就地加。** 残差写成 `x += y`，省一份内存，却把存给反向用的 `x` 也改了。前向一点不错，梯度错了，也不报错：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **Adding in place.** Write the residual path as `x += y`, and a copy in memory is saved, but the `x` kept for backward is changed along with it. Forward is perfectly right, the gradient is wrong, and nothing is reported:

# %% key="mistakes-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
start, weights, dy = rng.normal(size=(3, 8)), new_nets(1, rng, std=0.3, d=8)[0], rng.normal(size=(3, 8))
gradients = []
for in_place in (False, True):
    x = start.copy()
    y, cache = net(x, *weights)
    if in_place:
        x += y
    else:
        x = x + y
    dx, dw1, dw2 = net_backward(dy, cache)
    gradients.append((x, dw1))
(out, dw1), (out_in_place, dw1_in_place) = gradients
print("输出相同 outputs equal:", np.array_equal(out, out_in_place))
print(f"W1 的梯度差 gradient of W1 off by {size(dw1_in_place - dw1) / size(dw1):.0%}")

# %% [markdown] key="sources" lang="zh"
# **归一化沿错了轴。** 层归一化对**一个位置**的 D 个数做，别的位置是什么都不相干。对批次求平均的那个叫批归一化，是另一回事：句子长短不一，生成时一次只有一个字，都让它为难。
#
# **方差除以 D − 1。** 层归一化除以 D。好些库里的标准差函数默认除以 D − 1（PyTorch 的 `torch.std` 就是），拿来一用就差一点，和别人的权重对不上。
#
# **$\varepsilon$ 放在根号外。** 公式里它在根号里面，加在方差上；放到外面，对很小的输入结果就不同。
#
# **前馈网络外面再套一层 ReLU。** 前面量过：一半的更新没了，剩下的只许往上。输出的偏置要和 $W_2$ 在一起，外面什么也不套。
#
# ## 记住三句话
#
# 1. 残差把导数的连乘变成 $I + J$ 的连乘，总有一条路原封不动；归一化管住大小，两样都要。
# 2. 层归一化的反向有三条路：直接、经过平均、经过方差；所以 $dx$ 是 $g$ 减去它的平均，再减去它沿 $\hat x$ 的那一份，除以 $s$。
# 3. 起步时一次线性变换把方差乘以 $n\sigma_w^2$；往流里写 $N$ 次，写回的权重就除以 $\sqrt N$。
#
# ## 出处
#
# - K. He, X. Zhang, S. Ren, J. Sun (2015). Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet Classification. ICCV. [arXiv 1502.01852](https://arxiv.org/abs/1502.01852). ReLU 之后的 $2/n$。
# - K. He, X. Zhang, S. Ren, J. Sun (2016). Deep Residual Learning for Image Recognition. CVPR. [arXiv 1512.03385](https://arxiv.org/abs/1512.03385). 残差。
# - A. Veit, M. Wilber, S. Belongie (2016). Residual Networks Behave Like Ensembles of Relatively Shallow Networks. NIPS. [arXiv 1605.06431](https://arxiv.org/abs/1605.06431). 把乘积看成许多条路之和。
# - J. L. Ba, J. R. Kiros, G. E. Hinton (2016). Layer Normalization. [arXiv 1607.06450](https://arxiv.org/abs/1607.06450). 层归一化。
# - B. Zhang, R. Sennrich (2019). Root Mean Square Layer Normalization. NeurIPS. [arXiv 1910.07467](https://arxiv.org/abs/1910.07467). RMSNorm。
# - D. Hendrycks, K. Gimpel (2016). Gaussian Error Linear Units (GELUs). [arXiv 1606.08415](https://arxiv.org/abs/1606.08415). GELU 和它的近似。
# - N. Shazeer (2020). GLU Variants Improve Transformer. [arXiv 2002.05202](https://arxiv.org/abs/2002.05202). SwiGLU，把宽度减到三分之二。
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). 3.3 节是前馈网络，外面没有 ReLU；归一化在加号后面。
# - A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever (2019). Language Models are Unsupervised Multitask Learners. OpenAI. 归一化移到入口，写回流里的权重乘 $1/\sqrt N$；0.02 在公开的代码里。
# - R. Xiong, Y. Yang, D. He, K. Zheng, S. Zheng, C. Xing, H. Zhang, Y. Lan, L. Wang, T.-Y. Liu (2020). On Layer Normalization in the Transformer Architecture. ICML. [arXiv 2002.04745](https://arxiv.org/abs/2002.04745). post-norm 为什么要预热。
# %% [markdown] key="sources" lang="en"
# **Normalising along the wrong axis.** Layer normalisation works on the D numbers of **one position**, whatever the others are. The one that averages over a batch is called batch normalisation and is something else; sentences of different lengths, and writing one character at a time, make it awkward.
#
# **Dividing the variance by D − 1.** Layer normalisation divides by D. In many a library the function for standard deviations divides by D − 1 unless told otherwise (PyTorch's `torch.std` does); use that, and you are a little off, and somebody else's weights no longer fit.
#
# **$\varepsilon$ outside the root.** In the formula it is inside, added to the variance; outside, it gives other results for very small inputs.
#
# **A ReLU around the feed-forward network.** We measured it: half of the updates gone, the rest may only go up. The output's bias belongs with $W_2$, and nothing goes around them.
#
# ## Three sentences to keep
#
# 1. Residual paths turn a product of derivatives into a product of $I + J$, in which one road always arrives untouched; normalisation keeps sizes in check, and both are needed.
# 2. Layer normalisation goes backward by three ways, directly, through the mean and through the variance; so $dx$ is $g$ less its mean, less its part along $\hat x$, divided by $s$.
# 3. At the start a linear map multiplies the variance by $n\sigma_w^2$; where $N$ updates are written into the stream, the weights that write are divided by $\sqrt N$.
#
# ## Sources
#
# - K. He, X. Zhang, S. Ren, J. Sun (2015). Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet Classification. ICCV. [arXiv 1502.01852](https://arxiv.org/abs/1502.01852). The $2/n$ after a ReLU.
# - K. He, X. Zhang, S. Ren, J. Sun (2016). Deep Residual Learning for Image Recognition. CVPR. [arXiv 1512.03385](https://arxiv.org/abs/1512.03385). Residual paths.
# - A. Veit, M. Wilber, S. Belongie (2016). Residual Networks Behave Like Ensembles of Relatively Shallow Networks. NIPS. [arXiv 1605.06431](https://arxiv.org/abs/1605.06431). The product seen as a sum over many roads.
# - J. L. Ba, J. R. Kiros, G. E. Hinton (2016). Layer Normalization. [arXiv 1607.06450](https://arxiv.org/abs/1607.06450). Layer normalisation.
# - B. Zhang, R. Sennrich (2019). Root Mean Square Layer Normalization. NeurIPS. [arXiv 1910.07467](https://arxiv.org/abs/1910.07467). RMSNorm.
# - D. Hendrycks, K. Gimpel (2016). Gaussian Error Linear Units (GELUs). [arXiv 1606.08415](https://arxiv.org/abs/1606.08415). GELU and its approximation.
# - N. Shazeer (2020). GLU Variants Improve Transformer. [arXiv 2002.05202](https://arxiv.org/abs/2002.05202). SwiGLU, and the width reduced to two thirds.
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). Section 3.3 has the feed-forward network, without a ReLU on the outside; the normalisation follows the plus sign.
# - A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever (2019). Language Models are Unsupervised Multitask Learners. OpenAI. Normalisation moved to the entrance, and weights that write into the stream times $1/\sqrt N$; the 0.02 is in the published code.
# - R. Xiong, Y. Yang, D. He, K. Zheng, S. Zheng, C. Xing, H. Zhang, Y. Lan, L. Wang, T.-Y. Liu (2020). On Layer Normalization in the Transformer Architecture. ICML. [arXiv 2002.04745](https://arxiv.org/abs/2002.04745). Why post-norm needs a warm-up.

# %% [markdown] key="ex-ffn-sizes" lang="zh" exercise="ffn_sizes"
# ### 练习 1　先数一数
#
# 一个前馈网络，宽 `d_model`，中间宽 4 倍，两个矩阵都有偏置：一共几个参数？另有一个 SwiGLU 前馈网络，三个矩阵，没有偏置：中间多宽，它的矩阵参数才和前一个的**两个矩阵**一样多（偏置不算）？不运行任何模型，写出这两个数。`d_model` 总是 3 的倍数。
# %% [markdown] key="ex-ffn-sizes" lang="en" exercise="ffn_sizes"
# ### Exercise 1: Count first
#
# A feed-forward network is `d_model` wide, 4 times as wide in the middle, and both of its matrices have a bias: how many parameters in all? A SwiGLU network has three matrices and no biases: how wide in the middle must it be to have as many parameters as the **two matrices** of the first (biases not counted)? Write down the two numbers without running any model. `d_model` is always a multiple of 3.


# %% key="ex-ffn-sizes-code" exercise="ffn_sizes" kind="predict" difficulty=1 minutes=6 points=1
def ffn_sizes(d_model: int) -> tuple[int, int]:
    """(parameters of an FFN of width 4 d_model with biases, width of the SwiGLU whose matrices are as large)"""
    ### BEGIN SOLUTION
    width = 4 * d_model
    parameters = 2 * d_model * width + width + d_model  # two matrices, a bias after each
    return parameters, 2 * width // 3  # 3 D F' = 2 D F
    ### END SOLUTION


# %% key="ex-ffn-sizes-check" exercise="ffn_sizes"
check(ffn_sizes)

# %% [markdown] key="ex-ffn-update" lang="zh" exercise="ffn_update"
# ### 练习 2　修好文章里的前馈网络
#
# 下面的函数照文章写，给出的更新却没有一个小于偏置。改成对的。
# %% [markdown] key="ex-ffn-update" lang="en" exercise="ffn_update"
# ### Exercise 2: Mend the article's feed-forward network
#
# The function below is written as in the article, and not one of its updates is less than the bias. Put it right.


# %% key="ex-ffn-update-code" exercise="ffn_update" kind="repair" difficulty=1 minutes=6 points=1
def ffn_update(x, w1, b1, w2, b2):
    """What a ReLU feed-forward network adds to the stream.  x (N, D), w1 (F, D), w2 (D, F) -> (N, D)"""
    ### BEGIN SOLUTION
    hidden = np.maximum(x @ w1.T + b1, 0)
    return hidden @ w2.T + b2
    ### END SOLUTION
    ### BEGIN STUB
    # hidden = np.maximum(x @ w1.T + b1, 0)
    # return np.maximum(hidden @ w2.T, 0) + b2
    ### END STUB


# %% key="ex-ffn-update-check" exercise="ffn_update"
check(ffn_update)

# %% [markdown] key="ex-normalise-rows" lang="zh" exercise="normalise_rows"
# ### 练习 3　修好层归一化
#
# 下面的函数跑得通，可是一个位置的输出会随着别的位置变；$\varepsilon$ 大一点的时候，大小也不对。两处毛病，都修好。
# %% [markdown] key="ex-normalise-rows" lang="en" exercise="normalise_rows"
# ### Exercise 3: Mend the layer normalisation
#
# The function below runs, but the output of a position changes with the other positions; and when $\varepsilon$ is somewhat larger, the size is wrong too. Two faults: mend both.


# %% key="ex-normalise-rows-code" exercise="normalise_rows" kind="repair" difficulty=2 minutes=8 points=1
def normalise_rows(x, w, b, eps):
    """Layer normalisation.  x (N, D), w and b (D,), eps a number -> (N, D)"""
    ### BEGIN SOLUTION
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1, keepdims=True)
    return w * centred / np.sqrt(variance + eps) + b
    ### END SOLUTION
    ### BEGIN STUB
    # centred = x - x.mean(axis=0)
    # return w * centred / (x.std(axis=0) + eps) + b
    ### END STUB


# %% key="ex-normalise-rows-check" exercise="normalise_rows"
check(normalise_rows)

# %% [markdown] key="ex-rms-gradient" lang="zh" exercise="rms_gradient"
# ### 练习 4　RMSNorm 的反向
#
# 给定上游梯度 `dy`，求 `dx` 和 `dw`。没有缓存，要用的自己算。
# %% [markdown] key="ex-rms-gradient" lang="en" exercise="rms_gradient"
# ### Exercise 4: RMSNorm backward
#
# Given the upstream gradient `dy`, find `dx` and `dw`. There is no cache: compute what you need.


# %% key="ex-rms-gradient-code" exercise="rms_gradient" kind="implement" difficulty=3 minutes=12 points=2
def rms_gradient(dy, x, w, eps):
    """Gradients of w x / sqrt(mean(x²) + eps).  dy, x (N, D), w (D,) -> dx (N, D), dw (D,)"""
    ### BEGIN SOLUTION
    r = np.sqrt((x**2).mean(axis=1, keepdims=True) + eps)
    x_hat = x / r
    g = w * dy
    dx = (g - x_hat * (g * x_hat).mean(axis=1, keepdims=True)) / r
    return dx, (dy * x_hat).sum(axis=0)
    ### END SOLUTION


# %% key="ex-rms-gradient-check" exercise="rms_gradient"
check(rms_gradient)

# %% [markdown] key="ex-swiglu-gradient" lang="zh" exercise="swiglu_gradient"
# ### 练习 5　门的反向
#
# SwiGLU 前馈网络：输入用了两次，一次当门，一次当内容。求输入的梯度。
# %% [markdown] key="ex-swiglu-gradient" lang="en" exercise="swiglu_gradient"
# ### Exercise 5: Backward through the gate
#
# A SwiGLU feed-forward network uses its input twice, as gate and as content. Find the gradient of the input.


# %% key="ex-swiglu-gradient-code" exercise="swiglu_gradient" kind="implement" difficulty=3 minutes=15 points=2
def swiglu_gradient(dy, x, w_gate, w_up, w_down):
    """dx of (silu(x w_gateᵀ) · x w_upᵀ) w_downᵀ.  dy, x (N, D), w_gate, w_up (F, D), w_down (D, F) -> (N, D)"""
    ### BEGIN SOLUTION
    gate, up = x @ w_gate.T, x @ w_up.T
    sigma = 1 / (1 + np.exp(-gate))
    da = dy @ w_down
    dgate = da * up * sigma * (1 + gate * (1 - sigma))
    dup = da * gate * sigma
    return dgate @ w_gate + dup @ w_up
    ### END SOLUTION


# %% key="ex-swiglu-gradient-check" exercise="swiglu_gradient"
check(swiglu_gradient)

# %% [markdown] key="ex-stream-gradients" lang="zh" exercise="stream_gradients"
# ### 练习 6　一路上的梯度
#
# 一条残差流，每层加上 $\mathrm{ReLU}(x W_1^\top) W_2^\top$。给定末端的梯度 `dy`，求流在**每个深度**的梯度：第 0 个是输入处的，最后一个就是 `dy`。前向要自己走一遍。
# %% [markdown] key="ex-stream-gradients" lang="en" exercise="stream_gradients"
# ### Exercise 6: The gradient all along the way
#
# A residual stream, to which each layer adds $\mathrm{ReLU}(x W_1^\top) W_2^\top$. Given the gradient `dy` at its end, find the gradient of the stream at **every depth**: number 0 is that of the input, the last is `dy` itself. You have to walk forward yourself.


# %% key="ex-stream-gradients-code" exercise="stream_gradients" kind="extend" difficulty=4 minutes=20 points=3
def stream_gradients(dy, x, w1, w2):
    """Gradients at depths 0 ... L.  dy, x (N, D), w1 (L, F, D), w2 (L, D, F) -> (L + 1, N, D)"""
    ### BEGIN SOLUTION
    slopes = []
    for a, b in zip(w1, w2, strict=True):
        h = x @ a.T
        slopes.append(h > 0)
        x = x + np.maximum(h, 0) @ b.T
    gradients = [dy]
    for a, b, slope in zip(w1[::-1], w2[::-1], slopes[::-1], strict=True):
        dy = dy + (dy @ b * slope) @ a
        gradients.append(dy)
    return np.array(gradients[::-1])
    ### END SOLUTION


# %% key="ex-stream-gradients-check" exercise="stream_gradients"
check(stream_gradients)
