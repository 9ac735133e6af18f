"""Positions of members matched in proportion: everyone trades the same share with peers, the rest with the supplier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.markets.positions import Positions
from multiscale.markets.trades import Trades

SAME_STEP = 1e-12
"""Share of the energy of a period below which two ends of running sums differ by rounding alone."""


@dataclass(frozen=True)
class MemberPrices:
    """What members pay and receive per kWh in all [EUR/kWh], each broadcast to (member, period).

    Attributes:
        purchase, sale: of energy traded with peers: what a buyer pays, and what a seller receives.
        retail, feed_in: the same of energy traded with the supplier.
    """

    purchase: np.ndarray
    sale: np.ndarray
    retail: np.ndarray
    feed_in: np.ndarray


def proportional_trades(positions: Positions, prices: MemberPrices) -> Trades:
    """Trades in which every buyer buys the same share of its demand from peers, and every seller sells the same share of its supply to them.

        with B = sum_i taken_i, G = sum_i delivered_i:   local purchase_i = taken_i min(1, G/B),   local sale_i = delivered_i min(1, B/G)

    Who is paired with whom is a convention without effect on any bill. Buyers and sellers are paired in their order, the buyers' beginning one
    further in every period, so that a period has fewer trades than members.
    """
    shape = positions.net.shape
    local = np.minimum(positions.taken.sum(axis=0), positions.delivered.sum(axis=0))
    pairs = [_paired(positions.delivered[:, t], positions.taken[:, t], float(local[t]), t) for t in np.flatnonzero(local > 0).tolist()]
    counts = np.array([len(energy) for _, _, energy in pairs], dtype=np.int64)
    seller, buyer, energy = (np.concatenate([np.zeros(0), *(pair[k] for pair in pairs)]) for k in range(3))
    seller, buyer = seller.astype(np.int64), buyer.astype(np.int64)
    period = np.repeat(np.flatnonzero(local > 0), counts)
    purchase, sale = np.broadcast_to(prices.purchase, shape), np.broadcast_to(prices.sale, shape)
    inner = _rows(positions, period, seller, buyer, energy, sale[seller, period], 0.0, purchase[buyer, period] - sale[seller, period])
    return Trades.joined([inner, outside_trades(positions, prices, local)])


def outside_trades(positions: Positions, prices: MemberPrices, local: np.ndarray) -> Trades:
    """What members trade with the supplier, at its prices; what they pay or receive otherwise is a fee.

    Args:
        positions: of the members.
        prices: what members pay and receive.
        local: energy that is traded between members [kWh], (period,), the same share of all who take, and of all who deliver.
    """
    outside, shape, found = len(positions.members), positions.net.shape, []
    for energy, takes in ((positions.taken, True), (positions.delivered, False)):
        total = energy.sum(axis=0)
        share = np.divide(total - local, total, out=np.zeros_like(total), where=total > local)
        member, period = np.nonzero(energy * share)
        amount, other = (energy * share)[member, period], np.full(len(member), outside)
        if takes:
            price = positions.import_price[period]
            found.append(_rows(positions, period, other, member, amount, price, 0.0, np.broadcast_to(prices.retail, shape)[member, period] - price))
        else:
            price = positions.export_price[period]
            found.append(_rows(positions, period, member, other, amount, price, price - np.broadcast_to(prices.feed_in, shape)[member, period], 0.0))
    return Trades.joined(found)


def _rows(positions: Positions, period: np.ndarray, seller: np.ndarray, buyer: np.ndarray, energy: np.ndarray, *prices: np.ndarray | float) -> Trades:
    money = [np.broadcast_to(np.asarray(price, dtype=float), energy.shape) for price in prices]
    return Trades(positions.members, positions.periods, ("energy",), period, seller, buyer, np.zeros(len(energy)), energy, *money)


def _paired(delivered: np.ndarray, taken: np.ndarray, local: float, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sellers, buyers and energies of the trades of one period, by the steps of both running sums."""
    sellers, buyers = np.flatnonzero(delivered), np.roll(np.flatnonzero(taken), -first)
    ends = []
    for amount in (delivered[sellers], taken[buyers]):
        end = np.cumsum(amount) * (local / amount.sum())
        end[-1] = local
        ends.append(end)
    steps = np.unique(np.concatenate(ends))
    steps = steps[np.append(np.diff(steps) > SAME_STEP * local, True)]
    energy = np.diff(steps, prepend=0.0)
    middle = steps - energy / 2
    return sellers[np.searchsorted(ends[0], middle)], buyers[np.searchsorted(ends[1], middle)], energy
