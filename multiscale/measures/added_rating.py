"""More rating: a parallel cable, a larger transformer, or one more transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from multiscale.attribute import Attribute, number
from multiscale.measures.measure import Measure, Need, NetworkProgram, NoFittingCostError, Placed, Proposal, Site
from multiscale.settings import quantity
from multiscale.symbols import Named

if TYPE_CHECKING:
    import pandas as pd


class AddedRating(Measure):
    """Rating added to a branch: ``-limit - dlimit z <= P <= limit + dlimit z`` [kW].

    A line gets a parallel cable of the cost table's rating (scaled with the voltage), priced by length; a transformer is replaced by, or joined with,
    the smallest unit of the table that adds rating. One more of the same rating comes after all larger single units. In the AC power flow, with
    ``f = (rating + added) / rating``, series impedance / f, shunt capacitance, iron losses and rating x f.
    """

    columns: ClassVar[Mapping[str, Attribute]] = {"added_rating_kva": number("kVA", "rating added", 0.0, lower=0.0)}
    required = ("added_rating_kva",)
    transmission = True

    offered: bool = Field(True, description="whether options of this kind are proposed where the system names none")
    least_loading: float = quantity(50.0, "%", "least loading of the usable rating at which a branch is proposed", lower=0.0)

    def sites(self, need: Need, count: int) -> list[str]:
        """The branches with the highest loading of their usable rating, at least ``least_loading``, worst first.

        Several branches in series with the same customers all count; ties are broken by name, so the choice is repeatable.
        """
        ranked = sorted(need.loading, key=lambda branch: (-round(need.loading[branch], 6), branch))
        return [branch for branch in ranked if need.loading[branch] >= self.least_loading][:count]

    def propose(self, site: Site, costs: pd.DataFrame) -> Proposal:
        """The first row of the cost table that fits."""
        fits = costs[(costs["kind"] == site.kind) & (costs["vn_min_kv"] <= site.vn_kv) & (site.vn_kv <= costs["vn_max_kv"])]
        if site.kind == "transformer":
            fits = fits[(fits["new_rating_kva"] > site.rating_kva) | (fits["new_rating_kva"] == 0)]
            fits = fits.sort_values("new_rating_kva", key=lambda new: new.where(new > 0, np.inf), kind="stable")
        if fits.empty:
            raise NoFittingCostError(
                f"at {site.vn_kv:g} kV has no fitting row in the reinforcement cost table; add one with kind {site.kind!r} for that voltage"
            )
        row = fits.iloc[0]
        new = float(row["new_rating_kva"])
        if site.kind == "line":
            added, cost = new * site.vn_kv / float(row["vn_max_kv"]), float(row["cost_eur_per_km"]) * site.length_km
        else:
            added, cost = (new - site.rating_kva if new else site.rating_kva), float(row["cost_eur"])
        what = {"added_rating_kva": added, "cost_eur": cost, "lifetime_years": float(row["lifetime_years"]), "measure": str(row["measure"])}
        return Proposal(f"reinforce {site.branch}", what)

    @staticmethod
    def added_rating(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The column ``added_rating_kva``."""
        return np.asarray(columns["added_rating_kva"], dtype=float)

    @staticmethod
    def act(network: NetworkProgram, options: Placed) -> None:
        """Add to the limits of flows what each option adds to them."""
        raise_limits(network, options, options.columns["added_rating_kva"])

    @staticmethod
    def apply(branch: Mapping[str, Any], option: Mapping[str, Any], vn_kv: float, fed: str) -> dict[str, Any]:
        """The branch joined by equipment of its own kind."""
        del vn_kv, fed
        rating = branch["rating_kva"] + option["added_rating_kva"]
        factor = rating / branch["rating_kva"]
        less = {name: branch[name] / factor for name in ("r_ohm", "x_ohm")}
        more = {name: branch[name] * factor for name in ("c_nf", "pfe_kw")}
        return {**branch, **less, **more, "rating_kva": rating}


def raise_limits(network: NetworkProgram, options: Placed, added_kva: np.ndarray) -> None:
    """Add to the limits of flows what rating added by options is worth, (option)."""
    for i, kva, built in zip(options.branch.tolist(), added_kva.tolist(), options.built.tolist(), strict=True):
        today = network.usable(i, 0.0)
        # No flow ever exceeds its interval: rating beyond that is ignored, which makes a half-built branch worth half, not all.
        needed = np.maximum((network.needed[:, i] - today) * (1 + 1e-9), 0.0)
        more = np.minimum(network.usable(i, kva) - today, needed)
        direction, when = np.nonzero(network.rating[:, i] >= 0)
        added = Named(more[direction, when], "\\bar p@", "usable active power added by what is built", "kW")
        network.builder.add_parameters_to_rows(network.rating[direction, i, when], built, added)
