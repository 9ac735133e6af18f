"""The basis of a simplex solve as a value: taken out, kept as bytes, put back, so that an answer depends on nothing else that was solved before.

HiGHS factorises a basis it does not know (``alien``) once more to see whether it is one, and with the scaling of whatever was solved before; then
the answer depends on that too. So only a basis that may be none is given as alien.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import highspy
import numpy as np

_STATUS = {int(s): s for s in highspy.HighsBasisStatus.__members__.values()}


@dataclass(frozen=True)
class Basis:
    """Where a simplex solve ended: which columns and rows are basic, which stand at a bound.

    Taken from ``CompiledProgram.basis`` or ``GrowingProgram.basis`` and given to their ``start_from``.

    Attributes:
        columns, rows: their numbers.
    """

    _status: highspy.HighsBasis
    # Every look at the statuses copies them out of HiGHS, so their number is kept.
    columns: int
    rows: int

    def with_basic_rows(self, at: int, count: int) -> Basis:
        """The basis of a program with ``count`` more rows from position ``at`` on; they are basic, so it stays a basis."""
        if not count:
            return self
        rows = list(self._status.row_status)
        grown = _known(self._status.col_status, [*rows[:at], *[highspy.HighsBasisStatus.kBasic] * count, *rows[at:]])
        return Basis(grown, self.columns, self.rows + count)

    def __reduce__(self) -> tuple[Callable[..., Basis], tuple[object, ...]]:
        return _unpickled, (self.packed(), bool(self._status.alien))

    def packed(self) -> tuple[bytes, bytes]:
        """Columns and rows as bytes, for a checkpoint."""
        columns, rows = self.statuses
        return columns.tobytes(), rows.tobytes()

    @cached_property
    def statuses(self) -> tuple[np.ndarray, np.ndarray]:
        """Status of every column and row, as HiGHS numbers them (0: at the lower bound, 1: basic, 2: at the upper bound)."""
        return _numbers(self._status.col_status), _numbers(self._status.row_status)

    @classmethod
    def of_statuses(cls, columns: np.ndarray, rows: np.ndarray) -> Basis:
        """The basis with these statuses: as many basic columns and rows as there are rows. It may be singular: HiGHS checks it."""
        basis = cls.unpacked((columns.astype(np.int8).tobytes(), rows.astype(np.int8).tobytes()))
        basis._status.alien = basis._status.was_alien = True
        return basis

    @classmethod
    def joined(cls, parts: Sequence[Basis]) -> Basis:
        """The basis of a program whose columns and rows are those of some programs, one after the other, from their bases.

        It is a basis where columns of a part enter rows of its own and of parts before it alone: the basis matrix is then block triangular.
        """
        return cls.of_statuses(*(np.concatenate(each) for each in zip(*(part.statuses for part in parts), strict=True)))

    @classmethod
    def unpacked(cls, data: tuple[bytes, bytes]) -> Basis:
        """The basis that ``packed`` gave as bytes."""
        columns, rows = ([_STATUS[s] for s in np.frombuffer(part, dtype=np.int8).tolist()] for part in data)
        return cls(_known(columns, rows), len(columns), len(rows))

    @classmethod
    def of(cls, highs: highspy.Highs) -> Basis:
        """The present basis of a HiGHS instance."""
        return cls(highs.getBasis(), highs.getNumCol(), highs.getNumRow())

    def put_into(self, highs: highspy.Highs) -> None:
        """Start the next solve of a HiGHS instance here; columns it has more than the basis start at their lower bound."""
        basis, more = self._status, highs.getNumCol() - self.columns
        if more:
            basis = _known([*self._status.col_status, *[highspy.HighsBasisStatus.kLower] * more], self._status.row_status)
        highs.setBasis(basis)


def _unpickled(data: tuple[bytes, bytes], alien: bool) -> Basis:
    basis = Basis.unpacked(data)
    basis._status.alien = basis._status.was_alien = alien
    return basis


def _numbers(status: list[highspy.HighsBasisStatus]) -> np.ndarray:
    return np.fromiter(map(attrgetter("value"), status), dtype=np.int8, count=len(status))


def _known(columns: list[highspy.HighsBasisStatus], rows: list[highspy.HighsBasisStatus]) -> highspy.HighsBasis:
    """A basis that is one: HiGHS gave it, or it was grown by columns at a bound or by basic rows."""
    basis = highspy.HighsBasis()
    basis.col_status, basis.row_status = columns, rows
    basis.valid, basis.alien, basis.was_alien = True, False, False
    return basis
