# ---
# minillm:
#   title: {zh: "反向传播", en: "Backpropagation"}
#   question:
#     zh: "模型有许多参数：怎样往回走一遍，就知道每一个该往哪边动、动多少？"
#     en: "A model has many parameters: how does one walk backwards tell which way each should move, and how far?"
#   minutes: 75
#   seconds: 40
#   needs: ["05"]
#   runs: NP
# ---

# %% key="setup"
from minillm.notebook import setup

check = setup("06")

# %% key="imports" both=true
import math

import numpy as np

from minillm.np.param import Array

# %% [markdown] key="problem" lang="zh"
# ## 先看问题
#
# 第 05 课的梯度是在纸上推出来的。那里只有一层。一个 GPT 要连着做几百步运算，难道每一步都要从头推到尾？
#
# 有个办法完全不用推：把一个参数挪动一点点 $h$，看损失变了多少，除以 $h$。第 05 课核对公式用的就是这一招，只是往两边各挪了一次，取 $h = 10^{-5}$。导数的定义里 $h$ 要趋于零，那么 $h$ 越小，应该越准。拿 $x^3$ 在 $x = 3$ 处试试，它的导数是 $3x^2 = 27$：
# %% [markdown] key="problem" lang="en"
# ## See the problem first
#
# The gradient of lesson 05 was derived on paper, and there was only one layer. A GPT does hundreds of operations one after another. Must all that be worked out from end to end?
#
# There is a way that needs no derivation: move a parameter by a hair $h$, see how much the loss has changed, divide by $h$. That is how lesson 05 checked its formula, only that it moved to either side, with $h = 10^{-5}$. In the definition of a derivative $h$ goes to zero, so a smaller $h$ should do better. Try it on $x^3$ at $x = 3$, where the derivative is $3x^2 = 27$:


# %% key="problem-run" tags=["nbval-check-output"]
def cube(x):
    return x * x * x


for exponent in (1, 3, 5, 7, 8, 9, 11, 13, 15, 16):
    h = 10.0**-exponent
    slope = (cube(3 + h) - cube(3)) / h
    print(f"h = 1e-{exponent:<2}   斜率 slope {slope:<5.4g}   误差 error {abs(slope - 27):.0e}")

# %% [markdown] key="problem-cost" lang="zh"
# 一开始每缩小一百倍，误差也缩小一百倍，正像预料的那样。过了 $10^{-8}$ 却掉头往上，到 $10^{-16}$ 时斜率是 0，一个对的数字也没有。
#
# 这个办法还有第二个毛病。每个参数都要单独挪一次，挪一次就要把整个模型重算一遍：
# %% [markdown] key="problem-cost" lang="en"
# At first the error shrinks a hundredfold whenever the step does, as expected. Past $10^{-8}$ it turns and rises, and at $10^{-16}$ the slope is 0, without a single right digit.
#
# And there is a second flaw. Each parameter is moved by itself, and for each move the whole model is computed again:

# %% key="problem-count" tags=["nbval-check-output"]
from minillm.config import preset
from minillm.np.gpt import GPT

config, _ = preset("tiny", vocab_size=1385)
gpt = GPT(config, rng=np.random.default_rng(0))
count = sum(p.data.size for _, p in gpt.named_parameters())
print(f"课程里最小的 GPT 有 {count:,} 个参数；走一步训练，要前向 {count + 1:,} 次")
print(f"the smallest GPT of the course has {count:,} parameters: {count + 1:,} forward passes for one step of training")

# %% [markdown] key="problem-plan" lang="zh"
# 所以这一课有三件事。先弄清楚 $h$ 该多大，把这把不太准的尺子用到它最准的地方：它虽然慢，却是检查别的办法的裁判。再找一个只往回走一遍就得到**全部**导数的办法，写成一台会自己求导的小机器。最后用这些导数往下走，看看步子多大才不会摔跤。
# %% [markdown] key="problem-plan" lang="en"
# So this lesson has three parts. First, how large $h$ should be, so that this crude ruler is used where it is most exact: slow as it is, it is the judge of all other methods. Next, a method that walks back once and has **all** derivatives, written as a small machine that differentiates by itself. Last, use the derivatives to go downhill, and see how long the steps may be.

# %% [markdown] key="differences" lang="zh"
# ## 差分有多准
#
# 误差有两个来源，一个随 $h$ 变小，一个随 $h$ 变大。
#
# **截断。** 把 $f(x + h)$ 展开（泰勒公式）：
#
# $$f(x + h) = f(x) + h f'(x) + \frac{h^2}{2} f''(x) + \frac{h^3}{6} f'''(x) + \cdots$$
#
# 把 $f(x)$ 移到左边，除以 $h$，得到**前向差分**；它比真正的导数多出大约 $\frac{h}{2} f''$：
#
# $$\frac{f(x + h) - f(x)}{h} = f'(x) + \frac{h}{2} f''(x) + \cdots$$
#
# 再写出 $f(x - h)$：奇数次的项变号，偶数次的不变。两式相减，$f''$ 那一项正好抵消，得到**中心差分**：
#
# $$\frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \cdots$$
#
# $h = 10^{-3}$ 时，$h^2$ 已经是 $10^{-6}$。多算一次函数，换来这么多，很值。
#
# **舍入。** 计算机里的浮点数位数有限。记 $\varepsilon$ 为 1 与下一个浮点数的距离：float64 是 $2.2 \times 10^{-16}$，float32 是 $1.2 \times 10^{-7}$。每个函数值四舍五入，最多错 $\frac{\varepsilon}{2} |f|$；两个相减，最多错 $\varepsilon |f|$。这一点点错再除以小小的 $h$，就不小了：
#
# $$E_{\text{前}}(h) \approx \frac{h}{2} |f''| + \frac{\varepsilon |f|}{h} \qquad E_{\text{中}}(h) \approx \frac{h^2}{6} |f'''| + \frac{\varepsilon |f|}{2h}$$
#
# **最好的一步**在导数为零的地方。前向：$\frac{1}{2}|f''| = \varepsilon |f| / h^2$。中心：$\frac{h}{3} |f'''| = \varepsilon |f| / (2 h^2)$。解出来：
#
# $$h_{\text{前}} = \sqrt{\frac{2 \varepsilon |f|}{|f''|}} \sim \varepsilon^{1/2} \qquad h_{\text{中}} = \sqrt[3]{\frac{3 \varepsilon |f|}{2 |f'''|}} \sim \varepsilon^{1/3}$$
#
# 代回去，最小的误差分别是 $\varepsilon^{1/2}$ 和 $\varepsilon^{2/3}$ 的量级。一句话：float64 有十六位有效数字，前向差分顶多留住八位，中心差分顶多留住十一位。
#
# | 符号 | 单位 | 意思 |
# |---|---|---|
# | $h$ | 与 $x$ 相同 | 挪动的一步 |
# | $\varepsilon$ | 无 | 浮点数的相对间隔 |
# | $E(h)$ | 与 $f'$ 相同 | 差分与真导数最多差多少 |
# %% [markdown] key="differences" lang="en"
# ## How exact are differences?
#
# The error has two sources. One shrinks with $h$, the other grows as $h$ shrinks.
#
# **Truncation.** Expand $f(x + h)$ by Taylor's formula:
#
# $$f(x + h) = f(x) + h f'(x) + \frac{h^2}{2} f''(x) + \frac{h^3}{6} f'''(x) + \cdots$$
#
# Bring $f(x)$ over and divide by $h$: this is the **forward difference**, off from the true derivative by about $\frac{h}{2} f''$:
#
# $$\frac{f(x + h) - f(x)}{h} = f'(x) + \frac{h}{2} f''(x) + \cdots$$
#
# Now write out $f(x - h)$ as well: odd terms change sign, even ones do not. Subtract the two, the $f''$ term cancels exactly, and the **central difference** is left:
#
# $$\frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \cdots$$
#
# With $h = 10^{-3}$, $h^2$ is $10^{-6}$ already. That is a good deal for one more evaluation.
#
# **Rounding.** Floating-point numbers have a limited count of digits. Let $\varepsilon$ be the distance from 1 to the next one: $2.2 \times 10^{-16}$ in float64, $1.2 \times 10^{-7}$ in float32. Each value of the function is rounded and off by at most $\frac{\varepsilon}{2} |f|$; a difference of two by at most $\varepsilon |f|$. This little error is then divided by the little $h$, and is little no more:
#
# $$E_{\text{forward}}(h) \approx \frac{h}{2} |f''| + \frac{\varepsilon |f|}{h} \qquad E_{\text{central}}(h) \approx \frac{h^2}{6} |f'''| + \frac{\varepsilon |f|}{2h}$$
#
# **The best step** is where the derivative is zero. Forward: $\frac{1}{2}|f''| = \varepsilon |f| / h^2$. Central: $\frac{h}{3} |f'''| = \varepsilon |f| / (2 h^2)$. Solve for the step:
#
# $$h_{\text{forward}} = \sqrt{\frac{2 \varepsilon |f|}{|f''|}} \sim \varepsilon^{1/2} \qquad h_{\text{central}} = \sqrt[3]{\frac{3 \varepsilon |f|}{2 |f'''|}} \sim \varepsilon^{1/3}$$
#
# Put back in, the smallest errors are of the size of $\varepsilon^{1/2}$ and $\varepsilon^{2/3}$. In one sentence: of the sixteen digits of float64 the forward difference saves eight at most, the central one eleven.
#
# | symbol | unit | meaning |
# |---|---|---|
# | $h$ | that of $x$ | the step |
# | $\varepsilon$ | none | relative distance of floating-point numbers |
# | $E(h)$ | that of $f'$ | how far the difference can be from the true derivative |

# %% [markdown] key="differences-measure" lang="zh"
# 现在验证。$e^x$ 的各阶导数都是它自己，所以按相对误差算，公式里的 $|f|$、$|f''|$、$|f'''|$ 全都约掉。在 1 到 2 之间取 101 个 $x$，对每个 $h$ 记下最大的相对误差。点是量出来的，虚线是上面两个式子，空心的圈是算出来的最好一步。
# %% [markdown] key="differences-measure" lang="en"
# Now the test. All derivatives of $e^x$ are $e^x$ itself, so in relative errors $|f|$, $|f''|$ and $|f'''|$ all cancel. Take 101 values of $x$ from 1 to 2, and for each $h$ keep the largest relative error. Dots are measured, dashed lines are the two formulas above, and an open circle marks the best step by the formula.


# %% key="differences-run"
def worst_error(h, dtype, central):
    x = np.linspace(1, 2, 101).astype(dtype)
    up = x + dtype(h)
    down = x - dtype(h) if central else x
    slope = (np.exp(up) - np.exp(down)) / (up - down)  # up - down 而不是 h：x + h 也舍入过 x + h was rounded too
    return np.abs(slope.astype(float) / np.exp(x.astype(float)) - 1).max()


measured = {}
for dtype, smallest in ((np.float64, -15), (np.float32, -6)):
    eps = float(np.finfo(dtype).eps)
    steps = 10.0 ** np.arange(smallest, -0.4, 0.25)
    for central, best in ((False, math.sqrt(2 * eps)), (True, (1.5 * eps) ** (1 / 3))):
        errors = np.array([worst_error(h, dtype, central) for h in steps])
        measured[dtype.__name__, central] = steps, errors, best
        found = steps[errors.argmin()]
        name = "中心 central" if central else "前向 forward"
        print(f"{dtype.__name__} {name:10}  最好的 h best: 公式 formula {best:.1e}, 量得 measured {found:.1e}", end="")
        print(f"   最小误差 least error {errors.min():.0e}")

