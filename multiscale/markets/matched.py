"""Markets in which members are matched one with another: what all of them share.

Such a market is an algorithm on bids and offers and has no program of its own. It is planned for and operated with the program of the pool, the
nearest one: schedules, exchange with the parent and flows are those of the community. What members then deliver and take is matched by the algorithm,
and who trades with whom, at which price, and what is left to the supplier are its own outcome.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.markets.cleared import Cleared
from multiscale.markets.community import Community
from multiscale.markets.matching import MemberPrices, Open, outside_trades
from multiscale.markets.pool import PeerTrade
from multiscale.markets.positions import METER_RESOLUTION, Positions
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.tariffs import Tariff


class MatchedMarket(PeerTrade):
    """A market that matches what members deliver with what they take, planned for and operated with the program of the community."""

    @property
    def nearest(self) -> Community:
        """The market whose program stands for this one: the community with the same charges on peer trade, and no preference."""
        return Community(peer_charge_share=self.peer_charge_share, peer_levy_share=self.peer_levy_share)

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """That of the nearest market."""
        return self.nearest.trade(builder, members)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:
        """That of the nearest market."""
        return self.nearest.reduced(fleet, tariff)

    @abstractmethod
    def cleared(self, positions: Positions) -> Cleared:
        """Trades of the market with the certificate of its algorithm."""

    def clear(self, positions: Positions) -> Trades:
        """See ``PlatformMarket.clear``; what is not matched is traded with the supplier."""
        return self.cleared(positions).trades


def matched_trades(
    positions: Positions, period: np.ndarray, seller: np.ndarray, buyer: np.ndarray, energy: np.ndarray, received: np.ndarray, paid: np.ndarray
) -> Trades:
    """Trades between members, and those with the supplier for what is left.

    Args:
        positions: what members take and deliver.
        period, seller, buyer: positions, (trade,).
        energy: [kWh], (trade,); trades of rounding size are dropped.
        received, paid: what seller and buyer receive and pay in all, without the peer fee, which the buyer pays on top [EUR/kWh], (trade,).
    """
    kept = np.asarray(energy) > METER_RESOLUTION
    period, seller, buyer, energy, received, paid = (np.asarray(v)[kept] for v in (period, seller, buyer, energy, received, paid))
    rest = positions.net.copy()
    np.add.at(rest, (buyer, period), -energy)
    np.add.at(rest, (seller, period), energy)
    none, fee = np.zeros(len(energy)), paid - received + positions.peer_fee[period]
    inside = Trades(positions.members, positions.periods, ("energy",), period, seller, buyer, none, energy, received, none, fee)
    outside = MemberPrices(positions.value, positions.value, positions.retail, positions.feed_in)
    return Trades.joined([inside, outside_trades(positions, Open(np.maximum(rest, 0.0), np.maximum(-rest, 0.0)), outside)])
