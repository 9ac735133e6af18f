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

import numpy as np

from multiscale.markets.batched.batch import Batch, Group, Pool
from multiscale.markets.batched.master import Boundary
from multiscale.markets.batched.respondents import Respondents
from multiscale.markets.batched.search import LEAST_SHARE, SHORT, PoolClearing, Search
from multiscale.programs import ProgramError

SAMPLE, SAMPLE_SHARE = 1000, 0.01
"""Members with which prices are looked for first, and share of all members where that is more."""

SAMPLE_GAP, FEW_GAP = 0.3, 0.6
"""To which share of the gap wanted; and up to which share fewer of the sample's prices are taken, where a pass over all members takes long."""

THREADS_FROM = 5000
"""Members from which two threads are worth it."""

LEAST_GAP = 1e-8
"""Smallest gap that can be certified in spite of rounding."""

LARGE = 400_000
"""Members times periods from which a pass over all takes longer than some solves of the master."""

MANY = 20_000
"""With as many members over few periods more groups pay: fewer prices are written for each."""


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
    periods, boundary = len(pool.hours), within_reach(pool, batches, checked(boundary))
    total = sum(b.size for b in batches)
    sample = max(sample, round(SAMPLE_SHARE * total))
    if groups is None:
        groups = 32 if total >= MANY and periods <= SHORT else 8
    whole = grouped(batches, groups)
    least = LEAST_SHARE * float(pool.hours @ (np.abs(boundary.import_price) * total_demand(batches, boundary)))
    with ThreadPoolExecutor(2 if total >= THREADS_FROM else 1) as executor:
        prices, sampled = first_prices(pool, boundary), 0
        if total > sample:
            part = Search(pool, boundary, Respondents(pool, _sampled(whole, sample), executor), least)
            part.run(prices, SAMPLE_GAP * gap)
            prices, sampled = part.few_prices(FEW_GAP * gap) if total * periods >= LARGE else part.active, part.rounds
        search = Search(pool, boundary, Respondents(pool, whole, executor), least)
        search.run(prices, gap)
        return search.written(batches, sampled)


def checked(boundary: Boundary) -> Boundary:
    """The boundary.

    Raises:
        ProgramError: export earns more than import costs.
    """
    if (boundary.export_price > boundary.import_price + 1e-12).any():
        t = int(np.argmax(boundary.export_price - boundary.import_price))
        raise ProgramError(f"pool: in period {t} export earns more than import costs; no pool has an equilibrium then, correct the prices")
    return boundary


def within_reach(pool: Pool, batches: Sequence[Batch], boundary: Boundary) -> Boundary:
    """The boundary with limits that are finite: no more passes than the members can draw and supply."""
    most = [b.largest(len(pool.hours)) for b in batches]
    largest = [sum((m[k] for m in most), np.abs(boundary.fixed)) + 1.0 for k in range(2)]
    limits = np.minimum(boundary.import_limit, largest[0]), np.minimum(boundary.export_limit, largest[1])
    return Boundary(boundary.import_price, boundary.export_price, *limits, boundary.fixed)


def total_demand(batches: Sequence[Batch], boundary: Boundary) -> np.ndarray:
    """Inflexible demand of all members, and what is fixed [kW], (period,)."""
    return sum((np.broadcast_to(b.demand, (b.size, len(boundary.fixed))).sum(axis=0) for b in batches), np.maximum(boundary.fixed, 0.0))


def grouped(batches: Sequence[Batch], count: int) -> list[Group]:
    """All members in about so many groups."""
    total = sum(b.size for b in batches)
    return [g for b in batches for g in _groups(b, max(1, round(count * b.size / total)))]


def first_prices(pool: Pool, boundary: Boundary) -> list[np.ndarray]:
    """What energy costs and earns at the boundary, and prices so high that all give what they can."""
    high = np.full(len(pool.hours), pool.value_of_lost_load)
    return [boundary.import_price, boundary.export_price, 0.5 * (boundary.import_price + boundary.export_price), high]


def _groups(batch: Batch, count: int) -> list[Group]:
    """Members with similar devices together: of like size relative to power, or of like generation relative to demand."""
    if batch.devices:
        first = batch.devices[0]
        span, power = (first.high - first.low).mean(axis=1), (first.power_in * first.presence).mean(axis=1)
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
