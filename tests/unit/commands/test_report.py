"""`flask report`: a page, a document, a file or a table, and status 0 only where that is what was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.commands.report import report_command
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.unit.reporting.crafting import failed, served, write

Run = Callable[..., Result]


@pytest.fixture
def audit(tmp_path: Path, schema: FeatureSchema) -> Path:
    folder = tmp_path / "audit"
    write(folder, [served("10:00:00", features=schema.example()), failed("11:00:00", features=schema.example())])
    return folder


@pytest.fixture
def run(audit: Path, schema: FeatureSchema, registry: Registry) -> Run:
    """Runs `flask report ...` where AUDIT_DIR is `audit`."""

    def run_(*arguments: object, audit_dir: Path | None = audit) -> Result:
        command = report_command(schema, registry, audit_dir)
        result = CliRunner().invoke(command, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_


def refused(result: Result) -> str:
    """The one line of a command that failed."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line.removeprefix("Error: ")


def test_the_page_goes_to_stdout_and_nothing_to_stderr(run: Run, audit: Path) -> None:
    """As a person reads it."""
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("2 predictions, 2026-11-20 10:00 to 2026-11-20 11:00 UTC (2 lines of 1 files in ")
    assert "Failed    1 of 2 predictions (50.00 %) failed: All prediction methods failed (1)." in result.stdout


def test_json_is_one_document_with_stable_names(run: Run) -> None:
    """Scripts build on them."""
    document = json.loads(run("--json").stdout)
    assert list(document) == [
        "period", "coverage", "rows", "served", "degraded", "rejected", "failed", "outcomes", "rejections", "failures",
        "latency", "quality", "quality_by_stage", "feedback_placed", "timeline", "drift", "most_failed",
        "most_degraded", "most_wrong",
    ]  # fmt: skip
    assert document["period"]["first"] == "2026-11-20T10:00:00Z"
    assert (document["rows"], document["failed"]) == (2, 1)
    assert document["failures"] == [{"error": "All prediction methods failed", "rows": 1}]


def test_html_is_a_file_that_is_whole_or_not_there(run: Run, tmp_path: Path) -> None:
    """Nothing else is left behind, and stdout is empty."""
    page = tmp_path / "report.html"
    page.write_text("yesterday's")
    result = run("--html", page)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"2 predictions reported in {page}\n"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit", "report.html"]


def test_html_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    """With the reason."""
    page = tmp_path / "nowhere" / "report.html"
    assert refused(run("--html", page)) == f"{page}: cannot be written: No such file or directory"


def test_a_query_is_a_table(run: Run) -> None:
    """Nothing where a value is missing."""
    result = run("--sql", "SELECT outcome, batch_id IS NULL AS single, prediction_id[:3] AS id FROM audit ORDER BY 1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["outcome  single  id", "failed   True", "served   True    202"]


def test_a_query_is_a_document(run: Run) -> None:
    """Numbers stay numbers, times are ISO 8601, odd types are text."""
    columns = "timestamp, features.lag_1, 1.50::DECIMAL(4,2) AS d, [1, 2] AS list, INTERVAL 1 DAY AS day"
    query = f"SELECT {columns} FROM audit ORDER BY timestamp LIMIT 1"  # noqa: S608
    assert json.loads(run("--json", "--sql", query).stdout) == {
        "columns": ["timestamp", "lag_1", "d", "list", "day"],
        "rows": [["2026-11-20T10:00:00", 1498.0, 1.5, [1, 2], "P1D"]],
    }
    assert json.loads(run("--json", "--sql", "SELECT 1 AS one WHERE false").stdout) == {"columns": ["one"], "rows": []}


def test_a_long_table_is_cut_and_says_so(run: Run) -> None:
    """Nobody reads a million rows on a terminal."""
    result = run("--sql", "SELECT range FROM range(1001)")
    assert len(result.stdout.splitlines()) == 1001
    assert result.stderr == "the first 1,000 rows; --json gives all\n"
    assert run("--sql", "SELECT range FROM range(1000)").stderr == ""
    assert len(json.loads(run("--json", "--sql", "SELECT range FROM range(25000)").stdout)["rows"]) == 25_000


def test_a_wrong_query_is_one_line(run: Run) -> None:
    """Status 1."""
    assert refused(run("--sql", "SELEKT 1")).startswith("--sql: ")
    assert refused(run("--sql", "COPY audit TO 'x'")) == "--sql: Only SELECT statements can be serialized to json!"


def test_since_and_until_bound_the_report(run: Run) -> None:
    """Dates and times."""
    document = json.loads(run("--json", "--since", "2026-11-20T10:30", "--until", "2026-11-21").stdout)
    assert (document["rows"], document["failed"]) == (1, 1)
    assert document["period"]["since"] == "2026-11-20T10:30:00Z"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--since", "soon"], "'soon' is no time; write ", id="no time"),
        pytest.param(["--since", ""], "'' is no time; write ", id="empty"),
        pytest.param(["--until", "2026-02-30"], "'2026-02-30' is no time; write ", id="no such day"),
        pytest.param(["--since", "2026-11-20", "--until", "2026-11-20"], "the period is empty: ", id="nothing between"),
        pytest.param(["--audit", "/nowhere"], "/nowhere: No such file or directory; name the ", id="no such folder"),
        pytest.param(["--audit", "/dev/null"], "/dev/null: Not a directory; name the ", id="no folder"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_one_line(run: Run, arguments: list[str], message: str) -> None:
    """Status 1, and what to do."""
    assert refused(run(*arguments)).startswith(message)


def test_an_empty_period_is_an_answer(run: Run) -> None:
    """Zero counts, status 0."""
    result = run("--since", "2026-12-01")
    assert result.exit_code == 0
    assert result.stdout.startswith("0 predictions, ")
    assert json.loads(run("--json", "--since", "2026-12-01").stdout)["rows"] == 0


def test_without_an_audit_a_folder_must_be_named(run: Run, audit: Path) -> None:
    """AUDIT_DIR is empty; --audit goes first in any case."""
    assert refused(run(audit_dir=None)) == "AUDIT_DIR is empty, so there is no audit here; name a folder with --audit"
    assert run("--audit", audit, audit_dir=None).exit_code == 0
    assert run("--audit", audit, audit_dir=Path("/nowhere")).exit_code == 0


@pytest.mark.parametrize("other", [["--json"], ["--sql", "SELECT 1"]])
def test_one_form_at_a_time(run: Run, tmp_path: Path, other: list[str]) -> None:
    """A page is no document."""
    result = run("--html", tmp_path / "page.html", *other)
    assert result.exit_code == 2
    assert "--html goes with neither --json nor --sql" in result.stderr


def test_help_names_every_column_of_the_views(run: Run) -> None:
    """What --sql can be asked stands where one looks first."""
    from app.reporting.sql import VIEWS

    words = set(run("--help").stdout.replace(",", " ").replace(":", " ").split())
    for view, columns in VIEWS.items():
        assert {view, *columns.replace(" (served, rejected, failed)", "").split(", ")} <= words
