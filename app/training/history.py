"""Reads a user's metric history from CSV or Parquet, and says where a file is wrong.

Rows are counted as in the data: 1 is the first after the header, blank lines do not count. A row whose
`metric_value` is empty (NULL in Parquet) is a reading that never arrived: it is left out, and a notice says so.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.contract.problems import number_text
from app.contract.schema import FeatureSchema
from app.errors import DataError
from app.training.features import epoch_microseconds

REQUIRED = ("timestamp", "region_id", "product_id", "metric_value")
LABEL = "is_anomaly"

_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
_STARTS_WITH_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class History:
    """Readings in the file's order.

    `frame`: timestamp (UTC, microseconds), region_id, product_id, metric_value (float64, within the contract) and,
    where the file has labels, is_anomaly (0 or 1). `rows`: each reading's row in the file.
    """

    source: str
    frame: pd.DataFrame
    rows: NDArray[np.int64]
    notices: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether somebody has said which readings are anomalies."""
        return LABEL in self.frame.columns


def read_history(path: Path, schema: FeatureSchema | None = None) -> History:
    """The history in `metrics.csv`, `metrics.csv.gz` or `metrics.parquet`. Raises `DataError`."""
    source = str(path)
    texts = _parquet_texts(path) if path.suffix.lower() == ".parquet" else _csv_texts(path)
    present = texts["metric_value"].str.strip() != ""
    missing = texts.index[~present].tolist()
    _refuse_cut_rows(source, texts[~present])
    texts = texts[present]
    if texts.empty:
        raise DataError(source, "no readings in it")
    frame = pd.DataFrame({"timestamp": _timestamps(source, texts["timestamp"])})
    ranges = {feature.name: (feature.low, feature.high) for feature in (schema or FeatureSchema()).features}
    for name in REQUIRED[1:]:
        frame[name] = _numbers(source, texts[name], *ranges[name])
    if LABEL in texts:
        frame[LABEL] = _labels(source, texts[LABEL])
    _refuse_duplicates(source, frame)
    notices = (f"{len(missing)} empty readings left out (rows {_list(missing)})",) if missing else ()
    return History(source, frame.reset_index(drop=True), frame.index.to_numpy(dtype=np.int64), notices)


def _refuse_cut_rows(source: str, empty: pd.DataFrame) -> None:
    """A row may lack its reading, but a row that lacks more was cut off, or never was one."""
    for name in (column for column in REQUIRED if column != "metric_value"):
        blank = empty.index[empty[name].str.strip() == ""]
        if len(blank):
            raise DataError(source, "the row is cut off: its value is missing too", column=name, row=int(blank[0]))
    _timestamps(source, empty["timestamp"])


def data_digest(frame: pd.DataFrame) -> str:
    """SHA-256 of the table, whatever the order of its rows or the format it came in."""
    names = [name for name in (*REQUIRED, LABEL) if name in frame.columns]
    columns = {name: frame[name].to_numpy(dtype="<f8") for name in names if name != "timestamp"}
    columns["timestamp"] = epoch_microseconds(frame).astype("<i8")
    order = np.lexsort((columns["timestamp"], columns["product_id"], columns["region_id"]))
    digest = hashlib.sha256(",".join(names).encode())
    for name in names:
        digest.update(columns[name][order].tobytes())
    return digest.hexdigest()


# --- from a file to a table of texts, its index the row number ---------------------------------------------------


