"""Repair of a plan whose operation violates limits in the AC power flow: what the linear network models neglect is kept free where it is missing.

In every round a violated branch may use less of its rating, and a violated bus less of its band: just as much as the violation demands, and a small
step more,

    factor  <-  factor * 100 / loading * (1 - step)          margin  <-  margin + distance from the band + step

and the plan is made and operated anew under these limits. Limits are only ever tightened. No band is tightened beyond the no-load voltage, which is
the voltage where nothing flows.

The program of a platform takes the voltage at its busbar as given: what the forecast of the operators leads to in the linear model of the network
above. That may be off by more than the margin keeps, and then the limits need not bind where the AC power flow is violated. So the difference of
AC and linear voltage is measured at every bus of the platform, in the periods in which one of them is violated, and kept:

    margin  <-  max(margin + distance from the band, |AC voltage - linear voltage| - the rule's margin) + step

A branch that a single outage would overload is tightened under load only, and only once nothing is violated without outages: to the usable share at
which what it carries without the outage asks for the rating that the outage takes,

    share  <-  min(share, (1 - margin) * loading without the outage) / loading under the outage * (1 - step)

so that the reinforcement that survives the outage is the one that the planner needs; the margin is what the linear model may be below the AC loading.

Conventional planning and the choice of days keep to the rule (``LoadingLimits.untightened``): a planner without platforms does not know their
response, and the violations that a repair looks at are those under it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from multiscale.operation.radial import radial_tree
from multiscale.planning.no_plan import NoPlanError
from multiscale.system import LoadingLimits, System

State = TypeVar("State")
NEGLIGIBLE_PU = 1e-6
"""Tightening by less than this is none."""


@dataclass(frozen=True)
class Violations:
    """What the AC power flow found violated, each at its worst.

    Attributes:
        overloaded: branch -> loading above its rating [%].
        outside: bus -> distance of its voltage from its band [pu], above positive, below negative; NaN without supply.
        error: bus of a platform -> lowest and highest AC voltage less that of the linear model [pu], in the periods in which some bus of the
            platform is violated.
        under_outage: branch that a single outage overloads and an option makes strong enough -> its loading without and under the outage, as
            shares of its rating [1].
    """

    overloaded: Mapping[str, float] = field(default_factory=dict)
    outside: Mapping[str, float] = field(default_factory=dict)
    error: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    under_outage: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.rank)

    @property
    def rank(self) -> tuple[int, int]:
        """Branches and buses violated without outages, and branches that an outage would overload: what is violated without comes first."""
        return len(self.overloaded) + len(self.outside), len(self.under_outage)

    def in_words(self) -> str:
        """The counts as a phrase."""
        violated, under_outage = self.rank
        more = f" and {under_outage} branches overloaded under a single outage" if under_outage else ""
        return f"{violated} branches and buses violated{more}"

    def joined(self, other: Violations) -> Violations:
        """The worst of both."""
        overloaded = {b: max(v.overloaded.get(b, 0.0) for v in (self, other)) for b in {**self.overloaded, **other.overloaded}}
        outside = {**other.outside, **{bus: d for bus, d in self.outside.items() if not abs(d) < abs(other.outside.get(bus, 0.0))}}
        both = {bus: [v.error[bus] for v in (self, other) if bus in v.error] for bus in {**self.error, **other.error}}
        error = {bus: (min(e[0] for e in each), max(e[1] for e in each)) for bus, each in both.items()}
        outage = {
            b: max((v.under_outage[b] for v in (self, other) if b in v.under_outage), key=lambda found: found[1])
            for b in {**self.under_outage, **other.under_outage}
        }
        return Violations(overloaded, outside, error, outage)


@dataclass(frozen=True)
class Tightened:
    """Limits of the next round.

    Attributes:
        limits: None where nothing is left to tighten.
        beyond: violations that tightening cannot remove, in words.
    """

    limits: LoadingLimits | None
    beyond: tuple[str, ...]


@dataclass(frozen=True)
class Repaired(Generic[State]):
    """The end of a repair.

    Attributes:
        state: the plan that stands, with its operation.
        limits: under which it was made.
        violations: number of branches and buses that were violated, round by round (where none was, of branches that a single outage would
            overload); the last is that of ``state``.
        stopped: why the repair ended with violations, in words; empty where none is left.
    """

    state: State
    limits: LoadingLimits
    violations: tuple[int, ...]
    stopped: tuple[str, ...]


def repaired(
    system: System,
    limits: LoadingLimits,
    made: Callable[[LoadingLimits], State],
    checked: Callable[[State], Violations],
    *,
    rounds: int,
    share_step: float = 0.01,
    voltage_step_pu: float = 0.0005,
) -> Repaired[State]:
    """Plan, check and tighten, round by round, until nothing is violated, nothing is left to tighten, or the rounds are used up.

    A plan under tighter limits that leaves more violated, or that does not exist, is not taken: the round before stands, and it is said.

    Args:
        system: owner of the networks.
        limits: of the first plan.
        made: limits -> the plan under them, operated.
        checked: what the AC power flow finds violated in it.
        rounds: largest number of plans after the first.
        share_step, voltage_step_pu: see ``next_limits``.

    Raises:
        NoPlanError: there is no plan even under the first limits.
    """
    state = made(limits)
    found = checked(state)
    counts = [len(found)]
    stopped: tuple[str, ...] = ()
    for _ in range(rounds):
        if not len(found):
            break
        tightened = next_limits(limits, found, system, share_step=share_step, voltage_step_pu=voltage_step_pu)
        stopped = tightened.beyond
        if tightened.limits is None:
            stopped = (*stopped, "nothing is left to tighten")
            break
        try:
            after = made(tightened.limits)
        except NoPlanError as error:
            stopped = (*stopped, f"there is no plan under tighter limits: {error}")
            break
        left = checked(after)
        if left.rank > found.rank:
            stopped = (*stopped, f"tighter limits leave {left.in_words()} instead of {found.in_words()}")
            break
        state, limits, found = after, tightened.limits, left
        counts.append(len(found))
    else:
        stopped = (*stopped, f"{rounds} rounds are used up")
    return Repaired(state, limits, tuple(counts), stopped if len(found) else ())


def next_limits(limits: LoadingLimits, found: Violations, system: System, *, share_step: float = 0.01, voltage_step_pu: float = 0.0005) -> Tightened:
    """Limits tightened as much as some violations demand.

    Args:
        limits: under which the plan was made.
        found: what its AC power flow violates.
        system: owner of the networks.
        share_step: how much more a branch is relieved than the violation demands, as a share of what it may use [1].
        voltage_step_pu: how much more of a voltage band is kept [pu].

    Raises:
        KeyError: a bus that no network of a DSO or platform of the system holds.
    """
    factors = dict(limits.rating_factor)
    for branch, percent in found.overloaded.items():
        factors[branch] = factors.get(branch, 1.0) / (1.0 + percent / 100.0) * (1.0 - share_step)
    load_factors = _load_factors(limits, found.under_outage, system, share_step)
    buses = _buses(system, limits.untightened())
    if unknown := sorted(set(found.outside) - set(buses)):
        raise KeyError(f"repair: buses {unknown[:5]} belong to no network of a DSO or platform")
    platforms = {node: [bus for bus, known in buses.items() if known.node == node] for node in system.at_level("platform")}
    margins = {1: dict(limits.lowered_v_max), -1: dict(limits.raised_v_min)}
    beyond, changed = [], bool(found.overloaded) or load_factors != limits.load_factor
    for bus, distance in found.outside.items():
        known, side = buses[bus], 1 if distance > 0 else -1
        before = (limits.lowered_v_max if side > 0 else limits.raised_v_min).get(bus, 0.0)
        if np.isnan(distance):
            beyond.append(f"bus {bus} has no supply")
        elif known.room[side] - before <= NEGLIGIBLE_PU:
            where = "above" if side > 0 else "below"
            beyond.append(f"the voltage of bus {bus} is {abs(distance):.4f} pu {where} its band, which cannot be tightened further")
        else:
            for each in platforms.get(known.node, [bus]):
                held, (low, high) = margins[side].get(each, 0.0), found.error.get(each, (0.0, 0.0))
                wanted = max(before + abs(distance) if each == bus else 0.0, (high if side > 0 else -low) - known.margin)
                new = min(wanted + voltage_step_pu, buses[each].room[side]) if wanted > 0 else 0.0
                if new > held + NEGLIGIBLE_PU:
                    margins[side][each], changed = new, True
    moved = {"rating_factor": factors, "load_factor": load_factors, "lowered_v_max": margins[1], "raised_v_min": margins[-1]}
    return Tightened(limits.model_copy(update=moved) if changed else None, tuple(beyond))


def _load_factors(limits: LoadingLimits, found: Mapping[str, tuple[float, float]], system: System, step: float) -> dict[str, float]:
    """Factors on usable shares under load after some outages; never more than they are."""
    factors, vn = dict(limits.load_factor), dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    for branch, (carried, loading) in found.items():
        below = vn[str(system.branches.to_bus.sel(branch=branch).item())]
        (rule,), _ = limits.shares(np.array([below]), with_margin=True)
        share = float(rule) * limits.rating_factor.get(branch, 1.0)
        now = factors.get(branch, 1.0) * share
        factors[branch] = min(now, (1.0 - limits.margin) * carried) / max(loading, 1.0) * (1.0 - step) / share
    return factors


@dataclass(frozen=True)
class _Bus:
    """A bus, the node whose network it is in, and the margin of its band in operation [pu].

    ``room``: how far its band may be tightened at the upper (1) and lower (-1) end [pu]: up to its voltage without load. A bus whose voltage is held
    has no room, since no flow moves it.
    """

    node: str
    margin: float
    room: Mapping[int, float]


def _buses(system: System, rule: LoadingLimits) -> dict[str, _Bus]:
    found: dict[str, _Bus] = {}
    operated = rule.at_known_busbars()
    for dso in system.at_level("dso"):
        above = radial_tree(system.network(dso), rule)
        fed = dict(zip(above.buses.tolist(), above.no_load_voltage()[:, 0].tolist(), strict=True))
        trees = {child: radial_tree(system.network(child), rule, fed[system.boundary_bus(child)]) for child in system.children(dso)}
        # A busbar is in the network above, which feeds it, and the root of its own.
        for node, tree in {**trees, dso: above}.items():
            still = tree.no_load_voltage()[:, 0]
            high, low = (np.where(tree.reference, 0.0, np.maximum(free, 0.0)) for free in (tree.v_max - still, still - tree.v_min))
            for k, bus in enumerate(tree.buses.tolist()):
                found[bus] = _Bus(node, operated.voltage_margin(float(tree.vn_kv[0])), {1: float(high[k]), -1: float(low[k])})
    return found
