"""Each question on a few lines whose answer is plain to see."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.contract.schema import FeatureSchema
from app.errors import ReportError
from app.model.registry import Registry
from app.reporting.period import Period
from app.reporting.report import build_report
from app.reporting.results import Failure, Rejection, Report, Rows, Stretch
from tests.unit.reporting.crafting import VERSION, batch, failed, feedback, line, rejected, served, write


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def at(hour: int, minute: int = 0, day: int = 20) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def report(audit: Path, registry: Registry, since: datetime | None = None, until: datetime | None = None) -> Report:
    return build_report(audit, Period(since, until), registry)


def test_rows_are_counted_by_outcome_stage_and_version(audit: Path, registry: Registry) -> None:
    """A batch counts as many rows as it has; a refused row of it has its own line."""
    write(audit, [
        served("10:00:00"), served("10:00:01"), served("10:00:02", stage="fallback"),
        batch("10:00:03", "b", [0, 1, 0], positions=[0, 2, 3]), rejected("10:00:03", ("a", "nan"), row=1),
        batch("10:00:04", "c", [0, 0], "baseline"), failed("10:00:05"),
        line("batch.failed", "10:00:06", success=False, model_used="none", error="All stages failed", count=4),
        line("audit.recovered", "10:00:07"),
    ])  # fmt: skip
    found = report(audit, registry)
    assert (found.rows, found.served, found.degraded, found.rejected, found.failed) == (14, 8, 3, 1, 5)
    assert found.outcomes == [
        Rows(outcome="failed", stage="none", version=None, rows=5),
        Rows(outcome="served", stage="primary", version=VERSION, rows=5),
        Rows(outcome="served", stage="baseline", version=VERSION, rows=2),
        Rows(outcome="rejected", stage="none", version=None, rows=1),
        Rows(outcome="served", stage="fallback", version=VERSION, rows=1),
    ]
    assert (found.coverage.lines, found.coverage.files) == (9, 1)


def test_lines_of_batches_from_before_they_had_columns_count_the_same(audit: Path, registry: Registry) -> None:
    """One line per row with its `row`; the request's latency is the first one's."""
    write(audit, [
        *(served("10:00:00", f"u{row}", ms=8.0, row=row) for row in range(3)), served("10:00:01", "single", ms=2.0),
        *(failed("10:00:02", ms=6.0, row=row) for row in range(2)),
    ])  # fmt: skip
    found = report(audit, registry)
    assert (found.served, found.failed) == (4, 2)
    assert (found.latency.requests, found.latency.p50_ms, found.latency.max_ms) == (3, 6.0, 8.0)


def test_rejections_are_counted_by_feature_and_code(audit: Path, registry: Registry) -> None:
    """Each problem of a row; a request that was no JSON has none."""
    write(audit, [
        rejected("10:00:00", ("a", "missing"), ("b", "nan")), rejected("10:00:01", ("a", "missing")),
        rejected("10:00:02", ("a", "nan")), rejected("10:00:03"), rejected("10:00:04", (None, "not_a_batch")),
        line("prediction.rejected", "10:00:05", success=False, errors="not a list"),
    ])  # fmt: skip
    found = report(audit, registry)
    assert found.rejected == 6
    assert found.rejections == [
        Rejection(feature="a", code="missing", problems=2),
        Rejection(feature=None, code=None, problems=2),
        Rejection(feature="a", code="nan", problems=1),
        Rejection(feature="b", code="nan", problems=1),
        Rejection(feature=None, code="not_a_batch", problems=1),
    ]


def test_failures_are_counted_by_cause(audit: Path, registry: Registry) -> None:
    """Most frequent first."""
    write(audit, [failed("10:00:00", "disk"), failed("10:00:01", "models"), failed("10:00:02", "models")])
    assert report(audit, registry).failures == [Failure(error="models", rows=2), Failure(error="disk", rows=1)]


def test_percentiles_are_nearest_ranks_of_requests(audit: Path, registry: Registry) -> None:
    """A batch is one request, a failure too; what was refused never reached a model."""
    lines = [served("10:00:00", ms=float(ms)) for ms in range(1, 99)]
    write(audit, [*lines, batch("10:00:00", "b", [0] * 50, ms=99.0), failed("10:00:00", ms=1000.0),
                  rejected("10:00:00", ("a", "nan"))])  # fmt: skip
    latency = report(audit, registry).latency
    assert msgspec.structs.astuple(latency) == (100, 50.0, 90.0, 99.0, 1000.0)


def test_a_latency_that_is_none_is_left_out(audit: Path, registry: Registry) -> None:
    """Whatever wrote it."""
    write(audit, [served("10:00:00", ms=2.5), served("10:00:00", ms=1e300), served("10:00:00", ms=float("nan"))])
    latency = report(audit, registry).latency
    assert (latency.requests, latency.max_ms) == (1, 2.5)


def test_the_timeline_has_every_bucket_and_quiet_ones_too(audit: Path, registry: Registry) -> None:
    """20 hours in hours; stages and failures where they belong."""
    write(audit, [
        served("01:59:59", ms=3.0), served("02:00:00", stage="fallback"), served("02:30:00", ms=5.0),
        failed("04:10:00"), rejected("04:10:00"), batch("21:30:00", "b", [0, 0], "baseline"),
    ])  # fmt: skip
    found = report(audit, registry)
    assert (found.period.first, found.period.last) == (at(1, 59).replace(second=59), at(21, 30))
    assert found.period.bucket_s == 3600
    assert [bucket.start for bucket in found.timeline] == [at(hour) for hour in range(1, 22)]
    one, two, three, four, *_, last = found.timeline
    assert (one.rows, one.primary, one.latency.max_ms) == (1, 1, 3.0)
    assert (two.rows, two.primary, two.fallback, two.latency.max_ms) == (2, 1, 1, 5.0)
    assert (three.rows, three.latency.requests, three.latency.p50_ms) == (0, 0, None)
    assert (four.rows, four.failed, four.rejected) == (2, 1, 1)
    assert (last.rows, last.baseline) == (2, 2)


@pytest.mark.parametrize(
    ("last", "width_s"),
    [
        pytest.param("2026-11-20T00:00:00Z", 1, id="one moment"),
        pytest.param("2026-11-20T00:20:00Z", 60, id="20 minutes"),
        pytest.param("2026-11-20T23:59:59Z", 3600, id="a day"),
        pytest.param("2026-11-27T00:00:00Z", 43_200, id="a week"),
        pytest.param("2027-11-20T00:00:00Z", 28 * 86_400, id="a year"),
        pytest.param("2036-11-20T00:00:00Z", 6 * 28 * 86_400, id="ten years"),
    ],
)
def test_buckets_are_as_wide_as_fits_a_page(audit: Path, registry: Registry, last: str, width_s: int) -> None:
    """Never more than 25."""
    write(audit, [served("00:00:00"), served(last)])
    found = report(audit, registry)
    assert found.period.bucket_s == width_s
    assert len(found.timeline) <= 25


def test_feedback_counts_by_stage_and_at_the_time_of_its_prediction(audit: Path, registry: Registry) -> None:
    """Rows of batches have ids made of the batch's and their position; feedback may come hours later."""
    write(audit, [
        served("01:00:00", "one", anomaly=1), served("02:00:00", "two"),
        batch("02:10:00", "bee", [1, 0], positions=[0, 5]),
        served("03:00:00", "four", "fallback"),
        feedback("11:00:00", f"{VERSION}.primary.1.one", 1), feedback("11:00:00", f"{VERSION}.primary.0.two", 1),
        feedback("11:00:00", f"{VERSION}.primary.1.bee-0", 0), feedback("11:00:00", f"{VERSION}.primary.0.bee-5", 0),
        feedback("11:00:00", f"{VERSION}.fallback.0.four", 0), feedback("11:00:00", f"{VERSION}.fallback.1.before", 1),
        line("feedback.received", "11:00:00", prediction_id=f"{VERSION}.primary.0.two", predicted=0, actual=2),
    ])  # fmt: skip
    found = report(audit, registry)
    quality = found.quality
    assert (quality.feedback, quality.true_positives, quality.false_positives) == (6, 2, 1)
    assert (quality.false_negatives, quality.true_negatives) == (1, 2)
    assert (quality.accuracy, quality.precision, quality.recall) == (4 / 6, 2 / 3, 2 / 3)
    assert found.feedback_placed == 5
    by_stage = {(part.stage, part.version): part.quality for part in found.quality_by_stage}
    assert by_stage["primary", VERSION].accuracy == 2 / 4
    assert by_stage["fallback", VERSION].accuracy == 1.0
    hours = {bucket.start.hour: bucket.quality for bucket in found.timeline if bucket.quality.feedback}
    assert {hour: quality.accuracy for hour, quality in hours.items()} == {1: 1.0, 2: 1 / 3, 3: 1.0}
    assert found.coverage.unreadable_lines == 1


