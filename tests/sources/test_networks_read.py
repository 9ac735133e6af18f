"""Networks as read, next to pandapower's own power flow at the same injections."""

import warnings

import pandapower as pp
import pandapower.control
import pytest

from multiscale.sources.pandapower_devices import kind_of_source
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.system.problem import InvalidSystemError
from multiscale.system.validation import validate
from tests.made_once import empty_network
from tests.sources.published_networks import PUBLISHED
from tests.sources.read_networks import LOADING, VOLTAGE, compare, compare_simbench, totals_apart
from tests.sources.small_networks import OPEN_ENDS, SMALL, feeder, house

OF_THE_ORDINARY_SUITE = (
    "60 Hz", "ward", "switch with resistance", "impedance of two directions", "shunt of a table", "generator in the feeder",
    "names in several tables", "two grids, open between", "ring", "three windings", "unbalanced load", "two tap changers",
    "transformer the other way round", "low voltage alone, two feeders", "three windings twice", "a slack generator beside a grid",
    "a line to where it comes from", "a line beside a closed switch", "a part that nobody uses",
)  # fmt: skip
ADAPTED = {
    "case11_iwamoto": ["1 rings opened"],
    "lv_schutterwald": ["1 rings opened"],
    "case300": ["1 rings opened", "generators in feeders constant"],
    "case145": ["3 rings opened", "generators in feeders constant"],
    "case2848rte": ["2 rings opened", "generators in feeders constant"],
    "iceland": ["3 rings opened", "generators in feeders constant"],
}
"""Network -> what is modelled otherwise than by pandapower, whose network is changed accordingly before it is compared."""
SIMBENCH = (
    "1-LV-rural1--0-sw", "1-LV-rural2--1-sw", "1-LV-rural3--2-sw", "1-LV-semiurb4--0-sw", "1-LV-urban6--0-sw", "1-MV-rural--0-sw",
    "1-MV-semiurb--0-sw", "1-MV-urban--0-sw", "1-MV-comm--0-sw", "1-MVLV-rural-4.101-0-sw",
)  # fmt: skip


def same_as_pandapower(name):
    make, fields = SMALL[name]
    row = compare(name, make())
    assert row.outcome == "same", (row.outcome, row.message, row.d_losses, row.d_voltage, row.d_loading)
    assert {a.field for a in row.system.approximations} == fields


@pytest.mark.parametrize("name", OF_THE_ORDINARY_SUITE)
def test_a_small_network_is_read_as_pandapower_reads_it(name):
    same_as_pandapower(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SMALL) - set(OF_THE_ORDINARY_SUITE)))
def test_another_small_network_is_read_as_pandapower_reads_it(name):
    same_as_pandapower(name)


@pytest.mark.parametrize("name", OPEN_ENDS)
def test_what_branches_take_that_lead_nowhere_is_a_shunt(name):
    """Voltages are those of pandapower; what such a branch takes is its loss there, and a shunt here."""
    row = compare(name, OPEN_ENDS[name]())
    assert row.d_voltage <= VOLTAGE
    assert row.d_loading <= LOADING
    (note,) = [n for n in row.system.notes if "open at one end" in n and "lead out of the model" in n]
    shunts = float(row.system.buses.shunt_p_kw.sum())
    assert f"take {shunts:.4g} kW" in note
    assert shunts == pytest.approx(row.d_losses * row.losses_kw, rel=0.05)


def test_a_part_that_nothing_feeds_is_named_and_not_the_grid():
    net = feeder()
    near, far = (pp.create_bus(net, vn_kv=20.0, name=name) for name in ("apart", "apart end"))
    pp.create_line_from_parameters(net, near, far, length_km=1.0, name="line", r_ohm_per_km=0.2, x_ohm_per_km=0.1, c_nf_per_km=0.0, max_i_ka=0.3)
    pp.create_load(net, far, 0.3, name="unserved")
    (problem,) = validate(pandapower_system(net))
    assert "island 'apart', 'apart end' is 2 buses without a connection to its network" in str(problem)


