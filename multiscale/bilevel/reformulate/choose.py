"""Choose a reformulation for each follower, and prove the multiplier bounds it needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.bilevel.problem.description import BilevelError, BilevelProblem, Follower, Leader, MethodError
from multiscale.bilevel.problem.parts import split
from multiscale.bilevel.problem.span import combination
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds, no_bounds
from multiscale.bilevel.reformulate.bounds.prove import prove_bounds, with_quantity_bounds
from multiscale.bilevel.reformulate.methods.registry import REFORMULATIONS

MOST_PRICES = 8
"""Prices times followers up to which branch and cut solves the prices of a leader that earns them exactly (see ``search.price_cutting``)."""


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
    methods: list[str] = []
    reasons: list[str] = []
    suits = _suits_branch_and_cut(problem) if all(given.get(f.name, "auto") == "auto" for f in problem.followers) else ""
    if suits:
        why = f"branch_and_cut ({suits}, so branching over its binaries alone has strong bounds)"
        return ["branch_and_cut"] * len(problem.followers), [why] * len(problem.followers)
    for f, follower in enumerate(problem.followers):
        wanted = given.get(follower.name, "auto")
        if wanted == "decomposition":
            raise MethodError("decomposition takes all followers; give it as the method of all: method='decomposition'")
        if wanted != "auto" and wanted not in REFORMULATIONS:
            raise BilevelError(f"unknown method {wanted!r}; there are auto, decomposition, {', '.join(sorted(REFORMULATIONS))}")
        chosen, why = (wanted, "as asked") if wanted != "auto" else _automatic(problem, f)
        methods.append(chosen)
        reasons.append(f"{chosen} ({why})")
    if "branch_and_cut" in methods:
        check_branch_and_cut(problem, methods)
    return methods, reasons


def _suits_branch_and_cut(problem: BilevelProblem, most_prices: int = MOST_PRICES) -> str:
    """Why branch and cut suits: binaries in every follower's rows, and an objective that rises with its cost or is its payments. Empty if not."""
    try:
        check_branch_and_cut(problem, ["branch_and_cut"] * len(problem.followers))
    except MethodError:
        return ""
    if not all(f.limit_columns.size for f in problem.followers):
        return ""
    if _earns_payments(problem) and sum(f.cost_columns.size for f in problem.followers) <= most_prices:
        return "the leader earns what the followers pay at its prices"
    return "the leader's objective values what the followers pay" if _bears_costs(problem) else ""


def suits_decomposition(problem: BilevelProblem) -> bool:
    """Whether ``auto`` decomposes: branch and cut suits, each block has one price at most, and the leader earns payments or blocks are several.

    For one block whose cost the leader bears the tree of SCIP is the faster way.
    """
    seen = np.zeros(problem.leader.size, dtype=bool)
    for follower in problem.followers:
        seen[follower.cost_columns] = seen[follower.limit_columns] = True
    found = split(problem, seen & problem.leader.integral)
    parts = [problem] if found is None else [part.problem for part in found[0]]
    several = any(np.unique(np.concatenate([_prices(part, f) for f in part.followers])).size > 1 for part in parts)
    # Blocks are solved one by one, each with its own price.
    if several or not _suits_branch_and_cut(problem, most_prices=MOST_PRICES * len(parts)):
        return False
    return len(parts) > 1 or not _bears_costs(problem)


def _prices(problem: BilevelProblem, follower: Follower) -> np.ndarray:
    return follower.cost_columns[~problem.leader.integral[follower.cost_columns]]


def _bears_costs(problem: BilevelProblem) -> bool:
    """Whether the objective rises with the cost of every follower, without what the leader earns from it."""
    leader, n = problem.leader, problem.leader.size
    worth = np.zeros(len(problem.followers))
    position = n
    weights = np.zeros(n + len(leader.quantity_names))
    np.add.at(weights, leader.objective.columns, leader.objective.coefficients)
    weights = _valued(leader, weights)
    for quantity in leader.quantities:
        if quantity.kind == "dual":
            return False
        part = weights[position : position + quantity.size]
        program = problem.followers[quantity.follower].program
        if quantity.kind == "cost":
            worth[quantity.follower] += float(part @ quantity.matrix.toarray().ravel())
        else:
            prices = problem.followers[quantity.follower].cost_columns[:20]
            basis = [program.c0, *(program.C.tocsc()[:, [int(k)]].toarray().ravel() for k in prices)]
            for i in np.flatnonzero(part)[:200]:
                found = combination(quantity.matrix[i], basis)
                worth[quantity.follower] += 0.0 if found is None else float(part[i] * found[0])
        position += quantity.size
    return bool((worth > 0).all())


