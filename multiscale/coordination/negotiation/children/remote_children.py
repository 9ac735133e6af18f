"""Children whose answers are computed by an engine: one task per child and round, its data sent once, nothing remembered but caches.

What travels is what a program is made from (a fleet and a network, or the program of a DSO itself), under the hash of its content; a worker
makes the program, compiles it, and keeps it. The driver keeps the first price each child was asked and sends it along; a child starts
every answer from the basis at that price. So an answer is a function of (data, first price, request): the same on whichever worker, after
whatever interruption. A worker that does not know a child says so and is sent its data.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from multiscale.content import content_key
from multiscale.coordination.engine import Engine, TaskError
from multiscale.coordination.negotiation.children.batched_child import BatchedChild
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild, Settled
from multiscale.coordination.negotiation.children.request import Reply, Request
from multiscale.programs import ParametricProgram, ProgramError

Source = ParametricProgram | PlatformSource
"""What a child's program is made from: the program itself, or the data of a platform."""

_CACHE: OrderedDict[str, ProgramChild | BatchedChild] = OrderedDict()
_LARGEST_CACHE = 500
"""Programs a worker keeps compiled: those of all platforms of a large tree, and not those of many days."""


def _child(key: str, source: bytes | None, hours: np.ndarray) -> ProgramChild | BatchedChild | None:
    """The child, from this process's cache or made from what came along."""
    if key not in _CACHE:
        if source is None:
            return None
        made: Source = pickle.loads(source)
        _CACHE[key] = made.child(hours) if isinstance(made, PlatformSource) else ProgramChild(made, hours)
        while len(_CACHE) > _LARGEST_CACHE:
            _CACHE.popitem(last=False)
    _CACHE.move_to_end(key)
    return _CACHE[key]


def answer_child(key: str, source: bytes | None, hours: np.ndarray, request: Request, reference: np.ndarray) -> Reply | Refusal | None:
    """Task of a worker: a child's answer; None where the child is not known here."""
    try:
        child = _child(key, source, hours)
        return None if child is None else child.answer(request, reference)
    except ProgramError as error:
        return Refusal(str(error))
    except Exception as error:  # whatever is wrong with a child stays with it, and is named
        return Refusal(f"{type(error).__name__}: {error}")


def settle_child(key: str, source: bytes, hours: np.ndarray, kept: Kept, reference: np.ndarray | None) -> Settled | Refusal:
    """Task of a worker: the cheapest way to keep an agreed profile, of the whole platform.

    What answered it may be in this process's cache; where it is not, it is made, and says the same.
    """
    try:
        made: Source = pickle.loads(source)
        if isinstance(made, ParametricProgram) or reference is None:
            return ProgramChild(made.whole() if isinstance(made, PlatformSource) else made, hours).settle(kept)
        child = _child(key, source, hours)
        assert child is not None
        return made.settle(child, kept, reference)
    except ProgramError as error:
        return Refusal(str(error))
    except Exception as error:  # whatever is wrong with a child stays with it, and is named
        return Refusal(f"{type(error).__name__}: {error}")


@dataclass
class RemoteChildren:
    """Children on an engine.

    Args:
        engine: where answers are computed.
        sources: child -> what its program is made from (all parameters fixed).
        hours: hours of the year of each period [h/a].
        reference: child -> first price it was asked [EUR/kWh]; part of the state of a negotiation.
        patience: time after which a child that does not answer is given up [s]; counted from when its worker begins; default: that of the engine.
    """

    engine: Engine
    sources: Mapping[str, Source]
    hours: np.ndarray
    reference: dict[str, np.ndarray] = field(default_factory=dict)
    patience: float | None = None

    def __post_init__(self) -> None:
        self._sent: set[str] = set()

    @cached_property
    def keys(self) -> dict[str, str]:
        """Hash of what each child's program is made from."""
        return {c: content_key(source, self.hours) for c, source in self.sources.items()}

    def ask(self, requests: Mapping[str, Request]) -> list[tuple[str, Reply | Refusal]]:
        """All answers, in the order of the requests."""
        for child, request in requests.items():
            self.reference.setdefault(child, request.prices[0])
        homes = {c: k for k, c in enumerate(self.sources)}

        def tasks(children: list[str], known: set[str]) -> dict[str, tuple[object, ...]]:
            return {c: (self.keys[c], None if c in known else self._packed(c), self.hours, requests[c], self.reference[c]) for c in children}

        done = self._done(answer_child, tasks(list(requests), self._sent), homes)
        lost = [c for c, found in done.items() if found is None]
        if lost:
            done |= self._done(answer_child, tasks(lost, set()), homes)
        self._sent |= set(requests)
        return [(c, done[c]) for c in requests]

    def _done(self, task: Callable[..., Any], tasks: Mapping[str, tuple[object, ...]], homes: Mapping[str, int] | None = None) -> dict[str, Any]:
        """All answers; a child with which a worker is lost, or never ends, is asked once more alone, so that no other is lost with it."""
        done: dict[str, Any] = {}
        left = dict(tasks)
        while left:
            try:
                return done | self.engine.map(task, left, homes, self.patience)
            except TaskError as error:
                if not error.keys:
                    raise
                for child in error.keys:
                    try:
                        done |= self.engine.map(task, {child: left.pop(child)}, homes, self.patience)
                    except TaskError as alone:
                        late = isinstance(alone.__cause__, TimeoutError)
                        done[child] = Refusal(f"gave {alone.__cause__}" if late else f"its worker was lost ({alone.__cause__})")
        return done

    def settle(self, agreed: Mapping[str, Kept]) -> dict[str, Settled | Refusal]:
        """What each child does to keep its agreed profile, or why it cannot."""
        homes = {c: k for k, c in enumerate(self.sources)}
        tasks: dict[str, tuple[object, ...]] = {
            c: (self.keys[c], self._packed(c), self.hours, kept, self.reference.get(c)) for c, kept in agreed.items()
        }
        done = self._done(settle_child, tasks, homes)
        return {c: done[c] for c in agreed}

    def release(self) -> None:
        """Drop what this process keeps compiled of these children, who will not be asked again."""
        for key in self.keys.values():
            _CACHE.pop(key, None)

    def _packed(self, child: str) -> bytes:
        return pickle.dumps(self.sources[child], protocol=pickle.HIGHEST_PROTOCOL)
