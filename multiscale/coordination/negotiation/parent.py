"""A parent that knows of its children what they have answered, and nothing else: master program, bound, next prices.

The parent's own program is convex in what its children draw, ``V(y) = min c'x  s.t.  A x = b + B y``. A child is a convex set of exchange
profiles with a cost, of which the parent sees the profiles it was sent. With prices pi [EUR/kWh] and hours h of the year,

    feasible point   min  c'x + sum_ck f_ck w_ck   s.t.  A x = b + B sum_k w_ck y_ck,   sum_k w_ck = 1,  w >= 0    (Dantzig-Wolfe)
    lower bound      P(pi) + sum_c D_c(pi),   P(pi) = min over x, y of  c'x - h pi'y,   D_c(pi) = least f_c + h pi'y_c, answered by the child

Both inequalities hold in every round. Next prices are the projection of the best ones so far on the level set of the parent's model of the
dual (level bundle method), or the multipliers of an augmented Lagrangian step (ADMM).

What a child exchanges is energy and, where forecasts err, a share of its uncertainty (``operation.reserves``): a profile then holds first the
one, then the other, over the same periods, and so do prices and hours.

Sources: Dantzig and Wolfe, Operations Research 8 (1960) 101-111; Lemaréchal, Nemirovskii and Nesterov, Mathematical Programming 69
(1995) 111-147 (level method); Boyd et al., Foundations and Trends in Machine Learning 3 (2011) 1-122 (ADMM).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.children.request import GOODS, Band
from multiscale.operation.transmission import DUAL_TOLERANCE
from multiscale.programs import Basis, Block, CompiledProgram, GrowingProgram, Index, ParametricProgram, ProgramError

Extension = Callable[[np.ndarray, np.ndarray], "ParametricProgram | None"]
"""Looks at (columns, exchange) of a master's answer and returns the program with the rows that were violated, or None."""


@dataclass(frozen=True)
class MasterPoint:
    """The best the parent can do with what it has been offered.

    Attributes:
        cost: of the parent and all children [EUR/a].
        x: columns of the parent's program.
        weights: child -> share of each of its offers [1].
        own: what every child says that this costs itself [EUR/a], (child,).
        exchange: what every child draws [kW], (child, period).
        price: of energy at every child [EUR/kWh], (child, period).
        slack: reduced costs of the parent's columns [EUR/a per unit].
    """

    cost: float
    x: np.ndarray
    weights: Mapping[str, np.ndarray]
    own: np.ndarray
    exchange: np.ndarray
    price: np.ndarray
    slack: np.ndarray


