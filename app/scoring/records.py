"""Bytes of a text file to records: where each begins and ends, found at memory speed, none of it parsed.

A blank line is no record. In CSV a quoted cell may hold line breaks; a quote that is never closed spoils its own line
and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from app.errors import DataError

Offsets = NDArray[np.int64]

CHUNK_BYTES = 4 * 1024 * 1024
LONGEST_RECORD_BYTES = 64 * 1024 * 1024
MOST_LINES = 100
"""A quote that is not closed within so many lines was a stray one."""

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'


@dataclass(frozen=True, slots=True)
class Records:
    """Records within some bytes, by their offsets; what lies beyond `used` may be the begin of another one."""

    starts: Offsets
    ends: Offsets
    used: int

    def __len__(self) -> int:
        return len(self.ends)


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many records of a stream that follow each other."""

    start: int
    end: int
    records: int
    data: bytes | None


def cut(data: bytes, *, quoted: bool, final: bool = True) -> Records:
    """The records in `data`, which begins with one; `final`: nothing comes after it."""
    content = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(content == _NEWLINE) + 1
    if final and len(data) and content[-1] != _NEWLINE:
        ends = np.append(ends, len(data))
    if quoted and b'"' in data:
        ends = _joined(content, ends, final)
    used = int(ends[-1]) if len(ends) else 0
    starts = np.concatenate(([0], ends))[: len(ends)].astype(np.int64)
    lengths = ends - starts
    broken = content[ends - 1] == _NEWLINE
    blank = broken & ((lengths == 1) | (lengths == 2) & (content[starts] == _RETURN))
    return Records(starts[~blank], ends[~blank], used)


def stretches(
    stream: IO[bytes], start: int, records: int, *, quoted: bool, keep: bool,
    chunk_bytes: int = CHUNK_BYTES, longest_bytes: int = LONGEST_RECORD_BYTES,
) -> Iterator[Stretch]:  # fmt: skip
    """A stream's records from the offset `start` on, so many at a time; with their bytes where `keep` is set.

    Raises `DataError` for a line that is too long to be one.
    """
    stream.seek(start)
    buffer, base, found, kept = b"", start, 0, list[bytes]()
    begin = start
    final = False
    while not final:
        chunk = stream.read(chunk_bytes)
        final = not chunk
        buffer += chunk
        here = cut(buffer, quoted=quoted, final=final)
        if here.used == 0 and len(buffer) > longest_bytes:
            source = getattr(stream, "name", "input")
            raise DataError(source, f"the line at byte {base:,} is longer than {longest_bytes:,} bytes")
        ends, taken, passed = here.ends, 0, 0
        while len(ends) - taken >= records - found:
            taken += records - found
            end = int(ends[taken - 1])
            kept.append(buffer[passed:end] if keep else b"")
            yield Stretch(begin, base + end, records, b"".join(kept) if keep else None)
            begin, found, passed, kept = base + end, 0, end, []
        found += len(ends) - taken
        kept.append(buffer[passed : here.used] if keep else b"")
        buffer, base = buffer[here.used :], base + here.used
    if found:
        yield Stretch(begin, base, found, b"".join(kept) if keep else None)


def _joined(content: NDArray[np.uint8], ends: Offsets, final: bool) -> Offsets:
    """The ends of lines without those that lie within a quoted cell."""
    inner: list[int] = []
    for first, last in _quoted_breaks(_odd_lines(content, ends).tolist()):
        if last is not None:
            inner.extend(range(first, last))
        elif not final and len(ends) - first <= MOST_LINES:
            ends = ends[:first]  # what closes it may still come
            break
    return np.delete(ends, inner)


def _odd_lines(content: NDArray[np.uint8], ends: Offsets) -> Offsets:
    """The lines with an odd number of quotes: each opens, or closes, a cell that goes on over the line's end."""
    quotes_before = np.searchsorted(np.flatnonzero(content == _QUOTE), np.concatenate(([0], ends)))
    return np.flatnonzero(np.diff(quotes_before) % 2)


def _quoted_breaks(odd: Sequence[int]) -> Iterator[tuple[int, int | None]]:
    """Each line that opens a cell, with the line that closes it; None where none does."""
    place = 0
    while place < len(odd):
        closed = place + 1 < len(odd) and odd[place + 1] - odd[place] <= MOST_LINES
        yield odd[place], odd[place + 1] if closed else None
        place += 2 if closed else 1
