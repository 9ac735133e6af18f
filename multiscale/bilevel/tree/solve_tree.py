"""Solve a tree of bilevel problems, node by node (see ``tree.search``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.solving import answers
from multiscale.bilevel.tree.conclude import conclude
from multiscale.bilevel.tree.node_solves import node_solves
from multiscale.bilevel.tree.search import TreeSearch
from multiscale.bilevel.tree.solution import TreeSolution
from multiscale.bilevel.tree.statement import TreeNode, read_tree


def solve_tree(
    nodes: Sequence[TreeNode],
    persistence: Sequence[str],
    *,
    method: str = "auto",
    gap: float = 1e-3,
    time_limit: float = 600.0,
    seed: int = 0,
    processes: int = 1,
    load: bool = True,
    **options: Any,
) -> TreeSolution:
    """Solve bilevel problems of several years and scenarios that investments tie, to a certified gap.

        min  sum_n w_n f_n(z_n)   subject to   z_child >= z_parent,       w_n = weight_n x probabilities from the root on

    Args:
        nodes: the nodes, each a bilevel problem of its own; see ``TreeNode``.
        persistence: names of the leader variables that a child has at least as much of as its parent; the same in every model.
        method: method of the node solves, as in ``bilevel.solve``.
        gap: relative gap of the whole tree at which to stop.
        time_limit: seconds for everything.
        seed: random seed of the node solves.
        processes: node solves at the same time, each in a process of its own when more than one; a script then needs ``if __name__ == "__main__"``.
        load: write the answer into the nodes' models.
        **options: see ``SolveOptions``, for the node solves.

    Returns:
        The answer; its ``status`` is never ``optimal`` unless every node's certificate holds and persistence is kept.

    Raises:
        BilevelError: the tree or one of its nodes is refused; the message names it and says what to change.
    """
    settings = SolveOptions.stated(options | {"method": method, "gap": gap, "time_limit": time_limit, "seed": seed})
    if settings.write is not None:
        raise BilevelError("write: a tree has one program for each node solve; write the nodes with bilevel.solve")
    if settings.absolute_gap > 0:
        raise BilevelError("absolute_gap: that of a tree is shared by nodes with weights; give a relative one (gap)")
    clock = Clock(time_limit)
    with clock.stage("read"):
        tree = read_tree(nodes, persistence)
    with node_solves(tree, settings, clock, processes) as solver:
        search = TreeSearch(tree, solver, settings, clock)
        search.run()
        with clock.stage("certificate"):
            found = conclude(search)
    if load and np.isfinite(found.objective):
        for read, node in zip(tree.reads, found.nodes.values(), strict=True):
            for variable, value in answers(read, node):
                variable.set_value(value, skip_validation=True)
    return found
