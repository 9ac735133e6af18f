"""What each prosumer pays its platform."""

from __future__ import annotations

import numpy as np

from multiscale.assessment.payments import paid_by_owner
from multiscale.assessment.trading import trade_book
from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree, bought_and_sold
from multiscale.tariffs import BILLED


def prosumer_bills(tree: OperatingTree, platform: str, outcome: Outcome) -> np.ndarray:
    """Yearly bill of every prosumer [EUR/a] (negative: it earns), for energy and under the tariff.

        bill_i = sum over trades of (price + fee) bought - (price - fee) sold  -  rebate_i

    Trades and their prices are those of the market of the platform (see ``trading``). What the operator collects beyond what the platform pays
    (the rent of congested lines, differences from the plan) is no income of its own: it goes back to the members in proportion to the energy they
    traded, so the bills of a platform sum to what it pays for energy and under the tariff.
    """
    return trade_book(tree, platform, outcome).bills


def bill_parts(tree: OperatingTree, platform: str, outcome: Outcome, bills: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The bill of every prosumer in its parts [EUR/a], (prosumer,): what it owes under every tariff component, and ``energy``, the rest of its bill.

    What is metered at a prosumer is its own. What is metered at the platform is shared in every period: imports by what members buy then, exports by
    what they sell then; and what has no period, such as a peak, by what they buy in the year. ``bills``: of the members, found where not given.
    """
    program, tariff = tree.platforms[platform], tree.economics.tariff
    schedule, prices = outcome.platform_x[platform], tree.prices(next(d for d, own in tree.distribution.items() if platform in own.children))
    members = tree.fleets[platform].arrays["prosumer"]
    buy, sell = bought_and_sold(program, schedule)
    bought = (tree.horizon.hours_per_year * buy).sum(axis=1)
    parts = {}
    for name in tariff.components:
        if tariff.components[name].on_devices:
            own_part = paid_by_owner(tariff, name, program, schedule, prices, members)
            whole_part = float((np.asarray(tariff.price(name, prices), dtype=float).ravel() @ program.outputs[BILLED + name].matrix) @ schedule)
            parts[name] = own_part + _shares(bought[:, None])[:, 0] * (whole_part - own_part.sum())
            continue
        weights = np.asarray(tariff.price(name, prices), dtype=float).ravel() @ program.outputs[BILLED + name].matrix
        paid = np.asarray(weights).ravel() * schedule
        parts[name] = np.zeros(len(members))
        for block in program.columns:
            amount = paid[block.positions]
            if not amount.any():
                continue
            own = next((d for d, labels in block.coords.items() if np.array_equal(labels, members)), None)
            if own is not None:
                parts[name] += amount.sum(axis=tuple(k for k, d in enumerate(block.coords) if d != own))
            elif "period" in block.coords:
                parts[name] += _shares(sell if block.name == "export" else buy) @ amount.reshape(-1, amount.shape[-1]).sum(axis=0)
            else:
                parts[name] += _shares(bought[:, None])[:, 0] * amount.sum()
    whole = prosumer_bills(tree, platform, outcome) if bills is None else bills
    return parts | {"energy": whole - sum(parts.values(), np.zeros(len(members)))}


BILL_PARTS = ("energy", "tariff", "equipment")
"""What a bill is for; what a prosumer pays for devices it bought comes from its plan (``construction.equipment_payments``)."""


def bill_table(tree: OperatingTree, platform: str, outcome: Outcome, bills: np.ndarray | None = None) -> np.ndarray:
    """The bill of every prosumer for energy and under the tariff [EUR/a], (prosumer, part), in the order of ``BILL_PARTS``; nothing for equipment."""
    parts = bill_parts(tree, platform, outcome, bills)
    energy = parts.pop("energy")
    return np.stack([energy, sum(parts.values(), np.zeros_like(energy)), np.zeros_like(energy)], axis=1)


def _shares(amount: np.ndarray) -> np.ndarray:
    """Share of every prosumer in the sum over all, (prosumer, period); the same for all where there is nothing to share."""
    total = amount.sum(axis=0)
    return np.where(total > 1e-9, amount / np.where(total > 1e-9, total, 1.0), 1.0 / len(amount))
