"""A stage of a model version as an MLflow model directory, for `mlflow models serve` and `mlflow.pyfunc.load_model`."""

from __future__ import annotations

import pickle
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.contract.schema import FeatureSchema
from app.errors import BundleError, MlflowError
from app.model.bundle import Bundle, check_golden
from app.model.folders import publish
from app.model.manifest import DECISIVE, Manifest
from app.model.mlflow_import import CONDA_FILE, MODEL_FILE, REQUIREMENTS_FILE, THRESHOLD
from app.model.mlflow_signature import written_inputs, written_outputs
from app.model.portable_code import Needs, needs_of
from app.model.scorer import estimator_scores

_PICKLE, _EXAMPLE, _PYTHON_ENV, _CODE = "model.pkl", "input_example.json", "python_env.yaml", "code"


def export_mlflow(bundle: Bundle, stage: str, schema: FeatureSchema, folder: Path) -> None:
    """Writes the `stage` of `bundle` as the MLflow model directory `folder`, complete or not at all.

    Proven first: what was pickled gives the golden scores. Raises `BundleError`.
    """
    try:
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise MlflowError(folder, "exists and is not empty; name a new directory")
        publish(folder.resolve(), _contents(bundle, stage, schema))
    except OSError as error:
        raise MlflowError(folder, f"cannot be written: {error.strerror or error}") from error


def _contents(bundle: Bundle, stage: str, schema: FeatureSchema) -> dict[str, bytes]:
    if stage in bundle.refusals:
        raise bundle.refusals[stage]
    if stage not in bundle.estimators:
        raise BundleError(f"{bundle.version} has no {stage}")
    estimator = bundle.estimators[stage]
    predict = _predict_function(estimator, stage)
    pickled = pickle.dumps(estimator)
    loaded = pickle.loads(pickled)  # noqa: S301 - written in the line above
    check_golden(bundle, stage, estimator_scores(loaded, bundle.golden_rows))
    outputs = np.asarray(getattr(loaded, predict)(bundle.golden_rows)).shape
    needs = needs_of(pickled)
    return {
        MODEL_FILE: msgspec.yaml.encode(_description(bundle.manifest, stage, schema, predict, outputs, needs)),
        _PICKLE: pickled,
        _EXAMPLE: msgspec.json.encode({"columns": schema.names, "data": bundle.manifest.golden_rows}),
        **_environment(needs),
        **{f"{_CODE}/{path}": source for path, source in needs.sources.items()},
    }


def _predict_function(estimator: Any, stage: str) -> str:
    """The function whose output holds the score: MLflow's scikit-learn flavour can call no other."""
    if hasattr(estimator, "predict_proba"):
        return "predict_proba"
    if hasattr(estimator, "score_samples"):
        raise BundleError(f"{stage}: an outlier detector; MLflow would serve its labels, and never its scores")
    return "predict"


def _description(
    manifest: Manifest, stage: str, schema: FeatureSchema, predict: str, outputs: tuple[int, ...], needs: Needs
) -> dict[str, Any]:
    code = {"code": _CODE} if needs.sources else {}
    return {
        "flavors": {
            "python_function": {
                **code,
                "env": {"conda": CONDA_FILE, "virtualenv": _PYTHON_ENV},
                "loader_module": "mlflow.sklearn",
                "model_path": _PICKLE,
                "predict_fn": predict,
                "python_version": platform.python_version(),
            },
            "sklearn": {
                **code,
                "pickled_model": _PICKLE,
                "serialization_format": "pickle",
                "sklearn_version": metadata.version("scikit-learn"),
            },
        },
        "metadata": {
            "version": manifest.version,
            "stage": stage,
            THRESHOLD: manifest.stages[stage].threshold,
        },
        "saved_input_example_info": {"artifact_path": _EXAMPLE, "pandas_orient": "split", "type": "dataframe"},
        "signature": {"inputs": written_inputs(schema), "outputs": written_outputs([-1, *outputs[1:]]), "params": None},
        "utc_time_created": datetime.now(UTC).replace(tzinfo=None).isoformat(" "),
    }


def _environment(needs: Needs) -> Mapping[str, bytes]:
    """The libraries as they are here. Only MLflow is left open: whoever loads the model has one, and any will do."""
    pins = [f"{name}=={metadata.version(name)}" for name in sorted({*DECISIVE, *needs.distributions})]
    requirements = ["mlflow", *pins]
    python = platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": requirements}],
    }
    virtualenv = {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {REQUIREMENTS_FILE}"]}
    return {
        REQUIREMENTS_FILE: "\n".join([*requirements, ""]).encode(),
        CONDA_FILE: msgspec.yaml.encode(conda),
        _PYTHON_ENV: msgspec.yaml.encode(virtualenv),
    }
