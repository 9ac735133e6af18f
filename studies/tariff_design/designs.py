"""Designs of a tariff, the plan under each, and who pays what.

Every design recovers the cost of the network, a given share of the existing cost by a fixed charge and the rest by prices that the planner decides
together with reinforcement, at least social cost, knowing how customers answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo

from multiscale import bilevel
from multiscale.assessment.distribution import gini
from multiscale.planning.general_engine import NO_CLOCK, PREPARATION
from multiscale.programs import ParametricProgram
from multiscale.tariffs import Capacity, Component, Fixed, TimeOfUsePrice, Volumetric

from .customers import BATTERY_COST, EXPORT_SHARE, KINDS, LOST_LOAD, PV_COST, WEAR, Customers, customers, horizon, program
from .network import HOURS, PRICE, Feeder

FIXED_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the existing cost that the fixed charge recovers."""
BASES: dict[str, Component] = {
    "volumetric": Volumetric(price_max=0.5),
    "capacity": Capacity(price_max=1000.0),
    "time of use": TimeOfUsePrice(starts=(0, 16, 22), price_max=1.0),
}
"""What recovers the rest."""
TOLERANCE = 1e-4
"""Largest surplus of the revenue, relative to the cost."""


@dataclass(frozen=True)
class Design:
    """A tariff: what recovers the cost that the fixed charge does not, and the share of the existing cost that it does."""

    base: str
    fixed_share: float

    @property
    def name(self) -> str:
        """In words."""
        return self.base if self.fixed_share == 0 else f"{self.base}, {self.fixed_share:.0%} fixed"

    def components(self, who: Customers) -> dict[str, Component]:
        """The components of the tariff."""
        found: dict[str, Component] = {"charge": BASES[self.base]}
        if self.fixed_share > 0:
            days = float(HOURS.sum()) / 24.0
            found["standing"] = Fixed(price=self.fixed_share * who.existing_cost / (days * float(who.number.sum())))
        return found


def designs(bases: tuple[str, ...] = tuple(BASES)) -> Iterator[Design]:
    """All of them; with everything fixed the rest is for reinforcement alone."""
    yield from (Design(base, share) for base in bases for share in FIXED_SHARES)


@dataclass(frozen=True)
class Outcome:
    """What a design leads to.

    Attributes:
        design, status, gap: which, whether it is proven, and the relative gap.
        built: lines reinforced.
        prices: decided.
        social_cost: network and customers [EUR/a].
        annuity: of what is built [EUR/a].
        revenue, due: of the operator, and what it has to recover [EUR/a].
        pv, storage: bought [kW], [kWh].
        unserved: [kWh/a].
        bills: of one customer of each kind: energy, own equipment and network [EUR/a]; ``network``: the network's part.
        uneven: Gini index of what all customers pay for the network per kWh of their demand [1].
    """

    design: Design
    status: str
    gap: float
    built: tuple[int, ...]
    prices: tuple[float, ...]
    social_cost: float
    annuity: float
    revenue: float
    due: float
    pv: float
    storage: float
    unserved: float
    bills: tuple[float, ...]
    network: tuple[float, ...]
    uneven: float


