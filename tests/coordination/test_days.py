"""Days operated one after the other: what is operated at once changes nothing, and nothing is kept."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest

from multiscale.coordination.days import operated_days, uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings
from multiscale.coordination.publication.pricing import Pricing, PricingSettings
from multiscale.markets import Community, TimeOfUse
from multiscale.operation import Transmission
from multiscale.timeline import Horizon
from tests.coordination.conftest import fleets_of
from tests.operated import coordinate_days
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
LEARNING = Predictive(PredictiveSettings(history_days=2))


@pytest.mark.parametrize(
    ("by_itself", "together"),
    [pytest.param(Pricing(PROFILE), Pricing(PROFILE), marks=pytest.mark.slow), (Pricing(PROFILE), TogetherOnEachDay(PROFILE)), (LEARNING, LEARNING)],
)
def test_how_the_work_is_shared_changes_no_answer(case, by_itself, together):
    given = *case, charged(["north"], 0.05), Community()
    alone = coordinate_days(*given, SerialEngine(), mechanism=by_itself, fleets_on=fleets_of)
    shared = coordinate_days(*given, TwoAtOnce(), mechanism=together, fleets_on=fleets_of)
    assert [day.tree.horizon.title for day in shared] == ["2016-01-20", "2016-06-15", "2016-09-15"]
    for mine, theirs in zip(alone, shared, strict=True):
        assert mine.outcomes.keys() == theirs.outcomes.keys()
        for name, outcome in mine.outcomes.items():
            assert outcome.cost == theirs.outcomes[name].cost
            for platform, x in outcome.platform_x.items():
                np.testing.assert_array_equal(x, theirs.outcomes[name].platform_x[platform])


def test_what_travels_to_a_worker_is_of_its_days_alone_and_the_answer_is_the_same(case):
    system, days, economics, _ = case
    known = Transmission(system, days, economics)
    assert known.idle.cost.sum() > 0.0
    given, travelled = (*case, charged(["north"], 0.05), Community()), []

    class Watched(TwoAtOnce):
        def map(self, function, tasks, homes=None, patience=None):
            travelled.extend(tasks.values())
            return super().map(function, tasks, homes, patience)

    shared = coordinate_days(*given, Watched(), mechanism=LEARNING, fleets_on=fleets_of, known=known, references=False)
    alone = coordinate_days(*given, SerialEngine(), mechanism=LEARNING, fleets_on=fleets_of, known=known, references=False)
    assert [d.outcomes["predictive"].cost for d in shared] == [d.outcomes["predictive"].cost for d in alone]
    assert [len(share) for _, share, _, _ in travelled] == [2, 1]
    for here, share, networks, rules in travelled:
        held = pd.DatetimeIndex(here.profiles.time.values).normalize().unique()
        wanted = [date for day, _ in share for date in pd.date_range(end=day.days[0], periods=3)]
        assert list(held) == sorted(set(wanted))
        assert rules.known is None
        for (day, _), network in zip(share, networks, strict=True):
            assert network.system is here
            np.testing.assert_array_equal(
                network.idle.cost, known.idle.at(np.flatnonzero(known.horizon.labels == day.labels[0])[0] + np.arange(6)).cost
            )


def test_without_references_the_mechanism_operates_the_same(case):
    full = coordinate_days(*case, charged(["north"], 0.05), Community(), SerialEngine())
    bare = coordinate_days(*case, charged(["north"], 0.05), Community(), SerialEngine(), references=False)
    for mine, theirs in zip(full, bare, strict=True):
        assert list(theirs.outcomes) == ["pricing"]
        assert theirs.outcomes["pricing"].cost == mine.outcomes["pricing"].cost
        assert theirs.outcomes["pricing"].bound == -np.inf


def test_a_day_that_was_operated_is_gone(case):
    days = operated_days(*case, charged(["north"], 0.05), Community(), SerialEngine(), keep=lambda day: weakref.ref(day.tree))
    first = next(days)
    gc.collect()
    assert first() is None


def test_programs_of_an_earlier_call_give_the_same_operation(case):
    price = {"north": np.full(case[1].periods, 0.06)}

    def operated(cost, **more):
        return uncoordinated_days(*case, {"north": cost}, SerialEngine(), price, TimeOfUse(), **more)

    anew, again = operated(3.3e5), operated(3.3e5, alike=operated(3e5))
    assert anew.design.prices == again.design.prices
    assert [o.cost for o in anew.outcomes] == pytest.approx([o.cost for o in again.outcomes], rel=1e-9)
