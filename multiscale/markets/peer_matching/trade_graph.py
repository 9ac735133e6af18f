"""Who may trade with whom, and what trade between two peers costs: fees, distance, and preferences between classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class TradeGraph:
    """Pairs of peers that may trade with each other, in either direction.

    Attributes:
        peers: names, (peer,).
        first, second: positions of the two peers of every edge, first < second, (edge,).
        fee: cost of every kWh on the edge [EUR/kWh], (edge,), at least zero.
    """

    peers: np.ndarray
    first: np.ndarray
    second: np.ndarray
    fee: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def degree(self) -> np.ndarray:
        """Number of trading partners of every peer."""
        return np.bincount(np.concatenate([self.first, self.second]), minlength=len(self.peers))

    def only(self, chosen: np.ndarray) -> TradeGraph:
        """Some of the edges, given as a mask; all peers."""
        return replace(self, first=self.first[chosen], second=self.second[chosen], fee=self.fee[chosen])

    def with_fee(self, fee: np.ndarray | float) -> TradeGraph:
        """The same graph with other fees [EUR/kWh], (edge,) or one for all."""
        return replace(self, fee=np.broadcast_to(np.asarray(fee, dtype=float), self.first.shape))


@dataclass(frozen=True)
class RefusedEdge:
    """An edge that is not taken, and why.

    Attributes:
        peers: the two names as given.
        reason: field, value, unit, and what to do.
    """

    peers: tuple[str, str]
    reason: str


def read_graph(
    peers: Sequence[str] | np.ndarray, pairs: Sequence[tuple[str, str]], fee: Sequence[float] | np.ndarray | float = 0.0
) -> tuple[TradeGraph, tuple[RefusedEdge, ...]]:
    """The graph of the edges that can be taken, and the others, each with its reason. A peer without an edge stays, and does not trade.

    Args:
        peers: names of all peers.
        pairs: names of the two peers of every edge.
        fee: [EUR/kWh], (edge,) or one for all.

    Raises:
        ValueError: a name of a peer occurs twice.
    """
    names = [str(p) for p in peers]
    at = {name: i for i, name in enumerate(names)}
    if len(at) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"trade graph: peer {repeated!r} occurs more than once; give every peer a name of its own")
    fees = np.broadcast_to(np.asarray(fee, dtype=float), (len(pairs),))
    refused: list[RefusedEdge] = []
    taken: list[tuple[int, int, float]] = []
    seen: set[frozenset[str]] = set()
    for k, (a, b) in enumerate(pairs):
        pair = str(a), str(b)
        where = f"trade graph, edge {k} between {pair[0]!r} and {pair[1]!r}"
        unknown = [name for name in pair if name not in at]
        if unknown:
            reason = f"{where}: peer {unknown[0]!r} does not exist; name one of the {len(names)} peers"
        elif pair[0] == pair[1]:
            reason = f"{where}: a peer cannot trade with itself; remove the edge"
        elif not np.isfinite(fees[k]) or fees[k] < 0.0:
            reason = f"{where}: fee {fees[k]:g} EUR/kWh is not a number of at least 0 EUR/kWh; correct it"
        elif frozenset(pair) in seen:
            reason = f"{where}: occurs more than once; give it once, with one fee"
        else:
            seen.add(frozenset(pair))
            first, second = sorted((at[pair[0]], at[pair[1]]))
            taken.append((first, second, float(fees[k])))
            continue
        refused.append(RefusedEdge(pair, reason))
    ends = np.array([edge[:2] for edge in taken], dtype=int).reshape(-1, 2)
    kept = np.array([edge[2] for edge in taken], dtype=float)
    return TradeGraph(np.array(names, dtype=str), ends[:, 0], ends[:, 1], kept), tuple(refused)


def random_graph(peers: Sequence[str] | np.ndarray, degree: int, seed: int, fee: float = 0.0) -> TradeGraph:
    """A connected graph in which every peer has about ``degree`` partners: closed tours through all peers in an order drawn by lot.

    With ``degree`` of all other peers or more, everyone trades with everyone.
    """
    names = np.asarray(peers, dtype=str)
    n = len(names)
    if degree >= n - 1:
        first, second = np.triu_indices(n, 1)
    else:
        rng = np.random.default_rng(seed)
        tours = [rng.permutation(n) for _ in range(max(1, degree // 2))]
        ends = np.concatenate([np.stack([tour, np.roll(tour, 1)], axis=1) for tour in tours])
        first, second = np.unique(np.sort(ends, axis=1), axis=0).T
    return TradeGraph(names, first.astype(int), second.astype(int), np.full(len(first), fee))


def distance_fee(graph: TradeGraph, distance: np.ndarray, price: float) -> TradeGraph:
    """Fees in proportion to the electrical distance of the two peers.

    fee_nm = price * distance_nm

    Args:
        graph: who trades with whom.
        distance: (peer, peer), for instance the resistance of the path between two buses [ohm], at least zero.
        price: [EUR/kWh] per unit of distance.

    Source: Baroche, Pinson, Le Goff Latimier and Ben Ahmed, IEEE Trans. Power Syst. 34 (2019) 2553-2564.

    Raises:
        ValueError: a distance on an edge is not a number of at least zero; for instance of a peer without a bus.
    """
    length = np.asarray(distance, dtype=float)[graph.first, graph.second]
    wrong = np.flatnonzero(~np.isfinite(length) | (length < 0.0))
    if wrong.size:
        k = int(wrong[0])
        pair = f"{graph.peers[graph.first[k]]} and {graph.peers[graph.second[k]]}"
        raise ValueError(
            f"trade graph: the distance between {pair} is {length[k]:g}; give both a bus of one network, or remove their {wrong.size} edges"
        )
    return graph.with_fee(graph.fee + price * length)


def class_fee(graph: TradeGraph, classes: Sequence[str] | np.ndarray, price: float) -> TradeGraph:
    """A fee on trade between two classes, none inside a class [EUR/kWh]: peers prefer their own (by kind of customer, feeder, energy)."""
    labels = np.asarray(classes, dtype=str)
    return graph.with_fee(graph.fee + price * (labels[graph.first] != labels[graph.second]))
