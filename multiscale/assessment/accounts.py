"""The ledger of a scenario: every payment has a payer and a receiver, and every real cost a stakeholder who bears it.

Money flows sum to zero over the stakeholders, each by itself. Welfare is money received less real cost borne, and the welfare of all
stakeholders together is minus the social cost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from multiscale.assessment.bills import prosumer_bills
from multiscale.assessment.payments import platform_payments
from multiscale.assessment.served import cut_off
from multiscale.coordination.common.answer import own_cost
from multiscale.coordination.common.outcome import Outcome, Reserves
from multiscale.operation import OperatingTree, passive_power

STAKEHOLDERS = (
    "prosumers",
    "platform operators",
    "passive customers",
    "distribution operators",
    "supplier and state",
    "wholesale market",
    "network builders",
    "equipment suppliers",
)
REAL_COSTS = ("production", "wear and discomfort", "unserved demand", "construction")


def account(component: str) -> str:
    """Ledger account of a tariff component."""
    return component.replace("_", " ")


@dataclass
class Ledger:
    """Payments and real costs over the year.

    Attributes:
        money: flow -> received (+) or paid (-) by every stakeholder [EUR/a], (stakeholder,).
        real: real costs borne [EUR/a], (stakeholder, cost).
    """

    money: dict[str, np.ndarray] = field(default_factory=dict)
    real: np.ndarray = field(default_factory=lambda: np.zeros((len(STAKEHOLDERS), len(REAL_COSTS))))

    def pay(self, payer: str, receiver: str, flow: str, amount: float) -> None:
        """A payment [EUR/a]; a negative amount flows the other way."""
        booked = self.money.setdefault(flow, np.zeros(len(STAKEHOLDERS)))
        booked[STAKEHOLDERS.index(payer)] -= amount
        booked[STAKEHOLDERS.index(receiver)] += amount

    def bear(self, stakeholder: str, cost: str, amount: float) -> None:
        """A real cost [EUR/a]."""
        self.real[STAKEHOLDERS.index(stakeholder), REAL_COSTS.index(cost)] += amount

    def add(self, other: Ledger) -> None:
        """Add the entries of another ledger."""
        for flow, booked in other.money.items():
            self.money[flow] = self.money.get(flow, np.zeros(len(STAKEHOLDERS))) + booked
        self.real += other.real

    @property
    def residual(self) -> float:
        """Largest sum of a money flow over the stakeholders, relative to its volume [1]; zero up to rounding, NaN where a flow is."""
        return float(np.max([abs(booked.sum()) / np.maximum(np.abs(booked).sum(), 1.0) for booked in self.money.values()], initial=0.0))

    @property
    def welfare(self) -> np.ndarray:
        """Money received less real costs borne [EUR/a], (stakeholder,)."""
        return sum(self.money.values(), np.zeros(len(STAKEHOLDERS))) - self.real.sum(axis=1)

    @property
    def social_cost(self) -> float:
        """Sum of all real costs [EUR/a]."""
        return float(self.real.sum())

    def arrays(self, flows: Sequence[str] | None = None) -> xr.Dataset:
        """The ledger as labelled arrays: ``money``, ``real_cost``, ``welfare``; with the given flows (zero where nothing was booked), or its own."""
        flows = list(self.money if flows is None else flows)
        nothing = np.zeros(len(STAKEHOLDERS))
        money = np.stack([self.money.get(flow, nothing) for flow in flows], axis=1)
        return xr.Dataset(
            {
                "money": (("stakeholder", "flow"), money, {"units": "EUR/a", "long_name": "money received (negative: paid)"}),
                "real_cost": (("stakeholder", "cost"), self.real, {"units": "EUR/a", "long_name": "real cost borne"}),
                "welfare": ("stakeholder", self.welfare, {"units": "EUR/a", "long_name": "money received less real cost borne"}),
            },
            coords={"stakeholder": list(STAKEHOLDERS), "flow": flows, "cost": list(REAL_COSTS)},
        )


def settle_day(tree: OperatingTree, outcome: Outcome, excluded: Collection[str] = ()) -> Ledger:
    """One day of operation settled (weighted to the year), all in one ledger; see ``settlement``.

    Args:
        tree: programs of all nodes.
        outcome: the day.
        excluded: platforms of which only what crosses their boundary is booked, beyond those that were excluded from the outcome.
    """
    return settlement(tree, outcome).ledger(excluded)


@dataclass(frozen=True)
class Settlement:
    """A settled day.

    Attributes:
        boundary: what is booked between the levels, and for passive customers.
        inside: platform -> what is booked between its members and its operator, and the real costs of its members.
    """

    boundary: Ledger
    inside: Mapping[str, Ledger]

    def ledger(self, excluded: Collection[str] = ()) -> Ledger:
        """All of it, without the inside of some platforms."""
        total = Ledger()
        total.add(self.boundary)
        for platform, booked in self.inside.items():
            if platform not in excluded:
                total.add(booked)
        return total


def settlement(tree: OperatingTree, outcome: Outcome, bills: Mapping[str, np.ndarray] | None = None) -> Settlement:
    """Settle one day of operation (weighted to the year).

    Platforms pay the published price for what they draw, and the deviation price where one is published; prosumers settle with their
    platform's operator at the prices of its clearing, less energy that is cut off at its connection; the DSO buys at its nodal price from the
    wholesale market and sells to
    passive customers at the same price. Under a retail price it is the supplier who sells to the platforms, and keeps what that price earns
    beyond the nodal price; a DSO gains nothing from energy there.

    Of a platform that was excluded from the outcome, only what crosses its boundary is booked: what its prosumers pay their operator, and their
    real costs, are not known.

    Args:
        tree: programs of all nodes.
        outcome: the day.
        bills: platform -> bills of its members, see ``prosumer_bills``; found where they are not given.
    """
    ledger = Ledger()
    platforms: dict[str, Ledger] = {}
    economics, hours = tree.economics, tree.horizon.hours_per_year
    for dso, own in tree.distribution.items():
        tariff, prices = economics.tariff, tree.prices(dso)
        energy_price = outcome.energy_price[dso]
        bought = outcome.exchange[dso]
        ledger.pay("distribution operators", "wholesale market", "energy at the boundary", float((hours * energy_price * bought).sum()))
        columns = own.program.columns
        x = outcome.distribution_x[dso]
        unserved, curtailed = columns.values("unserved", x), columns.values("curtailed", x)
        voll = economics.value_of_lost_load
        ledger.bear("passive customers", "unserved demand", float((hours * unserved).sum() * voll))
        ledger.bear("passive customers", "wear and discomfort", float((hours * curtailed).sum() * tree.system.curtailment_cost))
        served, used = passive_power(own, tree.system, tree.horizon, x)
        net = served.sum(axis=0) - used.sum(axis=0)
        ledger.pay("passive customers", "distribution operators", "energy of passive customers", float((hours * energy_price * net).sum()))
        for name, amount in tariff.passive_payments(served, used, tree.horizon, prices).items():
            ledger.pay("passive customers", tariff.components[name].receiver, account(name), amount)
        for child in own.children:
            paid = platform_payments(tree, child, outcome)
            ledger.pay("platform operators", "distribution operators", "energy of platforms", paid["energy"])
            signal = outcome.signals.get(child)
            if signal is not None and signal.retail:
                shed, spilled = cut_off(tree, outcome, child)
                margin = paid["energy"] - float((hours * energy_price * (outcome.exchange[child] - shed + spilled)).sum())
                ledger.pay("distribution operators", "supplier and state", "energy of platforms", margin)
            inside = {name for name, component in tariff.components.items() if component.receiver == "platform operators"}
            for name in tariff.components:
                if name not in inside:
                    ledger.pay("platform operators", tariff.components[name].receiver, account(name), paid[name])
            if child in outcome.excluded:
                continue
            members = platforms[child] = Ledger()
            fees = {name: paid[name] for name in tariff.components if name in inside}
            collected = float((prosumer_bills(tree, child, outcome) if bills is None else bills[child]).sum())
            members.pay("prosumers", "platform operators", "trade in platforms", collected - sum(fees.values()))
            for name, amount in fees.items():
                members.pay("prosumers", "platform operators", account(name), amount)
            program, schedule = tree.platforms[child], outcome.platform_x[child]
            unserved_here = float((hours * program.columns.values("unserved", schedule)).sum()) * voll
            inner = own_cost(program, prices, schedule) - sum(paid[name] for name in tariff.components) - unserved_here
            members.bear("prosumers", "unserved demand", unserved_here)
            members.bear("prosumers", "wear and discomfort", inner)
        if "shed" in columns:
            shed, spilled = (columns.values(name, x).reshape(-1, len(hours)).sum(axis=0) for name in ("shed", "spilled"))
            ledger.bear("prosumers", "unserved demand", float((hours * shed).sum() * voll))
            ledger.bear("prosumers", "wear and discomfort", float((hours * spilled).sum() * tree.system.curtailment_cost))
    ledger.bear("wholesale market", "production", outcome.transmission_cost)
    if outcome.reserves is not None:
        _settle_reserves(ledger, tree, outcome.reserves)
    return Settlement(ledger, platforms)


def reserve_cost(tree: OperatingTree, outcome: Outcome) -> dict[str, float]:
    """Cost of reserves that were negotiated with energy, by the real cost under which the ledger books it [EUR/a]."""
    found = {"production": 0.0, "unserved demand": 0.0, "wear and discomfort": 0.0}
    for node, cost in outcome.reserves.cost.items() if outcome.reserves is not None else ():
        kind = "production" if node == tree.system.top else "unserved demand" if node in tree.distribution else "wear and discomfort"
        found[kind] += float(cost.sum())
    return found


def _settle_reserves(ledger: Ledger, tree: OperatingTree, reserves: Reserves) -> None:
    """A node that hands uncertainty over pays its price to its parent; a node that holds flexibility back bears its cost."""
    hours = tree.horizon.hours_per_year

    def paid(node: str) -> float:
        return float((hours * reserves.price[node] * reserves.handed[node]).sum())

    ledger.bear("wholesale market", "production", float(reserves.cost[tree.system.top].sum()))
    for dso, own in tree.distribution.items():
        ledger.pay("distribution operators", "wholesale market", "reserves for forecast errors", paid(dso))
        ledger.bear("passive customers", "unserved demand", float(reserves.cost[dso].sum()))
        for platform in own.children:
            ledger.pay("prosumers", "distribution operators", "reserves for forecast errors", paid(platform))
            if platform in reserves.cost:  # of one that was excluded only what it hands over is known
                ledger.bear("prosumers", "wear and discomfort", float(reserves.cost[platform].sum()))
