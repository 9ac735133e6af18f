"""What is saved, and what only changes hands: the difference of two scenarios' ledgers.

    change of welfare of a stakeholder  =  - change of the real costs it bears  +  sum over flows of the change of what it receives
    sum over stakeholders of every flow =  0,        so together they gain what is saved in real cost, and nothing else

A prosumer that avoids a levy or a charge gains what others lose by it; of what it gains only the real costs saved are a gain to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.assessment.accounts import REAL_COSTS, STAKEHOLDERS, Ledger, account
from multiscale.tariffs import Tariff


@dataclass(frozen=True)
class WelfareChange:
    """Savings and transfers between a scenario and the one it is compared with.

    Attributes:
        saved: real cost saved [EUR/a], (stakeholder, cost); negative where more is spent.
        transfers: flow -> what every stakeholder receives more, or pays less [EUR/a], (stakeholder,).
    """

    saved: np.ndarray
    transfers: Mapping[str, np.ndarray]

    @property
    def saving(self) -> float:
        """Real cost saved in all, which is what everybody gains together [EUR/a]."""
        return float(self.saved.sum())

    @property
    def saved_by_cost(self) -> dict[str, float]:
        """Kind of real cost -> saved by all together [EUR/a]."""
        return dict(zip(REAL_COSTS, self.saved.sum(axis=0).tolist(), strict=True))

    @property
    def net_transfers(self) -> np.ndarray:
        """What every stakeholder gains at the expense of the others [EUR/a], (stakeholder,); it sums to zero."""
        return sum(self.transfers.values(), np.zeros(len(STAKEHOLDERS)))

    @property
    def gain(self) -> np.ndarray:
        """Change of welfare [EUR/a], (stakeholder,)."""
        return self.saved.sum(axis=1) + self.net_transfers

    def under(self, tariff: Tariff) -> np.ndarray:
        """Transfers under the tariff [EUR/a], (stakeholder,): what each payer avoids.

        What platform operators pay to others they pass on to their members in full (see ``bills``), so it counts as paid by prosumers.
        """
        prosumers, operators = STAKEHOLDERS.index("prosumers"), STAKEHOLDERS.index("platform operators")
        total = np.zeros(len(STAKEHOLDERS))
        for name, component in tariff.components.items():
            moved = self.transfers.get(account(name), np.zeros(len(STAKEHOLDERS))).copy()
            if component.receiver != "platform operators":
                moved[prosumers] += moved[operators]
                moved[operators] = 0.0
            total += moved
        return total


def welfare_change(before: Ledger, after: Ledger) -> WelfareChange:
    """Split the difference of two ledgers into real savings and transfers."""
    nothing = np.zeros(len(STAKEHOLDERS))
    flows = dict.fromkeys([*before.money, *after.money])
    return WelfareChange(before.real - after.real, {flow: after.money.get(flow, nothing) - before.money.get(flow, nothing) for flow in flows})
