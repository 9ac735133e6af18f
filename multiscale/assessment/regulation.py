"""The regulatory account of all operators together, recomputed from the ledger."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.assessment.accounts import STAKEHOLDERS, Ledger, account
from multiscale.planning import Plan, Regime
from multiscale.planning.regimes import Account, Position, StudiedYear, YearlyAccount, account_of, yearly_accounts
from multiscale.system import Economics

INCENTIVES = "incentives of the regime"
"""Flow of the ledger: incentives that operators receive in addition to their revenue, less the penalties they pay."""

OPERATORS = "distribution operators"


def book_incentives(ledger: Ledger, paid: float) -> None:
    """Incentives less penalties [EUR/a]: supplier and state pay operators. They are those of the plan; nothing is booked where there are none."""
    if paid:
        ledger.pay("supplier and state", OPERATORS, INCENTIVES, paid)


def operated_account(regime: Regime, ledger: Ledger, plans: Mapping[str, Plan], economics: Economics) -> Account:
    """The account of a year of operation under a plan.

    Args:
        regime: its rules.
        ledger: of the scenario, construction included.
        plans: DSO -> plan.
        economics: tariff and cost of capital.
    """
    position = Position(
        existing_cost=-_received(ledger, "existing network"),
        investment=-_received(ledger, "investment"),
        revenue=_revenue(ledger, economics),
        bought=-_revenue(ledger, economics, expenditure=True),
        useful=lambda _: sum(plan.useful_annuity for plan in plans.values()),
        paid=_received(ledger, INCENTIVES),
        yardstick=sum(plan.yardstick for plan in plans.values()),
        discount_rate=economics.discount_rate,
    )
    return account_of(regime, position)


def operated_years(
    regime: Regime, years: Mapping[int, tuple[Ledger, Mapping[str, Plan]]], lengths: Mapping[int, int], economics: Economics
) -> list[YearlyAccount]:
    """The account of every calendar year of operation under the plans of several years, recomputed from their ledgers.

    Args:
        regime: its rules.
        years: studied year -> ledger of the scenario, and DSO -> plan; years rising.
        lengths: studied year -> years that it stands for.
        economics: tariff and cost of capital.
    """
    studied, before = [], 0.0
    for year, (ledger, plans) in years.items():
        invested, annuities = sum(plan.investment for plan in plans.values()), -_received(ledger, "investment")
        studied.append(
            StudiedYear(
                year=year,
                length=lengths[year],
                added=invested - before,
                useful=sum(plan.useful_annuity for plan in plans.values()) / annuities if annuities > 0 else 1.0,
                existing_cost=-_received(ledger, "existing network"),
                revenue=_revenue(ledger, economics),
                bought=-_revenue(ledger, economics, expenditure=True),
                paid=_received(ledger, INCENTIVES),
                yardstick=sum(plan.yardstick for plan in plans.values()),
                discount_rate=economics.discount_rate,
            )
        )
        before = invested
    return yearly_accounts(regime, studied)


def _received(ledger: Ledger, flow: str) -> float:
    """What a flow pays the operators, less what they pay [EUR/a]."""
    return float(ledger.money.get(flow, np.zeros(len(STAKEHOLDERS)))[STAKEHOLDERS.index(OPERATORS)])


def _revenue(ledger: Ledger, economics: Economics, *, expenditure: bool = False) -> float:
    """What the operators' components of the tariff earn, or those by which they buy something [EUR/a]."""
    return sum(_received(ledger, account(name)) for name, component in economics.tariff.earning.items() if component.expenditure is expenditure)
