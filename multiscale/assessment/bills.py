"""What each prosumer pays its platform."""

from __future__ import annotations

import numpy as np

from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree, bought_and_sold
from multiscale.programs import ParametricProgram


def prosumer_bills(tree: OperatingTree, platform: str, outcome: Outcome) -> np.ndarray:
    """Yearly bill of every prosumer [EUR/a] (negative: it earns), energy, charge, levy and fee included.

    A prosumer settles at the dual of its own balance: where it buys, that is the price of the pool plus the fee (or, without
    trading, import price plus charge and levy); where it sells, the price of the pool (or the export price less the deduction).

        bill_i = sum_t lambda_it (buy_it - sell_it)  -  (energy_i / energy of all) * surplus,     lambda_it in EUR/a per kW

    What the operator collects beyond its payments upstream and its fees (the rent of congested lines, differences from the plan) is
    no income of its own: it goes back to the members in proportion to the energy they exchanged, so the bills of a platform sum to
    what it pays for energy, charge and levy, plus the fees.
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
    """What a platform pays over the year [EUR/a]: ``energy`` at the boundary, network ``charge``, ``levy``, and its operator's ``fee``.

    Of a platform that was left out, what its given exchange costs in a pool; the fees inside are not known and not in it.
    """
    program, hours, economics = tree.platforms[platform], tree.horizon.hours_per_year, tree.economics
    rate = next(tree.design.network_charge.get(d, 0.0) for d, own in tree.distribution.items() if platform in own.children)
    if platform in outcome.left_out:
        drawn, price = outcome.exchange[platform], outcome.platform_price[platform]
        bought, fed = (float((hours * np.maximum(sign * drawn, 0.0)).sum()) for sign in (1.0, -1.0))
        due = {"charge": rate * bought, "levy": economics.levy * bought + economics.export_deduction * fed, "fee": 0.0}
        return {"energy": float((hours * price * drawn).sum()), **due}
    schedule = outcome.platform_x[platform]

    def energy(name: str) -> float:
        return float((hours * program.columns.array(name, schedule).values).sum())

    signal, price = outcome.signals.get(platform), outcome.platform_price[platform]
    buying, selling = (signal.import_price, signal.export_price) if signal else (price, price)
    imported, exported = program.columns.array("import", schedule).values, program.columns.array("export", schedule).values
    paid = float((hours * (buying * imported - selling * exported)).sum())
    if signal and signal.deviation_price > 0:
        paid += signal.deviation_price * (energy("above_plan") + energy("below_plan"))
    charged = float((program.outputs["import_energy"].matrix @ schedule)[0])
    individual = trades_alone(program)
    fed_in = energy("sell" if individual else "export")
    traded = 0.0 if individual or "buy" not in program.columns else energy("buy") - energy("import")
    return {
        "energy": paid,
        "charge": rate * charged,
        "levy": economics.levy * charged + economics.export_deduction * fed_in,
        "fee": economics.trading_fee * traded,
    }


def trades_alone(program: ParametricProgram) -> bool:
    """Whether every prosumer pays charge and levy on its own (no trade in the platform)."""
    if "buy" not in program.columns:
        return False
    buy, charge = program.columns["buy"].positions.ravel(), program.parameters["network_charge"].positions.ravel()
    return bool(abs(program.C[buy][:, charge]).sum() > 0)
