# ---
# minillm:
#   title: {zh: "多头与位置", en: "Heads and positions"}
#   question:
#     zh: "“狗咬人”和“人咬狗”，注意力怎样才分得清？"
#     en: "狗咬人 (a dog biting a man), 人咬狗 (a man biting a dog): how can attention tell them apart?"
#   minutes: 90
#   seconds: 50
#   needs: ["07"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("08")

# %% key="imports" both=true
import math

import numpy as np

from minillm import viz
from minillm.bands import band
from minillm.np import functional as F
from minillm.np.attention import MultiHeadAttention
from minillm.np.attention import scaled_dot_product_attention as attention
from minillm.np.attention import scaled_dot_product_attention_backward as attention_backward
from minillm.np.gradcheck import gradcheck
from minillm.np.param import Array, Cache, Module
from minillm.np.position import frequencies, rotary, rotary_backward, rotary_table, sinusoidal

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 狗咬人，不是新闻；人咬狗，才是新闻。三个字一样，次序不一样，意思就反了。第 07 课的注意力读这两句话，各个字看到了什么？
#
# 下面每个字有一个随机的向量，查询、键、值的矩阵也是随机的，没有训练。
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# 狗咬人, a dog biting a man, is no news; 人咬狗, a man biting a dog, is. The same three characters in another order mean the opposite. What does the attention of lesson 07 see when it reads the two?
#
# Here every character has a random vector, and the matrices for queries, keys and values are random too. Nothing is trained.

# %% key="problem-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
vector = {char: rng.normal(size=4) for char in "狗咬人"}
w_q, w_k, w_v = rng.normal(size=(3, 4, 4))


def attend(x, w_q, w_k, w_v):
    """x (T, D), each matrix (d_k, D) -> (T, d_k)"""
    q, k, v = x @ w_q.T, x @ w_k.T, x @ w_v.T
    return F.softmax(q @ k.T / math.sqrt(len(w_q)))[0] @ v


for sentence in ("狗咬人", "人咬狗"):
    y = attend(np.array([vector[char] for char in sentence]), w_q, w_k, w_v)
    for char, row in zip(sentence, y, strict=True):
        print(char, row.round(3))
    print("和 sum", y.sum(axis=0).round(3), "\n")

# %% [markdown] key="equivariance" lang="zh"
# “狗”在两句话里得到同一行数，“咬”和“人”也是，换的只是行的次序。三行加起来，一模一样。在这样的注意力上面，不管再学什么，都不可能知道谁咬了谁。
#
# ## 为什么它看不见次序
#
# 打乱次序，可以写成乘一个矩阵。**置换矩阵** $\Pi$ 的每行每列恰好有一个 1，其余是 0；$\Pi X$ 就是把 $X$ 的行换个次序。$\Pi^\top$ 把次序换回来，所以 $\Pi^\top \Pi = I$。
#
# 把输入换成 $\Pi X$，顺着公式走一遍。三个线性变换是一行一行做的：
#
# $$Q \to \Pi Q \qquad K \to \Pi K \qquad V \to \Pi V$$
#
# 分数的行和列一起换：
#
# $$Z = \frac{Q K^\top}{\sqrt{d_k}} \;\to\; \frac{\Pi Q K^\top \Pi^\top}{\sqrt{d_k}} = \Pi Z \Pi^\top$$
#
# softmax 在每一行里求总和，行内换了次序，总和不变，所以 $P \to \Pi P \Pi^\top$。最后
#
# $$Y \to \Pi P \Pi^\top\, \Pi V = \Pi P V = \Pi Y$$
#
# 输入怎样打乱，输出就怎样打乱，别的什么也没发生。这叫**置换等变**。拿一句真的话核对：
# %% [markdown] key="equivariance" lang="en"
# 狗 gets the same row of numbers in both sentences, and so do 咬 and 人; only the order of the rows has changed. Add the three rows, and the sums are identical. Whatever is learnt on top of such attention, it cannot know who was the biter and who was bitten.
#
# ## Why it does not see order
#
# To shuffle is to multiply by a matrix. A **permutation matrix** $\Pi$ has exactly one 1 in each row and each column, and zeros elsewhere; $\Pi X$ is $X$ with its rows in another order. $\Pi^\top$ puts them back, so $\Pi^\top \Pi = I$.
#
# Give it $\Pi X$ in place of $X$, and walk through the formula. The three linear maps work row by row:
#
# $$Q \to \Pi Q \qquad K \to \Pi K \qquad V \to \Pi V$$
#
# In the scores, rows and columns move together:
#
# $$Z = \frac{Q K^\top}{\sqrt{d_k}} \;\to\; \frac{\Pi Q K^\top \Pi^\top}{\sqrt{d_k}} = \Pi Z \Pi^\top$$
#
# Softmax sums within a row; reordering a row does not change its sum, so $P \to \Pi P \Pi^\top$. Finally
#
# $$Y \to \Pi P \Pi^\top\, \Pi V = \Pi P V = \Pi Y$$
#
# As the input is shuffled, so is the output, and nothing else happens. This is **permutation equivariance**. Check it on a real sentence:

# %% key="equivariance-run" tags=["nbval-check-output"]
sentence = "我爱北京天安门"
x = rng.normal(size=(7, 16))
matrices = rng.normal(size=(3, 16, 16)) / 4
order = rng.permutation(7)
shuffle = np.eye(7)[order]  # 置换矩阵 a permutation matrix

print("".join(sentence[i] for i in order))
y, y_shuffled = attend(x, *matrices), attend(shuffle @ x, *matrices)
assert np.allclose(y_shuffled, shuffle @ y, rtol=1e-12, atol=1e-12)
print("输出只是换了次序 the output is the same but for its order:", np.allclose(y_shuffled[0], y[order[0]]))

# %% [markdown] key="two-places" lang="zh"
# 这一课要补上两样东西。一样是**位置**：告诉每个字它排在第几。另一样是**多头**。先说后一样，因为就算次序看得见了，一个头也还不够用。
#
# ## 一个头做不到的事
#
# “咬”要读懂这句话，得从两个地方取两样东西：从前一个字，取“谁咬的”；从后一个字，取“咬了谁”。一个头当然可以两个地方都看，各看一半。可是它取回来的是一个**平均**。
#
# 设前后两个字的向量是 $a$ 和 $b$，各有 $D$ 个数，都是随机的，平均是 0，方差是 1。权重只由位置定：前面占 $p$，后面占 $1-p$。值矩阵和后面的输出矩阵合成一个矩阵 $M$，一个头交出来的就是
#
# $$M\big(p\,a + (1-p)\,b\big)$$
#
# 想要的是：前一半的数来自 $a$，后一半来自 $b$。看前一半里的一个数 $a_i$。$M$ 最好的做法，是把混合里的第 $i$ 个数乘上某个 $m$，平均的误差是
#
# $$E\big[(m p\, a_i + m (1-p)\, b_i - a_i)^2\big] = (mp - 1)^2 + m^2 (1-p)^2$$
#
# 对 $m$ 求导，令它为零，得 $m = p / (p^2 + (1-p)^2)$，代回去，剩下的误差是
#
# $$\frac{(1-p)^2}{p^2 + (1-p)^2}$$
#
# 后一半里的数，要的是 $b_i$，同样算，误差是 $p^2 / (p^2 + (1-p)^2)$。两半的数一样多，平均起来：
#
# $$\frac12 \cdot \frac{(1-p)^2 + p^2}{p^2 + (1-p)^2} = \frac12$$
#
# 不管 $p$ 是多少，**总有一半丢了**。偏向前面，后面就丢得多；平分，就两边各丢一半。
# %% [markdown] key="two-places" lang="en"
# Two things are to be added in this lesson. One is **positions**: every character must be told where it stands. The other is **several heads**. We take heads first, for even where order can be seen, a single head is not enough.
#
# ## What one head cannot do
#
# To understand the sentence, 咬 (to bite) must fetch two things from two places: the biter from the character before it, the bitten from the character after. One head can look at both places, of course, half and half. But what it brings home is an **average**.
#
# Let the vectors before and after be $a$ and $b$, with $D$ numbers each, random, of mean 0 and variance 1. The position alone sets the weights: $p$ for the one before, $1-p$ for the one after. The value matrix and the output matrix behind it make one matrix $M$, so what a single head delivers is
#
# $$M\big(p\,a + (1-p)\,b\big)$$
#
# Wanted is: the first half of the numbers from $a$, the second half from $b$. Take one number $a_i$ of the first half. The best that $M$ can do is to multiply the $i$-th number of the mixture by some $m$, and the mean error is
#
# $$E\big[(m p\, a_i + m (1-p)\, b_i - a_i)^2\big] = (mp - 1)^2 + m^2 (1-p)^2$$
#
# Differentiate by $m$, set to zero, and $m = p / (p^2 + (1-p)^2)$; put that back, and the error left is
#
# $$\frac{(1-p)^2}{p^2 + (1-p)^2}$$
#
# For a number of the second half, where $b_i$ is wanted, the same steps give $p^2 / (p^2 + (1-p)^2)$. There are as many numbers of one kind as of the other, so on average
#
# $$\frac12 \cdot \frac{(1-p)^2 + p^2}{p^2 + (1-p)^2} = \frac12$$
#
# Whatever $p$ is, **one half is lost**. Lean to the front, and more of the back is lost; share evenly, and each loses half.

# %% key="two-places-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
before, after = rng.normal(size=(2, 50_000, 8))  # a, b
wanted = np.concatenate([before[:, :4], after[:, 4:]], axis=1)

lost = {}
for p in (0.0, 0.25, 0.5, 0.75, 1.0):
    mixture = p * before + (1 - p) * after
    best, *_ = np.linalg.lstsq(mixture, wanted, rcond=None)  # 最好的 M the best M
    lost[p] = ((mixture @ best - wanted) ** 2).mean() / (wanted**2).mean()
    print(f"一个头 one head,  p = {p:.2f}   丢了 lost {lost[p]:.3f}")

