"""The output folder: its plan, a pair of files per partition, and a receipt for each that makes it count.

- `manifest.json`: what is scored with what; another run goes on only with the same.
- `scored/part-F-P.parquet`: file F, partition P, a line per scored row.
- `rejected/part-F-P.parquet`: a line per problem of a rejected row, where there is one.
- `receipts/part-F-P.json`: counts; written last.
- `summary.json`: all counts, once every partition has its receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from numpy.typing import NDArray

from app.errors import ScoringError
from app.scoring.plan import Format, Partition, Plan, Receipt
from app.scoring.storage import Storage, plain, storage_of
from app.scoring.tables import write_table

_MANIFEST, _SUMMARY = "manifest.json", "summary.json"
_SCORED, _REJECTED, _RECEIPTS = "scored", "rejected", "receipts"
_OURS = (_SUMMARY, _RECEIPTS, _SCORED, _REJECTED, _MANIFEST)
"""In the order in which they may go: whatever is left never claims to be more than it is."""

Table = Mapping[str, NDArray[Any] | str]
"""Columns by name, as `write_table` takes them."""

Document = TypeVar("Document", Plan, Receipt)


class Output:
    """The folder at `path`, on this machine or at an fsspec URL."""

    def __init__(self, path: str) -> None:
        self.path = plain(path).rstrip("/")
        self._storage: Storage = storage_of(path)

    def begin(self, plan: Plan, *, overwrite: bool) -> None:
        """Makes the folder one of `plan`. Raises `ScoringError` where it holds something else."""
        found = self._names()
        if found and _MANIFEST not in found:
            raise ScoringError(f"{self.path} is not empty, and nothing that 'flask score' made; name another --output")
        if found and overwrite:
            for name in _OURS:
                self._storage.remove(f"{self.path}/{name}")
        elif found:
            difference = self._decoded(_MANIFEST, Plan).difference(plan)
            if difference is not None:
                raise ScoringError(
                    f"{self.path} holds another scoring: {difference}; name another --output, or add --overwrite"
                )
        for folder in (_SCORED, _REJECTED, _RECEIPTS):
            self._storage.tidy(f"{self.path}/{folder}")
        if not found or overwrite:
            self._write(_MANIFEST, plan)

    def receipts(self) -> set[str]:
        """The names of the partitions that are done."""
        return {name.removesuffix(".json") for name in self._storage.names(f"{self.path}/{_RECEIPTS}")}

    def receipt(self, partition: Partition) -> Receipt:
        """Of a partition that is done. Raises `ScoringError`."""
        return self._decoded(f"{_RECEIPTS}/{partition.name}.json", Receipt)

    def write(
        self, partition: Partition, output_format: Format, scored: Table, rejected: Table, receipt: Receipt
    ) -> None:
        """A partition's results. Each file appears whole, and the receipt when all others are there."""
        name = f"{partition.name}.{output_format}"
        if receipt.rejected:
            with self._storage.draft(f"{self.path}/{_REJECTED}/{name}") as draft:
                write_table(draft, rejected, output_format)
        with self._storage.draft(f"{self.path}/{_SCORED}/{name}") as draft:
            write_table(draft, scored, output_format)
        self._write(f"{_RECEIPTS}/{partition.name}.json", receipt)

    def finish(self, summary: msgspec.Struct) -> None:
        """Says that nothing is missing."""
        self._write(_SUMMARY, summary)

    def _names(self) -> list[str]:
        try:
            return self._storage.names(self.path)
        except NotADirectoryError:
            raise ScoringError(f"{self.path} is a file; --output names a folder") from None

    def _decoded(self, name: str, kind: type[Document]) -> Document:
        path = f"{self.path}/{name}"
        try:
            with self._storage.open(path) as file:
                return msgspec.json.decode(file.read(), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ScoringError(f"{path} is none of 'flask score': {error}; add --overwrite to begin anew") from None

    def _write(self, name: str, document: msgspec.Struct) -> None:
        with self._storage.draft(f"{self.path}/{name}") as draft:
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