# %% key="differences-picture"
from minillm import viz

panels = viz.new_axes(8.4, 3.8, columns=2, sharey=True)
for ax, precision in zip(panels, ("float64", "float32"), strict=True):
    eps = float(np.finfo(precision).eps)
    for central, colour, name in ((False, "#D55E00", "前向差分 forward"), (True, "#0072B2", "中心差分 central")):
        steps, errors, best = measured[precision, central]

        def theory(h, central=central, eps=eps):
            return h**2 / 6 + eps / (2 * h) if central else h / 2 + eps / h

        ax.loglog(steps, errors, "o", color=colour, markersize=3.5, label=name)
        ax.loglog(steps, theory(steps), "--", color=colour, linewidth=1)
        ax.loglog(best, theory(best), "o", color=colour, markersize=11, markerfacecolor="none", markeredgewidth=2)
    ax.set_title(f"{precision}   ε = {eps:.1e}")
    ax.set_xlabel("步长 h step")
    ax.grid(alpha=0.25)
    ax.legend(edgecolor="none")
panels[0].set_ylabel("相对误差 relative error")
viz.show(panels, alt="差分的误差随步长先降后升 the error of differences falls, then rises, as the step shrinks")

# %% [markdown] key="differences-after" lang="zh"
# 从右往左读。右边的直线是截断：前向的斜率是 1，中心的斜率是 2，$h$ 缩小十倍，误差缩小十倍和一百倍。左边的是舍入，斜率是 $-1$，越往左越糟。谷底就在圈住的地方。
#
# 右图里，float32 的中心差分最好也只能到 $10^{-5}$ 上下：一个千分之一的错，刚好还看得出来；一个百万分之一的错，就看不出来了。所以**核对梯度要用 float64**。minillm 的 `gradcheck` 用中心差分，步长正是 $\varepsilon^{1/3}$，并且乘上参数自己的大小：
# %% [markdown] key="differences-after" lang="en"
# Read from right to left. The straight lines on the right are truncation: slope 1 for forward, 2 for central; with $h$ ten times smaller the error is ten and a hundred times smaller. On the left is rounding, with slope $-1$, ever worse to the left. The valley lies where the circle is.
#
# In the right-hand picture, central differences in float32 reach about $10^{-5}$ at best: a mistake of one part in a thousand still shows, one of a millionth does not. Therefore **gradients are checked in float64**. minillm's `gradcheck` takes central differences with a step of just this $\varepsilon^{1/3}$, times the size of the parameter itself:

# %% key="differences-listing"
from collections.abc import Callable

from minillm.np.gradcheck import STEP


from minillm.np.gradcheck import slope  # paste

# %% [markdown] key="graph" lang="zh"
# ## 图上的链式法则
#
# 尺子有了，来找快的办法。取一个小得能用手算的式子：
#
# $$L = (ab + c) \cdot ab$$
#
# 计算机不会一口气算完它，而是一步一步，每步只做一次加或乘：$e = ab$，$d = e + c$，$L = d e$。把每个数画成一个点，谁由谁算出来，就画一个箭头，这叫**计算图**。注意 $e$ 用了两次。
#
# 每一步单独看，导数都是中学就会的：和对每个加数的导数是 1；积对一个因子的导数是另一个因子。这叫**局部导数**，写在箭头上。整个式子的导数，就由这些箭头拼出来。
#
# **沿着一条路，相乘。** $a$ 动一点，$e$ 跟着动 $b$ 倍；$e$ 动一点，$L$ 跟着动 $d$ 倍；那么沿着 $a \to e \to L$，$L$ 就动 $b \cdot d$ 倍。
#
# **几条路，相加。** $e$ 还从 $d$ 绕到 $L$，那条路上 $L$ 又动了一份。两份都是真的，加起来。
#
# $$\frac{\partial L}{\partial a} = \underbrace{\frac{\partial e}{\partial a} \frac{\partial L}{\partial e}}_{a \to e \to L} + \underbrace{\frac{\partial e}{\partial a} \frac{\partial d}{\partial e} \frac{\partial L}{\partial d}}_{a \to e \to d \to L} = b \cdot d + b \cdot 1 \cdot e$$
# %% [markdown] key="graph" lang="en"
# ## The chain rule on a graph
#
# We have a ruler; now for a fast method. Take an expression small enough for pencil and paper:
#
# $$L = (ab + c) \cdot ab$$
#
# A computer does not do this in one go but step by step, one sum or one product at a time: $e = ab$, $d = e + c$, $L = d e$. Draw each number as a dot and an arrow from what it was made of: a **computational graph**. Note that $e$ is used twice.
#
# The derivative of every single step is school mathematics: of a sum by each of its terms it is 1; of a product by one factor it is the other factor. These are the **local derivatives**, written on the arrows. The derivative of the whole is put together from these arrows.
#
# **Along a path, multiply.** Move $a$ a little, and $e$ moves $b$ times as far; move $e$ a little, and $L$ moves $d$ times as far; so along $a \to e \to L$ it moves $b \cdot d$ times as far.
#
# **Over several paths, add.** From $e$ there is also the way round by $d$ to $L$, and on it $L$ moves once more. Both moves are real; add them.
#
# $$\frac{\partial L}{\partial a} = \underbrace{\frac{\partial e}{\partial a} \frac{\partial L}{\partial e}}_{a \to e \to L} + \underbrace{\frac{\partial e}{\partial a} \frac{\partial d}{\partial e} \frac{\partial L}{\partial d}}_{a \to e \to d \to L} = b \cdot d + b \cdot 1 \cdot e$$

# %% key="graph-by-hand" tags=["nbval-check-output"]
a, b, c = 2.0, -3.0, 10.0
e = a * b
d = e + c
L = d * e
print(f"e = {e:g}   d = {d:g}   L = {L:g}")

direct, around = b * d, b * 1 * e
print(f"dL/da = {direct:g} + {around:g} = {direct + around:g}")

h = 1e-5
up, down = ((x * b + c) * (x * b) for x in (a + h, a - h))
print(f"中心差分 central difference: {(up - down) / (2 * h):.4f}")

# %% [markdown] key="backwards" lang="zh"
# ### 从末尾往回算
#
# 一条路一条路地数，图大了就数不完：每一步都把上一个数用两次，走二十步就有一百万条路。换个办法，从 $L$ 往回走，给每个点记一个数：$L$ 对它的导数。记作 $\bar v = \partial L / \partial v$，代码里叫 `grad`。起点是 $\bar L = 1$，然后只有一条规则：
#
# $$\bar v = \sum_{u \text{ 用到 } v} \bar u \cdot \frac{\partial u}{\partial v}$$
#
# 读作：谁用过我，就把谁的导数拿来，乘上箭头上的局部导数，全部加起来。公共的一段路只走一次，每个箭头恰好用一次。这就是**反向传播**。
#
# | 符号 | 形状 | 意思 |
# |---|---|---|
# | $v$ | 任意 | 图上的一个值 |
# | $\partial u / \partial v$ | 由两者定 | 局部导数，箭头上的数 |
# | $\bar v$ | 与 $v$ 相同 | 梯度：最后的 $L$ 对 $v$ 的导数 |
#
# 用手走一遍：$\bar L = 1$；$\bar d = e = -6$；$\bar e = d + \bar d \cdot 1 = 4 - 6 = -2$；$\bar c = -6$；$\bar a = \bar e \cdot b = 6$；$\bar b = \bar e \cdot a = -4$。
# %% [markdown] key="backwards" lang="en"
# ### Start from the end
#
# Counting path by path is hopeless in a large graph: if each step uses the previous number twice, twenty steps have a million paths. Do it another way. Walk back from $L$ and note one number at each dot, the derivative of $L$ by it. Write it $\bar v = \partial L / \partial v$; in code it is called `grad`. Begin with $\bar L = 1$, and then there is one rule only:
#
# $$\bar v = \sum_{u \text{ uses } v} \bar u \cdot \frac{\partial u}{\partial v}$$
#
# In words: from everyone who used me take their derivative, times the local derivative on the arrow, and add it all up. A stretch that paths have in common is walked once, and each arrow is used exactly once. This is **backpropagation**.
#
# | symbol | shape | meaning |
# |---|---|---|
# | $v$ | any | a value of the graph |
# | $\partial u / \partial v$ | set by the two | local derivative, the number on an arrow |
# | $\bar v$ | that of $v$ | gradient: derivative of the final $L$ by $v$ |
#
# By hand: $\bar L = 1$; $\bar d = e = -6$; $\bar e = d + \bar d \cdot 1 = 4 - 6 = -2$; $\bar c = -6$; $\bar a = \bar e \cdot b = 6$; $\bar b = \bar e \cdot a = -4$.

# %% [markdown] key="tape" lang="zh"
# ## 一台会求导的机器
#
# 让机器自己走这一遍，它得知道图。谁来告诉它？谁也不用：做运算的时候顺手**记**下来就行，像一卷录音带。每个值记三样：它是多少，由谁算来（连同箭头上的局部导数），以及第几个出生。
# %% [markdown] key="tape" lang="en"
# ## A machine that differentiates
#
# To walk back by itself a machine has to know the graph. Who tells it? Nobody need: it can **record** while it computes, like a tape. Each value notes three things: how large it is, what it was made of (with the local derivative on the arrow), and when it was born.


# %% key="tape-value" tags=["nbval-check-output"]
from itertools import count as counter

clock = counter()


class Value:
    """A number that remembers where it came from."""

    def __init__(self, data, parents=()):
        self.data, self.parents, self.birth = data, parents, next(clock)
        self.grad = 0.0

    def __add__(self, other):
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))


a, b, c = Value(2.0), Value(-3.0), Value(10.0)
e = a * b
d = e + c
L = d * e
print("L 由两个数算来 L was made of", [(parent.data, local) for parent, local in L.parents])

# %% [markdown] key="tape-backward" lang="zh"
# 前向照常写，录音是附带的。现在写往回走的那一遍：先找齐所有参与过的值，再按出生的先后**从小到老**排好，一个一个把导数分给自己的来源。
# %% [markdown] key="tape-backward" lang="en"
# Forward is written as always; the recording comes with it. Now the way back: collect all values that took part, sort them by birth with the **youngest first**, and let each in turn hand its derivative on to what it was made of.


# %% key="tape-backward-run" tags=["nbval-check-output"]
def everything_behind(result):
    found, todo = [result], [result]
    while todo:
        for parent, _ in todo.pop().parents:
            if parent not in found:
                found.append(parent)
                todo.append(parent)
    return found


def backward(result):
    values = everything_behind(result)
    for value in values:
        value.grad = 0.0
    result.grad = 1.0
    for value in sorted(values, key=lambda v: v.birth, reverse=True):
        for parent, local in value.parents:
            parent.grad += value.grad * local


backward(L)
for name, value in {"a": a, "b": b, "c": c, "e": e, "d": d, "L": L}.items():
    print(f"{name}   值 value {value.data:5g}   梯度 gradient {value.grad:5g}")

# %% key="graph-picture"
PLACES = {"a": (0, 2), "b": (0, 1), "c": (0.9, 0), "e": (1.5, 1.5), "d": (2.6, 0.5), "L": (3.7, 1.5)}


