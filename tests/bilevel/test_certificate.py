"""The certificate catches wrong single-level programs and wrong follower answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.certify.certificate import certify_follower
from multiscale.bilevel.certify.conclude import conclude
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.client import run
from multiscale.bilevel.scip.integer_points import _consistent
from multiscale.bilevel.scip.worker import Task
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.start import find_start
from multiscale.programs import CompiledProgram
from tests.bilevel.feeder import feeder


def market(seed):
    """A leader taxes a follower's purchases and builds capacity; the follower buys from three sources."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.tax = pyo.Var(bounds=(0, 2))
    m.build = pyo.Var(domain=pyo.Binary)
    m.low = pyo.Block()
    m.low.x = pyo.Var(range(3), bounds=(0, 12))
    cost = np.sort(rng.uniform(1, 4, 3))
    need = float(rng.uniform(8, 12))
    m.low.need = pyo.Constraint(expr=m.low.x[0] + m.low.x[1] + m.low.x[2] >= need)
    m.low.room = pyo.Constraint(expr=m.low.x[0] <= 4 + 3 * m.build)
    m.low.ramp = pyo.Constraint(expr=m.low.x[1] <= 5)
    m.low.objective = pyo.Objective(expr=(cost[0] + m.tax) * m.low.x[0] + cost[1] * m.low.x[1] + cost[2] * m.low.x[2])
    m.objective = pyo.Objective(expr=m.tax * m.low.x[0] - 1.5 * m.build, sense=pyo.maximize)
    problem = bilevel.read_model(m, [m.low]).problem
    return problem


def answer(problem, method, fault):
    """Solve with a fault seeded into the single-level program."""
    bounds = [bounds_for(problem, 0, method, 5.0)]
    single = assemble(problem, [method], bounds)
    wrong = fault(single) if fault else single
    search = DecisionSearch(problem)
    find_start(search, None, 1.0, 60.0, flips=False)
    outcome = run(Task(wrong, None, [], 1e-6, 3.0, 4000.0, 1e-7, 0, False, {}))
    return conclude(problem, wrong, bounds, search, outcome, SolveOptions(gap=1e-5))


def _row(single: SingleLevel, block: str, change, position: int = 0) -> SingleLevel:
    """Change the entries or sides of a row of a block."""
    names = [name for name, _, _ in single.row_blocks]
    _, first, count = single.row_blocks[names.index(block)]
    i = first + position % count
    rows = single.rows.copy().tolil()
    low, high = single.row_lower.copy(), single.row_upper.copy()
    change(rows, low, high, i)
    return replace(single, rows=rows.tocsr(), row_lower=low, row_upper=high)


def drop(rows, low, high, i):
    low[i], high[i] = -np.inf, np.inf


def flip_sides(rows, low, high, i):
    low[i], high[i] = -high[i], -low[i]


def flip_entry(k):
    def change(rows, low, high, i):
        j = rows.rows[i][k % len(rows.rows[i])]
        rows[i, j] = -rows[i, j]

    return change


def scale_entry(k, factor):
    def change(rows, low, high, i):
        j = rows.rows[i][k % len(rows.rows[i])]
        rows[i, j] = factor * rows[i, j]

    return change


def _bound(single: SingleLevel, block: str, low=None, high=None, position=0) -> SingleLevel:
    names = [name for name, _, _ in single.blocks]
    _, first, count = single.blocks[names.index(block)]
    lower, upper = single.lower.copy(), single.upper.copy()
    if low is not None:
        lower[first + position % count] = low
    if high is not None:
        upper[first + position % count] = high
    return replace(single, lower=lower, upper=upper)


def narrow(share):
    """Shrink the right-hand side, and with it the room the row leaves."""

    def change(rows, low, high, i):
        high[i] *= share

    return change


def _without_block(single: SingleLevel, block: str) -> SingleLevel:
    (place,) = [(first, count) for name, first, count in single.row_blocks if name == block]
    low, high = single.row_lower.copy(), single.row_upper.copy()
    low[place[0] : sum(place)], high[place[0] : sum(place)] = -np.inf, np.inf
    return replace(single, row_lower=low, row_upper=high)


