"""Published prices with an envelope: limits of every platform's exchange that keep the network whole whatever the forecast misses.

A price published once cannot follow: where the forecast is too low and a line becomes full, nothing holds the platforms back, and what
the network cannot carry is cut off at the value of lost load, a hundred times what moving it would have cost. What does not depend on the
forecast are the ratings. So the parent shares them out (``sharing``): with all net loads ``coverage`` standard deviations above the
forecast it dispatches once and widens every platform's limit from its exchange there, first towards the plan of the forecast, then towards
the most it can ever draw; and the same below the forecast for what is fed in. Where no line is near its rating there is no limit.

**Limits that follow what the platform sees.** Most of a forecast's error is common to all nodes, so a platform whose own demand turns out
lower than was forecast knows that the others' is lower too, probably. With z the coverage, rho = ``ErrorModel.common`` the correlation of
two nodes' errors and e the own error (forecast / actual = 1 + size e), the passive net load is guarded against down to the error

    g(e) = max(rho e - z sqrt(1 - rho^2), -z)              the first of which, given e, it stays above with probability Phi(z)

and the limit at own demand forecast / (1 + size e) is

    max(most + headroom clip((e - begins) / (z - begins), 0, 1), 0)

``most`` is shared out at passive net load -z, ``headroom`` beyond it at g(z); ``begins`` is where the network carries ``most`` with no customer cut
off. So is the limit of feed-in by the platform's own photovoltaics.

Proven, and tested: if platforms see the same e >= ``begins``, no limit is cut at zero and the passive net load's error is not below g(e), the
DSO cuts off no customer whatever they do within their limits (actual = forecast / (1 + size g) is convex in e, limits are linear in it). If
they see different e, any weighted mean of these predicts the passive net load at least as well as one of them (error variance 1 - rho^2
at most), so on the straight part of the rule the guard holds for every line with the same probability.

Not proven, only measured: the kink (the mean of a kinked rule is above the rule of the mean); net loads so high that they could not be
served anyway; and hours in which the worst dispatch lets some platforms feed in for the others, since none can be obliged to.

A platform's limits are never below ``most``, which leaves it all it needs as long as its own net load stays within the coverage.

**Prices.** Limits hold the network, so the price need not: congestion is priced at what limits do not hold, net loads beyond the coverage,
at their expected cost,

    price = lambda_dso + clip(lambda_c - lambda_dso, -beyond, beyond),        beyond = value of lost load * P(error > coverage)

with half a small gap above for import and below for export, together with the plan of the forecast and a small price on leaving it: these break
ties between equally cheap schedules, which make platforms herd. Under certainty all is ``profile``: nodal prices, no gap, the plan as limit
where a line is full.

The coverage is about the newsvendor's: holding a kWh back costs 4 to 5 ct (wear, losses, fees), cutting it off the value of lost load of
5 EUR; so as much is held back as leaves some 0.8 to 1 % of cases, z = 2.4 to 2.33.

Sources: limits shared out beforehand (dynamic operating envelopes): Petrou et al., IEEE Trans. Smart Grid 12 (2021) 4999-5011; decisions
affine in what is observed later: Ben-Tal, Goryashko, Guslitzer and Nemirovski, Math. Program. 99 (2004) 351-376.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.common.answer import own_measures
from multiscale.coordination.common.forecast import CUT_OFF, ErrorModel, scaled_fleet, scaled_tree
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.common.messages import Headroom, Signal
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.publication.sharing import ROUNDING_KW, NetworkHeadroom
from multiscale.operation import OperatingTree
from multiscale.operation.tree import BEYOND, connection_limits, exchange_bounds

FARTHEST = 0.8
"""Largest error guarded against, as a share of the forecast: net loads up to five times it."""
HALVINGS = 6
"""Steps in the search for the own error at which headroom begins: to a sixty-fourth of the coverage, on the safe side."""
SERVED_KW = 0.1
"""As much cut off is rounding."""


@dataclass(frozen=True)
class Envelope:
    """What a parent knows when it publishes prices with an envelope.

    Attributes:
        forecast: optimum of the forecast.
        coverage: standard deviations guarded against [1].
        most, least: platform -> largest import and largest export [kW], (period,), whatever it sees; ``BEYOND`` where none is needed.
        import_headroom, export_headroom: platform -> by how much they grow with what it sees.
    """

    forecast: Outcome
    coverage: float
    most: Mapping[str, np.ndarray]
    least: Mapping[str, np.ndarray]
    import_headroom: Mapping[str, Headroom]
    export_headroom: Mapping[str, Headroom]


@dataclass(frozen=True)
class Guard:
    """Errors guarded against: their model, and how many standard deviations (``coverage``); see the head of this file."""

    model: ErrorModel
    coverage: float

    @property
    def margin(self) -> float:
        """Standard deviations that are really covered: errors are cut off, and a forecast can hardly be five times too low."""
        return min(self.coverage, CUT_OFF, FARTHEST / self.model.size if self.model.size > 0 else CUT_OFF)

    def passive(self, own: np.ndarray) -> np.ndarray:
        """g(e): error of the passive net load guarded against [1] where platforms see the error ``own`` [1]."""
        rho = self.model.common
        return np.clip(rho * own - self.margin * math.sqrt(1.0 - rho**2), -self.margin, self.margin)

    @property
    def kink(self) -> float:
        """Own error up to which the passive net load is guarded against in full."""
        rho = self.model.common
        return float(np.clip(-self.margin * (1.0 - math.sqrt(1.0 - rho**2)) / max(rho, 1e-9), -self.margin, self.margin))

    def actual(self, error: np.ndarray | float) -> np.ndarray:
        """What happens, as a share of its forecast [1]."""
        return np.asarray(1.0 / (1.0 + self.model.size * np.asarray(error)))


def envelope(forecast: OperatingTree, optimum: Outcome, error: ErrorModel, coverage: float) -> Envelope:
    """Share the networks out for net loads so many standard deviations above and below a forecast with its optimum."""
    guard = Guard(error, coverage)
    shares = [_Side(forecast, optimum, guard, sign).shared_out() for sign in (1.0, -1.0)]
    return Envelope(optimum, guard.margin, shares[0][0], shares[1][0], shares[0][1], shares[1][1])


class _Side:
    """One direction of the envelope: ``sign`` 1 limits what is drawn, and follows demand; -1 what is fed in, and follows photovoltaics."""

    def __init__(self, forecast: OperatingTree, optimum: Outcome, guard: Guard, sign: float) -> None:
        self.forecast, self.optimum, self.guard, self.sign = forecast, optimum, guard, sign
        periods = forecast.horizon.periods
        self.top = np.full(periods, guard.margin)
        self.highest = guard.actual(-self.top)

    def shared_out(self) -> tuple[dict[str, np.ndarray], dict[str, Headroom]]:
        """Limits [kW] and their headroom, by platform."""
        forecast, sign, guard = self.forecast, self.sign, self.guard
        worst, best = self._tree(-self.top), self._tree(guard.passive(self.top))
        dispatched = integrated_optimum(worst)
        limits: dict[str, np.ndarray] = {}
        headrooms: dict[str, Headroom] = {}
        fed = [d for d, own in forecast.distribution.items() if own.children]
        base = {d: self._widened(NetworkHeadroom(worst, d), d, self._asked(worst, dispatched, d)) for d in fed}
        limited = {d: np.abs(self._farthest(d) - base[d]) > ROUNDING_KW for d in fed}
        limited_somewhere = {d: base[d] for d in fed if limited[d].any()}
        begins = self._begins(limited_somewhere, {d: NetworkHeadroom(best, d) for d in limited_somewhere})
        for dso in fed:
            wider = self._widened(NetworkHeadroom(best, dso), dso, base[dso]) if dso in begins else base[dso]
            error = begins.get(dso, self.top)
            for k, c in enumerate(forecast.distribution[dso].children):
                limits[c] = np.where(limited[dso][k], sign * base[dso][k], BEYOND)
                opens = limited[dso][k] & (error < self.top)
                own = own_measures(forecast.fleets[c])[0 if sign > 0 else 1]
                headrooms[c] = Headroom(np.where(opens, sign * (wider - base[dso])[k], 0.0), own * guard.actual(error), own * guard.actual(self.top))
        return limits, headrooms

    def _tree(self, passive: np.ndarray) -> OperatingTree:
        """Forecast with platforms' net loads at the worst, and passive ones at this error [1], (period,)."""
        forecast = self.forecast
        less = self.guard.actual(self.top)
        follows = dict.fromkeys(forecast.platforms, self.highest) | dict.fromkeys(forecast.distribution, self.guard.actual(passive))
        against = dict.fromkeys(follows, less)
        demand, generation = (follows, against) if self.sign > 0 else (against, follows)
        tree = scaled_tree(forecast, demand, generation)
        tree.transmission.learn(forecast.transmission)
        return tree

    def _asked(self, tree: OperatingTree, dispatched: Outcome, dso: str) -> np.ndarray:
        """Exchanges in the worst dispatch [kW], (platform, period)."""
        children = tree.distribution[dso].children
        asked = np.array([dispatched.exchange[c] for c in children])
        if self.sign > 0:
            # Whom the dispatch cuts off inside a platform may still ask: perhaps the net load is not that high, and there is headroom.
            asked += np.array([tree.platforms[c].columns.array("unserved", dispatched.platform_x[c]).values.sum(axis=0) for c in children])
        return asked

    def _farthest(self, dso: str) -> np.ndarray:
        """What platforms can exchange at most in this direction [kW], (platform, period), with net loads at the worst."""
        scaled = (self.highest, 1.0) if self.sign > 0 else (1.0, self.highest)
        bounds = [exchange_bounds(scaled_fleet(self.forecast.fleets[c], *scaled)) for c in self.forecast.distribution[dso].children]
        return np.array([b[1] if self.sign > 0 else b[0] for b in bounds])

    def _widened(self, headroom: NetworkHeadroom, dso: str, exchange: np.ndarray) -> np.ndarray:
        """Limits towards the plan, and on towards the farthest [kW], (platform, period)."""
        plan = np.array([self.optimum.exchange[c] for c in self.forecast.distribution[dso].children])
        outer = np.maximum if self.sign > 0 else np.minimum
        nearer = headroom.widened(exchange, outer(exchange, plan))
        return headroom.widened(nearer, outer(nearer, self._farthest(dso)))

    def _begins(self, base: Mapping[str, np.ndarray], best: Mapping[str, NetworkHeadroom]) -> dict[str, np.ndarray]:
        """Own error from which on the network carries ``base`` with no customer cut off [1], (period,), by DSO; the top where it never does."""
        never = {d: headroom.relief(base[d]) > SERVED_KW for d, headroom in best.items()}
        kink = np.full_like(self.top, self.guard.kink)
        low = {d: np.where(no, self.top, kink) for d, no in never.items()}
        high = {d: self.top.copy() for d in base}
        if base:
            at_kink = self._tree(self.guard.passive(kink))
            high = {d: np.where(NetworkHeadroom(at_kink, d).relief(base[d]) <= SERVED_KW, low[d], high[d]) for d in base}
        for _ in range(HALVINGS):
            if all((high[d] <= low[d]).all() for d in base):
                break
            for d in base:
                middle = (low[d] + high[d]) / 2.0
                served = NetworkHeadroom(self._tree(self.guard.passive(middle)), d).relief(base[d]) <= SERVED_KW
                low[d], high[d] = np.where(served, low[d], middle), np.where(served, middle, high[d])
        return high


