"""Networks as read, next to pandapower's own power flow at the same injections."""

import warnings

import pandapower as pp
import pandapower.control
import pytest

from multiscale.sources.matpower import read_case
from multiscale.sources.matpower_network import matpower_network
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


# -- MATPOWER ---------------------------------------------------------------------------------------------------------
TABLES = """function mpc = feeder
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [  %% (Pd and Qd in kW & kVAr)
 1 3 0 0 0 0 1 1 0 11 1 1 1;
 2 1 300 90 0 0 1 1 0 11 1 1.1 0.9;
 3 1 250 60 0 0 1 1 0 11 1 1.1 0.9;
];
mpc.gen = [
 1 0 0 10 -10 1 100 1 10 0 0 0 0 0 0 0 0 0 0 0 0;
];
mpc.branch = [
 1 2 0.60 0.30 0 5 0 0 0 0 1 -360 360;
 2 3 0.80 0.40 0 5 0 0 0 0 1 -360 360;
];
"""
IN_OHM = """[PQ, PV, REF, NONE, BUS_I, BUS_TYPE, PD, QD, GS, BS, BUS_AREA, VM, ...
    VA, BASE_KV, ZONE, VMAX, VMIN, LAM_P, LAM_Q, MU_VMAX, MU_VMIN] = idx_bus;
[F_BUS, T_BUS, BR_R, BR_X] = idx_brch;
Vbase = mpc.bus(1, BASE_KV) * 1e3;      %% in Volts
Sbase = mpc.baseMVA * 1e6;              %% in VA
mpc.branch(:, [BR_R BR_X]) = mpc.branch(:, [BR_R BR_X]) / (Vbase^2 / Sbase);
"""
IN_KW = "mpc.bus(:, [PD, QD]) = mpc.bus(:, [PD, QD]) / 1e3;\n"


def matpower(tmp_path, text):
    file = tmp_path / "feeder.m"
    file.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return matpower_network(file)


def test_statements_after_the_tables_are_executed(tmp_path):
    net = matpower(tmp_path, TABLES + IN_OHM + IN_KW)
    assert net.load.p_mw.tolist() == pytest.approx([0.3, 0.25])
    assert net.load.q_mvar.tolist() == pytest.approx([0.09, 0.06])
    assert net.line.r_ohm_per_km.tolist() == pytest.approx([0.60, 0.80])
    assert compare("kW and ohm", net).outcome == "same"


