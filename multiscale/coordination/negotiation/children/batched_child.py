"""A platform as a child by the batched solution of its market, where that is exact: answers to prices, and what it does to keep a profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild, Settled
from multiscale.coordination.negotiation.children.request import Reply, Request
from multiscale.operation.platforms import PlatformData
from multiscale.programs import ParametricProgram, ProgramError
from multiscale.tariffs import Prices

if TYPE_CHECKING:
    from multiscale.markets.batched.platform_pool import PlatformPool
    from multiscale.markets.batched.search import Search

MANY = 30
"""Prosumers from which the batched solution takes less time than a program (measured at 24 periods, see docs/coordination.md)."""

NETWORK_BINDS = "limits of its low-voltage network may bind"
"""Why a platform with a network is answered for by its program."""

FINEST, COARSEST = 1e-7, 1e-4
"""Gaps between which an answer is certified, relative to what all demand costs; which, follows from the tolerance of the request."""

KEPT, PROVEN = 1e-4, 2e-4
"""The same for the cost of keeping an agreed profile, and for what the duals that are returned prove about it; what was said is kept in any case."""


def as_batched(
    data: PlatformData, prices: Prices, whole: Callable[[], ParametricProgram], program: ParametricProgram | None = None
) -> BatchedChild | str:
    """A platform as a child by the batched solution; where it has few prosumers or is not carried exactly (``applies``), why not.

    Args:
        data: the platform.
        prices: of the decided tariff components of its DSO.
        whole: makes the program of all prosumers, all parameters fixed.
        program: the program before its parameters are fixed; None: no network is in it.
    """
    if data.fleet.size < MANY:
        return f"it has {data.fleet.size} prosumers, fewer than {MANY}"
    # The compiled parts are loaded where they are used.
    from multiscale.markets.batched.platform_pool import PlatformPool
    from multiscale.markets.batched.platform_terms import NotCarriedError

    try:
        if program is not None and data.network_binds(program):
            raise NotCarriedError(data.fleet.node, NETWORK_BINDS)
        return BatchedChild(data, prices, whole, PlatformPool(data.fleet, data.economics, data.market, prices))
    except NotCarriedError as reason:
        return str(reason)


class BatchedChild:
    """A platform as a child: its bounds are those of the prices of its pool, its profiles what groups of its prosumers do together.

    A target is not answered: where a parent sends one, the answers to its prices are all it gets. Where the batched solution has no exact answer, as
    at prices so far below zero that batteries burn energy, the program of the platform answers, and the reply says so.

    Args:
        data: the platform.
        tariff: prices of the decided tariff components of its DSO.
        whole: makes the program of all prosumers, all parameters fixed.
        pool: the platform as a pool.
    """

    def __init__(self, data: PlatformData, tariff: Prices, whole: Callable[[], ParametricProgram], pool: PlatformPool) -> None:
        self.data, self.tariff, self.whole, self.pool = data, tariff, whole, pool
        self._reference: tuple[bytes, Search | None] = (b"", None)
        self._by_program: ProgramChild | None = None

    def answer(self, request: Request, reference: np.ndarray) -> Reply:
        """Answer a request; every answer begins with what the groups did at the price ``reference`` [EUR/kWh], (period,)."""
        try:
            return self._answered(request, reference)
        except ProgramError as reason:
            if self._by_program is None:
                self._by_program = ProgramChild(self.whole(), self.pool.hours)
            return replace(self._by_program.answer(request, reference), engine=f"program ({reason})")

    def _answered(self, request: Request, reference: np.ndarray) -> Reply:
        hours, first = self.pool.hours, self._at_reference(reference)
        values, costs, profiles = [], [], []
        for price in request.prices:
            found = self._best(price, request.tolerance, first)
            cost, profile = found.together()
            values.append(found.bound)
            costs.append(cost - float(hours * price @ profile))
            profiles.append(profile)
        return Reply(request.number, np.array(values), np.array(costs), np.array(profiles), goods=request.goods, engine="batched")

    def _best(self, price: np.ndarray, tolerance: float, first: Search | None) -> Search:
        """What is best at a price, begun with what was best at the reference price."""
        if first is not None and price.tobytes() == self._reference[0]:
            return first
        boundary, known = self.pool.at(price), [] if first is None else first.active_answers
        found = self.pool.search(boundary, price, known)
        gap = float(np.clip(tolerance / self.pool.scale(price), FINEST, COARSEST))
        found.run([] if known else self.pool.first_prices(boundary), gap)
        return found

    def _at_reference(self, price: np.ndarray) -> Search:
        key, first = price.tobytes(), self._reference[1]
        if first is None or self._reference[0] != key:
            self.pool.respondents.begin_at(price)
            first = self._best(price, 0.0, None)
            self._reference = key, first
        return first

    def settle(self, kept: Kept, reference: np.ndarray) -> Settled:
        """The cheapest way to keep an agreed profile, as of ``ProgramChild.settle``; by the program where the batched solution does not prove it."""
        program = self.whole()
        try:
            return self._settled(kept, program, reference)
        except ProgramError as reason:
            return replace(ProgramChild(program, self.pool.hours).settle(kept), engine=f"program ({reason})")

    def _settled(self, kept: Kept, program: ParametricProgram, reference: np.ndarray) -> Settled:
        """Schedules that keep a profile, proven by the row duals that are returned with them.

        Raises:
            ProgramError: the profile cannot be kept, or the cost is not proven.
        """
        from multiscale.markets.batched.as_program import as_program

        pool, profile, price = self.pool, kept.profile, np.asarray(kept.price, dtype=float)
        slack = kept.room + 1e-6 * (1.0 + float(np.abs(profile).max()))
        # What was offered is found again by asking again: the profile is a mix of it.
        first = self._at_reference(reference)
        again = [self._best(asked, 0.0, first) for asked in kept.asked]
        counted = self._best(np.asarray(kept.counted, dtype=float), 0.0, first)
        every = {a.price.tobytes(): a for found in (*again, counted) for a in found.active_answers}
        search, marginal = pool.keep(profile, price, 0.5 * slack, KEPT, list(every.values()))
        found = search.written(pool.ready.batches, 0)
        x, y = as_program(program, self.data.fleet, pool.ready, found.schedules, found.price, search.best(pool.ready.batches))
        exchange = program.outputs["exchange"].matrix
        drawn, cost = exchange @ x, float(program.c0 @ x) + program.d0
        if not np.abs(drawn - profile).max() <= slack:
            raise ProgramError(f"{self.data.fleet.node!r}: its exchange leaves the profile by {np.abs(drawn - profile).max():.3g} kW")
        size = 1.0 + float(np.abs(x).max())
        if not program.violation(x, np.zeros(0)) <= 1e-6 * size:
            raise ProgramError(f"{self.data.fleet.node!r}: a row or bound is violated by {program.violation(x, np.zeros(0)):.3g}")
        missing = cost - _proven(program, exchange, y, pool.hours * (marginal - price - found.price), drawn)
        if not missing <= PROVEN * max(pool.scale(price), abs(cost)):
            raise ProgramError(f"{self.data.fleet.node!r}: the cost of keeping its profile is proven to {missing:.3g} EUR/a only")
        return Settled(cost, drawn, counted.together()[0], x, y, engine="batched")


def _proven(program: ParametricProgram, exchange: sparse.csr_matrix, y: np.ndarray, kept: np.ndarray, drawn: np.ndarray) -> float:
    r"""Lower bound on the cost of what is drawn [kW] \[EUR/a\]; ``kept``: duals of that \[EUR/a per kW\], (period,)."""
    priced = replace(program, c0=program.c0 - exchange.T @ kept)
    return priced.dual_bound(y, np.zeros(0)) + float(kept @ drawn)
