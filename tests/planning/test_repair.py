"""Repair of a plan: tightened limits are data, only as tight as a violation demands, and they remove what the linear models leave out."""

import numpy as np
import pandas as pd
import pytest

from multiscale.config import load_config
from multiscale.markets import Community
from multiscale.operation.radial import radial_tree
from multiscale.operation.tree import reference_exchange
from multiscale.pipeline import case
from multiscale.planning import NoPlanError, planning_problem
from multiscale.planning.conventional import passive_flows
from multiscale.planning.distribution_planning import planned_limits
from multiscale.planning.repair import Violations, next_limits, repaired
from multiscale.programs import LabelledBasis
from multiscale.sources.tiny import tiny_system
from multiscale.study import run_study
from multiscale.system import Economics, LoadingLimits
from multiscale.timeline import Horizon
from multiscale.verification import ac_verify, profile_injections
from multiscale.verification.violations import violations_of
from tests.variants import changed

RULE = LoadingLimits()
UNIT = "north 1 MV/LV transformer"
END = "north 1 bus 4"


def with_changed(limits, **values):
    return limits.model_copy(update=values)


def trees(limits):
    system = tiny_system()
    return radial_tree(system.network("north"), limits), radial_tree(system.network("north 1"), limits)


def test_tightened_limits_act_on_their_branch_and_bus_alone():
    tight = with_changed(RULE, rating_factor={UNIT: 0.8}, raised_v_min={END: 0.01}, lowered_v_max={END: 0.02})
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


def test_what_the_linear_model_was_off_is_kept_at_every_bus_of_the_platform():
    """Less what the rule keeps; elsewhere and at the other end of the band nothing is."""
    system, near = tiny_system(), "north 1 bus 1"
    found = Violations({}, {END: 0.002}, {END: (-0.05, 0.02), near: (-0.05, 0.015), "north 2 bus 1": (-0.05, 0.05)})
    tight = next_limits(RULE, found, system, voltage_step_pu=0.0005).limits
    kept = RULE.voltage_margin_pu - 0.0005
    assert tight.lowered_v_max == {END: pytest.approx(0.02 - kept), near: pytest.approx(0.015 - kept)}
    assert not tight.raised_v_min


@pytest.mark.parametrize("some", [False, True])
def test_the_error_of_the_linear_model_is_that_at_the_busbar_where_nothing_flows_behind_it(some):
    """All buses of a platform without flows are off by as much as the linear model of the network above."""
    system = tiny_system()
    day = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 12.0)
    nodes = ["north", "north 1", "north 2"]
    injections = profile_injections(system, nodes, day)
    own = system.network("north 1").buses.bus.values.tolist()
    for name in ("p", "q"):
        injections[name].loc[{"bus": [b for b in injections.bus.values.tolist() if b in own]}] = 0.0
    volts = ac_verify(system, nodes, day, injections).result.voltage.sel(bus=END).values
    low = changed(system, "buses", "v_min_pu", {END: float(volts.mean()) if some else 1.2})
    checked = ac_verify(low, nodes, day, injections)
    violated = volts < float(low.buses.v_min_pu.sel(bus=END))
    assert violated.any()
    assert some != violated.all()
    found = violations_of(low, "north", checked, injections, low.options.isel(option=[]))
    above, busbar = trees(RULE)[0], system.boundary_bus("north 1")
    fleets = {child: system.fleet(child, day) for child in system.children("north")}
    active, reactive = passive_flows(system, "north", day, fleets, above)
    passed = [above.buses.tolist().index(busbar)]
    while passed[-1]:
        passed.append(int(above.feeder[passed[-1]]))
    fleet = fleets["north 1"]
    active[passed] -= reference_exchange(fleet)
    reactive[passed] -= fleet.data.reactive.values.sum(axis=0)
    off = (checked.result.voltage.sel(bus=busbar).values - above.voltage(active, reactive)[passed[0]])[violated]
    assert set(found.error) == set(own) - {busbar}
    for lowest, highest in found.error.values():
        assert (lowest, highest) == (pytest.approx(off.min(), abs=1e-5), pytest.approx(off.max(), abs=1e-5))


def test_a_band_is_not_tightened_beyond_the_voltage_without_load_and_what_cannot_be_cured_is_said():
    system = tiny_system()
    dso, bus = radial_tree(system.network("north"), RULE), "north bus 2"
    at = dso.buses.tolist().index(bus)
    tight = next_limits(RULE, Violations({}, {bus: 0.5}), system).limits
    assert tight.lowered_v_max[bus] == pytest.approx(dso.v_max[at] - dso.no_load_voltage()[at, 0])
    again = next_limits(tight, Violations({}, {bus: 0.01, "north busbar": 0.01, "north bus 4": np.nan}), system)
    assert again.limits is None
    assert [words.split(" is ")[0].split(" has ")[0] for words in again.beyond] == [
        f"the voltage of bus {bus}",
        "the voltage of bus north busbar",
        "bus north bus 4",
    ]
    with pytest.raises(KeyError, match="'nowhere'"):
        next_limits(RULE, Violations({}, {"nowhere": 0.01}), system)


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


