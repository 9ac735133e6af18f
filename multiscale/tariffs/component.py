"""What every tariff component is: a price on a billing determinant."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from multiscale.programs import ProgramBuilder
from multiscale.settings import Settings, quantity
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon

Receiver = Literal["distribution operators", "supplier and state", "platform operators"]
"""Who may receive the payments of a component."""


class Component(Settings):
    """A price on a billing determinant, the part that all kinds share.

        payment = sum over prices k of  price_k * determinant_k     [EUR/a]

    The determinant is a linear output of the platform's program (``determinant``), plus what customers without a platform add to it
    (``passive``). With ``price`` given, its cost stands in the program as a number; without, the prices are parameters of the program named
    after the component, which a planner decides within ``price_min`` and ``price_max``.

    A kind declares ``price``, ``price_min`` and ``price_max`` with their unit.
    """

    kind: str
    price: float | None
    price_min: float
    price_max: float
    receiver: Receiver = Field("distribution operators", description="who receives the payment")

    couples_days: ClassVar[bool] = False
    """Whether the determinant of the year is more than the sum of the days' determinants."""
    additive: ClassVar[bool] = True
    """Whether two metering points together have the sum of their determinants, whatever they do."""
    determinant_unit: ClassVar[str] = "kWh/a"
    """Unit of the determinant."""
    on_devices: ClassVar[bool] = False
    """Whether the determinant stands on devices of members instead of meters (see ``policies``)."""
    constant: ClassVar[bool] = False
    """Whether no answer of a customer changes the determinant."""
    expenditure: ClassVar[bool] = False
    """Whether operators buy something by it: what they pay is a cost of theirs, and not deducted from what their charges earn."""

    @model_validator(mode="after")
    def _range(self) -> Component:
        if self.price_max < self.price_min:
            raise ValueError(f"price_max {self.price_max:g} is below price_min {self.price_min:g}; exchange them")
        return self

    @property
    def decided(self) -> bool:
        """Whether a planner decides the prices."""
        return self.price is None

    @property
    def given(self) -> np.ndarray | float | None:
        """Prices that are given, one or in the shape of the prices; None where a planner decides them."""
        return self.price

    @property
    def unit(self) -> str:
        """Unit of the prices."""
        extra = type(self).model_fields["price"].json_schema_extra
        assert isinstance(extra, dict)
        return str(extra["units"])

    def coordinates(self, horizon: Horizon) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Dimensions of the prices, dimension -> labels; a single price has none."""
        return {}

    @abstractmethod
    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:
        """The determinant of a platform; columns and rows that it needs are added to the builder, named after the component (``name``)."""

    @abstractmethod
    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:
        """Determinant of passive customers, in the shape of the prices.

        Args:
            served: their demand that is served [kW], (customer, period).
            generation: their generation that is used [kW], (customer, period).
            horizon: periods.
        """

    def shape(self, horizon: Horizon) -> tuple[int, ...]:
        """Shape of the prices."""
        return tuple(len(labels) for labels in self.coordinates(horizon).values())


class EnergyPrice(Component):
    """A price per kWh."""

    price: float | None = quantity(None, "EUR/kWh", "price of each kWh; empty: the planner decides it", lower=0.0, upper=10.0)
    price_min: float = quantity(0.0, "EUR/kWh", "lowest price the planner may set", lower=0.0, upper=10.0)
    price_max: float = quantity(0.30, "EUR/kWh", "highest price the planner may set", lower=0.0, upper=10.0)
