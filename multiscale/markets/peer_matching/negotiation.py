"""Bilateral contracts by a price-adjusting negotiation over a trade graph.

A contract names seller, buyer, period, energy (a whole number of lots) and a price of a grid. Buyers propose at the lowest price that has not been refused;
a seller keeps the proposals that are best for it and refuses the others, and the price of what is refused rises by one step. Every participant answers
with the best it can do with its own devices at the prices it has been offered; it sees its own proposals and contracts and nothing else. Where contracts
are full substitutes for everyone (they are with inflexible demand, generation and one storage) proposals are never withdrawn, and the process ends with
contracts that are stable up to the price step.

Source: Morstyn, Teytelboym and McCulloch, IEEE Trans. Smart Grid 10 (2019) 2026-2035; Hatfield et al., J. Political Economy 121 (2013) 966-1005.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from multiscale.markets.peer_matching.participants import Participants, Schedule
from multiscale.markets.peer_matching.storage_response import NOTHING, best_answer
from multiscale.markets.peer_matching.trade_graph import TradeGraph


@dataclass(frozen=True)
class NegotiationSettings:
    """Rules of the negotiation.

    Attributes:
        price_step: by which the price of refused energy rises [EUR/kWh].
        lot: smallest energy of a contract [kWh].
        rounds: largest number of rounds.
        seed: of the order in which participants answer, and of ties between equal prices.
    """

    price_step: float = 0.0025
    lot: float = 0.0001
    rounds: int = 20000
    seed: int = 1


@dataclass(frozen=True)
class Contracts:
    """Contracts, one row for each seller, buyer, period and price.

    Attributes:
        seller, buyer, period: positions, (contract,).
        energy: [kWh], (contract,).
        price: what the buyer pays to the seller [EUR/kWh], (contract,); the buyer pays the fee of the edge on top.
        fee: [EUR/kWh], (contract,).
    """

    seller: np.ndarray
    buyer: np.ndarray
    period: np.ndarray
    energy: np.ndarray
    price: np.ndarray
    fee: np.ndarray

    def net(self, participants: int, periods: int) -> np.ndarray:
        """Energy bought less sold [kWh], (participant, period)."""
        total = np.zeros((participants, periods))
        np.add.at(total, (self.buyer, self.period), self.energy)
        np.add.at(total, (self.seller, self.period), -self.energy)
        return total

    def payments(self, participants: int) -> np.ndarray:
        """What each pays for its contracts less what it receives, fees included [EUR], (participant,)."""
        paid = np.bincount(self.buyer, self.energy * (self.price + self.fee), minlength=participants)
        return paid - np.bincount(self.seller, self.energy * self.price, minlength=participants)


@dataclass(frozen=True)
class Negotiated:
    """Outcome of a negotiation.

    Attributes:
        contracts: what is agreed.
        schedule: what everyone does under its contracts, the best it can.
        cost: of all together, fees included [EUR]; payments between participants cancel.
        rounds: rounds of answers.
        messages: proposals and refusals sent.
        ended: whether everybody was content, before the largest number of rounds.
    """

    contracts: Contracts
    schedule: Schedule
    cost: float
    rounds: int
    messages: int
    ended: bool


def negotiate(participants: Participants, graph: TradeGraph, settings: NegotiationSettings = NegotiationSettings()) -> Negotiated:
    """Negotiate contracts for all periods at once (a forward market; for a real-time market, one period with what has come out otherwise).

    Args:
        participants: who trades; the peers of ``graph`` in the same order.
        graph: who may trade with whom, and at which fee.
        settings: rules.

    Raises:
        ValueError: data that state no problem, or a graph of other peers.
    """
    participants.check()
    if not np.array_equal(graph.peers.astype(str), participants.names.astype(str)):
        raise ValueError("negotiation: the peers of the trade graph are not the participants in their order; build the graph from their names")
    count, periods = participants.net_demand.shape
    rng = np.random.default_rng(settings.seed)
    seller, buyer = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
    fee = np.concatenate([graph.fee, graph.fee])[:, None] + participants.fee
    # Edges are looked at in an order drawn by lot, so that ties do not favour anybody by name.
    shuffled = rng.permutation(len(seller))
    seller, buyer, fee = seller[shuffled], buyer[shuffled], np.ascontiguousarray(fee[shuffled])
    lowest, highest = float(participants.export_price.min()), float(participants.import_price.max())
    levels = int(np.ceil((highest - lowest) / settings.price_step)) + 2
    prices = lowest + settings.price_step * np.arange(levels)
    lots = np.zeros((len(seller), periods, levels), dtype=np.int32)
    frontier, bottom = (np.zeros((len(seller), periods), dtype=np.int32) for _ in range(2))
    sides = [_by_participant(side, count) for side in (seller, buyer)]
    rounds, messages, ended = _run(
        participants.net_demand, participants.import_price, participants.export_price, participants.storage, participants.power, participants.start,
        participants.efficiency, participants.wear, seller, buyer, fee, *sides[0], *sides[1], prices, lots, frontier, bottom, rng.permutation(count),
        settings.lot, settings.rounds,
    )  # fmt: skip
    edge, period, level = np.nonzero(lots)
    energy = settings.lot * lots[edge, period, level]
    contracts = Contracts(seller[edge], buyer[edge], period, energy, prices[level], fee[edge, period])
    schedule = best_schedule(participants, contracts.net(count, periods))
    cost = float(schedule.cost(participants).sum() + (contracts.energy * contracts.fee).sum())
    return Negotiated(contracts, schedule, cost, rounds, messages, ended)


def best_schedule(participants: Participants, bought: np.ndarray) -> Schedule:
    """The best that each participant can do by itself with what it has bought less sold [kWh], (participant, period)."""
    count, periods = participants.net_demand.shape
    stored, none = np.zeros((count, periods)), np.zeros((periods, 1))
    for i in range(count):
        best_answer(
            participants.net_demand[i], np.ascontiguousarray(bought[i]), participants.export_price[i], participants.import_price[i], none, none,
            np.zeros(periods, dtype=np.int64), participants.storage[i], participants.power[i], participants.start[i], participants.efficiency[i],
            participants.wear[i], stored[i],
        )  # fmt: skip
    efficiency = participants.efficiency[:, None]
    need = participants.net_demand + np.where(stored > 0.0, stored / efficiency, stored * efficiency) - bought
    level = participants.start[:, None] + np.cumsum(stored, axis=1)
    return Schedule(stored, level, np.maximum(need, 0.0), np.maximum(-need, 0.0))


def _by_participant(side: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Beginning of the edges of every participant, and the edges in that order."""
    return np.concatenate([[0], np.cumsum(np.bincount(side, minlength=count))]), np.argsort(side, kind="stable")


