"""The optimality conditions of a follower as equations with names."""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.problem.description import Follower


def kkt_equations(follower: Follower, *, limit: int = 50) -> str:
    """Primal rows with their duals, stationarity and complementary pairs of a follower, written out with names.

    Args:
        follower: the follower.
        limit: rows, columns and pairs written out of each kind; the rest is counted.
    """
    program = follower.program
    leader = [program.parameters.label(k).removeprefix("leader[").removesuffix("]") for k in range(program.parameters.size)]
    names = [_short(program.columns.label(j)) for j in range(min(program.columns.size, 10 * limit))]
    lines = [f"follower {follower.name}: {'min' if follower.sense > 0 else 'max, written as min of the negative'}"]
    lines.append(f"  primal ({program.rows.size} rows)")
    rows, moves = program.A.tocsr(), program.B.tocsr()
    for i in range(min(program.rows.size, limit)):
        left = _sum(rows, i, names)
        right = _plus(f"{program.b0[i]:g}", _sum(moves, i, leader))
        sense, sign = ("=", "free") if program.equality[i] else ("<=", "<= 0")
        lines.append(f"    {_short(program.rows.label(i))}: {left} {sense} {right}        dual lambda_{i} {sign}")
    lines += _rest(program.rows.size, limit)
    lines.append(f"  stationarity ({program.columns.size} columns)")
    by_column, costs = program.A.tocsc(), program.C.tocsr()
    curvature = program.Q.tocsr() if program.Q is not None else None
    in_cone = follower.in_cone
    for j in range(min(program.columns.size, limit)):
        part = slice(by_column.indptr[j], by_column.indptr[j + 1])
        duals = [f"{-value:+g} lambda_{i}" for i, value in zip(by_column.indices[part], by_column.data[part], strict=True)]
        gradient = _plus(f"{program.c0[j]:g}", _sum(costs, j, leader))
        if curvature is not None:
            gradient = _plus(gradient, _sum(curvature, j, names))
        reduced = [f"- rl_{j}"] if np.isfinite(program.lower[j]) else []
        reduced += [f"+ ru_{j}"] if np.isfinite(program.upper[j]) else []
        reduced += [f"- z_{j}"] if in_cone[j] else []
        lines.append(f"    {names[j]}: {' '.join([gradient, *duals, *reduced])} = 0")
    lines += _rest(program.columns.size, limit)
    pairs = int((~program.equality).sum() + np.isfinite(program.lower).sum() + np.isfinite(program.upper).sum())
    lines.append(f"  complementarity ({pairs} pairs, {len(follower.cones)} cones)")
    written = len(lines)
    inequalities = np.flatnonzero(~program.equality)[:limit]
    lines += [f"    0 <= slack of {_short(program.rows.label(int(i)))}  perp  -lambda_{i} >= 0" for i in inequalities]
    for j in range(min(program.columns.size, limit)):
        if np.isfinite(program.lower[j]):
            lines.append(f"    0 <= {names[j]} - {program.lower[j]:g}  perp  rl_{j} >= 0")
        if np.isfinite(program.upper[j]):
            lines.append(f"    0 <= {program.upper[j]:g} - {names[j]}  perp  ru_{j} >= 0")
    for cone in follower.cones[:limit]:
        head, tail = _short(program.columns.label(int(cone[0]))), ", ".join(_short(program.columns.label(int(j))) for j in cone[1:])
        multipliers = ", ".join(f"z_{j}" for j in cone[1:])
        lines.append(f"    cone {head} >= ||({tail})||  perp  cone z_{cone[0]} >= ||({multipliers})||")
    missing = pairs + len(follower.cones) - (len(lines) - written)
    return "\n".join(lines + ([f"    ... {missing} more"] if missing > 0 else []))


def _rest(size: int, limit: int) -> list[str]:
    return [f"    ... {size - limit} more"] if size > limit else []


def _short(label: str) -> str:
    for prefix in ("column[", "row[", "added["):
        if label.startswith(prefix):
            return label.removeprefix(prefix).removesuffix("]")
    return label


def _sum(matrix: object, i: int, names: list[str]) -> str:
    part = slice(matrix.indptr[i], matrix.indptr[i + 1])  # type: ignore[attr-defined]
    entries = zip(matrix.indices[part], matrix.data[part], strict=True)  # type: ignore[attr-defined]
    text = " ".join(f"{value:+g} {names[j] if j < len(names) else f'x_{j}'}" for j, value in entries)
    return text or "0"


def _plus(first: str, second: str) -> str:
    return first if second == "0" else second if first == "0" else f"{first} {second}"
