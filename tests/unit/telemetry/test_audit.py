"""The audit: every line on disk before its reply leaves, and no line that spoils another."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.telemetry import audit
from app.telemetry.audit import SECONDS_PER_DAY, PredictionLogger


class FakeTime:
    """The module `time` on a day that can be chosen."""

    def __init__(self, now: float = 20_000.5 * SECONDS_PER_DAY) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "audit"


@pytest.fixture
def logger(folder: Path) -> Iterator[PredictionLogger]:
    made = PredictionLogger(folder)
    yield made
    _close(made)


def _close(made: PredictionLogger) -> None:
    if made._fd >= 0:
        os.close(made._fd)


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("*")) for line in path.read_text().splitlines()]


def test_a_line_is_on_disk_when_append_returns(logger: PredictionLogger, folder: Path) -> None:
    """In a file of this process and day, that others of the group may read and nobody else."""
    logger.append([b"a"])
    (path,) = folder.iterdir()
    assert path.read_bytes() == b"a\n"
    assert path.name == f"predictions-{time.strftime('%Y%m%d', time.gmtime())}-{os.getpid()}.jsonl"
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_batch_is_one_append(logger: PredictionLogger, folder: Path) -> None:
    """All its lines, in order, behind those before."""
    logger.append([b"a"])
    logger.append([b"b", b"c"])
    assert lines(folder) == ["a", "b", "c"]


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUDIT_DIR is empty: switched off, and that is no error."""
    monkeypatch.chdir(tmp_path)
    off = PredictionLogger(None)
    off.append([b"a"])
    off.check()
    assert list(tmp_path.iterdir()) == []


def test_a_new_day_is_a_new_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At midnight UTC."""
    monkeypatch.setattr(audit, "time", clock := FakeTime())
    logger = PredictionLogger(folder)
    logger.append([b"today"])
    clock.now += SECONDS_PER_DAY / 2 - 1
    logger.append([b"still today"])
    clock.now += 1
    logger.append([b"tomorrow"])
    first, second = sorted(folder.iterdir())
    assert (first.read_text(), second.read_text()) == ("today\nstill today\n", "tomorrow\n")
    assert [path.name.split("-")[1] for path in (first, second)] == ["20241004", "20241005"]
    _close(logger)


def test_a_removed_folder_is_made_again(logger: PredictionLogger, folder: Path) -> None:
    """A clean-up of the disk must not end the audit."""
    logger.append([b"a"])
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    logger.append([b"b"])
    assert lines(folder) == ["b"]


def test_a_removed_file_is_made_again(logger: PredictionLogger, folder: Path) -> None:
    """Writing on into a file without a name would lose every line silently."""
    logger.append([b"a"])
    next(folder.iterdir()).unlink()
    logger.append([b"b"])
    assert lines(folder) == ["b"]


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder this process may not write to; a superuser steps down while it lasts."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to all but their owner
    superuser = os.geteuid() == 0
    if superuser:
        os.chown(path, 65534, 65534)
        os.seteuid(65534)
    path.chmod(0o500)
    yield path
    if superuser:
        os.seteuid(0)
    path.chmod(0o700)
    for leftover in path.iterdir():
        leftover.unlink()
    path.rmdir()


def test_a_read_only_folder_is_an_error_until_it_is_not(read_only: Path) -> None:
    """`append` and `check` say so; once writable, both work, without a restart."""
    logger = PredictionLogger(read_only)
    with pytest.raises(PermissionError):
        logger.append([b"a"])
    with pytest.raises(PermissionError):
        logger.check()
    read_only.chmod(0o700)
    logger.check()
    logger.append([b"b"])
    assert lines(read_only) == ["b"]
    _close(logger)


def test_a_file_in_the_folders_place_is_an_error(folder: Path) -> None:
    """Not every mistake is one of permissions."""
    folder.parent.mkdir()
    folder.write_text("not a folder")
    with pytest.raises(OSError, match="exists"):
        PredictionLogger(folder).append([b"a"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("a file system of its own needs the right to mount one")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_is_an_error_until_there_is_room(small_disk: Path) -> None:
    """The line that did not fit is torn; the first one after it begins a line of its own."""
    folder, logger = small_disk / "audit", PredictionLogger(small_disk / "audit")
    logger.append([b"first"])
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        assert file.write(bytes(1024 * 1024)) < 1024 * 1024  # all there was room for
    with pytest.raises(OSError, match=r"fitted|No space") as caught:
        logger.append([b"x" * 10_000])
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        logger.check()
    ballast.unlink()
    logger.check()
    logger.append([b"last"])
    found = lines(folder)
    assert (found[0], found[-1]) == ("first", "last")
    assert len(found) == 3
    assert set(found[1]) == {"x"}
    _close(logger)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(b'{"torn', b'{"torn\nnew\n', id="torn"),
        pytest.param(b"whole\n", b"whole\nnew\n", id="whole"),
        pytest.param(b"", b"new\n", id="empty"),
    ],
)
def test_a_namesakes_last_line_is_ended_first(
    logger: PredictionLogger, folder: Path, left: bytes, expected: bytes
) -> None:
    """Process ids repeat in containers; the process before may have been killed in mid-line."""
    path = folder / f"predictions-{time.strftime('%Y%m%d', time.gmtime())}-{os.getpid()}.jsonl"
    folder.mkdir(parents=True)
    path.write_bytes(left)
    logger.append([b"new"])
    assert path.read_bytes() == expected


def test_a_forked_child_has_its_own_file(logger: PredictionLogger, folder: Path) -> None:
    """The parent's descriptor comes with a fork, and must not be written to."""
    logger.append([b"parent"])
    child = os.fork()
    if child == 0:
        try:
            logger.append([b"child"])
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    logger.append([b"parent again"])
    found = {path.stem.split("-")[-1]: path.read_text() for path in folder.iterdir()}
    assert found == {str(os.getpid()): "parent\nparent again\n", str(child): "child\n"}


