"""Parquet in, Parquet and CSV out."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from app.contract.schema import Feature, FeatureSchema
from app.errors import DataError, ScoringError
from app.scoring.block import Block, as_objects
from app.scoring.plan import Format
from app.scoring.tables import ParquetFile, write_table


class OneSchema(FeatureSchema):
    """One feature."""

    features = (Feature("a b's", 0, 10, "A.", 1),)


SCHEMA = OneSchema()
COLUMN = '"a b\'s"'


def parquet(folder: Path, values: str) -> ParquetFile:
    """A file with a row per value, as SQL writes them."""
    path = folder / "in.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT unnest([{values}]) AS {COLUMN}) TO '{path}' (FORMAT parquet)")
    return ParquetFile(str(path), None)


def block(file: ParquetFile, keep: tuple[str, ...] = ()) -> Block:
    return file.block(0, file.shape()[0], SCHEMA.names, keep)


@pytest.mark.parametrize(
    "values",
    ["1::TINYINT", "1::UTINYINT", "1::SMALLINT", "1::USMALLINT", "1::INTEGER", "1::UINTEGER", "1::BIGINT",
     "1::UBIGINT", "1::FLOAT", "1::DOUBLE", "1::DECIMAL(9, 2)"],
)  # fmt: skip
def test_every_numeric_type_is_a_number(tmp_path: Path, values: str) -> None:
    """Whatever a writer chose."""
    found = block(parquet(tmp_path, values)).readings(SCHEMA)
    assert found.rows.tolist() == [[1.0]]


def test_decimals_are_the_nearest_floats(tmp_path: Path) -> None:
    """As their text would be read."""
    texts = ["0.1234567890123456789012345", "1.0000000000000001000000001"]
    found = block(parquet(tmp_path, ", ".join(f"'{text}'::DECIMAL(38, 25)" for text in texts)))
    assert found.matrix[:, 0].tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        pytest.param("'1', NULL", ["got str", "got NoneType"], id="text"),
        pytest.param("true, NULL", ["got bool", "got NoneType"], id="booleans"),
        pytest.param("DATE '2026-01-01'", ["got date"], id="dates"),
        pytest.param("[1]", ["got list"], id="lists"),
        pytest.param("1.5::DOUBLE, NULL, 'nan'", ["got NoneType", "cannot be NaN"], id="doubles"),
        pytest.param("'inf'::FLOAT", ["=inf out of range"], id="infinity"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_named(tmp_path: Path, values: str, messages: list[str]) -> None:
    """By the contract, from the values themselves."""
    found = block(parquet(tmp_path, values)).readings(SCHEMA)
    rejected = [entry.message for entry in found.rejected.values()]
    assert len(rejected) == len(messages)
    assert all(part in message for part, message in zip(messages, rejected, strict=True))


def test_rows_come_in_the_files_order(tmp_path: Path) -> None:
    """From any place, across row groups."""
    path = tmp_path / "in.parquet"
    with duckdb.connect() as connection:
        rows = f"SELECT range % 11 AS {COLUMN}, 'id ' || range AS id FROM range(10_000)"
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    found = ParquetFile(str(path), None).block(2_000, 7_000, SCHEMA.names, ("id",))
    assert found.matrix[:, 0].tolist() == [row % 11 for row in range(2_000, 7_000)]
    assert found.kept["id"].tolist() == [f"id {row}" for row in range(2_000, 7_000)]


def test_kept_columns_are_text(tmp_path: Path) -> None:
    """Of any type."""
    assert block(parquet(tmp_path, "1.5::DOUBLE, NULL"), keep=SCHEMA.names).kept[SCHEMA.names[0]].tolist() == [
        "1.5",
        None,
    ]


def test_what_is_no_parquet_is_said(tmp_path: Path) -> None:
    """With the file's name."""
    (tmp_path / "x.parquet").write_text("oops")
    with pytest.raises(DataError, match=r"x\.parquet: not a readable Parquet file: "):
        ParquetFile(str(tmp_path / "x.parquet"), None).shape()


@pytest.mark.parametrize("output_format", ["parquet", "csv"])
def test_a_written_table_comes_back_to_the_last_bit(tmp_path: Path, output_format: Format) -> None:
    """Numbers, texts with everything in them, and nulls."""
    scores = np.random.default_rng(1).random(1_000)
    texts = as_objects(["a,b", 'say "é"', "line\nbreak", None, "'; --"] * 200)
    path = tmp_path / "it's.out"
    write_table(path, {"why": "it's", "score": scores, 't"ext': texts}, output_format)
    with duckdb.connect() as connection:
        reader = {"parquet": "read_parquet(?)", "csv": "read_csv(?, quote = '\"')"}[output_format]
        found = connection.execute(f"SELECT * FROM {reader}", [str(path)])
        assert [column[0] for column in found.description or []] == ["why", "score", 't"ext']
        assert found.fetchall() == [("it's", *line) for line in zip(scores.tolist(), texts.tolist(), strict=True)]


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    """Of the types that others have."""
    write_table(tmp_path / "x", {"a": np.empty(0), "b": as_objects([])}, "parquet")
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(tmp_path / "x")]).fetchall()
    assert [column[:2] for column in described] == [("a", "DOUBLE"), ("b", "VARCHAR")]


def test_a_table_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """With the folder's name."""
    with pytest.raises(ScoringError, match="nowhere cannot be written") as error:
        write_table(tmp_path / "nowhere" / "x", {"a": np.zeros(1)}, "parquet")
    assert "\n" not in str(error.value)
