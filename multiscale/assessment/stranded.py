"""Investment in ratings that operation does not need."""

from __future__ import annotations

import numpy as np


def stranded_share(cost: np.ndarray, branch: np.ndarray, added: np.ndarray, before: np.ndarray, usable: np.ndarray, peak: np.ndarray) -> float:
    """Share of the investment in added ratings that is not needed at the peak [1]; NaN where none was made.

    A branch does not need what was added where its peak current stays within the usable share of its rating before:

        loading (before + added) <= usable before

    Args:
        cost: of every option that is built [EUR], (option,).
        branch: its branch, (option,); several on one branch are judged together.
        added: rating added [kVA], (option,).
        before: rating of the branch before [kVA], (option,).
        usable: usable share of that rating, the smaller of both directions [%], (option,).
        peak: largest loading of the branch with everything built [%], (option,).
    """
    total = float(cost.sum())
    if total <= 0:
        return float("nan")
    together = np.array([added[branch == name].sum() for name in branch])
    idle = peak * (before + together) <= usable * before
    return float(cost[idle].sum()) / total
