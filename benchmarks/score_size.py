"""`make bench-score`: rows a second of `flask score` beside the estimator's own `predict_proba`, and memory.

The file is made here, random rows of the contract as Parquet in a temporary folder. In each round `predict_proba` takes
a part of it from memory on one thread, in a process of its own, and `flask score` takes the same part with one process
and with two. The whole file is scored once, for its memory. The model is the active version.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb

from app.contract.schema import FeatureSchema

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = FeatureSchema()
FEW_ROWS = 8_192

ALONE = """
import sys, time
import duckdb, numpy as np
from pathlib import Path
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
schema, registry = FeatureSchema(), Registry(Path("models"), FeatureSchema())
estimator = registry.load(registry.active()).estimators["primary"]
connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")  # it would go to stdout
columns = connection.execute("SELECT * FROM read_parquet(?)", [sys.argv[1]]).fetchnumpy()
rows = np.column_stack([columns[name] for name in schema.names])
estimator.predict_proba(rows[:8192])
wall, cpu = time.perf_counter(), time.process_time()
for start in range(0, len(rows), 131072):
    estimator.predict_proba(rows[start : start + 131072])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What some rows took; `peak_mb` is the largest process's."""

    seconds: float
    cpu_s: float
    peak_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """The same rows in turn; a start is the same command on next to none."""

    alone: Cost
    two_alone: Cost
    """Two at a time, each with all rows: what a second process can gain on this machine at this moment."""
    start: Cost
    one: Cost
    start_of_two: Cost
    two: Cost


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the files, runs the rounds, prints the tables; status 1 where a row was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="of the whole file")
    parser.add_argument("--part", type=int, default=4_000_000, help="rows of the part that the rounds take")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        few, part = _make(folder, FEW_ROWS), _make(folder, options.part)
        rounds = []
        for _ in range(options.rounds):
            rounds.append(
                Round(
                    alone=_alone(part, 1),
                    two_alone=_alone(part, 2),
                    start=_score(few, folder, FEW_ROWS, 1),
                    one=_score(part, folder, options.part, 1),
                    start_of_two=_score(few, folder, FEW_ROWS, 2),
                    two=_score(part, folder, options.part, 2),
                )
            )
            print(rounds[-1], file=sys.stderr)
        _print_rounds(rounds, options.part)
        whole = _make(folder, options.rows)
        print(f"{whole.stat().st_size / 1e9:.2f} GB", file=sys.stderr)
        cost = _score(whole, folder, options.rows, 1)
    print("\n| rows | s | CPU s | rows/s | peak memory, MB |\n|---|---|---|---|---|")
    print(
        f"| {options.rows:,} | {cost.seconds:.0f} | {cost.cpu_s:.0f} | {options.rows / cost.seconds:,.0f} "
        f"| {cost.peak_mb:.0f} |"
    )
    return 0


def _make(folder: Path, rows: int) -> Path:
    path = folder / f"{rows}.parquet"
    columns = ", ".join(
        f"{feature.low} + random() * {feature.high - feature.low} AS {feature.name}" for feature in SCHEMA.features
    )
    with duckdb.connect(config={"memory_limit": "1GiB", "preserve_insertion_order": False}) as connection:
        connection.execute(f"COPY (SELECT {columns} FROM range({rows})) TO '{path}' (FORMAT parquet)")  # noqa: S608
    return path


def _alone(source: Path, processes: int) -> Cost:
    """Of the slowest of so many processes at a time."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ALONE, str(source)]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return max((Cost(*map(float, one.communicate()[0].split())) for one in started), key=lambda cost: cost.seconds)


def _score(source: Path, folder: Path, rows: int, workers: int) -> Cost:
    command = [
        sys.executable, "-m", "flask", "score", "--json", "--overwrite", "--workers", str(workers),
        "--input", str(source), "--output", str(folder / "scores"),
    ]  # fmt: skip
    environment = {**os.environ, "FLASK_APP": "app", "AUDIT_DIR": "", "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        output.seek(0)
        printed = output.read()
    if process.returncode or json.loads(printed)["scored"] != rows:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {printed.decode()}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _print_rounds(rounds: Sequence[Round], rows: int) -> None:
    figures = {
        "predict_proba alone, us of CPU a row": [a.alone.cpu_s / rows * 1e6 for a in rounds],
        "flask score, us of CPU a row": [(a.one.cpu_s - a.start.cpu_s) / rows * 1e6 for a in rounds],
        "rows/s over predict_proba's, by CPU": [a.alone.cpu_s / (a.one.cpu_s - a.start.cpu_s) for a in rounds],
        "rows/s over predict_proba's, by the clock": [
            a.alone.seconds / (a.one.seconds - a.start.seconds) for a in rounds
        ],
        "two processes over one, by the clock": [
            (a.one.seconds - a.start.seconds) / (a.two.seconds - a.start_of_two.seconds) for a in rounds
        ],
        "two predict_proba at a time over one": [2 * a.alone.seconds / a.two_alone.seconds for a in rounds],
        "start of one process, s": [a.start.seconds for a in rounds],
        "start of two processes, s": [a.start_of_two.seconds for a in rounds],
        "peak memory of one process, MB": [a.one.peak_mb for a in rounds],
    }
    print(f"| {rows:,} rows, {len(rounds)} rounds | median | least | most |\n|---|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} |")


if __name__ == "__main__":
    sys.exit(main())
