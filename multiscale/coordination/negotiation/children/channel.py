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


@dataclass
class Channel:
    """Children behind an unreliable channel.

    Attributes:
        children: who computes the answers.
        seed: of everything random.
        lost: share of messages lost, each way [1].
        late: share of answers that come 1 to ``longest`` steps later, while their child is busy [1].
        repeated: share of answers that arrive a second time, in a later step [1].
        longest: longest delay [steps].
    """

    children: Children
    seed: int = 0
    lost: float = 0.05
    late: float = 0.5
    repeated: float = 0.05
    longest: int = 3
    _step: int = 0
    _busy: dict[str, int] = field(default_factory=dict)
    _under_way: list[tuple[int, str, Reply | Refusal]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def ask(self, requests: Mapping[str, Request]) -> list[tuple[str, Reply | Refusal]]:
        """Send what can be sent; bring what arrives in this step, in any order."""
        self._step += 1
        draw = self._random.random
        heard = {c: r for c, r in requests.items() if self._busy.get(c, 0) < self._step and draw() >= self.lost}
        for child, reply in self.children.ask(heard) if heard else ():
            delay = int(self._random.integers(1, self.longest + 1)) if draw() < self.late else 0
            self._busy[child] = self._step + delay
            if draw() >= self.lost / 2:
                self._under_way.append((self._step + delay, child, reply))
                if draw() < self.repeated:
                    self._under_way.append((self._step + delay + int(self._random.integers(1, self.longest + 1)), child, reply))
        due = [(c, r) for at, c, r in self._under_way if at <= self._step]
        self._under_way = [item for item in self._under_way if item[0] > self._step]
        return [due[k] for k in self._random.permutation(len(due))]
