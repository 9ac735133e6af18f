"""The sections of the report in their order: figures and tables with their captions."""

from __future__ import annotations

import functools

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.figures import maps, money_plots, negotiation, plots, trade_plots, voltages
from multiscale.results.figures.layout import Layout
from multiscale.results.figures.style import Remark
from multiscale.results.report.exhibits import Exhibit, Section, figure, interactive, made, table
from multiscale.results.report.interactive_map import map_of_run
from multiscale.results.report.interactive_time import nodes_of_run
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables import (
    check_tables,
    checklist,
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
from multiscale.results.words.mechanism_words import chosen, words
from multiscale.results.words.planning_words import MODELS, kind_of, plans_distribution
from multiscale.results.words.regime_words import regime_of


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
        Section("definitions", "What costs are called", "", [table(result, cost_tables.glossary, "definitions")]),
        Section(
            "assumptions",
            "Assumptions",
            "Every setting of the run with its unit. The last column distinguishes the defaults of the study from what was chosen for this run.",
            [table(result, assumptions_table, "assumptions")],
        ),
        Section("values", "All summary values", "", [table(result, run_tables.summary_table, "summary values")]),
    ]


def _plan(result: RunResult) -> Section:
    return Section(
        "plan",
        "What to build, and what not",
        f"Each option is one line or transformer. {regime_of(result).aim if plans_distribution(result) else MODELS[kind_of(result)]}",
        [
            table(result, network_tables.options_table, "reinforcement options"),
            table(result, network_tables.transmission_table, "transmission and distribution", optional=True),
            table(result, target_tables.targets_table, "targets", optional=True),
            table(result, regulation_tables.regulation_table, "regulatory account", optional=True),
            table(result, regulation_tables.compared_operators_table, "comparison of operators", optional=True),
            table(result, regulation_tables.social_comparison_table, "comparison with least social cost", optional=True),
            table(result, scenario_tables.years_table, "years", optional=True),
            table(result, regulation_tables.yearly_account_table, "regulatory account by calendar year", optional=True),
            figure(
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
        placed = made(lambda _: maps.placed_words(Layout(data)), result, "layout of the map", optional=False)
    return Section(
        "network",
        "The network before and after",
        "Peak loading and voltages come from an AC power flow of every representative step, not from the planner's own model.",
        [
            interactive(result, map_of_run, "the network"),
            figure(
                result,
                "Peak loading of every branch; both maps have the same colours. Numbers: reinforced branches in the order of the answer above. "
                f"{placed.text if isinstance(placed, Remark) else placed}",
                maps.loading_map,
                "the network map",
            ),
            figure(
                result,
                "Voltages over all representative steps: on the map the one furthest from nominal, below it all buses in order.",
                voltages.voltage_figure,
                "voltages",
            ),
            table(result, network_tables.violations_table, "violations"),
            table(result, network_tables.outages_table, "single outages", optional=True),
            table(result, network_tables.year_violations_table, "violations over the year", optional=True),
            table(result, lambda r: network_tables.peak_loading_table(r.dataset) if r.dataset is not None else None, "branch loading"),
            table(result, network_tables.losses_table, "losses"),
        ],
    )


def _operation(result: RunResult) -> Section:
    mechanism = words(chosen(result))
    return Section(
        "operation",
        mechanism.heading,
        mechanism.text + (" No level was refused anything for a limit of another." if result.value("coordination.conflicts") == 0 else ""),
        [
            interactive(result, nodes_of_run, "prices and exchanges"),
            figure(result, "Prices of energy from above. Solid: import; dashed: export.", plots.price_figure, "prices", paper=True),
            figure(
                result,
                "Power drawn from the level above (negative: fed back), and by how much the integrated optimum and the forecast differ from it.",
                plots.exchange_figure,
                "exchanges",
                paper=True,
            ),
            figure(
                result,
                "How cost and proven bound met, for each representative day.",
                negotiation.convergence_figure,
                "convergence",
                optional=True,
            ),
            table(result, operation_tables.mechanisms_table, "mechanisms"),
            table(result, operation_tables.disclosed_table, "messages", optional=True),
            table(result, operation_tables.conflicts_table, "conflicts", optional=True),
            table(result, operation_tables.reserves_table, "reserves for forecast errors", optional=True),
            table(result, operation_tables.energy_table, "energy"),
        ],
    )


def _trade(result: RunResult) -> Section:
    return Section(
        "trade",
        "Trade between members",
        "Of the headline scenario; every trade is in the ledger of the run (multiscale ledger verify, multiscale ledger csv).",
        [
            figure(
                result,
                "Left: who sells to whom. Right: the prices of the supplier, between them those of members.",
                trade_plots.trade_figure,
                "trade",
                optional=True,
            ),
            table(result, trade_tables.trade_table, "trade between members", optional=True),
            figure(
                result,
                "What members save against being alone, charges that they no longer pay included.",
                trade_plots.gains_figure,
                "gains of members",
                optional=True,
            ),
            table(result, trade_tables.member_bills_table, "bills alone and in the market", optional=True),
            table(result, trade_tables.nodal_prices_table, "nodal prices", optional=True),
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
            figure(
                result,
                "Change of yearly payments and of real costs borne (production, wear, construction). Diamond: gain in all.",
                money_plots.money_figure,
                "payments",
            ),
            table(result, scenario_tables.ladder_table, "social cost"),
            table(result, scenario_tables.corners_table, "plan and trading", optional=True),
            table(result, scenario_tables.other_scenarios_table, "further scenarios", optional=True),
            table(result, value_tables.value_table, "value by category", optional=True),
            table(result, value_tables.appraisal_table, "cost and benefit", optional=True),
            table(result, value_tables.deferral_table, "deferral", optional=True),
            table(result, scenario_tables.welfare_table, "gains"),
            table(result, cost_tables.transfers_table, "savings and transfers", optional=True),
            *(_money_of(result, name) for name in pair or names),
            figure(result, "Bills of prosumers.", money_plots.bills_figure, "bills"),
            table(result, customer_tables.bills_table, "bills"),
            table(result, customer_tables.participation_table, "participants", optional=True),
            table(result, customer_tables.evenness_table, "evenness", optional=True),
            table(result, customer_tables.burden_table, "energy burden", optional=True),
            table(result, market_tables.market_table, "market", optional=True),
        ],
    )


def _checks(result: RunResult) -> Section:
    return Section(
        "checks",
        "Checks and certificates",
        "What was proven, and what was computed again by other means.",
        [
            table(result, check_tables.certificates_table, "certificates"),
            table(result, check_tables.plans_table, "plans", optional=True),
            table(result, cost_tables.reconciliation_table, "steps to the social cost", optional=True),
        ],
    )


def _limitations(result: RunResult) -> Section:
    return Section(
        "limitations",
        "Limitations and sensitivities",
        "What the answer does not take into account, and how far it depends on prices that may be otherwise.",
        [
            table(result, limitations.neglected_table, "limitations"),
            table(result, limitations.approximations_table, "approximations", optional=True),
            table(result, limitations.notes_table, "omissions", optional=True),
            table(result, limitations.sensitivity_table, "sensitivities"),
            table(result, checklist.checklist_table, "transparency"),
        ],
    )


def _data(result: RunResult) -> Section:
    return Section(
        "data",
        "Data",
        "",
        [
            table(result, run_tables.system_table, "the system"),
            table(result, check_tables.days_table, "representative days"),
            table(result, check_tables.aggregation_table, "aggregation errors"),
        ],
    )


def _scenarios(result: RunResult) -> list[str]:
    data = result.dataset
    return scenario_names(data) if data is not None and "scenario" in data.coords else []


def _money_of(result: RunResult, scenario: str) -> Exhibit | None:
    return table(result, functools.partial(scenario_tables.money_table, scenario=scenario), f"payments in the scenario {scenario}")
