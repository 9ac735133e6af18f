"""Commands in the documentation are commands: their arguments are read, and their overrides make a configuration."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from multiscale.cli import entry
from multiscale.config.loading import load_configs
from multiscale.sweep.combinations import combinations

TEXT = (Path(__file__).parents[1] / "docs" / "sweeps.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^multiscale .+$", TEXT, re.MULTILINE)


def test_there_are_commands():
    assert {line.split()[1] for line in COMMANDS} == {"run", "status", "resume", "collect", "reproduce", "doctor"}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_documented_command_can_be_given(line: str):
    given = entry._parsed(entry._parser(), shlex.split(line)[1:])
    assert callable(given.command)
    if line.split()[1] == "run":
        jobs = combinations(given.overrides).jobs
        assert len(jobs) > 1
        load_configs(jobs)
