"""``auto`` against the textbook methods, in the same SCIP, on the families of ``bilevel_families.py``.

Run: ``python -m tests.benchmarks.bilevel_side_by_side --limit 60`` (all instances), or with a part of a name: ``... --limit 20 bidding``.

Contestants, all to a relative gap of 1e-3 with one thread:

- ``auto``: ``bilevel.solve_problem``; everything counts (multiplier bounds, start, reformulation, SCIP, certificate);
- ``sos1``: Pyomo's ``core.kkt`` of the follower, every complementary pair an SOS1 constraint;
- ``bigm``: ``core.kkt``, every pair a disjunction, ``gdp.bigm``.

The last two get the bounds of multipliers that are proven (propagation, linear programs), bounds of slacks from linear programs, and only
SCIP's own time counts. Where no bound of a multiplier is proven both get ten times the largest value seen at 20 random decisions of the
leader (not proven, and given to the textbook ways only). Seconds are CPU seconds; a run that ends without the gap counts with the limit.
``discopt`` (if it is installed) gets the same problems by its strong duality; its own time counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import queue
import sys
import time

import numpy as np
import psutil
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from scipy import sparse

from multiscale.bilevel import SolveOptions, solve_problem
from multiscale.bilevel.reformulate.bounds.dual_bounds import reduced_cost_bounds
from multiscale.bilevel.reformulate.bounds.prove import prove_bounds
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import CompiledProgram, Termination
from tests.benchmarks.bilevel_families import instances

GAP, SHIFT = 1e-3, 1.0
SCIP = {"limits/gap": GAP, "nlp/disable": True, "timing/clocktype": 1, "parallel/maxnthreads": 1}
"""Without the nonlinear solver, which aborts the process on products of prices and quantities; SCIP's clock counts CPU seconds."""


def _movable(program):
    """Columns with a lower bound, and with an upper one, that makes a pair: a fixed column has none."""
    moves = program.lower < program.upper
    return moves & np.isfinite(program.lower), moves & np.isfinite(program.upper)


def pair_bounds(problem):
    """Upper bounds of multipliers (rows, lower bounds, upper bounds) and of slacks in the same order; how many multipliers are not proven."""
    program, leader = problem.followers[0].program, problem.leader
    inequality = ~program.equality
    proven = prove_bounds(problem, 0, np.flatnonzero(inequality), time_limit=20.0)
    low, high = _movable(program)
    at_low, at_high = reduced_cost_bounds(problem, 0, proven)
    multipliers = np.concatenate([-proven.lower[inequality], at_low, at_high])
    unproven = ~np.isfinite(multipliers)
    if unproven.any():
        compiled, rng, seen = CompiledProgram(program), np.random.default_rng(0), np.zeros(multipliers.size)
        for _ in range(20):
            y = rng.uniform(leader.lower, leader.upper)
            y[leader.integral] = np.round(y[leader.integral])
            answer = compiled.solve(y)
            if answer.termination is Termination.OPTIMAL:
                reduced = answer.reduced_costs
                seen = np.maximum(seen, np.concatenate([-answer.y[inequality], np.maximum(reduced[low], 0), np.maximum(-reduced[high], 0)]))
        multipliers = np.where(unproven, 10.0 * np.maximum(seen, 0.1 * seen.max(initial=1.0)), multipliers)
    below = np.where(program.equality, program.b0, -np.inf)
    relaxed = LinearProgram(
        sparse.hstack([-program.B, program.A], format="csr"),
        below,
        program.b0,
        np.concatenate([leader.lower, program.lower]),
        np.concatenate([leader.upper, program.upper]),
        time_limit=120.0,
    )

    def most(y_weights, x_weights, constant):
        answer = relaxed.solve(-np.concatenate([y_weights, x_weights]))
        return constant - answer.value + 1e-6 if answer.status == "optimal" else 1e4

    none, eye = np.zeros(leader.size), np.eye(program.columns.size)
    slacks = [most(program.B[i].toarray().ravel(), -program.A[i].toarray().ravel(), program.b0[i]) for i in np.flatnonzero(inequality)]
    slacks += [most(none, eye[j], -program.lower[j]) for j in np.flatnonzero(low)]
    slacks += [most(none, -eye[j], program.upper[j]) for j in np.flatnonzero(high)]
    return multipliers, np.array(slacks), int(unproven.sum())


