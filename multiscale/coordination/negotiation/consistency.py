"""Whether what a child said can be true: its bounds against its own offers (weak duality), and its offers against their operation.

A bound that a child proves at a price holds for everything it can do, so also for everything that it offered itself,

    value_k <= cost_j + sum_t h_t p_kt y_jt        for every price k that it answered and every profile j that it offered,

and what it offered it can do at the cost it said. Where one of these fails, nothing that was proven with this child's answers holds.

A child may still hide what it could do: then its bounds are too high, and nothing that it said contradicts itself. So in the end it also operates
what is best for it at the price at which its bound counts, and the bound of the whole is no more than what operation confirms,

    bound = P(pi) + sum_c least_c(pi) <= P(pi) + sum_c D_c(pi),      D_c(pi) as operated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiscale.coordination.common.answer import finite_numbers
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.program_child import Kept, Settled
from multiscale.programs import ParametricProgram

PRECISION = 1e-7
"""Largest contradiction that tolerances of solvers explain, relative to the sizes of the amounts that are compared [1]."""


def contradiction(prices: np.ndarray, values: np.ndarray, costs: np.ndarray, profiles: np.ndarray, hours: np.ndarray) -> str | None:
    """What is wrong with bounds (prices [EUR/kWh], (price, entry); values [EUR/a]) against offers (costs [EUR/a]; profiles [kW], (offer, entry))."""
    if not len(values) or not len(costs):
        return None
    money = (hours * prices) @ profiles.T
    excess = values[:, None] - costs - money
    size = np.abs(values)[:, None] + np.abs(costs) + np.abs(hours * prices) @ np.abs(profiles).T
    allowed = PRECISION * (1.0 + size)
    if (excess <= allowed).all():
        return None
    k, j = (int(i) for i in np.unravel_index(np.argmax(excess / allowed), excess.shape))
    return f"proved that it costs at least {values[k]:.9g} EUR/a at a price at which its own offer costs {costs[j] + money[k, j]:.9g} EUR/a"


def unreadable(settled: object, entries: int) -> str | None:
    """Why what is reported of an operation is none: a part that is missing, of another shape, or no finite number; None where it can be read."""
    if not isinstance(settled, Settled):
        why = settled.reason if isinstance(settled, Refusal) else f"{type(settled).__name__} was reported"
        return f"cannot operate its agreed exchange: {why}"
    for name, dimensions, size in (("cost", 0, 1), ("least", 0, 1), ("exchange", 1, entries), ("x", 1, None), ("y", 1, None)):
        values = finite_numbers(getattr(settled, name))
        if values is None or values.ndim != dimensions or size not in (None, values.size):
            many = "a finite number" if dimensions == 0 else f"{size or 'a list of'} finite numbers"
            return f"reported an operation whose {name} is not {many}"
    return None


def not_of_schedule(program: ParametricProgram, settled: Settled) -> str | None:
    """Why the cost or exchange of an operation are not those of its schedule, the columns of a program without parameters; None where they are."""
    if settled.x.shape != (program.columns.size,):
        return f"reported a schedule of {settled.x.size} numbers; its program has {program.columns.size} columns"
    cost, exchange = program.objective(settled.x, np.zeros(0)), program.outputs["exchange"].matrix @ settled.x
    if not abs(settled.cost - cost) <= PRECISION * (1.0 + np.abs(program.c0 * settled.x).sum()):
        return f"reported that its operation costs {settled.cost:.9g} EUR/a; that of its schedule costs {cost:.9g} EUR/a"
    if not np.abs(settled.exchange - exchange).max() <= PRECISION * (1.0 + np.abs(exchange).max()):
        return "reported an exchange that is not the one of its schedule"
    return None


def not_kept(
    said: float,
    kept: Kept,
    hours: np.ndarray,
    known: Sequence[tuple[np.ndarray, float]],
    claimed: float,
    settled: Settled | Refusal,
    moved: float = 0.0,
) -> str | None:
    """What is wrong with an agreed profile when it is operated.

    Args:
        said: own cost of the profile as the child offered it [EUR/a].
        kept: what was agreed.
        hours: of the year of each entry [h/a].
        known: (price, value) of every bound that the child proved.
        claimed: what counts in the bound of the whole for the child, at the price ``kept.counted`` [EUR/a].
        settled: how the profile was operated, or why it cannot be.
        moved: what it may cost more because its own children left their profiles by rounding [EUR/a].
    """
    wrong = unreadable(settled, len(hours))
    if wrong is not None:
        return wrong
    assert isinstance(settled, Settled)
    # What keeping a profile to within rounding moves, see ``ProgramChild.settle``.
    profile, price = kept.profile, kept.price
    room = kept.room + 2e-6 * (1.0 + np.abs(profile).max())
    if not np.abs(settled.exchange - profile).max() <= room:
        return f"operated, its exchange is up to {np.abs(settled.exchange - profile).max():.6g} kW from the one agreed"
    allowed = PRECISION * (1.0 + abs(said) + abs(settled.cost)) + float((hours * np.abs(price)).sum()) * room + moved
    if not settled.cost <= said + allowed:
        return f"said that its agreed exchange costs {said:.9g} EUR/a; operated it costs {settled.cost:.9g} EUR/a"
    size = abs(claimed) + abs(settled.cost) + float((hours * np.abs(kept.counted * settled.exchange)).sum())
    if not claimed <= settled.least + PRECISION * (1.0 + size):
        return f"proved that it costs at least {claimed:.9g} EUR/a at a price at which, operated, the least it costs is {settled.least:.9g} EUR/a"
    prices = np.array([p for p, _ in known]).reshape(len(known), len(hours))
    values = np.array([v for _, v in known])
    return contradiction(prices, values, np.array([settled.cost + allowed]), settled.exchange[None], hours)
