"""Published bilevel instances with linear or convex quadratic followers, as text, with their optima.

Data from the papers named, most of them collected in BASBLib (Paulavicius and Adjiman) and BOLIB (Zhou, Zemkoho, Tin). The leader's
variables are ``x``, the follower's ``y`` (``x1, x2, ...`` where there are several); rows are written as in the sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyomo.environ as pyo


@dataclass(frozen=True)
class Published:
    """One instance: bounds, leader objective and rows, follower objective and rows, optimum (None: infeasible), methods to try (none: all)."""

    name: str
    source: str
    x: dict
    y: dict
    F: str
    f: str
    g: tuple = ()
    G: tuple = ()
    optimum: float | None = None
    tolerance: float = 1e-4
    kinds: dict = field(default_factory=dict)
    methods: tuple = ()

    def model(self):
        """The Pyomo model and its follower block."""
        m = pyo.ConcreteModel(self.name)
        m.lower = pyo.Block()
        names = {}
        for owner, bounds in ((m, self.x), (m.lower, self.y)):
            for name, limits in bounds.items():
                variable = pyo.Var(bounds=limits, domain=self.kinds.get(name, pyo.Reals))
                owner.add_component(name, variable)
                names[name] = variable
        m.objective = pyo.Objective(expr=eval(self.F, {}, names))
        m.lower.objective = pyo.Objective(expr=eval(self.f, {}, names))
        m.rows = pyo.ConstraintList()
        m.lower.rows = pyo.ConstraintList()
        for owner, rows in ((m, self.G), (m.lower, self.g)):
            for row in rows:
                owner.rows.add(eval(row, {}, names))
        return m, m.lower


def box(names, low=0, high=10):
    return dict.fromkeys(names.split(), (low, high))


_FALK = ("-y1 + y2 + y3 <= 1", "2*x1 - y1 + 2*y2 - 0.5*y3 <= 1", "2*x2 + 2*y1 - y2 - 0.5*y3 <= 1")
_BARD = ("-x - y <= -3", "-2*x + y <= 0", "2*x + y <= 12", "3*x - 2*y <= 4")

INSTANCES = (
    # Linear leader and follower.
    Published("mb_2007_01", "Mitsos and Barton 2007", {}, box("y", -1, 1), "y", "-y", optimum=1.0),
    Published("mb_2007_02", "Mitsos and Barton 2007", {}, box("y", -1, 1), "y", "-y", G=("y <= 0",), optimum=None),
    Published("as_2013_01", "Allende and Still 2013", box("x", -10), box("y", -10), "-x - y", "y", ("x - y <= 0", "y <= 0"), optimum=0.0),
    Published(
        "cw_1988_01",
        "Clark and Westerberg 1988",
        box("x", 0, 30),
        box("y", 0, 30),
        "x - 4*y",
        "y",
        ("-2*x + y <= 0", "2*x + 5*y <= 108", "2*x - 3*y <= -4"),
        optimum=-37.0,
    ),
    Published(
        "lh_1994_01", "Liu and Hart 1994", box("x"), box("y"), "-x - 3*y", "y", ("-x + y <= 3", "x + 2*y <= 12", "4*x - y <= 12"), optimum=-16.0
    ),
    Published("sib_1997_02v", "Shimizu, Ishizuka and Bard 1997", box("x"), box("y"), "x - 4*y", "y", _BARD, optimum=-12.0),
    Published(
        "b_1984_01",
        "Bard 1984",
        box("x"),
        box("y"),
        "x + y",
        "-5*x - y",
        ("-x - 0.5*y <= -2", "-0.25*x + y <= 2", "x + 0.5*y <= 8", "x - 2*y <= 2"),
        optimum=28 / 9,
    ),
    Published(
        "aw_1990_01",
        "Anandalingam and White 1990",
        box("x", 0, 50),
        box("y", 0, 50),
        "-x - 3*y",
        "-x + 3*y",
        ("-x - 2*y <= -10", "x - 2*y <= 6", "2*x - y <= 21", "x + 2*y <= 38", "-x + 2*y <= 18"),
        optimum=-49.0,
    ),
    Published(
        "b_1991_01", "Bard 1991", box("x"), box("y1 y2"), "-x + 10*y1 - y2", "-y1 - y2", ("x + y1 <= 1", "x + y2 <= 1", "y1 + y2 <= 1"), optimum=-1.0
    ),
    Published(
        "b_1991_01v",
        "Bard 1991, variant",
        box("x"),
        box("y1 y2"),
        "-x + 10*y1 - 2*y2",
        "-y1 - y2",
        ("x + y1 <= 1", "x + y2 <= 1", "y1 + y2 <= 1"),
        optimum=-2.0,
    ),
    Published(
        "cw_1990_01",
        "Clark and Westerberg 1990",
        box("x", 0, 8),
        box("y1 y2", 0, 4),
        "-x - 3*y1 + 2*y2",
        "-y1",
        ("-2*x + y1 + 4*y2 <= 16", "8*x + 3*y1 - 2*y2 <= 48", "-2*x + y1 - 3*y2 <= -12"),
        optimum=-13.0,
    ),
    Published(
        "bf_1982_02",
        "Bard and Falk 1982",
        box("x1 x2"),
        box("y1 y2"),
        "-2*x1 + x2 + 0.5*y1",
        "x1 + x2 - 4*y1 + y2",
        ("-2*x1 + y1 - y2 <= -2.5", "x1 - 3*x2 + y2 <= 2", "x1 + x2 <= 2"),
        optimum=-3.25,
    ),
    Published(
        "bf_1982_01",
        "Bard and Falk 1982",
        box("x1 x2"),
        box("y1 y2 y3"),
        "-8*x1 - 4*x2 + 4*y1 - 40*y2 + 4*y3",
        "x1 + 2*x2 + y1 + y2 + 2*y3",
        _FALK,
        optimum=-26.0,
    ),
    Published(
        "s_1989_01",
        "Savard 1989",
        box("x1 x2"),
        box("y1 y2 y3"),
        "-8*x1 - 4*x2 + 4*y1 - 40*y2 + 4*y3",
        "2*y1 + y2 + 2*y3",
        ("-y1 + y2 + y3 <= 1", "4*x1 - 2*y1 + 4*y2 - y3 <= 2", "4*x2 + 4*y1 - 2*y2 - y3 <= 2"),
        G=("x1 + 2*x2 - y3 <= 1.3",),
        optimum=-14.6,
    ),
    Published(
        "ct_1982_01",
        "Candler and Townsley 1982",
        box("x1 x2"),
        box("y1 y2 y3 y4 y5 y6"),
        "-8*x1 - 4*x2 + 4*y1 - 40*y2 - 4*y3",
        "x1 + 2*x2 + y1 + y2 + 2*y3",
        ("-y1 + y2 + y3 + y4 == 1", "2*x1 - y1 + 2*y2 - 0.5*y3 + y5 == 1", "2*x2 + 2*y1 - y2 - 0.5*y3 + y6 == 1"),
        optimum=-29.2,
    ),
    Published(
        "bk_1984_a",
        "Bialas and Karwan 1984",
        box("x", 0, None),
        box("y1 y2", 0, None),
        "-x - y2",
        "-y2",
        ("x + y1 + y2 <= 3", "-x - y1 + y2 <= -1", "-x + y1 + y2 <= 1", "x - y1 + y2 <= 1", "y2 <= 0.5"),
        optimum=-2.0,
    ),
    Published(
        "bk_1984_b",
        "Bialas and Karwan 1984",
        box("x", 0, None),
        box("y", 0, None),
        "-y",
        "y",
        ("-x - 2*y <= -10", "x + 2*y <= 38", "-x + 2*y <= 18", "x - 2*y <= 6", "2*x - y <= 21"),
        optimum=-11.0,
    ),
    Published(
        "bb_1990_a",
        "Ben-Ayed and Blair 1990",
        box("x", 0, 1),
        box("y1 y2", 0, None),
        "-1.5*x - 6*y1 - y2",
        "-y1 - 5*y2",
        ("x + 3*y1 + y2 <= 5", "2*x + y1 + 3*y2 <= 5"),
        optimum=-2.5,
    ),
    Published(
        "g_2009",
        "Glackin, Ecker and Kupferschmid 2009",
        box("x1 x2", 0, None),
        box("y", 0, None),
        "-2*x1 + 4*x2 + 3*y",
        "-y",
        ("x1 + x2 + y <= 4", "2*x1 + 2*x2 + y <= 6"),
        G=("x1 - x2 <= -1",),
        optimum=6.0,
    ),
    Published(
        "hsw_1990",
        "Haurie, Savard and White 1990",
        box("x", None, None),
        box("y", None, None),
        "x + 5*y",
        "-y",
        ("-3*x + 2*y <= 6", "3*x + 4*y <= 48", "2*x - 5*y <= 9", "-x - y <= -8"),
        optimum=27.0,
    ),
    Published(
        "hhz_2009",
        "Hu, Huang and Zhang 2009",
        box("x", 0, None),
        box("y1 y2", 0, None),
        "-4*x - y1 - y2",
        "-x - 3*y1",
        ("x + y1 + y2 <= 25/9", "x + y2 <= 2", "y1 + y2 <= 8/9"),
        optimum=-79 / 9,
    ),
    Published(
        "lwsl_2007",
        "Lan, Wen, Shih and Lee 2007",
        box("x", 0, None),
        box("y", 0, None),
        "2*x - 11*y",
        "x + 3*y",
        ("x - 2*y <= 4", "2*x - y <= 24", "3*x + 4*y <= 96", "x + 7*y <= 126", "-4*x + 5*y <= 65", "-x - 4*y <= -8"),
        optimum=-936 / 11,
    ),
    Published(
        "md_2006_01",
        "Mersha and Dempe 2006",
        box("x", 0, None),
        box("y", 0, None),
        "x - 8*y",
        "y",
        ("5*x - 2*y <= 33", "-x - 2*y <= -9", "-7*x + 3*y <= 5", "x + y <= 15"),
        optimum=-39.0,
    ),
    Published(
        "md_2006_02",
        "Mersha and Dempe 2006",
        box("x", None, None),
        box("y", None, None),
        "-x - 2*y",
        "-y",
        ("-3*x + y <= -3", "3*x + y <= 30"),
        G=("-2*x + 3*y <= 12", "x + y <= 14"),
        optimum=-20.0,
    ),
    Published(
        "t_1993",
        "Tuy, Migdalas and Varbrand 1993",
        box("x1 x2", 0, None),
        box("y1 y2", 0, None),
        "-2*x1 + x2 + 0.5*y1",
        "-4*y1 + y2",
        ("-2*x1 + y1 - y2 <= -2.5", "x1 - 3*x2 + y2 <= 2"),
        G=("x1 + x2 <= 2",),
        optimum=-3.25,
    ),
    Published(
        "t_1994",
        "Tuy, Migdalas and Varbrand 1994",
        box("x1 x2", 0, None),
        box("y1 y2", 0, None),
        "3*x1 + 2*x2 + y1 + y2",
        "4*y1 + y2",
        ("-3*x1 - 5*x2 - 6*y1 - 2*y2 <= -15",),
        G=("x1 + x2 + y1 + y2 <= 4",),
        optimum=6.0,
    ),
    Published(
        "wjl_2005",
        "Wang, Jiao and Li 2005",
        box("x", 0, 1),
        box("y1 y2", None, None),
        "-100*x - 1000*y1",
        "-y1 - y2",
        ("x + y1 - y2 <= 1", "y1 + y2 <= 1"),
        optimum=-1000.0,
    ),
    # Quadratic followers, or products of leader and follower variables.
    Published(
        "as_1984_01",
        "Aiyoshi and Shimizu 1984",
        box("x1 x2", 0, 50),
        box("y1 y2", -10, 20),
        "2*x1 + 2*x2 - 3*y1 - 3*y2 - 60",
        "(y1 - x1 + 20)**2 + (y2 - x2 + 20)**2",
        ("-x1 + 2*y1 <= -10", "-x2 + 2*y2 <= -10"),
        G=("x1 + x2 + y1 - 2*y2 <= 40",),
        optimum=0.0,
    ),
    Published("b_1991_02", "Bard 1991", box("x", 2, 4), box("y1 y2"), "x + y2", "2*y1 + x*y2", ("x - y1 - y2 <= -4",), optimum=2.0),
    Published(
        "as_1981_01",
        "Aiyoshi and Shimizu 1981",
        {"x1": (0, 10), "x2": (0, 5), "x3": (0, 15), "x4": (0, 20)},
        {"y1": (0, 20), "y2": (0, 20), "y3": (0, 40), "y4": (0, 40)},
        "-(200 - y1 - y3)*(y1 + y3) - (160 - y2 - y4)*(y2 + y4)",
        "(y1 - 4)**2 + (y2 - 13)**2 + (y3 - 35)**2 + (y4 - 2)**2",
        ("0.4*y1 + 0.7*y2 <= x1", "0.6*y1 + 0.3*y2 <= x2", "0.4*y3 + 0.7*y4 <= x3", "0.6*y3 + 0.3*y4 <= x4"),
        G=("x1 + x2 + x3 + x4 <= 40",),
        optimum=-6600.0,
    ),
    Published(
        "b_1988_01",
        "Bard 1988",
        box("x"),
        box("y"),
        "(x - 5)**2 + (2*y + 1)**2",
        "(y - 1)**2 - 1.5*x*y",
        ("-3*x + y <= -3", "x - 0.5*y <= 4", "x + y <= 7"),
        optimum=17.0,
    ),
    Published(
        "b_1998_02",
        "Bard 1998",
        box("x1 x2", 0, 1),
        box("y", 0, 1),
        "0.5*(x1 - 0.8)**2 + 0.5*(x2 - 0.2)**2 + 0.5*(y - 1)**2",
        "0.5*y**2 - y - x1*y + 2*x2*y",
        optimum=0.0,
    ),
    Published(
        "b_1998_03",
        "Bard 1998",
        box("x1 x2", 0, 1),
        box("y", 0, 1),
        "0.5*(x1 - 1)**2 + 0.5*(x2 - 0.4)**2 + 0.5*(y - 0.8)**2",
        "0.5*y**2 - y - x1*y + 3*x2*y",
        optimum=0.0,
    ),
    Published(
        "b_1998_04",
        "Bard 1998",
        box("x", -100, 100),
        box("y", -100, 100),
        "(x - 1)**2 + (y - 1)**2",
        "0.5*y**2 + 500*y - 50*x*y",
        optimum=81.3279,
        tolerance=1e-4,
    ),
    Published("b_1998_05", "Bard 1998", box("x", -100, 100), box("y", 0, 100), "(x - 1)**2 + (y - 1)**2", "0.5*y**2 + 500*y - 50*x*y", optimum=1.0),
    Published(
        "cw_1990_02",
        "Clark and Westerberg 1990",
        box("x", 0, 8),
        box("y", 0, 8),
        "(x - 3)**2 + (y - 2)**2",
        "(y - 5)**2",
        ("-2*x + y <= 1", "x - 2*y <= -2", "x + 2*y <= 14"),
        optimum=5.0,
    ),
    Published(
        "d_1978_01",
        "De Silva 1978",
        box("x1 x2"),
        box("y1 y2", 0.5, 1.5),
        "x1**2 - 2*x1 + x2**2 - 2*x2 + y1**2 + y2**2",
        "(y1 - x1)**2 + (y2 - x2)**2",
        optimum=-1.0,
    ),
    Published("d_2000_01", "Dempe 2000", box("x", -0.5), box("y", -10, 11), "(-x + y + 1)**2", "x*y", ("-x - y <= 0", "-x + y <= 1"), optimum=0.0),
    Published(
        "fl_1995_01",
        "Falk and Liu 1995",
        box("x1 x2"),
        box("y1 y2", 0.5, 1.5),
        "x1**2 - 3*x1 + x2**2 - 3*x2 + y1**2 + y2**2",
        "(y1 - x1)**2 + (y2 - x2)**2",
        optimum=-2.25,
    ),
    Published("lmp_1987_01", "Lucchetti, Mignanego and Pieri 1987", box("x", 0, 1), box("y", 0, 1), "0.5*(1 - x) + x*y", "(x - 1)*y", optimum=0.0),
    Published(
        "sa_1981_01",
        "Shimizu and Aiyoshi 1981",
        box("x", 0, 15),
        box("y", 0, 20),
        "x**2 + (y - 10)**2",
        "(x + 2*y - 30)**2",
        ("x + y <= 20",),
        G=("-x + y <= 0",),
        optimum=100.0,
    ),
    Published(
        "sa_1981_02",
        "Shimizu and Aiyoshi 1981",
        {"x1": (0, 25), "x2": (0, 15)},
        box("y1 y2"),
        "(x1 - 30)**2 + (x2 - 20)**2 - 20*y1 + 20*y2",
        "(x1 - y1)**2 + (x2 - y2)**2",
        G=("x1 + 2*x2 >= 30", "x1 + x2 <= 25"),
        optimum=225.0,
    ),
    Published(
        "sc_1998_01",
        "Sahin and Ciric 1998",
        box("x", 0, 8),
        box("y"),
        "(x - 3)**2 + (y - 2)**2",
        "(y - 5)**2",
        G=("-2*x + y <= 1", "x - 2*y <= -2", "x + 2*y <= 14"),
        optimum=9.0,
    ),
    Published(
        "tmh_2007_01",
        "Tuy, Migdalas and Hoai-Phuong 2007",
        box("x"),
        box("y"),
        "x**2 + y**2",
        "-y",
        ("3*x + y <= 15", "x + y <= 7", "x + 3*y <= 15"),
        optimum=22.5,
    ),
    Published("y_1996_02", "Yezza 1996", box("x", 0, 1), box("y", 0, 1), "-(4*x - 3)*y + 2*x + 1", "-(1 - 4*x)*y - 2*x - 2", optimum=1.5),
    Published(
        "h_2013", "Hatz, Leyffer, Schloder and Bock 2013", box("x", -10), box("y1 y2", 0, None), "-x + 2*y1 + y2", "(x - y1)**2 + y2**2", optimum=0.0
    ),
    Published(
        "o_1990_1a",
        "Outrata 1990",
        box("x1 x2", -100, 100),
        box("y1 y2", 0, None),
        "0.1*(x1**2 + x2**2) + 0.5*((y1 - 3)**2 + (y2 - 4)**2) - 12.5",
        "0.5*(y1**2 - 4*y1*y2 + 5*y2**2) - x1*y1 - x2*y2",
        ("-0.333*y1 + y2 <= 2", "y1 - 0.333*y2 <= 2"),
        optimum=-8.9172,
        tolerance=1e-3,
    ),
)

NON_CONVEX = (
    Published("mb_2006_01", "Mitsos and Barton 2006", {}, box("y", -1, 1), "y", "-y**2"),
    Published("mb_2007_04", "Mitsos and Barton 2007", {}, box("y", -0.5, 1), "y", "-y**2"),
    Published("mb_2007_03", "Mitsos and Barton 2007", {}, box("y", -10), "y", "y**2", ("1 - y**2 <= 0",)),
    Published("integer", "a follower with an integer variable", box("x"), box("y"), "x - y", "y", ("x + y >= 1",), kinds={"y": pyo.Integers}),
    Published("bilinear_row", "leader variable times follower variable in a row", box("x"), box("y"), "x - y", "y", ("x*y >= 1",)),
)
