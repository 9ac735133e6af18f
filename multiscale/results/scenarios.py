"""The scenarios of a study: what is built, how platforms operate, what prosumers own. They differ in these alone.

Each is operated under the same loading limits and the same rule of who is cut off, at the charge that recovers the cost of its own network (those on
the plan's network: at the plan's prices). Two of them are the same operation where nothing tells them apart; it is then computed once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

NETWORKS = {"existing": "Existing network", "conventional": "Conventional plan", "plan": "With plan"}
"""What may be built, in words."""


@dataclass(frozen=True)
class ScenarioSpec:
    """One scenario.

    Attributes:
        name: key in dataset and summary.
        network: what is built: nothing (``existing``), what planning without any response builds (``conventional``), or the ``plan``.
        coordinated: whether platforms respond to the mechanism of the study; else each prosumer buys at one flat price.
        trade: whether members trade in the market of the study; else every one is metered by itself.
        adoption: whether prosumers own what they buy in answer to the plan.
    """

    name: str
    network: str
    coordinated: bool = False
    trade: bool = False
    adoption: bool = False

    @property
    def title(self) -> str:
        """The scenario in plain words."""
        if not self.coordinated:
            return f"{NETWORKS[self.network]}, no trading"
        return f"{NETWORKS[self.network]}, response {'and' if self.trade else 'without'} trading{', purchases' if self.adoption else ''}"


HEADLINE = "plan"

REFERENCES = ("existing", "conventional")
"""Scenarios that every study has: the others begin from them."""

SCENARIOS: tuple[ScenarioSpec, ...] = (
    ScenarioSpec("existing", "existing"),
    ScenarioSpec("conventional", "conventional"),
    ScenarioSpec("conventional_response", "conventional", coordinated=True),
    ScenarioSpec("conventional_trading", "conventional", coordinated=True, trade=True),
    ScenarioSpec("response", "plan", coordinated=True),
    ScenarioSpec("trading", "plan", coordinated=True, trade=True),
    ScenarioSpec(HEADLINE, "plan", coordinated=True, trade=True, adoption=True),
)
"""All scenarios, in the order of tables; the last is the headline. A further one is a line here."""

LADDER = ("existing", "conventional", "response", "trading", HEADLINE)
"""From the existing network to the headline, one step at a time."""

CORNERS = (("conventional_response", "conventional_trading"), ("response", "trading"))
"""Plan by trading: the conventional network without and with trading, and that of the plan."""


SWITCHES = {"plan": ("conventional_trading", "trading"), "trading": ("response", "trading"), "purchases": ("trading", HEADLINE)}
"""What may be switched off alone -> the scenario without it, and the same with it."""


def path_from(baseline: str, operated: Collection[str]) -> tuple[str, ...]:
    """Scenarios from the baseline to the headline, each of which adds something to the one before it and takes nothing away.

    Args:
        baseline: where it begins.
        operated: names of the scenarios that there are.
    """
    specs = {spec.name: spec for spec in SCENARIOS}
    path = [specs[baseline]]
    for spec in (specs[name] for name in LADDER if name in operated and name != baseline):
        if all(after >= before for before, after in zip(_rank(path[-1]), _rank(spec), strict=True)):
            path.append(spec)
    return tuple(spec.name for spec in path)


def adds_purchases_only(before: str, after: str) -> bool:
    """Whether two scenarios differ in nothing but what prosumers buy."""
    one, other = _spec(before), _spec(after)
    return _rank(one)[:3] == _rank(other)[:3] and other.adoption and not one.adoption


def added(before: str, after: str, *, planned: bool, purchases: bool) -> str:
    """What a scenario adds to another one, in words.

    Args:
        before, after: names of scenarios.
        planned, purchases: as of ``chosen_scenarios``.
    """
    one, other = _spec(before), _spec(after)
    networks = {"existing": "existing network", "conventional": "conventional plan"}
    networks["plan"] = "plan of the study" if planned else networks["existing"]
    network = [networks[other.network]] * (networks[one.network] != networks[other.network])
    found = ["demand response"] * (other.coordinated > one.coordinated) + ["trading"] * (other.trade > one.trade)
    found += ["purchases in answer to the charge"] * (purchases and other.adoption > one.adoption)
    return ", with ".join([*network, *([", ".join(found)] if found else [])]) or "nothing more"


def stands_for(name: str, *, purchases: bool) -> str:
    """The scenario under whose name one is operated: where nothing is bought, that with trading is the headline."""
    return HEADLINE if name == "trading" and not purchases else name


def trades(name: str) -> bool:
    """Whether members trade in a scenario."""
    return _spec(name).trade


def _spec(name: str) -> ScenarioSpec:
    return next(spec for spec in SCENARIOS if spec.name == name)


def _rank(spec: ScenarioSpec) -> tuple[int, ...]:
    return list(NETWORKS).index(spec.network), int(spec.coordinated), int(spec.trade), int(spec.adoption)


def chosen_scenarios(names: Collection[str], baseline: str, *, planned: bool, purchases: bool = True) -> tuple[ScenarioSpec, ...]:
    """The scenarios of these names with those that others need: the two references, the baseline and the headline.

    Without a plan the network of the headline is the existing one, and nothing is bought in answer to a plan: what then tells no two scenarios
    apart is one scenario.

    Args:
        names, baseline: of scenarios.
        planned: whether there is a plan.
        purchases: whether prosumers may buy in answer to it.
    """
    needed = {*REFERENCES, baseline, HEADLINE, *names}
    chosen = tuple(spec for spec in SCENARIOS if spec.name in needed)
    if planned and purchases:
        return chosen
    networks = {} if planned else {"plan": "existing"}
    kept = [spec for spec in chosen if stands_for(spec.name, purchases=False) == spec.name or spec.name == baseline]
    return tuple(replace(spec, network=networks.get(spec.network, spec.network), adoption=False) for spec in kept)
