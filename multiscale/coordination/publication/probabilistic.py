"""Probabilistic dispatch of a radial feeder, and the import prices, export prices and trading fees that follow from it.

For every scenario s of the net load ``d_s`` [kW] (bus) of an hour, the operator finds the least cost of making the flows fit,

    K(d) = min c'x    s.t.  M (d - S x) <= b,   0 <= x <= relief       dual mu >= 0,   congestion price kappa = M' mu in dK(d)

with LinDistFlow limits ``M d <= b`` (ratings both ways, voltage band both ways) and relief x: flexibility that is offered, and as the last
resort cutting off demand and generation. A unit of relief that takes demand off also saves buying it upstream, one that takes generation
off must be replaced from there, so c is the bid less the upstream export price or plus the upstream import price. K is convex, K >= 0.

**The rule.** With the forecast ``m = E d_s``, errors ``e_s = d_s - m``, upstream prices ``u+ >= u-``, and averages over the scenarios:

    import price_n = u+ + k_n + a_n + g                      k_n = E kappa_n,s                      expected congestion
    export price_n = u- + k_n - a_n - g                      a_n = u+ sum over the path of w_l      losses of the forecast
    fee(m -> n)    = k_n - k_m + u+ (w over the path m-n)    w_l = L_l(m) / sum of |m| below l
    g = (E kappa_s'e_s + u+ sum_l r_l Var P_l / (1000 V^2) + K(0) + losses no flow pays for) / sum_n E|d_n,s|

What holds by construction:

- *Export price <= import price*: u- <= u+, a >= 0, and g >= 0, since a subgradient is monotone: E kappa_s'e_s = E (kappa(m + e) - kappa(m))'e >= 0.
- *Certainty*: e = 0 gives g = 0, so the gap is the upstream spread plus 2 a_n, the losses. Congestion moves both prices alike.
- *Fees*: fee(m -> n) + fee(n -> m) = 2 u+ w(m, n) >= 0, the losses between the two: antisymmetric up to losses.
- *Expected surplus of the operator >= 0*: by convexity kappa_s'd_s >= K(d_s) - K(0), so E k'd = E kappa_s'd_s - E kappa_s'e_s >= E K - K(0)
  - E kappa_s'e_s; what customers pay upstream prices for covers the purchase (u+ d+ - u- d- is subadditive); a_n pays the losses of the
  forecast since E|d| >= |m|; g pays what is left: covariance of price and load, and losses of the variance.
- *The gap grows with the variance*: for d = m + size e with errors symmetric about zero (pairs e, -e), (E kappa'e)/size and the variance over size
  do not decrease with size (monotone operator along a ray; K(0) = 0 wherever nothing drawn is feasible), and E|m + size e| / size does not increase
  (even and convex in 1/size), so their ratio g does not decrease. a_n does not depend on it.
- *No customer is worse off than at the published prices*: trade is voluntary. Buyer and seller can always deal with the operator instead, and
  import price_n - export price_m - fee(m -> n) = u+ - u- + a_n + a_m - u+ w(m, n) + 2 g >= 0, since the path m-n lies within the paths of both:
  what a trade can be worth is never negative.

Prices alone leave extremes to the last resort. With them goes an **envelope**, limits of import and export per bus and hour, for the buses
that count in a limit that is exceeded in some scenario: on the way from the relieved forecast, which fits, to the extremes of the
scenarios, the farthest point at which no more than ``risk`` of the scenarios exceed a limit.

The idea of a gap and a fee from a probabilistic dispatch: Morstyn, Teytelboym, Hepburn and McCulloch, IEEE Trans. Smart Grid 11 (2020) 3095-3106.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.coordination.publication.relief import NO_RELIEF, ROUNDING_KW, Relief, ReliefOfHour, feeder_limits, with_last_resort
from multiscale.operation.radial import RadialTree


@dataclass(frozen=True)
class ProbabilisticPrices:
    """What an operator publishes for a day; powers in kW, prices in EUR/kWh.

    Attributes:
        import_price, export_price: (bus, period).
        congestion: expected congestion price k, (bus, period).
        loss_price: losses of the forecast a, (bus, period).
        uncertainty: half-gap g, (period,).
        loss_of_trade: losses priced between two buses [EUR/kWh], (bus, bus, period) summed over the path.
        import_limit, export_limit: envelope [kW], (bus, period); infinite where nothing is limited.
        relief_cost: cost of relief in every scenario, purchases saved included, K [EUR/h], (scenario, period).
        surplus: revenue less purchases, losses and relief in every scenario [EUR/h], (scenario, period).
        limited: names of the limits that were reached in a scenario.
    """

    import_price: np.ndarray
    export_price: np.ndarray
    congestion: np.ndarray
    loss_price: np.ndarray
    uncertainty: np.ndarray
    loss_of_trade: np.ndarray
    import_limit: np.ndarray
    export_limit: np.ndarray
    relief_cost: np.ndarray
    surplus: np.ndarray
    limited: tuple[str, ...]

    def fees(self, period: int) -> np.ndarray:
        """Fee [EUR/kWh] on a trade from a seller (row) to a buyer (column) in a period; negative where the trade relieves congestion."""
        k = self.congestion[:, period]
        return k[None, :] - k[:, None] + self.loss_of_trade[..., period]


def probabilistic_prices(
    tree: RadialTree,
    scenarios: np.ndarray,
    reactive: np.ndarray,
    upstream_import: np.ndarray,
    upstream_export: np.ndarray,
    *,
    value_of_lost_load: float,
    curtailment_cost: float,
    relief: Relief = NO_RELIEF,
    risk: float = 0.002,
) -> ProbabilisticPrices:
    """Dispatch every scenario of every period and publish prices, fees and the envelope by the rule above.

    Args:
        tree: the feeder.
        scenarios: net load [kW], (scenario, bus, period), equally likely; in pairs about their mean where the gap is to grow with the variance.
        reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
        upstream_import, upstream_export: prices at the root [EUR/kWh], (period,).
        value_of_lost_load, curtailment_cost: of the last resort, at every bus without limit [EUR/kWh].
        relief: flexibility offered in every period.
        risk: share of the scenarios of a period in which a limit may be exceeded within the envelope [1].

    Raises:
        ValueError: shapes that do not fit, an upstream price that is not finite, an export price above the import price, a value of lost load below
            the upstream price.
    """
    count, buses, periods = scenarios.shape
    if buses != len(tree.buses) or reactive.shape != (buses, periods):
        raise ValueError(f"scenarios are of {buses} buses and reactive power of {reactive.shape}, the feeder has {len(tree.buses)} buses")
    for what, price in (("import", upstream_import), ("export", upstream_export)):
        if not np.isfinite(price).all():
            t = int(np.flatnonzero(~np.isfinite(price))[0])
            raise ValueError(f"upstream {what} price {price[t]:g} EUR/kWh in period {t} is not a finite number")
    crossed = np.flatnonzero(upstream_export > upstream_import + 1e-12)
    if len(crossed):
        t = int(crossed[0])
        raise ValueError(f"upstream export price {upstream_export[t]:g} is above the import price {upstream_import[t]:g} EUR/kWh in period {t}")
    if value_of_lost_load < upstream_export.max(initial=0.0):
        raise ValueError(f"value of lost load {value_of_lost_load:g} EUR/kWh is below the upstream price {upstream_export.max():g}; raise it")
    limits = feeder_limits(tree, reactive)
    steps = with_last_resort(relief, buses, value_of_lost_load, curtailment_cost)
    shape = (count, buses, periods)
    kappa, cost, raw, taken = np.zeros(shape), np.zeros((count, periods)), np.zeros((count, periods)), np.zeros((count, periods))
    at_zero = np.zeros(periods)
    most, least = np.full((buses, periods), np.inf), np.full((buses, periods), -np.inf)
    reached: set[int] = set()
    for t in range(periods):
        price = np.maximum(np.where(steps.direction > 0, steps.cost - upstream_export[t], steps.cost + upstream_import[t]), 0.0)
        hour = ReliefOfHour(limits.matrix, limits.bound[:, t], steps, price)
        for s in hour.exceeding(scenarios[:, :, t]):
            cost[s, t], kappa[s, :, t], x = hour.relieve(scenarios[s, :, t])
            raw[s, t], taken[s, t] = steps.cost @ x, steps.direction @ x
        if (limits.bound[:, t] < -ROUNDING_KW).any():
            at_zero[t] = hour.relieve(np.zeros(buses))[0]
        most[:, t], least[:, t] = _envelope(hour, scenarios[:, :, t], risk)
        reached.update(hour.monitored)

    mean = scenarios.mean(axis=0)
    error = scenarios - mean
    congestion = kappa.mean(axis=0)
    buying = np.maximum(upstream_import, 0.0)
    loss_factor, unpaid = _forecast_losses(tree, mean, reactive)
    by_branch = tree.below(np.eye(buses))
    loss_price = buying * (by_branch.T @ loss_factor)
    per_kw2 = tree.resistance / (1000.0 * tree.vn_kv**2)
    flows = np.tensordot(scenarios, by_branch, axes=(1, 1)).transpose(0, 2, 1)
    flows[:, 0] = 0.0
    losses = (per_kw2[None, :, None] * (flows**2 + tree.below(reactive)[None] ** 2))[:, 1:].sum(axis=1)
    varied = (per_kw2[:, None] * flows.var(axis=0))[1:].sum(axis=0)
    volume = np.abs(scenarios).mean(axis=0).sum(axis=0)
    covariance = np.maximum((kappa * error).mean(axis=0).sum(axis=0), 0.0)  # below zero by rounding only
    to_recover = covariance + buying * (varied + unpaid) + at_zero
    uncertainty = np.divide(to_recover, volume, out=np.zeros(periods), where=volume > 0)
    import_price = upstream_import + congestion + loss_price + uncertainty
    export_price = upstream_export + congestion - loss_price - uncertainty
    drawn = np.maximum(scenarios, 0.0)
    fed = drawn - scenarios
    revenue = (import_price * drawn - export_price * fed).sum(axis=1)
    net = scenarios.sum(axis=1) - taken
    purchase = np.where(net > 0, upstream_import, upstream_export) * net + buying * losses
    between = np.einsum("lt,lmn->mnt", loss_factor[1:], np.abs(by_branch[1:, :, None] - by_branch[1:, None, :]), optimize=True)
    return ProbabilisticPrices(
        import_price,
        export_price,
        congestion,
        loss_price,
        uncertainty,
        buying * between,
        most,
        -least,
        cost,
        revenue - purchase - raw,
        tuple(limits.name[sorted(reached)].tolist()),
    )


def violated_share(tree: RadialTree, scenarios: np.ndarray, reactive: np.ndarray, prices: ProbabilisticPrices) -> np.ndarray:
    """Share of the scenarios of every period [1] in which a limit is exceeded when every bus keeps to the envelope, (period,)."""
    limits = feeder_limits(tree, reactive)
    inside = np.clip(scenarios, -prices.export_limit, prices.import_limit)
    return np.array([(limits.matrix @ inside[:, :, t].T > limits.bound[:, [t]] + ROUNDING_KW).any(axis=0).mean() for t in range(scenarios.shape[2])])


def _envelope(hour: ReliefOfHour, net: np.ndarray, risk: float) -> tuple[np.ndarray, np.ndarray]:
    """Largest and smallest net load [kW] of every bus, (bus,), under which at most ``risk`` of the scenarios exceed a limit."""
    buses = net.shape[1]
    free = np.full(buses, np.inf), np.full(buses, -np.inf)
    over = hour.matrix @ net.T > hour.bound[:, None] + ROUNDING_KW
    if over.any(axis=0).mean() <= risk:
        return free
    mean = net.mean(axis=0)
    # Here the last resort cuts no customer off by more than what it draws or feeds in.
    most_off = np.maximum(hour.steps.direction * mean[hour.steps.bus], 0.0)
    amount = np.where(np.isfinite(hour.steps.amount), hour.steps.amount, most_off)
    kept = mean.copy()
    own = ReliefOfHour(
        hour.matrix, hour.bound, Relief(hour.steps.bus, hour.steps.direction, amount, hour.steps.cost), hour.price, list(hour.monitored)
    )
    np.subtract.at(kept, hour.steps.bus, hour.steps.direction * own.relieve(mean)[2])
    rows = hour.matrix[over.any(axis=1)]
    raised, lowered = (rows > 0).any(axis=0), (rows < 0).any(axis=0)

    def limited(share: float, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        most = kept + share * np.maximum(net.max(axis=0) - kept, 0.0)
        least = kept - share * np.maximum(kept - net.min(axis=0), 0.0)
        return np.where(above, most, np.inf), np.where(below, least, -np.inf)

    def exceeded(bounds: tuple[np.ndarray, np.ndarray]) -> float:
        inside = np.clip(net, bounds[1], bounds[0])
        return float((hour.matrix @ inside.T > hour.bound[:, None] + ROUNDING_KW).any(axis=0).mean())

    if exceeded(limited(0.0, raised, lowered)) > risk:
        raised = lowered = np.ones(buses, dtype=bool)
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if exceeded(limited(middle, raised, lowered)) <= risk else (low, middle)
    return limited(low, raised, lowered)


def _forecast_losses(tree: RadialTree, mean: np.ndarray, reactive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses of the forecast per kW that is drawn or fed in below each branch [1], (branch, period), and losses where nothing is [kW], (period,)."""
    per_kw2 = tree.resistance / (1000.0 * tree.vn_kv**2)
    losses = per_kw2[:, None] * (tree.below(mean) ** 2 + tree.below(reactive) ** 2)
    losses[0] = 0.0
    through = tree.below(np.abs(mean))
    paid = through > 1e-9
    return np.divide(losses, through, out=np.zeros_like(losses), where=paid), np.where(paid, 0.0, losses).sum(axis=0)
