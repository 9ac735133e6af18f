"""LP export: the problems of a solve as readable files: the relaxation, each follower, the single-level program, and what is solved after it."""

from __future__ import annotations

import contextlib
import locale
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem, Form, Quantity
from multiscale.bilevel.reformulate.bounds.dual_bounds import no_bounds
from multiscale.bilevel.reformulate.conditions.kkt import add_dual, add_primal, state_cost
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder
from multiscale.bilevel.reformulate.single_level.leader_part import add_leader
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.model import build_model


def write_lp(single: SingleLevel, path: str | Path, problem: BilevelProblem | None = None) -> Path:
    """Write a single-level program with readable names.

    Args:
        single: the program.
        path: the file. ``.lp`` holds linear and quadratic terms, SOS1 and indicators; for exponentials, logarithms and the like the
            ending becomes ``.cip`` (SCIP's own format).
        problem: gives columns the names of the leader's variables and the followers' columns and rows.

    Returns:
        The path written.
    """
    path = Path(path)
    if path.suffix == ".lp" and any(form.tree is not None for form in (single.objective, *(row.form for row in single.curved))):
        path = path.with_suffix(".cip")
    columns = _unique(_column_names(single, problem))
    rows = _unique([_clean(single.row_name(i)) for i in range(single.rows.shape[0])])
    model, _ = build_model(single, names=(columns, rows))
    with _plain_numbers():
        model.writeProblem(str(path), verbose=False)
    return path


@contextlib.contextmanager
def _plain_numbers() -> Iterator[None]:
    """Numbers as in C. SCIP's interface changes to them and back by a name of the locale that the system need not have; this goes back by its own."""
    before = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def write_problems(folder: str | Path, problem: BilevelProblem, programs: dict[str, SingleLevel]) -> list[Path]:
    """Write ``relaxation``, ``follower_<name>`` and the given programs into a folder.

    - ``relaxation``: the leader's problem with the followers feasible, not optimal (dual rows too where the leader uses duals);
    - ``follower_<name>``: a follower's own problem, the leader's variables as columns within their bounds.

    Args:
        folder: made if it does not exist.
        problem: the bilevel problem.
        programs: name -> program.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"relaxation": _relaxation(problem)}
    everything |= {f"follower_{_clean(follower.name)}": _follower(problem, f) for f, follower in enumerate(problem.followers)}
    return [write_lp(single, folder / f"{name}.lp", problem) for name, single in (everything | programs).items()]


def _relaxation(problem: BilevelProblem) -> SingleLevel:
    builder = SingleLevelBuilder(problem, rewrite_prices=False)
    for f, follower in enumerate(problem.followers):
        add_primal(builder, f)
        if any(q.kind == "dual" and q.follower == f for q in problem.leader.quantities):
            add_dual(builder, f, no_bounds(follower), explicit=False)
        if any(q.kind == "cost" and q.follower == f for q in problem.leader.quantities):
            state_cost(builder, f)
    return add_leader(builder)


def _follower(problem: BilevelProblem, f: int) -> SingleLevel:
    n, leader = problem.leader.size, problem.leader
    cost = Quantity(f, "cost", sparse.csr_matrix([[1.0]]), np.zeros(1))
    alone = replace(
        leader,
        quantities=(cost,),
        quantity_names=("cost",),
        quantity_lower=np.array([-np.inf]),
        quantity_upper=np.array([np.inf]),
        matrix=sparse.csr_matrix((0, n + 1)),
        row_lower=np.zeros(0),
        row_upper=np.zeros(0),
        row_names=(),
        curved=(),
        objective=Form(columns=np.array([n]), coefficients=np.ones(1)),
        sense=1.0,
    )
    builder = SingleLevelBuilder(replace(problem, leader=alone), rewrite_prices=False)
    add_primal(builder, f)
    state_cost(builder, f)
    return add_leader(builder)


def _column_names(single: SingleLevel, problem: BilevelProblem | None) -> list[str]:
    names = [_clean(single.column_name(j)) for j in range(single.size)]
    if problem is None:
        return names
    names[: single.leader_size] = [_clean(name) for name in problem.leader.names]
    for follower, primal, dual in zip(problem.followers, single.primal, single.dual, strict=True):
        for j, column in enumerate(primal):
            names[column] = _clean(_inner(follower.program.columns.label(j)))
        for i, column in enumerate(dual):
            names[column] = _clean(f"dual_{_inner(follower.program.rows.label(i))}")
    return names


def _inner(label: str) -> str:
    """The name inside ``column[...]``, ``row[...]`` or ``added[...]``, the blocks of a follower read from Pyomo."""
    found = re.fullmatch(r"(?:column|row|added(?: \d+)?)\[(.*)\]", label)
    return found.group(1) if found else label


def _clean(name: str) -> str:
    """A name that LP files can hold: brackets stand for quadratic terms there, and a leading ``e`` or digit for numbers."""
    text = re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip("_")[:200]
    return text if text[:1].isalpha() and text[:1] not in "eE" else f"v_{text}"


def _unique(names: list[str]) -> list[str]:
    """The names, those that come twice with a number behind."""
    count, seen = Counter(names), Counter[str]()
    taken = {name for name, times in count.items() if times == 1}
    result = []
    for name in names:
        if count[name] > 1:
            base = name
            while name == base or name in taken:
                seen[base] += 1
                name = f"{base}_{seen[base]}"
            taken.add(name)
        result.append(name)
    return result
