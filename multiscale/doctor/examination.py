"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from multiscale.doctor.appearance import check_appearance
from multiscale.doctor.batch_systems import check_batch_systems
from multiscale.doctor.cluster import check_cluster
from multiscale.doctor.finding import Check, Finding
from multiscale.doctor.machine import check_machine, check_solver_memory
from multiscale.doctor.places import check_places
from multiscale.doctor.solvers import check_solvers
from multiscale.doctor.versions import check_versions

CHECKS: tuple[Check, ...] = (
    check_versions, check_machine, check_places, check_solvers, check_solver_memory, check_cluster, check_batch_systems, check_appearance,
)  # fmt: skip
"""A new check is one file and one line here."""


def examined(output: Path) -> Iterator[Finding]:
    """What all checks find; a check that fails by itself is a finding, and the others go on.

    Args:
        output: folder in which run folders are made.
    """
    for check in CHECKS:
        try:
            yield from check(output)
        except Exception as error:
            name = check.__name__.removeprefix("check_")
            yield Finding(
                "failed", name, f"{type(error).__name__}: {error}", "install multiscale again: python -m pip install --force-reinstall multiscale"
            )
