"""Two versions on the same rows: counts that grow with each chunk, whatever the number of rows."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import Matrix
from app.model.scorer import Scores
from app.replay.audited import AuditedRows
from app.replay.contender import Contender
from app.replay.labels import UNKNOWN
from app.replay.results import Changes, Example, Shift
from app.reporting.questions import quality
from app.reporting.results import Quality

EXAMPLES = 5
"""Of each direction."""
SAMPLE_ROWS = 1_000
_STEPS = 10_000
"""Steps of a shift of 1 in the histogram that percentiles are read from."""
_PERCENTILES = (1, 5, 50, 95, 99)

Decisions = NDArray[np.bool_]


class Verdicts:
    """What one version decided."""

    def __init__(self) -> None:
        self.anomalies = 0
        self._confusion = np.zeros(4, dtype=np.int64)

    def add(self, decisions: Decisions, actual: NDArray[np.int8]) -> None:
        self.anomalies += int(np.count_nonzero(decisions))
        known = actual != UNKNOWN
        self._confusion += np.bincount(2 * actual[known] + decisions[known], minlength=4)

    @property
    def quality(self) -> Quality:
        right_no, wrong_yes, wrong_no, right_yes = self._confusion.tolist()
        return quality(right_yes, wrong_yes, wrong_no, right_no)


class Comparison:
    """Shows rows to both contenders and keeps what differs."""

    def __init__(self, active: Contender, candidate: Contender, names: Sequence[str]) -> None:
        self._active = active
        self._candidate = candidate
        self._names = names
        self.rows = 0
        self.labelled = 0
        self.sample: Matrix = np.empty((0, len(names)))
        """Some of the rows that both score, to measure on."""
        self.active, self.candidate = Verdicts(), Verdicts()
        self._compared = 0
        self._changed = {False: 0, True: 0}
        self._examples: dict[bool, list[tuple[float, int, Example]]] = {False: [], True: []}
        self._sum = self._sum_absolute = 0.0
        self._least, self._most = np.inf, -np.inf
        self._shifts = np.zeros(2 * _STEPS + 1, dtype=np.int64)

    def add(self, audited: AuditedRows) -> None:
        """Scores some rows with both. Raises `ReplayError`."""
        ours, theirs = self._active.scores(audited.rows), self._candidate.scores(audited.rows)
        self.rows += len(audited.rows)
        self.labelled += int(np.count_nonzero(audited.actual != UNKNOWN))
        both = np.isfinite(ours) & np.isfinite(theirs)
        if not both.any():
            return
        before = ours >= self._active.stage.threshold
        after = theirs >= self._candidate.stage.threshold
        self.active.add(before[both], audited.actual[both])
        self.candidate.add(after[both], audited.actual[both])
        self._compared += int(np.count_nonzero(both))
        self._add_shift(theirs[both] - ours[both])
        for to_anomaly in (True, False):
            changed = np.flatnonzero(both & (before != after) & (after == to_anomaly))
            self._changed[to_anomaly] += len(changed)
            self._keep(changed, to_anomaly, audited, ours, theirs)
        if len(self.sample) < SAMPLE_ROWS:
            more = audited.rows[both][: SAMPLE_ROWS - len(self.sample)]
            self.sample = np.vstack([self.sample, more])

    def _add_shift(self, shift: Scores) -> None:
        self._sum += float(shift.sum())
        self._sum_absolute += float(np.abs(shift).sum())
        self._least, self._most = min(self._least, float(shift.min())), max(self._most, float(shift.max()))
        steps = np.rint((shift + 1) * _STEPS).astype(np.int64)
        self._shifts += np.bincount(steps, minlength=len(self._shifts))

    def _keep(
        self, places: NDArray[np.intp], to_anomaly: bool, audited: AuditedRows, ours: Scores, theirs: Scores
    ) -> None:
        """Keeps the rows that shift most as examples; of equal shifts the earlier."""
        kept, shift = self._examples[to_anomaly], np.abs(theirs - ours)
        for place in places[np.argsort(-shift[places], kind="stable")][:EXAMPLES].tolist():
            index = self.rows - len(audited.rows) + place
            heapq.heappush(kept, (float(shift[place]), -index, self._example(place, audited, ours, theirs)))
        while len(kept) > EXAMPLES:
            heapq.heappop(kept)

    def _example(self, place: int, audited: AuditedRows, ours: Scores, theirs: Scores) -> Example:
        actual = int(audited.actual[place])
        return Example(
            request_id=audited.request_ids[place],
            prediction_id=audited.prediction_ids[place],
            features=dict(zip(self._names, audited.rows[place].tolist(), strict=True)),
            active=float(ours[place]),
            candidate=float(theirs[place]),
            actual=None if actual == UNKNOWN else actual,
        )

    def changes(self) -> Changes:
        """The decisions that would be others."""
        changed = sum(self._changed.values())
        kept = [sorted(self._examples[to_anomaly], reverse=True) for to_anomaly in (True, False)]
        return Changes(
            compared=self._compared,
            changed=changed,
            share=changed / self._compared if self._compared else 0.0,
            to_anomaly=self._changed[True],
            to_normal=self._changed[False],
            examples=[example for direction in kept for _, _, example in direction],
        )

    def shift(self) -> Shift | None:
        """How far scores move; None where no row was scored by both."""
        if not self._compared:
            return None
        reached = np.cumsum(self._shifts)
        ranks = [max(1, int(np.ceil(percent / 100 * self._compared))) for percent in _PERCENTILES]
        places = np.searchsorted(reached, ranks)
        return Shift(
            mean=self._sum / self._compared,
            mean_absolute=self._sum_absolute / self._compared,
            percentiles={
                f"p{percent}": (int(place) - _STEPS) / _STEPS
                for percent, place in zip(_PERCENTILES, places, strict=True)
            },
            least=self._least,
            most=self._most,
        )
