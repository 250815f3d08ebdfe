"""`flask report --sql`: one SELECT over everything in the audit, and no way from there to any file or setting.

Four locks, each enough for most attempts: the text must parse as one statement made of nothing but SELECTs, the
database is opened read-only, external access is off, and the configuration is locked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from app.errors import ReportError
from app.reporting.lines import (
    FEEDBACK,
    IN_PERIOD,
    IS_BATCH,
    IS_WHOLE,
    OTHER,
    OUTCOME,
    ROWS,
    all_types,
    feature_values,
    features_type,
    quoted,
    source,
)
from app.reporting.period import Period
from app.reporting.report import files_of
from app.reporting.store import Loaded, Store, one_line, scratch_store

VIEWS = {
    "audit": "timestamp, outcome (served, rejected, failed), event, request_id, trace_id, prediction_id, batch_id, "
    "position, model_used, model_version, prediction, is_anomaly, latency_ms, warning, error, errors, features, pid",
    "requests": "timestamp, outcome, event, request_id, trace_id, batch_id, model_used, model_version, rows, "
    "latency_ms, warning, error, pid",
    "feedback": "timestamp, request_id, prediction_id, model_used, model_version, predicted, actual",
}
"""Columns by view. `audit`: one row per prediction, those of batches too. `requests`: one row per request; what was
refused within a batch is in `audit` only. Times are UTC; a feature is `features.lag_1`."""

_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's columns, and its rows as they come."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]
    loaded: Loaded


@contextmanager
def answer(query: str, folder: Path, period: Period, features: Sequence[str]) -> Iterator[Answer]:
    """Reads the audit files and runs `query`. Raises `ReportError`, before reading where the query is at fault."""
    files = files_of(folder, period)
    with scratch_store() as store:
        _create(store, features)
        store.lock()  # even looking at a query may open the files it names
        columns, checked = _checked(store.connection, query)
        store.unlock()
        loaded = store.load(files, [_fill(features)], period)
        store.lock()
        with _reported():
            store.connection.execute(checked)
            yield Answer(columns, _rows(store.connection), loaded)


def _checked(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[list[str], str]:
    """(columns, the query as it is to be run); refuses what is no single SELECT, or names what the views lack."""
    with _reported():
        ((document,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
        parsed = json.loads(document)
        if parsed["error"]:
            raise ReportError(f"--sql: {' '.join(parsed['error_message'].split())}")
        # DuckDB lets a WITH clause insert, delete and copy; such a node is named after what it does.
        if len(parsed["statements"]) != 1 or '_QUERY_NODE"' in document:
            raise ReportError("--sql: only one SELECT is allowed, which may read and nothing else")
        relation = connection.sql(query)
        sql = relation.project(", ".join(map(_fetchable, relation.columns, relation.types))).sql_query()
        connection.execute(f"EXPLAIN {sql}")
        return relation.columns, sql


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        views = "; ".join(f"{view}({columns})" for view, columns in VIEWS.items())
        hint = f"; there are {views}" if isinstance(error, duckdb.BinderException | duckdb.CatalogException) else ""
        raise ReportError(f"--sql: {one_line(error)}{hint}") from error


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    with _reported():
        while chunk := connection.fetchmany(_CHUNK):
            yield from chunk


def _fetchable(column: str, kind: Any) -> str:
    """Times with a zone as text: as values they would need a library of time zones."""
    return f"{quoted(column)}::VARCHAR AS {quoted(column)}" if "TIME ZONE" in str(kind) else quoted(column)


# --- one wide table, and the views over it -----------------------------------------------------------------------


def _create(store: Store, features: Sequence[str]) -> None:
    values = ", ".join(f"{quoted(name)} DOUBLE[]" for name in features)
    store.connection.execute(f"""
        CREATE TABLE lines (
            timestamp TIMESTAMP, outcome VARCHAR, event VARCHAR, pid BIGINT, request_id VARCHAR, trace_id VARCHAR,
            model_used VARCHAR, model_version VARCHAR, latency_ms DOUBLE, prediction_id VARCHAR, batch_id VARCHAR,
            rows BIGINT, whole BOOLEAN, positions BIGINT[], predictions DOUBLE[], is_anomaly BOOLEAN[],
            features STRUCT({values}), warning VARCHAR, error VARCHAR, errors JSON, predicted TINYINT, actual TINYINT);
        CREATE VIEW feedback AS
            SELECT timestamp, request_id, prediction_id, model_used, model_version, predicted, actual
            FROM lines WHERE outcome = '{FEEDBACK}';
        CREATE VIEW requests AS
            SELECT timestamp, outcome, event, request_id, trace_id, batch_id, model_used, model_version, rows,
                   latency_ms, warning, error, pid
            FROM lines WHERE whole AND outcome NOT IN ('{FEEDBACK}', '{OTHER}');
        {_audit_view(features)}""")


def _audit_view(features: Sequence[str]) -> str:
    unnested = ", ".join(f"unnest(features.{quoted(name)}) AS {quoted(f'value {name}')}" for name in features)
    struct = ", ".join(f"{quoted(name)} := {quoted(f'value {name}')}" for name in features)
    return f"""
        CREATE VIEW audit AS
            SELECT timestamp, outcome, event, request_id, trace_id,
                   CASE WHEN batch_id IS NULL THEN prediction_id WHEN outcome = 'served' THEN
                       concat(coalesce(model_version, '-'), '.', model_used, '.', decision::INT, '.', batch_id, '-',
                              position) END AS prediction_id,
                   batch_id, position, model_used, model_version, prediction, decision AS is_anomaly, latency_ms,
                   warning, error, errors,
                   CASE WHEN outcome <> 'rejected' THEN struct_pack({struct}) END AS features, pid
            FROM (SELECT * EXCLUDE (features, is_anomaly, positions, predictions), unnest(positions) AS position,
                         unnest(predictions) AS prediction, unnest(is_anomaly) AS decision, {unnested}
                  FROM lines WHERE outcome NOT IN ('{FEEDBACK}', '{OTHER}'));"""


def _fill(features: Sequence[str]) -> str:
    values = ", ".join(f"{quoted(name)} := {feature_values(name)}" for name in features)
    return f"""INSERT INTO lines SELECT
        try_cast(timestamp AS TIMESTAMP), {OUTCOME}, event, pid, request_id, trace_id, model_used, model_version,
        latency_ms, prediction_id, batch_id, {ROWS}, {IS_WHOLE},
        CASE WHEN {IS_BATCH} THEN coalesce(positions, range({ROWS})) ELSE [row] END,
        CASE WHEN {IS_BATCH} THEN predictions ELSE [prediction] END,
        CASE WHEN {IS_BATCH} THEN try_cast(is_anomaly AS BOOLEAN[]) ELSE [try_cast(is_anomaly AS BOOLEAN)] END,
        struct_pack({values}), warning, error, errors, predicted, actual
        FROM {source({**all_types(), "features": features_type(features)})} WHERE {IN_PERIOD}"""
