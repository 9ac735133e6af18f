import json
import sys

import pandapower as pp
import pandapower.control
import pandapower.networks
import pandas as pd
import pytest
import xarray as xr

from multiscale.sources import load_system
from multiscale.sources.pandapower_allowed import foreign_objects, table_problems
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.system.validation import InvalidSystemError


@pytest.fixture
def net():
    return pandapower.networks.create_cigre_network_mv()


def _planted(tmp_path, nested):
    """A module that writes down that it was imported, and an object of it as a network file names it."""
    (tmp_path / "planted_module.py").write_text("import pathlib\npathlib.Path(__file__).with_name('imported').touch()\nx = dict\n")
    thing = {"_module": "planted_module", "_class": "x", "_object": {}}
    for _ in range(nested):
        thing = {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": json.dumps({"a": thing})}
    return thing


@pytest.mark.parametrize("nested", [0, 1, 2])
def test_no_module_that_a_network_file_names_is_imported(tmp_path, monkeypatch, net, nested):
    text = json.loads(pp.to_json(net))
    text["_object"]["extra"] = _planted(tmp_path, nested)
    (tmp_path / "net.json").write_text(json.dumps(text))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidSystemError, match=r"'planted_module.x' is no part of a network"):
        pandapower_system(tmp_path / "net.json")
    assert not (tmp_path / "imported").exists()
    assert "planted_module" not in sys.modules


@pytest.mark.parametrize("module", ["os", "subprocess", "builtins", "pandapower.test.loadflow", "pandas.io.pickle", "multiscale.cli"])
def test_modules_of_the_installation_are_no_part_of_a_network(tmp_path, module):
    (tmp_path / "net.json").write_text(json.dumps({"a": [{"_module": module, "_class": "eval", "_object": "1"}]}))
    assert len(foreign_objects(tmp_path / "net.json")) == 1


def test_controllers_are(tmp_path, net):
    pandapower.control.ConstControl(net, element="load", variable="p_mw", element_index=0)
    pp.to_json(net, str(tmp_path / "net.json"))
    assert foreign_objects(tmp_path / "net.json") == []
    pandapower_system(tmp_path / "net.json")


def _double(net):
    net.bus = pd.concat([net.bus, net.bus.iloc[:1]])


def _text(net):
    net.line["length_km"] = net.line["length_km"].astype(object)
    net.line.loc[3, "length_km"] = "long"


def _no_bus(net):
    net.load.loc[2, "bus"] = 999


def _no_table(net):
    net["bus"] = "bus"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_double, "bus '0': index 0 stands in several rows"),
        (_text, "line '3': length_km long is not a number"),
        (_no_bus, "load '2': bus 999 is no bus of the network"),
        (_no_table, "network 'all': bus is no table"),
    ],
)
def test_tables_that_are_none_of_a_network_are_named(net, spoil, message):
    spoil(net)
    assert message in "\n".join(map(str, table_problems(net)))
    with pytest.raises(InvalidSystemError, match="problem"):
        pandapower_system(net)


@pytest.mark.parametrize("text", ["", "[]", "{", "nonsense", '{"bus": 3}', "[" * 5000])
def test_files_that_hold_no_network_are_refused(tmp_path, text):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(InvalidSystemError):
        load_system("pandapower", path=tmp_path / "net.json")


@pytest.mark.parametrize("column", ["bus", "p_mw", "in_service"])
def test_numbers_in_a_column_without_a_type_are_numbers(column):
    plain, untyped = pandapower.networks.create_cigre_network_mv(), pandapower.networks.create_cigre_network_mv()
    untyped.load[column] = untyped.load[column].astype(object)
    expected, system = pandapower_system(plain), pandapower_system(untyped)
    xr.testing.assert_identical(system.devices, expected.devices)
    assert untyped.load[column].dtype == object


@pytest.mark.parametrize("value", ["a lot", None, -1e9])
def test_a_flag_that_is_neither_true_nor_false_is_refused(value):
    net = pandapower.networks.create_cigre_network_mv()
    net.load["in_service"] = net.load["in_service"].astype(object)
    net.load.loc[net.load.index[0], "in_service"] = value
    with pytest.raises(InvalidSystemError, match=r"in_service .* is neither true nor false"):
        pandapower_system(net)
