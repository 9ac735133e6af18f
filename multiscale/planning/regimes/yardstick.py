"""The operator is compared with the others: what it is allowed depends on what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from multiscale.planning.regimes.comparing import ComparingRegime
from multiscale.planning.regimes.regime import Position, penalty
from multiscale.settings import quantity


class Yardstick(ComparingRegime):
    """Yardstick competition: a cap on the revenue from own cost and that of comparable operators.

        max  revenue - cost - penalty * unserved energy        s.t.  revenue <= a cost_i + (1 - a) yardstick_i
        yardstick_i = size_i * mean over the other operators j of  cost_j / size_j

    ``cost`` is the yearly cost of the network, existing and built, ``size`` the yearly demand for which the existing network was built. With a = 0
    nothing that the operator spends changes what it is allowed: of what it saves against the others it keeps all; with a = 1 it is a cap at own
    cost. What one operator builds moves the yardstick of all others, so plans are made in turn until none moves (``planning.equilibrium``).

    Sources: Shleifer, RAND Journal of Economics 16 (1985) 319-327; a cap of own cost and a norm from the cost of others is that of the Norwegian
    regulation of network companies.
    """

    kind: Literal["yardstick"] = "yardstick"
    own_share: float = quantity(0.0, "1", "share of the operator's own cost in the cap (a); the rest is the yardstick", lower=0.0, upper=1.0)
    unserved_penalty: float = quantity(5.0, "EUR/kWh", "penalty that the operator pays for energy not served", lower=0.0, upper=1000.0)

    aim: ClassVar[str] = (
        "Each operator maximises its profit under a cap on its revenue that is set by the cost of the others, and pays a penalty for energy that is "
        "not served."
    )
    reason: ClassVar[str] = "costs the operator less than the penalty for energy that is not served"
    pricing: ClassVar[str] = "These prices earn the operators most under their caps"
    recovers_cost: ClassVar[bool] = False

    def allowed_revenue(self, position: Position) -> Any:
        """See ``Regime``: the cap; NaN where the operator was not compared."""
        return self.own_share * position.cost + (1.0 - self.own_share) * position.yardstick

    def yardsticks(self, costs: Mapping[str, float], sizes: Mapping[str, float]) -> dict[str, float]:
        """See ``ComparingRegime``: by the mean of the others' cost per size."""
        return yardsticks(costs, sizes)

    def payment(self, position: Position) -> Any:
        """See ``Regime``."""
        return -penalty(self.unserved_penalty, position)


def yardsticks(costs: Mapping[str, float], sizes: Mapping[str, float]) -> dict[str, float]:
    """Operator -> what the others' mean cost per size makes of its own size [EUR/a].

    Args:
        costs: operator -> yearly cost of its network [EUR/a].
        sizes: operator -> its size, in one unit.

    Raises:
        ValueError: there is one operator only, or some size is not above zero.
    """
    if len(costs) < 2:
        there = ", ".join(costs) or "none"
        raise ValueError(f"regime yardstick compares operators, and there is only {there}; plan two or more, or use another regime")
    if wrong := [name for name in costs if not sizes[name] > 0 or not math.isfinite(sizes[name])]:
        raise ValueError(f"regime yardstick: {wrong[0]} has a yearly demand of {sizes[wrong[0]]:g} kWh/a, by which no cost can be compared")
    unit = {name: cost / sizes[name] for name, cost in costs.items()}
    return {name: sizes[name] * math.fsum(u for other, u in unit.items() if other != name) / (len(unit) - 1) for name in costs}
