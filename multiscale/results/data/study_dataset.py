"""Gather the answer of a study into one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.data.appraisal import appraisal_dataset
from multiscale.results.data.conflicts_and_reserves import conflicts_and_reserves_dataset
from multiscale.results.data.costs_and_transfers import costs_dataset
from multiscale.results.data.customers import customers_dataset
from multiscale.results.data.outages import outages_dataset
from multiscale.results.data.parts import days, money, network, operation, trading
from multiscale.results.data.parts.named import named
from multiscale.results.data.regulation import regulation_dataset, yearly_account_dataset
from multiscale.results.data.targets import targets_dataset
from multiscale.results.data.value_streams import value_streams_dataset
from multiscale.results.data.year_of_hours import year_dataset


def study_dataset(answers: Sequence[YearAnswer]) -> xr.Dataset:
    """One dataset with everything a study found; every variable has a unit and a long name.

    What a year changes has the dimension ``year``; the network, the options, the prosumers and the representative days are the same in all.
    """
    last = answers[-1]
    lasting = [
        _scenarios(last),
        network.network(last),
        network.options(last),
        money.prosumers(last),
        days.chosen_days(last),
        yearly_account_dataset(answers),
    ]
    by_year = [_joined([*_of_year(answer)]) for answer in answers]
    texts = {str(name): "" for found in by_year for name, variable in found.data_vars.items() if variable.dtype.kind in "OUS"}
    numbers = {str(name): float("nan") for found in by_year for name, variable in found.data_vars.items() if variable.dtype.kind not in "OUS"}
    fill: dict[str, Any] = texts | numbers
    dated = [found.expand_dims(year=[answer.case.year]) for found, answer in zip(by_year, answers, strict=True)]
    changing = xr.concat(dated, dim="year", data_vars="all", join="outer", fill_value=fill, combine_attrs="override")
    return _joined([*lasting, changing]).assign_attrs(system=last.case.system.name, baseline=last.baseline, headline=last.headline)


def _of_year(answer: YearAnswer) -> tuple[xr.Dataset, ...]:
    return (
        network.decisions(answer),
        operation.operation(answer),
        operation.unserved(answer),
        operation.power_flow(answer),
        operation.mechanisms(answer),
        operation.negotiation(answer),
        money.ledgers(answer),
        costs_dataset(answer),
        regulation_dataset(answer),
        targets_dataset(answer),
        money.bills(answer),
        value_streams_dataset(answer),
        appraisal_dataset(answer),
        customers_dataset(answer),
        money.energy(answer),
        trading.trading(answer),
        conflicts_and_reserves_dataset(answer),
        days.aggregation(answer),
        year_dataset(answer.year_check.by_dso),
        outages_dataset(answer.outages),
    )


def _joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    return xr.merge(parts, join="outer", compat="no_conflicts")


def _scenarios(answer: YearAnswer) -> xr.Dataset:
    titles = [scenario.title for scenario in answer.scenarios.values()]
    return xr.Dataset({"scenario_title": named("scenario", titles, "", "scenario in plain words")}, coords={"scenario": list(answer.scenarios)})
