"""Bilevel-feasible points from leader decisions: the followers' answers, their optimal faces, exact prices at fixed integers.

Imports ``problem`` and ``solvers``.
"""
