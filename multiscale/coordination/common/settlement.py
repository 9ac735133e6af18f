"""Settlement after operation: each platform is charged what it measurably caused upstream.

With C(y) the cost of everything above the platforms when they draw y (DSOs' unserved and curtailed energy, the TSO's dispatch),

    marginal   charge_i = sum_t h_t lambda_it y_it,    lambda_it = dC/dy_it / h_t of the last kWh drawn    [EUR/a]
    impact     charge_i = C(y) - C(y without i)                                                          [EUR/a]

Under ``impact`` a platform's own cost plus its charge is the cost of the whole system less a term it cannot influence: what is best for the system is
best for it, whatever the others do (Clarke's pivotal mechanism). Under ``marginal`` that holds up to the square of its influence on the price.

Source: Clarke, Public Choice 11 (1971) 17-33.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.coordination.common.outcome import Outcome, transmission_cost
from multiscale.operation import OperatingTree
from multiscale.programs import CompiledProgram


class Upstream:
    """Cost of everything above the platforms as a function of what they draw; keeps the compiled programs."""

    def __init__(self, tree: OperatingTree) -> None:
        self.tree = tree
        self._compiled = {d: CompiledProgram(own.program) for d, own in tree.distribution.items()}

    def cost(self, exchange: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        """C(y) [EUR/a] and marginal prices, platform -> lambda [EUR/kWh] (period,).

        Args:
            exchange: platform -> power drawn [kW], (period,).
        """
        tree, total = self.tree, 0.0
        hours = tree.horizon.hours_per_year
        above, within = [], {}
        for dso in tree.transmission.children:
            own = tree.distribution[dso]
            drawn = np.array([exchange[c] for c in own.children]).reshape(len(own.children), tree.horizon.periods)
            values = {"energy_price": np.zeros(tree.horizon.periods), "exchange": drawn, "built": tree.design.choice(own.options)}
            solution = self._compiled[dso].solve_optimal(values)
            total += solution.objective
            above.append(solution.output("exchange").values)
            program = own.program
            if own.children:
                within[dso] = program.sensitivity(solution.x, solution.y)[program.parameters["exchange"].positions] / hours
        dispatch = tree.transmission.dispatch(np.array(above).reshape(-1, tree.horizon.periods))
        total += transmission_cost(tree, dispatch)
        price = {}
        for k, dso in enumerate(tree.transmission.children):
            for c, child in enumerate(tree.distribution[dso].children):
                price[child] = dispatch.price[k] + within[dso][c]
        return total, price


JUST_INSIDE = 0.999
"""Prices are measured at so much of what was drawn: where a line is exactly full the price is that of the last kWh carried, not of one cut off."""


def measured_prices(upstream: Upstream, exchange: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Marginal prices at what was drawn, platform -> lambda [EUR/kWh] (period,): the cost of the last kWh."""
    return upstream.cost({p: JUST_INSIDE * y for p, y in exchange.items()})[1]


def marginal_charges(tree: OperatingTree, outcome: Outcome) -> dict[str, float]:
    """What each platform pays at the marginal prices of what happened [EUR/a]."""
    price = measured_prices(Upstream(tree), {p: outcome.exchange[p] for p in tree.platforms})
    return {p: float((tree.horizon.hours_per_year * price[p] * outcome.exchange[p]).sum()) for p in tree.platforms}


def impact_charges(tree: OperatingTree, outcome: Outcome) -> dict[str, float]:
    """What each platform pays for its impact, C(y) - C(y without it) [EUR/a]."""
    upstream = Upstream(tree)
    drawn = {p: outcome.exchange[p] for p in tree.platforms}
    total, _ = upstream.cost(drawn)
    nothing = np.zeros(tree.horizon.periods)
    return {p: total - upstream.cost(drawn | {p: nothing})[0] for p in tree.platforms}
