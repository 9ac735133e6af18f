"""LinDistFlow on a radial network, reduced exactly to the part that can bind or is decided about.

Power flows from the root; with reactive power given, the apparent power limit of a branch is a limit on its active power:

    P_l = sum of net consumption below l,     P_l <= sqrt((a_l S_l)^2 - Q_l^2),   -P_l <= sqrt((b_l S_l)^2 - Q_l^2)
    (S_l rating in kVA, Q_l the reactive power below l, a_l and b_l the shares that load and feed-in may use)
    v_n = v_root - sum over the path of 2 (r_l P_l + x_l Q_l) / (1000 Vn^2)      (v = squared voltage in pu, P kW, r ohm, Vn kV)

Losses are neglected (they are found by the AC power flow of the verification).

Source: Baran and Wu, IEEE Trans. Power Delivery 4 (1989) 725-734 (DistFlow and its linearisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from multiscale.measures import Measure, NetworkProgram, Placed
from multiscale.programs import ProgramBuilder
from multiscale.programs.build import Term
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
        charging: reactive power that line capacitance feeds in at each bus [kvar].
        boost: rise of the squared voltage [pu^2] by an off-nominal transformer ratio on the way to each bus.
        reference: True where a tap changer holds the voltage of the bus; ``v_reference`` [pu] is that voltage (or 1.0 at the root).
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
        """Voltage of every bus when nothing flows [pu]: that of its reference and the ratios on the way."""
        return np.sqrt(self.v_reference[self.source_of()] ** 2 + self.along_path(self.boost))

    def source_of(self) -> np.ndarray:
        """Position of the voltage reference of every bus."""
        source = np.arange(len(self.buses))
        for i in range(1, len(self.buses)):
            if not self.reference[i]:
                source[i] = source[self.feeder[i]]
        return source


def radial_tree(network: Network, limits: LoadingLimits, root_voltage: float = 1.0) -> RadialTree:
    """Order a radial network from its root.

    Args:
        network: radial in its active branches.
        limits: usable shares of the ratings and of the voltage bands.
        root_voltage: voltage at the root [pu].

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
    ratio = _off_nominal_ratio(active, dict(zip(names.tolist(), buses.vn_kv.values.tolist(), strict=True)))
    rating_kva, branch_setpoint, branch_name = active.rating_kva.values, active.v_setpoint_pu.values, active.branch.values.tolist()
    admittances = 1.0 / (active.r_ohm.values + 1j * np.where(active.x_ohm.values == 0, 1e-9, active.x_ohm.values))
    boost, reference, v_reference = np.zeros(len(order)), np.zeros(len(order), dtype=bool), np.ones(len(order))
    reference[0], v_reference[0] = True, root_voltage
    for n, bus in enumerate(order[1:], start=1):
        ks = feeding[bus]
        rating[n] = rating_kva[ks].sum()
        impedance = 1.0 / admittances[ks].sum()
        resistance[n], reactance[n] = impedance.real, impedance.imag
        boost[n] = float(ratio[ks].mean()) ** 2 - 1.0
        setpoint = branch_setpoint[ks]
        if np.isfinite(setpoint).any():
            reference[n], v_reference[n] = True, float(np.nanmean(setpoint))
    ordered = buses.isel(bus=order)
    charging = _line_charging(active, start, end, buses.vn_kv.values)[order]
    members = tuple(tuple(str(branch_name[k]) for k in feeding[b]) for b in order)
    load_share, feed_in_share = (limits.factors(members) * share for share in limits.shares(ordered.vn_kv.values, with_margin=True))
    v_min, v_max = limits.band(ordered.bus.values, ordered.v_min_pu.values, ordered.v_max_pu.values)
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


@dataclass(frozen=True)
class ReducedTree:
    """Which branches of a tree stay variables, and to which zone every bus belongs.

    Attributes:
        tree: the full tree.
        kept: positions of the branches (= fed buses) that stay: they can bind, are decided about, or lie on the path of a voltage
            that can bind.
        zone: for every bus, the position (0 = root zone, k + 1 = zone fed by ``kept[k]``) of its zone.
        rated: where the rating may bind towards the customers and back, bool (2, bus fed, period).
        watched: positions of the buses with voltage rows.
        below_low, below_high: interval of the net consumption below every branch [kW], (bus, period).
    """

    tree: RadialTree
    kept: np.ndarray
    zone: np.ndarray
    rated: np.ndarray
    watched: np.ndarray
    below_low: np.ndarray
    below_high: np.ndarray


