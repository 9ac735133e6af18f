"""Nodal prices of a platform, split into what they are made of, from the duals of its program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiscale.operation.losses import ROWS
from multiscale.programs import ParametricProgram

PRICE_PARTS = ("energy", "losses", "congestion", "voltage")
"""What a nodal price is made of."""


BRANCH_ROWS = ((), (ROWS,), ("rating_forward", "rating_reverse"), ("voltage_drop",))
"""Rows of a branch whose multipliers make up each part."""


def price_parts(program: ParametricProgram, y: np.ndarray) -> np.ndarray:
    r"""The price of energy where each member is connected, in its parts [EUR/a per kW], (part, member, period), in the order of ``PRICE_PARTS``.

    The flow on a branch l from zone m to zone n costs nothing itself, so that in an optimum

        lambda_n - lambda_m  =  sum_a s_la nu_la  +  (mu_l,forward - mu_l,reverse)  -  2 r_l / (1000 Vn^2) w_l

    with ``nu >= 0`` the multipliers of the tangents of its losses and ``s_la = 2 rho_l a`` their slopes (where losses are counted; the multipliers of
    a branch add up to ``lambda_n`` where that is above zero, so that the first term is its marginal loss at the price of ``n``), ``mu >= 0`` the
    multipliers of its rating and ``w_l`` the dual of the voltage drop along it, which is the sum of the multipliers of the voltage limits below
    the branch. The price of a zone is that of the root (energy), and the sums of the three terms over its path (losses, congestion, voltage).
    Every part is computed from duals of its own; that they add up to the dual of the zone's balance is the optimality of the flows.

    Args:
        program: of a platform whose members buy and sell.
        y: row duals of an optimum.
    """
    columns = program.columns["buy"].positions
    periods = columns.shape[1]
    if "balance" not in program.rows:
        pool = _weighted(program, ("pool",), y)[columns]
        return np.stack([-pool, *np.zeros((len(PRICE_PARTS) - 1, *columns.shape))])
    balance = program.rows["balance"].positions
    zone_of_row = np.full(program.rows.size, -1)
    zone_of_row[balance] = np.arange(len(balance))[:, None]
    parts = np.zeros((len(PRICE_PARTS), *balance.shape))
    parts[0] = y[balance[0]]
    by_column = program.A.tocsc()
    if "flow" in program.columns:
        flow = program.columns["flow"].positions
        added = np.stack([-_weighted(program, rows, y)[flow] for rows in BRANCH_ROWS])
        # Zones are in the order of the tree: the one that a branch leaves comes before the one that it feeds.
        for k, column in enumerate(flow[:, 0].tolist()):
            entries = slice(by_column.indptr[column], by_column.indptr[column + 1])
            zone, sign = zone_of_row[by_column.indices[entries]], by_column.data[entries]
            (fed,), (outer,) = zone[(zone >= 0) & (sign > 0)], zone[(zone >= 0) & (sign < 0)]
            parts[:, fed] = parts[:, outer] + added[:, k]
    entries = by_column[:, columns.ravel()].tocoo()
    there = zone_of_row[entries.row] >= 0
    place = np.zeros(columns.size, dtype=int)
    place[entries.col[there]] = zone_of_row[entries.row[there]]
    return parts[:, place.reshape(columns.shape), np.arange(periods)]


def _weighted(program: ParametricProgram, rows: Sequence[str], y: np.ndarray) -> np.ndarray:
    """``A'y`` over some blocks of rows alone, (column,)."""
    chosen = np.concatenate([np.zeros(0, dtype=int), *(program.rows[name].positions.ravel() for name in rows if name in program.rows)])
    return np.asarray(program.A[chosen].T @ y[chosen])
