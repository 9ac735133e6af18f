"""The spreadsheet of the tutorial: a utility's low-voltage feeder, in the units that utilities use, and a file of measured profiles in local time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

SHEETS: dict[str, list[dict[str, object]]] = {
    "grid": [{"bus": "substation", "voltage [pu]": 1.02}],
    "buses": [
        {"bus": "substation", "voltage [kV]": 20.0, "x [degree]": 10.0000, "y [degree]": 51.0},
        {"bus": "station", "voltage [kV]": 0.4, "x [degree]": 10.0005, "y [degree]": 51.0},
        *({"bus": f"pillar {k}", "voltage [kV]": 0.4, "x [degree]": 10.0005 + 0.001 * k, "y [degree]": 51.0} for k in range(1, 5)),
    ],
    "lines": [
        {"line": f"cable {k}", "from_bus": "station" if k == 1 else f"pillar {k - 1}", "to_bus": f"pillar {k}", "length [m]": 90.0,
         "r [ohm/km]": 0.206, "x [ohm/km]": 0.08, "c [nF/km]": 210.0, "i_max [A]": 270.0} for k in range(1, 5)
    ],
    "transformers": [
        {"transformer": "T1", "hv_bus": "substation", "lv_bus": "station", "rating [kVA]": 250.0, "vn_hv [kV]": 20.0, "vn_lv [kV]": 0.4,
         "vk [%]": 4.0, "vkr [%]": 1.2, "iron_losses [kW]": 0.4, "no_load_current [%]": 0.3}
    ],
    "customers": [
        {"customer": f"customer {k}", "bus": f"pillar {1 + k % 4}", "class": "business" if k == 8 else "household",
         "peak [kW]": 20.0 if k == 8 else 9.0, "power_factor [1]": 0.97, "pv [kW]": 12.0 if k % 3 == 0 else 0.0} for k in range(1, 9)
    ],
}  # fmt: skip


def write_spreadsheet(file: Path) -> Path:
    """The sheets as an Excel file."""
    with pd.ExcelWriter(file, engine="openpyxl") as writer:
        for sheet, rows in SHEETS.items():
            pd.DataFrame(rows).to_excel(writer, sheet_name=sheet, index=False)
    return file


def write_profiles(file: Path, zone: str = "Europe/Berlin") -> Path:
    """A year of hours in local time with its clock changes: a household's share of its peak, and a business in kW."""
    local = pd.date_range("2023-01-01", "2024-01-01", freq="h", inclusive="left", tz=zone)
    hour = np.asarray(local.hour)
    household = 0.25 + 0.75 * np.exp(-((hour - 19.0) ** 2) / 8.0)
    business = np.where((hour >= 8) & (hour < 18) & (np.asarray(local.weekday) < 5), 20.0, 4.0)
    table = pd.DataFrame({"time": local.strftime("%Y-%m-%d %H:%M"), "household [1]": household.round(4), "business [kW]": business})
    table.to_csv(file, index=False)
    return file
