"""Energy accounts of platforms, and the proof that nothing was lost or made."""

from __future__ import annotations

import numpy as np

from multiscale.operation import OperatingTree
from multiscale.programs import ParametricProgram

ENERGY_TERMS = ("demand", "photovoltaics", "import", "export", "peer to peer", "curtailed", "unserved", "storage losses")


def energy_account(tree: OperatingTree, platform: str, schedule: np.ndarray) -> tuple[np.ndarray, float]:
    """Energy of a platform over the year from one day's schedule [kWh/a], in the order of ENERGY_TERMS, and the residual.

    Where prosumers trade alone, each with the supplier, what one feeds in and another draws is export and import, and none of it is traded
    between them.

    The residual is what remains of ``import - export + photovoltaics + unserved - demand - storage losses``, relative to the demand [1].
    """
    program, hours = tree.platforms[platform], tree.horizon.hours_per_year
    fleet = tree.fleets[platform]

    def total(name: str) -> float:
        return float((hours * program.columns.array(name, schedule).values).sum()) if name in program.columns else 0.0

    accounts = [device.energy(fleet, total) for device in fleet.devices.values()]
    demand = float((hours * fleet.data.demand.values).sum()) + sum(a.consumed for a in accounts)
    used, curtailed, storage = (sum(getattr(a, name) for a in accounts) for name in ("generated", "curtailed", "lost"))
    imported, exported, traded = total("import"), total("export"), 0.0
    if "buy" in program.columns:
        if _trade_alone(program):
            imported, exported = total("buy"), total("sell")
        else:
            traded = max(total("buy") - imported, 0.0)
    terms = np.array([demand, used, imported, exported, traded, curtailed, total("unserved"), storage])
    balance = terms[2] - terms[3] + terms[1] + terms[6] - demand - storage
    return terms, abs(balance) / max(demand, 1.0)


def _trade_alone(program: ParametricProgram) -> bool:
    """Whether every prosumer pays the charge on what it draws itself, and none on what the platform imports as a whole."""
    paying = np.zeros(program.columns.size)
    paying[program.outputs["import_energy"].matrix.indices] = 1.0
    return bool(program.columns.array("buy", paying).values.any())
