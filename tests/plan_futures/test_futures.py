"""Futures: a file is read or refused with all that is wrong; strategies cost what enumeration says; the command prints what is proven."""

import itertools

import numpy as np
import pandas as pd
import pytest

from multiscale.cli import main
from multiscale.config import ConfigError
from multiscale.plan_futures.futures import Future, read_futures
from multiscale.plan_futures.measures import Measure, expected, mean_of_worst
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


def paths():
    """What may be built over the years: what is built stays built."""
    return [
        z
        for z in itertools.product(CHOICES, repeat=len(YEARS))
        if all(not x or y for a, b in itertools.pairwise(z) for x, y in zip(a, b, strict=True))
    ]


def cost_of(table, weights, future, path):
    return sum(weights[y] * table.cost[node(y, future)][z] for y, z in zip(YEARS, path, strict=True))


def enumerated(table, weights, name, revealed, measured):
    """Least measure of the costs in both futures, by trying every choice in every year of every future."""
    alike = [k for k, y in enumerate(YEARS) if name == DECIDING_NOW or (name == WAITING and y < revealed)]
    costs = {f.name: {z: cost_of(table, weights, f.name, z) for z in paths()} for f in FUTURES}
    return min(
        measured(costs["low"][low], costs["high"][high])
        for low, high in itertools.product(paths(), repeat=2)
        if all(low[k] == high[k] for k in alike)
    )


def in_turn(plan_of):
    """Nodes that are planned together, one after the other."""
    return lambda nodes: {place: plan_of(*place, restriction) for place, restriction in nodes.items()}


MEASURED = {
    "expected": (Measure(), lambda low, high, _: 0.4 * low + 0.6 * high),
    # The worst 50 %: all of the dearer future, or the whole of it and a part of the other.
    "worst half": (Measure("cvar", 0.5), lambda low, high, _: high if high >= low else (0.4 * low + 0.1 * high) / 0.5),
    "mixed": (Measure("cvar", 0.3, 0.25), lambda low, high, _: 0.75 * (0.4 * low + 0.6 * high) + 0.25 * max(low, high)),
    "regret": (Measure("regret"), lambda low, high, best: max(low - best["low"], high - best["high"])),
}


@pytest.mark.parametrize("kind", MEASURED)
@pytest.mark.parametrize("seed", range(3))
def test_strategies_cost_what_enumeration_says(seed, kind):
    nodes = [node(y, f.name) for y in YEARS for f in FUTURES]
    table = Table(np.random.default_rng(seed), nodes)
    table.cost = {n: {z: np.random.default_rng([seed, k, i]).normal() for i, z in enumerate(CHOICES)} for k, n in enumerate(nodes)}
    measure, measured = MEASURED[kind]

    def plan_of(dso, year, future, restriction):
        assert dso == "north"
        return table.plan(node(year, future), restriction)

    settings = DsoPlanSettings(gap_eur=0.0, linked_plans=10_000)
    given = strategies(YEARS, FUTURES, ["north"], in_turn(plan_of), settings, RATE, 2035, lambda _: None, measure)
    weights = {y: sum(1.05 ** -(y - 2030 + t) for t in range(5)) for y in YEARS}
    best = {f.name: min(cost_of(table, weights, f.name, z) for z in paths()) for f in FUTURES}
    assert given.measure.best == pytest.approx(best, abs=1e-9)
    assert given.proven == pytest.approx(best, abs=1e-7)
    found = given.found
    assert [s.name for s in found] == [FORESIGHT, WAITING, DECIDING_NOW]
    for s in found:
        least = enumerated(table, weights, s.name, 2035, lambda low, high: measured(low, high, best))
        assert s.value == pytest.approx(least, abs=1e-9)
        assert s.bound == pytest.approx(least, abs=1e-7)
        costs = s.costs(FUTURES, weights)
        assert measured(costs["low"], costs["high"], best) == pytest.approx(s.value, abs=1e-9)
    assert found[0].value <= found[1].value + 1e-9 <= found[2].value + 2e-9
    worth = value_table(given)
    assert (worth["at least (EUR)"] <= worth["found (EUR)"] + 1e-9).all()
    assert (worth["found (EUR)"] <= worth["at most (EUR)"] + 1e-9).all()
    regret, costs = future_table(given, FUTURES, weights, "cost of the plan"), cost_table(given, FUTURES, weights, "cost of the plan")
    mean = sum(f.probability * regret[f"regret in {f.name} (EUR)"] for f in FUTURES)
    expected = costs["expected cost of the plan (EUR)"]
    np.testing.assert_allclose(mean, expected - expected[0], atol=1e-9)
    largest = regret[[f"regret in {f.name} (EUR)" for f in FUTURES]].max(axis=1)
    np.testing.assert_allclose(costs["largest regret (EUR)"], largest, atol=1e-9)
    assert set(built_table(given)["option"]) <= set(OPTIONS)
    assert len(costs) == 3


