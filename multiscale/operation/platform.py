"""The operating problem of a platform: its prosumers, their trading, its low-voltage network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet, customers_of
from multiscale.measures import Measure, Placed
from multiscale.operation.built import branches_of, decided_about, placed
from multiscale.operation.clearing import BEYOND_DEVICES, Market, Members, Trade
from multiscale.operation.losses import Losses, add_loss_columns, add_tangents, largest_losses, loss_factor
from multiscale.operation.radial import RadialTree, radial_tree
from multiscale.operation.reduced_network import add_radial_network, reduce_tree
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.programs.build import Term
from multiscale.symbols import Named, weights
from multiscale.system import Economics, LoadingLimits, Network
from multiscale.tariffs import Metering, owned

METERED_IMPORT, METERED_EXPORT = "metered import", "metered export"
"""Outputs: power drawn from and fed to the supplier, summed over the metering points [kW]."""


def platform_program(
    fleet: Fleet,
    economics: Economics,
    market: Market,
    *,
    network: Network | None = None,
    adoption: Adoption | None = None,
    agreements: bool = True,
    root_voltage: np.ndarray | float = 1.0,
    limits: LoadingLimits = LoadingLimits(),
    options: xr.Dataset | None = None,
    losses: Losses | None = None,
) -> ParametricProgram:
    """A platform over the fleet's horizon; every cost in EUR per year.

        min  sum_t h_t [ sum_m (import_price_t imported_mt - export_price_t exported_mt) + wear + discomfort + VOLL unserved ]
             + sum over tariff components of price * determinant  + annuities of capacity bought
        s.t. buy_it - sell_it + pv + discharge - charge - ev - heat pump + unserved = load_it       dual: price of prosumer i
             sum_i (buy_it - sell_it) + losses_t = import_t - export_t, through the network         dual: price of the pool

    with metering points m as the market defines them.

    Parameters: ``import_price``, ``export_price`` (period) [EUR/kWh], and the prices of every decided tariff component under its name. With
    ``agreements`` also ``import_limit``, ``export_limit`` (period) [kW], what the connection to the parent can carry, and ``planned`` (period)
    [kW] with ``deviation_price`` () [EUR/kWh], a plan published with the prices: the cost grows by
    ``h_t deviation_price |exchange_t - planned_t|``.
    Outputs: ``exchange`` (period) [kW] drawn from the parent; ``METERED_IMPORT``, ``METERED_EXPORT`` (period) [kW], the sums over metering
    points; the determinant of every tariff component (``BILLED`` and its name).

    Args:
        fleet: the prosumers (or one participant that stands for all of them).
        economics: values and the tariff.
        market: how the platform clears.
        network: low-voltage network; without one, all prosumers share one point.
        adoption: capacity that may be bought.
        agreements: whether limits and a plan may be agreed with the parent (the parameters above).
        root_voltage: voltage at the busbar that feeds the network [pu], (period,) or one for all; no further from nominal than prosumers who draw
            and feed in nothing would still be within their bands.
        limits: shares of the ratings that may be used.
        options: what may be built (component ``option``), here or elsewhere: then there is a parameter ``built`` (option) [1].
        losses: how losses of the network are counted; default: not at all.

    Raises:
        ValueError: losses are to be counted while it is open what is built.
    """
    horizon, data = fleet.horizon, fleet.arrays
    hours, period = horizon.hours_per_year, {"period": horizon.labels}
    who = {"prosumer": data["prosumer"], **period}
    alone = fleet.size == 1 and network is None
    builder = ProgramBuilder(fleet.node)
    import_price = builder.add_parameters("import_price", period, unit="EUR/kWh", description="price of energy from the parent")
    export_price = builder.add_parameters("export_price", period, unit="EUR/kWh", description="price of energy to the parent")

    # Upper bounds lie beyond what any participant can do: they carry no dual, and keep every dual bound finite.
    draw, supply = fleet.largest_consumption(), fleet.largest_supply()
    if adoption is not None:
        draw, supply = draw + fleet.new_consumption(adoption), supply + fleet.new_supply(adoption)
    wired = located(fleet, network, limits, root_voltage) if network is not None and network.active.sizes["branch"] else None
    if losses is not None and options is not None:
        raise ValueError(f"platform {fleet.node!r}: losses depend on what is built, and are not counted while that is open; give losses or options")
    bounds = None if wired is None else wired.at_buses(-supply, draw)
    lost = None if losses is None or wired is None or bounds is None else largest_losses(wired.tree, bounds[0], bounds[1], wired.reactive)
    members = Members(fleet, draw, supply, 0.0 if lost is None else lost.sum(axis=0))
    voll = Named(economics.value_of_lost_load * hours, "V h@", "value of lost load times hours of the year", "EUR/kW")
    year, given_back = weights(hours)
    unserved = builder.add_columns("unserved", who, unit="kW", upper=draw + BEYOND_DEVICES, cost=voll, description="demand not served")
    trade = _alone(builder, members) if alone else market.trade(builder, members)
    market.weigh(builder, members, trade)
    metered = trade.metering
    builder.add_cost_parameter(metered.imported, np.broadcast_to(import_price, metered.imported.shape), year)
    builder.add_cost_parameter(metered.exported, np.broadcast_to(export_price, metered.exported.shape), given_back)
    economics.tariff.add(builder, metered)
    of_devices = [fleet.add_devices(builder)] + ([fleet.add_adoption(builder, adoption, economics.annuity)] if adoption is not None else [])
    terms: list[Term] = [(1.0, trade.buy), (-1.0, trade.sell), (1.0, unserved), *(t for kind in of_devices for each in kind.values() for t in each)]
    economics.tariff.add_support(builder, owned(builder, fleet, adoption, economics.annuity, of_devices, metered))
    demand = Named(data["demand"], "d@", "inflexible demand", "kW")
    builder.add_rows("prosumer_balance", who, terms, "==", demand, unit="kW", description="power balance of the prosumer")

    if agreements:
        _add_agreements(builder, fleet, trade.imported, trade.exported, 2 * ((draw + supply).sum(axis=0) + members.lost) + 1.0)
    if wired is not None and bounds is not None:
        counted = None if losses is None or lost is None else (losses, lost)
        _add_network(builder, members, wired, bounds, trade, options, counted)
    elif not alone:
        everyone: list[Term] = [(1.0, trade.buy.T), (-1.0, trade.sell.T)]
        boundary: list[Term] = [(-1.0, trade.imported), (1.0, trade.exported)]
        builder.add_rows("pool", period, [*boundary, *everyone], "==", 0.0, unit="kW", description="balance of the pool")
    exchange: list[Term] = [(1.0, trade.imported), (-1.0, trade.exported)]
    builder.add_output("exchange", period, exchange, unit="kW", description="power drawn from the parent")
    for name, columns, what in ((METERED_IMPORT, metered.imported, "drawn from"), (METERED_EXPORT, metered.exported, "fed to")):
        builder.add_output(name, period, [(1.0, columns.T)], unit="kW", description=f"power {what} the supplier at all metering points")
    return builder.build()


def _alone(builder: ProgramBuilder, members: Members) -> Trade:
    """A single participant has no trading partner inside: what it buys is the import, what it sells the export."""
    horizon = members.fleet.horizon
    period = {"period": horizon.labels}
    taken = builder.add_columns("import", period, unit="kW", upper=members.draw[0] + BEYOND_DEVICES, description="import from the parent")
    given = builder.add_columns("export", period, unit="kW", upper=members.supply[0] + BEYOND_DEVICES, description="export to the parent")
    known = customers_of(members.fleet)
    metering = Metering(horizon, members.fleet.arrays["prosumer"], taken[None, :], given[None, :], None, {}, *known)
    return Trade(taken[None, :], given[None, :], taken, given, metering)


def bought_and_sold(program: ParametricProgram, schedule: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power every prosumer of a platform buys and sells [kW], (prosumer, period), in the columns ``schedule`` of its program.

    A single participant has no trading partner inside: what it buys is the platform's import, what it sells its export.
    """
    if "buy" in program.columns:
        return program.columns.values("buy", schedule), program.columns.values("sell", schedule)
    return program.columns.values("import", schedule)[None, :], program.columns.values("export", schedule)[None, :]