def reduce_tree(
    tree: RadialTree, low: np.ndarray, high: np.ndarray, reactive: np.ndarray, decided: np.ndarray, moved: np.ndarray | float = 0.0
) -> ReducedTree:
    """Drop what can never bind, whatever anybody decides, direction by direction and period by period.

    The net consumption of every bus lies in [low, high] in each period, so the flow of a branch lies between the sums below it and
    the voltage drop between its extremes along the path; a limit outside those intervals is redundant, and a branch without a
    limit that counts is contracted: the reduced network has the same feasible exchanges and costs as the full one.

    Args:
        tree: the network.
        low, high: bounds of the net consumption of each bus [kW], (bus, period).
        reactive: reactive power drawn at each bus [kvar], (bus, period).
        decided: positions of branches whose rating somebody may raise: their flow is not limited by today's.
        moved: most by which somebody may move the squared voltage along each branch, up or down [pu^2], (bus fed).
    """
    below_low, below_high, below_q = tree.below(low), tree.below(high), tree.below(reactive)
    forward, reverse = tree.usable(below_q)
    rated = np.stack([below_high > forward * (1 - 1e-9), -below_low > reverse * (1 - 1e-9)])
    rated[:, 0] = False

    per_kw = 2.0 * tree.resistance / (1000.0 * tree.vn_kv**2)
    per_kvar = 2.0 * tree.reactance / (1000.0 * tree.vn_kv**2)
    fixed = per_kvar[:, None] * below_q - tree.boost[:, None]
    # Inside the rating no branch carries more than its limit, so the drop is taken over the smaller interval; a branch that may be
    # reinforced has no such limit yet.
    for limit in (forward, reverse):
        limit[0], limit[decided] = np.inf, np.inf
    either_way = np.broadcast_to(moved, tree.rating.shape)[:, None]
    most = tree.along_path(per_kw[:, None] * np.minimum(below_high, forward) + fixed + either_way)
    least = tree.along_path(per_kw[:, None] * np.maximum(below_low, -reverse) + fixed - either_way)
    squared = tree.v_reference[tree.source_of()] ** 2
    too_low = (squared[:, None] - most < tree.v_min[:, None] ** 2 - 1e-9).any(axis=1)
    too_high = (squared[:, None] - least > tree.v_max[:, None] ** 2 + 1e-9).any(axis=1)
    watched = np.flatnonzero((too_low | too_high) & ~tree.reference)

    stays = np.zeros(len(tree.buses), dtype=bool)
    stays[rated.any(axis=(0, 2))] = True
    for i in watched.tolist():
        while not tree.reference[i]:
            stays[i] = True
            i = int(tree.feeder[i])
    kept = np.flatnonzero(stays)
    number = np.cumsum(stays)
    zone = np.zeros(len(tree.buses), dtype=int)
    for i in range(1, len(tree.buses)):
        zone[i] = number[i] if stays[i] else zone[tree.feeder[i]]
    return ReducedTree(tree, kept, zone, rated, watched, below_low, below_high)


