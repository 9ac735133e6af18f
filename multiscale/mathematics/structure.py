"""How the columns of a term follow the rows it stands in: what is written as indices, a sum, or a shift by one period.

The structure of a term is found from its entries and is checked to give exactly these entries again (``StructuredTerm.entries``), so that what is
printed is what is in the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiscale.programs import Block
from multiscale.symbols import Named


@dataclass(frozen=True)
class Follows:
    """A dimension of the columns that follows one of the rows.

    Attributes:
        dim: of the columns.
        row_dim: of the rows.
        kind: ``same`` label, or ``previous``: the entry before, the last of its part for the first of a part (days are cyclic).
        position: position along ``dim`` for each position along ``row_dim``.
    """

    dim: str
    row_dim: str
    kind: str
    position: np.ndarray


@dataclass(frozen=True)
class Value:
    """A coefficient or right-hand side that depends on some indices only.

    Attributes:
        named: symbol, meaning and unit where it has them.
        dims: the indices on which it depends.
        numbers: key of these indices (flat position) -> number; a single number where there are none.
        lowest, highest: its range.
    """

    named: Named | None
    dims: tuple[str, ...]
    keys: np.ndarray
    numbers: np.ndarray

    @property
    def lowest(self) -> float:
        """Lowest number."""
        return float(self.numbers.min(initial=np.inf))

    @property
    def highest(self) -> float:
        """Highest number."""
        return float(self.numbers.max(initial=-np.inf))


@dataclass(frozen=True)
class StructuredTerm:
    """A term of a family of rows: ``coefficient x column``, or a sum of such over the columns that belong to the row.

    Attributes:
        rows, columns: the two families.
        parameter: whether the columns are parameters, on the right-hand side.
        follows: dimensions of the columns that follow the rows.
        summed: the others.
        keyed_by: dimensions of the rows on which it depends which of the ``summed`` belong to a row.
        members: (key, flat position in ``summed``) of all that belong, sorted; (n, 2).
        present: flat positions of the rows in which the term stands.
        value: the coefficient.
    """

    rows: Block
    columns: Block
    parameter: bool
    follows: tuple[Follows, ...]
    summed: tuple[str, ...]
    keyed_by: tuple[str, ...]
    members: np.ndarray
    present: np.ndarray
    value: Value

    @property
    def everywhere(self) -> bool:
        """Whether it stands in every row."""
        return len(self.present) == self.rows.size

    @property
    def over_all(self) -> bool:
        """Whether every row in which it stands has all of the columns that are summed."""
        size = _size(self.columns, self.summed)
        return len(self.members) == size * len(np.unique(self.members[:, 0]))

    @property
    def assigned(self) -> bool:
        """Whether each key has one column."""
        return bool(len(self.summed)) and len(np.unique(self.members[:, 0])) == len(self.members)

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions of rows and columns in the program, and coefficients, made from the structure alone."""
        index = dict(zip(self.rows.coords, np.unravel_index(self.present, self.rows.shape), strict=True)) if self.rows.coords else {}
        key = _flat(self.rows, index, self.keyed_by, len(self.present))
        order = np.searchsorted(self.members[:, 0], key, side="left")
        count = np.searchsorted(self.members[:, 0], key, side="right") - order
        repeat = np.repeat(np.arange(len(self.present)), count)
        within = np.arange(len(repeat)) - np.repeat(np.cumsum(count) - count, count)
        extra = self.members[order[repeat] + within, 1]
        place = dict(zip(self.summed, np.unravel_index(extra, _shape(self.columns, self.summed)), strict=True)) if self.summed else {}
        for one in self.follows:
            place[one.dim] = one.position[index[one.row_dim][repeat]]
        columns = self.columns.offset + _flat(self.columns, place, tuple(self.columns.coords), len(repeat))
        rows = self.rows.offset + self.present[repeat]
        return rows, columns, _looked_up(self.value, self.rows, {d: i[repeat] for d, i in index.items()}, self.columns, self.summed, extra)


