"""The choices of a component that matter: those whose options are all used.

An answer that is optimal at an upper set u and uses only the options l + N of it is optimal for every z with l + N <= z <= u, so of all these choices
only l + N, the cheapest, counts. The other choices of the box l <= z <= u lack a member of N: with N = {n_1, ..., n_m} they are split into

    box j:   n_1, ..., n_(j-1) built,   n_j not built         j = 1, ..., m

and each of these is solved at its own upper set. Where the bound on the resource cost takes several answers (``resource_bound``), N holds the options
that any of them uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from multiscale.planning.decomposition.component import Charge, Component, PartAnswer, Work
from multiscale.planning.decomposition.resource_bound import PartBound, PriceRange

Box = tuple[np.ndarray, np.ndarray]
"""All choices between two (bool, options of a component)."""


@dataclass(frozen=True)
class ChoiceClass:
    """All choices of a component between ``low`` and ``high`` (bool, its options): one answer, and ``low`` is the cheapest.

    Attributes:
        low, high: ends of the box.
        annuity, most_annuity: of ``low`` and of ``high`` [EUR/a].
        bound: on the resource cost of operation at every charge of the range it was made for.
    """

    low: np.ndarray
    high: np.ndarray
    annuity: float
    most_annuity: float
    bound: PartBound

    @property
    def value(self) -> float:
        """Lower bound on the social cost of every choice in it [EUR/a]."""
        return self.annuity + self.bound.resource

    @property
    def answer(self) -> PartAnswer:
        """Operation at ``high`` and the lowest charge, feasible and optimal at ``low``."""
        return self.bound.answer


def everything(component: Component, admitted: Box) -> list[Box]:
    """The box of all choices of a component that are admitted (bool, all options of the follower)."""
    return [(admitted[0][component.options], admitted[1][component.options])]


def _without(low: np.ndarray, high: np.ndarray, used: np.ndarray) -> list[Box]:
    """What is left of a box without the choices that build all options used, the last box first."""
    inside, without = low.copy(), []
    for k in np.flatnonzero(used).tolist():
        outside = high.copy()
        outside[k] = False
        without.append((inside.copy(), outside))
        inside[k] = True
    return without[::-1]


def answers(component: Component, boxes: list[Box], charge: Charge, spread: Callable[[np.ndarray], np.ndarray], work: Work) -> Iterator[PartAnswer]:
    """The answers to every choice of some boxes at one charge; arguments as of ``classes``."""
    open_boxes = list(reversed(boxes))
    while open_boxes:
        low, high = open_boxes.pop()
        answer = component.solve(high, charge, spread, work)
        yield answer
        open_boxes += _without(low, high, component.used(answer, low, high))


def classes(
    component: Component,
    boxes: list[Box],
    charges: PriceRange,
    levied: bool,
    annuity: np.ndarray,
    spread: Callable[[np.ndarray], np.ndarray],
    work: Work,
    look: Callable[[PartAnswer], None],
) -> list[ChoiceClass]:
    """Every choice of some boxes over a range of charges, as classes with one bound each.

    Args:
        component: whose choices.
        boxes: disjoint boxes of choices.
        charges: range of the charge.
        levied: whether all transfers of the follower are a levy.
        annuity: of all options of the follower [EUR/a].
        spread: turns network rows into states.
        work: counts solves.
        look: called with every answer that must satisfy the omitted limits; may raise to end the enumeration early.
    """
    found: list[ChoiceClass] = []
    scale: float | None = None
    open_boxes = list(reversed(boxes))
    while open_boxes:
        low, high = open_boxes.pop()
        bound = charges.bound_of(component, high, spread, work, levied=levied, scale=scale)
        scale = bound.scale
        for answer in bound.feasible:
            look(answer)
        used = np.zeros(low.size, dtype=bool)
        for answer in bound.answers:
            used |= component.used(answer, low | used, high)
        ours = annuity[component.options]
        found.append(ChoiceClass(low | used, high, float(ours @ (low | used)), float(ours @ high), bound))
        open_boxes += _without(low, high, used)
    return found
