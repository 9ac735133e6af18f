r"""A DSO plans: which branches to reinforce and which volumetric charge recovers the cost, given how platforms respond.

    min over z in {0,1}, charge   existing cost + annuities' z  +  resource cost of operation(z, charge)       social cost [EUR/a]
    s.t.  |charge * (energy imported by platforms + passive energy) - (existing cost + annuities' z)| <= tolerance * (existing + annuities' z)
          operation in argmin: cost of the DSO's network with all platforms, charge and levy included, new PV and storage bought by them

The follower is the DSO's program with every platform as one participant. Charges and levies are transfers: they steer the follower
and are not part of the social cost. Energy of passive generation is counted as bought at the energy price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
import xarray as xr
from scipy import sparse

from multiscale import bilevel
from multiscale.operation import Adoption, DistributionProgram, distribution_program, platform_program
from multiscale.operation.tree import exchange_bounds
from multiscale.planning.charge_range import implied_charge_range
from multiscale.programs import Block, Index, Link, Output, ParametricProgram, compose
from multiscale.system import Economics, Fleet, LoadingLimits, System
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class PlanningProblem:
    """A DSO's planning problem.

    Attributes:
        dso: the leader.
        horizon: representative days.
        program: the follower: parameters ``built`` (option) and ``network_charge``; outputs ``resource_cost`` [EUR/a],
            ``charged_energy`` [kWh/a].
        distribution: the DSO's part of it.
        options: reinforcements (component ``option``) in the order of ``built``.
        annuity: yearly cost of each option [EUR/a].
        existing_cost: yearly cost of the existing network [EUR/a].
        passive_energy: energy of passive customers, who pay the charge too [kWh/a].
        fleets: platform -> one-participant fleet the planner sees.
        adoption: platform -> capacity that may be bought.
        energy_has_a_price: whether the energy price is above zero in every period.
        constant: cost that no decision changes [EUR/a]: the existing network, and passive generation at the energy price.
    """

    dso: str
    horizon: Horizon
    program: ParametricProgram
    distribution: DistributionProgram
    options: xr.Dataset
    annuity: np.ndarray
    existing_cost: float
    passive_energy: float
    fleets: Mapping[str, Fleet]
    adoption: Mapping[str, Adoption]
    energy_has_a_price: bool
    constant: float


@dataclass(frozen=True)
class Plan:
    """What the DSO decides, with the proof.

    Attributes:
        dso: who decides.
        built: option -> whether it is built.
        charge: volumetric network charge [EUR/kWh].
        objective, bound: social cost and its proven lower bound [EUR/a].
        gap: (objective - bound) / objective.
        status: of the bilevel solution.
        follower_gap: relative suboptimality of the follower when solved again at the decision.
        revenue, allowed_revenue: what the charge earns and what it has to recover [EUR/a].
        investment: of everything built [EUR].
        bought: platform -> (new PV [kW], new battery [kWh]).
        exchange: platform -> forecast exchange [kW], (period,).
        solution: the whole bilevel solution, with its certificate.
    """

    dso: str
    built: Mapping[str, bool]
    charge: float
    objective: float
    bound: float
    gap: float
    status: str
    follower_gap: float
    revenue: float
    allowed_revenue: float
    investment: float
    bought: Mapping[str, tuple[float, float]]
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
        limits: shares of the ratings that may be used.
        adoption: platform -> capacity its participant may buy.
    """
    adoption = {c: a for c, a in (adoption or {}).items() if c in system.children(dso)}
    children = system.children(dso)
    one = {c: fleets[c].aggregate(np.full(fleets[c].size, c)) for c in children}
    bounds = {c: exchange_bounds(one[c]) for c in children}
    for c, more in adoption.items():
        extra = (more.pv_kw[:, None] * more.pv_yield + 0.5 * more.battery_kwh[:, None]).sum(axis=0)
        bounds[c] = (bounds[c][0] - extra, bounds[c][1] + 0.5 * more.battery_kwh.sum())
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
    platforms = {c: platform_program(one[c], economics, adoption=adoption.get(c), agreements=False) for c in children}
    free = np.zeros(horizon.periods)
    internal = {"import_price": free, "export_price": free}
    exchange = distribution.program.parameters["exchange"].positions
    links = [Link(c, "exchange", exchange[k]) for k, c in enumerate(children)]
    joined = compose(f"operation of {dso}", distribution.program, platforms, links, dict.fromkeys(children, internal), shared=["network_charge"])
    follower = joined.settle({"energy_price": energy_price})
    charged = sum((follower.outputs[f"{c}/import_energy"].matrix for c in children), sparse.csr_matrix((1, follower.columns.size)))
    resource = sparse.csr_matrix(follower.c0[None, :]) - economics.levy * charged
    outputs = {
        "charged_energy": Output(Index((Block("charged_energy", {}, "kWh/a", 0, "energy that pays the charge"),)), charged),
        "resource_cost": Output(Index((Block("resource_cost", {}, "EUR/a", 0, "cost of operation without transfers"),)), resource),
        **{c: follower.outputs[f"{c}/exchange"] for c in children},
    }
    follower = _with_outputs(follower, outputs)
    chosen = options.sel(option=list(distribution.options))
    annuity = chosen.cost_eur.values * np.array([economics.annuity(n) for n in chosen.lifetime_years.values.tolist()])
    passive = system.passive(dso, horizon)
    passive_energy = float((passive.demand.values * horizon.hours_per_year).sum())
    hours = horizon.hours_per_year
    reference = sum(float(((f.data.demand + f.data.ev + f.data.heat_pump).sum("prosumer").values * hours).sum()) for f in one.values())
    existing = economics.existing_network_cost * (passive_energy + reference)
    generated = float((passive.generation.values.sum(axis=0) * energy_price * horizon.hours_per_year).sum())
    dear = bool(energy_price.min() > 0)
    return PlanningProblem(
        dso, horizon, follower, distribution, chosen, annuity, existing, passive_energy, one, adoption, dear, existing + generated
    )


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


