"""Comparisons of swept studies: what is credited to trading is not what response defers, and a plan that cuts demand off defers nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from multiscale.config import load_config
from studies.deferral.__main__ import VALUES, deferred
from studies.incentive_schemes.__main__ import main as incentive_schemes


def plans(response, trading, *, unserved=0.0, violations=0):
    rows = []
    for market, planned in (("time_of_use", response), ("community", trading)):
        row = dict.fromkeys(VALUES, 0.0) | {"without response [EUR]": 100_000.0, "planned [EUR]": planned}
        rows.append(row | {"ev_share": 0.8, "dsos": "[MV1.101]", "market": market})
    rows[1] |= {"unserved [EUR/a]": unserved, "AC violations": violations}
    return pd.DataFrame(rows)


def test_trading_is_credited_with_what_it_defers_beyond_response():
    (row,) = deferred(plans(70_000.0, 60_000.0)).to_dict("records")
    assert row["deferred by response [EUR]"] == 30_000.0
    assert row["deferred by trading beyond it [EUR]"] == 10_000.0
    assert row["worth of trading, 10 years later [EUR]"] == pytest.approx(10_000.0 * (1 - 1.05**-10))
    assert (row["counts: response"], row["counts: trading"]) == ("yes", "yes")
    (row,) = deferred(plans(60_000.0, 70_000.0)).to_dict("records")
    assert row["worth of trading, 10 years later [EUR]"] < 0


@pytest.mark.parametrize(("given", "said"), [({"unserved": 500.0}, "cut off"), ({"violations": 2}, "AC"), ({"unserved": float("nan")}, "cut off")])
def test_what_is_not_served_or_not_checked_defers_nothing(given, said):
    (row,) = deferred(plans(70_000.0, 0.0, **given)).to_dict("records")
    assert row["counts: response"] == "yes"
    assert row["counts: trading"].startswith("no: with trading")
    assert said in row["counts: trading"]


def test_the_studies_cut_no_demand_off_for_money_and_buy_the_same():
    config = load_config(["study=deferral"])
    assert config.costs.value_of_lost_load == 1000.0
    assert not config.planning.adoption
    assert load_config(["study=incentive_schemes_simbench"]).planning.candidates == 6


@pytest.mark.slow
def test_a_sweep_of_regimes_is_run_and_compared(tmp_path, capsys):
    overrides = ["horizon.step_hours=3", "--output", str(tmp_path), "--jobs", "1"]
    assert incentive_schemes([*overrides, "--study", "incentive_schemes", "--scenarios", "1.3,1.4", "--regimes", "social,rate_of_return"]) == 0
    table = pd.read_csv(tmp_path / "comparison.csv").set_index("regime")
    assert (table.loc["rate_of_return", "capex bias [1]"] > 0).all()
    assert (tmp_path / "comparison.png").stat().st_size > 10_000
    assert "side by side" in capsys.readouterr().out
