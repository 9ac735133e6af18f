"""Losses of a radial network as convex functions of the flows, by tangents.

    loss_l  =  rho_l (P_l^2 + Q_l^2),      rho_l = r_l / (1000 Vn^2 v_l^2)
    loss_l >=  rho_l (2 a P_l - a^2 + Q_l^2)    for every point a                      the tangent at P_l = a

with P_l [kW] the power sent into branch l, Q_l [kvar], r_l [ohm], Vn [kV] and v_l [pu] a voltage where the branch begins: without load, or in the
expected operation where that is known. The loss of a branch is drawn at the bus that it feeds, so that flows and voltages count the losses further
down. Where the price of energy is above zero, losses in an optimum lie on their tangents. These lie below the function: the program's cost is a
lower bound of the cost with quadratic losses, and what falls short is ``LossState.missing``. Where the price is below zero, losses are a use of
energy that is paid for: they can be above the function there (``LossState.excess``).

Sources: Baran and Wu, IEEE Trans. Power Delivery 4 (1989) 725-734 (branch flow equations); Bai et al., IEEE TPWRS 33 (2018) 4061-4073 (losses in
nodal prices).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from multiscale.operation.radial import RadialTree
from multiscale.operation.reduced_network import ReducedTree
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.symbols import Named

LOWEST_VOLTAGE = 0.8
"""Voltage [pu] below which no losses are computed: largest losses, and so bounds of columns, are finite."""

COLUMNS, ROWS = "loss", "loss_tangent"


class NegativeResistanceError(ValueError):
    """A branch whose losses would not be convex."""


@dataclass(frozen=True)
class Losses:
    """How a platform's program counts the losses of its network.

    Attributes:
        accuracy: share of the losses by which tangents may fall short at the expected prices [1].
        rounds: largest number of rounds in which points are added.
        points: further points of tangents [kW], (point, bus fed, period) in the order of the tree; not a number where there is none.
        voltage: of every bus in the expected operation [pu], (bus, period); None: without load.
    """

    accuracy: float
    rounds: int
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    voltage: np.ndarray | None = None

    def with_points(self, points: np.ndarray) -> Losses:
        """The same with further points, (bus fed, period)."""
        added = points[None]
        return replace(self, points=np.concatenate([self.points, added]) if len(self.points) else added)


@dataclass(frozen=True)
class LossState:
    """Losses of a schedule.

    Attributes:
        branches: positions in the tree of the branches whose losses are counted.
        flow: power sent into them [kW], (branch, period).
        counted: losses in the program [kW], (branch, period).
        quadratic: losses at the same flows by the quadratic function [kW], (branch, period).
        voltage: of every bus of the tree at these flows, by the linear model [pu], (bus, period).
    """

    branches: np.ndarray
    flow: np.ndarray
    counted: np.ndarray
    quadratic: np.ndarray
    voltage: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """By how much tangents fall short [kW], (branch, period)."""
        return np.maximum(self.quadratic - self.counted, 0.0)

    @property
    def excess(self) -> np.ndarray:
        """Losses in the program beyond the quadratic function [kW], (branch, period): where energy has a price below zero."""
        return np.maximum(self.counted - self.quadratic, 0.0)


def loss_factor(tree: RadialTree, voltage: np.ndarray | None = None) -> np.ndarray:
    """``rho`` of every branch [1/kW] at a voltage of every bus [pu] (default: without load), (bus fed, period) or (bus fed, 1).

    Raises:
        NegativeResistanceError: a branch has a resistance below zero, as legs of three-winding transformers may.
    """
    for i in np.flatnonzero(tree.resistance < 0.0)[:1].tolist():
        what = f"branch {' + '.join(tree.members[i])!r} of {tree.node!r}: r_ohm is {tree.resistance[i]:g} ohm"
        raise NegativeResistanceError(f"{what}, and losses of a resistance below zero are not convex; set market.losses=false")
    at_bus = tree.no_load_voltage() if voltage is None else voltage
    begins = np.sqrt(at_bus[tree.feeder] ** 2 + tree.boost[:, None])
    factor = tree.resistance[:, None] / (1000.0 * tree.vn_kv[:, None] ** 2 * np.maximum(begins, LOWEST_VOLTAGE) ** 2)
    factor[0] = 0.0
    return factor


def largest_losses(tree: RadialTree, low: np.ndarray, high: np.ndarray, reactive: np.ndarray) -> np.ndarray:
    """What the losses of every branch can be at most, whatever is drawn within [low, high] [kW], (bus fed, period).

    The flow into a branch is what is drawn below it and its own loss, ``P = B + rho (P^2 + Q^2)``. Of the two solutions, the smaller one is the
    operating point (at the larger one, more than half of the power sent is lost); it grows with ``B`` and ``rho``, so that with the largest of both

        P <= (1 - sqrt(1 - 4 rho (B + rho Q^2))) / (2 rho),

    and no more than the rating. Where the root is not real, the branch cannot deliver ``B`` at the lowest voltage, and the rating alone limits P.
    Towards the root, the losses are taken off: ``|P| <= |B|``.

    Args:
        tree: the network, with finite ratings.
        low, high: bounds of the net consumption of each bus [kW], (bus, period).
        reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
    """
    factor = tree.resistance / (1000.0 * tree.vn_kv**2 * LOWEST_VOLTAGE**2)
    below_q = tree.below(reactive)
    least, most = tree.below(low), np.array(high, dtype=float)
    limit = np.maximum(*tree.usable(below_q))
    losses = np.zeros(most.shape)
    for i in range(len(tree.buses) - 1, 0, -1):
        fed = np.maximum(most[i], 0.0) + factor[i] * below_q[i] ** 2
        real = 1.0 - 4.0 * factor[i] * fed
        # The same root without a difference of numbers that are nearly equal.
        sent = np.where(real >= 0.0, 2.0 * fed / (1.0 + np.sqrt(np.maximum(real, 0.0))), np.inf)
        flow = np.minimum(np.maximum(sent, np.abs(least[i])), limit[i])
        losses[i] = factor[i] * (flow**2 + below_q[i] ** 2)
        most[i] += losses[i]
        most[tree.feeder[i]] += most[i]
    return losses


def add_loss_columns(builder: ProgramBuilder, reduced: ReducedTree, periods: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Columns with the losses of the branches that stay [kW]; returns them at the zones that they feed, (zone, period)."""
    names = np.array([" + ".join(reduced.tree.members[i]) for i in reduced.kept], dtype=str)
    at_zone = np.full((len(reduced.kept) + 1, len(periods)), -1)
    # No more than what rows of ratings were omitted for and what the platform has declared: at prices below zero, losses go that far.
    upper = largest[reduced.kept]
    axes = {"branch": names, "period": periods}
    at_zone[1:] = builder.add_columns(COLUMNS, axes, unit="kW", upper=upper, description="losses of the branch, drawn where it feeds")
    return at_zone


