"""The basis of a simplex solve as a value: taken out, kept as bytes, put back, so that an answer depends on nothing else that was solved before.

HiGHS factorises a basis it does not know (``alien``) once more to see whether it is one, and with the scaling of whatever was solved before; then
the answer depends on that too. So only a basis that may be none is given as alien.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

import highspy
import numpy as np

_STATUS = {int(s): s for s in highspy.HighsBasisStatus.__members__.values()}

LOWER, BASIC, UPPER = (int(getattr(highspy.HighsBasisStatus, name)) for name in ("kLower", "kBasic", "kUpper"))


class Basis:
    """Where a simplex solve ended: which columns and rows are basic, which stand at a bound.

    Taken from ``CompiledProgram.basis`` or ``GrowingProgram.basis`` and given to their ``start_from``. HiGHS keeps one object for every status, which
    takes far longer to make than the numbers; so what came as numbers becomes objects only where a solve starts.

    Attributes:
        columns, rows: their numbers.
        alien: whether it may be none, and HiGHS has to check it.
    """

    def __init__(
        self, columns: int, rows: int, status: highspy.HighsBasis | None, numbers: tuple[np.ndarray, np.ndarray] | None, alien: bool
    ) -> None:
        self.columns, self.rows = columns, rows
        self._status, self._numbers, self.alien = status, numbers, alien

    def with_basic_rows(self, at: int, count: int) -> Basis:
        """The basis of a program with ``count`` more rows from position ``at`` on; they are basic, so it stays a basis."""
        if not count:
            return self
        columns, rows = self.statuses
        return _of_numbers(columns, np.insert(rows, at, np.full(count, BASIC, dtype=np.int8)), alien=False)

    def __reduce__(self) -> tuple[Callable[..., Basis], tuple[object, ...]]:
        return _unpickled, (self.packed(), self.alien)

    def packed(self) -> tuple[bytes, bytes]:
        """Columns and rows as bytes, for a checkpoint."""
        columns, rows = self.statuses
        return columns.tobytes(), rows.tobytes()

    @property
    def statuses(self) -> tuple[np.ndarray, np.ndarray]:
        """Status of every column and row, as HiGHS numbers them (0: at the lower bound, 1: basic, 2: at the upper bound)."""
        if self._numbers is None:
            assert self._status is not None
            self._numbers = _numbers(self._status.col_status), _numbers(self._status.row_status)
        return self._numbers

    @classmethod
    def of_statuses(cls, columns: np.ndarray, rows: np.ndarray) -> Basis:
        """The basis with these statuses: as many basic columns and rows as there are rows. It may be singular: HiGHS checks it."""
        return _of_numbers(columns, rows, alien=True)

    @classmethod
    def joined(cls, parts: Sequence[Basis]) -> Basis:
        """The basis of a program whose columns and rows are those of some programs, one after the other, from their bases.

        It is a basis where columns of a part enter rows of its own and of parts before it alone: the basis matrix is then block triangular.
        """
        return cls.of_statuses(*(np.concatenate(each) for each in zip(*(part.statuses for part in parts), strict=True)))

    @classmethod
    def unpacked(cls, data: tuple[bytes, bytes]) -> Basis:
        """The basis that ``packed`` gave as bytes."""
        return _unpickled(data, alien=False)

    @classmethod
    def of(cls, highs: highspy.Highs) -> Basis:
        """The present basis of a HiGHS instance."""
        status = highs.getBasis()
        return cls(highs.getNumCol(), highs.getNumRow(), status, None, bool(status.alien))

    def put_into(self, highs: highspy.Highs) -> None:
        """Start the next solve of a HiGHS instance here; columns it has more than the basis start at their lower bound."""
        more = highs.getNumCol() - self.columns
        if more:
            columns, rows = self.statuses
            basis = _of_numbers(np.concatenate([columns, np.full(more, LOWER, dtype=np.int8)]), rows, alien=False)._objects()
        else:
            basis = self._objects()
        highs.setBasis(basis)

    def _objects(self) -> highspy.HighsBasis:
        """The basis as HiGHS takes it."""
        if self._status is None:
            assert self._numbers is not None
            self._status = basis = highspy.HighsBasis()
            basis.col_status, basis.row_status = ([_STATUS[s] for s in part.tolist()] for part in self._numbers)
            basis.valid, basis.alien, basis.was_alien = True, self.alien, self.alien
        return self._status


def _of_numbers(columns: np.ndarray, rows: np.ndarray, *, alien: bool) -> Basis:
    """A basis from its statuses; not ``alien`` where it is known to be one: HiGHS gave it, or it was grown by columns at a bound or by basic rows."""
    columns, rows = np.asarray(columns, dtype=np.int8), np.asarray(rows, dtype=np.int8)
    return Basis(len(columns), len(rows), None, (columns, rows), alien)


def _unpickled(data: tuple[bytes, bytes], alien: bool) -> Basis:
    columns, rows = (np.frombuffer(part, dtype=np.int8) for part in data)
    return _of_numbers(columns, rows, alien=alien)


def _numbers(status: list[highspy.HighsBasisStatus]) -> np.ndarray:
    return np.fromiter(map(attrgetter("value"), status), dtype=np.int8, count=len(status))
