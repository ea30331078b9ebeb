"""Checkers of lesson 13, the PyTorch mirror: gradients that add up, a training step, weights carried over, a backward
of one's own, what autograd keeps, and where two models part."""

import copy
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from exercises.checks.framework import Run, T, exercise


@exercise(
    hint=T(
        zh="一遍一遍地走：要清零就先归零，再加上这一遍的导数。$(wx)^2 = w^2 x^2$，对 $w$ 求导。",
        en="Go round by round: where it clears, start from zero, then add this round's derivative. $(wx)^2 = w^2 x^2$; "
        "differentiate by $w$.",
    )
)
def grad_after(run: Run) -> None:
    """Cleared before the backward where it says so, else added up."""
    w, xs = float(run.rng.uniform(0.5, 2.0)), [float(x) for x in run.rng.uniform(0.5, 2.0, size=6)]
    at = int(run.rng.integers(2, 4))
    cleared = [i == at for i in range(6)]
    each = [2 * w * x * x for x in xs]
    run.equal(
        run.scalar(run.call(w, xs, cleared)),
        sum(each[at:]),
        mistakes={
            "overwritten": (
                each[-1],
                T(
                    "你只留下了最后一遍的梯度。没有清零的时候，`backward()` 是加上去，不是写上去。",
                    "You keep the last round's gradient only. Where nothing is cleared, `backward()` adds and does not "
                    "overwrite.",
                ),
            ),
            "never-cleared": (
                sum(each),
                T("你把每一遍都加了起来，没有理会 `cleared`。", "You add up all rounds and do not look at `cleared`."),
            ),
            "cleared-late": (
                sum(each[at + 1 :]),
                T(
                    "清零在 `backward()` 之前：那一遍自己的梯度是算数的，你把它也抹掉了。",
                    "Clearing comes before `backward()`: the gradient of that very round counts, and you wiped it out.",
                ),
            ),
            "averaged": (
                sum(each[at:]) / len(each[at:]),
                T("梯度是加起来的，没有人替你求平均。", "Gradients add up; nobody takes their mean for you."),
            ),
            "inner": (
                sum(2 * w * x for x in xs[at:]),
                T(
                    "平方里面还有一个 $x$：链式法则少乘了一次。",
                    "There is another $x$ inside the square: a factor of the chain rule is missing.",
                ),
            ),
            "by-x": (
                sum(2 * w * w * x for x in xs[at:]),
                T("你是对 $x$ 求的导；`w.grad` 是对 $w$ 的。", "You differentiate by $x$; `w.grad` is by $w$."),
            ),
        },
    )


# ---------------------------------------------------------------------- a training step