def test_a_drop_of_accuracy_is_found_with_its_hours(audit: Path, registry: Registry) -> None:
    """So are the hours in which it failed, and those in which it was degraded."""
    lines: list[dict[str, Any]] = []
    for hour in range(20):
        bad = hour in (7, 8)
        for number in range(60):
            unique = f"{hour}x{number}"
            lines.append(served(f"{hour:02}:10:00", unique, "fallback" if bad else "primary"))
            wrong = number % 2 if bad else number == 0
            lines.append(feedback("20:00:00", f"{VERSION}.primary.0.{unique}", int(wrong)))
        lines += [failed(f"{hour:02}:30:00")] * (40 if hour >= 18 else 0)
    write(audit, lines)
    found = report(audit, registry)
    assert found.most_wrong == Stretch(since=at(7), until=at(9), inside=0.5, outside=1 / 60)
    assert found.most_degraded == Stretch(since=at(7), until=at(9), inside=1.0, outside=0.0)
    assert found.most_failed == Stretch(since=at(18), until=at(20), inside=0.4, outside=0.0)


def test_the_period_bounds_everything(audit: Path, registry: Registry) -> None:
    """From `since` up to, but without, `until`; a file of an earlier day is not even opened."""
    write(audit, [served(f"{hour:02}:00:00", ms=float(hour)) for hour in range(24)])
    write(audit, [], "predictions-20261119-7.jsonl.gz").write_bytes(b"no gzip")
    found = report(audit, registry, since=at(5), until=at(8))
    assert (found.rows, found.latency.requests, found.latency.max_ms) == (3, 3, 7.0)
    assert (found.period.first, found.period.last) == (at(5), at(7))
    assert (found.coverage.files, found.coverage.unreadable_files) == (1, [])


