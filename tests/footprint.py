"""What a process holds: memory, open files, threads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import eventually

NOISE_MB = 30.0
"""An allocator keeps what it once needed; a leak over many thousand requests is more than that."""

STEADY_LOOKS = 25


@dataclass(frozen=True, slots=True)
class Footprint:
    memory_mb: float
    """RSS: all of its pages, those it shares with others included."""
    files: int
    threads: int
    proportional_mb: float | None = None
    """PSS: of a shared page only its part; None where the kernel does not tell."""


def footprint(pid: int) -> Footprint:
    """What the process holds now."""
    status = _fields(Path(f"/proc/{pid}/status"))
    return Footprint(
        memory_mb=_mb(status["VmRSS"]),
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(status["Threads"]),
        proportional_mb=_proportional_mb(pid),
    )


def until_steady(pids: Collection[int]) -> None:
    """Returns when the processes have held the same files for half a second; fails where they never do."""
    counts: list[int] = []

    def steady() -> bool:
        counts.append(sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids))
        return len(counts) > STEADY_LOOKS and len(set(counts[-STEADY_LOOKS:])) == 1

    eventually(steady, "the processes hold the same files for half a second")


def leaks(before: Footprint, after: Footprint) -> list[str]:
    """What has grown beyond noise; open files and threads have none."""
    found = []
    if after.memory_mb > before.memory_mb + NOISE_MB:
        found.append(f"memory grew from {before.memory_mb:.0f} to {after.memory_mb:.0f} MB")
    if after.files > before.files:
        found.append(f"open files grew from {before.files} to {after.files}")
    if after.threads > before.threads:
        found.append(f"threads grew from {before.threads} to {after.threads}")
    return found


def _proportional_mb(pid: int) -> float | None:
    try:
        return _mb(_fields(Path(f"/proc/{pid}/smaps_rollup"))["Pss"])
    except (OSError, KeyError):
        return None


def _fields(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value for name, _, value in pairs}


def _mb(value: str) -> float:
    return int(value.split()[0]) / 1024