def _csv_texts(path: Path) -> pd.DataFrame:
    text = _decoded(path)
    try:
        table = pd.read_csv(io.StringIO(text), header=None, dtype=str, na_filter=False, skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise DataError(path, "the file is empty") from None
    except (pd.errors.ParserError, csv.Error, ValueError) as error:
        reason = str(error).strip().splitlines()[0].removeprefix("Error tokenizing data. C error: ")
        raise DataError(path, f"not a CSV: {reason}") from None
    header = [str(name).strip() for name in table.iloc[0]]
    return _chosen_columns(path, header, table.iloc[1:])


def _decoded(path: Path) -> str:
    name = path.name.lower()
    if not name.endswith((".csv", ".csv.gz")):
        raise DataError(path, "the name must end in .csv, .csv.gz or .parquet")
    content = b""
    try:
        content = path.read_bytes()
        if name.endswith(".gz"):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(path, f"not a whole gzip file: {error}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(path, f"not UTF-8 text (byte 0x{content[error.start]:02x} in line {line})") from None
    except OSError as error:
        raise DataError(path, error.strerror or "cannot be read") from None


def _parquet_texts(path: Path) -> pd.DataFrame:
    import duckdb  # here, since most runs never need it

    if not path.is_file():
        raise DataError(path, "no such file")
    try:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # As text, so that both formats are checked by the same rules; duckdb writes numbers without loss.
            found = connection.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)])
            header = [str(column[0]) for column in found.description or []]
            table = pd.DataFrame(found.fetchall(), columns=range(len(header)), dtype=object).fillna("")
    except (duckdb.Error, OSError) as error:
        raise DataError(path, f"not a readable Parquet file: {str(error).splitlines()[0]}") from None
    table.index = pd.RangeIndex(1, len(table) + 1)
    return _chosen_columns(path, header, table)


def _chosen_columns(path: Path, header: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    for name in REQUIRED:
        if name not in header:
            found = ", ".join(text[:_SHOWN] for text in header[:20])
            raise DataError(path, f"missing; the file has: {found}", column=name)
    names = [name for name in (*REQUIRED, LABEL) if name in header]
    for name in names:
        if header.count(name) > 1:
            raise DataError(path, "appears more than once", column=name)
    if table.empty:
        raise DataError(path, "no readings in it, only a header")
    return pd.DataFrame({name: table.iloc[:, header.index(name)].astype(str) for name in names})


# --- one column each: texts to values ----------------------------------------------------------------------------


def _timestamps(source: str, texts: pd.Series) -> pd.Series:
    texts = texts.str.strip()
    # pandas would read "today" and "2024" too.
    dated = [text if _STARTS_WITH_DATE.match(text) else "" for text in texts]
    times = pd.Series(pd.to_datetime(dated, format="ISO8601", utc=True, errors="coerce"), index=texts.index)
    if times.isna().any():
        row = times.index[times.isna()][0]
        wanted = "write ISO 8601 such as 2026-01-31T14:00:00Z"
        raise DataError(source, f"{_quoted(texts[row])} is no timestamp; {wanted}", column="timestamp", row=int(row))
    return times.dt.as_unit("us")


def _numbers(source: str, texts: pd.Series, low: float, high: float) -> NDArray[np.float64]:
    name = str(texts.name)
    values = np.empty(len(texts))
    for place, text in enumerate(texts):
        try:
            values[place] = float(text) if "_" not in text else float("")
        except ValueError:
            row = int(texts.index[place])
            raise DataError(source, f"{_quoted(text)} is no number", column=name, row=row) from None
    wrong = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(wrong):
        place, row = wrong[0], int(texts.index[wrong[0]])
        if np.isnan(values[place]):
            problem = "NaN; leave the field empty where a reading is missing"
        else:
            problem = f"{_quoted(texts.iloc[place])} out of range [{number_text(low)}, {number_text(high)}]"
        raise DataError(source, problem, column=name, row=row)
    return values + 0.0  # -0.0 is 0.0


def _labels(source: str, texts: pd.Series) -> NDArray[np.int64]:
    labels = texts.str.strip().str.lower().map(_LABELS)
    if labels.isna().any():
        row = labels.index[labels.isna()][0]
        raise DataError(source, f"must be 0 or 1, got {_quoted(texts[row])}", column=LABEL, row=int(row))
    return np.asarray(labels, dtype=np.int64)


def _refuse_duplicates(source: str, frame: pd.DataFrame) -> None:
    key = ["region_id", "product_id", "timestamp"]
    again = frame.duplicated(key)
    if again.any():
        row = frame.index[again][0]
        same = (frame[key] == frame.loc[row, key]).all(axis=1)
        earlier = frame.index[same][0]
        problem = f"the same series and time as row {earlier}"
        raise DataError(source, problem, column="timestamp", row=int(row))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _list(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
