"""How the planner sees the members of a platform: one by one, by class, or as one participant.

What members may trade for nothing can be netted behind one meter; where trade pays a fee, a charge or a levy, or where every member is metered by
itself, netting changes their answer, so the members are kept:

- ``members``: every member. Where none may buy capacity, they are reduced exactly by the market (see ``Market.reduced``).
- ``classes``: members that own the same kinds of devices are one participant. Exact where they differ in size only; otherwise the participant can do
  somewhat more than its members together, and the difference is measured (``response_difference``).
- ``platform``: all members are one participant, behind one meter.
- ``auto``: members where there are few enough in all (``members_limit``), else classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.devices import Adoption, Offer
from multiscale.devices.fleet import Fleet
from multiscale.operation import Market, platform_program
from multiscale.programs import solve_in_parts
from multiscale.system import Economics
from multiscale.tariffs import BILLED, Prices, Tariff

VIEWS = ("auto", "members", "classes", "platform")
"""How members may be seen."""


@dataclass(frozen=True)
class Participants:
    """A platform as the planner sees it.

    Attributes:
        fleet: the participants.
        view: one of ``VIEWS``, not ``auto``.
        group: position of the participant of every member, (prosumer,); None where members were reduced, and nothing can be bought.
        adoption: capacity that each participant may buy, or None.
    """

    fleet: Fleet
    view: str
    group: np.ndarray | None
    adoption: Adoption | None

    def shared(self, size: np.ndarray, members: Fleet) -> np.ndarray:
        """Capacity of each participant dealt out to its members in proportion to their reference demand, (prosumer,)."""
        if self.group is None:
            raise ValueError(f"platform {members.node!r}: members that were reduced buy nothing")
        used = (members.reference_demand * members.horizon.hours_per_year).sum(axis=1)
        total = np.zeros(self.fleet.size)
        np.add.at(total, self.group, used)
        count = np.bincount(self.group, minlength=self.fleet.size)
        share = np.where(total[self.group] > 0, used / np.where(total > 0, total, 1.0)[self.group], 1.0 / count[self.group])
        return size[self.group] * share


def chosen_view(view: str, fleets: Mapping[str, Fleet], members_limit: int) -> str:
    """The view that ``auto`` stands for, from the number of all members."""
    if view not in VIEWS:
        raise ValueError(f"view {view!r} of members is unknown; there are {', '.join(VIEWS)}")
    if view != "auto":
        return view
    return "members" if sum(f.size for f in fleets.values()) <= members_limit else "classes"


def participants(fleet: Fleet, view: str, market: Market, tariff: Tariff, adoption: Adoption | None) -> Participants:
    """The participants of a platform.

    Args:
        fleet: its members.
        view: ``members``, ``classes`` or ``platform``.
        market: how the platform clears.
        tariff: what is charged for.
        adoption: what all members may buy together (offers of one entry), or None.
    """
    if view == "members" and adoption is None:
        return Participants(market.reduced(fleet, tariff), view, None, None)
    names = {"members": fleet.data.prosumer.values, "classes": owned_devices(fleet), "platform": np.full(fleet.size, fleet.node)}[view]
    _, group = np.unique(names.astype(str), return_inverse=True)
    seen = fleet.aggregate(names)
    if adoption is None:
        return Participants(seen, view, group, None)
    share = np.bincount(group, minlength=seen.size) / fleet.size
    return Participants(seen, view, group, {key: Offer(float(offer.largest.sum()) * share, offer.profile) for key, offer in adoption.items()})


def owned_devices(fleet: Fleet) -> np.ndarray:
    """Names of the devices each member owns, as one text, (prosumer,)."""
    owned = {
        key: np.maximum(_most(d.largest_consumption(fleet), fleet), _most(d.largest_supply(fleet), fleet)) > 0 for key, d in fleet.devices.items()
    }
    return np.array([f"{fleet.node}: " + (" + ".join(key for key, has in owned.items() if has[i]) or "demand alone") for i in range(fleet.size)])


def _most(power: np.ndarray | float, fleet: Fleet) -> np.ndarray:
    return np.broadcast_to(power, (fleet.size, fleet.horizon.periods)).max(axis=1)


def response_difference(
    seen: Mapping[str, Participants],
    members: Mapping[str, Fleet],
    bought: Mapping[str, Mapping[str, np.ndarray]],
    adoption: Mapping[str, Adoption],
    economics: Economics,
    market: Market,
    energy_price: np.ndarray,
    prices: Prices,
) -> dict[str, float]:
    """How far the answer of the participants lies from that of the members, at the prices and with the capacity of a plan.

    Both are solved alone at the forecast price of energy, without limits of the network.

    Args:
        seen: platform -> participants.
        members: platform -> members.
        bought: platform -> device -> capacity that every member buys, (prosumer,).
        adoption: platform -> what was offered.
        economics, market: as in the plan.
        energy_price: [EUR/kWh], (period,).
        prices: of the decided tariff components.

    Returns:
        Determinant of every decided component: participants less members, relative to the members [1].
    """
    totals = {name: np.zeros(2) for name in prices}
    given = {"import_price": energy_price, "export_price": energy_price} | dict(prices)
    for platform, participant in seen.items():
        whole, group = members[platform], participant.group
        if participant.view == "members" or group is None:
            continue
        more = {key: sizes for key, sizes in bought.get(platform, {}).items() if sizes.any()}
        grown = whole.with_more(more, adoption[platform]) if more else whole
        names = participant.fleet.data.prosumer.values[group]
        for k, fleet in enumerate((grown.aggregate(names), market.reduced(grown, economics.tariff))):
            program = platform_program(fleet, economics, market, agreements=False)
            x = solve_in_parts(program, given)
            for name in prices:
                totals[name][k] += float((program.outputs[BILLED + name].matrix @ x).sum())
    return {name: float((pair[0] - pair[1]) / max(abs(pair[1]), 1.0)) for name, pair in totals.items()}
