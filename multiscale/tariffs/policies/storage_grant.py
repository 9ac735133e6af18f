"""A grant for new storage."""

from __future__ import annotations

from typing import ClassVar, Literal

from multiscale.settings import quantity
from multiscale.tariffs.policies.grant import Grant


class StorageGrant(Grant):
    """A grant for each kWh of storage that members buy: ``annuity * price * kWh`` [EUR/a]."""

    kind: Literal["storage_grant"] = "storage_grant"
    price: float | None = quantity(None, "EUR/kWh", "grant for each kWh, paid once; empty: the planner decides it", lower=0.0, upper=10000.0)
    price_min: float = quantity(0.0, "EUR/kWh", "lowest grant the planner may set", lower=0.0, upper=10000.0)
    price_max: float = quantity(200.0, "EUR/kWh", "highest grant the planner may set", lower=0.0, upper=10000.0)

    determinant_unit: ClassVar[str] = "kWh/a"

    @property
    def granted_device(self) -> str:
        """See ``Grant``."""
        return "battery"
