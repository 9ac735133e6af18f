"""``multiscale validate``: everything that is wrong with a study, without solving anything."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from multiscale.cli.command import BAD_INPUT, OK, Command, takes_overrides
from multiscale.cli.run import print_config

if TYPE_CHECKING:
    from multiscale.config import ConfigError, StudyConfig
    from multiscale.results.data.answer_data import StudyCase
    from multiscale.system import Problem


def _validate(given: argparse.Namespace) -> int:
    from multiscale.config import ConfigError, load_config

    try:
        config = load_config(given.overrides, given.config_dir)
    except ConfigError as error:
        # The data are looked at all the same: everything that is wrong comes in one go.
        print(f"error: {error}", file=sys.stderr)
        for also in _problems_of_data(error):
            print(also, file=sys.stderr)
        return BAD_INPUT
    if given.cfg:
        print_config(config)
    system = _sound_case(config).system
    sizes = {"prosumers": system.prosumers.prosumer, "buses": system.buses.bus, "reinforcement options": system.options.option}
    print(f"{system.name}: {len(system.at_level('platform'))} platforms, " + ", ".join(f"{ids.size} {name}" for name, ids in sizes.items()))
    if system.approximations:
        print(f"approximated or excluded ({len(system.approximations)}):")
        for approximation in system.approximations:
            print(f"  {approximation}")
    for note in system.notes:
        print(f"  note: {note}")
    print(f"study '{config.study.name}' is valid")
    return OK


def _sound_case(config: StudyConfig) -> StudyCase:
    """The case of a study.

    Raises:
        InvalidSystemError: everything that is wrong with its data, of all tables.
    """
    from multiscale.pipeline.case import case_of
    from multiscale.pipeline.incomes import income_problems
    from multiscale.pipeline.recovery import unrecoverable
    from multiscale.pipeline.targets import target_problems
    from multiscale.sources import reinforcement_costs
    from multiscale.system import InvalidSystemError

    problems: list[Problem] = []
    case = None
    try:
        for table in config.costs.files:
            reinforcement_costs(table)
    except InvalidSystemError as wrong:
        problems += wrong.problems
    try:
        case = case_of(config)
        problems += [*config.market.problems(case.fleets), *unrecoverable(config, case), *target_problems(config, case.system)]
        problems += income_problems(config.results, case.system)
    except InvalidSystemError as wrong:
        problems += wrong.problems
    if problems or case is None:
        # What a table of costs lacks is found a second time where the case needs it.
        raise InvalidSystemError(dict.fromkeys(problems))
    return case


def _problems_of_data(error: ConfigError) -> list[str]:
    """What is wrong with the system of a configuration that is at fault itself; nothing where the configuration does not say which system it is."""
    from pydantic import ValidationError

    from multiscale.sources import SOURCES, SystemSettings
    from multiscale.sources.selection import study_system
    from multiscale.system import InvalidSystemError

    stated = dict(error.values.get("system", {}))
    entry = SOURCES.get(str(stated.get("kind", "")))
    if entry is None:
        return []
    try:
        settings = entry.settings(**stated)
        assert isinstance(settings, SystemSettings)
        study_system(settings)
    except ValidationError:
        # A fault of the settings, which is in the list already.
        return []
    except InvalidSystemError as wrong:
        return [str(wrong)]
    return []


VALIDATE = Command("validate", "check configuration and system of a study without solving anything", _validate, takes_overrides)
