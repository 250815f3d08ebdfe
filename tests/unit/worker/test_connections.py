"""How many connections a worker keeps, and which of them end where there are too many."""

from __future__ import annotations

import asyncio
import socket

from app.worker.acceptor import Acceptor
from app.worker.endpoint import LAST_CALL_S, MAX_SURPLUS
from tests.unit.worker.fakes import Client, FakeClock, endpoint

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def test_a_connection_beyond_the_limit_is_good_for_a_probe() -> None:
    """It ends with its first reply, and work is refused."""
    shared = endpoint(max_connections=1)
    first, probe, work = Client(shared), Client(shared), Client(shared)
    assert [reply.status for reply in first.send(POST)] == [200]
    for client, request, status in ((probe, GET, 200), (work, POST, 503)):
        (reply,) = client.send(request)
        assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert client.transport.closed
    assert not first.transport.closed


def test_a_connection_far_beyond_the_limit_is_cut() -> None:
    """Without being read, and without being counted."""
    shared = endpoint(max_connections=1)
    for _ in range(1 + MAX_SURPLUS):
        Client(shared)
    late = Client(shared)
    assert late.transport.aborted
    assert late.send(GET) == []
    assert len(shared.connections) == 1 + MAX_SURPLUS


def test_connections_that_rest_make_room() -> None:
    """Where it becomes scarce; those that are used stay."""
    shared, clock = endpoint(max_connections=4), FakeClock()
    resting = [Client(shared, clock) for _ in range(2)]
    clock.now += LAST_CALL_S + 0.1
    used, busy = Client(shared, clock), Client(shared, clock)
    busy.send(POST[:10])
    clients = [*resting, used, busy]
    shared.sweep(clock.now)
    assert [client.transport.closed for client in clients] == [True, True, False, False]


def test_nothing_ends_while_there_is_room() -> None:
    """A client may rest as long as `keep_alive_s` says."""
    shared, clock = endpoint(max_connections=4), FakeClock()
    clients = [Client(shared, clock) for _ in range(3)]
    clock.now += LAST_CALL_S + 0.1
    shared.sweep(clock.now)
    assert not any(client.transport.closed for client in clients)


def test_all_connections_that_wait_are_taken_in() -> None:
    """As many as are asked for, in one go; none once the worker leaves."""
    shared = endpoint()

    async def scenario() -> list[int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            acceptor = Acceptor([listener], shared)
            clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
            taken = [acceptor.accept(3), acceptor.accept(10), acceptor.accept(10)]
            while len(shared.connections) < 5:
                await asyncio.sleep(0)
            acceptor.close()
            clients.append(socket.create_connection(listener.getsockname()))
            taken.append(acceptor.accept(10))
            for client in clients:
                client.close()
            while shared.connections:
                await asyncio.sleep(0.001)
            return taken

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == [3, 2, 0, 0]


def test_workers_share_what_waits() -> None:
    """One that looks first does not take all: half of what waits, then half of the rest, the last one too."""

    async def scenario() -> list[int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            acceptor = Acceptor([listener], endpoint(), workers=2)
            clients = [socket.create_connection(listener.getsockname()) for _ in range(6)]
            taken = [acceptor.accept(100) for _ in range(4)]
            for client in clients:
                client.close()
            await asyncio.sleep(0)
            return taken

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == [3, 2, 1, 0]
