"""Planning by decomposition: the follower splits at the price of energy, and prices are bounded from below.

It proves the plan of a DSO with a social objective and one volumetric charge, or up to three prices and standing charges, to euros;
``docs/planning.md`` has the argument. Where it does not apply, ``applies`` and ``applies_with_several_prices`` say why, and the general bilevel
engine takes over.
"""

from multiscale.planning.decomposition.answer import plan_by_decomposition
from multiscale.planning.decomposition.several_answer import applies_with_several_prices, plan_with_several_prices
from multiscale.planning.decomposition.structure import applies

__all__ = ["applies", "applies_with_several_prices", "plan_by_decomposition", "plan_with_several_prices"]