def draw_graph(values):
    ax = viz.new_axes(7, 3.5)
    names = {value: name for name, value in values.items()}
    for name, value in values.items():
        x, y = PLACES[name]
        formula = {"e": "e = a·b", "d": "d = e + c", "L": "L = d·e"}.get(name, name)
        box = {"boxstyle": "round,pad=0.5", "facecolor": "#F3F8FC", "edgecolor": "#9CC4DD"}
        text = f"{formula}\n值 value {value.data:g}\n梯度 grad {value.grad:g}"
        ax.text(x, y, text, ha="center", va="center", fontsize=10, bbox=box, zorder=3)
        for parent, local in value.parents:
            x0, y0 = PLACES[names[parent]]
            ax.annotate(
                "", (x, y), (x0, y0), arrowprops={"arrowstyle": "-|>", "color": "0.5", "shrinkA": 34, "shrinkB": 38}
            )
            label = ax.text((x0 + x) / 2, (y0 + y) / 2, f"× {local:g}", color="#D55E00", ha="center", va="center")
            label.set_bbox({"facecolor": "w", "edgecolor": "none", "pad": 1.5})
    ax.set(xlim=(-0.5, 4.2), ylim=(-0.4, 2.4))
    ax.axis("off")
    ax.set_title(
        "箭头上是局部导数，反向时乘上它 on the arrows: local derivatives, multiplied on the way back", fontsize=10
    )
    return ax


viz.show(draw_graph({"a": a, "b": b, "c": c, "e": e, "d": d, "L": L}))

# %% [markdown] key="two-traps" lang="zh"
# 与手算一个不差。代码里有两处，看着像随手写的，其实错不得。
#
# **`+=` 不能写成 `=`。** $e$ 用了两次，会收到两份导数；写成 `=`，后到的盖掉先到的。**次序不能乱。** 一个值必须等所有用过它的都分完，才轮到它往下分；它若早走一步，后来收到的那份就没人传了。满足这一点的次序叫**拓扑序**。出生的先后天然就是：结果总比它的来源年轻。看看两个错各错成什么样：
# %% [markdown] key="two-traps" lang="en"
# The same as by hand, to the last digit. Two places of the code look casual and are not.
#
# **`+=` must not be `=`.** $e$ is used twice and gets two derivatives; with `=` the later one overwrites the earlier. **The order matters.** A value may pass on only when everyone who used it has done so; if it goes too early, nobody carries what it gets afterwards. An order with this property is a **topological order**. The order of birth has it by nature: a result is always younger than what it was made of. See what the two mistakes give:


# %% key="two-traps-run" tags=["nbval-check-output"]
def broken_backward(values, overwrite=False):
    for value in values:
        value.grad = 0.0
    values[0].grad = 1.0
    for value in values:
        for parent, local in value.parents:
            share = value.grad * local
            parent.grad = share if overwrite else parent.grad + share


youngest_first = [L, d, e, a, b, c]
too_early = [L, e, a, b, d, c]  # e 走在 d 的前面 e goes before d
for name, order, overwrite in (
    ("对 right", youngest_first, False),
    ("= 代替 += instead of +=", youngest_first, True),
    ("次序乱 wrong order", too_early, False),
):
    broken_backward(order, overwrite)
    print(f"dL/da {a.grad:5g}   dL/db {b.grad:5g}   dL/dc {c.grad:5g}   {name}")

# %% [markdown] key="recursion" lang="zh"
# 还有一种写法不用排序：谁收到一份，就立刻往下传这一份。结果是对的，却等于把每一条路都走了一遍。下面的图只有 17 个值，每个是前一个加自己：
# %% [markdown] key="recursion" lang="en"
# There is a way without sorting: whoever receives a share passes that share on at once. The result is right, but every single path gets walked. The graph below has just 17 values, each the one before plus itself:


# %% key="recursion-run" tags=["nbval-check-output"]
def push(value, grad):
    """Hand on every share at once; returns how many visits it took."""
    value.grad += grad
    return 1 + sum(push(parent, grad * local) for parent, local in value.parents)


x = y = Value(1.0)
for _ in range(16):
    y = y + y

backward(y)
print(f"按次序 in order:   dy/dx = {x.grad:g}，走访 visits {len(everything_behind(y)):,}")
x.grad = 0.0
visits = push(y, 1.0)
print(f"见到就传 at once:   dy/dx = {x.grad:g}，走访 visits {visits:,}")

# %% [markdown] key="arrays" lang="zh"
# ## 从数到数组
#
# 一个数一个数地记，训练一个模型要记几百万笔。改成记数组：一次矩阵乘法记一笔。机器的骨架不变，只改一处：箭头上不再是一个数，而是一个**函数** `pull`，收下结果的梯度，交出来源的梯度。
#
# 逐项的运算和从前一样，逐项相乘。新的是矩阵乘法。$C = AB$，写出一个数 $C_{ij} = \sum_k A_{ik} B_{kj}$。$A_{ik}$ 被第 $i$ 行的每个 $C_{ij}$ 用过，局部导数是 $B_{kj}$；按那条唯一的规则加起来，再写回矩阵：
#
# $$\bar A_{ik} = \sum_j \bar C_{ij} B_{kj} \;\Longrightarrow\; \bar A = \bar C B^\top \qquad\qquad \bar B_{kj} = \sum_i A_{ik} \bar C_{ij} \;\Longrightarrow\; \bar B = A^\top \bar C$$
#
# 形状会替你检查：$\bar A$ 必须和 $A$ 一样大，用 $\bar C$ 和 $B$ 拼，只有一种拼法。
#
# ### 广播，反过来是求和
#
# NumPy 会悄悄把小数组撑大。偏置 $b$ 的形状是 (D,)，加到 (B, D) 上，每一行都用了它一次。用了 $B$ 次，就收到 $B$ 份梯度，加起来：$\bar b_j = \sum_i \bar Y_{ij}$。所以凡是前向被广播撑开的轴，反向就沿着它求和。这不是新规则，还是“用过几次加几次”。minillm 这样写：
# %% [markdown] key="arrays" lang="en"
# ## From numbers to arrays
#
# Number by number, a model's training would need millions of entries. Record arrays instead: one matrix product, one entry. The machine's frame stays as it is but for one thing. On an arrow there is no longer a number but a **function** `pull`, which takes the gradient of the result and gives that of the operand.
#
# Operations on each entry multiply entry by entry, as before. What is new is the matrix product. Of $C = AB$ write out one number, $C_{ij} = \sum_k A_{ik} B_{kj}$. Each $C_{ij}$ of row $i$ used $A_{ik}$, with the local derivative $B_{kj}$; add up by our one rule, and write matrices again:
#
# $$\bar A_{ik} = \sum_j \bar C_{ij} B_{kj} \;\Longrightarrow\; \bar A = \bar C B^\top \qquad\qquad \bar B_{kj} = \sum_i A_{ik} \bar C_{ij} \;\Longrightarrow\; \bar B = A^\top \bar C$$
#
# Shapes check this for you: $\bar A$ must be as large as $A$, and there is only one way to get that from $\bar C$ and $B$.
#
# ### Broadcasting, backwards, is a sum
#
# NumPy quietly stretches small arrays. A bias $b$ of shape (D,), added to (B, D), is used by every row once. Used $B$ times, it gets $B$ gradients, and they add up: $\bar b_j = \sum_i \bar Y_{ij}$. So every axis that broadcasting stretched on the way forward is summed over on the way back. It is no new rule but the old one, added up as often as used. minillm writes it so:

# %% key="unbroadcast-listing"
from minillm.np.tape import unbroadcast  # paste

# %% key="unbroadcast-run" tags=["nbval-check-output"]
dy = np.arange(12.0).reshape(3, 4)  # 结果的梯度 gradient of the result (3, 4)
for shape in ((3, 4), (4,), (1, 4), (3, 1), ()):
    print(f"{shape!s:7} → (3, 4)   往回 back: {unbroadcast(dy, shape).tolist()}")

# %% [markdown] key="node" lang="zh"
# 新的机器先写骨架。和 `Value` 比，只多了 `pull` 和 `unbroadcast`；往回走的那一遍成了它的方法。
# %% [markdown] key="node" lang="en"
# The frame of the new machine comes first. Compared with `Value` it has only `pull` and `unbroadcast` added; the walk back is now a method.


# %% key="node-frame"
class Recorded:
    """An array that remembers where it came from: parents are pairs (operand, pull)."""

    def __init__(self, data, parents=()):
        self.data, self.parents, self.birth = np.asarray(data), parents, next(clock)

    def backward(self, grad=1.0):
        found, todo = {self}, [self]
        while todo:
            for parent, _ in todo.pop().parents:
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        for node in found:
            node.grad = np.zeros_like(node.data)
        self.grad = self.grad + grad
        for node in sorted(found, key=lambda n: n.birth, reverse=True):
            for parent, pull in node.parents:
                parent.grad = parent.grad + unbroadcast(pull(node.grad), parent.data.shape)


# %% [markdown] key="node-ops-text" lang="zh"
# 再写运算，每个两三行：前向怎么算，反向怎么还。`T` 只交换最后两个轴；`sum` 留着被加掉的那一轴，长度变成 1。
# %% [markdown] key="node-ops-text" lang="en"
# Then the operations, two or three lines each: what to do forward, and what to give back in backward. `T` swaps only the last two axes; `sum` keeps the axis that it adds up, with length 1.


# %% key="node-ops"
class Node(Recorded):
    def __add__(self, other):
        return Node(self.data + other.data, ((self, lambda d: d), (other, lambda d: d)))

    def __mul__(self, other):
        return Node(self.data * other.data, ((self, lambda d: d * other.data), (other, lambda d: d * self.data)))

    def __truediv__(self, other):
        y = self.data / other.data
        return Node(y, ((self, lambda d: d / other.data), (other, lambda d: -d * y / other.data)))

    def __matmul__(self, other):
        a, b = self.data, other.data
        return Node(a @ b, ((self, lambda d: d @ b.swapaxes(-1, -2)), (other, lambda d: a.swapaxes(-1, -2) @ d)))

    def exp(self):
        y = np.exp(self.data)
        return Node(y, ((self, lambda d: d * y),))

    def log(self):
        return Node(np.log(self.data), ((self, lambda d: d / self.data),))

    def sum(self, axis=None):
        y = self.data.sum(axis=axis, keepdims=True)
        return Node(y, ((self, lambda d: np.broadcast_to(d, self.data.shape)),))

    @property
    def T(self):
        return Node(self.data.swapaxes(-1, -2), ((self, lambda d: d.swapaxes(-1, -2)),))


# %% [markdown] key="again-05" lang="zh"
# ## 把手推过的再推一遍
#
# ### 第 05 课：概率减答案
#
# 第 05 课用一页纸推出 $p - [i = y]$。现在只写前向的式子 $L = \frac{1}{B}\sum_b \big(\ln \sum_j e^{z_{bj}} - z_{b y_b}\big)$，一个导数也不求。取出正确答案的分数，用独热矩阵乘一下再求和。（先减去每行的最大值，它是常数：第 05 课说过，减去什么都不改变结果。）
# %% [markdown] key="again-05" lang="en"
# ## What was derived by hand, derived again
#
# ### Lesson 05: probability minus answer
#
# Lesson 05 took a page to derive $p - [i = y]$. Now write only the forward formula $L = \frac{1}{B}\sum_b \big(\ln \sum_j e^{z_{bj}} - z_{b y_b}\big)$, and not one derivative. To pick the score of the right answer, multiply by a one-hot matrix and add up. (Each row's maximum is subtracted first, as a constant: lesson 05 showed that it changes nothing.)

