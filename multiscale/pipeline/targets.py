"""Targets that refer to what a system does not hold, found before anything is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiscale.planning.follower_names import PASSIVE
from multiscale.system import Problem, System

if TYPE_CHECKING:
    from multiscale.config import StudyConfig


def target_problems(config: StudyConfig, system: System) -> list[Problem]:
    """What is wrong with the targets of a study, where its system is known."""
    known, found = [PASSIVE, *system.at_level("platform")], []
    for name, target in config.targets.items():
        if wrong := target.problem(known, list(config.policy)):
            found.append(Problem("targets", name, "", "", "", wrong))
    return found
