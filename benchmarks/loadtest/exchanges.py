"""Every kind of request that the load test sends, with the check of its reply."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema, Row
from benchmarks.loadtest import replies

Rows: TypeAlias = Sequence[Row]

SCHEMA = FeatureSchema()

PREDICT = "predict"
BATCH = "predict/batch"
INFER = "v2 infer"
PREDICTIONS = frozenset({PREDICT, BATCH, INFER})
"""The kinds whose latency counts: those that ask for predictions of good readings."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what its reply must be."""

    kind: str
    """Its line in the table of results."""
    path: str
    check: replies.Check
    body: bytes | None = None
    """JSON to POST; None: GET."""


def predict(row: Row) -> Exchange:
    """One reading."""
    return Exchange(PREDICT, "/predict", replies.prediction, msgspec.json.encode(_named(row)))


def predict_batch(rows: Rows) -> Exchange:
    """Many readings at once."""
    body = msgspec.json.encode({"instances": list(map(_named, rows))})
    return Exchange(BATCH, "/predict/batch", replies.batch(len(rows)), body)


def infer(rows: Rows, model_name: str) -> Exchange:
    """The same by the Open Inference Protocol: one tensor, a row per reading."""
    tensor = {"name": "readings", "shape": [len(rows), len(SCHEMA.names)], "datatype": "FP64", "data": rows}
    path = f"/v2/models/{model_name}/infer"
    return Exchange(INFER, path, replies.inference(len(rows)), msgspec.json.encode({"inputs": [tensor]}))


def feedback(prediction_id: str, actual: int) -> Exchange:
    """What really was."""
    body = msgspec.json.encode({"prediction_id": prediction_id, "actual": actual})
    return Exchange("feedback", "/feedback", replies.feedback, body)


def predict_bad(row: Row, rng: random.Random) -> Exchange:
    """A reading with a mistake that pipelines make: the contract itself says what has to be answered."""
    reading = spoiled(_named(row), rng)
    verdict = SCHEMA.check(reading)
    problems = verdict.problems if isinstance(verdict, Rejected) else ()
    violations = frozenset((problem.feature, problem.code) for problem in problems)
    # Python's own encoder, since it writes the bare NaN that Python's clients send.
    return Exchange("predict, bad reading", "/predict", replies.rejection(violations), json.dumps(reading).encode())


def spoiled(reading: Mapping[str, float], rng: random.Random) -> dict[str, object]:
    """The reading with one feature lost, renamed, null, text, NaN or beyond its range."""
    spoilt: dict[str, object] = dict(reading)
    feature = rng.choice(SCHEMA.features)
    value = spoilt.pop(feature.name)
    match rng.choice(("lost", "renamed", "null", "text", "nan", "beyond")):
        case "renamed":
            spoilt[feature.name.upper()] = value
        case "null":
            spoilt[feature.name] = None
        case "text":
            spoilt[feature.name] = str(value)
        case "nan":
            spoilt[feature.name] = float("nan")
        case "beyond":
            spoilt[feature.name] = rng.choice((feature.low - 1, feature.high * 1.5))
    return spoilt


HEALTH = Exchange("health", "/health", replies.health)
LIVE = Exchange("health/live", "/health/live", replies.probe)
READY = Exchange("health/ready", "/health/ready", replies.probe)
SCRAPE = Exchange("metrics", "/metrics", replies.scrape)


def _named(row: Row) -> dict[str, float]:
    return dict(zip(SCHEMA.names, row, strict=True))
