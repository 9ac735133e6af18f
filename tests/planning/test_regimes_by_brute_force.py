"""Plans under every regime and every component of the tariff are those of brute force; see ``brute_force``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.planning import Regime, solve_plan
from multiscale.planning.regimes import REGIMES
from multiscale.planning.regimes.capital import Capital
from multiscale.planning.regimes.incentive_fee import IncentiveFee
from multiscale.planning.regimes.output_incentive import OutputIncentive
from multiscale.planning.regimes.rate_of_return import RateOfReturn
from multiscale.planning.regimes.revenue_cap import RevenueCap
from multiscale.planning.regimes.totex_sharing import TotexSharing
from multiscale.planning.regimes.yardstick import Yardstick
from multiscale.tariffs import Capacity, Component, Export, Fixed, TimeOfUsePrice, Volumetric
from tests.planning.brute_force import BruteForce, refined
from tests.planning.regulated_feeder import CEILING, regulated_feeder

TOLERANCE = 1e-3
EVEN = Capital(0.05, 40).base

STANDARD: list[Regime] = [kind() for kind in REGIMES.values()]
VARIANTS: list[Regime] = STANDARD + [
    RateOfReturn(spread=0.2 / EVEN, used_share=0.5),
    RevenueCap(capital_adjustment=0.9, inflation=0.05, unserved_penalty=1.0),
    Yardstick(own_share=0.6, unserved_penalty=1.0),
]
VARIANTS += [TotexSharing(sharing=0.9, spread=0.1 / EVEN, unserved_penalty=2.0), OutputIncentive(target=0.5, incentive_cap=0.2, collar=0.1)]
VARIANTS += [OutputIncentive(collar=None, headroom=0.3), IncentiveFee(tuning=0.6, reference_price=0.06)]


def agrees(plan, best: float, scale: float) -> None:
    assert plan.status == "optimal"
    assert plan.follower_gap <= 1e-6
    assert plan.objective == pytest.approx(best, abs=1e-5 * scale)
    assert plan.bound <= best + 1e-6 * scale


def named(regime: Regime) -> str:
    return f"{regime.kind} {' '.join(sorted(regime.model_fields_set))}".strip()


def planned_alike(regime: Regime, nodes: int, hours: int, seed: int) -> None:
    problem = regulated_feeder(nodes, hours, seed=seed)
    # Others cost 10 % more for what they supply, where the regime compares.
    problem = replace(problem, yardstick=1.1 * problem.existing_cost)
    plan = solve_plan(problem, regime, tolerance=TOLERANCE, gap=1e-7, time_limit=60)
    agrees(plan, BruteForce(problem, regime, TOLERANCE).best[0], problem.existing_cost)
    assert plan.account.residual == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("regime", STANDARD, ids=named)
def test_every_regime(regime: Regime):
    planned_alike(regime, 4, 4, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("regime", VARIANTS, ids=named)
def test_every_regime_on_random_feeders(regime: Regime, seed: int):
    planned_alike(regime, 5, 6, seed)


def test_an_absolute_gap_ends_the_search_under_a_regime_whose_objective_is_near_zero():
    """A profit of about 1 % of the cost of the network, next to which no relative gap says anything."""
    problem = regulated_feeder(6, 8, seed=1)
    asked = 0.02 * problem.existing_cost
    plan = solve_plan(problem, RevenueCap(), tolerance=TOLERANCE, gap=0.0, gap_eur=asked, time_limit=600)
    proven = solve_plan(problem, RevenueCap(), tolerance=TOLERANCE, gap=1e-6, time_limit=600)
    assert plan.status == proven.status == "optimal"
    assert plan.bound - 1e-6 <= proven.objective <= plan.objective + 1e-6
    assert 1e-3 * asked < plan.gap_eur <= asked + 1e-5
    assert abs(proven.objective) < asked


COMPONENTS: dict[str, dict[str, Component]] = {
    "time_of_use": {"network_charge": TimeOfUsePrice(starts=(0, 16), price_max=CEILING)},
    "capacity": {"network_charge": Volumetric(price_max=CEILING), "peak": Capacity(price_max=1.0)},
    "fixed": {"network_charge": Volumetric(price_max=CEILING), "standing": Fixed(price_max=4.0)},
    "export": {"network_charge": Volumetric(price_max=CEILING), "feed_in": Export(price_max=0.05)},
}


def compared(components: dict[str, Component], nodes: int, seed: int, first: int, rounds: int) -> None:
    problem = regulated_feeder(nodes, 4, components, seed=seed)
    regime = REGIMES["social"]()
    plan = solve_plan(problem, regime, tolerance=TOLERANCE, gap=1e-6, time_limit=60)
    assert plan.status == "optimal"
    scale = abs(plan.objective)
    prices = np.concatenate([np.ravel(plan.prices[name]) for name in components])
    brute = refined(problem, regime, TOLERANCE, first=first, rounds=rounds)
    built = np.array([float(yes) for yes in plan.built.values()])
    # At the plan's own prices the follower's answer is worth what the plan says, and no price of the grid is better than proven.
    assert brute.value(built, prices, brute.rows(built)) == pytest.approx(plan.objective, abs=1e-5 * scale)
    assert plan.bound <= brute.best[0] + 1e-7 * scale
    assert brute.best[0] == pytest.approx(plan.objective, abs=1e-5 * scale)


@pytest.mark.parametrize("kind", ["capacity"])
def test_components(kind: str):
    compared(COMPONENTS[kind], 3, seed=1, first=5, rounds=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("kind", COMPONENTS)
def test_every_component_on_random_feeders(kind: str, seed: int):
    compared(COMPONENTS[kind], 4, seed=seed, first=9, rounds=5)
