import json
import sys

import pandapower as pp
import pandapower.control
import pandapower.networks
import pandas as pd
import pytest
import xarray as xr
from pandapower.io_utils import to_dict_of_dfs

from multiscale.sources import load_system
from multiscale.sources.pandapower_allowed import foreign_objects, plain_network_text
from multiscale.sources.pandapower_checks import table_problems
from multiscale.sources.pandapower_files import read_network
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.system.problem import InvalidSystemError
from tests.made_once import made_once
from tests.sources.small_networks import house


@pytest.fixture(scope="module")
def written():
    """A network as its file holds it."""
    return pp.to_json(house())


@pytest.fixture(scope="module")
def sheets():
    """A network as the sheets of its Excel file."""
    frames = to_dict_of_dfs(house())
    return {name: frames[name] for name in ("bus", "ext_grid", "parameters")}


@pytest.fixture
def net():
    return house()


def _planted(tmp_path, nested):
    """A module that writes down that it was imported, and an object of it as a network file names it."""
    (tmp_path / "planted_module.py").write_text("import pathlib\npathlib.Path(__file__).with_name('imported').touch()\nx = dict\n")
    thing = {"_module": "planted_module", "_class": "x", "_object": {}}
    for _ in range(nested):
        thing = {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": json.dumps({"a": thing})}
    return thing


@pytest.mark.parametrize("nested", [0, 1, 2])
def test_no_module_that_a_network_file_names_is_imported(tmp_path, monkeypatch, written, nested):
    text = json.loads(written)
    text["_object"]["extra"] = _planted(tmp_path, nested)
    (tmp_path / "net.json").write_text(json.dumps(text))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidSystemError, match=r"'planted_module.x' is no part of a network"):
        pandapower_system(tmp_path / "net.json")
    assert not (tmp_path / "imported").exists()
    assert "planted_module" not in sys.modules


@pytest.mark.parametrize("module", ["os", "subprocess", "builtins", "pandapower.test.loadflow", "pandas.io.pickle", "multiscale.cli"])
def test_modules_of_the_installation_are_no_part_of_a_network(module):
    text = json.dumps({"a": [{"_module": module, "_class": "eval", "_object": "1"}]})
    plain, named = plain_network_text(text)
    assert len(foreign_objects(named, "net.json")) == 1
    assert "_module" not in plain


def test_controllers_are_left_out_and_named(tmp_path, net):
    pandapower.control.ConstControl(net, element="load", variable="p_mw", element_index=0)
    pp.to_json(net, str(tmp_path / "net.json"))
    read = read_network(tmp_path / "net.json")
    assert read.controller.object.tolist() == ["ConstControl"]
    pd.testing.assert_frame_equal(read.line, pp.from_json(str(tmp_path / "net.json")).line)


HOSTILE = {"_module": "planted_module", "_class": "x", "_object": "{}"}
_FRAME = {"_module": "pandas.core.frame", "_class": "DataFrame", "orient": "split"}


def _in_a_cell(thing):
    return _FRAME | {"_object": json.dumps({"columns": ["object"], "index": [0], "data": [[thing]]})}


