"""Every equation of a study, section by section, from the programs that the study would solve."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multiscale.markets.matched import MatchedMarket
from multiscale.mathematics.equations import Equation, Stated, stated
from multiscale.mathematics.latex import equation
from multiscale.mathematics.leader import leader_lines
from multiscale.operation import Design, operating_tree
from multiscale.operation.transmission_program import Monitored, period_program
from multiscale.pipeline.case import case_of
from multiscale.pipeline.plan import forecast, problem_of
from multiscale.planning.settings import DistributionPlanSettings
from multiscale.programs import Statement, recorded

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


@dataclass(frozen=True)
class Family:
    """An equation that several programs of a kind share.

    Attributes:
        equation: as the first of them states it.
        programs, rows: how many programs have it, and how many rows in all.
    """

    equation: Equation
    programs: int
    rows: int


@dataclass(frozen=True)
class Section:
    """Programs of one kind.

    Attributes:
        title: what they decide.
        note: what a reader must know: where prices and limits come from, which programs there are.
        programs: all of them.
        families: every family of rows of any of them; those that are stated differently in different programs stand apart.
        lines: further statements that are no program of arrays, as text.
    """

    title: str
    note: str
    programs: tuple[Stated, ...]
    families: tuple[Family, ...]
    lines: tuple[str, ...] = ()


def study_equations(config: StudyConfig) -> list[Section]:
    """The equations of a study: operation of platforms, distribution and transmission, and the plan.

    Programs are built and not solved, but for the forecast of the wholesale market and the range of the charge, which the planning problem needs.

    Not among them: what mechanisms solve on the way to an agreement, and the forms into which methods bring the plan.

    Raises:
        InvalidSystemError: the data has problems; all are listed.
    """
    case = case_of(config)
    market = config.market
    with recorded() as platforms:
        tree = operating_tree(case.system, case.horizon, case.economics, case.fleets, Design({}, {}), market, limits=case.limits)
        distribution = list(platforms)
        platforms.clear()
        if not isinstance(market, MatchedMarket):
            for name in tree.platforms:
                _ = tree.platforms[name]
    network = tree.transmission
    limited = np.flatnonzero(np.isfinite(network.model.limit))
    with recorded() as transmission:
        period_program(network, 0, Monitored.of(network.model, limited, limited))
    matched = "The market has no program: members negotiate. What follows is the platform that the planner and the parent see.\n"
    found = [
        _section("Operation of a platform", matched if isinstance(market, MatchedMarket) else str(inspect.getdoc(type(market))), platforms),
        _section("Operation of a distribution network", "The exchange of each platform is a parameter; nodal prices are derivatives.", distribution),
        _section("Dispatch of transmission", "One program for each period. Limits of branches enter where a dispatch exceeds them.", transmission),
    ]
    if isinstance(config.planning, DistributionPlanSettings) and case.system.at_level("dso"):
        expected = forecast(case)
        dso = next(iter(case.system.at_level("dso")))
        with recorded() as follower:
            problem = problem_of(case, dso, expected, config.planning, market)
        joined = (
            f"The distribution network of {dso} with the options, and its platforms as the planner sees them, are one program: the exchange of each "
            "platform takes the place of the parameter of that name. Prices between them are internal."
        )
        found.append(_section("Plan: the follower", joined, follower))
        found.append(Section("Plan: the leader", str(inspect.getdoc(type(config.regime))), (), (), leader_lines(problem, config.regime)))
    return found


def _section(title: str, note: str, statements: Sequence[Statement]) -> Section:
    """Families in the order in which they first occur."""
    programs = tuple(stated(statement) for statement in statements)
    order: dict[tuple[str, str], list[Equation]] = {}
    for program in programs:
        for found in program.equations:
            order.setdefault((found.block.name, equation(found)), []).append(found)
    families = tuple(Family(same[0], len(same), sum(e.block.size for e in same)) for same in order.values())
    return Section(title, note.strip(), programs, families)
