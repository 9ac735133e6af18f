"""A grant for capacity that is bought: the part that all kinds share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from multiscale.devices.fleet import Fleet, purchasable
from multiscale.programs import ProgramBuilder
from multiscale.tariffs.metering import Charge
from multiscale.tariffs.policies.policy import Owned, Policy


class Grant(Policy):
    """A grant for new capacity of a device, paid once; over the device's lifetime it is worth ``annuity * price * amount`` in every year [EUR/a].

    The amount is the capacity, or its investment. What exists already is paid nothing.
    """

    on_purchase: ClassVar[bool] = True
    of_investment: ClassVar[bool] = False
    """Whether the price is a share of the investment, not of a unit of capacity."""

    @property
    @abstractmethod
    def granted_device(self) -> str:
        """Key of the device."""

    def _per_unit(self, annuity: float, investment: float) -> float:
        """Quantity of each unit of capacity."""
        return annuity * (investment if self.of_investment else 1.0)

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:  # noqa: ARG002
        """See ``Policy``."""
        one = devices.bought.get(self.granted_device)
        return [] if one is None else [Charge(one.size, -self._per_unit(one.annuity, one.investment))]

    def granted(self, fleet: Fleet, bought: Mapping[str, np.ndarray], annuity: Callable[[float], float]) -> np.ndarray:
        """See ``Policy``."""
        device = purchasable(fleet.devices)[self.granted_device]
        return np.asarray(bought.get(self.granted_device, 0.0)) * self._per_unit(annuity(device.lifetime), device.investment) + np.zeros(fleet.size)
