"""One block of a problem that is decomposed: its relaxation with cuts, and its exact value at integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.price_faces import PriceFaces
from multiscale.bilevel.decomposition.relaxation import Cut, Relaxation
from multiscale.bilevel.problem.gap import TOLERANCE, closing_bound
from multiscale.bilevel.problem.parts import Part
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.assemble import assemble_lazy
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.bounds.prove import prove_bounds, with_quantity_bounds
from multiscale.bilevel.reformulate.choose import check_branch_and_cut
from multiscale.bilevel.reformulate.conditions.value_cuts import value_cut
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response
from multiscale.bilevel.search.start import known_answers


@dataclass
class Exact:
    """What is known of a block at integers: a lower bound of its value, and the point that attains it, where it was looked for and found."""

    bound: float
    response: Response | None


class Block:
    """A block; values are those of its part of the leader's objective (a minimum).

    Args:
        part: the block's problem, and where its variables and followers are in the whole.
        settings: how to solve.
        clock: seconds left.
        share: seconds for multiplier bounds of one follower.
        known: leader variables of the whole at a feasible point, with the followers' answers, for value cuts.

    Raises:
        MethodError: the block is not of the kind that is taken.
    """

    def __init__(self, part: Part, settings: SolveOptions, clock: Clock, share: float, known: Response | None) -> None:
        self.part, self.problem = part, part.problem
        problem = part.problem
        check_branch_and_cut(problem, ["branch_and_cut"] * len(problem.followers))
        self.search = DecisionSearch(problem, tolerance=TOLERANCE, gap=max(1e-6, 0.1 * settings.gap), time_limit=clock.one_solve)
        self.responder = self.search.responder
        if known is not None:
            mine = [[answers[int(f)] for f in part.followers] for answers in (known.primal, known.dual)]
            self.search.best = self.responder.evaluate(known.y[part.variables], *mine)
        self.bounds = [self._bounds(f, share) for f in range(len(problem.followers))]
        answers = known_answers(self.search, along=True)
        self.single, self.data = assemble_lazy(problem, self.bounds, answers, settings.gap, ceilings=True)
        self.relaxation = Relaxation(self.single, clock)
        self.faces = PriceFaces(problem, self.responder, self.single, self.data.costs, clock)
        self.integers = self.relaxation.integers
        self.linking = np.isin(self.integers, self.search.integral)
        self.least = -np.inf
        self.visited: dict[bytes, Exact] = {}

    def _bounds(self, f: int, seconds: float) -> DualBounds:
        """Multiplier bounds that cost next to nothing, and ranges of what the price multiplies."""
        proven = prove_bounds(self.problem, f, np.zeros(0, dtype=np.int64))
        return with_quantity_bounds(self.problem, f, proven, time_limit=seconds)

    def key(self, u: np.ndarray) -> bytes:
        """Of integers of the block: those that followers see decide its value."""
        return (u[self.linking] + 0.0).tobytes()

    def cut(self, u: np.ndarray) -> tuple[Cut | None, np.ndarray | None]:
        """See ``Relaxation.at``."""
        return self.relaxation.at(u)

    def exact(self, u: np.ndarray, v: np.ndarray | None, absolute_gap: float, cutoff: float) -> Exact | None:
        """The value at integers, to an absolute gap or up to a cutoff; None where it could not be found."""
        known = self.visited.get(self.key(u))
        if known is not None:
            value = np.inf if known.response is None else known.response.objective
            if known.bound >= closing_bound(value, 0.0, absolute_gap, cutoff):
                return known
        leader = self.problem.leader
        start = np.zeros(leader.size) if v is None else v[: leader.size].copy()
        start[self.integers] = u
        y = self.search.clipped(start)
        answer = self.faces.solve(y, absolute_gap=absolute_gap, cutoff=cutoff)
        if answer is None:
            return None
        response = answer.response
        if known is not None and known.response is not None and (response is None or known.response.objective < response.objective):
            response = known.response
        found = Exact(max(answer.bound, -np.inf if known is None else known.bound), response)
        self.visited[self.key(u)] = found
        self.learn(response.y if response is not None else y, response)
        return found

    def learn(self, y: np.ndarray, response: Response | None = None) -> None:
        """Value cuts of an answer, and of what the followers answer at a decision."""
        answers = [] if response is None else [response.primal]
        found = self.responder.answer(self.search.clipped(y))
        if isinstance(found, tuple):
            answers.append(found[0])
        for primal in answers:
            for f, follower in enumerate(self.problem.followers):
                plane = value_cut(self.problem.leader, follower, self.bounds[f], primal[f], self.data.ceilings[f])
                if plane is not None:
                    columns, weights, constant = self.data.costs[f]
                    own = np.flatnonzero(plane[0])
                    self.relaxation.add_row(np.concatenate([columns, own]), np.concatenate([weights, -plane[0][own]]), plane[1] - constant)