FAULTS = {
    "strong duality row missing": ("strong_duality", lambda s: _row(s, "low strong duality", drop)),
    **{f"strong duality sign {k}": ("strong_duality", lambda s, k=k: _row(s, "low strong duality", flip_entry(k))) for k in range(8)},
    **{f"strong duality weight {k}": ("strong_duality", lambda s, k=k: _row(s, "low strong duality", scale_entry(k, 0.5))) for k in range(8)},
    **{f"stationarity missing {i}": ("strong_duality", lambda s, i=i: _row(s, "low stationarity", drop, i)) for i in range(3)},
    **{
        f"stationarity sign {i} {k}": ("strong_duality", lambda s, i=i, k=k: _row(s, "low stationarity", flip_entry(k), i))
        for i in range(3)
        for k in range(3)
    },
    **{f"wrong dual sign {i}": ("strong_duality", lambda s, i=i: _bound(s, "low dual", low=0.0, high=10.0, position=i)) for i in range(3)},
    **{f"dual fixed at zero {i}": ("strong_duality", lambda s, i=i: _bound(s, "low dual", low=0.0, high=0.0, position=i)) for i in range(3)},
    **{f"small multiplier bound {m}": ("strong_duality", lambda s, m=m: _bound(s, "low dual", low=-m, position=1)) for m in (0.05, 0.2)},
    "capacity row missing": ("strong_duality", lambda s: _row(s, "low rows", drop, 1)),
    "need row missing": ("strong_duality", lambda s: _row(s, "low rows", drop, 0)),
    "pairs missing": ("sos1", lambda s: replace(s, pairs=[p[2:] for p in s.pairs])),
    "all pairs missing": ("sos1", lambda s: replace(s, pairs=[])),
    "pair of the wrong columns": ("sos1", lambda s: replace(s, pairs=[np.column_stack([p[:, 0], np.roll(p[:, 1], 1)]) for p in s.pairs])),
    **{f"sos1 stationarity sign {k}": ("sos1", lambda s, k=k: _row(s, "low stationarity", flip_entry(k), 0)) for k in range(4)},
    "sos1 slack sign": ("sos1", lambda s: _row(s, "low slack (definition)", flip_entry(1), 0)),
    "sos1 missing lower bound pair": ("sos1", lambda s: replace(s, pairs=[p[:3] for p in s.pairs])),
    **{
        f"small big-M of multiplier {i}, times {m}": (
            "big_m",
            lambda s, i=i, m=m: _row(s, "low multiplier below big-M", scale_entry(1, m), i),
        )
        for i in range(5)
        for m in (0.0, 0.02)
    },
    **{f"small big-M of slack {i}": ("big_m", lambda s, i=i: _row(s, "low slack below big-M", narrow(0.3), i)) for i in range(5)},
    "big-M rows of multipliers missing": ("big_m", lambda s: _without_block(s, "low multiplier below big-M")),
    "big-M rows of slacks missing": ("big_m", lambda s: _without_block(s, "low slack below big-M")),
    **{f"indicator missing {k}": ("indicator", lambda s, k=k: replace(s, indicators=[s.indicators[k]])) for k in range(2)},
    "indicators turned": ("indicator", lambda s: replace(s, indicators=[replace(g, active=not g.active) for g in s.indicators])),
    "products missing": ("product", lambda s: replace(s, curved=[row for row in s.curved if "pair" not in row.name])),
    "product of one pair missing": ("product", lambda s: replace(s, curved=s.curved[2:])),
}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_harmful_fault_is_caught(seed):
    harmful, missed = 0, []
    problem = market(seed)
    truth = {method: answer(problem, method, None) for method in ("strong_duality", "sos1", "big_m", "indicator", "product")}
    assert {t.status for t in truth.values()} == {"optimal"}
    assert [t.objective for t in truth.values()] == pytest.approx([truth["sos1"].objective] * len(truth), rel=1e-6)
    for name, (method, fault) in FAULTS.items():
        found = answer(problem, method, fault)
        right = found.status == "optimal" and found.objective == pytest.approx(truth[method].objective, rel=1e-5)
        if right:
            # The fault did not matter for this instance: the answer is the optimum all the same.
            continue
        harmful += 1
        if found.status == "optimal":
            missed.append(name)
    assert not missed
    assert harmful >= 50


def test_a_wrong_answer_of_a_follower_fails_its_certificate():
    case = feeder(4, 8, 1)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    rng = np.random.default_rng(3)
    y = np.where(problem.leader.integral, 1.0, 0.1)
    solution = CompiledProgram(problem.followers[0].program).solve(y)
    good = certify_follower(problem, 0, y, solution.x, solution.y)
    assert good.holds()
    for _ in range(10):
        j = int(rng.integers(solution.x.size))
        wrong = solution.x.copy()
        wrong[j] += 0.1
        assert not certify_follower(problem, 0, y, wrong, solution.y).holds()
        i = int(rng.choice(problem.followers[0].program.rows["balance"].positions.ravel()))
        dual = solution.y.copy()
        dual[i] += 0.5
        assert not certify_follower(problem, 0, y, solution.x, dual).holds()


def test_a_follower_without_a_gap_leaves_the_answer_without_one():
    case = feeder(3, 4, 1)
    certificate = bilevel.solve(case.model, [case.follower], time_limit=60).certificate
    known = certificate.followers[0]
    assert certificate.follower_gap == abs(known.gap)
    # Whichever comes first.
    for gaps in ((np.nan, 0.1), (0.1, np.nan)):
        assert np.isnan(replace(certificate, followers=tuple(replace(known, gap=gap) for gap in gaps)).follower_gap)


def test_an_exact_value_below_a_proven_bound_is_no_value():
    case = feeder(3, 4, 1)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    search = DecisionSearch(problem)
    response = search.responder.respond(search.clipped(np.zeros(problem.leader.size)))
    for above, known in ((-1.0, True), (1e-6, True), (1e-2, False)):
        bound = response.objective + above * abs(response.objective)
        assert (_consistent(response, bound)[1] == bound) == known
    assert _consistent(None, np.inf) == (None, np.inf)
