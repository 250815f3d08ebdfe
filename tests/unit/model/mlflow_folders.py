"""MLflow model directories in the layout of MLflow 3, written without it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from app.contract.schema import FeatureSchema, Matrix

Description = dict[str, Any]


def columns(schema: FeatureSchema) -> list[dict[str, Any]]:
    """A signature's inputs: the contract's features."""
    return [{"type": "double", "name": name, "required": True} for name in schema.names]


def tensor(shape: list[int], dtype: str = "float64") -> list[dict[str, Any]]:
    """A signature's inputs: one matrix."""
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}]


def description(schema: FeatureSchema) -> Description:
    """What MLflow writes into `MLmodel` for a pickled scikit-learn model with an input example."""
    return {
        "flavors": {
            "python_function": {
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.sklearn",
                "model_path": "model.pkl",
                "predict_fn": "predict",
                "python_version": "3.11.7",
            },
            "sklearn": {
                "code": None,
                "pickled_model": "model.pkl",
                "serialization_format": "cloudpickle",
                "sklearn_version": metadata.version("scikit-learn"),
                "skops_trusted_types": None,
            },
        },
        "is_signature_from_type_hint": False,
        "mlflow_version": "3.17.2",
        "model_id": None,
        "model_size_bytes": 5161,
        "model_uuid": "1ef2c14a203c4bc995bda3aa4428773b",
        "prompts": None,
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "pandas_orient": "split",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
        },
        "signature": {
            "inputs": json.dumps(columns(schema)),
            "outputs": '[{"type": "long", "required": true}]',
            "params": None,
        },
        "type_hint_from_example": False,
        "utc_time_created": "2026-11-28 05:52:13.785342",
    }


def write_mlflow(
    folder: Path,
    schema: FeatureSchema,
    estimator: object,
    rows: Matrix,
    change: Callable[[Description], object] = lambda _: None,
) -> Path:
    """A directory of `estimator` with `rows` as its input example; `change` edits what MLmodel says."""
    document = description(schema)
    change(document)
    folder.mkdir()
    (folder / "MLmodel").write_bytes(msgspec.yaml.encode(document))
    (folder / "model.pkl").write_bytes(pickle.dumps(estimator))
    (folder / "input_example.json").write_text(json.dumps({"columns": schema.names, "data": rows.tolist()}))
    pins = [f"{name}=={metadata.version(name)}" for name in ("numpy", "pandas", "scikit-learn", "scipy")]
    (folder / "requirements.txt").write_text("\n".join(["mlflow==3.17.2", *pins]))
    conda = {"name": "mlflow-env", "dependencies": ["python=3.11.7", "pip<=23.2.1", {"pip": ["mlflow==3.17.2", *pins]}]}
    (folder / "conda.yaml").write_bytes(msgspec.yaml.encode(conda))
    return folder
