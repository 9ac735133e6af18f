"""Published instances of the libraries BOLIB (Zhou, Zemkoho, Tin) and BilevelJuMP (Dias Garcia and others) with quadratic or conic followers.

Problems and optima are from the papers named, read through the libraries. Where the optimum here differs from the published one, the source
says how.
"""

from __future__ import annotations

from tests.bilevel.published import Published, box

_FREE = (None, None)
_OUTRATA = ("-0.333*y1 + y2 <= 2", "y1 - 0.333*y2 <= 2")
_CALAMAI = ("x1 - y1 <= 1", "x2 - y2 <= 1", "x1 + y1 <= 1.5", "x2 + y2 <= 3", "x1 + y1 >= 1", "x2 + y2 >= 1")
_NORM = "y2**2 <= y1**2"

_CALAMAI_ROWS = (
    "13.24*x1 + 1.08*x2 - 4.32*x3 - 1.44*x4 - 10*y1 <= 1",
    "1.08*x1 + 10.36*x2 - 1.44*x3 - 0.48*x4 - 10*y2 <= 1",
    "13.24*x1 + 1.08*x2 - 4.32*x3 - 1.44*x4 + 10*y1 <= 1.5",
    "1.08*x1 + 10.36*x2 - 1.44*x3 - 0.48*x4 + 10*y2 <= 3",
    "13.24*x1 + 1.08*x2 - 4.32*x3 - 1.44*x4 + 10*y1 >= 1",
    "1.08*x1 + 10.36*x2 - 1.44*x3 - 0.48*x4 + 10*y2 >= 1",
)
_CALAMAI_COST = (
    "0.5*(197.2*x1**2 + 110.8*x2**2 + 302.8*x3**2 + 389.2*x4**2) + 32.4*x1*x2 - 129.6*x1*x3 - 43.2*x1*x4 - 43.2*x2*x3 - 14.4*x2*x4 - 32.4*x3*x4"
    " + 50*y1**2 + 50*y2**2 - 8.56*x1 - 9.52*x2 - 9.92*x3 - 16.64*x4 + 2"
)
_CALAMAI_FOLLOWER = "50*y1**2 + 50*y2**2 + (-132.4*x1 - 10.8*x2 + 43.2*x3 + 14.4*x4)*y1 + (-10.8*x1 - 103.6*x2 + 14.4*x3 + 4.8*x4)*y2"

