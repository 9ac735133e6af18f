"""Prove multiplier bounds: propagation first, linear programs over the relaxed optimality set for what it leaves open.

The largest possible sum of a group of multipliers of one sign bounds each of them with a single linear program.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, interval
from multiscale.bilevel.reformulate.bounds.propagation import by_propagation
from multiscale.bilevel.reformulate.bounds.ranges import slope_range
from multiscale.bilevel.reformulate.bounds.relaxed_optima import RelaxedOptima


def prove_bounds(problem: BilevelProblem, f: int, needed: np.ndarray, *, time_limit: float = 10.0, every: bool = False) -> DualBounds:
    """Bounds for the duals of follower ``f``.

    Args:
        problem: the bilevel problem.
        f: position of the follower.
        needed: rows for which linear programs may be spent when propagation gives nothing.
        time_limit: seconds for all linear programs.
        every: demand bounds of every optimal dual (needed where the leader uses duals); argument 2 is then limited to ``b1 + b2 > 0``.
    """
    started = time.perf_counter()
    follower, leader = problem.followers[f], problem.leader
    bounds = by_propagation(follower, leader, every)
    missing = needed[~(np.isfinite(bounds.lower[needed]) & np.isfinite(bounds.upper[needed]))]
    if missing.size:
        bounds = _by_programs(problem, f, bounds, missing, started + time_limit)
    return bounds


def _by_programs(problem: BilevelProblem, f: int, bounds: DualBounds, missing: np.ndarray, deadline: float) -> DualBounds:
    follower = problem.followers[f]
    program = follower.program
    relaxation = RelaxedOptima(problem, f, bounds, max(1.0, deadline - time.perf_counter()))
    low, high = bounds.lower.copy(), bounds.upper.copy()
    solved: dict[str, list[str]] = {}
    for block in program.rows:
        chosen = missing[(missing >= block.offset) & (missing < block.offset + block.size)]
        if not chosen.size:
            continue
        one_sign = not program.equality[chosen].any()
        if one_sign:
            total = relaxation.extreme(chosen, -1.0)
            if total is None:
                continue
            low[chosen] = np.maximum(low[chosen], total)
            solved.setdefault(block.name, []).append(f"sum of {chosen.size} multipliers over the relaxed optimality set is at most {-total:.6g}")
        singly = 0
        for i in chosen:
            if time.perf_counter() > deadline:
                break
            least = relaxation.extreme(np.array([i]), -1.0)
            most = 0.0 if one_sign else relaxation.extreme(np.array([i]), 1.0)
            if least is None or most is None:
                break
            low[i], high[i] = max(low[i], least), min(high[i], most)
            singly += 1
        if singly:
            solved.setdefault(block.name, []).append(f"{singly} of {chosen.size} rows by a linear program each over the relaxed optimality set")
    how = dict(bounds.how)
    for name, texts in solved.items():
        how[name] = "; ".join([*([how[name]] if name in how else []), *texts])
    return replace(bounds, lower=low, upper=high, how=how)


def with_quantity_bounds(problem: BilevelProblem, f: int, bounds: DualBounds, *, time_limit: float) -> DualBounds:
    """Add proven ranges of the quantities ``C_k'x`` that leader variables multiply, by two linear programs each.

    A single price needs the follower's rows alone (see ``slope_range``). What that leaves open is sought over the relaxed optimality set, which has
    as many columns again, and is only valid together with ``bounds``: the range covers every optimum that has an optimal dual within them, which is
    every optimum.
    """
    follower = problem.followers[f]
    deadline = time.perf_counter() + time_limit
    if not follower.cost_columns.size:
        return bounds
    alone = {int(k): slope_range(problem.leader, follower, int(k), max(1.0, deadline - time.perf_counter())) for k in follower.cost_columns}
    if all(np.isfinite(ends).all() for ends in alone.values()):
        return replace(bounds, quantities=alone)
    relaxation = RelaxedOptima(problem, f, bounds, max(1.0, deadline - time.perf_counter()))
    by_leader = follower.program.C.tocsc()
    ranges: dict[int, tuple[float, float]] = {}
    for k in follower.cost_columns:
        weights = np.asarray(by_leader[:, [int(k)]].todense()).ravel()
        low, high = interval(sparse.csr_matrix(weights[None, :]), np.zeros(1), follower.program.lower, follower.program.upper)
        least, most = max(float(low[0]), alone[int(k)][0]), min(float(high[0]), alone[int(k)][1])
        for direction in (-1.0, 1.0):
            if time.perf_counter() > deadline:
                break
            found = relaxation.quantity(weights, direction)
            if found is not None:
                least, most = (max(least, found), most) if direction < 0 else (least, min(most, found))
        ranges[int(k)] = (least, most)
    return replace(bounds, quantities=ranges)
