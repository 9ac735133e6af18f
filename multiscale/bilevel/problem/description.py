"""What a bilevel problem is, as arrays: the one description every reformulation, heuristic and check works on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.expression import Tree, tree_value
from multiscale.programs import ParametricProgram

CONTINUOUS, BINARY, INTEGER = "C", "B", "I"


class BilevelError(ValueError):
    """The problem cannot be treated as stated; the message names the component and says what to change."""


class BilevelWarning(UserWarning):
    """The problem is solved as stated, but its statement is seldom what its author meant."""


class MethodError(BilevelError):
    """A method does not take the problem, which another one may."""


@dataclass(frozen=True)
class Form:
    """An expression ``constant + sum_k coefficients_k z_k + sum_k products_k z_first_k z_second_k + tree(z)``.

    Attributes:
        constant: the constant.
        columns, coefficients: linear part.
        first, second, products: quadratic part (a square has ``first == second``).
        tree: everything that is neither, or None.
    """

    constant: float = 0.0
    columns: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    coefficients: np.ndarray = field(default_factory=lambda: np.zeros(0))
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    second: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    products: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tree: Tree | None = None

    @property
    def is_linear(self) -> bool:
        """Neither products nor a nonlinear tree."""
        return self.products.size == 0 and self.tree is None

    def value(self, z: np.ndarray) -> float:
        """Value at ``z``."""
        total = self.constant + float(self.coefficients @ z[self.columns])
        if self.products.size:
            total += float(self.products @ (z[self.first] * z[self.second]))
        return total if self.tree is None else total + tree_value(self.tree, z)

    def magnitude(self, z: np.ndarray) -> float:
        """Largest term at ``z``: the scale on which a violation of this expression is judged."""
        terms = [abs(self.constant), 1.0, *np.abs(self.coefficients * z[self.columns])]
        terms += [*np.abs(self.products * z[self.first] * z[self.second])]
        if self.tree is not None:
            terms.append(abs(tree_value(self.tree, z)))
        return max(terms)

    def plus(self, other: Form) -> Form:
        """The sum of two expressions, of which at most one has a nonlinear tree."""
        return Form(
            self.constant + other.constant,
            np.concatenate([self.columns, other.columns]),
            np.concatenate([self.coefficients, other.coefficients]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.second, other.second]),
            np.concatenate([self.products, other.products]),
            self.tree if self.tree is not None else other.tree,
        )

    def scaled(self, factor: float) -> Form:
        """The expression times ``factor``."""
        tree = None if self.tree is None else ("*", (("#", factor), self.tree))
        return Form(factor * self.constant, self.columns, factor * self.coefficients, self.first, self.second, factor * self.products, tree)


@dataclass(frozen=True)
class CurvedRow:
    """A row ``lower <= form <= upper`` that is not linear in the joint vector.

    ``scale`` is what it was multiplied by against SCIP's absolute tolerance; violations are stated without it.
    """

    name: str
    form: Form
    lower: float
    upper: float
    scale: float = 1.0


@dataclass(frozen=True)
class Quantity:
    """Entries of the leader's vector that a follower decides.

    ``values = constant + matrix @ (x | y | cost)`` where ``x`` are the follower's columns, ``y`` the duals of its rows and
    ``cost`` its optimum; ``kind`` is ``primal``, ``dual`` or ``cost``.

    Attributes:
        follower: position of the follower.
        kind: what the matrix multiplies.
        matrix: entries x columns (primal), x rows (dual) or x 1 (cost).
        constant: one number for each entry.
    """

    follower: int
    kind: str
    matrix: sparse.csr_matrix
    constant: np.ndarray

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.constant.size


@dataclass(frozen=True)
class Leader:
    """The leader's problem over the joint vector ``z = (y, q)``: own variables, then quantities of followers.

    The objective is minimised; ``sense`` is -1 where the user maximises, and turns values back for the user.
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    kinds: np.ndarray
    quantities: tuple[Quantity, ...]
    quantity_names: tuple[str, ...]
    quantity_lower: np.ndarray
    quantity_upper: np.ndarray
    matrix: sparse.csr_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    row_names: tuple[str, ...]
    curved: tuple[CurvedRow, ...]
    objective: Form
    sense: float = 1.0

    @property
    def size(self) -> int:
        """Number of the leader's own variables."""
        return self.lower.size

    @property
    def integral(self) -> np.ndarray:
        """True for binary and integer variables."""
        return self.kinds != CONTINUOUS

    def is_binary(self, k: int) -> bool:
        """Whether variable ``k`` takes only the values 0 and 1."""
        return self.kinds[k] == BINARY or (self.kinds[k] == INTEGER and self.lower[k] >= 0 and self.upper[k] <= 1)

    def forms(self) -> list[Form]:
        """The objective and every curved row."""
        return [self.objective, *(row.form for row in self.curved)]