class Parent:
    """Master program over the offers of the children.

    Args:
        program: of the parent, with a parameter block ``exchange`` (node, period) [kW], and perhaps ``uncertainty`` (node, period) [kW]; further
            parameters may only change costs.
        hours: hours of the year of each entry of a profile [h/a].
        bands: child -> declared interval of its exchange, in the order of the parameter's nodes.
        extend: rows on demand, see ``Extension``.
        given: child and profile -> the program in which that profile is given; default: the same program.
    """

    def __init__(
        self,
        program: ParametricProgram,
        hours: np.ndarray,
        bands: Mapping[str, Band],
        extend: Extension | None = None,
        given: Callable[[str, np.ndarray], ParametricProgram] | None = None,
    ) -> None:
        self._program_given = given
        self.name, self.hours, self.names, self.extend = program.name, np.asarray(hours, dtype=float), tuple(bands), extend
        self.bands = dict(bands)
        self.costs: dict[str, list[float]] = {c: [] for c in self.names}
        self.profiles: dict[str, list[np.ndarray]] = {c: [] for c in self.names}
        self.offers: dict[str, list[tuple[int, int]]] = {c: [] for c in self.names}
        self._owner: list[int] = []  # of every offer, in the order of arrival: the columns of the master program, whenever it is compiled
        self._bases: list[Basis | None] = [None, None]
        self._given = np.zeros(0)
        self._take(program)

    def kept(self) -> dict[str, object]:
        """What a checkpoint needs in addition to the program."""
        bases = [None if b is None else b.packed() for b in self._bases]
        return {"offers": (self.costs, self.profiles, self.offers, self._owner), "bands": self.bands, "given": self._given, "bases": bases}

    def restore(self, kept: Mapping[str, object], program: ParametricProgram | None = None) -> None:
        """Take up what was kept; ``program`` replaces the present one where rows had been added to it."""
        self._take(program or self.program)
        self.costs, self.profiles, self.offers, self._owner = kept["offers"]  # type: ignore[misc]
        self.bands, self._given = kept["bands"], kept["given"]  # type: ignore[assignment]
        self._bases = [None if b is None else Basis.unpacked(b) for b in kept["bases"]]  # type: ignore[attr-defined]

    # -- the parent's program ---------------------------------------------------------------------------------------
    def _take(self, program: ParametricProgram) -> None:
        self.program = program
        goods = [b for b in GOODS if b in program.parameters]
        positions = np.concatenate([program.parameters[b].positions for b in goods], axis=1).ravel()
        if abs(program.C[:, positions]).sum() > 0 or np.any(program.d[positions]):
            raise ValueError(f"program {program.name!r}: what the children draw has a cost of its own; give it a column")
        self.goods, self.exchange = len(goods), program.B[:, positions].tocsc()
        other = [b for b in program.parameters if b.name not in goods]
        self._other = np.concatenate([b.positions.ravel() for b in other]) if other else np.zeros(0, dtype=int)
        if self._other.size and abs(program.B[:, self._other]).sum() > 0:
            raise ValueError(f"program {program.name!r}: only the exchange of the children may stand in its rows as a parameter")
        if len(self._given) != len(self._other):
            self._given = np.zeros(len(self._other))
        self._master: GrowingProgram | None = None
        self._pricing: CompiledProgram | None = None
        self._bases = [None, None]

    def under(self, parameters: np.ndarray | None) -> None:
        """Set the parameters other than the exchange (flat, in the program's order), such as the price from above."""
        if parameters is None:
            return
        self._given = np.asarray(parameters, dtype=float).ravel()
        if self._master is not None:
            self._master.change_costs(self.own_costs())

    def _parameters(self) -> np.ndarray:
        p = np.zeros(self.program.parameters.size)
        p[self._other] = self._given
        return p

    def own_costs(self) -> np.ndarray:
        """Costs of the parent's columns under its parameters [EUR/a per unit]."""
        return self.program.costs(self._parameters())

    @property
    def constant(self) -> float:
        """Cost that nothing decides [EUR/a]."""
        return self.program.constant(self._parameters())

    # -- offers -----------------------------------------------------------------------------------------------------
    def add(self, child: str, cost: float, profile: np.ndarray, name: tuple[int, int] = (-1, 0)) -> bool:
        """Take an offer of a child (name: round and place in the reply); False if it is known already."""
        scale = 1e-9 * (1.0 + np.abs(profile).max(initial=0.0))
        for known, same in zip(self.costs[child], self.profiles[child], strict=True):
            if np.abs(same - profile).max(initial=0.0) <= scale and cost >= known - 1e-9 * (1.0 + abs(known)):
                return False
        self.costs[child].append(float(cost))
        self.profiles[child].append(np.array(profile, dtype=float))
        self.offers[child].append(name)
        self._owner.append(self.names.index(child))
        if self._master is not None:
            self._add_columns([(self.names.index(child), cost, profile)])
        return True

    def only(self, child: str, cost: float, profile: np.ndarray) -> None:
        """Replace all offers of a child by one that is taken as given."""
        name = self.offers[child][-1] if self.offers[child] else (-1, 0)
        self.forget(child)
        self.add(child, cost, profile, name)
        self.bands[child] = Band(np.array(profile, dtype=float), np.array(profile, dtype=float))
        self._pricing, self._bases[1] = None, None
        if self._program_given is not None:
            self._take(self._program_given(child, np.array(profile, dtype=float)))

    def forget(self, child: str) -> None:
        """Drop all offers of a child."""
        self.costs[child], self.profiles[child], self.offers[child] = [], [], []
        self._owner = [i for i in self._owner if i != self.names.index(child)]
        self._master, self._bases[0] = None, None

    def _block(self, child: int) -> slice:
        t = len(self.hours)
        return slice(child * t, (child + 1) * t)

    def _add_columns(self, offers: Sequence[tuple[int, float, np.ndarray]]) -> None:
        assert self._master is not None
        m = self.program.rows.size
        starts: list[int] = [0]
        index: list[np.ndarray] = []
        value: list[np.ndarray] = []
        for child, _, profile in offers:
            entry = -(self.exchange[:, self._block(child)] @ profile)
            rows = np.flatnonzero(entry)
            index += [rows, np.array([m + child])]
            value += [entry[rows], np.ones(1)]
            starts.append(starts[-1] + len(rows) + 1)
        entries = sparse.csc_matrix((np.concatenate(value), np.concatenate(index), starts), shape=(m + len(self.names), len(offers)))
        self._master.add_columns(np.array([c for _, c, _ in offers]), entries)

    def _compiled_master(self) -> GrowingProgram:
        if self._master is None:
            program, n = self.program, len(self.names)
            rows = Index((*program.rows.blocks, Block("share", {"child": np.array(self.names, dtype=str)}, "1", program.rows.size)))
            plain = replace(
                program,
                rows=rows,
                A=sparse.vstack([program.A, sparse.csr_matrix((n, program.columns.size))], format="csr"),
                b0=np.concatenate([program.b0, np.ones(n)]),
                B=sparse.vstack([program.B, sparse.csr_matrix((n, program.parameters.size))], format="csr"),
                equality=np.concatenate([program.equality, np.ones(n, dtype=bool)]),
                c0=self.own_costs(),
            )
            self._master = GrowingProgram(plain)
            if self._owner:
                of_child = [zip(self.costs[c], self.profiles[c], strict=True) for c in self.names]
                self._add_columns([(i, *next(of_child[i])) for i in self._owner])
        return self._master

    # -- the feasible point -----------------------------------------------------------------------------------------
    def best_mix(self, rounds: int = 30) -> MasterPoint:
        """The least-cost combination of all offers: a feasible point of the whole.

        Raises:
            ProgramError: the parent's program has no optimum.
        """
        for _ in range(rounds):
            point = self._solve_master()
            fresh = self.extend(point.x, point.exchange) if self.extend else None
            if fresh is None:
                return point
            self._take(fresh)
        raise ProgramError(f"program {self.name!r}: limits are still violated after {rounds} rounds of adding them")

    def _solve_master(self) -> MasterPoint:
        master = self._compiled_master()
        # From the last basis and nothing else, so that a negotiation taken up from a checkpoint goes on as if never interrupted.
        master.start_from(self._bases[0])
        solution = master.solve()
        self._bases[0] = master.basis
        n, m, periods = self.program.columns.size, self.program.rows.size, len(self.hours)
        values, duals = solution.x, solution.y
        x, owner = values[:n], np.array(self._owner, dtype=int)
        weights, own, exchange = {}, np.zeros(len(self.names)), np.zeros((len(self.names), periods))
        for i, child in enumerate(self.names):
            share = np.maximum(values[n:][owner == i], 0.0)
            weights[child] = share / share.sum()
            exchange[i] = weights[child] @ np.array(self.profiles[child])
            own[i] = weights[child] @ np.array(self.costs[child])
        cost = float(self.own_costs() @ x) + self.constant + float(own.sum())
        price = (self.exchange.T @ duals[:m]).reshape(len(self.names), periods) / self.hours
        return MasterPoint(cost, x, weights, own, exchange, price, solution.reduced_costs[:n])

    def price_of(self, exchange: np.ndarray) -> np.ndarray:
        """Nodal prices [EUR/kWh] when the children draw the given exchange [kW], (child, period)."""
        return self.point_at(exchange).price

    def point_at(self, exchange: np.ndarray) -> MasterPoint:
        """The parent's best when the children draw the given exchange [kW], (child, period), whatever that costs them."""
        kept, program = (self.costs, self.profiles, self._owner, self._bases), self.program
        self.costs = {c: [0.0] for c in self.names}
        self.profiles = {c: [exchange[i]] for i, c in enumerate(self.names)}
        self._owner = list(range(len(self.names)))
        self._master, self._bases = None, [None, None]
        try:
            return self.best_mix()
        finally:
            self.costs, self.profiles, self._owner, self._bases = kept
            self._master = None
            if self.program is not program:  # rows were added, to which no basis of before belongs
                self._bases = [None, None]

    # -- the bound --------------------------------------------------------------------------------------------------
    def own_bound(self, price: np.ndarray) -> float:
        """``P(pi)``: the parent's least cost when it may sell to its children at the prices what it likes [EUR/a], a proven lower bound."""
        if self._pricing is None:
            program, t = self.program, len(self.hours)
            label = {"child": np.array(self.names, dtype=str), "period": np.arange(t)}
            n, m, k = program.columns.size, program.rows.size, len(self.names) * t
            columns = Index((*program.columns.blocks, Block("sold", label, "kW", n)))
            parameters = Index((Block("price", label, "EUR/kWh", 0), Block("given", {"entry": np.arange(len(self._other))}, "", k)))
            sold = sparse.csr_matrix((-np.tile(self.hours, len(self.names)), (n + np.arange(k), np.arange(k))), shape=(n + k, k))
            given = sparse.vstack([program.C[:, self._other], sparse.csr_matrix((k, len(self._other)))], format="csr")
            self._pricing = CompiledProgram(
                replace(
                    program,
                    columns=columns,
                    parameters=parameters,
                    A=sparse.hstack([program.A, -self.exchange], format="csr"),
                    B=sparse.csr_matrix((m, k + len(self._other))),
                    c0=np.concatenate([program.c0, np.zeros(k)]),
                    C=sparse.hstack([sold, given], format="csr"),
                    lower=np.concatenate([program.lower, *(self.bands[c].low for c in self.names)]),
                    upper=np.concatenate([program.upper, *(self.bands[c].high for c in self.names)]),
                    d=np.concatenate([np.zeros(k), program.d[self._other]]),
                    outputs={},
                ),
                dual_tolerance=DUAL_TOLERANCE,
            )
        self._pricing.start_from(self._bases[1])
        solution = self._pricing.solve_optimal(np.concatenate([np.asarray(price, dtype=float).ravel(), self._given]))
        self._bases[1] = self._pricing.basis
        return solution.bound
