"""The report's tables, as both the terminal and the page show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.reporting.answers import ms, percent, problem, slowness
from app.reporting.questions import share
from app.reporting.results import Quality, Report
from app.reporting.table import clean


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its first `left` columns are words, the others figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


def outcomes(report: Report) -> Table:
    """What became of the rows."""
    rows = [
        [entry.outcome, entry.stage, entry.version or "-", f"{entry.rows:,}", percent(entry.rows / report.rows)]
        for entry in report.outcomes
    ]
    return Table("Outcomes", ["outcome", "stage", "version", "rows", "share"], rows, left=3)


def timeline(report: Report) -> Table:
    """Everything over time; shares of the bucket's rows, accuracy of the predictions made in it."""
    rows = [
        [
            _start(bucket.start, report), f"{bucket.rows:,}",
            percent(share(bucket.failed, bucket.rows)), percent(share(bucket.rejected, bucket.rows)),
            percent(share(bucket.fallback + bucket.baseline, bucket.primary + bucket.fallback + bucket.baseline)),
            *slowness(bucket.latency), percent(bucket.quality.accuracy),
        ]
        for bucket in report.timeline
    ]  # fmt: skip
    header = ["from (UTC)", "rows", "failed", "rejected", "degraded", "p50", "p99", "longest", "accuracy"]
    return Table("Over time", header, rows)


def rejections(report: Report) -> Table:
    """Why input was refused."""
    rows = [[problem(entry.feature, entry.code), f"{entry.problems:,}"] for entry in report.rejections]
    return Table("Rejections", ["feature and problem", "count"], rows)


def failures(report: Report) -> Table:
    """Why no stage answered."""
    rows = [[clean(entry.error, 70), f"{entry.rows:,}"] for entry in report.failures]
    return Table("Failures", ["cause", "rows"], rows)


def quality(report: Report) -> Table:
    """Feedback by stage and version."""
    rows = [[entry.stage, entry.version or "-", *_quality(entry.quality)] for entry in report.quality_by_stage]
    if len(rows) > 1:
        rows.append(["all", "", *_quality(report.quality)])
    header = ["stage", "version", "feedback", "accuracy", "precision", "recall"]
    away = report.quality.feedback - report.feedback_placed
    note = f" ({away:,} of predictions outside the period, not in the timeline)" if away else ""
    return Table(f"Feedback{note}", header, rows, left=2)


def quality_timeline(report: Report) -> Table:
    """Feedback by the time of its prediction."""
    rows = [[_start(bucket.start, report), *_quality(bucket.quality)] for bucket in report.timeline]
    return Table("Feedback by time of prediction", ["from (UTC)", "feedback", "accuracy", "precision", "recall"], rows)


def latency_timeline(report: Report) -> Table:
    """Percentiles over time."""
    rows = [
        [
            _start(bucket.start, report), f"{bucket.latency.requests:,}", ms(bucket.latency.p50_ms),
            ms(bucket.latency.p90_ms), ms(bucket.latency.p99_ms), ms(bucket.latency.max_ms),
        ]
        for bucket in report.timeline
    ]  # fmt: skip
    return Table("Latency of requests", ["from (UTC)", "requests", "p50", "p90", "p99", "longest"], rows)


def stages_timeline(report: Report) -> Table:
    """Rows by what became of them, over time."""
    rows = [
        [
            _start(bucket.start, report),
            *(f"{n:,}" for n in (bucket.primary, bucket.fallback, bucket.baseline, bucket.rejected, bucket.failed)),
        ]
        for bucket in report.timeline
    ]
    return Table("Rows", ["from (UTC)", "primary", "fallback", "baseline", "rejected", "failed"], rows)


def drift(report: Report) -> Table:
    """Inputs beside training."""
    rows = [
        [clean(entry.feature), "-" if entry.psi is None else f"{entry.psi:.3f}", entry.verdict, f"{entry.rows:,}"]
        for entry in report.drift.features
    ]
    beside = f" beside the training of {report.drift.version}" if report.drift.version else ""
    return Table(f"Inputs{beside}", ["feature", "PSI", "drift", "rows"], rows)


def _quality(quality: Quality) -> list[str]:
    return [f"{quality.feedback:,}", *map(percent, (quality.accuracy, quality.precision, quality.recall))]


def _start(time: datetime, report: Report) -> str:
    return f"{time:%m-%d %H:%M:%S}" if report.period.bucket_s < 60 else f"{time:%m-%d %H:%M}"
