"""Sends every row of a CSV to a running service as `POST /predict`, and checks each reply against the contract.

    python benchmarks/replay_traffic.py DATA.csv[.gz] [--url URL] [--connections N] [--limit N] [--json]

Columns: series, timestamp, the contract's features, is_anomaly. The labels mark whole windows around an anomaly, so
no accuracy is computed from them. Latencies are this client's, which shares the machine with the service it starts.
Without `--url` it starts the service itself and, at the end, also checks that the audit holds every request exactly
once. Exit status 0 only if nothing deviates.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import signal
import sys
import time
from array import array
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere, without an installed package

from app.contract.schema import FeatureSchema  # noqa: E402
from benchmarks.own_service import Service, audited_times, own_service  # noqa: E402
from benchmarks.traffic import Feed, Reading, count_rows, readings  # noqa: E402

TIMEOUT_S = 30.0
DEVIATIONS_SHOWN = 20
FAILURES_TOLERATED = 100
"""Broken connections after which a sender gives up: the service is gone."""


@dataclass(slots=True)
class Tally:
    """What became of the rows that one sender, or all of them, sent."""

    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    deviating: int = 0
    deviations: list[str] = field(default_factory=list)
    """The first few, in words."""

    def deviate(self, what: str) -> None:
        self.deviating += 1
        if len(self.deviations) < DEVIATIONS_SHOWN:
            self.deviations.append(what)

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.statuses += other.statuses
        self.stages += other.stages
        self.latencies_ms += other.latencies_ms
        self.deviating += other.deviating
        self.deviations = (self.deviations + other.deviations)[:DEVIATIONS_SHOWN]


def send_all(feed: Feed, service: Service, run: str, stage: str | None) -> Tally:
    """One sender: the rows it gets hold of, one after the other, over one connection."""
    tally = Tally()
    connection = connect(service.url)
    for reading in feed:
        headers = {"Content-Type": "application/json", "X-Request-ID": f"{run}{reading.number}"}
        started = time.perf_counter()
        try:
            connection.request("POST", service.path("/predict"), reading.body, headers)
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next request opens it again
            tally.outcomes["failed"] += 1
            tally.deviate(f"row {reading.number}: {type(error).__name__}: {error}")
            if tally.outcomes["failed"] == FAILURES_TOLERATED:
                tally.deviate(f"a sender gave up after {FAILURES_TOLERATED} broken connections")
                break
            continue
        tally.latencies_ms.append((time.perf_counter() - started) * 1000)
        judge(tally, reading, reply, body, headers["X-Request-ID"], stage)
    connection.close()
    return tally


def judge(
    tally: Tally, reading: Reading, reply: http.client.HTTPResponse, body: bytes, request_id: str, stage: str | None
) -> None:
    """Counts one reply, and notes where it is not what the contract and the state of health promise."""
    tally.statuses[reply.status] += 1
    try:
        document: dict[str, Any] = json.loads(body)
        used, echoed = document["model_used"], reply.getheader("X-Request-ID")
        named = frozenset((item["feature"], item["code"]) for item in document.get("errors", ()))
    except (ValueError, KeyError, TypeError):
        tally.outcomes["failed"] += 1
        tally.deviate(f"row {reading.number}: {reply.status} without the envelope: {body[:200]!r}")
        return
    tally.outcomes[{200: "served", 422: "rejected"}.get(reply.status, "failed")] += 1
    tally.stages[used] += 1
    where = f"row {reading.number}: {reply.status} from {used}"
    if echoed != request_id:
        tally.deviate(f"{where}: X-Request-ID {echoed!r} instead of {request_id!r}")
    if reading.wrong:
        if reply.status != 422 or named != reading.wrong:
            tally.deviate(
                f"{where} naming {sorted(named, key=str)}, expected 422 naming {sorted(reading.wrong, key=str)}"
            )
    elif reply.status != 200 or document.get("success") is not True or stage not in (None, used):
        tally.deviate(f"{where}, expected 200 from {stage or 'any stage'}: {document.get('error')}")
    elif not isinstance(score := document.get("prediction"), float) or not 0 <= score <= 1:
        tally.deviate(f"{where}: prediction {score!r} is no probability")


def connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


def health(service: Service) -> dict[str, Any]:
    connection = connect(service.url)
    connection.request("GET", service.path("/health"))
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def replay(service: Service, data: Path, connections: int, limit: int | None) -> dict[str, Any]:
    """Sends it all, and returns the summary."""
    before = health(service)
    # Without a model somebody else answers, and which stage that is the summary tells.
    stage = "primary" if before["model_loaded"] else None
    run, total = f"replay-{secrets.token_hex(4)}-", Tally()
    started = time.perf_counter()
    rows = readings(data, FeatureSchema(), limit)
    with (
        tqdm(rows, total=count_rows(data, limit), unit="row", file=sys.stderr) as bar,
        ThreadPoolExecutor(connections) as pool,
    ):
        feed = Feed(iter(bar))
        try:
            senders = [pool.submit(send_all, feed, service, run, stage) for _ in range(connections)]
            for sender in senders:
                total.add(sender.result())
        finally:
            feed.close()  # else an interrupt would wait for the rest of the file
    took_s = time.perf_counter() - started
    summary = {
        "rows": feed.handed_out,
        "health": before["status"],
        "stage_expected": stage,
        "outcomes": dict(total.outcomes),
        "statuses": {str(status): count for status, count in sorted(total.statuses.items())},
        "stages": dict(total.stages),
        "latency_ms": percentiles(total.latencies_ms),
        "seconds": round(took_s, 1),
        "rows_per_second": round(feed.handed_out / took_s),
        "failures": total.outcomes["failed"],
    }
    if service.audit_dir is not None:
        times = audited_times(service.audit_dir, run, feed.handed_out)
        summary["audited_once"] = times.count(1)
        for number in (number for number, count in enumerate(times) if count != 1):
            total.deviate(f"row {number}: {times[number]} audit lines, expected 1")
    return {**summary, "deviations": total.deviating, "first_deviations": total.deviations}


def percentiles(latencies_ms: array[float]) -> dict[str, float]:
    if not latencies_ms:
        return {}
    values = np.percentile(np.array(latencies_ms), (50, 90, 99, 100))
    return {name: round(float(value), 2) for name, value in zip(("p50", "p90", "p99", "max"), values, strict=True)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, metavar="DATA.csv[.gz]")
    parser.add_argument("--url", help="base URL of a running service; default: start one with two workers")
    parser.add_argument("--connections", type=int, default=8, help="connections kept open at once (default: 8)")
    parser.add_argument("--limit", type=int, help="send only the first LIMIT rows")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    options = parser.parse_args()
    # So that the service is stopped and the temporary files are removed, as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with nullcontext(Service(options.url.rstrip("/"))) if options.url else own_service(ROOT) as service:
            summary = replay(service, options.data, options.connections, options.limit)
            show(summary, as_json=options.json)
    except (OSError, RuntimeError) as error:
        sys.exit(f"{parser.prog}: {error}")
    return 1 if summary["deviations"] or not summary["rows"] else 0


def show(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    for name, value in summary.items():
        print(f"{name:17}{_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {count}" for name, count in value.items())
    return "".join(f"\n  {line}" for line in value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(main())
