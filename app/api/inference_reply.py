"""Predictions as the reply to an Open Inference Protocol request: JSON, and binary data behind it where asked for."""

from __future__ import annotations

import struct
from typing import Any

from app.contract.inference import OUTPUTS, InferenceRequest
from app.serving.prediction import PredictedBatch
from app.telemetry.logs import render


def inference_reply(
    request: InferenceRequest, batch: PredictedBatch, *, model_name: str, request_id: str
) -> tuple[bytes, int | None]:
    """The reply's body and, where it is more than JSON, how many of its first bytes are.

    A request without an id of its own gets that of its HTTP exchange.
    """
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for wanted in request.outputs:
        output = {"name": wanted.name, "datatype": OUTPUTS[wanted.name], "shape": [len(batch.scores)]}
        if wanted.binary:
            data = _packed(batch, wanted.name)
            outputs.append({**output, "parameters": {"binary_data_size": len(data)}})
            binary.append(data)
        else:
            outputs.append({**output, "data": _values(batch, wanted.name)})
    document = {
        "model_name": model_name,
        **({"model_version": batch.model_version} if batch.model_version is not None else {}),
        "id": request.id or request_id,
        "parameters": {
            "batch_id": batch.batch_id,
            **({"warning": batch.warning} if batch.warning is not None else {}),
        },
        "outputs": outputs,
    }
    head = render(document)
    return (b"".join([head, *binary]), len(head)) if binary else (head, None)


def _values(batch: PredictedBatch, output: str) -> list[Any]:
    if output == "prediction":
        return batch.scores
    if output == "is_anomaly":
        return batch.decisions
    return [batch.model_used] * len(batch.scores)


def _packed(batch: PredictedBatch, output: str) -> bytes:
    """Little-endian, without padding; each text behind its length."""
    if output == "prediction":
        return struct.pack(f"<{len(batch.scores)}d", *batch.scores)
    if output == "is_anomaly":
        return bytes(batch.decisions)
    text = batch.model_used.encode()
    return (struct.pack("<I", len(text)) + text) * len(batch.scores)
