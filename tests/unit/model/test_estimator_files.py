"""Files from elsewhere: a skops file builds what is known or vouched for, and nothing before that is certain."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.contract.schema import FeatureSchema
from app.errors import BundleError, ContractMismatchError, UnpickleError, UntrustedTypesError
from app.model.estimator_files import read_estimator
from app.model.scorer import estimator_scores
from tests.unit.model.crafting import skops_bomb

SCHEMA = FeatureSchema()
ROWS = SCHEMA.sample(100)
LABELS = (ROWS[:, 0] > ROWS[:, 6]).astype(int)
TREE, HISTOGRAM = "sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


def saved(path: Path, estimator: object) -> Path:
    skops.io.dump(estimator, path)
    return path


def test_a_skops_file_of_known_types_is_read(tmp_path: Path, logistic: Any) -> None:
    """It gives the scores of what was saved."""
    found = read_estimator(saved(tmp_path / "a.skops", logistic), SCHEMA)
    np.testing.assert_array_equal(found.predict_proba(ROWS), logistic.predict_proba(ROWS))


@pytest.mark.parametrize(
    ("estimator", "unknown"),
    [
        pytest.param(HistGradientBoostingClassifier(max_iter=5), HISTOGRAM, id="histogram gradient boosting"),
        pytest.param(RandomForestClassifier(5, random_state=0), TREE, id="random forest"),
        pytest.param(IsolationForest(n_estimators=5, random_state=0), TREE, id="isolation forest"),
    ],
)
def test_trees_are_read_when_their_type_is_vouched_for(tmp_path: Path, estimator: Any, unknown: str) -> None:
    """Vouching is up to whoever knows where the file comes from."""
    path = saved(tmp_path / "a.skops", estimator.fit(ROWS, LABELS))
    with pytest.raises(UntrustedTypesError, match=rf"a\.skops: .* add --trust {unknown}\Z"):
        read_estimator(path, SCHEMA)
    with pytest.raises(UntrustedTypesError):
        read_estimator(path, SCHEMA, ["another.Type"])
    found = read_estimator(path, SCHEMA, [unknown, "another.Type"])
    np.testing.assert_array_equal(estimator_scores(found, ROWS), estimator_scores(estimator, ROWS))


def test_a_malicious_skops_file_is_refused_and_does_nothing(tmp_path: Path) -> None:
    """Its call is named, and made only when somebody vouches for it."""
    trace = tmp_path / "a bomb went off"
    path = skops_bomb(tmp_path / "a.skops", trace)
    with pytest.raises(UntrustedTypesError, match=r"--trust \w+\.mkdir\Z") as refusal:
        read_estimator(path, SCHEMA)
    assert not trace.exists()
    read_estimator(path, SCHEMA, refusal.value.types)
    assert trace.exists(), "a bomb that cannot go off proves nothing"


def _archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"text", id="no archive"),
        pytest.param(_archive(other_txt=""), id="no schema"),
        pytest.param(_archive(schema_json="{"), id="torn"),
        pytest.param(_archive(schema_json=json.dumps({"protocol": 2, "__loader__": "X"})), id="an unknown loader"),
    ],
)
def test_a_file_that_is_no_skops_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """With its name and the cause."""
    (tmp_path / "a.skops").write_bytes(content)
    with pytest.raises(UnpickleError, match=r"a\.skops: cannot be read: \w+"):
        read_estimator(tmp_path / "a.skops", SCHEMA)


def test_without_skops_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service needs it for nothing else."""
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(BundleError, match=r"a\.skops: reading it needs the package skops: pip install skops"):
        read_estimator(tmp_path / "a.skops", SCHEMA)


FRAME = pd.DataFrame(ROWS, columns=list(SCHEMA.names))


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(LogisticRegression(max_iter=5_000), id="bare"),
        pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), id="in a pipeline"),
        pytest.param(CalibratedClassifierCV(make_pipeline(StandardScaler(), LogisticRegression())), id="calibrated"),
        pytest.param(
            VotingClassifier(
                [("a", RandomForestClassifier(3, random_state=0)), ("b", HistGradientBoostingClassifier(max_iter=3))],
                voting="soft",
            ),
            id="voting",
        ),
    ],
)
def test_a_model_fitted_on_a_frame_takes_matrices_without_a_warning(tmp_path: Path, estimator: Any) -> None:
    """Once its columns are known to be the contract's, their names are of no more use; warnings are errors here."""
    expected = estimator.fit(FRAME, LABELS).predict_proba(FRAME)
    path = tmp_path / "a.skops"
    found = read_estimator(saved(path, estimator), SCHEMA, skops.io.get_untrusted_types(file=path))
    # A frame lies in memory the other way round, and sums end in other bits.
    np.testing.assert_allclose(found.predict_proba(ROWS), expected, rtol=0, atol=1e-12)


def test_a_model_fitted_on_other_columns_is_refused(tmp_path: Path) -> None:
    """Whatever the file's form."""
    path = saved(tmp_path / "a.skops", LogisticRegression(max_iter=5_000).fit(FRAME[FRAME.columns[::-1]], LABELS))
    with pytest.raises(ContractMismatchError, match=r"a\.skops: fitted on the columns \['lag_1', "):
        read_estimator(path, SCHEMA)
