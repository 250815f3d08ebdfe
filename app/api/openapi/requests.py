"""What the endpoints take, as JSON Schema, with examples: made of the contract that is served."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from app.api.replies.vocabulary import SCHEMAS, PredictionId
from app.contract.feedback import PREDICTION_ID
from app.contract.inference_json import Document
from app.contract.schema import FeatureSchema

Schema = dict[str, Any]

_INFERENCE_NAMES = {b"Document_Any_": b"InferenceRequest", b"Input_Any_": b"InputTensor"}


def request_schemas(schema: FeatureSchema, max_batch_rows: int) -> dict[str, Schema]:
    """The schemas of all request bodies, by name."""
    prediction_id = {"type": "string", "pattern": f"^{PREDICTION_ID}$", **_annotations(PredictionId)}
    actual = {"enum": [0, 1], "description": "1: it was an anomaly."}
    return {
        "Reading": _reading(schema),
        "Readings": _object("Many readings.", instances=_many("Reading", max_batch_rows)),
        "Feedback": _object("What really was, of one prediction.", prediction_id=prediction_id, actual=actual),
        "FeedbackList": _object("What really was, of many predictions.", feedback=_many("Feedback", max_batch_rows)),
        **_inference(),
    }


def request_examples(schema: FeatureSchema) -> dict[str, dict[str, Any]]:
    """A request body for each of these, by schema and by name: all are valid, and can be sent as they are."""
    reading = schema.example()
    (prediction_id,) = _annotations(PredictionId)["examples"]
    feedback = {"prediction_id": prediction_id, "actual": 1}
    values = list(reading.values())
    one_tensor = {"name": "readings", "datatype": "FP64", "shape": [2, len(values)], "data": [values, values]}
    by_feature = [{"name": name, "datatype": "FP64", "shape": [1], "data": [value]} for name, value in reading.items()]
    return {
        "Reading": {"reading": reading},
        "Readings": {"two readings": {"instances": [reading, reading]}},
        "Feedback": {"one": feedback},
        "FeedbackList": {"many": {"feedback": [feedback]}},
        "InferenceRequest": {
            "a row per reading": {"inputs": [one_tensor]},
            "a tensor per feature": {"inputs": by_feature, "outputs": [{"name": "prediction"}]},
        },
    }


def _reading(schema: FeatureSchema) -> Schema:
    # Not an inherited docstring: it would speak of other features.
    described = type(schema).__dict__.get("__doc__")
    properties = {
        feature.name: {
            "type": "number",
            "minimum": _number(feature.low),
            "maximum": _number(feature.high),
            "description": feature.description,
            "examples": [_number(feature.example)],
        }
        for feature in schema.features
    }
    return _object(inspect.cleandoc(described) if described else "One reading.", **properties)


def _inference() -> dict[str, Schema]:
    """As the very types that decode it have it; shapes, datatypes and data must fit each other besides."""
    _, components = msgspec.json.schema_components([Document[Any]], ref_template=SCHEMAS + "{name}")
    text = msgspec.json.encode(components)
    for name, shown in _INFERENCE_NAMES.items():
        text = text.replace(name, shown)
    schemas: dict[str, Schema] = msgspec.json.decode(text)
    for entry in schemas.values():
        del entry["title"]
    return schemas


def _object(description: str, **properties: Schema) -> Schema:
    """An object of exactly these members."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _many(name: str, at_most: int) -> Schema:
    anything = {"description": "Anything else is answered with its problems, in its place."}
    return {"type": "array", "maxItems": at_most, "items": {"anyOf": [{"$ref": SCHEMAS + name}, anything]}}


def _annotations(kind: Any) -> Schema:
    schema = msgspec.json.schema(kind)
    return {name: schema[name] for name in ("description", "examples")}


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value
