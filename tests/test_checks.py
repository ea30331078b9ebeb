"""The checkers' framework on a toy lesson: safe calls, named failures, the box, what the learner is told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest
from conftest import ROOT
from processes import ENV

from exercises.checks import Exercise, T, exercise, exercises_of, lesson, result_of
from exercises.checks.box import STATES, html, plain
from exercises.checks.calls import brief, clone, limited, untouched
from exercises.checks.compare import difference, same
from minillm import progress

TOL = {"rtol": 1e-7, "atol": 1e-9}


@exercise(hint=T("除以<谁>？看 `axis`。", "Divided by <what>? See `axis`."))
def normalise(run):
    x = run.rng.normal(size=run.sizes(2)) + 5
    y = run.array(run.call(x), shape=x.shape)
    run.equal(
        y,
        x / x.sum(axis=1, keepdims=True),
        mistakes={
            "never": (x / x.sum(axis=1, keepdims=True), T("对的值不算错", "the right value is no mistake")),
            "broken": (lambda: 1 / 0, T("算不出来", "cannot be computed")),
            "all": (lambda: x / x.sum(), T("整个数组", "the whole array")),
            "columns": (x / x.sum(axis=0), T("按列", "by columns")),
        },
    )


@exercise(hint=T("数一数", "Count"), rounds=1)
def guess(run):
    run.equal(run.scalar(run.call()), 42.0)


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    """Lesson 98 with two exercises; progress in a file of its own."""
    module = types.ModuleType("exercises.checks.lesson98")
    module.normalise, module.guess = normalise, guess
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.json"))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


def learner(body: str, name: str = "normalise", parameters: str = "x"):
    """A function as a learner writes it in a notebook."""
    space = {"np": np, "time": time}
    exec(f"def {name}({parameters}):\n    " + body.replace("\n", "\n    "), space)
    return space[name]


RIGHT = "return x / x.sum(axis=1, keepdims=True)"
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


# ---------------------------------------------------------------------- values of other kinds


def checked(check, fn, **options):
    """The result of a check given as a function of run, and of the learner's function."""
    return Exercise("f", check, T("提示", "hint"), 5.0, 1).result(fn, seed=0, **options)


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


def test_none_may_be_allowed():
    assert checked(lambda run: run.require(run.call(1, may_return_none=True) is None, "x", T("", "")), print).passed


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


# ---------------------------------------------------------------------- what the notebook shows


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_box_says_a_word_first_and_escapes_the_rest(language):
    message, hint = T("<b>坏 & `a<b`</b>\n第二行", "<b>bad & `a<b`</b>\nline two"), T("看 <这里>", "see <here>")
    for state, (word, colour) in STATES.items():
        box = html(state, "f", message, language, hint)
        assert f">{word.say(language)}<" in box and colour in box and 'role="status"' in box
        assert "<b>" not in box and "<这里>" not in box and "<here>" not in box
        assert plain(state, "f", message, language, hint).startswith(word.say(language))
    box = html("wrong", "f", message, language, hint)
    assert "<code>a&lt;b</code>" in box and "<br>" in box
    assert box.index("<details") < box.index("&lt;here&gt;" if language == "en" else "&lt;这里&gt;")
    text = plain("wrong", "f", message, language, hint)
    assert "check.hint(f)" in text and hint.say(language) not in text


def test_a_check_in_plain_python(capsys):
    check = lesson("98", "en")
    assert check(learner(RIGHT)) is None
    assert capsys.readouterr().out == "✓ Passed normalise\n"
    assert check(learner("return x / x.sum()")) is None
    out = capsys.readouterr().out
    assert out == "✗ Not yet right normalise: the whole array\nFor a hint: check.hint(normalise)\n"
    assert check.last.slug == "all"
    check.hint("normalise")
    assert capsys.readouterr().out == "→ Hint normalise: Divided by <what>? See `axis`.\n"
    check.hint(learner("pass"))
    assert "Divided by" in capsys.readouterr().out
    check(learner("raise NotImplementedError"))
    assert capsys.readouterr().out.startswith("○ Not yet normalise: ")


