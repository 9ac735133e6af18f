"""How to solve a bilevel problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from multiscale.bilevel.problem.description import BilevelError

_OTHER_NAMES = {
    "timelimit": "time_limit",
    "max_time": "time_limit",
    "maxtime": "time_limit",
    "rel_gap": "gap",
    "abs_gap": "absolute_gap",
    "mip_abs_gap": "absolute_gap",
    "mipgap": "gap",
    "mip_gap": "gap",
    "mip_rel_gap": "gap",
    "reformulation": "method",
    "solver_options": "parameters",
    "options": "parameters",
    "warmstart": "start",
    "load_solutions": "load",
}
"""What other solvers call an option -> its name here."""


@dataclass(frozen=True)
class SolveOptions:
    """How to solve.

    Attributes:
        method: one name or follower -> name.
        gap: relative gap at which to stop.
        absolute_gap: the same in the unit of the objective; whichever is reached first.
        time_limit: seconds for everything.
        seed: SCIP's random seed shift.
        memory_limit: megabytes for SCIP, and for each linear program of the search (see ``programs.memory``).
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
    absolute_gap: float = 0.0
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

    @classmethod
    def stated(cls, options: Mapping[str, Any]) -> SolveOptions:
        """The options as a user states them.

        Raises:
            BilevelError: an unknown name, with the one that is probably meant; a gap below zero, or a time limit that is not positive.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                plain = name.lower()
                meant = _OTHER_NAMES.get(plain) or next(iter(get_close_matches(plain, [*known, "start", "load"], 1)), None)
                advice = f"did you mean {meant!r}? " if meant else ""
                raise BilevelError(f"unknown option {name!r}. {advice}There are {known}")
        found = cls(**options)
        if not found.gap >= 0:
            raise BilevelError(f"gap is {found.gap}; give a relative gap of 0 or more, such as 1e-4")
        if not found.absolute_gap >= 0:
            raise BilevelError(f"absolute_gap is {found.absolute_gap}; give a gap of 0 or more, in the unit of the objective")
        if not found.time_limit > 0:
            raise BilevelError(f"time_limit is {found.time_limit} s; give a positive number of seconds")
        return found
