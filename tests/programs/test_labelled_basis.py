"""A basis with labels: a start for programs of the same rows and columns alone."""

import pickle

import numpy as np
import pytest

from multiscale.programs import Basis, CompiledProgram, LabelledBasis, ParametricProgram, ProgramBuilder


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
def test_a_program_with_other_labels_does_not(other):
    assert LabelledBasis.of(transport(), solved(transport()).basis).for_program(other) is None


def test_a_basis_travels_as_its_statuses():
    """Also one that HiGHS has to check first: a copy starts a solve alike."""
    found = solved(transport()).basis
    for basis in (found, Basis.of_statuses(*found.statuses)):
        copy = pickle.loads(pickle.dumps(basis))
        assert copy.packed() == basis.packed()
        assert copy.alien == basis.alien
        assert solved(transport(), copy).iterations == solved(transport(), basis).iterations == 0
