"""Labels of rows, columns and parameters: named blocks over coordinates, laid out one after another in a vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

Coordinates = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Block:
    """A named array of rows, columns or parameters inside a flat vector.

    Attributes:
        name: what the entries are, e.g. ``import`` or ``line_rating_forward``.
        coords: dimension name -> labels, in the order of the array's axes (C order in the vector).
        unit: unit of a column's value, a parameter's value, or a row's right-hand side.
        offset: position of the first entry in the flat vector.
        description: one line for people; kept as ``long_name``.
    """

    name: str
    coords: Coordinates
    unit: str
    offset: int
    description: str = ""

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""
        return tuple(len(labels) for labels in self.coords.values())

    @cached_property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def positions(self) -> np.ndarray:
        """Positions of the entries in the flat vector, in the block's shape."""
        return np.arange(self.offset, self.offset + self.size).reshape(self.shape)

    def shifted(self, by: int, prefix: str = "") -> Block:
        """The same block, ``by`` places further on and under ``prefix + name``."""
        return Block(prefix + self.name, self.coords, self.unit, self.offset + by, self.description)


@dataclass(frozen=True)
class Index:
    """An ordered collection of blocks that covers a flat vector without gaps.

    Raises:
        ValueError: two blocks share a name.
    """

    blocks: tuple[Block, ...] = ()
    _by_name: dict[str, Block] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {block.name: block for block in self.blocks}
        if len(by_name) != len(self.blocks):
            seen: set[str] = set()
            twice = next(b.name for b in self.blocks if b.name in seen or seen.add(b.name))  # type: ignore[func-returns-value]
            raise ValueError(f"block {twice!r} is declared twice; give each block of a program its own name")
        object.__setattr__(self, "_by_name", by_name)

    @cached_property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(block.size for block in self.blocks)

    def __getitem__(self, name: str) -> Block:
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"no block {name!r}; there are {sorted(self._by_name)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def values(self, name: str, vector: np.ndarray) -> np.ndarray:
        """The block ``name`` of a flat vector in the block's shape, without labels."""
        block = self[name]
        return vector[block.offset : block.offset + block.size].reshape(block.shape)

    def array(self, name: str, vector: np.ndarray) -> xr.DataArray:
        """The block ``name`` of a flat vector as a labelled array with its unit."""
        # Imported here: processes that only solve must not wait for pandas.
        import xarray as xr

        block, values = self[name], self.values(name, vector)
        attributes = {"units": block.unit, "long_name": block.description or block.name.replace("_", " ")}
        return xr.DataArray(values, dims=tuple(block.coords), coords=dict(block.coords), name=name, attrs=attributes)

    def vector(self, values: Mapping[str, object], fill: float | None = None) -> np.ndarray:
        """The flat vector with the given blocks set.

        Args:
            values: block name -> array (broadcast to the block's shape).
            fill: value of the blocks that are not given; ``None`` demands all of them.

        Raises:
            KeyError: an unknown block, or a missing one where ``fill`` is None.
            ValueError: a value with the wrong shape, or one that is not a number.
        """
        unknown = sorted(set(values) - set(self._by_name))
        if unknown:
            raise KeyError(f"unknown blocks {unknown}; there are {sorted(self._by_name)}")
        flat = np.full(self.size, np.nan if fill is None else fill)
        for name, value in values.items():
            block = self[name]
            array = np.asarray(value, dtype=float)
            try:
                flat[block.offset : block.offset + block.size] = np.broadcast_to(array, block.shape).ravel()
            except ValueError:
                raise ValueError(f"{name!r} has shape {array.shape}; it must be {block.shape} over {tuple(block.coords)}") from None
        if np.isnan(flat).any():
            where = int(np.flatnonzero(np.isnan(flat))[0])
            raise (KeyError if self.owner(where).name not in values else ValueError)(f"{self.label(where)} has no value")
        return flat

    def owner(self, position: int) -> Block:
        """The block that holds a position of the flat vector."""
        for block in self.blocks:
            if block.offset <= position < block.offset + block.size:
                return block
        raise IndexError(f"position {position} is outside 0..{self.size - 1}")

    def label(self, position: int) -> str:
        """What stands at a position, e.g. ``import[t03]``."""
        block = self.owner(position)
        if not block.coords:
            return block.name
        place = np.unravel_index(position - block.offset, block.shape)
        return f"{block.name}[{','.join(str(labels[i]) for labels, i in zip(block.coords.values(), place, strict=True))}]"

    @classmethod
    def stacked(cls, blocks: Iterable[Block]) -> Index:
        """An index of the given blocks, laid out anew in their order."""
        index = cls()
        for block in blocks:
            index = index.joined(cls((block.shifted(-block.offset),)))
        return index

    def joined(self, other: Index, prefix: str = "") -> Index:
        """This index followed by ``other`` (its names prefixed)."""
        return Index(self.blocks + tuple(block.shifted(self.size, prefix) for block in other.blocks))

    def part(self, name: str, positions: np.ndarray) -> Index:
        """An index of some positions of this one, as one block of a given name; their labels stay."""
        return _Part((Block(name, {"position": positions}, "", 0),), self)


@dataclass(frozen=True)
class _Part(Index):
    """One block of positions of another index."""

    whole: Index = field(default_factory=Index)

    def owner(self, position: int) -> Block:
        """The block of the whole index that holds what stands there."""
        return self.whole.owner(self._in_whole(position))

    def label(self, position: int) -> str:
        """What stands there in the whole index."""
        return self.whole.label(self._in_whole(position))

    def _in_whole(self, position: int) -> int:
        (block,) = self.blocks
        return int(block.coords["position"][position])
