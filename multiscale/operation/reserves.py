"""Forecast errors in the programs of all levels: what a node keeps it corrects with its own reserves, the rest it hands to its parent.

The exchange of node n errs in period t with a standard deviation of s_nt [kW]: its own error e_nt and what its children hand it, u_ct,

    s_nt = sqrt(v'R v),   v = (e_nt, u_ct, ...),   R: correlation ``common`` between any two, 1 on the diagonal

(less than the sum, unless all err together). It hands u_nt <= s_nt to its parent at a price, and holds flexibility back for z standard deviations of
what it keeps, upward and downward alike,

    z (s_nt - u_nt) <= sum of reserves + cut_nt                                                  [kW]
    devices          see ``Device.add_reserve``: power and energy left for one period of use, upward and downward alike
    generators       reserve <= sum_g (largest_g - p_g),  reserve <= sum_g (p_g - least_g) + renewables in use
    cutting off      cut_nt: whatever is left, at the value of lost load

What is handed over takes network capacity on the way up: no line or transformer of the DSO carries more than its rating when all platforms behind it
err by z standard deviations of what they hand over, all in one direction,

    flow_lt + z sum_c (u_ct - refused_ct) <= rating_lt,   -flow_lt + z sum_c (u_ct - refused_ct) <= rating_lt      c: platforms behind l

and what a full line refuses is cut off, ``refused``. (The errors of a DSO's own customers are in the margin its ratings have.)

So a battery that is promised to the forecast errors is not there for the energy price, and the other way round: both are decided together.

A normal error asks ``s / sqrt(2 pi)`` on average of the upward reserve, and as much of the downward reserve. So in every hour one kW of
reserve costs: load shedding ``VOLL / (z sqrt(2 pi))``; a battery its wear, twice (used, and restored), for as much in both directions; a generator
``AVAILABLE``. The norm enters by its tangents, ``s >= g'v``, each a valid inequality, as many as are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.operation.distribution import DistributionProgram
from multiscale.programs import ParametricProgram, ProgramBuilder
from multiscale.programs.build import Term
from multiscale.system import Economics

AVAILABLE = 0.005
"""Price of holding a generator back [EUR/kWh]."""
USE = 1.0 / np.sqrt(2.0 * np.pi)
"""Mean of the positive part of a normal error, in standard deviations."""
PRECISION = 1e-6
"""A norm may be understated by so much, relative to itself."""


@dataclass(frozen=True)
class ForecastErrors:
    """A node's own forecast errors, and the reserves that must be held for them.

    Attributes:
        deviation: standard deviation of its own error [kW], (period,).
        coverage: standard deviations that are covered, z [1].
        common: correlation of any two errors [1].
        alone: whether every level holds reserves for its own errors only, and hands nothing on.
    """

    deviation: np.ndarray
    coverage: float
    common: float
    alone: bool = False

    def __post_init__(self) -> None:
        if self.coverage <= 0:
            raise ValueError(f"coverage of forecast errors {self.coverage:g} is not above zero; give one, or set the forecast errors to zero")

    def together(self, handed: np.ndarray) -> np.ndarray:
        """Standard deviation the node is left with [kW], (period,), when its children hand it so much [kW], (child, period)."""
        parts = np.vstack([self.deviation, handed])
        return np.sqrt((1.0 - self.common) * (parts**2).sum(axis=0) + self.common * parts.sum(axis=0) ** 2)


@dataclass
class ErrorPool:
    """The pooled forecast error of a parent: its own and what its children hand it, by the tangents of the norm that have been needed so far.

    Attributes:
        errors: of the parent.
        largest: most that each child can hand it [kW], (child, period).
        points: where tangents were taken: positions of periods, and what the children hand there [kW], (child, those periods).
    """

    errors: ForecastErrors
    largest: np.ndarray
    points: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        every = np.arange(len(self.errors.deviation))
        if not self.points:
            self.points = [(every, self.largest), (every, np.zeros_like(self.largest))]

    def shortfall(self, pooled: np.ndarray, handed: np.ndarray) -> np.ndarray:
        """By how much columns ``pooled_error`` [kW], (period,), understate the norm of what is handed [kW], (child, period); 0 within PRECISION."""
        true = self.errors.together(handed)
        return np.where(pooled < true * (1.0 - PRECISION) - 1e-9, true - pooled, 0.0)

    def understated(self, pooled: np.ndarray, handed: np.ndarray) -> np.ndarray:
        """The ``shortfall``; adds tangents where there is one."""
        short = self.shortfall(pooled, handed)
        if short.any():
            where = np.flatnonzero(short)
            self.points.append((where, handed[:, where]))
        return short

    def add(self, builder: ProgramBuilder, labels: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Add the columns ``pooled_error`` and their tangents; ``given``: positions of the parameter with what the children hand, (child, period)."""
        period, errors = {"period": labels}, self.errors
        most = errors.together(self.largest)
        pooled = builder.add_columns("pooled_error", period, unit="kW", upper=most, description="standard deviation of the pooled error")
        for k, (periods, handed) in enumerate(self.points):
            own = errors.deviation[periods]
            size = np.sqrt((1.0 - errors.common) * (own**2 + (handed**2).sum(axis=0)) + errors.common * (own + handed.sum(axis=0)) ** 2)
            there = size > 0  # at zero there is no tangent
            if not there.any():
                continue
            at, size = periods[there], size[there]
            total = errors.common * (own + handed.sum(axis=0))[there]
            slope = ((1.0 - errors.common) * handed[:, there] + total) / size
            own_part = ((1.0 - errors.common) * own[there] + total) / size * own[there]
            handed_terms: list[Term] = [(slope.T, given[:, at].T)] if len(given) else []
            builder.add_rows(
                f"tangent_{k}",
                {"period": labels[at]},
                [(1.0, pooled[at])],
                ">=",
                own_part,
                unit="kW",
                parameters=handed_terms,
                description="tangent of the norm of all errors",
            )
        return pooled


