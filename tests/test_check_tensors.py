"""Checks of functions that take and return torch tensors: told from arrays, copied, compared; torch not imported."""

import numpy as np
import pytest
import torch
from processes import python
from toy_lesson import checked, toy

from exercises.checks import T
from exercises.checks.calls import brief, clone, untouched
from exercises.checks.compare import same

__all__ = ["toy"]  # a fixture that every test here uses

TOL = {"rtol": 1e-7, "atol": 1e-9}
TWO = torch.tensor([1.0, 2.0], dtype=torch.float64)
WITH_GRAPH = TWO.clone().requires_grad_() * 2


def asks(method, *args, **options):
    return lambda run: getattr(run, method)(run.call(1), *args, **options)


KINDS = {
    "a tensor": (asks("tensor"), TWO, ""),
    "a parameter": (asks("tensor"), torch.nn.Parameter(TWO), ""),
    "an array for a tensor": (asks("tensor"), np.ones(2), "type"),
    "a list for a tensor": (asks("tensor"), [1.0, 2.0], "type"),
    "a number for a tensor": (asks("tensor"), 1.0, "type"),
    "a tensor for an array": (asks("array"), TWO, "type"),
    "a tensor for a number": (asks("scalar"), torch.tensor(1.0), "type"),
    "a tensor for an integer": (asks("integer"), torch.tensor(1), "type"),
    "shape": (asks("tensor", shape=(2,)), TWO, ""),
    "another shape": (asks("tensor", shape=(2, 1)), TWO, "shape"),
    "dtype": (asks("tensor", dtype=torch.float64), TWO, ""),
    "another dtype": (asks("tensor", dtype=torch.float32), TWO, "dtype"),
    "device": (asks("tensor", device="cpu"), TWO, ""),
    "another device": (asks("tensor", device="cuda:0"), TWO, "device"),
    "no device behind it": (asks("tensor", device="cpu", finite=False), torch.ones(2, device="meta"), "device"),
    "a graph": (asks("tensor", grad=True), WITH_GRAPH, ""),
    "a graph lost": (asks("tensor", grad=True), WITH_GRAPH.detach(), "detached"),
    "no graph": (asks("tensor", grad=False), TWO, ""),
    "a graph left": (asks("tensor", grad=False), WITH_GRAPH, "attached"),
    "nan": (asks("tensor"), TWO * float("nan"), "nan"),
    "nan allowed": (asks("tensor", finite=False), TWO * float("nan"), ""),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_of_values(case):
    check, value, slug = KINDS[case]
    found = checked(check, lambda x: value)
    assert found.slug == slug, found.message


def test_array_and_tensor_are_told_apart_in_words():
    found = checked(asks("tensor"), lambda x: np.ones(2))
    assert "应是 PyTorch 张量，你的是 NumPy 数组" in found.message.zh
    found = checked(asks("array"), lambda x: TWO)
    assert "should be a NumPy array; yours is a PyTorch tensor" in found.message.en


def test_silent_double_precision_is_named():
    assert "双精度" in checked(asks("tensor", dtype=torch.float32), lambda x: TWO).message.zh


SAME = [
    (TWO, TWO + 1e-12, True),
    (TWO, TWO + 1e-6, False),
    (TWO, TWO.numpy(), False),  # which of the two is part of the answer
    (TWO, [1.0, 2.0], False),
    (torch.tensor(1.0), 1.0, False),
    (TWO, TWO.reshape(1, 2), False),
    (TWO.float(), TWO + 1e-6, True),  # as exact as float32 is
    (torch.tensor([0.1], dtype=torch.bfloat16), torch.tensor([0.1], dtype=torch.bfloat16), True),
    (WITH_GRAPH, 2 * TWO, True),
    (torch.tensor([1, 2]), torch.tensor([1, 3]), False),
    ([TWO, 1], (TWO + 1e-12, 1), True),
    ({"w": TWO}, {"w": TWO + 1}, False),
]


@pytest.mark.parametrize(("a", "b", "expected"), SAME)
def test_same(a, b, expected):
    assert same(a, b, **TOL) is expected
    assert same(b, a, **TOL) is expected


EQUAL = {
    "right": (TWO + 1e-12, ""),
    "an array": (TWO.numpy(), "type"),
    "another shape": (TWO[:1], "shape"),
    "a mistake": (TWO + 1, "one more"),
    "another value": (TWO + 2, "different"),
}


@pytest.mark.parametrize("case", EQUAL)
def test_equal(case):
    got, slug = EQUAL[case]
    mistakes = {"one more": (TWO + 1, T("多一", "one more"))}
    found = checked(lambda run: run.equal(run.call(1), TWO, mistakes), lambda x: got)
    assert found.slug == slug, found.message
    if slug == "different":
        assert "[0] 不对：你的是 3，应是 1" in found.message.zh


# ---------------------------------------------------------------------- what goes in


def doubled(x):
    return 2 * x


def in_place(x):
    with torch.no_grad():
        return x.mul_(2)


def through_data(x):
    x.data += 1
    return 2 * x


def no_gradients(x):
    return 2 * x.requires_grad_(False)


@pytest.mark.parametrize(
    ("fn", "slug"), [(doubled, ""), (in_place, "mutated"), (through_data, "mutated"), (no_gradients, "mutated")]
)
@pytest.mark.parametrize("x", [TWO.clone().requires_grad_(), WITH_GRAPH, torch.nn.Parameter(TWO)], ids="lgp")
def test_arguments_are_copies_that_must_not_change(fn, slug, x):
    before = x.detach().clone()
    assert checked(lambda run: run.equal(run.call(x), 2 * x), fn).slug == slug
    assert torch.equal(x.detach(), before) and x.requires_grad


def test_a_backward_of_the_learner_fills_only_the_copy():
    x = TWO.clone().requires_grad_()

    def slope(x):
        (x**2).sum().backward()
        return x.grad

    assert checked(lambda run: run.equal(run.call(x), 2 * TWO), slope).passed
    assert x.grad is None


def test_clone_keeps_what_a_function_may_look_at():
    x = torch.nn.Parameter(TWO.clone())
    x.grad = TWO.clone()
    copy = clone([x])[0]
    assert copy is not x and type(copy) is torch.nn.Parameter and torch.equal(copy.grad, TWO)
    copy.grad += 1
    assert torch.equal(x.grad, TWO) and untouched(x, copy)
    assert not untouched(TWO, TWO.float()) and untouched(TWO * float("nan"), TWO * float("nan"))


def test_arguments_in_brief():
    assert brief(torch.zeros(3, 5)) == "tensor(3×5)"
    assert brief([torch.zeros(9)]) == "[tensor(9)]"


def test_torch_is_not_imported():
    code = """
import sys, numpy as np
from exercises.checks import result_of
print(result_of("05", "stable_softmax", lambda x: np.exp(x)).slug, "torch" in sys.modules)
"""
    done = python("-c", code)
    assert done.returncode == 0 and done.stdout.split()[1:] == ["False"], done.stderr
