"""What a DSO may build, to the rest of the engine: the protocol that every file of this folder implements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from multiscale.attribute import Attribute
from multiscale.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from multiscale.programs import ProgramBuilder


@dataclass(frozen=True)
class Site:
    """A branch on which something may be built.

    Attributes:
        branch: its name.
        kind: ``line`` or ``transformer``.
        vn_kv: nominal voltage at its ``from_bus``.
        rating_kva: today.
        length_km: of a line.
    """

    branch: str
    kind: str
    vn_kv: float
    rating_kva: float
    length_km: float


@dataclass(frozen=True)
class Need:
    """What a DSO's network lacks without demand response.

    Attributes:
        loading: branch -> largest share of its usable rating [%].
        outside: branch -> distance [pu] by which the voltage leaves the band at the bus the branch feeds, where the buses before it are within
            theirs; branches without such a bus are not named.
    """

    loading: Mapping[str, float]
    outside: Mapping[str, float]


@dataclass(frozen=True)
class Proposal:
    """An option that a measure proposes: its name, and its columns of the option table."""

    name: str
    columns: Mapping[str, Any]


class NoFittingCostError(ValueError):
    """No row of the cost table fits a branch; the message says which would."""


@dataclass(frozen=True)
class NetworkProgram:
    """A DSO's network as rows and columns of its program; branch i > 0 of the tree feeds bus i.

    Attributes:
        builder: receives columns, rows and terms of right-hand sides.
        periods: labels.
        names: name of every branch of the tree, (bus fed).
        single: whether it is one branch, not several in parallel, (bus fed).
        flow: columns of the flows towards the customers [kW], (bus fed, period); -1 where the reduction dropped the branch.
        rating: rows that limit them towards the customers and back, (2, bus fed, period); -1 where the rating cannot bind.
        voltage_drop: rows ``v_i - v_feeding + drop = constant`` [pu^2], (bus fed, period); -1 where no voltage below can bind.
        needed: largest flow towards the customers and back [kW], (2, bus fed, period).
        per_kw: rise of the drop of the squared voltage along every branch per kW [pu^2/kW], (bus fed,).
        fixed_drop: part of that drop which no flow of active power changes: reactive power [pu^2], (bus fed, period).
        usable: position of a branch and rating added to it [kVA] -> what it may carry towards the customers and back [kW], (2, period).
    """

    builder: ProgramBuilder
    periods: np.ndarray
    names: np.ndarray
    single: np.ndarray
    flow: np.ndarray
    rating: np.ndarray
    voltage_drop: np.ndarray
    needed: np.ndarray
    per_kw: np.ndarray
    fixed_drop: np.ndarray
    usable: Callable[[int, float], np.ndarray]


@dataclass(frozen=True)
class Placed:
    """Options of one measure in a network.

    Attributes:
        branch: position of the branch of every option in the tree, (option).
        columns: of the option table, column -> values, (option).
        built: positions of the parameters that say whether each is built, (option).
    """

    branch: np.ndarray
    columns: Mapping[str, np.ndarray]
    built: np.ndarray


class Measure(Settings):
    """A kind of option.

    Its settings say what it costs where the study proposes options; an option in the system's table carries everything in its own columns.
    """

    columns: ClassVar[Mapping[str, Attribute]] = {}
    """Columns of the option table that it alone reads, beyond branch, cost and lifetime."""
    required: ClassVar[tuple[str, ...]] = ()
    """Those of them that must be above zero."""
    low_voltage: ClassVar[bool] = False
    """Whether options are proposed in the low-voltage networks of platforms; else in the networks of DSOs."""
    branch_kinds: ClassVar[tuple[str, ...]] = ("line", "transformer")
    """Kinds of branch on which options are proposed."""

    transmission: ClassVar[bool] = False
    """Whether it may be built on branches of the transmission network, where it acts by the rating and the reactance that ``apply`` gives them."""

    offered: bool = Field(False, description="whether options of this kind are proposed where the system names none")

    @abstractmethod
    def sites(self, need: Need, count: int) -> list[str]:
        """At most ``count`` branches of a DSO where it is worth asking about, the most urgent first."""

    @abstractmethod
    def propose(self, site: Site, costs: pd.DataFrame) -> Proposal:
        """The option on a branch.

        Args:
            site: the branch.
            costs: reinforcement cost table (``COST_COLUMNS``).

        Raises:
            NoFittingCostError: the table has no row for this branch.
        """

    @staticmethod
    def added_rating(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Rating that options add to their branches [kVA], (option): today's rating does not limit the flow there."""
        return np.zeros(len(columns["branch"]))

    @staticmethod
    def voltage_change(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Most by which options may move the squared voltage below their branches up or down [pu^2], (option)."""
        return np.zeros(len(columns["branch"]))

    @staticmethod
    def impedance_removed(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Share of the impedance of their branches that options take away [1], (option)."""
        return np.zeros(len(columns["branch"]))

    @staticmethod
    def problems(columns: Mapping[str, np.ndarray], branches: Mapping[str, np.ndarray]) -> Sequence[tuple[int, str, str]]:
        """What is wrong with options on these branches (rows of the branch table, aligned): position, column, message."""
        del columns, branches
        return ()

    @staticmethod
    @abstractmethod
    def act(network: NetworkProgram, options: Placed) -> None:
        """Put into a DSO's program what options change there, in proportion to the parameters ``built``."""

    @staticmethod
    @abstractmethod
    def apply(branch: Mapping[str, Any], option: Mapping[str, Any], vn_kv: float, fed: str) -> dict[str, Any]:
        """A row of the branch table with the option built, for the AC power flow.

        Args:
            branch: columns of the branch.
            option: columns of the option.
            vn_kv: nominal voltage at its ``to_bus``.
            fed: its end that is fed through it.
        """
