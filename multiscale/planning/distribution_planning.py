r"""A DSO plans: which branches to reinforce and which volumetric charge recovers the cost, given how platforms respond.

    min over z in {0,1}, charge   existing cost + annuities' z  +  resource cost of operation(z, charge)       social cost [EUR/a]
    s.t.  allowed <= charge * (energy imported by platforms + passive energy) <= (1 + tolerance) allowed,   allowed = existing cost + annuities' z
          operation in argmin: cost of the DSO's network with all platforms, charge and levy included, new PV and storage bought by them

The follower is the DSO's program with every platform as one participant. All components of the tariff are transfers (charge, levy, deduction on
exports, fees on peer trade): they steer the follower and are not part of the social cost. Passive generation costs nothing: what its owners are paid
for it is a transfer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr
from scipy import sparse

from multiscale.devices import Adoption
from multiscale.devices.fleet import Fleet
from multiscale.operation import DistributionProgram, Market, distribution_program, platform_program
from multiscale.operation.tree import exchange_bounds
from multiscale.planning.follower_names import BUILT, DRAWN, PASSIVE, RENEWABLE, TAKEN, determinant_of, energy_value
from multiscale.planning.participants import Participants, participants
from multiscale.programs import Block, Index, Link, Output, ParametricProgram, compose
from multiscale.system import Economics, LoadingLimits, System
from multiscale.system.existing_network import existing_network_cost
from multiscale.tariffs import BILLED, Prices, Tariff
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class PlanningProblem:
    """A DSO's planning problem.

    Attributes:
        dso: the leader.
        horizon: representative days.
        program: the follower: parameters ``built`` (option) and the decided prices of the tariff; outputs ``resource_cost`` [EUR/a] and the
            determinant of every tariff component over all platforms.
        tariff: what is charged for.
        distribution: the DSO's part of it.
        options: reinforcements (component ``option``) in the order of ``built``.
        annuity: yearly cost of each option [EUR/a].
        existing_cost: yearly cost of the existing network [EUR/a].
        passive: determinant of every tariff component that passive customers add, in the shape of its prices.
        participants: platform -> its members as the planner sees them.
        members: platform -> its members.
        economics: values and costs.
        energy_price: forecast nodal price at the DSO's boundary [EUR/kWh], (period,).
        passive_outputs: what passive customers add to scalar outputs of the program whatever is decided, in the unit of the output.
        required, excluded: options that have to be built, as they were in an earlier stage, and that may not be built (bool, option).
        yardstick: see ``Position`` [EUR/a].
    """

    dso: str
    horizon: Horizon
    program: ParametricProgram
    tariff: Tariff
    distribution: DistributionProgram
    options: xr.Dataset
    annuity: np.ndarray
    existing_cost: float
    passive: Mapping[str, np.ndarray]
    participants: Mapping[str, Participants]
    members: Mapping[str, Fleet]
    economics: Economics
    energy_price: np.ndarray
    required: np.ndarray
    excluded: np.ndarray
    passive_outputs: Mapping[str, float] = field(default_factory=dict)
    yardstick: float = float("nan")

    def among(self, required: Collection[str] = (), excluded: Collection[str] = ()) -> PlanningProblem:
        """The same problem where some options have to be built and others may not be.

        Raises:
            ValueError: an option is required and excluded.
        """
        names = self.options.option.values.astype(str)
        inside, outside = np.isin(names, list(required)), np.isin(names, list(excluded))
        if (inside & outside).any():
            raise ValueError(f"plan of {self.dso}: options {names[inside & outside][:5].tolist()} are required and excluded")
        return replace(self, required=inside, excluded=outside)

    def at_prices(self, held: Prices) -> PlanningProblem:
        """The same problem where some decided components have one permitted price each, that of ``held``."""
        if not held:
            return self
        narrowed = {name: self.tariff.components[name].model_copy(update={"price_min": float(p), "price_max": float(p)}) for name, p in held.items()}
        return replace(self, tariff=Tariff(dict(self.tariff.components) | narrowed))

    @property
    def energy_has_a_price(self) -> bool:
        """Whether the energy price is above zero in every period."""
        return bool(self.energy_price.min() > 0)

    @property
    def constant(self) -> float:
        """Cost that no decision changes [EUR/a]: that of the existing network."""
        return self.existing_cost

    @property
    def single_price(self) -> str | None:
        """The tariff component that is decided, where it has one price and nothing else pays the operator; else None."""
        return self.scalar_price if [self.scalar_price] == list(self.tariff.earning) else None

    @property
    def scalar_price(self) -> str | None:
        """The tariff component that is decided, where that is one with one price, whatever else pays the operator; else None."""
        decided = list(self.tariff.decided)
        return decided[0] if len(decided) == 1 and self.passive[decided[0]].ndim == 0 else None

    @property
    def passive_energy(self) -> float:
        """Determinant of the single price that passive customers add."""
        return float(self.passive[str(self.scalar_price)])

    @property
    def price_range(self) -> tuple[float, float]:
        """Lowest and highest permitted value of the single price."""
        component = self.tariff.components[str(self.scalar_price)]
        return component.price_min, component.price_max


def planned_limits(system: System, limits: LoadingLimits) -> LoadingLimits:
    """The limits as planning knows them: what a repair tightened inside platforms whose network the planner does not see is not among them."""
    networks = list(system.at_level("dso"))
    networks += [c for dso in networks for c in system.children(dso) if len(_inside(system, c, system.options))]
    branches = {str(name) for node in networks for name in system.network(node).branches.branch.values.tolist()}
    buses = {str(name) for node in networks for name in system.network(node).buses.bus.values.tolist()}

    def kept(moved: Mapping[str, float], names: set[str]) -> dict[str, float]:
        return {name: value for name, value in moved.items() if name in names}

    return limits.model_copy(
        update={
            "rating_factor": kept(limits.rating_factor, branches),
            "load_factor": kept(limits.load_factor, branches),
            "raised_v_min": kept(limits.raised_v_min, buses),
            "lowered_v_max": kept(limits.lowered_v_max, buses),
        }
    )


def planning_problem(
    system: System,
    dso: str,
    horizon: Horizon,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    options: xr.Dataset,
    energy_price: np.ndarray,
    market: Market,
    *,
    limits: LoadingLimits = LoadingLimits(),
    adoption: Mapping[str, Adoption] | None = None,
    view: str = "platform",
) -> PlanningProblem:
    """State the problem of a DSO.

    Args:
        system: the whole.
        dso: the leader.
        horizon: representative days, all of them.
        economics: values and costs.
        fleets: platform -> prosumers over the horizon.
        options: reinforcements to choose from.
        energy_price: forecast nodal price at the DSO's boundary [EUR/kWh], (period,).
        market: how every platform clears.
        limits: shares of the ratings that may be used.
        adoption: platform -> capacity its members may buy together.
        view: how the planner sees the members of a platform, see ``participants``.
    """
    children, hours = system.children(dso), horizon.hours_per_year
    inside = {c: _inside(system, c, options) for c in children}
    known = {c for c, mine in inside.items() if len(mine)}
    seen = seen_participants(system, dso, economics, fleets, options, market, adoption, view)
    bounds = {c: exchange_bounds(p.fleet) for c, p in seen.items()}
    for c, p in seen.items():
        if p.adoption is not None:
            supply, consumption = p.fleet.new_supply(p.adoption).sum(axis=0), p.fleet.new_consumption(p.adoption).sum(axis=0)
            bounds[c] = (bounds[c][0] - supply, bounds[c][1] + consumption)
    distribution = distribution_program(
        system,
        dso,
        horizon,
        economics,
        {c: bounds[c][0] for c in children},
        {c: bounds[c][1] for c in children},
        {c: fleets[c].data.reactive.values.sum(axis=0) for c in children},
        relief=False,
        limits=limits,
        options=options,
        elsewhere=[name for c in children for name in inside[c]],
    )
    chosen, voltage = options.sel(option=list(distribution.options)), distribution.reduced.tree.no_load_voltage()[:, 0]
    platforms = {
        c: platform_program(
            p.fleet,
            economics,
            market,
            network=system.network(c) if c in known else None,
            root_voltage=float(voltage[bus]),
            adoption=p.adoption,
            agreements=False,
            limits=limits,
            options=chosen if c in known else None,
        )
        for (c, p), bus in zip(seen.items(), distribution.child_bus.tolist(), strict=True)
    }
    free = np.zeros(horizon.periods)
    internal = {"import_price": free, "export_price": free}
    exchange = distribution.program.parameters["exchange"].positions
    links = [Link(c, "exchange", exchange[k]) for k, c in enumerate(children)]
    joined = compose(
        f"operation of {dso}",
        distribution.program,
        platforms,
        links,
        dict.fromkeys(children, internal),
        shared=[*economics.tariff.decided, *([BUILT] if known else [])],
    )
    follower = joined.fix({"energy_price": energy_price})
    determinants = {name: _total(follower, [f"{c}/{BILLED}{name}" for c in children]) for name in economics.tariff.components}
    resource = sparse.csr_matrix(follower.c0[None, :])
    for name, component in economics.tariff.components.items():
        if not component.decided:
            prices = np.broadcast_to(np.asarray(component.given, dtype=float), component.shape(horizon)).reshape(1, -1)
            resource = resource - sparse.csr_matrix(prices) @ determinants[name].matrix
    outputs = {
        **{BILLED + name: output for name, output in determinants.items()},
        "resource_cost": Output(Index((Block("resource_cost", {}, "EUR/a", 0, "cost of operation without transfers"),)), resource),
        "unserved": _unserved(follower, hours),
        **{c: follower.outputs[f"{c}/exchange"] for c in children},
        **_of_targets(follower, seen, hours, np.asarray(energy_price, dtype=float)),
    }
    follower = _with_outputs(follower, outputs)
    annuity = chosen.cost_eur.values * np.array([economics.annuity(n) for n in chosen.lifetime_years.values.tolist()])
    passive = system.passive(dso, horizon)
    owed = {name: c.passive(passive.demand.values, passive.generation.values, horizon) for name, c in economics.tariff.components.items()}
    net = ((passive.demand.values - passive.generation.values) * hours).sum(axis=0)
    of_passive = {
        RENEWABLE: float((passive.generation.values * hours).sum()),
        energy_value(PASSIVE): float((net * energy_price).sum()),
    }
    return PlanningProblem(
        dso,
        horizon,
        follower,
        economics.tariff,
        distribution,
        chosen,
        annuity,
        existing_network_cost(system, dso, horizon, economics),
        owed,
        seen,
        {c: fleets[c] for c in children},
        economics,
        np.asarray(energy_price, dtype=float),
        np.zeros(len(annuity), dtype=bool),
        np.zeros(len(annuity), dtype=bool),
        of_passive,
    )


def seen_participants(
    system: System,
    dso: str,
    economics: Economics,
    fleets: Mapping[str, Fleet],
    options: xr.Dataset,
    market: Market,
    adoption: Mapping[str, Adoption] | None = None,
    view: str = "platform",
) -> dict[str, Participants]:
    """The platforms of a DSO as it sees them, arguments as of ``planning_problem``.

    Where lines of a low-voltage network may be reinforced, members are seen one by one in it.
    """
    offered = adoption or {}
    return {
        c: participants(fleets[c], "members", market, economics.tariff, offered.get(c, {}))
        if _inside(system, c, options)
        else participants(fleets[c], view, market, economics.tariff, offered.get(c))
        for c in system.children(dso)
    }


def _inside(system: System, platform: str, options: xr.Dataset) -> list[str]:
    """Names of options on branches of a platform's network."""
    return [str(o) for o in options.option.values[np.isin(options.branch.values, system.network(platform).active.branch.values)]]


