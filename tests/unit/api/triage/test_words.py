"""Times, numbers and names as a tired person reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.triage.words import UNKNOWN, count, counted, drift_word, milliseconds, moment, percent, plain, span

NOW = 1_800_000_000.0


def spaced(text: str) -> str:
    """With ordinary spaces for those that do not break."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_599, "59 min"), (7_200, "2 h"), (86_400, "1 day"), (3e5, "3 days")],
)
def test_a_span_is_told_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    """Never more than it was; a clock that was set back does not count backwards."""
    assert spaced(span(seconds)) == text


def test_a_moment_of_today_needs_no_date_and_any_other_does() -> None:
    """And both say how long ago it was, and the exact time to machines."""
    today, before = moment(NOW - 90, NOW), moment(NOW - 86_400, NOW)
    assert today is not None
    assert before is not None
    assert (today.iso, today.clock, spaced(today.ago)) == ("2027-01-15T07:58:30Z", "07:58:30", "1 min ago")
    assert (before.clock, spaced(before.ago)) == ("14 Jan 08:00", "1 day ago")
    assert moment(None, NOW) is None


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, UNKNOWN),
        (0, "0 %"),
        (1e-9, "< 0.1 %"),
        (0.001, "0.1 %"),
        (0.5, "50 %"),
        (0.9994, "> 99.9 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_a_percentage(share: float | None, text: str) -> None:
    """One failure in a million does not read as none, nor all but one as all."""
    assert spaced(percent(share)) == text


@given(st.floats(0, 1))
def test_only_nothing_reads_as_nothing_and_only_all_as_all(share: float) -> None:
    """Whatever the share."""
    text = spaced(percent(share))
    assert (text == "0 %") is (share == 0)
    assert (text == "100 %") is (share == 1)


@pytest.mark.parametrize(
    ("value", "text"), [(None, UNKNOWN), (0.4567, "0.46 ms"), (12.34, "12.3 ms"), (250.0, "250 ms")]
)
def test_milliseconds_have_three_digits(value: float | None, text: str) -> None:
    """More would be noise."""
    assert spaced(milliseconds(value)) == text


def test_counts_are_readable() -> None:
    """Thousands apart, one thing in the singular, codes as words."""
    assert spaced(count(1_234_567)) == "1 234 567"
    assert [counted(1, "worker"), counted(2, "worker")] == ["1 worker", "2 workers"]
    assert plain("out_of_range") == "out of range"


@pytest.mark.parametrize(
    ("psi", "word"), [(0, "stable"), (0.0999, "stable"), (0.1, "moving"), (0.2499, "moving"), (0.25, "drifted")]
)
def test_drift_has_a_word(psi: float, word: str) -> None:
    """The limits belong above."""
    assert drift_word(psi) == word
