"""The operator receives a share of what its users save."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.regimes.regime import Position, Regime
from multiscale.settings import quantity


class IncentiveFee(Regime):
    """Incentive fee in the manner of Hogan, Rosellón and Vogelsang, for one step from the existing network to the plan, with a tuning k.

        fee = k (users' cost before - users' cost under the plan)
        max  fee - investment      s.t.  existing cost <= revenue <= (1 + tolerance) existing cost

    Users' cost is what platforms and passive customers spend and pay under the tariff; as they minimise it together, its fall is the change of
    their surplus. With k = 1 the operator receives all that its plan saves, so it builds what saves more than it costs; with k below 1, less. The
    prices recover the existing network; the fee pays for what is built. Before the plan nothing is built, and prices are ``reference_price``, or
    what recovers the cost then.

    Sources: Hesamzadeh, Rosellón, Gabriel and Vogelsang, Energy Economics 75 (2018) 423-437; tuning: Xia, Savelli and Morstyn, arXiv 2401.03556.
    """

    kind: Literal["incentive_fee"] = "incentive_fee"
    tuning: float = quantity(1.0, "1", "share of the users' saving that the operator receives (k)", lower=0.0, upper=1.0)
    reference_price: float | None = quantity(
        None,
        "1",
        "price of the first decided component before the plan, in its unit; empty: what recovers the cost of the existing network",
        lower=0.0,
    )

    aim: ClassVar[str] = (
        "The operator receives a share of what its plan saves its users, and pays for what it builds; prices recover the existing network."
    )
    reason: ClassVar[str] = "costs the operator less than its share of what it saves the users"
    pricing: ClassVar[str] = "These prices recover the cost of the existing network"

    def allowed_revenue(self, position: Position) -> Any:
        """See ``Regime``."""
        return position.existing_cost

    def payment(self, position: Position) -> Any:
        """See ``Regime``: the fee."""
        return self.tuning * position.saved(self.reference_price)
