"""Which prices a parent asks its children next: in a first round, and after a round by the method of the negotiation.

Methods, compared by measurement in ``docs/coordination.md``:

    columns   prices of the master program (Dantzig-Wolfe as it is)
    level     prices by the level bundle method
    admm      augmented Lagrangian: a target, and the price at it
    hybrid    level and admm in one round
"""

from __future__ import annotations

import numpy as np

from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.price_steps import balanced, level_price
from multiscale.coordination.negotiation.state import NegotiationOptions, NegotiationState

_FAR_LEVEL = 0.9
"""Where between bound and cost the second level lies that is asked where answers may be late [1]."""


def first_prices(price: np.ndarray, goods: int = 1) -> np.ndarray:
    """Price lists to begin with [EUR/kWh], (list, child, entry): nodal prices at the expected exchange, and where those are of scarcity, milder ones.

    What children are expected to draw before they know any price may be more than there is. At the price of that all of them flee those hours,
    then others, and rounds pass. So the same prices cut off at five and at two times their median, and the mean of the latter, are asked in the
    same message.
    """
    energy, *other = np.split(price, goods, axis=1)
    usual = float(np.median(np.abs(energy)))
    milder = [np.minimum(energy, most * usual) for most in (5.0, 2.0) if energy.max(initial=0.0) > most * usual]
    if milder:
        milder.append(np.broadcast_to(milder[-1].mean(axis=1, keepdims=True), energy.shape))
    return np.array([np.concatenate([e, *other], axis=1) for e in (energy, *milder)])


def move_prices(parent: Parent, state: NegotiationState, options: NegotiationOptions) -> None:
    """Make the prices of a round when it begins: what is kept after the round before does not depend on whether it was the last one wanted."""
    if state.point is None or state.centre is None or state.near is None:
        return
    point, prices = state.point, []
    if options.method in ("level", "hybrid"):
        level = state.bound + options.level * (state.cost - state.bound)
        found = level_price(parent, state.centre, level, point) if np.isfinite(state.bound) else None
        state.steps_failed += found is None
        prices.append(point.price if found is None else found)
    if options.method == "columns":
        prices.append(point.price)
    if options.method in ("admm", "hybrid"):
        _move_target(parent, state, options)
        assert state.target_price is not None
        prices.append(state.target_price)
    if options.quorum < 1.0:
        prices += _further_prices(parent, state)
    state.prices = np.array(prices)


def _further_prices(parent: Parent, state: NegotiationState) -> list[np.ndarray]:
    """What to ask in the same message where a round lasts several steps: the master's price, and a level near the cost."""
    assert state.point is not None
    assert state.centre is not None
    prices = [state.point.price]
    if np.isfinite(state.bound):
        found = level_price(parent, state.centre, state.bound + _FAR_LEVEL * (state.cost - state.bound), state.point)
        state.steps_failed += found is None
        prices += [] if found is None else [found]
    return prices


def _move_target(parent: Parent, state: NegotiationState, options: NegotiationOptions) -> None:
    """The parent's half of the ADMM step, over-relaxed, and a slope that keeps both residuals alike."""
    assert state.near is not None
    assert state.target_price is not None
    assert state.point is not None
    before = state.plan
    if before is None:
        # The first target starts from the best that is known: with several price lists asked at once, that is not the last of them.
        assert state.centre is not None
        before, state.near, state.target_price = state.point.exchange, state.point.exchange.copy(), state.centre
        state.slope = options.slope * float(np.abs(state.target_price).mean()) / max(float(np.abs(state.near).mean()), 1e-6)
    relaxed = 1.6 * state.near - 0.6 * before
    plan = balanced(parent, relaxed, state.target_price, state.slope, state.point)
    if plan is None:
        state.steps_failed += 1
        plan = state.point.exchange
    state.target_price = state.target_price + state.slope * (relaxed - plan)
    primal, dual = float(np.linalg.norm(state.near - plan)), float(np.linalg.norm(plan - before))
    if primal > 3.0 * dual:
        state.slope *= 1.6
    elif dual > 3.0 * primal:
        state.slope /= 1.6
    state.plan = plan
