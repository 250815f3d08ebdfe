"""How a worker lives: starts its event loop, shows gunicorn that it is alive, drains, and leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial

import uvloop
from gunicorn.workers.base import Worker

from app.factory import EXTENSION, Components
from app.telemetry.logs import access_event
from app.worker.acceptor import Acceptor
from app.worker.endpoint import Endpoint
from app.worker.overload import BEAT_S, Overload
from app.worker.protocol import Connection
from app.worker.wsgi import Environ

TICK_S = 0.25
"""How often deadlines are looked at and gunicorn is told that the worker lives."""


class InlineWorker(Worker):  # type: ignore[misc]
    """Reads whole requests on an event loop and calls the WSGI app inline.

    A slow client costs a socket, never a thread; a prediction costs no hand-over between threads.
    """

    def run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        components: Components = self.wsgi.extensions[EXTENSION]
        settings = components.settings
        loop = asyncio.get_running_loop()
        endpoint = Endpoint(
            self.wsgi, components.log, settings.max_body_bytes, settings.request_timeout_s, settings.keep_alive_s,
            settings.max_connections, _overload(components), components.tally.refused, loop.call_soon,
            partial(_log_access, components) if settings.access_log else None,
        )  # fmt: skip
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, stop.set)
        servers = [
            await loop.create_server(partial(Connection, endpoint), sock=listener.sock, backlog=self.cfg.backlog)
            for listener in self.sockets
        ]
        acceptor = Acceptor([listener.sock for listener in self.sockets], endpoint, self.cfg.workers)
        _keep_beating(loop, endpoint.overload, acceptor)
        while not stop.is_set():
            self._tick(endpoint)
            if endpoint.requests >= self.max_requests or os.getppid() != self.ppid:
                break
            await _wait(stop, TICK_S)
        components.health.drain()
        endpoint.closing = True
        await self._keep_ticking(endpoint, settings.drain_s)
        acceptor.close()
        for server in servers:
            server.close()
        await self._finish(endpoint, settings.graceful_timeout_s - settings.drain_s - 1)

    async def _finish(self, endpoint: Endpoint, within_s: float) -> None:
        """Lets requests that are under way end, and connections once they rest."""
        give_up = time.monotonic() + within_s
        while endpoint.connections and time.monotonic() < give_up:
            for connection in list(endpoint.connections):
                connection.close_if_idle()
            self._tick(endpoint)
            await asyncio.sleep(0.02)

    async def _keep_ticking(self, endpoint: Endpoint, for_s: float) -> None:
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            self._tick(endpoint)
            await asyncio.sleep(min(TICK_S, for_s))

    def _tick(self, endpoint: Endpoint) -> None:
        self.notify()
        endpoint.sweep(time.monotonic())


def _overload(components: Components) -> Overload:
    """Patient enough for every breaker of a chain that hangs to open."""
    settings = components.settings
    hanging_ms = settings.breaker_failures * (settings.primary_deadline_ms + settings.fallback_deadline_ms)
    patience_s = (hanging_ms + settings.max_lag_ms) / 1000
    return Overload(settings.max_lag_ms / 1000, patience_s, components.log, components.tally.shed)


def _keep_beating(loop: asyncio.AbstractEventLoop, overload: Overload, acceptor: Acceptor) -> None:
    overload.beat(acceptor.accept)
    loop.call_later(BEAT_S, _keep_beating, loop, overload, acceptor)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return


def _log_access(components: Components, environ: Environ, status: int, duration_ms: float, sent: int) -> None:
    components.sink.put(access_event(environ, status, duration_ms, sent))
