"""Synthetic parents with many children, easy and hard: any number of children, any seed.

The parent is a network of six buses under DC power flow with generators in blocks of cost, wind, shedding and dumping. A child is a group
of prosumers with batteries and shiftable load behind one connection. **easy**: wear, efficiency and discomfort differ, so answers change
gradually with the price; **hard**: 80 % own equal batteries and shifting is free, so answers jump and herd, and lines are tighter.
Powers kW, energy kWh, EUR/kWh; every hour stands for one hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.coordination.negotiation.children.carriers import Children
from multiscale.coordination.negotiation.children.channel import Channel, ChannelSettings
from multiscale.coordination.negotiation.children.request import Band
from multiscale.programs import Link, ParametricProgram, ProgramBuilder, compose, solve

T = 24
LINES = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 3), (1, 4))
HOUR = np.arange(T)


@dataclass(frozen=True)
class Case:
    """A parent with children.

    Attributes:
        parent: program with parameter ``exchange`` (node, period).
        children: name -> program with output ``exchange``.
        bands: declared intervals.
        expected: exchange of children that have no demand response [kW], (child, period).
        hours: ones.
    """

    parent: ParametricProgram
    children: dict[str, ParametricProgram]
    bands: dict[str, Band]
    expected: np.ndarray
    hours: np.ndarray

    def integrated(self) -> float:
        """Optimum of everything as one program [EUR]."""
        positions = self.parent.parameters["exchange"].positions
        links = [Link(c, "exchange", positions[i]) for i, c in enumerate(self.children)]
        whole = compose("whole", self.parent, self.children, links)
        return solve(whole, method="ipm" if whole.columns.size > 20000 else "simplex").objective


def family(kind: str, count: int, seed: int = 1, prosumers: int = 30, day: int = 0, steps: int = 5) -> Case:
    """A case of a family (``easy`` or ``hard``); generators have so many ``steps`` of cost.

    On another day load and PV differ by about 15 % and all else stays.
    """
    hard = kind == "hard"
    rng = np.random.default_rng([seed, count, int(hard)])
    weather = np.random.default_rng([seed, day]).normal(1.0, 0.15 if day else 0.0, (2, count, T)).clip(0.5, 1.5)
    made = [_child(f"child {i:03d}", rng, hard, prosumers, weather[:, i]) for i in range(count)]
    children = {p.name: p for p, _, _ in made}
    expected = np.array([e for _, e, _ in made])
    bus = np.arange(count) % 6
    parent = _parent(rng, list(children), bus, expected, hard, steps)
    return Case(parent, children, {p.name: b for p, _, b in made}, expected, np.ones(T))


def _child(name: str, rng: np.random.Generator, hard: bool, prosumers: int, weather: np.ndarray) -> tuple[ParametricProgram, np.ndarray, Band]:
    n = prosumers
    shape = 0.5 + 0.25 * np.exp(-((HOUR - 8) ** 2) / 6) + 0.9 * np.exp(-((HOUR - 19) ** 2) / 8)
    load = rng.lognormal(0.0, 0.4, n)[:, None] * shape * rng.normal(1.0, 0.1, (n, T)).clip(0.6, 1.4) * weather[0]
    pv = np.where(rng.random(n) < 0.6, rng.uniform(2.0, 5.0, n), 0.0)[:, None] * np.maximum(np.sin((HOUR - 6) / 12 * np.pi), 0.0) * 0.35 * weather[1]
    owns = rng.random(n) < (0.8 if hard else 0.5)
    energy = np.where(owns, rng.uniform(4.0, 10.0, n), 0.0) * (1.6 if hard else 1.0)
    power = energy * (0.4 if hard else rng.uniform(0.25, 0.6, n))
    eta = np.full(n, 0.95) if hard else rng.uniform(0.92, 0.97, n)
    wear = np.full(n, 0.005) if hard else rng.uniform(0.002, 0.02, n)
    shifted = load * rng.uniform(0.1, 0.3, n)[:, None]
    begin = rng.integers(0, 15, n)
    window = (begin[:, None] <= HOUR) & (begin[:, None] + rng.integers(9, 20, n)[:, None] > HOUR)
    due = (shifted * window).sum(axis=1)
    fixed = load - shifted * window
    discomfort = np.zeros(n) if hard else rng.uniform(0.0, 0.01, n)
    most_shift = np.where(window, 3.0 * due[:, None] / window.sum(axis=1)[:, None], 0.0)

    builder = ProgramBuilder(name)
    period, who = {"period": HOUR}, {"prosumer": np.arange(n), "period": HOUR}
    previous = (HOUR - 1) % T
    most = fixed.sum(axis=0) + most_shift.sum(axis=0) + power.sum()
    limit = 0.75 * (fixed + shifted).sum(axis=0).max() + 0.3 * power.sum()
    exchange = builder.add_columns("exchange", period, unit="kW", lower=-limit, upper=limit)
    cut = builder.add_columns("unserved", period, unit="kW", upper=fixed.sum(axis=0), cost=3.0)
    spill = builder.add_columns("spilled", period, unit="kW", upper=pv.sum(axis=0))
    charge = builder.add_columns("charge", who, unit="kW", upper=power[:, None], cost=wear[:, None])
    discharge = builder.add_columns("discharge", who, unit="kW", upper=power[:, None], cost=wear[:, None])
    stored = builder.add_columns("stored", who, unit="kWh", upper=energy[:, None])
    cost = discomfort[:, None] * np.minimum(np.abs(HOUR - 12), 6) / 6
    shift = builder.add_columns("shift", who, unit="kW", upper=most_shift, cost=cost)
    kept = [(1.0, stored), (-1.0, stored[:, previous]), (-eta[:, None], charge), (1 / eta[:, None], discharge)]
    builder.add_rows("energy", who, kept, "==", unit="kWh")
    builder.add_rows("due", {"prosumer": np.arange(n)}, [(1.0, shift)], "==", due, unit="kWh")
    draw = [(1.0, charge.T), (-1.0, discharge.T), (1.0, shift.T)]
    net = (fixed - pv).sum(axis=0)
    builder.add_rows("balance", period, [(1.0, exchange), (1.0, cut), (-1.0, spill), *((-s, b) for s, b in draw)], "==", net, unit="kW")
    builder.add_output("exchange", period, [(1.0, exchange)], unit="kW")
    reference = np.clip(net + shifted.sum(axis=0), -limit, limit)
    band = Band(np.maximum(-pv.sum(axis=0) - power.sum(), -limit) - 1e-3, np.minimum(most, limit) + 1e-3)
    return builder.build(), reference, band


def _parent(rng: np.random.Generator, names: list[str], bus: np.ndarray, expected: np.ndarray, hard: bool, steps: int) -> ParametricProgram:
    total = expected.sum(axis=0)
    own_total = total.mean() / (0.5 if hard else 0.4)
    share = rng.dirichlet(np.full(6, 4.0))
    own = share[:, None] * own_total * (0.7 + 0.5 * np.exp(-((HOUR - 18) ** 2) / 20))
    wind = np.zeros((6, T))
    for b in rng.choice(6, 3, replace=False):
        wind[b] = rng.uniform(0.05, 0.15) * own_total * np.clip(0.6 + 0.4 * np.sin(HOUR / 24 * 2 * np.pi + rng.uniform(0, 6)), 0, 1)
    peak = (own.sum(axis=0) + total).max()
    blocks = np.sort(rng.uniform(0.015, 0.12, (12, steps)), axis=1)
    size = peak * 2.2 * rng.dirichlet(np.full(12, 5.0))[:, None] / steps
    at = np.arange(12) % 6
    susceptance = rng.uniform(0.5, 1.5, len(LINES))
    incidence = np.zeros((len(LINES), 6))
    for k, (i, j) in enumerate(LINES):
        incidence[k, i], incidence[k, j] = 1.0, -1.0
    laplacian = incidence.T @ np.diag(susceptance) @ incidence
    factors = np.zeros((len(LINES), 6))
    factors[:, 1:] = np.diag(susceptance) @ incidence[:, 1:] @ np.linalg.inv(laplacian[1:, 1:])
    drawn = np.zeros((6, T))
    np.add.at(drawn, bus, expected)

    def program(limit: np.ndarray) -> ParametricProgram:
        builder = ProgramBuilder("parent")
        period, buses = {"period": HOUR}, {"bus": np.arange(6), "period": HOUR}
        exchange = builder.add_parameters("exchange", {"node": np.array(names), **period}, unit="kW")
        axes = {"generator": np.arange(12), "block": np.arange(steps), **period}
        output = builder.add_columns("output", axes, unit="kW", upper=size[:, :, None], cost=blocks[:, :, None])
        used = builder.add_columns("wind", buses, unit="kW", upper=wind)
        shed = builder.add_columns("shed", buses, unit="kW", cost=3.0)
        dump = builder.add_columns("dump", buses, unit="kW", cost=0.2)
        per_bus = [np.array([k for k in range(12) if at[k] == b], dtype=int) for b in range(6)]

        def injected(t_first: bool) -> list[list[tuple[float, np.ndarray]]]:
            out = []
            for b in range(6):
                made = output[per_bus[b]].reshape(-1, T).T if len(per_bus[b]) else np.full((T, 1), -1)
                out.append([(1.0, made), (1.0, used[b]), (1.0, shed[b]), (-1.0, dump[b])])
            return out if t_first else []

        terms = injected(True)
        children = exchange.T
        builder.add_rows("balance", period, [t for b in terms for t in b], "==", own.sum(axis=0), unit="kW", parameters=[(1.0, children)])
        for sign, word in ((1.0, "forward"), (-1.0, "reverse")):
            for k in range(len(LINES)):
                flow = [(sign * factors[k, b] * c, p) for b in range(6) for c, p in terms[b]]
                right = limit[k] + sign * (factors[k] @ own)
                builder.add_rows(f"{word} {k}", period, flow, "<=", right, unit="kW", parameters=[(sign * factors[k, bus], children)])
        return builder.build()

    free = program(np.full(len(LINES), 1e9))
    solved = solve(free, {"exchange": expected})
    made = np.zeros((6, T))
    np.add.at(made, at, solved.primal("output").values.sum(axis=1))
    injection = made + solved.primal("wind").values - own - drawn
    low, high = (0.4, 0.7) if hard else (0.6, 0.85)
    return program(rng.uniform(low, high, len(LINES)) * np.maximum(np.abs(factors @ injection).max(axis=1), 1.0))


def unreliable(children: Children, seed: int) -> Channel:
    """Children behind a channel that loses a twentieth of the messages, delays half of the answers and repeats some."""
    return Channel(children, ChannelSettings(lost=0.05, late=0.5, repeated=0.05, seed=seed))
