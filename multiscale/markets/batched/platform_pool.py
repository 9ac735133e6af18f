"""A platform as a pool that is asked many times, at other prices or for other profiles at its boundary; what does not change is made once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.markets.batched.fleet_pool import fleet_pool
from multiscale.markets.batched.master import Boundary
from multiscale.markets.batched.platform_terms import platform_terms
from multiscale.markets.batched.pool_clearing import checked, first_prices, grouped, total_demand, within_reach
from multiscale.markets.batched.respondents import Respondents
from multiscale.markets.batched.search import Asked, Search
from multiscale.operation.clearing import Market
from multiscale.programs import ProgramError
from multiscale.system import Economics
from multiscale.tariffs import Prices

FIRST_PENALTY, PENALTIES = 0.4, 5
"""First penalty for leaving a profile [EUR/kWh], and most times that one is tried, each four times the one before."""


class PlatformPool:
    """A platform whose network cannot bind, over one day or a span of days in a row.

    Args:
        fleet, economics, market: as of ``platform_program``.
        prices: of the tariff components that are decided.
        groups: into how many groups all members are put.

    Raises:
        NotCarriedError: the platform is not carried exactly (see ``applies``).
    """

    def __init__(self, fleet: Fleet, economics: Economics, market: Market, prices: Prices, groups: int = 8) -> None:
        zero = np.zeros(fleet.horizon.periods)
        self.terms = platform_terms(fleet, market, economics.tariff, prices, zero, zero)
        self.ready = fleet_pool(fleet, self.terms, economics.value_of_lost_load)
        self.hours = self.ready.pool.hours
        self.respondents = Respondents(self.ready.pool, grouped(self.ready.batches, groups))
        free = Boundary(zero, zero, np.full_like(zero, np.inf), np.full_like(zero, np.inf), zero)
        self._free = within_reach(self.ready.pool, self.ready.batches, free)
        self.demand = total_demand(self.ready.batches, free)

    def at(self, price: np.ndarray) -> Boundary:
        """The boundary where energy costs and earns a price there [EUR/kWh], (period,), and charges are paid in addition."""
        limits = self._free.import_limit, self._free.export_limit
        return checked(Boundary(price + self.terms.taken, price - self.terms.given, *limits, self._free.fixed))

    def keep(self, profile: np.ndarray, price: np.ndarray, slack: float, gap: float, known: Sequence[Asked]) -> tuple[Search, np.ndarray]:
        """The cheapest way to exchange a profile [kW], (period,), to within a slack [kW].

        Leaving it costs a penalty, which is raised until it is kept: with exact penalties prices of the pool stay near those that are known, where
        with prohibitive ones they would first jump to where devices burn energy.

        Args:
            profile: to be exchanged.
            price: of energy at the boundary [EUR/kWh], (period,), near which prices of the pool are looked for.
            slack: by which the exchange may leave the profile.
            gap: of the cost, relative to what all demand costs.
            known: what the groups have answered before.

        Returns:
            The search, and what exchanging a little more costs at the boundary, charges included [EUR/kWh], (period,).

        Raises:
            ProgramError: it cannot be kept, or the gap was not reached.
        """
        marginal = price + np.where(profile > 0, self.terms.taken, np.where(profile < 0, -self.terms.given, 0.0))
        limits = self._free.import_limit + np.abs(profile), self._free.export_limit + np.abs(profile)
        penalty = FIRST_PENALTY
        for _ in range(PENALTIES):
            # Prices stay around those that prove most about the profile so far.
            centre = max((a.least - float(self.hours @ (a.price * profile)), k) for k, a in enumerate(known))[1] if known else None
            middle = marginal if centre is None else known[centre].price
            # None below zero pays, as generation may be curtailed, unless the profile says so.
            lower = np.maximum(middle - penalty, np.minimum(middle, 0.0) - 0.1 * penalty)
            search = self.search(Boundary(middle + penalty, lower, *limits, -profile), price, known)
            search.run([] if known else [marginal], gap, slack)
            if search.leaves <= slack:
                return search, marginal
            known, penalty = search.asked, 4.0 * penalty
        raise ProgramError(f"pool: the profile is left by {search.leaves:.3g} kW at a penalty of {penalty:.3g} EUR/kWh; use the ordinary program")

    def first_prices(self, boundary: Boundary) -> list[np.ndarray]:
        """Prices of the pool [EUR/kWh] to begin with."""
        return first_prices(self.ready.pool, boundary)

    def search(self, boundary: Boundary, price: np.ndarray, known: Sequence[Asked] = ()) -> Search:
        """A search whose gaps are relative to what all demand costs at a price [EUR/kWh], (period,), or to the cost, if that is more."""
        return Search(self.ready.pool, boundary, self.respondents, self.scale(price), known)

    def scale(self, price: np.ndarray) -> float:
        r"""What all demand costs at a price of energy at the boundary, charges included \[EUR/a\]."""
        return float(self.hours @ (np.abs(price + self.terms.taken) * self.demand)) + 1e-9