# %% key="again-05-run" tags=["nbval-check-output"]
from minillm.np import functional as F

rng = np.random.default_rng(0)
logits, targets = 3 * rng.normal(size=(4, 6)), rng.integers(6, size=4)
one_hot = Node(np.eye(6)[targets])

z = Node(logits)
shifted = z + Node(-logits.max(axis=1, keepdims=True))
losses = shifted.exp().sum(axis=1).log() + (shifted * one_hot).sum(axis=1) * Node(-1.0)
loss = losses.sum() * Node(1 / 4)
loss.backward()

right, cache = F.cross_entropy(logits, targets)
assert np.allclose(loss.data, right, rtol=1e-14)
assert np.allclose(z.grad, (F.softmax(logits)[0] - one_hot.data) / 4, atol=1e-15)
assert np.allclose(z.grad, F.cross_entropy_backward(1.0, cache), atol=1e-15)
print("概率减答案，一个导数也没推 probability minus answer, and no derivative written")
print(z.grad[0].round(4))

# %% [markdown] key="again-softmax" lang="zh"
# 只有 softmax 的那个反向，第 05 课的第二个公式，也一样。这回上游的梯度随机给：`backward` 的参数就是它。
# %% [markdown] key="again-softmax" lang="en"
# The backward of softmax by itself, lesson 05's second formula, comes out too. This time the upstream gradient is random: it is the argument of `backward`.


# %% key="again-softmax-run" tags=["nbval-check-output"]
def softmax(z):
    e = (z + Node(-z.data.max(axis=-1, keepdims=True))).exp()
    return e / e.sum(axis=-1)


z = Node(logits)
p = softmax(z)
dp = rng.normal(size=p.data.shape)
p.backward(dp)

assert np.allclose(z.grad, p.data * (dp - (dp * p.data).sum(axis=1, keepdims=True)), atol=1e-15)
assert np.allclose(z.grad, F.softmax_backward(dp, (p.data,)), atol=1e-15)
print("softmax 的反向也相等 the backward of softmax agrees")

# %% [markdown] key="again-07" lang="zh"
# ### 往前看一眼：第 07 课的注意力
#
# 下一个要手推的是注意力，第 07 课会用一页纸求出它的三个梯度。它的前向只有一行，$Y = \mathrm{softmax}(Q K^\top / \sqrt{d})\, V$，意思留到那时再讲；现在只把它当作一个式子。对机器来说，没见过的式子和见过的没有分别：
# %% [markdown] key="again-07" lang="en"
# ### A look ahead: the attention of lesson 07
#
# Attention is next to be derived by hand: lesson 07 will spend a page on its three gradients. Its forward is one line, $Y = \mathrm{softmax}(Q K^\top / \sqrt{d})\, V$. What it means can wait until then; here it is just a formula. To the machine, a formula that it has never met is like any other:

# %% key="again-07-run" tags=["nbval-check-output"]
from minillm.np.attention import scaled_dot_product_attention, scaled_dot_product_attention_backward

q, k, v = (rng.normal(size=(2, 3, length, 4)) for length in (5, 7, 7))
dy = rng.normal(size=(2, 3, 5, 4))

Q, K, V = Node(q), Node(k), Node(v)
Y = softmax(Q @ K.T * Node(1 / math.sqrt(4))) @ V
Y.backward(dy)

y, cache = scaled_dot_product_attention(q, k, v)
by_hand = scaled_dot_product_attention_backward(dy, cache)
assert np.allclose(Y.data, y, atol=1e-14)
for name, node, gradient in zip("QKV", (Q, K, V), by_hand, strict=True):
    assert np.allclose(node.grad, gradient, atol=1e-14)
    print(f"d{name} {node.grad.shape} 与 minillm 手写的反向相等 equals minillm's backward, written by hand")

# %% [markdown] key="tape-minillm" lang="zh"
# 那为什么 minillm 还要手写反向？快：手写的 $p - y$ 一步到位，上面的磁带走了十步，每步都存下一个数组。也为了懂：手写过一遍，才知道梯度为什么会消失、会爆炸。两者互相作证，minillm 的测试就拿磁带核对手写的反向。
#
# minillm 的磁带在 `minillm/np/tape.py`，一百多行，和我们的是同一台机器；运算多几种，数和数组会自动变成常数。拿一个样样都用到的式子比一比：
# %% [markdown] key="tape-minillm" lang="en"
# Then why does minillm have its backwards written by hand at all? For speed: by hand $p - y$ is one step, where the tape above took ten and stored an array at each. And for insight: whoever has done it by hand knows why gradients vanish or explode. Each is a witness for the other, and minillm's tests check the handwritten backwards against the tape.
#
# minillm's tape is in `minillm/np/tape.py`, a hundred-odd lines. It is the machine that we have built, with a few more operations, and numbers and arrays turn into constants by themselves. Compare the two on an expression that uses a little of everything:


# %% key="tape-minillm-run" tags=["nbval-check-output"]
from minillm.np.tape import Var


def expression(kind, *arrays):
    x, w, b = (kind(array) for array in arrays)
    h = (x @ w + b).exp()  # b 被广播 b is broadcast
    y = (h / h.sum(axis=1) * x @ w).sum()  # x 和 w 用了两次 x and w are used twice
    y.backward()
    return [y.data, x.grad, w.grad, b.grad]


