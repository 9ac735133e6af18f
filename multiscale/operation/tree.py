"""The operating programs of the whole hierarchy over one horizon, and the integrated program they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.measures import added_rating
from multiscale.operation.built import built_network
from multiscale.operation.clearing import Market
from multiscale.operation.distribution import DistributionProgram, distribution_program, without_relief
from multiscale.operation.platform import most_lost
from multiscale.operation.platforms import PlatformData, Platforms
from multiscale.operation.transmission import Transmission
from multiscale.programs import Link, ParametricProgram, compose
from multiscale.system import Economics, LoadingLimits, System
from multiscale.tariffs import Prices
from multiscale.timeline import Horizon

BEYOND = 1e7
"""A limit [kW] no platform or connection ever reaches: none was agreed."""


@dataclass(frozen=True)
class Design:
    """What was decided about the years, as operation sees it.

    Attributes:
        built: option -> True where it is built (missing options are not).
        prices: DSO -> prices of the tariff components that are decided, component -> prices.
    """

    built: Mapping[str, bool] = field(default_factory=dict)
    prices: Mapping[str, Prices] = field(default_factory=dict)

    def choice(self, options: tuple[str, ...]) -> np.ndarray:
        """The design as a vector over options [1]."""
        return np.array([1.0 if self.built.get(o, False) else 0.0 for o in options])

    def options(self, options: xr.Dataset) -> xr.Dataset:
        """Those of some options (component ``option``) that are built."""
        return options.isel(option=np.flatnonzero(self.choice(tuple(options.option.values.tolist()))))


@dataclass(frozen=True)
class OperatingTree:
    """Programs of all nodes over one horizon.

    Attributes:
        system, horizon, economics: what they were built from.
        fleets: platform -> prosumers.
        platforms: platform -> program (at prosumer resolution, with its network).
        distribution: DSO -> program.
        transmission: the TSO.
        design: reinforcements and prices in force.
        market: how every platform clears.
        limits: shares of the ratings that may be used.
        error_margin: see ``operating_tree``.
    """

    system: System
    horizon: Horizon
    economics: Economics
    fleets: Mapping[str, Fleet]
    platforms: Platforms
    distribution: Mapping[str, DistributionProgram]
    transmission: Transmission
    design: Design
    market: Market
    limits: LoadingLimits = field(default_factory=LoadingLimits)
    error_margin: float = 0.0

    def under(self, design: Design) -> OperatingTree:
        """The same tree under another design, which is a parameter of its programs; platforms that know their network have it as it is built."""
        networks = {
            name: built_network(self.system, name, design.options(self.system.options)) for name, d in self.platforms.data.items() if d.network
        }
        changed = {name: network for name, network in networks.items() if network is not self.platforms.data[name].network}
        return replace(self, design=design, platforms=self.platforms.with_networks(changed) if changed else self.platforms)

    def fed_at(self, voltages: Mapping[str, np.ndarray]) -> OperatingTree:
        """The same tree with other voltages at the busbars of its platforms [pu], platform -> (period,)."""
        return replace(self, platforms=self.platforms.fed_at(voltages))

    def prices(self, dso: str) -> Prices:
        """Prices in force at a DSO of every tariff component that is decided; zero where nothing was decided."""
        decided, given = self.economics.tariff.decided, self.design.prices.get(dso, {})
        return {name: np.asarray(given.get(name, 0.0), dtype=float) for name in decided}


def exchange_bounds(fleet: Fleet) -> tuple[np.ndarray, np.ndarray]:
    """Interval [kW] (period,) in which a platform's exchange must lie, whatever its devices do.

    At prices beyond the value of lost load its program may leave it by ``BEYOND_DEVICES`` for every member.
    """
    return -fleet.largest_supply().sum(axis=0), fleet.largest_consumption().sum(axis=0)


def connection_limits(tree: OperatingTree, dso: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the transformers between a DSO and each platform can carry under the design [kW]: platform -> (import, export), (period,)."""
    own, system = tree.distribution[dso], tree.system
    network = own.reduced.tree
    at = {bus: i for i, bus in enumerate(network.buses.tolist())}
    options = tree.design.options(system.options.sel(option=list(own.options)))
    added = np.zeros(len(network.buses))
    for branch, kva in zip(options.branch.values.tolist(), added_rating(options).tolist(), strict=True):
        added[next(i for i, members in enumerate(network.members) if branch in members)] += kva
    limits = {}
    for child in own.children:
        fed = at[system.boundary_bus(child)]
        reactive = np.zeros((len(network.buses), tree.horizon.periods))
        reactive[fed] = tree.fleets[child].arrays["reactive"].sum(axis=0)
        forward, reverse = network.usable(reactive, added)
        alone = np.isfinite(network.rating[fed]) and not (network.feeder == fed).any()
        limits[child] = (forward[fed], reverse[fed]) if alone else (np.full(tree.horizon.periods, BEYOND),) * 2
    return limits


