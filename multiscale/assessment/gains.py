"""What members gain in their market, against none, and against a community without any fee inside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multiscale.assessment.trading import boundary_prices, trade_book
from multiscale.coordination.common.outcome import Outcome
from multiscale.markets import Dispatch, TimeOfUse
from multiscale.operation import OperatingTree
from multiscale.operation.platforms import Platforms
from multiscale.operation.tree import BEYOND
from multiscale.programs import CompiledProgram

CASES = ("alone", "market", "integrated")
"""Every member alone (``time_of_use``); the market of the study; the community dispatched as one (``dispatch``)."""


@dataclass(frozen=True)
class MarketGain:
    """Cost and bills of a platform under three ways to clear, at the same prices from above and with the same devices and network.

    What may be done alone may be done in a market, and what in a market in a community without fees, so that (preferences apart, which are in the
    cost of the market alone)

        cost(alone) >= cost(market) >= cost(integrated)

    None of the three counts losses of the network: where every member is metered alone, no one in the platform pays for them.

    Attributes:
        cost: of the platform in the order of ``CASES`` [EUR/a]: payments, wear, discomfort, demand not served.
        bills: of every member [EUR/a], (case, member).
    """

    cost: np.ndarray
    bills: np.ndarray


def market_gain(tree: OperatingTree, platform: str, outcome: Outcome) -> MarketGain:
    """The gain of a platform that was not excluded: optima of all three at the prices of the outcome.

    The market is solved again as well: what was operated need not be its optimum at these prices, where they were not known before.
    """
    data = tree.platforms.data[platform]
    buying, selling = boundary_prices(outcome, platform)
    signal = outcome.signals.get(platform)
    dso = next(d for d, own in tree.distribution.items() if platform in own.children)
    given: dict[str, object] = {"import_price": buying, "export_price": selling, "import_limit": BEYOND, "export_limit": BEYOND, "planned": 0.0,
                                "deviation_price": 0.0} | dict(tree.prices(dso))  # fmt: skip
    if signal is not None:
        given |= signal.seen(data.fleet.data.demand.values.sum(axis=0), data.fleet.reference_generation.sum(axis=0)).parameters()
    cost, bills = [], []
    for market in (TimeOfUse(), tree.market, Dispatch()):
        there = replace(tree, market=market, platforms=Platforms({platform: replace(data, market=market, losses=None)}))
        solution = CompiledProgram(there.platforms[platform], devex=True).solve_optimal(given)
        here = replace(outcome, platform_x={platform: solution.x}, platform_y={platform: solution.y})
        cost.append(solution.objective)
        bills.append(trade_book(there, platform, here).bills)
    return MarketGain(np.array(cost), np.array(bills))