def envelope_signals(tree: OperatingTree, known: Envelope, gap: float, deviation_price: float) -> dict[str, Signal]:
    """Prices, gap, plan and limits for every platform.

    Args:
        tree: programs of all nodes.
        known: see ``Envelope``.
        gap: import price less export price [EUR/kWh].
        deviation_price: of leaving the planned exchange [EUR/kWh].
    """
    beyond = tree.economics.value_of_lost_load * 0.5 * math.erfc(known.coverage / math.sqrt(2.0))
    signals = {}
    for dso, own in tree.distribution.items():
        limits = connection_limits(tree, dso)
        energy = known.forecast.energy_price[dso]
        for child in own.children:
            price = energy + np.clip(known.forecast.platform_price[child] - energy, -beyond, beyond)
            (most, import_headroom), (least, export_headroom) = (
                _within(connection, limit[child], headroom[child])
                for connection, limit, headroom in zip(
                    limits[child], (known.most, known.least), (known.import_headroom, known.export_headroom), strict=True
                )
            )
            plan = known.forecast.exchange[child]
            signals[child] = Signal(
                price + gap / 2, price - gap / 2, tree.prices(dso), most, least, plan, deviation_price, import_headroom, export_headroom
            )
    return signals


def _within(connection: np.ndarray, limit: np.ndarray, headroom: Headroom) -> tuple[np.ndarray, Headroom | None]:
    """A limit with its headroom, inside what the connection carries [kW], (period,); no headroom where none is left."""
    most = np.minimum(connection, limit)
    if not (headroom.power > ROUNDING_KW).any():
        return np.maximum(most, 0.0), None
    left = np.minimum(headroom.power, connection - most)
    return most, Headroom(left, headroom.begins, headroom.ends)
