"""The report's first lines: the questions people ask at night, each answered in a sentence or two."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.reporting.results import Bucket, Latency, Report, Stretch
from app.reporting.table import clean

_SLOW = 2.0
"""A bucket is worth naming where its p99 is that many times the period's."""
_NAMED = 3


def answers(report: Report) -> list[tuple[str, str]]:
    """(topic, answer) in the order to be read."""
    found = [
        ("Failed", _failed(report)),
        ("Rejected", _rejected(report)),
        ("Accuracy", _accuracy(report)),
        ("Latency", _latency(report)),
        ("Degraded", _degraded(report)),
        ("Drift", _drift(report)),
    ]
    coverage = report.coverage
    if coverage.unreadable_lines or coverage.unreadable_files:
        names = ", ".join(clean(f"{file.file} ({file.problem})") for file in coverage.unreadable_files[:_NAMED])
        files = f"; {len(coverage.unreadable_files)} files were left out whole: {names}" if names else ""
        found.append(("Unread", f"{coverage.unreadable_lines:,} lines are torn or not the service's{files}."))
    return found


def headline(report: Report) -> str:
    """What the report rests on."""
    period, coverage = report.period, report.coverage
    since, until = period.since or period.first, period.until or period.last
    span = f"{moment(since)} to {moment(until)} UTC" if since and until else "the whole audit"
    return (
        f"{report.rows:,} predictions, {span} "
        f"({coverage.lines:,} lines of {coverage.files:,} files in {clean(coverage.folder)})"
    )


def _failed(report: Report) -> str:
    if not report.failed:
        return f"None of {report.rows:,} predictions failed."
    causes = "; ".join(f"{clean(failure.error)} ({failure.rows:,})" for failure in report.failures[:_NAMED])
    return f"{_of(report.failed, report.rows, 'predictions')} failed: {causes}.{_when(report.most_failed)}"


def _rejected(report: Report) -> str:
    if not report.rejected:
        return f"None of {report.rows:,} rows was refused for its input."
    kinds = ", ".join(f"{problem(r.feature, r.code)} ({r.problems:,})" for r in report.rejections[:_NAMED])
    return f"{_of(report.rejected, report.rows, 'rows')} were refused for their input, mostly {kinds}."


def _accuracy(report: Report) -> str:
    quality, worst = report.quality, report.most_wrong
    if quality.accuracy is None:
        return "Unknown: no feedback was received."
    known = (
        f"{percent(quality.accuracy)} of {quality.feedback:,} predictions with feedback were right "
        f"(precision {percent(quality.precision)}, recall {percent(quality.recall)})."
    )
    if worst is not None:
        right, else_right = percent(1 - worst.inside), percent(1 - worst.outside)
        return f"{known} It dropped to {right} {between(worst.since, worst.until)}; {else_right} otherwise."
    return f"{known} No drop stands out."


def _latency(report: Report) -> str:
    if report.latency.p99_ms is None:
        return "Unknown: no request reached the models."
    whole = report.latency
    line = f"p50 {ms(whole.p50_ms)}, p90 {ms(whole.p90_ms)}, p99 {ms(whole.p99_ms)}, longest {ms(whole.max_ms)}."
    slowest = max(report.timeline, key=lambda bucket: bucket.latency.p99_ms or 0)
    if (slowest.latency.p99_ms or 0) > _SLOW * report.latency.p99_ms:
        line += f" Slowest {_in(slowest, report)}: p99 {ms(slowest.latency.p99_ms)}."
    return line


def _degraded(report: Report) -> str:
    if not report.degraded:
        return f"All {report.served:,} answers came from the primary model." if report.served else "Nothing was served."
    stages = {name: sum(getattr(bucket, name) for bucket in report.timeline) for name in ("fallback", "baseline")}
    named = ", ".join(f"{name} {percent(count / report.served)}" for name, count in stages.items() if count)
    return f"{_of(report.degraded, report.served, 'answers')} were degraded: {named}.{_when(report.most_degraded)}"


def _drift(report: Report) -> str:
    drift = report.drift
    if drift.note:
        return f"Unknown: {clean(drift.note)}."
    drifted = [entry for entry in drift.features if entry.verdict in ("large", "moderate")]
    if drifted:
        named = ", ".join(f"{clean(entry.feature)} (PSI {entry.psi:.2f})" for entry in drifted[:_NAMED])
        more = f" and {len(drifted) - _NAMED} more" if len(drifted) > _NAMED else ""
        return (
            f"{len(drifted)} of {len(drift.features)} inputs drift from the training of {drift.version}: {named}{more}."
        )
    if all(entry.verdict == "too few rows" for entry in drift.features):
        return "Unknown: too few rows to compare with training."
    return f"No input drifts from the training of {drift.version}."


def _when(stretch: Stretch | None) -> str:
    if stretch is None:
        return " No stretch of time stands out."
    inside, outside = percent(stretch.inside), percent(stretch.outside)
    return f" Worst {between(stretch.since, stretch.until)}: {inside}; {outside} otherwise."


def _in(bucket: Bucket, report: Report) -> str:
    return between(bucket.start, bucket.start + timedelta(seconds=report.period.bucket_s))


# --- figures as people read them ---------------------------------------------------------------------------------


def problem(feature: str | None, code: str | None) -> str:
    """One kind of rejection."""
    if code is None:
        return "the request as a whole"
    return f"{clean(feature)} {clean(code)}" if feature else clean(code)


def moment(time: datetime) -> str:
    """Without seconds where they are none."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time.second else f"{time:%Y-%m-%d %H:%M}"


def between(since: datetime, until: datetime) -> str:
    """A span of one day names the day once."""
    same_day = since.date() == until.date()
    return f"from {moment(since)} to {moment(until)[11:] if same_day else moment(until)}"


def percent(part: float | None) -> str:
    """Two digits after the point; what is more than nothing never reads as nothing."""
    if part is None:
        return "-"
    return "<0.01 %" if 0 < part < 0.0001 else ">99.99 %" if 0.9999 < part < 1 else f"{part * 100:.2f} %"


def ms(value: float | None) -> str:
    """Milliseconds, three significant digits."""
    if value is None:
        return "-"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def slowness(latency: Latency) -> list[str]:
    """p50, p99 and the longest."""
    return [ms(latency.p50_ms), ms(latency.p99_ms), ms(latency.max_ms)]


def _of(part: int, whole: int, what: str) -> str:
    return f"{part:,} of {whole:,} {what} ({percent(part / whole)})"
