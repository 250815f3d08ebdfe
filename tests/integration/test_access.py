"""API keys, from the request to the audit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.errors import SettingsError
from app.settings import Settings, load_settings
from tests.integration.conftest import audit_lines

KEY = "s3cret"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{hashlib.sha256(KEY.encode()).hexdigest()} pipeline\n")
    return path


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/feedback", "/v2/models/anomaly/infer"])
def test_every_post_needs_a_key(make_app: Callable[..., Flask], version: str, keys_file: Path, path: str) -> None:
    """In the envelope, with the header that clients look for; the key itself is let through to the view."""
    client = make_app(api_keys_file=keys_file).test_client()
    refused = client.post(path, json={})
    assert (refused.status_code, refused.content_type) == (401, "application/problem+json")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert client.post(path, json={}, headers={"X-API-Key": KEY}).status_code in (400, 422)


def test_the_name_of_the_key_stands_in_log_and_audit_and_the_key_nowhere(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], keys_file: Path, settings: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Of predictions, batches and feedback alike."""
    app = make_app(api_keys_file=keys_file)
    client, headers = app.test_client(), {"Authorization": f"Bearer {KEY}"}
    served = client.post("/predict", json=reading, headers=headers).get_json()
    client.post("/predict/batch", json={"instances": [reading, {}]}, headers=headers)
    client.post("/feedback", json={"prediction_id": served["prediction_id"], "actual": 1}, headers=headers)
    app.extensions["anomaly"].background.stop()
    assert settings.audit_dir is not None
    lines = audit_lines(settings.audit_dir)
    assert {line["client"] for line in lines} == {"pipeline"}
    assert len(lines) == 4
    assert KEY not in capfd.readouterr().out + str(lines)


def test_a_key_over_its_rate_gets_429(
    make_app: Callable[..., Flask], version: str, reading: dict[str, Any], keys_file: Path
) -> None:
    """With Retry-After, and with the RateLimit headers on every reply."""
    client = make_app(api_keys_file=keys_file, rate_limit="1/hour").test_client()
    first = client.post("/predict", json=reading, headers={"X-API-Key": KEY})
    second = client.post("/predict", json=reading, headers={"X-API-Key": KEY})
    assert (first.status_code, first.headers["RateLimit-Remaining"]) == (200, "0")
    assert second.status_code == 429
    assert int(second.headers["Retry-After"]) > 0
    assert second.headers["RateLimit-Limit"] == "1"


def test_a_rate_limit_without_keys_is_a_wrong_setting() -> None:
    """Nothing would be limited."""
    with pytest.raises(SettingsError, match="RATE_LIMIT: it is counted per key"):
        load_settings({"RATE_LIMIT": "5/second"})
