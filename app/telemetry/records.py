"""The lines of the audit: what is written down of a request, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray


class Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What every line tells: when, what, whose, and how it ended."""

    timestamp: datetime
    level: str
    event: str
    pid: int
    request_id: str
    trace_id: str | None = None
    client: str | None = None
    """The name of the API key."""
    success: bool
    model_used: str
    model_version: str | None


class PredictionRecord(Record, frozen=True, omit_defaults=True, kw_only=True):
    """One prediction, or one request or row that got none. The same line goes to the audit and to the log.

    `event` is `prediction.served`, `prediction.rejected` or `prediction.failed`.
    """

    latency_ms: float
    prediction_id: str | None = None
    prediction: float | None = None
    is_anomaly: bool | None = None
    features: dict[str, float] | None = None
    row: int | None = None
    """Position in its batch, from 0."""
    warning: str | None = None
    error: str | None = None
    errors: list[dict[str, Any]] | None = None


class BatchRecord(Record, frozen=True, kw_only=True):
    """The rows of one request that were answered together, or that nothing could answer: a column per fact.

    Rows that break the contract have lines of their own. `event` is `batch.served` or `batch.failed`.
    """

    latency_ms: float
    count: int
    batch_id: str | None = None
    """A row's prediction id is `VERSION.STAGE.DECISION.BATCH_ID-POSITION`."""
    predictions: list[float] | None = None
    is_anomaly: list[bool] | None = None
    features: dict[str, NDArray[np.float64]] | None = None
    positions: list[int] | None = None
    """Where within the request each row stood; left out where all of its rows are here."""
    warning: str | None = None
    error: str | None = None

    def line(self) -> bytes:
        """The record as JSON; its columns go there straight from numpy, without a Python object per number."""
        members = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return orjson.dumps(members, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)

    def without_rows(self) -> BatchRecord:
        """The same as a line for the log, which should not carry thousands of readings."""
        return msgspec.structs.replace(self, predictions=None, is_anomaly=None, features=None, positions=None)


class FeedbackRecord(Record, frozen=True, omit_defaults=True, kw_only=True):
    """What really was, beside what had been predicted."""

    prediction_id: str
    actual: int
    predicted: int
