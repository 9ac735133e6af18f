"""Small programs whose answers are known, solved by every solver that studies use.

    LP    max x + y                 s.t. x + 2y <= 4, 3x + y <= 6, x, y >= 0              2.8 at (1.6, 1.2)
    MILP  the same, x and y whole numbers                                                 2
    QP    min (x - 1)^2 + (y - 2)^2 s.t. x + y <= 2                                       0.5 at (0.5, 1.5)
    bilevel   min_z -z + 2x, 0 <= z <= 10, x in argmin { x : x >= z - 3, x >= 0 }         -3 at z = 3

SCIP runs in a process of its own, here as in studies.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from multiscale.doctor.finding import Finding

EXPECTED: Mapping[str, float] = {"LP": 2.8, "MILP": 2.0, "QP": 0.5}
TOLERANCE = 1e-5
SECONDS = 120
"""Time that the process of SCIP may take [s]."""

REINSTALL = "install it again: python -m pip install --force-reinstall"


def check_solvers(_: Path) -> Iterator[Finding]:
    """HiGHS, SCIP, and the two together in a bilevel problem."""
    from importlib.metadata import version

    yield _judged(f"HiGHS {version('highspy')}", "highspy", highs_answers())
    yield _judged(f"SCIP (pyscipopt {version('pyscipopt')})", "pyscipopt", scip_answers())
    began = time.perf_counter()
    found = bilevel_answer()
    good = abs(found + 3.0) <= TOLERANCE
    took = f"{time.perf_counter() - began:.1f} s"
    yield Finding("ok" if good else "failed", "bilevel problem", f"solved and certified in {took}" if good else f"answer {found:g}, expected -3",
                  "" if good else f"{REINSTALL} pyscipopt highspy pyomo")  # fmt: skip


def _judged(what: str, package: str, answers: Mapping[str, float] | str) -> Finding:
    if isinstance(answers, str):
        return Finding("failed", what, answers, f"{REINSTALL} {package}")
    wrong = [f"{name} {answers.get(name, float('nan')):g} instead of {value:g}" for name, value in EXPECTED.items()
             if not abs(answers.get(name, float("nan")) - value) <= TOLERANCE]  # fmt: skip
    if wrong:
        return Finding("failed", what, f"wrong answers: {', '.join(wrong)}", f"{REINSTALL} {package}")
    return Finding("ok", what, f"{', '.join(EXPECTED)} solved as expected")


def highs_answers() -> dict[str, float]:
    """Objectives that HiGHS finds; NaN where it proves no optimum."""
    import highspy

    found = {}
    for name in EXPECTED:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        lp.num_col_ = 2
        quadratic = name == "QP"
        lp.col_cost_ = np.array([-2.0, -4.0] if quadratic else [-1.0, -1.0])
        lp.col_lower_, lp.col_upper_ = np.full(2, -10.0 if quadratic else 0.0), np.full(2, 10.0)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        if quadratic:
            lp.num_row_, lp.row_upper_ = 1, np.array([2.0])
            lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = np.array([0, 2]), np.array([0, 1]), np.ones(2)
            lp.offset_ = 5.0
        else:
            lp.num_row_, lp.row_upper_ = 2, np.array([4.0, 6.0])
            lp.a_matrix_.start_, lp.a_matrix_.index_ = np.array([0, 2, 4]), np.array([0, 1, 0, 1])
            lp.a_matrix_.value_ = np.array([1.0, 2.0, 3.0, 1.0])
        lp.row_lower_ = np.full(lp.num_row_, -highspy.kHighsInf)
        if name == "MILP":
            lp.integrality_ = [highspy.HighsVarType.kInteger] * 2
        highs.passModel(lp)
        if quadratic:
            hessian = highspy.HighsHessian()
            hessian.dim_, hessian.format_ = 2, highspy.HessianFormat.kTriangular
            hessian.start_, hessian.index_, hessian.value_ = np.array([0, 1, 2]), np.array([0, 1]), np.array([2.0, 2.0])
            highs.passHessian(hessian)
        highs.run()
        optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        value = float(highs.getInfo().objective_function_value)
        found[name] = (value if quadratic else -value) if optimal else float("nan")
    return found


_SCIP = """
import json
from pyscipopt import Model

found = {}
for name in ("LP", "MILP", "QP"):
    model = Model()
    model.hideOutput()
    model.setParam("limits/time", 60.0)
    model.setParam("nlp/disable", True)
    kind, low = ("I" if name == "MILP" else "C"), (-10 if name == "QP" else 0)
    x, y = (model.addVar(vtype=kind, lb=low, ub=10) for _ in range(2))
    if name == "QP":
        t = model.addVar(lb=0)
        model.addCons(x + y <= 2)
        model.addCons((x - 1) * (x - 1) + (y - 2) * (y - 2) <= t)
        model.setObjective(t, "minimize")
    else:
        model.addCons(x + 2 * y <= 4)
        model.addCons(3 * x + y <= 6)
        model.setObjective(x + y, "maximize")
    model.optimize()
    if model.getStatus() == "optimal":
        found[name] = model.getObjVal()
print(json.dumps(found))
"""


def scip_answers() -> dict[str, float] | str:
    """Objectives that SCIP finds in a process of its own, or how that process failed."""
    try:
        run = subprocess.run([sys.executable, "-P", "-c", _SCIP], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS} s"
    if run.returncode:
        said = run.stderr.strip().splitlines()
        return f"its process ended with code {run.returncode}{': ' + said[-1] if said else ''}"
    return {name: float(value) for name, value in json.loads(run.stdout.splitlines()[-1]).items()}


def bilevel_answer() -> float:
    """Objective of the bilevel problem, certified; NaN where it is not optimal."""
    import pyomo.environ as pyo

    from multiscale import bilevel

    model = pyo.ConcreteModel()
    model.z = pyo.Var(bounds=(0, 10))
    model.lower = pyo.Block()
    model.lower.x = pyo.Var(bounds=(0, 100))
    model.lower.least = pyo.Constraint(expr=model.lower.x >= model.z - 3)
    model.lower.cost = pyo.Objective(expr=model.lower.x)
    model.profit = pyo.Objective(expr=-model.z + 2 * model.lower.x)
    solution = bilevel.solve(model, model.lower, time_limit=60.0)
    return float(solution.objective) if solution.status == "optimal" else float("nan")
