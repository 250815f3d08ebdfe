"""Small stand-ins: models that misbehave in one way each, a clock that is set by hand, a log in memory."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from app.contract.schema import FeatureSchema, Matrix, Row
from app.telemetry.logs import LogSink, event_logger
from app.telemetry.tally import Tally


class Clock:
    """Time that passes when told to."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MemorySink(LogSink):
    """A log sink that keeps its events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def put(self, line: Any) -> None:
        self.events.append(line)

    def named(self, event: str) -> list[Any]:
        """The events of one name."""
        return [entry for entry in self.events if isinstance(entry, dict) and entry["event"] == event]


def logger(sink: LogSink) -> structlog.typing.FilteringBoundLogger:
    return event_logger(sink, "DEBUG")


def started_tally() -> Tally:
    """Counts for itself alone."""
    tally = Tally(FeatureSchema().names, lambda: None)
    tally.start()
    return tally


class ConstantScorer:
    """Gives every row the same score."""

    inline_rows = math.inf

    def __init__(self, value: float = 0.25) -> None:
        self.value = value

    def score(self, rows: Matrix) -> Any:
        return np.full(len(rows), self.value)

    def score_one(self, row: Row) -> float:
        return self.value


class RaisingScorer:
    """Fails while `broken` is set."""

    inline_rows = math.inf

    def __init__(self) -> None:
        self.broken = True
        self.calls = 0

    def score(self, rows: Matrix) -> Any:
        return np.full(len(rows), self.score_one(()))

    def score_one(self, row: Row) -> float:
        self.calls += 1
        if self.broken:
            raise ValueError("the model is broken")
        return 0.75


class OddScorer:
    """Answers with whatever it was given, whether or not that is an answer."""

    inline_rows = math.inf

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, rows: Matrix) -> Any:
        return self.answer

    def score_one(self, row: Row) -> Any:
        return self.answer


class HangingScorer:
    """Does not answer before it is released."""

    inline_rows = 0

    def __init__(self) -> None:
        self.release = threading.Event()

    def score(self, rows: Matrix) -> Any:
        self.release.wait(30)
        return np.full(len(rows), 0.5)

    def score_one(self, row: Row) -> float:
        raise AssertionError("a scorer that may hang is asked on its own thread, by matrix")


class RaisingModel:
    """A picklable estimator that cannot predict."""

    def predict_proba(self, X: Matrix) -> Matrix:
        raise RuntimeError("this model cannot predict")


class NanModel:
    """A picklable estimator that predicts NaN."""

    def predict_proba(self, X: Matrix) -> Matrix:
        return np.full((len(X), 2), np.nan)


class ConstantModel:
    """A picklable estimator that gives every row the same probability, and has no compiled form.

    All of its kind answer only while `unhindered` is set, which it is unless a test clears it.
    """

    unhindered = threading.Event()
    unhindered.set()

    def __init__(self, value: float = 0.9) -> None:
        self.value = value

    def predict_proba(self, X: Matrix) -> Matrix:
        self.unhindered.wait(30)
        return np.column_stack([np.full(len(X), 1 - self.value), np.full(len(X), self.value)])


class HinderedModel(ConstantModel):
    """The same for another process: it answers only while the file `hindrance` is not there."""

    def __init__(self, hindrance: Path, value: float = 0.9) -> None:
        super().__init__(value)
        self.hindrance = hindrance

    def predict_proba(self, X: Matrix) -> Matrix:
        while self.hindrance.exists():
            time.sleep(0.01)
        return super().predict_proba(X)
