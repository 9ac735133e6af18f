"""Operators whose allowed revenue depends on each other's cost: best responses in turn until no cost moves.

    plans are an equilibrium where, for every operator i,     objective_i(plan_i; costs of the others) <= objective_i(any other plan; the same costs)

Operators plan in their order, each against the latest costs of the others; the first time against those of the existing networks. After a round in
which no cost has moved every plan was made against the very costs that stand, and its proven gap is the most that its operator can gain by another
plan while the others keep theirs: the certificate of the equilibrium. Costs that move by no more than ``rest`` count as standing; by how much they
moved is said.

Costs after a round that were those after an earlier one, with others in between, repeat: a cycle, in which no equilibrium is reached from this start
(there may be none). Of its states the one is taken in which operators gain least by another plan: with V_i the proven bound against its costs,

    epsilon = max over i of [ objective_i(plan_i; costs of the others) - V_i(costs of the others) ]       least over the states of the cycle

which makes it an epsilon-equilibrium: no operator gains more than epsilon by another plan while the others keep theirs. An equilibrium that is
found need not be the only one. Source of the term: Radner, Journal of Economic Theory 22 (1980) 136-154.
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

ROUNDING = 1e-9
"""Distance of costs, relative to them, that is rounding of the solvers [1]."""


@dataclass(frozen=True)
class Rules(Generic[A]):
    """How operators answer.

    Attributes:
        respond: operator, costs of all, its answer before (None at first) -> its best answer.
        stand: operator, costs of all, an answer -> what was decided in it, against these costs, with the proof of how much better another plan may
            be; None where it is no plan against them.
        costs_of: of an answer.
        gain_of: the most that its operator gains by another plan, of an answer [unit].
        unit: of gains.
    """

    respond: Callable[[str, Mapping[str, Costs], A | None], A]
    stand: Callable[[str, Mapping[str, Costs], A], A | None]
    costs_of: Callable[[A], Costs]
    gain_of: Callable[[A], float]
    unit: str = "EUR/a"


@dataclass(frozen=True)
class Equilibrium(Generic[A]):
    """Answers of which none moves while the others stand, or those of a cycle by which operators gain least.

    Attributes:
        answers: operator -> answer.
        rounds: in which all operators answered.
        moved: largest distance of a yearly cost from that against which the others answered [EUR/a].
        cycle: in words, what repeats, or still moves; empty where all came to rest.
    """

    answers: Mapping[str, A]
    rounds: int
    moved: float = 0.0
    cycle: str = ""


@dataclass(frozen=True)
class _State(Generic[A]):
    costs: Mapping[str, Costs]
    answers: Mapping[str, A]


def best_responses(
    operators: Sequence[str],
    first: Mapping[str, Costs],
    rules: Rules[A],
    *,
    most: int,
    rest: float = 0.0,
    report_progress: Progress = silent,
) -> Equilibrium[A]:
    """Best responses in turn until no cost moves; of a cycle the answers by which operators gain least.

    Args:
        operators: in the order in which they answer.
        first: operator -> costs from which the others start.
        rules: how they answer; the same input has the same answer.
        most: largest number of rounds.
        rest: distance by which a yearly cost may move and counts as standing [EUR/a].
        report_progress: called with what is being done.

    Raises:
        NoPlanError: answers cycle, or move still after ``most`` rounds, and those of no round can be kept against the costs of the others.
    """
    costs, answers = {name: first[name] for name in operators}, dict[str, A]()
    seen: list[_State[A]] = []
    for number in range(1, most + 1):
        before = dict(costs)
        for name in operators:
            report_progress(f"round {number}: {name}")
            answers[name] = rules.respond(name, dict(costs), answers.get(name))
            costs[name] = rules.costs_of(answers[name])
        if _alike(costs, before, rest):
            return Equilibrium(dict(answers), number, _distance(costs, before))
        again = next((k for k, state in enumerate(seen) if _alike(costs, state.costs, 0.0)), None)
        if again is not None:
            return _least_gain(seen[again:], number, _cycle([state.costs for state in seen[again:]], number), rules, report_progress)
        seen.append(_State(dict(costs), dict(answers)))
    moving = [name for name in operators if not _alike({name: costs[name]}, {name: before[name]}, rest)]
    why = (
        f"best responses of the operators: costs of {', '.join(moving)} still move after {most} rounds; allow more (regime.response_rounds), "
        "or change planning.gap_eur, to within which costs count as standing"
    )
    return _least_gain(seen[-1:], most, why, rules, report_progress)


def _distance(costs: Mapping[str, Costs], others: Mapping[str, Costs]) -> float:
    return max(abs(a - b) for name in costs for a, b in zip(costs[name], others[name], strict=True))


def _alike(costs: Mapping[str, Costs], others: Mapping[str, Costs], within: float) -> bool:
    """Whether no cost differs by more than ``within`` and rounding."""
    return all(abs(a - b) <= max(within, ROUNDING * abs(b)) for name in costs for a, b in zip(costs[name], others[name], strict=True))


def _least_gain(states: Sequence[_State[A]], rounds: int, why: str, rules: Rules[A], report_progress: Progress) -> Equilibrium[A]:
    """The answers of the state by which operators gain least by another plan, each proven against the costs of that state.

    Raises:
        NoPlanError: those of no state can be kept.
    """
    best: tuple[float, Mapping[str, A], float] | None = None
    for k, state in enumerate(states, 1):
        kept, moved, gain = dict[str, A](), 0.0, 0.0
        for name, answer in state.answers.items():
            report_progress(f"round {k} of {len(states)} that repeat: {name}")
            stands = rules.stand(name, dict(state.costs), answer)
            if stands is None:
                break
            kept[name] = stands
            moved = max(moved, _distance({name: rules.costs_of(stands)}, {name: state.costs[name]}))
            gain = max(gain, rules.gain_of(stands))
            if best is not None and gain >= best[0]:
                break
        else:
            best = gain, kept, moved
    if best is None:
        raise NoPlanError("error", f"{why}; what was decided in none of these rounds is a plan against the costs of that round")
    least, answers, distance = best
    taken = "of its rounds that one is taken in which operators gain least by another plan" if len(states) > 1 else "the last round is taken"
    return Equilibrium(answers, rounds, distance, f"{why}; {taken}: {least:,.2f} {rules.unit} at most")


def _cycle(states: Sequence[Mapping[str, Costs]], rounds: int) -> str:
    """Message: which costs repeat."""
    moving = [name for name in states[0] if any(state[name] != states[0][name] for state in states)]
    shown = "; ".join(f"{name}: {' -> '.join(f'{sum(state[name]):,.2f}' for state in [*states, states[0]])}" for name in moving)
    return (
        f"best responses of the operators repeat in a cycle of {len(states)} rounds, found after {rounds} (cost in EUR/a, summed over the years: "
        f"{shown}); from this start no equilibrium is reached, if there is one: change regime.own_share or the options, "
        "or set a smaller planning.gap_eur"
    )
