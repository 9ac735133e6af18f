"""Read and write the MPS + auxiliary-file format of the linear bilevel libraries.

The MPS file holds all variables, all rows and the leader's objective. The auxiliary file names what belongs to the follower, by
position (``N``, ``M``, ``LC``, ``LR``, ``LO``, ``OS``) or by name (``@VARSBEGIN`` ... ``@VARSEND`` with the objective coefficient after
each name, ``@CONSTRSBEGIN`` ... ``@CONSTRSEND``, ``@NUMVARS``, ``@NUMCONSTRS``). Both are read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import highspy
import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from multiscale.bilevel.problem.description import BINARY, CONTINUOUS, INTEGER, BilevelError, BilevelProblem


@dataclass(frozen=True)
class LowerPart:
    """What an auxiliary file says: follower variables with objective coefficients, follower rows, sense (1 min, -1 max)."""

    variables: list[int]
    costs: list[float]
    rows: list[int]
    sense: float = 1.0


def read_files(mps: str | Path, aux: str | Path) -> tuple[pyo.ConcreteModel, pyo.Block]:
    """The Pyomo model (``model.x`` indexed by name) and its follower block (``model.lower.y``).

    Raises:
        BilevelError: a file is missing, or the auxiliary file names a variable or row the MPS file does not have.
    """
    for path in (Path(mps), Path(aux)):
        if not path.is_file():
            raise BilevelError(f"{path} does not exist")
    lp = _read_mps(Path(mps))
    columns, rows = list(lp.col_names_), list(lp.row_names_)
    lower = _read_aux(Path(aux), {name: j for j, name in enumerate(columns)}, {name: i for i, name in enumerate(rows)})
    matrix = sparse.csc_matrix((lp.a_matrix_.value_, lp.a_matrix_.index_, lp.a_matrix_.start_), shape=(lp.num_row_, lp.num_col_)).tocsr()
    return _model(lp, columns, rows, matrix, lower)


def _read_mps(path: Path) -> highspy.HighsLp:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    if solver.readModel(str(path)) == highspy.HighsStatus.kError:
        raise BilevelError(f"{path} is not an MPS file that HiGHS can read")
    return solver.getLp()


def _read_aux(path: Path, columns: dict[str, int], rows: dict[str, int]) -> LowerPart:
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if any(line[0].startswith("@") for line in lines):
        return _read_named(path, lines, columns, rows)
    variables, costs, lower_rows, sense = [], [], [], 1.0
    for key, *rest in lines:
        if key == "LC":
            variables.append(int(rest[0]))
        elif key == "LR":
            lower_rows.append(int(rest[0]))
        elif key == "LO":
            costs.append(float(rest[0]))
        elif key == "OS":
            sense = float(rest[0])
    if len(costs) != len(variables):
        raise BilevelError(f"{path}: {len(variables)} follower variables (LC) but {len(costs)} objective coefficients (LO)")
    for what, found, limit in (("variable", variables, len(columns)), ("row", lower_rows, len(rows))):
        wrong = [k for k in found if not 0 <= k < limit]
        if wrong:
            raise BilevelError(f"{path}: there is no {what} {wrong[0]}; the MPS file has {limit}, counted from 0")
    return LowerPart(variables, costs, lower_rows, sense)


def _read_named(path: Path, lines: list[list[str]], columns: dict[str, int], rows: dict[str, int]) -> LowerPart:
    variables, costs, lower_rows, sense = [], [], [], 1.0
    section = ""
    for number, line in enumerate(lines):
        key = line[0]
        if key in ("@VARSBEGIN", "@CONSTRSBEGIN"):
            section = key
        elif key in ("@VARSEND", "@CONSTRSEND"):
            section = ""
        elif key == "@OS":
            sense = float(lines[number + 1][0] if len(line) == 1 else line[1])
        elif section == "@VARSBEGIN":
            if key not in columns:
                raise BilevelError(f"{path}: follower variable {key!r} is not in the MPS file")
            variables.append(columns[key])
            costs.append(float(line[1]))
        elif section == "@CONSTRSBEGIN":
            if key not in rows:
                raise BilevelError(f"{path}: follower row {key!r} is not in the MPS file")
            lower_rows.append(rows[key])
    return LowerPart(variables, costs, lower_rows, sense)


def _model(
    lp: highspy.HighsLp, columns: list[str], rows: list[str], matrix: sparse.csr_matrix, lower: LowerPart
) -> tuple[pyo.ConcreteModel, pyo.Block]:
    model = pyo.ConcreteModel()
    model.lower = pyo.Block()
    mine = set(lower.variables)
    integral = list(lp.integrality_) or [highspy.HighsVarType.kContinuous] * len(columns)
    model.x = pyo.Var([n for j, n in enumerate(columns) if j not in mine])
    model.lower.y = pyo.Var([columns[j] for j in lower.variables])
    variables = [model.lower.y[n] if j in mine else model.x[n] for j, n in enumerate(columns)]
    for variable, low, high, kind in zip(variables, lp.col_lower_, lp.col_upper_, integral, strict=True):
        variable.setlb(None if np.isinf(low) else low)
        variable.setub(None if np.isinf(high) else high)
        if kind != highspy.HighsVarType.kContinuous:
            variable.domain = pyo.Binary if (low, high) == (0.0, 1.0) else pyo.Integers
    model.rows = pyo.Constraint([n for i, n in enumerate(rows) if i not in set(lower.rows)])
    model.lower.rows = pyo.Constraint([rows[i] for i in lower.rows])
    for i, name in enumerate(rows):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        body = pyo.quicksum(float(a) * variables[j] for j, a in zip(matrix.indices[part], matrix.data[part], strict=True))
        low, high = lp.row_lower_[i], lp.row_upper_[i]
        target = model.lower.rows if i in set(lower.rows) else model.rows
        target[name] = (None if np.isinf(low) else low, body, None if np.isinf(high) else high)
    sense = pyo.maximize if lp.sense_ == highspy.ObjSense.kMaximize else pyo.minimize
    cost = pyo.quicksum(float(c) * v for c, v in zip(lp.col_cost_, variables, strict=True)) + lp.offset_
    model.objective = pyo.Objective(expr=cost, sense=sense)
    goal = pyo.quicksum(c * variables[j] for c, j in zip(lower.costs, lower.variables, strict=True))
    model.lower.objective = pyo.Objective(expr=goal, sense=pyo.minimize if lower.sense > 0 else pyo.maximize)
    return model, model.lower


def write_files(problem: BilevelProblem, mps: str | Path, aux: str | Path, *, by: str = "name") -> None:
    """Write a linear problem with one follower whose leader uses follower columns themselves.

    Args:
        problem: the problem.
        mps, aux: the files.
        by: how the auxiliary file points to variables and rows: ``name`` or ``position`` (counted from 0).

    Raises:
        BilevelError: ``by`` is neither; the problem has several followers, products, nonlinear terms, or quantities the format cannot hold.
    """
    leader = problem.leader
    if by not in ("name", "position"):
        raise BilevelError(f"write_files: by is {by!r}; it must be 'name' or 'position'")
    if len(problem.followers) != 1:
        raise BilevelError(f"the format holds one follower, not {len(problem.followers)}")
    follower = problem.followers[0]
    program = follower.program
    if not follower.is_linear or follower.cost_columns.size or leader.curved or not leader.objective.is_linear:
        raise BilevelError("the format is linear: no quadratic terms, products of leader and follower variables, or nonlinear leader terms")
    if any(q.kind != "primal" for q in leader.quantities):
        raise BilevelError("the format has no duals or optimal costs of the follower in the leader's problem")
    n, m = leader.size, program.columns.size
    spread = sparse.vstack([q.matrix for q in leader.quantities], format="csr") if leader.quantities else sparse.csr_matrix((0, m))
    upper_rows = sparse.hstack([leader.matrix[:, :n], leader.matrix[:, n:] @ spread], format="csr")
    lower_rows = sparse.hstack([-program.B, program.A], format="csr")
    costs = np.zeros(n + spread.shape[0])
    np.add.at(costs, leader.objective.columns, leader.objective.coefficients)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    model = highspy.HighsModel()
    lp = model.lp_
    lp.num_col_, lp.num_row_ = n + m, upper_rows.shape[0] + lower_rows.shape[0]
    lp.sense_ = highspy.ObjSense.kMinimize if leader.sense > 0 else highspy.ObjSense.kMaximize
    lp.col_cost_ = leader.sense * np.concatenate([costs[:n], spread.T @ costs[n:]])
    lp.offset_ = leader.sense * leader.objective.constant
    lp.col_lower_, lp.col_upper_ = np.concatenate([leader.lower, program.lower]), np.concatenate([leader.upper, program.upper])
    lp.row_lower_ = np.concatenate([leader.row_lower, np.where(program.equality, program.b0, -np.inf)])
    lp.row_upper_ = np.concatenate([leader.row_upper, program.b0])
    matrix = sparse.vstack([upper_rows, lower_rows], format="csc")
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    kinds = {CONTINUOUS: highspy.HighsVarType.kContinuous, BINARY: highspy.HighsVarType.kInteger, INTEGER: highspy.HighsVarType.kInteger}
    lp.integrality_ = [kinds[k] for k in leader.kinds.tolist()] + [highspy.HighsVarType.kContinuous] * m
    names = [f"x{k}" for k in range(n)], [f"y{j}" for j in range(m)]
    lp.col_names_ = names[0] + names[1]
    lower_names = [f"l{i}" for i in range(lower_rows.shape[0])]
    lp.row_names_ = [f"u{i}" for i in range(upper_rows.shape[0])] + lower_names
    solver.passModel(model)
    solver.writeModel(str(mps))
    if by == "position":
        lines = [f"N {m}", f"M {len(lower_names)}", *(f"LC {n + j}" for j in range(m))]
        lines += [f"LR {upper_rows.shape[0] + i}" for i in range(len(lower_names))]
        lines += [*(f"LO {cost:.17g}" for cost in program.c0), "OS 1"]
        Path(aux).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    lines = ["@NUMVARS", str(m), "@NUMCONSTRS", str(len(lower_names)), "@VARSBEGIN"]
    lines += [f"{name} {cost:.17g}" for name, cost in zip(names[1], program.c0, strict=True)]
    lines += ["@VARSEND", "@CONSTRSBEGIN", *lower_names, "@CONSTRSEND"]
    Path(aux).write_text("\n".join(lines) + "\n", encoding="utf-8")
