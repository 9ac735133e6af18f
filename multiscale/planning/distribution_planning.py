r"""A DSO plans: which branches to reinforce and which volumetric charge recovers the cost, given how platforms respond.

    min over z in {0,1}, charge   existing cost + annuities' z  +  resource cost of operation(z, charge)       social cost [EUR/a]
    s.t.  |charge * (energy imported by platforms + passive energy) - (existing cost + annuities' z)| <= tolerance * (existing + annuities' z)
          operation in argmin: cost of the DSO's network with all platforms, charge and levy included, new PV and storage bought by them

The follower is the DSO's program with every platform as one participant. Charges and levies are transfers: they steer the follower
and are not part of the social cost. Energy of passive generation is counted as bought at the energy price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
import xarray as xr
from scipy import sparse

from multiscale import bilevel
from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet, purchasable
from multiscale.operation import DistributionProgram, Market, distribution_program, platform_program
from multiscale.operation.tree import exchange_bounds
from multiscale.planning.charge_range import implied_charge_range
from multiscale.programs import Block, Index, Link, Output, ParametricProgram, compose
from multiscale.system import Economics, LoadingLimits, System
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
        fleets: platform -> one-participant fleet the planner sees.
        adoption: platform -> capacity that may be bought.
        energy_has_a_price: whether the energy price is above zero in every period.
        constant: cost that no decision changes [EUR/a]: the existing network, and passive generation at the energy price.
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
    fleets: Mapping[str, Fleet]
    adoption: Mapping[str, Adoption]
    energy_has_a_price: bool
    constant: float

    @property
    def single_price(self) -> str | None:
        """The tariff component that is decided, where that is one component with one price; else None."""
        decided = list(self.tariff.decided)
        return decided[0] if len(decided) == 1 and self.passive[decided[0]].ndim == 0 else None


@dataclass(frozen=True)
class Plan:
    """What the DSO decides, with the proof.

    Attributes:
        dso: who decides.
        built: option -> whether it is built.
        prices: prices of the decided tariff components, component -> prices.
        objective, bound: social cost and its proven lower bound [EUR/a].
        gap: (objective - bound) / objective.
        status: of the bilevel solution.
        follower_gap: relative suboptimality of the follower when solved again at the decision.
        revenue, allowed_revenue: what the operator's components of the tariff earn and what it has to recover [EUR/a].
        investment: of everything built [EUR].
        bought: platform -> device -> new capacity [unit of the device's capacity].
        exchange: platform -> forecast exchange [kW], (period,).
        solution: the whole bilevel solution, with its certificate.
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
    bought: Mapping[str, Mapping[str, float]]
    exchange: Mapping[str, np.ndarray]
    solution: bilevel.BilevelSolution


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
) -> PlanningProblem:
    """State the problem of a DSO.

    Args:
        system: the whole.
        dso: the leader.
        horizon: representative days, all of them.
        economics: values and costs.
        fleets: platform -> prosumers over the horizon; the planner sees the sum.
        options: reinforcements to choose from.
        energy_price: forecast nodal price at the DSO's boundary [EUR/kWh], (period,).
        market: how every platform clears.
        limits: shares of the ratings that may be used.
        adoption: platform -> capacity its participant may buy.
    """
    adoption = {c: a for c, a in (adoption or {}).items() if c in system.children(dso)}
    children = system.children(dso)
    one = {c: fleets[c].aggregate(np.full(fleets[c].size, c)) for c in children}
    bounds = {c: exchange_bounds(one[c]) for c in children}
    for c, more in adoption.items():
        supply, consumption = one[c].new_supply(more).sum(axis=0), one[c].new_consumption(more).sum(axis=0)
        bounds[c] = (bounds[c][0] - supply, bounds[c][1] + consumption)
    distribution = distribution_program(
        system,
        dso,
        horizon,
        economics,
        {c: bounds[c][0] for c in children},
        {c: bounds[c][1] for c in children},
        {c: one[c].data.reactive.values.sum(axis=0) for c in children},
        relief=False,
        limits=limits,
        options=options,
    )
    platforms = {c: platform_program(one[c], economics, market, adoption=adoption.get(c), agreements=False) for c in children}
    free = np.zeros(horizon.periods)
    internal = {"import_price": free, "export_price": free}
    exchange = distribution.program.parameters["exchange"].positions
    links = [Link(c, "exchange", exchange[k]) for k, c in enumerate(children)]
    joined = compose(
        f"operation of {dso}", distribution.program, platforms, links, dict.fromkeys(children, internal), shared=list(economics.tariff.decided)
    )
    follower = joined.fix({"energy_price": energy_price})
    determinants = {name: _total(follower, [f"{c}/{BILLED}{name}" for c in children]) for name in economics.tariff.components}
    resource = sparse.csr_matrix(follower.c0[None, :])
    for name, component in economics.tariff.components.items():
        if component.price is not None and name == "levy":
            resource = resource - component.price * sparse.csr_matrix(determinants[name].matrix.sum(axis=0))
    outputs = {
        **{BILLED + name: output for name, output in determinants.items()},
        "resource_cost": Output(Index((Block("resource_cost", {}, "EUR/a", 0, "cost of operation without transfers"),)), resource),
        **{c: follower.outputs[f"{c}/exchange"] for c in children},
    }
    follower = _with_outputs(follower, outputs)
    chosen = options.sel(option=list(distribution.options))
    annuity = chosen.cost_eur.values * np.array([economics.annuity(n) for n in chosen.lifetime_years.values.tolist()])
    passive = system.passive(dso, horizon)
    hours = horizon.hours_per_year
    passive_energy = float((passive.demand.values * hours).sum())
    owed = {name: c.passive(passive.demand.values, passive.generation.values, horizon) for name, c in economics.tariff.components.items()}
    reference = sum(f.yearly_reference_demand() for f in one.values())
    existing = economics.existing_network_cost * (passive_energy + reference)
    generated = float((passive.generation.values.sum(axis=0) * energy_price * horizon.hours_per_year).sum())
    dear = bool(energy_price.min() > 0)
    return PlanningProblem(
        dso, horizon, follower, economics.tariff, distribution, chosen, annuity, existing, owed, one, adoption, dear, existing + generated
    )


