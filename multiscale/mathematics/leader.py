"""The leader of a plan in words, from its Pyomo model."""

from __future__ import annotations

from typing import Any

from multiscale.planning import PlanningProblem
from multiscale.planning.regimes import Regime

LONGEST = 600
"""Signs of an expression that are shown; a sum over many options is longer."""


def leader_lines(problem: PlanningProblem, regime: Regime) -> tuple[str, ...]:
    """Objective, rows and variables of the leader, as Pyomo has them; the method that plans states the same problem in its own way."""
    import pyomo.environ as pyo

    from multiscale.planning.general_engine import leader_model

    model, follower = leader_model(problem, regime)
    objectives = model.component_data_objects(pyo.Objective, active=True)
    lines = [f"{'max' if one.sense == pyo.maximize else 'min'} {_shown(one.expr)}  [EUR/a]" for one in objectives]
    lines += [f"{row.name}: {_shown(row.expr)}" for row in model.component_data_objects(pyo.Constraint, active=True)]
    lines += [f"{one.name}: {_range(one)}" for one in model.component_data_objects(pyo.Var, active=True) if one.name.startswith(("built", "prices"))]
    lines.append(f"operation[...] are outputs of the follower '{follower.name}', at an optimum of its program for the leader's decisions")
    return tuple(lines)


def _range(variable: Any) -> str:
    return "0 or 1" if variable.is_binary() else f"{variable.lb:g} to {variable.ub:g}"


def _shown(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} signs in all)"
