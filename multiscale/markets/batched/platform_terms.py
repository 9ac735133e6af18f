"""What a market and a tariff put on the trade of one member and on the boundary, found by asking them, in EUR/kWh of every period."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.operation.clearing import Market, Members, Trade
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.tariffs import Prices, Tariff
from multiscale.tariffs.tariff import ROUNDING


class NotCarriedError(ValueError):
    """A platform that the batched solution does not carry exactly; the message says why, and that the ordinary program is to be used."""

    def __init__(self, platform: str, reason: str) -> None:
        super().__init__(f"platform {platform!r}: {reason}; use the ordinary program of the platform (platform_program)")


@dataclass(frozen=True)
class Terms:
    """Costs of each kWh [EUR/kWh], (period,).

    Attributes:
        buy, sell: of each that a member buys and sells.
        taken, given: of each that the platform draws from and feeds to its parent; what it earns is negative.
    """

    buy: np.ndarray
    sell: np.ndarray
    taken: np.ndarray
    given: np.ndarray


def platform_terms(fleet: Fleet, market: Market, tariff: Tariff, prices: Prices, import_price: np.ndarray, export_price: np.ndarray) -> Terms:
    """The terms of trade of a platform, the same for every member.

    What members value beyond money is a part of them. A market with columns or rows of its own, or a tariff component whose determinant is no sum
    over periods, has none. Nor has one where a fee on trade would pay for importing and exporting at once, which the program of the platform
    excludes.

    Raises:
        NotCarriedError: there are none; the message names the market or the component.
    """
    horizon, none = fleet.horizon, np.zeros((1, fleet.horizon.periods))
    one = replace(fleet, data=fleet.data.isel(prosumer=[0]))
    if tariff.policies:
        raise NotCarriedError(fleet.node, f"policy mechanism {next(iter(tariff.policies))!r} pays for devices")

    def asked(part: Tariff) -> tuple[Trade, ParametricProgram]:
        builder = ProgramBuilder(fleet.node)
        members = Members(one, none, none)
        trade = market.trade(builder, members)
        market.weigh(builder, members, trade)
        part.add_components(builder, trade.metering)
        return trade, builder.build()

    def more(program: ParametricProgram) -> bool:
        return bool(program.rows.size) or program.columns.size != 4 * horizon.periods or program.Q is not None

    trade, program = asked(tariff)
    if more(program):
        alone = (name for name, component in tariff.components.items() if more(asked(Tariff({name: component}))[1]))
        name = "" if more(asked(Tariff({}))[1]) else next(alone, "")
        what = (
            f"tariff component {name!r} couples periods"
            if name
            else f"market {getattr(market, 'kind', type(market).__name__)!r} has more than trade with one pool"
        )
        raise NotCarriedError(fleet.node, what)
    costs = program.fix({name: tariff.price(name, prices) for name in tariff.decided}).c0.copy()
    hours = horizon.hours_per_year
    if (costs[np.ravel(trade.metering.imported)] + costs[np.ravel(trade.metering.exported)] < -ROUNDING * hours).any():
        raise NotCarriedError(fleet.node, "a fee on trade is above what import and export are charged together")
    for columns, price in ((trade.metering.imported, import_price), (trade.metering.exported, -np.asarray(export_price))):
        costs[columns] += hours * price
    return Terms(*(costs[np.ravel(columns)] / hours for columns in (trade.buy, trade.sell, trade.imported, trade.exported)))
