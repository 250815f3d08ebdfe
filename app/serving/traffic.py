"""The last hour of all workers together: rates, stages, latency, drift, accuracy. For people, from the worker board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.telemetry.drift import FeatureBins, population_stability_index
from app.telemetry.instruments import DURATION_BUCKETS_S
from app.telemetry.tally import CONFUSION, OUTCOMES, TrafficReport

DRIFT_NEEDS_ROWS = 200
"""With fewer readings, chance alone looks like drift."""

_WIDTH = len(OUTCOMES) + len(CONFUSION) + len(DURATION_BUCKETS_S) + 1


@dataclass(frozen=True, slots=True)
class Span:
    """What happened within a minute or an hour."""

    outcomes: dict[str, int]
    p50_ms: float | None
    p99_ms: float | None
    accuracy: float | None
    """Share of the feedback that agrees with the prediction; None without feedback."""
    precision: float | None
    recall: float | None
    feedback: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """The last hour as a whole, and minute by minute (Unix time of its start)."""

    hour: Span
    minutes: dict[int, Span]
    violations: dict[str, int]
    """`feature code`: rejections since the workers started, most frequent first."""
    drift: dict[str, float] | None
    """PSI per feature against the training of the active version; None with too few readings."""
    drift_rows: int


def summarize(reports: Sequence[TrafficReport], bins: FeatureBins | None) -> Traffic:
    """All workers' last hour; `bins` is the reference of the active version."""
    minutes: dict[int, NDArray[np.float64]] = {}
    violations: Counter[str] = Counter()
    for report in reports:
        violations.update(report.violations)
        for minute, counts in report.minutes.items():
            minutes[minute] = minutes.get(minute, np.zeros(_WIDTH)) + counts
    drift, rows = _drift((report for report in reports if bins and report.bins_version == bins.version), bins)
    return Traffic(
        _span(sum(minutes.values(), np.zeros(_WIDTH))),
        {minute * 60: _span(minutes[minute]) for minute in sorted(minutes)},
        dict(violations.most_common(10)),
        drift,
        rows,
    )


def _span(counts: NDArray[np.float64]) -> Span:
    outcomes, confusion, durations = np.split(counts, [len(OUTCOMES), len(OUTCOMES) + len(CONFUSION)])
    right_no, wrong_yes, wrong_no, right_yes = (int(count) for count in confusion)
    feedback = right_no + wrong_yes + wrong_no + right_yes
    return Span(
        dict(zip(OUTCOMES, outcomes.astype(int).tolist(), strict=True)),
        _quantile_ms(durations, 0.5),
        _quantile_ms(durations, 0.99),
        _share(right_no + right_yes, feedback),
        _share(right_yes, right_yes + wrong_yes),
        _share(right_yes, right_yes + wrong_no),
        feedback,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _quantile_ms(counts: NDArray[np.float64], quantile: float) -> float | None:
    """From counts by duration bucket, linear within the bucket, as Prometheus' `histogram_quantile` does."""
    total = counts.sum()
    if not total:
        return None
    reached = np.cumsum(counts)
    bucket = int(np.searchsorted(reached, quantile * total))
    if bucket == len(DURATION_BUCKETS_S):
        return DURATION_BUCKETS_S[-1] * 1000
    low = DURATION_BUCKETS_S[bucket - 1] if bucket else 0.0
    below = reached[bucket - 1] if bucket else 0.0
    within = (quantile * total - below) / counts[bucket]
    return round(float(low + (DURATION_BUCKETS_S[bucket] - low) * within) * 1000, 3)


def _drift(reports: Iterable[TrafficReport], bins: FeatureBins | None) -> tuple[dict[str, float] | None, int]:
    counted = [report.bins for report in reports]
    if bins is None or not counted:
        return None, 0
    together = [np.sum(columns, axis=0) for columns in zip(*counted, strict=True)]
    rows = int(together[0].sum())
    if rows < DRIFT_NEEDS_ROWS:
        return None, rows
    return {
        name: round(population_stability_index(counts.tolist(), ratios), 4)
        for name, counts, ratios in zip(bins.names, together, bins.ratios, strict=True)
    }, rows
