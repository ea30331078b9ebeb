"""Compare a learner's value with the right one, and say where they part without giving the answer away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from exercises.checks.tensors import as_array, is_tensor
from exercises.checks.words import T

KINDS: tuple[tuple[type | tuple[type, ...], str, str], ...] = (
    (type(None), "None", "None"),
    ((bool, np.bool_), "布尔值 bool", "a bool"),
    ((int, np.integer), "整数 int", "an int"),
    ((float, np.floating), "小数 float", "a float"),
    (str, "字符串 str", "a str"),
    (bytes, "字节串 bytes", "bytes"),
    (list, "列表 list", "a list"),
    (tuple, "元组 tuple", "a tuple"),
    (dict, "字典 dict", "a dict"),
    ((set, frozenset), "集合 set", "a set"),
    (np.ndarray, "NumPy 数组", "a NumPy array"),
)
TENSOR = T("PyTorch 张量", "a PyTorch tensor")


def kind(value: Any) -> T:
    """What sort of thing a value is."""
    for types, zh, en in KINDS:
        if isinstance(value, types):
            return T(zh, en)
    if is_tensor(value):
        return TENSOR
    name = type(value).__name__
    if name in ("function", "method", "builtin_function_or_method"):
        return T("函数本身（是不是少了括号？）", "a function itself (are its brackets missing?)")
    if name == "generator":
        return T("生成器（用了 `yield`）", "a generator (you used `yield`)")
    return T(f"`{name}`", f"`{name}`")


def same(a: Any, b: Any, rtol: float, atol: float) -> bool:
    """Equality up to rounding: arrays, tensors, numbers, strings, and lists, dicts and sets of them.

    Whole numbers are compared exactly. A list equals a tuple or an array of the same values, a tensor only tensors.
    Where one side is float32 or less, the tolerances grow to what that precision can hold.
    """
    if is_tensor(a) or is_tensor(b):
        return is_tensor(a) and is_tensor(b) and same_arrays(as_array(a), as_array(b), rtol, atol)
    if isinstance(a, str | bytes) or isinstance(b, str | bytes) or a is None or b is None:
        return type(a) is type(b) and a == b
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return same_arrays(a, b, rtol, atol)
    if is_number(a) and is_number(b):
        if is_bool(a) != is_bool(b):
            return False
        return same_arrays(a, b, rtol, atol)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key], rtol, atol) for key in b)
    if isinstance(a, Set) and isinstance(b, Set):
        return a == b
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        return len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | np.number | np.bool_)


def same_arrays(a: Any, b: Any, rtol: float, atol: float) -> bool:
    try:
        a, b = np.asarray(a), np.asarray(b)
    except ValueError:  # lists of uneven length
        return False
    return a.shape == b.shape and bool(np.all(close(a, b, rtol, atol)))


def close(a: np.ndarray, b: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    """Entry by entry, whether a equals b, the right one."""
    if not (a.dtype.kind in "fc" or b.dtype.kind in "fc"):
        return np.asarray(a == b)
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return np.zeros(np.broadcast_shapes(a.shape, b.shape), bool)
    eps = max(float(np.finfo(x.dtype).eps) for x in (a, b) if x.dtype.kind in "fc")
    if eps > 1e-10:  # not double precision
        finite = np.abs(b[np.isfinite(b)])
        rtol, atol = max(rtol, 64 * eps), max(atol, 8 * eps * float(finite.max(initial=0)))
    return np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)


def transposed(got: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape has the expected axes in another order."""
    return got != expected and len(got) > 1 and sorted(got) == sorted(expected)


def shape_message(got: tuple[int, ...], expected: tuple[int, ...], name: str = "") -> T:
    """Which shape was wanted and which came; and that the axes only changed places, if so."""
    message = T(
        f"{label(name).zh}的形状应是 {expected}，你的是 {got}。",
        f"{label(name).en} should have shape {expected}; yours has {got}.",
    )
    if transposed(got, expected):
        hint = T("两个轴换了位置：转置了没有？", "Two axes changed places: is a transpose missing, or one too many?")
        if len(expected) > 2:
            hint = T(
                "轴的顺序不对：看看转置的那一步。", "The axes stand in another order: look at where you transpose."
            )
        message = message.then(hint)
    return message


def label(name: str) -> T:
    return T(f"返回的 `{name}` ", f"The returned `{name}`") if name else T("返回值", "What you return")


