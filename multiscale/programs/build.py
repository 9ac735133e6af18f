"""Assemble a ParametricProgram block by block, vectorised: no loop over rows, no model objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from multiscale.programs.index import Block, Coordinates, Index
from multiscale.programs.program import Output, ParametricProgram
from multiscale.programs.statement import begun

Term = tuple[object, np.ndarray]
"""A coefficient (number or array) and the positions it multiplies; position -1 means the term is absent there."""


class _Triplets:
    """Growing sparse matrix in coordinate form."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.cols: list[np.ndarray] = []
        self.data: list[np.ndarray] = []

    @classmethod
    def of(cls, matrix: sparse.spmatrix) -> _Triplets:
        entries, triplets = matrix.tocoo(), cls()
        triplets.rows, triplets.cols, triplets.data = [entries.row], [entries.col], [entries.data]
        return triplets

    def add(self, rows: np.ndarray, cols: np.ndarray, data: object) -> None:
        rows, cols, values = np.broadcast_arrays(rows, cols, np.asarray(data, dtype=float))
        keep = ((cols >= 0) & (values != 0)).ravel()
        self.rows.append(rows.ravel()[keep])
        self.cols.append(cols.ravel()[keep])
        self.data.append(values.ravel()[keep])

    def matrix(self, shape: tuple[int, int]) -> sparse.csr_matrix:
        if not self.rows:
            return sparse.csr_matrix(shape)
        entries = (np.concatenate(self.data), (np.concatenate(self.rows), np.concatenate(self.cols)))
        return sparse.csr_matrix(entries, shape=shape)


