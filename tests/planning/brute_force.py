"""Brute force for any regime and any tariff: every set of options and a grid of price directions, each scaled exactly, refined around the best.

Along prices ``g * direction`` the follower's cost is concave and piecewise linear in g. Its corners are found by intersecting tangents; between
corners the answer is one, so revenue is linear in g, and what a regime permits and pays changes at corners and where the revenue meets a limit:
these are all the values of g at which the best can lie. At each, the follower is solved as a linear program, and of its best answers (all within
rounding of its optimum) the one that the operator likes most is found by a second linear program with the regime's limits on the revenue as rows.

Nothing of the bilevel engine is used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from multiscale.planning import PlanningProblem, Regime
from multiscale.planning.regimes import Position
from multiscale.planning.regimes.output_incentive import OutputIncentive
from multiscale.planning.regulated import used_shares, users_cost_before
from multiscale.programs import CompiledProgram
from multiscale.tariffs import BILLED

FACE = 1e-9
"""An answer is a best one within this of the optimum, relative."""


class BruteForce:
    """The best decision of an operator.

    Args:
        problem, regime: what is planned.
        tolerance: of cost recovery.
        directions: of the price vector, each scaled over all permitted prices; default: that of the single price.
        targets: called with prices, rows ``a'x <= b`` that the answer has to satisfy.
        turning: called with direction, answer between two corners, prices at which what is permitted ends, as multiples of the direction.
    """

    def __init__(
        self,
        problem: PlanningProblem,
        regime: Regime,
        tolerance: float,
        directions: Sequence[np.ndarray] | None = None,
        targets: Callable[[np.ndarray], list[tuple[np.ndarray, float]]] = lambda _: [],
        turning: Callable[[np.ndarray, np.ndarray], list[float]] = lambda _, __: [],
    ):
        self.targets, self.turning = targets, turning
        self.problem, self.regime, self.tolerance = problem, regime, tolerance
        program = problem.program
        self.names = list(problem.tariff.decided)
        self.determinant = sparse.vstack([program.outputs[BILLED + n].matrix for n in self.names]).tocsr()
        self.passive = np.concatenate([np.ravel(problem.passive[n]) for n in self.names])
        # What operators earn at given prices, and what they buy, in EUR/a per unit of every column.
        self.given = np.zeros(program.columns.size)
        self.buying = np.zeros(program.columns.size)
        for name, component in problem.tariff.earning.items():
            if not component.decided:
                per = float(component.given) * program.outputs[BILLED + name].matrix.toarray().ravel()
                self.given += 0.0 if component.expenditure else per
                self.buying -= per if component.expenditure else 0.0
        sizes = [int(np.size(problem.passive[n])) for n in self.names]
        limits = [problem.tariff.components[n] for n in self.names]
        earning = [c.receiver == "distribution operators" for c in limits]
        self.earning = np.repeat([float(e and not c.expenditure) for e, c in zip(earning, limits, strict=True)], sizes)
        self.spending = np.repeat([float(c.expenditure) for c in limits], sizes)
        self.low, self.high = (np.repeat([getattr(c, f"price_{end}") for c in limits], sizes) for end in ("min", "max"))
        self.unserved = program.outputs["unserved"].matrix.toarray().ravel()
        self.resource = program.outputs["resource_cost"].matrix.toarray().ravel()
        self.compiled = CompiledProgram(program)
        self.before = users_cost_before(problem, regime.reference_price) if regime.kind == "incentive_fee" else 0.0
        self.used = used_shares(problem)
        found = [self.best_of(z, d) for z in self.sets() for d in (directions or [np.ones(self.low.size)])]
        self.best = min(found, key=lambda one: one[0])

    def sets(self):
        return [np.array(z) for z in itertools.product((0.0, 1.0), repeat=len(self.problem.annuity))]

    # -- the follower ------------------------------------------------------------------------------------------------
    def rows(self, z: np.ndarray):
        program = self.problem.program
        p = program.parameters.vector({"built": z} | {n: np.zeros(np.shape(self.problem.passive[n])) for n in self.names})
        equal, rhs = program.equality, program.rhs(p)
        return {"A_eq": program.A[equal], "b_eq": rhs[equal], "A_ub": program.A[~equal], "b_ub": rhs[~equal],
                "bounds": np.column_stack([program.lower, program.upper])}  # fmt: skip

    def solve(self, costs: np.ndarray, rows: dict, more: Sequence[tuple[np.ndarray, float]] = ()):
        if more:
            rows = dict(rows)
            rows["A_ub"] = sparse.vstack([rows["A_ub"], *(sparse.csr_matrix(a[None, :]) for a, _ in more)])
            rows["b_ub"] = np.concatenate([rows["b_ub"], [b for _, b in more]])
        return linprog(costs, method="highs-ds", options={"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}, **rows)

    # -- along a direction -------------------------------------------------------------------------------------------
    def best_of(self, z: np.ndarray, direction: np.ndarray):
        rows = self.rows(z)
        passed_on = self.allowed_of_bought(z)
        moving, earning = direction @ self.determinant, (direction * (self.earning + passed_on * self.spending)) @ self.determinant
        with np.errstate(divide="ignore", invalid="ignore"):
            most = float(np.min(np.where(direction > 0, self.high / direction, np.inf)))
            least = float(np.max(np.where(direction > 0, self.low / direction, 0.0)))
        if not least <= most < np.inf:
            return np.inf, tuple(z), np.zeros(0)

        fixed = self.given - passed_on * self.buying

        def answer(g: float):
            solution = self.compiled.solve_optimal({"built": z} | self.named(g * direction))
            self.latest = solution.x
            return solution.objective, float(moving @ solution.x), float(earning @ solution.x)

        corners = sorted({least, most, *self.corners(answer, least, most)})
        paid, limits, candidates = float((direction * self.earning) @ self.passive), self.limits(z), {least, most}
        before = np.inf
        for a, b in itertools.pairwise(corners):
            per, other = answer(0.5 * (a + b))[2] + paid, float(fixed @ self.latest)
            candidates |= {(limit - other) / per for limit in limits if per > 0 and a < (limit - other) / per < b}
            candidates |= {g for g in self.turning(direction, self.latest) if a < g < b}
            # At a corner every revenue between those of its two sides can be earned.
            sides = sorted((a * per + other, before))
            reached = not self.regime.recovers_cost or (sides[0] <= limits[-1] and limits[0] <= sides[1])
            candidates |= {a} if reached else set()
            before = b * per + other
        found = [(self.value(z, g * direction, rows), tuple(z), g * direction) for g in sorted(candidates)]
        return min(found, key=lambda one: one[0])

    def corners(self, answer: Callable, low: float, high: float, depth: int = 0) -> list[float]:
        (v0, e0, _), (v1, e1, _) = answer(low), answer(high)
        if depth > 40 or e0 - e1 < 1e-7 * max(abs(e0), 1.0):
            return []
        cross = (v1 - e1 * high - v0 + e0 * low) / (e0 - e1)
        if not low + 1e-10 < cross < high - 1e-10:
            return []
        value = answer(cross)[0]
        if value >= v0 + e0 * (cross - low) - 1e-9 * max(abs(v0), 1.0):
            return [cross]
        return [*self.corners(answer, low, cross, depth + 1), cross, *self.corners(answer, cross, high, depth + 1)]

    def named(self, prices: np.ndarray) -> dict[str, np.ndarray]:
        """Prices by component."""
        parts = np.split(prices, np.cumsum([np.size(self.problem.passive[n]) for n in self.names])[:-1])
        return {n: part.reshape(np.shape(self.problem.passive[n])) for n, part in zip(self.names, parts, strict=True)}

    # -- the operator ------------------------------------------------------------------------------------------------
    def position(self, z: np.ndarray, revenue: float, **more) -> Position:
        investment = float(self.problem.annuity @ z)
        rate, known = self.problem.economics.discount_rate, more | {"useful": lambda share: float(self.problem.annuity @ (z * (self.used >= share)))}
        known |= {"yardstick": self.problem.yardstick}
        return Position(existing_cost=self.problem.existing_cost, investment=investment, revenue=revenue, discount_rate=rate, **known)

    def allowed_of_bought(self, z: np.ndarray) -> float:
        """By how much a EUR paid for flexibility raises what is allowed [1]."""
        allowed = [self.regime.allowed_revenue(self.position(z, 0.0, bought=amount)) for amount in (0.0, 1.0)]
        return 0.0 if allowed[0] is None else allowed[1] - allowed[0]

    def limits(self, z: np.ndarray) -> list[float]:
        """Revenues at which what is permitted ends, with nothing bought."""
        allowed = self.regime.allowed_revenue(self.position(z, 0.0))
        if allowed is None:
            return []
        return [allowed, (1 + self.tolerance) * allowed] if self.regime.recovers_cost else [allowed]

    def value(self, z: np.ndarray, prices: np.ndarray, rows: dict) -> float:
        """Least objective of the operator at a set and prices, over all best answers of the follower."""
        program = self.problem.program
        costs = program.c0 + prices @ self.determinant
        optimum = self.solve(costs, rows).fun
        earned, paid = (prices * self.earning) @ self.determinant + self.given, float((prices * self.earning) @ self.passive)
        buying = self.bought_at(prices)
        counted = self.allowed_of_bought(z) * buying
        face = [(costs, optimum + FACE * max(abs(optimum), 1.0))]
        limits, slack = self.limits(z), 1e-9 * max(self.problem.existing_cost, 1.0)
        face += [(a, b + slack) for a, b in self.targets(prices)]
        if limits:
            face.append((earned - (limits[-1] / limits[0]) * counted, limits[-1] - paid + slack))
        if len(limits) == 2:
            face.append((counted - earned, paid - limits[0] + slack))
        best = np.inf
        for objective, row in self.tried(earned, buying, self.allowed_of_bought(z)):
            found = self.solve(objective, rows, [*face, *row])
            if found.status == 0:
                best = min(best, self.objective(z, prices, found.x, optimum, float(earned @ found.x) + paid))
        return best

    def bought_at(self, prices: np.ndarray) -> np.ndarray:
        """What the operator pays for flexibility, per unit of every column [EUR/a]."""
        return self.buying - (prices * self.spending) @ self.determinant

    def tried(self, earned: np.ndarray, buying: np.ndarray, allowed_of_bought: float):
        """Objectives over the best answers, and rows: one of them leads to the best for the operator."""
        regime = self.regime
        if regime.kind == "social":
            return [(self.resource, [])]
        if isinstance(regime, OutputIncentive):
            # Below the cap, on it, and at the collar.
            free = regime.target - (regime.incentive_cap * self.problem.existing_cost / regime.rate)
            left = buying - earned
            return [(left + regime.rate * self.unserved, [(-self.unserved, -free)]), (left, [(self.unserved, free)]), (left, [])]
        keeps = 0.0 if regime.recovers_cost else 1.0
        borne = 1.0 - (1.0 - keeps) * allowed_of_bought
        return [(-keeps * earned + borne * buying + getattr(regime, "unserved_penalty", 0.0) * self.unserved, [])]

    def objective(self, z, prices, x, optimum, revenue) -> float:
        program = self.problem.program
        resource = float(self.resource @ x) + program.d0 + self.problem.constant
        users = optimum + program.d0 + float(prices @ self.passive)
        bought = float(self.bought_at(prices) @ x)
        at = self.position(
            z, revenue, bought=bought, resource_cost=resource, unserved=lambda: float(self.unserved @ x), saved=lambda _: self.before - users
        )
        return at.social_cost if self.regime.kind == "social" else -self.regime.profit(at)


def refined(problem: PlanningProblem, regime: Regime, tolerance: float, *, first: int = 9, rounds: int = 4, **more: Callable) -> BruteForce:
    """Brute force over two prices: directions between the axes, refined around the best."""
    high = np.repeat(
        [problem.tariff.components[n].price_max for n in problem.tariff.decided], [int(np.size(problem.passive[n])) for n in problem.tariff.decided]
    )
    assert high.size == 2
    low, end, known = 0.0, 1.0, {}
    for _ in range(rounds):
        shares = np.linspace(low, end, first).tolist()
        known |= {s: BruteForce(problem, regime, tolerance, [np.array([s, 1.0 - s]) * high], **more) for s in shares if s not in known}
        k = int(np.argmin([known[s].best[0] for s in shares]))
        low, end = shares[max(k - 1, 0)], shares[min(k + 1, first - 1)]
    return min(known.values(), key=lambda one: one.best[0])
