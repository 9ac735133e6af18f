"""The equilibrium of a pool of very many members, to a certified gap: column generation over groups, begun on a random sample.

The members' programs are joined by the balance of the pool in every period only. At prices v of it the sum of least costs

    L(v) = sum_i min [ own cost_i + sum_t h_t v_t net_it ] + least cost of what is traded at the boundary at v

is a lower bound on the cost of the pool, whatever the prices. Answers of whole groups are columns of a restricted master, whose optimum is feasible
(a convex combination of schedules of every member) and an upper bound, and whose duals are the next prices. The number of rounds depends on the
number of periods, not on that of members. So prices are found with a sample first; its bound and its columns are not used, only its prices.

Source: Dantzig-Wolfe decomposition with in-out separation, Pessoa et al., INFORMS J. Comput. 30 (2018) 339-360.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from multiscale.markets.batched.batch import Answered, Batch, Group, Pool, Respondents, Schedules
from multiscale.markets.batched.master import Boundary, Master
from multiscale.markets.batched.settled import settle
from multiscale.programs import ProgramError

SAMPLE, SAMPLE_SHARE = 1000, 0.01
"""Members with which prices are looked for first, and share of all members where that is more."""

SAMPLE_GAP, FEW_GAP = 0.3, 0.6
"""To which share of the gap wanted; and up to which share fewer of the sample's prices are taken, where a pass over all members takes long."""

LEAST_SHARE = 0.1
"""The gap is relative to the cost, or to this share of what all inflexible demand would cost at the import price, if that is more."""

THREADS_FROM = 5000
"""Members from which two threads are worth it."""

LEAST_GAP = 1e-8
"""Smallest gap that can be certified in spite of rounding."""

SHORT, MANY = 48, 20_000
"""Up to so many periods prices follow the master closely; with as many members, too, more groups pay: fewer prices are written for each."""

LARGE = 400_000
"""Members times periods from which a pass over all takes longer than some solves of the master."""

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


def clear_pool(
    pool: Pool, batches: Sequence[Batch], boundary: Boundary, *, gap: float = 1e-3, groups: int | None = None, sample: int = SAMPLE
) -> PoolClearing:
    """Clear a pool.

    Args:
        pool, batches, boundary: what is cleared; limits of the boundary may be infinite.
        gap: wanted, see ``PoolClearing``.
        groups: into how many groups all members are put; default: 8, of many members over few periods 32.
        sample: members of the sample (at least a hundredth of all); with no more members than that there is none.

    Raises:
        ValueError: no members, or a gap that rounding does not allow.
        ProgramError: a member has no exact answer, the limits of the boundary cannot be kept, or the gap was not reached.
    """
    batches = [b for b in batches if b.size]
    if not batches:
        raise ValueError("pool: it has no members; give at least one")
    if not LEAST_GAP <= gap < 1:
        raise ValueError(f"pool: a gap of {gap:g} cannot be certified; give one between {LEAST_GAP:g} and 1")
    periods = len(pool.hours)
    most = [b.largest(periods) for b in batches]
    largest = [sum((m[k] for m in most), np.abs(boundary.fixed)) + 1.0 for k in range(2)]
    boundary = Boundary(
        boundary.import_price,
        boundary.export_price,
        np.minimum(boundary.import_limit, largest[0]),
        np.minimum(boundary.export_limit, largest[1]),
        boundary.fixed,
    )
    if (boundary.export_price > boundary.import_price + 1e-12).any():
        t = int(np.argmax(boundary.export_price - boundary.import_price))
        raise ProgramError(f"pool: in period {t} export earns more than import costs; no pool has an equilibrium then, correct the prices")
    total = sum(b.size for b in batches)
    sample = max(sample, round(SAMPLE_SHARE * total))
    if groups is None:
        groups = 32 if total >= MANY and periods <= SHORT else 8
    whole = [g for b in batches for g in _groups(b, max(1, round(groups * b.size / total)))]
    demand = sum((np.broadcast_to(b.demand, (b.size, periods)).sum(axis=0) for b in batches), np.maximum(boundary.fixed, 0.0))
    least = LEAST_SHARE * float(pool.hours @ (np.abs(boundary.import_price) * demand))
    with ThreadPoolExecutor(2 if total >= THREADS_FROM else 1) as executor:
        prices, sampled = _first_prices(pool, boundary), 0
        if total > sample:
            part = Search(pool, boundary, Respondents(pool, _sampled(whole, sample), executor), least)
            part.run(prices, SAMPLE_GAP * gap)
            prices, sampled = part.few_prices(FEW_GAP * gap) if total * periods >= LARGE else part.active, part.rounds
        search = Search(pool, boundary, Respondents(pool, whole, executor), least)
        search.run(prices, gap)
        return search.written(batches, sampled)


