"""Audit lines as DuckDB sees them: explicit columns, so that one odd line cannot change what the others mean.

A line that is no JSON object (torn by a kill or a full disk) becomes a row of NULLs, and is counted as unreadable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SERVED, REJECTED, FAILED, FEEDBACK, OTHER = "served", "rejected", "failed", "feedback", "other"

_TYPES = {
    "timestamp": "VARCHAR", "event": "VARCHAR", "pid": "BIGINT", "request_id": "VARCHAR", "trace_id": "VARCHAR",
    "model_used": "VARCHAR", "model_version": "VARCHAR", "latency_ms": "DOUBLE",
    "prediction_id": "VARCHAR", "prediction": "DOUBLE", "predictions": "DOUBLE[]", "is_anomaly": "JSON",
    "batch_id": "VARCHAR", "count": "BIGINT", "positions": "BIGINT[]", "row": "BIGINT", "warning": "VARCHAR",
    "error": "VARCHAR", "errors": "JSON", "actual": "TINYINT", "predicted": "TINYINT",
}  # fmt: skip

TIME = "try_cast(timestamp AS TIMESTAMP)"
IN_PERIOD = f"({TIME} >= $since OR $since IS NULL) AND ({TIME} < $until OR $until IS NULL)"
IS_BATCH = "event IN ('batch.served', 'batch.failed')"
HAS_FEATURES = f"(event IN ('prediction.served', 'prediction.failed') OR {IS_BATCH})"

OUTCOME = f"""CASE
    WHEN event IS NULL OR {TIME} IS NULL THEN NULL
    WHEN event IN ('prediction.served', 'batch.served') THEN '{SERVED}'
    WHEN event = 'prediction.rejected' THEN '{REJECTED}'
    WHEN event IN ('prediction.failed', 'batch.failed') THEN '{FAILED}'
    WHEN event <> 'feedback.received' THEN '{OTHER}'
    WHEN actual IN (0, 1) AND predicted IN (0, 1) THEN '{FEEDBACK}'
    END"""
"""NULL: unreadable."""

ROWS = f"CASE WHEN {IS_BATCH} THEN greatest(coalesce(count, 1), 0) ELSE 1 END"

IS_WHOLE = "(row IS NULL OR (row = 0 AND event <> 'prediction.rejected'))"
"""Whether the line stands for its request. Refused rows of a batch have lines beside the batch's own; in older files
each row of a batch has one, with the request's latency, and the first stands for all."""

KEY = "hash(split_part(split_part(coalesce(batch_id, prediction_id), '.', -1), '-', 1))"
"""What feedback and the line of its prediction share: the last part of the prediction's id, and of that what stands
before a row's position. Hashed, since it is kept for each of millions of lines."""


def source(types: Mapping[str, str]) -> str:
    """A table function over `$files` with columns of these names and types."""
    columns = ", ".join(f"{quoted(name)}: {text(kind)}" for name, kind in types.items())
    return f"read_json($files, format = 'newline_delimited', ignore_errors = true, columns = {{{columns}}})"


def lines_source(*names: str) -> str:
    """The lines with the columns `names`."""
    return source({name: _TYPES[name] for name in names})


def features_type(features: Iterable[str]) -> str:
    """The column `features`: JSON inside, since a value is a number in one line and a list of numbers in the next."""
    return "STRUCT(" + ", ".join(f"{quoted(name)} JSON" for name in features) + ")"


def feature_values(name: str) -> str:
    """One feature's values in a line, always as a list."""
    value = f"features.{quoted(name)}"
    return f"CASE WHEN {IS_BATCH} THEN try_cast({value} AS DOUBLE[]) ELSE [try_cast({value} AS DOUBLE)] END"


def all_types() -> dict[str, str]:
    """Every column but `features`."""
    return dict(_TYPES)


def text(value: str) -> str:
    """A string of SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
