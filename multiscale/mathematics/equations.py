"""The statement of a program as equations: families of rows with the structure of every term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from multiscale.mathematics.structure import StructuredTerm, Value, structured
from multiscale.programs import Block, ParametricProgram, Statement
from multiscale.programs.statement import StatedColumns, StatedRows
from multiscale.symbols import Named


@dataclass(frozen=True)
class Equation:
    """A family of rows.

    Attributes:
        block: name, sets, unit and description.
        sense: ``==``, ``<=`` or ``>=``.
        terms: of columns, on the left.
        parameters: of parameters, on the right.
        rhs: the constant on the right, as a term without columns.
        place: file, line and function that state it.
    """

    block: Block
    sense: str
    terms: tuple[StructuredTerm, ...]
    parameters: tuple[StructuredTerm, ...]
    rhs: Value
    place: str

    @property
    def unnamed(self) -> tuple[StructuredTerm, ...]:
        """Terms whose coefficients vary and have no name."""
        return tuple(t for t in (*self.terms, *self.parameters) if t.value.named is None and t.value.dims)


@dataclass(frozen=True)
class Variable:
    """A family of columns with its bounds and cost."""

    block: Block
    lower: Value
    upper: Value
    cost: Value
    place: str


@dataclass(frozen=True)
class Stated:
    """A program as equations.

    Attributes:
        name: of the program.
        equations, variables: in their order.
        parameters: blocks of parameters.
        payments: coefficient x parameter x column, in the objective.
        outputs: what others see of the program; no rows of it.
        constant: cost that nothing decides [EUR].
    """

    name: str
    equations: tuple[Equation, ...]
    variables: tuple[Variable, ...]
    parameters: tuple[Block, ...]
    payments: tuple[StructuredTerm, ...]
    outputs: tuple[Equation, ...]
    constant: float


def stated(statement: Statement) -> Stated:
    """The equations of a statement."""
    columns, parameters = [one.block for one in statement.columns], statement.parameters
    equations = [_equation(family, columns, parameters) for family in statement.rows if family.block.size]
    variables = [
        Variable(one.block, _constant(one.block, one.lower), _constant(one.block, one.upper), _constant(one.block, _cost(one, statement)), one.place)
        for one in statement.columns
        if one.block.size
    ]
    payments: list[StructuredTerm] = []
    for places, prices, coefficient in statement.payments:
        for block in columns:
            shape = np.broadcast_shapes(places.shape, prices.shape, np.shape(coefficient))
            where = np.broadcast_to(places, shape)
            if ((where >= block.offset) & (where < block.offset + block.size)).any():
                payments += _terms(block, parameters, True, where, np.broadcast_to(prices, shape), coefficient)
    outputs = [_equation(family, columns, parameters) for family in statement.outputs if family.block.size]
    return Stated(statement.name, tuple(equations), tuple(variables), tuple(parameters), tuple(payments), tuple(outputs), statement.constant)


def costs(found: Stated, program: ParametricProgram) -> tuple[np.ndarray, sparse.csr_matrix]:
    """``c0`` and ``C`` of a program, made from its stated objective alone."""
    c0, shape = np.zeros(program.columns.size), (program.columns.size, program.parameters.size)
    for variable in found.variables:
        c0[variable.block.offset : variable.block.offset + variable.block.size] = numbers_of(variable.cost, variable.block)
    C = sparse.csr_matrix(shape)
    for term in found.payments:
        rows, columns, values = term.entries()
        C = C + sparse.csr_matrix((values, (rows, columns)), shape=shape)
    return c0, C


def numbers_of(value: Value, block: Block) -> np.ndarray:
    """A constant for every entry of its family, flat."""
    keys = np.zeros(block.size, dtype=np.int64)
    index = dict(zip(block.coords, np.unravel_index(np.arange(block.size), block.shape), strict=True)) if block.coords else {}
    for dim in value.dims:
        keys = keys * len(block.coords[dim]) + index[dim]
    return np.asarray(value.numbers[np.searchsorted(value.keys, keys)])


def _cost(columns: StatedColumns, statement: Statement) -> Any:
    """Cost of a family of columns, with what was added to it later; the sum of several has no name of its own."""
    block, total = columns.block, np.array(np.broadcast_to(np.asarray(columns.cost, dtype=float), columns.block.shape)).ravel()
    further = False
    for positions, amounts in statement.costs:
        here = (positions >= block.offset) & (positions < block.offset + block.size)
        further |= bool(here.any())
        np.add.at(total, positions[here] - block.offset, amounts[here])
    return total.reshape(block.shape) if further else columns.cost


def _equation(family: StatedRows, columns: Sequence[Block], parameters: Sequence[Block]) -> Equation:
    sides: dict[bool, list[StructuredTerm]] = {False: [], True: []}
    for term in family.terms:
        families = parameters if term.parameter else columns
        sides[term.parameter] += _terms(family.block, families, term.parameter, term.rows, term.positions, term.coefficient)
    return Equation(family.block, family.sense, tuple(sides[False]), tuple(sides[True]), _constant(family.block, family.rhs), family.place)


def matrices(equation: Equation, program: ParametricProgram) -> tuple[sparse.csr_matrix, np.ndarray, sparse.csr_matrix]:
    """Rows of ``A``, ``b0`` and ``B`` of a family, made from its equation alone, as the program stores them (``>=`` negated)."""
    sign, block = -1.0 if equation.sense == ">=" else 1.0, equation.block
    built = []
    for terms, width in ((equation.terms, program.columns.size), (equation.parameters, program.parameters.size)):
        matrix = sparse.csr_matrix((block.size, width))
        for term in terms:
            rows, columns, values = term.entries()
            matrix = matrix + sparse.csr_matrix((sign * values, (rows - block.offset, columns)), shape=matrix.shape)
        built.append(matrix)
    return built[0], sign * numbers_of(equation.rhs, block), built[1]


def _terms(rows: Block, families: Sequence[Block], parameter: bool, at: np.ndarray, of: np.ndarray, coefficient: Any) -> list[StructuredTerm]:
    """One term for each family of columns that the entries touch."""
    named = coefficient if isinstance(coefficient, Named) else None
    at, of, values = (np.ravel(a) for a in np.broadcast_arrays(at, of, np.asarray(coefficient, dtype=float)))
    found = []
    for block in families:
        here = (of >= block.offset) & (of < block.offset + block.size) & (at >= rows.offset) & (at < rows.offset + rows.size)
        if not here.any():
            continue
        pair, inverse = np.unique((at[here] - rows.offset) * block.size + of[here] - block.offset, return_inverse=True)
        # An entry that is handed over twice is one, with the sum.
        total = np.zeros(len(pair))
        np.add.at(total, inverse, values[here])
        found.append(structured(rows, block, parameter, pair // block.size, pair % block.size, total, named))
    return found


def _constant(block: Block, given: Any) -> Value:
    """A number for every entry of a family, with the fewest indices on which it depends."""
    numbers = np.broadcast_to(np.asarray(given, dtype=float), block.shape)
    dims = []
    for axis, dim in enumerate(block.coords):
        first = np.take(numbers, [0], axis=axis)
        if numbers.size and (numbers == first).all():
            numbers = first
        else:
            dims.append(dim)
    flat = numbers.ravel()
    return Value(given if isinstance(given, Named) else None, tuple(dims), np.arange(len(flat)), flat)
