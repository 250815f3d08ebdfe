"""What is counted of predictions. A request only leaves a note; once a second the notes are counted together.

So a prediction costs no label look-up, no lock and no bin search of its own.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Multiset
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from prometheus_client import Counter

from app.contract.problems import Problem
from app.contract.schema import Matrix, Row
from app.telemetry.drift import Counts, FeatureBins
from app.telemetry.instruments import DURATION_BUCKETS_S, Instruments
from app.telemetry.recent import RecentMinutes

STAGES = ("primary", "fallback", "baseline")
FAILURE_REASONS = (
    "exception", "deadline", "non_finite", "shape", "range", "golden_rows", "abandoned_threads",
)  # fmt: skip
VALUE_PROBLEMS = ("missing", "not_numeric", "nan", "out_of_range")
REJECTED, FAILED = "rejected", "failed"
OUTCOMES = (*STAGES, REJECTED, FAILED)
"""What becomes of a reading: answered by one of the stages, or not."""

CONFUSION = ("true_negative", "false_positive", "false_negative", "true_positive")
"""What feedback says of a prediction, in the order of 2 * actual + predicted."""

_DURATIONS = len(DURATION_BUCKETS_S) + 1
_NO_FEATURE = "none"
_MOST_NOTES = 20_000

Note = tuple[str, str | None, Row, float, float]
"""One answered reading: stage, version, row, score, seconds."""

BatchNote = tuple[str, str | None, Matrix, Sequence[float], float]
"""The readings of one request that were answered together: the same, of many."""


class TrafficReport(msgspec.Struct, frozen=True):
    """A worker's last hour: per minute the readings by `OUTCOMES`, the feedback by `CONFUSION`, the requests by
    duration bucket.
    """

    minutes: dict[int, list[int]] = {}
    bins_version: str | None = None
    bins: list[list[int]] = []
    """Per feature the readings in each bin of the reference distribution of `bins_version`."""
    violations: dict[str, int] = {}
    """`feature code`: how often, since the worker started."""


class Tally:
    """Takes notes of what happens in one worker, counts them on `flush`, and keeps the last hour for health.

    `bins` gives the reference of the version that answers, None where there is none.
    """

    def __init__(
        self,
        features: Sequence[str],
        bins: Callable[[], FeatureBins | None],
        folder: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._features = frozenset(features)
        self._bins = bins
        self._folder = folder
        self._clock = clock
        self._notes: deque[Note] = deque()
        self._batch_notes: deque[BatchNote] = deque()
        self._batch_rows = 0
        self._flushing = threading.Lock()
        self._traffic = RecentMinutes(len(OUTCOMES) + len(CONFUSION) + _DURATIONS, clock)
        self._violations: Multiset[str] = Multiset()
        self._binned_version: str | None = None
        self._binned: list[RecentMinutes] = []
        self._bin_counters: list[list[Counter]] = []
        self._lines_dropped = 0
        self.instruments: Instruments

    def start(self, slot: str | None = None) -> None:
        """Opens the counters, after the last fork; `slot` None: nobody else's are to be added to these."""
        self.instruments = Instruments(self._folder if slot is not None else None, slot or "0")
        self.instruments.worker_starts.inc()
        self._declare()

    def _declare(self) -> None:
        """Makes every series that is known beforehand start at 0: the first fault is an increase, not a new series."""
        made = self.instruments
        for outcome in OUTCOMES:
            made.requests.labels(outcome)
        for stage, reason in product(STAGES, FAILURE_REASONS):
            made.stage_failures.labels(stage, reason)
        for feature, code in product(self._features, VALUE_PROBLEMS):
            made.violations.labels(feature, code)
        for reason in ("malformed", "unknown", "repeated"):
            made.feedback_refused.labels(reason)
        for agreement in ("same", "different"):
            made.shadow_rows.labels(agreement)

    # --- notes ----------------------------------------------------------------------------------------------

    def answered(self, stage: str, version: str | None, row: Row, score: float, duration_s: float) -> None:
        """One reading was answered."""
        self._notes.append((stage, version, row, score, duration_s))
        if len(self._notes) > _MOST_NOTES:
            self.flush()

    def batch_answered(
        self, stage: str, version: str | None, rows: Matrix, scores: Sequence[float], duration_s: float
    ) -> None:
        """Many readings of one request were answered together."""
        self._batch_notes.append((stage, version, rows, scores, duration_s))
        self._batch_rows += len(rows)
        if self._batch_rows > _MOST_NOTES:
            self.flush()

    def failed(self, readings: int, duration_s: float) -> None:
        """No stage could answer the readings of a request."""
        self.instruments.requests.labels(FAILED).inc(readings)
        self._note_outcome(FAILED, readings, np.array([duration_s]))

    def rejected(self, problems: Iterable[Problem]) -> None:
        """A reading, or a body that holds none, was refused for `problems`."""
        self.instruments.requests.labels(REJECTED).inc()
        for problem in problems:
            feature = problem.feature if problem.feature in self._features else _NO_FEATURE
            self.instruments.violations.labels(feature, problem.code).inc()
            self._violations[f"{feature} {problem.code}"] += 1
        self._note_outcome(REJECTED, 1, np.empty(0))

    def stage_failed(self, stage: str, reason: str) -> None:
        """A stage gave no answer."""
        self.instruments.stage_failures.labels(stage, reason).inc()

    def feedback(self, version: str, stage: str, predicted: int, actual: int) -> None:
        """It is known now what really was."""
        self.instruments.feedback.labels(version, stage, str(predicted), str(actual)).inc()
        confusion = np.zeros(len(CONFUSION))
        confusion[2 * actual + predicted] = 1
        self._traffic.add(np.concatenate([np.zeros(len(OUTCOMES)), confusion, np.zeros(_DURATIONS)]))

    def feedback_refused(self, reason: str) -> None:
        """Feedback came that cannot be counted."""
        self.instruments.feedback_refused.labels(reason).inc()

    def shadowed(self, *, same: int, different: int) -> None:
        """The shadow version decided as the active one did, or not, on so many readings."""
        self.instruments.shadow_rows.labels("same").inc(same)
        self.instruments.shadow_rows.labels("different").inc(different)

    def shadow_dropped(self, readings: int) -> None:
        """So many readings were not shown to the shadow version."""
        self.instruments.shadow_dropped.inc(readings)

    def shadow_failed(self) -> None:
        """The shadow version gave no answer."""
        self.instruments.shadow_failures.inc()

    def refused(self, status: int) -> None:
        """A request was refused that never got as far as its reading: no HTTP, no such endpoint, too large."""
        self.instruments.http_refusals.labels(str(status)).inc()

    def shed(self) -> None:
        """A request was refused because of overload."""
        self.instruments.shed.inc()

    def audit_failed(self) -> None:
        """The audit could not be written."""
        self.instruments.audit_errors.inc()

    def lines_dropped(self, total: int) -> None:
        """So many log lines were lost since the process started."""
        self.instruments.log_lines_dropped.inc(total - self._lines_dropped)
        self._lines_dropped = total

    # --- counting -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Counts what was noted since the last time."""
        bins = self._bins()
        with self._flushing:
            if bins is not None:
                self._serve(bins)
            for (stage, version), notes in _grouped(self._notes).items():
                _, _, rows, scores, durations = zip(*notes, strict=True)
                self._count(stage, version, np.array(rows), np.array(scores), np.array(durations))
            self._batch_rows = 0
            for (stage, version), notes in _grouped(self._batch_notes).items():
                _, _, rows, scores, durations = zip(*notes, strict=True)
                self._count(stage, version, np.concatenate(rows), np.concatenate(scores), np.array(durations))

    def _count(self, stage: str, version: str | None, rows: Matrix, scores: Counts, durations_s: Counts) -> None:
        self.instruments.requests.labels(stage).inc(len(rows))
        self.instruments.duration.observe_many(durations_s)
        self.instruments.score.observe_many(scores)
        self._note_outcome(stage, len(rows), durations_s)
        bins = self._bins()
        if bins is not None and bins.version == version:
            self._count_bins(bins, rows)

    def _serve(self, bins: FeatureBins) -> None:
        """Makes the series of a version start at 0 too, before its first reading and the first word about it."""
        if self._binned_version == bins.version:
            return
        self._binned_version = bins.version
        self._binned = [RecentMinutes(len(ratios), self._clock) for ratios in bins.ratios]
        self._bin_counters = [
            [self.instruments.feature_rows.labels(name, str(place)) for place in range(len(ratios))]
            for name, ratios in zip(bins.names, bins.ratios, strict=True)
        ]
        for stage, predicted, actual in product(STAGES, "01", "01"):
            self.instruments.feedback.labels(bins.version, stage, predicted, actual)

    def _count_bins(self, bins: FeatureBins, rows: Matrix) -> None:
        self._serve(bins)
        for counts, recent, counters in zip(bins.count(rows), self._binned, self._bin_counters, strict=True):
            recent.add(counts)
            for count, counter in zip(counts.tolist(), counters, strict=True):
                if count:
                    counter.inc(count)

    def _note_outcome(self, outcome: str, readings: int, durations_s: Counts) -> None:
        outcomes, confusion = np.zeros(len(OUTCOMES)), np.zeros(len(CONFUSION))
        outcomes[OUTCOMES.index(outcome)] = readings
        durations = np.bincount(np.searchsorted(DURATION_BUCKETS_S, durations_s), minlength=_DURATIONS)
        self._traffic.add(np.concatenate([outcomes, confusion, durations]))

    def report(self) -> TrafficReport:
        """The last hour, for the worker board."""
        self.flush()
        return TrafficReport(
            self._traffic.by_minute(),
            self._binned_version,
            [recent.total().astype(int).tolist() for recent in self._binned],
            dict(self._violations.most_common(20)),
        )


def _grouped(notes: deque[Any]) -> dict[tuple[str, str | None], list[Any]]:
    """Takes all notes, by their stage and version."""
    groups: dict[tuple[str, str | None], list[Any]] = {}
    for _ in range(len(notes)):
        note = notes.popleft()
        groups.setdefault(note[:2], []).append(note)
    return groups
