"""Times, numbers and names as a tired person reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.telemetry.drift import DRIFTED_FROM, MOVING_FROM

UNKNOWN = "\N{EN DASH}"
"""Stands where nothing is known."""

_NBSP = "\N{NO-BREAK SPACE}"
"""Between a number and its unit."""

_SPANS = ((86_400, "day", "days"), (3_600, "h", "h"), (60, "min", "min"))


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: for machines, as a clock shows it, and how long ago that was."""

    iso: str
    clock: str
    ago: str


def moment(at: float | None, now: float) -> Moment | None:
    """Unix time `at` as seen from `now`; None stays None."""
    if at is None:
        return None
    time, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC).date()
    clock = f"{time:%H:%M:%S}" if time.date() == today else f"{time.day} {time:%b %H:%M}"
    return Moment(f"{time:%Y-%m-%dT%H:%M:%SZ}", clock, f"{span(now - at)}{_NBSP}ago")


def span(seconds: float) -> str:
    """A length of time in its largest whole unit: `12 s`, `3 min`, `1 day`; a negative one counts as none."""
    for length, one, many in _SPANS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count}{_NBSP}{one if count == 1 else many}"
    return f"{max(0, int(seconds))}{_NBSP}s"


def count(number: float) -> str:
    """A whole number with its thousands apart: `12 345`."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """A share as a percentage. What is small but there does not read as 0, nor what is nearly all as 100."""
    if share is None:
        return UNKNOWN
    if 0 < share < 0.001:
        return f"<{_NBSP}0.1{_NBSP}%"
    if 0.999 < share < 1:
        return f">{_NBSP}99.9{_NBSP}%"
    return f"{share * 100:.1f}".removesuffix(".0") + f"{_NBSP}%"


def milliseconds(value: float | None) -> str:
    """Three significant digits at most."""
    if value is None:
        return UNKNOWN
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}{_NBSP}ms"


def plain(code: str) -> str:
    """A stable name such as `out_of_range` as words."""
    return code.replace("_", " ")


def drift_word(psi: float) -> str:
    """What a population stability index says."""
    if psi < MOVING_FROM:
        return "stable"
    return "moving" if psi < DRIFTED_FROM else "drifted"
