"""The sections of the report in their order: figures and tables with their captions."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.figures import maps, money_plots, negotiation, plots, trade_plots, voltages
from multiscale.results.figures.layout import Layout
from multiscale.results.figures.style import Remark
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables import (
    check_tables,
    cost_tables,
    customer_tables,
    limitations,
    market_tables,
    network_tables,
    operation_tables,
    regulation_tables,
    run_tables,
    scenario_tables,
    target_tables,
    trade_tables,
    value_tables,
)
from multiscale.results.tables.assumptions import assumptions_table
from multiscale.results.tables.table import Table
from multiscale.results.words.mechanism_words import chosen, words
from multiscale.results.words.planning_words import MODELS, kind_of, plans_distribution
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
        failed: whether it is missing since an error kept it from being made.
    """

    caption: str = ""
    figure: str = ""
    table: Table | None = None
    missing: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        key: its anchor in the page.
        title: its heading.
        text: what is said before its exhibits.
        blocks: its exhibits in order; None where there is nothing of the kind to show.
    """

    key: str
    title: str
    text: str = ""
    blocks: Sequence[Exhibit | None] = ()


def sections(result: RunResult) -> list[Section]:
    """The body of the report: what to build, what that does to the network, operation, money, checks, limitations, data."""
    return [_plan(result), _network(result), _operation(result), _trade(result), _money(result), _checks(result), _limitations(result), _data(result)]


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
        Section("definitions", "What costs are called", "", [_table(result, cost_tables.glossary, "definitions")]),
        Section(
            "assumptions",
            "Assumptions",
            "Every setting of the run with its unit. The last column distinguishes the defaults of the study from what was chosen for this run.",
            [_table(result, assumptions_table, "assumptions")],
        ),
        Section("values", "All summary values", "", [_table(result, run_tables.summary_table, "summary values")]),
    ]


def _plan(result: RunResult) -> Section:
    return Section(
        "plan",
        "What to build, and what not",
        f"Each option is one line or transformer. {regime_of(result).aim if plans_distribution(result) else MODELS[kind_of(result)]}",
        [
            _table(result, network_tables.options_table, "reinforcement options"),
            _table(result, network_tables.transmission_table, "transmission and distribution", optional=True),
            _table(result, target_tables.targets_table, "targets", optional=True),
            _table(result, regulation_tables.regulation_table, "regulatory account", optional=True),
            _table(result, regulation_tables.compared_operators_table, "comparison of operators", optional=True),
            _table(result, regulation_tables.social_comparison_table, "comparison with least social cost", optional=True),
            _table(result, scenario_tables.years_table, "years", optional=True),
            _table(result, regulation_tables.yearly_account_table, "regulatory account by calendar year", optional=True),
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
        placed = _made(lambda _: maps.placed_words(Layout(data)), result, "layout of the map", optional=False)
    return Section(
        "network",
        "The network before and after",
        "Peak loading and voltages come from an AC power flow of every representative step, not from the planner's own model.",
        [
            _figure(
                result,
                "Peak loading of every branch; both maps have the same colours. Numbers: reinforced branches in the order of the answer above. "
                f"{placed.text if isinstance(placed, Remark) else placed}",
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
            _table(result, network_tables.outages_table, "single outages", optional=True),
            _table(result, network_tables.year_violations_table, "violations over the year", optional=True),
            _table(result, lambda r: network_tables.peak_loading_table(r.dataset) if r.dataset is not None else None, "branch loading"),
            _table(result, network_tables.losses_table, "losses"),
        ],
    )


def _operation(result: RunResult) -> Section:
    mechanism = words(chosen(result))
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
            _figure(
                result,
                "How cost and proven bound met, for each representative day.",
                negotiation.convergence_figure,
                "convergence",
                optional=True,
            ),
            _table(result, operation_tables.mechanisms_table, "mechanisms"),
            _table(result, operation_tables.disclosed_table, "messages", optional=True),
            _table(result, operation_tables.conflicts_table, "conflicts", optional=True),
            _table(result, operation_tables.reserves_table, "reserves for forecast errors", optional=True),
            _table(result, operation_tables.energy_table, "energy"),
        ],
    )


def _trade(result: RunResult) -> Section:
    return Section(
        "trade",
        "Trade between members",
        "Of the headline scenario; every trade is in the ledger of the run (multiscale ledger verify, multiscale ledger csv).",
        [
            _figure(
                result,
                "Left: who sells to whom. Right: the prices of the supplier, between them those of members.",
                trade_plots.trade_figure,
                "trade",
                optional=True,
            ),
            _table(result, trade_tables.trade_table, "trade between members", optional=True),
            _figure(
                result,
                "What members save against being alone, charges that they no longer pay included.",
                trade_plots.gains_figure,
                "gains of members",
                optional=True,
            ),
            _table(result, trade_tables.member_bills_table, "bills alone and in the market", optional=True),
            _table(result, trade_tables.nodal_prices_table, "nodal prices", optional=True),
        ],
    )


def _money(result: RunResult) -> Section:
    data, pair, names = result.dataset, compared_scenarios(result.dataset), _scenarios(result)
    baseline = f'"{scenario_title(data, pair[0])}"' if data is not None and pair is not None else "the baseline"
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
            _table(result, scenario_tables.corners_table, "plan and trading", optional=True),
            _table(result, scenario_tables.other_scenarios_table, "further scenarios", optional=True),
            _table(result, value_tables.value_table, "value by category", optional=True),
            _table(result, value_tables.appraisal_table, "cost and benefit", optional=True),
            _table(result, value_tables.deferral_table, "deferral", optional=True),
            _table(result, scenario_tables.welfare_table, "gains"),
            _table(result, cost_tables.transfers_table, "savings and transfers", optional=True),
            *(_money_of(result, name) for name in pair or names),
            _figure(result, "Bills of prosumers.", money_plots.bills_figure, "bills"),
            _table(result, customer_tables.bills_table, "bills"),
            _table(result, customer_tables.participation_table, "participants", optional=True),
            _table(result, customer_tables.evenness_table, "evenness", optional=True),
            _table(result, customer_tables.burden_table, "energy burden", optional=True),
            _table(result, market_tables.market_table, "market", optional=True),
        ],
    )


def _checks(result: RunResult) -> Section:
    return Section(
        "checks",
        "Checks and certificates",
        "What was proven, and what was computed again by other means.",
        [
            _table(result, check_tables.certificates_table, "certificates"),
            _table(result, check_tables.plans_table, "plans", optional=True),
            _table(result, cost_tables.reconciliation_table, "steps to the social cost", optional=True),
        ],
    )


def _limitations(result: RunResult) -> Section:
    return Section(
        "limitations",
        "Limitations and sensitivities",
        "What the answer does not take into account, and how far it depends on prices that may be otherwise.",
        [
            _table(result, limitations.neglected_table, "limitations"),
            _table(result, limitations.approximations_table, "approximations", optional=True),
            _table(result, limitations.notes_table, "omissions", optional=True),
            _table(result, limitations.sensitivity_table, "sensitivities"),
        ],
    )


def _data(result: RunResult) -> Section:
    return Section(
        "data",
        "Data",
        "",
        [
            _table(result, run_tables.system_table, "the system"),
            _table(result, check_tables.days_table, "representative days"),
            _table(result, check_tables.aggregation_table, "aggregation errors"),
        ],
    )


def _scenarios(result: RunResult) -> list[str]:
    data = result.dataset
    return scenario_names(data) if data is not None and "scenario" in data.coords else []


def _money_of(result: RunResult, scenario: str) -> Exhibit | None:
    return _table(result, functools.partial(scenario_tables.money_table, scenario=scenario), f"payments in the scenario {scenario}")


def _figure(result: RunResult, caption: str, draw: Callable[[RunResult], str | Remark | None], of: str, *, optional: bool = False) -> Exhibit | None:
    drawn = _made(draw, result, f"figure of {of}", optional=optional)
    return _instead(drawn) if isinstance(drawn, Remark) else Exhibit(caption=caption, figure=drawn) if drawn else None


def _table(result: RunResult, make: Callable[[RunResult], Table | None], of: str, *, optional: bool = False) -> Exhibit | None:
    made = _made(make, result, f"table of {of}", optional=optional)
    return _instead(made) if isinstance(made, Remark) else Exhibit(table=made) if made is not None else None


class _Failure(Remark):
    """What is said in place of something that an error kept from being made."""


def _instead(remark: Remark) -> Exhibit:
    return Exhibit(missing=remark.text, failed=isinstance(remark, _Failure))


def _made(make: Callable[[RunResult], Any], result: RunResult, what: str, *, optional: bool) -> Any:
    """What was made of the result, or why there is none; None where that needs no word.

    One part that fails does not cost the reader the others; the log has the reason.
    """
    try:
        made = make(result)
    except Exception as error:
        logger.exception("report: the %s could not be made", what)
        return _Failure(f"No {what}: an error kept it from being made ({type(error).__name__}: {error}).")
    return made if made is not None or optional else Remark(f"No {what}: the result does not hold the data for it.")