def pyomo_model(problem, multipliers, slacks):
    """The problem with ``core.kkt`` in place of the follower; its pairs as (multiplier, slack) variables with bounds."""
    leader, program = problem.leader, problem.followers[0].program
    domain = {"C": pyo.Reals, "B": pyo.Binary, "I": pyo.Integers}
    m = pyo.ConcreteModel()
    m.y = pyo.Var(range(leader.size), domain=lambda _, k: domain[leader.kinds[k]], bounds=lambda _, k: (leader.lower[k], leader.upper[k]))
    low = m.low = pyo.Block()
    ends = [(None if np.isinf(a) else a, None if np.isinf(b) else b) for a, b in zip(program.lower, program.upper, strict=True)]
    low.x = pyo.Var(range(program.columns.size), bounds=lambda _, j: ends[j])

    def total(matrix, i, variables):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        return sum(float(a) * variables[int(j)] for j, a in zip(matrix.indices[part], matrix.data[part], strict=True))

    def row(_, i):
        body = total(program.A, i, low.x) - total(program.B, i, m.y)
        return body == program.b0[i] if program.equality[i] else body <= program.b0[i]

    low.rows = pyo.Constraint(range(program.rows.size), rule=row)
    prices = program.C.tocsr()
    cost = sum((float(program.c0[j]) + total(prices, j, m.y)) * low.x[j] for j in range(program.columns.size))
    low.cost = pyo.Objective(expr=cost)
    seen = [m.y[k] for k in np.union1d(problem.followers[0].cost_columns, problem.followers[0].limit_columns).tolist()]
    kkt = pyo.TransformationFactory("core.kkt")
    kkt.apply_to(low, parameterize_wrt=seen)
    alphas, gaps = [], []
    for i in np.flatnonzero(~program.equality).tolist():
        alphas.append(kkt.get_multiplier_from_object(low, low.rows[i])[1])
        gaps.append(program.b0[i] - low.rows[i].body)
    for j in np.flatnonzero(_movable(program)[0]).tolist():
        alphas.append(kkt.get_multiplier_from_object(low, low.x[j])[0])
        gaps.append(low.x[j] - program.lower[j])
    for j in np.flatnonzero(_movable(program)[1]).tolist():
        alphas.append(kkt.get_multiplier_from_object(low, low.x[j])[1])
        gaps.append(program.upper[j] - low.x[j])
    duals = {}
    for i in range(program.rows.size):
        found = kkt.get_multiplier_from_object(low, low.rows[i])
        duals[i] = found if program.equality[i] else -found[1]
    # The conditions replace these; their pairs are stated below.
    for part in list(low.component_objects(pyo.Block, descend_into=True)):
        for name in [c.local_name for c in part.component_objects(descend_into=False) if type(c).__name__.endswith("ComplementarityList")]:
            part.del_component(name)
    m.slack = pyo.Var(range(len(gaps)), bounds=lambda _, k: (0, slacks[k]))
    m.definition = pyo.Constraint(range(len(gaps)), rule=lambda _, k: m.slack[k] == gaps[k])
    for alpha, limit in zip(alphas, multipliers, strict=True):
        alpha.setub(float(limit))
    z = [m.y[k] for k in range(leader.size)]
    for quantity in leader.quantities:
        matrix = quantity.matrix.tocsr()
        paid = cost + program.d0 + sum(float(v) * m.y[k] for k, v in enumerate(program.d) if v)
        source = {"primal": low.x, "dual": duals, "cost": {0: paid}}[quantity.kind]
        z += [total(matrix, i, source) + float(quantity.constant[i]) for i in range(quantity.size)]

    def form(f):
        linear = sum(float(a) * z[c] for c, a in zip(f.columns, f.coefficients, strict=True))
        return f.constant + linear + sum(float(w) * z[a] * z[b] for a, b, w in zip(f.first, f.second, f.products, strict=True))

    m.leader_rows = pyo.ConstraintList()
    rows = [(total(leader.matrix, i, z), leader.row_lower[i], leader.row_upper[i]) for i in range(leader.row_lower.size)]
    rows += [(form(r.form), r.lower, r.upper) for r in leader.curved]
    for body, least, most in rows:
        m.leader_rows.add((None if np.isinf(least) else least, body, None if np.isinf(most) else most))
    m.objective = pyo.Objective(expr=form(leader.objective))
    return m, alphas


