"""Two versions take turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.contract.schema import Matrix
from app.errors import ReplayError
from app.replay.latency import BATCH_ROWS, ROUNDS, measure
from tests.fakes import RaisingScorer
from tests.unit.replay.crafting import ColumnScorer, contender

SAMPLE = np.array([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]])


class CountingScorer(ColumnScorer):
    """Remembers how many rows came together, and who was asked."""

    def __init__(self, name: str, asked: list[tuple[str, int]]) -> None:
        super().__init__(0)
        self.name, self.asked = name, asked

    def score(self, rows: Matrix) -> Any:
        self.asked.append((self.name, len(rows)))
        return super().score(rows)


def test_rounds_alternate_and_sizes_are_those_asked_for() -> None:
    """Neither version is always the second one; a small sample is repeated."""
    asked: list[tuple[str, int]] = []
    pair = [contender(name, 0, scorer=CountingScorer(name, asked)) for name in ("old", "new")]
    latencies = measure(pair, SAMPLE, 2_500)
    assert len(latencies) == 2
    assert all(latency.one_row_us > 0 and latency.largest_batch_ms > 0 for latency in latencies)
    for rows in (BATCH_ROWS, 2_500):
        order = [name for name, count in asked if count == rows]
        assert len(order) == 2 * ROUNDS
        assert order[:6] == ["old", "new", "new", "old", "old", "new"]


def test_a_version_that_fails_under_measurement_is_named() -> None:
    """It scored these very rows before."""
    with pytest.raises(ReplayError, match="new cannot be measured: primary: exception"):
        measure([contender("old", 0), contender("new", 0, scorer=RaisingScorer())], SAMPLE, 10)
