"""What a policy mechanism is: a payment to the owners of devices, by the state or out of network charges."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet
from multiscale.programs import ProgramBuilder
from multiscale.programs.build import Term
from multiscale.tariffs.component import Component
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class Purchase:
    """New capacity of a device in a platform's program.

    Attributes:
        size: columns of the capacity, (prosumer,).
        annuity: yearly payment per EUR invested [1/a].
        investment: EUR per unit of capacity.
        available: energy that each unit could generate [kWh/a]; zero of what generates nothing.
        firm: hours [h] -> power that each unit can supply for so long at any time [kW].
    """

    size: np.ndarray
    annuity: float
    investment: float
    available: float
    firm: Callable[[float], float] = lambda _: 0.0


@dataclass(frozen=True)
class Owned:
    """Devices of a platform's members in its program: what policies stand on.

    Attributes:
        horizon: the periods.
        owners: names of the owners of generation, (owner,).
        used: columns with generation that is used [kW], each (owner, period).
        available: generation that existing devices could feed in [kWh/a], (owner,).
        bought: device -> new capacity.
        responding: what devices that consume or store supply to their owners' balances [kW], existing and new: coefficient and columns, each
            (owner, period) or broadcast to it; -1 where an owner has none.
        reference: power that these devices draw when uncontrolled [kW], (owner, period).
        firm: hours [h] -> power that existing devices can supply for so long at any time [kW], (owner,).
        metering: of the platform; None where its devices are not known.
    """

    horizon: Horizon
    owners: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))
    used: tuple[np.ndarray, ...] = ()
    available: np.ndarray = field(default_factory=lambda: np.zeros(0))
    bought: Mapping[str, Purchase] = field(default_factory=dict)
    responding: tuple[Term, ...] = ()
    reference: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    firm: Callable[[float], np.ndarray] = lambda _: np.zeros(0)
    metering: Metering | None = None


def owned(
    builder: ProgramBuilder,
    fleet: Fleet,
    adoption: Adoption | None,
    annuity: Callable[[float], float],
    terms: Sequence[Mapping[str, Sequence[Term]]],
    metering: Metering,
) -> Owned:
    """The devices of a fleet that were added to a program.

    Args:
        builder: of the program.
        fleet: the prosumers.
        adoption: capacity that may be bought.
        annuity: lifetime [a] -> yearly payment per EUR invested [1/a].
        terms: device -> its terms of the prosumers' balance, of existing devices and of new ones.
        metering: of the platform.
    """
    hours, generating = fleet.horizon.hours_per_year, [d for d in fleet.devices.values() if d.yields]
    used = tuple(columns for d in generating for name in d.yields if (columns := builder.columns_of(name)) is not None)
    available = sum((fleet.data[d.profile].values @ hours for d in generating), np.zeros(fleet.size))
    bought = {}
    for key, device in fleet.offered(adoption or {}).items():
        size = builder.columns_of(device.capacity.column)
        if size is not None:
            energy = float(hours @ (adoption or {})[key].profile) if device.yields else 0.0
            bought[key] = Purchase(size, annuity(device.lifetime), device.investment, energy, device.new_firm_supply)
    responding = tuple(term for kind in terms for key, each in kind.items() if fleet.devices[key].role != "generation" for term in each)
    reference = fleet.reference_demand - fleet.data.demand.values

    def firm(hours: float) -> np.ndarray:
        return np.sum([np.broadcast_to(d.firm_supply(fleet, hours), fleet.size) for d in fleet.devices.values()], axis=0)

    return Owned(fleet.horizon, fleet.data.prosumer.values, used, available, bought, responding, reference, firm, metering)


class Policy(Component):
    """A policy mechanism: what owners of devices in platforms are paid. Customers without a platform keep the contracts they have.

        paid = sum over prices k of  price_k * quantity_k     [EUR/a]

    It is a component of the tariff whose payment flows to the customers: its determinant is minus the quantity. So it stands in the follower's cost,
    in bills and in the ledger like any other, and its price may be decided by the planner. It is a transfer, no cost.
    """

    receiver: Literal["supplier and state", "distribution operators"] = Field(
        "supplier and state", description="who pays: the state, or distribution operators, who recover it by their charges"
    )

    on_devices: ClassVar[bool] = True
    on_purchase: ClassVar[bool] = False
    """Whether it pays for capacity that is bought, not for what devices do."""

    def components(self, name: str) -> dict[str, Component]:
        """What the policy adds to the tariff, by name."""
        return {name: self}

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:  # noqa: ARG002
        """Nothing at a meter."""
        return []

    @abstractmethod
    def support(self, builder: ProgramBuilder, name: str, devices: Owned) -> list[Charge]:
        """Minus the quantity that is paid for; columns it needs are added to the builder, named after the policy (``name``)."""

    def granted(self, fleet: Fleet, bought: Mapping[str, np.ndarray], annuity: Callable[[float], float]) -> np.ndarray:  # noqa: ARG002
        """Quantity of capacity that was bought and is no column of an operated program any more, (prosumer,)."""
        return np.zeros(fleet.size)

    def elsewhere(self, rated: float) -> float:  # noqa: ARG002
        """Quantity of generators of the transmission level that is paid the same price; ``rated``: power of all of them [kW]."""
        return 0.0

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Customers without a platform are paid nothing."""
        return np.zeros(())