def steps_with(
    model: nn.Module, ids: Tensor, answers: Tensor, lr: float, clear: str = "before", update: bool = True
) -> list[Tensor]:
    """The parameters after two steps in which one thing may be wrong."""
    model = copy.deepcopy(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(2):
        loss = cross_entropy(model(ids).flatten(0, 1), answers.flatten())
        if clear == "before":
            optimiser.zero_grad()
        loss.backward()
        if clear == "late":
            optimiser.zero_grad()
        if update:
            optimiser.step()
    return [p.detach() for p in model.parameters()]


@exercise(
    hint=T(
        zh="四件事，按次序：算损失（`cross_entropy` 自己做 softmax），清零，反向，走一步。要一个普通的数：`.item()`。",
        en="Four things in order: the loss (`cross_entropy` does the softmax itself), clear, backward, step. For an "
        "ordinary number: `.item()`.",
    )
)
def training_step(run: Run) -> None:
    """Two steps of SGD on a tiny model: the losses, then the parameters."""
    batch, length, vocab, width = run.sizes(4, low=3, high=7)
    model = nn.Sequential(nn.Embedding(vocab, width), nn.Linear(width, vocab)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.tensor(run.rng.normal(size=p.shape)))
    start = copy.deepcopy(model)
    ids, answers = (torch.tensor(run.rng.integers(vocab, size=(batch, length))) for _ in range(2))
    lr = 0.5
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    got = [run.call(model, optimiser, ids, answers) for _ in range(2)]
    run.require(
        not any(torch.is_tensor(loss) for loss in got),
        "tensor",
        T(
            "返回的是张量，不是一个普通的小数。留着它，就留着这一步的整张图。",
            "You return a tensor and not an ordinary float. Who keeps it keeps the whole graph of this step.",
        ),
    )
    once = start(ids).detach()
    flat = answers.flatten()
    moved = [p.detach() for p in model.parameters()]
    run.equal(
        run.scalar(got[0], name="loss"),
        float(cross_entropy(once.flatten(0, 1), flat)),
        mistakes={
            "softmax-first": (
                lambda: float(cross_entropy(once.softmax(-1).flatten(0, 1), flat)),
                T(
                    "交叉熵之前做了 softmax：它自己会做，于是做了两次。",
                    "There is a softmax before the cross-entropy, which does it itself: so it is done twice.",
                ),
            ),
            "log-softmax-axis": (
                lambda: float(cross_entropy(once.softmax(1).flatten(0, 1), flat)),
                T(
                    "softmax 做了两次，而且沿着时间那个轴。交叉熵自己会做。",
                    "Softmax is done twice, and along the axis of time. Cross-entropy does it itself.",
                ),
            ),
            "scrambled": (
                lambda: float(cross_entropy(once.reshape(batch, vocab, length), answers)),
                T(
                    "`reshape` 或 `view` 凑出的形状是对的，数却乱了：(B, T, V) 的类别在最后一个轴，不能硬拧到中间。",
                    "`reshape` or `view` gave the right shape and scrambled the numbers: in (B, T, V) the classes are "
                    "last and cannot be forced into the middle.",
                ),
            ),
            "summed": (
                lambda: float(cross_entropy(once.flatten(0, 1), flat, reduction="sum")),
                T("要的是平均，你给的是总和。", "The mean is wanted; you give the sum."),
            ),
            "after-update": (
                lambda: float(cross_entropy(updated(start, ids, answers, lr)(ids).detach().flatten(0, 1), flat)),
                T(
                    "这是改过参数以后的损失；要的是之前的。",
                    "This is the loss after the update; the one before it is wanted.",
                ),
            ),
        },
        name="loss",
    )
    run.equal(
        moved,
        steps_with(start, ids, answers, lr),
        mistakes={
            "not-cleared": (
                lambda: steps_with(start, ids, answers, lr, clear="never"),
                T(
                    "第二步用的是两步梯度的和：没有人清零。",
                    "The second step uses the sum of both gradients: nobody has cleared them.",
                ),
            ),
            "not-updated": (
                lambda: steps_with(start, ids, answers, lr, update=False),
                T(
                    "参数一动没动。没有走那一步，或者走之前把刚算的梯度清掉了。",
                    "No parameter has moved. The update is missing, or the new gradients were cleared before it.",
                ),
            ),
        },
        name="parameters",
    )


def updated(model: nn.Module, ids: Tensor, answers: Tensor, lr: float) -> nn.Module:
    """A copy of the model after one right step."""
    model = copy.deepcopy(model)
    cross_entropy(model(ids).flatten(0, 1), answers.flatten()).backward()
    torch.optim.SGD(model.parameters(), lr=lr).step()
    return model


# ---------------------------------------------------------------------- weights carried over


@exercise(
    hint=T(
        zh="PyTorch 的权重是 (d_out, d_in)：先转置，再按 Q、K、V 上下叠起来。`torch.tensor` 复制，`torch.from_numpy` 不复制。",
        en="PyTorch's weights are (d_out, d_in): transpose first, then stack Q, K, V one above the other. "
        "`torch.tensor` copies, `torch.from_numpy` does not.",
    )
)
def carry_over(run: Run) -> None:
    """Transposed, stacked in order, float32, and memory of its own."""
    d = int(run.rng.integers(2, 5)) * 2
    wide = [run.rng.normal(size=(d, d)) for _ in range(4)]
    narrow = [w.astype(np.float32) for w in wide]
    for given in (wide, narrow):
        wq, wk, wv, wo = given
        state = run.mapping(run.call(*given, may_change=True))
        run.require(
            set(state) == {"in_proj_weight", "out_proj.weight"},
            "keys",
            T(
                "键不对：`load_state_dict` 只认 `in_proj_weight` 和 `out_proj.weight`。",
                "The keys are not right: `load_state_dict` knows `in_proj_weight` and `out_proj.weight` only.",
            ),
        )
        stacked, out = state["in_proj_weight"], state["out_proj.weight"]
        run.require(
            not torch.is_tensor(stacked) or tuple(stacked.shape) != (d, 3 * d),
            "side-by-side",
            T(
                "你把三个矩阵左右拼在一起；一行是一个输出，要上下叠。",
                "You put the three matrices side by side; a row is an output, so they stand one above the other.",
            ),
        )
        stacked = run.tensor(stacked, (3 * d, d), torch.float32, name="in_proj_weight")
        out = run.tensor(out, (d, d), torch.float32, name="out_proj.weight")

        def rows(*matrices: np.ndarray) -> Tensor:
            return torch.tensor(np.concatenate(matrices), dtype=torch.float32)

        run.equal(
            stacked,
            rows(wq.T, wk.T, wv.T),
            mistakes={
                "not-transposed": (
                    rows(wq, wk, wv),
                    T(
                        "矩阵没有转置：`x @ wq` 的排法是 (d_in, d_out)，PyTorch 的是 (d_out, d_in)。方阵转不转形状都对。",
                        "The matrices are not transposed: `x @ wq` has the layout (d_in, d_out), PyTorch's is "
                        "(d_out, d_in). Square ones fit either way.",
                    ),
                ),
                "order": (
                    rows(wk.T, wq.T, wv.T),
                    T("次序不对：先查询，再键，再值。", "The order is not right: query first, then key, then value."),
                ),
                "all-at-once": (
                    rows(np.concatenate([wq, wk, wv]).reshape(d, 3 * d).T),
                    T(
                        "叠好以后再转置或 `reshape`，各个矩阵的行就混了；先各自转置。",
                        "Transposing or reshaping what is already stacked mixes the rows; transpose each by itself first.",
                    ),
                ),
            },
            name="in_proj_weight",
        )
        run.equal(
            out,
            rows(wo.T),
            mistakes={
                "out-not-transposed": (
                    rows(wo),
                    T("输出的那个矩阵也要转置。", "The output matrix has to be transposed as well."),
                )
            },
            name="out_proj.weight",
        )
        run.require(
            not any(np.shares_memory(tensor.detach().numpy(), w) for tensor in (stacked, out) for w in given),
            "shared",
            T(
                "张量和别人的数组共用一块内存：训练一改，那边也跟着变。`float32` 的数组，`torch.from_numpy` 不复制。",
                "A tensor shares its memory with the other code's array: training changes both. `torch.from_numpy` does "
                "not copy a `float32` array.",
            ),
        )


# ---------------------------------------------------------------------- a backward of one's own


@exercise(
    hint=T(
        zh="记 g = w·dy。x 的每一个数也改变 s，所以 dx 有两项，第二项是 x̂ 乘上 g·x̂ 的平均。w 是所有行共用的。",
        en="Write g = w·dy. Every number of x also moves s, so dx has two terms, and the second is x̂ times the mean of "
        "g·x̂. All rows share w.",
    )
)
def rms_norm_backward(run: Run) -> None:
    """dx (N, D) and dw (D,), as tensors, in the order of forward's inputs."""
    n, d = run.sizes(2, low=3, high=7)
    x, w, dy = (torch.tensor(run.rng.normal(size=size)) for size in ((n, d), (d,), (n, d)))
    rstd = (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
    xhat, g = x * rstd, dy * w
    got = run.sequence(
        run.call(SimpleNamespace(saved_tensors=(xhat, rstd, w), needs_input_grad=(True, True)), dy), length=2
    )
    shapes = [tuple(part.shape) if torch.is_tensor(part) else None for part in got]
    run.require(
        shapes != [(d,), (n, d)],
        "swapped",
        T(
            "两份梯度的次序反了：`forward` 先收 `x`，后收 `w`。",
            "The two gradients stand in the wrong order: `forward` takes `x` first and `w` second.",
        ),
    )
    run.require(
        shapes[1] != (n, d),
        "not-summed",
        T(
            "`dw` 还是一行一份：所有行共用一个 `w`，几份要加起来（第 06 课：广播的反向是求和）。",
            "`dw` still has a row for each row: they all share one `w`, so add them up (lesson 06: the backward of "
            "broadcasting is a sum).",
        ),
    )
    dx, dw = run.tensor(got[0], (n, d), name="dx"), run.tensor(got[1], (d,), name="dw")

    def along(values: Tensor) -> Tensor:
        return (values * xhat).mean(-1, keepdim=True)

    run.equal(
        dx,
        rstd * (g - xhat * along(g)),
        mistakes={
            "one-term": (
                rstd * g,
                T(
                    "只有一项：你把 s 当成了常数，可是 x 的每一个数都改变它。",
                    "There is one term only: you take s for a constant, but every number of x moves it.",
                ),
            ),
            "no-w": (
                rstd * (dy - xhat * along(dy)),
                T(
                    "`dx` 里没有 w：y = w x̂，梯度先要乘上 w。",
                    "w is missing from `dx`: y = w x̂, so multiply by w first.",
                ),
            ),
            "sum-for-mean": (
                rstd * (g - xhat * (g * xhat).sum(-1, keepdim=True)),
                T("第二项要的是平均，你用了总和。", "The second term wants a mean; you took the sum."),
            ),
            "layer-norm": (
                rstd * (g - g.mean(-1, keepdim=True) - xhat * along(g)),
                T(
                    "这是 LayerNorm 的反向：RMSNorm 不减均值，没有那一项。",
                    "That is the backward of LayerNorm: RMSNorm subtracts no mean and does not have that term.",
                ),
            ),
            "no-rstd": (
                g - xhat * along(g),
                T("`dx` 还差一个 1/s。", "`dx` still lacks a factor of 1/s."),
            ),
            "whole-mean": (
                rstd * (g - xhat * (g * xhat).mean()),
                T(
                    "平均是每一行自己的，你在整张表上求了平均。",
                    "Each row has a mean of its own; you took one over the whole table.",
                ),
            ),
        },
        name="dx",
    )
    run.equal(
        dw,
        (dy * xhat).sum(0),
        mistakes={
            "dw-averaged": (
                (dy * xhat).mean(0),
                T("`dw` 要把各行加起来，你取了平均。", "`dw` adds up the rows; you took their mean."),
            ),
            "dw-no-xhat": (
                dy.sum(0),
                T("这是偏置的梯度；w 的还要乘上 x̂。", "That is the gradient of a bias; that of w has x̂ in it."),
            ),
            "dw-of-x": (
                (dy * xhat / rstd).sum(0),
                T("乘在 w 上的是 x̂，不是 x。", "What w multiplies is x̂, not x."),
            ),
        },
        name="dw",
    )


# ---------------------------------------------------------------------- what autograd keeps


def kept(function: Callable[[Tensor], Tensor], x: Tensor, what: str = "") -> int:
    """Bytes kept for the backward, or what a mistaken way of counting gives."""
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = function(x)
    own = x.untyped_storage().data_ptr()
    others = saved if what == "x-counted" else [t for t in saved if t.untyped_storage().data_ptr() != own]
    pieces = {t.untyped_storage().data_ptr(): t for t in others}
    if what == "twice":
        return sum(t.untyped_storage().nbytes() for t in others)
    if what == "part":
        return sum(t.numel() * t.element_size() for t in pieces.values())
    total = sum(t.untyped_storage().nbytes() for t in pieces.values())
    if what == "numbers":
        return sum(t.untyped_storage().nbytes() // t.element_size() for t in pieces.values())
    if what == "four":
        return sum(t.untyped_storage().nbytes() // t.element_size() * 4 for t in pieces.values())
    return total + y.numel() * y.element_size() if what == "output" else total


@exercise(
    hint=T(
        zh="用 `torch.autograd.graph.saved_tensors_hooks`，在存的那个钩子里记账：字典的键是 `untyped_storage().data_ptr()`，值是"
        " `untyped_storage().nbytes()`。",
        en="Use `torch.autograd.graph.saved_tensors_hooks`, and keep accounts in the hook that saves: a dict from "
        "`untyped_storage().data_ptr()` to `untyped_storage().nbytes()`.",
    )
)
def saved_bytes(run: Run) -> None:
    """Storages once, whole, in bytes, without that of x."""
    rows, columns = run.sizes(2, low=4, high=9)
    x = torch.tensor(run.rng.normal(size=(rows, columns)), requires_grad=True)
    times = int(run.rng.integers(2, 5))

    def shares(x: Tensor) -> Tensor:
        y = x.exp()
        for _ in range(times):
            y = y * y
        return y

    def takes_a_part(x: Tensor) -> Tensor:
        return (1.5 * x)[:2].sin()

    def keeps_x(x: Tensor) -> Tensor:
        return (x * x).tanh()

    def nothing(x: Tensor) -> Tensor:
        return (x + 1).sum(dim=0)

    messages = {
        "twice": T(
            "同一块内存你算了不止一次：存几遍，也只占一份。",
            "You count the same piece of memory more than once: however often it is saved, it is there once.",
        ),
        "part": T(
            "有一处只存了一块内存的一部分，留住的却是整块：要量的是那一整块。",
            "In one place only a part of a piece of memory is saved, but the whole piece is kept: measure the whole.",
        ),
        "x-counted": T("`x` 自己的那块不算。", "The piece of `x` itself does not count."),
        "numbers": T("你数的是多少个数，要的是字节。", "You count numbers; bytes are wanted."),
        "four": T(
            "你把每个数都当成 4 字节；这里有 float64。", "You take every number for 4 bytes; there is float64 in here."
        ),
        "output": T(
            "结果自己不算：反向用不着它，自动求导就没有存它。",
            "The result itself does not count: if the backward does not need it, autograd does not save it.",
        ),
    }
    for function in (shares, keeps_x, takes_a_part, nothing):
        run.equal(
            run.integer(run.call(function, x)),
            kept(function, x),
            mistakes={slug: (lambda f=function, s=slug: kept(f, x, s), text) for slug, text in messages.items()},
        )


# ---------------------------------------------------------------------- where two models part


@exercise(
    hint=T(
        zh="按 `ours` 的次序走，遇到第一个不行的就返回。先看有没有、形状一样不一样；`nan` 和什么比大小都是 False，所以写成"
        "“不是小于等于”。有图的张量要先 `detach()`。",
        en="Go in the order of `ours` and return at the first that fails. Look first whether it is there and has the same "
        "shape; any comparison with `nan` is False, so write “not less or equal”. A tensor with a graph needs "
        "`detach()` first.",
    )
)
def first_parting(run: Run) -> None:
    """The first in order; relative to the layer's largest; nan, shapes and missing layers count."""
    names = [f"block.{i}" for i in range(12)]
    size = int(run.rng.integers(3, 7))

    def layers() -> dict[str, np.ndarray]:
        return {name: run.rng.normal(size=(2, size)) for name in names}

    def mirrored(ours: dict[str, np.ndarray], order: list[str] = names) -> dict[str, Tensor]:
        return {name: torch.tensor(ours[name] * (1 + 1e-9), requires_grad=True) * 1.0 for name in order}

    def ask(ours: dict[str, np.ndarray], theirs: dict[str, Tensor], **options: Any) -> Any:
        return run.choice(run.call(ours, theirs, may_return_none=True, **options), [*names, None])

    ours = layers()
    theirs = mirrored(ours, ["block.5", *reversed([name for name in names if name != "block.5"])])
    for i in range(2, 12):
        theirs[names[i]] = theirs[names[i]] + (10.0 if i == 7 else 0.01 * i)
    run.equal(
        ask(ours, theirs),
        "block.2",
        mistakes={
            "never": (
                None,
                T("明明对不上，你却说都对得上。", "They do differ, and you say that all agree."),
            ),
            "largest": (
                "block.7",
                T(
                    "这是差得最大的一层。前面一错，后面都跟着错；要找的是最先错的。",
                    "That is the layer which differs most. Once one is wrong, all behind it are; find the first.",
                ),
            ),
            "last": (
                "block.11",
                T("这是最后一个对不上的，要的是第一个。", "That is the last that differs; find the first."),
            ),
            "sorted": (
                "block.10",
                T(
                    "你按字母排了名字：`block.10` 就跑到了 `block.2` 前面。计算的次序就是 `ours` 的次序。",
                    "You sorted the names, and `block.10` came before `block.2`. The order of computation is that of `ours`.",
                ),
            ),
            "their-order": (
                "block.5",
                T(
                    "你照 `theirs` 的次序走了；计算的次序是 `ours` 的。",
                    "You went in the order of `theirs`; the order of computation is that of `ours`.",
                ),
            ),
            "agreeing": (
                "block.0",
                T("你返回的是第一个**对得上**的。", "You return the first that does **agree**."),
            ),
        },
    )
    ours = layers()
    ours["block.3"] *= 1e6
    theirs = mirrored(ours)
    theirs["block.3"] = theirs["block.3"] + 1e-2
    run.require(
        ask(ours, theirs) is None,
        "absolute",
        T(
            "一层的数有上百万大，差百分之一是舍入，不是错：容差要乘上这一层最大的数。",
            "A layer has numbers of a million, where a hundredth is rounding and no mistake: the tolerance is to be "
            "multiplied by the layer's largest.",
        ),
    )
    ours = layers()
    ours["block.6"][0, 0] = 0.0
    theirs = mirrored(ours)
    theirs["block.6"] = theirs["block.6"] + 1e-8
    run.require(
        ask(ours, theirs) is None,
        "entry-by-entry",
        T(
            "有一个数本来是 0，差了一点点舍入，你就说对不上：差要和这一层**最大的**数比，不是和它自己比。",
            "One number is 0 and off by a little rounding, and you say they differ: compare with the **largest** number "
            "of the layer, not with that number itself.",
        ),
    )
    ours = layers()
    theirs = mirrored(ours)
    theirs["block.8"] = theirs["block.8"] * torch.tensor([math.nan] + [1.0] * (size - 1))
    run.require(
        ask(ours, theirs) == "block.8",
        "nan",
        T(
            "有一层里有 `nan`，你放过了它：`nan` 和什么比大小，答案都是 False。",
            "A layer holds a `nan`, and you let it pass: any comparison with `nan` gives False.",
        ),
    )
    ours = layers()
    ours["block.4"] = np.full((2, size), 0.5)
    theirs = mirrored(ours)
    theirs["block.4"] = theirs["block.4"][:1]
    run.require(
        ask(ours, theirs) == "block.4",
        "broadcast",
        T(
            "有一层形状不同，广播让它们照样能相减：形状要先比。",
            "A layer has another shape, and broadcasting lets you subtract all the same: compare shapes first.",
        ),
    )
    ours = layers()
    theirs = mirrored(ours, [name for name in names if name != "block.9"])
    run.require(
        ask(ours, theirs) == "block.9",
        "missing",
        T("`theirs` 里缺了一层，你跳过了它。", "A layer is missing from `theirs`, and you skipped it."),
    )
    ours = layers()
    theirs = mirrored(ours)
    theirs["block.1"] = theirs["block.1"] + 1e-3
    run.require(
        ask(ours, theirs, tolerance=0.1) is None,
        "tolerance",
        T("你没有用上 `tolerance`。", "You do not use `tolerance`."),
    )
