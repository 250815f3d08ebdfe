"""What libraries, warnings and gunicorn say, in the same form as the service's own events."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from app.telemetry.current import REQUEST, current_request
from app.telemetry.logs import GunicornLogger, LogSink, SinkHandler, access_event, route_library_logs
from tests.unit.telemetry.conftest import LogPipe

pytestmark = pytest.mark.usefixtures("untouched_logging")


def test_a_librarys_record_is_an_event(pipe: LogPipe) -> None:
    """The logger's name is the event, the text its message, on one line."""
    route_library_logs(LogSink(pipe.fd), "INFO")
    logging.getLogger("some.library").warning("two\nlines of %s", '"text"')
    (line,) = pipe.read()
    assert (line["level"], line["event"], line["pid"]) == ("warning", "some.library", os.getpid())
    assert line["message"] == 'two\nlines of "text"'


def test_a_librarys_exception_is_part_of_its_event(pipe: LogPipe) -> None:
    """The traceback does not spread over lines."""
    route_library_logs(LogSink(pipe.fd), "INFO")
    try:
        raise KeyError("k")
    except KeyError:
        logging.getLogger("some.library").exception("failed")
    (line,) = pipe.read()
    assert "KeyError: 'k'" in line["exception"]
    assert line["level"] == "error"


def test_a_librarys_mistake_in_logging_is_not_ours(pipe: LogPipe) -> None:
    """A format that does not fit its arguments must not raise where a request is answered."""
    record = logging.LogRecord("some.library", logging.WARNING, "file", 1, "%d readings", ("many",), None)
    SinkHandler(LogSink(pipe.fd)).emit(record)
    (line,) = pipe.read()
    assert line["message"] == "%d readings ('many',)"


def test_a_warning_is_an_event(pipe: LogPipe) -> None:
    """`warnings.warn` does not print to stderr."""
    route_library_logs(LogSink(pipe.fd), "INFO")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # pytest has put its own recorder in between
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    (line,) = pipe.read()
    assert (line["level"], line["event"]) == ("warning", "py.warnings")
    assert "soon gone" in line["message"]


def test_records_below_the_level_are_left_out(pipe: LogPipe) -> None:
    """LOG_LEVEL holds for libraries too."""
    route_library_logs(LogSink(pipe.fd), "WARNING")
    logging.getLogger("some.library").info("chatter")
    assert pipe.read() == []


def test_the_latest_sink_is_the_only_one(pipe: LogPipe) -> None:
    """Gunicorn's logger comes first, the app's takes its place: no line appears twice."""
    route_library_logs(LogSink(pipe.fd), "INFO")
    route_library_logs(LogSink(pipe.fd), "INFO")
    logging.getLogger("some.library").info("once")
    assert len(pipe.read()) == 1


@dataclass
class FakeConfig:
    """What gunicorn's configuration holds about logging."""

    loglevel: str = "info"
    accesslog: str | None = None
    errorlog: str = "-"


@dataclass
class FakeResponse:
    status: str
    sent: int | None


class Asked(NamedTuple):
    """A request's ids."""

    request_id: str
    trace_id: str | None


ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/health", "REMOTE_ADDR": "192.0.2.7", REQUEST: Asked("id-1", None)}


def gunicorn_logger(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch, config: FakeConfig) -> Any:
    """The logger as gunicorn makes it, writing into the pipe instead of stdout."""
    monkeypatch.setattr("app.telemetry.logs.LogSink", lambda: LogSink(pipe.fd))
    return GunicornLogger(config)


def test_gunicorns_messages_are_events(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, with its level."""
    logger = gunicorn_logger(pipe, monkeypatch, FakeConfig())
    logger.info("Starting gunicorn %s", "27")
    logger.debug("not to be seen")
    logger.error("Worker failed to boot.")
    first, second = pipe.read()
    assert (first["event"], first["level"], first["message"]) == ("gunicorn.error", "info", "Starting gunicorn 27")
    assert (second["level"], second["message"]) == ("error", "Worker failed to boot.")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_gunicorns_level_is_the_services(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """Only what is at least as severe."""
    logger = gunicorn_logger(pipe, monkeypatch, FakeConfig(loglevel=level))
    levels = ["debug", "info", "warning", "error", "critical"]
    for name in levels:
        getattr(logger, name)("x")
    assert [line["level"] for line in pipe.read()] == levels[levels.index(level) :]


def test_gunicorns_exceptions_are_events(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gunicorn logs a failing request this way."""
    logger = gunicorn_logger(pipe, monkeypatch, FakeConfig())
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logger.exception("Error handling request %s", "/x")
    (line,) = pipe.read()
    assert "RuntimeError: broken" in line["exception"]
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("status", ["200 OK", "404"], ids=["with a reason", "without"])
def test_an_access_line_is_an_event(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Under gunicorn's own worker classes too."""
    logger = gunicorn_logger(pipe, monkeypatch, FakeConfig(accesslog="-"))
    logger.access(FakeResponse(status, 12), None, ENVIRON, timedelta(milliseconds=1.5))
    (line,) = pipe.read()
    assert {name: line[name] for name in line.keys() - {"timestamp", "pid"}} == {
        "level": "info", "event": "http.request", "method": "GET", "path": "/health", "status": int(status[:3]),
        "duration_ms": 1.5, "bytes": 12, "client": "192.0.2.7", "request_id": "id-1",
    }  # fmt: skip


def test_access_lines_are_off_unless_asked_for(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line per prediction is there anyway."""
    logger = gunicorn_logger(pipe, monkeypatch, FakeConfig())
    logger.access(FakeResponse("200 OK", None), None, ENVIRON, timedelta(0))
    assert pipe.read() == []


def test_an_access_event_needs_no_header() -> None:
    """What is not known is null; ids are there where there are any."""
    event = access_event({}, 400, 0.12345, None)
    assert (event["path"], event["client"], event["duration_ms"]) == (None, None, 0.123)
    assert not {"request_id", "trace_id"} & event.keys()


def test_an_access_event_tells_the_trace() -> None:
    """Of a request that has one."""
    event = access_event({REQUEST: Asked("id-1", "trace-1")}, 200, 1, 2)
    assert (event["request_id"], event["trace_id"]) == ("id-1", "trace-1")


def test_a_librarys_record_tells_the_request_it_came_up_in(pipe: LogPipe) -> None:
    """And none that came before."""
    route_library_logs(LogSink(pipe.fd), "INFO")
    current_request.set(Asked("id-1", "trace-1"))
    logging.getLogger("some.library").warning("within")
    current_request.set(None)
    logging.getLogger("some.library").warning("after")
    within, after = pipe.read()
    assert (within["request_id"], within["trace_id"]) == ("id-1", "trace-1")
    assert not {"request_id", "trace_id"} & after.keys()


def test_before_it_is_started_a_sink_waits_for_nobody(pipe: LogPipe) -> None:
    """The master writes at once; a reader that stalls must not keep it from ending the service."""
    sink = LogSink(pipe.fd)
    for _ in range(1_000):
        sink.put(b"x" * 1_000)
    assert 0 < sink.dropped < 1_000
    assert len(pipe.read_bytes().splitlines()) == 1_000 - sink.dropped
