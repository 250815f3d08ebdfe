"""`flask models`: every command says what it did, in words or JSON, and status 0 means that it was done."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import click
import joblib
import pytest
from click.testing import Result

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.conftest import draft_of, fitted_logistic
from tests.unit.commands.conftest import Run
from tests.unit.model.crafting import Scoring, files_limited_to


@pytest.fixture
def second(registry: Registry, schema: FeatureSchema, version: str) -> str:
    """Another version, registered after the active one."""
    return registry.register(draft_of(schema, primary=fitted_logistic(schema, seed=8)))


@pytest.fixture
def files(tmp_path: Path, schema: FeatureSchema, logistic: Any) -> dict[str, Path]:
    """A primary, a fallback, and a table of golden rows."""
    paths = {name: tmp_path / name for name in ("primary.joblib", "fallback.joblib", "golden.csv")}
    joblib.dump(logistic, paths["primary.joblib"])
    joblib.dump(Scoring(0.25), paths["fallback.joblib"])
    with paths["golden.csv"].open("w", newline="") as file:
        csv.writer(file).writerows([schema.names, *schema.sample(60).tolist()])
    return {path.stem: path for path in paths.values()}


def done(result: Result) -> str:
    """What a successful command printed."""
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def document(result: Result) -> Any:
    """The one JSON document a successful command printed."""
    return json.loads(done(result))


def refused(result: Result) -> str:
    """The one line of a command that failed."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def test_an_empty_registry_lists_what_to_do(run: Run, registry: Registry) -> None:
    """No versions are no error."""
    hint = "make one with 'flask train' or 'flask models register'"
    assert done(run("list")) == f"no versions in {registry.folder}; {hint}\n"
    assert document(run("list", "--json")) == {"active": None, "versions": []}


def test_list_marks_the_active_version(run: Run, version: str, second: str) -> None:
    """One line a version, with its stages."""
    lines = done(run("list")).splitlines()
    assert len(lines) == 2
    by_version = {line[2:].split()[0]: line for line in lines}
    assert by_version[version].startswith(f"* {version}  ")
    assert "primary+fallback" in by_version[version]
    assert by_version[second].startswith(f"  {second}  ")
    assert "fallback" not in by_version[second]


def test_list_as_json_says_the_same(run: Run, registry: Registry, version: str, second: str) -> None:
    """In the registry's order."""
    found = document(run("list", "--json"))
    assert found["active"] == version
    assert [(row["version"], row["active"]) for row in found["versions"]] == [
        (name, name == version) for name in registry.versions()
    ]


def test_list_still_lists_the_others_when_one_version_is_damaged(
    run: Run, registry: Registry, version: str, second: str
) -> None:
    """One broken manifest must not hide what there is to go back to."""
    (registry.folder / second / "manifest.json").write_text("{")
    result = run("list")
    assert version in result.stdout


def test_show_describes_the_active_version_by_default(run: Run, registry: Registry, version: str) -> None:
    """Where it comes from, what it holds, and the registry's history."""
    shown = done(run("show"))
    assert shown == done(run("show", version))
    for fact in (
        f"version      {version}\n",
        "command      a test\n",
        "primary.joblib, anomaly from 0.5",
        "scikit-learn",
    ):
        assert fact in shown
    history = [line.split()[2:] for line in shown.splitlines() if line.startswith("history")]
    assert history == [["register", version], ["activate", version]]


def test_show_as_json_holds_the_whole_manifest(run: Run, registry: Registry, version: str, second: str) -> None:
    """As it lies on disk, and the history."""
    found = document(run("show", second, "--json"))
    assert found["manifest"] == json.loads((registry.folder / second / "manifest.json").read_bytes())
    assert [entry["action"] for entry in found["history"]] == ["register", "activate", "register"]


def test_verify_checks_the_active_version_by_default(run: Run, version: str) -> None:
    """In words and in JSON."""
    assert done(run("verify")) == f"{version}: 2 files verified, golden rows reproduced\n"
    assert document(run("verify", version, "--json")) == {
        "version": version,
        "verified": True,
        "files": ["fallback.joblib", "primary.joblib"],
    }


def test_activate_says_what_was_before(run: Run, registry: Registry, version: str, second: str) -> None:
    """In words and in JSON."""
    assert done(run("activate", second)) == f"{second} is active (before: {version})\n"
    assert registry.active() == second
    assert document(run("activate", version, "--json")) == {"active": version, "previous": second}
    assert registry.active() == version


def test_rollback_says_what_was_left(run: Run, registry: Registry, version: str, second: str) -> None:
    """In words and in JSON."""
    run("activate", second)
    assert done(run("rollback")) == f"{version} is active again (left: {second})\n"
    assert registry.active() == version
    run("activate", second)
    assert document(run("rollback", "--json")) == {"active": version, "previous": second}


def register(files: dict[str, Path], *more: object) -> list[object]:
    return ["register", "--primary", files["primary"], "--golden", files["golden"], *more]


def test_the_first_registered_version_becomes_active(run: Run, registry: Registry, files: dict[str, Path]) -> None:
    """A service without any has nothing to lose."""
    line = done(run(*register(files, "--fallback", files["fallback"])))
    (version,) = registry.versions()
    assert line == f"registered {version}, now active\n"
    assert registry.active() == version
    manifest = registry.verify(version)
    assert {name: stage.threshold for name, stage in manifest.stages.items()} == {"primary": 0.5, "fallback": 0.5}


