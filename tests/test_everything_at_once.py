"""All that is wrong with configuration and tables comes in one go: 25 faults, 25 messages."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from multiscale import cli
from multiscale.sources import tiny_system, write_folder

CONFIGURATION = (
    ("planning.gap=7", "planning.gap"),
    ("planning.gapp=0.1", "planning.gapp"),
    ("horizon.days=0", "horizon.days"),
    ("horizon.step_hours='3 kg'", "horizon.step_hours"),
    ("tariff.levy='12 bananas'", "tariff.levy"),
    ("solver.seed=-1", "solver.seed"),
    ("market=bazaar", "market"),
    ("costs.discount_rate=many", "costs.discount_rate"),
    ("output.report=perhaps", "output.report"),
    ("tarif.levy=1", "tarif"),
)
CELLS = (
    ("branches", 7, "r [ohm]", "-1", "r_ohm"),
    ("branches", 4, "x [ohm]", "a lot", "x_ohm"),
    ("branches", 6, "rating [kVA]", "", "rating_kva"),
    ("buses", 2, "vn [kV]", "-5", "vn_kv"),
    ("buses", 4, "v_min [pu]", "-0.2", "v_min_pu"),
    ("devices", 1, "profile", "cita", "profile 'cita'"),
    ("devices", 2, "p [kW]", "9**9", "'9**9'"),
    ("devices", 5, "kind", "windmill", "kind 'windmill'"),
    ("devices", 6, "efficiency [1]", "1.4", "efficiency 1.4"),
    ("generators", 0, "p_max [kW]", "0", "p_max_kw"),
    ("generators", 1, "cost [EUR/kWh]", "99", "cost_eur_per_kwh"),
    ("nodes", 3, "step [min]", "0", "step_minutes"),
)


@pytest.mark.parametrize("separator", [",", ";"])
def test_25_faults_give_25_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str], separator: str):
    system = tiny_system()
    folder = tmp_path / "system"
    write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 48))), folder)
    tables = {
        name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        for name in ("branches", "buses", "devices", "generators", "nodes")
    }
    for name, row, column, value, _ in CELLS:
        tables[name].loc[row, column] = value
    tables["buses"]["colour"] = "red"
    tables["generators"] = tables["generators"].rename(columns={"fuel": "gas"})
    for name, frame in tables.items():
        decimal = frame.apply(lambda c: c.str.replace(r"^(-?\d+)\.(\d)", r"\1,\2", regex=True)) if separator == ";" else frame
        decimal.to_csv(folder / f"{name}.csv", index=False, sep=separator)
    faults = [subject for _, subject in CONFIGURATION] + [subject for *_, subject in CELLS] + ["colour", "gas", "fuel"]
    assert len(faults) == 25
    overrides = [override for override, _ in CONFIGURATION]
    assert cli.main(["validate", "study=tiny", "system=folder", f"system.path={folder}", *overrides]) == 2
    messages = re.findall(r"^ +\d+\. .*$", capsys.readouterr().err, flags=re.MULTILINE)
    for subject in faults:
        assert any(subject in message for message in messages), subject
    assert len(messages) == 25, "\n".join(messages)
