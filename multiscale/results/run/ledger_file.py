"""The ledger of trades of a run: columns on the disk, every row with the hash of the row before, so that a changed byte is found and named.

    ledger/trades.parquet     the rows, see ``COLUMNS``; a row group for each block (a year, a scenario, a day)
    ledger/chain.json         of every block: hashes of its columns, of the bytes that hold them, and of its last row; seal of the whole

    digest of a row = SHA-256(digest of the row before, values of the row), its first 16 bytes

A value that was changed changes the digest of its row and the hash of its column, which names the cell. Who changes all of them as well is found out
by the head of the chain, the digest of the last row, where it is known elsewhere: the provenance of the run has it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from multiscale.content import content_key, file_hash
from multiscale.files import write_atomically

FOLDER, ROWS, CHAIN, PROVENANCE = "ledger", "trades.parquet", "chain.json", "provenance.json"

COLUMNS: Mapping[str, tuple[str, str]] = {
    "year": ("", "year of the study"),
    "scenario": ("", "scenario"),
    "day": ("", "first day of what was operated together"),
    "platform": ("", "platform"),
    "entry": ("", "trade, rebate of the operator, or what the operator owes upstream"),
    "period": ("", "start of the period; empty for what is settled for all of them"),
    "seller": ("", "who receives the money"),
    "buyer": ("", "who pays it"),
    "energy_class": ("", "class of energy"),
    "energy": ("kWh", "energy in every occurrence of the period"),
    "occurrences": ("1/a", "how often the period occurs in the year"),
    "price": ("EUR/kWh", "price of the energy"),
    "seller_fee": ("EUR/kWh", "fee of the seller to the operator of the platform"),
    "buyer_fee": ("EUR/kWh", "fee of the buyer to the operator of the platform"),
    "paid": ("EUR/a", "what the buyer pays in all"),
    "received": ("EUR/a", "what the seller receives"),
    "fee": ("EUR/a", "what the operator of the platform receives: paid less received"),
}
"""Columns of the ledger: unit and meaning."""

TEXTS = tuple(name for name, (unit, _) in COLUMNS.items() if not unit)
DIGEST = "digest"
DIGEST_BYTES = 16
START = bytes(DIGEST_BYTES)
"""What stands in place of the digest before the first row."""


@dataclass(frozen=True)
class Finding:
    """Something in a ledger that is not what was written.

    Attributes:
        where: file, block, row and column, as far as known.
        what: what is wrong there.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def write_ledger(folder: Path, blocks: Iterable[tuple[Mapping[str, str], pd.DataFrame]]) -> str:
    """Write the ledger of a run; returns the head of its chain.

    Args:
        folder: of the run.
        blocks: labels of each block (year, scenario, day), and its rows with the columns of ``COLUMNS``; one without rows is omitted.
    """
    place = folder / FOLDER
    place.mkdir()
    last, described = START, []
    types = [(name, pa.dictionary(pa.int32(), pa.string()) if name in TEXTS else pa.float64()) for name in COLUMNS]
    schema = pa.schema([*types, (DIGEST, pa.binary(DIGEST_BYTES))])
    units = {name: {"unit": unit, "meaning": meaning} for name, (unit, meaning) in COLUMNS.items()}
    schema = schema.with_metadata({"columns": json.dumps(units)})
    with pq.ParquetWriter(place / ROWS, schema, compression="zstd", write_page_checksum=True) as writer:
        for labels, rows in blocks:
            if rows.empty:
                continue
            cells = {name: _bytes(rows[name].to_numpy(), name in TEXTS) for name in COLUMNS}
            digests = _digests(cells, len(rows), last)
            last = digests[-1]
            columns = [_column(rows[name], name in TEXTS) for name in COLUMNS]
            columns.append(pa.array(digests, type=pa.binary(DIGEST_BYTES)))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=len(rows))
            hashes = {name: hashlib.sha256(cell.tobytes()).hexdigest() for name, cell in cells.items()}
            described.append({**labels, "rows": len(rows), "columns": hashes, "head": last.hex()})
    for block, chunks in zip(described, _chunks(place / ROWS), strict=True):
        block["bytes"] = {name: hashlib.sha256(raw).hexdigest() for name, raw in chunks.items()}
    chain = {"blocks": described, "head": last.hex(), "file": file_hash(place / ROWS), "footer": _footer_hash(place / ROWS)}
    write_atomically(place / CHAIN, json.dumps({**chain, "seal": content_key(json.dumps(chain))}, indent=1))
    return last.hex()


