"""A planning problem in which decided prices of policy mechanisms are shares of their largest value.

A grant is some hundred EUR/kW on a small quantity. Rows of a solver are exact to an absolute tolerance, so their product, the payment, is exact
to that tolerance times the price. With

    price_k = u_k p_k,   quantity_k = w_k / p_k,      p_k the largest permitted price, so 0 <= u_k <= 1 and w_k in EUR/a

both factors and the product are of one size. Nothing else changes: the follower pays the same, answers the same, and its columns stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.programs import Output
from multiscale.tariffs import BILLED, Prices, Tariff


def price_units(problem: PlanningProblem) -> dict[str, float]:
    """Component of the tariff -> price that is one unit of the problem in even prices, of those that are restated."""
    decided = problem.tariff.decided
    return {name: policy.price_max for name, policy in problem.tariff.policies.items() if name in decided and policy.price_max > 0}


def evenly_priced(problem: PlanningProblem) -> PlanningProblem:
    """The problem with such prices as shares of their largest value, and what they multiply in EUR/a."""
    units = price_units(problem)
    if not units:
        return problem
    program, tariff = problem.program, dict(problem.tariff.components)
    factor, outputs, passive = np.ones(program.parameters.size), dict(program.outputs), dict(problem.passive)
    for name, unit in units.items():
        factor[program.parameters[name].positions.ravel()] = unit
        for output in (key for key in program.outputs if key == BILLED + name or key.endswith(f"/{BILLED}{name}")):
            outputs[output] = Output(program.outputs[output].index, unit * program.outputs[output].matrix)
        passive[name] = unit * passive[name]
        tariff[name] = tariff[name].model_copy(update={"price_min": tariff[name].price_min / unit, "price_max": 1.0})
    scale = sparse.diags(factor)
    stated = replace(program, C=(program.C @ scale).tocsr(), B=(program.B @ scale).tocsr(), d=factor * program.d, outputs=outputs)
    return replace(problem, program=stated, tariff=Tariff(tariff), passive=passive)


def in_their_units(problem: PlanningProblem, prices: Prices) -> dict[str, np.ndarray]:
    """Prices of the problem in even prices, as prices of the problem as stated."""
    units = price_units(problem)
    return {name: units.get(name, 1.0) * np.asarray(price, dtype=float) for name, price in prices.items()}
