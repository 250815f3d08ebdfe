"""The last hour in numbers and charts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.api.triage.figures import charts, drift, failure_lines, rejections, tiles
from app.api.triage.words import UNKNOWN
from app.serving.board import Failure
from app.serving.traffic import Span, Traffic
from tests.unit.api.triage.board import NOW, span
from tests.unit.api.triage.test_words import spaced

THIS_MINUTE = int(NOW // 60) * 60


def traffic(
    hour: Span | None = None,
    minutes: dict[int, Span] | None = None,
    psi: dict[str, float] | None = None,
    rows: int = 0,
) -> Traffic:
    return Traffic(hour or span(), minutes or {}, {}, psi, rows)


def test_without_traffic_nothing_is_claimed() -> None:
    """Dashes instead of zeros for what is not known, empty charts, no drift."""
    shown = {tile.name: (spaced(tile.value), tile.tone) for tile in tiles(traffic(), NOW)}
    assert shown == {
        "readings a minute": ("0", ""),
        "latency, median": (UNKNOWN, ""),
        "not answered": ("0", ""),
        "rejected": ("0", ""),
        "accuracy": (UNKNOWN, ""),
    }
    assert [layer.path for chart in charts(traffic(), NOW) for layer in chart.layers] == [""] * 10
    assert drift(traffic(rows=12)).note == "It takes 200 readings to tell; so far 12 readings in the last hour."


def test_the_rate_is_that_of_the_last_whole_minute() -> None:
    """The one that runs is not over."""
    minutes = {THIS_MINUTE: span(primary=7), THIS_MINUTE - 60: span(primary=40, rejected=2)}
    assert tiles(traffic(minutes=minutes), NOW)[0].value == "42"


def test_failures_and_feedback_are_put_into_relation() -> None:
    """A number without its whole says little."""
    hour = span(p50_ms=0.25, feedback=20, primary=997, failed=1, rejected=2)
    rate, latency, failed, rejected, accuracy = tiles(traffic(hour), NOW)
    assert spaced(rate.note) == "1 000 in the last hour"
    assert spaced(latency.note) == "99 % within 1.00 ms"
    assert (failed.value, failed.tone, spaced(failed.note)) == ("1", "poor", "0.1 % of the last hour")
    assert (rejected.value, rejected.tone) == ("2", "")
    assert spaced(accuracy.value) == "75 %"
    assert spaced(accuracy.note) == "precision 75 %, recall 75 %; by feedback on 20 predictions"


def test_the_charts_say_in_words_what_they_show() -> None:
    """For whoever does not see them; the legend has the numbers."""
    minutes = {THIS_MINUTE - 60: span(0.5, primary=6, fallback=2), THIS_MINUTE: span(0.25, primary=2, failed=1)}
    rate, latency, stages = charts(traffic(span(0.4, primary=8, fallback=2, failed=1), minutes), NOW)
    assert rate.summary == "11 readings in the last hour, at most 8 in one minute"
    assert {layer.name: layer.figure for layer in rate.layers} == {
        "primary": "8", "fallback": "2", "baseline": "0", "rejected": "0", "failed": "1",
    }  # fmt: skip
    assert spaced(latency.summary) == "median 0.40 ms, 99 % within 1.60 ms in the last hour"
    assert spaced(stages.summary) == "primary 80 %, fallback 20 %, baseline 0 % of the answers in the last hour"
    assert [tick.text for tick in rate.times] == ["07:01", "07:31", "08:00"]
    assert [chart.lines for chart in (rate, latency, stages)] == [False, True, False]


def test_minutes_stand_at_their_place() -> None:
    """The running one at the right end, one of an hour ago nowhere."""
    minutes = {THIS_MINUTE - 3_600: span(primary=5), THIS_MINUTE: span(primary=5)}
    path = charts(traffic(minutes=minutes), NOW)[0].layers[0].path
    assert path.count("M") == 1
    assert path.startswith("M315.07 ")


def test_rejections_are_named_in_words() -> None:
    """A custom contract's feature may have spaces in its name; the code has none."""
    found = rejections({"room temperature out_of_range": 8, "none not_an_object": 2})
    assert [(bar.name, bar.detail, bar.figure, bar.share) for bar in found] == [
        ("room temperature", "out of range", "8", 100),
        ("no feature", "not an object", "2", 25),
    ]
    assert rejections({}) == ()


def test_the_feature_that_moved_farthest_comes_first() -> None:
    """Each with its word; a bar ends at its end."""
    found = drift(traffic(psi={"a": 0.01, "b": 3.0, "c": 0.1}, rows=1_000)).bars
    assert [(bar.name, bar.detail, bar.tone, bar.share) for bar in found] == [
        ("b", "drifted", "poor", 100),
        ("c", "moving", "fair", 20),
        ("a", "stable", "good", 2),
    ]


def test_the_same_failure_of_two_workers_is_one_line() -> None:
    """From the first to the last, all counted, with the id of the latest request that met it."""
    first = [Failure("a", NOW - 100, NOW - 50, 3, "older"), Failure("b", NOW - 9, NOW - 9)]
    second = [Failure("a", NOW - 80, NOW - 20, 2, "newer")]
    assert [(line.what, line.times, line.request_id) for line in failure_lines([first, second], NOW)] == [
        ("b", "once", None),
        ("a", "5 times", "newer"),
    ]
    (line,) = failure_lines([first[:1], second], NOW)
    assert line.since is not None
    assert line.last is not None
    assert (line.since.iso, line.last.iso) == ("2027-01-15T07:58:20Z", "2027-01-15T07:59:40Z")
    selftest = [Failure("a", NOW - 5, NOW - 1)]
    assert failure_lines([first[:1], selftest], NOW)[0].request_id == "older"


FAILURES = st.builds(
    lambda what, since, lasted, count: Failure(what, since, since + lasted, count),
    st.sampled_from("abc"), st.floats(0, 1e6), st.floats(0, 1e3), st.integers(1, 9),
)  # fmt: skip


@given(st.lists(st.lists(FAILURES, max_size=4), max_size=4))
def test_no_failure_is_lost_or_told_twice(workers: list[list[Failure]]) -> None:
    """However they are spread over the workers; the newest first."""
    lines = failure_lines(workers, NOW)
    every = [failure for failures in workers for failure in failures]
    assert sorted(line.what for line in lines) == sorted({failure.what for failure in every})
    told = sum(1 if line.times == "once" else int(line.times.split()[0]) for line in lines)
    assert told == sum(failure.count for failure in every)
    latest = [max(failure.last for failure in every if failure.what == line.what) for line in lines]
    assert latest == sorted(latest, reverse=True)
