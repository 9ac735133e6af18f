"""A payment for firm capacity: storage in platforms is paid what generators and storage elsewhere are paid."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.metering import Charge
from multiscale.tariffs.policies.policy import Owned, Policy

YEAR = 365.0
"""Days for which the yearly price is paid."""


class CapacityPayment(Policy):
    """One price for firm capacity of storage and generators alike: ``price * firm capacity`` [EUR/a].

        firm capacity = derating * sum over members of power they can supply for ``duration`` hours whenever called      [kW]

    for a year of 365 days (each day counts for itself), of existing and of new storage: the power of its converter, or its usable energy less the
    loss of discharging over the duration, whichever is less. What generates with the sun is not firm, and consumption that can be moved has no
    energy of its own to supply. Generators of the transmission level are paid the same price for ``generators`` of their rated power, by the state
    alone, since no distribution operator plans for them: that decides nothing, and shows what the mechanism costs in all.

    The price is given or decided by the planner; an auction of capacity, whose price follows from offers, is not modelled.

    Sources: capacity is counted after derating, storage by the duration for which it lasts, as in the capacity market of Great Britain (National
    Grid ESO, Duration-limited storage de-rating factor assessment, 2017).
    """

    kind: Literal["capacity_payment"] = "capacity_payment"
    price: float | None = quantity(
        None, "EUR/kW", "price of each kW of firm capacity, in every year; empty: the planner decides it", lower=0.0, upper=1000.0
    )
    price_min: float = quantity(0.0, "EUR/kW", "lowest price the planner may set", lower=0.0, upper=1000.0)
    price_max: float = quantity(60.0, "EUR/kW", "highest price the planner may set", lower=0.0, upper=1000.0)
    duration: float = quantity(4.0, "h", "time for which capacity has to last", above=0.0, upper=24.0)
    derating: float = quantity(0.95, "1", "share of storage that counts as firm", lower=0.0, upper=1.0)
    generators: float = quantity(0.0, "1", "share of the rated power of generators of the transmission level that is paid too", lower=0.0, upper=1.0)

    determinant_unit: ClassVar[str] = "kW"

    @model_validator(mode="after")
    def _generators_of_the_state(self) -> CapacityPayment:
        if self.generators > 0 and self.receiver != "supplier and state":
            raise ValueError(f"generators {self.generators:g} are paid by the state alone, and receiver is {self.receiver!r}; set generators=0")
        return self

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """See ``Policy``; that of existing devices is a column ``<name> existing`` that nothing can change."""
        counted = self.derating * float(devices.horizon.hours_per_year.sum()) / (24.0 * YEAR)
        charges = [Charge(one.size, -counted * one.firm(self.duration)) for one in devices.bought.values() if one.firm(self.duration) > 0]
        firm = devices.firm(self.duration)
        if firm.any():
            who = {"prosumer": devices.owners}
            fixed = builder.add_columns(f"{name} existing", who, unit="kW", lower=firm, upper=firm, description="firm capacity of existing devices")
            charges.append(Charge(fixed, -counted))
        return charges

    def elsewhere(self, rated: float) -> float:
        """See ``Policy``."""
        return self.generators * rated
