"""Where the search for a plan ended, as data: a search under slightly other limits starts there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.programs import LabelledBasis


@dataclass(frozen=True)
class PartAnswers:
    """Answers of one component of the follower, one in each row of the arrays; units as of ``decomposition.component.PartAnswer``.

    Attributes:
        key: of the component: hash of all that it is, but for the limits that options raise.
        limit, more: these limits without options, (row,), and what each option adds, (row, option).
        built: options (bool), (answer, option).
        prices: charge [EUR/kWh] and share to which other transfers are paid, (answer, 2).
        values: cost, bound, energy, transfers, (answer, 4).
        needed: (answer, row).
        drawn: right-hand sides of the network rows that the component enters, (answer, network row).
    """

    key: bytes
    limit: np.ndarray
    more: np.ndarray
    built: np.ndarray
    prices: np.ndarray
    values: np.ndarray
    needed: np.ndarray
    drawn: np.ndarray


@dataclass(frozen=True)
class WithoutLimits:
    """What the follower costs without any limit of the network: no limit that is tightened changes it.

    Attributes:
        key: hash of the follower without its limits.
        bound, energy: lower bound on its cost without charge and levy [EUR/a], and the charged energy then [kWh/a].
        resource: lower bound on the social cost [EUR/a].
        far, dear: a high charge [EUR/kWh], and a lower bound on the cost at it [EUR/a].
    """

    key: bytes
    bound: float
    energy: float
    resource: float
    far: float
    dear: float


@dataclass(frozen=True)
class SearchStart:
    """What a search by decomposition knew at its end; it saves another one work, and changes nothing that is proven.

    Attributes:
        basis: of the whole follower at the plan.
        rows, bounds: limits of flows and of states of the network that were in force, see ``decomposition.network_state.Retained``.
        bought: columns of the follower that are capacity worth buying somewhere.
        without_limits: what holds whatever the limits; None where it was not found.
        ranges: ranges of the charge of the levels [EUR/kWh], (range, 2).
        answers: of the components, at the ends of these ranges.
    """

    basis: LabelledBasis
    rows: np.ndarray
    bounds: np.ndarray
    bought: np.ndarray
    without_limits: WithoutLimits | None
    ranges: np.ndarray
    answers: tuple[PartAnswers, ...]