def textbook(name, way, limit, multipliers, slacks, answer):
    """Solve by a textbook way in this process; sends seconds, status, objective."""
    problem = instances()[name]()
    m, alphas = pyomo_model(problem, multipliers, slacks)
    if way == "sos1":
        m.pairs = pyo.SOSConstraint(range(len(alphas)), rule=lambda _, k: ([alphas[k], m.slack[k]], [1, 2]), sos=1)
    else:
        from pyomo.gdp import Disjunction

        m.pairs = Disjunction(range(len(alphas)), rule=lambda _, k: [[alphas[k] <= 0], [m.slack[k] <= 0]])
        pyo.TransformationFactory("gdp.bigm").apply_to(m)
    solver = SolverFactory("scip_direct")
    began = time.process_time()
    result = solver.solve(
        m, time_limit=limit, solver_options=SCIP, raise_exception_on_nonoptimal_result=False, load_solutions=False, symbolic_solver_labels=False
    )
    seconds = time.process_time() - began
    best, bound = result.incumbent_objective, result.objective_bound
    found = best is not None and np.isfinite(best)
    closed = found and bound is not None and best - bound <= 1.01 * GAP * max(abs(best), 1e-9)
    answer.put((seconds, "optimal" if closed else "feasible" if found else "none", best if found else np.nan))


def apart(function, *arguments, limit):
    """Run in a process of its own: an abort there is no abort here."""
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=function, args=(*arguments, answer))
    process.start()
    found, deadline = (np.nan, "aborted", np.nan), time.monotonic() + 8 * limit + 120
    while time.monotonic() < deadline:
        try:
            found = answer.get(timeout=0.5)
            break
        except queue.Empty:
            if not process.is_alive():
                break
    process.kill()
    process.join()
    return found


def cpu_seconds():
    """CPU seconds of this process and its living children."""
    living = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(t.user + t.system for t in living)


def ours(problem, limit):
    began = cpu_seconds()
    # The wall clock runs faster than the CPU's on a shared machine.
    solution = solve_problem(problem, SolveOptions(gap=GAP, time_limit=2 * limit))
    return cpu_seconds() - began, str(solution.status), problem.leader.sense * solution.objective


