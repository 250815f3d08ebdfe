"""What the service holds at one moment: its processes' memory, files and threads, and the files it keeps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import Service
from tests.footprint import footprint

MEMORY, PROPORTIONAL, PRIVATE = "memory (RSS), MB", "memory (PSS), MB", "memory of its own, MB"
DESCRIPTORS, THREADS = "open files", "threads"
FILES, SIZE = "files", "size, MB"
FOLDERS = ("AUDIT_DIR", "RUNTIME_DIR", "MODELS_DIR", "TMPDIR")

Figure = tuple[str, str]
"""Of whom or where, and of what."""


@dataclass(frozen=True, slots=True)
class Sample:
    """All figures of one moment, by the monotonic clock."""

    at_s: float
    figures: Mapping[Figure, float]


def sample(service: Service, workers: list[int]) -> Sample:
    """The figures now; raises `OSError` where a worker is gone."""
    figures: dict[Figure, float] = {}
    for name, pid in {"master": service.pid, **{f"worker {n}": pid for n, pid in enumerate(workers, 1)}}.items():
        held = footprint(pid)
        figures[name, MEMORY] = held.memory_mb
        if held.proportional_mb is not None and held.private_mb is not None:
            figures[name, PROPORTIONAL], figures[name, PRIVATE] = held.proportional_mb, held.private_mb
        figures[name, DESCRIPTORS] = held.files
        figures[name, THREADS] = held.threads
    for name in FOLDERS:
        sizes = [size for path in Path(service.env[name]).rglob("*") if (size := _size(path)) is not None]
        figures[name, FILES] = len(sizes)
        if name == "AUDIT_DIR":
            figures[name, SIZE] = sum(sizes) / 2**20
    return Sample(time.monotonic(), figures)


def _size(path: Path) -> int | None:
    """None for what is no file, or not one any more."""
    try:
        return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:
        return None
