"""A device that prosumers may buy in answer to the prices: what is bought, how much each may buy, and what it does in the program."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from multiscale.devices.device import Device
from multiscale.devices.prosumers import Prosumers

if TYPE_CHECKING:
    from multiscale.programs import ProgramBuilder
    from multiscale.programs.build import Term


@dataclass(frozen=True)
class Capacity:
    """What is bought of a device.

    Attributes:
        column: column of the size in a program.
        account: name in summaries.
        unit: of the size.
        kind: value of ``kind`` whose profile new capacity follows; empty: none.
    """

    column: str
    account: str
    unit: str
    kind: str = ""


@dataclass(frozen=True)
class Offer:
    """New capacity of a device that prosumers may buy.

    Attributes:
        largest: most that each may buy [unit of the capacity], (prosumer,).
        profile: power available per unit of it [1], (period,); empty where it follows no profile.
    """

    largest: np.ndarray
    profile: np.ndarray


Adoption = Mapping[str, Offer]
"""Device -> what prosumers may buy of it in answer to the prices."""


class PurchasableDevice(Device):
    """A device that prosumers may buy in answer to the prices.

    Attributes:
        capacity: what is bought.
    """

    capacity: ClassVar[Capacity]
    investment: float
    lifetime: float
    upkeep: float
    largest_new: float

    def yearly_cost(self, annuity: Callable[[float], float]) -> float:
        """Yearly cost of one unit of new capacity, used or not [EUR/a per unit]: annuity of the investment, and upkeep.

        Args:
            annuity: lifetime [a] -> payment per EUR [1/a].
        """
        return self.investment * annuity(self.lifetime) + self.upkeep

    @abstractmethod
    def add_new(self, builder: ProgramBuilder, fleet: Prosumers, offer: Offer, yearly_cost: float) -> list[Term]:
        """Add new capacity at its yearly cost [EUR/a per unit], the same on every day; returns the terms of the prosumers' balance."""

    @abstractmethod
    def with_new(self, data: Mapping[str, np.ndarray], size: np.ndarray, profile: np.ndarray) -> dict[str, np.ndarray]:
        """The variables with new capacity of so much, (prosumer,), that follows a profile (see ``Offer``)."""

    def new_consumption(self, offer: Offer) -> np.ndarray | float:
        """Upper bound on what new capacity can draw [kW]."""
        del offer
        return 0.0

    @abstractmethod
    def new_supply(self, offer: Offer) -> np.ndarray | float:
        """Upper bound on what new capacity can supply [kW]."""
