"""A fee on energy that members of a platform trade with each other."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.programs import ProgramBuilder
from multiscale.tariffs.component import EnergyPrice
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class Peer(EnergyPrice):
    """A flat fee on traded energy: ``price * sum_t h_t (sum_i bought_it - import_t)`` [EUR/a]; zero where peers do not trade."""

    kind: Literal["peer"] = "peer"

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:  # noqa: ARG002
        """Energy traded between members [kWh/a]."""
        if metering.bought is None:
            return []
        hours = metering.horizon.hours_per_year
        return [Charge(metering.bought, hours), Charge(metering.imported, -hours)]

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Passive customers do not trade."""
        return np.zeros(())
