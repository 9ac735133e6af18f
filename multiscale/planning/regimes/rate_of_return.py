"""The operator earns an allowed return on its asset base."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.regimes.regime import Position, Regime
from multiscale.settings import quantity


class RateOfReturn(Regime):
    """Cost of service: operating cost, depreciation and an allowed return w on the asset base.

        allowed = operating cost + depreciation + w base = cost + spread * base,      spread = w - true cost of capital
        max  spread * base      s.t.  allowed <= revenue <= (1 + tolerance) allowed

    With a spread above zero every option that enters the base raises the profit, whatever it is worth (Averch and Johnson, American Economic
    Review 52 (1962) 1052-1069). Two rules stand against it: a ceiling on prices (``price_max`` of the tariff's components), and "used and useful":
    what would use less than ``used_share`` of what it adds does not enter the base, while its cost is recovered without a return. The use is that
    of a reference answer with everything built and prices at their lowest.
    """

    kind: Literal["rate_of_return"] = "rate_of_return"
    spread: float = quantity(0.02, "1/a", "allowed rate of return less the true cost of capital", lower=0.0, upper=1.0)
    used_share: float = quantity(
        0.0, "1", "least used share of what an option adds for it to enter the asset base; 0: all enter", lower=0.0, upper=1.0
    )

    method: ClassVar[str] = "strong_duality"
    aim: ClassVar[str] = (
        "The operator maximises what it earns on its asset base at the allowed rate of return; prices recover the cost and the return."
    )
    reason: ClassVar[str] = "enters the asset base, on which the operator earns more than its capital costs"
    pricing: ClassVar[str] = "These prices recover the cost of the network and the allowed return"

    def useful(self, position: Position) -> Any:
        """See ``Regime``: what would use enough of what it adds."""
        return position.useful(self.used_share) if self.used_share > 0 else position.base_annuity

    def allowed_revenue(self, position: Position) -> Any:
        """See ``Regime``."""
        return position.cost + self.spread * self.asset_base(position)
