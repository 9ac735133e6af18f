"""What an answer is worth: certificate, constraint qualification, proofs of unboundedness, and the solution that carries them.

Imports all other folders.
"""
