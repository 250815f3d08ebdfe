"""When it began, and whether it is over."""

from __future__ import annotations

import pytest

from app.reporting.stretches import worst_span


@pytest.mark.parametrize(
    ("bad", "total", "expected"),
    [
        pytest.param([1, 1, 60, 70, 1], [100] * 5, (2, 4), id="in the middle"),
        pytest.param([1, 1, 1, 60, 70], [100] * 5, (3, 5), id="not over yet"),
        pytest.param([90, 1, 1, 1], [100] * 4, (0, 1), id="over"),
        pytest.param([1, 60, 0, 70, 1], [100, 100, 0, 100, 100], (1, 4), id="with a quiet bucket inside"),
        pytest.param([0, 60, 0, 0], [100, 100, 0, 100], (1, 2), id="not with a quiet bucket at its edge"),
        pytest.param([0, 0, 5, 0], [100_000] * 4, None, id="too few to be sure"),
        pytest.param([3000, 3000, 3900, 3000], [100_000] * 4, None, id="sure, but hardly worse"),
        pytest.param([50, 50, 50], [100] * 3, None, id="always bad"),
        pytest.param([0, 0], [100] * 2, None, id="never bad"),
        pytest.param([70], [100], None, id="nothing to compare with"),
        pytest.param([], [], None, id="nothing"),
        pytest.param([100, 100, 0], [100, 100, 100], (0, 2), id="all bad, then none"),
    ],
)
def test_the_stretch_that_stands_out(bad: list[int], total: list[int], expected: tuple[int, int] | None) -> None:
    """Its edges are where the rate changes."""
    assert worst_span(bad, total) == expected
