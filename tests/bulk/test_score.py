"""`flask score` as a process: killed, stopped, and given more than it may hold in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.unit.scoring.crafting import contents
from tests.waiting import wait_until

SCHEMA = FeatureSchema()
PARTITIONS = 24
ROWS = 8_192 * PARTITIONS - 100


def make(path: Path, rows: int) -> Path:
    """Random rows of the contract, of which every thousandth is bad."""
    sample = SCHEMA.sample(10_000, seed=1)
    with duckdb.connect() as connection:
        columns = {name: sample[:, place] for place, name in enumerate(SCHEMA.names)}
        connection.register("sample", {"place": np.arange(len(sample)), **columns})
        features = ", ".join(
            f"CASE WHEN number % 1000 = 7 THEN NULL ELSE {name} END AS {name}" if name == "lag_1" else name
            for name in SCHEMA.names
        )
        connection.execute("SET enable_progress_bar = false")
        numbers = f"(SELECT range AS number FROM range({rows}))"  # noqa: S608
        query = f"SELECT {features} FROM {numbers} JOIN sample ON place = number % 10000 ORDER BY number"  # noqa: S608
        connection.execute(f"COPY ({query}) TO '{path}'")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("in") / "rows.csv", ROWS)


class Command:
    """`flask score` on small partitions, with models of a registry."""

    def __init__(self, models: Path) -> None:
        self.environment = {**os.environ, "FLASK_APP": "app", "MODELS_DIR": str(models), "AUDIT_DIR": ""}

    def arguments(self, source: Path, output: Path, *more: str) -> list[str]:
        return [sys.executable, "-m", "flask", "score", "--input", str(source), "--output", str(output), *more]

    def start(self, source: Path, output: Path, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments(source, output, *more), env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # Whoever starts the tests in the background of a shell hands down that SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def run(self, source: Path, output: Path, *more: str) -> str:
        process = self.start(source, output, *more)
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        return stdout


@pytest.fixture
def command(registry: Registry, version: str) -> Command:
    return Command(registry.folder)


SMALL = ("--partition-rows", "8192")


def receipts(output: Path) -> int:
    return len(list((output / "receipts").glob("[!.]*")))


def stop_in_the_middle(process: subprocess.Popen[str], output: Path, number: int) -> None:
    """Sends the signal once some partitions are done, and waits for the end."""
    wait_until(lambda: receipts(output) >= 3 or process.poll() is not None, timeout_s=120)
    process.send_signal(number)
    process.wait(60)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one process", "two workers"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_run_that_was_stopped_goes_on_where_it_was(
    command: Command, source: Path, tmp_path: Path, more: tuple[str, ...], number: signal.Signals
) -> None:
    """No row is missing and none is there twice: the files are those of a run that nobody stopped."""
    output = tmp_path / "out"
    process = command.start(source, output, *SMALL, *more)
    wait_until(lambda: receipts(output) >= 3 or process.poll() is not None, timeout_s=120)
    workers = children_of(process.pid) if more else []
    stop_in_the_middle(process, output, number)
    _, stderr = process.communicate()
    done = receipts(output)
    assert 3 <= done < PARTITIONS, stderr
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 1)
    if number != signal.SIGKILL:
        assert stderr.strip().endswith("Error: interrupted; the same command goes on from here")
        assert not list(output.glob("*/.*"))
    wait_until(lambda: not any(map(alive, workers)))
    assert not (output / "summary.json").exists()

    done = receipts(output)  # a worker may have finished its partition
    assert f"{ROWS:,} rows of 1 files" in (resumed := command.run(source, output, *SMALL))
    assert f"in {PARTITIONS} partitions, {done} of them done before" in resumed
    command.run(source, tmp_path / "reference", *SMALL)
    assert contents(output) == contents(tmp_path / "reference")
    assert not list(output.glob("*/.*"))


MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""A process begins with the peak of the one it was forked from, so a small one stands between."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_file(command: Command, tmp_path: Path, kind: str) -> None:
    """Eight times the rows take the same memory, give or take what an allocator keeps."""
    peaks = []
    for rows in (250_000, 2_000_000):
        arguments = command.arguments(make(tmp_path / f"rows-{rows}.{kind}", rows), tmp_path / f"out-{rows}")
        measured = [sys.executable, "-c", MEASURED, *arguments]
        done = subprocess.run(measured, env=command.environment, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 100
    assert peaks[1] < 700
