"""Another contract is served without touching the package; the README's way to a model of it: `tests/documents`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app.errors import SettingsError
from tests.sensor import SensorSchema

SENSOR = {"feature_schema": "tests.sensor:SensorSchema", "baseline_rule": "tests.sensor:too_hot"}


def test_the_own_rule_is_the_last_stage(make_app: Callable[..., Flask]) -> None:
    """Without any model the contract's own rule answers."""
    client = make_app(**SENSOR).test_client()
    hot = client.post("/predict", json={**SensorSchema().example(), "temperature": 130}).get_json()
    assert (hot["model_used"], hot["prediction"], hot["is_anomaly"]) == ("baseline", 1.0, True)


def test_a_bundle_for_another_contract_is_refused(make_app: Callable[..., Flask], version: str) -> None:
    """A model must never see features that it was not trained for."""
    client = make_app(**SENSOR).test_client()
    health = client.get("/health").get_json()
    assert health["status"] == "degraded"
    assert "this service serves ['temperature'" in health["cause"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"feature_schema": "no_such:Thing"}, "FEATURE_SCHEMA: cannot import", id="no module"),
        pytest.param({"feature_schema": "tests.sensor:Nothing"}, "FEATURE_SCHEMA: cannot import", id="no name"),
        pytest.param({"feature_schema": "tests.sensor:too_hot"}, "is not a subclass of FeatureSchema", id="no schema"),
        pytest.param({"feature_schema": "tests.sensor:SensorSchema"}, "BASELINE_RULE", id="rule of other features"),
        pytest.param({"baseline_rule": "tests.sensor:SENSOR"}, "BASELINE_RULE: cannot import", id="no rule"),
    ],
)
def test_a_contract_that_cannot_be_served_stops_the_start_with_a_clear_word(
    make_app: Callable[..., Flask], changes: dict[str, str], message: str
) -> None:
    """A wrong setting fails loudly, at once, by name."""
    with pytest.raises(SettingsError, match=message):
        make_app(**changes)