def read_ledger(folder: Path) -> pd.DataFrame:
    """All rows of a run's ledger, with the columns of ``COLUMNS``.

    Raises:
        FileNotFoundError: the run has none.
    """
    path = folder / FOLDER / ROWS
    if not path.is_file():
        raise FileNotFoundError(f"'{folder}' has no ledger ({FOLDER}/{ROWS})")
    return pq.read_table(path, columns=list(COLUMNS)).to_pandas()


def verify_ledger(folder: Path) -> list[Finding]:
    """What in a run's ledger is not what was written: empty where all of it is.

    Raises:
        FileNotFoundError: the run has none.
    """
    rows, chain_file = folder / FOLDER / ROWS, folder / FOLDER / CHAIN
    for path in (rows, chain_file):
        if not path.is_file():
            raise FileNotFoundError(f"'{folder}' has no ledger ({FOLDER}/{path.name} is missing)")
    try:
        chain = json.loads(chain_file.read_text(encoding="utf-8"))
        seal = chain.pop("seal")
        blocks, head = chain["blocks"], chain["head"]
    except (ValueError, KeyError, AttributeError, TypeError):
        return [Finding(f"{FOLDER}/{CHAIN}", "changed: it cannot be read any longer, so nothing else can be checked")]
    if seal != content_key(json.dumps(chain)):
        return [Finding(f"{FOLDER}/{CHAIN}", "changed: its seal does not match, so nothing else can be checked")]
    if _footer_hash(rows) != chain["footer"]:
        return [Finding(f"{FOLDER}/{ROWS}", "changed in its footer, which says where the columns are: nothing else can be read safely")]
    found: list[Finding] = []
    table, last = pq.ParquetFile(rows, page_checksum_verification=True), START
    for number, (block, chunks) in enumerate(zip(blocks, _chunks(rows), strict=True)):
        named = f"{block['scenario']} {block['year']}, {block['day']}"
        damaged = [name for name, raw in chunks.items() if hashlib.sha256(raw).hexdigest() != block["bytes"][name]]
        found += _block_findings(table, number, block, named, damaged, last)
        last = bytes.fromhex(block["head"])
    if last.hex() != head:
        found.append(Finding(f"{FOLDER}/{CHAIN}", "the head is not that of the last block"))
    if (recorded := _recorded_head(folder)) not in ("", head):
        found.append(Finding(f"{FOLDER}/{CHAIN}", f"the head is {head}, that in {PROVENANCE} is {recorded}: one of them was written again"))
    if not found and file_hash(rows) != chain["file"]:
        found.append(Finding(f"{FOLDER}/{ROWS}", "changed outside the values of its columns"))
    return found


def ledger_head(folder: Path) -> str:
    """The head of the chain of a run's ledger."""
    return str(json.loads((folder / FOLDER / CHAIN).read_text(encoding="utf-8"))["head"])


def _recorded_head(folder: Path) -> str:
    """The head as the provenance of the run has it; empty where there is none."""
    file = folder / PROVENANCE
    return str(json.loads(file.read_text(encoding="utf-8")).get("ledger_head", "")) if file.is_file() else ""


