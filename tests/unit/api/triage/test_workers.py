"""Workers as cards, and which stage answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.api.triage.workers import Fact, answering, who_answers, worker_card
from app.serving.board import Pulse
from app.serving.stage import StageState
from tests.unit.api.triage.board import NOW, REPORT, report, silent

QUIET = Pulse(None, 0, None)
BROKEN = {**REPORT.stages, "primary": silent(NOW - 60, breaker_open=True, consecutive_failures=5, abandoned_threads=2)}


def facts(entries: tuple[Fact, ...]) -> dict[str, str]:
    return {entry.name: entry.value for entry in entries}


def test_the_first_stage_that_answers_is_the_one_that_does() -> None:
    """Since it does, or since those before it went silent."""
    assert answering(REPORT) == ("primary", NOW - 3_000)
    assert answering(report(stages=BROKEN)) == ("fallback", NOW - 60)
    assert answering(report(stages={"baseline": silent(NOW)})) is None


@given(st.lists(st.tuples(st.booleans(), st.floats(0, NOW)), min_size=1, max_size=3))
def test_the_answering_stage_is_since_the_last_change_up_to_it(changes: list[tuple[bool, float]]) -> None:
    """What happens to stages behind it changes nothing."""
    stages = {f"stage {place}": StageState(*change) for place, change in enumerate(changes)}
    first = next((place for place, (answers, _) in enumerate(changes) if answers), None)
    found = answering(report(stages=stages))
    if first is None:
        assert found is None
    else:
        assert found == (f"stage {first}", max(since for _, since in changes[: first + 1]))


def test_workers_that_agree_are_one_line_and_those_that_do_not_are_counted() -> None:
    """With the latest time at which the last of them came to it."""
    (together,) = who_answers([REPORT, REPORT], NOW)
    assert (together.value, together.note, together.tone) == ("Primary", "in every worker, since", "good")
    apart = who_answers([REPORT, report(stages=BROKEN), report(stages={"baseline": silent(NOW)})], NOW)
    assert [(fact.value, fact.note, fact.tone) for fact in apart] == [
        ("Primary", "in 1 of 3 workers, since", "good"),
        ("Fallback", "in 1 of 3 workers, since", "fair"),
        ("Nothing", "in 1 of 3 workers", "poor"),
    ]
    assert apart[1].time is not None
    assert apart[1].time.iso == "2027-01-15T07:59:00Z"
    assert who_answers([], NOW) == (Fact("answering", "no worker has reported", "poor"),)


def test_a_healthy_worker_shows_nothing_that_stands_out() -> None:
    """No tone but the badges'."""
    card = worker_card(REPORT, Pulse(NOW - 5, 0, True), NOW)
    assert (card.status, card.readiness, card.readiness_tone) == ("healthy", "ready", "good")
    assert [fact.tone for fact in card.facts] == [""] * len(card.facts)
    assert [(stage.name, stage.state, stage.facts) for stage in card.stages] == [
        ("Primary", "answering", "breaker closed, compiled"),
        ("Fallback", "answering", "breaker closed, compiled"),
        ("Baseline rule", "answering", "breaker closed"),
    ]


def test_a_broken_stage_says_what_is_wrong_with_it() -> None:
    """Breaker, failures, abandoned threads, reason."""
    card = worker_card(report(stages=BROKEN, status="degraded"), QUIET, NOW)
    stage = card.stages[0]
    assert (stage.state, stage.tone, stage.breaker_open) == ("not answering", "poor", True)
    assert stage.facts == "compiled, 5 failures in a row, 2 abandoned threads"
    assert stage.reason == "deadline: 250 ms"
    assert facts(card.facts)["abandoned threads"] == "2"


def test_an_absent_stage_says_why() -> None:
    """It is of the version, but cannot be used."""
    lone = report(stages={"baseline": REPORT.stages["baseline"]}, absent={"primary": "bad hash"}, model_version=None)
    card = worker_card(lone, QUIET, NOW)
    assert [(stage.name, stage.state, stage.reason) for stage in card.stages[1:]] == [("Primary", "absent", "bad hash")]
    assert facts(card.facts)["version"] == "none, the rule alone"


def test_what_is_lost_stands_out() -> None:
    """Audit errors, dropped lines, failures in a row, a self-test that never passed."""
    wrong = report(audit_errors=3, log_lines_dropped=1_200, self_test_last_success=None, ready=False)
    card = worker_card(wrong, Pulse(NOW, 4, False), NOW)
    marked = {fact.name: (fact.value, fact.tone) for fact in card.facts if fact.tone}
    assert marked == {
        "self-test passed": ("never", "poor"),
        "last prediction": ("failed", "poor"),
        "failures in a row": ("4", "fair"),
        "audit errors": ("3", "fair"),
        "log lines dropped": ("1\N{NARROW NO-BREAK SPACE}200", "fair"),
    }
    assert card.readiness == "not ready"
    assert worker_card(report(draining=True, ready=False), QUIET, NOW).readiness == "draining"