MISUSE = {
    "a result": np.ones(2),
    "nothing": None,
    "a name in quotes": "normalise",
    "a lambda": lambda x: x,
    "another function": len,
    "a partial": __import__("functools").partial(len, []),
}


@pytest.mark.parametrize("case", MISUSE)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_misuse_is_told_with_the_names_of_the_exercises(case, language, capsys):
    check = lesson("98", language)
    check(MISUSE[case])
    out = capsys.readouterr().out
    assert "`normalise`, `guess`" in out and out.count("\n") == 1
    assert check.last.slug == "usage"
    assert progress.read() == {}
    if case != "a name in quotes":
        check.hint(MISUSE[case])
        assert "`normalise`, `guess`" in capsys.readouterr().out


def test_a_lesson_without_checkers(capsys):
    assert exercises_of("97") == {}
    lesson("97", "zh")(len)
    assert "第 97 课" in capsys.readouterr().out


def test_a_checker_module_that_cannot_be_imported_is_no_missing_one(monkeypatch, tmp_path):
    import exercises.checks

    (tmp_path / "lesson96.py").write_text("import there_is_no_such_module\n")
    monkeypatch.setattr(exercises.checks, "__path__", [*exercises.checks.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        exercises_of("96")


def test_under_nbgrader_a_failing_check_raises(monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check = lesson("98", "zh")
    check(learner(RIGHT))
    for body, says in (("return x / x.sum()", "normalise: 整个数组"), ("raise NotImplementedError", "还没写")):
        with pytest.raises(AssertionError, match=says):
            check(learner(body))
    with pytest.raises(AssertionError, match="normalise"):
        check(None)
    assert "✗ 还不对" in capsys.readouterr().out
    assert progress.read() == {}  # a teacher's machine is no learner's


def test_tries_are_kept_and_stubs_are_not(capsys):
    check = lesson("98")
    check(learner("raise NotImplementedError"))
    assert progress.read() == {}
    for body in ("return x", "pass", RIGHT, "return x"):
        check(learner(body))
    entry = progress.read()["98"]["normalise"]
    assert entry["tries"] == 4 and entry["passed"]  # passed once is passed


CELLS = [
    "from exercises.checks import lesson, exercise, T\nimport types, sys\n"
    "m = types.ModuleType('exercises.checks.lesson98')\n"
    "@exercise(hint=T('提示', 'hint'), rounds=1, seconds=1)\ndef f(run):\n    run.equal(run.call(1), 2)\n"
    "m.f = f\nsys.modules[m.__name__] = m\ncheck = lesson('98', 'zh')",
    "def f(x):\n    print('in f')\n    return 1 + 1",
    "check(f)",
    "def f(x):\n    y = x\n    return y / 0",
    "check(f)",
    "def f(x):\n    while True:\n        pass",
    "check(f)",
]


def test_in_a_real_notebook(tmp_path):
    """Prints stay above the box, the box comes as HTML and text, and a faulty line of a cell is quoted."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(tmp_path), env=environment)
    right, wrong, endless = (notebook.cells[i].outputs for i in (2, 4, 6))
    assert [output.output_type for output in right] == ["stream", "display_data"]
    assert right[0].text == "in f\n"
    assert set(right[1].data) == {"text/html", "text/plain"} and right[1].data["text/plain"] == "✓ 通过 f"
    assert "（第 3 行 `return y / 0`）" in wrong[0].data["text/plain"] and len(wrong) == 1
    assert "死循环" in endless[0].data["text/html"]
    assert json.loads((tmp_path / "progress.json").read_text())["exercises"]["98"]["f"]["tries"] == 3


def test_limited_gives_the_value_and_the_exception():
    assert limited(lambda: 3, 5).value == 3
    assert isinstance(limited(lambda: 1 / 0, 5).error, ZeroDivisionError)
