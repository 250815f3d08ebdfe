"""`make bench`: what a prediction costs beside an empty Flask route on the same worker, at several connection counts.

Needs wrk, a public HTTP load generator (Debian: `apt-get install wrk`). Shared machines drift, so the figures to
quote are the ratios, each taken within one round.
"""

from __future__ import annotations

import argparse
import json
import statistics
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
from benchmarks.peer_models import make_case
from benchmarks.processes import cpu_s
from benchmarks.wrk import post_load

ROOT = Path(__file__).resolve().parents[1]
EMPTY, TREES, LINEAR = "empty route", "shipped trees", "linear model"
CONNECTIONS = (1, 8, 32, 128)


@dataclass(frozen=True, slots=True)
class Round:
    """One run of wrk against one server."""

    server: str
    connections: int
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
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rounds: list[Round] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        linear = make_case("linear", Path(folder, "linear")).registry
        services = {
            EMPTY: stack.enter_context(own_service(ROOT, app="benchmarks.empty_app:create_empty_app()")),
            TREES: stack.enter_context(own_service(ROOT)),
            LINEAR: stack.enter_context(own_service(ROOT, MODELS_DIR=str(linear))),
        }
        for _ in range(options.rounds):
            for connections in options.connections:
                rounds += [_round(name, service, connections, options.seconds) for name, service in services.items()]
    print(json.dumps([asdict(entry) for entry in rounds]) if options.json else _table(rounds))
    return 1 if any(entry.failures for entry in rounds) else 0


def _round(name: str, service: Service, connections: int, seconds: int) -> Round:
    body = json.dumps(FeatureSchema().example()).encode()
    before_s = cpu_s(service.pid)
    load = post_load(f"{service.url}/predict", [body], connections, seconds)
    cpu_us = (cpu_s(service.pid) - before_s) / load.requests * 1e6
    return Round(name, connections, load.requests_per_s, load.p50_ms, load.p99_ms, load.failures, cpu_us)


def _table(rounds: Sequence[Round]) -> str:
    lines = [
        "| connections | server | req/s | p50 ms | p99 ms | CPU us/request | CPU over empty route | failures |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for connections in dict.fromkeys(entry.connections for entry in rounds):
        here = [entry for entry in rounds if entry.connections == connections]
        empty = [entry.cpu_us for entry in here if entry.server == EMPTY]
        for name in (EMPTY, TREES, LINEAR):
            mine = [entry for entry in here if entry.server == name]
            ratios = [entry.cpu_us / base for entry, base in zip(mine, empty, strict=True)]
            lines.append(
                f"| {connections} | {name} | {_middle(mine, 'requests_per_s'):.0f} | {_middle(mine, 'p50_ms'):.2f} "
                f"| {_middle(mine, 'p99_ms'):.2f} | {_middle(mine, 'cpu_us'):.0f} "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) "
                f"| {sum(entry.failures for entry in mine)} |"
            )
    return "\n".join(lines)


def _middle(rounds: Sequence[Round], figure: str) -> float:
    return float(statistics.median(getattr(entry, figure) for entry in rounds))


if __name__ == "__main__":
    sys.exit(main())
