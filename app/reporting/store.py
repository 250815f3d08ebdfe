"""A scratch database: filled from the audit files within bounded memory, gone when the report is done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from tqdm import tqdm

from app.errors import ReportError
from app.reporting.period import Period
from app.settings import available_cpus
from app.telemetry.audit_files import AuditFile

MEMORY_LIMIT = "1GiB"
"""What the database may hold in memory; beyond it, it spills to disk. The process needs about 200 MB beside it."""

_GROUP_BYTES = 512 * 1024 * 1024
_GROUP_FILES = 200


@dataclass(slots=True)
class Loaded:
    """What became of the files; those in `unreadable` gave no line, each with the reason."""

    files: int = 0
    bytes: int = 0
    unreadable: list[tuple[AuditFile, str]] = field(default_factory=list)


class Store:
    """The database `folder`/audit.db."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "audit.db"
        self._temporary = folder / "spilled"
        self.connection = self._connect(read_only=False)

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        config: dict[str, Any] = {
            "memory_limit": MEMORY_LIMIT,
            "threads": min(4, available_cpus()),
            "temp_directory": str(self._temporary),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": read_only,  # of lines it means nothing to a count, and costs memory
            "python_enable_replacements": False,  # else a table may be any Python variable of that name
        }
        return duckdb.connect(str(self._path), read_only=read_only, config=config)

    def lock(self) -> None:
        """From now on the database can only be read, and no file but its own scratch ones can be reached."""
        self.connection.close()
        self.connection = self._connect(read_only=True)
        self.connection.execute("SET enable_external_access = false; SET lock_configuration = true")

    def unlock(self) -> None:
        """As it was before `lock`, over a new connection."""
        self.connection.close()
        self.connection = self._connect(read_only=False)

    def load(self, files: Sequence[AuditFile], statements: Sequence[str], period: Period) -> Loaded:
        """Runs `statements` over all files, some at a time; `$files`, `$since` and `$until` are theirs to use.

        A file that cannot be read is left out whole, and noted. Raises `ReportError`.
        """
        loaded = Loaded()
        with tqdm(
            total=sum(file.bytes for file in files), unit="B", unit_scale=True, desc="reading", delay=1, leave=False
        ) as bar:
            for group in _groups(files):
                self._load_group(group, statements, period, loaded)
                bar.update(sum(file.bytes for file in group))
        return loaded

    def _load_group(
        self, group: Sequence[AuditFile], statements: Sequence[str], period: Period, loaded: Loaded
    ) -> None:
        paths = [str(file.path) for file in group]
        values = {
            "files": paths,
            "since": period.since and period.since.replace(tzinfo=None),
            "until": period.until and period.until.replace(tzinfo=None),
        }
        try:
            self.connection.begin()
            for statement in statements:
                self.connection.execute(statement, values)
            self.connection.commit()
        except duckdb.Error as error:
            self.connection.rollback()
            problem = one_line(error)
            if not any(path in problem for path in paths):
                raise ReportError(f"the audit cannot be read: {problem}") from error
            if len(group) == 1:
                loaded.unreadable.append((group[0], problem))
                return
            for file in group:
                self._load_group([file], statements, period, loaded)
        else:
            loaded.files += len(group)
            loaded.bytes += sum(file.bytes for file in group)


@contextmanager
def scratch_store() -> Iterator[Store]:
    """A store that is gone afterwards; it lies where temporary files do (`TMPDIR`)."""
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        store = Store(Path(folder))
        try:
            yield store
        finally:
            store.connection.close()


def one_line(error: duckdb.Error) -> str:
    """What went wrong, without DuckDB's picture of the query."""
    paragraph = str(error).strip().split("\n\n")[0].split("\nLINE ")[0]
    return " ".join(paragraph.split())


def _groups(files: Sequence[AuditFile]) -> Iterator[list[AuditFile]]:
    group: list[AuditFile] = []
    held = 0
    for file in files:
        if group and (held + file.bytes > _GROUP_BYTES or len(group) == _GROUP_FILES):
            yield group
            group, held = [], 0
        group.append(file)
        held += file.bytes
    if group:
        yield group
