"""The operating problem of a platform: its prosumers, their trading, its low-voltage network."""

from __future__ import annotations

import numpy as np

from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet
from multiscale.operation.radial import add_radial_network, radial_tree, reduce_tree
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.programs.build import Term
from multiscale.system import Economics, LoadingLimits, Network

PEER_TO_PEER = "community"
INDIVIDUAL = "time_of_use"


def platform_program(
    fleet: Fleet,
    economics: Economics,
    *,
    network: Network | None = None,
    market: str = PEER_TO_PEER,
    adoption: Adoption | None = None,
    agreements: bool = True,
    root_voltage: float = 1.0,
    limits: LoadingLimits = LoadingLimits(),
) -> ParametricProgram:
    """A platform over the fleet's horizon; every cost in EUR per year.

        min  sum_t h_t [ (import_price_t + network_charge + levy) import_t - (export_price_t - deduction) export_t
                         + fee (sum_i buy_it - import_t) + wear + discomfort + VOLL unserved ]  + annuities of capacity bought
        s.t. buy_it - sell_it + supply - consumption of devices + unserved = load_it                dual: price of prosumer i
             sum_i (buy_it - sell_it) = import_t - export_t, through the network                    dual: price of the pool

    Parameters: ``import_price``, ``export_price`` (period) [EUR/kWh] and ``network_charge`` () [EUR/kWh]. With ``agreements`` also
    ``import_limit``, ``export_limit`` (period) [kW], what the connection to the parent can carry, and ``planned`` (period) [kW] with
    ``deviation_price`` () [EUR/kWh], a plan published beside the prices: the cost grows by ``h_t deviation_price |exchange_t - planned_t|``.
    Outputs: ``exchange`` (period) [kW] drawn from the parent; ``import_energy`` () [kWh/a].

    Args:
        fleet: the prosumers (or one participant that stands for all of them).
        economics: values and fees.
        network: low-voltage network; without one, all prosumers share one point.
        market: ``community``: prosumers share one pool, and the platform pays charge and levy on what it imports;
            ``time_of_use``: nobody trades with a neighbour, and every prosumer pays charge and levy on its own import.
        adoption: capacity that may be bought.
        agreements: whether limits and a plan may be agreed with the parent (the parameters above).
        root_voltage: voltage at the busbar that feeds the network [pu].
        limits: shares of the ratings that may be used.
    """
    horizon, data = fleet.horizon, fleet.data
    hours, period = horizon.hours_per_year, {"period": horizon.labels}
    who = {"prosumer": data.prosumer.values, **period}
    if market not in (PEER_TO_PEER, INDIVIDUAL):
        raise ValueError(f"market {market!r} is unknown; there are {PEER_TO_PEER!r} and {INDIVIDUAL!r}")
    peer_to_peer = market == PEER_TO_PEER
    alone = fleet.size == 1 and network is None
    builder = ProgramBuilder(fleet.node)
    import_price = builder.add_parameters("import_price", period, unit="EUR/kWh", description="price of energy from the parent")
    export_price = builder.add_parameters("export_price", period, unit="EUR/kWh", description="price of energy to the parent")
    charge = builder.add_parameters("network_charge", {}, unit="EUR/kWh", description="network charge on imported energy")

    # Upper bounds one kW beyond what anybody can do: they never bind (so they carry no dual) and keep every dual bound finite.
    most, supply = fleet.largest_consumption(), fleet.largest_supply()
    if adoption is not None:
        most, supply = most + fleet.new_consumption(adoption), supply + fleet.new_supply(adoption)
    exchange_cost = (economics.levy * hours, economics.export_deduction * hours)
    voll = economics.value_of_lost_load * hours
    unserved = builder.add_columns("unserved", who, unit="kW", upper=most + 1.0, cost=voll, description="demand not served")
    if alone:
        # A single participant trades with nobody inside: what it buys is the import, what it sells the export.
        taken = builder.add_columns("import", period, unit="kW", upper=most[0] + 1.0, cost=exchange_cost[0], description="import from the parent")
        given = builder.add_columns("export", period, unit="kW", upper=supply[0] + 1.0, cost=exchange_cost[1], description="export to the parent")
        buy, sell, paying, paid = taken[None, :], given[None, :], taken, given
    else:
        fee = economics.trading_fee * hours if peer_to_peer else 0.0 * hours
        own, pooled = ((0.0, 0.0), exchange_cost) if peer_to_peer else (exchange_cost, (0.0, 0.0))
        limit_in, limit_out = most.sum(axis=0) + len(most) + 1.0, supply.sum(axis=0) + len(most) + 1.0
        buy = builder.add_columns("buy", who, unit="kW", upper=most + 1.0, cost=fee + own[0], description="power bought")
        sell = builder.add_columns("sell", who, unit="kW", upper=supply + 1.0, cost=own[1], description="power sold")
        taken = builder.add_columns("import", period, unit="kW", upper=limit_in, cost=pooled[0] - fee, description="import from the parent")
        given = builder.add_columns("export", period, unit="kW", upper=limit_out, cost=pooled[1], description="export to the parent")
        paying, paid = (taken, given) if peer_to_peer else (buy, sell)
    terms: list[Term] = [(1.0, buy), (-1.0, sell), (1.0, unserved), *fleet.add_devices(builder)]
    if adoption is not None:
        terms += fleet.add_adoption(builder, adoption, economics.annuity)
    builder.add_rows("prosumer_balance", who, terms, "==", data.demand.values, unit="kW", description="power balance of the prosumer")

    builder.add_cost_parameter(paying, np.broadcast_to(import_price, paying.shape), hours)
    builder.add_cost_parameter(paid, np.broadcast_to(export_price, paid.shape), -hours)
    builder.add_cost_parameter(paying, np.broadcast_to(charge, paying.shape), hours)

    if agreements:
        _add_agreements(builder, fleet, taken, given, 2 * (most + supply).sum(axis=0) + 1.0)
    if network is not None and network.active.sizes["branch"]:
        _add_network(builder, fleet, network, buy, sell, taken, given, most, supply, limits, root_voltage)
    elif not alone:
        everyone: list[Term] = [(1.0, buy.T), (-1.0, sell.T)]
        builder.add_rows("pool", period, [(-1.0, taken), (1.0, given), *everyone], "==", 0.0, unit="kW", description="balance of the pool")
    builder.add_output("exchange", period, [(1.0, taken), (-1.0, given)], unit="kW", description="power drawn from the parent")
    each_hour = hours[None, :] if paying.ndim > 1 else hours
    builder.add_output("import_energy", {}, [(each_hour, paying)], unit="kWh/a", description="energy that pays the charge")
    return builder.build()