def leader_model(
    problem: PlanningProblem, *, charge_range: tuple[float, float], tolerance: float = 1e-3
) -> tuple[pyo.ConcreteModel, bilevel.ProgramFollower]:
    """The leader as a Pyomo model, with the follower attached.

    Args:
        problem: what is planned.
        charge_range: lowest and highest charge [EUR/kWh].
        tolerance: relative tolerance of cost recovery.
    """
    # The range is found with the bounds in place, since they keep the dual bounds of its linear programs finite.
    low, high = implied_charge_range(
        problem.program, problem.passive_energy, problem.existing_cost, float(problem.annuity.sum()), charge_range, tolerance
    )
    if low > high:
        raise NoPlanError(
            "infeasible",
            f"plan of {problem.dso}: recovering {problem.existing_cost:,.0f} EUR/a takes a charge of at least {low:.4g} EUR/kWh, above the largest "
            f"allowed {charge_range[1]:g} (tariff.charge_max); allow a higher one",
        )
    model = pyo.ConcreteModel(name=f"plan of {problem.dso}")
    names = problem.options.option.values.tolist()
    annuity = dict(zip(names, problem.annuity.tolist(), strict=True))
    model.built = pyo.Var(names, domain=pyo.Binary)
    model.charge = pyo.Var(bounds=(low, high))
    program = without_idle_bounds(problem.program) if problem.energy_has_a_price else problem.program
    follower = bilevel.ProgramFollower(program, {"built": model.built, "network_charge": model.charge}, model=model, name="operation")
    investment = sum(annuity[o] * model.built[o] for o in names)
    allowed = problem.existing_cost + investment
    revenue = model.charge * (follower.output("charged_energy") + problem.passive_energy)
    model.recovery_low = pyo.Constraint(expr=revenue >= (1 - tolerance) * allowed)
    model.recovery_high = pyo.Constraint(expr=revenue <= (1 + tolerance) * allowed)
    model.social_cost = pyo.Objective(expr=investment + follower.output("resource_cost") + problem.program.d0 + problem.constant)
    return model, follower


def solve_plan(
    problem: PlanningProblem,
    *,
    charge_range: tuple[float, float],
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
    model, follower = leader_model(problem, charge_range=charge_range, tolerance=tolerance)
    solution = bilevel.solve(model, followers=[follower], method=method, gap=gap, time_limit=time_limit, seed=seed, **options)
    if not np.isfinite(solution.objective):
        status = str(solution.status)
        full = "memlimit" in solution.message
        more = ", or more memory (solver.memory_limit_mb): that of SCIP was used up" if full else ""
        raise NoPlanError(
            status if status in ("infeasible", "time_limit") else "error",
            f"plan of {problem.dso}: {status.replace('_', ' ')}; allow a higher charge (tariff.charge_max is {charge_range[1]:g} EUR/kWh) "
            f"or more time (planning.time_limit_s is {time_limit:g} s){more}",
        )
    if solution.certificate is None or solution.certificate.failures:
        why = "; ".join(solution.certificate.failures) if solution.certificate else solution.message
        raise NoPlanError("error", f"plan of {problem.dso}: the certificate of what was found does not hold ({why}); try another planning.method")
    return read_plan(problem, model, solution)


def read_plan(problem: PlanningProblem, model: pyo.ConcreteModel, solution: bilevel.BilevelSolution) -> Plan:
    """The plan out of a solved leader model."""
    names = problem.options.option.values.tolist()
    built = {o: pyo.value(model.built[o]) > 0.5 for o in names}
    charge = float(pyo.value(model.charge))
    choice = np.array([1.0 if built[o] else 0.0 for o in names])
    x = solution.primal["operation"]
    program = problem.program
    energy = float((program.outputs["charged_energy"].matrix @ x)[0]) + problem.passive_energy
    bought, exchange = {}, {}
    for c in problem.fleets:
        sizes = [float(program.columns.array(f"{c}/{n}", x).sum()) if f"{c}/{n}" in program.columns else 0.0 for n in ("new_pv", "new_battery")]
        bought[c] = (sizes[0], sizes[1])
        exchange[c] = program.outputs[c].matrix @ x
    return Plan(
        problem.dso,
        built,
        charge,
        solution.objective,
        solution.bound,
        solution.gap,
        str(solution.status),
        max(abs(f.gap) for f in solution.certificate.followers) if solution.certificate else float("nan"),
        charge * energy,
        problem.existing_cost + float(problem.annuity @ choice),
        float((problem.options.cost_eur.values * choice).sum()),
        bought,
        exchange,
        solution,
    )
