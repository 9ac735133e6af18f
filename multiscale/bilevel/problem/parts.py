"""Parts of a problem that meet in no row, no product and no follower: each is a problem of its own.

Variables may be *held* (given values): they join nothing. With nothing held, the parts' optima add up to that of the whole; with the integers held,
the prices of followers that meet only in integers are found apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multiscale.bilevel.problem.description import BilevelProblem, Follower, Form
from multiscale.bilevel.problem.expression import tree_columns, tree_renumbered
from multiscale.programs import Block, Index


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        problem: the part as a problem.
        variables: positions of its leader variables in the whole leader vector.
        followers: positions of its followers.
    """

    problem: BilevelProblem
    variables: np.ndarray
    followers: np.ndarray


def split(problem: BilevelProblem, held: np.ndarray | None = None) -> tuple[list[Part], Form] | None:
    """The parts of a problem and what is left of its objective (held variables alone, and the constant).

    Rows of held variables alone belong to no part. None where the problem is one part, or where a row or term of a part holds a held variable that
    none of the part's followers sees.

    Args:
        problem: the problem.
        held: True for leader variables whose values are given; none without it.
    """
    leader, n, count = problem.leader, problem.leader.size, len(problem.followers)
    held = np.zeros(n, dtype=bool) if held is None else held
    if count < 2:
        return None
    # Nodes: the joint vector, then the followers.
    total = n + len(leader.quantity_names)
    joined = _Joined(total + count, np.append(held, np.zeros(total - n + count, dtype=bool)))
    place = n
    for quantity in leader.quantities:
        joined.join(np.append(np.arange(place, place + quantity.size), total + quantity.follower))
        place += quantity.size
    for f, follower in enumerate(problem.followers):
        joined.join(np.append(_seen(follower), total + f))
    rows = leader.matrix.tocsr()
    for i in range(rows.shape[0]):
        joined.join(rows.indices[rows.indptr[i] : rows.indptr[i + 1]])
    for row in leader.curved:
        joined.join(form_columns(row.form))
    objective = leader.objective
    for a, b in zip(objective.first, objective.second, strict=True):
        joined.join(np.array([a, b]))
    if objective.tree is not None:
        joined.join(np.array(sorted(tree_columns(objective.tree)), dtype=np.int64))
    label = joined.labels()
    # Variables without a follower go with the first one.
    of_followers = label[total:]
    label[:total] = np.where(np.isin(label[:total], of_followers), label[:total], of_followers[0])
    names = np.unique(of_followers)
    if names.size < 2:
        return None
    label[:n][held] = -1
    # Rows without any variable go with the first part, where no others are without one.
    parts = [_part(problem, label, total, int(name), held, empty=name == of_followers[0] and not held.any()) for name in names]
    if any(part is None for part in parts):
        return None
    rest = _restricted(objective, label, -1)
    return [part for part in parts if part is not None], rest


class _Joined:
    """Entries that belong together; held ones join nothing."""

    def __init__(self, size: int, held: np.ndarray) -> None:
        self.size, self.held = size, held
        self.edges: list[np.ndarray] = []

    def join(self, members: np.ndarray) -> None:
        free = np.asarray(members, dtype=np.int64)
        free = free[~self.held[free]]
        if free.size > 1:
            self.edges.append(np.column_stack([np.full(free.size - 1, free[0]), free[1:]]))

    def labels(self) -> np.ndarray:
        pairs = np.concatenate(self.edges) if self.edges else np.zeros((0, 2), dtype=np.int64)
        graph = sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(self.size, self.size))
        return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _seen(follower: Follower) -> np.ndarray:
    """Leader variables that a follower's program holds."""
    return np.unique(np.concatenate([follower.cost_columns, follower.limit_columns, np.flatnonzero(follower.program.d)]))


