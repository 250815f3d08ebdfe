"""Input files: which there are, what is in them, and where their partitions begin and end."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, cast

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema
from app.errors import DataError
from app.scoring.block import Block
from app.scoring.csv_rows import CsvRows, fields
from app.scoring.json_rows import JsonRows
from app.scoring.plan import BLOCK_ROWS, Kind, Partition, Source
from app.scoring.records import Records, cut, stretches
from app.scoring.storage import Storage
from app.scoring.tables import ParquetFile

_KINDS: dict[str, Kind] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
LONGEST_HEADER_BYTES = 256 * 1024

_BOM = codecs.BOM_UTF8


def find_sources(pattern: str, storage: Storage) -> list[Source]:
    """The files of a path or pattern, in the order of their names. Raises `DataError`."""
    try:
        paths = storage.find(pattern)
        if not paths:
            raise DataError(pattern, "no such file")
        return [_source(path, storage) for path in paths]
    except OSError as error:
        raise DataError(pattern, error.strerror or str(error)) from None


def _source(path: str, storage: Storage) -> Source:
    name = path.lower()
    packed = name.endswith(".gz")
    kind = _KINDS.get("." + name.removesuffix(".gz").rsplit(".", 1)[-1])
    if kind is None or (packed and kind == "parquet"):
        raise DataError(path, f"the name must end in {', '.join(_KINDS)}; all but Parquet may end in .gz too")
    size, stamp = storage.identity(path)
    return Source(path, kind, packed, size, stamp)


class SourceFile:
    """One input file, read for `schema`, `keep` columns carried through."""

    def __init__(self, source: Source, storage: Storage, schema: FeatureSchema, keep: Sequence[str]) -> None:
        self._source = source
        self._storage = storage
        self._schema = schema
        self._keep = keep

    def check(self) -> None:
        """Raises `DataError` where the file as a whole cannot be scored."""
        if self._source.kind == "parquet":
            self._check_columns(list(self._table().shape()[1]))
        elif self._source.kind == "csv":
            with self._stream() as (stream, _):
                self._header(stream)

    def partitions(self, file: int, rows: int) -> Iterator[Partition]:
        """Of so many rows each, found as they are asked for. Raises `DataError`."""
        if self._source.kind == "parquet":
            yield from self._of_table(file, rows)
        else:
            with self._stream() as (stream, raw):
                yield from self._of_text(file, rows, stream, raw)

    def blocks(self, partition: Partition) -> Iterator[Block]:
        """The partition's rows, a block at a time. Raises `DataError`."""
        if self._storage.identity(self._source.path) != (self._source.size, self._source.stamp):
            raise DataError(self._source.path, "has changed since its partitions were planned")
        if self._source.kind == "parquet":
            table = self._table().block(partition.start, partition.end, self._schema.names, self._keep)
            yield from table.parts(BLOCK_ROWS)
            return
        csv_file = self._source.kind == "csv"
        data = partition.data if partition.data is not None else self._bytes(partition.start, partition.end)
        records = cut(data, quoted=csv_file)
        rows: CsvRows | JsonRows = JsonRows(self._schema, self._keep)
        if csv_file:
            rows = CsvRows(partition.columns, self._schema.names, self._keep)
        for start in range(0, len(records), BLOCK_ROWS):
            chosen = slice(start, start + BLOCK_ROWS)
            yield rows.block(data, Records(records.starts[chosen], records.ends[chosen], records.used))

    def _table(self) -> ParquetFile:
        return ParquetFile(self._source.path, self._storage.filesystem)

    def _of_table(self, file: int, rows: int) -> Iterator[Partition]:
        total, _ = self._table().shape()
        for number, start in enumerate(range(0, total, rows)):
            end = min(total, start + rows)
            weight = self._source.size * end // total - self._source.size * start // total
            yield Partition(self._source, file, number, start + 1, (), start, end, weight)

    def _of_text(self, file: int, rows: int, stream: IO[bytes], raw: IO[bytes]) -> Iterator[Partition]:
        columns, begin = self._header(stream) if self._source.kind == "csv" else ((), self._mark(stream))
        packed = self._source.packed
        found = stretches(stream, begin, rows, quoted=self._source.kind == "csv", keep=packed)
        first_row, passed = 1, 0
        for number, stretch in enumerate(found):
            place = raw.tell() if packed else stretch.end
            yield Partition(
                self._source, file, number, first_row, columns, stretch.start, stretch.end, place - passed, stretch.data
            )
            first_row, passed = first_row + stretch.records, place

    def _mark(self, stream: IO[bytes]) -> int:
        """Where the text begins: a byte order mark is none of it."""
        return len(_BOM) if stream.read(len(_BOM)) == _BOM else 0

    def _header(self, stream: IO[bytes]) -> tuple[tuple[str, ...], int]:
        """A CSV file's columns, and where its rows begin."""
        begin = self._mark(stream)
        stream.seek(begin)
        head = stream.read(LONGEST_HEADER_BYTES)
        records = cut(head, quoted=True, final=len(head) < LONGEST_HEADER_BYTES)
        if not len(records):
            raise DataError(self._source.path, "no line with the columns' names")
        start, end = int(records.starts[0]), int(records.ends[0])
        try:
            names = tuple(name.strip() for name in fields(head[start:end].decode()))
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(self._source.path, f"its first line names no columns: {error}") from None
        self._check_columns(names)
        return names, begin + end

    def _check_columns(self, names: Sequence[str]) -> None:
        """Other columns are passed over, but what is missing is missing in every row."""
        missing = [problem for problem in self._schema.name_problems(dict.fromkeys(names)) if problem.code == "missing"]
        if missing:
            raise DataError(self._source.path, Rejected(tuple(missing)).message)
        for name in self._keep:
            if name not in names:
                raise DataError(self._source.path, "missing; --keep asks for it", column=name)
        for name in (*self._schema.names, *self._keep):
            if list(names).count(name) > 1:
                raise DataError(self._source.path, "appears more than once", column=name)

    @contextmanager
    def _stream(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """The file's content, and the file itself."""
        try:
            with ExitStack() as stack:
                raw = stack.enter_context(self._storage.open(self._source.path))
                packed = self._source.packed
                content = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw))) if packed else raw
                yield content, raw
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(self._source.path, f"not a whole gzip file: {error}") from None
        except OSError as error:
            raise DataError(self._source.path, error.strerror or str(error)) from None

    def _bytes(self, start: int, end: int) -> bytes:
        with self._stream() as (stream, _):
            stream.seek(start)
            data = stream.read(end - start)
        if len(data) < end - start:
            raise DataError(self._source.path, "has become shorter while it was read")
        return data
