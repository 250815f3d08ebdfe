"""Versions that went wrong in one chosen way, and models that are not what they seem."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pickle
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from skops.io._protocol import PROTOCOL

from app.contract.schema import FeatureSchema, Matrix
from app.model.manifest import MANIFEST_FILE

Document = dict[str, Any]
Table = list[list[str]]


class Scoring:
    """An estimator that gives every row one and the same score."""

    def __init__(self, score: float) -> None:
        self.score = score

    def predict_proba(self, rows: Matrix) -> Matrix:
        return np.full((len(rows), 2), self.score)


class Bomb:
    """Unpickling it makes a file: proof that bytes were trusted."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def skops_bomb(path: Path, trace: Path) -> Path:
    """A skops file that makes the folder `trace` when it is built."""
    schema = {
        "__module__": os.mkdir.__module__,
        "__class__": "mkdir",
        "__loader__": "ConstructorFromReduceNode",
        "content": {
            "__module__": "builtins",
            "__class__": "tuple",
            "__loader__": "TupleNode",
            "content": [
                {
                    "__module__": "builtins",
                    "__class__": "str",
                    "__loader__": "JsonNode",
                    "content": json.dumps(str(trace)),
                }
            ],
        },
        "protocol": PROTOCOL,
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    return path


def edit_manifest(folder: Path, change: Callable[[Document], object]) -> None:
    """Changes a version's manifest in place; no signature follows."""
    path = folder / MANIFEST_FILE
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Puts other bytes in place of a file and makes the manifest vouch for them."""
    (folder / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest()}
    edit_manifest(folder, lambda document: document["files"].update({name: entry}))


def plant_bomb(folder: Path, *stages: str) -> Path:
    """Replaces the stages' files with bombs the manifest vouches for; the returned path exists once one went off."""
    trace = folder.parent / "a bomb went off"
    for stage in stages:
        replace_file(folder, f"{stage}.joblib", pickle.dumps(Bomb(trace)))
    return trace


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_csv(path: Path, table: Table) -> Path:
    """The cells as a CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(table)
    return path


def table_of(schema: FeatureSchema, rows: Matrix) -> Table:
    """A header and the rows, every bit of every number kept."""
    return [list(schema.names), *([repr(value) for value in row] for row in rows.tolist())]
