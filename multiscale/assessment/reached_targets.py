"""What the targets of a plan come to in operation, from the settled days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.assessment.accounts import STAKEHOLDERS
from multiscale.assessment.energy import ENERGY_TERMS
from multiscale.assessment.operated import Operation
from multiscale.planning.follower_names import DRAWN, PASSIVE, RENEWABLE, TAKEN, UNSERVED, energy_value
from multiscale.planning.targets import Reached, Target
from multiscale.planning.targets.bill_cap import BillCap
from multiscale.system import System


@dataclass(frozen=True)
class _Operated:
    """The answer of the platforms of an operator, as operated; NaN where it is not known."""

    system: System
    dso: str
    operation: Operation
    paid: Mapping[str, float]

    def output(self, name: str) -> float:
        platforms, days = self.system.children(self.dso), self.operation.days
        if self.operation.ever_excluded & set(platforms) and name not in (DRAWN, TAKEN):
            return float("nan")
        if name == RENEWABLE:
            used = sum(float(day.energy[p][ENERGY_TERMS.index("photovoltaics")]) for day in days for p in platforms)
            return used + sum(self._of_passive(k) for k in range(len(days)))
        if name in (DRAWN, TAKEN):
            least = 0.0 if name == TAKEN else -np.inf
            return float(sum((np.maximum(day.exchange[self.dso], least) * day.horizon.hours_per_year).sum() for day in days))
        if name == UNSERVED:
            places = [f"{PASSIVE} of {self.dso}", *platforms]
            return float(sum(day.unserved.get(place, 0.0) for day in days for place in places))
        return self._paid(name)

    def _of_passive(self, number: int) -> float:
        """Generation of passive customers that is used on a day [kWh/a]; what is refused at platforms is in their account already."""
        day = self.operation.days[number]
        hours, curtailed = day.horizon.hours_per_year, day.curtailed[self.dso]
        available = self.system.passive(self.dso, day.horizon).generation.values.sum(axis=0)
        used = float(((available - curtailed[self.dso]) * hours).sum())
        for platform in self.system.children(self.dso):
            used += float(day.energy[platform][ENERGY_TERMS.index("curtailed")]) - float((curtailed[platform] * hours).sum())
        return used

    def _paid(self, name: str) -> float:
        """All that a group of customers pays for energy and under the tariff [EUR/a]."""
        days = self.operation.days
        for platform in self.system.children(self.dso):
            if name == energy_value(platform):
                return float(sum(day.bills[platform].sum() for day in days))
        if len(self.system.at_level("dso")) > 1:
            # The ledger books passive customers of all operators together.
            return float("nan")
        place = STAKEHOLDERS.index(PASSIVE)
        return -float(sum(booked[place] for day in days for booked in day.settlement.boundary.money.values()))

    def components(self) -> Sequence[str]:
        """Components whose payments are known; what groups pay under the tariff is in ``output`` already."""
        return list(self.paid)

    def prices(self, component: str) -> Sequence[float]:  # noqa: ARG002
        """Payments stand in ``total``."""
        return [1.0]

    def total(self, component: str) -> Sequence[float]:
        """What members of the platforms pay under a policy mechanism [EUR/a]; below zero where they are paid."""
        return [self.paid[component]]

    def determinant(self, group: str, component: str) -> Sequence[float]:
        raise NotImplementedError(group, component)


def operated_target(target: Target, system: System, dso: str, operation: Operation, paid: Mapping[str, float]) -> Reached:
    """What a target of an operator comes to in operation [unit of the target].

    Of platforms that were excluded from a day what they do is not known: then the value is NaN.

    Args:
        target: of the plan.
        system: what was operated.
        dso: the operator.
        operation: of all days.
        paid: policy mechanism -> what members of its platforms pay under it [EUR/a]; NaN where it is not known.
    """
    # What groups pay is known in all, so the components of the tariff are not looked at again.
    return target.reached(_Operated(system, dso, operation, {} if isinstance(target, BillCap) else paid))
