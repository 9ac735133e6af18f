"""The MPS + auxiliary-file format, and programs written for people."""

from __future__ import annotations

import pytest

from multiscale import bilevel
from multiscale.bilevel.assemble import assemble
from multiscale.bilevel.bounds import no_bounds
from multiscale.bilevel.describe import kkt_equations, write_lp
from multiscale.bilevel.files import read_files, write_files
from tests.bilevel.published import INSTANCES

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


@pytest.mark.parametrize("instance", LINEAR, ids=lambda i: i.name)
def test_what_is_written_is_read_back_as_the_same_problem(instance, tmp_path):
    model, lower = instance.model()
    write_files(bilevel.read_model(model, [lower]).problem, tmp_path / "p.mps", tmp_path / "p.aux")
    again, block = read_files(tmp_path / "p.mps", tmp_path / "p.aux")
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
    model, lower = read_files(tmp_path / "p.mps", tmp_path / "p.aux")
    solution = bilevel.solve(model, [lower], gap=1e-6, time_limit=20)
    # y = max(0, 3 - x); x - 4 y is least at x = 1, where y = 2.
    assert solution.objective == pytest.approx(1 - 4 * 2, rel=1e-5)


def test_a_row_that_does_not_exist_is_named(tmp_path):
    (tmp_path / "p.mps").write_text(MPS)
    (tmp_path / "p.aux").write_text("N 1\nM 1\nLC 1\nLR 7\nLO 1\nOS 1\n")
    with pytest.raises(bilevel.BilevelError, match="no row 7"):
        read_files(tmp_path / "p.mps", tmp_path / "p.aux")


def test_equations_and_lp_files_carry_names(tmp_path):
    model, lower = LINEAR[0].model()
    problem = bilevel.read_model(model, [lower]).problem
    text = kkt_equations(problem.followers[0])
    assert "lower.rows[1]" in text
    assert "perp" in text
    single = assemble(problem, ["sos1"], [no_bounds(problem.followers[0])])
    written = write_lp(single, tmp_path / "single.lp").read_text()
    assert "lower_stationarity" in written
