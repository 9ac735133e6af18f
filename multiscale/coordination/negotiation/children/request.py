"""What a parent and a child send each other in a round of negotiation.

Where forecasts err, a profile holds the exchange and, after it, the standard deviation of its error that the child hands to the parent: together the
band in which the exchange will lie. Prices hold first that of energy, then that of handing over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

GOODS = ("exchange", "uncertainty")
"""What profiles hold, one after the other: power drawn [kW], and the standard deviation of its error handed to the parent [kW]."""


@dataclass(frozen=True)
class Request:
    """A parent asks a child what it would do.

    Attributes:
        number: of the round; answers carry it, so that late and repeated ones are recognised.
        prices: prices of energy at the boundary [EUR/kWh], (price, period); an answer to each is wanted.
        target: exchange the parent prefers [kW], (period,), or None where only prices are sent.
        target_price: price at the target [EUR/kWh], (period,).
        slope: price of leaving the target, per kW of distance [EUR/kWh per kW].
        tolerance: gap the child's own answers may have [EUR/a].
        goods: number of ``GOODS`` that prices and target hold.
    """

    number: int
    prices: np.ndarray
    target: np.ndarray | None = None
    target_price: np.ndarray | None = None
    slope: float = 0.0
    tolerance: float = 0.0
    goods: int = 1

    def content(self) -> dict[str, object]:
        """The fields as sent, for the count of traffic."""
        sent: dict[str, object] = {"number": 0} | _by_good(("price", "uncertainty_price"), self.prices, self.goods)
        if self.target is not None:
            assert self.target_price is not None
            sent |= _by_good(("target", "target_uncertainty"), self.target, self.goods)
            sent |= _by_good(("target_price", "target_uncertainty_price"), self.target_price, self.goods) | {"slope": self.slope}
        return sent


@dataclass(frozen=True)
class Reply:
    """A child's answer.

    Attributes:
        number: of the round it answers.
        values: proven lower bounds on (own cost + price x exchange) over all that the child can do, one per price asked [EUR/a], (price,).
        costs: own cost of each exchange profile offered [EUR/a], (offer,).
        profiles: exchange profiles the child can keep [kW drawn], (offer, period).
        anew: whether nothing holds that the child said before, as when one of its own children failed.
        goods: number of ``GOODS`` that profiles hold.
        engine: what computed it: ``program`` (an optimum of the child's program) or ``batched`` (groups of prosumers at prices of their pool).
    """

    number: int
    values: np.ndarray
    costs: np.ndarray
    profiles: np.ndarray
    anew: bool = False
    goods: int = 1
    engine: str = "program"

    def content(self) -> dict[str, object]:
        """The fields as sent, for the count of traffic."""
        return {"number": 0, "least_cost": self.values, "own_cost": self.costs} | _by_good(GOODS, self.profiles, self.goods)

    def band(self, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Between which powers the exchange of every offer will lie [kW], (offer, period): so many standard deviations of what is handed over."""
        if self.goods == 1:
            return self.profiles, self.profiles
        exchange, handed = np.split(self.profiles, 2, axis=-1)
        return exchange - coverage * handed, exchange + coverage * handed


def _by_good(names: tuple[str, ...], values: np.ndarray, goods: int) -> dict[str, object]:
    return dict(zip(names, np.split(values, goods, axis=-1), strict=False))


@dataclass(frozen=True)
class Band:
    """What a child declares once: the interval of its exchange [kW], (period,), whatever it does."""

    low: np.ndarray
    high: np.ndarray

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or not np.isfinite(self.low).all() or not np.isfinite(self.high).all() or (self.low > self.high).any():
            raise ValueError("band: low and high must be finite arrays of one shape with low <= high [kW]")


def band_of(low: np.ndarray, high: np.ndarray) -> Band:
    """A band widened by a millionth, so that rounding never leaves it."""
    room = 1e-6 * (1.0 + np.abs(low) + np.abs(high))
    return Band(low - room, high + room)


class BadReplyError(ValueError):
    """A child answered what no child can mean; the message says what is wrong."""


LARGEST_AMOUNT = 1e15
"""No amount of money of a child is larger [EUR/a]: the yearly product of the world is a tenth of it."""


LONGEST_TEXT = 1000
"""Characters that a child may use to name what computed its reply."""


def checked(reply: object, request_periods: int, band: Band, goods: int = 1) -> Reply:
    """The reply with its numbers as arrays, if it can be used.

    Raises:
        BadReplyError: no reply at all, other goods than asked for, a wrong shape, a value that is no finite number, an amount that is no money, or a
            profile outside the declared band.
    """
    if not isinstance(reply, Reply):
        raise BadReplyError(f"answered {type(reply).__name__}, not a reply")
    if not isinstance(reply.number, int) or reply.goods != goods:
        raise BadReplyError(f"answered round {reply.number!r} with {reply.goods!r} goods; {goods} were asked for, in a round with a whole number")
    if not isinstance(reply.engine, str) or len(reply.engine) > LONGEST_TEXT:
        raise BadReplyError(f"named as its engine no text of at most {LONGEST_TEXT} characters")
    values, costs, profiles = (_numbers(name, getattr(reply, name)) for name in ("values", "costs", "profiles"))
    if values.ndim != 1 or costs.ndim != 1 or profiles.shape != (len(costs), request_periods) or not len(costs):
        found = f"values {values.shape}, costs {costs.shape}, profiles {profiles.shape}"
        raise BadReplyError(f"answered in a wrong shape: {found}; profiles must be (offer, {request_periods})")
    for name, array in (("least cost", values), ("own cost", costs), ("exchange", profiles)):
        if not np.isfinite(array).all():
            raise BadReplyError(f"answered a {name} that is not a finite number")
    for name, array in (("least cost", values), ("own cost", costs)):
        if np.abs(array).max(initial=0.0) > LARGEST_AMOUNT:
            raise BadReplyError(f"answered a {name} of {array[np.abs(array).argmax()]:.6g} EUR/a, which is no amount of money")
    slack = 1e-6 * (1.0 + np.maximum(np.abs(band.low), np.abs(band.high)))
    outside = (profiles < band.low - slack) | (profiles > band.high + slack)
    if outside.any():
        k, t = (int(i) for i in np.argwhere(outside)[0])
        raise BadReplyError(
            f"answered {'an exchange' if t < request_periods // reply.goods else 'an uncertainty'} of {profiles[k, t]:.6g} kW in period "
            f"{t % (request_periods // reply.goods)}, outside its declared band {band.low[t]:.6g} to {band.high[t]:.6g} kW"
        )
    return replace(reply, values=values, costs=costs, profiles=profiles)


def _numbers(name: str, given: object) -> np.ndarray:
    """What a field of a reply holds, as an array of real numbers.

    Raises:
        BadReplyError: it holds something else.
    """
    try:
        array = np.asarray(given)
        numbers = array.real.astype(float)
    except Exception as error:  # whatever the conversion of what a child sent raises, the child is at fault
        raise BadReplyError(f"answered {name} that are no numbers: {error}") from error
    if np.iscomplexobj(array):
        raise BadReplyError(f"answered {name} that are complex, not real numbers")
    return numbers
