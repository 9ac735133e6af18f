"""The least cost of making the flows of a radial feeder fit, and its congestion price.

For the net load ``d`` [kW] (bus) of an hour, with LinDistFlow limits ``M d <= b`` (ratings both ways, voltage band both ways) and relief x:
flexibility that is offered, and as the last resort cutting off demand and generation,

    K(d) = min c'x    s.t.  M (d - S x) <= b,   0 <= x <= relief       dual mu >= 0,   congestion price kappa = M' mu in dK(d)

K is convex, and K >= 0 where no price is below zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from multiscale.operation.radial import RadialTree
from multiscale.programs import CompiledProgram, ProgramBuilder

ROUNDING_KW = 1e-6
"""Violations below this [kW] are rounding."""

SOLVED_KW = 1e-4
"""To so many kW does relief make the flows fit."""


@dataclass(frozen=True)
class Relief:
    """Flexibility offered to the operator, in steps.

    Attributes:
        bus: position of the bus of every step, (step,).
        direction: +1 where the step takes demand off (or feeds in), -1 where it takes generation off (or draws), (step,).
        amount: of every step [kW], (step,).
        cost: asked for it [EUR/kWh], (step,).
    """

    bus: np.ndarray
    direction: np.ndarray
    amount: np.ndarray
    cost: np.ndarray


NO_RELIEF = Relief(np.zeros(0, dtype=int), np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class FeederLimits:
    """Limits of a feeder on the net load of its buses in one period: ``matrix @ d <= bound`` and ``-matrix @ d <= bound`` in two halves.

    Attributes:
        matrix: (row, bus), one sign per row: ones below a branch, or voltage drops relative to the largest one in the row [1].
        bound: (row, period) [kW] (of voltages: at the bus with the largest effect).
        name: of the branch or bus of every row, with the direction.
    """

    matrix: np.ndarray
    bound: np.ndarray
    name: np.ndarray


def feeder_limits(tree: RadialTree, reactive: np.ndarray) -> FeederLimits:
    """Ratings and voltage bands of a radial network as rows on the net loads; LinDistFlow with reactive power given.

    Args:
        tree: the network.
        reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
    """
    n = len(tree.buses)
    below = tree.below(np.eye(n))[1:]
    forward, reverse = tree.usable(tree.below(reactive))
    limited = np.isfinite(tree.rating[1:])
    per_kw = 2.0 * tree.resistance / (1000.0 * tree.vn_kv**2)
    per_kvar = 2.0 * tree.reactance / (1000.0 * tree.vn_kv**2)
    below_all = np.vstack([np.zeros(n), below])
    drop = tree.along_path(per_kw[:, None] * below_all)
    fixed = tree.along_path(per_kvar[:, None] * tree.below(reactive) - tree.boost[:, None])
    squared = tree.squared_reference()
    free = ~tree.reference
    lowest, highest = (tree.v_min**2)[:, None], (tree.v_max**2)[:, None]
    matrix = np.vstack([below[limited], -below[limited], drop[free], -drop[free]])
    bound = np.vstack([forward[1:][limited], reverse[1:][limited], (squared - fixed - lowest)[free], (highest - squared + fixed)[free]])
    size = np.abs(matrix).max(axis=1)
    moved = size > 0
    lines = np.array([" + ".join(m) for m in tree.members[1:]], dtype=object)[limited]
    buses = tree.buses[free].astype(object)
    kinds = ((lines, "towards the customers"), (lines, "back"), (buses, "voltage low"), (buses, "voltage high"))
    name = np.array([f"{one}, {kind}" for names, kind in kinds for one in names], dtype=str)
    stuck = np.flatnonzero(~moved & (bound < 0).any(axis=1))
    if len(stuck):
        raise ValueError(
            f"feeder of {tree.node!r}: {name[stuck[0]]} is out of its band whatever is drawn; correct its reactive power or its voltage band"
        )
    return FeederLimits(matrix[moved] / size[moved, None], bound[moved] / size[moved, None], name[moved])


def with_last_resort(relief: Relief, buses: int, value_of_lost_load: float, curtailment_cost: float) -> Relief:
    """What is offered, and cutting off demand or generation at every bus without limit, at its price [EUR/kWh]."""
    every = np.arange(buses)
    return Relief(
        np.concatenate([relief.bus, every, every]),
        np.concatenate([relief.direction, np.ones(buses), -np.ones(buses)]),
        np.concatenate([relief.amount, np.full(2 * buses, np.inf)]),
        np.concatenate([relief.cost, np.full(buses, value_of_lost_load), np.full(buses, curtailment_cost)]),
    )


@dataclass
class ReliefOfHour:
    """The relief problem of one period; limits become rows when a scenario exceeds them."""

    matrix: np.ndarray
    bound: np.ndarray
    steps: Relief
    price: np.ndarray
    monitored: list[int] = field(default_factory=list)
    _compiled: CompiledProgram | None = None

    def exceeding(self, net: np.ndarray) -> np.ndarray:
        """Scenarios (rows of ``net``) that exceed a limit; their limits are monitored from here on."""
        over = self.matrix @ net.T > self.bound[:, None] + ROUNDING_KW
        self._monitor(np.flatnonzero(over.any(axis=1)))
        return np.flatnonzero(over.any(axis=0))

    def relieve(self, net: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """K(d) [EUR/h], its subgradient [EUR/kWh] (bus,) and the relief [kW] (step,)."""
        while True:
            excess = self.matrix @ net - self.bound
            self._monitor(np.flatnonzero(excess > ROUNDING_KW))
            if not self.monitored:
                return 0.0, np.zeros(len(net)), np.zeros(len(self.price))
            if self._compiled is None:
                self._compiled = self._program()
            solution = self._compiled.solve_optimal(-excess[self.monitored])
            after = net.copy()
            np.subtract.at(after, self.steps.bus, self.steps.direction * solution.x)
            left = np.setdiff1d(np.flatnonzero(self.matrix @ after > self.bound + SOLVED_KW), self.monitored)
            if not len(left):
                return solution.objective, -solution.y @ self.matrix[self.monitored], solution.x
            self._monitor(left)

    def _monitor(self, rows: np.ndarray) -> None:
        fresh = [int(r) for r in rows if r not in self.monitored]
        if fresh:
            self.monitored += fresh
            self._compiled = None

    def _program(self) -> CompiledProgram:
        """Least price'x  s.t.  -M S x <= -excess,  0 <= x <= amount."""
        builder = ProgramBuilder("relief of the feeder")
        rows = {"limit": np.arange(len(self.monitored))}
        room = builder.add_parameters("room", rows, unit="kW", description="what is left below the limit, negative where it is exceeded")
        each = {"step": np.arange(len(self.price))}
        x = builder.add_columns("relief", each, unit="kW", upper=self.steps.amount, cost=self.price, description="relief")
        effect = -self.matrix[self.monitored][:, self.steps.bus] * self.steps.direction
        columns = np.broadcast_to(x, effect.shape)
        builder.add_rows("limit", rows, [(effect, columns)], "<=", 0.0, unit="kW", parameters=[(1.0, room)], description="limit of the feeder")
        return CompiledProgram(builder.build())
