"""Settings of what things cost society, and of what prosumers pay beside the energy price."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from multiscale.settings import Settings, quantity
from multiscale.system.options import COST_COLUMNS


class CostsSettings(Settings):
    """What things cost society."""

    value_of_lost_load: float = quantity(5.0, "EUR/kWh", "cost of unserved energy", above=0.0, upper=1000.0)
    battery_wear: float = quantity(0.01, "EUR/kWh", "cost of each kWh charged and of each kWh discharged", lower=0.0, upper=10.0)
    shift_discomfort: float = quantity(0.005, "EUR/kWh", "cost of each kWh of demand moved in time, per hour of shift", lower=0.0, upper=10.0)
    curtailment_cost: float = quantity(0.001, "EUR/kWh", "cost of each kWh of available generation not used", lower=0.0, upper=10.0)
    discount_rate: float = quantity(0.05, "1/a", "discount rate of investments", lower=0.0, upper=0.5)
    pv_cost: float = quantity(1400.0, "EUR/kW", "investment in new photovoltaics", above=0.0)
    battery_cost: float = quantity(450.0, "EUR/kWh", "investment in new storage", above=0.0)
    pv_lifetime: float = quantity(25.0, "a", "lifetime of photovoltaics", above=0.0, upper=100.0)
    battery_lifetime: float = quantity(12.0, "a", "lifetime of storage", above=0.0, upper=100.0)
    co2_price: float = quantity(70.0, "EUR/t", "price of carbon dioxide emitted by wholesale generators", lower=0.0, upper=5000.0)
    reinforcement_table: Path | Literal["default"] = Field(
        "default", description="CSV table of reinforcement costs, or default: the one that comes along"
    )

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read from outside."""
        return (self.reinforcement_table,) if isinstance(self.reinforcement_table, Path) else ()

    @model_validator(mode="after")
    def _table_readable(self) -> CostsSettings:
        for table in self.files:
            if not table.is_file():
                raise ValueError(f"reinforcement_table '{table}' is no file")
            lines = table.read_text(encoding="utf-8", errors="replace").splitlines()
            head = next((line for line in lines if line and not line.startswith("#")), "")
            missing = [column for column in COST_COLUMNS if column not in [cell.strip().strip('"') for cell in head.split(",")]]
            if missing:
                raise ValueError(f"reinforcement_table '{table}' lacks the columns {', '.join(missing)}; add them")
        return self


class TariffSettings(Settings):
    """What prosumers pay beside the energy price; the planner sets the network charge within its range."""

    levy: float = quantity(0.10, "EUR/kWh", "taxes and supplier's margin on every kWh imported", lower=0.0, upper=10.0)
    export_deduction: float = quantity(0.01, "EUR/kWh", "what the buyer keeps of the price of exported energy", lower=0.0, upper=10.0)
    trading_fee: float = quantity(0.01, "EUR/kWh", "fee on every kWh traded between prosumers of a platform", lower=0.0, upper=10.0)
    existing_network_cost: float = quantity(0.04, "EUR/kWh", "yearly cost of the existing network per kWh of yearly demand", lower=0.0, upper=10.0)
    charge_min: float = quantity(0.0, "EUR/kWh", "least volumetric network charge", lower=0.0, upper=10.0)
    charge_max: float = quantity(0.30, "EUR/kWh", "largest volumetric network charge", lower=0.0, upper=10.0)

    @model_validator(mode="after")
    def _range(self) -> TariffSettings:
        if self.charge_max < self.charge_min:
            raise ValueError(f"charge_max {self.charge_max:g} EUR/kWh is below charge_min {self.charge_min:g} EUR/kWh; exchange them")
        return self
