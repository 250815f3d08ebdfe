"""Charts as geometry."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.triage.charts import HEIGHT, WIDTH, highest, levels, line, nice_ceiling, percentages, stacked_bars

Columns = list[list[float]]
SERIES = st.integers(1, 8).flatmap(
    lambda places: st.lists(
        st.lists(st.integers(0, 10_000).map(float), min_size=places, max_size=places), min_size=1, max_size=5
    )
)


def bars(path: str) -> list[tuple[float, float, float, float]]:
    """(left, top, width, height) of every bar of a path."""
    found = re.findall(r"M([\d.]+) (-?[\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path)
    assert "".join(re.findall(r"M[^M]*", path)) == path
    assert len(found) == path.count("M")
    return [(float(left), float(top), float(width), float(height)) for left, top, width, height in found]


@given(st.floats(1e-6, 1e12))
def test_an_axis_ends_at_a_round_number_that_is_not_far_off(value: float) -> None:
    """Never below the value, never more than twice as high."""
    ceiling = nice_ceiling(value)
    assert value <= ceiling <= 2.0000001 * value
    assert len(f"{ceiling:.3e}".split("e")[0].rstrip("0").rstrip(".")) == 1


def test_an_axis_of_nothing_still_has_a_height() -> None:
    """Else there would be a division by zero."""
    assert nice_ceiling(0) == 1
    assert [tick.text for tick in levels(300)] == ["0", "150", "300"]
    assert [tick.at for tick in levels(300)] == [HEIGHT, HEIGHT / 2, 0]


@given(SERIES)
def test_stacked_bars_are_as_high_as_their_numbers(series: Columns) -> None:
    """Each by itself, and no bar leaves the plot."""
    ceiling = nice_ceiling(max(sum(column) for column in zip(*series, strict=True)))
    for values, path in zip(series, stacked_bars(series, ceiling), strict=True):
        drawn = bars(path)
        expected = [HEIGHT * value / ceiling for value in values if value > 0]
        assert [height for *_, height in drawn] == pytest.approx(expected, abs=1e-3)
        for left, top, width, height in drawn:
            assert -0.01 <= top <= top + height <= HEIGHT + 0.01
            assert 0 <= left <= left + width <= WIDTH + 0.01


@given(SERIES)
def test_a_bar_stands_on_the_one_below_it(series: Columns) -> None:
    """Without a gap and without hiding any of it."""
    by_place: dict[float, float] = {}
    for path in stacked_bars(series, nice_ceiling(sum(map(max, series)))):
        for left, top, _, height in bars(path):
            assert top + height == pytest.approx(by_place.get(left, HEIGHT), abs=0.003 * len(series))
            by_place[left] = top


@given(SERIES)
def test_percentages_add_up(series: Columns) -> None:
    """To 100, or to nothing where there was nothing."""
    for before, after in zip(zip(*series, strict=True), zip(*percentages(series), strict=True), strict=True):
        assert sum(after) == pytest.approx(100 if sum(before) else 0)


def test_a_line_breaks_where_nothing_is_known() -> None:
    """Two pieces, and a dot for a value that stands alone; nothing for no values."""
    assert line([10, 5, None, 0], 10) == "M40.00 0.00h0L120.00 48.00M280.00 96.00h0"
    assert line([None, None], 10) == ""


@given(st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=60))
@example([5e-324])
def test_a_line_stays_within_the_plot(values: list[float | None]) -> None:
    """And passes every known value, each at its place."""
    path = line(values, nice_ceiling(highest(values)))
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", path)
    known = [place for place, value in enumerate(values) if value is not None]
    step = WIDTH / len(values)
    assert [float(x) for x, _ in points] == pytest.approx([(place + 0.5) * step for place in known], abs=0.01)
    assert all(0 <= float(y) <= HEIGHT for _, y in points)
