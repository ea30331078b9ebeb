"""Is what came back of the right kind? Each method names type, shape or what else is wrong, or hands the value on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from exercises.checks import compare
from exercises.checks.compare import TENSOR, kind, label
from exercises.checks.tensors import as_array, is_tensor
from exercises.checks.words import Failure, T


class Returned:
    """The part of Run that looks at returned values. name: which one, where a function returns several."""

    shown = ""  # the last call, as a line of code
    reveal = True  # a function of no arguments has one answer, which no message may tell

    def fail(self, slug: str, message: T) -> None:
        """A named failure."""
        raise Failure(slug, message)

    def miss(self, slug: str, zh: str, en: str) -> None:
        """A failure that any exercise may have; a second line shows the call."""
        if self.shown and self.reveal:
            zh, en = f"{zh}\n检查时的调用：`{self.shown}`", f"{en}\nThe call: `{self.shown}`"
        raise Failure(slug, T(zh, en))

    def array(
        self,
        value: Any,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        finite: bool = True,
        name: str = "",
    ) -> np.ndarray:
        """The value as an array of numbers; fails with type, dtype, shape or nan. name: which output."""
        if isinstance(value, np.generic) and shape == ():
            value = np.asarray(value)
        if not isinstance(value, np.ndarray):
            self.wrong_type(value, T("NumPy 数组", "a NumPy array"), name)
        if dtype is not None and value.dtype != np.dtype(dtype):
            self._wrong_dtype(value.dtype, np.dtype(dtype), name)
        if value.dtype.kind not in "biufc":
            self.wrong_type(f"`dtype={value.dtype}`", T("数字组成的数组", "an array of numbers"), name, literal=True)
        if shape is not None and value.shape != tuple(shape):
            self.miss("shape", *compare.shape_message(value.shape, tuple(int(n) for n in shape), name))
        if finite:
            self._finite(value, name)
        return value

    def tensor(
        self,
        value: Any,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        device: Any = None,
        grad: bool | None = None,
        finite: bool = True,
        name: str = "",
    ) -> Any:
        """The value as a torch tensor; fails with type, dtype, shape, device, detached, attached or nan.

        grad: True if gradients must flow back through it, False if they must not, None for either.
        """
        if not is_tensor(value):
            self.wrong_type(value, TENSOR, name)
        if dtype is not None and value.dtype != dtype:
            self._wrong_dtype(value.dtype, dtype, name)
        if shape is not None and tuple(value.shape) != tuple(shape):
            self.miss("shape", *compare.shape_message(tuple(value.shape), tuple(int(n) for n in shape), name))
        if device is not None and value.device.type != str(device).partition(":")[0]:
            self.miss(
                "device",
                f"{label(name).zh}应在 {device} 上，你的在 {value.device} 上。",
                f"{label(name).en} should be on {device}; yours is on {value.device}.",
            )
        if grad is not None and value.requires_grad != grad:
            if grad:
                self.miss(
                    "detached",
                    f"{label(name).zh}和计算图断开了，梯度传不回去。",
                    f"{label(name).en} is cut off from its graph: no gradient can flow back.",
                )
            self.miss(
                "attached",
                f"{label(name).zh}还连着计算图（`requires_grad` 是 True）。",
                f"{label(name).en} is still tied to its graph (its `requires_grad` is True).",
            )
        if finite:
            self._finite(as_array(value), name)
        return value

    def scalar(self, value: Any, finite: bool = True, name: str = "") -> float:
        """The value as one number; fails with type, shape or nan."""
        if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
            if value.shape != ():
                self.miss(
                    "shape",
                    f"{label(name).zh}应是一个数，你的是形状 {value.shape} 的数组。",
                    f"{label(name).en} should be one number; yours is an array of shape {value.shape}.",
                )
            value = value[()]
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            self.wrong_type(value, T("一个数", "one number"), name)
        if finite:
            self._finite(np.asarray(value, float), name)
        return float(value)

    def integer(self, value: Any, name: str = "") -> int:
        """The value as a whole number; fails with type."""
        if isinstance(value, np.ndarray) and value.shape == ():
            value = value[()]
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            self.wrong_type(value, T("整数 int", "an int"), name)
        return int(value)

    def text(self, value: Any, name: str = "") -> str:
        """The value as a string; fails with type."""
        if not isinstance(value, str):
            self.wrong_type(value, T("字符串 str", "a str"), name)
        return str(value)

    def sequence(self, value: Any, of: type | None = None, length: int | None = None, name: str = "") -> list[Any]:
        """The items of a list or tuple; fails with type, or shape for another length.

        of: the items' type (int and float accept NumPy's). With length also for several outputs:
        `dx, dw = run.sequence(run.call(x), length=2)`.
        """
        if not isinstance(value, list | tuple):
            wanted = T("列表 list", "a list") if length is None else T(f"{length} 个值", f"{length} values")
            self.wrong_type(value, wanted, name)
        if length is not None and len(value) != length:
            self.miss(
                "shape",
                f"{label(name).zh}应有 {length} 个，你的有 {len(value)} 个。",
                f"{label(name).en} should hold {length}; yours holds {len(value)}.",
            )
        if of is not None:
            accepted = {int: (int, np.integer), float: (int, float, np.integer, np.floating)}.get(of, (of,))
            for at, item in enumerate(value):
                if not isinstance(item, accepted) or (isinstance(item, bool) and of is not bool):
                    wanted = T(f"`{of.__name__}`", f"`{of.__name__}`")
                    self.miss(
                        "type",
                        f"{label(name).zh}里应全是 {wanted.zh}，第 {at + 1} 个却是{kind(item).zh}。",
                        f"{label(name).en} should hold only {wanted.en}; item {at + 1} is {kind(item).en}.",
                    )
        return list(value)

    def mapping(self, value: Any, name: str = "") -> dict[Any, Any]:
        """The value as a dict; fails with type."""
        if not isinstance(value, Mapping):
            self.wrong_type(value, T("字典 dict", "a dict"), name)
        return dict(value)

    def choice(self, value: Any, options: Collection[Any], name: str = "") -> Any:
        """The value, one of the options; fails with type."""
        if not any(type(value) is type(option) and value == option for option in options):
            shown = ", ".join(f"`{option!r}`" for option in options)
            self.miss(
                "type",
                f"{label(name).zh}应是这几个之一：{shown}；你的是 `{compare.brief(value)}`。",
                f"{label(name).en} should be one of {shown}; yours is `{compare.brief(value)}`.",
            )
        return value

    def _wrong_dtype(self, got: Any, expected: Any, name: str) -> None:
        message = T(
            f"{label(name).zh}的类型应是 {expected}，你的是 {got}。",
            f"{label(name).en} should be of dtype {expected}; yours is {got}.",
        )
        if [str(kind).removeprefix("torch.") for kind in (got, expected)] == ["float64", "float32"]:
            message = message.then(T("有一步悄悄换成了双精度。", "Some step turned it into double precision unasked."))
        self.miss("dtype", *message)

    def _finite(self, value: np.ndarray, name: str) -> None:
        if value.dtype.kind in "fc" and not np.all(np.isfinite(value)):
            what = "nan" if np.any(np.isnan(value)) else "inf"
            self.miss(
                "nan",
                f"{label(name).zh}里有 {what}：有一步溢出了，或除以了零。",
                f"{label(name).en} holds {what}: some step overflows, or divides by zero.",
            )

    def wrong_type(self, value: Any, wanted: T, name: str = "", literal: bool = False) -> None:
        """Fail with type: this value came, that was wanted."""
        got = T(value, value) if literal else kind(value)
        if isinstance(value, tuple | list) and wanted.en.startswith(("a NumPy", "a PyTorch")):
            got = T(f"{len(value)} 项的{got.zh}", f"{got.en} of {len(value)}")
        self.miss(
            "type",
            f"{label(name).zh}应是 {wanted.zh}，你的是 {got.zh}。",
            f"{label(name).en} should be {wanted.en}; yours is {got.en}.",
        )
