"""A MATPOWER case as a pandapower network: pandapower's conversion of the tables after the statements of the file, with what it loses put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from multiscale.sources.matpower import read_case
from multiscale.system.problem import InvalidSystemError, Problem

BR_STATUS, TAP = 10, 8
MODEL, NCOST, POLYNOMIAL = 0, 3, 2


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
    names = fields.get("bus_name")
    net.bus["name"] = names if isinstance(names, list) and len(names) == len(net.bus) else [f"bus {k}" for k in fields["bus"][:, 0].astype(int)]
    return net
