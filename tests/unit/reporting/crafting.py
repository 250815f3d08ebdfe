"""Audit lines by hand, as the service writes them, and the files that hold them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

VERSION = "20261101T000000Z-aaaaaa"
DAY = "2026-11-20"

Line = dict[str, Any]


def line(event: str, at: str, **members: Any) -> Line:
    """What all lines have in common; `at` is a time of day, or a whole timestamp."""
    timestamp = at if "T" in at else f"{DAY}T{at}.000000Z"
    return {"timestamp": timestamp, "level": "info", "event": event, "pid": 7, "request_id": "r", **members}


def served(
    at: str, unique: str = "u", stage: str = "primary", *, anomaly: int = 0, ms: float = 1.0, **more: Any
) -> Line:
    """One single prediction."""
    return line(
        "prediction.served", at, success=True, model_used=stage, model_version=VERSION, latency_ms=ms,
        prediction_id=f"{VERSION}.{stage}.{anomaly}.{unique}", prediction=0.25, is_anomaly=bool(anomaly),
        features=more.pop("features", {"a": 1.0, "b": 2.0}), **more,
    )  # fmt: skip


def batch(
    at: str, batch_id: str, decisions: Sequence[int], stage: str = "primary", *, ms: float = 1.0, **more: Any
) -> Line:
    """One batch in columns."""
    count = len(decisions)
    features = more.pop("features", {"a": [float(k) for k in range(count)], "b": [2.0] * count})
    return line(
        "batch.served", at, success=True, model_used=stage, model_version=VERSION, latency_ms=ms, batch_id=batch_id,
        count=count, predictions=[0.5] * count, is_anomaly=[bool(d) for d in decisions], features=features, **more,
    )  # fmt: skip


def rejected(at: str, *problems: tuple[str | None, str], **more: Any) -> Line:
    """A refused row; without problems, a refused request."""
    errors = [{"feature": feature, "code": code} for feature, code in problems]
    return line(
        "prediction.rejected", at, success=False, model_used="none", model_version=None, latency_ms=0.1, error="bad",
        **({"errors": errors} if errors else {}), **more,
    )  # fmt: skip


def failed(at: str, error: str = "All prediction methods failed", *, ms: float = 400.0, **more: Any) -> Line:
    """A single row that no stage answered."""
    return line(
        "prediction.failed", at, success=False, model_used="none", model_version=None, latency_ms=ms, error=error,
        features=more.pop("features", {"a": 1.0, "b": 2.0}), **more,
    )  # fmt: skip


def feedback(at: str, prediction_id: str, actual: int) -> Line:
    """One accepted feedback on a prediction of `VERSION`."""
    _, stage, decision, _ = prediction_id.rsplit(".", 3)
    return line(
        "feedback.received", at, success=True, model_used=stage, model_version=VERSION, latency_ms=0.1,
        prediction_id=prediction_id, predicted=int(decision), actual=actual,
    )  # fmt: skip


def write(folder: Path, lines: Iterable[Line], name: str = "predictions-20261120-7.jsonl", torn: bytes = b"") -> Path:
    """An audit file; `torn`: what stands behind the last whole line. Packed where the name says so."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    data = b"".join(json.dumps(entry).encode() + b"\n" for entry in lines) + torn
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path
