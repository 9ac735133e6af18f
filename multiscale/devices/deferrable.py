"""Consumption that may be served earlier or later than its reference profile: what vehicles and heat pumps have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from multiscale.devices.device import Device, Energy, Rows, Variable
from multiscale.devices.one_state import InProgram, OneState
from multiscale.devices.prosumers import Prosumers, axes_of, placed, spread
from multiscale.settings import quantity
from multiscale.symbols import Named

if TYPE_CHECKING:
    from multiscale.programs import ProgramBuilder
    from multiscale.programs.build import Term
    from multiscale.timeline import Horizon


class Deferrable(Device):
    """Demand as a backlog of energy against its reference profile.

        backlog_t = (1 - loss D) backlog_(t-1) + D (reference_t - power_t),   cyclic per day,   0 <= power_t <= rated
        -(reference energy of the next ``earlier_hours``) <= backlog_t <= (reference energy of the last ``later_hours``)   [kWh]

    The band is the comfort; each kWh moved costs ``discomfort`` per hour.

    Attributes:
        name: of the columns of the program, and of the variable of the fleet with the reference profile [kW].
        rated: variable of the fleet with the rated power [kW]; it, the columns decided and the states are named after ``name``.
    """

    role = "consumption"
    name: ClassVar[str]
    rated: ClassVar[str]

    earlier_hours: float
    later_hours: float
    loss_per_hour: float
    discomfort: float = quantity(0.005, "EUR/kWh", "cost of each kWh moved in time, per hour of shift", lower=0.0, upper=10.0)

    def __init_subclass__(cls, **options: Any) -> None:
        """A kind of deferrable consumption states its ``name``."""
        super().__init_subclass__(**options)
        cls.rated, cls.decided, cls.states = f"{cls.name}_power", (cls.name,), (f"{cls.name}_late", f"{cls.name}_early")

    def expand(self, rows: Rows) -> dict[str, np.ndarray]:
        """Reference profile and rated power."""
        return {self.name: rows.total(self.reference(rows)), self.rated: rows.total(rows.columns["p_kw"])}

    def shape(self, fleet: Prosumers) -> np.ndarray:
        """The reference profile relative to the rating: bands and limits scale with it."""
        profile, rated = fleet.arrays[self.name], fleet.arrays[self.rated]
        scale = np.where(rated > 0, rated, profile.max(axis=1, initial=0.0))
        scale = np.where(scale > 0, scale, 1.0)
        return np.concatenate([profile / scale[:, None], (rated / scale)[:, None]], axis=1)

    def owners(self, fleet: Prosumers) -> np.ndarray:
        """Where anything is ever drawn."""
        return fleet.arrays[self.name].max(axis=1, initial=0.0) > 0

    def scaled(self, data: Mapping[str, np.ndarray], consumption: np.ndarray | float, generation: np.ndarray | float) -> dict[str, np.ndarray]:
        """Another reference profile."""
        del generation
        return {self.name: data[self.name] * consumption}

    def reference_consumption(self, fleet: Prosumers) -> np.ndarray:
        """The reference profile."""
        return fleet.arrays[self.name]

    def bands(self, fleet: Prosumers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Largest energy late, largest energy early [kWh] and largest power [kW] of every prosumer, (prosumer, period).

        The power is limited by the rating, and by what can be due: the reference and both bands.
        """
        horizon, profile = fleet.horizon, fleet.arrays[self.name]

        def count(hours: float) -> int:
            return min(round(hours / horizon.step_hours), horizon.steps - 1)

        late = _earlier(profile, horizon, range(count(self.later_hours)))
        early = _earlier(profile, horizon, [-(k + 1) for k in range(count(self.earlier_hours))])
        due = profile + (late[:, horizon.previous] + early) / horizon.step_hours
        return late, early, np.minimum(np.maximum(fleet.arrays[self.rated][:, None], profile), due)

    def largest_consumption(self, fleet: Prosumers) -> np.ndarray:
        """See ``bands``."""
        return self.bands(fleet)[2]

    def largest_supply(self, fleet: Prosumers) -> float:
        """It supplies nothing."""
        del fleet
        return 0.0

    def one_state(self, fleet: Prosumers) -> OneState:
        """The energy early, which is a negative backlog."""
        step, owners = fleet.horizon.step_hours, np.flatnonzero(self.owners(fleet))
        late, early, limit = (values[owners] for values in self.bands(fleet))
        one, none = np.ones((1, 1)), np.zeros((1, 1))
        shift = -step * fleet.arrays[self.name][owners]
        keep, cost = np.array([[1.0 - self.loss_per_hour * step]]), self.discomfort
        return OneState(owners, one, none, limit, one, one, keep, shift, -late, early, cost_below=cost, cost_above=cost)

    def in_program(self, fleet: Prosumers, drawn: np.ndarray, supplied: np.ndarray, state: np.ndarray) -> InProgram:
        """Power, and the energy late and early."""
        del fleet, supplied
        both = {f"{self.name}_late": np.maximum(-state, 0.0), f"{self.name}_early": np.maximum(state, 0.0)}
        return InProgram({self.name: drawn} | both, f"{self.name}_energy")

    def add(self, builder: ProgramBuilder, fleet: Prosumers) -> list[Term]:
        """Columns of the power [kW] and of the energy late and early [kWh]."""
        horizon, profile = fleet.horizon, fleet.arrays[self.name]
        owners, place = placed(self.owners(fleet))
        if not len(owners):
            return []
        step, cost = horizon.step_hours, self.discomfort * horizon.hours_per_year
        late, early, limit = (values[owners] for values in self.bands(fleet))
        axes = axes_of(fleet, owners, f"{self.name}_owner")
        label = self.name.replace("_", " ")
        power = builder.add_columns(self.name, axes, unit="kW", upper=limit, description=f"{label} power")
        terms: list[Term] = [(Named(step, "\\Delta", "length of a period", "h"), power)]
        for sign, word, band in ((1.0, "late", late), (-1.0, "early", early)):
            if band.max(initial=0.0) > 0:
                owed = builder.add_columns(f"{self.name}_{word}", axes, unit="kWh", upper=band, cost=cost, description=f"{label} energy {word}")
                kept = f"{'-' if sign > 0 else ''}(1 - \\lambda \\Delta)"
                left = Named(sign * (self.loss_per_hour * step - 1.0), kept, "share of deferred energy that a period leaves", "1")
                terms += [(sign, owed), (left, owed[:, horizon.previous])]
        wanted = Named(step * profile[owners], "\\Delta r@", f"reference consumption of the {label} in a period", "kWh")
        builder.add_rows(f"{self.name}_energy", axes, terms, "==", wanted, unit="kWh", description=f"{label} energy balance")
        return [(-1.0, spread(power, place))]

    def energy(self, fleet: Prosumers, total: Callable[[str], float]) -> Energy:
        """What it draws."""
        del fleet
        return Energy(consumed=total(self.name))


def deferrable_variables(name: str, rated: str, device: str, reference: str) -> dict[str, Variable]:
    """The variables of the fleet of such a device."""
    return {name: Variable("kW", f"{reference} (reference)", by_period=True), rated: Variable("kW", device)}


def _earlier(profile: np.ndarray, horizon: Horizon, steps: Sequence[int]) -> np.ndarray:
    """Sum of a profile over periods so many steps before (negative: after), around the end of a cycle, times the step [h]."""
    total = np.zeros_like(profile)
    by_cycle = profile.reshape(profile.shape[0], profile.shape[1] // horizon.cycle, horizon.cycle)
    for k in steps:
        total += horizon.step_hours * np.roll(by_cycle, k, axis=2).reshape(profile.shape)
    return total
