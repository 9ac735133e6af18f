"""Platforms of many prosumers answer prices by the batched solution, where that is exact, with the same bounds and profiles."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children import batched_child
from multiscale.coordination.negotiation.children.batched_child import BatchedChild, as_batched
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild
from multiscale.coordination.negotiation.children.request import Request
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.markets import Community
from multiscale.operation import operating_tree
from multiscale.operation.platforms import PlatformData
from multiscale.system import Economics
from multiscale.tariffs import Capacity, Peer, Tariff, Volumetric
from tests.markets.random_fleets import prices, random_fleet
from tests.variants import charged

FEE = Tariff({"network_charge": Volumetric(), "trading_fee": Peer(price=0.01, receiver="platform operators")})
FREE = Tariff({"network_charge": Volumetric(), "levy": Volumetric(price=0.1, receiver="supplier and state")})
CHARGE = {"network_charge": np.array(0.05)}


@pytest.fixture(scope="module")
def many():
    return PlatformData(random_fleet(320, 12, seed=9), Economics(tariff=FEE), Community())


def test_bounds_and_profiles_are_those_of_the_program(many):
    hours, source = many.fleet.horizon.hours_per_year, PlatformSource(many, CHARGE)
    child = source.child(hours)
    assert isinstance(child, BatchedChild)
    asked = np.array([prices(12)[0], prices(12)[1], np.linspace(0.05, 0.3, 12)])
    request = Request(1, asked)
    reply, exact = child.answer(request, asked[0]), ProgramChild(source.reduced(), hours).answer(request, asked[0])
    offered = reply.costs + np.einsum("kt,t,kt->k", asked, hours, reply.profiles)
    assert (reply.values <= exact.values * (1 + 1e-9)).all()
    assert (offered >= exact.values * (1 - 1e-9)).all()
    np.testing.assert_allclose(reply.values, exact.values, rtol=2e-7)
    np.testing.assert_allclose(offered, exact.values, rtol=2e-7)
    assert reply.engine == "batched"
    # What it offers can be operated at no more than the cost it states.
    settled = ProgramChild(source.whole(), hours).settle(Kept(reply.profiles[0], asked[0], asked[0]))
    assert settled.cost <= reply.costs[0] + 1e-6 * abs(reply.costs[0])


@pytest.mark.parametrize(
    ("tariff", "several", "owning"),
    [(FEE, False, None), (FREE, True, None), (FEE, True, None), (FEE, False, [])],
    ids=["fee, one device each", "no fee, several devices", "fee, several devices", "fee, no device"],
)
def test_a_profile_is_kept_as_the_program_keeps_it(tariff, several, owning):
    """An offer, and a mix of two: schedules that the ordinary program accepts, at its least cost, with duals that prove it."""
    data = PlatformData(random_fleet(40, 12, seed=2, several=several, owning=owning), Economics(tariff=tariff), Community())
    source, hours = PlatformSource(data, CHARGE), data.fleet.horizon.hours_per_year
    child, asked = as_batched(data, CHARGE, source.whole), np.array([prices(12)[0], np.linspace(0.05, 0.3, 12)])
    reply, whole = child.answer(Request(1, asked), asked[0]), source.whole()
    for share in (1.0, 0.6):
        profile = share * reply.profiles[0] + (1.0 - share) * reply.profiles[1]
        kept = Kept(profile, asked[0], asked[0], asked=asked)
        found, exact = child.settle(kept, asked[0]), ProgramChild(whole, hours).settle(kept)
        assert found.engine == "batched"
        assert whole.violation(found.x, np.zeros(0)) <= 1e-6
        assert np.abs(found.exchange - profile).max() <= 1e-6 * (1.0 + np.abs(profile).max())
        said = share * reply.costs[0] + (1.0 - share) * reply.costs[1]
        assert exact.cost - 0.2 <= found.cost <= said + 0.2
        assert found.cost == pytest.approx(whole.c0 @ found.x + whole.d0)
        assert found.least == pytest.approx(exact.least, rel=1e-6)
        # With the profile priced, the duals bound the cost of everything the platform can do from below, and nearly reach it.
        price = -whole.rows.values("pool", found.y) / hours
        taken = np.where(profile > 0, asked[0] + child.pool.terms.taken, asked[0] - child.pool.terms.given)
        priced = dataclasses.replace(whole, c0=whole.c0 - whole.outputs["exchange"].matrix.T @ (hours * (taken - asked[0] - price)))
        worth = priced.dual_bound(found.y, np.zeros(0)) + float(hours * (taken - asked[0] - price) @ found.exchange)
        assert found.cost - 1e-3 * abs(found.cost) <= worth <= exact.cost + 0.2


def test_where_it_has_no_answer_the_program_answers_and_says_so():
    """At a price far below zero batteries would burn energy."""
    data = PlatformData(random_fleet(40, 12, seed=1, owning=["battery"]), Economics(tariff=FREE), Community())
    source, hours = PlatformSource(data, CHARGE), data.fleet.horizon.hours_per_year
    low = np.full((1, 12), -3.0)
    reply = as_batched(data, CHARGE, source.whole).answer(Request(1, low), prices(12)[0])
    exact = ProgramChild(source.whole(), hours).answer(Request(1, low), prices(12)[0])
    assert reply.engine.startswith("program (member 'p")
    np.testing.assert_allclose(reply.values, exact.values)
    np.testing.assert_allclose(reply.profiles, exact.profiles)


def at(charge):
    return {"network_charge": np.asarray(charge)}


def refusal(data, charge):
    found = as_batched(data, charge, PlatformSource(data, charge).whole)
    return found if isinstance(found, str) else ""


def test_only_where_it_is_exact(many):
    assert not refusal(many, at(0.05))
    assert not refusal(dataclasses.replace(many, fleet=random_fleet(320, 12, seed=9, several=True)), at(0.05))
    peak = dataclasses.replace(many, economics=Economics(tariff=Tariff({"peak": Capacity(price=10.0)})))
    assert "'peak' couples periods" in refusal(peak, at(0.05))
    assert "20 prosumers" in refusal(dataclasses.replace(many, fleet=random_fleet(20, 12, seed=9)), at(0.05))
    # At a charge below the fee on trade, power would be imported and exported again to earn it.
    assert "fee on trade" in refusal(many, at(0.005))


def test_a_tree_agrees_on_the_same_optimum(system, winter, fleets, monkeypatch):
    monkeypatch.setattr(batched_child, "MANY", 1)
    answered = []
    answer = BatchedChild.answer
    monkeypatch.setattr(BatchedChild, "answer", lambda self, *given: answered.append(self.data.fleet.node) or answer(self, *given))
    tree = operating_tree(system, winter, Economics(tariff=FREE), fleets, charged(system.at_level("dso"), 0.05), Community())
    optimum = integrated_optimum(tree, tolerance=1e-9)
    negotiated = negotiation_of(tree, SerialEngine(), NegotiationOptions(gap=1e-5, rounds=40))
    agreement = negotiated.run()
    outcome = outcome_of(negotiated, agreement)
    assert len(set(answered)) >= 2
    engines = {c: b.negotiation.state.engines[c] for b in negotiated.branches.values() for c in b.parent.names}
    assert {c for c, engine in engines.items() if engine == "batched"} == set(answered)
    assert all(engine.startswith("program (") for c, engine in engines.items() if c not in answered)
    # Their networks stand in their programs, with one zone where they bind nowhere.
    assert any("balance" in tree.platforms[c].rows for c in answered)
    assert {negotiated.settled[c].engine for c in answered} == {"batched"}
    assert agreement.status == "agreed"
    assert outcome.cost == pytest.approx(optimum.cost, rel=1e-5)
    assert outcome.bound <= optimum.cost * (1 + 1e-9)
