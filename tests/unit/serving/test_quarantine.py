"""Versions that kill workers are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.serving.quarantine import Quarantine


def dead_pid() -> int:
    """The process id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def died(folder: Path, version: str, pids: list[int]) -> None:
    """As if these processes had been killed while they proved `version`."""
    folder.mkdir(exist_ok=True)
    for pid in pids:
        (folder / str(pid)).write_text(version)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


def test_one_death_is_tolerated_and_two_are_not(folder: Path) -> None:
    """The first may have been a kill by hand."""
    quarantine = Quarantine(folder)
    assert quarantine.verdict("v1", 0) is None
    died(folder, "v1", [dead_pid()])
    assert quarantine.verdict("v1", 0) is None
    died(folder, "v1", [dead_pid()])
    verdict = quarantine.verdict("v1", 0)
    assert verdict is not None
    assert "v1 killed 2 workers" in verdict
    assert quarantine.verdict("v2", 0) is None


def test_deaths_before_the_version_was_activated_anew_do_not_count(folder: Path) -> None:
    """Whoever activates it again wants it tried again."""
    died(folder, "v1", [dead_pid(), dead_pid()])
    assert Quarantine(folder).verdict("v1", time.time_ns() + 10**9) is None


def test_a_worker_that_lives_has_not_died_of_it(folder: Path) -> None:
    """However long it takes."""
    died(folder, "v1", [os.getpid(), os.getppid()])
    assert Quarantine(folder).verdict("v1", 0) is None


def test_the_marker_is_there_only_while_the_version_is_proven(folder: Path) -> None:
    """Also where the proof fails in an ordinary way."""
    quarantine = Quarantine(folder)
    with quarantine.proving("v1"):
        assert (folder / str(os.getpid())).read_text() == "v1"
    with pytest.raises(ValueError, match="bad"), quarantine.proving("v1"):
        raise ValueError("bad")
    assert list(folder.iterdir()) == []


def test_without_a_place_for_markers_versions_are_proven_all_the_same(folder: Path) -> None:
    """The service must start on a full disk."""
    folder.write_text("in the way")
    quarantine = Quarantine(folder)
    with quarantine.proving("v1"):
        assert quarantine.verdict("v1", 0) is None
