"""The stage ``verify``: AC power flow of a scenario, on the representative days and on every hour of the year."""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr

from multiscale.assessment.construction import Bought
from multiscale.assessment.operated import Operation
from multiscale.operation import Design
from multiscale.pipeline.operation import with_bought_capacity
from multiscale.results.answer_data import StudyCase
from multiscale.verification.ac import Verification, ac_verify
from multiscale.verification.year import YearVerification, year_check, year_injections

logger = logging.getLogger(__name__)

DAYS_OF_A_YEAR = 365


def verify_days(case: StudyCase, operation: Operation) -> dict[str, Verification]:
    """AC power flow of all representative periods: DSO -> what it says."""
    found = {}
    for dso in case.system.at_level("dso"):
        nodes = [dso, *case.system.children(dso)]
        found[dso] = ac_verify(case.system, nodes, case.horizon, operation.injections(dso), _built_in(case, operation.design, dso))
    return found


def verify_year(case: StudyCase, operation: Operation, bought: Bought) -> dict[str, YearVerification]:
    """AC power flow of every hour of the year: DSO -> what it says; nothing where the profiles do not span a year."""
    nearest = case.aggregation.nearest
    if len(nearest) < DAYS_OF_A_YEAR:
        logger.info("the profiles span %d days: no AC power flow of a whole year", len(nearest))
        return {}
    grown, found = with_bought_capacity(case, bought), {}
    for dso in case.system.at_level("dso"):
        nodes = [dso, *case.system.children(dso)]
        new_pv: dict[str, float] = {}
        for platform in case.system.children(dso):
            after, before = grown.fleets[platform].data, case.fleets[platform].data
            for bus, kw in zip(after.bus.values.tolist(), (after.pv_rating - before.pv_rating).values.tolist(), strict=True):
                new_pv[bus] = new_pv.get(bus, 0.0) + kw
        injections = year_injections(case.system, nodes, case.horizon, nearest, operation.injections(dso), new_pv)
        found[dso] = year_check(case.system, nodes, injections, _built_in(case, operation.design, dso))
    return found


def _built_in(case: StudyCase, design: Design, dso: str) -> xr.Dataset:
    """Options that are built in the networks of a DSO and its platforms."""
    branches = case.system.branches
    own = branches.branch.values[np.isin(branches.node.values, [dso, *case.system.children(dso)])]
    built = design.options(case.system.options)
    return built.isel(option=np.flatnonzero(np.isin(built.branch.values, own)))
