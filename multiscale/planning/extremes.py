"""What decisions move: the yardstick of a gap.

The social cost of a plan holds millions that no decision changes (energy, the existing network), so a gap relative to it says little. The yardstick
is the spread

    max(cost of building nothing, cost of building everything) - cost of the plan         [EUR/a]

each at the charge that recovers its own cost: what is at stake between the plan and the worse of the two answers that need no planning. It is above
zero whenever some option matters, also where the best plan is to build nothing; a gap above it would leave open whether planning was worth anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiscale.planning.charge_marching import recovering_charge
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.follower_names import BUILT, RESOURCE_COST
from multiscale.programs import CompiledProgram
from multiscale.tariffs import BILLED


def decision_range(objective: float, extremes: Sequence[float]) -> float | None:
    """Spread between the most expensive of some plans and the best [EUR/a]; None without any."""
    return max(0.0, max(extremes) - objective) if extremes else None


def cost_of_extremes(problem: PlanningProblem, charge_range: tuple[float, float], tolerance: float) -> list[float]:
    """Social cost [EUR/a] of building the least and the most that is admitted, where a permitted charge recovers their cost."""
    program, compiled, price = problem.program, CompiledProgram(problem.program), str(problem.single_price)
    costs = []
    for built in (problem.required.astype(float), 1.0 - problem.excluded):
        latest: dict[str, float] = {}

        def energy_at(charge: float, built: np.ndarray = built, latest: dict[str, float] = latest) -> float:
            x = compiled.solve_optimal({BUILT: built, price: charge}).x
            latest["resource"] = float((program.outputs[RESOURCE_COST].matrix @ x)[0])
            return float((program.outputs[BILLED + price].matrix @ x)[0])

        investment = float(problem.annuity @ built)
        if recovering_charge(energy_at, problem.passive_energy, problem.existing_cost + investment, charge_range[0], charge_range[1], tolerance):
            costs.append(investment + latest["resource"] + program.d0 + problem.constant)
    return costs
