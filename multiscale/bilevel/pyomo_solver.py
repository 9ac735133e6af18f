"""The bilevel solver under Pyomo's own interfaces: ``pyo.SolverFactory("multiscale.bilevel")`` and that of ``pyomo.contrib.solver``.

    import pyomo.environ as pyo
    from multiscale import bilevel                     # registers the name, where Pyomo is imported already

    results = pyo.SolverFactory("multiscale.bilevel").solve(model, followers=[model.market], time_limit=60)

Both take the followers and every option of ``bilevel.solve``. The answer with its certificate is ``solver.solution``, and in the new interface also
``results.extra_info.solution``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from pyomo.common.collections import ComponentMap
from pyomo.common.config import ConfigValue
from pyomo.contrib.solver.common.base import Availability, LegacySolverWrapper, SolverBase
from pyomo.contrib.solver.common.config import BranchAndBoundConfig
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import Results, SolutionStatus, TerminationCondition
from pyomo.contrib.solver.common.solution_loader import NoSolutionSolutionLoader, SolutionLoader
from pyomo.contrib.solver.common.util import NoOptimalSolutionError

from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.solving import answers, read_and_solve

NAME = "multiscale.bilevel"

_NO_POINT = "no certified point is known"

_ENDED = {
    Status.OPTIMAL: TerminationCondition.convergenceCriteriaSatisfied,
    Status.INFEASIBLE: TerminationCondition.provenInfeasible,
    Status.UNBOUNDED: TerminationCondition.unbounded,
    Status.TIME_LIMIT: TerminationCondition.maxTimeLimit,
    Status.ERROR: TerminationCondition.error,
}


class _Loader(SolutionLoader):
    """Values of the answer, and duals of the constraints of block followers."""

    def __init__(self, model: Any, found: Sequence[tuple[Any, float]], solution: BilevelSolution, constraints: Mapping[int, Any]) -> None:
        self._pyomo_model, self._found, self._solution, self._constraints = model, found, solution, constraints

    def get_number_of_solutions(self) -> int:
        return 1

    def get_vars(self, vars_to_load: Sequence[Any] | None = None) -> Mapping[Any, float]:
        values = ComponentMap(self._found)
        return values if vars_to_load is None else ComponentMap((v, values[v]) for v in vars_to_load)

    def get_duals(self, cons_to_load: Sequence[Any] | None = None) -> dict[Any, float]:
        wanted = self._constraints.values() if cons_to_load is None else cons_to_load
        return {c: self._solution.dual_of(c) for c in wanted}


class BilevelSolver(SolverBase):
    """``bilevel.solve`` as a Pyomo solver; ``solution`` is its last answer.

    Options (of the constructor, of ``config`` or of ``solve``): ``followers``, ``method``, ``start``, ``seed``, ``time_limit`` [s], ``rel_gap`` or
    ``gap``, ``abs_gap``, ``solver_options`` (further fields of ``SolveOptions``), ``load_solutions``, ``raise_exception_on_nonoptimal_result``.
    """

    CONFIG = BranchAndBoundConfig()
    CONFIG.declare("followers", ConfigValue(default=None, description="the followers, as bilevel.solve takes them"))
    CONFIG.declare("method", ConfigValue(default="auto", description="auto, a reformulation, or follower name -> reformulation"))
    CONFIG.declare("start", ConfigValue(default=None, description="leader variable -> value"))
    CONFIG.declare("seed", ConfigValue(default=0, domain=int, description="random seed"))
    CONFIG.declare("gap", ConfigValue(default=None, domain=float, description="relative gap, the same as rel_gap"))

    solution: BilevelSolution | None = None

    def available(self) -> Availability:
        """Always: SCIP comes with the package."""
        return Availability.FullLicense

    def version(self) -> tuple[int, ...]:
        """Version of this package."""
        return tuple(int(part) for part in version("multiscale").split(".")[:3] if part.isdigit())

    def solve(self, model: Any, **options: Any) -> Results:
        """Solve a bilevel model.

        Raises:
            BilevelError: the problem is refused.
            NoOptimalSolutionError: the answer is not proven optimal, and ``raise_exception_on_nonoptimal_result`` is on.
        """
        began, started = datetime.now(UTC), time.perf_counter()
        config = self.config(value=options, preserve_implicit=True)
        read, solution = read_and_solve(model, config.followers, config.start, _stated(config))
        self.solution = solution
        results = Results()
        results.solver_name, results.solver_version, results.solver_config = self.name, self.version(), config
        results.timing_info.start_timestamp = began
        results.extra_info.solution = solution
        results.termination_condition = _termination(solution)
        results.objective_bound = solution.bound
        if solution.certificate is None or not solution.certificate.holds:
            results.solution_loader = NoSolutionSolutionLoader(model, f"{_NO_POINT}: {solution.message}")
        else:
            results.incumbent_objective = solution.objective
            results.solution_status = SolutionStatus.optimal if solution.status is Status.OPTIMAL else SolutionStatus.feasible
            rows = {id(c): c for e in read.extracted for c in e.constraints}
            results.solution_loader = _Loader(model, answers(read, solution), solution, rows)
        if config.raise_exception_on_nonoptimal_result and solution.status is not Status.OPTIMAL:
            raise NoOptimalSolutionError(f"{solution.status}: {solution.message}")
        if config.load_solutions and results.incumbent_objective is not None:
            results.solution_loader.load_solution()
        results.timing_info.wall_time = time.perf_counter() - started
        return results


def _stated(config: Any) -> dict[str, Any]:
    """The options of ``bilevel.solve`` in a configuration of Pyomo's."""
    found = {"method": config.method, "seed": config.seed, **config.solver_options.value()}
    gap = config.rel_gap if config.gap is None else config.gap
    given = {"gap": gap, "absolute_gap": config.abs_gap, "time_limit": config.time_limit}
    return found | {name: value for name, value in given.items() if value is not None}


def _termination(solution: BilevelSolution) -> TerminationCondition:
    if solution.status in _ENDED:
        return _ENDED[solution.status]
    return {"timelimit": TerminationCondition.maxTimeLimit, "userinterrupt": TerminationCondition.interrupted}.get(
        solution.ended, TerminationCondition.unknown
    )


class _LegacyBilevelSolver(LegacySolverWrapper, BilevelSolver):
    """The same under Pyomo's first interface, whose ``solve`` takes a fixed list of arguments and therefore not the followers."""

    def solve(self, model: Any, followers: Any = None, **options: Any) -> Any:
        kept = self.config
        self.__dict__["config"] = kept(preserve_implicit=True)
        try:
            own: dict[str, Any] = {name: options.pop(name) for name in ("method", "start", "seed", "gap", "rel_gap", "time_limit") if name in options}
            if followers is not None:
                own["followers"] = followers
            for name, value in own.items():
                setattr(self.config, name, value)
            return super().solve(model, **options)
        finally:
            self.__dict__["config"] = kept

    def _map_results(self, model: Any, results: Results) -> Any:
        legacy, point = super()._map_results(model, results)
        solution = self.solution
        assert solution is not None
        assert solution.problem is not None
        ends = (results.objective_bound, results.incumbent_objective)
        legacy.problem.lower_bound, legacy.problem.upper_bound = ends if solution.problem.leader.sense > 0 else ends[::-1]
        legacy.solver.message = solution.message
        return legacy, point


SolverFactory.register(NAME, doc="Exact bilevel optimisation with convex followers")(BilevelSolver, _LegacyBilevelSolver)
