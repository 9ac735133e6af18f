"""Proven bounds of multipliers, or none: never a guess.

Every bound holds, all at once, for at least one optimal dual of every leader decision (``scope`` "some"), or for all optimal duals
("every"). Two modules hold the arguments, ``propagation`` and ``relaxed_optima``; the one that gave a bound is recorded in words.
"""
