"""A short run of the fuzzer, and what it would find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import (
    Service,
    models_dir,  # noqa: F401 - a fixture
)
from tests.footprint import Footprint, leaks
from tests.fuzz.campaign import Finding
from tests.fuzz.fuzzing import fuzz, keep
from tests.fuzz.mutations import Mutator
from tests.fuzz.replies import UnacceptableError, read_replies

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


def test_two_thousand_mutated_requests_find_nothing(tmp_path: Path, models_dir: Path) -> None:  # noqa: F811
    """No fault, no crash, no leak, no torn line; `make fuzz` sends many more."""
    with Service(tmp_path, models_dir, WEB_CONCURRENCY="2") as service:
        seen, summary = fuzz(service, seed=0, requests=2000)
    assert keep(seen.findings, tmp_path / "findings") == [], summary
    assert seen.answered >= 2000
    assert {200, 400, 404, 405, 413, 415, 422, 501} <= seen.statuses.keys()
    assert seen.probes > 20


def test_a_seed_gives_the_same_requests_again() -> None:
    """Whatever else is sent at the same time."""
    first, second = Mutator(7), Mutator(7)
    assert first.batch(3) == second.batch(3)
    assert [first.batch(number) for number in range(50)] == [second.batch(number) for number in range(50)]
    assert first.batch(3) != Mutator(8).batch(3)


def test_replies_are_told_apart() -> None:
    """Interim ones, those to HEAD, and ordinary ones, in a row."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [reply.status for reply in read_replies(OK + HEAD + interim + OK)] == [200, 200, 100, 200]
    assert [reply.body for reply in read_replies(HEAD + OK)] == [b"", b"{}"]


def problem(status: int, body: bytes, media_type: bytes = b"application/problem+json") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, media_type, len(body)) + body


ENVELOPE = b"""{"success": false, "error": "x", "type": "", "title": "", "status": 400, "detail": "x", "instance": "",
  "request_id": "1", "errors": []}"""


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(problem(500, ENVELOPE), id="a fault of the service"),
        pytest.param(problem(503, ENVELOPE), id="nothing answers"),
        pytest.param(problem(400, b"<html>"), id="a page"),
        pytest.param(problem(400, b"{}"), id="no envelope"),
        pytest.param(problem(400, ENVELOPE, b"application/json"), id="another type"),
        pytest.param(problem(400, ENVELOPE.replace(b'"x"', b"null", 1)), id="no message"),
        pytest.param(problem(400, ENVELOPE)[:-1], id="cut off"),
        pytest.param(OK + b"more", id="bytes behind it"),
        pytest.param(b"hello\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no length"),
    ],
)
def test_what_no_request_may_get_is_found(received: bytes) -> None:
    """Else the fuzzer would find nothing, ever."""
    assert [reply.status for reply in read_replies(problem(400, ENVELOPE))] == [400]
    with pytest.raises(UnacceptableError):
        read_replies(received)


def test_growth_is_found() -> None:
    """Memory beyond noise, and any file or thread."""
    before = Footprint(memory_mb=100, files=20, threads=3)
    assert leaks(before, Footprint(memory_mb=120, files=20, threads=3)) == []
    assert len(leaks(before, Footprint(memory_mb=140, files=21, threads=4))) == 3


def test_the_bytes_of_a_finding_are_kept(tmp_path: Path) -> None:
    """For the corpus."""
    (told,) = keep([Finding("no reply at all", b"G\xff")], tmp_path / "kept")
    assert told.startswith("no reply at all")
    assert (tmp_path / "kept" / "000.bin").read_bytes() == b"G\xff"
