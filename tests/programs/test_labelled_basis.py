"""A basis with labels: a start for programs that have blocks of rows and columns in common with its own."""

import pickle

import numpy as np
import pytest

from multiscale.programs import Basis, CompiledProgram, LabelledBasis, ParametricProgram, ProgramBuilder
from multiscale.programs.carried_basis import carried_basis


def transport(demand=(3.0, 5.0, 2.0), cost=(1.0, 4.0, 2.5), sites=("a", "b", "c")) -> ParametricProgram:
    """Least-cost supply of three sites from a store of limited size and from outside."""
    builder = ProgramBuilder("transport")
    at = {"site": np.array(sites)}
    own = builder.add_columns("own", at, unit="kW", upper=4.0, cost=np.array(cost))
    outside = builder.add_columns("outside", at, unit="kW", cost=3.0)
    builder.add_rows("demand", at, [(1.0, own), (1.0, outside)], "==", np.array(demand), unit="kW")
    builder.add_rows("store", {}, [(1.0, own)], "<=", 6.0, unit="kW")
    return builder.build()


def solved(program: ParametricProgram, start: Basis | None = None) -> CompiledProgram:
    compiled = CompiledProgram(program, devex=True)
    compiled._highs.setOptionValue("presolve", "off")
    if start is not None:
        compiled.start_from(start)
    compiled.solve_optimal()
    return compiled


def test_a_program_with_other_numbers_starts_there_and_has_its_own_optimum():
    known = LabelledBasis.of(transport(), solved(transport()).basis)
    other = transport(demand=(3.1, 5.2, 2.0))
    start = known.for_program(other)
    near, anew = solved(other, start), solved(other)
    assert near.solve_optimal().objective == pytest.approx(anew.solve_optimal().objective, rel=1e-12)
    assert solved(transport(), known.for_program(transport())).iterations == 0


@pytest.mark.parametrize("other", [transport(sites=("a", "b", "d")), transport((3.0, 5.0), (1.0, 4.0), ("a", "b"))])
def test_a_program_without_a_common_block_of_columns_does_not(other):
    known = LabelledBasis.of(transport(), solved(transport()).basis)
    assert not known.fits(other)
    assert known.for_program(other) is None


def with_a_third_source(limit: float | None) -> ParametricProgram:
    """``transport`` with an upper limit on all supply from outside, and one more source."""
    builder = ProgramBuilder("transport")
    at = {"site": np.array(("a", "b", "c"))}
    own = builder.add_columns("own", at, unit="kW", upper=4.0, cost=np.array((1.0, 4.0, 2.5)))
    outside = builder.add_columns("outside", at, unit="kW", cost=3.0)
    third = builder.add_columns("third", at, unit="kW", cost=3.5)
    builder.add_rows("demand", at, [(1.0, own), (1.0, outside), (1.0, third)], "==", np.array((3.0, 5.0, 2.0)), unit="kW")
    builder.add_rows("store", {}, [(1.0, own)], "<=", 6.0, unit="kW")
    if limit is not None:
        builder.add_rows("line", {}, [(1.0, outside)], "<=", limit, unit="kW")
    return builder.build()


@pytest.mark.parametrize("limit", [None, 5.0, 3.0])
def test_a_program_with_more_rows_and_columns_starts_with_what_both_have_and_has_its_own_optimum(limit):
    known, other = LabelledBasis.of(transport(), solved(transport()).basis), with_a_third_source(limit)
    start = known.for_program(other)
    assert start is not None
    near, anew = solved(other, start), solved(other)
    assert near.solve_optimal().objective == pytest.approx(anew.solve_optimal().objective, rel=1e-12)
    if limit is None:
        assert near.iterations == 0
    # And back: rows and columns that the other one had are left out.
    back = LabelledBasis.of(other, near.basis).for_program(transport())
    assert solved(transport(), back).solve_optimal().objective == pytest.approx(solved(transport()).solve_optimal().objective, rel=1e-12)


def test_a_day_starts_where_the_one_before_it_ended_by_hour_and_by_name():
    """Programs of two days, of which the second has one site more: a schedule that does not change is found without an iteration."""

    def day(date: str, sites: tuple[str, ...]) -> ParametricProgram:
        builder = ProgramBuilder(date)
        at = {"site": np.array(sites), "period": np.array([f"{date}T{h:02d}" for h in range(3)])}
        own = builder.add_columns("own", at, unit="kW", upper=4.0, cost=np.array((1.0, 3.5, 2.5)))
        outside = builder.add_columns("outside", at, unit="kW", cost=3.0)
        builder.add_rows("demand", at, [(1.0, own), (1.0, outside)], "==", np.array((3.0, 5.0, 2.0)), unit="kW")
        return builder.build()

    first, same, more = day("2016-01-01", ("a", "b")), day("2016-01-02", ("b", "a")), day("2016-01-02", ("a", "c", "b"))
    ended = solved(first).basis
    assert solved(same, carried_basis(ended, first, same)).iterations == 0
    near, anew = solved(more, carried_basis(ended, first, more)), solved(more)
    assert near.solve_optimal().objective == pytest.approx(anew.solve_optimal().objective, rel=1e-12)
    assert near.iterations < anew.iterations or anew.iterations == 0


def test_a_basis_travels_as_its_statuses():
    """Also one that HiGHS has to check first: a copy starts a solve alike."""
    found = solved(transport()).basis
    for basis in (found, Basis.of_statuses(*found.statuses)):
        copy = pickle.loads(pickle.dumps(basis))
        assert copy.packed() == basis.packed()
        assert copy.alien == basis.alien
        assert solved(transport(), copy).iterations == solved(transport(), basis).iterations == 0
