"""HiGHS instances of programs: the options every solve uses, and the model handed over as arrays."""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse

from multiscale.programs.program import ParametricProgram

INFINITY = highspy.kHighsInf


class ProgramError(RuntimeError):
    """A program has no optimum; the message says which and why."""


def instance_of(
    program: ParametricProgram, *, method: str = "simplex", time_limit: float = 600.0, devex: bool = False, dual_tolerance: float | None = None
) -> highspy.Highs:
    """A HiGHS instance that holds the program at parameters of zero.

    Args:
        program: the program.
        method: ``simplex``, ``ipm`` (interior point without crossover), ``crossover`` (interior point, then a vertex) or ``choose``.
        time_limit: seconds for one solve.
        devex: whether the dual simplex prices by Devex weights in place of steepest edge.
        dual_tolerance: of reduced costs [EUR per unit of the column]; default: that of HiGHS, 1e-7.

    Raises:
        ValueError: HiGHS refuses an option.
        ProgramError: HiGHS refuses the program.
    """
    highs = highspy.Highs()
    # Instances with different thread counts in one process make HiGHS return 'not set': one thread everywhere.
    options = {"output_flag": False, "threads": 1, "time_limit": time_limit, "solver": "ipm" if method == "crossover" else method, "random_seed": 1}
    if devex:
        options["simplex_dual_edge_weight_strategy"] = 1
    if dual_tolerance is not None:
        options["dual_feasibility_tolerance"] = dual_tolerance
    if program.Q is not None:
        # HiGHS adds 1e-7 to the Hessian's diagonal by default, which moves the optimum by up to 1e-5.
        options["qp_regularization_value"] = 0.0
        # The active-set method may cycle on singular curvature: it ends here, and the interior-point method decides.
        options["qp_iteration_limit"] = 1000 + 20 * (program.columns.size + program.rows.size)
    if method == "ipm":
        options["run_crossover"] = "off"
    for key, value in options.items():
        if highs.setOptionValue(key, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"HiGHS refuses option {key} = {value!r}")
    _pass_model(highs, program)
    return highs


def _pass_model(highs: highspy.Highs, program: ParametricProgram) -> None:
    n, m, matrix = program.columns.size, program.rows.size, sparse.csc_matrix(program.A)
    # As arrays in one call: the fields of HiGHS's own model are filled number by number.
    status = highs.passModel(
        n,
        m,
        matrix.nnz,
        int(highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        np.asarray(program.c0, dtype=float),
        np.where(np.isneginf(program.lower), -INFINITY, program.lower),
        np.where(np.isposinf(program.upper), INFINITY, program.upper),
        np.where(program.equality, program.b0, -INFINITY),
        np.asarray(program.b0, dtype=float),
        matrix.indptr.astype(np.int32),
        matrix.indices.astype(np.int32),
        matrix.data,
        np.zeros(n, dtype=np.int32),
    )
    if program.Q is not None and status != highspy.HighsStatus.kError:
        lower = sparse.tril(program.Q, format="csc")
        hessian = highspy.HighsHessian()
        hessian.dim_, hessian.format_ = n, highspy.HessianFormat.kTriangular
        hessian.start_, hessian.index_, hessian.value_ = lower.indptr, lower.indices, lower.data
        status = highs.passHessian(hessian)
    if status == highspy.HighsStatus.kError:
        raise ProgramError(f"HiGHS refuses program {program.name!r}")
