"""Prices and costs that are not attributes of a component or a device: value of lost load, levies, capital."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Economics:
    """Economic assumptions of a study; the defaults are replaced in the configuration.

    Attributes:
        value_of_lost_load: cost of unserved energy [EUR/kWh].
        levy: taxes and supplier's margin on every kWh a platform (or, without trading, a prosumer) imports [EUR/kWh].
        export_deduction: what the buyer keeps of the price of exported energy [EUR/kWh].
        trading_fee: fee on every kWh traded between prosumers of a platform [EUR/kWh].
        discount_rate: per year [1/a].
        existing_network_cost: yearly cost of the existing network that the charge must also recover, per kWh of yearly demand [EUR/kWh].
    """

    value_of_lost_load: float = 5.0
    levy: float = 0.10
    export_deduction: float = 0.01
    trading_fee: float = 0.01
    discount_rate: float = 0.05
    existing_network_cost: float = 0.04

    def annuity(self, lifetime_years: float) -> float:
        """Yearly payment per EUR invested: r / (1 - (1 + r)^-n) [1/a]; 1/n at a zero rate."""
        r = self.discount_rate
        return 1.0 / lifetime_years if r == 0 else r / (1.0 - (1.0 + r) ** -lifetime_years)
