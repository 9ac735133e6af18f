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

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from multiscale.programs import Basis, CompiledProgram, ParametricProgram, ProgramBuilder, ProgramSolution
from multiscale.programs.build import Term
from multiscale.system import Economics, Network, System
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class DirectCurrentModel:
    """Susceptances of a meshed network and what follows from them.

    Attributes:
        buses, branches: names (branches in service).
        start, end: positions of the ends of every branch.
        susceptance: of every branch [kW per rad, at nominal voltage].
        limit: of every branch [kW].
        part: connected part of every bus.
    """

    buses: np.ndarray
    branches: np.ndarray
    start: np.ndarray
    end: np.ndarray
    susceptance: np.ndarray
    limit: np.ndarray
    part: np.ndarray

    def __getstate__(self) -> dict[str, object]:
        """Everything but the factors of the matrix: they are made anew where the object arrives."""
        return {name: value for name, value in self.__dict__.items() if name != "_solver"}

    @cached_property
    def _incidence(self) -> sparse.csr_matrix:
        n, m = len(self.buses), len(self.branches)
        return sparse.csr_matrix((np.repeat([1.0, -1.0], m), (np.tile(np.arange(m), 2), np.concatenate([self.start, self.end]))), shape=(m, n))

    @cached_property
    def _inner(self) -> np.ndarray:
        """Buses whose angle is free: all but the first of every connected part."""
        return np.setdiff1d(np.arange(len(self.buses)), np.unique(self.part, return_index=True)[1])

    @cached_property
    def _solver(self) -> SuperLU:
        laplacian = (self._incidence.T @ sparse.diags(self.susceptance) @ self._incidence).tocsc()
        return splu(laplacian[np.ix_(self._inner, self._inner)].tocsc())

    def transfer_factors(self, rows: np.ndarray) -> np.ndarray:
        """PTDF of the given branches: flow per unit injected at each bus and taken out at the part's first bus; (len(rows), bus)."""
        factors = np.zeros((len(rows), len(self.buses)))
        if len(self._inner) and len(rows):
            weighted = sparse.diags(self.susceptance[rows]) @ self._incidence[rows]
            factors[:, self._inner] = self._solver.solve(weighted[:, self._inner].T.toarray()).T
        return factors

    def flows(self, injection: np.ndarray) -> np.ndarray:
        """Flow of every branch [kW] for balanced injections [kW] of every bus."""
        angle = np.zeros(len(self.buses))
        if len(self._inner):
            angle[self._inner] = self._solver.solve(injection[self._inner])
        return self.susceptance * (self._incidence @ angle)


def direct_current_model(network: Network, loading_limit: float = 1.0) -> DirectCurrentModel:
    """DC model of a network: susceptance 1000 Vn^2 / x [kW per rad], x in ohm at to_bus, ratings at unity power factor."""
    active = network.active
    start, end = network.ends()
    vn = network.buses.vn_kv.values[end]
    reactance = active.x_ohm.values
    zero = np.flatnonzero(np.abs(reactance) < 1e-9)
    if len(zero):
        name = str(active.branch.values[zero[0]])
        raise ValueError(f"branch {name!r}: reactance {reactance[zero[0]]:g} ohm; DC power flow needs one that is not zero (column x_ohm)")
    return DirectCurrentModel(
        network.buses.bus.values,
        active.branch.values,
        start,
        end,
        1000.0 * vn**2 / reactance,
        loading_limit * active.rating_kva.values,
        network.components(),
    )


@dataclass(frozen=True)
class Dispatch:
    """The TSO's answer to what the nodes below draw.

    Attributes:
        cost: of every period [EUR/a].
        price: nodal price at every node below [EUR/kWh], (node, period).
        generation: of every generator [kW], (generator, period).
        unserved, curtailed: sums over the network [kW], (period,).
        flow: of every branch [kW], (branch, period).
    """

    cost: np.ndarray
    price: np.ndarray
    generation: np.ndarray
    unserved: np.ndarray
    curtailed: np.ndarray
    flow: np.ndarray


