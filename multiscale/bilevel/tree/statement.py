"""What a tree of bilevel problems is: nodes with parents and probabilities, and the investments that a child inherits.

    min  sum_n w_n f_n(z_n)   subject to   z_child >= z_parent,       w_n = weight_n x product of the probabilities on the way from the root

``f_n(z)`` is the leader's optimum in node ``n`` (a bilevel problem of its own) with its persistent investments held at ``z``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale.bilevel.problem.description import BilevelError, BilevelProblem
from multiscale.bilevel.read.pyomo_model import PyomoProblem, read_model

_ONE = 1e-6
"""Largest distance from one of probabilities that sum to one."""


@dataclass(frozen=True)
class TreeNode:
    """One node, such as a year of a scenario.

    Attributes:
        name: its key, such as ``(2035, "high")``.
        model: Pyomo model of the node, a bilevel problem of its own whose objective is the cost (or gain) of this node alone.
        followers: its followers, as ``bilevel.solve`` takes them.
        parent: name of the node before it; None for a root.
        probability: of this node given its parent [1]; those of the children of a node sum to one, and those of all roots.
        weight: what a unit of the node's objective counts, such as discounting times years [1].
    """

    name: Hashable
    model: Any
    followers: Any
    parent: Hashable | None = None
    probability: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True)
class Link:
    """``z[child][to] >= z[parent][of]`` for positions among the persistent investments of two nodes."""

    parent: int
    child: int
    of: np.ndarray
    to: np.ndarray


@dataclass(frozen=True)
class Tree:
    """A tree as arrays; nodes are in an order in which parents come first.

    Attributes:
        names: keys of the nodes.
        reads: the bilevel problem of each node.
        weights: ``w_n``.
        investments: positions of the persistent investments in each node's leader vector.
        links: one for each parent and child that share investments.
    """

    names: tuple[Hashable, ...]
    reads: tuple[PyomoProblem, ...]
    weights: np.ndarray
    investments: tuple[np.ndarray, ...]
    links: tuple[Link, ...]

    @property
    def sense(self) -> float:
        """1 for a minimum, -1 for a maximum."""
        return self.problem(0).leader.sense

    def problem(self, n: int) -> BilevelProblem:
        """The bilevel problem of node ``n``."""
        return self.reads[n].problem

    def violation(self, z: Sequence[np.ndarray]) -> float:
        """Largest amount by which a child has less than its parent; nan where an investment is."""
        return float(np.concatenate([np.zeros(1), *(z[e.parent][e.of] - z[e.child][e.to] for e in self.links)]).max())


def read_tree(nodes: Sequence[TreeNode], persistence: Sequence[str]) -> Tree:
    """Check and read a tree.

    Args:
        nodes: in any order.
        persistence: names of leader variables, the same in every node's model; an indexed variable stands for all its entries.

    Raises:
        BilevelError: names that repeat, unknown parents, circles, probabilities that do not sum to one, weights that are not positive, objectives of
            different senses, a model used twice, a persistent variable that is missing, fixed or a follower's.
    """
    if not nodes:
        raise BilevelError("solve_tree needs at least one node")
    ordered = _ordered(nodes)
    names = [node.name for node in ordered]
    place = {name: n for n, name in enumerate(names)}
    weights = np.zeros(len(ordered))
    chance = np.ones(len(ordered))
    for n, node in enumerate(ordered):
        if not (node.weight > 0 and np.isfinite(node.weight)):
            raise BilevelError(f"node {node.name!r}: weight is {node.weight}; give a positive number")
        chance[n] = node.probability * (1.0 if node.parent is None else chance[place[node.parent]])
        weights[n] = chance[n] * node.weight
    if len({id(node.model) for node in ordered}) < len(ordered):
        raise BilevelError("two nodes share a Pyomo model; give each node its own (model.clone())")
    variables = [_persistent(node, persistence) for node in ordered]
    reads = [_read(node, found) for node, found in zip(ordered, variables, strict=True)]
    if len({read.problem.leader.sense for read in reads}) > 1:
        raise BilevelError("some nodes minimise and others maximise; state all objectives in one sense")
    investments = [_positions(node, read, found) for node, read, found in zip(ordered, reads, variables, strict=True)]
    links = []
    for child, node in enumerate(ordered):
        if node.parent is None or not persistence:
            continue
        parent = place[node.parent]
        missing = [name for name in variables[parent] if name not in variables[child]]
        if missing:
            raise BilevelError(f"node {node.name!r} has no {missing[0]}, which its parent {node.parent!r} may have built; give it the same options")
        mine, theirs = list(variables[child]), list(variables[parent])
        links.append(Link(parent, child, np.arange(len(theirs)), np.array([mine.index(name) for name in theirs], dtype=np.int64)))
    return Tree(tuple(names), tuple(reads), weights, tuple(investments), tuple(links))


def _ordered(nodes: Sequence[TreeNode]) -> list[TreeNode]:
    """Parents first."""
    names = [node.name for node in nodes]
    repeated = sorted({repr(name) for name in names if names.count(name) > 1})
    if repeated:
        raise BilevelError(f"nodes {repeated} are stated twice; give each node its own name")
    for node in nodes:
        if node.parent is not None and node.parent not in names:
            raise BilevelError(f"node {node.name!r}: its parent {node.parent!r} is not a node; there are {names}")
        if not 0 < node.probability <= 1 + _ONE:
            raise BilevelError(f"node {node.name!r}: probability is {node.probability}; give a number above 0 and up to 1")
    for parent in {node.parent: None for node in nodes}:
        children = [node for node in nodes if node.parent == parent]
        total = sum(node.probability for node in children)
        if not abs(total - 1.0) <= _ONE:
            whose = "the roots" if parent is None else f"the children of {parent!r}"
            raise BilevelError(f"the probabilities of {whose} {[node.name for node in children]} sum to {total:.6g}, not to 1")
    found: list[TreeNode] = []
    known: set[Hashable | None] = {None}
    while len(found) < len(nodes):
        ready = [node for node in nodes if node.parent in known and node.name not in known]
        if not ready:
            raise BilevelError(f"the nodes {[n.name for n in nodes if n.name not in known]} have no root: their parents form a circle")
        found += ready
        known |= {node.name for node in ready}
    return found


def _persistent(node: TreeNode, persistence: Sequence[str]) -> dict[str, Any]:
    """Name -> persistent variable of a node."""
    found: dict[str, Any] = {}
    for name in persistence:
        component = node.model.find_component(name)
        if component is None or component.ctype is not pyo.Var:
            raise BilevelError(f"node {node.name!r} has no variable {name!r}, which persistence names")
        for variable in component.values() if component.is_indexed() else (component,):
            if variable.fixed:
                raise BilevelError(f"node {node.name!r}: {variable.name} is fixed; give it equal bounds instead, so that persistence can be checked")
            found[variable.name] = variable
    return found


def _read(node: TreeNode, variables: dict[str, Any]) -> PyomoProblem:
    try:
        return read_model(node.model, node.followers, keep=list(variables.values()))
    except BilevelError as refusal:
        raise BilevelError(f"node {node.name!r}: {refusal}") from refusal


def _positions(node: TreeNode, read: PyomoProblem, variables: dict[str, Any]) -> np.ndarray:
    place = {id(v): k for k, v in enumerate(read.leader_variables)}
    for name, variable in variables.items():
        if id(variable) not in place:
            raise BilevelError(f"node {node.name!r}: {name} belongs to a follower; persistence takes leader variables")
    return np.array([place[id(v)] for v in variables.values()], dtype=np.int64)
