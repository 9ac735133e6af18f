"""Direct dispatch: the platform decides for all devices under the limits of its network, and settles at nodal prices."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from multiscale.devices.fleet import Fleet, customers_of
from multiscale.markets.market import PlatformMarket, boundary_columns, trading_columns
from multiscale.markets.matching import proportional_trades
from multiscale.markets.positions import Positions
from multiscale.markets.pricing import PoolPrice
from multiscale.markets.reduction import reduced_fleet
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import Members, Trade
from multiscale.operation.losses import Losses
from multiscale.programs import ProgramBuilder
from multiscale.settings import count, quantity
from multiscale.tariffs import Metering, Tariff


class Dispatch(PlatformMarket):
    """The platform buys from and sells to its members at the price of their node (DLMP); no fee stands between them.

    A nodal price is the price at the connection of the platform, and what losses and limits of its network add on the way (see ``nodal_prices``).
    Losses are counted by tangents of the quadratic function of every flow (``operation.losses``). More tangents are added where the members answer
    the expected prices, until losses in the program fall short by no more than a share of them.
    Source: Papavasiliou, IEEE TSG 9 (2018) 4872-4882; Bai et al., IEEE TPWRS 33 (2018) 4061-4073.
    """

    kind: Literal["dispatch"] = "dispatch"
    nodal: ClassVar[bool] = True
    losses: bool = Field(True, description="whether losses of the low-voltage network are counted, and are a part of prices")
    loss_accuracy: float = quantity(0.01, "1", "share of the losses by which tangents may fall short at the expected prices", above=0.0, upper=1.0)
    loss_rounds: int = count(12, "largest number of rounds in which tangents are added", 0)

    @property
    def counted_losses(self) -> Losses | None:
        """Tangents of the losses of every branch, unless they are not to be counted."""
        return Losses(self.loss_accuracy, self.loss_rounds) if self.losses else None

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """All devices are dispatched behind one meter at the boundary."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        metering = Metering(fleet.horizon, np.array([fleet.node]), imported[None, :], exported[None, :], None, {}, *customers_of(fleet))
        return Trade(buy, sell, imported, exported, metering)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """Buyers, homothetic devices and plain generators merged: without a fee inside, every kWh is alike."""
        return reduced_fleet(fleet)

    def clear(self, positions: Positions) -> Trades:
        """Everyone settles at the price of its node; what limits of the network add is the rent of the operator, which goes back to the members."""
        return proportional_trades(positions, PoolPrice().prices(positions))
