"""Checks call a learner's function safely, on fresh hidden data, and tell answers apart."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from processes import ENV
from toy_lesson import RIGHT, checked, learner, toy

from conftest import ROOT
from exercises.checks import T, exercise, result_of
from exercises.checks.calls import clone, limited, untouched

__all__ = ["toy"]  # a fixture that every test here uses

ANSWERS = {
    "right": (RIGHT, "", "通过"),
    "right, as a view": ("return (x / x.sum(axis=1, keepdims=True)).T.copy().T", "", ""),
    "stub": ("raise NotImplementedError", "todo", "还没写：`normalise`"),
    "pass": ("pass", "none", "return"),
    "raises": ("y = x + 1\nreturn y @ y", "raised", "ValueError: matmul"),
    "raises, bare": ("raise KeyError", "raised", "出错：KeyError（第 2 行）"),
    "exit": ("exit()", "raised", "SystemExit"),
    "own Ctrl-C": ("raise KeyboardInterrupt", "raised", "KeyboardInterrupt"),
    "recursion": ("return normalise(x)", "raised", "没完没了"),
    "list": ("return x.tolist()", "type", "列表 list"),
    "tuple": ("return x, x", "type", "2 项的元组"),
    "number": ("return 3", "type", "整数 int"),
    "text": ("return np.array([['a']])", "type", "dtype=<U1"),
    "function": ("return normalise", "type", "括号"),
    "generator": ("yield x", "type", "yield"),
    "transposed": ("return x.T", "shape", "转置"),
    "flat": ("return x.ravel()", "shape", "应是 ("),
    "nan": ("return x * np.nan", "nan", "有 nan"),
    "inf": ("return x / 0", "nan", "有 inf"),
    "in place": ("x -= 1\nreturn x", "mutated", "`x`"),
    "in place, nothing back": ("x -= 1", "none", ""),
    "zeros": ("return np.zeros_like(x)", "different", "[0, 0] 不对：你的是 0，应是"),
    "whole array": ("return x / x.sum()", "all", "整个数组"),
    "columns": ("return x / x.sum(0)", "columns", "按列"),
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_answers_are_told_apart(case, seed):
    body, slug, says = ANSWERS[case]
    found = result_of("98", "normalise", learner(body), seed=seed)
    assert (found.slug, found.passed) == (slug, slug == "")
    assert says in found.message.zh
    assert found.message.en and found.message.en != found.message.zh


ENDLESS = {
    "a plain loop": "while True:\n    pass",
    "swallows every Exception": "while True:\n    try:\n        y = x + 1\n    except Exception:\n        pass",
    "swallows everything": "while True:\n    try:\n        y = sum(range(100))\n    except:\n        pass",
    "sleeps a little": "while True:\n    time.sleep(0.01)",
    "swallows while it sleeps": "while True:\n    try:\n        time.sleep(0.05)\n    except Exception:\n        pass",
    "endless list": "return [1 for _ in iter(int, 1)]",
}


@pytest.mark.parametrize("case", ENDLESS)
def test_what_never_ends_is_ended(case):
    before = threading.active_count()
    found = result_of("98", "normalise", learner(ENDLESS[case]), seconds=0.2)
    assert found.slug == "timeout"
    assert "死循环" in found.message.zh and "重启" not in found.message.zh
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before  # no thread goes on


def test_what_cannot_be_ended_is_left_and_told():
    found = result_of("98", "normalise", learner("time.sleep(6)"), seconds=0.1)
    assert found.slug == "timeout"
    assert "重启" in found.message.zh and "restart" in found.message.en


def test_the_time_limit_counts_all_calls_of_a_round():
    @exercise(hint=T("慢", "slow"), seconds=1)
    def slow(run):
        for _ in range(20):
            run.call(1)

    assert slow.result(lambda x: time.sleep(0.1) or x).slug == "timeout"
    assert slow.result(lambda x: x).passed


@pytest.mark.skipif(sys.platform == "win32", reason="a signal from outside")
def test_ctrl_c_goes_through_and_ends_the_function():
    code = """
import sys, threading, time
from exercises.checks.calls import limited
def forever():
    print("started", flush=True)
    while True: pass
try:
    limited(forever, 60)
except KeyboardInterrupt:
    time.sleep(1)
    print("stopped", threading.active_count(), flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, env=ENV, text=True)
    assert child.stdout.readline() == "started\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20)[0] == "stopped 1\n"


def test_the_line_at_fault_is_the_learners_own(tmp_path):
    path = tmp_path / "cell.py"
    path.write_text("def helper(x):\n    return x.nothing\n\ndef normalise(x):\n    return max([x], key=helper)\n")
    space = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    found = result_of("98", "normalise", space["normalise"])
    assert "（第 2 行 `return x.nothing`）" in found.message.zh
    assert "Traceback" not in found.message.en and found.message.en.count("\n") == 1  # the error, and the call


