"""What a reader is told of the regime: profit and return, capex bias and welfare loss, with their signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiscale.config import load_config
from multiscale.results import RunFolder
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.regulation_tables import compared_operators_table, regulation_table, social_comparison_table
from multiscale.results.tables.scenario_tables import years_table
from multiscale.results.words.answer import answer
from multiscale.results.words.headline import headline
from multiscale.results.words.regime_words import objective_words, regulation_words
from tests.results.synthetic_study import synthetic_dataset

PLANNED = {"revenue": 400.0, "profit": 50.0, "asset_base": 2500.0, "return_on_asset_base": 0.07}


def result(tmp_path: Path, social: dict[str, object] | None = None) -> RunResult:
    summary: dict[str, tuple[object, str]] = {f"regulation.planned.{k}": (v, "EUR/a") for k, v in PLANNED.items()}
    summary |= {"plan.reinforcements": (8, "1"), "plan.reinforcement_annuity": (86.0, "EUR/a")}
    summary |= {f"regulation.social.{k}": (v, "EUR/a") for k, v in (social or {}).items()}
    return RunResult(tmp_path, None, summary, "optimal")


COMPARED = {"planned_cost": 687.0, "least_cost": 660.0, "welfare_loss": 27.0, "welfare_loss_at_most": 28.0, "reinforcements": 2}


@pytest.mark.parametrize(
    ("social", "said"),
    [
        (None, []),
        ({"missing": "no price recovers it"}, ["is not compared", "no price recovers it"]),
        (COMPARED | {"excess_annuity": 28.0, "capex_bias": 0.47}, ["more than the plan of least social cost", "47", "society 27", "at most 28"]),
        (COMPARED | {"excess_annuity": -5.0, "capex_bias": -0.1}, ["less than the plan of least social cost", "10"]),
        (COMPARED | {"excess_annuity": 0.0, "welfare_loss": -2.0, "welfare_loss_at_most": -1.0}, ["as much as", "2", "less, as its prices"]),
        (COMPARED | {"excess_annuity": 0.0, "welfare_loss": -2.0, "welfare_loss_at_most": 1.0}, ["2", "less, which is within what is proven"]),
    ],
)
def test_words(tmp_path: Path, social: dict[str, object] | None, said: list[str]):
    words = regulation_words(result(tmp_path, social))
    assert words[0].startswith("profit 50")
    assert "a return of 7" in words[0]
    assert len(words) == (2 if said else 1)
    assert all(part in words[-1] for part in said)


@pytest.mark.parametrize(("paid", "said"), [(20.0, "supplier and state pay it 20"), (-20.0, "it pays supplier and state 20"), (0.0, None)])
def test_who_pays_incentives_and_penalties_is_said(tmp_path: Path, paid: float, said: str | None):
    one = result(tmp_path)
    one.summary["regulation.planned.payment"] = (paid, "EUR/a")
    text = regulation_words(one)[0]
    assert ("supplier and state" in text) == (said is not None)
    assert said is None or said in text


@pytest.mark.parametrize(("balance", "said"), [(-30.0, "collect 30"), (30.0, "customers owe"), (0.001, None)])
def test_what_is_carried_forward_is_no_silent_part_of_the_profit(tmp_path: Path, balance: float, said: str | None):
    one = result(tmp_path)
    one.summary.update({"regulation.planned.allowed": (370.0, "EUR/a"), "regulation.planned.balance": (balance, "EUR/a")})
    text = regulation_words(one)[0]
    assert ("regulatory account" in text) == (said is not None)
    assert said is None or said in text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"at_rest": True, "cost_moved": 0.0}, "in 3 rounds, until no cost moved by more than the gap asked for. In the last one no cost moved."),
        ({"at_rest": True, "cost_moved": 12.5}, "In the last one costs moved by at most 12.5 EUR/a."),
        ({"at_rest": False, "cost_moved": 400.0}, "Not an equilibrium: operators planned in turn, and after 3 rounds"),
        # An earlier version: it ended in an error where costs did not come to rest.
        ({}, "In the last one no cost moved."),
    ],
)
def test_what_is_no_equilibrium_is_called_so(tmp_path: Path, found: dict[str, object], said: str):
    one = result(tmp_path)
    values = {f"{name}.{dso}": 10.0 for dso in ("a", "b") for name in ("cost", "yardstick", "allowed", "profit", "largest_gain")}
    one.summary.update({f"regulation.yardstick.{key}": (value, "EUR/a") for key, value in (values | {"rounds": 3} | found).items()})
    note = plain(compared_operators_table(one).note)
    assert said in note
    assert "*" not in note


def test_the_bound_of_compared_operators_is_for_each_while_the_others_keep_their_plans(tmp_path: Path):
    compared = planned(tmp_path / "yardstick", "yardstick", PROFIT)
    assert "earns the operators, each while the others keep theirs, more than" in objective_words(compared, -30.0, -70.0)[2]
    alone = planned(tmp_path / "revenue_cap", "revenue_cap", PROFIT)
    assert "earns the operator more than" in objective_words(alone, -30.0, -70.0)[2]


def test_a_run_without_a_plan_says_nothing(tmp_path: Path):
    nothing = RunResult(tmp_path, None, {}, "optimal")
    assert regulation_words(nothing) == []
    assert regulation_table(nothing) is None
    assert social_comparison_table(nothing) is None


def test_the_comparison_holds_both_plans(tmp_path: Path):
    table = social_comparison_table(result(tmp_path, COMPARED | {"excess_annuity": 28.0}))
    assert table is not None
    frame = table.frame.set_index("what")
    assert frame.loc["annuity of what is built", "least social cost"] == pytest.approx(86.0 - 28.0)
    assert frame.loc["social cost", "regime"] - frame.loc["social cost", "least social cost"] == pytest.approx(27.0)
    account = regulation_table(result(tmp_path))
    assert account is not None
    assert account.frame.set_index("entry").loc["return on the asset base", "planned"] == pytest.approx(7.0)


PROFIT = {"plan.objective": -30.0, "plan.bound": -70.0, "plan.gap": 40 / 30, "plan.gap_eur": 40.0, "plan.revenue": 1000.0, "plan.reinforcements": 0}
STAGES = {"stages.cost": -300.0, "stages.bound": -800.0, "stages.gap_eur": 500.0, "stages.separate_bound": -900.0}


def planned(folder: Path, regime: str, *summaries: dict[str, float]) -> RunResult:
    config = load_config(["study=tiny", f"regime={regime}", f"output.folder={folder}", "output.report=false"])
    with RunFolder.create(config.record()) as run:
        run.finish(synthetic_dataset(), {}, "optimal", {})
    return RunResult(run.path, None, {key: (value, "EUR/a") for one in summaries for key, value in one.items()}, "optimal")


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u2212", "-")


def test_a_profit_is_no_negative_cost_and_its_gap_is_a_share_of_the_revenue(tmp_path: Path):
    result = planned(tmp_path, "revenue_cap", PROFIT, {"plan.deferred_investment": 5000.0})
    facts = {fact.label: fact for fact in answer(result)}
    said = plain(facts["Profit of the operator"].text)
    assert said == "30 EUR/a; no plan earns the operator more than 70 EUR/a (gap 40 EUR/a, 4 % of the revenue)"
    assert facts["Profit of the operator"].good
    assert facts["Build"].text == "nothing: no reinforcement pays for the operator"
    assert "Not needed" not in facts
    sentences = plain(" ".join(headline(result)))
    assert "no other plan raises the profit of the operator by more than 40 EUR/a, 4 % of the revenue." in sentences


@pytest.mark.parametrize(
    ("regime", "worth", "none", "better"),
    [
        ("social", "cost of the plan -300 EUR", "none costs less than -800 EUR (gap 500 EUR)", "are cheaper by more than 500 EUR in present value"),
        (
            "revenue_cap",
            "profit of the operator 300 EUR",
            "none earns the operator more than 800 EUR",
            "raise the profit of the operator by more than",
        ),
    ],
)
def test_of_linked_years_only_the_plans_together_are_called_proven(tmp_path: Path, regime: str, worth: str, none: str, better: str):
    years = {f"years.{year}.{key}": value for year in (2030, 2035) for key, value in PROFIT.items()}
    result = planned(tmp_path, regime, PROFIT, STAGES, years)
    facts = {fact.label: plain(fact.text) for fact in answer(result)}
    assert worth in facts["All years"]
    assert none in facts["All years"]
    own = next(text for label, text in facts.items() if label in ("Cost of the plan", "Profit of the operator"))
    assert "of the plans that the other years leave open none" in own
    sentences = plain(" ".join(headline(result)))
    assert better in sentences
    assert "no other plan " not in sentences
    assert "what follows is the state in 2035" in sentences
    table = years_table(result)
    assert table is not None
    assert none.split(" (", 1)[0] in plain(table.note)
    assert list(table.frame.year) == [2030, 2035]