def platform_with_reserves(program: ParametricProgram, fleet: Fleet, economics: Economics, errors: ForecastErrors) -> ParametricProgram:
    """A platform's program (see ``platform_program``) with its forecast errors; new output ``uncertainty`` (period) [kW], what it hands on."""
    builder, horizon = ProgramBuilder.continuing(program), fleet.horizon
    period = {"period": horizon.labels}
    handed = _handed(builder, horizon.labels, errors, errors.deviation)
    held: list[Term] = [(1.0, _cut(builder, horizon.labels, horizon.hours_per_year, economics, errors.coverage, errors.deviation))]
    for device in fleet.devices.values():
        held += device.add_reserve(builder, program, fleet, use_price(device.use_cost, errors.coverage) * horizon.hours_per_year)
    needed = errors.coverage * errors.deviation
    builder.add_rows(
        "reserve_requirement", period, [*held, (errors.coverage, handed)], ">=", needed, unit="kW", description="reserves for the error that is kept"
    )
    return builder.build()


def distribution_with_reserves(
    program: ParametricProgram, own: DistributionProgram, labels: np.ndarray, hours: np.ndarray, economics: Economics, error_pool: ErrorPool
) -> ParametricProgram:
    """A DSO's program (see ``distribution_program``) with its forecast errors and those its platforms hand it.

    New parameters: ``uncertainty`` (platform, period) [kW], what each platform hands it, and ``uncertainty_price`` (period) [EUR/kWh per kW] of its
    parent. New output ``uncertainty`` (period) [kW], what it hands its parent. It has no flexibility of its own but cutting off.

    Args:
        program: the DSO's, its reinforcements fixed.
        own: the DSO's network and platforms.
        labels, hours: of its periods; hours of the year of each.
        economics: values.
        error_pool: its errors, and the tangents so far.
    """
    builder, errors = ProgramBuilder.continuing(program), error_pool.errors
    most = errors.together(error_pool.largest)
    price = builder.add_parameters("uncertainty_price", {"period": labels}, unit="EUR/kWh", description="price of handing over")
    given = _given(builder, labels, own.children)
    left = error_pool.add(builder, labels, given)
    handed = _handed(builder, labels, errors, most)
    if own.children:
        _keep_headroom(builder, program, own, labels, hours, economics, error_pool, given)
    builder.add_cost_parameter(handed, price, hours)
    builder.add_rows(
        "no_more", {"period": labels}, [(1.0, handed), (-1.0, left)], "<=", 0.0, unit="kW", description="no node hands over more than it bears"
    )
    cut = _cut(builder, labels, hours, economics, errors.coverage, most)
    kept: list[Term] = [(errors.coverage, left), (-errors.coverage, handed), (-1.0, cut)]
    builder.add_rows("reserve_requirement", {"period": labels}, kept, "<=", 0.0, unit="kW", description="reserves for the error that is kept")
    return builder.build()


