"""What a device of a prosumer is to the rest of the engine: the protocol that every file of this folder implements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np

from multiscale.attribute import Attribute
from multiscale.devices.one_state import InProgram, OneState
from multiscale.devices.prosumers import Prosumers, summed
from multiscale.settings import Settings

if TYPE_CHECKING:
    from multiscale.programs import ParametricProgram, ProgramBuilder
    from multiscale.programs.build import Term

Role = Literal["generation", "consumption", "storage"]
"""``generation``: available power that may be curtailed; ``consumption``: only draws, flexible in time; ``storage``: draws and supplies."""


@dataclass(frozen=True)
class Variable:
    """A variable of the fleet that a device declares.

    Attributes:
        unit, meaning: for people.
        by_period: dims (prosumer, period), else (prosumer).
        weight: variable by which it is averaged when devices are put together (an efficiency); empty: values add up.
        absent: value at a prosumer without the device.
    """

    unit: str
    meaning: str
    by_period: bool = False
    weight: str = ""
    absent: float = 0.0


@dataclass(frozen=True)
class Rows:
    """Rows of the device table of one kind of device.

    Attributes:
        columns: column -> values, (row,).
        sample: column that names a profile -> mean of that profile in every period, (row, period), in the unit of the profile.
        owner: position of each row's prosumer.
        prosumers: number of prosumers.
    """

    columns: Mapping[str, np.ndarray]
    sample: Callable[[str], np.ndarray]
    owner: np.ndarray
    prosumers: int

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of every prosumer, (row, ...) -> (prosumer, ...)."""
        return summed(values, self.owner, self.prosumers)

    def mean(self, values: np.ndarray, weight: np.ndarray, absent: float) -> np.ndarray:
        """Mean over the rows of every prosumer by their weight, ``absent`` where there is none, (row, ...) -> (prosumer, ...)."""
        weight = weight.reshape(len(weight), *(1,) * (values.ndim - 1))
        total = self.total(weight)
        return np.where(total > 0, self.total(weight * values) / np.where(total > 0, total, 1.0), absent)


@dataclass(frozen=True)
class Energy:
    """Energy of a device in the account of its platform [kWh/a]: ``consumed`` on purpose, ``generated``, ``curtailed``, ``lost`` in storage."""

    consumed: float = 0.0
    generated: float = 0.0
    curtailed: float = 0.0
    lost: float = 0.0