class Transmission:
    """The TSO over a horizon: dispatch and nodal prices for any exchange of the nodes below.

    Keeps, for every period, the limits found to bind so far and the solver's basis.

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
        self.generator_bus = np.array([at[b] for b in generators.bus.values.tolist()], dtype=int)
        self.child_bus = np.array([at[system.boundary_bus(c)] for c in self.children], dtype=int)
        self._monitored = np.zeros(0, dtype=int)
        self._factors = np.zeros((0, len(self.model.buses)))
        self._compiled: dict[int, tuple[int, CompiledProgram]] = {}
        self._last: tuple[Basis, int] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Everything but the solvers: they are made anew where the object arrives."""
        return self.__dict__ | {"_compiled": {}, "_last": None}

    def learn(self, other: Transmission) -> None:
        """Take over the limits another object of the same network has found to bind."""
        if self._monitored is not other._monitored:
            self._monitored, self._factors = other._monitored, other._factors
            # Programs and bases know their limits by number only.
            self._compiled, self._last = {}, None

    @property
    def binding(self) -> np.ndarray:
        """Positions of the limits that were found to bind so far."""
        return self._monitored.copy()

    def monitor(self, limits: np.ndarray) -> None:
        """Watch the limits at these positions from the start; it saves the time of finding them, see ``binding``."""
        self._monitored, self._factors = np.asarray(limits, dtype=int), self.model.transfer_factors(np.asarray(limits, dtype=int))
        self._compiled, self._last = {}, None

    @cached_property
    def idle(self) -> Dispatch:
        """The dispatch when no node below draws anything."""
        return self.dispatch(np.zeros((len(self.children), self.horizon.periods)))

    @property
    def idle_cost(self) -> np.ndarray:
        """Cost of every period when no node below draws anything [EUR/a]."""
        return self.idle.cost

    def program(self, period: int) -> ParametricProgram:
        """The program of one period with the limits monitored so far; parameter ``exchange`` (node) [kW]."""
        return period_program(self, period, self._monitored, self._factors)

    def _solve(self, period: int, exchange: np.ndarray) -> ProgramSolution:
        count, compiled = self._compiled.get(period, (-1, None))
        limits = len(self._monitored)
        if compiled is not None and count == limits:
            return compiled.solve_optimal({"exchange": exchange})
        compiled = CompiledProgram(self.program(period))
        if self._last is not None:
            # Programs of all periods differ in numbers alone: a fresh one starts where the last one ended.
            compiled.start_from(_with_limits(*self._last, limits))
        solution = compiled.solve_optimal({"exchange": exchange})
        self._compiled[period] = limits, compiled
        self._last = compiled.basis, limits
        return solution

    def dispatch(self, exchange: np.ndarray) -> Dispatch:
        """Least-cost dispatch for given exchanges [kW], (node, period).

        Raises:
            RuntimeError: branch limits are still violated after all rounds of adding them.
        """
        periods = self.horizon.periods
        cost, price = np.zeros(periods), np.zeros((len(self.children), periods))
        generation = np.zeros((len(self.generator_bus), periods))
        unserved, curtailed = np.zeros(periods), np.zeros(periods)
        flow = np.zeros((len(self.model.branches), periods))
        hours = self.horizon.hours_per_year
        for t in range(periods):
            for _ in range(self.rounds):
                solution = self._solve(t, exchange[:, t])
                flow[:, t] = self.model.flows(self._injection(t, solution, exchange[:, t]))
                over = np.flatnonzero(np.abs(flow[:, t]) > self.model.limit * (1 + 1e-6))
                fresh = np.setdiff1d(over, self._monitored)
                if not len(fresh):
                    break
                self._monitored = np.concatenate([self._monitored, fresh])
                self._factors = np.vstack([self._factors, self.model.transfer_factors(fresh)])
            else:
                raise RuntimeError(f"transmission limits of {self.system.top!r} are still violated after {self.rounds} rounds of adding them")
            cost[t] = solution.objective
            price[:, t] = solution.program.sensitivity(solution.x, solution.y) / hours[t]
            generation[:, t] = _part(solution, "generation")
            unserved[t], curtailed[t] = _part(solution, "unserved").sum(), _part(solution, "curtailed").sum()
        return Dispatch(cost, price, generation, unserved, curtailed, flow)

    def _injection(self, period: int, solution: ProgramSolution, exchange: np.ndarray) -> np.ndarray:
        """Net injection of every bus [kW]."""
        total = np.zeros(len(self.model.buses))
        np.add.at(total, self.passive_bus, self.renewable[:, period] - self.demand[:, period])
        np.add.at(total, self.generator_bus, _part(solution, "generation"))
        np.add.at(total, self.passive_bus, _part(solution, "unserved") - _part(solution, "curtailed"))
        np.add.at(total, self.child_bus, -exchange)
        return total


