"""One connection's time: deadlines, lingering, back-pressure and the way out."""

from __future__ import annotations

from app.worker.endpoint import LAST_CALL_S
from app.worker.protocol import LINGER_S
from app.worker.wsgi import Environ
from tests.unit.worker.fakes import Client, FakeClock, FakeTransport, Journal, endpoint

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
BAD = b"GET /a HTTP/1.1\r\n\r\n"
TIMEOUT_S, KEEP_ALIVE_S = 10.0, 75.0


def test_a_slow_request_expires_once() -> None:
    """408 when its time is over, and the connection cut when the client still does not leave."""
    shared, clock = endpoint(), FakeClock()
    client = Client(shared, clock)
    client.send(GET[:10])
    clock.now += TIMEOUT_S - 0.1
    client.send(GET[10:12])
    shared.sweep(clock.now)
    assert client.replies == []
    clock.now += 0.2
    shared.sweep(clock.now)
    shared.sweep(clock.now)
    assert [reply.status for reply in client.replies] == [408]
    assert not client.transport.aborted
    clock.now += LINGER_S + 0.1
    shared.sweep(clock.now)
    assert client.transport.aborted


def test_an_idle_connection_expires_silently() -> None:
    """After its reply it may rest for the keep-alive time; what comes within it starts a request's own time."""
    shared, clock = endpoint(), FakeClock()
    client = Client(shared, clock)
    client.send(GET)
    clock.now += KEEP_ALIVE_S - 0.1
    shared.sweep(clock.now)
    assert not client.transport.closed
    client.send(GET)
    clock.now += KEEP_ALIVE_S + 0.1
    shared.sweep(clock.now)
    assert client.transport.closed
    assert [reply.status for reply in client.replies] == [200, 200]


def test_a_silent_connection_expires_silently() -> None:
    """A client that connects and says nothing has as long as a request may take."""
    shared, clock = endpoint(), FakeClock()
    client = Client(shared, clock)
    clock.now += TIMEOUT_S + 0.1
    shared.sweep(clock.now)
    assert (client.transport.closed, client.transport.written) == (True, b"")


def test_empty_lines_do_not_extend_the_time() -> None:
    """Line breaks before a request are allowed and begin none."""
    shared, clock = endpoint(), FakeClock()
    client = Client(shared, clock)
    for _ in range(20):
        clock.now += TIMEOUT_S / 2
        client.send(b"\r\n")
        shared.sweep(clock.now)
    assert client.transport.closed


def test_a_request_begun_behind_another_has_a_requests_time() -> None:
    """Whether its first bytes came alone or in the segment of the one before makes no difference."""
    shared, clock = endpoint(), FakeClock()
    client = Client(shared, clock)
    client.send(GET + GET[:10])
    clock.now += TIMEOUT_S + 0.1
    shared.sweep(clock.now)
    assert [reply.status for reply in client.replies] == [200, 408]


def test_a_client_that_never_reads_its_reply_is_cut_off() -> None:
    """Closing waits for the reply to be read; a client that does not read it must not hold the connection for ever."""
    shared, clock = endpoint(), FakeClock()
    client = Client(shared, clock)
    client.transport.stuck = True
    client.send(GET)
    for _ in range(3):
        clock.now += KEEP_ALIVE_S + LINGER_S + 0.1
        shared.sweep(clock.now)
    assert client.transport.aborted


def test_a_refused_client_may_finish_sending() -> None:
    """The reply goes out first, then the end; what still comes is dropped, and only a lingering client is cut off."""
    journal, clock = Journal(), FakeClock()
    shared = endpoint(journal=journal)
    client = Client(shared, clock)
    client.send(BAD, GET, b"garbage")
    assert [reply.status for reply in client.replies] == [400]
    assert client.transport.eof_written
    assert not client.transport.is_closing()
    assert journal.names() == ["request.rejected"]
    clock.now += LINGER_S + 0.1
    shared.sweep(clock.now)
    assert client.transport.aborted


