"""What a target is: a row that a plan has to satisfy in the answer of the platforms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from multiscale.planning.follower_names import PASSIVE
from multiscale.settings import Settings

if TYPE_CHECKING:
    from multiscale.planning.distribution_planning import PlanningProblem

REACHED = 1e-6
"""A target is reached within this distance, relative to its limit or to one unit of it: what rows of a solver are exact to."""

OPERATED = 1e-3
"""Operation keeps a target within this share of it: it follows prices of a mechanism, not the forecast that was planned for."""


def unit_words(unit: str) -> str:
    """A unit as it is written after a number; empty for a share."""
    return "" if unit == "1" else unit


class Answer(Protocol):
    """The answer of the platforms at a decision: numbers, or expressions of the leader's model."""

    def output(self, name: str) -> Any:
        """A scalar output of the follower, with what passive customers add to it."""

    def components(self) -> Sequence[str]:
        """Components of the tariff."""

    def prices(self, component: str) -> Sequence[Any]:
        """Prices of a component of the tariff in force."""

    def determinant(self, group: str, component: str) -> Sequence[Any]:
        """Determinant of a component of a group of customers (see ``groups``), one for each of its prices."""

    def total(self, component: str) -> Sequence[Any]:
        """Determinant of a component over all platforms."""


@dataclass(frozen=True)
class Reached:
    """A target and what a plan reaches.

    Attributes:
        kind: of the target.
        value, limit: what is reached, and what is demanded [unit].
        unit: of both.
        at_least: whether the limit is a lower one.
    """

    kind: str
    value: float
    limit: float
    unit: str
    at_least: bool

    @property
    def unit_words(self) -> str:
        """The unit as it is written after a number; empty for a share."""
        return unit_words(self.unit)

    @property
    def known(self) -> bool:
        """Whether the value is known."""
        return not isnan(self.value)

    @property
    def short(self) -> float:
        """How far the value is beyond the limit [unit]; below zero on its right side, NaN where it is not known."""
        return self.limit - self.value if self.at_least else self.value - self.limit

    def missed(self, share: float = 0.0) -> bool:
        """Whether the value is beyond the limit by more than rounding and a share of the limit; also where it is not known."""
        return not self.short <= self._room(share)

    @property
    def binding(self) -> bool:
        """Whether the value lies on the limit."""
        return abs(self.short) <= self._room(1e-4)

    def _room(self, share: float) -> float:
        return max(share * abs(self.limit), REACHED * max(1.0, abs(self.limit)))


class Target(Settings):
    """A target of the plan of every operator, in the answer of its platforms.

        excess(answer, limit) <= 0

    A kind declares its limit as a field of its own name and unit, and is one file and one line in the registry.
    """

    kind: str

    unit: ClassVar[str]
    """Unit of limit and value."""
    at_least: ClassVar[bool] = False
    """Whether the limit is a lower one."""
    priced: ClassVar[bool] = False
    """Whether prices of the tariff enter it."""
    called: ClassVar[str]
    """What is limited, in words."""

    @property
    def unit_words(self) -> str:
        """The unit as it is written after a number; empty for a share."""
        return unit_words(self.unit)

    @property
    @abstractmethod
    def limit(self) -> float:
        """What is demanded [unit]."""

    @abstractmethod
    def excess(self, answer: Answer, limit: Any) -> Any:
        """At most zero where the limit is kept; linear in outputs, and in products of prices and outputs."""

    def value(self, answer: Answer) -> float:
        """What an answer of numbers reaches [unit]."""
        return float(self.excess(answer, 0.0))

    def relaxed_to(self, by: Any) -> Any:
        """The limit relaxed by an amount [unit]."""
        return self.limit - by if self.at_least else self.limit + by

    def largest_relaxation(self) -> float | None:
        """Most by which the limit may be relaxed [unit]; None: there is no end."""
        return None

    def problem(self, known: Sequence[str], policies: Sequence[str]) -> str:
        """Why the target has no meaning where there are these groups of customers and policy mechanisms; empty where it has."""
        del known, policies
        return ""

    def reached(self, answer: Answer) -> Reached:
        """The target and what an answer reaches."""
        return Reached(self.kind, self.value(answer), self.limit, self.unit, self.at_least)


Targets = Mapping[str, Target]
"""Name -> target."""


def groups(problem: PlanningProblem) -> list[str]:
    """Groups of customers of an operator: those without a platform, and each of its platforms."""
    return [PASSIVE, *problem.participants]
