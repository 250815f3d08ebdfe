"""MLflow directories are looked through before anything in them is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from app.errors import BundleError, ContractMismatchError, EnvironmentMismatchError, MlflowError
from app.model.mlflow_import import read_mlflow
from tests.unit.model.crafting import Bomb
from tests.unit.model.mlflow_folders import Description, columns, tensor, write_mlflow

SCHEMA = FeatureSchema()
SKLEARN = metadata.version("scikit-learn")
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a directory whose model goes off when it is unpickled."""

    def make_(change: Callable[[Description], object] = lambda _: None, rows: int = 60) -> Path:
        return write_mlflow(tmp_path / "model", SCHEMA, Bomb(tmp_path / "trace"), SCHEMA.sample(rows), change)

    return make_


@pytest.fixture(autouse=True)
def _nothing_is_unpickled(tmp_path: Path) -> Any:
    yield
    assert not (tmp_path / "trace").exists()


def signed(inputs: object) -> Callable[[Description], object]:
    return lambda document: document["signature"].update(inputs=json.dumps(inputs))


def test_a_directory_in_order_is_taken(make: Make) -> None:
    """Its estimator and the rows of its example."""
    model = read_mlflow(make(), SCHEMA)
    assert (model.estimator.name, model.threshold) == ("model.pkl", None)
    sample = model.sample(SCHEMA)
    assert sample.source == "input_example.json"
    np.testing.assert_array_equal(sample.rows, SCHEMA.sample(60))


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param([{**column, "type": "long"} for column in columns(SCHEMA)], id="integers"),
        pytest.param([{"type": "float"}] * 12, id="columns without names"),
        pytest.param(tensor([-1, 12], "float32"), id="a matrix"),
    ],
)
def test_a_signature_that_fits_the_contract_is_taken(make: Make, inputs: object) -> None:
    """With names or without: then position decides, as for a joblib file fitted on a matrix."""
    read_mlflow(make(signed(inputs)), SCHEMA)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        pytest.param(columns(SCHEMA)[1:], r"does not take \['metric_value'\], unlike the contract", id="too few"),
        pytest.param([*columns(SCHEMA), {"type": "double", "name": "extra"}], r"takes \['extra'\], unlike",
                     id="too many"),
        pytest.param(
            [{"type": "double", "name": "a"}, *columns(SCHEMA)[1:]],
            r"does not take \['metric_value'\] and takes \['a'\], unlike", id="another name",
        ),
        pytest.param(columns(SCHEMA)[::-1], r"takes the columns in the order \['lag_1', .* contract's is \['metric_",
                     id="another order"),
        pytest.param([*columns(SCHEMA), columns(SCHEMA)[0]], "takes the columns in the order", id="one name twice"),
        pytest.param([{**columns(SCHEMA)[0], "type": "string"}, *columns(SCHEMA)[1:]],
                     "takes metric_value as string; the contract's features are numbers", id="text"),
        pytest.param([{**column, "type": "boolean"} for column in columns(SCHEMA)],
                     "takes metric_value as boolean", id="truth values"),
        pytest.param([{"type": "double"}] * 11, "takes 11 columns without names, the contract has 12",
                     id="too few without names"),
        pytest.param(tensor([-1, 11]), r"takes a tensor of float64, shape \[-1, 11\]; .* shape \[-1, 12\]",
                     id="narrow"),
        pytest.param(tensor([-1, 12], "str"), "takes a tensor of str", id="a matrix of text"),
        pytest.param(tensor([-1, 12]) * 2, "takes a tensor of float64, .*, a tensor of", id="two matrices"),
        pytest.param([], "does not take", id="nothing"),
    ],
)  # fmt: skip
def test_a_signature_unlike_the_contract_is_refused(make: Make, inputs: object, problem: str) -> None:
    """It says in what."""
    with pytest.raises(ContractMismatchError, match=rf"MLmodel: by its signature the model {problem}"):
        read_mlflow(make(signed(inputs)), SCHEMA)


