"""From what was minimised to the social cost of the ledger: every term of the difference, by name.

    cost of the plan       + steps = social cost        planned: energy at a forecast price, one participant for several members
    cost of operation      + steps = social cost        operated: payments under the tariff included, construction not

Every step is computed from what it is about, none as what is left over: ``residual`` says what they miss, rounding of solvers alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.assessment.accounts import REAL_COSTS, STAKEHOLDERS, Ledger
from multiscale.assessment.operated import Operation
from multiscale.planning import Plan

CONSTRUCTION = {"existing network": "existing network", "reinforcement": "investment", "equipment": "equipment"}
"""Kind of construction -> flow of the ledger that pays for it in full."""


@dataclass(frozen=True)
class Step:
    """One term of a difference.

    Attributes:
        name: what differs.
        meaning: how it comes about.
        amount: [EUR/a].
    """

    name: str
    meaning: str
    amount: float


@dataclass(frozen=True)
class Reconciliation:
    """A cost, the steps from it, and the social cost at which they arrive.

    Attributes:
        start: name of the cost it starts from, see ``glossary``.
        cost: its value [EUR/a].
        steps: in order.
        social_cost: of the ledger [EUR/a].
    """

    start: str
    cost: float
    steps: tuple[Step, ...]
    social_cost: float

    @property
    def residual(self) -> float:
        """Social cost less the cost and all steps [EUR/a]."""
        return self.social_cost - self.cost - sum(step.amount for step in self.steps)


def reconcile_plan(plans: Mapping[str, Plan], operation: Operation, ledger: Ledger, relief: float = 0.0) -> Reconciliation:
    """From the cost of the plan (all operators' objectives) to the social cost of its operation.

    Args:
        plans: DSO -> plan.
        operation: under the plans.
        ledger: of the scenario, construction included.
        relief: see ``book_transmission_relief`` [EUR/a].
    """
    planned = {kind: sum(plan.costs[kind] for plan in plans.values()) for kind in next(iter(plans.values())).costs}
    objective = sum(plan.objective for plan in plans.values())
    reserves = {kind: sum(day.reserve_cost[kind] for day in operation.days) for kind in operation.days[0].reserve_cost}
    steps = [Step("objective of the regime", "planned social cost less the operators' objectives; zero where they minimise it",
                  sum(planned.values()) - objective)]  # fmt: skip
    steps += _energy(plans, operation)
    for kind, why in (
        ("unserved demand", "unserved demand at the value of lost load, as operated less as planned"),
        ("wear and discomfort", "wear, discomfort and curtailment, as operated less as planned: each member, low-voltage networks, the mechanism"),
    ):
        steps.append(Step(kind, why, float(ledger.real[:, REAL_COSTS.index(kind)].sum()) - reserves[kind] - planned[kind]))
    built = _construction(ledger)
    steps += [Step(kind, f"{kind} in the ledger less as planned", built[kind] - planned[kind]) for kind in CONSTRUCTION]
    steps += [_reserve_step(reserves), *_relief_step(relief)]
    return Reconciliation("cost of the plan", objective, tuple(steps), ledger.social_cost)


def reconcile_operation(operation: Operation, ledger: Ledger, relief: float = 0.0) -> Reconciliation:
    """From the cost of operation to the social cost; of platforms that were excluded neither holds what they do inside."""
    owed = {name: sum(day.owed[name] for day in operation.days) for name in operation.days[0].owed}
    steps = [Step(name.replace("_", " "), f"what platforms owe under {name} is a transfer", -amount) for name, amount in owed.items()]
    steps += [Step(kind, f"{kind}: construction, no cost of operation", amount) for kind, amount in _construction(ledger).items()]
    steps += _relief_step(relief)
    return Reconciliation("cost of operation", sum(day.own.cost for day in operation.days), tuple(steps), ledger.social_cost)


def _energy(plans: Mapping[str, Plan], operation: Operation) -> Iterable[Step]:
    """From energy at the forecast price to the cost of producing it."""
    drawn, price, value, days = 0.0, 0.0, 0.0, operation.days
    cost = sum(day.transmission_cost for day in days)
    hours = np.concatenate([day.horizon.hours_per_year for day in days])
    for dso, plan in plans.items():
        exchange, nodal = (np.concatenate([getattr(day, name)[dso] for day in days]) for name in ("exchange", "energy_price"))
        drawn += float((hours * plan.energy_price * (exchange - plan.drawn)).sum())
        price += float((hours * (nodal - plan.energy_price) * exchange).sum())
        value += float((hours * nodal * exchange).sum())
    yield Step("exchange", "energy that operators draw as operated less as planned, at the forecast price", drawn)
    yield Step("price of energy", "energy drawn as operated, at the nodal price less at the forecast price", price)
    yield Step("production", "cost of producing the energy drawn less its value at the nodal price: what the last kWh costs, the others cost less",
               cost - value)  # fmt: skip


def _construction(ledger: Ledger) -> dict[str, float]:
    """Yearly cost of construction by kind [EUR/a]."""
    nothing = np.zeros(len(STAKEHOLDERS))
    return {kind: float(np.maximum(ledger.money.get(flow, nothing), 0.0).sum()) for kind, flow in CONSTRUCTION.items()}


def _relief_step(relief: float) -> list[Step]:
    why = "cost of supplying customers on the transmission level with what is built there less without"
    return [Step("transmission level", why, relief)] if relief else []


def _reserve_step(reserves: Mapping[str, float]) -> Step:
    return Step("reserves for forecast errors", "flexibility held back, where it is negotiated with energy; not planned", sum(reserves.values()))
