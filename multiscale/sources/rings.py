"""Closed rings below the transmission level, opened where the least current flows.

The closed network carries its loads in a linear flow, ``Y V = (S / Vn)*`` with the sources at one voltage; the branches of largest current that
form a tree stay closed (the maximum spanning tree), each of the others closes a ring in which it carries the least. Operation, planning and
verification take the network as opened.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph, linalg

from multiscale.system.approximation import Approximation


def opened_rings(
    buses: pd.DataFrame, branches: pd.DataFrame, sources: np.ndarray, drawn_kva: pd.Series, changed: list[Approximation]
) -> pd.DataFrame:
    """The branch table with closed rings opened: ``in_service`` false for one branch (and those in parallel with it) of each.

    Args:
        buses, branches: tables by name.
        sources: whether a bus is held by the grid above, (bus); rings among these alone stay closed.
        drawn_kva: complex power drawn at buses [kVA], by name; what is not named draws nothing.
        changed: extended by where rings were opened.
    """
    # All that is held above is one vertex for each voltage, and these are joined: what hangs on two of them closes a ring.
    number = np.arange(len(buses)) + 1
    levels, level = np.unique(buses["vn_kv"].to_numpy()[sources], return_inverse=True)
    held = np.concatenate([[0], len(buses) + np.arange(1, len(levels))])
    number[sources] = held[level]
    position = pd.Series(number, index=buses.index)
    on = np.flatnonzero(branches["in_service"].to_numpy(bool))
    start, end = (position.loc[branches[c].to_numpy()[on]].to_numpy() for c in ("from_bus", "to_bus"))
    across = start != end
    on, start, end = on[across], np.minimum(start[across], end[across]), np.maximum(start[across], end[across])
    size = len(buses) + len(levels)
    pair, member = np.unique(start * size + end, return_inverse=True)
    i, j = pair // size, pair % size
    inside = np.isin(i, held) & np.isin(j, held)
    first, others = np.zeros(len(held) - 1, dtype=int), held[1:]
    edges = np.concatenate([i[~inside], first]), np.concatenate([j[~inside], others])
    count, _ = csgraph.connected_components(sparse.coo_matrix((np.ones(len(edges[0])), edges), shape=(size, size)), directed=False)
    if len(edges[0]) == size - count:
        return branches
    current = _currents(branches.iloc[on], buses, start, end, member, len(pair), drawn_kva, position, size, held)
    # Equal currents are distinguished by their place in the table; weights are negative and never zero.
    rank = np.empty(len(pair))
    rank[np.lexsort((-np.arange(len(pair)), current))] = np.arange(1, len(pair) + 1)
    weight = -np.concatenate([rank[~inside], np.full(len(others), len(pair) + 1.0)])
    tree = csgraph.minimum_spanning_tree(sparse.coo_matrix((weight, edges), shape=(size, size))).tocoo()
    kept = np.isin(pair, np.minimum(tree.row, tree.col) * size + np.maximum(tree.row, tree.col))
    out = branches.copy()
    for k in np.flatnonzero(~kept & ~inside):
        rows = on[member == k]
        names = [str(name) for name in branches.index[rows]]
        out.iloc[rows, out.columns.get_loc("in_service")] = False
        if "charged_from" in out:
            out.iloc[rows, out.columns.get_loc("charged_from")] = "from_bus"
        at = ", ".join(repr(name) for name in names)
        done = f"closed in the data, opened at bus {branches['to_bus'].iloc[rows[0]]!r}: the ring it closes carries least there ({current[k]:.3g} A)"
        changed.append(Approximation(f"branch {at}", "ring", done))
    return out


def _currents(
    branches: pd.DataFrame,
    buses: pd.DataFrame,
    start: np.ndarray,
    end: np.ndarray,
    member: np.ndarray,
    pairs: int,
    drawn_kva: pd.Series,
    position: pd.Series,
    size: int,
    held: np.ndarray,
) -> np.ndarray:
    """Current of every pair of joined buses in the closed network [A], at the nominal voltage of its to end, by a linear flow."""
    vn = buses["vn_kv"].reindex(branches["to_bus"]).to_numpy(float)
    z = branches["r_ohm"].to_numpy(float) + 1j * branches["x_ohm"].to_numpy(float)
    admittance = np.zeros(pairs, dtype=complex)
    # In pu of 1 kVA, so that voltage levels have one scale.
    np.add.at(admittance, member, vn**2 * 1e3 / np.where(z == 0, 1e-9, z))
    first = np.unique(member, return_index=True)[1]
    i, j, kv = start[first], end[first], vn[first]
    rows, columns = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
    values = np.concatenate([admittance, admittance, -admittance, -admittance])
    matrix = sparse.coo_matrix((values, (rows, columns)), shape=(size, size)).tocsc()
    parts = csgraph.connected_components(abs(matrix), directed=False)[1]
    free = np.flatnonzero(np.isin(parts, parts[held]) & ~np.isin(np.arange(size), held))
    drawn = np.zeros(size, dtype=complex)
    known = drawn_kva[drawn_kva.index.isin(position.index)]
    np.add.at(drawn, position.loc[known.index].to_numpy(), known.to_numpy(complex))
    volts = np.zeros(size, dtype=complex)
    volts[free] = linalg.spsolve(matrix[free][:, free], -np.conj(drawn[free]))
    return np.abs(admittance * (volts[i] - volts[j])) / (np.sqrt(3.0) * kv)
