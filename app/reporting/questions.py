"""The questions, each one query over the narrow table that is filled while the files are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from app.reporting.lines import (
    FAILED,
    FEEDBACK,
    IN_PERIOD,
    IS_WHOLE,
    KEY,
    OTHER,
    OUTCOME,
    REJECTED,
    ROWS,
    SERVED,
    lines_source,
)
from app.reporting.results import Failure, Latency, Quality, Rejection, Rows, StageQuality

SHOWN = 50
"""Most kinds of a problem that are listed; clients choose the names of unexpected features."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_BUCKETS = 24
_WIDTHS_S = (1, 5, 15, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 7 * 86_400, 28 * 86_400)

CREATE_LINES = """CREATE TABLE lines (
    time TIMESTAMP, outcome VARCHAR, stage VARCHAR, version VARCHAR, rows BIGINT, whole BOOLEAN, latency_us INTEGER,
    key UBIGINT, error VARCHAR, errors JSON, predicted TINYINT, actual TINYINT)"""

_SOURCE = lines_source(
    "timestamp",
    "event",
    "model_used",
    "model_version",
    "latency_ms",
    "prediction_id",
    "batch_id",
    "count",
    "row",
    "error",
    "errors",
    "actual",
    "predicted",
)

FILL_LINES = f"""INSERT INTO lines SELECT
    try_cast(timestamp AS TIMESTAMP), {OUTCOME}, model_used, model_version, {ROWS}, {IS_WHOLE},
    try_cast(round(latency_ms * 1000) AS INTEGER), {KEY},
    CASE WHEN event LIKE '%.failed' THEN error END, errors, predicted, actual
    FROM {_SOURCE}
    WHERE ({IN_PERIOD}) IS NOT false"""


