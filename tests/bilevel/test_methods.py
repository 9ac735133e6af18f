"""All methods agree with each other, with enumeration, and with Pyomo's own KKT transformation."""

from __future__ import annotations

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.price_search import PriceSearch
from multiscale.bilevel.response import Responder
from multiscale.programs import CompiledProgram
from tests.bilevel.feeder import TARIFF_CAP, feeder
from tests.bilevel.published import INSTANCES


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


@pytest.mark.parametrize(("hard", "tariffs"), [(False, 1), (True, 1), (True, 2)])
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
    compiled = CompiledProgram(case.program)
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
            assert answer.response is not None
            assert answer.response.objective <= best + 1e-7
            assert answer.response.objective == pytest.approx(answer.bound, rel=1e-6)


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
