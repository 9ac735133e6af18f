"""The charge that recovers a cost without trading, and what prosumers answer to it."""

from dataclasses import replace

import numpy as np
import pytest

from multiscale.assessment.accounts import STAKEHOLDERS, Ledger, settle_day
from multiscale.coordination.common.answer import own_measures
from multiscale.coordination.common.prepared import respond
from multiscale.coordination.days import uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.publication.flat import retail_signals
from multiscale.markets import TimeOfUse
from multiscale.operation import Design, operating_tree
from multiscale.tariffs import Tariff
from multiscale.tariffs.fixed import Fixed
from multiscale.tariffs.policies.flexibility import Flexibility


def test_a_revenue_that_is_not_a_number_is_not_taken_for_recovered(system, winter, economics, fleets, monkeypatch):
    """That of the second of two operators, where the first recovers its cost at once."""
    cost = {"north": 3e5, "east": 1e5}
    monkeypatch.setattr("multiscale.coordination.days._reference_determinant", lambda *_: 1e6)
    monkeypatch.setattr("multiscale.coordination.days._determinant", lambda _, __, dso, ___: 1e6 if dso == "north" else np.nan)
    price = {d: np.full(winter.periods, 0.06) for d in system.at_level("dso")}
    with pytest.raises(ValueError, match=r"charge of east: 0.1 times a determinant of nan is no revenue; .*cost to recover \(100000 EUR/a\)"):
        uncoordinated_days(system, winter, economics, fleets, cost | {"south": 2e5}, SerialEngine(), price, TimeOfUse())


def test_the_charge_pays_for_what_operators_buy_and_less_where_they_earn_otherwise(system, winter, economics, fleets):
    """Without a plan, all components of an operator together earn the cost of its network: a standing charge lowers the charge."""
    cost = dict.fromkeys(system.at_level("dso"), 3e5)
    price = {d: np.full(winter.periods, 0.06) for d in cost}
    found = {}
    for name, more in {
        "alone": {},
        "standing": {"standing": Fixed(price=0.2)},
        "flexibility": {"flexibility": Flexibility(price=0.3, begins=0.0, ends=6.0)},
    }.items():
        terms = replace(economics, tariff=Tariff({**economics.tariff.components, **more}))
        days = uncoordinated_days(system, winter, terms, fleets, cost, SerialEngine(), price, TimeOfUse())
        ledger = Ledger()
        for tree, outcome in zip(days.trees, days.outcomes, strict=True):
            ledger.add(settle_day(tree, outcome))
        place = STAKEHOLDERS.index("distribution operators")
        received = sum(float(ledger.money[account][place]) for account in ("network charge", *more) if account in ledger.money)
        assert received == pytest.approx(sum(cost.values()), rel=1e-3)
        assert ledger.residual <= 1e-9
        found[name] = float(days.design.prices["north"]["network_charge"]), [float(ledger.money[account][place]) for account in more]
    assert found["standing"][0] < found["alone"][0]
    (paid,) = found["flexibility"][1]
    assert (found["flexibility"][0] > found["alone"][0]) == (paid < 0)
    assert abs(paid) > 1.0


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
