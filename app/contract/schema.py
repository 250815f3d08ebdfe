"""The contract: which features a reading has, in which order and range, and how bytes become a typed row.

To serve other features, subclass `FeatureSchema`, replace `features`, and name the class in `FEATURE_SCHEMA`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.contract.body import strict_json
from app.contract.problems import Problem, Rejected, listed, type_name, value_problems
from app.errors import ContractViolationError, TooManyRowsError

Row: TypeAlias = tuple[float, ...]
"""One reading that fulfils the contract: its values in contract order."""

Matrix: TypeAlias = NDArray[np.float64]
"""Rows: float64, shape (n, number of features), columns in contract order."""

_NAMES_SHOWN = 20
_NAME_LENGTH_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of a reading; `low` and `high` both belong to its range."""

    name: str
    low: float
    high: float
    description: str
    example: float


@dataclass(frozen=True, slots=True)
class Readings:
    """Many readings of one request: those that fulfil the contract as a matrix, and what is wrong with the others."""

    rows: Matrix
    rejected: Mapping[int, Rejected] = field(default_factory=dict)
    """By position within the request, from 0."""

    @property
    def count(self) -> int:
        return len(self.rows) + len(self.rejected)

    @property
    def positions(self) -> Sequence[int]:
        """Where within the request each of `rows` stood."""
        everywhere = range(self.count)
        return [place for place in everywhere if place not in self.rejected] if self.rejected else everywhere


