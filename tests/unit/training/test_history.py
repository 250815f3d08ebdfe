"""Reading a user's history: all good formats, and a clear word on every bad one."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from app.errors import DataError
from app.training.history import data_digest, read_history

HEADER = "timestamp,region_id,product_id,metric_value,is_anomaly\n"
GOOD = HEADER + "2026-01-01T00:00:00Z,1,2,10.5,0\n2026-01-01T01:00:00Z,1,2,11,1\n"


def written(folder: Path, content: str | bytes, name: str = "metrics.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(folder: Path, query: str) -> Path:
    path = folder / "metrics.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def test_reads_a_csv(tmp_path: Path) -> None:
    """Typed columns, in the file's order."""
    history = read_history(written(tmp_path, GOOD))
    assert history.labelled
    assert history.frame["metric_value"].tolist() == [10.5, 11.0]
    assert history.frame["is_anomaly"].tolist() == [0, 1]
    assert history.frame["timestamp"].iloc[1] == pd.Timestamp("2026-01-01T01:00:00Z")
    assert history.notices == ()


def test_all_formats_give_the_same_table(tmp_path: Path) -> None:
    """CSV, gzip and Parquet, typed or text."""
    plain = read_history(written(tmp_path, GOOD))
    zipped = read_history(written(tmp_path, gzip.compress(GOOD.encode()), "metrics.csv.gz"))
    row = "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS timestamp, 1 AS region_id, 2::TINYINT AS product_id, "
    rows = f"{row} 10.5::FLOAT AS metric_value, false AS is_anomaly UNION ALL "
    rows += "SELECT TIMESTAMPTZ '2026-01-01 01:00:00+00', 1, 2, 11, true"
    columnar = read_history(parquet(tmp_path, rows))
    for other in (zipped, columnar):
        pd.testing.assert_frame_equal(other.frame, plain.frame)
        assert data_digest(other.frame) == data_digest(plain.frame)


def test_a_history_without_labels_is_fine(tmp_path: Path) -> None:
    """Other columns are ignored."""
    history = read_history(written(tmp_path, "note,timestamp,product_id,region_id,metric_value\nx,2026-01-01,2,1,5\n"))
    assert not history.labelled
    assert history.frame[["region_id", "product_id"]].to_numpy().tolist() == [[1, 2]]


def test_times_without_a_zone_are_utc_and_others_are_converted(tmp_path: Path) -> None:
    """Zones may be mixed."""
    lines = "2026-01-01 05:00,1,2,1\n2026-01-01T05:00:00+02:00,1,3,1\n"
    history = read_history(written(tmp_path, HEADER.replace(",is_anomaly", "") + lines))
    assert [time.hour for time in history.frame["timestamp"]] == [5, 3]


def test_accepts_a_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    """Spreadsheets write them."""
    history = read_history(written(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b"\r\n\r\n"))
    assert len(history.frame) == 2


def test_leaves_out_empty_readings_and_says_so(tmp_path: Path) -> None:
    """An empty value is a reading that never arrived; the others keep their row numbers."""
    history = read_history(written(tmp_path, HEADER + "2026-01-01,1,2,,0\n2026-01-02,1,2, ,\n2026-01-03,1,2,3,0\n"))
    assert history.frame["metric_value"].tolist() == [3]
    assert history.rows.tolist() == [3]
    assert history.notices == ("2 empty readings left out (rows 1, 2)",)


def test_numbers_are_read_without_loss(tmp_path: Path) -> None:
    """Every float comes back as it was written."""
    values = [0.1, 1 / 3, 123456.78901234567, 5e-324]
    lines = "".join(f"2026-01-0{day},1,2,{value!r},0\n" for day, value in enumerate(values, start=1))
    assert read_history(written(tmp_path, HEADER + lines)).frame["metric_value"].tolist() == values


LINE = "2026-01-01T00:00:00Z,1,2,10,0\n"

