"""The rounds of a price-adjusting negotiation, compiled: who answers, what is refused, what is proposed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from multiscale.markets.peer_matching.storage_response import best_answer

SAME_PRICE = 1e-9
"""Difference of prices that is rounding [EUR/kWh]."""
PART_OF_LOT = 1e-6
"""Share of a lot that is rounding [1]."""


class Owners(NamedTuple):
    """Arrays of ``Participants``."""

    net_demand: np.ndarray
    import_price: np.ndarray
    export_price: np.ndarray
    storage: np.ndarray
    power: np.ndarray
    start: np.ndarray
    efficiency: np.ndarray
    wear: np.ndarray


class Book(NamedTuple):
    """Directed edges, and what is proposed and held on them.

    Attributes:
        seller, buyer: (edge,).
        fee: [EUR/kWh], (edge, period).
        sale_at, sales: beginning of the edges on which each participant sells, and these edges in that order; the same for purchases.
        prices: the grid [EUR/kWh], (level,).
        lots: energy proposed and not refused, (edge, period, level).
        frontier: lowest level at which more may be proposed, (edge, period).
        bottom: no lots are below this level, (edge, period).
        waiting: who has something to answer, (participant,).
        lot: [kWh].
        most: lots beyond which no trade makes sense: all the energy there can be, (period,).
    """

    seller: np.ndarray
    buyer: np.ndarray
    fee: np.ndarray
    sale_at: np.ndarray
    sales: np.ndarray
    purchase_at: np.ndarray
    purchases: np.ndarray
    prices: np.ndarray
    lots: np.ndarray
    frontier: np.ndarray
    bottom: np.ndarray
    waiting: np.ndarray
    lot: float
    most: np.ndarray


@njit(cache=True)
def run_rounds(owners: Owners, book: Book, order: np.ndarray, most: int) -> tuple[int, int, bool]:
    """All whose offers have changed answer, round after round, until none has anything to answer; rounds, messages, and whether it has ended."""
    messages = 0
    for rounds in range(1, most + 1):
        busy = False
        for i in order:
            if book.waiting[i]:
                book.waiting[i] = False
                busy = True
                messages += _answer(i, owners, book)
        if not busy:
            return rounds, messages, True
    return most, messages, False


@njit(cache=True)
def _answer(i: int, owners: Owners, book: Book) -> int:
    """One participant refuses what it does not want to sell and proposes what it wants to buy; returns the messages it has sent.

    With a refusal goes the lowest price at which it could be otherwise now. Prices only rise, so that nothing below is worth proposing later either.
    """
    lots, frontier, bottom, prices, lot = book.lots, book.frontier, book.bottom, book.prices, book.lot
    periods, levels = owners.net_demand.shape[1], len(prices)
    sales = book.sales[book.sale_at[i] : book.sale_at[i + 1]]
    purchases = book.purchases[book.purchase_at[i] : book.purchase_at[i + 1]]
    most = 1
    for t in range(periods):
        n = 0
        for d in sales:
            while bottom[d, t] < frontier[d, t] and lots[d, t, bottom[d, t]] == 0:
                bottom[d, t] += 1
            n += max(min(frontier[d, t], levels - 1) - bottom[d, t] + 1, 0)
        most = max(most, n)
    price, energy = np.zeros((periods, most)), np.zeros((periods, most))
    edge_of, level_of = np.zeros((periods, most), dtype=np.int64), np.zeros((periods, most), dtype=np.int64)
    count = np.zeros(periods, dtype=np.int64)
    base, high, best = np.zeros(periods), owners.import_price[i].copy(), np.full(periods, -1)
    messages = 0
    for t in range(periods):
        for d in purchases:
            held = 0
            for level in range(bottom[d, t], min(frontier[d, t] + 1, levels)):
                held += lots[d, t, level]
            if frontier[d, t] < levels and held < book.most[t]:
                cost = prices[frontier[d, t]] + book.fee[d, t]
                if cost < owners.export_price[i, t] - SAME_PRICE:
                    # The own supplier pays more than the peer asks: all there is, to be sold on.
                    lots[d, t, frontier[d, t]] += book.most[t] - held
                    held = book.most[t]
                    book.waiting[book.seller[d]] = True
                    messages += 1
                elif cost < high[t] - SAME_PRICE:
                    high[t], best[t] = cost, d
            base[t] += lot * held
        for d in sales:
            for level in range(bottom[d, t], min(frontier[d, t] + 1, levels)):
                if lots[d, t, level] > 0:
                    if prices[level] < owners.export_price[i, t] - SAME_PRICE:
                        messages += 1
                        _refuse(book, d, t, level, lots[d, t, level], level + 1)
                    else:
                        base[t] -= lot * lots[d, t, level]
                        # What only passes through has to earn something: else it could go round in a circle.
                        if prices[level] < high[t] + SAME_PRICE:
                            k = count[t]
                            while k > 0 and level_of[t, k - 1] > level:
                                edge_of[t, k], level_of[t, k] = edge_of[t, k - 1], level_of[t, k - 1]
                                k -= 1
                            edge_of[t, k], level_of[t, k] = d, level
                            count[t] += 1
        for k in range(count[t]):
            price[t, k], energy[t, k] = prices[level_of[t, k]], lot * lots[edge_of[t, k], t, level_of[t, k]]
    stored = np.zeros(periods)
    best_answer(
        owners.net_demand[i], base, owners.export_price[i], high, price, energy, count, owners.storage[i], owners.power[i], owners.start[i],
        owners.efficiency[i], owners.wear[i], stored,
    )  # fmt: skip
    for t in range(periods):
        grid = stored[t] / owners.efficiency[i] if stored[t] > 0.0 else stored[t] * owners.efficiency[i]
        missing = owners.net_demand[i, t] + grid - base[t]
        left, last = missing, 0
        for k in range(count[t]):
            if left <= lot * PART_OF_LOT:
                break
            left -= energy[t, k]
            last = level_of[t, k]
        if left > lot * PART_OF_LOT:
            while last < levels and prices[last] < high[t] - SAME_PRICE:
                last += 1
        for k in range(count[t]):
            d, level = edge_of[t, k], level_of[t, k]
            refused = min(lots[d, t, level], int(np.ceil(missing / lot - PART_OF_LOT)))
            if refused <= 0:
                break
            missing -= lot * refused
            messages += 1
            _refuse(book, d, t, level, refused, max(level + 1, last))
        wanted = min(int(np.floor(missing / lot + PART_OF_LOT)), book.most[t])
        if best[t] >= 0 and wanted > 0:
            lots[best[t], t, frontier[best[t], t]] += wanted
            book.waiting[book.seller[best[t]]] = True
            messages += 1
    return messages


@njit(cache=True)
def _refuse(book: Book, d: int, t: int, level: int, refused: int, ask: int) -> None:
    """Give energy back to the buyer, which will have to propose at ``ask`` for it."""
    book.lots[d, t, level] -= refused
    book.frontier[d, t] = max(book.frontier[d, t], ask)
    book.waiting[book.buyer[d]] = True