two_heads = np.concatenate([before[:, :4], after[:, 4:]], axis=1)  # 两个头，各 4 个数 two heads of 4 numbers
print(f"两个头 two heads             丢了 lost {((two_heads - wanted) ** 2).mean():.3f}")

# %% [markdown] key="multi-head" lang="zh"
# 最后一行不是算出来的，是造出来的：第一个头只看前面，交回 4 个数；第二个头只看后面，交回 4 个数，并排一放，就是想要的。一共还是 8 个数，矩阵也没有变大。多出来的只是**第二份权重**。
#
# ## 多头
#
# 于是把 $D$ 个数分成 $H$ 份，每份 $d_k = D / H$ 个，各做各的注意力，并排放好，最后乘一个输出矩阵：
#
# $$Y_h = \mathrm{Attention}\big(X W_{Q,h}^\top,\; X W_{K,h}^\top,\; X W_{V,h}^\top\big) \qquad \mathrm{MultiHead}(X) = [\,Y_1, \dots, Y_H\,]\, W_O^\top$$
#
# | 符号 | 形状 | 单位 | 意思 |
# |---|---|---|---|
# | $H$ | 整数 | 个 | 头数 |
# | $d_k = D / H$ | 整数 | 个 | 一个头有几个数 |
# | $W_{Q,h}$，$W_{K,h}$，$W_{V,h}$ | (d_k, D) | 无 | 第 h 个头的矩阵，是大矩阵里的几行 |
# | $Y_h$ | (T, d_k) | 无 | 第 h 个头看到的 |
# | $W_O$ | (D, D) | 无 | 把各头看到的混在一起 |
#
# 先用循环写。第 `h` 个头用大矩阵的第 `h` 组行：
# %% [markdown] key="multi-head" lang="en"
# The last line was not computed but built: the first head looks only to the front and brings back 4 numbers, the second only to the back and brings back 4; side by side they are what was wanted. There are 8 numbers as before, and no matrix has grown. What is new is just **a second set of weights**.
#
# ## Several heads
#
# So divide the $D$ numbers into $H$ parts of $d_k = D / H$ each, let every part do its own attention, put the results side by side, and multiply by one output matrix:
#
# $$Y_h = \mathrm{Attention}\big(X W_{Q,h}^\top,\; X W_{K,h}^\top,\; X W_{V,h}^\top\big) \qquad \mathrm{MultiHead}(X) = [\,Y_1, \dots, Y_H\,]\, W_O^\top$$
#
# | symbol | shape | unit | meaning |
# |---|---|---|---|
# | $H$ | integer | heads | how many heads |
# | $d_k = D / H$ | integer | numbers | how many numbers a head has |
# | $W_{Q,h}$, $W_{K,h}$, $W_{V,h}$ | (d_k, D) | none | the matrices of head h: some rows of the large ones |
# | $Y_h$ | (T, d_k) | none | what head h has seen |
# | $W_O$ | (D, D) | none | mixes what the heads have seen |
#
# Loops first. Head `h` uses the `h`-th group of rows of the large matrices:


# %% key="loop-run" tags=["nbval-check-output"]
def multi_head_loop(x, w_q, w_k, w_v, w_o, n_head):
    """x (T, D), each matrix (D, D) -> (T, D)"""
    size = x.shape[1] // n_head
    seen = []
    for h in range(n_head):
        rows = slice(h * size, (h + 1) * size)
        seen.append(attend(x, w_q[rows], w_k[rows], w_v[rows]))  # (T, d_k)
    return np.concatenate(seen, axis=1) @ w_o.T


rng = np.random.default_rng(1)
x = rng.normal(size=(5, 12))
w_q, w_k, w_v, w_o = rng.normal(size=(4, 12, 12)) / math.sqrt(12)

for n_head in (1, 2, 3, 4, 6, 12):
    y = multi_head_loop(x, w_q, w_k, w_v, w_o, n_head)
    numbers = sum(w.size for w in (w_q, w_k, w_v, w_o))
    print(f"H = {n_head:2d}  d_k = {12 // n_head:2d}  参数 parameters {numbers}  y[0, :3] = {y[0, :3].round(3)}")

# %% [markdown] key="reshape" lang="zh"
# 同样的四个矩阵，切成 1 个头还是 12 个头，**参数一个也不多**，结果却不同。头数不写在权重里，它只是一种切法；所以读别人的权重，一定要知道头数。
#
# ## 不用循环
#
# 各个头互不相干，可以一起算。先一次算出所有头的查询，形状是 (B, T, D)；再把最后一轴切成 H 段，得 (B, T, H, K)；最后把头那一轴换到前面，得 (B, H, T, K)，正是第 07 课的 `attention` 要的形状。
#
# 能不能一步到位，直接 `reshape` 成 (B, H, T, K)？形状是对的，数全错了。看一个小例子：3 个位置，每个 4 个数，十位是位置，个位是第几个数。
# %% [markdown] key="reshape" lang="en"
# The same four matrices, cut into 1 head or into 12: **not one parameter more**, and yet another result. The number of heads is not written in the weights; it is only a way of cutting them. Whoever reads somebody else's weights has to know it.
#
# ## Without the loop
#
# The heads do not depend on one another, so they can go together. First compute the queries of all heads at once, of shape (B, T, D); then cut the last axis into H pieces, (B, T, H, K); and last move the axis of heads to the front, (B, H, T, K), which is just what lesson 07's `attention` takes.
#
# Could one `reshape` straight to (B, H, T, K) do? The shape is right, and all the numbers are wrong. A small example: 3 positions with 4 numbers each; the tens are the position, the units say which number it is.


