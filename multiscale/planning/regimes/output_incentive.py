"""The operator is paid for what it achieves: an incentive on unserved energy, within a cap and a collar."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from multiscale.planning.regimes.regime import Leader, Position, Regime, limit_revenue
from multiscale.settings import quantity


class OutputIncentive(Regime):
    """A revenue cap with an output incentive on energy that is not served.

        max  revenue - cost + incentive        s.t.  revenue <= (1 + headroom) * existing cost
        incentive = min(cap, max(-collar, rate * (target - unserved energy)))

    Where the collar binds, more unserved energy costs the operator nothing. The cap needs no binary variable in a maximised profit; the collar
    needs one, b, with the energy u of all customers as the largest unserved energy:

        incentive <= cap,    incentive <= rate (target - u) + M b,    incentive <= -collar + (cap + collar) (1 - b)
        M = max(0, rate (u_max - target) - collar)

    Sources: output delivery incentives of Ofgem's RIIO; quality element of the Anreizregulierungsverordnung, sections 18 to 20.
    """

    kind: Literal["output_incentive"] = "output_incentive"
    rate: float = quantity(
        5.0, "EUR/kWh", "incentive for each kWh not served less than the target, and penalty for each more", lower=0.0, upper=1000.0
    )
    target: float = quantity(0.0, "kWh/a", "unserved energy at which nothing is paid", lower=0.0)
    incentive_cap: float = quantity(0.03, "1", "largest incentive, relative to the cost of the existing network", lower=0.0, upper=1.0)
    collar: float | None = quantity(0.03, "1", "largest penalty, relative to the cost of the existing network; empty: none", lower=0.0, upper=1.0)
    headroom: float = quantity(0.10, "1", "how far the cap on the revenue is above the cost of the existing network", lower=0.0, upper=1.0)

    aim: ClassVar[str] = (
        "The operator maximises its profit under a cap on its revenue, and is paid for each kWh that it leaves unserved less than the "
        "target, and pays for each more, within a cap and a collar."
    )
    reason: ClassVar[str] = "costs the operator less than what it changes of the incentive"
    pricing: ClassVar[str] = "These prices earn the operator most under the cap"
    recovers_cost: ClassVar[bool] = False

    @model_validator(mode="after")
    def _attainable(self) -> OutputIncentive:
        if self.target > 0 and self.rate == 0:
            raise ValueError(f"target {self.target:g} kWh/a has no effect at rate 0 EUR/kWh; give a rate above zero")
        return self

    def allowed_revenue(self, position: Position) -> Any:
        """See ``Regime``: the cap."""
        return (1.0 + self.headroom) * position.existing_cost

    def payment(self, position: Position) -> Any:
        """See ``Regime``; of numbers."""
        reached = min(self.incentive_cap * position.existing_cost, self.rate * (self.target - position.unserved()))
        return reached if self.collar is None else max(-self.collar * position.existing_cost, reached)

    def state(self, leader: Leader) -> None:
        """See ``Regime``."""
        import pyomo.environ as pyo

        limit_revenue(self, leader)
        model, most, reached = leader.model, self.incentive_cap * leader.existing_cost, self.rate * (self.target - leader.unserved())
        largest = leader.largest_unserved()
        worst = self.rate * (self.target - largest)
        least = worst if self.collar is None else max(worst, -self.collar * leader.existing_cost)
        model.incentive = pyo.Var(bounds=(min(least, most), most))
        if self.collar is None or worst >= least:
            # No answer sheds so much that the collar binds.
            model.incentive_reached = pyo.Constraint(expr=model.incentive <= reached)
        else:
            model.at_collar = pyo.Var(domain=pyo.Binary)
            model.incentive_reached = pyo.Constraint(expr=model.incentive <= reached + (least - worst) * model.at_collar)
            model.incentive_at_collar = pyo.Constraint(expr=model.incentive <= least + (most - least) * (1 - model.at_collar))
        model.objective = pyo.Objective(expr=-(leader.revenue - leader.cost + model.incentive))
