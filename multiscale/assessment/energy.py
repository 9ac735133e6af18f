"""Energy accounts of platforms, and the proof that nothing was lost or made."""

from __future__ import annotations

import numpy as np

from multiscale.operation import METERED_EXPORT, METERED_IMPORT, OperatingTree

ENERGY_TERMS = ("demand", "photovoltaics", "import", "export", "peer to peer", "curtailed", "unserved", "storage losses")


def energy_account(tree: OperatingTree, platform: str, schedule: np.ndarray) -> tuple[np.ndarray, float]:
    """Energy of a platform over the year from one day's schedule [kWh/a], in the order of ENERGY_TERMS, and the residual.

    Imports and exports are those of the metering points: where every prosumer is metered by itself, what one feeds in and another draws is
    export and import, and none of it is traded between them.

    The residual is what remains of ``import - export + photovoltaics + unserved - demand - storage losses``, relative to the demand [1].
    """
    program, hours = tree.platforms[platform], tree.horizon.hours_per_year
    fleet = tree.fleets[platform]

    def total(name: str) -> float:
        return float((hours * program.columns.array(name, schedule).values).sum()) if name in program.columns else 0.0

    accounts = [device.energy(fleet, total) for device in fleet.devices.values()]
    demand = float((hours * fleet.data.demand.values).sum()) + sum(a.consumed for a in accounts)
    used, curtailed, storage = (sum(getattr(a, name) for a in accounts) for name in ("generated", "curtailed", "lost"))
    imported, exported = (float((hours * (program.outputs[name].matrix @ schedule)).sum()) for name in (METERED_IMPORT, METERED_EXPORT))
    traded = max(total("buy") - imported, 0.0)
    terms = np.array([demand, used, imported, exported, traded, curtailed, total("unserved"), storage])
    balance = terms[2] - terms[3] + terms[1] + terms[6] - demand - storage
    return terms, abs(balance) / max(demand, 1.0)
