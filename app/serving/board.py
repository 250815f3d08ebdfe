"""The worker board: what every worker of this service last said about itself, readable by each of them.

One folder in shared memory with two files per worker: `PID.json`, replaced at each self-test, and `PID.pulse`, a
memory-mapped record of its latest prediction that costs a request no system call.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from app.serving.shadow_state import ShadowState
from app.serving.stage import StageState
from app.telemetry.tally import TrafficReport

_PULSE = struct.Struct("<dQ?")  # last prediction (Unix time, 0: none), failures in a row, success of the last


@dataclass(frozen=True, slots=True)
class Pulse:
    """A worker's latest prediction."""

    last_prediction_time: float | None
    consecutive_failures: int
    last_success: bool | None


class Failure(msgspec.Struct, frozen=True):
    """Something that went wrong, when it began and how often since."""

    what: str
    since: float
    last: float
    count: int = 1
    request_id: str | None = None
    """Of the last request that met it; None where only self-tests did."""


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker says about itself."""

    pid: int
    started: float
    reported: float
    """Unix time."""
    reported_steady: float
    """The same by the monotonic clock, which all processes of a machine share and nobody sets."""
    status: str
    causes: list[str]
    ready: bool
    draining: bool
    model_version: str | None
    model_loaded: bool
    stages: dict[str, StageState]
    absent: dict[str, str]
    scorers: dict[str, str]
    warnings: list[str]
    self_test_last_success: float | None
    audit_errors: int
    log_lines_dropped: int
    failures: list[Failure]
    traffic: TrafficReport
    shadow: ShadowState | None = None


class WorkerBoard:
    """One process's place on the board, and its sight of all others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pid = -1
        self._pulse: mmap.mmap | None = None
        self._failures_in_a_row = 0
        self._report: WorkerReport | None = None
        self._leaving: IO[str] | None = None

    @property
    def pid(self) -> int:
        """The process that took this place, -1 before `join`."""
        return self._pid

    def join(self) -> None:
        """Takes this process's place; call it after the last fork. Raises `OSError`; it is no reason not to serve."""
        self._pid = os.getpid()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path("pulse").open("w+b") as file:
            file.write(bytes(_PULSE.size))
            file.flush()
            self._pulse = mmap.mmap(file.fileno(), _PULSE.size)

    def leave(self) -> None:
        """Gives the place up."""
        self._report = None
        if self._leaving is not None:
            self._leaving.close()
        if self._pid == os.getpid():
            for suffix in ("json", "pulse"):
                self._path(suffix).unlink(missing_ok=True)

    def take_leave(self) -> bool:
        """Whether this worker may go: while another is ready to answer, and one at a time.

        The lock ends with the process that holds it, so the next one may go when this one is gone.
        """
        if not any(report.ready and report.pid != self._pid for report, _ in self.reports()):
            return False
        try:
            lock = (self.folder / "leaving").open("w")
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._leaving = lock
        return True

    def beat(self, at: float, *, success: bool) -> None:
        """Notes one prediction at Unix time `at`."""
        self._failures_in_a_row = 0 if success else self._failures_in_a_row + 1
        if self._pulse is not None:
            _PULSE.pack_into(self._pulse, 0, at, self._failures_in_a_row, success)

    def post(self, report: WorkerReport) -> None:
        """Puts up this worker's report in place of its last one. Raises `OSError`; this worker sees it all the same."""
        self._report = report
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path("json")
        draft = path.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(report))
        draft.replace(path)

    def reports(self) -> list[tuple[WorkerReport, Pulse]]:
        """All living workers, oldest first; the places of dead ones are cleared."""
        found: list[tuple[WorkerReport, Pulse]] = []
        for path in self.folder.glob("*.json"):
            pid = int(path.stem)
            if not alive(pid):
                path.unlink(missing_ok=True)
                path.with_suffix(".pulse").unlink(missing_ok=True)
                continue
            try:
                report = msgspec.json.decode(path.read_bytes(), type=WorkerReport)
                pulse = _unpacked(path.with_suffix(".pulse").read_bytes())
            except (OSError, msgspec.MsgspecError, struct.error):  # it left between the two looks, or the disk is full
                continue
            found.append((report, pulse))
        if self._report is not None and all(report.pid != self._pid for report, _ in found):
            found.append((self._report, _unpacked(self._pulse or bytes(_PULSE.size))))
        return sorted(found, key=lambda place: place[0].started)

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self._pid}.{suffix}"


def _unpacked(record: bytes | mmap.mmap) -> Pulse:
    at, failures, success = _PULSE.unpack(record)
    return Pulse(at, failures, success) if at else Pulse(None, 0, None)


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
