"""Energy accounts of platforms, and the proof that nothing was lost or made."""

from __future__ import annotations

import numpy as np

from multiscale.assessment.served import cut_off
from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import METERED_EXPORT, METERED_IMPORT, OperatingTree
from multiscale.operation.losses import COLUMNS as LOSS

ENERGY_TERMS = ("demand", "photovoltaics", "import", "export", "peer to peer", "curtailed", "unserved", "storage losses", "network losses")


def energy_account(tree: OperatingTree, platform: str, outcome: Outcome) -> tuple[np.ndarray, float]:
    """Energy of a platform over the year from one day's operation [kWh/a], in the order of ENERGY_TERMS, and the residual.

    What the operator cuts off at the platform's connection is not served, or curtailed, as what the platform itself does without. Imports and
    exports are those of the metering points: where every prosumer is metered by itself, what one feeds in and another draws is export and import, and
    none of it is traded between them. Network losses are those that the market counts in the platform's network.

    The residual is what remains of ``import - export + photovoltaics + unserved - demand - storage losses - network losses``, relative to the
    demand [1].
    """
    program, hours, schedule = tree.platforms[platform], tree.horizon.hours_per_year, outcome.platform_x[platform]
    fleet = tree.fleets[platform]

    def total(name: str) -> float:
        return float((hours * program.columns.values(name, schedule)).sum()) if name in program.columns else 0.0

    accounts = [device.energy(fleet, total) for device in fleet.devices.values()]
    demand = float((hours * fleet.arrays["demand"]).sum()) + sum(a.consumed for a in accounts)
    used, curtailed, storage = (sum(getattr(a, name) for a in accounts) for name in ("generated", "curtailed", "lost"))
    imported, exported = (float((hours * (program.outputs[name].matrix @ schedule)).sum()) for name in (METERED_IMPORT, METERED_EXPORT))
    # What is imported to be lost is not drawn by members: imports reach them less their losses.
    traded = max(total("buy") - max(imported - total(LOSS), 0.0), 0.0)
    shed, spilled = (float((hours * power).sum()) for power in cut_off(tree, outcome, platform))
    lost = total(LOSS)
    served, taken, generated = imported - shed, exported - spilled, used - spilled
    terms = np.array([demand, generated, served, taken, traded, curtailed + spilled, total("unserved") + shed, storage, lost])
    balance = terms[2] - terms[3] + terms[1] + terms[6] - demand - storage - lost
    return terms, abs(balance) / max(demand, 1.0)
