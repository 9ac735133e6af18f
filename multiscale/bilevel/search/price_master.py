"""A small program in levels, slopes, payments and prices, with the products ``r_k = tau_k w_k``, solved by SCIP to a proven bound.

It has a dozen columns and is only built where SCIP may run: inside the SCIP process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyscipopt
from pyscipopt import SCIP_PARAMSETTING
from pyscipopt.scip import Expr, ExprCons, Term

from multiscale.bilevel.search.price_space import LeaderRows, PriceSpace


class PriceMaster:
    """``min costs'v`` subject to the leader's rows, ``cuts @ v <= limits``, bounds of ``v`` and ``r = tau w``."""

    def __init__(self, space: PriceSpace, rows: LeaderRows, cuts: np.ndarray, limits: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self.constant = rows.constant
        model = pyscipopt.Model()
        model.hideOutput()
        integral = space.integral()
        self.columns = [
            model.addVar(lb=None if a == -np.inf else a, ub=None if b == np.inf else b, vtype="I" if whole else "C")
            for a, b, whole in zip(low.tolist(), high.tolist(), integral.tolist(), strict=True)
        ]
        self._terms = [Term(column) for column in self.columns]
        linear = rows.matrix.tocsr()
        for i, (a, b) in enumerate(zip(rows.lower.tolist(), rows.upper.tolist(), strict=True)):
            part = slice(linear.indptr[i], linear.indptr[i + 1])
            self._add(model, linear.indices[part], linear.data[part], a, b)
        for cut, limit in zip(cuts, limits.tolist(), strict=True):
            used = np.flatnonzero(cut)
            self._add(model, used, cut[used], -np.inf, limit)
        for f in range(space.count):
            for t, w, r in zip(space.price.tolist(), space.slope(f).tolist(), space.payment(f).tolist(), strict=True):
                if low[w] == high[w]:
                    model.addCons(float(low[w]) * self.columns[t] - self.columns[r] == 0)
                else:
                    model.addCons(self.columns[t] * self.columns[w] - self.columns[r] == 0)
        used = np.flatnonzero(rows.costs)
        model.setObjective(Expr({self._terms[j]: float(rows.costs[j]) for j in used}))
        self.model = model

    def _add(self, model: Any, where: np.ndarray, values: np.ndarray, low: float, high: float) -> None:
        if not where.size or (low == -np.inf and high == np.inf):
            return
        content = {self._terms[j]: a for j, a in zip(where.tolist(), values.tolist(), strict=True)}
        model.addCons(ExprCons(Expr(content), lhs=None if low == -np.inf else low, rhs=None if high == np.inf else high))

    def solve(self, target: float, gap: float, seconds: float) -> tuple[float, list[np.ndarray]]:
        """A proven bound (``target`` where nothing better than it exists), and points better than the target to cut at."""
        model = self.model
        settings = {
            "nlp/disable": True,
            "limits/gap": 0.2 * gap,
            "limits/time": max(0.1, min(seconds, 1e20)),
            "limits/totalnodes": 100_000,
            # Points better than the target are worth cutting at long before the best one is proven.
            "limits/bestsol": 3,
            "constraints/nonlinear/branching/external": True,
            "parallel/maxnthreads": 1,
            "misc/catchctrlc": False,
        }
        for key, value in settings.items():
            model.setParam(key, value)
        model.setHeuristics(SCIP_PARAMSETTING.FAST)
        if np.isfinite(target):
            model.setObjlimit(target - self.constant)
        model.optimize()
        if model.getStatus() == "infeasible":
            return target, []
        bound = float(model.getDualbound()) + self.constant
        points = [np.array([solution[column] for column in self.columns]) for solution in model.getSols()[:3]]
        return min(bound, target), points
