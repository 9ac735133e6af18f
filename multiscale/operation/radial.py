"""LinDistFlow on a radial network: its tree, ratings, drops.

Power flows from the root; with reactive power given, the apparent power limit of a branch is a limit on its active power:

    P_l = sum of net consumption below l,     P_l <= sqrt((a_l S_l)^2 - Q_l^2),   -P_l <= sqrt((b_l S_l)^2 - Q_l^2)
    (S_l rating in kVA, Q_l the reactive power below l, a_l and b_l the shares that load and feed-in may use)
    v_n = v_root - sum over the path of 2 (r_l P_l + x_l Q_l) / (1000 Vn^2)      (v = squared voltage in pu, P kW, r ohm, Vn kV)

Losses are neglected here: a platform may count them (``losses``), and the AC power flow of the verification finds them.

Source: Baran and Wu, IEEE Trans. Power Delivery 4 (1989) 725-734 (DistFlow and its linearisation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multiscale.system import LoadingLimits, Network
from multiscale.system.rooted import RootedNetwork


@dataclass(frozen=True)
class RadialTree(RootedNetwork):
    """A radial network in the order from its root, with the limits in force.

    Attributes:
        node: owner.
        load_share, feed_in_share: usable share of the rating towards the customers and back [1].
        v_min, v_max: permitted voltage [pu].
        v_reference: voltage that is held at a reference [pu], 1.0 elsewhere; (bus, period), or (bus, 1) where it is the same in all periods.
    """

    node: str
    load_share: np.ndarray
    feed_in_share: np.ndarray
    v_reference: np.ndarray

    def usable(self, reactive_below: np.ndarray, added_kva: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Active power [kW] that every branch may carry towards the customers and back, (bus, period); 0 where Q alone fills it."""
        rating = (self.rating + added_kva)[:, None]
        q2 = reactive_below**2
        forward = np.sqrt(np.maximum((self.load_share[:, None] * rating) ** 2 - q2, 0.0))
        return forward, np.sqrt(np.maximum((self.feed_in_share[:, None] * rating) ** 2 - q2, 0.0))

    def below(self, values: np.ndarray) -> np.ndarray:
        """Sum of a bus quantity over every bus and all it feeds; (bus, ...) -> (bus, ...)."""
        total = np.array(values, dtype=float)
        for i in range(len(self.buses) - 1, 0, -1):
            total[self.feeder[i]] += total[i]
        return total

    def along_path(self, drops: np.ndarray) -> np.ndarray:
        """Sum of a branch quantity over the path from the nearest voltage reference to every bus."""
        total = np.zeros_like(drops, dtype=float)
        for i in range(1, len(self.buses)):
            if not self.reference[i]:
                total[i] = total[self.feeder[i]] + drops[i]
        return total

    def no_load_voltage(self) -> np.ndarray:
        """Voltage of every bus when nothing flows [pu]: that of its reference and the ratios on the way; (bus, period) or (bus, 1)."""
        return np.sqrt(self.squared_reference() + self.along_path(self.boost)[:, None])

    def squared_reference(self) -> np.ndarray:
        """Squared voltage of the reference of every bus [pu^2]; (bus, period) or (bus, 1)."""
        return np.asarray(self.v_reference[self.source_of()] ** 2)

    def voltage(self, active_below: np.ndarray, reactive_below: np.ndarray) -> np.ndarray:
        """Voltage of every bus [pu] at given flows [kW, kvar] of the branches that feed them, by the linear model, (bus, period).

        The reactive power that line capacitance feeds in is not part of the flows: it is taken off here.
        """
        drop = 2.0 * (self.resistance[:, None] * active_below + self.reactance[:, None] * (reactive_below - self.below(self.charging)[:, None]))
        change = self.along_path(drop / (1000.0 * self.vn_kv[:, None] ** 2) - self.boost[:, None])
        return np.sqrt(np.maximum(self.squared_reference() - change, 0.0))

    def within_band(self, reactive: np.ndarray) -> RadialTree:
        """The same tree with a voltage at its root at which no bus is outside its band when no active power flows.

        Args:
            reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
        """
        change = self.along_path((2.0 * self.reactance / (1000.0 * self.vn_kv**2))[:, None] * self.below(reactive) - self.boost[:, None])
        fed = self.source_of() == 0
        lowest, highest = ((band[:, None] ** 2 + change)[fed] for band in (self.v_min, self.v_max))
        squared = np.clip(self.v_reference[0] ** 2, lowest.max(axis=0), highest.min(axis=0))
        if (squared == self.v_reference[0] ** 2).all():
            return self
        held = np.broadcast_to(self.v_reference, change.shape).copy()
        held[0] = np.sqrt(squared)
        return replace(self, v_reference=held)

    def source_of(self) -> np.ndarray:
        """Position of the voltage reference of every bus."""
        source = np.arange(len(self.buses))
        for i in range(1, len(self.buses)):
            if not self.reference[i]:
                source[i] = source[self.feeder[i]]
        return source


def radial_tree(network: Network, limits: LoadingLimits, root_voltage: np.ndarray | float | None = None) -> RadialTree:
    """Order a radial network from its root.

    Args:
        network: radial in its active branches.
        limits: usable shares of the ratings and of the voltage bands.
        root_voltage: voltage at the root [pu], (period,) or one for all; default: the one that the grid above holds there.

    Raises:
        MeshedNetworkError: a loop (its branches are named), or buses without a connection to the root (named).
    """
    known = network.rooted
    fed_at = known.held[:1] if root_voltage is None else np.atleast_1d(root_voltage)
    v_reference = np.repeat(known.held[:, None], len(fed_at), axis=1)
    v_reference[0] = fed_at
    shares = zip(limits.factors(known.members), limits.shares(known.vn_kv, with_margin=True), strict=True)
    load_share, feed_in_share = (factor * share for factor, share in shares)
    margin = limits.voltage_margin(float(known.vn_kv[0]))
    v_min, v_max = limits.band(known.buses, known.v_min + margin, known.v_max - margin)
    return RadialTree(
        **(vars(known) | {"v_min": v_min, "v_max": v_max}),
        node=network.node,
        load_share=load_share,
        feed_in_share=feed_in_share,
        v_reference=v_reference,
    )
