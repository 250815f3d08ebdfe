"""`flask replay` and the gate of `flask models activate`, from audit files to exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.commands.models import models_group
from app.commands.replay import replay_command
from app.commands.trials import Trials
from app.contract.schema import FeatureSchema
from app.model.registry import HISTORY_FILE, HistoryEntry, Registry
from tests.conftest import draft_of, fitted_logistic
from tests.fakes import ConstantModel
from tests.unit.replay.test_replayer import lines_of
from tests.unit.reporting.crafting import write
from tests.unit.serving.test_chain import builder

Run = Callable[..., Result]
GATE = ("--gate", "--since", "2026-11-20", "--min-rows", "40")


@pytest.fixture
def audit(tmp_path: Path, schema: FeatureSchema) -> Path:
    """40 rows of 2026-11-20."""
    folder = tmp_path / "audit"
    write(folder, lines_of(schema.sample(40, seed=4)))
    return folder


@pytest.fixture
def run(audit: Path, schema: FeatureSchema, registry: Registry, version: str) -> Run:
    """Runs `flask replay ...` or `flask models ...` where AUDIT_DIR is `audit`."""
    trials = Trials(schema, registry, builder(schema), audit, max_batch_rows=50)
    commands = {"replay": replay_command(trials), "models": models_group(schema, registry, trials)}

    def run_(name: str, *arguments: object) -> Result:
        result = CliRunner().invoke(commands[name], [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_


@pytest.fixture
def same(registry: Registry, schema: FeatureSchema, version: str) -> str:
    """A candidate that decides as the active version does."""
    return registry.register(draft_of(schema, primary=fitted_logistic(schema)))


@pytest.fixture
def other(registry: Registry, schema: FeatureSchema, version: str) -> str:
    """A candidate that takes every reading for an anomaly."""
    return registry.register(draft_of(schema, primary=ConstantModel(0.9)))


def changed(registry: Registry, before: tuple[str | None, list[HistoryEntry]]) -> bool:
    return (registry.active(), registry.history()) != before


def test_a_replay_is_a_page_or_a_document(run: Run, other: str, version: str) -> None:
    """Both from the same figures."""
    page = run("replay", "--version", other)
    assert (page.exit_code, page.stderr) == (0, "")
    assert page.stdout.startswith(f"{other} beside the active {version}: 40 rows")
    document = json.loads(run("replay", "--version", other, "--json").stdout)
    assert list(document) == [
        "traffic", "active", "candidate", "changes", "shift", "batch_rows", "largest_batch_rows"
    ]  # fmt: skip
    assert (document["traffic"]["rows"], document["candidate"]["anomalies"]) == (40, 40)
    assert f"Decisions: {document['changes']['changed']} of 40 change" in page.stdout


def test_a_replay_of_part_of_the_traffic(run: Run, other: str) -> None:
    """By time and by number."""
    limited = json.loads(run("replay", "--version", other, "--limit", 7, "--json").stdout)
    assert limited["traffic"]["rows"] == 7
    none = run("replay", "--version", other, "--since", "2026-11-21")
    assert (none.exit_code, none.stdout) == (1, "")
    assert none.stderr.startswith("Error: no audited rows of the period in ")


@pytest.mark.parametrize("arguments", [["--version", "v9"], ["--version", "v9", "--since", "soon"]])
def test_what_cannot_be_replayed_is_one_line(run: Run, version: str, arguments: list[str]) -> None:
    """And status 1."""
    result = run("replay", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


def test_the_gate_lets_an_equal_version_through(run: Run, registry: Registry, version: str, same: str) -> None:
    """And the history says that it was asked."""
    result = run("models", "activate", same, *GATE)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["passed"] * 7
    assert lines[-1] == f"{same} is active (before: {version})"
    assert (registry.history()[-1].gate, registry.history()[-1].failed) == ("passed", msgspec.UNSET)
    assert "gate passed" in run("models", "show").stdout


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_gate_refuses_and_nothing_changes(
    run: Run, registry: Registry, version: str, other: str, flags: list[str]
) -> None:
    """Each failed criterion is named with its figures."""
    before = registry.active(), registry.history()
    result = run("models", "activate", other, *GATE, *flags)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {other} was refused, and nothing has changed: decisions: ")
    assert " of 40 changed (" in result.stderr
    assert not changed(registry, before)
    if flags:
        document = json.loads(result.stdout)
        assert (document["activated"], document["forced"]) == (False, False)
        failed = [one["name"] for one in document["gate"]["criteria"] if not one["passed"]]
        assert failed == ["decisions"]
        assert document["gate"]["replay"]["changes"]["changed"] > 0
    else:
        assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("FAILED")] == ["decisions"]


def test_limits_are_what_was_asked_for(run: Run, registry: Registry, other: str) -> None:
    """A version may change every decision, if that is said."""
    assert run("models", "activate", other, *GATE, "--max-changed", "100%").exit_code == 0
    assert registry.active() == other


def test_too_little_traffic_is_a_refusal(run: Run, registry: Registry, version: str, same: str) -> None:
    """Fewer rows than asked for, none in the last day, or no folder at all."""
    before = registry.active(), registry.history()
    for arguments, words in (
        ([*GATE[:-1], 41], "traffic: 40 audited rows, at least 41 needed"),
        (["--gate"], "traffic: no audited rows of the period in "),
        ([*GATE, "--audit", "/nowhere"], "traffic: /nowhere: No such file or directory"),
    ):
        result = run("models", "activate", same, *arguments)
        assert result.exit_code == 1
        assert words in result.stderr
    assert not changed(registry, before)


def test_force_overrides_and_is_written_down(run: Run, registry: Registry, version: str, other: str) -> None:
    """With what it was forced in spite of; the command after it works as ever."""
    result = run("models", "activate", other, *GATE, "--force", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert (document["active"], document["previous"], document["forced"]) == (other, version, True)
    line = json.loads((registry.folder / HISTORY_FILE).read_text().splitlines()[-1])
    assert (line["action"], line["version"], line["gate"]) == ("activate", other, "forced")
    assert len(line["failed"]) == 1
    assert line["failed"][0].startswith("decisions: ")
    assert run("models", "rollback").exit_code == 0
    assert registry.active() == version


def test_force_does_not_help_a_damaged_version(run: Run, registry: Registry, version: str, same: str) -> None:
    """It is not the model that anybody meant to activate."""
    before = registry.active(), registry.history()
    (registry.folder / same / "primary.joblib").write_bytes(b"")
    result = run("models", "activate", same, *GATE, "--force")
    assert result.exit_code == 1
    assert "golden rows: " in result.stderr
    assert "--force does not help" in result.stderr
    assert not changed(registry, before)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--force"], "--force goes with --gate", id="force alone"),
        pytest.param(["--max-changed", "2%"], "--max-changed goes with --gate", id="a limit alone"),
        pytest.param([*GATE, "--max-changed", "1"], "'1' is no share; write one from 0% to 100%", id="no sign"),
        pytest.param([*GATE, "--max-changed", "nan%"], "'nan%' is no share", id="no number"),
        pytest.param([*GATE, "--max-accuracy-drop", "101%"], "'101%' is no share", id="too much"),
        pytest.param([*GATE, "--min-rows", "0"], "0 is not in the range x>=1", id="no rows"),
    ],
)
def test_a_wrong_use_is_status_2(
    run: Run, registry: Registry, same: str, version: str, arguments: list[Any], problem: str
) -> None:
    """And nothing happens."""
    result = run("models", "activate", same, *arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert registry.active() == version


def test_older_history_stays_readable(run: Run, registry: Registry, version: str, same: str) -> None:
    """Lines without the gate, and lines of a version that knows more."""
    path = registry.folder / HISTORY_FILE
    assert b"gate" not in path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"at":"2026-11-28T00:00:00Z","action":"activate","version":"%s","colour":"red"}\n' % same.encode())
    assert [entry.gate for entry in registry.history()] == [msgspec.UNSET] * 4
    assert run("models", "show", version).exit_code == 0
