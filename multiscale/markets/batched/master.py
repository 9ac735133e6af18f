"""The restricted master of a pool: columns are what whole groups of members do at a price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.programs import ProgramBuilder
from multiscale.programs.growing import GrowingProgram


@dataclass(frozen=True)
class Boundary:
    """What the pool takes from and gives to the outside, and what it holds besides its members.

    Attributes:
        import_price, export_price: paid and received for each kWh at the boundary, charges included [EUR/kWh], (period,).
        import_limit, export_limit: most that passes [kW], (period,), finite.
        fixed: net demand that nothing moves [kW], (period,).
    """

    import_price: np.ndarray
    export_price: np.ndarray
    import_limit: np.ndarray
    export_limit: np.ndarray
    fixed: np.ndarray

    def value(self, price: np.ndarray, hours: np.ndarray) -> float:
        """Least cost of what is traded at the boundary when the pool pays a price for it, and of what is fixed [EUR/a]."""
        taken = np.minimum(self.import_price - price, 0.0) * self.import_limit
        given = np.minimum(price - self.export_price, 0.0) * self.export_limit
        return float(hours @ (taken + given + price * self.fixed))


class Master:
    """``min`` cost of columns and boundary, balanced in every period; one sum of weights for every group.

    ``short``, at a price above every other, keeps it feasible: what remains of it is what the limits of the boundary do not allow.

    Args:
        boundary: of the pool.
        hours: of the year of every period [h/a], (period,).
        groups: number of groups.
        short_price: of what is missing [EUR/kWh].
    """

    def __init__(self, boundary: Boundary, hours: np.ndarray, groups: int, short_price: float) -> None:
        periods = len(hours)
        builder, period = ProgramBuilder("pool of a batched community"), {"period": np.arange(periods)}
        flows = [
            builder.add_columns(name, period, unit="kW", upper=upper, cost=cost)
            for name, upper, cost in (
                ("import", boundary.import_limit, hours * boundary.import_price),
                ("export", boundary.export_limit, -hours * boundary.export_price),
                ("short", np.inf, hours * short_price),
                ("over", np.inf, hours * short_price),
            )
        ]
        terms = [(sign, columns) for sign, columns in zip((1.0, -1.0, 1.0, -1.0), flows, strict=True)]
        builder.add_rows("pool", period, terms, "==", boundary.fixed, unit="kW")
        if groups:
            builder.add_rows("weights", {"group": np.arange(groups)}, [], "==", 1.0, unit="1")
        self._program, self._hours, self._groups = GrowingProgram(builder.build(), in_place=True), hours, groups
        self._own, self._costs = 4 * periods, [self._program.program.c0]
        self.prices: list[np.ndarray] = []

    def add(self, price: np.ndarray, costs: np.ndarray, nets: np.ndarray) -> None:
        """Add what every group does at a price: own costs [EUR/a], (group,), and net draw [kW], (group, period)."""
        self.prices.append(price)
        # Of each column the rows of the periods, and that of its group.
        periods, groups = len(self._hours), self._groups
        rows = np.concatenate([np.broadcast_to(np.arange(periods), (groups, periods)), periods + np.arange(groups)[:, None]], axis=1)
        values = np.concatenate([-nets, np.ones((groups, 1))], axis=1)
        starts = np.arange(groups + 1) * (periods + 1)
        entries = sparse.csc_matrix((values.ravel(), rows.ravel(), starts), shape=(periods + groups, groups))
        self._program.add_columns(costs, entries)
        self._costs.append(costs)

    def solve(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Cost of the best combination [EUR/a], its prices [EUR/kWh], weights (price, group), and what is missing [kW], (period,)."""
        found = self._program.solve()
        periods = len(self._hours)
        weights = np.maximum(found.x[self._own :].reshape(len(self.prices), self._groups), 0.0)
        weights /= weights.sum(axis=0)
        missing = found.x[2 * periods : 3 * periods] + found.x[3 * periods : 4 * periods]
        return float(np.concatenate(self._costs) @ found.x), found.y[:periods] / self._hours, weights, missing