def test_torn_and_foreign_lines_are_counted(audit: Path, registry: Registry) -> None:
    """A torn last line, one in the middle, zeros of a crashed disk, bytes that are no UTF-8, a line without a time."""
    write(audit, [served("10:00:00")], torn=b'{"timestamp":"2026-11-20T10:00:01Z","event":"prediction.ser')
    whole = b'{"timestamp":"2026-11-20T10:00:02Z","event":"prediction.served","model_used":"primary"}\n'
    bad = [
        b'{"torn',
        b"\0" * 5000,
        b'{"event":"\xff\xfe"}',
        b"[1]",
        b'{"event":"prediction.served"}',
        b'{"level":"info"}',
    ]
    path = audit / "predictions-20261120-8.jsonl"
    path.write_bytes(b"".join(whole + line + b"\n" for line in bad) + b"\n\n")
    found = report(audit, registry)
    assert found.rows == 1 + len(bad)
    assert (found.coverage.lines, found.coverage.unreadable_lines) == (1 + len(bad), 1 + len(bad))


def test_packed_and_rotated_files_count_like_others(audit: Path, registry: Registry) -> None:
    """Also when somebody packed a file whose name was then used again; other files are not the audit's."""
    write(audit, [served("10:00:00")], "predictions-20261120-7.jsonl")
    write(audit, [served("10:00:00")] * 2, "predictions-20261120-7.jsonl.gz")
    write(audit, [served("10:00:00")] * 4, "predictions-20261120-7-1.jsonl.gz")
    write(audit, [served("10:00:00")] * 8, "predictions-20261120-7-12.jsonl")
    write(audit, [served("10:00:00")] * 16, "notes.jsonl")
    write(audit, [], "predictions-20261121-7.jsonl")
    assert report(audit, registry).rows == 15


