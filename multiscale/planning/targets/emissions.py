"""A cap on the carbon dioxide emitted for the energy that is taken from above."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.follower_names import TAKEN
from multiscale.planning.targets.target import Answer, Target
from multiscale.settings import quantity


class Emissions(Target):
    """Carbon dioxide of the energy that is taken from the parent; what is generated in the operator's networks emits none.

        intensity * sum_t h_t max(0, import_t - export_t)  <=  most      [t/a]

    What is fed to the parent earns no credit.
    """

    kind: Literal["emissions"] = "emissions"
    most: float = quantity(..., "t/a", "most carbon dioxide of each operator", lower=0.0)
    intensity: float = quantity(0.4, "kg/kWh", "carbon dioxide of each kWh taken from the parent", above=0.0, upper=2.0)

    unit: ClassVar[str] = "t/a"
    called: ClassVar[str] = "carbon dioxide of the energy taken from above"

    @property
    def limit(self) -> float:
        """See ``Target``."""
        return self.most

    def excess(self, answer: Answer, limit: Any) -> Any:
        """See ``Target`` [t/a]."""
        return 1e-3 * self.intensity * answer.output(TAKEN) - limit