arrays = rng.normal(size=(5, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
for ours, theirs in zip(expression(Node, *arrays), expression(Var, *arrays), strict=True):
    assert np.allclose(ours, theirs, rtol=1e-12)
print("值和三个梯度都与 minillm 的磁带相等 value and three gradients equal those of minillm's tape")

# %% [markdown] key="var-listing-text" lang="zh"
# 这是它的骨架，和我们的 `Recorded` 对照着读：
# %% [markdown] key="var-listing-text" lang="en"
# Here is its frame, to be read beside our `Recorded`:

# %% key="var-listing" tags=["nbval-check-output"]
import inspect

print(inspect.getsource(Var.backward))

# %% [markdown] key="reverse" lang="zh"
# ## 为什么要倒着走
#
# 链式法则没有规定方向。也可以从输入出发，带着导数一起往前走：这叫**前向模式**。同一卷磁带，从老到小走，每个值从来源那里收导数。拿开头的小图试试：
# %% [markdown] key="reverse" lang="en"
# ## Why walk backwards?
#
# The chain rule prescribes no direction. One may start at the inputs and carry derivatives along on the way forward: **forward mode**. It is the same tape, walked from oldest to youngest, and each value collects derivatives from what it was made of. Try it on the little graph of the beginning:


# %% key="forward-mode" tags=["nbval-check-output"]
def forward_mode(result, start):
    """Derivative of the result by one starting value."""
    moved = {value: 0.0 for value in everything_behind(result)}
    moved[start] = 1.0
    for value in sorted(moved, key=lambda v: v.birth):
        for parent, local in value.parents:
            moved[value] += moved[parent] * local
    return moved[result]


for walk, (name, value) in enumerate({"a": a, "b": b, "c": c}.items(), start=1):
    print(f"第 {walk} 遍 walk {walk}: dL/d{name} = {forward_mode(L, value):g}")

# %% [markdown] key="reverse-cost" lang="zh"
# 数都对，可是走了三遍。前向模式走一遍，得到所有的值对**一个**输入的导数；有几个输入就要走几遍。倒着走叫**反向模式**，走一遍得到**一个**输出对所有输入的导数。训练时损失只有一个，参数成千上万，该往哪边走就清楚了。
#
# 数组也一样，算一算账。四层，每层是 $n \times n$ 的局部导数表 $J$，最后一层的梯度是一行 $r$，长 $n$：
#
# $$\frac{\partial L}{\partial x} = r\, J_4\, J_3\, J_2\, J_1$$
#
# 矩阵乘法可以随意加括号，结果一样，价钱不一样。从左往右（反向），手里始终只有一行，每步 $n^2$ 次乘法。从右往左（前向），手里是一整张表，每步 $n^3$ 次。
# %% [markdown] key="reverse-cost" lang="en"
# The numbers are right, but it took three walks. One walk of forward mode gives the derivatives of all values by **one** input, so there are as many walks as inputs. To walk backwards is **reverse mode**: one walk gives the derivatives of **one** output by all inputs. In training there is one loss and there are many thousands of parameters, which settles the direction.
#
# With arrays it is the same; do the accounts. Four layers, each with an $n \times n$ table $J$ of local derivatives, and a last gradient that is a row $r$ of length $n$:
#
# $$\frac{\partial L}{\partial x} = r\, J_4\, J_3\, J_2\, J_1$$
#
# A matrix product may be bracketed at will: same result, different price. From the left (reverse) we hold a single row all the way, $n^2$ multiplications a step. From the right (forward) we hold a whole table, $n^3$ a step.

# %% key="reverse-run" tags=["nbval-check-output"]
multiplications = 0


def product(a, b):
    global multiplications
    multiplications += a.shape[0] * a.shape[1] * b.shape[1]
    return a @ b


n = 64
r, tables = rng.normal(size=(1, n)), [rng.normal(size=(n, n)) / math.sqrt(n) for _ in range(4)]  # J1 ... J4

multiplications, reverse = 0, r
for J in reversed(tables):
    reverse = product(reverse, J)
print(f"反向 reverse: {multiplications:9,}")

multiplications, forward = 0, tables[0]
for J in tables[1:]:
    forward = product(J, forward)
forward = product(r, forward)
print(f"前向 forward: {multiplications:9,}")
assert np.allclose(reverse, forward)

x, w, dy = rng.normal(size=(32, n)), rng.normal(size=(n, n)), rng.normal(size=(32, n))
costs = []
for matrices in ([(x, w)], [(dy, w.T), (x.T, dy)]):
    multiplications = 0
    for pair in matrices:
        product(*pair)
    costs.append(multiplications)
print(f"一层 one layer, x @ w: 算值 values {costs[0]:,}，算梯度 gradients {costs[1]:,}")

# %% [markdown] key="reverse-after" lang="zh"
# 最后一行值得记住：一层矩阵乘法，前向一次，反向两次（一次给输入，一次给权重）。所以**求出全部梯度，大约只要前向的两倍**，与有多少参数无关。这不是巧合：Baur 和 Strassen 在 1983 年证明，一个函数的全部偏导数，总可以用不超过函数自身价钱几倍的运算求出。
#
# 天下没有白吃的饭。反向要用到前向的中间值，它们得一直留到用完。磁带越长，占的内存越多；第 10 课会数一数。
# %% [markdown] key="reverse-after" lang="en"
# The last line is worth keeping: for a layer that is a matrix product, forward takes one product and backward two, one for the input and one for the weights. So **all gradients together cost about twice the forward pass**, however many parameters there are. It is no accident: Baur and Strassen proved in 1983 that all partial derivatives of a function can be had for a few times the price of the function itself.
#
# There is no free lunch. Backward needs the values of the forward pass, and they must be kept until then. The longer the tape, the more memory it takes; lesson 10 will count it.

# %% [markdown] key="descent" lang="zh"
# ## 往下走
#
# 有了梯度，就能走：每个参数往梯度的反方向挪一点，步子的大小由**学习率** $\eta$ 定。这叫**梯度下降**：
#
# $$w \leftarrow w - \eta\, g \qquad g = \frac{\partial L}{\partial w}$$
#
# 每步不用全部数据，只随机抽一小批，梯度带一点噪声，却便宜得多，这叫**随机**梯度下降，简称 SGD。
#
# $\eta$ 能取多大？看最简单的谷：一条抛物线 $L = \frac{\lambda}{2} w^2$，$\lambda$ 是它有多弯。梯度是 $\lambda w$，走一步：
#
# $$w \leftarrow w - \eta \lambda w = (1 - \eta \lambda)\, w$$
#
# 每一步都乘上同一个数 $1 - \eta\lambda$。走 $t$ 步就是 $(1 - \eta\lambda)^t$。它要缩小，必须 $|1 - \eta\lambda| < 1$，也就是
#
# $$0 < \eta < \frac{2}{\lambda}$$
#
# 超过 $2/\lambda$，每一步都跨过谷底，落在对面更高的地方，越跳越高。不是“学得差一点”，是炸掉。
#
# 参数不止一个时，$L = \frac{1}{2} w^\top A w$，$A$ 是对称矩阵。总可以转一转坐标轴，让它变成几条互不相干的抛物线；每条有多弯，就是 $A$ 的一个**特征值**。最弯的那条先炸，所以界限是 $2/\lambda_{\max}$。随便造一个 5 维的谷，让 NumPy 求出特征值，在界限两边各走一百步：
# %% [markdown] key="descent" lang="en"
# ## Going downhill
#
# With gradients in hand we can walk: each parameter moves a little against its gradient, by a step whose size is set by the **learning rate** $\eta$. This is **gradient descent**:
#
# $$w \leftarrow w - \eta\, g \qquad g = \frac{\partial L}{\partial w}$$
#
# A step need not look at all data: a small random batch gives a gradient with some noise in it, much more cheaply. This is **stochastic** gradient descent, SGD for short.
#
# How large may $\eta$ be? Look at the simplest valley, a parabola $L = \frac{\lambda}{2} w^2$, where $\lambda$ says how curved it is. The gradient is $\lambda w$, and a step does this:
#
# $$w \leftarrow w - \eta \lambda w = (1 - \eta \lambda)\, w$$
#
# Each step multiplies by the same number $1 - \eta\lambda$; after $t$ steps that is $(1 - \eta\lambda)^t$. For it to shrink we need $|1 - \eta\lambda| < 1$, that is
#
# $$0 < \eta < \frac{2}{\lambda}$$
#
# Beyond $2/\lambda$ each step leaps over the bottom and lands higher on the other side, and higher again. It does not learn a little worse; it blows up.
#
# With several parameters, $L = \frac{1}{2} w^\top A w$ with a symmetric matrix $A$. The axes can always be turned so that it falls apart into separate parabolas; how curved each of them is, that is an **eigenvalue** of $A$. The most curved blows up first, so the limit is $2/\lambda_{\max}$. Make any valley of 5 dimensions, let NumPy find the eigenvalues, and take a hundred steps on either side of the limit:

# %% key="descent-run" tags=["nbval-check-output"]
rng = np.random.default_rng(1)
m = rng.normal(size=(5, 5))
A = m @ m.T  # 对称，特征值都是正的 symmetric, all eigenvalues positive
largest = np.linalg.eigvalsh(A)[-1]
print(f"最大的特征值 largest eigenvalue {largest:.4g}，界限 limit 2/λ = {2 / largest:.4g}")

start = rng.normal(size=5)
growth = {}
for share in (0.5, 0.99, 1.01, 1.1):
    w = start
    lengths = []
    for _ in range(100):
        w = w - share * 2 / largest * (A @ w)
        lengths.append(np.linalg.norm(A @ w))
    growth[share] = lengths[-1] / lengths[-2]
    print(f"η = {share:4} × 2/λ：100 步后梯度有多长 gradient after 100 steps {lengths[-1]:.1e}", end="")
    print(f"   每步乘 factor a step {growth[share]:.3f}")

# %% [markdown] key="ravine" lang="zh"
# $1.01$ 倍时，最后一步乘的是 $1.02$，正是 $|1 - \eta\lambda| = |1 - 2.02|$。差百分之一，一边收，一边散。
#
# ### 峡谷
#
# 真正的麻烦是各个方向弯得不一样。取一条二维的峡谷，$L = \frac{1}{2}(w_1^2 + 20\, w_2^2)$：横着很平，竖着很陡。陡的方向只许 $\eta < 2/20 = 0.1$；平的方向每步只缩成 $1 - \eta$ 倍，最多缩一成。于是一边在两壁之间来回撞，一边慢慢往前蹭。
#
# ### 动量
#
# 撞来撞去的那部分，梯度一正一负；往前蹭的那部分，梯度总是同一个方向。要是把最近的梯度加起来再走，来回的就抵消，一致的就积累。这就是**动量**：记一个速度 $v$，每步先打个折 $\beta$，再加上新梯度：
#
# $$v_t = \beta\, v_{t-1} + g_t \qquad w_t = w_{t-1} - \eta\, v_t$$
#
# 从 $v_0 = 0$ 开始，一层层代进去：$v_t = g_t + \beta v_{t-1} = g_t + \beta g_{t-1} + \beta^2 v_{t-2} = \cdots$，得到
#
# $$v_t = \sum_{k=0}^{t-1} \beta^k\, g_{t-k}$$
#
# 这是过去所有梯度的加权和，越旧的权越小，按指数衰减。梯度一直不变时，和是 $g\,(1 + \beta + \beta^2 + \cdots) = g / (1 - \beta)$：$\beta = 0.9$，步子等于大了**十倍**。梯度一正一负时，和是 $g\,(1 - \beta + \beta^2 - \cdots) = g / (1 + \beta)$：只剩大约一半。
# %% [markdown] key="ravine" lang="en"
# At $1.01$ times the limit the last step multiplies by $1.02$, which is $|1 - \eta\lambda| = |1 - 2.02|$ exactly. One per cent more or less, and it settles or flies apart.
#
# ### The ravine
#
# The real trouble is that directions are not equally curved. Take a ravine in two dimensions, $L = \frac{1}{2}(w_1^2 + 20\, w_2^2)$, nearly flat along and steep across. The steep direction allows only $\eta < 2/20 = 0.1$; the flat one shrinks by the factor $1 - \eta$ a step, a tenth at most. So the path bounces from wall to wall while it creeps forward.
#
# ### Momentum
#
# In the bouncing part the gradient is now plus, now minus; in the creeping part it always points the same way. If we add up the last gradients before we step, what bounces cancels and what agrees piles up. That is **momentum**: keep a velocity $v$, discount it by $\beta$ at each step, and add the new gradient:
#
# $$v_t = \beta\, v_{t-1} + g_t \qquad w_t = w_{t-1} - \eta\, v_t$$
#
# Start with $v_0 = 0$ and put it into itself again and again, $v_t = g_t + \beta v_{t-1} = g_t + \beta g_{t-1} + \beta^2 v_{t-2} = \cdots$, to find
#
# $$v_t = \sum_{k=0}^{t-1} \beta^k\, g_{t-k}$$
#
# It is a weighted sum of all gradients so far, and the older they are, the smaller their weight, exponentially. If the gradient never changes, the sum is $g\,(1 + \beta + \beta^2 + \cdots) = g / (1 - \beta)$: with $\beta = 0.9$ the step is **ten times** as large. If the gradient alternates, it is $g\,(1 - \beta + \beta^2 - \cdots) = g / (1 + \beta)$: about half is left.

# %% key="momentum-sum" tags=["nbval-check-output"]
beta, steps = 0.9, 200
for name, g in {
    "随机 random": rng.normal(size=steps),
    "不变 constant": np.ones(steps),
    "一正一负 alternating": (-1.0) ** np.arange(steps),
}.items():
    v = 0.0
    for each in g:
        v = beta * v + each
    weighted = sum(beta**k * g[steps - 1 - k] for k in range(steps))
    assert np.isclose(v, weighted)
    print(f"{name}：最后的梯度 last gradient {g[-1]:6.3f}，速度 velocity {v:6.3f}")

# %% key="ravine-run"
CURVES = np.array([1.0, 20.0])


def descend(lr, beta, steps, start=(-9.0, 2.0)):
    """The path on the ravine.  -> (steps + 1, 2)"""
    w, v = np.array(start), np.zeros(2)
    path = [w]
    for _ in range(steps):
        v = beta * v + CURVES * w  # 梯度是 λ w the gradient is λ w
        w = w - lr * v
        path.append(w)
    return np.array(path)


def height(path):
    return 0.5 * (CURVES * path**2).sum(axis=-1)


def draw_path(ax, path, colour, title):
    x, y = np.meshgrid(np.linspace(-10, 4, 80), np.linspace(-3, 3, 60))
    levels = [0.1, 1, 3, 8, 16, 30, 50, 80]
    ax.contour(x, y, height(np.stack([x, y], axis=-1)), levels, colors="0.75", linewidths=0.8)
    seen = path[np.abs(path).max(axis=1) < 100]
    ax.plot(seen[:, 0], seen[:, 1], "o-", color=colour, markersize=3, linewidth=1.2)
    ax.plot(0, 0, "+", color="k", markersize=10)
    ax.set(xlim=(-10, 4), ylim=(-3, 3), xlabel="w₁（平 flat）", ylabel="w₂（陡 steep）")
    ax.set_title(title, fontsize=10)


runs = {"不带动量 plain": (0.09, 0.0, "#D55E00"), "带动量 momentum": (0.09, 0.5, "#0072B2")}
panels = viz.new_axes(7, 5.4, rows=2)
for ax, (name, (lr, beta, colour)) in zip(panels, runs.items(), strict=True):
    path = descend(lr, beta, 20)
    draw_path(
        ax, path, colour, f"{name}   η = {lr}, β = {beta}   20 步后的损失 loss after 20 steps {height(path[-1]):.2g}"
    )
viz.show(
    panels,
    alt="峡谷里的两条路：一条来回撞，一条直奔谷底 two paths in the ravine: one bounces, one heads for the bottom",
)

# %% [markdown] key="rate" lang="zh"
# ### 动量为什么管用：每步乘几
#
# 在一条抛物线上，速度可以消掉：上一步走了 $\eta v_{t-1} = w_{t-2} - w_{t-1}$，代进去，
#
# $$w_t = w_{t-1} - \eta\lambda w_{t-1} + \beta\,(w_{t-1} - w_{t-2}) = (1 + \beta - \eta\lambda)\, w_{t-1} - \beta\, w_{t-2}$$
#
# 试试 $w_t = r^t$，约去公因子，得到一个二次方程：
#
# $$r^2 - (1 + \beta - \eta\lambda)\, r + \beta = 0$$
#
# 两个根的积是 $\beta$。如果它们是一对共轭复数，也就是 $(1 + \beta - \eta\lambda)^2 < 4\beta$，那么两个一样长，$|r| = \sqrt\beta$：**不论 $\lambda$ 是几，每步都乘 $\sqrt\beta$**。陡的平的一起走，峡谷就填平了。不带动量时，最慢的方向每步乘 $\max |1 - \eta\lambda|$。
#
# 选最小的 $\beta$，让 $\lambda = 1$ 和 $\lambda = 20$ 都刚好落在里面，就得到 Polyak 1964 年的答案，设 $\kappa = \lambda_{\max} / \lambda_{\min}$：
#
# $$\sqrt\beta = \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1} \qquad \eta = \frac{4}{(\sqrt{\lambda_{\max}} + \sqrt{\lambda_{\min}})^2}$$
#
# 不带动量时最好的是 $\eta = 2 / (\lambda_{\max} + \lambda_{\min})$，每步乘 $(\kappa - 1) / (\kappa + 1)$。一个是 $\sqrt\kappa$，一个是 $\kappa$，峡谷越窄差得越远。下面的实线是走出来的，虚线是算出来的斜率。
# %% [markdown] key="rate" lang="en"
# ### Why momentum works: the factor of a step
#
# On a parabola the velocity can be eliminated: the last step was $\eta v_{t-1} = w_{t-2} - w_{t-1}$, and put in,
#
# $$w_t = w_{t-1} - \eta\lambda w_{t-1} + \beta\,(w_{t-1} - w_{t-2}) = (1 + \beta - \eta\lambda)\, w_{t-1} - \beta\, w_{t-2}$$
#
# Try $w_t = r^t$, cancel what is common, and a quadratic equation is left:
#
# $$r^2 - (1 + \beta - \eta\lambda)\, r + \beta = 0$$
#
# The product of its roots is $\beta$. If they are a pair of complex conjugates, which is when $(1 + \beta - \eta\lambda)^2 < 4\beta$, both have the same length, $|r| = \sqrt\beta$: **whatever $\lambda$ is, each step multiplies by $\sqrt\beta$**. Steep and flat go together, and the ravine is filled in. Without momentum the slowest direction multiplies by $\max |1 - \eta\lambda|$.
#
# Choose the smallest $\beta$ for which $\lambda = 1$ and $\lambda = 20$ are both just inside, and you have Polyak's answer of 1964, with $\kappa = \lambda_{\max} / \lambda_{\min}$:
#
# $$\sqrt\beta = \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1} \qquad \eta = \frac{4}{(\sqrt{\lambda_{\max}} + \sqrt{\lambda_{\min}})^2}$$
#
# Without momentum the best is $\eta = 2 / (\lambda_{\max} + \lambda_{\min})$, with the factor $(\kappa - 1) / (\kappa + 1)$. One has $\sqrt\kappa$, the other $\kappa$, and the narrower the ravine the further they are apart. Solid lines below are walked, dashed slopes are computed.

# %% key="rate-run"
kappa = CURVES[1] / CURVES[0]
plain_rate = (kappa - 1) / (kappa + 1)
root_beta = (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)
best = {
    "不带动量，最好的 η plain, best η": (2 / CURVES.sum(), 0.0, plain_rate, "#D55E00"),
    "动量，最好的 η 和 β momentum, best η and β": (4 / np.sqrt(CURVES).sum() ** 2, root_beta**2, root_beta, "#0072B2"),
    "动量 momentum, β = 0.9, η = 0.05": (0.05, 0.9, math.sqrt(0.9), "#009E73"),
}

ax = viz.new_axes(7, 4.4)
rates = []
for name, (lr, beta, rate, colour) in best.items():
    heights = height(descend(lr, beta, 60))
    rates.append((heights[60] / heights[30]) ** (1 / 60))  # 高度按平方降 heights fall with the square
    ax.semilogy(heights, color=colour, label=f"{name}：×{rate:.3f}")
    ax.semilogy(heights[0] * rate ** (2 * np.arange(61)), "--", color=colour, linewidth=0.9)
ax.set_ylim(1e-12, 1e4)
ax.set_xlabel("步数 step")
ax.set_ylabel("损失 loss")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False, fontsize=9)
ax.grid(alpha=0.25)
viz.show(ax, alt="三种走法的损失，斜率与公式一致 loss of three ways to walk, with the slopes of the formula")

# %% key="rate-when" tags=["nbval-check-output"]
for beta in (0.5, 0.9):
    rate = math.sqrt(beta)
    print(f"β = {beta}：每步乘 factor {rate:.3f}，不带动量要更慢 plain is slower if κ > {(1 + rate) / (1 - rate):.0f}")

# %% [markdown] key="rate-after" lang="zh"
# 橙线和绿线紧跟着各自的虚线。蓝线起头慢一点：在最好的地方，两个根刚好相等，解是 $t\, r^t$，多一个因子 $t$，走远了才和虚线平行。
#
# 绿线是个提醒：动量不是越大越好。$\beta = 0.9$ 每步乘 $\sqrt{0.9} = 0.949$，在这条不太窄的峡谷里，反而输给不带动量的 $0.905$。上面算出，峡谷要窄到 $\kappa > 38$，它才开始合算。
# %% [markdown] key="rate-after" lang="en"
# The orange line and the green one keep close to their dashes. The blue one begins a little slowly: at the very best place the two roots are equal, the solution is $t\, r^t$, and because of the factor $t$ it becomes parallel to its dashes only further on.
#
# The green line is a warning that more momentum is not always better. With $\beta = 0.9$ each step multiplies by $\sqrt{0.9} = 0.949$, and in a ravine no narrower than this it loses to the $0.905$ of no momentum at all. As printed above, it begins to pay once the ravine has $\kappa > 38$.

# %% [markdown] key="play" lang="zh"
# ## 动手玩：学习率与动量
#
# 拖动学习率，先不带动量：$0.01$ 时它一步步蹭，$0.09$ 时来回撞，过了 $0.10$ 就飞出去。再加上动量，同样的学习率会怎样？$0.13$ 还会飞出去吗？动量加到 $0.95$ 呢？
# %% [markdown] key="play" lang="en"
# ## Play: learning rate and momentum
#
# Drag the learning rate, without momentum first: at $0.01$ the path creeps, at $0.09$ it bounces, past $0.10$ it flies off. Then add momentum: what does the same learning rate do now? Does $0.13$ still fly off? And with momentum up to $0.95$?

# %% key="play-run"
from minillm.widgets import Slider, play


def draw(learning_rate, momentum):
    path = descend(learning_rate, momentum, 40)
    ax = viz.new_axes(7, 3.6)
    far = height(path[-1]) > height(path[0])
    ending = "飞出去了 it flies off" if far else f"40 步后的损失 loss after 40 steps {height(path[-1]):.1e}"
    draw_path(ax, path, "#D55E00" if far else "#0072B2", f"η = {learning_rate:.2f}   β = {momentum:.2f}   {ending}")
    return ax


play(
    draw,
    learning_rate=Slider(0.01, 0.13, 0.01, value=0.09, label="学习率 learning rate"),
    momentum=Slider(0.0, 0.95, 0.05, value=0.0, label="动量 momentum"),
    alt="峡谷里的一条路，由学习率和动量决定 a path in the ravine, set by learning rate and momentum",
)

# %% [markdown] key="chinese" lang="zh"
# ## 在中文上：一个两层的模型
#
# 现在把三样东西合起来：磁带求梯度，SGD 走路，课程自带的《槐树胡同读本》当数据。模型只看一个字，猜下一个，但比第 05 课多一层：查表得到 16 个数，乘一个矩阵，$\tanh$ 弯一下，再乘一个矩阵得到每个字的分数。
#
# $$h = \tanh(E_a W_1) \qquad z = h W_2 + b \qquad L = -\ln \mathrm{softmax}(z)_y$$
#
# 反向一行也不用写。开始之前照例核对：模型缩小，用 `gradcheck` 逐个挪一挪。
# %% [markdown] key="chinese" lang="en"
# ## On Chinese text: a model of two layers
#
# Now put three things together: the tape for gradients, SGD for walking, and the reader that comes with the course for data. The model sees one character and guesses the next, with one layer more than in lesson 05: look up 16 numbers, multiply by a matrix, bend by $\tanh$, and multiply by another matrix for a score of every character.
#
# $$h = \tanh(E_a W_1) \qquad z = h W_2 + b \qquad L = -\ln \mathrm{softmax}(z)_y$$
#
# Not one line of backward is needed. First the usual check: make the model small, and let `gradcheck` move every number.


# %% key="chinese-model" tags=["nbval-check-output"]
from minillm.np.gradcheck import gradcheck


def new_weights(vocab, rng, size=16):
    shapes = {"E": (vocab, size), "W1": (size, size), "W2": (size, vocab)}
    weights = {name: rng.normal(size=shape) / math.sqrt(size) for name, shape in shapes.items()}
    return {**weights, "b": np.zeros(vocab)}


def loss_and_gradients(weights, ids, targets):
    w = {name: Var(array) for name, array in weights.items()}
    z = (w["E"][ids] @ w["W1"]).tanh() @ w["W2"] + w["b"]
    z = z - z.data.max(axis=1, keepdims=True)
    log_total = z.exp().sum(axis=1).log()
    loss = (log_total - z[np.arange(len(ids)), targets][:, None]).sum() * (1 / len(ids))
    loss.backward()
    return loss.data.item(), {name: var.grad for name, var in w.items()}


small = new_weights(7, np.random.default_rng(0), size=3)
ids, targets = np.array([1, 4, 1, 6, 0]), np.array([2, 2, 5, 0, 3])  # 1 用了两次 1 is used twice
loss, gradients = loss_and_gradients(small, ids, targets)
worst = gradcheck(lambda: loss_and_gradients(small, ids, targets)[0], small, gradients)
assert worst.error < 1e-8, worst
print(f"{worst.entries} 个梯度都对 gradients are right")

# %% [markdown] key="chinese-train-text" lang="zh"
# 三次训练，同样的数据，同样的起点，只有走法不同。前两次学习率都是 0.5，一次不带动量，一次 $\beta = 0.9$。第三次不带动量，但学习率直接给 $0.5 / (1 - 0.9) = 5$。
# %% [markdown] key="chinese-train-text" lang="en"
# Three trainings with the same data from the same start, different only in how they walk. The first two have a learning rate of 0.5, one without momentum and one with $\beta = 0.9$. The third has no momentum, but is given the learning rate $0.5 / (1 - 0.9) = 5$ outright.

# %% key="chinese-train" tags=["nbval-check-output"]
from minillm.data.corpora import load_corpus, token_stream
from minillm.text import train_tokenizer

corpus = load_corpus("reader")
tokenizer = train_tokenizer("char", corpus.train)
tokens = token_stream(corpus.train, tokenizer)
vocab = tokenizer.vocab_size


def train(lr, beta, seed=0, steps=200, batch=128):
    rng = np.random.default_rng(seed)
    weights = new_weights(vocab, rng)
    velocity = dict.fromkeys(weights, 0.0)
    losses = []
    for _ in range(steps):
        at = rng.integers(len(tokens) - 1, size=batch)
        loss, gradients = loss_and_gradients(weights, tokens[at], tokens[at + 1])
        for name, gradient in gradients.items():
            velocity[name] = beta * velocity[name] + gradient
            weights[name] = weights[name] - lr * velocity[name]
        losses.append(loss)
    return weights, losses


ways = {"η = 0.5": (0.5, 0.0), "η = 0.5, β = 0.9": (0.5, 0.9), "η = 5": (5.0, 0.0)}
trained = {name: train(*way) for name, way in ways.items()}
final = {name: float(np.mean(losses[-50:])) for name, (_, losses) in trained.items()}
share = np.bincount(tokens, minlength=vocab) / len(tokens)
entropy = float(-(share[share > 0] * np.log(share[share > 0])).sum())
print(f"瞎猜 guessing ln V {math.log(vocab):.3f}，只知字频 frequencies alone {entropy:.3f}")
for name, loss in final.items():
    print(f"最后 50 步的平均损失 mean loss of the last 50 steps: {loss:.3f}   {name}")

# %% key="chinese-picture"
from minillm.viz import smooth

ax = viz.new_axes(7, 3.8)
for (name, (_, losses)), colour in zip(trained.items(), ("#D55E00", "#0072B2", "#009E73"), strict=True):
    ax.plot(losses, color=colour, linewidth=0.5, alpha=0.4)
    ax.plot(smooth(losses), color=colour, label=name)
ax.axhline(math.log(vocab), color="0.5", linestyle=":", label="瞎猜 guessing, ln V")
ax.axhline(entropy, color="0.3", linestyle="--", linewidth=1, label="只知字频 frequencies alone")
ax.set_xlabel("步数 step")
ax.set_ylabel("损失（奈特/字） loss (nats per character)")
ax.set_ylim(4.4, 7.9)
ax.legend(edgecolor="none", fontsize=9, ncols=3, loc="upper right")
viz.show(ax, alt="带动量与学习率大十倍几乎一样 momentum and a ten times larger learning rate are nearly alike")

# %% [markdown] key="chinese-after" lang="zh"
# 带动量的快得多。可是第三条线几乎和它重合，还稍低一点，因为速度从零攒起，头十来步慢了半拍：这里的好处，差不多**全是步子大了十倍**。大概因为小批次噪声大，路又短，离谷底还远，峡谷里的本事用不上。动量真正省力，是在陡的方向逼着你不敢放大 $\eta$ 的时候，就像上面的峡谷。所以比较两种走法，各自都要先调好学习率；只调一个，比的就不是走法。
#
# 看看学到了什么。“我爱北京天安门”里，每个字后面最可能是谁：
# %% [markdown] key="chinese-after" lang="en"
# With momentum it is much faster. But the third line nearly covers it, and is even a little lower, since a velocity that begins at zero lags for the first ten steps or so: the gain here is almost **entirely the ten times larger step**. Probably because small batches are noisy and the way was short: the bottom was still far off, and skill in ravines found no use. Momentum earns its keep where a steep direction forbids a larger $\eta$, as in the ravine above. So to compare two ways of walking, tune the learning rate of both; tune one alone, and it is not the ways that are compared.
#
# See what it has learnt. In 我爱北京天安门 (“I love Tiananmen in Beijing”), what is most likely after each character:

# %% key="chinese-look" tags=["nbval-check-output"]
weights, _ = trained["η = 0.5, β = 0.9"]
sentence = "我爱北京天安门"
h = np.tanh(weights["E"][tokenizer.encode(sentence)] @ weights["W1"])
chances = F.softmax(h @ weights["W2"] + weights["b"])[0]
for char, p in zip(sentence, chances, strict=True):
    top = np.argsort(-p)[:4]
    shown = "  ".join(f"{tokenizer.decode([i])!r} {p[i]:.0%}" for i in top)
    print(f"{char} → {shown}")

# %% [markdown] key="twin" lang="zh"
# ## PyTorch 的孪生
#
# `torch.autograd` 就是一卷磁带：张量带上 `requires_grad=True`，运算时自动记录，`backward()` 倒着走一遍。下面把同样的三件事交给它：开头的小图，刚才缩小了的两层模型，峡谷里的路。`torch.optim.SGD` 的动量和我们的写法一样；minillm 的 `SGD` 也一样。
# %% [markdown] key="twin" lang="en"
# ## The PyTorch twin
#
# `torch.autograd` is a tape: tensors with `requires_grad=True` are recorded as they are used, and `backward()` walks back. Here are the same three things: the little graph of the beginning, the small two-layer model from above, and the path in the ravine. The momentum of `torch.optim.SGD` is written like ours, and so is that of minillm's `SGD`.

# %% key="twin-minillm" tags=["nbval-check-output"]
from minillm.np.optim import SGD
from minillm.np.param import Param

w = Param(np.array([-9.0, 2.0]))
optimiser = SGD([{"params": [("w", w)]}], lr=0.09, momentum=0.5)
for _ in range(20):
    w.grad = CURVES * w.data
    optimiser.step()
assert np.allclose(w.data, descend(0.09, 0.5, 20)[-1], atol=1e-14)
print("minillm 的 SGD 走同一条路 minillm's SGD walks the same path")

# %% key="twin-run" tags=["nbval-check-output"]
try:
    import torch
    import torch.nn.functional as TF
except ImportError:
    print("没有 PyTorch，这一格跳过 no PyTorch here, so this cell is skipped")
else:
    a_pt, b_pt, c_pt = (torch.tensor(x, requires_grad=True) for x in (2.0, -3.0, 10.0))
    e_pt = a_pt * b_pt
    ((e_pt + c_pt) * e_pt).backward()
    print("小图 the little graph:", a_pt.grad.item(), b_pt.grad.item(), c_pt.grad.item())

    w_pt = {name: torch.tensor(array, requires_grad=True) for name, array in small.items()}
    h_pt = torch.tanh(w_pt["E"][torch.tensor(ids)] @ w_pt["W1"])
    TF.cross_entropy(h_pt @ w_pt["W2"] + w_pt["b"], torch.tensor(targets)).backward()
    difference = max(np.abs(w_pt[name].grad.numpy() - gradients[name]).max() for name in small)
    print("两层模型，梯度相差不到 two layers, gradients differ by less than 1e-14:", bool(difference < 1e-14))

    w_pt = torch.tensor([-9.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([w_pt], lr=0.09, momentum=0.5)
    for _ in range(20):
        optimiser.zero_grad()
        (0.5 * (torch.tensor(CURVES) * w_pt**2).sum()).backward()
        optimiser.step()
    difference = np.abs(w_pt.detach().numpy() - descend(0.09, 0.5, 20)[-1]).max()
    print("峡谷里的路，终点相差不到 path in the ravine, ends differ by less than 1e-14:", bool(difference < 1e-14))

# %% [markdown] key="bands" lang="zh"
# ## 你应该得到什么
#
# 下面的数由机器核对。前三个来自差分：最好的一步应当落在公式给的同一个量级，两种精度的最小误差应当是 $\varepsilon^{2/3}$ 的量级。再两个是每步乘几，应当等于公式。最后三个随随机种子稍有起落：十个种子里，不带动量的损失在 6.23 到 6.33 之间，带动量的在 4.99 到 5.11 之间，学习率十倍的比带动量的低 0.03 到 0.06；范围放宽了些，给别的处理器留点余地。
# %% [markdown] key="bands" lang="en"
# ## What you should get
#
# The machine checks these figures. The first three come from differences: the best step should be of the size that the formula gives, the least errors of the size of $\varepsilon^{2/3}$ in both precisions. The next two are factors of a step and should equal the formula. The last three vary a little with the random seed: over ten seeds the loss without momentum was 6.23 to 6.33, with momentum 4.99 to 5.11, and with ten times the learning rate lower than with momentum by 0.03 to 0.06; the ranges are somewhat wider, to leave room for other processors.

# %% key="bands-run"
from minillm.bands import band

steps, errors, best_step = measured["float64", True]
band("中心差分最好的 h 除以公式 best central step over formula", steps[errors.argmin()] / best_step, 0.2, 5)
band("最小误差 least error, float64", errors.min(), 5e-12, 1e-10)
band("最小误差 least error, float32", measured["float32", True][1].min(), 3e-6, 1e-4)
band("η = 1.01 × 2/λ，每步乘 factor a step", growth[1.01], 1.019, 1.021)
band("不带动量，最好的 η，每步乘 plain, best η, factor a step", rates[0], plain_rate - 0.001, plain_rate + 0.001)
band("损失 loss, η = 0.5", final["η = 0.5"], 6.1, 6.45)
band("损失 loss, η = 0.5, β = 0.9", final["η = 0.5, β = 0.9"], 4.85, 5.25)
band("学习率十倍与动量之差 ten times η against momentum", final["η = 5"] - final["η = 0.5, β = 0.9"], -0.15, 0.05)

# %% [markdown] key="mistakes" lang="zh"
# ## 常见的错
#
# **把反向传播当成训练。** 反向传播只求梯度，一个参数也不改。怎么走是优化器的事。
#
# **忘了清零。** 一张图里，梯度要加起来；两步训练之间，却不能加。PyTorch 的 `.grad` 会一直累加，直到有人调用 `zero_grad()`。忘了会怎样？每一步用的是从头到现在所有梯度的和：$v_t = v_{t-1} + g_t$。这正是 $\beta = 1$ 的动量，一点不打折，永远停不下来：
# %% [markdown] key="mistakes" lang="en"
# ## What people get wrong
#
# **Taking backpropagation for training.** Backpropagation only finds gradients and changes no parameter. How to step is the optimiser's business.
#
# **Forgetting to clear.** Within a graph gradients add up; between two steps of training they must not. PyTorch's `.grad` keeps adding until somebody calls `zero_grad()`. What if it is forgotten? Every step uses the sum of all gradients since the beginning: $v_t = v_{t-1} + g_t$. That is momentum with $\beta = 1$, with no discount at all, and it never comes to rest:

# %% key="mistakes-run" tags=["nbval-check-output"]
w, total = np.array([-9.0, 2.0]), np.zeros(2)
forgotten = [w]
for _ in range(300):
    total += CURVES * w  # 没有清零 not cleared
    w = w - 0.05 * total
    forgotten.append(w)

assert np.allclose(forgotten, descend(0.05, 1.0, 300))
for name, path in {"清零 cleared": descend(0.05, 0.0, 300), "没清零 not cleared": np.array(forgotten)}.items():
    print(f"{name}：最后 100 步里的最大损失 largest loss in the last 100 steps {height(path[-100:]).max():.2g}")

# %% [markdown] key="mistakes-more" lang="zh"
# **用 float32 核对梯度。** 最好的步长也只剩 $10^{-5}$ 的把握；步长照抄 float64 的，误差更大。核对用 float64，训练再换回去。
#
# **$h$ 取得太小。** 本课开头那张表：$10^{-16}$ 的差分等于零，不是导数等于零。
#
# **损失忽然变成 `nan`，先怪代码。** 先把学习率减到三分之一再跑。若损失在飞走之前每步都乘上差不多的倍数，那多半是过了 $2/\lambda$。
#
# ## 记住三句话
#
# 1. 沿着一条路相乘，几条路相加；从损失往回走一遍，就得到全部梯度，价钱大约是前向的两倍。
# 2. 差分用来核对：中心差分，float64，$h \sim \varepsilon^{1/3}$。
# 3. 学习率过了 $2/\lambda_{\max}$ 就炸；动量是过去梯度的加权和，在峡谷里省步子，同时把有效的步子放大到 $1/(1-\beta)$ 倍。
#
# ## 出处
#
# - R. E. Wengert (1964). A simple automatic derivative evaluation program. Communications of the ACM 7 (8), 463–464. 把式子拆成一列基本步骤，由程序逐步求导。
# - B. T. Polyak (1964). Some methods of speeding up the convergence of iteration methods. USSR Computational Mathematics and Mathematical Physics 4 (5), 1–17. 动量，当时叫“重球法”。
# - S. Linnainmaa (1976). Taylor expansion of the accumulated rounding error. BIT 16, 146–160. 反向模式；出自他 1970 年的硕士论文。
# - W. Baur, V. Strassen (1983). The complexity of partial derivatives. Theoretical Computer Science 22, 317–330. 全部偏导数只要几倍的价钱。
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams (1986). Learning representations by back-propagating errors. Nature 323, 533–536. 反向传播，带动量。
# - W. H. Press, S. A. Teukolsky, W. T. Vetterling, B. P. Flannery (2007). Numerical Recipes, 3rd edition, section 5.7. Cambridge University Press. 差分的步长。
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind (2018). Automatic differentiation in machine learning: a survey. Journal of Machine Learning Research 18 (153), 1–43. [arXiv 1502.05767](https://arxiv.org/abs/1502.05767). 前向与反向模式。
# %% [markdown] key="mistakes-more" lang="en"
# **Checking gradients in float32.** At the best step no more than $10^{-5}$ can be trusted, and with a step copied from float64 even less. Check in float64, then train in whatever you like.
#
# **Too small an $h$.** See the table at the head of this lesson: at $10^{-16}$ the difference is zero; the derivative is not.
#
# **The loss turns `nan`, and the code gets the blame.** First run again with a third of the learning rate. If the loss was multiplied by about the same factor at each step before it flew off, then $2/\lambda$ has most likely been passed.
#
# ## Three sentences to keep
#
# 1. Multiply along a path, add over paths; one walk back from the loss gives all gradients, for about twice the price of forward.
# 2. Differences are for checking: central, in float64, $h \sim \varepsilon^{1/3}$.
# 3. A learning rate beyond $2/\lambda_{\max}$ blows up; momentum is a weighted sum of past gradients that saves steps in a ravine and at the same time makes the effective step $1/(1-\beta)$ times as large.
#
# ## Sources
#
# - R. E. Wengert (1964). A simple automatic derivative evaluation program. Communications of the ACM 7 (8), 463–464. A formula as a list of elementary steps, differentiated step by step by a program.
# - B. T. Polyak (1964). Some methods of speeding up the convergence of iteration methods. USSR Computational Mathematics and Mathematical Physics 4 (5), 1–17. Momentum, then called the heavy-ball method.
# - S. Linnainmaa (1976). Taylor expansion of the accumulated rounding error. BIT 16, 146–160. Reverse mode, from his master's thesis of 1970.
# - W. Baur, V. Strassen (1983). The complexity of partial derivatives. Theoretical Computer Science 22, 317–330. All partial derivatives for a few times the price.
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams (1986). Learning representations by back-propagating errors. Nature 323, 533–536. Backpropagation, with momentum.
# - W. H. Press, S. A. Teukolsky, W. T. Vetterling, B. P. Flannery (2007). Numerical Recipes, 3rd edition, section 5.7. Cambridge University Press. The step of a difference.
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind (2018). Automatic differentiation in machine learning: a survey. Journal of Machine Learning Research 18 (153), 1–43. [arXiv 1502.05767](https://arxiv.org/abs/1502.05767). Forward and reverse mode.

# %% [markdown] key="ex-fork-gradients" lang="zh" exercise="fork_gradients"
# ### 练习 1　分岔的地方
#
# $L = (a + b) \cdot (b c)$。在纸上画出它的图，$b$ 用了两次。不用差分，也不用磁带，写出 $L$ 对 $a$、$b$、$c$ 的导数，次序就是这样。先猜：$a = 1$，$b = 2$，$c = 3$ 时，哪一个最大？
# %% [markdown] key="ex-fork-gradients" lang="en" exercise="fork_gradients"
# ### Exercise 1: Where a value forks
#
# $L = (a + b) \cdot (b c)$. Draw its graph on paper; $b$ is used twice. Without differences and without a tape, write down the derivatives of $L$ by $a$, $b$ and $c$, in this order. Guess first: for $a = 1$, $b = 2$, $c = 3$, which is the largest?


# %% key="ex-fork-gradients-code" exercise="fork_gradients" kind="predict" difficulty=1 minutes=6 points=1
def fork_gradients(a: float, b: float, c: float) -> tuple[float, float, float]:
    """(dL/da, dL/db, dL/dc) of L = (a + b) * (b * c)"""
    ### BEGIN SOLUTION
    left, right = a + b, b * c  # L = left * right
    return right, right + left * c, left * b  # b gets a share from either side
    ### END SOLUTION


# %% key="ex-fork-gradients-check" exercise="fork_gradients"
check(fork_gradients)

# %% [markdown] key="ex-pass-back" lang="zh" exercise="pass_back"
# ### 练习 2　修好往回走的一遍
#
# 一卷磁带写成一张表，按出生的先后排：第 $i$ 项是 `[(operand, local), ...]`，也就是来源的序号和局部导数，一对一对；最后一项是结果。下面的函数应当返回结果对每一项的导数。它能跑，可是有两处毛病，都修好。
# %% [markdown] key="ex-pass-back" lang="en" exercise="pass_back"
# ### Exercise 2: Mend the walk back
#
# A tape is written as a list in the order of birth: entry $i$ is `[(operand, local), ...]`, pairs of an operand's index and the local derivative; the last entry is the result. The function below should return the derivative of the result by each entry. It runs, but has two faults: mend both.


# %% key="ex-pass-back-code" exercise="pass_back" kind="repair" difficulty=2 minutes=8 points=1
def pass_back(tape):
    """Derivatives of the last entry by every entry.  tape: list of [(operand, local), ...] -> list of float"""
    ### BEGIN SOLUTION
    grads = [0.0] * len(tape)
    grads[-1] = 1.0
    for i in reversed(range(len(tape))):
        for operand, local in tape[i]:
            grads[operand] += grads[i] * local
    return grads
    ### END SOLUTION
    ### BEGIN STUB
    # grads = [0.0] * len(tape)
    # grads[-1] = 1.0
    # for i in range(len(tape)):
    #     for operand, local in tape[i]:
    #         grads[operand] = grads[i] * local
    # return grads
    ### END STUB


# %% key="ex-pass-back-check" exercise="pass_back"
check(pass_back)

# %% [markdown] key="ex-central-slopes" lang="zh" exercise="central_slopes"
# ### 练习 3　自己的裁判
#
# 写出中心差分：`f` 收一个数组，给出一个数；`x` 的形状随意。每个数单独挪，别的都留在原处，结果和 `x` 一样大。步长 `h` 由调用者给，可能不小，所以不要偷换成别的差分。
# %% [markdown] key="ex-central-slopes" lang="en" exercise="central_slopes"
# ### Exercise 3: A judge of your own
#
# Write central differences: `f` takes an array and gives a number; `x` has any shape. Move every entry by itself while all others stay where they are; the result is as large as `x`. The caller chooses the step `h`, which may not be small, so do not swap in another kind of difference.


# %% key="ex-central-slopes-code" exercise="central_slopes" kind="implement" difficulty=2 minutes=12 points=2
def central_slopes(f, x, h):
    """Central difference of f in every entry of x.  f: array -> float, x (...) float64 -> (...)"""
    ### BEGIN SOLUTION
    slopes = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        slopes[index] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes
    ### END SOLUTION


# %% key="ex-central-slopes-check" exercise="central_slopes"
check(central_slopes)

# %% [markdown] key="ex-unbroadcast" lang="zh" exercise="unbroadcast"
# ### 练习 4　广播的反向
#
# 这是 minillm 里的函数，函数体要你来写。`grad` 是结果的梯度，`shape` 是来源原来的形状。广播做两件事：在前面添轴，把长度是 1 的轴撑开。两件都要还回去，还的结果形状必须正好是 `shape`。
# %% [markdown] key="ex-unbroadcast" lang="en" exercise="unbroadcast"
# ### Exercise 4: The backward of broadcasting
#
# This is minillm's own function; the body is for you to write. `grad` is the gradient of the result, `shape` the shape that the operand had. Broadcasting does two things: it adds axes in front, and it stretches axes of length 1. Both have to be given back, and what comes out must have exactly the shape `shape`.

# %% key="ex-unbroadcast-code" exercise="unbroadcast" kind="implement" difficulty=3 minutes=12 points=2
from minillm.np.tape import unbroadcast  # stub

# %% key="ex-unbroadcast-check" exercise="unbroadcast"
check(unbroadcast)

# %% [markdown] key="ex-momentum-path" lang="zh" exercise="momentum_path"
# ### 练习 5　带动量的路
#
# `gradient` 收下参数，给出梯度。从 `w` 出发，照 $v_t = \beta v_{t-1} + g_t$、$w_t = w_{t-1} - \eta v_t$ 走 `steps` 步，返回走过的每一个点，起点也算。
# %% [markdown] key="ex-momentum-path" lang="en" exercise="momentum_path"
# ### Exercise 5: A path with momentum
#
# `gradient` takes the parameters and gives the gradient. Start at `w`, take `steps` steps by $v_t = \beta v_{t-1} + g_t$ and $w_t = w_{t-1} - \eta v_t$, and return every point of the way, the start among them.


# %% key="ex-momentum-path-code" exercise="momentum_path" kind="implement" difficulty=3 minutes=12 points=2
def momentum_path(gradient, w, lr, beta, steps):
    """All points of SGD with momentum.  gradient: (n,) -> (n,), w (n,) -> (steps + 1, n)"""
    ### BEGIN SOLUTION
    path, v = [w], np.zeros_like(w)
    for _ in range(steps):
        v = beta * v + gradient(w)
        w = w - lr * v  # a new array: the path keeps the old one
        path.append(w)
    return np.stack(path)
    ### END SOLUTION


# %% key="ex-momentum-path-check" exercise="momentum_path"
check(momentum_path)

# %% [markdown] key="ex-largest-step" lang="zh" exercise="largest_step"
# ### 练习 6　带动量，界限在哪里
#
# 不带动量，学习率的界限是 $2/\lambda_{\max}$。课里的滑块说明，带了动量，界限会变。从方程 $r^2 - (1 + \beta - \eta\lambda)\, r + \beta = 0$ 推出新的界限：$\eta$ 慢慢增大，哪个根先走到长度 1，走到哪里？`hessian` 是对称矩阵 $A$，特征值都是正的，但坐标轴不一定已经转好。
# %% [markdown] key="ex-largest-step" lang="en" exercise="largest_step"
# ### Exercise 6: Where is the limit with momentum?
#
# Without momentum the learning rate is limited by $2/\lambda_{\max}$. The sliders of the lesson show that momentum changes the limit. Derive the new one from $r^2 - (1 + \beta - \eta\lambda)\, r + \beta = 0$: as $\eta$ grows, where does a root first reach length 1? `hessian` is the symmetric matrix $A$, whose eigenvalues are all positive; its axes need not have been turned yet.


# %% key="ex-largest-step-code" exercise="largest_step" kind="extend" difficulty=4 minutes=15 points=2
def largest_step(hessian, beta):
    """Learning rate at which momentum descent on w @ hessian @ w / 2 stops settling.  hessian (n, n), 0 <= beta < 1"""
    ### BEGIN SOLUTION
    steepest = np.linalg.eigvalsh(hessian)[-1]
    return float(2 * (1 + beta) / steepest)  # r = -1 in the equation: 2 + 2 beta - lr * steepest = 0
    ### END SOLUTION


# %% key="ex-largest-step-check" exercise="largest_step"
check(largest_step)