def difference(got: Any, right: Any, rtol: float, atol: float, reveal: bool, name: str = "") -> T:
    """Where the two first differ: the place, yours, and (if reveal) the one expected. Never all of the right value."""
    if isinstance(got, np.ndarray | list | tuple) and isinstance(right, np.ndarray):
        got = np.asarray(got)
        return first_entry(got, right, close(got, right, rtol, atol), reveal, name)
    if isinstance(got, str) and isinstance(right, str):
        return first_item(got, right, T("字符", "character"), rtol, atol, reveal, name)
    if isinstance(got, list | tuple) and isinstance(right, list | tuple):
        return first_item(got, right, T("项", "item"), rtol, atol, reveal, name)
    if isinstance(got, Mapping) and isinstance(right, Mapping):
        return first_key(got, right, rtol, atol, reveal, name)
    if isinstance(got, Set) and isinstance(right, Set):
        return first_member(got, right, reveal, name)
    return values(label(name), got, right, reveal)


def values(where: T, got: Any, right: Any, reveal: bool) -> T:
    """'... is 3, expected 4', with as many digits as it takes to see a difference."""
    mine, theirs = brief(got), brief(right)
    if mine == theirs:
        mine, theirs = repr(got), repr(right)
    if not reveal:
        return T(f"{where.zh}不对：你的是 {mine}。", f"{where.en} is not right: yours is {mine}.")
    return T(
        f"{where.zh}不对：你的是 {mine}，应是 {theirs}。",
        f"{where.en} is not right: yours is {mine}, expected {theirs}.",
    )


def brief(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}"
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def first_entry(got: np.ndarray, right: np.ndarray, equal: np.ndarray, reveal: bool, name: str) -> T:
    if got.ndim == 0:
        return values(label(name), got[()], right[()], reveal)
    index = tuple(int(i) for i in np.argwhere(~equal)[0])
    place = ", ".join(map(str, index))
    where = T(f"{label(name).zh}的 [{place}] ", f"Entry [{place}] of {lower(label(name).en)}")
    wrong = int(np.sum(~equal))
    count = T(f"（{equal.size} 个数里有 {wrong} 个不对。）", f"({wrong} of {equal.size} entries differ.)")
    return values(where, got[index], right[index], reveal).then(count)


def first_item(
    got: Sequence[Any], right: Sequence[Any], item: T, rtol: float, atol: float, reveal: bool, name: str
) -> T:
    """Of two strings or lists."""
    pairs = enumerate(zip(got, right, strict=False))
    at = next((i for i, (x, y) in pairs if not same(x, y, rtol, atol)), min(len(got), len(right)))
    if at < min(len(got), len(right)):
        where = T(
            f"{label(name).zh}第 {at + 1} {item.zh}", f"{item.en.capitalize()} {at + 1} of {lower(label(name).en)}"
        )
        message = values(where, got[at], right[at], reveal)
    elif at < len(got):
        message = T(
            f"{label(name).zh}太长：第 {at + 1} {item.zh} {brief(got[at])} 起是多出来的。",
            f"{label(name).en} is too long: {item.en} {at + 1} and on, {brief(got[at])}, is too much.",
        )
    else:
        message = T(
            f"{label(name).zh}太短：在第 {at} {item.zh}之后还缺内容。",
            f"{label(name).en} is too short: something is missing after {item.en} {at}.",
        )
    if reveal and len(got) != len(right):
        message = message.then(
            T(f"（长度应是 {len(right)}，你的是 {len(got)}。）", f"(Expected length {len(right)}, yours {len(got)}.)")
        )
    return message


def first_key(got: Mapping[Any, Any], right: Mapping[Any, Any], rtol: float, atol: float, reveal: bool, name: str) -> T:
    for key in right:
        if key not in got:
            known = f" {brief(key)}" if reveal else ""
            return T(f"{label(name).zh}缺少键{known}。", f"{label(name).en} lacks a key{':' if known else ''}{known}.")
        if not same(got[key], right[key], rtol, atol):
            where = T(f"{label(name).zh}在键 {brief(key)} 处", f"{label(name).en}, at key {brief(key)},")
            return values(where, got[key], right[key], reveal)
    extra = next(key for key in got if key not in right)
    return T(f"{label(name).zh}多出键 {brief(extra)}。", f"{label(name).en} has a key too many: {brief(extra)}.")


def first_member(got: Set[Any], right: Set[Any], reveal: bool, name: str) -> T:
    if extra := sorted(got - right, key=repr):
        return T(f"{label(name).zh}多出 {brief(extra[0])}。", f"{label(name).en} has one too many: {brief(extra[0])}.")
    known = f" {brief(sorted(right - got, key=repr)[0])}" if reveal else ""
    return T(f"{label(name).zh}还缺{known or '成员'}。", f"{label(name).en} lacks{known or ' a member'}.")


def lower(text: str) -> str:
    return text[:1].lower() + text[1:]
