"""All components of a tariff together: what they add to a platform's program, and what they earn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.symbols import Named
from multiscale.tariffs.component import Component
from multiscale.tariffs.export import Export
from multiscale.tariffs.metering import Charge, Metering
from multiscale.tariffs.peer import Peer
from multiscale.tariffs.policies import Owned, Policy
from multiscale.tariffs.volumetric import Volumetric
from multiscale.timeline import Horizon

Prices = Mapping[str, np.ndarray]
"""Prices in force of the components that a planner decides: component -> prices, in the shape of the component."""

ROUNDING = 1e-9
"""Prices [EUR/kWh] that differ by less than this are the same."""

BILLED = "billed "
"""Start of the names of outputs that hold a component's determinant."""

NOT_PASSED_ON = "not_passed_on"
"""Row that keeps a platform from importing power to export it again, where a fee on trade would pay for it."""


def standard_components() -> dict[str, Component]:
    """The components of the standard tariff: a network charge that is decided, and given levy, deduction and trading fee."""
    return {
        "network_charge": Volumetric(),
        "levy": Volumetric(price=0.10, receiver="supplier and state"),
        "export_deduction": Export(price=0.01, receiver="supplier and state"),
        "trading_fee": Peer(price=0.01, receiver="platform operators"),
    }


def written_out(given: Mapping[str, object]) -> dict[str, object]:
    """Components with a number (or a text with a unit) in place of their settings as settings with that price."""
    return {
        name: settings if settings is None or isinstance(settings, Mapping | Component) else {"price": settings} for name, settings in given.items()
    }


def with_standard(given: Mapping[str, object]) -> dict[str, object]:
    """The standard components with the given settings in their place, as values to be checked.

    Args:
        given: name -> settings of the component (those of a standard one may be a part of them), a number for its price, or None to remove
            the component.
    """
    values: dict[str, object] = {name: component.model_dump() for name, component in standard_components().items()}
    for name, settings in written_out(given).items():
        standard = values.get(name, {})
        if settings is None:
            values.pop(name, None)
            continue
        if isinstance(settings, Mapping):
            other = "kind" in settings and isinstance(standard, Mapping) and settings["kind"] != standard.get("kind")
            settings = dict(settings) if other or not isinstance(standard, Mapping) else {**standard, **settings}
        values[name] = settings
    return values


def _least_cost(component: Component, charges: Sequence[Charge], columns: np.ndarray, horizon: Horizon) -> np.ndarray:
    """What some columns cost at the least under a component [EUR/a per kW], whatever its prices within their range, in the shape of the columns."""
    at = np.full(1 + int(np.max(columns, initial=-1)), -1)
    at[columns.ravel()] = np.arange(columns.size)
    low, high = (component.price_min, component.price_max) if component.decided else (component.given, component.given)
    prices = [np.broadcast_to(np.asarray(end, dtype=float), component.shape(horizon)).ravel() for end in (low, high)]
    # A price may stand on a column in several parts of the determinant, which cancel in part.
    coefficient = np.zeros((columns.size, len(prices[0])))
    for charge in charges:
        where = np.asarray(charge.columns)
        inside = (where < len(at)) & (at[np.minimum(where, len(at) - 1)] >= 0)
        parts = (np.broadcast_to(np.asarray(part), where.shape)[inside] for part in (charge.price, charge.coefficient))
        place, value = parts
        np.add.at(coefficient, (at[where[inside]], place), value)
    return np.where(coefficient >= 0, coefficient * prices[0], coefficient * prices[1]).sum(axis=1).reshape(columns.shape)


def _add(builder: ProgramBuilder, name: str, component: Component, charges: Sequence[Charge], horizon: Horizon) -> None:
    """Determinant, cost, and the parameters of decided prices of a component."""
    coords = component.coordinates(horizon)
    builder.add_output(BILLED + name, coords, [], unit=component.determinant_unit, description=f"determinant of {name}")
    places = np.arange(int(np.prod(component.shape(horizon))))
    if component.decided:
        prices = builder.add_parameters(name, coords, unit=component.unit, description=f"price of {name}").ravel()
    for charge in charges:
        entries = places[np.asarray(charge.price)]
        counted = Named(charge.coefficient, "w@", f"determinant of {name} per unit of the column", component.determinant_unit)
        builder.add_to_output(BILLED + name, entries, charge.columns, counted)
        if component.decided:
            builder.add_cost_parameter(charge.columns, prices[np.asarray(charge.price)], counted)
        else:
            given = np.broadcast_to(np.asarray(component.given, dtype=float), component.shape(horizon)).ravel()
            builder.add_cost(charge.columns, given[np.asarray(charge.price)] * np.asarray(charge.coefficient))


