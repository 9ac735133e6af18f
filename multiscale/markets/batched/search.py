"""Rounds of a pool's master and of answers of its members, up to a certified gap; the mathematics stands in ``pool_clearing``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.markets.batched.batch import Batch, Pool, Schedules
from multiscale.markets.batched.master import Boundary, Master
from multiscale.markets.batched.respondents import Respondents
from multiscale.markets.batched.settled import ROUNDING, settle
from multiscale.programs import ProgramError

LEAST_SHARE = 0.1
"""The gap is relative to the cost, or to this share of what all inflexible demand would cost at the import price, if that is more."""

SHORT = 48
"""Up to so many periods prices follow the master closely."""

STILL = 1e-3
"""By which share of the largest the prices of the master move when they are said to stay."""

LONGEST = 400
"""Most rounds; far more than the number of periods asks for."""


@dataclass(frozen=True)
class PoolClearing:
    """The equilibrium of a pool.

    Attributes:
        cost: of the schedules [EUR/a].
        bound: no schedules cost less [EUR/a].
        gap: ``(cost - bound) / max(|cost|, LEAST_SHARE x cost of all inflexible demand at the import price)``.
        price: of the pool, at which the bound holds [EUR/kWh], (period,).
        imported, exported: at the boundary [kW], (period,).
        schedules: of every batch.
        rounds: full passes over all members, without those that write schedules.
        sampled: passes over the sample.
    """

    cost: float
    bound: float
    gap: float
    price: np.ndarray
    imported: np.ndarray
    exported: np.ndarray
    schedules: tuple[Schedules, ...]
    rounds: int
    sampled: int


@dataclass(frozen=True)
class Asked:
    """What all groups do at a price of the pool, whatever the prices at its boundary.

    Attributes:
        price: of the pool [EUR/kWh], (period,).
        costs: own cost of every group [EUR/a], (group,).
        nets: what every group buys less what it sells [kW], (group, period).
        least: proven least of own cost plus price x net, summed over the groups [EUR/a].
    """

    price: np.ndarray
    costs: np.ndarray
    nets: np.ndarray
    least: float


class Search:
    """Rounds of master and answers, up to a gap.

    Args:
        pool, boundary: as of ``clear_pool``, limits finite.
        respondents: the groups.
        least: smallest cost that the gap is relative to [EUR/a].
        known: what the same groups have answered before, perhaps under other prices at the boundary.
    """

    def __init__(self, pool: Pool, boundary: Boundary, respondents: Respondents, least: float, known: Sequence[Asked] = ()) -> None:
        self.pool, self.boundary, self.respondents, self.least = pool, boundary, respondents, least
        # No member pays more than the value of lost load, and none is paid to draw more than it costs to be without the grid.
        extreme = np.abs(boundary.import_price).max() + np.abs(boundary.export_price).max()
        self._short_price = 2.0 * (pool.value_of_lost_load + float(extreme))
        self.master = self._empty_master()
        self.asked: list[Asked] = []
        self.cost, self.bound, self.price, self.rounds = np.inf, -np.inf, np.zeros(len(pool.hours)), 0
        self.weights, self.missing = np.zeros((0, 0)), 0.0
        for asked in known:
            self._take(asked)

    def _empty_master(self) -> Master:
        return Master(self.boundary, self.pool.hours, len(self.respondents.groups), self._short_price)

    @property
    def gap(self) -> float:
        """Relative gap, as of ``PoolClearing``."""
        return self._gap_of(self.cost)

    def _gap_of(self, cost: float) -> float:
        return (cost - self.bound) / max(abs(cost), self.least, 1e-9)

    def run(self, prices: Sequence[np.ndarray], gap: float, most: float = np.inf) -> None:
        """Answer some prices, then those of the master, until the gap is reached, and no more than ``most`` passes the boundary [kW].

        Where more passes although the prices of the master stay, it is the best that can be done at the prices of the boundary.

        Raises:
            ProgramError: it is not, or the limits of the boundary cannot be kept.
        """
        waiting = list(prices)
        follow = 0.3 if len(self.pool.hours) <= SHORT else 0.6
        if not self.asked:
            self._ask(waiting.pop(0))
        before = np.full(len(self.pool.hours), np.inf)
        while True:
            self.cost, dual, self.weights, missing = self.master.solve()
            self.missing = float(missing.max())
            if self.gap <= gap and self._kept and (self.gap <= 0.01 * gap or self.leaves <= most):
                return
            if self.rounds >= LONGEST:
                reason = f"a gap of {self.gap:.2g} is left" if self._kept else f"{self.missing:.6g} kW are beyond the limits of the boundary"
                raise ProgramError(f"pool: after {self.rounds} rounds {reason}; raise the gap or the limits, or use the ordinary program")
            if waiting:
                self._ask(waiting.pop(0))
            else:
                # Prices of the master that an answer did not move are asked as they are: the way to them would halve the distance each time.
                still = np.abs(dual - before).max() <= STILL * np.abs(dual).max()
                self._ask(dual if still else follow * self.price + (1.0 - follow) * dual)
            before = dual

    @property
    def leaves(self) -> float:
        """Most that passes the boundary in a period [kW]."""
        return float(np.abs(self.together()[1]).max())

    @property
    def _kept(self) -> bool:
        """Whether nothing is missing."""
        return self.missing <= self._rounding

    @property
    def _rounding(self) -> float:
        """What may seem to be missing [kW]."""
        return 1e-7 * (1.0 + float(np.abs(self.boundary.fixed).max()) + float(self.boundary.import_limit.max()) * 1e-3)

    def _ask(self, price: np.ndarray) -> None:
        answers = self.respondents.at(price)
        self.rounds += 1
        hours = self.pool.hours
        least = sum(a.cost + float(hours * price @ a.net) - a.error for a in answers)
        self._take(Asked(price, np.array([a.cost for a in answers]), np.array([a.net for a in answers]), least))

    def _take(self, asked: Asked) -> None:
        bound = asked.least + self.boundary.value(asked.price, self.pool.hours)
        if bound > self.bound:
            self.bound, self.price = bound, asked.price
        self.asked.append(asked)
        self.master.add(asked.price, asked.costs, asked.nets)

    def together(self) -> tuple[float, np.ndarray]:
        r"""Cost \[EUR/a\] of what the groups do together, with what is traded at the boundary, and what it draws from there [kW], (period,)."""
        net = self.boundary.fixed + sum(w @ a.nets for w, a in zip(self.weights, self.asked, strict=True))
        own = sum(float(w @ a.costs) for w, a in zip(self.weights, self.asked, strict=True))
        boundary = self.boundary
        traded = boundary.import_price * np.maximum(net, 0.0) - boundary.export_price * np.maximum(-net, 0.0)
        return own + float(self.pool.hours @ traded), net

    @property
    def active_answers(self) -> list[Asked]:
        """That at the price of the bound, then those that are used, those used most first."""
        weight = self.weights.sum(axis=1)
        used = [self.asked[k] for k in np.argsort(-weight, kind="stable").tolist() if weight[k] > 1e-9]
        best = next(a for a in self.asked if a.price is self.price)
        return [best, *(a for a in used if a is not best)]

    @property
    def active(self) -> list[np.ndarray]:
        """Prices of the ``active_answers``."""
        return [asked.price for asked in self.active_answers]

    def few_prices(self, gap: float) -> list[np.ndarray]:
        """Of the active prices so few that their answers alone still reach a gap: those used least are omitted first."""
        kept = self.active_answers
        for left in kept[:0:-1]:
            fewer, master = [a for a in kept if a is not left], self._empty_master()
            for asked in fewer:
                master.add(asked.price, asked.costs, asked.nets)
            cost, _, _, missing = master.solve()
            if self._gap_of(cost) <= gap and missing.max() <= self._rounding:
                kept = fewer
        return [asked.price for asked in kept]

    def best(self, batches: Sequence[Batch]) -> tuple[Schedules, ...]:
        """What all members do at the price of the bound."""
        schedules = {id(b): Schedules.none(b, len(self.pool.hours)) for b in batches}
        groups = enumerate(self.respondents.groups)
        self.respondents.write_all([(g, self.price, 1.0, schedules[id(group.batch)]) for g, group in groups])
        return tuple(schedules[id(b)] for b in batches)

    def written(self, batches: Sequence[Batch], sampled: int) -> PoolClearing:
        """The schedules of all members, and what they add up to: cost and exchange are computed from them.

        Raises:
            ProgramError: a schedule, or what all of them pass through the boundary, leaves a limit.
        """
        periods = len(self.pool.hours)
        schedules = {id(b): Schedules.none(b, periods) for b in batches}
        tasks = []
        for g, group in enumerate(self.respondents.groups):
            weights = np.where(self.weights[:, g] > 1e-12, self.weights[:, g], 0.0)
            weights /= weights.sum()
            used = np.flatnonzero(weights).tolist()
            tasks += [(g, self.master.prices[k], float(weights[k]), schedules[id(group.batch)]) for k in used]
        self.respondents.write_all(tasks)
        cost, net = 0.0, self.boundary.fixed.copy()
        for batch in batches:
            own, draws = settle(self.pool, batch, schedules[id(batch)])
            cost, net = cost + own, net + draws
        imported, exported = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        limits = self.boundary.import_limit, self.boundary.export_limit
        beyond = max(float((power - most - ROUNDING * (1.0 + most)).max()) for power, most in zip((imported, exported), limits, strict=True))
        if not beyond <= 0.0:
            raise ProgramError(f"pool: the schedules pass {beyond:.3g} kW more than the limits of the boundary; use the ordinary program")
        cost += float(self.pool.hours @ (self.boundary.import_price * imported - self.boundary.export_price * exported))
        self.cost = cost
        found = tuple(schedules[id(b)] for b in batches)
        return PoolClearing(cost, self.bound, self.gap, self.price, imported, exported, found, self.rounds, sampled)
