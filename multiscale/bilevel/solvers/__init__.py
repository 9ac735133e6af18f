"""Solvers of one program: linear (HiGHS) and conic (Clarabel), and the correction that sharpens quadratic solutions.

Imports ``problem``.
"""
