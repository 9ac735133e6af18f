"""The operation of the whole tree as it was negotiated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from multiscale.coordination.common.outcome import Outcome, Reserves, transmission_cost
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.program_child import Kept, Settled
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren
from multiscale.coordination.negotiation.consistency import not_of_schedule, unreadable
from multiscale.coordination.negotiation.resolution import Resolution
from multiscale.coordination.negotiation.state import NegotiationResult
from multiscale.coordination.negotiation.tree import TreeNegotiation
from multiscale.operation.reserves import holding_cost
from multiscale.programs import ParametricProgram, ProgramError


def outcome_of(negotiated: TreeNegotiation, agreement: NegotiationResult, mechanism: str = "bidirectional") -> Outcome:
    """Operate the tree as agreed: every platform and DSO keeps its profile at least cost, the TSO dispatches the sum.

    The cost is computed anew from these schedules, not taken from the negotiation. Platforms that were excluded draw what was taken for them:
    cost and bound are those of all others, who operate around them.

    Raises:
        ProgramError: a DSO was excluded, or cannot keep what it agreed to or proved: how its network operates is not known.
    """
    if negotiated.negotiation.state.excluded:
        raise ProgramError(f"the operation of DSOs excluded from the negotiation is not known: {dict(agreement.excluded)}")
    tree, parent = negotiated.tree, negotiated.negotiation.parent
    goods, engine = parent.goods, negotiated.platforms.engine
    resolution = Resolution(tree.horizon, tree.transmission.horizon)
    agreed_profile, price, said = negotiated.agreed(agreement)
    settled, counted = negotiated.settled, negotiated.counted()
    done = agreed_profile | {c: s.exchange for c, s in settled.items()}
    programs, kept_at = {}, {}
    for dso, own in tree.distribution.items():
        # What follows is computed from what each level really draws, so that the cost is that of a feasible operation to the last digit.
        entries = len(own.children), goods * tree.horizon.periods
        agreed, drawn = (np.array([v[c] for c in own.children]).reshape(entries) for v in (agreed_profile, done))
        programs[dso] = negotiated.programs[dso].operated(drawn)
        kept_at[dso] = Kept(agreed_profile[dso], price[dso], counted[dso], float(np.abs(drawn - agreed).sum(axis=0).max()))
    above = np.tile(resolution.above.hours_per_year, goods)
    dsos = _settled(RemoteChildren(engine, programs, above).settle(kept_at), programs, len(above))
    for dso, own in tree.distribution.items():
        found, moved = dsos[dso], 0.0
        if dso in negotiated.branches:
            together = found.cost + sum(settled[c].cost for c in own.children if c in settled)
            found = replace(found, cost=together, least=negotiated.least_of_branch(dso, counted[dso]))
            # By rounding platforms leave their profiles; at most, that is cut off.
            moved = tree.economics.value_of_lost_load * float(tree.horizon.hours_per_year.sum()) * kept_at[dso].room
        wrong = negotiated.negotiation.not_kept(dso, said[dso], kept_at[dso], found, moved)
        if wrong is not None:
            raise ProgramError(f"operation of DSO {dso!r} as agreed: it {wrong}")
    done |= {d: s.exchange for d, s in dsos.items()}
    flows = {n: np.split(v, goods)[0] for n, v in done.items()}
    flows |= {d: own.program.outputs["exchange"].matrix @ dsos[d].x for d, own in tree.distribution.items()}
    dispatch = tree.transmission.dispatch(np.array([resolution.means(flows[d]) for d in parent.names]))
    supply, reserves = transmission_cost(tree, dispatch), None
    if goods > 1:
        last = parent.point_at(np.array([done[d] for d in parent.names]))
        held = holding_cost(parent.program, last.x) - negotiated.top.idle_reserves_cost
        supply = last.cost - float(held.sum())
        reserves = Reserves(
            {n: s.reserves_cost for n, s in (settled | dsos).items()} | {tree.system.top: held},
            {n: np.split(v, 2)[1] for n, v in done.items()},
            {n: np.split(v, 2)[1] for n, v in price.items()},
            negotiated.error_pools[tree.system.top].errors.coverage,
        )
    cost = sum(s.cost for s in settled.values()) + sum(s.cost for s in dsos.values()) + supply + (float(held.sum()) if reserves else 0.0)
    return Outcome(
        mechanism,
        cost,
        agreement.bound,
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
        reserves,
        agreement.shortfall,
    )


def _settled(operated: Mapping[str, Settled | Refusal], programs: Mapping[str, ParametricProgram], entries: int) -> dict[str, Settled]:
    """The operation of DSOs, all of which must be known, and that of their schedules."""
    done = {}
    for dso, found in operated.items():
        wrong = unreadable(found, entries)
        if wrong is None and isinstance(found, Settled) and not found.reserves_cost.size:
            wrong = not_of_schedule(programs[dso], found)
        if wrong is not None or isinstance(found, Refusal):
            raise ProgramError(f"operation of DSO {dso!r} as agreed: it {wrong}")
        done[dso] = found
    return done