@pytest.mark.parametrize(
    "hostile",
    [
        _in_a_cell(HOSTILE),
        _in_a_cell(json.dumps(HOSTILE)),
        _in_a_cell("\ufeff " + json.dumps(HOSTILE)),
        _in_a_cell([{"a": HOSTILE}]),
        _in_a_cell({"_module": "pandapower.control.basic_controller", "_class": "Controller", "_object": json.dumps({"data_source": HOSTILE})}),
        _in_a_cell({"_module": "planted_module", "_class": "function", "_object": "x"}),
        _FRAME | {"_object": "{}", "dtype": HOSTILE},
        {"_module": "numpy", "_class": "array", "_object": [HOSTILE]},
        {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": json.dumps({"a": HOSTILE})},
        # What json refuses, and the parser of pandas does not.
        _FRAME | {"_object": json.dumps({"columns": ["object"], "index": [0], "data": [[HOSTILE]]}) + " trailing"},
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_no_way_of_naming_a_module_imports_it(tmp_path, monkeypatch, written, hostile, whole):
    _planted(tmp_path, 0)
    text = json.loads(written)
    text["_object"]["controller"] = hostile
    (tmp_path / "net.json").write_text(json.dumps(hostile if whole else text))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidSystemError):
        pandapower_system(tmp_path / "net.json")
    assert not (tmp_path / "imported").exists()
    assert "planted_module" not in sys.modules


@pytest.mark.parametrize("column", ["object", "recycle", "q_max_characteristic", "geo", "name"])
@pytest.mark.parametrize("sheet", ["bus", "controller"])
def test_no_module_that_a_cell_of_an_excel_file_names_is_imported(tmp_path, monkeypatch, sheets, sheet, column):
    _planted(tmp_path, 0)
    table = sheets["bus"].copy() if sheet == "bus" else pd.DataFrame(index=[0])
    table[column] = json.dumps(HOSTILE)
    with pd.ExcelWriter(tmp_path / "net.xlsx", engine="openpyxl") as writer:
        for name, frame in (sheets | {sheet: table}).items():
            frame.to_excel(writer, sheet_name=name)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidSystemError, match=r"'planted_module.x' is no part of a network"):
        pandapower_system(tmp_path / "net.xlsx")
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("path", ["{0}", "file://{0}", " {0}", 7])
def test_no_other_file_is_opened_in_place_of_a_table(tmp_path, written, path):
    other = tmp_path / "other.json"
    other.write_text(house().load.to_json(orient="split"))
    text = json.loads(written)
    text["_object"]["load"]["_object"] = path.format(other) if isinstance(path, str) else path
    (tmp_path / "net.json").write_text(json.dumps(text))
    with pytest.raises(InvalidSystemError, match="cannot be read as a pandapower network"):
        pandapower_system(tmp_path / "net.json")


def test_arguments_of_the_reader_of_tables_are_not_taken_from_the_file(written):
    text = json.loads(written)
    text["_object"]["load"] |= {"storage_options": {"a": 1}, "engine": "pyarrow", "compression": "zip", "lines": True}
    plain, _ = plain_network_text(json.dumps(text))
    assert set(json.loads(plain)["_object"]["load"]) == {"_module", "_class", "_object", "orient", "dtype"}


def _double(net):
    net.bus = pd.concat([net.bus, net.bus.iloc[:1]])


def _text(net):
    net.line["length_km"] = net.line["length_km"].astype(object)
    net.line.loc[1, "length_km"] = "long"


def _no_bus(net):
    net.load.loc[0, "bus"] = 999


def _no_table(net):
    net["bus"] = "bus"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_double, "bus '0': index 0 stands in several rows"),
        (_text, "line '1': length_km long is not a number"),
        (_no_bus, "load '0': bus 999 is no bus of the network"),
        (_no_table, "network 'all': bus is no table"),
        (lambda net: net.update(controller="x"), "network 'all': controller is no table"),
        (lambda net: net.update(controller=pd.DataFrame({"object": ["x"]})), "controller 'all': in_service is missing"),
        (lambda net: net.update(measurement=3), "network 'all': measurement is no table"),
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


cigre_network = made_once(pandapower.networks.create_cigre_network_mv)


@pytest.mark.parametrize("column", ["bus", "p_mw", "in_service"])
def test_numbers_in_a_column_without_a_type_are_numbers(column):
    plain = cigre_network()
    untyped = cigre_network()
    untyped.load[column] = untyped.load[column].astype(object)
    expected, system = pandapower_system(plain), pandapower_system(untyped)
    xr.testing.assert_identical(system.devices, expected.devices)
    assert untyped.load[column].dtype == object
