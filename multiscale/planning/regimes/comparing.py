"""Regimes under which what an operator is allowed depends on the cost of the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from multiscale.planning.regimes.regime import Regime
from multiscale.settings import count


class ComparingRegime(Regime):
    """A regime that compares operators: their plans are made in turn until none moves (``planning.equilibrium``)."""

    response_rounds: int = count(20, "largest number of rounds in which every operator plans anew, until no plan moves", 1, 1000)

    @abstractmethod
    def yardsticks(self, costs: Mapping[str, float], sizes: Mapping[str, float]) -> dict[str, float]:
        """Operator -> what the others' costs make of its own size [EUR/a].

        Args:
            costs: operator -> yearly cost of its network [EUR/a].
            sizes: operator -> its size, in one unit.

        Raises:
            ValueError: there is one operator only, or some size is not above zero.
        """
