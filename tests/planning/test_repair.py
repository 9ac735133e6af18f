"""Repair of a plan: tightened limits are data, only as tight as a violation demands, and they remove what the linear models leave out."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from multiscale import study
from multiscale.config import load_config
from multiscale.operation.radial import radial_tree
from multiscale.planning import NoPlanError
from multiscale.planning.repair import Violations, further_candidates, next_limits, repaired
from multiscale.representative_days import resemblance
from multiscale.sources import reinforcement_costs
from multiscale.sources.tiny import tiny_system
from multiscale.system import LoadingLimits
from multiscale.system.yearly import yearly_courses
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_verify
from multiscale.verification.further_days import OperatedDays, operate_further_days
from multiscale.verification.injections import bus_injections
from multiscale.verification.violations import violations_of
from multiscale.verification.year import year_check, year_injections
from tests.variants import changed

RULE = LoadingLimits()
UNIT = "north 1 MV/LV transformer"
END = "north 1 bus 4"


def trees(limits):
    system = tiny_system()
    return radial_tree(system.network("north"), limits), radial_tree(system.network("north 1"), limits)


def test_tightened_limits_act_on_their_branch_and_bus_alone():
    tight = replace(RULE, rating_factor={UNIT: 0.8}, raised_v_min={END: 0.01}, lowered_v_max={END: 0.02})
    for before, after in zip(trees(RULE), trees(tight), strict=True):
        unit, end = np.array([UNIT in m for m in before.members]), before.buses == END
        for name, factor in (("load_share", 0.8), ("feed_in_share", 0.8)):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name) * np.where(unit, factor, 1.0))
        np.testing.assert_array_equal(after.v_min, before.v_min + np.where(end, 0.01, 0.0))
        np.testing.assert_array_equal(after.v_max, before.v_max - np.where(end, 0.02, 0.0))
    assert tight.untightened() == RULE


def test_limits_are_tightened_as_much_as_the_violation_demands_and_never_loosened():
    system, found = tiny_system(), Violations({UNIT: 25.0}, {"north bus 2": 0.004, "north bus 4": -0.003})
    one = next_limits(RULE, found, system, share_step=0.01, voltage_step_pu=0.0005).limits
    assert one.rating_factor == {UNIT: pytest.approx(0.99 / 1.25)}
    assert one.lowered_v_max == {"north bus 2": pytest.approx(0.0045)}
    assert one.raised_v_min == {"north bus 4": pytest.approx(0.0035)}
    two = next_limits(one, Violations({"north line 1": 10.0}, {"north bus 2": 0.001}), system, share_step=0.01, voltage_step_pu=0.0005).limits
    assert two.rating_factor == {UNIT: one.rating_factor[UNIT], "north line 1": pytest.approx(0.9)}
    assert two.lowered_v_max == {"north bus 2": pytest.approx(0.006)}
    assert two.raised_v_min == one.raised_v_min


def test_all_buses_of_a_platform_get_the_margin_of_the_worst():
    """Its network is fed at a voltage that moves all of them alike; the busbar itself is held to be fed at the voltage without load."""
    system = tiny_system()
    own = system.network("north 1").buses.bus.values.tolist()
    tight = next_limits(RULE, Violations({}, {END: -0.01}), system, voltage_step_pu=0.0005).limits
    assert set(tight.raised_v_min) == set(own) - {system.boundary_bus("north 1")}
    assert set(tight.raised_v_min.values()) == {0.0105}
    assert not tight.lowered_v_max


def test_the_measured_voltage_of_the_busbar_is_passed_on_to_its_platform():
    """What the busbar departs from its voltage without load, less what the rule keeps, is kept in the band of every bus behind it."""
    system = tiny_system()
    above, busbar = trees(RULE)[0], system.boundary_bus("north 1")
    still = float(above.no_load_voltage()[above.buses.tolist().index(busbar)])
    tight = next_limits(RULE, Violations({}, {END: 0.002}, {"north 1": (still - 0.05, still + 0.02)}), system, voltage_step_pu=0.0005).limits
    assert tight.lowered_v_max[END] == pytest.approx(0.02 - RULE.voltage_margin_pu + 0.0005)
    assert not tight.raised_v_min


def test_a_band_is_not_tightened_beyond_the_voltage_without_load_and_what_cannot_be_cured_is_said():
    system = tiny_system()
    dso, bus = radial_tree(system.network("north"), RULE), "north bus 2"
    at = dso.buses.tolist().index(bus)
    tight = next_limits(RULE, Violations({}, {bus: 0.5}), system).limits
    assert tight.lowered_v_max[bus] == pytest.approx(dso.v_max[at] - dso.no_load_voltage()[at])
    again = next_limits(tight, Violations({}, {bus: 0.01, "north busbar": 0.01, "north bus 4": np.nan}), system)
    assert again.limits is None
    assert [words.split(" is ")[0].split(" has ")[0] for words in again.beyond] == [
        f"the voltage of bus {bus}",
        "the voltage of bus north busbar",
        "bus north bus 4",
    ]
    with pytest.raises(KeyError, match="'nowhere'"):
        next_limits(RULE, Violations({}, {"nowhere": 0.01}), system)


def test_branches_that_are_violated_become_options():
    system = tiny_system()
    config = load_config(["study=tiny", "measures.voltage_regulator.offered=true"])
    found = Violations({UNIT: 10.0, "north 1 line 1": 5.0}, {"north bus 1": -0.01, "north bus 2": -0.02})
    options = further_candidates(system, "north", found, reinforcement_costs(None), config.measure_settings())
    # A line of a platform's own network is no option, and the second bus lies behind the first.
    tree = trees(RULE)[0]
    (fed,) = tree.members[tree.buses.tolist().index("north bus 1")]
    named = dict(zip(options.option.values.tolist(), options.branch.values.tolist(), strict=True))
    assert named == {f"reinforce {UNIT}": UNIT, f"regulate {fed}": fed}
    again = further_candidates(system.replace(options=options), "north", found, reinforcement_costs(None), config.measure_settings())
    xr.testing.assert_identical(again, options)


def test_the_round_before_stands_where_tighter_limits_allow_no_plan():
    system = tiny_system()

    def made(limits):
        if limits.rating_factor.get(UNIT, 1.0) < 0.9:
            raise NoPlanError("infeasible", "too tight")
        return limits

    found = repaired(system, RULE, made, lambda _: Violations({UNIT: 4.0}), rounds=9)
    assert found.state == found.limits
    assert found.limits.rating_factor[UNIT] == pytest.approx((0.99 / 1.04) ** 2)
    assert found.violations == (1, 1, 1)
    assert found.stopped == ("there is no plan under tighter limits: too tight",)


def test_what_leaves_more_violated_is_not_taken():
    system = tiny_system()
    found = repaired(
        system, RULE, lambda limits: limits, lambda s: Violations(dict.fromkeys([UNIT, "north line 1"][: 1 + len(s.rating_factor)], 4.0)), rounds=9
    )
    assert found.limits == RULE
    assert "leave 2 branches and buses violated instead of 1" in found.stopped[0]


class Variant:
    """The north feeder of the tiny case with thin low-voltage cables and smaller transformers, planned on one day of the year."""

    def __init__(self, patch):
        system = tiny_system()
        own = [str(b) for b in system.branches.branch.values if str(b).startswith(("north 1 line", "north 2 line"))]
        for column in ("r_ohm", "x_ohm"):
            system = changed(system, "branches", column, {b: 3.0 * float(system.branches[column].sel(branch=b)) for b in own})
        units = ("north 1 MV/LV transformer", "north 2 MV/LV transformer")
        system = changed(system, "branches", "rating_kva", {u: 0.7 * float(system.branches.rating_kva.sel(branch=u)) for u in units})
        system = system.cut([system.top, "north", "north 1", "north 2"], "thin")
        patch.setattr(study, "study_system", lambda *_: system)
        self.config = load_config(["study=tiny", "horizon=one_day", "horizon.step_hours=3 h"])
        self.case = study.build_case(self.config)
        self.price, self.transmission = study.forecast_prices(self.case)
        self.nodes = ["north", "north 1", "north 2"]
        self.distance = resemblance(yearly_courses(system, ["north"]))

    def operate(self, case, plans):
        with study.make_engine(self.config.engine, self.config.solver) as engine:
            _, plan = study.operate_plan(self.config, case, plans, {}, engine, self.transmission)
        return xr.concat([bus_injections(t, o, ["north"]) for t, o in zip(plan.trees, plan.outcomes, strict=True)], dim="period")

    def on_days(self, case, plans, days):
        """The case on other days, with what prosumers buy in answer to the plan."""
        horizon = Horizon(tuple(days), (1.0,) * len(days), case.horizon.step_hours)
        fleets = {p: case.system.fleet(p, horizon) for p in self.nodes[1:]}
        adoption = {p: study.adoption_limits(f, horizon, case.system) for p, f in fleets.items()}
        other = replace(case, aggregation=replace(case.aggregation, horizon=horizon), fleets=fleets, adoption=adoption)
        return study.with_bought_capacity(other, plans)

    def made(self, limits):
        """Plan and operation of the year: the representative day, and in truth every day that is violated."""
        case = replace(self.case, limits=limits)
        plans = study.make_plans(self.config, case, self.price)
        grown, system = study.with_bought_capacity(case, plans), case.system
        built = system.options.sel(option=[o for o, yes in plans["north"].built.items() if yes])
        new_pv = {}
        for platform in self.nodes[1:]:
            more, today = grown.fleets[platform].data, case.fleets[platform].data
            for bus, kw in zip(more.bus.values.tolist(), (more.pv_rating - today.pv_rating).values.tolist(), strict=True):
                new_pv[bus] = new_pv.get(bus, 0.0) + kw

        def checked(horizon, nearest, operated):
            return year_check(system, self.nodes, year_injections(system, self.nodes, horizon, nearest, operated, new_pv), built)

        operated = self.operate(grown, plans)
        first = OperatedDays(case.horizon, case.aggregation.nearest, operated, checked(case.horizon, case.aggregation.nearest, operated))
        days = operate_further_days(first, self.distance, lambda d: self.operate(self.on_days(case, plans, d), plans), checked, most=60, at_once=30)
        return plans, days, built, first

    def violated(self, state):
        """On the operated days."""
        _, days, built, _ = state
        found = ac_verify(self.case.system, self.nodes, days.horizon, days.operated, built)
        return violations_of(self.case.system, self.nodes[1:], found)


def test_a_plan_that_violates_limits_over_the_year_is_repaired(monkeypatch):
    """Where the first plan leaves voltages outside the band, on its representative day and on others, the repaired one does not."""
    variant = Variant(monkeypatch)
    first = variant.made(RULE)
    assert first[1].check.voltage_violations
    found = repaired(variant.case.system, RULE, variant.made, variant.violated, rounds=4)
    _, days, _, before = found.state
    assert found.stopped == ()
    assert found.violations[0] > found.violations[-1] == 0
    assert before.check.violations.size
    assert days.check.passed
    assert len(days.horizon.days) > 1
