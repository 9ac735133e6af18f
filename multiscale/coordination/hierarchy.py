"""Bidirectional negotiation over the whole tree: TSO -> DSOs -> platforms, certificates nested, and the operation that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from multiscale.coordination.bidirectional import Negotiation
from multiscale.coordination.branch import Branch, Branches
from multiscale.coordination.checkpoint import fingerprint, keeping
from multiscale.coordination.children import Children
from multiscale.coordination.convergence import Step
from multiscale.coordination.crew import EngineChildren
from multiscale.coordination.engine import Engine
from multiscale.coordination.messages import Traffic
from multiscale.coordination.negotiation_state import Agreement, Options
from multiscale.coordination.outcome import Outcome, transmission_cost
from multiscale.coordination.parent import Parent
from multiscale.coordination.platform_child import PlatformSource
from multiscale.coordination.prepared import PreparedDay, Tell, silent
from multiscale.coordination.request import Band, band_of
from multiscale.coordination.resolution import Resolution
from multiscale.coordination.top import TopProgram, top_parent
from multiscale.operation import OperatingTree
from multiscale.operation.tree import dso_reference, reference_exchange
from multiscale.programs import ParametricProgram, ProgramError

INNER = Options(method="level", gap=1e-7, rounds=12)
"""How DSOs negotiate with their platforms: linear answers suffice, since their prices follow from the TSO's nearly always."""


@dataclass
class TreeNegotiation:
    """The negotiation of a tree, with all its state.

    Attributes:
        tree: programs of all nodes.
        top: the TSO's program with the limits found so far.
        negotiation: of the TSO with its DSOs.
        branches: DSO -> branch (those with platforms).
        platforms: all platforms on the engine.
        plain: DSOs without platforms on the engine.
    """

    tree: OperatingTree
    top: TopProgram
    negotiation: Negotiation
    branches: dict[str, Branch]
    platforms: EngineChildren
    plain: EngineChildren

    @property
    def children(self) -> Branches:
        """The DSOs as children of the TSO."""
        return Branches(self.branches, self.platforms, self.plain)

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
        """What this negotiation is about, for its checkpoint."""
        return fingerprint(self)

    def excluded(self) -> dict[str, str]:
        """Nodes that were left out, and why."""
        out = dict(self.negotiation.state.excluded)
        for branch in self.branches.values():
            out |= branch.negotiation.state.excluded
        return out

    def run(
        self,
        watch: Callable[[Step], None] | None = None,
        keep: Callable[[Negotiation], None] | None = None,
        through: Callable[[Children], Children] = lambda children: children,
    ) -> Agreement:
        """Negotiate; see ``Negotiation.run``. ``through`` wraps the way to the DSOs, e.g. in a channel that loses messages."""
        agreement = self.negotiation.run(through(self.children), watch, keep)
        excluded = self.excluded()
        return replace(agreement, status="partial", excluded=excluded) if excluded else agreement


def negotiation_of(
    tree: OperatingTree, engine: Engine, options: Options, first: np.ndarray | None = None, inner: Options = INNER
) -> TreeNegotiation:
    """Set up the negotiation of a tree.

    Args:
        tree: programs of all nodes; the TSO's periods may be longer than those below.
        engine: where platforms (and DSOs without any) compute their answers.
        options: of the TSO with its DSOs.
        first: price lists to begin with [EUR/kWh], (list, DSO, period), such as yesterday's.
        inner: of the DSOs with their platforms.
    """
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    hours, dsos = tree.horizon.hours_per_year, tree.transmission.children
    bands: dict[str, Band] = {}
    branches: dict[str, Branch] = {}
    platforms: dict[str, PlatformSource] = {}
    plain: dict[str, ParametricProgram] = {}
    for dso in dsos:
        own = tree.distribution[dso]
        program = own.program.settle({"built": tree.design.choice(own.options)})
        most = {name: resolution.means(program.columns.array(name, program.upper).values) for name in ("import", "export")}
        bands[dso] = band_of(-most["export"], most["import"])
        if not own.children:
            plain[dso] = resolution.seen_from_above(program.settle({"energy_price": 0.0}))
            continue
        below = {c: band_of(own.low[c], own.high[c]) for c in own.children}
        expected = np.array([reference_exchange(tree.fleets[c]) for c in own.children])
        expected = np.clip(expected, [below[c].low for c in own.children], [below[c].high for c in own.children])
        branches[dso] = Branch(Parent(program, hours, below), own, expected, inner, resolution)
        charge = tree.design.network_charge.get(dso, 0.0)
        platforms |= {c: PlatformSource(tree.platforms.data[c], charge) for c in own.children}
    expected = np.array([resolution.means(dso_reference(tree.system, d, tree.horizon, tree.fleets)) for d in dsos])
    parent, top = top_parent(tree.transmission, bands, expected)
    negotiation = Negotiation(parent, expected, options, first)
    crews = EngineChildren(engine, platforms, hours), EngineChildren(engine, plain, resolution.above.hours_per_year)
    return TreeNegotiation(tree, top, negotiation, branches, *crews)


