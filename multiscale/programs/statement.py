"""What a program states, kept while it is built: families of rows, their terms, names of coefficients, and where they stand in the code.

Nothing is kept unless somebody records; then every ``ProgramBuilder`` that is begun inside writes down what it is handed:

    with recorded() as statements:
        platform_program(...)
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from multiscale.programs.index import Block
from multiscale.symbols import Named


@dataclass(frozen=True)
class StatedTerm:
    """A term as it was handed over.

    Attributes:
        coefficient: number, array, or ``Named``.
        rows: positions of rows of the program, in the shape of ``positions``.
        positions: of columns (or parameters); -1 where the term is absent.
        parameter: whether they are parameters, on the right-hand side.
    """

    coefficient: Any
    rows: np.ndarray
    positions: np.ndarray
    parameter: bool


@dataclass
class StatedRows:
    """A family of rows: ``sum of terms (sense) rhs + sum of parameter terms``."""

    block: Block
    sense: str
    rhs: Any
    terms: list[StatedTerm]
    place: str


@dataclass
class StatedColumns:
    """A family of columns with its bounds and cost."""

    block: Block
    lower: Any
    upper: Any
    cost: Any
    place: str


@dataclass
class Statement:
    """What one builder was handed.

    Attributes:
        name: of the program.
        rows, columns: families in their order.
        parameters: blocks of parameters.
        payments: (columns, parameters, coefficient) of costs that are products of both.
        outputs: what others see of the program.
        costs: (columns, amounts) of further costs of columns.
        constant: cost that nothing decides [EUR].
    """

    name: str
    rows: list[StatedRows] = field(default_factory=list)
    columns: list[StatedColumns] = field(default_factory=list)
    parameters: list[Block] = field(default_factory=list)
    payments: list[tuple[np.ndarray, np.ndarray, Any]] = field(default_factory=list)
    outputs: list[StatedRows] = field(default_factory=list)
    costs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    constant: float = 0.0

    def add_output(self, block: Block, terms: Sequence[tuple[Any, Any]]) -> None:
        """A linear quantity that others see, as ``ProgramBuilder.add_output`` is handed it."""
        found = []
        for coefficient, positions in terms:
            places = np.asarray(positions)
            rows = block.positions[..., None] if places.ndim == len(block.shape) + 1 else block.positions
            shape = np.broadcast_shapes(rows.shape, places.shape, np.shape(coefficient))
            found.append(StatedTerm(coefficient, np.broadcast_to(rows, shape), np.broadcast_to(places, shape), parameter=False))
        self.outputs.append(StatedRows(block, ":=", 0.0, found, _place()))

    def add_to_output(self, name: str, entries: np.ndarray, columns: np.ndarray, coefficient: Any) -> None:
        """Further terms of an output."""
        shape = np.broadcast_shapes(np.shape(entries), np.shape(columns), np.shape(coefficient))
        family = next(one for one in self.outputs if one.block.name == name)
        family.terms.append(StatedTerm(coefficient, np.broadcast_to(entries, shape), np.broadcast_to(columns, shape), parameter=False))

    def add_rows(self, block: Block, terms: Sequence[tuple[Any, Any]], sense: str, rhs: Any, parameters: Sequence[tuple[Any, Any]]) -> None:
        """A family of rows as ``ProgramBuilder.add_rows`` is handed it."""
        found = []
        for given, parameter in ((terms, False), (parameters, True)):
            for coefficient, positions in given:
                places = np.asarray(positions)
                rows = block.positions[..., None] if places.ndim == len(block.shape) + 1 else block.positions
                shape = np.broadcast_shapes(rows.shape, places.shape, np.shape(coefficient))
                found.append(StatedTerm(coefficient, np.broadcast_to(rows, shape), np.broadcast_to(places, shape), parameter))
        self.rows.append(StatedRows(block, sense, rhs, found, _place()))

    def add_to_rows(self, rows: np.ndarray, positions: np.ndarray, coefficient: Any, *, parameter: bool) -> None:
        """Terms of rows that are there already, family by family."""
        shape = np.broadcast_shapes(np.shape(rows), np.shape(positions), np.shape(coefficient))
        rows, positions = np.broadcast_to(rows, shape).ravel(), np.broadcast_to(positions, shape).ravel()
        values = np.broadcast_to(np.asarray(coefficient, dtype=float), shape).ravel()
        for family in self.rows:
            here = (rows >= family.block.offset) & (rows < family.block.offset + family.block.size)
            if here.any():
                part: Any = values[here]
                if isinstance(coefficient, Named):
                    part = Named(part, coefficient.symbol, coefficient.meaning, coefficient.unit)
                family.terms.append(StatedTerm(part, rows[here], positions[here], parameter))

    def add_columns(self, block: Block, lower: Any, upper: Any, cost: Any) -> None:
        """A family of columns."""
        self.columns.append(StatedColumns(block, lower, upper, cost, _place()))


_RECORD: ContextVar[list[Statement] | None] = ContextVar("statements", default=None)


@contextlib.contextmanager
def recorded() -> Iterator[list[Statement]]:
    """Statements of all programs that are begun inside, in their order."""
    found: list[Statement] = []
    token = _RECORD.set(found)
    try:
        yield found
    finally:
        _RECORD.reset(token)


def begun(name: str) -> Statement | None:
    """The statement of a program that begins; None where nothing is recorded."""
    record = _RECORD.get()
    if record is None:
        return None
    record.append(Statement(name))
    return record[-1]


_PACKAGE = Path(__file__).resolve().parents[1]


def _place() -> str:
    """File and line in the package from which the builder was called, and the function."""
    frame = sys._getframe(1)
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == _PACKAGE / "programs":
        frame = frame.f_back
    file = Path(frame.f_code.co_filename)
    shown = file.relative_to(_PACKAGE.parent).as_posix() if file.is_relative_to(_PACKAGE) else file.name
    return f"{shown}:{frame.f_lineno} {frame.f_code.co_qualname}"
