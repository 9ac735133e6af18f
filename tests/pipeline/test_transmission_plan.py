"""Studies in which the transmission operator plans: what is built acts in operation, is booked, and is told."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.config import ConfigError, load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.transmission_plan import nested_problem_of, plan_transmission, restrictions, with_transmission
from multiscale.results.tables.network_tables import options_table, transmission_table
from multiscale.results.tables.value_tables import value_table
from multiscale.results.words.answer import answer, reinforcements
from multiscale.study import run_study

SMALL = ("study=tiny", "horizon=one_day", "horizon.step_hours=3 h", "system.dsos=[north]")


def study(folder, *overrides):
    quick = ["verification.year=false", "output.report=false", "results.market_gains=false", "results.operated=[conventional_response,response]"]
    return run_study(load_config([*SMALL, *quick, f"output.folder={folder}", *overrides])).of_year()


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    return study(tmp_path_factory.mktemp("runs"), "planning=nested", "coordination=integrated")


def test_the_ledger_has_the_saving_of_the_joint_plan(nested):
    """Response without trading and purchases, with and without the plan: what differs is what is built on transmission, and what charges distort."""
    before, after = nested.value("assess.social_cost_conventional_response"), nested.value("assess.social_cost_response")
    planned = nested.value("transmission.cost_of_nothing") - nested.value("transmission.cost")
    assert planned > 1e5
    assert before - after == pytest.approx(planned, rel=2e-3)
    for start in ("cost_of_the_plan", "cost_of_operation"):
        assert abs(nested.value(f"reconciliation.{start}.residual")) < 1e-3
    assert nested.value("ledger.money_residual") < 1e-9


def test_what_is_built_is_in_dataset_tables_and_answer(nested):
    data = nested.dataset
    built = data.option_branch.values[data.option_built.values.ravel() > 0.5].tolist()
    assert built == ["line A-E"]
    assert data.option_dc_loading_after.values[data.option_branch.values == "line D-E"].max() <= 100.0 + 1e-6
    rows = options_table(nested).frame
    assert rows.loc[rows["branch"] == "line A-E", "decision"].tolist() == ["build"]
    table = transmission_table(nested).frame.set_index("plan")["social cost"]
    assert table["the plan"] >= table["proven lower bound on every plan"] - 1e-3
    assert (table.drop("proven lower bound on every plan") >= table["the plan"] - 1e-3).all()
    facts = {fact.label: fact for fact in answer(nested)}
    assert facts["Transmission"].good
    assert facts["Build"].text.startswith("1 reinforcement")
    [one] = reinforcements(nested)
    assert "under DC power flow" in one.loading
    assert "of its usable rating" not in one.loading
    assert nested.status == "optimal"


def test_transmission_is_a_stream_of_its_own(nested):
    """Its annuity is no saving of distribution, and the streams still add up to what is saved."""
    values = nested.dataset.value
    of = values.sel(value_stream="generation and transmission upgrades")
    assert float(of.sum()) == pytest.approx(-nested.value("transmission.reinforcement_annuity"), rel=1e-9)
    assert str(nested.dataset.value_missing.sel(value_stream="generation and transmission upgrades").item()) == ""
    saved = nested.value("assess.social_cost_conventional") - nested.value("assess.social_cost_plan")
    inside = values.where(nested.dataset.value_in_social_cost > 0).sum()
    assert float(inside) == pytest.approx(saved, abs=1e-6 * abs(nested.value("assess.social_cost_plan")))
    table = value_table(nested)
    assert table.frame.loc[list(table.marked), "in all"].tolist() == pytest.approx([saved], abs=0.01)
    # Of what is built on transmission the AC power flow of distribution knows nothing: its ratings are not judged.
    below = nested.value("plan.investment")
    assert (nested.value("regulation.operated.stranded_share") is None) == (below == 0)


def test_distribution_operators_plan_what_the_joint_plan_builds_at_its_prices():
    config = load_config([*SMALL, "planning=nested"])
    case = case_of(config)
    plan = plan_transmission(case, config.planning, config.market)
    assert set(restrictions(plan)) == {"north"}
    chosen = [name for choice in plan.below.values() for name, yes in choice.items() if yes] + [name for name, yes in plan.built.items() if yes]
    again = nested_problem_of(case, config.planning, config.market).operated(chosen)
    assert again.cost == pytest.approx(plan.cost, rel=1e-9)
    after = with_transmission(case, plan).system.branches
    row, before = after.sel(branch="line A-E"), case.system.branches.sel(branch="line A-E")
    # Twice the rating and half the reactance, in proportion.
    assert float(row.rating_kva * row.x_ohm) == pytest.approx(float(before.rating_kva * before.x_ohm), rel=1e-12)
    assert float(row.rating_kva) > float(before.rating_kva)
    untouched = np.delete(np.arange(after.sizes["branch"]), after.branch.values.tolist().index("line A-E"))
    np.testing.assert_array_equal(after.rating_kva.values[untouched], case.system.branches.rating_kva.values[untouched])


@pytest.mark.slow
def test_the_transmission_operator_alone(tmp_path):
    found = study(tmp_path, "planning=tso", "coordination=integrated")
    assert found.value("transmission.reinforcements") == 1
    assert found.value("plan.objective") is None
    before, after = found.value("assess.social_cost_conventional_response"), found.value("assess.social_cost_plan")
    assert before - after == pytest.approx(found.value("transmission.cost_of_nothing") - found.value("transmission.cost"), rel=2e-3)
    assert found.status == "optimal"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["planning=tso", "horizon.years=[2030,2035]"], "planning=tso plans one year"),
        (["planning=nested", "horizon.years=[2030,2035]"], "planning=nested plans one year"),
        (["planning=nested", "regime=revenue_cap"], "planning=nested is proven for least social cost alone; use regime=social, or planning=dso"),
        (["planning=tso", "planning.rounds=0"], "planning.rounds"),
        (["planning=tso", "planning.solve_limit=10"], "solve_limit"),
    ],
)
def test_settings_that_do_not_go_together_are_named(overrides, said):
    with pytest.raises(ConfigError) as error:
        load_config([*SMALL, *overrides])
    assert said in str(error.value)
