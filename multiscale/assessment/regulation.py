"""The regulatory account of all operators together, recomputed from the ledger."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.assessment.accounts import STAKEHOLDERS, Ledger, account
from multiscale.planning import Plan, Regime
from multiscale.planning.regimes import Account, Position, account_of
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
    place, nothing = STAKEHOLDERS.index(OPERATORS), np.zeros(len(STAKEHOLDERS))

    def received(flow: str) -> float:
        return float(ledger.money.get(flow, nothing)[place])

    earning = [name for name, component in economics.tariff.components.items() if component.receiver == OPERATORS]
    existing, built = -received("existing network"), -received("investment")
    position = Position(
        existing_cost=existing,
        investment=built,
        revenue=sum(received(account(name)) for name in earning),
        useful=lambda _: sum(plan.useful_annuity for plan in plans.values()),
        paid=received(INCENTIVES),
        yardstick=sum(plan.yardstick for plan in plans.values()),
        discount_rate=economics.discount_rate,
    )
    return account_of(regime, position)
