"""Bidirectional negotiation over the whole tree: TSO -> DSOs -> platforms, certificates nested, and the operation that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from multiscale.coordination.dso import DsoProgram
from multiscale.coordination.engine import Engine
from multiscale.coordination.forecast import ErrorModel
from multiscale.coordination.messages import Traffic
from multiscale.coordination.negotiation_state import Agreement, Options
from multiscale.coordination.outcome import Cover, Outcome, transmission_cost
from multiscale.coordination.parent import Parent
from multiscale.coordination.platform_child import PlatformSource
from multiscale.coordination.prepared import PreparedDay, Tell, silent
from multiscale.coordination.request import Band, band_of
from multiscale.coordination.resolution import Resolution
from multiscale.coordination.top import TopProgram, top_parent
from multiscale.coordination.uncertainty import forecast_errors
from multiscale.operation import OperatingTree
from multiscale.operation.cover import Burden, ForecastErrors, holding_cost
from multiscale.operation.tree import dso_reference, net_load_size, reference_exchange
from multiscale.programs import ParametricProgram, ProgramError

INNER = Options(method="level", gap=1e-7, rounds=12)
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
    """

    tree: OperatingTree
    top: TopProgram
    programs: dict[str, DsoProgram]
    negotiation: Negotiation
    branches: dict[str, Branch]
    platforms: EngineChildren
    plain: EngineChildren

    @property
    def children(self) -> Branches:
        """The DSOs as children of the TSO."""
        return Branches(self.branches, self.platforms, self.plain)

    @property
    def burdens(self) -> dict[str, Burden]:
        """Parent -> its forecast errors with the tangents found so far, where forecasts err."""
        every = {self.tree.system.top: self.top.burden} | {d: p.burden for d, p in self.programs.items()}
        return {node: burden for node, burden in every.items() if burden is not None}

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
    tree: OperatingTree,
    engine: Engine,
    options: Options,
    first: np.ndarray | None = None,
    inner: Options = INNER,
    errors: Mapping[str, ForecastErrors] | None = None,
) -> TreeNegotiation:
    """Set up the negotiation of a tree.

    Args:
        tree: programs of all nodes; the TSO's periods may be longer than those below.
        engine: where platforms (and DSOs without any) compute their answers.
        options: of the TSO with its DSOs.
        first: price lists to begin with [EUR/kWh], (list, DSO, period), such as yesterday's.
        inner: of the DSOs with their platforms.
        errors: node -> its forecast errors, in its own periods: then it is also negotiated who covers them (see ``operation.cover``).
    """
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    hours, dsos = tree.horizon.hours_per_year, tree.transmission.children
    if errors:
        _check_reach(tree, errors)
    # Where forecasts err, a profile is followed by the uncertainty handed over.
    profile = (lambda energy, handed: np.concatenate([energy, handed], axis=-1)) if errors else (lambda energy, _: energy)
    bands: dict[str, Band] = {}
    programs: dict[str, DsoProgram] = {}
    branches: dict[str, Branch] = {}
    platforms: dict[str, PlatformSource] = {}
    plain: dict[str, ParametricProgram] = {}
    handed = np.zeros((len(dsos), resolution.above.periods))
    for k, dso in enumerate(dsos):
        own = tree.distribution[dso]
        own_errors = {c: errors[c] for c in own.children} if errors else {}
        told = np.array([e.deviation for e in own_errors.values()]).reshape(len(own_errors), tree.horizon.periods)
        burden = Burden(errors[dso], told) if errors else None
        mine = programs[dso] = DsoProgram(own, tree.design.choice(own.options), tree.economics, resolution, burden)
        program = mine.program()
        most = {name: resolution.means(program.columns.array(name, program.upper).values) for name in ("import", "export")}
        if burden is not None:
            handed[k] = mine.most_handed
        bands[dso] = band_of(profile(-most["export"], np.zeros_like(handed[k])), profile(most["import"], handed[k]))
        if not own.children:
            free = dict.fromkeys((b.name for b in program.parameters), 0.0)
            plain[dso] = mine.from_above(program.fix(free))
            continue
        lowest, highest = (np.array([side[c] for c in own.children]) for side in (own.low, own.high))
        expected = np.clip(np.array([reference_exchange(tree.fleets[c]) for c in own.children]), lowest, highest)
        below = {c: band_of(*b) for c, b in zip(own.children, zip(profile(lowest, 0.0 * told), profile(highest, told), strict=True), strict=True)}
        parent = Parent(program, profile(hours, hours), below, mine.extend if errors else None)
        branches[dso] = Branch(parent, mine, profile(expected, told), inner)
        charge = tree.design.network_charge.get(dso, 0.0)
        platforms |= {c: PlatformSource(tree.platforms.data[c], charge, own_errors.get(c)) for c in own.children}
    expected = np.array([resolution.means(dso_reference(tree.system, d, tree.horizon, tree.fleets)) for d in dsos])
    burden = Burden(errors[tree.system.top], handed) if errors else None
    parent, top = top_parent(tree.transmission, bands, expected, burden)
    negotiation = Negotiation(parent, profile(expected, handed), options, first)
    above = resolution.above.hours_per_year
    crews = EngineChildren(engine, platforms, profile(hours, hours)), EngineChildren(engine, plain, profile(above, above))
    return TreeNegotiation(tree, top, programs, negotiation, branches, *crews)