QUADRATIC = (
    # Quadratic followers.
    Published(
        "as_2013_nonlinear",
        "Allende and Still 2013",
        box("x1 x2", 0, None),
        {"y1": _FREE, "y2": _FREE},
        "(x1 - 1)**2 + (x2 - 1)**2 + y1**2 + y2**2",
        "y1**2 + y2**2 - 2*x1*y1 - 2*x2*y2",
        ("(y1 - 1)**2 <= 0.25", "(y2 - 1)**2 <= 0.25"),
        G=("x1 <= 2", "y1 >= 0", "y2 >= 0"),
        optimum=1.0,
    ),
    Published(
        "b_1998_book",
        "Bard 1998",
        box("x1 x2", 0, 50),
        box("y1 y2", -10, 20),
        "(y1 - x1 + 20)**2 + (y2 - x2 + 20)**2",
        "2*x1 + 2*x2 - 3*y1 - 3*y2 - 60",
        ("x1 + x2 + y1 - 2*y2 <= 40", "2*y1 - x1 <= -10", "2*y2 - x2 <= -10"),
        optimum=0.0,
    ),
    Published(
        "b_1984_02",
        "Bard 1984 (-12.68, rounded); x1 squared and x2 squared in the follower's rows",
        box("x1 x2", 0, None),
        box("y1 y2", 0, None),
        "-x1**2 - 3*x2 - 4*y1 + y2**2",
        "2*x1**2 + y1**2 - 5*y2",
        ("-x1**2 + 2*x1 - x2**2 + 2*y1 - y2 <= 3", "-x2 - 3*y1 + 4*y2 <= -4"),
        G=("x1**2 + 2*x2 <= 4",),
        optimum=-12.67871,
    ),
    Published(
        "smd_2014_03",
        "Sinha, Malo and Deb 2014, problem 3",
        box("x1 x2", 0, None),
        box("y1 y2", 0, None),
        "-x1**2 - 3*x2**2 - 4*y1 + y2**2",
        "2*x1**2 + y1**2 - 5*y2",
        ("-x1**2 + 2*x1 - x2**2 + 2*y1 - y2 <= 3", "-x2 - 3*y1 + 4*y2 <= -4"),
        G=("x1**2 + 2*x2 <= 4",),
        optimum=-18.67871,
    ),
    *(
        Published(
            name,
            source,
            box("x", 0, None),
            box("y1 y2", 0, None),
            cost,
            "(2*y1 - 4)**2 + (2*y2 - 1)**2 + x*y1",
            ("4*x + 5*y1 + 4*y2 <= 12", "4*x - 4*y1 + 5*y2 <= 4", "-4*x - 5*y1 + 4*y2 <= -4", "-4*x + 4*y1 + 5*y2 <= 4"),
            optimum=optimum,
        )
        for name, source, cost, optimum in (
            ("b_1998_07", "Bard 1998 (-1.41, rounded)", "(x - 1)**2 + 2*y1**2 - 2*x", -38 / 27),
            ("smd_2014_06", "Sinha, Malo and Deb 2014, problem 6 (-1.2091 is the best known)", "(x - 1)**2 + 2*y1 - 2*x", -98 / 81),
        )
    ),
    Published(
        "smd_2014_08",
        "Sinha, Malo and Deb 2014, problem 8, whose objective is the absolute value",
        box("x1 x2", 0, 50),
        box("y1 y2", -10, 20),
        "(2*x1 + 2*x2 - 3*y1 - 3*y2 - 60)**2",
        "(y1 - x1 + 20)**2 + (y2 - x2 + 20)**2",
        ("2*y1 - x1 <= -10", "2*y2 - x2 <= -10"),
        G=("x1 + x2 + y1 - 2*y2 <= 40",),
        optimum=0.0,
        methods=("auto", "sos1", "product", "big_m"),
    ),
    Published(
        "cv_1994_b",
        "Calamai and Vicente 1994",
        {f"x{k}": _FREE for k in range(1, 5)},
        {"y1": _FREE, "y2": _FREE},
        "0.5*((x1 - 1)**2 + (x2 - 1)**2 + (x3 - 1)**2 + (x4 - 1)**2 + y1**2 + y2**2)",
        "0.5*(y1**2 + y2**2) - x1*y1 - x2*y2",
        _CALAMAI,
        optimum=0.3125,
    ),
    Published(
        "cv_1994_c",
        "Calamai and Vicente 1994, with variables transformed",
        {f"x{k}": _FREE for k in range(1, 5)},
        {"y1": _FREE, "y2": _FREE},
        _CALAMAI_COST,
        _CALAMAI_FOLLOWER,
        _CALAMAI_ROWS,
        optimum=0.3125,
        methods=("auto", "sos1"),
    ),
    Published(
        "hq_1958",
        "Henderson and Quandt 1958: a leader and a follower in a market for one good",
        box("x", 0, 200),
        box("y", 0, None),
        "(0.5*x + 0.5*y - 95)*x",
        "(y + 0.5*x - 100)*y",
        optimum=-9800 / 3,
    ),
    Published("hs_2011", "Henrion and Surowiec 2011, c = 2", {"x": _FREE}, {"y": _FREE}, "x**2 + 2*y", "0.5*y**2 - x*y", optimum=-1.0),
    Published("ls_2017_32", "Lampariello and Sagratella 2017, example 3.2", {"x": _FREE}, {"y": _FREE}, "x**2 + y**2", "(x + y - 1)**2", optimum=0.5),
    Published(
        "mq_2003_1",
        "Muu and Quy 2003",
        box("x", 0, 2),
        box("y1 y2", 0, None),
        "x**2 - 4*x + y1**2 + y2**2",
        "y1**2 + 0.5*y2**2 + y1*y2 + (1 - 3*x)*y1 + (1 + x)*y2",
        ("2*y1 + y2 - 2*x <= 1",),
        optimum=-2.0769,
    ),
    Published(
        "mq_2003_2",
        "Muu and Quy 2003 (0.6426 is the best known)",
        box("x1 x2", 0, None),
        box("y1 y2 y3", 0, None),
        "-7*x1 + 4*x2 + y1**2 + y3**2 - y1*y3 - 4*y2",
        "y1**2 + 0.5*y2**2 + 0.5*y3**2 + y1*y2 + (1 - 3*x1)*y1 + (1 + x2)*y2",
        ("2*y1 + y2 - y3 + x1 - 2*x2 <= -2",),
        G=("x1 + x2 <= 1",),
        optimum=23 / 36,
    ),
    *(
        Published(
            f"o_1990_1{letter}",
            f"Outrata 1990, example 1 ({known} is the best known)",
            {"x1": _FREE, "x2": _FREE},
            box("y1 y2", 0, None),
            f"{weight}*(x1**2 + x2**2) + 0.5*((y1 - 3)**2 + (y2 - 4)**2) - 12.5",
            cost,
            _OUTRATA,
            optimum=optimum,
        )
        for letter, weight, cost, known, optimum in (
            ("b", 1, "0.5*(y1**2 - 4*y1*y2 + 5*y2**2) - x1*y1 - x2*y2", -7.56, -7.57846),
            ("c", 0, "0.5*(y1**2 + 6*y1*y2 + 10*y2**2) - x1*y1 - x2*y2", -12, -11.99850),
            ("d", 0.1, "0.5*(y1**2 + 6*y1*y2 + 10*y2**2) - x1*y1 - x2*y2", -3.6, -3.6),
            ("e", 0.1, "0.5*(y1**2 + 6*y1*y2 + 10*y2**2) - y1*(2*x2 - x1) - y2*(3*x1 - 3*x2)", -3.15, -3.92),
        )
    ),
    Published(
        "o_1990_2a",
        "Outrata 1990, example 2 (0.5, rounded)",
        box("x", 0, None),
        box("y1 y2", 0, None),
        "0.5*((y1 - 3)**2 + (y2 - 4)**2)",
        "0.5*(y1**2 + y2**2) - (3 + 1.333*x)*y1 - x*y2",
        _OUTRATA,
        optimum=0.5015015,
    ),
    Published(
        "oc_2009",
        "Outrata and Cervinka 2009",
        {"x1": (None, 0), "x2": _FREE},
        {"y1": _FREE, "y2": (None, 0)},
        "-2*x1 - 0.5*x2 - y2",
        "y1 - y2 + x1*y1 + x2*y2 + 0.5*y1**2 + 0.5*y2**2",
        ("y2 <= y1", "y2 <= -y1"),
        optimum=0.0,
    ),
    Published(
        "y_1996_41",
        "Yezza 1996",
        {"x": _FREE},
        box("y", 0, None),
        "0.5*(y - 2)**2 + 0.5*(x - y - 2)**2",
        "0.5*y**2 + x - y",
        ("y <= x",),
        optimum=0.5,
    ),
    # Conic followers.
    Published(
        "f_2018_513",
        "Franke, Mehlitz and Pilecka 2018, example 5.1",
        {},
        {"y1": _FREE, "y2": _FREE, "y3": (0, None)},
        "-y2",
        "y3",
        ("y1**2 <= y3", "y1**2 + y2**2 <= 1"),
        optimum=-1.0,
    ),
    Published(
        "chi_2014_31",
        "Chi, Wan and Hao 2014, example 3.1",
        box("x", 2, 6),
        box("y1 y2", 0, None),
        "x + 3*y1 - 3*y2",
        "-y1 + y2",
        ("x + y1 - y2 <= 8", "x + 4*y1 - 4*y2 >= 8", "x + 2*y1 - 2*y2 <= 12", _NORM),
        optimum=12.0,
    ),
    Published(
        "chi_2014_32",
        "Chi, Wan and Hao 2014, example 3.2",
        box("x", 0, 6),
        {"y1": (0, None), "y2": (None, 0)},
        "x + 2*y1 + 2*y2",
        "-y1 - y2",
        ("x + y1 + y2 <= 8", "x + 3*y1 + 3*y2 >= 8", "-x + y1 + y2 <= 0", _NORM),
        G=("y1 + y2 <= 3",),
        optimum=6.0,
    ),
    Published(
        "chi_2014_33",
        "Chi, Wan and Hao 2014, example 3.3",
        box("x", 2, 6),
        {"y1": (0, None), "y2": _FREE, "y3": _FREE},
        "x + 3*y1",
        "-y1",
        ("x + y1 <= 8", "x + 4*y1 >= 8", "x + 2*y1 <= 12", "y2**2 + y3**2 <= y1**2"),
        optimum=12.0,
    ),
)

AT_THE_EDGE = Published(
    "d_1992_01",
    "Dempe 1992, with the bounds of BASBLib; the optimum is at x = 1, where the follower has no interior point",
    box("x", 1),
    box("y", 1),
    "(x - 3.5)**2 + (y + 4)**2",
    "(y - 3)**2",
    ("y**2 <= x",),
    optimum=31.25,
)
