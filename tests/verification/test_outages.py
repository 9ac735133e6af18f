"""Single outages: restored through open lines, judged by ratings, equal to pandapower's own power flow of the switched network."""

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest

from multiscale.config import load_config
from multiscale.operation.radial import radial_tree
from multiscale.planning.repair import Violations, next_limits, repaired
from multiscale.results.data.outages import outages_summary
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.tiny import tiny_system
from multiscale.study import run_study
from multiscale.system import LoadingLimits
from multiscale.system.schema import table
from multiscale.timeline import Horizon
from multiscale.verification import ac_verify, profile_injections
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.outages import _drawn, outage_check
from multiscale.verification.pandapower_flow import pandapower_power_flow
from multiscale.verification.pandapower_model import power_flow_model
from multiscale.verification.violations import outage_violations
from tests.made_once import made_once
from tests.variants import changed, with_options

RULE, DAY = LoadingLimits(), Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 12.0)
FEEDER = ["north", "north 1", "north 2"]


@made_once
def cigre_network():
    net = pn.create_cigre_network_mv(with_der=False)
    net.load.loc[net.load.p_mw < 3, ["p_mw", "q_mvar"]] *= 1.2
    net.load.loc[net.load.p_mw > 3, ["p_mw", "q_mvar"]] *= 0.4
    net.line.loc[net.line.name.isin(["Line 1-2", "Line 2-3"]), "max_i_ka"] *= 2.0
    weak = net.line.name.isin(["Line 10-11", "Line 5-6"])
    net.line.loc[weak, "max_i_ka"] *= 0.3
    return net


ring = made_once(lambda: pandapower_system(cigre_network()))


def checked(system, dso, limits=RULE, factor=1.0):
    nodes = [dso, *system.children(dso)]
    injections = profile_injections(system, nodes, DAY)
    injections = injections.assign(p=injections.p * factor, q=injections.q * factor)
    intact = ac_verify(system, nodes, DAY, injections)
    return intact, outage_check(system, dso, intact, injections, limits), injections


@pytest.fixture(scope="module")
def of_ring():
    return checked(ring(), "DSO 1")


def test_an_outage_is_the_power_flow_of_pandapower_with_the_line_out_and_the_switch_closed(of_ring):
    _, found, injections = of_ring
    at = {f"Bus {b}": b for b in range(15)}
    judged = ["Line 3-4", "Line 3-8", "Line 10-11"]
    rows = found.outages.set_index("line").loc[judged]
    worst = dict.fromkeys(judged, np.inf)
    for line in judged:
        highest = []
        for switch in ("S2", "S3"):
            net = cigre_network()
            net.line.loc[net.line.name == line, "in_service"] = False
            net.switch.loc[net.switch.name == switch, "closed"] = True
            net.load = net.load.iloc[:0]
            loads = pp.create_loads(net, list(at.values()), p_mw=0.0, q_mvar=0.0)
            peak = []
            for t in range(DAY.periods):
                for name, column in (("p", "p_mw"), ("q", "q_mvar")):
                    drawn = injections[name].isel(period=t).to_series() / 1e3
                    net.load.loc[loads, column] = [float(drawn.get(bus, 0.0)) for bus in at]
                pp.runpp(net, tolerance_mva=1e-9, numba=False)
                # The lines of the other operator, and the line between them, are not judged.
                ours = ~net.line.name.isin(["Line 12-13", "Line 13-14", "Line 14-8"])
                peak.append(max(net.res_line.loading_percent[ours].max(), net.res_trafo.loading_percent.iloc[0]))
            highest.append(peak)
        # Of two open lines, in every period the one after which less is overloaded, if the first leaves anything overloaded.
        worst[line] = np.array(highest)
    for line in judged:
        assert rows.loc[line, "demand_lost"] == 0.0
        low, high = worst[line].min(axis=0).max(), worst[line].max(axis=0).max()
        assert low - 1e-3 <= rows.loc[line, "loading"] <= high + 1e-3
        expected = int((worst[line].min(axis=0) > 100.0 + 1e-3).sum())
        assert rows.loc[line, "periods_overloaded"] == expected
    assert rows.loc["Line 3-8", "periods_overloaded"] > 0
    assert found.failed.line.tolist()[0] == "Line 3-8"


def on_one_busbar(system):
    """Both platforms at the busbar of the first."""
    one, two = (system.boundary_bus(platform) for platform in ("north 1", "north 2"))
    names = system.branches.branch.values[(system.branches.node.values == "north 2") & (system.branches.from_bus.values == two)]
    return changed(changed(system, "nodes", "boundary_bus", {"north 2": one}), "branches", "from_bus", dict.fromkeys(names.tolist(), one))


