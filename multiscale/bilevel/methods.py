"""Choose a reformulation for each follower, and prove the multiplier bounds it needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.bilevel.assemble import REFORMULATIONS
from multiscale.bilevel.bounds import DualBounds, no_bounds, prove_bounds
from multiscale.bilevel.description import BilevelError, BilevelProblem


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
    in_products = np.union1d(follower.cost_columns, follower.limit_columns)
    open_ended = np.isinf(leader.lower[in_products]) | np.isinf(leader.upper[in_products])
    if open_ended.any() and "sos1" in REFORMULATIONS:
        return "sos1", f"leader variable {leader.names[in_products[open_ended][0]]} has no bounds, so products are out"
    return "strong_duality", "one row instead of complementary pairs; products aggregated"


def bounds_for(problem: BilevelProblem, f: int, method: str, time_limit: float) -> DualBounds:
    """Proven multiplier bounds of a follower, as far as the method can use them."""
    follower, leader = problem.followers[f], problem.leader
    every = any(q.kind == "dual" and q.follower == f for q in leader.quantities)
    binary = [k for k in follower.limit_columns if leader.is_binary(int(k))]
    if method == "big_m":
        needed = np.flatnonzero(~follower.program.equality)
    elif method == "strong_duality" and binary:
        needed = np.unique(follower.program.B.tocsc()[:, binary].indices)
    else:
        return no_bounds(follower)
    bounds = prove_bounds(problem, f, needed, time_limit=time_limit, every=every)
    return no_bounds(follower) if every and bounds.scope != "every" else bounds
