"""Served rows out of audit files, whatever else lies in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.replay import audited as module
from app.replay.audited import AuditedRows, AuditedTraffic
from app.replay.lines import AuditLines
from app.reporting.period import Period
from app.telemetry.audit_files import audit_files
from tests.unit.replay.crafting import PAIRS
from tests.unit.reporting.crafting import VERSION, Line, batch, failed, feedback, line, rejected, served, write

WHOLE = Period()


def reader(folder: Path, period: Period = WHOLE) -> tuple[AuditedTraffic, AuditLines]:
    lines = AuditLines(audit_files(folder))
    return AuditedTraffic(lines, PAIRS, period), lines


def read(folder: Path, period: Period = WHOLE, limit: int | None = None) -> AuditedRows:
    """All rows of the folder as one."""
    traffic, _ = reader(folder, period)
    chunks = list(traffic.chunks(traffic.labels(), limit))
    return AuditedRows(
        np.vstack([chunk.rows for chunk in chunks]),
        [one for chunk in chunks for one in chunk.request_ids],
        [one for chunk in chunks for one in chunk.prediction_ids],
        np.concatenate([chunk.actual for chunk in chunks]),
    )


def test_single_rows_and_those_of_batches_are_alike(tmp_path: Path) -> None:
    """The ids of a batch's rows are made of its own and their positions; other events hold no served row."""
    write(tmp_path, [
        served("10:00:00", "aa", anomaly=1, features={"b": 2.0, "a": 1}),
        rejected("10:00:01", ("a", "nan")), failed("10:00:02"), line("audit.recovered", "10:00:03"),
        batch("10:00:04", "bb", [0, 1], "fallback"),
        batch("10:00:05", "cc", [0, 1], positions=[1, 3]),
    ])  # fmt: skip
    found = read(tmp_path)
    assert found.rows.tolist() == [[1, 2], [0, 2], [1, 2], [0, 2], [1, 2]]
    assert found.prediction_ids == [
        f"{VERSION}.primary.1.aa", f"{VERSION}.fallback.0.bb-0", f"{VERSION}.fallback.1.bb-1",
        f"{VERSION}.primary.0.cc-1", f"{VERSION}.primary.1.cc-3",
    ]  # fmt: skip
    assert found.request_ids == ["r"] * 5
    assert found.actual.tolist() == [-1] * 5


def test_feedback_finds_its_row_wherever_it_stands(tmp_path: Path) -> None:
    """In another worker's file, before or after, packed or not, on a row of a batch; even after the period."""
    write(tmp_path, [served("10:00:00", "aa"), batch("10:00:01", "bb", [1, 0, 1])])
    write(tmp_path, [feedback("10:00:09", f"{VERSION}.primary.1.bb-2", 0)], "predictions-20261120-8.jsonl.gz")
    late = {**feedback("23:00:00", f"{VERSION}.primary.0.aa", 1), "timestamp": "2026-11-25T10:00:00Z"}
    write(tmp_path, [late], "predictions-20261125-9.jsonl")
    period = Period(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    assert read(tmp_path, period).actual.tolist() == [1, -1, -1, 0]


def test_only_the_period_counts(tmp_path: Path) -> None:
    """Its end does not belong to it."""
    write(tmp_path, [served(f"10:00:0{second}", f"a{second}") for second in range(5)])
    period = Period(datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC), datetime(2026, 11, 20, 10, 0, 3, tzinfo=UTC))
    assert [one[-2:] for one in read(tmp_path, period).prediction_ids] == ["a1", "a2"]


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_rows_come_in_chunks_and_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, chunk_rows: int
) -> None:
    """A batch may be cut anywhere; the rows stay the same ones."""
    monkeypatch.setattr(module, "CHUNK_ROWS", chunk_rows)
    write(tmp_path, [served("10:00:00", "aa"), batch("10:00:01", "bb", [0] * 6), served("10:00:02", "cc")])
    traffic, _ = reader(tmp_path)
    chunks = list(traffic.chunks(traffic.labels(), limit))
    units = ["aa", *(f"bb-{place}" for place in range(6)), "cc"][:limit]
    assert [one.rpartition(".")[2] for chunk in chunks for one in chunk.prediction_ids] == units
    assert all(0 < len(chunk.rows) <= chunk_rows for chunk in chunks)
    assert sum(traffic.answered_by.values()) == len(units)


