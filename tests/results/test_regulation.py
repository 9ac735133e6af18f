"""What a reader is told of the regime: profit and return, capex bias and welfare loss, with their signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.regulation_tables import regulation_table, social_comparison_table
from multiscale.results.words.regime_words import regulation_words

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
        (COMPARED | {"excess_annuity": 0.0, "welfare_loss": -2.0}, ["as much as the plan of least social cost", "2", "less, as its prices"]),
    ],
)
def test_words(tmp_path: Path, social: dict[str, object] | None, said: list[str]):
    words = regulation_words(result(tmp_path, social))
    assert words[0].startswith("profit 50")
    assert "a return of 7" in words[0]
    assert len(words) == (2 if said else 1)
    assert all(part in words[-1] for part in said)


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