def thin(patch):
    """The north feeder of the tiny case with thin low-voltage cables and smaller transformers."""
    system = tiny_system()
    own = [str(b) for b in system.branches.branch.values if str(b).startswith(("north 1 line", "north 2 line"))]
    for column in ("r_ohm", "x_ohm"):
        system = changed(system, "branches", column, {b: 3.0 * float(system.branches[column].sel(branch=b)) for b in own})
    units = ("north 1 MV/LV transformer", "north 2 MV/LV transformer")
    system = changed(system, "branches", "rating_kva", {u: 0.7 * float(system.branches.rating_kva.sel(branch=u)) for u in units})
    system = system.cut([system.top, "north", "north 1", "north 2"], "thin")
    patch.setattr(case, "study_system", lambda *_: system)


SMALL = (
    "study=tiny",
    "engine=serial",
    "horizon=one_day",
    "horizon.step_hours=3 h",
    "verification.year=false",
    "results.operated=[]",
    "output.report=false",
    "planning.repair_rounds=4",
)


@pytest.fixture(scope="module")
def mended(tmp_path_factory):
    """Folder and result of the study with thin cables and a repair."""
    folder = tmp_path_factory.mktemp("mended")
    with pytest.MonkeyPatch.context() as patch:
        thin(patch)
        return folder, run_study(load_config([*SMALL, f"output.folder={folder}"]))


def test_a_plan_whose_operation_violates_limits_is_repaired(monkeypatch, mended):
    """Where the first plan leaves voltages outside the band under AC power flow, the one that stands does not."""
    folder, with_repair = mended
    thin(monkeypatch)
    without = run_study(load_config([*SMALL, f"output.folder={folder}", "planning.repair_rounds=0"]))
    before, after = without.summary, with_repair.summary
    assert before["ac.violations"][0] > 0
    assert without.status == "feasible"
    assert after["plan.repair_rounds"][0] >= 1
    assert after["ac.violations"][0] == 0
    assert after["plan.objective"][0] >= before["plan.objective"][0] - 1e-6 * abs(before["plan.objective"][0])


def test_a_repair_that_starts_where_it_was_gives_the_answer_of_one_that_does_everything_anew(monkeypatch, tmp_path, mended):
    """Every number of the summary but what was spent: plan, charge, costs, violations, gains of every stakeholder.

    Of members' schedules that cost the same one is taken: AC losses, what members receive from each other and how evenly are of that one.
    """
    near = mended[1].summary
    thin(monkeypatch)
    monkeypatch.setattr(LabelledBasis, "fits", lambda *_: False)
    anew = run_study(load_config([*SMALL, "output.reuse=false", f"output.folder={tmp_path}"])).summary
    assert near["plan.repair_rounds"][0] >= 1
    told = [name for name, (value, _) in near.items() if isinstance(value, int | float) and not name.startswith(("time.", "memory."))]
    assert len(told) > 50
    for name in told:
        of_one_schedule = name in ("assess.value.losses", "assess.value.local_economies") or name.startswith(("assess.gini", "assess.jain"))
        assert near[name][0] == pytest.approx(anew[name][0], rel=1e-2 if of_one_schedule else 1e-9, abs=1e-6), name


def test_limits_tightened_inside_platforms_leave_the_planning_problem_as_it_is():
    """So the plan is not made anew; those of the DSO's own network stay, and so do those inside platforms with options of their own."""
    system, inside, above = tiny_system(), "north 1 bus 4", "north bus 2"
    tight = with_changed(RULE, rating_factor={"north line 1": 0.9}, lowered_v_max={inside: 0.02, above: 0.01})
    seen = planned_limits(system, tight)
    assert seen == with_changed(RULE, rating_factor={"north line 1": 0.9}, lowered_v_max={above: 0.01})
    horizon = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 4.0)
    fleets = {p: system.fleet(p, horizon) for p in system.children("north")}
    price = np.full(horizon.periods, 0.08)
    programs = [
        planning_problem(system, "north", horizon, Economics(), fleets, system.options, price, Community(), limits=limits).program
        for limits in (tight, seen)
    ]
    for name in ("b0", "c0", "lower", "upper"):
        np.testing.assert_array_equal(*(getattr(p, name) for p in programs))
    np.testing.assert_array_equal(*(p.A.toarray() for p in programs))