def outcome(case: Feeder, design: Design, *, gap: float = 1e-4, nodes: int = 200) -> Outcome:
    """The plan of least social cost under a design, and who pays.

    Args:
        case, design: what is planned.
        gap: relative gap to which the plan is proven.
        nodes: of the search; where they end it, the gap is wider. No clock does, so that every machine finds the same.

    Raises:
        bilevel.BilevelError: no plan recovers its cost within the range of the prices, or none was found.
    """
    who = customers(case)
    components = design.components(who)
    base = components["charge"]
    follower_program = program(case, who, components)
    labels = np.arange(int(np.prod(base.shape(horizon()))))
    model = pyo.ConcreteModel()
    model.build = pyo.Var(case.options.tolist(), domain=pyo.Binary)
    model.price = pyo.Var(labels.tolist(), bounds=(base.price_min, base.price_max))
    given = model.price if len(labels) > 1 else model.price[0]
    follower = bilevel.ProgramFollower(follower_program, {"built": model.build, "charge": given}, model=model)
    billed = list(follower.output("billed charge").values())
    standing = design.fixed_share * who.existing_cost
    earned = sum(model.price[k] * billed[k] for k in labels.tolist())
    spent = sum(float(case.annuity[k]) * model.build[k] for k in case.options.tolist())
    due = who.existing_cost + spent
    model.recovery = pyo.Constraint(expr=earned + standing >= due)
    model.no_surplus = pyo.Constraint(expr=earned + standing <= (1 + TOLERANCE) * due)
    model.objective = pyo.Objective(expr=who.existing_cost + spent + follower.cost - earned - standing)
    share = PREPARATION / NO_CLOCK
    limits = {"limits/nodes": nodes}
    solution = bilevel.solve(model, [follower], gap=gap, time_limit=NO_CLOCK, parameters=limits, bound_share=share, start_share=share)
    if solution.certificate is None:
        raise bilevel.BilevelError(f"{design.name}: {solution.message}")
    chosen = np.array([round(pyo.value(model.build[k])) for k in case.options.tolist()], dtype=float)
    prices = np.array([pyo.value(model.price[k]) for k in labels.tolist()])
    return _settled(case, who, design, follower_program, chosen, prices, solution)


def _settled(
    case: Feeder,
    who: Customers,
    design: Design,
    follower: ParametricProgram,
    chosen: np.ndarray,
    prices: np.ndarray,
    solution: bilevel.BilevelSolution,
) -> Outcome:
    """Bills at the customers' answer."""
    x = next(iter(solution.primal.values()))
    at = {name: x[follower.columns[name].positions] for name in ("import", "export", "pv", "battery", "charge", "discharge", "unserved")}
    energy = (at["import"] - EXPORT_SHARE * at["export"]) @ (PRICE * HOURS)
    own = PV_COST * at["pv"] + BATTERY_COST * at["battery"] + WEAR * (at["charge"] + at["discharge"]) @ HOURS
    standing = np.full(len(who.buses), design.fixed_share * who.existing_cost / who.number.sum()) * who.number
    base = BASES[design.base]
    if isinstance(base, Capacity):
        charged = prices[0] * at["import"].max(axis=1)
    elif isinstance(base, TimeOfUsePrice):
        charged = at["import"] @ (prices[base.blocks(horizon())] * HOURS)
    else:
        charged = prices[0] * (at["import"] @ HOURS)
    network = charged + standing
    annuity = float(case.annuity[case.options] @ chosen)
    real = energy + own + LOST_LOAD * at["unserved"] @ HOURS

    def of_one(total: np.ndarray) -> tuple[float, ...]:
        return tuple(float(total[who.kind == k].sum() / who.number[who.kind == k].sum()) for k in range(len(KINDS)))

    each = np.repeat((network / (who.demand @ HOURS)), np.maximum(1, np.round(who.number).astype(int)))
    return Outcome(
        design=design,
        status=str(solution.status),
        gap=float(solution.gap),
        built=tuple(int(k) for k, one in zip(case.options, chosen, strict=True) if one),
        prices=tuple(prices.tolist()),
        social_cost=who.existing_cost + annuity + float(real.sum()),
        annuity=annuity,
        revenue=float(network.sum()),
        due=who.existing_cost + annuity,
        pv=float(at["pv"].sum()),
        storage=float(at["battery"].sum()),
        unserved=float((at["unserved"] @ HOURS).sum()),
        bills=of_one(energy + own + network),
        network=of_one(network),
        uneven=gini(each),
    )


SAME = 0.5
"""Bills [EUR/a] and, for each 100,000 EUR/a of it, social costs that differ by no more than this are the same."""


def efficient(outcomes: Sequence[Outcome]) -> list[bool]:
    """Which plans found no other one beats: in social cost, and in the bill of the kind of customer that can buy nothing (the first)."""
    points = [(o.social_cost, o.bills[0]) for o in outcomes]

    def beaten(cost: float, bill: float) -> bool:
        same = SAME * abs(cost) / 1e5
        return any((c <= cost + same and b < bill - SAME) or (c < cost - same and b <= bill + SAME) for c, b in points)

    return [not beaten(*point) for point in points]
