r"""A DSO plans: which branches to reinforce and which volumetric charge recovers the cost, given how platforms respond.

    min over z in {0,1}, charge   existing cost + annuities' z  +  resource cost of operation(z, charge)       social cost [EUR/a]
    s.t.  allowed <= charge * (energy imported by platforms + passive energy) <= (1 + tolerance) allowed,   allowed = existing cost + annuities' z
          operation in argmin: cost of the DSO's network with all platforms, charge and levy included, new PV and storage bought by them

The follower is the DSO's program with every platform as one participant. All components of the tariff are transfers (charge, levy, deduction on
exports, fees on peer trade): they steer the follower and are not part of the social cost. Passive generation costs nothing: what its owners are paid
for it is a transfer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr
from scipy import sparse

from multiscale import bilevel
from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet, purchasable
from multiscale.operation import DistributionProgram, Market, distribution_program, platform_program
from multiscale.operation.tree import exchange_bounds
from multiscale.planning.follower_names import BUILT
from multiscale.planning.participants import Participants, participants
from multiscale.planning.planned_costs import planned_costs
from multiscale.programs import Block, Index, Link, Output, ParametricProgram, compose
from multiscale.system import Economics, LoadingLimits, System
from multiscale.system.existing_network import existing_network_cost
from multiscale.tariffs import BILLED, Prices, Tariff
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class PlanningProblem:
    """A DSO's planning problem.

    Attributes:
        dso: the leader.
        horizon: representative days.
        program: the follower: parameters ``built`` (option) and the decided prices of the tariff; outputs ``resource_cost`` [EUR/a] and the
            determinant of every tariff component over all platforms.
        tariff: what is charged for.
        distribution: the DSO's part of it.
        options: reinforcements (component ``option``) in the order of ``built``.
        annuity: yearly cost of each option [EUR/a].
        existing_cost: yearly cost of the existing network [EUR/a].
        passive: determinant of every tariff component that passive customers add, in the shape of its prices.
        participants: platform -> its members as the planner sees them.
        members: platform -> its members.
        economics: values and costs.
        energy_price: forecast nodal price at the DSO's boundary [EUR/kWh], (period,).
    """

    dso: str
    horizon: Horizon
    program: ParametricProgram
    tariff: Tariff
    distribution: DistributionProgram
    options: xr.Dataset
    annuity: np.ndarray
    existing_cost: float
    passive: Mapping[str, np.ndarray]
    participants: Mapping[str, Participants]
    members: Mapping[str, Fleet]
    economics: Economics
    energy_price: np.ndarray

    @property
    def energy_has_a_price(self) -> bool:
        """Whether the energy price is above zero in every period."""
        return bool(self.energy_price.min() > 0)

    @property
    def constant(self) -> float:
        """Cost that no decision changes [EUR/a]: that of the existing network."""
        return self.existing_cost

    @property
    def single_price(self) -> str | None:
        """The tariff component that is decided, where it has one price and nothing else pays the operator; else None."""
        earning = [name for name, component in self.tariff.components.items() if component.receiver == "distribution operators"]
        return self.scalar_price if [self.scalar_price] == earning else None

    @property
    def scalar_price(self) -> str | None:
        """The tariff component that is decided, where that is one with one price, whatever else pays the operator; else None."""
        decided = list(self.tariff.decided)
        return decided[0] if len(decided) == 1 and self.passive[decided[0]].ndim == 0 else None

    @property
    def passive_energy(self) -> float:
        """Determinant of the single price that passive customers add."""
        return float(self.passive[str(self.scalar_price)])

    @property
    def price_range(self) -> tuple[float, float]:
        """Lowest and highest permitted value of the single price."""
        component = self.tariff.components[str(self.scalar_price)]
        return component.price_min, component.price_max


@dataclass(frozen=True)
class Plan:
    """What the DSO decides, with the proof.

    Attributes:
        dso: who decides.
        built: option -> whether it is built.
        prices: prices of the decided tariff components, component -> prices.
        objective, bound: social cost and its proven lower bound [EUR/a].
        gap: (objective - bound) / objective.
        status: ``optimal`` (within the gap asked for), ``feasible``, or ``time_limit`` where the clock ended the search.
        follower_gap: relative suboptimality of the follower when solved again at the decision.
        revenue, allowed_revenue: what the operator's components of the tariff earn and what it has to recover [EUR/a].
        investment: of everything built [EUR].
        bought: platform -> device -> new capacity of every member [unit of the device's capacity], (prosumer,).
        exchange: platform -> forecast exchange [kW], (period,).
        solution: the whole bilevel solution, with its certificate.
        decision_range: what decisions move [EUR/a]: the more expensive of building nothing and building everything, less the plan (see
            ``planning.extremes``); None where neither recovers its cost.
        message: how the search went, and what ended it if that was neither the gap nor the end of what is to be searched.
        participants: number of participants that the planner saw in place of the platforms' members.
        response_difference: where members were not seen one by one: determinant of every decided component as the participants answer, less that
            of the members, relative to it [1].
        costs: what the objective consists of where it is the social cost, see ``planned_costs`` [EUR/a].
        drawn: forecast exchange of the operator with its parent [kW], (period,).
        energy_price: forecast price at which that is valued [EUR/kWh], (period,).
        surplus: revenue beyond the cost to be recovered and its tolerance [EUR/a]; above zero only where the least permitted charge earns too much.
    """

    dso: str
    built: Mapping[str, bool]
    prices: Prices
    objective: float
    bound: float
    gap: float
    status: str
    follower_gap: float
    revenue: float
    allowed_revenue: float
    investment: float
    bought: Mapping[str, Mapping[str, np.ndarray]]
    exchange: Mapping[str, np.ndarray]
    costs: Mapping[str, float]
    drawn: np.ndarray
    energy_price: np.ndarray
    solution: bilevel.BilevelSolution
    decision_range: float | None = None
    message: str = ""
    surplus: float = 0.0
    participants: int = 0
    response_difference: Mapping[str, float] = field(default_factory=dict)

    @property
    def gap_eur(self) -> float:
        """Distance of the plan from its proven bound [EUR/a]."""
        return self.objective - self.bound

    @property
    def gap_of_decisions(self) -> float | None:
        """The gap as a share of what decisions move [1]; None where nothing is moved."""
        return self.gap_eur / self.decision_range if self.decision_range else None


def planning_problem(
    system: System,
    dso: str,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    options: xr.Dataset,
    energy_price: np.ndarray,
    market: Market,
    *,
    limits: LoadingLimits = LoadingLimits(),
    adoption: Mapping[str, Adoption] | None = None,
    view: str = "platform",
) -> PlanningProblem:
    """State the problem of a DSO.

    Args:
        system: the whole.
        dso: the leader.
        horizon: representative days, all of them.
        economics: values and costs.
        fleets: platform -> prosumers over the horizon.
        options: reinforcements to choose from.
        energy_price: forecast nodal price at the DSO's boundary [EUR/kWh], (period,).
        market: how every platform clears.
        limits: shares of the ratings that may be used.
        adoption: platform -> capacity its members may buy together.
        view: how the planner sees the members of a platform, see ``participants``.
    """
    adoption = {c: a for c, a in (adoption or {}).items() if c in system.children(dso)}
    children, hours = system.children(dso), horizon.hours_per_year
    inside = {c: _inside(system, c, options) for c in children}
    # Where lines of a low-voltage network may be reinforced, members are seen one by one in it.
    known = {c for c, mine in inside.items() if len(mine)}
    seen = {
        c: participants(fleets[c], "members", market, economics.tariff, adoption.get(c, {}))
        if c in known
        else participants(fleets[c], view, market, economics.tariff, adoption.get(c))
        for c in children
    }
    bounds = {c: exchange_bounds(p.fleet) for c, p in seen.items()}
    for c, p in seen.items():
        if p.adoption is not None:
            supply, consumption = p.fleet.new_supply(p.adoption).sum(axis=0), p.fleet.new_consumption(p.adoption).sum(axis=0)
            bounds[c] = (bounds[c][0] - supply, bounds[c][1] + consumption)
    distribution = distribution_program(
        system,
        dso,
        horizon,
        economics,
        {c: bounds[c][0] for c in children},
        {c: bounds[c][1] for c in children},
        {c: fleets[c].data.reactive.values.sum(axis=0) for c in children},
        relief=False,
        limits=limits,
        options=options,
        elsewhere=[name for c in children for name in inside[c]],
    )
    chosen, voltage = options.sel(option=list(distribution.options)), distribution.reduced.tree.no_load_voltage()
    platforms = {
        c: platform_program(
            p.fleet,
            economics,
            market,
            network=system.network(c) if c in known else None,
            root_voltage=float(voltage[bus]),
            adoption=p.adoption,
            agreements=False,
            limits=limits,
            options=chosen if c in known else None,
        )
        for (c, p), bus in zip(seen.items(), distribution.child_bus.tolist(), strict=True)
    }
    free = np.zeros(horizon.periods)
    internal = {"import_price": free, "export_price": free}
    exchange = distribution.program.parameters["exchange"].positions
    links = [Link(c, "exchange", exchange[k]) for k, c in enumerate(children)]
    joined = compose(
        f"operation of {dso}",
        distribution.program,
        platforms,
        links,
        dict.fromkeys(children, internal),
        shared=[*economics.tariff.decided, *([BUILT] if known else [])],
    )
    follower = joined.fix({"energy_price": energy_price})
    determinants = {name: _total(follower, [f"{c}/{BILLED}{name}" for c in children]) for name in economics.tariff.components}
    resource = sparse.csr_matrix(follower.c0[None, :])
    for name, component in economics.tariff.components.items():
        if not component.decided:
            prices = np.broadcast_to(np.asarray(component.price, dtype=float), component.shape(horizon)).reshape(1, -1)
            resource = resource - sparse.csr_matrix(prices) @ determinants[name].matrix
    outputs = {
        **{BILLED + name: output for name, output in determinants.items()},
        "resource_cost": Output(Index((Block("resource_cost", {}, "EUR/a", 0, "cost of operation without transfers"),)), resource),
        "unserved": _unserved(follower, hours),
        **{c: follower.outputs[f"{c}/exchange"] for c in children},
    }
    follower = _with_outputs(follower, outputs)
    annuity = chosen.cost_eur.values * np.array([economics.annuity(n) for n in chosen.lifetime_years.values.tolist()])
    passive = system.passive(dso, horizon)
    owed = {name: c.passive(passive.demand.values, passive.generation.values, horizon) for name, c in economics.tariff.components.items()}
    return PlanningProblem(
        dso,
        horizon,
        follower,
        economics.tariff,
        distribution,
        chosen,
        annuity,
        existing_network_cost(system, dso, horizon, economics),
        owed,
        seen,
        {c: fleets[c] for c in children},
        economics,
        np.asarray(energy_price, dtype=float),
    )


def _inside(system: System, platform: str, options: xr.Dataset) -> list[str]:
    """Names of options on branches of a platform's network."""
    return [str(o) for o in options.option.values[np.isin(options.branch.values, system.network(platform).active.branch.values)]]


def _total(program: ParametricProgram, names: Sequence[str]) -> Output:
    """The sum of outputs of one shape."""
    parts = [program.outputs[name] for name in names]
    return Output(parts[0].index, sum((part.matrix for part in parts[1:]), parts[0].matrix))


def _unserved(program: ParametricProgram, hours: np.ndarray) -> Output:
    """Energy that is not served, of passive customers and in platforms."""
    weight = np.zeros(program.columns.size)
    for block in program.columns:
        if block.name.rsplit("/", 1)[-1] == "unserved":
            weight[block.positions] = hours
    return Output(Index((Block("unserved", {}, "kWh/a", 0, "energy not served"),)), sparse.csr_matrix(weight[None, :]))


def _with_outputs(program: ParametricProgram, outputs: Mapping[str, Output]) -> ParametricProgram:
    return replace(program, outputs=dict(outputs))


class NoPlanError(bilevel.BilevelError):
    """There is no plan, or none was found in time.

    Attributes:
        status: ``infeasible``, ``time_limit`` or ``error``.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


def cannot_recover(problem: PlanningProblem, least: float, largest: float) -> str:
    """Message: no permitted value of the single price recovers the cost."""
    name = str(problem.scalar_price)
    return (
        f"plan of {problem.dso}: recovering {problem.existing_cost:,.0f} EUR/a takes a price of {name} of at least {least:.4g} "
        f"{problem.tariff.components[name].unit}, above the largest allowed {largest:g} (tariff.{name}.price_max); allow a higher one"
    )


def plan_from(
    problem: PlanningProblem,
    choice: np.ndarray,
    prices: Prices,
    solution: bilevel.BilevelSolution,
    decision_range: float | None,
    message: str = "",
    surplus: float = 0.0,
) -> Plan:
    """The plan out of a certified solution.

    Args:
        problem: what was planned.
        choice: 1 for every option that is built.
        prices: of the decided tariff components.
        solution: with the follower's answer as ``operation``.
        decision_range, message, surplus: see ``Plan``.
    """
    built = {o: bool(z > 0.5) for o, z in zip(problem.options.option.values.tolist(), choice.tolist(), strict=True)}
    x = solution.primal["operation"]
    program = problem.program
    revenue = sum(
        float(np.sum(problem.tariff.price(name, prices) * ((program.outputs[BILLED + name].matrix @ x).reshape(passive.shape) + passive)))
        for name, passive in problem.passive.items()
        if problem.tariff.components[name].receiver == "distribution operators"
    )
    bought, exchange = {}, {}
    for c, seen in problem.participants.items():
        sizes = {key: f"{c}/{device.capacity.column}" for key, device in purchasable(seen.fleet.devices).items()}
        found = {key: program.columns.array(size, x).values for key, size in sizes.items() if size in program.columns}
        bought[c] = {key: seen.shared(each, problem.members[c]) for key, each in found.items()}
        exchange[c] = program.outputs[c].matrix @ x
    drawn = program.columns.array("import", x).values - program.columns.array("export", x).values
    fleets = {c: seen.fleet for c, seen in problem.participants.items()}
    built_cost = float(problem.annuity @ choice)
    costs = {"existing network": problem.existing_cost, "reinforcement": built_cost} | planned_costs(program, x, fleets, problem.economics.annuity)
    return Plan(
        problem.dso,
        built,
        prices,
        solution.objective,
        solution.bound,
        solution.gap,
        str(solution.status),
        max(abs(f.gap) for f in solution.certificate.followers) if solution.certificate else float("nan"),
        revenue,
        problem.existing_cost + built_cost,
        float((problem.options.cost_eur.values * choice).sum()),
        bought,
        exchange,
        costs,
        drawn,
        problem.energy_price,
        solution,
        decision_range,
        message,
        surplus,
        sum(p.fleet.size for p in problem.participants.values()),
    )
