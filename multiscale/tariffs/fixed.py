"""A price for being connected, whatever is drawn."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.component import Component
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class Fixed(Component):
    """A standing charge of every customer for every day of the year: ``price * sum_i days``  [EUR/a].

    Each member of a platform is a customer, and each bus with passive demand on a day is one on that day. No answer of a customer changes the
    payment (leaving the network is not modelled), so the charge recovers cost without changing what anybody does; what it changes is who pays.
    """

    kind: Literal["fixed"] = "fixed"
    price: float | None = quantity(None, "EUR/d", "price of a customer and day; empty: the planner decides it", lower=0.0, upper=1000.0)
    price_min: float = quantity(0.0, "EUR/d", "lowest price the planner may set", lower=0.0, upper=1000.0)
    price_max: float = quantity(1.0, "EUR/d", "highest price the planner may set", lower=0.0, upper=1000.0)

    determinant_unit: ClassVar[str] = "d/a"
    constant: ClassVar[bool] = True

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:
        """Customers, as columns ``<name> customers`` that nothing can change, times the days of the horizon [d/a]."""
        customers = np.asarray(metering.customers, dtype=float)
        who = {"prosumer": metering.members}
        columns = builder.add_columns(f"{name} customers", who, unit="1", lower=customers, upper=customers, description="customers connected")
        return [Charge(columns, float(metering.horizon.hours_per_year.sum()) / 24.0)]

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Buses with passive demand on a day, times the days of the year that it stands for [d/a]."""
        draws = (served > 0).reshape(len(served), len(horizon.days), horizon.steps).any(axis=2)
        return np.asarray((draws.sum(axis=0) * np.asarray(horizon.weights)).sum())
