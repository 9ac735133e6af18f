"""Bilateral contracts inside each platform, by a price-adjusting negotiation over a trade graph."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.markets.cleared import Cleared, Measure
from multiscale.markets.matched import matched_trades
from multiscale.markets.positions import Positions
from multiscale.markets.trade_graph_market import TradeGraphMarket, as_members
from multiscale.settings import count, quantity

LEAST_LOTS = 50
"""Lots below which no contract is worth changing, in the examination of stability: more than rounding to lots leaves over in the periods of a day."""


class Bilateral(TradeGraphMarket):
    """Members negotiate contracts with their partners, else trade with the supplier; schedules are those of ``community``.

    Source: Morstyn, Teytelboym and McCulloch, IEEE Trans. Smart Grid 10 (2019) 2026-2035.
    """

    kind: Literal["bilateral"] = "bilateral"
    price_step: float = quantity(0.0025, "EUR/kWh", "by which the price of energy that was refused rises", above=0.0)
    lot: float = quantity(0.0001, "kWh", "smallest energy of a contract", above=0.0)
    negotiation_rounds: int = count(20000, "largest number of rounds of a negotiation", 1)

    def cleared(self, positions: Positions) -> Cleared:
        """Contracts for all periods; the certificate counts who would rather have other contracts, in every pair and period."""
        # The compiler of the rounds takes a while to load, which only this market needs.
        from multiscale.markets.peer_matching.negotiation import NegotiationSettings, negotiate
        from multiscale.markets.peer_matching.participants import Participants
        from multiscale.markets.peer_matching.stability import examine

        size = len(positions.members)
        names, retail, feed_in = positions.members.astype(str), as_members(positions.retail, size), as_members(positions.feed_in, size)
        members = Participants.without_storage(names, positions.net, retail, feed_in, positions.peer_fee)
        graph, isolated = self.graph(positions)
        settings = NegotiationSettings(self.price_step, self.lot, self.negotiation_rounds, self.graph_seed)
        found = negotiate(members, graph, settings)
        agreed = found.contracts
        judged = examine(members, graph, agreed, found.schedule, self.price_step, LEAST_LOTS * self.lot)
        edge_fee = agreed.fee - positions.peer_fee[agreed.period]
        certificate = {
            "blocking_pairs": Measure(len(judged.blocking), "1"),
            "irrational_members": Measure(len(np.unique(judged.irrational[:, 0])), "1"),
            "largest_joint_gain": Measure(max(judged.largest_gain, 0.0), "EUR/kWh", total=False),
            "rounds": Measure(found.rounds, "1", total=False),
            "messages": Measure(found.messages, "1"),
        }
        notes = [] if found.ended else [f"the negotiation was stopped after {found.rounds} rounds; raise market.negotiation_rounds"]
        if not judged.stable:
            notes.append(f"{len(judged.blocking)} pairs and {len(judged.irrational)} members would rather have other contracts, in some period")
        trades = matched_trades(positions, agreed.period, agreed.seller, agreed.buyer, agreed.energy, agreed.price, agreed.price + edge_fee)
        return Cleared(trades, certificate, (*isolated, *notes))
