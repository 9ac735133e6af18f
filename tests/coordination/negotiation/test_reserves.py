"""Forecast errors negotiated together with energy: the same optimum as one program, the same physics, the same money."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from multiscale.assessment import settle_day
from multiscale.assessment.payments import platform_payments
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.checkpoint import keep, take_up
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.coordination.negotiation.dso import DsoProgram
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.resolution import Resolution
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.top import TopProgram
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.uncertainty.day_reserves import forecast_errors, negotiated_reserves
from multiscale.devices import device_settings
from multiscale.markets import Community
from multiscale.operation import Transmission, operating_tree
from multiscale.operation.reserves import ErrorPool, ForecastErrors, holding_cost
from multiscale.programs import Link, compose, solve
from multiscale.system import Economics
from multiscale.timeline import Horizon
from tests.coordination.families import unreliable
from tests.variants import changed, charged

OPTIONS = NegotiationOptions(gap=1e-6, rounds=40)


def _on(date, step):
    return Horizon((pd.Timestamp(date),), (366.0,), step, ("winter",))


def built(system, horizon, rating=30.0, towns=9000.0, **battery):
    """Towns so large that DSOs move nodal prices, a transformer that is nearly full, and batteries worth using."""
    here = system.replace(device_settings=device_settings(battery=battery))
    here = changed(here, "devices", "p_kw", {f"{d} town": towns for d in system.at_level("dso")})
    here = changed(here, "branches", "rating_kva", {"north 1 MV/LV transformer": rating})
    fleets = {p: here.fleet(p, horizon) for p in here.at_level("platform")}
    design = charged(here.at_level("dso"), 0.05)
    return here, operating_tree(here, horizon, Economics(), fleets, design, Community(), error_margin=0.9)


def as_one_program(tree, errors):
    """The optimum of the whole tree as one program: levels joined instead of negotiating, tangents of all norms added until none is violated."""
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    programs = {}
    for d, own in tree.distribution.items():
        disclosed = np.array([errors[c].deviation for c in own.children]).reshape(len(own.children), tree.horizon.periods)
        programs[d] = DsoProgram(own, tree.design.choice(own.options), tree.economics, resolution, ErrorPool(errors[d], disclosed))
    top = TopProgram(tree.transmission, ErrorPool(errors[tree.system.top], np.array([p.most_handed for p in programs.values()])))
    for _ in range(50):
        dsos = {}
        for d, own in tree.distribution.items():
            program = programs[d].program()
            platforms = {c: PlatformSource(tree.platforms.data[c], tree.prices(d), errors[c]).whole() for c in own.children}
            places = {good: program.parameters[good].positions for good in ("exchange", "uncertainty")}
            links = [Link(c, good, at[k]) for k, c in enumerate(own.children) for good, at in places.items()]
            joined = programs[d].from_above(compose(d, program, platforms, links))
            dsos[d] = joined.fix(dict.fromkeys((b.name for b in joined.parameters), 0.0))
        program = top.program()
        links = [Link(d, good, program.parameters[good].positions[k]) for k, d in enumerate(dsos) for good in ("exchange", "uncertainty")]
        solution = solve(compose("whole", program, dsos, links))
        disclosed = np.array([np.concatenate([solution.output(f"{d}/{good}").values for good in ("exchange", "uncertainty")]) for d in dsos])
        again = top.extend(solution.x[: program.columns.size], disclosed) is not None
        for d, own in tree.distribution.items():
            handed = np.array([solution.output(f"{d}/{c}/uncertainty").values for c in own.children])
            again |= programs[d].error_pool.understated(solution.primal(f"{d}/pooled_error").values, handed).any()
        if not again:
            break
    # The negotiation counts from the dispatch in which the TSO covers its own errors alone.
    alone = dict.fromkeys((b.name for b in program.parameters), 0.0)
    return solution.objective - solve(program.fix(alone)).objective


CASES = {
    "as they are": (0.1, 0.7, {}),
    "independent": (0.2, 0.0, {}),
    "all together": (0.1, 1.0, {}),
    "cheap batteries": (0.3, 0.7, {"wear": 0.0005}),
}


WINTER = _on("2016-01-20", 4.0)


@pytest.fixture(scope="module")
def usual(system):
    """The tree of most tests."""
    return built(system, WINTER)[1]


@pytest.fixture(scope="module")
def agreed(usual):
    """What is agreed on the usual tree at some errors; each is negotiated once."""
    made = {}

    def get(error, alone=False):
        if (error, alone) not in made:
            made[error, alone] = negotiated_at(usual, error, alone)
        return made[error, alone]

    return get


@pytest.fixture(scope="module")
def optimum_at(usual):
    """Optimum of the usual tree as one program at some errors; each is computed once."""
    made = {}

    def get(error):
        if error not in made:
            made[error] = as_one_program(usual, forecast_errors(usual, error))
        return made[error]

    return get


def negotiated_at(tree, error, alone=False):
    errors = forecast_errors(tree, error, alone=alone)
    negotiation = negotiation_of(tree, SerialEngine(), OPTIONS, errors=errors)
    agreement = negotiation.run()
    return tree, errors, negotiation, agreement, outcome_of(negotiation, agreement)


@pytest.fixture(scope="module", params=[pytest.param(c, marks=pytest.mark.slow) if c == "all together" else c for c in CASES])
def negotiated(request, system, agreed):
    size, common, values = CASES[request.param]
    error = ErrorModel(size, common=common)
    return negotiated_at(built(system, WINTER, **values)[1], error) if values else agreed(error)


def test_the_optimum_of_energy_and_reserves_as_one_program_lies_inside_the_certified_interval_in_every_round(negotiated, usual, optimum_at, request):
    tree, errors, _, agreement, outcome = negotiated
    size, common, _ = CASES[request.node.callspec.params["negotiated"]]
    optimum = optimum_at(ErrorModel(size, common=common)) if tree is usual else as_one_program(tree, errors)
    assert agreement.status == "agreed"
    for step in agreement.history:
        assert step.bound <= optimum * (1 + 1e-8)
        assert step.cost >= optimum * (1 - 1e-8)
    assert outcome.cost == pytest.approx(optimum, rel=2e-6)
    assert outcome.gap <= 2e-6


def test_every_node_holds_back_what_it_keeps_and_batteries_can_deliver_it(negotiated):
    tree, errors, negotiation, _, outcome = negotiated
    for platform, source in negotiation.platforms.sources.items():
        handed = outcome.reserves.handed[platform]
        assert (handed >= -1e-9).all()
        assert (handed <= errors[platform].deviation + 1e-6).all()
        # What is left free by the schedule is enough, battery by battery, together with the customers that would be cut off.
        x, columns, data = outcome.platform_x[platform], tree.platforms[platform].columns, tree.fleets[platform].data
        charge, discharge, stored = (columns.array(name, x).values for name in ("charge", "discharge", "stored"))
        owners = data.battery_energy.values > 0
        power, energy = data.battery_power.values[owners, None], data.battery_energy.values[owners, None]
        eta, step = data.battery_efficiency.values[owners, None], tree.horizon.step_hours
        free = np.minimum.reduce([power - discharge + charge, power + discharge - charge, stored * eta / step, (energy - stored) / (eta * step)])
        kept = errors[platform].coverage * (errors[platform].deviation - handed)
        held = outcome.reserves.cost[platform] / tree.horizon.hours_per_year
        dearest = tree.economics.value_of_lost_load / errors[platform].coverage / np.sqrt(2 * np.pi)
        assert (kept <= free.sum(axis=0) + held / dearest + 1e-5).all()
        assert source.errors is errors[platform]


def test_lines_keep_room_for_all_that_is_handed_through_them(negotiated):
    tree, errors, _, _, outcome = negotiated
    for dso, own in tree.distribution.items():
        network, columns, x = own.reduced.tree, own.program.columns, outcome.distribution_x[dso]
        handed = np.array([outcome.reserves.handed[c] for c in own.children])
        refused = outcome.reserves.cost[dso].sum() > 1e-6
        for name, sign in (("rating_forward", 1.0), ("rating_reverse", -1.0)):
            if name not in own.program.rows or refused:
                continue
            fed, when = np.nonzero(own.reduced.rated[0 if sign > 0 else 1])
            flow = columns.array("flow", x).values[[list(own.reduced.kept).index(i) for i in fed], when]
            place = np.zeros((len(network.buses), len(own.children)))
            place[own.child_bus, np.arange(len(own.children))] = 1.0
            behind = network.below(place)[fed]
            room = own.program.b0[own.program.rows[name].positions] - sign * flow
            assert (room >= errors[dso].coverage * (behind * handed[:, when].T).sum(axis=1) - 1e-4).all()


def test_money_for_reserves_sums_to_zero_and_the_ledger_holds_the_whole_cost(negotiated):
    tree, _, _, _, outcome = negotiated
    ledger = settle_day(tree, outcome)
    assert ledger.residual < 1e-9
    components = tree.economics.tariff.components
    transfers = sum(payments[k] for c in tree.platforms for payments in [platform_payments(tree, c, outcome)] for k in components)
    assert ledger.social_cost == pytest.approx(outcome.cost - transfers, rel=1e-9)
    flow = ledger.arrays().money.sel(flow="reserves for forecast errors")
    assert float(flow.sel(stakeholder="wholesale market")) > 0
    assert float(flow.sum()) == pytest.approx(0.0, abs=1e-6 * float(np.abs(flow).sum()))


def test_the_price_of_handing_over_is_what_one_unit_more_costs(usual, optimum_at):
    """Duals equal finite differences: a little more error of one platform costs its price for what it hands over."""
    tree = usual
    errors = forecast_errors(tree, ErrorModel(0.1))
    base = optimum_at(ErrorModel(0.1))
    negotiation = negotiation_of(tree, SerialEngine(), NegotiationOptions(gap=1e-9, rounds=40), errors=errors)
    outcome = outcome_of(negotiation, negotiation.run())
    more = 0.01
    grown = dict(errors) | {"east 1": dataclasses.replace(errors["east 1"], deviation=errors["east 1"].deviation + more)}
    after = as_one_program(tree, grown)
    inside = (outcome.reserves.handed["east 1"] > 1e-6).all()
    price = (tree.horizon.hours_per_year * outcome.reserves.price["east 1"]).sum() * more
    # Where part is kept the price is still what handing one unit more would cost, so it bounds what the cheaper way does.
    assert after - base <= price * (1 + 1e-3) + 1e-3
    if inside:
        assert after - base == pytest.approx(price, rel=0.02)


def test_the_cost_of_reserves_grows_with_the_error_and_is_least_by_agreement(usual, agreed):
    plain = negotiation_of(usual, SerialEngine(), OPTIONS)
    energy = outcome_of(plain, plain.run()).cost + plain.top.idle_cost
    by_size = {}
    for size in (0.1, 0.2):
        for alone in (False, True):
            _, _, negotiation, _, outcome = agreed(ErrorModel(size), alone)
            by_size[size, alone] = outcome.cost + negotiation.top.idle_cost - energy
            if alone:
                assert max(h.max() for h in outcome.reserves.handed.values()) <= 1e-9
    agreed, alone = ([by_size[s, a] for s in (0.1, 0.2)] for a in (False, True))
    assert np.diff(agreed).min() > 0
    assert all(0 < a < 0.2 * b for a, b in zip(agreed, alone, strict=True))


def test_the_sum_of_partly_correlated_errors_is_what_samples_of_them_show():
    error = ErrorModel(0.1, common=0.6, seed=3)
    sizes = np.array([[40.0], [25.0], [60.0]])
    drawn = error.draw(3, 1, 1.0, 40_000)[..., 0] @ sizes[:, 0]
    disclosed = ForecastErrors(sizes[0], 2.0, error.common).together(sizes[1:])
    assert disclosed[0] == pytest.approx(drawn.std(), rel=0.03)  # errors are cut off at 2.5 standard deviations
    assert disclosed[0] < sizes.sum()
    assert ForecastErrors(sizes[0], 2.0, 1.0).together(sizes[1:])[0] == pytest.approx(sizes.sum())


def test_movement_within_a_longer_period_of_the_parent_is_part_of_what_is_handed_over(system):
    here, tree = built(system, _on("2016-01-20", 1.0))
    above = _on("2016-01-20", 2.0)
    tree = dataclasses.replace(tree, transmission=Transmission(here.restricted(above), above, tree.economics))
    errors = forecast_errors(tree, ErrorModel(0.1))
    negotiation = negotiation_of(tree, SerialEngine(), OPTIONS, errors=errors)
    outcome = outcome_of(negotiation, agreement := negotiation.run())
    optimum = as_one_program(tree, errors)
    assert agreement.bound <= optimum * (1 + 1e-8)
    assert outcome.cost == pytest.approx(optimum, rel=2e-6)
    resolution = Resolution(tree.horizon, above)
    for dso, own in tree.distribution.items():
        moved = np.abs(outcome.exchange[dso] - resolution.repeated(resolution.means(outcome.exchange[dso])))
        most = moved.reshape(-1, resolution.steps).max(axis=1)
        disclosed = outcome.reserves.handed[dso]
        kept_below = errors[dso].together(np.array([outcome.reserves.handed[c] for c in own.children]))
        assert (most / errors[dso].coverage <= disclosed + 1e-6).all()
        assert (disclosed <= resolution.means(kept_below) + most / errors[dso].coverage + 1e-3 * disclosed).all()


def test_messages_carry_a_band_and_prices_for_it(negotiated):
    _, _, negotiation, _, _ = negotiated
    fields = negotiation.traffic().fields
    assert {"up: exchange", "up: uncertainty", "down: price", "down: uncertainty_price"} <= fields
    name = next(iter(negotiation.platforms.sources))
    branch = next(b for b in negotiation.branches.values() if name in b.parent.names)
    request = next(iter(branch.negotiation.state.asked.values()))[name]
    [(_, reply)] = negotiation.platforms.ask({name: request})
    low, high = reply.band(2.0)
    exchange, handed = np.split(reply.profiles, 2, axis=1)
    assert np.allclose(high - low, 4.0 * handed)
    assert np.allclose(low + high, 2.0 * exchange)


def test_lost_and_late_messages_leave_the_certificate_valid(usual):
    tree = usual
    errors = forecast_errors(tree, ErrorModel(0.2, common=0.3))
    optimum = as_one_program(tree, errors)
    negotiation = negotiation_of(tree, SerialEngine(), NegotiationOptions(gap=1e-4, rounds=60, quorum=0.6), errors=errors)
    agreement = negotiation.run(through=lambda children: unreliable(children, 5))
    assert agreement.status == "agreed"
    assert all(s.bound <= optimum * (1 + 1e-8) and s.cost >= optimum * (1 - 1e-8) for s in agreement.history)


@pytest.mark.slow  # after every round, to the same bits: test_resume.py, "reserves with tangents learned on the way"
def test_a_negotiation_taken_up_from_a_checkpoint_ends_at_the_same_agreement(system, winter, tmp_path):
    _, tree = built(system, winter, wear=0.0005)
    errors = forecast_errors(tree, ErrorModel(0.3))
    whole = negotiation_of(tree, SerialEngine(), OPTIONS, errors=errors)
    ended = whole.run()
    first = negotiation_of(tree, SerialEngine(), dataclasses.replace(OPTIONS, rounds=2), errors=errors)
    first.run(keep=lambda _: keep(first, tmp_path / "state"))
    again = negotiation_of(tree, SerialEngine(), OPTIONS, errors=errors)
    take_up(again, tmp_path / "state")
    resumed = again.run()
    assert isinstance(again.negotiation, Negotiation)
    assert [(s.cost, s.bound) for s in resumed.history] == [(s.cost, s.bound) for s in ended.history]
    np.testing.assert_array_equal(resumed.point.exchange, ended.point.exchange)
    np.testing.assert_array_equal(resumed.point.price, ended.point.price)


def test_a_day_states_reserves_by_node_and_their_cost_alone(negotiated):
    tree, errors, _, _, outcome = negotiated
    own = errors["north"]
    size = float((own.deviation / forecast_errors(tree, ErrorModel(0.1))["north"].deviation).mean()) * 0.1
    day = negotiated_reserves(tree, outcome, ErrorModel(size, common=own.common))
    assert day.cost.sum() == pytest.approx(outcome.reserves.total)
    assert day.bound.sum() == pytest.approx(outcome.reserves.total - (outcome.cost - outcome.bound))
    assert outcome.energy_cost == pytest.approx(outcome.cost - day.cost.sum())
    assert day.alone.sum() > day.cost.sum()


def test_networks_built_without_room_for_the_errors_are_refused(tree):
    with pytest.raises(ValueError, match="larger error_margin"):
        negotiation_of(tree, SerialEngine(), OPTIONS, errors=forecast_errors(tree, ErrorModel(0.1)))


def test_a_coverage_of_nothing_is_refused():
    with pytest.raises(ValueError, match="not above zero"):
        ForecastErrors(np.ones(3), 0.0, 0.7)


def test_holding_cost_of_a_program_without_reserves_is_nothing(tree):
    program = tree.platforms["north 1"]
    assert holding_cost(program, np.zeros(program.columns.size)) == 0
