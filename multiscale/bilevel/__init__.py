"""Exact, certified bilevel optimisation for Pyomo models and parametric programs; knows nothing of power systems.

from multiscale import bilevel
solution = bilevel.solve(model, followers=[model.market], gap=1e-4, time_limit=600)

Folders, in the order of imports (each imports only from those before it): ``problem``, ``normal``, ``solvers``, ``read``, ``reformulate``,
``search``, ``scip``, ``certify``; ``solving`` runs them, ``tree`` solves trees of such problems. ``pyomo_solver`` is the solver under Pyomo's own
interfaces (``pyo.SolverFactory("multiscale.bilevel")``).
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiscale.bilevel.certify.certificate import Certificate, FollowerCertificate
    from multiscale.bilevel.certify.solution import BilevelSolution, Status
    from multiscale.bilevel.problem.description import BilevelError, BilevelProblem, BilevelWarning
    from multiscale.bilevel.problem.followers import BlockFollower, ProgramFollower, dual_of, labels_of
    from multiscale.bilevel.problem.solve_options import SolveOptions
    from multiscale.bilevel.read.files import read_files, write_files
    from multiscale.bilevel.read.pyomo_model import read_model
    from multiscale.bilevel.solving import solve, solve_problem
    from multiscale.bilevel.tree.solution import TreeSolution
    from multiscale.bilevel.tree.solve_tree import solve_tree
    from multiscale.bilevel.tree.statement import TreeNode

_HOME = {
    "BilevelError": "problem.description",
    "BilevelProblem": "problem.description",
    "BilevelSolution": "certify.solution",
    "BilevelWarning": "problem.description",
    "BlockFollower": "problem.followers",
    "Certificate": "certify.certificate",
    "FollowerCertificate": "certify.certificate",
    "ProgramFollower": "problem.followers",
    "SolveOptions": "problem.solve_options",
    "Status": "certify.solution",
    "TreeNode": "tree.statement",
    "TreeSolution": "tree.solution",
    "dual_of": "problem.followers",
    "labels_of": "problem.followers",
    "read_files": "read.files",
    "read_model": "read.pyomo_model",
    "solve": "solving",
    "solve_problem": "solving",
    "solve_tree": "tree.solve_tree",
    "write_files": "read.files",
}

__all__ = [
    "BilevelError",
    "BilevelProblem",
    "BilevelSolution",
    "BilevelWarning",
    "BlockFollower",
    "Certificate",
    "FollowerCertificate",
    "ProgramFollower",
    "SolveOptions",
    "Status",
    "TreeNode",
    "TreeSolution",
    "dual_of",
    "labels_of",
    "read_files",
    "read_model",
    "solve",
    "solve_problem",
    "solve_tree",
    "write_files",
]


def __getattr__(name: str) -> Any:
    # The SCIP process imports parts of this package and must not wait for Pyomo.
    if name in _HOME:
        value = getattr(import_module(f"multiscale.bilevel.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'multiscale.bilevel' has no attribute {name!r}")


if "pyomo.environ" in sys.modules:
    # The name for pyo.SolverFactory; a script that imports Pyomo later imports this module as well.
    import_module("multiscale.bilevel.pyomo_solver")
