"""CSV records to rows. A record is looked at by itself, so that a broken one spoils no other.

pandas parses what is plain, ten times quicker than a loop could; every float is the one nearest to its text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app.contract.problems import Rejected
from app.contract.schema import Matrix
from app.scoring.block import Block, Cells, Column, as_objects, malformed, numbers
from app.scoring.records import Offsets, Records

_COMMA = ord(",")


@dataclass(frozen=True, slots=True)
class CsvRows:
    """Reads records of a file with these `columns`."""

    columns: Sequence[str]
    features: Sequence[str]
    keep: Sequence[str]

    def block(self, data: bytes, records: Records) -> Block:
        """The rows of some records of `data`."""
        wanted = self._places(self.features)
        text = data[records.starts[0] : records.ends[-1]]
        shifted = Records(records.starts - records.starts[0], records.ends - records.starts[0], records.used)
        table = (_PlainTable if _is_plain(text) else _QuotedTable)(text, shifted, len(self.columns), wanted)
        matrix: Matrix = np.full((len(records), len(wanted)), np.nan)
        cells: dict[int, Cells] = {}
        for place, column in enumerate(wanted):
            values, others = table.numbers(column)
            matrix[table.rows, place] = values
            if others:
                cells[place] = {int(table.rows[row]): cell for row, cell in others.items()}
        kept: dict[str, Column] = {}
        for name, column in zip(self.keep, self._places(self.keep), strict=True):
            kept[name] = as_objects([None] * len(records))
            kept[name][table.rows] = as_objects([text or None for text in table.texts(column)])
        return Block(matrix, kept, table.rejected, cells)

    def _places(self, names: Sequence[str]) -> list[int]:
        return [self.columns.index(name) for name in names]


def fields(record: str) -> list[str]:
    """The cells of one record. Raises `csv.Error`."""
    return next(csv.reader([record]))


def _is_plain(lines: bytes) -> bool:
    """Whether commas and line ends are nothing else, and the text is what it should be."""
    if b'"' in lines or b"\0" in lines or lines.count(b"\r") != lines.count(b"\r\n"):
        return False
    try:
        lines.decode()
    except UnicodeDecodeError:
        return False
    return True


class _PlainTable:
    """Records without quotes; `rows` are the places of those with as many cells as the header has."""

    def __init__(self, text: bytes, records: Records, width: int, features: list[int]) -> None:
        commas = np.flatnonzero(np.frombuffer(text, np.uint8) == _COMMA)
        found = np.searchsorted(commas, records.ends) - np.searchsorted(commas, records.starts) + 1
        self.rows: Offsets = np.flatnonzero(found == width)
        self.rejected = {int(row): _wrong_width(int(found[row]), width) for row in np.flatnonzero(found != width)}
        self._width = width
        self._text = text
        if len(self.rows) < len(records) or (records.ends - records.starts).sum() < len(text):
            bounds = zip(records.starts[self.rows].tolist(), records.ends[self.rows].tolist(), strict=True)
            self._text = b"".join(text[start:end] for start, end in bounds)
        self._guessed = self._read(features, None)

    def numbers(self, column: int) -> tuple[Column, Cells]:
        guessed = self._guessed[column]
        if guessed.dtype.kind not in "iuf":  # a cell is no number, or written as only Python would
            return numbers(self.texts(column))
        values = guessed.to_numpy(dtype=np.float64)
        return values, dict.fromkeys(np.flatnonzero(np.isnan(values)).tolist())

    def texts(self, column: int) -> list[str | None]:
        texts = self._read([column], str)[column]
        return [None if text is np.nan else text for text in texts]

    def _read(self, columns: list[int], dtype: type[str] | None) -> Any:
        if not self._text:
            return pd.DataFrame(columns=columns, dtype=dtype or float)
        return pd.read_csv(
            io.BytesIO(self._text), header=None, names=range(self._width), usecols=columns, dtype=dtype,
            keep_default_na=False, na_values=[""], quoting=csv.QUOTE_NONE, skip_blank_lines=False, low_memory=False,
        )  # fmt: skip


class _QuotedTable:
    """Records with quotes, or with bytes that are no text, one by one."""

    def __init__(self, text: bytes, records: Records, width: int, features: list[int]) -> None:
        self._rows: list[list[str]] = []
        self.rejected: dict[int, Rejected] = {}
        places: list[int] = []
        for place, (start, end) in enumerate(zip(records.starts.tolist(), records.ends.tolist(), strict=True)):
            try:
                row = fields(text[start:end].decode())
            except UnicodeDecodeError as error:
                self.rejected[place] = malformed(f"The line is not UTF-8 (byte {error.start})")
            except csv.Error as error:
                self.rejected[place] = malformed(f"The line is no CSV: {error}")
            else:
                if len(row) == width:
                    places.append(place)
                    self._rows.append(row)
                else:
                    self.rejected[place] = _wrong_width(len(row), width)
        self.rows: Offsets = np.array(places, dtype=np.int64)

    def numbers(self, column: int) -> tuple[Column, Cells]:
        return numbers(self.texts(column))

    def texts(self, column: int) -> list[str | None]:
        return [row[column] for row in self._rows]


def _wrong_width(found: int, width: int) -> Rejected:
    return malformed(f"The line has {found} cells, the header {width}")