# %% key="reshape-run" tags=["nbval-check-output"]
def to_heads(x, n_head):
    """(B, T, D) -> (B, H, T, K)"""
    b, t, d = x.shape
    return x.reshape(b, t, n_head, d // n_head).transpose(0, 2, 1, 3)


def from_heads(x):
    """(B, H, T, K) -> (B, T, D)"""
    b, h, t, k = x.shape
    return x.transpose(0, 2, 1, 3).reshape(b, t, h * k)


small = (10 * np.arange(1, 4)[:, None] + np.arange(4))[None]
print("x\n", small[0], "\n\n对的第 0 个头 head 0, right\n", to_heads(small, 2)[0, 0])
print("\n错的第 0 个头 head 0, wrong\n", small.reshape(1, 2, 3, 2)[0, 0])
assert np.array_equal(from_heads(to_heads(small, 2)), small)

# %% [markdown] key="vectorised" lang="zh"
# 错的那个头，把位置 1 的四个数当成了两个位置，位置 3 干脆不见了。它不报错，训练时损失也照样下降，只是模型从此读的是一锅粥。
#
# minillm 把 $W_Q$、$W_K$、$W_V$ 摞成一个 (3D, D) 的矩阵 `in_proj`，一次乘完，PyTorch 也是这样。写成代码：
# %% [markdown] key="vectorised" lang="en"
# The wrong head takes the four numbers of position 1 for two positions, and position 3 is not there at all. It raises no error, and in training the loss even goes down; only, from then on, the model reads porridge.
#
# minillm stacks $W_Q$, $W_K$ and $W_V$ into one (3D, D) matrix, `in_proj`, and multiplies once, as PyTorch does. In code:


# %% key="vectorised-run" tags=["nbval-check-output"]
def multi_head_forward(x, w_in, w_out, n_head, causal=False):
    """x (B, T, D), w_in (3D, D), w_out (D, D) -> (B, T, D)"""
    q, k, v = (to_heads(part, n_head) for part in np.split(x @ w_in.T, 3, axis=-1))
    y, core = attention(q, k, v, causal=causal)  # (B, H, T, K)
    merged = from_heads(y)
    return merged @ w_out.T, (x, w_in, w_out, n_head, core, merged)


w_in = np.concatenate([w_q, w_k, w_v])
y, _ = multi_head_forward(x[None], w_in, w_o, n_head=3)
assert np.allclose(y[0], multi_head_loop(x, w_q, w_k, w_v, w_o, n_head=3), rtol=1e-12)

theirs = MultiHeadAttention(12, 3, bias=False, rng=rng, dtype=np.float64)
theirs.in_proj.weight.data[:], theirs.out_proj.weight.data[:] = w_in, w_o
assert np.allclose(y, theirs(x[None])[0], rtol=1e-12)
print("循环、reshape、minillm，三者相等 loops, reshape and minillm agree")

# %% [markdown] key="backward" lang="zh"
# ## 反向
#
# 多出来的步骤只有两种：线性变换，和搬动数字。
#
# **搬动。** `reshape` 和 `transpose` 不改任何一个数，只改它们的位置：$y_i = x_{\pi(i)}$。$y_i$ 对 $x_{\pi(i)}$ 的导数是 1，对别的都是 0，所以梯度沿原路搬回去：$dx_{\pi(i)} = dy_i$。去的时候用 `to_heads`，回来就用 `from_heads`；去的时候用 `from_heads`，回来就用 `to_heads`。（写成置换矩阵，前向乘 $\Pi$，反向乘 $\Pi^\top$，它恰好是 $\Pi$ 的逆。）
#
# **线性变换** $Y = X W^\top$。一个数是 $Y_{tj} = \sum_i X_{ti} W_{ji}$，所以
#
# $$dX_{ti} = \sum_j dY_{tj} W_{ji} \;\Longrightarrow\; dX = dY\, W \qquad\qquad dW_{ji} = \sum_t dY_{tj} X_{ti} \;\Longrightarrow\; dW = dY^\top X$$
#
# 有一批句子时，$\sum_t$ 对所有句子的所有位置求和。三路梯度 $dQ$、$dK$、$dV$ 并排放好，再过一次 `in_proj` 的反向，就自动加在了一起。
# %% [markdown] key="backward" lang="en"
# ## Backward
#
# There are only two new kinds of step: linear maps, and moving numbers about.
#
# **Moving.** `reshape` and `transpose` change no number, only its place: $y_i = x_{\pi(i)}$. The derivative of $y_i$ by $x_{\pi(i)}$ is 1, by all others 0, so the gradient goes back the way it came: $dx_{\pi(i)} = dy_i$. Where forward used `to_heads`, backward uses `from_heads`; where forward used `from_heads`, backward uses `to_heads`. (As a permutation matrix: forward multiplies by $\Pi$, backward by $\Pi^\top$, which is its inverse.)
#
# **The linear map** $Y = X W^\top$. One number is $Y_{tj} = \sum_i X_{ti} W_{ji}$, and so
#
# $$dX_{ti} = \sum_j dY_{tj} W_{ji} \;\Longrightarrow\; dX = dY\, W \qquad\qquad dW_{ji} = \sum_t dY_{tj} X_{ti} \;\Longrightarrow\; dW = dY^\top X$$
#
# With a batch of sentences $\sum_t$ runs over all positions of all of them. Put the three gradients $dQ$, $dK$ and $dV$ side by side, take them once through the backward of `in_proj`, and they are added up by themselves.


# %% key="backward-run" tags=["nbval-check-output"]
def multi_head_backward(dout, cache):
    """dout (B, T, D) -> dx (B, T, D), dw_in (3D, D), dw_out (D, D)"""
    x, w_in, w_out, n_head, core, merged = cache
    dw_out = np.einsum("btj,bti->ji", dout, merged)
    dy = to_heads(dout @ w_out, n_head)
    dqkv = np.concatenate([from_heads(d) for d in attention_backward(dy, core)], axis=-1)  # (B, T, 3D)
    return dqkv @ w_in, np.einsum("btj,bti->ji", dqkv, x), dw_out


rng = np.random.default_rng(2)
x, dout = rng.normal(size=(2, 2, 5, 12))
arrays = {"x": x, "w_in": w_in.copy(), "w_out": w_o.copy()}


def loss():
    return float((multi_head_forward(*arrays.values(), n_head=3, causal=True)[0] * dout).sum())


_, cache = multi_head_forward(*arrays.values(), n_head=3, causal=True)
gradients = dict(zip(arrays, multi_head_backward(dout, cache), strict=True))
worst = gradcheck(loss, arrays, gradients)
assert worst.error < 1e-7, worst

theirs.causal = True
_, their_cache = theirs(x)
assert np.allclose(theirs.backward(dout, their_cache), gradients["x"], atol=1e-13)
assert np.allclose(theirs.in_proj.weight.grad, gradients["w_in"], atol=1e-13)
print(f"{worst.entries} 个梯度都对，也和 minillm 相等 gradients are right, and equal to minillm's")

# %% [markdown] key="twin" lang="zh"
# ### PyTorch 的孪生
#
# PyTorch 的 `torch.nn.MultiheadAttention` 权重也叫 `in_proj` 和 `out_proj`，形状一样，可以直接抄过去。有一处要当心：它的掩码里 `True` 是“**不许**看”，和 minillm、和 `scaled_dot_product_attention` 都相反。
# %% [markdown] key="twin" lang="en"
# ### The PyTorch twin
#
# The weights of PyTorch's `torch.nn.MultiheadAttention` are called `in_proj` and `out_proj` as well and have the same shapes, so they can be copied as they are. Beware of one thing: in its mask `True` means “may **not** look”, the opposite of minillm and of `scaled_dot_product_attention`.

# %% key="twin-run" tags=["nbval-check-output"]
try:
    import torch
except ImportError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    twin = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        twin.in_proj_weight.copy_(torch.tensor(arrays["w_in"]))
        twin.out_proj.weight.copy_(torch.tensor(arrays["w_out"]))
    x_pt = torch.tensor(x, requires_grad=True)
    future = torch.tensor(~np.tri(5, dtype=bool))  # True：不许看 True: may not look
    y_pt, _ = twin(x_pt, x_pt, x_pt, attn_mask=future, need_weights=False)
    y_pt.backward(torch.tensor(dout))
    pairs = [(y_pt, multi_head_forward(*arrays.values(), n_head=3, causal=True)[0]), (x_pt.grad, gradients["x"])]
    pairs.append((twin.in_proj_weight.grad, gradients["w_in"]))
    difference = max(np.abs(pt.detach().numpy() - np_).max() for pt, np_ in pairs)
    print("输出和梯度相差不到 output and gradients differ by less than 1e-13:", bool(difference < 1e-13))

# %% [markdown] key="positions" lang="zh"
# ## 告诉它排在第几
#
# 现在来补位置。最省事的想法是给每个字的向量加上一个数：它的序号 $t$。序号会越来越大，到第 500 个字，序号早把字本身淹没了。除以句长，压到 0 和 1 之间？那么“前一个字”在短句里差 0.2，在长句里差 0.01，同一件事有了许多种说法。
#
# **学一张表。** 给每个位置一个向量，和嵌入表一样靠训练得来，加到字的向量上：第 $t$ 个位置得到 $x_t + p_t$。GPT-2 和 BERT 就是这样。一批里每句话的第 $t$ 个字用的都是 $p_t$，所以它的梯度是各句之和。表有多少行，最多就能读多少个字。
#
# **算一张表。** 里程表的个位转得快，十位慢，百位更慢，合起来就说清了位置。Vaswani 等人把数字换成平滑的转动：第 $i$ 对数以角速度 $\omega_i$ 转，$t$ 个位置转过 $t\,\omega_i$：
#
# $$p_{t,2i} = \sin(t\,\omega_i) \qquad p_{t,2i+1} = \cos(t\,\omega_i) \qquad \omega_i = 10000^{-2i/D}$$
#
# 最快的一对每个位置转 1 弧度，约 6 个字一圈；最慢的一对，几万个字才一圈。每个数都在 -1 和 1 之间，多长都行。
# %% [markdown] key="positions" lang="en"
# ## Tell it where it stands
#
# Now for positions. The least effort would be to add a number to each character's vector: its index $t$. Indices keep growing, and by the 500th character the index has drowned the character itself. Divide by the length, so that it stays between 0 and 1? Then “one before me” is 0.2 away in a short sentence and 0.01 in a long one: one thing said in many ways.
#
# **Learn a table.** Give each position a vector, learnt like an embedding, and add it to the character's: position $t$ gets $x_t + p_t$. GPT-2 and BERT do this. The $t$-th characters of all sentences in a batch use the same $p_t$, so its gradient is the sum over them. As many rows as the table has, so many characters can be read at most.
#
# **Compute a table.** On an odometer the units turn fast, the tens slowly, the hundreds more slowly still, and together they say where you are. Vaswani and others replace digits by smooth turning: pair $i$ turns with the angular speed $\omega_i$, and after $t$ positions it has turned by $t\,\omega_i$:
#
# $$p_{t,2i} = \sin(t\,\omega_i) \qquad p_{t,2i+1} = \cos(t\,\omega_i) \qquad \omega_i = 10000^{-2i/D}$$
#
# The fastest pair turns 1 radian a position, once round in about 6 characters; the slowest needs tens of thousands. Every number stays between -1 and 1, however long the text.

# %% key="sinusoid-picture"
table = sinusoidal(64, 32)
left, right = viz.new_axes(8.4, 3.6, columns=2, width_ratios=[1.15, 1])
image = left.imshow(table.T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
left.figure.colorbar(image, ax=left, label="值 value")
left.set_xlabel("位置 position t")
left.set_ylabel("第几个数 which number")
left.set_title("正弦位置表 sinusoidal table, D = 32")

for size, colour in ((32, "#0072B2"), (128, "#D55E00")):
    far = sinusoidal(129, size)
    right.plot(np.arange(-64, 65), far @ far[64] / (size / 2), color=colour, label=f"D = {size}")
right.set_xlabel("相距几个位置 distance in positions")
right.set_ylabel("点积（除以 D/2） dot product (over D/2)")
right.set_title("两行的点积 two rows, dot product")
right.grid(alpha=0.25)
right.legend()
viz.show(
    [left, right], alt="正弦位置表，以及点积随距离变小 the sinusoidal table, and dot products falling with distance"
)

# %% [markdown] key="shift" lang="zh"
# 左图上面几行转得快，下面几行几乎不动。右图：离得越近，两行越像。
#
# ### 为什么正弦和余弦要成对
#
# 论文猜想，这样模型容易学会看相对的位置，因为“往后挪 $s$ 个位置”是一个线性变换。推一下，只用两角和的公式：
#
# $$\sin((t+s)\omega) = \sin(t\omega)\cos(s\omega) + \cos(t\omega)\sin(s\omega)$$
#
# $$\cos((t+s)\omega) = \cos(t\omega)\cos(s\omega) - \sin(t\omega)\sin(s\omega)$$
#
# 写成矩阵：
#
# $$\begin{pmatrix} \sin((t+s)\omega) \\ \cos((t+s)\omega) \end{pmatrix} = \begin{pmatrix} \cos s\omega & \sin s\omega \\ -\sin s\omega & \cos s\omega \end{pmatrix} \begin{pmatrix} \sin t\omega \\ \cos t\omega \end{pmatrix}$$
#
# 右边的矩阵里没有 $t$：**不管站在哪里，往后挪 $s$ 步都是转同一个角**。只有正弦就不行，因为式子里要用到 $\cos(t\omega)$，而它不能从 $\sin(t\omega)$ 线性地得到。
#
# 点积也跟着只看距离：
#
# $$p_t \cdot p_s = \sum_i \big(\sin t\omega_i \sin s\omega_i + \cos t\omega_i \cos s\omega_i\big) = \sum_i \cos((t-s)\,\omega_i)$$
#
# 三件事都核对一下。
# %% [markdown] key="shift" lang="en"
# On the left the upper rows turn fast, and the lower ones hardly move. On the right: the closer two positions are, the more alike.
#
# ### Why sine and cosine come in pairs
#
# The paper supposes that relative positions are then easy to learn, because moving on by $s$ positions is a linear map. To derive it takes no more than the addition formulas:
#
# $$\sin((t+s)\omega) = \sin(t\omega)\cos(s\omega) + \cos(t\omega)\sin(s\omega)$$
#
# $$\cos((t+s)\omega) = \cos(t\omega)\cos(s\omega) - \sin(t\omega)\sin(s\omega)$$
#
# As a matrix:
#
# $$\begin{pmatrix} \sin((t+s)\omega) \\ \cos((t+s)\omega) \end{pmatrix} = \begin{pmatrix} \cos s\omega & \sin s\omega \\ -\sin s\omega & \cos s\omega \end{pmatrix} \begin{pmatrix} \sin t\omega \\ \cos t\omega \end{pmatrix}$$
#
# There is no $t$ in the matrix on the right: **wherever you stand, moving on by $s$ steps is a turn by the same angle**. Sines alone would not do, for the formula needs $\cos(t\omega)$, which is no linear function of $\sin(t\omega)$.
#
# Dot products too depend on the distance alone:
#
# $$p_t \cdot p_s = \sum_i \big(\sin t\omega_i \sin s\omega_i + \cos t\omega_i \cos s\omega_i\big) = \sum_i \cos((t-s)\,\omega_i)$$
#
# Check all three.

# %% key="shift-run" tags=["nbval-check-output"]
table, omega, s = sinusoidal(60, 16), frequencies(16), 7

moved = np.empty((53, 16))
for i, w in enumerate(omega):
    turn_by = np.array([[math.cos(s * w), math.sin(s * w)], [-math.sin(s * w), math.cos(s * w)]])
    moved[:, 2 * i : 2 * i + 2] = table[:53, 2 * i : 2 * i + 2] @ turn_by.T
print("转一个角就是往后挪 7 步 a turn moves 7 steps on:", np.allclose(moved, table[7:]))


def rest(columns):
    """How far the best linear map from position t misses position t + 7, root mean square."""
    here, there = table[:53, columns], table[7:, columns]
    return np.sqrt(np.mean((here @ np.linalg.lstsq(here, there, rcond=None)[0] - there) ** 2))


print(
    f"第 0 对差多少，正弦加余弦 first pair, sine and cosine: {rest([0, 1]):.3f}   只有正弦 sine alone: {rest([0]):.3f}"
)
print("点积只看距离 dot products see the distance:", np.allclose(table[50] @ table[41], np.cos(9 * omega).sum()))

# %% [markdown] key="rotary" lang="zh"
# ## 不加，而是转
#
# 位置向量加到字上以后，要经过 $W_Q$ 和 $W_K$ 才做点积。展开有四项：
#
# $$(x_i + p_i) W_Q^\top W_K (x_j + p_j)^\top = x_i W_Q^\top W_K x_j^\top + x_i W_Q^\top W_K p_j^\top + p_i W_Q^\top W_K x_j^\top + p_i W_Q^\top W_K p_j^\top$$
#
# 中间夹着矩阵，“只看距离”就不再自动成立；字和位置还搅在一起，要靠训练去理顺。
#
# Su 等人 2021 年的办法更直接：既然往后挪就是转一个角，那就不要加，**把查询和键本身转一个角**，转在 $W_Q$、$W_K$ 之后、点积之前。取查询的一对数，看成平面上的一支箭。站在位置 $t$，就转 $t\omega$：
#
# $$R(t) = \begin{pmatrix} \cos t\omega & -\sin t\omega \\ \sin t\omega & \cos t\omega \end{pmatrix} \qquad q \to R(t)\,q \qquad k \to R(s)\,k$$
#
# 转过的查询和转过的键做点积：
#
# $$\big(R(t)\,q\big)^\top \big(R(s)\,k\big) = q^\top R(t)^\top R(s)\, k = q^\top R(s-t)\, k$$
#
# 第二步用了两件事：转置就是往回转，$R(t)^\top = R(-t)$；转两次等于转过两个角之和，$R(-t)R(s) = R(s-t)$。结果里只剩下 $s - t$。两支箭一起转，夹角不变，就是这个意思。
#
# 值不转：值是要取回去的内容，位置只该影响看谁。下图是同一支箭在第 0 到第 8 个位置；三格是三对数，转得一对比一对慢。
# %% [markdown] key="rotary" lang="en"
# ## Do not add: turn
#
# Once a position vector has been added to a character, it passes $W_Q$ and $W_K$ before the dot product. Multiplied out there are four terms:
#
# $$(x_i + p_i) W_Q^\top W_K (x_j + p_j)^\top = x_i W_Q^\top W_K x_j^\top + x_i W_Q^\top W_K p_j^\top + p_i W_Q^\top W_K x_j^\top + p_i W_Q^\top W_K p_j^\top$$
#
# With matrices in between, “only the distance” is no longer true by itself; and characters and positions are stirred together, for training to sort out.
#
# Su and others (2021) go straight to the point: if moving on is a turn, then do not add, but **turn queries and keys themselves**, after $W_Q$ and $W_K$ and before the dot product. Take one pair of a query's numbers and see it as an arrow in the plane. At position $t$ it is turned by $t\omega$:
#
# $$R(t) = \begin{pmatrix} \cos t\omega & -\sin t\omega \\ \sin t\omega & \cos t\omega \end{pmatrix} \qquad q \to R(t)\,q \qquad k \to R(s)\,k$$
#
# The dot product of the turned query with the turned key:
#
# $$\big(R(t)\,q\big)^\top \big(R(s)\,k\big) = q^\top R(t)^\top R(s)\, k = q^\top R(s-t)\, k$$
#
# The second step uses two facts: to transpose is to turn back, $R(t)^\top = R(-t)$; and two turns make one turn by the sum, $R(-t)R(s) = R(s-t)$. Only $s - t$ is left. Two arrows turn together, and the angle between them stays: that is all there is to it.
#
# Values are not turned: they are what is brought home, and the position should only decide who is looked at. The picture has one arrow at positions 0 to 8; the three panels are three pairs, each slower than the one before.


# %% key="rotary-picture"
def arrow(ax, tip, colour, **options):
    ax.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.8, **options})


