"""Pipes to log into, and a `logging` that is left as it was found."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest


class LogPipe:
    """A pipe with a small buffer: a service writes at one end, a test reads at the other, or does not."""

    def __init__(self) -> None:
        self._reader, self.fd = os.pipe()
        os.set_blocking(self._reader, False)

    def read(self) -> list[dict[str, Any]]:
        """All lines that are there now; fails where one is not JSON."""
        return [json.loads(line) for line in self.read_bytes().splitlines()]

    def read_bytes(self) -> bytes:
        data = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._reader, 65536):
                data += chunk
        return data

    def stop_reading(self) -> None:
        """The reader goes away: from now on writing fails."""
        os.close(self._reader)
        self._reader = -1

    def close(self) -> None:
        for fd in (self._reader, self.fd):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[LogPipe]:
    made = LogPipe()
    yield made
    made.close()


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    """Restores what `route_library_logs` and `GunicornLogger` change for the whole process."""
    loggers = [logging.getLogger(name) for name in (None, "gunicorn.error", "gunicorn.access")]
    before = [(log, log.level, list(log.handlers), log.propagate) for log in loggers]
    show = warnings.showwarning
    yield
    logging.captureWarnings(False)
    warnings.showwarning = show
    for log, level, handlers, propagate in before:
        log.setLevel(level)
        log.handlers[:] = handlers
        log.propagate = propagate
