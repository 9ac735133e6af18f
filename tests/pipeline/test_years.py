"""Several years: growth is even and never taken back, everything that a year changes has it as a dimension, and finished stages are read again."""

from dataclasses import replace

import numpy as np
import pytest

from multiscale.config import ConfigError, load_config
from multiscale.pipeline.linked_years import reservations_of_stages
from multiscale.planning.settings import DsoPlanSettings
from multiscale.results.data.answer_data import StagedPlan
from multiscale.sources import TinySettings
from multiscale.sources.selection import study_system
from multiscale.study import run_study
from multiscale.system.growth import Growth
from tests.results.conftest import leave_undrawn

SMALL = (
    "study=tiny",
    "engine=serial",
    "system.dsos=[north]",
    "horizon=one_day",
    "horizon.step_hours=6 h",
    "horizon.years=[2030,2040]",
    "system.growth.base_year=2020",
    "system.growth.pv_share=0.8",
    "verification.year=false",
    "results.operated=[]",
)


def test_growth_is_even_and_a_new_device_stays():
    growth = Growth(base_year=2020, pv_share=0.8, load_factor=1.4)
    shares = [growth.reached(year, 2040) for year in (2020, 2030, 2040)]
    assert shares == [0.0, 0.5, 1.0]
    systems = [study_system(TinySettings(growth=growth), reached=share) for share in shares]
    owners = [{str(p) for p, k in zip(s.devices.prosumer.values, s.devices.kind.values, strict=True) if k == "pv" and p} for s in systems]
    assert owners[0] < owners[1] < owners[2]
    demand = [float(s.devices.p_kw.values[s.devices.kind.values == "load"].sum()) for s in systems]
    np.testing.assert_allclose(np.diff(demand), 0.2 * demand[0])


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    folder = tmp_path_factory.mktemp("years")
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch)
        return [run_study(load_config([*SMALL, f"output.folder={folder / name}", f"output.stages={folder}"])) for name in ("first", "second")]


def test_what_a_year_changes_has_the_dimension_year(twice):
    data, summary = twice[0].dataset, twice[0].summary
    assert data.year.values.tolist() == [2030, 2040]
    for name in ("built", "price_network_charge", "money", "welfare", "bill", "energy", "exchange", "loading", "cost_of"):
        assert "year" in data[name].dims, name
    for name in ("bus_x", "branch_from", "option_cost", "prosumer_node", "day_weight", "period_hours"):
        assert "year" not in data[name].dims, name
    assert np.isfinite(data.money.values).all()
    for year in (2030, 2040):
        assert summary[f"years.{year}.ledger.money_residual"][0] < 1e-9
    assert summary["plan.objective"] == summary["years.2040.plan.objective"] != summary["years.2030.plan.objective"]
    assert "year" not in twice[0].of_year(2030).dataset.dims


def test_what_one_year_builds_stays_built_in_the_next_and_the_bound_holds(twice):
    data, summary = twice[0].dataset, twice[0].summary
    built = data.built.sel(scenario="plan") if "scenario" in data.built.dims else data.built
    assert (built.sel(year=2030) <= built.sel(year=2040)).all()
    # Ten years each, at 5 %.
    weights = [sum(1.05**-t for t in range(first, first + 10)) for first in (0, 10)]
    for year, weight in zip((2030, 2040), weights, strict=True):
        assert summary[f"stages.weight.{year}"] == (pytest.approx(weight), "a")
    cost = sum(w * summary[f"years.{y}.plan.objective"][0] for w, y in zip(weights, (2030, 2040), strict=True))
    assert summary["stages.cost"] == (pytest.approx(cost), "EUR")
    assert summary["stages.separate_bound"][0] <= summary["stages.bound"][0] <= cost
    assert summary["stages.gap_eur"][0] <= 50.0 * sum(weights)
    assert (summary["stages.ended"][0], summary["stages.plans"][0] >= 2) == ("", True)


def test_a_second_run_reads_every_stage_and_says_the_same(twice):
    first, second = twice
    stages = second.provenance()["pipeline"]
    assert {stage["stage"].split()[0] for stage in stages} >= {"build", "forecast", "plan", "operate", "verify", "assess", "report"}
    assert all(stage["reused"] for stage in stages)
    assert not any(stage["reused"] for stage in first.provenance()["pipeline"] if stage["stage"].split()[0] in ("build", "plan", "report"))
    for key, (value, unit) in first.summary.items():
        if not key.startswith(("time.", "memory.")):
            assert second.summary[key] == (pytest.approx(value, rel=0, abs=0, nan_ok=True) if isinstance(value, float) else value, unit), key


@pytest.mark.parametrize(
    ("override", "said"),
    [("horizon.years=[2040,2030]", "do not rise"), ("horizon.years=[]", "no year"), ("horizon.years=[30]", "outside"),
     ("horizon.years=[2010,2040]", "base_year")],
)  # fmt: skip
def test_years_that_make_no_sense_are_refused(override, said):
    with pytest.raises(ConfigError, match=said):
        load_config(["study=tiny", override])


def test_plans_above_what_the_gaps_allow_are_not_called_optimal():
    settings = DsoPlanSettings(gap=0.0, gap_eur=50.0)
    staged = StagedPlan({2030: 8.0, 2040: 5.0}, 1e6, 1e6, 2)
    assert reservations_of_stages(1e6 + 600.0, staged, settings, {}) == []
    assert reservations_of_stages(1e6 + 700.0, staged, settings, {}) == [
        "plans of the years together: 700 EUR above their bound, where the gaps asked for allow 650 EUR"
    ]
    assert len(reservations_of_stages(float("nan"), staged, settings, {})) == 1
    assert reservations_of_stages(1e6, replace(staged, ended="ended"), settings, {}) == ["plans of the years together: ended"]


def test_a_bound_for_other_yardsticks_proves_nothing_of_the_plans_that_stand():
    staged = StagedPlan({2030: 8.0, 2040: 5.0}, 1e6, 1e6, 2, yardsticks={2030: {"north": 7.0}, 2040: {"north": 8.0}})
    assert reservations_of_stages(1e6, staged, DsoPlanSettings(), {2030: {"north": 7.0}, 2040: {"north": 8.0}}) == []
    (said,) = reservations_of_stages(1e6, staged, DsoPlanSettings(), {2030: {"north": 7.0}, 2040: {"north": 8.5}})
    assert "a repair moved what north is compared with" in said
