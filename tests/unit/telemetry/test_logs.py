"""One JSON line per event, whatever is in it, and never a wait for whoever reads it."""

from __future__ import annotations

import json
import os
import threading
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.logs import LogSink, event_logger, render
from tests.e2e.conftest import eventually
from tests.unit.telemetry.conftest import LogPipe

GENEROUS_S = 30.0
"""Longer than anything here takes: a test that waits this long has found a hang."""


class Foreign:
    """A type no encoder knows."""

    def __repr__(self) -> str:
        return "Foreign('\n\"')"


class Unspeakable:
    """A type that cannot even be shown."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("not to be shown")


def strict(line: bytes) -> Any:
    """Reads a line as a log pipeline would: NaN and Infinity are no JSON."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(line, parse_constant=refuse)


_text = st.text(st.characters(exclude_categories=())) | st.sampled_from(["\n", "\r\n", '"', "\ud800", "\x00", "\u2028"])
_leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**64)
    | st.floats()
    | _text
    | st.binary(max_size=20)
    | st.builds(Foreign)
)
_values = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3))


@given(st.dictionaries(_text, _values, max_size=6))
def test_any_event_is_one_line_that_parses_back(event: dict[str, Any]) -> None:
    """Arbitrary text, control characters, lone surrogates, huge numbers, foreign objects."""
    line = render(event)
    assert b"\n" not in line
    assert b"\r" not in line
    assert strict(line).keys() == event.keys()


@given(_text)
def test_text_comes_back_as_it_was(text: str) -> None:
    """Nothing is lost in the escaping."""
    assert strict(render({"event": text})) == {"event": text}


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="nan"),
        pytest.param(["\ud800", float("nan"), float("inf")], id="nan beside a surrogate"),
        pytest.param(2**70, id="beyond 64 bits"),
        pytest.param(10**5000, id="beyond what int prints"),
        pytest.param({1: 2, None: 3}, id="keys that are no strings"),
        pytest.param({(1, 2): 3}, id="keys JSON cannot have"),
        pytest.param({"\ud800": 1}, id="a surrogate as key"),
        pytest.param(object(), id="a foreign object"),
        pytest.param(Unspeakable(), id="an object that cannot be shown"),
        pytest.param(ValueError("x"), id="an exception"),
        pytest.param(_nested(100_000), id="very deep"),
        pytest.param(_circular(), id="a circle"),
    ],
)
def test_no_value_can_break_a_line(value: object) -> None:
    """A log call must not be what fails a request."""
    line = render({"event": "a.b", "level": "info", "value": value})
    assert strict(line)["event"] == "a.b"


def test_events_have_the_same_first_members(pipe: LogPipe) -> None:
    """Time, level, name and process come first, in this order."""
    event_logger(LogSink(pipe.fd), "INFO").warning("bundle.refused", version="v", path="/x")
    (line,) = pipe.read()
    assert list(line) == ["timestamp", "level", "event", "pid", "version", "path"]
    assert (line["level"], line["event"], line["pid"]) == ("warning", "bundle.refused", os.getpid())
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        pytest.param("DEBUG", ["debug", "info", "warning", "error"], id="debug"),
        pytest.param("INFO", ["info", "warning", "error"], id="info"),
        pytest.param("WARNING", ["warning", "error"], id="warning"),
        pytest.param("ERROR", ["error"], id="error"),
    ],
)
def test_events_below_the_level_are_left_out(pipe: LogPipe, level: str, logged: list[str]) -> None:
    """LOG_LEVEL is the least severe level that is written."""
    log = event_logger(LogSink(pipe.fd), level)
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("an.event")
    assert [line["level"] for line in pipe.read()] == logged


def test_an_exception_is_part_of_its_event(pipe: LogPipe) -> None:
    """The traceback is one member of one line."""
    log = event_logger(LogSink(pipe.fd), "INFO")
    try:
        raise ValueError("broken\n\ud800")
    except ValueError:
        log.exception("background.failed")
    (line,) = pipe.read()
    assert line["level"] == "error"
    assert "ValueError: broken" in line["exception"]


