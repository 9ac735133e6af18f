"""Published instances give their published optima, in every method that applies."""

from __future__ import annotations

import pytest

from multiscale import bilevel
from tests.bilevel.published import INSTANCES, NON_CONVEX

METHODS = ("auto", "sos1", "indicator", "product", "strong_duality", "big_m")


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: instance.name)
def test_published_optimum_in_every_method(instance):
    applied = 0
    for method in METHODS:
        model, lower = instance.model()
        try:
            solution = bilevel.solve(model, [lower], method=method, gap=1e-5, time_limit=20)
        except bilevel.BilevelError:
            # strong_duality and big_m refuse what they have no proof for; the others take everything here.
            assert method in ("strong_duality", "big_m")
            continue
        applied += 1
        if instance.optimum is None:
            assert solution.status == "infeasible", method
            continue
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective == pytest.approx(instance.optimum, rel=instance.tolerance, abs=instance.tolerance), method
        assert solution.certificate.holds
        assert solution.certificate.follower_gap <= 1e-6
    assert applied >= 4


@pytest.mark.parametrize("instance", NON_CONVEX, ids=lambda instance: instance.name)
def test_followers_without_duals_are_refused_by_name(instance):
    model, lower = instance.model()
    with pytest.raises(bilevel.BilevelError, match="lower"):
        bilevel.solve(model, [lower], time_limit=10)
