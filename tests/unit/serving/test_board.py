"""The worker board."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.serving.board import Pulse, WorkerBoard, WorkerReport
from app.telemetry.tally import TrafficReport


def report(pid: int, started: float = 1.0) -> WorkerReport:
    return WorkerReport(
        pid=pid,
        started=started,
        reported=2.0,
        reported_steady=2.0,
        status="healthy",
        causes=[],
        ready=True,
        draining=False,
        model_version="v",
        model_loaded=True,
        stages={},
        absent={},
        scorers={},
        warnings=[],
        self_test_last_success=2.0,
        audit_errors=0,
        log_lines_dropped=0,
        failures=[],
        traffic=TrafficReport(),
    )


@pytest.fixture
def board(tmp_path: Path) -> WorkerBoard:
    place = WorkerBoard(tmp_path / "board")
    place.join()
    return place


def test_a_worker_reads_back_what_it_posted(board: WorkerBoard) -> None:
    """One worker, one report, no prediction yet."""
    board.post(report(os.getpid()))
    assert board.reports() == [(report(os.getpid()), Pulse(None, 0, None))]


def test_the_pulse_is_seen_at_once(board: WorkerBoard) -> None:
    """A prediction shows without waiting for the next report."""
    board.post(report(os.getpid()))
    board.beat(50.0, success=False)
    board.beat(51.0, success=False)
    assert board.reports()[0][1] == Pulse(51.0, 2, False)
    board.beat(52.0, success=True)
    assert board.reports()[0][1] == Pulse(52.0, 0, True)


def test_workers_see_each_other(board: WorkerBoard, tmp_path: Path) -> None:
    """Every worker can answer for all."""
    code = (
        "import os, sys; from pathlib import Path; from app.serving.board import WorkerBoard;"
        "from tests.unit.serving.test_board import report;"
        "b = WorkerBoard(Path(sys.argv[1])); b.join(); b.post(report(os.getpid(), started=0.5));"
        "b.beat(7.0, success=True);"
        "print('posted', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "board")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"posted\n"
        board.post(report(os.getpid()))
        places = board.reports()
        other.communicate()
    assert [place[0].pid for place in places] == [other.pid, os.getpid()]
    assert places[0][1] == Pulse(7.0, 0, True)


def test_the_places_of_the_dead_are_cleared(board: WorkerBoard, tmp_path: Path) -> None:
    """A killed worker cannot clean up after itself."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead = WorkerBoard(tmp_path / "board")
    dead.join()
    dead._pid = gone.pid
    dead.post(report(gone.pid))
    assert board.reports() == []
    assert not list((tmp_path / "board").glob(f"{gone.pid}.*"))


def test_a_worker_that_left_is_gone(board: WorkerBoard) -> None:
    """Leaving clears both files."""
    board.post(report(os.getpid()))
    board.leave()
    assert board.reports() == []


def test_its_own_report_is_there_even_when_the_folder_is_not(board: WorkerBoard, tmp_path: Path) -> None:
    """Health must answer when shared memory is full or gone."""
    (tmp_path / "board").rename(tmp_path / "elsewhere")
    (tmp_path / "board").write_text("in the way")
    with pytest.raises(OSError, match="board"):
        board.post(report(os.getpid()))
    board.beat(9.0, success=True)
    assert board.reports() == [(report(os.getpid()), Pulse(9.0, 0, True))]


def test_leave_is_not_taken_where_the_lock_cannot_be_opened(board: WorkerBoard, tmp_path: Path) -> None:
    """A full folder is no reason to fail, only to stay."""
    other = WorkerBoard(tmp_path / "board")
    other.join()
    other._pid = os.getppid()
    (tmp_path / "board" / f"{os.getppid()}.pulse").write_bytes(
        (tmp_path / "board" / f"{os.getpid()}.pulse").read_bytes()
    )
    other.post(report(os.getppid()))
    (tmp_path / "board" / "leaving").mkdir()
    assert board.take_leave() is False
    (tmp_path / "board" / "leaving").rmdir()
    assert board.take_leave() is True
    board.leave()


def test_what_is_no_report_is_passed_over(board: WorkerBoard) -> None:
    """A full disk leaves half of one, another version of the service one of another form."""
    board.post(report(os.getpid()))
    (board.folder / f"{os.getppid()}.json").write_bytes(b"\x00 garbage")
    (board.folder / f"{os.getppid()}.pulse").write_bytes(b"")
    assert [one.pid for one, _ in board.reports()] == [os.getpid()]