def _valued(leader: Leader, weights: np.ndarray) -> np.ndarray:
    """Weights of the joint vector in the objective, and in rows that hold up a variable the objective presses down.

    ``min t`` with ``t >= cost`` (an epigraph, a regret, the shortfall of a conditional value at risk) values the cost by the weight of ``t``. Only
    the choice of a method depends on this, so that the sum over all such rows stands for what binds.
    """
    found = weights.copy()
    matrix, n = leader.matrix.tocsr(), leader.size
    for i in range(matrix.shape[0]):
        columns, data = matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]], matrix.data[matrix.indptr[i] : matrix.indptr[i + 1]]
        for sign, end in ((1.0, leader.row_lower[i]), (-1.0, -leader.row_upper[i])):
            # sign * data'z >= end: own continuous variables with a positive entry and a positive weight are held up by the rest.
            entries = sign * data
            own = (columns < n) & (entries > 0) & (weights[columns] > 0)
            own[columns < n] &= ~leader.integral[columns[columns < n]]
            if np.isfinite(end) and own.any():
                rate = float((weights[columns[own]] / entries[own]).max())
                others = columns >= n
                np.add.at(found, columns[others], -rate * entries[others])
    return found


def _earns_payments(problem: BilevelProblem) -> bool:
    """Whether the objective falls with price times quantity of every follower."""
    leader, form = problem.leader, problem.leader.objective
    owner = np.concatenate([np.full(q.size, q.follower) for q in leader.quantities]) if leader.quantities else np.zeros(0, dtype=np.int64)
    earning = np.zeros(len(problem.followers), dtype=bool)
    for a, b, weight in zip(form.first.tolist(), form.second.tolist(), form.products.tolist(), strict=True):
        price, entry = min(a, b), max(a, b)
        if price < leader.size <= entry and weight < 0:
            f = int(owner[entry - leader.size])
            earning[f] |= price in problem.followers[f].cost_columns
    return bool(earning.all())


def check_branch_and_cut(problem: BilevelProblem, methods: list[str]) -> None:
    """Refuse branch and cut where its argument does not hold.

    Raises:
        MethodError: a follower under another method, a quadratic follower, or a general integer among the linking variables.
    """
    if any(name != "branch_and_cut" for name in methods):
        raise MethodError("branch_and_cut takes all followers or none; give all of them this method")
    for quantity in problem.leader.quantities:
        if quantity.kind == "dual":
            name = problem.followers[quantity.follower].name
            raise MethodError(f"the leader uses duals of follower {name!r}; branch_and_cut has none in its tree, use strong_duality or sos1")
    for follower in problem.followers:
        if not follower.is_linear:
            kind = "has second-order cones" if follower.cones else "is quadratic"
            raise MethodError(f"follower {follower.name!r} {kind}; branch_and_cut takes linear followers, use strong_duality")
        for k in np.union1d(follower.cost_columns, follower.limit_columns):
            if problem.leader.integral[k] and not problem.leader.is_binary(int(k)):
                raise MethodError(
                    f"leader variable {problem.leader.names[k]} is a general integer; branch_and_cut takes binaries, use strong_duality"
                )
            if not problem.leader.integral[k] and k in follower.limit_columns:
                raise MethodError(f"leader variable {problem.leader.names[k]} moves a right-hand side of {follower.name!r} continuously; use sos1")


