"""A stage for MLflow: complete, with the code it needs, and with the scores that the service gives."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest

from app.contract.schema import FeatureSchema
from app.errors import BundleError, GoldenRowsError, IntegrityError, MlflowError
from app.model.bundle import Bundle
from app.model.mlflow_export import export_mlflow
from app.model.mlflow_import import read_mlflow
from app.model.registry import Registry
from tests.conftest import draft_of
from tests.unit.model.crafting import edit_manifest, files_limited_to

SCHEMA = FeatureSchema()
SHIPPED = Registry(Path(__file__).parents[3] / "models", SCHEMA)

LOAD_ELSEWHERE = """
import json, pickle, sys
import numpy as np
sys.path.insert(0, "code")
with open("model.pkl", "rb") as file:
    model = pickle.load(file)
with open("input_example.json") as file:
    rows = np.array(json.load(file)["data"])
foreign = sorted(name for name in sys.modules if name.startswith(("app", "msgspec", "flask")))
scores = model.predict_proba(rows)[:, 1].tolist()
print(json.dumps({"scores": scores, "foreign": foreign, "from": sys.modules["app"].__file__}))
"""


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    """The version that comes with the service."""
    active = SHIPPED.active()
    assert active is not None
    return SHIPPED.load(active)


@pytest.mark.parametrize("stage", ["primary", "fallback"])
def test_the_shipped_model_loads_where_this_package_is_not(shipped: Bundle, tmp_path: Path, stage: str) -> None:
    """In a Python that sees only the libraries and the directory; every golden score is the manifest's."""
    folder = tmp_path / "model"
    export_mlflow(shipped, stage, SCHEMA, folder)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD_ELSEWHERE], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    golden = shipped.manifest.stages[stage].golden_scores
    np.testing.assert_allclose(found["scores"], golden, rtol=0, atol=1e-9)
    assert found["foreign"] == ["app", "app.model", "app.model.ratios"]
    assert Path(folder, found["from"]).is_relative_to(folder)


def test_mlmodel_says_what_mlflow_needs(shipped: Bundle, tmp_path: Path) -> None:
    """Scores instead of labels, the contract as signature, where the code lies, and the decision's threshold."""
    export_mlflow(shipped, "primary", SCHEMA, tmp_path / "model")
    document = msgspec.yaml.decode((tmp_path / "model" / "MLmodel").read_bytes())
    python = document["flavors"]["python_function"]
    assert (python["loader_module"], python["model_path"]) == ("mlflow.sklearn", "model.pkl")
    assert (python["predict_fn"], python["code"]) == ("predict_proba", "code")
    sklearn = document["flavors"]["sklearn"]
    assert (sklearn["serialization_format"], sklearn["code"]) == ("pickle", "code")
    inputs = json.loads(document["signature"]["inputs"])
    assert [(column["name"], column["type"]) for column in inputs] == [(name, "double") for name in SCHEMA.names]
    (output,) = json.loads(document["signature"]["outputs"])
    assert output["tensor-spec"] == {"dtype": "float64", "shape": [-1, 2]}
    assert document["metadata"] == {
        "version": shipped.version,
        "stage": "primary",
        "anomaly_threshold": shipped.manifest.stages["primary"].threshold,
    }


def test_requirements_are_pinned_to_what_is_here(shipped: Bundle, tmp_path: Path) -> None:
    """In all three forms; only MLflow itself is whoever's who loads the model."""
    export_mlflow(shipped, "primary", SCHEMA, tmp_path / "model")
    lines = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    libraries = ("joblib", "numpy", "scikit-learn")
    assert lines == ["mlflow", *(f"{name}=={metadata.version(name)}" for name in libraries)]
    conda = msgspec.yaml.decode((tmp_path / "model" / "conda.yaml").read_bytes())
    assert conda["dependencies"][-1] == {"pip": lines}
    virtualenv = msgspec.yaml.decode((tmp_path / "model" / "python_env.yaml").read_bytes())
    assert virtualenv["dependencies"] == ["-r requirements.txt"]


