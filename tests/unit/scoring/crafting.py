"""The same rows as files of every format, and the results of a scoring as lists."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from app.contract.schema import FeatureSchema, Matrix
from app.model.registry import Registry
from app.model.rule import z_score_rule
from app.scoring.run import FileScorer

FORMATS = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")

Line = Mapping[str, Any]


def lines_of(schema: FeatureSchema, rows: Matrix) -> list[Line]:
    """Each row with an id, by column."""
    return [
        {"id": f"row {place}", **dict(zip(schema.names, row, strict=True))} for place, row in enumerate(rows.tolist())
    ]


def write(folder: Path, kind: str, lines: Sequence[Line], name: str = "rows") -> Path:
    """A file of `kind` that holds these lines; None is a null."""
    path = folder / f"{name}.{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        _write_parquet(path, lines)
        return path
    text = _csv(lines) if kind.startswith("csv") else "".join(json.dumps(line) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), 1) if kind.endswith("gz") else text.encode())
    return path


def _csv(lines: Sequence[Line]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _write_parquet(path: Path, lines: Sequence[Line]) -> None:
    source = path.with_suffix(".for-parquet.jsonl")
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with duckdb.connect() as connection:
        columns = ", ".join(f"'{name}': '{'VARCHAR' if name == 'id' else 'DOUBLE'}'" for name in lines[0])
        rows = f"read_json('{source}', format = 'newline_delimited', columns = {{{columns}}})"
        connection.execute(f"COPY (SELECT * FROM {rows}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    source.unlink()


def file_scorer(schema: FeatureSchema, registry: Registry, rule: Any = z_score_rule) -> FileScorer:
    return FileScorer(schema, registry, rule)


def results(output: Path, part: str = "scored") -> list[dict[str, Any]]:
    """Every line of the results, in the order of source and row; without the source, which names the input."""
    found = sorted((output / part).glob("*"))
    if not found:
        return []
    reader = "read_parquet" if found[0].suffix == ".parquet" else "read_csv"
    options = "" if reader == "read_parquet" else ", quote = '\"', types = {'prediction': 'DOUBLE'}"
    if part == "rejected":
        options = options.split(", types")[0]
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT * FROM {reader}(?{options}) ORDER BY source, row", [[*map(str, found)]])
        names = [column[0] for column in rows.description or []]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def without_source(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "source"} for line in lines]


def contents(output: Path) -> dict[str, bytes]:
    """All result files by name, for a comparison to the last bit."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for part in ("scored", "rejected", "receipts")
        for path in sorted((output / part).glob("*"))
    }