def plane(ax):
    ax.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.set_xlabel("第一个数 first number")


panels = viz.new_axes(8.6, 3.4, columns=3)
speeds = frequencies(6, base=100)  # 三对数：1、0.22、0.046 弧度 three pairs
shades = np.linspace(0.15, 1, 9)
for ax, speed in zip(panels, speeds, strict=True):
    plane(ax)
    for t in range(9):
        tip = np.array([math.cos(t * speed), math.sin(t * speed)])
        arrow(ax, tip, (0, 0.45, 0.7, shades[t]))
        if speed > 0.1 or t in (0, 8):
            ax.text(*(1.16 * tip), str(t), ha="center", va="center", fontsize=9)
    ax.set_title(f"{speed:.2g} 弧度/位置 rad per position", fontsize=10)
panels[0].set_ylabel("第二个数 second number")
viz.show(panels, alt="箭随位置转动，三对数快慢不同 arrows turn with the position, three pairs at three speeds")

# %% [markdown] key="rotary-code" lang="zh"
# 用循环写：每个位置、每一对，乘一次旋转矩阵。`minillm` 把第 $i$ 个数和第 $i + d_k/2$ 个数配成一对。
# %% [markdown] key="rotary-code" lang="en"
# With loops: for every position and every pair, one multiplication by a rotation matrix. `minillm` makes a pair of number $i$ and number $i + d_k/2$.


# %% key="rotary-loop" tags=["nbval-check-output"]
def rotary_loop(x):
    """x (T, K) -> (T, K), pairs (i, i + K/2)"""
    half = x.shape[1] // 2
    out = np.empty_like(x)
    for t in range(len(x)):
        for i in range(half):
            angle = t * 10000 ** (-2 * i / x.shape[1])
            turn_by = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            out[t, [i, i + half]] = turn_by @ x[t, [i, i + half]]
    return out


rng = np.random.default_rng(3)
q, k = rng.normal(size=(2, 8))
q_turned, k_turned = (rotary_loop(np.tile(each, (40, 1))) for each in (q, k))  # 同一个向量放在 40 个位置

assert np.allclose(q_turned, rotary(np.tile(q, (40, 1)))[0], atol=1e-14)
for t, s in ((5, 2), (20, 17), (39, 36), (5, 5), (39, 39)):
    print(f"t = {t:2d}, s = {s:2d}   t - s = {t - s}   点积 dot product {q_turned[t] @ k_turned[s]:.3f}")

# %% [markdown] key="rotary-backward" lang="zh"
# 相距一样，点积就一样；相距 0，就是原来的 $q \cdot k$。
#
# **反向。** $y = R(t)\,x$ 是线性的，所以 $dx = R(t)^\top dy = R(-t)\,dy$：**梯度往回转**。没有参数，也就没有别的梯度。
# %% [markdown] key="rotary-backward" lang="en"
# The same distance gives the same dot product; distance 0 gives the old $q \cdot k$.
#
# **Backward.** $y = R(t)\,x$ is linear, so $dx = R(t)^\top dy = R(-t)\,dy$: **the gradient turns back**. There are no parameters, and so no other gradient.

# %% key="rotary-backward-run" tags=["nbval-check-output"]
x, dy = rng.normal(size=(2, 6, 8))
y, turns = rotary(x)
dx = rotary_backward(dy, turns)
worst = gradcheck(lambda: float((rotary(x)[0] * dy).sum()), {"x": x}, {"x": dx})
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对 gradients are right")
print("长度不变 lengths stay:", np.allclose(np.linalg.norm(y, axis=1), np.linalg.norm(x, axis=1)))
print("转过去再转回来 there and back again:", np.allclose(rotary_backward(y, turns), x))

# %% [markdown] key="listing" lang="zh"
# minillm 的源码。`turn` 里的 `a`、`b` 就是前后两半，所有的对一起转；反向只是把 `sin` 变号。
# %% [markdown] key="listing" lang="en"
# minillm's source. In `turn`, `a` and `b` are the two halves, and all pairs turn at once; backward only changes the sign of `sin`.

# %% key="listing-rotary"
from minillm.np.position import rotary, rotary_backward, turn  # paste

