"""Targets in the leader's model, and in an answer of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.follower_names import PASSIVE, TAKEN, determinant_of
from multiscale.planning.targets import Reached, Targets
from multiscale.tariffs import BILLED, Prices

if TYPE_CHECKING:
    import pyomo.environ as pyo

    from multiscale import bilevel


@dataclass(frozen=True)
class _Stated:
    """The answer as expressions of the leader's model; ``decided``: component -> variable or variables of its prices."""

    problem: PlanningProblem
    follower: bilevel.ProgramFollower
    decided: Mapping[str, Any]

    def output(self, name: str) -> Any:
        return self.follower.output(name) + self.problem.passive_outputs.get(name, 0.0)

    def components(self) -> Sequence[str]:
        return list(self.problem.tariff.components)

    def prices(self, component: str) -> Sequence[Any]:
        if component in self.decided:
            return _entries(self.decided[component])
        return _given(self.problem, component)

    def determinant(self, group: str, component: str) -> Sequence[Any]:
        if group == PASSIVE:
            return [float(each) for each in np.ravel(self.problem.passive[component])]
        output = self.follower.output(determinant_of(group, component))
        return _entries(output)

    def total(self, component: str) -> Sequence[Any]:
        return _entries(self.follower.output(BILLED + component))


@dataclass(frozen=True)
class _Found:
    """The answer as numbers: columns ``x`` of the follower, at prices of the decided components."""

    problem: PlanningProblem
    x: np.ndarray
    decided: Prices

    def output(self, name: str) -> float:
        if name == TAKEN:
            # Power taken and fed back at once, at one price, is neither.
            columns = self.problem.program.columns
            net = columns.values("import", self.x) - columns.values("export", self.x)
            return float((np.maximum(net, 0.0) * self.problem.horizon.hours_per_year).sum())
        return float((self.problem.program.outputs[name].matrix @ self.x)[0]) + self.problem.passive_outputs.get(name, 0.0)

    def components(self) -> Sequence[str]:
        return list(self.problem.tariff.components)

    def prices(self, component: str) -> Sequence[float]:
        if component in self.decided:
            return [float(each) for each in np.ravel(self.decided[component])]
        return _given(self.problem, component)

    def determinant(self, group: str, component: str) -> Sequence[float]:
        if group == PASSIVE:
            return [float(each) for each in np.ravel(self.problem.passive[component])]
        return (self.problem.program.outputs[determinant_of(group, component)].matrix @ self.x).tolist()

    def total(self, component: str) -> Sequence[float]:
        return (self.problem.program.outputs[BILLED + component].matrix @ self.x).tolist()


def _entries(variable: Any) -> list[Any]:
    return [variable[label] for label in variable] if variable.is_indexed() else [variable]


def _given(problem: PlanningProblem, component: str) -> list[float]:
    prices = np.broadcast_to(problem.tariff.price(component, {}), problem.passive[component].shape)
    return [float(each) for each in np.ravel(prices)]


def state_targets(
    model: pyo.ConcreteModel, problem: PlanningProblem, targets: Targets, follower: bilevel.ProgramFollower, decided: Mapping[str, Any]
) -> None:
    """Add a row for every target, ``target[name]``, and what its limit is relaxed by, ``relaxed[name]`` in its unit, fixed to zero.

    Args:
        model: of the leader.
        problem: what is planned.
        targets: name -> target.
        follower: with the outputs that targets refer to.
        decided: component of the tariff -> its price variables.
    """
    import pyomo.environ as pyo

    answer, names = _Stated(problem, follower, decided), list(targets)
    model.relaxed = pyo.Var(names, bounds=lambda _, name: (0.0, targets[name].largest_relaxation()), initialize=0.0)
    for name in names:
        model.relaxed[name].fix(0.0)
    model.target = pyo.Constraint(names, rule=lambda m, name: targets[name].excess(answer, targets[name].relaxed_to(m.relaxed[name])) <= 0.0)


def reached(problem: PlanningProblem, targets: Targets, x: np.ndarray, prices: Prices) -> dict[str, Reached]:
    """What an answer reaches of every target.

    Args:
        problem: what is planned.
        targets: name -> target.
        x: columns of the follower.
        prices: of the decided components.
    """
    answer = _Found(problem, x, prices)
    return {name: target.reached(answer) for name, target in targets.items()}
