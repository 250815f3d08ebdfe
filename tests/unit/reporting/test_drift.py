"""PSI against the reference, counted while the files are read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from app.model.manifest import Bins
from app.reporting.drift import DriftCount
from app.reporting.period import Period, parse_time
from app.reporting.report import files_of
from app.reporting.results import Drift
from app.reporting.store import scratch_store
from app.telemetry.drift import population_stability_index
from tests.unit.reporting.crafting import Line, batch, failed, line, rejected, served, write

REFERENCE = {
    "a": Bins([0.0, 1.0, 2.0, 10.0], [0.5, 0.25, 0.25]),
    "b": Bins([0.0, 5.0], [1.0]),
    'odd "name", it\'s': Bins([-1.0, 0.1, 1.0], [0.5, 0.5]),
}


def drift_of(folder: Path, period: Period | None = None) -> dict[str, Drift]:
    period = period or Period()
    with scratch_store() as store:
        count = DriftCount(store.connection, REFERENCE)
        store.load(files_of(folder, period), count.statements, period)
        return {entry.feature: entry for entry in count.results()}


def _features(a: float, odd: float = 0.0) -> dict[str, float]:
    return {"a": a, "b": 1.0, 'odd "name", it\'s': odd}


def test_an_edge_belongs_to_the_bin_above_as_in_training(tmp_path: Path) -> None:
    """Single rows, failed rows, and every row of a batch; refused rows have no features."""
    columns = {"a": [2.0, 9.0, 0.5, 1.5], "b": [1.0] * 4, 'odd "name", it\'s': [0.1] * 4}
    write(tmp_path, [
        served("10:00:00", features=_features(0.0)), served("10:00:00", features=_features(1.0)),
        failed("10:00:01", features=_features(0.999)), batch("10:00:02", "b", [0, 0, 1, 0], features=columns),
        rejected("10:00:03", ("a", "missing")),
        line("batch.failed", "10:00:04", success=False, count=1, features={"a": [10.0]}),
    ])  # fmt: skip
    found = drift_of(tmp_path)
    assert (found["a"].rows, found["a"].live) == (8, [3 / 8, 2 / 8, 3 / 8])
    assert (found["b"].rows, found["b"].live, found["b"].psi) == (7, [1.0], 0.0)
    assert found['odd "name", it\'s'].live == [3 / 7, 4 / 7]
    expected = sum((x - y) * math.log(x / y) for x, y in zip([3 / 8, 2 / 8, 3 / 8], REFERENCE["a"].ratios, strict=True))
    assert found["a"].psi == pytest.approx(expected)


def test_the_period_bounds_what_is_counted(tmp_path: Path) -> None:
    """`until` does not belong to it."""
    write(tmp_path, [served(f"{hour:02}:00:00", features=_features(hour)) for hour in range(4)])
    now = parse_time("2026-11-20", parse_time("2026-11-20", None))  # type: ignore[arg-type]
    period = Period(parse_time("2026-11-20T01:00", now), parse_time("2026-11-20T03:00", now))
    assert drift_of(tmp_path, period)["a"].live == [0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("share_above", "verdict"),
    [
        pytest.param(0.5, "stable", id="as in training"),
        pytest.param(0.7, "moderate", id="moved"),
        pytest.param(0.9, "large", id="elsewhere"),
    ],
)
def test_a_verdict_says_how_much(tmp_path: Path, share_above: float, verdict: str) -> None:
    """The usual limits of the index."""
    above = int(1000 * share_above)
    odd = [0.5] * above + [0.0] * (1000 - above)
    write(tmp_path, [served("10:00:00", features=_features(0, value)) for value in odd])
    assert drift_of(tmp_path)['odd "name", it\'s'].verdict == verdict


def test_few_rows_give_no_verdict_and_none_no_figure(tmp_path: Path) -> None:
    """Chance alone would look like drift."""
    lines: list[Line] = [served("10:00:00", features={"a": 9.0}) for _ in range(499)]
    write(tmp_path, lines)
    found = drift_of(tmp_path)
    assert found["a"].psi is not None
    assert found["a"].psi > 1
    assert found["a"].verdict == "too few rows"
    assert (found["b"].psi, found["b"].rows, found["b"].verdict) == (None, 0, "too few rows")
    tmp_path.joinpath("predictions-20261120-7.jsonl").unlink()
    assert {entry.psi for entry in drift_of(tmp_path).values()} == {None}


def test_an_empty_bin_is_much_drift_and_not_infinite() -> None:
    """It counts as one in ten thousand, on either side."""
    assert population_stability_index([0.0, 1.0], [0.5, 0.5]) == pytest.approx(
        (1e-4 - 0.5) * math.log(1e-4 / 0.5) + 0.5 * math.log(2)
    )
    assert population_stability_index([0.5, 0.5], [0.0, 1.0]) == population_stability_index([0.0, 1.0], [0.5, 0.5])
