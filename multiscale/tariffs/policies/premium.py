"""A premium on renewable generation."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.metering import Charge
from multiscale.tariffs.policies.policy import Owned, Policy

Form = Literal["used", "available"]
"""On which energy a payment stands: what is generated and used or fed in, or what could be, whether it is curtailed or not."""


def generation_charges(builder: ProgramBuilder, name: str, devices: Owned, form: Form, sign: float) -> list[Charge]:
    """Generation of members times a sign [kWh/a].

    Of what is available, that of existing devices is a column ``<name> available`` that nothing can change.
    """
    hours = devices.horizon.hours_per_year
    if form == "used":
        return [Charge(columns, sign * hours) for columns in devices.used]
    charges = [Charge(one.size, sign * one.available) for one in devices.bought.values() if one.available > 0]
    if devices.available.any():
        who, most = {"prosumer": devices.owners}, devices.available
        fixed = builder.add_columns(f"{name} available", who, unit="kWh/a", lower=most, upper=most, description="energy existing devices could yield")
        charges.append(Charge(fixed, sign))
    return charges


class Premium(Policy):
    """A premium for each kWh of renewable generation of members: ``price * sum_t h_t generation_t`` [EUR/a].

    It stands on what is generated, wherever it goes, used or fed in. With ``form=available`` it stands on what could be generated (a capability
    payment): then it is no reason to generate at a price below zero, and pays for capacity alone.
    """

    kind: Literal["premium"] = "premium"
    price: float | None = quantity(None, "EUR/kWh", "premium on each kWh; empty: the planner decides it", lower=0.0, upper=10.0)
    price_min: float = quantity(0.0, "EUR/kWh", "lowest premium the planner may set", lower=0.0, upper=10.0)
    price_max: float = quantity(0.10, "EUR/kWh", "highest premium the planner may set", lower=0.0, upper=10.0)
    form: Form = Field("used", description="on which generation it is paid: used: what is used or fed in; available: what could be")

    determinant_unit: ClassVar[str] = "kWh/a"

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """See ``Policy``."""
        return generation_charges(builder, name, devices, self.form, -1.0)


class Repayment(Premium):
    """What owners pay back for each kWh of their generation: the reference price of a contract for difference, ``price * generation`` [EUR/a]."""

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """See ``Policy``; with the opposite sign."""
        return generation_charges(builder, name, devices, self.form, 1.0)