def by_discopt(name, limit, answer):
    """Strong duality of ``discopt`` on the same problem."""
    import warnings

    warnings.simplefilter("ignore")
    from discopt.bilevel import BilevelProblem
    from discopt.modeling.core import Model

    problem = instances()[name]()
    leader, program = problem.leader, problem.followers[0].program
    # Its differentiation walks down every sum.
    sys.setrecursionlimit(100_000)
    if any(q.kind == "dual" for q in leader.quantities):
        answer.put((np.nan, "does not apply", np.nan))
        return
    m = Model("bilevel")
    y = [
        m.binary(f"y{k}") if leader.kinds[k] == "B" else m.continuous(f"y{k}", lb=float(leader.lower[k]), ub=float(leader.upper[k]))
        for k in range(leader.size)
    ]
    x = [
        m.continuous(f"x{j}", lb=float(max(a, -1e4)), ub=float(min(b, 1e4)))
        for j, (a, b) in enumerate(zip(program.lower, program.upper, strict=True))
    ]

    def added(terms):
        """The sum, halved again and again: a chain of a thousand terms is too deep for it."""
        terms = list(terms)
        if len(terms) <= 1:
            return terms[0] if terms else 0.0
        return added(terms[: len(terms) // 2]) + added(terms[len(terms) // 2 :])

    def total(matrix, i, variables):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        return added(float(a) * variables[int(j)] for j, a in zip(matrix.indices[part], matrix.data[part], strict=True))

    rows = []
    for i in range(program.rows.size):
        body = total(program.A, i, x) - total(program.B.tocsr(), i, y)
        rows.append(body == float(program.b0[i]) if program.equality[i] else body <= float(program.b0[i]))
    prices = program.C.tocsr()
    priced = np.flatnonzero((program.c0 != 0) | (np.diff(prices.indptr) > 0)).tolist()
    cost = added((float(program.c0[j]) + total(prices, j, y)) * x[j] for j in priced)
    paid = cost + (program.d0 + added(float(v) * y[k] for k, v in enumerate(program.d) if v))
    z = y + [total(q.matrix.tocsr(), i, x if q.kind == "primal" else [paid]) + float(q.constant[i]) for q in leader.quantities for i in range(q.size)]

    def form(f):
        linear = added(float(a) * z[c] for c, a in zip(f.columns, f.coefficients, strict=True))
        return f.constant + linear + added(float(w) * z[a] * z[b] for a, b, w in zip(f.first, f.second, f.products, strict=True))

    for i in range(leader.row_lower.size):
        body = total(leader.matrix, i, z)
        if np.isfinite(leader.row_lower[i]):
            m.subject_to(body >= float(leader.row_lower[i]))
        if np.isfinite(leader.row_upper[i]):
            m.subject_to(body <= float(leader.row_upper[i]))
    for r in leader.curved:
        if np.isfinite(r.lower):
            m.subject_to(form(r.form) >= float(r.lower))
        if np.isfinite(r.upper):
            m.subject_to(form(r.form) <= float(r.upper))
    m.minimize(form(leader.objective))
    follower = BilevelProblem(m, upper_vars=y, lower_vars=x, lower_objective=cost, lower_constraints=rows, include_follower_bounds=True)
    began = time.process_time()
    follower.formulate(method="strong_duality")
    result = m.solve(time_limit=limit, gap_tolerance=GAP)
    value = result.objective if result.objective is not None else np.nan
    answer.put((time.process_time() - began, str(result.status), value))


def mean(seconds):
    """Shifted geometric mean."""
    return float(np.exp(np.log(np.array(seconds) + SHIFT).mean()) - SHIFT)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds for each run")
    parser.add_argument("--discopt", action="store_true", help="also run discopt")
    parser.add_argument("names", nargs="*", help="parts of instance names")
    chosen = parser.parse_args()
    counted = {"auto": [], "sos1": [], "bigm": [], "discopt": []}
    for name, make in instances().items():
        if chosen.names and not any(part in name for part in chosen.names):
            continue
        problem = make()
        multipliers, slacks, unproven = pair_bounds(problem)
        found = {"auto": ours(problem, chosen.limit)}
        for way in ("sos1", "bigm"):
            found[way] = apart(textbook, name, way, chosen.limit, multipliers, slacks, limit=chosen.limit)
        if chosen.discopt and importlib.util.find_spec("discopt"):
            found["discopt"] = apart(by_discopt, name, chosen.limit, limit=chosen.limit)
        for way, (seconds, status, _) in found.items():
            if status != "does not apply":
                taken = min(seconds, chosen.limit) if status == "optimal" else chosen.limit
                own = min(found["auto"][0], chosen.limit) if found["auto"][1] == "optimal" else chosen.limit
                counted[way].append((taken, own))
        text = "; ".join(f"{way} {seconds:.2f} s {status} {value:.6g}" for way, (seconds, status, value) in found.items())
        print(f"{name}: {multipliers.size} pairs ({unproven} multipliers without proof); {text}", flush=True)
    print(f"shifted geometric means (shift {SHIFT:g} s, limit {chosen.limit:g} s):")
    for way, pairs in counted.items():
        if pairs:
            its, ours_there = mean([t for t, _ in pairs]), mean([t for _, t in pairs])
            solved = sum(t < chosen.limit for t, _ in pairs)
            print(f"  {way}: {its:.2f} s, auto on the same {ours_there:.2f} s, ratio {ours_there / its:.3f}; {solved} of {len(pairs)} solved")


if __name__ == "__main__":
    main()
