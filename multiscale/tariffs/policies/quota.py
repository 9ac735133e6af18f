"""A quota of renewable energy: platforms hold certificates for a share of what their members consume, or buy themselves out."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.tariffs.metering import Charge
from multiscale.tariffs.policies.policy import Owned, Policy


class Quota(Policy):
    """A quota with certificates and a buy-out price: the supplier of a platform owes certificates for a share of what is consumed in it.

        payment = price * ( missing - resale * surplus ),     missing - surplus = share * consumed - generated      [EUR/a]
        consumed = generated + imported - exported      [kWh/a], over the year

    Every kWh that photovoltaics of members generate is a certificate, wherever it goes. Each one missing at the end of the year costs the buy-out
    price; each one left over earns the share ``resale`` of it outside, so a platform may hold more than it owes. With ``resale = 1`` certificates are
    traded at the buy-out price, and the quota is a premium on generation that consumption pays for; with ``resale = 0`` they are worth what they
    spare the own platform.

    A market of certificates between platforms, whose price is found by it, is not modelled. Customers without a platform keep the contracts they
    have.

    Sources: certificates with a quota on suppliers and a buy-out price are the Renewables Obligation (Electricity Act 1989, sections 32 to 32M).
    """

    kind: Literal["quota"] = "quota"
    price: float | None = quantity(None, "EUR/kWh", "buy-out price of each certificate missing; empty: the planner decides it", lower=0.0, upper=10.0)
    price_min: float = quantity(0.0, "EUR/kWh", "lowest buy-out price the planner may set", lower=0.0, upper=10.0)
    price_max: float = quantity(0.10, "EUR/kWh", "highest buy-out price the planner may set", lower=0.0, upper=10.0)
    receiver: Literal["supplier and state"] = Field("supplier and state", description="who receives what is bought out")
    share: float = quantity(..., "1", "certificates owed per kWh consumed", lower=0.0, upper=1.0)
    resale: float = quantity(0.0, "1", "what a certificate left over earns, as a share of the buy-out price", lower=0.0, upper=1.0)

    couples_days: ClassVar[bool] = True
    determinant_unit: ClassVar[str] = "kWh/a"

    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """See ``Policy``: ``resale * owed + (1 - resale) * missing``, with a column ``<name> missing``, at least zero and what is owed."""
        if devices.metering is None:
            return []
        metering, hours = devices.metering, devices.horizon.hours_per_year
        owed = [(self.share, metering.imported), (-self.share, metering.exported), *((self.share - 1.0, columns) for columns in devices.used)]
        charges = [Charge(columns, self.resale * factor * hours) for factor, columns in owed] if self.resale > 0 else []
        if self.resale < 1:
            one = {"platform": np.array(["platform"])}
            missing = builder.add_columns(f"{name} missing", one, unit="kWh/a", description="certificates missing at the end of the year")
            total = [(np.broadcast_to(factor * hours, columns.shape).ravel()[None, :], columns.ravel()[None, :]) for factor, columns in owed]
            words = "certificates missing are at least what is owed less what is held"
            builder.add_rows(f"{name} missing", one, [*total, (-1.0, missing)], "<=", 0.0, unit="kWh/a", description=words)
            charges.append(Charge(missing, 1.0 - self.resale))
        return charges
