"""What each prosumer pays its platform."""

from __future__ import annotations

import numpy as np

from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import METERED_EXPORT, METERED_IMPORT, OperatingTree, bought_and_sold
from multiscale.programs import CompiledProgram, ProgramBuilder
from multiscale.tariffs import Metering, Prices, Tariff
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
    price = program.rows.array("prosumer_balance", duals).values
    collected = (price * (buy - sell)).sum(axis=1)
    exchanged = (hours * (buy + sell)).sum(axis=1)
    payments = platform_payments(tree, platform, outcome)
    surplus = float(collected.sum()) - sum(payments.values())
    total = float(exchanged.sum())
    return collected - surplus * (exchanged / total if total > 0 else 1.0 / len(collected))


def platform_payments(tree: OperatingTree, platform: str, outcome: Outcome) -> dict[str, float]:
    """What a platform pays over the year [EUR/a]: ``energy`` at its metering points, and what it owes under every tariff component, by its name.

    Of a platform that was excluded, what its given exchange costs at its boundary; what its members trade inside is not known and not in it.
    """
    hours, tariff = tree.horizon.hours_per_year, tree.economics.tariff
    prices = tree.prices(next(d for d, own in tree.distribution.items() if platform in own.children))
    if platform in outcome.excluded:
        drawn, price = outcome.exchange[platform], outcome.platform_price[platform]
        return {"energy": float((hours * price * drawn).sum())} | boundary_payments(tariff, tree.horizon, drawn, prices)
    program, schedule = tree.platforms[platform], outcome.platform_x[platform]
    signal, price = outcome.signals.get(platform), outcome.platform_price[platform]
    buying, selling = (signal.import_price, signal.export_price) if signal else (price, price)
    imported, exported = (program.outputs[name].matrix @ schedule for name in (METERED_IMPORT, METERED_EXPORT))
    paid = float((hours * (buying * imported - selling * exported)).sum())
    if signal and signal.deviation_price > 0:
        off = sum(float((hours * program.columns.array(name, schedule).values).sum()) for name in ("above_plan", "below_plan"))
        paid += signal.deviation_price * off
    return {"energy": paid} | tariff.payments(program, schedule, prices)


def boundary_payments(tariff: Tariff, horizon: Horizon, drawn: np.ndarray, prices: Prices) -> dict[str, float]:
    """What is owed under every tariff component [EUR/a] for an exchange [kW], (period,), that is metered as a whole."""
    builder, period = ProgramBuilder("exchange"), {"period": horizon.labels}
    power = {"import": np.maximum(drawn, 0.0), "export": np.maximum(-drawn, 0.0)}
    imported, exported = (builder.add_columns(name, period, unit="kW", lower=p, upper=p) for name, p in power.items())
    tariff.add(builder, Metering(horizon, np.array(["boundary"]), imported[None, :], exported[None, :], None, {}))
    program = builder.build()
    return tariff.payments(program, CompiledProgram(program).solve_optimal(dict(prices)).x, prices)