def test_threads_lose_no_line(logger: PredictionLogger, folder: Path) -> None:
    """Threaded workers append at the same time."""

    def work(name: int) -> None:
        for number in range(200):
            logger.append([json.dumps({"name": name, "number": number, "filler": "x" * 500}).encode()])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(line["name"], line["number"]) for line in map(json.loads, lines(folder))}
    assert found == {(name, number) for name in range(8) for number in range(200)}


def test_checking_writes_nothing(logger: PredictionLogger, folder: Path) -> None:
    """A self-test leaves no line behind."""
    logger.check()
    assert lines(folder) == []


@pytest.fixture
def small_files(folder: Path) -> Iterator[PredictionLogger]:
    """A logger whose files hold 10 bytes."""
    made = PredictionLogger(folder, rotate_bytes=10)
    yield made
    _close(made)


def numbered(folder: Path) -> dict[str, str]:
    """The files' contents by what stands behind the process id in their names."""
    return {path.name.split(f"-{os.getpid()}")[1]: path.read_text() for path in folder.iterdir()}


def test_a_full_file_is_followed_by_a_new_one(small_files: PredictionLogger, folder: Path) -> None:
    """Before it would grow past its size; what is larger than that gets a file of its own, whole."""
    for line in (b"1234", b"5678", b"9", b"a very long line", b"b"):
        small_files.append([line])
    assert numbered(folder) == {
        ".jsonl": "1234\n5678\n", "-1.jsonl": "9\n", "-2.jsonl": "a very long line\n", "-3.jsonl": "b\n",
    }  # fmt: skip


def test_a_new_process_of_the_same_id_fills_what_has_room(small_files: PredictionLogger, folder: Path) -> None:
    """In a container that was restarted; a name that was packed is not used again, since packing would fail then."""
    small_files.append([b"12345678"])
    small_files.append([b"1"])
    again = PredictionLogger(folder, rotate_bytes=10)
    again.append([b"2"])
    _close(again)
    assert numbered(folder) == {".jsonl": "12345678\n", "-1.jsonl": "1\n2\n"}
    (full,) = folder.glob(f"*-{os.getpid()}.jsonl")
    full.rename(full.with_suffix(".jsonl.gz"))
    third = PredictionLogger(folder, rotate_bytes=10)
    third.append([b"3"])
    _close(third)
    assert numbered(folder) == {".jsonl.gz": "12345678\n", "-1.jsonl": "1\n2\n3\n"}


def test_a_new_day_counts_from_nought(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number is one of the day."""
    monkeypatch.setattr(audit, "time", clock := FakeTime())
    logger = PredictionLogger(folder, rotate_bytes=2)
    for _ in range(3):
        logger.append([b"1"])
    clock.now += SECONDS_PER_DAY
    logger.append([b"2"])
    names = sorted(path.name.replace(f"-{os.getpid()}", "") for path in folder.iterdir())
    assert names == [
        "predictions-20241004-1.jsonl", "predictions-20241004-2.jsonl",
        "predictions-20241004.jsonl", "predictions-20241005.jsonl",
    ]  # fmt: skip
    _close(logger)


def test_a_file_that_somebody_holds_for_himself_is_not_waited_for(folder: Path) -> None:
    """It may be about to be removed."""
    folder.mkdir(parents=True)
    path = folder / f"predictions-{time.strftime('%Y%m%d', time.gmtime())}-{os.getpid()}.jsonl"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        logger = PredictionLogger(folder)
        logger.append([b"a"])
    assert numbered(folder) == {".jsonl": "", "-1.jsonl": "a\n"}
    _close(logger)
