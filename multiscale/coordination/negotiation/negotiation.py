"""Bidirectional negotiation: a parent and its children exchange prices and exchange profiles until a proven gap is reached.

In every round the parent sends each child one or two price vectors and, where targets are used, an exchange it prefers; the child answers
with its optimum at each price (a bound and a profile) and one profile near the target. From all answers so far the parent knows, in every
round, a feasible point of the whole and a proven lower bound (``parent.py``). Which prices are asked next is the method's matter
(``next_prices.py``).

Where answers are late or lost, a round ends when a share ``quorum`` of the children has answered. D_c is concave in the price, so an answer
to an old price bounds the answer to a new one, with the child's declared band [low, high],

    D_c(pi) >= D_c(pi') + sum_t h_t min((pi - pi')_t low_t, (pi - pi')_t high_t)

and the certificate holds at any time. Late answers still bring profiles; repeated ones change nothing. What was lost is asked for again in every
step. A round then lasts several steps, nearly all of them spent waiting: so every message asks two prices more, that of the master and one
from a level near the cost, and fewer rounds are needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from multiscale.coordination.common.convergence import Step
from multiscale.coordination.negotiation.children.carriers import Children, OperatedChildren, Refusal
from multiscale.coordination.negotiation.children.program_child import Kept, Settled
from multiscale.coordination.negotiation.children.request import BadReplyError, Reply, Request, checked
from multiscale.coordination.negotiation.consistency import PRECISION, contradiction, not_kept
from multiscale.coordination.negotiation.next_prices import first_prices, move_prices
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.state import NegotiationOptions, NegotiationResult, NegotiationState
from multiscale.programs import ProgramError


class Negotiation:
    """One parent with its children.

    Args:
        parent: master program.
        expected: exchange the parent expects of each child [kW], (child, period): first prices, and what a child that says nothing gets.
        options: how.
        first: price lists to ask in the first round in addition to the nodal prices at the expected exchange, (list, child, period); default: see
            ``first_prices``.
    """

    def __init__(self, parent: Parent, expected: np.ndarray, options: NegotiationOptions, first: np.ndarray | None = None) -> None:
        self.parent, self.expected, self.options = parent, np.asarray(expected, dtype=float), options
        self.state = NegotiationState()
        price = parent.price_of(self.expected)
        self.state.prices = first_prices(price, parent.goods) if first is None else np.concatenate([price[None], first])
        self.state.centre = price
        for child in parent.names:
            self.state.known[child], self.state.silent[child] = [], 0
        if options.method in ("admm", "hybrid"):
            self.state.target_price = price

    def run(
        self,
        children: Children,
        watch: Callable[[Step], None] | None = None,
        keep: Callable[[Negotiation], None] | None = None,
    ) -> NegotiationResult:
        """Negotiate until the gap or the last round is reached.

        Where the children can operate what was agreed (``OperatedChildren``), they do: a child that cannot keep its profile, or not at the cost it
        said, is excluded, and the others negotiate anew around it.

        Args:
            children: who carries the messages.
            watch: called after every step, e.g. to show the gap.
            keep: called after every round, e.g. to write a checkpoint.
        """
        started = time.perf_counter() - (self.state.history[-1].seconds if self.state.history else 0.0)
        while True:
            while not self.finished:
                ended = self.take(children.ask(self.requests()), time.perf_counter() - started)
                if watch is not None:
                    watch(self.state.history[-1])
                if ended and keep is not None:
                    keep(self)
            agreement = self.agreement()
            if not isinstance(children, OperatedChildren):
                return agreement
            point = agreement.point
            assert self.state.centre is not None
            every = zip(self.parent.names, point.exchange, point.price, self.state.centre, strict=True)
            agreed = {c: Kept(y, price, counted, asked=self.asked_of(c)) for c, y, price, counted in every if c not in self.state.excluded}
            said = dict(zip(self.parent.names, point.own.tolist(), strict=True))
            failed = {c: self.not_kept(c, said[c], agreed[c], settled) for c, settled in children.settle(agreed).items()}
            if not self.exclude_all(failed):
                return agreement
            self.restart()

    def asked_of(self, child: str) -> np.ndarray:
        """All prices that a child answered [EUR/kWh], (price, entry)."""
        return np.array([price for price, _ in self.state.known[child]]).reshape(-1, len(self.parent.hours))

    def not_kept(self, child: str, said: float, kept: Kept, settled: Settled | Refusal, moved: float = 0.0) -> str | None:
        """What is wrong with a child's agreed profile and its bound when it is operated, see ``consistency``."""
        return not_kept(said, kept, self.parent.hours, self.state.known[child], self.least(child, kept.counted), settled, moved)

    def exclude_all(self, failed: Mapping[str, str | None]) -> bool:
        """Exclude every child with a reason; whether there is one."""
        for child, reason in failed.items():
            if reason is not None:
                self.exclude(child, reason)
        return any(reason is not None for reason in failed.values())

    def forget(self, child: str) -> None:
        """Take nothing for true that a child has said so far, nor what of it may still arrive."""
        state = self.state
        self.parent.forget(child)
        state.known[child], state.bound, state.cost = [], -np.inf, np.inf
        # Also what answers the present round: over an unreliable channel it may arrive, or arrive again, in the round that is begun next.
        state.valid_from[child] = state.round + (state.step > 0)

    def restart(self, parameters: np.ndarray | None = None) -> None:
        """Negotiate anew, perhaps under other parameters of the parent such as the price from above; all that the children said stays valid."""
        state, parent = self.state, self.parent
        parent.under(parameters)
        if state.step:
            state.round += 1
        state.first_round, state.answered = state.round, set()
        state.bound, state.cost, state.plan, state.target_price, state.point = -np.inf, np.inf, None, None, None
        offered = all(parent.costs[c] for c in parent.names)
        price = parent.best_mix().price if offered else parent.price_of(self.expected)
        state.prices, state.centre = price[None] if offered else first_prices(price, parent.goods), price
        if self.options.method in ("admm", "hybrid"):
            state.target_price = price
        if not self._active:
            # No child is left to ask: only what they took for given remains.
            self._evaluate(True)

    @property
    def finished(self) -> bool:
        """Whether the gap or the last round is reached."""
        state, options = self.state, self.options
        enough = max(options.gap * abs(state.cost), options.target) if np.isfinite(state.cost) else 0.0
        return state.cost - state.bound <= enough or state.round - state.first_round >= options.rounds or not self._active

    @property
    def _active(self) -> list[str]:
        return [c for c in self.parent.names if c not in self.state.excluded]

    # -- down -------------------------------------------------------------------------------------------------------
    def requests(self) -> dict[str, Request]:
        """The requests to every child that has not answered the present round."""
        state = self.state
        if state.round not in state.asked:
            if state.round > state.first_round:
                move_prices(self.parent, state, self.options)
            state.asked[state.round] = {c: self._request(i) for i, c in enumerate(self.parent.names)}
        requests = {c: state.asked[state.round][c] for c in self._active if c not in state.answered}
        for request in requests.values():
            state.traffic.count("down", **request.content())
        return requests

    def _request(self, i: int) -> Request:
        state = self.state
        if np.isfinite(state.cost) and np.isfinite(state.bound):
            missing = state.cost - state.bound
        else:
            size = float(np.abs(self.parent.hours * state.prices[0] * self.expected).sum())
            missing = max(self.options.gap * size, self.options.target)
        tolerance = self.options.share_of_gap * missing / len(self.parent.names)
        if state.plan is None:
            return Request(state.round, state.prices[:, i], tolerance=tolerance, goods=self.parent.goods)
        assert state.target_price is not None
        return Request(state.round, state.prices[:, i], state.plan[i], state.target_price[i], state.slope, tolerance, self.parent.goods)

    # -- up ---------------------------------------------------------------------------------------------------------
    def take(self, arrived: Iterable[tuple[str, Reply | Refusal]], seconds: float) -> bool:
        """Use what has arrived; True if the round has ended."""
        state = self.state
        state.step += 1
        for child in self._active:
            # Who has answered the present round is not asked until it ends.
            state.silent[child] += child not in state.answered
        for child, reply in arrived:
            if child in state.excluded:
                continue
            if isinstance(reply, Refusal):
                self.exclude(child, reply.reason)
                continue
            try:
                self._hear(child, checked(reply, len(self.parent.hours), self.parent.bands[child], self.parent.goods))
            except BadReplyError as error:
                self.exclude(child, str(error))
        for child in self._active:
            if state.silent[child] >= self.options.patience:
                self.exclude(child, f"gave no new answer in {self.options.patience} steps")
        active = self._active
        ended = len(state.answered.intersection(active)) >= self.options.quorum * len(active) - 1e-9
        if all(self.parent.costs[c] for c in self.parent.names):
            self._evaluate(ended)
        answered = len(state.answered)
        if ended:
            state.round += 1
            state.answered = set()
        traffic = state.traffic
        number = state.round - 1 if ended else state.round
        state.history.append(Step(state.step, number + 1, state.cost, state.bound, answered, traffic.messages, traffic.bytes, seconds))
        return ended

    def _hear(self, child: str, reply: Reply) -> None:
        state = self.state
        request = state.asked.get(reply.number, {}).get(child)
        if request is None or len(reply.values) != len(request.prices):
            raise BadReplyError(f"answered round {reply.number}, which was not asked, or not every price of it")
        # One for each price, and one near the target. Every offer is a column of the master program for good.
        most = len(request.prices) + 1
        if len(reply.costs) > most:
            raise BadReplyError(f"offered {len(reply.costs)} profiles in one answer; {most} at most were asked for")
        state.traffic.count("up", **reply.content())
        if reply.number > state.heard.get(child, -1):
            state.silent[child], state.heard[child] = 0, reply.number
        if reply.number < state.valid_from.get(child, 0):
            return
        if reply.anew:
            self.forget(child)
            state.valid_from[child] = reply.number
        self._compare(child, request.prices, reply)
        state.engines[child] = reply.engine
        fresh = [self.parent.add(child, f, y, (reply.number, k)) for k, (f, y) in enumerate(zip(reply.costs, reply.profiles, strict=True))]
        if any(fresh) or reply.number == state.round:
            state.known[child] += list(zip(request.prices, reply.values.tolist(), strict=True))
        if reply.number == state.round:
            state.answered.add(child)
            if state.near is None:
                state.near = self.expected.copy()
            state.near[self.parent.names.index(child)] = reply.profiles[-1]

    def _compare(self, child: str, prices: np.ndarray, reply: Reply) -> None:
        """Compare the bounds of a reply with all offers of the child, and its offers with all its bounds."""
        parent, known, t = self.parent, self.state.known[child], len(self.parent.hours)
        costs = np.concatenate([parent.costs[child], reply.costs])
        profiles = np.concatenate([np.array(parent.profiles[child]).reshape(-1, t), reply.profiles])
        wrong = contradiction(prices, reply.values, costs, profiles, parent.hours)
        if wrong is None:
            before = np.array([p for p, _ in known]).reshape(-1, t), np.array([v for _, v in known])
            wrong = contradiction(*before, reply.costs, reply.profiles, parent.hours)
        if wrong is not None:
            raise BadReplyError(wrong)

    def exclude(self, child: str, reason: str) -> None:
        """Take a child's exchange as given: what it last offered, else what was expected of it. What that costs the child is not counted."""
        state, i = self.state, self.parent.names.index(child)
        state.excluded[child] = reason
        state.answered.discard(child)
        offered = self.parent.profiles[child]
        self.parent.only(child, 0.0, offered[-1] if offered else self.expected[i])
        # What was proven before held for a problem with this child in it.
        state.bound, state.cost = -np.inf, np.inf

    # -- what is known now ------------------------------------------------------------------------------------------
    def least(self, child: str, price: np.ndarray) -> float:
        """Proven lower bound on the child's own cost plus price x exchange, from all its answers so far [EUR/a]."""
        if child in self.state.excluded:
            return float(self.parent.hours * price @ self.parent.profiles[child][0])
        return self.rests_on(child, price)[1]

    def rests_on(self, child: str, price: np.ndarray) -> tuple[int, float]:
        """Position of the answer (in ``known``) from which the largest bound at a price follows, and that bound [EUR/a]; -inf without an answer."""
        if not self.state.known[child]:
            return -1, -np.inf
        band = self.parent.bands[child]
        asked = np.array([p for p, _ in self.state.known[child]])
        value = np.array([v for _, v in self.state.known[child]])
        change = self.parent.hours * (price - asked)
        bounds = value + np.minimum(change * band.low, change * band.high).sum(axis=1)
        return int(bounds.argmax()), float(bounds.max())

    def _evaluate(self, ended: bool) -> None:
        state, parent = self.state, self.parent
        point = parent.best_mix()
        state.point, state.cost = point, min(point.cost, state.cost)
        lists = list(state.prices) if ended or state.step % 3 == 0 else []
        if state.centre is not None and not ended:
            lists.append(state.centre)
        for price in lists:
            least = [self.least(c, price[i]) for i, c in enumerate(parent.names)]
            if np.isfinite(least).all():
                value = parent.own_bound(price) + float(np.sum(least))
                # Rounding of large sums must not push a bound above what it bounds.
                value -= 1e-10 * (abs(value) + float(np.abs(least).sum()))
                if value > state.bound:
                    state.bound, state.centre = value, price

    def agreement(self) -> NegotiationResult:
        """What has been reached.

        Raises:
            ProgramError: no child has answered, so there is nothing to agree on; or the bound is above the cost by more than rounding, though no
                child contradicted itself.
        """
        state = self.state
        if state.point is None:
            raise ProgramError(f"negotiation of {self.parent.name!r}: no feasible point after {state.step} steps; {state.excluded or 'no answers'}")
        enough = max(self.options.gap * abs(state.cost), self.options.target)
        size = abs(state.cost) + float(np.abs(state.point.own).sum() + np.abs(self.parent.hours * state.point.price * state.point.exchange).sum())
        if not state.bound <= state.cost + 10.0 * PRECISION * (1.0 + size):
            found = f"a bound of {state.bound:.9g} EUR/a above a cost of {state.cost:.9g} EUR/a"
            raise ProgramError(f"negotiation of {self.parent.name!r} found {found}, which its own program does not explain; look at its scaling")
        shortfall = ""
        if not state.cost - state.bound <= enough:
            rounds, gap = state.round - state.first_round, (state.cost - state.bound) / max(abs(state.cost), 1.0)
            shortfall = f"negotiation ended after {rounds} rounds at a gap of {gap:.2g}, not within the {self.options.gap:g} asked for"
        status = "partial" if state.excluded else "open" if shortfall else "agreed"
        lists = []
        for asked in state.asked.values():
            count = len(next(iter(asked.values())).prices)
            lists += [np.array([asked[c].prices[k] for c in self.parent.names]) for k in range(count)]
        return NegotiationResult(
            status, state.cost, state.bound, state.point, tuple(lists), tuple(state.history), state.traffic, dict(state.excluded), state, shortfall
        )
