"""The triage page as a value."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.triage.page import Form, Page, Versions, form_of, page_of, versions_of
from app.contract.schema import Feature, FeatureSchema
from app.model.registry import Registry
from app.serving.board import Pulse, WorkerReport
from app.serving.health import Health
from app.serving.traffic import summarize
from tests.unit.api.triage.board import NOW, REPORT, report


def page(*reports: WorkerReport, status: str = "healthy", pulse: Pulse | None = None) -> Page:
    pulse = pulse or Pulse(NOW - 3, 0, True)
    health = Health(status, (), True, pulse, tuple((entry, pulse) for entry in reports))
    return page_of(health, summarize([], None), Versions(()), Form((), ""), {"python": "3.11.2"}, NOW)


@pytest.mark.parametrize(
    ("status", "tone"), [("healthy", "good"), ("degraded", "fair"), ("unhealthy", "poor")], ids=str
)
def test_every_status_has_a_sentence_and_a_tone(status: str, tone: str) -> None:
    """Never the colour alone."""
    shown = page(REPORT, status=status)
    assert (shown.status, shown.tone) == (status, tone)
    assert shown.sentence.endswith(".")


def test_a_service_that_has_not_reported_yet_has_a_page() -> None:
    """The first seconds, or a board that cannot be read."""
    shown = page(status="unhealthy", pulse=Pulse(None, 0, None))
    assert (shown.workers, shown.workers_ready) == ((), "0 of 0 workers ready")
    assert [fact.value for fact in shown.facts] == ["no worker has reported", "none yet"]


def test_the_workers_are_counted_and_the_last_prediction_told() -> None:
    """Two facts one looks for first."""
    shown = page(REPORT, report(ready=False), pulse=Pulse(NOW - 3, 4, False))
    assert shown.workers_ready == "1 of 2 workers ready"
    last = shown.facts[-1]
    assert (last.value, last.tone, last.note) == ("Failed", "poor", "4 failures in a row,")


def test_versions_are_told_with_where_a_rollback_goes(registry: Registry, version: str) -> None:
    """The latest change first."""
    alone = versions_of(registry)
    assert [(fact.name, fact.value) for fact in alone.facts] == [("active", version), ("previous", "none")]
    assert [change.action for change in alone.changes] == ["activate", "register"]


def test_a_registry_that_cannot_be_read_is_a_sentence_not_an_error(tmp_path: Path, schema: FeatureSchema) -> None:
    """The page is needed most when things are broken."""
    (tmp_path / "ACTIVE").mkdir()
    broken = versions_of(Registry(tmp_path, schema))
    assert broken.problem is not None
    assert "ACTIVE cannot be read" in broken.problem
    (tmp_path / "ACTIVE").rmdir()
    (tmp_path / "history.jsonl").mkdir()
    assert versions_of(Registry(tmp_path, schema)).problem is not None


def test_the_form_is_the_contract(schema: FeatureSchema) -> None:
    """Names, examples, ranges; and the command is the same reading."""
    form = form_of(schema.features, "http://localhost:5000")
    assert [entry.name for entry in form.inputs] == list(schema.names)
    assert form.inputs[1].span == "0.5 to 2.5"
    command = shlex.split(form.curl)
    assert command[:3] == ["curl", "-s", "http://localhost:5000/predict"]
    assert json.loads(command[-1]) == schema.example()


@given(st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_no_name_breaks_out_of_the_command(name: str, example: float, origin: str) -> None:
    """Whoever copies the line into a shell runs curl, and nothing else."""
    form = form_of([Feature(name, -1, 1, "", example)], origin)
    command = shlex.split(form.curl)
    assert command[:2] + command[3:-1] == ["curl", "-s", "-H", "Content-Type: application/json", "-d"]
    assert json.loads(command[-1]) == {name: example}