# %% [markdown] key="pairing" lang="zh"
# ### 谁和谁配对
#
# 论文把相邻的两个数配成一对：(0, 1)、(2, 3)……GPT-NeoX 和 Hugging Face 里的 Llama 把前后两半配对：(0, 4)、(1, 5)……minillm 用后一种，因为切两半比隔一个取一个快。两种都对，因为哪个数排在哪里，本来就是训练随便定的。
#
# 可是权重一旦训练好，就认得自己的排法。下面把旋转写成相邻配对的样子，看两种写法差在哪里：
# %% [markdown] key="pairing" lang="en"
# ### Who is paired with whom
#
# The paper pairs neighbours: (0, 1), (2, 3) and so on. GPT-NeoX, and Llama as Hugging Face has it, pair the two halves: (0, 4), (1, 5) and so on. minillm does the latter, because two halves are quicker to take than every other number. Both are right, for which number stands where is up to training anyway.
#
# But once weights are trained they know their own arrangement. Here is the rotation that pairs neighbours; see how the two differ:


# %% key="pairing-run" tags=["nbval-check-output"]
def rotary_neighbours(x):
    """x (T, K) -> (T, K), pairs (2i, 2i + 1), with complex numbers: a turn is a product with e^(i angle)"""
    angle = np.outer(np.arange(len(x)), frequencies(x.shape[1]))
    arrows = (x[:, 0::2] + 1j * x[:, 1::2]) * np.exp(1j * angle)
    return np.stack([arrows.real, arrows.imag], axis=-1).reshape(x.shape)


side_by_side = np.arange(8).reshape(2, 4).T.ravel()
print("两半 → 相邻 halves → neighbours:", side_by_side)

q, k = rng.normal(size=(2, 6, 8))
right = rotary(q)[0] @ rotary(k)[0].T
mixed = rotary_neighbours(q) @ rotary_neighbours(k).T
converted = rotary_neighbours(q[:, side_by_side]) @ rotary_neighbours(k[:, side_by_side]).T
print("换了写法，没换权重，差 other pairing, same weights:", f"{np.abs(mixed - right).max():.3g}")
print("权重的行也重排，相等 weights reordered too, equal:", np.allclose(converted, right))

# %% [markdown] key="reader" lang="zh"
# 重排查询和键，就是重排 $W_Q$ 和 $W_K$ 的行，每个头各排各的；这正是转换 Llama 权重的程序做的事。忘了这一步，形状全对，一个错也不报，模型却开始胡言乱语。待会儿拿一个训练好的模型量一量。
#
# ## 在中文上：填空
#
# 四种办法放在一起比：没有位置、学的表、算的表、旋转。题目是填空：从《槐树胡同读本》里任取 16 个字，挖掉 3 个，看着剩下的猜。填空没有因果掩码，左右都看得见，不靠位置，连隔壁是谁都不知道。
#
# 模型很小：查表，一层四个头的注意力，结果**加到**原来的向量上（为什么要加，第 09 课讲），最后是每个字的分数。反向照旧倒着走。
# %% [markdown] key="reader" lang="en"
# To reorder queries and keys is to reorder the rows of $W_Q$ and $W_K$, each head by itself; that is what the programs that convert Llama weights do. Forget it, and all shapes fit, no error is raised, and the model talks nonsense. We shall measure that in a while on a trained model.
#
# ## On Chinese text: fill in the blanks
#
# Now all four side by side: no positions, a learnt table, a computed table, rotation. The task is to fill in blanks: take 16 characters from the reader that comes with the course, hide 3, and guess them from the rest. There is no causal mask, both sides can be seen, and without positions one does not even know one's neighbours.
#
# The model is small: a lookup, one layer of attention with four heads, whose result is **added** to the vector that came in (lesson 09 says why), and at the end a score for every character. Backward walks the same way in reverse.


# %% key="reader-model"
from minillm.np.layers import Embedding, Linear

LENGTH = 16  # 训练时的长度 the length in training


class SmallReader(Module):
    """kind: none, learned, sinusoidal or rotary.  ids (B, T), asked: (rows, places) of n blanks -> scores (n, vocab)"""

    def __init__(self, kind, vocab, rng, layers=1, causal=False, size=32):
        self.tok = Embedding(vocab, size, std=0.2, rng=rng)
        self.pos = Embedding(LENGTH, size, std=1.0, rng=rng) if kind == "learned" else None
        self.table = sinusoidal(256, size).astype(np.float32) if kind == "sinusoidal" else None
        options = {"causal": causal, "rotary": kind == "rotary", "out_std": size**-0.5, "rng": rng}
        self.layers = [MultiHeadAttention(size, 4, **options) for _ in range(layers)]
        for layer in self.layers:
            layer.in_proj.weight.data *= size**-0.5 / 0.02  # 大一些，小模型学得快 larger: quicker for a small model
        self.head = Linear(size, vocab, rng=rng)

    def forward(self, ids, asked):
        x, tok_cache = self.tok(ids)
        pos_cache, caches = None, []
        if self.pos is not None:
            p, pos_cache = self.pos(np.arange(ids.shape[1]))
            x = x + p
        elif self.table is not None:
            x = x + self.table[: ids.shape[1]]
        for layer in self.layers:
            y, cache = layer(x)
            x = x + y
            caches.append(cache)
        scores, head_cache = self.head(x[asked])
        return scores, (tok_cache, pos_cache, caches, head_cache, x.shape, asked)

    def backward(self, dscores, cache):
        tok_cache, pos_cache, caches, head_cache, shape, asked = cache
        dx = np.zeros(shape, np.float32)
        dx[asked] = self.head.backward(dscores, head_cache)
        for layer, layer_cache in zip(reversed(self.layers), reversed(caches), strict=True):
            dx = dx + layer.backward(dx, layer_cache)
        if self.pos is not None:
            self.pos.backward(dx.sum(axis=0), pos_cache)  # 各句之和 the sum over sentences
        self.tok.backward(dx, tok_cache)


# %% [markdown] key="reader-data" lang="zh"
# 训练循环和第 07 课一样。评分用比特每字：交叉熵除以 $\ln 2$，在没训练过的文字上量。
# %% [markdown] key="reader-data" lang="en"
# The training loop is that of lesson 07. The measure is bits per character: the cross-entropy divided by $\ln 2$, on text that was not trained on.

# %% key="reader-train" tags=["nbval-check-output"]
from minillm.data.corpora import load_corpus
from minillm.np.optim import Adam
from minillm.text import train_tokenizer

corpus = load_corpus("reader")
tokenizer = train_tokenizer("char", corpus.train)


def in_a_row(texts):
    return np.concatenate([[tokenizer.eos_id, *tokenizer.encode(text, unknown="unk")] for text in texts])


learning, unseen = in_a_row(corpus.train), in_a_row(corpus.valid)


