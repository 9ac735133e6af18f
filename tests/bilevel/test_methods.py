"""All methods agree with each other, with enumeration, and with Pyomo's own KKT transformation."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from multiscale import bilevel
from multiscale.bilevel.search.price_search import PriceSearch
from multiscale.bilevel.search.response import Responder
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import Block, CompiledProgram, Index, Output
from tests.bilevel.feeder import TARIFF_CAP, feeder
from tests.bilevel.published import INSTANCES
from tests.bilevel.small import random_small

# Published followers state terms of leader variables alone in their costs.
pytestmark = pytest.mark.filterwarnings("ignore::multiscale.bilevel.BilevelWarning")


def random_tariff_problem(seed):
    """Two prices and two binaries against a linear follower with three sources."""
    rng = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.price = pyo.Var(range(2), bounds=(0, 2))
    m.build = pyo.Var(range(2), domain=pyo.Binary)
    low = m.low = pyo.Block()
    low.x = pyo.Var(range(3), bounds=(0, 8))
    low.need = pyo.Constraint(expr=sum(low.x[j] for j in range(3)) >= 6)
    low.room = pyo.Constraint(range(2), rule=lambda b, k: b.x[k] <= 2 + 2 * m.build[k])
    cost = rng.uniform(0.5, 3, 3)
    low.objective = pyo.Objective(expr=sum((float(cost[j]) + (m.price[j] if j < 2 else 0)) * low.x[j] for j in range(3)))
    m.objective = pyo.Objective(
        expr=sum(m.price[j] * low.x[j] for j in range(2)) - float(rng.uniform(0.2, 1.5)) * (m.build[0] + m.build[1]), sense=pyo.maximize
    )
    return m


@pytest.mark.parametrize("seed", range(4))
def test_methods_agree_on_random_tariff_problems(seed):
    found = {}
    for method in ("sos1", "indicator", "product", "big_m", "strong_duality", "branch_and_cut"):
        m = random_tariff_problem(seed)
        solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=30)
        assert solution.status == "optimal", (method, solution.message)
        found[method] = solution.objective
    assert list(found.values()) == pytest.approx([found["sos1"]] * len(found), rel=1e-5)


def test_pairs_alone_do_not_lose_the_best_decision():
    """SCIP's rows from implications between SOS1 pairs cut off the decision worth -41 and called -11.875 optimal.

    At ``y = (1, 0)`` the sources left are ``x_2, x_5 <= 2`` and the dear one, of which the need of 7 takes 2, 2 and 3: ``5*2 + 2*2 + 9*3 = 41``.
    """
    model, followers = random_small(20447, 12).model()
    solution = bilevel.solve(model, followers, method="sos1", gap=1e-5, time_limit=60, heuristic=False, start_share=0.0)
    assert solution.bound <= -41.0 + 1e-4
    assert (solution.status, solution.objective) == ("optimal", pytest.approx(-41.0, rel=1e-6))


@pytest.mark.parametrize(("hard", "tariffs"), [(False, 1), (True, 1), pytest.param(True, 2, marks=pytest.mark.slow)])
def test_branch_and_cut_agrees_with_strong_duality(hard, tariffs):
    values = []
    for method in ("strong_duality", "branch_and_cut"):
        case = feeder(5, 12, tariffs, hard=hard, seed=7)
        solution = bilevel.solve(case.model, [case.follower], method=method, gap=1e-5, time_limit=60)
        assert solution.status == "optimal"
        values.append(solution.objective)
    assert values[0] == pytest.approx(values[1], rel=2e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_price_search_is_exact_at_fixed_investment(seed):
    case = feeder(5, 12, 1, hard=True, seed=seed)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    search = PriceSearch(problem, Responder(problem))
    assert search.applies
    compiled, feasible = CompiledProgram(case.program), 0
    for built in itertools.islice(itertools.product([1.0, 0.0], repeat=case.investment.size), 0, None, 5):
        y = np.zeros(problem.leader.size)
        y[problem.leader.integral] = built
        answer = search.solve(y, gap=1e-7)
        best = np.inf
        for tariff in np.linspace(0, TARIFF_CAP, 301):
            solution = compiled.solve({"tariff": tariff, "built": np.array(built)})
            paid = tariff * float(solution.output("import_energy").to_numpy()[0])
            if paid >= case.base + case.investment @ built:
                best = min(best, case.investment @ built + solution.objective - paid)
        assert answer.bound <= best + 1e-7
        if np.isfinite(best):
            feasible += 1
            assert answer.response is not None
            assert answer.response.objective <= best + 1e-7
            assert answer.response.objective == pytest.approx(answer.bound, rel=1e-6)
    assert feasible >= 3


@pytest.mark.parametrize("name", ["bf_1982_01", "b_1984_01", "as_1984_01", "cw_1990_02"])
def test_pyomos_own_conditions_hold_at_our_answer(name):
    """``core.kkt`` builds the conditions independently; our primal answer leaves them a multiplier."""
    (instance,) = [i for i in INSTANCES if i.name == name]
    model, lower = instance.model()
    solution = bilevel.solve(model, [lower], gap=1e-6, time_limit=20)
    assert solution.status == "optimal"
    answer = {v.name: v.value for v in model.component_data_objects(pyo.Var)}
    oracle, block = instance.model()
    upper = list(oracle.component_data_objects(pyo.Var, descend_into=False))
    kkt = pyo.TransformationFactory("core.kkt")
    kkt.apply_to(block, parameterize_wrt=upper)
    multipliers = [v for v in oracle.component_data_objects(pyo.Var, descend_into=True) if v.name not in answer]
    for v in oracle.component_data_objects(pyo.Var, descend_into=True):
        if v.name in answer:
            v.fix(answer[v.name])
    assert multipliers

    def binds(thing):
        if thing.ctype is pyo.Var:
            return min(abs(thing.value - end) for end in thing.bounds if end is not None) <= 1e-6
        return min(thing.lslack(), thing.uslack()) <= 1e-6

    # With x and y fixed, stationarity is linear in the multipliers; complementarity switches off those of rows that do not bind.
    multipliers = [v for v in multipliers if binds(kkt.get_object_from_multiplier(block, v))]
    rows = [c for c in oracle.component_data_objects(pyo.Constraint, active=True, descend_into=True) if not c.body.is_fixed() and c.equality]
    place = {id(v): k for k, v in enumerate(multipliers)}
    from pyomo.repn import generate_standard_repn
    from scipy.optimize import lsq_linear

    matrix, target = np.zeros((len(rows), len(multipliers))), np.zeros(len(rows))
    for i, row in enumerate(rows):
        repn = generate_standard_repn(row.body)
        target[i] = pyo.value(row.lower) - repn.constant
        for v, a in zip(repn.linear_vars, repn.linear_coefs, strict=True):
            if id(v) not in place:
                continue
            matrix[i, place[id(v)]] = a
    bounds = [(-np.inf if v.lb is None else v.lb, np.inf if v.ub is None else v.ub) for v in multipliers]
    residual = lsq_linear(matrix, target, bounds=tuple(np.array(bounds).T)).fun
    assert np.abs(residual).max(initial=0.0) <= 1e-5


def enumerated_optimum(problem):
    """Least leader objective over all complementary patterns of a linear follower: one linear program for each."""
    leader, (follower,) = problem.leader, problem.followers
    program = follower.program
    n, m, k = program.columns.size, program.rows.size, leader.size
    spread = sparse.vstack([q.matrix for q in leader.quantities], format="csr")
    costs = np.zeros(k + spread.shape[0])
    np.add.at(costs, leader.objective.columns, leader.objective.coefficients)
    low, high = np.flatnonzero(np.isfinite(program.lower)), np.flatnonzero(np.isfinite(program.upper))
    inequalities = np.flatnonzero(~program.equality)
    eye = sparse.identity(n, format="csr")
    # Columns: y, x, lambda, r_l, r_u.
    blocks = [
        [leader.matrix[:, :k], leader.matrix[:, k:] @ spread, None, None, None],
        [-program.B, program.A, sparse.csr_matrix((m, m)), None, None],
        [program.C, None, -program.A.T, -eye[:, low], eye[:, high]],
    ]
    matrix = sparse.bmat([row for row in blocks if row[0].shape[0]], format="csc")
    lower = np.concatenate([leader.lower, program.lower, np.full(m, -np.inf), np.zeros(low.size + high.size)])
    upper = np.concatenate([leader.upper, program.upper, np.where(program.equality, np.inf, 0.0), np.full(low.size + high.size, np.inf)])
    row_low = np.concatenate([leader.row_lower, np.where(program.equality, program.b0, -np.inf), -program.c0])
    row_high = np.concatenate([leader.row_upper, program.b0, -program.c0])
    objective = np.concatenate([costs[:k], spread.T @ costs[k:], np.zeros(m + low.size + high.size)])
    first = leader.row_lower.size
    best = np.inf
    for pattern in itertools.product((0, 1), repeat=inequalities.size + low.size + high.size):
        lo, up, rows = lower.copy(), upper.copy(), row_low.copy()
        for place, side in enumerate(pattern):
            if place < inequalities.size:
                i = inequalities[place]
                if side:
                    rows[first + i] = row_high[first + i]
                else:
                    lo[k + n + i] = 0.0
            elif place < inequalities.size + low.size:
                j = place - inequalities.size
                if side:
                    up[k + low[j]] = program.lower[low[j]]
                else:
                    up[k + n + m + j] = 0.0
            else:
                j = place - inequalities.size - low.size
                if side:
                    lo[k + high[j]] = program.upper[high[j]]
                else:
                    up[k + n + m + low.size + j] = 0.0
        if (lo > up).any():
            continue
        answer = LinearProgram(matrix, rows, row_high, lo, up, objective).solve()
        if answer.status == "optimal":
            best = min(best, answer.value)
    return leader.sense * (best + leader.objective.constant)


@pytest.mark.parametrize("name", ["hhz_2009", "md_2006_01", "lwsl_2007", "g_2009", "wjl_2005", "bb_1990_a", "cw_1988_01"])
def test_optima_are_proven_by_enumerating_all_patterns(name):
    (instance,) = [i for i in INSTANCES if i.name == name]
    model, lower = instance.model()
    assert enumerated_optimum(bilevel.read_model(model, [lower]).problem) == pytest.approx(instance.optimum, rel=1e-6)


def two_communities(tariff):
    """Two feeders under one owner: a common tariff (a variable's bounds, or a number), lines of each."""
    cases = [feeder(3, 6, 1, hard=True, seed=s) for s in (1, 2)]
    m = pyo.ConcreteModel()
    m.build = pyo.Var(range(4), domain=pyo.Binary)
    m.tariff = pyo.Var(bounds=tariff) if isinstance(tariff, tuple) else pyo.Param(initialize=tariff)
    followers = []
    for i, case in enumerate(cases):
        built = [m.build[2 * i], m.build[2 * i + 1]]
        followers.append(bilevel.ProgramFollower(case.program, {"tariff": m.tariff, "built": built}, model=m, name=f"community{i}"))
    spent = sum(float(c) * m.build[k] for k, c in enumerate(np.concatenate([case.investment for case in cases])))
    revenue = sum(m.tariff * f.output("import_energy")[0] for f in followers)
    m.recovery = pyo.Constraint(expr=revenue >= 0.5 * sum(case.base for case in cases) + spent)
    m.objective = pyo.Objective(expr=spent + sum(f.cost for f in followers) - revenue)
    return m, followers, cases


@pytest.mark.parametrize("tariff", [0.25, (0, TARIFF_CAP)], ids=["given", "chosen"])
def test_followers_that_share_a_tariff_agree_with_enumeration(tariff):
    values = []
    for method in ("auto", "strong_duality"):
        m, followers, cases = two_communities(tariff)
        solution = bilevel.solve(m, followers, method=method, gap=1e-4, time_limit=60)
        assert solution.status == "optimal", solution.message
        values.append(solution.objective)
    best = np.inf
    compiled = [CompiledProgram(case.program) for case in cases]
    base = 0.5 * sum(case.base for case in cases)
    grid = [tariff] if isinstance(tariff, float) else np.linspace(0, TARIFF_CAP, 101)
    lines = list(itertools.product([0.0, 1.0], repeat=2))
    for price in grid:
        # A feeder's answer depends on its own lines only.
        answers = [[p.solve_optimal({"tariff": price, "built": np.array(own)}) for own in lines] for p in compiled]
        for pair in itertools.product(range(len(lines)), repeat=2):
            spent = sum(float(case.investment @ lines[k]) for case, k in zip(cases, pair, strict=True))
            chosen = [answers[i][k] for i, k in enumerate(pair)]
            paid = price * sum(float(a.output("import_energy").to_numpy()[0]) for a in chosen)
            if paid >= base + spent - 1e-9:
                best = min(best, spent + sum(a.objective for a in chosen) - paid)
    assert values[0] == pytest.approx(values[1], rel=2e-4)
    assert values[0] <= best * (1 + 1e-4)
    assert values[0] == pytest.approx(best, rel=1e-4 if isinstance(tariff, float) else 1e-2)


def test_a_leader_who_values_resources_instead_of_payments():
    """Resource cost without a levy is a combination of the follower's cost and the charged energy: the exact price search takes it."""
    values = []
    for method in ("auto", "strong_duality"):
        case = feeder(4, 8, 1, hard=True, seed=4)
        program = case.program
        charged = program.outputs["import_energy"]
        resource = Output(Index((Block("resource_cost", {}, "EUR", 0),)), sparse.csr_matrix(program.c0[None, :]) - 0.02 * charged.matrix)
        program = replace(program, outputs={"import_energy": charged, "resource_cost": resource})
        m = pyo.ConcreteModel()
        m.build = pyo.Var(range(3), domain=pyo.Binary)
        m.tariff = pyo.Var(bounds=(0, TARIFF_CAP))
        follower = bilevel.ProgramFollower(program, {"tariff": m.tariff, "built": m.build}, model=m)
        spent = sum(float(c) * m.build[k] for k, c in enumerate(case.investment))
        m.recovery = pyo.Constraint(expr=m.tariff * follower.output("import_energy")[0] >= case.base + spent)
        m.objective = pyo.Objective(expr=spent + follower.output("resource_cost"))
        problem = bilevel.read_model(m, [follower]).problem
        assert PriceSearch(problem, Responder(problem)).applies
        solution = bilevel.solve(m, [follower], method=method, gap=1e-4, time_limit=60)
        assert solution.status == "optimal", solution.message
        values.append(solution.objective)
    assert values[0] == pytest.approx(values[1], rel=2e-4)
