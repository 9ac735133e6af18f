r"""Fixed and nodal customers on one feeder: flexible customers pay nodal prices, all others one price that follows from them.

    leader    min_{z, tau}  annuities'z + cost of energy + unserved - value of flexible use           [EUR/a]
              s.t.          tau (flexible + fixed energy) + congestion rent = existing + annuities'z             z in {0,1}, tau in [0, 0.3]
    follower  min  sum_t h_t [ price_t import_t - sum_nb (utility_b - tau) use_nbt + VOLL unserved_nt ]
              s.t. balance of every bus (dual: nodal price), ratings F + dF z (dual: congestion rent)

The congestion rent is what the operator is left with at nodal prices, sum_t h_t (sum_n price_nt withdrawal_nt - price_t import_t), which by
complementarity is the dual of every rating times the rating. Fixed customers pay the mean of the nodal prices, weighted by what they use, so they
pay together what they would at nodal prices. After Savelli and Morstyn, Omega 103 (2021) 102450; flows without losses and voltages here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale import bilevel
from multiscale.programs import CompiledProgram, ParametricProgram, ProgramBuilder

from .network import DEMAND, HOURS, PRICE, Feeder

LOST_LOAD = 5.0
FLEXIBLE = 0.4
"""Share of the demand that is flexible."""
BLOCKS = np.linspace(0.10, 0.58, 9)
"""What flexible customers value a further kWh at, block by block [EUR/kWh]: each block is an equal part of their demand."""
TARIFF_MAX = 0.3
MOST_OPTIONS = 10
BISECTIONS, GRID = 40, 31
"""Steps in which the least tariff is narrowed down, and tariffs tried before."""
EXISTING = 0.02
"""Cost of the existing network, per kWh of demand [EUR/kWh]: what the congestion rent is above the cost of reinforcement lowers the tariff."""


@dataclass(frozen=True)
class NodalAnswer:
    """What was decided and what follows.

    Attributes:
        status, bound: how it was proven, and what no plan costs less than [EUR/a].
        built: lines that are reinforced.
        tariff: on every kWh [EUR/kWh].
        social_cost: annuities included [EUR/a].
        annuity, existing: what has to be recovered [EUR/a].
        tariff_revenue, rent: what recovers it [EUR/a].
        fixed_price: of customers without flexibility, before the tariff [EUR/kWh]; ``fixed_energy`` is what they use [kWh/a].
        flexible_paid: by flexible customers at nodal prices, before the tariff [EUR/a], for ``flexible_energy`` [kWh/a].
        energy_cost: of what is imported [EUR/a].
        nodal: nodal prices [EUR/kWh], (bus, period).
        unserved: [kWh/a].
    """

    status: str
    bound: float
    built: tuple[int, ...]
    tariff: float
    social_cost: float
    annuity: float
    existing: float
    tariff_revenue: float
    rent: float
    fixed_price: float
    fixed_energy: float
    flexible_paid: float
    flexible_energy: float
    energy_cost: float
    nodal: np.ndarray
    unserved: float


def market(case: Feeder) -> ParametricProgram:
    """The follower: parameters ``tariff`` and ``built``; outputs ``charged`` [kWh/a] and ``unserved`` [kWh/a]."""
    buses, periods = len(case.parent), len(HOURS)
    b = ProgramBuilder("market")
    bus, time = {"bus": np.arange(buses)}, {"period": np.arange(periods)}
    tariff = b.add_parameters("tariff", {}, unit="EUR/kWh")
    built = b.add_parameters("built", {"line": case.options}, unit="1")
    imports = b.add_columns("import", time, unit="kW", cost=PRICE * HOURS)
    fixed = (1 - FLEXIBLE) * case.peak[:, None] * DEMAND
    part = np.broadcast_to((FLEXIBLE * case.peak[:, None] * DEMAND / len(BLOCKS))[:, None, :], (buses, len(BLOCKS), periods))
    axes = bus | {"block": np.arange(len(BLOCKS))} | time
    use = b.add_columns("use", axes, unit="kW", upper=part, cost=-BLOCKS[:, None] * HOURS)
    b.add_cost_parameter(use, np.broadcast_to(tariff, use.shape), HOURS)
    unserved = b.add_columns("unserved", bus | time, unit="kW", upper=fixed, cost=LOST_LOAD * HOURS)
    flow = b.add_columns("flow", {"line": np.arange(buses - 1)} | time, unit="kW", lower=-np.inf)
    balance = b.add_rows("balance", bus | time, [(1.0, unserved)], "==", fixed, unit="kW")
    for k in range(len(BLOCKS)):
        b.add_to_rows(balance, use[:, k], -1.0)
    b.add_to_rows(balance[1:], flow, 1.0)
    b.add_to_rows(balance[case.parent[1:]], flow, -1.0)
    b.add_to_rows(balance[0], imports, 1.0)
    weak = case.options
    choice = np.broadcast_to(built[:, None], (len(weak), periods))
    terms, more = [(1.0, flow[weak])], [(case.added[weak][:, None], choice)]
    b.add_rows("rating", {"line": weak} | time, terms, "<=", case.rating[weak][:, None], unit="kW", parameters=more)
    b.add_output("charged", {}, [(np.broadcast_to(HOURS, use.shape).ravel()[None], use.ravel()[None])], unit="kWh/a")
    b.add_output("unserved", {}, [(np.broadcast_to(HOURS, unserved.shape).ravel()[None], unserved.ravel()[None])], unit="kWh/a")
    return b.build()


def existing_cost(case: Feeder) -> float:
    """Cost of the existing network [EUR/a]."""
    return EXISTING * float((case.peak.sum() * DEMAND) @ HOURS)


def fixed_energy(case: Feeder) -> float:
    """What customers without flexibility want in a year [kWh/a]."""
    return float(((1 - FLEXIBLE) * case.peak.sum() * DEMAND) @ HOURS)


def plan(case: Feeder, *, gap: float = 1e-4, time_limit: float = 600.0, **options: Any) -> NodalAnswer:
    """The plan of least social cost whose tariff and congestion rent pay for what is built, with its proof.

    Raises:
        bilevel.BilevelError: no answer was found.
    """
    program = market(case)
    model = pyo.ConcreteModel()
    model.build = pyo.Var(case.options.tolist(), domain=pyo.Binary)
    model.tariff = pyo.Var(bounds=(0.0, TARIFF_MAX))
    follower = bilevel.ProgramFollower(program, {"tariff": model.tariff, "built": model.build}, model=model)
    spent = sum(float(case.annuity[k]) * model.build[k] for k in case.options.tolist())
    paid = model.tariff * follower.output("charged")[None]
    # Fixed customers cannot answer; what is not served is not charged.
    paid_by_fixed = model.tariff * (fixed_energy(case) - follower.output("unserved")[None])
    price = follower.dual_of("rating")
    rent = -sum(
        price[k, t] * (float(case.rating[k]) + float(case.added[k]) * model.build[k]) for k in case.options.tolist() for t in range(len(HOURS))
    )
    due = existing_cost(case) + spent
    model.recovery = pyo.Constraint(expr=paid + paid_by_fixed + rent >= due)
    model.objective = pyo.Objective(expr=spent + follower.cost - paid)
    solution = bilevel.solve(model, [follower], gap=gap, time_limit=time_limit, **options)
    chosen = np.array([round(pyo.value(model.build[k])) for k in case.options.tolist()], dtype=float)
    found = least_tariff(case, CompiledProgram(program), chosen, 0.0, float(pyo.value(model.tariff)))
    return replace(found, status=str(solution.status), bound=float(solution.bound))


def least_tariff(case: Feeder, compiled: CompiledProgram, chosen: np.ndarray, low: float, best: float) -> NodalAnswer:
    """The plan at a tariff between two that recovers the cost: customers answer in steps, so that a range of tariffs costs society the same.

    Args:
        case, compiled: the network and the follower.
        chosen: options that are built (0 or 1).
        low, best: a tariff that need not recover the cost, and one that does [EUR/kWh].
    """
    due = existing_cost(case) + float(case.annuity[case.options] @ chosen)
    for _ in range(BISECTIONS):
        middle = (low + best) / 2
        found = _at(case, compiled, chosen, middle)
        low, best = (low, middle) if found.tariff_revenue + found.rent >= due else (middle, best)
    return _at(case, compiled, chosen, best)


def enumerated(case: Feeder) -> NodalAnswer:
    """The same by trying sets of options, those with the least social cost at a tariff of zero first.

    The social cost does not fall with the tariff, so a set costs at least what it does at a tariff of zero: sets that cost more than the best plan
    there are not tried, and the least of those costs is the bound.
    """
    compiled = CompiledProgram(market(case))
    if len(case.options) > MOST_OPTIONS:
        raise ValueError(f"{len(case.options)} options have too many sets to try each; give at most {MOST_OPTIONS}")
    sets = np.array(list(itertools.product((0.0, 1.0), repeat=len(case.options))))
    least = np.array([_at(case, compiled, chosen, 0.0).social_cost for chosen in sets])
    best: NodalAnswer | None = None
    bound = np.inf
    for i in np.argsort(least, kind="stable"):
        if best is not None and least[i] >= best.social_cost:
            break
        bound = min(bound, float(least[i]))
        found = _least_recovering(case, compiled, sets[i])
        if found is not None and (best is None or found.social_cost < best.social_cost):
            best = found
    if best is None:
        raise bilevel.BilevelError(f"no tariff up to {TARIFF_MAX:g} EUR/kWh recovers the cost of any set of options")
    return replace(best, status="enumerated", bound=min(bound, best.social_cost))


def _least_recovering(case: Feeder, compiled: CompiledProgram, chosen: np.ndarray) -> NodalAnswer | None:
    """The least tariff on a grid of ``GRID`` that recovers the cost, made smaller by bisection; None where there is none."""
    before = 0.0
    for tariff in np.linspace(0.0, TARIFF_MAX, GRID):
        found = _at(case, compiled, chosen, float(tariff))
        if found.tariff_revenue + found.rent >= found.existing + found.annuity:
            return least_tariff(case, compiled, chosen, before, float(tariff))
        before = float(tariff)
    return None


def _at(case: Feeder, compiled: CompiledProgram, chosen: np.ndarray, tariff: float) -> NodalAnswer:
    """The market at a decision, solved on its own."""
    found = compiled.solve_optimal({"tariff": tariff, "built": chosen})
    nodal = found.dual("balance").values / HOURS
    rent = -float((found.dual("rating").values * (case.rating[case.options] + case.added[case.options] * chosen)[:, None]).sum())
    charged, unserved = (float(np.ravel(found.output(name).values)[0]) for name in ("charged", "unserved"))
    fixed = (1 - FLEXIBLE) * case.peak[:, None] * DEMAND - found.primal("unserved").values
    at_nodal, energy = float(((nodal * fixed) @ HOURS).sum()), float((fixed @ HOURS).sum())
    annuity = float(case.annuity[case.options] @ chosen)
    return NodalAnswer(
        status="",
        bound=-np.inf,
        built=tuple(int(k) for k, one in zip(case.options, chosen, strict=True) if one),
        tariff=tariff,
        social_cost=found.objective - tariff * charged + annuity,
        annuity=annuity,
        existing=existing_cost(case),
        tariff_revenue=tariff * (charged + energy),
        rent=rent,
        fixed_price=at_nodal / energy,
        fixed_energy=energy,
        flexible_paid=float((nodal * found.primal("use").values.sum(axis=1) @ HOURS).sum()),
        flexible_energy=charged,
        energy_cost=float(PRICE * HOURS @ found.primal("import").values),
        nodal=nodal,
        unserved=unserved,
    )
