"""Checkers of lesson 09, feed-forward networks, normalisation and residual paths."""

import numpy as np

from exercises.checks.framework import Run, T, exercise


def mean(x: np.ndarray) -> np.ndarray:
    """Of each row, kept as a column."""
    return x.mean(axis=1, keepdims=True)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


@exercise(
    hint=T(
        zh="矩阵 (F, D) 有 F × D 个数；第一个偏置有 F 个，第二个有 D 个。SwiGLU 的三个矩阵也都是这样的形状：三个 D F' 等于两个 D F。",
        en="A matrix (F, D) has F × D numbers; the first bias has F, the second D. The three matrices of SwiGLU have such shapes "
        "too: three times D F' equals two times D F.",
    )
)
def ffn_sizes(run: Run) -> None:
    """8 D² + 5 D, and 8 D / 3."""
    d = 3 * int(run.rng.integers(5, 40))
    parameters, width = run.sequence(run.call(d), length=2)
    run.equal(
        run.scalar(parameters, name="parameters"),
        8 * d * d + 5 * d,
        mistakes={
            "no-biases": (
                8 * d * d,
                T("这只是两个矩阵；两个偏置没有算。", "These are the two matrices; both biases are missing."),
            ),
            "one-matrix": (
                lambda: next(n for n in (4 * d * d, 4 * d * d + 4 * d, 4 * d * d + 5 * d) if n == parameters),
                T(
                    "只数了一个矩阵：变宽一个，变回来还有一个。",
                    "Only one matrix counted: one widens, and another comes back.",
                ),
            ),
            "equal-biases": (
                lambda: next(n for n in (8 * d * d + 2 * d, 8 * d * d + 8 * d) if n == parameters),
                T(
                    "两个偏置不一样长：各跟各的输出一样宽。",
                    "The two biases are not equally long: each is as wide as its own output.",
                ),
            ),
            "one-bias": (
                lambda: next(n for n in (8 * d * d + d, 8 * d * d + 4 * d) if n == parameters),
                T("只算了一个偏置，一共有两个。", "Only one bias counted; there are two."),
            ),
        },
        name="parameters",
    )
    run.equal(
        run.scalar(width, name="width"),
        8 * d // 3,
        mistakes={
            "same-width": (
                4 * d,
                T(
                    "宽度没有变：三个这么宽的矩阵，比两个多了一半的参数。",
                    "The width is unchanged: three matrices that wide have half as many parameters again as two.",
                ),
            ),
            "half": (
                2 * d,
                T(
                    "宽度减半就减多了：不是矩阵的个数加倍，是两个变成三个。",
                    "Half the width is too little: matrices do not double in number, two become three.",
                ),
            ),
            "one-third": (
                4 * d // 3,
                T(
                    "你让三个矩阵合起来等于一个；应当等于两个。",
                    "Your three matrices together equal one; they should equal two.",
                ),
            ),
            "wider": (
                6 * d,
                T(
                    "比例反了：矩阵多了，宽度该变窄。",
                    "The ratio is upside down: with more matrices the width must shrink.",
                ),
            ),
        },
        name="width",
    )


