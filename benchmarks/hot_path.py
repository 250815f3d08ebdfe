"""`make bench`: what a prediction costs beside an empty Flask route on the same worker, in alternating rounds.

Needs wrk, a public HTTP load generator (Debian: `apt-get install wrk`). Shared machines drift, so the figures to
quote are the ratios, each taken within one round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.contract.schema import FeatureSchema
from benchmarks.own_service import Service, own_service

ROOT = Path(__file__).resolve().parents[1]
EMPTY, PREDICTION = "empty route", "prediction"


@dataclass(frozen=True, slots=True)
class Round:
    """One run of wrk against one server."""

    server: str
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failures: int
    cpu_us: float
    """CPU time of all workers per request, user and system."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the rounds and prints the table; status 1 where any request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rounds: list[Round] = []
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        script = _wrk_script(Path(folder))
        services = {
            EMPTY: stack.enter_context(own_service(ROOT, app="benchmarks.empty_app:create_empty_app()")),
            PREDICTION: stack.enter_context(own_service(ROOT)),
        }
        for _ in range(options.rounds):
            for name, service in services.items():
                rounds.append(_round(name, service, script, options.connections, options.seconds))
    print(json.dumps([asdict(entry) for entry in rounds]) if options.json else _table(rounds))
    return 1 if any(entry.failures for entry in rounds) else 0


def _wrk_script(folder: Path) -> Path:
    """The request, as wrk takes it."""
    body = json.dumps(FeatureSchema().example())
    script = folder / "post.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n")
    return script


def _round(name: str, service: Service, script: Path, connections: int, seconds: int) -> Round:
    before = _workers_cpu_s(service.pid)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), f"{service.url}/predict"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    cpu_s = _workers_cpu_s(service.pid) - before
    requests = int(_found(r"(\d+) requests in", done))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    return Round(
        name, float(_found(r"Requests/sec:\s+([\d.]+)", done)), _milliseconds("50%", done), _milliseconds("99%", done),
        int(failed[1]) if failed else 0, cpu_s / requests * 1e6,
    )  # fmt: skip


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk printed no {pattern}:\n{text}")
    return match[1]


def _milliseconds(percentile: str, text: str) -> float:
    value = _found(rf"{percentile}\s+([\d.]+(?:us|ms|s))", text)
    factor = {"us": 1e-3, "ms": 1.0, "s": 1e3}[value.lstrip("0123456789.")]
    return float(value.rstrip("ums")) * factor


def _workers_cpu_s(master: int) -> float:
    """User and system time of a master's children so far, seconds."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    ticks = 0
    for pid in children:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _table(rounds: Sequence[Round]) -> str:
    lines = ["| server | req/s | p50 ms | p99 ms | server CPU us/request | failures |", "|---|---|---|---|---|---|"]
    for name in (EMPTY, PREDICTION):
        mine = [entry for entry in rounds if entry.server == name]
        middle = [
            statistics.median(getattr(e, f) for e in mine) for f in ("requests_per_s", "p50_ms", "p99_ms", "cpu_us")
        ]
        lines.append(
            f"| {name} | {middle[0]:.0f} | {middle[1]:.2f} | {middle[2]:.2f} | {middle[3]:.0f} "
            f"| {sum(e.failures for e in mine)} |"
        )
    empty, predicting = ([e.cpu_us for e in rounds if e.server == name] for name in (EMPTY, PREDICTION))
    ratios = [b / a for a, b in zip(empty, predicting, strict=True)]
    lines.append(
        f"\nCPU, prediction over empty route: median {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
