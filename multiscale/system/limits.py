"""How much of a rating and of a voltage band may be used: the operating reserve of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from multiscale.settings import Settings, quantity


class LoadingLimits(Settings):
    """Usable ratings: shares of the ratings that planning and operation may use, by voltage and direction.

    Medium-voltage rings are run half full under load so that they can take over a neighbour after a fault (n-1); power fed in may be
    cut then, so it has the whole rating. These are the load factors of the published eDisGo planning principles. A usable rating is the rating times
    this share times ``1 - margin``; the AC power flow checks the whole rating.

    Source: eDisGo, configuration of allowed load factors (mv_load_case 0.5, mv_feed-in_case 1.0, lv 1.0). There, a low-voltage network is
    planned without 0.035 pu of the band under load (0.015 for medium voltage, 0.02 for the station): ``lv_voltage_margin_pu``, where bands are wide.
    """

    mv_load: float = quantity(0.5, "1", "share of ratings usable under load at medium voltage (n-1), HV/MV transformers too", above=0.0, upper=10.0)
    mv_feed_in: float = quantity(1.0, "1", "the same for power fed in", above=0.0, upper=10.0)
    lv_load: float = quantity(1.0, "1", "share of ratings usable under load at low voltage, MV/LV transformers included", above=0.0, upper=10.0)
    lv_feed_in: float = quantity(1.0, "1", "the same for power fed in", above=0.0, upper=10.0)
    margin: float = quantity(
        0.07, "1", "share of every rating kept for what the linear model neglects: losses, voltages off nominal", lower=0.0, upper=0.5
    )
    lv_below_kv: float = quantity(1.0, "kV", "nominal voltage below which a network is one of low voltage", above=0.0, upper=1000.0)
    voltage_margin_pu: float = quantity(
        0.0075, "pu", "part of the voltage band kept for what the linear model neglects: half a tap step of 1.5 %", lower=0.0, upper=0.05
    )

    lv_voltage_margin_pu: float = quantity(
        0.0075,
        "pu",
        "the same in low-voltage networks where planning takes their busbars at no load: with what flows above them and in their transformer drop",
        lower=0.0,
        upper=0.1,
    )
    rating_factor: dict[str, float] = Field(
        default_factory=dict, description="branch: further factor on its usable share, in both directions [1]; a repair of the plan tightens it"
    )
    load_factor: dict[str, float] = Field(
        default_factory=dict,
        description="branch: further factor on its usable share under load alone [1]; a repair tightens it where an outage would overload the branch",
    )
    raised_v_min: dict[str, float] = Field(
        default_factory=dict, description="bus: further part of the voltage band that is kept at its lower end [pu]; a repair tightens it"
    )
    lowered_v_max: dict[str, float] = Field(default_factory=dict, description="bus: the same at its upper end [pu]")

    @classmethod
    def full(cls) -> LoadingLimits:
        """All ratings in full, nothing kept: what a network carries when no reserve is respected."""
        return cls(mv_load=1.0, margin=0.0, voltage_margin_pu=0.0, lv_voltage_margin_pu=0.0)

    def at_known_busbars(self) -> LoadingLimits:
        """The limits of operation, which knows the voltage at busbars of low-voltage networks: there too the margin of the linear model is enough."""
        return self.model_copy(update={"lv_voltage_margin_pu": min(self.lv_voltage_margin_pu, self.voltage_margin_pu)})

    def untightened(self) -> LoadingLimits:
        """The rule alone, without what a repair has tightened: what conventional planning and the choice of days go by."""
        return self.model_copy(update={"rating_factor": {}, "load_factor": {}, "raised_v_min": {}, "lowered_v_max": {}})

    def shares(self, vn_to_kv: np.ndarray, *, with_margin: bool) -> tuple[np.ndarray, np.ndarray]:
        """Usable share of the rating of each branch towards the customers (load) and back (feed-in) [1].

        Args:
            vn_to_kv: nominal voltage at the to-bus of each branch [kV].
            with_margin: whether the margin is kept free (planning and operation) or not (verification).
        """
        low = vn_to_kv < self.lv_below_kv
        keep = 1.0 - self.margin if with_margin else 1.0
        return keep * np.where(low, self.lv_load, self.mv_load), keep * np.where(low, self.lv_feed_in, self.mv_feed_in)

    def voltage_margin(self, vn_root_kv: float) -> float:
        """Part of the voltage band that is kept in a network whose root has this nominal voltage [pu]."""
        return self.lv_voltage_margin_pu if vn_root_kv < self.lv_below_kv else self.voltage_margin_pu

    def in_words(self) -> str:
        """The usable ratings as a phrase, e.g. for a message where they bind."""
        kept = 100.0 * (1.0 - self.margin)
        return (
            f"usable ratings: under load {self.mv_load * kept:.3g} % of a rating at medium voltage and {self.lv_load * kept:.3g} % at low voltage, "
            f"fed in {self.mv_feed_in * kept:.3g} % and {self.lv_feed_in * kept:.3g} % (system.limits)"
        )

    def factors(self, members: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Factors on the usable shares of every branch towards the customers (load) and back (feed-in) [1].

        Parallel branches, which are named together, have the least of theirs.
        """

        def least(of: Mapping[str, float]) -> np.ndarray:
            return np.array([min((of.get(name, 1.0) for name in names), default=1.0) for names in members])

        both = least(self.rating_factor)
        return both * least(self.load_factor), both

    def band(self, buses: np.ndarray, v_min_pu: np.ndarray, v_max_pu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Permitted voltage at some buses, lowest and highest [pu], without what is kept of the band at single buses."""
        more, less = (np.array([moved.get(bus, 0.0) for bus in buses.tolist()]) for moved in (self.raised_v_min, self.lowered_v_max))
        return v_min_pu + more, v_max_pu - less
