"""A long feeder whose end leaves the voltage band: ratings do not help it, a regulator does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.markets import Community
from multiscale.measures import Need, Site, VoltageRegulator
from multiscale.operation import Design, dso_branch_program, operating_tree
from multiscale.planning import NoPlanError, conventional_need, planning_problem, solve_plan
from multiscale.planning.candidates import candidate_options
from multiscale.programs import solve
from multiscale.sources import reinforcement_costs
from multiscale.sources.folder import folder_system, write_folder
from multiscale.system import Economics, validate
from multiscale.system.schema import table
from multiscale.timeline import Horizon
from multiscale.verification import ac_power_flow, ac_verify, profile_injections
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.injections import bus_injections
from multiscale.verification.pandapower_model import power_flow_model
from tests.planning.enumeration import Enumeration
from tests.variants import changed

LINE, END = "north line 1", "north bus 1"
EXAMPLE = {"branch": LINE, "voltage_band_percent": 10.0, "cost_eur": 80000.0, "measure": "line voltage regulator"}
REGULATOR, CABLE = f"regulate {LINE}", f"reinforce {LINE}"
TOLERANCE = 1e-3
RESISTANCE = 32.0


def drawn(model, injections):
    """Active and reactive power drawn at the buses of a model, (bus, period)."""
    at = {bus: i for i, bus in enumerate(model.buses.bus.values.tolist())}
    values = np.zeros((2, len(at), injections.sizes["period"]))
    for k, bus in enumerate(injections.bus.values.tolist()):
        values[:, at[bus]] = injections.p.values[k], injections.q.values[k]
    return values


def options(band=10.0, cost=80000.0):
    """A regulator at the end of the feeder, and more rating there."""
    rows = {
        "branch": [LINE, LINE],
        "kind": ["voltage_regulator", "added_rating"],
        "voltage_band_percent": [band, 0.0],
        "added_rating_kva": [0.0, 10000.0],
        "cost_eur": [cost, 1000.0],
    }
    return table("option", [REGULATOR, CABLE], {c: np.array(v) for c, v in rows.items()})


@pytest.fixture(scope="module")
def feeder(system):
    """The tiny case with a thin last section."""
    return changed(system.cut(["north 1", "north 2"]), "branches", "r_ohm", {LINE: RESISTANCE}).replace(options=options())


@pytest.fixture(scope="module")
def day() -> Horizon:
    return Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 4.0)


def tree_of(system, day, built=()):
    fleets = {p: system.fleet(p, day) for p in system.children("north")}
    return operating_tree(system, day, Economics(), fleets, Design(dict.fromkeys(built, True)), Community())


def cut_off(system, day, built=()):
    """Energy not served in the feeder and its platforms [kWh/a], and the cost of operation [EUR/a]."""
    program = dso_branch_program(tree_of(system, day, built), "north")
    solution = solve(program, {"energy_price": np.full(day.periods, 0.08)})
    missing = [solution.primal(b.name).values for b in program.columns if b.name.rsplit("/", 1)[-1] in ("unserved", "shed")]
    return sum(float((m * day.hours_per_year).sum()) for m in missing), solution.objective


def test_a_regulator_serves_what_more_rating_does_not(feeder, day):
    none, cable, regulator = (cut_off(feeder, day, built)[0] for built in ((), (CABLE,), (REGULATOR,)))
    assert none > 100.0
    assert cable == pytest.approx(none, rel=1e-9)
    assert regulator == pytest.approx(0.0, abs=1e-6)


def test_without_a_band_nothing_changes(feeder, day):
    powerless = feeder.replace(options=options(band=0.0))
    nothing = feeder.replace(options=table("option", [], {"branch": [], "cost_eur": []}))
    cost = cut_off(nothing, day)[1]
    assert cut_off(powerless, day, (REGULATOR,))[1] == pytest.approx(cost, rel=1e-9)
    assert cut_off(feeder, day)[1] == pytest.approx(cost, rel=1e-9)


def test_half_a_regulator_moves_half_as_far(feeder, day):
    """The parameter scales the band, and the least cost is convex in it."""
    own = tree_of(feeder, day).distribution["north"].program
    drawn = np.array([feeder.fleet(p, day).reference_demand.sum(axis=0) for p in feeder.children("north")])
    known = {"energy_price": 0.08, "exchange": drawn}
    solutions = [solve(own, known | {"built": np.array([z, 0.0])}) for z in (0.0, 0.05, 1.0)]
    costs = [s.objective for s in solutions]
    assert costs[0] > costs[1] > costs[2]
    assert costs[1] <= 0.95 * costs[0] + 0.05 * costs[2] + 1e-6
    change = [np.abs(s.primal("voltage_change").values).max() for s in solutions]
    assert change[0] == pytest.approx(0.0, abs=1e-9)
    assert change[1] == pytest.approx(0.05 * 0.19, rel=1e-6)
    assert change[2] <= 0.19 + 1e-9


@pytest.fixture(scope="module")
def plan_of(feeder, day):
    """Cost of the regulator -> the problem, on a feeder a little shorter: what is cut off can be paid for by the charge."""

    def stated(cost):
        here = changed(feeder, "branches", "r_ohm", {LINE: 24.0}).replace(options=options(cost=cost))
        fleets = {p: here.fleet(p, day) for p in here.children("north")}
        price = 0.08 + 0.03 * np.sin(np.arange(day.periods))
        return planning_problem(here, "north", day, Economics(), fleets, here.options, price, Community())

    return stated


@pytest.mark.parametrize("worth", [0.9, 1.1])
def test_the_planner_builds_it_when_it_costs_less_than_what_is_cut_off(plan_of, worth):
    """The cost is set a little below and above that at which brute force is indifferent."""
    free = plan_of(0.0)
    value = sorted(Enumeration(free, TOLERANCE).answer(np.array([z, 0.0]), 0.06)[2] for z in (0.0, 1.0))
    annuity = worth * (value[1] - value[0])
    problem = plan_of(annuity / Economics().annuity(40.0))
    best = Enumeration(problem, TOLERANCE).best
    plan = solve_plan(problem, tolerance=TOLERANCE, gap=1e-7, time_limit=100.0)
    assert plan.built == {REGULATOR: worth < 1.0, CABLE: False}
    assert plan.built[REGULATOR] == bool(best[1][0])
    assert plan.objective == pytest.approx(best[0], rel=1e-6)
    assert f"decomposition does not apply: what {REGULATOR} does is more than raising limits of flows" in plan.message


def test_the_decomposition_refuses_it_by_name(plan_of):
    with pytest.raises(NoPlanError, match=f"does not apply: what {REGULATOR} does is more than raising limits of flows"):
        solve_plan(plan_of(1000.0), tolerance=TOLERANCE, method="decomposition")


def test_the_operated_plan_is_in_the_band_in_the_ac_power_flow(feeder, day):
    tree = tree_of(feeder, day, (REGULATOR,))
    injections = bus_injections(tree, integrated_optimum(tree), ["north"])
    nodes = ["north", *feeder.children("north")]
    built = tree.design.options(feeder.options)
    without, regulated = (ac_verify(feeder, nodes, day, injections, b) for b in (None, built))
    assert END in set(without.violations["identifier"])
    assert regulated.violations.empty
    assert np.abs(regulated.result.voltage.sel(bus=END).values - 1.0).max() <= 0.5 * 0.00625 + 1e-3
    assert LINE in regulated.result.transformer.values


def test_at_its_middle_step_a_regulated_line_is_the_line(feeder, day):
    """With a set point where it does not step, voltages, loading and losses are those of the line."""
    nodes = ["north", *feeder.children("north")]
    injections = profile_injections(feeder, nodes, day) * 0.3
    idle = options().isel(option=[0]).assign(regulator_step_percent=("option", np.array([10.0])))
    plain, regulated = (ac_power_flow(feeder, nodes, day, injections, b) for b in (None, idle))
    assert (regulated.tap.sel(transformer=LINE) == 0).all()
    np.testing.assert_allclose(regulated.voltage, plain.voltage.sel(bus=regulated.bus), atol=1e-6)
    # The charging current, which flows in at the ends, is in the loading of a line and not in that of a transformer.
    np.testing.assert_allclose(regulated.loading, plain.loading.sel(branch=regulated.branch), atol=0.5)
    np.testing.assert_allclose(regulated.losses, plain.losses, atol=1e-3)


def test_the_power_flow_of_the_year_is_that_of_pandapower(feeder, day):
    """At the same steps; where it finds them itself, they are as near to the set point, which leaves at most one step of difference."""
    nodes, built = ["north", *feeder.children("north")], options().isel(option=[0])
    injections = profile_injections(feeder, nodes, day)
    reference, model = ac_power_flow(feeder, nodes, day, injections, built), power_flow_model(feeder, nodes, built)
    p, q = drawn(model, injections)
    found, free = batch_power_flow(model, p, q, reference.tap.values), batch_power_flow(model, p, q)
    assert found.converged.all()
    np.testing.assert_allclose(found.voltage, reference.voltage.values, atol=1e-6)
    np.testing.assert_allclose(found.loading, reference.loading.values, atol=1e-3)
    assert np.abs(free.tap - reference.tap.values).max() <= 1.0


def test_the_direction_of_a_line_in_the_table_does_not_matter():
    there = {"kind": "line", "from_bus": "near", "to_bus": "far", "tap_pos": 0.0}
    back = there | {"from_bus": "far", "to_bus": "near"}
    option = {"regulator_step_percent": 1.0, "voltage_band_percent": 10.0, "regulator_setpoint_pu": 1.0}
    assert VoltageRegulator.apply(there, option, 20.0, "far") == VoltageRegulator.apply(back, option, 20.0, "far")


def test_a_transformer_keeps_its_ratio_in_the_middle():
    branch = {"kind": "transformer", "tap_pos": -2.0, "tap_step_percent": 2.5}
    row = VoltageRegulator.apply(branch, {"regulator_step_percent": 1.25, "voltage_band_percent": 10.0, "regulator_setpoint_pu": 1.02}, 0.4, "x")
    assert (row["tap_pos"], row["tap_min"], row["tap_max"], row["v_setpoint_pu"]) == (-4.0, -12.0, 4.0, 1.02)


def test_it_is_proposed_where_the_voltage_leaves_the_band_first(feeder, day):
    fleets = {p: feeder.fleet(p, day) for p in feeder.children("north")}
    need = conventional_need(feeder, "north", day, fleets)
    assert list(need.outside) == [LINE]
    found = candidate_options(feeder, {"north": need}, 4, reinforcement_costs(), {"voltage_regulator": VoltageRegulator(offered=True)})
    assert found.option.values.tolist() == [REGULATOR]
    assert found.kind.values.tolist() == ["voltage_regulator"]
    assert need.investment(found) == VoltageRegulator().line_cost
    assert validate(feeder.replace(options=found)) == []
    assert VoltageRegulator().sites(Need({}, {"a": 0.01, "b": 0.02}), 1) == ["b"]
    unit = VoltageRegulator().propose(Site("t", "transformer", 20.0, 400.0, 0.0), reinforcement_costs())
    assert unit.columns["cost_eur"] == VoltageRegulator().transformer_cost


def test_a_voltage_that_is_held_already_is_not_regulated_twice(feeder):
    held = feeder.replace(options=options().assign(branch=("option", np.array(["north HV/MV transformer", LINE]))))
    (problem,) = validate(held)
    assert "has an on-load tap changer already" in str(problem)
    twice = table("option", ["a", "b"], {"branch": [LINE] * 2, "kind": ["voltage_regulator"] * 2, "voltage_band_percent": 5.0, "cost_eur": 1.0})
    (problem,) = validate(feeder.replace(options=twice))
    assert "has a regulator among the options already" in str(problem)


def test_a_row_written_by_hand_is_an_option(feeder, day, tmp_path):
    write_folder(feeder, tmp_path)
    (tmp_path / "options.csv").write_text(f"option,branch,kind,voltage_band [%],cost [EUR]\nregulator,{LINE},voltage_regulator,10,80000\n")
    system = folder_system(tmp_path)
    assert validate(system) == []
    assert cut_off(system, day)[0] > 100.0
    assert cut_off(system, day, ("regulator",))[0] == pytest.approx(0.0, abs=1e-6)
