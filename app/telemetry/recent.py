"""What happened lately, minute by minute: small enough to be posted whole, so that all workers' can be added up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

MINUTES = 60


class RecentMinutes:
    """A vector of counts for each of the last `MINUTES` minutes in which anything was counted."""

    def __init__(self, size: int, clock: Callable[[], float] = time.time) -> None:
        self._size = size
        self._clock = clock
        self._minutes: dict[int, NDArray[np.float64]] = {}

    def add(self, counts: Sequence[float] | NDArray[np.float64]) -> None:
        """Adds to the counts of this minute."""
        minute = int(self._clock() // 60)
        if minute not in self._minutes:
            self._minutes = {at: old for at, old in self._minutes.items() if at > minute - MINUTES}
            self._minutes[minute] = np.zeros(self._size)
        self._minutes[minute] += counts

    def by_minute(self) -> dict[int, list[int]]:
        """The counts by minute (Unix time / 60), oldest first."""
        since = int(self._clock() // 60) - MINUTES
        return {minute: counts.astype(int).tolist() for minute, counts in self._minutes.items() if minute > since}

    def total(self) -> NDArray[np.float64]:
        """The counts of all these minutes together."""
        since = int(self._clock() // 60) - MINUTES
        return sum((counts for at, counts in self._minutes.items() if at > since), np.zeros(self._size))
