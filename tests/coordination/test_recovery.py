"""The charge that recovers a cost without trading, and what prosumers answer to it."""

import numpy as np
import pytest

from multiscale.coordination.common.answer import own_measures
from multiscale.coordination.common.prepared import respond
from multiscale.coordination.days import uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.publication.flat import retail_signals
from multiscale.markets import TimeOfUse
from multiscale.operation import Design, operating_tree


def test_a_revenue_that_is_not_a_number_is_not_taken_for_recovered(system, winter, economics, fleets, monkeypatch):
    """That of the second of two operators, where the first recovers its cost at once."""
    cost = {"north": 3e5, "east": 1e5}
    monkeypatch.setattr("multiscale.coordination.days._reference_determinant", lambda *_: 1e6)
    monkeypatch.setattr("multiscale.coordination.days._determinant", lambda _, __, dso, ___: 1e6 if dso == "north" else np.nan)
    price = {d: np.full(winter.periods, 0.06) for d in system.at_level("dso")}
    with pytest.raises(ValueError, match=r"charge of east: 0.1 times a determinant of nan is no revenue; .*cost to recover \(100000 EUR/a\)"):
        uncoordinated_days(system, winter, economics, fleets, cost | {"south": 2e5}, SerialEngine(), price, TimeOfUse())


def test_a_day_that_starts_where_the_one_before_it_ended_costs_what_it_costs_alone(system, winter, summer, economics):
    """The days differ in demand, sun and vehicles that are there."""
    days = winter, summer
    trees = [
        operating_tree(system, day, economics, {p: system.fleet(p, day) for p in system.at_level("platform")}, Design(), TimeOfUse(), networks=False)
        for day in days
    ]
    price = {d: np.linspace(0.05, 0.09, days[0].periods) for d in system.at_level("dso")}
    signals = [{"retail": retail_signals(tree, price)} for tree in trees]
    chained = respond(trees, signals, SerialEngine())
    alone = respond(trees, signals, SerialEngine(), [{}, {}])
    for tree, published, one, other in zip(trees, signals, chained, alone, strict=True):
        for platform, program in tree.platforms.items():
            p = program.parameters.vector(published["retail"][platform].seen(*own_measures(tree.fleets[platform])).parameters())
            costs = [program.objective(found["retail"][platform].x, p) for found in (one, other)]
            assert costs[0] == pytest.approx(costs[1], rel=1e-9, abs=1e-6)
