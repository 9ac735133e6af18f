"""Markets on a trade graph: who may trade with whom, and what peers of different classes pay for it."""

from __future__ import annotations

import numpy as np

from multiscale.markets.matched import MatchedMarket
from multiscale.markets.peer_matching.trade_graph import TradeGraph, class_fee, random_graph
from multiscale.markets.positions import Positions
from multiscale.settings import LARGEST_SEED, count, quantity


class TradeGraphMarket(MatchedMarket):
    """A market in which every member trades with some partners only."""

    partners: int = count(10, "number of trading partners of every member; all others where there are no more", 1)
    graph_seed: int = count(1, "seed of the trade graph", 0, LARGEST_SEED)
    class_fee: float = quantity(0.0, "EUR/kWh", "fee on trade between members of different categories", lower=0.0)

    def graph(self, positions: Positions) -> TradeGraph:
        """The trade graph of the members."""
        graph = random_graph(positions.members.astype(str), self.partners, self.graph_seed)
        return graph if positions.category is None else class_fee(graph, positions.category, self.class_fee)


def as_members(values: np.ndarray, members: int) -> np.ndarray:
    """Values of every period for every member, (member, period)."""
    return np.broadcast_to(values, (members, len(values)))
