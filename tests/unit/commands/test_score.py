"""`flask score`: what it prints, refuses and exits with."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.commands.score import score_command
from app.commands.trials import Trials
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.conftest import draft_of
from tests.unit.scoring.crafting import results, write
from tests.unit.scoring.test_run import some_lines
from tests.unit.serving.test_chain import builder

Run = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """100 rows, two of them bad."""
    return write(tmp_path, "csv", some_lines(100))


@pytest.fixture
def run(schema: FeatureSchema, registry: Registry, version: str, source: Path, tmp_path: Path) -> Run:
    """Runs `flask score` on `source` into `out`, unless told otherwise."""
    trials = Trials(schema, registry, builder(schema), None, max_batch_rows=50)

    def run_(*arguments: object, **given: object) -> Result:
        options = {"input": source, "output": tmp_path / "out", **given}
        named = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        result = CliRunner().invoke(score_command(trials), [*named, *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_


def test_the_counts_are_printed(run: Run, version: str, tmp_path: Path) -> None:
    """Rejected rows are no failure, but are told, with what was wrong."""
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    anomalies = sum(line["is_anomaly"] for line in results(tmp_path / "out"))
    assert result.stdout.splitlines() == [
        f"100 rows of 1 files with {version}, in 1 partitions",
        f"scored    98 (primary 98), {anomalies} of them anomalies",
        "rejected  2 (2.00%)",
        "  2  lag_1: not_numeric",
        "  2  region_id: out_of_range",
        f"results   {tmp_path / 'out'}",
    ]
    assert "in 1 partitions, 1 of them done before" in run().stdout


def test_json_is_one_document(run: Run, version: str) -> None:
    """The same counts."""
    document = json.loads(run("--json").stdout)
    assert {name: document[name] for name in ("version", "rows", "scored", "rejected", "stages")} == {
        "version": version, "rows": 100, "scored": 98, "rejected": 2, "stages": {"primary": 98}
    }  # fmt: skip
    assert document["reasons"][0] == {"feature": "lag_1", "code": "not_numeric", "rows": 2}


def test_columns_may_be_kept_in_csv(run: Run, tmp_path: Path) -> None:
    """Named with commas, or one by one."""
    assert run("--keep", "id, lag_1", "--keep", "region_id", "--format", "csv").exit_code == 0
    head = (tmp_path / "out" / "scored" / "part-00000-000000.csv").read_text().splitlines()[0]
    assert head == "source,row,id,lag_1,region_id,prediction,is_anomaly,model_used,model_version"
    head = (tmp_path / "out" / "rejected" / "part-00000-000000.csv").read_text().splitlines()[0]
    assert head == "source,row,id,lag_1,region_id,feature,code,reason"


def test_another_version_may_score(run: Run, registry: Registry, schema: FeatureSchema, logistic: Any) -> None:
    """By its name."""
    other = registry.register(draft_of(schema, primary=logistic))
    assert json.loads(run("--version", other, "--json").stdout)["version"] == other


@pytest.mark.parametrize(("limit", "status"), [("2%", 0), ("1.9%", 1), ("0%", 1)])
def test_too_many_rejected_rows_can_be_a_failure(run: Run, limit: str, status: int, tmp_path: Path) -> None:
    """The results are complete in either case."""
    result = run("--max-rejected", limit)
    assert result.exit_code == status
    assert ("Error: 2 of 100 rows were rejected (2.0000%)" in result.stderr) == bool(status)
    assert len(results(tmp_path / "out")) == 98


def test_warnings_say_why_another_stage_answered(run: Run, registry: Registry, version: str) -> None:
    """A primary that cannot be used is no secret."""
    (registry.folder / version / "primary.joblib").write_bytes(b"oops")
    result = run()
    assert "scored    98 (fallback 98)" in result.stdout
    assert "WARNING   primary could not be used: " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--max-rejected", "5"], 2, "'5' is no share; write one from 0% to 100%"),
        (["--format", "xml"], 2, "'xml' is not one of 'parquet', 'csv'"),
        (["--workers", "0"], 2, "0 is not in the range x>=1"),
        (["--version", "v9"], 1, "Error: no version 'v9'"),
        (["--keep", "nope"], 1, "missing; --keep asks for it"),
    ],
)
def test_a_mistake_is_one_line(run: Run, arguments: list[str], status: int, words: str, tmp_path: Path) -> None:
    """And nothing was written."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_interruption_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C and SIGTERM alike; the signal's own handler is back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("app.scoring.job.Job.run", lambda *_: signal.raise_signal(signal.SIGTERM))
    result = run()
    assert result.exit_code == 1
    assert result.stderr.strip() == "Error: interrupted; the same command goes on from here"
    assert signal.getsignal(signal.SIGTERM) is before