def test_parallel_transformers_of_three_windings_that_differ_and_uneven_leakage_are_named():
    net = SMALL["three windings twice"][0]()
    net.trafo3w["vk_mv_percent"] = [11.0, 14.0]
    assert "trafo3w 'second': star point: has the star point of 'big'" in "\n".join(map(str, pandapower_system(net).approximations))
    net = house()
    net.trafo["leakage_reactance_ratio_hv"] = 0.7
    assert ("transformer 'unit'", "leakage_reactance_ratio_hv") in {(a.component, a.field) for a in pandapower_system(net).approximations}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_is_read_as_pandapower_reads_it(name):
    row = compare(name, PUBLISHED[name]())
    assert row.outcome == "same", (row.outcome, row.message, row.d_losses, row.d_voltage, row.d_loading)
    assert row.adapted == ADAPTED.get(name, [])


@pytest.mark.slow
@pytest.mark.parametrize("code", SIMBENCH)
def test_a_simbench_network_is_read_as_pandapower_reads_it(code):
    row = compare_simbench(code)
    assert row.outcome == "same", (row.message, row.d_losses, row.d_voltage, row.d_loading)


@pytest.mark.parametrize("lost", ["supply", "d2", "chp"])
def test_the_comparison_sees_a_unit_that_is_lost(lost):
    net = SMALL["generator in the feeder"][0]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(net, numba=False)
        system = pandapower_system(net)
    assert totals_apart(system, net) < 1e-9
    system = system.replace(
        devices=system.devices.isel(device=system.devices.device.values != lost),
        generators=system.generators.isel(generator=system.generators.generator.values != lost),
    )
    assert totals_apart(system, net) > 0.01


# -- costs and limits -------------------------------------------------------------------------------------------------
def test_a_cost_in_steps_is_one_unit_for_each():
    net = feeder()
    pp.create_pwl_cost(net, 0, "ext_grid", [[0, 1, 50], [1, 10, 200]])
    units = pandapower_system(net).generators
    assert units.p_max_kw.values.tolist() == [1000.0, 9000.0]
    assert units.cost_eur_per_kwh.values.tolist() == pytest.approx([0.05, 0.2])


def test_limits_of_voltages_and_supply_are_as_given():
    net = feeder()
    net.bus["min_vm_pu"], net.bus["max_vm_pu"] = 0.97, [0.99, 1.03, 1.03, 1.03, 1.03]
    net.ext_grid["max_p_mw"], net.ext_grid["min_p_mw"] = 3.0, 0.0
    system = pandapower_system(net)
    assert system.buses.v_max_pu.values.tolist() == [0.99, 1.03, 1.03, 1.03, 1.03]
    assert (float(system.generators.p_min_kw[0]), float(system.generators.p_max_kw[0])) == (0.0, 3000.0)


def test_grids_out_of_service_are_named():
    net = feeder()
    net.ext_grid["in_service"] = False
    with pytest.raises(InvalidSystemError, match="hold nothing that is in service; set in_service to true"):
        pandapower_system(net)


# -- where energy comes in, and what is missing -----------------------------------------------------------------------
def test_what_stands_at_a_bus_out_of_service_is_out_of_service():
    net = feeder()
    dead = pp.create_bus(net, 20.0, name="dead", in_service=False)
    pp.create_ext_grid(net, dead, name="old supply")
    pp.create_gen(net, dead, 0.3, name="old plant")
    system = pandapower_system(net)
    assert system.generators.generator.values.tolist() == ["supply"]
    assert compare("dead supply", net).outcome == "same"
    net.ext_grid = net.ext_grid.iloc[1:]
    with pytest.raises(InvalidSystemError, match=r"ext_grid and gen stand at buses out of service \(5\); set in_service of the bus to true"):
        pandapower_system(net)


