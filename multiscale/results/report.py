"""The report: one HTML file that opens offline and prints, from the result alone."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from multiscale.content import file_hash
from multiscale.files import write_atomically
from multiscale.results import (
    check_tables,
    conflicts_and_reserves,
    costs_and_transfers,
    maps,
    negotiation,
    network_tables,
    plots,
    scenario_tables,
    tables,
)
from multiscale.results.answer import answer, failures, reinforcements
from multiscale.results.assumptions import assumptions_table
from multiscale.results.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.headline import headline
from multiscale.results.mechanism_words import chosen, words
from multiscale.results.plain_values import json_text
from multiscale.results.regime_words import regime_of
from multiscale.results.run_result import RunFolderError, RunResult
from multiscale.results.scenarios import CORNERS, LADDER
from multiscale.results.tables import Table
from multiscale.results.words import euros, number
from multiscale.results.year_of_hours import year_violations_table
from multiscale.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exhibit:
    """A figure or a table of a section, or the sentence that says why it is not there.

    Attributes:
        caption: of a figure.
        figure: SVG.
        table: the table.
        missing: what stands in its place.
    """

    caption: str = ""
    figure: str = ""
    table: Table | None = None
    missing: str = ""


@dataclass(frozen=True)
class Section:
    """One section of the report."""

    key: str
    title: str
    text: str = ""
    blocks: list[Exhibit] = field(default_factory=list)


def write_report(result: RunResult, path: Path) -> Path:
    """Write the report of a result; parts whose data are missing are replaced by one sentence."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    result = result.of_year()
    record = result.provenance()
    facts = answer(result)
    page = environment.get_template("report.html.j2").render(
        title=_title(result),
        question=result.config().get("study", {}).get("question", ""),
        version=__version__,
        failures=failures(result),
        headline=headline(result),
        facts=facts,
        built=reinforcements(result),
        number=number,
        euros=euros,
        sections=_sections(result),
        computing=tables.costs_table(result),
        summary=tables.summary_table(result),
        record=record,
        files=sorted(p.name for p in result.folder.iterdir() if not p.name.startswith(".")) if result.folder.is_dir() else [],
        started=str(result.details.get("started", ""))[:16].replace("T", " "),
        name=result.folder.name.removeprefix(".").removesuffix(".partial"),
    )
    write_atomically(path, page)
    return path


def rebuild_report(folder: Path) -> Path:
    """Write the report of a run folder again, and its new hash into the provenance.

    Raises:
        RunFolderError: the folder holds no whole run.
    """
    result = RunResult.load(folder)
    if result.dataset is None:
        raise RunFolderError(f"'{folder}' holds no result (status {result.status}); there is nothing to report")
    path = write_report(result, folder / "report.html")
    record = result.provenance()
    if "files" in record:
        record["files"][path.name] = file_hash(path)
        write_atomically(folder / "provenance.json", json_text(record))
    return path


def _title(result: RunResult) -> str:
    name = (result.dataset.attrs.get("system") if result.dataset is not None else "") or "the network"
    return f"Reinforcement, network charge and trading platforms: {name}"


