"""The basis of a simplex solve as a value: taken out, kept as bytes, put back, so that an answer depends on nothing else that was solved before."""

from __future__ import annotations

import highspy
import numpy as np

_STATUS = {int(s): s for s in highspy.HighsBasisStatus.__members__.values()}


def start_from(highs: highspy.Highs, basis: highspy.HighsBasis | None) -> None:
    """Forget everything solved so far, and start the next solve from the given basis (None: from nothing).

    Columns added since the basis was taken start at their lower bound.
    """
    highs.clearSolver()
    if basis is None:
        return
    more = highs.getNumCol() - len(basis.col_status)
    if more:
        grown = highspy.HighsBasis()
        grown.col_status = [*basis.col_status, *[highspy.HighsBasisStatus.kLower] * more]
        grown.row_status, grown.valid = basis.row_status, True
        basis = grown
    highs.setBasis(basis)


def packed(basis: highspy.HighsBasis | None) -> tuple[bytes, bytes] | None:
    """The basis as bytes, for a checkpoint."""
    if basis is None:
        return None
    columns, rows = (np.array([int(s) for s in part], dtype=np.int8).tobytes() for part in (basis.col_status, basis.row_status))
    return columns, rows


def unpacked(data: tuple[bytes, bytes] | None) -> highspy.HighsBasis | None:
    """What ``packed`` packed."""
    if data is None:
        return None
    basis = highspy.HighsBasis()
    basis.col_status, basis.row_status = ([_STATUS[s] for s in np.frombuffer(part, dtype=np.int8).tolist()] for part in data)
    basis.valid = True
    return basis
