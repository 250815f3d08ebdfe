"""How long two versions take on the same rows, in alternating rounds, since shared machines drift."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from app.contract.schema import Matrix
from app.errors import ReplayError, StageFailedError
from app.replay.contender import Contender
from app.replay.results import Latency

ROUNDS = 7
BATCH_ROWS = 1_000
_SINGLE_ROWS = 50


def measure(contenders: Sequence[Contender], sample: Matrix, largest_rows: int) -> list[Latency]:
    """One `Latency` for each contender: of one row, in batches of `BATCH_ROWS`, and of the largest batch allowed.

    `sample` holds rows that all of them score. Raises `ReplayError`.
    """
    singles = [tuple(row) for row in sample[:_SINGLE_ROWS].tolist()]
    batch, largest = (np.resize(sample, (rows, sample.shape[1])) for rows in (BATCH_ROWS, largest_rows))

    def score_singles(contender: Contender) -> None:
        for row in singles:
            contender.stage.score_one(row)

    one = _medians_s(contenders, score_singles)
    many = _medians_s(contenders, lambda contender: contender.stage.score(batch))
    most = _medians_s(contenders, lambda contender: contender.stage.score(largest))
    return [
        Latency(
            one_row_us=one_s / len(singles) * 1e6,
            row_in_batch_us=many_s / BATCH_ROWS * 1e6,
            largest_batch_ms=most_s * 1e3,
        )
        for one_s, many_s, most_s in zip(one, many, most, strict=True)
    ]


def _medians_s(contenders: Sequence[Contender], work: Callable[[Contender], object]) -> list[float]:
    times: list[list[float]] = [[] for _ in contenders]
    for round_ in range(ROUNDS):
        order = range(len(contenders))
        for place in order if round_ % 2 == 0 else reversed(order):
            start = time.perf_counter()
            try:
                work(contenders[place])
            except StageFailedError as failure:
                raise ReplayError(f"{contenders[place].version} cannot be measured: {failure}") from None
            times[place].append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]
