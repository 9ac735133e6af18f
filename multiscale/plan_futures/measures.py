"""What is minimised over futures: expected cost, the mean of the worst futures, or the largest regret.

With C_s the present value of the cost in future s, pi_s its probability, a the probability of the worst futures and lambda a share,

    expected     sum_s pi_s C_s
    cvar         (1 - lambda) sum_s pi_s C_s + lambda min over eta of [ eta + sum_s pi_s max(0, C_s - eta) / a ]
    regret       max_s (C_s - C*_s),        C*_s: cost with foresight of s

None of them falls where a cost rises. A measure of lower bounds on all costs is therefore a lower bound on the measure of the costs, which is all
that the search over linked years asks of its objective: plans of nodes are least-cost plans, whatever the measure.

C*_s is the cost of the plans with foresight that were found; the regret against the proven bound of C*_s is larger by no more than their gap.

Source of the second: Rockafellar and Uryasev, Journal of Risk 2 (2000) 21-41.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EXPECTED, CVAR, REGRET = "expected", "cvar", "regret"
MEASURES = (EXPECTED, CVAR, REGRET)


@dataclass(frozen=True)
class Measure:
    """A measure over futures.

    Attributes:
        kind: ``expected``, ``cvar`` or ``regret``.
        tail: probability of the worst futures whose mean is taken (a) [1].
        weight: share of that mean in the objective (lambda) [1].
        best: future -> cost with foresight of it [EUR], for the regret.
    """

    kind: str = EXPECTED
    tail: float = 0.2
    weight: float = 1.0
    best: Mapping[str, float] = field(default_factory=dict)

    def of(self, costs: Mapping[str, float], probability: Mapping[str, float]) -> float:
        """The measure of the costs of all futures [EUR].

        Args:
            costs: future -> present value [EUR].
            probability: future -> probability [1], summing to one.
        """
        if self.kind == REGRET:
            return max(cost - self.best[future] for future, cost in costs.items())
        mean = expected(costs, probability)
        return mean if self.kind == EXPECTED else (1.0 - self.weight) * mean + self.weight * mean_of_worst(costs, probability, self.tail)

    @property
    def words(self) -> str:
        """What is minimised, in words."""
        worst = f"mean of the worst {100.0 * self.tail:g} %"
        mixed = worst if self.weight == 1.0 else f"{100.0 * self.weight:g} % {worst}, {100.0 * (1.0 - self.weight):g} % expected value"
        return {EXPECTED: "expected value", CVAR: mixed, REGRET: "largest regret"}[self.kind]


def expected(costs: Mapping[str, float], probability: Mapping[str, float]) -> float:
    """The expected cost [EUR]."""
    return sum(probability[future] * cost for future, cost in costs.items())


def mean_of_worst(costs: Mapping[str, float], probability: Mapping[str, float], tail: float) -> float:
    """The mean cost of the worst futures that have a probability together, the last of them in part [EUR].

    Raises:
        ValueError: the probability is not above zero and at most one.
    """
    if not 0.0 < tail <= 1.0:
        raise ValueError(f"probability {tail:g} of the worst futures is not above 0 and at most 1")
    left, total = tail, 0.0
    for future in sorted(costs, key=lambda name: costs[name], reverse=True):
        taken = min(left, probability[future])
        total, left = total + taken * costs[future], left - taken
    # Probabilities sum to one up to rounding: what is missing is that of the least cost.
    return (total + left * min(costs.values())) / tail
