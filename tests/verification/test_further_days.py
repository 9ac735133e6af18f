"""Days of the year that are dispatched individually where the response they were given violates limits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.assessment.operated import Operation
from multiscale.config import load_config
from multiscale.coordination.engine import SerialEngine
from multiscale.operation import Design, bought_and_sold, operating_tree
from multiscale.operation.device_classes import OneMeter, device_classes
from multiscale.operation.dispatched_days import dispatched_days
from multiscale.operation.tree import dso_branch_program
from multiscale.pipeline.case import case_of
from multiscale.pipeline.plan import forecast
from multiscale.pipeline.year import FurtherOperation, verify_year
from multiscale.programs import CompiledProgram
from multiscale.sources.tiny import tiny_system
from multiscale.system import LoadingLimits
from multiscale.timeline import Horizon
from multiscale.verification.year import violated_hours
from tests.variants import changed

DAY = Horizon((pd.Timestamp("2016-06-10"),), (366.0,), 3.0)
PRICE = np.array([0.05, 0.03, 0.02, 0.06, 0.04, 0.05, 0.09, 0.08])
SMALL = ["study=tiny", "horizon=two_days", "horizon.step_hours=3 h", "engine=serial"]
UNIT = "north 1 MV/LV transformer"


class GivenOperation(Operation):
    """An operation of which the injections alone are known."""

    def __init__(self, design, drawn):
        super().__init__(design, ())
        object.__setattr__(self, "drawn", drawn)

    def injections(self, dso):
        return self.drawn[dso]


@pytest.fixture(scope="module")
def case():
    return case_of(load_config(SMALL))


def test_devices_of_one_shape_do_together_what_members_can_do(case):
    """Classes lose nothing at a price: the cheapest answer of a platform with one meter costs the same, and members share it."""
    system = tiny_system()
    economics = case.economics
    for platform in system.at_level("platform"):
        fleet = system.fleet(platform, DAY)
        classes = device_classes(fleet)
        cost, power = {}, {}
        for name, each in (("members", fleet), ("classes", classes.fleet)):
            tree = operating_tree(system, DAY, economics, {p: each if p == platform else system.fleet(p, DAY) for p in case.fleets},
                                  Design(), OneMeter(), networks=False)  # fmt: skip
            program = tree.platforms[platform]
            signal = {"import_price": PRICE, "export_price": PRICE, "import_limit": 1e6, "export_limit": 1e6, "planned": 0.0, "deviation_price": 0.0}
            decided = dict.fromkeys(economics.tariff.decided, 0.03)
            solution = CompiledProgram(program).solve_optimal(signal | decided)
            cost[name] = solution.objective
            bought, sold = bought_and_sold(program, solution.x)
            power[name] = bought - sold
        assert cost["classes"] == pytest.approx(cost["members"], rel=1e-6)
        shared = classes.of_members(power["classes"])
        np.testing.assert_allclose(shared.sum(axis=0), power["classes"].sum(axis=0), atol=1e-9)
        assert (shared <= fleet.largest_consumption() + 1e-9).all()
        assert (shared >= -fleet.largest_supply() - 1e-9).all()


def test_a_dispatched_day_is_the_optimum_of_one_program(case):
    """The start from its parts changes nothing: its injections sum to the exchange of an optimum solved from nothing."""
    system, fleets, design = tiny_system(), {}, Design()
    for platform in system.at_level("platform"):
        fleets[platform] = system.fleet(platform, DAY)
    prices = dict.fromkeys(system.at_level("dso"), PRICE)
    (found,) = dispatched_days(system, DAY, case.economics, fleets, design, LoadingLimits(), prices)
    classes = {p: device_classes(f).fleet for p, f in fleets.items()}
    tree = operating_tree(system, DAY, case.economics, classes, design, OneMeter(), networks=False)
    for dso, drawn in found.injections.items():
        whole = CompiledProgram(dso_branch_program(tree, dso)).solve_optimal({"energy_price": PRICE})
        energy = float((whole.output("exchange").values * PRICE).sum())
        assert float((drawn.p.sum("bus").values * PRICE).sum()) == pytest.approx(energy, rel=1e-6)
    assert found.unserved == pytest.approx(0.0, abs=1e-9)


class Backwards(SerialEngine):
    """Computes the last task first, as workers may."""

    def map(self, function, tasks, homes=None, patience=None):
        found = super().map(function, dict(reversed(tasks.items())), homes, patience)
        return {name: found[name] for name in tasks}


def test_what_a_day_is_dispatched_as_does_not_depend_on_who_computes_it_when():
    """To the last digit: which days are computed together depends on the days alone, and nothing passes from one task to another."""
    days = dict.fromkeys(pd.date_range("2016-05-01", periods=18), frozenset()) | {pd.Timestamp("2016-02-01"): frozenset({"north 1"})}
    case = case_of(load_config([*SMALL, "system.dsos=[north]"]))
    expected, found = forecast(case), []
    for engine, given in ((SerialEngine(), days), (Backwards(), dict(reversed(days.items())))):
        found.append(FurtherOperation(case, GivenOperation(Design(), {}), {}, expected, engine).dispatch(given))
    for day in days:
        for dso in case.system.at_level("dso"):
            xr.testing.assert_identical(found[0][day].injections[dso], found[1][day].injections[dso])


def with_unit(case, kva):
    """The case with another rating of the transformer above the first platform."""
    return replace(case, system=changed(case.system, "branches", "rating_kva", {UNIT: kva}))


def operated(case):
    """The representative days, dispatched individually."""
    known = FurtherOperation(case, GivenOperation(Design(), {}), {}, forecast(case), SerialEngine())
    found = [each.injections for each in known.dispatch(dict.fromkeys(case.horizon.days, frozenset())).values()]
    return GivenOperation(Design(), {dso: xr.concat([each[dso] for each in found], "period") for dso in case.system.at_level("dso")})


@pytest.mark.slow  # a year of AC power flow, three times
def test_a_response_that_was_copied_violates_and_the_day_itself_does_not(case):
    """What the representative days do overloads a transformer on other days; dispatched individually they keep its rating, and all are served."""
    small = with_unit(case, 30.0)
    operation, expected = operated(small), forecast(small)
    copied = verify_year(small, operation, {}, expected, 0, 0, SerialEngine())
    hours = violated_hours(copied.by_dso.values())
    assert UNIT in copied.by_dso["north"].overloaded
    assert (copied.dispatched, copied.violated_before) == ((), hours)
    said: list[str] = []
    all_days = verify_year(small, operation, {}, expected, 400, 0, SerialEngine(), said.append)
    assert said[-1] == f"{len(all_days.dispatched)} days dispatched individually, no limit is violated"
    assert all_days.violated_before == hours
    assert all_days.dispatched
    assert violated_hours(all_days.by_dso.values()) == 0
    assert all_days.left == ()
    assert all_days.unserved == pytest.approx(0.0, abs=1e-6)
    few = verify_year(small, operation, {}, expected, 1, 0, SerialEngine())
    assert len(few.dispatched) == 1
    assert 0 < violated_hours(few.by_dso.values()) < hours
    assert few.left[0].endswith("limits after 1 dispatch of single days (verification.further_days)")


@pytest.mark.slow  # a year of AC power flow, twice
def test_a_day_that_violates_as_dispatched_is_repaired_by_tighter_limits(case):
    """Behind long lines the linear model misses what the medium voltage adds; what it was off is kept free, and no hour is violated."""
    system = case.system
    lines = [str(b) for b in system.branches.branch.values if str(b).startswith("north 1 line")]
    for column in ("r_ohm", "x_ohm"):
        system = changed(system, "branches", column, {b: 3.0 * float(system.branches[column].sel(branch=b)) for b in lines})
    long = replace(case, system=system)
    operation, expected = operated(long), forecast(long)
    once = verify_year(long, operation, {}, expected, 3, 0, SerialEngine())
    assert once.dispatched
    assert once.by_dso["north"].voltage_violations
    repaired = verify_year(long, operation, {}, expected, 400, 3, SerialEngine())
    assert violated_hours(repaired.by_dso.values()) == 0
    assert repaired.left == ()
    assert repaired.tightened > 0