def blanks(text, rng, count=64, length=LENGTH):
    """-> ids (count, length) with 3 of 16 hidden, asked (rows, places), the hidden characters"""
    ids = text[rng.integers(len(text) - length + 1, size=count)[:, None] + np.arange(length)]
    places = rng.permuted(np.tile(np.arange(length), (count, 1)), axis=1)[:, : 3 * length // 16]
    asked = np.repeat(np.arange(count), places.shape[1]), places.ravel()
    hidden = ids[asked]
    ids[asked] = tokenizer.mask_id
    return ids, asked, hidden


def train(model, next_batch, steps, lr):
    optimiser = Adam([{"params": list(model.named_parameters())}], lr=lr)
    losses = []
    for step in range(steps):
        ids, asked, hidden = next_batch()
        scores, cache = model(ids, asked)
        loss, loss_cache = F.cross_entropy(scores, hidden)
        model.zero_grad()
        model.backward(F.cross_entropy_backward(1.0, loss_cache), cache)
        optimiser.set_lr(lr * min(1, 2 - 2 * step / steps))
        optimiser.step()
        losses.append(float(loss))
    return losses


def bits(model, length=LENGTH):
    ids, asked, hidden = blanks(unseen, np.random.default_rng(0), 800, length)
    known = hidden != tokenizer.unk_id  # 只问见过的字 only characters that training has seen
    return float(F.cross_entropy(model(ids, asked)[0][known], hidden[known])[0]) / math.log(2)


ids, asked, hidden = blanks(unseen, np.random.default_rng(4), count=3)
for row in range(3):
    print("".join("＿" if i == tokenizer.mask_id else tokenizer.decode([i]) for i in ids[row]).replace("\n", "↵"))

# %% key="reader-run"
KINDS = {"none": "没有 none", "learned": "学的表 learned", "sinusoidal": "正弦 sinusoidal", "rotary": "旋转 rotary"}
COLOURS = dict(zip(KINDS, ("0.45", "#009E73", "#D55E00", "#0072B2"), strict=True))
SEEDS = range(3)


def learn(kind, seed):
    rng = np.random.default_rng(seed)
    model = SmallReader(kind, tokenizer.vocab_size, rng)
    return model, train(model, lambda: blanks(learning, rng), steps=300, lr=0.03)


models, curves, scored = {}, {}, {}
for kind, name in KINDS.items():
    models[kind], curves[kind] = zip(*(learn(kind, seed) for seed in SEEDS), strict=True)
    scored[kind] = [bits(model) for model in models[kind]]
    print(f"{name:16s} 比特每字 bits per character:", *(f"{score:.2f}" for score in scored[kind]))

counts = np.bincount(learning, minlength=tokenizer.vocab_size) + 1.0
_, _, hidden = blanks(unseen, np.random.default_rng(0), 800)
by_frequency = -np.log2(counts / counts.sum())[hidden[hidden != tokenizer.unk_id]].mean()
print(f"只看字频 frequencies alone: {by_frequency:.2f}")

# %% key="reader-picture"
left, right = viz.new_axes(8.2, 3.4, columns=2)
for place, (kind, name) in enumerate(KINDS.items()):
    smooth = np.convolve(np.mean(curves[kind], axis=0), np.ones(20) / 20, mode="valid") / math.log(2)
    left.plot(np.arange(19, 300), smooth, color=COLOURS[kind], label=name)
    right.plot([place] * len(SEEDS), scored[kind], "o", color=COLOURS[kind])
left.set_xlabel("步数 step")
left.set_ylabel("训练，比特每字 training, bits per character")
left.legend(fontsize=9)
right.axhline(by_frequency, color="0.3", linestyle=":", label="只看字频 frequencies alone")
right.set_xticks(range(4), [name.replace(" ", "\n") for name in KINDS.values()])
right.set_xlim(-0.5, 3.5)
right.set_ylabel("没见过的文字，比特每字\nunseen text, bits per character")
right.legend(fontsize=9)
for ax in (left, right):
    ax.grid(alpha=0.25)
viz.show([left, right], alt="没有位置的模型最差，旋转最好 no positions are worst, rotary is best")

# %% [markdown] key="reader-after" lang="zh"
# 没有位置的模型，比只看各个字的频率好不了多少：它只知道这附近有哪些字。有了位置，不管哪一种，每个字都省下零点几到一个多比特。三种之间的名次，和步数、学习率、起步的大小都有关系；学的表要从头学起，种子不同，快慢也差得最多；旋转在这里学得最快，不能由此说它处处最好。
#
# 看看四个头各在看哪里。下图是旋转的那个模型，在没见过的文字上，每个空位看左右各个距离的平均权重：
# %% [markdown] key="reader-after" lang="en"
# Without positions the model is little better than frequencies alone: it knows merely which characters are around. With positions, of whatever kind, some tenths of a bit to more than one bit are saved at every character. How the three rank among themselves depends on the number of steps, the learning rate and the sizes at the start; the learnt table has to begin from nothing, and differs most from seed to seed; rotation learns fastest here, which does not make it best everywhere.
#
# See where the four heads look. For the rotary model, on unseen text, this is the mean weight that a blank gives to each distance to its left and right:

# %% key="heads-picture"
ids, asked, _ = blanks(unseen, np.random.default_rng(0), 800)
_, cache = models["rotary"][0](ids, asked)
weights = cache[2][0][2][4][0][0]  # 第一层存下来的权重 the weights that the layer kept, (B, H, T, T)

distances = np.arange(-6, 7)
rows, places = asked
looked = np.zeros((4, len(distances)))
for at, distance in enumerate(distances):
    inside = (places + distance >= 0) & (places + distance < LENGTH)
    looked[:, at] = weights[rows[inside], :, places[inside], places[inside] + distance].mean(axis=0)

ax = viz.heatmap(
    looked,
    [f"头 head {h}" for h in range(4)],
    [f"{d:+d}" if d else "0" for d in distances],
    xlabel="离空位多远 distance from the blank",
    label="平均权重 mean weight",
    form="{:.2f}",
    ax=viz.new_axes(8.4, 3.2),
)
viz.show(ax, alt="各个头看不同的距离 each head looks at other distances")

# %% [markdown] key="heads-after" lang="zh"
# 没有人分过工，头却各有所好：有的多看左邻，有的多看右邻，有的远近都看一点。（中间那一列是空位看自己。）一个头看两处只能取平均；分成几个头，左邻和右邻就各有各的通道了。
#
# ### 抄权重，配错了对
#
# 把训练好的旋转模型“存成别人的格式”：每个头里，查询和键的行按相邻配对重排。然后不转换，直接装回来用。
# %% [markdown] key="heads-after" lang="en"
# Nobody assigned the work, yet each head has its own taste: some look more at the left neighbour, some at the right one, some at all distances a little. (In the middle column a blank looks at itself.) A single head that looks at two places can only average; with several, left and right have channels of their own.
#
# ### Copied weights, paired wrongly
#
# Now “save” the trained rotary model “in somebody else's format”: within each head, the rows of queries and keys are reordered for neighbouring pairs. Then load it back without converting.


# %% key="wrong-pairs-run"
def with_rows(model, order):
    """The bits of the model after reordering the rows of queries and keys within each head. Puts them back."""
    weight, bias = model.layers[0].in_proj.weight.data, model.layers[0].in_proj.bias.data
    before = weight.copy(), bias.copy()
    for array in (weight, bias):
        heads = array[:64].reshape(2 * 4, 8, -1)  # q 和 k，各 4 个头，每头 8 行 q and k, 4 heads each, 8 rows a head
        array[:64] = heads[:, order].reshape(array[:64].shape)
    found = bits(model)
    weight[:], bias[:] = before
    return found


imported = [with_rows(model, side_by_side) for model in models["rotary"]]
for right, wrong in zip(scored["rotary"], imported, strict=True):
    print(f"原样 as trained {right:.2f}   配错了对 wrongly paired {wrong:.2f}")

# %% [markdown] key="beyond" lang="zh"
# 一个错也没有报，比特却比没有位置的模型还糟：位置说的话，全说错了。导入权重以后，第一件事是拿原来的程序算同一句话，核对输出。
#
# ### 比训练时更长
#
# 训练只见过 16 个字。读更长的会怎样？学的表没有第 17 行，直接报错。另外三种算得出来，算得对不对是另一回事：
# %% [markdown] key="beyond" lang="en"
# Not one error was raised, and yet the bits are worse than without any positions: what positions say here is all wrong. After importing weights, the first thing to do is to run the same sentence through the original program and compare.
#
# ### Longer than in training
#
# Training has seen 16 characters. What about longer texts? The learnt table has no 17th row and raises an error. The other three can be computed; whether they are any good is another question:

# %% key="beyond-run"
try:
    bits(models["learned"][0], 17)
except IndexError:
    print("学的表 learned: 没有第 17 个位置 there is no position 17")

lengths = [8, 16, 24, 32, 48, 64]
ax = viz.new_axes(7, 3.4)
longer = {}
for kind in ("none", "sinusoidal", "rotary"):
    found = np.array([[bits(model, length) for length in lengths] for model in models[kind]])
    longer[kind] = found.mean(axis=0)
    ax.plot(lengths, longer[kind], "o-", color=COLOURS[kind], label=KINDS[kind])
    ax.fill_between(lengths, found.min(axis=0), found.max(axis=0), color=COLOURS[kind], alpha=0.15, linewidth=0)
ax.axvline(LENGTH, color="0.3", linestyle=":", label="训练的长度 length in training")
ax.set_xlabel("长度（字） length (characters)")
ax.set_ylabel("比特每字 bits per character")
ax.grid(alpha=0.25)
ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(0.2, 1))
viz.show(ax, alt="超过训练长度，正弦变坏 beyond the trained length sinusoidal gets worse")

# %% [markdown] key="beyond-after" lang="zh"
# 正弦表每一行都算得出来，每个数也都在 -1 和 1 之间，可是第 40 行是模型从没见过的向量；“往后挪就是转”只是说线性变换**能**学会，不是说它**学会了**。越长越坏，最后比没有位置还糟。
#
# 旋转几乎没有变坏：分数只看距离，而这个模型看的多半是左右几个字，在长文里还是左右几个字。别把这当作保证。层数多、要看远处的模型，遇到没见过的距离同样会坏；Chen 等人 2023 年的办法是把位置压回训练过的范围，再略加训练。
#
# ## 只看前面，就不算全盲
#
# 语言模型有因果掩码。这时“打乱次序”不再是无害的：每个位置能看见的字变了。没有位置编码的因果模型，究竟看得见多少次序？
#
# **一层**：最后一个位置看得见所有的字，对它来说没有掩码，开头的推导照样成立。前面的字怎样打乱，它的输出都不变。
#
# **两层**：第一层里，位置 0 只看见自己，位置 1 看见两个字，位置 2 看见三个……每个位置的输出取决于**哪些字在它前面**。打乱之后这些集合变了，第二层就看得出来。
# %% [markdown] key="beyond-after" lang="en"
# Every row of the sinusoidal table can be computed, and every number lies between -1 and 1; but row 40 is a vector that the model has never met. That moving on is a turn says that a linear map **can** be learnt, not that it **was**. The longer, the worse, and in the end it is worse than no positions at all.
#
# Rotation has hardly suffered: scores see only the distance, and this model looks mostly at a few characters left and right, which in a longer text are still a few characters left and right. Take that for no guarantee. Models with many layers, which look far, go wrong at distances never seen as well; Chen and others (2023) squeeze the positions back into the trained range and train a little more.
#
# ## Looking back only is not being blind
#
# A language model has a causal mask. Then shuffling is no longer harmless: what each position may see has changed. How much of the order does a causal model without positional encoding see?
#
# **One layer**: the last position sees all characters; for it there is no mask, and the derivation of the beginning holds. However the characters before it are shuffled, its output stays.
#
# **Two layers**: in the first, position 0 sees only itself, position 1 sees two characters, position 2 three, and so on: the output of a position depends on **which characters stand before it**. After shuffling these sets are others, and the second layer can tell.

# %% key="causal-run" tags=["nbval-check-output"]
ids = np.arange(8)[None]
shuffled = np.concatenate([np.random.default_rng(0).permutation(7), [7]])[None]  # 最后一个不动 the last one stays
last = (np.array([0]), np.array([7]))

for layers in (1, 2):
    for causal in (False, True):
        model = SmallReader("none", 8, np.random.default_rng(0), layers=layers, causal=causal)
        change = np.abs(model(ids, last)[0] - model(shuffled, last)[0]).max()
        print(f"层 layers {layers}  causal={causal!s:5}  最后的输出变了 last output changed: {bool(change > 1e-4)}")

# %% [markdown] key="first" lang="zh"
# 看得出来，用得上吗？出一道题：6 个不同的字，次序随机，读完后问**谁站在第一个**。看不见次序的模型，只知道不是最后那个自己，在另外五个里猜，损失不会低于 $\ln 5 = 1.609$。三个模型都没有位置编码：
# %% [markdown] key="first" lang="en"
# It can tell; can it use it? A task: 6 different characters in random order, and at the end the question **who stood first**. A model that cannot see order only knows that it was not the last one, itself, and guesses among the other five: its loss cannot be below $\ln 5 = 1.609$. None of these three models has positional encoding:


# %% key="first-run"
def who_was_first(rng, count=64):
    ids = rng.permuted(np.tile(np.arange(10), (count, 1)), axis=1)[:, :6]
    return ids, (np.arange(count), np.full(count, 5)), ids[:, 0].copy()


