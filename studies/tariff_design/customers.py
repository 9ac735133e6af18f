r"""Metered customers on the feeder: the follower under any tariff made of the components of ``multiscale.tariffs``.

    min  sum_t h_t (price_t import_nt - share price_t export_nt) + wear + annuities of PV and batteries + VOLL unserved + payments under the tariff
    s.t. balance of every customer, storage, availability of the sun, ratings of the lines with what is built

All customers of a bus are of one kind and stand behind one meter each; they own what they buy. The network carries what they draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.tariffs import Component, Metering, Tariff
from multiscale.timeline import Horizon

from .network import DEMAND, HOURS, PRICE, STEP_HOURS, SUN, WEIGHTS, Feeder

LOST_LOAD = 5.0
EXPORT_SHARE = 0.5
"""What exports earn, as a share of the price of energy."""
PV_COST, BATTERY_COST, WEAR = 110.0, 35.0, 0.01
"""Annuities of photovoltaics [EUR/(kW a)] and batteries [EUR/(kWh a)], wear [EUR/kWh]."""
EXISTING = 0.06
"""Cost of the existing network, per kWh of demand [EUR/kWh]."""


@dataclass(frozen=True)
class Kind:
    """A kind of customer: yearly peak [kW] and the most photovoltaics and storage that one may buy [kW], [kWh]."""

    name: str
    peak: float
    pv: float
    battery: float


KINDS = (Kind("flat", 1.2, 0.0, 0.0), Kind("house", 2.4, 4.0, 5.0), Kind("large house", 5.0, 10.0, 12.0))
"""Kinds in turn from bus to bus; flats have no roof."""


@dataclass(frozen=True)
class Customers:
    """Who is connected.

    Attributes:
        buses: with customers.
        kind: of the customers of each, position in ``KINDS``.
        number: of customers at each [1].
        demand: of all of them [kW], (bus, period).
    """

    buses: np.ndarray
    kind: np.ndarray
    number: np.ndarray
    demand: np.ndarray

    @property
    def existing_cost(self) -> float:
        """Cost of the existing network [EUR/a]."""
        return EXISTING * float((self.demand @ HOURS).sum())


def customers(case: Feeder) -> Customers:
    """Customers of a network: kinds in turn, as many as the peak of the bus takes."""
    buses = np.flatnonzero(case.peak > 0)
    kind = np.arange(len(buses)) % len(KINDS)
    number = case.peak[buses] / np.array([KINDS[k].peak for k in kind])
    return Customers(buses, kind, number, case.peak[buses, None] * DEMAND)


def horizon() -> Horizon:
    """The representative days as the tariff components take them."""
    return Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-07-20")), WEIGHTS, STEP_HOURS)


def program(case: Feeder, who: Customers, components: dict[str, Component]) -> ParametricProgram:
    """The follower: parameters ``built`` and the decided prices; outputs ``resource_cost`` [EUR/a] and the determinants of the tariff."""
    days, periods, lines = horizon(), len(HOURS), len(case.parent) - 1
    count, limit = len(who.buses), who.number[:, None]
    b = ProgramBuilder("customers")
    meter, time = {"meter": who.buses}, {"period": days.labels}
    built = b.add_parameters("built", {"line": case.options}, unit="1")
    imports = b.add_columns("import", meter | time, unit="kW", cost=PRICE * HOURS)
    exports = b.add_columns("export", meter | time, unit="kW", cost=-EXPORT_SHARE * PRICE * HOURS)
    most = np.array([(KINDS[k].pv, KINDS[k].battery) for k in who.kind]) * limit
    pv = b.add_columns("pv", meter, unit="kW", upper=most[:, 0], cost=PV_COST)
    size = b.add_columns("battery", meter, unit="kWh", upper=most[:, 1], cost=BATTERY_COST)
    sun = b.add_columns("generation", meter | time, unit="kW")
    unserved = b.add_columns("unserved", meter | time, unit="kW", upper=who.demand, cost=LOST_LOAD * HOURS)
    charge = b.add_columns("charge", meter | time, unit="kW", cost=WEAR * HOURS)
    discharge = b.add_columns("discharge", meter | time, unit="kW", cost=WEAR * HOURS)
    stored = b.add_columns("stored", meter | time, unit="kWh")
    flow = b.add_columns("flow", {"line": np.arange(lines)} | time, unit="kW", lower=-np.inf)
    terms = [(1.0, imports), (-1.0, exports), (1.0, sun), (1.0, discharge), (-1.0, charge), (1.0, unserved)]
    b.add_rows("balance", meter | time, terms, "==", who.demand, unit="kW")
    network = b.add_rows("network", {"bus": np.arange(1, lines + 1)} | time, [(1.0, flow)], "==", 0.0, unit="kW")
    inner = case.parent[1:] > 0
    b.add_to_rows(network[case.parent[1:][inner] - 1], flow[inner], -1.0)
    b.add_to_rows(network[who.buses - 1], imports, -1.0)
    b.add_to_rows(network[who.buses - 1], exports, 1.0)
    wide = np.broadcast_to(pv[:, None], (count, periods)), np.broadcast_to(size[:, None], (count, periods))
    b.add_rows("sun", meter | time, [(1.0, sun), (np.broadcast_to(-SUN, (count, periods)), wide[0])], "<=", 0.0, unit="kW")
    b.add_rows("level", meter | time, [(1.0, stored), (-1.0, wide[1])], "<=", 0.0, unit="kWh")
    for name, power in (("charging", charge), ("discharging", discharge)):
        b.add_rows(name, meter | time, [(1.0, power), (-0.5, wide[1])], "<=", 0.0, unit="kW")
    steps = periods // len(WEIGHTS)
    before = np.roll(stored.reshape(count, -1, steps), 1, axis=2).reshape(count, periods)
    moved = [(1.0, stored), (-1.0, before), (-0.95 * STEP_HOURS, charge), (STEP_HOURS / 0.95, discharge)]
    b.add_rows("storage", meter | time, moved, "==", 0.0, unit="kWh")
    choice = np.broadcast_to(built[:, None], (len(case.options), periods))
    for name, sign in (("rating_load", 1.0), ("rating_feed_in", -1.0)):
        lots = [(case.added[case.options][:, None], choice)]
        b.add_rows(
            name, {"line": case.options} | time, [(sign, flow[case.options])], "<=", case.rating[case.options][:, None], unit="kW", parameters=lots
        )
    real = ((imports, PRICE * HOURS), (exports, -EXPORT_SHARE * PRICE * HOURS), (unserved, LOST_LOAD * HOURS), (charge, WEAR * HOURS))
    real += ((discharge, WEAR * HOURS), (pv[:, None], PV_COST), (size[:, None], BATTERY_COST))
    parts = [(np.broadcast_to(cost, where.shape).reshape(1, -1), where.reshape(1, -1)) for where, cost in real]
    b.add_output("resource_cost", {}, parts, unit="EUR/a", description="cost without payments under the tariff")
    names = np.array([f"bus {bus}" for bus in who.buses])
    Tariff(components).add(b, Metering(days, names, imports, exports, None, {}, names, who.number))
    return b.build()
