"""`make bench`: rows a second of many rows in one request, as shares of what the estimator does in this process.

The yardstick is `predict_proba` of the same boosted trees (200 trees, 31 leaves) on the same matrix, on one thread as
in the service, in the same round. The service validates, scores, audits and counts every row. Needs wrk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn, as gunicorn.conf.py does for the service

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import joblib

from app.contract.schema import FeatureSchema, Matrix
from benchmarks.own_service import Service, own_service
from benchmarks.peer_models import Case, make_case
from benchmarks.processes import pss_mb
from benchmarks.wrk import post_load

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = FeatureSchema()
PATIENCE_S = 60
"""Behind 127 other batches a request waits longer than wrk would."""
JSON, OCTETS = "application/json", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to send many rows."""

    title: str
    path: str
    rows: Matrix
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Round:
    """One shape in one round."""

    title: str
    connections: int
    rows_per_s: float
    share: float
    """Of `predict_proba` in this process."""
    failures: int
    pss_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the rounds and prints the table; status 1 where any request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=(1, 8, 32, 128))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    shapes = [_batch(1_000), _tensor_json(1_000), _tensor_binary(8_192)]
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory() as folder:
        case = make_case("trees", Path(folder, "trees"))
        with own_service(ROOT, MODELS_DIR=str(case.registry), REQUEST_TIMEOUT_S="60") as service:
            for _ in range(options.rounds):
                rounds += [
                    _round(shape, case, service, connections, options.seconds)
                    for shape in shapes
                    for connections in options.connections
                ]
    print(json.dumps([asdict(entry) for entry in rounds]) if options.json else _table(rounds))
    return 1 if any(entry.failures for entry in rounds) else 0


def _round(shape: Shape, case: Case, service: Service, connections: int, seconds: int) -> Round:
    alone = _rows_per_s(joblib.load(case.plain), shape.rows, seconds / 2)
    load = post_load(service.url + shape.path, [shape.body], connections, seconds, shape.headers, PATIENCE_S)
    rows_per_s = load.requests_per_s * len(shape.rows)
    return Round(shape.title, connections, rows_per_s, rows_per_s / alone, load.failures, pss_mb(service.pid))


def _rows_per_s(estimator: Any, rows: Matrix, seconds: float) -> float:
    estimator.predict_proba(rows)
    calls, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        estimator.predict_proba(rows)
        calls += 1
    return calls * len(rows) / took


def _batch(count: int) -> Shape:
    rows = SCHEMA.sample(count, seed=7)
    instances = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows.tolist()]
    body = json.dumps({"instances": instances}).encode()
    return Shape(f"/predict/batch, JSON, {count:,} rows", "/predict/batch", rows, body, {"Content-Type": JSON})


def _tensor_json(count: int) -> Shape:
    rows = SCHEMA.sample(count, seed=7)
    body = json.dumps({"inputs": [{**_tensor(rows), "data": rows.ravel().tolist()}]}).encode()
    return Shape(f"/v2, JSON, {count:,} rows", _INFER, rows, body, {"Content-Type": JSON})


def _tensor_binary(count: int) -> Shape:
    rows = SCHEMA.sample(count, seed=7)
    head = json.dumps(
        {
            "inputs": [{**_tensor(rows), "parameters": {"binary_data_size": rows.nbytes}}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    headers = {"Content-Type": OCTETS, "Inference-Header-Content-Length": str(len(head))}
    return Shape(f"/v2, binary, {count:,} rows", _INFER, rows, head + rows.astype("<f8").tobytes(), headers)


_INFER = "/v2/models/anomaly/infer"


def _tensor(rows: Matrix) -> dict[str, Any]:
    return {"name": "readings", "shape": list(rows.shape), "datatype": "FP64"}


def _table(rounds: Sequence[Round]) -> str:
    header = ["request", "connections", "rows/s", "share of predict_proba", "failures", "PSS MB"]
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for title, connections in dict.fromkeys((entry.title, entry.connections) for entry in rounds):
        mine = [entry for entry in rounds if (entry.title, entry.connections) == (title, connections)]
        shares = [entry.share for entry in mine]
        lines.append(
            f"| {title} | {connections} | {statistics.median(entry.rows_per_s for entry in mine):,.0f} "
            f"| {statistics.median(shares):.0%} ({min(shares):.0%} - {max(shares):.0%}) "
            f"| {sum(entry.failures for entry in mine)} | {max(entry.pss_mb for entry in mine):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
