"""The Open Inference Protocol as public clients speak it to the real service."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import Service

SCHEMA = FeatureSchema()
ROWS = SCHEMA.sample(200)
INFER = "/v2/models/anomaly/infer"
BINARY = "application/octet-stream"


@pytest.fixture
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    """tritonclient, which is how most programs reach servers of this protocol."""
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}") as client:
        yield client


@pytest.fixture(scope="module")
def expected(service: Service) -> list[dict[str, Any]]:
    """What `/predict/batch` says of the same rows."""
    instances = [dict(zip(SCHEMA.names, row, strict=True)) for row in ROWS.tolist()]
    predictions: list[dict[str, Any]] = service.post("/predict/batch", {"instances": instances}).json["predictions"]
    return predictions


# --- tritonclient -------------------------------------------------------------------------------------------


def test_tritonclient_finds_the_server_and_its_model(client: triton.InferenceServerClient) -> None:
    """Health and metadata, of the one version too."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    (version,) = client.get_model_metadata("anomaly")["versions"]
    assert client.is_model_ready("anomaly")
    assert client.is_model_ready("anomaly", version)
    assert not client.is_model_ready("anomaly", "1")
    assert not client.is_model_ready("another")


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_gets_the_same_answers(
    client: triton.InferenceServerClient, expected: list[dict[str, Any]], binary: bool, encoding: str | None
) -> None:
    """In JSON and binary, compressed and not: those of `/predict/batch`."""
    sent = triton.InferInput("readings", list(ROWS.shape), "FP64").set_data_from_numpy(ROWS, binary_data=binary)
    outputs = [
        triton.InferRequestedOutput(name, binary_data=binary) for name in ("model_used", "is_anomaly", "prediction")
    ]
    result = client.infer(
        "anomaly", [sent], outputs=outputs, request_id="mine",
        request_compression_algorithm=encoding, response_compression_algorithm=encoding,
    )  # fmt: skip
    assert result.get_response()["id"] == "mine"
    assert result.as_numpy("prediction").tolist() == [entry["prediction"] for entry in expected]
    assert result.as_numpy("is_anomaly").tolist() == [entry["is_anomaly"] for entry in expected]
    assert {np.bytes_(text) for text in result.as_numpy("model_used")} == {b"primary"}


def test_tritonclient_may_send_a_tensor_per_feature(
    client: triton.InferenceServerClient, expected: list[dict[str, Any]]
) -> None:
    """In any order; without outputs of its own it asks for all, in binary."""
    inputs = [
        triton.InferInput(name, [len(column)], "FP64").set_data_from_numpy(column)
        for name, column in reversed(list(zip(SCHEMA.names, ROWS.T.copy(), strict=True)))
    ]
    result = client.infer("anomaly", inputs)
    assert result.as_numpy("prediction").tolist() == [entry["prediction"] for entry in expected]


def test_tritonclient_shows_what_is_wrong(client: triton.InferenceServerClient) -> None:
    """The status, and the service's own words."""
    rows = ROWS[:2].copy()
    rows[1, 2] = 11
    sent = triton.InferInput("readings", list(rows.shape), "FP64").set_data_from_numpy(rows)
    with pytest.raises(triton.InferenceServerException, match=r"\[422\] row 1: region_id=11 out of range \[0, 10\]"):
        client.infer("anomaly", [sent])
    with pytest.raises(triton.InferenceServerException, match=r"\[404\] There is no model 'another' here"):
        client.infer("another", [sent])
    wanted = [triton.InferRequestedOutput("prediction", class_count=2)]
    with pytest.raises(triton.InferenceServerException, match=r"\[400\] The parameter classification"):
        client.infer("anomaly", [sent], outputs=wanted)


# --- kserve's client, whose packages do not fit beside these: the requests that it sends --------------------


def test_kserves_client_finds_the_server_and_its_model(service: Service) -> None:
    """It reads these very members."""
    assert service.request("GET", "/v2/health/live").json == {"live": True}
    assert service.request("GET", "/v2/health/ready").json == {"ready": True}
    assert service.request("GET", "/v2/models/anomaly/ready").status == 200


def test_kserves_client_sends_json(service: Service, expected: list[dict[str, Any]]) -> None:
    """It repeats the model's name, and always has an id."""
    tensor = {"name": "x", "shape": [200, 12], "datatype": "FP64", "data": ROWS.ravel().tolist()}
    answer = service.post(INFER, {"id": "ab-1", "model_name": "anomaly", "inputs": [tensor]})
    assert (answer.status, answer.json["id"], answer.json["model_name"]) == (200, "ab-1", "anomaly")
    assert answer.json["outputs"][0]["data"] == [entry["prediction"] for entry in expected]


@pytest.mark.parametrize("binary_reply", [False, True])
def test_kserves_client_sends_bytes(service: Service, expected: list[dict[str, Any]], binary_reply: bool) -> None:
    """As `application/octet-stream`; a binary reply says where its JSON ends."""
    parameters = {"parameters": {"binary_data_output": True}} if binary_reply else {}
    tensor = {"name": "x", "shape": [200, 12], "datatype": "FP64", "parameters": {"binary_data_size": ROWS.nbytes}}
    head = json.dumps({"id": "ab-1", "model_name": "anomaly", "inputs": [tensor], **parameters}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": BINARY}
    answer = service.request("POST", INFER, head + ROWS.tobytes(), headers)
    assert answer.status == 200
    size = int(answer.headers.get("inference-header-content-length", len(answer.body)))
    outputs = json.loads(answer.body[:size])["outputs"]
    assert answer.headers["content-type"] == (BINARY if binary_reply else "application/json")
    scores = np.frombuffer(answer.body[size : size + 1600], "<f8").tolist() if binary_reply else outputs[0]["data"]
    assert scores == [entry["prediction"] for entry in expected]


# --- compressed bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/predict", INFER])
def test_a_bomb_is_refused(service: Service, path: str) -> None:
    """A body of 20 kB that would be 20 MB; the service goes on."""
    for encoding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        bomb = compress(b" " * 20_000_000)
        answer = service.request("POST", path, bomb, {"Content-Encoding": encoding})
        assert (answer.status, "MAX_BODY_BYTES" in answer.json["error"]) == (413, True)
    assert service.request("GET", "/health/ready").status == 200


def test_a_reading_may_be_compressed(service: Service) -> None:
    """Also for one alone."""
    body = gzip.compress(json.dumps(SCHEMA.example()).encode())
    answer = service.request("POST", "/predict", body, {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    assert (answer.status, answer.json["success"]) == (200, True)
