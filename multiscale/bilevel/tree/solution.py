"""The answer of a tree of bilevel problems."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from multiscale.bilevel.certify.solution import BilevelSolution, Status


@dataclass(frozen=True)
class TreeSolution:
    """Answer of ``solve_tree``; values are also in the nodes' models.

    Attributes:
        status: ``optimal`` if every node's certificate holds, persistence is kept and the gap is closed; see ``Status``.
        objective: sum of weights times the nodes' objectives, in the user's sense (nan without a point).
        bound: proven bound on it.
        gap: |objective - bound| / max(|objective|, 1e-6).
        nodes: name -> answer of the node's problem with its persistent investments held at those of the tree: its objective and certificate are
            those of the node, its own bound and gap hold for these investments only.
        weights: name -> weight times probability of the node [1].
        investments: name -> persistent leader variable -> value.
        separate: name -> proven bound of the node alone, without persistence.
        solves: node solves.
        timings: stage -> seconds.
        message: what happened, in words.
    """

    status: Status
    objective: float
    bound: float
    gap: float
    nodes: dict[Hashable, BilevelSolution]
    weights: dict[Hashable, float]
    investments: dict[Hashable, dict[str, float]]
    separate: dict[Hashable, float]
    solves: int
    timings: dict[str, float]
    message: str

    def describe(self) -> str:
        """Status and figures of the tree, and one line for each node."""
        lines = [f"{self.status}: objective {self.objective:.9g}, bound {self.bound:.9g}, gap {self.gap:.2e}, {self.solves:,} node solves"]
        if self.message:
            lines.append(f"  {self.message}")
        lines.append("  " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self.timings.items()))
        for name, node in self.nodes.items():
            certified = "certified" if node.certificate is not None and node.certificate.holds else "not certified"
            lines.append(f"  {name}: weight {self.weights[name]:.6g}, objective {node.objective:.9g} ({certified}), alone {self.separate[name]:.9g}")
        return "\n".join(lines)
