"""A MATPOWER case as a pandapower network: pandapower's conversion of the tables after the statements of the file, with what it loses put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from multiscale.sources.matpower import read_case
from multiscale.system.problem import InvalidSystemError, Problem

BR_STATUS, TAP = 10, 8
MODEL, NCOST, POLYNOMIAL = 0, 3, 2
DCLINE_WIDTH = 17


def matpower_network(path: Path) -> Any:
    """The network of a case file (version 2).

    Raises:
        InvalidSystemError: a file that is not read in full, with the line.
    """
    fields = read_case(path)
    from pandapower.converter.pypower import from_ppc

    case = {"baseMVA": float(fields["baseMVA"]), "version": "2", **{k: fields[k].copy() for k in ("bus", "gen", "branch")}}
    if isinstance(fields.get("gencost"), np.ndarray):
        case["gencost"] = fields["gencost"].copy()
    # pandapower counts from zero; a ratio of zero means a line in MATPOWER.
    case["bus"][:, 0] -= 1
    case["gen"][:, 0] -= 1
    case["branch"][:, :2] -= 1
    case["branch"][case["branch"][:, TAP] == 0, TAP] = 1
    problems = _cost_problems(path, case)
    if problems:
        raise InvalidSystemError(problems)
    cubic = [k for k, row in enumerate(case.get("gencost", np.zeros((0, 4)))) if row[MODEL] == POLYNOMIAL and row[NCOST] > 3]
    if cubic:
        message = "has a polynomial of a higher than the second degree; give a quadratic or a piecewise linear cost"
        raise InvalidSystemError(
            [Problem("file", str(path), f"mpc.gencost row {k + 1}", f"{case['gencost'][k, NCOST]:g}", "", message) for k in cubic]
        )
    try:
        net = from_ppc(case, f_hz=50.0)
    except (ValueError, LookupError, AssertionError, UserWarning) as error:
        message = f"cannot be converted by pandapower ({type(error).__name__}: {error}); correct the table it speaks of"
        raise InvalidSystemError([Problem("file", str(path), "tables", "", "", message)]) from None
    if len(net.impedance):
        kind, row = net._from_ppc_lookups["branch"]["element_type"], net._from_ppc_lookups["branch"]["element"]
        mine = np.flatnonzero(kind.to_numpy() == "impedance")
        net.impedance.loc[row.iloc[mine].astype(int), "in_service"] = case["branch"][mine, BR_STATUS].astype(bool)
    _direct_current_lines(net, path, fields)
    names = fields.get("bus_name")
    net.bus["name"] = names if isinstance(names, list) and len(names) == len(net.bus) else [f"bus {k}" for k in fields["bus"][:, 0].astype(int)]
    return net


def _cost_problems(path: Path, case: dict[str, Any]) -> list[Problem]:
    """Cost tables without a row for every generator, and rows without the values that they announce."""
    rows, units = case.get("gencost"), len(case["gen"])
    if rows is None:
        return []
    if len(rows) not in (units, 2 * units):
        message = f"rows for {units} generators; give one for each (or two: active power, then reactive power)"
        return [Problem("file", str(path), "mpc.gencost", str(len(rows)), "", message)]
    values = np.where(rows[:, MODEL] == POLYNOMIAL, 1, 2) * rows[:, NCOST]
    short = ~(values <= rows.shape[1] - NCOST - 1)
    message = f"values are announced, but the table has {rows.shape[1] - NCOST - 1} columns for them; give all of them"
    return [Problem("file", str(path), f"mpc.gencost row {k + 1}", f"{values[k]:g}", "", message) for k in np.flatnonzero(short)]


def _direct_current_lines(net: Any, path: Path, fields: dict[str, Any]) -> None:
    """Adds ``mpc.dcline``, which pandapower's conversion leaves out: power at the from bus, losses ``LOSS0 + LOSS1 P``, voltages at both ends."""
    import pandapower as pp

    rows = fields.get("dcline")
    if rows is None or not np.size(rows):
        return
    if not isinstance(rows, np.ndarray) or rows.shape[1] < DCLINE_WIDTH or np.isnan(rows[:, :DCLINE_WIDTH]).any():
        message = f"has fewer than {DCLINE_WIDTH} columns, or values that are missing; give them all"
        raise InvalidSystemError([Problem("file", str(path), "mpc.dcline", "", "", message)])
    number = {int(bus): int(k) for bus, k in zip(fields["bus"][:, 0], net.bus.index, strict=True)}
    unknown = [f"{bus:g}" for bus in rows[:, :2].ravel() if int(bus) not in number]
    if unknown:
        raise InvalidSystemError([Problem("file", str(path), "mpc.dcline", unknown[0], "", "is no bus of the case; give the number of one")])
    for k, row in enumerate(rows):
        pp.create_dcline(
            net, number[int(row[0])], number[int(row[1])], p_mw=row[3], loss_mw=row[15], loss_percent=100.0 * row[16], vm_from_pu=row[7],
            vm_to_pu=row[8], min_q_from_mvar=row[11], max_q_from_mvar=row[12], min_q_to_mvar=row[13], max_q_to_mvar=row[14],
            in_service=bool(row[2]), name=f"dcline {k + 1}",
        )  # fmt: skip
