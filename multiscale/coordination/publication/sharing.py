"""The headroom of a network shared out among the platforms it feeds.

From exchanges ``y`` the platforms' limits are widened together towards targets ``z``, each by the same share of its own way, until a line
is full or a voltage at its limit; who is behind that line stops there, the others go on:

    max sum_t s_t    s.t.  the DSO's network at exchanges  y_ct + s_t (z_ct - y_ct) for all c that are not held up,   0 <= s_t <= 1

with no more customers cut off or curtailed than at ``y``: in the program each kW of that costs more than all shares can gain. On a radial
network flows and voltage drops grow with every exchange, so whatever the platforms do below their limits, the network carries it.

Source of the rule (max-min fair shares by progressive filling): Bertsekas and Gallager, Data Networks, 2nd ed. (1992), sec. 6.5.2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.coordination.common.conflicts import RELIEF
from multiscale.operation import OperatingTree
from multiscale.programs import CompiledProgram, Link, ProgramBuilder, compose

RELIEF_COST = 1e3
"""Cost of a kW cut off or curtailed, in shares [1/kW]."""
PROBE = 1e-3
"""Share that each platform alone is tried with, to find who is held up [1]."""
ROUNDING_KW = 1e-3
"""Way to a target that is no way any more, and relief that is none."""


class NetworkHeadroom:
    """What a DSO's network can still carry, with the passive net loads of a tree.

    Args:
        tree: programs of all nodes.
        dso: whose network it is.
    """

    def __init__(self, tree: OperatingTree, dso: str) -> None:
        own, self.labels = tree.distribution[dso], tree.horizon.labels
        self.children = own.children
        program = own.program.fix({"energy_price": 0.0, "built": tree.design.choice(own.options)})
        cost = np.zeros(program.columns.size)
        self._relief = [program.columns[name].positions for name in RELIEF if name in program.columns]
        for there in self._relief:
            cost[there] = RELIEF_COST
        self.program = replace(program, c0=cost)
        self._compiled = CompiledProgram(self.program)

    def relief(self, exchange: np.ndarray) -> np.ndarray:
        """Power that must be cut off or curtailed [kW], (period,), when platforms exchange so much [kW], (platform, period)."""
        solution = self._compiled.solve_optimal({"exchange": exchange})
        return sum((solution.x[there].reshape(-1, len(self.labels)).sum(axis=0) for there in self._relief), np.zeros(len(self.labels)))

    def widened(self, exchange: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Exchanges as near to their targets as the network carries them [kW], (platform, period), by the rule above."""
        limit = exchange.copy()
        going = np.abs(target - limit) > ROUNDING_KW
        # Every round stops a platform or is the last: as many rounds as platforms at most.
        for _ in range(len(self.children)):
            way = np.where(going, target - limit, 0.0)
            share = self._shares(limit, way, 1.0, alone=False)
            limit = limit + share * way
            going &= np.abs(target - limit) > ROUNDING_KW
            if not going.any():
                break
            going &= self._shares(limit, np.where(going, target - limit, 0.0), PROBE, alone=True) > PROBE / 2
            if not going.any():
                break
        return limit

    def _shares(self, exchange: np.ndarray, way: np.ndarray, most: float, *, alone: bool) -> np.ndarray:
        """Largest shares of the way that the network carries [1]: one in every period, (period,), or of each platform, (platform, period)."""
        axes = {"platform": np.array(self.children, dtype=str), "period": self.labels}
        builder = ProgramBuilder("shares")
        axis = axes if alone else {"period": self.labels}
        share = builder.add_columns("share", axis, unit="1", upper=most, cost=-1.0, description="share of the way that is gone")
        one = builder.add_columns("one", {}, unit="1", lower=1.0, upper=1.0, description="one")
        terms = [(way, np.broadcast_to(share, way.shape)), (exchange, np.broadcast_to(one, exchange.shape))]
        builder.add_output("exchange", axes, terms, unit="kW", description="limit of the exchange")
        link = Link("shares", "exchange", self.program.parameters["exchange"].positions)
        compiled = CompiledProgram(compose("shares of the headroom", self.program, {"shares": builder.build()}, [link]))
        # What must be cut off anyway is cut off where it is now: it makes no headroom elsewhere.
        needed = self._compiled.solve_optimal({"exchange": exchange}).x
        for there in (positions.ravel() for positions in self._relief):
            upper = self.program.upper[there]
            compiled.bound(there, np.minimum(needed[there], upper), upper)
        solution = compiled.solve_optimal()
        return solution.primal("shares/share").values
