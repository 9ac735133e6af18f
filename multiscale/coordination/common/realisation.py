"""What becomes of the platforms' answers: what they draw is served, and paid for, whatever was forecast.

The DSO re-dispatches its own flexibility, sheds or curtails where the network cannot carry it, and the TSO dispatches the rest. What a platform
answers is held against its own schedule first: one that cannot do it, or not at the cost it says, is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.coordination.common.answer import Answer, finite_numbers, own_cost, own_measures
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome, transmission_cost
from multiscale.operation import OperatingTree
from multiscale.programs import CompiledProgram, ProgramError, ProgramSolution


def realised(tree: OperatingTree, mechanism: str, signals: Mapping[str, Signal], answers: Mapping[str, Answer], bound: float) -> Outcome:
    """Operate the networks with the platforms' answers given, and count every cost; signals are kept as each platform has seen them.

    Raises:
        ProgramError: a platform answers what its own schedule is not.
    """
    for child in tree.platforms:
        wrong = untrue(tree, child, signals[child], answers[child])
        if wrong is not None:
            raise ProgramError(f"mechanism {mechanism!r}: platform {child!r} {wrong}")
    periods = tree.horizon.periods
    traffic = Traffic()
    cost = 0.0
    flows, distribution_x, platform_price, energy_price = {}, {}, {}, {}
    in_force: dict[str, Signal] = {}
    solutions: dict[str, ProgramSolution] = {}
    compiled = {d: CompiledProgram(own.program) for d, own in tree.distribution.items()}
    drawn = {}
    for dso, own in tree.distribution.items():
        drawn[dso] = np.array([answers[c].exchange for c in own.children]).reshape(len(own.children), periods)
        # Energy costs the DSO nothing here: what it draws is paid through the TSO's cost below; it only sheds and curtails if it must.
        solutions[dso] = compiled[dso].solve_optimal(_distribution_parameters(tree, dso, np.zeros(periods), drawn[dso]))
        flows[dso] = solutions[dso].output("exchange").values
        distribution_x[dso] = solutions[dso].x
        cost += solutions[dso].objective
        traffic.count("down", energy_price=np.zeros(periods))
    dispatch = tree.transmission.dispatch(np.array([flows[d] for d in tree.transmission.children]).reshape(-1, periods))
    supply = transmission_cost(tree, dispatch)
    cost += supply
    for k, dso in enumerate(tree.transmission.children):
        own = tree.distribution[dso]
        energy_price[dso] = dispatch.price[k]
        for child in own.children:
            flows[child] = answers[child].exchange
            platform_price[child] = signals[child].import_price
            cost += answers[child].own_cost
            traffic.count("down", **signals[child].content())
            in_force[child] = signals[child].seen(*own_measures(tree.fleets[child]))
    return Outcome(
        mechanism,
        cost,
        bound,
        {p: a.x for p, a in answers.items()},
        {p: a.y for p, a in answers.items()},
        distribution_x,
        flows,
        in_force,
        energy_price,
        platform_price,
        dispatch,
        supply,
        1,
        traffic,
    )


FEASIBLE = 1e-4
"""Largest violation of a row or bound of a platform's program [in the unit of the row] that tolerances and a day played forward explain."""
EXACT = 1e-9
"""Largest relative difference between what a platform answers and what its schedule is [1]."""


def untrue(tree: OperatingTree, platform: str, signal: Signal, answer: Answer) -> str | None:
    """What is wrong with a platform's answer: cost or exchange are not those of its schedule, or the schedule is none that its program allows."""
    program = tree.platforms[platform]
    if not isinstance(answer, Answer):
        return f"answered {type(answer).__name__}, not a schedule with its exchange and its cost"
    sizes: dict[str, tuple[object, tuple[int, ...]]] = {
        "a schedule": (answer.x, (program.columns.size,)),
        "a list of row duals": (answer.y, (program.rows.size,)),
        "an exchange": (answer.exchange, (tree.horizon.periods,)),
        "a cost": (answer.own_cost, ()),
    }
    for name, (given, shape) in sizes.items():
        numbers = finite_numbers(given)
        if numbers is None or numbers.shape != shape:
            return f"answered {name} that is not {shape[0] if shape else 'a'} finite number{'s' if shape else ''}"
    violation = program.violation(answer.x, program.parameters.vector(signal.seen(*own_measures(tree.fleets[platform])).parameters()))
    if not violation <= FEASIBLE:
        return f"answered a schedule that violates a limit of its program by {violation:.6g}"
    exchange, cost = program.outputs["exchange"].matrix @ answer.x, own_cost(program, signal.tariff, answer.x)
    if not (np.abs(answer.exchange - exchange) <= EXACT * (1.0 + np.abs(exchange))).all():
        return "answered an exchange that is not the one of its schedule"
    if not abs(answer.own_cost - cost) <= EXACT * (1.0 + np.abs(program.c0 * answer.x).sum()):
        return f"said that its schedule costs {answer.own_cost:.9g} EUR/a; it costs {cost:.9g} EUR/a"
    return None


def _distribution_parameters(tree: OperatingTree, dso: str, energy_price: np.ndarray, exchange: np.ndarray) -> dict[str, object]:
    own = tree.distribution[dso]
    return {"energy_price": energy_price, "exchange": exchange, "built": tree.design.choice(own.options)}
