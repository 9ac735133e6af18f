"""Peer-to-peer trade with product differentiation inside each platform: every trade agreed by its two sides."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.cleared import Cleared, Measure
from multiscale.markets.matched import matched_trades
from multiscale.markets.peer_matching.consensus import Agents, ConsensusSettings, Edges, agree
from multiscale.markets.peer_matching.trade_graph import TradeGraph
from multiscale.markets.positions import Positions
from multiscale.markets.trade_graph_market import TradeGraphMarket
from multiscale.settings import count, quantity


class Consensus(TradeGraphMarket):
    """Members agree on every trade with their partners, else trade with the supplier; schedules are those of ``community``.

    Source: Sorin, Bobo and Pinson, IEEE Trans. Power Syst. 34 (2019) 994-1004.
    """

    kind: Literal["consensus"] = "consensus"
    residual: float = quantity(1e-3, "1", "relative disagreement of the two sides of trades at which to stop", above=0.0)
    objective_gap: float = quantity(1e-3, "1", "relative distance of the cost to its proven bound at which to stop", above=0.0)
    consensus_rounds: int = count(3000, "largest number of rounds", 1)

    def cleared(self, positions: Positions) -> Cleared:
        """All periods at once, since they are independent; the certificate is the disagreement left and the gap to a bound of the cost."""
        graph, isolated = self.graph(positions)
        agents, edges, period, seller, buyer = self._problem(positions, graph)
        if not len(period):
            nothing = np.zeros(0)
            return Cleared(matched_trades(positions, period, seller, buyer, nothing, nothing, nothing), notes=isolated)
        found = agree(agents, edges, ConsensusSettings(self.residual, self.objective_gap, self.consensus_rounds))
        # What the two sides still disagree on is cut so that no member trades more than it has: the rest goes to the supplier.
        need = np.abs(agents.lower)
        share = [
            np.minimum(need / np.maximum(np.bincount(side, found.trade, minlength=len(need)), 1e-300), 1.0) for side in (edges.seller, edges.buyer)
        ]
        energy = found.trade * np.minimum(share[0][edges.seller], share[1][edges.buyer])
        received = np.clip(found.price - edges.cost / 2, positions.feed_in[period], positions.retail[period] - edges.cost)
        paid = received + edges.cost - positions.peer_fee[period]
        certificate = {
            "residual": Measure(found.residual, "1", total=False),
            "gap": Measure(found.gap, "1", total=False),
            "rounds": Measure(found.rounds, "1", total=False),
            "messages": Measure(found.messages, "1"),
        }
        left = f"residual {found.residual:.2g}, gap {found.gap:.2g}"
        notes = [] if found.converged else [f"no consensus after {found.rounds} rounds: {left}; raise market.consensus_rounds"]
        return Cleared(matched_trades(positions, period, seller, buyer, energy, received, paid), certificate, (*isolated, *notes))

    def _problem(self, positions: Positions, graph: TradeGraph) -> tuple[Agents, Edges, np.ndarray, np.ndarray, np.ndarray]:
        """Members that take or deliver in a period as agents with that power, and edges from those who deliver to partners who take.

        Returns:
            Agents and edges, and period, seller and buyer of every edge; edges on which trade costs more than two suppliers leave are dropped.
        """
        first, second = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
        fee = np.concatenate([graph.fee, graph.fee])
        edge, period = np.nonzero((positions.net[first] < 0.0) & (positions.net[second] > 0.0))
        cost = fee[edge] + positions.peer_fee[period]
        worth = cost < positions.retail[period] - positions.feed_in[period]
        edge, period, cost = edge[worth], period[worth], cost[worth]
        seller, buyer = first[edge], second[edge]
        periods = len(positions.periods)
        used, at = np.unique(np.concatenate([seller, buyer]) * periods + np.tile(period, 2), return_inverse=True)
        member, when = used // periods, used % periods
        names = np.array(
            [f"{positions.members[m]} in {positions.periods[t]}" for m, t in zip(member.tolist(), when.tolist(), strict=True)], dtype=str
        )
        power = -positions.net[member, when]
        # Power is given; any cost of it is the same whatever is traded.
        agents = Agents(names, np.ones(len(used)), np.zeros(len(used)), power, power, positions.retail[when], positions.feed_in[when])
        half = len(period)
        return agents, Edges(at[:half], at[half:], cost), period, seller, buyer
