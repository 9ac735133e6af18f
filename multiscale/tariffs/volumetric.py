"""A flat price on energy drawn from the supplier's side: network charge, levy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multiscale.programs import ProgramBuilder
from multiscale.tariffs.component import EnergyPrice
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class Volumetric(EnergyPrice):
    """A flat price on imported energy: ``price * sum_t h_t (import_t + share * traded_t)`` [EUR/a].

    ``share`` is the part of the charge that trade between peers pays too (a setting of the market).
    """

    kind: Literal["volumetric"] = "volumetric"

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:  # noqa: ARG002
        """Energy imported at all metering points, and the share of peer trade that pays [kWh/a]."""
        hours = metering.horizon.hours_per_year
        charges = [Charge(metering.imported, hours)]
        share = metering.peer_shares.get(self.receiver, 0.0)
        if share > 0 and metering.bought is not None:
            charges += [Charge(metering.bought, share * hours), Charge(metering.imported, -share * hours)]
        return charges

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Energy served to passive customers [kWh/a]."""
        return np.asarray((served * horizon.hours_per_year).sum())
