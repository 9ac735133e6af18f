"""Leaders of this field: network investment and tariffs chosen in the knowledge of how platforms respond."""

from multiscale.planning.conventional import ConventionalNeed, conventional_need
from multiscale.planning.distribution_planning import NoPlanError, Plan, PlanningProblem, planning_problem
from multiscale.planning.solving import solve_plan

__all__ = ["ConventionalNeed", "NoPlanError", "Plan", "PlanningProblem", "conventional_need", "planning_problem", "solve_plan"]
