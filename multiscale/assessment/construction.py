"""What is built and bought enters the ledger: the existing network, reinforcement, and devices of prosumers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from multiscale.assessment.accounts import Ledger, account
from multiscale.devices.fleet import Fleet, purchasable
from multiscale.system import Economics, System
from multiscale.system.existing_network import existing_network_cost
from multiscale.tariffs import Prices
from multiscale.timeline import Horizon

Bought = Mapping[str, Mapping[str, np.ndarray]]
"""Platform -> device -> new capacity of every member [unit of the device's capacity], (prosumer,)."""


def book_construction(
    ledger: Ledger,
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    built: Mapping[str, bool],
    bought: Iterable[Bought],
    prices: Mapping[str, Prices] | None = None,
) -> None:
    """Add yearly costs of what is built and bought.

    Operators pay network builders for the existing network and for what the plan adds, prosumers pay equipment suppliers for devices; who is paid
    bears the cost. Policy mechanisms pay prosumers their grants for what is bought, and the wholesale market
    what its generators are paid under them. What is built on the transmission level is paid by
    the wholesale market, to which its congestion revenue goes.

    Args:
        ledger: of operation; changed in place.
        system, horizon, economics, fleets: of the study.
        built: option -> whether it is built.
        bought: what prosumers buy, under each plan.
        prices: DSO -> prices in force of components that are decided, at which grants are paid.
    """
    for dso in system.at_level("dso"):
        _book(ledger, "distribution operators", "network builders", "existing network", existing_network_cost(system, dso, horizon, economics))
    options, transmission = system.options, set(system.branches.branch.values[system.branches.node.values == system.top].tolist())
    columns = (options[name].values.tolist() for name in ("option", "branch", "cost_eur", "lifetime_years"))
    for option, branch, cost, lifetime in zip(*columns, strict=True):
        if built.get(option, False):
            payer = "wholesale market" if branch in transmission else "distribution operators"
            _book(ledger, payer, "network builders", "investment", cost * economics.annuity(lifetime))
    operator_of = {platform: dso for dso in system.at_level("dso") for platform in system.children(dso)}
    rated = float(system.generators.p_max_kw.values.sum())
    for name, policy in economics.tariff.policies.items():
        known = [p for p in (prices or {}).values() if name in p] or ([] if policy.decided else [{}])
        if policy.elsewhere(rated) > 0 and known:
            # Operators may set different prices; generators are paid what the mean of them is.
            price = float(np.mean([economics.tariff.price(name, one) for one in known]))
            ledger.pay(policy.receiver, "wholesale market", account(name), price * policy.elsewhere(rated))
    for one in bought:
        for platform, sizes in one.items():
            yearly = float(equipment_payments(fleets[platform], sizes, economics).sum())
            _book(ledger, "prosumers", "equipment suppliers", "equipment", yearly)
            in_force = (prices or {}).get(operator_of[platform], {})
            for name, granted in grants(fleets[platform], sizes, economics, in_force).items():
                ledger.pay(economics.tariff.components[name].receiver, "prosumers", account(name), float(granted.sum()))


def book_transmission_relief(ledger: Ledger, change: float) -> None:
    """Add what a plan of the transmission level changes in the cost of supplying the customers connected to that level itself.

    All else in the ledger counts from the dispatch in which no distribution operator draws anything, in the network of its scenario; this is the
    difference of these dispatches. The wholesale market bears it.

    Args:
        ledger: changed in place.
        change: cost of that dispatch with the plan less without [EUR/a].
    """
    if change:
        ledger.bear("wholesale market", "production", change)


def equipment_payments(fleet: Fleet, bought: Mapping[str, np.ndarray], economics: Economics) -> np.ndarray:
    """Annuity and upkeep of the devices that every prosumer of a platform bought [EUR/a], (prosumer,).

    Args:
        fleet: the prosumers.
        bought: device -> new capacity [unit of the device's capacity], (prosumer,).
        economics: for the annuity.
    """
    devices = purchasable(fleet.devices)
    parts = (np.asarray(sizes) * devices[key].yearly_cost(economics.annuity) for key, sizes in bought.items())
    return sum(parts, np.zeros(fleet.size))


def grants(fleet: Fleet, bought: Mapping[str, np.ndarray], economics: Economics, prices: Prices) -> dict[str, np.ndarray]:
    """What every prosumer of a platform is granted for devices it bought, by policy mechanism [EUR/a], (prosumer,).

    Args:
        fleet: the prosumers.
        bought: device -> new capacity [unit of the device's capacity], (prosumer,).
        economics: tariff, and the annuity.
        prices: in force of components that are decided.
    """
    found = {}
    for name, policy in economics.tariff.policies.items():
        if policy.on_purchase and not (policy.decided and name not in prices):
            found[name] = float(economics.tariff.price(name, prices)) * policy.granted(fleet, bought, economics.annuity)
    return found


def _book(ledger: Ledger, payer: str, builder: str, flow: str, yearly: float) -> None:
    ledger.pay(payer, builder, flow, yearly)
    ledger.bear(builder, "construction", yearly)
