"""One JSON object per line on stdout, for the app, its libraries and gunicorn alike.

A request never waits for whoever reads stdout: lines go into a bounded queue that a thread drains, and what does
not fit is dropped and counted. Until `LogSink.start`, and so in gunicorn's master, which must not own a thread
when it forks, lines are written at once.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from gunicorn.glogging import Logger as GunicornBaseLogger

from app.telemetry.current import REQUEST, current_ids, ids_of

DRAIN_INTERVAL_S = 0.05
"""The writer wakes this often. Waking it per line would cost each request a lock hand-over."""

_encoder = msgspec.json.Encoder()


class LogSink:
    """Where log lines leave the process: file descriptor `fd`, at most `limit` lines waiting."""

    def __init__(self, fd: int = 1, limit: int = 20_000) -> None:
        self._fd = fd
        self._limit = limit
        self._waiting: deque[bytes | Mapping[str, Any]] = deque()
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None
        self._stopping = threading.Event()
        self.dropped = 0
        """Lines lost since the process started, because stdout was closed or not read."""
        self._dropped_reported = 0
        self._torn = False

    def put(self, line: bytes | Mapping[str, Any]) -> None:
        """Takes one event, or one line that is already rendered (without its newline). Never blocks once started."""
        if self._writer is None:
            with self._writing:
                if self._accepts():
                    self._write([line])
                else:
                    self.dropped += 1
        elif len(self._waiting) >= self._limit:
            self.dropped += 1
        else:
            self._waiting.append(line)

    def start(self) -> None:
        """Hands the writing to a thread; call it after the last fork."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._drain, name="log-writer", daemon=True)
            self._writer.start()

    def close(self, timeout_s: float = 1.0) -> None:
        """Writes what waits, but gives a stalled reader no longer than `timeout_s`.

        Later lines are written at once again or, where the reader still stalls, counted as dropped.
        """
        if self._writer is None:
            return
        self._stopping.set()
        self._writer.join(timeout_s)
        if self._writer.is_alive():
            self._limit = 0
        else:
            self._writer = None

    def _drain(self) -> None:
        while True:
            stopping = self._stopping.wait(DRAIN_INTERVAL_S)
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if batch:
                self._write(batch)
            if self.dropped > self._dropped_reported:
                self._report_dropped()
            if stopping and not self._waiting:
                return

    def _write(self, batch: list[bytes | Mapping[str, Any]]) -> None:
        lines = [line if isinstance(line, bytes) else render(line) for line in batch]
        data = memoryview((b"\n" if self._torn else b"") + b"\n".join(lines) + b"\n")
        total = len(data)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:  # closed or full: there is nobody left to tell but the counter
            self.dropped += len(batch)
        self._torn = 0 < len(data) < total or (self._torn and bool(data))

    def _accepts(self) -> bool:
        """Whether a line can be written without waiting for a reader: the master must go on, too."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))

    def _report_dropped(self) -> None:
        total, self._dropped_reported = self.dropped, self.dropped
        self._write([{"timestamp": now(), "level": "warning", "event": "log.dropped", "lines_total": total}])


def render(event: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """One event as one JSON line. No value, whatever a client put into it, can break the line or raise."""
    try:
        return _encoder.encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError):
        members = event if isinstance(event, Mapping) else msgspec.structs.asdict(event)
        rendered = [f"{json.dumps(str(name))}: {_rendered_carefully(value)}" for name, value in members.items()]
        return ("{" + ", ".join(rendered) + "}").encode()


def _rendered_carefully(value: object) -> str:
    """Lone surrogates escaped, foreign objects as text, NaN as null; where even that fails, the value's type."""
    try:
        text = json.dumps(msgspec.to_builtins(value, enc_hook=str, str_keys=True))
        if "NaN" in text or "Infinity" in text:
            text = json.dumps(json.loads(text, parse_constant=lambda _: None))
    except Exception:  # noqa: BLE001 - a foreign object's own `__str__` may raise anything, and a log must not
        return json.dumps(f"<{type(value).__name__}>")
    return text


def now() -> str:
    """UTC, RFC 3339, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _SinkLogger:
    """The end of structlog's chain: every level puts the finished event into the sink."""

    def __init__(self, sink: LogSink) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = sink.put


def _order(
    _logger: object, level: str, event: MutableMapping[str, Any]
) -> tuple[tuple[Mapping[str, Any]], dict[str, Any]]:
    name, about = event.pop("event"), current_ids()
    return ({"timestamp": now(), "level": level, "event": name, "pid": os.getpid(), **about, **event},), {}


def event_logger(sink: LogSink, level: str) -> structlog.typing.FilteringBoundLogger:
    """The app's logger: `log.info("bundle.loaded", version=...)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        _SinkLogger(sink),
        processors=[structlog.processors.format_exc_info, _order],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    return logger


class SinkHandler(logging.Handler):
    """Records of libraries as events: the logger's name is the event, the text its message."""

    def __init__(self, sink: LogSink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "gunicorn.access" and isinstance(record.msg, dict):  # an event already
            self._sink.put(record.msg)
            return
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's wrong format string must not fail the request it logs about
            message = f"{record.msg} {record.args}"
        event: dict[str, Any] = {
            "timestamp": now(),
            "level": record.levelname.lower(),
            "event": record.name,
            "pid": record.process,
            **current_ids(),
            "message": message,
        }
        if record.exc_info:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        self._sink.put(event)


def route_library_logs(sink: LogSink, level: str) -> None:
    """Sends all of `logging` and `warnings` into the sink, in place of an earlier one."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, SinkHandler):
            root.removeHandler(handler)
    root.addHandler(SinkHandler(sink))
    root.setLevel(level)
    logging.captureWarnings(True)


class GunicornLogger(GunicornBaseLogger):  # type: ignore[misc]
    """gunicorn's `logger_class`: its messages and its access lines as events of the same form."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self._access_log_enabled = bool(cfg.accesslog)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
            log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)  # whoever asks for access lines gets them at any level
        # Until the app brings its own, which takes over in every worker.
        route_library_logs(LogSink(), logging.getLevelName(self.loglevel))

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: Any) -> None:
        """One `http.request` event, under the worker classes of gunicorn's own."""
        if self._access_log_enabled:
            status = int(str(resp.status).split(maxsplit=1)[0])
            duration_ms = request_time.total_seconds() * 1000
            self.access_log.info(access_event(environ, status, duration_ms, getattr(resp, "sent", None)))


def access_event(environ: Mapping[str, Any], status: int, duration_ms: float, sent: int | None) -> dict[str, Any]:
    """What `ACCESS_LOG=1` writes for one request."""
    return {
        "timestamp": now(),
        "level": "info",
        "event": "http.request",
        "pid": os.getpid(),
        "method": environ.get("REQUEST_METHOD"),
        "path": environ.get("PATH_INFO"),
        "status": status,
        "duration_ms": round(duration_ms, 3),
        "bytes": sent,
        "client": environ.get("REMOTE_ADDR"),
        **ids_of(environ.get(REQUEST)),
    }
