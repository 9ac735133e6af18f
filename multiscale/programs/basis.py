"""The basis of a simplex solve as a value: taken out, kept as bytes, put back, so that an answer depends on nothing else that was solved before."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

_STATUS = {int(s): s for s in highspy.HighsBasisStatus.__members__.values()}


@dataclass(frozen=True)
class Basis:
    """Where a simplex solve ended: which columns and rows are basic, which stand at a bound.

    Taken from ``CompiledProgram.basis`` or ``GrowingProgram.basis`` and given to their ``start_from``.
    """

    _status: highspy.HighsBasis

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._status.row_status)

    def with_basic_rows(self, at: int, count: int) -> Basis:
        """The basis of a program with ``count`` more rows from position ``at`` on; they are basic, so it stays a basis."""
        grown, rows = highspy.HighsBasis(), list(self._status.row_status)
        grown.col_status = self._status.col_status
        grown.row_status = [*rows[:at], *[highspy.HighsBasisStatus.kBasic] * count, *rows[at:]]
        grown.valid = True
        return Basis(grown)

    def packed(self) -> tuple[bytes, bytes]:
        """Columns and rows as bytes, for a checkpoint."""
        columns, rows = self.statuses
        return columns.tobytes(), rows.tobytes()

    @property
    def statuses(self) -> tuple[np.ndarray, np.ndarray]:
        """Status of every column and row, as HiGHS numbers them (0: at the lower bound, 1: basic, 2: at the upper bound)."""
        columns, rows = (np.array([int(s) for s in part], dtype=np.int8) for part in (self._status.col_status, self._status.row_status))
        return columns, rows

    @classmethod
    def of_statuses(cls, columns: np.ndarray, rows: np.ndarray) -> Basis:
        """The basis with these statuses: as many basic columns and rows as there are rows."""
        return cls.unpacked((columns.astype(np.int8).tobytes(), rows.astype(np.int8).tobytes()))

    @classmethod
    def unpacked(cls, data: tuple[bytes, bytes]) -> Basis:
        """The basis that ``packed`` gave as bytes."""
        basis = highspy.HighsBasis()
        basis.col_status, basis.row_status = ([_STATUS[s] for s in np.frombuffer(part, dtype=np.int8).tolist()] for part in data)
        basis.valid = True
        return cls(basis)

    @classmethod
    def of(cls, highs: highspy.Highs) -> Basis:
        """The present basis of a HiGHS instance."""
        return cls(highs.getBasis())

    def put_into(self, highs: highspy.Highs) -> None:
        """Start the next solve of a HiGHS instance here; columns it has more than the basis start at their lower bound."""
        basis, more = self._status, highs.getNumCol() - len(self._status.col_status)
        if more:
            basis = highspy.HighsBasis()
            basis.col_status = [*self._status.col_status, *[highspy.HighsBasisStatus.kLower] * more]
            basis.row_status, basis.valid = self._status.row_status, True
        highs.setBasis(basis)
