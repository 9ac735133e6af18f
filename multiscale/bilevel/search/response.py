"""The followers' answers to a leader decision, and the best or worst of them for the leader where they are not unique."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.affine import affine_leader
from multiscale.bilevel.problem.cones import outside
from multiscale.bilevel.problem.description import BilevelProblem, Follower
from multiscale.bilevel.search.face import Face, optimal_face
from multiscale.bilevel.solvers.conic_program import compiled
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.bilevel.solvers.polish import polished
from multiscale.programs import Termination

Answers = tuple[list[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Response:
    """Answers of all followers to one leader decision.

    Attributes:
        y: the leader's own variables.
        primal, dual: solution and row duals of each follower.
        z: the joint vector (leader variables, quantities).
        objective: the leader's objective (minimisation) at ``z``.
        violation: largest relative violation of a leader row, and its name.
    """

    y: np.ndarray
    primal: list[np.ndarray]
    dual: list[np.ndarray]
    z: np.ndarray
    objective: float
    violation: tuple[float, str]

    def better_than(self, other: Response | None, tolerance: float) -> bool:
        """Feasible against infeasible first, then the objective."""
        if other is None:
            return True
        mine, its = self.violation[0] <= tolerance, other.violation[0] <= tolerance
        return self.objective < other.objective if mine == its else mine


class Responder:
    """Solves the followers at leader decisions, keeping their programs warm.

    Leader variables that no follower sees (``own``) are chosen by the leader after the followers' answer: a linear program
    (with integers, if it has any) over them finds the best.

    Args:
        problem: the bilevel problem.
        tolerance: relative violation of a leader row that still counts as feasible.
        time_limit: seconds for one follower solve, and for one program over its optimal answers.
    """

    def __init__(self, problem: BilevelProblem, *, tolerance: float = 1e-6, time_limit: float = 60.0) -> None:
        self.problem = problem
        self.tolerance, self.time_limit = tolerance, time_limit
        self.solves, self.slowest = 0, 0.0
        self._programs = [compiled(follower, time_limit=time_limit) for follower in problem.followers]
        seen = np.zeros(problem.leader.size, dtype=bool)
        for follower in problem.followers:
            seen[follower.cost_columns] = seen[follower.limit_columns] = True
            seen[np.flatnonzero(follower.program.d)] = True
        self.linking, self.own = np.flatnonzero(seen), np.flatnonzero(~seen)
        self._with_duals = [any(q.kind == "dual" and q.follower == f for q in problem.leader.quantities) for f in range(len(problem.followers))]
        self.has_choice = any(q.kind != "cost" for q in problem.leader.quantities)

    def answer(self, y: np.ndarray) -> Answers | Termination:
        """Some optimal solution and duals of every follower, or why there is none."""
        primal, dual = [], []
        started = time.perf_counter()
        for program, follower in zip(self._programs, self.problem.followers, strict=True):
            self.solves += 1
            solution = program.solve(y)
            if solution.termination is not Termination.OPTIMAL:
                return solution.termination
            x, multipliers = solution.x, solution.y
            if not follower.cones:
                x, multipliers = polished(follower.program, y, x, multipliers)
            primal.append(x)
            dual.append(multipliers)
        self.slowest = max(self.slowest, time.perf_counter() - started)
        return primal, dual

    def is_optimal(self, y: np.ndarray, primal: list[np.ndarray], optimal: list[np.ndarray], tolerance: float = 1e-9) -> bool:
        """Whether feasible answers cost no more than known optimal ones, up to rounding (relative)."""
        for f, (x, best) in enumerate(zip(primal, optimal, strict=True)):
            optimum = self.problem.cost(f, best, y)
            if self.problem.cost(f, x, y) > optimum + tolerance * max(1.0, abs(optimum)):
                return False
        return True

    def respond(self, y: np.ndarray, *, thorough: bool = False) -> Response | None:
        """The followers' answers and the leader's own variables for them; None where a follower has no optimum.

        Ties are looked into when the leader's rows fail without, or always if ``thorough``.
        """
        found = self.answer(y)
        if isinstance(found, Termination):
            return None
        response = self.evaluate(y, *found)
        if self.own.size:
            chosen = self.choose(response, "own")
            if chosen is not None and chosen.better_than(response, self.tolerance):
                response = chosen
        if self.has_choice and (thorough or response.violation[0] > self.tolerance):
            chosen = self.choose(response, "best")
            if chosen is not None and (chosen.better_than(response, self.tolerance)):
                response = chosen
        return response

    def evaluate(self, y: np.ndarray, primal: list[np.ndarray], dual: list[np.ndarray]) -> Response:
        """Joint vector, leader objective and violation for given answers."""
        z = self.problem.joint(y, primal, dual)
        return Response(y, primal, dual, z, self.problem.leader.objective.value(z), self.problem.violation(z))

    def choose(self, response: Response, which: str, towards: np.ndarray | None = None) -> Response | None:
        """Another answer to the same linking decision.

        Args:
            response: a known answer.
            which: ``own`` (best own variables, followers held), ``best`` / ``worst`` (over the followers' optimal faces; the worst does
                not have to respect the leader's rows) or ``near`` (quantities nearest to ``towards``).
            towards: quantities to be near to.

        Returns:
            None where there is none or where the leader's objective is not linear in what may move.
        """
        return self._chosen(response, which, towards)[0]

    def optimistic(self, response: Response) -> tuple[Response | None, float | None]:
        """The best answer for the leader at the linking decision, and a bound on it.

        Returns:
            The answer (None where there is none that holds when it is checked) and the value of the linear program that looks for it: infinite
            where it is infeasible, None where it is not linear, is unbounded or was not solved.
        """
        if not self.has_choice and not self.own.size:
            feasible = response.violation[0] <= self.tolerance
            return (response, response.objective) if feasible else (None, np.inf)
        return self._chosen(response, "best" if self.has_choice else "own", None)

    def _chosen(self, response: Response, which: str, towards: np.ndarray | None) -> tuple[Response | None, float | None]:
        """What ``choose`` describes, and the leader's objective of the program it was chosen by."""
        problem, leader = self.problem, self.problem.leader
        own = self.own if which in ("own", "best", "near") else self.own[:0]
        faces: list[Face] = []
        if which != "own":
            faces = [
                optimal_face(follower, response.y, x, multipliers, with_dual=with_dual)
                for follower, x, multipliers, with_dual in zip(problem.followers, response.primal, response.dual, self._with_duals, strict=True)
            ]
        starts = np.cumsum([own.size, *[face.lower.size for face in faces]])
        z0, spread = self._spread(response, own, faces, starts)
        affine = affine_leader(leader, z0, spread, rows=which != "worst")
        matrix = affine.matrix
        low, high = affine.row_lower, affine.row_upper
        if faces:
            joined = sparse.block_diag([sparse.csr_matrix((0, own.size)), *[face.matrix for face in faces]], format="csr")
            matrix = sparse.vstack([joined, matrix], format="csr")
            low = np.concatenate([*[face.row_lower for face in faces], low])
            high = np.concatenate([*[face.row_upper for face in faces], high])
        lower = np.concatenate([leader.lower[own], *[face.lower for face in faces]])
        upper = np.concatenate([leader.upper[own], *[face.upper for face in faces]])
        value: float | None = None
        integral = np.concatenate([leader.integral[own], np.zeros(lower.size - own.size, dtype=bool)])
        if which == "near":
            target = response.z[leader.size :] if towards is None else towards
            v = _nearest(matrix, low, high, lower, upper, spread[leader.size :], z0[leader.size :], target)
        elif affine.costs is None:
            return None, None
        else:
            costs = affine.costs if which != "worst" else -affine.costs
            answer = LinearProgram(matrix, low, high, lower, upper, costs, integral, time_limit=self.time_limit).solve()
            v = answer.x if answer.status == "optimal" else None
            if v is None:
                return None, np.inf if answer.status == "infeasible" else None
            value = leader.objective.value(z0) + float(affine.costs @ v)
        if v is None:
            return None, None
        chosen = self._response_at(response, own, faces, starts, v)
        # The face is drawn with tolerances, and a small price times a long move may leave it: a point that is no longer optimal is not a tie.
        if faces and not self.is_optimal(response.y, chosen.primal, response.primal, 2e-7):
            return None, value
        if faces and not all(_in_cones(f, chosen.y, x, dual) for f, x, dual in zip(problem.followers, chosen.primal, chosen.dual, strict=True)):
            return None, value
        return chosen, value

    def _spread(self, response: Response, own: np.ndarray, faces: list[Face], starts: np.ndarray) -> tuple[np.ndarray, sparse.csr_matrix]:
        """``z = z0 + spread @ (own, face columns)``."""
        leader, total = self.problem.leader, int(starts[-1])
        y = response.y.copy()
        y[own] = 0.0
        z0 = np.concatenate([y, response.z[leader.size :]])
        first = sparse.csr_matrix((np.ones(own.size), (own, np.arange(own.size))), shape=(leader.size, total))
        parts: list[sparse.spmatrix] = [first]
        position = leader.size
        for quantity in leader.quantities:
            f = quantity.follower
            if not faces or quantity.kind == "cost":
                # The optimum is the same all over the face.
                parts.append(sparse.csr_matrix((quantity.size, total)))
            else:
                entries = quantity.matrix.tocoo()
                shift = starts[f] + (self.problem.followers[f].program.columns.size if quantity.kind == "dual" else 0)
                parts.append(sparse.csr_matrix((entries.data, (entries.row, entries.col + shift)), shape=(quantity.size, total)))
                z0[position : position + quantity.size] = quantity.constant
            position += quantity.size
        return z0, sparse.vstack(parts, format="csr")

    def _response_at(self, response: Response, own: np.ndarray, faces: list[Face], starts: np.ndarray, v: np.ndarray) -> Response:
        leader = self.problem.leader
        y = response.y.copy()
        y[own] = np.where(leader.integral[own], np.round(v[: own.size]), np.clip(v[: own.size], leader.lower[own], leader.upper[own]))
        if not faces:
            return self.evaluate(y, response.primal, response.dual)
        primal, dual = [], []
        for f, (follower, face) in enumerate(zip(self.problem.followers, faces, strict=True)):
            part = v[starts[f] : starts[f] + face.lower.size]
            columns = follower.program.columns.size
            primal.append(np.clip(part[:columns], follower.program.lower, follower.program.upper))
            dual.append(part[columns : columns + follower.program.rows.size] if self._with_duals[f] else response.dual[f])
        return self.evaluate(y, primal, dual)


def _in_cones(follower: Follower, y: np.ndarray, x: np.ndarray, multipliers: np.ndarray) -> bool:
    """Whether ``x`` and the reduced costs are in the follower's cones: its face is drawn without those that do not bind."""
    if not follower.cones:
        return True
    program = follower.program
    reduced = program.costs(y) - program.A.T @ multipliers + (program.Q @ x if program.Q is not None else 0.0)
    return bool(max(outside(follower.cones, x).max(), outside(follower.cones, reduced).max()) <= 5e-7)


def _nearest(
    matrix: sparse.csr_matrix,
    low: np.ndarray,
    high: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    quantity: sparse.csr_matrix,
    offset: np.ndarray,
    target: np.ndarray,
) -> np.ndarray | None:
    """Point whose quantities differ least (sum of absolute differences) from a target."""
    count, total = quantity.shape
    eye = sparse.identity(count, format="csr")
    rows = sparse.bmat([[matrix, None], [quantity, -eye], [quantity, eye]], format="csr")
    goal = target - offset
    far = np.full(count, np.inf)
    answer = LinearProgram(
        rows,
        np.concatenate([low, -far, goal]),
        np.concatenate([high, goal, far]),
        np.concatenate([lower, np.zeros(count)]),
        np.concatenate([upper, far]),
        np.concatenate([np.zeros(total), np.ones(count)]),
    ).solve()
    return answer.x[:total] if answer.status == "optimal" else None
