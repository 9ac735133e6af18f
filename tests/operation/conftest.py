"""Prices, and platforms whose own network binds."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.operation.tree import BEYOND
from tests.variants import changed


@pytest.fixture(scope="session")
def prices(winter) -> dict[str, object]:
    """Dear in the evening, cheap at night; no limit at the boundary and no plan."""
    hour = (np.arange(winter.periods) + 0.5) * winter.step_hours
    price = 0.12 + 0.06 * np.exp(-0.5 * ((hour - 19) / 2.5) ** 2) - 0.05 * np.exp(-0.5 * ((hour - 3) / 2.0) ** 2)
    return {"import_price": price, "export_price": price - 0.01, "network_charge": 0.05, **no_agreement()}


def no_agreement() -> dict[str, object]:
    return {"import_limit": BEYOND, "export_limit": BEYOND, "planned": 0.0, "deviation_price": 0.0}


@pytest.fixture(scope="session", params=["wide", "thin cables", "narrow voltage"])
def variant(request, system):
    """The tiny case with a sound, an overloaded and a voltage-limited low-voltage network under north 1."""
    if request.param == "thin cables":
        return changed(system, "branches", "rating_kva", {"north 1 line 2": 12.0, "north 1 line 4": 6.0})
    if request.param == "narrow voltage":
        return changed(system, "buses", "v_min_pu", {"north 1 bus 3": 0.985, "north 1 bus 4": 0.985})
    return system