@pytest.mark.parametrize("pf", ["pf = 0.85;", "pf = 1.7 / 2;", "pf = sqrt(0.85^2);"])
def test_a_power_factor_is_applied_in_the_order_of_the_file(tmp_path, pf):
    text = (
        TABLES + IN_OHM + IN_KW + f"%% loads are kVA\n{pf}\nmpc.bus(:, QD) = mpc.bus(:, PD) * sin(acos(pf));\nmpc.bus(:, PD) = mpc.bus(:, PD) * pf;\n"
    )
    net = matpower(tmp_path, text)
    assert net.load.p_mw.tolist() == pytest.approx([0.255, 0.2125])
    assert net.load.q_mvar.tolist() == pytest.approx([0.3 * (1 - 0.85**2) ** 0.5, 0.25 * (1 - 0.85**2) ** 0.5])


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("mpc.bus(:, 3) = mpc.bus(:, 3) * factor;", "line 16: 'factor' is not known"),
        ("for k = 1:3", "line 16: 'for k = 1:3' is a statement that is not read; run it in MATPOWER and store the result with savecase"),
        ("mpc = scale_load(0.5, mpc);", "line 16: "),
        ("mpc.bus(:, 99) = 1;", "names row or column 99 of 13"),
        ("mpc.bus(:, [3 4]) = mpc.branch(:, [3 4]);", "assigns values of shape (2, 2) to 3 x 2"),
        ("x = [1 2", "has an opening bracket that nothing closes"),
        ("system('ls');", "line 16: "),
        ("if 1\nx = 1;", "line 16: the 'if' has no 'end'; close it"),
        ("if 0\nfor k = 1:3\nend", "line 16: the 'if' has no 'end'"),
        ("if 1\nwhile 1\nend\nend", "line 17: 'while 1' is a statement that is not read"),
        ("switch 1\ncase 1\nend", "line 16: 'switch 1' is a statement that is not read"),
        ("try\nend", "line 16: 'try' is a statement that is not read"),
        ("else", "line 16: 'else' does not follow an 'if'"),
        ("if 0\nelse\nelseif 1\nend", "line 18: 'elseif 1' does not follow an 'if'"),
        ("if 1\nbreak\nend", "line 17: 'break' is a statement that is not read"),
        ("mpc.bus(2, 3) = sqrt(-1);", "has no real number as its value"),
        ("mpc.bus(2, 3) = (-8)^(1/3);", "has no real number as its value"),
        ("mpc.bus(2, 3) = mpc.version;", "line 16: "),
        ("mpc.bus = [mpc.bus; 4 1 0];", "line 16: "),
        ("x = mpc.bus(:, 3) + mpc.branch(:, 3);", "joins tables of different shapes"),
        ("mpc.names = {'a', 3};", "line 16: "),
        ("x = [1_000 2];", "line 16: "),
        ("x = " + "(" * 3000 + "1" + ")" * 3000 + ";", "is nested too deeply"),
        ("if NaN\nx = 1;\nend", "line 16: 'NaN' is not a number"),
        ("mpc.bus(1:1e9, 3) = 1;", "names row or column 1000000000 of 3"),
        ("k = -1e9;\nmpc.bus(k:3, 3) = 1;", "names row or column -1000000000 of 3"),
        ("mpc.bus(:, 3:4) = [1; 2; 3];", "assigns values of shape (3, 1) to 3 x 2"),
        ("mpc.bus(2, 3) = NaN;", "mpc.bus row 2 PD nan is not a number; give a number"),
        ("mpc.branch(2, 4) = 1/0;", "mpc.branch row 2 BR_X inf is not a number"),
        ("mpc.bus(3, 10) = 0;", "mpc.bus row 3 BASE_KV 0 kV is not above zero"),
        ("mpc.gencost = [2 0 0 2 20 1; 2 0 0 2 20 1; 2 0 0 2 20 1];", "mpc.gencost 3 rows for 1 generators"),
        ("mpc.gencost = [1 0 0 3 0 0 1 50];", "mpc.gencost row 1 6 values are announced, but the table has 4 columns for them"),
        ("mpc.dcline = [1 9 1 0.1 0 0 0 1 1 0 1 -1 1 -1 1 0 0];", "mpc.dcline 9 is no bus of the case"),
        ("mpc.dcline = [1 3 1];", "mpc.dcline has fewer than 17 columns"),
        ("%{\nx = 1;", "the comment that '%{' begins has no '%}'"),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(tmp_path, statement, message):
    with pytest.raises(InvalidSystemError) as refused:
        matpower(tmp_path, TABLES + statement + "\n")
    assert message in str(refused.value)


