"""How much of a rating and of a voltage band may be used: the operating reserve of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class LoadingLimits:
    """Share of the rating that may be used in normal operation, by voltage and direction.

    Medium-voltage rings are run half full under load so that they can take over a neighbour after a fault (n-1); power fed in may be
    cut then, so it has the whole rating. These are the load factors of the published eDisGo planning principles.

    Attributes:
        mv_load, mv_feed_in: lines above ``lv_below_kv`` and transformers that feed them [1].
        lv_load, lv_feed_in: everything below, with the transformers that feed it [1].
        margin: share kept for what the linear model leaves out (losses, voltages off nominal) [1]. The AC verification checks what
            may flow at all: the rating in full, without margin and without the reserve for a fault.
        lv_below_kv: where low voltage begins [kV].
        voltage_margin_pu: part of the voltage band kept for what the linear model leaves out [pu]; by default half a tap step of 1.5 %.
        rating_factor: branch -> factor on its usable share, in both directions [1]; branches that are not named have 1. This and the next two
            are what a repair of the plan tightens (``planning.repair``), one branch and one bus at a time.
        raised_v_min, lowered_v_max: bus -> further part of the voltage band that is kept, at its lower and at its upper end [pu].

    Source: eDisGo, configuration of allowed load factors (mv_load_case 0.5, mv_feed-in_case 1.0, lv 1.0).
    """

    mv_load: float = 0.5
    mv_feed_in: float = 1.0
    lv_load: float = 1.0
    lv_feed_in: float = 1.0
    margin: float = 0.07
    lv_below_kv: float = 1.0
    voltage_margin_pu: float = 0.0075
    rating_factor: Mapping[str, float] = field(default_factory=dict)
    raised_v_min: Mapping[str, float] = field(default_factory=dict)
    lowered_v_max: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def full(cls) -> LoadingLimits:
        """All ratings in full, nothing kept: what a network carries when no reserve is respected."""
        return cls(mv_load=1.0, margin=0.0, voltage_margin_pu=0.0)

    def untightened(self) -> LoadingLimits:
        """The rule alone, without what a repair has tightened: what conventional planning and the choice of days go by."""
        return replace(self, rating_factor={}, raised_v_min={}, lowered_v_max={})

    def shares(self, vn_to_kv: np.ndarray, *, with_margin: bool) -> tuple[np.ndarray, np.ndarray]:
        """Usable share of the rating of each branch towards the customers (load) and back (feed-in) [1].

        Args:
            vn_to_kv: nominal voltage at the to-bus of each branch [kV].
            with_margin: whether the margin is kept free (planning and operation) or not (verification).
        """
        low = vn_to_kv < self.lv_below_kv
        keep = 1.0 - self.margin if with_margin else 1.0
        return keep * np.where(low, self.lv_load, self.mv_load), keep * np.where(low, self.lv_feed_in, self.mv_feed_in)

    def factors(self, members: Sequence[Sequence[str]]) -> np.ndarray:
        """Factor on the usable share of every branch [1]; parallel branches, which are named together, have the least of theirs."""
        return np.array([min((self.rating_factor.get(name, 1.0) for name in names), default=1.0) for names in members])

    def band(self, buses: np.ndarray, v_min_pu: np.ndarray, v_max_pu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Permitted voltage at some buses, lowest and highest [pu], with all margins kept."""
        more, less = (np.array([moved.get(bus, 0.0) for bus in buses.tolist()]) for moved in (self.raised_v_min, self.lowered_v_max))
        return v_min_pu + self.voltage_margin_pu + more, v_max_pu - self.voltage_margin_pu - less
