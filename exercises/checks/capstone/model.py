"""Checkers of the capstone: the block and the model."""

import math
from typing import Any

import numpy as np

from exercises.checks.capstone.layers import attend
from exercises.checks.framework import Run, T, exercise
from minillm.config import ModelConfig
from minillm.np import functional as F
from minillm.np.block import Block
from minillm.np.gpt import GPT
from minillm.np.param import Array


def drawn(run: Run, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Weights of no special kind: a bias of 0 or a norm's weight of 1 would hide mistakes."""
    return {name: 0.4 * run.rng.normal(size=shape) + name.endswith("norm.weight") for name, shape in shapes.items()}


def same_names(run: Run, got: Any, wanted: dict[str, Any], name: str) -> dict[str, Array]:
    """A dictionary of arrays with these names and shapes."""
    found = run.mapping(got, name=name)
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(map(str, found.keys() - wanted.keys()))
    told = f"`{(missing or extra or [''])[0]}`"
    run.require(not missing, "missing", T(f"{name} 里少了 {told}。", f"{name} lacks {told}."))
    run.require(not extra, "extra", T(f"{name} 里多了 {told}。", f"{name} has {told}, which it should not."))
    return {key: run.array(found[key], shape=wanted[key].shape, name=f"{name}[{key!r}]") for key in wanted}


def sublayers(module: Block, x: Array, order: str = "pre", residual: tuple[int, int] = (1, 1)) -> Array:
    """A block's forward, right or with another order or without residual paths."""
    if order == "post":
        x = module.norm1(x + module.attn(x)[0])[0]
        return module.norm2(x + module.ffn(x)[0])[0]
    x = residual[0] * x + module.attn(module.norm1(x)[0])[0]
    return residual[1] * x + module.ffn(module.norm2(x)[0])[0]


@exercise(
    hint=T(
        "两条残差路：反向时，梯度一份直接走过去，一份走进分支，最后加起来。头怎么切，先在 2 个头的小例子上看。",
        "Two residual paths: on the way back the gradient goes straight on and into the branch, and both add up. "
        "Look at the cutting into heads with two of them first.",
    )
)
def block(run: Run) -> None:
    b, t = run.sizes(2, low=2, high=5)
    n_head, d = int(run.rng.integers(2, 4)), 12
    module = Block(ModelConfig(9, n_head=n_head, d_model=d), causal=True, rng=run.rng, dtype=np.float64)
    weights = drawn(run, {name: array.shape for name, array in module.state_dict().items()})
    module.load_state_dict(weights)
    x, dy = run.rng.normal(size=(2, b, t, d))
    y, dx, grads = run.sequence(run.call(x, weights, n_head, dy), length=3)
    right, cache = module(x)
    dx_right = module.backward(dy, cache)
    whole = Block(ModelConfig(9, n_head=1, d_model=d), causal=True, rng=run.rng, dtype=np.float64)
    whole.load_state_dict(weights)
    run.equal(
        run.array(y, shape=x.shape, name="y"),
        right,
        mistakes={
            "post-norm": (
                lambda: sublayers(module, x, "post"),
                T(
                    "归一化放在了相加之后；这里它在每个分支的最前面。",
                    "The norm comes after the sum; here it begins each branch.",
                ),
            ),
            "no-residual": (
                lambda: sublayers(module, x, residual=(0, 0)),
                T("两条残差路都没有。", "Both residual paths are missing."),
            ),
            "first-residual": (
                lambda: sublayers(module, x, residual=(0, 1)),
                T("注意力的那条残差路没有。", "Attention lacks its residual path."),
            ),
            "second-residual": (
                lambda: sublayers(module, x, residual=(1, 0)),
                T("前馈网络的那条残差路没有。", "The feed-forward network lacks its residual path."),
            ),
            "one-head": (
                lambda: whole(x)[0],
                T("没有分头：整个宽度做了一次注意力。", "No heads: one attention over the whole width."),
            ),
            "mixed-heads": (
                lambda: mixed_heads(module, x, n_head),
                T(
                    "切头时位置和头混在了一起：先切成 (B, T, H, K)，再交换两轴；直接 reshape 成 (B, H, T, K) 不行。",
                    "Heads and positions got mixed: cut into (B, T, H, K), then swap axes; reshaping to (B, H, T, K) will not do.",
                ),
            ),
        },
        name="y",
    )
    dh = dy + module.norm2.backward(module.ffn.backward(dy, cache[5]), cache[4])
    run.equal(
        run.array(dx, shape=x.shape, name="dx"),
        dx_right,
        mistakes={
            "residual-back": (
                dx_right - dh,
                T(
                    "反向时少了第一条残差路的那一份。",
                    "The share of the first residual path is missing on the way back.",
                ),
            ),
            "branch-back": (dy, T("dx 只有残差路的那一份。", "dx is the residual path's share alone.")),
        },
        name="dx",
    )
    module.zero_grad()
    module.backward(dy, module(x)[1])
    wanted = {name: param.grad for name, param in module.named_parameters()}
    for name, got in same_names(run, grads, wanted, "grads").items():
        run.equal(got, wanted[name], name=f"grads[{name!r}]")


def mixed_heads(module: Block, x: Array, n_head: int) -> Array:
    """The block with heads cut by a bare reshape."""
    b, t, d = x.shape
    normal = module.norm1(x)[0]
    qkv = np.split(module.attn.in_proj(normal)[0], 3, axis=-1)
    q, k, v = (part.reshape(b, n_head, t, d // n_head) for part in qkv)
    h = x + module.attn.out_proj(attend(q, k, v).reshape(b, t, d))[0]
    return h + module.ffn(module.norm2(h)[0])[0]


def model(run: Run) -> tuple[GPT, dict[str, Array]]:
    """A small GPT in float64 and its weights, none of them special."""
    config = ModelConfig(11, context=7, n_layer=2, n_head=2, d_model=8)
    gpt = GPT(config, rng=run.rng, dtype=np.float64)
    gpt.load_state_dict(drawn(run, {name: array.shape for name, array in gpt.state_dict().items()}))
    return gpt, {name: array.copy() for name, array in gpt.state_dict().items()}


@exercise(
    hint=T(
        "归一化的权重从 1 开始，偏置从 0 开始，别的用标准差 0.02 左右的正态分布。",
        "A norm's weight begins at 1, biases at 0, all else normal with a standard deviation of about 0.02.",
    )
)
def initial_weights(run: Run) -> None:
    v, context, n_layer = (int(n) for n in run.rng.permutation([29, 12, 3]))
    call = (v, context, n_layer, 16)
    config = ModelConfig(v, context=context, n_layer=n_layer, n_head=2, d_model=16)
    gpt = GPT(config, rng=np.random.default_rng(0), dtype=np.float64)
    weights = same_names(run, run.call(*call, np.random.default_rng(1)), gpt.state_dict(), "weights")
    norms = [name for name in weights if name.split(".")[-2].startswith("norm") and name.endswith("weight")]
    run.require(
        all(np.all(weights[name] == 1) for name in norms),
        "norms",
        T(
            "归一化的权重要从 1 开始：从别的数开始，它就改了信号的大小。",
            "A norm's weight begins at 1, or it changes the signal's size.",
        ),
    )
    matrices = {name: array for name, array in weights.items() if array.ndim == 2}
    run.require(
        all(np.ptp(array) > 0 for array in matrices.values()),
        "constant",
        T(
            "有一个矩阵全是同一个数：它的各行得到同样的梯度，永远学成一个样。",
            "A matrix holds one number throughout: its rows get the same gradient and stay alike for ever.",
        ),
    )
    again = run.mapping(run.call(*call, np.random.default_rng(2)))
    run.require(
        any(not np.array_equal(again[name], array) for name, array in matrices.items()),
        "rng-unused",
        T(
            "换了 `rng`，权重还是一样：随机数要从它那里来。",
            "With another `rng` the weights are the same: draw them from it.",
        ),
    )
    gpt.load_state_dict({name: array.astype(np.float64) for name, array in weights.items()})
    ids = run.rng.integers(0, v, size=(8, context))
    loss = float(gpt.token_nll(ids, run.rng.integers(0, v, size=ids.shape)).mean())
    run.require(
        abs(loss - math.log(v)) < 0.1 * math.log(v),
        "too-large",
        T(
            f"第一次的损失是 {loss:.2f}，均匀瞎猜是 {math.log(v):.2f}：权重太大了。",
            f"The first loss is {loss:.2f}, and guessing evenly gives {math.log(v):.2f}: the weights are too large.",
        ),
    )


@exercise(
    hint=T(
        "嵌入表用了两次，一次查字，一次算分数：两处的梯度要加起来；同一个字查了几次，也要加起来。",
        "The embedding's table is used twice, for look-up and for scores: both gradients add up, and so do those of a "
        "character that is looked up several times.",
    )
)
def loss_and_gradients(run: Run) -> None:
    gpt, weights = model(run)
    t = int(run.rng.integers(4, 7))
    ids, targets = run.rng.integers(0, 5, size=(2, 3, t))  # five characters in eighteen places: some repeat
    loss, grads = run.sequence(run.call(weights, 2, ids, targets), length=2)
    logits, cache = gpt.forward(ids)
    right, loss_cache = F.cross_entropy(logits, targets)

    def loss_of(changes: dict[str, Array]) -> float:
        other, _ = model(run)
        other.load_state_dict({**weights, **changes})
        return float(F.cross_entropy(other.forward(ids)[0], targets)[0])

    run.equal(
        run.scalar(loss, name="loss"),
        float(right),
        mistakes={
            "no-positions": (
                lambda: loss_of({"emb.pos.weight": np.zeros_like(weights["emb.pos.weight"])}),
                T("位置向量没有加上。", "The position vectors are not added."),
            ),
            "no-last-norm": (
                lambda: float(F.cross_entropy(before_norm(gpt, ids) @ weights["emb.tok.weight"].T, targets)[0]),
                T("最后的归一化没有做。", "The last norm is missing."),
            ),
            "one-block": (
                lambda: first_block_only(gpt, ids, targets),
                T("只走了第一个块。", "Only the first block was run."),
            ),
        },
        name="loss",
    )
    gpt.zero_grad()
    gpt.backward(F.cross_entropy_backward(1.0, loss_cache), cache)
    wanted = {name: param.grad for name, param in gpt.named_parameters()}
    found = same_names(run, grads, wanted, "grads")
    dhead = table_as_output(gpt, ids, targets)
    table = "emb.tok.weight"
    for name in sorted(wanted, key=lambda name: name == table):  # the table last: it needs all else to be right
        last = {}  # which occurrence stays when gradients are assigned and not added
        if name == table:
            dx = input_gradient(gpt, ids, targets)
            assigned = np.zeros_like(dhead)
            assigned[ids] = dx
            last = {
                "output-only": (
                    dhead,
                    T("嵌入表只有输出那一头的梯度。", "The table's gradient is that of its use as output layer alone."),
                ),
                "input-only": (
                    wanted[table] - dhead,
                    T("嵌入表只有查字那一头的梯度。", "The table's gradient is that of its use for look-up alone."),
                ),
                "assigned": (
                    dhead + assigned,
                    T(
                        "同一个字出现几次，只留下了最后一次的梯度。",
                        "Of a character that repeats, only the last gradient was kept.",
                    ),
                ),
            }
        run.equal(found[name], wanted[name], mistakes=last, name=f"grads[{name!r}]")


def before_norm(gpt: GPT, ids: Array) -> Array:
    """What leaves the last block."""
    x = gpt.emb(ids)[0]
    for module in gpt.blocks:
        x = module(x)[0]
    return x


def first_block_only(gpt: GPT, ids: Array, targets: Array) -> float:
    x = gpt.norm(gpt.blocks[0](gpt.emb(ids)[0])[0])[0]
    return float(F.cross_entropy(x @ gpt.emb.tok.weight.data.T, targets)[0])


def table_as_output(gpt: GPT, ids: Array, targets: Array) -> Array:
    """The table's gradient from its use as the output layer.  (V, D)"""
    normal = gpt.norm(before_norm(gpt, ids))[0]
    _, cache = F.cross_entropy(normal @ gpt.emb.tok.weight.data.T, targets)
    return np.einsum("btv,btd->vd", F.cross_entropy_backward(1.0, cache), normal)


def input_gradient(gpt: GPT, ids: Array, targets: Array) -> Array:
    """The gradient that reaches the embeddings.  (B, T, D)"""
    logits, cache = gpt.forward(ids)
    _, block_caches, norm_cache = cache[1:4]
    dlogits = F.cross_entropy_backward(1.0, F.cross_entropy(logits, targets)[1])
    dx = gpt.norm.backward(dlogits @ gpt.emb.tok.weight.data, norm_cache)
    for module, cached in zip(reversed(gpt.blocks), reversed(block_caches), strict=True):
        dx = module.backward(dx, cached)
    return dx
