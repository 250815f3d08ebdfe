"""How long the service takes to be ready, how soon a killed worker is back, and how much memory it holds.

The start is compared with what importing Flask and scikit-learn costs by itself, measured in the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.own_service import Service, own_service
from benchmarks.processes import pss_mb

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Round:
    """One start of the service, with two workers."""

    imports_s: float
    """Importing Flask and scikit-learn's models, in a process of their own."""
    ready_s: float
    worker_back_s: float
    """From SIGKILL of a worker to its successor's first report."""
    pss_mb: float
    """Memory of master and workers, shared pages counted once."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rounds = [_round() for _ in range(options.rounds)]
    print(json.dumps([asdict(entry) for entry in rounds]) if options.json else _table(rounds))
    return 0


def _round() -> Round:
    imports_s = _import_s()
    start = time.perf_counter()
    with own_service(ROOT, WORKERS) as service:
        ready_s = time.perf_counter() - start
        worker_back_s = _worker_back_s(service)
        return Round(imports_s, ready_s, worker_back_s, pss_mb(service.pid))


def _import_s() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import flask, sklearn.ensemble, sklearn.linear_model"], check=True)
    return time.perf_counter() - start


def _worker_back_s(service: Service) -> float:
    while len(before := _workers(service)) < WORKERS:
        time.sleep(POLL_S)
    start = time.perf_counter()
    os.kill(min(before), signal.SIGKILL)
    while len(now := _workers(service)) < WORKERS or now == before:
        time.sleep(POLL_S)
    return time.perf_counter() - start


def _workers(service: Service) -> set[int]:
    """The workers as the service itself sees them; a request that the kill took along is sent again."""
    while True:
        try:
            with urllib.request.urlopen(service.url + "/health/detailed", timeout=10) as reply:
                return {worker["pid"] for worker in json.load(reply)["workers"]}
        except OSError:
            time.sleep(POLL_S)


def _table(rounds: Sequence[Round]) -> str:
    figures = {
        "imports alone, s": [entry.imports_s for entry in rounds],
        "ready, s": [entry.ready_s for entry in rounds],
        "ready over imports": [entry.ready_s / entry.imports_s for entry in rounds],
        "killed worker back, s": [entry.worker_back_s for entry in rounds],
        f"PSS of master and {WORKERS} workers, MB": [entry.pss_mb for entry in rounds],
    }
    lines = ["| figure | median | least | most |", "|---|---|---|---|"]
    for name, values in figures.items():
        lines.append(f"| {name} | {statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
