"""A candidate version beside the active one: it scores live readings off the replies' way; only its agreement counts.

Nothing waits for it. Answered readings go into a bounded queue, a thread of its own scores some of them now and then,
and what it cannot keep up with is dropped and counted. A call that hangs is left behind, as in any stage.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from structlog.typing import FilteringBoundLogger

from app.contract.schema import Matrix
from app.errors import StageFailedError
from app.model.stages import PRIMARY
from app.serving.prediction import PredictedBatch, Prediction
from app.serving.shadow_model import ShadowModel
from app.serving.shadow_state import ShadowState
from app.serving.stage import Stage
from app.telemetry.tally import Tally

SLICE_ROWS = 200
"""Most readings scored at once, so that the interpreter's lock is never held for long."""
QUEUED = 1_000
"""Most entries that wait; a reading of its own is one, and so is a slice of a batch."""
SLICES_OF_A_BATCH = 5
WAKE_INTERVAL_S = 0.05
REST = 9.0
"""It rests so many times longer than it worked: whatever the candidate costs, it has a tenth of one CPU."""
STOP_WITHIN_S = 0.2

Slice = tuple[Matrix, list[bool]]
"""Readings, and what was decided on each."""


class Shadow:
    """Shows answered readings to `model`. Whatever is wrong with it, neither requests nor health notice."""

    def __init__(
        self,
        model: ShadowModel,
        log: FilteringBoundLogger,
        tally: Tally,
        *,
        look_interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._log = log
        self._tally = tally
        self._look_interval_s = look_interval_s
        self._clock = clock
        self._look_at = clock()
        self._queue: deque[Prediction | Slice] = deque()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._rows = self._disagreements = self._failures = 0
        self._not_taken = 0
        """Readings for which the queue had no room; only requests add to it."""
        self._thrown_away = 0
        """Readings that waited in vain; only the thread adds to it."""
        self._dropped_counted = 0

    # --- the requests' side ---------------------------------------------------------------------------------

    def offer(self, prediction: Prediction) -> None:
        """Takes an answered reading, if there is room."""
        if self._model.stage is not None and prediction.model_used == PRIMARY:
            self._put(prediction, 1)

    def offer_batch(self, batch: PredictedBatch) -> None:
        """Takes the first readings of a batch, as far as there is room."""
        if self._model.stage is None or batch.model_used != PRIMARY:
            return
        rows, decisions = batch.readings.rows, batch.decisions
        taken = min(len(rows), SLICES_OF_A_BATCH * SLICE_ROWS)
        self._not_taken += len(rows) - taken
        for start in range(0, taken, SLICE_ROWS):
            some = slice(start, min(start + SLICE_ROWS, taken))
            # Copied, or a few of its rows would keep a large batch alive.
            self._put((rows[some].copy(), decisions[some]), some.stop - start)

    def _put(self, entry: Prediction | Slice, rows: int) -> None:
        if len(self._queue) < QUEUED:
            self._queue.append(entry)
        else:
            self._not_taken += rows

    @property
    def state(self) -> ShadowState:
        return ShadowState(
            version=self._model.version,
            loaded=self._model.loaded,
            refused=self._model.refused,
            rows=self._rows,
            disagreements=self._disagreements,
            dropped=self._not_taken + self._thrown_away,
            failures=self._failures,
        )

    # --- its own thread -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to load and to score; call it after the last fork."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends; a model that is at work is not waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        rest_s = 0.0
        while not self._stopping.wait(max(rest_s, WAKE_INTERVAL_S)):
            started = self._clock()
            try:
                self.work()
            except Exception:  # noqa: BLE001 - it may fail in any way, but not in silence
                self._log.exception("shadow.failed", version=self._model.version)
                self._model.refuse("a fault of the shadow itself, see the log")
            rest_s = REST * (self._clock() - started)

    def work(self) -> None:
        """A short piece: looks whether it may score, if that is due, and scores `SLICE_ROWS` of what waits at most."""
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + self._look_interval_s
            self._model.look()
            self._count_dropped()
        if self._model.stage is None:
            self._throw_away()
        elif self._queue:
            self._score(self._model.stage, *self._taken())

    def _taken(self) -> Slice:
        """The oldest slice of a batch, or as many readings as make one."""
        first = self._queue.popleft()
        if not isinstance(first, Prediction):
            return first
        readings = [first]
        while self._queue and len(readings) < SLICE_ROWS and isinstance(self._queue[0], Prediction):
            readings.append(self._queue.popleft())  # type: ignore[arg-type]  # nobody else takes from it
        return np.array([reading.row for reading in readings]), [reading.is_anomaly for reading in readings]

    def _score(self, stage: Stage, rows: Matrix, decisions: list[bool]) -> None:
        try:
            scores = self._model.scores(stage, rows)
        except StageFailedError as failure:
            self._failures += 1
            self._tally.shadow_failed()
            if stage.breaker_open:
                self._model.refuse(str(failure))
            return
        different = int(np.count_nonzero((scores >= stage.threshold) != decisions))
        self._rows += len(rows)
        self._disagreements += different
        self._tally.shadowed(same=len(rows) - different, different=different)

    def _throw_away(self) -> None:
        while self._queue:
            entry = self._queue.popleft()
            self._thrown_away += 1 if isinstance(entry, Prediction) else len(entry[1])

    def _count_dropped(self) -> None:
        dropped = self._not_taken + self._thrown_away
        self._tally.shadow_dropped(dropped - self._dropped_counted)
        self._dropped_counted = dropped
