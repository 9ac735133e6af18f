"""Bilateral contracts by a price-adjusting negotiation over a trade graph.

A contract names seller, buyer, period, energy (a whole number of lots) and a price of a grid. Buyers propose at the lowest price that has not been
refused; a seller keeps the proposals that are best for it and refuses the others, and the price of what is refused rises by at least one step. Every
participant answers with the best it can do with its own devices at the prices it has been offered; it sees its own proposals and contracts and
nothing else. Where contracts are full substitutes for everyone, as they are for inflexible demand, generation and one storage without losses, no
buyer ever wants to withdraw, and the contracts are stable up to the price step in the end. ``stability.examine`` judges every outcome by itself.

Source: Morstyn, Teytelboym and McCulloch, IEEE Trans. Smart Grid 10 (2019) 2026-2035; Hatfield et al., J. Political Economy 121 (2013) 966-1005.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.markets.peer_matching.negotiation_rounds import Book, Owners, run_rounds
from multiscale.markets.peer_matching.participants import Participants, Schedule
from multiscale.markets.peer_matching.storage_response import best_answer
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
    _refuse_arbitrage(participants, graph)
    rng = np.random.default_rng(settings.seed)
    seller, buyer = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
    fee = np.concatenate([graph.fee, graph.fee])[:, None] + participants.fee
    # Edges are looked at in an order drawn by lot, so that ties do not favour anybody by name.
    shuffled = rng.permutation(len(seller))
    seller, buyer, fee = seller[shuffled], buyer[shuffled], fee[shuffled]
    lowest, highest = float(participants.export_price.min()), float(participants.import_price.max())
    levels = int(np.ceil((highest - lowest) / settings.price_step)) + 2
    prices = lowest + settings.price_step * np.arange(levels)
    lots = np.zeros((len(seller), periods, levels), dtype=np.int32)
    frontier, bottom = (np.zeros((len(seller), periods), dtype=np.int32) for _ in range(2))
    most = np.ceil((np.abs(participants.net_demand).sum(axis=0) + participants.power.sum()) / settings.lot).astype(np.int64)
    if most.max(initial=0) * 2 > np.iinfo(np.int32).max:
        raise ValueError(
            f"negotiation: lots of {settings.lot:g} kWh are too small for {most.max() * settings.lot:g} kWh in a period; enlarge the lot"
        )
    at = *_by_participant(seller, count), *_by_participant(buyer, count)
    book = Book(seller, buyer, fee, *at, prices, lots, frontier, bottom, np.ones(count, dtype=bool), settings.lot, most)
    owners = Owners(*(np.array(getattr(participants, name), dtype=float, order="C") for name in Owners._fields))
    rounds, messages, ended = run_rounds(owners, book, rng.permutation(count), settings.rounds)
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
    net, base, low, high = (
        np.array(v, dtype=float, order="C") for v in (participants.net_demand, bought, participants.export_price, participants.import_price)
    )
    for i in range(count):
        best_answer(
            net[i], base[i], low[i], high[i], none, none, np.zeros(periods, dtype=np.int64), participants.storage[i], participants.power[i],
            participants.start[i], participants.efficiency[i], participants.wear[i], stored[i],
        )  # fmt: skip
    efficiency = participants.efficiency[:, None]
    need = participants.net_demand + np.where(stored > 0.0, stored / efficiency, stored * efficiency) - bought
    level = participants.start[:, None] + np.cumsum(stored, axis=1)
    return Schedule(stored, level, np.maximum(need, 0.0), np.maximum(-need, 0.0))


def _refuse_arbitrage(participants: Participants, graph: TradeGraph) -> None:
    """Two suppliers between which energy would be carried without limit state no problem.

    Raises:
        ValueError: names both participants, the prices and the period.
    """
    for t in range(participants.net_demand.shape[1]) if len(graph) else ():
        source, outlet = int(participants.import_price[:, t].argmin()), int(participants.export_price[:, t].argmax())
        low, high = participants.import_price[source, t], participants.export_price[outlet, t]
        if source != outlet and low + graph.fee.min() + participants.fee[t] < high - 1e-9:
            prices = f"{str(participants.names[source])!r} imports at {low:g}, {str(participants.names[outlet])!r} exports at {high:g} EUR/kWh"
            raise ValueError(
                f"negotiation, period {t}: {prices}: carrying energy from one supplier to the other would earn without limit; correct them"
            )


def _by_participant(side: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Beginning of the edges of every participant, and the edges in that order."""
    return np.concatenate([[0], np.cumsum(np.bincount(side, minlength=count))]), np.argsort(side, kind="stable")