def _keep_headroom(
    builder: ProgramBuilder,
    program: ParametricProgram,
    own: DistributionProgram,
    labels: np.ndarray,
    hours: np.ndarray,
    economics: Economics,
    error_pool: ErrorPool,
    given: np.ndarray,
) -> None:
    """Ratings keep room for what the platforms behind them hand over."""
    z, axes = error_pool.errors.coverage, {"refusing": np.array(own.children, dtype=str), "period": labels}
    cost = z * cutting_price(economics, z) * hours
    refused = builder.add_columns(
        "refused", axes, unit="kW", upper=error_pool.largest, cost=cost, description="standard deviation a full line does not let through"
    )
    handed_terms: list[Term] = [(1.0, given)]
    builder.add_rows("refused_most", axes, [(1.0, refused)], "<=", 0.0, unit="kW", parameters=handed_terms, description="no more than is handed over")
    tree = own.reduced.tree
    place = np.zeros((len(tree.buses), len(own.children)))
    place[own.child_bus, np.arange(len(own.children))] = 1.0
    behind = tree.below(place) > 0.5
    for direction, name in enumerate(("rating_forward", "rating_reverse")):
        if name in program.rows:
            fed, when = np.nonzero(own.reduced.rated[direction])
            row, child = np.nonzero(behind[fed])
            rows = program.rows[name].positions[row]
            builder.add_to_rows(rows, refused[child, when[row]], -z)
            builder.add_parameters_to_rows(rows, given[child, when[row]], -z)


@dataclass(frozen=True)
class GeneratorHeadroom:
    """What generators have left for forecast errors, in columns of a TSO's program.

    Attributes:
        output, most, least: positions of the generators' output in every period, and sums of its bounds [kW], (period,).
        curtailed, renewable: positions of curtailment in every period, and renewables available [kW], (period,).
    """

    output: Sequence[np.ndarray]
    most: np.ndarray
    least: np.ndarray
    curtailed: Sequence[np.ndarray]
    renewable: np.ndarray