def flavor(**changes: object) -> Callable[[Description], object]:
    return lambda document: document["flavors"]["sklearn"].update(changes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda document: document.pop("signature"), "has no signature .* --primary", id="no signature"),
        pytest.param(lambda document: document["signature"].update(inputs=None), "has no signature", id="no inputs"),
        pytest.param(lambda document: document["signature"].update(inputs="[{"), "signature cannot be read", id="torn"),
        pytest.param(signed([{"name": "a"}]), "signature cannot be read: .*`type`", id="no types"),
        pytest.param(lambda document: document["flavors"].pop("sklearn"), "flavors are python_function; only scikit",
                     id="python_function alone"),
        pytest.param(lambda document: document.update(flavors={"xgboost": {}}), "flavors are xgboost", id="xgboost"),
        pytest.param(lambda document: document.update(flavors={}), "flavors are none", id="no flavor"),
        pytest.param(lambda document: document.update(flavors=[1]), "not the YAML that MLflow writes", id="a list"),
        pytest.param(lambda document: document["flavors"].update(sklearn={"pickled_model": "model.pkl"}),
                     "flavor sklearn cannot be read: .*sklearn_version", id="no version"),
        pytest.param(flavor(serialization_format="dill"), "serialization_format 'dill' is unknown", id="dill"),
        pytest.param(flavor(serialization_format="skops"), "model.pkl does not go with 'skops'",
                     id="a pickle as skops"),
        pytest.param(flavor(pickled_model="a.skops"), "a.skops does not go with 'cloudpickle'", id="skops as a pickle"),
        pytest.param(flavor(pickled_model="gone.pkl"), "gone.pkl: named in MLmodel, but missing", id="missing"),
        pytest.param(flavor(pickled_model="../trace.pkl"), "'../trace.pkl' leads out of the directory", id="outside"),
        pytest.param(flavor(pickled_model="/etc/passwd"), "'/etc/passwd' leads out of the directory", id="absolute"),
        pytest.param(lambda document: document["saved_input_example_info"].update(artifact_path="../x"), "leads out",
                     id="an example outside"),
        pytest.param(lambda document: document.update(metadata={"anomaly_threshold": 1.5}),
                     "anomaly_threshold must be a probability, is 1.5", id="a threshold above 1"),
        pytest.param(lambda document: document.update(metadata={"anomaly_threshold": float("nan")}),
                     "must be a probability, is nan", id="a threshold of nan"),
        pytest.param(lambda document: document.update(metadata={"anomaly_threshold": "x"}),
                     "must be a probability, is 'x'", id="a threshold of text"),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_named(make: Make, change: Callable[[Description], object], problem: str) -> None:
    """With its file."""
    with pytest.raises(MlflowError, match=problem):
        read_mlflow(make(change), SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"flavors: {sklearn: [", id="torn"),
        pytest.param(b"", id="empty"),
        pytest.param(b"flavors:\n  - 2026-13-45", id="a date that is none"),
        pytest.param(b"flavors: !!python/object/apply:os.mkdir [trace]", id="a tag that runs code"),
        pytest.param(b"flavors: " + b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"a\0b", id="a zero"),
    ],
)
def test_a_broken_mlmodel_is_one_line(make: Make, content: bytes) -> None:
    """Whatever is wrong with it."""
    folder = make()
    (folder / "MLmodel").write_bytes(content)
    with pytest.raises(MlflowError, match=r"MLmodel: not [^\n]+\Z"):
        read_mlflow(folder, SCHEMA)


def test_aliases_that_unfold_into_billions_cost_nothing(make: Make) -> None:
    """They are shared, and what nobody asks for is passed over."""
    folder = make()
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]\n" for level in range(1, 64)
    )
    path = folder / "MLmodel"
    path.write_text(bomb + path.read_text())
    read_mlflow(folder, SCHEMA)


def test_a_directory_without_mlmodel_is_none(tmp_path: Path) -> None:
    """The file is named."""
    with pytest.raises(MlflowError, match="MLmodel: No such file or directory"):
        read_mlflow(tmp_path, SCHEMA)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("requirements.txt", "mlflow\nnumpy==1.26.4\n", id="requirements"),
        pytest.param("constraints.txt", "numpy==1.26.4", id="constraints"),
        pytest.param("conda.yaml", "dependencies: [python=3.11, pip: [numpy==1.26.4]]", id="conda's pip"),
        pytest.param("conda.yaml", "dependencies: [conda-forge::numpy=1.26.4=py311h64a7726_0]", id="conda's own"),
    ],
)
def test_another_environment_is_refused(make: Make, file: str, content: str) -> None:
    """Wherever it is written down; conda.yaml counts where there is no requirements.txt."""
    folder = make()
    (folder / file).write_text(content)
    if file == "conda.yaml":
        (folder / "requirements.txt").unlink()
    here = metadata.version("numpy")
    with pytest.raises(EnvironmentMismatchError, match=rf"made in another .*: numpy 1\.26\.4 there, {here} here\Z"):
        read_mlflow(folder, SCHEMA)


