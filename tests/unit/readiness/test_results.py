"""Scores, verdicts, and an audit in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import OutOfReachError
from app.readiness.evidence import Evidence, Item, judge
from app.readiness.page import render_page
from app.readiness.results import READY, Finding, Readiness, Status, score_of, verdict_of
from app.readiness.scene import Scene
from app.readiness.text import finding_lines, summary_lines

NOWHERE: Scene = None  # type: ignore[assignment]
"""What these checks need of a scene."""


def finding(status: Status, fact: str = "a fact") -> Finding:
    facts: dict[Status, list[str]] = {"pass": [], "fail": [], "not checked": []}
    facts[status].append(fact)
    return Finding("A section", "An item", status, facts["pass"], facts["fail"], facts["not checked"])


def readiness(*findings: Finding) -> Readiness:
    score = score_of(findings)
    return Readiness("a service", "2026-11-28T10:00:00Z", False, score, verdict_of(score), list(findings))


@given(st.lists(st.sampled_from(("pass", "fail", "not checked")), min_size=1))
def test_only_what_passes_counts_and_only_all_of_it_is_a_hundred(statuses: list[Status]) -> None:
    """What was not checked is no half success."""
    score = score_of([finding(status) for status in statuses])
    assert 0 <= score <= 100
    assert (score == 100) == (set(statuses) == {"pass"})
    assert score <= 100 * statuses.count("pass") / len(statuses)


@pytest.mark.parametrize(
    ("score", "words"),
    [(0, "NOT READY"), (49, "NOT READY"), (50, "RISKY"), (79, "RISKY"), (80, "READY, BUT INCOMPLETE"),
     (99, "READY, BUT INCOMPLETE"), (100, "PRODUCTION READY")],
)  # fmt: skip
def test_a_score_has_its_verdict(score: int, words: str) -> None:
    """The limits are 50, 80 and 100."""
    assert verdict_of(score).startswith(words + ":")


def test_a_check_that_saw_nothing_has_not_passed() -> None:
    """An empty check would pass for ever."""
    assert judge(Item("A section", "An item", lambda scene, found: None), NOWHERE).status == "fail"


def test_what_lacks_weighs_more_than_what_could_not_be_checked() -> None:
    """And that more than what was seen."""

    def check(scene: Scene, found: Evidence) -> None:
        found.expect(True, "seen", "not seen")
        found.expect(False, "there", "not there")
        raise OutOfReachError("too far")

    found = judge(Item("A section", "An item", check), NOWHERE)
    assert (found.status, found.seen, found.lacking, found.unchecked) == ("fail", ["seen"], ["not there"], ["too far"])


@pytest.mark.parametrize("error", [OSError(2, "No such file", "a.txt"), KeyError("workers"), ValueError("no JSON")])
def test_a_check_that_breaks_fails_its_item_and_no_other(error: Exception) -> None:
    """What a service answers may be anything."""

    def check(scene: Scene, found: Evidence) -> None:
        raise error

    found = judge(Item("A section", "An item", check), NOWHERE)
    assert found.status == "fail"
    assert len(found.lacking) == 1


def test_the_text_says_first_what_lacks() -> None:
    """Whoever reads a line has read the point."""
    mixed = Finding("A section", "An item", "fail", ["one thing"], ["another"], ["a third"])
    first, second, third = finding_lines(mixed)
    assert "FAIL" in first
    assert "lacks: another" in first
    assert "not checked: a third" in second
    assert "one thing" in third


def test_the_summary_has_score_verdict_and_how_to_go_on() -> None:
    """Without drills some items stay open; that is said."""
    text = "\n".join(summary_lines(readiness(finding("pass"), finding("not checked"))))
    assert "Production Readiness Score: 50%" in text
    assert "RISKY" in text
    assert "--drill" in text
    assert READY in "\n".join(summary_lines(readiness(finding("pass"))))


def test_the_page_shows_every_finding_and_escapes_it() -> None:
    """Facts hold what services answer."""
    page = render_page(readiness(finding("fail", "<script>"), finding("pass", "1 < 2"), finding("not checked", "far")))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "1 &lt; 2" in page
    assert page.count("<article>") == 3
    assert "http" not in page.replace("http-equiv", "")
