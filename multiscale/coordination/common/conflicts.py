"""Conflicts between levels: what one asks for and a limit of another does not allow is refused, priced, and reported by name.

- A TSO's request of a DSO (an exchange profile) is met as far as the networks of the DSO and its platforms carry it and as it costs less
  than what the TSO offers:

      min  cost of the DSO with its platforms + sum_t h_t offer |y_t - request_t|       s.t. all limits below

  What is left over is refused. No customer is cut off for it as long as the offer is below the value of lost load.
- A DSO's or platform's request of the level above is met as far as the network above carries it; the rest is refused at its boundary, or other
  customers of that network are cut off in its place, whichever relieves the line at less cost.

The price of a refusal is what one kWh more would be worth to the one who asks: the offer that was not enough, or the multiplier of the exchange
(at most the value of lost load). The limits named are those with a multiplier in that period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree, dso_branch_program
from multiscale.operation.clearing import BEYOND_DEVICES
from multiscale.programs import CompiledProgram, Link, ParametricProgram, ProgramBuilder, ProgramSolution, compose
from multiscale.programs.build import Term

REFUSED_KW = 1e-3
"""Less is rounding."""
RELIEF = ("unserved", "curtailed", "shed", "spilled")
"""Columns of a DSO's program by which it refuses."""
MULTIPLIER = 1e-7
"""A limit counts as binding from this multiplier on [EUR/kWh]."""


@dataclass(frozen=True)
class LevelConflict:
    """A request that a limit does not allow, in one period.

    Attributes:
        asking, limiting: node that asks, and node whose limit it is.
        period: label.
        asked, granted: exchange of the lower of the two [kW], drawn from above.
        price: what one kWh more would be worth [EUR/kWh].
        limits: names of what binds; empty where no limit of a network but the flexibility itself, or its cost, stands against it.
        resolved: what becomes of the rest.
    """

    asking: str
    limiting: str
    period: str
    asked: float
    granted: float
    price: float
    limits: tuple[str, ...]
    resolved: str = "not granted"

    @property
    def refused(self) -> float:
        """What is asked for and not granted [kW]."""
        return self.asked - self.granted

    def __str__(self) -> str:
        why = "because of " + ", ".join(self.limits) if self.limits else "since its flexibility is used up or costs more than is offered"
        return (
            f"{self.period}: {self.asking} asks for {self.asked:.4g} kW, {self.limiting} grants {self.granted:.4g} kW {why}; "
            f"one kWh more would be worth {self.price:.3g} EUR"
        )


def dso_answer(tree: OperatingTree, dso: str, request: np.ndarray, energy_price: np.ndarray, offer: float) -> tuple[np.ndarray, list[LevelConflict]]:
    """A DSO's answer to a request of the TSO.

    Args:
        tree: programs of all nodes.
        dso: whom the TSO asks.
        request: exchange asked for [kW], (period,); NaN where nothing is asked.
        energy_price: at the boundary [EUR/kWh], (period,).
        offer: what the TSO pays for each kWh nearer to the request [EUR/kWh].

    Returns:
        The exchange granted [kW], (period,), and a conflict for every period in which it is not what was asked for.

    Raises:
        ValueError: an offer not below the value of lost load: customers would be cut off for it.
    """
    if offer >= tree.economics.value_of_lost_load:
        voll = tree.economics.value_of_lost_load
        raise ValueError(f"offer {offer:g} EUR/kWh is not below the value of lost load {voll:g} EUR/kWh; customers would be cut off for it")
    asked = np.isfinite(request)
    hours, labels = tree.horizon.hours_per_year, tree.horizon.labels
    branch = dso_branch_program(tree, dso).fix({"energy_price": energy_price})
    builder = ProgramBuilder(f"request to {dso}")
    exchange = builder.add_parameters("exchange", {"period": labels}, unit="kW", description="exchange granted")
    cost = np.where(asked, offer * hours, 0.0)
    axes = {"period": labels}
    above, below = (builder.add_columns(n, axes, unit="kW", cost=cost, description=f"exchange {n} the request") for n in ("above", "below"))
    wanted = np.where(asked, request, 0.0)
    apart: list[Term] = [(-1.0, above), (1.0, below)]
    builder.add_rows("request", axes, apart, "==", wanted, unit="kW", parameters=[(-1.0, exchange)], description="request")
    program = compose(f"{dso} asked by {tree.system.top}", builder.build(), {dso: branch}, [Link(dso, "exchange", exchange)])
    solution = CompiledProgram(program).solve_optimal()
    granted = branch.outputs["exchange"].matrix @ solution.x[2 * len(labels) :]
    own_price = np.abs(solution.dual("request").values) / hours
    binding = _binding(solution, hours)
    conflicts = [
        LevelConflict(tree.system.top, dso, str(labels[t]), float(request[t]), float(granted[t]), float(own_price[t]), binding[t])
        for t in np.flatnonzero(asked)
        if abs(request[t] - granted[t]) > REFUSED_KW
    ]
    return granted, conflicts


