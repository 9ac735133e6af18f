"""Flexibility that the distribution operator buys at a posted price: less drawn in some hours of the day than without control."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.metering import Charge
from multiscale.tariffs.policies.policy import Owned, Policy
from multiscale.tariffs.policies.window import inside


class Flexibility(Policy):
    """A posted price for flexibility that platforms deliver to their distribution operator: ``price * delivered`` [EUR/a].

        delivered = sum_t h_t s_t (reference_t - drawn_t)      [kWh/a]

    over the devices of members that consume or store: ``reference`` is what they would draw uncontrolled (zero of storage), ``drawn`` what they draw,
    less what storage supplies, and ``s_t`` the share of a period that lies in the hours in which flexibility is bought. Who draws more than the
    reference in these hours pays back at the same price, as otherwise one would be paid for moving consumption to and fro.

    What is paid is expenditure of the operator (``Position.bought``): it is recovered, shared or borne as the regime has it, and not deducted from
    what charges earn. Any response in these hours is paid for, also one that prices would have led to without it.
    """

    kind: Literal["flexibility"] = "flexibility"
    price: float | None = quantity(None, "EUR/kWh", "price of each kWh delivered; empty: the planner decides it", lower=0.0, upper=10.0)
    price_min: float = quantity(0.0, "EUR/kWh", "lowest price the planner may post", lower=0.0, upper=10.0)
    price_max: float = quantity(0.30, "EUR/kWh", "highest price the planner may post", lower=0.0, upper=10.0)
    receiver: Literal["distribution operators"] = Field("distribution operators", description="who pays: distribution operators buy it")
    begins: float = quantity(17.0, "h", "hour of the day at which the hours in which it is bought begin", lower=0.0, upper=24.0)
    ends: float = quantity(21.0, "h", "hour of the day at which they end; before the beginning: on the next day", lower=0.0, upper=24.0)

    determinant_unit: ClassVar[str] = "kWh/a"
    expenditure: ClassVar[bool] = True

    @model_validator(mode="after")
    def _some_hours(self) -> Flexibility:
        if self.begins % 24 == self.ends % 24 and {self.begins, self.ends} != {0.0, 24.0}:
            raise ValueError(f"begins {self.begins:g} h and ends {self.ends:g} h leave no hours in which flexibility is bought; give different hours")
        return self

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """See ``Policy``; what is drawn less is a column ``<name> reference`` that nothing can change, less what is drawn."""
        if not len(devices.owners):
            return []
        hours = devices.horizon.hours_per_year * inside(devices.horizon, self.begins, self.ends)
        reference, charges = devices.reference @ hours, []
        if reference.any():
            who = {"prosumer": devices.owners}
            fixed = builder.add_columns(
                f"{name} reference", who, unit="kWh/a", lower=reference, upper=reference, description="energy drawn without control in these hours"
            )
            charges.append(Charge(fixed, -1.0))
        for coefficient, columns in devices.responding:
            has = columns >= 0
            supplied = np.broadcast_to(np.asarray(coefficient, dtype=float) * hours, columns.shape)
            charges.append(Charge(columns[has], -supplied[has]))
        return charges