def form_columns(form: Form) -> np.ndarray:
    """Entries of the joint vector that a form holds."""
    tree = np.array(sorted(tree_columns(form.tree)), dtype=np.int64) if form.tree is not None else np.zeros(0, dtype=np.int64)
    return np.concatenate([form.columns, form.first, form.second, tree]).astype(np.int64)


def _owner(columns: np.ndarray, label: np.ndarray) -> int:
    """The part of an expression; -1 where all its columns are held."""
    return int(label[columns].max(initial=-1))


def _restricted(form: Form, label: np.ndarray, name: int) -> Form:
    """The terms of an additive form that belong to a part (-1: to none); the constant goes with -1."""
    mine = label[form.columns] == name
    both = np.maximum(label[form.first], label[form.second]) == name
    tree = form.tree if form.tree is not None and _owner(np.array(sorted(tree_columns(form.tree)), dtype=np.int64), label) == name else None
    return Form(
        form.constant if name < 0 else 0.0,
        form.columns[mine],
        form.coefficients[mine],
        form.first[both],
        form.second[both],
        form.products[both],
        tree,
    )


def _part(problem: BilevelProblem, label: np.ndarray, total: int, name: int, held: np.ndarray, *, empty: bool) -> Part | None:
    leader, n = problem.leader, problem.leader.size
    followers = np.flatnonzero(label[total:] == name)
    mine = label[:n] == name
    for f in followers:
        seen = _seen(problem.followers[f])
        mine[seen[held[seen]]] = True
    variables = np.flatnonzero(mine)
    quantities = n + np.flatnonzero(label[n:total] == name)
    kept = np.concatenate([variables, quantities])
    order = np.full(total, -1, dtype=np.int64)
    order[kept] = np.arange(kept.size)
    matrix = leader.matrix.tocsr()
    of_row = [_owner(matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]], label) for i in range(matrix.shape[0])]
    taken = (name, -1) if empty else (name,)
    rows = np.flatnonzero(np.isin(np.array(of_row, dtype=np.int64), taken))
    curved = [row for row in leader.curved if _owner(form_columns(row.form), label) in taken]
    objective = _restricted(leader.objective, label, name)
    used = np.unique(np.concatenate([matrix[rows].indices, *(form_columns(row.form) for row in curved), form_columns(objective)]).astype(np.int64))
    if (order[used] < 0).any():
        return None
    position = {int(f): i for i, f in enumerate(followers)}
    index = Index((Block("leader", {"variable": np.array([leader.names[k] for k in variables], dtype=object)}, "", 0),))
    programs = [problem.followers[f] for f in followers]
    reduced = replace(
        leader,
        names=tuple(leader.names[k] for k in variables),
        lower=leader.lower[variables],
        upper=leader.upper[variables],
        kinds=leader.kinds[variables],
        quantities=tuple(replace(q, follower=position[q.follower]) for q in leader.quantities if q.follower in position),
        quantity_names=tuple(leader.quantity_names[k - n] for k in quantities),
        quantity_lower=leader.quantity_lower[quantities - n],
        quantity_upper=leader.quantity_upper[quantities - n],
        matrix=matrix[rows][:, kept],
        row_lower=leader.row_lower[rows],
        row_upper=leader.row_upper[rows],
        row_names=tuple(leader.row_names[i] for i in rows),
        curved=tuple(replace(row, form=_renumbered(row.form, order)) for row in curved),
        objective=_renumbered(objective, order),
    )
    narrowed = []
    for follower in programs:
        B, C = (matrix.tocsc()[:, variables].tocsr() for matrix in (follower.program.B, follower.program.C))
        narrowed.append(replace(follower, program=replace(follower.program, parameters=index, B=B, C=C, d=follower.program.d[variables])))
    return Part(BilevelProblem(reduced, tuple(narrowed)), variables, followers)


def _renumbered(form: Form, order: np.ndarray) -> Form:
    tree = None if form.tree is None else tree_renumbered(form.tree, order)
    return replace(form, columns=order[form.columns], first=order[form.first], second=order[form.second], tree=tree)
