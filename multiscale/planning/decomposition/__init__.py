"""Planning by decomposition: the follower splits at the price of energy, and the charge is bounded from below.

It proves the plan of a DSO with a social objective and one volumetric charge to euros; ``docs/planning.md`` has the argument. Where it does
not apply, ``applies`` says why, and the general bilevel engine takes over.
"""

from multiscale.planning.decomposition.answer import plan_by_decomposition
from multiscale.planning.decomposition.structure import applies

__all__ = ["applies", "plan_by_decomposition"]
