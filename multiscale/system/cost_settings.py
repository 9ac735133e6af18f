"""Settings of what things cost society."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from multiscale.settings import Settings, quantity
from multiscale.system.options import COST_COLUMNS


class CostsSettings(Settings):
    """What things cost society."""

    value_of_lost_load: float = quantity(5.0, "EUR/kWh", "cost of unserved energy", above=0.0, upper=1000.0)
    discount_rate: float = quantity(0.05, "1/a", "discount rate of investments", lower=0.0, upper=0.5)
    existing_network_cost: float = quantity(0.04, "EUR/kWh", "yearly cost of the existing network per kWh of yearly demand", lower=0.0, upper=10.0)
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
            missing = [column for column in COST_COLUMNS if column not in [cell.strip().strip('"') for cell in re.split("[,;\t]", head)]]
            if missing:
                raise ValueError(f"reinforcement_table '{table}' lacks the columns {', '.join(missing)}; add them")
        return self
