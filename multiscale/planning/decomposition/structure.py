"""What the decomposition knows about a follower: the blocks it relies on, and whether the problem has the structure it needs.

Names of blocks of the follower's network stand here and nowhere else in the decomposition; those of parameters and outputs in ``follower_names``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from multiscale.planning.follower_names import BUILT, RESOURCE_COST
from multiscale.programs import ParametricProgram
from multiscale.tariffs import BILLED, Volumetric

if TYPE_CHECKING:
    from multiscale.planning.distribution_planning import PlanningProblem

BALANCE, DROP = "balance", "voltage_drop"
IMPORT, EXPORT, FLOW, VOLTAGE = "import", "export", "flow", "voltage_squared"
LIMITS = ("rating_forward", "rating_reverse")

ROUNDING = 1e-12
"""Share of a cost that is rounding of the difference between private and resource cost."""


@dataclass(frozen=True)
class Structure:
    """The follower seen as a radial network that joins parts which are independent at a given price.

        state s = (import - export, flows, squared voltages) solves the network rows   M s = b - (other columns of these rows) x

    Attributes:
        program: the follower.
        built, charge: positions of its parameters.
        charged_energy: output with the determinant of the charge.
        transfer: what every column pays at given prices and is no social cost: levy, deduction on exports, fees [EUR/a per unit].
        levy: the transfers per charged energy, median of the columns that pay the charge, and such that levy and charge are not below zero [EUR/kWh].
        lowest: least permitted charge [EUR/kWh].
        energy: charged energy of every column [kWh/a per unit].
        balance: positions of the balance rows, (zone, period), the root's zone first.
        drops: positions of the voltage rows.
        limits: positions of the rows that limit flows.
        taken, given: positions of the columns of exchange with the parent, (period,).
        state: positions of the state columns (``taken`` stands for the net exchange), aligned with the columns of M.
        state_lower, state_upper: their bounds; the net exchange lies in [-upper bound of ``given``, upper bound of ``taken``].
        price: cost of one unit of import in each period [EUR/a per kW].
        further: determinants of further prices that are decided, (column, price); without columns where the charge is the only one.
        alike: whether levy and charge are payments like all others, as bounds over boxes of prices have it (``price_box``).
    """

    program: ParametricProgram
    built: np.ndarray
    charge: int
    charged_energy: str
    transfer: np.ndarray
    levy: float
    lowest: float
    energy: np.ndarray
    balance: np.ndarray
    drops: np.ndarray
    limits: np.ndarray
    taken: np.ndarray
    given: np.ndarray
    state: np.ndarray
    state_lower: np.ndarray
    state_upper: np.ndarray
    price: np.ndarray
    further: np.ndarray
    alike: bool = False

    @property
    def network_rows(self) -> np.ndarray:
        """Rows that determine the state: balances, then voltages."""
        return np.concatenate([self.balance.ravel(), self.drops])

    def levy_of(self, energy: np.ndarray, transfer: np.ndarray) -> tuple[float, bool]:
        """The rate at which some columns pay transfers on the charged energy [EUR/kWh], and whether they pay no others.

        The rate is the median of the columns that pay the charge, and such that charge and levy together are not below zero.
        """
        if self.alike:
            return 0.0, False
        pays = energy > 0
        levy = float(np.median(transfer[pays] / energy[pays])) if pays.any() else 0.0
        levy = max(levy, -self.lowest)
        alone = np.abs(transfer - levy * energy).max(initial=0.0) <= 1e-9 * (1.0 + np.abs(transfer).max(initial=0.0))
        return levy, bool(alone)

    @property
    def levied(self) -> bool:
        """Whether all transfers are a levy on the charged energy."""
        return self.levy_of(self.energy, self.transfer)[1]


def _positions(program: ParametricProgram, kind: str, names: tuple[str, ...]) -> np.ndarray:
    index = getattr(program, kind)
    found = [index[name].positions.ravel() for name in names if name in index]
    return np.concatenate(found) if found else np.zeros(0, dtype=int)


def applies(problem: PlanningProblem) -> str | None:
    """Why the decomposition does not take a problem; None where it does.

    It takes a linear follower with one scalar volumetric charge as the only price that is decided, options that only raise limits, a radial network
    that exchanges energy with its parent at one price in both directions (of any sign) without transfers, and a social objective: the
    follower's cost less charge and given transfers (levy, deduction on exports, fees on peer trade), where charge and levy are not below zero
    together.
    """
    program = problem.program
    if program.Q is not None:
        return "the follower has a quadratic cost"
    price = problem.single_price
    if price is None or {b.name for b in program.parameters} != {BUILT, price}:
        return "the leader decides more than reinforcements and one price, or the operator earns by other components of the tariff"
    if not isinstance(problem.tariff.components[price], Volumetric):
        return f"the price of {price} is not one of energy"
    if reason := _reason_form(problem, price):
        return reason
    transfer, levy = _transfers(program, program.outputs[BILLED + price].matrix.toarray().ravel())
    energy = program.outputs[BILLED + price].matrix.toarray().ravel()
    if problem.price_range[0] + levy < 0 and np.abs(transfer - levy * energy).max() <= 1e-9 * (1.0 + np.abs(transfer).max()):
        return f"charge and levy may be below zero together ({problem.price_range[0] + levy:g} EUR/kWh)"
    return None


def applies_to_several(problem: PlanningProblem) -> str | None:
    """Why the decomposition with several prices does not take a problem; None where it does.

    It takes what ``applies`` takes, where nothing but decided components of one price each pays the operator. One is volumetric; the others are paid
    on what cannot be below zero, and options and rows know nothing of them.
    """
    program, decided = problem.program, list(problem.tariff.decided)
    if program.Q is not None:
        return "the follower has a quadratic cost"
    if decided != list(problem.tariff.earning) or {b.name for b in program.parameters} != {BUILT, *decided}:
        return "the operator earns by components of the tariff that are given"
    if len(decided) > MANY:
        return f"{len(decided)} prices are decided, more than {MANY}"
    charges = [name for name in decided if isinstance(problem.tariff.components[name], Volumetric)]
    if not charges or any(problem.passive[name].ndim for name in decided):
        return "a component has several prices, or none is volumetric"
    if any(problem.tariff.components[name].expenditure for name in decided):
        return "the operator buys something at a decided price"
    for name in decided:
        if reason := _reason_form(problem, name):
            return reason
    return None


MANY = 3
"""Prices that move the follower beyond which boxes of prices have too many corners."""


def _reason_form(problem: PlanningProblem, price: str) -> str | None:
    program = problem.program
    missing = [n for n in (BILLED + price, RESOURCE_COST) if n not in program.outputs]
    missing += [n for n in (BALANCE,) if n not in program.rows] + [n for n in (IMPORT, EXPORT) if n not in program.columns]
    if missing:
        return f"the follower has no {', '.join(missing)}"
    return _reason_costs(problem, price) or _reason_rows(program, price)


def _reason_costs(problem: PlanningProblem, price: str) -> str | None:
    program = problem.program
    built, charge = program.parameters[BUILT].positions.ravel(), int(program.parameters[price].positions)
    energy = program.outputs[BILLED + price].matrix.toarray().ravel()
    if abs(program.C[:, built]).sum() > 0 or np.any(program.d != 0):
        return "reinforcements change costs of the follower, or a parameter moves its constant cost"
    paying = program.C[:, [charge]].toarray().ravel()
    if not np.allclose(paying, energy, rtol=1e-12, atol=0.0) or (energy < 0).any() or (program.lower[energy > 0] < 0).any():
        return "the charge is not paid on the charged energy alone"
    if (problem.annuity < 0).any():
        return "an option has an annuity below zero"
    transfer, _ = _transfers(program, energy)
    network = _positions(program, "columns", (IMPORT, EXPORT, FLOW, VOLTAGE))
    if np.any(transfer[network] != 0):
        return "the operator's network pays or receives transfers"
    taken, given = program.columns[IMPORT].positions, program.columns[EXPORT].positions
    if not np.array_equal(program.c0[taken], -program.c0[given]) or energy[taken].any() or energy[given].any():
        return "energy is bought from the parent and sold to it at different prices"
    return None


def _transfers(program: ParametricProgram, energy: np.ndarray) -> tuple[np.ndarray, float]:
    """Transfers at given prices of every column [EUR/a per unit], and the levy [EUR/kWh]."""
    transfer = program.c0 - program.outputs[RESOURCE_COST].matrix.toarray().ravel()
    transfer[np.abs(transfer) <= ROUNDING * (1.0 + np.abs(program.c0))] = 0.0
    pays = energy > 0
    return transfer, float(np.median(transfer[pays] / energy[pays])) if pays.any() else 0.0


def _reason_rows(program: ParametricProgram, price: str) -> str | None:
    built, charge = program.parameters[BUILT].positions.ravel(), int(program.parameters[price].positions)
    if program.B[:, [charge]].nnz:
        return "the charge enters rows of the follower"
    limits = _positions(program, "rows", LIMITS)
    moved = program.B[:, built].tocoo()
    if moved.nnz and (moved.data.min() < 0 or not np.isin(moved.row, limits).all()):
        labels = program.parameters[BUILT].coords["option"]
        other = moved.col[(moved.data < 0) | ~np.isin(moved.row, limits)]
        return f"what {', '.join(str(labels[k]) for k in np.unique(other))} does is more than raising limits of flows"
    if program.equality[limits].any():
        return "a limit of flows is an equation"
    network = np.concatenate([program.rows[BALANCE].positions.ravel(), _positions(program, "rows", (DROP,))])
    state = _positions(program, "columns", (IMPORT, FLOW, VOLTAGE))
    if network.size != state.size or not program.equality[network].all():
        return "the network is not radial"
    flows, voltages = _positions(program, "columns", (FLOW,)), _positions(program, "columns", (VOLTAGE,))
    if not np.isin(program.A[limits].indices, flows).all() or (np.diff(program.A[limits].indptr) != 1).any():
        return "a limit of flows holds more than one flow"
    ends = program.A[program.rows[BALANCE].positions.ravel()].tocsc()[:, flows]
    if not np.array_equal(np.diff(ends.indptr), np.full(flows.size, 2)) or np.any(np.asarray(ends.sum(axis=0)) != 0):
        return "a flow does not lead from one zone to another"
    drops = _positions(program, "rows", (DROP,))
    if drops.size and (drops.size != voltages.size or np.any(program.A[drops][:, voltages].diagonal() != 1.0)):
        return "voltages are not determined by one row each"
    if np.any(program.c0[np.concatenate([flows, voltages])] != 0):
        return "flows cost something"
    top = program.rows[BALANCE].positions[0]
    taken, given = program.columns[IMPORT].positions, program.columns[EXPORT].positions
    matrix = program.A.tocsc()
    single = all(np.array_equal(np.diff(matrix[:, c].indptr), np.ones(c.size)) for c in (taken, given))
    if not single or not np.array_equal(matrix[:, taken].indices, top) or not np.array_equal(matrix[:, given].indices, top):
        return "exchange with the parent is not at the root of the network alone"
    if not (np.all(matrix[:, taken].data == 1.0) and np.all(matrix[:, given].data == -1.0)):
        return "exchange with the parent is not counted in the unit of the balance"
    if (program.lower[taken] != 0).any() or (program.lower[given] != 0).any():
        return "exchange with the parent has a least amount"
    return None


def structure(problem: PlanningProblem, prices: Sequence[str] = ()) -> Structure:
    """The structure of a problem to which the decomposition applies; ``prices``: the decided ones, the charge first, where there are several."""
    program = problem.program
    price, *others = prices or [str(problem.single_price)]
    lowest = problem.tariff.components[price].price_min
    further = [program.outputs[BILLED + name].matrix.toarray().ravel() for name in others]
    energy = program.outputs[BILLED + price].matrix.toarray().ravel()
    transfer, levy = _transfers(program, energy)
    taken, given = program.columns[IMPORT].positions, program.columns[EXPORT].positions
    state = _positions(program, "columns", (IMPORT, FLOW, VOLTAGE))
    lower, upper = program.lower[state].copy(), program.upper[state]
    lower[: taken.size] = -program.upper[given]
    return Structure(
        program=program,
        built=program.parameters[BUILT].positions.ravel(),
        charge=int(program.parameters[price].positions),
        charged_energy=BILLED + price,
        transfer=transfer,
        levy=max(levy, -lowest),
        lowest=lowest,
        energy=energy,
        balance=program.rows[BALANCE].positions,
        drops=_positions(program, "rows", (DROP,)),
        limits=_positions(program, "rows", LIMITS),
        taken=taken,
        given=given,
        state=state,
        state_lower=lower,
        state_upper=upper,
        price=program.c0[taken],
        further=np.column_stack(further) if further else np.zeros((program.columns.size, 0)),
        alike=bool(prices),
    )


def parameters(known: Structure, built: np.ndarray, charge: float) -> np.ndarray:
    """The follower's parameter vector at a decision."""
    p = np.zeros(known.program.parameters.size)
    p[known.built], p[known.charge] = built, charge
    return p


def option_rows(known: Structure) -> sparse.csr_matrix:
    """What the options add to every row, rows x options."""
    return known.program.B[:, known.built].tocsr()