LOAD_OF_BUS_2 = "mpc.bus(2, 3) = 300;\n"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("if 0\n%s elseif 1\nmpc.bus(2, 3) = 1;\nelse\n%s end\n", 1),
        ("if 0\n%s else\nmpc.bus(2, 3) = 2;\nend\n", 2),
        ("if 1, mpc.bus(2, 3) = 3; else, %s end\n", 3),
        ("if (1)\nif 0\n%s else\nmpc.bus(2, 3) = 4;\nend\nelse\n%s end\n", 4),
        ("x = 2;\nif x == 1\n%s elseif x == 2\nmpc.bus(2, 3) = 5;\nelseif x == 2\n%s end\n", 5),
        ("if 0\nfor k = 1:3\n%s end\nif 1\n%s end\nend\nmpc.bus(2, 3) = 6;\n", 6),
        ("mpc.bus(2, 3) = 7;\nreturn\n%s", 7),
        ("mpc.bus(2, 3) = 8;\nif 1\nreturn;\nend\n%s", 8),
        ("mpc.bus(2, 3) = 9;\nend\nfunction other\n%s", 9),
        ("a = mpc.bus;\na(2, 3) = 99;\nmpc.bus(2, 3) = 10;\n", 10),
        ("mpc.bus(2, 3) = 11;\na = mpc.bus;\nmpc.bus(2, 3) = 99;\nmpc.bus = a;\n", 11),
        ("mpc.areas = [];\nif mpc.areas\n%s end\nmpc.bus(2, 3) = 12;\n", 12),
        ("mpc.bus(2, 3) = 2^-2^2 * 16 - -1 + 12;\n", 14),
        ("mpc.bus(2, 3) = -2^2 + 19;\n", 15),
        ("mpc.gentype = {'GT', 'it''s'; 'CC', 'x'}; mpc.bus(2, 3) = 16;\n", 16),
        ("mpc.bus(2, 3) = 17;\n%{\n%{\n%}\n%s%}\n", 17),
        ("mpc.bus(2, 3) = 9 ... the first half\n + 9;\n", 18),
        ("[PQ, PV, REF, NONE, BUS_I, BUS_TYPE, PD] = idx_bus();\nmpc.bus_name = {'a...'; 'b % c'; 'd'};\nmpc.bus(2, PD) = 19;\n", 19),
    ],
)
def test_statements_are_executed_as_matlab_would(tmp_path, statements, expected):
    text = TABLES.replace(" 2 1 300", " 2 1 0") + statements.replace("%s", LOAD_OF_BUS_2)
    (tmp_path / "feeder.m").write_text(text)
    assert read_case(tmp_path / "feeder.m")["bus"][1, 2] == expected


def test_a_cubic_cost_is_refused(tmp_path):
    with pytest.raises(InvalidSystemError, match=r"mpc\.gencost row 1 4 has a polynomial of a higher than the second degree"):
        matpower(tmp_path, TABLES + "mpc.gencost = [2 0 0 4 1 2 3 4];\n")


def test_a_case_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "feeder.m").write_bytes(b"\xef\xbb\xbf" + TABLES.encode())
    assert read_case(tmp_path / "feeder.m")["bus"].shape == (3, 13)


def test_a_direct_current_line_of_a_case_is_one_of_the_network(tmp_path):
    net = matpower(tmp_path, TABLES + IN_OHM + IN_KW + "mpc.dcline = [1 3 1 0.2 0 0 0 1 1 0 1 -1 1 -1 1 0.01 0.05];\n")
    assert net.dcline[["p_mw", "loss_mw", "loss_percent", "vm_from_pu"]].to_numpy().tolist() == [[0.2, 0.01, 5.0, 1.0]]
    row = compare("direct current", net)
    assert row.outcome == "same"
    assert [a.component for a in row.system.approximations] == ["dcline 'dcline 1'"]


def test_a_branch_out_of_service_between_two_voltages_stays_out_of_service(tmp_path):
    text = TABLES.replace("0.9;\n];", "0.9;\n 4 1 0 0 0 0 1 1 0 20 1 1.1 0.9;\n];", 1).replace(
        "360;\n];", "360;\n 3 4 0.1 0.4 0 5 0 0 0 0 0 -360 360;\n];"
    )
    net = matpower(tmp_path, text + IN_OHM + IN_KW)
    assert net.impedance.in_service.tolist() == [False]


def test_a_second_unit_at_the_slack_is_a_constant_source(tmp_path):
    text = TABLES.replace("10 0 0 0 0 0 0 0 0 0 0 0 0;\n", "10 0 0 0 0 0 0 0 0 0 0 0 0;\n 1 0.2 0 1 -1 1 100 1 0.4 0 0 0 0 0 0 0 0 0 0 0 0;\n")
    system = pandapower_system(matpower(tmp_path, text + IN_OHM + IN_KW))
    assert system.generators.sizes["generator"] == 1
    assert [k for k in system.devices.kind.values.tolist() if k != "load"] == ["biomass"]


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
