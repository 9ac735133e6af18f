"""A community: members share one pool, and what the platform draws from outside is metered at its boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from multiscale.devices.fleet import customers_of
from multiscale.markets.fairness import PROPORTIONAL, divided, sizes
from multiscale.markets.market import boundary_columns, trading_columns
from multiscale.markets.matching import Open, local_trades, outside_trades
from multiscale.markets.pool import Pool
from multiscale.markets.positions import Positions
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.tariffs import Metering


class OnePool(Pool):
    """One pool of trade inside each platform, metered at the boundary of the platform."""

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Members buy from and sell to a pool; its imports and exports are metered."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        metering = Metering(fleet.horizon, np.array([fleet.node]), imported[None, :], exported[None, :], buy, self.peer_shares, *customers_of(fleet))
        return Trade(buy, sell, imported, exported, metering)


class Community(OnePool):
    """One pool of trade inside each platform: the platform pays charges on what it imports, members a fee on what they trade.

    Who has how much of the community's energy follows from ``fairness``, a rule of fair division (see ``markets.fairness``).
    Source: the energy collective of Chronis et al., Energies 14 (2021) 1862, eqs. 1-8.
    """

    kind: Literal["community"] = "community"
    fairness: Literal["proportional", "equal_awards", "equal_losses"] = Field(
        "proportional",
        description="how energy of the community is divided where it is short: the same share for all, the same energy for all, or so that all "
        "depend equally on the supplier; sales likewise",
    )
    fairness_by_size: bool = Field(
        False, description="whether equal means equal for every kWh of a member's demand (of sales: its generation), not for every member"
    )

    def clear(self, positions: Positions) -> Trades:
        """What members have of each other's energy by the rule of fairness, at the prices of the pricing rule."""
        if self.fairness == PROPORTIONAL:
            return super().clear(positions)
        if self.fairness_by_size and (positions.demand is None or positions.generation is None):
            raise ValueError("market community: positions lack demand or generation, so the size of members is not known; give both")
        claims = positions.taken, positions.delivered
        available = np.minimum(*(claim.sum(axis=0) for claim in claims))
        one = np.ones(len(positions.members))
        size = [one if measure is None or not self.fairness_by_size else sizes(measure) for measure in (positions.demand, positions.generation)]
        own = [divided(self.fairness, claim, weight, available) for claim, weight in zip(claims, size, strict=True)]
        prices = self.pricing.prices(positions, own[1])
        inner, open_ = local_trades(positions, Open(*own), prices)
        rest = Open(*(claim - part + left for claim, part, left in zip(claims, own, (open_.taken, open_.delivered), strict=True)))
        return Trades.joined([inner, outside_trades(positions, rest, prices)])
