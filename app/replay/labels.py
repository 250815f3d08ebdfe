"""What really was, by prediction: nine bytes each, however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1


class Labels:
    """Takes feedback in any order, then gives it by prediction id. Of several on one prediction the first counts."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._actual = array("b")
        self._sorted: tuple[NDArray[np.int64], NDArray[np.int8]] | None = None

    def add(self, prediction_id: str, actual: int) -> None:
        """`actual` is 0 or 1."""
        self._hashes.append(hash(prediction_id))
        self._actual.append(actual)
        self._sorted = None

    def of(self, prediction_ids: Sequence[str]) -> NDArray[np.int8]:
        """0, 1 or `UNKNOWN` for each."""
        if not self._hashes or not prediction_ids:
            return np.full(len(prediction_ids), UNKNOWN, dtype=np.int8)
        hashes, actual = self._in_order()
        wanted = np.fromiter(map(hash, prediction_ids), np.int64, len(prediction_ids))
        places = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
        return np.where(hashes[places] == wanted, actual[places], np.int8(UNKNOWN))

    def _in_order(self) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        if self._sorted is None:
            hashes, first = np.unique(np.array(self._hashes, dtype=np.int64), return_index=True)
            self._sorted = hashes, np.array(self._actual, dtype=np.int8)[first]
        return self._sorted