def add_tangents(
    builder: ProgramBuilder, reduced: ReducedTree, flow: np.ndarray, loss: np.ndarray, reactive: np.ndarray, expected: np.ndarray, losses: Losses
) -> None:
    """Rows that keep losses above their tangents; those of further points come last, so that a basis of the program without them is still one.

    Args:
        builder: receives the rows.
        reduced: the network; flows of all its branches with a resistance stay.
        flow, loss: columns, (branch kept, period).
        reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
        expected: net consumption of each bus as customers are expected to draw without response [kW], (bus, period).
        losses: with further points.
    """
    tree, kept = reduced.tree, reduced.kept
    factor = np.broadcast_to(loss_factor(tree, losses.voltage), reduced.below_low.shape)[kept]
    by_reactive = factor * tree.below(reactive)[kept] ** 2
    limit = np.maximum(*tree.usable(tree.below(reactive)))[kept]
    ends = (np.clip(side[kept], -limit, limit) for side in (reduced.below_low, reduced.below_high))
    first = np.stack([*ends, np.clip(tree.below(expected)[kept], -limit, limit), np.zeros(limit.shape)])
    further = losses.points[:, kept] if len(losses.points) else np.zeros((0, *limit.shape))
    points = np.concatenate([np.sort(first, axis=0), further])
    # Points closer than one part in a million of the largest are one.
    same = np.zeros(points.shape, dtype=bool)
    same[1 : len(first)] = np.diff(points[: len(first)], axis=0) <= 1e-6 * (1.0 + limit)
    point, branch, period = np.nonzero(~same & np.isfinite(points))
    at, place = points[point, branch, period], (branch, period)
    slope = Named(2.0 * factor[place] * at, "2 \\rho@ a@", "slope of the loss where the tangent touches it", "1")
    constant = Named(
        factor[place] * at**2 - by_reactive[place], "\\rho@ (a@^2 - Q@^2)", "loss that the slope counts too much, less that of reactive power", "kW"
    )
    builder.add_rows(
        ROWS, {"tangent": np.arange(len(at))}, [(slope, flow[place]), (-1.0, loss[place])], "<=", constant, unit="kW",
        description="losses lie above their tangents",
    )  # fmt: skip


def loss_state(program: ParametricProgram, tree: RadialTree, reactive: np.ndarray, losses: Losses, x: np.ndarray) -> LossState | None:
    """Losses of a schedule; None where the program counts none.

    Args:
        program: of the platform.
        tree: its network, as the program was built from it.
        reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
        losses: with which it was built.
        x: columns.
    """
    if COLUMNS not in program.columns:
        return None
    names = program.columns[COLUMNS].coords["branch"].tolist()
    position = {" + ".join(members): i for i, members in enumerate(tree.members)}
    branches = np.array([position[name] for name in names], dtype=int)
    flow, counted = program.columns.values("flow", x), program.columns.values(COLUMNS, x)
    factor = np.broadcast_to(loss_factor(tree, losses.voltage), reactive.shape)[branches]
    active, below_q = np.zeros(reactive.shape), tree.below(reactive)
    active[branches] = flow
    # Branches without a resistance are not among these: their flow makes no drop.
    voltage = tree.voltage(active, below_q + tree.below(tree.charging)[:, None])
    return LossState(branches, flow, counted, factor * (flow**2 + below_q[branches] ** 2), voltage)
