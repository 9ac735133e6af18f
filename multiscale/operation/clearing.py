"""What the program of a platform asks of its market: how members trade, and where they are metered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.operation.losses import Losses
from multiscale.programs import ProgramBuilder
from multiscale.tariffs import Metering, Tariff

BEYOND_DEVICES = 1.0
"""Power [kW] of every member by which the ends of what it buys, sells and is not served lie beyond what its devices can do.

At an end that can be attained, such as all demand of a member without devices, the price of the member would be any number in an interval; beyond
it, an end carries no dual. Any amount above the tolerance of solvers serves; this one is the same in all programs. Its cost: where energy is worth
more than the value of lost load, a program sells what is not served, up to this beyond what devices supply. No price of the whole is that high; what
is proven or checked at other prices has to count on so much for every member.
"""


@dataclass(frozen=True)
class Members:
    """The members of a platform, and what each can draw and supply at most.

    Attributes:
        fleet: the members.
        draw, supply: upper bounds [kW], (prosumer, period).
        lost: upper bound of the losses of the network between them [kW], (period,) or zero where none are counted.
    """

    fleet: Fleet
    draw: np.ndarray
    supply: np.ndarray
    lost: np.ndarray | float = 0.0


@dataclass(frozen=True)
class Trade:
    """Columns of a platform's program with which members trade.

    Attributes:
        buy, sell: power every member buys and sells [kW], (prosumer, period).
        imported, exported: power the platform draws from and feeds to its parent [kW], (period,).
        metering: where members are charged; its metering points also buy at the import price and sell at the export price.
    """

    buy: np.ndarray
    sell: np.ndarray
    imported: np.ndarray
    exported: np.ndarray
    metering: Metering


class Market(Protocol):
    """How a platform clears, as far as its program is concerned. The kinds are in ``markets/``."""

    @property
    def counted_losses(self) -> Losses | None:
        """How losses of the platform's network are counted in its program; None where they are not."""

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Add the columns with which members trade.

        Upper bounds lie ``BEYOND_DEVICES`` or more beyond what any participant can do: they carry no dual and keep every dual bound finite.
        """

    def weigh(self, builder: ProgramBuilder, members: Members, trade: Trade) -> None:
        """Add what members value of a trade beyond money, as costs; also where a single member has no peers."""

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:
        """A fleet with fewer members and the same exchange and cost at every price, where no network lies between the members."""
