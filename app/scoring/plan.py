"""What a scoring is made of, as values: they lie in the output folder as JSON, and travel to worker processes."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["csv", "jsonl", "parquet"]
Format = Literal["parquet", "csv"]

FORMAT = 1

BLOCK_ROWS = 8_192
"""Rows that are scored together. They count from a file's first row, so they do not depend on its partitions."""

PARTITION_ROWS = 16 * BLOCK_ROWS
"""Rows that are written together: about a second's work, and some 100 MB while it lasts."""

Problem = tuple[str | None, str]
"""Feature and code."""


class Source(msgspec.Struct, frozen=True):
    """One input file, and how to know that it has changed."""

    path: str
    kind: Kind
    packed: bool
    size: int
    stamp: str


class Plan(msgspec.Struct, frozen=True):
    """What the output folder holds the result of; a run goes on only where its own plan is the same."""

    format: int
    version: str
    digest: str
    """SHA-256 of the version's manifest."""
    features: tuple[str, ...]
    keep: tuple[str, ...]
    output_format: Format
    partition_rows: int
    sources: tuple[Source, ...]

    def difference(self, other: Plan) -> str | None:
        """What `other` has otherwise, in words; None where nothing."""
        for name, what in _WORDS.items():
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                return f"{what} {_text(ours)}, now {_text(theirs)}"
        before, now = ({source.path: source for source in plan.sources} for plan in (self, other))
        for path in before | now:
            if path not in now or path not in before:
                return f"{path} {'is no longer' if path in before else 'was not'} among the input files"
            if before[path] != now[path]:
                return f"{path} has changed since"
        return None if self == other else "another order of files"


_WORDS = {
    "format": "layout",
    "version": "version",
    "digest": "digest of the version",
    "features": "features",
    "keep": "kept columns",
    "output_format": "format",
    "partition_rows": "partition size",
}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else str(list(value))  # type: ignore[call-overload]


class Partition(msgspec.Struct, frozen=True):
    """Some rows of one file in its order."""

    source: Source
    file: int
    """The file's place among all."""
    number: int
    """The partition's place within its file."""
    first_row: int
    """Its first row's number, from 1."""
    columns: tuple[str, ...]
    """The file's, where it names them once."""
    start: int
    end: int
    """Bytes of a text file, rows (from 0) of a Parquet file; the end does not belong to it."""
    weight: int
    """Bytes of the file that it stands for, as progress counts them."""
    data: bytes | None = None
    """The text itself, where the file can only be read from its beginning."""

    @property
    def name(self) -> str:
        """Of the partition's files, without suffix."""
        return f"part-{self.file:05}-{self.number:06}"


class Receipt(msgspec.Struct, frozen=True):
    """What became of a partition's rows. It is written last, and makes them count."""

    rows: int
    anomalies: int = 0
    stages: dict[str, int] = {}
    """Scored rows by the stage that answered."""
    rejected: int = 0
    problems: list[tuple[str | None, str, int]] = []
    """Feature, code, and the number of rejected rows with it."""
    failure: str | None = None
    """The first failure of a stage, after which the next one answered."""
