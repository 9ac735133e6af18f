"""Answers of all components together, under all limits of the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiscale.planning.decomposition.component import Charge, PartAnswer, Work
from multiscale.planning.decomposition.network_state import LimitsViolated, NetworkState, Retained
from multiscale.planning.decomposition.split import Split
from multiscale.planning.decomposition.structure import Structure, option_rows
from multiscale.planning.search_start import SearchStart

NEAR_ONE = 0.999
"""Share to which other transfers are paid where answers that cost the same are distinguished."""

TIED = 1e-9
"""Relative difference of costs that is rounding of the linear programs."""


class JointAnswers:
    """What the follower answers to a choice and a charge, from its components; limits that an answer violates are retained.

    Attributes:
        network: states of the network.
        split: the components under the limits retained so far.

    Args:
        known: structure of the follower.
        work: counts solves.
        required: options that are built in every choice (bool).
        start: where the search in a similar follower ended; used where the rows and columns are the same.
    """

    def __init__(self, known: Structure, work: Work, required: np.ndarray, start: SearchStart | None = None) -> None:
        self._work, self._required = work, required
        self.network = NetworkState(known)
        self._options_at_limits = option_rows(known)[known.limits]
        retained = Retained(np.zeros(known.limits.size, dtype=bool), np.zeros(known.state.size, dtype=bool))
        fitting = start if start is not None and start.basis.fits(known.program) else None
        if fitting is not None:
            retained = Retained(fitting.rows, fitting.bounds)
        self.split = Split(known, self.network, retained, start=fitting)

    def retain(self, limits: Retained) -> None:
        """Put more limits in force, which may join components."""
        self.split = Split(self.split.known, self.network, self.split.retained.joined(limits), self.split)

    def answers(self, built: np.ndarray, charge: Charge, *, limited: bool = True) -> list[PartAnswer]:
        """Under the limits retained so far."""
        return [c.solve(built[c.options], charge, self.network.spread, self._work, limited=limited) for c in self.split.components]

    def answers_without_charges(self, built: np.ndarray) -> list[PartAnswer]:
        """Answers where neither charge nor transfers are paid."""
        return [c.solve(built[c.options], -c.levy, self.network.spread, self._work, scale=0.0) for c in self.split.components]

    def checked_answers(self, built: np.ndarray, charge: Charge, *, at_base: bool = False, limited: bool = True) -> list[PartAnswer]:
        """Answers that satisfy all limits; those they violate are retained. ``at_base``: even the limits without any option, where omitted."""
        while True:
            answers = self.answers(built, charge, limited=limited)
            state = self.split.state(answers)
            violated = self.network.violated(state, state, self.split.retained, 0.0 if at_base else self._raised_by(built))
            if not violated.any:
                return answers
            self.retain(violated)

    def best_for_society(self, built: np.ndarray, charge: Charge, answers: list[PartAnswer]) -> list[PartAnswer]:
        """Of equally cheap answers of each component one of least resource cost, as far as prices just below show it.

        Where other transfers are paid to a share a little below one, the answer is the one of least resource cost among those that cost the same in
        full; if what it costs in full is more, it is none of these, and the answer stays. All stay where they would violate omitted limits together.
        """
        chosen = []
        for c, answer in zip(self.split.components, answers, strict=True):
            other = c.solve(built[c.options], charge, self.network.spread, self._work, scale=NEAR_ONE)
            in_full = other.cost + (1.0 - NEAR_ONE) * (other.transfers - c.levy * other.energy)
            chosen.append(other if in_full <= answer.cost + TIED * (1.0 + abs(answer.cost)) else answer)
        state = self.split.state(chosen)
        if self.network.violated(state, state, self.split.retained, self._raised_by(built)).any:
            return answers
        return [replace(other, cost=answer.cost) for other, answer in zip(chosen, answers, strict=True)]

    def total(self, answers: list[PartAnswer]) -> tuple[float, float, float]:
        """Cost, its lower bound [EUR/a] and charged energy [kWh/a] of the follower."""
        cost, bound, energy = (float(sum(getattr(a, name) for a in answers)) for name in ("cost", "bound", "energy"))
        return self.split.constant + cost, self.split.constant + bound, energy

    def check(self, low: np.ndarray, high: np.ndarray) -> None:
        """See that states between two satisfy the omitted limits without any option.

        Raises:
            LimitsViolated: they may not.
        """
        violated = self.network.violated(low, high, self.split.retained)
        if violated.any:
            raise LimitsViolated(violated)

    def choice(self, parts: list[np.ndarray]) -> np.ndarray:
        """The choice over all options from those of every component."""
        built = self._required.copy()
        for component, part in zip(self.split.components, parts, strict=True):
            built[component.options] = part
        return built

    def point(self, built: np.ndarray, charge: Charge) -> np.ndarray:
        """Columns of the whole follower, from the components.

        Solved again a component may give another of its best answers, which may violate omitted limits that the one looked at before
        satisfies; they are retained then, at the same cost.
        """
        while True:
            x = self.split.columns([c.point(built[c.options], charge) for c in self.split.components])
            state = self.network.state_of(x)
            violated = self.network.violated(state, state, self.split.retained, self._raised_by(built))
            if not violated.any:
                return x
            self.retain(violated)

    def _raised_by(self, built: np.ndarray) -> np.ndarray:
        """What options add to the limits."""
        return self._options_at_limits @ built.astype(float)
