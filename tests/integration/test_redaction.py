"""Features whose values must not be written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.errors import SettingsError
from app.settings import Settings
from tests.integration.conftest import audit_lines

SECRET = 987654.25


def test_redacted_values_stand_in_no_line_of_audit_or_log(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], settings: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Whether the reading was answered or refused, alone or among others; the client still hears what it sent."""
    app = make_app(redact_features="lag_1, metric_value")
    client = app.test_client()
    secret = {**reading, "lag_1": SECRET}
    assert client.post("/predict", json=secret).status_code == 200
    refused = client.post("/predict", json={**secret, "lag_1": -SECRET})
    assert f"lag_1=-{SECRET} out of range" in refused.get_json()["error"]
    client.post("/predict/batch", json={"instances": [secret, {**secret, "lag_1": -SECRET}]})
    app.extensions["anomaly"].background.stop()
    assert settings.audit_dir is not None
    lines = audit_lines(settings.audit_dir)
    assert str(SECRET) not in str(lines) + capfd.readouterr().out
    served, rejected, batch, rejected_row = lines
    assert served["features"] == {name: reading[name] for name in reading if name not in ("lag_1", "metric_value")}
    assert set(batch["features"]) == set(served["features"])
    assert rejected["errors"] == rejected_row["errors"] == [{"feature": "lag_1", "code": "out_of_range"}]
    assert rejected["error"] == "lag_1: out_of_range, its value is redacted"


def test_a_reading_that_fails_is_redacted_too(
    make_app: Callable[..., Flask], reading: dict[str, Any], settings: Settings
) -> None:
    """Its features are written down for whoever looks for the cause, all but these."""
    client = make_app(redact_features="lag_1", baseline_rule="tests.integration.test_predict:broken_rule").test_client()
    assert client.post("/predict", json={**reading, "lag_1": SECRET}).status_code == 503
    assert settings.audit_dir is not None
    (line,) = audit_lines(settings.audit_dir)
    assert "metric_value" in line["features"]
    assert "lag_1" not in line["features"]


def test_a_feature_that_does_not_exist_is_a_wrong_setting(make_app: Callable[..., Flask]) -> None:
    """A typing error must not write down what should stay secret."""
    with pytest.raises(SettingsError, match="REDACT_FEATURES"):
        make_app(redact_features="lag1")
