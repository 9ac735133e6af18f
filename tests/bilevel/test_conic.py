"""Followers with second-order cones: published and hand-derived optima, branch flow against enumeration, refusals, qualifications."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy.optimize import minimize_scalar

from multiscale import bilevel
from multiscale.bilevel.certify.certificate import certify_follower
from multiscale.bilevel.certify.conclude import conclude
from multiscale.bilevel.problem.equations import kkt_equations
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.bilevel.scip.client import run
from multiscale.bilevel.scip.worker import Task
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Responder
from multiscale.bilevel.solvers.conic_program import ConicProgram, conic_residual
from multiscale.programs import ProgramBuilder

METHODS = ("auto", "strong_duality", "sos1", "product", "indicator")


def cone_only():
    """Chi, Wan and Hao 2014 (Journal of Inequalities and Applications, 168) and the tests of BilevelJuMP built on it."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3))
    m.x[0].setlb(0)
    m.up = pyo.Constraint(expr=m.x[1] ** 2 + m.x[2] ** 2 <= m.x[0] ** 2)
    low = m.low = pyo.Block()
    low.y = pyo.Var(range(3))
    low.y[0].setlb(0)
    low.soc = pyo.Constraint(expr=low.y[1] ** 2 + low.y[2] ** 2 <= low.y[0] ** 2)
    low.objective = pyo.Objective(expr=low.y[0])
    m.objective = pyo.Objective(expr=m.x[0])
    return m


def two_columns():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(2, 6))
    low = m.low = pyo.Block()
    low.y = pyo.Var(range(2), bounds=(0, None))
    d = low.y[0] - low.y[1]
    low.a = pyo.Constraint(expr=m.x + d <= 8)
    low.b = pyo.Constraint(expr=m.x + 4 * d >= 8)
    low.c = pyo.Constraint(expr=m.x + 2 * d <= 12)
    low.soc = pyo.Constraint(expr=low.y[1] ** 2 <= low.y[0] ** 2)
    low.objective = pyo.Objective(expr=-d)
    m.objective = pyo.Objective(expr=m.x + 3 * d)
    return m


def disconnected():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 6))
    low = m.low = pyo.Block()
    low.y = pyo.Var(range(2))
    low.y[0].setlb(0)
    low.y[1].setub(0)
    s = low.y[0] + low.y[1]
    low.a = pyo.Constraint(expr=m.x + s <= 8)
    low.b = pyo.Constraint(expr=m.x + 3 * s >= 8)
    low.c = pyo.Constraint(expr=-m.x + s <= 0)
    low.soc = pyo.Constraint(expr=low.y[1] ** 2 <= low.y[0] ** 2)
    low.objective = pyo.Objective(expr=-s)
    m.narrow = pyo.Constraint(expr=s <= 3)
    m.objective = pyo.Objective(expr=m.x + 2 * s)
    return m


def three_columns():
    """The head has no bound of its own: that it is positive follows from the rows."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(2, 6))
    low = m.low = pyo.Block()
    low.y = pyo.Var(range(3))
    low.a = pyo.Constraint(expr=m.x + low.y[0] <= 8)
    low.b = pyo.Constraint(expr=m.x + 4 * low.y[0] >= 8)
    low.c = pyo.Constraint(expr=m.x + 2 * low.y[0] <= 12)
    low.soc = pyo.Constraint(expr=low.y[1] ** 2 + low.y[2] ** 2 <= low.y[0] ** 2)
    low.objective = pyo.Objective(expr=-low.y[0])
    m.objective = pyo.Objective(expr=m.x + 3 * low.y[0])
    return m


@pytest.mark.parametrize(("build", "optimum"), [(cone_only, 0.0), (two_columns, 12.0), (disconnected, 6.0), (three_columns, 12.0)])
def test_published_conic_followers(build, optimum):
    applied = 0
    for method in METHODS:
        m = build()
        try:
            solution = bilevel.solve(m, [m.low], method=method, gap=1e-5, time_limit=20)
        except bilevel.BilevelError:
            # The continuous leader variable of the rows would multiply duals without proven bounds.
            assert method == "strong_duality"
            continue
        applied += 1
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective == pytest.approx(optimum, abs=1e-5)
        assert solution.certificate.follower_gap <= 1e-6
    assert applied >= 4


def disc(sense=pyo.minimize):
    """The follower moves over a disc of radius 5 and pays the leader's price on x."""
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(0, 2))
    low = m.low = pyo.Block()
    low.x, low.y = pyo.Var(), pyo.Var()
    low.disc = pyo.Constraint(expr=low.x**2 + low.y**2 <= 25)
    cost = -3 * low.x - 4 * low.y + m.price * low.x
    low.objective = pyo.Objective(expr=cost if sense == pyo.minimize else -cost, sense=sense)
    m.objective = pyo.Objective(expr=m.price * low.x, sense=pyo.maximize)
    return m


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize])
def test_a_price_on_a_disc(sense):
    # The follower's answer is 5 (3 - p, 4) / |(3 - p, 4)|.
    best = minimize_scalar(lambda p: -5 * p * (3 - p) / np.hypot(3 - p, 4), bounds=(0, 2), method="bounded", options={"xatol": 1e-10})
    for method in METHODS:
        m = disc(sense)
        solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=30)
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective == pytest.approx(-best.fun, rel=1e-6)
        # Optimum -5 |c| and radius^2 = 25: d optimum / d 25 = -|c| / (2 * 5), of the other sign for the maximising twin.
        length = np.hypot(3 - m.price.value, 4)
        assert solution.dual_of(m.low.disc) == pytest.approx((1 if sense == pyo.maximize else -1) * length / 10, rel=1e-5)


