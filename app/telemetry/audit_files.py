"""The audit's files by name: `predictions-DATE-PID[-NUMBER].jsonl`, or the same with `.gz` once somebody packed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

_NAME = re.compile(r"predictions-(\d{8})-\d+(?:-\d+)?\.jsonl(?:\.gz)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuditFile:
    """One file, as it was when it was listed."""

    path: Path
    day: date
    """The UTC day on which its lines were written."""
    bytes: int
    modified_ns: int


def audit_path(folder: Path, day: date, pid: int, number: int) -> Path:
    """The file of process `pid`; `number` counts its files of one day, from 0."""
    return folder / f"predictions-{day:%Y%m%d}-{pid}{f'-{number}' if number else ''}.jsonl"


def audit_files(folder: Path) -> list[AuditFile]:
    """All audit files in `folder`, oldest first; whatever else lies there is none of the audit's. Raises `OSError`."""
    found: list[AuditFile] = []
    for path in folder.iterdir():
        day = _day(path.name)
        if day is None:
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:  # removed or packed between the two looks
            continue
        found.append(AuditFile(path, day, stat.st_size, stat.st_mtime_ns))
    return sorted(found, key=lambda file: (file.day, file.modified_ns, file.path.name))


def _day(name: str) -> date | None:
    match = _NAME.fullmatch(name)
    try:
        return datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date() if match else None
    except ValueError:
        return None
