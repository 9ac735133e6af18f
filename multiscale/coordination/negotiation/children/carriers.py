"""The way from a parent to its children: who carries requests and brings answers, of whichever round, late, twice or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from multiscale.coordination.negotiation.children.program_child import Kept, Settled
from multiscale.coordination.negotiation.children.request import Reply, Request


@dataclass(frozen=True)
class Refusal:
    """A child that cannot answer, with its reason."""

    reason: str


class Children(Protocol):
    """Carries requests to children and returns the answers that have arrived."""

    def ask(self, requests: Mapping[str, Request]) -> Iterable[tuple[str, Reply | Refusal]]:
        """Send requests; return what arrives in this step, of whichever round, in whichever order, perhaps twice or not at all."""


@runtime_checkable
class OperatedChildren(Children, Protocol):
    """Children that also operate what was agreed."""

    def settle(self, agreed: Mapping[str, Kept]) -> Mapping[str, Settled | Refusal]:
        """What each child does to keep its agreed profile; a refusal where it cannot."""


@dataclass
class LocalChildren:
    """Children in this process: name -> function that answers a request."""

    answers: Mapping[str, Callable[[Request], Reply]]

    def ask(self, requests: Mapping[str, Request]) -> list[tuple[str, Reply | Refusal]]:
        """All answers, in the order of the requests; an error of a child is its refusal."""
        out: list[tuple[str, Reply | Refusal]] = []
        for child, request in requests.items():
            try:
                out.append((child, self.answers[child](request)))
            except Exception as error:  # whatever is wrong with a child stays with it, and is named
                out.append((child, Refusal(f"{type(error).__name__}: {error}")))
        return out
