r"""Nested planning: the transmission operator plans with what distribution operators offer; bound and plan of all together.

Every round

1. prices of the best or latest plan go to the distribution operators, and each answers with its own plan and a proven bound (``offers``);
2. the transmission operator plans with what all offers prove, a lower bound on every joint plan (``master``):

       min  a'z_T + V(z_T, y) + sum_d theta_d      s.t.  theta_d >= v_dk - sum_t h_t lambda_dkt y_dt  for all offers k,    z_T in {0, 1}

3. what it builds and what the distribution operators offered to build is operated at least cost, together and with the best plan so far: whatever
   that costs is the cost of a plan, and its nodal prices are the next to ask about. Where nothing new comes out, the prices of the master are.

The bound rises to the Lagrangean bound of the exchange. That is the optimum where one plan of every distribution operator is best at the prices;
else a duality gap remains, and is stated.

Source of the scheme: Geoffrion, Journal of Optimization Theory and Applications 10 (1972) 237-260 (generalised Benders decomposition), the cuts as in
Kelley, SIAM Journal 8 (1960) 703-712.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.coordination.common.prepared import Progress, silent
from multiscale.planning.follower_names import BUILT
from multiscale.planning.nested.offers import DistributionPlanner, Offer, as_offered
from multiscale.planning.nested.problem import NestedProblem, Operated
from multiscale.programs.mixed_integer import MixedSolution, solve_mixed

ROUNDING = 1e-9
"""Distance of cost and bound, relative to the cost, that is rounding [1]."""


@dataclass(frozen=True)
class NestedPlan:
    """A joint plan with its proof.

    Attributes:
        best: the plan, operated at least cost.
        bound: proven lower bound on the cost of every joint plan [EUR/a].
        nothing, everything: cost of building the fewest and the most options admitted [EUR/a].
        first: the plan in which every distribution operator answers the prices of the network as it is, and the transmission operator builds nothing.
        rounds: of asking.
        history: cost of the best plan and bound after every round [EUR/a].
        message: what ended the search.
        closed: whether cost and bound met to the gap asked for.
    """

    best: Operated
    bound: float
    nothing: float
    everything: float
    first: Operated
    rounds: int
    history: tuple[tuple[float, float], ...]
    message: str
    closed: bool

    @property
    def gap_eur(self) -> float:
        """Distance of cost and bound [EUR/a]."""
        return self.best.cost - self.bound

    @property
    def decision_range(self) -> float:
        """What decisions move: the more expensive of the fewest and the most options, less the plan [EUR/a]."""
        return max(0.0, max(self.nothing, self.everything) - self.best.cost)


@dataclass
class _Search:
    problem: NestedProblem
    gap_eur: float
    gap: float
    rounds: int
    nodes: int
    report_progress: Progress
    known: dict[frozenset[str], Operated] = field(default_factory=dict)
    offers: dict[str, list[Offer]] = field(default_factory=dict)

    def run(self) -> NestedPlan:
        problem = self.problem
        dsos, top = problem.network.children, problem.network.system.top
        planners = {d: DistributionPlanner(problem.distribution[d], problem.hours, self.gap_eur / (10 * len(dsos)), self.nodes) for d in dsos}
        fewest, most = problem.admitted
        nothing = self.operated(fewest)
        everything, bound, first, history = self.operated(most), -np.inf, nothing, []
        best = min(nothing, everything, key=lambda o: o.cost)
        price: Mapping[str, np.ndarray] = nothing.price
        message, closed = f"ended after {self.rounds} rounds (planning.rounds)", False
        for number in range(1, self.rounds + 1):
            latest = {d: planners[d].offer(price[d]) for d in dsos}
            for d, offer in latest.items():
                self.offers.setdefault(d, []).append(offer)
            below = frozenset().union(*(offer.built for offer in latest.values()))
            if number == 1:
                first = self.operated(below)
            found, prices = self.master(planners)
            bound = max(bound, found.bound)
            names = np.array(problem.names[top], dtype=str)
            above = frozenset(names[problem.transmission.columns.values(BUILT, found.x) > 0.5].tolist())
            mine = frozenset(names.tolist())
            fresh = [b for b in (above | below, above | (best.built - mine), (best.built & mine) | below) if b not in self.known]
            latest_operated = [self.operated(b) for b in dict.fromkeys(fresh)]
            best = min([best, first, *latest_operated], key=lambda o: o.cost)
            history.append((best.cost, min(bound, best.cost)))
            self.report_progress(f"round {number}: cost {best.cost:,.0f}, bound {bound:,.0f} EUR/a")
            if best.cost - bound <= max(self.gap_eur, self.gap * abs(best.cost)) + ROUNDING * abs(best.cost):
                message, closed = f"{number} rounds", True
                break
            asked = {d: [o.price for o in self.offers[d]] for d in dsos}
            options = [latest_operated[0].price if latest_operated else best.price, best.price, prices]
            new = [p for p in options if any(not any(np.array_equal(p[d], q) for q in asked[d]) for d in dsos)]
            if not new:
                message = f"{number} rounds; no prices were left to ask about: what remains is the duality gap of whole options"
                break
            price = new[0]
        return NestedPlan(best, min(bound, best.cost), nothing.cost, everything.cost, first, len(history), tuple(history), message, closed)

    def operated(self, built: frozenset[str]) -> Operated:
        if built not in self.known:
            self.known[built] = self.problem.operated(built)
        return self.known[built]

    def master(self, planners: Mapping[str, DistributionPlanner]) -> tuple[MixedSolution, dict[str, np.ndarray]]:
        """The transmission operator's plan with what is offered, and the nodal prices of it."""
        problem = self.problem
        periods = problem.network.horizon.labels
        offered = {d: as_offered(self.offers[d], planner.band, problem.hours, periods) for d, planner in planners.items()}
        program = problem.joined_to(offered, "transmission with offers")
        found = solve_mixed(program, program.columns[BUILT].positions.ravel(), gap_eur=self.gap_eur / 10, nodes=self.nodes)
        return found, problem.prices(program, found.y)


def nested_plan(
    problem: NestedProblem,
    *,
    gap_eur: float = 0.0,
    gap: float = 0.0,
    rounds: int = 30,
    nodes: int = 100_000,
    report_progress: Progress = silent,
) -> NestedPlan:
    """Plan transmission and distribution together by prices and offers.

    Args:
        problem: what is planned.
        gap_eur, gap: distance of cost and bound at which the search ends [EUR/a], or relative to the cost [1].
        rounds: largest number of rounds.
        nodes: of each search for a plan at most.
        report_progress: called with how far it has come.
    """
    return _Search(problem, gap_eur, gap, rounds, nodes, report_progress).run()
