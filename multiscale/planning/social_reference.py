"""The plan of least social cost, with which the plan under another regime is compared.

    capex bias    = annuities of what the regime builds / annuities of what costs society least - 1
    welfare loss  = social cost of the regime's plan - least social cost

Both plans have the same follower, forecast price and ranges of prices; only the operator's interest differs. The least is that of plans whose prices
recover their cost, no more and no less: a regime that lets prices recover another amount may come out below it.
"""

from __future__ import annotations

from typing import Any

from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import SocialReference
from multiscale.planning.regimes import Social
from multiscale.planning.solving import solve_plan


def social_reference(problem: PlanningProblem, **settings: Any) -> SocialReference:
    """The plan of least social cost next to that of another regime.

    Args:
        problem: what is planned.
        **settings: of ``solve_plan``.
    """
    try:
        plan = solve_plan(problem, Social(), **settings)
    except NoPlanError as error:
        return SocialReference(missing=str(error), status=error.status)
    return SocialReference(sum(plan.built.values()), plan.costs["reinforcement"], plan.objective, plan.bound, status=plan.status)