class FeatureSchema:
    """The 12 features of a business-metric reading.

    `moving_average_7d`, `volatility_7d`, `weekday_avg`, `weekday_std` and `seasonal_factor` describe the
    readings before this one; `flask features` computes them from raw history exactly as training did.
    """

    features: ClassVar[tuple[Feature, ...]] = (
        Feature("metric_value", 0, 1e6, "The reading to judge.", 1523.5),
        Feature("seasonal_factor", 0.5, 2.5, "Usual level at this hour, over the usual level of all hours.", 1.12),
        Feature("region_id", 0, 10, "Region the metric belongs to.", 3),
        Feature("product_id", 0, 100, "Product the metric belongs to.", 42),
        Feature("day_of_week", 0, 7, "Day of the week, Monday is 0.", 2),
        Feature("hour_of_day", 0, 24, "Hour of the day, UTC.", 14),
        Feature("moving_average_7d", 0, 1e6, "Mean of the 7 days before.", 1370.0),
        Feature("volatility_7d", 0, 1e5, "Standard deviation of the 7 days before.", 160.0),
        Feature("weekday_avg", 0, 1e6, "Mean of the same day of the week before.", 1395.0),
        Feature("weekday_std", 0, 1e5, "Standard deviation of the same day of the week before.", 145.0),
        Feature("is_weekend", 0, 1, "1 on Saturday and Sunday, else 0.", 0),
        Feature("lag_1", 0, 1e6, "The reading just before this one.", 1498.0),
    )

    def __init__(self) -> None:
        self.names: tuple[str, ...] = tuple(feature.name for feature in self.features)
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError(f"{type(self).__name__}.features must be distinct and at least one: {self.names}")
        self.lows: Matrix = np.array([feature.low for feature in self.features], dtype=np.float64)
        self.highs: Matrix = np.array([feature.high for feature in self.features], dtype=np.float64)
        self._known = frozenset(self.names)
        self._row_decoder, self._batch_decoder = _decoders(self.features)
        self._quotes_per_row = 2 * len(self.names)

    # --- from bytes -----------------------------------------------------------------------------------------

    def parse_row(self, body: bytes) -> Row:
        """The row in a JSON object of exactly the features.

        Raises `MalformedBodyError` (no strict JSON) or `ContractViolationError` (with every problem).
        """
        try:
            row: Row = msgspec.structs.astuple(self._row_decoder.decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._parse_row_carefully(body)
        # The decoder lets the last of two equal keys win. Each key costs two quotes, and numbers cost none.
        if body.count(b'"') != self._quotes_per_row:
            return self._parse_row_carefully(body)
        return row

    def parse_batch(self, body: bytes, max_rows: int = sys.maxsize) -> Readings:
        """The entries of `{"instances": [...]}`; a bad one does not sink the others.

        Raises `MalformedBodyError`, `TooManyRowsError`, or `ContractViolationError` where the envelope itself is wrong.
        """
        try:
            rows = [msgspec.structs.astuple(row) for row in self._batch_decoder.decode(body).instances]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._parse_batch_carefully(body, max_rows)
        # numpy counts quicker than `bytes.count` where there are many.
        quotes = np.count_nonzero(np.frombuffer(body, np.uint8) == ord('"'))
        if quotes != 2 + len(rows) * self._quotes_per_row:
            return self._parse_batch_carefully(body, max_rows)
        check_count(len(rows), max_rows)
        return Readings(self.matrix(rows))

    def _parse_row_carefully(self, body: bytes) -> Row:
        entry = self.check(strict_json(body))
        if isinstance(entry, Rejected):
            raise ContractViolationError(entry)
        return entry

    def _parse_batch_carefully(self, body: bytes, max_rows: int) -> Readings:
        document = strict_json(body)
        if not isinstance(document, dict) or set(document) != {"instances"}:
            raise ContractViolationError(
                Rejected((Problem("not_a_batch", 'The body must be an object with the one key "instances"'),))
            )
        instances = document["instances"]
        if not isinstance(instances, list):
            raise ContractViolationError(
                Rejected((Problem("not_a_batch", f'"instances" must be an array, got {type_name(instances)}'),))
            )
        check_count(len(instances), max_rows)
        entries = [self.check(instance) for instance in instances]
        rows = [entry for entry in entries if not isinstance(entry, Rejected)]
        rejected = {place: entry for place, entry in enumerate(entries) if isinstance(entry, Rejected)}
        return Readings(self.matrix(rows), rejected)

    # --- from Python values ---------------------------------------------------------------------------------

    def check(self, reading: object) -> Row | Rejected:
        """The row in a decoded JSON value, or every problem with it."""
        if not isinstance(reading, Mapping):
            wanted = f"a JSON object with {len(self.names)} features"
            return Rejected((Problem("not_an_object", f"A reading must be {wanted}, got {type_name(reading)}"),))
        problems = self.name_problems(reading)
        for feature in self.features:
            if feature.name in reading:
                problems.extend(value_problems(feature.name, reading[feature.name], feature.low, feature.high))
        if problems:
            return Rejected(tuple(problems))
        return tuple(float(reading[name]) for name in self.names)

    def check_matrix(self, matrix: Matrix) -> Readings:
        """The readings in a matrix, shape (n, number of features)."""
        within = (matrix >= self.lows) & (matrix <= self.highs)
        if within.all():
            return Readings(matrix)
        good = within.all(axis=1)
        rejected = {
            int(row): Rejected(tuple(self._row_problems(matrix[row].tolist()))) for row in np.flatnonzero(~good)
        }
        return Readings(matrix[good], rejected)

    def rejected_rows(self, rows: Sequence[Sequence[object]]) -> Mapping[int, Rejected]:
        """Those of some rows, values of any type in contract order, that break the contract, by position."""
        found = {place: tuple(self._row_problems(row)) for place, row in enumerate(rows)}
        return {place: Rejected(problems) for place, problems in found.items() if problems}

    def name_problems(self, names: Mapping[str, object]) -> list[Problem]:
        """The features that are missing among some names, and the names that are no feature."""
        return [*self._missing(names), *self._unexpected(names)]

    def _row_problems(self, values: Sequence[object]) -> Iterator[Problem]:
        for feature, value in zip(self.features, values, strict=True):
            yield from value_problems(feature.name, value, feature.low, feature.high)

    def _missing(self, reading: Mapping[str, object]) -> list[Problem]:
        return [listed("missing", name) for name in self.names if name not in reading]

    def _unexpected(self, reading: Mapping[str, object]) -> list[Problem]:
        unexpected = [name for name in reading if name not in self._known]
        shown = [name[:_NAME_LENGTH_SHOWN] for name in unexpected[:_NAMES_SHOWN]]
        if len(unexpected) > len(shown):
            shown.append(f"and {len(unexpected) - len(shown)} more")
        return [listed("unexpected", name) for name in shown]

    # --- derived from the features --------------------------------------------------------------------------

    def matrix(self, rows: Sequence[Row]) -> Matrix:
        """Rows as a matrix, shape (n, number of features)."""
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))

    def example(self) -> dict[str, float]:
        """A reading that fulfils the contract, by feature name."""
        return {feature.name: feature.example for feature in self.features}

    def sample(self, count: int, seed: int = 0) -> Matrix:
        """Random rows of the contract, shape (count, number of features), a tenth of the values at range edges."""
        rng = np.random.default_rng(seed)
        rows = rng.uniform(self.lows, self.highs, size=(count, len(self.names)))
        edge = rng.random(rows.shape)
        rows = np.where(edge < 0.05, self.lows, rows)
        return np.where(edge > 0.95, self.highs, rows)


def check_count(rows: int, max_rows: int) -> None:
    """Raises `TooManyRowsError`. To be asked before the rows are looked at: millions fit into a body, and each that
    is wrong costs many times its bytes.
    """
    if rows > max_rows:
        raise TooManyRowsError(rows, max_rows)


def _decoders(features: Sequence[Feature]) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """Compiled readers of one row and of a batch that accept only what the contract allows."""
    fields = [
        (f"f{index}", Annotated[float, msgspec.Meta(ge=feature.low, le=feature.high)])
        for index, feature in enumerate(features)
    ]
    names = {f"f{index}": feature.name for index, feature in enumerate(features)}
    reading = msgspec.defstruct("Reading", fields, rename=names, forbid_unknown_fields=True, frozen=True, gc=False)
    batch = msgspec.defstruct("Batch", [("instances", list[reading])], forbid_unknown_fields=True)  # type: ignore[valid-type]
    return msgspec.json.Decoder(reading), msgspec.json.Decoder(batch)
