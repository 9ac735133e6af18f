"""Prices and costs that are not attributes of a component or a device: value of lost load, capital, and the tariff."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from multiscale.system.cost_settings import CostsSettings
from multiscale.tariffs import Tariff

_COSTS = CostsSettings()


@dataclass(frozen=True)
class Economics:
    """Economic assumptions of a study; the defaults are those of the settings.

    Attributes:
        value_of_lost_load: cost of unserved energy [EUR/kWh].
        discount_rate: per year [1/a].
        existing_network_cost: yearly cost of the existing network that the charge must also recover, per kWh of yearly demand [EUR/kWh].
        tariff: what is charged for.
    """

    value_of_lost_load: float = _COSTS.value_of_lost_load
    discount_rate: float = _COSTS.discount_rate
    existing_network_cost: float = _COSTS.existing_network_cost
    tariff: Tariff = field(default_factory=Tariff)

    @classmethod
    def of(cls, costs: CostsSettings, tariff: Tariff) -> Self:
        """The assumptions that these settings state."""
        return cls(costs.value_of_lost_load, costs.discount_rate, costs.existing_network_cost, tariff)

    def annuity(self, lifetime_years: float) -> float:
        """Yearly payment per EUR invested: r / (1 - (1 + r)^-n) [1/a]; 1/n at a zero rate."""
        r = self.discount_rate
        return 1.0 / lifetime_years if r == 0 else r / (1.0 - (1.0 + r) ** -lifetime_years)
