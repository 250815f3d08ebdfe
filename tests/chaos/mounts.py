"""Small file systems of the suite's own, which can be full or read-only. Mounting needs root."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.chaos.arena import CannotRunError

FILLING = "filling"


def small_disk(stack: ExitStack, folder: Path, size: str = "1m") -> Path:
    """A file system of `size` at `folder`, gone when the stack ends. Raises `CannotRunError`."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "chaos", str(folder))
    stack.callback(_run, "umount", "--lazy", str(folder))
    return folder


def fill(folder: Path) -> None:
    """Leaves no byte free."""
    with (folder / FILLING).open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def make_room(folder: Path) -> None:
    """Takes away what `fill` made."""
    (folder / FILLING).unlink()


@contextmanager
def kept_full(folder: Path) -> Iterator[None]:
    """Whatever is freed meanwhile is taken at once."""
    stopping = threading.Event()

    def keep() -> None:
        number = 0
        while not stopping.wait(0.002):
            number += 1
            with suppress(OSError), (folder / f"{FILLING}-{number % 16}").open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    fill(folder)
    filler = threading.Thread(target=keep, daemon=True)
    filler.start()
    try:
        yield
    finally:
        stopping.set()
        filler.join(10)
        for path in folder.glob(f"{FILLING}*"):
            path.unlink()


def forbid_writing(folder: Path) -> None:
    """What is open may still be written to, but nothing new be opened to write."""
    _run("mount", "--bind", str(folder), str(folder))
    _run("mount", "-o", "remount,bind,ro", str(folder))


def allow_writing(folder: Path) -> None:
    """Takes back what `forbid_writing` did."""
    _run("umount", "--lazy", str(folder))


def needs(condition: bool, what: str) -> None:
    """Raises `CannotRunError` unless it holds."""
    if not condition:
        raise CannotRunError(what)


def _run(*command: str) -> None:
    needs(os.geteuid() == 0, "mounting needs root")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    needs(done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}")
