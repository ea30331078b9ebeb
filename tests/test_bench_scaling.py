"""Exponents and sums of powers are found again in times that follow them; lengths and widths are measured."""

import numpy as np
import pytest

from minillm.bench import scaling
from minillm.bench.fit import exponent, power_terms
from minillm.bench.tasks import Task, flops_per_text
from minillm.flops import flops_per_token

X = np.array([64, 128, 256, 512, 1024])


def test_an_exponent_is_found_again():
    assert exponent(X, 3e-5 * X**1.7) == pytest.approx((1.7, 0), abs=1e-9)
    with pytest.raises(ValueError, match="at least two"):
        exponent([1], [1])


def test_its_error_is_the_spread_of_repeated_measurements():
    rng = np.random.default_rng(0)
    found = [exponent(X, X**1.5 * np.exp(rng.normal(0, 0.05, len(X)))) for _ in range(2000)]
    slopes, errors = np.array(found).T
    assert slopes.mean() == pytest.approx(1.5, abs=0.003)
    assert np.sqrt((errors**2).mean()) == pytest.approx(slopes.std(), rel=0.05)


@pytest.mark.parametrize("terms", [(2e-3, 1e-4, 2e-7), (0, 1e-4, 2e-7), (1e-3, 2e-4, 0), (0, 0, 3e-7)])
def test_a_sum_of_powers_is_found_again(terms):
    y = sum(c * X.astype(float) ** p for p, c in enumerate(terms))
    assert power_terms(X, y) == pytest.approx(list(terms), rel=1e-6, abs=1e-12)


def test_no_term_is_negative_and_small_times_count():
    y = 1e-4 * X - 2e-8 * X.astype(float) ** 2  # falls below a straight line
    assert min(power_terms(X, y)) >= 0
    noisy = (1e-4 * X + 2e-7 * X.astype(float) ** 2) * np.array([1.02, 0.98, 1.01, 0.99, 1.0])
    _, a, b = power_terms(X, noisy)
    assert a / b == pytest.approx(500, rel=0.3)


def test_the_arithmetic_by_hand():
    """Attention passes the matrices where 12 L D T is 6 N: at T = N / 2 L D."""
    plan = scaling.ladders()["length"]
    work = [plan["flops"](one) for one in plan["tasks"]]
    law = scaling.law("length", plan["points"], [[w] for w in work], work)
    weights = 2 * 12 * 128**2 + 512 * 128
    assert law["theory_takes_over"] == pytest.approx(weights / (2 * 2 * 128)) == law["takes_over"]
    assert law["exponent"] == law["theory"]
    config = plan["tasks"][0].config
    forward = [flops_per_token(config, t) / 3 for t in (1, 2, 3)]
    assert flops_per_text(config, 3, cached=True) == sum(forward)
    assert flops_per_text(config, 3, cached=False) == forward[0] + 2 * forward[1] + 3 * forward[2]


def test_ladders_double_one_thing_and_keep_the_rest():
    for kind, plan in scaling.ladders(most=256, widest=128).items():
        assert all(2 * a == b for a, b in zip(plan["points"], plan["points"][1:], strict=False))
        widths = {one.config.d_model for one in plan["tasks"]}
        lengths = {one.config.context for one in plan["tasks"]}
        assert len(widths if kind == "width" else lengths) == len(plan["points"]) > 1
        assert len(lengths if kind == "width" else widths) == 1


def test_measured(monkeypatch):
    """Three tiny points, through the contender's process."""
    mini = {"n_layer": 1, "n_head": 2, "d_model": 8}
    tasks = [Task("gpt2", {**mini, "context": t}, 1, 16) for t in (2, 4, 8)]
    plan = {"kind": "length", "points": [2, 4, 8], "tasks": tasks, "job": "train", "flops": lambda one: one.tokens}
    monkeypatch.setattr(scaling, "ladders", lambda most, widest: {"length": plan})
    law = scaling.measure(2, names=("np",))["length"]["np"]
    assert [len(own) for own in law["seconds"]] == [2, 2, 2] and min(law["median"]) > 0
    assert law["theory"] == pytest.approx(1) and law["error"] >= 0
