"""Days operated for tests, all at once."""

from __future__ import annotations

from typing import Any

from multiscale.coordination.days import CoordinatedDay, operated_days


def coordinate_days(*given: Any, **more: Any) -> list[CoordinatedDay]:
    """All days of ``operated_days``."""
    return list(operated_days(*given, keep=whole, **more))


def whole(day: CoordinatedDay) -> CoordinatedDay:
    """All of a day."""
    return day
