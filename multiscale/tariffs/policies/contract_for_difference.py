"""A contract for difference: a strike price for generation, against a reference price."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.component import Component
from multiscale.tariffs.metering import Charge
from multiscale.tariffs.policies.policy import Owned, Policy
from multiscale.tariffs.policies.premium import Form, Premium, Repayment


class ContractForDifference(Policy):
    """Two-sided contract for difference of the generation of members: ``(price - reference_price) * energy`` [EUR/a], below zero paid back.

    The reference price is a number known beforehand (the mean of the year, say), so the difference is the same in every period: in its energy form
    (``form=used``) it shifts what a kWh earns; in its capability form (``form=available``) it is paid whatever is dispatched, and changes none of it.
    A reference price of every hour would need the price of that hour before operation. In the ledger the strike is the account ``<name>``, what is
    paid back ``<name> reference``.
    """

    kind: Literal["contract_for_difference"] = "contract_for_difference"
    price: float | None = quantity(None, "EUR/kWh", "strike price; empty: the planner decides it", lower=0.0, upper=10.0)
    price_min: float = quantity(0.0, "EUR/kWh", "lowest strike price the planner may set", lower=0.0, upper=10.0)
    price_max: float = quantity(0.20, "EUR/kWh", "highest strike price the planner may set", lower=0.0, upper=10.0)
    reference_price: float = quantity(..., "EUR/kWh", "reference price of the market, known beforehand", lower=0.0, upper=10.0)
    form: Form = Field(
        "used", description="on which generation it stands: used: what is used or fed in (energy); available: what could be (capability)"
    )

    def components(self, name: str) -> dict[str, Component]:
        """See ``Policy``: the strike, and the reference price that is paid back."""
        strike = Premium(price=self.price, price_min=self.price_min, price_max=self.price_max, form=self.form, receiver=self.receiver)
        return {name: strike, f"{name}_reference": Repayment(price=self.reference_price, form=self.form, receiver=self.receiver)}

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """See ``components``, which are in the tariff in its place."""
        raise NotImplementedError(name)