def test_replicas_on_one_volume_count_together(audit: Path, registry: Registry) -> None:
    """A folder each, with files of the same name, since process ids are the same everywhere."""
    for replica in ("pod-a", "pod-b"):
        write(audit / replica, [served("10:00:00")])
    assert report(audit, registry).served == 2


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda _: b"no gzip at all", id="not packed"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_count(audit: Path, registry: Registry, broken: Any) -> None:
    """Its lines are left out whole, never half."""
    write(audit, [served("10:00:00")] * 3)
    path = write(audit, [served("10:00:00", f"u{number}") for number in range(5000)], "predictions-20261120-9.jsonl.gz")
    path.write_bytes(broken(path.read_bytes()))
    found = report(audit, registry)
    assert found.rows == 3
    assert [file.file for file in found.coverage.unreadable_files] == [path.name]
    assert "GZIP" in found.coverage.unreadable_files[0].problem


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path: Path, registry: Registry) -> None:
    """DuckDB would look for other files."""
    odd = tmp_path / "audit[1]*"
    write(odd, [served("10:00:00")])
    write(tmp_path / "audit1x", [served("10:00:00")])
    assert report(odd, registry).rows == 1


def test_an_empty_period_is_a_report_of_nothing(audit: Path, registry: Registry) -> None:
    """Zero counts, no figures."""
    write(audit, [served("10:00:00")])
    found = report(audit, registry, since=at(11))
    assert (found.rows, found.timeline, found.latency.requests, found.quality.accuracy) == (0, [], 0, None)
    assert found.period.first is None
    audit.joinpath("predictions-20261120-7.jsonl").unlink()
    assert report(audit, registry).rows == 0


def test_a_folder_that_is_not_there_is_an_error(audit: Path, registry: Registry) -> None:
    """Nothing was audited there, or the name is wrong: not a report of nothing."""
    with pytest.raises(ReportError, match=r"audit: No such file or directory; name the audit's folder with --audit"):
        report(audit, registry)


def test_drift_is_against_the_active_version(
    audit: Path, registry: Registry, version: str, schema: FeatureSchema
) -> None:
    """All features of its manifest's reference."""
    write(audit, [served("10:00:00", features=schema.example())] * 600)
    drift = report(audit, registry).drift
    assert (drift.version, drift.note) == (version, None)
    assert {entry.feature for entry in drift.features} == set(schema.names)
    assert {(entry.rows, entry.verdict) for entry in drift.features} == {(600, "large")}
    psis = [entry.psi or 0.0 for entry in drift.features]
    assert psis == sorted(psis, reverse=True)


def test_without_a_reference_the_report_says_so(audit: Path, registry: Registry) -> None:
    """The other questions are answered all the same."""
    write(audit, [served("10:00:00")])
    drift = report(audit, registry).drift
    assert (drift.version, drift.features) == (None, [])
    assert drift.note == "no version is active, so there is nothing to compare with"


def test_a_manifest_that_cannot_be_read_is_the_note(audit: Path, registry: Registry, version: str) -> None:
    """A broken version must not hide that it failed."""
    write(audit, [failed("10:00:00")])
    (registry.folder / version / "manifest.json").write_text("{")
    found = report(audit, registry)
    assert found.failed == 1
    assert found.drift.note is not None
    assert found.drift.note.startswith("the manifest cannot be used: ")


def test_a_packed_file_reads_the_same_as_a_plain_one(audit: Path, tmp_path: Path, registry: Registry) -> None:
    """Every figure."""
    lines = [served("10:00:00", ms=2.0), rejected("10:01:00", ("a", "nan")), failed("10:02:00")]
    plain = write(audit, lines)
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    one, two = report(audit, registry), report(packed, registry)
    assert msgspec.structs.replace(two, coverage=one.coverage) == one
