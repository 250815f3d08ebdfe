"""The rows of audited traffic, some thousand at a time, with what is known of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import FeatureSchema, Matrix, Row
from app.replay.labels import Labels
from app.replay.lines import AuditLines, Line, Progress
from app.reporting.period import Period
from app.serving.prediction import batch_prediction_ids

CHUNK_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class AuditedRows:
    """Rows that were answered, in columns."""

    rows: Matrix
    request_ids: list[str]
    prediction_ids: list[str]
    actual: NDArray[np.int8]
    """What really was: 0, 1, or -1 where nobody said."""


@dataclass(slots=True)
class _Chunk:
    rows: list[Row] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    prediction_ids: list[str] = field(default_factory=list)


class AuditedTraffic:
    """Reads feedback first, then the served rows, so that neither is ever held as a whole."""

    def __init__(self, lines: AuditLines, schema: FeatureSchema, period: Period) -> None:
        self._lines = lines
        self._schema = schema
        self._period = period
        self._names = frozenset(schema.names)
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.answered_by: Counter[tuple[str, str | None]] = Counter()
        """Rows by the stage and version that answered at the time."""
        self.other_features = 0

    def labels(self, progress: Progress = lambda _: None) -> Labels:
        """The feedback since the period's begin; what was predicted within it may be judged after its end."""
        labels = Labels()
        for line in self._lines.within(Period(self._period.since), progress, b'"feedback.received"'):
            if line.event == "feedback.received" and line.actual in (0, 1):
                labels.add(line.prediction_id, line.actual)
        return labels

    def chunks(self, labels: Labels, limit: int | None, progress: Progress = lambda _: None) -> Iterator[AuditedRows]:
        """The served rows of the period in the order of the files, `limit` at most."""
        chunk, left = _Chunk(), limit
        for line in self._lines.within(self._period, progress):
            if line.event in ("prediction.served", "batch.served"):
                left = self._add(line, chunk, left)
            while len(chunk.rows) >= CHUNK_ROWS:
                yield self._cut(chunk, labels)
            if left == 0:
                break
        if chunk.rows:
            yield self._cut(chunk, labels)

    def _add(self, line: Line, chunk: _Chunk, left: int | None) -> int | None:
        """Adds a line's rows, `left` at most; gives how many more may come."""
        if line.features.keys() != self._names:
            self.other_features += 1 if isinstance(line.is_anomaly, bool) else len(line.is_anomaly)
            return left
        try:
            rows, ids = self._rows(line), _prediction_ids(line)
            if len(rows) != len(ids):
                raise ValueError("columns of different lengths")
        except (TypeError, ValueError):
            self._lines.unreadable_lines += 1
            return left
        rows, ids = rows[:left], ids[:left]
        chunk.rows += rows
        chunk.request_ids += [line.request_id] * len(rows)
        chunk.prediction_ids += ids
        self.answered_by[line.model_used, line.model_version] += len(rows)
        self.first = min(self.first or line.timestamp, line.timestamp)
        self.last = max(self.last or line.timestamp, line.timestamp)
        return None if left is None else left - len(rows)

    def _rows(self, line: Line) -> list[Row]:
        values = [line.features[name] for name in self._schema.names]
        if isinstance(line.is_anomaly, bool):
            return [tuple(map(float, values))]  # type: ignore[arg-type]  # of a list: TypeError
        return list(zip(*values, strict=True))

    def _cut(self, chunk: _Chunk, labels: Labels) -> AuditedRows:
        parts = chunk.rows[:CHUNK_ROWS], chunk.request_ids[:CHUNK_ROWS], chunk.prediction_ids[:CHUNK_ROWS]
        del chunk.rows[:CHUNK_ROWS], chunk.request_ids[:CHUNK_ROWS], chunk.prediction_ids[:CHUNK_ROWS]
        return AuditedRows(self._schema.matrix(parts[0]), parts[1], parts[2], labels.of(parts[2]))


def _prediction_ids(line: Line) -> list[str]:
    if isinstance(line.is_anomaly, bool):
        return [line.prediction_id]
    places = line.positions if line.positions is not None else range(len(line.is_anomaly))
    return batch_prediction_ids(line.model_version, line.model_used, line.is_anomaly, line.batch_id, places)