GOOD = served("10:00:00", "aa")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(json.dumps(GOOD).encode()[:80], id="torn"),
        pytest.param(json.dumps({**GOOD, "timestamp": "yesterday"}).encode(), id="no time"),
        pytest.param(json.dumps({**GOOD, "timestamp": "2026-11-20T10:00:00"}).encode(), id="no time zone"),
        pytest.param(json.dumps({**GOOD, "features": {"a": "1", "b": 2}}).encode(), id="no number"),
        pytest.param(json.dumps({**GOOD, "features": {"a": [1.0], "b": 2}}).encode(), id="a column in a single row"),
        pytest.param(json.dumps({**GOOD, "is_anomaly": [True]}).encode(), id="a decision in a column"),
        pytest.param(
            json.dumps(batch("10:00:00", "bb", [0, 1], features={"a": [1.0], "b": [1.0, 2.0]})).encode(), id="ragged"
        ),
        pytest.param(json.dumps(batch("10:00:00", "bb", [0, 1], positions=[4])).encode(), id="a position missing"),
        pytest.param(
            json.dumps(batch("10:00:00", "bb", [0], features={"a": [1.0] * 2, "b": [1.0] * 2})).encode(),
            id="a decision missing",
        ),
        pytest.param(
            json.dumps({**GOOD, "features": {"a": 1.0, "b": 1.0}}).replace("1.0", "1e999").encode(), id="huge"
        ),
    ],
)
def test_lines_that_are_not_ours_are_counted_and_nothing_else(tmp_path: Path, text: bytes) -> None:
    """The lines around them are read."""
    path = write(tmp_path, [GOOD])
    path.write_bytes(text + b"\n" + path.read_bytes() + text)
    traffic, lines = reader(tmp_path)
    rows = [row for chunk in traffic.chunks(traffic.labels(), None) for row in chunk.rows.tolist()]
    assert rows == [[1, 2]]
    assert lines.unreadable_lines == (2 if text else 1)


@pytest.mark.parametrize("entry", [
    pytest.param({**GOOD, "features": {"a": 1.0}}, id="one missing"),
    pytest.param({**GOOD, "features": {"a": 1.0, "b": 2.0, "c": 3.0}}, id="one more"),
    pytest.param({name: value for name, value in GOOD.items() if name != "features"}, id="none at all"),
])  # fmt: skip
def test_rows_of_another_contract_are_left_out_and_counted(tmp_path: Path, entry: Line) -> None:
    """A batch with all of its rows."""
    write(tmp_path, [entry, batch("10:00:00", "bb", [0, 1, 0], features={"x": [1.0] * 3}), GOOD])
    traffic, lines = reader(tmp_path)
    assert sum(len(chunk.rows) for chunk in traffic.chunks(traffic.labels(), None)) == 1
    assert (traffic.other_features, lines.unreadable_lines) == (4, 0)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """One is cut off within its packing, one was removed meanwhile; what could be read of them counts."""
    entries: list[Any] = [served("10:00:00", f"{number:018x}") for number in range(2_000)]
    packed = write(tmp_path, entries, "predictions-20261120-1.jsonl.gz")
    packed.write_bytes(packed.read_bytes()[:-40])
    removed = write(tmp_path, entries[:1], "predictions-20261120-2.jsonl")
    write(tmp_path, entries[:1], "predictions-20261120-3.jsonl")
    traffic, lines = reader(tmp_path)
    removed.unlink()
    assert 1 <= sum(len(chunk.rows) for chunk in traffic.chunks(traffic.labels(), None)) <= 2_000
    assert [problem.file for problem in lines.problems()] == [packed.name, removed.name]


def test_progress_reaches_the_size(tmp_path: Path) -> None:
    """Bytes on disk, packed or not."""
    write(tmp_path, [GOOD] * 50)
    write(tmp_path, [GOOD] * 50, "predictions-20261120-8.jsonl.gz")
    traffic, lines = reader(tmp_path)
    told: list[int] = []
    list(traffic.chunks(traffic.labels(), None, told.append))
    assert sum(told) == lines.size(WHOLE) == sum(path.stat().st_size for path in tmp_path.iterdir())
