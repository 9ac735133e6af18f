"""Certification of an answer: certificate, constraint qualification, proofs of unboundedness, and the solution that carries them.

Imports all other folders.
"""