# --- the queue ----------------------------------------------------------------------------------------------


def _within(what: threading.Thread) -> None:
    what.start()
    what.join(GENEROUS_S)
    assert not what.is_alive(), f"{what.name} did not return"


def test_a_started_sink_writes_in_order(pipe: LogPipe) -> None:
    """Rendered lines and events alike."""
    sink = LogSink(pipe.fd)
    sink.start()
    for number in range(100):
        sink.put({"n": number} if number % 2 else b'{"n":%d}' % number)
    sink.close()
    assert [line["n"] for line in pipe.read()] == list(range(100))


def test_a_reader_that_stalls_costs_lines_and_no_time(pipe: LogPipe) -> None:
    """Nobody reads: `put` returns all the same, what does not fit is counted, and told once there is room again."""
    limit, line = 50, {"event": "x", "filler": "y" * 10_000}
    sink = LogSink(pipe.fd, limit)
    sink.start()

    def flood() -> None:
        while sink.dropped < 10:
            sink.put(line)

    _within(threading.Thread(target=flood, name="put", daemon=True))
    dropped = sink.dropped
    arrived = []

    def reported() -> bool:
        arrived.append(pipe.read_bytes())
        return b'"log.dropped"' in b"".join(arrived) and arrived[-1] == b""

    eventually(reported, "the loss is reported")
    lines = [json.loads(data) for data in b"".join(arrived).splitlines()]
    (report,) = [data for data in lines if data["event"] == "log.dropped"]
    assert (report["level"], report["lines_total"]) == ("warning", dropped)
    assert len(lines) - 1 >= limit
    sink.close()


def test_closing_does_not_wait_for_a_stalled_reader(pipe: LogPipe) -> None:
    """The process can leave though nobody reads what it still has to say."""
    sink = LogSink(pipe.fd)
    sink.start()
    for _ in range(100):
        sink.put({"filler": "y" * 10_000})
    _within(threading.Thread(target=sink.close, args=(0.1,), name="close", daemon=True))
    # Let the writer end before its descriptor is closed.
    eventually(lambda: (pipe.read_bytes(), _writers())[1] == 0, "the writer has ended")


def _writers() -> int:
    return sum(thread.name == "log-writer" for thread in threading.enumerate())


@pytest.mark.parametrize("started", [True, False], ids=["with a writer", "without"])
def test_lines_for_nobody_are_counted(pipe: LogPipe, started: bool) -> None:
    """Stdout is closed: no exception, and the counter knows."""
    pipe.stop_reading()
    sink = LogSink(pipe.fd)
    if started:
        sink.start()
    for _ in range(3):
        sink.put({"event": "x"})
    sink.close()
    assert sink.dropped >= 3


def test_a_line_after_the_last_is_written_or_counted(pipe: LogPipe) -> None:
    """A thread may still have something to say when the sink is closed; it must not vanish unseen."""
    sink = LogSink(pipe.fd)
    sink.start()
    sink.close()
    sink.put({"event": "late"})
    assert len(pipe.read()) + sink.dropped == 1


def test_closing_twice_or_unstarted_is_no_error(pipe: LogPipe) -> None:
    """Whoever leaves first closes it."""
    LogSink(pipe.fd).close()
    sink = LogSink(pipe.fd)
    sink.start()
    sink.close()
    sink.close()


def test_a_line_that_was_cut_off_does_not_spoil_the_next(pipe: LogPipe) -> None:
    """A full non-blocking pipe takes half a line: the half is lost and counted, but what follows is on its own line."""
    os.set_blocking(pipe.fd, False)
    sink = LogSink(pipe.fd)
    while not sink.dropped:
        sink.put({"event": "x", "filler": "y" * 9_999})
    before = pipe.read_bytes()
    sink.put({"event": "after"})
    last = (before + pipe.read_bytes()).splitlines()[-1]
    assert json.loads(last)["event"] == "after"
