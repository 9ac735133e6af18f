"""The study of Rafina-Pikermi: its data are those published, its market fulfils the identities of trade; the whole year is a benchmark."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from multiscale.devices import Photovoltaics
from studies.rafina_pikermi.__main__ import main
from studies.rafina_pikermi.market_year import market_year
from studies.rafina_pikermi.measures import community_costs, measures
from studies.rafina_pikermi.participants import OFFICE, PLANTS, SUBSTATIONS, hourly_profiles, participants
from studies.rafina_pikermi.published import BENEFIT, CATEGORIES, CONSUMERS, OWNERS, SCENARIOS, TOWN_HALL, TRADED
from studies.rafina_pikermi.returns import returns
from studies.rafina_pikermi.tables import contradictions, orderings


@pytest.fixture(scope="module")
def profiles():
    """Three weeks: noisy consumption, sun from 6 to 18 h."""
    random, hour = np.random.default_rng(4), np.arange(24 * 21)
    sun = np.maximum(np.sin((hour % 24 - 6) / 12 * np.pi), 0.0)
    values = {name: random.uniform(0.5, 1.5, len(hour)) for name in (*SUBSTATIONS, OFFICE)}
    values |= {name: sun * random.uniform(0.3, 1.0, len(hour)) for name in PLANTS}
    frame = pd.DataFrame(values, index=pd.date_range("2016-03-01", periods=len(hour), freq="1h"))
    return frame / frame.mean()


def test_table_1_is_kept(profiles):
    assert sum(c.members for c in CATEGORIES) == 60
    assert sum(c.owners for c in CATEGORIES) == 50
    assert sum(c.installed for c in CATEGORIES) == 96
    everyone = participants(SCENARIOS["S1"], profiles)
    assert sum(p.load.sum() for p in everyone) == pytest.approx(390_310)
    owners = [p for p in everyone if p.kind == OWNERS]
    assert sum(p.generation.sum() for p in owners) == pytest.approx(0.8 * sum(p.load.sum() for p in owners))
    hall = next(p for p in everyone if p.kind == TOWN_HALL)
    assert hall.generation.sum() == pytest.approx(0.75 * 193_710)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_have_the_members_and_flexibility_of_table_2(profiles, name):
    scenario = SCENARIOS[name]
    members = [p for p in participants(scenario, profiles) if p.kind != TOWN_HALL]
    assert sum(p.members for p in members) == 60
    assert sum(p.members for p in members if p.flexibility > 0) == scenario.flexible
    average = sum(p.members * p.flexibility for p in members) / scenario.flexible
    assert average == pytest.approx(scenario.flexibility, abs=0.012 if scenario.spread else 1e-12)


@pytest.mark.parametrize("name", ["S1", "S8"])
def test_consumption_is_kept_and_payments_inside_cancel_out(profiles, name):
    everyone = participants(SCENARIOS[name], profiles)
    year = market_year(everyone, trade_cost=0.094)
    load = np.array([p.load for p in everyone])
    share = np.array([p.flexibility for p in everyone])[:, None]
    assert (np.abs(year.load - load) <= share * load + 1e-6).all()
    np.testing.assert_allclose(year.load.reshape(len(load), -1, 24).sum(axis=2), load.reshape(len(load), -1, 24).sum(axis=2), rtol=1e-7)
    assert year.gap < 1e-9
    paid, joint = community_costs(year)
    assert paid == pytest.approx(joint, rel=1e-12)
    found = measures(everyone, year)
    assert sum(m.within for m in found.values()) == pytest.approx(paid, rel=1e-12)
    assert found[CONSUMERS].benefit == pytest.approx(found[CONSUMERS].traded * 0.025 / 0.119, rel=1e-9)
    assert all(m.benefit > 0 for m in found.values())


def test_further_days_in_view_change_no_cost(profiles):
    everyone = participants(SCENARIOS["S4"], profiles)
    one, two = (market_year(everyone, trade_cost=0.094, days_in_view=days) for days in (1, 2))

    def cost(year):
        net = (year.load - year.generation).sum(axis=0)
        trade = (year.bought + year.sold).sum()
        return (2 * 0.119 - 0.094) * np.maximum(net, 0).sum() + (0.069 - 0.094) * np.maximum(-net, 0).sum() + 0.094 * trade

    assert cost(two) == pytest.approx(cost(one), rel=1e-9)


def test_flexibility_lowers_the_cost(profiles):
    still = participants(SCENARIOS["S1"], profiles)
    costs = [community_costs(market_year(participants(SCENARIOS[s], profiles), trade_cost=0.094))[0] for s in ("S2", "S3")]
    fixed = [type(p)(p.kind, p.members, 0.0, p.load, p.generation, p.installed) for p in still]
    assert costs[1] < costs[0] < community_costs(market_year(fixed, trade_cost=0.094))[0]


def test_the_published_tables_contradict_each_other():
    ratios = [b / (s * 0.025 / 0.119) for b, s in zip(BENEFIT[CONSUMERS], TRADED[CONSUMERS], strict=True)]
    assert min(ratios) > 1.16
    assert any("16 to 21 %" in line for line in contradictions({}))


def test_returns_of_photovoltaics(profiles):
    everyone = participants(SCENARIOS["S4"], profiles)
    found = returns(everyone, market_year(everyone, trade_cost=0.094), Photovoltaics(investment=1000.0))
    for scheme in ("feed-in", "self-consumption"):
        assert found[scheme, True].value > found[scheme, False].value
        assert found[scheme, True].payback < found[scheme, False].payback
    # 96 kW, 0.8 of the owners' 162,680 kWh, all of it below consumption.
    assert found["feed-in", False].value == pytest.approx(0.8 * 162_680 * 0.06573)
    for one in found.values():
        net = one.value - 28.0 * 96
        assert one.payback == pytest.approx(96_000 / net)
        assert sum(net / (1 + one.rate) ** k for k in range(1, 26)) == pytest.approx(96_000)


def test_bad_input_is_refused(profiles, capsys):
    for arguments, words in (
        (["--trade-cost", "nan"], "between 0 and 0.2"),
        (["--days-in-view", "0"], "give 1 to 14 days"),
        (["--pv-cost", "-1"], "above 0"),
        (["--scenarios", "S9"], "S9"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert words in capsys.readouterr().err
    broken = profiles.copy()
    broken.iloc[5, 0] = np.nan
    with pytest.raises(ValueError, match="must be numbers"):
        market_year(participants(SCENARIOS["S1"], broken), trade_cost=0.094)


@pytest.mark.benchmark
def test_a_year_of_all_scenarios():
    """``pytest tests/test_rafina_pikermi.py -m benchmark -s``: 300 CPU seconds at most, and every published ordering."""
    began, profiles, results = time.process_time(), hourly_profiles(), {}
    for name, scenario in SCENARIOS.items():
        everyone = participants(scenario, profiles)
        results[name] = measures(everyone, market_year(everyone, trade_cost=0.094, days_in_view=2))
    seconds = time.process_time() - began
    print(f"\n{seconds:.0f} CPU s")
    assert seconds <= 300
    assert all(here and there for _, here, there in orderings(results))
