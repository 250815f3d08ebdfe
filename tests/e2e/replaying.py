"""Sends a case of the corpus, and says whether what came back is what the case names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.cases import Case, reading
from tests.e2e.conftest import Answer
from tests.e2e.wire import ENVELOPE, Wire

NEXT = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(reading({})), reading({}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case."""

    answers: list[Answer]
    rest: bytes | None
    """What came after the last reply up to the end of the connection; None where it goes on."""
    following: Answer
    """The reply to a valid reading: on the same connection, or on a new one where that has ended."""
    counted: Counter[str] = field(default_factory=Counter)
    """By which counters went up, that reading's own included."""
    lines: list[dict[str, Any]] = field(default_factory=list)


def replay(case: Case, port: int) -> Outcome:
    """Sends one case and then a valid reading."""
    with Wire(port) as wire:
        wire.send(case.request())
        if case.half_close:
            wire.half_close()
        answers = [_answer(wire, case, status) for status in case.statuses]
        rest = wire.rest() if case.closes or case.half_close else None
        if rest is None:
            following = wire.send(NEXT).reply()
        else:
            with Wire(port) as another:
                following = another.send(NEXT).reply()
    return Outcome(answers, rest, following)


def check(case: Case, outcome: Outcome) -> None:
    """Fails unless statuses, envelopes, message, the end of the connection and the next reading's answer are right."""
    assert tuple(answer.status for answer in outcome.answers) == case.statuses
    for answer in outcome.answers:
        if answer.status >= 400 and not case.asks_for_head:
            _check_envelope(answer)
    if case.error is not None:
        assert outcome.answers[-1].json["error"] == case.error
    assert (outcome.answers[-1].headers.get("connection") == "close") is case.closes
    assert outcome.rest in (None, b"")
    assert (outcome.following.status, outcome.following.json["model_used"]) == (200, "primary")


def _answer(wire: Wire, case: Case, status: int) -> Answer:
    if status == 100:
        return Answer(*wire.head(), b"")
    return wire.reply(bodiless=case.asks_for_head)


def _check_envelope(answer: Answer) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json
    assert document.keys() >= ENVELOPE
    assert document["success"] is False
    assert isinstance(document["error"], str)
    assert document["error"] == document["detail"] != ""
    assert document["status"] == answer.status
    assert document["request_id"] == answer.headers["x-request-id"]
