"""A price on energy fed in: what the buyer of exported energy keeps of its price."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.programs import ProgramBuilder
from multiscale.tariffs.component import EnergyPrice
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class Export(EnergyPrice):
    """A flat price on exported energy: ``price * sum_t h_t export_t`` [EUR/a]."""

    kind: Literal["export"] = "export"

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:  # noqa: ARG002
        """Energy exported at all metering points [kWh/a]."""
        return [Charge(metering.exported, metering.horizon.hours_per_year)]

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Passive generators are paid the energy price in full."""
        return np.zeros(())
