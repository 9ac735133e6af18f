"""Bidirectional negotiation over the whole tree: TSO -> DSOs -> platforms, certificates nested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from multiscale.content import content_key
from multiscale.coordination.common.convergence import Step
from multiscale.coordination.common.messages import Traffic
from multiscale.coordination.engine import Engine
from multiscale.coordination.negotiation.branch import Branch, Branches
from multiscale.coordination.negotiation.children.carriers import Children
from multiscale.coordination.negotiation.children.channel import Channel, ChannelState
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.coordination.negotiation.children.program_child import Kept, Settled
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren, Source
from multiscale.coordination.negotiation.children.request import Band, band_of
from multiscale.coordination.negotiation.dso import DsoProgram
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.resolution import Resolution
from multiscale.coordination.negotiation.state import NegotiationOptions, NegotiationResult
from multiscale.coordination.negotiation.top import TopProgram, top_parent
from multiscale.operation import OperatingTree
from multiscale.operation.clearing import BEYOND_DEVICES
from multiscale.operation.reserves import ErrorPool, ForecastErrors
from multiscale.operation.tree import dso_reference, net_load_size, reference_exchange
from multiscale.programs import Basis, ParametricProgram
from multiscale.version import __version__

INNER = NegotiationOptions(method="level", gap=1e-7, rounds=12)
"""How DSOs negotiate with their platforms: linear answers suffice, since their prices follow from the TSO's nearly always."""


