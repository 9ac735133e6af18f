"""The MPS + auxiliary-file format, and programs written for people."""

from __future__ import annotations

import locale

import pyomo.environ as pyo
import pyscipopt
import pytest

from multiscale import bilevel
from multiscale.bilevel.problem.equations import kkt_equations
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.bilevel.scip.lp_export import write_lp
from tests.bilevel.feeder import feeder
from tests.bilevel.published import INSTANCES

# Published followers state terms of leader variables alone in their costs.
pytestmark = pytest.mark.filterwarnings("ignore::multiscale.bilevel.BilevelWarning")

LINEAR = [i for i in INSTANCES if i.name in ("cw_1988_01", "b_1984_01", "bf_1982_01", "ct_1982_01", "t_1994")]

MPS = """NAME toy
ROWS
 N obj
 L r0
 L r1
 G r2
COLUMNS
 x obj 1 r0 2
 x r1 -2 r2 1
 y obj -4 r0 1
 y r1 1 r2 1
RHS
 RHS r0 12 r2 3
BOUNDS
 UP BND x 10
 UP BND y 10
ENDATA
"""


@pytest.mark.parametrize("by", ["name", "position"])
@pytest.mark.parametrize("instance", LINEAR, ids=lambda i: i.name)
def test_what_is_written_is_read_back_as_the_same_problem(instance, by, tmp_path):
    model, lower = instance.model()
    bilevel.write_files(bilevel.read_model(model, [lower]).problem, tmp_path / "p.mps", tmp_path / "p.aux", by=by)
    again, block = bilevel.read_files(tmp_path / "p.mps", tmp_path / "p.aux")
    solution = bilevel.solve(again, [block], gap=1e-6, time_limit=20)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(instance.optimum, rel=1e-5)


@pytest.mark.parametrize(
    "aux",
    [
        "N 1\nM 3\nLC 1\nLR 0\nLR 1\nLR 2\nLO 1\nOS 1\n",
        "@NUMVARS\n1\n@NUMCONSTRS\n3\n@VARSBEGIN\ny 1\n@VARSEND\n@CONSTRSBEGIN\nr0\nr1\nr2\n@CONSTRSEND\n",
    ],
)
def test_positions_and_names_are_both_understood(aux, tmp_path):
    (tmp_path / "p.mps").write_text(MPS)
    (tmp_path / "p.aux").write_text(aux)
    model, lower = bilevel.read_files(tmp_path / "p.mps", tmp_path / "p.aux")
    solution = bilevel.solve(model, [lower], gap=1e-6, time_limit=20)
    # y = max(0, 3 - x); x - 4 y is least at x = 1, where y = 2.
    assert solution.objective == pytest.approx(1 - 4 * 2, rel=1e-5)


def test_a_row_that_does_not_exist_is_named(tmp_path):
    (tmp_path / "p.mps").write_text(MPS)
    (tmp_path / "p.aux").write_text("N 1\nM 1\nLC 1\nLR 7\nLO 1\nOS 1\n")
    with pytest.raises(bilevel.BilevelError, match="no row 7"):
        bilevel.read_files(tmp_path / "p.mps", tmp_path / "p.aux")


def test_equations_carry_names():
    model, lower = LINEAR[0].model()
    solution = bilevel.solve(model, [lower], time_limit=20)
    follower = solution.problem.followers[0]
    text = kkt_equations(follower)
    assert "lower.rows[1]" in text
    assert "perp" in text
    whole = solution.describe()
    assert "columns (" in whole
    assert next(iter(solution.methods.values())) in whole
    assert "lower.rows[1]" in whole
    assert "lower.rows[1]" not in solution.describe(equations=0)
    assert "... 2 more" in kkt_equations(follower, limit=1)


def solved(path):
    """SCIP's own optimum of a file."""
    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(str(path))
    model.setParam("limits/time", 20)
    model.setParam("nlp/disable", True)
    model.optimize()
    assert model.getStatus() == "optimal"
    return model.getObjVal(), {v.name for v in model.getVars(False)}


@pytest.mark.parametrize("method", ["strong_duality", "sos1", "indicator", "product", "big_m"])
def test_the_single_level_program_is_read_back_and_has_the_optimum(method, tmp_path):
    model, lower = LINEAR[0].model()
    solution = bilevel.solve(model, [lower], method="sos1", gap=1e-6, time_limit=20)
    problem = bilevel.read_model(model, [lower]).problem
    try:
        single = assemble(problem, [method], [bounds_for(problem, 0, method, 5.0)])
    except bilevel.BilevelError:
        assert method in ("strong_duality", "big_m")
        return
    value, names = solved(write_lp(single, tmp_path / "single.lp", problem))
    assert value == pytest.approx(solution.objective, rel=1e-5)
    assert {"x", "lower.y"} <= names


def test_a_file_is_written_the_same_whatever_the_locale_says_of_numbers(tmp_path):
    model, lower = LINEAR[0].model()
    problem = bilevel.read_model(model, [lower]).problem
    single = assemble(problem, ["sos1"], [bounds_for(problem, 0, "sos1", 5.0)])
    plain = write_lp(single, tmp_path / "plain.lp", problem).read_text()
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        locale.setlocale(locale.LC_NUMERIC, "C.UTF-8")
        assert write_lp(single, tmp_path / "other.lp", problem).read_text() == plain
        assert locale.setlocale(locale.LC_NUMERIC) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def test_every_intermediate_problem_is_written_by_one_option(tmp_path):
    for method, extra in (("strong_duality", set()), ("branch_and_cut", {"exact_at_integers.lp"})):
        case = feeder(3, 4, 1, seed=1)
        solution = bilevel.solve(case.model, [case.follower], method=method, time_limit=30, gap=1e-6, write=tmp_path / method)
        found = {path.name for path in (tmp_path / method).iterdir()}
        assert {"relaxation.lp", f"follower_{case.follower.name}.lp", "single_level.lp"} | extra <= found
        relaxed, names = solved(tmp_path / method / "relaxation.lp")
        assert relaxed <= solution.objective + 1e-6
        assert "build_1" in names
    value, _ = solved(tmp_path / "strong_duality" / "single_level.lp")
    assert value == pytest.approx(solution.objective, rel=1e-4)


def test_nonlinear_programs_are_written_in_scips_own_format(tmp_path):
    model, lower = LINEAR[0].model()
    model.objective.set_value(model.objective.expr + pyo.exp(0.01 * model.x))
    solution = bilevel.solve(model, [lower], method="sos1", time_limit=20, write=tmp_path)
    assert solution.status == "optimal"
    assert (tmp_path / "single_level.cip").is_file()