class ProgramBuilder:
    """Collects blocks of columns, parameters and rows, and returns the finished program.

    Every ``add_*`` method takes coordinates (dimension -> labels) and returns the positions of the new block in the block's
    shape, to be used in terms of later rows. Shapes broadcast as in NumPy.

    Raises:
        ValueError: a coefficient, bound or right-hand side that is not a finite number or does not fit the block.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._columns: list[Block] = []
        self._rows: list[Block] = []
        self._parameters: list[Block] = []
        self._lower: list[np.ndarray] = []
        self._upper: list[np.ndarray] = []
        self._cost: list[np.ndarray] = []
        self._rhs: list[np.ndarray] = []
        self._equality: list[np.ndarray] = []
        self._a, self._b, self._c, self._q = _Triplets(), _Triplets(), _Triplets(), _Triplets()
        self._later_cost: list[tuple[np.ndarray, np.ndarray]] = []
        self._outputs: dict[str, tuple[Index, _Triplets]] = {}
        self._d0, self._d = 0.0, np.zeros(0)
        self._statement = begun(name)

    @classmethod
    def continuing(cls, program: ParametricProgram) -> ProgramBuilder:
        """A builder that continues a finished program: new blocks come after those it has."""
        builder = cls(program.name)
        builder._columns, builder._rows = list(program.columns), list(program.rows)
        builder._parameters = list(program.parameters)
        builder._lower, builder._upper, builder._cost = [program.lower], [program.upper], [program.c0]
        builder._rhs, builder._equality = [program.b0], [program.equality]
        builder._a, builder._b, builder._c = (_Triplets.of(m) for m in (program.A, program.B, program.C))
        if program.Q is not None:
            builder._q = _Triplets.of(program.Q)
        builder._outputs = {name: (output.index, _Triplets.of(output.matrix)) for name, output in program.outputs.items()}
        builder._d0, builder._d = program.d0, program.d
        return builder

    @staticmethod
    def _place(blocks: list[Block], name: str, coords: Coordinates, unit: str, description: str) -> Block:
        offset = blocks[-1].offset + blocks[-1].size if blocks else 0
        block = Block(name, {k: np.asarray(v) for k, v in coords.items()}, unit, offset, description)
        blocks.append(block)
        return block

    def _fit(self, block: Block, what: str, value: object) -> np.ndarray:
        try:
            array = np.broadcast_to(np.asarray(value, dtype=float), block.shape).ravel().copy()
        except ValueError:
            raise ValueError(f"{self.name}: {what} of {block.name!r} has shape {np.asarray(value).shape}, it must fit {block.shape}") from None
        if np.isnan(array).any():
            raise ValueError(f"{self.name}: {what} of {block.name!r} holds a value that is not a number")
        return array

    def add_columns(
        self, name: str, coords: Coordinates, *, unit: str, lower: object = 0.0, upper: object = np.inf, cost: object = 0.0, description: str = ""
    ) -> np.ndarray:
        """Decision variables with bounds [unit] and linear cost [EUR/unit]."""
        block = self._place(self._columns, name, coords, unit, description)
        self._lower.append(self._fit(block, "lower bound", lower))
        self._upper.append(self._fit(block, "upper bound", upper))
        self._cost.append(self._fit(block, "cost", cost))
        if self._statement is not None:
            self._statement.add_columns(block, lower, upper, cost)
        return block.positions

    def columns_of(self, name: str) -> np.ndarray | None:
        """Positions of columns already declared; None where there are none of the name."""
        return next((block.positions for block in self._columns if block.name == name), None)

    def add_parameters(self, name: str, coords: Coordinates, *, unit: str, description: str = "") -> np.ndarray:
        """Parameters that others decide."""
        block = self._place(self._parameters, name, coords, unit, description)
        if self._statement is not None:
            self._statement.parameters.append(block)
        return block.positions

    def add_rows(
        self,
        name: str,
        coords: Coordinates,
        terms: Sequence[Term],
        sense: str,
        rhs: object = 0.0,
        *,
        unit: str,
        parameters: Sequence[Term] = (),
        description: str = "",
    ) -> np.ndarray:
        """Rows ``sum of terms (= or <= or >=) rhs + sum of parameter terms``.

        A term's positions have the block's shape, or one more trailing axis over which is summed. Rows ``>=`` are stored
        negated, as ``<=``. Coefficients and right-hand sides may be ``Named``: then the equation is printed with their symbols.
        """
        if sense not in ("==", "<=", ">="):
            raise ValueError(f"{self.name}: row {name!r} has sense {sense!r}; it must be '==', '<=' or '>='")
        sign = -1.0 if sense == ">=" else 1.0
        block = self._place(self._rows, name, coords, unit, description)
        self._rhs.append(sign * self._fit(block, "right-hand side", rhs))
        self._equality.append(np.full(block.size, sense == "=="))
        for target, given, direction in ((self._a, terms, sign), (self._b, parameters, sign)):
            for coefficient, positions in given:
                self._add(target, block, coefficient, np.asarray(positions), direction)
        if self._statement is not None:
            self._statement.add_rows(block, terms, sense, rhs, parameters)
        return block.positions

    def _add(self, target: _Triplets, block: Block, coefficient: object, positions: np.ndarray, sign: float) -> None:
        rows = block.positions
        if positions.ndim == rows.ndim + 1:
            rows = rows[..., None]
        target.add(rows, positions, sign * np.asarray(coefficient, dtype=float))

    def add_to_rows(self, rows: np.ndarray, columns: np.ndarray, coefficient: object) -> None:
        """Add coefficients to rows already declared (positions broadcast), for terms that come later or in scattered form."""
        self._a.add(np.asarray(rows), np.asarray(columns), coefficient)
        if self._statement is not None:
            self._statement.add_to_rows(np.asarray(rows), np.asarray(columns), coefficient, parameter=False)

    def add_parameters_to_rows(self, rows: np.ndarray, parameters: np.ndarray, coefficient: object) -> None:
        """Add parameter terms to the right-hand side of rows already declared (positions broadcast)."""
        self._b.add(np.asarray(rows), np.asarray(parameters), coefficient)
        if self._statement is not None:
            self._statement.add_to_rows(np.asarray(rows), np.asarray(parameters), coefficient, parameter=True)

    def add_cost(self, columns: np.ndarray, amount: object) -> None:
        """Further linear cost [EUR/unit] of columns already declared (broadcast; position -1 means the column is absent)."""
        positions, amounts = np.broadcast_arrays(np.asarray(columns), np.asarray(amount, dtype=float))
        if not np.isfinite(amounts).all():
            raise ValueError(f"{self.name}: a cost of columns already declared holds a value that is not a finite number")
        there = positions.ravel() >= 0
        self._later_cost.append((positions.ravel()[there], amounts.ravel()[there]))
        if self._statement is not None:
            self._statement.costs.append(self._later_cost[-1])

    def add_cost_parameter(self, columns: np.ndarray, parameters: np.ndarray, coefficient: object = 1.0) -> None:
        """Cost ``coefficient * parameter * column`` [EUR]."""
        self._c.add(np.asarray(columns), np.asarray(parameters), coefficient)
        if self._statement is not None:
            self._statement.payments.append((np.asarray(columns), np.asarray(parameters), coefficient))

    def add_constant_cost(self, amount: float) -> None:
        """A cost [EUR] that nothing decides."""
        self._d0 += float(amount)
        if self._statement is not None:
            self._statement.constant += float(amount)

    def add_output(self, name: str, coords: Coordinates, terms: Sequence[Term], *, unit: str, description: str = "") -> None:
        """A linear quantity others see, e.g. the exchange with the parent."""
        block = Block(name, {k: np.asarray(v) for k, v in coords.items()}, unit, 0, description)
        triplets = _Triplets()
        for coefficient, positions in terms:
            self._add(triplets, block, coefficient, np.asarray(positions), 1.0)
        self._outputs[name] = (Index((block,)), triplets)
        if self._statement is not None:
            self._statement.add_output(block, terms)

    def add_to_output(self, name: str, entries: np.ndarray, columns: np.ndarray, coefficient: object) -> None:
        """Add ``coefficient * column`` to entries of an output already declared (positions broadcast)."""
        self._outputs[name][1].add(np.asarray(entries), np.asarray(columns), coefficient)
        if self._statement is not None:
            self._statement.add_to_output(name, np.asarray(entries), np.asarray(columns), coefficient)

    def build(self) -> ParametricProgram:
        """The finished program."""
        columns, rows, parameters = Index(tuple(self._columns)), Index(tuple(self._rows)), Index(tuple(self._parameters))
        n, m, k = columns.size, rows.size, parameters.size

        def joined(parts: list[np.ndarray], dtype: type = float) -> np.ndarray:
            return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)

        costs = joined(self._cost)
        for positions, amounts in self._later_cost:
            np.add.at(costs, positions, amounts)
        outputs: Mapping[str, Output] = {name: Output(index, triplets.matrix((index.size, n))) for name, (index, triplets) in self._outputs.items()}
        return ParametricProgram(
            name=self.name,
            columns=columns,
            rows=rows,
            parameters=parameters,
            A=self._a.matrix((m, n)),
            b0=joined(self._rhs),
            B=self._b.matrix((m, k)),
            equality=joined(self._equality, bool).astype(bool),
            c0=costs,
            C=self._c.matrix((n, k)),
            lower=joined(self._lower),
            upper=joined(self._upper),
            Q=self._q.matrix((n, n)) if self._q.rows else None,
            d0=self._d0,
            d=np.concatenate([self._d, np.zeros(k - len(self._d))]),
            outputs=outputs,
        )
