"""Golden rows come from a CSV file; a row that breaks the contract is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from app.errors import DataError
from app.model.registration import read_rows
from tests.unit.model.crafting import Table, table_of, write_csv

SCHEMA = FeatureSchema()
EXAMPLE = [repr(value) for value in SCHEMA.example().values()]


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """120 rows of the contract."""
    return write_csv(tmp_path / "golden.csv", table_of(SCHEMA, SCHEMA.sample(120, seed=4)))


def test_rows_come_back_bit_for_bit(golden: Path) -> None:
    """float64, columns in contract order."""
    np.testing.assert_array_equal(read_rows(golden, SCHEMA), SCHEMA.sample(120, seed=4))


def test_columns_may_come_in_any_order_and_with_others(tmp_path: Path) -> None:
    """They are found by name; a label column does no harm."""
    header, row = [*reversed(SCHEMA.names), "is_anomaly"], [*reversed(EXAMPLE), "yes"]
    rows = read_rows(write_csv(tmp_path / "golden.csv", [header, row]), SCHEMA)
    assert rows.tolist() == [list(SCHEMA.example().values())]


def _without(name: str) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        column = table[0].index(name)
        for line in table:
            del line[column]

    return change


def _cell(number: int, name: str, text: str) -> Callable[[Table], None]:
    """Changes a cell of the row that a spreadsheet shows under `number`."""

    def change(table: Table) -> None:
        table[number - 1][table[0].index(name)] = text

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(_cell(2, "lag_1", "many"), "row 2: lag_1 must be numeric, got str", id="a word"),
        pytest.param(_cell(3, "lag_1", ""), "row 3: lag_1 must be numeric, got str", id="an empty cell"),
        pytest.param(_cell(3, "lag_1", "nan"), "row 3: lag_1 cannot be NaN", id="nan"),
        pytest.param(_cell(4, "lag_1", "-1"), "row 4: lag_1=-1 out of range [0, 1000000]", id="out of range"),
        pytest.param(_cell(4, "lag_1", "inf"), "row 4: lag_1=inf out of range [0, 1000000]", id="infinite"),
        pytest.param(_without("lag_1"), "row 2: Missing features: ['lag_1']", id="a column is missing"),
        pytest.param(_cell(1, "lag_1", "lag1"), "row 2: Missing features: ['lag_1']", id="a column is misspelt"),
        pytest.param(lambda t: t[2].pop(), "row 3: lag_1 must be numeric, got NoneType", id="a short row"),
        pytest.param(lambda t: t.pop(0), f"row 2: Missing features: {list(SCHEMA.names)}", id="no header"),
        pytest.param(lambda t: t.__delitem__(slice(1, None)), "holds no rows", id="a header alone"),
        pytest.param(lambda t: t.clear(), "holds no rows", id="nothing"),
    ],
)
def test_a_bad_table_is_refused_with_the_row(tmp_path: Path, change: Callable[[Table], Any], problem: str) -> None:
    """The header is row 1, as in a spreadsheet; the first bad row is named."""
    table = [list(SCHEMA.names), *([*EXAMPLE] for _ in range(4))]
    change(table)
    path = write_csv(tmp_path / "golden.csv", table)
    with pytest.raises(DataError) as caught:
        read_rows(path, SCHEMA)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_row_longer_than_the_header_is_refused(tmp_path: Path) -> None:
    """A decimal comma shifts every value after it: such a row must not be read as something else."""
    path = write_csv(tmp_path / "golden.csv", [list(SCHEMA.names), EXAMPLE, [*EXAMPLE, "5"]])
    with pytest.raises(DataError, match="row 3"):
        read_rows(path, SCHEMA)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant?"""
    path = write_csv(tmp_path / "golden.csv", [[*SCHEMA.names, "lag_1"], [*EXAMPLE, "7"]])
    with pytest.raises(DataError, match="lag_1"):
        read_rows(path, SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
        pytest.param(b'"' + b"x" * 200_000 + b'"\n1\n', id="an endless cell"),
    ],
)
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    """With the path."""
    (tmp_path / "golden.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"golden\.csv: cannot be read as CSV: "):
        read_rows(tmp_path / "golden.csv", SCHEMA)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    """With the path."""
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read as CSV: "):
        read_rows(tmp_path / "absent.csv", SCHEMA)
