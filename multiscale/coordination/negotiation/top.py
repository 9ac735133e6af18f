"""The TSO as a parent: all periods of its dispatch as one program, with the branch limits that bind in each period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.children.request import Band
from multiscale.coordination.negotiation.parent import MasterPoint, Parent
from multiscale.operation import Transmission
from multiscale.operation.reserves import ErrorPool, GeneratorHeadroom, holding_cost, transmission_with_reserves
from multiscale.operation.transmission import EXCEEDED
from multiscale.operation.transmission_program import Monitored, period_program
from multiscale.programs import Block, Index, ParametricProgram


class TopProgram:
    """The TSO's dispatch over all periods as one program, counted from the dispatch in which no node below draws or hands over anything.

    Branch limits are rows in the periods in which they were found to bind; ``extend`` looks at all flows and adds what is violated, so a
    point it accepts is feasible for the full DC problem, and a bound without a limit is a bound with it.

    Args:
        transmission: the TSO.
        error_pool: its forecast errors, where forecasts err, and what its nodes may hand it (see ``operation.reserves``).
    """

    def __init__(self, transmission: Transmission, error_pool: ErrorPool | None = None) -> None:
        self.transmission, self.error_pool = transmission, error_pool
        self.limits: list[np.ndarray] = [np.zeros(0, dtype=int) for _ in range(transmission.horizon.periods)]
        self.idle_cost, self.idle_reserves_cost = float(transmission.idle_cost.sum()), np.zeros(transmission.horizon.periods)
        # In the dispatch without the nodes below some limits bind; they are the first to watch.
        self._watch(transmission.idle.flow)

    def count_own_errors(self, idle: MasterPoint, program: ParametricProgram) -> None:
        """Count the cost from the dispatch in which the TSO covers its own forecast errors and no node below draws or hands over anything."""
        self.idle_reserves_cost = holding_cost(program, idle.x)
        self.idle_cost += idle.cost

    def watch(self, exchange: np.ndarray) -> None:
        """Make rows of the limits that are nearly full when the nodes draw so much [kW], (node, period)."""
        self._watch(self.transmission.dispatch(exchange).flow)

    def _watch(self, flow: np.ndarray) -> None:
        for t in range(flow.shape[1]):
            full = np.flatnonzero(np.abs(flow[:, t]) > self.transmission.model.limit * (1 - 1e-3))
            self.limits[t] = np.union1d(self.limits[t], full)

    def program(self) -> ParametricProgram:
        """The program with the limits watched and tangents needed so far; parameter ``exchange`` (node, period) [kW], perhaps ``uncertainty`` too."""
        network, t_count = self.transmission, self.transmission.horizon.periods
        parts, self._injection = [], []
        for t in range(t_count):
            part = period_program(network, t, Monitored.of(network.model, self.limits[t], self.limits[t]))
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
        energy = ParametricProgram(
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
        self._energy_columns = n
        if self.error_pool is None:
            return energy
        headroom = _headroom(parts, [block.offset for block in columns])
        horizon = network.horizon
        return transmission_with_reserves(
            energy, horizon.labels, horizon.hours_per_year, network.economics, self.error_pool, network.children, headroom
        )

    def extend(self, x: np.ndarray, exchange: np.ndarray) -> ParametricProgram | None:
        """The program with what a dispatch (columns, exchange of the nodes [kW]) violates of limits and norms, or None where it violates nothing."""
        network, offset, fresh = self.transmission, 0, False
        if self.error_pool is not None:
            exchange, handed = np.split(exchange, 2, axis=1)
            fresh = bool(self.error_pool.understated(x[self._energy_columns :][: network.horizon.periods], handed).any())
        for t, injection in enumerate(self._injection):
            total = injection @ x[offset : offset + injection.shape[1]]
            offset += injection.shape[1]
            np.add.at(total, network.passive_bus, network.renewable[:, t] - network.demand[:, t])
            np.add.at(total, network.child_bus, -exchange[:, t])
            over = np.flatnonzero(np.abs(network.model.flows(total)) > network.model.limit * (1 + EXCEEDED))
            more = np.setdiff1d(over, self.limits[t])
            if len(more):
                self.limits[t], fresh = np.concatenate([self.limits[t], more]), True
        return self.program() if fresh else None


def top_parent(
    transmission: Transmission, bands: Mapping[str, Band], expected: np.ndarray, error_pool: ErrorPool | None = None
) -> tuple[Parent, TopProgram]:
    """The TSO as a parent of its DSOs, and its program.

    Args:
        transmission: the TSO.
        bands: DSO -> declared interval, in the order of its children.
        expected: exchange at which to look for limits first [kW], (DSO, period).
        error_pool: see ``TopProgram``.
    """
    top = TopProgram(transmission, error_pool)
    top.watch(expected)
    hours = np.tile(transmission.horizon.hours_per_year, 1 if error_pool is None else 2)
    parent = Parent(top.program(), hours, bands, top.extend)
    if error_pool is not None:
        top.count_own_errors(parent.point_at(np.zeros((len(bands), len(hours)))), parent.program)
        parent = Parent(top.program(), hours, bands, top.extend)
    return parent, top


def _headroom(parts: Sequence[tuple[ParametricProgram, np.ndarray]], offsets: Sequence[int]) -> GeneratorHeadroom:
    """What generators and renewables leave for forecast errors, in the columns that are kept of every period."""
    found: dict[str, list[np.ndarray]] = {"generation": [], "curtailed": []}
    most, least, renewable = [], [], []
    for (part, kept), offset in zip(parts, offsets, strict=True):
        here = {}
        for name, positions in found.items():
            chosen = np.flatnonzero(np.isin(kept, part.columns[name].positions.ravel()))
            positions.append(offset + chosen)
            here[name] = kept[chosen]
        most.append(part.upper[here["generation"]].sum())
        least.append(part.lower[here["generation"]].sum())
        renewable.append(part.upper[here["curtailed"]].sum())
    return GeneratorHeadroom(found["generation"], np.array(most), np.array(least), found["curtailed"], np.array(renewable))


def _fixed(program: ParametricProgram, kept: np.ndarray) -> np.ndarray:
    """Columns that cannot move, at their value; zero elsewhere."""
    x = np.where(np.isfinite(program.lower), program.lower, 0.0)
    x[kept] = 0.0
    return x


def _injection(network: Transmission, program: ParametricProgram) -> sparse.csc_matrix:
    """What one unit of each column injects at each bus [1], (bus, column)."""
    places = {
        "generation": (1.0, network.generator_bus),
        "unserved": (1.0, network.passive_bus[network.drawing]),
        "curtailed": (-1.0, network.passive_bus[network.feeding]),
        "spilled": (-1.0, network.child_bus),
        "missing": (1.0, network.child_bus),
    }
    row = np.concatenate([places[b.name][1] for b in program.columns])
    sign = np.concatenate([np.full(b.size, places[b.name][0]) for b in program.columns])
    return sparse.csc_matrix((sign, (row, np.arange(program.columns.size))), shape=(len(network.model.buses), program.columns.size))
