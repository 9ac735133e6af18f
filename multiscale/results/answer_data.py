"""What a study is about and what it found, before it is written: the case, its scenarios and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.aggregation import Aggregation
from multiscale.assessment import Ledger
from multiscale.coordination.common.conflicts import LevelConflict
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.days import CoordinatedDay
from multiscale.coordination.uncertainty.day_reserves import DayReserves
from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet
from multiscale.operation import Design, OperatingTree
from multiscale.planning import ConventionalNeed, Plan
from multiscale.system import Economics, LoadingLimits, System
from multiscale.timeline import Horizon
from multiscale.verification.ac import Verification
from multiscale.verification.year import YearVerification


@dataclass(frozen=True)
class StudyCase:
    """What a study is about, before any decision.

    Attributes:
        system: with its reinforcement options.
        aggregation: representative days and their error.
        economics, limits: assumptions.
        fleets: platform -> prosumers over all representative days.
        need: DSO -> loading without any response of prosumers.
        adoption: platform -> capacity its prosumers may buy.
        warnings: what the representative days miss beyond the limits set.
    """

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
    """One way things may be, operated over all days.

    Attributes:
        name: key in dataset and summary.
        title: its name in plain words.
        design: reinforcements and charges in force.
        trees: programs of each day.
        outcomes: operation of each day.
        ledger: payments and costs over the year.
        verification: DSO -> AC power flow of all periods.
    """

    name: str
    title: str
    design: Design
    trees: tuple[OperatingTree, ...]
    outcomes: tuple[Outcome, ...]
    ledger: Ledger
    verification: Mapping[str, Verification]


@dataclass(frozen=True)
class StudyAnswer:
    """Everything a study found.

    Attributes:
        case: what it is about.
        energy_price: DSO -> forecast nodal price the planner saw [EUR/kWh], (period,).
        plans: DSO -> plan (empty without planning).
        days: operation under the plan, day by day, with the reference mechanisms.
        scenarios: name -> scenario, in the order of tables and figures.
        baseline, headline: names of the scenarios that the headline compares.
        conflicts: day by day, what levels refuse each other in the headline scenario.
        reserves: day by day, the reserves agreed for forecast errors; empty where forecasts do not err.
        year: DSO -> AC power flow of the headline scenario in every hour of the year; empty where it was not asked for.
    """

    case: StudyCase
    energy_price: Mapping[str, np.ndarray]
    plans: Mapping[str, Plan]
    days: tuple[CoordinatedDay, ...]
    scenarios: Mapping[str, Scenario]
    baseline: str
    headline: str
    conflicts: tuple[tuple[LevelConflict, ...], ...] = ()
    reserves: tuple[DayReserves, ...] = ()
    year: Mapping[str, YearVerification] = field(default_factory=dict)

    @property
    def plan(self) -> Scenario:
        """The headline scenario."""
        return self.scenarios[self.headline]

    @property
    def reference(self) -> Scenario:
        """The scenario that the headline is compared with."""
        return self.scenarios[self.baseline]
