"""Times as people write them, and the files that a period needs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from app.errors import ReportError
from app.reporting.period import Period, parse_time
from app.telemetry.audit_files import AuditFile

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("90m", datetime(2026, 11, 20, 11, 0, tzinfo=UTC), id="minutes"),
        pytest.param("24h", datetime(2026, 11, 19, 12, 30, tzinfo=UTC), id="hours"),
        pytest.param("7d", datetime(2026, 11, 13, 12, 30, tzinfo=UTC), id="days"),
        pytest.param("2w", datetime(2026, 11, 6, 12, 30, tzinfo=UTC), id="weeks"),
        pytest.param("2026-11-18", datetime(2026, 11, 18, tzinfo=UTC), id="date"),
        pytest.param("2026-11-18T14:30", datetime(2026, 11, 18, 14, 30, tzinfo=UTC), id="time without a zone"),
        pytest.param("2026-11-18 14:30:05Z", datetime(2026, 11, 18, 14, 30, 5, tzinfo=UTC), id="UTC"),
        pytest.param("2026-11-18T14:30+02:00", datetime(2026, 11, 18, 12, 30, tzinfo=UTC), id="other zone"),
    ],
)
def test_a_time_is_a_while_ago_or_a_date(text: str, expected: datetime) -> None:
    """UTC unless it says otherwise."""
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "24",
        "h",
        "-1h",
        "1.5h",
        "24 h",
        "2026-13-01",
        "2026-02-30",
        "999999999w",
        "9999-12-31T23-12:00",
    ],
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ReportError) as caught:
        parse_time(text, NOW)
    assert str(caught.value).startswith(f"{text!r} is no time; write 90m, 24h, 7d, ")


@pytest.mark.parametrize("hours", [0, 1])
def test_a_period_that_ends_before_it_begins_is_refused(hours: int) -> None:
    """Nobody means that."""
    with pytest.raises(ReportError, match="the period is empty: it begins at 2026-11-20T12:30:00Z and ends at"):
        Period(NOW, NOW - timedelta(hours=hours))


def _named_days(period: Period) -> list[int]:
    files = [AuditFile(Path(f"{day}"), date(2026, 11, day), 1, 1) for day in range(17, 24)]
    return [file.day.day for file in period.files(files)]


def test_only_files_of_the_days_are_read() -> None:
    """And the day after, whose first line may be from the last moment of the day before."""
    assert _named_days(Period(since=datetime(2026, 11, 19, 23, tzinfo=UTC), until=NOW)) == [19, 20, 21]
    assert _named_days(Period(since=NOW)) == [20, 21, 22, 23]
    assert _named_days(Period(until=NOW - timedelta(days=2))) == [17, 18, 19]
    assert _named_days(Period(until=datetime.max.replace(tzinfo=UTC))) == list(range(17, 24))
    assert _named_days(Period()) == list(range(17, 24))