BAD_ROWS = [
    pytest.param("yesterday,1,2,10,0", "timestamp", "'yesterday' is no timestamp", id="timestamp-text"),
    pytest.param("today,1,2,10,0", "timestamp", "'today' is no timestamp", id="timestamp-today"),
    pytest.param("1767225600,1,2,10,0", "timestamp", "is no timestamp; write ISO 8601", id="timestamp-epoch"),
    pytest.param("01/02/2026,1,2,10,0", "timestamp", "is no timestamp", id="timestamp-day-or-month-first"),
    pytest.param("2026-02-30,1,2,10,0", "timestamp", "is no timestamp", id="timestamp-impossible-day"),
    pytest.param(",1,2,10,0", "timestamp", "'' is no timestamp", id="timestamp-empty"),
    pytest.param("2026-01-02,1,2,abc,0", "metric_value", "'abc' is no number", id="value-text"),
    pytest.param("2026-01-02,1,2,1_0,0", "metric_value", "'1_0' is no number", id="value-underscore"),
    pytest.param("2026-01-02,1,2,NaN,0", "metric_value", "NaN; leave the field empty", id="value-nan"),
    pytest.param("2026-01-02,1,2,inf,0", "metric_value", "'inf' out of range [0, 1000000]", id="value-infinite"),
    pytest.param("2026-01-02,1,2,-1,0", "metric_value", "'-1' out of range [0, 1000000]", id="value-negative"),
    pytest.param("2026-01-02,1,2,1000001,0", "metric_value", "out of range [0, 1000000]", id="value-too-large"),
    pytest.param("2026-01-02,north,2,10,0", "region_id", "'north' is no number", id="region-text"),
    pytest.param("2026-01-02,11,2,10,0", "region_id", "'11' out of range [0, 10]", id="region-out-of-range"),
    pytest.param("2026-01-02,,2,10,0", "region_id", "'' is no number", id="region-empty"),
    pytest.param("2026-01-02,1,101,10,0", "product_id", "'101' out of range [0, 100]", id="product-out-of-range"),
    pytest.param("2026-01-02,1,2,10,2", "is_anomaly", "must be 0 or 1, got '2'", id="label-two"),
    pytest.param("2026-01-02,1,2,10,yes", "is_anomaly", "must be 0 or 1, got 'yes'", id="label-text"),
    pytest.param("2026-01-02,1,2,10,", "is_anomaly", "must be 0 or 1, got ''", id="label-empty"),
    pytest.param("2026-01-01,1,2,10,0", "timestamp", "the same series and time as row 1", id="duplicate"),
    pytest.param("2026-01-01T02:00+02:00,1.0,2,9,0", "timestamp", "as row 1", id="duplicate-in-another-zone"),
]


@pytest.mark.parametrize(("line", "column", "problem"), BAD_ROWS)
def test_names_column_and_row_of_a_bad_value(tmp_path: Path, line: str, column: str, problem: str) -> None:
    """Data row 3: a good one, an empty reading and a blank line come before it."""
    path = written(tmp_path, HEADER + LINE + "2026-01-09,1,2,,\n\n" + line + "\n")
    with pytest.raises(DataError) as caught:
        read_history(path)
    assert (caught.value.column, caught.value.row) == (column, 3)
    assert problem in caught.value.problem
    assert str(path) in str(caught.value)


