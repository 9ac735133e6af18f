"""Compare the methods of negotiation: rounds to a certified gap, computing time, messages.

python -m tests.benchmarks.coordination_methods                          synthetic families, all methods
python -m tests.benchmarks.coordination_methods --more 2 3 4             further seeds, the chosen method, late answers, second day
python -m tests.benchmarks.coordination_methods --simbench hard 1 2 4 8 16 28     SimBench with so many DSOs, gap after every round
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from multiscale.compare_mechanisms.enlarged import many_dsos, one_day, tree_of
from multiscale.coordination.common.prepared import realise_day, respond
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children.carriers import LocalChildren
from multiscale.coordination.negotiation.children.program_child import ProgramChild
from multiscale.coordination.negotiation.children.request import Reply, Request
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.state import NegotiationOptions, NegotiationResult
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.publication.flat import flat_signals
from tests.coordination.families import Case, family, unreliable

GAPS = (1e-2, 1e-3, 1e-4)


def say(text: str) -> None:
    """One line."""
    print(text, flush=True)


class Timed(LocalChildren):
    """Children in this process, with the CPU seconds they took."""

    seconds = 0.0

    def ask(self, requests):
        begun = time.process_time()
        answered = super().ask(requests)
        self.seconds += time.process_time() - begun
        return answered


def children_of(case: Case) -> Timed:
    """The children of a case, each starting from the basis at the first price it was asked."""

    def child(name: str) -> Callable[[Request], Reply]:
        program, reference = ProgramChild(case.children[name], case.hours), []

        def answer(request: Request) -> Reply:
            reference.append(request.prices[0])
            return program.answer(request, reference[0])

        return answer

    return Timed({name: child(name) for name in case.children})


def flat_cost(case: Case) -> float:
    """Cost when every child receives one price for all hours, and the parent dispatches the rest."""
    parent = Parent(case.parent, case.hours, case.bands)
    price = parent.price_of(case.expected)
    weight = np.maximum(case.expected, 1e-9)
    price_list = np.full(24, float((price * weight).sum() / weight.sum()))
    for name, program in case.children.items():
        reply = ProgramChild(program, case.hours).answer(Request(0, price_list[None]), price_list)
        parent.add(name, reply.costs[0], reply.profiles[0])
    return parent.best_mix().cost


def negotiated(case: Case, method: str, first: np.ndarray | None = None, channel: int | None = None) -> tuple[NegotiationResult, float, float]:
    """NegotiationResult, CPU seconds of the children and in all."""
    children, begun = children_of(case), time.process_time()
    options = (
        NegotiationOptions(method=method, gap=GAPS[-1], rounds=60)
        if channel is None
        else NegotiationOptions(method=method, gap=GAPS[1], rounds=400, quorum=0.9)
    )
    run = Negotiation(Parent(case.parent, case.hours, case.bands), case.expected, options, first)
    agreement = run.run(children if channel is None else unreliable(children, channel))
    return agreement, children.seconds, time.process_time() - begun


def line(name: str, case: Case, found: tuple[NegotiationResult, float, float], optimum: float, flat: float) -> str:
    """One row: rounds to each gap, gap as share of the value of coordination at 0.1 %, CPU seconds, messages, certificates kept."""
    agreement, below, total = found
    rounds = [next((str(s.step) for s in agreement.history if s.gap <= gap), "-") for gap in GAPS]
    at = next((s for s in agreement.history if s.gap <= GAPS[1]), agreement.history[-1])
    room = 1e-6 * abs(optimum)
    sound = all(s.bound <= optimum + room and s.cost >= optimum - room for s in agreement.history)
    share = 100 * (at.cost - at.bound) / (flat - optimum)
    kept = "every step" if sound else "BROKEN"
    return f"| {name} | {' / '.join(rounds)} | {share:.1f} % | {below:.1f} | {total - below:.1f} | {at.messages:,} | {kept} |"


def synthetic(seeds: list[int]) -> None:
    """The families."""
    head = "| case | steps to 1 % / 0.1 % / 0.01 % | gap at 0.1 % as share of the value of coordination "
    say(head + "| children CPU s | parent CPU s | messages | certificate valid |")
    say("|---|---|---|---|---|---|---|")
    more = bool(seeds)
    cases = [(kind, count, seed) for seed in seeds or [1] for kind in ("easy", "hard") for count in ((4, 12) if more else (4, 12, 28))]
    for kind, count, seed in cases:
        case = family(kind, count, seed)
        optimum, flat = case.integrated(), flat_cost(case)
        name = f"{kind}, N={count}, seed {seed} (value {100 * (flat / optimum - 1):.1f} %)"
        for method in ("hybrid",) if more else ("columns", "level", "admm", "hybrid"):
            found = negotiated(case, method)
            say(line(f"{name}, {method}", case, found, optimum, flat))
        if more:
            say(line(f"{name}, hybrid, late and lost answers, to 0.1 %", case, negotiated(case, "hybrid", channel=seed), optimum, flat))
            tomorrow = family(kind, count, seed, day=1)
            lists = np.array(found[0].prices[-16:])
            again, flat_then = tomorrow.integrated(), flat_cost(tomorrow)
            say(line(f"{name}, next day cold", tomorrow, negotiated(tomorrow, "hybrid"), again, flat_then))
            say(line(f"{name}, next day warm", tomorrow, negotiated(tomorrow, "hybrid", lists), again, flat_then))


def simbench(kind: str, counts: list[int]) -> None:
    """SimBench with so many DSOs, platforms aggregated."""
    for count in counts:
        tree = tree_of(*many_dsos(kind, count), one_day(), aggregated=True)
        begun = time.process_time()
        run = negotiation_of(tree, SerialEngine(), NegotiationOptions(gap=GAPS[-1], rounds=40))
        agreement = run.run()
        outcome = outcome_of(run, agreement)
        seconds = time.process_time() - begun
        flat = [{"flat": flat_signals(tree, outcome)}]
        uncoordinated = realise_day(tree, flat[0], respond([tree], flat, SerialEngine())[0], outcome.bound)["flat"]
        value = uncoordinated.cost - outcome.bound
        gaps = ", ".join(f"{100 * s.gap:.2g}" for s in agreement.history)
        shares = ", ".join(f"{100 * (s.cost - s.bound) / value:.2g}" for s in agreement.history)
        traffic = outcome.traffic
        sent = f"{traffic.messages:,} | {traffic.bytes / 1e3:.0f}"
        worth = f"{100 * value / abs(outcome.cost):.2g}"
        say(f"| {kind} | {count} | {gaps} | {worth} | {shares} | {seconds:.0f} | {sent} | {outcome.gap:.1e} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--more", nargs="*", type=int, default=None, metavar="seed")
    parser.add_argument("--simbench", nargs="+", default=None, metavar=("kind", "count"))
    given = parser.parse_args()
    if given.simbench:
        say(
            "| case | DSOs | gap after every round [% of cost] | value of coordination [% of cost] | the gaps as shares of it [%] "
            "| CPU s | messages | kB | gap of the operation |"
        )
        say("|---|---|---|---|---|---|---|---|---|")
        simbench(given.simbench[0], [int(n) for n in given.simbench[1:]] or [1, 2, 4, 8, 16, 28])
    else:
        synthetic([] if given.more is None else given.more or [2, 3, 4])


if __name__ == "__main__":
    main()