class Search:
    """Rounds of master and answers, up to a gap.

    Args:
        pool, boundary: as of ``clear_pool``, limits finite.
        respondents: the groups.
        least: smallest cost that the gap is relative to [EUR/a].
    """

    def __init__(self, pool: Pool, boundary: Boundary, respondents: Respondents, least: float) -> None:
        self.pool, self.boundary, self.respondents, self.least = pool, boundary, respondents, least
        # No member pays more than the value of lost load, and none is paid to draw more than it costs to be without the grid.
        extreme = np.abs(boundary.import_price).max() + np.abs(boundary.export_price).max()
        self._short_price = 2.0 * (pool.value_of_lost_load + float(extreme))
        self.master = self._empty_master()
        self._answers: list[tuple[np.ndarray, np.ndarray]] = []
        self.cost, self.bound, self.price, self.rounds = np.inf, -np.inf, np.zeros(len(pool.hours)), 0
        self.weights, self.missing = np.zeros((0, 0)), 0.0

    def _empty_master(self) -> Master:
        return Master(self.boundary, self.pool.hours, len(self.respondents.groups), self._short_price)

    @property
    def gap(self) -> float:
        """Relative gap, as of ``PoolClearing``."""
        return (self.cost - self.bound) / max(abs(self.cost), self.least, 1e-9)

    def run(self, prices: Sequence[np.ndarray], gap: float) -> None:
        """Answer some prices, then those of the master, until the gap is reached.

        Raises:
            ProgramError: it is not, or the limits of the boundary cannot be kept.
        """
        waiting = list(prices)
        follow = 0.3 if len(self.pool.hours) <= SHORT else 0.6
        self._ask(waiting.pop(0))
        while True:
            self.cost, dual, self.weights, missing = self.master.solve()
            self.missing = float(missing.max(initial=0.0))
            if self.gap <= gap and self._kept:
                return
            if self.rounds >= LONGEST:
                reason = f"a gap of {self.gap:.2g} is left" if self._kept else f"{self.missing:.6g} kW are beyond the limits of the boundary"
                raise ProgramError(f"pool: after {self.rounds} rounds {reason}; raise the gap or the limits, or use the ordinary program")
            self._ask(waiting.pop(0) if waiting else follow * self.price + (1.0 - follow) * dual)

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
        bound = self._bound(price, answers)
        if bound > self.bound:
            self.bound, self.price = bound, price
        columns = np.array([a.cost for a in answers]), np.array([a.net for a in answers])
        self._answers.append(columns)
        self.master.add(price, *columns)

    def _bound(self, price: np.ndarray, answers: Sequence[Answered]) -> float:
        hours = self.pool.hours
        return sum(a.cost + float(hours * price @ a.net) - a.error for a in answers) + self.boundary.value(price, hours)

    @property
    def active(self) -> list[np.ndarray]:
        """That of the bound, then prices whose answers are used, those used most first."""
        weight = self.weights.sum(axis=1)
        used = [self.master.prices[k] for k in np.argsort(-weight, kind="stable").tolist() if weight[k] > 1e-9]
        return [self.price, *(price for price in used if price is not self.price)]

    def few_prices(self, gap: float) -> list[np.ndarray]:
        """Of the active prices so few that their answers alone still reach a gap: those used least are omitted first."""
        kept = self.active
        places = {id(price): k for k, price in enumerate(self.master.prices)}
        for price in kept[:0:-1]:
            fewer, master = [p for p in kept if p is not price], self._empty_master()
            for p in fewer:
                master.add(p, *self._answers[places[id(p)]])
            cost, _, _, missing = master.solve()
            if (cost - self.bound) / max(abs(cost), self.least, 1e-9) <= gap and missing.max(initial=0.0) <= self._rounding:
                kept = fewer
        return kept

    def written(self, batches: Sequence[Batch], sampled: int) -> PoolClearing:
        """The schedules of all members, and what they add up to: cost and exchange are computed from them."""
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
        cost += float(self.pool.hours @ (self.boundary.import_price * imported - self.boundary.export_price * exported))
        self.cost = cost
        found = tuple(schedules[id(b)] for b in batches)
        return PoolClearing(cost, self.bound, self.gap, self.price, imported, exported, found, self.rounds, sampled)


def _first_prices(pool: Pool, boundary: Boundary) -> list[np.ndarray]:
    """What energy costs and earns at the boundary, and prices so high that all give what they can."""
    high = np.full(len(pool.hours), pool.value_of_lost_load)
    return [boundary.import_price, boundary.export_price, 0.5 * (boundary.import_price + boundary.export_price), high]


def _groups(batch: Batch, count: int) -> list[Group]:
    """Members with similar devices together: of like size relative to power, or of like generation relative to demand."""
    if batch.device is not None:
        span, power = (batch.device.high - batch.device.low).mean(axis=1), (batch.device.power_in * batch.device.presence).mean(axis=1)
        key = span / np.maximum(power, 1e-12)
    else:
        key = batch.pv.mean(axis=1) / np.maximum(batch.demand.mean(axis=1), 1e-12)
    order = np.argsort(np.broadcast_to(key, (batch.size,)), kind="stable")
    return [Group(batch, np.ascontiguousarray(part)) for part in np.array_split(order, min(count, batch.size))]


def _sampled(groups: Sequence[Group], sample: int) -> list[Group]:
    """Of every group so many members that there are ``sample`` in all, each for as many as it stands for; the same in every run."""
    random, total = np.random.default_rng(1), sum(len(g.members) for g in groups)
    out = []
    for group in groups:
        count = max(1, round(sample * len(group.members) / total))
        chosen = np.sort(random.choice(len(group.members), count, replace=False))
        out.append(Group(group.batch, group.members[chosen], len(group.members) / count))
    return out