def refused_by_transmission(tree: OperatingTree, exchange: Mapping[str, np.ndarray], periods: Sequence[int] | None = None) -> list[LevelConflict]:
    """Exchanges of DSOs [kW], (period,), that the TSO cannot serve, in the given periods or all."""
    network, labels = tree.transmission, tree.horizon.labels
    drawn = np.array([exchange[d] for d in network.children]).reshape(len(network.children), -1)
    network.dispatch(drawn)
    found = []
    for t in range(tree.horizon.periods) if periods is None else periods:
        hours = float(tree.horizon.hours_per_year[t])
        solution = CompiledProgram(network.program(t)).solve_optimal({"exchange": drawn[:, t]})
        refused = solution.primal("missing").values - solution.primal("spilled").values
        if (np.abs(refused) <= REFUSED_KW).all():
            continue
        names = [
            str(label)
            for block in ("limit_forward", "limit_reverse")
            if block in solution.program.rows
            for label, y in zip(solution.dual(block).branch.values, solution.dual(block).values, strict=True)
            if abs(y) > MULTIPLIER * hours
        ]
        price = solution.program.sensitivity(solution.x, solution.y) / hours
        found += [
            LevelConflict(d, tree.system.top, str(labels[t]), drawn[k, t], drawn[k, t] - refused[k], float(price[k]), tuple(names), _rest(refused[k]))
            for k, d in enumerate(network.children)
            if abs(refused[k]) > REFUSED_KW
        ]
    return found


def refused_by_distribution(tree: OperatingTree, dso: str, exchange: Mapping[str, np.ndarray]) -> list[LevelConflict]:
    """Exchanges of platforms [kW], (period,), that their DSO's network cannot carry, and passive customers cut off for them, in every period.

    Raises:
        ValueError: a platform asks for more than its program can draw or feed in, losses of its network and forecast errors included.
    """
    own, hours, labels = tree.distribution[dso], tree.horizon.hours_per_year, tree.horizon.labels
    if not own.children:
        return []
    for c in own.children:
        least, most, beyond = own.low[c], own.high[c], BEYOND_DEVICES * tree.fleets[c].size
        outside = np.flatnonzero((exchange[c] > most + beyond) | (exchange[c] < least - beyond))
        if len(outside):
            t = int(outside[0])
            declared = f"{least[t]:.4g} to {most[t]:.4g} kW"
            raise ValueError(f"platform {c!r}: exchange {exchange[c][t]:.4g} kW in {labels[t]} is outside what it declared, {declared}")
    drawn = np.array([exchange[c] for c in own.children])
    values = {"energy_price": np.zeros(len(hours)), "exchange": drawn, "built": tree.design.choice(own.options)}
    solution = CompiledProgram(own.program).solve_optimal(values)
    refused = solution.primal("shed").values - solution.primal("spilled").values
    price = own.program.sensitivity(solution.x, solution.y)[own.program.parameters["exchange"].positions] / hours
    binding = _binding(solution, hours)
    found = [
        LevelConflict(
            c, dso, str(labels[t]), float(drawn[k, t]), float(drawn[k, t] - refused[k, t]), float(price[k, t]), binding[t], _rest(refused[k, t])
        )
        for k, c in enumerate(own.children)
        for t in np.flatnonzero(np.abs(refused[k]) > REFUSED_KW)
    ]
    for name, sign, worth in (("unserved", 1.0, tree.economics.value_of_lost_load), ("curtailed", -1.0, tree.system.curtailment_cost)):
        cut, most = solution.primal(name), solution.program.columns.values(name, solution.program.upper)
        for z, zone in enumerate(cut.zone.values.tolist()):
            for t in np.flatnonzero(cut.values[z] > REFUSED_KW).tolist():
                asked, left = sign * float(most[z, t]), sign * float(most[z, t] - cut.values[z, t])
                found.append(LevelConflict(f"customers at {zone}", dso, str(labels[t]), asked, left, worth, binding[t], _rest(asked - left)))
    return found