def _block_findings(table: pq.ParquetFile, number: int, block: Mapping[str, Any], named: str, damaged: list[str], before: bytes) -> Iterator[Finding]:
    """What is wrong in one block: by the bytes of its columns, and where they can be read, by row and column."""
    values: dict[str, np.ndarray] = {}
    for name in (*COLUMNS, DIGEST):
        try:
            values[name] = table.read_row_group(number, columns=[name]).column(0).to_pandas().to_numpy()
        except (OSError, pa.ArrowException) as error:
            yield Finding(f"{named}, column {name}", f"changed; its values cannot be read any longer ({str(error).splitlines()[0]})")
    unread = [name for name in (*COLUMNS, DIGEST) if name not in values]
    cells = {name: _bytes(values[name], name in TEXTS) for name in COLUMNS if name in values}
    changed = [name for name, cell in cells.items() if hashlib.sha256(cell.tobytes()).hexdigest() != block["columns"][name]]
    rows: list[int] = []
    if not unread and len({len(v) for v in values.values()}) == 1:
        stored = values[DIGEST].tolist()
        chained = [before, *stored[:-1]]
        rows = [k for k, digest in enumerate(_digests_after(cells, chained)) if digest != stored[k]]
        if stored and stored[-1] != bytes.fromhex(block["head"]) and len(stored) - 1 not in rows:
            rows.append(len(stored) - 1)
    for k in rows[:20]:
        who = ", ".join(str(values[name][k]) for name in ("platform", "period", "seller", "buyer"))
        columns = ", ".join(changed) if changed else DIGEST
        yield Finding(f"{named}, row {k} ({who})", f"changed in column {columns}" if len(changed) < 2 else f"changed in one of the columns {columns}")
    if len(rows) > 20:
        yield Finding(named, f"{len(rows) - 20} more rows changed")
    if not rows:
        for name in [*changed, *(n for n in damaged if n not in changed and n not in unread)]:
            yield Finding(f"{named}, column {name}", "changed")


def _column(values: pd.Series, text: bool) -> pa.Array:
    return pa.array(values, type=pa.string()).dictionary_encode() if text else pa.array(values, type=pa.float64())


def _bytes(values: np.ndarray, text: bool) -> np.ndarray:
    """A column as bytes, (row, byte): numbers as they are, texts by their hash."""
    if not text:
        return np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(len(values), 8)
    codes, names = pd.factorize(values, use_na_sentinel=False)  # a text that is missing is a value of its own
    hashed = [hashlib.sha256(str(name).encode()).digest()[:DIGEST_BYTES] for name in names]
    known = np.frombuffer(b"".join(hashed), dtype=np.uint8).reshape(len(names), DIGEST_BYTES)
    return known[codes]


def _digests(cells: Mapping[str, np.ndarray], rows: int, last: bytes) -> list[bytes]:
    """Digest of every row, each with that of the row before."""
    content = np.concatenate([cells[name] for name in COLUMNS], axis=1) if rows else np.zeros((0, 1), dtype=np.uint8)
    width, flat, digests = content.shape[1], memoryview(content.tobytes()), []
    for k in range(rows):
        last = hashlib.sha256(last + flat[k * width : (k + 1) * width]).digest()[:DIGEST_BYTES]
        digests.append(last)
    return digests


def _digests_after(cells: Mapping[str, np.ndarray], before: list[bytes]) -> list[bytes]:
    """Digest of every row, after given digests of the rows before."""
    content = np.concatenate([cells[name] for name in COLUMNS], axis=1)
    width, flat = content.shape[1], memoryview(content.tobytes())
    return [hashlib.sha256(last + flat[k * width : (k + 1) * width]).digest()[:DIGEST_BYTES] for k, last in enumerate(before[: len(content)])]


def _chunks(path: Path) -> Iterator[dict[str, bytes]]:
    """The bytes that hold every column, block after block."""
    described = pq.read_metadata(path)
    with path.open("rb") as stream:
        for number in range(described.num_row_groups):
            group, found = described.row_group(number), {}
            for column in (group.column(k) for k in range(group.num_columns)):
                start = column.dictionary_page_offset or column.data_page_offset
                stream.seek(start)
                found[column.path_in_schema] = stream.read(column.total_compressed_size)
            yield found


def _footer_hash(path: Path) -> str:
    """Hash of the end of a Parquet file, which describes the rest; of the whole file where its length is not credible."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(size - 8, 0))
        length = int.from_bytes(stream.read(4), "little") + 8
        stream.seek(max(size - length, 0))
        return hashlib.sha256(stream.read()).hexdigest()
