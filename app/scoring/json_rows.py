"""JSON lines to rows. What the compiled decoder does not take as it is goes through the contract's careful reader."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from app.contract.body import strict_json
from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema, Matrix, Row
from app.errors import MalformedBodyError
from app.scoring.block import Block, as_objects, malformed
from app.scoring.records import Records


class JsonRows:
    """Reads records that are JSON objects; members that are neither features nor kept are passed over."""

    def __init__(self, schema: FeatureSchema, keep: Sequence[str]) -> None:
        self._schema = schema
        self._keep = keep
        fields = [(f"f{index}", float) for index in range(len(schema.names))]
        names = {f"f{index}": name for index, name in enumerate(schema.names)}
        exact = msgspec.defstruct("Exact", fields, rename=names, frozen=True, gc=False)
        self._exact = msgspec.json.Decoder(exact)
        self._nothing: Row = (math.nan,) * len(schema.names)
        self._any = msgspec.json.Decoder()

    def block(self, data: bytes, records: Records) -> Block:
        """The rows of some records of `data`."""
        lines = [data[start:end] for start, end in zip(records.starts.tolist(), records.ends.tolist(), strict=True)]
        documents: list[Mapping[str, Any]] = [{}] * len(lines)
        matrix = self._all_exact(lines)
        if matrix is None:
            documents = [self._quick(line) for line in lines]
            matrix = self._schema.matrix([self._row(document) for document in documents])
        rejected: dict[int, Rejected] = {}
        for place in self._schema.check_matrix(matrix).rejected:
            row, documents[place] = self._carefully(lines[place])
            if isinstance(row, Rejected):
                matrix[place], rejected[place] = np.nan, row
            else:
                matrix[place] = row
        kept = {name: as_objects([_text(document.get(name)) for document in documents]) for name in self._keep}
        return Block(matrix, kept, rejected)

    def _all_exact(self, lines: Sequence[bytes]) -> Matrix | None:
        """The matrix, where each line holds the features and nothing else."""
        # The decoder lets the last of two equal keys win. Each key costs two quotes, and numbers cost none.
        text = b"".join(lines)
        quotes = np.count_nonzero(np.frombuffer(text, np.uint8) == ord('"'))
        if self._keep or quotes != 2 * len(self._schema.names) * len(lines):
            return None
        try:
            rows = [msgspec.structs.astuple(row) for row in self._exact.decode_lines(text)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return self._schema.matrix(rows) if len(rows) == len(lines) else None

    def _quick(self, line: bytes) -> Mapping[str, Any]:
        """What the line holds; nothing where that needs a closer look."""
        try:
            document = self._any.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {}
        # As above: in an object of flat values, strings cost two quotes too.
        return document if type(document) is dict and line.count(b'"') == _quotes(document) else {}

    def _row(self, document: Mapping[str, Any]) -> Row:
        """Its features; all NaN where one of them is no number, or too large for one."""
        values = [document.get(name) for name in self._schema.names]
        if not {type(value) for value in values} <= {int, float}:
            return self._nothing
        try:
            return tuple(map(float, values))  # type: ignore[arg-type]
        except OverflowError:
            return self._nothing

    def _carefully(self, line: bytes) -> tuple[Row | Rejected, Mapping[str, Any]]:
        """The line's row, or what is wrong with it in the service's words; and all that it holds."""
        try:
            document = strict_json(line)
        except MalformedBodyError as error:
            return malformed(str(error).replace("The body", "The line", 1)), {}
        if not isinstance(document, dict):
            return self._schema.check(document), {}
        features = {name: document[name] for name in self._schema.names if name in document}
        return self._schema.check(features), document


def _quotes(document: Mapping[str, Any]) -> int:
    """Those that its text has where no key is repeated, nothing nested, and no string holds an escape."""
    return 2 * (len(document) + sum(type(value) is str for value in document.values()))


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
