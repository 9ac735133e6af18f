"""What branch and cut carries into the SCIP process together with the relaxation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.conditions.value_cuts import Plane


@dataclass(frozen=True)
class LazyData:
    """What the handler needs in addition to the relaxation.

    Attributes:
        bounds: multiplier bounds for value cuts.
        ceilings: a plane above each follower's optimum everywhere, or None; for value cuts too.
        costs: columns, weights and constant of each follower's cost in the relaxation.
        gap: relative gap of the whole solve.
    """

    bounds: list[DualBounds]
    ceilings: list[Plane | None]
    costs: list[tuple[np.ndarray, np.ndarray, float]]
    gap: float
