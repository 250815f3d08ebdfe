"""`flask train`: what it prints, registers and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.commands.train import train_command
from app.contract.schema import Feature, FeatureSchema
from app.model.registry import Registry
from app.training.synthetic import synthetic_history

SMALL = ["--seed", "3", "--days", "35", "--series", "5"]


class OtherSchema(FeatureSchema):
    """A user's own contract."""

    features = (Feature("temperature", -50, 50, "Outside.", 20),)


def run(registry: Registry, schema: FeatureSchema, *arguments: str) -> Result:
    return CliRunner().invoke(train_command(schema, registry), list(arguments))


def test_registers_the_first_version_and_activates_it(registry: Registry, schema: FeatureSchema) -> None:
    """A new service needs no second command; the table and the version's name are the result."""
    result = run(registry, schema, *SMALL)
    assert result.exit_code == 0
    (version,) = registry.versions()
    assert registry.active() == version
    assert f"version {version}: registered, active" in result.stdout
    for part in ("accuracy", "F1", "z-score rule", "decides as the primary", "The data is synthetic"):
        assert part in result.stdout
    assert "fitting the primary" in result.stderr


def test_a_later_version_is_only_activated_on_request(registry: Registry, schema: FeatureSchema, version: str) -> None:
    """Training must not change what is served, unless told to; JSON for machines."""
    first = run(registry, schema, *SMALL, "--json")
    assert first.exit_code == 0
    document = json.loads(first.stdout)
    assert (document["active"], document["previous"]) == (False, version)
    assert registry.active() == version
    assert document["training"]["command"] == "flask train --seed 3 --days 35 --series 5"
    assert set(document["metrics"]) == {"primary", "fallback", "baseline"}

    second = run(registry, schema, *SMALL, "--seed", "4", "--activate")
    assert second.exit_code == 0
    assert registry.active() not in (version, document["version"])
    assert f"active, in place of {version}" in second.stdout


def test_says_where_the_anomalies_come_from_when_the_file_has_no_labels(
    registry: Registry, schema: FeatureSchema, tmp_path: Path
) -> None:
    """In the output, in the manifest and on the card."""
    path = tmp_path / "my metrics.csv"
    synthetic_history(seed=2, days=35, series=5).drop(columns="is_anomaly").to_csv(path, index=False)
    result = run(registry, schema, "--data", str(path), "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["labels"] == "injected"
    assert document["training"]["command"] == f"flask train --seed 7 --data '{path}'"
    manifest = registry.verify(document["version"])
    assert "injected with seed 7" in manifest.training.data
    card = (registry.folder / document["version"] / "MODEL_CARD.md").read_text()
    assert "injected with seed 7" in card
    assert "only they count as anomalies" in card


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("timestamp,region_id\n2026-01-01,1\n", "column 'product_id': missing", id="missing-column"),
        pytest.param("timestamp,region_id,product_id,metric_value\n2026-01-01,1,2,3\n", "too little", id="too-short"),
    ],
)
def test_bad_data_is_one_line_and_leaves_nothing_behind(
    registry: Registry, schema: FeatureSchema, tmp_path: Path, content: str, problem: str
) -> None:
    """Exit status 1, a clear message on stderr, an empty stdout, no version."""
    path = tmp_path / "metrics.csv"
    path.write_text(content)
    result = run(registry, schema, "--data", str(path))
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.rstrip().splitlines()[-1]
    assert last.startswith(f"Error: {path}")
    assert problem in last
    assert not registry.folder.exists()


def test_a_registry_that_cannot_be_written_is_a_clear_error(schema: FeatureSchema, tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "models").write_text("")
    result = run(Registry(tmp_path / "models", schema), schema, *SMALL)
    assert result.exit_code == 1
    assert str(tmp_path / "models") in result.stderr.splitlines()[-1]


def test_refuses_another_contract(registry: Registry) -> None:
    """The features of a user's own contract cannot be built from a metric history."""
    result = run(registry, OtherSchema())
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: OtherSchema (FEATURE_SCHEMA) serves other features than the 12")


def test_options_of_synthetic_data_do_not_go_with_a_file(registry: Registry, schema: FeatureSchema) -> None:
    """They would silently do nothing."""
    result = run(registry, schema, "--data", "metrics.csv", "--days", "30")
    assert result.exit_code == 2
    assert "--days and --series describe synthetic data" in result.stderr


def test_importing_the_commands_is_cheap() -> None:
    """Importing pandas and matplotlib is a run's business, not that of `flask --help`."""
    code = (
        "import sys, app.commands.train, app.commands.features\n"
        "print([name for name in ('pandas', 'matplotlib', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
