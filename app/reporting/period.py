"""The span of time a report is about, as people write it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.errors import ReportError
from app.telemetry.audit_files import AuditFile

_AGO = re.compile(r"(\d{1,9})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` up to, but not including, `until`, both UTC; None: open."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since >= self.until:
            raise ReportError(f"the period is empty: it begins at {self.since:%FT%TZ} and ends at {self.until:%FT%TZ}")

    def holds(self, time: datetime) -> bool:
        """Whether it is within the period."""
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)

    def files(self, files: Iterable[AuditFile]) -> list[AuditFile]:
        """Those of `files` that may hold lines of the period, by the day in their names."""
        first = self.since.date() if self.since else None
        # A line gets its time before it is written: one of the last moment of a day may stand in the next day's file.
        last = self.until.date() + timedelta(days=1) if self.until and self.until.year < datetime.max.year else None
        return [file for file in files if (not first or file.day >= first) and (not last or file.day <= last)]


def parse_time(text: str, now: datetime) -> datetime:
    """`24h`, `7d` (before `now`), `2026-11-20` or `2026-11-20T14:30`; UTC where no offset is given.

    Raises `ReportError`.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ReportError(f"{text!r} is no time; write 90m, 24h, 7d, 2026-11-20 or 2026-11-20T14:30") from None
