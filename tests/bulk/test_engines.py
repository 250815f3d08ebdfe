"""Processes and clusters: what they do is the same, and what fails in them is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from app.errors import ScoringError
from app.model.registry import Registry
from app.scoring.engines import engine
from app.scoring.job import Job
from app.scoring.plan import BLOCK_ROWS, Partition, Receipt, Source
from app.scoring.run import Request
from tests.unit.scoring.crafting import contents, file_scorer, write
from tests.unit.scoring.test_run import SCHEMA, some_lines

SOURCE = Source("a.csv", "csv", False, 1, "")


@dataclass(frozen=True)
class FakeJob:
    """Does one thing with each partition."""

    deed: str

    def run(self, partition: Partition) -> Receipt:
        if self.deed == "dies" and partition.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.deed == "fails" and partition.number == 2:
            raise ScoringError("partition 2 cannot be scored")
        threads = os.environ.get("OMP_NUM_THREADS")
        return Receipt(partition.number, stages={f"{threads} thread": 1})


def partitions(count: int, taken: list[int]) -> Iterator[Partition]:
    for number in range(count):
        taken.append(number)
        data = b"x" * 11_000_000 if number == 0 else None  # more than Dask wants to see in a task
        yield Partition(SOURCE, 0, number, 1, (), 0, 1, 1, data)


def run(deed: str, count: int, taken: list[int], **how: Any) -> list[Receipt]:
    how = {"workers": 1, "scheduler": None, **how}
    with engine(**how) as found:
        done = found(cast("Job", FakeJob(deed)), partitions(count, taken))
        return [receipt for _, receipt in done]


ENGINES = [
    pytest.param({}, id="here"),
    pytest.param({"workers": 2}, id="processes"),
    pytest.param({"workers": 2, "scheduler": "local"}, id="dask"),
]


@pytest.mark.parametrize("how", ENGINES)
def test_every_partition_is_done_once(how: dict[str, Any]) -> None:
    """In whichever order; other processes have one thread for numerics each, to leave room for each other."""
    receipts = run("works", 20, [], **how)
    assert sorted(receipt.rows for receipt in receipts) == list(range(20))
    if how:
        assert {name for receipt in receipts for name in receipt.stages} == {"1 thread"}


@pytest.mark.parametrize("how", ENGINES)
def test_a_failure_ends_the_run_and_comes_through_as_it_is(how: dict[str, Any]) -> None:
    """Long before all others were even asked for."""
    taken: list[int] = []
    with pytest.raises(ScoringError, match=r"^partition 2 cannot be scored$"):
        run("fails", 1_000, taken, **how)
    assert len(taken) < 500


def test_a_worker_that_dies_is_one_line() -> None:
    """The system may have killed it."""
    with pytest.raises(ScoringError, match="a worker process ended, perhaps for want of memory; the same command"):
        run("dies", 10, [], workers=2)


@pytest.mark.parametrize(("kind", "how"), [("parquet", ENGINES[1]), ("csv.gz", ENGINES[2])])
def test_engines_change_nothing(kind: str, how: Any, registry: Registry, version: str, tmp_path: Path) -> None:
    """The very files are the same."""
    scorer, source = file_scorer(SCHEMA, registry), write(tmp_path, kind, some_lines(20_000))
    for output, more in (("reference", {}), ("out", how.values[0])):
        request = Request(str(source), str(tmp_path / output), version=version, partition_rows=BLOCK_ROWS, **more)
        scorer.score(request)
    assert contents(tmp_path / "out") == contents(tmp_path / "reference")
    assert len(contents(tmp_path / "out")) == 9


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:1", "nonsense://x"])
def test_a_scheduler_that_is_not_there_is_one_line(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon."""
    monkeypatch.setattr("app.scoring.engines.CONNECT_S", 0.5)
    with pytest.raises(ScoringError, match=f"no Dask scheduler at {scheduler}: "):
        run("works", 1, [], scheduler=scheduler)
