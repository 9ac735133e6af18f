"""What a worker loads before its first task: Dask imports this module, and then calls ``dask_setup``."""

from __future__ import annotations

import gc

import multiscale.operation  # noqa: F401  what tasks need


def dask_setup(worker: object) -> None:
    """Leave what was imported out of the search for garbage, which is made after every large task (``give_back_memory``)."""
    del worker
    gc.collect()
    gc.freeze()
