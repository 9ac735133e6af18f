"""A price on the highest power drawn at a metering point."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.component import Component
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class Capacity(Component):
    """A price on the yearly peak of every metering point.

        payment = price * sum_m peak_m,     peak_m >= import_mt  for every period t of the year      [EUR/a]

    At an optimum with a price above zero, ``peak_m`` is the highest import. The peaks of representative days stand for that of the year, so the peak
    day has to be one of them. A passive customer's peak is that of its demand less its own generation.
    """

    kind: Literal["capacity"] = "capacity"
    price: float | None = quantity(None, "EUR/kW", "price of each kW of the yearly peak; empty: the planner decides it", lower=0.0, upper=1000.0)
    price_min: float = quantity(0.0, "EUR/kW", "lowest price the planner may set", lower=0.0, upper=1000.0)
    price_max: float = quantity(200.0, "EUR/kW", "highest price the planner may set", lower=0.0, upper=1000.0)

    couples_days: ClassVar[bool] = True
    additive: ClassVar[bool] = False
    determinant_unit: ClassVar[str] = "kW"

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:
        """Peaks of all metering points, as columns ``<name> peak`` [kW]."""
        meters = {"meter": metering.meters}
        peak = builder.add_columns(f"{name} peak", meters, unit="kW", description="highest import of the year")
        axes = meters | {"period": metering.horizon.labels}
        imports = [(1.0, metering.imported), (-1.0, np.broadcast_to(peak[:, None], metering.imported.shape))]
        builder.add_rows(f"{name} peak", axes, imports, "<=", 0.0, unit="kW", description="no import is above the peak")
        return [Charge(peak, 1.0)]

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Peaks of passive customers, each for itself [kW]."""
        return np.asarray(np.maximum(served - generation, 0.0).max(axis=1, initial=0.0).sum())
