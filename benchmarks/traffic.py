"""The rows of a CSV as requests to `POST /predict`, each with what the contract itself says about it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema

NO_FEATURES = ("series", "timestamp", "is_anomaly")


@dataclass(frozen=True, slots=True)
class Reading:
    """One row to send; `wrong` is what the contract says against it: (feature, code) pairs, empty where all is well."""

    number: int
    body: bytes
    wrong: frozenset[tuple[str | None, str]]


class Feed:
    """Readings, one at a time, to any number of threads; so a file is never in memory as a whole."""

    def __init__(self, readings: Iterator[Reading]) -> None:
        self._readings = readings
        self._lock = threading.Lock()
        self._closed = False
        self.handed_out = 0

    def __iter__(self) -> Iterator[Reading]:
        while True:
            with self._lock:
                reading = None if self._closed else next(self._readings, None)
                if reading is None:
                    return
                self.handed_out += 1
            yield reading

    def close(self) -> None:
        """Hands out no more."""
        self._closed = True


def count_rows(path: Path, limit: int | None) -> int:
    """How many rows `readings` will give, for a progress bar: lines are counted, none is parsed."""
    with _opened(path) as file:
        rows = max(0, sum(1 for _ in file) - 1)
    return rows if limit is None else min(rows, limit)


def readings(path: Path, schema: FeatureSchema, limit: int | None) -> Iterator[Reading]:
    """The first `limit` rows of a file, numbered from 0."""
    with _opened(path) as file:
        for number, row in enumerate(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))):
            if number == limit:
                return
            values = {name: _number(text) for name, text in row.items() if name not in NO_FEATURES}
            verdict = schema.check(values)
            problems = verdict.problems if isinstance(verdict, Rejected) else ()
            wrong = frozenset((problem.feature, problem.code) for problem in problems)
            yield Reading(number, json.dumps(values).encode(), wrong)


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _number(text: str | None) -> float | str | None:
    """A cell as a client would send it: a number, else what stands there, else null."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
