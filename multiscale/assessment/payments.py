"""What each platform pays for energy and under the tariff."""

from __future__ import annotations

import numpy as np

from multiscale.assessment.served import cut_off
from multiscale.coordination.common.outcome import Outcome
from multiscale.devices.fleet import customers_of
from multiscale.operation import METERED_EXPORT, METERED_IMPORT, OperatingTree
from multiscale.programs import CompiledProgram, ParametricProgram, ProgramBuilder
from multiscale.tariffs import BILLED, Metering, Owned, Prices, Tariff
from multiscale.timeline import Horizon


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


def paid_by_owner(tariff: Tariff, name: str, program: ParametricProgram, schedule: np.ndarray, prices: Prices, members: np.ndarray) -> np.ndarray:
    """What each member pays under a policy mechanism for its devices in a platform's program [EUR/a], (member,); below zero where it is paid.

    What the platform pays as a whole is in no member's part.
    """
    weights = np.asarray(tariff.price(name, prices), dtype=float).ravel() @ program.outputs[BILLED + name].matrix
    amounts, place, paid = np.asarray(weights).ravel() * schedule, {str(m): i for i, m in enumerate(members.tolist())}, np.zeros(len(members))
    for block in program.columns:
        amount = amounts[block.positions]
        if amount.any():
            owners = [str(owner) for owner in np.asarray(next(iter(block.coords.values()))).tolist()]
            if place.keys() >= set(owners):
                np.add.at(paid, [place[owner] for owner in owners], amount.reshape(len(owners), -1).sum(axis=1))
    return paid


def boundary_payments(
    tariff: Tariff, horizon: Horizon, drawn: np.ndarray, prices: Prices, customers: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """What is owed under every tariff component [EUR/a] for an exchange [kW], (period,), metered as a whole; customers: ``customers_of``.

    Devices behind it are not known, so policy mechanisms pay nothing.
    """
    builder, period = ProgramBuilder("exchange"), {"period": horizon.labels}
    power = {"import": np.maximum(drawn, 0.0), "export": np.maximum(-drawn, 0.0)}
    imported, exported = (builder.add_columns(name, period, unit="kW", lower=p, upper=p) for name, p in power.items())
    tariff.add(builder, Metering(horizon, np.array(["boundary"]), imported[None, :], exported[None, :], None, {}, *customers))
    tariff.add_support(builder, Owned(horizon))
    program = builder.build()
    return tariff.payments(program, CompiledProgram(program).solve_optimal(dict(prices)).x, prices)
