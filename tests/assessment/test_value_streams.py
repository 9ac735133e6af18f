"""Value streams add up to the difference of the social costs, and each is what it is about."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from multiscale.assessment import Ledger
from multiscale.assessment.value_streams import ADOPTION, IN_SUM, PARTS, STREAMS, cost_parts, curtailed_energy, stream_values
from multiscale.results.data.answer_data import Incomes, YearAnswer
from multiscale.results.data.appraisal import appraisal_dataset, stranded
from multiscale.results.data.customers import customers_dataset, customers_summary
from multiscale.results.data.value_streams import prices_of, value_streams_dataset, value_streams_summary
from multiscale.results.scenarios import SCENARIOS, added, adds_purchases_only, chosen_scenarios, path_from
from tests.assessment.operated_studies import OperatedStudy, operated_study

NAMES = [stream.name for stream in STREAMS]
EVERY = [spec.name for spec in SCENARIOS]


def operation(curtailed: dict[str, list[float]], reserves: dict[str, float] | None = None):
    hours = np.array([100.0, 200.0])
    day = SimpleNamespace(
        horizon=SimpleNamespace(hours_per_year=hours),
        curtailed={"north": {node: np.array(power) for node, power in curtailed.items()}},
        reserve_cost={"production": 0.0, "unserved demand": 0.0, "wear and discomfort": 0.0} | (reserves or {}),
    )
    return SimpleNamespace(days=(day,))


def ledger(**costs: float) -> Ledger:
    booked = Ledger()
    booked.bear("wholesale market", "production", costs.get("production", 0.0))
    booked.bear("prosumers", "wear and discomfort", costs.get("wear", 0.0))
    booked.bear("passive customers", "unserved demand", costs.get("unserved", 0.0))
    booked.bear("network builders", "construction", costs.get("networks", 0.0))
    if "equipment" in costs:
        booked.pay("prosumers", "equipment suppliers", "equipment", costs["equipment"])
        booked.bear("equipment suppliers", "construction", costs["equipment"])
    return booked


PRICES = {"north": np.array([0.10, 0.05])}


def test_curtailed_energy_is_worth_its_price_and_its_cost_and_is_taken_off_production_and_wear():
    """2 kW over 100 h at 10 ct and 1 kW over 200 h at 5 ct: 400 kWh, 30 EUR."""
    where = operation({"north": [2.0, 0.0], "north 1": [0.0, 1.0]})
    booked = ledger(production=1000.0, wear=50.0, unserved=7.0, networks=300.0, equipment=20.0)
    parts = cost_parts(booked, where, PRICES, 0.001, {})
    assert curtailed_energy(where, PRICES, {}) == pytest.approx((400.0, 30.0))
    assert parts["curtailment"] == pytest.approx(30.4)
    assert parts["production"] == pytest.approx(970.0)
    assert parts["wear and discomfort"] == pytest.approx(49.6)
    assert (parts["networks"], parts["equipment"], parts["unserved demand"]) == pytest.approx((300.0, 20.0, 7.0))
    assert sum(parts.values()) == pytest.approx(booked.social_cost, rel=1e-12)
    assert set(parts) == set(PARTS)


def test_what_an_excluded_platform_curtails_is_not_known_and_reserves_are_a_part_of_their_own():
    where = operation({"north": [2.0, 0.0], "north 1": [0.0, 1.0]}, {"unserved demand": 3.0, "production": 5.0})
    booked = ledger(production=1000.0, unserved=7.0)
    parts = cost_parts(booked, where, PRICES, 0.0, {0: frozenset({"north 1"})})
    assert parts["curtailment"] == pytest.approx(20.0)
    assert (parts["reserves"], parts["unserved demand"]) == pytest.approx((8.0, 4.0))
    assert sum(parts.values()) == pytest.approx(booked.social_cost, rel=1e-12)


def test_every_part_of_every_step_stands_in_one_stream():
    rng = np.random.default_rng(3)
    parts = [dict(zip(PARTS, rng.normal(0, 1e6, len(PARTS)).tolist(), strict=True)) for _ in range(4)]
    total = [sum(one.values()) for one in parts]
    for step in (None, 2):
        values = stream_values(parts, step)
        inside = values[np.array(IN_SUM)]
        np.testing.assert_allclose(np.nansum(inside, axis=0), -np.diff(total), rtol=1e-9)
        assert np.isnan(values[~np.array(IN_SUM)]).all()
        adoption = values[NAMES.index(ADOPTION)]
        if step is None:
            assert np.isnan(adoption).all()
        else:
            assert np.count_nonzero(inside[:, step]) == 1
            assert adoption.tolist() == pytest.approx([0.0, 0.0, total[2] - total[3]])


def test_a_path_takes_nothing_away_from_the_baseline():
    assert path_from("existing", EVERY) == ("existing", "conventional", "response", "trading", "plan")
    assert path_from("conventional", EVERY) == ("conventional", "response", "trading", "plan")
    assert path_from("conventional_response", EVERY) == ("conventional_response", "response", "trading", "plan")
    assert path_from("conventional_trading", EVERY) == ("conventional_trading", "trading", "plan")
    assert path_from("trading", EVERY) == ("trading", "plan")
    assert path_from("conventional", ["existing", "conventional", "plan"]) == ("conventional", "plan")
    assert adds_purchases_only("trading", "plan")
    assert not adds_purchases_only("response", "plan")
    assert not adds_purchases_only("response", "trading")


def test_a_step_is_called_what_it_adds():
    everything = {"planned": True, "purchases": True}
    assert added("conventional", "response", **everything) == "plan of the study, with demand response"
    assert added("response", "trading", **everything) == "trading"
    assert added("trading", "plan", **everything) == "purchases in answer to the charge"
    assert added("conventional", "plan", **everything) == "plan of the study, with demand response, trading, purchases in answer to the charge"
    # Where nothing is bought the last step is trading, and where nothing is planned no step is a plan.
    assert added("response", "plan", planned=True, purchases=False) == "trading"
    assert added("conventional", "response", planned=False, purchases=False) == "existing network, with demand response"
    assert added("existing", "response", planned=False, purchases=False) == "demand response"
    without = [spec.name for spec in chosen_scenarios(EVERY, "conventional", planned=True, purchases=False)]
    assert "trading" not in without
    # A baseline is operated whatever stands for it.
    assert "trading" in [spec.name for spec in chosen_scenarios(EVERY, "trading", planned=True, purchases=False)]


@pytest.fixture(scope="module")
def sunny() -> OperatedStudy:
    """Much generation behind little room for it, nothing planned."""
    much = ["system.growth.pv_share=1.0", "system.growth.pv_kw=10", "system.limits.lv_feed_in=0.02", "system.limits.mv_feed_in=0.02"]
    return operated_study("planning=none", "horizon=two_days", *much)


def answer_of(study: OperatedStudy, **more) -> YearAnswer:
    prices = prices_of(study.existing)
    return YearAnswer(study.case, prices, study.plans, {"existing": study.existing, "plan": study.plan}, "existing", "plan", {}, **more)


def test_a_rating_that_an_outage_calls_for_is_not_stranded(sunny: OperatedStudy):
    """Loaded to 0.1 % the reinforced branch needs nothing by the rule, and all of it where a repair has found that an outage would overload it."""
    options = sunny.case.system.options
    k = int(np.flatnonzero(options.added_rating_kva.values > 0)[0])
    branch = str(options.branch.values[k])
    loading = xr.DataArray([[0.1, 0.1]], dims=("branch", "period"), coords={"branch": [branch]})
    checked = {"north": SimpleNamespace(result=SimpleNamespace(loading=loading))}
    scenario = SimpleNamespace(design=SimpleNamespace(built={str(options.option.values[k]): True}), verification=checked)
    assert stranded(answer_of(sunny), scenario) == 1.0
    for factor in ("load_factor", "rating_factor"):
        tight = sunny.case.limits.model_copy(update={factor: {branch: 1e-3}})
        assert stranded(replace(answer_of(sunny), case=replace(sunny.case, limits=tight)), scenario) == 0.0


def test_streams_of_an_operated_study_add_up_and_know_what_is_curtailed(sunny: OperatedStudy):
    data = value_streams_dataset(answer_of(sunny))
    inside = data.value.where(data.value_in_social_cost > 0)
    saved = sunny.existing.ledger.social_cost - sunny.plan.ledger.social_cost
    assert float(inside.sum()) == pytest.approx(saved, abs=1e-9 * sunny.existing.ledger.social_cost)
    before, after = data.value_quantity.sel(value_stream="renewable curtailment").values
    assert min(before, after) > 1000.0
    assert float(data.value_in_all.sel(value_stream="renewable curtailment")) != 0.0
    for scenario, energy in ((sunny.existing, before), (sunny.plan, after)):
        # Energy accounts have what members do not use and what is refused at their connection; passive customers bear the rest.
        members = sum(float(terms[5]) for day in scenario.operation.days for terms in day.energy.values())
        passive = float(scenario.ledger.real[2, 1]) / sunny.case.system.curtailment_cost
        assert energy == pytest.approx(members + passive, rel=1e-9)


def test_what_a_run_cannot_evaluate_has_a_reason_and_no_value(sunny: OperatedStudy):
    data = value_streams_dataset(answer_of(sunny))
    # No power flow, no kept trades, no incomes, nothing to buy here; and capacities of generation are given everywhere.
    unknown = {"losses", "local economies", "energy poverty", "adoption of devices", "generation and transmission upgrades"}
    for name in NAMES:
        one = data.sel(value_stream=name)
        assert bool(str(one.value_missing.item())) == np.isnan(float(one.value_in_all)) == (name in unknown), name
    # Trades of the baseline are not kept, so what they would be compared with is not known.
    traded = replace(answer_of(sunny), scenarios={"trading": sunny.existing, "plan": sunny.plan}, baseline="trading")
    local = value_streams_dataset(traded).sel(value_stream="local economies")
    assert np.isnan(float(local.value_in_all))
    assert "baseline" in str(local.value_missing.item())
    assert set(value_streams_summary(answer_of(sunny))) == {f"assess.value.{name.replace(' ', '_')}" for name in set(NAMES) - unknown}


def test_payments_of_customer_groups_are_those_of_the_ledger(sunny: OperatedStudy):
    data, answer = customers_dataset(answer_of(sunny)), answer_of(sunny)
    for name, scenario in answer.scenarios.items():
        received = sum(scenario.ledger.money.values())
        paid = data.group_payment.sel(scenario=name).values
        assert paid[:2].sum() == pytest.approx(-received[0], rel=1e-9)
        assert paid[2] == pytest.approx(-received[2], rel=1e-9)
    for part, whole in (("household", "all prosumers"),):
        low, high = (data.bill_quantile.sel(scenario="plan", customer_kind=kind) for kind in (part, whole))
        assert (np.diff(low.values) >= 0).all()
        assert (np.diff(high.values) >= 0).all()


def test_energy_burden_is_the_bill_as_a_share_of_the_income(sunny: OperatedStudy):
    members = sunny.case.system.prosumers.prosumer.values.tolist()
    known = members[:4]
    incomes = Incomes(dict(zip(known, [1e3, 1e9, 1e3, 1e9], strict=True)), groups=2, limit=0.1)
    answer = answer_of(sunny, incomes=incomes)
    data, value = customers_dataset(answer), value_streams_dataset(answer).sel(value_stream="energy poverty")
    bill = sum(day.bills["north 1"] for day in sunny.existing.operation.days).sum(axis=1)
    first = sunny.case.fleets["north 1"].data.prosumer.values.tolist().index(known[0])
    assert float(data.energy_burden.sel(scenario="existing", prosumer=known[0])) == pytest.approx(100 * bill[first] / 1e3)
    assert np.isnan(data.energy_burden.sel(prosumer=members[4]).values).all()
    assert data.income_group.values[:5].tolist() == [0, 1, 0, 1, -1]
    assert str(value.value_missing.item()) == ""
    high = int(value.value_quantity.sel(compared="before"))
    assert high == int((data.energy_burden.sel(scenario="existing") > 10.0).sum())
    summary = customers_summary(answer)
    assert summary["assess.high_burden_baseline"] == (high / 4, "1")


def test_an_appraisal_without_assets_is_the_saving_times_the_annuity_factor(sunny: OperatedStudy):
    data = appraisal_dataset(answer_of(sunny))
    saved = sunny.existing.ledger.social_cost - sunny.plan.ledger.social_cost
    factor = (1 - 1.05**-20) / 0.05
    assert float(data.net_present_value.sel(scenario="plan", appraisal_years=20)) == pytest.approx(saved * factor, rel=1e-9)
    assert not data.net_present_value.sel(scenario="existing").values.any()
    assert np.isnan(data.stranded_share.values).all()