def _check_reach(tree: OperatingTree, errors: Mapping[str, ForecastErrors]) -> None:
    for c, fleet in tree.fleets.items():
        if (errors[c].coverage * errors[c].deviation > tree.reach * net_load_size(fleet) * (1 + 1e-9) + 1e-9).any():
            raise ValueError(
                f"the networks above {c!r} were built for forecast errors of {tree.reach:g} of its net load, and larger ones are to be covered; "
                "build the tree with a larger reach (operating_tree)"
            )


def outcome_of(negotiated: TreeNegotiation, agreement: Agreement, mechanism: str = "bidirectional") -> Outcome:
    """Operate the tree as agreed: every platform and DSO keeps its profile at least cost, the TSO dispatches the sum.

    The cost is computed anew from these schedules, not taken from the negotiation. Platforms that were left out draw what was taken for them:
    cost and bound are those of all others, who operate around them.

    Raises:
        ProgramError: a DSO was left out: how its network operates is not known.
    """
    if negotiated.negotiation.state.excluded:
        raise ProgramError(f"the operation of DSOs left out of the negotiation is not known: {dict(agreement.excluded)}")
    tree, point, parent = negotiated.tree, agreement.point, negotiated.negotiation.parent
    goods, engine = parent.goods, negotiated.platforms.engine
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    told, price = dict(zip(parent.names, point.exchange, strict=True)), dict(zip(parent.names, point.price, strict=True))
    for dso, branch in negotiated.branches.items():
        shared = branch.shared_out(parent.offers[dso], point.weights[dso])
        told |= dict(zip(branch.parent.names, shared, strict=True))
        price |= dict(zip(branch.parent.names, branch.platform_price(price[dso]), strict=True))
    # Answers came from reduced fleets; what is operated is every prosumer behind its own network.
    settled = negotiated.platforms.settle({c: (told[c], price[c]) for c in negotiated.platforms.sources if c not in agreement.excluded})
    # The bound counts what those left out said last of their own cost.
    said = sum(b.parent.costs[c][0] for b in negotiated.branches.values() for c in b.negotiation.state.excluded)
    done = told | {c: s.exchange for c, s in settled.items()}
    programs, kept_at = {}, {}
    for dso, own in tree.distribution.items():
        # What follows is computed from what each level really draws, so that the cost is that of a feasible operation to the last digit.
        entries = len(own.children), goods * tree.horizon.periods
        agreed, drawn = (np.array([v[c] for c in own.children]).reshape(entries) for v in (told, done))
        programs[dso] = negotiated.programs[dso].operated(drawn)
        kept_at[dso] = told[dso], price[dso], float(np.abs(drawn - agreed).sum(axis=0).max(initial=0.0))
    dsos = EngineChildren(engine, programs, np.tile(resolution.above.hours_per_year, goods)).settle(kept_at)
    done |= {d: s.exchange for d, s in dsos.items()}
    flows = {n: np.split(v, goods)[0] for n, v in done.items()}
    flows |= {d: own.program.outputs["exchange"].matrix @ dsos[d].x for d, own in tree.distribution.items()}
    dispatch = tree.transmission.dispatch(np.array([resolution.means(flows[d]) for d in parent.names]))
    supply, cover = transmission_cost(tree, dispatch), None
    if goods > 1:
        last = parent.point_at(np.array([done[d] for d in parent.names]))
        held = holding_cost(parent.program, last.x) - negotiated.top.idle_cover
        supply = last.cost - float(held.sum())
        cover = Cover(
            {n: s.cover for n, s in (settled | dsos).items()} | {tree.system.top: held},
            {n: np.split(v, 2)[1] for n, v in done.items()},
            {n: np.split(v, 2)[1] for n, v in price.items()},
        )
    cost = sum(s.cost for s in settled.values()) + sum(s.cost for s in dsos.values()) + supply + (float(held.sum()) if cover else 0.0)
    return Outcome(
        mechanism,
        cost,
        agreement.bound - said,
        {c: s.x for c, s in settled.items()},
        {c: s.y for c, s in settled.items()},
        {d: s.x for d, s in dsos.items()},
        flows,
        {},
        {d: resolution.repeated(np.split(price[d], goods)[0]) for d in parent.names},
        {c: np.split(price[c], goods)[0] for c in negotiated.platforms.sources},
        dispatch,
        supply,
        agreement.history[-1].round,
        negotiated.traffic(),
        agreement.history,
        dict(agreement.excluded),
        cover,
    )


