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
import xarray as xr

from multiscale.system import LoadingLimits, Network


class MeshedNetworkError(ValueError):
    """A network that LinDistFlow cannot take: it has a loop, or a part without a connection to the root."""


@dataclass(frozen=True)
class RadialTree:
    """A radial network ordered from the root, parallel branches joined.

    Attributes:
        node: owner.
        buses: names, root first, every bus after the one that feeds it.
        feeder: position of the bus that feeds each bus (-1 for the root); bus i > 0 is fed through branch i.
        rating: kVA of the branch that feeds each bus (sum of parallel ones).
        load_share, feed_in_share: usable share of the rating towards the customers and back [1].
        resistance, reactance: ohm, referred to the bus that is fed.
        vn_kv: nominal voltage of each bus.
        v_min, v_max: permitted voltage [pu].
        charging: reactive power that line capacitance and shunts feed in at each bus [kvar].
        boost: rise of the squared voltage [pu^2] by an off-nominal transformer ratio on the way to each bus.
        reference: True where a tap changer holds the voltage of the bus, and at the root.
        v_reference: voltage that is held there [pu], 1.0 elsewhere; (bus, period), or (bus, 1) where it is the same in all periods.
        members: names of the branches that feed each bus.
    """

    node: str
    buses: np.ndarray
    feeder: np.ndarray
    rating: np.ndarray
    load_share: np.ndarray
    feed_in_share: np.ndarray
    resistance: np.ndarray
    reactance: np.ndarray
    vn_kv: np.ndarray
    v_min: np.ndarray
    v_max: np.ndarray
    charging: np.ndarray
    boost: np.ndarray
    reference: np.ndarray
    v_reference: np.ndarray
    members: tuple[tuple[str, ...], ...]

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
    loops = network.loops()
    if loops:
        raise MeshedNetworkError(
            f"network of {network.node!r} is meshed: loop through {', '.join(loops[0])}; open a switch (in_service false) on one of them"
        )
    islands = network.islands()
    if islands:
        raise MeshedNetworkError(
            f"network of {network.node!r}: buses {islands[0][:5]} have no connection to {network.root!r}; close a switch or remove them"
        )
    active, buses = network.active, network.buses
    names = buses.bus.values
    start, end = network.ends()
    at: list[list[tuple[int, int]]] = [[] for _ in names]
    for k, (i, j) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        at[i].append((j, k))
        at[j].append((i, k))
    root = int(np.flatnonzero(names == network.root)[0])
    order, feeder_of = [root], {root: -1}
    feeding: dict[int, list[int]] = {root: []}
    for i in order:
        for j, k in at[i]:
            if j == feeder_of[i]:
                continue
            if j in feeder_of:
                feeding[j].append(k)
            else:
                feeder_of[j], feeding[j] = i, [k]
                order.append(j)
    position = {bus: n for n, bus in enumerate(order)}
    feeder = np.array([position[feeder_of[b]] if feeder_of[b] >= 0 else -1 for b in order])
    rating, resistance, reactance = np.full(len(order), np.inf), np.zeros(len(order)), np.zeros(len(order))
    vn = buses.vn_kv.values
    ratio = _off_nominal_ratio(active, dict(zip(names.tolist(), vn.tolist(), strict=True)))
    rating_kva, branch_setpoint, branch_name = active.rating_kva.values, active.v_setpoint_pu.values, active.branch.values.tolist()
    admittances = 1.0 / (active.r_ohm.values + 1j * np.where(active.x_ohm.values == 0, 1e-9, active.x_ohm.values))
    fed_at = np.atleast_1d(float(buses.v_root_pu.values[root]) if root_voltage is None else root_voltage)
    boost, reference, v_reference = np.zeros(len(order)), np.zeros(len(order), dtype=bool), np.ones((len(order), len(fed_at)))
    reference[0], v_reference[0] = True, fed_at
    for n, bus in enumerate(order[1:], start=1):
        ks = feeding[bus]
        rating[n] = rating_kva[ks].sum()
        # A branch that is fed at its to_bus has its impedance, and its ratio, seen from the other side.
        turned = [end[k] != bus for k in ks]
        seen = np.array([(vn[end[k]] / vn[bus]) ** 2 if t else 1.0 for k, t in zip(ks, turned, strict=True)])
        impedance = 1.0 / (admittances[ks] * seen).sum()
        resistance[n], reactance[n] = impedance.real, impedance.imag
        boost[n] = float(np.where(turned, 1.0 / ratio[ks], ratio[ks]).mean()) ** 2 - 1.0
        setpoint = branch_setpoint[ks]
        if np.isfinite(setpoint).any():
            reference[n], v_reference[n] = True, float(np.nanmean(setpoint))
    ordered = buses.isel(bus=order)
    charging = (_line_charging(active, start, end, vn) - buses.shunt_q_kvar.values)[order]
    members = tuple(tuple(str(branch_name[k]) for k in feeding[b]) for b in order)
    shares = zip(limits.factors(members), limits.shares(ordered.vn_kv.values, with_margin=True), strict=True)
    load_share, feed_in_share = (factor * share for factor, share in shares)
    margin = limits.voltage_margin(float(ordered.vn_kv.values[0]))
    v_min, v_max = limits.band(ordered.bus.values, ordered.v_min_pu.values + margin, ordered.v_max_pu.values - margin)
    return RadialTree(
        network.node,
        ordered.bus.values,
        feeder,
        rating,
        load_share,
        feed_in_share,
        resistance,
        reactance,
        ordered.vn_kv.values,
        v_min,
        v_max,
        charging,
        boost,
        reference,
        v_reference,
        members,
    )


def _line_charging(branches: xr.Dataset, start: np.ndarray, end: np.ndarray, vn_kv: np.ndarray, frequency_hz: float = 50.0) -> np.ndarray:
    """Reactive power of line capacitance at nominal voltage, half at each end: 2 pi f C Vn^2 / 2 [kvar], (bus,)."""
    total = np.zeros(len(vn_kv))
    half = np.pi * frequency_hz * branches.c_nf.values * 1e-9 * (1e3 * vn_kv[end]) ** 2 / 1e3
    np.add.at(total, start, half)
    np.add.at(total, end, half)
    return total


def _off_nominal_ratio(branches: xr.Dataset, vn_kv: dict[str, float]) -> np.ndarray:
    """Voltage ratio of each transformer relative to the nominal voltages of its buses (1 for lines)."""
    nominal = np.array([vn_kv[a] / vn_kv[b] for a, b in zip(branches.from_bus.values.tolist(), branches.to_bus.values.tolist(), strict=True)])
    tap = 1.0 + branches.tap_pos.values * branches.tap_step_percent.values / 100.0
    rated = branches.vn_lv_kv.values / branches.vn_hv_kv.values * nominal
    ratio = np.where(branches.tap_side.values == "hv", rated / tap, rated * tap)
    return np.where((branches.kind.values == "transformer") & np.isfinite(ratio), ratio, 1.0)
