"""The load of a drill, on a service that needs no port."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest

from app.contract.schema import FeatureSchema
from app.readiness.load import CLIENTS, Answer, Load
from app.readiness.service import Reply, Service, eventually

RIGHT = b'{"model_version": "v1", "model_used": "primary"}'


class Scripted(Service):
    """Answers every request in the same way."""

    name, audit_dir = "scripted", None

    def __init__(self, status: int, body: bytes = RIGHT) -> None:
        self.status, self.body = status, body
        self.readings: list[dict[str, float]] = []

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        if not self.status:
            raise ConnectionResetError
        self.readings.append(json.loads(body))
        return Reply(self.status, {}, self.body)


@pytest.mark.parametrize(
    ("status", "body", "fails"),
    [
        (200, RIGHT, False), (503, b"{}", True), (0, b"", True), (200, b"<html>", True), (200, b"{}", True),
        (200, b"[]", True), (200, b'{"model_version": "v1", "model_used": "baseline"}', True),
    ],
)  # fmt: skip
def test_what_the_primary_does_not_answer_has_failed(
    status: int, body: bytes, fails: bool, schema: FeatureSchema
) -> None:
    """A refusal, a connection that ends, a reply that is none, another stage: and all clients go on."""
    with Load(Scripted(status, body), schema) as load:
        assert eventually(lambda: len(load.answers) >= 10 * CLIENTS, 10)
        assert all(client.is_alive() for client in load._clients)
    assert load.failed == (len(load.answers) if fails else 0)
    assert math.isnan(load.percentile_s(0.5)) == fails


def test_every_reading_fulfils_the_contract(schema: FeatureSchema) -> None:
    """A load of refusals would measure nothing."""
    service = Scripted(200)
    with Load(service, schema) as load:
        assert eventually(lambda: len(load.answers) >= 10, 10)
    assert all(schema.parse_row(json.dumps(reading).encode()) for reading in service.readings)


def test_percentiles_are_of_what_was_answered(schema: FeatureSchema) -> None:
    """What failed at once is no quick answer."""
    load = Load(Scripted(200), schema)
    load.answers += [Answer(0, second / 100, "v1") for second in range(100)] + [Answer(0, 0, None)] * 100
    assert load.percentile_s(0.5) == 0.5
    assert load.percentile_s(0.99) == 0.99
    assert load.percentile_s(1.0) == 0.99
