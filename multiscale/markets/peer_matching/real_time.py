"""The real-time market: contracts on what comes out otherwise than was negotiated for."""

from __future__ import annotations

import numpy as np

from multiscale.markets.peer_matching.negotiation import Negotiated, NegotiationSettings, negotiate
from multiscale.markets.peer_matching.participants import Participants
from multiscale.markets.peer_matching.trade_graph import TradeGraph


def real_time(
    participants: Participants, forward: Negotiated, net_demand: np.ndarray, graph: TradeGraph, settings: NegotiationSettings = NegotiationSettings()
) -> Negotiated:
    """Negotiate what is missing or left over, period by period, on top of forward contracts.

    Forward contracts are delivered and paid as agreed, and storage follows its forward schedule; what then differs is traded with peers, or with the
    own supplier. The cost of the answer is that of energy as it comes out, forward contracts included, without their fees.

    Args:
        participants, forward: as negotiated for, and what was agreed.
        net_demand: as it comes out [kWh], (participant, period).
        graph, settings: of the real-time market.

    Raises:
        ValueError: see ``negotiate``.
    """
    stored, efficiency = forward.schedule.stored, participants.efficiency[:, None]
    grid = np.where(stored > 0.0, stored / efficiency, stored * efficiency)
    open_ = net_demand + grid - forward.contracts.net(*participants.net_demand.shape)
    left = Participants.without_storage(participants.names, open_, participants.import_price, participants.export_price, participants.peer_fee)
    return negotiate(left, graph, settings)
