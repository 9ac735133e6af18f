"""A grant for new photovoltaics."""

from __future__ import annotations

from typing import ClassVar, Literal

from multiscale.settings import quantity
from multiscale.tariffs.policies.grant import Grant


class PvGrant(Grant):
    """A grant for each kW of photovoltaics that members buy: ``annuity * price * kW`` [EUR/a]."""

    kind: Literal["pv_grant"] = "pv_grant"
    price: float | None = quantity(None, "EUR/kW", "grant for each kW, paid once; empty: the planner decides it", lower=0.0, upper=10000.0)
    price_min: float = quantity(0.0, "EUR/kW", "lowest grant the planner may set", lower=0.0, upper=10000.0)
    price_max: float = quantity(500.0, "EUR/kW", "highest grant the planner may set", lower=0.0, upper=10000.0)

    determinant_unit: ClassVar[str] = "kW/a"

    @property
    def granted_device(self) -> str:
        """See ``Grant``."""
        return "photovoltaics"