def with_capacitor(system):
    """A capacitor with losses at the busbar of a platform."""
    busbar = system.boundary_bus("north 1")
    return changed(changed(system, "buses", "shunt_q_kvar", {busbar: -40.0}), "buses", "shunt_p_kw", {busbar: 5.0})


@pytest.mark.parametrize("system_with", [lambda system: system, with_capacitor, on_one_busbar])
def test_the_busbar_of_a_platform_draws_its_network_with_losses(system_with):
    """Without an outage, the network of the DSO alone has the voltages and loadings of the whole."""
    system = system_with(tiny_system())
    injections = profile_injections(system, FEEDER, DAY)
    whole = ac_verify(system, FEEDER, DAY, injections).result
    model = power_flow_model(system, ["north"])
    drawn = _drawn(system, "north", model, ac_verify(system, FEEDER, DAY, injections), injections)
    alone = batch_power_flow(model, *drawn)
    np.testing.assert_allclose(alone.voltage, whole.voltage.sel(bus=model.buses.bus.values).values, atol=1e-7)
    np.testing.assert_allclose(alone.exchange, whole.exchange.values, rtol=1e-6)
    np.testing.assert_allclose(alone.exchange_reactive, whole.exchange_reactive.values, rtol=1e-6)


def test_a_given_voltage_may_differ_from_hour_to_hour():
    system = tiny_system()
    model = power_flow_model(system, ["north 1"])
    p = np.random.default_rng(1).uniform(0.0, 5.0, (model.buses.sizes["bus"], 3))
    volts = np.array([[0.96, 1.0, 1.04]])
    found = batch_power_flow(model, p, 0.2 * p, root_voltage_pu=volts)
    for t in range(3):
        single = power_flow_model(system, ["north 1"], slack_voltage_pu=float(volts[0, t]))
        np.testing.assert_allclose(found.voltage[:, t], pandapower_power_flow(single, p[:, [t]], 0.2 * p[:, [t]]).voltage[:, 0], atol=1e-6)


def test_what_is_no_number_has_no_solution():
    """power-grid-model would take it as no load, or as the voltage of the model."""
    model = power_flow_model(tiny_system(), ["north 1"])
    p, volts = np.full((model.buses.sizes["bus"], 3), 2.0), np.ones((1, 3))
    p[-1, 0], volts[0, 2] = np.nan, np.nan
    found = batch_power_flow(model, p, 0.0 * np.ones_like(p), root_voltage_pu=volts)
    assert found.converged.tolist() == [False, True, False]
    assert np.isnan(found.voltage[:, [0, 2]]).all()
    assert np.isnan(found.exchange[[0, 2]]).all()
    assert np.isfinite(found.voltage[:, 1]).all()


def test_the_direction_of_a_regulated_line_in_the_table_does_not_matter():
    """A ring has no direction any more when its open line is closed: the regulator stays at the end that it was built for."""
    system, line = ring(), "Line 3-8"
    row = {"branch": [line], "kind": ["voltage_regulator"], "voltage_band_percent": [10.0], "cost_eur": [1.0], "regulator_setpoint_pu": [1.02]}
    system = system.replace(options=table("option", [f"regulate {line}"], {name: np.array(value) for name, value in row.items()}))
    ends = [str(system.branches[end].sel(branch=line).item()) for end in ("to_bus", "from_bus")]
    turned = changed(changed(system, "branches", "from_bus", {line: ends[0]}), "branches", "to_bus", {line: ends[1]})
    injections = profile_injections(system, ["DSO 1"], DAY)
    found = []
    for each in (system, turned):
        intact = ac_verify(each, ["DSO 1"], DAY, injections, each.options)
        found.append(outage_check(each, "DSO 1", intact, injections, RULE, each.options).outages)
    assert line not in found[0].line.tolist()
    assert (found[0].restored_through != "").any()
    pd.testing.assert_frame_equal(*found)


def test_a_line_that_is_open_at_both_ends_restores_nothing():
    """The tables do not tell it from a line out of service."""
    ties = ring().branches.isel(branch=np.flatnonzero((ring().branches.charged_from.values != "") & (ring().branches.node.values == "DSO 1")))
    shut = changed(ring(), "branches", "charged_from", dict.fromkeys(ties.branch.values.tolist(), ""))
    _, found, _ = checked(shut, "DSO 1")
    assert (found.outages.restored_through == "").all()
    assert (found.outages.demand_lost > 0).all()