def outcome_of(negotiated: TreeNegotiation, agreement: Agreement, mechanism: str = "bidirectional") -> Outcome:
    """Operate the tree as agreed: every platform and DSO keeps its profile at least cost, the TSO dispatches the sum.

    The cost is computed anew from these schedules, not taken from the negotiation. Platforms that were left out draw what was taken for them:
    cost and bound are those of all others, who operate around them.

    Raises:
        ProgramError: a DSO was left out: how its network operates is not known.
    """
    if negotiated.negotiation.state.excluded:
        raise ProgramError(f"the operation of DSOs left out of the negotiation is not known: {dict(agreement.excluded)}")
    tree, point, top = negotiated.tree, agreement.point, negotiated.negotiation.parent
    flows: dict[str, np.ndarray] = {}
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    energy_price = {d: resolution.repeated(point.price[k]) for k, d in enumerate(top.names)}
    platform_price: dict[str, np.ndarray] = {}
    for k, dso in enumerate(top.names):
        flows[dso] = point.exchange[k]
        if dso in negotiated.branches:
            branch = negotiated.branches[dso]
            shared = branch.shared_out(top.offers[dso], point.weights[dso])
            price = branch.platform_price(point.price[k])
            for c, child in enumerate(branch.parent.names):
                flows[child], platform_price[child] = shared[c], price[c]
    # Answers came from reduced fleets; what is operated is every prosumer behind its own network.
    others = [c for c in negotiated.platforms.sources if c not in agreement.excluded]
    settled = negotiated.platforms.settle({c: (flows[c], platform_price[c]) for c in others})
    # The bound counts what those left out said last of their own cost.
    said = sum(b.parent.costs[c][0] for b in negotiated.branches.values() for c in b.negotiation.state.excluded)
    top_price = dict(zip(top.names, point.price, strict=True))
    programs, kept_at = {}, {}
    for dso, own in tree.distribution.items():
        # What follows is computed from what each level really draws, so that the cost is that of a feasible operation to the last digit.
        agreed = np.array([flows[c] for c in own.children]).reshape(len(own.children), tree.horizon.periods)
        flows |= {c: settled[c].exchange for c in own.children if c in settled}
        drawn = np.array([flows[c] for c in own.children]).reshape(len(own.children), tree.horizon.periods)
        room = float(np.abs(drawn - agreed).sum(axis=0).max(initial=0.0))
        given = {"energy_price": 0.0, "exchange": drawn, "built": tree.design.choice(own.options)}
        programs[dso] = resolution.seen_from_above(own.program.settle(given))
        kept_at[dso] = flows[dso], top_price[dso], room
    dsos = EngineChildren(negotiated.platforms.engine, programs, resolution.above.hours_per_year).settle(kept_at)
    distribution_x = {d: found.x for d, found in dsos.items()}
    flows |= {d: own.program.outputs["exchange"].matrix @ distribution_x[d] for d, own in tree.distribution.items()}
    cost = sum(s.cost for s in settled.values()) + sum(s.cost for s in dsos.values())
    dispatch = tree.transmission.dispatch(np.array([resolution.means(flows[d]) for d in top.names]))
    supply = transmission_cost(tree, dispatch)
    x, y = {c: s.x for c, s in settled.items()}, {c: s.y for c, s in settled.items()}
    rounds = agreement.history[-1].round
    prices = energy_price, platform_price
    told = negotiated.traffic()
    total, bound, left_out = cost + supply, agreement.bound - said, dict(agreement.excluded)
    return Outcome(
        mechanism, total, bound, x, y, distribution_x, flows, {}, *prices, dispatch, supply, rounds, told, agreement.history, left_out
    )


def negotiated_outcome(
    tree: OperatingTree,
    engine: Engine,
    options: Options,
    watch: Callable[[Step], None] | None = None,
    kept: tuple[Path, str] | None = None,
) -> Outcome:
    """Negotiate a tree and operate it as agreed.

    Args:
        tree: programs of all nodes.
        engine: where platforms compute their answers.
        options: how to negotiate.
        watch: called after every step.
        kept: folder and name under which the negotiation is kept after every round, and taken up where it is there already.

    Raises:
        CheckpointError: what is kept cannot be used, see ``keeping``.
    """
    negotiated = negotiation_of(tree, engine, options)
    keep = keeping(negotiated, *kept) if kept else None
    return outcome_of(negotiated, negotiated.run(watch, keep))


def bidirectional(
    days: Sequence[PreparedDay],
    engine: Engine,
    *,
    method: str = "hybrid",
    gap: float = 1e-4,
    rounds: int = 40,
    checkpoints: Path | None = None,
    tell: Tell = silent,
) -> list[dict[str, Outcome]]:
    """Negotiate every day.

    Args:
        days: prepared days.
        engine: where platforms compute their answers.
        method, gap, rounds: see ``Options``.
        checkpoints: folder in which every day's negotiation is kept after every round, and from which it is taken up.
        tell: told after every step.
    """
    options = Options(method=method, gap=gap, rounds=rounds)
    found = []
    for day in days:

        def watch(step: Step, name: str = day.name) -> None:
            tell(f"{name}: {step}")

        kept = (checkpoints, day.name) if checkpoints is not None else None
        found.append({"bidirectional": negotiated_outcome(day.tree, engine, options, watch, kept)})
    return found