first_losses = {}
ax = viz.new_axes(7, 3.3)
for (layers, causal), colour in {(2, False): "#D55E00", (1, True): "#009E73", (2, True): "#0072B2"}.items():
    rng = np.random.default_rng(0)
    model = SmallReader("none", 10, rng, layers=layers, causal=causal)
    losses = train(model, lambda rng=rng: who_was_first(rng), steps=300, lr=0.01)
    first_losses[layers, causal] = float(np.mean(losses[-30:]))
    mask = "因果 causal" if causal else "无掩码 no mask"
    ax.plot(losses, color=colour, linewidth=1, label=f"{layers} 层 layers, {mask}")
ax.axhline(math.log(5), color="0.3", linestyle=":", label="ln 5")
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特） loss (nats)")
ax.legend(fontsize=9, loc="center right")
viz.show(ax, alt="只有两层的因果模型学会了 only the causal model of two layers learns it")

# %% [markdown] key="play" lang="zh"
# 两层因果模型没有任何位置编码，损失却到了零：第一层里，只有站在第一个的字看见的全是自己，第二层一找就找到。Haviv 等人 2022 年在真的语言模型上看到了同样的事。所以“没有位置编码就完全不知道次序”这句话，对双向的模型成立，对多层的因果模型不成立。
#
# ## 动手玩：转动的平面
#
# 蓝箭是查询，站在位置 $t$；橙箭是键，总在它前面 3 个位置。拖动位置，两支箭一起转，夹角不变，右边的蓝线是平的。灰线是另一种情形：键钉在位置 0 不动，距离越来越大，点积就上下起伏。换一对数，转得快慢不同。
# %% [markdown] key="play" lang="en"
# The causal model of two layers has no positional encoding whatever, and its loss goes to zero: in the first layer only the character that stood first has seen nothing but itself, and the second layer finds it. Haviv and others saw the same in real language models in 2022. So “without positional encoding it knows nothing of order” holds for models that look both ways, and not for causal ones of several layers.
#
# ## Play: the turning plane
#
# The blue arrow is a query at position $t$; the orange one is a key, always 3 positions before it. Drag the position: both turn together, the angle between them stays, and the blue line on the right is flat. The grey line is the other case: the key is nailed to position 0, the distance grows, and the dot product goes up and down. Another pair turns at another speed.

# %% key="play-run"
from minillm.widgets import Choice, Slider, play

PAIRS = {f"第 {i} 对 pair {i}: {w:.3g}": float(w) for i, w in enumerate(frequencies(8, base=100))}


def turning(position, speed):
    """Left: query and key as arrows. Right: their dot product at every position."""
    left, right = viz.new_axes(7.6, 3.7, columns=2)
    plane(left)
    left.set_ylabel("第二个数 second number")
    start = {"q": 0.4, "k": 1.2}  # 两支箭在位置 0 的方向，弧度 their directions at position 0, in radians
    for name, colour, label, steps in (("q", "#0072B2", "查询 query", 0), ("k", "#D55E00", "键 key", 3)):
        angle = start[name] + (position - steps) * speed
        arrow(left, (math.cos(angle), math.sin(angle)), colour, lw=3)
        left.text(1.17 * math.cos(angle), 1.17 * math.sin(angle), name, color=colour, ha="center", va="center")
        left.plot([], [], color=colour, label=label)
    left.legend(loc="upper left", fontsize=8, frameon=False, ncols=2)
    left.set_title(f"t = {position}，s = {position - 3}")

    t, apart = np.arange(3, 25), start["k"] - start["q"]
    near, nailed = np.cos(apart - 3 * speed) + 0 * t, np.cos(apart - t * speed)
    right.plot(t, nailed, "o-", color="0.6", markersize=3, label="s = 0")
    right.plot(t, near, "o-", color="#0072B2", markersize=3, label="s = t - 3")
    right.plot([position] * 2, [near[position - 3], nailed[position - 3]], "o", color="k", markersize=7)
    right.set(xlabel="位置 position t", ylim=(-1.15, 1.45), title="点积 dot product")
    right.legend(loc="upper right", ncols=2, fontsize=9)
    return left


play(
    turning,
    alt="两支箭一起转，夹角不变，点积不变 two arrows turn together, angle and dot product stay",
    position=Slider(3, 24, 1, value=5, label="位置 position"),
    speed=Choice(PAIRS, value=next(iter(PAIRS.values())), label="哪一对 which pair"),
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 第一个数由推导定下，五万次随机只差一点点。填空的三个数来自训练，是三颗种子的平均。我们换过十颗种子：旋转每字 6.6 到 6.8 比特，没有位置 7.8 到 7.9，配错了对多出 1.5 到 3.2，这个数最散。最后两个数几乎不随种子变：看不见次序的模型停在 $\ln 5$ 上面一点，两层的因果模型到零。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The first figure is fixed by the derivation, and fifty thousand random cases stray very little. The three of the blanks come from training and are means over three seeds. We tried ten: 6.6 to 6.8 bits a character with rotation, 7.8 to 7.9 without positions, and wrong pairs cost 1.5 to 3.2 more, which varies most. The last two hardly depend on the seed: a model that cannot see order stops a little above $\ln 5$, the causal model of two layers goes to zero.

# %% key="bands-run"
means = {kind: float(np.mean(scored[kind])) for kind in KINDS}
band("一个头丢了多少 lost by one head", float(lost[0.5]), 0.49, 0.51)
band("旋转 rotary: bits", means["rotary"], 6.3, 7.1)
band("没有位置比旋转多 none over rotary: bits", means["none"] - means["rotary"], 0.8, 1.5)
band("配错了对多出 wrongly paired, more: bits", float(np.mean(imported)) - means["rotary"], 0.8, 3.5)
band("谁是第一，一层因果 who was first, causal, 1 layer", first_losses[1, True], 1.58, 1.80)
band("谁是第一，两层因果 who was first, causal, 2 layers", first_losses[2, True], 0.0, 0.1)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **上一行写 $W_Q X$，下一行写 $X W_Q$。** 有的文章两种约定混用。一行一个字就是 $X W^\top$，一列一个字就是 $W X$，选一种用到底。单头的时候，$W_Q$ 是 (d_k, D)，写错了乘不上；多头的大矩阵是方的，写错了也乘得上，于是一声不响地算出别的东西：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **$W_Q X$ in one line, $X W_Q$ in the next.** Some articles mix two conventions. A character a row means $X W^\top$, a character a column means $W X$: choose one and stay with it. For one head $W_Q$ is (d_k, D), and a slip does not multiply; the large matrix of several heads is square, a slip does multiply, and something else comes out without a sound:

# %% key="mistakes-run" tags=["nbval-check-output"]
rng = np.random.default_rng(0)
x, w = rng.normal(size=(7, 12)), rng.normal(size=(12, 12))
print("形状 shapes:", (x @ w.T).shape, (x @ w).shape, "  相等 equal:", np.allclose(x @ w.T, x @ w))

# %% [markdown] key="sources" lang="zh"
# **“头越多，参数越多。”** 头只是切法。开头数过：1 个头和 12 个头，参数一样多。多的是权重表，每个头一张。头太多，每个头就只剩几个数可以比对，也不好。
#
# **直接 `reshape` 成 (B, H, T, K)。** 少一次 `transpose`，形状对，内容错。拿循环的版本核对一次就知道。
#
# **旋转也转了值，或者转在投影之前。** 转的只是查询和键，而且在 $W_Q$、$W_K$ 之后。
#
# **“旋转编码天生能读任意长。”** 算得出来，不等于学过。
#
# ## 记住三句话
#
# 1. 注意力对次序是盲的：输入怎样打乱，输出就怎样打乱；多层的因果模型例外，它从“前面有谁”里看得出次序。
# 2. 多头是把同样的数切成几份，各有各的权重；参数一个也不多，先切开再换轴，反向原路搬回。
# 3. 位置是转动：正弦表里往后挪是转一个角，旋转编码把查询和键转一个角，点积只看距离。
#
# ## 出处
#
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). 多头在 3.2.2 节，正弦位置在 3.5 节。
# - J. Su, Y. Lu, S. Pan, A. Murtadha, B. Wen, Y. Liu (2021). RoFormer: Enhanced Transformer with Rotary Position Embedding. [arXiv 2104.09864](https://arxiv.org/abs/2104.09864). 旋转位置。
# - A. Haviv, O. Ram, O. Press, P. Izsak, O. Levy (2022). Transformer Language Models without Positional Encodings Still Learn Positional Information. Findings of EMNLP. [arXiv 2203.16634](https://arxiv.org/abs/2203.16634). 没有位置编码的因果模型。
# - A. Kazemnejad, I. Padhi, K. Natesan Ramamurthy, P. Das, S. Reddy (2023). The Impact of Positional Encoding on Length Generalization in Transformers. NeurIPS. [arXiv 2305.19466](https://arxiv.org/abs/2305.19466). 几种位置编码遇到更长的文字。
# - S. Chen, S. Wong, L. Chen, Y. Tian (2023). Extending Context Window of Large Language Models via Positional Interpolation. [arXiv 2306.15595](https://arxiv.org/abs/2306.15595). 把位置压回训练过的范围。
# %% [markdown] key="sources" lang="en"
# **“More heads, more parameters.”** Heads are only a way of cutting. We counted: 1 head and 12 heads have equally many. What there is more of is tables of weights, one for each head. And with too many heads each has but a few numbers left to compare by, which is not good either.
#
# **A `reshape` straight to (B, H, T, K).** One `transpose` is missing; the shape is right, the content wrong. One comparison with the version in loops shows it.
#
# **Turning the values too, or turning before the projection.** Only queries and keys are turned, after $W_Q$ and $W_K$.
#
# **“Rotary positions read any length by nature.”** That something can be computed does not mean it was learnt.
#
# ## Three sentences to keep
#
# 1. Attention is blind to order: as the input is shuffled, so is the output; causal models of several layers are the exception, for they read the order off who came before.
# 2. Several heads cut the same numbers into parts with weights of their own, at no parameter more; cut first, then swap axes, and backward moves everything back the way it came.
# 3. Position is turning: in the sinusoidal table moving on is a turn, rotary encoding turns queries and keys, and the dot product sees only the distance.
#
# ## Sources
#
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). Attention Is All You Need. NeurIPS. [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). Heads are in section 3.2.2, sinusoidal positions in 3.5.
# - J. Su, Y. Lu, S. Pan, A. Murtadha, B. Wen, Y. Liu (2021). RoFormer: Enhanced Transformer with Rotary Position Embedding. [arXiv 2104.09864](https://arxiv.org/abs/2104.09864). Rotary positions.
# - A. Haviv, O. Ram, O. Press, P. Izsak, O. Levy (2022). Transformer Language Models without Positional Encodings Still Learn Positional Information. Findings of EMNLP. [arXiv 2203.16634](https://arxiv.org/abs/2203.16634). Causal models without positional encoding.
# - A. Kazemnejad, I. Padhi, K. Natesan Ramamurthy, P. Das, S. Reddy (2023). The Impact of Positional Encoding on Length Generalization in Transformers. NeurIPS. [arXiv 2305.19466](https://arxiv.org/abs/2305.19466). Several encodings on longer texts.
# - S. Chen, S. Wong, L. Chen, Y. Tian (2023). Extending Context Window of Large Language Models via Positional Interpolation. [arXiv 2306.15595](https://arxiv.org/abs/2306.15595). Positions squeezed back into the trained range.

