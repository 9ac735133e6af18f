"""Children whose answers are computed by an engine: one task per child and round, programs sent once, nothing remembered but caches.

The driver keeps the first price each child was asked and sends it along; a child starts every answer from the basis at that price. So an
answer is a function of (program, first price, request): the same on whichever worker, after whatever interruption. A worker that does not
know a program says so and is sent it.
"""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.coordination.bidirectional import Refusal
from multiscale.coordination.child import ProgramChild, Settled
from multiscale.coordination.engine import Engine
from multiscale.coordination.request import Reply, Request
from multiscale.programs import ParametricProgram, ProgramError

_CACHE: OrderedDict[str, ProgramChild] = OrderedDict()
_LARGEST_CACHE = 500
"""Programs a worker keeps compiled: those of all platforms of a large tree, and not those of many days."""


def _child(key: str, program: bytes | None) -> ProgramChild | None:
    """The child of a program, from this process's cache or the bytes that came along."""
    if key not in _CACHE:
        if program is None:
            return None
        _CACHE[key] = pickle.loads(program)
        while len(_CACHE) > _LARGEST_CACHE:
            _CACHE.popitem(last=False)
    _CACHE.move_to_end(key)
    return _CACHE[key]


def answer_child(key: str, program: bytes | None, request: Request, reference: np.ndarray) -> Reply | Refusal | None:
    """Task of a worker: a child's answer; None where the program is not known here."""
    child = _child(key, program)
    if child is None:
        return None
    try:
        return child.answer(request, reference)
    except ProgramError as error:
        return Refusal(str(error))


def settle_child(key: str, program: bytes | None, profile: np.ndarray, price: np.ndarray) -> Settled | None:
    """Task of a worker: the cheapest way to keep an agreed profile; None where the program is not known here. Done once, so nothing is kept."""
    child = _CACHE.get(key) or (None if program is None else pickle.loads(program))
    return None if child is None else child.settle(profile, price)


@dataclass
class EngineChildren:
    """Children on an engine.

    Args:
        engine: where answers are computed.
        programs: child -> program with all parameters settled.
        hours: hours of the year of each period [h/a].
        reference: child -> first price it was asked [EUR/kWh]; part of the state of a negotiation.
    """

    engine: Engine
    programs: Mapping[str, ParametricProgram]
    hours: np.ndarray
    reference: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pickled = {c: pickle.dumps(ProgramChild(p, self.hours)) for c, p in self.programs.items()}
        self.keys = {c: hashlib.blake2b(data, digest_size=16).hexdigest() for c, data in self._pickled.items()}
        self._sent: set[str] = set()

    def ask(self, requests: Mapping[str, Request]) -> list[tuple[str, Reply | Refusal]]:
        """All answers, in the order of the requests."""
        for child, request in requests.items():
            self.reference.setdefault(child, request.prices[0])
        done = self._map(answer_child, {c: (r, self.reference[c]) for c, r in requests.items()})
        return [(c, done[c]) for c in requests]

    def settle(self, agreed: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Settled]:
        """What each child does to keep its agreed profile [kW] at its price [EUR/kWh]."""
        return self._map(settle_child, dict(agreed))

    def _map(self, function: object, inputs: Mapping[str, tuple[object, ...]]) -> dict:
        homes = {c: k for k, c in enumerate(self.programs)}
        tasks = {c: (self.keys[c], None if c in self._sent else self._pickled[c], *rest) for c, rest in inputs.items()}
        done = self.engine.map(function, tasks, homes)  # type: ignore[arg-type]
        lost = [c for c, found in done.items() if found is None]
        if lost:
            done |= self.engine.map(function, {c: (self.keys[c], self._pickled[c], *inputs[c]) for c in lost}, homes)  # type: ignore[arg-type]
        self._sent |= set(inputs)
        return done
