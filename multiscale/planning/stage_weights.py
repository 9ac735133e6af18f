"""The stages that milestone years stand for: how long they are, and what a yearly cost over them is worth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def stage_lengths(years: Sequence[int]) -> dict[int, int]:
    """Years that each of some milestone years stands for, itself included.

    A year stands for the time until the next one; the last for as long as the one before it, or for itself where it is the only one.
    """
    lengths = [later - earlier for earlier, later in pairwise(years)]
    lengths.append(lengths[-1] if lengths else 1)
    return dict(zip(years, lengths, strict=True))


def stage_weights(years: Sequence[int], discount_rate: float) -> dict[int, float]:
    """Present value of 1 EUR/a over the stage that each of some years stands for [a], in EUR of the first year; see ``stage_lengths``."""
    first = years[0]
    return {year: sum((1.0 + discount_rate) ** -(year - first + t) for t in range(n)) for year, n in stage_lengths(years).items()}
