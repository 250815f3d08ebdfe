"""Clients that take their time: how long the service waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Service
from tests.e2e.wire import Wire, exchange, problem

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    """A service that waits half a second for a request, and as long between two."""
    folder = tmp_path_factory.mktemp("impatient")
    with Service(folder, models_dir, REQUEST_TIMEOUT_S="0.5", KEEP_ALIVE_S="0.5", SELF_TEST_INTERVAL_S="60") as running:
        yield running


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"G", id="within the method"),
        pytest.param(LIVE[:-2], id="within the head"),
        pytest.param(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", id="within the body"),
        pytest.param(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="within a chunk"
        ),
        pytest.param(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
            id="after being told to go on",
        ),
    ],
)
def test_a_slow_request_is_told_so(impatient: Service, part: bytes) -> None:
    """REQUEST_TIMEOUT_S after its first byte: 408, and the end."""
    with Wire(impatient.port) as wire:
        wire.send(part)
        if b"Expect" in part:
            assert wire.head() == (100, {})
        problem(wire.reply(), 408)
        assert wire.rest() == b""


def test_a_trickle_does_not_extend_the_deadline(impatient: Service) -> None:
    """A byte now and then is not a way to stay: the deadline is that of the whole request."""
    with Wire(impatient.port, timeout_s=0.05) as wire:
        wire.send(LIVE[:10])
        for number in range(1000):
            try:
                answer = wire.reply()
            except TimeoutError:
                wire.send(b"a" if number else b" HTTP/1.1\r\nX: ")
            else:
                break
        else:
            pytest.fail("the service waited for a thousand bytes")
    problem(answer, 408)


def test_a_request_begun_behind_another_has_its_own_deadline(impatient: Service) -> None:
    """The part of a pipelined request is a slow request, not an idle connection."""
    with Wire(impatient.port) as wire:
        wire.send(LIVE + LIVE[:-2])
        assert wire.reply().status == 200
        problem(wire.reply(), 408)


def test_an_idle_connection_ends_without_a_word(impatient: Service) -> None:
    """KEEP_ALIVE_S after a reply; a reply nobody asked for would be taken for the next one's."""
    with Wire(impatient.port) as wire:
        assert wire.send(LIVE).reply().status == 200
        assert wire.rest() == b""


def test_a_connection_that_never_asks_ends_without_a_word(impatient: Service) -> None:
    """Nothing was asked, so nothing is answered."""
    with Wire(impatient.port) as wire:
        assert wire.rest() == b""


def test_empty_lines_do_not_keep_a_connection(impatient: Service) -> None:
    """Line breaks before a request are allowed, but they are no request."""
    with Wire(impatient.port, timeout_s=0.05) as wire:
        for _ in range(60):
            try:
                assert wire.rest() == b""
                break
            except TimeoutError:
                wire.send(b"\r\n")
            except BrokenPipeError:
                break
        else:
            pytest.fail("sixty empty lines kept the connection")
    assert exchange(impatient.port, LIVE).status == 200
