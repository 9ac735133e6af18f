"""Random parametric programs with an optimum at every parameter near zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.programs import ParametricProgram, ProgramBuilder


def random_program(seed: int, *, columns: int = 7, rows: int = 6, parameters: int = 3, quadratic: bool = False) -> ParametricProgram:
    """Boxed columns, rows that a point in the middle satisfies with slack, and parameters in costs and right-hand sides."""
    rng = np.random.default_rng(seed)
    builder = ProgramBuilder(f"random {seed}")
    theta = builder.add_parameters("theta", {"k": np.arange(parameters)}, unit="1")
    x = builder.add_columns("x", {"j": np.arange(columns)}, unit="kW", lower=-5.0, upper=5.0, cost=rng.normal(size=columns))
    inside = rng.uniform(-1, 1, columns)
    dense = rng.normal(size=(rows, columns))
    slack = rng.uniform(0.2, 1.0, rows)
    equations, limits = np.arange(rows) < 2, np.arange(rows) >= 2
    spread = rng.normal(size=(rows, parameters))
    for name, sense, chosen in (("balance", "==", equations), ("limit", "<=", limits)):
        rhs = (dense @ inside + np.where(equations, 0.0, slack))[chosen]
        builder.add_rows(
            name,
            {"i": np.flatnonzero(chosen)},
            [(dense[chosen], np.broadcast_to(x, (chosen.sum(), columns)))],
            sense,
            rhs,
            unit="kW",
            parameters=[(spread[chosen], np.broadcast_to(theta, (chosen.sum(), parameters)))],
        )
    builder.add_cost_parameter(x[:parameters], theta, 0.3)
    builder.add_constant_cost(1.5)
    curvature = rng.uniform(0.5, 2.0, columns) if quadratic else None
    builder.add_output("total", {"k": np.arange(2)}, [(1.0, x[:2])], unit="kW")
    program = builder.build()
    return program if curvature is None else replace(program, Q=sparse.diags(curvature, format="csr"))
