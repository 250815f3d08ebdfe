"""What a replay says, as values; their names are those of `flask replay --json`. Times are UTC, shares lie in 0..1."""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.reporting.results import Quality, UnreadableFile


class Answerer(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that were answered at the time by something else than the primary of the version active now."""

    stage: str
    version: str | None
    rows: int


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What was scored again, and what could not be."""

    folder: str
    since: datetime | None
    until: datetime | None
    first: datetime | None
    last: datetime | None
    files: int
    rows: int
    labelled: int
    """Rows with feedback."""
    answered_otherwise: list[Answerer]
    other_features: int
    """Rows left out, since they have not the features of the contract served now."""
    unreadable_lines: int
    """Torn or otherwise not what the service writes."""
    unreadable_files: list[UnreadableFile]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of alternating rounds in this process."""

    one_row_us: float
    row_in_batch_us: float
    largest_batch_ms: float


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two versions, by its primary model."""

    version: str
    threshold: float
    scorer: str
    """`compiled`, or why the estimator itself serves."""
    anomalies: int
    failed: int
    """Rows it gave no usable score."""
    failure: str | None
    """The first of these failures."""
    quality: Quality
    latency: Latency | None
    """None where the two have no row in common that both score."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A row on which the two decide differently."""

    request_id: str
    prediction_id: str
    """As the row was answered at the time."""
    features: dict[str, float]
    active: float
    candidate: float
    actual: int | None
    """What really was, where there is feedback."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that would be others; only of rows that both versions score."""

    compared: int
    changed: int
    share: float
    to_anomaly: int
    to_normal: int
    examples: list[Example]
    """The largest shifts, of both directions."""


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate's score less the active version's; percentiles to four digits."""

    mean: float
    mean_absolute: float
    percentiles: dict[str, float]
    least: float
    most: float


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate beside the active version on the same rows."""

    traffic: Traffic
    active: Side
    candidate: Side
    changes: Changes
    shift: Shift | None
    batch_rows: int
    largest_batch_rows: int
