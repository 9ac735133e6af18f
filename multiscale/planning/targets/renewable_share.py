"""A least share of renewable energy in what is consumed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiscale.planning.follower_names import DRAWN, RENEWABLE
from multiscale.planning.targets.target import Answer, Target
from multiscale.settings import quantity


class RenewableShare(Target):
    """Renewable energy generated in the operator's networks, as a share of the energy that is consumed in them.

        generated + imported_share * drawn  >=  least * consumed,      consumed = generated + drawn      [kWh/a]

    ``generated`` is what photovoltaics of members and the generation of passive customers yield, without what is curtailed; ``drawn`` is the energy
    taken from the parent less that fed to it. Surpluses count, so the share may exceed one. Losses of storage are consumption.
    """

    kind: Literal["renewable_share"] = "renewable_share"
    least: float = quantity(..., "1", "least renewable energy generated, as a share of the energy consumed", lower=0.0, upper=1.0)
    imported_share: float = quantity(0.0, "1", "renewable share of the energy drawn from the parent", lower=0.0, upper=1.0)

    unit: ClassVar[str] = "1"
    at_least: ClassVar[bool] = True
    called: ClassVar[str] = "renewable share of the energy consumed"

    @property
    def limit(self) -> float:
        """See ``Target``."""
        return self.least

    def _renewable(self, answer: Answer) -> Any:
        more = self.imported_share * answer.output(DRAWN) if self.imported_share > 0 else 0.0
        return answer.output(RENEWABLE) + more

    @staticmethod
    def _consumed(answer: Answer) -> Any:
        return answer.output(RENEWABLE) + answer.output(DRAWN)

    def excess(self, answer: Answer, limit: Any) -> Any:
        """See ``Target`` [kWh/a]."""
        return limit * self._consumed(answer) - self._renewable(answer)

    def value(self, answer: Answer) -> float:
        """See ``Target``; NaN where nothing is consumed."""
        consumed = float(self._consumed(answer))
        return float(self._renewable(answer)) / consumed if consumed > 0 else float("nan")

    def largest_relaxation(self) -> float:
        """See ``Target``: to no share at all."""
        return self.least
