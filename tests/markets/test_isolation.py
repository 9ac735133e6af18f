"""Orders and members that cannot be taken: every market names them, leaves them to the supplier, and the others trade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.markets import MARKETS, PositionError
from multiscale.markets.pricing import PRICING
from tests.markets.test_matched import state

EVERY = [(kind, {}) for kind in MARKETS] + [(kind, {"pricing": {"kind": rule}}) for kind in ("community", "hybrid", "multiclass") for rule in PRICING]


def faulty(seed=5):
    """Members with orders that are not numbers or negative, in all periods and in one."""
    rng = np.random.default_rng(seed)
    shape = state(seed).net.shape
    bid, offer = np.full(shape, 0.1), np.full(shape, 0.07)
    bid[2], offer[3], bid[5, 1], offer[6, 2] = np.nan, -0.2, np.inf, np.nan
    more = {name: np.abs(rng.normal(size=shape)) for name in ("generation", "demand")}
    return state(seed, bid=bid, offer=offer, bus=np.array(["a", "b"])[np.arange(shape[0]) % 2].astype(object), **more)


@pytest.mark.parametrize(("kind", "settings"), EVERY, ids=str)
def test_members_with_orders_that_cannot_be_taken_are_named_and_the_others_trade(kind, settings):
    positions = faulty()
    found = MARKETS[kind](**settings).settled(positions)
    trades, local = found.trades, found.trades.local
    assert trades.energy_residual(positions.net) <= 1e-9
    assert trades.money_residual() <= 1e-12
    wrong = np.zeros(positions.net.shape, dtype=bool)
    wrong |= (positions.net > 0) & ~np.isfinite(positions.bid)
    wrong |= (positions.net < 0) & ~(np.isfinite(positions.offer) & (positions.offer >= 0))
    for side in (trades.seller, trades.buyer):
        assert not wrong[side[local], trades.period[local]].any()
    assert kind == "time_of_use" or local.any()
    named = {k for k in range(len(positions.members)) if any(f"member 'm{k}'" in note for note in found.notes)}
    assert named == set(np.flatnonzero(wrong.any(axis=1)).tolist())
    assert any("offer of -0.2 EUR/kWh" in note and "trades with its supplier alone" in note for note in found.notes)
    # They pay what they would pay alone.
    alone = positions.retail * positions.taken - positions.feed_in * positions.delivered
    outside = trades.paid()[:-1]
    if kind not in ("time_of_use", "dispatch"):
        np.testing.assert_allclose(outside[wrong], alone[wrong], atol=1e-12)


def test_a_negative_offer_is_taken_where_the_supplier_charges_for_energy():
    positions = faulty()
    offer = np.where(np.isfinite(positions.offer), positions.offer, 0.0)
    given = {"feed_in": np.full(len(positions.periods), -0.3), "offer": offer, "bid": np.full(offer.shape, 0.1)}
    assert MARKETS["auction"]().settled(replace(positions, **given)).notes == ()


@pytest.mark.parametrize("kind", MARKETS)
def test_an_order_may_be_anything_where_its_member_has_nothing_to_trade(kind):
    more = {"generation": np.abs(state(5).net), "demand": np.abs(state(5).net), "bus": np.full(len(state(5).members), "a", dtype=object)}
    net = state(5).net
    given = {"bid": np.full(net.shape, 0.1), "offer": np.full(net.shape, 0.07)}
    open_ = {"bid": np.where(net > 0.0, 0.1, np.nan), "offer": np.where(net < 0.0, 0.07, np.nan)}
    found, same = (MARKETS[kind]().settled(state(5, **orders, **more)) for orders in (open_, given))
    assert found.notes == same.notes
    np.testing.assert_array_equal(found.trades.paid(), same.trades.paid())


def test_cleared_without_isolation_names_the_order():
    with pytest.raises(PositionError, match=r"bid of m2 in \d is nan; give a finite number, or clear with market.settled"):
        MARKETS["auction"]().clear(faulty())


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_a_member_without_a_bus_belongs_to_no_community_and_is_named(missing):
    buses = np.array(["a", "b"])[np.arange(14) % 2].astype(object)
    buses[[4, 7]] = missing
    positions = state(3, bus=buses)
    found = MARKETS["hybrid"]().settled(positions)
    local = found.trades.local
    assert not np.isin(found.trades.seller[local], (4, 7)).any()
    assert not np.isin(found.trades.buyer[local], (4, 7)).any()
    assert local.any()
    assert found.trades.energy_residual(positions.net) <= 1e-9
    assert len(found.notes) == 2
    assert found.notes[0].startswith("member 'm4': bus is missing")
