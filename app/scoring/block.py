"""Rows as they were read, before anybody has asked whether they fulfil the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.contract.problems import Problem, Rejected
from app.contract.schema import FeatureSchema, Matrix, Readings

Value = TypeVar("Value")

Column = NDArray[Any]
"""Values of one column: floats, or objects (text or None)."""

Cells = Mapping[int, object]
"""Cells by their row."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that follow each other in a file."""

    matrix: Matrix
    """Columns in contract order; NaN for whatever is no number, and in whole rows that are none."""
    kept: Mapping[str, Column]
    """Columns that are carried through, as text."""
    rejected: Mapping[int, Rejected] = field(default_factory=dict)
    """Rows that are known to be none, by position."""
    cells: Mapping[int, Cells] = field(default_factory=dict)
    """By column, what stands in `matrix` as NaN and is something else."""

    def readings(self, schema: FeatureSchema) -> Readings:
        """The rows as the contract sees them, each bad one with every problem."""
        found = schema.check_matrix(self.matrix)
        rejected = {**found.rejected, **self.rejected}
        for row in {row for column in self.cells.values() for row in column} - self.rejected.keys():
            values: list[object] = self.matrix[row].tolist()
            for column, cells in self.cells.items():
                values[column] = cells.get(row, values[column])
            rejected[row] = schema.rejected_rows([values])[0]
        return Readings(found.rows, rejected)

    def parts(self, rows: int) -> Iterator[Block]:
        """The same, so many rows at a time."""
        for start in range(0, len(self.matrix), rows):
            stop = start + rows
            yield Block(
                self.matrix[start:stop],
                {name: column[start:stop] for name, column in self.kept.items()},
                _between(self.rejected, start, stop),
                {column: cells for column, all_ in self.cells.items() if (cells := _between(all_, start, stop))},
            )


def _between(found: Mapping[int, Value], start: int, stop: int) -> dict[int, Value]:
    return {row - start: value for row, value in found.items() if start <= row < stop}


def malformed(message: str) -> Rejected:
    """A line that holds no row."""
    return Rejected((Problem("malformed", message),))


def numbers(texts: Sequence[str | None]) -> tuple[Column, Cells]:
    """Texts as floats, and those that are no number; an empty one is None, as a null is."""
    values, others = np.full(len(texts), np.nan), dict[int, object]()
    for place, text in enumerate(texts):
        try:
            values[place] = _number(text)
        except (TypeError, ValueError):
            others[place] = text or None
    return values, others


def _number(text: str | None) -> float:
    if text is None or "_" in text or not text.isascii():  # what Python's own literals may hold, and no other program's
        raise ValueError
    return float(text)


def as_objects(values: Sequence[object]) -> Column:
    """One-dimensional, whatever the values are."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
