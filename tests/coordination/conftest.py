"""Days shared by the tests of published signals."""

from __future__ import annotations

import pytest

from multiscale.coordination.common.prepared import prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community
from tests.variants import changed, charged


@pytest.fixture(scope="session")
def north_alone(system, winter, economics, fleets):
    """The northern system on a winter's day, fed through a transformer of a given rating [kVA]; the evening's load is a little above 2050."""

    def day(rating):
        tight = changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north HV/MV transformer": rating})
        mine = {p: fleets[p] for p in ("north 1", "north 2")}
        return prepare_days(tight, winter, economics, mine, charged(["north"], 0.05), Community(), SerialEngine())[0]

    return day
