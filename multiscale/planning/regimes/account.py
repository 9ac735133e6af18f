"""The regulatory account of a year: what the operator was allowed, what it earned, and what it is left with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiscale.planning.regimes.regime import Position, Regime


@dataclass(frozen=True)
class Account:
    """The regulatory account of an operator over a year [EUR/a].

        revenue + balance + payment  =  operating cost + depreciation + cost of capital + profit

    Attributes:
        revenue: what its components of the tariff earn.
        allowed: revenue that the regime allows; NaN where it sets no limit.
        payment: incentives received less penalties paid, in addition to the revenue.
        operating_cost: cost that does not enter the asset base.
        depreciation: of the asset base.
        asset_base: value on which a return is earned [EUR].
        cost_of_capital: asset base at the true cost of capital.
        balance: allowed less collected revenue, which is carried forward; zero under a regime in which the operator keeps what it collects.
        profit: what is left after all costs, that of capital included.
        rate: true cost of capital [1/a].
        bought: what of the operating cost is paid for flexibility.
    """

    revenue: float
    allowed: float
    payment: float
    operating_cost: float
    depreciation: float
    asset_base: float
    cost_of_capital: float
    balance: float
    profit: float
    rate: float
    bought: float = 0.0

    @property
    def return_on_asset_base(self) -> float:
        """Cost of capital and profit, relative to the asset base [1/a]; NaN without assets."""
        return self.rate + self.profit / self.asset_base if self.asset_base > 0 else float("nan")

    @property
    def residual(self) -> float:
        """What the account does not close by [EUR/a]: zero up to rounding."""
        spent = self.operating_cost + self.depreciation + self.cost_of_capital
        return self.revenue + self.balance + self.payment - spent - self.profit

    def __add__(self, other: Account) -> Account:
        """The account of two operators together."""
        mine, theirs = asdict(self), asdict(other)
        return Account(**{name: mine[name] + theirs[name] for name in mine if name != "rate"}, rate=self.rate)


def account_of(regime: Regime, position: Position) -> Account:
    """The account of a year out of numbers: those of a plan, or of the ledger.

    Args:
        regime: rules.
        position: its entries as numbers.
    """
    capital, base = regime.capital(position), float(regime.asset_base(position))
    depreciation = capital.depreciation / capital.base * base
    allowed = regime.allowed_revenue(position)
    return Account(
        revenue=float(position.revenue),
        allowed=float("nan") if allowed is None else float(allowed),
        payment=float(regime.payment(position) if position.paid is None else position.paid),
        operating_cost=float(position.cost) - base / capital.base,
        depreciation=depreciation,
        asset_base=base,
        cost_of_capital=position.discount_rate * base,
        balance=float(allowed - position.revenue) if regime.recovers_cost else 0.0,
        profit=float(regime.profit(position)),
        rate=position.discount_rate,
        bought=float(position.bought),
    )
