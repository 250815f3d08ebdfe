"""A whole run's odd ends: data from files, golden rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.errors import DataError
from app.model.bundle import GOLDEN_ROWS
from app.training.run import choose_golden_rows, file_data, train
from app.training.synthetic import synthetic_history


def test_labels_that_came_with_the_file_are_used_as_they_are(tmp_path: Path) -> None:
    """Nothing is injected, and the description does not say so."""
    history = synthetic_history(seed=1, days=3, series=2)
    history.to_csv(tmp_path / "metrics.csv", index=False)
    data = file_data(tmp_path / "metrics.csv", seed=1)
    assert data.labels == "given"
    assert data.frame["is_anomaly"].tolist() == history["is_anomaly"].tolist()
    assert "injected" not in data.description + data.label_note


def test_a_file_without_labels_gets_known_anomalies_and_says_so(tmp_path: Path) -> None:
    """In the one-line description that manifest and card carry, and in the note; the seed decides where."""
    history = synthetic_history(seed=1, days=3, series=2).drop(columns="is_anomaly")
    history.to_csv(tmp_path / "metrics.csv", index=False)
    first, second, other = (file_data(tmp_path / "metrics.csv", seed) for seed in (1, 1, 2))
    assert first.labels == "injected"
    assert "injected with seed 1, since the file has no labels" in first.description
    assert "\n" not in first.description
    assert "had no labels" in first.label_note
    assert first.frame["is_anomaly"].sum() > 0
    assert first.frame.equals(second.frame)
    assert not first.frame.equals(other.frame)


def test_a_history_too_short_to_train_on_is_refused_by_name(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "metrics.csv"
    synthetic_history(seed=1, days=3, series=2).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"metrics\.csv: 3\.0 days of history are too little"):
        train(file_data(path, seed=1), seed=1, command="", progress=lambda _: None)


@pytest.mark.parametrize(
    ("anomalies", "expected"),
    [pytest.param(100, 25, id="many"), pytest.param(7, 7, id="few"), pytest.param(990, 40, id="hardly-any-calm-row")],
)
def test_golden_rows_are_of_both_kinds(anomalies: int, expected: int) -> None:
    """Half of them anomalies where there are enough of both, all distinct, the same every time."""
    rows = np.arange(1000.0).reshape(-1, 1)
    labels = (np.arange(1000) < anomalies).astype(np.int64)
    golden = choose_golden_rows(rows, labels, "test")
    assert len(np.unique(golden)) == GOLDEN_ROWS
    assert (golden < anomalies).sum() == expected
    np.testing.assert_array_equal(golden, choose_golden_rows(rows, labels, "test"))


def test_too_few_rows_to_choose_from_are_refused() -> None:
    """A version must be provable."""
    with pytest.raises(DataError, match="49 held-out readings are too few"):
        choose_golden_rows(np.zeros((49, 12)), np.zeros(49, dtype=np.int64), "test")
