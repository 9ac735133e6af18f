"""DC power flow of a meshed network: susceptances, power transfer distribution factors (PTDF), flows.

Source: Wood, Wollenberg, Sheblé, Power Generation, Operation and Control, 3rd ed., ch. 7-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from multiscale.system import Network


@dataclass(frozen=True)
class DirectCurrentModel:
    """Susceptances of a meshed network and what follows from them.

    Attributes:
        buses, branches: names (branches in service).
        start, end: positions of the ends of every branch.
        susceptance: of every branch [kW per rad, at nominal voltage].
        limit: of every branch [kW].
        part: connected part of every bus.
    """

    buses: np.ndarray
    branches: np.ndarray
    start: np.ndarray
    end: np.ndarray
    susceptance: np.ndarray
    limit: np.ndarray
    part: np.ndarray

    def __getstate__(self) -> dict[str, object]:
        """Everything but the factors of the matrix: they are made anew where the object arrives."""
        return {name: value for name, value in self.__dict__.items() if name != "_solver"}

    @cached_property
    def _incidence(self) -> sparse.csr_matrix:
        n, m = len(self.buses), len(self.branches)
        return sparse.csr_matrix((np.repeat([1.0, -1.0], m), (np.tile(np.arange(m), 2), np.concatenate([self.start, self.end]))), shape=(m, n))

    @cached_property
    def _inner(self) -> np.ndarray:
        """Buses whose angle is free: all but the first of every connected part."""
        return np.setdiff1d(np.arange(len(self.buses)), np.unique(self.part, return_index=True)[1])

    @cached_property
    def _solver(self) -> SuperLU:
        laplacian = (self._incidence.T @ sparse.diags(self.susceptance) @ self._incidence).tocsc()
        return splu(laplacian[np.ix_(self._inner, self._inner)].tocsc())

    def transfer_factors(self, rows: np.ndarray) -> np.ndarray:
        """PTDF of the given branches: flow per unit injected at each bus and taken out at the part's first bus; (len(rows), bus)."""
        factors = np.zeros((len(rows), len(self.buses)))
        if len(self._inner) and len(rows):
            weighted = sparse.diags(self.susceptance[rows]) @ self._incidence[rows]
            factors[:, self._inner] = self._solver.solve(weighted[:, self._inner].T.toarray()).T
        return factors

    def flows(self, injection: np.ndarray) -> np.ndarray:
        """Flow of every branch [kW] for balanced injections [kW] of every bus."""
        angle = np.zeros(len(self.buses))
        if len(self._inner):
            angle[self._inner] = self._solver.solve(injection[self._inner])
        return self.susceptance * (self._incidence @ angle)


def direct_current_model(network: Network, loading_limit: float = 1.0) -> DirectCurrentModel:
    """DC model of a network: susceptance 1000 Vn^2 / x [kW per rad], x in ohm at to_bus, ratings at unity power factor."""
    active = network.active
    start, end = network.ends()
    vn = network.buses.vn_kv.values[end]
    reactance = active.x_ohm.values
    zero = np.flatnonzero(np.abs(reactance) < 1e-9)
    if len(zero):
        name = str(active.branch.values[zero[0]])
        raise ValueError(f"branch {name!r}: reactance {reactance[zero[0]]:g} ohm; DC power flow needs one that is not zero (column x_ohm)")
    return DirectCurrentModel(
        network.buses.bus.values,
        active.branch.values,
        start,
        end,
        1000.0 * vn**2 / reactance,
        loading_limit * active.rating_kva.values,
        network.components(),
    )
