"""The classes of all components over a range of prices, together under the limits of the network."""

from __future__ import annotations

import numpy as np

from multiscale.planning.decomposition.component import PartAnswer, Work
from multiscale.planning.decomposition.enumeration import Box, ChoiceClass, answers, classes
from multiscale.planning.decomposition.joint_answers import JointAnswers
from multiscale.planning.decomposition.resource_bound import PriceRange


def all_classes(
    joint: JointAnswers, boxes: list[list[Box]], charges: PriceRange, annuity: np.ndarray, work: Work, *, levied: bool
) -> list[list[ChoiceClass]]:
    """The classes of every component over a range of prices.

    Args:
        joint: answers of all components together.
        boxes: disjoint boxes of choices of every component.
        charges: range of the prices.
        annuity: of all options [EUR/a].
        work: counts solves.
        levied: whether all transfers are a levy.

    Raises:
        LimitsViolated: some combination of them may violate omitted limits.
    """
    split, spread = joint.split, joint.network.spread
    components = split.components
    first = [c.solve(part[0][1], charges.lower, spread, work) for c, part in zip(components, boxes, strict=True)]
    together = split.state(first)
    # Most violations show at the lower end, or in one class with the other components at their first answer: then less is bounded in vain.
    for c, part, own in zip(components, boxes, first, strict=True):
        for answer in answers(c, part, charges.lower, spread, work):
            joint.check(*[together - own.state + answer.state] * 2)
    found = []
    for c, part, own in zip(components, boxes, first, strict=True):

        def look(answer: PartAnswer, others: np.ndarray = together - own.state) -> None:
            joint.check(others + answer.state, others + answer.state)

        found.append(classes(c, part, charges, levied, annuity, spread, work, look))
    low, high = split.fixed_state.copy(), split.fixed_state.copy()
    for group in found:
        states = np.array([answer.state for k in group for answer in k.bound.feasible])
        low += states.min(axis=0)
        high += states.max(axis=0)
    joint.check(low, high)
    return found
