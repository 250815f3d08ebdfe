"""What a report says, as values; their names are those of `flask report --json`. Times are UTC, shares lie in 0..1."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and what was found in it: `first` and `last` line."""

    since: datetime | None
    until: datetime | None
    first: datetime | None
    last: datetime | None
    bucket_s: int
    """Width of a bucket of the timeline, seconds."""


class UnreadableFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that gave no line."""

    file: str
    problem: str


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the report rests on."""

    folder: str
    files: int
    bytes: int
    lines: int
    """Readable lines of the period, those of other events included."""
    unreadable_lines: int
    """Torn or otherwise not what the service writes. Their time is unknown: all in the files read count."""
    unreadable_files: list[UnreadableFile]


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by what became of them; a request has one, a batch has many."""

    outcome: str
    """`served`, `rejected` or `failed`."""
    stage: str
    version: str | None
    rows: int


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Contract problems of one kind; both None: the request as a whole was refused (no JSON, too many rows)."""

    feature: str | None
    code: str | None
    problems: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that no stage answered, by the error in their line."""

    error: str
    rows: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Of requests that were answered or failed; percentiles by nearest rank."""

    requests: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What feedback says of predictions."""

    feedback: int
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    accuracy: float | None
    precision: float | None
    recall: float | None


class StageQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Of one stage of one version."""

    stage: str
    version: str | None
    quality: Quality


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of the timeline. Its quality is that of the predictions made in it, whenever the feedback came."""

    start: datetime
    rows: int
    primary: int
    fallback: int
    baseline: int
    rejected: int
    failed: int
    latency: Latency
    quality: Quality


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive buckets that stand out: a rate inside them, and in all the others together."""

    since: datetime
    until: datetime
    inside: float
    outside: float


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One input beside training."""

    feature: str
    rows: int
    psi: float | None
    verdict: str
    """`stable`, `moderate`, `large`, or `too few rows`."""
    edges: list[float]
    reference: list[float]
    """Share of the training rows in each bin."""
    live: list[float]
    """Share of the period's rows in each bin."""


class DriftSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All inputs beside the training of `version`, most drifted first; `note`: why there is nothing to compare."""

    version: str | None
    note: str | None
    features: list[Drift]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    period: Span
    coverage: Coverage
    rows: int
    served: int
    degraded: int
    """Answered by the fallback or the rule."""
    rejected: int
    failed: int
    outcomes: list[Rows]
    rejections: list[Rejection]
    failures: list[Failure]
    latency: Latency
    quality: Quality
    quality_by_stage: list[StageQuality]
    feedback_placed: int
    """Feedback whose prediction lies in the period, so that the timeline holds it."""
    timeline: list[Bucket]
    drift: DriftSummary
    most_failed: Stretch | None
    most_degraded: Stretch | None
    most_wrong: Stretch | None
