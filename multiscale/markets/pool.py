"""Trade in one pool as a program: the community's, and the nearest one of every market that is no optimisation itself."""

from __future__ import annotations

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.markets.market import PlatformMarket, boundary_columns, trading_columns
from multiscale.markets.reduction import reduced_fleet
from multiscale.operation.clearing import Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs import Metering, Tariff


class Pool(PlatformMarket):
    """Members buy from and sell to a pool: ``sum_i bought_it - sum_i sold_it = import_t - export_t``, metered at the boundary of the platform."""

    peer_charge_share: float = quantity(0.0, "1", "share of charges of distribution operators that peer trade pays too", lower=0.0, upper=1.0)
    peer_levy_share: float = quantity(0.0, "1", "share of charges of supplier and state that peer trade pays too", lower=0.0, upper=1.0)

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Members buy from and sell to a pool; its imports and exports are metered."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        shares = {"distribution operators": self.peer_charge_share, "supplier and state": self.peer_levy_share}
        metering = Metering(fleet.horizon, np.array([fleet.node]), imported[None, :], exported[None, :], buy, shares)
        return Trade(buy, sell, imported, exported, metering)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """Buyers, homothetic devices and plain generators merged: fee and price act on every kWh alike, independently of the buyer."""
        return reduced_fleet(fleet)