def test_the_flavor_s_own_version_counts_too(make: Make) -> None:
    """MLflow writes it down even where somebody chose the requirements by hand."""
    with pytest.raises(EnvironmentMismatchError, match=rf"scikit-learn 1\.5\.2 there, {SKLEARN} here"):
        read_mlflow(make(flavor(sklearn_version="1.5.2")), SCHEMA)


def test_a_model_without_requirements_is_refused(make: Make) -> None:
    """Nothing would say which numpy made it."""
    folder = make()
    (folder / "requirements.txt").unlink()
    read_mlflow(folder, SCHEMA)  # conda.yaml still does
    (folder / "conda.yaml").unlink()
    with pytest.raises(MlflowError, match=r"neither requirements\.txt nor conda\.yaml"):
        read_mlflow(folder, SCHEMA)


def test_code_that_came_along_must_be_importable_here(make: Make) -> None:
    """Workers look for it on their own path."""
    folder = make(flavor(code="code"))
    (folder / "code" / "app").mkdir(parents=True)
    (folder / "code" / "__pycache__").mkdir()
    read_mlflow(folder, SCHEMA)
    (folder / "code" / "of_nobody_here.py").touch()
    with pytest.raises(MlflowError, match="the service needs 'of_nobody_here' on its PYTHONPATH"):
        read_mlflow(folder, SCHEMA)


def test_an_exported_threshold_comes_back(make: Make) -> None:
    """0 and 1 are probabilities too."""
    folder = make(lambda document: document.update(metadata={"anomaly_threshold": 0, "other": "x"}))
    assert read_mlflow(folder, SCHEMA).threshold == 0


# --- the input example --------------------------------------------------------------------------------------


def test_an_example_without_names_is_read_by_position(make: Make) -> None:
    """As numpy arrays are saved."""
    folder = make()
    (folder / "input_example.json").write_text(json.dumps(SCHEMA.sample(50).tolist()))
    np.testing.assert_array_equal(read_mlflow(folder, SCHEMA).sample(SCHEMA).rows, SCHEMA.sample(50))


def test_rows_beyond_the_contract_are_left_out(make: Make) -> None:
    """As long as enough remain."""
    folder = make(rows=52)
    table = json.loads((folder / "input_example.json").read_text())
    table["data"][0][0], table["data"][9][1] = -1, None
    (folder / "input_example.json").write_text(json.dumps(table))
    rows = read_mlflow(folder, SCHEMA).sample(SCHEMA).rows
    np.testing.assert_array_equal(rows, np.delete(SCHEMA.sample(52), [0, 9], axis=0))
    table["data"][10][0] = "high"
    (folder / "input_example.json").write_text(json.dumps(table))
    problem = (
        r"49 of its 52 rows fulfil the contract \(metric_value=-1.* range .*\), at least 50 are needed; .*--golden"
    )
    with pytest.raises(MlflowError, match=problem):
        read_mlflow(folder, SCHEMA).sample(SCHEMA)


def test_without_an_example_rows_must_be_given(make: Make) -> None:
    """The message says how."""
    model = read_mlflow(make(lambda document: document.pop("saved_input_example_info")), SCHEMA)
    with pytest.raises(MlflowError, match="holds no input example; give a CSV of valid rows with --golden"):
        model.sample(SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="torn"),
        pytest.param('{"inputs": [1]}', id="another form"),
        pytest.param('{"columns": ["a"], "data": [[1, 2]]}', id="longer rows than columns"),
        pytest.param("[[1, 2]]", id="a narrow matrix"),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_an_example_that_is_none_is_refused(make: Make, content: str) -> None:
    """With its name."""
    folder = make()
    (folder / "input_example.json").write_text(content)
    with pytest.raises(BundleError, match=r"input_example\.json: cannot be read as an input example"):
        read_mlflow(folder, SCHEMA).sample(SCHEMA)
