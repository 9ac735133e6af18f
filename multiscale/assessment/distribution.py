"""How evenly bills and gains are distributed: Gini and Jain indices, quantiles, and what bills weigh against incomes."""

from __future__ import annotations

import numpy as np

QUANTILES = (0.1, 0.5, 0.9)
"""Shares of customers whose bills are shown: p10, median, p90."""


def gini(values: np.ndarray) -> float:
    """Gini index of values of either sign [1]: 0 where all are equal, (n - 1)/n where one has everything; NaN where all are zero, or there are none.

        G = sum_ij |x_i - x_j| / (2 n sum_i |x_i|)

    Where no value is negative the denominator is 2 n^2 times the mean, that of the common index. With negative values the mean may be near zero or
    below it, and the common index has no bound; by the sum of magnitudes it stays in [0, (n - 1)/n]. The normalisation by that sum is due to
    Raffinetti, Siletti and Vernizzi, *Statistical Methods & Applications* 24 (2015) 507-521, who also divide by (n - 1)/n.

    Args:
        values: [any unit], (one,).
    """
    x = np.sort(np.asarray(values, dtype=float))
    n, total = x.size, float(np.abs(x).sum())
    if total == 0.0:
        return float("nan")
    # Sum over all pairs of differences, from the ordered values.
    return float(2.0 * ((2.0 * np.arange(1, n + 1) - n - 1.0) @ x) / (2.0 * n * total))


def jain(values: np.ndarray) -> float:
    """Jain's index of fairness [1]: 1 where all are equal, 1/n where one has everything; NaN with a negative value, or without any above zero.

        J = (sum_i x_i)^2 / (n sum_i x_i^2)

    It is defined for what is allotted, which is not negative: with both signs the sum may vanish although nothing is uneven about it. Source: Jain,
    Chiu and Hawe, DEC-TR-301 (1984).

    Args:
        values: [any unit], (one,).
    """
    x = np.asarray(values, dtype=float)
    squares = float((x**2).sum())
    if squares == 0.0 or (x < 0).any():
        return float("nan")
    return float(x.sum() ** 2 / (x.size * squares))


def why_undefined(index: str, values: np.ndarray, of: str) -> str:
    """Why an index (``gini`` or ``jain``) of some values has none, in words; empty where it has."""
    x = np.asarray(values, dtype=float)
    if x.size == 0:
        return f"no {of} are known"
    if not x.any():
        return f"all {of} are zero"
    if index == "jain" and (x < 0).any():
        return f"{int((x < 0).sum())} of {x.size} {of} are below zero"
    return ""


def income_group(incomes: np.ndarray, groups: int) -> np.ndarray:
    """Group of every household by its income, 0 the lowest, of nearly equal size, (household,); -1 where the income is not known.

    Args:
        incomes: yearly [EUR/a], (household,); NaN where not known.
        groups: number of groups; fewer where there are fewer incomes.
    """
    known = np.flatnonzero(np.isfinite(incomes))
    found = np.full(len(incomes), -1)
    order = known[np.argsort(incomes[known], kind="stable")]
    found[order] = np.arange(len(order)) * min(groups, max(len(order), 1)) // max(len(order), 1)
    return found
