"""The operating problem of the TSO: wholesale dispatch on the transmission network under DC power flow.

Nothing at this level couples the hours, so every period is a program of its own, and the TSO's cost is a convex piecewise linear function
of what the nodes below draw in that period. Flows are written with power transfer distribution factors (PTDF), and only the branch limits
that bind somewhere are rows: they are found by solving, looking at all flows, adding the violated limits, and solving again until none
is violated. The result is the optimum of the full DC problem, since every omitted row is satisfied.

    min  sum_t h_t [ sum_g cost_g p_gt + VOLL unserved + curtailment ]
    s.t. sum of injections = 0 in every connected part             dual: energy price
         -F_l <= sum_n PTDF_ln inj_nt <= F_l                       dual: congestion

Source: Wood, Wollenberg, Sheblé, Power Generation, Operation and Control, 3rd ed., ch. 7-8 (DC flow, PTDF, security rows on demand).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multiscale.operation.direct_current import direct_current_model
from multiscale.operation.transmission_program import Monitored, at_period, period_program
from multiscale.programs import Basis, CompiledProgram, ParametricProgram, ProgramError, ProgramSolution, Vertex
from multiscale.programs.basis import BASIC
from multiscale.system import Economics, System
from multiscale.timeline import Horizon

DUAL_TOLERANCE = 1e-10
"""Of reduced costs [EUR/a per kW], in place of the 1e-7 of HiGHS: generators are so large that 1e-7 leaves euros a year between a dispatch and the
best, which is much of what networks below cost."""

EXCEEDED = 1e-9
"""Share of the limit of a branch by which its flow may be above it before the limit is a row: rounding. A dispatch with a row for it and one without
are to cost the same."""


Limits = tuple[int, int]
"""Number of limits of branches that are rows, by direction."""


@dataclass(frozen=True)
class Dispatch:
    """The TSO's answer to what the nodes below draw.

    Attributes:
        cost: of every period [EUR/a]; what the dispatch leaves of limits and balances by tolerance is bought at its price.
        bound: proven lower bound on the cost of every period [EUR/a], by the duals that are the prices: it stays one at any other exchange, where it
            is ``bound + hours * price (exchange - this one)``.
        price: nodal price at every node below [EUR/kWh], (node, period).
        generation: of every generator [kW], (generator, period).
        unserved, curtailed: sums over the network [kW], (period,).
        flow: of every branch [kW], (branch, period).
    """

    cost: np.ndarray
    bound: np.ndarray
    price: np.ndarray
    generation: np.ndarray
    unserved: np.ndarray
    curtailed: np.ndarray
    flow: np.ndarray

    def __post_init__(self) -> None:
        _check_finite(**vars(self))

    def at(self, periods: Sequence[int]) -> Dispatch:
        """The dispatch of some periods, given as positions."""
        return Dispatch(**{name: values[..., periods] for name, values in vars(self).items()})


class Transmission:
    """The TSO over a horizon: dispatch and nodal prices for any exchange of the nodes below.

    Keeps the limits found to bind so far, one compiled program for all periods, and for every period the basis it ended with: as long as that stays
    feasible, what the nodes below draw moves the dispatch linearly, and nothing has to be solved (``programs.vertex``).

    Args:
        system, horizon, economics: the whole, the periods, the values.
        rounds: of adding violated limits before giving up.
    """

    def __init__(self, system: System, horizon: Horizon, economics: Economics, rounds: int = 40) -> None:
        top = system.top
        self.system, self.horizon, self.economics, self.rounds = system, horizon, economics, rounds
        self.children = tuple(system.children(top))
        self.model = direct_current_model(system.network(top))
        at = {bus: i for i, bus in enumerate(self.model.buses.tolist())}
        passive = system.passive(top, horizon)
        generators = system.generators
        self.demand, self.renewable = passive.demand.values, passive.generation.values
        self.largest_output = generators.p_max_kw.values[:, None] * horizon.sample(system.profiles, generators.profile.values)[0]
        self.passive_bus = np.array([at[b] for b in passive.bus.values.tolist()], dtype=int)
        self.drawing, self.feeding = (np.flatnonzero((power != 0).any(axis=1)) for power in (self.demand, self.renewable))
        self.generator_bus = np.array([at[b] for b in generators.bus.values.tolist()], dtype=int)
        self.child_bus = np.array([at[system.boundary_bus(c)] for c in self.children], dtype=int)
        self._monitored = Monitored.of(self.model)
        self._idle_basis: tuple[np.ndarray, Limits] | None = None
        self._forget()

    def _forget(self) -> None:
        """Forget solvers and where they ended."""
        self._compiled: CompiledProgram | None = None
        self._bases: dict[int, tuple[Basis, Limits]] = {}
        self._last: tuple[Basis, Limits] | None = None
        self._vertices: dict[int, tuple[Vertex | None, Limits | None]] = {}
        self._pattern: tuple[ParametricProgram, Limits] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Everything but the solvers: they are made anew where the object arrives."""
        return self.__dict__ | {"_compiled": None, "_bases": {}, "_last": None, "_vertices": {}, "_pattern": None}

    def learn(self, other: Transmission) -> None:
        """Take over what another object of the same network knows: the limits found to bind, and the dispatch without nodes below.

        The latter where its horizon holds the periods of this one.
        """
        at = {label: k for k, label in enumerate(other.horizon.labels.tolist())}
        same = [at.get(label, -1) for label in self.horizon.labels.tolist()]
        alike = min(same) >= 0 and self._alike(other, same)
        if alike and "idle" not in self.__dict__:
            self.__dict__["idle"] = other.idle.at(same)
        if self._monitored is not other._monitored:
            self._monitored = other._monitored
            # Programs and bases know their limits by number only.
            self._idle_basis = None
            self._forget()
        if alike and self._idle_basis is None:
            self._idle_basis = self._from(other, same)

    def _from(self, other: Transmission, same: Sequence[int]) -> tuple[np.ndarray, Limits] | None:
        """The bases of another object's dispatch without nodes below in the columns of this one; None where they are not known."""
        if other._idle_basis is None:
            return None
        customers = [np.isin(theirs, mine) for theirs, mine in ((other.drawing, self.drawing), (other.feeding, self.feeding))]
        statuses, limits = other._idle_basis
        kept = np.ones(len(statuses), dtype=bool)
        first, generators = 0, len(self.generator_bus)
        for size, which in zip((generators, *map(len, customers)), (np.ones(generators, dtype=bool), *customers), strict=True):
            kept[first : first + size] = which
            first += size
        return statuses[kept][:, same], limits

    def on(self, system: System, horizon: Horizon) -> Transmission:
        """The same network in other periods, with what is known of it."""
        other = Transmission(system, horizon, self.economics, self.rounds)
        other.learn(self)
        return other

    def afresh(self) -> Transmission:
        """The same network with what is known of it, and without solvers: what is solved with it does not depend on what was solved before."""
        other = object.__new__(Transmission)
        other.__dict__.update(self.__getstate__())
        return other

    def _alike(self, other: Transmission, periods: Sequence[int]) -> bool:
        """Whether nothing but what the nodes below draw may differ from another object in some of its periods."""
        pairs = ((mine, theirs[..., periods]) for mine, theirs in zip(self._profiles, other._profiles, strict=True))
        return self.children == other.children and all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    @property
    def _profiles(self) -> tuple[np.ndarray, ...]:
        return self.horizon.hours_per_year, self.demand, self.renewable, self.largest_output

    @property
    def binding(self) -> np.ndarray:
        """The limits that were found to bind so far: positions of the branches, and of those that bind backwards its complement ``-1 - position``."""
        forward, reverse = self._monitored.branches
        return np.concatenate([forward, ~reverse])

    def start_knowing(self, binding: np.ndarray, idle: Dispatch, idle_basis: np.ndarray) -> None:
        """Take over limits that bind and the dispatch without nodes below, as another object of the same network and periods found them."""
        limits = np.asarray(binding, dtype=int)
        self._monitored = Monitored.of(self.model, limits[limits >= 0], ~limits[limits < 0])
        self._forget()
        self.__dict__["idle"], self._idle_basis = idle, (idle_basis, self._monitored.counts)

    @cached_property
    def idle(self) -> Dispatch:
        """The dispatch when no node below draws anything."""
        return self.dispatch(np.zeros((len(self.children), self.horizon.periods)))

    def count_from(self, idle: Dispatch) -> None:
        """Take over the dispatch without nodes below from another object of the same network and periods."""
        self.__dict__["idle"] = idle

    @property
    def idle_basis(self) -> np.ndarray:
        """Where the solves of the dispatch without nodes below end: status of every column, then of every row, (column or row, period)."""
        if self._idle_basis is None:
            self.dispatch(np.zeros((len(self.children), self.horizon.periods)))
            limits = self._monitored.counts
            ended = [_with_limits(*self._bases[t], limits).statuses for t in range(self.horizon.periods)]
            self._idle_basis = np.array([np.concatenate(each) for each in ended], dtype=np.int8).T, limits
        return self._idle_basis[0]

    @property
    def idle_cost(self) -> np.ndarray:
        """Cost of every period when no node below draws anything [EUR/a]."""
        return self.idle.cost

    def program(self, period: int) -> ParametricProgram:
        """The program of one period with the limits monitored so far; parameter ``exchange`` (node) [kW]."""
        return period_program(self, period, self._monitored)

    def _solve(self, period: int, exchange: np.ndarray) -> ProgramSolution:
        limits = self._monitored.counts
        known = self._start(period)
        if known is not None:
            vertex, before = self._vertices.get(period, (None, None))
            if before != limits:
                vertex = Vertex.of(self._program_at(period), _with_limits(*known, limits))
                self._vertices[period] = vertex, limits
            solution = None if vertex is None else vertex.solution(vertex.program.parameters.vector({"exchange": exchange}))
            if solution is not None:
                self._last = self._bases[period] = _with_limits(*known, limits), limits
                return solution
        compiled = self._compiled_at(period)
        start = known or self._last
        if start is not None:
            # Programs of all periods differ in numbers alone: a fresh one starts where the last one ended.
            compiled.start_from(_with_limits(*start, limits))
        solution = compiled.solve_optimal({"exchange": exchange})
        self._last = self._bases[period] = compiled.basis, limits
        self._vertices.pop(period, None)
        return solution

    def _start(self, period: int) -> tuple[Basis, Limits] | None:
        """Where the last solve of a period ended, or that without nodes below, and under how many limits; None where neither is known."""
        if period not in self._bases and self._idle_basis is not None:
            columns = len(self.generator_bus) + len(self.drawing) + len(self.feeding) + 2 * len(self.children)
            status, limits = self._idle_basis[0][:, period], self._idle_basis[1]
            known = all(few <= all_now for few, all_now in zip(limits, self._monitored.counts, strict=True))
            # Columns of customers who draw or feed in nothing on these days are omitted: what is left may be no basis.
            if known and np.count_nonzero(status == BASIC) == len(status) - columns:
                return Basis.unpacked((status[:columns].tobytes(), status[columns:].tobytes())), limits
        return self._bases.get(period)

    def _program_at(self, period: int) -> ParametricProgram:
        """The program of a period under the limits monitored so far."""
        limits = self._monitored.counts
        if self._pattern is None or self._pattern[1] != limits:
            self._pattern = self.program(period), limits
            return self._pattern[0]
        return at_period(self._pattern[0], self, period, self._monitored)

    def _compiled_at(self, period: int) -> CompiledProgram:
        """The solver of a period under the limits monitored so far."""
        program = self._program_at(period)
        if self._compiled is None or self._compiled.program.A is not program.A:
            self._compiled = CompiledProgram(program, devex=True, dual_tolerance=DUAL_TOLERANCE)
        else:
            self._compiled.exchange(program)
        return self._compiled

    def _within_limits(self, period: int, exchange: np.ndarray) -> tuple[ProgramSolution, np.ndarray]:
        """The optimum of a period that exceeds no limit, and the flow of every branch [kW]."""
        for _ in range(self.rounds):
            solution = self._solve(period, exchange)
            flow = self.model.flows(self._injection(period, solution, exchange))
            limits = self._monitored.exceeded(self.model, flow, EXCEEDED)
            if limits is self._monitored:
                return solution, flow
            self._monitored = limits
        raise RuntimeError(f"transmission limits of {self.system.top!r} are still violated after {self.rounds} rounds of adding them")

    def prices(self, exchange: np.ndarray) -> np.ndarray:
        """Nodal prices at given exchanges [EUR/kWh], (node, period): those of ``dispatch``, and nothing else of it.

        Raises:
            ProgramError: a price is no finite number.
            RuntimeError: branch limits are still violated after all rounds of adding them.
        """
        found = np.zeros((len(self.children), self.horizon.periods))
        for t, hours in enumerate(self.horizon.hours_per_year.tolist()):
            solution, _ = self._within_limits(t, exchange[:, t])
            program = solution.program
            found[:, t] = program.sensitivity(solution.x, program.proper_duals(solution.y, solution.parameters)) / hours
        _check_finite(price=found)
        return found

    def dispatch(self, exchange: np.ndarray) -> Dispatch:
        """Least-cost dispatch for given exchanges [kW], (node, period).

        Raises:
            RuntimeError: branch limits are still violated after all rounds of adding them.
        """
        periods = self.horizon.periods
        cost, bound, price = np.zeros(periods), np.zeros(periods), np.zeros((len(self.children), periods))
        generation = np.zeros((len(self.generator_bus), periods))
        unserved, curtailed = np.zeros(periods), np.zeros(periods)
        flow = np.zeros((len(self.model.branches), periods))
        hours = self.horizon.hours_per_year
        for t in range(periods):
            solution, flow[:, t] = self._within_limits(t, exchange[:, t])
            program, p = solution.program, solution.parameters
            y = program.proper_duals(solution.y, p)
            cost[t], bound[t] = solution.objective + program.cost_of_violation(solution.x, y, p), solution.bound
            price[:, t] = program.sensitivity(solution.x, y) / hours[t]
            generation[:, t] = _part(solution, "generation")
            unserved[t], curtailed[t] = _part(solution, "unserved").sum(), _part(solution, "curtailed").sum()
        return Dispatch(cost, bound, price, generation, unserved, curtailed, flow)

    def _injection(self, period: int, solution: ProgramSolution, exchange: np.ndarray) -> np.ndarray:
        """Net injection of every bus [kW]."""
        total = np.zeros(len(self.model.buses))
        np.add.at(total, self.passive_bus, self.renewable[:, period] - self.demand[:, period])
        np.add.at(total, self.generator_bus, _part(solution, "generation"))
        np.add.at(total, self.passive_bus[self.drawing], _part(solution, "unserved"))
        np.add.at(total, self.passive_bus[self.feeding], -_part(solution, "curtailed"))
        np.add.at(total, self.child_bus, _part(solution, "missing") - _part(solution, "spilled") - exchange)
        return total


def _check_finite(**found: np.ndarray) -> None:
    wrong = [name for name, values in found.items() if not np.isfinite(values).all()]
    if wrong:
        raise ProgramError(f"the dispatch of the transmission network holds what is not a finite number: {', '.join(wrong)}; look at its data")


def _part(solution: ProgramSolution, name: str) -> np.ndarray:
    """Columns of one block, without labels: they are made thousands of times."""
    return solution.program.columns.values(name, solution.x)


def _with_limits(basis: Basis, before: Limits, now: Limits) -> Basis:
    """A basis of ``period_program`` with more limits: the rows of new ones are basic, so it stays a basis."""
    if now == before:
        return basis
    forward, reverse = (after - known for after, known in zip(now, before, strict=True))
    return basis.with_basic_rows(basis.rows, reverse).with_basic_rows(basis.rows - before[1], forward)
