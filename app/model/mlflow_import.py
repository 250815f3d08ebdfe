"""An MLflow model directory, looked through without MLflow and without unpickling anything.

Only its scikit-learn flavour is known: any other would be foreign code that loads itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema, Row
from app.errors import EnvironmentMismatchError, MlflowError
from app.model.bundle import GOLDEN_ROWS
from app.model.estimator_files import SKOPS_SUFFIX
from app.model.mlflow_signature import check_inputs
from app.model.registration import Sample
from app.model.requirements import conda_requirements, requirement_differences

MODEL_FILE, REQUIREMENTS_FILE, CONDA_FILE = "MLmodel", "requirements.txt", "conda.yaml"
THRESHOLD = "anomaly_threshold"
"""Under this name an exported model's metadata hold the score from which a reading is an anomaly."""

Document = TypeVar("Document")


class _Signature(msgspec.Struct):
    inputs: str | None = None


class _Example(msgspec.Struct):
    artifact_path: str


class _Description(msgspec.Struct):
    flavors: dict[str, Any]
    signature: _Signature | None = None
    metadata: dict[str, Any] | None = None
    saved_input_example_info: _Example | None = None


class _SklearnFlavor(msgspec.Struct):
    pickled_model: str
    sklearn_version: str
    serialization_format: str = "pickle"
    code: str | None = None


class _Conda(msgspec.Struct):
    dependencies: list[Any]


class _Table(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """A directory that may be registered."""

    folder: Path
    estimator: Path
    threshold: float | None
    example: Path | None

    def sample(self, schema: FeatureSchema) -> Sample:
        """The valid rows of its input example. Raises `MlflowError` where they are too few to know a model by."""
        remedy = "give a CSV of valid rows with --golden"
        if self.example is None:
            raise MlflowError(self.folder, f"holds no input example; {remedy}")
        readings = _readings(self.example, schema)
        checked = [schema.check(reading) for reading in readings]
        rows: list[Row] = [entry for entry in checked if not isinstance(entry, Rejected)]
        if len(rows) < GOLDEN_ROWS:
            first = next((f" ({entry.message})" for entry in checked if isinstance(entry, Rejected)), "")
            found = f"{len(rows)} of its {len(checked)} rows fulfil the contract{first}"
            raise MlflowError(self.example, f"{found}, at least {GOLDEN_ROWS} are needed; {remedy}")
        return Sample(schema.matrix(rows), self.example.name)


def read_mlflow(folder: Path, schema: FeatureSchema) -> MlflowModel:
    """The model in the MLflow directory `folder`; its signature fits the contract, its requirements this environment.

    Raises `BundleError`.
    """
    path = folder / MODEL_FILE
    description = _yaml(path, _Description)
    flavor = _sklearn_flavor(path, description)
    if description.signature is None or description.signature.inputs is None:
        raise MlflowError(path, "has no signature that says which columns the model takes; save it with one, or "
                                f"register {flavor.pickled_model} itself with --primary")  # fmt: skip
    try:
        check_inputs(description.signature.inputs, schema, path)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MlflowError(path, f"its signature cannot be read: {error}") from None
    differences = requirement_differences([f"scikit-learn=={flavor.sklearn_version}", *_requirements(folder)])
    if differences:
        raise EnvironmentMismatchError(differences)
    if flavor.code:
        _check_code(folder, flavor.code)
    example = description.saved_input_example_info
    return MlflowModel(
        folder=folder,
        estimator=_inside(folder, flavor.pickled_model),
        threshold=_threshold(path, description),
        example=_inside(folder, example.artifact_path) if example else None,
    )


def _sklearn_flavor(path: Path, description: _Description) -> _SklearnFlavor:
    if "sklearn" not in description.flavors:
        given = ", ".join(description.flavors) or "none"
        raise MlflowError(path, f"its flavors are {given}; only scikit-learn's (sklearn) can be registered")
    try:
        flavor = msgspec.convert(description.flavors["sklearn"], _SklearnFlavor)
    except msgspec.ValidationError as error:
        raise MlflowError(path, f"its flavor sklearn cannot be read: {error}") from None
    if flavor.serialization_format not in ("pickle", "cloudpickle", "skops"):
        raise MlflowError(path, f"serialization_format {flavor.serialization_format!r} is unknown here")
    # What may be unpickled is told by the suffix alone, so the two must agree.
    if (flavor.serialization_format == "skops") != (Path(flavor.pickled_model).suffix == SKOPS_SUFFIX):
        raise MlflowError(path, f"{flavor.pickled_model} does not go with {flavor.serialization_format!r}")
    return flavor


def _threshold(path: Path, description: _Description) -> float | None:
    value = (description.metadata or {}).get(THRESHOLD)
    if value is None:
        return None
    if not (isinstance(value, int | float) and 0 <= value <= 1):
        raise MlflowError(path, f"{THRESHOLD} must be a probability, is {value!r}")
    return float(value)


def _requirements(folder: Path) -> list[str]:
    pip, conda = folder / REQUIREMENTS_FILE, folder / CONDA_FILE
    if pip.exists():
        constraints = folder / "constraints.txt"
        text = _text(pip) + "\n" + (_text(constraints) if constraints.exists() else "")
        return text.replace("\\\n", " ").splitlines()
    if conda.exists():
        return conda_requirements(_yaml(conda, _Conda).dependencies)
    raise MlflowError(folder, f"holds neither {REQUIREMENTS_FILE} nor {CONDA_FILE}; nothing says what made the model")


def _check_code(folder: Path, code: str) -> None:
    """Every package that came along must be importable here: no worker would look into the directory."""
    for entry in sorted(_inside(folder, code).glob("[!_]*")):
        name = entry.stem
        if name.isidentifier() and (entry.is_dir() or entry.suffix == ".py") and find_spec(name) is None:
            raise MlflowError(entry, f"the model's own code; the service needs {name!r} on its PYTHONPATH")


def _readings(path: Path, schema: FeatureSchema) -> list[object]:
    """The example as readings by feature name; it is a table with names, or a matrix without."""
    try:
        table = msgspec.json.decode(path.read_bytes(), type=_Table | list[list[Any]])
        names, data = (table.columns, table.data) if isinstance(table, _Table) else (schema.names, table)
        return [dict(zip(names, values, strict=True)) for values in data]
    except OSError as error:
        raise MlflowError(path, error.strerror or "cannot be read") from None
    except (ValueError, RecursionError) as error:
        raise MlflowError(path, f"cannot be read as an input example: {error}") from None


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise MlflowError(folder, f"{name!r} leads out of the directory")
    if not path.exists():
        raise MlflowError(path, f"named in {MODEL_FILE}, but missing")
    return path


def _yaml(path: Path, form: type[Document]) -> Document:
    try:
        return msgspec.yaml.decode(_text(path), type=form)
    except ValueError as error:  # all of msgspec's, and a date that is none
        raise MlflowError(path, f"not the YAML that MLflow writes: {' '.join(str(error).split())}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MlflowError(path, f"not UTF-8: {error}") from None
    except OSError as error:
        raise MlflowError(path, error.strerror or "cannot be read") from None
