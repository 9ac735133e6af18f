"""Targets that no plan reaches: why, and by how little they have to be relaxed.

    min  sum_i relaxed_i / scale_i      s.t.  rows of leader and regime,  excess_i(answer, limit_i relaxed by relaxed_i) <= 0,
                                              answer in argmin of the platforms            scale_i = limit_i, or one unit where that is zero

is a bilevel program like the plan, with another objective, solved and certified by the same engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiscale import bilevel
from multiscale.planning.attainable import Attainable
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.even_prices import evenly_priced
from multiscale.planning.general_engine import NO_CLOCK, PREPARATION, leader_model
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Effort
from multiscale.planning.regimes import Regime
from multiscale.planning.targets import Target, Targets
from multiscale.system.problem import number_text

GAP = 1e-5
"""Distance of relaxation and proven bound, relative to the limits, at which the search ends [1]."""

NONE = 1e-6
"""A relaxation below this, relative to the limit or to one unit, is rounding."""


@dataclass(frozen=True)
class LeastRelaxation:
    """The least relaxation of some targets.

    Attributes:
        by: name -> by how much [unit of the target]; empty where none was found and the bound alone is known.
        sum: of the relaxations relative to the limits [1]; infinite where none was found.
        bound: proven lower bound on it.
    """

    by: Mapping[str, float]
    sum: float
    bound: float

    def needed(self, targets: Targets) -> dict[str, float]:
        """Those above rounding."""
        return {name: by for name, by in self.by.items() if by > NONE * _scale(targets[name])}


def least_relaxation(
    problem: PlanningProblem, regime: Regime, targets: Targets, effort: Effort = Effort(), *, seed: int = 0, **options: Any
) -> LeastRelaxation | None:
    """The least relaxation under which a plan reaches the targets; None where there is no plan even without them, or nothing is known of it.

    Args:
        problem, regime: what is planned.
        targets: name -> target.
        effort: what the search may spend; its gaps are not used.
        seed, options: of the bilevel engine.
    """
    import pyomo.environ as pyo

    model, follower = leader_model(evenly_priced(problem), regime, tolerance=effort.tolerance, targets=targets)
    model.del_component(model.objective)
    for name in targets:
        model.relaxed[name].unfix()
    model.objective = pyo.Objective(expr=sum(model.relaxed[name] / _scale(target) for name, target in targets.items()))
    given = NO_CLOCK if effort.time_limit is None else effort.time_limit
    if effort.time_limit is None:
        options = {"bound_share": PREPARATION / NO_CLOCK, "start_share": PREPARATION / NO_CLOCK} | options
    limits = {"limits/nodes": effort.solve_limit} | dict(options.pop("parameters", None) or {})
    solution = bilevel.solve(
        model, followers=[follower], method="auto", gap=GAP, absolute_gap=GAP, time_limit=given, seed=seed, parameters=limits, **options
    )
    if not np.isfinite(solution.objective) or solution.certificate is None or solution.certificate.failures:
        ended = solution.status is not bilevel.Status.INFEASIBLE and np.isfinite(solution.bound)
        return LeastRelaxation({}, np.inf, solution.bound) if ended and solution.bound > GAP else None
    by = {name: max(0.0, float(pyo.value(model.relaxed[name]))) for name in targets}
    return LeastRelaxation(by, solution.objective, max(0.0, solution.bound))


def beyond_networks(problem: PlanningProblem, targets: Targets) -> str:
    """Why no operation of networks and devices reaches the targets, whatever is built and charged, in words; empty where one may."""
    possible = Attainable(problem, targets)
    if possible.together:
        return ""
    alone = {name: possible.best(name) for name in possible.targets}
    missed = [name for name, best in alone.items() if _better(targets[name], targets[name].limit, best)]
    if not missed:
        named = " and ".join(f"'{name}' ({target.called})" for name, target in possible.targets.items())
        return f"targets {named} contradict each other: each can be reached alone, not together, whatever is built and charged"
    parts = [f"'{name}' ({targets[name].called}) demands {_limit(targets[name])}, and {_reachable(targets[name], alone[name])}" for name in missed]
    return f"no operation of networks and devices reaches {'; '.join(parts)}, whatever is built and charged"


def unreached(
    problem: PlanningProblem, regime: Regime, targets: Targets, effort: Effort, *, reason: str = "", seed: int = 0, **options: Any
) -> NoPlanError:
    """The error of targets that no plan reaches, with the least relaxation first.

    Args:
        problem, regime, targets, effort, seed, options: as of ``least_relaxation``.
        reason: what is known already, see ``beyond_networks``.
    """
    found = least_relaxation(problem, regime, targets, effort, seed=seed, **options)
    start = f"plan of {problem.dso}: its targets cannot be reached"
    if found is None:
        why = reason or "no relaxation was found with which a plan reaches them: none recovers the cost of the network, or the search ended before"
        return NoPlanError("infeasible", f"{start}: {why}; plan without targets first")
    if not found.by:
        return NoPlanError("infeasible", "; ".join(filter(None, [f"{start}; {_at_least(targets, found.bound)}", reason])))
    needed = found.needed(targets)
    if not needed:
        return NoPlanError("error", f"{start}, and no relaxation is needed: rounding decides; relax them by more than {NONE:g} of their limits")
    steps = [
        f"'{name}' from {_limit(targets[name])} to {_relaxed(targets[name], by)} {targets[name].unit_words}".strip() for name, by in needed.items()
    ]
    if found.sum - found.bound <= 2 * GAP:
        said = [f"{start}; the least relaxation is {'; '.join(steps)}"]
    else:
        share = f"these are {found.sum:.4g} of the limits in sum, and no less than {found.bound:.4g} is proven"
        said = [f"{start}; a relaxation that suffices is {'; '.join(steps)} ({share}; allow more work for the least one)"]
    if reason:
        said.append(reason)
    elif len(targets) > 1:
        each = {name: least_relaxation(problem, regime, {name: target}, effort, seed=seed, **options) for name, target in targets.items()}
        hard = {name: alone for name, alone in each.items() if alone is not None and alone.by and alone.bound > NONE}
        best = {name: _reachable(targets[name], _moved(targets[name], alone.by[name])) for name, alone in hard.items()}
        said += [f"'{name}' cannot be reached even alone: {words}" for name, words in best.items()]
        if all(alone is not None and alone.by and not alone.needed({name: targets[name]}) for name, alone in each.items()):
            said.append("each can be reached alone: they contradict each other")
    return NoPlanError("infeasible", "; ".join(said))


def _at_least(targets: Targets, bound: float) -> str:
    """What is proven to be necessary where no relaxation that suffices was found, in words."""
    ended = "the search for the least relaxation ended before one that suffices was found; allow more work (planning.solve_limit)"
    if len(targets) > 1:
        return f"relaxations of {bound:.4g} of the limits in sum are proven to be needed at least, and {ended}"
    ((name, target),) = targets.items()
    moved = f"'{name}' has to move from {_limit(target)} to {_number(_moved(target, bound * _scale(target)))} {target.unit_words}".strip()
    return f"{moved} at least, which is proven, and {ended}"


def _scale(target: Target) -> float:
    return target.limit if target.limit > 0 else 1.0


def _better(target: Target, limit: float, best: float) -> bool:
    """Whether a limit demands more than what can be reached at best."""
    beyond = limit - best if target.at_least else best - limit
    return beyond > NONE * _scale(target)


def _moved(target: Target, by: float) -> float:
    return float(target.relaxed_to(by))


def _limit(target: Target) -> str:
    return f"{_number(target.limit)} {target.unit_words}".strip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e5 else number_text(value)


def _relaxed(target: Target, by: float) -> str:
    """The relaxed limit, rounded to six digits such that it is no stricter."""
    value = _moved(target, by)
    if value == 0:
        return "0"
    step = 10.0 ** min(np.floor(np.log10(abs(value))) - 5, 0.0)
    rounded = step * (np.floor(value / step) if target.at_least else np.ceil(value / step))
    return f"{rounded:,.0f}" if step == 1.0 else f"{rounded:.6g}"


def _reachable(target: Target, best: float) -> str:
    most = "at most" if target.at_least else "no less than"
    return f"{most} {_number(best)} {target.unit_words}".strip() + " can be reached"