def bought_and_sold(program: ParametricProgram, schedule: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power every prosumer of a platform buys and sells [kW], (prosumer, period), in the columns ``schedule`` of its program.

    A single participant trades with nobody inside: what it buys is the platform's import, what it sells its export.
    """
    if "buy" in program.columns:
        return program.columns.array("buy", schedule).values, program.columns.array("sell", schedule).values
    return program.columns.array("import", schedule).values[None, :], program.columns.array("export", schedule).values[None, :]


def _add_agreements(builder: ProgramBuilder, fleet: Fleet, taken: np.ndarray, given: np.ndarray, reach: np.ndarray) -> None:
    """Limits of the exchange, and its deviation from what the parent has planned, at a price."""
    hours, period = fleet.horizon.hours_per_year, {"period": fleet.horizon.labels}
    exchange: list[Term] = [(1.0, taken), (-1.0, given)]
    for name, sense, sign in (("import_limit", "<=", 1.0), ("export_limit", ">=", -1.0)):
        limit = builder.add_parameters(name, period, unit="kW", description="what the connection to the parent can carry")
        builder.add_rows(name, period, exchange, sense, 0.0, unit="kW", parameters=[(sign, limit)], description="limit of the exchange")
    planned = builder.add_parameters("planned", period, unit="kW", description="exchange the parent has planned")
    price = builder.add_parameters("deviation_price", {}, unit="EUR/kWh", description="price of deviating from the planned exchange")
    above = builder.add_columns("above_plan", period, unit="kW", upper=reach, description="exchange above the plan")
    below = builder.add_columns("below_plan", period, unit="kW", upper=reach, description="exchange below the plan")
    deviation: list[Term] = [(1.0, taken), (-1.0, given), (-1.0, above), (1.0, below)]
    builder.add_rows("plan", period, deviation, "==", 0.0, unit="kW", parameters=[(1.0, planned)], description="deviation from the plan")
    for columns in (above, below):
        builder.add_cost_parameter(columns, np.broadcast_to(price, columns.shape), hours)


def _add_network(
    builder: ProgramBuilder,
    fleet: Fleet,
    network: Network,
    buy: np.ndarray,
    sell: np.ndarray,
    taken: np.ndarray,
    given: np.ndarray,
    most: np.ndarray,
    supply: np.ndarray,
    limits: LoadingLimits,
    root_voltage: float,
) -> None:
    tree = radial_tree(network, limits, root_voltage)
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    bus = np.array([at[b] for b in fleet.data.bus.values.tolist()], dtype=int)
    shape = (len(tree.buses), fleet.horizon.periods)
    low, high, reactive = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(low, bus, -supply)
    np.add.at(high, bus, most)
    np.add.at(reactive, bus, fleet.data.reactive.values)
    reactive -= tree.charging[:, None]
    reduced = reduce_tree(tree, low, high, reactive, np.zeros(0, dtype=int))
    zone = reduced.zone[bus]
    zones = len(reduced.kept) + 1
    width = int(np.bincount(zone, minlength=zones).max(initial=0))
    members = np.full((zones, width), -1)
    filled = np.zeros(zones, dtype=int)
    for i, z in enumerate(zone.tolist()):
        members[z, filled[z]] = i
        filled[z] += 1
    missing = (members < 0)[:, None, :]
    drawn = np.where(missing, -1, buy[members].transpose(0, 2, 1))
    fed = np.where(missing, -1, sell[members].transpose(0, 2, 1))
    add_radial_network(
        builder,
        reduced,
        fleet.horizon.labels,
        reactive,
        [(1.0, drawn), (-1.0, fed)],
        np.zeros((zones, fleet.horizon.periods)),
        [(1.0, taken), (-1.0, given)],
        [],
        {},
    )
