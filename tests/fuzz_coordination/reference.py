"""The whole as one linear program, solved apart from the engine, and the interval in which its optimum lies whatever the tolerances of the solver.

With a point ``x`` that violates rows by ``v`` and bounds by ``w``, and any duals ``y`` of the right sign with reduced costs ``r``,

    dual bound(y)  <=  optimum  <=  c'x + sum_i |y_i| v_i + sum_j |r_j| w_j      (to first order: what is missing is bought at its price)

The left side is exact. Nothing here knows cuts, vertices, bases or parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from multiscale.operation import OperatingTree, Transmission, dso_branch_program
from multiscale.operation.transmission_program import Monitored
from multiscale.operation.tree import BEYOND
from multiscale.programs import Link, ParametricProgram, ProgramBuilder, compose


@dataclass(frozen=True)
class Reference:
    """The optimum of a tree, counted from the dispatch without nodes below [EUR/a], between ``low`` and ``high``; ``size``: sum of all amounts."""

    low: float
    high: float
    size: float


class Whole:
    """The whole tree as one linear program, with all limits of the transmission network as rows.

    Args:
        tree: programs of all nodes.
        idle: cost from which it is counted [EUR/a].
        given: platform -> what it draws whatever happens [kW], (period,), at no cost of its own; its DSO cuts it off or curtails it where it must.
    """

    def __init__(self, tree: OperatingTree, idle: float, given: Mapping[str, np.ndarray] | None = None) -> None:
        network = tree.transmission
        everything = Transmission(tree.system, tree.horizon, tree.economics)
        branches = np.arange(len(network.model.branches))
        everything._monitored = Monitored.of(network.model, branches, branches)
        top = [everything.program(t) for t in range(tree.horizon.periods)]
        below = [_branch(tree, d, given or {}).fix({"energy_price": np.zeros(tree.horizon.periods)}) for d in network.children]
        programs = [*top, *below]
        blocks: list[list[object]] = [[p.A if i == j else None for j in range(len(programs))] for i, p in enumerate(programs)]
        for t, program in enumerate(top):
            for k, branch in enumerate(below):
                node = program.parameters["exchange"].positions[k]
                blocks[t][len(top) + k] = -program.B[:, [node]] @ branch.outputs["exchange"].matrix[[t]]
        self.matrix = sparse.bmat(blocks, format="csr")
        parts = (np.concatenate([getattr(p, a) for p in programs]) for a in ("b0", "equality", "c0", "lower", "upper"))
        self.b, self.equal, self.cost, self.lower, self.upper = parts
        self.constant = sum(p.d0 for p in programs) - idle
        first = np.cumsum([0, *(p.rows.size for p in programs)])
        self.branches = {d: (int(first[len(top) + k]), p) for k, (d, p) in enumerate(zip(network.children, below, strict=True))}

    def rows_of(self, dso: str, platform: str) -> np.ndarray:
        """Positions of the rows of a platform, in the order of its own program."""
        first, program = self.branches[dso]
        return np.concatenate([first + b.offset + np.arange(b.size) for b in program.rows if b.name.startswith(f"{platform}/")])

    def optimum(self, row: int = 0, more: float = 0.0) -> Reference:
        """The optimum, where the right-hand side of one row is larger by so much; solved by scipy's front end of HiGHS.

        Raises:
            RuntimeError: it was not solved.
        """
        b, equal = self.b.copy(), self.equal
        b[row] += more
        bounds = np.column_stack([self.lower, self.upper])
        given = {"A_ub": self.matrix[~equal], "b_ub": b[~equal], "A_eq": self.matrix[equal], "b_eq": b[equal]}
        found = linprog(self.cost, **given, bounds=bounds, method="highs-ds")
        if found.status != 0:
            raise RuntimeError(f"the reference was not solved: {found.message}")
        y = np.zeros(len(b))
        y[~equal], y[equal] = found.ineqlin.marginals, found.eqlin.marginals
        return _interval(self.matrix, b, equal, self.cost, self.lower, self.upper, self.constant, found.x, y)


def _branch(tree: OperatingTree, dso: str, given: Mapping[str, np.ndarray]) -> ParametricProgram:
    """A DSO with its platforms as one program, some of which draw what is given."""
    own, program = tree.distribution[dso], tree.distribution[dso].program
    known = {c: given[c] for c in own.children if c in given}
    if not known:
        return dso_branch_program(tree, dso)
    upper = program.upper.copy()
    for name, sign in (("shed", 1.0), ("spilled", -1.0)):
        most = np.array([np.maximum(sign * known[c], 0.0) if c in known else np.zeros(tree.horizon.periods) for c in own.children])
        upper[program.columns[name].positions] = most
    free = np.zeros(tree.horizon.periods)
    internal = {"import_price": free, "export_price": free, "import_limit": BEYOND, "export_limit": BEYOND, "planned": free, "deviation_price": 0.0}
    below, fixed = {}, {}
    for c in own.children:
        if c in known:
            builder, axes = ProgramBuilder(c), {"period": tree.horizon.labels}
            drawn = builder.add_columns("exchange", axes, unit="kW", lower=known[c], upper=known[c])
            builder.add_output("exchange", axes, [(1.0, drawn)], unit="kW")
            below[c] = builder.build()
        else:
            below[c], fixed[c] = tree.platforms[c], internal | dict(tree.prices(dso))
    links = [Link(c, "exchange", program.parameters["exchange"].positions[k]) for k, c in enumerate(own.children)]
    joined = compose(f"{dso} with platforms", replace(program, upper=upper), below, links, fixed)
    return joined.fix({"built": tree.design.choice(own.options)})


def _interval(
    matrix: sparse.csr_matrix,
    b: np.ndarray,
    equal: np.ndarray,
    cost: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    constant: float,
    x: np.ndarray,
    y: np.ndarray,
) -> Reference:
    y = np.where(equal, y, np.minimum(y, 0.0))
    reduced = cost - matrix.T @ y
    slack = matrix @ x - b
    off_rows = np.where(equal, np.abs(slack), np.maximum(slack, 0.0))
    off_columns = np.maximum(np.maximum(lower - x, x - upper), 0.0)
    high = float(cost @ x) + constant + float(np.abs(y) @ off_rows + np.abs(reduced) @ off_columns)
    # A column without an upper end costs something: at an optimum it is no larger than what that leaves of all costs.
    ends = np.where(np.isfinite(upper), upper, 0.0)
    least = np.minimum(cost * np.where(np.isfinite(lower), lower, 0.0), cost * ends)[np.isfinite(upper)].sum()
    budget = high - constant - float(least)
    most = np.where(np.isfinite(upper), upper, np.where(cost > 0, budget / np.where(cost > 0, cost, 1.0), 10.0 * ends.max(initial=1.0)))
    at = np.where(reduced > 0, lower, most)
    low = float(y @ b) + constant + float(reduced @ at)
    size = float(np.abs(y) @ np.abs(b) + np.abs(reduced) @ np.abs(at) + np.abs(cost) @ np.abs(x)) + abs(constant)
    return Reference(low, high, size)
