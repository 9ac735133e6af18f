"""Exact, certified bilevel optimisation for Pyomo models and parametric programs; knows nothing of power systems.

from multiscale import bilevel
solution = bilevel.solve(model, followers=[model.market], gap=1e-4, time_limit=600)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiscale.bilevel.certificate import Certificate, FollowerCertificate
    from multiscale.bilevel.description import BilevelError, BilevelProblem
    from multiscale.bilevel.followers import ProgramFollower, dual_of
    from multiscale.bilevel.options import Options
    from multiscale.bilevel.read import read_model
    from multiscale.bilevel.solution import BilevelSolution, Status
    from multiscale.bilevel.solving import solve, solve_problem

_HOME = {
    "BilevelError": "description",
    "BilevelProblem": "description",
    "BilevelSolution": "solution",
    "Certificate": "certificate",
    "FollowerCertificate": "certificate",
    "Options": "options",
    "ProgramFollower": "followers",
    "Status": "solution",
    "dual_of": "followers",
    "read_model": "read",
    "solve": "solving",
    "solve_problem": "solving",
}

__all__ = [
    "BilevelError",
    "BilevelProblem",
    "BilevelSolution",
    "Certificate",
    "FollowerCertificate",
    "Options",
    "ProgramFollower",
    "Status",
    "dual_of",
    "read_model",
    "solve",
    "solve_problem",
]


def __getattr__(name: str) -> Any:
    # The SCIP process imports parts of this package and must not wait for Pyomo.
    if name in _HOME:
        from importlib import import_module

        value = getattr(import_module(f"multiscale.bilevel.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'multiscale.bilevel' has no attribute {name!r}")