def _total(program: ParametricProgram, names: Sequence[str]) -> Output:
    """The sum of outputs of one shape."""
    parts = [program.outputs[name] for name in names]
    return Output(parts[0].index, sum((part.matrix for part in parts[1:]), parts[0].matrix))


def _unserved(program: ParametricProgram, hours: np.ndarray) -> Output:
    """Energy that is not served, of passive customers and in platforms."""
    weight = np.zeros(program.columns.size)
    for block in program.columns:
        if block.name.rsplit("/", 1)[-1] == "unserved":
            weight[block.positions] = hours
    return _scalar("unserved", "kWh/a", "energy not served", weight)


def _of_targets(program: ParametricProgram, seen: Mapping[str, Participants], hours: np.ndarray, energy_price: np.ndarray) -> dict[str, Output]:
    """Outputs that targets refer to: renewable energy, exchange with the parent, and, by group of customers, energy value and determinants."""
    renewable, drawn, taken, passive = (np.zeros(program.columns.size) for _ in range(4))
    for c, p in seen.items():
        for name in (f"{c}/{column}" for device in p.fleet.devices.values() for column in device.yields):
            if name in program.columns:
                renewable[program.columns[name].positions] = hours
    bought, fed, unserved, curtailed = (program.columns[name].positions for name in ("import", "export", "unserved", "curtailed"))
    renewable[curtailed] = -hours
    drawn[bought], drawn[fed], taken[bought] = hours, -hours, hours
    passive[unserved], passive[curtailed] = -hours * energy_price, hours * energy_price
    found = {
        RENEWABLE: _scalar(RENEWABLE, "kWh/a", "renewable energy generated", renewable),
        DRAWN: _scalar(DRAWN, "kWh/a", "energy exchanged with the parent", drawn),
        TAKEN: _scalar(TAKEN, "kWh/a", "energy taken from the parent", taken),
        energy_value(PASSIVE): _scalar(energy_value(PASSIVE), "EUR/a", "value of energy drawn", passive),
    }
    for c in seen:
        value = (hours * energy_price) @ program.outputs[f"{c}/exchange"].matrix
        found[energy_value(c)] = _scalar(energy_value(c), "EUR/a", "value of energy drawn", np.asarray(value).ravel())
        found |= {name: output for name, output in program.outputs.items() if name.startswith(determinant_of(c, ""))}
    return found


def _scalar(name: str, unit: str, description: str, weight: np.ndarray) -> Output:
    return Output(Index((Block(name, {}, unit, 0, description),)), sparse.csr_matrix(weight[None, :]))


def _with_outputs(program: ParametricProgram, outputs: Mapping[str, Output]) -> ParametricProgram:
    return replace(program, outputs=dict(outputs))
