"""A result that does not fit on the disk is an error that says so, not the end of the process, and leaves nothing."""

import resource

import numpy as np
import pytest
import xarray as xr

from multiscale.results.data.dataset import read_dataset, write_dataset


def test_a_dataset_that_does_not_fit_is_an_error_and_leaves_nothing(tmp_path):
    numbers = np.random.default_rng(0).random(50_000)
    dataset = xr.Dataset(
        {"x": ("k", numbers, {"units": "1", "long_name": "random numbers"}), "name": ("k", ["a"] * len(numbers), {"long_name": "n"})}
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_dataset(dataset, tmp_path / "result.nc")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    write_dataset(dataset, tmp_path / "result.nc")
    assert (read_dataset(tmp_path / "result.nc")["x"].values == numbers).all()
