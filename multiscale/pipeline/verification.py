"""The stages ``verify`` and ``verify_outages``: AC power flow of a scenario on the representative days, without and with single outages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from multiscale.assessment.operated import Operation
from multiscale.operation import Design
from multiscale.results.data.answer_data import StudyCase
from multiscale.verification.ac import Verification, ac_verify
from multiscale.verification.outages import OutageCheck, outage_check


def verify_days(case: StudyCase, operation: Operation) -> dict[str, Verification]:
    """AC power flow of all representative periods: DSO -> what it says."""
    found = {}
    for dso in case.system.at_level("dso"):
        nodes = [dso, *case.system.children(dso)]
        found[dso] = ac_verify(case.system, nodes, case.horizon, operation.injections(dso), built_in(case, operation.design, dso))
    return found


def verify_outages(case: StudyCase, operation: Operation, verified: Mapping[str, Verification]) -> dict[str, OutageCheck]:
    """AC power flow of all representative periods under single outages of lines: DSO -> what it says."""
    found, built = {}, operation.design.options(case.system.options)
    for dso, checked in verified.items():
        found[dso] = outage_check(case.system, dso, checked, operation.injections(dso), case.limits, built)
    return found


def built_in(case: StudyCase, design: Design, dso: str) -> xr.Dataset:
    """Options that are built in the networks of a DSO and its platforms."""
    branches = case.system.branches
    own = branches.branch.values[np.isin(branches.node.values, [dso, *case.system.children(dso)])]
    built = design.options(case.system.options)
    return built.isel(option=np.flatnonzero(np.isin(built.branch.values, own)))
