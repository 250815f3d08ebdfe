"""`flask features`: contract rows from raw history."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from app.commands.features import features_command
from app.contract.schema import Feature, FeatureSchema
from app.training.features import build_features
from app.training.synthetic import synthetic_history


class OtherSchema(FeatureSchema):
    """A user's own contract."""

    features = (Feature("temperature", -50, 50, "Outside.", 20),)


def run(schema: FeatureSchema, *arguments: str | Path) -> Result:
    return CliRunner().invoke(features_command(schema), [str(argument) for argument in arguments])


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    synthetic_history(seed=2, days=5, series=2).drop(columns="is_anomaly").to_csv(path, index=False)
    return path


def test_every_line_is_a_row_that_predict_accepts(schema: FeatureSchema, metrics: Path, tmp_path: Path) -> None:
    """Exactly the 12 features, the very numbers training computes, in the history's order."""
    output = tmp_path / "rows.jsonl"
    result = run(schema, "--data", metrics, "--output", output)
    assert result.exit_code == 0
    rows = schema.matrix([schema.parse_row(line) for line in output.read_bytes().splitlines()])
    np.testing.assert_array_equal(rows, build_features(synthetic_history(seed=2, days=5, series=2)))
    assert f"{len(rows)} rows written" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "rows.jsonl"]


def test_a_dash_writes_to_stdout_and_nothing_else_there(schema: FeatureSchema, metrics: Path, tmp_path: Path) -> None:
    """So that it can be piped."""
    output = tmp_path / "rows.jsonl"
    run(schema, "--data", metrics, "--output", output)
    result = run(schema, "--data", metrics, "--output", "-", "--json")
    assert result.stdout_bytes == output.read_bytes()


def test_json_summarises_and_names_what_was_left_out(schema: FeatureSchema, tmp_path: Path) -> None:
    """Empty readings are no rows; stderr says so too."""
    path = tmp_path / "metrics.csv"
    path.write_text("timestamp,region_id,product_id,metric_value\n2026-01-01,1,2,3\n2026-01-02,1,2,\n")
    result = run(schema, "--data", path, "--output", tmp_path / "rows.jsonl", "--json")
    notice = "1 empty readings left out (rows 2)"
    assert json.loads(result.stdout) == {"rows": 1, "output": str(tmp_path / "rows.jsonl"), "notices": [notice]}
    assert notice in result.stderr


def test_bad_data_leaves_an_earlier_output_untouched(schema: FeatureSchema, tmp_path: Path) -> None:
    """All or nothing."""
    (tmp_path / "metrics.csv").write_text("timestamp,region_id,product_id,metric_value\n2026-01-01,1,2,oops\n")
    (tmp_path / "rows.jsonl").write_text("earlier")
    result = run(schema, "--data", tmp_path / "metrics.csv", "--output", tmp_path / "rows.jsonl")
    assert result.exit_code == 1
    assert "column 'metric_value', row 1: 'oops' is no number" in result.stderr
    assert (tmp_path / "rows.jsonl").read_text() == "earlier"


def test_an_output_that_cannot_be_written_is_a_clear_error(
    schema: FeatureSchema, metrics: Path, tmp_path: Path
) -> None:
    """One line, exit status 1."""
    output = tmp_path / "nowhere" / "rows.jsonl"
    result = run(schema, "--data", metrics, "--output", output)
    assert result.exit_code == 1
    assert f"Error: {output}: cannot be written: No such file or directory" in result.stderr


def test_writes_into_a_device_instead_of_replacing_it(schema: FeatureSchema, metrics: Path) -> None:
    """`/dev/null` stays a device."""
    assert run(schema, "--data", metrics, "--output", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_refuses_another_contract(metrics: Path) -> None:
    """The features of a user's own contract cannot be built from a metric history."""
    result = run(OtherSchema(), "--data", metrics, "--output", "-")
    assert result.exit_code == 1
    assert "OtherSchema (FEATURE_SCHEMA) serves other features than the 12" in result.stderr