@pytest.mark.parametrize(("method", "reason"), [("big_m", "not a choice between two sides"), ("branch_and_cut", "takes linear followers")])
def test_methods_that_cannot_take_cones_say_why(method, reason):
    m = disc()
    with pytest.raises(bilevel.BilevelError, match=rf"'low' has second-order cones.*{reason}"):
        bilevel.solve(m, [m.low], method=method, time_limit=10)


def branch_flow(buses, *, switched=False):
    """Branch flow of a radial feeder (Farivar and Low 2013) [p.u.]: a tariff on import, a binary for each line's current limit."""
    m = pyo.ConcreteModel()
    m.tariff = pyo.Var(bounds=(0, 0.3))
    m.build = pyo.Var(range(1, buses), domain=pyo.Binary)
    dso = m.dso = pyo.Block()
    lines = range(1, buses)
    r, x = 0.06, 0.03
    load = [0.45 + 0.1 * n for n in range(buses)]
    dso.P, dso.Q = pyo.Var(lines), pyo.Var(lines)
    dso.l, dso.v = pyo.Var(lines, bounds=(0, None)), pyo.Var(range(buses), bounds=(0.81, 1.21))
    dso.own, dso.shed = pyo.Var(lines, bounds=(0, 0.4)), pyo.Var(lines, bounds=(0, None))
    dso.v[0].fix(1.0)
    after = {n: [n + 1] if n + 1 < buses else [] for n in lines}
    dso.balance = pyo.Constraint(lines, rule=lambda b, n: b.P[n] - r * b.l[n] + b.own[n] + b.shed[n] == load[n] + sum(b.P[k] for k in after[n]))
    if not switched:
        dso.reactive = pyo.Constraint(lines, rule=lambda b, n: b.Q[n] - x * b.l[n] == 0.3 * load[n] + sum(b.Q[k] for k in after[n]))
        dso.drop = pyo.Constraint(lines, rule=lambda b, n: b.v[n] == b.v[n - 1] - 2 * (r * b.P[n] + x * b.Q[n]) + (r * r + x * x) * b.l[n])
    dso.current = pyo.Constraint(lines, rule=lambda b, n: b.P[n] ** 2 + b.Q[n] ** 2 <= b.l[n] * b.v[n - 1])
    if switched:
        dso.room = pyo.Constraint(lines, rule=lambda b, n: b.l[n] <= 0.5 * m.build[n])
        dso.flow = pyo.Constraint(lines, [1, -1], rule=lambda b, n, s: s * b.P[n] <= m.build[n])
        dso.swing = pyo.Constraint(lines, [1, -1], rule=lambda b, n, s: s * b.Q[n] <= m.build[n])
    else:
        dso.room = pyo.Constraint(lines, rule=lambda b, n: b.l[n] <= 0.35 + 0.9 * m.build[n])
    dso.cost = pyo.Objective(
        expr=(0.1 + m.tariff) * dso.P[1] + sum((0.16 + 0.05 * n) * dso.own[n] + 0.15 * dso.own[n] ** 2 + dso.shed[n] for n in lines)
    )
    m.objective = pyo.Objective(expr=m.tariff * dso.P[1] - sum(0.03 / n * m.build[n] for n in lines), sense=pyo.maximize)
    return m


