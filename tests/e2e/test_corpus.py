"""Every request of the corpus, on a connection of its own, against one real worker: refused as it should be, counted,
logged in one line, and the next client is served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cases import Case, load_corpus
from tests.e2e.conftest import Service
from tests.e2e.replaying import Outcome, check, replay

CASES = load_corpus()
COUNTERS = ("prediction_requests", "contract_violations", "feedback", "feedback_refused", "http_refusals",
            "stage_failures", "audit_errors", "log_lines_dropped", "worker_starts")  # fmt: skip


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


@pytest.fixture(scope="module")
def outcomes(service: Service) -> dict[str, Outcome | Exception]:
    """The whole corpus, sent once; the log is read once, at the end."""
    found: dict[str, Outcome | Exception] = {}
    before = counters(service)
    for case in CASES:
        try:
            sent = found[case.name] = replay(case, service.port)
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
    check(case, outcome)
    assert outcome.counted == Counter((*case.counted, 'prediction_requests_total{outcome="primary"}'))
    assert Counter(line["event"] for line in outcome.lines) == Counter(case.logged)


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