class Questions:
    """Asks the table `lines` of `connection`. Buckets are numbered by the epoch: bucket * width since 1970."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def _ask(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values or None).fetchall()

    def extent(self) -> tuple[datetime | None, datetime | None, int, int]:
        """(first line, last line, readable lines, unreadable lines)."""
        ((first, last, readable, unreadable),) = self._ask(
            f"""SELECT epoch_us(min(time) FILTER (outcome <> '{OTHER}')),
                       epoch_us(max(time) FILTER (outcome <> '{OTHER}')),
                       count(outcome), count(*) - count(outcome) FROM lines"""
        )
        return _time(first), _time(last), readable, unreadable

    def rows(self, width_s: int) -> list[tuple[int, Rows]]:
        """Rows by bucket, outcome, stage and version."""
        found = self._ask(
            f"""SELECT epoch_us(time) // $width, outcome, coalesce(stage, 'none') AS stage, version, sum(rows)::BIGINT
            FROM lines WHERE outcome IN ('{SERVED}', '{REJECTED}', '{FAILED}') GROUP BY ALL ORDER BY ALL""",
            width=width_s * 1_000_000,
        )
        return [(entry[0], Rows(outcome=entry[1], stage=entry[2], version=entry[3], rows=entry[4])) for entry in found]

    def rejections(self) -> list[Rejection]:
        """Contract problems by feature and code, most frequent first."""
        found = self._ask(
            f"""SELECT problem ->> 'feature' AS feature, problem ->> 'code' AS code, count(*) AS problems
            FROM (SELECT unnest(CASE json_type(errors) WHEN 'ARRAY' THEN errors::JSON[] ELSE ['{{}}'] END) AS problem
                  FROM lines WHERE outcome = '{REJECTED}')
            GROUP BY ALL ORDER BY problems DESC, feature, code LIMIT {SHOWN}"""
        )
        return [Rejection(feature=feature, code=code, problems=count) for feature, code, count in found]

    def failures(self) -> list[Failure]:
        """Rows without an answer by the error in their line, most frequent first."""
        found = self._ask(
            f"""SELECT coalesce(error, 'no error in the line') AS cause, sum(rows)::BIGINT AS failed FROM lines
            WHERE outcome = '{FAILED}' GROUP BY cause ORDER BY failed DESC, cause LIMIT {SHOWN}"""
        )
        return [Failure(error=error, rows=rows) for error, rows in found]

    def latency(self, width_s: int) -> dict[int | None, Latency]:
        """Latency by bucket, and of the whole period under None."""
        found = self._ask(
            f"""SELECT bucket, count(*), quantile_disc(latency_us, [0.5, 0.9, 0.99, 1.0])
            FROM (SELECT epoch_us(time) // $width AS bucket, latency_us FROM lines
                  WHERE outcome IN ('{SERVED}', '{FAILED}') AND whole AND latency_us NOT NULL)
            GROUP BY GROUPING SETS (bucket, ())""",
            width=width_s * 1_000_000,
        )
        return {bucket: _latency(count, quantiles) for bucket, count, quantiles in found if count}

    def feedback(self, width_s: int) -> list[tuple[int | None, StageQuality]]:
        """What feedback says, by the bucket of the prediction (None: not in the period), stage and version."""
        found = self._ask(
            f"""WITH feedback AS (SELECT * FROM lines WHERE outcome = '{FEEDBACK}'),
            served AS (SELECT key, min(time) AS time FROM lines
                       WHERE outcome = '{SERVED}' AND key IN (SELECT key FROM feedback) GROUP BY key)
            SELECT epoch_us(served.time) // $width AS bucket, coalesce(stage, 'none') AS stage, version,
                   count_if(predicted = 1 AND actual = 1), count_if(predicted = 1 AND actual = 0),
                   count_if(predicted = 0 AND actual = 1), count_if(predicted = 0 AND actual = 0)
            FROM feedback LEFT JOIN served USING (key) GROUP BY bucket, stage, version ORDER BY ALL""",
            width=width_s * 1_000_000,
        )
        return [
            (bucket, StageQuality(stage=stage, version=version, quality=quality(*map(int, counts))))
            for bucket, stage, version, *counts in found
        ]


def quality(true_positives: int, false_positives: int, false_negatives: int, true_negatives: int) -> Quality:
    """The figures that follow from the four counts; None where they would divide by nothing."""
    feedback = true_positives + false_positives + false_negatives + true_negatives
    return Quality(
        feedback=feedback,
        true_positives=true_positives,
        false_positives=false_positives,
        false_negatives=false_negatives,
        true_negatives=true_negatives,
        accuracy=share(true_positives + true_negatives, feedback),
        precision=share(true_positives, true_positives + false_positives),
        recall=share(true_positives, true_positives + false_negatives),
    )


def total_quality(parts: Sequence[Quality]) -> Quality:
    """All of them together."""
    return quality(
        sum(part.true_positives for part in parts),
        sum(part.false_positives for part in parts),
        sum(part.false_negatives for part in parts),
        sum(part.true_negatives for part in parts),
    )


def share(part: int, whole: int) -> float | None:
    """None of nothing."""
    return part / whole if whole else None


def bucket_width_s(first: datetime, last: datetime) -> int:
    """The narrowest width that a person would choose and that gives a page of buckets."""
    span_s = (last - first).total_seconds()
    return next((width for width in _WIDTHS_S if span_s < _MOST_BUCKETS * width), _even_width(span_s))


def bucket_start(bucket: int, width_s: int) -> datetime:
    """When a bucket begins."""
    return _EPOCH + timedelta(seconds=bucket * width_s)


def _even_width(span_s: float) -> int:
    return int(span_s / _MOST_BUCKETS / _WIDTHS_S[-1] + 1) * _WIDTHS_S[-1]


def _time(epoch_us: int | None) -> datetime | None:
    return None if epoch_us is None else _EPOCH + timedelta(microseconds=epoch_us)


def _latency(requests: int, quantiles_us: Sequence[int]) -> Latency:
    p50, p90, p99, largest = (value / 1000 for value in quantiles_us)
    return Latency(requests=requests, p50_ms=p50, p90_ms=p90, p99_ms=p99, max_ms=largest)


NO_LATENCY = Latency(requests=0, p50_ms=None, p90_ms=None, p99_ms=None, max_ms=None)
