"""No trade: every prosumer responds to the published prices alone."""

from __future__ import annotations

from typing import Literal

from multiscale.devices.fleet import Fleet, customers_of
from multiscale.markets.market import PlatformMarket, boundary_columns, trading_columns
from multiscale.markets.reduction import reduced_fleet
from multiscale.operation.clearing import Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.tariffs import Metering, Tariff


class TimeOfUse(PlatformMarket):
    """No trade between neighbours: every prosumer is metered, and pays charges on its own import."""

    kind: Literal["time_of_use"] = "time_of_use"

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """What a prosumer buys is its own import, what it sells its own export."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        metering = Metering(fleet.horizon, fleet.arrays["prosumer"], buy, sell, None, {}, *customers_of(fleet))
        return Trade(buy, sell, imported, exported, metering)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:
        """Buyers, homothetic devices and plain generators merged, where charges of several metering points are those of their sum."""
        return reduced_fleet(fleet) if tariff.additive else fleet
