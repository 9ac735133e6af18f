"""A community: members share one pool, and what the platform draws from outside is metered at its boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.devices.fleet import customers_of
from multiscale.markets.market import boundary_columns, trading_columns
from multiscale.markets.pool import Pool
from multiscale.operation.clearing import Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.tariffs import Metering


class Community(Pool):
    """One pool of trade inside each platform: the platform pays charges on what it imports, members a fee on what they trade.

    Source: the energy collective of Chronis et al., Energies 14 (2021) 1862, eqs. 1-8.
    """

    kind: Literal["community"] = "community"

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Members buy from and sell to a pool; its imports and exports are metered."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        metering = Metering(fleet.horizon, np.array([fleet.node]), imported[None, :], exported[None, :], buy, self.peer_shares, *customers_of(fleet))
        return Trade(buy, sell, imported, exported, metering)
