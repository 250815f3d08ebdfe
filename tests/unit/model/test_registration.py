"""Versions from joblib files: what is wrong with a file or a row is said before anything is registered."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from app.contract.schema import FeatureSchema, Matrix
from app.errors import BundleError, ContractMismatchError, ServiceError, UnpickleError
from app.model.registration import Sample, draft_from_files, read_sample
from app.model.registry import Registry
from tests.unit.model.crafting import Scoring, table_of, write_csv

SCHEMA = FeatureSchema()


def dump(path: Path, estimator: object) -> Path:
    joblib.dump(estimator, path)
    return path


@pytest.fixture
def golden(tmp_path: Path) -> Sample:
    """120 rows of the contract."""
    return read_sample(write_csv(tmp_path / "golden.csv", table_of(SCHEMA, SCHEMA.sample(120, seed=4))), SCHEMA)


def test_good_files_become_a_draft(tmp_path: Path, golden: Sample, logistic: Any) -> None:
    """Which can be registered, and says where it comes from."""
    files = {"primary": dump(tmp_path / "p", logistic), "fallback": dump(tmp_path / "f", Scoring(0.25))}
    draft = draft_from_files(files, golden, SCHEMA, {}, "flask models register")
    rows = SCHEMA.sample(120, seed=4)
    assert draft.thresholds == {"primary": 0.5, "fallback": 0.5}
    np.testing.assert_array_equal(draft.golden_rows, rows[::2][:50])
    np.testing.assert_array_equal(draft.reference_rows, rows)
    assert draft.training.command == "flask models register"
    assert draft.training.data == "golden.csv, 120 rows; trained elsewhere"
    assert draft.training.data_digest == hashlib.sha256(rows.tobytes()).hexdigest()
    assert draft.training.rows == 120
    registry = Registry(tmp_path / "models", SCHEMA)
    assert set(registry.verify(registry.register(draft)).stages) == {"primary", "fallback"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(1, 1, id="one"), pytest.param(50, 50, id="fifty"), pytest.param(99, 50, id="almost twice as many"),
        pytest.param(1_001, 50, id="many"),
    ],
)  # fmt: skip
def test_golden_rows_are_spread_over_the_table(tmp_path: Path, rows: int, expected: int) -> None:
    """At most fifty, the first row among them."""
    sample = SCHEMA.sample(rows, seed=5)
    files = {"primary": dump(tmp_path / "p", Scoring(0.5))}
    draft = draft_from_files(files, Sample(sample, "golden.csv"), SCHEMA, {}, "")
    assert draft.golden_rows.shape == (expected, 12)
    np.testing.assert_array_equal(draft.golden_rows[0], sample[0])
    step = rows // 50 or 1
    np.testing.assert_array_equal(draft.golden_rows[-1], sample[(expected - 1) * step])


def _detector() -> Any:
    return IsolationForest(n_estimators=10, contamination=0.1, random_state=0).fit(SCHEMA.sample(100))


@pytest.mark.parametrize("given", [pytest.param(0.0, id="zero"), pytest.param(0.3, id="some")])
def test_a_given_threshold_holds_for_every_stage(tmp_path: Path, golden: Sample, given: float) -> None:
    """Also for a detector that has one of its own."""
    files = {"primary": dump(tmp_path / "p", _detector()), "fallback": dump(tmp_path / "f", Scoring(0.5))}
    draft = draft_from_files(files, golden, SCHEMA, dict.fromkeys(files, given), "")
    assert draft.thresholds == {"primary": given, "fallback": given}


@pytest.mark.parametrize("wrapped", [pytest.param(False, id="bare"), pytest.param(True, id="behind a scaler")])
def test_an_outlier_detector_brings_its_own_threshold(tmp_path: Path, golden: Sample, wrapped: bool) -> None:
    """Decisions are then those of its `predict`, also where it is the last step of a pipeline."""
    detector = _detector()
    if wrapped:
        detector = make_pipeline(StandardScaler(), IsolationForest(n_estimators=10, contamination=0.1, random_state=0))
        detector.fit(SCHEMA.sample(100))
    draft = draft_from_files({"primary": dump(tmp_path / "p", detector)}, golden, SCHEMA, {}, "")
    rows = draft.reference_rows
    anomalies = -detector.score_samples(rows) >= draft.thresholds["primary"]
    np.testing.assert_array_equal(anomalies, detector.predict(rows) == -1)
    assert 0 < anomalies.sum() < len(rows)


class OffsetInAnArray(Scoring):
    """A detector that keeps its offset in an array of one, as `OneClassSVM` does."""

    offset_ = np.array([-0.4])


def test_a_detectors_threshold_may_lie_in_an_array(tmp_path: Path, golden: Sample) -> None:
    """As long as there is one."""
    draft = draft_from_files({"primary": dump(tmp_path / "p", OffsetInAnArray(0.5))}, golden, SCHEMA, {}, "")
    assert draft.thresholds == {"primary": 0.4}


class Named(Scoring):
    """Fitted on named columns."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(0.5)
        self.feature_names_in_ = np.array(names, dtype=object)


