"""Conflicts between levels, and the reserves for forecast errors: in the dataset and the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from multiscale.coordination.uncertainty.day_reserves import DayReserves
    from multiscale.results.data.answer_data import YearAnswer


def conflicts_and_reserves_dataset(answer: YearAnswer) -> xr.Dataset:
    """Conflicts of all days, one by one, and the reserves for forecast errors by period and node (where forecasts err)."""

    def named(dims: str | tuple[str, ...], values: Any, unit: str, meaning: str) -> tuple[Any, ...]:
        return dims, values, {"long_name": meaning} | ({"units": unit} if unit else {})

    found = [c for day in answer.plan.operation.days for c in day.conflicts]
    hours = dict(zip(answer.case.horizon.labels.tolist(), answer.case.horizon.hours_per_year.tolist(), strict=True))
    out = xr.Dataset()
    if found:

        def text(values: list[str]) -> np.ndarray:
            return np.array(values, dtype=object)

        out = out.assign(
            conflict_asking=named("conflict", text([c.asking for c in found]), "", "who asks"),
            conflict_limiting=named("conflict", text([c.limiting for c in found]), "", "node whose limit it is"),
            conflict_limits=named("conflict", text([", ".join(c.limits) for c in found]), "", "limits that bind"),
            conflict_resolved=named("conflict", text([c.resolved for c in found]), "", "what became of the rest"),
            conflict_period=named("conflict", text([c.period for c in found]), "", "period"),
            conflict_asked=named("conflict", np.array([c.asked for c in found]), "kW", "power asked for, drawn from above"),
            conflict_granted=named("conflict", np.array([c.granted for c in found]), "kW", "power granted"),
            conflict_price=named("conflict", np.array([c.price for c in found]), "EUR/kWh", "what one kWh more would be worth"),
            conflict_cost=named(
                "conflict", np.array([hours[c.period] * abs(c.refused) * abs(c.price) for c in found]), "EUR/a", "value of what was refused"
            ),
        )
    held = _reserves(answer)
    if held:
        nodes = list(held[0].deviation)

        def by_period(name: str) -> np.ndarray:
            return np.concatenate([getattr(day, name) for day in held])

        def by_node(name: str) -> np.ndarray:
            return np.concatenate([[getattr(day, name)[n] for n in nodes] for day in held], axis=1)

        both = ("node", "period")
        out = out.assign(
            reserves_cost=named("period", by_period("cost"), "EUR/a", "cost of reserves for forecast errors by agreement"),
            reserves_bound=named("period", by_period("bound"), "EUR/a", "proven lower bound of that cost"),
            reserves_alone=named(both, by_node("alone_of"), "EUR/a", "cost of reserves for its own forecast error alone"),
            reserves_deviation=named(both, by_node("deviation"), "kW", "standard deviation of the own forecast error"),
            reserves_handed=named(both, by_node("handed"), "kW", "standard deviation handed to the level above"),
            reserves_price=named(both, by_node("price"), "EUR/kWh", "price of handing over one kW of standard deviation for an hour"),
        ).assign_coords(node=nodes, period=answer.case.horizon.labels)
    return out


def _reserves(answer: YearAnswer) -> list[DayReserves]:
    """Reserves of all days; empty where forecasts do not err."""
    return [day.reserves for day in answer.plan.operation.days if day.reserves is not None]


def conflicts_and_reserves_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """Number and value of what was refused, and the cost of reserves for forecast errors."""
    hours = dict(zip(answer.case.horizon.labels.tolist(), answer.case.horizon.hours_per_year.tolist(), strict=True))
    found = [c for day in answer.plan.operation.days for c in day.conflicts]
    summary: dict[str, tuple[Any, str]] = {
        "coordination.conflicts": (len(found), "1"),
        "coordination.refused_energy": (sum(hours[c.period] * abs(c.refused) for c in found), "kWh/a"),
        "coordination.refused_value": (sum(hours[c.period] * abs(c.refused) * abs(c.price) for c in found), "EUR/a"),
    }
    held = _reserves(answer)
    if held:
        for name in ("cost", "bound", "alone"):
            summary[f"uncertainty.{name}"] = (float(sum(getattr(day, name).sum() for day in held)), "EUR/a")
        top, first = answer.case.system.top, held[0]
        summary["uncertainty.coverage"] = (first.coverage, "1")
        summary["uncertainty.negotiated_with_energy"] = (first.together, "")
        summary["uncertainty.alone_top"] = (float(sum(day.alone_of[top].sum() for day in held)), "EUR/a")
        summary["uncertainty.messages"] = (sum(day.traffic.messages for day in held), "1")
        summary["uncertainty.bytes"] = (sum(day.traffic.bytes for day in held), "B")
    return summary
