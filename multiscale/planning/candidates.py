"""Which branches of a DSO are worth asking about: the most loaded ones without any response of prosumers."""

from __future__ import annotations

from collections.abc import Mapping

from multiscale.planning.conventional import ConventionalNeed


def candidate_branches(need: ConventionalNeed, count: int, least_loading: float = 50.0) -> list[str]:
    """The ``count`` branches with the highest loading of their usable rating, at least ``least_loading`` [%], worst first.

    Several branches in series with the same customers all count; ties are broken by name, so the choice is repeatable.
    """
    loading: Mapping[str, float] = need.loading
    ranked = sorted(loading, key=lambda branch: (-round(loading[branch], 6), branch))
    return [branch for branch in ranked if loading[branch] >= least_loading][:count]
