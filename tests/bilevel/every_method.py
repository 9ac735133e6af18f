"""Solve a problem by every method that takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from multiscale import bilevel

METHODS = ("auto", "sos1", "indicator", "product", "strong_duality", "big_m", "branch_and_cut", "decomposition")
MAY_REFUSE = {"strong_duality", "big_m", "branch_and_cut", "decomposition"}
"""These refuse what they have no proof for; the others take every linear follower, and quadratic ones."""


def solved_by_every_method(build: Callable[[], tuple[Any, Any]], methods: Sequence[str] = METHODS, **options: Any) -> Iterator[tuple[str, Any]]:
    """Method and solution, for each of the methods that does not refuse; ``build`` makes model and follower anew."""
    for method in methods:
        model, lower = build()
        try:
            solution = bilevel.solve(model, [lower], method=method, **options)
        except bilevel.BilevelError:
            assert method in MAY_REFUSE, method
            continue
        yield method, solution
