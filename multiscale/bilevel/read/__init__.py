"""From Pyomo models, blocks, parametric programs and MPS files to a ``BilevelProblem``, and values back into the model.

Imports ``problem`` and ``solvers``.
"""
