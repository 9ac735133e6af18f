import base64
import io

import pandas as pd
import pytest

from multiscale import cli
from multiscale.results.run.ledger_file import COLUMNS, TEXTS, write_ledger
from multiscale.results.tables.table import Table
from multiscale.sources import folder_system, tiny_system, write_folder
from multiscale.spreadsheets import escaped, unescaped

FORMULA = '=HYPERLINK("http://example.org","x")'


@pytest.mark.parametrize("text", [FORMULA, "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "'=1", "''-x", "'quoted", "-5", "+1e3", "line 3", ""])
def test_no_text_is_a_formula_and_every_text_comes_back(text):
    assert unescaped(escaped(text)) == text
    assert escaped(text)[:1] not in tuple("=@\t")
    assert escaped(text) in (text, f"'{text}")


def test_the_printed_ledger_holds_no_formula(tmp_path, capsys):
    labels = {"year": "2030", "scenario": "plan", "day": "2016-01-20"}
    row = {name: FORMULA if name in TEXTS else 1.5 for name in COLUMNS} | labels
    write_ledger(tmp_path, [(labels, pd.DataFrame([row])[list(COLUMNS)])])
    assert cli.main(["ledger", "csv", str(tmp_path)]) == 0
    (printed,) = pd.read_csv(io.StringIO(capsys.readouterr().out)).to_dict("records")
    assert {name: value for name, value in printed.items() if name in TEXTS and name not in labels} == dict.fromkeys(
        [name for name in TEXTS if name not in labels], f"'{FORMULA}"
    )


def test_tables_to_download_hold_no_formula():
    table = Table("t", "T", pd.DataFrame({"branch": [FORMULA], "=cmd()": ["x"], "power": [-3.5]}))
    text = base64.b64decode(table.csv().partition(",")[2]).decode()
    frame = pd.read_csv(io.StringIO(text))
    assert frame.columns.tolist() == ["branch", "'=cmd()", "power"]
    assert frame["branch"][0] == f"'{FORMULA}"
    assert frame["power"][0] == -3.5


def test_a_folder_of_tables_holds_no_formula_and_names_come_back(tmp_path):
    system = tiny_system()
    named = system.replace(profiles=system.profiles.isel(time=slice(0, 48)), options=system.options)
    buses = named.buses.assign_coords(bus=[FORMULA if b == "bus E" else b for b in named.buses.bus.values])
    generators = named.generators.assign(bus=("generator", [FORMULA if b == "bus E" else b for b in named.generators.bus.values]))
    ends = {e: ("branch", [FORMULA if b == "bus E" else b for b in named.branches[e].values]) for e in ("from_bus", "to_bus")}
    write_folder(named.replace(buses=buses, generators=generators, branches=named.branches.assign(**ends)), tmp_path)
    assert all(not line.startswith(("=", '"=')) and ',"=' not in line for line in (tmp_path / "buses.csv").read_text().splitlines())
    again = folder_system(tmp_path)
    assert FORMULA in again.buses.bus.values
    assert FORMULA in again.generators.bus.values