def test_the_line_at_fault_is_not_one_of_a_library():
    found = result_of("98", "normalise", learner("import json\n\nreturn json.loads('{')"))
    assert "JSONDecodeError" in found.message.zh and "（第 4 行）" in found.message.zh


def test_overflow_warns_nobody(recwarn):
    assert result_of("98", "normalise", learner("return np.exp(x * 1000) / 0 * x")).slug == "nan"
    assert not recwarn.list


def test_an_unwritten_helper_is_named():
    space = {}
    exec("def first(x):\n    raise NotImplementedError\ndef normalise(x):\n    return first(x)", space)
    found = result_of("98", "normalise", space["normalise"])
    assert found.slug == "todo"
    assert found.message.zh == "还没写：`first`。（`normalise` 要用到它。）"


@pytest.mark.parametrize("parameters", ["", "x, axis", "*, x"])
def test_parameters_that_do_not_fit(parameters):
    found = result_of("98", "normalise", learner("return 1", parameters=parameters))
    assert found.slug == "raised" and "参数" in found.message.zh and "normalise(array(" in found.message.zh


def test_a_type_error_inside_is_no_matter_of_parameters():
    assert "TypeError" in result_of("98", "normalise", learner("return len(3)")).message.zh


# ---------------------------------------------------------------------- randomness


def test_the_same_seed_draws_the_same_data_and_no_seed_new_data():
    seen = []

    def normalise(x):
        seen.append(x)
        return x / x.sum(axis=1, keepdims=True)

    first = result_of("98", "normalise", normalise)
    rounds = len(seen)
    result_of("98", "normalise", normalise, seed=first.seed)
    result_of("98", "normalise", normalise)
    drawn = [x.tobytes() for x in seen]
    assert rounds == 3 and len(set(drawn[:3])) == 3  # every round other data
    assert drawn[:3] == drawn[3:6]
    assert not set(drawn[6:]) & set(drawn[:6])


def test_an_answer_right_by_luck_is_found_out():
    """Right where there are more rows than columns: about every second draw."""
    lucky = learner("y = x / x.sum(axis=1, keepdims=True)\nreturn y if len(x) > 4 else x / x.sum()")
    passed = [result_of("98", "normalise", lucky, seed=seed).passed for seed in range(40)]
    assert sum(passed) < 12  # one round would let half of them through


def test_sizes_are_all_different():
    @exercise(hint=T("无", "none"), rounds=50)
    def shapes(run):
        assert len(set(run.sizes(4, low=2, high=5))) == 4

    assert shapes.result(lambda: None).passed


# ---------------------------------------------------------------------- arguments are safe

CHANGES = {
    "an array": (lambda: np.arange(3), lambda x: x.sort() or x.__setitem__(0, 9)),
    "an array to nan": (lambda: np.ones(3), lambda x: x.fill(np.nan)),
    "a list": (lambda: [3, 1], lambda x: x.sort()),
    "a dict": (lambda: {"a": 1}, lambda x: x.update(b=2)),
    "a dict's order": (lambda: {"a": 1, "b": 2}, lambda x: x.update(a=x.pop("a"))),
    "a set": (lambda: {1}, lambda x: x.add(2)),
    "an array in a list": (lambda: [np.zeros(2)], lambda x: x[0].fill(1)),
    "a list in a dict in a tuple": (lambda: ({"a": [1]},), lambda x: x[0]["a"].append(1)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_changed_arguments_are_seen_and_the_checks_data_stay(case):
    make, change = CHANGES[case]
    data = make()

    def learner(words):
        change(words)
        return 1

    for call in (lambda run: run.call(data), lambda run: run.call(words=data)):
        found = checked(call, learner)
        assert found.slug == "mutated" and "`words`" in found.message.zh
        assert untouched(make(), data)
    assert checked(lambda run: run.call(data, may_change=True), learner).passed
    assert not untouched(make(), data)


def test_nan_in_arguments_is_no_change():
    data = [np.array([np.nan, 1]), float("nan"), {"a": float("nan")}]
    assert checked(lambda run: run.call(data), lambda x: 1).passed


def test_generators_and_objects_are_passed_as_they_are():
    class Model:
        pass

    rng, model = np.random.default_rng(0), Model()
    assert clone([rng, model])[0] is rng and clone([rng, model])[1] is model
    assert checked(lambda run: run.call(rng, model), lambda rng, model: rng.random()).passed


def test_what_a_learner_prints_appears_once(capsys):
    @exercise(hint=T("", ""), rounds=3)
    def double(run):
        run.equal(run.call(2), 4)

    def talks(x):
        print("x is", x)
        return 2 * x

    assert double.result(talks).passed
    assert capsys.readouterr().out == "x is 2\n"


def test_none_may_be_allowed():
    assert checked(lambda run: run.require(run.call(1, may_return_none=True) is None, "x", T("", "")), print).passed


def test_limited_gives_the_value_and_the_exception():
    assert limited(lambda: 3, 5).value == 3
    assert isinstance(limited(lambda: 1 / 0, 5).error, ZeroDivisionError)
