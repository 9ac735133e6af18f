"""Markets on a trade graph: who may trade with whom, and what peers far apart or of different classes pay for it."""

from __future__ import annotations

import numpy as np

from multiscale.markets.matched import MatchedMarket
from multiscale.markets.peer_matching.electrical_distance import electrical_distance
from multiscale.markets.peer_matching.trade_graph import TradeGraph, class_fee, distance_fee, random_graph
from multiscale.markets.positions import Positions
from multiscale.settings import LARGEST_SEED, count, quantity


class TradeGraphMarket(MatchedMarket):
    """A market in which every member trades with some partners only."""

    partners: int = count(10, "number of trading partners of every member; all others where there are no more", 1)
    graph_seed: int = count(1, "seed of the trade graph", 0, LARGEST_SEED)
    class_fee: float = quantity(0.0, "EUR/kWh", "fee on trade between members of different categories", lower=0.0)
    distance_fee: float = quantity(0.0, "EUR/kWh/ohm", "fee on trade, per resistance of the path between the two members", lower=0.0)

    def graph(self, positions: Positions) -> tuple[TradeGraph, tuple[str, ...]]:
        """The trade graph of the members with its fees, and who is isolated in it and why.

        Where members share one point there is no distance between them.
        """
        graph, notes = random_graph(positions.members.astype(str), self.partners, self.graph_seed), []
        if positions.category is not None:
            graph = class_fee(graph, positions.category, self.class_fee)
        if self.distance_fee > 0.0 and positions.network is not None and positions.bus is not None:
            distance = electrical_distance(positions.network, positions.bus)
            for k in np.flatnonzero(np.isnan(np.diagonal(distance))).tolist():
                who = f"member {str(positions.members[k])!r}: bus {str(positions.bus[k])!r} is not in the network of {positions.network.node!r}"
                notes.append(f"{who}, so that its distance to others is not known and it trades with the supplier alone; correct the bus")
            graph = distance_fee(graph.only(np.isfinite(distance[graph.first, graph.second])), distance, self.distance_fee)
        return graph, tuple(notes)


def as_members(values: np.ndarray, members: int) -> np.ndarray:
    """Values of every period for every member, (member, period)."""
    return np.broadcast_to(values, (members, len(values)))
