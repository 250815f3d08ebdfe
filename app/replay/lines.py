"""Audit files line by line, whatever they hold: torn and foreign lines are passed over and counted."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import IO, Annotated, cast

import msgspec

from app.reporting.period import Period
from app.reporting.results import UnreadableFile
from app.telemetry.audit_files import AuditFile

_LONGEST_LINE = 64 * 1024 * 1024
"""Far above a full batch; a longer line comes in pieces, none of which can be read."""

Progress = Callable[[int], object]
"""Is told of bytes read."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """What a replay needs of a line of any event."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    event: str
    request_id: str = ""
    model_used: str = ""
    model_version: str | None = None
    prediction_id: str = ""
    is_anomaly: bool | list[bool] = False
    batch_id: str = ""
    positions: list[int] | None = None
    features: dict[str, float | list[float]] = {}
    actual: int = -1


class AuditLines:
    """The lines of `files`, with counts of what could not be read."""

    def __init__(self, files: Sequence[AuditFile]) -> None:
        self.files = files
        self.unreadable_lines = 0
        self.unreadable_files: dict[str, str] = {}
        self._decode = msgspec.json.Decoder(Line).decode

    def size(self, period: Period) -> int:
        """Bytes of the files that may hold lines of `period`."""
        return sum(file.bytes for file in period.files(self.files))

    def within(self, period: Period, progress: Progress = lambda _: None, holding: bytes = b"") -> Iterator[Line]:
        """The lines of `period` in the order of the files.

        Where `holding` is given, only lines with these bytes; then nothing is counted.
        """
        for file in period.files(self.files):
            try:
                yield from self._of(file, period, progress, holding)
            except (OSError, EOFError, zlib.error) as error:
                self.unreadable_files[file.path.name] = getattr(error, "strerror", None) or str(error)

    def problems(self) -> list[UnreadableFile]:
        """The files that could not be read, or not to their end."""
        return [UnreadableFile(file=name, problem=problem) for name, problem in self.unreadable_files.items()]

    def _of(self, file: AuditFile, period: Period, progress: Progress, holding: bytes) -> Iterator[Line]:
        with ExitStack() as stack:
            raw = stack.enter_context(file.path.open("rb"))
            packed = file.path.suffix == ".gz"
            content = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw))) if packed else raw
            reported = 0
            for text in iter(partial(content.readline, _LONGEST_LINE), b""):
                line = self._decoded(text, counting=not holding) if holding in text else None
                if line is not None and period.holds(line.timestamp):
                    yield line
                if raw.tell() != reported:
                    progress(raw.tell() - reported)
                    reported = raw.tell()

    def _decoded(self, text: bytes, *, counting: bool) -> Line | None:
        try:
            return self._decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.unreadable_lines += int(counting)
            return None
