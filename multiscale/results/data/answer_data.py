"""What a study is about and what it found, before it is written: the case, its scenarios and the answer, for every year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.aggregation import Aggregation
from multiscale.assessment import Ledger
from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet
from multiscale.operation import Design
from multiscale.planning import ConventionalNeed, Plan, Regime, Social
from multiscale.planning.nested.answer import TransmissionPlan
from multiscale.planning.targets import Targets
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon
from multiscale.verification.ac import Verification
from multiscale.verification.outages import OutageCheck
from multiscale.verification.year import YearCheck


@dataclass(frozen=True)
class StudyCase:
    """What a study is about in one year, before any decision.

    Attributes:
        year: which one.
        system: with its reinforcement options.
        aggregation: representative days and their error.
        economics, limits: assumptions.
        fleets: platform -> prosumers over all representative days.
        need: DSO -> loading without any response of prosumers.
        adoption: platform -> capacity its prosumers may buy.
        warnings: what the representative days miss beyond the limits set.
    """

    year: int
    system: System
    aggregation: Aggregation
    economics: Economics
    limits: LoadingLimits
    fleets: Mapping[str, Fleet]
    need: Mapping[str, ConventionalNeed]
    adoption: Mapping[str, Adoption]
    warnings: tuple[str, ...] = ()

    @property
    def horizon(self) -> Horizon:
        """The representative days."""
        return self.aggregation.horizon


@dataclass(frozen=True)
class Scenario:
    """One way things may be in a year, operated over all days.

    Attributes:
        name: key in dataset and summary.
        title: its name in plain words.
        operation: of all days.
        ledger: payments and costs over the year.
        verification: DSO -> AC power flow of all periods.
    """

    name: str
    title: str
    operation: Operation
    ledger: Ledger
    verification: Mapping[str, Verification]

    @property
    def design(self) -> Design:
        """Reinforcements and prices in force."""
        return self.operation.design


@dataclass(frozen=True)
class RepairRecord:
    """How often a plan was made anew because the AC power flow violated limits.

    Attributes:
        violations: branches and buses that were violated, round by round; the last is what stands.
        stopped: why the repair ended with violations, in words; empty where none is left.
    """

    violations: tuple[int, ...] = (0,)
    stopped: tuple[str, ...] = ()

    @property
    def rounds(self) -> int:
        """Number of plans after the first."""
        return len(self.violations) - 1


@dataclass(frozen=True)
class StagedPlan:
    """The plans of several years together: what one builds stays built in the next.

    Attributes:
        weights: year -> present value of 1 EUR/a over the stage that it stands for [a].
        bound: proven lower bound on the present value of the cost of any plans that keep to each other [EUR].
        separate: the same where every year is planned by itself [EUR].
        solves: number of plans that were made.
        ended: what ended the search before its end, in words; empty where nothing did.
        yardsticks: year -> DSO -> what it was compared with, where the regime compares operators [EUR/a]: the bound holds for these alone.
    """

    weights: Mapping[int, float]
    bound: float
    separate: float
    solves: int
    ended: str = ""
    yardsticks: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Incomes:
    """Incomes of households.

    Attributes:
        yearly: prosumer -> income [EUR/a], where it is known.
        groups: number of groups in which they are shown.
        limit: share of the income above which a bill is a high energy burden [1].
    """

    yearly: Mapping[str, float] = field(default_factory=dict)
    groups: int = 5
    limit: float = 0.1


@dataclass(frozen=True)
class YearAnswer:
    """What a study found for one year.

    Attributes:
        case: what it is about.
        energy_price: DSO -> forecast nodal price the planner saw [EUR/kWh], (period,).
        plans: DSO -> plan (empty without planning).
        scenarios: name -> scenario, in the order of tables and figures.
        baseline, headline: names of the scenarios that are compared first.
        bought: platform -> device -> new capacity of every member in the headline scenario [unit of the device's capacity], (prosumer,).
        year_check: AC power flow of the headline scenario in every hour of the year; empty where it was not asked for.
        repair: of the plan, until its AC power flow violates no limit.
        regime: under which it was planned.
        incomes: of households, and how they are shown.
        outages: DSO -> AC power flow of the headline scenario under single outages; empty where it was not asked for.
        transmission: what the transmission operator builds, alone or together with the DSOs; None where it does not plan.
        targets: name -> target that the plan of every operator had to reach.
        relief: what that changes in the cost of supplying customers on the transmission level itself [EUR/a].
    """

    case: StudyCase
    energy_price: Mapping[str, np.ndarray]
    plans: Mapping[str, Plan]
    scenarios: Mapping[str, Scenario]
    baseline: str
    headline: str
    bought: Bought
    year_check: YearCheck = field(default_factory=YearCheck)
    repair: RepairRecord = RepairRecord()
    regime: Regime = field(default_factory=Social)
    incomes: Incomes = field(default_factory=Incomes)
    outages: Mapping[str, OutageCheck] = field(default_factory=dict)
    transmission: TransmissionPlan | None = None
    relief: float = 0.0
    targets: Targets = field(default_factory=dict)

    @property
    def plan(self) -> Scenario:
        """The headline scenario."""
        return self.scenarios[self.headline]

    @property
    def reference(self) -> Scenario:
        """The scenario that the headline is compared with."""
        return self.scenarios[self.baseline]
