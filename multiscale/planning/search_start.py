"""Where the search for a plan ended, as data: a search under slightly other limits starts there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.programs import LabelledBasis


@dataclass(frozen=True)
class SearchStart:
    """What a search by decomposition knew at its end; it saves another one work, and changes nothing that is proven.

    Attributes:
        basis: of the whole follower at the plan.
        rows, bounds: limits of flows and of states of the network that were in force, see ``decomposition.network_state.Retained``.
        bought: columns of the follower that are capacity worth buying somewhere.
    """

    basis: LabelledBasis
    rows: np.ndarray
    bounds: np.ndarray
    bought: np.ndarray
