"""A cap on what a group of customers pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from multiscale.planning.follower_names import PASSIVE, energy_value
from multiscale.planning.targets.target import Answer, Target
from multiscale.settings import quantity
from multiscale.system.problem import close_names


class BillCap(Target):
    """What a group of customers pays in all for energy, at the forecast price, and under the components of the tariff.

        sum_t h_t price_t net_t  +  sum over components and their prices k of  price_k * determinant_k(group)   <=   most      [EUR/a]

    A group is a platform (all its members together) or the customers without one. Devices that members buy are no part of it, nor what they pay
    each other. A price that is decided, times a determinant that platforms decide, is a product of its own for each group.
    """

    kind: Literal["bill_cap"] = "bill_cap"
    group: str = Field(PASSIVE, description="whose payments: name of a platform, or 'passive customers'")
    most: float = quantity(..., "EUR/a", "most that the group pays in all", lower=0.0)

    unit: ClassVar[str] = "EUR/a"
    priced: ClassVar[bool] = True
    called: ClassVar[str] = "payments of a group of customers"

    @property
    def limit(self) -> float:
        """See ``Target``."""
        return self.most

    def excess(self, answer: Answer, limit: Any) -> Any:
        """See ``Target`` [EUR/a]."""
        paid = answer.output(energy_value(self.group))
        for name in answer.components():
            for price, amount in zip(answer.prices(name), answer.determinant(self.group, name), strict=True):
                paid = paid + price * amount
        return paid - limit

    def problem(self, known: Sequence[str], policies: Sequence[str]) -> str:
        """See ``Target``."""
        del policies
        if self.group in known:
            return ""
        return f"group {self.group!r} does not exist{close_names(self.group, known)}; give '{PASSIVE}' or the name of a platform"