def test_lines_without_a_second_feed_are_counted_with_the_demand_they_interrupt():
    _, found, injections = checked(tiny_system(), "north")
    assert len(found.failed) == 0
    assert len(found.unrestored) == len(found.outages) == 4
    # The first line feeds everything but what draws at the substation.
    assert found.outages.demand_lost.max() <= float(injections.p.clip(min=0).sum("bus").max()) * 1.1
    assert (found.outages.restored_through == "").all()


def test_no_reserve_promises_nothing():
    _, found, _ = checked(ring(), "DSO 1", LoadingLimits(mv_load=1.0))
    assert found.outages.empty
    assert not found.overloaded


def test_power_fed_in_may_be_cut(of_ring):
    """As generation, what overloads a branch after an outage can be cut; as demand it cannot."""
    _, demand, _ = of_ring
    _, generation, _ = checked(ring(), "DSO 1", factor=-1.0)
    (row,) = generation.outages[generation.outages.line == "Line 3-8"].itertuples()
    assert demand.overloaded
    assert not generation.overloaded
    assert row.periods_cut > 0
    assert row.periods_overloaded == 0


def test_a_state_without_solution_is_no_survival_and_names_no_branch():
    _, found, _ = checked(ring(), "DSO 1", factor=2.6)
    row = found.outages.iloc[0]
    assert row.periods_diverged == found.periods == DAY.periods
    assert row.branch == ""
    assert np.isnan(row.loading)
    assert set(found.failed.line) == set(found.outages.line)
    summary = outages_summary({"DSO 1": found})
    assert summary["ac.outages.failed"] == (len(found.outages), "1")
    assert "ac.outages.worst_branch" not in summary


def test_limits_are_tightened_under_load_alone_to_the_share_that_asks_for_the_rating(of_ring):
    """What the line carries without the outage then needs the rating that the outage takes."""
    system = ring()
    weak, strong = (with_options(system, {"Line 10-11": (kva, 1.0), "Line 5-6": (kva, 1.0)}) for kva in (10.0, 5000.0))
    intact, found, _ = of_ring
    none = strong.options.isel(option=slice(0, 0))
    asked = outage_violations(strong, "DSO 1", found, intact, none)
    branch = next(iter(asked.under_outage))
    # Without an option that is strong enough, a smaller share would only cut off customers.
    for other, built in ((system, none), (weak, none), (strong, strong.options)):
        assert not outage_violations(other, "DSO 1", found, intact, built).under_outage
    tight = next_limits(RULE, asked, system).limits
    before, after = (radial_tree(system.network("DSO 1"), limits) for limits in (RULE, tight))
    at = [branch in m for m in before.members].index(True)
    carried = float(intact.result.loading.sel(branch=branch).max()) / 100
    wanted = 0.99 * min((1 - RULE.margin) * carried, before.load_share[at]) / (found.overloaded[branch] / 100)
    assert after.load_share[at] == pytest.approx(wanted)
    again = next_limits(tight, asked, system).limits.load_factor[branch] / tight.load_factor[branch]
    assert again == pytest.approx(0.99 / (found.overloaded[branch] / 100))
    np.testing.assert_array_equal(after.feed_in_share, before.feed_in_share)
    assert tight.untightened() == RULE


def test_violations_without_an_outage_come_first():
    system, calls = ring(), []
    outage, overload = Violations(under_outage={"Line 10-11": (0.3, 1.2)}), Violations({"Line 3-8": 5.0})

    def checked_(limits):
        calls.append(limits)
        return overload if limits.load_factor else outage

    found = repaired(system, RULE, lambda limits: limits, checked_, rounds=3)
    assert found.state == RULE
    assert "leave 1 branches and buses violated" in found.stopped[0]


@pytest.mark.slow
def test_a_plan_builds_what_an_outage_asks_for(monkeypatch, tmp_path):
    """A ring with a weak section: no line is short of usable rating there, but an outage at its head overloads it."""
    from multiscale.pipeline import case

    system = ring()
    monkeypatch.setattr(case, "study_system", lambda *_: system)
    small = ["study=tiny", "engine=serial", "horizon=one_day", "verification.year=false", "results.operated=[]", "output.report=false"]
    small += ["system.limits.mv_load=0.97", "measures.added_rating.least_loading=5 %", f"output.folder={tmp_path}"]
    without, with_repair = (run_study(load_config([*small, f"planning.repair_rounds={n}"])) for n in (0, 3))
    assert without.summary["ac.outages.failed"][0] >= 1
    assert without.status == "feasible"
    assert with_repair.summary["ac.outages.failed"][0] == 0
    assert with_repair.status == "optimal"
    data = with_repair.dataset
    built = data.option_built.values.ravel() > 0.5
    assert (data.option_for_outage.values.ravel()[built] > 0.5).any()
    assert with_repair.summary["plan.objective"][0] > without.summary["plan.objective"][0]