def test_what_is_exported_can_be_registered(shipped: Bundle, tmp_path: Path) -> None:
    """With the same golden rows, bit for bit, and the same threshold."""
    export_mlflow(shipped, "primary", SCHEMA, tmp_path / "model")
    model = read_mlflow(tmp_path / "model", SCHEMA)
    assert model.threshold == shipped.manifest.stages["primary"].threshold
    np.testing.assert_array_equal(model.sample(SCHEMA).rows, shipped.golden_rows)


def bundle_of(registry: Registry, **estimators: Any) -> Bundle:
    return registry.load(registry.register(draft_of(SCHEMA, **estimators)))


def test_a_model_without_code_of_ours_brings_none(registry: Registry, tmp_path: Path, logistic: Any) -> None:
    """Libraries are in the requirements."""
    export_mlflow(bundle_of(registry, primary=logistic), "primary", SCHEMA, tmp_path / "model")
    document = msgspec.yaml.decode((tmp_path / "model" / "MLmodel").read_bytes())
    assert "code" not in document["flavors"]["sklearn"]
    assert not (tmp_path / "model" / "code").exists()


def test_a_regressor_s_prediction_is_its_score(registry: Registry, tmp_path: Path) -> None:
    """One number a row."""
    rows = SCHEMA.sample(100)
    regressor = HistGradientBoostingRegressor(max_iter=3).fit(rows, rows[:, 10])
    export_mlflow(bundle_of(registry, primary=regressor), "primary", SCHEMA, tmp_path / "model")
    document = msgspec.yaml.decode((tmp_path / "model" / "MLmodel").read_bytes())
    assert document["flavors"]["python_function"]["predict_fn"] == "predict"
    assert '"shape":[-1]' in document["signature"]["outputs"]


def test_an_outlier_detector_is_refused(registry: Registry, tmp_path: Path) -> None:
    """MLflow would call its `predict`, which gives labels."""
    detector = IsolationForest(n_estimators=3, random_state=0).fit(SCHEMA.sample(100))
    with pytest.raises(BundleError, match="primary: an outlier detector; MLflow would serve its labels"):
        export_mlflow(bundle_of(registry, primary=detector), "primary", SCHEMA, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_stage_that_the_version_lacks_is_refused(registry: Registry, tmp_path: Path, logistic: Any) -> None:
    """By name."""
    bundle = bundle_of(registry, primary=logistic)
    with pytest.raises(BundleError, match=f"{bundle.version} has no fallback"):
        export_mlflow(bundle, "fallback", SCHEMA, tmp_path / "model")


def test_a_damaged_stage_is_refused(registry: Registry, version: str, tmp_path: Path) -> None:
    """What must not serve must not leave either."""
    path = registry.folder / version / "primary.joblib"
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(IntegrityError):
        export_mlflow(registry.load(version), "primary", SCHEMA, tmp_path / "model")
    export_mlflow(registry.load(version), "fallback", SCHEMA, tmp_path / "model")


def test_a_stage_with_other_scores_than_promised_is_refused(registry: Registry, version: str, tmp_path: Path) -> None:
    """The golden rows decide here too."""
    edit_manifest(
        registry.folder / version,
        lambda document: document["stages"]["primary"].update(
            golden_scores=[0.5] * len(document["stages"]["primary"]["golden_scores"])
        ),
    )
    with pytest.raises(GoldenRowsError):
        export_mlflow(registry.load(version), "primary", SCHEMA, tmp_path / "model")


def test_a_directory_with_something_in_it_is_left_alone(shipped: Bundle, tmp_path: Path) -> None:
    """Also a file of that name; an empty directory is as good as none."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "MLmodel").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(MlflowError, match=f"{name}: exists and is not empty; name a new directory"):
            export_mlflow(shipped, "fallback", SCHEMA, tmp_path / name)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["MLmodel"]
    (tmp_path / "empty").mkdir()
    export_mlflow(shipped, "fallback", SCHEMA, tmp_path / "empty")
    export_mlflow(shipped, "fallback", SCHEMA, tmp_path / "a" / "new" / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty", "file", "full"]


def test_a_full_disk_leaves_nothing_half_written(shipped: Bundle, tmp_path: Path) -> None:
    """Neither under the name nor beside it."""
    with files_limited_to(2_000), pytest.raises(MlflowError, match="model: cannot be written: File too large"):
        export_mlflow(shipped, "primary", SCHEMA, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
