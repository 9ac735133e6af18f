"""The operator minimises the cost to society."""

from __future__ import annotations

from typing import ClassVar, Literal

from multiscale.planning.regimes.regime import Leader, Regime, limit_revenue


class Social(Regime):
    """Least social cost: network and operation without transfers; prices recover the cost of the network.

    min investment + resource cost   s.t.  cost <= revenue <= (1 + tolerance) cost
    """

    kind: Literal["social"] = "social"
    aim: ClassVar[str] = "The operator builds what costs society least, and sets prices that recover the cost of the network."
    called: ClassVar[str] = "cost of the plan"
    reason: ClassVar[str] = "cheaper than keeping the limit without it"
    pricing: ClassVar[str] = "These prices recover the cost of the network"

    def state(self, leader: Leader) -> None:
        """See ``Regime``; the objective is the social cost."""
        import pyomo.environ as pyo

        limit_revenue(self, leader)
        leader.model.objective = pyo.Objective(expr=leader.social_cost)
