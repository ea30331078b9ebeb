# ---
# minillm:
#   title: {zh: "PyTorch 镜像", en: "The PyTorch mirror"}
#   question:
#     zh: "从前一行一行亲手写的，PyTorch 替我做了哪些，又是怎么做的？"
#     en: "Of all that I wrote by hand, what does PyTorch do for me, and how?"
#   minutes: 100
#   seconds: 40
#   needs: ["11"]
#   runs: PT
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("13")

# %% key="imports" both=true
import math

import numpy as np
import torch
from torch import nn

from minillm import viz
from minillm.bands import band
from minillm.config import ModelConfig, TrainConfig

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 到第 12 课为止，每一个梯度都是我们自己推、自己写的。数一数，`minillm.np` 的这几个文件里，为反向写了多少行？它的孪生 `minillm.pt` 呢？
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# Up to lesson 12 we derived and wrote every gradient ourselves. Count: how many lines of these files of `minillm.np` are there for the backward? And how many in its twin, `minillm.pt`?

# %% key="problem-count"
import ast
import importlib
import inspect


def lines_of(module, backward):
    """Lines of the functions that go backward, or of all others."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return sum(f.end_lineno - f.lineno + 1 for f in functions if f.name.endswith("backward") is backward)


print("                前向 forward   反向 backward")
for side in ("np", "pt"):
    files = [f"minillm.{side}.{name}" for name in ("functional", "layers", "attention", "embeddings", "block", "gpt")]
    counts = [sum(lines_of(file, backward) for file in files) for backward in (False, True)]
    print(f"minillm.{side}   {counts[0]:10}   {counts[1]:12}")

# %% [markdown] key="problem-loops" lang="zh"
# 反向一行也没有了。真省事。那就用孪生来背第 10 课的那一批：同样的模型，同样的八段开头。下面的训练循环有四个写法，只差一行；四个都跑得通，没有一个报错。
# %% [markdown] key="problem-loops" lang="en"
# Not a line of backward is left. How convenient. So let the twin learn the batch of lesson 10 by heart: the same model, the same eight beginnings. The loop comes in four versions that differ by a line. All four run, and none raises an error.

# %% key="problem-run"
from minillm.data.corpora import load_corpus
from minillm.pt.gpt import GPT as TorchGPT
from minillm.text import train_tokenizer

corpus = load_corpus("reader")
tokenizer = train_tokenizer("char", corpus.train)
V = tokenizer.vocab_size
beginnings = [text[:16] for text in corpus.train if len(text) >= 16][:8]
ids = np.array([[tokenizer.eos_id, *tokenizer.encode(text)] for text in beginnings])
x, y = ids[:, :-1], ids[:, 1:]
ids_pt, answers_pt = torch.tensor(x), torch.tensor(y)
small = ModelConfig(V, context=16, n_layer=2, n_head=4, d_model=32)


def learn(version, steps=150):
    model = TorchGPT(small, rng=np.random.default_rng(0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    if version == "丙 third":
        model.norm.register_forward_pre_hook(lambda layer, inputs: inputs[0].data)  # 差的一行 the line
    losses = []
    for _ in range(steps):
        scores = model(ids_pt).flatten(0, 1)  # (B, T, V) -> (B T, V)
        if version == "乙 second":
            scores = scores.softmax(dim=-1)  # 差的一行 the line
        loss = nn.functional.cross_entropy(scores, answers_pt.flatten())
        if version != "丁 fourth":  # 差的一行 the line
            optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


versions = {name: learn(name) for name in ("甲 first", "乙 second", "丙 third", "丁 fourth")}
for name, losses in versions.items():
    print(f"{name}:  {losses[0]:.2f} → {losses[-1]:.2f}")

# %% key="problem-picture"
ax = viz.new_axes(7, 3.4)
for (name, losses), colour in zip(versions.items(), ("0.1", *viz.COLOURS), strict=False):
    ax.plot(losses, color=colour, label=name)
ax.axhline(math.log(8) / 16, color="0.4", linestyle="--", linewidth=1, label="底 floor (10)")
ax.set(ylim=(0, 8), xlabel="步数 step", ylabel="损失（奈特） loss (nats)")
ax.grid(alpha=0.25)
ax.legend(fontsize=9, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
viz.show(
    ax, alt="四个只差一行的训练循环，四条很不一样的曲线 four loops that differ by a line, four very different curves"
)

# %% [markdown] key="problem-after" lang="zh"
# 只有甲踩着底。乙一开始就降不动。丙学得慢，可是一直在降，像个“难题”。丁先降后升。
#
# PyTorch 替你做很多事；它做的是你**写**的，不是你**想**的。要用好它，就得知道它在背后究竟做了什么。好在这些事我们都亲手做过一遍：这一课把它放在我们自己的代码旁边，一样一样地对，数到每一个字节。学完回头看，这四行各错在哪里，一眼就看得出。
# %% [markdown] key="problem-after" lang="en"
# Only the first reaches the floor. The second hardly moves from the start. The third learns slowly but keeps falling, and looks like a hard task. The fourth falls and rises again.
#
# PyTorch does a lot for you; and it does what you **wrote**, not what you **meant**. To use it well you have to know what exactly it does behind your back. Luckily we have done all of it by hand: this lesson puts it beside our own code and compares piece by piece, down to the byte. Afterwards you will see at a glance what is wrong with each of the lines.

# %% [markdown] key="tensors" lang="zh"
# ## 张量与数组
#
# 张量就是数组，名字略有不同：
#
# | NumPy | PyTorch | |
# |---|---|---|
# | `np.array(a)` | `torch.tensor(a)` | 造一个，总是复制 |
# | `np.asarray(a)` | `torch.from_numpy(a)` | 不复制，共用内存 |
# | `a.astype(np.float32)` | `t.to(torch.float32)` | 换类型 |
# | `a.sum(axis=1, keepdims=True)` | `t.sum(dim=1, keepdim=True)` | 沿一个轴 |
# | `a.swapaxes(1, 2)` | `t.transpose(1, 2)` | 只换读法，不搬数 |
# | `a.copy()` | `t.clone()` | 复制 |
# | 没有 | `t.to("cuda")` | 换地方：CPU 还是 GPU |
#
# 有三处不一样，每一处都会咬人。第一处，**谁和谁共用内存**：
# %% [markdown] key="tensors" lang="en"
# ## Tensors and arrays
#
# A tensor is an array, under slightly other names:
#
# | NumPy | PyTorch | |
# |---|---|---|
# | `np.array(a)` | `torch.tensor(a)` | make one, always a copy |
# | `np.asarray(a)` | `torch.from_numpy(a)` | no copy, the same memory |
# | `a.astype(np.float32)` | `t.to(torch.float32)` | another type |
# | `a.sum(axis=1, keepdims=True)` | `t.sum(dim=1, keepdim=True)` | along an axis |
# | `a.swapaxes(1, 2)` | `t.transpose(1, 2)` | read in another order, nothing is moved |
# | `a.copy()` | `t.clone()` | copy |
# | none | `t.to("cuda")` | another place: CPU or GPU |
#
# Three things differ, and each of them catches people out. First, **who shares memory with whom**:

# %% key="tensors-memory" tags=["nbval-check-output"]
array = np.array([1.0, 2.0, 3.0])
shared, copied = torch.from_numpy(array), torch.tensor(array)
array[0] = 100.0
print("from_numpy", shared.tolist(), "   torch.tensor", copied.tolist())

table = torch.arange(6).reshape(2, 3)
turned = table.T  # 转置：同一块内存 transposed: the same memory
table[0, 1] = -7
print("转置也变了 the transposed changed too:", turned.tolist())
print("连续 contiguous:", table.is_contiguous(), turned.is_contiguous())
try:
    turned.view(6)  # view 从不复制 view never copies
except RuntimeError:
    print("view 做不到，reshape 复制 view cannot, reshape copies:", turned.reshape(6).tolist())

# %% [markdown] key="tensors-dtype" lang="zh"
# 第二处，**类型**。NumPy 的小数默认是 float64，PyTorch 的默认是 float32；而且 NumPy 把两种混在一起算，悄悄变成 float64，PyTorch 的矩阵乘法不肯：
# %% [markdown] key="tensors-dtype" lang="en"
# Second, **types**. NumPy's numbers are float64 by default and PyTorch's are float32; and where NumPy mixes the two and silently makes float64 of it, PyTorch's matrix product refuses:

# %% key="tensors-dtype-run" tags=["nbval-check-output"]
print("np.array([0.1])       ", np.array([0.1]).dtype)
print("torch.tensor([0.1])   ", torch.tensor([0.1]).dtype)
print("torch.tensor(np.array)", torch.tensor(np.array([0.1])).dtype)
weights32, data64 = np.ones((2, 2), np.float32), np.ones((2, 2))
print("NumPy, float32 @ float64 →", (weights32 @ data64).dtype)
try:
    torch.from_numpy(weights32) @ torch.from_numpy(data64)
except RuntimeError as error:
    print("PyTorch, float32 @ float64 →", type(error).__name__)

# %% [markdown] key="tensors-device" lang="zh"
# 第三处，**地方**。张量住在某个设备上（`t.device`），两个住在不同设备上的张量不能相加；GPU 上的要先 `t.cpu()` 才能变成数组。第 14 课再去 GPU，这一课全在 CPU 上。
#
# 这些都是小事。大事只有一件：张量会**记账**。
#
# ## 两卷磁带
#
# 第 06 课写过一卷磁带，`minillm.np.tape`：每个值记下由谁算来、怎样把梯度传回去。PyTorch 的自动求导是同一个想法。拿一个神经元，两个参数 $w$ 和 $b$，损失里再加一份 $w^2$：
#
# $$u = w x \qquad v = u + b \qquad h = \tanh v \qquad r = h - t \qquad L = r^2 + w^2$$
#
# 往回走，每一步都是“后面传来的梯度，乘上这一步的导数”。记 $\bar u = \partial L / \partial u$，其余类推：
#
# $$\bar r = 2r \qquad \bar h = \bar r \qquad \bar v = \bar h\,(1 - h^2) \qquad \bar u = \bar v \qquad \bar b = \bar v \qquad \bar w = \bar u\, x + 2 w$$
#
# | 符号 | 形状 | 意思 |
# |---|---|---|
# | $w$，$b$ | 一个数 | 参数，要梯度 |
# | $x$，$t$ | 一个数 | 数据，不要梯度 |
# | $\bar u$ | 与 $u$ 相同 | 损失对 $u$ 的导数；是数组也一样 |
#
# $w$ 用了两次，两份梯度相加。三种算法放在一起：公式，我们的磁带，PyTorch。
# %% [markdown] key="tensors-device" lang="en"
# Third, **places**. A tensor lives on a device (`t.device`), and two that live on different devices cannot be added; one on the GPU must first be fetched with `t.cpu()` before it can become an array. Lesson 14 goes to the GPU, this one stays on the CPU.
#
# All of that is small. One thing is big: a tensor **keeps records**.
#
# ## Two tapes
#
# In lesson 06 we wrote a tape, `minillm.np.tape`: each value notes what it was made of and how to hand a gradient back. PyTorch's autograd is the same idea. Take one neuron with two parameters, $w$ and $b$, and add $w^2$ to its loss:
#
# $$u = w x \qquad v = u + b \qquad h = \tanh v \qquad r = h - t \qquad L = r^2 + w^2$$
#
# On the way back each step is “the gradient that comes from behind, times the derivative of this step”. Write $\bar u = \partial L / \partial u$, and so on:
#
# $$\bar r = 2r \qquad \bar h = \bar r \qquad \bar v = \bar h\,(1 - h^2) \qquad \bar u = \bar v \qquad \bar b = \bar v \qquad \bar w = \bar u\, x + 2 w$$
#
# | symbol | shape | meaning |
# |---|---|---|
# | $w$, $b$ | a number | parameters, which want a gradient |
# | $x$, $t$ | a number | data, which want none |
# | $\bar u$ | that of $u$ | derivative of the loss by $u$; the same with arrays |
#
# $w$ is used twice, and its two gradients add. Here are three ways side by side: the formulas, our tape, PyTorch.


# %% key="tapes-run" tags=["nbval-check-output"]
from minillm.np.tape import Var


def neuron(w, b, x=2.0, t=1.0):
    """-> all values by name; w and b are Var or tensors"""
    u = w * x
    v = u + b
    h = v.tanh()
    r = h - t
    square = r**2
    decay = w**2
    return {"w": w, "b": b, "u": u, "v": v, "h": h, "r": r, "r²": square, "w²": decay, "L": square + decay}


ours = neuron(Var(0.5), Var(-0.5))
ours["L"].backward()

theirs = neuron(*(torch.tensor(n, dtype=torch.float64, requires_grad=True) for n in (0.5, -0.5)))
for tensor in theirs.values():
    tensor.retain_grad()  # 中间的梯度平时不留 gradients in between are not kept otherwise
theirs["L"].backward()

h, r = math.tanh(0.5), math.tanh(0.5) - 1
dv = 2 * r * (1 - h * h)
by_hand = {"w": dv * 2 + 2 * 0.5, "b": dv, "u": dv, "v": dv, "h": 2 * r, "r": 2 * r, "r²": 1.0, "w²": 1.0, "L": 1.0}
print("      值 value   公式 formula   磁带 tape   PyTorch   grad_fn")
for name, var in ours.items():
    node = theirs[name].grad_fn
    row = f"{float(var.data):9.4f} {by_hand[name]:13.4f} {float(var.grad):11.4f} {theirs[name].grad.item():9.4f}"
    print(f"{name:3} {row}   {node.name() if node else '–'}")
    assert abs(by_hand[name] - var.grad) < 1e-15 and abs(theirs[name].grad.item() - var.grad) < 1e-15

# %% [markdown] key="graph" lang="zh"
# 三列分毫不差。最右边的 `grad_fn` 就是 PyTorch 磁带上的一格：算出这个值的那一步，连同它的反向。`MulBackward0` 是乘法的反向，`TanhBackward0` 是 tanh 的反向。每一格的 `next_functions` 指向梯度接下来要去的格子；参数没有 `grad_fn`，路到那里就是终点，由 `AccumulateGrad` 把梯度**加**进 `.grad`。
#
# 顺着 `next_functions` 走一遍，就能把整张图画出来。再给每一格装一个钩子，让 `backward()` 自己报告先到谁、后到谁；格子里存着的东西叫 `_saved_…`，也读出来：
# %% [markdown] key="graph" lang="en"
# The three columns agree to the last digit. The `grad_fn` on the right is one cell of PyTorch's tape: the step that made this value, with its backward. `MulBackward0` is the backward of a product, `TanhBackward0` that of tanh. The `next_functions` of a cell point to the cells where the gradient goes next; a parameter has no `grad_fn`, the road ends there, and `AccumulateGrad` **adds** the gradient to `.grad`.
#
# Walk along `next_functions`, and the whole graph can be drawn. Hang a hook on each cell, and `backward()` itself reports whom it visits, and when; what a cell keeps is called `_saved_…`, and is read out too:


# %% key="graph-walk" tags=["nbval-check-output"]
def visits_of(values):
    """Run backward. -> its visits in order: (node, name of the value, gradient that arrived, what was saved)"""
    names = {tensor.grad_fn: name for name, tensor in values.items() if tensor.grad_fn}
    visits, todo, seen = [], [values["L"].grad_fn], set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)  # AccumulateGrad 知道自己的参数 knows its parameter
        name = names.get(node) or next(n for n, tensor in values.items() if tensor is leaf)
        kept = [k for k in dir(node) if k.startswith("_saved_") and torch.is_tensor(getattr(node, k))]
        saved = [getattr(node, k).item() for k in kept]

        def note(_, arrived, node=node, name=name, saved=saved):
            visits.append((node.name().split("::")[-1], name, arrived[0].item(), saved))

        node.register_hook(note)
        todo += [following for following, _ in node.next_functions if following is not None]
    values["L"].backward()
    return visits


def fresh_neuron(w=0.5, b=-0.5):
    return neuron(*(torch.tensor(n, dtype=torch.float64, requires_grad=True) for n in (w, b)))


for step, (kind, name, arrived, saved) in enumerate(visits_of(fresh_neuron()), start=1):
    kept = "  ".join(f"{number:.4f}" for number in saved)
    print(f"{step}  {name:3} {kind:22} 梯度 gradient {arrived:8.4f}   存着 saved: {kept or '–'}")

# %% [markdown] key="graph-after" lang="zh"
# 比一比“存着”的那一列和我们的缓存。tanh 存的是**输出** $h$，因为导数 $1 - h^2$ 只用得着它；平方存的是输入 $r$；加法和减法什么也不存，梯度原样通过。乘法 $u = wx$ 本来要存两个因子，可是 $x$ 不要梯度，所以只存了 $x$ 一个，$w$ 不必留。想一想每一步的反向要用什么，就知道它存什么。
#
# 次序也眼熟：最晚出生的先走，和我们的磁带一样；只有 `AccumulateGrad` 不排队，一到就加。
#
# 画成图。箭头是梯度走的方向，每格左上方的数字是 `backward()` 走到的次序：
# %% [markdown] key="graph-after" lang="en"
# Compare the column “saved” with our caches. tanh keeps its **output** $h$, since the derivative $1 - h^2$ needs nothing else; the square keeps its input $r$; sum and difference keep nothing, for a gradient passes them unchanged. The product $u = wx$ would need both factors, but $x$ wants no gradient, so only $x$ is kept and $w$ need not be. Ask what the backward of a step needs, and you know what it saves.
#
# The order looks familiar too: the youngest goes first, as on our tape; only `AccumulateGrad` does not queue, it adds at once.
#
# As a picture. The arrows go the way of the gradient, and the number above each cell says when `backward()` gets there:


# %% key="graph-picture"
PLACES = {"w": (0, 2.3), "b": (0.9, 0), "u": (1.2, 1.3), "v": (2.1, 0.55), "h": (3.15, 0.55), "r": (4.2, 0.55)}
PLACES |= {"r²": (5.25, 0.55), "w²": (3.15, 2.3), "L": (5.6, 1.75)}
ROADS = ["L r²", "L w²", "r² r", "r h", "h v", "v u", "v b", "u w", "w² w"]


def draw_backward(visits, values, until):
    """The graph after so many visits of backward."""
    ax = viz.new_axes(8.6, 3.6)
    ax.set(xlim=(-0.5, 6.2), ylim=(-0.35, 2.75))
    ax.axis("off")
    boxes, order = {}, {}
    for i, (kind, name, arrived, _) in enumerate(visits, start=1):
        face, edge = ("#FBEADF", viz.COLOURS[1]) if i == until else ("#F3F8FC", "#9CC4DD")
        gradient = f"梯度 grad {arrived:.3f}" if i <= until else "梯度 grad …"
        text = f"{name} = {values[name].item():.3f}\n{kind}\n{gradient}"
        box = {"boxstyle": "round,pad=0.4", "facecolor": face, "edgecolor": edge}
        boxes[name] = ax.text(*PLACES[name], text, ha="center", va="center", fontsize=8, bbox=box)
        number = {"color": viz.COLOURS[1], "fontsize": 9, "ha": "center"}
        ax.annotate(str(i), PLACES[name], (34, 22), textcoords="offset points", **number)
        order[name] = i
    for road in ROADS:
        start, end = road.split()
        colour = viz.COLOURS[1] if order[start] <= until else "0.75"
        ends = {"patchA": boxes[start].get_bbox_patch(), "patchB": boxes[end].get_bbox_patch()}
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 1, "shrinkB": 1, "lw": 1.4, **ends}
        ax.annotate("", PLACES[end], PLACES[start], arrowprops=arrow, zorder=4)
    return ax


values = fresh_neuron()
viz.show(
    draw_backward(visits_of(values), values, until=9),
    alt="一个神经元的 grad_fn 图，反向从 L 走到 w 和 b the grad_fn graph of a neuron, backward goes from L to w and b",
)

# %% [markdown] key="saved" lang="zh"
# ## 自动求导存了什么
#
# 第 10 课数过激活的内存：前向留给反向的每一个数。PyTorch 不把缓存交到我们手里，可是有一道门：`saved_tensors_hooks`。门里的函数，每存一个张量就被叫一次。下面的 `saved_by` 把存下的内存一块一块记下来，同一块只算一次，参数和输入不算；它返回字节数，还有函数自己的结果。
# %% [markdown] key="saved" lang="en"
# ## What autograd stores
#
# Lesson 10 counted the memory of activations: each number that forward keeps for backward. PyTorch does not hand us its cache, but there is a door: `saved_tensors_hooks`. A function put there is called each time a tensor is saved. `saved_by` below writes down the pieces of memory, each of them once, without parameters and inputs; it returns the number of bytes, and what the function itself gave.


# %% key="saved-run" tags=["nbval-check-output"]
def saved_by(function, *not_counted):
    """Call function. -> bytes that autograd keeps for its backward; its result"""
    known = {tensor.untyped_storage().data_ptr() for tensor in not_counted}
    found = {}

    def pack(tensor):
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in known:
            found[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    return sum(found.values()), result


some = torch.ones(10, 4, requires_grad=True)  # 40 个数 numbers
OPERATIONS = {
    "x + 1": lambda x: x + 1,
    "x.exp()": lambda x: x.exp(),
    "x * x": lambda x: x * x,
    "x.relu()": lambda x: x.relu(),
    "gelu(x)": nn.functional.gelu,
    "(3 * x).exp().tanh()": lambda x: (3 * x).exp().tanh(),
    "x.sum()": lambda x: x.sum(),
}
for name, operation in OPERATIONS.items():
    kept, _ = saved_by(lambda f=operation: f(some), some)
    print(f"{name:22} {kept // 4:3} 个数 numbers beside x")
with torch.no_grad():
    kept, _ = saved_by(lambda: some.exp(), some)
    print(f"{'no_grad: x.exp()':22} {kept // 4:3} 个数 numbers beside x")

# %% [markdown] key="saved-formula" lang="zh"
# 现在数整个 GPT。把每一步的反向要用什么想一遍，每个词元、每一层：
#
# | 谁存的 | NumPy（第 10 课） | PyTorch |
# |---|---|---|
# | 两道归一化 | $\hat x$ 和输出 $4D$，$1/s$：$2$ | 输入和输出 $4D$，均值和 $1/s$：$4$ |
# | 查询、键、值 | $3D$，除过的查询 $D$ | $3D$ |
# | 注意力的权重 | $HT$ | 每行一个数：$H$ |
# | 各头拼起来 | $D$ | $D$ |
# | 前馈网络 | 变宽、$\Phi$、弯过 $12D$ | 变宽、弯过 $8D$ |
# | 合计 | $21D + 2 + HT$ | $16D + 4 + H$ |
#
# 首尾：末端的归一化 $2D + 2$；交叉熵存 $\ln p$，每个位置 $V$ 个。于是
#
# $$M_{\text{PyTorch}} = 4BT\,\big(L\,(16D + 4 + H) + 2D + 2 + V\big)$$
#
# 最要紧的一行是注意力：PyTorch 的 `scaled_dot_product_attention` 不存 $T \times T$ 的权重，只存每行的 $\ln \sum e^{s}$，反向时再算一遍（FlashAttention 的办法）。拿算来换存，随 $T$ 平方涨的那一项就没有了。GELU 也不存 $\Phi$，反向时重算。
# %% [markdown] key="saved-formula" lang="en"
# Now the whole GPT. Go through what the backward of each step needs; for each token and layer:
#
# | who saves it | NumPy (lesson 10) | PyTorch |
# |---|---|---|
# | two normalisations | $\hat x$ and output $4D$, $1/s$: $2$ | input and output $4D$, mean and $1/s$: $4$ |
# | query, key, value | $3D$, the divided query $D$ | $3D$ |
# | attention weights | $HT$ | a number for each row: $H$ |
# | the heads put together | $D$ | $D$ |
# | feed-forward network | widened, $\Phi$, bent $12D$ | widened, bent $8D$ |
# | together | $21D + 2 + HT$ | $16D + 4 + H$ |
#
# At the ends: $2D + 2$ for the last normalisation; cross-entropy saves $\ln p$, $V$ numbers at each position. Hence
#
# $$M_{\text{PyTorch}} = 4BT\,\big(L\,(16D + 4 + H) + 2D + 2 + V\big)$$
#
# The line that matters is attention: PyTorch's `scaled_dot_product_attention` does not store the $T \times T$ weights but only $\ln \sum e^{s}$ of each row, and computes them again in the backward (the way of FlashAttention). Computing is traded for storing, and the term that grows with $T$ squared is gone. GELU does not keep $\Phi$ either and computes it again.


# %% key="saved-gpt" tags=["nbval-check-output"]
def numpy_bytes(heads, width, length, batch, layers=2):
    each = layers * (21 * width + 2 + heads * length) + 2 * width + 1 + 2 * V + 5
    return 4 * batch * length * each


def torch_bytes(heads, width, length, batch, layers=2):
    return 4 * batch * length * (layers * (16 * width + 4 + heads) + 2 * width + 2 + V)


def measured_bytes(heads, width, length, batch, layers=2):
    config = ModelConfig(V, context=length, n_layer=layers, n_head=heads, d_model=width)
    model = TorchGPT(config, rng=np.random.default_rng(0))
    tokens = torch.randint(V, (batch, length), generator=torch.Generator().manual_seed(0))

    def forward():
        return nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())

    return saved_by(forward, tokens, *model.parameters())[0]


saved_ratio = {}
for heads, width, length, batch in ((4, 32, 16, 8), (4, 64, 64, 4), (8, 64, 256, 2)):
    shape = heads, width, length, batch
    measured, formula = measured_bytes(*shape), torch_bytes(*shape)
    saved_ratio[length] = measured / formula
    print(f"T {length:3d}  PyTorch: 公式 formula {formula:9,d}  量得 measured {measured:9,d}", end="   ")
    print(f"NumPy, 公式 formula {numpy_bytes(*shape):10,d}  (× {numpy_bytes(*shape) / formula:.2f})")

# %% [markdown] key="saved-gpt-after" lang="zh"
# 一个字节一个字节地对上了；多出来的 4 个字节是交叉熵数的个数。`saved_by` 当然也能量别的写法。同一个注意力，用 `softmax` 一步步写，和交给 PyTorch 合成的一步，存下的随长度怎样涨？
# %% [markdown] key="saved-gpt-after" lang="en"
# It agrees byte by byte; the 4 bytes too many are the count that cross-entropy keeps. `saved_by` can of course measure other ways to write a thing. The same attention written step by step with `softmax`, and left to PyTorch's one fused step: how does what they save grow with the length?


# %% key="saved-attention"
def attention_by_steps(q, k, v):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    future = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(dim=-1) @ v


def fused_attention(q, k, v):
    return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


attention_kept = {"一步步写 step by step": attention_by_steps, "合成一步 fused": fused_attention}
lengths = [32, 64, 128, 256, 512]
q, k, v = (torch.randn(3, 1, 4, 512, 16, generator=torch.Generator().manual_seed(0))).requires_grad_()
assert torch.allclose(attention_by_steps(q, k, v), fused_attention(q, k, v), atol=1e-5)
ax = viz.new_axes(6.6, 3.4)
for (name, attention), colour in zip(attention_kept.items(), viz.COLOURS, strict=False):
    attention_kept[name] = []
    for n in lengths:
        pieces = [tensor[..., :n, :].clone() for tensor in (q, k, v)]
        attention_kept[name].append(saved_by(lambda f=attention, given=pieces: f(*given))[0])
    ax.loglog(lengths, np.array(attention_kept[name]) / 1024, "o-", color=colour, label=name)
    print(f"{name}: 256 → 512  × {attention_kept[name][-1] / attention_kept[name][-2]:.2f}")
ax.set_xticks(lengths, [str(n) for n in lengths])
ax.minorticks_off()
ax.set(xlabel="长度 length T", ylabel="存下 saved (KiB)")
ax.grid(alpha=0.25)
ax.legend(edgecolor="none")
viz.show(ax, alt="一步步写的注意力存下的随长度平方涨，合成的只成正比 step by step grows with T squared, fused with T")

# %% [markdown] key="traps" lang="zh"
# ### 存着的东西，不许动
#
# 既然存的是张量本身，不是复印件，那么存完以后有人就地改了它，怎么办？PyTorch 给每块内存一个版本号，存的时候记下，用的时候核对。对不上就报错，好过悄悄算错：
# %% [markdown] key="traps" lang="en"
# ### What is saved must not be touched
#
# What is saved is the tensor itself, not a photocopy; so what if somebody changes it in place afterwards? PyTorch gives each piece of memory a version number, notes it when saving and compares when using. If they differ it raises an error, which beats a silent mistake:


# %% key="traps-run" tags=["nbval-check-output"]
def exp_gradient(change):
    """dL/dx of L = sum(exp(x)), where `change` may meddle with exp(x) in between"""
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    y = x.exp()  # 反向要用 y the backward needs y
    total = y.sum()
    change(y)
    total.backward()
    return [round(g, 3) for g in x.grad.tolist()]


MEDDLING = {
    "y": lambda y: None,
    "y.mul_(2)": lambda y: y.mul_(2),
    "y.detach().mul_(2)": lambda y: y.detach().mul_(2),
    "y.data.mul_(2)": lambda y: y.data.mul_(2),
}
for name, change in MEDDLING.items():
    try:
        print(f"{name:20} 梯度 gradient {exp_gradient(change)}")
    except RuntimeError as error:
        said = "modified by an inplace operation"
        assert said in str(error)
        print(f"{name:20} {type(error).__name__}: … {said} …")

# %% [markdown] key="traps-after" lang="zh"
# `.data` 绕过了版本号：没有报错，梯度却大了一倍。这就是它危险的地方，也是开头丙的毛病：`.data` 一取，路就断了，末端归一化之前的参数一个梯度也没有（那张表打分时还用一次，只有它例外），优化器一声不响地跳过它们。今天写代码用不着 `.data`。
#
# 四种“别记账”的写法，看清楚再用：
#
# | 写法 | 管什么 | 改动查得出吗 | 用在哪里 |
# |---|---|---|---|
# | `t.detach()` | 一个张量：同一块内存，断开图 | 查得出 | 拿数出来画图、当作常数 |
# | `t.data` | 同上 | **查不出** | 不用 |
# | `torch.no_grad()` | 一段代码：不记账 | 查得出 | 优化器改参数、验证 |
# | `torch.inference_mode()` | 一段代码：不记账；造出的张量没有版本号，以后也不能为反向存下 | 不必查 | 生成、部署 |
# %% [markdown] key="traps-after" lang="en"
# `.data` gets around the version number: no error, and a gradient twice too large. That is what makes it dangerous, and it is also what ails the third loop of the beginning: with `.data` the road is cut, no parameter before the last normalisation has a gradient (but for the table, which is used once more for scoring), and the optimiser passes over them without a word. There is no need for `.data` in code of today.
#
# Four ways to say “keep no records”; know which is which:
#
# | written | what it governs | is a change noticed? | where to use it |
# |---|---|---|---|
# | `t.detach()` | one tensor: the same memory, cut off from the graph | yes | to take numbers out for a plot, to make a constant |
# | `t.data` | the same | **no** | nowhere |
# | `torch.no_grad()` | a stretch of code: no records | yes | optimisers that change parameters, validation |
# | `torch.inference_mode()` | a stretch of code: no records; its tensors have no version number and can never be saved for a backward | no need | generation, deployment |

# %% key="modes-run" tags=["nbval-check-output"]
w = torch.ones(2, requires_grad=True)
trials = {}
with torch.no_grad():
    trials["no_grad"] = w * 3
with torch.inference_mode():
    trials["inference_mode"] = w * 3
for name, tensor in trials.items():
    print(f"{name:15} requires_grad {tensor.requires_grad}", end="   ")
    try:
        (w * tensor).sum().backward()
        print("以后用在图里 used in a graph later: ✓")
    except RuntimeError:
        print("以后用在图里 used in a graph later: RuntimeError")
try:
    w += 1  # 叶子不许就地改 a leaf must not be changed in place
except RuntimeError as error:
    print(f"w += 1          {type(error).__name__}")
with torch.no_grad():
    w += 1  # 优化器就是这样改的 this is how optimisers do it
print("w", w.tolist())

# %% [markdown] key="layers" lang="zh"
# ## 同一层，两种写法
#
# 第 09 课的 LayerNorm：前向四行，反向的推导占了一页。把它写成 `nn.Module`，只要前向：
# %% [markdown] key="layers" lang="en"
# ## The same layer, written twice
#
# The LayerNorm of lesson 09 had four lines of forward, and its backward took a page to derive. As an `nn.Module` it is a forward and nothing else:


# %% key="layers-run"
from minillm.np import layers as np_layers
from minillm.pt import layers as pt_layers


class PlainLayerNorm(nn.Module):
    """As in lesson 09, with the backward left to autograd.  (..., D) -> (..., D)"""

    def __init__(self, d_model, eps=1e-5):
        super().__init__()  # 忘了它，参数无处登记 without it parameters have nowhere to register
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x):
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = (centred.square().mean(dim=-1, keepdim=True) + self.eps).sqrt()
        return self.weight * (centred / deviation) + self.bias


def carry(source, target):
    """The same weights for a torch module that a NumPy module has, in float64."""
    target.double().load_state_dict({name: torch.tensor(array) for name, array in source.state_dict().items()})
    return target


rng = np.random.default_rng(0)
by_us = np_layers.LayerNorm(6, dtype=float)
for p in by_us.parameters():
    p.data += rng.normal(size=p.data.shape)
data, upstream = rng.normal(size=(2, 3, 5, 6))
out, cache = by_us(data)
dx = by_us.backward(upstream, cache)
for layer in (PlainLayerNorm(6), pt_layers.LayerNorm(6), nn.LayerNorm(6)):
    carry(by_us, layer)
    x_pt = torch.tensor(data, requires_grad=True)
    kept, out_pt = saved_by(lambda layer=layer, x=x_pt: layer(x), x_pt, *layer.parameters())
    out_pt.backward(torch.tensor(upstream))
    pairs = [(out_pt.detach().numpy(), out), (x_pt.grad.numpy(), dx)]
    pairs += [(p.grad.numpy(), ours.grad) for p, ours in zip(layer.parameters(), by_us.parameters(), strict=True)]
    assert all(np.abs(theirs - ours).max() < 1e-12 for theirs, ours in pairs)
    kind = type(layer)
    home = "" if kind is PlainLayerNorm else kind.__module__.partition(".")[0] + "."
    print(f"{home + kind.__name__:18} 每个位置存 saves for each of 15 positions: {kept // 8 // 15:2} 个数 numbers")

# %% [markdown] key="layers-after" lang="zh"
# 三个的输出、对输入的梯度、对 $w$ 和 $b$ 的梯度，都和我们手写的反向相差不到 $10^{-12}$。可是价钱不同：拆开写的，每一小步各存各的；PyTorch 自带的合成一步，除了输入，每个位置只存两个数。这就是“用自带的层”的理由，不是为了少打几个字。
#
# ### 前馈和注意力
#
# 整层也一样对。左边是 `minillm.np` 手写的反向，右边是自动求导，同样的权重，随机的上游梯度：
# %% [markdown] key="layers-after" lang="en"
# The outputs of all three, their gradients by the input and by $w$ and $b$, are within $10^{-12}$ of our handwritten backward. But their prices differ: taken apart, each little step saves for itself; PyTorch's own is fused into one step and saves two numbers a position beside its input. That is the reason to use the layers that come with it, not the typing.
#
# ### Feed-forward and attention
#
# Whole layers compare the same way. On one side the handwritten backward of `minillm.np`, on the other autograd, with the same weights and a random upstream gradient:


# %% key="whole-layers" tags=["nbval-check-output"]
from minillm.np.attention import MultiHeadAttention
from minillm.np.block import FeedForward
from minillm.pt.attention import MultiHeadAttention as TorchAttention
from minillm.pt.block import FeedForward as TorchFeedForward

shape = ModelConfig(V, n_head=2, d_model=8)
rng = np.random.default_rng(0)
PAIRS = {
    "前馈 FFN": (FeedForward(shape, rng=rng, dtype=float), TorchFeedForward(shape, rng=rng)),
    "注意力 attention": (
        MultiHeadAttention(8, 2, causal=True, rng=rng, dtype=float),
        TorchAttention(8, 2, causal=True, rng=rng),
    ),
}
data, upstream = rng.normal(size=(2, 3, 5, 8))
by_hand_apart = {}
for name, (by_us, by_torch) in PAIRS.items():
    for p in by_us.parameters():
        p.data += 0.3 * rng.normal(size=p.data.shape)
    carry(by_us, by_torch)
    dx = by_us.backward(upstream, by_us(data)[1])
    x_pt = torch.tensor(data, requires_grad=True)
    by_torch(x_pt).backward(torch.tensor(upstream))
    pairs = [(x_pt.grad, dx)]
    pairs += [(p.grad, ours.grad) for p, ours in zip(by_torch.parameters(), by_us.parameters(), strict=True)]
    by_hand_apart[name] = max(np.abs(theirs.numpy() - ours).max() for theirs, ours in pairs)
    agree = bool(by_hand_apart[name] < 1e-12)
    print(f"{name}: {len(pairs)} 份梯度 gradients, 相差不到 differ by less than 1e-12: {agree}")

# %% [markdown] key="layout" lang="zh"
# ### 为什么是 (d_out, d_in)
#
# `nn.Linear(3, 4)` 的权重是 (4, 3)：每一行是一个输出的权重，$y = x W^\top + b$。minillm 一直用这个排法，所以权重能原样搬。`nn.MultiheadAttention` 把查询、键、值三个矩阵上下叠成一个 `in_proj_weight`，形状 (3D, D)，次序是 Q、K、V；我们的 `in_proj.weight` 也是。搬进去，看看输出：
# %% [markdown] key="layout" lang="en"
# ### Why (d_out, d_in)
#
# The weight of `nn.Linear(3, 4)` is (4, 3): each row holds the weights of one output, $y = x W^\top + b$. minillm has used this layout all along, so that weights can be carried over as they are. `nn.MultiheadAttention` stacks the three matrices for query, key and value into one `in_proj_weight` of shape (3D, D), in the order Q, K, V; so does our `in_proj.weight`. Carry it over, and look at the output:

# %% key="layout-run" tags=["nbval-check-output"]
print("nn.Linear(3, 4).weight", tuple(nn.Linear(3, 4).weight.shape))
ours_attention = PAIRS["注意力 attention"][0]
named = {name.replace("in_proj.", "in_proj_"): torch.tensor(a) for name, a in ours_attention.state_dict().items()}
for name, tensor in named.items():
    print(f"{name:16} {tuple(tensor.shape)}")
official = nn.MultiheadAttention(8, 2, batch_first=True).double()  # 不写 batch_first，轴的次序是 (T, B, D)
official.load_state_dict(named)
hidden = torch.tensor(data)
future = torch.ones(5, 5, dtype=torch.bool).triu(1)  # True 是遮住，和我们的相反 True masks, the opposite of ours
theirs, _ = official(hidden, hidden, hidden, attn_mask=future, need_weights=False)
apart = np.abs(theirs.detach().numpy() - ours_attention(data)[0]).max()
print("相差不到 differ by less than 1e-12:", bool(apart < 1e-12))

# %% [markdown] key="function" lang="zh"
# ## 把手写的反向交给 PyTorch
#
# 手写的反向没有白学：要给 PyTorch 添一种它没有的运算，就写一个 `torch.autograd.Function`，`forward` 存下要用的，`backward` 就是我们写惯的那一个。把第 09 课 LayerNorm 的反向搬过来：
#
# $$dx = \frac{1}{s}\Big(g - \overline{g} - \hat x\,\overline{g \hat x}\Big) \qquad g = w\,dy$$
#
# 对不对？第 06 课的中心差分，PyTorch 也有一个：`torch.autograd.gradcheck`。它也要 float64。再故意丢掉一项，看它说什么：
# %% [markdown] key="function" lang="en"
# ## Hand our backward to PyTorch
#
# The handwritten backward was not learnt in vain: to give PyTorch an operation that it does not have, write a `torch.autograd.Function`. Its `forward` saves what will be needed, and its `backward` is just the one that we are used to writing. Here is that of lesson 09's LayerNorm:
#
# $$dx = \frac{1}{s}\Big(g - \overline{g} - \hat x\,\overline{g \hat x}\Big) \qquad g = w\,dy$$
#
# Is it right? PyTorch has the central differences of lesson 06 as well: `torch.autograd.gradcheck`. It wants float64 too. Then drop a term on purpose, and see what it says:


# %% key="function-run" tags=["nbval-check-output"]
class HandLayerNorm(torch.autograd.Function):
    """w x̂, without a bias.  x (N, D), w (D,) -> (N, D)"""

    drop = False  # 丢掉最后一项 leave out the last term

    @staticmethod
    def forward(ctx, x, w):
        centred = x - x.mean(dim=-1, keepdim=True)
        rstd = (centred.square().mean(dim=-1, keepdim=True) + 1e-5).rsqrt()
        ctx.save_for_backward(centred * rstd, rstd, w)
        return centred * rstd * w

    @staticmethod
    def backward(ctx, dy):
        xhat, rstd, w = ctx.saved_tensors
        g = dy * w
        along = 0 if HandLayerNorm.drop else xhat * (g * xhat).mean(dim=-1, keepdim=True)
        dx = rstd * (g - g.mean(dim=-1, keepdim=True) - along)
        return dx, (dy * xhat).sum(dim=0)  # forward 有几个输入，就还几份 one for each input of forward


inputs = [torch.tensor(rng.normal(size=size), requires_grad=True) for size in ((4, 6), (6,))]
for HandLayerNorm.drop in (False, True):
    try:
        print("gradcheck:", torch.autograd.gradcheck(HandLayerNorm.apply, inputs))
    except RuntimeError as error:
        print("gradcheck:", str(error).splitlines()[0][:60])
HandLayerNorm.drop = False

# %% [markdown] key="listing" lang="zh"
# ## 整个孪生
#
# 零件都对上了，整个模型也就是这么长。和第 10 课的 `minillm.np` 对着读：同样的名字，同样的次序，少的是缓存和 `backward`。
# %% [markdown] key="listing" lang="en"
# ## The whole twin
#
# With all parts compared, this is the whole model. Read it beside lesson 10's of `minillm.np`: the same names in the same order; what is missing are the caches and `backward`.

# %% key="listing-gpt"
from typing import Any

from torch import Tensor

from minillm.pt import functional as F
from minillm.pt.attention import KVCache
from minillm.pt.block import Block, make_norm
from minillm.pt.embeddings import Embeddings
from minillm.pt.layers import Dropout, Linear
from minillm.pt.lm import LanguageModel


from minillm.pt.gpt import GPT  # paste

# %% [markdown] key="carry" lang="zh"
# ## 权重搬过去，再搬回来
#
# 名字一样，形状一样，搬家就是一行字典。float32 进，float32 出，一个比特也不该变：
# %% [markdown] key="carry" lang="en"
# ## Carry the weights over, and back
#
# With equal names and equal shapes, moving is one line with a dict. float32 goes in, float32 comes out, and not a bit should change:

# %% key="carry-run" tags=["nbval-check-output"]
from minillm.np.gpt import GPT as NumpyGPT

by_us = NumpyGPT(small, rng=np.random.default_rng(5))
by_torch = TorchGPT(small, rng=np.random.default_rng(6))
by_torch.load_state_dict({name: torch.tensor(array) for name, array in by_us.state_dict().items()})

logits = by_us(x)[0]
with torch.no_grad():
    logits_pt = by_torch(ids_pt)
logit_apart = float(np.abs(logits_pt.numpy() - logits).max())

returned = NumpyGPT(small, rng=np.random.default_rng(7))
returned.load_state_dict({name: tensor.numpy() for name, tensor in by_torch.state_dict().items()})
unchanged = all(np.array_equal(returned.state_dict()[name], array) for name, array in by_us.state_dict().items())
print(f"{len(by_us.state_dict())} 份权重 weights;  logits {logits.shape}")
print("logit 相差不到 differ by less than 1e-5:", logit_apart < 1e-5)
print("去了又回，一个比特不变 there and back, not a bit changed:", unchanged)

# %% [markdown] key="files" lang="zh"
# 存成文件也一样。minillm 的检查点两边都能读写：文件里只有名字、形状和数，不管是谁写的。用 NumPy 存，用 PyTorch 读：
# %% [markdown] key="files" lang="en"
# It is no different with files. Both sides read and write minillm's checkpoints: a file holds names, shapes and numbers, whoever wrote it. Save with NumPy, load with PyTorch:

# %% key="files-run" tags=["nbval-check-output"]
import tempfile
from pathlib import Path

from minillm import checkpoint
from minillm.backend import Backend

with tempfile.TemporaryDirectory() as place:
    folder = Path(place) / "run"
    run = checkpoint.Run(small, TrainConfig(), tokenizer)
    checkpoint.begin(folder)
    checkpoint.save_run(folder, run)
    checkpoint.save_model(folder, Backend("np").weights(by_us), run, step=0)
    print(sorted(path.name for path in folder.iterdir()))
    _, loaded = Backend("pt", device="cpu").load(folder)
with torch.no_grad():
    print(type(loaded).__module__, " 同样的 the same logits:", bool(torch.equal(loaded(ids_pt), logits_pt)))

# %% [markdown] key="curve" lang="zh"
# ## 同一条训练曲线
#
# 现在让两边一起训练：同样的种子，所以同样的起点；同样的批次，同样的学习率。`minillm.np.train` 和 `minillm.pt.train` 各走各的，每一步记下两边的损失，再量两边的权重相差多远：
#
# $$\text{distance} = \frac{\lVert \theta_{\text{NumPy}} - \theta_{\text{PyTorch}} \rVert}{\lVert \theta_{\text{NumPy}} \rVert}$$
#
# 用 float32 训练一遍，再用 float64 训练一遍。还有第三对，是个对照：NumPy 对 NumPy，只是其中一个，起步时把**一个**权重挪到相邻的下一个浮点数。
# %% [markdown] key="curve" lang="en"
# ## The same training curve
#
# Now both train together: the same seed, hence the same start; the same batches, the same learning rate. `minillm.np.train` and `minillm.pt.train` go their own ways; at each step we note both losses and measure how far the weights are apart:
#
# $$\text{distance} = \frac{\lVert \theta_{\text{NumPy}} - \theta_{\text{PyTorch}} \rVert}{\lVert \theta_{\text{NumPy}} \rVert}$$
#
# Once in float32, once in float64. A third pair is for control: NumPy against NumPy, but at the start **one** weight of one of them is moved to the next floating-point number.


# %% key="curve-run"
from minillm.data.batches import random_batch
from minillm.data.corpora import token_stream
from minillm.np.train import Trainer as NumpyTrainer
from minillm.pt.train import Trainer as TorchTrainer

STEPS = 200
stream = token_stream(corpus.train, tokenizer)
plan = TrainConfig(steps=STEPS, batch_size=8, lr=4e-3)


def trainer_of(side, dtype):
    rng = np.random.default_rng(0)
    if side == "np":
        return NumpyTrainer(NumpyGPT(small, rng=rng, dtype=dtype), plan, copies=1)
    return TorchTrainer(TorchGPT(small, rng=rng, dtype=getattr(torch, dtype)), plan)


def weights_of(trainer):
    return np.concatenate([np.asarray(weight).ravel() for weight in trainer.model.state_dict().values()])


def together(one, other):
    """Train both on the same batches. -> losses (STEPS, 2), distances (STEPS,)"""
    losses, distances = [], []
    for step in range(STEPS):
        batch = random_batch(stream, small.context, plan.batch_size, 0, step)
        losses.append([trainer.step(*batch, step).loss for trainer in (one, other)])
        here, there = weights_of(one), weights_of(other)
        distances.append(np.linalg.norm(here - there) / np.linalg.norm(here))
    return np.array(losses), np.array(distances)


nudged = trainer_of("np", "float32")
matrix = nudged.model.blocks[0].ffn.linear1.weight.data
matrix[0, 0] = np.nextafter(matrix[0, 0], np.float32(1))
twins = trainer_of("np", "float32"), trainer_of("pt", "float32")
pairs = {
    "float32: NumPy, PyTorch": together(*twins),
    "float32: NumPy, NumPy + 1 ulp": together(trainer_of("np", "float32"), nudged),
    "float64: NumPy, PyTorch": together(trainer_of("np", "float64"), trainer_of("pt", "float64")),
}
for name, (_, distances) in pairs.items():
    print(f"{name:30}", "  ".join(f"{step + 1}: {distances[step]:.0e}" for step in (0, 9, 49, 99, 199)))

# %% key="curve-picture"
panels = viz.new_axes(9, 3.7, columns=2)
losses = pairs["float32: NumPy, PyTorch"][0]
panels[0].plot(losses[:, 0], color=viz.COLOURS[0], linewidth=4, alpha=0.45, label="NumPy")
panels[0].plot(losses[:, 1], color=viz.COLOURS[1], linewidth=1, label="PyTorch")
panels[0].set(xlabel="步数 step", ylabel="损失（奈特） loss (nats)")
for (name, (_, distances)), colour in zip(pairs.items(), viz.COLOURS, strict=False):
    panels[1].semilogy(np.maximum(distances, 1e-18), color=colour, label=name)
for eps in (np.finfo(np.float32).eps, np.finfo(np.float64).eps):
    panels[1].axhline(eps, color="0.5", linestyle=":", linewidth=1)
panels[1].set(xlabel="步数 step", ylabel="权重相差（相对） weights apart, relative", ylim=(1e-18, 1))
for ax in panels:
    ax.grid(alpha=0.25)
    ax.legend(edgecolor="none", fontsize=8)
viz.show(
    panels,
    alt="两条损失曲线重合；权重的差从舍入误差开始慢慢变大 two loss curves coincide; the weights drift from rounding",
)

# %% [markdown] key="curve-after" lang="zh"
# 左图，两条曲线叠在一起，分不出彼此。右图的点线是两种精度的 $\varepsilon$：差距从那里开始，一步步变大，两百步以后放大了上万倍。float64 的曲线形状一样，连哪一步忽然变陡都一样，只是整条低了九个数量级。
#
# 是 PyTorch 算得不准吗？看那条对照：NumPy 和它自己，只差一个权重的最后一位，后来也分开了，分得一样远。所以不是谁对谁错：**训练会放大舍入误差**，谁也逃不掉。那最初的一点点差从哪里来？加法的次序：
# %% [markdown] key="curve-after" lang="en"
# In the picture on the left two curves lie on top of each other and cannot be told apart. On the right the dotted lines are the $\varepsilon$ of the two precisions: that is where the difference starts; step by step it grows, and after two hundred steps it is more than ten thousand times as large. The curve of float64 has the same shape, and even turns steep at the same step, only nine orders of magnitude lower.
#
# Is PyTorch inexact? Look at the control: NumPy against itself, the last digit of a single weight apart, drifts off just as far. So neither is wrong: **training amplifies rounding errors**, and nobody escapes. And where does the first little difference come from? From the order of a sum:

# %% key="sums-run"
a, b, c = np.float32(1e8), np.float32(-1e8), np.float32(1)
print("(a + b) + c =", float((a + b) + c), "    a + (b + c) =", float(a + (b + c)))

numbers = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
exact = math.fsum(numbers.tolist())
one_by_one = np.float32(0)
for number in numbers:
    one_by_one += number
orders = {
    "从头到尾 first to last": one_by_one,
    "两两相加 pairwise (NumPy)": numbers.sum(),
    "从大到小 large to small": np.cumsum(np.sort(numbers)[::-1])[-1],
}
for name, total in orders.items():
    print(f"{name}: 误差 error {abs(float(total) - exact):.0e}")

# %% [markdown] key="sums-after" lang="zh"
# 浮点数的加法不守结合律。NumPy 和 PyTorch 的矩阵乘法切成不同的小块，加的次序不同，末位就不同；换一台机器、换几个线程，也会不同。所以：
#
# - 比较两个实现，用 float64，一步，随机的上游梯度。差 $10^{-12}$ 是舍入，差 $10^{-4}$ 是错误。
# - 比较两条训练曲线，看头几步，再看它们是不是一样地好；不要指望第一千步还一位不差。
#
# 头几步里，差得最多的是哪些权重？有一个意外：
# %% [markdown] key="sums-after" lang="en"
# Floating-point addition is not associative. The matrix products of NumPy and PyTorch are cut into different blocks and add in another order, so the last digit differs; it also does on another machine, or with another number of threads. Therefore:
#
# - To compare two implementations, take float64, one step, and a random upstream gradient. A difference of $10^{-12}$ is rounding, one of $10^{-4}$ is a mistake.
# - To compare two training curves, look at the first steps, and then whether they are equally good; do not expect the thousandth step to agree in every digit.
#
# Which weights differ most in the first steps? There is a surprise:

# %% key="keys-run" tags=["nbval-check-output"]
pair = trainer_of("np", "float64"), trainer_of("pt", "float64")
for step in range(5):
    batch = random_batch(stream, small.context, plan.batch_size, 0, step)
    for trainer in pair:
        trainer.step(*batch, step)
bias, bias_pt = (dict(t.model.named_parameters())["blocks.0.attn.in_proj.bias"] for t in pair)
D = small.d_model
parts = {"查询 query": slice(0, D), "键 key": slice(D, 2 * D), "值 value": slice(2 * D, 3 * D)}
key_share = {}
for name, rows in parts.items():
    difference = np.abs(bias.data - bias_pt.detach().numpy())[rows].max()
    key_share[name] = difference
    size = np.abs(bias.grad[rows]).max()
    print(f"{name}: 偏置的梯度 gradient of its bias below 1e-15 {bool(size < 1e-15)}")
print("差得最多的是键 the key differs most:", max(key_share, key=key_share.get) == "键 key")

# %% [markdown] key="keys-after" lang="zh"
# 键的偏置，梯度**恰好是零**：它给一个查询的所有分数加上同一个数，softmax 不变（第 05 课）。算出来的不是零，是 $10^{-17}$ 的舍入。可是 AdamW 把梯度除以 $\sqrt{v} + \epsilon$，这里 $v$ 几乎是零，噪声于是放大到 $\eta / \epsilon$，最多四十万倍，两边各走各的噪声。它对输出毫无影响，只是让“权重相差”比“损失相差”难看。知道了这一点，以后看见两个模型只在这里不同，就不用慌。
#
# ### 快慢
#
# 同一个模型，轮流各走一步，取中位数。快慢看机器、看线程、看模型大小，所以不设范围：
# %% [markdown] key="keys-after" lang="en"
# The gradient of the key's bias is **exactly zero**: it adds the same number to all scores of a query, and softmax stays (lesson 05). What is computed is not zero but rounding, some $10^{-17}$. AdamW, however, divides a gradient by $\sqrt{v} + \epsilon$, and with a $v$ of nearly zero noise is multiplied by $\eta / \epsilon$, up to four hundred thousand, and each side follows its own noise. Outputs are not touched at all; it only makes the weights look further apart than the losses. Once you know, two models that differ in this place alone need not alarm you.
#
# ### How fast?
#
# The same model, a step on each side in turn, and the medians. Speed depends on the machine, the threads and the size of the model, so there is no range:

# %% key="speed-run" tags=["nbval-ignore-output"]
import time

times = {"np": [], "pt": []}
racers = [trainer_of(side, "float32") for side in times]
for step in range(30):
    batch = random_batch(stream, small.context, plan.batch_size, 1, step)
    for side, trainer in zip(times, racers, strict=True):
        begin = time.perf_counter()
        trainer.step(*batch, step)
        times[side].append(time.perf_counter() - begin)
ratio = np.median(times["np"]) / np.median(times["pt"])
print(f"NumPy 一步的时间 ÷ PyTorch 一步的时间 NumPy's step over PyTorch's: {ratio:.2f}")

# %% [markdown] key="reader" lang="zh"
# 小于 1，就是 NumPy 快。CPU 上两边做的是同样的矩阵乘法，而 PyTorch 每个运算还要派活、记账；模型这么小，这点零头就看得出来，模型一大就看不见了（README 的表里两边都量过）。PyTorch 真正的本钱在别处：同一段代码搬到 GPU 上（第 14 课），以及反向一行也不用写。
#
# ## 在中文上
#
# 训练过的 PyTorch 模型，权重搬给 NumPy。给两边读“我爱北京天安门”，问每个字有多出人意料（$-\ln p$），再各写一段，用同样的种子：
# %% [markdown] key="reader" lang="en"
# Below 1, NumPy is the faster. On a CPU both do the same matrix products, and PyTorch also has to dispatch and record each operation; in a model this small that shows, in a larger one it is lost in the products (the README's table measures both). PyTorch's real advantage lies elsewhere: the same code moves to a GPU (lesson 14), and no backward has to be written.
#
# ## On Chinese text
#
# Carry the weights of the trained PyTorch model over to NumPy. Let both read 我爱北京天安门 (“I love Tiananmen in Beijing”) and say how surprising each character is ($-\ln p$), then write a piece, with the same seed:

# %% key="reader-run"
from minillm.np import functional as NF
from minillm.train import sample_text

trained = twins[1].model
numpy_trained = NumpyGPT(small, rng=np.random.default_rng(0))
numpy_trained.load_state_dict({name: tensor.numpy() for name, tensor in trained.state_dict().items()})

sentence = "我爱北京天安门"
asked = np.array([[tokenizer.eos_id, *tokenizer.encode(sentence)]])
with torch.no_grad():
    log_p = torch.log_softmax(trained(torch.tensor(asked)), dim=-1)[0].numpy()
log_p_np = np.log(NF.softmax(numpy_trained(asked)[0][0])[0])
print("      NumPy   PyTorch")
for place, char in enumerate(sentence):
    print(f"{char}  {-log_p_np[place, asked[0, place + 1]]:7.3f} {-log_p[place, asked[0, place + 1]]:9.3f}")
written = [sample_text(model, tokenizer, sentence, 30, seed=0) for model in (numpy_trained, trained)]
for name, text in zip(("NumPy  ", "PyTorch"), written, strict=True):
    print(name, text.replace("\n", "｜"))

# %% [markdown] key="play" lang="zh"
# 才学了两百步，写的还不成话，可是两边读的、写的都一样。
#
# ## 动手玩：一格一格往回走
#
# 拖动“第几步”，看 `backward()` 走到哪一格、那时各处的梯度是多少。换一换 $w$ 和 $b$：$w$ 是多少的时候，两份梯度正好抵消？把 $b$ 推到很大，tanh 那一格过去的梯度怎么了？
# %% [markdown] key="play" lang="en"
# After two hundred steps it is no language yet, but both read and write the same.
#
# ## Play: back, cell by cell
#
# Move “step” to see which cell `backward()` has reached, and what the gradients are by then. Change $w$ and $b$: for which $w$ do the two gradients cancel? Push $b$ far up: what happens to the gradient behind the tanh?

# %% key="play-run"
from minillm.widgets import Slider, play


def draw(step, w, b):
    values = fresh_neuron(w, b)
    return draw_backward(visits_of(values), values, until=step)


play(
    draw,
    step=Slider(1, 9, 1, value=5, label="第几步 step"),
    w=Slider(-1.0, 1.0, 0.1, value=0.5, label="w"),
    b=Slider(-3.0, 3.0, 0.5, value=-0.5, label="b"),
    alt="反向走到第五格 the backward has reached the fifth cell",
)

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 存下的字节是数出来的，只差交叉熵的那 4 个字节。手写的反向和自动求导，float64 里只差舍入。甲踩在 0.13 的底上，其余三个离它很远。训练曲线的差距，我们换过三颗种子：两百步后 float32 在 3e-5 到 2e-3 之间，float64 在 1e-13 到 2e-12 之间；别的机器加的次序不同，所以范围要宽得多。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The bytes saved are counted, and off by those 4 of cross-entropy only. Handwritten backward and autograd differ by rounding in float64. The first loop stands on the floor of 0.13, and the other three are far from it. For the distance of the training runs we tried three seeds: after two hundred steps it was 3e-5 to 2e-3 in float32 and 1e-13 to 2e-12 in float64; other machines add in another order, so the ranges are a good deal wider.

# %% key="bands-run"
fused = attention_kept["合成一步 fused"]
others = [losses[-1] for name, losses in versions.items() if name != "甲 first"]
band("存下的，比公式 saved over formula", saved_ratio[64], 1.0, 1.0001)
band("合成的注意力，长度加倍 fused attention, twice the length", fused[-1] / fused[-2], 1.99, 2.01)
band("手写与自动相差 by hand and autograd apart", max(by_hand_apart.values()), 0.0, 1e-12)
band("搬家后 logit 相差 logits apart after moving", logit_apart, 0.0, 1e-5)
band("甲 the first loop", versions["甲 first"][-1], 0.12, 0.25)
band("其余最好的 the best of the others", min(others), 1.0, 7.2)
band("200 步后相差 apart after 200 steps, float32", pairs["float32: NumPy, PyTorch"][1][-1], 1e-7, 0.1)
band("200 步后相差 apart after 200 steps, float64", pairs["float64: NumPy, PyTorch"][1][-1], 1e-16, 1e-9)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# 现在回头看开头的四行。
#
# **softmax 之后再算交叉熵**（乙）。`cross_entropy` 要的是 logit，它自己会做 softmax。给它概率，等于做了两次。概率最大是 1，最小是 0，所以第二次 softmax 之后，正确的字最多只能得到 $\frac{e}{e + V - 1}$：
#
# $$\text{loss} \ge \ln(e + V - 1) - 1$$
#
# 乙不是学得慢，是有一道它永远过不去的坎。
#
# **忘了 `zero_grad`**（丁）。`AccumulateGrad` 是加，不是写；一张图里要靠它把分岔的梯度加起来，两步之间就得有人清零。
#
# **`.data`**（丙）。路断了，没有人说一声。查的办法：反向之后，看看谁的 `.grad` 还是 `None`。
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# Now look back at the four lines of the beginning.
#
# **Softmax before cross-entropy** (the second). `cross_entropy` wants logits and does the softmax itself. Give it probabilities, and softmax is done twice. A probability is at most 1 and at least 0, so after the second softmax the right character can get no more than $\frac{e}{e + V - 1}$:
#
# $$\text{loss} \ge \ln(e + V - 1) - 1$$
#
# The second loop is not slow; there is a bar that it can never pass.
#
# **Forgetting `zero_grad`** (the fourth). `AccumulateGrad` adds and does not overwrite; within a graph that is how the gradients of a fork come together, and between two steps somebody must clear.
#
# **`.data`** (the third). The road is cut and nobody says so. How to find out: after the backward, see whose `.grad` is still `None`.

# %% key="mistakes-run" tags=["nbval-check-output"]
bar = math.log(math.e + V - 1) - 1
print(f"乙过不去的坎 the bar of the second: {bar:.3f}    乙 above it: {versions['乙 second'][-1] > bar}")

w = torch.tensor(3.0, requires_grad=True)
seen = []
for _ in range(3):
    (w * w).backward()  # 每次都是 6 it is 6 each time
    seen.append(w.grad.item())
print("没有清零的 w.grad without clearing:", seen)

cut = TorchGPT(small, rng=np.random.default_rng(0))
cut.norm.register_forward_pre_hook(lambda layer, inputs: inputs[0].data)
nn.functional.cross_entropy(cut(ids_pt).flatten(0, 1), answers_pt.flatten()).backward()
missing = [name for name, p in cut.named_parameters() if p.grad is None]
print(
    f"丙：{len(missing)} 份参数没有梯度 parameters without a gradient, of {len(list(cut.parameters()))}: {missing[0]} …"
)

# %% [markdown] key="mistakes-dims" lang="zh"
# **轴放错了。** `cross_entropy` 把第 1 个轴当作类别。我们的 logit 是 (B, T, V)，类别在最后：要么 `flatten(0, 1)`，要么 `transpose(1, 2)`。用 `reshape` 凑成 (B, V, T) 也跑得通，可是数全乱了：形状对，不等于轴对。
#
# **答案写成独热。** 有的框架有两个交叉熵，一个收编号，一个收独热，弄反了就错。PyTorch 的一个两样都收：整数当编号，小数当概率。
#
# **把损失攒成张量。** `total += loss` 会拖住每一步的整张图；要的只是一个数，用 `loss.item()`。在 GPU 上，`.item()` 还要等它算完，所以也别每一小步都叫。
#
# **`no_grad` 放错了地方。** 训练放在里面，`backward()` 当场报错，还算好；验证忘了放在里面，什么错也不报，只是白白存下一整张图，内存忽然不够了。
# %% [markdown] key="mistakes-dims" lang="en"
# **The wrong axis.** `cross_entropy` takes axis 1 for the classes. Our logits are (B, T, V) with the classes last: either `flatten(0, 1)` or `transpose(1, 2)`. Forcing them into (B, V, T) with `reshape` runs as well, and scrambles everything: the right shape is not the right axis.
#
# **Answers as one-hot.** Some frameworks have two cross-entropies, one for ids and one for one-hot rows, and mixing them up is a mistake. PyTorch's takes both: integers are ids, fractions are probabilities.
#
# **Summing up losses as tensors.** `total += loss` holds on to the whole graph of each step; all that is wanted is a number, so write `loss.item()`. On a GPU `.item()` has to wait until it has finished, so do not call it at every little step either.
#
# **`no_grad` in the wrong place.** With training inside it `backward()` raises an error at once, which is the good case; with validation left outside there is no error at all, only a whole graph stored for nothing, and suddenly the memory is full.

# %% key="mistakes-dims-run"
import weakref

cross_entropy = nn.functional.cross_entropy
with torch.no_grad():
    scores = trained(ids_pt)  # (B, T, V)
one_hot = nn.functional.one_hot(answers_pt, V).float()
ways = {
    "flatten(0, 1)": (scores.flatten(0, 1), answers_pt.flatten()),
    "transpose(1, 2)": (scores.transpose(1, 2), answers_pt),
    "独热 one-hot": (scores.flatten(0, 1), one_hot.flatten(0, 1)),
    "reshape(B, V, T)": (scores.reshape(8, V, 16), answers_pt),
}
for name, given in ways.items():
    print(f"{name:18} {cross_entropy(*given).item():.3f}")

alive = weakref.WeakSet()


def watched(tensor):
    copy = tensor.detach().clone()
    alive.add(copy)
    return copy


for name, read in {"total += loss": lambda loss: loss, "total += loss.item()": lambda loss: loss.item()}.items():
    total = 0.0
    with torch.autograd.graph.saved_tensors_hooks(watched, lambda tensor: tensor):
        for _ in range(4):
            total += read(cross_entropy(trained(ids_pt).flatten(0, 1), answers_pt.flatten()))
    print(f"{name:22} 还拖着 still holds on to {len(alive)} 个张量 tensors")

# %% [markdown] key="sources" lang="zh"
# ## 记住三句话
#
# 1. PyTorch 替你做的，是磁带：前向时每一步记下反向要用的张量，`backward()` 从最年轻的一格往回走，把梯度**加**进 `.grad`。
# 2. 它存什么，数得出来；合成的一步存得少，因为反向时再算一遍。
# 3. 两个实现对不对，用 float64 比一步；训练久了会分开的，是舍入，不是错。
#
# ## 出处
#
# - A. Paszke, S. Gross, S. Chintala, G. Chanan, E. Yang, Z. DeVito, Z. Lin, A. Desmaison, L. Antiga, A. Lerer (2017). Automatic differentiation in PyTorch. NIPS 2017 Autodiff Workshop. 磁带、版本号、只留要用的。
# - A. Paszke et al. (2019). PyTorch: An Imperative Style, High-Performance Deep Learning Library. NeurIPS. [arXiv 1912.01703](https://arxiv.org/abs/1912.01703).
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré (2022). FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness. NeurIPS. [arXiv 2205.14135](https://arxiv.org/abs/2205.14135). 不存注意力的表，反向时重算。
# - D. Goldberg (1991). What Every Computer Scientist Should Know About Floating-Point Arithmetic. ACM Computing Surveys 23 (1), 5–48. 加法为什么不守结合律。
# - PyTorch. Autograd mechanics. [docs.pytorch.org](https://docs.pytorch.org/docs/stable/notes/autograd.html). 自动求导存下的张量、就地修改、不记账的几种方式。
# %% [markdown] key="sources" lang="en"
# ## Three sentences to keep
#
# 1. What PyTorch does for you is a tape: forward notes for each step the tensors that its backward needs, and `backward()` goes back from the youngest cell and **adds** the gradients to `.grad`.
# 2. What it stores can be counted; a fused step stores less because it computes again on the way back.
# 3. Whether two implementations agree, ask in float64 and for one step; what parts them after long training is rounding, not a mistake.
#
# ## Sources
#
# - A. Paszke, S. Gross, S. Chintala, G. Chanan, E. Yang, Z. DeVito, Z. Lin, A. Desmaison, L. Antiga, A. Lerer (2017). Automatic differentiation in PyTorch. NIPS 2017 Autodiff Workshop. The tape, version numbers, keeping only what is needed.
# - A. Paszke et al. (2019). PyTorch: An Imperative Style, High-Performance Deep Learning Library. NeurIPS. [arXiv 1912.01703](https://arxiv.org/abs/1912.01703).
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré (2022). FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness. NeurIPS. [arXiv 2205.14135](https://arxiv.org/abs/2205.14135). The table of attention is not stored but computed again in the backward.
# - D. Goldberg (1991). What Every Computer Scientist Should Know About Floating-Point Arithmetic. ACM Computing Surveys 23 (1), 5–48. Why addition is not associative.
# - PyTorch. Autograd mechanics. [docs.pytorch.org](https://docs.pytorch.org/docs/stable/notes/autograd.html). Saved tensors, changes in place, ways to keep no records.

# %% [markdown] key="ex-grad-after" lang="zh" exercise="grad_after"
# ### 练习 1　`.grad` 里是多少
#
# 一个参数 $w$，损失是 $(w x)^2$。循环一遍一遍地走：`cleared[i]` 是 True 的那一遍，**先**叫 `zero_grad`，再算 `xs[i]` 的损失，再 `backward()`；是 False 的就不清零。参数一直没有动。走完以后，`w.grad` 是多少？不用 PyTorch，自己算。
# %% [markdown] key="ex-grad-after" lang="en" exercise="grad_after"
# ### Exercise 1: What is in `.grad`?
#
# One parameter $w$ with the loss $(w x)^2$. A loop goes round and round: where `cleared[i]` is True it calls `zero_grad` **first**, then computes the loss of `xs[i]`, then `backward()`; where it is False nothing is cleared. The parameter never moves. What is `w.grad` in the end? Work it out without PyTorch.


# %% key="ex-grad-after-code" exercise="grad_after" kind="predict" difficulty=1 minutes=8 points=1
def grad_after(w: float, xs: list[float], cleared: list[bool]) -> float:
    """`w.grad` after the loop."""
    ### BEGIN SOLUTION
    grad = 0.0
    for x, clear in zip(xs, cleared, strict=True):
        grad = (0.0 if clear else grad) + 2 * w * x * x
    return grad
    ### END SOLUTION


# %% key="ex-grad-after-check" exercise="grad_after"
check(grad_after)

# %% [markdown] key="ex-training-step" lang="zh" exercise="training_step"
# ### 练习 2　修好一步训练
#
# 下面是一步训练，跑得通，却学不好：它有课文开头的两种毛病，返回的东西也不对。修好它：改好 `model` 的参数，返回这一步的损失，一个普通的小数。`model(ids)` 给出 (B, T, V) 的 logit，`answers` 是 (B, T) 的编号。
# %% [markdown] key="ex-training-step" lang="en" exercise="training_step"
# ### Exercise 2: Mend a training step
#
# Here is a training step that runs and does not learn well: it has two of the faults of the beginning, and what it returns is not right either. Mend it: it is to change the parameters of `model` and return the loss of this step as an ordinary float. `model(ids)` gives logits (B, T, V), and `answers` holds ids (B, T).


# %% key="ex-training-step-code" exercise="training_step" kind="repair" difficulty=2 minutes=10 points=2
def training_step(model, optimiser, ids, answers) -> float:
    """One step: the mean loss in nats, before the update."""
    ### BEGIN SOLUTION
    loss = nn.functional.cross_entropy(model(ids).flatten(0, 1), answers.flatten())
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
    ### END SOLUTION
    ### BEGIN STUB
    # scores = model(ids).softmax(dim=-1)
    # loss = nn.functional.cross_entropy(scores.flatten(0, 1), answers.flatten())
    # loss.backward()
    # optimiser.step()
    # return loss
    ### END STUB


# %% key="ex-training-step-check" exercise="training_step"
check(training_step)

# %% [markdown] key="ex-carry-over" lang="zh" exercise="carry_over"
# ### 练习 3　搬进官方的注意力
#
# 别人的 NumPy 代码写的是 `q = x @ wq`，矩阵都是 (D, D)，排成 (d_in, d_out)，没有偏置，输出是 `heads @ wo`。造一个字典，让 `torch.nn.MultiheadAttention(D, H, bias=False)` 的 `load_state_dict` 收得下，算出来一样。它有两个键：`in_proj_weight` 和 `out_proj.weight`，要 float32 的张量；以后改动张量，不许把别人的数组也改了。
# %% [markdown] key="ex-carry-over" lang="en" exercise="carry_over"
# ### Exercise 3: Move into the official attention
#
# Someone else's NumPy code says `q = x @ wq`; all matrices are (D, D) in the layout (d_in, d_out), there are no biases, and the output is `heads @ wo`. Make a dict that `load_state_dict` of `torch.nn.MultiheadAttention(D, H, bias=False)` takes, so that it computes the same. It has two keys, `in_proj_weight` and `out_proj.weight`, and wants float32 tensors; a later change of the tensors must not change the other code's arrays.


# %% key="ex-carry-over-code" exercise="carry_over" kind="implement" difficulty=2 minutes=12 points=2
def carry_over(wq, wk, wv, wo) -> dict:
    """wq, wk, wv, wo (D, D) NumPy, (d_in, d_out) -> {"in_proj_weight": (3D, D), "out_proj.weight": (D, D)}"""
    ### BEGIN SOLUTION
    stacked = np.concatenate([wq.T, wk.T, wv.T])
    return {
        "in_proj_weight": torch.tensor(stacked, dtype=torch.float32),
        "out_proj.weight": torch.tensor(wo.T, dtype=torch.float32),
    }
    ### END SOLUTION


# %% key="ex-carry-over-check" exercise="carry_over"
check(carry_over)

# %% [markdown] key="ex-rms-norm-backward" lang="zh" exercise="rms_norm_backward"
# ### 练习 4　给自己的运算写反向
#
# 第 09 课的 RMSNorm，做成一个 `torch.autograd.Function`。`forward` 已经写好，存下了 $\hat x$、$1/s$ 和 $w$：
#
# $$y = w \hat x \qquad \hat x = x / s \qquad s = \sqrt{\overline{x^2} + \epsilon}$$
#
# 请写它的 `backward`：`ctx.saved_tensors` 里依次是这三样，`dy` 是上游梯度；按 `forward` 的输入的次序还两份梯度，对 $x$ 的和对 $w$ 的。用张量，不用 NumPy。
# %% [markdown] key="ex-rms-norm-backward" lang="en" exercise="rms_norm_backward"
# ### Exercise 4: A backward for an operation of your own
#
# RMSNorm of lesson 09 as a `torch.autograd.Function`. Its `forward` is written and saves $\hat x$, $1/s$ and $w$:
#
# $$y = w \hat x \qquad \hat x = x / s \qquad s = \sqrt{\overline{x^2} + \epsilon}$$
#
# Write its `backward`: `ctx.saved_tensors` holds these three in this order, `dy` is the upstream gradient; give back two gradients in the order of the inputs of `forward`, by $x$ and by $w$. Use tensors, not NumPy.


# %% key="ex-rms-norm-backward-code" exercise="rms_norm_backward" kind="implement" difficulty=3 minutes=15 points=3
def rms_norm_backward(ctx, dy):
    """dy (N, D); ctx.saved_tensors: xhat (N, D), rstd (N, 1), w (D,) -> dx (N, D), dw (D,)"""
    ### BEGIN SOLUTION
    xhat, rstd, w = ctx.saved_tensors
    g = dy * w
    dx = rstd * (g - xhat * (g * xhat).mean(dim=-1, keepdim=True))
    return dx, (dy * xhat).sum(dim=0)
    ### END SOLUTION


# %% key="ex-rms-norm-backward-use" exercise="rms_norm_backward"
class OurRMSNorm(torch.autograd.Function):
    """x (N, D), w (D,) -> (N, D).  After check passes: torch.autograd.gradcheck(OurRMSNorm.apply, (x, w))"""

    @staticmethod
    def forward(ctx, x, w):
        rstd = (x.square().mean(dim=-1, keepdim=True) + 1e-5).rsqrt()
        ctx.save_for_backward(x * rstd, rstd, w)
        return x * rstd * w

    backward = staticmethod(rms_norm_backward)


# %% key="ex-rms-norm-backward-check" exercise="rms_norm_backward"
check(rms_norm_backward)

# %% [markdown] key="ex-saved-bytes" lang="zh" exercise="saved_bytes"
# ### 练习 5　它存了多少字节
#
# 自己写课文里的量具：调用 `function(x)`，数一数自动求导为它的反向一共留住多少**字节**的内存。同一块内存只算一次，哪怕存了几遍，或者存的只是它的一部分（`untyped_storage()` 给出整块）；`x` 自己的那块不算。
# %% [markdown] key="ex-saved-bytes" lang="en" exercise="saved_bytes"
# ### Exercise 5: How many bytes does it keep?
#
# Write the lesson's measuring instrument yourself: call `function(x)` and count how many **bytes** of memory autograd keeps for its backward. A piece of memory counts once, even if it is saved several times, or only a part of it is (`untyped_storage()` gives the whole piece); that of `x` itself does not count.


# %% key="ex-saved-bytes-code" exercise="saved_bytes" kind="implement" difficulty=4 minutes=15 points=3
def saved_bytes(function, x) -> int:
    """Bytes kept for the backward of function(x), beside x."""
    ### BEGIN SOLUTION
    pieces = {}

    def pack(tensor):
        memory = tensor.untyped_storage()
        pieces[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(x)
    pieces.pop(x.untyped_storage().data_ptr(), None)
    return sum(pieces.values())
    ### END SOLUTION


# %% key="ex-saved-bytes-check" exercise="saved_bytes"
check(saved_bytes)

# %% [markdown] key="ex-first-parting" lang="zh" exercise="first_parting"
# ### 练习 6　从哪一层开始不一样
#
# 你把别人的模型搬进 PyTorch，输出对不上。办法是一层一层地比：`ours` 按计算的次序存着每一层的输出（NumPy 数组），`theirs` 是同名的张量，次序不一定相同。返回**第一个**对不上的名字；都对得上，返回 `None`。“对得上”是说：最大的差不超过 `tolerance` 乘以这一层（`ours`）绝对值最大的数。形状不同、出现 `nan`、缺了这一层，都算对不上。
# %% [markdown] key="ex-first-parting" lang="en" exercise="first_parting"
# ### Exercise 6: From which layer on do they differ?
#
# You have moved somebody's model to PyTorch, and the outputs do not agree. The way to find out is layer by layer: `ours` holds the output of each layer (NumPy arrays) in the order of computation, `theirs` holds tensors under the same names, perhaps in another order. Return the **first** name that does not agree, or `None` if all do. “Agree” means: the largest difference is at most `tolerance` times the largest absolute value of this layer (of `ours`). Another shape, a `nan`, or a layer that is missing do not agree either.


# %% key="ex-first-parting-code" exercise="first_parting" kind="extend" difficulty=3 minutes=12 points=2
def first_parting(ours: dict, theirs: dict, tolerance: float = 1e-5) -> str | None:
    """ours: name -> NumPy array, theirs: name -> tensor, perhaps with a graph."""
    ### BEGIN SOLUTION
    for name, array in ours.items():
        if name not in theirs or theirs[name].shape != array.shape:
            return name
        difference = np.abs(theirs[name].detach().numpy() - array).max()
        if not difference <= tolerance * np.abs(array).max():  # false for nan too
            return name
    return None
    ### END SOLUTION


# %% key="ex-first-parting-check" exercise="first_parting"
check(first_parting)
