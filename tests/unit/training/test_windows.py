"""Window statistics: right, linear, and without memory of what has left the window."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.training.windows import Floats, Ints, runs, window_statistics

readings = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-300, 300), st.floats(0, 1e6)),
    min_size=1, max_size=60, unique_by=lambda reading: reading[:2],
).map(sorted)  # fmt: skip


def arrays(rows: list[tuple[int, int, float]]) -> tuple[Ints, Ints, Floats]:
    group, time, value = zip(*rows, strict=True)
    return np.array(group), np.array(time), np.array(value, dtype=np.float64)


@settings(max_examples=200, deadline=None)
@given(readings, st.integers(1, 700))
def test_equals_what_one_computes_window_by_window(rows: list[tuple[int, int, float]], window: int) -> None:
    """Mean and population standard deviation of the readings in [time - window, time)."""
    group, time, value = arrays(rows)
    mean, spread = window_statistics(group, time, value, window)
    for place in range(len(rows)):
        inside = (group == group[place]) & (time >= time[place] - window) & (time < time[place])
        if not inside.any():
            assert np.isnan(mean[place])
            assert np.isnan(spread[place])
            continue
        scale = value[inside].max()
        np.testing.assert_allclose(mean[place], value[inside].mean(), rtol=1e-12)
        np.testing.assert_allclose(spread[place], value[inside].std(), rtol=1e-6, atol=1e-7 * scale)


def test_a_huge_reading_leaves_no_trace_after_the_window() -> None:
    """Bit for bit as if it had never been."""
    value = np.random.default_rng(0).uniform(0.001, 0.002, size=200)
    group, time = np.zeros(200, dtype=np.int64), np.arange(200)
    spiked = value.copy()
    spiked[50] = 1e6
    calm, after = (window_statistics(group, time, values, 24) for values in (value, spiked))
    for expected, actual in zip(calm, after, strict=True):
        np.testing.assert_array_equal(expected[75:], actual[75:])
        assert (expected[51:75] != actual[51:75]).all()


def test_does_not_depend_on_readings_before_the_window() -> None:
    """A short history gives the very same numbers as a long one."""
    value = np.random.default_rng(1).uniform(10, 20, size=300)
    group, time = np.zeros(300, dtype=np.int64), np.arange(300) * 7
    whole = window_statistics(group, time, value, 100)
    late = window_statistics(group[200:], time[200:], value[200:], 100)
    for expected, actual in zip(whole, late, strict=True):
        np.testing.assert_array_equal(expected[220:], actual[20:])


def test_runs_are_numbered_where_any_key_changes() -> None:
    """0, 1, 2, ... in order."""
    assert runs(np.array([1.0, 1, 2, 2, 1]), np.array([0.0, 0, 0, 5, 5])).tolist() == [0, 0, 1, 2, 3]
