"""A channel between parent and children that loses, delays, repeats and reorders messages, from a seed.

Children work at their own pace: one that is busy takes no new request. A request or an answer that is lost is asked for again in the next
step, as long as the round lasts; an answer to an old round still comes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.coordination.negotiation.children.carriers import Children, Refusal
from multiscale.coordination.negotiation.children.request import Reply, Request
from multiscale.settings import LARGEST_SEED, Settings, count, quantity


class ChannelSettings(Settings):
    """An unreliable way between a parent and its children; nothing is lost, late or repeated by default."""

    lost: float = quantity(0.0, "1", "share of messages lost, each way", lower=0.0, upper=0.9)
    late: float = quantity(0.0, "1", "share of answers that come late, while their child is busy", lower=0.0, upper=1.0)
    repeated: float = quantity(0.0, "1", "share of answers that arrive a second time, in a later step", lower=0.0, upper=1.0)
    longest: int = count(3, "longest delay, in steps of the negotiation", 1, 1000)
    seed: int = count(0, "seed of what is lost, late and repeated", 0, LARGEST_SEED)

    def through(self, children: Children) -> Children:
        """The children behind such a channel; themselves where it is perfect."""
        return Channel(children, self) if self.lost or self.late or self.repeated else children


@dataclass
class ChannelState:
    """What a channel has on its way; part of the state of a negotiation.

    Attributes:
        random: draws what is lost, late and repeated.
        step: number of the present step.
        busy: child -> step in which it ends its present answer.
        under_way: answers that have not arrived: step of arrival, child, answer.
    """

    random: np.random.Generator
    step: int = 0
    busy: dict[str, int] = field(default_factory=dict)
    under_way: list[tuple[int, str, Reply | Refusal]] = field(default_factory=list)


class Channel:
    """Children behind an unreliable channel.

    Args:
        children: who computes the answers.
        settings: how unreliable it is.
    """

    def __init__(self, children: Children, settings: ChannelSettings) -> None:
        self.children, self.settings = children, settings
        self.state = ChannelState(np.random.default_rng(settings.seed))

    def ask(self, requests: Mapping[str, Request]) -> list[tuple[str, Reply | Refusal]]:
        """Send what can be sent; bring what arrives in this step, in any order."""
        state, settings = self.state, self.settings
        state.step += 1
        draw = state.random.random
        heard = {c: r for c, r in requests.items() if state.busy.get(c, 0) < state.step and draw() >= settings.lost}
        for child, reply in self.children.ask(heard) if heard else ():
            delay = int(state.random.integers(1, settings.longest + 1)) if draw() < settings.late else 0
            state.busy[child] = state.step + delay
            if draw() >= settings.lost / 2:
                state.under_way.append((state.step + delay, child, reply))
                if draw() < settings.repeated:
                    state.under_way.append((state.step + delay + int(state.random.integers(1, settings.longest + 1)), child, reply))
        due = [(c, r) for at, c, r in state.under_way if at <= state.step]
        state.under_way = [item for item in state.under_way if item[0] > state.step]
        return [due[k] for k in state.random.permutation(len(due))]
