"""A community: members share one pool, and what the platform draws from outside is metered at its boundary."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.devices.fleet import Fleet, customers_of
from multiscale.markets.market import PlatformMarket, boundary_columns, trading_columns
from multiscale.markets.reduction import reduced_fleet
from multiscale.operation.clearing import Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs import Metering, Tariff


class Community(PlatformMarket):
    """One pool of trade inside each platform: the platform pays charges on what it imports, members a fee on what they trade.

    Source: the energy collective of Chronis et al., Energies 14 (2021) 1862, eqs. 1-8, without autonomy penalties.
    """

    kind: Literal["community"] = "community"
    peer_charge_share: float = quantity(0.0, "1", "share of charges of distribution operators that peer trade pays too", lower=0.0, upper=1.0)
    peer_levy_share: float = quantity(0.0, "1", "share of charges of supplier and state that peer trade pays too", lower=0.0, upper=1.0)

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Members buy from and sell to a pool; its imports and exports are metered."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        shares = {"distribution operators": self.peer_charge_share, "supplier and state": self.peer_levy_share}
        metering = Metering(fleet.horizon, np.array([fleet.node]), imported[None, :], exported[None, :], buy, shares, *customers_of(fleet))
        return Trade(buy, sell, imported, exported, metering)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """Buyers, homothetic devices and plain generators merged: fee and price act on every kWh alike, independently of the buyer."""
        return reduced_fleet(fleet)
