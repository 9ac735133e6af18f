"""A DSO between TSO and platforms: a child above, a parent below; its certificate stands on those of its platforms.

Asked by the TSO at a price, it negotiates with its platforms until its own gap is within the tolerance asked for, and answers with its own
proven bound and a profile it can keep. What the platforms have offered and answered once stays valid at every other price, so later
answers take few further questions. Gaps add up: cost - bound of the whole <= gap of the TSO + gaps of the DSOs.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from multiscale.coordination.negotiation.children.carriers import Children, Refusal
from multiscale.coordination.negotiation.children.request import Reply, Request
from multiscale.coordination.negotiation.dso import DsoProgram
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.price_steps import mix_near
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.programs import ProgramError

Arrivals = Iterable[tuple[str, Reply | Refusal]]
Questions = Generator[dict[str, Request], Arrivals, Reply]


class Branch:
    """A DSO with its platforms.

    Args:
        parent: the DSO's master over its platforms; what remains of the program's parameters are the prices from above [EUR/kWh], (period,).
        program: of the DSO.
        expected: exchange expected of the platforms [kW], (platform, period).
        options: of the negotiations below.
    """

    def __init__(self, parent: Parent, program: DsoProgram, expected: np.ndarray, options: NegotiationOptions) -> None:
        self.parent, self.program, self.resolution = parent, program, program.resolution
        self.hours_above = np.tile(self.resolution.above.hours_per_year, parent.goods)
        parent.under(np.zeros(len(parent.hours)))
        self.negotiation = Negotiation(parent, expected, options)
        self.plans: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self.proven: dict[bytes, tuple[np.ndarray, float]] = {}

    def answers(self, request: Request) -> Questions:
        """Work out the reply to a request; yields questions to platforms and takes their answers."""
        parent, negotiation = self.parent, self.negotiation
        values, costs, profiles, excluded = [], [], [], len(negotiation.state.excluded)
        negotiation.options = replace(negotiation.options, target=request.tolerance / (1 + len(request.prices)))
        for price in request.prices:
            negotiation.restart(self.resolution.repeated(price))
            while not negotiation.finished:
                arrived = yield negotiation.requests()
                negotiation.take(_nothing_taken_back(arrived), 0.0)
            agreement = negotiation.agreement()
            profile = self.program.seen @ agreement.point.x
            assert negotiation.state.centre is not None
            # Asked again, as over an unreliable channel, it stands by what it has proven: the TSO counts on the one answer or the other.
            proof = max(self.proven.get(price.tobytes(), (price, -np.inf)), (negotiation.state.centre, agreement.bound), key=lambda at: at[1])
            self.proven[price.tobytes()] = proof
            values.append(proof[1])
            costs.append(agreement.point.cost - float(self.hours_above * price @ profile))
            profiles.append(profile)
            self.plans[request.number, len(profiles) - 1] = agreement.point.exchange, agreement.point.own
        if request.target is not None:
            assert request.target_price is not None
            parent.under(np.zeros(len(parent.hours)))
            near = mix_near(parent, request.target_price, request.target, request.slope, self.program.seen, self.hours_above)
            if near is not None:
                cost, x, exchange, own = near
                costs.append(cost + self.program.repair(x, exchange))
                profiles.append(self.program.seen @ x)
                self.plans[request.number, len(profiles) - 1] = exchange, own
        if len(negotiation.state.excluded) > excluded:
            # A platform failed on the way: what was said before it did, in this reply or earlier, counted on it.
            self.proven.clear()
            return replace((yield from self.answers(request)), anew=True)
        return Reply(request.number, np.array(values), np.array(costs), np.array(profiles), goods=parent.goods)

    def shared_out(self, offers: Sequence[tuple[int, int]], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r"""What the platforms draw [kW], (platform, period), and say that it costs them \[EUR/a\], when the TSO takes so much of the offers."""
        taken = [(w, *self.plans[name]) for name, w in zip(offers, weights, strict=True) if w > 0]
        return np.sum([w * exchange for w, exchange, _ in taken], axis=0), np.sum([w * own for w, _, own in taken], axis=0)

    def proof(self, price: np.ndarray) -> tuple[np.ndarray, float]:
        r"""Prices of the platforms [EUR/kWh], (platform, entry), at which its bound at a price from above was proven, and that bound \[EUR/a\].

        Raises:
            ProgramError: nothing was proven at that price.
        """
        found = self.proven.get(price.tobytes())
        if found is None:
            said = "its bound counts at a price at which its own negotiation proved nothing: it answered another one"
            raise ProgramError(f"DSO {self.parent.name!r}: {said}")
        return found

    def platform_price(self, price: np.ndarray) -> np.ndarray:
        """Nodal prices at the platforms [EUR/kWh], (platform, period), at a price from above."""
        self.parent.under(self.resolution.repeated(price))
        return self.parent.best_mix().price


def _nothing_taken_back(arrived: Arrivals) -> Iterator[tuple[str, Reply | Refusal]]:
    """The answers of platforms; one that takes back what it said refuses, since what the DSO has said above rests on it."""
    for platform, reply in arrived:
        back = isinstance(reply, Reply) and reply.anew is not False
        yield platform, Refusal("took back what it had said, which no platform has a reason to") if back else reply


@dataclass
class Branches:
    """All DSOs as children of the TSO, their platforms asked together.

    Attributes:
        branches: DSO -> branch.
        platforms: who carries the messages to the platforms (of all DSOs).
        others: who carries the messages to children that are no branches.
    """

    branches: Mapping[str, Branch]
    platforms: Children
    others: Children | None = None

    def ask(self, requests: Mapping[str, Request]) -> list[tuple[str, Reply | Refusal]]:
        """Ask all; the DSOs' questions to their platforms go out together, step by step."""
        out: dict[str, Reply | Refusal] = {}
        plain = {c: r for c, r in requests.items() if c not in self.branches}
        running = {c: self.branches[c].answers(r) for c, r in requests.items() if c in self.branches}
        waiting: dict[str, dict[str, Request]] = {}
        for dso in list(running):
            self._resume(dso, None, running, waiting, out)
        if plain and self.others is not None:
            out |= dict(self.others.ask(plain))
        while running:
            owner = {p: dso for dso in running for p in waiting[dso]}
            arrived: dict[str, list[tuple[str, Reply | Refusal]]] = {dso: [] for dso in running}
            for platform, reply in self.platforms.ask({p: waiting[dso][p] for p, dso in owner.items()}):
                arrived[owner[platform]].append((platform, reply))
            for dso in list(running):
                self._resume(dso, arrived[dso], running, waiting, out)
        return [(c, out[c]) for c in requests if c in out]

    @staticmethod
    def _resume(
        dso: str,
        arrived: list[tuple[str, Reply | Refusal]] | None,
        running: dict[str, Questions],
        waiting: dict[str, dict[str, Request]],
        out: dict[str, Reply | Refusal],
    ) -> None:
        try:
            waiting[dso] = next(running[dso]) if arrived is None else running[dso].send(arrived)
        except StopIteration as end:
            out[dso] = end.value
            del running[dso]
            waiting.pop(dso, None)
        except Exception as error:  # whatever is wrong with a DSO stays with it, and is named
            out[dso] = Refusal(f"{type(error).__name__}: {error}")
            del running[dso]
            waiting.pop(dso, None)
