"""Commands in the documentation are commands: their arguments are read, and their overrides make a configuration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from multiscale.cli import entry
from multiscale.cli.commands import COMMANDS
from multiscale.config import ConfigError
from multiscale.config.errors import ConfigProblem
from multiscale.config.loading import load_configs
from multiscale.sweep.combinations import combinations
from multiscale.sweep.launchers.words import split

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "studies").glob("*/README.md"))]
LINES = [
    (page.relative_to(ROOT).as_posix(), line)
    for page in PAGES
    for line in re.findall(r"^ *(multiscale [a-z].+)$", page.read_text("utf-8").replace("\\\n", " "), re.MULTILINE)
]
OWN = ("my_", "RUN", "...")
"""What stands for something of the reader's own."""


def test_every_command_is_documented():
    # In the text of docs/results.md.
    assert {line.split()[1] for _, line in LINES} | {"report"} == {command.name for command in COMMANDS}


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_documented_command_can_be_given(page: str, line: str):
    given = entry._parsed(entry._parser(), shlex.split(line, comments=True)[1:])
    assert callable(given.command)
    if line.split()[1] not in ("run", "validate", "futures"):
        return
    overrides, _ = split(given.overrides)
    jobs = combinations(overrides).jobs if getattr(given, "multirun", False) else [overrides]
    assert (len(jobs) > 1) == getattr(given, "multirun", False)
    assert [problem for problem in _problems(jobs) if not any(own in str(problem) for own in OWN)] == []


def _problems(jobs: Sequence[Sequence[str]]) -> list[ConfigProblem]:
    try:
        load_configs(jobs)
    except ConfigError as error:
        return list(error.problems)
    return []
