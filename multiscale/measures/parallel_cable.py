"""A parallel cable at low voltage: more rating, and less impedance, so that voltages stay within their band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from multiscale.attribute import Attribute, number
from multiscale.measures.added_rating import AddedRating, raise_limits
from multiscale.measures.measure import Measure, Need, NetworkProgram, NoFittingCostError, Placed, Proposal, Site

if TYPE_CHECKING:
    import pandas as pd


class ParallelCable(Measure):
    """A cable in parallel to a line of a platform's network: the line's rating and the cable's, and the impedance of both together.

    With ``k`` the share of impedance that is taken away and ``d = (2 r P + 2 x Q) / (1000 Vn^2)`` the drop of the squared voltage along the line
    alone, which lies in ``[D, E]`` whatever anybody does, the voltage behind it rises by ``w = k d z``; for ``z`` 0 or 1 exactly

        k min(D, 0) z <= w <= k max(E, 0) z,        k (d - E (1 - z)) <= w <= k (d - D (1 - z))        [pu^2]

    Proposed where a line or a voltage of a low-voltage network leaves its limits without demand response, on every line between that bus and the
    busbar. Where the line is one of several in parallel, the effect on voltages is neglected, and so is the cable's capacitance everywhere; the AC
    power flow has both.
    """

    columns: ClassVar[Mapping[str, Attribute]] = {
        "parallel_rating_kva": number("kVA", "parallel cable: its rating", 0.0, lower=0.0),
        "impedance_share": number("1", "parallel cable: impedance of line and cable relative to that of the line", 1.0, positive=True, upper=1.0),
    }
    required = ("parallel_rating_kva",)
    low_voltage = True
    branch_kinds = ("line",)
    transmission = True

    offered: bool = Field(True, description="whether options of this kind are proposed where the system names none")

    def sites(self, need: Need, count: int) -> list[str]:
        """Lines above their usable rating, and lines between a busbar and a bus whose voltage leaves its band; the worst first."""
        over = {branch: max(need.loading.get(branch, 0.0) - 100.0, 0.0) for branch in {*need.loading, *need.outside}}
        asked = [branch for branch, percent in over.items() if percent > 0 or branch in need.outside]
        return sorted(asked, key=lambda branch: (-round(over[branch], 6), -round(need.outside.get(branch, 0.0), 9), branch))[:count]

    def propose(self, site: Site, costs: pd.DataFrame) -> Proposal:
        """The cable of the cost table; impedances are taken as inversely proportional to ratings."""
        if site.kind != "line":
            raise NoFittingCostError(f"is a {site.kind}, and a parallel cable is laid in parallel to a line")
        cable = AddedRating().propose(site, costs).columns
        added = cable["added_rating_kva"]
        what = {"parallel_rating_kva": added, "impedance_share": site.rating_kva / (site.rating_kva + added)}
        return Proposal(f"parallel cable {site.branch}", {**{c: v for c, v in cable.items() if c != "added_rating_kva"}, **what})

    @staticmethod
    def added_rating(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The column ``parallel_rating_kva``."""
        return np.asarray(columns["parallel_rating_kva"], dtype=float)

    @staticmethod
    def impedance_removed(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """What is left over to one."""
        return 1.0 - np.asarray(columns["impedance_share"], dtype=float)

    @staticmethod
    def problems(columns: Mapping[str, np.ndarray], branches: Mapping[str, np.ndarray]) -> Sequence[tuple[int, str, str]]:
        """One cable in parallel to a line, and to no other branch."""
        first = np.zeros(len(columns["branch"]), dtype=bool)
        first[np.unique(columns["branch"], return_index=True)[1]] = True
        no_line = np.flatnonzero(branches["kind"] != "line").tolist()
        return [(k, "branch", "is no line; a parallel cable is laid in parallel to a line") for k in no_line] + [
            (k, "branch", "has a parallel cable among the options already; keep one of them") for k in np.flatnonzero(~first).tolist()
        ]

    @staticmethod
    def act(network: NetworkProgram, options: Placed) -> None:
        """Limits of flows; and columns of the rise of voltage, where a voltage below can bind."""
        raise_limits(network, options, ParallelCable.added_rating(options.columns))
        removed = ParallelCable.impedance_removed(options.columns)
        acts = np.flatnonzero((network.voltage_drop[options.branch] >= 0).all(axis=1) & (removed > 0) & network.single[options.branch])
        if not len(acts):
            return
        at, share = options.branch[acts], removed[acts, None]
        per_kw, fixed, flow = network.per_kw[at, None], network.fixed_drop[at], network.flow[at]
        least, most = fixed - per_kw * network.needed[1][at], fixed + per_kw * network.needed[0][at]
        built = np.broadcast_to(options.built[acts, None], flow.shape)
        axes, builder = {"cable": network.names[at], "period": network.periods}, network.builder
        # Column bounds beyond what can be: they keep every dual bound finite.
        bound = 2.0 * share * np.maximum(np.abs(least), np.abs(most)) + 1e-3
        rise = builder.add_columns(
            "voltage_rise", axes, unit="pu^2", lower=-bound, upper=bound, description="rise of the squared voltage by the cable"
        )
        builder.add_to_rows(network.voltage_drop[at], rise, -1.0)
        own = share * per_kw
        for name, terms, right, parameter in (
            ("cable_most", [(1.0, rise)], 0.0, share * np.maximum(most, 0.0)),
            ("cable_least", [(-1.0, rise)], 0.0, -share * np.minimum(least, 0.0)),
            ("cable_above", [(1.0, rise), (-own, flow)], share * (fixed - least), share * least),
            ("cable_below", [(-1.0, rise), (own, flow)], share * (most - fixed), -share * most),
        ):
            what = "rise of the squared voltage in proportion to the drop, if built"
            builder.add_rows(name, axes, terms, "<=", right, unit="pu^2", parameters=[(parameter, built)], description=what)

    @staticmethod
    def apply(branch: Mapping[str, Any], option: Mapping[str, Any], vn_kv: float, fed: str) -> dict[str, Any]:
        """The line and the cable as one."""
        del vn_kv, fed
        left = option["impedance_share"]
        less = {name: branch[name] * left for name in ("r_ohm", "x_ohm")}
        return {**branch, **less, "c_nf": branch["c_nf"] / left, "rating_kva": branch["rating_kva"] + option["parallel_rating_kva"]}