def test_without_a_slack_the_first_generator_holds_the_reference_and_is_named():
    net = feeder()
    net.ext_grid = net.ext_grid.iloc[:0]
    pp.create_gen(net, 0, 1.0, vm_pu=1.01, name="plant")
    pp.create_gen(net, 3, 0.2, vm_pu=1.0, name="second")
    system = pandapower_system(net)
    (line,) = [a for a in system.approximations if a.field == "slack"]
    assert line.component == "gen 'plant'"
    assert not [a for a in system.approximations if a.component == "power flow"]
    assert system.generators.generator.values.tolist() == ["plant"]


def test_a_power_flow_without_a_solution_is_named():
    net = feeder(load=50.0)
    pp.create_gen(net, 4, 0.2, vm_pu=1.0, name="plant")
    (line,) = [a for a in pandapower_system(net).approximations if a.component == "power flow"]
    assert line.done.startswith("the file's own power flow has no solution")


def test_two_voltages_at_one_bus_are_refused_by_name():
    net = feeder()
    pp.create_gen(net, 3, 0.2, vm_pu=1.0)
    pp.create_gen(net, 3, 0.2, vm_pu=1.02)
    with pytest.raises(InvalidSystemError, match="power flow is refused by pandapower"):
        pandapower_system(net)


@pytest.mark.parametrize("table", ["bus", "line", "load", "trafo", "ext_grid", "sgen"])
def test_a_table_without_names_is_numbered(table):
    net = house()
    pp.create_sgen(net, 3, 0.01, type="PV", name="roof")
    net[table] = net[table].drop(columns="name")
    assert validate(pandapower_system(net)) == []


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("line", "in_service", None, "line 'all': in_service is missing; add the column"),
        ("load", "q_mvar", None, "load 'all': q_mvar is missing; add the column"),
        ("load", "q_mvar", float("nan"), "load 'home': q_mvar nan is missing; give a number"),
        ("trafo", "vkr_percent", float("nan"), "trafo 'unit': vkr_percent nan is missing; give a number"),
        ("ext_grid", "in_service", "no", "ext_grid 'supply': in_service no is neither true nor false"),
        ("line", "parallel", "two", "line '0': parallel two is not a number"),
    ],
)
def test_what_a_table_lacks_is_named(table, column, value, message):
    net = house()
    net[table] = net[table].drop(columns=column) if value is None else net[table].assign(**{column: value})
    with pytest.raises(InvalidSystemError) as refused:
        pandapower_system(net)
    assert message in str(refused.value)


def top_level(*generators, **costs):
    """A network of 110 kV with generators of (p_mw, max_p_mw, min_p_mw) at its second bus."""
    net = empty_network()
    buses = [pp.create_bus(net, 110.0, name=f"h{k}") for k in range(2)]
    pp.create_line_from_parameters(net, *buses, length_km=10.0, name="h0-h1", r_ohm_per_km=0.1, x_ohm_per_km=0.4, c_nf_per_km=9.0, max_i_ka=0.5)
    pp.create_ext_grid(net, buses[0], name="supply")
    pp.create_load(net, buses[1], 3.0, 0.5, name="town")
    for k, (p, most, least) in enumerate(generators):
        pp.create_gen(net, buses[1], p, vm_pu=1.0, max_p_mw=most, min_p_mw=least, name=f"g{k}")
    return net


NAN = float("nan")


