import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.answer import own_cost
from multiscale.coordination.common.prepared import operate_signals, prepare_days
from multiscale.coordination.common.settlement import Upstream, impact_charges, marginal_charges
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.prediction.response import PRICE_MODELS, OwnView
from multiscale.coordination.publication.flat import flat_signals
from multiscale.coordination.publication.pricing import published_signals
from multiscale.markets import Community
from tests.variants import changed, charged


@pytest.fixture(scope="module")
def day(system, winter, economics, fleets):
    """North with a feeder so large that it moves prices, and a transformer that is too small for north 1."""
    narrow = changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north 1 MV/LV transformer": 40.0})
    mine = {p: fleets[p] for p in ("north 1", "north 2")}
    return prepare_days(narrow, winter, economics, mine, charged(["north"], 0.05), Community(), SerialEngine())[0]


def private_cost(day, outcome, platform):
    """Own cost of a platform and its charge [EUR/a]."""
    own = own_cost(day.tree.platforms[platform], {"network_charge": 0.05}, outcome.platform_x[platform])
    return own + impact_charges(day.tree, outcome)[platform]


@pytest.mark.parametrize("platform", ["north 1", "north 2"])
def test_who_ignores_its_impact_is_worse_off(day, platform):
    considerate = published_signals(day.tree, day.forecast, "profile", deviation_price=0.001)
    ignoring = considerate | {platform: flat_signals(day.tree, day.forecast)[platform]}
    found = operate_signals([day], [{"considerate": considerate, "ignoring": ignoring}], SerialEngine())[0]
    costs = {name: private_cost(day, outcome, platform) for name, outcome in found.items()}
    assert costs["considerate"] < costs["ignoring"]
    # What it loses is what all lose: its interest is that of all.
    assert costs["ignoring"] - costs["considerate"] == pytest.approx(found["ignoring"].cost - found["considerate"].cost, rel=1e-6)


def test_at_the_optimum_no_other_schedule_gains(day):
    best = {p: private_cost(day, day.optimum, p) for p in day.tree.platforms}
    for scale in (-0.3, 0.2, 1.0):
        shifted = {
            p: dataclasses.replace(s, import_price=s.import_price * (1 + scale), export_price=s.export_price * (1 + scale))
            for p, s in published_signals(day.tree, day.forecast, "price").items()
        }
        answers = operate_signals([day], [{"other": shifted}], SerialEngine())[0]["other"]
        for p in day.tree.platforms:
            alone = {q: (answers if q == p else day.optimum).exchange[q] for q in day.tree.platforms}
            total, _ = Upstream(day.tree).cost(alone)
            without, _ = Upstream(day.tree).cost(alone | {p: np.zeros(day.tree.horizon.periods)})
            assert own_cost(day.tree.platforms[p], {"network_charge": 0.05}, answers.platform_x[p]) + total - without >= best[p] - 1e-6 * abs(best[p])


def test_the_cost_above_is_what_the_outcome_counts(day):
    total, _ = Upstream(day.tree).cost({p: day.optimum.exchange[p] for p in day.tree.platforms})
    own = sum(own_cost(program, {"network_charge": 0.05}, day.optimum.platform_x[p]) for p, program in day.tree.platforms.items())
    assert total + own == pytest.approx(day.optimum.cost, rel=1e-6)


def test_marginal_prices_are_the_slope_of_the_cost_above(day):
    drawn = {p: 0.9 * day.optimum.exchange[p] for p in day.tree.platforms}
    upstream = Upstream(day.tree)
    _, price = upstream.cost(drawn)
    for t in (2, 9):
        moved = []
        for step in (-1e-3, 1e-3):
            other = {p: y.copy() for p, y in drawn.items()}
            other["north 1"][t] += step
            moved.append(upstream.cost(other)[0])
        assert (moved[1] - moved[0]) / 2e-3 / day.tree.horizon.hours_per_year[t] == pytest.approx(price["north 1"][t], rel=1e-3)
    charges = marginal_charges(day.tree, day.optimum)
    assert set(charges) == set(day.tree.platforms)


@pytest.mark.parametrize("kind", [kind for kind in PRICE_MODELS if kind != "persistence"])
def test_a_price_that_follows_the_own_load_is_learned(kind):
    draw = np.random.default_rng(0)
    hour = np.arange(12) * 2.0
    usual = 50.0 + 30.0 * np.sin(2 * np.pi * hour / 24.0)
    model = PRICE_MODELS[kind](0.10, 12)

    def a_day():
        load = usual * (1.0 + 0.15 * draw.standard_normal())
        return OwnView(load, np.zeros(12)), 0.10 + 0.03 * np.cos(2 * np.pi * hour / 24.0) + 0.0005 * (load - usual)

    first = a_day()
    before = np.abs(model.predict(first[0]) - first[1]).mean()
    for _ in range(25):
        view, price = a_day()
        model.learn(view, price + 0.002 * draw.standard_normal(12))
    errors = [np.abs(model.predict(view) - price).mean() for view, price in (a_day() for _ in range(5))]
    assert np.mean(errors) < 0.25 * before
    assert model.slope() > 0