def _sections(result: RunResult) -> list[Section]:
    def figure(caption: str, draw: Callable[[RunResult], str | None], of: str) -> Exhibit:
        drawn = _safely(draw, result, of)
        return Exhibit(caption=caption, figure=drawn) if drawn else Exhibit(missing=f"No figure of {of}: the result does not hold the data for it.")

    def tabled(make: Callable[[RunResult], Table | None], of: str) -> Exhibit:
        made = _safely(make, result, of)
        return Exhibit(table=made) if made is not None else Exhibit(missing=f"No table of {of}: the result does not hold the data for it.")

    mechanism, data, pair = words(chosen(result)), result.dataset, compared_scenarios(result.dataset)
    baseline = f'"{scenario_title(data, pair[0])}"' if data is not None and pair is not None else "the baseline"
    scenarios = scenario_names(data) if data is not None and "scenario" in data.coords else []
    return [
        Section(
            "plan",
            "What to build, and what not",
            f"Each option is one line or transformer. {regime_of(result).aim}",
            [
                tabled(network_tables.options_table, "reinforcement options"),
                *([tabled(scenario_tables.years_table, "years")] if any(key.startswith("years.") for key in result.summary) else []),
                figure(
                    "Hours of the year at or above a loading. Dotted: the rating.",
                    plots.duration_figure,
                    "loading duration",
                ),
            ],
        ),
        Section(
            "network",
            "The network before and after",
            "Peak loading and voltages come from an AC power flow of every representative step, not from the planner's own model.",
            [
                figure(
                    "Peak loading of every branch. Numbers: reinforced branches in the order of the answer above.",
                    maps.loading_map,
                    "the network map",
                ),
                figure("Voltages over all representative steps.", maps.voltage_figure, "voltages"),
                tabled(network_tables.violations_table, "violations"),
                *([tabled(year_violations_table, "violations over the year")] if has(result.dataset, "year_violation_component") else []),
                tabled(lambda r: network_tables.peak_loading_table(r.dataset) if r.dataset is not None else None, "branch loading"),
                tabled(network_tables.losses_table, "losses"),
            ],
        ),
        Section(
            "operation",
            mechanism.heading,
            mechanism.text + (" No level was refused anything for a limit of another." if result.value("coordination.conflicts") == 0 else ""),
            [
                figure("Prices of energy from above. Solid: import; dashed: export.", plots.price_figure, "prices"),
                figure("Power drawn from the level above (negative: fed back).", plots.exchange_figure, "exchanges"),
                *(
                    [figure("How cost and proven bound met, for each representative day.", negotiation.convergence_figure, "convergence")]
                    if has(result.dataset, "negotiation_cost")
                    else []
                ),
                tabled(tables.mechanisms_table, "mechanisms"),
                *([tabled(negotiation.disclosed_table, "messages")] if has(result.dataset, "disclosed_direction") else []),
                *([tabled(conflicts_and_reserves.conflicts_table, "conflicts")] if has(result.dataset, "conflict_asking") else []),
                *([tabled(conflicts_and_reserves.reserves_table, "reserves for forecast errors")] if has(result.dataset, "reserves_cost") else []),
                tabled(tables.energy_table, "energy"),
            ],
        ),
        Section(
            "money",
            "Who pays and who gains",
            f"Change against {baseline}, with the same growth of demand and the same rules of operation.",
            [
                figure(
                    "Change of yearly payments and of real costs borne (production, wear, construction). Diamond: gain in all.",
                    plots.money_figure,
                    "payments",
                ),
                tabled(scenario_tables.ladder_table, "social cost"),
                *([tabled(scenario_tables.corners_table, "plan and trading")] if set(sum(CORNERS, ())) <= set(scenarios) else []),
                *([tabled(scenario_tables.other_scenarios_table, "further scenarios")] if set(scenarios) - set(LADDER) else []),
                *([tabled(costs_and_transfers.reconciliation_table, "steps to the social cost")] if has(result.dataset, "reconciled_by") else []),
                tabled(scenario_tables.welfare_table, "gains"),
                *([tabled(costs_and_transfers.transfers_table, "savings and transfers")] if has(result.dataset, "reconciled_by") else []),
                *(tabled(functools.partial(scenario_tables.money_table, scenario=s), f"payments in the scenario {s}") for s in scenarios),
                figure("Bills of prosumers.", plots.bills_figure, "bills"),
                tabled(tables.bills_table, "bills"),
                tabled(costs_and_transfers.glossary, "definitions"),
            ],
        ),
        Section(
            "checks",
            "Checks and certificates",
            "What was proven, and what was computed again by other means.",
            [
                tabled(check_tables.certificates_table, "certificates"),
                *([tabled(check_tables.plans_table, "plans")] if result.provenance().get("certificates") else []),
                tabled(check_tables.aggregation_table, "aggregation errors"),
            ],
        ),
        Section(
            "data",
            "Data",
            " ".join(_sentence(note) for note in result.provenance().get("notes", [])),
            [tabled(tables.system_table, "the system"), tabled(check_tables.days_table, "representative days")],
        ),
        Section(
            "assumptions",
            "Assumptions",
            "Every setting of the run with its unit. The last column distinguishes the defaults of the study from what was chosen for this run.",
            [tabled(assumptions_table, "assumptions")],
        ),
    ]


def _sentence(note: object) -> str:
    text = str(note).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _safely(make: Callable[[RunResult], Any], result: RunResult, of: str) -> Any:
    """One broken part must not cost the reader the others; the log keeps the reason."""
    try:
        return make(result)
    except Exception:
        logger.exception("report: %s could not be made", of)
        return None
