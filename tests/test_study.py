import json

import numpy as np
import pytest

from multiscale.config import load_config
from multiscale.results.data.ledger_rows import balances
from multiscale.results.run.ledger_file import read_ledger, verify_ledger
from multiscale.results.run.provenance import changed_files
from multiscale.results.tables.value_tables import value_table
from multiscale.study import run_study

KEYS = (
    "system.platforms",
    "system.prosumers",
    "system.buses",
    "coordination.cost",
    "coordination.bound",
    "coordination.gap",
    "coordination.rounds",
    "coordination.messages",
    "coordination.bytes",
    "ac.max_line_overload",
    "ac.max_voltage_violation",
    "ledger.energy_residual",
    "ledger.money_residual",
    "time.build",
    "time.plan",
    "time.operate",
    "time.verify",
    "time.assess",
    "memory.peak",
)
PLAN_KEYS = ("plan.objective", "plan.bound", "plan.gap", "plan.certificate.follower_gap")


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Stage times of tests are not remembered for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def study(folder, *overrides):
    small = ["study=tiny", "horizon=one_day", "horizon.step_hours=3 h", "system.dsos=[north]"]
    return run_study(load_config([*small, f"output.folder={folder}", *overrides]))


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    return study(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return study(tmp_path_factory.mktemp("runs"), "planning=none", "coordination=integrated", "verification.year=false", "output.report=false")


def value(result, key):
    return result.summary[key][0]


def test_a_study_ends_with_an_answer_and_a_whole_folder(planned):
    assert planned.status in ("optimal", "feasible")
    for name in ("result.nc", "summary.json", "report.html", "config.yaml", "provenance.json", "status.json", "log.jsonl"):
        assert (planned.folder / name).stat().st_size > 0


def test_the_summary_has_every_key_others_rely_on_with_a_unit(planned):
    written = json.loads((planned.folder / "summary.json").read_text())
    assert set(KEYS + PLAN_KEYS) <= set(written)
    for key, (number, unit) in planned.summary.items():
        assert written[key] == {"value": pytest.approx(number, nan_ok=True) if isinstance(number, float) else number, "unit": unit}, key


def test_invariants_of_the_summary_hold(planned):
    assert value(planned, "ledger.money_residual") <= 1e-9
    assert value(planned, "ledger.energy_residual") <= 1e-6
    assert value(planned, "plan.certificate.follower_gap") <= 1e-6
    assert -1e-9 <= value(planned, "plan.gap") <= 0.01
    assert value(planned, "coordination.bound") <= value(planned, "coordination.cost") + 1e-6 * abs(value(planned, "coordination.cost"))
    assert value(planned, "system.platforms") == 2
    assert value(planned, "system.prosumers") == 10


def test_every_variable_of_the_dataset_has_a_unit_and_a_name(planned):
    for name, variable in planned.dataset.data_vars.items():
        assert variable.attrs.get("long_name"), name
        if variable.dtype.kind == "f":
            assert "units" in variable.attrs, name
            assert not np.isinf(variable.values).any(), name


def test_without_planning_the_reference_is_its_own_bound(reference):
    assert reference.status in ("optimal", "feasible")
    assert set(KEYS) <= set(reference.summary)
    assert value(reference, "coordination.gap") == pytest.approx(0.0, abs=1e-6)
    assert value(reference, "coordination.cost") == pytest.approx(value(reference, "coordination.bound"), rel=1e-6)


def test_the_money_of_a_study_without_plan_balances(reference):
    assert value(reference, "ledger.money_residual") <= 1e-9
    welfare = reference.dataset["welfare"]
    assert np.isfinite(welfare.values).all()
    costs = [value(reference, f"assess.social_cost_{s}") for s in reference.dataset.scenario.values]
    totals = welfare.sum("stakeholder").values.ravel()
    np.testing.assert_allclose(sorted(-totals), sorted(costs), rtol=1e-9)


def test_a_network_with_two_dsos_and_one_customer_per_platform_is_planned_and_verified(tmp_path):
    """The CIGRE medium-voltage network: both its substations are DSOs, every bus with a device is a platform of one prosumer."""
    import pandapower as pp
    import pandapower.networks as pn

    pp.to_json(pn.create_cigre_network_mv(with_der="pv_wind"), str(tmp_path / "cigre.json"))
    own = [f"output.folder={tmp_path}", "engine=serial", "horizon=one_day", "horizon.step_hours=6 h"]
    # Every hour of the year is that of the day: profiles are constant.
    own += ["verification.year=false", "results.operated=[]", "output.report=false"]
    result = run_study(load_config(["system=pandapower", f"system.path={tmp_path / 'cigre.json'}", "system.profiles=constant", *own]))
    assert result.status == "optimal"
    data = result.of_year().dataset
    dsos = data.branch_node.values[data.branch_built.values.astype(bool)]
    assert len(set(dsos.tolist())) == 2
    assert value(result, "ledger.money_residual") < 1e-9
    assert value(result, "ac.violations") <= value(result, "ac.existing.violations")


def test_the_ledger_of_trades_is_whole_and_holds_the_bills(planned):
    """In every scenario, what every member pays in the ledger on all days is its bill in the dataset, without what it pays for equipment."""
    assert verify_ledger(planned.folder) == []
    assert changed_files(planned.folder) == []
    rows = read_ledger(planned.folder)
    assert set(rows.platform) == {"north 1", "north 2"}
    assert set(rows.scenario) == set(planned.dataset.scenario.values.tolist())
    for scenario in planned.dataset.scenario.values.tolist():
        held = balances(rows[rows.scenario == scenario])
        assert (held.groupby("platform").balance.sum().abs() <= 1e-9 * held.groupby("platform").volume.sum()).all()
        parts = planned.dataset.bill_part.sel(scenario=scenario, part_of_bill=["energy", "tariff"]).sum("part_of_bill").squeeze()
        bills = -held[held.party.isin(parts.prosumer.values)].set_index("party").balance.reindex(parts.prosumer.values)
        np.testing.assert_allclose(bills, parts.values, rtol=1e-9, atol=1e-6)
    gains = planned.dataset.market_cost.squeeze()
    assert (gains.sel(market_case="alone") >= gains.sel(market_case="market") - 1e-6 * abs(gains.sel(market_case="alone"))).sum() == 2
    assert "Trade between members of each platform" in (planned.folder / "report.html").read_text(encoding="utf-8")


def test_value_streams_add_up_to_the_saving_and_every_stream_has_a_value_or_a_reason(planned):
    """Rows and columns of the report's table add up; the step of purchases is worth what it adds to the social cost."""
    data = planned.of_year().dataset
    inside = data.value.where(data.value_in_social_cost > 0).sum("value_stream")
    scale = value(planned, "assess.social_cost_conventional")
    assert float(inside.sum()) == pytest.approx(value(planned, "assess.saving"), abs=1e-9 * scale)
    for step in inside.value_step.values:
        before = str(data.value_step_from.sel(value_step=step).item())
        costs = [value(planned, f"assess.social_cost_{name}") for name in (before, step)]
        assert float(inside.sel(value_step=step)) == pytest.approx(costs[0] - costs[1], abs=1e-9 * scale)
    missing = {str(s.item()): str(r.item()) for s, r in zip(data.value_stream, data.value_missing, strict=True)}
    assert [bool(reason) for reason in missing.values()] == np.isnan(data.value_in_all.values).tolist()
    assert set(filter(missing.get, missing)) == {"energy poverty", "generation and transmission upgrades"}
    cost = {name: value(planned, f"assess.social_cost_{name}") for name in data.scenario.values.tolist()}
    assert value(planned, "assess.worth_of.plan") == pytest.approx(cost["conventional_trading"] - cost["trading"])
    assert value(planned, "assess.worth_of.trading") == pytest.approx(float(inside.sel(value_step="trading")), abs=1e-9 * scale)
    assert value(planned, "assess.worth_of.purchases") == pytest.approx(value(planned, "assess.value.adoption_of_devices"), abs=1e-9 * scale)
    table = value_table(planned.of_year()).frame.set_index("value")
    assert table.loc["saved in real cost", "in all"] == pytest.approx(value(planned, "assess.saving"))
    unknown = [name for name in table.index if name.startswith(("(v)", "(viii)"))]
    assert len(unknown) == 2
    assert table.loc[unknown, "in all"].isna().all()
    assert all("not evaluated" in how for how in table.loc[unknown, "how"])


def test_money_between_members_and_the_burden_of_tariffs_are_those_of_the_ledger_of_trades(planned):
    """What members receive from each other is in the ledger of trades; what groups of customers pay is what stakeholders pay."""
    data, rows = planned.of_year().dataset, read_ledger(planned.folder)
    local = data.value_quantity.sel(value_stream="local economies", compared="after")
    hours = data.period_hours
    assert float(local) == pytest.approx(float((data.local_trade * hours).sum()), rel=1e-9)
    assert len(rows)
    paid = data.group_payment.sel(scenario="plan").values
    money = data.money.sel(scenario="plan").sum("flow")
    assert paid[:2].sum() == pytest.approx(-float(money.sel(stakeholder="prosumers")), rel=1e-9)
    assert paid[2] == pytest.approx(-float(money.sel(stakeholder="passive customers")), rel=1e-9)
    for name in ("appraisal", "participation", "evenness", "bills"):
        assert f'download="{name}.csv"' in (planned.folder / "report.html").read_text(encoding="utf-8"), name


@pytest.mark.slow
def test_a_price_of_a_policy_that_only_the_plan_decides_is_told_where_it_is_in_force(tmp_path):
    """Scenarios without a plan have none, and the study ends all the same; money adds up to zero."""
    quick = ["verification.year=false", "output.report=false", "results.market_gains=false", "results.operated=[conventional_response,response]"]
    result = study(tmp_path, *quick, "horizon.step_hours=6 h", "+policy.firm.kind=capacity_payment", "policy.firm.price_min=20")
    assert value(result, "plan.price.firm") >= 20.0
    assert value(result, "response.price.firm") == value(result, "plan.price.firm")
    assert "existing.price.network_charge" in result.summary
    assert "existing.price.firm" not in result.summary
    assert value(result, "ledger.money_residual") <= 1e-9


def test_losses_of_every_scenario_are_worth_what_they_would_cost_at_the_baseline_s_prices(planned):
    """By one rule for all: with prices all positive the worth lies between their extremes, and what is saved is the value stream of losses."""
    data = planned.of_year().dataset
    lost = (data.losses * data.period_hours).sum("period")
    average = data.losses_worth / lost
    assert (lost > 0).all()
    assert float(average.min()) > 0
    assert float(average.max()) < 1.0
    last = str(data.value_step.values[-1])
    saved = float(data.value.sel(value_stream="losses").sum("value_step"))
    assert float(data.losses_worth.sel(scenario="conventional") - data.losses_worth.sel(scenario=last)) == pytest.approx(saved)
    assert "it is no part of the costs" in (planned.folder / "report.html").read_text(encoding="utf-8")
