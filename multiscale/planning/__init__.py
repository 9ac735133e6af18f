"""Leaders of this field: network investment and tariffs chosen in the knowledge of how platforms respond."""

from multiscale.planning.conventional import ConventionalNeed, conventional_need
from multiscale.planning.distribution_planning import PlanningProblem, planning_problem
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Plan
from multiscale.planning.regimes import REGIMES, Regime, Social
from multiscale.planning.solving import solve_plan

__all__ = [
    "REGIMES",
    "ConventionalNeed",
    "NoPlanError",
    "Plan",
    "PlanningProblem",
    "Regime",
    "Social",
    "conventional_need",
    "planning_problem",
    "solve_plan",
]
