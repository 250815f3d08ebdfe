"""The contract: which features a reading has, in which order and range, and how bytes become a typed row.

To serve other features, subclass `FeatureSchema`, replace `features`, and name the class in `FEATURE_SCHEMA`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.contract.body import strict_json
from app.errors import ContractViolationError

Row: TypeAlias = tuple[float, ...]
"""One reading that fulfils the contract: its values in contract order."""

Matrix: TypeAlias = NDArray[np.float64]
"""Rows: float64, shape (n, number of features), columns in contract order."""

_LISTED = {"missing": "Missing features", "unexpected": "Unexpected features"}
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
class Problem:
    """One way in which a reading breaks the contract."""

    code: str
    """`not_an_object`, `not_a_batch`, `missing`, `unexpected`, `not_numeric`, `nan` or `out_of_range`."""
    message: str
    feature: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A reading that breaks the contract, with every problem."""

    problems: tuple[Problem, ...]

    @property
    def message(self) -> str:
        """All problems in one line; missing features together, and unexpected ones."""
        sentences = []
        for code, sentence in _LISTED.items():
            names = [problem.feature for problem in self.problems if problem.code == code]
            if names:
                sentences.append(f"{sentence}: {names}")
        sentences += [problem.message for problem in self.problems if problem.code not in _LISTED]
        return "; ".join(sentences)


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

    def parse_batch(self, body: bytes) -> list[Row | Rejected]:
        """For each entry of `{"instances": [...]}`, in order: its row, or why it has none.

        Raises `MalformedBodyError`, or `ContractViolationError` where the envelope itself is wrong.
        """
        try:
            rows = [msgspec.structs.astuple(row) for row in self._batch_decoder.decode(body).instances]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._parse_batch_carefully(body)
        if body.count(b'"') != 2 + len(rows) * self._quotes_per_row:
            return self._parse_batch_carefully(body)
        return list(rows)

    def _parse_row_carefully(self, body: bytes) -> Row:
        entry = self.check(strict_json(body))
        if isinstance(entry, Rejected):
            raise ContractViolationError(entry)
        return entry

    def _parse_batch_carefully(self, body: bytes) -> list[Row | Rejected]:
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
        return [self.check(instance) for instance in instances]

    # --- from Python values ---------------------------------------------------------------------------------

    def check(self, reading: object) -> Row | Rejected:
        """The row in a decoded JSON value, or every problem with it."""
        if not isinstance(reading, Mapping):
            wanted = f"a JSON object with {len(self.names)} features"
            return Rejected((Problem("not_an_object", f"A reading must be {wanted}, got {type_name(reading)}"),))
        problems = [*self._missing(reading), *self._unexpected(reading)]
        for feature in self.features:
            if feature.name in reading:
                problems.extend(_value_problems(feature, reading[feature.name]))
        if problems:
            return Rejected(tuple(problems))
        return tuple(float(reading[name]) for name in self.names)

    def check_matrix(self, matrix: Matrix) -> list[tuple[int, Problem]]:
        """Every (row index, problem) of a matrix, shape (n, number of features); empty where all is well."""
        wrong = np.argwhere(~((matrix >= self.lows) & (matrix <= self.highs)))
        return [
            (int(row), problem)
            for row, column in wrong
            for problem in _value_problems(self.features[column], float(matrix[row, column]))
        ]

    def _missing(self, reading: Mapping[str, object]) -> list[Problem]:
        return [_listed("missing", name) for name in self.names if name not in reading]

    def _unexpected(self, reading: Mapping[str, object]) -> list[Problem]:
        unexpected = [name for name in reading if name not in self._known]
        shown = [name[:_NAME_LENGTH_SHOWN] for name in unexpected[:_NAMES_SHOWN]]
        if len(unexpected) > len(shown):
            shown.append(f"and {len(unexpected) - len(shown)} more")
        return [_listed("unexpected", name) for name in shown]

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


def _value_problems(feature: Feature, value: object) -> list[Problem]:
    name = feature.name
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [Problem("not_numeric", f"{name} must be numeric, got {type_name(value)}", name)]
    if math.isnan(value):
        return [Problem("nan", f"{name} cannot be NaN", name)]
    if not feature.low <= value <= feature.high:
        allowed = f"[{number_text(feature.low)}, {number_text(feature.high)}]"
        return [Problem("out_of_range", f"{name}={number_text(value)} out of range {allowed}", name)]
    return []


def _listed(code: str, name: str) -> Problem:
    return Problem(code, f"{_LISTED[code]}: {[name]}", name)


def type_name(value: object) -> str:
    """Python's name of a decoded JSON value's type, as the contract's messages use it: `str`, `bool`, `NoneType`."""
    return type(value).__name__


def number_text(value: float) -> str:
    """A number as a person writes it: whole numbers without a point, all others in full."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
