"""Days operated one after the other: what is operated at once changes nothing, and nothing is kept."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest

from multiscale.coordination.days import operated_days, uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community, TimeOfUse
from multiscale.timeline import Horizon
from tests.variants import changed, charged

PLATFORMS = ("north 1", "north 2")


class TwoAtOnce(SerialEngine):
    workers = 2


@pytest.fixture(scope="module")
def case(system, economics):
    days = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15"), pd.Timestamp("2016-09-15")), (100.0, 150.0, 116.0), 4.0)
    here = changed(system.cut(list(PLATFORMS)), "branches", "rating_kva", {"north 1 MV/LV transformer": 36.0})
    return here, days, economics, {p: here.fleet(p, days) for p in PLATFORMS}


def test_how_many_days_are_operated_at_once_changes_no_answer(case):
    one, two = (list(operated_days(*case, charged(["north"], 0.05), Community(), engine)) for engine in (SerialEngine(), TwoAtOnce()))
    assert [day.tree.horizon.title for day in one] == ["2016-01-20", "2016-06-15", "2016-09-15"]
    for mine, theirs in zip(one, two, strict=True):
        for name, outcome in mine.outcomes.items():
            assert outcome.cost == theirs.outcomes[name].cost
            for platform, x in outcome.platform_x.items():
                np.testing.assert_array_equal(x, theirs.outcomes[name].platform_x[platform])


def test_a_day_that_was_dropped_is_gone(case):
    days = operated_days(*case, charged(["north"], 0.05), Community(), SerialEngine())
    first = weakref.ref(next(days).tree)
    gc.collect()
    assert first() is None


def test_programs_of_an_earlier_call_give_the_same_operation(case):
    price = {"north": np.full(case[1].periods, 0.06)}

    def operated(cost, **more):
        return uncoordinated_days(*case, {"north": cost}, SerialEngine(), price, TimeOfUse(), **more)

    _, trees, _ = operated(3e5)
    anew, again = operated(3.3e5), operated(3.3e5, alike=trees)
    assert anew[0].prices == again[0].prices
    assert [o.cost for o in anew[2]] == pytest.approx([o.cost for o in again[2]], rel=1e-9)