@dataclass
class TreeNegotiation:
    """The negotiation of a tree, with all its state.

    Attributes:
        tree: programs of all nodes.
        top: the TSO's program with the limits found so far.
        programs: DSO -> its program with the tangents found so far.
        negotiation: of the TSO with its DSOs.
        branches: DSO -> branch (those with platforms).
        platforms: all platforms on the engine.
        plain: DSOs without platforms on the engine.
        channel: what the channel to the DSOs has on its way, where ``run`` was given an unreliable one.
        settled: platform -> what it does to keep what was agreed in the end.
    """

    tree: OperatingTree
    top: TopProgram
    programs: dict[str, DsoProgram]
    negotiation: Negotiation
    branches: dict[str, Branch]
    platforms: RemoteChildren
    plain: RemoteChildren
    channel: ChannelState | None = None
    settled: dict[str, Settled] = field(default_factory=dict)

    @property
    def children(self) -> Branches:
        """The DSOs as children of the TSO."""
        return Branches(self.branches, self.platforms, self.plain)

    @property
    def error_pools(self) -> dict[str, ErrorPool]:
        """Parent -> its forecast errors with the tangents found so far, where forecasts err."""
        every = {self.tree.system.top: self.top.error_pool} | {d: p.error_pool for d, p in self.programs.items()}
        return {node: error_pool for node, error_pool in every.items() if error_pool is not None}

    def traffic(self) -> Traffic:
        """Messages at both boundaries so far."""
        total = Traffic()
        for part in (self.negotiation, *(b.negotiation for b in self.branches.values())):
            total.messages += part.state.traffic.messages
            total.bytes += part.state.traffic.bytes
            total.fields |= part.state.traffic.fields
        return total

    @cached_property
    def fingerprint(self) -> str:
        """What is negotiated about: the programs of the TSO, of the DSOs and of all children, how, and by which version."""
        tree, top = self.tree, self.tree.transmission
        ends = top.passive_bus, top.generator_bus, top.child_bus
        supply = top.model, ends, top.demand, top.renewable, top.largest_output, top.system.generators, top.economics, top.horizon
        dsos = [(d, tree.distribution[d].program, tree.design.choice(tree.distribution[d].options)) for d in self.branches]
        children = [dict(part.keys) for part in (self.platforms, self.plain)]
        errors = {node: (error_pool.errors, error_pool.largest) for node, error_pool in self.error_pools.items()}
        return content_key(__version__, self.negotiation.options.method, supply, dsos, children, errors)

    def excluded(self) -> dict[str, str]:
        """Nodes that were excluded, and why."""
        out = dict(self.negotiation.state.excluded)
        for branch in self.branches.values():
            out |= branch.negotiation.state.excluded
        return out

    def run(
        self,
        watch: Callable[[Step], None] | None = None,
        keep: Callable[[Negotiation], None] | None = None,
        through: Callable[[Children], Children] = lambda children: children,
    ) -> NegotiationResult:
        """Negotiate, and operate the platforms as agreed; see ``Negotiation.run``.

        A platform that cannot keep its profile, or not at the cost it said, is excluded: its DSO takes nothing for true that counted on it, and the
        others negotiate anew around it.

        Args:
            watch, keep: see ``Negotiation.run``.
            through: wraps the way to the DSOs, e.g. in a channel that loses messages.
        """
        children = through(self.children)
        if isinstance(children, Channel):
            self.channel = children.state = self.channel or children.state
        while True:
            agreement = self.negotiation.run(children, watch, keep)
            # What the platforms of an excluded DSO agreed on is not known.
            if self.negotiation.state.excluded or not self._exclude_who_fails(agreement):
                break
            self.negotiation.restart()
        excluded = self.excluded()
        return replace(agreement, status="partial", excluded=excluded) if excluded else agreement

    def agreed(self, agreement: NegotiationResult) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, float]]:
        """Of every node: the profile agreed [kW] and the price at it [EUR/kWh], (entry,), and what it said that this costs itself [EUR/a]."""
        parent, point = self.negotiation.parent, agreement.point
        profile, price = dict(zip(parent.names, point.exchange, strict=True)), dict(zip(parent.names, point.price, strict=True))
        said = dict(zip(parent.names, point.own.tolist(), strict=True))
        for dso, branch in self.branches.items():
            shared, own = branch.shared_out(parent.offers[dso], point.weights[dso])
            profile |= dict(zip(branch.parent.names, shared, strict=True))
            price |= dict(zip(branch.parent.names, branch.platform_price(price[dso]), strict=True))
            said |= dict(zip(branch.parent.names, own.tolist(), strict=True))
        return profile, price, said

    def counted(self) -> dict[str, np.ndarray]:
        """Price at which what each node proved counts in the bound of the whole [EUR/kWh], (entry,); of a platform, in the bound of its DSO."""
        parent, centre = self.negotiation.parent, self.negotiation.state.centre
        assert centre is not None
        prices = dict(zip(parent.names, centre, strict=True))
        for dso, branch in self.branches.items():
            asked, _ = self.negotiation.state.known[dso][self.negotiation.rests_on(dso, prices[dso])[0]]
            prices |= dict(zip(branch.parent.names, branch.proof(asked)[0], strict=True))
        return prices

    def least_of_branch(self, dso: str, price: np.ndarray) -> float:
        """Bound of a DSO with its platforms at a price from above, from what its own negotiation proved [EUR/a]."""
        at, claimed = self.negotiation.rests_on(dso, price)
        asked, value = self.negotiation.state.known[dso][at]
        return self.branches[dso].proof(asked)[1] + claimed - value

    def _exclude_who_fails(self, agreement: NegotiationResult) -> bool:
        """Operate the platforms as agreed and exclude those that fail; whether there are any."""
        profile, price, said = self.agreed(agreement)
        excluded, counted, failed = self.excluded(), self.counted(), False
        # Answers came from reduced fleets; what is operated is every prosumer behind its own network.
        asked = {c: branch.negotiation.asked_of(c) for branch in self.branches.values() for c in branch.parent.names}
        kept = {c: Kept(profile[c], price[c], counted[c], asked=asked[c]) for c in self.platforms.sources if c not in excluded}
        done = self.platforms.settle(kept)
        self.settled = {c: s for c, s in done.items() if isinstance(s, Settled)}
        for dso, branch in self.branches.items():
            mine = [c for c in branch.parent.names if c in done]
            if branch.negotiation.exclude_all({c: branch.negotiation.not_kept(c, said[c], kept[c], done[c]) for c in mine}):
                self.negotiation.forget(dso)
                branch.proven.clear()
                failed = True
        return failed