def negotiated_outcome(
    tree: OperatingTree,
    engine: Engine,
    options: Options,
    watch: Callable[[Step], None] | None = None,
    errors: Mapping[str, ForecastErrors] | None = None,
    kept: tuple[Path, str] | None = None,
) -> Outcome:
    """Negotiate a tree and operate it as agreed.

    Args:
        tree: programs of all nodes.
        engine: where platforms compute their answers.
        options: how to negotiate.
        watch: called after every step.
        errors: node -> its forecast errors, see ``negotiation_of``.
        kept: folder and name under which the negotiation is kept after every round, and taken up where it is there already.

    Raises:
        CheckpointError: what is kept cannot be used, see ``keeping``.
    """
    negotiated = negotiation_of(tree, engine, options, errors=errors)
    keep = keeping(negotiated, *kept) if kept else None
    return outcome_of(negotiated, negotiated.run(watch, keep))


def bidirectional(
    days: Sequence[PreparedDay],
    engine: Engine,
    *,
    method: str = "hybrid",
    gap: float = 1e-4,
    rounds: int = 40,
    forecast_error: float = 0.0,
    coverage: float = 2.0,
    checkpoints: Path | None = None,
    tell: Tell = silent,
) -> list[dict[str, Outcome]]:
    """Negotiate every day, where forecasts err also about who covers their errors.

    Args:
        days: prepared days; where forecasts err, their trees with a ``reach`` of coverage times error.
        engine: where platforms compute their answers.
        method, gap, rounds: see ``Options``.
        forecast_error: standard deviation of relative errors of demand and generation [1].
        coverage: standard deviations of them that are covered [1].
        checkpoints: folder in which every day's negotiation is kept after every round, and from which it is taken up.
        tell: told after every step.
    """
    options, error = Options(method=method, gap=gap, rounds=rounds), ErrorModel(forecast_error)
    found = []
    for day in days:

        def watch(step: Step, name: str = day.name) -> None:
            tell(f"{name}: {step}")

        errors = forecast_errors(day.tree, error, coverage=coverage) if forecast_error > 0 else None
        kept = (checkpoints, day.name) if checkpoints is not None else None
        found.append({"bidirectional": negotiated_outcome(day.tree, engine, options, watch, errors, kept)})
    return found
