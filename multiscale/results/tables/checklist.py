"""What a reader needs to judge a study, and where this report states it."""

from __future__ import annotations

import pandas as pd

from multiscale.results.data.dataset import scenario_names
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table
from multiscale.results.words.answer import failures
from multiscale.results.words.numbers import plural

NOT_STATED = "not stated; the publisher of the study adds it"


def checklist_table(result: RunResult) -> Table:
    """Criteria of transparency, in the groups of Cao et al. (2016), with what the run states of each; nothing is ticked that it does not hold."""
    record, data = result.provenance(), result.dataset
    settings, failed = record.get("settings", []), failures(result)
    days = result.value("horizon.days")
    commit, approximated = record.get("git") or {}, record.get("approximations")
    against = f"{plural(len(failed), 'check or reason', 'checks or reasons')} against it" if failed else "no check failed"
    version = f"multiscale {record['multiscale']}" if record.get("multiscale") else NOT_STATED
    code = version + (f", commit {commit['commit'][:12]}{' with changes' if commit.get('changed') else ''}" if commit.get("commit") else "")
    scenarios = scenario_names(data) if data is not None and "scenario" in data.coords else []
    rows = [
        ("general information", "author, institution, funding", NOT_STATED, ""),
        ("general information", "question", str(record.get("config", {}).get("study", {}).get("question", "")) or NOT_STATED, "head of the report"),
        ("general information", "terms", "defined", "What costs are called"),
        ("empirical data", "sources", _count(record.get("inputs"), "input", " with a hash"), "Reproducibility"),
        ("empirical data", "preparation", _count(approximated, "approximation") if approximated else "nothing approximated", "Limitations"),
        ("empirical data", "time", f"{plural(int(days), 'representative day')}, errors stated" if days else NOT_STATED, "Data"),
        ("assumptions", "values", _count(settings, "setting", " with unit and origin"), "Assumptions"),
        ("assumptions", "scenarios", f"{len(scenarios)}: {', '.join(scenarios)}" if scenarios else NOT_STATED, "Who pays and who gains"),
        ("modelling", "equations", "printed from the code with units and sources", "multiscale math"),
        ("modelling", "code", code, "Reproducibility"),
        ("modelling", "solvers", ", ".join(f"{k} {v}" for k, v in (record.get("solvers") or {}).items()) or NOT_STATED, "Reproducibility"),
        ("modelling", "validation", _certificates(result), "Checks and certificates"),
        ("results", "access to data", "every table as CSV, every value in result.nc", "CSV at each table"),
        ("results", "sensitivities", "one kind of cost 10 % higher, nothing decided otherwise", "Limitations and sensitivities"),
        ("conclusions", "uncertainty", against, "top"),
        ("conclusions", "limits of the model", "listed with what follows", "Limitations and sensitivities"),
    ]
    note = (
        "Criteria after Cao, Cebulla, Gómez Vilchez, Mousavi and Prehofer (Energy, Sustainability and Society 6:28, 2016). "
        "They say what is stated, not how good it is."
    )
    return Table("transparency", "Transparency checklist", pd.DataFrame(rows, columns=["of", "criterion", "stated", "where"]), note=note)


def _count(found: object, one: str, more: str = "") -> str:
    """How many of a kind are recorded."""
    return f"{plural(len(found), one)}{more}" if isinstance(found, list | dict) and found else NOT_STATED


def _certificates(result: RunResult) -> str:
    known = {"plan.bound": "bound of the plan", "ac.violations": "AC power flow", "ac.year.hours": "every hour", "ac.outages.lines": "outages"}
    found = [name for key, name in known.items() if result.value(key) is not None]
    return f"{', '.join(found)} checked" if found else NOT_STATED
