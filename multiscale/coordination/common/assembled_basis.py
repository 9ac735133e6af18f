"""A basis of the integrated program put together of those of its parts, each solved at prices that are near.

A platform's part of the integrated program is its own program at internal prices, a DSO's part is its own at given exchanges; the cost of
transmission stands in its cuts alone. So with the columns of the parts first the basis matrix is block triangular, and not singular as none of its
blocks is:

    platforms   B_c                     basic where the platform's own solve ended
    DSO         coupling   B_d          basic where its own solve ended
    cuts        coupling   coupling  1  the cost of transmission

Where the prices are right and no limit joins the parts it is optimal; else the simplex method goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.coordination.common.answer import Answer
from multiscale.operation import OperatingTree
from multiscale.programs import Basis, CompiledProgram, Index
from multiscale.programs.program import ParametricProgram

AT_LOWER, BASIC, AT_UPPER = 0, 1, 2


def assembled_basis(
    master: ParametricProgram, tree: OperatingTree, answers: Mapping[str, Answer], energy_price: Mapping[str, np.ndarray]
) -> Basis:
    """The basis of the integrated program with one cut in every period.

    Args:
        master: DSOs with their platforms, named ``<dso>/`` and ``<dso>/<platform>/``, and ``theta`` with its ``cuts``.
        tree: programs of the nodes.
        answers: platform -> its answer, with the basis.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,).
    """
    columns, rows = np.full(master.columns.size, AT_LOWER, dtype=np.int8), np.full(master.rows.size, BASIC, dtype=np.int8)
    columns[master.columns["theta"].positions.ravel()], rows[master.rows["cuts"].positions.ravel()] = BASIC, AT_UPPER

    def place(prefix: str, program: ParametricProgram, basis: Basis) -> None:
        of_columns, of_rows = basis.statuses
        _spread(columns, master.columns, program.columns, of_columns, prefix)
        _spread(rows, master.rows, program.rows, of_rows, prefix)

    for dso, own in tree.distribution.items():
        for child in own.children:
            known = answers[child].basis
            assert known is not None
            place(f"{dso}/{child}", tree.platforms[child], Basis.unpacked(known))
        compiled = CompiledProgram(own.program, devex=True)
        exchange = np.array([answers[child].exchange for child in own.children]).reshape(len(own.children), tree.horizon.periods)
        compiled.solve_optimal({"energy_price": energy_price[dso], "exchange": exchange, "built": tree.design.choice(own.options)})
        place(dso, own.program, compiled.basis)
    return Basis.of_statuses(columns, rows)


def _spread(whole: np.ndarray, index: Index, part: Index, statuses: np.ndarray, prefix: str) -> None:
    """Put the statuses of a part where its blocks stand in the whole."""
    for block in part:
        whole[index[f"{prefix}/{block.name}"].positions.ravel()] = statuses[block.positions.ravel()]
