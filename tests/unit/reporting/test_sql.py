"""`--sql`: everything in the audit may be asked, and nothing else can be reached."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.errors import ReportError
from app.reporting.period import Period
from app.reporting.sql import VIEWS, answer
from tests.unit.reporting.crafting import VERSION, batch, failed, feedback, line, rejected, served, write

FEATURES = ("a", "b")
SECRET = "a-secret-of-the-host"  # noqa: S105


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    folder = tmp_path / "audit"
    write(folder, [
        served("10:00:00", "one", anomaly=1, features={"a": 1.5, "b": 7.0}, ms=3.0, trace_id="t"),
        batch("10:01:00", "bee", [0, 1], "fallback", positions=[0, 2], ms=5.0, warning="Primary model unavailable",
              features={"a": [10.0, 20.0], "b": [0.0, 1.0]}),
        rejected("10:01:00", ("a", "nan"), row=1), failed("10:02:00"),
        feedback("10:03:00", f"{VERSION}.fallback.1.bee-2", 0), line("audit.recovered", "10:04:00"),
    ], torn=b'{"half')  # fmt: skip
    return folder


def ask(query: str, audit: Path, period: Period | None = None) -> list[tuple[Any, ...]]:
    with answer(query, audit, period or Period(), FEATURES) as found:
        return list(found.rows)


def refusal(query: str, audit: Path) -> str:
    with pytest.raises(ReportError) as caught:
        ask(query, audit)
    message = str(caught.value)
    assert message.startswith("--sql: ")
    assert "\n" not in message
    return message


def test_audit_has_a_row_per_prediction(audit: Path) -> None:
    """Those of batches too, each with the id that its client was given."""
    rows = ask("SELECT outcome, model_used, position, prediction_id, is_anomaly, features.a FROM audit "
               "ORDER BY timestamp, position", audit)  # fmt: skip
    assert rows == [
        ("served", "primary", None, f"{VERSION}.primary.1.one", True, 1.5),
        ("served", "fallback", 0, f"{VERSION}.fallback.0.bee-0", False, 10.0),
        ("rejected", "none", 1, None, None, None),
        ("served", "fallback", 2, f"{VERSION}.fallback.1.bee-2", True, 20.0),
        ("failed", "none", None, None, None, 1.0),
    ]


def test_requests_has_a_row_per_request(audit: Path) -> None:
    """A batch is one, with its number of rows."""
    rows = ask("SELECT outcome, batch_id, rows, latency_ms, warning FROM requests ORDER BY timestamp", audit)
    assert rows == [
        ("served", None, 1, 3.0, None),
        ("served", "bee", 2, 5.0, "Primary model unavailable"),
        ("failed", None, 1, 400.0, None),
    ]


def test_feedback_joins_predictions_by_their_ids(audit: Path) -> None:
    """Rows of batches too."""
    rows = ask("SELECT prediction, predicted, actual, audit.features.b FROM audit JOIN feedback USING (prediction_id)",
               audit)  # fmt: skip
    assert rows == [(0.5, 1, 0, 1.0)]


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_the_views_have_the_columns_that_are_documented(audit: Path, view: str) -> None:
    """Help and errors name them."""
    documented = [name.split()[0] for name in VIEWS[view].replace("(served, rejected, failed)", "").split(",")]
    with answer(f"FROM {view}", audit, Period(), FEATURES) as found:
        assert found.columns == documented


def test_older_lines_of_batches_are_rows_too(tmp_path: Path) -> None:
    """One line a row; the first stands for the request."""
    write(tmp_path, [served("10:00:00", f"u{row}", row=row) for row in range(3)])
    assert ask("SELECT position FROM audit ORDER BY 1", tmp_path) == [(0,), (1,), (2,)]
    assert ask("SELECT count(*) FROM requests", tmp_path) == [(1,)]


def test_the_period_bounds_the_views(audit: Path) -> None:
    """As it does the report."""
    minute = datetime(2026, 11, 20, 10, 1, tzinfo=UTC)
    assert ask("SELECT count(*) FROM audit", audit, Period(until=minute)) == [(1,)]
    assert ask("SELECT count(*) FROM audit", audit, Period(since=minute)) == [(4,)]


def test_the_order_asked_for_is_the_order_given(tmp_path: Path) -> None:
    """Over more rows than one chunk, and a semicolon does no harm."""
    write(tmp_path, [served("10:00:00", f"u{number}", ms=number % 977 + number / 1e6) for number in range(25_000)])
    found = [ms for (ms,) in ask("SELECT latency_ms FROM audit ORDER BY latency_ms DESC;", tmp_path)]
    assert found == sorted(found, reverse=True)
    assert len(found) == 25_000


def test_times_with_a_zone_need_no_library(audit: Path) -> None:
    """They come as text."""
    ((now,),) = ask("SELECT now()", audit)
    assert now.startswith(f"{datetime.now(UTC):%Y-}")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "COPY audit FROM '{folder}/secret'",
        "WITH q AS (COPY (SELECT 1) TO '{folder}/out.csv' (FORMAT csv, USE_TMP_FILE false)) SELECT 1",
        "SELECT (WITH q AS (COPY (SELECT 1) TO '{folder}/out.csv') SELECT 1)",
        "WITH q AS (DELETE FROM lines RETURNING *) SELECT count(*) FROM q",
        "WITH q AS (INSERT INTO lines SELECT * FROM lines RETURNING *) SELECT count(*) FROM q",
        "ATTACH '{folder}/other.db' AS other",
        "EXPORT DATABASE '{folder}/exported'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "CALL enable_logging(storage = 'file', storage_path = '{folder}/log')",
        "CREATE TABLE mine AS SELECT 1",
        "DROP VIEW audit",
        "EXPLAIN ANALYZE SELECT 1",
        "CHECKPOINT",
        "",
        "nonsense",
    ],
)
def test_only_one_select_is_allowed(query: str, audit: Path, tmp_path: Path) -> None:
    """Nothing is written, whatever is asked."""
    (tmp_path / "secret").write_text(SECRET)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refusal(query.format(folder=tmp_path), audit)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_csv_auto('{file}', header = false)",
        "SELECT content FROM read_text('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM sniff_csv('{file}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_duckdb('{file}')",
        "SELECT (SELECT max(content) FROM read_text('{file}'))",
        "SELECT * FROM query('FROM read_text(''{file}'')')",
        "SELECT * FROM read_text('{audit}')",
        "SELECT getenv('HOME')",
        "SELECT * FROM read_text('https://localhost:1/file')",
    ],
)
def test_no_file_can_be_read(query: str, audit: Path, tmp_path: Path) -> None:
    """Not even an audit file by its name; what a file holds is in no message."""
    file = tmp_path / "secret.csv"
    file.write_text(SECRET)
    (audit_file,) = audit.iterdir()
    assert SECRET not in refusal(query.format(file=file, folder=tmp_path, audit=audit_file), audit)


def test_variables_of_the_process_are_no_tables(audit: Path) -> None:
    """DuckDB would find a table in any Python variable of that name."""
    assert "files" not in VIEWS
    assert "does not exist" in refusal("SELECT * FROM files", audit)


def test_a_wrong_name_is_reported_with_the_right_ones_before_anything_is_read(audit: Path) -> None:
    """A typo costs no minute: the broken file below is not even opened."""
    (audit / "predictions-20261120-1.jsonl").mkdir()
    message = refusal("SELECT stage FROM audit", audit)
    assert 'column "stage" not found' in message
    assert f"audit({VIEWS['audit']})" in message


def test_an_error_while_running_is_one_line_too(audit: Path) -> None:
    """Some only show once there are rows."""
    assert "Conversion Error" in refusal("SELECT outcome::INTEGER FROM audit", audit)


def test_a_file_that_cannot_be_read_is_noted(audit: Path) -> None:
    """The others answer."""
    (audit / "predictions-20261120-9.jsonl.gz").write_bytes(b"no gzip")
    with answer("SELECT count(*) FROM audit", audit, Period(), FEATURES) as found:
        assert list(found.rows) == [(5,)]
        assert [file.path.name for file, _ in found.loaded.unreadable] == ["predictions-20261120-9.jsonl.gz"]


def test_nothing_is_left_behind(audit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database lies where temporary files do, and goes with the answer."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with answer("SELECT count(*) FROM audit", audit, Period(), FEATURES) as found:
        assert list(found.rows) == [(5,)]
        assert list(scratch.iterdir())
    assert list(scratch.iterdir()) == []
