import numpy as np
import pytest

from multiscale.coordination.common.assembled_basis import assembled_basis
from multiscale.coordination.common.integrated import _master, integrated_optimum
from multiscale.coordination.common.prepared import answers_at
from multiscale.markets import Community
from multiscale.operation import dso_branch_program, operating_tree
from multiscale.programs import CompiledProgram
from tests.fuzz_coordination.reference import Whole
from tests.variants import changed, charged


@pytest.fixture(scope="module", params=["wide", "congested"])
def case(request, system, winter, economics, fleets):
    """The whole tiny case; congested: feeders so large that the DSOs move the nodal prices, and a transformer that is too small."""
    if request.param == "wide":
        return operating_tree(system, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community())
    towns = {f"{d} town": 9000.0 for d in system.at_level("dso")}
    here = changed(changed(system, "devices", "p_kw", towns), "branches", "rating_kva", {"north 1 MV/LV transformer": 30.0})
    return operating_tree(here, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community())


def test_the_optimum_is_that_of_one_monolithic_program(case):
    outcome = integrated_optimum(case, tolerance=1e-8)
    wanted = Whole(case, float(case.transmission.idle_cost.sum())).optimum().high
    assert outcome.cost == pytest.approx(wanted, rel=1e-7)
    assert outcome.bound <= wanted * (1 + 1e-9)
    assert outcome.gap <= 1e-7


def test_power_drawn_by_a_dso_is_what_its_platforms_and_customers_draw(case):
    outcome = integrated_optimum(case)
    for dso, own in case.distribution.items():
        x = outcome.distribution_x[dso]
        drawn = own.program.columns.array("import", x).values - own.program.columns.array("export", x).values
        np.testing.assert_allclose(outcome.exchange[dso], drawn, atol=1e-6)
        passive = case.system.passive(dso, case.horizon)
        columns = own.program.columns
        served = (passive.demand - passive.generation).sum("bus").values + sum(outcome.exchange[c] for c in own.children)
        served = served - columns.array("unserved", x).values.sum(axis=0) + columns.array("curtailed", x).values.sum(axis=0)
        served = served - columns.array("shed", x).values.sum(axis=0) + columns.array("spilled", x).values.sum(axis=0)
        np.testing.assert_allclose(drawn, served, atol=1e-5)


def test_without_a_round_there_is_nothing_to_say(tree):
    with pytest.raises(ValueError, match="at least one round"):
        integrated_optimum(tree, rounds=0)


@pytest.mark.parametrize("case", ["congested"], indirect=True)
def test_large_feeders_move_nodal_prices_and_take_several_rounds(case):
    outcome = integrated_optimum(case)
    assert outcome.rounds > 1
    assert outcome.gap <= 1e-6


def test_the_optimum_does_not_depend_on_the_first_cut(case):
    """From the dispatch of another outcome it takes fewer rounds, and is the same."""
    outcome = integrated_optimum(case, tolerance=1e-8)
    again = integrated_optimum(case, tolerance=1e-8, near=outcome)
    assert again.cost == pytest.approx(outcome.cost, rel=1e-7)
    assert again.rounds <= outcome.rounds


def test_a_start_from_the_platforms_own_answers_is_a_basis_and_changes_no_optimum(case):
    """At the prices of the optimum the parts are nearly solved: the whole takes a small share of the iterations that it takes from nothing."""
    outcome = integrated_optimum(case, tolerance=1e-8)
    answers = answers_at(case, outcome)
    again = integrated_optimum(case, tolerance=1e-8, near=outcome, answers=answers)
    assert again.cost == pytest.approx(outcome.cost, rel=1e-7)
    assert again.bound <= outcome.cost * (1 + 1e-9)
    master = _master(
        case,
        {d: dso_branch_program(case, d).fix({"energy_price": np.zeros(case.horizon.periods)}) for d in case.transmission.children},
        [(np.array([outcome.exchange[d] for d in case.transmission.children]), outcome.dispatch)],
        case.transmission.idle_cost,
    )
    basis = assembled_basis(case, answers, outcome.energy_price)
    assert sum(int((part == 1).sum()) for part in basis.statuses) == master.rows.size
    iterations = {}
    for name, start in (("nothing", None), ("parts", basis)):
        compiled = CompiledProgram(master, devex=True)
        compiled.start_from(start)
        compiled.solve_optimal()
        iterations[name] = compiled.iterations
    assert iterations["parts"] < 0.25 * iterations["nothing"]
