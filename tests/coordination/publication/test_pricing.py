import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.messages import Signal
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.mechanisms import Integrated, IntegratedSettings
from multiscale.coordination.publication.pricing import Pricing, PricingSettings
from multiscale.markets import Community
from multiscale.programs import CompiledProgram
from tests.operated import coordinate_days
from tests.variants import changed, charged


@pytest.fixture(scope="module")
def tight(system):
    return changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north 1 MV/LV transformer": 40.0})


def day(system, winter, economics, fleets, **more):
    mine = {p: fleets[p] for p in system.at_level("platform")}
    return coordinate_days(system, winter, economics, mine, charged(["north"], 0.05), Community(), SerialEngine(), **more)[0]


@pytest.fixture(scope="module", params=["price", "gap", "profile"])
def coordinated(request, tight, winter, economics, fleets):
    return day(tight, winter, economics, fleets, mechanism=Pricing(PricingSettings(signal=request.param, import_export_gap=0.02))), request.param


def test_no_mechanism_costs_less_than_the_bound_of_the_integrated_optimum(coordinated):
    outcomes = coordinated[0].outcomes
    bound = outcomes["integrated"].bound
    for outcome in outcomes.values():
        assert outcome.bound == bound
        assert outcome.cost >= bound - 1e-6 * abs(bound)
        assert outcome.gap >= -1e-6
    assert outcomes["integrated"].gap <= 1e-6


def test_export_is_never_paid_more_than_import_costs(coordinated):
    found, kind = coordinated
    for signal in found.outcomes["pricing"].signals.values():
        np.testing.assert_allclose(signal.import_price - signal.export_price, 0.02 if kind == "gap" else 0.0, atol=1e-12)


def test_every_platform_answers_with_what_is_best_for_it(coordinated):
    found, _ = coordinated
    outcome = found.outcomes["pricing"]
    for platform, signal in outcome.signals.items():
        program = found.tree.platforms[platform]
        p = program.parameters.vector(signal.parameters())
        best = CompiledProgram(program).solve_optimal(p)
        assert program.objective(outcome.platform_x[platform], p) == pytest.approx(best.objective, rel=1e-9)
        assert program.violation(outcome.platform_x[platform], p) <= 1e-6


def test_one_message_goes_down_to_every_node_and_none_comes_back(coordinated):
    found, kind = coordinated
    traffic = found.outcomes["pricing"].traffic
    assert traffic.messages == 1 + 2
    assert all(name.startswith("down") for name in traffic.fields)
    assert ("down: planned" in traffic.fields) == (kind == "profile")
    assert traffic.bytes > 8 * 2 * 2 * found.tree.horizon.periods


def test_limits_published_to_a_platform_are_kept(coordinated):
    outcome = coordinated[0].outcomes["pricing"]
    for platform, signal in outcome.signals.items():
        assert (outcome.exchange[platform] <= signal.import_limit + 1e-6).all()
        assert (-outcome.exchange[platform] <= signal.export_limit + 1e-6).all()


def test_a_profile_comes_closest_to_the_optimum(tight, winter, economics, fleets):
    published = {s: Pricing(PricingSettings(signal=s, import_export_gap=0.02)) for s in ("price", "profile")}
    cost = {s: day(tight, winter, economics, fleets, mechanism=m).outcomes["pricing"].cost for s, m in published.items()}
    flat = day(tight, winter, economics, fleets).outcomes["flat"].cost
    assert cost["profile"] <= min(cost["price"], flat) + 1e-6


def test_integrated_coordination_needs_no_signal(tight, winter, economics, fleets):
    found = day(tight, winter, economics, fleets, mechanism=Integrated(IntegratedSettings()))
    assert set(found.outcomes) == {"integrated", "flat"}
    assert found.outcomes["integrated"].signals == {}


def test_an_unknown_signal_is_refused_and_those_there_are_are_named():
    with pytest.raises(ValueError, match="'price', 'gap', 'profile', 'probabilistic', 'hedged' or 'envelope'"):
        PricingSettings(signal="smoke")


def test_a_signal_that_pays_more_for_export_than_import_costs_is_refused():
    flat = np.full(3, 0.1)
    sound = Signal(flat, flat, {"network_charge": np.asarray(0.05)}, flat, flat, flat)
    with pytest.raises(ValueError, match=r"export price 0.2 is above import price 0.1 EUR/kWh in period 1; a child would buy and sell without limit"):
        dataclasses.replace(sound, export_price=np.array([0.1, 0.2, 0.1]))
