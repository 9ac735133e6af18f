"""The stage ``plan_transmission``: the transmission operator plans, alone or together with the distribution operators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.coordination.common.prepared import Progress, silent
from multiscale.operation import Market, Transmission
from multiscale.operation.built import with_transmission_built
from multiscale.planning import planning_problem
from multiscale.planning.nested.answer import TransmissionPlan
from multiscale.planning.nested.problem import NestedProblem, Operated
from multiscale.planning.nested.search import nested_plan
from multiscale.planning.participants import chosen_view
from multiscale.planning.persistence import Restriction
from multiscale.planning.settings import DistributionPlanSettings, TransmissionPlanning
from multiscale.results.data.answer_data import StudyCase


def nested_problem_of(case: StudyCase, planning: TransmissionPlanning, market: Market) -> NestedProblem:
    """The problem of all operators; under ``planning=tso`` distribution operators have no options, and prosumers buy nothing."""
    system, horizon, economics = case.system, case.horizon, case.economics
    options, nested = system.options, isinstance(planning, DistributionPlanSettings)
    on_top = np.isin(options.branch.values, system.network(system.top).active.branch.values)
    mine = options.isel(option=np.flatnonzero(on_top))
    theirs = options.isel(option=np.flatnonzero(~on_top) if nested else [])
    operators = {}
    for dso in system.at_level("dso"):
        members = {c: case.fleets[c] for c in system.children(dso)}
        operators[dso] = planning_problem(
            system, dso, horizon, economics, case.fleets, theirs, np.zeros(horizon.periods), market, limits=case.limits,
            adoption=case.adoption if nested else None, view=chosen_view(planning.participants, members, planning.members_limit),
        )  # fmt: skip
    annuity = mine.cost_eur.values * np.array([economics.annuity(years) for years in mine.lifetime_years.values.tolist()])
    return NestedProblem(Transmission(system, horizon, economics), mine, annuity, operators)


def plan_transmission(case: StudyCase, planning: TransmissionPlanning, market: Market, report_progress: Progress = silent) -> TransmissionPlan:
    """The plan of the transmission operator, and of distribution operators that plan with it, to a proven gap.

    Args:
        case: what is planned for.
        planning, market: settings of the study.
        report_progress: called with how far it has come.
    """
    problem = nested_problem_of(case, planning, market)
    effort = {"gap_eur": planning.gap_eur, "gap": planning.gap, "rounds": planning.rounds, "nodes": planning.node_limit}
    found = nested_plan(problem, **effort, report_progress=report_progress)  # type: ignore[arg-type]
    names = problem.names
    top, dsos = problem.network.system.top, problem.network.children
    alone: dict[str, float] = {}
    if isinstance(planning, DistributionPlanSettings):
        without = {d: p.among((), p.options.option.values.astype(str).tolist()) for d, p in problem.operators.items()}
        above = nested_plan(replace(problem, operators=without), **effort, report_progress=report_progress)  # type: ignore[arg-type]
        alone = {"transmission": above.best.cost, "distribution": found.first.cost}
    chosen = np.array([name in found.best.built for name in names[top]], dtype=bool)
    return TransmissionPlan(
        planning.kind,
        {name: bool(yes) for name, yes in zip(names[top], chosen.tolist(), strict=True)},
        {d: {name: name in found.best.built for name in names[d]} for d in dsos} if alone else {},
        found.best.price,
        found.best.cost,
        found.bound,
        found.nothing,
        found.everything,
        alone,
        float(problem.options.cost_eur.values[chosen].sum()),
        float(problem.annuity[chosen].sum()),
        _loading(problem, found.best),
        found.rounds,
        found.message,
        found.closed,
    )


def _loading(problem: NestedProblem, best: Operated) -> dict[str, tuple[float, float]]:
    """Branch with an option -> largest share of its limit without and with the plan [%], by the dispatch of what is drawn under each."""
    network, before = problem.network, problem.operated(problem.admitted[0])
    system = network.system
    built = problem.options.isel(option=np.flatnonzero(np.isin(problem.options.option.values, list(best.built))))
    after = Transmission(with_transmission_built(system, built), network.horizon, network.economics)
    shares = [
        100.0 * np.abs(each.dispatch(np.array([drawn.exchange[d] for d in network.children])).flow).max(axis=1) / each.model.limit
        for each, drawn in ((network, before), (after, best))
    ]
    at = {name: k for k, name in enumerate(network.model.branches.tolist())}
    return {name: (float(shares[0][at[name]]), float(shares[1][at[name]])) for name in problem.options.branch.values.tolist()}


def with_transmission(case: StudyCase, plan: TransmissionPlan) -> StudyCase:
    """The case whose transmission network has what the plan builds."""
    options = case.system.options
    chosen = np.flatnonzero([plan.built.get(name, False) for name in options.option.values.tolist()])
    return replace(case, system=with_transmission_built(case.system, options.isel(option=chosen)))


def restrictions(plan: TransmissionPlan) -> dict[str, Restriction]:
    """Distribution operator -> what it builds in the joint plan, and what it does not."""
    return {
        dso: Restriction(frozenset(o for o, yes in choice.items() if yes), frozenset(o for o, yes in choice.items() if not yes))
        for dso, choice in plan.below.items()
    }
