"""The sections of the report in their order: figures and tables with their captions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from multiscale.results.data import conflicts_and_reserves, costs_and_transfers
from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.data.year_of_hours import year_violations_table
from multiscale.results.figures import maps, money_plots, negotiation, plots, voltages
from multiscale.results.figures.layout import Layout
from multiscale.results.figures.style import Remark
from multiscale.results.run.run_result import RunResult
from multiscale.results.scenarios import CORNERS, LADDER
from multiscale.results.tables import check_tables, limitations, network_tables, scenario_tables
from multiscale.results.tables import table as tables
from multiscale.results.tables.assumptions import assumptions_table
from multiscale.results.tables.table import Table
from multiscale.results.words.mechanism_words import chosen, words
from multiscale.results.words.regime_words import regime_of

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


def sections(result: RunResult) -> list[Section]:
    """The body of the report: what to build, what that does to the network, operation, money, checks, limitations, data."""
    return [_plan(result), _network(result), _operation(result), _money(result), _checks(result), _limitations(result), _data(result)]


def appendix(result: RunResult) -> list[Section]:
    """What is looked up rather than read: payments in all scenarios, definitions, every setting, every value."""
    names = _scenarios(result)
    compared = compared_scenarios(result.dataset) or ()
    return [
        Section(
            "payments",
            "Payments in the other scenarios",
            "",
            [_money_of(result, name) for name in names if name not in compared],
        ),
        Section("definitions", "What costs are called", "", [_table(result, costs_and_transfers.glossary, "definitions")]),
        Section(
            "assumptions",
            "Assumptions",
            "Every setting of the run with its unit. The last column distinguishes the defaults of the study from what was chosen for this run.",
            [_table(result, assumptions_table, "assumptions")],
        ),
        Section("values", "All summary values", "", [_table(result, tables.summary_table, "summary values")]),
    ]


def _plan(result: RunResult) -> Section:
    years = any(key.startswith("years.") for key in result.summary)
    return Section(
        "plan",
        "What to build, and what not",
        f"Each option is one line or transformer. {regime_of(result).aim}",
        [
            _table(result, network_tables.options_table, "reinforcement options"),
            *([_table(result, scenario_tables.years_table, "years")] if years else []),
            _figure(
                result,
                "Hours of the year at or above a loading. Dotted: the rating; dashed: the usable rating, by which planning and operation go. "
                "Wide pale line: the baseline.",
                plots.duration_figure,
                "loading duration",
            ),
        ],
    )


def _network(result: RunResult) -> Section:
    data, placed = result.dataset, ""
    if data is not None and has(data, "branch_from", "branch_to", "bus_x", "bus_y", "bus_vn_kv"):
        placed = _safely(lambda _: maps.placed_words(Layout(data)), result, "the layout")
    return Section(
        "network",
        "The network before and after",
        "Peak loading and voltages come from an AC power flow of every representative step, not from the planner's own model.",
        [
            _figure(
                result,
                "Peak loading of every branch; both maps have the same colours. Numbers: reinforced branches in the order of the answer above. "
                f"{placed or ''}",
                maps.loading_map,
                "the network map",
            ),
            _figure(
                result,
                "Voltages over all representative steps: on the map the one furthest from nominal, below it all buses in order.",
                voltages.voltage_figure,
                "voltages",
            ),
            _table(result, network_tables.violations_table, "violations"),
            *([_table(result, year_violations_table, "violations over the year")] if has(data, "year_violation_component") else []),
            _table(result, lambda r: network_tables.peak_loading_table(r.dataset) if r.dataset is not None else None, "branch loading"),
            _table(result, network_tables.losses_table, "losses"),
        ],
    )


def _operation(result: RunResult) -> Section:
    mechanism, data = words(chosen(result)), result.dataset
    optional: list[tuple[str, Callable[[RunResult], Table | None], str]] = [
        ("disclosed_direction", negotiation.disclosed_table, "messages"),
        ("conflict_asking", conflicts_and_reserves.conflicts_table, "conflicts"),
        ("reserves_cost", conflicts_and_reserves.reserves_table, "reserves for forecast errors"),
    ]
    met = _figure(result, "How cost and proven bound met, for each representative day.", negotiation.convergence_figure, "convergence")
    return Section(
        "operation",
        mechanism.heading,
        mechanism.text + (" No level was refused anything for a limit of another." if result.value("coordination.conflicts") == 0 else ""),
        [
            _figure(result, "Prices of energy from above. Solid: import; dashed: export.", plots.price_figure, "prices"),
            _figure(
                result,
                "Power drawn from the level above (negative: fed back), and by how much the integrated optimum and the forecast differ from it.",
                plots.exchange_figure,
                "exchanges",
            ),
            *([met] if has(data, "negotiation_cost") else []),
            _table(result, tables.mechanisms_table, "mechanisms"),
            *(_table(result, make, of) for variable, make, of in optional if has(data, variable)),
            _table(result, tables.energy_table, "energy"),
        ],
    )


def _money(result: RunResult) -> Section:
    data, pair, names = result.dataset, compared_scenarios(result.dataset), _scenarios(result)
    baseline = f'"{scenario_title(data, pair[0])}"' if data is not None and pair is not None else "the baseline"
    reconciled = has(data, "reconciled_by")
    return Section(
        "money",
        "Who pays and who gains",
        f"Change against {baseline}, with the same growth of demand and the same rules of operation.",
        [
            _figure(
                result,
                "Change of yearly payments and of real costs borne (production, wear, construction). Diamond: gain in all.",
                money_plots.money_figure,
                "payments",
            ),
            _table(result, scenario_tables.ladder_table, "social cost"),
            *([_table(result, scenario_tables.corners_table, "plan and trading")] if set(sum(CORNERS, ())) <= set(names) else []),
            *([_table(result, scenario_tables.other_scenarios_table, "further scenarios")] if set(names) - set(LADDER) else []),
            _table(result, scenario_tables.welfare_table, "gains"),
            *([_table(result, costs_and_transfers.transfers_table, "savings and transfers")] if reconciled else []),
            *(_money_of(result, name) for name in pair or names),
            _figure(result, "Bills of prosumers.", money_plots.bills_figure, "bills"),
            _table(result, tables.bills_table, "bills"),
        ],
    )


def _checks(result: RunResult) -> Section:
    return Section(
        "checks",
        "Checks and certificates",
        "What was proven, and what was computed again by other means.",
        [
            _table(result, check_tables.certificates_table, "certificates"),
            *([_table(result, check_tables.plans_table, "plans")] if result.provenance().get("certificates") else []),
            *([_table(result, costs_and_transfers.reconciliation_table, "steps to the social cost")] if has(result.dataset, "reconciled_by") else []),
        ],
    )


def _limitations(result: RunResult) -> Section:
    notes, approximated = limitations.notes_table(result), limitations.approximations_table(result)
    return Section(
        "limitations",
        "Limitations and sensitivities",
        "What the answer does not take into account, and how far it depends on prices that may be otherwise.",
        [
            _table(result, limitations.neglected_table, "limitations"),
            *([Exhibit(table=approximated)] if approximated is not None else []),
            *([Exhibit(table=notes)] if notes is not None else []),
            _table(result, limitations.sensitivity_table, "sensitivities"),
        ],
    )


def _data(result: RunResult) -> Section:
    return Section(
        "data",
        "Data",
        "",
        [
            _table(result, tables.system_table, "the system"),
            _table(result, check_tables.days_table, "representative days"),
            _table(result, check_tables.aggregation_table, "aggregation errors"),
        ],
    )


def _scenarios(result: RunResult) -> list[str]:
    data = result.dataset
    return scenario_names(data) if data is not None and "scenario" in data.coords else []


def _money_of(result: RunResult, scenario: str) -> Exhibit:
    return _table(result, functools.partial(scenario_tables.money_table, scenario=scenario), f"payments in the scenario {scenario}")


def _figure(result: RunResult, caption: str, draw: Callable[[RunResult], str | Remark | None], of: str) -> Exhibit:
    drawn = _safely(draw, result, of)
    if isinstance(drawn, Remark):
        return Exhibit(missing=drawn.text)
    return Exhibit(caption=caption, figure=drawn) if drawn else Exhibit(missing=f"No figure of {of}: the result does not hold the data for it.")


def _table(result: RunResult, make: Callable[[RunResult], Table | None], of: str) -> Exhibit:
    made = _safely(make, result, of)
    return Exhibit(table=made) if made is not None else Exhibit(missing=f"No table of {of}: the result does not hold the data for it.")


def _safely(make: Callable[[RunResult], Any], result: RunResult, of: str) -> Any:
    """One broken part must not cost the reader the others; the log keeps the reason."""
    try:
        return make(result)
    except Exception:
        logger.exception("report: %s could not be made", of)
        return None
