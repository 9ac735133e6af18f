"""What all markets share: settings, and the columns with which members trade."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.markets.cleared import Cleared
from multiscale.markets.isolation import Isolated, isolated, joined, with_supplier, without
from multiscale.markets.matching import MemberPrices, Open, outside_trades
from multiscale.markets.positions import Positions
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import BEYOND_DEVICES, Members, Trade
from multiscale.operation.losses import Losses
from multiscale.programs import ProgramBuilder
from multiscale.settings import Settings
from multiscale.system.problem import Problem
from multiscale.tariffs import Tariff


class PlatformMarket(Settings):
    """How a platform clears: its settings, and its equilibrium as an optimum.

    The optimum of a platform's program with this market's trade is the competitive equilibrium of its members, and the duals of
    their balances are their prices. So the same program is operated, negotiated and planned for.
    """

    kind: str
    nodal: ClassVar[bool] = False
    """Whether members settle at nodal prices, which are then split into what they are made of."""

    @property
    def counted_losses(self) -> Losses | None:
        """See ``operation.clearing.Market``."""
        return None

    @abstractmethod
    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """See ``operation.clearing.Market``."""

    def weigh(self, builder: ProgramBuilder, members: Members, trade: Trade) -> None:
        """See ``operation.clearing.Market``."""

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """See ``operation.clearing.Market``."""
        return fleet

    def problems(self, fleets: Mapping[str, Fleet]) -> list[Problem]:  # noqa: ARG002
        """What of the settings does not fit the members of any platform.

        Args:
            fleets: platform -> members.
        """
        return []

    def notes(self, positions: Positions) -> list[str]:  # noqa: ARG002
        """What a reader of the trades must know, e.g. a class of energy that no member supplies."""
        return []

    @property
    def nearest(self) -> PlatformMarket | None:
        """The market with whose program this one is planned and operated; None where it has a program of its own."""
        return None

    def cleared(self, positions: Positions) -> Cleared:
        """``clear``, with the certificate of the algorithm where there is one."""
        return Cleared(self.clear(positions))

    def isolated(self, positions: Positions) -> Isolated:
        """Members whose orders or place in the market cannot be taken."""
        return isolated(positions)

    def settled(self, positions: Positions) -> Cleared:
        """``cleared``, where members with an order or a place that cannot be taken are named and trade with the supplier alone."""
        apart = self.isolated(positions)
        found = self.cleared(without(positions, apart.where))
        if not apart.notes:
            return found
        return joined(found, with_supplier(positions, apart.where, found.trades.classes), apart.notes)

    def clear(self, positions: Positions) -> Trades:
        """Who sells how much to whom and at which price, given what was metered and at which prices.

        Whatever a market does, every member's trades add up to what was metered at it: ``bought - sold = net`` in every period. Here all of it is
        traded with the supplier, at what it is worth to the member.
        """
        own = MemberPrices(positions.value, positions.value, positions.value, positions.value)
        return outside_trades(positions, Open.all_of(positions), own)


def trading_columns(builder: ProgramBuilder, members: Members) -> tuple[np.ndarray, np.ndarray]:
    """Power every member buys and sells [kW], (prosumer, period)."""
    fleet = members.fleet
    who = {"prosumer": fleet.arrays["prosumer"], "period": fleet.horizon.labels}
    buy = builder.add_columns("buy", who, unit="kW", upper=members.draw + BEYOND_DEVICES, description="power bought")
    sell = builder.add_columns("sell", who, unit="kW", upper=members.supply + BEYOND_DEVICES, description="power sold")
    return buy, sell


def boundary_columns(builder: ProgramBuilder, members: Members) -> tuple[np.ndarray, np.ndarray]:
    """Power the platform draws from and feeds to its parent [kW], (period,)."""
    period, size = {"period": members.fleet.horizon.labels}, members.fleet.size
    most = [side.sum(axis=0) + size * BEYOND_DEVICES + 1.0 for side in (members.draw, members.supply)]
    most[0] = most[0] + members.lost
    imported = builder.add_columns("import", period, unit="kW", upper=most[0], description="import from the parent")
    exported = builder.add_columns("export", period, unit="kW", upper=most[1], description="export to the parent")
    return imported, exported
