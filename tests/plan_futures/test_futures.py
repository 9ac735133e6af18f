"""Futures: a file is read or refused with all that is wrong; strategies cost what enumeration says; the command prints what is proven."""

import itertools

import numpy as np
import pandas as pd
import pytest

from multiscale.cli import main
from multiscale.config import ConfigError
from multiscale.plan_futures.futures import Future, read_futures
from multiscale.plan_futures.strategies import DECIDING_NOW, FORESIGHT, WAITING, node, strategies
from multiscale.plan_futures.tables import built_table, cost_table, future_table, value_table
from multiscale.planning.settings import DsoPlanSettings
from tests.planning.test_persistence import CHOICES, OPTIONS, Table

YEARS, FUTURES = (2030, 2035, 2040), (Future("low", 0.4, ()), Future("high", 0.6, ()))
RATE = 0.05


def written(folder, text):
    path = folder / "futures.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_futures_of_a_file(tmp_path):
    path = written(tmp_path, "futures:\n  low: {probability: 0.25, overrides: [system.growth.ev_share=0.1]}\n  high: {probability: 0.75}\n")
    assert read_futures(path) == (Future("low", 0.25, ("system.growth.ev_share=0.1",)), Future("high", 0.75, ()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("futures: {a: {probability: 1.0}}", "name two or more"),
        ("[1, 2", "cannot be read"),
        ("futures: {a: {probability: 0.5}, b: {probability: 0.4}}", "0.9: is the sum of the probabilities; they have to sum to one"),
        ("futures: {a: {probability: -0.5}, b: {probability: 1.5}}", "2 problems"),
        ("futures: {a: {probability: .nan}, b: {probability: true}}", "2 problems"),
        ("futures: {a: {probability: 0.5, chance: 1}, b: {probability: 0.5}}", "is no future"),
        ("futures: {a: {probability: 0.5, overrides: [planning=none]}, b: {probability: 0.5}}", "planning=none: cannot differ between futures"),
        ("futures: {a: {probability: 0.5}, a: {probability: 0.5}, b: {probability: 0.5}}", "'a' stands twice"),
        ("futures: {1: {probability: 0.5}, '1': {probability: 0.5}}", "'1' stands twice"),
        ("futures: {a: {probability: 0.5}, b: {probability: 0.5}}\nyears: [2030]", "years: is not read"),
        ("futures: {a: 2001-99-99}", "cannot be read"),
        ("futures: {a: {probability: 0.5, overrides: x}, b: {probability: 0.5}}", "is no list of overrides"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_futures(written(tmp_path, text))


def enumerated(table, weights, name, revealed):
    """Least expected cost by trying every choice in every year of every future."""
    best = np.inf
    rising = [
        z
        for z in itertools.product(CHOICES, repeat=len(YEARS))
        if all(not x or y for a, b in itertools.pairwise(z) for x, y in zip(a, b, strict=True))
    ]
    for low, high in itertools.product(rising, repeat=2):
        alike = [y for y in YEARS if name == DECIDING_NOW or (name == WAITING and y < revealed)]
        if any(low[YEARS.index(y)] != high[YEARS.index(y)] for y in alike):
            continue
        costs = [
            (weights[y] * f.probability, table.cost[node(y, f.name)][z])
            for f, path in zip(FUTURES, (low, high), strict=True)
            for y, z in zip(YEARS, path, strict=True)
        ]
        best = min(best, sum(w * c for w, c in costs))
    return best


@pytest.mark.parametrize("seed", range(3))
def test_strategies_cost_what_enumeration_says(seed):
    nodes = [node(y, f.name) for y in YEARS for f in FUTURES]
    table = Table(np.random.default_rng(seed), nodes)
    table.cost = {n: {z: np.random.default_rng([seed, k, i]).normal() for i, z in enumerate(CHOICES)} for k, n in enumerate(nodes)}

    def plan_of(dso, year, future, restriction):
        assert dso == "north"
        return table.plan(node(year, future), restriction)

    settings = DsoPlanSettings(gap_eur=0.0, linked_plans=10_000)
    found = strategies(YEARS, FUTURES, ["north"], plan_of, settings, RATE, 2035, lambda _: None)
    weights = {y: sum(1.05 ** -(y - 2030 + t) for t in range(5)) for y in YEARS}
    assert [s.name for s in found] == [FORESIGHT, WAITING, DECIDING_NOW]
    for s in found:
        best = enumerated(table, weights, s.name, 2035)
        assert s.cost == pytest.approx(best, abs=1e-9)
        assert s.bound == pytest.approx(best, abs=1e-7)
        expected = sum(f.probability * s.cost_in(f.name, weights) for f in FUTURES)
        assert expected == pytest.approx(s.cost, abs=1e-9)
    assert found[0].cost <= found[1].cost + 1e-9 <= found[2].cost + 2e-9
    worth = value_table(found)
    assert (worth["at least (EUR)"] <= worth["found (EUR)"] + 1e-9).all()
    assert (worth["found (EUR)"] <= worth["at most (EUR)"] + 1e-9).all()
    regret = future_table(found, FUTURES, weights)
    mean = sum(f.probability * regret[f"regret in {f.name} (EUR)"] for f in FUTURES)
    np.testing.assert_allclose(mean, [s.cost - found[0].cost for s in found], atol=1e-9)
    assert set(built_table(found)["option"]) <= set(OPTIONS)
    assert len(cost_table(found)) == 3


def test_the_command_prints_what_is_proven(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "futures:\n  low: {probability: 0.5}\n  high: {probability: 0.5, overrides: [system.growth.load_factor=1.4]}\n")
    small = ["study=tiny", "system.dsos=[north]", "horizon=one_day", "horizon.step_hours=6 h", f"output.stages={tmp_path / 'stages'}"]
    assert main(["futures", str(path), *small, "horizon.years=[2030,2035]", "--output", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "strategies.csv")
    assert table["strategy"].tolist() == [FORESIGHT, WAITING, DECIDING_NOW]
    assert (table["gap (EUR)"] >= 0).all()
    assert table["proven bound (EUR)"].is_monotonic_increasing
    assert main(["futures", str(path), *small]) == 2
    assert "horizon.years = [2030]: is one year" in capsys.readouterr().err
    for revealed in ("1999", "2030", "2099"):
        assert main(["futures", str(path), *small, "horizon.years=[2030,2035]", "--revealed", revealed]) == 2
        assert f"--revealed = {revealed}: is no year after the first; give one of 2035" in capsys.readouterr().err
    assert main(["futures", str(path), *small, "horizon.years=[2030,2035]", "--output", str(path / "below")]) == 2
    assert "cannot be made" in capsys.readouterr().err
