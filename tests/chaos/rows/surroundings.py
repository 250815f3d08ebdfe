"""What surrounds the service: who reads its log, what it may write to, what time it is, who connects."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.arena import Arena, Probe, detailed, ready_workers, row
from tests.chaos.estimators import FaultyModel
from tests.chaos.mounts import needs
from tests.chaos.rows.disks import counted
from tests.chaos.wall_clock import WallClock
from tests.conftest import fitted_logistic
from tests.e2e.conftest import Service

REQUEST_TIMEOUT_S = 3.0
EACH = 200
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what a read-only container still has


@row("stdoutstalled", "nobody reads stdout")
def stdout_is_not_read(arena: Arena) -> None:
    """Lines are dropped and counted; requests, and SIGTERM, go on."""
    _without_reader(arena, closed=False)


@row("stdoutclosed", "stdout is closed at its other end")
def stdout_is_closed(arena: Arena) -> None:
    """The same."""
    _without_reader(arena, closed=True)


def _without_reader(arena: Arena, *, closed: bool) -> None:
    arena.register()
    pipe = arena.folder / "stdout"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command = f"exec {shlex.quote(sys.executable)} -m gunicorn > {shlex.quote(str(pipe))}"
    service = arena.service(command=("sh", "-c", command), LOG_QUEUE_LINES="50", GRACEFUL_TIMEOUT_S="10")
    try:
        with arena.load(service):
            time.sleep(0.3)
            if closed:
                os.close(reader)
            arena.seconds_until(lambda: counted(service, "log_lines_dropped_total") > 0)
            time.sleep(1)
            arena.expect(detailed(service)["status"] == "healthy", "not healthy")
        arena.expect_no_failures()
        start = time.monotonic()
        arena.expect(service.stop() == 0, "SIGTERM did not end it well")
        arena.within(time.monotonic() - start, 3.0, "SIGTERM ends it within")
    finally:
        if not closed:
            os.close(reader)
    arena.expect_audited(service)


@row("readonly", "a read-only root, nothing writable but /dev/shm")
def root_is_read_only(arena: Arena) -> None:
    """It starts, serves, and says that the audit has no place."""
    arena.register()
    readonly = "mount --make-rprivate / && mount -o remount,bind,ro / && mount -o remount,bind,ro /tmp 2>/dev/null; "
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", f"{readonly} true"], capture_output=True, check=False)
    needs(probe.returncode == 0 and os.access(SHARED_MEMORY, os.W_OK), "unshare --mount needs root, and /dev/shm")
    command = f"{readonly} exec {shlex.quote(sys.executable)} -m gunicorn"
    start = time.monotonic()
    service = arena.service(
        command=("unshare", "--mount", "sh", "-c", command),
        RUNTIME_DIR=str(SHARED_MEMORY / f"chaos-{secrets.token_hex(4)}"),
    )
    arena.recovered(time.monotonic() - start)
    with arena.load(service):
        time.sleep(1)
        told = detailed(service)
    arena.expect_stage("primary", arena.records)
    arena.expect("AUDIT_DIR" in str(told["causes"]) and told["status"] == "degraded", "health does not name AUDIT_DIR")
    arena.expect_no_failures()
    arena.expect(service.stop() == 0, "it did not end well")


@row("clock", "the wall clock jumps by an hour, on and back, also while it leaves")
def clock_jumps(arena: Arena) -> None:
    """Deadlines, breakers, readiness and the way out go by the clock that nobody sets."""
    arena.register(primary=FaultyModel(fitted_logistic(arena.schema), arena.flag))
    clock = WallClock(arena.folder)
    service = arena.service(env=clock.env, DRAIN_S="2.5", GRACEFUL_TIMEOUT_S="10")
    in_rotation = True
    with (
        arena.load(lambda: service.url if in_rotation else None),
        Probe(service, "/health/ready") as readiness,
    ):
        for jump in (3600, -3600):
            clock.jump_to(jump)
            time.sleep(1.5)
            arena.flag.write_text("hang")
            arena.seconds_until(lambda: _breakers(service) == {"open"}, 5)
            arena.flag.unlink()
            arena.recovered(arena.seconds_until(lambda: _breakers(service) == {"closed"}, 15))
            arena.expect(detailed(service)["status"] == "healthy", f"not healthy after {jump} s")
        statuses = set(readiness.statuses)
        service.process.terminate()
        arena.seconds_until(lambda: readiness.statuses[-1] == 503, 5)
        clock.jump_to(7200)
        time.sleep(1.5)
        in_rotation = False
        arena.expect(service.process.wait(15) == 0, "it did not end well")
    times = [line["timestamp"][:13] for line in service.log_lines()]
    arena.expect(len(set(times)) >= 3, "the service did not notice the jumps, so this shows nothing")
    arena.expect(statuses == {200}, f"readiness answered {statuses}")
    arena.expect_no_failures()
    arena.expect_audited(service)


def _breakers(service: Service) -> set[str]:
    return {worker["stages"]["primary"]["breaker"] for worker in detailed(service)["workers"]}


@row("slow", "200 slow heads, 200 slow bodies and 200 idle connections")
def clients_are_slow(arena: Arena) -> None:
    """They cost sockets, nobody's time, and end at their deadline."""
    arena.register()
    service = arena.service(REQUEST_TIMEOUT_S=f"{REQUEST_TIMEOUT_S:g}")
    with arena.load(service), Probe(service, "/health/ready") as probe:
        start = time.monotonic()
        with _slow_connections(service) as slow:
            arena.seconds_until(lambda: all(map(_ended, slow)), 30)
            cut_off_s = time.monotonic() - start
            replies = [_reply(connection) for connection in slow]
    told = sum(reply.startswith(b"HTTP/1.1 408") for reply in replies)
    arena.notes.append(f"{told} were told 408, {len(replies) - told} cut off")
    arena.expect(told == 2 * EACH, "not every slow request was told 408")
    arena.within(cut_off_s, REQUEST_TIMEOUT_S + 1, "all cut off within")
    arena.expect(set(probe.statuses) == {200}, f"readiness answered {set(probe.statuses)}")
    arena.within(probe.p99_s, 0.1, "99 % of readiness probes within")
    arena.expect(len(ready_workers(service)) == 2, "a worker is gone")
    arena.expect_no_failures()
    arena.expect_audited(service)


HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"


@contextmanager
def _slow_connections(service: Service) -> Iterator[list[socket.socket]]:
    """Two thirds of them send a byte now and then, the rest nothing."""
    starts = [HEAD] * EACH + [HEAD + b"\r\n{"] * EACH + [b""] * EACH
    connections = [socket.create_connection(("127.0.0.1", service.port)) for _ in starts]
    stopping = threading.Event()

    def trickle() -> None:
        for connection, data in zip(connections, starts, strict=True):
            connection.sendall(data)
        while not stopping.wait(0.4):
            for connection, data in zip(connections, starts, strict=True):
                with suppress(OSError):
                    connection.sendall(b" " if data.endswith(b"{") else b"X" if data else b"")

    trickler = threading.Thread(target=trickle, daemon=True)
    trickler.start()
    try:
        yield connections
    finally:
        stopping.set()
        trickler.join(10)
        for connection in connections:
            connection.close()


def _ended(connection: socket.socket) -> bool:
    """Whether the service has said its last word."""
    try:
        return len(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)) >= 0
    except BlockingIOError:
        return False
    except OSError:
        return True


def _reply(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096, socket.MSG_DONTWAIT)
    except OSError:
        return b""
