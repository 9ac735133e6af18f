"""The regulatory account of several years: an asset base that is written down year by year, and what is carried forward with interest.

Of every calendar year y, with additions I_v of the years v, age a = y - v, life L, true cost of capital r, and b the share of an addition that
enters the asset base under the regime:

    value of an addition       V_v(a) = I_v (1 - a / L)  for a < L, else 0            (at the beginning of the year, straight line, not indexed)
    asset base                 base_y = existing base + b sum_v V_v(y - v)
    depreciation               D_y = existing depreciation + b sum over v with y - v < L of  I_v / L
    closing asset base         base_y + renewals_y - D_y                              (what is built next year enters next year)
    cost of what is built      c (I_v / L + r V_v) in every year, and (1 - c) I_v in the first,   c: capitalised share
    regulatory account         closing_y = (1 + i) closing_(y-1) + allowed_y - revenue_y

The existing network is renewed as it is written down: its base is level, its renewals are its depreciation (and what it grows by, where its cost
differs between studied years). Allowed revenue, payment and profit are
what the regime makes of these costs. Prices, and the plan, go by even yearly costs (see ``capital``), so where the regime recovers costs, the revenue
is below what is allowed while the assets are new and above it later: the account carries the difference. With i = r, and prices that recover the even
cost of an investment over the same life, it ends at zero when that life ends.

A year that was not studied has the revenue, payment and yardstick of the studied year before it, as the plan counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiscale.planning.regimes.regime import Position

if TYPE_CHECKING:
    from multiscale.planning.regimes.regime import Regime


@dataclass(frozen=True, kw_only=True)
class StudiedYear:
    """What a studied year adds and earns, all operators together.

    Attributes:
        year: which one.
        length: years that it stands for, itself included.
        added: invested in what is new in this year [EUR].
        useful: share of what is built that may enter the asset base, by annuities [1].
        existing_cost: yearly cost of the existing network [EUR/a].
        revenue: what the operators' components of the tariff earn [EUR/a].
        paid: incentives received less penalties paid [EUR/a].
        bought: what they pay for flexibility [EUR/a].
        yardstick: see ``Position`` [EUR/a].
        discount_rate: true cost of capital [1/a].
    """

    year: int
    length: int
    added: float
    existing_cost: float
    revenue: float
    paid: float
    useful: float = 1.0
    bought: float = 0.0
    yardstick: float = float("nan")
    discount_rate: float = 0.05


@dataclass(frozen=True, kw_only=True)
class YearlyAccount:
    """One calendar year of the regulatory account [EUR, or EUR in the year].

    Attributes:
        year, studied: calendar year, and the studied year whose revenue it has.
        base, renewals, depreciation, closing_base: asset base at the beginning, and what changes it.
        additions: what of this year's additions is in the asset base at the beginning.
        operating_cost: cost that is neither depreciation nor return.
        cost_of_capital: asset base at the true cost of capital.
        allowed: allowed revenue; NaN where the regime sets no limit.
        revenue, payment, profit: see ``Account``.
        opening_balance, interest, balance, closing_balance: of the regulatory account: balance is allowed less collected revenue of the year, zero
            under a regime in which the operator keeps what it collects.
    """

    year: int
    studied: int
    base: float
    additions: float
    renewals: float
    depreciation: float
    closing_base: float
    operating_cost: float
    cost_of_capital: float
    allowed: float
    revenue: float
    payment: float
    profit: float
    opening_balance: float
    interest: float
    balance: float
    closing_balance: float

    @property
    def residual(self) -> float:
        """What does not close: revenue, balance and payment less costs and profit [EUR]."""
        return self.revenue + self.balance + self.payment - self.operating_cost - self.depreciation - self.cost_of_capital - self.profit


def yearly_accounts(regime: Regime, studied: Sequence[StudiedYear]) -> list[YearlyAccount]:
    """The account of every calendar year, in their order.

    Args:
        regime: rules.
        studied: in the order of the years, each following on the one before it.

    Raises:
        ValueError: a year does not begin where the one before it ends.
    """
    found: list[YearlyAccount] = []
    vintages: list[tuple[int, float]] = []
    closing = 0.0
    for one, following in zip(studied, [*studied[1:], studied[-1]] if studied else [], strict=True):
        if found and one.year != found[-1].year + 1:
            raise ValueError(f"year {one.year} of the regulatory account does not follow on {found[-1].year}; years have to rise without a gap")
        if one.added:
            vintages.append((one.year, one.added))
        for year in range(one.year, one.year + one.length):
            after = following if year == one.year + one.length - 1 else one
            found.append(_account(regime, one, vintages, year, closing, _lasting_base(regime, after)))
            closing = found[-1].closing_balance
    return found


def _account(regime: Regime, one: StudiedYear, vintages: Sequence[tuple[int, float]], year: int, before: float, after: float) -> YearlyAccount:
    """The account of a calendar year; ``before``: what was carried forward, ``after``: asset base of the existing network in the next year [EUR]."""
    rate, life, share = one.discount_rate, regime.regulatory_life, regime.capitalised_share
    even = regime.capital(_position(one, 0.0, 0.0))
    worth = [amount * max(0.0, 1.0 - (year - built) / life) for built, amount in vintages]
    written = [amount / life if year - built < life else 0.0 for built, amount in vintages]
    new = sum(amount for built, amount in vintages if built == year)
    cost = share * (sum(written) + rate * sum(worth)) + (1.0 - share) * new
    position = _position(one, cost, sum(worth) / even.base)
    # A regime's asset base is linear in what is built: what no addition changes, and how much of one enters.
    lasting = _lasting_base(regime, one)
    entering = (float(regime.asset_base(_position(one, 0.0, 1.0))) - lasting) / even.base
    base, renewed = float(regime.asset_base(position)), lasting * even.depreciation / even.base
    depreciation, renewals = renewed + entering * sum(written), renewed + after - lasting
    allowed = regime.allowed_revenue(position)
    balance = float(allowed - one.revenue) if regime.recovers_cost and allowed is not None else 0.0
    interest = (rate if regime.account_interest is None else regime.account_interest) * before
    return YearlyAccount(
        year=year,
        studied=one.year,
        base=base,
        additions=entering * new,
        renewals=renewals,
        depreciation=depreciation,
        closing_base=base + renewals - depreciation,
        operating_cost=float(position.cost) - depreciation - rate * base,
        cost_of_capital=rate * base,
        allowed=float("nan") if allowed is None else float(allowed),
        revenue=one.revenue,
        payment=one.paid,
        profit=float(regime.profit(position)),
        opening_balance=before,
        interest=interest,
        balance=balance,
        closing_balance=before + interest + balance,
    )


def _lasting_base(regime: Regime, one: StudiedYear) -> float:
    """The asset base that no addition changes [EUR]."""
    return float(regime.asset_base(_position(one, 0.0, 0.0)))


def _position(one: StudiedYear, cost: float, in_base: float) -> Position:
    """The position of a year: cost of what is built, and the even yearly cost that has the same asset base."""
    return Position(
        existing_cost=one.existing_cost,
        investment=cost,
        in_base=in_base,
        revenue=one.revenue,
        bought=one.bought,
        useful=lambda _: one.useful * in_base,
        paid=one.paid,
        yardstick=one.yardstick,
        discount_rate=one.discount_rate,
    )
