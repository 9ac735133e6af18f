"""Days shared by the tests of published signals."""

from __future__ import annotations

import pandas as pd
import pytest

from multiscale.coordination.common.prepared import prepare_days
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.markets import Community
from multiscale.timeline import Horizon
from tests.variants import changed, charged


@pytest.fixture(scope="module")
def two_workers():
    """Two processes on this machine; starting them takes seconds. One that is killed is replaced.

    While they are there the environment has what protects them (``PYTHONSAFEPATH``): it is not left to the tests of other files.
    """
    with DaskEngine(2) as engine:
        yield engine


@pytest.fixture(scope="session")
def north_alone(system, winter, economics, fleets):
    """The northern system on a winter's day, fed through a transformer of a given rating [kVA]; the evening's load is a little above 2050."""

    def day(rating, history=0, days=1):
        tight = changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north HV/MV transformer": rating})
        mine = {p: fleets[p] for p in ("north 1", "north 2")}
        span = Horizon(tuple(winter.days[0] + pd.Timedelta(days=k) for k in range(days)), winter.weights * days, 2.0, consecutive=days > 1)
        given = span, economics, mine if days == 1 else fleets_of(tight, span), charged(["north"], 0.05), Community(), SerialEngine()
        return prepare_days(tight, *given, history=history, fleets_on=fleets_of)[0]

    return day


def fleets_of(system, horizon):
    return {p: system.fleet(p, horizon) for p in system.at_level("platform")}
