"""The equations that are printed are those that are solved: matrices made from them alone equal those of the programs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from multiscale.config import load_config
from multiscale.config.models import StudyConfig
from multiscale.mathematics import latex
from multiscale.mathematics.document import study_equations
from multiscale.mathematics.equations import costs, matrices, stated
from multiscale.mathematics.plain import mathml, plain
from multiscale.mathematics.written import FORMS
from multiscale.operation import Design, operating_tree
from multiscale.operation.transmission_program import Monitored, period_program
from multiscale.pipeline.case import case_of
from multiscale.pipeline.plan import forecast, problem_of
from multiscale.programs import ParametricProgram, ProgramBuilder, Statement, recorded
from multiscale.symbols import Named
from tests.kept_for_all import kept_for_all

# Low-voltage networks that bind, adoption, two options at least, a charge on peaks.
STUDIES = {
    "tiny": ["study=tiny"],
    "tight": ["study=incentive_schemes"],
    "capacity": ["study=tiny", "tariff=capacity", "system.dsos=[north]", "market=hybrid"],
}


def _programs(overrides: list[str]) -> list[tuple[Statement, ParametricProgram]]:
    """Programs of a study as they are solved, each with what its builder was handed."""
    built: list[ParametricProgram] = []
    finish = ProgramBuilder.build

    def kept(self: ProgramBuilder) -> ParametricProgram:
        built.append(finish(self))
        return built[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgramBuilder, "build", kept)
        config = load_config(overrides)
        case = case_of(config)
        expected = forecast(case)
        built.clear()
        with recorded() as statements:
            tree = operating_tree(case.system, case.horizon, case.economics, case.fleets, Design({}, {}), config.market, limits=case.limits)
            for name in tree.platforms:
                _ = tree.platforms[name]
            branches = np.arange(2)
            period_program(tree.transmission, 0, Monitored.of(tree.transmission.model, branches, branches))
            problem_of(case, case.system.at_level("dso")[0], expected, config.planning, config.market)
    return list(zip(statements, built, strict=True))


@pytest.fixture(scope="module", params=STUDIES)
def programs(request: pytest.FixtureRequest) -> list[tuple[Statement, ParametricProgram]]:
    return kept_for_all(f"stated-{request.param}", lambda: _programs(STUDIES[request.param]))


def test_every_row_of_every_program_has_an_equation_that_gives_its_matrix(programs):
    for statement, program in programs:
        found = stated(statement)
        assert [e.block.name for e in found.equations] == [block.name for block in program.rows if block.size]
        for equation in found.equations:
            own = slice(equation.block.offset, equation.block.offset + equation.block.size)
            left, constant, right = matrices(equation, program)
            assert abs(left - program.A[own]).max() == 0.0, equation.block.name
            np.testing.assert_array_equal(constant, program.b0[own])
            if program.parameters.size:
                assert abs(right - program.B[own]).max() == 0.0, equation.block.name
            assert (program.equality[own] == (equation.sense == "==")).all()


def test_the_objective_that_is_printed_gives_the_costs_of_the_program(programs):
    for statement, program in programs:
        found = stated(statement)
        linear, with_prices = costs(found, program)
        np.testing.assert_allclose(linear, program.c0, rtol=1e-14, atol=1e-14)
        if program.parameters.size:
            assert abs(with_prices - program.C).max() == 0.0
        assert found.constant == pytest.approx(program.d0, rel=1e-14, abs=1e-12)


def test_every_coefficient_that_varies_has_a_name_a_meaning_and_a_unit(programs):
    lacking = {(e.block.name, t.columns.name) for statement, _ in programs for e in stated(statement).equations for t in e.unnamed}
    assert lacking == set()
    names = [t.value.named for statement, _ in programs for e in stated(statement).equations for t in e.terms if t.value.named]
    assert all(named.meaning and named.unit for named in names)


def test_a_sum_a_shift_and_a_part_are_written_as_such():
    with recorded() as statements:
        builder = ProgramBuilder("p")
        period = {"period": np.array(["a", "b", "c"])}
        x = builder.add_columns("x", {"prosumer": np.array(["u", "v"]), **period}, unit="kW")
        s = builder.add_columns("s", period, unit="kWh", cost=2.0)
        some = np.array([x[0, 0], -1, x[0, 2]])
        rows = [(1.0, s), (-0.9, s[[2, 0, 1]]), (Named(np.array([[-1.0], [-2.0], [-3.0]]), "-q@", "a factor", "h"), x.T), (-1.0, some)]
        builder.add_rows("store", period, rows, ">=", 5.0, unit="kWh")
        builder.build()
    found = stated(statements[0])
    expected = "s[t] - 0.9 s[t-1] - Σ[i] q[t] x[i,t] - [ Σ[i ∈ I] x[i,t] ] ≥ 5 ∀ t"
    assert plain(latex.equation(found.equations[0])) == expected
    assert plain(latex.objective(found)) == "min Σ[t] 2 s[t]"
    assert found.equations[0].place.startswith("test_equations.py:")


def test_a_coefficient_that_is_wrong_in_the_equation_is_noticed(programs):
    statement, program = programs[0]
    equation = stated(statement).equations[0]
    term = equation.terms[0]
    wrong = dataclasses.replace(term, value=dataclasses.replace(term.value, numbers=term.value.numbers * 1.001))
    left, _, _ = matrices(dataclasses.replace(equation, terms=(wrong, *equation.terms[1:])), program)
    assert abs(left - program.A[equation.block.offset : equation.block.offset + equation.block.size]).max() > 0.0


def test_nothing_is_kept_where_nobody_records():
    assert ProgramBuilder("p")._statement is None


@pytest.fixture(scope="module")
def config() -> StudyConfig:
    return load_config(["study=incentive_schemes"])


def test_every_form_has_every_family_and_the_leader(config: StudyConfig):
    sections = study_equations(config)
    assert [one.title for one in sections][-1] == "Plan: the leader"
    for form, write in FORMS.items():
        text = write(sections)
        names = [family.equation.block.name for one in sections for family in one.families]
        assert all(name.replace("_", r"\_") in text if form == "latex" else name in text for name in names), form
        assert "devices/battery.py" in text.replace("\\", "")
    assert "http" not in FORMS["html"](sections).replace("http://www.w3.org/1998/Math/MathML", "")


def test_a_command_that_no_equation_uses_is_refused():
    with pytest.raises(ValueError, match="no command"):
        mathml(r"\int x")