def test_two_operators_have_one_largest_regret():
    """Each operator regrets in another future: the largest regret of both together is less than the sum of theirs, and is what is minimised."""
    nodes = {(d, y, f.name): dict.fromkeys(CHOICES, 0.0) for d in ("north", "south") for y in YEARS[:2] for f in FUTURES}
    for (dso, _, future), costs in nodes.items():
        for z in CHOICES:
            costs[z] = float(sum(z)) * {"north": {"low": 2.0, "high": -1.0}, "south": {"low": -1.0, "high": 3.0}}[dso][future]
    tables = {key: Table(np.random.default_rng(0), ["node"]) for key in nodes}
    for key, table in tables.items():
        table.cost = {"node": nodes[key]}

    def plan_of(dso, year, future, restriction):
        return tables[dso, year, future].plan("node", restriction)

    settings = DsoPlanSettings(gap_eur=0.0, linked_plans=10_000)
    given = strategies(YEARS[:2], FUTURES, ["north", "south"], in_turn(plan_of), settings, 0.0, 2035, lambda _: None, Measure("regret"))
    weights, now = {2030: 5.0, 2035: 5.0}, given.found[-1]
    best = dict.fromkeys(("low", "high"), 5.0 * 2 * -1.0 * len(OPTIONS))
    assert given.measure.best == pytest.approx(best)
    least = np.inf
    rising = [(a, b) for a, b in itertools.product(range(len(OPTIONS) + 1), repeat=2) if a <= b]
    for (n0, n1), (s0, s1) in itertools.product(rising, repeat=2):
        low, high = 5.0 * (2 * (n0 + n1) - (s0 + s1)), 5.0 * (-(n0 + n1) + 3 * (s0 + s1))
        least = min(least, max(low - best["low"], high - best["high"]))
    assert now.value == pytest.approx(least)
    assert now.bound == pytest.approx(least, abs=1e-7)
    assert max(cost - best[f] for f, cost in now.costs(FUTURES, weights).items()) == pytest.approx(least)


def test_the_mean_of_the_worst_is_the_least_value_over_all_quantiles():
    """The sum over sorted costs and the minimum over eta of Rockafellar and Uryasev agree; all futures together are the expected cost."""
    rng = np.random.default_rng(5)
    for tail in (0.05, 0.3, 0.77, 1.0):
        shares, costs = rng.dirichlet(np.ones(6)), rng.normal(size=6) * 100
        named = {str(k): float(c) for k, c in enumerate(costs)}, {str(k): float(p) for k, p in enumerate(shares)}
        at = [eta + float(shares @ np.maximum(0.0, costs - eta)) / tail for eta in costs]
        assert mean_of_worst(*named, tail) == pytest.approx(min(at), rel=1e-12)
    assert mean_of_worst(*named, 1.0) == pytest.approx(expected(*named), rel=1e-12)
    with pytest.raises(ValueError, match="not above 0 and at most 1"):
        mean_of_worst(*named, 0.0)


def test_the_command_prints_what_is_proven(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "futures:\n  low: {probability: 0.5}\n  high: {probability: 0.5, overrides: [system.growth.load_factor=1.4]}\n")
    small = ["study=tiny", "system.dsos=[north]", "horizon=one_day", "horizon.step_hours=6 h", f"output.stages={tmp_path / 'stages'}"]
    assert main(["futures", str(path), *small, "horizon.years=[2030,2035]", "--output", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "strategies.csv")
    assert table["strategy"].tolist() == [FORESIGHT, WAITING, DECIDING_NOW]
    assert (table["gap (EUR)"] >= 0).all()
    assert table["proven bound (EUR)"].is_monotonic_increasing
    assert (tmp_path / "futures.png").read_bytes().startswith(b"\x89PNG")
    again = ["futures", str(path), *small, "horizon.years=[2030,2035]", "--output", str(tmp_path)]
    assert main([*again, "--objective", "regret"]) == 0
    regret = pd.read_csv(tmp_path / "strategies.csv")
    assert regret["minimised: largest regret (EUR)"].iloc[0] == 0.0
    np.testing.assert_allclose(regret["minimised: largest regret (EUR)"], regret["largest regret (EUR)"], atol=1e-6)
    assert main([*again, "--objective", "cvar", "--tail", "1.5"]) == 2
    assert "--tail = 1.5: is no probability above 0 and at most 1" in capsys.readouterr().err
    assert main([*again, "--weight", "0.5"]) == 2
    assert "--weight = 0.5: has no effect with --objective expected" in capsys.readouterr().err
    assert main([*again, "regime=yardstick"]) == 2
    assert "which strategies do not plan together" in capsys.readouterr().err
    assert main(["futures", str(path), *small]) == 2
    assert "horizon.years = [2030]: is one year" in capsys.readouterr().err
    for revealed in ("1999", "2030", "2099"):
        assert main(["futures", str(path), *small, "horizon.years=[2030,2035]", "--revealed", revealed]) == 2
        assert f"--revealed = {revealed}: is no year after the first; give one of 2035" in capsys.readouterr().err
    assert main(["futures", str(path), *small, "horizon.years=[2030,2035]", "--output", str(path / "below")]) == 2
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_plan_what_one_process_plans(tmp_path, monkeypatch):
    """The nodes of a tree of two years and two futures, in this process and on one and two workers of Dask: the same tables to the last digit."""
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "futures:\n  low: {probability: 0.5}\n  high: {probability: 0.5, overrides: [system.growth.load_factor=1.8]}\n")
    small = ["study=tiny", "horizon=one_day", "horizon.step_hours=6 h", "horizon.years=[2030,2035]", "output.reuse=false"]
    read = []
    for engine in (["engine=serial"], ["engine=local", "engine.workers=1"], ["engine=local", "engine.workers=2"]):
        folder = tmp_path / "_".join(engine)
        assert main(["futures", str(path), *small, *engine, "--output", str(folder)]) == 0
        read.append({table.name: table.read_text() for table in sorted(folder.glob("*.csv"))})
    assert len(read[0]) == 4
    assert read[0] == read[1] == read[2]