@exercise(
    hint=T(
        zh="更新要能加也能减。哪一步让它不能减了？输出的偏置和 W2 在一起，外面什么也不套。",
        en="An update must be able to add and to subtract. Which step forbids it to subtract? The output's bias goes with W2, and "
        "nothing goes around them.",
    )
)
def ffn_update(run: Run) -> None:
    """relu(x w1ᵀ + b1) w2ᵀ + b2; N, D and F all different."""
    n, d, f = run.sizes(3, low=4, high=9)
    x, w1, b1 = run.rng.normal(size=(n, d)), run.rng.normal(size=(f, d)), run.rng.normal(size=f)
    w2, b2 = run.rng.normal(size=(d, f)), run.rng.normal(size=d)
    h = x @ w1.T + b1
    back = relu(h) @ w2.T
    run.equal(
        run.array(run.call(x, w1, b1, w2, b2), shape=(n, d)),
        back + b2,
        mistakes={
            "outer-relu": (
                relu(back) + b2,
                T(
                    "外面那层 ReLU 还在：更新里的负数全成了零，流只能往上加。",
                    "The ReLU on the outside is still there: all negative numbers of the update become zero, and the stream can "
                    "only be added to.",
                ),
            ),
            "outer-relu-bias": (
                relu(back + b2),
                T(
                    "你把偏置挪进去了，外面的 ReLU 却留着：更新里一个负数也没有。",
                    "You moved the bias inside but kept the ReLU around it: not one number of the update is negative.",
                ),
            ),
            "no-relu": (
                h @ w2.T + b2,
                T(
                    "两层 ReLU 都没了：两次线性变换合起来还是一次，中间那一弯要留着。",
                    "Both ReLUs are gone: two linear maps are one linear map; the bend in the middle has to stay.",
                ),
            ),
            "no-output-bias": (back, T("输出的偏置没有加。", "The output's bias is missing.")),
            "bias-after-relu": (
                (relu(x @ w1.T) + b1) @ w2.T + b2,
                T(
                    "第一个偏置加在了 ReLU 之后；它应当在截断以前就移动每个单元的门槛。",
                    "The first bias is added after the ReLU; it should move each unit's threshold, before the cut.",
                ),
            ),
            "added-x": (
                lambda: x + back + b2,
                T(
                    "你把输入也加上了。这个函数只给出更新，加到流里是残差那一步的事。",
                    "You added the input too. This function gives the update alone; the residual path adds it to the stream.",
                ),
            ),
        },
    )


@exercise(
    hint=T(
        zh="一行是一个位置：平均和方差都沿着这一行求，留住那一轴（`keepdims=True`）。公式里 ε 加在什么上面，是在开方之前还是之后？",
        en="A row is a position: both mean and variance run along the row and keep the axis (`keepdims=True`). To what does the "
        "formula add ε, and before or after the root?",
    )
)
def normalise_rows(run: Run) -> None:
    """Rows, /D, eps inside the root: eps is large enough here to show where it stands."""
    n, d = run.sizes(2, low=4, high=9)
    x = run.rng.normal(size=(n, d)) * run.rng.uniform(0.5, 2, size=(n, 1)) + run.rng.normal(size=(n, 1))
    w, b, eps = run.rng.normal(size=d), run.rng.normal(size=d), float(run.rng.uniform(0.1, 0.3))
    centred = x - mean(x)
    columns, variance = x - x.mean(axis=0), mean(centred**2)
    half_mended = (w * centred / np.sqrt(x.var(axis=0) + eps) + b, w * columns / np.sqrt(variance + eps) + b)
    got = run.array(run.call(x, w, b, eps), shape=(n, d))
    run.equal(
        got,
        w * centred / np.sqrt(variance + eps) + b,
        mistakes={
            "both-faults": (
                w * columns / (x.std(axis=0) + eps) + b,
                T(
                    "两处毛病都还在：平均和标准差是对各个位置求的；ε 加在了开方之后。",
                    "Both faults are there: mean and standard deviation run over the positions, and ε is added after the root.",
                ),
            ),
            "positions": (
                w * columns / np.sqrt(x.var(axis=0) + eps) + b,
                T(
                    "你对位置求了平均：一个位置的输出会随着别的位置变。应当用每个位置自己的 D 个数。",
                    "You averaged over positions, so that the output of one depends on the others. Each position should use its "
                    "own D numbers.",
                ),
            ),
            "half-mended": (
                lambda: next(wrong for wrong in half_mended if np.allclose(wrong, got)),
                T(
                    "平均和方差，有一个还是对各个位置求的；两个都应当用这个位置自己的 D 个数。",
                    "One of mean and variance still runs over the positions; both should use the position's own D numbers.",
                ),
            ),
            "eps-outside": (
                w * centred / (np.sqrt(variance) + eps) + b,
                T(
                    "轴对了；ε 加在了标准差上，公式里它加在方差上。",
                    "The axis is right; ε is added to the standard deviation, and in the formula it is added to the variance.",
                ),
            ),
            "no-eps": (w * centred / np.sqrt(variance) + b, T("ε 没有用上。", "ε is not used.")),
            "unbiased": (
                w * centred / np.sqrt(variance * d / (d - 1) + eps) + b,
                T(
                    "你的方差除以了 D − 1；层归一化除以 D。",
                    "Your variance is divided by D − 1; layer normalisation divides by D.",
                ),
            ),
            "no-mean": (
                lambda: w * x / np.sqrt(mean(x**2) + eps) + b,
                T("这是 RMSNorm：平均没有减掉。", "This is RMSNorm: the mean has not been subtracted."),
            ),
            "mean-kept": (
                w * x / np.sqrt(variance + eps) + b,
                T(
                    "方差对了，分子上却没有减去平均。",
                    "The variance is right, but above the line the mean has not been subtracted.",
                ),
            ),
            "no-root": (
                w * centred / (variance + eps) + b,
                T("你除以了方差；应当除以标准差。", "You divided by the variance; divide by the standard deviation."),
            ),
            "gain-on-bias": (
                w * (centred / np.sqrt(variance + eps) + b),
                T("w 也乘到了偏置上。", "w multiplies the bias too."),
            ),
        },
    )


