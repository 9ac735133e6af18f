"""The operator maximises its profit, and nothing limits its revenue but the highest permitted prices."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.regimes.regime import Position, Regime, penalty
from multiscale.settings import quantity


class Unregulated(Regime):
    """No limit on the revenue: ``max revenue - cost - penalty * unserved energy``, within the permitted range of prices.

    The penalty is what the operator is liable for; without one it builds only what earns it revenue.
    """

    kind: Literal["unregulated"] = "unregulated"
    unserved_penalty: float = quantity(5.0, "EUR/kWh", "penalty that the operator pays for energy not served", lower=0.0, upper=1000.0)

    method: ClassVar[str] = "strong_duality"
    aim: ClassVar[str] = "The operator maximises its profit; only the highest permitted prices limit what it earns."
    reason: ClassVar[str] = "costs the operator less than the revenue and the penalties it would lose without it"
    pricing: ClassVar[str] = "These prices earn the operator most"
    recovers_cost: ClassVar[bool] = False

    def allowed_revenue(self, position: Position) -> None:
        """See ``Regime``: no limit."""

    def payment(self, position: Position) -> Any:
        """See ``Regime``."""
        return -penalty(self.unserved_penalty, position)
