"""A grant of a share of the investment."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from multiscale.settings import quantity
from multiscale.tariffs.policies.grant import Grant


class InvestmentGrant(Grant):
    """A grant of a share of what members invest in a device: ``annuity * price * investment`` [EUR/a]."""

    kind: Literal["investment_grant"] = "investment_grant"
    price: float | None = quantity(None, "1", "share of the investment, paid once; empty: the planner decides it", lower=0.0, upper=1.0)
    price_min: float = quantity(0.0, "1", "lowest share the planner may set", lower=0.0, upper=1.0)
    price_max: float = quantity(0.5, "1", "highest share the planner may set", lower=0.0, upper=1.0)
    device: Literal["photovoltaics", "battery"] = Field("photovoltaics", description="what is bought")

    determinant_unit: ClassVar[str] = "EUR/a"
    of_investment: ClassVar[bool] = True

    @property
    def granted_device(self) -> str:
        """See ``Grant``."""
        return self.device
