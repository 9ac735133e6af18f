"""Where losses of platforms are linearised: at what members do at the expected prices, one point after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from multiscale.operation.losses import ROWS
from multiscale.operation.platforms import PlatformData
from multiscale.programs import CompiledProgram


def with_loss_points(data: PlatformData, given: Mapping[str, object]) -> PlatformData:
    """The platform with tangents of its losses where it operates at given parameters of its program.

    Losses are counted at the voltages of the first answer. Each round solves the program, and adds the tangent at the flow of every branch and
    period whose loss falls short (cutting planes of Kelley, J. SIAM 8 (1960) 703-712). It ends when all losses together fall short by no more than
    the accuracy, or after the rounds that are permitted.

    Args:
        data: the platform.
        given: value of every parameter of its program.
    """
    if data.losses is None or data.network is None:
        return data
    losses = data.losses
    basis, rows = None, 0
    for number in range(losses.rounds):
        program = data.program()
        if ROWS not in program.rows:
            return data
        compiled = CompiledProgram(program, devex=True)
        if basis is not None:
            compiled.start_from(basis.with_basic_rows(rows, program.rows.size - rows))
        solution = compiled.solve_optimal(given)
        basis, rows = compiled.basis, program.rows.size
        found = data.loss_state(program, solution.x)
        assert found is not None
        enough = losses.accuracy * float(found.quadratic.sum())
        if number == 0:
            # The voltages at which losses are counted are those of the first answer; they hardly move with further tangents.
            losses = replace(losses, voltage=found.voltage)
        elif float(found.missing.sum()) <= enough:
            return data
        points = np.full((int(found.branches.max()) + 1, found.flow.shape[1]), np.nan)
        points[found.branches] = np.where(found.missing > 0.1 * enough / found.missing.size, found.flow, np.nan)
        losses = losses.with_points(points)
        data = replace(data, losses=losses)
    return data
