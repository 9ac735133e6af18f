"""Demand grows until a low-voltage feeder is overloaded and its end leaves the voltage band: the plan lays cables, and the AC power flow holds."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.markets import Community
from multiscale.measures import MEASURES, ParallelCable, measure_settings
from multiscale.operation import Design, operating_tree
from multiscale.planning import conventional_need, planning_problem, solve_plan
from multiscale.planning.candidates import candidate_options
from multiscale.planning.conventional import low_voltage_needs
from multiscale.programs import solve
from multiscale.sources import reinforcement_costs
from multiscale.system import Economics, Growth, LoadingLimits, grow, validate
from multiscale.system.schema import table
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_verify
from multiscale.verification.injections import bus_injections
from tests.variants import changed

EXAMPLE = {"branch": "north line 1", "parallel_rating_kva": 14445.0, "impedance_share": 0.29, "measure": "parallel MV cable"}
PLATFORM = "north 1"
LINES = tuple(f"{PLATFORM} line {k}" for k in (1, 2, 3, 4))
TOLERANCE = 1e-3
LIMITS = LoadingLimits(lv_voltage_margin_pu=0.035)
"""With what transformer and medium voltage drop."""


@pytest.fixture(scope="module")
def day() -> Horizon:
    return Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 4.0)


@pytest.fixture(scope="module")
def feeder(system, day):
    """The tiny case with more demand behind a large transformer, and the options that are proposed for it."""
    here = changed(system.cut([PLATFORM]), "branches", "rating_kva", {f"{PLATFORM} MV/LV transformer": 400.0})
    here = changed(here, "branches", "r_ohm", {f"{PLATFORM} MV/LV transformer": 0.004})
    here = changed(here, "branches", "x_ohm", {f"{PLATFORM} MV/LV transformer": 0.015})
    here = changed(changed(here, "branches", "c_nf", dict.fromkeys(LINES, 0.0)), "branches", "r_ohm", dict.fromkeys(LINES[2:], 0.12))
    elsewhere = {"north town": 100.0, "north solar park": 10.0} | {f"city {bus}": 5000.0 for bus in "BCD"}
    here = grow(changed(here, "devices", "p_kw", elsewhere), Growth(load_factor=6.0, heat_pump_share=1.0))
    fleets = {PLATFORM: here.fleet(PLATFORM, day)}
    needs = {"north": conventional_need(here, "north", day, fleets, LIMITS)} | low_voltage_needs(here, "north", day, fleets, LIMITS)
    options = candidate_options(here, needs, 8, reinforcement_costs(), measure_settings())
    return here.replace(options=options), needs


def problem_of(feeder, day, members="members", cost=None):
    here, _ = feeder
    options = here.options if cost is None else here.options.assign(cost_eur=("option", np.full(here.options.sizes["option"], cost)))
    price = 0.08 + 0.03 * np.sin(np.arange(day.periods))
    fleets = {PLATFORM: here.fleet(PLATFORM, day)}
    return planning_problem(here, "north", day, Economics(), fleets, options, price, Community(), view=members, limits=LIMITS)


def operated(here, day, built):
    fleets, design = {PLATFORM: here.fleet(PLATFORM, day)}, Design(dict.fromkeys(built, True))
    tree = operating_tree(here, day, Economics(), fleets, design, Community(), limits=LIMITS)
    return tree, integrated_optimum(tree)


def unserved(tree, outcome):
    own = tree.distribution["north"].program.columns
    power = [tree.platforms[PLATFORM].columns.array("unserved", outcome.platform_x[PLATFORM]).values]
    power += [own.array(name, outcome.distribution_x["north"]).values for name in ("unserved", "shed")]
    return sum(float((p * tree.horizon.hours_per_year).sum()) for p in power)


def test_what_the_feeder_lacks_is_proposed(feeder):
    here, needs = feeder
    assert set(needs) == {"north", PLATFORM}
    lacking = needs[PLATFORM]
    assert lacking.overloaded
    assert set(lacking.overloaded) <= set(LINES)
    assert lacking.outside
    cables = here.options.branch.values[here.options.kind.values == "parallel_cable"].tolist()
    assert set(cables) == {*lacking.overloaded, *lacking.outside}
    assert validate(here) == []
    # Whatever medium voltage lacks is proposed by other measures.
    assert not set(here.options.branch.values[here.options.kind.values != "parallel_cable"].tolist()) & set(LINES)


def test_nothing_is_proposed_where_nothing_is_lacking(system, day):
    fleets = {p: system.fleet(p, day) for p in system.children("north")}
    assert low_voltage_needs(system, "north", day, fleets) == {}


def test_without_cables_demand_is_cut_off_and_with_the_plan_the_power_flow_holds(feeder, day):
    here, _ = feeder
    before = operated(here, day, ())
    assert unserved(*before) > 100.0
    plan = solve_plan(problem_of(feeder, day), tolerance=TOLERANCE, gap_eur=1.0, time_limit=100.0)
    built = [option for option, yes in plan.built.items() if yes]
    assert plan.status == "optimal"
    assert any(option.startswith("parallel cable") for option in built)
    tree, outcome = operated(here, day, built)
    assert unserved(tree, outcome) == pytest.approx(0.0, abs=1e-3)
    injections = bus_injections(tree, outcome, ["north"])
    nodes = ["north", PLATFORM]
    with_plan, without = (ac_verify(here, nodes, day, injections, options) for options in (tree.design.options(here.options), None))
    assert with_plan.violations.empty
    assert not without.violations.empty
    assert set(without.violations["identifier"]) & {*LINES, f"{PLATFORM} bus 4", f"{PLATFORM} bus 3"}


def test_the_plan_is_that_of_brute_force(feeder, day):
    """Every combination of options, solved by itself at the charge of the plan."""
    problem = problem_of(feeder, day)
    plan = solve_plan(problem, tolerance=TOLERANCE, gap_eur=0.1, time_limit=100.0)
    charge = plan.prices["network_charge"]
    costs = {}
    for choice in itertools.product((0.0, 1.0), repeat=len(problem.options.option)):
        solution = solve(problem.program, {"built": np.array(choice), "network_charge": charge})
        resource = float(solution.output("resource_cost").values[()]) + problem.program.d0
        costs[choice] = float(problem.annuity @ np.array(choice)) + resource + problem.constant
    best = min(costs, key=lambda choice: costs[choice])
    assert plan.objective == pytest.approx(costs[best], rel=1e-6)
    assert tuple(float(b) for b in plan.built.values()) == best


@pytest.mark.parametrize("built", list(itertools.product((0.0, 1.0), repeat=2)))
def test_the_planner_s_network_with_an_option_is_the_operated_one(feeder, day, built):
    """Two formulations agree: rise of voltage by rows of the planner, and the network with less impedance and more rating."""
    here, _ = feeder
    problem = problem_of(feeder, day)
    names = problem.options.option.values.tolist()
    cables = [k for k, name in enumerate(names) if name.startswith("parallel cable")][:2]
    choice = np.zeros(len(names))
    choice[cables] = built
    planned = solve(problem.program, {"built": choice, "network_charge": 0.05})
    chosen = [names[k] for k in np.flatnonzero(choice)]
    tree = operating_tree(
        here, day, Economics(), {PLATFORM: here.fleet(PLATFORM, day)}, Design(dict.fromkeys(chosen, True), {"north": {"network_charge": 0.05}}),
        Community(), limits=LIMITS,
    )  # fmt: skip
    from multiscale.operation import dso_branch_program

    price = 0.08 + 0.03 * np.sin(np.arange(day.periods))
    operated = solve(dso_branch_program(tree, "north"), {"energy_price": price})
    assert planned.objective == pytest.approx(operated.objective, rel=1e-6)


def test_a_cable_twice_or_at_a_transformer_is_refused(feeder):
    here, _ = feeder
    columns = {"kind": ["parallel_cable"] * 2, "parallel_rating_kva": 100.0, "impedance_share": 0.5, "cost_eur": 1.0}
    twice = table("option", ["a", "b"], {"branch": [LINES[0]] * 2, **columns})
    (problem,) = validate(here.replace(options=twice))
    assert "has a parallel cable among the options already" in str(problem)
    at_transformer = table("option", ["a", "b"], {"branch": [LINES[0], f"{PLATFORM} MV/LV transformer"], **columns})
    (problem,) = validate(here.replace(options=at_transformer))
    assert "a parallel cable is laid in parallel to a line" in str(problem)


def test_two_equal_cables_halve_the_impedance():
    row = {"r_ohm": 0.4, "x_ohm": 0.1, "c_nf": 10.0, "rating_kva": 100.0, "kind": "line"}
    both = ParallelCable.apply(row, {"impedance_share": 0.5, "parallel_rating_kva": 100.0}, 0.4, "x")
    assert (both["r_ohm"], both["x_ohm"], both["c_nf"], both["rating_kva"]) == (0.2, 0.05, 20.0, 200.0)
    assert MEASURES["parallel_cable"] is ParallelCable


def test_a_published_low_voltage_network_is_reinforced_and_passes_the_power_flow(tmp_path):
    """Kerber's rural network with overhead lines, demand three times as large: lines and transformer are built for band and ratings."""
    import pandapower as pp
    import pandapower.networks as pn

    from multiscale.config import load_config
    from multiscale.study import run_study

    pp.to_json(pn.create_kerber_landnetz_freileitung_1(p_load_mw=0.006), str(tmp_path / "kerber.json"))
    own = [f"system.path={tmp_path / 'kerber.json'}", f"output.folder={tmp_path}", "output.report=false", "engine=serial", "verification.year=false"]
    own.append("results.operated=[]")
    grown = ["system.growth.load_factor=3", "system.limits.lv_voltage_margin_pu=0.035", "horizon=one_day", "horizon.step_hours=6 h"]
    result = run_study(load_config(["system=pandapower", "system.profiles=constant", *own, *grown]))
    assert result.status == "optimal"
    assert result.summary["ac.violations"][0] == 0
    assert result.summary["ac.existing.max_voltage_violation"][0] > 0.01
    assert result.summary["assess.unserved_demand_plan"][0] == pytest.approx(0.0, abs=1.0)
    data = result.of_year().dataset
    built = data.option_measure.values[data.option_built.values > 0]
    assert "parallel LV cable" in built
    assert abs(result.summary["reconciliation.cost_of_the_plan.residual"][0]) < 0.01
