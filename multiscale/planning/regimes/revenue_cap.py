"""The operator maximises its profit under a cap on its revenue."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.regimes.regime import Position, Regime, penalty
from multiscale.settings import quantity


class RevenueCap(Regime):
    """Revenue cap for one year, of the form RPI - X, and with the parts that the German incentive regulation adds.

        max  revenue - cost - penalty * unserved energy        s.t.  revenue <= cap
        cap = [ n + (1 - n) (1 - v b) (1 + inflation - efficiency) ] * existing cost  +  k (investment + spread * base of the investment)

    RPI - X is n = b = k = 0, the default: the cap does not grow with what is built, so the operator builds where that saves it penalties; what it
    saves it keeps. ``inflation`` and ``efficiency`` are those of the whole period since the base year. Of the existing cost, n cannot be
    influenced and is passed on, b of the rest is found inefficient, of which v has to be removed by this year; k of the capital cost of what was
    built after the base year is added to the cap.

    Sources: Beesley and Littlechild, RAND Journal of Economics 20 (1989) 454-472; n, v, b, k: Anreizregulierungsverordnung, section 7 with annex 1,
    sections 10a and 11 (the network operator's shares there are costs in EUR; volatile costs, quality element and the account of section 5 are not
    modelled).
    """

    kind: Literal["revenue_cap"] = "revenue_cap"
    inflation: float = quantity(0.10, "1", "growth of the cap by the price index since the base year (RPI)", lower=0.0, upper=1.0)
    efficiency: float = quantity(0.0, "1", "reduction of the cap by the efficiency requirement since the base year (X)", lower=0.0, upper=1.0)
    unserved_penalty: float = quantity(5.0, "EUR/kWh", "penalty that the operator pays for energy not served", lower=0.0, upper=1000.0)
    non_controllable: float = quantity(0.0, "1", "share of the existing cost that the operator cannot influence (n)", lower=0.0, upper=1.0)
    inefficient: float = quantity(0.0, "1", "share of the influenced existing cost that is found inefficient (b)", lower=0.0, upper=1.0)
    removed: float = quantity(0.0, "1", "share of the inefficient cost that is to be removed by this year (v)", lower=0.0, upper=1.0)
    capital_adjustment: float = quantity(0.0, "1", "share of the capital cost of what is built that is added to the cap (k)", lower=0.0, upper=1.0)
    spread: float = quantity(0.0, "1/a", "allowed rate of return on what is added to the cap less the true cost of capital", lower=0.0, upper=1.0)

    aim: ClassVar[str] = "The operator maximises its profit under a cap on its revenue, and pays a penalty for energy that is not served."
    reason: ClassVar[str] = "costs the operator less than the penalty for energy that is not served"
    pricing: ClassVar[str] = "These prices earn the operator most under the cap"
    recovers_cost: ClassVar[bool] = False

    def allowed_revenue(self, position: Position) -> Any:
        """See ``Regime``: the cap."""
        influenced = (1.0 - self.non_controllable) * (1.0 - self.removed * self.inefficient) * (1.0 + self.inflation - self.efficiency)
        cap = (self.non_controllable + influenced) * position.existing_cost
        if self.capital_adjustment == 0:
            return cap
        base = self.capital(position).base * self.capitalised_share * position.base_annuity
        return cap + self.capital_adjustment * (position.investment + self.spread * base)

    def payment(self, position: Position) -> Any:
        """See ``Regime``."""
        return -penalty(self.unserved_penalty, position)