def structured(
    rows: Block, columns: Block, parameter: bool, at: np.ndarray, of: np.ndarray, values: np.ndarray, named: Named | None
) -> StructuredTerm:
    """The structure of entries.

    Args:
        rows, columns: families.
        parameter: whether the columns are parameters.
        at, of: flat positions within the families, entry by entry; no pair twice.
        values: coefficients.
        named: what they are called.

    Raises:
        ValueError: the structure found does not give the entries again (a fault of this module).
    """
    index = dict(zip(rows.coords, np.unravel_index(at, rows.shape), strict=True)) if rows.coords else {}
    place = dict(zip(columns.coords, np.unravel_index(of, columns.shape), strict=True)) if columns.coords else {}
    follows: list[Follows] = []
    for dim in columns.coords:
        found = _following(rows, columns, index, place, dim)
        if found is not None and found.row_dim not in [one.row_dim for one in follows]:
            follows.append(found)
    summed = tuple(dim for dim in columns.coords if dim not in [one.dim for one in follows])
    extra = _flat(columns, place, summed, len(at))
    free = tuple(d for d in rows.coords if d not in [one.row_dim for one in follows])
    present = np.unique(at)
    value = _value(rows, columns, index, summed, extra, values, named)
    order = np.lexsort((of, at))
    for keyed in (free, tuple(rows.coords)):
        members = np.unique(np.column_stack([_flat(rows, index, keyed, len(at)), extra]), axis=0)
        term = StructuredTerm(rows, columns, parameter, tuple(follows), summed, keyed, members, present, value)
        again = term.entries()
        back = np.lexsort((again[1], again[0]))
        if len(again[0]) == len(at) and all(
            np.array_equal(x[back], y[order])
            for x, y in zip(again, (at + rows.offset, of + columns.offset, values), strict=True)
        ):
            return term
    raise ValueError(f"the terms of {columns.name!r} in {rows.name!r} have no structure that gives them again")


def _following(rows: Block, columns: Block, index: dict[str, np.ndarray], place: dict[str, np.ndarray], dim: str) -> Follows | None:
    labels = columns.coords[dim]
    for row_dim, there in index.items():
        own = rows.coords[row_dim]
        if own.dtype.kind != labels.dtype.kind:
            continue
        if (own[there] == labels[place[dim]]).all():
            position = np.full(len(own), -1)
            position[there] = place[dim]
            return Follows(dim, row_dim, "same", position)
        if len(own) == len(labels) and (own == labels).all():
            position = np.full(len(own), -1)
            position[there] = place[dim]
            shift = position - np.arange(len(own))
            if (position[there] == place[dim]).all() and (position >= 0).all() and ((shift == -1) | (shift > 0)).all() and len(own) > 1:
                return Follows(dim, row_dim, "previous", position)
    return None


def _value(
    rows: Block, columns: Block, index: dict[str, np.ndarray], summed: Sequence[str], extra: np.ndarray, values: np.ndarray, named: Named | None
) -> Value:
    """The coefficient with the fewest indices on which it depends."""
    dims = [*rows.coords, *(["+"] if summed else [])]
    for dim in list(dims):
        fewer = [d for d in dims if d != dim]
        keys = _keys(rows, index, columns, summed, extra, fewer, len(values))
        order = np.argsort(keys, kind="stable")
        same = keys[order][1:] == keys[order][:-1]
        if (values[order][1:][same] == values[order][:-1][same]).all():
            dims = fewer
    keys = _keys(rows, index, columns, summed, extra, dims, len(values))
    unique, first = np.unique(keys, return_index=True)
    return Value(named, tuple(dims), unique, values[first])


def _looked_up(value: Value, rows: Block, index: dict[str, np.ndarray], columns: Block, summed: Sequence[str], extra: np.ndarray) -> np.ndarray:
    keys = _keys(rows, index, columns, summed, extra, value.dims, len(extra))
    found = np.searchsorted(value.keys, keys)
    return np.asarray(value.numbers[np.minimum(found, len(value.numbers) - 1)])


def _keys(
    rows: Block, index: dict[str, np.ndarray], columns: Block, summed: Sequence[str], extra: np.ndarray, dims: Sequence[str], length: int
) -> np.ndarray:
    """Flat key of some dimensions of the rows and, where ``+`` is among them, of what is summed."""
    key = _flat(rows, index, tuple(d for d in dims if d != "+"), length)
    return key * _size(columns, tuple(summed)) + extra if "+" in dims else key


def _shape(block: Block, dims: Sequence[str]) -> tuple[int, ...]:
    return tuple(len(block.coords[d]) for d in dims)


def _size(block: Block, dims: Sequence[str]) -> int:
    return int(np.prod(_shape(block, dims), dtype=np.int64))


def _flat(block: Block, index: dict[str, Any], dims: Sequence[str], length: int) -> np.ndarray:
    """Flat position in some dimensions of a family."""
    flat = np.zeros(length, dtype=np.int64)
    for dim in dims:
        flat = flat * len(block.coords[dim]) + index[dim]
    return flat
