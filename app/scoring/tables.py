"""Parquet in, Parquet and CSV out, through DuckDB on one thread and within bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from app.errors import DataError, ScoringError
from app.scoring.block import Block, Cells, Column, as_objects
from app.scoring.plan import Format

MEMORY_LIMIT = "1GiB"

_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE")
_WRITE: Mapping[Format, str] = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER"}


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for the process; partitions use cursors of it."""
    return duckdb.connect(
        ":memory:",
        config={
            "threads": 1,  # processes are what runs side by side
            "memory_limit": MEMORY_LIMIT,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # else a table may be any Python variable of that name
        },
    )


@contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with _database().cursor() as cursor:
        cursor.execute("SET enable_progress_bar = false")  # it would go to stdout, where a command's result goes
        yield cursor


class ParquetFile:
    """One Parquet file, on this machine or in an fsspec `filesystem`."""

    def __init__(self, path: str, filesystem: Any) -> None:
        self._path = path
        self._filesystem = filesystem

    def shape(self) -> tuple[int, dict[str, str]]:
        """Its rows, and its columns with their types. Raises `DataError`."""
        with self._cursor() as cursor:
            rows = cursor.execute("SELECT num_rows FROM parquet_file_metadata(?)", [self._path]).fetchall()[0][0]
            described = cursor.execute(f"DESCRIBE SELECT * FROM {_READ}", [self._path]).fetchall()
        return int(rows), {str(column[0]): str(column[1]) for column in described}

    def block(self, start: int, end: int, features: Sequence[str], keep: Sequence[str]) -> Block:
        """The rows from `start` to before `end`, counted from 0. Raises `DataError`."""
        types = self.shape()[1]
        within = f"FROM {_READ} WHERE file_row_number >= ? AND file_row_number < ?"
        selected = [f"{_number(name, types[name])} AS f{place}" for place, name in enumerate(features)]
        selected += [f"{identifier(name)}::VARCHAR AS k{place}" for place, name in enumerate(keep)]
        values_of = [self._path, start, end]
        with self._cursor() as cursor:
            found = cursor.execute(f"SELECT {', '.join(selected)} {within}", values_of).fetchnumpy()
            matrix, cells = np.empty((end - start, len(features))), dict[int, Cells]()
            for place, name in enumerate(features):
                values = np.ma.asarray(found[f"f{place}"])
                matrix[:, place] = values.filled(np.nan)
                others: Cells = dict.fromkeys(np.flatnonzero(np.ma.getmaskarray(values)).tolist())
                if others and not _is_numeric(types[name]):
                    found_otherwise = cursor.execute(f"SELECT {identifier(name)} {within}", values_of).fetchall()
                    others = {row: value for row, (value,) in enumerate(found_otherwise)}
                if others:
                    cells[place] = others
        kept = {name: _texts(np.ma.asarray(found[f"k{place}"])) for place, name in enumerate(keep)}
        return Block(matrix, kept, cells=cells)

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with _connection() as cursor:
            if self._filesystem is not None and not cursor.filesystem_is_registered(_protocol(self._filesystem)):
                cursor.register_filesystem(self._filesystem)
            try:
                yield cursor
            except duckdb.Error as error:
                problem = " ".join(str(error).split("\n\n")[0].split())
                raise DataError(self._path, f"not a readable Parquet file: {problem}") from None


_READ = "read_parquet(?, file_row_number = true, hive_partitioning = false)"


def write_table(path: Path, columns: Mapping[str, NDArray[Any] | str], output_format: Format) -> None:
    """Writes a table; a column may be one text for all rows. Columns of objects are texts. Raises `ScoringError`."""
    data = {f"c{place}": values for place, values in enumerate(columns.values()) if not isinstance(values, str)}
    selected = []
    for place, (name, values) in enumerate(columns.items()):
        if isinstance(values, str):
            value = literal(values)
        else:  # a column of nothing but nulls would be one of integers
            value = f"c{place}::VARCHAR" if values.dtype == object else f"c{place}"
        selected.append(f"{value} AS {identifier(name)}")
    target = f"{literal(str(path))} ({_WRITE[output_format]})"
    with _connection() as cursor:
        cursor.register("written", data)
        try:
            cursor.execute(f"COPY (SELECT {', '.join(selected)} FROM written) TO {target}")
        except duckdb.Error as error:
            raise ScoringError(f"{path.parent} cannot be written: {' '.join(str(error).split())}") from None
        finally:
            cursor.unregister("written")


def identifier(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _is_numeric(column_type: str) -> bool:
    return column_type.startswith("DECIMAL") or column_type.removeprefix("U") in _NUMERIC


def _number(name: str, column_type: str) -> str:
    column = identifier(name)
    if column_type.startswith("DECIMAL"):
        return f"{column}::VARCHAR::DOUBLE"  # by way of its text, which is rounded once
    return f"{column}::DOUBLE" if _is_numeric(column_type) else "NULL::DOUBLE"


def _texts(values: np.ma.MaskedArray[Any, Any]) -> Column:
    missing = np.ma.getmaskarray(values)
    return as_objects([None if gone else text for text, gone in zip(np.ma.getdata(values), missing, strict=True)])


def _protocol(filesystem: Any) -> str:
    protocol = filesystem.protocol
    return str(protocol if isinstance(protocol, str) else protocol[0])
