"""One link of the chain: a scorer behind its deadline, its breaker and the check of its answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from app.contract.schema import Matrix, Row
from app.errors import StageFailedError
from app.model.scorer import TOLERANCE, Scorer, Scores
from app.serving.deadline import DeadlineCaller, TooManyAbandonedError

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Probe:
    """Rows a stage must be able to score at any time and, for a model, the scores it promised."""

    rows: Matrix
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class StageState:
    """What health says of a stage."""

    answering: bool
    since: float
    """Unix time of the last change of `answering`."""
    reason: str | None = None
    consecutive_failures: int = 0
    breaker_open: bool = False
    abandoned_threads: int = 0


@dataclass(slots=True)
class Stage:
    """A named scorer that either gives finite scores of the right shape in time, or raises `StageFailedError`.

    `breaker_failures` failures in a row open its breaker: it then refuses at once, until `self_test` succeeds. So
    no user's request ever pays for finding out whether a broken model has recovered.
    """

    name: str
    scorer: Scorer
    threshold: float
    probe: Probe
    deadline_s: float
    caller: DeadlineCaller
    breaker_failures: int
    note: str | None = None
    """Why the estimator serves uncompiled, if it does."""
    clock: Callable[[], float] = time.time
    breaker_open: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _last_reason: str | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def score(self, rows: Matrix) -> Scores:
        """Scores of rows, shape (n,), or `StageFailedError`."""
        return self._guarded(lambda: self._checked(self._attempt(self.scorer.score, rows, len(rows)), len(rows)))

    def score_one(self, row: Row) -> float:
        """The score of one row, or `StageFailedError`."""
        if self.scorer.inline_rows < 1:
            return float(self.score(np.array([row]))[0])
        return self._guarded(lambda: self._checked_one(self._attempt(self.scorer.score_one, row, 1)))

    def self_test(self) -> None:
        """Scores the probe the ways requests do, one row and many; success closes the breaker, failure counts.

        Raises `StageFailedError`.
        """
        try:
            self._probe_many()
            if self.scorer.inline_rows >= 1:
                self._probe_one()
        except StageFailedError as failure:
            self._failed(failure)
            raise
        self._recovered()

    def _probe_many(self) -> None:
        rows, promised = self.probe.rows, self.probe.scores
        scores = self._checked(self._attempt(self.scorer.score, rows, len(rows)), len(rows))
        if promised is not None and not np.allclose(scores, promised, rtol=0, atol=TOLERANCE):
            raise StageFailedError(self.name, "golden_rows", "scores differ from those of its manifest")

    def _probe_one(self) -> None:
        row: Row = tuple(self.probe.rows[0].tolist())
        score = self._checked_one(self._attempt(self.scorer.score_one, row, 1))
        if self.probe.scores is not None and abs(score - self.probe.scores[0]) > TOLERANCE:
            raise StageFailedError(self.name, "golden_rows", "one row's score differs from that of its manifest")

    @property
    def scorer_name(self) -> str:
        """How the estimator serves: compiled, or by itself and why."""
        if self.note is not None:
            return f"estimator ({self.note})"
        up_to = self.scorer.inline_rows
        return "compiled" if math.isinf(up_to) else f"compiled up to {up_to:.0f} rows, estimator beyond"

    @property
    def state(self) -> StageState:
        return StageState(
            answering=not self.breaker_open and self._failures == 0,
            since=self._since,
            reason=self._last_reason,
            consecutive_failures=self._failures,
            breaker_open=self.breaker_open,
            abandoned_threads=self.caller.abandoned,
        )

    def _guarded(self, attempt: Callable[[], Result]) -> Result:
        if self.breaker_open:
            raise StageFailedError(self.name, "breaker_open", self._last_reason or "")
        try:
            result = attempt()
        except StageFailedError as failure:
            self._failed(failure)
            raise
        if self._failures:
            self._recovered()
        return result

    def _attempt(self, score: Callable[[Given], Result], given: Given, count: int) -> Result:
        try:
            # What is sure to end is spared the hand-over to a thread.
            if count <= self.scorer.inline_rows:
                return score(given)
            return self.caller.call(lambda: score(given), self.deadline_s)
        except TimeoutError as error:
            raise StageFailedError(self.name, "deadline", str(error)) from None
        except TooManyAbandonedError as error:
            raise StageFailedError(self.name, "abandoned_threads", str(error)) from None
        except Exception as error:
            # A model may raise anything; the next stage answers.
            raise StageFailedError(self.name, "exception", f"{type(error).__name__}: {error}") from error

    def _checked(self, scores: object, count: int) -> Scores:
        if not isinstance(scores, np.ndarray) or scores.shape != (count,):
            shape = getattr(scores, "shape", type(scores).__name__)
            raise StageFailedError(self.name, "shape", f"got {shape}, expected {(count,)}")
        if scores.dtype.kind not in "fiub":
            raise StageFailedError(self.name, "shape", f"got dtype {scores.dtype}")
        if not np.isfinite(scores).all():
            raise StageFailedError(self.name, "non_finite", "a score is NaN or infinite")
        if scores.min() < 0 or scores.max() > 1:
            raise StageFailedError(self.name, "range", "a score is no probability, between 0 and 1")
        return scores

    def _checked_one(self, score: object) -> float:
        if not isinstance(score, float):
            raise StageFailedError(self.name, "shape", f"got {type(score).__name__}, expected a float")
        if 0 <= score <= 1:
            return score
        if not math.isfinite(score):
            raise StageFailedError(self.name, "non_finite", "a score is NaN or infinite")
        raise StageFailedError(self.name, "range", "a score is no probability, between 0 and 1")

    def _failed(self, failure: StageFailedError) -> None:
        if self._failures == 0:
            self._since = self.clock()
        self._failures += 1
        self._last_reason = f"{failure.reason}: {failure.detail}" if failure.detail else failure.reason
        if self._failures >= self.breaker_failures or failure.reason == "abandoned_threads":
            self.breaker_open = True

    def _recovered(self) -> None:
        if self._failures:
            self._since = self.clock()
        self._failures = 0
        self.breaker_open = False
        self._last_reason = None