def negotiation_of(
    tree: OperatingTree,
    engine: Engine,
    options: NegotiationOptions,
    first: np.ndarray | None = None,
    inner: NegotiationOptions = INNER,
    errors: Mapping[str, ForecastErrors] | None = None,
    programs_of: Mapping[str, ParametricProgram] | None = None,
    starts: Mapping[str, Basis] | None = None,
) -> TreeNegotiation:
    """Set up the negotiation of a tree.

    Args:
        tree: programs of all nodes; the TSO's periods may be longer than those below.
        engine: where platforms (and DSOs without any) compute their answers.
        options: of the TSO with its DSOs.
        first: price lists to begin with [EUR/kWh], (list, DSO, period), such as yesterday's.
        inner: of the DSOs with their platforms.
        errors: node -> its forecast errors, in its own periods: then the reserves for them are negotiated too (see ``operation.reserves``).
        programs_of: platform -> its own program, all parameters fixed, where it is not the one of the tree (as in the middle of a day).
        starts: platform -> basis of its program at similar prices, where one is known.
    """
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    hours, dsos = tree.horizon.hours_per_year, tree.transmission.children
    if errors:
        _check_margin(tree, errors)
    # Where forecasts err, a profile is followed by the uncertainty handed over.
    profile = (lambda energy, handed: np.concatenate([energy, handed], axis=-1)) if errors else (lambda energy, _: energy)
    bands: dict[str, Band] = {}
    programs: dict[str, DsoProgram] = {}
    branches: dict[str, Branch] = {}
    platforms: dict[str, Source] = {}
    plain: dict[str, ParametricProgram] = {}
    handed = np.zeros((len(dsos), resolution.above.periods))
    for k, dso in enumerate(dsos):
        own = tree.distribution[dso]
        own_errors = {c: errors[c] for c in own.children} if errors else {}
        handed_below = np.array([e.deviation for e in own_errors.values()]).reshape(len(own_errors), tree.horizon.periods)
        error_pool = ErrorPool(errors[dso], handed_below) if errors else None
        mine = programs[dso] = DsoProgram(own, tree.design.choice(own.options), tree.economics, resolution, error_pool)
        program = mine.program()
        most = {name: resolution.means(program.columns.values(name, program.upper)) for name in ("import", "export")}
        if error_pool is not None:
            handed[k] = mine.most_handed
        bands[dso] = band_of(profile(-most["export"], np.zeros_like(handed[k])), profile(most["import"], handed[k]))
        if not own.children:
            free = dict.fromkeys((b.name for b in program.parameters), 0.0)
            plain[dso] = mine.from_above(program.fix(free))
            continue
        lowest, highest = (np.array([side[c] for c in own.children]) for side in (own.low, own.high))
        expected = np.clip(np.array([reference_exchange(tree.fleets[c]) for c in own.children]), lowest, highest)
        # What a program can do at any price, not only what devices can: a bound that counts on less does not hold.
        beyond = np.array([[BEYOND_DEVICES * tree.fleets[c].size] for c in own.children])
        lowest, highest = lowest - beyond, highest + beyond
        below = {
            c: band_of(*b)
            for c, b in zip(own.children, zip(profile(lowest, 0.0 * handed_below), profile(highest, handed_below), strict=True), strict=True)
        }
        parent = Parent(program, profile(hours, hours), below, mine.extend if errors else None, mine.given)
        branches[dso] = Branch(parent, mine, profile(expected, handed_below), inner)
        if programs_of is None:
            known = {c: basis.packed() for c, basis in (starts or {}).items()}
            platforms |= {c: PlatformSource(tree.platforms.data[c], tree.prices(dso), own_errors.get(c), known.get(c)) for c in own.children}
        else:
            platforms |= {c: programs_of[c] for c in own.children}
    expected = np.array([resolution.means(dso_reference(tree.system, d, tree.horizon, tree.fleets)) for d in dsos])
    error_pool = ErrorPool(errors[tree.system.top], handed) if errors else None
    parent, top = top_parent(tree.transmission, bands, expected, error_pool)
    negotiation = Negotiation(parent, profile(expected, handed), options, first)
    above = resolution.above.hours_per_year
    both = RemoteChildren(engine, platforms, profile(hours, hours)), RemoteChildren(engine, plain, profile(above, above))
    return TreeNegotiation(tree, top, programs, negotiation, branches, *both)


def _check_margin(tree: OperatingTree, errors: Mapping[str, ForecastErrors]) -> None:
    for c, fleet in tree.fleets.items():
        if (errors[c].coverage * errors[c].deviation > tree.error_margin * net_load_size(fleet) * (1 + 1e-9) + 1e-9).any():
            raise ValueError(
                f"the networks above {c!r} were built for forecast errors of {tree.error_margin:g} of its net load; for larger ones "
                "build the tree with a larger error_margin (operating_tree)"
            )