@pytest.mark.parametrize(("buses", "switched"), [(2, False), (3, False), (2, True)])
def test_branch_flow_agrees_with_enumeration(buses, switched):
    m = branch_flow(buses, switched=switched)
    problem = bilevel.read_model(m, [m.dso]).problem
    responder = Responder(problem)
    best = -np.inf
    where = {name: k for k, name in enumerate(problem.leader.names)}
    for built in itertools.product((0.0, 1.0), repeat=buses - 1):
        y = np.zeros(problem.leader.size)
        for n, value in enumerate(built, start=1):
            y[where[f"build[{n}]"]] = value
        for tariff in np.linspace(0, 0.3, 61):
            y[where["tariff"]] = tariff
            response = responder.respond(y)
            best = max(best, -response.objective)
    for method in ("strong_duality", "sos1"):
        m = branch_flow(buses, switched=switched)
        solution = bilevel.solve(m, [m.dso], method=method, gap=1e-4, time_limit=30)
        assert solution.status == "optimal", (method, solution.message)
        assert solution.objective >= best - 1e-4 * abs(best)
        # The tariff grid of the enumeration is 0.005 apart.
        assert solution.objective == pytest.approx(best, rel=3e-3)
        assert "qualification: an interior point" in solution.describe()


def test_duals_of_a_conic_follower_are_finite_differences():
    m = branch_flow(3)
    m.price = pyo.Var()
    m.link = pyo.Constraint(expr=m.price == bilevel.dual_of(m.dso.balance[2]))
    m.tariff.fix(0.05)
    m.build.fix(0)
    read = bilevel.read_model(m, [m.dso])
    follower = read.problem.followers[0]
    solution = bilevel.solve(m, [m.dso], time_limit=30)
    assert solution.status == "optimal", solution.message
    y = np.zeros(read.problem.leader.size)
    program = follower.program
    (row,) = [i for i in range(program.rows.size) if "balance[2]" in program.rows.label(i)]
    ends = []
    for step in (1e-4, -1e-4):
        moved = program.b0.copy()
        moved[row] += step
        ends.append(ConicProgram(replace(follower, program=replace(program, b0=moved))).solve(y).objective)
    assert m.price.value == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-5)
    assert solution.dual_of(m.dso.balance[2]) == pytest.approx(m.price.value, rel=1e-6)


def program_with_a_cone():
    """Least head above two given entries: sqrt(3^2 + (4 + move)^2)."""
    b = ProgramBuilder("length")
    move = b.add_parameters("move", {}, unit="1")
    head = b.add_columns("head", {}, unit="1", cost=1.0)
    tail = b.add_columns("tail", {"axis": np.array(["x", "y"])}, unit="1", lower=-np.inf)
    b.add_rows("first", {}, [(1.0, tail[0])], "==", 3.0, unit="1")
    b.add_rows("second", {}, [(1.0, tail[1])], "==", 4.0, unit="1", parameters=[(1.0, move)])
    return b.build(), [np.array([int(head), *tail])]


def test_a_program_follower_may_have_cones():
    program, cones = program_with_a_cone()
    m = pyo.ConcreteModel()
    m.move = pyo.Var(bounds=(-2, 8))
    length = bilevel.ProgramFollower(program, {"move": m.move}, model=m, cones=cones)
    m.objective = pyo.Objective(expr=length.cost + 0.2 * (m.move - 1) ** 2)
    solution = bilevel.solve(m, [length], gap=1e-6, time_limit=30)
    best = minimize_scalar(lambda s: np.hypot(3, 4 + s) + 0.2 * (s - 1) ** 2, bounds=(-2, 8), method="bounded", options={"xatol": 1e-10})
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(best.fun, rel=1e-5)
    assert float(solution.duals("length", "second")) == pytest.approx((4 + best.x) / np.hypot(3, 4 + best.x), abs=1e-3)
    with pytest.raises(bilevel.BilevelError, match="cone 0 names the columns"):
        bilevel.ProgramFollower(program, {"move": 0.0}, model=m, cones=[[0]])


def plain():
    m = pyo.ConcreteModel()
    m.z = pyo.Var(bounds=(0, 1))
    low = m.low = pyo.Block()
    low.x, low.y, low.w = pyo.Var(bounds=(-5, 5)), pyo.Var(bounds=(-5, 5)), pyo.Var(bounds=(0, 5))
    low.objective = pyo.Objective(expr=low.x + low.y + low.w + m.z * low.x)
    m.objective = pyo.Objective(expr=m.z + low.x)
    return m, low


