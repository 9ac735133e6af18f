"""A negotiation on disk: written after every round in one move, taken up where it was left."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

from multiscale.coordination.hierarchy import TreeNegotiation


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what to do."""


def _fingerprint(negotiated: TreeNegotiation) -> str:
    """What was negotiated about: the programs of all children, and how."""
    hashed = hashlib.blake2b(digest_size=16)
    for children in (negotiated.platforms, negotiated.plain):
        for child, key in children.keys.items():
            hashed.update(f"{child} {key}\n".encode())
    hashed.update(repr(negotiated.negotiation.options.method).encode())
    return hashed.hexdigest()


def keep(negotiated: TreeNegotiation, path: Path) -> None:
    """Write everything a restart needs; an interruption leaves the file before or the file after, never half of one."""
    negotiation = negotiated.negotiation
    content = {
        "fingerprint": _fingerprint(negotiated),
        "top": (negotiation.parent.kept(), negotiation.state, negotiated.top.limits),
        "branches": {d: (b.parent.kept(), b.negotiation.state, b.plans) for d, b in negotiated.branches.items()},
        "tangents": {node: burden.points for node, burden in negotiated.burdens.items()},
        "references": (negotiated.platforms.reference, negotiated.plain.reference),
    }
    temporary = path.with_name(path.name + ".partial")
    temporary.write_bytes(pickle.dumps(content))
    temporary.replace(path)


def take_up(negotiated: TreeNegotiation, path: Path) -> None:
    """Bring a newly set up negotiation to where the checkpoint left it. Only files that this program wrote may be read: they are pickles.

    Raises:
        CheckpointError: unreadable, or of another tree.
    """
    try:
        content = pickle.loads(path.read_bytes())
        fingerprint = content["fingerprint"]
    except (OSError, pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"checkpoint '{path}' cannot be read ({error}); delete it to begin anew") from error
    if fingerprint != _fingerprint(negotiated):
        raise CheckpointError(f"checkpoint '{path}' belongs to another tree or method; delete it to begin anew")
    for node, burden in negotiated.burdens.items():
        burden.points = content["tangents"][node]
    kept, state, limits = content["top"]
    negotiated.top.limits = limits
    negotiated.negotiation.parent.restore(kept, negotiated.top.program())
    negotiated.negotiation.state = state
    for dso, (kept, state, plans) in content["branches"].items():
        branch = negotiated.branches[dso]
        branch.parent.restore(kept, branch.program.program())
        branch.negotiation.state, branch.plans = state, plans
    negotiated.platforms.reference, negotiated.plain.reference = content["references"]
