"""Positions of members matched in proportion: everyone trades the same share with peers, the rest with the supplier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.markets.positions import METER_RESOLUTION, Positions
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


@dataclass(frozen=True)
class Open:
    """Energy that members take and deliver and that is not traded yet [kWh], (member, period)."""

    taken: np.ndarray
    delivered: np.ndarray

    @classmethod
    def all_of(cls, positions: Positions) -> Open:
        """Everything that was metered."""
        return cls(positions.taken, positions.delivered)


def proportional_trades(positions: Positions, prices: MemberPrices) -> Trades:
    """Trades in which every buyer buys the same share of its demand from peers, and every seller sells the same share of its supply to them.

    with B = sum_i taken_i, G = sum_i delivered_i:   local purchase_i = taken_i min(1, G/B),   local sale_i = delivered_i min(1, B/G)
    """
    inner, left = local_trades(positions, Open.all_of(positions), prices)
    return Trades.joined([inner, outside_trades(positions, left, prices)])


def local_trades(
    positions: Positions, offered: Open, prices: MemberPrices, energy_class: int = 0, classes: tuple[str, ...] = ("energy",)
) -> tuple[Trades, Open]:
    """Trades between members in proportion to what is open, and what then is left.

    Who is paired with whom is a convention without effect on any bill. Buyers and sellers are paired in their order, the buyers' beginning one
    further in every period, so that a period has fewer trades than members.

    Args:
        positions: of the members.
        offered: what is traded in proportion; all of the smaller side.
        prices: what members pay and receive.
        energy_class, classes: class of the energy, as a position among the classes.
    """
    shape = positions.net.shape
    totals = offered.taken.sum(axis=0), offered.delivered.sum(axis=0)
    local = np.minimum(*totals)
    traded = np.flatnonzero(local > METER_RESOLUTION)
    pairs = [_paired(offered.delivered[:, t], offered.taken[:, t], float(local[t]), t) for t in traded.tolist()]
    counts = np.array([len(energy) for _, _, energy in pairs], dtype=np.int64)
    seller, buyer, energy = (np.concatenate([np.zeros(0), *(pair[k] for pair in pairs)]) for k in range(3))
    seller, buyer = seller.astype(np.int64), buyer.astype(np.int64)
    period = np.repeat(traded, counts)
    purchase, sale = np.broadcast_to(prices.purchase, shape), np.broadcast_to(prices.sale, shape)
    price = sale[seller, period]
    found = Trades(
        positions.members, positions.periods, classes, period, seller, buyer, np.full(len(energy), energy_class), energy, price,
        np.zeros(len(energy)), purchase[buyer, period] - price,
    )  # fmt: skip
    left = (amount * np.divide(total - local, total, out=np.zeros_like(total), where=total > local)
            for amount, total in zip((offered.taken, offered.delivered), totals, strict=True))  # fmt: skip
    return found, Open(*(np.where(amount > METER_RESOLUTION, amount, 0.0) for amount in left))


def outside_trades(
    positions: Positions, offered: Open, prices: MemberPrices, energy_class: int = 0, classes: tuple[str, ...] = ("energy",)
) -> Trades:
    """What is open traded with the supplier, at its prices; what members pay or receive otherwise is a fee. Arguments as of ``local_trades``."""
    shape, found = positions.net.shape, []
    for energy, takes in ((offered.taken, True), (offered.delivered, False)):
        member, period = np.nonzero(energy > METER_RESOLUTION)
        amount, supplier = energy[member, period], np.full(len(member), len(positions.members))
        in_all = np.broadcast_to(prices.retail if takes else prices.feed_in, shape)[member, period]
        price = (positions.import_price if takes else positions.export_price)[period]
        none, kind = np.zeros(len(member)), np.full(len(member), energy_class)
        seller, buyer = (supplier, member) if takes else (member, supplier)
        fees = (none, in_all - price) if takes else (price - in_all, none)
        found.append(Trades(positions.members, positions.periods, classes, period, seller, buyer, kind, amount, price, fees[0], fees[1]))
    return Trades.joined(found)


def _paired(delivered: np.ndarray, taken: np.ndarray, local: float, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sellers, buyers and energies of the trades of one period, by the steps of both running sums."""
    sellers, buyers = np.flatnonzero(delivered), np.roll(np.flatnonzero(taken), -first)
    ends = []
    for amount in (delivered[sellers], taken[buyers]):
        end = np.cumsum(amount) * (local / amount.sum())
        end[-1] = local
        ends.append(end)
    steps = np.unique(np.concatenate(ends))
    steps = steps[np.append(np.diff(steps) > max(SAME_STEP * local, METER_RESOLUTION), True)]
    energy = np.diff(steps, prepend=0.0)
    middle = steps - energy / 2
    return sellers[np.searchsorted(ends[0], middle)], buyers[np.searchsorted(ends[1], middle)], energy
