"""SCIP in a process of its own: the model, the client and the worker, the heuristic, branch and cut over integers, export to LP files.

Imports ``problem``, ``reformulate`` and ``search``.
"""