@exercise(
    hint=T(
        zh="先算 r、x̂ 和 g = w · dy。动一个 x_j，有两条路：它自己，和经过 r 的。第二条要对每行求 g x̂ 的平均。dw 是 dy 与 x̂ 的积，对位置求和。",
        en="First compute r, x̂ and g = w · dy. A change of x_j goes two ways: by itself, and through r. The second needs the mean of "
        "g x̂ along each row. dw is the product of dy and x̂, summed over positions.",
    )
)
def rms_gradient(run: Run) -> None:
    """Both ways, and w; eps is large enough to show."""
    n, d = run.sizes(2, low=4, high=9)
    dy, x = run.rng.normal(size=(n, d)), 1.5 * run.rng.normal(size=(n, d))
    w, eps = run.rng.normal(size=d), float(run.rng.uniform(0.1, 0.3))
    r = np.sqrt(mean(x**2) + eps)
    x_hat, g = x / r, w * dy
    dx, dw = run.sequence(run.call(dy, x, w, eps), length=2)
    run.equal(
        run.array(dx, shape=(n, d), name="dx"),
        (g - x_hat * mean(g * x_hat)) / r,
        mistakes={
            "direct-only": (
                g / r,
                T(
                    "你把 r 当成了常数：只有直接的那条路，经过 r 的没有算。",
                    "You took r for a constant: there is the direct way only, and the one through r is missing.",
                ),
            ),
            "layer-norm": (
                (g - mean(g) - x_hat * mean(g * x_hat)) / r,
                T(
                    "多减了 g 的平均：那是层归一化里经过平均的那条路，RMSNorm 没有减平均。",
                    "The mean of g is subtracted too: that is layer normalisation's way through the mean, and RMSNorm subtracts "
                    "none.",
                ),
            ),
            "sum": (
                (g - x_hat * (g * x_hat).sum(axis=1, keepdims=True)) / r,
                T(
                    "第二条路上你求了和；每个 x_j 只占平均的 D 分之一。",
                    "You took a sum on the second way; an x_j is only one D-th of the mean.",
                ),
            ),
            "no-gain": (
                (dy - x_hat * mean(dy * x_hat)) / r,
                T("w 没有用上：传到 x̂ 的是 w · dy。", "w is not used: what arrives at x̂ is w · dy."),
            ),
            "gain-late": (
                w * (dy - x_hat * mean(dy * x_hat)) / r,
                T(
                    "w 乘得太晚：求平均的时候，每一项就该带着自己的 w。",
                    "w comes too late: each term should carry its own w when the mean is taken.",
                ),
            ),
            "not-divided": (g - x_hat * mean(g * x_hat), T("还没有除以 r。", "Not yet divided by r.")),
            "sign": (
                (g + x_hat * mean(g * x_hat)) / r,
                T("第二条路的符号反了。", "The sign of the second way is wrong."),
            ),
            "x-for-hat": (
                (g - x * mean(g * x)) / r,
                T(
                    "第二条路里用了 x，应当用归一化以后的 x̂。",
                    "The second way uses x; it should use x̂, the normalised one.",
                ),
            ),
        },
        name="dx",
    )
    run.equal(
        run.array(dw, shape=(d,), name="dw"),
        (dy * x_hat).sum(axis=0),
        mistakes={
            "dw-mean": (
                (dy * x_hat).mean(axis=0),
                T(
                    "dw 求了平均；每个位置都用了同一个 w，梯度要加起来。",
                    "dw is a mean; every position used the same w, so their gradients are summed.",
                ),
            ),
            "dw-x": ((dy * x).sum(axis=0), T("乘在 w 上的是 x̂，不是 x。", "What w multiplies is x̂, not x.")),
            "dw-gain": ((g * x_hat).sum(axis=0), T("dw 里多乘了一个 w。", "dw has a factor w too many.")),
        },
        name="dw",
    )


