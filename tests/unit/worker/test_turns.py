"""A client that sends much at once does not hold up the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from app.worker.turns import PIECE_BYTES
from tests.unit.worker.fakes import Client, endpoint

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
FLOOD = GET * 1000


class Loop:
    """An event loop's queue: a test decides when it is whose turn."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def call_soon(self, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def run_once(self) -> None:
        """One round: what is called now may only wait for the next."""
        for _ in range(len(self.waiting)):
            self.waiting.popleft()()

    def run(self) -> int:
        """Round after round until nobody waits; how many there were."""
        rounds = 0
        while self.waiting:
            self.run_once()
            rounds += 1
        return rounds


def test_others_have_their_turn_between_pipelined_requests() -> None:
    """A few are answered at a time, all in the end, and meanwhile nothing more is read."""
    loop = Loop()
    client = Client(endpoint(call_soon=loop.call_soon))
    first = client.send(FLOOD)
    assert 0 < len(first) <= PIECE_BYTES // len(GET) + 1
    assert not client.transport.reading
    assert len(loop.waiting) == 1
    assert loop.run() > 10
    assert [reply.status for reply in client.replies] == [200] * 1000
    assert client.transport.reading


def test_a_large_body_is_not_interrupted() -> None:
    """Only answers give way: a body that came at once is read at once."""
    loop = Loop()
    body = b"x" * 50 * PIECE_BYTES
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    client = Client(endpoint(max_body_bytes=len(body), call_soon=loop.call_soon))
    assert [reply.status for reply in client.send(request)] == [200]
    assert not loop.waiting


def test_a_client_that_does_not_read_gets_no_more_replies() -> None:
    """They would pile up in memory: a few bytes ask for many."""
    loop = Loop()
    client = Client(endpoint(call_soon=loop.call_soon))
    client.send(FLOOD)
    client.connection.pause_writing()
    answered = len(client.replies)
    loop.run()
    assert len(client.replies) == answered
    assert not client.transport.reading
    for _ in range(3):  # a client that reads in fits and starts gets no more turns than others
        client.connection.resume_writing()
        client.connection.pause_writing()
    client.connection.resume_writing()
    assert len(loop.waiting) == 1
    loop.run()
    assert len(client.replies) == 1000
    assert client.transport.reading


def test_what_waits_is_dropped_with_its_connection() -> None:
    """Nothing is answered to a client that has left."""
    loop = Loop()
    client = Client(endpoint(call_soon=loop.call_soon))
    client.send(FLOOD)
    shared = client.connection._endpoint
    answered = shared.requests
    client.connection.connection_lost(None)
    loop.run()
    assert shared.requests == answered


def test_a_connection_with_more_to_answer_is_not_idle() -> None:
    """A worker that leaves answers what it has read, as the last on its connection."""
    loop = Loop()
    shared = endpoint(call_soon=loop.call_soon)
    client = Client(shared)
    client.send(FLOOD)
    shared.closing = True
    client.connection.close_if_idle()
    assert not client.transport.closed
    loop.run()
    assert client.transport.closed
    assert client.replies[-1].headers["connection"] == "close"


def test_pipelined_offers_to_upgrade_are_declined_one_by_one() -> None:
    """Each is read again by a parser of its own; a thousand at once must not nest."""
    offer = GET[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert [reply.status for reply in Client(endpoint()).send(offer * 1000)] == [200] * 1000