def transmission_with_reserves(
    program: ParametricProgram,
    labels: np.ndarray,
    hours: np.ndarray,
    economics: Economics,
    error_pool: ErrorPool,
    children: Sequence[str],
    headroom: GeneratorHeadroom,
) -> ParametricProgram:
    """A TSO's program over all periods with its forecast errors and those its DSOs hand it; new parameter ``uncertainty`` (node, period) [kW].

    All generators hold back at one price, and the network is not looked at for it, so one column of every period stands for all of them.
    """
    builder, errors = ProgramBuilder.continuing(program), error_pool.errors
    most = errors.together(error_pool.largest)
    left = error_pool.add(builder, labels, _given(builder, labels, children))
    reserve = builder.add_columns(
        "reserve",
        {"period": labels},
        unit="kW",
        upper=errors.coverage * most,
        cost=AVAILABLE * hours,
        description="generators held back for forecast errors",
    )
    cut = _cut(builder, labels, hours, economics, errors.coverage, most)
    width = max([1, *(len(p) for p in (*headroom.output, *headroom.curtailed))])

    def wide(positions: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([np.concatenate([p, np.full(width - len(p), -1)]) for p in positions], dtype=int)

    output, curtailed = wide(headroom.output), wide(headroom.curtailed)
    held = (1.0, reserve)
    builder.add_rows("reserve_up", {"period": labels}, [held, (1.0, output)], "<=", headroom.most, unit="kW", description="output left upward")
    downward: list[Term] = [held, (-1.0, output), (1.0, curtailed)]
    builder.add_rows(
        "reserve_down", {"period": labels}, downward, "<=", headroom.renewable - headroom.least, unit="kW", description="output left downward"
    )
    kept: list[Term] = [(errors.coverage, left), (-1.0, reserve), (-1.0, cut)]
    builder.add_rows("reserve_requirement", {"period": labels}, kept, "<=", 0.0, unit="kW", description="reserves for the pooled error")
    return builder.build()


def holding_cost(program: ParametricProgram, x: np.ndarray) -> np.ndarray:
    """What a schedule holds back for forecast errors costs [EUR/a], (period,): reserves, what full lines refuse, customers to be cut off."""
    names = [b.name for b in program.columns if b.name.startswith("reserve") or b.name in ("refused", "cut")]
    held = (program.columns[name].positions for name in names)
    return sum((program.c0[p] * x[p]).reshape(-1, p.shape[-1]).sum(axis=0) for p in held)  # type: ignore[return-value]


def without_reserves(program: ParametricProgram, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and row duals of the program that forecast errors were added to: what was added comes last."""
    columns = [b.offset for b in program.columns if b.name in ("pooled_error", "handed")]
    rows = [
        b.offset for b in program.rows if b.name in ("refused_most", "reserve_requirement", "no_more") or b.name.startswith(("tangent_", "reserve_"))
    ]
    return x[: min(columns, default=len(x))], y[: min(rows, default=len(y))]


def _given(builder: ProgramBuilder, labels: np.ndarray, children: Sequence[str]) -> np.ndarray:
    axes = {"node": np.array(children, dtype=str), "period": labels}
    return (
        builder.add_parameters("uncertainty", axes, unit="kW", description="standard deviation handed by the node")
        if len(children)
        else np.zeros((0, 0))
    )


def _handed(builder: ProgramBuilder, labels: np.ndarray, errors: ForecastErrors, most: np.ndarray) -> np.ndarray:
    upper = np.zeros_like(most) if errors.alone else most
    handed = builder.add_columns("handed", {"period": labels}, unit="kW", upper=upper, description="standard deviation handed to the parent")
    builder.add_output("uncertainty", {"period": labels}, [(1.0, handed)], unit="kW", description="standard deviation handed to the parent")
    return handed


def _cut(builder: ProgramBuilder, labels: np.ndarray, hours: np.ndarray, economics: Economics, coverage: float, most: np.ndarray) -> np.ndarray:
    upper, cost = coverage * most, cutting_price(economics, coverage) * hours
    return builder.add_columns("cut", {"period": labels}, unit="kW", upper=upper, cost=cost, description="customers cut off for forecast errors")


def use_price(use_cost: float, coverage: float) -> float:
    """What one kW of a device costs that is held back for errors in both directions for an hour [EUR/kWh].

    What is used costs ``use_cost`` [EUR/kWh], and once more when it is made good.
    """
    return 2.0 * use_cost * 2.0 * USE / coverage


def cutting_price(economics: Economics, coverage: float) -> float:
    """What one kW of cutting off costs that covers errors for an hour [EUR/kWh]."""
    return economics.value_of_lost_load * USE / coverage
