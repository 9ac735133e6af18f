r"""The follower split at the price of energy.

Import and export of the DSO are free at the price pi_t, so the dual of the root's balance is pi_t, and that of every zone reached from the root
through branches whose limits are not retained is the same. With pi_t times these balances put into the costs, the rows drop out with
import, export and the flows, and what is left falls into connected components, exactly:

    phi(z, t) = constant + sum_c phi_c(z_c, t),     phi_c = min (c_c - A_c' pi + t w_c)' x_c   s.t. rows of c with z_c

Limits are retained where they were found violated, one (branch, period) or (bus, period) at a time; an answer that satisfies the omitted limits
is the answer with them. Zones joined by branches without a retained limit are one zone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property, partial

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multiscale.planning.decomposition.component import Bases, Component, PartAnswer
from multiscale.planning.decomposition.known_answers import EarlierAnswers, key_of
from multiscale.planning.decomposition.network_state import NetworkState, Retained
from multiscale.planning.decomposition.structure import Structure, option_rows
from multiscale.planning.decomposition.unbought import DUALS, Restriction
from multiscale.planning.search_start import PartAnswers, SearchStart
from multiscale.programs import Basis, Block, Index, ParametricProgram, ProgramError

BASIC, AT_LOWER = 1, 0


class Split:
    """The follower's components under the retained limits.

    Attributes:
        components: with at least one row, charged energy or transfers.
        constant: cost that no component decides [EUR/a].
        fixed_state: state without the components.

    Args:
        known: structure of the follower.
        network: its states.
        retained: limits in force.
        before: an earlier split, whose components and bases are used where they fit.
        start: where the search in another follower of the same rows and columns ended, without an earlier split.
    """

    def __init__(
        self, known: Structure, network: NetworkState, retained: Retained, before: Split | None = None, start: SearchStart | None = None
    ) -> None:
        self.known, self.network, self.retained = known, network, retained
        self._earlier: Mapping[bytes, PartAnswers] = before._earlier if before else {a.key: a for a in start.answers} if start else {}
        program = known.program
        kept = self._kept_state()
        label = self._zones(kept)
        balance = known.balance.ravel()
        price = np.broadcast_to(known.price, known.balance.shape).ravel()
        at_price = label == label[-1]
        paid = np.where(at_price[:-1], price, 0.0)
        costs = program.c0 - program.A[balance].T @ paid
        self.constant = float(program.d0 + program.b0[balance] @ paid)
        matrix, rhs, names, raised = self._rows(label, kept)
        inner = np.ones(program.columns.size, dtype=bool)
        inner[known.state], inner[known.given] = kept, kept[: known.taken.size]
        matrix = sparse.csc_matrix(matrix)
        alone = inner & (np.diff(matrix.indptr) == 0) & (known.energy == 0) & (known.transfer == 0) & (known.further == 0).all(axis=1)
        self.isolated = np.flatnonzero(alone)
        self.isolated_values = self._idle(costs)
        self.constant += float(costs[self.isolated] @ self.isolated_values)
        columns = np.flatnonzero(inner & ~alone)
        self.components = self._components(matrix[:, columns].tocsr(), rhs, names, raised, columns, costs, before, start)

    @cached_property
    def fixed_state(self) -> np.ndarray:
        """State without the components: fixed demand, and columns that no row holds."""
        rows = self.known.program.b0[self.known.network_rows]
        return self.network.spread(rows - self.network.network_of(self.isolated) @ self.isolated_values)

    def _idle(self, costs: np.ndarray) -> np.ndarray:
        program, k = self.known.program, self.isolated
        low, high = program.lower[k], program.upper[k]
        if (np.where(costs[k] < 0, np.isinf(high), (costs[k] > 0) & np.isinf(low))).any():
            raise ProgramError(f"program {program.name!r} is unbounded")
        return np.where(costs[k] < 0, high, np.where((costs[k] > 0) | np.isfinite(low), low, np.clip(0.0, low, high)))

    def _kept_state(self) -> np.ndarray:
        """State columns that stay: those in retained limits, and the path of every retained voltage."""
        known, retained = self.known, self.retained
        kept = retained.bounds | (np.asarray(abs(self.network.limit_rows[retained.rows]).sum(axis=0)).ravel() > 0)
        if not known.drops.size:
            return kept
        reads = abs(known.program.A[known.drops][:, known.state]).tocsr()
        while True:
            more = kept | (np.asarray(reads[kept[-known.drops.size :]].sum(axis=0)).ravel() > 0)
            if np.array_equal(more, kept):
                return kept
            kept = more

    def _zones(self, kept: np.ndarray) -> np.ndarray:
        """Group of every balance row; the last entry is that of the parent's market."""
        known = self.known
        balance, nodes = known.balance.ravel(), known.balance.size
        flows = known.program.A[balance][:, known.state].tocsc()
        number = known.taken.size
        last = known.state.size - known.drops.size
        free = np.flatnonzero(~kept[number:last]) + number
        ends = flows[:, free].indices.reshape(-1, 2)
        bought = np.flatnonzero(~kept[:number])
        start, end = np.concatenate([ends[:, 0], bought]), np.concatenate([ends[:, 1], np.full(bought.size, nodes)])
        graph = sparse.csr_matrix((np.ones(start.size), (start, end)), shape=(nodes + 1, nodes + 1))
        return connected_components(graph, directed=False)[1]

    def _rows(self, label: np.ndarray, kept: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray, sparse.csr_matrix]:
        """Rows of the split program: sums of balances, retained voltages and limits, and all rows outside the network."""
        known = self.known
        program = known.program
        balance = known.balance.ravel()
        inside = np.flatnonzero(label[:-1] != label[-1])
        groups, first, member = np.unique(label[inside], return_index=True, return_inverse=True)
        add = sparse.csr_matrix((np.ones(inside.size), (member, inside)), shape=(groups.size, balance.size))
        drops = known.drops[kept[known.state.size - known.drops.size :]]
        limits = known.limits[self.retained.rows]
        outside = np.ones(program.rows.size, dtype=bool)
        outside[known.network_rows], outside[known.limits] = False, False
        rest = np.concatenate([drops, limits, np.flatnonzero(outside)])
        matrix = sparse.vstack([add @ program.A[balance], program.A[rest]], format="csr")
        matrix.eliminate_zeros()
        raised = sparse.vstack([sparse.csr_matrix((groups.size, known.built.size)), option_rows(known)[rest]], format="csr")
        names = np.concatenate([balance[inside[first]], rest])
        return matrix, np.concatenate([add @ program.b0[balance], program.b0[rest]]), names, raised

    def _components(
        self,
        matrix: sparse.csr_matrix,
        rhs: np.ndarray,
        names: np.ndarray,
        raised: sparse.csr_matrix,
        columns: np.ndarray,
        costs: np.ndarray,
        before: Split | None,
        start: SearchStart | None,
    ) -> list[Component]:
        known, program = self.known, self.known.program
        m, n, k = names.size, columns.size, known.built.size
        # Options are nodes too: the limits they raise belong together.
        links = sparse.hstack([matrix, raised]).tocoo()
        graph = sparse.csr_matrix((np.ones(links.nnz), (links.row, m + links.col)), shape=(m + n + k, m + n + k))
        count, label = connected_components(graph, directed=False)
        row_order, column_order = np.argsort(label[:m], kind="stable"), np.argsort(label[m : m + n], kind="stable")
        row_ends = np.searchsorted(label[:m][row_order], np.arange(count + 1))
        column_ends = np.searchsorted(label[m : m + n][column_order], np.arange(count + 1))
        by_key = {c.key: c for c in before.components} if before else {}
        by_options = {c.options.tobytes(): c for c in before.components if c.options.size} if before else {}
        status = before.statuses() if before else (start.basis.columns, start.basis.rows) if start else None
        bought, duals = np.zeros(program.columns.size, dtype=bool), np.zeros((DUALS, program.rows.size))
        for component in before.components if before else []:
            bought[component.bought] = True
            duals[:, component.rows] = component.restriction.duals
        if start is not None:
            bought |= start.bought
        equality = program.equality[names]
        result = []
        for g in range(count):
            rows, inner = row_order[row_ends[g] : row_ends[g + 1]], column_order[column_ends[g] : column_ends[g + 1]]
            if not inner.size:
                continue
            ours = columns[inner]
            part = matrix[rows][:, inner]
            content = (ours, names[rows], part.indptr, part.indices, part.data, rhs[rows], costs[ours])
            key = hashlib.sha256(b"".join(a.tobytes() for a in content)).digest()
            if key in by_key:
                result.append(by_key[key])
                continue
            options = np.flatnonzero(label[m + n :] == g)
            options = options[np.asarray(raised[rows][:, options].sum(axis=0)).ravel() > 0]
            energy, transfer = known.energy[ours], known.transfer[ours]
            levy, levied = known.levy_of(energy, transfer)
            further = known.further[ours]
            paid = np.column_stack([energy, further, levy * energy - transfer])
            prices = 1 + further.shape[1]
            piece = ParametricProgram(
                name=f"{program.name}, component at {program.columns.label(int(ours[0]))}",
                columns=Index((Block("columns", {"column": ours}, "", 0),)),
                rows=Index((Block("rows", {"row": names[rows]}, "", 0),)),
                parameters=Index(
                    (
                        Block("built", {"option": options}, "1", 0),
                        Block("charges", {"charge": np.arange(prices)}, "", options.size),
                        Block("waived", {}, "1", options.size + prices),
                    )
                ),
                A=part,
                b0=rhs[rows],
                B=sparse.hstack([raised[rows][:, options], sparse.csr_matrix((rows.size, prices + 1))], format="csr"),
                equality=equality[rows],
                c0=costs[ours],
                C=sparse.hstack([sparse.csr_matrix((ours.size, options.size)), sparse.csr_matrix(paid)], format="csr"),
                lower=program.lower[ours],
                upper=program.upper[ours],
            )
            to_network = self.network.network_of(ours)
            known_before = bought[ours], duals[:, names[rows]]
            component = Component(key, ours, names[rows], piece, options, energy, further, transfer, levy, levied, to_network, *known_before)
            if status is not None:
                component.start = status[0][ours], status[1][names[rows]]
                old = by_options.get(options.tobytes())
                if old is not None:
                    component.bases = Bases(old.bases, partial(_carried, status, old, old.restriction, component, component.restriction))
                    component.best_scale, component.relief, component.typical = old.best_scale, old.relief, old.typical
            if self._earlier and options.size and (known_answers := self._earlier.get(key_of(component))) is not None:
                component.earlier = EarlierAnswers(component, known_answers, self.network.spread)
            result.append(component)
        return result

    def statuses(self, *, settled: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
        """A basis of the whole follower put together from those of the components; None before all of them were solved.

        What the split omitted is determined by omitted rows: flows, voltages and imports are basic, balances and voltage rows are not,
        and omitted limits have slack. ``settled``: it is optimal with the capacity that components omit, too.
        """
        program, known = self.known.program, self.known
        columns, rows = np.full(program.columns.size, AT_LOWER, dtype=np.int8), np.full(program.rows.size, AT_LOWER, dtype=np.int8)
        columns[known.state], rows[known.limits] = BASIC, BASIC
        columns[self.isolated] = np.where(self.isolated_values > program.lower[self.isolated], 2, AT_LOWER)
        for component in self.components:
            ended = component.statuses(settled=settled)
            if ended is None:
                return None
            columns[component.columns], rows[component.rows] = ended
        return columns, rows

    def state(self, answers: list[PartAnswer]) -> np.ndarray:
        """Flows and voltages of one answer of every component."""
        return self.fixed_state + sum((a.state for a in answers), np.zeros(self.known.state.size))

    def columns(self, parts: list[np.ndarray]) -> np.ndarray:
        """Columns of the follower from those of every component."""
        known, program = self.known, self.known.program
        x = np.zeros(program.columns.size)
        x[self.isolated] = self.isolated_values
        for component, values in zip(self.components, parts, strict=True):
            x[component.columns] = values
        network = program.A[known.network_rows]
        x[known.state], x[known.given] = 0.0, 0.0
        x[known.state] = self.network.spread(program.b0[known.network_rows] - network @ x)
        net = x[known.taken]
        x[known.taken], x[known.given] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        return x


def _carried(
    status: tuple[np.ndarray, np.ndarray], old: Component, before: Restriction, new: Component, restriction: Restriction, basis: Basis
) -> Basis:
    """A basis of a component, solved under a restriction, as one of another under its own; what it does not name is as in ``status``."""
    columns, rows = status[0].copy(), status[1].copy()
    columns[old.columns], rows[old.rows] = before.widened(basis)
    return restriction.narrowed(columns[new.columns], rows[new.rows])
