"""The tables of a network as a utility keeps them: line types per kilometre, transformers by their nameplate, customers with their peak."""

from __future__ import annotations

from collections.abc import Mapping

from multiscale.attribute import Attribute, number, text

GRID, BUSES, LINES, TRANSFORMERS, CUSTOMERS = "grid", "buses", "lines", "transformers", "customers"

SHEETS: Mapping[str, Mapping[str, Attribute]] = {
    GRID: {
        "bus": text("bus at which the grid above supplies", refers_to="bus"),
        "voltage": number("pu", "voltage at which it is held", 1.0, lower=0.8, upper=1.2),
    },
    BUSES: {
        "bus": text("name"),
        "voltage": number("kV", "nominal voltage", positive=True, upper=1500.0),
        "v_min": number("pu", "lowest permitted voltage", 0.9, lower=0.0, upper=1.5),
        "v_max": number("pu", "highest permitted voltage", 1.1, lower=0.5, upper=2.0),
        "x": number("degree", "longitude, or schematic coordinate", 0.0),
        "y": number("degree", "latitude, or schematic coordinate", 0.0),
    },
    LINES: {
        "line": text("name"),
        "from_bus": text("one end", refers_to="bus"),
        "to_bus": text("other end", refers_to="bus"),
        "length": number("km", "length", positive=True, upper=1000.0),
        "r": number("ohm/km", "resistance", lower=0.0, upper=100.0),
        "x": number("ohm/km", "reactance", lower=0.0, upper=100.0),
        "c": number("nF/km", "capacitance", 0.0, lower=0.0),
        "i_max": number("A", "current it may carry continuously", positive=True, upper=1e5),
        "parallel": number("1", "number of parallel systems", 1.0, lower=1.0, upper=20.0),
        "closed": Attribute("flag", "", "whether its switches are closed", True),
    },
    TRANSFORMERS: {
        "transformer": text("name"),
        "hv_bus": text("bus of the high side", refers_to="bus"),
        "lv_bus": text("bus of the low side", refers_to="bus"),
        "rating": number("kVA", "rated apparent power", positive=True),
        "vn_hv": number("kV", "rated voltage of the high side", positive=True),
        "vn_lv": number("kV", "rated voltage of the low side", positive=True),
        "vk": number("%", "short-circuit voltage", positive=True, upper=50.0),
        "vkr": number("%", "its real part", lower=0.0, upper=50.0),
        "iron_losses": number("kW", "iron losses", 0.0, lower=0.0),
        "no_load_current": number("%", "open-loop current", 0.0, lower=0.0, upper=100.0),
    },
    CUSTOMERS: {
        "customer": text("name"),
        "bus": text("connection point", refers_to="bus"),
        "class": text("household, business, industry, agriculture, heat pump, charging point, ...", "household"),
        "peak": number("kW", "power at its peak", lower=0.0),
        "power_factor": number("1", "power factor, inductive", 0.95, lower=0.1, upper=1.0),
        "pv": number("kW", "rated power of its photovoltaics", 0.0, lower=0.0),
        "profile": text("column of the file of profiles that it follows; empty: that of its name, else of its class", ""),
    },
}
"""Sheet (or CSV file) -> column -> declaration. The first column of each is the name; transformers may be absent."""

OPTIONAL = (TRANSFORMERS,)


def header(name: str, declared: Attribute) -> str:
    """The header of a column."""
    return f"{name} [{declared.unit}]" if declared.kind == "number" else name


def describe_sheets() -> str:
    """Markdown tables of all columns, one per sheet, as they stand in ``docs/tutorial-own-network.md``."""
    parts = []
    for sheet, columns in SHEETS.items():
        parts += [f"### Sheet `{sheet}`{' (may be absent)' if sheet in OPTIONAL else ''}", "", "| column | meaning | default |", "|---|---|---|"]
        parts += [f"| `{header(name, d)}` | {d.meaning} | {_default(d)} |" for name, d in columns.items()]
        parts.append("")
    return "\n".join(parts).rstrip()


def _default(declared: Attribute) -> str:
    if declared.default is None:
        return "required"
    if declared.kind == "number":
        return f"{declared.default:g}"
    return str(declared.default).lower() or "none"
