"""A radial network in a program, reduced exactly to the part that can bind or is decided about; its equations stand in ``radial``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.measures import Measure, NetworkProgram, Placed
from multiscale.operation.radial import RadialTree
from multiscale.programs import ProgramBuilder
from multiscale.programs.build import Term
from multiscale.symbols import Named


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
    tree: RadialTree,
    low: np.ndarray,
    high: np.ndarray,
    reactive: np.ndarray,
    decided: np.ndarray,
    moved: np.ndarray | float = 0.0,
    removed: np.ndarray | float = 0.0,
    needed: np.ndarray | None = None,
) -> ReducedTree:
    """Drop what can never bind, whatever is decided, direction by direction and period by period.

    The net consumption of every bus lies in [low, high] in each period, so the flow of a branch lies between the sums below it and
    the voltage drop between its extremes along the path; a limit outside those intervals is redundant, and a branch without a
    limit that counts is contracted: the reduced network has the same feasible exchanges and costs as the full one.

    Args:
        tree: the network.
        low, high: bounds of the net consumption of each bus [kW], (bus, period).
        reactive: reactive power drawn at each bus [kvar], (bus, period).
        decided: positions of branches whose rating may be raised: their flow is not limited by today's.
        moved: largest change of the squared voltage along each branch, up or down [pu^2], (bus fed).
        removed: largest share of the impedance of each branch that may be taken away [1], (bus fed).
        needed: positions of branches whose flow is needed for something else.
    """
    below_low, below_high, below_q = tree.below(low), tree.below(high), tree.below(reactive)
    forward, reverse = tree.usable(below_q)
    rated = np.stack([below_high > forward * (1 - 1e-9), -below_low > reverse * (1 - 1e-9)])
    rated[:, 0] = False

    per_kw = 2.0 * tree.resistance / (1000.0 * tree.vn_kv**2)
    per_kvar = 2.0 * tree.reactance / (1000.0 * tree.vn_kv**2)
    fixed, left = per_kvar[:, None] * below_q, 1.0 - np.broadcast_to(removed, tree.rating.shape)[:, None]
    # Inside the rating no branch carries more than its limit, so the drop is taken over the smaller interval; a branch that may be
    # reinforced has no such limit yet.
    for limit in (forward, reverse):
        limit[0], limit[decided] = np.inf, np.inf
    either_way = np.broadcast_to(moved, tree.rating.shape)[:, None]
    # A leg of a three-winding transformer may have a negative resistance: then the largest flow makes the least drop.
    ends = per_kw[:, None] * np.minimum(below_high, forward), per_kw[:, None] * np.maximum(below_low, -reverse)
    highest, lowest = np.maximum(*ends) + fixed, np.minimum(*ends) + fixed
    most = tree.along_path(np.maximum(highest, left * highest) - tree.boost[:, None] + either_way)
    least = tree.along_path(np.minimum(lowest, left * lowest) - tree.boost[:, None] - either_way)
    squared = tree.squared_reference()
    too_low = (squared - most < tree.v_min[:, None] ** 2 - 1e-9).any(axis=1)
    too_high = (squared - least > tree.v_max[:, None] ** 2 + 1e-9).any(axis=1)
    watched = np.flatnonzero((too_low | too_high) & ~tree.reference)

    stays = np.zeros(len(tree.buses), dtype=bool)
    stays[rated.any(axis=(0, 2))] = True
    if needed is not None:
        stays[needed] = True
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
        fixed: consumption that is not a decision [kW], (zone, period).
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
        Named(fixed, "\\bar d@", "net consumption that is not a decision", "kW"),
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
            limit = Named(limits[direction][fed, when], "\\bar P@", "usable active power: rating, reactive power and margin taken off", "kW")
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
    single = np.array([len(members) == 1 for members in tree.members])
    needed = np.stack([reduced.below_high, -reduced.below_low])
    squared_kv = 1000.0 * tree.vn_kv**2
    per_kw, fixed_drop = 2.0 * tree.resistance / squared_kv, (2.0 * tree.reactance / squared_kv)[:, None] * below_q
    network = NetworkProgram(builder, periods, branches, single, at, rating, drop, needed, per_kw, fixed_drop, usable)
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
    reference = tree.squared_reference()
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
    dropped = Named(per_kw[on_path][:, None], "\\frac{2 r@}{1000 V@^2}", "drop of the squared voltage per kW", "pu^2/kW")
    rows[on_path] = builder.add_rows(
        "voltage_drop",
        axes,
        [(1.0, v), (-1.0, upstream), (dropped, flow[on_path])],
        "==",
        Named(constant, "\\bar v@", "squared reference voltage and transformer ratio less the drop by reactive power", "pu^2"),
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
