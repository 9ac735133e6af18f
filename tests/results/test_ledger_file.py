"""The ledger of trades on the disk: what was written is read, and whatever is changed is found and named."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from multiscale import cli
from multiscale.results.run.ledger_file import CHAIN, COLUMNS, FOLDER, ROWS, TEXTS, read_ledger, verify_ledger, write_ledger

DAYS = ("2016-01-20", "2016-06-15")


def block(day, rows=400, seed=0):
    rng = np.random.default_rng(seed)
    labels = {"year": "2030", "scenario": "plan", "day": day}
    texts = {name: rng.choice([f"{name} {k}" for k in range(7)], rows) for name in TEXTS}
    numbers = {name: rng.uniform(0.01, 3.0, rows) for name in COLUMNS if name not in TEXTS}
    return labels, pd.DataFrame({**texts, **numbers, **labels})[list(COLUMNS)]


@pytest.fixture
def run(tmp_path):
    write_ledger(tmp_path, [block(day, seed=k) for k, day in enumerate(DAYS)])
    return tmp_path


def rewritten(run, change):
    """The ledger written again by others, its values changed."""
    path = run / FOLDER / ROWS
    table = pq.read_table(path).to_pandas().astype(dict.fromkeys(TEXTS, str))
    change(table)
    schema = pq.read_schema(path)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for day in DAYS:
            writer.write_table(pa.Table.from_pandas(table[table.day == day], schema=schema, preserve_index=False), row_group_size=10**6)
    chain = json.loads((run / FOLDER / CHAIN).read_text())
    return chain


def test_what_was_written_is_read_and_verified(run):
    written = pd.concat([block(day, seed=k)[1] for k, day in enumerate(DAYS)], ignore_index=True)
    pd.testing.assert_frame_equal(read_ledger(run), written, check_categorical=False, check_dtype=False)
    assert verify_ledger(run) == []
    assert cli.main(["ledger", "verify", str(run)]) == 0


def test_the_chain_depends_on_every_row_and_its_order(tmp_path):
    heads = set()
    for k, change in enumerate(
        (lambda t: t, lambda t: t.iloc[::-1], lambda t: t.iloc[:-1], lambda t: t.assign(price=t.price + 1e-15 * (t.index == 3)))
    ):
        (tmp_path / str(k)).mkdir()
        labels, rows = block(DAYS[0])
        heads.add(write_ledger(tmp_path / str(k), [(labels, change(rows))]))
    assert len(heads) == 4


@pytest.mark.parametrize("part", [ROWS, CHAIN])
def test_any_changed_byte_is_found_and_the_column_is_named(run, part):
    path = run / FOLDER / part
    whole = path.read_bytes()
    described = pq.read_metadata(run / FOLDER / ROWS)
    places = np.random.default_rng(1).integers(0, len(whole), 60)
    for place in places.tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        findings = verify_ledger(run)
        assert findings, place
        if part == CHAIN:
            assert CHAIN in str(findings[0])
            continue
        for number, day in enumerate(DAYS):
            for k in range(described.num_columns):
                column = described.row_group(number).column(k)
                start = column.dictionary_page_offset or column.data_page_offset
                if start <= place < start + column.total_compressed_size:
                    assert any(day in str(f) and column.path_in_schema in str(f) for f in findings), (place, findings)


def test_a_changed_value_is_named_by_row_and_column(run):
    def dearer(table):
        table.loc[517, "price"] += 1e-9

    from multiscale.results.run import ledger_file

    rewritten(run, dearer)
    chain = json.loads((run / FOLDER / CHAIN).read_text())
    # Who writes the file again writes its description again as well: rows and columns are still told by their digests.
    chain.pop("seal")
    chain["footer"] = ledger_file._footer_hash(run / FOLDER / ROWS)
    for entry, chunks in zip(chain["blocks"], ledger_file._chunks(run / FOLDER / ROWS), strict=True):
        entry["bytes"] = {name: ledger_file.hashlib.sha256(raw).hexdigest() for name, raw in chunks.items()}
    chain["seal"] = ledger_file.content_key(json.dumps(chain))
    (run / FOLDER / CHAIN).write_text(json.dumps(chain))
    findings = verify_ledger(run)
    assert len(findings) == 1
    assert "2016-06-15, row 117" in findings[0].where
    assert findings[0].what == "changed in column price"


def test_a_ledger_written_again_as_a_whole_is_told_by_the_head_in_the_provenance(tmp_path, capsys):
    labels, rows = block(DAYS[0])
    (tmp_path / "provenance.json").write_text(json.dumps({"ledger_head": write_ledger(tmp_path, [(labels, rows)])}))
    assert cli.main(["ledger", "verify", str(tmp_path)]) == 0
    assert "head of its chain: " in capsys.readouterr().out
    for file in (tmp_path / FOLDER).iterdir():
        file.unlink()
    (tmp_path / FOLDER).rmdir()
    write_ledger(tmp_path, [(labels, rows.assign(price=rows.price + 0.01))])
    assert "provenance.json" in str(*verify_ledger(tmp_path))
    assert cli.main(["ledger", "verify", str(tmp_path)]) == 1


def test_a_text_that_is_missing_is_a_value_of_its_own(tmp_path):
    labels, rows = block(DAYS[0])
    rows.loc[len(rows) - 1, "seller"] = "last"
    heads = set()
    for k, seller in enumerate(("last", None)):
        (tmp_path / str(k)).mkdir()
        changed = rows.copy()
        changed.loc[len(rows) - 1, "seller"] = seller
        heads.add(write_ledger(tmp_path / str(k), [(labels, changed)]))
        assert verify_ledger(tmp_path / str(k)) == []
    assert len(heads) == 2


def test_a_ledger_that_is_not_there_is_named(tmp_path, capsys):
    assert cli.main(["ledger", "verify", str(tmp_path)]) == 2
    assert "has no ledger" in capsys.readouterr().err


def test_a_run_without_trades_has_an_empty_ledger(tmp_path):
    write_ledger(tmp_path, [])
    assert read_ledger(tmp_path).empty
    assert verify_ledger(tmp_path) == []


def test_the_ledger_as_text(run, capsys):
    assert cli.main(["ledger", "csv", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(lines) == 801
