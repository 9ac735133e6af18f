"""The operator maximises its profit under a cap on its revenue."""

from __future__ import annotations

from typing import ClassVar, Literal

from multiscale.planning.regimes.regime import Leader, Regime
from multiscale.settings import quantity


class RevenueCap(Regime):
    """Revenue cap of the form RPI - X, for one year.

        max  revenue - cost - penalty * unserved energy        s.t.  revenue <= (1 + inflation - efficiency) * existing cost

    The cap does not grow with what is built, so the operator builds where that saves it penalties; what it saves it keeps. ``inflation`` and
    ``efficiency`` are those of the whole period since the base year.

    Sources: Beesley and Littlechild, RAND Journal of Economics 20 (1989) 454-472.
    """

    kind: Literal["revenue_cap"] = "revenue_cap"
    inflation: float = quantity(0.10, "1", "growth of the cap by the price index since the base year (RPI)", lower=0.0, upper=1.0)
    efficiency: float = quantity(0.0, "1", "reduction of the cap by the efficiency requirement since the base year (X)", lower=0.0, upper=1.0)
    unserved_penalty: float = quantity(5.0, "EUR/kWh", "penalty that the operator pays for energy not served", lower=0.0, upper=1000.0)

    objective: ClassVar[str] = "loss of the operator"
    aim: ClassVar[str] = "The operator maximises its profit under a cap on its revenue, and pays a penalty for energy that is not served."

    called: ClassVar[str] = "loss of the operator"
    reason: ClassVar[str] = "costs the operator less than the penalty for energy that is not served"
    pricing: ClassVar[str] = "These prices earn the operator most under the cap"

    @property
    def recovers_cost(self) -> bool:
        """The cap limits the revenue; nothing guarantees that it covers the cost."""
        return False

    def state(self, leader: Leader) -> None:
        """See ``Regime``; the objective is minus the profit."""
        import pyomo.environ as pyo

        cap = (1.0 + self.inflation - self.efficiency) * leader.existing_cost
        leader.model.revenue_cap = pyo.Constraint(expr=leader.revenue <= cap)
        profit = leader.revenue - leader.cost - self.unserved_penalty * leader.unserved()
        leader.model.objective = pyo.Objective(expr=-profit)
