"""MATPOWER cases: statements executed as MATLAB would, what is not read refused with its line, and the network that follows."""

import warnings

import pytest

from multiscale.sources.matpower import read_case
from multiscale.sources.matpower_network import matpower_network
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.system.problem import InvalidSystemError
from tests.sources.read_networks import compare

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
