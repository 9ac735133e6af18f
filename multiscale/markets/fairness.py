"""Who has how much of the community's energy where it does not suffice for all: rules of fair division of claims.

In a period members take b_i and peers deliver E < sum of b_i (of sales: the same with what is delivered and taken). The energy l_i that i has from
peers, with size w_i = 1, or the size of the member,

    proportional    l_i = b_i E / sum b                             everyone has the same share of what it takes
    equal_awards    l_i = min(b_i, w_i m)                           everyone has the same energy from peers, and small claims are met in full
    equal_losses    l_i = b_i - min(b_i, w_i m)                     everyone depends equally on the supplier

and m such that they add up to E. Equal awards minimise ``sum l_i^2 / w_i`` and the largest ``l_i / w_i``, equal losses the same of what is had from
the supplier: the least dependence of the member that depends on it most, and the least squares, are one rule.

A division moves money between members and changes neither schedules nor costs. It is no cost in the program: there, a member would import and
deliver to peers at once to take over their imports, as the balance of Chronis et al. (eq. 1b) permits.

Sources: Moret and Pinson, IEEE TPWRS 34 (2019) 3994-4004 (fairness in an energy collective); Thomson, Mathematical Social Sciences 45 (2003)
249-297 (rules for claims).
"""

from __future__ import annotations

import numpy as np

PROPORTIONAL, EQUAL_AWARDS, EQUAL_LOSSES = "proportional", "equal_awards", "equal_losses"

LEAST_SIZE = 0.01
"""Size of a member, of the average, below which it counts as that large: it may have to buy without having a demand of its own."""


def sizes(energy: np.ndarray) -> np.ndarray:
    """Measure of the size of each member [kWh]: its mean over the periods; (member, period) -> (member,)."""
    mean = energy.mean(axis=1)
    average = float(mean.mean()) if mean.size else 0.0
    return np.maximum(mean, LEAST_SIZE * average) if average > 0.0 else np.ones(len(mean))


def divided(rule: str, claims: np.ndarray, size: np.ndarray, available: np.ndarray) -> np.ndarray:
    """What each member has of the energy of peers [kWh], (member, period).

    Args:
        rule: see above.
        claims: what each takes (or delivers) [kWh], (member, period).
        size: of each member, (member,).
        available: energy of peers [kWh], (period,); no more than the sum of claims.
    """
    wanted = claims.sum(axis=0)
    if rule == PROPORTIONAL:
        return claims * np.divide(available, wanted, out=np.zeros_like(wanted), where=wanted > 0.0)
    if rule == EQUAL_AWARDS:
        return levelled(claims, size, available)
    return np.maximum(claims - levelled(claims, size, wanted - available), 0.0)


def levelled(claims: np.ndarray, size: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Parts ``min(claim_it, size_i m_t)`` that add up to a total in every period [kWh], (member, period)."""
    found = np.zeros(claims.shape)
    for t in np.flatnonzero(total > 0.0).tolist():
        order = np.argsort(claims[:, t] / size, kind="stable")
        amount, weight = claims[order, t], size[order]
        # With the first members served in full, the others share what is left at one level.
        left = total[t] - np.concatenate([[0.0], np.cumsum(amount)[:-1]])
        level = left / np.cumsum(weight[::-1])[::-1]
        fits = np.flatnonzero(level <= amount / weight)
        found[:, t] = np.minimum(claims[:, t], size * level[fits[0]]) if len(fits) else claims[:, t]
    return found