# %% [markdown] key="ex-heads-cost" lang="zh" exercise="heads_cost"
# ### 练习 1　多头多花什么
#
# 一句话有 `length` 个字，每个字的向量有 `d_model` 个数，分成 `n_head` 个头，没有掩码。不运行任何模型，写出两个数：`W_Q`、`W_K`、`W_V`、`W_O` 一共有几个参数（没有偏置）；所有的头一共有几个注意力权重。先猜：头数加倍，哪个数会变？
# %% [markdown] key="ex-heads-cost" lang="en" exercise="heads_cost"
# ### Exercise 1: What heads cost
#
# A sentence has `length` characters, each character's vector has `d_model` numbers, and there are `n_head` heads and no mask. Without running any model, write down two numbers: how many parameters `W_Q`, `W_K`, `W_V` and `W_O` have together (no biases), and how many attention weights all heads have together. Guess first: with twice the heads, which of the two changes?


# %% key="ex-heads-cost-code" exercise="heads_cost" kind="predict" difficulty=1 minutes=6 points=1
def heads_cost(d_model: int, n_head: int, length: int) -> tuple[int, int]:
    """(parameters of W_Q, W_K, W_V and W_O, attention weights of all heads)"""
    ### BEGIN SOLUTION
    parameters = 4 * d_model**2  # heads cut the matrices; they add nothing to them
    weights = n_head * length**2  # a table of its own for every head
    return parameters, weights
    ### END SOLUTION


# %% key="ex-heads-cost-check" exercise="heads_cost"
check(heads_cost)

# %% [markdown] key="ex-split-heads" lang="zh" exercise="split_heads"
# ### 练习 2　修好切法
#
# 下面的函数把 (B, T, D) 切成 (B, H, T, K)，形状对，内容错：一个头里混进了别的位置。修好它。
# %% [markdown] key="ex-split-heads" lang="en" exercise="split_heads"
# ### Exercise 2: Mend the cut
#
# The function below cuts (B, T, D) into (B, H, T, K). The shape is right and the content wrong: other positions get into a head. Mend it.


# %% key="ex-split-heads-code" exercise="split_heads" kind="repair" difficulty=2 minutes=6 points=1
def split_heads(x, n_head):
    """(B, T, D) -> (B, H, T, K) with K = D / H: head h has numbers h K to (h + 1) K of every position"""
    ### BEGIN SOLUTION
    b, t, d = x.shape
    return x.reshape(b, t, n_head, d // n_head).transpose(0, 2, 1, 3)
    ### END SOLUTION
    ### BEGIN STUB
    # b, t, d = x.shape
    # return x.reshape(b, n_head, t, d // n_head)
    ### END STUB


# %% key="ex-split-heads-check" exercise="split_heads"
check(split_heads)

# %% [markdown] key="ex-multi-head" lang="zh" exercise="multi_head"
# ### 练习 3　多头注意力
#
# 一句话，没有掩码，没有偏置，不许对头写循环。`w_in` 依次摞着查询、键、值的矩阵。
# %% [markdown] key="ex-multi-head" lang="en" exercise="multi_head"
# ### Exercise 3: Multi-head attention
#
# One sentence, no mask, no biases, and no loop over heads. `w_in` holds the matrices of queries, keys and values, in this order, one above the other.


# %% key="ex-multi-head-code" exercise="multi_head" kind="implement" difficulty=3 minutes=15 points=2
def multi_head(x, w_in, w_out, n_head):
    """x (T, D), w_in (3D, D), w_out (D, D) -> (T, D)"""
    ### BEGIN SOLUTION
    t, d = x.shape
    q, k, v = (x @ w_in.T).reshape(t, 3, n_head, d // n_head).transpose(1, 2, 0, 3)  # each (H, T, K)
    weights, _ = F.softmax(q @ k.swapaxes(1, 2) / math.sqrt(d // n_head))
    return (weights @ v).transpose(1, 0, 2).reshape(t, d) @ w_out.T
    ### END SOLUTION


# %% key="ex-multi-head-check" exercise="multi_head"
check(multi_head)

# %% [markdown] key="ex-shift-matrix" lang="zh" exercise="shift_matrix"
# ### 练习 4　往后挪
#
# 写出那个矩阵：对任何 `t`，`sinusoidal(...)[t + steps]` 都等于 `shift_matrix(d_model, steps) @ sinusoidal(...)[t]`。`frequencies(d_model)` 给出各对的角速度；表里正弦在前，余弦在后，相邻成对。
# %% [markdown] key="ex-shift-matrix" lang="en" exercise="shift_matrix"
# ### Exercise 4: Move on
#
# Write down that matrix: for every `t`, `sinusoidal(...)[t + steps]` equals `shift_matrix(d_model, steps) @ sinusoidal(...)[t]`. `frequencies(d_model)` gives the angular speeds of the pairs; in the table the sine comes first, its cosine right after it.


# %% key="ex-shift-matrix-code" exercise="shift_matrix" kind="implement" difficulty=3 minutes=12 points=2
def shift_matrix(d_model: int, steps: int) -> Array:
    """The (D, D) matrix that takes the sinusoidal vector of position t to that of position t + steps"""
    ### BEGIN SOLUTION
    angle = steps * frequencies(d_model)
    sine, cosine = np.arange(0, d_model, 2), np.arange(1, d_model, 2)
    matrix = np.zeros((d_model, d_model))
    matrix[sine, sine] = matrix[cosine, cosine] = np.cos(angle)
    matrix[sine, cosine] = np.sin(angle)
    matrix[cosine, sine] = -np.sin(angle)
    return matrix
    ### END SOLUTION


# %% key="ex-shift-matrix-check" exercise="shift_matrix"
check(shift_matrix)

# %% [markdown] key="ex-turn-scores" lang="zh" exercise="turn_scores"
# ### 练习 5　从第几个开始
#
# 生成文字时，前面的键早已算好，新来的查询从位置 `start` 开始。写出带旋转的分数：查询站在 `start`、`start + 1`……，键站在 0、1、2……，前后两半配对，角速度是 `frequencies(d_k)`，分数除以根号。不用 `rotary`，自己写。
# %% [markdown] key="ex-turn-scores" lang="en" exercise="turn_scores"
# ### Exercise 5: Starting where?
#
# When text is generated, the keys so far have been computed already, and new queries begin at position `start`. Write the scores with rotation: queries stand at `start`, `start + 1` and so on, keys at 0, 1, 2 and so on; the two halves are paired, the angular speeds are `frequencies(d_k)`, and scores are divided by the root. Do not use `rotary`; write it yourself.


# %% key="ex-turn-scores-code" exercise="turn_scores" kind="implement" difficulty=4 minutes=18 points=3
def turn_scores(q, k, start):
    """Scores of turned queries against turned keys.  q (T, d_k) at start ..., k (S, d_k) at 0 ... -> (T, S)"""
    ### BEGIN SOLUTION
    half = q.shape[1] // 2

    def turned(x, first):
        angle = np.outer(first + np.arange(len(x)), frequencies(x.shape[1]))
        a, b = x[:, :half], x[:, half:]
        return np.hstack([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)])

    return turned(q, start) @ turned(k, 0).T / math.sqrt(q.shape[1])
    ### END SOLUTION


# %% key="ex-turn-scores-check" exercise="turn_scores"
check(turn_scores)

# %% [markdown] key="ex-import-rows" lang="zh" exercise="import_rows"
# ### 练习 6　导入别人的权重
#
# 别人的 `W_Q` 是按相邻配对训练的：每个头里，第 0 行和第 1 行是一对，第 2 行和第 3 行是一对。我们的代码把前后两半配对。重排行，让它在我们的代码里给出原来的分数。每个头有 `K = D / n_head` 行，各排各的。
# %% [markdown] key="ex-import-rows" lang="en" exercise="import_rows"
# ### Exercise 6: Import somebody's weights
#
# Somebody's `W_Q` was trained with neighbours paired: within each head, rows 0 and 1 are a pair, rows 2 and 3 are a pair. Our code pairs the two halves. Reorder the rows so that in our code it gives the original scores. Each head has `K = D / n_head` rows and is reordered by itself.


# %% key="ex-import-rows-code" exercise="import_rows" kind="extend" difficulty=4 minutes=15 points=2
def import_rows(w, n_head):
    """Rows paired as (2i, 2i + 1) within each head become rows paired as (i, i + K/2).  w (D, D) -> (D, D)"""
    ### BEGIN SOLUTION
    size = len(w) // n_head
    pairs = w.reshape(n_head, size // 2, 2, -1)  # head, pair, which of the two, column
    return pairs.swapaxes(1, 2).reshape(w.shape)
    ### END SOLUTION


# %% key="ex-import-rows-check" exercise="import_rows"
check(import_rows)