def _total(program: ParametricProgram, names: Sequence[str]) -> Output:
    """The sum of outputs of one shape."""
    parts = [program.outputs[name] for name in names]
    return Output(parts[0].index, sum((part.matrix for part in parts[1:]), parts[0].matrix))


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


IDLE_BOUNDS = ("unserved", "curtailed", "import", "export", "flow")
"""Columns whose bounds lie beyond what any answer uses, as long as energy has a price."""


def without_idle_bounds(program: ParametricProgram) -> ParametricProgram:
    """The follower without bounds that no answer ever touches; the same answers, and prices that are provably bounded.

    Unserved demand is dearer than any energy and curtailment costs something, so with a positive price nobody uses more of either
    than there is; imports, exports and flows are bounded by what customers can draw and feed in. A finite bound on such a column
    would let its multiplier run free in the dual; without it, unserved demand alone keeps every price below its cost.
    """
    lower, upper = program.lower.copy(), program.upper.copy()
    for block in program.columns:
        if block.name.rsplit("/", 1)[-1] in IDLE_BOUNDS:
            where = block.positions.ravel()
            upper[where] = np.inf
            lower[where] = np.where(lower[where] < 0, -np.inf, lower[where])
    return replace(program, lower=lower, upper=upper)


def leader_model(problem: PlanningProblem, *, tolerance: float = 1e-3) -> tuple[pyo.ConcreteModel, bilevel.ProgramFollower]:
    """The leader as a Pyomo model, with the follower attached.

    Args:
        problem: what is planned.
        tolerance: relative tolerance of cost recovery.
    """
    model = pyo.ConcreteModel(name=f"plan of {problem.dso}")
    names = problem.options.option.values.tolist()
    annuity = dict(zip(names, problem.annuity.tolist(), strict=True))
    model.built = pyo.Var(names, domain=pyo.Binary)
    model.prices = pyo.Block(list(problem.tariff.decided), rule=lambda block, name: _price_variables(block, problem, name, tolerance))
    program = without_idle_bounds(problem.program) if problem.energy_has_a_price else problem.program
    decided = {name: model.prices[name].price for name in problem.tariff.decided}
    follower = bilevel.ProgramFollower(program, {"built": model.built} | decided, model=model, name="operation")
    investment = sum(annuity[o] * model.built[o] for o in names)
    allowed = problem.existing_cost + investment
    revenue = sum(
        _revenue(problem, name, decided.get(name, component.price), follower)
        for name, component in problem.tariff.components.items()
        if component.receiver == "distribution operators"
    )
    model.recovery_low = pyo.Constraint(expr=revenue >= (1 - tolerance) * allowed)
    model.recovery_high = pyo.Constraint(expr=revenue <= (1 + tolerance) * allowed)
    model.social_cost = pyo.Objective(expr=investment + follower.output("resource_cost") + problem.program.d0 + problem.constant)
    return model, follower


