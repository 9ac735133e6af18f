"""Incomes of households: of the settings, and whether they are of prosumers of the system."""

from __future__ import annotations

from multiscale.assessment.incomes import read_incomes
from multiscale.results.data.answer_data import Incomes
from multiscale.results.results_settings import ResultsSettings
from multiscale.system import Problem, System
from multiscale.system.problem import close_names


def incomes_of(settings: ResultsSettings) -> Incomes:
    """What the settings say of incomes; none are known without a table."""
    yearly = {} if settings.incomes is None else read_incomes(settings.incomes)
    return Incomes(yearly, settings.income_groups, settings.burden_limit)


def income_problems(settings: ResultsSettings, system: System) -> list[Problem]:
    """Lines of the table of incomes that are about no prosumer of the system."""
    if settings.incomes is None:
        return []
    members = system.prosumers.prosumer.values.tolist()
    known = set(members)
    return [
        Problem("prosumer", name, "results.incomes", "", "", f"is no prosumer of the system{close_names(name, members)}; correct or omit the line")
        for name in read_incomes(settings.incomes)
        if name not in known
    ]
