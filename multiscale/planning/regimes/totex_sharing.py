"""The operator shares what it spends less or more than an allowance with its customers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.regimes.regime import Position, Regime, penalty
from multiscale.settings import quantity


class TotexSharing(Regime):
    """Sharing of total expenditure against an allowance, as in RIIO.

        recovered = spent + sharing * (allowance - spent),     allowed = existing cost + recovered + spread * base
        max  sharing * (allowance - spent) + spread * base - penalty * unserved energy      s.t.  allowed <= revenue <= (1 + tolerance) allowed

    ``spent`` is the annuity of what is built and what is paid for flexibility. Of what is recovered of the former the capitalised share ("slow
    money") enters the asset base, the rest ("fast money") is paid in the year, as is flexibility. Whether money is spent on networks or on
    flexibility, the operator keeps the same share of what it saves.

    Sources: Ofgem, Handbook for implementing the RIIO model (2010).
    """

    kind: Literal["totex_sharing"] = "totex_sharing"
    sharing: float = quantity(0.5, "1", "share of what is saved against the allowance that the operator keeps", lower=0.0, upper=1.0)
    allowance: float = quantity(
        0.15, "1", "allowed yearly spending on what is built and on flexibility, relative to the cost of the existing network", lower=0.0, upper=10.0
    )
    spread: float = quantity(0.0, "1/a", "allowed rate of return less the true cost of capital", lower=0.0, upper=1.0)
    unserved_penalty: float = quantity(0.5, "EUR/kWh", "penalty that the operator pays for energy not served", lower=0.0, upper=1000.0)

    aim: ClassVar[str] = (
        "The operator keeps a share of what it spends less than allowed, bears the same share of what it spends more, and pays a penalty "
        "for energy that is not served."
    )
    reason: ClassVar[str] = "costs the operator its share of it, less than the penalty for energy that is not served"
    pricing: ClassVar[str] = "These prices recover what is allowed"

    def recovered(self, position: Position, built: Any) -> Any:
        """What is recovered of what is spent, or of what of it is in the asset base [EUR/a]."""
        return (1.0 - self.sharing) * built + self.sharing * self.allowance * position.existing_cost

    def entered(self, position: Position) -> Any:
        """See ``Regime``; of what is built, the capitalised share of what is recovered."""
        return self.existing_capital_share * position.existing_cost + self.capitalised_share * self.recovered(position, position.base_annuity)

    def allowed_revenue(self, position: Position) -> Any:
        """See ``Regime``."""
        return position.existing_cost + self.recovered(position, position.investment + position.bought) + self.spread * self.asset_base(position)

    def payment(self, position: Position) -> Any:
        """See ``Regime``."""
        return -penalty(self.unserved_penalty, position)