def _part(solution: ProgramSolution, name: str) -> np.ndarray:
    """Columns of one block, without labels: they are made thousands of times."""
    return solution.x[solution.program.columns[name].positions]


def _with_limits(basis: Basis, before: int, now: int) -> Basis:
    """A basis of ``period_program`` with more limits: the rows of new ones are basic, so it stays a basis."""
    return basis.with_basic_rows(basis.rows, now - before).with_basic_rows(basis.rows - before, now - before)


def period_program(network: Transmission, t: int, monitored: np.ndarray, factors: np.ndarray) -> ParametricProgram:
    """One period of the TSO with the limits of the given branches; costs in EUR per year. Parameter ``exchange`` (node) [kW].

    Args:
        network: the TSO.
        t: period.
        monitored: positions of the branches whose limits are rows.
        factors: their transfer factors, (len(monitored), bus).
    """
    hours, economics, model = float(network.horizon.hours_per_year[t]), network.economics, network.model
    generators = network.system.generators
    demand, renewable, most = network.demand[:, t], network.renewable[:, t], network.largest_output[:, t]
    builder = ProgramBuilder(f"{network.system.top} {network.horizon.labels[t]}")
    buses = {"bus": model.buses[network.passive_bus]}
    output = builder.add_columns(
        "generation",
        {"generator": generators.generator.values},
        unit="kW",
        lower=np.minimum(generators.p_min_kw.values, most),
        upper=most,
        cost=generators.cost_eur_per_kwh.values * hours,
        description="output of wholesale generators",
    )
    voll, spill = economics.value_of_lost_load * hours, network.system.curtailment_cost * hours
    unserved = builder.add_columns("unserved", buses, unit="kW", upper=demand, cost=voll, description="demand not served")
    curtailed = builder.add_columns("curtailed", buses, unit="kW", upper=renewable, cost=spill, description="renewable generation curtailed")
    # A node below may feed in more than the upstream side can take: what is left over is spilled at its boundary, at the value of lost load.
    nodes = {"node": np.array(network.children, dtype=str)}
    spilled = builder.add_columns("spilled", nodes, unit="kW", cost=voll, description="feed-in refused at the boundary")
    missing = builder.add_columns("missing", nodes, unit="kW", cost=voll, description="supply refused at the boundary")
    exchange = builder.add_parameters("exchange", nodes, unit="kW", description="power drawn by the node")
    net = np.zeros(len(model.buses))
    np.add.at(net, network.passive_bus, renewable - demand)
    blocks = (
        (1.0, output, network.generator_bus),
        (1.0, unserved, network.passive_bus),
        (-1.0, curtailed, network.passive_bus),
        (-1.0, spilled, network.child_bus),
        (1.0, missing, network.child_bus),
    )
    for k in np.unique(model.part):
        here = [(sign, columns[model.part[bus] == k]) for sign, columns, bus in blocks]
        if any(len(columns) for _, columns in here):
            name = "balance" if k == model.part[network.child_bus[0] if len(network.child_bus) else 0] else f"balance_{k}"
            drawn = (1.0, exchange[model.part[network.child_bus] == k])
            fixed_net = -net[model.part == k].sum()
            builder.add_rows(name, {}, here, "==", fixed_net, unit="kW", parameters=[drawn], description="power balance of the connected part")
    if len(monitored):
        fixed = factors @ net
        axes = {"branch": model.branches[monitored]}
        for name, direction in (("limit_forward", 1.0), ("limit_reverse", -1.0)):
            terms: list[Term] = []
            for sign, columns, bus in blocks:
                effect = direction * sign * factors[:, bus]
                terms.append((np.where(np.abs(effect) < 1e-9, 0.0, effect), np.broadcast_to(columns, effect.shape)))
            effect_of_drawn = (direction * factors[:, network.child_bus], np.broadcast_to(exchange, (len(monitored), len(exchange))))
            limit = model.limit[monitored] - direction * fixed
            builder.add_rows(name, axes, terms, "<=", limit, unit="kW", parameters=[effect_of_drawn], description="branch limit")
    return builder.build()
