"""What a check makes of returned values: their kind, whether they are right, where they first differ."""

import numpy as np
import pytest
from toy_lesson import checked, toy

from exercises.checks import T, result_of
from exercises.checks.calls import brief
from exercises.checks.compare import difference, same

__all__ = ["toy"]  # a fixture that every test here uses

TOL = {"rtol": 1e-7, "atol": 1e-9}


# ---------------------------------------------------------------------- values of other kinds


def asks(method, *args, **options):
    return lambda run: getattr(run, method)(run.call(1), *args, **options)


KINDS = {
    "a scalar": (asks("scalar"), 0.5, ""),
    "a NumPy scalar": (asks("scalar"), np.float32(0.5), ""),
    "a zero-dimensional array": (asks("scalar"), np.array(0.5), ""),
    "an array of one": (asks("scalar"), np.array([0.5]), "shape"),
    "no bool for a number": (asks("scalar"), True, "type"),
    "no bool of NumPy": (asks("scalar"), np.True_, "type"),
    "text for a number": (asks("scalar"), "0.5", "type"),
    "nan": (asks("scalar"), float("nan"), "nan"),
    "nan allowed": (asks("scalar", finite=False), float("nan"), ""),
    "an integer": (asks("integer"), 3, ""),
    "an integer of NumPy": (asks("integer"), np.int64(3), ""),
    "a float for an integer": (asks("integer"), 3.0, "type"),
    "True for an integer": (asks("integer"), True, "type"),
    "text": (asks("text"), "北", ""),
    "bytes for text": (asks("text"), "北".encode(), "type"),
    "a list": (asks("sequence", of=str), ["北", "京"], ""),
    "a tuple": (asks("sequence", of=int, length=2), (1, np.int32(2)), ""),
    "a string for a list": (asks("sequence", of=str), "北京", "type"),
    "a wrong item": (asks("sequence", of=str), ["北", 1], "type"),
    "a wrong number of outputs": (asks("sequence", length=3), (1, 2), "shape"),
    "a dict": (asks("mapping"), {"北": 1}, ""),
    "a list for a dict": (asks("mapping"), [("北", 1)], "type"),
    "a choice": (asks("choice", ["a", "b"]), "a", ""),
    "no choice": (asks("choice", ["a", "b"]), "c", "type"),
    "1 is not True": (asks("choice", [True, False]), 1, "type"),
    "float32 kept": (asks("array", dtype=np.float32), np.ones(2, np.float32), ""),
    "float32 lost": (asks("array", dtype=np.float32), np.ones(2), "dtype"),
    "a scalar where shape is ()": (asks("array", shape=()), np.float64(1), ""),
    "objects": (asks("array"), np.array([{}]), "type"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_of_values(case):
    check, value, slug = KINDS[case]
    found = checked(check, lambda x: value)
    assert found.slug == slug, found.message


def test_silent_double_precision_is_named():
    found = checked(asks("array", dtype=np.float32), lambda x: np.ones(2))
    assert "双精度" in found.message.zh


def test_the_name_of_one_of_several_outputs_is_told():
    found = checked(asks("array", name="dx"), lambda x: [1])
    assert "`dx`" in found.message.zh and "`dx`" in found.message.en


def test_require_and_fail():
    assert checked(lambda run: run.require(np.False_, "named", T("不", "no")), None).slug == "named"
    assert checked(lambda run: run.require(np.True_, "named", T("不", "no")), None).passed
    assert checked(lambda run: run.fail("named", T("不", "no")), None).slug == "named"


def test_a_checker_that_fails_itself_does_not_blame_the_learner():
    found = checked(lambda run: 1 / 0, None)
    assert found.slug == "broken" and "不是你的错" in found.message.zh and "seed 0" in found.message.en


# ---------------------------------------------------------------------- comparing

SAME = [
    (np.ones(3), np.ones(3) + 1e-12, True),
    (np.zeros(3), np.full(3, 1e-6), False),  # zeros are no small numbers
    (np.float32(0.1) * np.ones(2, np.float32), np.full(2, 0.1), True),  # as exact as float32 is
    (np.float32(0.1001) * np.ones(2, np.float32), np.full(2, 0.1), False),
    (np.array([np.inf, np.nan]), np.array([np.inf, np.nan]), True),
    (np.array([np.inf]), np.array([-np.inf]), False),
    (np.ones(3), np.ones((1, 3)), False),
    (np.array([10**9]), np.array([10**9 + 1]), False),  # whole numbers exactly
    (10**9, 10**9 + 1, False),
    (1.0, 1, True),
    (1, True, False),
    ("北", "北", True),
    ("1", 1, False),
    (["北", 1.0], ("北", 1.0 + 1e-12), True),
    (["北"], "北", False),
    ([[1, 2], [3]], np.array([1, 2]), False),
    ({"a": [1.0]}, {"a": [1.0 + 1e-12]}, True),
    ({"a": 1}, {"b": 1}, False),
    ({1, 2}, {2, 1}, True),
    (None, None, True),
    (None, 0, False),
]


@pytest.mark.parametrize(("a", "b", "expected"), SAME)
def test_same(a, b, expected):
    assert same(a, b, **TOL) is expected
    assert same(b, a, **TOL) is expected


RIGHT_ARRAY = np.arange(12).reshape(3, 4) + 0.125
WRONG_ARRAY = RIGHT_ARRAY.copy()
WRONG_ARRAY[1, 2] = WRONG_ARRAY[2, 3] = 7
DIFFERENCES = [
    (WRONG_ARRAY, RIGHT_ARRAY, "[1, 2] 不对：你的是 7，应是 6.125。（12 个数里有 2 个不对。）"),
    (2.0, 3.0, "你的是 2，应是 3"),
    (0.12345678, 0.12345679, "你的是 0.12345678，应是 0.12345679"),
    ("我爱北京", "我爱南京", "第 3 字符不对：你的是 '北'，应是 '南'"),
    ("我爱北京城", "我爱北京", "太长：第 5 字符 '城' 起"),
    ("我爱", "我爱北京", "太短：在第 2 字符之后"),
    (["我", "爱"], ["我", "想"], "第 2 项不对：你的是 '爱'，应是 '想'"),
    ({"a": 1}, {"a": 2}, "在键 'a' 处不对：你的是 1，应是 2"),
    ({}, {"a": 2}, "缺少键 'a'"),
    ({"a": 2, "b": 3}, {"a": 2}, "多出键 'b'"),
    ({1}, {1, 2}, "还缺 2"),
    ({1, 3}, {1}, "多出 3"),
]


@pytest.mark.parametrize(("got", "right", "says"), DIFFERENCES)
def test_the_first_difference_is_shown(got, right, says):
    assert says in difference(got, right, **TOL, reveal=True).zh
    hidden = difference(got, right, **TOL, reveal=False)
    assert "应是" not in hidden.zh and "expected" not in hidden.en.lower()


def test_one_answer_of_a_guess_is_not_told():
    found = result_of("98", "guess", lambda: 41)
    assert found.slug == "different" and "41" in found.message.zh
    assert "42" not in found.message.zh + found.message.en


def test_never_more_than_one_right_entry():
    found = checked(lambda run: run.equal(run.call(1), RIGHT_ARRAY), lambda x: np.zeros((3, 4)))
    assert sum(f"{value:.6g}" in found.message.en for value in RIGHT_ARRAY.ravel() if value > 1) == 0


EQUAL = {
    "a list for an array": ([1.0, 2.5], np.ones(2), "type"),
    "another shape": (np.ones(3), np.ones(2), "shape"),
    "text for a number": ("1", 1, "type"),
    "a tuple for a list": ((1, 2), [1, 3], "different"),
    "an int for a float": (1, 2.0, "different"),
}


@pytest.mark.parametrize("case", EQUAL)
def test_equal_names_the_kind_of_difference(case):
    got, right, slug = EQUAL[case]
    assert checked(lambda run: run.equal(run.call(1), right), lambda x: got).slug == slug


def test_the_first_mistake_that_matches_is_named():
    mistakes = {"one": (2.0, T("一", "one")), "two": (2.0, T("二", "two"))}
    assert checked(lambda run: run.equal(run.call(1), 1.0, mistakes), lambda x: 2.0).slug == "one"


def test_a_mistake_that_is_right_here_does_not_count():
    mistakes = {"no mistake": (1 + 0.9e-7, T("不", "no"))}
    found = checked(lambda run: run.equal(run.call(1), 1.0, mistakes, atol=0), lambda x: 1 + 1.5e-7)
    assert found.slug == "different"


def test_arguments_in_brief():
    assert brief(np.zeros((3, 5))) == "array(3×5)"
    assert brief(np.array([0.5, 2])) == "[0.5, 2]"
    assert brief("我" * 100) == "'" + "我" * 38 + "…"
    assert brief(len) == "len" and brief(0.1 + 0.2) == "0.3" and brief([np.zeros(9)]) == "[array(9)]"
    assert brief(np.random.default_rng(0)) == "Generator"