def test_the_end_of_a_refused_client_ends_the_connection() -> None:
    """Its end of file needs no second refusal."""
    client = Client(endpoint())
    client.send(BAD)
    assert client.connection.eof_received() is False
    assert [reply.status for reply in client.replies] == [400]


def test_a_half_closed_part_of_a_request_is_refused() -> None:
    """The client may still read, so it is told."""
    client = Client(endpoint())
    client.send(GET[:-2])
    assert client.connection.eof_received() is True
    assert [reply.status for reply in client.replies] == [400]


def test_the_end_between_two_requests_is_the_usual_one() -> None:
    """Nothing is left to say."""
    client = Client(endpoint())
    client.send(GET)
    assert client.connection.eof_received() is False
    assert [reply.status for reply in client.replies] == [200]


def test_a_full_buffer_stops_the_reading() -> None:
    """Replies nobody reads must not pile up in memory."""
    client = Client(endpoint())
    client.connection.pause_writing()
    assert client.transport.reading is False
    client.connection.resume_writing()
    assert client.transport.reading is True


def test_a_closing_endpoint_ends_each_connection_with_its_reply() -> None:
    """The reply says so, and requests behind it are not run: their client could not learn what came of them."""
    served: list[str] = []

    def app(environ: Environ, start_response: object) -> list[bytes]:
        served.append(environ["PATH_INFO"])
        start_response("200 OK", [])  # type: ignore[operator]
        return [b""]

    shared = endpoint(app)
    shared.closing = True
    client = Client(shared)
    (reply,) = client.send(GET + GET.replace(b"/a", b"/b"))
    assert reply.headers["connection"] == "close"
    assert client.transport.closed
    assert client.transport.written_after_close == b""
    assert served == ["/a"]


def test_only_idle_connections_end_at_once() -> None:
    """When the worker leaves, a request under way and a refusal under way are let be, and one that may just come."""
    shared, clock = endpoint(), FakeClock()
    idle, busy, refused = Client(shared, clock), Client(shared, clock), Client(shared, clock)
    idle.send(GET)
    idle.connection.close_if_idle()
    assert not idle.transport.closed
    clock.now += LAST_CALL_S + 0.1
    busy.send(GET[:10])
    refused.send(BAD)
    for client in (idle, busy, refused):
        client.connection.close_if_idle()
    assert [client.transport.closed for client in (idle, busy, refused)] == [True, False, False]


def test_a_last_request_is_the_last() -> None:
    """After `Connection: close` nothing is answered, written or complained of, however it comes."""
    journal = Journal()
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for parts in ([last + GET], [last, GET], [last + GET[:5], GET[5:]]):
        client = Client(endpoint(journal=journal))
        for part in parts:
            client.connection.data_received(part)
        assert [reply.status for reply in client.replies] == [200]
        assert client.transport.written_after_close == b""
    assert journal.names() == []


def test_connections_are_known_while_they_last() -> None:
    """The worker waits for those it knows."""
    shared = endpoint()
    client = Client(shared)
    assert shared.connections == {client.connection}
    client.connection.connection_lost(None)
    assert shared.connections == set()


def test_requests_are_counted_and_shown() -> None:
    """Answered requests count towards the worker's share; the access log sees status and length."""
    lines: list[tuple[str, int, int]] = []
    shared = endpoint(access_log=lambda environ, status, ms, sent: lines.append((environ["PATH_INFO"], status, sent)))
    Client(shared).send(GET + GET, BAD)
    assert shared.requests == 2
    assert lines == [("/a", 200, len(b"GET /a "))] * 2


def test_a_unix_socket_has_no_address() -> None:
    """Names of clients are strings there, and empty ones."""

    class UnixTransport(FakeTransport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return "" if name == "peername" else "/run/service.sock"

    client = Client(endpoint(lambda environ, start: (start("200 OK", []), [environ["REMOTE_ADDR"].encode()])[1]))
    client.transport = UnixTransport()
    client.connection.connection_made(client.transport)
    assert [reply.body for reply in client.send(GET)] == [b""]
