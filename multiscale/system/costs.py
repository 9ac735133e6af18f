"""Prices and costs that are not attributes of a component: values of lost load, wear, levies, capital."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from multiscale.system.cost_settings import CostsSettings, TariffSettings

_COSTS, _TARIFF = CostsSettings(), TariffSettings()


@dataclass(frozen=True)
class Economics:
    """Economic assumptions of a study; the defaults are those of the settings.

    Attributes:
        value_of_lost_load: cost of unserved energy [EUR/kWh].
        battery_wear: cost of each kWh charged and of each kWh discharged [EUR/kWh].
        levy: taxes and supplier's margin on every kWh a platform (or, without trading, a prosumer) imports [EUR/kWh].
        export_deduction: what the buyer keeps of the price of exported energy [EUR/kWh].
        trading_fee: fee on every kWh traded between prosumers of a platform [EUR/kWh].
        shift_discomfort: cost of each kWh of demand moved in time, for every hour by which it is moved [EUR/kWh per h].
        curtailment_cost: cost of each kWh of available generation not used [EUR/kWh].
        discount_rate: per year [1/a].
        pv_cost, battery_cost: investment in new photovoltaics [EUR/kW] and storage [EUR/kWh].
        pv_lifetime, battery_lifetime: [a].
        existing_network_cost: yearly cost of the existing network that the charge must also recover, per kWh of yearly demand [EUR/kWh].
    """

    value_of_lost_load: float = _COSTS.value_of_lost_load
    battery_wear: float = _COSTS.battery_wear
    levy: float = _TARIFF.levy
    export_deduction: float = _TARIFF.export_deduction
    trading_fee: float = _TARIFF.trading_fee
    shift_discomfort: float = _COSTS.shift_discomfort
    curtailment_cost: float = _COSTS.curtailment_cost
    discount_rate: float = _COSTS.discount_rate
    pv_cost: float = _COSTS.pv_cost
    battery_cost: float = _COSTS.battery_cost
    pv_lifetime: float = _COSTS.pv_lifetime
    battery_lifetime: float = _COSTS.battery_lifetime
    existing_network_cost: float = _TARIFF.existing_network_cost

    @classmethod
    def of(cls, costs: CostsSettings, tariff: TariffSettings) -> Self:
        """The assumptions that these settings state."""
        values = costs.model_dump() | tariff.model_dump()
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def annuity(self, lifetime_years: float) -> float:
        """Yearly payment per EUR invested: r / (1 - (1 + r)^-n) [1/a]; 1/n at a zero rate."""
        r = self.discount_rate
        return 1.0 / lifetime_years if r == 0 else r / (1.0 - (1.0 + r) ** -lifetime_years)
