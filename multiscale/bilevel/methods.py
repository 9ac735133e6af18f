"""Choose a reformulation for each follower, and prove the multiplier bounds it needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.bilevel.assemble import REFORMULATIONS
from multiscale.bilevel.bounds import DualBounds, no_bounds, prove_bounds
from multiscale.bilevel.description import BilevelError, BilevelProblem, Follower, Leader


def choose_methods(problem: BilevelProblem, method: str | Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Method and reason for each follower.

    Args:
        problem: the bilevel problem.
        method: one name for all followers, or follower name -> method (missing ones: ``auto``).

    Raises:
        BilevelError: an unknown method or follower.
    """
    given = {f.name: method for f in problem.followers} if isinstance(method, str) else dict(method)
    unknown = sorted(set(given) - {f.name for f in problem.followers})
    if unknown:
        raise BilevelError(f"method names unknown followers {unknown}; there are {[f.name for f in problem.followers]}")
    methods, reasons = [], []
    for f, follower in enumerate(problem.followers):
        wanted = given.get(follower.name, "auto")
        if wanted != "auto" and wanted not in REFORMULATIONS:
            raise BilevelError(f"unknown method {wanted!r}; there are auto, {', '.join(sorted(REFORMULATIONS))}")
        chosen, why = (wanted, "as asked") if wanted != "auto" else _automatic(problem, f)
        methods.append(chosen)
        reasons.append(f"{chosen} ({why})")
    return methods, reasons


def _automatic(problem: BilevelProblem, f: int) -> tuple[str, str]:
    """Strong duality wherever its products have finite factors; otherwise complementary pairs."""
    leader, follower = problem.leader, problem.followers[f]
    moving = follower.limit_columns[~leader.integral[follower.limit_columns]]
    if moving.size:
        return "sos1", f"continuous leader variable {leader.names[moving[0]]} moves a right-hand side: pairs need no bound of its multiplier"
    in_products = np.union1d(follower.cost_columns, follower.limit_columns)
    open_ended = np.isinf(leader.lower[in_products]) | np.isinf(leader.upper[in_products])
    if open_ended.any():
        return "sos1", f"leader variable {leader.names[in_products[open_ended][0]]} has no bounds, so products are out"
    return "strong_duality", "one row instead of complementary pairs; products aggregated"


def bounds_for(problem: BilevelProblem, f: int, method: str, time_limit: float) -> DualBounds:
    """Proven multiplier bounds of a follower, as far as the method can use them."""
    follower, leader = problem.followers[f], problem.leader
    every = any(q.kind == "dual" and q.follower == f for q in leader.quantities)
    touched = np.unique(follower.program.B.tocsc()[:, follower.limit_columns].indices)
    if method == "big_m":
        needed = np.flatnonzero(~follower.program.equality)
    elif method == "strong_duality" and touched.size:
        needed = touched
    else:
        return no_bounds(follower)
    bounds = prove_bounds(problem, f, needed, time_limit=time_limit, every=every)
    bounds = no_bounds(follower) if every and bounds.scope != "every" else bounds
    if method == "strong_duality":
        _check_products_with_multipliers(leader, follower, bounds)
    return bounds


def _check_products_with_multipliers(leader: Leader, follower: Follower, bounds: DualBounds) -> None:
    """Refuse products of a continuous leader variable and a multiplier without bounds: branching would never end.

    Raises:
        BilevelError: names the variable and a row.
    """
    matrix = follower.program.B.tocsc()
    for k in follower.limit_columns[~leader.integral[follower.limit_columns]]:
        rows = matrix.indices[matrix.indptr[k] : matrix.indptr[k + 1]]
        missing = rows[~(np.isfinite(bounds.lower[rows]) & np.isfinite(bounds.upper[rows]))]
        if missing.size:
            raise BilevelError(
                f"follower {follower.name!r}: strong_duality multiplies the continuous leader variable {leader.names[k]} by the dual of "
                f"{follower.program.rows.label(int(missing[0]))}, of which no bound is proven; use sos1"
            )