@dataclass(frozen=True)
class Follower:
    """One follower: a convex program whose parameter vector is the leader's vector ``y``.

    Attributes:
        name: used in messages.
        program: minimisation; parameters = the leader's own variables, in their order.
        sense: -1 where the user's follower maximises.
        cones: second-order cones; each names columns ``(h, t_1, ..., t_k)`` of the program with ``x_h >= ||x_t||``. These columns have no
            bounds and belong to one cone each, so their reduced costs are the cone's multiplier.
    """

    name: str
    program: ParametricProgram
    sense: float = 1.0
    cones: tuple[np.ndarray, ...] = ()

    @property
    def cone_columns(self) -> np.ndarray:
        """Columns of all cones, one cone after another."""
        return np.concatenate(self.cones) if self.cones else np.zeros(0, dtype=np.int64)

    @property
    def in_cone(self) -> np.ndarray:
        """True for columns that belong to a cone."""
        inside = np.zeros(self.program.columns.size, dtype=bool)
        inside[self.cone_columns] = True
        return inside

    @property
    def is_linear(self) -> bool:
        """Neither a quadratic cost nor cones: the answer is piecewise constant in prices."""
        return self.program.Q is None and not self.cones

    @property
    def cost_columns(self) -> np.ndarray:
        """Leader variables that enter costs of columns."""
        return np.flatnonzero(np.diff(self.program.C.tocsc().indptr))

    @property
    def limit_columns(self) -> np.ndarray:
        """Leader variables that enter right-hand sides."""
        return np.flatnonzero(np.diff(self.program.B.tocsc().indptr))


@dataclass(frozen=True)
class BilevelProblem:
    """A leader and its followers (optimistic: ties of a follower are broken in the leader's favour)."""

    leader: Leader
    followers: tuple[Follower, ...]

    def cost(self, f: int, x: np.ndarray, y: np.ndarray) -> float:
        """Optimum of follower ``f`` in the sense of its program (minimisation) at its solution ``x``."""
        return self.followers[f].program.objective(x, y)

    def joint(self, y: np.ndarray, primal: list[np.ndarray], dual: list[np.ndarray]) -> np.ndarray:
        """The leader's joint vector ``z`` for its decision and the followers' answers."""
        parts = [y]
        for quantity in self.leader.quantities:
            f = quantity.follower
            given = primal[f] if quantity.kind == "primal" else dual[f] if quantity.kind == "dual" else np.array([self.cost(f, primal[f], y)])
            parts.append(quantity.constant + quantity.matrix @ given)
        return np.concatenate(parts)

    def violation(self, z: np.ndarray) -> tuple[float, str]:
        """Largest violation of a leader row, bound or integrality, relative to the row's largest term, and its name."""
        leader, n = self.leader, self.leader.size
        worst, name = 0.0, ""
        lower, upper = np.concatenate([leader.lower, leader.quantity_lower]), np.concatenate([leader.upper, leader.quantity_upper])
        short = np.maximum(np.maximum(lower - z, z - upper), 0.0) / np.maximum(1.0, np.abs(z))
        short[:n][leader.integral] = np.maximum(short[:n][leader.integral], np.abs(z[:n] - np.round(z[:n]))[leader.integral])
        if short.size and not short.max() <= 0:
            k = int(short.argmax())
            worst, name = float(short[k]), (leader.names + leader.quantity_names)[k]
        if leader.row_lower.size:
            activity = leader.matrix @ z
            scaled = leader.matrix.multiply(z).tocsr()
            scale = np.maximum(1.0, abs(scaled).max(axis=1).toarray().ravel())
            short = np.maximum(np.maximum(leader.row_lower - activity, activity - leader.row_upper), 0.0) / scale
            i = int(short.argmax())
            if not short[i] <= worst:
                worst, name = float(short[i]), leader.row_names[i]
        for row in leader.curved:
            value = row.form.value(z)
            short_by = max(row.lower - value, value - row.upper, 0.0) / row.form.magnitude(z)
            if not short_by <= worst:
                worst, name = float(short_by), row.name
        return worst, name
