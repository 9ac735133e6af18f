"""Networks that take long to make, made once: every caller has a copy of its own."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache, wraps
from typing import Any

import pandapower as pp


def made_once(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes a network once for each set of arguments, and gives copies of it."""
    kept = cache(make)

    @wraps(make)
    def copied(*given: Any, **more: Any) -> Any:
        return deepcopy(kept(*given, **more))

    return copied


empty_network = made_once(pp.create_empty_network)
"""Tables without rows: making them takes pandapower ten times as long as copying them."""
