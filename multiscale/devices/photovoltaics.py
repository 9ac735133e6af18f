"""Photovoltaics, and other generation that takes what nature offers: may be curtailed, and bought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from multiscale.devices.device import Energy, Rows, Variable
from multiscale.devices.one_state import InProgram
from multiscale.devices.prosumers import Prosumers, axes_of, placed, spread
from multiscale.devices.purchasable import Capacity, Offer, PurchasableDevice
from multiscale.settings import quantity
from multiscale.symbols import Named

if TYPE_CHECKING:
    from multiscale.programs import ProgramBuilder
    from multiscale.programs.build import Term


class Photovoltaics(PurchasableDevice):
    """Use of available generation, ``0 <= pv <= available`` [kW]; what is not used costs the curtailment cost."""

    kinds = ("pv", "wind", "hydro", "biomass")
    role = "generation"
    variables: ClassVar[Mapping[str, Variable]] = {
        "pv": Variable("kW", "available photovoltaic power", by_period=True),
        "pv_rating": Variable("kW", "rated photovoltaic power"),
    }
    profile = "pv"
    yields = ("pv", "new_pv_power")
    capacity = Capacity("new_pv", "pv", "kW", kind="pv")

    investment: float = quantity(1400.0, "EUR/kW", "investment in new photovoltaics", above=0.0)
    lifetime: float = quantity(25.0, "a", "lifetime of photovoltaics", above=0.0, upper=100.0)
    upkeep: float = quantity(28.0, "EUR/kW/a", "yearly cost of new photovoltaics: maintenance, metering, insurance", lower=0.0, upper=1000.0)
    largest_new: float = quantity(5.0, "kW", "most new photovoltaics that a prosumer may buy (planning.adoption)", lower=0.0, upper=1000.0)
    curtailment_cost: float = quantity(
        0.001, "EUR/kWh", "cost of each kWh of available generation not used, of passive generation too", lower=0.0, upper=10.0
    )

    def expand(self, rows: Rows) -> dict[str, np.ndarray]:
        """Available and rated power."""
        return {"pv": rows.total(self.reference(rows)), "pv_rating": rows.total(rows.columns["p_kw"])}

    def shape(self, fleet: Prosumers) -> np.ndarray:
        """Any two sum exactly: nothing couples the periods."""
        return np.zeros((fleet.size, 0))

    def owners(self, fleet: Prosumers) -> np.ndarray:
        """Where any power is ever available."""
        return fleet.arrays["pv"].max(axis=1, initial=0.0) > 0

    def scaled(self, data: Mapping[str, np.ndarray], consumption: np.ndarray | float, generation: np.ndarray | float) -> dict[str, np.ndarray]:
        """More or less sun."""
        del consumption
        return {"pv": data["pv"] * generation}

    def reference_generation(self, fleet: Prosumers) -> np.ndarray:
        """What is available."""
        return fleet.arrays["pv"]

    def largest_consumption(self, fleet: Prosumers) -> float:
        """It draws nothing."""
        del fleet
        return 0.0

    def largest_supply(self, fleet: Prosumers) -> np.ndarray:
        """What is available."""
        return fleet.arrays["pv"]

    @property
    def unused_cost(self) -> float:
        """The curtailment cost."""
        return self.curtailment_cost

    def in_program(self, fleet: Prosumers, drawn: np.ndarray, supplied: np.ndarray, state: np.ndarray) -> InProgram:
        """Power used."""
        del fleet, drawn, state
        return InProgram({"pv": supplied})

    def add(self, builder: ProgramBuilder, fleet: Prosumers) -> list[Term]:
        """Columns ``pv`` [kW]; the cost of curtailing everything is a constant, from which each kWh used is taken off."""
        hours, available = fleet.horizon.hours_per_year, fleet.arrays["pv"]
        owners, place = placed(self.owners(fleet))
        if not len(owners):
            return []
        axes, cost = axes_of(fleet, owners, "pv_owner"), -self.curtailment_cost * hours
        pv = builder.add_columns("pv", axes, unit="kW", upper=available[owners], cost=cost, description="PV power used")
        builder.add_constant_cost(float(self.curtailment_cost * (available * hours).sum()))
        return [(1.0, spread(pv, place))]

    def curtailed(self, fleet: Prosumers, power: Callable[[str], np.ndarray]) -> np.ndarray:
        """Available less used."""
        return np.asarray(fleet.arrays["pv"].sum(axis=0) - power("pv"))

    def energy(self, fleet: Prosumers, total: Callable[[str], float]) -> Energy:
        """Used, and curtailed."""
        used = total("pv")
        return Energy(generated=used, curtailed=float((fleet.horizon.hours_per_year * fleet.arrays["pv"]).sum()) - used)

    def add_new(self, builder: ProgramBuilder, fleet: Prosumers, offer: Offer, yearly_cost: float) -> list[Term]:
        """``0 <= power_t <= profile_t * size`` [kW], ``size <= largest``; what is not used costs the curtailment cost, as of existing ones."""
        if offer.largest.max(initial=0.0) <= 0:
            return []
        who, per_kwh = {"prosumer": fleet.arrays["prosumer"]}, self.curtailment_cost * fleet.horizon.hours_per_year
        axes = {**who, "period": fleet.horizon.labels}
        cost = yearly_cost + float((per_kwh * offer.profile).sum())
        size = builder.add_columns("new_pv", who, unit="kW", upper=offer.largest, cost=cost, description="PV bought")
        most = offer.largest[:, None] * offer.profile
        used = builder.add_columns("new_pv_power", axes, unit="kW", upper=most, cost=-per_kwh, description="power of PV bought")
        available: list[Term] = [(1.0, used), (Named(-offer.profile, "-y@", "yield per kW of photovoltaics", "1"), size[:, None])]
        builder.add_rows("new_pv_available", axes, available, "<=", 0.0, unit="kW", description="yield of PV bought")
        return [(1.0, used)]

    def with_new(self, data: Mapping[str, np.ndarray], size: np.ndarray, profile: np.ndarray) -> dict[str, np.ndarray]:
        """New next to existing capacity."""
        return {"pv": data["pv"] + size[:, None] * profile, "pv_rating": data["pv_rating"] + size}

    def new_supply(self, offer: Offer) -> np.ndarray:
        """What the largest size would yield."""
        return offer.largest[:, None] * offer.profile
