"""What becomes of the platforms' answers: what they draw is served, and paid for, whatever was forecast.

The DSO re-dispatches its own flexibility, sheds or curtails where the network cannot carry it, and the TSO dispatches the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.coordination.common.answer import Answer, own_measures
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.coordination.common.outcome import Outcome, transmission_cost
from multiscale.operation import OperatingTree
from multiscale.programs import CompiledProgram, ProgramSolution


def realised(tree: OperatingTree, mechanism: str, signals: Mapping[str, Signal], answers: Mapping[str, Answer], bound: float) -> Outcome:
    """Operate the networks with the platforms' answers given, and count every cost; signals are kept as each platform has seen them."""
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


def _distribution_parameters(tree: OperatingTree, dso: str, energy_price: np.ndarray, exchange: np.ndarray) -> dict[str, object]:
    own = tree.distribution[dso]
    return {"energy_price": energy_price, "exchange": exchange, "built": tree.design.choice(own.options)}
