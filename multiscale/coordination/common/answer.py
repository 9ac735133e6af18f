"""A platform answers a parent's signals: the task that travels to the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.coordination.common.messages import Signal
from multiscale.devices.fleet import Fleet
from multiscale.operation.losses import COLUMNS as LOSSES
from multiscale.programs import Basis, CompiledProgram, ParametricProgram, ProgramSolution
from multiscale.programs.carried_basis import carried_basis
from multiscale.programs.selection import smallest_squares
from multiscale.tariffs import Prices


@dataclass(frozen=True)
class Answer:
    """A platform's best response to one signal.

    Attributes:
        exchange: power drawn from the parent [kW], (period,).
        own_cost: the platform's cost without what it pays for energy at the boundary and for deviations [EUR/a]: charge, levy, fees,
            wear, discomfort, unserved demand.
        x, y: columns and row duals of its program (stay on the driver for reports; a parent sees the exchange only).
        basis: where the solve ended, from which that of similar signals may start; None where it was not kept.
    """

    exchange: np.ndarray
    own_cost: float
    x: np.ndarray
    y: np.ndarray
    basis: Basis | None = None


def finite_numbers(given: object) -> np.ndarray | None:
    """What somebody else says, as an array; None where it is not made of finite real numbers."""
    if not isinstance(given, (np.ndarray, np.generic, int, float)):
        return None
    array = np.asarray(given)
    return array if array.dtype.kind in "iuf" and np.isfinite(array).all() else None


def bases_of(answers: Mapping[str, Answer]) -> dict[str, Basis]:
    """Platform -> basis of its answer, where it was kept."""
    return {platform: answer.basis for platform, answer in answers.items() if answer.basis is not None}


def own_measures(fleet: Fleet) -> tuple[np.ndarray, np.ndarray]:
    """What a platform measures of itself, and limits may follow: inflexible demand and available generation [kW], (period,)."""
    return fleet.arrays["demand"].sum(axis=0), fleet.reference_generation.sum(axis=0)


def answer_signals(program: ParametricProgram, signals: Sequence[Signal], start: Basis | None = None) -> list[Answer]:
    """Solve a platform's program at every signal, in order.

    The first solve starts cold, or from a basis that is given, and each further one from the basis before, so the answers are the same on whichever
    worker. The last answer carries its basis.
    """
    compiled = CompiledProgram(program, devex=True)
    if start is not None:
        compiled.start_from(start)
    answers = []
    for k, signal in enumerate(signals, start=1):
        solution = compiled.solve_optimal(signal.parameters())
        # Losses grow with the square of flows: where they are counted, schedules that are not even cost more already.
        x = most_even(solution) if signal.even and LOSSES not in program.columns else solution.x
        exchange = program.outputs["exchange"].matrix @ x
        kept = compiled.basis if k == len(signals) else None
        answers.append(Answer(exchange, own_cost(program, signal.tariff, x), x, solution.y, kept))
    return answers


def answer_days(programs: Sequence[ParametricProgram], signals: Sequence[Sequence[Signal]], starts: Sequence[Basis | None]) -> list[list[Answer]]:
    """Answers of a platform on several days; a day without a start begins where the one before it ended."""
    found: list[list[Answer]] = []
    for k, (program, published, start) in enumerate(zip(programs, signals, starts, strict=True)):
        before = found[-1][-1].basis if found and found[-1] else None
        if start is None and before is not None:
            start = carried_basis(before, programs[k - 1], program)
        found.append(answer_signals(program, published, start))
    return found


def most_even(solution: ProgramSolution) -> np.ndarray:
    """Of a platform's optimal schedules the most even one: the smallest sum over members and periods of the squared net power."""
    program = solution.program
    bought, sold = ("buy", "sell") if "buy" in program.columns else ("import", "export")
    plus, minus = (program.columns[name].positions.ravel() for name in (bought, sold))
    one, place = np.ones(len(plus)), np.arange(len(plus))
    shape = (len(plus), program.columns.size)
    net = sparse.csr_matrix((one, (place, plus)), shape=shape) - sparse.csr_matrix((one, (place, minus)), shape=shape)
    return smallest_squares(solution, net, one)


def own_cost(program: ParametricProgram, tariff: Prices, x: np.ndarray) -> float:
    """Cost [EUR/a] of a schedule without energy at the boundary: the program's objective at prices of zero."""
    zero = {block.name: 0.0 for block in program.parameters} | dict(tariff)  # limits do not enter the cost
    return program.objective(x, program.parameters.vector(zero))
