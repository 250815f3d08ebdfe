"""`make bench-report`: seconds and memory of `flask report` over millions of audit lines of a temporary folder.

The lines are made here, as the service writes them: single predictions, some batches, feedback, rejections, failures,
and an hour in which the fallback answers and is often wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.contract.schema import FeatureSchema
from app.telemetry.audit_files import audit_path

ROOT = Path(__file__).resolve().parents[1]
VERSION = (ROOT / "models" / "ACTIVE").read_text().strip()
FIRST_DAY = datetime(2026, 11, 20, tzinfo=UTC)
DAYS = 4
LINES_PER_FILE = 250_000
BATCH_ROWS = 20
QUERY = "SELECT outcome, count(*) AS rows, avg(features.lag_1) AS lag_1 FROM audit GROUP BY outcome ORDER BY outcome"


@dataclass(frozen=True, slots=True)
class Run:
    """One command's cost."""

    command: str
    seconds: float
    cpu_s: float
    """User and system time, which other work on the machine stretches less."""
    peak_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the files, runs the commands and prints the table; status 1 where a line was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--gzip", action="store_true", help="pack the files, as an operator may")
    parser.add_argument("--folder", type=Path, help="keep the files there, and use those that are there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        made = _make(folder, options.lines, options.gzip)
        print(f"{options.lines:,} lines, {made / 1e9:.2f} GB in {len(list(folder.iterdir()))} files", file=sys.stderr)
        report, document = _run(folder, "--json")
        query, _ = _run(folder, "--json", "--sql", QUERY)
    print("| command | s | CPU s | peak memory, MB | lines/s |\n|---|---|---|---|---|")
    for run in (report, query):
        speed = options.lines / run.seconds
        print(f"| {run.command} | {run.seconds:.1f} | {run.cpu_s:.1f} | {run.peak_mb:.0f} | {speed:,.0f} |")
    found = json.loads(document)["coverage"]
    return 0 if (found["lines"], found["unreadable_lines"]) == (options.lines, 0) else 1


def _run(folder: Path, *arguments: str) -> tuple[Run, str]:
    command = [sys.executable, "-m", "flask", "report", "--audit", str(folder), *arguments]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "FLASK_APP": "app"}, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        output.seek(0)
        shown = "flask report" + (" --sql" if "--sql" in arguments else "")
        return Run(shown, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), output.read().decode()


# --- the lines ---------------------------------------------------------------------------------------------------


def _make(folder: Path, lines: int, packed: bool) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        starts = range(0, lines, LINES_PER_FILE)
        with ProcessPoolExecutor() as pool:
            jobs = [
                pool.submit(_write, folder, start, min(lines, start + LINES_PER_FILE), lines, packed)
                for start in starts
            ]
            for done, job in enumerate(jobs, 1):
                job.result()
                print(f"\rmade {done} of {len(jobs)} files", end="", file=sys.stderr)
        print(file=sys.stderr)
    return sum(path.stat().st_size for path in folder.iterdir())


def _write(folder: Path, start: int, end: int, lines: int, packed: bool) -> None:
    day = (FIRST_DAY + timedelta(days=DAYS * start / lines)).date()
    path = audit_path(folder, day, 1000 + start // LINES_PER_FILE, 0)
    if packed:
        with gzip.open(path.with_name(path.name + ".gz"), "wt", compresslevel=1) as file:
            file.writelines(_lines(start, end, lines))
    else:
        with path.open("w") as file:
            file.writelines(_lines(start, end, lines))


def _lines(start: int, end: int, lines: int) -> Iterator[str]:
    dice = random.Random(start)  # noqa: S311 - the same lines every time
    schema = FeatureSchema()
    rows = schema.sample(20_000, seed=start).round(4).tolist()
    texts = [json.dumps(dict(zip(schema.names, row, strict=True)), separators=(",", ":")) for row in rows]
    served: list[str] = ["0" * 18]
    for number in range(start, end):
        at = FIRST_DAY + timedelta(days=DAYS * number / lines)
        stage = "fallback" if at.hour == 14 else "primary"
        head = f'{{"timestamp":"{at:%Y-%m-%dT%H:%M:%S.%f}Z","level":"info","event":"'
        ids = f'","pid":7,"request_id":"{dice.getrandbits(96):024x}","latency_ms":{dice.lognormvariate(-1, 0.6):.3f},'
        by = f'"success":true,"model_used":"{stage}","model_version":"{VERSION}",'
        nobody = '"success":false,"model_used":"none","model_version":null,'
        kind, unique = dice.random(), f"{dice.getrandbits(72):018x}"
        if kind < 0.90:
            served.append(unique)
            yield (f'{head}prediction.served{ids}{by}"prediction_id":"{VERSION}.{stage}.0.{unique}","prediction":'
                   f'{dice.random()},"is_anomaly":false,"features":{dice.choice(texts)}}}\n')  # fmt: skip
        elif kind < 0.91:
            columns = zip(*dice.choices(rows, k=BATCH_ROWS), strict=True)
            batch = {
                "batch_id": unique, "count": BATCH_ROWS, "predictions": [dice.random() for _ in range(BATCH_ROWS)],
                "is_anomaly": [False] * BATCH_ROWS, "features": dict(zip(schema.names, columns, strict=True)),
            }  # fmt: skip
            yield f"{head}batch.served{ids}{by}{json.dumps(batch, separators=(',', ':'))[1:]}\n"
        elif kind < 0.97:
            actual = int(dice.random() < (0.3 if stage == "fallback" else 0.02))
            yield (f'{head}feedback.received{ids}{by}"prediction_id":"{VERSION}.{stage}.0.{dice.choice(served)}",'
                   f'"predicted":0,"actual":{actual}}}\n')  # fmt: skip
        elif kind < 0.995:
            yield (f'{head}prediction.rejected{ids}{nobody}"error":"lag_1 must be numeric, got str",'
                   '"errors":[{"feature":"lag_1","code":"not_numeric"}]}\n')  # fmt: skip
        else:
            yield (f'{head}prediction.failed{ids}{nobody}"error":"All prediction methods failed","features":'
                   f"{dice.choice(texts)}}}\n")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
