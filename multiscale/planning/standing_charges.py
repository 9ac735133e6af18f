"""Standing charges at a given price: they recover a part of the cost whatever is decided, so a plan is made as without them, for the rest.

    X - R_0  <=  t (w + E)  <=  (1 + tolerance') (X - R_0),      R_0 what they earn,   tolerance' = tolerance X_0 / (X_0 - R_0),  X_0 the least cost

With ``tolerance'`` every charge that the problem as stated permits is permitted, so bounds hold; the plan's own charge recovers its cost exactly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.plan import Effort, Plan, plan_from
from multiscale.tariffs import BILLED, Tariff

MOST = 0.9
"""Share of the cost of the existing network that standing charges may recover; beyond it what charges recover is too small to be exact about."""


def without_standing_charges(problem: PlanningProblem) -> tuple[PlanningProblem, float] | None:
    """The problem without them, its existing cost less what they earn, and what that is [EUR/a]; None where there are none, or they earn too much."""
    standing = {name: c for name, c in problem.tariff.components.items() if c.constant and not c.decided}
    if not standing:
        return None
    program, earned, costs = problem.program, 0.0, problem.program.c0.copy()
    for name, component in standing.items():
        matrix, price = program.outputs[BILLED + name].matrix, np.ravel(np.asarray(component.given, dtype=float))
        moving = np.flatnonzero(np.diff(matrix.tocsc().indptr))
        if (program.lower[moving] != program.upper[moving]).any():
            return None
        costs -= matrix.T @ price
        if component.receiver == "distribution operators":
            earned += float(price @ (matrix @ np.where(program.lower == program.upper, program.lower, 0.0))) + float(
                np.sum(price * problem.passive[name])
            )
    if not earned <= MOST * problem.existing_cost:
        return None
    costs[np.abs(costs) <= 1e-12 * np.abs(program.c0)] = 0.0
    left = {name: c for name, c in problem.tariff.components.items() if name not in standing}
    passive = {name: amount for name, amount in problem.passive.items() if name not in standing}
    stated = replace(program, c0=costs)
    return replace(problem, program=stated, tariff=Tariff(left), passive=passive, existing_cost=problem.existing_cost - earned), earned


def widened(effort: Effort, existing: float, earned: float) -> Effort:
    """The effort with ``tolerance'``; as it is where they earn operators nothing."""
    return effort if earned == 0 else replace(effort, tolerance=effort.tolerance * existing / (existing - earned))


def with_standing_charges(problem: PlanningProblem, plan: Plan, earned: float) -> Plan:
    """The plan of the problem without standing charges as that of the problem as it was stated."""
    objective, bound = plan.objective + earned, plan.bound + earned
    solution = replace(plan.solution, objective=objective, bound=bound, gap=(objective - bound) / max(abs(objective), 1e-6))
    choice = np.array([float(plan.built[o]) for o in problem.options.option.values.tolist()])
    found = plan_from(problem, choice, plan.prices, solution, plan.decision_range, plan.message, surplus=plan.surplus)
    return replace(found, start=plan.start)