class Columns(Scoring):
    """Returns something other than one score a row."""

    def predict_proba(self, rows: Matrix) -> Matrix:
        return np.full((len(rows), 2, 2), 0.5)


class Raising(Scoring):
    """Loads and then fails."""

    def predict_proba(self, rows: Matrix) -> Matrix:
        raise ArithmeticError("no idea")


def _narrow() -> Any:
    return LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])


def _one_class_svm() -> Any:
    return OneClassSVM(gamma=1e-13, nu=0.5).fit(SCHEMA.sample(50))


@pytest.mark.parametrize(
    ("estimator", "error", "problem"),
    [
        pytest.param(Scoring(1.5), BundleError, "its scores reach from 1.5 to 1.5; a score", id="scores above 1"),
        pytest.param(Scoring(-0.1), BundleError, "its scores reach from -0.1 to -0.1", id="scores below 0"),
        pytest.param(_one_class_svm(), BundleError, "its scores reach from ", id="a detector without bounds"),
        pytest.param(Scoring(np.nan), BundleError, "its scores are not finite numbers", id="scores of nan"),
        pytest.param(Scoring(np.inf), BundleError, "its scores are not finite numbers", id="infinite scores"),
        pytest.param(Columns(0.5), BundleError, "its scores are not finite numbers", id="wrong shape"),
        pytest.param(Raising(0.5), BundleError, "cannot score the golden rows: ArithmeticError: no idea", id="raising"),
        pytest.param(_narrow(), BundleError, "cannot score the golden rows: ValueError", id="fitted on one column"),
        pytest.param("a string", BundleError, "cannot score the golden rows: AttributeError", id="no estimator"),
        pytest.param(
            Named(("a", "b")), ContractMismatchError, r"fitted on the columns \['a', 'b'\], the contract is \['metric_",
            id="other columns",
        ),
        pytest.param(
            Named(SCHEMA.names[::-1]), ContractMismatchError, r"fitted on the columns \['lag_1', ", id="another order"
        ),
    ],
)  # fmt: skip
def test_an_unfit_estimator_is_refused(
    tmp_path: Path, golden: Sample, estimator: object, error: type[ServiceError], problem: str
) -> None:
    """With its file's name, whichever stage it was meant for."""
    files = {"primary": dump(tmp_path / "good", Scoring(0.5)), "fallback": dump(tmp_path / "bad.joblib", estimator)}
    with pytest.raises(error, match=rf"bad\.joblib: {problem}"):
        draft_from_files(files, golden, SCHEMA, {}, "")


def test_scores_at_both_ends_are_fine(tmp_path: Path, golden: Sample) -> None:
    """0 and 1 are probabilities."""
    for score in (0.0, 1.0):
        draft_from_files({"primary": dump(tmp_path / "p", Scoring(score))}, golden, SCHEMA, {}, "")


def test_an_estimator_fitted_on_the_contracts_columns_is_taken(tmp_path: Path, golden: Sample) -> None:
    """Names in contract order are what they should be."""
    draft = draft_from_files({"primary": dump(tmp_path / "p", Named(SCHEMA.names))}, golden, SCHEMA, {}, "")
    assert list(draft.estimators) == ["primary"]


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"", id="empty"), pytest.param(b"text", id="text"), pytest.param(b"cnowhere\nX\n.", id="no module")],
)
def test_a_file_that_cannot_be_unpickled_is_refused(tmp_path: Path, golden: Sample, content: bytes) -> None:
    """With its name and the cause."""
    (tmp_path / "bad.joblib").write_bytes(content)
    with pytest.raises(UnpickleError, match=r"bad\.joblib: cannot be unpickled: \w+"):
        draft_from_files({"primary": tmp_path / "bad.joblib"}, golden, SCHEMA, {}, "")
