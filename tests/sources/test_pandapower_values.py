"""What the values of a pandapower network's tables mean, and which are refused by name."""

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from multiscale.sources.pandapower_net import pandapower_system
from multiscale.system.problem import InvalidSystemError
from multiscale.system.validation import validate
from tests.sources.small_networks import feeder, house


@pytest.mark.parametrize(
    ("given", "p_kw"),
    [
        ({"p_mw": 0.0, "sn_mva": 0.005}, 5.0),
        ({"p_mw": 0.0, "sn_mva": 0.005, "max_p_mw": np.inf, "min_p_mw": -np.inf}, 5.0),
        ({"p_mw": 0.002, "scaling": 0.5, "max_p_mw": 0.004}, 4.0),
        ({"p_mw": -0.002, "scaling": 0.5}, 1.0),
        ({"p_mw": 0.0}, 0.0),
        ({"p_mw": 0.0, "sn_mva": -0.005}, 0.0),
    ],
)
def test_a_storage_has_the_largest_power_that_is_stated_and_stands_idle_by_name_without_any(given, p_kw):
    net = house()
    pp.create_storage(net, 3, max_e_mwh=0.02, name="cell", **given)
    system = pandapower_system(net)
    device = system.devices.sel(device="cell")
    assert (str(device.kind.values), float(device.p_kw)) == ("battery", pytest.approx(p_kw))
    assert any("stands idle" in a.done for a in system.approximations if a.component == "storage 'cell'" and "max_p_mw" in a.field) == (p_kw == 0)


@pytest.mark.parametrize("points", [None, [], [[0, 5]], [[0, 5, np.nan]], [["a", 5, 1]], 5, [[5, 0, 3.0]], [[0, 5, 1.0], [7, 9, 2.0]]])
def test_a_cost_that_is_none_in_pieces_is_refused(points):
    net = feeder()
    pp.create_pwl_cost(net, 0, "ext_grid", [[0, 5, 10.0], [5, 9, 12.0]])
    pandapower_system(net)
    net.pwl_cost["points"] = pd.Series([np.array([[5, 9, 12.0], [0, 5, 10.0]])], index=net.pwl_cost.index, dtype=object)
    pandapower_system(net)
    net.pwl_cost["points"] = pd.Series([points], index=net.pwl_cost.index, dtype=object)
    with pytest.raises(InvalidSystemError, match="pwl_cost '0': points"):
        pandapower_system(net)


def test_the_own_power_flow_needs_no_reactance_and_an_impedance():
    net = feeder()
    pp.create_gen(net, 4, 0.2, vm_pu=1.0, name="plant")
    net.load = net.load.drop(columns=[c for c in net.load if c.startswith("const_")])
    net.line.loc[0, "x_ohm_per_km"] = 0.0
    assert validate(pandapower_system(net)) == []
    net.line.loc[0, "length_km"] = 0.0
    with pytest.raises(InvalidSystemError, match="line 'l0': length_km 0 km"):
        pandapower_system(net)


def test_what_pandapower_cannot_compute_is_refused_by_name():
    net = feeder()
    pp.create_gen(net, 4, 0.2, vm_pu=1.0, name="plant")
    net.load[["const_z_p_percent", "const_i_p_percent"]] = 70.0
    with pytest.raises(InvalidSystemError, match="less or equal"):
        pandapower_system(net)
    net.load["const_z_p_percent"] = "a lot"
    with pytest.raises(InvalidSystemError, match="const_z_p_percent a lot is not a number"):
        pandapower_system(net)


@pytest.mark.parametrize(("value", "right"), [("False", False), ("no", False), (None, True), (False, True), (0, True)])
def test_a_flag_is_true_or_false_or_empty_and_never_a_word(value, right):
    net = feeder()
    pp.create_gen(net, 4, 0.2, vm_pu=1.0, name="plant")
    net.gen["slack"] = pd.Series([value], index=net.gen.index, dtype=object)
    if right:
        assert "supply" in pandapower_system(net).generators.generator.values
    else:
        with pytest.raises(InvalidSystemError, match=r"gen 'plant': slack .* neither true nor false"):
            pandapower_system(net)
