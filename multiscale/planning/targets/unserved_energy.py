"""A cap on the energy that is not served."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.follower_names import UNSERVED
from multiscale.planning.targets.target import Answer, Target
from multiscale.settings import quantity


class UnservedEnergy(Target):
    """Energy of all customers that is not served: ``sum_t h_t unserved_t <= most`` [kWh/a]."""

    kind: Literal["unserved_energy"] = "unserved_energy"
    most: float = quantity(..., "kWh/a", "most energy that each operator leaves unserved", lower=0.0)

    unit: ClassVar[str] = "kWh/a"
    called: ClassVar[str] = "energy not served"

    @property
    def limit(self) -> float:
        """See ``Target``."""
        return self.most

    def excess(self, answer: Answer, limit: Any) -> Any:
        """See ``Target`` [kWh/a]."""
        return answer.output(UNSERVED) - limit
