"""How long it takes to write down the optimality conditions of large followers.

Run: ``pytest tests/benchmarks/bilevel_reformulation.py -m benchmark -s``
"""

from __future__ import annotations

import resource
import time

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.problem.description import BilevelProblem, Follower, Form, Leader
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.bounds.dual_bounds import no_bounds
from multiscale.programs import ProgramBuilder

pytestmark = pytest.mark.benchmark


def large_problem(units, hours):
    """Storage units with charge, discharge, content, import: per unit and hour 2 equations, 1 inequality and 7 bounds."""
    b = ProgramBuilder("fleet")
    axes = {"unit": np.arange(units), "time": np.arange(hours)}
    tariff = b.add_parameters("tariff", {"time": np.arange(hours)}, unit="EUR/kWh")
    cap = b.add_parameters("cap", {}, unit="kW")
    charge = b.add_columns("charge", axes, unit="kW", upper=2.0)
    discharge = b.add_columns("discharge", axes, unit="kW", upper=2.0)
    stored = b.add_columns("stored", axes, unit="kWh", upper=8.0)
    imports = b.add_columns("import", axes, unit="kW", cost=0.2)
    b.add_rows("storage", axes, [(1.0, stored), (-1.0, np.roll(stored, 1, axis=1)), (-0.95, charge), (1.05, discharge)], "==", 0.0, unit="kWh")
    b.add_rows("balance", axes, [(1.0, imports), (1.0, discharge), (-1.0, charge)], "==", 1.0, unit="kW")
    limit = np.broadcast_to(np.asarray(cap).reshape(1, 1), (units, hours))
    b.add_rows("connection", axes, [(1.0, imports)], "<=", 3.0, unit="kW", parameters=[(1.0, limit)])
    b.add_cost_parameter(imports, np.broadcast_to(tariff[None, :], (units, hours)))
    program = b.build()
    k = program.parameters.size
    empty = np.zeros(0)
    leader = Leader(
        names=tuple(f"p{i}" for i in range(k)),
        lower=np.zeros(k),
        upper=np.ones(k),
        kinds=np.array(["C"] * (k - 1) + ["B"]),
        quantities=(),
        quantity_names=(),
        quantity_lower=empty,
        quantity_upper=empty,
        matrix=np.zeros((0, k)),
        row_lower=empty,
        row_upper=empty,
        row_names=(),
        curved=(),
        objective=Form(),
    )
    return BilevelProblem(leader, (Follower("fleet", program),))


@pytest.mark.parametrize("method", ["strong_duality", "sos1"])
def test_a_follower_of_a_million_rows_and_bounds(method):
    problem = large_problem(4200, 24)
    program = problem.followers[0].program
    size = program.rows.size + int(np.isfinite(program.lower).sum() + np.isfinite(program.upper).sum())
    assert size >= 1_000_000
    started = time.perf_counter()
    single = assemble(problem, [method], [no_bounds(problem.followers[0])])
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n{method}: {size:,} rows and bounds in {seconds:.1f} s, peak {peak:.2f} GB; {single.describe()}")
    assert seconds <= 60
    assert peak <= 8


@pytest.mark.parametrize("prosumers", [60, 350], ids=["5,760 variables", "33,600 variables"])
def test_each_pair_of_a_pyomo_block_against_core_kkt(prosumers):
    def model(prosumers):
        m = pyo.ConcreteModel()
        m.tax = pyo.Var(range(24), bounds=(0, 1))
        m.low = pyo.Block()
        keys = [(i, t) for i in range(prosumers) for t in range(24)]
        low = m.low
        low.buy = pyo.Var(keys, bounds=(0, 10))
        low.charge, low.discharge, low.stored = (pyo.Var(keys, bounds=(0, limit)) for limit in (2, 2, 8))
        low.balance = pyo.Constraint(keys, rule=lambda b, i, t: b.buy[i, t] + b.discharge[i, t] - b.charge[i, t] >= 1)
        low.storage = pyo.Constraint(
            keys, rule=lambda b, i, t: b.stored[i, t] - b.stored[i, (t - 1) % 24] - 0.95 * b.charge[i, t] + 1.05 * b.discharge[i, t] == 0
        )
        low.objective = pyo.Objective(expr=sum((0.2 + m.tax[t]) * low.buy[i, t] for i, t in keys))
        m.objective = pyo.Objective(expr=sum(m.tax[t] * low.buy[i, t] for i, t in keys), sense=pyo.maximize)
        return m

    m = model(prosumers)
    started = time.process_time()
    problem = bilevel.read_model(m, [m.low]).problem
    single = assemble(problem, ["sos1"], [no_bounds(problem.followers[0])])
    ours = time.process_time() - started
    pairs = sum(len(p) for p in single.pairs)
    m = model(prosumers)
    started = time.process_time()
    pyo.TransformationFactory("core.kkt").apply_to(m.low, parameterize_wrt=list(m.tax.values()))
    theirs = time.process_time() - started
    print(f"\n{pairs:,} pairs: {1e3 * ours / pairs:.4f} ms a pair, core.kkt {1e3 * theirs / pairs:.4f} ms a pair, ratio {theirs / ours:.1f}")
    assert ours * 5 <= theirs