def conflicts(tree: OperatingTree, outcome: Outcome) -> list[LevelConflict]:
    """All that was refused in an outcome: platforms and customers by their DSO, DSOs by the TSO.

    Programs are solved again only where something was refused: a DSO's schedule shows it, and a DSO whose boundary the TSO does not serve in full
    has the value of lost load as its price.
    """
    found: list[LevelConflict] = []
    for dso, own in tree.distribution.items():
        columns = own.program.columns
        if any((columns.values(n, outcome.distribution_x[dso]) > REFUSED_KW).any() for n in RELIEF if n in columns):
            found += refused_by_distribution(tree, dso, outcome.exchange)
    dear = np.abs(outcome.dispatch.price).max(axis=0, initial=0.0) >= 0.999 * tree.economics.value_of_lost_load
    return found + (refused_by_transmission(tree, outcome.exchange, np.flatnonzero(dear).tolist()) if dear.any() else [])


def _rest(refused: float) -> str:
    """What becomes of power that is refused [kW]: of demand, or of feed-in."""
    return "cut off" if refused > 0 else "curtailed"


def _binding(solution: ProgramSolution, hours: np.ndarray) -> list[tuple[str, ...]]:
    """Names of ratings, voltages and connection limits with a multiplier, period by period."""
    program: ParametricProgram = solution.program
    reduced = solution.reduced_costs
    found: list[list[str]] = [[] for _ in hours]

    def note(flat: np.ndarray, names: Sequence[str], periods: Sequence[str]) -> None:
        for value, name, period in zip(flat, names, periods, strict=True):
            t = at.get(period)
            if t is not None and abs(value) > MULTIPLIER * hours[t] and name not in found[t]:
                found[t].append(name)

    every = next(b for b in program.columns if "period" in b.coords).coords["period"]
    at = {str(label): t for t, label in enumerate(every)}
    for block in program.rows:
        last = block.name.rsplit("/", 1)[-1]
        y = solution.y[block.positions.ravel()]
        if last in ("rating_forward", "rating_reverse"):
            texts = [str(label).rsplit(" ", 1) for label in block.coords["branch_period"]]
            note(y, [t[0] for t in texts], [t[1] for t in texts])
        elif last in ("import_limit", "export_limit"):
            note(y, [block.name.replace("/", ": ").replace("_", " ")] * block.size, [str(p) for p in block.coords["period"]])
    for block in program.columns:
        if block.name.rsplit("/", 1)[-1] == "voltage_squared":
            buses = [f"voltage of {bus}" for bus in block.coords["bus"] for _ in block.coords["period"]]
            note(reduced[block.positions.ravel()], buses, [str(p) for _ in block.coords["bus"] for p in block.coords["period"]])
    return [tuple(names) for names in found]
