"""Fair division of the community's energy: published numbers, equality with quadratic programs, and a ledger that still adds up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from multiscale.markets import Community
from multiscale.markets.fairness import divided, sizes
from multiscale.markets.positions import Positions
from multiscale.operation import platform_program
from multiscale.system import Economics

RULES = ("proportional", "equal_awards", "equal_losses")


def shared(rule, claims, available, size=None):
    claims = np.array(claims, dtype=float)
    return divided(rule, claims[:, None], np.ones(len(claims)) if size is None else np.array(size), np.array([float(available)]))[:, 0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("proportional", (100 / 3, 200 / 3, 100.0)), ("equal_awards", (200 / 3, 200 / 3, 200 / 3)), ("equal_losses", (0.0, 50.0, 150.0))],
)
def test_claims_of_100_200_300_on_an_estate_of_200(rule, expected):
    """The claims of the Talmud's example (Aumann and Maschler 1985) under the three rules; losses of 400 are 100, 150, 150."""
    np.testing.assert_allclose(shared(rule, (100, 200, 300), 200), expected)


def test_equal_losses_are_the_dual_of_equal_awards():
    """What one rule gives of an estate is what the other leaves of the claims on the rest (Thomson 2003)."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        claims, weight = rng.exponential(size=6), rng.uniform(0.1, 2.0, 6)
        part = rng.uniform(0.0, claims.sum())
        np.testing.assert_allclose(
            shared("equal_losses", claims, part, weight), claims - shared("equal_awards", claims, claims.sum() - part, weight), atol=1e-12
        )


@pytest.mark.parametrize("rule", ["equal_awards", "equal_losses"])
def test_a_rule_is_the_least_squares_and_the_least_largest_ratio(rule):
    """Against the quadratic program written out, and against every other division on a grid."""
    rng = np.random.default_rng(1)
    for _ in range(5):
        claims, weight = rng.uniform(0.1, 3.0, 4), rng.uniform(0.5, 2.0, 4)
        available = rng.uniform(0.2, 0.9) * claims.sum()
        own = shared(rule, claims, available, weight)
        amount = own if rule == "equal_awards" else claims - own
        total = amount.sum()
        adds_up = {"type": "eq", "fun": lambda x, s=total: x.sum() - s, "jac": lambda x: np.ones(len(x))}
        found = minimize(
            lambda x, w=weight: (x**2 / w).sum(),
            claims * total / claims.sum(),
            jac=lambda x, w=weight: 2 * x / w,
            bounds=[(0.0, c) for c in claims],
            constraints=adds_up,
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(amount, found.x, atol=1e-5)
        steps = [np.linspace(0.0, c, 9) for c in claims[:3]]
        for some in itertools.product(*steps):
            last = total - sum(some)
            if 0.0 <= last <= claims[3]:
                assert (np.array([*some, last]) / weight).max() >= (amount / weight).max() - 1e-12


def positions(rng, members=8, periods=12):
    net = rng.normal(size=(members, periods)) * rng.exponential(size=(members, 1))
    flat = [np.full(periods, p) for p in (0.05, 0.05, 0.12, 0.06, 0.01)]
    names, labels = np.array([f"m{i}" for i in range(members)]), np.array([f"t{k}" for k in range(periods)])
    size = {"demand": rng.exponential(size=net.shape), "generation": rng.exponential(size=net.shape)}
    return Positions(names, labels, net, np.full(net.shape, 0.09), *flat, np.ones(periods), **size)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("by_size", [False, True])
def test_every_meter_is_met_and_no_more_or_less_is_traded(rule, by_size):
    for seed in range(5):
        state = positions(np.random.default_rng(seed))
        trades = Community(fairness=rule, fairness_by_size=by_size).clear(state)
        assert trades.energy_residual(state.net) <= 1e-9
        assert trades.money_residual() <= 1e-12
        local = np.bincount(trades.period[trades.local], trades.energy[trades.local], minlength=len(state.periods))
        np.testing.assert_allclose(local, np.minimum(state.taken.sum(axis=0), state.delivered.sum(axis=0)), atol=1e-8)


def test_under_equal_losses_the_one_that_depends_most_depends_least():
    """The largest energy from the supplier is the least under equal losses, and the smallest award the largest under equal awards."""
    for seed in range(5):
        state = positions(np.random.default_rng(seed))
        outside, own = {}, {}
        for rule in RULES:
            trades = Community(fairness=rule).clear(state)
            drawn, inside = (np.zeros(state.net.shape) for _ in range(2))
            for kind, total in ((trades.seller == trades.outside, drawn), (trades.local, inside)):
                np.add.at(total, (trades.buyer[kind], trades.period[kind]), trades.energy[kind])
            outside[rule], own[rule] = drawn.max(axis=0), np.where(state.taken > 0, inside, np.inf).min(axis=0)
        for other in RULES:
            assert (outside["equal_losses"] <= outside[other] + 1e-9).all()
            assert (own["equal_awards"] >= own[other] - 1e-9).all()


def test_fairness_is_no_part_of_the_program(fleets):
    """So every way to solve it stays exact, and costs and flows do not depend on it."""
    plain, fair = (platform_program(fleets["north 1"], Economics(), market) for market in (Community(), Community(fairness="equal_losses")))
    assert (plain.c0 == fair.c0).all()
    assert plain.rows.size == fair.rows.size


def test_a_member_without_demand_has_the_least_size():
    np.testing.assert_allclose(sizes(np.array([[0.0, 0.0], [1.0, 3.0]])), [0.01, 2.0])
    np.testing.assert_allclose(sizes(np.zeros((2, 3))), [1.0, 1.0])
