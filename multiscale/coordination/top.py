"""The TSO as a parent: all periods of its dispatch as one program, with the branch limits that bind in each period."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from multiscale.coordination.parent import Parent
from multiscale.coordination.request import Band
from multiscale.operation import Transmission
from multiscale.operation.transmission import period_program
from multiscale.programs import Block, Index, ParametricProgram


class TopProgram:
    """The TSO's dispatch over all periods as one program, counted from the dispatch in which no node below draws anything.

    Branch limits are rows in the periods in which they were found to bind; ``extend`` looks at all flows and adds what is violated, so a
    point it accepts is feasible for the full DC problem, and a bound without a limit is a bound with it.

    Args:
        transmission: the TSO.
    """

    def __init__(self, transmission: Transmission) -> None:
        self.transmission = transmission
        self.limits: list[np.ndarray] = [np.zeros(0, dtype=int) for _ in range(transmission.horizon.periods)]
        self.idle_cost = float(transmission.idle_cost.sum())
        # In the dispatch without the nodes below some limits bind; they are the first to watch.
        self._watch(transmission.idle.flow)

    def watch(self, exchange: np.ndarray) -> None:
        """Make rows of the limits that are nearly full when the nodes draw so much [kW], (node, period)."""
        self._watch(self.transmission.dispatch(exchange).flow)

    def _watch(self, flow: np.ndarray) -> None:
        for t in range(flow.shape[1]):
            full = np.flatnonzero(np.abs(flow[:, t]) > self.transmission.model.limit * (1 - 1e-3))
            self.limits[t] = np.union1d(self.limits[t], full)

    def program(self) -> ParametricProgram:
        """The program with the limits watched so far; parameter ``exchange`` (node, period) [kW]."""
        network, t_count = self.transmission, self.transmission.horizon.periods
        parts, self._injection = [], []
        for t in range(t_count):
            part = period_program(network, t, self.limits[t], network.model.transfer_factors(self.limits[t]))
            kept = np.flatnonzero(part.upper > part.lower)
            parts.append((part, kept))
            self._injection.append(_injection(network, part)[:, kept].tocsr())
        nodes = len(network.children)
        columns, rows, exchange = [], [], []
        n = m = 0
        for t, (part, kept) in enumerate(parts):
            label = network.horizon.labels[t]
            columns.append(Block(f"{label}/dispatch", {"column": kept}, "kW", n))
            rows.append(Block(f"{label}/rows", {"row": np.arange(part.rows.size)}, "kW", m))
            spread = sparse.csr_matrix((np.ones(nodes), (np.arange(nodes), np.arange(nodes) * t_count + t)), shape=(nodes, nodes * t_count))
            exchange.append(part.B @ spread)
            n, m = n + len(kept), m + part.rows.size
        axes = {"node": np.array(network.children, dtype=str), "period": network.horizon.labels}
        return ParametricProgram(
            name=network.system.top,
            columns=Index(tuple(columns)),
            rows=Index(tuple(rows)),
            parameters=Index((Block("exchange", axes, "kW", 0),)),
            A=sparse.block_diag([p.A[:, k] for p, k in parts], format="csr"),
            b0=np.concatenate([p.b0 - p.A @ _fixed(p, k) for p, k in parts]),
            B=sparse.vstack(exchange, format="csr"),
            equality=np.concatenate([p.equality for p, _ in parts]),
            c0=np.concatenate([p.c0[k] for p, k in parts]),
            C=sparse.csr_matrix((n, nodes * t_count)),
            lower=np.concatenate([p.lower[k] for p, k in parts]),
            upper=np.concatenate([p.upper[k] for p, k in parts]),
            d0=sum(p.d0 + float(p.c0 @ _fixed(p, k)) for p, k in parts) - self.idle_cost,
        )

    def extend(self, x: np.ndarray, exchange: np.ndarray) -> ParametricProgram | None:
        """The program with the limits violated by a dispatch (columns, exchange of the nodes [kW]), or None where all flows are within."""
        network, offset, fresh = self.transmission, 0, False
        for t, injection in enumerate(self._injection):
            total = injection @ x[offset : offset + injection.shape[1]]
            offset += injection.shape[1]
            np.add.at(total, network.passive_bus, network.renewable[:, t] - network.demand[:, t])
            np.add.at(total, network.child_bus, -exchange[:, t])
            over = np.flatnonzero(np.abs(network.model.flows(total)) > network.model.limit * (1 + 1e-6))
            more = np.setdiff1d(over, self.limits[t])
            if len(more):
                self.limits[t], fresh = np.concatenate([self.limits[t], more]), True
        return self.program() if fresh else None


def top_parent(transmission: Transmission, bands: Mapping[str, Band], expected: np.ndarray) -> tuple[Parent, TopProgram]:
    """The TSO as a parent of its DSOs, and its program.

    Args:
        transmission: the TSO.
        bands: DSO -> declared interval, in the order of its children.
        expected: exchange at which to look for limits first [kW], (DSO, period).
    """
    top = TopProgram(transmission)
    top.watch(expected)
    return Parent(top.program(), transmission.horizon.hours_per_year, bands, top.extend), top


def _fixed(program: ParametricProgram, kept: np.ndarray) -> np.ndarray:
    """Columns that cannot move, at their value; zero elsewhere."""
    x = np.where(np.isfinite(program.lower), program.lower, 0.0)
    x[kept] = 0.0
    return x


def _injection(network: Transmission, program: ParametricProgram) -> sparse.csc_matrix:
    """What one unit of each column injects at each bus [1], (bus, column)."""
    places = {
        "generation": (1.0, network.generator_bus),
        "unserved": (1.0, network.passive_bus),
        "curtailed": (-1.0, network.passive_bus),
        "spilled": (-1.0, network.child_bus),
        "missing": (1.0, network.child_bus),
    }
    row = np.concatenate([places[b.name][1] for b in program.columns])
    sign = np.concatenate([np.full(b.size, places[b.name][0]) for b in program.columns])
    return sparse.csc_matrix((sign, (row, np.arange(program.columns.size))), shape=(len(network.model.buses), program.columns.size))
