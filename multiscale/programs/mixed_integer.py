"""Programs some of whose columns are whole numbers, solved by the branch and cut of HiGHS.

    min over x, some of them whole:   c'x      s.t. rows and bounds of the program

An answer has two parts that are proven apart: its cost is that of the program solved again with the whole numbers fixed (so its rows hold to the
tolerance of linear programs, and it has duals), and its bound is that of the branch and cut, valid wherever the search was ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.highs import ProgramError, instance_of
from multiscale.programs.index import Block, Index
from multiscale.programs.limits import limits
from multiscale.programs.memory import run_within_memory
from multiscale.programs.program import Output, ParametricProgram
from multiscale.programs.solve import CompiledProgram, SolverTimeLimitError


@dataclass(frozen=True)
class MixedSolution:
    """Answer of a program with whole numbers.

    Attributes:
        x, y: columns, and duals of the rows with the whole numbers fixed.
        objective, bound: cost of the answer, and proven lower bound on that of all [EUR].
        nodes: of the branch and cut.
        closed: whether the search ended at the gap asked for.
    """

    x: np.ndarray
    y: np.ndarray
    objective: float
    bound: float
    nodes: int
    closed: bool


def solve_mixed(program: ParametricProgram, whole: np.ndarray, *, gap_eur: float = 0.0, nodes: int = 100_000) -> MixedSolution:
    """Solve a program without parameters some of whose columns are whole numbers.

    Args:
        program: linear; without parameters.
        whole: positions of the columns that are whole numbers.
        gap_eur: distance of cost and bound at which the search ends [EUR].
        nodes: largest number of nodes.

    Raises:
        ValueError: the program has parameters or curvature.
        ProgramError: it has no answer, or none was found within the nodes (the message says which), or bound and cost contradict each other.
        SolverTimeLimitError: none was found within the time limit of a single solve.
    """
    if program.parameters.size or program.Q is not None:
        raise ValueError(f"program {program.name!r} has parameters or curvature; fix and linearise them before whole numbers are looked for")
    whole = np.asarray(whole, dtype=int)
    time_limit = limits().time_limit_s
    unit = _unit(program)
    highs = instance_of(_in_units(program, whole, unit), method="choose", time_limit=time_limit)
    kinds = [highspy.HighsVarType.kInteger] * whole.size
    if whole.size:
        highs.changeColsIntegrality(whole.size, whole.astype(np.int32), kinds)
    for option, value in {"mip_rel_gap": 1e-12, "mip_abs_gap": max(gap_eur, 1e-6) / unit, "mip_max_nodes": nodes}.items():
        if highs.setOptionValue(option, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"HiGHS refuses option {option} = {value!r}")
    run_within_memory(highs, program.name, integers=True)
    status, found = highs.getModelStatus(), np.array(highs.getSolution().col_value, dtype=float)
    info = highs.getInfo()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        if status == highspy.HighsModelStatus.kTimeLimit:
            raise SolverTimeLimitError(
                f"program {program.name!r}: no answer within {time_limit:g} s; raise solver.time_limit_s, or offer fewer options"
            )
        raise ProgramError(f"program {program.name!r} with {whole.size} whole numbers ended without an answer: {status.name}")
    at = np.round(found[whole])
    lower, upper = program.lower.copy(), program.upper.copy()
    lower[whole] = upper[whole] = at
    # The program with the whole numbers fixed: exact rows, and duals.
    fixed = CompiledProgram(replace(program, lower=lower, upper=upper)).solve_optimal()
    bound = float(info.mip_dual_bound) * unit + program.d0 if whole.size else fixed.bound
    if not bound <= fixed.objective + ROUNDING * max(abs(fixed.objective), unit):
        raise ProgramError(f"program {program.name!r}: branch and cut proved a bound of {bound:.9g}, above an answer of {fixed.objective:.9g}")
    closed = status == highspy.HighsModelStatus.kOptimal
    return MixedSolution(fixed.x, fixed.y, fixed.objective, min(bound, fixed.objective), int(info.mip_node_count) if whole.size else 0, closed)


ROUNDING = 1e-6
"""By which a bound may be above the cost of an answer, relative to it or in the unit of the program that was handed over."""

LARGEST = 4096.0
"""Right-hand side up to which programs are handed over in their own units."""


def _unit(program: ParametricProgram) -> float:
    """A power of two in which the right-hand sides are of moderate size: branch and cut is not exact for very large numbers."""
    largest = float(np.abs(program.b0).max(initial=0.0))
    return float(2.0 ** max(0, int(np.floor(np.log2(max(largest, 1.0) / LARGEST)))))


def _in_units(program: ParametricProgram, whole: np.ndarray, unit: float) -> ParametricProgram:
    """The program with rows, costs and all columns that are not whole numbers in another unit; its objective is that of the program over ``unit``."""
    size = np.full(program.columns.size, unit)
    size[whole] = 1.0
    scaled = sparse.csr_matrix(program.A @ sparse.diags(size / unit))
    return replace(
        program, A=scaled, b0=program.b0 / unit, c0=program.c0 * size / unit, lower=program.lower / size, upper=program.upper / size, outputs={}
    )


def with_decided(
    program: ParametricProgram, parameter: str, *, cost: np.ndarray, lower: np.ndarray | Sequence[float], upper: np.ndarray | Sequence[float]
) -> ParametricProgram:
    """The program in which a block of parameters is decided: it becomes the last block of columns.

    Args:
        program: whose costs do not depend on the parameter.
        parameter: name of the block.
        cost: of each of them [EUR per unit].
        lower, upper: their bounds.

    Raises:
        ValueError: the cost of some column is a product with the parameter.
    """
    block = program.parameters[parameter]
    mine = block.positions.ravel()
    if abs(program.C[:, mine]).sum() > 0:
        raise ValueError(f"program {program.name!r}: costs depend on {parameter!r}; their product with a column is not linear")
    rest = [b for b in program.parameters if b.name != parameter]
    keep = np.concatenate([b.positions.ravel() for b in rest]) if rest else np.zeros(0, dtype=int)
    decided = Block(parameter, block.coords, block.unit, program.columns.size, block.description)
    n = mine.size
    outputs = {
        name: Output(o.index, sparse.hstack([o.matrix, sparse.csr_matrix((o.matrix.shape[0], n))], format="csr"))
        for name, o in program.outputs.items()
    }
    return replace(
        program,
        columns=Index((*program.columns.blocks, decided)),
        parameters=Index.stacked(rest),
        A=sparse.hstack([program.A, -program.B[:, mine]], format="csr"),
        B=program.B[:, keep].tocsr(),
        c0=np.concatenate([program.c0, np.asarray(cost, dtype=float) + program.d[mine]]),
        C=sparse.vstack([program.C[:, keep], sparse.csr_matrix((n, keep.size))], format="csr"),
        lower=np.concatenate([program.lower, np.asarray(lower, dtype=float)]),
        upper=np.concatenate([program.upper, np.asarray(upper, dtype=float)]),
        d=program.d[keep],
        outputs=outputs,
    )
