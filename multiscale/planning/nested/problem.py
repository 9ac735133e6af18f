r"""Transmission and distribution planned together, stated once: the whole as one program, and each distribution operator by itself.

    min   sum_k a_k z_k + V(z_T, y)  +  sum_d [ sum_k a_k z_k + F_d(z_d, y_d) + existing network ]        social cost [EUR/a]

``z`` (binary) is what is built, ``y_d`` [kW] what distribution operator d draws from transmission in every period, ``V`` the cost of the transmission
operator under DC power flow (see ``transmission_program``), and ``F_d`` the least cost of the operator's network with all its platforms, new devices
of prosumers included, given what is built and what it draws. Operation is that of platforms that see nodal prices: transfers steer nothing, as under
charges that do not depend on energy. So the joint optimum is no more than the cost of any plan under any tariff.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr
from scipy import sparse

from multiscale.operation import Transmission
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.follower_names import BUILT, RESOURCE_COST
from multiscale.planning.nested.transmission_program import transmission_planning_program
from multiscale.programs import Block, CompiledProgram, Index, Link, Output, ParametricProgram, compose
from multiscale.programs.mixed_integer import MixedSolution, solve_mixed, with_decided

EXCHANGE = "exchange"
"""Output of a distribution operator: power drawn from transmission [kW], (period,)."""


def distribution_program_of(problem: PlanningProblem) -> ParametricProgram:
    """``a'z + F_d`` of a distribution operator, with its options as its last columns ``built`` and output ``exchange``.

    Args:
        problem: stated at an energy price of zero; prices of its tariff have no part in the cost.

    Raises:
        ValueError: its energy price is not zero.
    """
    if np.any(problem.energy_price):
        raise ValueError(f"plan of {problem.dso}: its energy price is not zero; energy is paid to the transmission operator here")
    program = problem.program
    free = {block.name: 0.0 for block in program.parameters if block.name != BUILT}
    program = program.fix(free)
    drawn = sparse.lil_matrix((problem.horizon.periods, program.columns.size))
    for name, sign in (("import", 1.0), ("export", -1.0)):
        drawn[np.arange(problem.horizon.periods), program.columns[name].positions] = sign
    index = Index((Block(EXCHANGE, {"period": problem.horizon.labels}, "kW", 0, "power drawn from transmission"),))
    cost = np.asarray(program.outputs[RESOURCE_COST].matrix.todense()).ravel()
    program = replace(program, c0=cost, d0=program.d0 + problem.existing_cost, outputs={EXCHANGE: Output(index, drawn.tocsr())})
    return with_decided(program, BUILT, cost=problem.annuity, lower=problem.required.astype(float), upper=1.0 - problem.excluded)


@dataclass(frozen=True)
class Operated:
    """What some options cost when they are built and everything is operated at least cost.

    Attributes:
        built: names of the options that are built.
        cost, bound: social cost [EUR/a], and the bound of its linear program.
        price: distribution operator -> nodal price at its boundary [EUR/kWh], (period,).
        exchange: distribution operator -> power drawn [kW], (period,).
    """

    built: frozenset[str]
    cost: float
    bound: float
    price: Mapping[str, np.ndarray]
    exchange: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class NestedProblem:
    """Transmission and distribution planned together.

    Attributes:
        network: the transmission network as it is.
        options: what may be built in it (component ``option``).
        annuity: yearly cost of each [EUR/a].
        operators: distribution operator -> its problem, at an energy price of zero.
    """

    network: Transmission
    options: xr.Dataset
    annuity: np.ndarray
    operators: Mapping[str, PlanningProblem]

    @cached_property
    def transmission(self) -> ParametricProgram:
        """The transmission operator's program."""
        return transmission_planning_program(self.network, self.options, self.annuity)

    @cached_property
    def distribution(self) -> dict[str, ParametricProgram]:
        """Distribution operator -> its program."""
        return {dso: distribution_program_of(self.operators[dso]) for dso in self.network.children}

    @property
    def hours(self) -> np.ndarray:
        """Hours of the year of every period [h/a]."""
        return self.network.horizon.hours_per_year

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Who may build -> names of the options: the transmission operator under the name of its node."""
        found = {dso: tuple(p.options.option.values.astype(str).tolist()) for dso, p in self.operators.items()}
        return {self.network.system.top: tuple(self.options.option.values.astype(str).tolist())} | found

    def joined_to(self, children: Mapping[str, ParametricProgram], name: str) -> ParametricProgram:
        """The transmission operator with programs in the place of its distribution operators, each with an output ``exchange``."""
        positions = self.transmission.parameters[EXCHANGE].positions
        links = [Link(dso, EXCHANGE, positions[k]) for k, dso in enumerate(self.network.children)]
        return compose(name, self.transmission, children, links)

    @cached_property
    def whole(self) -> ParametricProgram:
        """All operators as one program."""
        return self.joined_to(self.distribution, "transmission and distribution")

    @cached_property
    def _operation(self) -> CompiledProgram:
        return CompiledProgram(self.whole)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the programs: they are made anew where the object arrives."""
        return {name: getattr(self, name) for name in ("network", "options", "annuity", "operators")}

    @property
    def admitted(self) -> tuple[frozenset[str], frozenset[str]]:
        """The fewest and the most options that may be built."""
        fewest, most = set(), set(self.names[self.network.system.top])
        for problem in self.operators.values():
            names = problem.options.option.values.astype(str)
            fewest |= set(names[problem.required].tolist())
            most |= set(names[~problem.excluded].tolist())
        return frozenset(fewest), frozenset(most)

    def operated(self, built: Collection[str]) -> Operated:
        """Everything operated at least cost with some options built.

        Raises:
            KeyError: there is no such option.
        """
        names = [name for who in (self.network.system.top, *self.network.children) for name in self.names[who]]
        if unknown := sorted(set(built) - set(names)):
            raise KeyError(f"there are no options {unknown[:3]}")
        at = np.concatenate([self.columns_of(who) for who in (self.network.system.top, *self.network.children)])
        choice = np.isin(names, list(built)).astype(float)
        self._operation.bound(at, choice, choice)
        found = self._operation.solve_optimal()
        prices = self.prices(found.program, found.y)
        exchange = {dso: found.program.outputs[f"{dso}/{EXCHANGE}"].matrix @ found.x for dso in self.network.children}
        return Operated(frozenset(built), found.objective, found.bound, prices, exchange)

    def columns_of(self, who: str) -> np.ndarray:
        """Positions of the options of an operator in ``whole``."""
        return self.whole.columns[BUILT if who == self.network.system.top else f"{who}/{BUILT}"].positions.ravel()

    def prices(self, program: ParametricProgram, y: np.ndarray) -> dict[str, np.ndarray]:
        """Distribution operator -> nodal price [EUR/kWh], (period,), out of the duals of a program of ``joined_to``."""
        dual = program.rows.values("balance", y) / self.hours
        return {dso: dual[bus] for dso, bus in zip(self.network.children, self.network.child_bus.tolist(), strict=True)}


def joint_plan(problem: NestedProblem, *, gap_eur: float = 0.0, nodes: int = 100_000) -> tuple[frozenset[str], MixedSolution]:
    """The joint plan by one model of all operators: the options it builds, and its certified answer.

    Args:
        problem: what is planned.
        gap_eur, nodes: of the branch and cut.
    """
    who: Sequence[str] = (problem.network.system.top, *problem.network.children)
    at = np.concatenate([problem.columns_of(one) for one in who])
    found = solve_mixed(problem.whole, at, gap_eur=gap_eur, nodes=nodes)
    names = np.array([name for one in who for name in problem.names[one]], dtype=str)
    return frozenset(names[found.x[at] > 0.5].tolist()), found
