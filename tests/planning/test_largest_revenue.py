"""No prices within their ranges, answered best whatever is built, earn more than the bound, and where nobody responds they earn it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.recovery import unrecoverable
from multiscale.planning.charge_range import implied_charge_range
from multiscale.planning.follower_names import BUILT
from multiscale.planning.largest_revenue import largest_revenue
from multiscale.planning.regulated import earned
from multiscale.programs import CompiledProgram
from multiscale.tariffs import COMPONENTS, Export, Fixed, TimeOfUsePrice, Volumetric
from tests.planning.regulated_feeder import regulated_feeder

TARIFFS = {
    "one price": {"network_charge": Volumetric(price_max=0.02)},
    "by time of day": {"network_charge": TimeOfUsePrice(starts=(0, 16), price_max=0.02)},
    "energy and capacity": {"network_charge": Volumetric(price_min=0.01, price_max=0.2), "peak": COMPONENTS["capacity"](price_max=2.0)},
    "energy, decided and given": {"network_charge": Volumetric(price_max=0.1), "other": Volumetric(price=0.03)},
    "energy and a sum": {"network_charge": Volumetric(price_max=0.3), "standing": Fixed(price_max=0.5)},
    "energy and feed-in": {"network_charge": Volumetric(price_max=0.3), "feed_in": Export(price_max=0.05)},
}


@pytest.mark.parametrize("tariff", TARIFFS)
def test_no_permitted_prices_earn_more_than_the_bound(tariff):
    problem = regulated_feeder(4, 4, TARIFFS[tariff])
    most = largest_revenue(problem)
    compiled, rng = CompiledProgram(problem.program), np.random.default_rng(0)
    decided = problem.tariff.decided
    best = -np.inf
    for k in range(30):
        share = {name: rng.uniform(size=problem.passive[name].shape) if k else np.ones(problem.passive[name].shape) for name in decided}
        prices = {name: c.price_min + share[name] * (c.price_max - c.price_min) for name, c in decided.items()}
        built = rng.integers(0, 2, problem.annuity.size) if k else np.zeros(problem.annuity.size)
        solution = compiled.solve_optimal({BUILT: built} | prices)
        best = max(best, earned(problem, prices, solution.x)[0])
    assert best <= most * (1 + 1e-7)
    assert most < np.inf


def test_the_bound_is_what_is_earned_where_nobody_can_respond():
    """Without sun and storage, with lines wide enough: all demand pays the largest price."""
    problem = regulated_feeder(3, 4, {"network_charge": TimeOfUsePrice(starts=(0, 16), price_max=0.02)})
    program = problem.program
    upper = program.upper.copy()
    for name in ("pv", "charge", "discharge", "curtailed", "unserved", "export"):
        upper[program.columns[name].positions.ravel()] = 0.0
    b0 = program.b0.copy()
    for name in ("rating_forward", "rating_reverse"):
        b0[program.rows[name].positions.ravel()] = 1e4
    demand = float(b0[program.rows["balance"].positions].sum()) * 6.0
    alone = dataclasses.replace(problem, program=dataclasses.replace(program, upper=upper, b0=b0))
    assert largest_revenue(alone) == pytest.approx(0.02 * demand, rel=1e-6)


def test_bounds_hold_where_an_option_takes_room_away():
    """An option that ends generation without cost: whoever builds it pays more than with nothing built, and charges earn more."""
    problem = regulated_feeder(3, 4, {"network_charge": Volumetric(price_max=0.05)})
    program = problem.program
    rows = program.rows["pv_availability"].positions.ravel()
    b0, B = program.b0.copy(), program.B.tolil()
    b0[rows] += 1.0
    B[rows, int(program.parameters[BUILT].positions.ravel()[0])] = -1.0
    program = dataclasses.replace(program, b0=b0, B=B.tocsr())
    problem = dataclasses.replace(problem, program=program)
    built = np.zeros(problem.annuity.size)
    built[0] = 1.0
    solution = CompiledProgram(program).solve_optimal({BUILT: built, "network_charge": 0.05})
    revenue = earned(problem, {"network_charge": np.asarray(0.05)}, solution.x)[0]
    assert revenue <= largest_revenue(problem) * (1 + 1e-7)
    annuity = float(problem.annuity @ built)
    low, high = implied_charge_range(program, "network_charge", problem.passive_energy, revenue - annuity, annuity, (0.0, 0.05), 1e-6)
    assert low <= 0.05 <= high * (1 + 1e-9)


@pytest.mark.parametrize(
    "tariff",
    [
        ["tariff.network_charge.kind=time_of_use", "tariff.network_charge.price_max=0.005"],
        pytest.param(["tariff.network_charge.price_max=0.004", "tariff.standing={kind: fixed, price_max: 0.01}"], marks=pytest.mark.slow),
        pytest.param(["tariff.network_charge.price_max=0.004", "tariff.other={kind: volumetric, price: 0.001}"], marks=pytest.mark.slow),
    ],
)
def test_several_prices_that_cannot_recover_the_cost_together_are_refused_before_planning(tariff):
    config = load_config(["study=tiny", "horizon=one_day", "horizon.step_hours=6", "system.dsos=[north]", *tariff])
    (problem,) = unrecoverable(config, case_of(config))
    assert "network_charge" in str(problem)
    assert "together with given prices at most" in str(problem)
    enough = [setting.replace("0.004", "0.3").replace("0.005", "0.3") for setting in tariff]
    config = load_config(["study=tiny", "horizon=one_day", "horizon.step_hours=6", "system.dsos=[north]", *enough])
    assert unrecoverable(config, case_of(config)) == []
