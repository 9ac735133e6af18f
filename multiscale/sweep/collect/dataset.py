"""The dataset of a sweep: everything the jobs computed, with the swept keys as further dimensions, in the order in which they were swept.

value[k1, ..., kn, ...]  =  value of the job with the k1-th value of the first swept key, ...; NaN (or an empty text) where it has none
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from multiscale.sweep.collect.job_table import JOB_COLUMNS, numeric, swept_names
from multiscale.sweep.collect.labels import Labels
from multiscale.sweep.collect.output_file import OutputFile
from multiscale.sweep.collect.run_file import RunFile, Stored
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.states import JobState

BATCH_BYTES = 256_000_000
"""Values that are held in memory at the same time; a single variable may be larger [B]."""

TEXT_BYTES = 60
"""Memory that a text is taken to need [B]."""

_TEXT = h5py.string_dtype()
_MEANINGS = {
    "job_number": "number of the job in the sweep",
    "job_state": "how the job ended: why values are missing",
    "job_message": "why the job has no answer",
    "job_seconds": "time the job took",
    "job_folder": "run folder of the job",
}


class SweepDataset:
    """What the jobs of a sweep computed, ready to be written.

    Args:
        folder: of the sweep.
        manifest: its jobs.
        states: how they stand.
        chosen: variables to take; None takes all.

    Raises:
        SweepError: a variable that no job has.
    """

    def __init__(self, folder: Path, manifest: Manifest, states: Sequence[JobState], chosen: Collection[str] | None) -> None:
        self._manifest, self._states = manifest, states
        self._files = {state.job.number: run_folder(folder, state.job) / "result.nc" for state in states if state.answered}
        self._at = {state.job.number: state.job.at for state in states}
        self._labels = Labels()
        self._variables: dict[str, Stored] = {}
        there: dict[str, None] = {}
        for number, file in self._files.items():
            with RunFile(file, self._labels.dims, there) as run:
                self._labels.add(number, run)
                there |= dict.fromkeys(run.variables)
                for name in run.variables:
                    if name not in self._variables and (chosen is None or name in chosen):
                        self._variables[name] = run.stored(name)
        self._known = there
        unknown = [name for name in chosen or () if name not in there]
        if unknown:
            raise SweepError(f"--variables: no job has {', '.join(unknown)}; there are {', '.join(sorted(there)) or 'none'}")
        self._swept = swept_names(manifest, [*self._labels.dims, *there])
        self._shape = tuple(len(dimension.labels) for dimension in manifest.dimensions)

    def write(self, path: Path, values: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> None:
        """Write the dataset.

        Args:
            path: netCDF 4 file; replaced if it is there.
            values: summary of every job.
            units: unit of every key of the summary.

        Raises:
            OSError: the file cannot be written, e.g. because the disk is full.
        """
        with OutputFile(path) as file:
            with h5netcdf.File(file, "w") as out:
                out.attrs["title"] = f"sweep of {len(self._states)} jobs"
                out.attrs["source"] = f"multiscale {self._manifest.multiscale}"
                out.attrs["code_sha256"] = self._manifest.code_sha256
                out.dimensions = dict(zip(self._swept, self._shape, strict=True)) | {dim: self._labels.shape([dim])[0] for dim in self._used_dims()}
                self._write_labels(out)
                self._write_jobs(out, values, units)
                for batch in self._batches():
                    for name, array in self._read(batch).items():
                        stored = self._variables[name]
                        self._put(out, name, (*self._swept, *stored.dims), array, stored.attributes)
                        file.check()
            file.finish()

    def _used_dims(self) -> list[str]:
        used = {dim for stored in self._variables.values() for dim in stored.dims}
        return [dim for dim in self._labels.dims if dim in used]

    def _write_labels(self, out: h5netcdf.File) -> None:
        for name, dimension in zip(self._swept, self._manifest.dimensions, strict=True):
            attributes = {"units": dimension.unit, "long_name": dimension.meaning or f"choice of {dimension.key}", "swept": "yes"}
            self._put(
                out,
                name,
                (name,),
                np.asarray(dimension.labels, dtype=object if any(isinstance(v, str) for v in dimension.labels) else None),
                attributes,
            )
        for dim in self._used_dims():
            self._put(out, dim, (dim,), self._labels.of(dim), {})

    def _write_jobs(self, out: h5netcdf.File, values: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> None:
        columns: dict[str, list[Any]] = {
            "job_number": [state.job.number for state in self._states],
            "job_state": [state.state for state in self._states],
            "job_message": [state.message for state in self._states],
            "job_seconds": [state.seconds if state.answered else np.nan for state in self._states],
            "job_folder": [Path(state.job.run).name for state in self._states],
        }
        for name in JOB_COLUMNS:
            unit = {"job_seconds": "s", "job_number": "1"}.get(name, "")
            self._put(out, name, self._swept, self._of_jobs(columns[name]), {"units": unit, "long_name": _MEANINGS[name]})
        for key, unit in units.items():
            column = [found.get(key) for found in values]
            if not numeric(values, key):
                column = ["" if value is None else str(value) for value in column]
            taken = key in (*self._swept, *self._variables, *self._labels.dims, *JOB_COLUMNS)
            name = f"summary.{key}" if taken else key
            self._put(out, name, self._swept, self._of_jobs(column), {"units": unit, "long_name": f"summary value {key}"})

    def _of_jobs(self, column: Sequence[Any]) -> np.ndarray:
        text = any(isinstance(value, str) for value in column)
        array = np.full(self._shape, "" if text else np.nan, dtype=object if text else float)
        for state, value in zip(self._states, column, strict=True):
            if value is not None:
                array[state.job.at] = value
        return array

    def _batches(self) -> Iterator[list[str]]:
        """Variables that are held at the same time."""
        jobs, held = int(np.prod(self._shape, dtype=int)), 0
        batch: list[str] = []
        for name, stored in self._variables.items():
            size = jobs * self._labels.size(stored.dims) * (TEXT_BYTES if stored.text else 8)
            if batch and held + size > BATCH_BYTES:
                yield batch
                batch, held = [], 0
            batch.append(name)
            held += size
        if batch:
            yield batch

    def _read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Values of all jobs."""
        arrays = {}
        for name in names:
            stored = self._variables[name]
            shape = (*self._shape, *self._labels.shape(stored.dims))
            arrays[name] = np.full(shape, "", dtype=object) if stored.text else np.full(shape, np.nan)
        for number, file in self._files.items():
            places = self._labels.places(number)
            with RunFile(file, self._labels.dims, self._known) as run:
                for name in sorted({*names}.intersection(run.variables)):
                    dims, values = run.read(name)
                    if dims != self._variables[name].dims or (values.dtype.kind == "O") != self._variables[name].text:
                        what = f"variable '{name}' has dimensions ({', '.join(dims)}) or texts that other jobs have not"
                        raise SweepError(f"'{file}': {what}; collect them apart, or without it (--variables)")
                    at = [places[dim] for dim in dims]
                    if all(place is None for place in at):
                        arrays[name][self._at[number]] = values
                    else:
                        inside = np.ix_(*(np.arange(size) if place is None else place for place, size in zip(at, values.shape, strict=True)))
                        arrays[name][self._at[number]][inside] = values
        return arrays

    @staticmethod
    def _put(out: h5netcdf.File, name: str, dims: Sequence[str], array: np.ndarray, attributes: Mapping[str, Any]) -> None:
        text = array.dtype.kind == "O"
        packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if not text and array.size > 1000 else {}
        fill = np.nan if array.dtype.kind == "f" else None
        variable = out.create_variable(name, tuple(dims), dtype=_TEXT if text else array.dtype, fillvalue=fill, **packed)
        if array.size:
            variable[...] = array
        for key, value in attributes.items():
            variable.attrs[key] = value
