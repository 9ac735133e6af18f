"""Published instances give their published optima, in every method that applies."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from tests.bilevel.every_method import METHODS, solved_by_every_method
from tests.bilevel.published import INSTANCES, NON_CONVEX, Published, box
from tests.bilevel.published_linear import LINEAR
from tests.bilevel.published_quadratic import AT_THE_EDGE, QUADRATIC
from tests.bilevel.published_textbook import TEXTBOOK

# Published followers state terms of leader variables alone in their costs.
pytestmark = pytest.mark.filterwarnings("ignore::multiscale.bilevel.BilevelWarning")


ALL = INSTANCES + TEXTBOOK + LINEAR + QUADRATIC
SOME = 2
"""Of the ordinary tests each solves an instance by ``auto`` and one further method, in turn; those of ``-m slow`` by every method."""


@pytest.mark.parametrize("instance", ALL, ids=lambda instance: instance.name)
def test_published_optimum(instance):
    methods = ["auto", *(METHODS[1 + ((SOME - 1) * ALL.index(instance) + k) % (len(METHODS) - 1)] for k in range(SOME - 1))]
    assert_published(instance, [method for method in methods if method in (instance.methods or METHODS)])


@pytest.mark.slow
@pytest.mark.parametrize("instance", ALL, ids=lambda instance: instance.name)
def test_published_optimum_in_every_method(instance):
    assert_published(instance, instance.methods or METHODS)


def assert_published(instance, methods):
    for method, solution in solved_by_every_method(instance.model, methods, gap=1e-5, time_limit=20):
        if instance.optimum is None:
            assert solution.status == "infeasible", method
            continue
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective == pytest.approx(instance.optimum, rel=instance.tolerance, abs=instance.tolerance), method
        assert solution.certificate.holds
        assert solution.certificate.follower_gap <= 1e-6


def test_an_optimum_without_a_constraint_qualification_is_the_certified_point_and_is_not_called_proven():
    model, lower = AT_THE_EDGE.model()
    solution = bilevel.solve(model, [lower], gap=1e-5, time_limit=20)
    assert solution.status == "feasible"
    assert "no interior point at x = 1" in solution.message
    assert solution.objective == pytest.approx(AT_THE_EDGE.optimum, rel=1e-4)
    assert solution.certificate.holds


@pytest.mark.parametrize("instance", NON_CONVEX, ids=lambda instance: instance.name)
def test_followers_without_duals_are_refused_by_name(instance):
    model, lower = instance.model()
    with pytest.raises(bilevel.BilevelError, match="lower"):
        bilevel.solve(model, [lower], time_limit=10)


def test_moore_and_bards_integer_follower_is_refused_and_its_integer_leader_solved():
    rows = ("20*y - 25*x <= 30", "2*y + x <= 10", "-y + 2*x <= 15", "10*y + 2*x >= 15")
    for integer, refused in (("y", True), ("x", False)):
        instance = Published("mb_1990", "Moore and Bard 1990", box("x"), box("y"), "-10*y - x", "y", rows, kinds={integer: pyo.Integers})
        for method in METHODS[:5]:
            model, lower = instance.model()
            if refused:
                with pytest.raises(bilevel.BilevelError, match="continuous"):
                    bilevel.solve(model, [lower], method=method)
                continue
            try:
                solution = bilevel.solve(model, [lower], method=method, gap=1e-6, time_limit=20)
            except bilevel.BilevelError:
                assert method == "strong_duality"
                continue
            assert solution.objective == pytest.approx(-18.0, rel=1e-6)