def _add_agreements(builder: ProgramBuilder, fleet: Fleet, taken: np.ndarray, given: np.ndarray, largest: np.ndarray) -> None:
    """Limits of the exchange, and its deviation from what the parent has planned, at a price."""
    hours, period = fleet.horizon.hours_per_year, {"period": fleet.horizon.labels}
    exchange: list[Term] = [(1.0, taken), (-1.0, given)]
    for name, sense, sign in (("import_limit", "<=", 1.0), ("export_limit", ">=", -1.0)):
        limit = builder.add_parameters(name, period, unit="kW", description="what the connection to the parent can carry")
        builder.add_rows(name, period, exchange, sense, 0.0, unit="kW", parameters=[(sign, limit)], description="limit of the exchange")
    planned = builder.add_parameters("planned", period, unit="kW", description="exchange the parent has planned")
    price = builder.add_parameters("deviation_price", {}, unit="EUR/kWh", description="price of deviating from the planned exchange")
    above = builder.add_columns("above_plan", period, unit="kW", upper=largest, description="exchange above the plan")
    below = builder.add_columns("below_plan", period, unit="kW", upper=largest, description="exchange below the plan")
    deviation: list[Term] = [(1.0, taken), (-1.0, given), (-1.0, above), (1.0, below)]
    builder.add_rows("plan", period, deviation, "==", 0.0, unit="kW", parameters=[(1.0, planned)], description="deviation from the plan")
    for columns in (above, below):
        builder.add_cost_parameter(columns, np.broadcast_to(price, columns.shape), weights(hours)[0])