def test_a_later_version_becomes_active_only_when_asked(
    run: Run, registry: Registry, version: str, files: dict[str, Path]
) -> None:
    """In words and in JSON."""
    found = document(run(*register(files, "--threshold", "0.7", "--json")))
    assert found["active"] is False
    assert registry.active() == version
    assert registry.manifest(found["version"]).stages["primary"].threshold == 0.7
    joblib.dump(Scoring(0.75), files["primary"])
    found = document(run(*register(files, "--activate", "--json")))
    assert found["active"] is True
    assert registry.active() == found["version"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["show"], "no version is active; name one", id="show nothing"),
        pytest.param(["verify"], "no version is active; name one", id="verify nothing"),
        pytest.param(["rollback"], "there is no earlier version to roll back to", id="roll back from nothing"),
        pytest.param(["show", "v9"], "no version 'v9' in .*; registered: none", id="show an unknown version"),
        pytest.param(["verify", "v9"], "no version 'v9' in .*; registered: none", id="verify an unknown version"),
        pytest.param(["activate", "v9"], "no version 'v9' in .*; registered: none", id="activate an unknown version"),
    ],
)
@pytest.mark.parametrize("flags", [pytest.param([], id="in words"), pytest.param(["--json"], id="as JSON")])
def test_what_cannot_be_done_is_one_line_and_status_1(
    run: Run, registry: Registry, arguments: list[str], flags: list[str], problem: str
) -> None:
    """On stderr, with nothing on stdout; and nothing changes."""
    assert re.fullmatch(problem, refused(run(*arguments, *flags)))
    assert registry.history() == []


@pytest.mark.parametrize("command", ["verify", "activate"])
def test_a_tampered_version_is_refused(run: Run, registry: Registry, version: str, second: str, command: str) -> None:
    """With the file and both digests; the active version stays."""
    path = registry.folder / second / "primary.joblib"
    path.write_bytes(path.read_bytes() + b"\x00")
    assert re.fullmatch(
        f"{path}: SHA-256 is [0-9a-f]{{64}}, the manifest says [0-9a-f]{{64}}", refused(run(command, second))
    )
    assert registry.active() == version


def test_rolling_back_to_a_tampered_version_is_refused(run: Run, registry: Registry, version: str, second: str) -> None:
    """What serves goes on serving."""
    registry.activate(second)
    path = registry.folder / version / "fallback.joblib"
    path.unlink()
    assert refused(run("rollback")) == f"{path}: listed in the manifest, but No such file or directory"
    assert registry.active() == second


def test_a_bad_estimator_is_not_registered(run: Run, registry: Registry, files: dict[str, Path]) -> None:
    """One line, and no version."""
    files["primary"].write_bytes(b"text")
    assert refused(run(*register(files))).startswith(f"{files['primary']}: cannot be unpickled: ")
    assert registry.versions() == []


def test_a_bad_golden_table_is_not_registered(run: Run, registry: Registry, files: dict[str, Path]) -> None:
    """The row is named."""
    lines = files["golden"].read_text().splitlines()
    files["golden"].write_text("\n".join([*lines[:3], "1,2", *lines[4:]]))
    assert refused(run(*register(files))).startswith(f"{files['golden']}: row 4: ")
    assert registry.versions() == []


@pytest.mark.parametrize("threshold", ["nan", "1.5", "-0.1", "high"])
def test_a_threshold_that_is_no_probability_is_a_wrong_use(
    run: Run, registry: Registry, files: dict[str, Path], threshold: str
) -> None:
    """Status 2 or 1, and nothing is registered."""
    result = run(*register(files, "--threshold", threshold))
    assert result.exit_code in (1, 2)
    assert "Error: " in result.stderr
    assert registry.versions() == []


@pytest.mark.parametrize("missing", ["primary", "golden"])
def test_a_file_that_does_not_exist_is_a_wrong_use(
    run: Run, registry: Registry, files: dict[str, Path], missing: str
) -> None:
    """Status 2, with the path."""
    files[missing].unlink()
    result = run(*register(files))
    assert result.exit_code == 2
    assert f"File '{files[missing]}' does not exist" in result.stderr
    assert registry.versions() == []


@pytest.mark.parametrize("name", ["register", "activate"])
def test_a_full_disk_is_one_line_too(
    run: Run, registry: Registry, version: str, second: str, files: dict[str, Path], name: str
) -> None:
    """Not a traceback; the active version stays."""
    arguments = register(files) if name == "register" else ["activate", second]
    with files_limited_to(4):
        result = run(*arguments)
    assert "File too large" in refused(result)
    assert registry.active() == version


def test_every_command_has_help_and_json(group: click.Group, run: Run) -> None:
    """All eight."""
    assert sorted(group.commands) == ["activate", "export", "list", "register", "rollback", "show", "sign", "verify"]
    for name in group.commands:
        assert "--json" in done(run(name, "--help"))


def test_sign_takes_all_versions_or_those_that_are_named(
    run: Run, registry: Registry, version: str, second: str, tmp_path: Path
) -> None:
    """A rotation forgets none."""
    key = tmp_path / "key"
    key.write_text("a new key\n")
    assert json.loads(done(run("sign", second, "--new-key-file", key, "--json"))) == {"signed": [second]}
    assert done(run("sign", "--new-key-file", key)).strip() == f"signed {version}, {second}"
    signed = Registry(registry.folder, FeatureSchema(), b"a new key")
    assert [signed.manifest(name).version for name in (version, second)] == [version, second]


def test_sign_refuses_an_empty_key_and_an_unknown_version(run: Run, version: str, tmp_path: Path) -> None:
    """An empty key would be everybody's."""
    key = tmp_path / "key"
    key.write_text("\n")
    assert run("sign", "--new-key-file", key).exit_code == 2
    key.write_text("a new key")
    assert run("sign", "nothing", "--new-key-file", key).exit_code == 1
