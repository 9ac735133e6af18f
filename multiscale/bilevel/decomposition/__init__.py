"""Decomposition into blocks that meet in integers only: a master program over the integers, cuts from the duals of each block's relaxation.

Nothing is imported here, so that a module can be loaded without the others.
"""
