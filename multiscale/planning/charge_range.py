"""The part of a range of charges in which the cost of the network can be recovered at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.planning.follower_names import BUILT
from multiscale.programs import Block, CompiledProgram, Index, ParametricProgram, Termination, solve
from multiscale.tariffs import BILLED


def implied_charge_range(
    program: ParametricProgram,
    price: str,
    passive_energy: float,
    existing_cost: float,
    annuities: float,
    charge_range: tuple[float, float],
    tolerance: float,
    other: tuple[np.ndarray, float] | None = None,
    rounds: int = 4,
) -> tuple[float, float]:
    """Shrink a range of charges to what cost recovery and the follower's optimality imply.

    With w(x) the energy of the follower that pays the charge and E that of passive customers, recovery demands

        existing <= charge (w + E) + other(x) <= (1 + tolerance) (existing + annuities),

    and the follower's answer x at a charge within [low, high] costs no more than an answer that is feasible whatever is built (``largest_cost``):
    cost(x) + low w(x) <= largest cost at high.  The least and largest w over everything the follower could do (options relaxed to [0, 1]) under
    that row bound the charge, which tightens the row, and so on. The range stays where no answer is feasible whatever is built.

    Args:
        program: the follower with parameters ``built`` and ``price``, and the determinant of that component as output.
        price: tariff component that recovers the cost.
        passive_energy: E [kWh/a].
        existing_cost, annuities: yearly cost of the existing network and of all options together [EUR/a].
        charge_range: range to begin with [EUR/kWh].
        tolerance: relative tolerance of cost recovery, upwards.
        other: what the operator earns by other components of the tariff, [EUR/a per unit of every column] and of passive customers [EUR/a].
        rounds: of tightening at most.

    Returns:
        The range; its lower end may come out above its upper end, and then no charge in ``charge_range`` recovers the cost.
    """
    low, high = charge_range
    least_room = with_least_room(program)
    for _ in range(rounds):
        ceiling = largest_cost(least_room, {price: high})
        if ceiling is None:
            break
        energy = program.outputs[BILLED + price].matrix.toarray().ravel()
        least, largest = _range(program, price, energy, low, ceiling)
        most_paying, least_paying = largest + passive_energy, least + passive_energy
        earned = (0.0, 0.0) if other is None else tuple(end + other[1] for end in _range(program, price, other[0], low, ceiling))
        needed, allowed = existing_cost - earned[1], (1 + tolerance) * (existing_cost + annuities) - earned[0]
        new_low = max(low, needed / most_paying * (1 - 1e-9)) if most_paying > 0 else low
        new_high = min(high, allowed / least_paying * (1 + 1e-9)) if least_paying > 0 else high
        settled = (new_high - new_low) > 0.9 * (high - low)
        low, high = new_low, new_high
        if settled or low > high:
            break
    return low, high


def with_least_room(program: ParametricProgram) -> CompiledProgram | None:
    """A follower in which every row has the least room that any choice of options leaves it; None where options move equations.

    Options that raise limits leave it as it is with nothing built. A parallel cable ties the voltage to the flow, which narrows rows.
    """
    moved = program.B[:, program.parameters[BUILT].positions.ravel()].tocsr()
    if moved[program.equality].nnz:
        return None
    taken = np.asarray(moved.minimum(0).sum(axis=1)).ravel()
    return CompiledProgram(replace(program, b0=program.b0 + taken) if taken.any() else program)


def largest_cost(least_room: CompiledProgram | None, prices: Mapping[str, object]) -> float | None:
    """What a follower pays at most at prices [EUR/a], whatever is built: the cost of an answer that is always feasible; None where there is none.

    Args:
        least_room: see ``with_least_room``.
        prices: of all components that are decided.

    Raises:
        ProgramError: it was not solved.
    """
    if least_room is None:
        return None
    at = {BUILT: 0.0, **prices}
    solution = least_room.solve(at)
    if solution.termination is Termination.INFEASIBLE:
        return None
    return (solution if solution.termination is Termination.OPTIMAL else least_room.solve_optimal(at)).objective


def _range(program: ParametricProgram, price: str, quantity: np.ndarray, charge: float, ceiling: float) -> tuple[float, float]:
    """Least and largest value of a linear quantity of a follower whose cost at a charge is at most ``ceiling`` [EUR/a]."""
    built = program.parameters["built"]
    n, k = program.columns.size, built.size
    energy = program.outputs[BILLED + price].matrix.toarray().ravel()
    cost = program.c0 + charge * energy
    relaxed = ParametricProgram(
        name=f"{program.name} (range of a quantity)",
        columns=Index.stacked([*program.columns.blocks, Block("__built__", built.coords, "1", 0)]),
        rows=Index.stacked([*program.rows.blocks, Block("__cost__", {}, "EUR/a", 0)]),
        parameters=Index(),
        A=sparse.vstack(
            [sparse.hstack([program.A, -program.B[:, built.positions.ravel()]]), sparse.csr_matrix(np.concatenate([cost, np.zeros(k)]))], format="csr"
        ),
        b0=np.append(program.b0, ceiling - program.d0 + 1e-7 * abs(ceiling)),
        B=sparse.csr_matrix((program.rows.size + 1, 0)),
        equality=np.append(program.equality, False),
        c0=np.concatenate([quantity, np.zeros(k)]),
        C=sparse.csr_matrix((n + k, 0)),
        lower=np.concatenate([program.lower, np.zeros(k)]),
        upper=np.concatenate([program.upper, np.ones(k)]),
    )
    return solve(relaxed).bound, -solve(replace(relaxed, c0=-relaxed.c0)).bound
