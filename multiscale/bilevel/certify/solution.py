"""The answer of a bilevel solve."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from multiscale.bilevel.certify.certificate import Certificate
from multiscale.bilevel.problem.description import BilevelProblem

if TYPE_CHECKING:
    import xarray as xr


class Status(StrEnum):
    """What is proven of an answer.

    ``optimal``: certified and within the gap. ``feasible``: certified, gap not closed. ``infeasible``, ``unbounded``: proven.
    ``time_limit``: no certified point in time. ``error``: anything else; ``message`` says what.
    """

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    TIME_LIMIT = "time_limit"
    ERROR = "error"


@dataclass(frozen=True)
class BilevelSolution:
    """Answer of a bilevel solve; values are also in the Pyomo model.

    Attributes:
        status: what is proven of the answer.
        objective: leader objective in the user's sense, from the followers' own solutions (nan without a point).
        bound: proven bound on it (lower for minimisation, upper for maximisation); beyond the objective where the two proofs differ, and then a
            message says so.
        gap: |objective - bound| / max(|objective|, 1e-6).
        values: name of every leader variable and quantity -> value.
        primal: follower -> its columns, flat.
        dual: follower -> duals of its rows, flat, d optimum / d right-hand side in the follower's own sense.
        certificate: the evidence; None without a point.
        methods: follower -> reformulation, with the reason.
        timings: stage -> seconds.
        message: what happened, in words.
        nodes: of SCIP's tree.
        ended: SCIP's own status, empty without SCIP; ``contradiction`` where two proven answers exclude each other.
    """

    status: Status
    objective: float
    bound: float
    gap: float
    values: dict[str, float]
    primal: dict[str, np.ndarray]
    dual: dict[str, np.ndarray]
    certificate: Certificate | None
    methods: dict[str, str]
    timings: dict[str, float]
    message: str
    nodes: int = 0
    ended: str = ""
    size: str = ""
    problem: BilevelProblem | None = field(default=None, repr=False)
    constraint_rows: dict[int, tuple[str, list[tuple[int, float]]]] = field(default_factory=dict, repr=False)

    def columns(self, follower: str, block: str) -> xr.DataArray:
        """Columns of a follower's block, labelled, with unit."""
        return self._program(follower).columns.array(block, self.primal[follower])

    def duals(self, follower: str, block: str) -> xr.DataArray:
        """Duals of a block of a follower's rows, labelled [cost per unit of the row]."""
        return self._program(follower).rows.array(block, self.dual[follower])

    def dual_of(self, constraint: Any) -> float:
        """Dual of one Pyomo constraint of a block follower.

        Raises:
            KeyError: the constraint belongs to no follower of this solve.
        """
        if id(constraint) not in self.constraint_rows:
            raise KeyError(f"{constraint.name} is not a constraint of a block follower of this solve")
        name, parts = self.constraint_rows[id(constraint)]
        # The stored duals already carry the follower's sense; the parts carry it too.
        sense = next(f.sense for f in self.problem.followers if f.name == name) if self.problem else 1.0
        return float(sum(sense * factor * self.dual[name][row] for row, factor in parts))

    def _program(self, follower: str) -> Any:
        if self.problem is not None:
            for candidate in self.problem.followers:
                if candidate.name == follower:
                    return candidate.program
        raise KeyError(f"no follower {follower!r}; there are {sorted(self.primal)}")

    def describe(self, *, equations: int = 8) -> str:
        """Status, figures, methods and why, size of the reformulation, certificate, and the followers' optimality conditions by name.

        Args:
            equations: rows, columns and pairs of each follower that are written out; 0 leaves the equations out.
        """
        lines = [f"{self.status}: objective {self.objective:.9g}, bound {self.bound:.9g}, gap {self.gap:.2e}, {self.nodes:,} nodes"]
        if self.message:
            lines.append(f"  {self.message}")
        lines += [f"  {name}: {why}" for name, why in self.methods.items()]
        if self.size:
            lines.append(f"  single level: {self.size}")
        lines.append("  " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self.timings.items()))
        if self.certificate is not None:
            lines += ["certificate", self.certificate.describe()]
        if equations and self.problem is not None:
            from multiscale.bilevel.problem.equations import kkt_equations

            lines += ["optimality conditions", *(kkt_equations(follower, limit=equations) for follower in self.problem.followers)]
        return "\n".join(lines)