def net_load_size(fleet: Fleet) -> np.ndarray:
    """Size of a fleet's demand and generation [kW], (period,), to which its forecast errors are relative: both err independently."""
    return np.hypot(fleet.reference_demand.sum(axis=0), fleet.reference_generation.sum(axis=0))


def reference_exchange(fleet: Fleet) -> np.ndarray:
    """Exchange [kW] (period,) of a fleet without demand response: reference demand less available generation."""
    return (fleet.reference_demand - fleet.reference_generation).sum(axis=0)


def operating_tree(
    system: System,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    design: Design,
    market: Market,
    *,
    networks: bool = True,
    limits: LoadingLimits = LoadingLimits(),
    error_margin: float = 0.0,
    bounds: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> OperatingTree:
    """Build the programs of every node of the system; those of the platforms when they are first looked at.

    Args:
        system, horizon, economics: the whole, the periods (one day as a rule), the values.
        fleets: platform -> prosumers, at the resolution at which they are to be seen.
        design: reinforcements and charges in force.
        market: how every platform clears.
        networks: whether platforms know their low-voltage network (a parent's model of them does not).
        limits: shares of the ratings that may be used.
        error_margin: forecast errors, as a share of demand and generation, for which the DSOs' networks must keep capacity: limits that cannot
            bind even then are not in their programs.
        bounds: interval of every platform's exchange [kW], (period,); default: what its fleet can do.
    """
    built = design.options(system.options)
    inside = {name: built_network(system, name, built) for name in fleets} if networks else {}
    losses = market.counted_losses
    distribution = {}
    between = {c: exchange_bounds(fleet) for c, fleet in fleets.items()} if bounds is None else bounds
    if losses is not None and bounds is None:
        # What is lost inside a platform is drawn at its connection too.
        lost = {c: most_lost(fleets[c], network, limits) for c, network in inside.items()}
        between = {c: (low, high + lost.get(c, 0.0)) for c, (low, high) in between.items()}
    for dso in system.at_level("dso"):
        children = system.children(dso)
        room = {c: error_margin * net_load_size(fleets[c]) for c in children}
        distribution[dso] = distribution_program(
            system,
            dso,
            horizon,
            economics,
            {c: between[c][0] - room[c] for c in children},
            {c: between[c][1] + room[c] for c in children},
            {c: fleets[c].arrays["reactive"].sum(axis=0) for c in children},
            limits=limits,
        )
    voltage: dict[str, float] = {}
    for own in distribution.values():
        no_load = dict(zip(own.reduced.tree.buses.tolist(), own.reduced.tree.no_load_voltage()[:, 0].tolist(), strict=True))
        voltage |= {c: no_load[system.boundary_bus(c)] for c in own.children}
    platforms = Platforms(
        {
            name: PlatformData(fleet, economics, market, inside.get(name), voltage.get(name, 1.0), limits, losses if name in inside else None)
            for name, fleet in fleets.items()
        }
    )
    return OperatingTree(
        system, horizon, economics, fleets, platforms, distribution, Transmission(system, horizon, economics), design, market, limits, error_margin
    )


def dso_reference(system: System, dso: str, horizon: Horizon, fleets: Mapping[str, Fleet]) -> np.ndarray:
    """Exchange [kW] (period,) of a DSO whose platforms have no demand response."""
    passive = system.passive(dso, horizon)
    own = (passive.demand - passive.generation).sum("bus").values
    return own + sum((reference_exchange(fleets[c]) for c in system.children(dso)), np.zeros(horizon.periods))


def dso_branch_program(tree: OperatingTree, dso: str) -> ParametricProgram:
    """A DSO and all its platforms as one program: the design and the charge are fixed, prices between them are internal and vanish.

    Charges, levies and fees stay, since they are what platforms see: the optimum is the competitive equilibrium under them.
    Parameter: ``energy_price`` (period) [EUR/kWh]. Output: ``exchange`` (period) [kW] drawn from the TSO.
    """
    own = tree.distribution[dso]
    free = np.zeros(tree.horizon.periods)
    internal = {"import_price": free, "export_price": free, "import_limit": BEYOND, "export_limit": BEYOND, "planned": free, "deviation_price": 0.0}
    fixed = {c: internal | dict(tree.prices(dso)) for c in own.children}
    exchange = own.program.parameters["exchange"].positions if own.children else np.zeros((0, tree.horizon.periods), dtype=int)
    links = [Link(c, "exchange", exchange[k]) for k, c in enumerate(own.children)]
    joined = compose(f"{dso} with platforms", without_relief(own.program), {c: tree.platforms[c] for c in own.children}, links, fixed)
    return joined.fix({"built": tree.design.choice(own.options)})