@dataclass(frozen=True)
class Located:
    """The network of a platform and where its members are in it.

    Attributes:
        network: its tables.
        tree: in the order from the root.
        bus: position in the tree of every member, (prosumer,).
        reactive: reactive power drawn at each bus, less line charging [kvar], (bus, period).
    """

    network: Network
    tree: RadialTree
    bus: np.ndarray
    reactive: np.ndarray

    def at_buses(self, *by_member: np.ndarray) -> tuple[np.ndarray, ...]:
        """Sums over the members of each bus; (prosumer, period) -> (bus, period) each."""
        found = []
        for values in by_member:
            total = np.zeros(self.reactive.shape)
            np.add.at(total, self.bus, values)
            found.append(total)
        return tuple(found)


def located(fleet: Fleet, network: Network, limits: LoadingLimits, root_voltage: np.ndarray | float) -> Located:
    """Where members are in their network, fed at a voltage; arguments as of ``platform_program``."""
    tree = radial_tree(network, limits, root_voltage)
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    bus = np.array([at[b] for b in fleet.arrays["bus"].tolist()], dtype=int)
    reactive = np.zeros((len(tree.buses), fleet.horizon.periods))
    np.add.at(reactive, bus, fleet.arrays["reactive"])
    reactive -= tree.charging[:, None]
    return Located(network, tree.within_band(reactive), bus, reactive)


def most_lost(fleet: Fleet, network: Network, limits: LoadingLimits) -> np.ndarray:
    """What the losses of a platform's network can be at most [kW], (period,)."""
    if not network.active.sizes["branch"]:
        return np.zeros(fleet.horizon.periods)
    own = located(fleet, network, limits, 1.0)
    low, high = own.at_buses(-fleet.largest_supply(), fleet.largest_consumption())
    return largest_losses(own.tree, low, high, own.reactive).sum(axis=0)


def _add_network(
    builder: ProgramBuilder,
    members: Members,
    wired: Located,
    bounds: tuple[np.ndarray, ...],
    trade: Trade,
    options: xr.Dataset | None,
    counted: tuple[Losses, np.ndarray] | None,
) -> None:
    fleet, buy, sell, tree = members.fleet, trade.buy, trade.sell, wired.tree
    low, high = bounds
    here: list[tuple[type[Measure], Placed]] = []
    decided: tuple[np.ndarray, np.ndarray | float, np.ndarray | float] = np.zeros(0, dtype=int), 0.0, 0.0
    if options is not None:
        names = options.option.values.astype(str)
        built = builder.add_parameters("built", {"option": names}, unit="1", description="reinforcements built")
        inside = np.flatnonzero(np.isin(options.branch.values, wired.network.active.branch.values))
        mine = options.isel(option=inside)
        branch = branches_of(tree, mine)
        decided, here = decided_about(tree, branch, mine), placed(mine, branch, built[inside])
    # Losses are drawn at the buses that branches feed.
    lossy = np.zeros(0, dtype=int) if counted is None else np.flatnonzero(loss_factor(tree).any(axis=1))
    if counted is not None and len(lossy):
        reduced = reduce_tree(tree, low, high + counted[1], wired.reactive, *decided, needed=lossy)
    else:
        reduced, counted = reduce_tree(tree, low, high, wired.reactive, *decided), None
    zone = reduced.zone[wired.bus]
    zones = len(reduced.kept) + 1
    width = int(np.bincount(zone, minlength=zones).max(initial=0))
    at_zone = np.full((zones, width), -1)
    filled = np.zeros(zones, dtype=int)
    for i, z in enumerate(zone.tolist()):
        at_zone[z, filled[z]] = i
        filled[z] += 1
    missing = (at_zone < 0)[:, None, :]
    drawn = np.where(missing, -1, buy[at_zone].transpose(0, 2, 1))
    fed = np.where(missing, -1, sell[at_zone].transpose(0, 2, 1))
    consumption: list[Term] = [(1.0, drawn), (-1.0, fed)]
    if counted is not None:
        loss = add_loss_columns(builder, reduced, fleet.horizon.labels, counted[1])
        consumption.append((1.0, loss))
    add_radial_network(
        builder,
        reduced,
        fleet.horizon.labels,
        wired.reactive,
        consumption,
        np.zeros((zones, fleet.horizon.periods)),
        [(1.0, trade.imported), (-1.0, trade.exported)],
        [],
        here,
    )
    if counted is not None:
        flow = builder.columns_of("flow")
        assert flow is not None
        (expected,) = wired.at_buses(fleet.reference_demand - fleet.reference_generation)
        add_tangents(builder, reduced, flow, loss[1:], wired.reactive, expected, counted[0])
