"""Every request of the corpus, on a connection of its own, against one real worker: refused as it should be, counted,
logged in one line, and the next client is served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cases import Case, load_corpus, reading
from tests.e2e.conftest import Answer, Service
from tests.e2e.wire import ENVELOPE, Wire

CASES = load_corpus()
NEXT = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(reading({})), reading({}))
COUNTERS = ("prediction_requests", "contract_violations", "feedback", "feedback_refused", "http_refusals",
            "stage_failures", "audit_errors", "log_lines_dropped", "worker_starts")  # fmt: skip


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


def counters(service: Service) -> Counter[str]:
    """All that a request may count, by sample."""
    families = text_string_to_metric_families(service.request("GET", "/metrics").body.decode())
    return Counter(
        {_sample(s.name, s.labels): int(s.value) for family in families if family.name in COUNTERS
         for s in family.samples}
    )  # fmt: skip


def _sample(name: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{inner}}}" if inner else name


def replay(case: Case, service: Service) -> Outcome:
    """Sends one case and then a valid reading."""
    with Wire(service.port) as wire:
        wire.send(case.request())
        if case.half_close:
            wire.half_close()
        answers = [_answer(wire, case, status) for status in case.statuses]
        rest = wire.rest() if case.closes or case.half_close else None
        if rest is None:
            following = wire.send(NEXT).reply()
        else:
            with Wire(service.port) as another:
                following = another.send(NEXT).reply()
    return Outcome(answers, rest, following)


def _answer(wire: Wire, case: Case, status: int) -> Answer:
    if status == 100:
        return Answer(*wire.head(), b"")
    return wire.reply(bodiless=case.asks_for_head)


@pytest.fixture(scope="module")
def outcomes(service: Service) -> dict[str, Outcome | Exception]:
    """The whole corpus, sent once; the log is read once, at the end."""
    found: dict[str, Outcome | Exception] = {}
    before = counters(service)
    for case in CASES:
        try:
            sent = found[case.name] = replay(case, service)
        except (AssertionError, OSError) as error:  # its own test tells
            found[case.name] = error
            before = counters(service)
        else:
            after = counters(service)
            sent.counted.update(after - before)
            before = after
    by_id: dict[str | None, list[dict[str, Any]]] = {}
    for line in service.settled_log_lines():
        by_id.setdefault(line.get("request_id"), []).append(line)
    for outcome in found.values():
        if isinstance(outcome, Outcome):
            for answer in outcome.answers:
                outcome.lines.extend(by_id.get(answer.headers.get("x-request-id", ""), []))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_of_the_corpus(case: Case, outcomes: Mapping[str, Outcome | Exception]) -> None:
    """The status, the envelope, the end of the connection, the counters, the log, and the next reading's answer."""
    outcome = outcomes[case.name]
    if isinstance(outcome, Exception):
        raise outcome
    assert tuple(answer.status for answer in outcome.answers) == case.statuses
    for answer in outcome.answers:
        if answer.status >= 400 and not case.asks_for_head:
            _check_envelope(answer)
    if case.error is not None:
        assert outcome.answers[-1].json["error"] == case.error
    assert (outcome.answers[-1].headers.get("connection") == "close") is case.closes
    assert outcome.rest in (None, b"")
    assert outcome.counted == Counter((*case.counted, 'prediction_requests_total{outcome="primary"}'))
    assert Counter(line["event"] for line in outcome.lines) == Counter(case.logged)
    assert (outcome.following.status, outcome.following.json["model_used"]) == (200, "primary")


def _check_envelope(answer: Answer) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json
    assert document.keys() >= ENVELOPE
    assert document["success"] is False
    assert isinstance(document["error"], str)
    assert document["error"] == document["detail"] != ""
    assert document["status"] == answer.status
    assert document["request_id"] == answer.headers["x-request-id"]


def test_nothing_of_the_corpus_is_a_fault_of_the_service(
    service: Service, outcomes: Mapping[str, Outcome | Exception]
) -> None:
    """No line of the log is an error, nothing is on stderr, and the worker is still the first one."""
    lines = service.settled_log_lines()
    assert not [line for line in lines if line["level"] in ("error", "critical") or "exception" in line]
    assert (service.folder / "stderr").read_bytes() == b""
    assert counters(service)["worker_starts_total"] == 1


def test_the_corpus_is_all_there() -> None:
    """A file that is not read would pass for ever."""
    assert len(CASES) >= 150
