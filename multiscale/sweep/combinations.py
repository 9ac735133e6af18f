"""Overrides with several values, and the jobs that they make."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


class SweepError(ValueError):
    """A sweep that cannot be run as it was asked for; the text says what to do."""


@dataclass(frozen=True)
class Swept:
    """One override with several values.

    Attributes:
        key: the dotted key or the group.
        overrides: one override for each value, in the order given.
        texts: the values as they were written.
    """

    key: str
    overrides: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Combinations:
    """The jobs of a sweep: the product of all values, the last key fastest.

    Attributes:
        swept: what is varied, in the order given.
        jobs: overrides of every job, in the order given.
        at: position of every job along the swept keys.
    """

    swept: tuple[Swept, ...]
    jobs: tuple[tuple[str, ...], ...]
    at: tuple[tuple[int, ...], ...]


def combinations(overrides: Sequence[str]) -> Combinations:
    """Jobs of all overrides with several values (Hydra's syntax: ``a,b``, ``range``, ``choice``, ``glob``).

    Raises:
        ConfigError: an override that cannot be read.
        SweepError: a key that is swept twice, or one without any value.
    """
    # Importing the configuration takes a second; reading a sweep does not need it.
    from multiscale.config.loading import parse_overrides

    expanded: list[tuple[str, ...]] = []
    swept: list[Swept] = []
    places: list[int] = []
    for override in parse_overrides(overrides):
        if not override.is_sweep_override():
            expanded.append((str(override.input_line),))
            continue
        from hydra.core.override_parser.types import Glob

        sweep = override.value()
        if isinstance(sweep, Glob):
            from multiscale.config.groups import groups

            texts = tuple(sweep.filter(groups().get(override.key_or_group, [])))
        else:
            texts = tuple(override.sweep_string_iterator())
        if not texts:
            raise SweepError(f"{override.input_line}: no value fits; correct the range or the pattern")
        one = Swept(override.key_or_group, tuple(f"{override.get_key_element()}={text}" for text in texts), texts)
        if any(one.key == other.key for other in swept):
            raise SweepError(f"{one.key} is swept twice; give all its values in one override")
        places.append(len(expanded))
        swept.append(one)
        expanded.append(one.overrides)
    jobs, at = [], []
    for choice in itertools.product(*(range(len(values)) for values in expanded)):
        jobs.append(tuple(values[k] for values, k in zip(expanded, choice, strict=True)))
        at.append(tuple(choice[place] for place in places))
    return Combinations(tuple(swept), tuple(jobs), tuple(at))
