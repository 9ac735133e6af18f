"""Answers of an earlier search, where they hold under other limits.

An answer that is optimal under looser limits and satisfies tighter ones is optimal under these. So an answer of an earlier search is that of a
component that is the same but for the limits that options raise, if none of these is looser now with the options of the answer, and it needs no more
than they are; its bound holds all the more. Nothing else about the component may differ by a single bit: its key is the hash of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np

from multiscale.planning.decomposition.component import TOLERANCE, Choice, Component, PartAnswer
from multiscale.planning.decomposition.structure import Structure
from multiscale.planning.search_start import PartAnswers


def key_of(component: Component) -> bytes:
    """Hash of all that a component is, but for the limits that options raise."""
    program, network = component.program, component.network
    rhs = program.b0.copy()
    rhs[component.raised] = 0.0
    raised = (component.more > 0).astype(np.int8)
    matrices = [part for m in (program.A, program.C, network) for part in (m.indptr, m.indices, m.data)]
    values = [rhs, program.c0, program.lower, program.upper, program.equality, component.energy, component.transfer, np.array([component.levy])]
    return _hash([component.columns, component.rows, component.options, component.raised, raised, *matrices, *values])


def key_without_limits(known: Structure) -> bytes:
    """Hash of a follower without the limits of its network."""
    program = known.program
    rhs, lower, upper = program.b0.copy(), program.lower.copy(), program.upper.copy()
    rhs[known.limits] = 0.0
    for bound in (lower, upper):
        bound[known.state], bound[known.given] = 0.0, 0.0
    matrices = [part for m in (program.A, program.C) for part in (m.indptr, m.indices, m.data)]
    return _hash([*matrices, rhs, program.c0, lower, upper, program.equality, np.array([program.d0, known.levy]), known.energy, known.transfer])


def _hash(arrays: Iterable[np.ndarray]) -> bytes:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.digest()


def as_data(component: Component, charges: set[float]) -> PartAnswers:
    """The answers of a component at some charges."""
    kept = {choice: answer for choice, answer in component.answers.items() if choice[1] in charges}
    answers, count = list(kept.values()), len(kept)
    return PartAnswers(
        key_of(component),
        component.program.b0[component.raised],
        component.more,
        np.array([np.frombuffer(built, dtype=bool) for built, _, _ in kept]).reshape(count, component.options.size),
        np.array([prices for _, *prices in kept]).reshape(count, 2),
        np.array([(a.cost, a.bound, a.energy, a.transfers) for a in answers]).reshape(count, 4),
        np.array([a.needed for a in answers]).reshape(count, component.raised.size),
        np.array([a.drawn for a in answers]).reshape(count, component.network_rows.size),
    )


class EarlierAnswers:
    """The answers of an earlier search that a component with the same key may take over.

    Args:
        component: which.
        earlier: the answers.
        spread: turns network rows into states.
    """

    def __init__(self, component: Component, earlier: PartAnswers, spread: Callable[[np.ndarray], np.ndarray]) -> None:
        self._component, self._earlier, self._spread = component, earlier, spread
        prices = [tuple(map(float, pair)) for pair in earlier.prices]
        self._at = {(built.tobytes(), *at): k for k, (built, at) in enumerate(zip(earlier.built, prices, strict=True))}

    def __call__(self, choice: Choice) -> PartAnswer | None:
        """The answer to a choice; None where it is not known, or does not hold."""
        k = self._at.get(choice)
        component, earlier = self._component, self._earlier
        # Searches with several prices keep no answers.
        if k is None or component.further.shape[1]:
            return None
        built, limit = earlier.built[k], component.program.b0[component.raised]
        more, needed = component.more @ built, earlier.needed[k] + (earlier.limit - limit)
        looser = limit + more > earlier.limit + earlier.more @ built
        if looser.any() or (needed > more + TOLERANCE).any():
            return None
        drawn = np.zeros(component.network.shape[0])
        drawn[component.network_rows] = earlier.drawn[k]
        cost, bound, energy, transfers = map(float, earlier.values[k])
        return PartAnswer(cost, bound, energy, np.zeros(0), transfers, needed, earlier.drawn[k], self._spread(-drawn))
