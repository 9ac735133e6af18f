"""What each prosumer pays its platform."""

from __future__ import annotations

import numpy as np

from multiscale.assessment.served import cut_off
from multiscale.coordination.common.outcome import Outcome
from multiscale.devices.fleet import customers_of
from multiscale.operation import METERED_EXPORT, METERED_IMPORT, OperatingTree, bought_and_sold
from multiscale.programs import CompiledProgram, ProgramBuilder
from multiscale.tariffs import BILLED, Metering, Prices, Tariff
from multiscale.timeline import Horizon


def prosumer_bills(tree: OperatingTree, platform: str, outcome: Outcome) -> np.ndarray:
    """Yearly bill of every prosumer [EUR/a] (negative: it earns), for energy and under the tariff.

    A prosumer settles at the dual of its own balance: where it buys, that is the price of the pool plus what peer trade pays (or, without
    trading, the import price plus what imports pay); where it sells, the price of the pool (or the export price less what exports pay).

        bill_i = sum_t lambda_it (buy_it - sell_it)  -  (energy_i / energy of all) * surplus,     lambda_it in EUR/a per kW

    What the operator collects beyond what the platform pays (the rent of congested lines, differences from the plan) is
    no income of its own: it goes back to the members in proportion to the energy they exchanged, so the bills of a platform sum to
    what it pays for energy and under the tariff.
    """
    program, hours = tree.platforms[platform], tree.horizon.hours_per_year
    schedule, duals = outcome.platform_x[platform], outcome.platform_y[platform]
    buy, sell = bought_and_sold(program, schedule)
    price = program.rows.values("prosumer_balance", duals)
    collected = (price * (buy - sell)).sum(axis=1)
    exchanged = (hours * (buy + sell)).sum(axis=1)
    payments = platform_payments(tree, platform, outcome)
    surplus = float(collected.sum()) - sum(payments.values())
    total = float(exchanged.sum())
    return collected - surplus * (exchanged / total if total > 0 else 1.0 / len(collected))


def bill_parts(tree: OperatingTree, platform: str, outcome: Outcome) -> dict[str, np.ndarray]:
    """The bill of every prosumer in its parts [EUR/a], (prosumer,): what it owes under every tariff component, and ``energy``, the rest of its bill.

    What is metered at a prosumer is its own. What is metered at the platform is shared in every period: imports by what members buy then, exports by
    what they sell then; and what has no period, such as a peak, by what they buy in the year.
    """
    program, tariff = tree.platforms[platform], tree.economics.tariff
    schedule, prices = outcome.platform_x[platform], tree.prices(next(d for d, own in tree.distribution.items() if platform in own.children))
    members = tree.fleets[platform].data.prosumer.values
    buy, sell = bought_and_sold(program, schedule)
    bought = (tree.horizon.hours_per_year * buy).sum(axis=1)
    parts = {}
    for name in tariff.components:
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
    return parts | {"energy": prosumer_bills(tree, platform, outcome) - sum(parts.values(), np.zeros(len(members)))}


BILL_PARTS = ("energy", "tariff", "equipment")
"""What a bill is for; what a prosumer pays for devices it bought comes from its plan (``construction.equipment_payments``)."""


def bill_table(tree: OperatingTree, platform: str, outcome: Outcome) -> np.ndarray:
    """The bill of every prosumer for energy and under the tariff [EUR/a], (prosumer, part), in the order of ``BILL_PARTS``; nothing for equipment."""
    parts = bill_parts(tree, platform, outcome)
    energy = parts.pop("energy")
    return np.stack([energy, sum(parts.values(), np.zeros_like(energy)), np.zeros_like(energy)], axis=1)


def _shares(amount: np.ndarray) -> np.ndarray:
    """Share of every prosumer in the sum over all, (prosumer, period); the same for all where there is nothing to share."""
    total = amount.sum(axis=0)
    return np.where(total > 1e-9, amount / np.where(total > 1e-9, total, 1.0), 1.0 / len(amount))


def platform_payments(tree: OperatingTree, platform: str, outcome: Outcome) -> dict[str, float]:
    """What a platform pays over the year [EUR/a]: ``energy`` at its metering points, and what it owes under every tariff component, by its name.

    Energy that is cut off at its connection is not paid for, and feed-in that is refused there is not paid; charges are those of its schedule.
    Of a platform that was excluded, what its given exchange costs at its boundary; what its members trade inside is not known and not in it.
    """
    hours, tariff = tree.horizon.hours_per_year, tree.economics.tariff
    prices = tree.prices(next(d for d, own in tree.distribution.items() if platform in own.children))
    shed, spilled = cut_off(tree, outcome, platform)
    if platform in outcome.excluded:
        drawn, price = outcome.exchange[platform], outcome.platform_price[platform]
        return {"energy": float((hours * price * (drawn - shed + spilled)).sum())} | boundary_payments(
            tariff, tree.horizon, drawn, prices, customers_of(tree.fleets[platform])
        )
    program, schedule = tree.platforms[platform], outcome.platform_x[platform]
    signal, price = outcome.signals.get(platform), outcome.platform_price[platform]
    buying, selling = (signal.import_price, signal.export_price) if signal else (price, price)
    imported, exported = (program.outputs[name].matrix @ schedule for name in (METERED_IMPORT, METERED_EXPORT))
    paid = float((hours * (buying * (imported - shed) - selling * (exported - spilled))).sum())
    if signal and signal.deviation_price > 0:
        off = sum(float((hours * program.columns.values(name, schedule)).sum()) for name in ("above_plan", "below_plan"))
        paid += signal.deviation_price * off
    return {"energy": paid} | tariff.payments(program, schedule, prices)


def boundary_payments(
    tariff: Tariff, horizon: Horizon, drawn: np.ndarray, prices: Prices, customers: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """What is owed under every tariff component [EUR/a] for an exchange [kW], (period,), metered as a whole; customers: ``customers_of``."""
    builder, period = ProgramBuilder("exchange"), {"period": horizon.labels}
    power = {"import": np.maximum(drawn, 0.0), "export": np.maximum(-drawn, 0.0)}
    imported, exported = (builder.add_columns(name, period, unit="kW", lower=p, upper=p) for name, p in power.items())
    tariff.add(builder, Metering(horizon, np.array(["boundary"]), imported[None, :], exported[None, :], None, {}, *customers))
    program = builder.build()
    return tariff.payments(program, CompiledProgram(program).solve_optimal(dict(prices)).x, prices)
