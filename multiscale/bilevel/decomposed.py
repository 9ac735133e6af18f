"""The method ``decomposition``: a start, the decomposition into blocks that meet in integers only, a certified answer.

See ``decomposition.decompose`` for the search and for what it takes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.bilevel.certify.conclude import conclude_decomposition
from multiscale.bilevel.certify.solution import BilevelSolution
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.decompose import decompose
from multiscale.bilevel.problem.description import BilevelProblem, MethodError
from multiscale.bilevel.problem.gap import TOLERANCE
from multiscale.bilevel.problem.preconditions import check_products
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.choose import suits_decomposition
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.start import find_start


def solve_decomposed(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock) -> tuple[BilevelSolution | None, str]:
    """Solve a problem as it stands by decomposition, where that is asked for or ``auto`` chooses it.

    Returns:
        The answer, None where it was not chosen or does not apply, and why it does not.

    Raises:
        MethodError: decomposition is asked for and does not take the problem.
    """
    asked = settings.method == "decomposition"
    if asked and settings.write is not None:
        raise MethodError("decomposition has no single-level program to write; write with branch_and_cut")
    if not asked and (settings.method != "auto" or settings.write is not None or not suits_decomposition(problem)):
        return None, ""
    try:
        return _solved(problem, settings, start, clock), ""
    except MethodError as refusal:
        if asked:
            raise
        return None, f"decomposition does not apply ({refusal})"


def _solved(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock) -> BilevelSolution:
    check_products(problem)
    search = DecisionSearch(problem, tolerance=TOLERANCE, gap=max(1e-6, 0.1 * settings.gap), time_limit=clock.one_solve)
    with clock.stage("start"):
        find_start(search, start, min(settings.start_share * settings.time_limit, clock.left()), clock.left(), flips=False)
    with clock.stage("decomposition"):
        found = decompose(problem, settings, search, clock)
    with clock.stage("certificate"):
        answer = conclude_decomposition(problem, search, found, settings)
    why = "decomposition (a master program over the integers, cuts from the duals of each block's relaxation)"
    return replace(answer, methods={f.name: why for f in problem.followers}, timings=clock.timings, problem=problem)
