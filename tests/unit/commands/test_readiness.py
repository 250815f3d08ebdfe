"""`flask readiness`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import app.readiness.run as readiness_run
from app.commands.readiness import readiness_command
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.readiness.evidence import Evidence, Item
from app.readiness.scene import Scene
from app.settings import Settings


def passing(scene: Scene, found: Evidence) -> None:
    found.seen.append("it is there")


def failing(scene: Scene, found: Evidence) -> None:
    found.lacking.append("it is not there")


@pytest.fixture
def command(settings: Settings, schema: FeatureSchema, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> object:
    """The command with a list of three items, two of which pass."""
    items = (Item("One", "First", passing), Item("One", "Second", failing), Item("Two", "Third", passing))
    monkeypatch.setattr(readiness_run, "CHECKLIST", items)
    return readiness_command(settings, schema, registry)


def run(command: object, *arguments: str) -> Result:
    """Asks nobody: none of the items does."""
    assert isinstance(command, type(readiness_command(None, None, None)))  # type: ignore[arg-type]
    return CliRunner().invoke(command, ["--url", "http://127.0.0.1:1", *arguments], catch_exceptions=False)


def test_it_prints_every_item_the_score_and_the_verdict(command: object) -> None:
    """In the order of the list, under its sections."""
    lines = run(command).stdout.splitlines()
    assert [line for line in lines if line in ("One", "Two")] == ["One", "Two"]
    assert sum("it is there" in line for line in lines) == 2
    assert "Production Readiness Score: 66%" in lines
    assert any(line.startswith("RISKY") for line in lines)


@pytest.mark.parametrize(("least", "status"), [("66", 0), ("67", 1), ("0", 0), ("100", 1)])
def test_the_exit_status_is_one_below_the_least_score(least: str, status: int, command: object) -> None:
    """So that a pipeline can stop over it."""
    assert run(command, "--min", least).exit_code == status


def test_the_default_least_score_refuses_what_is_risky(command: object) -> None:
    """80."""
    assert run(command).exit_code == 1


def test_json_is_one_document_and_nothing_else(command: object) -> None:
    """With a finding per item."""
    document = json.loads(run(command, "--json").stdout)
    assert document["score"] == 66
    assert document["drilled"] is False
    assert [entry["status"] for entry in document["findings"]] == ["pass", "fail", "pass"]
    assert document["findings"][1]["lacking"] == ["it is not there"]


def test_html_goes_to_its_file(command: object, tmp_path: Path) -> None:
    """Or to stdout."""
    path = tmp_path / "readiness.html"
    result = run(command, "--html", str(path), "--min", "0")
    assert result.exit_code == 0
    assert "66%" in path.read_text()
    assert "66%" in result.stderr
    assert run(command, "--html", "-").stdout.startswith("<!DOCTYPE html>")


def test_what_cannot_be_is_said_in_one_line(command: object, tmp_path: Path) -> None:
    """Objectives nobody understands, two outputs at once, a file that cannot be written."""
    assert "http://localhost:5000" in run(command, "--url", "localhost:5000").stderr
    assert "SLO" in run(command, "--slo", "p99=fast").stderr
    assert run(command, "--json", "--html", "-").exit_code == 2
    assert "cannot be written" in run(command, "--html", str(tmp_path / "no" / "where.html")).stderr
