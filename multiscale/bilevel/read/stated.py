"""The followers a user lists, as one flat list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyomo.environ as pyo

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.followers import BlockFollower, ProgramFollower

Stated = ProgramFollower | BlockFollower


def stated_followers(model: Any, followers: Any) -> list[Stated]:
    """One entry for each follower.

    Args:
        model: the leader's model.
        followers: a block, an indexed block (its active members are followers), a ``BlockFollower``, a ``ProgramFollower``, or any iterable of these,
            such as ``model.low.values()``.

    Raises:
        BilevelError: no follower; a block that is deactivated, of another model, listed twice, or inside another follower (a trilevel problem).
    """
    found = [member for entry in _entries(followers) for member in _members(entry)]
    if not found:
        raise BilevelError("bilevel.solve needs at least one follower; a problem without followers is a single-level problem")
    blocks = {id(f.block): f for f in found if isinstance(f, BlockFollower)}
    if len(blocks) < sum(isinstance(f, BlockFollower) for f in found):
        names = [f.name for f in found]
        raise BilevelError(f"two followers share a name: {sorted(names)}; list each block once")
    for follower in blocks.values():
        if not follower.block.active:
            raise BilevelError(f"follower {follower.name!r} is deactivated")
        if follower.block.model() is not model:
            raise BilevelError(f"follower {follower.name!r} does not belong to the model {model.name!r}")
        if follower.block is model:
            raise BilevelError(f"follower {follower.name!r} is the leader's model itself; a follower is a block of it")
        parent = follower.block.parent_block()
        while parent is not None:
            if id(parent) in blocks:
                raise BilevelError(
                    f"follower {follower.name!r} is a block of follower {blocks[id(parent)].name!r}: a follower that leads another one makes the "
                    "problem trilevel, which is not supported; put both blocks in the leader's model if they answer the leader only"
                )
            parent = parent.parent_block()
    return found


def _entries(followers: Any) -> list[Any]:
    if isinstance(followers, BlockFollower | ProgramFollower) or hasattr(followers, "component_data_objects") or _is_component(followers):
        return [followers]
    if not isinstance(followers, Iterable) or isinstance(followers, str):
        raise BilevelError(f"followers: {followers!r} is neither a Pyomo Block, a BlockFollower, a ProgramFollower nor a list of these")
    return list(followers)


def _is_component(entry: Any) -> bool:
    return hasattr(entry, "ctype") and hasattr(entry, "is_indexed")


def _members(entry: Any) -> list[Stated]:
    if isinstance(entry, BlockFollower | ProgramFollower):
        return [entry]
    if getattr(entry, "ctype", None) is not pyo.Block:
        raise BilevelError(f"follower {getattr(entry, 'name', entry)!r} is neither a Pyomo Block nor a ProgramFollower")
    if not entry.is_indexed():
        return [BlockFollower(entry)]
    members: list[Stated] = [BlockFollower(member) for member in entry.values() if member.active]
    if not members:
        raise BilevelError(f"follower {entry.name!r} is an indexed block without active members")
    return members
