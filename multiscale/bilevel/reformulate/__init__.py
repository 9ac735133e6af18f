"""From a ``BilevelProblem`` to a single-level program: proven multiplier bounds, one file for each method, the choice among them.

Imports ``problem`` and ``solvers``.
"""
