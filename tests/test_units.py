import subprocess
import sys

import pytest

from multiscale import units
from multiscale.units import UnitError, conversion_factor, convert


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("8 ct/kWh", "EUR/kWh", 0.08), ("3 %/a", "1/a", 0.03), ("5%", "1", 0.05), ("1e3 W", "kW", 1.0), ("20 degC", "degC", 20.0),
        ("2 EUR/(kW*a)", "EUR/kW/a", 2.0), ("4 €/t", "EUR/t", 4.0), ("-0.5", "1", -0.5), ("1 1/a", "1/a", 1.0), ("4 EUR kW^-1", "EUR/kW", 4.0),
    ],
)  # fmt: skip
def test_a_number_and_a_unit_are_read(text, unit, number):
    assert convert(text, unit) == pytest.approx(number)


WRONG = (
    "9**9**9**9 kWh", "9**9**9**9", "1 kW**9999999",
    "1 " + "kW*" * 500 + "kW", "1_000", "0x10", "nan", "inf kW", "1e400", "1+1 kW", "(1) kW", "1 f(kW)",
)  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_nothing_is_calculated(text):
    with pytest.raises(UnitError):
        convert(text, "kW")


@pytest.mark.parametrize(
    ("text", "unit"),
    [("1 nan m", "m"), ("2 nan", "1"), ("1 dB/m", "1"), ("3 dBm*dBm", "kW"), ("1e300 Gm", "mm"), ("1e300 Np", "1"), ("1 furlongs2x", "m")],
)
def test_what_the_library_of_units_does_not_take_is_refused(text, unit):
    with pytest.raises(UnitError):
        convert(text, unit)


def test_a_fault_of_the_library_is_no_fault_of_the_input(monkeypatch):
    def broken() -> None:
        raise ImportError("pint is broken")

    monkeypatch.setattr(units, "_registry", broken)
    with pytest.raises(ImportError):
        convert("1 kW", "kW")


def test_what_was_calculated_for_ever_is_refused_at_once():
    code = f"from multiscale.units import *\nfor t in {WRONG!r}:\n  try: convert(t, 'kW'); raise SystemExit(t)\n  except UnitError: pass"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("given", ["", " ", "9**9**9**9", "2 kW", "kWh"])
def test_headers_without_a_unit_are_refused(given):
    with pytest.raises(UnitError):
        conversion_factor(given, "kW")
