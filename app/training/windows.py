"""Mean and spread of the readings in a time window before each reading, in linear time and without drift."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Moments: TypeAlias = tuple[Ints, Floats, Floats]
"""Count, mean, and sum of squared distances from the mean; mean and sum are 0 where the count is."""


def window_statistics(group: Ints, time: Ints, value: Floats, window: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the group's readings in [time - window, time), NaN where there are none.

    Arrays have shape (n,) and are sorted by group, then time.

    Time is cut into blocks as long as the window, so a window is the end of one block and the beginning of the
    next. Nothing is ever subtracted from a running sum: a huge reading leaves no trace once it is out of the
    window, and the result depends on the window's readings alone, bit for bit.
    """
    block = runs(group, time // window)
    count, mean, squares = _merged(_head(block, value), _tail(block, value, _window_starts(group, time, window)))
    known = count > 0
    spread = np.sqrt(np.divide(squares, count, out=np.full_like(value, np.nan), where=known))
    return np.where(known, mean, np.nan), spread


def runs(*keys: NDArray[np.float64] | Ints) -> Ints:
    """Numbers the runs of equal keys 0, 1, 2, ...; shape (n,)."""
    changed = np.zeros(len(keys[0]), dtype=bool)
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.cumsum(changed)


def _head(block: Ints, value: Floats) -> Moments:
    """Of each reading's block: the readings before it."""
    first = np.searchsorted(block, block, side="left")
    centre = value[first]
    count = np.arange(len(value)) - first
    before = np.maximum(np.arange(len(value)) - 1, 0)
    sums, squares = (column[before] for column in _running_sums(block, value - centre))
    return _moments(count, centre, sums, squares)


def _tail(block: Ints, value: Floats, start: Ints) -> Moments:
    """Of the block before each reading's: the readings from `start` on."""
    first = np.searchsorted(block, block, side="left")
    centre = value[np.searchsorted(block, block, side="right") - 1]
    sums, squares = (column[::-1] for column in _running_sums(block[::-1], (value - centre)[::-1]))
    return _moments(np.maximum(first - start, 0), centre[start], sums[start], squares[start])


def _running_sums(block: Ints, value: Floats) -> tuple[Floats, Floats]:
    """Sums of the values, and of their squares, from the block's first up to each."""
    table = pd.DataFrame({"value": value, "square": value * value})
    sums = table.groupby(block, sort=False).cumsum()
    return sums["value"].to_numpy(), sums["square"].to_numpy()


def _moments(count: Ints, centre: Floats, sums: Floats, squares: Floats) -> Moments:
    """From sums about a centre that is itself among the values, so that little is lost to cancellation."""
    known = count > 0
    mean = np.divide(sums, count, out=np.zeros_like(sums), where=known)
    spread = np.where(known, np.maximum(squares - sums * mean, 0.0), 0.0)
    return count, np.where(known, centre + mean, 0.0), spread


def _merged(one: Moments, other: Moments) -> Moments:
    """The moments of two sets taken together (Chan, Golub, LeVeque 1979)."""
    count = one[0] + other[0]
    share = np.divide(other[0], count, out=np.zeros_like(one[1]), where=count > 0)
    distance = np.where((one[0] > 0) & (other[0] > 0), other[1] - one[1], 0.0)
    mean = np.where(one[0] > 0, one[1] + distance * share, other[1])
    return count, mean, one[2] + other[2] + distance * distance * one[0] * share


def _window_starts(group: Ints, time: Ints, window: int) -> Ints:
    """Index of each reading's earliest companion in its window; its own where there is none."""
    bounds = np.flatnonzero(np.diff(group, prepend=group[:1] - 1, append=group[-1:] + 1))
    starts = np.empty_like(group)
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        times = time[low:high]
        starts[low:high] = low + np.searchsorted(times, times - window, side="left")
    return starts
