"""How far a proven bound and a certified objective are apart, both in the sense of a minimisation.

A bound that is above the objective is never cut back to it: within ``CONTRADICTION`` it is what row tolerances leave, it counts as a gap like
one below, and a message says so; beyond, one of the two is wrong and nothing is optimal.
"""

from __future__ import annotations

from math import inf

TOLERANCE = 1e-6
"""Largest relative follower gap, violation or residual of a certified answer."""

CONTRADICTION = 1e-4
"""Relative amount by which a bound may be above a certified objective: both hold within ``TOLERANCE`` of their rows, times what a row is worth."""


def relative_gap(objective: float, bound: float) -> float:
    """``|objective - bound| / max(|objective|, 1e-6)``."""
    return abs(objective - bound) / max(abs(objective), 1e-6)


def is_closed(objective: float, bound: float, gap: float, absolute_gap: float = 0.0) -> bool:
    """Whether the two are within one of the gaps asked for, from either side, and what the tolerance of a certificate leaves of small objectives."""
    return abs(objective - bound) <= max(gap * abs(objective), absolute_gap) + TOLERANCE * (1.0 + abs(objective))


def closing_bound(objective: float, gap: float, absolute_gap: float = 0.0, cutoff: float = inf) -> float:
    """Bound at which a search with the best value ``objective`` (infinite: none) may end: within one of the gaps, or at the cutoff."""
    if objective == inf:
        return cutoff
    return min(cutoff, objective - max(gap * max(1e-6, abs(objective)), absolute_gap))


def contradicts(objective: float, bound: float) -> bool:
    """Whether the bound excludes the point."""
    return not bound <= objective + CONTRADICTION * max(1.0, abs(objective))


def excess(objective: float, bound: float) -> str:
    """What to say of a bound that is above the objective by more than the tolerance of a certificate; empty where it is not."""
    if not bound > objective + TOLERANCE * (1.0 + abs(objective)):
        return ""
    return f"the bound is beyond the certified objective by {relative_gap(objective, bound):.1e} of it, more than the tolerance of the certificate"
