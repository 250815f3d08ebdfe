"""Which metrics an expression asks for."""

from __future__ import annotations

import pytest

from app.readiness.promql import metric_names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ('sum by (job) (up{job="anomaly-service"}) == 0', {"up"}),
        ("rate(a_total[5m]) / on (job) group_left (stage) b", {"a_total", "b"}),
        ("time() - (a or b_seconds) > 60", {"a", "b_seconds"}),
        ("job:prediction_success:ratio_rate5m > 0.01", {"job:prediction_success:ratio_rate5m"}),
        ("histogram_quantile(0.99, sum without(le) (x_bucket offset 20h))", {"x_bucket"}),
        ("a and b unless c > bool 1e3", {"a", "b", "c"}),
        ('absent(up{job=~"a|b"}) * 0 > -Inf', {"up"}),
    ],
)
def test_series_are_found_and_nothing_else(expression: str, names: set[str]) -> None:
    """No function, label, duration, number or word of the language."""
    assert metric_names(expression) == names