def test_limits_of_zero_negative_outputs_and_least_outputs_are_kept_or_named():
    net = top_level((5.0, NAN, NAN), (5.0, 0.0, NAN), (-2.0, NAN, NAN), (-1.0, 0.0, -4.0), (0.0, NAN, NAN), (1.0, 6.0, -3.0), (4.0, 8.0, 2.0))
    net.ext_grid["min_p_mw"] = -10.0
    pp.create_poly_cost(net, 1, "gen", 1.0)
    system = pandapower_system(net)
    units = system.generators.to_dataframe()
    assert units["p_max_kw"].drop("supply").to_dict() == {"g0": 5e3, "g5": 6e3, "g6": 8e3}
    assert units["p_min_kw"].to_dict() == {"supply": -10e3, "g0": 0.0, "g5": -3e3, "g6": 0.0}
    devices = system.devices.to_dataframe()
    assert devices.loc[["g2", "g3"], "p_kw"].tolist() == [2e3, 1e3]
    assert set(devices.loc[["g2", "g3"], "kind"]) == {"load"}
    named = {(a.component, a.field) for a in system.approximations}
    assert {
        ("generator 'g0'", "max_p_mw"), ("2 generators 'g1', 'g4'", "max_p_mw"), ("generator 'g6'", "min_p_mw"), ("2 generators 'g2', 'g3'", "vm_pu")
    } <= named  # fmt: skip
    # The only cost of the table is that of a unit that supplies nothing.
    assert "4 generators without a cost are priced by the table of fuels" in system.notes
    assert not [note for note in system.notes if "cost table" in note]


def test_a_limit_of_zero_of_an_external_grid_is_one():
    net = top_level((5.0, 9.0, 0.0))
    net.ext_grid["max_p_mw"] = 0.0
    system = pandapower_system(net)
    assert system.generators.generator.values.tolist() == ["g0"]
    assert ("generator 'supply'", "max_p_mw") in {(a.component, a.field) for a in system.approximations}


def test_a_cost_that_is_missing_is_named_and_not_zero():
    net = top_level((5.0, 9.0, 0.0))
    pp.create_poly_cost(net, 0, "gen", NAN)
    with pytest.raises(InvalidSystemError, match="poly_cost '0': cp1_eur_per_mw nan is missing; give a number"):
        pandapower_system(net)


def test_a_step_that_the_table_of_a_shunt_does_not_hold_is_named():
    net = SMALL["shunt of a table"][0]()
    net.shunt["step"] = 9
    with pytest.raises(InvalidSystemError, match="shunt 'bank': step 9 has not one row of powers in shunt_characteristic_table"):
        pandapower_system(net)


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("PV", "pv"), ("pv_roof", "pv"), ("Solar", "pv"), ("supvision", ""), ("wind turbine", "wind"), ("winch", ""), ("waste", ""),
        ("water", "hydro"),
        ("CHP diesel", "biomass"), ("charger", ""), ("Residential fuel cell", ""), ("PV and wind", ""), ("WP10", "wind"), ("", ""),
        ("biogas", "biomass"),
    ],
)  # fmt: skip
def test_a_source_is_what_a_whole_word_of_its_type_says(stated, kind):
    assert kind_of_source(stated) == kind


def test_ratings_limits_and_controllers_that_are_not_used_are_named():
    net = house()
    pp.create_sgen(net, 3, 0.01, sn_mva=0.03, type="PV", name="roof")
    pp.create_storage(net, 3, 0.0, max_e_mwh=0.02, sn_mva=0.005, name="cell")
    pp.create_storage(net, 3, 0.004, max_e_mwh=0.02, sn_mva=0.009, name="other")
    net.storage["efficiency_percent"] = [NAN, 90.0]
    net.line["max_loading_percent"] = [60.0, 100.0]
    pandapower.control.ConstControl(net, element="load", variable="p_mw", element_index=0)
    system = pandapower_system(net)
    assert system.devices.to_dataframe().loc[["cell", "other"], ["p_kw", "efficiency"]].to_numpy().tolist() == [[5.0, 0.95], [4.0, 0.9]]
    assert {
        ("sgen 'roof'", "sn_mva"), ("storage 'other'", "sn_mva"), ("storage 'other'", "p_mw, q_mvar"), ("storage 'cell'", "efficiency_percent"),
        ("line 'cable'", "max_loading_percent"), ("controller 'ConstControl'", ""),
    } == {(a.component, a.field) for a in system.approximations}  # fmt: skip
