"""The load of a drill, on a service that needs no port."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest

from app.contract.schema import FeatureSchema
from app.readiness.load import Answer, Load
from app.readiness.service import Reply, Service, eventually


class Scripted(Service):
    """Answers every request in the same way."""

    name, audit_dir = "scripted", None

    def __init__(self, status: int) -> None:
        self.status = status
        self.readings: list[dict[str, float]] = []

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        if not self.status:
            raise ConnectionResetError
        self.readings.append(json.loads(body))
        return Reply(self.status, {}, b'{"model_version": "v1"}')


@pytest.mark.parametrize(("status", "fails"), [(200, False), (503, True), (0, True)])
def test_what_is_no_200_has_failed(status: int, fails: bool, schema: FeatureSchema) -> None:
    """A refusal as well as a connection that ends."""
    with Load(Scripted(status), schema) as load:
        assert eventually(lambda: len(load.answers) >= 10, 10)
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
