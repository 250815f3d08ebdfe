"""From a folder of audit files to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from app.errors import BundleError, ReportError
from app.model.manifest import Bins
from app.model.registry import Registry
from app.model.stages import BASELINE, FALLBACK, PRIMARY
from app.reporting.drift import DriftCount
from app.reporting.lines import FAILED, REJECTED, SERVED
from app.reporting.period import Period
from app.reporting.questions import (
    CREATE_LINES,
    FILL_LINES,
    NO_LATENCY,
    Questions,
    bucket_start,
    bucket_width_s,
    total_quality,
)
from app.reporting.results import (
    Bucket,
    Coverage,
    DriftSummary,
    Latency,
    Report,
    Rows,
    Span,
    StageQuality,
    Stretch,
    UnreadableFile,
)
from app.reporting.store import Loaded, scratch_store
from app.reporting.stretches import worst_span
from app.telemetry.audit_files import AuditFile, audit_files


def files_of(folder: Path, period: Period) -> list[AuditFile]:
    """The audit files that may hold lines of the period. Raises `ReportError`.

    Those in the folder and in the folders of it, since replicas that share a volume have one each.
    """
    try:
        places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
        return period.files([file for place in places for file in audit_files(place)])
    except OSError as error:
        raise ReportError(f"{folder}: {error.strerror or error}; name the audit's folder with --audit") from None


def build_report(folder: Path, period: Period, registry: Registry) -> Report:
    """Reads the files once for everything but drift, and once for drift. Raises `ReportError`."""
    files = files_of(folder, period)
    version, note, reference = _reference(registry)
    with scratch_store() as store:
        store.connection.execute(CREATE_LINES)
        drift = DriftCount(store.connection, reference)
        loaded = store.load(files, [FILL_LINES, *drift.statements], period)
        summary = DriftSummary(version=version, note=note, features=drift.results())
        return _answered(Questions(store.connection), period, folder, loaded, summary)


def _reference(registry: Registry) -> tuple[str | None, str | None, Mapping[str, Bins]]:
    """(active version, why it gives nothing to compare with, its reference distribution)."""
    version = registry.active()
    if version is None:
        return None, "no version is active, so there is nothing to compare with", {}
    try:
        reference = registry.manifest(version).reference
    except BundleError as error:
        return version, f"the manifest cannot be used: {error}", {}
    return version, None if reference else f"{version} has no reference distribution in its manifest", reference


def _answered(questions: Questions, period: Period, folder: Path, loaded: Loaded, drift: DriftSummary) -> Report:
    first, last, readable, unreadable = questions.extent()
    width_s = bucket_width_s(first, last) if first and last else 1
    rows = questions.rows(width_s)
    latency = questions.latency(width_s)
    feedback = questions.feedback(width_s)
    timeline = _timeline(width_s, rows, latency, feedback)
    outcomes = _summed(rows)
    answered = [entry for entry in outcomes if entry.outcome == SERVED]
    quality = [part.quality for _, part in feedback]
    return Report(
        period=Span(since=period.since, until=period.until, first=first, last=last, bucket_s=width_s),
        coverage=Coverage(
            folder=str(folder), files=loaded.files, bytes=loaded.bytes, lines=readable, unreadable_lines=unreadable,
            unreadable_files=[UnreadableFile(file=file.path.name, problem=why) for file, why in loaded.unreadable],
        ),
        rows=sum(entry.rows for entry in outcomes),
        served=sum(entry.rows for entry in answered),
        degraded=sum(entry.rows for entry in answered if entry.stage != PRIMARY),
        rejected=sum(entry.rows for entry in outcomes if entry.outcome == REJECTED),
        failed=sum(entry.rows for entry in outcomes if entry.outcome == FAILED),
        outcomes=outcomes,
        rejections=questions.rejections(),
        failures=questions.failures(),
        latency=latency.get(None, NO_LATENCY),
        quality=total_quality(quality),
        quality_by_stage=_by_stage(feedback),
        feedback_placed=sum(part.quality.feedback for bucket, part in feedback if bucket is not None),
        timeline=timeline,
        drift=drift,
        most_failed=_stretch(timeline, width_s, lambda at: (at.failed, at.rows)),
        most_degraded=_stretch(
            timeline, width_s, lambda at: (at.fallback + at.baseline, at.primary + at.fallback + at.baseline)
        ),
        most_wrong=_stretch(
            timeline, width_s,
            lambda at: (at.quality.false_positives + at.quality.false_negatives, at.quality.feedback),
        ),
    )  # fmt: skip


def _summed(rows: Sequence[tuple[int, Rows]]) -> list[Rows]:
    """Without the buckets, most rows first."""
    sums: dict[tuple[str, str, str | None], int] = {}
    for _, entry in rows:
        key = entry.outcome, entry.stage, entry.version
        sums[key] = sums.get(key, 0) + entry.rows
    found = [Rows(outcome=key[0], stage=key[1], version=key[2], rows=count) for key, count in sums.items()]
    return sorted(found, key=lambda entry: (-entry.rows, entry.outcome, entry.stage, entry.version or ""))


def _by_stage(feedback: Sequence[tuple[int | None, StageQuality]]) -> list[StageQuality]:
    kinds = dict.fromkeys((part.stage, part.version) for _, part in feedback)
    return [
        StageQuality(
            stage=stage, version=version,
            quality=total_quality([p.quality for _, p in feedback if (p.stage, p.version) == (stage, version)]),
        )
        for stage, version in kinds
    ]  # fmt: skip


def _timeline(
    width_s: int,
    rows: Sequence[tuple[int, Rows]],
    latency: Mapping[int | None, Latency],
    feedback: Sequence[tuple[int | None, StageQuality]],
) -> list[Bucket]:
    """Every bucket from the first to the last with a row; a quiet one in between is there too, and empty."""
    counts: dict[tuple[int, str], int] = {}
    for bucket, entry in rows:
        for kind in (entry.stage if entry.outcome == SERVED else entry.outcome, "rows"):
            counts[bucket, kind] = counts.get((bucket, kind), 0) + entry.rows
    numbers = [bucket for bucket, _ in rows]
    return [
        Bucket(
            start=bucket_start(bucket, width_s),
            latency=latency.get(bucket, NO_LATENCY),
            quality=total_quality([part.quality for at, part in feedback if at == bucket]),
            **{k: counts.get((bucket, k), 0) for k in ("rows", PRIMARY, FALLBACK, BASELINE, REJECTED, FAILED)},
        )
        for bucket in (range(min(numbers), max(numbers) + 1) if numbers else ())
    ]


def _stretch(timeline: Sequence[Bucket], width_s: int, counted: Callable[[Bucket], tuple[int, int]]) -> Stretch | None:
    bad, total = zip(*map(counted, timeline), strict=True) if timeline else ((), ())
    span = worst_span(bad, total)
    if span is None:
        return None
    first, last = span
    inside = sum(bad[first:last]), sum(total[first:last])
    return Stretch(
        since=timeline[first].start,
        until=timeline[last - 1].start + timedelta(seconds=width_s),
        inside=inside[0] / inside[1],
        outside=(sum(bad) - inside[0]) / (sum(total) - inside[1]),
    )