@njit(cache=True)
def _run(
    net, imp, exp, capacity, power, start, efficiency, wear, seller, buyer, fee, out_at, out_edges, in_at, in_edges, prices, lots, frontier, bottom, order,
    lot, most_rounds,
):  # fmt: skip  # noqa: ANN001, ANN202
    """Everybody whose offers have changed answers, round after round, until nobody has anything to answer."""
    count, periods = net.shape
    waiting = np.ones(count, dtype=np.bool_)
    messages = 0
    for rounds in range(1, most_rounds + 1):
        busy = False
        for i in order:
            if waiting[i]:
                waiting[i] = False
                busy = True
                messages += _answer(
                    i, net[i], imp[i], exp[i], capacity[i], power[i], start[i], efficiency[i], wear[i], seller, buyer, fee,
                    out_edges[out_at[i] : out_at[i + 1]], in_edges[in_at[i] : in_at[i + 1]], prices, lots, frontier, bottom, lot, waiting,
                )  # fmt: skip
        if not busy:
            return rounds, messages, True
    return most_rounds, messages, False


@njit(cache=True)
def _answer(
    i, net, imp, exp, capacity, power, start, efficiency, wear, seller, buyer, fee, sales, purchases, prices, lots, frontier, bottom, lot, waiting
):  # noqa: ANN001, ANN202
    """One participant refuses what it does not want to sell and proposes what it wants to buy; returns the messages it has sent.

    With a refusal goes the lowest price at which it could be otherwise now. Prices only rise, so that nothing below is worth proposing later either.
    """
    periods, levels = len(net), len(prices)
    most = 1
    for t in range(periods):
        n = 0
        for d in sales:
            while bottom[d, t] < frontier[d, t] and lots[d, t, bottom[d, t]] == 0:
                bottom[d, t] += 1
            n += min(frontier[d, t], levels - 1) - bottom[d, t] + 1
        most = max(most, n)
    price, energy = np.zeros((periods, most)), np.zeros((periods, most))
    edge_of, level_of = np.zeros((periods, most), dtype=np.int64), np.zeros((periods, most), dtype=np.int64)
    count = np.zeros(periods, dtype=np.int64)
    base, high, best = np.zeros(periods), imp.copy(), np.full(periods, -1)
    messages = 0
    for t in range(periods):
        for d in purchases:
            for level in range(bottom[d, t], min(frontier[d, t] + 1, levels)):
                base[t] += lot * lots[d, t, level]
            if frontier[d, t] < levels:
                cost = prices[frontier[d, t]] + fee[d, t]
                if cost < high[t] - 1e-9:
                    high[t], best[t] = cost, d
        for d in sales:
            for level in range(bottom[d, t], min(frontier[d, t] + 1, levels)):
                if lots[d, t, level] > 0:
                    if prices[level] < exp[t] - 1e-9:
                        messages += 1
                        _refuse(d, t, level, lots[d, t, level], level + 1, lots, frontier, buyer, waiting)
                    else:
                        base[t] -= lot * lots[d, t, level]
                        if prices[level] < high[t] - 1e-9:
                            k = count[t]
                            while k > 0 and level_of[t, k - 1] > level:
                                edge_of[t, k], level_of[t, k] = edge_of[t, k - 1], level_of[t, k - 1]
                                k -= 1
                            edge_of[t, k], level_of[t, k] = d, level
                            count[t] += 1
        for k in range(count[t]):
            price[t, k], energy[t, k] = prices[level_of[t, k]], lot * lots[edge_of[t, k], t, level_of[t, k]]
    stored = np.zeros(periods)
    best_answer(net, base, exp, high, price, energy, count, capacity, power, start, efficiency, wear, stored)
    for t in range(periods):
        grid = stored[t] / efficiency if stored[t] > 0.0 else stored[t] * efficiency
        missing = net[t] + grid - base[t]
        left, last = missing, 0
        for k in range(count[t]):
            if left <= lot * 1e-6:
                break
            left -= energy[t, k]
            last = level_of[t, k]
        if left > lot * 1e-6:
            while last < levels and prices[last] < high[t] - 1e-9:
                last += 1
        for k in range(count[t]):
            refused = min(lots[edge_of[t, k], t, level_of[t, k]], int(np.ceil(missing / lot - 1e-6)))
            if refused <= 0:
                break
            missing -= lot * refused
            messages += 1
            _refuse(edge_of[t, k], t, level_of[t, k], refused, max(level_of[t, k] + 1, last), lots, frontier, buyer, waiting)
        wanted = int(np.floor(missing / lot + 1e-6))
        if best[t] >= 0 and wanted > 0:
            d = best[t]
            lots[d, t, frontier[d, t]] += wanted
            waiting[seller[d]] = True
            messages += 1
    return messages


@njit(cache=True)
def _refuse(d, t, level, refused, ask, lots, frontier, buyer, waiting):  # noqa: ANN001, ANN202
    """Give energy back to the buyer, which will have to propose at ``ask`` for it."""
    lots[d, t, level] -= refused
    frontier[d, t] = max(frontier[d, t], ask)
    waiting[buyer[d]] = True