REFUSED = {
    "an equation": (lambda low, _: low.x**2 + low.y**2 == 4, "is quadratic and an equation"),
    "both sides": (lambda low, _: (1, low.x**2 + low.y**2, 4), "bounded on both sides"),
    "outside a disc": (lambda low, _: low.x**2 + low.y**2 >= 4, "is not convex"),
    "a product": (lambda low, _: low.x * low.y <= 1, "is not convex|also allows"),
    "a saddle": (lambda low, _: low.x**2 - low.y**2 <= 1, "not a second-order cone|also allows"),
    "both sides of a double cone": (lambda low, _: low.x**2 <= low.y**2, r"also allows.*low\.y < 0.*Give low\.y bounds"),
    "no norm": (lambda low, _: pyo.sqrt(low.x**2 + low.y**2) <= low.w, "neither linear nor quadratic"),
    "leader next to a cone": (lambda low, z: low.x**2 <= low.w * (low.y + 6) + z, "leader variables next to it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_are_not_convex_are_refused_by_name(case):
    row, message = REFUSED[case]
    m, low = plain()
    low.bad = pyo.Constraint(expr=row(low, m.z))
    with pytest.raises(bilevel.BilevelError, match=rf"(?s)low\.bad.*({message})"):
        bilevel.solve(m, [low], time_limit=10)


def test_a_follower_without_interior_is_refused_by_name():
    m, low = plain()
    low.point = pyo.Constraint(expr=low.x**2 + low.y**2 <= 0)
    with pytest.raises(bilevel.BilevelError, match=r"low\.point.*no interior point.*constraint qualification"):
        bilevel.solve(m, [low], time_limit=10)


def test_a_decision_without_interior_is_reported_and_never_called_optimal():
    """At z = 0 the disc is a point, where the follower's optimum has no multiplier."""
    m, low = plain()
    low.disc = pyo.Constraint(expr=low.x**2 + low.y**2 <= m.z)
    m.objective.set_value((m.z - 0.5) ** 2 + low.x)
    solution = bilevel.solve(m, [low], method="sos1", time_limit=20)
    assert solution.status == "feasible"
    assert "low.disc has no interior point at z = 0" in solution.message
    assert solution.certificate.holds
    m.z.setlb(0.01)
    again = bilevel.solve(m, [low], method="sos1", gap=1e-6, time_limit=20)
    assert again.status == "optimal", again.message
    # x = -sqrt(z) (1 + z) / |(1 + z, 1)|.
    best = minimize_scalar(lambda z: (z - 0.5) ** 2 - np.sqrt(z) * (1 + z) / np.hypot(1 + z, 1), bounds=(0.01, 1), method="bounded")
    assert again.objective == pytest.approx(best.fun, rel=1e-5)


@pytest.mark.parametrize("method", ["strong_duality", "sos1"])
def test_rows_that_binaries_shut_keep_their_multipliers(method):
    """x_i^2 <= z_i is a point at z_i = 0; opening is worth 1 - cost_i."""
    m = pyo.ConcreteModel()
    m.z = pyo.Var(range(4), domain=pyo.Binary)
    low = m.low = pyo.Block()
    low.x = pyo.Var(range(4))
    # The last is written the other way round: 1 - z shuts it.
    low.room = pyo.Constraint(range(4), rule=lambda b, i: b.x[i] ** 2 <= (m.z[i] if i < 3 else 1 - m.z[i]))
    low.cost = pyo.Objective(expr=-sum(low.x[i] for i in range(4)))
    m.objective = pyo.Objective(expr=sum((0.5 + 0.2 * i) * m.z[i] for i in range(4)) - sum(low.x[i] for i in range(4)))
    solution = bilevel.solve(m, [m.low], method=method, gap=1e-6, time_limit=30)
    assert solution.status == "optimal", solution.message
    assert solution.objective == pytest.approx(0.5 + 0.7 + 0.9 - 4, abs=1e-5)
    # d(-sqrt(room)) / d room at a room of 1.
    assert solution.dual_of(low.room[0]) == pytest.approx(-0.5, abs=1e-4)


def test_a_least_cost_that_is_not_attained_is_never_called_optimal():
    """min y over x y >= 1 falls towards zero as x grows, and reaches it nowhere."""
    m = pyo.ConcreteModel()
    m.z = pyo.Var(bounds=(0, 1))
    low = m.low = pyo.Block()
    low.x, low.y = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    low.hyperbola = pyo.Constraint(expr=low.x * low.y >= 1)
    low.cost = pyo.Objective(expr=low.y)
    m.objective = pyo.Objective(expr=m.z + low.y)
    solution = bilevel.solve(m, [m.low], method="sos1", time_limit=20)
    assert solution.status == "error"
    assert "may not be attained" in solution.message


def test_the_dual_of_a_rotated_cone_is_refused_by_name():
    m, low = plain()
    low.rotated = pyo.Constraint(expr=low.x**2 + 1 <= low.w * (low.y + 6))
    m.objective.set_value(m.z + bilevel.dual_of(low.rotated))
    with pytest.raises(bilevel.BilevelError, match=r"dual_of\(low\.rotated\)"):
        bilevel.solve(m, [low], time_limit=10)


def test_wrong_answers_of_a_conic_follower_fail_their_certificate():
    m = branch_flow(2)
    problem = bilevel.read_model(m, [m.dso]).problem
    y = np.full(problem.leader.size, 0.0)
    answer = ConicProgram(problem.followers[0]).solve(y)
    assert conic_residual(problem.followers[0], y, answer.x, answer.y) <= 1e-8
    assert certify_follower(problem, 0, y, answer.x, answer.y).holds()
    rng = np.random.default_rng(5)
    for _ in range(8):
        wrong = answer.x.copy()
        wrong[rng.integers(wrong.size)] += 0.01
        assert not certify_follower(problem, 0, y, wrong, answer.y).holds()
        dual = answer.y.copy()
        dual[rng.integers(dual.size)] -= 0.01
        assert not certify_follower(problem, 0, y, answer.x, dual).holds()


def test_the_equations_name_the_cones():
    m = disc()
    text = kkt_equations(bilevel.read_model(m, [m.low]).problem.followers[0])
    assert "low.disc head" in text
    assert "cone" in text


def _without(single, ending):
    """The program without the curved rows of a name."""
    kept = [row for row in single.curved if not row.name.endswith(ending)]
    assert len(kept) < len(single.curved)
    return replace(single, curved=kept)


def _scaled_row(single, block, factor, position):
    """One coefficient of a row of a block times a factor."""
    (first,) = [first for name, first, _ in single.row_blocks if name == block]
    rows = single.rows.copy()
    rows.data[rows.indptr[first] + position] *= factor
    return replace(single, rows=rows)


FAULTS = {
    "primal cone missing": lambda s: _without(s, "low cone"),
    "dual cone missing": lambda s: _without(s, "dual cone"),
    "complementarity missing": lambda s: _without(s, "cone complementarity"),
    "strong duality and complementarity missing": lambda s: _scaled_row(_without(s, "cone complementarity"), "low strong duality", 0.0, 0),
    **{f"strong duality coefficient {k} turned": (lambda s, k=k: _scaled_row(s, "low strong duality", -1.0, k)) for k in range(3)},
    **{f"strong duality coefficient {k} halved": (lambda s, k=k: _scaled_row(s, "low strong duality", 0.5, k)) for k in range(3)},
    **{f"stationarity coefficient {k} of the other sign": (lambda s, k=k: _scaled_row(s, "low stationarity", -1.0, k)) for k in range(8)},
    **{f"definition coefficient {k} of the other sign": (lambda s, k=k: _scaled_row(s, "low rows", -1.0, k)) for k in range(4)},
}


def test_faults_in_the_conic_conditions_are_caught():
    def answer(fault):
        m = disc()
        problem = bilevel.read_model(m, [m.low]).problem
        bounds = [bounds_for(problem, 0, "strong_duality", 5.0)]
        single = fault(assemble(problem, ["strong_duality"], bounds))
        outcome = run(Task(single, None, [], 1e-6, 10.0, 4000.0, 1e-7, 0, False, {}))
        return conclude(problem, single, bounds, DecisionSearch(problem), outcome, SolveOptions(gap=1e-5))

    truth = answer(lambda single: single)
    assert truth.status == "optimal"
    harmful, missed = 0, []
    for name, fault in FAULTS.items():
        found = answer(fault)
        if found.status == "optimal" and found.objective == pytest.approx(truth.objective, rel=1e-5):
            continue
        harmful += 1
        if found.status == "optimal":
            missed.append(name)
    assert not missed
    assert harmful >= 10


def test_a_qualification_that_fails_exactly_at_the_optimum_is_not_called_proven():
    """``x^2 + z^2 <= y`` has no interior point at ``y = 0``, which is where the leader wants to be: the best certified point is near it."""
    m = pyo.ConcreteModel()
    m.y = pyo.Var(bounds=(0, 1))
    m.low = pyo.Block()
    m.low.x, m.low.z = pyo.Var(bounds=(-2, 2)), pyo.Var(bounds=(-2, 2))
    m.low.disc = pyo.Constraint(expr=m.low.x**2 + m.low.z**2 <= m.y)
    m.low.objective = pyo.Objective(expr=m.low.x + m.low.z)
    m.objective = pyo.Objective(expr=m.y - 0.1 * m.low.x)
    found = bilevel.solve(m, [m.low], gap=1e-5, time_limit=30)
    assert found.status != "optimal"
    assert 0 <= found.objective <= 1e-3
    assert "no interior point" in found.describe()