def add_radial_network(
    builder: ProgramBuilder,
    reduced: ReducedTree,
    periods: np.ndarray,
    reactive: np.ndarray,
    consumption: list[Term],
    fixed: np.ndarray,
    supply_at_root: list[Term],
    parameters: list[Term],
    options: Sequence[tuple[type[Measure], Placed]] = (),
) -> None:
    """Rows of the reduced network: balance of every zone, ratings, voltages.

        flow into the zone (at the root: supply) - flows out of it = consumption     [kW]      dual: price of the zone
        -limit_l <= P_l <= limit_l                                                    [kW]      dual: congestion
        v_n = v_m - 2 (r_l P_l + x_l Q_l) / (1000 Vn^2)       l from m to n           [pu^2]

    What may be built changes them as its measure says.

    Args:
        builder: receives the rows.
        reduced: from ``reduce_tree``.
        periods: labels.
        reactive: reactive power drawn at each bus of the tree [kvar], (bus, period).
        consumption: terms with positions (zone, period[, k]) of columns that draw power.
        fixed: consumption nobody decides [kW], (zone, period).
        supply_at_root: terms (period,) of power entering the root zone.
        parameters: terms (zone, period[, k]) of consumption that others decide.
        options: what may be built, measure by measure.
    """
    tree = reduced.tree
    names = np.array([" + ".join(tree.members[i]) for i in reduced.kept], dtype=str)
    zones = np.array([str(tree.buses[0]), *(str(tree.buses[i]) for i in reduced.kept)])
    below_q = tree.below(reactive)
    # Bounds beyond anything the customers can draw or feed in: they never bind, and they keep every dual bound finite.
    largest = 2.0 * (1.0 + np.maximum(np.abs(reduced.below_low), np.abs(reduced.below_high)))[reduced.kept]
    flow = builder.add_columns(
        "flow", {"branch": names, "period": periods}, unit="kW", lower=-largest, upper=largest, description="active power towards the customers"
    )
    n = len(zones)
    inflow = np.full((n, len(periods)), -1)
    inflow[1:] = flow
    balance = builder.add_rows(
        "balance",
        {"zone": zones, "period": periods},
        [(1.0, inflow), *((-np.asarray(c, dtype=float), positions) for c, positions in consumption)],
        "==",
        fixed,
        unit="kW",
        parameters=parameters,
        description="power balance of the zone",
    )
    outer = reduced.zone[tree.feeder[reduced.kept]] if len(reduced.kept) else np.zeros(0, dtype=int)
    if len(reduced.kept):
        builder.add_to_rows(balance[outer], flow, -1.0)
    for coefficient, positions in supply_at_root:
        builder.add_to_rows(balance[0], positions, coefficient)

    at = np.full((len(tree.buses), len(periods)), -1)
    at[reduced.kept] = flow
    rating = np.full((2, *at.shape), -1)
    limits = tree.usable(below_q)
    for direction, (name, sign) in enumerate((("rating_forward", 1.0), ("rating_reverse", -1.0))):
        fed, when = np.nonzero(reduced.rated[direction])
        if len(fed):
            labels = np.array([f"{' + '.join(tree.members[i])} {periods[t]}" for i, t in zip(fed.tolist(), when.tolist(), strict=True)])
            limit = limits[direction][fed, when]
            rating[direction, fed, when] = builder.add_rows(
                name, {"branch_period": labels}, [(sign, at[fed, when])], "<=", limit, unit="kW", description="branch rating"
            )
    moved = np.zeros(len(tree.buses))
    for measure, placed in options:
        np.add.at(moved, placed.branch, measure.voltage_change(placed.columns))
    drop = _add_voltages(builder, reduced, periods, below_q, at, moved)

    def usable(branch: int, added_kva: float) -> np.ndarray:
        return np.stack(tree.usable(below_q, np.where(np.arange(len(tree.buses)) == branch, added_kva, 0.0)))[:, branch]

    branches = np.array([" + ".join(members) for members in tree.members], dtype=str)
    needed = np.stack([reduced.below_high, -reduced.below_low])
    network = NetworkProgram(builder, periods, branches, at, rating, drop, needed, usable)
    for measure, placed in options:
        measure.act(network, placed)


def _add_voltages(
    builder: ProgramBuilder, reduced: ReducedTree, periods: np.ndarray, below_q: np.ndarray, flow: np.ndarray, moved: np.ndarray
) -> np.ndarray:
    """Voltages of the watched buses and of those on their paths; returns the rows, (bus fed, period), -1 where there is none."""
    tree = reduced.tree
    rows = np.full(flow.shape, -1)
    if not len(reduced.watched):
        return rows
    per_kw = 2.0 * tree.resistance / (1000.0 * tree.vn_kv**2)
    per_kvar = 2.0 * tree.reactance / (1000.0 * tree.vn_kv**2)
    on_path = sorted({i for bus in reduced.watched.tolist() for i in _path(tree, bus)})
    at = {i: k for k, i in enumerate(on_path)}
    # Where no limit is watched: as far as the bounds of the flows can move it, so that every column is bounded and so is every dual bound.
    largest = 2.0 * (1.0 + np.maximum(np.abs(reduced.below_low), np.abs(reduced.below_high)))
    change = tree.along_path(per_kw[:, None] * largest + np.abs(per_kvar[:, None] * below_q) + np.abs(tree.boost[:, None]) + moved[:, None])
    reference = tree.v_reference[tree.source_of()][:, None] ** 2
    held = np.isin(on_path, reduced.watched)[:, None]
    low = np.where(held, tree.v_min[on_path, None] ** 2, (reference - change)[on_path] - 1.0)
    high = np.where(held, tree.v_max[on_path, None] ** 2, (reference + change)[on_path] + 1.0)
    axes = {"bus": tree.buses[on_path].astype(str), "period": periods}
    v = builder.add_columns("voltage_squared", axes, unit="pu^2", lower=low, upper=high, description="squared voltage")
    upstream = np.full((len(on_path), len(periods)), -1)
    constant = tree.boost[on_path][:, None] - per_kvar[on_path][:, None] * below_q[on_path]
    for k, i in enumerate(on_path):
        feeding = int(tree.feeder[i])
        if feeding in at and not tree.reference[feeding]:
            upstream[k] = v[at[feeding]]
        else:
            constant[k] += tree.v_reference[feeding] ** 2
    rows[on_path] = builder.add_rows(
        "voltage_drop",
        axes,
        [(1.0, v), (-1.0, upstream), (per_kw[on_path][:, None], flow[on_path])],
        "==",
        constant,
        unit="pu^2",
        description="voltage drop along the branch",
    )
    return rows


def _path(tree: RadialTree, bus: int) -> list[int]:
    path = []
    while not tree.reference[bus]:
        path.append(bus)
        bus = int(tree.feeder[bus])
    return path
