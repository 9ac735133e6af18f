"""What keeps an answer from being optimal is said, and a proof that contradicts its cost ends the study."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from multiscale.assessment import Ledger
from multiscale.assessment.operated import MechanismCost
from multiscale.pipeline import assessment
from multiscale.pipeline.assessment import CertificateError, check_certificates, reservations
from multiscale.planning.targets import Reached
from multiscale.results.data.answer_data import RepairRecord
from multiscale.results.data.targets import PlannedAndOperated
from multiscale.system import LoadingLimits
from multiscale.verification.outages import OutageCheck
from multiscale.verification.year import YearCheck


def answer(cost=100.0, bound=99.0, objective=1000.0, plan_bound=1000.0, **changed):
    own = MechanismCost(cost, cost, 50.0, 1, 1, 1, ())
    day = SimpleNamespace(
        horizon=SimpleNamespace(title="2016-01-20"),
        trades={},
        mechanisms={"integrated": MechanismCost(99.5, 99.5, bound, 1, 1, 1, ()), "pricing": own},
        excluded={},
        shortfall="",
        energy_residual=0.0,
    )
    scenario = SimpleNamespace(title="With plan", operation=SimpleNamespace(days=(day,), unserved={}), ledger=Ledger(), verification={})
    plan = SimpleNamespace(objective=objective, bound=plan_bound, follower_gap=0.0, status="optimal", message="")
    whole = SimpleNamespace(
        plan=scenario,
        scenarios={"plan": scenario},
        plans={"north": plan},
        year_check=YearCheck(),
        outages={},
        targets={},
        repair=RepairRecord(),
        case=SimpleNamespace(limits=LoadingLimits(), system=SimpleNamespace(top="transmission")),
        transmission=SimpleNamespace(cost=100.0, bound=90.0, closed=True, message=""),
    )
    for path, value in changed.items():
        *above, name = path.split("__")
        target = whole
        for part in above:
            target = getattr(target, part)
        setattr(target, name, value)
    return whole, day, plan


def test_bounds_below_costs_pass():
    whole, _, _ = answer()
    check_certificates(whole)
    assert reservations(whole) == []


@pytest.mark.parametrize(
    "wrong",
    [{"bound": 101.0}, {"bound": 99.6}, {"bound": np.nan}, {"cost": np.nan}, {"plan_bound": 1001.0}, {"objective": np.nan}],
)
def test_a_bound_above_a_cost_is_an_error(wrong):
    whole, _, _ = answer(**wrong)
    with pytest.raises(CertificateError, match="lower bound"):
        check_certificates(whole)


def test_a_mechanism_that_excluded_somebody_is_compared_with_no_other():
    whole, day, _ = answer(cost=10.0)
    day.mechanisms["pricing"] = replace(day.mechanisms["pricing"], excluded=("north 1",), bound=9.0)
    check_certificates(whole)


@pytest.mark.parametrize(
    ("operated", "reasons"), [(0.2, ["target 'share' of north: 0.2 in operation, where at least 0.3 is demanded"]), (0.3, []), (np.nan, [])]
)
def test_a_target_that_operation_misses_is_a_reason(monkeypatch, operated, reasons):
    planned, found = (Reached("renewable_share", value, 0.3, "1", at_least=True) for value in (0.3, operated))
    monkeypatch.setattr(assessment, "targets_of", lambda _: {("north", "share"): PlannedAndOperated(planned, found)})
    assert reservations(answer()[0]) == reasons


@pytest.mark.parametrize("off", [1e-3, np.nan])
def test_what_does_not_balance_is_a_reason(off):
    whole, day, plan = answer()
    day.energy_residual = off
    assert any("energy accounts" in reason for reason in reservations(whole))
    day.energy_residual, plan.follower_gap = 0.0, off
    assert any("solved again" in reason for reason in reservations(whole))


def test_an_outage_that_is_not_survived_is_a_reason():
    dark = {"line": "line 1", "periods_overloaded": 0, "periods_diverged": 3, "branch": "", "loading": np.nan, "demand_lost": 0.0}
    over = dark | {"line": "line 3", "periods_overloaded": 2, "periods_diverged": 0, "branch": "line 2", "loading": 119.0}
    for rows, count, worst in (
        ([dark, over], 2, "line 2 is loaded to 119.0 % of its rating after an outage of line 3"),
        ([dark], 1, "the power flow has no solution after an outage of line 1"),
    ):
        whole, _, _ = answer(outages={"north": OutageCheck(pd.DataFrame(rows))})
        assert reservations(whole) == [f"AC power flow under single outages in north: {count} not survived (worst: {worst})"]


def test_demand_that_is_not_served_is_named_with_the_limits():
    whole, _, _ = answer()
    whole.plan.operation.unserved = {"north 1": 20.0, "passive customers of north": 5.0}
    [reason] = reservations(whole)
    assert reason.startswith("25 kWh/a of demand are not served (north 1 20")


def test_the_plan_of_the_transmission_operator_is_checked_like_the_others():
    whole, _, _ = answer(transmission__closed=False, transmission__message="ended after 3 rounds (planning.rounds)")
    assert reservations(whole) == ["plan of transmission: ended after 3 rounds (planning.rounds)"]
    wrong, _, _ = answer(transmission__bound=101.0)
    with pytest.raises(CertificateError, match="plan of transmission: costs 100"):
        check_certificates(wrong)