class Device(Settings):
    """Settings of a kind of device, and what it does with a fleet that owns some.

    A subclass is one file and one line in the registry. It declares its settings (fields with unit, range, default and meaning) and these
    constants; arrays are over (prosumer, period) unless said otherwise, powers in kW.

    Attributes:
        kinds: values of ``kind`` in the device table that are devices of this kind.
        role: what it can do; decides how it enters passive demand, and how fleets are reduced.
        columns: columns of the device table it reads beyond the common ones.
        required: those of its columns without which a row of these kinds cannot be used.
        variables: variables of the fleet it declares.
        profile: of a generator, the variable with its available power.
        yields: columns of the program with renewable power that is used [kW], over prosumers or owners and periods.
        decided: columns of the program that are decisions of a period, fixed once that period is over.
        states: columns of the program that are states at the end of a period. All are cyclic: a day, or a span of days in a row, begins as it ends.
    """

    kinds: ClassVar[tuple[str, ...]]
    role: ClassVar[Role]
    columns: ClassVar[Mapping[str, Attribute]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    variables: ClassVar[Mapping[str, Variable]]
    profile: ClassVar[str] = ""
    yields: ClassVar[tuple[str, ...]] = ()
    decided: ClassVar[tuple[str, ...]] = ()
    states: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, devices: Mapping[str, Device]) -> Self:
        """The settings of this kind among those in force.

        Raises:
            KeyError: there are none.
        """
        for device in devices.values():
            if isinstance(device, cls):
                return device
        raise KeyError(f"no settings of {cls.__name__} among {sorted(devices)}")

    # -- from the tables to the fleet -------------------------------------------------------------------------------
    def reference(self, rows: Rows) -> np.ndarray:
        """Power of every row when uncontrolled [kW], (row, period): drawn, or available of a generator. Rating times profile."""
        return rows.columns["p_kw"][:, None] * rows.sample("profile")

    @abstractmethod
    def expand(self, rows: Rows) -> dict[str, np.ndarray]:
        """The variables of the fleet from the rows of its kinds."""

    def aggregate(self, data: Mapping[str, np.ndarray], group: np.ndarray, groups: int) -> dict[str, np.ndarray]:
        """The variables of one participant per group: sums, and means by the weights declared.

        Exact for devices of one ``shape``: what they can do together (the Minkowski sum of what each can do) is what the one device can do, and
        costs are linear in it. Else an outer approximation.

        Args:
            data: variables before.
            group: position of every prosumer's group.
            groups: number of groups.
        """
        out = {}
        for name, declared in self.variables.items():
            values = data[name]
            if declared.weight:
                weight = data[declared.weight]
                weight = np.where(summed(weight, group, groups)[group] > 0, weight, 1e-12)
                weight = weight.reshape(len(weight), *(1,) * (values.ndim - 1))
                out[name] = summed(weight * values, group, groups) / summed(weight, group, groups)
            else:
                out[name] = summed(values, group, groups)
        return out

    @abstractmethod
    def shape(self, fleet: Prosumers) -> np.ndarray:
        """What two devices must share to differ in size only, (prosumer, any number of values); devices of one shape sum exactly."""

    @abstractmethod
    def owners(self, fleet: Prosumers) -> np.ndarray:
        """Whether each prosumer has the device, (prosumer,)."""

    def scaled(self, data: Mapping[str, np.ndarray], consumption: np.ndarray | float, generation: np.ndarray | float) -> dict[str, np.ndarray]:
        """The variables that change when consumption is so many times what it was, and generation, (period,)."""
        del data, consumption, generation
        return {}

    def notes(self, fleet: Prosumers) -> list[str]:
        """What of the members' devices cannot be as the data says: member, field, value, unit, and what is done."""
        del fleet
        return []

    # -- power ------------------------------------------------------------------------------------------------------
    def reference_consumption(self, fleet: Prosumers) -> np.ndarray | float:
        """Power drawn when uncontrolled [kW]."""
        del fleet
        return 0.0

    def reference_generation(self, fleet: Prosumers) -> np.ndarray | float:
        """Power available to be fed in [kW]."""
        del fleet
        return 0.0

    @abstractmethod
    def largest_consumption(self, fleet: Prosumers) -> np.ndarray | float:
        """Upper bound on what the device can draw [kW]."""

    @abstractmethod
    def largest_supply(self, fleet: Prosumers) -> np.ndarray | float:
        """Upper bound on what the device can supply [kW]."""

    def firm_supply(self, fleet: Prosumers, hours: float) -> np.ndarray | float:
        """Power that it can supply for so many hours whenever called [kW], (prosumer,)."""
        del fleet, hours
        return 0.0

    # -- without a program ------------------------------------------------------------------------------------------
    def one_state(self, fleet: Prosumers) -> OneState | None:
        """The devices of all owners as devices with one state, the same as in a program; None: they are not, and only a program has them."""
        del fleet
        return None

    def in_program(self, fleet: Prosumers, drawn: np.ndarray, supplied: np.ndarray, state: np.ndarray) -> InProgram:
        """A schedule of all owners as columns of a program; of devices with one state and of generation that may be curtailed freely.

        Args:
            fleet: of the owners.
            drawn, supplied: power [kW], (owner, period).
            state: at the end of every period, as of ``one_state`` [kWh], (owner, period).
        """
        raise NotImplementedError(f"{type(self).__name__} has no schedule outside a program")

    @property
    def unused_cost(self) -> float | None:
        """Of generation that may be curtailed freely in every period: cost of each kWh not used [EUR/kWh]; None: it is none such."""
        return None

    # -- in the program ---------------------------------------------------------------------------------------------
    @abstractmethod
    def add(self, builder: ProgramBuilder, fleet: Prosumers) -> list[Term]:
        """Add columns and rows over the owners; returns the terms of the prosumers' balance, supply positive."""

    def largest_reserve(self, fleet: Prosumers) -> float | None:
        """Power it can hold back for forecast errors, upward and downward alike [kW]; None: it holds no reserve."""
        del fleet
        return None

    @property
    def use_cost(self) -> float:
        """Cost of each kWh of a reserve that is used, either way [EUR/kWh]."""
        return 0.0

    def add_reserve(self, builder: ProgramBuilder, program: ParametricProgram, fleet: Prosumers, cost: np.ndarray) -> list[Term]:
        """Add columns and rows, their names beginning with ``reserve``, for what it holds back; returns the terms of the reserve, (period, owner).

        Args:
            builder: continues the program.
            program: as it is without reserves.
            fleet: of the program.
            cost: of each kW held back [EUR/a], (period,).
        """
        del builder, program, fleet, cost
        return []

    def curtailed(self, fleet: Prosumers, power: Callable[[str], np.ndarray]) -> np.ndarray | float:
        """Power that all together could feed in and do not [kW], (period,); ``power``: column of the program -> its sum, zero where there is none."""
        del fleet, power
        return 0.0

    @abstractmethod
    def energy(self, fleet: Prosumers, total: Callable[[str], float]) -> Energy:
        """Its part of the platform's energy account; ``total``: column of the program -> energy of it [kWh/a], zero where there is none."""