BAD_FILES = [
    pytest.param("metrics.csv", b"", "the file is empty", id="empty"),
    pytest.param("metrics.csv", b"\n\n", "the file is empty", id="blank-lines-only"),
    pytest.param("metrics.csv", HEADER.encode(), "only a header", id="header-only"),
    pytest.param("metrics.csv", HEADER.encode() + b"2026-01-01,1,2,,0\n", "no readings", id="only-empty-readings"),
    pytest.param("metrics.csv", b"a;b\n1;2\n", "missing; the file has: a;b", id="other-separator"),
    pytest.param("metrics.csv", HEADER.replace("region_id", "region").encode() + LINE.encode(), "'region_id': missing",
                 id="missing-column"),
    pytest.param("metrics.csv", HEADER.replace("region_id", "product_id").encode() + LINE.encode(), "missing",
                 id="repeated-instead-of-another"),
    pytest.param("metrics.csv", b"is_anomaly," + HEADER.encode() + b"1," + LINE.encode(), "more than once",
                 id="repeated-column"),
    pytest.param("metrics.csv", HEADER.encode() + b"2026-01-01,1,2,3,0,9,9\n", "not a CSV: Expected 5 fields in line 2",
                 id="too-many-fields"),
    pytest.param("metrics.csv", HEADER.encode() + b'"2026-01-01,1,2,3,0\n', "not a CSV: EOF", id="open-quote"),
    pytest.param("metrics.csv", HEADER.encode() + b"2026\xff-01-01,1,2,3,0\n", "not UTF-8 text (byte 0xff in line 2)",
                 id="undecodable"),
    pytest.param("metrics.csv", "timestamp\n".encode("utf-16"), "not UTF-8 text", id="utf-16"),
    pytest.param("metrics.csv.gz", b"plain text", "not a whole gzip file", id="not-gzip"),
    pytest.param("metrics.csv.gz", gzip.compress(GOOD.encode())[:-6], "not a whole gzip file", id="truncated-gzip"),
    pytest.param("metrics.csv.gz", gzip.compress(GOOD.encode())[:20] + b"\x00" * 40, "not a whole gzip file",
                 id="corrupt-gzip"),
    pytest.param("metrics.parquet", b"PAR1 or not", "not a readable Parquet file", id="not-parquet"),
    pytest.param("metrics.parquet", b"", "not a readable Parquet file", id="empty-parquet"),
    pytest.param("metrics.xlsx", b"PK", "must end in .csv, .csv.gz or .parquet", id="other-format"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "problem"), BAD_FILES)
def test_says_why_a_file_cannot_be_used(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    """One line that names the file and the problem."""
    path = written(tmp_path, content, name)
    with pytest.raises(DataError) as caught:
        read_history(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.csv.gz", "nowhere.parquet"])
def test_says_that_a_file_does_not_exist(tmp_path: Path, name: str) -> None:
    """As an error of its own, not a traceback."""
    with pytest.raises(DataError, match=r"(?i)no such file"):
        read_history(tmp_path / name)


def test_names_the_row_in_parquet_too(tmp_path: Path) -> None:
    """The first row is 1; NULL is an empty reading, NaN an error."""
    rows = "SELECT DATE '2026-01-01' + i::INT AS timestamp, 1 AS region_id, 2 AS product_id, v AS metric_value FROM "
    path = parquet(tmp_path, rows + "(VALUES (0, 1.0), (1, NULL), (2, 'NaN'::DOUBLE)) AS t(i, v)")
    with pytest.raises(DataError, match="column 'metric_value', row 3: NaN"):
        read_history(path)


def test_the_digest_ignores_the_order_of_rows_but_no_value(tmp_path: Path) -> None:
    """Same table, same digest; one label flipped, another digest."""
    frame = read_history(written(tmp_path, GOOD)).frame
    assert data_digest(frame.iloc[::-1]) == data_digest(frame)
    assert data_digest(frame.assign(is_anomaly=[0, 0])) != data_digest(frame)
    assert data_digest(frame.drop(columns="is_anomaly")) != data_digest(frame)


@pytest.mark.parametrize("row", ["2026-01-01T00:00:00Z", "garbage,,,", ",1,2,", "2026-01-01T00:00:00Z,1,,"])
def test_a_row_that_was_cut_off_is_an_error(tmp_path: Path, row: str) -> None:
    """A reading may be missing; a row that lacks more than its reading was never whole."""
    path = tmp_path / "metrics.csv"
    path.write_text(f"timestamp,region_id,product_id,metric_value\n2026-01-01T01:00:00Z,1,2,3\n{row}\n")
    with pytest.raises(DataError, match="row 2"):
        read_history(path)
