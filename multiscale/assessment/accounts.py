"""The ledger of a scenario: every payment has a payer and a receiver, and every real cost somebody who bears it.

Money flows sum to zero over the stakeholders, each by itself. Welfare is money received less real cost borne, and the welfare of all
stakeholders together is minus the social cost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from multiscale.assessment.bills import platform_payments, prosumer_bills
from multiscale.coordination.common.answer import own_cost
from multiscale.coordination.common.outcome import Cover, Outcome
from multiscale.operation import OperatingTree

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
FLOWS = (
    "energy of platforms",
    "trade in platforms",
    "energy of passive customers",
    "energy at the boundary",
    "network charge",
    "levy",
    "cover of forecast errors",
    "investment",
    "existing network",
    "equipment",
)
RETAIL = "today"
"""Mechanism in which a supplier sells to the platforms at one price."""

REAL_COSTS = ("production", "wear and discomfort", "unserved demand", "construction")


@dataclass
class Ledger:
    """Payments and real costs of one scenario over the year.

    Attributes:
        money: received (+) or paid (-) [EUR/a], (stakeholder, flow).
        real: real costs borne [EUR/a], (stakeholder, cost).
    """

    money: np.ndarray = field(default_factory=lambda: np.zeros((len(STAKEHOLDERS), len(FLOWS))))
    real: np.ndarray = field(default_factory=lambda: np.zeros((len(STAKEHOLDERS), len(REAL_COSTS))))

    def pay(self, payer: str, receiver: str, flow: str, amount: float) -> None:
        """A payment [EUR/a]; a negative amount flows the other way."""
        self.money[STAKEHOLDERS.index(payer), FLOWS.index(flow)] -= amount
        self.money[STAKEHOLDERS.index(receiver), FLOWS.index(flow)] += amount

    def bear(self, stakeholder: str, cost: str, amount: float) -> None:
        """A real cost [EUR/a]."""
        self.real[STAKEHOLDERS.index(stakeholder), REAL_COSTS.index(cost)] += amount

    def add(self, other: Ledger) -> None:
        """Add the entries of another ledger."""
        self.money += other.money
        self.real += other.real

    @property
    def residual(self) -> float:
        """Largest sum of a money flow over the stakeholders, relative to its volume [1]; zero up to rounding."""
        volume = np.abs(self.money).sum(axis=0)
        return float((np.abs(self.money.sum(axis=0)) / np.maximum(volume, 1.0)).max())

    @property
    def welfare(self) -> np.ndarray:
        """Money received less real costs borne [EUR/a], (stakeholder,)."""
        return self.money.sum(axis=1) - self.real.sum(axis=1)

    @property
    def social_cost(self) -> float:
        """Sum of all real costs [EUR/a]."""
        return float(self.real.sum())

    def arrays(self) -> xr.Dataset:
        """The ledger as labelled arrays: ``money``, ``real_cost``, ``welfare``."""
        return xr.Dataset(
            {
                "money": (("stakeholder", "flow"), self.money, {"units": "EUR/a", "long_name": "money received (negative: paid)"}),
                "real_cost": (("stakeholder", "cost"), self.real, {"units": "EUR/a", "long_name": "real cost borne"}),
                "welfare": ("stakeholder", self.welfare, {"units": "EUR/a", "long_name": "money received less real cost borne"}),
            },
            coords={"stakeholder": list(STAKEHOLDERS), "flow": list(FLOWS), "cost": list(REAL_COSTS)},
        )


def settle_day(tree: OperatingTree, outcome: Outcome, without: Collection[str] = ()) -> Ledger:
    """Settle one day of operation (weighted to the year).

    Platforms pay the published price for what they draw, and the deviation price where one is published; prosumers settle with their
    platform's operator at the prices of its clearing; the DSO buys at its nodal price from the wholesale market and sells to
    passive customers at the same price. Under a retail tariff (``today``) it is the supplier who sells to the platforms, and keeps what the
    tariff earns beyond the nodal price; a DSO gains nothing from energy there.

    Args:
        tree: programs of all nodes.
        outcome: the day.
        without: platforms of which only what crosses their boundary is booked: all that were left out of the outcome, or of the one it is
            compared with. What their prosumers pay their operator, and their real costs, then stand in neither.
    """
    ledger = Ledger()
    economics, hours = tree.economics, tree.horizon.hours_per_year
    for dso, own in tree.distribution.items():
        charge = tree.design.network_charge.get(dso, 0.0)
        energy_price = outcome.energy_price[dso]
        bought = outcome.exchange[dso]
        ledger.pay("distribution operators", "wholesale market", "energy at the boundary", float((hours * energy_price * bought).sum()))
        columns = own.program.columns
        x = outcome.distribution_x[dso]
        unserved, curtailed = columns.array("unserved", x).values, columns.array("curtailed", x).values
        voll = economics.value_of_lost_load
        ledger.bear("passive customers", "unserved demand", float((hours * unserved).sum() * voll))
        ledger.bear("passive customers", "wear and discomfort", float((hours * curtailed).sum() * economics.curtailment_cost))
        passive = tree.system.passive(dso, tree.horizon)
        demand, generation = passive.demand.values.sum(axis=0), passive.generation.values.sum(axis=0)
        served = demand - unserved.sum(axis=0)
        taken = float((hours * served).sum())
        net = served - generation + curtailed.sum(axis=0)
        ledger.pay("passive customers", "distribution operators", "energy of passive customers", float((hours * energy_price * net).sum()))
        ledger.pay("passive customers", "distribution operators", "network charge", charge * taken)
        ledger.pay("passive customers", "supplier and state", "levy", economics.levy * taken)
        for child in own.children:
            paid = platform_payments(tree, child, outcome)
            ledger.pay("platform operators", "distribution operators", "energy of platforms", paid["energy"])
            if outcome.mechanism == RETAIL:
                margin = paid["energy"] - float((hours * energy_price * outcome.exchange[child]).sum())
                ledger.pay("distribution operators", "supplier and state", "energy of platforms", margin)
            ledger.pay("platform operators", "distribution operators", "network charge", paid["charge"])
            ledger.pay("platform operators", "supplier and state", "levy", paid["levy"])
            if child in without or child in outcome.left_out:
                continue
            program, schedule = tree.platforms[child], outcome.platform_x[child]
            ledger.pay("prosumers", "platform operators", "trade in platforms", float(prosumer_bills(tree, child, outcome).sum()))
            unserved_here = float((hours * program.columns.array("unserved", schedule).values).sum()) * voll
            inner = own_cost(program, charge, schedule) - paid["charge"] - paid["levy"] - paid["fee"] - unserved_here
            ledger.bear("prosumers", "unserved demand", unserved_here)
            ledger.bear("prosumers", "wear and discomfort", inner)
        if "shed" in columns:
            shed, spilled = (columns.array(name, x).values.reshape(-1, len(hours)).sum(axis=0) for name in ("shed", "spilled"))
            ledger.bear("prosumers", "unserved demand", float((hours * shed).sum() * voll))
            ledger.bear("prosumers", "wear and discomfort", float((hours * spilled).sum() * economics.curtailment_cost))
            # Who is cut off at the connection does not pay for that energy, and feed-in that is refused is not paid.
            ledger.pay("distribution operators", "prosumers", "energy of platforms", float((hours * energy_price * (shed - spilled)).sum()))
    ledger.bear("wholesale market", "production", outcome.transmission_cost)
    if outcome.cover is not None:
        _settle_cover(ledger, tree, outcome.cover)
    return ledger


def _settle_cover(ledger: Ledger, tree: OperatingTree, cover: Cover) -> None:
    """Whoever hands uncertainty over pays its price to its parent; whoever holds flexibility back bears what that costs."""
    hours = tree.horizon.hours_per_year

    def paid(node: str) -> float:
        return float((hours * cover.price[node] * cover.handed[node]).sum())

    ledger.bear("wholesale market", "production", float(cover.cost[tree.system.top].sum()))
    for dso, own in tree.distribution.items():
        ledger.pay("distribution operators", "wholesale market", "cover of forecast errors", paid(dso))
        ledger.bear("passive customers", "unserved demand", float(cover.cost[dso].sum()))
        for platform in own.children:
            ledger.pay("prosumers", "distribution operators", "cover of forecast errors", paid(platform))
            if platform in cover.cost:  # of one that was left out only what it hands over is known
                ledger.bear("prosumers", "wear and discomfort", float(cover.cost[platform].sum()))
