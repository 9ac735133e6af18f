"""A negotiation on disk: written after every round in one move, taken up where it was left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.tree import TreeNegotiation
from multiscale.files import write_atomically
from multiscale.packing import PackingError, packed_bytes, unpacked_bytes

FORMAT = 5
"""Of what a checkpoint holds; raised whenever that changes."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what to do."""


def keeping(negotiated: TreeNegotiation, folder: Path, name: str) -> Callable[[Negotiation], None]:
    """Take up the negotiation of this name where a folder has it, and return what keeps it there after every round.

    Raises:
        CheckpointError: what it holds under this name is unreadable or of another tree; later, that the folder cannot be written.
    """
    path = folder / f"{name}.negotiation"
    if path.exists():
        take_up(negotiated, path)

    def write(_: Negotiation) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            keep(negotiated, path)
        except OSError as error:
            message = f"coordination.checkpoints '{folder}' cannot be written ({error.strerror}); give another folder, or make it writable"
            raise CheckpointError(message) from error

    return write


def keep(negotiated: TreeNegotiation, path: Path) -> None:
    """Write everything a restart needs; an interruption leaves the file before or the file after, never half of one."""
    negotiation = negotiated.negotiation
    content = {
        "fingerprint": (FORMAT, negotiated.fingerprint),
        "top": (negotiation.parent.kept(), negotiation.state, negotiated.top.limits),
        "branches": {d: (b.parent.kept(), b.negotiation.state, b.plans, b.proven) for d, b in negotiated.branches.items()},
        "tangents": {node: error_pool.points for node, error_pool in negotiated.error_pools.items()},
        "references": (negotiated.platforms.reference, negotiated.plain.reference),
        "channel": negotiated.channel,
    }
    write_atomically(path, packed_bytes(content))


def take_up(negotiated: TreeNegotiation, path: Path) -> None:
    """Bring a newly set up negotiation to where the checkpoint left it. The file holds data, and reading it runs no code.

    Raises:
        CheckpointError: unreadable, or of another tree.
    """
    try:
        content = unpacked_bytes(path.read_bytes())
        fingerprint = content["fingerprint"]
    except (OSError, PackingError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint '{path}' cannot be read ({error}); delete it to begin anew") from error
    if fingerprint != (FORMAT, negotiated.fingerprint):
        message = "belongs to another tree, design, method or version; delete it to begin anew, or give this study a folder of its own"
        raise CheckpointError(f"checkpoint '{path}' {message}")
    for node, error_pool in negotiated.error_pools.items():
        error_pool.points = content["tangents"][node]
    kept, state, limits = content["top"]
    negotiated.top.limits = limits
    negotiated.negotiation.parent.restore(kept, negotiated.top.program())
    negotiated.negotiation.state = state
    for dso, (kept, state, plans, proven) in content["branches"].items():
        branch = negotiated.branches[dso]
        branch.parent.restore(kept, branch.program.program())
        branch.negotiation.state, branch.plans, branch.proven = state, plans, proven
    negotiated.platforms.reference, negotiated.plain.reference = content["references"]
    negotiated.channel = content["channel"]