@exercise(
    hint=T(
        zh="从 dy 往回：乘 w_down，得到乘积的梯度；乘积的两个因子各把另一个当常数；SiLU 的斜率是 σ(1 + g(1 − σ))；x 用了两次，两路加起来。",
        en="Backwards from dy: through w_down to the gradient of the product; each factor of the product takes the other for a "
        "constant; the slope of SiLU is σ(1 + g(1 − σ)); x was used twice, so two ways add up.",
    )
)
def swiglu_gradient(run: Run) -> None:
    """Both ways; N, D and F all different."""
    n, d, f = run.sizes(3, low=4, high=9)
    dy, x = run.rng.normal(size=(2, n, d))
    w_gate, w_up, w_down = run.rng.normal(size=(f, d)), run.rng.normal(size=(f, d)), run.rng.normal(size=(d, f))
    gate, up = x @ w_gate.T, x @ w_up.T
    sigma = 1 / (1 + np.exp(-gate))
    da = dy @ w_down
    slope = sigma * (1 + gate * (1 - sigma))
    through_gate, through_up = (da * up * slope) @ w_gate, (da * gate * sigma) @ w_up
    run.equal(
        run.array(run.call(dy, x, w_gate, w_up, w_down), shape=(n, d)),
        through_gate + through_up,
        mistakes={
            "gate-only": (
                through_gate,
                T(
                    "只有经过门的那一路；x 还当过一次内容。",
                    "Only the way through the gate; x was used as content too.",
                ),
            ),
            "up-only": (
                through_up,
                T(
                    "只有经过内容的那一路；x 还当过一次门。",
                    "Only the way through the content; x was used as gate too.",
                ),
            ),
            "sigma-slope": (
                (da * up * sigma * (1 - sigma)) @ w_gate + through_up,
                T(
                    "这是 σ 的斜率；门是 g σ(g)，还要用乘积求导。",
                    "This is the slope of σ; the gate is g σ(g), a product.",
                ),
            ),
            "sigma-for-silu": (
                (da * up * sigma * (1 - sigma)) @ w_gate + (da * sigma) @ w_up,
                T(
                    "你的门是 σ(g)；SwiGLU 的门是 SiLU，也就是 g σ(g)。",
                    "Your gate is σ(g); that of SwiGLU is SiLU, which is g σ(g).",
                ),
            ),
            "slope-everywhere": (
                through_gate + (da * slope) @ w_up,
                T(
                    "内容那一路乘的是门的斜率；应当乘门的**值**。",
                    "On the content's way you multiplied by the gate's slope; it should be the gate's value.",
                ),
            ),
            "no-other-factor": (
                (da * slope) @ w_gate + (da * gate * sigma) @ w_up,
                T(
                    "经过门的那一路少乘了内容：乘积求导时，另一个因子要留着。",
                    "The way through the gate lacks the content: when a product is differentiated, the other factor stays.",
                ),
            ),
            "swapped": (
                (da * up * slope) @ w_up + (da * gate * sigma) @ w_gate,
                T("两路乘的矩阵换了位置。", "The matrices of the two ways have changed places."),
            ),
        },
    )