def _price_variables(block: Any, problem: PlanningProblem, name: str, tolerance: float) -> None:
    """Variables for the prices of a component, within their range; that of a single price is narrowed to where the cost can be recovered."""
    component, labels = problem.tariff.components[name], bilevel.labels_of(problem.program.parameters[name])
    low, high = component.price_min, component.price_max
    if name == problem.single_price:
        # The range is found with the bounds in place, since they keep the dual bounds of its linear programs finite.
        passive, costs = float(problem.passive[name]), (problem.existing_cost, float(problem.annuity.sum()))
        low, high = implied_charge_range(problem.program, name, passive, *costs, (low, high), tolerance)
        if low > high:
            raise NoPlanError(
                "infeasible",
                f"plan of {problem.dso}: recovering {problem.existing_cost:,.0f} EUR/a takes a price of {name} of at least {low:.4g} "
                f"{component.unit}, above the largest allowed {component.price_max:g} (tariff.{name}.price_max); allow a higher one",
            )
    block.price = pyo.Var(bounds=(low, high)) if labels == [None] else pyo.Var(labels, bounds=(low, high))


def _revenue(problem: PlanningProblem, name: str, price: Any, follower: bilevel.ProgramFollower) -> Any:
    """What a component earns [EUR/a], as an expression: one product for each price."""
    output, passive = follower.output(BILLED + name), problem.passive[name].ravel()
    labels = bilevel.labels_of(problem.program.outputs[BILLED + name].index.blocks[0])
    each = [price[label] if hasattr(price, "is_indexed") else price for label in labels]
    return sum(p * (output[label] + float(passive[k])) for k, (label, p) in enumerate(zip(labels, each, strict=True)))


def solve_plan(
    problem: PlanningProblem,
    *,
    tolerance: float = 1e-3,
    gap: float = 0.01,
    time_limit: float = 60.0,
    method: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Plan:
    """Solve a DSO's planning problem to a proven gap, or as far as the time allows; ``options`` go to ``bilevel.solve``.

    Raises:
        NoPlanError: no decision satisfies cost recovery within the range of the charge, or nothing was found in time.
        bilevel.BilevelError: the method does not take this problem.
    """
    model, follower = leader_model(problem, tolerance=tolerance)
    solution = bilevel.solve(model, followers=[follower], method=method, gap=gap, time_limit=time_limit, seed=seed, **options)
    if not np.isfinite(solution.objective):
        status = str(solution.status)
        raise NoPlanError(
            status if status in ("infeasible", "time_limit") else "error",
            f"plan of {problem.dso}: {status.replace('_', ' ')}; allow higher prices (price_max of {', '.join(problem.tariff.decided)}) "
            f"or more time (planning.time_limit_s is {time_limit:g} s)",
        )
    if solution.certificate is None or solution.certificate.failures:
        why = "; ".join(solution.certificate.failures) if solution.certificate else solution.message
        raise NoPlanError("error", f"plan of {problem.dso}: the certificate of what was found does not hold ({why}); try another planning.method")
    return read_plan(problem, model, solution)


def read_plan(problem: PlanningProblem, model: pyo.ConcreteModel, solution: bilevel.BilevelSolution) -> Plan:
    """The plan out of a solved leader model."""
    names = problem.options.option.values.tolist()
    built = {o: pyo.value(model.built[o]) > 0.5 for o in names}
    decided = {name: _values(model.prices[name].price, problem.program.parameters[name]) for name in problem.tariff.decided}
    choice = np.array([1.0 if built[o] else 0.0 for o in names])
    x = solution.primal["operation"]
    program = problem.program
    revenue = sum(
        float(np.sum(problem.tariff.price(name, decided) * ((program.outputs[BILLED + name].matrix @ x).reshape(passive.shape) + passive)))
        for name, passive in problem.passive.items()
        if problem.tariff.components[name].receiver == "distribution operators"
    )
    bought, exchange = {}, {}
    for c in problem.fleets:
        sizes = {key: f"{c}/{device.capacity.column}" for key, device in purchasable(problem.fleets[c].devices).items()}
        bought[c] = {key: float(program.columns.array(size, x).sum()) for key, size in sizes.items() if size in program.columns}
        exchange[c] = program.outputs[c].matrix @ x
    return Plan(
        problem.dso,
        built,
        decided,
        solution.objective,
        solution.bound,
        solution.gap,
        str(solution.status),
        max(abs(f.gap) for f in solution.certificate.followers) if solution.certificate else float("nan"),
        revenue,
        problem.existing_cost + float(problem.annuity @ choice),
        float((problem.options.cost_eur.values * choice).sum()),
        bought,
        exchange,
        solution,
    )


def _values(variable: Any, block: Block) -> np.ndarray:
    """Values of the price variables in the shape of the parameter block."""
    return np.array([float(pyo.value(variable[label])) for label in bilevel.labels_of(block)]).reshape(block.shape)
