"""Untrue answers drawn at random: what a child says, in a negotiation or to published signals, in place of what is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multiscale.coordination.common.answer import Answer
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.program_child import Settled
from multiscale.coordination.negotiation.children.request import Reply, Request

SIZES = (1e-5, 1e-3, 0.05, 0.2, 1.0, 1e3, 1e9)
"""By which share or multiple amounts are wrong [1]."""
NOT_NUMBERS = (np.nan, np.inf, -np.inf, 1e300, 1e-320)


@dataclass(frozen=True)
class Lie:
    """What a child does.

    Attributes:
        words: in words.
        asked: request as sent -> request that is answered truly.
        reply: true reply and request -> what is said; None: nothing in this step.
        settled: true operation -> what is said of it.
        late: requests by which every reply is late.
        first: number of the answer from which on it is untrue.
    """

    words: str
    asked: Callable[[Request], Request] = lambda request: request
    reply: Callable[[Reply, Request], Any] = lambda reply, _: reply
    settled: Callable[[Settled], Any] = lambda settled: settled
    late: int = 0
    first: int = 1


def drawn(rng: np.random.Generator) -> Lie:
    """A lie of a child in a negotiation; from the first answer on, or from a later one."""
    lie = KINDS[int(rng.integers(len(KINDS)))](rng)
    first = int(rng.choice([1, 1, 1, 1, 1, 2, 2, 3]))
    return replace(lie, first=first, words=lie.words + (f", from answer {first} on" if first > 1 else ""))


def _size(rng: np.random.Generator) -> float:
    return float(rng.choice(SIZES)) * float(rng.choice([1.0, 1.0, -1.0]))


def _added(values: Any, share: float, constant: float) -> Any:
    return values + share * np.abs(values) + constant


def _one_or_both(rng: np.random.Generator) -> Lie:
    """Bounds, costs or both too high or too low, by a share or a constant: together they contradict nothing that is said."""
    what, size, share = str(rng.choice(["bounds", "costs", "both", "both"])), _size(rng), bool(rng.random() < 0.5)
    wrong = (size, 0.0) if share else (0.0, 100.0 * size)

    def reply(true: Reply, _: Request) -> Reply:
        values = _added(true.values, *wrong) if what in ("bounds", "both") else true.values
        return replace(true, values=values, costs=_added(true.costs, *wrong) if what in ("costs", "both") else true.costs)

    return Lie(f"{what} wrong by {size:g}{' of it' if share else ' times 100 EUR/a'}", reply=reply)


def _same_everywhere(rng: np.random.Generator) -> Lie:
    """The same amount on every bound and every cost."""
    amount = _size(rng)

    def reply(true: Reply, _: Request) -> Reply:
        there = amount * float(np.abs(true.costs).mean() + 1.0)
        return replace(true, values=true.values + there, costs=true.costs + there)

    return Lie(f"all amounts moved by {amount:g} of the mean cost", reply=reply)


def _profile(rng: np.random.Generator) -> Lie:
    """A profile that cannot be operated or has another cost; bounds low enough that nothing said contradicts it."""
    way, size, humble = str(rng.choice(["scaled", "moved", "shifted", "noise", "none"])), _size(rng), bool(rng.random() < 0.5)
    seed = int(rng.integers(1 << 30))

    def reply(true: Reply, _: Request) -> Reply:
        y = true.profiles
        noise = np.random.default_rng(seed).normal(size=y.shape)
        other = {
            "scaled": y * (1.0 + size), "moved": y + size, "shifted": np.roll(y, 1, axis=-1), "noise": y * (1.0 + size * noise), "none": 0.0 * y
        }[way]  # fmt: skip
        return replace(true, profiles=other, values=true.values - 1e6 if humble else true.values)

    return Lie(f"profile {way} by {size:g}{', no bound' if humble else ''}", reply=reply)


def _no_number(rng: np.random.Generator) -> Lie:
    """One number, or all, of one part."""
    part, value, every = str(rng.choice(["values", "costs", "profiles"])), float(rng.choice(NOT_NUMBERS)), bool(rng.random() < 0.5)
    seed = int(rng.integers(1 << 30))

    def reply(true: Reply, _: Request) -> Reply:
        array = np.array(getattr(true, part), dtype=float)
        at = slice(None) if every else int(np.random.default_rng(seed).integers(array.size))
        array.reshape(-1)[at] = value
        return replace(true, **{part: array})

    return Lie(f"{part}: {value} in {'all' if every else 'one'}", reply=reply)


def _shape(rng: np.random.Generator) -> Lie:
    part = str(rng.choice(["values", "costs", "profiles"]))
    ways: dict[str, Callable[[np.ndarray], Any]] = {
        "first alone": lambda a: a[:1], "none": lambda a: a[:0], "twice": lambda a: np.concatenate([a, a]), "one number": lambda a: a.ravel()[0],
        "one period less": lambda a: a[..., :-1], "transposed": lambda a: a.T, "further axis": lambda a: a[None], "text": lambda a: a.astype(str),
        "objects": lambda a: [object()] * len(a), "nothing": lambda _: None, "bytes": bytes,
        "ragged": lambda _: [[1.0], [1.0, 2.0]],
        "dates": lambda a: np.full(a.shape, np.datetime64("2016-01-01")), "bools": lambda a: a > 0,
    }  # fmt: skip
    way = str(rng.choice(list(ways)))
    return Lie(f"{part}: {way}", reply=lambda true, _: replace(true, **{part: ways[way](np.asarray(getattr(true, part)))}))


def _no_reply(rng: np.random.Generator) -> Lie:
    kinds = {
        "None": None, "text": "much", "dictionary": {"values": 1}, "a function": len, "an error": ValueError("no"), "a class": Reply,
        "a refusal": Refusal("will not"), "a refusal without words": Refusal(None),  # type: ignore[arg-type]
    }  # fmt: skip
    what = str(rng.choice(list(kinds)))
    return Lie(f"{what} in place of a reply", reply=lambda *_: kinds[what])


def _fields(rng: np.random.Generator) -> Lie:
    fields: dict[str, tuple[Any, ...]] = {
        "number": (-1, 10**9, 0, True, np.int64(1), 1.0, None, "1", [1]), "goods": (0, 2, -1, None, np.nan),
        "anew": (True, "yes", None, np.array([1, 2])),
        "engine": ("", "x" * 10**6, None, 7, "\x1b[31m\n<script>"),
    }  # fmt: skip
    name = str(rng.choice(list(fields)))
    value = fields[name][int(rng.integers(len(fields[name])))]
    return Lie(f"{name} = {str(value)[:20]!r}", reply=lambda true, _: replace(true, **{name: value}))


def _other_price(rng: np.random.Generator) -> Lie:
    """True answers, to another price."""
    factor, moved = float(rng.choice([0.0, 0.5, 0.9, 1.1, 3.0, -1.0])), int(rng.integers(3))

    def asked(request: Request) -> Request:
        return replace(request, prices=np.roll(factor * request.prices, moved, axis=-1))

    return Lie(f"answers {factor:g} times the price, {moved} periods later", asked=asked)


def _late(rng: np.random.Generator) -> Lie:
    late = int(rng.choice([1, 2, 3, 7]))
    return Lie(f"every answer {late} requests late", late=late)


def _never(rng: np.random.Generator) -> Lie:
    return Lie("no answer", reply=lambda *_: None)


def _repeats(rng: np.random.Generator) -> Lie:
    kept: list[Reply] = []

    def reply(true: Reply, _: Request) -> Reply:
        kept.append(true)
        return kept[0]

    return Lie("repeats its first answer", reply=reply)


def _anew(rng: np.random.Generator) -> Lie:
    """Takes back all it has said, again and again."""
    size = _size(rng)
    return Lie(f"anew each time, bounds wrong by {size:g}", reply=lambda r, _: replace(r, anew=True, values=_added(r.values, size, 0.0)))


def _contrary(rng: np.random.Generator) -> Lie:
    """Wrong in one answer, wrong the other way in the next."""
    size, turn = _size(rng), [1.0]

    def reply(true: Reply, _: Request) -> Reply:
        turn[0] = -turn[0]
        return replace(true, values=_added(true.values, turn[0] * size, 0.0), costs=_added(true.costs, turn[0] * size, 0.0))

    return Lie(f"amounts wrong by {size:g}, by turns", reply=reply)


def _hides(rng: np.random.Generator) -> Lie:
    """What it would do best it does not offer, and proves that it could not."""
    size = abs(_size(rng))

    def reply(true: Reply, request: Request) -> Reply:
        n = len(true.values)
        y = np.broadcast_to(true.profiles.mean(axis=0), true.profiles.shape)
        costs = true.costs.max() + size * (1.0 + np.abs(true.costs).max()) + np.zeros(len(true.costs))
        return replace(true, profiles=y, costs=costs, values=np.maximum(true.values, costs[:n] + 0.0 * request.prices.sum(axis=-1) - 1e-9))

    return Lie(f"one profile for all prices, {size:g} too dear", reply=reply)


def _operation(rng: np.random.Generator) -> Lie:
    """The operation of what was agreed, as it is reported: what can be no measurement, or contradicts what was said."""
    ways: dict[str, Callable[[Settled], Any]] = {
        "refused": lambda _: Refusal("will not"), "nothing": lambda _: None, "text": lambda _: "done",
        "exchange nan": lambda s: replace(s, exchange=np.nan * s.exchange), "exchange short": lambda s: replace(s, exchange=s.exchange[:-1]),
        "exchange of one number": lambda s: replace(s, exchange=s.exchange[0]), "exchange text": lambda s: replace(s, exchange="much"),
        "exchange other": lambda s: replace(s, exchange=1.1 * s.exchange + 1.0), "cost nan": lambda s: replace(s, cost=np.nan),
        "cost inf": lambda s: replace(s, cost=np.inf), "cost -inf": lambda s: replace(s, cost=-np.inf), "cost none": lambda s: replace(s, cost=None),
        "cost high": lambda s: replace(s, cost=2.0 * abs(s.cost) + 100.0), "least nan": lambda s: replace(s, least=np.nan),
        "least low": lambda s: replace(s, least=s.least - 1e3), "least text": lambda s: replace(s, least="a"),
        "x nan": lambda s: replace(s, x=s.x * np.nan),
        "x none": lambda s: replace(s, x=None), "y text": lambda s: replace(s, y="a"),
        "cost low": lambda s: replace(s, cost=s.cost - 0.2 * abs(s.cost) - 1.0), "y nan": lambda s: replace(s, y=s.y * np.nan),
    }  # fmt: skip
    way = str(rng.choice(list(ways)))
    return Lie(f"operation: {way}", settled=ways[way])


KINDS: tuple[Callable[[np.random.Generator], Lie], ...] = (
    _one_or_both, _one_or_both, _same_everywhere, _profile, _no_number, _shape, _no_reply, _fields, _other_price, _late, _never, _repeats, _anew,
    _contrary, _hides, _operation, _operation,
)  # fmt: skip


def drawn_answer(rng: np.random.Generator) -> tuple[str, Callable[[Answer], Any]]:
    """A lie of a platform that answers published signals, or plays a day forward."""
    size, value = _size(rng), float(rng.choice(NOT_NUMBERS))
    ways: dict[str, Callable[[Answer], Any]] = {
        f"cost wrong by {size:g}": lambda a: replace(a, own_cost=_added(a.own_cost, size, 0.0)),
        f"cost wrong by {100 * size:g} EUR/a": lambda a: replace(a, own_cost=a.own_cost + 100.0 * size),
        f"exchange wrong by {size:g}": lambda a: replace(a, exchange=a.exchange * (1.0 + size)),
        f"cost {value}": lambda a: replace(a, own_cost=value),
        f"exchange {value}": lambda a: replace(a, exchange=np.full(a.exchange.shape, value)),
        f"schedule {value}": lambda a: replace(a, x=np.full(a.x.shape, value)),
        "exchange of another length": lambda a: replace(a, exchange=np.append(a.exchange, 0.0)),
        "exchange of one number": lambda a: replace(a, exchange=float(a.exchange[0])),
        "exchange that is text": lambda a: replace(a, exchange=a.exchange.astype(str)),
        "exchange that is nothing": lambda a: replace(a, exchange=None),
        "schedule of another length": lambda a: replace(a, x=a.x[:-1]),
        "schedule that is nothing": lambda a: replace(a, x=None),
        "schedule that is text": lambda a: replace(a, x="much"),
        "cost that is text": lambda a: replace(a, own_cost="much"),
        "cost that is nothing": lambda a: replace(a, own_cost=None),
        f"schedule, exchange and cost times {1 + size:g}": lambda a: replace(
            a, x=a.x * (1 + size), exchange=a.exchange * (1 + size), own_cost=a.own_cost * (1 + size)
        ),
        "no schedule": lambda a: replace(a, x=0.0 * a.x, exchange=0.0 * a.exchange, own_cost=0.0),
        "duals that are no numbers": lambda a: replace(a, y=np.nan * a.y),
        "duals of another length": lambda a: replace(a, y=a.y[:-1]),
        "duals that are nothing": lambda a: replace(a, y=None),
        "nothing": lambda _: None,
        "text": lambda _: "no",
    }
    words = str(rng.choice(list(ways)))
    return words, ways[words]
