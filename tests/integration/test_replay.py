"""What the service audited, shown to another version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from app.commands import all_commands
from app.commands.trials import Trials
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.settings import Settings
from tests.conftest import draft_of
from tests.fakes import ConstantModel
from tests.unit.serving.test_chain import builder
from tests.waiting import wait_until


@pytest.fixture
def candidate(registry: Registry, version: str, schema: FeatureSchema) -> str:
    """A version that takes every reading for an anomaly."""
    return registry.register(draft_of(schema, primary=ConstantModel(0.9)))


@pytest.fixture
def flask(settings: Settings, registry: Registry, schema: FeatureSchema) -> Callable[..., Result]:
    """Runs `flask ...` on the service's own audit."""
    trials = Trials(schema, registry, builder(schema), settings.audit_dir, settings.max_batch_rows)
    commands = {str(command.name): command for command in all_commands(trials, settings)}

    def run(name: str, *arguments: str) -> Result:
        return CliRunner().invoke(commands[name], arguments, catch_exceptions=False)

    return run


def sent(client: FlaskClient, schema: FeatureSchema) -> list[dict[str, Any]]:
    """Predictions of 10 readings, and of 20 in a batch in which every fourth is bad."""
    rows = [dict(zip(schema.names, row, strict=True)) for row in schema.sample(30, seed=6).tolist()]
    single = [client.post("/predict", json=row).get_json() for row in rows[:10]]
    bad = [{**row, "lag_1": -1} if place % 4 == 0 else row for place, row in enumerate(rows[10:])]
    many = client.post("/predict/batch", json={"instances": bad}).get_json()["predictions"]
    return single + [entry for entry in many if entry["success"]]


def test_a_replay_of_what_was_served_finds_every_row_and_its_feedback(
    client: FlaskClient, schema: FeatureSchema, candidate: str, flask: Callable[..., Result]
) -> None:
    """The rows of batches too, whose ids stand in no line."""
    predictions = sent(client, schema)
    said = [int(prediction["is_anomaly"]) for prediction in predictions]
    for prediction in predictions:
        document = {"prediction_id": prediction["prediction_id"], "actual": int(prediction["is_anomaly"])}
        assert client.post("/feedback", json=document).status_code == 202
    found = json.loads(flask("replay", "--version", candidate, "--json").stdout)
    assert (found["traffic"]["rows"], found["traffic"]["labelled"]) == (25, 25)
    assert (found["traffic"]["unreadable_lines"], found["traffic"]["answered_otherwise"]) == (0, [])
    assert found["active"]["quality"]["accuracy"] == 1.0
    assert found["candidate"]["quality"]["accuracy"] == sum(said) / 25
    assert (found["changes"]["to_anomaly"], found["changes"]["to_normal"]) == (25 - sum(said), 0)
    examples = {example["prediction_id"] for example in found["changes"]["examples"]}
    assert examples <= {prediction["prediction_id"] for prediction in predictions}


def test_a_shadow_and_a_replay_agree(
    make_app: Callable[..., Flask], schema: FeatureSchema, candidate: str, flask: Callable[..., Result]
) -> None:
    """They count the same decisions, one live and one later."""
    client = make_app(shadow_version=candidate, self_test_interval_s=0.05, reload_interval_s=0.05).test_client()

    def shadow() -> Any:
        return client.get("/health/detailed").get_json()["shadow"] or {}

    wait_until(lambda: bool(shadow().get("loaded")))
    sent(client, schema)
    wait_until(lambda: shadow()["rows"] == 25)
    changes = json.loads(flask("replay", "--version", candidate, "--json").stdout)["changes"]
    assert shadow()["disagreements"] == changes["changed"] > 0
    assert (shadow()["dropped"], shadow()["refused"]) == (0, None)


def test_without_a_shadow_health_has_none(client: FlaskClient) -> None:
    """Nothing is pretended."""
    assert client.get("/health/detailed").get_json()["shadow"] is None
