"""Turn a program with parameters into one whose parameters are the leader's variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from pyomo.repn import generate_standard_repn
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.extension import Extension
from multiscale.bilevel.problem.followers import ProgramFollower
from multiscale.bilevel.read.extracted import Extracted, leader_index


def extract_program(follower: ProgramFollower, owner: Callable[[Any], str | None]) -> Extracted:
    """Replace the program's parameters ``p = p0 + P y`` by the leader's variables ``y``.

    Args:
        follower: the follower.
        owner: name of the follower that owns a variable, or None for a leader variable.

    Raises:
        BilevelError: a parameter is not affine in leader variables, or depends on another follower.
    """
    program = follower.program
    constant = np.zeros(program.parameters.size)
    leaders: list[Any] = []
    place: dict[int, int] = {}
    rows, columns, data = [], [], []
    for i, entry in enumerate(follower.parameters):
        if isinstance(entry, int | float | np.number):
            constant[i] = float(entry)
            continue
        repn = generate_standard_repn(entry, compute_values=True, quadratic=False)
        where = f"follower {follower.name!r}: parameter {program.parameters.label(i)}"
        if repn.nonlinear_expr is not None:
            raise BilevelError(f"{where} is not affine in the leader's variables; set a leader variable equal to it")
        constant[i] = float(repn.constant)
        for coefficient, variable in zip(repn.linear_coefs, repn.linear_vars, strict=True):
            if owner(variable) is not None:
                raise BilevelError(f"{where} depends on {variable.name} of follower {owner(variable)!r}; followers may share leader variables only")
            column = place.setdefault(id(variable), len(leaders))
            if column == len(leaders):
                leaders.append(variable)
            rows.append(i)
            columns.append(column)
            data.append(float(coefficient))
    if not np.isfinite(constant).all():
        i = int(np.flatnonzero(~np.isfinite(constant))[0])
        raise BilevelError(f"follower {follower.name!r}: parameter {program.parameters.label(i)} is {constant[i]}; give a finite number")
    link = sparse.csr_matrix((data, (rows, columns)), shape=(program.parameters.size, len(leaders)))
    over_leader = replace(
        program,
        parameters=leader_index([v.name for v in leaders]),
        b0=program.rhs(constant),
        B=(program.B @ link).tocsr(),
        c0=program.costs(constant),
        C=(program.C @ link).tocsr(),
        d0=program.constant(constant),
        d=np.asarray(link.T @ program.d).ravel(),
    )
    added = Extension(program.columns.size)
    for c, cone in enumerate(follower.cones):
        # Columns of a cone have no bounds and no other cone: each gets a copy of its own.
        labels = [program.columns.label(int(j)) for j in cone]
        added.cones.append([added.defined(f"cone {c}: {label}", [(int(j), 1.0)], [], 0.0) for j, label in zip(cone, labels, strict=True)])
    return Extracted(follower.name, added.apply(over_leader), leaders, [], {}, cones=tuple(np.array(cone) for cone in added.cones))