def stream(dy: np.ndarray, x: np.ndarray, w1: np.ndarray, w2: np.ndarray, wrong: str = "") -> np.ndarray:
    """Gradients at depths 0 ... L, right or with a mistake of that name."""
    slopes, start = [], x
    for a, b in zip(w1, w2, strict=True):
        h = (start if wrong == "start" else x) @ a.T
        slopes.append(h > 0)
        x = relu(h) @ b.T if wrong == "plain-forward" else x + relu(h) @ b.T
    gradients = [dy]
    layers = list(zip(w1, w2, slopes, strict=True))
    for a, b, slope in layers if wrong == "order" else layers[::-1]:
        dh = dy @ b if wrong == "no-slope" else dy @ b * slope
        dy = dh @ a if wrong == "no-path" else dy + dh @ a
        gradients.append(dy)
    return np.array(gradients if wrong == "reversed" else gradients[::-1])


@exercise(
    hint=T(
        zh="往前走一遍，记下每层的 h > 0。往回走：加号把梯度送给两边，一份原样，一份穿过 W2、斜率、W1，两份加起来。最后把次序倒过来。",
        en="Walk forward once and note h > 0 at every layer. On the way back, a plus sign hands the gradient to both sides: one "
        "share as it is, one through W2, the slope and W1; add them. In the end reverse the order.",
    )
)
def stream_gradients(run: Run) -> None:
    """dy + through the layer, at each depth; L, N, D and F all different."""
    depth, n, d, f = run.sizes(4, low=3, high=8)
    dy, x = run.rng.normal(size=(2, n, d))
    w1, w2 = run.rng.normal(size=(depth, f, d)) / 2, run.rng.normal(size=(depth, d, f)) / 2
    messages = {
        "no-path": T(
            "直路没有了：你的梯度只穿过每一层，原样送回的那一份没有加上。",
            "The straight road is missing: your gradient goes through each layer, and the share that is handed back as it is was "
            "not added.",
        ),
        "no-slope": T(
            "反向没有乘 ReLU 的斜率：截成零的地方，梯度也该是零。",
            "Backward lacks the slope of ReLU: where the number was cut to zero, so is the gradient.",
        ),
        "start": T(
            "每层的斜率都是拿最初的 x 算的；第二层读到的已经是加过更新的流。",
            "All slopes are computed from the first x; the second layer already reads a stream with an update added.",
        ),
        "plain-forward": T(
            "前向走的时候没有把更新加到流里，而是替换了它，所以斜率错了。",
            "On the way forward you replaced the stream instead of adding to it, so the slopes are wrong.",
        ),
        "order": T(
            "往回走时层的次序没有倒过来：最后一层应当最先穿过。",
            "On the way back the layers come in forward order; the last layer should be passed first.",
        ),
        "reversed": T(
            "数都对，次序反了：第 0 个该是输入处的梯度，最后一个该是 dy。",
            "The numbers are right and their order is reversed: number 0 should be the gradient at the input, the last is dy.",
        ),
    }
    mistakes = {name: (stream(dy, x, w1, w2, name), message) for name, message in messages.items()}
    same = T(
        "每个深度的梯度都一样：只有直路，没有穿过各层的那一份。",
        "The gradient is the same at every depth: there is the straight road only, without the share through the layers.",
    )
    mistakes["path-only"] = (np.repeat(dy[None], depth + 1, axis=0), same)
    run.equal(run.array(run.call(dy, x, w1, w2), shape=(depth + 1, n, d)), stream(dy, x, w1, w2), mistakes=mistakes)
