"""How to solve a bilevel problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SolveOptions:
    """How to solve.

    Attributes:
        method: one name or follower -> name.
        gap: relative gap at which to stop.
        time_limit: seconds for everything.
        seed: SCIP's random seed shift.
        memory_limit: megabytes for SCIP.
        heuristic: whether to run the follower heuristic inside SCIP.
        start_share: largest share of the time limit spent on a start.
        bound_share: largest share of the time limit spent on multiplier bounds.
        rewrite_prices: replace the leader's price times quantity terms through the followers' complementarity where that is exact.
        enumerate_up_to: largest number of leader decisions that ``auto`` solves one by one, where followers see integer variables only; 0 for never.
        patience: work of SCIP without progress of the gap after which it is stopped (see ``scip.worker``); None for never. ``auto`` sets it itself.
        write: folder for every intermediate problem as an LP file: the relaxation without follower optimality, each follower, the
            single-level program, the exact problem of branch and cut, and programs solved for the certificate. The problem is then solved
            as it was read, without the normal form, so that the files are what is solved.
        parameters: further SCIP parameters.
    """

    method: str | Mapping[str, str] = "auto"
    gap: float = 1e-4
    time_limit: float = 600.0
    seed: int = 0
    memory_limit: float = 8192.0
    heuristic: bool = True
    start_share: float = 0.1
    bound_share: float = 0.1
    rewrite_prices: bool = True
    enumerate_up_to: int = 1024
    patience: float | None = None
    write: str | Path | None = None
    parameters: Mapping[str, Any] | None = None
