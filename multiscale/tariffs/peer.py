"""A fee on energy that members of a platform trade with each other."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from multiscale.programs import ProgramBuilder
from multiscale.tariffs.component import EnergyPrice
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class Peer(EnergyPrice):
    """A flat fee on traded energy: ``price * sum_t h_t (sum_i bought_it - import_t)`` [EUR/a]; zero where peers do not trade.

    With ``crossing=communities`` it stands on what communities inside a platform trade with each other, ``sum_c entering_ct - import_t``; zero where
    there are none.
    """

    kind: Literal["peer"] = "peer"
    crossing: Literal["members", "communities"] = Field("members", description="between whom energy that pays the fee is traded")

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:  # noqa: ARG002
        """Energy traded between members, or between communities [kWh/a]."""
        columns = metering.bought if self.crossing == "members" else metering.entering
        if columns is None:
            return []
        hours = metering.horizon.hours_per_year
        return [Charge(columns, hours), Charge(metering.imported, -hours)]

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Passive customers do not trade."""
        return np.zeros(())
