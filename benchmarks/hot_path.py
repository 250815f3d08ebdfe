"""`make bench`: what a prediction costs beside an empty Flask route on the same worker, in alternating rounds.

Needs wrk. Shared machines drift, so the figures to quote are the ratios, each taken within one round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.contract.schema import FeatureSchema
from benchmarks.own_service import Service, own_service
from benchmarks.processes import cpu_s
from benchmarks.wrk import post_load

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
    """CPU time of the server's processes per request, user and system."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the rounds and prints the table; status 1 where any request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rounds: list[Round] = []
    with ExitStack() as stack:
        services = {
            EMPTY: stack.enter_context(own_service(ROOT, app="benchmarks.empty_app:create_empty_app()")),
            PREDICTION: stack.enter_context(own_service(ROOT)),
        }
        for _ in range(options.rounds):
            for name, service in services.items():
                rounds.append(_round(name, service, options.connections, options.seconds))
    print(json.dumps([asdict(entry) for entry in rounds]) if options.json else _table(rounds))
    return 1 if any(entry.failures for entry in rounds) else 0


def _round(name: str, service: Service, connections: int, seconds: int) -> Round:
    body = json.dumps(FeatureSchema().example()).encode()
    before_s = cpu_s(service.pid)
    load = post_load(f"{service.url}/predict", [body], connections, seconds)
    cpu_us = (cpu_s(service.pid) - before_s) / load.requests * 1e6
    return Round(name, load.requests_per_s, load.p50_ms, load.p99_ms, load.failures, cpu_us)


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
