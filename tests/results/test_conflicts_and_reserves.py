"""A small system in which a flat price overloads a transformer: what is refused, and the reserves for forecast errors."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.coordination.common.conflicts import conflicts
from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.prepared import operate_signals, prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.bidirectional import Bidirectional, BidirectionalSettings
from multiscale.coordination.publication.flat import flat_signals
from multiscale.coordination.uncertainty.day_reserves import agreed_reserves, negotiated_reserves
from multiscale.markets import Community
from multiscale.results.data.conflicts_and_reserves import conflicts_and_reserves_dataset, conflicts_and_reserves_summary
from multiscale.results.data.dataset import missing_declarations
from multiscale.results.tables.operation_tables import conflicts_table, reserves_table
from multiscale.sources import TinySettings
from multiscale.sources.selection import study_system
from multiscale.system import Economics
from multiscale.timeline import Horizon
from tests.operated import coordinate_days
from tests.variants import changed, charged


@pytest.fixture(scope="module")
def answer():
    system = changed(study_system(TinySettings(dsos=("north",))), "branches", "rating_kva", {"north HV/MV transformer": 2050.0})
    system = system.cut(["north 1", "north 2"])
    horizon = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 2.0)
    fleets = {p: system.fleet(p, horizon) for p in ("north 1", "north 2")}
    day = prepare_days(system, horizon, Economics(), fleets, charged(["north"], 0.05), Community(), SerialEngine())[0]
    flat = operate_signals([day], [{"flat": flat_signals(day.tree, day.forecast)}], SerialEngine())[0]["flat"]
    reserves = agreed_reserves(day.tree, day.forecast, ErrorModel(0.1))
    case = SimpleNamespace(system=system, horizon=horizon)
    return answered(case, tuple(conflicts(day.tree, flat)), reserves, flat=flat, day=day)


def answered(case, refused, reserves, **more):
    """The answer of a year with one operated day."""
    operated = SimpleNamespace(conflicts=refused, reserves=reserves)
    return SimpleNamespace(case=case, plan=SimpleNamespace(operation=SimpleNamespace(days=(operated,))), **more)


def shown(answer):
    nodes, summary = answer.case.system.nodes, conflicts_and_reserves_summary(answer)
    levels = xr.Dataset({"node_level": ("node", nodes.level.values, {"long_name": "level"})}, coords={"node": nodes.node.values})
    data = xr.merge([conflicts_and_reserves_dataset(answer), levels], join="outer")
    return SimpleNamespace(dataset=data, value=lambda key: summary[key][0])


@pytest.fixture(scope="module")
def result(answer):
    return shown(answer)


def test_everything_reported_has_a_unit_and_a_meaning(result):
    assert missing_declarations(result.dataset) == []


def test_the_value_of_what_was_refused_is_the_dso_s_cost_of_cutting_off(answer):
    summary = conflicts_and_reserves_summary(answer)
    cost = answer.day.tree.distribution["north"].program.c0 @ answer.flat.distribution_x["north"]
    assert summary["coordination.conflicts"][0] > 0
    assert summary["coordination.refused_value"][0] == pytest.approx(cost, rel=1e-4)


def test_conflicts_are_listed_the_dearest_first_with_what_binds(result):
    table = conflicts_table(result)
    assert (np.diff(table.frame["cost"]) <= 0).all()
    assert table.frame["what binds"].str.contains("north HV/MV transformer").all()
    assert set(table.frame["rest"]) == {"cut off"}
    assert set(table.frame.columns) >= set(table.units)


def test_agreeing_costs_no_more_than_every_level_alone(answer, result):
    summary = conflicts_and_reserves_summary(answer)
    cost, bound, alone, top = (summary[f"uncertainty.{n}"][0] for n in ("cost", "bound", "alone", "alone_top"))
    assert top <= bound <= cost <= bound * (1 + 2e-4)
    assert cost < alone
    table = reserves_table(result)
    assert table.frame["cost if held alone"].sum() == pytest.approx(alone, rel=1e-9)
    assert table.frame["nodes"].tolist() == [1, 1, 2]


def test_negotiated_reserves_are_shown_with_what_they_cost_in_addition_to_energy(answer):
    system, horizon = answer.case.system, answer.case.horizon
    fleets = {p: system.fleet(p, horizon) for p in ("north 1", "north 2")}
    mechanism = Bidirectional(BidirectionalSettings(forecast_error=0.1, coverage=2.0))
    given = system, horizon, Economics(), fleets, charged(["north"], 0.05), Community(), SerialEngine()
    [day] = coordinate_days(*given, mechanism=mechanism)
    outcome = day.outcomes["bidirectional"]
    assert outcome.gap <= 1e-4
    assert outcome.energy_cost >= day.outcomes["integrated"].bound * (1 - 1e-9)
    reserves = negotiated_reserves(day.tree, outcome, ErrorModel(0.1))
    negotiated = shown(answered(answer.case, (), reserves))
    assert missing_declarations(negotiated.dataset) == []
    assert negotiated.value("uncertainty.cost") == pytest.approx(outcome.cost - outcome.energy_cost)
    table = reserves_table(negotiated)
    assert "together with energy" in table.note
    # The transformer is full in the evening: part of the uncertainty stays below it, the rest is handed over.
    handed, own = table.frame.loc[2, "handed upward by each"], table.frame.loc[2, "own error of each"]
    assert 0 < handed < own * (1 - 1e-6)


def test_without_errors_and_conflicts_nothing_is_shown(answer):
    none = answered(answer.case, (), None)
    assert not conflicts_and_reserves_dataset(none).data_vars
    assert conflicts_and_reserves_summary(none)["coordination.refused_value"][0] == 0
    assert conflicts_table(SimpleNamespace(dataset=conflicts_and_reserves_dataset(none))) is None
    assert reserves_table(SimpleNamespace(dataset=conflicts_and_reserves_dataset(none))) is None
