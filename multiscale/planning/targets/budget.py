"""A cap on what is paid under a policy mechanism."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from multiscale.planning.targets.target import Answer, Target
from multiscale.settings import quantity
from multiscale.system.problem import close_names


class Budget(Target):
    """What members of all platforms of an operator are paid under a policy mechanism, less what they pay back: ``paid <= most`` [EUR/a].

    A price that the planner decides, times a quantity that platforms decide, is a product. Grants count with their annuity.
    """

    kind: Literal["budget"] = "budget"
    policy: str = Field(..., description="name of the policy mechanism (policy.<name>)")
    most: float = quantity(..., "EUR/a", "most that is paid in the networks of each operator", lower=0.0)

    unit: ClassVar[str] = "EUR/a"
    priced: ClassVar[bool] = True
    called: ClassVar[str] = "payments under a policy mechanism"

    @property
    def limit(self) -> float:
        """See ``Target``."""
        return self.most

    def excess(self, answer: Answer, limit: Any) -> Any:
        """See ``Target`` [EUR/a]."""
        paid: Any = 0.0
        for name in (self.policy, f"{self.policy}_reference"):
            if name in answer.components():
                for price, amount in zip(answer.prices(name), answer.total(name), strict=True):
                    paid = paid - price * amount
        return paid - limit

    def problem(self, known: Sequence[str], policies: Sequence[str]) -> str:
        """See ``Target``."""
        del known
        if self.policy in policies:
            return ""
        return f"policy mechanism {self.policy!r} does not exist{close_names(self.policy, policies)}; give the name of one of policy"
