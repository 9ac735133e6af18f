"""Operators whose allowed revenue depends on each other's cost: best responses in turn until no cost moves.

    plans are an equilibrium where, for every operator i,     objective_i(plan_i; costs of the others) <= objective_i(any other plan; the same costs)

Operators plan in their order, each against the latest costs of the others; the first time against those of the existing networks. After a round in
which no cost has moved every plan was made against the very costs that stand, and its proven gap is the most that its operator can gain by another
plan while the others keep theirs: the certificate of the equilibrium.

A round follows from the costs before it alone. Costs after a round that were those after an earlier one, with others in between, repeat indefinitely:
that is a cycle, and no equilibrium is reached from this start (there may be none). An equilibrium that is found need not be the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from multiscale.coordination.common.prepared import Progress, silent
from multiscale.planning.no_plan import NoPlanError

A = TypeVar("A")

Costs = tuple[float, ...]
"""What of an operator's answer the others are compared with: its yearly cost in every year that is planned [EUR/a]."""


@dataclass(frozen=True)
class Equilibrium(Generic[A]):
    """Answers of which none moves while the others stand.

    Attributes:
        answers: operator -> answer.
        rounds: in which all operators answered, the last one without any change.
    """

    answers: Mapping[str, A]
    rounds: int


def best_responses(
    operators: Sequence[str],
    first: Mapping[str, Costs],
    respond: Callable[[str, Mapping[str, Costs], A | None], A],
    costs_of: Callable[[A], Costs],
    *,
    most: int,
    report_progress: Progress = silent,
) -> Equilibrium[A]:
    """Best responses in turn until no cost moves.

    Args:
        operators: in the order in which they answer.
        first: operator -> costs from which the others start.
        respond: operator, costs of all, its answer before (None at first) -> its best answer; the same input has the same answer.
        costs_of: of an answer.
        most: largest number of rounds.
        report_progress: called with what is being done.

    Raises:
        NoPlanError: answers cycle, or move still after ``most`` rounds.
    """
    costs, answers = {name: first[name] for name in operators}, dict[str, A]()
    seen: list[dict[str, Costs]] = []
    for number in range(1, most + 1):
        before = dict(costs)
        for name in operators:
            report_progress(f"round {number}: {name}")
            answers[name] = respond(name, dict(costs), answers.get(name))
            costs[name] = costs_of(answers[name])
        if costs == before:
            return Equilibrium(answers, number)
        if costs in seen:
            raise NoPlanError("error", _cycle(seen[seen.index(costs) :], number))
        seen.append(dict(costs))
    moving = [name for name in operators if costs[name] != before[name]]
    raise NoPlanError(
        "error",
        f"best responses of the operators: costs of {', '.join(moving)} still move after {most} rounds; allow more (regime.response_rounds), "
        "or smaller gaps of the plans (planning.gap_eur)",
    )


def _cycle(states: Sequence[Mapping[str, Costs]], rounds: int) -> str:
    """Message: which costs repeat."""
    moving = [name for name in states[0] if any(state[name] != states[0][name] for state in states)]
    shown = "; ".join(f"{name}: {' -> '.join(f'{sum(state[name]):,.2f}' for state in [*states, states[0]])}" for name in moving)
    return (
        f"best responses of the operators repeat in a cycle of {len(states)} rounds, found after {rounds} (cost in EUR/a, summed over the years: "
        f"{shown}); from this start none is reached, if there is one: change regime.own_share or the options, or set a smaller planning.gap_eur"
    )
