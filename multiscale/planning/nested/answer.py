"""The plan of the transmission operator, alone or together with the distribution operators, as data for the rest of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TransmissionPlan:
    """What the transmission operator builds, with the proof.

    Costs are social costs [EUR/a] of all operators with what they build, operated at nodal prices (see ``problem``).

    Attributes:
        kind: ``tso`` or ``nested``.
        built: option of the transmission operator -> whether it is built.
        below: distribution operator -> its options -> whether each is built; empty where they do not plan.
        energy_price: distribution operator -> nodal price at its boundary under the plan [EUR/kWh], (period,).
        cost, bound: of the plan, and proven lower bound on every such plan [EUR/a].
        nothing, everything: cost of building the fewest and the most options [EUR/a].
        alone: who plans alone -> cost when the others build nothing [EUR/a]; empty where no others plan.
        investment, annuity: of what the transmission operator builds [EUR, EUR/a].
        loading: branch with an option -> largest share of its limit without and with the plan [%].
        rounds: of asking distribution operators.
        message: what ended the search.
        closed: whether cost and bound met to the gap asked for.
    """

    kind: str
    built: Mapping[str, bool]
    below: Mapping[str, Mapping[str, bool]]
    energy_price: Mapping[str, np.ndarray]
    cost: float
    bound: float
    nothing: float
    everything: float
    alone: Mapping[str, float]
    investment: float
    annuity: float
    loading: Mapping[str, tuple[float, float]]
    rounds: int
    message: str
    closed: bool

    @property
    def gap_eur(self) -> float:
        """Distance of cost and bound [EUR/a]."""
        return self.cost - self.bound

    @property
    def decision_range(self) -> float:
        """What decisions move: the more expensive of the fewest and the most options, less the plan [EUR/a]."""
        return max(0.0, max(self.nothing, self.everything) - self.cost)

    @property
    def gap_of_decisions(self) -> float | None:
        """The gap as a share of what decisions move [1]; None where nothing is moved."""
        return self.gap_eur / self.decision_range if self.decision_range > 0 else None