def _automatic(problem: BilevelProblem, f: int) -> tuple[str, str]:
    """Strong duality wherever its products have finite factors; otherwise complementary pairs."""
    leader, follower = problem.leader, problem.followers[f]
    if follower.program.Q is not None:
        return "sos1", "a quadratic cost leaves pairs linear, and makes strong duality a curved row that tolerances loosen"
    moving = np.array([k for k in follower.limit_columns if not leader.is_binary(int(k))], dtype=np.int64)
    used = [q.matrix.indices for q in leader.quantities if q.kind == "dual" and q.follower == f]
    if moving.size or used:
        # Propagation alone: it costs next to nothing.
        proven = prove_bounds(problem, f, np.zeros(0, dtype=np.int64), every=bool(used))
        touched = np.unique(follower.program.B.tocsc()[:, moving].indices)
        if not proven.proven(touched):
            return "sos1", f"{leader.names[moving[0]]}, which is not binary, moves a right-hand side: pairs need no bound of its multiplier"
        if used and not (proven.proven(np.unique(np.concatenate(used))) and proven.scope == "every"):
            return "sos1", "the leader uses duals of which no bounds are proven"
    in_products = np.union1d(follower.cost_columns, follower.limit_columns)
    unbounded = np.isinf(leader.lower[in_products]) | np.isinf(leader.upper[in_products])
    if unbounded.any():
        return "sos1", f"leader variable {leader.names[in_products[unbounded][0]]} has no bounds, so products are not possible"
    return "strong_duality", "one row instead of complementary pairs; products aggregated"


def bounds_for(problem: BilevelProblem, f: int, method: str, time_limit: float) -> DualBounds:
    """Proven multiplier bounds of a follower, as far as the method can use them."""
    follower, leader = problem.followers[f], problem.leader
    every = any(q.kind == "dual" and q.follower == f for q in leader.quantities)
    touched = np.unique(follower.program.B.tocsc()[:, follower.limit_columns].indices)
    if method == "big_m":
        needed = np.flatnonzero(~follower.program.equality)
    elif method == "product":
        # Propagation costs nothing; linear programs do not pay, since sides without a bound have a form of their own.
        needed = np.zeros(0, dtype=np.int64)
    elif method in ("strong_duality", "branch_and_cut") and touched.size:
        needed = touched
    elif method in ("strong_duality", "branch_and_cut"):
        _check_duals_of_quadratic(leader, follower, f, no_bounds(follower))
        return with_quantity_bounds(problem, f, no_bounds(follower), time_limit=time_limit)
    else:
        return no_bounds(follower)
    if method == "branch_and_cut":
        # Bounds only sharpen its value cuts.
        time_limit *= 0.3
    bounds = prove_bounds(problem, f, needed, time_limit=time_limit, every=every)
    bounds = no_bounds(follower) if every and bounds.scope != "every" else bounds
    if method == "strong_duality":
        _check_products_with_multipliers(leader, follower, bounds)
        _check_duals_of_quadratic(leader, follower, f, bounds)
    return with_quantity_bounds(problem, f, bounds, time_limit=time_limit)


def _check_duals_of_quadratic(leader: Leader, follower: Follower, f: int, bounds: DualBounds) -> None:
    """Refuse duals without bounds in the leader's hands where strong duality is a curved row: cuts of it never close an open direction.

    Raises:
        MethodError: names the follower and a row.
    """
    if follower.program.Q is None:
        return
    for quantity in leader.quantities:
        rows = np.unique(quantity.matrix.indices)
        if quantity.kind == "dual" and quantity.follower == f and not bounds.proven(rows):
            raise MethodError(
                f"follower {follower.name!r} is quadratic and the leader uses the dual of {follower.program.rows.label(int(rows[0]))}, of which no "
                "bound is proven: strong_duality would not end; use sos1"
            )


def _check_products_with_multipliers(leader: Leader, follower: Follower, bounds: DualBounds) -> None:
    """Refuse products of a leader variable that is not binary and a multiplier without bounds: branching may never end.

    Raises:
        MethodError: names the variable and a row.
    """
    matrix = follower.program.B.tocsc()
    for k in follower.limit_columns:
        if leader.is_binary(int(k)):
            continue
        rows = matrix.indices[matrix.indptr[k] : matrix.indptr[k + 1]]
        missing = rows[~(np.isfinite(bounds.lower[rows]) & np.isfinite(bounds.upper[rows]))]
        if missing.size:
            raise MethodError(
                f"follower {follower.name!r}: strong_duality multiplies the leader variable {leader.names[k]} by the dual of "
                f"{follower.program.rows.label(int(missing[0]))}, of which no bound is proven; use sos1"
            )
