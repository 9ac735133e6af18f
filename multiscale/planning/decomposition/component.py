"""One part of the follower that is independent of the others at a given price of energy, and its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.planning.decomposition.unbought import Restriction, capacities
from multiscale.programs import Basis, CompiledProgram, ParametricProgram


class SearchEnded(Exception):  # noqa: N818
    """The search has used what it may use; the message says what ended it."""


@dataclass
class Work:
    """Solves of linear programs so far, and how many there may be.

    Attributes:
        limit: number of solves at which the search ends.
        clock: returns a remark when a time limit given by the user is exceeded, else an empty string.
        solves: so far.
    """

    limit: float
    clock: Callable[[], str] | None = None
    solves: int = 0

    def spend(self, *, limited: bool = True) -> None:
        """Count one solve.

        Raises:
            SearchEnded: there may be no more.
        """
        if limited and self.solves >= self.limit:
            raise SearchEnded(f"ended after {self.solves:,} solves of linear programs (planning.solve_limit)")
        remark = self.clock() if limited and self.clock is not None else ""
        if remark:
            raise SearchEnded(remark)
        self.solves += 1


@dataclass(frozen=True)
class PartAnswer:
    """Least-cost operation of a component at one set of options and one charge.

    Attributes:
        cost: private cost, charge and levy included [EUR/a].
        bound: lower bound on it from the duals [EUR/a].
        energy: charged energy [kWh/a].
        further: what further prices are paid on, in the unit of each.
        transfers: given transfers, paid in full [EUR/a].
        needed: what every row that options raise takes beyond its limit without any option, in the row's unit (below zero: nothing).
        drawn: what the component takes from the network rows that it enters, aligned with ``Component.network_rows``.
        state: what the component adds to flows and voltages, aligned with ``Structure.state``.
    """

    cost: float
    bound: float
    energy: float
    further: np.ndarray
    transfers: float
    needed: np.ndarray
    drawn: np.ndarray
    state: np.ndarray


Charge = float | tuple[float, ...]
"""The charge [EUR/kWh]; where several prices are decided, it and the further ones, each in its unit."""

Choice = tuple[bytes, Charge, float]
"""Options that are built, the charge, and the share to which other transfers are paid."""


NEAR = 0.01
"""Share of what is paid on charged energy up to which prices move little: then the primal simplex takes fewer iterations than the dual, else more."""

KEPT = 6
"""Bases kept for one set of options: both ends of two ranges of charges, at two shares."""


class Bases:
    """Where the solves of a component ended, choice by choice.

    Args:
        earlier: bases of the same options before more limits were retained.
        carried: turns such a basis into one of the component.
    """

    def __init__(self, earlier: Bases | None = None, carried: Callable[[Basis], Basis] | None = None) -> None:
        self.earlier, self.carried = earlier, carried
        self.last: Choice | None = None
        self._known: dict[bytes, dict[tuple[Charge, float], Basis]] = {}

    @property
    def options(self) -> list[bytes]:
        """Sets of options with a basis, in the order in which they were first solved."""
        before = self.earlier.options if self.earlier is not None else []
        return list(dict.fromkeys([*before, *self._known]))

    def prices(self, built: bytes) -> list[tuple[Charge, float]]:
        """Charges and shares with a basis for a set of options."""
        before = self.earlier.prices(built) if self.earlier is not None else []
        return list(dict.fromkeys([*before, *self._known.get(built, {})]))

    def nearest(self, choice: Choice, relief: np.ndarray, cost_moved: Callable[[Choice, Choice], float]) -> Choice | None:
        """The choice with a basis that differs least; None where nothing was solved.

        At the same prices, by the relief of its options; else with the same or nearly the same options, by what its prices change of the cost.
        """
        built, charge, scale = choice

        def other_options(other: bytes) -> tuple[float, int]:
            differs = np.frombuffer(built, dtype=bool) != np.frombuffer(other, dtype=bool)
            return float(relief[differs].sum()), int(differs.sum())

        options = self.options
        if not options:
            return None
        at_prices = [other for other in options if (charge, scale) in self.prices(other)]
        if at_prices:
            return min(at_prices, key=other_options), charge, scale
        same = built if built in options else min(options, key=other_options)
        return min(((same, *at) for at in self.prices(same)), key=lambda other: cost_moved(choice, other))

    def get(self, choice: Choice) -> Basis:
        """The basis of a choice that was solved."""
        built, charge, scale = choice
        known = self._known.setdefault(built, {})
        if (charge, scale) not in known:
            assert self.earlier is not None
            assert self.carried is not None
            known[charge, scale] = self.carried(self.earlier.get(choice))
        return known[charge, scale]

    def keep(self, choice: Choice, basis: Basis) -> None:
        """Remember where a choice ended, the last one solved; of one set of options the latest ``KEPT`` alone."""
        self.last = choice
        known = self._known.setdefault(choice[0], {})
        known.pop(choice[1:], None)
        known[choice[1:]] = basis
        if len(known) > KEPT:
            del known[next(iter(known))]


class Component:
    """A connected part of the follower.

    Args:
        key: identifies columns and rows; two components with one key are the same program.
        columns: positions of its columns in the follower.
        rows: positions of its rows in the follower; a sum of balance rows is named by its first one.
        program: the part as a program with parameters (its options, charge, share of the other transfers that is waived).
        options: positions of its options.
        energy: charged energy of its columns.
        further: what further prices are paid on, (column, price).
        transfer: given transfers of its columns.
        levy: the rate of its transfers on the charged energy [EUR/kWh]; what they are beyond it are its other transfers.
        levied: whether it has no other transfers.
        network: maps its columns to the network rows (balances, voltages), for the state.
        bought: which of its columns are capacity that was worth buying somewhere; other capacity with rows of its own is omitted until it is.
        duals: of its rows, where those of such capacity are known, (``unbought.DUALS``, row).

    Attributes:
        network_rows: network rows that its columns enter.
        earlier: gives the answer to a choice where an earlier search leaves it known, else None.
    """

    def __init__(
        self,
        key: bytes,
        columns: np.ndarray,
        rows: np.ndarray,
        program: ParametricProgram,
        options: np.ndarray,
        energy: np.ndarray,
        further: np.ndarray,
        transfer: np.ndarray,
        levy: float,
        levied: bool,
        network: sparse.csr_matrix,
        bought: np.ndarray,
        duals: np.ndarray,
    ) -> None:
        self.key, self.columns, self.rows, self.program, self.options = key, columns, rows, program, options
        self.energy, self.further, self.transfer, self.levy, self.levied, self.network = energy, further, transfer, levy, levied, network
        self.network_rows = np.flatnonzero(np.diff(network.indptr))
        self.raised = np.unique(program.B[:, : options.size].tocoo().row)
        self.more = program.B[self.raised][:, : options.size].toarray()
        self._raising, self._raises = program.A[self.raised], sparse.csr_matrix(self.more > 0, dtype=float)
        self.pays = bool(energy.any() or further.any())
        self._capacities = capacities(program)
        self._taken = bought[self._capacities.size]
        self.restriction = Restriction(program, self._capacities, self._taken, duals)
        self.compiled: CompiledProgram | None = None
        self.start: tuple[np.ndarray, np.ndarray] | None = None
        self.bases = Bases()
        self.relief = np.zeros(options.size)
        self.best_scale: float | None = None
        self.typical = (np.zeros(1 + further.shape[1]), 0.0)
        self.answers: dict[Choice, PartAnswer] = {}
        self.earlier: Callable[[Choice], PartAnswer | None] | None = None

    def solve(
        self,
        built: np.ndarray,
        charge: Charge,
        spread: Callable[[np.ndarray], np.ndarray],
        work: Work,
        *,
        scale: float = 1.0,
        limited: bool = True,
    ) -> PartAnswer:
        """The answer with the options ``built`` (bool, of this component) at a charge [EUR/kWh]; ``spread`` turns network rows into states.

        Transfers other than the levy are paid to the share ``scale`` only; the answer's cost is what is paid then.
        """
        key = (built.tobytes(), charge if self.pays else 0.0, scale)
        if key not in self.answers:
            answer = self.earlier(key) if self.earlier is not None else None
            if answer is None:
                work.spend(limited=limited)
                x, cost, bound = self._solved(built, charge, scale)
                drawn = self.network @ x
                answer = PartAnswer(
                    cost=cost,
                    bound=bound,
                    energy=float(self.energy @ x),
                    further=self.further.T @ x,
                    transfers=float(self.transfer @ x),
                    needed=self._raising @ x - self.program.b0[self.raised],
                    drawn=drawn[self.network_rows],
                    state=spread(-drawn),
                )
            self.answers[key] = answer
            self.typical = np.append(answer.energy, answer.further), answer.transfers - self.levy * answer.energy
            self.relief = np.maximum(self.relief, self._raises.T @ np.maximum(answer.needed, 0.0))
        return self.answers[key]

    def point(self, built: np.ndarray, charge: Charge) -> np.ndarray:
        """Columns of the answer."""
        return self._solved(built, charge)[0]

    def statuses(self, *, settled: bool) -> tuple[np.ndarray, np.ndarray] | None:
        """Status of its columns and rows where its last solve ended, None before the first; ``settled``: optimal with the omitted capacity too."""
        if self.compiled is None:
            return None
        if settled:
            self.restriction.settle()
        return self.restriction.widened(self.compiled.basis if self.bases.last is None else self.bases.get(self.bases.last))

    @property
    def bought(self) -> np.ndarray:
        """Positions in the follower of the capacity that was worth buying."""
        return self.columns[self._capacities.size[self._taken]]

    def _solved(self, built: np.ndarray, charge: Charge, scale: float = 1.0) -> tuple[np.ndarray, float, float]:
        """Columns, cost and a lower bound on it; capacity that is worth buying is taken in."""
        choice = (built.tobytes(), charge, scale)
        p = np.concatenate([built.astype(float), np.atleast_1d(charge), [1.0 - scale]])
        while True:
            paid = float(np.atleast_1d(charge) @ self.typical[0]) + self.levy * float(self.typical[0][0])
            nearest = self.bases.nearest(choice, self.relief, self._cost_moved)
            if self.compiled is None:
                self.compiled = CompiledProgram(self.restriction.program, devex=True)
                if nearest is None and self.start is not None:
                    self.compiled.start_from(self.restriction.narrowed(*self.start))
            if nearest is not None and nearest != self.bases.last:
                self.compiled.start_from(self.bases.get(nearest))
            # Other options move limits, which the dual simplex repairs; other prices move costs, which the primal one does.
            primal = nearest is not None and nearest[0] == choice[0] and self._cost_moved(nearest, choice) <= NEAR * paid
            solution = self.compiled.solve_optimal(p, primal=primal)
            self.bases.keep(choice, self.compiled.basis)
            worth = self.restriction.worth(p, np.where(self.restriction.program.equality, solution.y, np.minimum(solution.y, 0.0)))
            if (worth >= 0).all():
                return self.restriction.whole_point(solution.x), solution.objective, solution.bound
            self._take_in(self.restriction.omitted[~(worth >= 0)])

    def _take_in(self, more: np.ndarray) -> None:
        """Capacities that are omitted no more."""
        before = self.restriction
        self._taken = self._taken.copy()
        self._taken[more] = True
        self.restriction = now = Restriction(self.program, self._capacities, self._taken, before.duals)
        self.compiled, self.bases = None, Bases(self.bases, lambda basis: now.narrowed(*before.widened(basis)))

    def _cost_moved(self, one: Choice, other: Choice) -> float:
        """What the prices of two choices change of the cost of some answer [EUR/a]."""
        paid_on, transfers = self.typical
        moved = np.abs(np.atleast_1d(one[1]) - np.atleast_1d(other[1]))
        return float(moved @ np.abs(paid_on)) + abs(one[2] - other[2]) * abs(transfers)

    def used(self, answer: PartAnswer, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Options of ``high`` beyond ``low`` that an answer at ``high`` needs (bool): with ``low`` and these it stays feasible.

        An answer that is optimal with more options and feasible with fewer is optimal with fewer. Where several options raise one row, those
        that are not needed are dropped from the last to the first.
        """
        chosen = high.copy()
        for k in np.flatnonzero(high & ~low)[::-1].tolist():
            chosen[k] = False
            if (answer.needed > self.more @ chosen + TOLERANCE).any():
                chosen[k] = True
        return chosen & ~low


TOLERANCE = 1e-6
"""Violation of a limit [kW, pu^2] that counts as none; a linear program is solved to 1e-7."""
