"""The leader's problem at fixed integers, seen through what its prices multiply.

With the integers held, a follower matters to the leader through its level ``s = (cost without the prices)`` and its slopes
``w_k = C_k'x + d_k`` alone; it pays ``s + sum_k r_k`` with ``r_k = tau_k w_k``. The leader's rows and objective are linear over

    v = (own variables, tau_1..tau_K, then for every follower s, w_1..w_K, r_1..r_K).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelProblem, Form
from multiscale.bilevel.problem.span import combination
from multiscale.bilevel.search.response import Responder

_MANY = 200
"""Quantities of one kind beyond which looking for combinations would take longer than it saves."""


@dataclass(frozen=True)
class LeaderRows:
    """``lower <= matrix @ v <= upper``, and the objective ``costs @ v + constant`` (a minimum)."""

    matrix: sparse.csr_matrix
    lower: np.ndarray
    upper: np.ndarray
    costs: np.ndarray
    constant: float


class PriceSpace:
    """Leader forms over ``v``.

    ``applies`` tells whether the problem has the form: linear followers, bounded prices that enter costs only, every quantity the
    leader uses a combination of ``s`` and ``w``, products only of a price and its own slope.
    """

    def __init__(self, problem: BilevelProblem, responder: Responder) -> None:
        self.problem, self.responder = problem, responder
        self.applies = False
        leader = problem.leader
        self.prices = responder.linking[~leader.integral[responder.linking]]
        self.own, self.count = responder.own, len(problem.followers)
        self.width = 2 * self.prices.size + 1
        if not self.prices.size or any(not f.is_linear or np.isin(self.prices, f.limit_columns).any() for f in problem.followers):
            return
        if not np.isfinite([leader.lower[self.prices], leader.upper[self.prices]]).all():
            return
        self.directions = [f.program.C.tocsc()[:, self.prices].tocsr() for f in problem.followers]
        if self.prices.size * len(leader.quantity_names) > 20 * _MANY:
            return
        found = self._shares()
        if found is not None:
            self.level_share, self.share = found
            self.applies = all(self._fits(form) for form in leader.forms())

    @property
    def size(self) -> int:
        """Number of entries of ``v``."""
        return self.own.size + self.prices.size + self.count * self.width

    @property
    def price(self) -> np.ndarray:
        """Positions of the prices."""
        return self.own.size + np.arange(self.prices.size)

    def level(self, f: int) -> int:
        """Position of a follower's level."""
        return self.own.size + self.prices.size + f * self.width

    def slope(self, f: int) -> np.ndarray:
        """Positions of a follower's slopes."""
        return self.level(f) + 1 + np.arange(self.prices.size)

    def payment(self, f: int) -> np.ndarray:
        """Positions of a follower's payments ``r``."""
        return self.level(f) + 1 + self.prices.size + np.arange(self.prices.size)

    def project(self, y: np.ndarray, primal: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Level of every follower, and its slopes (followers x prices), for given answers."""
        level, slope = np.zeros(self.count), np.zeros((self.count, self.prices.size))
        for f, (follower, x) in enumerate(zip(self.problem.followers, primal, strict=True)):
            slope[f] = self.directions[f].T @ x + follower.program.d[self.prices]
            level[f] = follower.program.objective(x, y) - float(y[self.prices] @ slope[f])
        return level, slope

    def rows(self, base: np.ndarray) -> LeaderRows:
        """The leader's linear and curved rows, bounds of quantities, and objective, integers held at ``base``."""
        leader = self.problem.leader
        linear = leader.matrix.tocsr()
        forms: list[tuple[Form, float, float]] = []
        for i in range(linear.shape[0]):
            part = slice(linear.indptr[i], linear.indptr[i + 1])
            forms.append((Form(0.0, linear.indices[part].astype(np.int64), linear.data[part]), leader.row_lower[i], leader.row_upper[i]))
        forms += [(row.form, row.lower, row.upper) for row in leader.curved]
        for k in np.flatnonzero(np.isfinite(leader.quantity_lower) | np.isfinite(leader.quantity_upper)):
            forms.append((Form(0.0, np.array([leader.size + k]), np.ones(1)), leader.quantity_lower[k], leader.quantity_upper[k]))
        found = [self._row(form, base) for form, _, _ in forms]
        constants = np.array([constant for _, constant in found])
        lower, upper = (np.array([ends[side] for ends in forms], dtype=float) - constants for side in (1, 2))
        content, constant = self._row(leader.objective, base)
        costs = np.zeros(self.size)
        for column, value in content.items():
            costs[column] += value
        return LeaderRows(stacked([content for content, _ in found], self.size), lower, upper, costs, constant)

    def integral(self) -> np.ndarray:
        """Which entries of ``v`` are integer."""
        return np.concatenate([self.problem.leader.integral[self.own], np.zeros(self.size - self.own.size, dtype=bool)])

    def _shares(self) -> tuple[np.ndarray, np.ndarray] | None:
        """For every quantity its factors to its follower's level and slopes; nan for optimal costs, None if one is not a combination."""
        count = self.prices.size
        levels, slopes = [np.zeros(0)], [np.zeros((0, count))]
        for quantity in self.problem.leader.quantities:
            if quantity.kind == "cost":
                levels.append(np.full(quantity.size, np.nan))
                slopes.append(np.full((quantity.size, count), np.nan))
                continue
            if quantity.kind == "dual" or quantity.constant.any() or quantity.size > _MANY:
                return None
            follower = self.problem.followers[quantity.follower]
            # With another variable in the costs the level is not c0'x alone.
            alone = set(follower.cost_columns.tolist()) <= set(self.prices.tolist())
            own = follower.program.c0 if alone else np.zeros(follower.program.columns.size)
            basis = [own, *(np.asarray(self.directions[quantity.follower][:, [k]].todense()).ravel() for k in range(count))]
            found = [combination(quantity.matrix[i], basis) for i in range(quantity.size)]
            if any(weights is None for weights in found):
                return None
            weights = np.array(found, dtype=float).reshape(-1, count + 1)
            levels.append(weights[:, 0])
            slopes.append(weights[:, 1:])
        return np.concatenate(levels), np.concatenate(slopes)

    def _fits(self, form: Form) -> bool:
        """Products only of a price and a follower's slope of the same price; no nonlinear terms in what moves."""
        if form.tree is not None:
            return False
        n, held = self.problem.leader.size, self.problem.leader.integral
        for a, b in zip(form.first.tolist(), form.second.tolist(), strict=True):
            if a < n and b < n and held[a] and held[b] and not np.isin([a, b], self.own).any():
                continue
            a, b = min(a, b), max(a, b)
            mine = np.flatnonzero(self.prices == a)
            if not mine.size or b < n or np.isnan(self.level_share[b - n]) or self.level_share[b - n] != 0:
                return False
            if np.delete(self.share[b - n], mine[0]).any():
                return False
        return True

    def _row(self, form: Form, base: np.ndarray) -> tuple[dict[int, float], float]:
        """Entries over v and constant of a leader form."""
        leader, n = self.problem.leader, self.problem.leader.size
        own = {int(k): i for i, k in enumerate(self.own)}
        price = {int(k): int(at) for k, at in zip(self.prices, self.price, strict=True)}
        owner = np.concatenate([np.full(q.size, q.follower) for q in leader.quantities]) if leader.quantities else np.zeros(0, dtype=int)
        content: dict[int, float] = {}
        constant = form.constant

        def add(column: int, value: float) -> None:
            content[column] = content.get(column, 0.0) + value

        for k, value in zip(form.columns.tolist(), form.coefficients.tolist(), strict=True):
            if k in own:
                add(own[k], value)
            elif k in price:
                add(price[k], value)
            elif k < n:
                constant += value * base[k]
            else:
                f = int(owner[k - n])
                program = self.problem.followers[f].program
                if np.isnan(self.level_share[k - n]):
                    # The optimum s + sum r; the slopes already hold the part of d that moves with the prices.
                    add(self.level(f), value)
                    for at in self.payment(f).tolist():
                        add(at, value)
                    continue
                for at, share, d in zip(self.slope(f).tolist(), self.share[k - n].tolist(), program.d[self.prices].tolist(), strict=True):
                    if share:
                        add(at, value * share)
                        constant -= value * share * d
                if self.level_share[k - n]:
                    held = float(program.constant(base)) - float(program.d[self.prices] @ base[self.prices])
                    add(self.level(f), value * self.level_share[k - n])
                    constant -= value * self.level_share[k - n] * held
        for a, b, value in zip(form.first.tolist(), form.second.tolist(), form.products.tolist(), strict=True):
            a, b = min(a, b), max(a, b)
            if b < n:
                constant += value * base[a] * base[b]
                continue
            f, k = int(owner[b - n]), int(np.flatnonzero(self.prices == a)[0])
            add(int(self.payment(f)[k]), value * self.share[b - n, k])
            add(price[a], -value * self.share[b - n, k] * float(self.problem.followers[f].program.d[a]))
        return content, constant


def stacked(entries: list[dict[int, float]], columns: int) -> sparse.csr_matrix:
    """Rows given as column -> value."""
    rows = np.array([i for i, part in enumerate(entries) for _ in part], dtype=np.int64)
    where = np.array([column for part in entries for column in part], dtype=np.int64)
    data = np.array([value for part in entries for value in part.values()], dtype=float)
    return sparse.csr_matrix((data, (rows, where)), shape=(len(entries), columns))
