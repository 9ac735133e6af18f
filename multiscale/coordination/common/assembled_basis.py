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
from multiscale.programs import Basis, CompiledProgram
from multiscale.programs.basis import BASIC, UPPER


def assembled_basis(tree: OperatingTree, answers: Mapping[str, Answer], energy_price: Mapping[str, np.ndarray]) -> Basis:
    """The basis of the integrated program with one cut in every period: its columns and rows are those of the parts, one after the other.

    Args:
        tree: programs of the nodes.
        answers: platform -> its answer, with the basis.
        energy_price: DSO -> price at its boundary [EUR/kWh], (period,).
    """
    periods = tree.horizon.periods
    parts = [Basis.of_statuses(np.full(periods, BASIC), np.full(periods, UPPER))]
    for dso in tree.transmission.children:
        own = tree.distribution[dso]
        exchange = np.array([answers[child].exchange for child in own.children]).reshape(len(own.children), periods)
        compiled = CompiledProgram(own.program, devex=True)
        # At a price below zero the DSO by itself would curtail what no platform feeds in.
        price = np.maximum(energy_price[dso], 0.0)
        compiled.solve_optimal({"energy_price": price, "exchange": exchange, "built": tree.design.choice(own.options)})
        parts.append(compiled.basis)
        for child in own.children:
            known = answers[child].basis
            assert known is not None
            parts.append(known)
    return Basis.joined(parts)
