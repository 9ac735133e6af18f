"""Days operated one after the other: what is operated at once changes nothing, and nothing is kept."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pandas as pd
import pytest

from multiscale.coordination.days import _Rules, _task, operated_days, uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.publication.pricing import Pricing, PricingSettings
from multiscale.markets import Community, TimeOfUse
from multiscale.operation import Transmission
from multiscale.system import LoadingLimits
from multiscale.timeline import Horizon
from tests.operated import coordinate_days, whole
from tests.variants import changed, charged

PLATFORMS = ("north 1", "north 2")


class TwoAtOnce(SerialEngine):
    workers = 2


class TogetherOnEachDay(Pricing):
    day_by_worker = False


@pytest.fixture(scope="module")
def case(system, economics):
    days = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15"), pd.Timestamp("2016-09-15")), (100.0, 150.0, 116.0), 4.0)
    here = changed(system.cut(list(PLATFORMS)), "branches", "rating_kva", {"north 1 MV/LV transformer": 36.0})
    return here, days, economics, {p: here.fleet(p, days) for p in PLATFORMS}


PROFILE = PricingSettings(signal="profile")


@pytest.mark.parametrize(("mechanism", "engine"), [(Pricing(PROFILE), TwoAtOnce()), (TogetherOnEachDay(PROFILE), TwoAtOnce())])
def test_how_the_work_is_shared_changes_no_answer(case, mechanism, engine):
    alone = coordinate_days(*case, charged(["north"], 0.05), Community(), SerialEngine())
    shared = coordinate_days(*case, charged(["north"], 0.05), Community(), engine, mechanism=mechanism)
    assert [day.tree.horizon.title for day in shared] == ["2016-01-20", "2016-06-15", "2016-09-15"]
    for mine, theirs in zip(alone, shared, strict=True):
        assert mine.outcomes.keys() == theirs.outcomes.keys()
        for name, outcome in mine.outcomes.items():
            assert outcome.cost == theirs.outcomes[name].cost
            for platform, x in outcome.platform_x.items():
                np.testing.assert_array_equal(x, theirs.outcomes[name].platform_x[platform])


def test_without_references_the_mechanism_operates_the_same(case):
    full = coordinate_days(*case, charged(["north"], 0.05), Community(), SerialEngine())
    bare = coordinate_days(*case, charged(["north"], 0.05), Community(), SerialEngine(), references=False)
    for mine, theirs in zip(full, bare, strict=True):
        assert list(theirs.outcomes) == ["pricing"]
        assert theirs.outcomes["pricing"].cost == mine.outcomes["pricing"].cost
        assert theirs.outcomes["pricing"].bound == -np.inf


def test_what_travels_to_a_worker_does_not_grow_with_the_other_days(case):
    system, days, economics, fleets = case

    def sent(horizon):
        known = Transmission(system, horizon, economics)
        rules = _Rules(economics, charged(["north"], 0.05), Community(), Pricing(PROFILE), whole, LoadingLimits(), known, True, None)
        day, periods = horizon.episodes(coupled=False)[0]
        return len(pickle.dumps(_task(system, day, {p: f.within(day, periods) for p, f in fleets.items()}, rules)))

    assert sent(days) == pytest.approx(sent(days.day(0)), rel=0.01)
    assert sent(days) < 0.5 * len(pickle.dumps(system))


def test_a_day_that_was_operated_is_gone(case):
    days = operated_days(*case, charged(["north"], 0.05), Community(), SerialEngine(), keep=lambda day: weakref.ref(day.tree))
    first = next(days)
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
