"""The choices of a component that matter: those whose options are all used.

An answer that is optimal at an upper set u and uses only the options l + N of it is optimal for every z with l + N <= z <= u, so of all these choices only
l + N, the cheapest, counts. The other choices of the box l <= z <= u lack a member of N: with N = {n_1, ..., n_m} they are split into

    box j:   n_1, ..., n_(j-1) built,   n_j not built         j = 1, ..., m

and each of these is solved at its own upper set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.planning.decomposition.component import Component, PartAnswer, Work


@dataclass(frozen=True)
class ChoiceClass:
    """All choices of a component between ``low`` and ``high`` (bool, its options): one answer, and ``low`` is the cheapest.

    Attributes:
        low, high: ends of the box.
        annuity: of ``low`` [EUR/a].
        value: annuity plus a lower bound on the social cost of operation at the charge it was solved at and at any higher one [EUR/a].
        answer: operation at ``high``, feasible and optimal at ``low``.
    """

    low: np.ndarray
    high: np.ndarray
    annuity: float
    value: float
    answer: PartAnswer


def choice_class(component: Component, low: np.ndarray, high: np.ndarray, annuity: np.ndarray, answer: PartAnswer, transfer: float) -> ChoiceClass:
    """A class with its value, ``annuity + phi - (charge + levy) w``; ``transfer`` is charge and levy [EUR/kWh]."""
    cost = float(annuity[component.options] @ low)
    return ChoiceClass(low, high, cost, cost + answer.bound - transfer * answer.energy, answer)


def everything(component: Component) -> list[tuple[np.ndarray, np.ndarray]]:
    """The box of all choices of a component."""
    return [(np.zeros(component.options.size, dtype=bool), np.ones(component.options.size, dtype=bool))]


def classes(
    component: Component,
    boxes: list[tuple[np.ndarray, np.ndarray]],
    charge: float,
    levy: float,
    annuity: np.ndarray,
    spread: object,
    work: Work,
) -> list[ChoiceClass]:
    """Every choice of some boxes at a charge, as classes with one answer each.

    Args:
        component: whose choices.
        boxes: disjoint boxes of choices.
        charge, levy: [EUR/kWh].
        annuity: of all options of the follower [EUR/a].
        spread: turns network rows into states.
        work: counts solves.
    """
    found = []
    open_boxes = list(reversed(boxes))
    while open_boxes:
        low, high = open_boxes.pop()
        answer = component.solve(high, charge, spread, work)
        used = component.used(answer, low, high)
        found.append(choice_class(component, low | used, high, annuity, answer, charge + levy))
        inside, without = low.copy(), []
        for k in np.flatnonzero(used).tolist():
            outside = high.copy()
            outside[k] = False
            without.append((inside.copy(), outside))
            inside[k] = True
        open_boxes += reversed(without)
    return found
