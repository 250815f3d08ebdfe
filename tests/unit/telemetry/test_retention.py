"""Old audit files go, those in use stay, and whatever is not the audit's is left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.telemetry.audit import PredictionLogger
from app.telemetry.audit_files import audit_files
from app.telemetry.retention import SWEEP_INTERVAL_S, AuditRetention
from tests.fakes import MemorySink, logger

NOON = 1_795_262_400.0
"""2026-11-21 12:00 UTC."""


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "audit"
    made.mkdir()
    return made


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


def retention(
    folder: Path | None, sink: MemorySink, *, days: int = 0, size: int = 0, clock: Clock | None = None
) -> AuditRetention:
    return AuditRetention(
        folder, logger(sink), keep_days=days, keep_bytes=size, wall_clock=lambda: NOON, clock=clock or Clock()
    )


def put(folder: Path, *names: str, size: int = 10) -> None:
    """Files of `size` bytes, each a second younger than the one before."""
    for age, name in enumerate(names):
        (folder / name).write_bytes(b"x" * size)
        os.utime(folder / name, (NOON + age, NOON + age))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_older_than_the_days_kept_are_removed(folder: Path, sink: MemorySink) -> None:
    """Two whole days beside today; packed files like others. One event says how much went."""
    put(folder, "predictions-20261118-7.jsonl", "predictions-20261118-7-1.jsonl.gz", "predictions-20261119-7.jsonl",
        "predictions-20261121-7.jsonl")  # fmt: skip
    retention(folder, sink, days=2).sweep_if_due()
    assert left(folder) == ["predictions-20261119-7.jsonl", "predictions-20261121-7.jsonl"]
    (event,) = sink.events
    assert (event["event"], event["level"], event["files"], event["bytes"]) == ("audit.removed", "info", 2, 20)
    assert (event["first"], event["last"]) == ("predictions-20261118-7.jsonl", "predictions-20261118-7-1.jsonl.gz")


def test_the_oldest_go_until_the_rest_fits(folder: Path, sink: MemorySink) -> None:
    """By day, and within a day by when they were last written."""
    put(folder, "predictions-20261121-7-2.jsonl", "predictions-20261121-7-10.jsonl", "predictions-20261121-8.jsonl",
        "predictions-20261120-9.jsonl")  # fmt: skip
    retention(folder, sink, size=25).sweep_if_due()
    assert left(folder) == ["predictions-20261121-7-10.jsonl", "predictions-20261121-8.jsonl"]


def test_what_fits_exactly_stays(folder: Path, sink: MemorySink) -> None:
    """And nothing is said."""
    put(folder, "predictions-20261120-7.jsonl", "predictions-20261121-7.jsonl")
    retention(folder, sink, size=20, days=1).sweep_if_due()
    assert len(left(folder)) == 2
    assert sink.events == []


def test_both_limits_hold(folder: Path, sink: MemorySink) -> None:
    """What is too old is gone before sizes are added up."""
    put(folder, "predictions-20261101-7.jsonl", "predictions-20261120-7.jsonl", "predictions-20261121-7.jsonl")
    retention(folder, sink, days=5, size=20).sweep_if_due()
    assert left(folder) == ["predictions-20261120-7.jsonl", "predictions-20261121-7.jsonl"]


def test_without_limits_everything_is_kept(folder: Path, sink: MemorySink) -> None:
    """0 is for ever; without an audit there is nothing to do."""
    put(folder, "predictions-20000101-7.jsonl")
    retention(folder, sink).sweep_if_due()
    retention(None, sink, days=1).sweep_if_due()
    assert left(folder) == ["predictions-20000101-7.jsonl"]


def test_what_is_no_audit_file_is_left_alone(folder: Path, sink: MemorySink) -> None:
    """It is somebody else's."""
    others = ["notes", "predictions-20000101.jsonl", "predictions-20001301-7.jsonl", "my-predictions-20000101-7.jsonl",
              "predictions-20000101-7.jsonl.bak", "predictions-20000101-7.jsonl.zst"]  # fmt: skip
    put(folder, *others)
    retention(folder, sink, days=1, size=1).sweep_if_due()
    assert left(folder) == sorted(others)


@pytest.fixture
def writing(folder: Path) -> Iterator[PredictionLogger]:
    made = PredictionLogger(folder)
    made.append([b"x" * 50])
    yield made
    os.close(made._fd)


def test_a_file_in_use_is_never_removed(folder: Path, sink: MemorySink, writing: PredictionLogger) -> None:
    """However old it looks and however large it is; the writer's lock tells, not its process id."""
    (written,) = folder.iterdir()
    old = written.rename(folder / f"predictions-20200101-{os.getpid()}.jsonl")
    put(folder, "predictions-20200102-7.jsonl")
    sweeper = retention(folder, sink, days=1, size=1)
    sweeper.sweep_if_due()
    assert left(folder) == [old.name]
    assert [file.path for file in audit_files(folder)] == [old]


def test_a_file_whose_writer_is_gone_may_go(folder: Path, sink: MemorySink) -> None:
    """Its lock went with it; a writer that finds its file removed begins another."""
    first = PredictionLogger(folder)
    first.append([b"a"])
    os.close(first._fd)
    second = PredictionLogger(folder)
    retention(folder, sink, size=1).sweep_if_due()
    assert left(folder) == []
    second.append([b"b"])
    assert [path.read_text() for path in folder.iterdir()] == ["b\n"]
    os.close(second._fd)


def test_a_sweep_happens_once_a_minute(folder: Path, sink: MemorySink) -> None:
    """However often it is asked for."""
    clock = Clock()
    sweeper = retention(folder, sink, days=1, clock=clock)
    sweeper.sweep_if_due()
    put(folder, "predictions-20200101-7.jsonl")
    clock.now += SWEEP_INTERVAL_S - 1
    sweeper.sweep_if_due()
    assert left(folder)
    clock.now += 1
    sweeper.sweep_if_due()
    assert left(folder) == []


def test_one_process_sweeps_at_a_time(folder: Path, sink: MemorySink) -> None:
    """Another one holds the folder: it does the work."""
    import fcntl

    put(folder, "predictions-20200101-7.jsonl")
    guard = os.open(folder, os.O_RDONLY)
    fcntl.flock(guard, fcntl.LOCK_EX)
    retention(folder, sink, days=1).sweep_if_due()
    assert left(folder)
    os.close(guard)
    retention(folder, sink, days=1).sweep_if_due()
    assert left(folder) == []


def test_a_folder_that_is_not_there_yet_is_no_error(tmp_path: Path, sink: MemorySink) -> None:
    """The first prediction makes it."""
    retention(tmp_path / "later", sink, days=1).sweep_if_due()
    assert sink.events == []
