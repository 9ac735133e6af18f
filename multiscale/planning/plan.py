"""What a DSO decides, with the proof; what a search may spend on it; and why there may be none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from multiscale import bilevel
from multiscale.devices.fleet import purchasable
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.no_plan import NoPlanError, Relaxation
from multiscale.planning.persistence import Restriction
from multiscale.planning.planned_costs import planned_costs
from multiscale.planning.regimes import Account, Regime, Social, account_of
from multiscale.planning.regulated import position_of
from multiscale.planning.search_start import SearchStart
from multiscale.planning.settings import DsoPlanSettings
from multiscale.planning.target_rows import reached
from multiscale.planning.targets import Reached, Targets
from multiscale.tariffs import Prices

_DEFAULTS = DsoPlanSettings()


@dataclass(frozen=True)
class Effort:
    """How exact a plan has to be, and what the search for it may spend.

    Attributes:
        tolerance: relative tolerance of cost recovery: the revenue lies in [allowed, (1 + tolerance) allowed].
        gap, gap_eur: the search ends when plan and bound are this close, relative to the objective or in EUR/a, whichever comes first.
        solve_limit: largest number of linear programs (decomposition), boxes of prices (with several) or nodes (other methods). It ends the search
            alike on every machine.
        time_limit: seconds, or None. A search that the clock ends says so in status and message.
        start: where the search for a similar plan ended, for the decomposition.
    """

    tolerance: float = _DEFAULTS.recovery_tolerance
    gap: float = 0.0
    gap_eur: float = 0.0
    solve_limit: int = _DEFAULTS.solve_limit
    time_limit: float | None = None
    start: SearchStart | None = None


@dataclass(frozen=True)
class SocialReference:
    """The plan of least social cost of one operator.

    Attributes:
        built: number of options that are built.
        annuity: of what is built [EUR/a].
        cost: social cost [EUR/a].
        bound: its proven lower bound [EUR/a].
        missing: why there is none, in words; then the numbers say nothing.
        status: of its search, as that of a ``Plan`` or a ``NoPlanError``.
    """

    built: int = 0
    annuity: float = 0.0
    cost: float = 0.0
    bound: float = 0.0
    missing: str = ""
    status: str = ""


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
        revenue, allowed_revenue: what the operator's components of the tariff earn and what the regime allows [EUR/a]; NaN where it sets no limit.
        account: the regulatory account of the plan.
        useful_annuity: annuities of what is built and may enter the asset base [EUR/a].
        investment: of everything built [EUR].
        bought: platform -> device -> new capacity of every member [unit of the device's capacity], (prosumer,).
        exchange: platform -> forecast exchange [kW], (period,).
        solution: the whole bilevel solution, with its certificate.
        decision_range: what decisions move [EUR/a]: the more expensive of building the least and the most admitted, less the plan (see
            ``planning.extremes``); None where neither recovers its cost.
        message: how the search went, and what ended it if that was neither the gap nor the end of what is to be searched.
        participants: number of participants that the planner saw in place of the platforms' members.
        response_difference: where members were not seen one by one: determinant of every decided component as the participants answer, less that
            of the members, relative to it [1].
        costs: what the objective consists of where it is the social cost, see ``planned_costs`` [EUR/a].
        drawn: forecast exchange of the operator with its parent [kW], (period,).
        energy_price: forecast price at which that is valued [EUR/kWh], (period,).
        social: the plan of least social cost, where the regime is another one and it was asked for.
        surplus: revenue beyond the cost to be recovered and its tolerance [EUR/a]; above zero only where the least permitted charge earns too much.
        start: where the search ended, for similar ones; None where it was none by decomposition.
        targets: name -> target and what the plan reaches of it.
        restriction: options that had to be built, and that could not be.
        yardstick: what the operator was compared with, see ``Position`` [EUR/a].
        rounds: in which the operators planned in turn until none moved; zero where they are not compared.
        moved: largest distance of their costs from those against which the others planned [EUR/a].
        cycle: in words, why they did not come to rest; empty where they did.
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
    account: Account
    useful_annuity: float
    decision_range: float | None = None
    message: str = ""
    surplus: float = 0.0
    participants: int = 0
    response_difference: Mapping[str, float] = field(default_factory=dict)
    social: SocialReference | None = None
    start: SearchStart | None = None
    targets: Mapping[str, Reached] = field(default_factory=dict)
    restriction: Restriction = field(default_factory=Restriction)
    yardstick: float = float("nan")
    rounds: int = 0
    moved: float = 0.0
    cycle: str = ""

    @property
    def missed_targets(self) -> list[str]:
        """Names of targets that are not reached, as far as is known."""
        return [name for name, one in self.targets.items() if one.missed()]

    @property
    def network_cost(self) -> float:
        """Yearly cost of the operator: its network, existing and built, and the flexibility that it buys [EUR/a]."""
        return self.costs["existing network"] + self.costs["reinforcement"] + self.account.bought

    @property
    def social_cost(self) -> float:
        """Real cost to society as the planner expects it [EUR/a]."""
        return sum(self.costs.values())

    @property
    def gap_eur(self) -> float:
        """Distance of the plan from its proven bound [EUR/a]."""
        return self.objective - self.bound

    @property
    def gap_of_decisions(self) -> float | None:
        """The gap as a share of what decisions move [1]; None where nothing is moved."""
        return self.gap_eur / self.decision_range if self.decision_range else None


def cannot_recover(problem: PlanningProblem, allowed: float, least: float, largest: float) -> NoPlanError:
    """No permitted value of the single price recovers what is allowed with nothing built [EUR/a]; one of at least ``least`` is needed."""
    name = str(problem.scalar_price)
    limit = Relaxation(problem.dso, f"tariff.{name}.price_max", largest, least, problem.tariff.components[name].unit)
    message = (
        f"plan of {problem.dso}: recovering {allowed:,.0f} EUR/a takes a price of {name} of at least {least:.4g} "
        f"{limit.unit}, above the largest allowed {largest:g} ({limit.setting}); allow a higher one"
    )
    return NoPlanError("infeasible", message, limit)


def earns_too_much(problem: PlanningProblem, most: float) -> NoPlanError:
    """What is given earns more than may be recovered with everything built [EUR/a], whatever the single price is."""
    name = str(problem.scalar_price)
    component = problem.tariff.components[name]
    given = [key for key, one in problem.tariff.earning.items() if key != name and not one.expenditure]
    lowest = f"the lowest {name} of {component.price_min:g} {component.unit}"
    earning = f"the given prices of {', '.join(given)} and {lowest}" if given else lowest
    settings = ", ".join([*(f"tariff.{key}.price" for key in given), f"tariff.{name}.price_min"])
    message = f"plan of {problem.dso}: {earning} earn more than the {most:,.0f} EUR/a that may be recovered with every option built; lower {settings}"
    return NoPlanError("infeasible", message)


def with_targets(problem: PlanningProblem, plan: Plan, targets: Targets) -> Plan:
    """A plan, with what it reaches of targets."""
    return replace(plan, targets=reached(problem, targets, plan.solution.primal["operation"], plan.prices)) if targets else plan


def bounded(plan: Plan, bound: float) -> Plan:
    """A plan of which another bound is proven too."""
    if not bound > plan.bound:
        return plan
    return replace(plan, bound=bound, gap=(plan.objective - bound) / max(abs(plan.objective), 1e-9))


def plan_from(
    problem: PlanningProblem,
    choice: np.ndarray,
    prices: Prices,
    solution: bilevel.BilevelSolution,
    decision_range: float | None,
    message: str = "",
    surplus: float = 0.0,
    regime: Regime = Social(),
) -> Plan:
    """The plan out of a certified solution.

    Args:
        problem: what was planned.
        choice: 1 for every option that is built.
        prices: of the decided tariff components.
        solution: with the follower's answer as ``operation``.
        decision_range, message, surplus: see ``Plan``.
        regime: under which it was planned.
    """
    built = {o: bool(z > 0.5) for o, z in zip(problem.options.option.values.tolist(), choice.tolist(), strict=True)}
    x = solution.primal["operation"]
    program = problem.program
    bought, exchange = {}, {}
    for c, seen in problem.participants.items():
        sizes = {key: f"{c}/{device.capacity.column}" for key, device in purchasable(seen.fleet.devices).items()}
        found = {key: program.columns.values(size, x) for key, size in sizes.items() if size in program.columns}
        bought[c] = {key: seen.shared(each, problem.members[c]) for key, each in found.items()}
        exchange[c] = program.outputs[c].matrix @ x
    drawn = program.columns.values("import", x) - program.columns.values("export", x)
    position = position_of(problem, choice, prices, x)
    account = account_of(regime, position)
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
        account.revenue,
        account.allowed,
        float((problem.options.cost_eur.values * choice).sum()),
        bought,
        exchange,
        costs,
        drawn,
        problem.energy_price,
        solution,
        account,
        float(regime.useful(position)),
        decision_range,
        message,
        surplus,
        sum(p.fleet.size for p in problem.participants.values()),
    )