@dataclass(frozen=True)
class Tariff:
    """What is charged for, by component.

    Attributes:
        components: name -> component; the name is that of the prices, of the ledger account and of the row of a bill.
    """

    components: Mapping[str, Component] = field(default_factory=standard_components)

    @property
    def decided(self) -> dict[str, Component]:
        """Components whose prices a planner decides."""
        return {name: c for name, c in self.components.items() if c.decided}

    @property
    def earning(self) -> dict[str, Component]:
        """Components by which distribution operators are paid, or pay."""
        return {name: c for name, c in self.components.items() if c.receiver == "distribution operators"}

    @property
    def recovering(self) -> str:
        """The component whose price recovers the cost of a network that is not planned: the first that is decided.

        Raises:
            ValueError: every price is given, so none can recover anything.
        """
        if all(component.on_devices for component in self.decided.values()):
            raise ValueError("tariff: every price is given, so no component can recover the cost of the network; leave one price empty")
        return next(name for name, component in self.decided.items() if not component.on_devices)

    @property
    def couples_days(self) -> bool:
        """Whether some determinant of the year is more than the sum of the days' determinants."""
        return any(c.couples_days for c in self.components.values())

    @property
    def additive(self) -> bool:
        """Whether all determinants of several metering points together are the sums of theirs."""
        return all(c.additive for c in self.components.values())

    def add(self, builder: ProgramBuilder, metering: Metering) -> None:
        """Add every component to a platform's program: its cost, the parameters of decided prices, and its determinant as an output.

        Where a fee on trade may be above what import and export are charged together, power would be imported and exported again to earn it. So
        imports are no more than what members buy then.
        """
        if self.add_components(builder, metering):
            assert metering.bought is not None
            terms = [(1.0, metering.imported.T), (-1.0, metering.bought.T)]
            period = {"period": metering.horizon.labels}
            builder.add_rows(NOT_PASSED_ON, period, terms, "<=", 0.0, unit="kW", description="power is not imported to be exported again")

    def add_components(self, builder: ProgramBuilder, metering: Metering) -> bool:
        """Add every component; returns whether a fee on trade may pay for importing and exporting at once, as far as the tariff goes."""
        boundary = np.stack([metering.imported, metering.exported])
        least = np.zeros(boundary.shape)
        for name, component in self.components.items():
            if component.on_devices:
                continue
            charges = component.determinant(builder, name, metering)
            _add(builder, name, component, charges, metering.horizon)
            if metering.bought is not None:
                least += _least_cost(component, charges, boundary, metering.horizon)
        return bool((least.sum(axis=0) < -ROUNDING * metering.horizon.hours_per_year).any())

    @property
    def policies(self) -> dict[str, Policy]:
        """Policy mechanisms among the components."""
        return {name: c for name, c in self.components.items() if isinstance(c, Policy)}

    def add_support(self, builder: ProgramBuilder, devices: Owned) -> None:
        """Add what policy mechanisms pay for devices, which stand in the program already: as ``add`` does for what is metered."""
        for name, policy in self.policies.items():
            _add(builder, name, policy, policy.support(builder, name, devices), devices.horizon)

    def price(self, name: str, prices: Prices) -> np.ndarray:
        """Prices of a component that are in force."""
        component = self.components[name]
        return np.asarray(prices[name] if component.decided else component.given, dtype=float)

    def payments(self, program: ParametricProgram, schedule: np.ndarray, prices: Prices) -> dict[str, float]:
        """What a platform pays under every component [EUR/a], in the columns ``schedule`` of its program."""
        determinants = {name: program.outputs[BILLED + name].matrix @ schedule for name in self.components}
        return {name: float(np.sum(self.price(name, prices).ravel() * values)) for name, values in determinants.items()}

    def passive_payments(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon, prices: Prices) -> dict[str, float]:
        """What passive customers pay under every component [EUR/a]; arguments as of ``Component.passive``."""
        return {name: float(np.sum(self.price(name, prices) * c.passive(served, generation, horizon))) for name, c in self.components.items()}
