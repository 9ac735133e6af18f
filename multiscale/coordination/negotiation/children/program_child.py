"""A child that is one program: it answers prices with its optimum and its bound, and a target with its nearest compromise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.children.request import GOODS, Reply, Request
from multiscale.operation.reserves import holding_cost, without_reserves
from multiscale.programs import Basis, Block, CompiledProgram, Index, ParametricProgram
from multiscale.programs.quadratic import solve_quadratic


@dataclass(frozen=True)
class Kept:
    """What a child is to keep in the end.

    Attributes:
        profile: agreed [kW], (entry,).
        price: at it [EUR/kWh], (entry,).
        counted: price at which what it proved counts in the bound of the whole [EUR/kWh], (entry,).
        room: by which it may leave the profile beyond rounding [kW].
        asked: prices that it answered [EUR/kWh], (price, entry): the profile is a mix of its offers at them.
    """

    profile: np.ndarray
    price: np.ndarray
    counted: np.ndarray
    room: float = 0.0
    asked: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True)
class Settled:
    """What a child does in the end.

    Attributes:
        cost: own cost [EUR/a].
        exchange: what it draws from its parent [kW], (period,).
        least: least own cost plus price x exchange of everything that it can do, at the price at which its bound counts [EUR/a].
        x, y: columns and row duals of its program, without those of its forecast errors.
        reserves_cost: part of the cost [EUR/a], (period,), that holding flexibility back for forecast errors has; empty where they are not looked at.
        engine: what computed it, see ``Reply``; where one engine did not prove it and the program did, the reason too.
    """

    cost: float
    exchange: np.ndarray
    least: float
    x: np.ndarray
    y: np.ndarray
    reserves_cost: np.ndarray = field(default_factory=lambda: np.zeros(0))
    engine: str = "program"


class ProgramChild:
    """A platform (or a whole branch) as a child.

    Args:
        program: all parameters fixed; output ``exchange`` (period) [kW] drawn from the parent, and perhaps ``uncertainty`` (period) [kW] handed to
            it. Both must be free in it.
        hours: hours of the year of each entry of a profile [h/a].
        start: where the solve at the reference price starts; default: from nothing.
        merged: whether prosumers were merged in it, so that another program operates them.
        engine: what replies say that they were computed by: ``program``, and why not by the batched solution.

    Every answer starts from the optimal basis at one reference price, never from what was solved last: a worker that starts anew says the same.
    """

    def __init__(
        self, program: ParametricProgram, hours: np.ndarray, start: Basis | None = None, *, merged: bool = False, engine: str = "program"
    ) -> None:
        if program.parameters.size:
            raise ValueError(f"program {program.name!r} of a child still has parameters {[b.name for b in program.parameters]}; fix them")
        goods = [program.outputs[name].matrix for name in GOODS if name in program.outputs]
        self.hours, self.goods, self.exchange = np.asarray(hours, dtype=float), len(goods), sparse.vstack(goods, format="csr")
        t = len(self.hours)
        price = Index((Block("price", {"period": np.arange(t)}, "EUR/kWh", 0),))
        effect = sparse.csr_matrix(self.exchange.T @ sparse.diags(self.hours))
        self.program = replace(program, parameters=price, B=sparse.csr_matrix((program.rows.size, t)), C=effect, d=np.zeros(t))
        self.start, self.merged, self.engine = start, merged, engine
        self._compiled: CompiledProgram | None = None
        self._reference: tuple[bytes, Any] = (b"", None)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the solver."""
        return self.__dict__ | {"_compiled": None, "_reference": (b"", None)}

    def answer(self, request: Request, reference: np.ndarray) -> Reply:
        """Answer a request; ``reference`` [EUR/kWh], (period,), is the price whose basis every answer starts from."""
        compiled = self._at_reference(np.asarray(reference, dtype=float))
        values, costs, profiles = [], [], []
        for price in request.prices:
            solution = compiled.solve_optimal(price)
            profile = self.exchange @ solution.x
            values.append(solution.bound)
            costs.append(solution.objective - float(self.hours * price @ profile))
            profiles.append(profile)
        if request.target is not None:
            near = self._near(request)
            if near is not None:
                costs.append(near[0])
                profiles.append(near[1])
        return Reply(request.number, np.array(values), np.array(costs), np.array(profiles), goods=self.goods, engine=self.engine)

    def _at_reference(self, price: np.ndarray) -> CompiledProgram:
        if self._compiled is None:
            self._compiled = CompiledProgram(self.program)
        key = price.tobytes()
        if self._reference[0] != key:
            self._compiled.start_from(self.start)
            self._compiled.solve_optimal(price)
            self._reference = key, self._compiled.basis
        self._compiled.start_from(self._reference[1])
        return self._compiled

    def _near(self, request: Request) -> tuple[float, np.ndarray] | None:
        """Own cost and profile of ``min f + h price'y + slope/2 h |y - target|^2``; made exactly feasible by staying in the program."""
        assert request.target is not None
        assert request.target_price is not None
        program, t = self.program, len(self.hours)
        power = max(float(np.abs(request.target).max(initial=0.0)), 1e-3)
        unit = max(float(np.abs(request.target_price).mean()), 1e-4)
        coin = self.hours.mean() * power * unit
        h = self.hours / self.hours.mean()
        bend = request.slope * power / unit
        n = program.columns.size
        matrix = sparse.bmat([[program.A, None], [self.exchange, -sparse.identity(t)]], format="csr")
        rhs = np.concatenate([program.b0 / power, np.zeros(t)])
        equality = np.concatenate([program.equality, np.ones(t, dtype=bool)])
        quadratic = np.concatenate([np.zeros(n), bend * h])
        linear = np.concatenate([program.c0 * power / coin, h * (request.target_price / unit - bend * request.target / power)])
        low = np.concatenate([program.lower / power, np.full(t, -np.inf)])
        high = np.concatenate([program.upper / power, np.full(t, np.inf)])
        found = solve_quadratic(quadratic, linear, matrix, rhs, equality, low, high, accuracy=1e-8)
        if found is None:
            return None
        x = np.clip(found[0][:n] * power, program.lower, program.upper)
        return float(program.c0 @ x) + program.d0, self.exchange @ x

    def settle(self, kept: Kept, reference: np.ndarray | None = None) -> Settled:
        """The child's cheapest way to keep an agreed profile; it may leave it by 1e-6 of its size, which covers rounding, and by the ``room``.

        The price moves no schedule; it enters the duals, which are prices inside the platform. Before that the child does what is best for it at the
        price at which its bound counts: what it proved cannot be more than that. It starts from the basis at the price ``reference`` [EUR/kWh],
        (period,), as answers do, or from nothing.
        """
        program, t, profile = self.program, len(self.hours), kept.profile
        slack = kept.room + 1e-6 * (1.0 + np.abs(profile).max())
        m = program.rows.size
        free = CompiledProgram(program) if reference is None else self._at_reference(reference)
        least = free.solve_optimal(np.asarray(kept.counted, dtype=float)).objective
        axes = {"period": np.arange(t)}
        rows = Index((*program.rows.blocks, Block("agreed_most", axes, "kW", m), Block("agreed_least", axes, "kW", m + t)))
        fixed = replace(
            program,
            rows=rows,
            A=sparse.vstack([program.A, self.exchange, -self.exchange], format="csr"),
            b0=np.concatenate([program.b0, profile + slack, slack - profile]),
            B=sparse.csr_matrix((m + 2 * t, t)),
            c0=program.costs(kept.price),
            C=sparse.csr_matrix((program.columns.size, t)),
            equality=np.concatenate([program.equality, np.zeros(2 * t, dtype=bool)]),
        )
        keeping = CompiledProgram(fixed)
        keeping.start_from(free.basis.with_basic_rows(m, 2 * t))
        solution = keeping.solve_optimal(np.zeros(t))
        cost = float(program.c0 @ solution.x) + program.d0
        reserves_cost = holding_cost(program, solution.x) if self.goods > 1 else np.zeros(0)
        return Settled(cost, self.exchange @ solution.x, least, *without_reserves(program, solution.x, solution.y[:m]), reserves_cost, self.engine)
