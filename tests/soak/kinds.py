"""The kinds of requests that the traffic is mixed of; each knows what has to come back."""

from __future__ import annotations

import gzip
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tests.chaos.judge import TOLERANCE, Judgement, Verdict
from tests.e2e.conftest import Answer
from tests.e2e.replaying import check, replay
from tests.soak.client import Client, Kind, Kinds, WrongAnswerError, expect_served
from tests.unit.contract.inference_bodies import in_binary, in_json, tensor

JSON = {"Content-Type": "application/json"}
INFER = "/v2/models/anomaly/infer"
PAGES = (
    "/health", "/health/live", "/health/ready", "/health/detailed", "/metrics", "/", "/docs", "/openapi.json", "/v2",
    "/v2/models/anomaly",
)  # fmt: skip
LINGER_NOT = struct.pack("ii", 1, 0)
"""Closing such a socket resets the connection."""


def predict(client: Client) -> None:
    """One reading."""
    _single(client, {}, bytes)


def predict_compressed(client: Client) -> None:
    """One reading in gzip."""
    _single(client, {"Content-Encoding": "gzip"}, gzip.compress)


def predict_small_batch(client: Client) -> None:
    """Up to 64 readings, one of them bad now and then."""
    _batch(client, client.random.randint(1, 64), one_is_bad=client.random.random() < 0.2)


def predict_large_batch(client: Client) -> None:
    """Beyond the size at which an estimator takes over from its compiled form."""
    _batch(client, client.random.randint(500, 2000), one_is_bad=False)


def infer_json(client: Client) -> None:
    """Open Inference Protocol, numbers in the JSON."""
    positions = _positions(client, client.random.randint(1, 32))
    body, _ = in_json(tensor(client.judge.rows[positions]))
    _check_inference(client, positions, client.ask("POST", INFER, body, JSON))


def infer_binary(client: Client) -> None:
    """The same with the numbers behind the JSON."""
    positions = _positions(client, client.random.randint(1, 32))
    body, size = in_binary(("x", client.judge.rows[positions]))
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(size)}
    _check_inference(client, positions, client.ask("POST", INFER, body, headers))


def feedback(client: Client) -> None:
    """What really was, for a prediction of before."""
    if not client.prediction_ids:
        predict(client)
    told = {"prediction_id": client.prediction_ids.pop(), "actual": client.random.randint(0, 1)}
    answer = _expect(client.ask("POST", "/feedback", json.dumps(told).encode(), JSON), 202).json
    if not answer["success"]:
        raise WrongAnswerError(str(answer))


def corpus(client: Client) -> None:
    """A request that has to be refused, or only looks like it, and a good one behind it."""
    case = client.random.choice(client.corpus)
    try:
        outcome = replay(case, client.port)
        for answer in (*outcome.answers, outcome.following):
            expect_served(answer)
        check(case, outcome)
    except AssertionError as error:
        raise WrongAnswerError(f"{case.name}: {error}") from error


def page(client: Client) -> None:
    """What people and machines look at."""
    _expect(client.ask("GET", client.random.choice(PAGES)), 200)


def dropped(client: Client) -> None:
    """A connection that is reset in the middle of a request, or before its reply."""
    body = client.random.choice(client.judge.bodies)
    request = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
        connection.sendall(request[: client.random.choice([0, 20, 80, len(request)])])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)


MIX: Kinds = MappingProxyType(
    {
        "a reading": Kind(52, predict),
        "a reading in gzip": Kind(6, predict_compressed),
        "a batch of 1 to 64 readings": Kind(9, predict_small_batch),
        "a batch of 500 to 2,000 readings": Kind(1, predict_large_batch),
        "Open Inference Protocol, JSON": Kind(5, infer_json),
        "Open Inference Protocol, binary": Kind(5, infer_binary),
        "feedback": Kind(7, feedback),
        "a request of the corpus": Kind(6, corpus),
        "health, metrics, pages": Kind(6, page),
        "a dropped connection": Kind(3, dropped),
    }
)


def _single(client: Client, headers: Mapping[str, str], encode: Callable[[bytes], bytes]) -> None:
    (position,) = _positions(client, 1)
    answer = client.ask("POST", "/predict", encode(client.judge.bodies[position]), {**JSON, **headers})
    judgement = client.judge.of(position, answer.status, answer.body)
    _expect_right(judgement)
    client.prediction_ids.append(judgement.prediction_id)


def _batch(client: Client, size: int, *, one_is_bad: bool) -> None:
    positions = _positions(client, size)
    rows = [client.judge.bodies[position] for position in positions]
    bad = client.random.randrange(size) if one_is_bad else None
    if bad is not None:
        rows[bad] = b"{}"
    answer = client.ask("POST", "/predict/batch", b'{"instances": [' + b", ".join(rows) + b"]}", JSON)
    document = _expect(answer, 200).json
    if (document["count"], document["rejected"]) != (size, int(one_is_bad)):
        raise WrongAnswerError(f"{document['count']} rows, {document['rejected']} rejected, of {size}")
    for place, entry in enumerate(document["predictions"]):
        if place != bad:
            _expect_right(client.judge.of_answer(positions[place], entry))
        elif entry["success"] or not entry["error"].startswith("Missing features"):
            raise WrongAnswerError(f"a bad row: {entry}")


def _check_inference(client: Client, positions: Sequence[int], answer: Answer) -> None:
    document = _expect(answer, 200).json
    outputs = {output["name"]: output["data"] for output in document["outputs"]}
    if outputs["model_used"] != ["primary"] * len(positions):
        raise WrongAnswerError(f"answered by {outputs['model_used']}")
    for position, score in zip(positions, outputs["prediction"], strict=True):
        expected = client.judge.expected(document["model_version"], "primary", position)
        if expected is None or abs(score - expected) > TOLERANCE:
            raise WrongAnswerError(f"{score} by {document['model_version']}, not {expected}")


def _expect_right(judgement: Judgement) -> None:
    """Nothing is broken here, so it is the primary that answers."""
    if judgement.verdict is not Verdict.RIGHT or judgement.stage != "primary":
        raise WrongAnswerError(judgement.detail or f"answered by {judgement.stage}")


def _expect(answer: Answer, status: int) -> Answer:
    if answer.status != status:
        raise WrongAnswerError(f"{answer.status}: {answer.body[:300]!r}")
    return answer


def _positions(client: Client, count: int) -> list[int]:
    return client.random.choices(range(len(client.judge.bodies)), k=count)
